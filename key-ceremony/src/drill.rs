//! Compromise drills: an attack on a copy, the recovery, and the proof by the real verifier.
//!
//! A drill builds a repository with throw-away keys in a temporary sandbox, in the shape of a real
//! one if asked, plays a compromise against devices in memory that decide with the real verifier,
//! recovers with the ceremony and the repository tool as one would in earnest, and writes down
//! what each side could do. Time is virtual: nothing waits.

mod client;
mod fast_forward;
mod like;
mod lost_root;
mod mirror;
mod names;
mod page;
mod play;
mod publisher;
mod record;
mod shape;
mod stage;
mod stolen_online;
mod stolen_root;
mod stolen_supplier;
mod stolen_targets;
mod story;
#[cfg(test)]
mod tests;

use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use countersign_metadata::UtcTime;

use crate::error::CeremonyError;
use crate::files::{self, Existing};

use self::play::Play;
use self::stage::Stage;

pub use self::record::{
    Claim, DrillReport, Facts, Moment, Phase, RootFacts, ShapeFacts, Side, Step, Verdict,
};
pub use self::shape::{DelegationShape, RoleShape, Shape};

/// A compromise to play.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Drill {
    /// A root key is gone.
    LostRootKey,
    /// Root keys are stolen, but fewer than must sign.
    StolenRootKey,
    /// The keys that sign Targets are stolen.
    StolenTargetsKey,
    /// The Timestamp and Snapshot keys are stolen and used to push versions far ahead.
    FastForward,
    /// The key of a delegated role is stolen.
    StolenSupplierKey,
    /// Targets, Snapshot and Timestamp keys are stolen together.
    StolenOnlineKeys,
}

impl Drill {
    /// All, in the order in which they are held.
    pub const ALL: [Self; 6] = [
        Self::LostRootKey,
        Self::StolenRootKey,
        Self::StolenTargetsKey,
        Self::FastForward,
        Self::StolenSupplierKey,
        Self::StolenOnlineKeys,
    ];

    /// The name on the command line and in file names.
    pub fn name(self) -> &'static str {
        match self {
            Self::LostRootKey => "lost-root-key",
            Self::StolenRootKey => "stolen-root-key",
            Self::StolenTargetsKey => "stolen-targets-key",
            Self::FastForward => "fast-forward",
            Self::StolenSupplierKey => "stolen-supplier-key",
            Self::StolenOnlineKeys => "stolen-online-keys",
        }
    }

    /// What it plays, as a title.
    pub fn title(self) -> &'static str {
        match self {
            Self::LostRootKey => "A root key is lost",
            Self::StolenRootKey => "Root keys are stolen, below the threshold",
            Self::StolenTargetsKey => "The targets key is stolen",
            Self::FastForward => {
                "The timestamp and snapshot keys are stolen, and versions pushed ahead"
            }
            Self::StolenSupplierKey => "A supplier's key is stolen",
            Self::StolenOnlineKeys => "All keys of the publishing server are stolen",
        }
    }

    /// The drill with this name.
    ///
    /// # Errors
    /// [`DrillError::Unknown`], which lists the names.
    pub fn from_name(name: &str) -> Result<Self, DrillError> {
        let found = Self::ALL.into_iter().find(|drill| drill.name() == name);
        found.ok_or_else(|| DrillError::Unknown { name: name.into() })
    }

    fn play(self, play: &mut Play) -> Result<(), CeremonyError> {
        match self {
            Self::LostRootKey => lost_root::play(play),
            Self::StolenRootKey => stolen_root::play(play),
            Self::StolenTargetsKey => stolen_targets::play(play),
            Self::FastForward => fast_forward::play(play),
            Self::StolenSupplierKey => stolen_supplier::play(play),
            Self::StolenOnlineKeys => stolen_online::play(play),
        }
    }
}

/// The folder in a sandbox with the keys, the ceremonies and the repository.
const STAGE: &str = "stage";

/// What happens to the sandbox at the end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sandbox {
    /// It is removed, with its keys.
    Remove,
    /// It stays, for a closer look.
    Keep,
}

/// A drill that was held.
#[derive(Debug, Clone)]
pub struct Held {
    /// What came out.
    pub report: DrillReport,
    /// The Root files of the repository in the sandbox, version 1 first.
    pub roots: Vec<Vec<u8>>,
    /// Where the sandbox is, if it was kept.
    pub sandbox: Option<PathBuf>,
}

/// Holds `drill` on a repository of `shape` made for it, as if it began at `now`.
///
/// # Errors
/// Only when it cannot be held. What does not come out as it should is in the report.
pub fn hold(
    drill: Drill,
    shape: &Shape,
    sandbox: Sandbox,
    now: UtcTime,
) -> Result<Held, CeremonyError> {
    let folder = tempfile::Builder::new()
        .prefix("countersign-drill-")
        .permissions(Permissions::from_mode(0o700))
        .tempdir()
        .map_err(|error| CeremonyError::io("make a sandbox in", std::env::temp_dir(), error))?;
    let stage = Stage::build(&folder.path().join(STAGE), shape, now)?;
    let mut play = Play::begin(stage)?;
    drill.play(&mut play)?;
    let (report, roots) = play.end(drill, now);
    let sandbox = match sandbox {
        Sandbox::Keep => Some(folder.keep()),
        Sandbox::Remove => {
            let path = folder.path().to_owned();
            let removed = folder.close();
            removed.map_err(|error| CeremonyError::io("remove the sandbox", path, error))?;
            None
        }
    };
    Ok(Held {
        report,
        roots,
        sandbox,
    })
}

/// Refuses if a report of `drill` is in `folder` already.
///
/// # Errors
/// [`CeremonyError::Exists`]
pub fn check_unused(drill: Drill, folder: &Path) -> Result<(), CeremonyError> {
    let taken = outputs(drill, folder)
        .into_iter()
        .find(|path| path.symlink_metadata().is_ok());
    match taken {
        Some(path) => Err(CeremonyError::Exists { path }),
        None => Ok(()),
    }
}

impl Held {
    /// The repository's folder in the sandbox, if it was kept.
    pub fn repository(&self) -> Option<PathBuf> {
        let sandbox = self.sandbox.as_deref()?;
        Some(stage::repository_in(&sandbox.join(STAGE)))
    }

    /// Writes the report as a page and as JSON, and the Roots in a folder beside them.
    ///
    /// # Errors
    /// [`CeremonyError::Exists`], [`CeremonyError::Io`]
    pub fn write(&self, folder: &Path) -> Result<Vec<PathBuf>, CeremonyError> {
        let drill = Drill::from_name(&self.report.drill)?;
        check_unused(drill, folder)?;
        let [page, json, roots] = outputs(drill, folder);
        files::make_folder(&roots)?;
        for (number, root) in self.roots.iter().enumerate() {
            let path = roots.join(format!("{}.root.json", number + 1));
            files::write(&path, root, Existing::Keep)?;
        }
        let mut text = serde_json::to_vec_pretty(&self.report).unwrap_or_default();
        text.push(b'\n');
        files::write(&json, &text, Existing::Keep)?;
        files::write(&page, self.report.to_page().as_bytes(), Existing::Keep)?;
        Ok(vec![page, json, roots])
    }
}

/// The page, the JSON file and the folder of Roots.
fn outputs(drill: Drill, folder: &Path) -> [PathBuf; 3] {
    let name = drill.name();
    ["{}.html", "{}.json", "{}-roots"].map(|form| folder.join(form.replace("{}", name)))
}

/// Why a drill could not be held.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DrillError {
    /// There is no such drill.
    #[error("there is no drill {name:?}; the drills are {}", Drill::ALL.map(Drill::name).join(", "))]
    Unknown {
        /// What was asked for.
        name: String,
    },
    /// A repository cannot serve as the model.
    #[error("the drill cannot be modelled on the repository {}: {why}", folder.display())]
    Model {
        /// The repository's folder.
        folder: PathBuf,
        /// What is in the way, and what to do.
        why: String,
    },
    /// The attack could not be prepared.
    #[error(
        "the drill cannot go on: {0}. This says nothing about your repository; please report it"
    )]
    Stuck(String),
}

impl DrillError {
    /// A stable name for scripts.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Unknown { .. } => "drill-unknown",
            Self::Model { .. } => "drill-model",
            Self::Stuck(_) => "drill-stuck",
        }
    }

    pub(crate) fn stuck(error: impl std::fmt::Display) -> CeremonyError {
        Self::Stuck(error.to_string()).into()
    }
}
