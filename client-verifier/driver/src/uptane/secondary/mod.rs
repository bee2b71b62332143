//! An ECU of a vehicle: the six steps that each one takes, Primary or Secondary (5.4.3): time,
//! metadata, download, verify, install, report.
//!
//! It gets everything over a link and believes none of it. A Primary's own ECU is served in the
//! same way, within the process.

mod challenge;
mod follow;
mod host;
mod install;
mod metadata;
mod plaintext;
mod report;
mod respond;

pub use challenge::random_nonce;
pub use host::{Health, Host};

use std::time::Duration;

use self::challenge::Challenge;
use super::keys::EcuSigner;
use super::link::Verification;
use super::state::{EcuState, Order, StateError, StateFile};
use crate::install::Installer;
use crate::store::Store;
use countersign_encryption::Decapsulate;
use countersign_metadata::UtcTime;
use countersign_metadata::uptane::{Mapping, Nonce, OfflineName, Vin};
use countersign_verifier::uptane::{Directed, Ecu};
use countersign_verifier::{Code, Limits, Reject, VerifiedImage};

/// What an ECU is made of.
pub struct Parts {
    /// The vehicle it is in.
    pub vin: Vin,
    /// Who and what it is.
    pub ecu: Ecu,
    /// How it verifies. A Primary's own ECU verifies in full.
    pub verification: Verification,
    /// Which repositories must agree on which images.
    pub mapping: Mapping,
    /// Budgets in the Director's repository, such as [`Limits::director`].
    pub director_limits: Limits,
    /// Budgets in the Image repository.
    pub image_limits: Limits,
    /// What it must not forget.
    pub state: StateFile,
    /// The Director's metadata, with its first Root.
    pub director: Box<dyn Store + Send>,
    /// The Image repository's metadata, with its first Root. Not used in partial verification.
    pub image: Box<dyn Store + Send>,
    /// How it installs.
    pub installer: Box<dyn Installer + Send>,
    /// The key that signs its reports.
    pub signer: Box<dyn EcuSigner + Send>,
    /// The key that its images are encrypted for, if any are.
    pub decryption: Option<Box<dyn Decapsulate + Send>>,
    /// The device.
    pub host: Box<dyn Host + Send>,
}

/// One ECU, to be served by a [`SecondaryServer`](super::link::SecondaryServer) or a
/// [`LocalLink`](super::link::LocalLink), or as a Primary's own.
pub struct Secondary {
    parts: Parts,
    challenge: Challenge,
    /// The nonce of the next cycle, where it was chosen beforehand.
    chosen: Option<Nonce>,
    clock: Option<Clock>,
    staged: Option<Staged>,
    /// The image that was activated runs when the ECU has started again: until then nobody can say
    /// whether it works.
    restart_due: bool,
}

/// A time that was believed, and the uptime at which it was.
struct Clock {
    time: UtcTime,
    since: Duration,
}

/// An image that was verified and staged, and the order it follows.
struct Staged {
    image: VerifiedImage,
    ordered_by: Order,
}

impl Secondary {
    /// An ECU out of its parts. An installation that a power cut broke off is brought to its end
    /// when it is first greeted or asked for its report.
    ///
    /// # Errors
    /// `misuse` if the record is another ECU's.
    pub fn new(parts: Parts) -> Result<Self, Reject> {
        if *parts.state.state().serial() != parts.ecu.serial {
            let detail = format!(
                "the record is that of ECU {}, and this is {}",
                parts.state.state().serial(),
                parts.ecu.serial
            );
            return Err(Reject::new(Code::Misuse, "", detail));
        }
        Ok(Self {
            challenge: Challenge::new(None, parts.host.uptime())?,
            parts,
            chosen: None,
            clock: None,
            staged: None,
            restart_due: false,
        })
    }

    /// Who and what it is.
    pub fn ecu(&self) -> &Ecu {
        &self.parts.ecu
    }

    /// Its record.
    pub fn state(&self) -> &EcuState {
        self.parts.state.state()
    }

    /// How it installs.
    pub fn installer(&self) -> &dyn Installer {
        &*self.parts.installer
    }

    /// Lets the next cycle ask for the time with a nonce that was chosen beforehand, for devices
    /// that get an attestation by other ways than a link. It has to be random, and of one use.
    pub fn choose_nonce(&mut self, nonce: Nonce) {
        self.chosen = Some(nonce);
    }

    /// Begins a cycle: ends what a power cut or a restart left open, and gives the nonce that the
    /// time has to answer.
    ///
    /// # Errors
    /// `store-failed`, or why an installer could not be asked. That an image failed is no error
    /// here; it is in the next report.
    fn begin(&mut self) -> Result<Nonce, Reject> {
        self.staged = None;
        self.challenge = Challenge::new(self.chosen.take(), self.parts.host.uptime())?;
        self.settle()?;
        Ok(self.challenge.nonce())
    }

    /// The time now, as far as it was attested in this run.
    ///
    /// # Errors
    /// `time-unavailable`
    fn now(&self) -> Result<UtcTime, Reject> {
        let clock = self.clock.as_ref().and_then(|clock| {
            let elapsed = self.parts.host.uptime().saturating_sub(clock.since);
            let elapsed = i64::try_from(elapsed.as_secs()).ok()?;
            clock.time.plus_seconds(elapsed)
        });
        clock.ok_or_else(|| {
            let detail = "no time was attested since this ECU has started";
            Reject::new(Code::TimeUnavailable, "time", detail)
        })
    }

    /// Whether this image is the one that is installed.
    fn runs(&self, directed: &Directed) -> bool {
        let new = install::record_of(directed);
        let installed = self.state().installed(&self.parts.ecu.hardware_id);
        installed.is_some_and(|last| {
            (&last.path, last.release_counter, last.length)
                == (&new.path, new.release_counter, new.length)
                && last.hashes.agree(&new.hashes)
        })
    }

    /// The version of the Director's Targets that was processed last; 0 if none was.
    fn processed_version(&self) -> u64 {
        self.state().processed().map_or(0, |mark| mark.version)
    }

    /// Notes that something was refused under this version of the Director's Targets, or of the
    /// Offline Targets file `offline`.
    fn note_refusal(
        &mut self,
        targets_version: u64,
        offline: Option<&OfflineName>,
        why: &Reject,
    ) -> Result<(), Reject> {
        self.change(|state| {
            state.reports_mut().refused(targets_version, offline, why);
            Ok(())
        })
    }

    fn change<T>(
        &mut self,
        change: impl FnOnce(&mut EcuState) -> Result<T, StateError>,
    ) -> Result<T, Reject> {
        self.parts
            .state
            .change(change)
            .map_err(|error| state_failed(&error))
    }
}

fn state_failed(error: &StateError) -> Reject {
    let code = match error {
        StateError::OutOfOrder { .. } => Code::Misuse,
        _ => Code::StoreFailed,
    };
    Reject::new(code, "", error.to_string())
}
