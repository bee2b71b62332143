//! The holders' commands, each on a machine of its own: keygen, prove, sign.

use std::path::{Path, PathBuf};

use countersign_ceremony::exchange::{Invitation, Message, Request, SealRequest};
use countersign_ceremony::holder::{self, Answer, Existence, ReadRequest, Station};
use countersign_ceremony::policy::Finding;
use countersign_ceremony::sealing::{ReadSealRequest, check_place, write_seals};
use countersign_ceremony::{CeremonyError, fingerprint, key_fingerprint};
use countersign_metadata::{Key, PublicKey, Role as _, UtcTime};
use countersign_repo::keys::redact;
use countersign_signing::{Algorithm, Secrets};
use serde_json::{Value, json};

use super::output::Report;
use super::plan::{Accept, newest_root};
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
    reply: Reply,
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
    reply: Reply,
}

#[derive(clap::Args)]
struct Reply {
    /// The invitation
    invitation: PathBuf,
    /// Where the key is to be, if not where the invitation says
    #[arg(long, value_name = "URI")]
    key: Option<String>,
    /// The file for the proof, which goes back to the lead
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
    /// What would be typed at the prompt, for scripts: role and holder
    #[arg(long, value_name = "ROLE/HOLDER")]
    confirm: Option<String>,
    #[command(flatten)]
    accept: Accept,
}

impl Keygen {
    pub(super) fn run(&self, global: &Global) -> Result<Report, CeremonyError> {
        let made = self
            .reply
            .run(global, Existence::Generate(self.algorithm))?;
        Ok(self.reply.report("made and proved", &made))
    }
}

impl Prove {
    pub(super) fn run(&self, global: &Global) -> Result<Report, CeremonyError> {
        let found = self.reply.run(global, Existence::Expect)?;
        Ok(self.reply.report("proved", &found))
    }
}

impl Reply {
    fn run(&self, global: &Global, existence: Existence) -> Result<PublicKey, CeremonyError> {
        let invitation = self.invitation()?;
        let secrets = global.secrets();
        let station = station(&secrets)?;
        let uri = self.key.as_deref();
        let place = holder::place_of_key(&station, uri, &invitation)?;
        let shown = describe_invitation(&invitation, place, &station);
        let wanted = invitation.slot.to_string();
        let typed = confirm::ask(global, self.confirm.as_deref(), &wanted, &shown)?;
        let answer = Answer {
            uri,
            existence,
            accepted: self.accept.parse()?,
            confirmed: &typed,
        };
        holder::prove(&station, &invitation, answer, &self.out)
    }

    fn invitation(&self) -> Result<Invitation, CeremonyError> {
        match Message::read(&self.invitation)? {
            Message::Invitation(invitation) => Ok(invitation),
            other => Err(wrong_kind(&self.invitation, &other, "an invitation")),
        }
    }

    fn report(&self, what: &str, key: &PublicKey) -> Report {
        let key = Key::new(key);
        let words = key_fingerprint(&key.id());
        let text = format!(
            "{what}: {} key {}\n  its words, to compare with the lead's: {words}\nnext: carry {} to \
             the lead",
            key.scheme,
            key.id(),
            self.out.display()
        );
        let object = json!({
            "keyid": key.id().as_str(),
            "words": words,
            "scheme": key.scheme,
            "proof": self.out,
        });
        Report::new(text, object)
    }
}

/// What a holder reads before a key is made or proved.
fn describe_invitation(invitation: &Invitation, place: &str, station: &Station<'_>) -> String {
    let Invitation {
        name,
        ceremony,
        slot,
        who,
        ..
    } = invitation;
    let mut shown = format!(
        "{name}\nceremony {ceremony}\n  asks {} ({who}) for a key of {}\n  the key: {}, in {}",
        slot.holder,
        slot.role,
        invitation.algorithm.as_deref().unwrap_or("of any kind"),
        redact(place)
    );
    for accepted in &invitation.accepted {
        let (finding, reason) = (&accepted.finding, &accepted.reason);
        shown.push_str(&format!("\n  the plan accepts {finding}: {reason}"));
    }
    shown.push_str(&clocks(&invitation.time, station.now));
    shown
}

/// Both clocks, for people to compare: a step that follows hours later hides a clock that is slow.
fn clocks(asked: &str, now: UtcTime) -> String {
    format!("\nasked at {asked} by the lead's clock; this machine's clock says {now}")
}

fn station(secrets: &Secrets) -> Result<Station<'_>, CeremonyError> {
    Ok(Station {
        secrets,
        now: now()?,
        in_ci: in_ci(),
    })
}

const SIGN_EXAMPLES: &str = "\
Examples:
  key-ceremony sign /media/usb/sign-root.json --key \"pkcs11:token=anna;object=root\" \\
      --out /media/usb/anna.signed.json
  key-ceremony sign sign-root.json --show            (read it, sign nothing)
  key-ceremony sign seal.json --key \"pkcs11:token=anna;object=root\" --out anna.seal.json

Read the fingerprint with the others by telephone before you confirm. With --trusted-root, the
request must follow the newest root that you know.";

/// Read what is to be signed, a root or the end of the transcript, confirm it, and sign it
#[derive(clap::Args)]
#[command(after_help = SIGN_EXAMPLES)]
pub(super) struct Sign {
    /// The signing request
    request: PathBuf,
    /// Your key. May be repeated
    #[arg(long, value_name = "URI", required_unless_present = "show")]
    key: Vec<String>,
    /// The file for the signatures or seals, which goes back to the lead
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
        match Message::read(&self.request)? {
            Message::Request(request) => self.sign(global, *request),
            Message::SealRequest(request) => self.seal(global, *request),
            other => Err(wrong_kind(&self.request, &other, "a signing request")),
        }
    }

    fn sign(&self, global: &Global, request: Request) -> Result<Report, CeremonyError> {
        let secrets = global.secrets();
        let station = station(&secrets)?;
        let request = ReadRequest::new(&self.request, request, &station)?;
        if let Some(path) = &self.trusted_root {
            request.check_known(newest_root(path)?, &path.display().to_string())?;
        }
        let findings = request.findings(station.now);
        let mut shown = describe(&request, &findings);
        shown.push_str(self.not_compared(request.root().version() > 1));
        shown.push_str(&clocks(&request.request().time, station.now));
        let wanted = request.confirmation();
        let object = json!({
            "diff": request.diff(),
            "findings": findings,
            "accepted": request.request().accepted,
            "words": request.words(),
            "confirm": wanted,
        });
        let Some(out) = &self.out else {
            return Ok(Report::new(shown, object));
        };
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

    fn seal(&self, global: &Global, request: SealRequest) -> Result<Report, CeremonyError> {
        let secrets = global.secrets();
        let station = station(&secrets)?;
        let request = ReadSealRequest::new(request, &station)?;
        if let Some(path) = &self.trusted_root {
            request.check_known(&newest_root(path)?, &path.display().to_string())?;
        }
        let follows = request.ceremony().previous().is_some();
        let mut shown = format!("{}{}", request.to_text(), self.not_compared(follows));
        let last = request.ceremony().time().to_string();
        shown.push_str(&clocks(&last, station.now));
        let wanted = request.confirmation();
        let Some(out) = &self.out else {
            return Ok(Report::new(shown, describe_seal(&request)));
        };
        check_place(out, request.ceremony().id())?;
        let typed = confirm::ask(global, self.confirm.as_deref(), &wanted, &shown)?;
        let seals = request.seal(&station, &self.key, &typed)?;
        let object = json!({ "sealed": seals.len(), "seals": out });
        write_seals(out, seals)?;
        let text = format!(
            "the transcript is vouched for\nnext: carry {} to the lead",
            out.display()
        );
        Ok(Report::new(text, object))
    }

    /// What the holder has not ruled out.
    fn not_compared(&self, follows: bool) -> &'static str {
        match follows && self.trusted_root.is_none() {
            true => "\nthe root before is not compared with any that you know (--trusted-root)",
            false => "",
        }
    }
}

/// A request for a seal, for scripts.
pub(super) fn describe_seal(request: &ReadSealRequest) -> Value {
    let ceremony = request.ceremony();
    let signed = ceremony.signed_by().map(|id| ceremony.describe(id));
    let review = ceremony.review();
    json!({
        "ceremony": ceremony.id(),
        "diff": review.map(|review| ceremony.diff(&review.root)),
        "root_words": review.map(|review| fingerprint(review.payload.as_bytes())),
        "lines": ceremony.lines(),
        "signed_by": signed.collect::<Vec<_>>(),
        "accepted": ceremony.accepted(),
        "words": request.words(),
        "confirm": request.confirmation(),
    })
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
