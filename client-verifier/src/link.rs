//! Checking one file against what its parent says of it. Snapshot, Targets and delegated roles
//! share these rules (TUF 5.5.2 to 5.5.4, 5.6.2 to 5.6.4).

use alloc::format;
use alloc::vec::Vec;

use countersign_metadata::{Authority, MetaFile, Role, Signed, Verified};

use crate::refresh::misuse;
use crate::reject::{Code, Reject, versions};
use crate::session::{Reply, Stored};

/// Why a fetch brought no file.
pub(crate) fn no_file(role: &str, reply: Reply) -> Reject {
    match reply {
        Reply::NotFound => Reject::new(
            Code::MetadataMissing,
            role,
            "the repository does not have the file",
        ),
        Reply::TooLarge => Reject::new(Code::TooLarge, role, "the file goes on beyond its bound"),
        _ => misuse("a file from the repository was asked for"),
    }
}

/// A driver reads no more than it was told to, but that is not left to its word.
pub(crate) fn within(role: &str, bytes: &[u8], max_len: u64) -> Result<(), Reject> {
    match bytes.len() as u64 > max_len {
        true => Err(no_file(role, Reply::TooLarge)),
        false => Ok(()),
    }
}

/// How many bytes of a file to read: what its parent lists, but no more than the budget.
pub(crate) fn max_len(meta: &MetaFile, budget: u64) -> u64 {
    meta.length.map_or(budget, |length| length.min(budget))
}

/// Reads a file of `role`.
pub(crate) fn parse<T: Role>(bytes: Vec<u8>, role: &str) -> Result<Signed<T>, Reject> {
    Signed::parse(bytes).map_err(|error| Reject::metadata(role, error))
}

/// Reads a file of `role` and checks who signed it.
pub(crate) fn accept<T: Role>(
    bytes: Vec<u8>,
    role: &str,
    authority: &Authority,
) -> Result<Verified<T>, Reject> {
    parse(bytes, role)?
        .verify(authority)
        .map_err(|error| Reject::metadata(role, error))
}

/// A stored file that still verifies. One that does not is absent, not a floor.
pub(crate) fn floor<T: Role>(stored: Stored, authority: &Authority) -> Option<Verified<T>> {
    Signed::parse(stored.bytes).ok()?.verify(authority).ok()
}

/// Whether a stored file is the one that `meta` names, so that it need not be fetched.
pub(crate) fn is_named<T: Role>(file: &Verified<T>, meta: &MetaFile) -> bool {
    file.content().version() == meta.version && check_bytes(file.received(), meta, "").is_ok()
}

/// Checks a fetched file of `role` against its parent's entry and the stored floor.
pub(crate) fn check<T: Role>(
    bytes: Vec<u8>,
    role: &str,
    meta: &MetaFile,
    authority: &Authority,
    floor: Option<&Verified<T>>,
) -> Result<Verified<T>, Reject> {
    // Hashes first: they come from a parent that is verified already.
    check_bytes(&bytes, meta, role)?;
    let file = accept::<T>(bytes, role, authority)?;
    let version = file.content().version();
    if version != meta.version {
        let detail = versions(version, meta.version, "its parent names");
        return Err(Reject::new(Code::VersionMismatch, role, detail));
    }
    if let Some(floor) = floor {
        check_floor(&file, floor, role)?;
    }
    Ok(file)
}

/// A file must not be older than the trusted one, nor another one of the same version.
pub(crate) fn check_floor<T: Role>(
    file: &Verified<T>,
    floor: &Verified<T>,
    role: &str,
) -> Result<(), Reject> {
    let found = (file.content().version(), file.payload());
    check_versions(found, (floor.content().version(), floor.payload()), role)
}

/// The same by versions, and by what is equal for equal content only.
pub(crate) fn check_versions<C: PartialEq>(
    (found, content): (u64, C),
    (trusted, known): (u64, C),
    role: &str,
) -> Result<(), Reject> {
    if found < trusted {
        let detail = versions(found, trusted, "below the trusted version");
        return Err(Reject::new(Code::VersionRollback, role, detail));
    }
    if found == trusted && content != known {
        let detail = format!("version {found} is trusted already, with different content");
        return Err(Reject::new(Code::SameVersion, role, detail));
    }
    Ok(())
}

/// The SHA-256 of the file that was found to be the one that `meta` names, where that lists it.
pub(crate) fn known_sha256(meta: &MetaFile) -> Option<[u8; 32]> {
    meta.hashes.as_ref()?.sha256
}

fn check_bytes(bytes: &[u8], meta: &MetaFile, role: &str) -> Result<(), Reject> {
    let found = bytes.len() as u64;
    if let Some(length) = meta.length.filter(|length| *length != found) {
        let detail = format!("{found} bytes, its parent lists {length}");
        return Err(Reject::new(Code::MetadataLength, role, detail));
    }
    match &meta.hashes {
        Some(hashes) if !hashes.match_bytes(bytes) => {
            let detail = "it does not have every hash that its parent lists, \
                          or none of a known function is listed";
            Err(Reject::new(Code::MetadataHash, role, detail))
        }
        _ => Ok(()),
    }
}
