//! Steps 3 to 5: download, verify, install (5.4.3.3 to 5.4.3.5).

use std::io::{self, Read};

use countersign_metadata::UtcTime;
use countersign_verifier::uptane::{Directed, Installed};
use countersign_verifier::{Code, ImageStream, Reject, VerifiedImage};

use super::host::Health;
use super::plaintext::Plaintext;
use super::{Secondary, Staged};
use crate::install::{InstallError, Phase, TakesEffect};
use crate::uptane::Sealed;
use crate::uptane::link::{Activated, LinkError};
use crate::uptane::state::{Order, Stage};

/// How an image is recorded once it is installed.
pub(super) fn record_of(directed: &Directed) -> Installed {
    Installed {
        hardware_id: directed.ecu().hardware_id.clone(),
        path: directed.path().to_string(),
        release_counter: directed.release_counter(),
        length: directed.file().length,
        hashes: directed.file().hashes.clone(),
    }
}

impl Secondary {
    /// Steps 3 and 4: takes the image from `source` (its ciphertext where it is encrypted) and
    /// stages it, unless an earlier run has staged it already.
    pub(super) fn stage(
        &mut self,
        directed: &Directed,
        ordered_by: Order,
        source: &mut dyn Read,
    ) -> Result<(), Reject> {
        let now = self.now()?;
        let image = record_of(directed);
        let in_progress = self.state().installation();
        if in_progress.is_some_and(|installation| installation.stage == Stage::Activating) {
            let detail = "the image before this one is still on trial";
            return Err(Reject::new(Code::PreconditionFailed, "", detail));
        }
        let was_staged = in_progress.is_some_and(|installation| installation.image == image);
        let staged = self.gate(directed, now).and_then(|stream| {
            self.change(|state| state.staging(ordered_by.clone(), image))?;
            match was_staged.then(|| self.parts.installer.recheck(stream)) {
                Some(Ok(image)) => Ok(image),
                // It is not there, or not whole: it is had again.
                _ => self.take(directed, now, source),
            }
        });
        match staged {
            Ok(image) => {
                self.staged = Some(Staged { image, ordered_by });
                Ok(())
            }
            Err(reject) => {
                self.abandon()?;
                Err(reject)
            }
        }
    }

    /// 5.4.3.4, for this ECU and what it has installed.
    fn gate(&self, directed: &Directed, now: UtcTime) -> Result<ImageStream, Reject> {
        let ecu = &self.parts.ecu;
        directed.open_image(ecu, self.state().installed(&ecu.hardware_id), now)
    }

    fn take(
        &mut self,
        directed: &Directed,
        now: UtcTime,
        source: &mut dyn Read,
    ) -> Result<VerifiedImage, Reject> {
        let stream = self.gate(directed, now)?;
        let installer = self.parts.installer.as_mut();
        let staged = installer.precheck(directed.file().length).and_then(|()| {
            if directed.encryption().is_none() {
                return installer.stage(stream, source);
            }
            let Some(key) = &self.parts.decryption else {
                let detail = "the image is encrypted, and this ECU has no key for that";
                return Err(Reject::new(Code::KeyUnwrapFailed, "targets", detail).into());
            };
            let sealed = Sealed::open(directed, key.as_ref(), now)?;
            let mut plain = Plaintext::new(sealed, source);
            installer.stage(stream, &mut plain)
        });
        staged.map_err(refusal)
    }

    /// Forgets what is staged, because it is not the image or nothing asks for it any more. What an installer holds of it
    /// is no harm: it is checked before it is used.
    pub(super) fn abandon(&mut self) -> Result<(), Reject> {
        self.staged = None;
        match self.state().installation().map(|i| i.stage) {
            Some(Stage::Activating) => Ok(()),
            _ => self.change(|state| state.abandoned()),
        }
    }

    /// The order that the staged image follows.
    pub(super) fn staged(&self) -> Option<&Order> {
        self.staged.as_ref().map(|staged| &staged.ordered_by)
    }

    /// Step 5: installs what is staged.
    pub(super) fn activate(&mut self) -> Result<Activated, Reject> {
        let precondition = |detail| Reject::new(Code::PreconditionFailed, "", detail);
        let now = self.now()?;
        // The image stays staged, and the next cycle asks again.
        self.parts.host.may_install().map_err(precondition)?;
        let Some(Staged { image, .. }) = self.staged.take() else {
            return Err(precondition("nothing is staged in this run".into()));
        };
        image.check_fresh(now)?;
        self.change(|state| state.activating())?;
        if let Err(error) = self.parts.installer.activate(image, now) {
            let reject = refusal(error);
            self.back(&reject)?;
            return Err(reject);
        }
        match self.parts.installer.describe().takes_effect {
            TakesEffect::Immediately => self.judge(),
            TakesEffect::AfterRestart => {
                self.restart_due = true;
                Ok(Activated::OnTrial)
            }
        }
    }

    /// Brings to its end what a power cut or a restart left open. The installer knows which image
    /// is active, and the record what that means.
    pub(super) fn settle(&mut self) -> Result<(), Reject> {
        let phase = self.parts.installer.phase().map_err(refusal)?;
        let Some(installation) = self.state().installation() else {
            return match phase {
                // The record is written first and erased last, so this image is not ours.
                Phase::OnTrial => self.parts.installer.rollback().map_err(refusal),
                Phase::Settled => Ok(()),
            };
        };
        if installation.stage == Stage::Staging || self.restart_due {
            return Ok(());
        }
        let image = installation.image.clone();
        match phase {
            // What became of it is in the next report.
            Phase::OnTrial => self.judge().map(drop).or_else(only_not_confirmed),
            Phase::Settled => {
                let active = self.parts.installer.installed().map_err(refusal)?;
                let is_new = active.is_some_and(|active| {
                    active.length == image.length && active.hashes.agree(&image.hashes)
                });
                match is_new {
                    true => self.change(|state| state.confirmed()),
                    false => {
                        let detail = format!("the image before {} is active again", image.path);
                        let reject = Reject::new(Code::NotConfirmed, "", detail);
                        self.change(|state| state.fell_back(&reject))
                    }
                }
            }
        }
    }

    /// Ends a trial, if it can be told by now how. The installer is told first: whatever is cut
    /// off after that, its answer is what [`Secondary::settle`] goes by.
    fn judge(&mut self) -> Result<Activated, Reject> {
        match self.parts.host.health() {
            Health::Unknown => Ok(Activated::OnTrial),
            Health::Works => {
                self.parts.installer.confirm().map_err(refusal)?;
                self.change(|state| state.confirmed())?;
                Ok(Activated::Confirmed)
            }
            Health::Fails(why) => {
                let reject = Reject::new(Code::NotConfirmed, "", why);
                self.back(&reject)?;
                Err(reject)
            }
        }
    }

    /// Goes back to the former image, and records why.
    fn back(&mut self, why: &Reject) -> Result<(), Reject> {
        let installer = self.parts.installer.as_mut();
        if installer.phase().map_err(refusal)? == Phase::OnTrial {
            installer.rollback().map_err(refusal)?;
        }
        self.change(|state| state.failed(why))
    }
}

fn only_not_confirmed(reject: Reject) -> Result<(), Reject> {
    match reject.code {
        Code::NotConfirmed => Ok(()),
        _ => Err(reject),
    }
}

/// An installer's error as a refusal; one of the source in the words of the source.
fn refusal(error: InstallError) -> Reject {
    match error {
        InstallError::Source(error) => source_refusal(error),
        other => other.to_reject(),
    }
}

fn source_refusal(error: io::Error) -> Reject {
    let error = match error.downcast::<Reject>() {
        Ok(reject) => return reject,
        Err(error) => error,
    };
    match error.downcast::<LinkError>() {
        Ok(link) => link.to_reject(),
        Err(error) => Reject::new(Code::FetchFailed, "", error.to_string()),
    }
}
