//! What an ECU has told the Director, and what it has yet to tell.

use countersign_metadata::limits::{MAX_ATTACKS, MAX_TEXT};
use countersign_metadata::uptane::{DetectedAttack, OfflineName, Outcome};
use countersign_verifier::{Attack, Reject};

use super::StateError;

/// The reports of one ECU. A report is stored before it may be sent, and sent again byte for byte
/// until the Director has it or there is something new to say.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Reports {
    pub(super) counter: u64,
    pub(super) unacknowledged: Option<Vec<u8>>,
    pub(super) attacks: Vec<DetectedAttack>,
    /// How many of `attacks` the unacknowledged report tells of.
    pub(super) told: usize,
    pub(super) outcome: Option<Outcome>,
}

impl Reports {
    /// The counter of the last report that was made; 0 if there was none.
    pub fn counter(&self) -> u64 {
        self.counter
    }

    /// The report to send again, while nothing has changed since it was made.
    pub fn unacknowledged(&self) -> Option<&[u8]> {
        self.unacknowledged.as_deref()
    }

    /// The attacks that the Director does not know of, the oldest first.
    pub fn attacks(&self) -> &[DetectedAttack] {
        &self.attacks
    }

    /// How the last update ended.
    pub fn outcome(&self) -> Option<&Outcome> {
        self.outcome.as_ref()
    }

    /// The counter for the next report.
    ///
    /// # Errors
    /// [`StateError::CountersUsedUp`] after 2^64 - 1 reports.
    pub fn next_counter(&self) -> Result<u64, StateError> {
        let next = self.counter.checked_add(1);
        next.ok_or(StateError::CountersUsedUp)
    }

    /// A report was signed, with [`Reports::next_counter`] and everything there is to tell.
    ///
    /// # Errors
    /// [`StateError::CountersUsedUp`]
    pub fn made(&mut self, report: Vec<u8>) -> Result<(), StateError> {
        self.counter = self.next_counter()?;
        self.unacknowledged = Some(report);
        self.told = self.attacks.len();
        Ok(())
    }

    /// The Director has the report with this counter. Of any other one that says nothing.
    pub fn acknowledged(&mut self, counter: u64) {
        if counter == self.counter && self.unacknowledged.take().is_some() {
            self.attacks.drain(..self.told.min(self.attacks.len()));
            self.told = 0;
        }
    }

    /// Something was refused, under this version of the Director's Targets or of the Offline Targets
    /// file `offline`: it is how the update ended, and an attack if it looks like one.
    pub fn refused(&mut self, targets_version: u64, offline: Option<&OfflineName>, why: &Reject) {
        self.attacked(why);
        // The cause says more than that an image was not found.
        let cause = why.cause.as_deref().unwrap_or(why);
        self.ended(Outcome {
            targets_version,
            offline: offline.cloned(),
            code: cause.code.number(),
            name: cause.code.name().into(),
            message: why.to_string().chars().take(MAX_TEXT).collect(),
        });
    }

    /// Something was refused. If it looks like an attack the Director will know of it. The same
    /// attack is told once; beyond [`MAX_ATTACKS`] the first ones count.
    pub fn attacked(&mut self, why: &Reject) {
        if why.attack() == Attack::None {
            return;
        }
        let cause = why.cause.as_deref().unwrap_or(why);
        let attack = DetectedAttack {
            code: cause.code.number(),
            name: cause.code.name().into(),
            attack: why.attack().name().into(),
            repository: short(&cause.repository),
            role: short(&cause.role),
        };
        if self.attacks.len() < MAX_ATTACKS && !self.attacks.contains(&attack) {
            self.attacks.push(attack);
            self.outdated();
        }
    }

    /// An update ended.
    pub fn ended(&mut self, outcome: Outcome) {
        if self.outcome.as_ref() != Some(&outcome) {
            self.outcome = Some(outcome);
            self.outdated();
        }
    }

    /// What was reported is no longer all there is to say: the next report is a new one.
    pub(super) fn outdated(&mut self) {
        self.unacknowledged = None;
        self.told = 0;
    }
}

/// Characters of a name in a report. As long as may be read, names that a supplier has chosen could
/// make a report too large for the link, and then nothing would be heard of this ECU any more.
const MAX_NAME: usize = 64;

/// A name out of a file that an attacker may have written.
fn short(text: &str) -> String {
    text.chars().take(MAX_NAME).collect()
}
