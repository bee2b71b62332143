//! What the tests of the ceremony share: several machines as folders, and the command on them.
// Each test binary uses a part of it.
#![allow(dead_code, unreachable_pub)]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use serde_json::Value;
use tempfile::TempDir;

pub const PIN: &str = "648219";
const MODULES: [&str; 4] = [
    "/usr/lib/softhsm/libsofthsm2.so",
    "/usr/lib/x86_64-linux-gnu/softhsm/libsofthsm2.so",
    "/usr/lib/aarch64-linux-gnu/softhsm/libsofthsm2.so",
    "/usr/lib64/pkcs11/libsofthsm2.so",
];

/// Where the keys of a test live.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Keys {
    /// Real tokens, one for each holder.
    Tokens,
    /// Plain files: for tests about anything but keys, because they are fast.
    Files,
}

/// A folder in which each sub-folder is one person's machine. `lead` has the ceremonies.
pub struct World {
    folder: TempDir,
    pub keys: Keys,
    variables: Vec<(String, String)>,
}

pub fn module() -> &'static str {
    let found = MODULES.into_iter().find(|path| Path::new(path).exists());
    found.expect("these tests need SoftHSM; on Debian: apt-get install softhsm2")
}

/// In memory where that is possible: these tests make everything durable thousands of times.
pub fn temporary_folder() -> TempDir {
    tempfile::tempdir_in("/dev/shm").unwrap_or_else(|_| tempfile::tempdir().unwrap())
}

impl World {
    pub fn with_files() -> Self {
        Self::new(Keys::Files)
    }

    /// With a SoftHSM of its own, and a token for each of `labels`.
    pub fn with_tokens(labels: &[&str]) -> Self {
        let mut world = Self::new(Keys::Tokens);
        fs::create_dir(world.path("tokens")).unwrap();
        let text = format!(
            "directories.tokendir = {}\nlog.level = ERROR\n",
            world.path("tokens").display()
        );
        fs::write(world.path("softhsm2.conf"), text).unwrap();
        let config = world.path("softhsm2.conf").display().to_string();
        world.set("SOFTHSM2_CONF", &config);
        world.set("COUNTERSIGN_PKCS11_MODULE", module());
        world.set("COUNTERSIGN_PIN", PIN);
        for label in labels {
            world.add_token(label);
        }
        world
    }

    fn new(keys: Keys) -> Self {
        let world = Self {
            folder: temporary_folder(),
            keys,
            variables: Vec::new(),
        };
        fs::create_dir(world.path("lead")).unwrap();
        world
    }

    pub fn add_token(&self, label: &str) {
        self.softhsm(&[
            "--init-token",
            "--free",
            "--label",
            label,
            "--so-pin",
            "87654321",
        ]);
    }

    pub fn softhsm(&self, words: &[&str]) {
        let made = Command::new("softhsm2-util")
            .args(words)
            .args(["--pin", PIN])
            .env("SOFTHSM2_CONF", self.path("softhsm2.conf"))
            .output()
            .expect("these tests need softhsm2-util; on Debian: apt-get install softhsm2");
        assert!(made.status.success(), "{made:?}");
    }

    /// For all commands from now on.
    pub fn set(&mut self, variable: &str, value: &str) {
        self.variables.retain(|(name, _)| name != variable);
        self.variables.push((variable.into(), value.into()));
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub fn read(&self, name: &str) -> Vec<u8> {
        fs::read(self.path(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
    }

    pub fn text(&self, name: &str) -> String {
        String::from_utf8(self.read(name)).unwrap()
    }

    pub fn write(&self, name: &str, content: impl AsRef<[u8]>) {
        fs::create_dir_all(self.path(name).parent().unwrap()).unwrap();
        fs::write(self.path(name), content).unwrap();
    }

    /// Carries a file from one machine to another.
    pub fn carry(&self, from: &str, to: &str) {
        self.write(to, self.read(from));
    }

    /// A copy of a ceremony's folder.
    pub fn copy(&self, from: &str, to: &str) {
        copy_folder(&self.path(from), &self.path(to));
    }

    // --- Running ---

    /// `key-ceremony WORDS` in the world's folder, with nothing of the caller's environment. What
    /// a person would type at the prompt is added where it is left out.
    pub fn command(&self, words: &[&str]) -> Command {
        let mut command = self.bare_command(words);
        command.args(self.typed(words));
        command
    }

    /// The same, with nobody at the prompt.
    pub fn bare_command(&self, words: &[&str]) -> Command {
        self.prepare(Command::new(env!("CARGO_BIN_EXE_key-ceremony")), words)
    }

    /// What a holder would say to an invitation, and a participant to a seal.
    fn typed(&self, words: &[&str]) -> Vec<String> {
        if words.contains(&"--confirm") {
            return Vec::new();
        }
        match *words {
            ["keygen" | "prove", invitation, ..] => self.answer(invitation, words),
            ["seal", folder, ..] if words.contains(&"--key") => {
                let request = format!("{folder}/requests/seal.json");
                let asked = self.bare_command(&["seal", folder]).output();
                if asked.expect("it runs").status.code() != Some(3) {
                    return Vec::new();
                }
                let shown = self.bare_command(&["sign", &request, "--show"]).output();
                let shown: Value =
                    serde_json::from_slice(&shown.expect("it runs").stdout).unwrap_or_default();
                let confirm = shown["confirm"].as_str().unwrap_or_default();
                vec!["--confirm".into(), confirm.into()]
            }
            _ => Vec::new(),
        }
    }

    fn answer(&self, invitation: &str, words: &[&str]) -> Vec<String> {
        let file = self.path(invitation);
        let small = fs::metadata(&file).is_ok_and(|file| file.is_file() && file.len() < 9999);
        let text = if small {
            fs::read(&file).unwrap()
        } else {
            Vec::new()
        };
        let Ok(asked) = serde_json::from_slice::<Value>(&text) else {
            return Vec::new();
        };
        let part = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let (role, holder) = (part(&asked["slot"]["role"]), part(&asked["slot"]["holder"]));
        let mut typed = vec!["--confirm".to_owned(), format!("{role}/{holder}")];
        // That a key is to be in a file is for its holder to say.
        let uri = part(&asked["uri"]);
        if uri.starts_with("file:") && !words.contains(&"--key") {
            typed.extend(["--key".to_owned(), uri]);
        }
        typed
    }

    /// The same with another clock, as `faketime -f` names it: `+1h`.
    pub fn command_at(&self, clock: &str, words: &[&str]) -> Command {
        let mut command = Command::new("faketime");
        command.args(["-f", clock, env!("CARGO_BIN_EXE_key-ceremony")]);
        let mut command = self.prepare(command, words);
        command.args(self.typed(words));
        command
    }

    fn prepare(&self, mut command: Command, words: &[&str]) -> Command {
        command
            .args(["--format", "json"])
            .args(words)
            .current_dir(self.folder.path())
            .stdin(Stdio::null())
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .envs(self.variables.iter().map(|(name, value)| (name, value)));
        command
    }

    #[track_caller]
    pub fn ok(&self, words: &[&str]) -> Value {
        finish(self.command(words), 0)
    }

    /// Asserts that a command is refused under this name; returns the message.
    #[track_caller]
    pub fn refused(&self, name: &str, words: &[&str]) -> String {
        refusal(self.command(words), name)
    }

    // --- The steps ---

    /// Where a holder's key for a role is; `object` tells apart those of several ceremonies.
    pub fn uri(&self, holder: &str, object: &str) -> String {
        match self.keys {
            Keys::Tokens => format!("pkcs11:token={holder};object={object}"),
            Keys::Files => format!("file:{holder}/{object}.pem?encryption=none"),
        }
    }

    /// The profile of a first ceremony: these root holders, and one key for each other role.
    pub fn profile(&self, threshold: u32, holders: &[&str]) -> String {
        let mut names = vec!["release", "online"];
        names.extend(holders);
        let mut text = String::from("name = \"Example Motors\"\n[holders]\n");
        for name in &names {
            text += &format!("{name} = \"{name} of Example Motors\"\n");
        }
        if self.keys == Keys::Files {
            text += "[[policy.accept]]\nfinding = \"key-in-file\"\nreason = \"a test\"\n";
        }
        for (role, threshold, expires, holders) in [
            ("root", threshold, "365d", holders),
            ("targets", 1, "90d", &["release"][..]),
            ("snapshot", 1, "7d", &["online"][..]),
            ("timestamp", 1, "1d", &["online"][..]),
        ] {
            text += &format!("[roles.{role}]\nthreshold = {threshold}\nexpires = \"{expires}\"\n");
            for holder in holders {
                let uri = self.uri(holder, role);
                text += &format!(
                    "[[roles.{role}.keys]]\nholder = \"{holder}\"\nalgorithm = \"ed25519\"\nuri = \
                     \"{uri}\"\n"
                );
            }
        }
        text
    }

    /// Plans `lead/NAME` from a profile's text.
    #[track_caller]
    pub fn plan(&self, name: &str, profile: &str, more: &[&str]) -> Value {
        self.write("lead/profile.toml", profile);
        let out = format!("lead/{name}");
        self.ok(&[&["plan", "lead/profile.toml", "--out", &out], more].concat())
    }

    /// The places that are asked for a key, as `HOLDER-ROLE`.
    pub fn invited(&self, name: &str) -> Vec<String> {
        let folder = self.path(&format!("lead/{name}/invitations"));
        let Ok(entries) = fs::read_dir(folder) else {
            return Vec::new();
        };
        let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
        let mut names: Vec<String> = names
            .map(|name| name.trim_end_matches(".json").to_owned())
            .collect();
        names.sort();
        names
    }

    /// Carries an invitation to its holder's machine; returns it and where the proof is to be.
    pub fn invite(&self, name: &str, place: &str) -> (String, String) {
        let (holder, _) = place.split_once('-').unwrap();
        let invitation = format!("{holder}/{name}-{place}.json");
        self.carry(
            &format!("lead/{name}/invitations/{place}.json"),
            &invitation,
        );
        (invitation, format!("{holder}/{name}-{place}.proof.json"))
    }

    /// Every holder makes the key that is asked for; the proofs are taken in.
    #[track_caller]
    pub fn make_keys(&self, name: &str) {
        self.make_keys_but(name, "");
    }

    /// Every holder but one.
    #[track_caller]
    pub fn make_keys_but(&self, name: &str, absent: &str) {
        let folder = format!("lead/{name}");
        for place in self.invited(name) {
            if place == absent {
                continue;
            }
            let (invitation, proof) = self.invite(name, &place);
            self.ok(&["keygen", &invitation, "--out", &proof]);
            let arrived = format!("lead/{name}-{place}.proof.json");
            self.carry(&proof, &arrived);
            self.ok(&["merge", &folder, &arrived]);
        }
    }

    /// What has to be typed.
    #[track_caller]
    pub fn confirmation(&self, name: &str) -> String {
        let shown = self.ok(&["review", &format!("lead/{name}"), "--show"]);
        shown["confirm"].as_str().unwrap().into()
    }

    #[track_caller]
    pub fn review(&self, name: &str) {
        let confirm = self.confirmation(name);
        self.ok(&["review", &format!("lead/{name}"), "--confirm", &confirm]);
    }

    /// A holder signs on the own machine with these objects; the signatures are carried back.
    /// Returns the file on the lead's machine.
    #[track_caller]
    pub fn sign(&self, name: &str, holder: &str, objects: &[&str]) -> String {
        let request = format!("{holder}/{name}-request.json");
        self.carry(&format!("lead/{name}/requests/sign-root.json"), &request);
        let signed = format!("{holder}/{name}.signed.json");
        let confirm = self.confirmation(name);
        let uris: Vec<String> = objects
            .iter()
            .map(|object| self.uri(holder, object))
            .collect();
        let mut words = vec!["sign", &request, "--out", &signed, "--confirm", &confirm];
        words.extend(uris.iter().flat_map(|uri| ["--key", uri]));
        self.ok(&words);
        let arrived = format!("lead/{name}-{holder}.signed.json");
        self.carry(&signed, &arrived);
        arrived
    }

    /// As [`sign`](Self::sign), and takes the signatures in.
    #[track_caller]
    pub fn sign_and_merge(&self, name: &str, holder: &str, objects: &[&str]) {
        let arrived = self.sign(name, holder, objects);
        self.ok(&["merge", &format!("lead/{name}"), &arrived]);
    }

    /// A participant seals on the own machine.
    #[track_caller]
    pub fn seal(&self, name: &str, holder: &str, object: &str) {
        let folder = format!("lead/{name}");
        let seal = self.seal_file(name, holder, object);
        self.ok(&["seal", &folder, &seal]);
    }

    /// Asks for a seal; returns the participant's file on the lead's machine.
    #[track_caller]
    pub fn seal_file(&self, name: &str, holder: &str, object: &str) -> String {
        let (folder, key) = (format!("lead/{name}"), self.uri(holder, object));
        let asked = finish(self.command(&["seal", &folder]), 3);
        says(asked["message"].as_str().unwrap(), &["vouch", "seal.json"]);
        let request = format!("{holder}/{name}-seal.json");
        self.carry(&format!("{folder}/requests/seal.json"), &request);
        let shown = self.ok(&["sign", &request, "--show"]);
        let confirm = shown["confirm"].as_str().unwrap();
        let made = format!("{holder}/{name}.seal.json");
        let words = ["sign", &request, "--key", &key, "--confirm", confirm];
        self.ok(&[&words[..], &["--out", &made]].concat());
        let arrived = format!("lead/{name}-{holder}.seal.json");
        self.carry(&made, &arrived);
        arrived
    }

    /// Plan, keys, review, signatures of `signers`, seal by the first of them.
    #[track_caller]
    pub fn first_ceremony(&self, name: &str, threshold: u32, holders: &[&str], signers: &[&str]) {
        self.plan(name, &self.profile(threshold, holders), &[]);
        self.make_keys(name);
        self.review(name);
        for holder in signers {
            self.sign_and_merge(name, holder, &["root"]);
        }
        self.seal(name, signers[0], "root");
    }

    /// Plans a rotation. Words as `rotate` takes them.
    #[track_caller]
    pub fn rotate(&self, last: &str, name: &str, why: &str, more: &[&str]) {
        let (last, out) = (format!("lead/{last}"), format!("lead/{name}"));
        let mut words = vec!["rotate", &last, "--out", &out, "--why", why];
        if self.keys == Keys::Files {
            words.extend(["--accept", "key-in-file=a test"]);
        }
        words.extend(more);
        self.ok(&words);
    }

    /// The lines of a transcript.
    pub fn lines(&self, name: &str) -> Vec<Value> {
        let text = self.text(&format!("lead/{name}/transcript.jsonl"));
        text.lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect()
    }
}

/// Runs a command; returns the one JSON object on standard output, with the exit code checked.
#[track_caller]
pub fn finish(mut command: Command, code: i32) -> Value {
    let output = command.output().unwrap();
    let text = shown(&output);
    assert_eq!(output.status.code(), Some(code), "{command:?}: {text}");
    let object: Value = serde_json::from_slice(&output.stdout).expect("one JSON object");
    assert_eq!(object["ok"], code == 0, "{object}");
    object
}

/// Runs a command that is refused under this name; returns the message.
#[track_caller]
pub fn refusal(mut command: Command, name: &str) -> String {
    let output = command.output().unwrap();
    let text = shown(&output);
    assert!(
        matches!(output.status.code(), Some(1..=3)),
        "{command:?}: {text}"
    );
    let object: Value = serde_json::from_slice(&output.stdout).expect("one JSON object");
    assert_eq!(object["name"], name, "{command:?}: {object}");
    let message = object["message"].as_str().unwrap();
    assert!(!message.contains(PIN), "a PIN in an error: {message}");
    message.to_owned()
}

/// Asserts that a message holds each of these.
#[track_caller]
pub fn says(message: &str, parts: &[&str]) {
    for part in parts {
        assert!(message.contains(part), "{part:?} is not in: {message}");
    }
}

pub fn shown(output: &Output) -> String {
    let (out, err) = (&output.stdout, &output.stderr);
    format!(
        "{}{}",
        String::from_utf8_lossy(out),
        String::from_utf8_lossy(err)
    )
}

pub fn copy_folder(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let (from, to) = (entry.path(), to.join(entry.file_name()));
        match from.is_dir() {
            true => copy_folder(&from, &to),
            false => drop(fs::copy(from, to).unwrap()),
        }
    }
}
