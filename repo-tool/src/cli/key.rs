//! `key generate|import|list|show`

use std::path::{Path, PathBuf};

use clap::Subcommand;
use countersign_metadata::uptane::EncryptionKey;
use countersign_metadata::{Key as MetadataKey, PublicKey};
use countersign_repo::decryption_keys::{self, KeyKind};
use countersign_repo::keys::{self, KeyJson};
use countersign_repo::{RepoError, export};
use serde_json::json;

use super::Global;
use super::output::Report;

#[derive(Subcommand)]
pub(super) enum Key {
    /// Make a private key in an encrypted file or inside a token
    ///
    /// An existing key is never overwritten. The passphrase or PIN comes from the URI's
    /// passphrase-file or pin-source, from COUNTERSIGN_PASSPHRASE or COUNTERSIGN_PIN, or from a
    /// prompt.
    Generate {
        /// Where: file:keys/NAME.pem, or pkcs11:token=LABEL;object=NAME
        uri: String,
        /// ed25519, ecdsa-p256, ecdsa-p384; in a token also rsa-2048, rsa-3072, rsa-4096. For the
        /// decryption key of an ECU p256-decryption, in a file also x25519-decryption
        #[arg(long, short, default_value = "ed25519")]
        algorithm: KeyKind,
        /// Also write the public half to this file, for the machine with the repository
        #[arg(long, value_name = "FILE")]
        public_out: Option<PathBuf>,
    },
    /// Take a public key from another machine into the repository's folder
    ///
    /// Its file can then be named wherever a key is asked for; it signs through 'request' and
    /// 'attach'.
    Import {
        /// PEM ('BEGIN PUBLIC KEY') or JSON with keytype, scheme and keyval
        file: PathBuf,
        /// The name to keep it under: keys/NAME.pub.json
        #[arg(long)]
        name: Option<String>,
    },
    /// List the keys of repo.toml
    List,
    /// Show the public half and the id of a key
    Show {
        /// A key URI, or a public key file
        key: String,
        /// The URI is that of an ECU's decryption key
        #[arg(long)]
        decryption: bool,
        /// Write it to this file too
        #[arg(long, value_name = "FILE")]
        public_out: Option<PathBuf>,
    },
}

impl Key {
    pub(super) fn run(&self, global: &Global) -> Result<Report, RepoError> {
        match self {
            Self::Generate {
                uri,
                algorithm,
                public_out,
            } => match *algorithm {
                KeyKind::Signing(algorithm) => {
                    let key = keys::generate(uri, algorithm, &global.secrets())?;
                    show(uri, &key, public_out.as_deref())
                }
                KeyKind::Decryption(algorithm) => {
                    let key = decryption_keys::generate(uri, algorithm, &global.secrets())?;
                    show_decryption(uri, &key, public_out.as_deref())
                }
            },
            Self::Show {
                key,
                decryption: true,
                public_out,
            } => {
                let public = decryption_keys::public(key, &global.secrets())?;
                show_decryption(key, &public, public_out.as_deref())
            }
            Self::Show {
                key,
                decryption: false,
                public_out,
            } => {
                let public = keys::public(key, &global.secrets())?;
                show(key, &public, public_out.as_deref())
            }
            Self::Import { file, name } => import(global, file, name.as_deref()),
            Self::List => list(global),
        }
    }
}

fn show(entry: &str, key: &PublicKey, out: Option<&Path>) -> Result<Report, RepoError> {
    let id = MetadataKey::new(key).id();
    let public = KeyJson::new(key);
    if let Some(out) = out {
        export(out, &to_file(&public))?;
    }
    let text = format!(
        "{entry}\nkey id {id}\n{}\n{}",
        public.scheme, public.keyval.public
    );
    let json = json!({ "key": entry, "keyid": id.as_str(), "public": public });
    Ok(Report::new(text.trim_end(), json))
}

fn show_decryption(
    uri: &str,
    key: &EncryptionKey,
    out: Option<&Path>,
) -> Result<Report, RepoError> {
    let text = decryption_keys::to_json(key);
    if let Some(out) = out {
        export(out, format!("{text}\n").as_bytes())?;
    }
    let public: serde_json::Value = serde_json::from_str(&text).unwrap_or_default();
    let json = json!({ "key": uri, "keyid": key.id().as_str(), "public": public });
    Ok(Report::new(
        format!("{uri}\nkey id {}\n{text}", key.id()),
        json,
    ))
}

fn import(global: &Global, file: &Path, name: Option<&str>) -> Result<Report, RepoError> {
    let key = keys::read_public(file)?;
    let stem = || file.file_name()?.to_str()?.split('.').next();
    let name = name.or_else(stem).unwrap_or_default();
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    if name.is_empty() || name.starts_with('.') || !name.chars().all(plain) {
        return Err(RepoError::Usage(format!(
            "{name:?} is no name for a key file; give one with --name"
        )));
    }
    let entry = format!("keys/{name}.pub.json");
    export(&global.repo.join(&entry), &to_file(&KeyJson::new(&key)))?;
    show(&entry, &key, None)
}

fn to_file(key: &KeyJson) -> Vec<u8> {
    let mut text = serde_json::to_vec_pretty(key).unwrap_or_default();
    text.push(b'\n');
    text
}

fn list(global: &Global) -> Result<Report, RepoError> {
    let listed = global.open()?.named_keys();
    let mut lines = Vec::new();
    for named in &listed {
        let id = named.keyid.as_deref().unwrap_or("(not opened here yet)");
        lines.push(format!(
            "{}\n  {id}\n  {}",
            named.entry,
            named.roles.join(", ")
        ));
    }
    Ok(Report::new(lines.join("\n"), json!({ "keys": listed })))
}
