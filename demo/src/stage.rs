//! Where the demo plays: a folder of its own, tokens in it, and the real commands.

use std::env;
use std::error::Error;
use std::ffi::OsStr;
use std::fs::{self, OpenOptions};
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use countersign_metadata::uptane::EncryptionAlgorithm;
use countersign_signing::{KeyUri, Secrets, Signer};
use serde_json::Value;

use crate::narrator::Verdict;

type Result<T> = std::result::Result<T, Box<dyn Error>>;

const PIN: &str = "demo-pin";

/// The folder, the commands and the firmware.
#[derive(Debug, Clone)]
pub(crate) struct Stage {
    pub(crate) folder: PathBuf,
    pub(crate) firmware: PathBuf,
    bin: PathBuf,
    module: String,
}

impl Stage {
    /// Clears the folder and prepares an empty token store in it. The environment says where
    /// everything is; `scripts/demo.sh` sets it.
    pub(crate) fn set_up() -> Result<Self> {
        let stage = Self {
            folder: needed("COUNTERSIGN_DEMO_DIR")?.into(),
            firmware: needed("COUNTERSIGN_FIRMWARE_DIR")?.into(),
            bin: needed("COUNTERSIGN_BIN_DIR")?.into(),
            module: needed("COUNTERSIGN_PKCS11_MODULE")?,
        };
        let config = PathBuf::from(needed("SOFTHSM2_CONF")?);
        if stage.folder.exists() {
            fs::remove_dir_all(&stage.folder)?;
        }
        let tokens = stage.folder.join("tokens");
        fs::create_dir_all(&tokens)?;
        fs::write(
            config,
            format!(
                "directories.tokendir = {}\nlog.level = ERROR\n",
                tokens.display()
            ),
        )?;
        let mut pin = OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(stage.pin_file())?;
        pin.write_all(PIN.as_bytes())?;
        Ok(stage)
    }

    /// Makes an empty token.
    pub(crate) fn token(&self, label: &str) -> Result<()> {
        let words = [
            "--init-token",
            "--free",
            "--label",
            label,
            "--so-pin",
            PIN,
            "--pin",
            PIN,
        ];
        done(Command::new("softhsm2-util").args(words))?;
        Ok(())
    }

    /// The URI of the key `object` in the token `label`.
    pub(crate) fn uri(&self, label: &str, object: &str) -> String {
        let pin = self.pin_file();
        format!(
            "pkcs11:token={label};object={object}?module-path={}&pin-source=file:{}",
            self.module,
            pin.display()
        )
    }

    /// Makes a key inside a token.
    pub(crate) fn generate(&self, uri: &str, algorithm: &str) -> Result<()> {
        self.repo(["key", "generate", uri, "--algorithm", algorithm])?;
        Ok(())
    }

    /// Makes a key inside a token that images are encrypted for, or content keys wrapped to.
    pub(crate) fn generate_decryption(&self, uri: &str) -> Result<()> {
        let (uri, secrets) = (uri.parse()?, Secrets::unattended(&self.folder));
        let algorithm = EncryptionAlgorithm::P256;
        countersign_signing::generate_decryption_key(&uri, algorithm, &secrets)?;
        Ok(())
    }

    /// Opens a key as a thief would who has the token and the PIN.
    pub(crate) fn steal(&self, uri: &str) -> Result<Box<dyn Signer>> {
        self.open(uri)
    }

    /// Opens a key as its holder does.
    pub(crate) fn open(&self, uri: &str) -> Result<Box<dyn Signer>> {
        let uri: KeyUri = uri.parse()?;
        Ok(countersign_signing::open(
            &uri,
            &Secrets::unattended(&self.folder),
        )?)
    }

    /// Runs `repo-tool` on the demo's repository.
    pub(crate) fn repo<S: AsRef<OsStr>>(
        &self,
        words: impl IntoIterator<Item = S>,
    ) -> Result<String> {
        let mut command = Command::new(self.bin.join("repo-tool"));
        command
            .arg("--repo")
            .arg(self.repository())
            .arg("--no-prompt")
            .args(words);
        Ok(String::from_utf8_lossy(&done(&mut command)?.stdout).into_owned())
    }

    /// Runs `key-ceremony`. One machine stands for those of several people here; that it may be a
    /// CI machine must not count against their keys.
    pub(crate) fn ceremony<S: AsRef<OsStr>>(
        &self,
        words: impl IntoIterator<Item = S>,
    ) -> Result<String> {
        let mut command = Command::new(self.bin.join("key-ceremony"));
        command
            .env("COUNTERSIGN_PIN", PIN)
            .env_remove("CI")
            .arg("--no-prompt")
            .args(words);
        Ok(String::from_utf8_lossy(&done(&mut command)?.stdout).into_owned())
    }

    /// The command `director`, to be given words.
    pub(crate) fn director(&self) -> Command {
        Command::new(self.bin.join("director"))
    }

    /// The folder that stands for a person's machine.
    pub(crate) fn machine(&self, holder: &str) -> PathBuf {
        self.folder.join("machines").join(holder)
    }

    /// The publisher's repository.
    pub(crate) fn repository(&self) -> PathBuf {
        self.folder.join("repository")
    }

    /// The published tree.
    pub(crate) fn published(&self) -> PathBuf {
        self.repository().join("published")
    }

    /// Runs `client-verifier` and returns its verdict.
    pub(crate) fn client<S: AsRef<OsStr>>(
        &self,
        words: impl IntoIterator<Item = S>,
    ) -> Result<Verdict> {
        self.client_by(Command::new(self.bin.join("client-verifier")), words)
    }

    /// The same, with the client's clock so many days ahead.
    pub(crate) fn client_in_days<S: AsRef<OsStr>>(
        &self,
        days: u32,
        words: impl IntoIterator<Item = S>,
    ) -> Result<Verdict> {
        let mut command = Command::new("faketime");
        command
            .arg("-f")
            .arg(format!("+{days}d"))
            .arg(self.bin.join("client-verifier"));
        self.client_by(command, words)
    }

    fn client_by<S: AsRef<OsStr>>(
        &self,
        mut command: Command,
        words: impl IntoIterator<Item = S>,
    ) -> Result<Verdict> {
        let output = command.args(["--format", "json"]).args(words).output()?;
        let report: Value = serde_json::from_slice(&output.stdout)
            .map_err(|error| format!("no report from the client: {error}: {output:?}"))?;
        let text = |field: &str| report[field].as_str().unwrap_or_default().to_owned();
        if output.status.success() != (report["ok"] == true) {
            return Err(format!("exit status and report differ: {output:?}").into());
        }
        Ok(Verdict {
            name: text("name"),
            attack: text("attack"),
        })
    }

    fn pin_file(&self) -> PathBuf {
        self.folder.join("pin")
    }
}

fn needed(variable: &str) -> Result<String> {
    env::var(variable).map_err(|_| format!("{variable} is not set; run `make demo`").into())
}

/// Runs a command that has to succeed.
pub(crate) fn done(command: &mut Command) -> Result<Output> {
    let output = command
        .output()
        .map_err(|error| format!("{command:?}: {error}"))?;
    match output.status.success() {
        true => Ok(output),
        false => Err(format!("{command:?}: {}", String::from_utf8_lossy(&output.stderr)).into()),
    }
}

/// Copies a folder with its files and folders.
pub(crate) fn copy_folder(from: &Path, to: &Path) -> Result<()> {
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let target = to.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            copy_folder(&entry.path(), &target)?;
        } else {
            fs::copy(entry.path(), target)?;
        }
    }
    Ok(())
}
