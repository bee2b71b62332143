//! The Director's repository: Root, Timestamp, Snapshot and Targets (5.4.4.2 steps 2 to 5).

use alloc::collections::BTreeMap;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;

use countersign_metadata::uptane::{EcuSerial, Mapping};
use countersign_metadata::{Role, Targets, UtcTime, sha256};

use super::assignment::{Assignment, assignments};
use super::directed::{Installed, Verification};
use super::resolve::Resolve;
use super::vehicle::Vehicle;
use crate::context::{Context, Profile};
use crate::current::Current;
use crate::refresh::misuse;
use crate::refresh::{Followed, Session};
use crate::session::{Protocol, Reply, Step};
use crate::trusted::Trusted;

/// Follows the Director's repository. Ends with [`Director`].
///
/// It differs from a refresh of a TUF repository: every file names the vehicle it is for, Targets
/// does not delegate and names no ECU twice and no unknown one, and a file of a trusted version
/// with other content is refused whatever its role. All of that is checked before a file is saved.
#[derive(Debug)]
pub struct DirectorSession {
    session: Session,
    vehicle: Arc<Vehicle>,
}

impl DirectorSession {
    /// Goes on from the last Root, for `vehicle`, at the time and with the limits of `context`.
    pub fn new(followed: Followed, vehicle: Vehicle, context: Context) -> Self {
        let vehicle = Arc::new(vehicle);
        let context = Context {
            profile: Profile::Director(Arc::clone(&vehicle)),
            // All that it lists is for this vehicle, and is looked at.
            outlines: false,
            ..context
        };
        Self {
            session: Session::from_root(followed, context),
            vehicle,
        }
    }
}

impl Protocol for DirectorSession {
    type Output = Director;

    fn next(&mut self) -> Step<'_, Director> {
        let vehicle = &self.vehicle;
        self.session.next().map(|trusted| {
            let targets = trusted.targets().whole();
            let targets = targets.ok_or_else(|| misuse("a Director's Targets is always read"))?;
            let claims = Claims {
                vehicle: Arc::clone(vehicle),
                assignments: assignments(targets.content())
                    .map_err(|reject| reject.at(&trusted.context.repository))?,
                mark: Mark::of(targets),
                valid_until: trusted.valid_until(),
                repository: trusted.context.repository.clone(),
                verification: Verification::Full,
            };
            Ok(Director { claims })
        })
    }

    fn supply(&mut self, reply: Reply) {
        self.session.supply(reply);
    }
}

/// What the Director assigns, by its repository or by an offline bundle. Nothing of it may be
/// installed on the Director's word alone: [`Director::resolve`] asks the Image repository.
#[derive(Debug)]
pub struct Director {
    pub(super) claims: Claims,
}

/// What a Director says, in a form that the Image repository is asked about.
#[derive(Debug)]
pub(super) struct Claims {
    pub(super) vehicle: Arc<Vehicle>,
    pub(super) assignments: Vec<Assignment>,
    pub(super) mark: Mark,
    pub(super) valid_until: UtcTime,
    pub(super) repository: String,
    pub(super) verification: Verification,
}

/// Names one content of the Director's Targets. A vehicle keeps the mark of what it has processed
/// to the end, durably; the Image repository need not be asked about it again (5.4.4.2 steps 4
/// and 6).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Mark {
    /// Version of the Targets file.
    pub version: u64,
    /// SHA-256 of its signed content.
    pub digest: [u8; 32],
}

impl Mark {
    pub(super) fn of(targets: &Current<Targets>) -> Self {
        Self {
            version: targets.content().version(),
            digest: sha256(targets.verified().payload().as_bytes()),
        }
    }
}

impl Director {
    /// All that is assigned, to whichever ECU.
    pub fn assignments(&self) -> &[Assignment] {
        &self.claims.assignments
    }

    /// The mark of the Targets, or of the Offline Targets file.
    pub fn mark(&self) -> Mark {
        self.claims.mark
    }

    /// How the Image repository is to be followed, to be asked about this.
    pub fn image_profile(&self) -> Profile {
        match self.claims.verification {
            Verification::Offline => Profile::Offline,
            Verification::Full | Verification::Partial => Profile::Image,
        }
    }

    /// Looks for every image in the Image repository and compares (5.4.4.2 step 10). `image` has
    /// been followed as [`Director::image_profile`] says; `installed` is what was installed last, by
    /// ECU.
    pub fn resolve<'i>(
        self,
        image: &'i mut Trusted,
        mapping: &'i Mapping,
        installed: &'i BTreeMap<EcuSerial, Installed>,
    ) -> Resolve<'i> {
        Resolve::new(self.claims, image, mapping, installed)
    }
}
