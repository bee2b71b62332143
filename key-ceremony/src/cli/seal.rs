//! Ending a ceremony: seal.

use std::path::PathBuf;

use countersign_ceremony::conduct::REPORT;
use countersign_ceremony::exchange::SealRequest;
use countersign_ceremony::holder::Station;
use countersign_ceremony::profile::RepositoryKind;
use countersign_ceremony::sealing::{ReadSealRequest, read_seals};
use countersign_ceremony::statement::SignedStatement;
use countersign_ceremony::{CeremonyError, Folder, Phase};
use serde_json::json;

use super::output::Report;
use super::plan::check_followed;
use super::{Global, confirm, in_ci, now};

const SEAL_EXAMPLES: &str = "\
Examples:
  key-ceremony seal ceremony-2027                    (writes requests/seal.json for participants)
  key-ceremony seal ceremony-2027 /media/usb/anna.seal.json
  key-ceremony seal ceremony-2027 --key \"pkcs11:token=anna;object=root\"

A seal is a participant's signature on the end of the transcript, made with a key of the new root.
Participants make it on their own machines: 'key-ceremony sign requests/seal.json'. With --key the
key's token is used at this machine, which is for a lead who is a holder too: never bring tokens of
several holders to one machine.";

/// Write the new root and close the transcript
#[derive(clap::Args)]
#[command(after_help = SEAL_EXAMPLES)]
pub(super) struct Seal {
    /// The ceremony's folder
    ceremony: PathBuf,
    /// Files of seals that came from participants
    seals: Vec<PathBuf>,
    /// The lead's own root key, if the lead is a participant
    #[arg(long, value_name = "URI")]
    key: Option<String>,
    /// What would be typed at the prompt, for scripts: 'sign --show' on the request tells
    #[arg(long, value_name = "TEXT", requires = "key")]
    confirm: Option<String>,
    /// The repository whose newest root must be the one that this ceremony follows
    #[arg(long, value_name = "DIR")]
    repo: Option<PathBuf>,
}

impl Seal {
    pub(super) fn run(&self, global: &Global) -> Result<Report, CeremonyError> {
        let mut folder = Folder::open(&self.ceremony)?;
        let open = folder.ceremony().phase() < Phase::Sealed;
        if open {
            check_followed(&folder, self.repo.as_deref())?;
            let request = folder.seal_request()?;
            if self.seals.is_empty() && self.key.is_none() {
                folder.write_derived()?;
                return Err(folder.unsealed());
            }
            let mut seals = Vec::new();
            for file in &self.seals {
                seals.extend(read_seals(file)?);
            }
            if let Some(uri) = &self.key {
                seals.extend(self.own_seals(global, request, uri)?);
            }
            folder.seal(seals, now()?)?;
        } else {
            folder.write_derived()?;
        }
        Ok(self.report(&folder, open))
    }

    fn own_seals(
        &self,
        global: &Global,
        request: SealRequest,
        uri: &str,
    ) -> Result<Vec<SignedStatement>, CeremonyError> {
        let secrets = global.secrets();
        let station = Station {
            secrets: &secrets,
            now: now()?,
            in_ci: in_ci(),
        };
        let request = ReadSealRequest::new(request, &station)?;
        let (shown, wanted) = (request.to_text(), request.confirmation());
        let typed = confirm::ask(global, self.confirm.as_deref(), &wanted, &shown)?;
        request.seal(&station, &[uri.to_owned()], &typed)
    }

    fn report(&self, folder: &Folder, now: bool) -> Report {
        let ceremony = folder.ceremony();
        let root = self.ceremony.join(ceremony.root_name());
        let report = self.ceremony.join(REPORT);
        let sealed = ceremony.sealed().map_or(&[][..], |sealed| &sealed.by);
        let by: Vec<String> = sealed.iter().map(|id| ceremony.describe(id)).collect();
        let is_director = ceremony.profile().repository == RepositoryKind::Director;
        let text = format!(
            "{} by {}\n  the new root: {}\n  for paper: {}\nnext: {} {}",
            if now { "sealed" } else { "sealed already," },
            by.join(", "),
            root.display(),
            report.display(),
            match ceremony.previous() {
                _ if is_director => "director root import",
                Some(_) => "repo-tool --repo REPOSITORY root import",
                None => "repo-tool --repo REPOSITORY init --root",
            },
            root.display()
        );
        let object = json!({ "root": root, "report": report, "sealed_by": by });
        Report::new(text, object)
    }
}
