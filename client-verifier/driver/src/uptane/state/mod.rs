//! What an ECU must not forget: what it has installed, what it is installing, what it has
//! reported.
//!
//! [`EcuState`] is the record and its transitions, without any I/O. [`StateFile`] keeps it in one
//! file, so that facts that belong together change together: a power cut finds the record before
//! a transition or the one after it. docs/ecu-state.md is the format.

mod error;
mod file;
mod format;
mod report;

#[cfg(test)]
mod tests;

pub use error::StateError;
pub use file::StateFile;
pub use report::Reports;

use std::collections::BTreeMap;

use countersign_metadata::uptane::{EcuSerial, HardwareId, OfflineName, Outcome};
use countersign_verifier::Reject;
use countersign_verifier::uptane::{Installed, Mark, TimeFloor};

/// The durable record of one ECU.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EcuState {
    serial: EcuSerial,
    installed: BTreeMap<HardwareId, Installed>,
    installation: Option<Installation>,
    processed: Option<Mark>,
    processed_offline: Option<Mark>,
    time: Option<TimeFloor>,
    reports: Reports,
}

/// What asks for something: the Director's Targets, or an Offline Targets file (PURE-2).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Order {
    /// Which content of the file.
    pub mark: Mark,
    /// The file's name, if it is an Offline Targets file.
    pub offline: Option<OfflineName>,
}

/// An installation that has begun and not ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Installation {
    /// What has ordered it.
    pub ordered_by: Order,
    /// What is to be installed.
    pub image: Installed,
    /// How far it has come.
    pub stage: Stage,
    /// How often the installer was told to switch to it.
    pub attempts: u32,
}

/// How often an image is activated under one order. A power cut just before the switch looks like
/// a fallback just after it, so a second attempt is made; a third one would be a loop.
const ATTEMPTS: u32 = 2;

/// How far an installation has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stage {
    /// The installer takes the image, or has it; nothing runs it.
    Staging,
    /// The installer was told to switch: which image runs is for the installer to say.
    Activating,
}

impl EcuState {
    /// The record of an ECU as it leaves the factory, with what is installed.
    pub fn provisioned(serial: EcuSerial, installed: Option<Installed>) -> Self {
        let installed = installed.into_iter();
        Self {
            serial,
            installed: installed
                .map(|image| (image.hardware_id.clone(), image))
                .collect(),
            installation: None,
            processed: None,
            processed_offline: None,
            time: None,
            reports: Reports::default(),
        }
    }

    /// The ECU it is about.
    pub fn serial(&self) -> &EcuSerial {
        &self.serial
    }

    /// The confirmed image of one kind of hardware.
    pub fn installed(&self, hardware_id: &HardwareId) -> Option<&Installed> {
        self.installed.get(hardware_id)
    }

    /// The installation that has begun and not ended.
    pub fn installation(&self) -> Option<&Installation> {
        self.installation.as_ref()
    }

    /// The Director Targets that was processed to its end on this ECU, whatever the end was.
    pub fn processed(&self) -> Option<&Mark> {
        self.processed.as_ref()
    }

    /// Whether this was processed to its end. What came on a stick and what came over the network
    /// are remembered apart: neither makes the other be done again.
    pub fn is_processed(&self, order: &Order) -> bool {
        let last = match order.offline {
            None => &self.processed,
            Some(_) => &self.processed_offline,
        };
        *last == Some(order.mark)
    }

    /// The latest attested time, as it is kept from cycle to cycle.
    pub fn time_floor(&self) -> Option<&TimeFloor> {
        self.time.as_ref()
    }

    /// What was reported and what is to be reported.
    pub fn reports(&self) -> &Reports {
        &self.reports
    }

    /// What is to be reported, to change it.
    pub fn reports_mut(&mut self) -> &mut Reports {
        &mut self.reports
    }

    /// An attestation was believed. What was reported before names an older time, so it is
    /// reported anew.
    pub fn time_attested(&mut self, floor: TimeFloor) {
        if self.time.as_ref() != Some(&floor) {
            self.reports.outdated();
        }
        self.time = Some(floor);
    }

    /// An image is about to be staged.
    ///
    /// # Errors
    /// [`StateError::OutOfOrder`] while another one may be running on trial.
    pub fn staging(&mut self, ordered_by: Order, image: Installed) -> Result<(), StateError> {
        match self.stage() {
            Some(Stage::Activating) => Err(StateError::OutOfOrder {
                what: "an image is staged while another is on trial",
            }),
            Some(Stage::Staging) | None => {
                let same = |i: &&Installation| i.ordered_by == ordered_by && i.image == image;
                let attempts = self.installation.as_ref().filter(same);
                self.installation = Some(Installation {
                    attempts: attempts.map_or(0, |i| i.attempts),
                    ordered_by,
                    image,
                    stage: Stage::Staging,
                });
                Ok(())
            }
        }
    }

    /// The installer is about to be told to switch.
    ///
    /// # Errors
    /// [`StateError::OutOfOrder`] if nothing is staged.
    pub fn activating(&mut self) -> Result<(), StateError> {
        match &mut self.installation {
            Some(installation) if installation.stage == Stage::Staging => {
                installation.stage = Stage::Activating;
                installation.attempts += 1;
                Ok(())
            }
            _ => Err(StateError::OutOfOrder {
                what: "an image is activated that is not staged",
            }),
        }
    }

    /// The installer has confirmed the new image: it is the installed one, its release counter is
    /// the floor, and the order is processed. All of that is one change.
    ///
    /// # Errors
    /// [`StateError::OutOfOrder`] if no image is on trial.
    pub fn confirmed(&mut self) -> Result<(), StateError> {
        let Some(done) = self.installation.take_if(|i| i.stage == Stage::Activating) else {
            return Err(StateError::OutOfOrder {
                what: "an image is confirmed that is not on trial",
            });
        };
        self.reports.ended(Outcome {
            targets_version: done.ordered_by.mark.version,
            offline: done.ordered_by.offline.clone(),
            code: 0,
            name: "installed".into(),
            message: done.image.path.clone(),
        });
        let hardware_id = done.image.hardware_id.clone();
        self.installed.insert(hardware_id, done.image);
        self.processed_to_the_end(done.ordered_by);
        Ok(())
    }

    /// The installation has failed for good: the image before it runs. The order is processed, so
    /// that it is not tried again and again; the Director will see the outcome.
    ///
    /// # Errors
    /// [`StateError::OutOfOrder`] if there is no installation.
    pub fn failed(&mut self, why: &Reject) -> Result<(), StateError> {
        let Some(over) = self.installation.take() else {
            return Err(StateError::OutOfOrder {
                what: "an installation fails that has not begun",
            });
        };
        let order = over.ordered_by;
        self.reports
            .refused(order.mark.version, order.offline.as_ref(), why);
        self.processed_to_the_end(order);
        Ok(())
    }

    /// The former image is active, and nobody knows whether the new one ever was: the power was
    /// cut. It is staged again if it may be tried again, and nothing is reported yet: a Director
    /// that heard of a failure would take the order back. Otherwise it has failed.
    ///
    /// # Errors
    /// [`StateError::OutOfOrder`] if no image is on trial.
    pub fn fell_back(&mut self, why: &Reject) -> Result<(), StateError> {
        match &mut self.installation {
            Some(i) if i.stage == Stage::Activating && i.attempts < ATTEMPTS => {
                i.stage = Stage::Staging;
                Ok(())
            }
            Some(i) if i.stage == Stage::Activating => self.failed(why),
            _ => Err(StateError::OutOfOrder {
                what: "an image falls back that is not on trial",
            }),
        }
    }

    /// The installation ended before anything was switched, and the next cycle tries again.
    ///
    /// # Errors
    /// [`StateError::OutOfOrder`] while an image may be on trial.
    pub fn abandoned(&mut self) -> Result<(), StateError> {
        match self.stage() {
            Some(Stage::Activating) => Err(StateError::OutOfOrder {
                what: "an installation is abandoned that is on trial",
            }),
            Some(Stage::Staging) | None => {
                self.installation = None;
                Ok(())
            }
        }
    }

    /// This asks nothing more of this ECU.
    pub fn processed_to_the_end(&mut self, order: Order) {
        match order.offline {
            None => self.processed = Some(order.mark),
            Some(_) => self.processed_offline = Some(order.mark),
        }
    }

    fn stage(&self) -> Option<Stage> {
        self.installation.as_ref().map(|i| i.stage)
    }
}
