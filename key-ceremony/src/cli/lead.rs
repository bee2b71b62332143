//! The lead's commands: plan, rotate, status, merge, review, seal.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};

use countersign_ceremony::conduct::{self, Merged, REPORT, REQUEST};
use countersign_ceremony::exchange::SealRequest;
use countersign_ceremony::holder::Station;
use countersign_ceremony::policy;
use countersign_ceremony::profile::{Accepted, Profile};
use countersign_ceremony::review;
use countersign_ceremony::rotate::{self, Rotation, Why};
use countersign_ceremony::sealing::{ReadSealRequest, read_seals};
use countersign_ceremony::statement::SignedStatement;
use countersign_ceremony::{Ceremony, CeremonyError, Extent, Folder, Phase, fingerprint, verify};
use countersign_metadata::RoleType;
use countersign_repo::{read_root, write_new};
use serde_json::json;

use super::output::{Report, count};
use super::{Global, confirm, in_ci, now};

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
    /// Accept a finding of the policy; the reason stands in the transcript. May be repeated
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
        .map(|slot| format!("invitations/{}-{}.json", slot.holder, slot.role))
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
            match (RoleType::from_name(&role), number) {
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
            thresholds,
            algorithm: self.algorithm.clone(),
        })
    }
}

/// Show how far a ceremony is and what comes next
#[derive(clap::Args)]
#[command(after_help = "Example:\n  key-ceremony status ceremony-2027")]
pub(super) struct Status {
    /// The ceremony's folder
    ceremony: PathBuf,
}

impl Status {
    pub(super) fn run(&self, _global: &Global) -> Result<Report, CeremonyError> {
        match Folder::open(&self.ceremony) {
            Ok(folder) => {
                folder.write_derived()?;
                Ok(status(folder.ceremony()))
            }
            // An archive that is write-once.
            Err(CeremonyError::Io { source, .. }) if is_read_only(&source) => {
                Ok(status(&Folder::look(&self.ceremony)?))
            }
            Err(error) => Err(error),
        }
    }
}

fn is_read_only(error: &io::Error) -> bool {
    use io::ErrorKind::{PermissionDenied, ReadOnlyFilesystem};
    matches!(error.kind(), PermissionDenied | ReadOnlyFilesystem)
}

const MERGE_EXAMPLES: &str = "\
Examples:
  key-ceremony merge ceremony-2027 /media/usb/anna-root.proof.json
  key-ceremony merge ceremony-2027 /media/usb/*.signed.json

A file that was taken in before is no error, so an interrupted run can be repeated.";

/// Take in proofs and signatures that came from the holders
#[derive(clap::Args)]
#[command(after_help = MERGE_EXAMPLES)]
pub(super) struct Merge {
    /// The ceremony's folder
    ceremony: PathBuf,
    /// The files
    #[arg(required = true)]
    files: Vec<PathBuf>,
    #[command(flatten)]
    accept: Accept,
}

impl Merge {
    pub(super) fn run(&self, _global: &Global) -> Result<Report, CeremonyError> {
        let mut folder = Folder::open(&self.ceremony)?;
        let accepted = self.accept.parse()?;
        let mut merged = Vec::new();
        for file in &self.files {
            merged.extend(folder.merge(file, &accepted, now()?)?);
        }
        let mut lines: Vec<String> = merged.iter().map(told).collect();
        let keys = merged.iter().filter_map(|merged| match merged {
            Merged::Proof { slot, words, .. } => Some((slot.to_string(), words)),
            _ => None,
        });
        let keys: BTreeMap<String, &String> = keys.collect();
        let overridden = || merged.iter().flat_map(overridden);
        let idle = |entry: &&Accepted| !overridden().any(|known| known == *entry);
        lines.extend(accepted.iter().filter(idle).map(|entry| {
            let finding = &entry.finding;
            format!("nothing here needed --accept {finding}, so it is not recorded")
        }));
        let first = lines.iter().filter_map(|line| line.lines().next());
        let object = json!({
            "merged": first.collect::<Vec<_>>(),
            "words": keys,
            "accepted": overridden().collect::<Vec<_>>(),
        });
        Ok(status(folder.ceremony()).below(&lines.join("\n"), object))
    }
}

/// What came of one file. The words of a key are for its holder to compare.
fn told(merged: &Merged) -> String {
    let mut text = match merged {
        Merged::Proof { slot, words, .. } => format!("proved: {slot}\n  {words}"),
        Merged::Signature(who) => format!("signed: {who}"),
        Merged::Known(what) => format!("had that already: {what}"),
    };
    for Accepted { finding, reason } in overridden(merged) {
        text.push_str(&format!(
            "\n  POLICY OVERRIDDEN: {finding}, because: {reason}"
        ));
    }
    text
}

fn overridden(merged: &Merged) -> &[Accepted] {
    match merged {
        Merged::Proof { accepted, .. } => accepted,
        Merged::Signature(_) | Merged::Known(_) => &[],
    }
}

const REVIEW_EXAMPLES: &str = "\
Examples:
  key-ceremony review ceremony-2027
  key-ceremony review ceremony-2027 --show           (look, record nothing)
  key-ceremony review ceremony-2027 --confirm \"root 2 anchor velvet\"";

/// Show what the next root changes, and ask for it to be confirmed
#[derive(clap::Args)]
#[command(after_help = REVIEW_EXAMPLES)]
pub(super) struct Review {
    /// The ceremony's folder
    ceremony: PathBuf,
    /// Only show it
    #[arg(long, conflicts_with = "confirm")]
    show: bool,
    /// What would be typed at the prompt, for scripts: '--show --format json' tells
    #[arg(long, value_name = "TEXT")]
    confirm: Option<String>,
    /// The repository whose newest root must be the one that this ceremony follows
    #[arg(long, value_name = "DIR")]
    repo: Option<PathBuf>,
    #[command(flatten)]
    accept: Accept,
}

impl Review {
    pub(super) fn run(&self, global: &Global) -> Result<Report, CeremonyError> {
        let mut folder = Folder::open(&self.ceremony)?;
        check_followed(&folder, self.repo.as_deref())?;
        let now = now()?;
        let (root, diff) = folder.next_root()?;
        let words = fingerprint(root.to_payload().as_bytes());
        let wanted = review::confirmation(&root);
        let mut shown = diff.to_text();
        let before = folder.ceremony().previous().map(|root| root.content());
        let mut findings = folder.ceremony().findings().to_vec();
        if folder.ceremony().review().is_none() {
            findings.extend(policy::check_root(before, &root, now));
        }
        for finding in &findings {
            shown.push_str(&format!("\n  {finding}"));
        }
        for accepted in folder.ceremony().accepted() {
            shown.push_str(&format!(
                "\n  accepted {}: {}",
                accepted.finding, accepted.reason
            ));
        }
        shown.push_str(&format!("\nfingerprint: {words}"));
        let object = json!({
            "diff": diff,
            "findings": findings,
            "accepted": folder.ceremony().accepted(),
            "words": words,
            "confirm": wanted,
            "request": self.ceremony.join(REQUEST),
        });
        if self.show {
            return Ok(Report::new(shown, object));
        }
        if folder.ceremony().review().is_some() {
            folder.write_derived()?;
            let text = format!("{shown}\nreviewed already");
            return Ok(Report::new(text, object));
        }
        let typed = confirm::ask(global, self.confirm.as_deref(), &wanted, &shown)?;
        folder.review(&root, self.accept.parse()?, &typed, now)?;
        let text = format!(
            "reviewed. next: carry {} to the holders of root keys; read the fingerprint to them\n  \
             {words}",
            self.ceremony.join(REQUEST).display()
        );
        Ok(Report::new(text, object))
    }
}

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
                return Err(self.ask(&folder)?);
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

    /// Asks participants for seals; what the command ends with.
    fn ask(&self, folder: &Folder) -> Result<CeremonyError, CeremonyError> {
        let request = folder.ask_for_seals()?;
        let ceremony = folder.ceremony();
        let sealing = ceremony.sealing_keys();
        Ok(CeremonyError::Unsealed {
            needed: ceremony.profile().policy.seal_signatures,
            who: sealing.keys().map(|id| ceremony.describe(id)).collect(),
            request,
        })
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
        let request = ReadSealRequest::new(request)?;
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
        let text = format!(
            "{} by {}\n  the new root: {}\n  for paper: {}\nnext: {} {}",
            if now { "sealed" } else { "sealed already," },
            by.join(", "),
            root.display(),
            report.display(),
            match ceremony.previous() {
                Some(_) => "repo-tool --repo REPOSITORY root import",
                None => "repo-tool --repo REPOSITORY init --root",
            },
            root.display()
        );
        let object = json!({ "root": root, "report": report, "sealed_by": by });
        Report::new(text, object)
    }
}

fn check_followed(folder: &Folder, repo: Option<&Path>) -> Result<(), CeremonyError> {
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

/// Where a ceremony is, and what comes next.
fn status(ceremony: &Ceremony) -> Report {
    let missing: Vec<String> = ceremony.unproved().map(|slot| slot.to_string()).collect();
    let signed: Vec<String> = ceremony
        .signed_by()
        .map(|id| ceremony.describe(id))
        .collect();
    let unsigned: Vec<String> = ceremony
        .signing_keys()
        .keys()
        .filter(|id| !ceremony.signed_by().any(|signed| signed == *id))
        .map(|id| ceremony.describe(id))
        .collect();
    let complete = ceremony.review().is_some() && ceremony.root_file().is_ok();
    let next = match ceremony.phase() {
        Phase::Planned => format!("merge the proofs of {}", missing.join(", ")),
        Phase::Keyed => "review".into(),
        Phase::Reviewed | Phase::Signing if complete => "seal".into(),
        Phase::Reviewed | Phase::Signing => {
            format!(
                "merge signatures; these can still sign: {}",
                unsigned.join(", ")
            )
        }
        Phase::Sealed => format!("publish {}", ceremony.root_name()),
    };
    let phase = ceremony.phase().to_string();
    let mut text = format!("{phase}: {}", ceremony.profile().name);
    if !signed.is_empty() {
        text.push_str(&format!("\nsigned by {}", signed.join(", ")));
    }
    text.push_str(&format!("\nnext: {next}"));
    Report::new(
        text,
        json!({
            "ceremony": ceremony.id(),
            "phase": phase,
            "unproved": missing,
            "signed": signed,
            "can_sign": if ceremony.review().is_some() { unsigned } else { Vec::new() },
            "complete": complete,
            "next": next,
        }),
    )
}
