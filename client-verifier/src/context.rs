//! What holds for a whole session.

use alloc::string::String;

use countersign_metadata::UtcTime;

use crate::limits::Limits;

/// The time, the budgets and the repository's name, fixed when a session starts (TUF 5.1).
#[derive(Debug, Clone)]
pub struct Context {
    /// Fixed update start time.
    pub now: UtcTime,
    /// Budgets.
    pub limits: Limits,
    /// The repository's name in refusals.
    pub repository: String,
}

impl Context {
    /// At `now`, with the default budgets and a repository without a name.
    pub fn new(now: UtcTime) -> Self {
        Self {
            now,
            limits: Limits::default(),
            repository: String::new(),
        }
    }
}
