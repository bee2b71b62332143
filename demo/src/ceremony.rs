//! The ceremonies: the first root, the rotation after a loss, an auditor's look.
//!
//! Every machine is a folder, and what travels between them is copied, as on a USB stick.

use std::error::Error;
use std::ffi::{OsStr, OsString};
use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::narrator::Narrator;
use crate::stage::Stage;

type Result<T> = std::result::Result<T, Box<dyn Error>>;

const PROFILE: &str = r#"name = "Example Motors, image repository"

[holders]
anna = "Anna Arens, product security"
ben = "Ben Beck, platform team"
chris = "Chris Chen, quality"
release = "the release managers"
online = "the publishing server"

[roles.root]
threshold = 2
expires = "365d"
keys = [
    { holder = "anna", algorithm = "ecdsa-p384", uri = "pkcs11:token=anna;object=root" },
    { holder = "ben", algorithm = "ed25519", uri = "pkcs11:token=ben;object=root" },
    { holder = "chris", algorithm = "rsa-3072", uri = "pkcs11:token=chris;object=root" },
]

[roles.targets]
threshold = 1
expires = "90d"
keys = [{ holder = "release", algorithm = "ecdsa-p256", uri = "pkcs11:token=release;object=targets" }]

[roles.snapshot]
threshold = 1
expires = "7d"
keys = [{ holder = "online", algorithm = "ed25519", uri = "pkcs11:token=online;object=snapshot" }]

[roles.timestamp]
threshold = 1
expires = "1d"
keys = [{ holder = "online", algorithm = "ed25519", uri = "pkcs11:token=online;object=timestamp" }]
"#;

/// A ceremony's folder on the lead's machine, and the other machines.
struct Ceremony<'a> {
    stage: &'a Stage,
    folder: PathBuf,
}

/// The first root. Returns its file.
pub(crate) fn first_root(stage: &Stage, narrator: &mut Narrator) -> Result<PathBuf> {
    narrator.chapter("A root of trust: three people, three tokens, three machines, no network");
    for token in [
        "anna", "ben", "chris", "dora", "release", "online", "supplier",
    ] {
        stage.token(token)?;
    }
    let profile = stage.folder.join("profile.toml");
    fs::write(&profile, PROFILE)?;
    let ceremony = Ceremony::new(stage, "first");
    let plan = ceremony.lead("plan", [profile.as_os_str(), "--out".as_ref()])?;
    narrator.tell(&format!(
        "a profile is planned: 2 of 3 must sign; ceremony {}",
        short(&plan, "ceremony")
    ));
    let all = [
        ("anna", "root"),
        ("ben", "root"),
        ("chris", "root"),
        ("release", "targets"),
        ("online", "snapshot"),
        ("online", "timestamp"),
    ];
    for (holder, role) in all {
        ceremony.make_key(holder, role)?;
    }
    narrator.tell("each holder makes a key in a SoftHSM2 token, where it stays, and proves it");
    narrator.tell("anna P-384, ben Ed25519, chris RSA-3072; the release team P-256");
    ceremony.review(narrator)?;
    ceremony.sign("anna")?;
    narrator.check(
        "with one signature of two, nothing can be sealed",
        ceremony.unsealed()?.contains("1 of 2 signatures are there"),
    );
    ceremony.sign("ben")?;
    ceremony.seal("anna")?;
    ceremony.verify(narrator, 1)?;
    Ok(ceremony.folder.join("1.root.json"))
}

/// Chris loses the token. Returns the new root's file.
pub(crate) fn rotate(stage: &Stage, narrator: &mut Narrator) -> Result<PathBuf> {
    narrator.chapter("Chris loses his token: the root is rotated to anna, ben and dora");
    let first = Ceremony::new(stage, "first");
    let ceremony = Ceremony::new(stage, "second");
    let words = [
        "--why",
        "lost",
        "--remove",
        "root/chris",
        "--add",
        "root/dora=pkcs11:token=dora;object=root",
        "--algorithm",
        "ecdsa-p256",
        "--holder",
        "dora=Dora Diaz, quality",
        "--out",
    ];
    let words = [first.folder.as_os_str()]
        .into_iter()
        .chain(words.map(AsRef::as_ref));
    ceremony.lead("rotate", words)?;
    ceremony.make_key("dora", "root")?;
    ceremony.review(narrator)?;
    ceremony.sign("anna")?;
    ceremony.sign("ben")?;
    ceremony.seal("ben")?;
    ceremony.verify(narrator, 2)?;
    tamper(stage, narrator, &ceremony)?;
    Ok(ceremony.folder.join("2.root.json"))
}

/// Somebody changes one byte of the record.
fn tamper(stage: &Stage, narrator: &mut Narrator, ceremony: &Ceremony<'_>) -> Result<()> {
    let transcript = ceremony.folder.join("transcript.jsonl");
    let honest = fs::read(&transcript)?;
    let line = honest.iter().position(|byte| *byte == b'\n').unwrap_or(0);
    let mut changed = honest.clone();
    changed[line + 40] ^= 1;
    fs::write(&transcript, changed)?;
    let found = stage.ceremony(["verify".as_ref(), ceremony.folder.as_os_str()]);
    fs::write(&transcript, honest)?;
    let message = found
        .err()
        .map(|error| error.to_string())
        .unwrap_or_default();
    narrator.check(
        "one byte of the transcript changed: verify says in which line",
        message.contains("line 2 of the transcript"),
    );
    Ok(())
}

impl<'a> Ceremony<'a> {
    fn new(stage: &'a Stage, name: &str) -> Self {
        let folder = stage.machine("lead").join(name);
        Self { stage, folder }
    }

    /// A command of the lead that ends with the ceremony's folder.
    fn lead<'w>(&self, command: &str, words: impl IntoIterator<Item = &'w OsStr>) -> Result<Value> {
        let mut all: Vec<OsString> = ["--format", "json", command].map(Into::into).into();
        all.extend(words.into_iter().map(Into::into));
        all.push(self.folder.clone().into());
        Ok(serde_json::from_str(&self.stage.ceremony(all)?)?)
    }

    /// Where a holder keeps the files of this ceremony.
    fn place(&self, holder: &str) -> PathBuf {
        let ceremony = self.folder.file_name().unwrap_or_default();
        self.stage.machine(holder).join(ceremony)
    }

    /// The invitation travels to the holder, the proof comes back.
    fn make_key(&self, holder: &str, role: &str) -> Result<()> {
        let invitation = format!("{holder}-{role}.json");
        let proof = format!("{holder}-{role}.proof.json");
        let machine = self.place(holder);
        carry(&self.folder.join("invitations").join(&invitation), &machine)?;
        self.stage.ceremony([
            "keygen".as_ref(),
            machine.join(invitation).as_os_str(),
            "--out".as_ref(),
            machine.join(&proof).as_os_str(),
            "--confirm".as_ref(),
            format!("{role}/{holder}").as_ref(),
        ])?;
        self.bring_back(&machine.join(proof))
    }

    /// The lead looks at what changes and confirms it.
    fn review(&self, narrator: &Narrator) -> Result<()> {
        let shown = self.lead("review", ["--show".as_ref()])?;
        let confirm = text(&shown, "confirm");
        self.lead("review", ["--confirm".as_ref(), confirm.as_ref()])?;
        narrator.tell(&format!("read out by telephone: {}", text(&shown, "words")));
        Ok(())
    }

    /// The request travels to the holder, who reads, confirms and signs it.
    fn sign(&self, holder: &str) -> Result<()> {
        let made = self.answer(holder, "sign-root.json", "signed.json")?;
        self.bring_back(&made)
    }

    /// A participant vouches for the transcript; then the root is written.
    fn seal(&self, holder: &str) -> Result<Value> {
        self.unsealed()?;
        let made = self.answer(holder, "seal.json", "made.seal.json")?;
        let desk = self.stage.machine("lead");
        carry(&made, &desk)?;
        let seal = ["--format", "json", "seal"].map(OsString::from);
        let files = [self.folder.clone(), desk.join("made.seal.json")].map(OsString::from);
        let said = self.stage.ceremony(seal.into_iter().chain(files))?;
        Ok(serde_json::from_str(&said)?)
    }

    /// Asks to seal before anybody vouched for the transcript; what was missing.
    fn unsealed(&self) -> Result<String> {
        match self
            .stage
            .ceremony(["seal".as_ref(), self.folder.as_os_str()])
        {
            Ok(_) => Err("sealed, and nobody vouched for the transcript".into()),
            Err(missing) => Ok(missing.to_string()),
        }
    }

    /// A request travels to a holder's machine and is signed there; what is to travel back.
    fn answer(&self, holder: &str, request: &str, made: &str) -> Result<PathBuf> {
        let machine = self.place(holder);
        carry(&self.folder.join("requests").join(request), &machine)?;
        let (request, made) = (machine.join(request), machine.join(made));
        let show = ["--format", "json", "sign", "--show"].map(OsString::from);
        let shown = self
            .stage
            .ceremony(show.into_iter().chain([request.clone().into()]))?;
        let confirm = text(&serde_json::from_str(&shown)?, "confirm");
        self.stage.ceremony([
            "sign".into(),
            request.into_os_string(),
            "--key".into(),
            key(holder).into(),
            "--confirm".into(),
            confirm.into(),
            "--out".into(),
            made.clone().into_os_string(),
        ])?;
        Ok(made)
    }

    fn verify(&self, narrator: &mut Narrator, version: u64) -> Result<()> {
        let found = self.lead("verify", [])?;
        let signed = &found["signed_by"];
        let holds = found["version"] == version && signed.as_array().map(Vec::len) == Some(2);
        narrator.check(
            &format!(
                "the transcript of {} lines verifies: root {version}, signed by two of three",
                found["lines"]
            ),
            holds,
        );
        Ok(())
    }

    fn bring_back(&self, file: &Path) -> Result<()> {
        let desk = self.stage.machine("lead");
        carry(file, &desk)?;
        let there = desk.join(file.file_name().unwrap_or_default());
        self.stage
            .ceremony(["merge".as_ref(), self.folder.as_os_str(), there.as_os_str()])?;
        Ok(())
    }
}

fn key(holder: &str) -> String {
    format!("pkcs11:token={holder};object=root")
}

/// As on a USB stick.
fn carry(file: &Path, machine: &Path) -> Result<()> {
    fs::create_dir_all(machine)?;
    fs::copy(file, machine.join(file.file_name().unwrap_or_default()))?;
    Ok(())
}

fn text(object: &Value, name: &str) -> String {
    object[name].as_str().unwrap_or_default().to_owned()
}

fn short(object: &Value, name: &str) -> String {
    text(object, name).chars().take(16).collect()
}
