//! Keys by their names in `repo.toml`: URIs of keys that can sign here, and public key files of
//! keys that sign elsewhere.

use std::fs::DirBuilder;
use std::os::unix::fs::DirBuilderExt;
use std::path::Path;

use countersign_metadata::json::{self, Object, Value};
use countersign_metadata::{Key, PublicKey};
use countersign_signing::{Algorithm, KeyUri, Secrets, SignError};
use serde::{Deserialize, Serialize};
use spki::ObjectIdentifier;
use spki::SubjectPublicKeyInfoRef;
use spki::der::Decode as _;

use crate::error::RepoError;
use crate::files;

/// The largest public key file that is read: an RSA-4096 key in PEM has 800 bytes.
const MAX_KEY_FILE: u64 = 64 << 10;

/// A key as files exchange it: the same JSON as in metadata (TUF 4.2).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeyJson {
    /// `keytype`
    pub keytype: String,
    /// `scheme`
    pub scheme: String,
    /// `keyval`
    pub keyval: KeyVal,
}

/// `keyval` of the key types known here.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeyVal {
    /// Hexadecimal for Ed25519, PEM for the others.
    pub public: String,
}

impl KeyJson {
    /// As this project writes `key`.
    pub fn new(key: &PublicKey) -> Self {
        let Key {
            keytype, scheme, ..
        } = Key::new(key);
        Self {
            keytype,
            scheme,
            keyval: KeyVal {
                public: key.to_text(),
            },
        }
    }

    /// The key material; `None` if it cannot be decoded.
    pub fn public(&self) -> Option<PublicKey> {
        let key = Key {
            keytype: self.keytype.clone(),
            scheme: self.scheme.clone(),
            keyval: Object::from_iter([("public".into(), self.keyval.public.as_str().into())]),
            extra: Object::new(),
        };
        key.public()
    }
}

/// Whether an entry under `keys` is a key URI rather than the path of a public key file.
pub fn is_uri(entry: &str) -> bool {
    let scheme = entry.split_once(':').map_or("", |(scheme, _)| scheme);
    scheme.len() > 1 && scheme.bytes().all(|byte| byte.is_ascii_alphanumeric())
}

/// Parses a key URI.
pub(crate) fn parse_uri(text: &str) -> Result<KeyUri, RepoError> {
    text.parse().map_err(|error| RepoError::Key {
        uri: redact(text),
        source: SignError::Uri(error),
    })
}

/// Refuses an entry under `keys` that can name no key, without a look at the key.
pub(crate) fn check_entry(entry: &str) -> Result<(), RepoError> {
    let fail = |why: &str| RepoError::PublicKey {
        key: redact(entry),
        why: why.into(),
    };
    if is_uri(entry) {
        return parse_uri(entry).map(drop);
    }
    if entry.trim().is_empty() {
        return Err(fail(
            "no key is named; write file:PATH or pkcs11:token=LABEL;object=LABEL for a key that \
             signs here, or the path of a public key file",
        ));
    }
    match entry.contains('?') {
        true => Err(fail(
            "what follows '?' belongs to a key URI; write file:PATH?... for a key that signs \
             here, or the path of a public key file alone",
        )),
        false => Ok(()),
    }
}

/// A text that names keys, without what may be secret in it. Where somebody wrote a PIN or a
/// passphrase into a URI against the rules, messages must not carry it on into logs: each line
/// ends where a URI's query or such an attribute begins.
pub fn redact(text: &str) -> String {
    let lines: Vec<String> = text.split('\n').map(redact_line).collect();
    lines.join("\n")
}

fn redact_line(line: &str) -> String {
    let lower = line.to_ascii_lowercase();
    let secrets = ["?", "pin-value", "pin=", "passphrase=", "password="];
    let end = secrets.iter().filter_map(|mark| lower.find(mark)).min();
    match end {
        Some(end) => format!("{}...", &line[..end]),
        None => line.to_owned(),
    }
}

/// Reads a public key file: PEM SubjectPublicKeyInfo, or JSON as in metadata.
///
/// # Errors
/// [`RepoError::PublicKey`]
pub fn read_public(path: &Path) -> Result<PublicKey, RepoError> {
    let fail = |why: &str| RepoError::PublicKey {
        key: path.display().to_string(),
        why: why.into(),
    };
    let text = match files::read_up_to(path, MAX_KEY_FILE) {
        Err(RepoError::NotAFile { .. } | RepoError::TooLarge { .. }) => {
            return Err(fail("not a public key file"));
        }
        read => read?,
    };
    let holds = |label: &[u8]| text.windows(label.len()).any(|window| window == label);
    if holds(b"BEGIN EC PRIVATE KEY-") || holds(b"BEGIN RSA PRIVATE KEY-") {
        return Err(fail(
            "this is a private key in an old form; convert it with: openssl pkcs8 -topk8 -v2 \
             aes-256-cbc -in OLD -out NEW, then name it as file:NEW",
        ));
    }
    if text.windows(12).any(|window| window == b"PRIVATE KEY-") {
        return Err(fail(
            "this is a private key; to sign with it here write it as file:PATH, for its public \
             half use 'repo-tool key show'",
        ));
    }
    let key = match text.trim_ascii_start().first() {
        Some(b'{') => from_json(&text),
        _ => from_pem(&text),
    };
    key.ok_or_else(|| {
        fail(
            "no public key of a known type: Ed25519, ECDSA P-256 or P-384, or RSA of 2048 to 4096 \
             bits, as PEM ('BEGIN PUBLIC KEY') or as JSON with keytype, scheme and keyval",
        )
    })
}

fn from_json(text: &[u8]) -> Option<PublicKey> {
    let Value::Object(members) = json::parse(text).ok()? else {
        return None;
    };
    let text = |name: &str| Some(members.get(name)?.as_str()?.to_owned());
    let key = Key {
        keytype: text("keytype")?,
        scheme: text("scheme")?,
        keyval: members.get("keyval")?.as_object()?.clone(),
        extra: Object::new(),
    };
    key.public()
}

fn from_pem(text: &[u8]) -> Option<PublicKey> {
    const ED25519: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.101.112");
    let (label, der) = spki::der::pem::decode_vec(text.trim_ascii()).ok()?;
    if label != "PUBLIC KEY" {
        return None;
    }
    let info = SubjectPublicKeyInfoRef::from_der(&der).ok()?;
    if info.algorithm.oid == ED25519 && info.algorithm.parameters.is_none() {
        let key = info.subject_public_key.as_bytes()?;
        return Some(PublicKey::Ed25519(key.try_into().ok()?));
    }
    PublicKey::from_spki_der(&der)
}

/// Makes a new private key where `uri` says, and the folder of a key file.
///
/// # Errors
/// [`RepoError::Key`]; an existing key is never overwritten.
pub fn generate(
    uri: &str,
    algorithm: Algorithm,
    secrets: &Secrets,
) -> Result<PublicKey, RepoError> {
    let parsed = parse_uri(uri)?;
    make_folder(&parsed, secrets)?;
    countersign_signing::generate(&parsed, algorithm, secrets)
        .map_err(|source| key_error(uri, source))
}

/// Makes the folder of a key file, if it is not there.
pub(crate) fn make_folder(uri: &KeyUri, secrets: &Secrets) -> Result<(), RepoError> {
    if let KeyUri::File(file) = uri
        && let Some(folder) = secrets.resolve(file.path()).parent()
        && !folder.as_os_str().is_empty()
    {
        let made = DirBuilder::new().recursive(true).mode(0o700).create(folder);
        made.map_err(|source| RepoError::io("create", folder, source))?;
    }
    Ok(())
}

/// The public half of the key that `entry`, a key URI or the path of a public key file, names.
///
/// # Errors
/// [`RepoError::Key`], [`RepoError::PublicKey`]
pub fn public(entry: &str, secrets: &Secrets) -> Result<PublicKey, RepoError> {
    check_entry(entry)?;
    if !is_uri(entry) {
        return read_public(&secrets.resolve(Path::new(entry)));
    }
    countersign_signing::public_key(&parse_uri(entry)?, secrets)
        .map_err(|source| key_error(entry, source))
}

/// As [`public`], making the key if it does not exist.
///
/// # Errors
/// As [`generate`] and [`public`].
pub fn ensure(
    entry: &str,
    algorithm: Algorithm,
    secrets: &Secrets,
) -> Result<PublicKey, RepoError> {
    match public(entry, secrets) {
        Err(RepoError::Key {
            source: SignError::NoKey { .. },
            ..
        }) => generate(entry, algorithm, secrets),
        Err(RepoError::Key {
            source: SignError::Io { source, .. },
            ..
        }) if source.kind() == std::io::ErrorKind::NotFound => generate(entry, algorithm, secrets),
        outcome => outcome,
    }
}

pub(crate) fn key_error(uri: &str, source: SignError) -> RepoError {
    RepoError::Key {
        uri: uri.into(),
        source,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn uris_and_paths_are_told_apart() {
        assert!(is_uri("file:keys/a.pem") && is_uri("pkcs11:token=t") && is_uri("yubihsm:x"));
        assert!(!is_uri("keys/a.pub") && !is_uri("./file:a") && !is_uri("C:x"));
    }

    #[test]
    fn what_may_be_secret_is_cut_off() {
        for (text, shown) in [
            ("file:a?passphrase=1234", "file:a..."),
            (
                "pkcs11:token=t;object=o;PIN-value=1234",
                "pkcs11:token=t;object=o;...",
            ),
            (
                "1 | keys = \"file:a?x=1234\"\n  | ^^^",
                "1 | keys = \"file:a...\n  | ^^^",
            ),
            ("file:keys/\u{fc}.pem", "file:keys/\u{fc}.pem"),
        ] {
            assert_eq!(redact(text), shown);
        }
    }

    #[test]
    fn public_keys_are_read_in_both_forms() -> Result<(), RepoError> {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("k");
        let hex = "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a";
        let mut expected = [0; 32];
        hex::decode_to_slice(hex, &mut expected).expect("hex");
        let json = format!(
            r#"{{"keytype":"ed25519","scheme":"ed25519","keyval":{{"public":"{hex}"}},"x":1}}"#
        );
        let pem = "-----BEGIN PUBLIC KEY-----\n\
                   MCowBQYDK2VwAyEA11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=\n\
                   -----END PUBLIC KEY-----\n";
        for text in [json.as_str(), pem] {
            std::fs::write(&path, text).expect("writes");
            assert_eq!(read_public(&path)?, PublicKey::Ed25519(expected));
        }
        for text in ["", "{}", "x", "-----BEGIN PRIVATE KEY-----\n"] {
            std::fs::write(&path, text).expect("writes");
            assert!(read_public(&path).is_err(), "{text}");
        }
        Ok(())
    }
}
