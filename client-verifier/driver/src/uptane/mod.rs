//! The vehicle's side of Uptane: what an ECU keeps, and how Primary and Secondaries work together.
//!
//! The verifier decides, as everywhere; this module carries bytes between repositories, ECUs and
//! installers, and keeps the records that have to survive a power cut.

pub mod bundle;
pub mod keys;
pub mod link;
pub mod primary;
pub mod state;

mod text;
