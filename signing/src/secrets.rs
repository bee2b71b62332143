//! Where passphrases and PINs come from.

use std::collections::BTreeMap;
use std::fmt;
use std::fs::File;
use std::io::{self, IsTerminal as _, Read as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use zeroize::Zeroizing;

use crate::error::SignError;
use crate::terminal;

/// Longest passphrase or PIN, in bytes.
const MAX_LEN: usize = 1024;

/// How to get at what unlocks a key, and where relative paths start.
///
/// A secret is looked for in this order: the file that the key URI names, the variable for this
/// key or token, the general variable, a prompt if allowed. Variables:
///
/// | variable | what |
/// | --- | --- |
/// | `COUNTERSIGN_PASSPHRASE_STEM` | passphrase of `file:.../STEM.pem`, upper case, other characters than letters and digits as `_` |
/// | `COUNTERSIGN_PASSPHRASE` | passphrase of any key file |
/// | `COUNTERSIGN_PIN_LABEL` | PIN of the token with that label, written as above |
/// | `COUNTERSIGN_PIN_YUBIHSM_NUMBER` | password of the YubiHSM with that serial number, if the key URI names it, or of the authentication key with that object id |
/// | `COUNTERSIGN_PIN` | PIN of any token, password of any YubiHSM |
/// | `COUNTERSIGN_PKCS11_MODULE` | the PKCS#11 library, no secret |
pub struct Secrets {
    base: PathBuf,
    interactive: bool,
    given: BTreeMap<String, Zeroizing<String>>,
}

/// A secret and where it came from, for messages.
pub(crate) struct Secret {
    pub(crate) text: Zeroizing<String>,
    pub(crate) origin: String,
}

impl Secrets {
    /// Never prompts: for CI, cron and services. Relative paths in key URIs start at `base`.
    pub fn unattended(base: impl Into<PathBuf>) -> Self {
        Self {
            base: base.into(),
            interactive: false,
            given: BTreeMap::new(),
        }
    }

    /// Prompts on the terminal for what is found nowhere else, if standard input is a terminal.
    pub fn interactive(base: impl Into<PathBuf>) -> Self {
        Self {
            interactive: true,
            ..Self::unattended(base)
        }
    }

    /// Gives `variable` a value that goes before that of the process's environment.
    #[must_use]
    pub fn with(mut self, variable: impl Into<String>, value: impl Into<String>) -> Self {
        self.given
            .insert(variable.into(), Zeroizing::new(value.into()));
        self
    }

    /// `path`, seen from the base folder.
    pub fn resolve(&self, path: &Path) -> PathBuf {
        self.base.join(path)
    }

    /// Whether a person can be asked.
    pub(crate) fn can_prompt(&self) -> bool {
        self.interactive && io::stdin().is_terminal()
    }

    /// The value of a variable; an empty one counts as not set.
    pub(crate) fn variable(&self, name: &str) -> Result<Option<Zeroizing<String>>, SignError> {
        if let Some(value) = self.given.get(name) {
            return Ok(Some(value.clone()).filter(|value| !value.is_empty()));
        }
        match std::env::var_os(name).map(std::ffi::OsString::into_string) {
            None => Ok(None),
            Some(Ok(value)) => Ok(Some(Zeroizing::new(value)).filter(|value| !value.is_empty())),
            Some(Err(_)) => Err(SignError::Variable {
                name: name.into(),
                problem: "is not UTF-8",
            }),
        }
    }

    /// The secret out of `file` or the first of `variables` that is set.
    pub(crate) fn find(
        &self,
        file: Option<&Path>,
        variables: &[String],
    ) -> Result<Option<Secret>, SignError> {
        if let Some(file) = file {
            let path = self.resolve(file);
            let text = read_secret(&path)?;
            let origin = path.display().to_string();
            return Ok(Some(Secret { text, origin }));
        }
        for name in variables {
            if let Some(text) = self.variable(name)? {
                if text.len() > MAX_LEN {
                    return Err(SignError::Variable {
                        name: name.clone(),
                        problem: "is longer than 1024 bytes",
                    });
                }
                let origin = format!("the environment variable {name}");
                return Ok(Some(Secret { text, origin }));
            }
        }
        Ok(None)
    }

    /// Asks on the terminal. `None` when that is not allowed, there is none, or nothing is typed.
    pub(crate) fn prompt(&self, question: &str) -> Option<Secret> {
        if !self.can_prompt() {
            return None;
        }
        let text = terminal::ask(question).ok()?;
        let origin = "the prompt".to_owned();
        (!text.is_empty() && text.len() <= MAX_LEN).then_some(Secret { text, origin })
    }
}

impl fmt::Debug for Secrets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Secrets")
            .field("base", &self.base)
            .field("interactive", &self.interactive)
            .field("given", &self.given.keys())
            .finish()
    }
}

/// `GENERAL_NAME` and `GENERAL`, in the order in which they are looked at.
pub(crate) fn variables(general: &str, name: &str) -> Vec<String> {
    let upper = |c: char| match c.is_ascii_alphanumeric() {
        true => c.to_ascii_uppercase(),
        false => '_',
    };
    let name: String = name.chars().map(upper).collect();
    vec![format!("{general}_{name}"), general.to_owned()]
}

/// Refuses what others on this machine can read or write. Asked of the open file, so that the
/// answer is about the bytes that are read.
pub(crate) fn check_private(file: &File, path: &Path) -> Result<(), SignError> {
    let metadata = file
        .metadata()
        .map_err(|error| SignError::io("read", path, error))?;
    match metadata.permissions().mode() & 0o7777 {
        mode if mode & 0o077 != 0 => Err(SignError::Permissions {
            path: path.into(),
            mode,
        }),
        _ => Ok(()),
    }
}

/// The first line of a file that only its owner can read. May be a pipe.
fn read_secret(path: &Path) -> Result<Zeroizing<String>, SignError> {
    let io_error = |error| SignError::io("read", path, error);
    let problem = |problem| SignError::SecretFile {
        path: path.into(),
        problem,
    };
    let file = File::open(path).map_err(io_error)?;
    check_private(&file, path)?;
    // Room for the longest line with its end and one byte more; so it never moves and leaves a
    // copy behind.
    let mut bytes = Zeroizing::new(Vec::with_capacity(MAX_LEN + 3));
    file.take(MAX_LEN as u64 + 3)
        .read_to_end(&mut bytes)
        .map_err(io_error)?;
    let text = std::str::from_utf8(&bytes).map_err(|_| problem("it is not UTF-8"))?;
    let line = text.strip_suffix('\n').unwrap_or(text);
    let line = line.strip_suffix('\r').unwrap_or(line);
    match line {
        "" => Err(problem("it is empty")),
        line if line.len() > MAX_LEN => Err(problem("it is longer than 1024 bytes")),
        line if line.contains(['\n', '\r']) => Err(problem("it has more than one line")),
        line => Ok(Zeroizing::new(line.to_owned())),
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn secret_file(content: &[u8], mode: u32) -> (tempfile::TempDir, Result<String, String>) {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("secret");
        fs::write(&path, content).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
        let secrets = Secrets::unattended(dir.path());
        let found = secrets.find(Some(Path::new("secret")), &[]);
        let found = found.map(|secret| secret.unwrap().text.to_string());
        (dir, found.map_err(|error| error.to_string()))
    }

    #[test]
    fn secret_files() {
        let long = [b'a'; 1025];
        for (content, expected) in [
            (b"hunter2".as_slice(), Ok("hunter2")),
            (b"hunter2\n", Ok("hunter2")),
            (b"hunter2\r\n", Ok("hunter2")),
            (b" spaced ", Ok(" spaced ")),
            (
                &long[..1024],
                Ok(std::str::from_utf8(&long[..1024]).unwrap()),
            ),
            (b"", Err("is empty")),
            (b"\n", Err("is empty")),
            (b"a\nb\n", Err("more than one line")),
            (b"\xff", Err("not UTF-8")),
            (&long, Err("longer than")),
        ] {
            match (secret_file(content, 0o600).1, expected) {
                (Ok(found), Ok(expected)) => assert_eq!(found, expected),
                (Err(found), Err(expected)) => assert!(found.contains(expected), "{found}"),
                (found, _) => panic!("{content:?}: {found:?}"),
            }
        }
        let error = secret_file(b"hunter2", 0o640).1.unwrap_err();
        assert!(
            error.contains("chmod 600") && error.contains("0640"),
            "{error}"
        );
        assert!(secret_file(b"hunter2", 0o400).1.is_ok());
    }

    #[test]
    fn variables_from_particular_to_general() {
        let names = variables("COUNTERSIGN_PIN", "Root-1 ä");
        assert_eq!(names, ["COUNTERSIGN_PIN_ROOT_1__", "COUNTERSIGN_PIN"]);
        let secrets = Secrets::unattended("/").with("COUNTERSIGN_PIN", "general");
        let found = secrets.find(None, &names).unwrap().unwrap();
        assert_eq!(found.text.as_str(), "general");
        let secrets = secrets.with(&names[0], "particular");
        let found = secrets.find(None, &names).unwrap().unwrap();
        assert_eq!(found.text.as_str(), "particular");
        assert!(found.origin.contains("COUNTERSIGN_PIN_ROOT_1__"));
        assert!(!format!("{secrets:?}").contains("particular"));
        let secrets = secrets.with(&names[0], "").with(&names[1], "");
        assert!(secrets.find(None, &names).unwrap().is_none());
    }
}
