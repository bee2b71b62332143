//! What holds for a whole session.

use alloc::string::String;
use alloc::sync::Arc;

use countersign_metadata::{Hashes, Role, RoleType, Targets, Timestamp, UtcTime, Verified};

use crate::limits::Limits;
use crate::link;
use crate::reject::{Code, Reject};
use crate::uptane::{self, Vehicle};

/// The time, the budgets and the repository's name, fixed when a session starts (TUF 5.1).
#[derive(Debug, Clone)]
pub struct Context {
    /// Fixed update start time.
    pub now: UtcTime,
    /// Budgets.
    pub limits: Limits,
    /// The repository's name in refusals.
    pub repository: String,
    /// Whose rules hold.
    pub profile: Profile,
    /// Whether an outline of top-level Targets is kept and used, so that a file that is trusted already need not be
    /// read again: for a store that answers [`Step::LoadPart`](crate::Step::LoadPart).
    pub outlines: bool,
}

/// Whose rules hold, where TUF and Uptane differ.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Profile {
    /// TUF 1.0.34.
    Tuf,
    /// Uptane's Image repository.
    Image,
    /// Uptane's Image repository out of an offline bundle (PURE-2): no Timestamp is asked for,
    /// and a Snapshot does not expire.
    Offline,
    /// Uptane's Director, for this vehicle.
    Director(Arc<Vehicle>),
}

impl Profile {
    /// What has to hold of any online file before it is saved.
    pub(crate) fn check<T: Role>(&self, file: &T, role: &str) -> Result<(), Reject> {
        match self {
            Self::Tuf | Self::Image | Self::Offline => Ok(()),
            Self::Director(vehicle) => vehicle.check_vin(file, role),
        }
    }

    /// What has to hold of Timestamp besides: for Uptane it lists hashes of Snapshot (5.2.5),
    /// which TUF leaves to the repository.
    pub(crate) fn check_timestamp(&self, timestamp: &Timestamp) -> Result<(), Reject> {
        let hashes = timestamp.snapshot.hashes.as_ref();
        match self {
            Self::Image | Self::Director(_) if !hashes.is_some_and(Hashes::any_known) => {
                let detail = "it lists no hash of Snapshot that is known here";
                Err(Reject::new(
                    Code::Malformed,
                    RoleType::Timestamp.name(),
                    detail,
                ))
            }
            _ => Ok(()),
        }
    }

    /// What has to hold of top-level Targets besides.
    pub(crate) fn check_targets(&self, targets: &Targets) -> Result<(), Reject> {
        match self {
            Self::Tuf | Self::Image | Self::Offline => Ok(()),
            Self::Director(vehicle) => uptane::check_targets(targets, vehicle),
        }
    }

    /// A fetched file of the trusted version. TUF 5.4.3.1 has a Timestamp discarded whatever it
    /// says; for Uptane other content under a trusted version is refused in every role.
    pub(crate) fn check_same_version<T: Role>(
        &self,
        file: &Verified<T>,
        trusted: &Verified<T>,
        role: &str,
    ) -> Result<(), Reject> {
        match self {
            Self::Tuf => Ok(()),
            Self::Image | Self::Offline | Self::Director(_) => {
                link::check_floor(file, trusted, role)
            }
        }
    }
}

impl Context {
    /// At `now`, with the default budgets and a repository without a name.
    pub fn new(now: UtcTime) -> Self {
        Self {
            now,
            limits: Limits::default(),
            repository: String::new(),
            profile: Profile::Tuf,
            outlines: false,
        }
    }
}
