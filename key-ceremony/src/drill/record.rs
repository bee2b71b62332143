//! What is written down in a drill: claims with the verifier's verdicts, and how it went.

use countersign_metadata::{Role, RoleType, Root, Signed, UtcTime, sha256};
use countersign_verifier::Reject;
use serde::Serialize;

use super::shape::{RoleShape, Shape};
use crate::error::CeremonyError;
use crate::words::fingerprint;

/// What came out of a drill.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct DrillReport {
    /// The drill's name.
    pub drill: String,
    /// What it plays.
    pub title: String,
    /// Whether every claim holds.
    pub passed: bool,
    /// Whether every device came back to the honest repository.
    pub recovered: bool,
    /// When the drill was held; everything after that is virtual time.
    pub held: String,
    /// The version of this software.
    pub software: String,
    /// The repository that was modelled.
    pub shape: ShapeFacts,
    /// What was played, what remains and what to do.
    pub facts: Facts,
    /// What was tried, in order.
    pub claims: Vec<Claim>,
    /// The recovery, step by step.
    pub recovery: Vec<Step>,
    /// What happened when, in virtual time.
    pub timeline: Vec<Moment>,
    /// The chain of Roots.
    pub roots: Vec<RootFacts>,
}

/// In words, for people who decide.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Facts {
    /// What was played.
    pub played: String,
    /// What the recovery cannot undo.
    pub remains: Vec<String>,
    /// What to do, and to prepare.
    pub to_do: Vec<String>,
    /// What the ceremony's policy says of the repository, and what could not be modelled.
    pub remarks: Vec<String>,
}

/// One thing that was tried, and what came of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Claim {
    /// Counted from 1.
    pub number: usize,
    /// When in the drill.
    pub phase: Phase,
    /// Whom it is about.
    pub side: Side,
    /// A sentence that is true if the claim holds.
    pub says: String,
    /// What was tried, technically.
    pub tried: String,
    /// Who decided: a device, or a tool.
    pub by: String,
    /// The verdict, or those with `or` between them, that makes the sentence true.
    pub expected: String,
    /// The verdict.
    pub verdict: Verdict,
    /// Whether they are the same.
    pub holds: bool,
}

/// A part of a drill.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Phase {
    /// Everything is as it should be.
    Before,
    /// The compromise.
    Attack,
    /// Back to a safe state.
    Recovery,
    /// What the compromise is still good for.
    After,
}

/// Whom a claim is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Side {
    /// What an attacker can do.
    AttackerCan,
    /// What an attacker cannot do.
    AttackerCannot,
    /// What honest devices and people see.
    Honest,
}

/// What somebody decided.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Verdict {
    /// `accepted`, `installs the honest image`, or a refusal: its stable name, and the role.
    pub text: String,
    /// The verifier's stable code, for a refusal by it.
    pub code: Option<u16>,
    /// The attack that a refusal stopped.
    pub attack: Option<String>,
    /// The particulars.
    pub detail: String,
}

/// One step of the recovery.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Step {
    /// Who does it.
    pub who: String,
    /// What.
    pub what: String,
    /// The command, with the keys where the example of a real repository has them.
    pub command: String,
}

/// A point in virtual time.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Moment {
    /// When.
    pub time: String,
    /// What.
    pub what: String,
}

/// A Root of the chain.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct RootFacts {
    /// Its version.
    pub version: u64,
    /// SHA-256 of the file, in hexadecimal.
    pub sha256: String,
    /// The fingerprint of what was signed, in words.
    pub words: String,
    /// When it expires.
    pub expires: String,
}

/// The repository that was modelled.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ShapeFacts {
    /// Where it was read; none for the example.
    pub like: Option<String>,
    /// Whether files are published under version and hash prefixes.
    pub consistent_snapshot: bool,
    /// `root: 2 of 3 keys, files valid for 365d`
    pub roles: Vec<String>,
}

impl Verdict {
    pub(super) fn accepted() -> Self {
        Self::plain("accepted", "")
    }

    pub(super) fn plain(text: &str, detail: impl Into<String>) -> Self {
        Self {
            text: text.into(),
            code: None,
            attack: None,
            detail: detail.into(),
        }
    }

    pub(super) fn refused(reject: &Reject) -> Self {
        let named = |reject: &Reject| match reject.role.as_str() {
            "" => reject.code.name().to_owned(),
            role => format!("{} ({role})", reject.code.name()),
        };
        let text = match &reject.cause {
            Some(cause) => format!("{} because {}", reject.code.name(), named(cause)),
            None => named(reject),
        };
        Self {
            text,
            code: Some(reject.code.number()),
            attack: Some(reject.attack().name().into()),
            detail: reject.to_string(),
        }
    }

    /// What a tool said: the name of its refusal, and of the first finding of a policy.
    pub(super) fn of_tool<T>(outcome: Result<T, &CeremonyError>) -> Self {
        match outcome {
            Ok(_) => Self::plain("done", ""),
            Err(CeremonyError::Policy { findings }) => {
                let names: Vec<&str> = findings.iter().map(|found| found.name.as_str()).collect();
                let texts: Vec<&str> = findings.iter().map(|found| found.text.as_str()).collect();
                Self::plain(&format!("policy: {}", names.join(", ")), texts.join("; "))
            }
            Err(error) => Self::plain(error.name(), error.to_string()),
        }
    }

    /// Whose image it is that a device would install.
    pub(super) fn of_image(outcome: &Result<Vec<u8>, Reject>, honest: &[u8], thief: &[u8]) -> Self {
        match outcome {
            Ok(bytes) if bytes == honest => Self::plain("installs the honest image", ""),
            Ok(bytes) if bytes == thief => Self::plain("installs the thief's image", ""),
            Ok(_) => Self::plain("installs another image", ""),
            Err(reject) => Self::refused(reject),
        }
    }
}

impl RootFacts {
    pub(super) fn of(file: &[u8]) -> Option<Self> {
        let signed = Signed::<Root>::parse(file.to_vec()).ok()?;
        let words = fingerprint(signed.payload().as_bytes());
        let root = signed.decode_unverified().ok()?;
        Some(Self {
            version: root.version(),
            sha256: hex::encode(sha256(file)),
            words,
            expires: root.expires().to_string(),
        })
    }
}

impl ShapeFacts {
    pub(super) fn of(shape: &Shape) -> Self {
        let line = |name: &str, role: RoleShape| {
            format!(
                "{name}: {} of {}, files valid for {}",
                role.threshold, role.keys, role.expires
            )
        };
        let top = RoleType::ALL.map(|kind| line(kind.name(), shape.role(kind)));
        let delegated = shape.delegations.iter();
        let delegated = delegated.map(|role| line(&format!("delegated {}", role.name), role.role));
        Self {
            like: shape.like.as_ref().map(|path| path.display().to_string()),
            consistent_snapshot: shape.consistent_snapshot,
            roles: top.into_iter().chain(delegated).collect(),
        }
    }
}

/// What is written down while a drill goes on.
#[derive(Debug, Default)]
pub(super) struct Record {
    pub(super) claims: Vec<Claim>,
    pub(super) timeline: Vec<Moment>,
    pub(super) facts: Facts,
    pub(super) recovered: bool,
    phase: Option<Phase>,
}

/// Something to try, with the verdict that makes `says` true.
#[derive(Debug, Clone, Copy)]
pub(super) struct Trial<'a> {
    pub(super) side: Side,
    pub(super) says: &'a str,
    pub(super) tried: &'a str,
    /// As [`Verdict::text`]; several with ` or ` between them.
    pub(super) expect: &'a str,
}

impl Record {
    /// Begins a part of the drill.
    pub(super) fn begin(&mut self, phase: Phase, now: UtcTime, what: &str) {
        self.phase = Some(phase);
        self.moment(now, what);
    }

    pub(super) fn moment(&mut self, now: UtcTime, what: &str) {
        self.timeline.push(Moment {
            time: now.to_string(),
            what: what.into(),
        });
    }

    /// Writes down what came of a trial. Whether it came out as it should.
    pub(super) fn judge(&mut self, trial: Trial<'_>, by: &str, verdict: Verdict) -> bool {
        let holds = trial.expect.split(" or ").any(|text| verdict.text == text);
        self.claims.push(Claim {
            number: self.claims.len() + 1,
            phase: self.phase.unwrap_or(Phase::Before),
            side: trial.side,
            says: trial.says.into(),
            tried: trial.tried.into(),
            by: by.into(),
            expected: trial.expect.into(),
            holds,
            verdict,
        });
        holds
    }
}
