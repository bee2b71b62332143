//! The vehicle's side of Uptane: what an ECU keeps, and how Primary and Secondaries work together.
//!
//! The verifier decides, as everywhere; this module carries bytes between repositories, ECUs and
//! installers, and keeps the records that have to survive a power cut. In the order of the data:
//!
//! - [`link`]: how a Primary and its ECUs talk.
//! - [`primary`]: one cycle of the ECU that talks to the repositories (5.4.2).
//! - [`secondary`]: what every ECU does, the Primary's own included (5.4.3).
//! - [`state`]: what an ECU must not forget.
//! - [`Sealed`]: an encrypted image on its way to the gate.
//! - [`keys`]: what is handed in, because this crate opens no private key.

pub mod bundle;
pub mod keys;
pub mod link;
pub mod primary;
pub mod secondary;
pub mod state;

mod sealed;
mod text;

pub use sealed::Sealed;
