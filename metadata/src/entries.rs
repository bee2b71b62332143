//! The entries of `signatures`: reading them, and what each kind of document asks of them.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use crate::crypto;
use crate::document::SignatureForm;
use crate::envelope::SignatureEntry;
use crate::error::{MetadataError, shown};
use crate::key::KeyId;
use crate::limits::MAX_SIGNATURES;
use crate::scan::Scanner;

/// The only value of `hash_function` so far.
pub(crate) const HASH_FUNCTION: &str = "sha256";

/// An entry as it stands in the file.
pub(crate) struct RawEntry {
    pub(crate) keyid: KeyId,
    pub(crate) signature: Option<Vec<u8>>,
    method: Option<String>,
    hash_function: Option<String>,
    hash: Option<Vec<u8>>,
}

pub(crate) fn read(scanner: &mut Scanner<'_>) -> Result<Vec<RawEntry>, MetadataError> {
    let mut entries: Vec<RawEntry> = Vec::new();
    scanner.array(|scanner| {
        if entries.len() == MAX_SIGNATURES {
            return Err(too_many());
        }
        let entry = read_entry(scanner)?;
        if entries.iter().any(|known| known.keyid == entry.keyid) {
            return Err(stands_twice(&entry.keyid));
        }
        entries.push(entry);
        Ok(())
    })?;
    Ok(entries)
}

/// There are more than [`MAX_SIGNATURES`].
pub(crate) fn too_many() -> MetadataError {
    let what = format!("has more than {MAX_SIGNATURES} entries");
    MetadataError::field("signatures", what)
}

/// TUF 4.2: a key id stands there once.
pub(crate) fn stands_twice(keyid: &KeyId) -> MetadataError {
    let what = format!("key id \"{}\" stands twice", shown(keyid.as_str()));
    MetadataError::field("signatures", what)
}

/// Reads one entry.
pub(crate) fn read_entry(scanner: &mut Scanner<'_>) -> Result<RawEntry, MetadataError> {
    let mut keyid = None;
    let (mut signature, mut hash) = (None, None);
    let (mut method, mut hash_function) = (None, None);
    scanner.unique_object(&mut |scanner, name| {
        match (name, scanner.peek()) {
            ("keyid", _) => keyid = Some(KeyId::new(scanner.string()?.0)?),
            ("sig", Some(b'"')) => signature = hex::decode(&*scanner.string()?.0).ok(),
            ("hash", Some(b'"')) => hash = hex::decode(&*scanner.string()?.0).ok(),
            ("method", Some(b'"')) => method = Some(scanner.string()?.0.into_owned()),
            ("hash_function", Some(b'"')) => {
                hash_function = Some(scanner.string()?.0.into_owned());
            }
            _ => pass_over(scanner)?,
        }
        Ok(())
    })?;
    match keyid {
        Some(keyid) => Ok(RawEntry {
            keyid,
            signature,
            method,
            hash_function,
            hash,
        }),
        None => Err(MetadataError::field("signatures.keyid", "is missing")),
    }
}

/// Reads a value that nobody uses, as strictly as any other and without building it.
pub(crate) fn pass_over(scanner: &mut Scanner<'_>) -> Result<(), MetadataError> {
    scanner.canonicalise(&mut String::new())
}

/// Takes the signature away from entries that do not have, or do not truly state, what a
/// document of this form needs. An entry of a plain document may state what it likes.
pub(crate) fn judge(
    entries: Vec<RawEntry>,
    form: SignatureForm,
    payload: &str,
) -> Vec<SignatureEntry> {
    let plain = |entry: RawEntry| SignatureEntry {
        keyid: entry.keyid,
        signature: entry.signature,
        method: None,
    };
    let entries = entries.into_iter();
    match form {
        SignatureForm::Plain => entries.map(plain).collect(),
        SignatureForm::Report => {
            let digest = crypto::sha256(payload.as_bytes());
            let states_it = |entry: &RawEntry| {
                entry.method.is_some()
                    && entry.hash_function.as_deref() == Some(HASH_FUNCTION)
                    && entry.hash.as_deref() == Some(&digest)
            };
            let judged = entries.map(|entry| SignatureEntry {
                signature: entry.signature.clone().filter(|_| states_it(&entry)),
                keyid: entry.keyid,
                method: entry.method,
            });
            judged.collect()
        }
    }
}
