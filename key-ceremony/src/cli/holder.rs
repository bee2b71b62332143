//! The holders' commands, each on a machine of its own: keygen, prove, sign.

use std::path::{Path, PathBuf};

use countersign_ceremony::CeremonyError;
use countersign_ceremony::exchange::{Invitation, Message};
use countersign_ceremony::holder::{self, Existence, ReadRequest, Station};
use countersign_ceremony::policy::Finding;
use countersign_metadata::{Key, PublicKey};
use countersign_signing::Algorithm;
use serde_json::json;

use super::lead::{Accept, newest_root};
use super::output::Report;
use super::{Global, confirm, in_ci, now};

const KEYGEN_EXAMPLES: &str = "\
Examples:
  key-ceremony keygen /media/usb/anna-root.json --out /media/usb/anna-root.proof.json
  key-ceremony keygen anna-root.json --key \"pkcs11:token=anna;object=root-2027\" --out proof.json

The key is made in its token and cannot leave it. The PIN is asked for, or comes from
COUNTERSIGN_PIN or the URI's pin-source=file:PATH; never write it on a command line.";

/// Make the key that an invitation asks for, and prove that you hold it
#[derive(clap::Args)]
#[command(after_help = KEYGEN_EXAMPLES)]
pub(super) struct Keygen {
    #[command(flatten)]
    answer: Answer,
    /// What kind of key to make, if the invitation leaves it open
    #[arg(long, value_name = "NAME")]
    algorithm: Option<Algorithm>,
}

const PROVE_EXAMPLES: &str = "\
Example:
  key-ceremony prove /media/usb/anna-root.json --key \"pkcs11:token=anna;object=root\" \\
      --out /media/usb/anna-root.proof.json";

/// Prove that you hold a key that exists already
#[derive(clap::Args)]
#[command(after_help = PROVE_EXAMPLES)]
pub(super) struct Prove {
    #[command(flatten)]
    answer: Answer,
}

#[derive(clap::Args)]
struct Answer {
    /// The invitation
    invitation: PathBuf,
    /// Where the key is to be, if not where the invitation says
    #[arg(long, value_name = "URI")]
    key: Option<String>,
    /// The file for the proof, which goes back to the lead
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
    #[command(flatten)]
    accept: Accept,
}

impl Keygen {
    pub(super) fn run(&self, global: &Global) -> Result<Report, CeremonyError> {
        let made = self
            .answer
            .run(global, Existence::Generate(self.algorithm))?;
        Ok(self.answer.report("made and proved", &made))
    }
}

impl Prove {
    pub(super) fn run(&self, global: &Global) -> Result<Report, CeremonyError> {
        let found = self.answer.run(global, Existence::Expect)?;
        Ok(self.answer.report("proved", &found))
    }
}

impl Answer {
    fn run(&self, global: &Global, existence: Existence) -> Result<PublicKey, CeremonyError> {
        let invitation = self.invitation()?;
        let secrets = global.secrets();
        let station = Station {
            secrets: &secrets,
            now: now()?,
            in_ci: in_ci(),
        };
        let (uri, accepted) = (self.key.as_deref(), self.accept.parse()?);
        holder::prove(&station, &invitation, uri, existence, accepted, &self.out)
    }

    fn invitation(&self) -> Result<Invitation, CeremonyError> {
        match Message::read(&self.invitation)? {
            Message::Invitation(invitation) => Ok(invitation),
            other => Err(wrong_kind(&self.invitation, &other, "an invitation")),
        }
    }

    fn report(&self, what: &str, key: &PublicKey) -> Report {
        let key = Key::new(key);
        let text = format!(
            "{what}: {} key {}\nnext: carry {} to the lead",
            key.scheme,
            key.id(),
            self.out.display()
        );
        let object = json!({
            "keyid": key.id().as_str(),
            "scheme": key.scheme,
            "proof": self.out,
        });
        Report::new(text, object)
    }
}

const SIGN_EXAMPLES: &str = "\
Examples:
  key-ceremony sign /media/usb/sign-root.json --key \"pkcs11:token=anna;object=root\" \\
      --out /media/usb/anna.signed.json
  key-ceremony sign sign-root.json --show            (read it, sign nothing)

Read the fingerprint with the others by telephone before you confirm. With --trusted-root, the
request must follow the newest root that you know.";

/// Read what is to be signed, confirm it, and sign it
#[derive(clap::Args)]
#[command(after_help = SIGN_EXAMPLES)]
pub(super) struct Sign {
    /// The signing request
    request: PathBuf,
    /// Your key. May be repeated
    #[arg(long, value_name = "URI", required_unless_present = "show")]
    key: Vec<String>,
    /// The file for the signatures, which goes back to the lead
    #[arg(long, value_name = "FILE", required_unless_present = "show")]
    out: Option<PathBuf>,
    /// Only show it
    #[arg(long, conflicts_with_all = ["key", "out", "confirm"])]
    show: bool,
    /// What would be typed at the prompt, for scripts
    #[arg(long, value_name = "TEXT")]
    confirm: Option<String>,
    /// The newest root that you know: a file, or a repository's folder
    #[arg(long, value_name = "FILE|DIR")]
    trusted_root: Option<PathBuf>,
}

impl Sign {
    pub(super) fn run(&self, global: &Global) -> Result<Report, CeremonyError> {
        let request = match Message::read(&self.request)? {
            Message::Request(request) => *request,
            other => return Err(wrong_kind(&self.request, &other, "a signing request")),
        };
        let secrets = global.secrets();
        let station = Station {
            secrets: &secrets,
            now: now()?,
            in_ci: in_ci(),
        };
        let request = ReadRequest::new(&self.request, request, &station)?;
        if let Some(path) = &self.trusted_root {
            request.check_known(newest_root(path)?, &path.display().to_string())?;
        }
        let findings = request.findings(station.now);
        let shown = describe(&request, &findings);
        let object = json!({
            "diff": request.diff(),
            "findings": findings,
            "accepted": request.request().accepted,
            "words": request.words(),
            "confirm": request.confirmation(),
        });
        let Some(out) = &self.out else {
            return Ok(Report::new(shown, object));
        };
        let wanted = request.confirmation();
        let typed = confirm::ask(global, self.confirm.as_deref(), &wanted, &shown)?;
        let signed = request.sign(&station, &self.key, &typed, out)?;
        let text = format!(
            "signed with {}\nnext: carry {} to the lead",
            signed.join(", "),
            out.display()
        );
        Ok(Report::new(
            text,
            json!({ "signed": signed, "signatures": out }),
        ))
    }
}

/// What a holder reads before signing.
fn describe(request: &ReadRequest, findings: &[Finding]) -> String {
    let mut shown = format!(
        "{}\nceremony {}\n{}",
        request.request().name,
        request.request().ceremony,
        request.diff().to_text()
    );
    for finding in findings {
        shown.push_str(&format!("\n  {finding}"));
    }
    for accepted in &request.request().accepted {
        shown.push_str(&format!(
            "\n  accepted {}: {}",
            accepted.finding, accepted.reason
        ));
    }
    shown.push_str(&format!("\nfingerprint: {}", request.words()));
    shown
}

fn wrong_kind(path: &Path, found: &Message, wanted: &str) -> CeremonyError {
    CeremonyError::Exchange {
        path: path.into(),
        why: format!("this is {}; {wanted} is needed here", found.kind()),
    }
}
