//! What a director signs for updates that are carried to vehicles (PURE-2).

use std::collections::BTreeMap;

use countersign_metadata::json::Object;
use countersign_metadata::uptane::{OfflineCustom, OfflineName, Vin};
use countersign_metadata::{MetaFile, Snapshot, TargetFile, TargetPath, TargetsBuilder, UtcTime};
use countersign_signing::SignError;

use crate::keys::{OfflineKeys, signed};

/// The Offline Snapshot, which lists every Offline Targets file that there was.
#[derive(Debug, Default)]
pub struct Carrier {
    /// The last one that was signed.
    pub snapshot: Option<Snapshot>,
    /// How many versions to leave out. 0, except where versions may have been signed that were
    /// forgotten.
    pub skip: u64,
}

/// The signed files.
pub struct Carried {
    /// The Offline Snapshot.
    pub snapshot: Vec<u8>,
    /// The Offline Targets file.
    pub targets: Vec<u8>,
    /// The versions of both.
    pub versions: (u64, u64),
}

impl Carrier {
    /// The next version of the Offline Targets file `name`, for one vehicle.
    pub fn issue(
        &mut self,
        name: &OfflineName,
        (vin, orders): (&Vin, BTreeMap<TargetPath, TargetFile>),
        expires: UtcTime,
        keys: &OfflineKeys,
    ) -> Result<Carried, SignError> {
        let mut snapshot = match &self.snapshot {
            Some(last) => last.next(expires),
            None => Snapshot::new(expires),
        };
        snapshot.header.version = snapshot.header.version.saturating_add(self.skip);
        let last = snapshot.role(name.as_str()).map_or(0, |file| file.version);
        let version = last.saturating_add(self.skip).saturating_add(1);
        snapshot.set_role(name.as_str(), MetaFile::version(version));
        let mut targets = TargetsBuilder::new(expires);
        targets.header.version = version;
        targets.targets = orders;
        let custom = OfflineCustom {
            name: name.clone(),
            vins: Some(vec![vin.clone()]),
        };
        targets.extra = Object::from_iter([("custom".into(), custom.to_object().into())]);
        let carried = Carried {
            snapshot: signed(snapshot.to_payload(), &*keys.snapshot)?,
            targets: signed(targets.to_payload(), &*keys.targets)?,
            versions: (snapshot.header.version, version),
        };
        self.skip = 0;
        self.snapshot = Some(snapshot);
        Ok(carried)
    }
}
