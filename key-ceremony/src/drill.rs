//! Compromise drills: an attack on a copy, the recovery, and the proof by the real verifier.

/// Why a drill could not be held.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DrillError {}

impl DrillError {
    /// A stable name for scripts.
    pub fn name(&self) -> &'static str {
        match *self {}
    }
}
