//! Offline bundles (PURE-2), as a workshop carries them to vehicles.

use std::rc::Rc;

use countersign_metadata::uptane::{
    OfflineCustom, OfflineName, OfflineUpdates, set_offline_updates,
};
use countersign_metadata::{MetaFile, Snapshot, TargetsBuilder};

use super::facts::name_of;
use super::model::Fact;
use super::stage::{Stage, files};
use crate::keys::{by_id, role_keys, signed};
use crate::world::repo::Files;
use crate::world::{DIRECTOR, vin};

/// The name of the one Offline Targets file.
pub(super) const WORKSHOP: &str = "workshop";

/// What is carried to a vehicle: the files of both repositories, as they were then.
#[derive(Clone)]
pub(super) struct Bundle {
    pub(super) director: Rc<Files>,
    pub(super) image: Rc<Files>,
}

impl Stage {
    /// What the Director assigns goes into a bundle that a workshop carries to vehicles, now or
    /// later.
    pub(super) fn pack(&mut self) {
        let version = self.bundles.len() as u64 + 1;
        let expires = self.world.director.in_hours(90 * 24);
        let [snapshot_key, targets_key] = self.offline_keys.clone();
        let mut targets = TargetsBuilder::new(expires);
        targets.header.version = version;
        targets.targets = files(&self.assigned);
        let custom = OfflineCustom {
            name: OfflineName::new(WORKSHOP).unwrap(),
            vins: Some(vec![vin()]),
        };
        targets
            .extra
            .insert("custom".into(), custom.to_object().into());
        let mut snapshot = Snapshot::new(expires);
        snapshot.header.version = version;
        snapshot.set_role(WORKSHOP, MetaFile::version(version));
        let fact = |role: &str, key| Fact {
            repository: DIRECTOR,
            role: role.into(),
            version,
            expires: Some(expires),
            key: name_of(key),
            vehicle: Some(vin().to_string()),
            ..Fact::default()
        };
        let targets_fact = Fact {
            entries: self.assigned.values().cloned().collect(),
            ..fact("offline-targets", &targets_key)
        };
        let snapshot_fact = Fact {
            versions: [("offline-targets".into(), version)].into(),
            ..fact("offline-snapshot", &snapshot_key)
        };
        let targets = signed(targets.to_payload(), [&targets_key]);
        let snapshot = signed(snapshot.to_payload(), [&snapshot_key]);
        self.model.record(&targets, targets_fact);
        self.model.record(&snapshot, snapshot_fact);
        let mut director = self.world.director.files.clone();
        director.retain(|name, _| name.ends_with(".root.json"));
        director.insert("snapshot.json".into(), snapshot);
        director.insert(format!("{WORKSHOP}.json"), targets);
        self.bundles.push(Bundle {
            director: Rc::new(director),
            image: Rc::new(self.world.image.files.clone()),
        });
    }

    /// A bundle that was packed at some time.
    pub(super) fn bundle(&self, at: usize) -> Bundle {
        self.bundles[at % self.bundles.len()].clone()
    }

    pub(super) fn name_offline_keys(&mut self) {
        let [snapshot, targets] = &self.offline_keys;
        let offline = OfflineUpdates {
            keys: by_id([snapshot, targets]),
            snapshot: role_keys(std::slice::from_ref(snapshot)),
            targets: role_keys(std::slice::from_ref(targets)),
        };
        set_offline_updates(&mut self.world.director.root, &offline);
        self.world.director.publish_root();
        self.record(DIRECTOR, &["root"]);
    }
}
