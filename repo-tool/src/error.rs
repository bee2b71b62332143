//! What can go wrong, as facts. Each has a stable name for scripts; the text says what happened
//! and what to do.

mod codes;

use std::io;
use std::path::{Path, PathBuf};

use countersign_metadata::{MetadataError, UnsafePath, UtcTime};
use countersign_signing::SignError;

/// Why an operation on a repository was refused or failed. Nothing was half-done: what had been
/// written before is unreferenced, and the next run goes on from there.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RepoError {
    /// No `repo.toml`.
    #[error("{} is not a repository: it has no repo.toml; run 'repo-tool init' there, or name another folder with --repo", folder.display())]
    NotARepository {
        /// The folder.
        folder: PathBuf,
    },
    /// Something is in the way of a file that must not be replaced.
    #[error("{} already exists and is never overwritten; remove it or choose another name", path.display())]
    AlreadyExists {
        /// The file or folder.
        path: PathBuf,
    },
    /// Another process works on the same repository.
    #[error("{} is in use by another repo-tool; wait for it to end and try again", path.display())]
    Locked {
        /// The lock file.
        path: PathBuf,
    },
    /// `repo.toml` is not what it should be.
    #[error("{}: {what}", path.display())]
    Policy {
        /// The file.
        path: PathBuf,
        /// What is wrong, with the line where there is one.
        what: String,
    },
    /// The operating system refused.
    #[error("cannot {action} {}: {source}", path.display())]
    Io {
        /// What was tried.
        action: &'static str,
        /// On which file.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// The disk is full. Clients still see what was published before.
    #[error("disk full while writing {}; clients accept what is published, and nothing is lost: free some space and run the same command again", path.display())]
    DiskFull {
        /// The file that did not fit.
        path: PathBuf,
    },
    /// A metadata file is not what it should be.
    #[error("{file}: {source}")]
    Metadata {
        /// Which file.
        file: String,
        /// What is wrong with it.
        source: MetadataError,
    },
    /// A target name that clients could not store.
    #[error("{0}; choose another name with --name")]
    UnsafeName(#[from] UnsafePath),
    /// A name that no file system could hold behind its hash.
    #[error(
        "the last part of {name:?} is longer than 126 bytes, too long to be published as HASH.NAME; choose a shorter one with --name"
    )]
    NameTooLong {
        /// The name.
        name: String,
    },
    /// A name that has more than one spelling in Unicode.
    #[error(
        "the name {name:?} is not in Unicode normal form NFC, so it would not be equal to itself typed elsewhere; write it as {nfc:?}"
    )]
    NotNfc {
        /// The name.
        name: String,
        /// Its NFC spelling.
        nfc: String,
    },
    /// A role name that is not allowed.
    #[error("{name:?} cannot be a role's name: {why}")]
    RoleName {
        /// The name.
        name: String,
        /// The rule it breaks.
        why: &'static str,
    },
    /// No such role in the metadata.
    #[error("there is no role {role:?}; 'repo-tool delegation list' shows the delegated roles")]
    NoSuchRole {
        /// The name.
        role: String,
    },
    /// A delegation of that name exists.
    #[error(
        "there is a role {role:?} already; choose another name, or change it with 'delegation set'"
    )]
    RoleExists {
        /// The name.
        role: String,
    },
    /// A role's delegations do not allow what was asked for.
    #[error("cannot delegate from {role:?}: {why}")]
    Delegation {
        /// The delegating role.
        role: String,
        /// Why not.
        why: String,
    },
    /// No such image.
    #[error("there is no target {name:?}; 'repo-tool target list' shows them all")]
    NoSuchTarget {
        /// Its name.
        name: String,
    },
    /// The role is not trusted for the path, so clients would not find the image.
    #[error(
        "role {role:?} is not trusted for {name:?} by {by:?}; clients would never find it there: choose another name or role, or extend the delegation's paths"
    )]
    NotDelegated {
        /// The delegated role.
        role: String,
        /// The target's name.
        name: String,
        /// The role that delegates.
        by: String,
    },
    /// An image for hardware that the role is not trusted for.
    #[error(
        "role {role:?} is not trusted for hardware {hardware} by {by:?}, and {name:?} is for that: vehicles would never find it there; choose another role, or extend the delegation with 'delegation set --hardware-id'"
    )]
    NotForHardware {
        /// The delegated role.
        role: String,
        /// The target's name.
        name: String,
        /// The hardware identifier.
        hardware: String,
        /// The role that delegates.
        by: String,
    },
    /// What is said of an image is not what vehicles take.
    #[error("{name:?}: {source}; vehicles would refuse it: correct the options or the custom data")]
    ImageCustom {
        /// The target's name.
        name: String,
        /// What is wrong.
        source: MetadataError,
    },
    /// A release counter below that of the image's predecessor.
    #[error(
        "{name:?} has release counter {counter}, and {predecessor:?} for the same hardware {hardware} has {listed}: vehicles that have that one would refuse it; give a higher --release-counter, or --allow-lower-counter if no vehicle has it"
    )]
    ReleaseCounter {
        /// The target's name.
        name: String,
        /// Its release counter.
        counter: u64,
        /// The image that is listed.
        predecessor: String,
        /// The release counter of that one.
        listed: u64,
        /// A hardware identifier that both name.
        hardware: String,
    },
    /// The image changed while it was read.
    #[error("{} changed while it was being read; wait until whatever writes it has finished, then add it again", path.display())]
    ImageChanged {
        /// The file.
        path: PathBuf,
    },
    /// The image does not have the hash that was asked for.
    #[error("{} has the SHA-256 {found}, not {expected}, so it was not staged; find out what changed it, then add the file that was meant", path.display())]
    Sha256Mismatch {
        /// The file.
        path: PathBuf,
        /// What it has, in hexadecimal.
        found: String,
        /// What was asked for.
        expected: String,
    },
    /// Not a regular file.
    #[error("{} is not a regular file", path.display())]
    NotAFile {
        /// The path.
        path: PathBuf,
    },
    /// A file that is larger than what it is taken for can be.
    #[error("{} is longer than {limit} bytes, which no file of this kind is; nothing was read from it", path.display())]
    TooLarge {
        /// The path.
        path: PathBuf,
        /// The limit in bytes.
        limit: u64,
    },
    /// A file is to be written into a folder that does not exist.
    #[error("cannot write {}: there is no folder {}; make it first, or choose another name", path.display(), folder.display())]
    NoFolder {
        /// The file.
        path: PathBuf,
        /// The folder.
        folder: PathBuf,
    },
    /// The bytes of an image are not where they should be.
    #[error("the image {name:?} is missing: neither staged nor in {}; add it again with 'repo-tool target add'", looked.display())]
    ImageMissing {
        /// The target's name.
        name: String,
        /// Where it would have been.
        looked: PathBuf,
    },
    /// The bytes of an image are not those that the metadata lists.
    #[error("{} is not the image that the metadata lists as {name:?}; add it again with 'repo-tool target add'", path.display())]
    ImageDiffers {
        /// The target's name.
        name: String,
        /// The file.
        path: PathBuf,
    },
    /// An image is confidential and public at once.
    #[error("the image {name:?} (sha256 {sha256}) is {what}")]
    Confidential {
        /// The target's name.
        name: String,
        /// Its SHA-256.
        sha256: String,
        /// The conflict, and what to do.
        what: &'static str,
    },
    /// A `custom` file that is not a JSON object as metadata needs it.
    #[error("{}: custom data must be one JSON object without floats: {what}", path.display())]
    Custom {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        what: String,
    },
    /// A private key could not be used.
    #[error("key {uri}: {source}")]
    Key {
        /// Its URI.
        uri: String,
        /// Why not.
        source: SignError,
    },
    /// A key that was named to sign has nothing to sign.
    #[error(
        "key {uri} has nothing to sign: {}", match *nothing_staged {
            true => "nothing is staged",
            false => "no role that is staged asks for it now; 'repo-tool status' shows who has to \
                      sign (snapshot and timestamp follow once all targets roles are signed)",
        }
    )]
    NothingToSign {
        /// Its URI.
        uri: String,
        /// Whether there is nothing to sign at all.
        nothing_staged: bool,
    },
    /// A public key could not be read.
    #[error("key {key}: {why}")]
    PublicKey {
        /// Its file or URI.
        key: String,
        /// Why not, and what to do.
        why: String,
    },
    /// A key id that the role does not list, or more than one key it may stand for.
    #[error("{role} has {} key whose id begins with {id:?}; 'repo-tool root show' lists the keys", if *several { "more than one" } else { "no" })]
    KeyId {
        /// The role.
        role: String,
        /// The id or its beginning.
        id: String,
        /// Whether several match.
        several: bool,
    },
    /// Files that not enough keys have signed yet.
    #[error("not enough signatures yet:{}", list(missing))]
    Incomplete {
        /// One line for each role: who must still sign.
        missing: Vec<String>,
    },
    /// A threshold above the number of a role's usable keys.
    #[error(
        "{role} needs {threshold} signatures but has only {keys} usable key{}, so it can never be signed; add keys or lower the threshold first",
        if *keys == 1 { "" } else { "s" }
    )]
    Unreachable {
        /// The role.
        role: String,
        /// What is asked for.
        threshold: u32,
        /// How many different keys there are.
        keys: usize,
    },
    /// A file that clients would refuse as expired.
    #[error("{role} version {version} expired at {expires}; {}", renew(role))]
    Expired {
        /// The role.
        role: String,
        /// Its version.
        version: u64,
        /// When it expired.
        expires: UtcTime,
    },
    /// A role must be signed by keys that are leaving it, and these have not signed.
    #[error(
        "{role} changes its keys, and the outgoing keys have not signed the file that leads over. If they can still sign: make them available (a staged file: run 'repo-tool sign'). If they cannot: {}; clients that are between two requests then are refused once and succeed on their next try", match wait {
            Some(until) => format!("wait until {until}, when no client needs them any more, and run the same command again. If that is too late, add --accept-window"),
            None => "run 'repo-tool publish --accept-window'".to_owned(),
        }
    )]
    OutgoingKeys {
        /// The role.
        role: String,
        /// When the way over ends and they are not needed any more, if only it is under way.
        wait: Option<UtcTime>,
    },
    /// The verifier, walking the new tree as a client would, refused it. Nothing was published.
    #[error("a client would refuse the new repository, so it was not published ({walk}): {what}")]
    Refused {
        /// As which client.
        walk: &'static str,
        /// What the verifier said.
        what: String,
    },
    /// A staged file that another publish has overtaken.
    #[error(
        "the staged {role} has version {staged}, but version {published} with other content is published already; run 'repo-tool discard {role}' and make the change again"
    )]
    Overtaken {
        /// The role.
        role: String,
        /// The staged version.
        staged: u64,
        /// The published version.
        published: u64,
    },
    /// Nothing is published yet.
    #[error(
        "nothing has been published from here yet; run 'repo-tool sign' and 'repo-tool publish' first"
    )]
    NothingPublished,
    /// A role that is not staged.
    #[error("nothing is staged for {role:?}; 'repo-tool status' shows what is")]
    NotStaged {
        /// The role.
        role: String,
    },
    /// A Root that cannot follow.
    #[error("{file} cannot become the next root: {why}")]
    RootImport {
        /// The file.
        file: String,
        /// Why not.
        why: String,
    },
    /// A signing request or a file of signatures that is not what it should be.
    #[error("{}: {what}", path.display())]
    Exchange {
        /// The file.
        path: PathBuf,
        /// What is wrong, and what to do.
        what: String,
    },
    /// Arguments that make no sense together.
    #[error("{0}")]
    Usage(String),
    /// The published tree has faults.
    #[error("the published tree has {faults} faults")]
    Faulty {
        /// How many.
        faults: usize,
    },
}

impl RepoError {
    pub(crate) fn io(action: &'static str, path: &Path, source: io::Error) -> Self {
        let path = path.to_owned();
        match source.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => Self::DiskFull { path },
            _ => Self::Io {
                action,
                path,
                source,
            },
        }
    }

    pub(crate) fn metadata(file: impl Into<String>, source: MetadataError) -> Self {
        Self::Metadata {
            file: file.into(),
            source,
        }
    }
}

fn list(lines: &[String]) -> String {
    lines.iter().map(|line| format!("\n  {line}")).collect()
}

/// What to do when a role has expired.
pub(crate) fn renew(role: &str) -> String {
    match role {
        "root" => {
            "give it a new date with 'repo-tool root set-expiry', then sign and publish".into()
        }
        "timestamp" | "snapshot" => "run 'repo-tool refresh'".into(),
        _ => format!("run 'repo-tool renew {role}', then sign and publish"),
    }
}
