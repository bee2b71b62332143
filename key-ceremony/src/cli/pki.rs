//! `key-ceremony pki`.

use countersign_ceremony::CeremonyError;

use super::Global;
use super::output::Report;

#[derive(clap::Subcommand)]
pub(super) enum Pki {
    /// Placeholder
    Nothing,
}

impl Pki {
    pub(super) fn run(&self, _global: &Global) -> Result<Report, CeremonyError> {
        Err(CeremonyError::Usage("not built yet".into()))
    }
}
