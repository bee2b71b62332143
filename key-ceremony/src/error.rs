//! What can go wrong in a ceremony, with the facts and what to do about it.

use std::fmt;
use std::io;
use std::path::PathBuf;

use countersign_repo::RepoError;
use countersign_signing::SignError;

use crate::ceremony::Phase;
use crate::drill::DrillError;
use crate::pki::PkiError;
use crate::policy::Finding;

/// Why a command was refused or failed. Each text says what happened and what to do.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CeremonyError {
    /// The command line or a setting makes no sense.
    #[error("{0}")]
    Usage(String),
    /// The operating system refused.
    #[error("cannot {doing} {}: {source}", path.display())]
    Io {
        /// "read", "write"
        doing: &'static str,
        /// The file or folder.
        path: PathBuf,
        /// The system's word.
        source: io::Error,
    },
    /// A file is there already.
    #[error("{} exists and is not overwritten; choose another name, or look at what it is", path.display())]
    Exists {
        /// The file or folder.
        path: PathBuf,
    },
    /// The profile is not one.
    #[error("the profile {} cannot be used: {why}", path.display())]
    Profile {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        why: String,
    },
    /// The policy refuses, and nobody has accepted that.
    #[error("the policy refuses:{}", Findings(findings))]
    Policy {
        /// What for.
        findings: Vec<Finding>,
    },
    /// The ceremony is at another point.
    #[error("the ceremony is {have}: {hint}")]
    Phase {
        /// Where it is.
        have: Phase,
        /// What to do now.
        hint: String,
    },
    /// A file that travels cannot be used.
    #[error("{} cannot be used: {why}", path.display())]
    Exchange {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        why: String,
    },
    /// Something that a participant brought is not acceptable.
    #[error("{0}")]
    Refused(String),
    /// Two clocks disagree.
    #[error(
        "the clocks disagree: {theirs} on {machine}, {ours} here, and at most {tolerance} seconds \
         are tolerated. Set the wrong clock right and run that step again"
    )]
    Clock {
        /// Whose clock it is compared with.
        machine: String,
        /// The other clock.
        theirs: String,
        /// This machine's.
        ours: String,
        /// Seconds.
        tolerance: u32,
    },
    /// The key in the token is not the one that was asked for.
    #[error("{uri} is the key {found}, which {wanted}; {hint}")]
    WrongKey {
        /// The key's URI.
        uri: String,
        /// Its id.
        found: String,
        /// What it is compared with.
        wanted: String,
        /// What to do.
        hint: String,
    },
    /// Signatures are missing.
    #[error("{} signed yet: {}. {hint}", if missing.len() == 1 { "one has not" } else { "these have not" }, missing.join(", "))]
    Missing {
        /// Who can still sign.
        missing: Vec<String>,
        /// How many are needed, and what to do.
        hint: String,
    },
    /// Nobody has vouched for the transcript.
    #[error(
        "all signatures on the root are there. Now {needed} of these must vouch for the transcript: \
         {}. Carry {} to them; they run 'key-ceremony sign' on it, and their files are given to \
         'key-ceremony seal'",
        who.join(", "),
        request.display()
    )]
    Unsealed {
        /// How many must.
        needed: u32,
        /// Who can.
        who: Vec<String>,
        /// The request for them.
        request: PathBuf,
    },
    /// Too few keys of the previous Root take part: no client would follow (TUF 5.3.4).
    #[error(
        "{threshold} of the previous root's keys must sign, but only {present} of them take part; \
         list those that leave and are still at hand under roles.root.outgoing ('rotate' does that \
         unless --why is lost). Where they are truly gone, the chain of roots has ended, and \
         devices need a new first root"
    )]
    ChainEnds {
        /// How many must sign.
        threshold: u32,
        /// How many take part.
        present: usize,
    },
    /// The Root under the ceremony is not the newest.
    #[error(
        "the ceremony follows root version {planned}, but {where_} has version {found}: somebody \
         else published a root meanwhile. Plan again from the newest root"
    )]
    OldRoot {
        /// The version that the ceremony follows.
        planned: u64,
        /// Where the other one is.
        where_: String,
        /// Its version.
        found: u64,
    },
    /// The transcript or something beside it was changed.
    #[error("line {line} of the transcript: {why}")]
    Transcript {
        /// The line, counted from 1.
        line: u64,
        /// What is wrong with it.
        why: String,
    },
    /// Nobody confirmed.
    #[error("{0}")]
    NotConfirmed(String),
    /// A key failed.
    #[error(transparent)]
    Sign(#[from] SignError),
    /// The repository refused.
    #[error(transparent)]
    Repo(#[from] RepoError),
    /// The device PKI.
    #[error(transparent)]
    Pki(#[from] PkiError),
    /// A drill.
    #[error(transparent)]
    Drill(#[from] DrillError),
}

impl CeremonyError {
    /// A stable name for scripts.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Usage(_) => "usage",
            Self::Io { .. } => "io",
            Self::Exists { .. } => "exists",
            Self::Profile { .. } => "profile",
            Self::Policy { .. } => "policy",
            Self::Phase { .. } => "phase",
            Self::Exchange { .. } => "file",
            Self::Refused(_) => "refused",
            Self::Clock { .. } => "clock",
            Self::WrongKey { .. } => "wrong-key",
            Self::Missing { .. } | Self::Unsealed { .. } => "signatures-missing",
            Self::ChainEnds { .. } => "chain-ends",
            Self::OldRoot { .. } => "old-root",
            Self::Transcript { .. } => "transcript",
            Self::NotConfirmed(_) => "not-confirmed",
            Self::Sign(_) => "key",
            Self::Repo(error) => error.name(),
            Self::Pki(error) => error.name(),
            Self::Drill(error) => error.name(),
        }
    }

    /// 2 for wrong usage, 3 when signatures are missing, 1 for everything else.
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::Usage(_) => 2,
            Self::Missing { .. } | Self::Unsealed { .. } => 3,
            _ => 1,
        }
    }

    pub(crate) fn io(doing: &'static str, path: impl Into<PathBuf>, source: io::Error) -> Self {
        let path = path.into();
        Self::Io {
            doing,
            path,
            source,
        }
    }
}

struct Findings<'a>(&'a [Finding]);

impl fmt::Display for Findings<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for finding in self.0 {
            write!(f, "\n  {finding}")?;
        }
        let name = self.0.first().map_or("NAME", |finding| &finding.name);
        write!(
            f,
            "\nTo go on all the same, say why: --accept {name}=\"REASON\". The reason stands in \
             the transcript, or in the review of a bundle"
        )
    }
}
