//! Beginning a ceremony: plan, rotate.

use std::path::{Path, PathBuf};

use countersign_ceremony::conduct;
use countersign_ceremony::profile::{Accepted, Profile};
use countersign_ceremony::rotate::{self, Rotation, Why};
use countersign_ceremony::{CeremonyError, Extent, Folder, RootRole, verify};
use countersign_repo::{read_root, write_new};
use serde_json::json;

use super::output::{Report, count};
use super::{Global, now};

const PLAN_EXAMPLES: &str = "\
Examples:
  key-ceremony plan profile.toml --out ceremony-2027
  key-ceremony plan profile.toml --out ceremony-2028 --previous published/metadata/root.json
  key-ceremony plan profile.toml --out rehearsal --accept root-threshold-low=\"a rehearsal\"";

/// Begin a ceremony: check the profile, write the first line of the transcript and the invitations
#[derive(clap::Args)]
#[command(after_help = PLAN_EXAMPLES)]
pub(super) struct Plan {
    /// The profile
    profile: PathBuf,
    /// The new folder for the ceremony
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    /// The newest root, if this is not the first: a file, or a repository's folder
    #[arg(long, value_name = "FILE|DIR")]
    previous: Option<PathBuf>,
    /// The repository whose newest root --previous must be
    #[arg(long, value_name = "DIR", requires = "previous")]
    repo: Option<PathBuf>,
    #[command(flatten)]
    accept: Accept,
}

/// What of the policy is overridden.
#[derive(clap::Args)]
pub(super) struct Accept {
    /// Accept a finding of the policy; the reason is kept with what is made. May be repeated
    #[arg(long = "accept", value_name = "FINDING=REASON")]
    accept: Vec<String>,
}

impl Accept {
    pub(super) fn parse(&self) -> Result<Vec<Accepted>, CeremonyError> {
        self.accept
            .iter()
            .map(|text| Accepted::parse(text))
            .collect()
    }
}

impl Plan {
    pub(super) fn run(&self, _global: &Global) -> Result<Report, CeremonyError> {
        let (_, text) = Profile::load(&self.profile)?;
        let previous = self.previous.as_deref().map(newest_root).transpose()?;
        check_newest(previous.as_deref(), self.repo.as_deref())?;
        let folder = Folder::plan(&self.out, text, previous, self.accept.parse()?, now()?)?;
        Ok(planned(&folder))
    }
}

fn planned(folder: &Folder) -> Report {
    let ceremony = folder.ceremony();
    let invitations: Vec<String> = ceremony
        .unproved()
        .map(|slot| format!("invitations/{}.json", slot.file_name()))
        .collect();
    let mut text = format!(
        "planned: {}\nceremony {}",
        ceremony.profile().name,
        ceremony.id()
    );
    for finding in ceremony.findings() {
        text.push_str(&format!("\n  {finding}"));
    }
    text.push_str(&format!(
        "\nnext: carry {} from {} to the holders",
        match invitations.len() {
            0 => "nothing; run 'review'".to_owned(),
            several => count(several, "invitation"),
        },
        folder.path().display()
    ));
    for invitation in &invitations {
        text.push_str(&format!("\n  {invitation}"));
    }
    Report::new(
        text,
        json!({
            "ceremony": ceremony.id(),
            "phase": ceremony.phase().to_string(),
            "findings": ceremony.findings(),
            "invitations": invitations,
        }),
    )
}

const ROTATE_EXAMPLES: &str = "\
Examples:
  Chris lost the token; Dora takes over:
    key-ceremony rotate ceremony-2027 --out ceremony-2028 --why lost \\
        --remove root/chris --add root/dora=\"pkcs11:token=dora;object=root\" \\
        --holder dora=\"Dora Diaz, quality\"
  The publishing server was broken into; both its keys are replaced:
    key-ceremony rotate ceremony-2027 --out ceremony-2028 --why compromised \\
        --add snapshot/online=\"pkcs11:token=online2;object=snapshot\" \\
        --add timestamp/online=\"pkcs11:token=online2;object=timestamp\"";

/// Plan the ceremony that follows a sealed one, with some keys replaced
#[derive(clap::Args)]
#[command(after_help = ROTATE_EXAMPLES)]
pub(super) struct Rotate {
    /// The folder of the last ceremony, sealed
    last: PathBuf,
    /// The new folder for this one
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    /// Why keys are replaced. A lost key does not sign the way over
    #[arg(long, value_enum)]
    why: Reason,
    /// A key that leaves. May be repeated
    #[arg(long, value_name = "ROLE/HOLDER")]
    remove: Vec<String>,
    /// A key that comes; in a place that is taken it replaces the key there. May be repeated
    #[arg(long, value_name = "ROLE/HOLDER[=URI]")]
    add: Vec<String>,
    /// Who a new holder is. May be repeated
    #[arg(long, value_name = "HOLDER=WHO")]
    holder: Vec<String>,
    /// Another threshold. May be repeated
    #[arg(long, value_name = "ROLE=NUMBER")]
    threshold: Vec<String>,
    /// The kind of the new keys; that of the role's other keys if not given
    #[arg(long, value_name = "NAME")]
    algorithm: Option<String>,
    /// Only write the profile to this file, to be edited and given to 'plan'
    #[arg(long, value_name = "FILE")]
    profile_only: Option<PathBuf>,
    /// The repository whose newest root must be the last ceremony's
    #[arg(long, value_name = "DIR")]
    repo: Option<PathBuf>,
    #[command(flatten)]
    accept: Accept,
}

#[derive(Debug, Clone, Copy, clap::ValueEnum)]
enum Reason {
    /// As planned
    Scheduled,
    /// The key is gone
    Lost,
    /// Somebody else may have the key
    Compromised,
}

impl Rotate {
    pub(super) fn run(&self, _global: &Global) -> Result<Report, CeremonyError> {
        verify(&self.last, None, Extent::Sealed)?;
        let last = Folder::look(&self.last)?;
        let Some(sealed) = last.sealed() else {
            return Err(CeremonyError::Usage(
                "the last ceremony is not sealed".into(),
            ));
        };
        let newest = sealed.root.clone();
        let profile = rotate::next_profile(&last, &self.rotation()?)?;
        if let Some(file) = &self.profile_only {
            write_new(file, profile.to_text().as_bytes())?;
            return Ok(Report::new(
                format!("wrote {}", file.display()),
                json!({ "profile": file }),
            ));
        }
        check_newest(Some(&newest), self.repo.as_deref())?;
        let text = profile.to_text();
        let accepted = self.accept.parse()?;
        let folder = Folder::plan(&self.out, text, Some(newest), accepted, now()?)?;
        Ok(planned(&folder))
    }

    fn rotation(&self) -> Result<Rotation, CeremonyError> {
        let split = |text: &str| match text.split_once('=') {
            Some((name, value)) => (name.to_owned(), Some(value.to_owned())),
            None => (text.to_owned(), None),
        };
        let mut add = Vec::new();
        for text in &self.add {
            let (slot, uri) = split(text);
            add.push((rotate::parse_slot(&slot)?, uri));
        }
        let remove = self.remove.iter().map(|text| rotate::parse_slot(text));
        let holders = self.holder.iter().map(|text| {
            let (holder, who) = split(text);
            (holder, who.unwrap_or_default())
        });
        let mut thresholds = Vec::new();
        for text in &self.threshold {
            let (role, number) = split(text);
            let number = number.and_then(|number| number.parse().ok());
            match (RootRole::from_name(&role), number) {
                (Some(role), Some(number)) => thresholds.push((role, number)),
                _ => {
                    return Err(CeremonyError::Usage(format!(
                        "--threshold {text}: write ROLE=NUMBER, for example root=3"
                    )));
                }
            }
        }
        Ok(Rotation {
            why: match self.why {
                Reason::Scheduled => Why::Scheduled,
                Reason::Lost => Why::Lost,
                Reason::Compromised => Why::Compromised,
            },
            remove: remove.collect::<Result<_, _>>()?,
            add,
            holders: holders.collect(),
            thresholds: thresholds.into_iter().collect(),
            algorithm: self.algorithm.clone(),
        })
    }
}

/// Whether a ceremony follows the newest root of `repo`, if there is one to compare with.
pub(super) fn check_followed(folder: &Folder, repo: Option<&Path>) -> Result<(), CeremonyError> {
    let followed = folder.ceremony().previous().map(|root| root.received());
    check_newest(followed, repo)
}

fn check_newest(followed: Option<&[u8]>, repo: Option<&Path>) -> Result<(), CeremonyError> {
    match repo {
        Some(repo) => {
            let newest = newest_root(repo)?;
            conduct::check_newest(followed, &newest, &repo.display().to_string())
        }
        None => Ok(()),
    }
}

/// A Root file, or that of a repository's folder.
pub(super) fn newest_root(path: &Path) -> Result<Vec<u8>, CeremonyError> {
    let inside = [
        "published/metadata/root.json",
        "metadata/root.json",
        "root.json",
    ];
    if !path.is_dir() {
        return Ok(read_root(path)?);
    }
    let found = inside
        .iter()
        .map(|name| path.join(name))
        .find(|path| path.is_file());
    match found {
        Some(file) => Ok(read_root(&file)?),
        None => Err(CeremonyError::Usage(format!(
            "{} has no root.json, neither in published/metadata/ nor in metadata/; name the file \
             of the newest root",
            path.display()
        ))),
    }
}
