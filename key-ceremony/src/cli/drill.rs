//! `key-ceremony drill`.

use countersign_ceremony::CeremonyError;

use super::Global;
use super::output::Report;

#[derive(clap::Args)]
pub(super) struct Drill {}

impl Drill {
    pub(super) fn run(&self, _global: &Global) -> Result<Report, CeremonyError> {
        Err(CeremonyError::Usage("not built yet".into()))
    }
}
