//! What decides about the Director's Targets in partial verification, whichever way its bytes come.

use alloc::boxed::Box;
use alloc::format;
use alloc::string::ToString;
use alloc::sync::Arc;

use countersign_metadata::uptane::{DirectorCustom, EcuSerial, HardwareId, OfflineName, Vin};
use countersign_metadata::{
    Authority, Role, RoleType, TargetFile, TargetPath, Targets, UtcTime, Verified, sha256,
};

use super::Partial;
use crate::chain::{Chain, KeyGroup, Recall, Rotations};
use crate::context::Context;
use crate::current::check_fresh;
use crate::image::ListedTarget;
use crate::link;
use crate::names::{RemoteName, StoreName};
use crate::refresh::Followed;
use crate::reject::{Code, Reject};
use crate::uptane::assignment::{Assignment, assignments};
use crate::uptane::directed::{Directed, Terms, Verification};
use crate::uptane::director::Mark;
use crate::uptane::offline::{authority_of, carried_assignments};
use crate::uptane::vehicle::{Ecu, Ecus, Vehicle};

const ROLE: &str = "targets";

/// For which ECU, at which time, and by which file.
#[derive(Debug)]
pub(super) struct Rules {
    pub(super) vehicle: Vehicle,
    pub(super) ecu: Ecu,
    pub(super) context: Context,
    pub(super) file: File,
}

/// Which file is followed.
#[derive(Debug)]
pub(super) enum File {
    /// The Director's Targets.
    Targets,
    /// The Offline Targets file of this name.
    Offline(OfflineName),
}

/// What is needed of a Root that is the last of its chain and fresh. The Root itself is let go: a
/// small device has better uses for its memory.
#[derive(Debug)]
pub(super) struct Anchor {
    pub(super) authority: Arc<Authority>,
    pub(super) version: u64,
    pub(super) rotations: Rotations,
    expires: UtcTime,
    consistent: bool,
}

/// What is needed of a file that those have signed whom the Root names.
#[derive(Debug)]
pub(super) struct Read {
    pub(super) mark: Mark,
    pub(super) expires: UtcTime,
    /// What it assigns to this ECU, or why nothing that it says counts.
    pub(super) own: Result<Option<Box<Own>>, Reject>,
}

/// An entry, as far as it is for this ECU.
#[derive(Debug)]
pub(super) struct Own {
    hardware_id: HardwareId,
    path: TargetPath,
    file: TargetFile,
    terms: Terms,
}

/// A file that is fresh and no step back.
#[derive(Debug)]
pub(super) struct Accepted {
    pub(super) mark: Mark,
    expires: UtcTime,
    own: Option<Box<Own>>,
}

/// Which file is gone by.
pub(super) enum Judged {
    /// The new one, once it is kept.
    New(Accepted),
    /// The one that is kept already: what came with a newer bundle (PURE-2).
    Known(Accepted),
}

impl Rules {
    pub(super) fn new(file: File, vin: Vin, ecu: Ecu, context: Context) -> Self {
        Self {
            vehicle: Vehicle {
                vin,
                ecus: Ecus::Own(ecu.clone()),
            },
            ecu,
            context,
            file,
        }
    }

    /// The Root has to be fresh, and to name who signs the file.
    #[inline(never)]
    pub(super) fn start(&self, followed: Followed) -> Result<Anchor, Reject> {
        let chain = followed.fresh(self.context.now)?;
        let authority = match self.file {
            File::Targets => chain.root.authority(RoleType::Targets),
            File::Offline(_) => authority_of(&chain, RoleType::Targets)?,
        };
        Ok(Anchor::of(chain, &authority))
    }

    pub(super) fn role(&self) -> &str {
        match &self.file {
            File::Targets => ROLE,
            File::Offline(name) => name.as_str(),
        }
    }

    pub(super) fn stored_as(&self) -> StoreName {
        match &self.file {
            File::Targets => StoreName::Targets,
            File::Offline(name) => StoreName::OfflineTargets(name.to_string()),
        }
    }

    pub(super) fn fetched_as(&self) -> RemoteName {
        RemoteName::Targets(self.role().into(), None)
    }

    /// What of a stored file is a floor: online, no more than its version and content.
    pub(super) fn floor(&self, stored: Read) -> Read {
        match self.file {
            File::Targets => Read {
                own: Ok(None),
                ..stored
            },
            File::Offline(_) => stored,
        }
    }

    /// Whether a stored file that was accepted under that Root is a floor.
    pub(super) fn recall(&self, anchor: &Anchor, accepted_under: Option<u64>) -> Recall {
        match self.file {
            File::Targets => anchor.rotations.recall(accepted_under, KeyGroup::Targets),
            // What the keys of today have not signed is no floor.
            File::Offline(_) => Recall::Keep,
        }
    }

    /// What is needed of a file that is all there.
    pub(super) fn read(&self, file: &Verified<Targets>) -> Read {
        let content = file.content();
        Read {
            mark: Mark {
                version: content.version(),
                digest: sha256(file.payload().as_bytes()),
            },
            expires: content.expires(),
            own: self.assigned(content),
        }
    }

    /// What it assigns to this ECU, if it is for this vehicle.
    fn assigned(&self, targets: &Targets) -> Result<Option<Box<Own>>, Reject> {
        let assignments = match &self.file {
            File::Targets => {
                self.vehicle.check_vin(targets, ROLE)?;
                assignments(targets)
            }
            File::Offline(name) => carried_assignments(targets, name, &self.vehicle),
        };
        let mut own = assignments?.into_iter().filter_map(|assignment| {
            let Assignment { path, file, custom } = assignment;
            Own::of(path, file, custom, &self.ecu.serial)
        });
        Ok(own.next())
    }

    /// 5.4.4.6, without step 2: there is no Snapshot to compare with.
    pub(super) fn judge(&self, file: Read, floor: Option<Read>) -> Result<Judged, Reject> {
        // Another vehicle's file says so, whatever its version.
        let own = file.own?;
        let is_carried = matches!(self.file, File::Offline(_));
        match floor {
            // PURE-2: what came with a newer bundle is used instead.
            Some(floor) if is_carried && floor.mark.version > file.mark.version => {
                self.check_fresh(floor.expires)?;
                return Ok(Judged::Known(Accepted {
                    mark: floor.mark,
                    expires: floor.expires,
                    own: floor.own?,
                }));
            }
            Some(floor) => {
                let found = (file.mark.version, file.mark.digest);
                let trusted = (floor.mark.version, floor.mark.digest);
                link::check_versions(found, trusted, self.role())?;
            }
            None => {}
        }
        self.check_fresh(file.expires)?;
        Ok(Judged::New(Accepted {
            mark: file.mark,
            expires: file.expires,
            own,
        }))
    }

    fn check_fresh(&self, expires: UtcTime) -> Result<(), Reject> {
        check_fresh(expires, self.role(), self.context.now)
    }

    /// What it says for this ECU.
    pub(super) fn conclude(&self, anchor: &Anchor, file: Accepted) -> Result<Partial, Reject> {
        let image = match file.own {
            Some(own) => Some(self.directed(anchor, file.expires, *own)?),
            None => None,
        };
        Ok(Partial {
            image,
            mark: file.mark,
        })
    }

    fn directed(&self, anchor: &Anchor, expires: UtcTime, own: Own) -> Result<Directed, Reject> {
        let (named, is) = (&own.hardware_id, &self.ecu.hardware_id);
        if named != is {
            let detail = format!("this ECU is {is}, and the image is for {named}");
            return Err(Reject::new(Code::HardwareMismatch, self.role(), detail));
        }
        let target = ListedTarget {
            path: own.path,
            file: TargetFile {
                custom: None,
                ..own.file
            },
            role: self.role().into(),
            repository: self.context.repository.clone(),
            consistent: anchor.consistent,
            valid_until: expires.min(anchor.expires),
        };
        let (vin, ecu) = (&self.vehicle.vin, self.ecu.clone());
        Ok(Directed::new(
            vin,
            ecu,
            target,
            own.terms,
            Verification::Partial,
        ))
    }
}

impl Own {
    /// `None` if the entry is not for this ECU.
    pub(super) fn of(
        path: TargetPath,
        file: TargetFile,
        custom: DirectorCustom,
        serial: &EcuSerial,
    ) -> Option<Box<Self>> {
        Some(Box::new(Self {
            hardware_id: custom.ecus.get(serial)?.clone(),
            path,
            file,
            terms: Terms::of(custom, serial),
        }))
    }
}

impl Anchor {
    fn of(chain: Chain, authority: &Authority) -> Self {
        let Chain { root, rotations } = chain;
        let content = root.content();
        let (version, expires) = (content.version(), content.expires());
        let consistent = content.consistent_snapshot;
        drop(root);
        // Copies, which go to where the Root was: what lives long would stand in the middle of a small
        // device's heap otherwise, and leave no room on either side for a part of Targets.
        Self {
            authority: Arc::new(authority.clone()),
            rotations: rotations.clone(),
            version,
            expires,
            consistent,
        }
    }
}
