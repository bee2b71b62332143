//! The entries of `signatures`: reading them, and what each kind of document asks of them.

use alloc::collections::BTreeSet;
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
    keyid: KeyId,
    signature: Option<Vec<u8>>,
    method: Option<String>,
    hash_function: Option<String>,
    hash: Option<Vec<u8>>,
}

pub(crate) fn read(scanner: &mut Scanner<'_>) -> Result<Vec<RawEntry>, MetadataError> {
    let mut seen = BTreeSet::new();
    let mut entries = Vec::new();
    scanner.array(|scanner| {
        if entries.len() == MAX_SIGNATURES {
            let what = format!("has more than {MAX_SIGNATURES} entries");
            return Err(MetadataError::field("signatures", what));
        }
        let entry = read_entry(scanner)?;
        if !seen.insert(entry.keyid.clone()) {
            let what = format!("key id \"{}\" stands twice", shown(entry.keyid.as_str()));
            return Err(MetadataError::field("signatures", what));
        }
        entries.push(entry);
        Ok(())
    })?;
    Ok(entries)
}

fn read_entry(scanner: &mut Scanner<'_>) -> Result<RawEntry, MetadataError> {
    let mut keyid = None;
    let (mut signature, mut hash) = (None, None);
    let (mut method, mut hash_function) = (None, None);
    scanner.unique_object(|scanner, name| {
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
