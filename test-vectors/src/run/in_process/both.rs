//! An ECU that verifies in part, twice: with files that it holds, and with files that pass in chunks. Both
//! have to say the same.

use super::ecu::InProcess;
use crate::format::Step;
use crate::run::{Client, Observed, RunError};
use crate::suite::Vector;

pub(super) struct Both {
    whole: InProcess,
    streaming: InProcess,
}

impl Both {
    pub(super) fn new(whole: InProcess, streaming: InProcess) -> Self {
        Self { whole, streaming }
    }
}

impl Client for Both {
    fn init(&mut self, vector: &Vector) -> Result<(), RunError> {
        self.whole.init(vector)?;
        self.streaming.init(vector)
    }

    fn act(&mut self, vector: &Vector, step: &Step) -> Result<Observed, RunError> {
        let whole = self.whole.act(vector, step)?;
        let streaming = self.streaming.act(vector, step)?;
        match same(&whole, &streaming) {
            true => Ok(whole),
            false => Err(RunError(format!(
                "what passes in chunks is not judged as what is held: {streaming:?}"
            ))),
        }
    }
}

/// All but the words for people.
fn same(one: &Observed, other: &Observed) -> bool {
    one.verdict == other.verdict
        && one.refusal == other.refusal
        && one.trusted == other.trusted
        && one.requests == other.requests
        && one.assigned == other.assigned
        && one.installed == other.installed
}
