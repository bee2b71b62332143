//! Signatures that were counted before: over a Snapshot of several megabytes, one check takes as
//! long as everything else.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};

use countersign_metadata::{Authority, Role, Signed, Tally, Targets};

/// Over less it costs nothing to count again.
const WORTH_KEEPING: usize = 16 << 10;

/// How many results are kept: of the big files, published and staged, under two Roots each.
const KEPT: usize = 8;

/// What was counted, over which file, for whom.
#[derive(Debug, Clone, Default)]
pub(crate) struct Tallies(Arc<Mutex<VecDeque<Counted>>>);

#[derive(Debug)]
struct Counted {
    /// Kept, so that no other file can lie at its address.
    file: Signed<Targets>,
    authority: Authority,
    tally: Tally,
}

impl Tallies {
    /// Who of `authority` has signed `file`.
    pub(crate) fn of<T: Role>(&self, file: &Signed<T>, authority: &Authority) -> Tally {
        if file.received().len() < WORTH_KEEPING {
            return file.tally(authority);
        }
        let mut counted = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let known = counted.iter().find(|known| {
            std::ptr::eq(known.file.received(), file.received()) && known.authority == *authority
        });
        if let Some(known) = known {
            return known.tally.clone();
        }
        let tally = file.tally(authority);
        if counted.len() == KEPT {
            counted.pop_front();
        }
        counted.push_back(Counted {
            file: file.retyped(),
            authority: authority.clone(),
            tally: tally.clone(),
        });
        tally
    }
}
