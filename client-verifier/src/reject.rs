//! Refusals as facts with stable codes, shared by the command line, the vectors and reports.

use alloc::boxed::Box;
use alloc::format;
use alloc::string::{String, ToString};
use core::fmt::{self, Write as _};

use countersign_metadata::MetadataError;

/// Declares the codes once: variant, number, name, attack class, meaning.
macro_rules! codes {
    ($($variant:ident = $number:literal, $name:literal, $attack:ident, $meaning:literal;)*) => {
        /// Why something was refused. Numbers and names are never reused for something else.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[non_exhaustive]
        pub enum Code { $(#[doc = $meaning] $variant = $number,)* }

        impl Code {
            /// All codes, by number.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)*];

            /// The name in reports.
            pub fn name(self) -> &'static str {
                match self { $(Self::$variant => $name,)* }
            }

            /// What the code means, in a sentence.
            pub fn meaning(self) -> &'static str {
                match self { $(Self::$variant => $meaning,)* }
            }

            /// The attack that this refusal stops, where it names one.
            pub fn attack(self) -> Attack {
                match self { $(Self::$variant => Attack::$attack,)* }
            }
        }
    };
}

codes! {
    Malformed = 100, "malformed", None, "The file is not strict JSON or a field is missing or wrong.";
    WrongRoleType = 101, "wrong-role-type", MixAndMatch, "`_type` names another role than the one expected.";
    UnsupportedSpecVersion = 102, "unsupported-spec-version", None, "`spec_version` is of an unknown major version.";
    TooLarge = 103, "too-large", EndlessData, "A metadata file is larger than allowed.";
    NotCanonical = 104, "not-canonical", None, "The file is not in the one form that a device which cannot hold it reads.";
    SignatureThreshold = 200, "signature-threshold", ArbitrarySoftware, "Too few of the role's keys signed.";
    VersionRollback = 300, "version-rollback", Rollback, "The version is lower than one already trusted.";
    RootVersion = 301, "root-version", Rollback, "A Root that does not carry the next version.";
    VersionMismatch = 302, "version-mismatch", MixAndMatch, "The version is not the one that the parent file names.";
    SameVersion = 303, "same-version-different-content", MixAndMatch, "The version is trusted already, with different content.";
    SnapshotEntryRollback = 304, "snapshot-entry-rollback", Rollback, "Snapshot lists a Targets file with a lower version than before.";
    SnapshotEntryRemoved = 305, "snapshot-entry-removed", Rollback, "Snapshot no longer lists a Targets file that it listed.";
    TooManyRoots = 306, "too-many-roots", EndlessData, "The bound on Root versions in one session was reached; progress is saved.";
    ReleaseCounterRollback = 307, "release-counter-rollback", Rollback, "The image has a lower release counter than the one that was installed last.";
    Expired = 400, "expired", Freeze, "The file has expired.";
    TimeUnavailable = 401, "time-unavailable", Freeze, "There is no attestation of the current time that policy accepts.";
    TimeWentBack = 402, "time-went-back", Freeze, "The attested time is before a time that was attested earlier.";
    TimeReplayed = 403, "time-replayed", Freeze, "The attestation of the time does not answer this ECU's nonce.";
    MetadataHash = 500, "metadata-hash", MixAndMatch, "The file does not have the hash that its parent lists.";
    MetadataLength = 501, "metadata-length", MixAndMatch, "The file does not have the length that its parent lists.";
    RoleNotInSnapshot = 502, "role-not-in-snapshot", MixAndMatch, "Snapshot does not list this role.";
    MetadataMissing = 503, "metadata-missing", None, "The repository does not have the file.";
    DirectorImageMismatch = 504, "director-image-mismatch", ArbitrarySoftware, "The Director and the Image repository do not say the same of an image.";
    DirectorHasDelegations = 505, "director-has-delegations", ArbitrarySoftware, "The Director's Targets delegates, which it must not.";
    EcuRepeated = 506, "ecu-repeated", MixAndMatch, "The Director's Targets names one ECU for two images.";
    EcuUnknown = 507, "ecu-unknown", MixAndMatch, "The Director's Targets names an ECU that is not in this vehicle.";
    HardwareMismatch = 508, "hardware-mismatch", ArbitrarySoftware, "The image is for other hardware.";
    VehicleMismatch = 509, "vehicle-mismatch", Replay, "The Director's metadata is for another vehicle.";
    RepositoryMapping = 510, "repository-mapping", ArbitrarySoftware, "The repository mapping does not ask both repositories for this image.";
    OfflineNameMismatch = 511, "offline-name-mismatch", MixAndMatch, "The Offline Targets file is another one than its name in the bundle says.";
    TargetNotFound = 600, "target-not-found", None, "No role that is trusted for the path lists it.";
    UnsafeFilename = 601, "unsafe-filename", ArbitrarySoftware, "The target path could leave its directory.";
    ImageHash = 602, "image-hash", ArbitrarySoftware, "The image is not the one that was signed.";
    ImageTooLong = 603, "image-too-long", EndlessData, "The image goes on beyond its signed length.";
    NoKnownHash = 604, "no-known-hash", None, "The image is listed without a hash function known here.";
    ImageMissing = 605, "image-missing", None, "The repository does not have the image.";
    DecryptFailed = 606, "decrypt-failed", ArbitrarySoftware, "The encrypted image was changed, cut or put together from others.";
    KeyUnwrapFailed = 607, "key-unwrap-failed", ArbitrarySoftware, "The content key was not wrapped for this ECU, vehicle and image.";
    EncryptionRequired = 608, "encryption-required", Eavesdrop, "A confidential image is offered without encryption.";
    UnknownEncryption = 609, "unknown-encryption", Eavesdrop, "The image is encrypted by a method unknown here.";
    SlowRetrieval = 700, "slow-retrieval", SlowRetrieval, "The server was too slow and was given up.";
    FetchFailed = 701, "fetch-failed", None, "The repository could not be reached or answered with an error.";
    SecondaryUnreachable = 702, "secondary-unreachable", None, "A Secondary could not be reached or broke the protocol.";
    NoTrustedRoot = 800, "no-trusted-root", None, "The local store has no Root to start from.";
    RootConflict = 801, "root-conflict", None, "Another Root is trusted here already.";
    StoreFailed = 802, "store-failed", None, "The local store could not be read or written.";
    Misuse = 803, "misuse", None, "A session was answered with something it did not ask for.";
    Usage = 804, "usage", None, "The command was called wrongly, or something it needs here cannot be used.";
    InstallFailed = 900, "install-failed", None, "The installer failed; the installed image is as it was.";
    NotConfirmed = 901, "not-confirmed", None, "The new image did not prove itself, and the one before it is back.";
    PreconditionFailed = 902, "precondition-failed", None, "The ECU is not in a state to install now.";
}

impl Code {
    /// The stable number.
    pub fn number(self) -> u16 {
        self as u16
    }

    /// The code with this name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|code| code.name() == name)
    }
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// The attacks on software update systems that TUF and Uptane name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Attack {
    /// No particular one: a defect, or something that is simply not there.
    None,
    /// Offering older software than is known.
    Rollback,
    /// Hiding that there is newer software.
    Freeze,
    /// Combining files that were never published together.
    MixAndMatch,
    /// Offering software that nobody entitled signed.
    ArbitrarySoftware,
    /// Never ending a file.
    EndlessData,
    /// Never quite ending a transfer.
    SlowRetrieval,
    /// Reading what is confidential.
    Eavesdrop,
    /// Repeating what was once valid for somebody else or some other time.
    Replay,
}

impl Attack {
    /// All of them.
    pub const ALL: [Self; 9] = [
        Self::None,
        Self::Rollback,
        Self::Freeze,
        Self::MixAndMatch,
        Self::ArbitrarySoftware,
        Self::EndlessData,
        Self::SlowRetrieval,
        Self::Eavesdrop,
        Self::Replay,
    ];

    /// The one with this name.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|attack| attack.name() == name)
    }

    /// The name in reports.
    pub fn name(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Rollback => "rollback",
            Self::Freeze => "freeze",
            Self::MixAndMatch => "mix-and-match",
            Self::ArbitrarySoftware => "arbitrary-software",
            Self::EndlessData => "endless-data",
            Self::SlowRetrieval => "slow-retrieval",
            Self::Eavesdrop => "eavesdrop",
            Self::Replay => "replay",
        }
    }
}

/// A refusal: what was refused, why, and what led to it.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Reject {
    /// The stable code.
    pub code: Code,
    /// The role whose file was refused; empty where no role is concerned.
    pub role: String,
    /// The repository, by the name the session was given.
    pub repository: String,
    /// The particulars, for people.
    pub detail: String,
    /// For `target-not-found`: what ended the search, if something was refused.
    pub cause: Option<Box<Reject>>,
}

impl Reject {
    /// A refusal of something of `role`.
    pub fn new(code: Code, role: &str, detail: impl Into<String>) -> Self {
        Self {
            code,
            role: role.into(),
            repository: String::new(),
            detail: detail.into(),
            cause: None,
        }
    }

    /// The same refusal, caused by another one.
    #[must_use]
    pub fn because(mut self, cause: Reject) -> Self {
        self.cause = Some(Box::new(cause));
        self
    }

    /// The same refusal, of a named repository.
    #[must_use]
    pub fn at(mut self, repository: &str) -> Self {
        self.repository = repository.into();
        if let Some(cause) = self.cause.take() {
            self.cause = Some(Box::new(cause.at(repository)));
        }
        self
    }

    /// What is wrong with a metadata file, as a refusal.
    pub fn metadata(role: &str, error: MetadataError) -> Self {
        let code = match &error {
            MetadataError::WrongRoleType { .. } => Code::WrongRoleType,
            MetadataError::UnsupportedSpecVersion { .. } => Code::UnsupportedSpecVersion,
            MetadataError::SignatureThreshold { .. } => Code::SignatureThreshold,
            MetadataError::NotCanonical { .. } => Code::NotCanonical,
            MetadataError::TooLarge { .. } => Code::TooLarge,
            MetadataError::RootVersion { .. } => Code::RootVersion,
            _ => Code::Malformed,
        };
        Self::new(code, role, error.to_string())
    }

    /// The attack that was stopped: that of the cause, where there is one.
    pub fn attack(&self) -> Attack {
        match &self.cause {
            Some(cause) => cause.attack(),
            None => self.code.attack(),
        }
    }
}

impl fmt::Display for Reject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.code)?;
        if !self.role.is_empty() {
            write!(f, " ({})", Plain(&self.role))?;
        }
        write!(f, ": {}", Plain(&self.detail))?;
        match &self.cause {
            Some(cause) => write!(f, "; because: {cause}"),
            None => Ok(()),
        }
    }
}

impl core::error::Error for Reject {}

/// A text for a terminal and a log line. Role names and paths come out of files that a supplier
/// may write: they must not bring terminal commands, line breaks or a page of text.
struct Plain<'a>(&'a str);

/// Characters of one text shown; our own sentences around two names of usual length fit.
const LONGEST: usize = 600;

impl fmt::Display for Plain<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for character in self.0.chars().take(LONGEST) {
            match character {
                '"' | '\'' | '\\' => f.write_char(character)?,
                _ => write!(f, "{}", character.escape_debug())?,
            }
        }
        match self.0.chars().nth(LONGEST) {
            Some(_) => f.write_str("..."),
            None => Ok(()),
        }
    }
}

/// Formats a file's version for a detail text.
pub(crate) fn versions(found: u64, other: u64, relation: &str) -> String {
    format!("version {found}, {relation} {other}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::collections::BTreeSet;

    #[test]
    fn numbers_and_names_are_unique_and_names_resolve() {
        let numbers: BTreeSet<u16> = Code::ALL.iter().map(|code| code.number()).collect();
        let names: BTreeSet<&str> = Code::ALL.iter().map(|code| code.name()).collect();
        assert_eq!(
            (numbers.len(), names.len()),
            (Code::ALL.len(), Code::ALL.len())
        );
        for code in Code::ALL {
            assert_eq!(Code::from_name(code.name()), Some(*code));
        }
    }

    #[test]
    fn a_name_brings_no_terminal_commands() {
        let name = "a\u{1b}[2J\u{202e}\nforged line ".repeat(1000);
        let cause = Reject::new(Code::Expired, &name, name.as_str());
        let text = Reject::new(Code::TargetNotFound, &name, name.as_str())
            .because(cause)
            .to_string();
        assert!(text.len() < 8 * 1024, "{} bytes", text.len());
        assert!(!text.contains(['\u{1b}', '\n', '\u{202e}']), "{text}");
        let plain = Reject::new(Code::Expired, "größe", "it's \"late\" \\").to_string();
        assert_eq!(plain, "expired (größe): it's \"late\" \\");
    }

    #[test]
    fn the_attack_is_that_of_the_cause() {
        let cause = Reject::new(Code::Expired, "supplier", "expired");
        let reject = Reject::new(Code::TargetNotFound, "", "gone").because(cause);
        assert_eq!(reject.attack(), Attack::Freeze);
    }
}
