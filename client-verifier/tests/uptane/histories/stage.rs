//! Both repositories and those who keep them.

use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

use countersign_metadata::uptane::{DirectorCustom, set_time_server};
use countersign_metadata::{TargetFile, TargetPath, UtcTime};

use super::model::{Entry, Model};
use super::workshop::Bundle;
use crate::keys::Signer;
use crate::world::repo::{Files, Repo};
use crate::world::{DIRECTOR, IMAGE, World, ecu_map, image};

/// What is made: the ECU and the hardware it is for, the role that lists it, and two filenames.
pub(super) struct Product {
    pub(super) ecu: &'static str,
    pub(super) kind: &'static str,
    pub(super) role: &'static str,
    pub(super) paths: [&'static str; 2],
}

pub(super) const PRODUCTS: [Product; 3] = [
    product("P1", "pcu-a", "targets", ["pcu/a.img", "pcu/b.img"]),
    product("S1", "brake-b", "supplier", ["brake/a.img", "brake/b.img"]),
    product("S2", "lamp-c", "targets", ["lamp/a.img", "lamp/b.img"]),
];

/// A repository and a role of it.
pub(super) type RoleOf = (&'static str, &'static str);

/// The keys that are rotated as a matter of course.
pub(super) const ROTATED: [RoleOf; 10] = [
    (DIRECTOR, "root"),
    (DIRECTOR, "timestamp"),
    (DIRECTOR, "snapshot"),
    (DIRECTOR, "targets"),
    (DIRECTOR, TIME),
    (IMAGE, "root"),
    (IMAGE, "timestamp"),
    (IMAGE, "snapshot"),
    (IMAGE, "targets"),
    (IMAGE, "supplier"),
];

pub(super) const TIME: &str = "time";
pub(super) const MALWARE: &str = "malware";

pub(super) type Entries = BTreeMap<String, Entry>;

/// See the module.
pub(super) struct Stage {
    pub(super) world: World,
    pub(super) model: Model,
    /// What the Image repository lists, by role.
    pub(super) listed: BTreeMap<&'static str, Entries>,
    pub(super) assigned: Entries,
    pub(super) stolen: BTreeMap<RoleOf, Signer>,
    /// All that was ever served.
    pub(super) past: BTreeMap<&'static str, Vec<Rc<Files>>>,
    pub(super) contents: BTreeSet<String>,
    /// Of the Offline Snapshot and of Offline Targets.
    pub(super) offline_keys: [Signer; 2],
    pub(super) bundles: Vec<Bundle>,
    /// The highest release counter that anybody claimed.
    pub(super) top: u64,
}

impl Stage {
    pub(super) fn new() -> Self {
        let mut world = World::new();
        let offline_keys = [(); 2].map(|()| world.director.new_key());
        let mut stage = Self {
            world,
            model: Model::default(),
            listed: BTreeMap::new(),
            assigned: Entries::new(),
            stolen: BTreeMap::new(),
            past: BTreeMap::new(),
            contents: BTreeSet::from([MALWARE.into()]),
            offline_keys,
            bundles: Vec::new(),
            top: 5,
        };
        for site in [DIRECTOR, IMAGE] {
            stage.record(site, &["root"]);
        }
        stage.name_offline_keys();
        for product in 0..PRODUCTS.len() {
            stage.release(product, 0, stage.top);
            stage.assign(product, Some(0));
        }
        stage.publish();
        stage.pack();
        stage
    }

    pub(super) fn now(&self) -> UtcTime {
        self.world.now
    }

    /// A new image under this name; it is not yet assigned to anybody.
    pub(super) fn release(&mut self, product: usize, slot: usize, counter: u64) {
        let Product {
            kind, role, paths, ..
        } = PRODUCTS[product];
        let path = paths[slot].to_string();
        let content = format!("{path} {}", self.contents.len());
        self.contents.insert(content.clone());
        self.top = self.top.max(counter);
        let entry = Entry {
            path: path.clone(),
            content,
            kind,
            counter,
            ecu: None,
        };
        self.listed.entry(role).or_default().insert(path, entry);
    }

    /// The counter of the newest release of a product.
    pub(super) fn counter(&self, product: usize) -> u64 {
        let slots = PRODUCTS[product].paths.iter();
        let listed = slots.filter_map(|path| self.listed(path));
        listed.map(|entry| entry.counter).max().unwrap_or(0)
    }

    /// The Director assigns the image of this name as it is listed now, or none.
    pub(super) fn assign(&mut self, product: usize, slot: Option<usize>) {
        let Product { ecu, paths, .. } = PRODUCTS[product];
        self.assigned.retain(|_, entry| entry.ecu != Some(ecu));
        let entry = slot.and_then(|slot| self.listed(paths[slot]).cloned());
        if let Some(entry) = entry {
            let ecu = Some(ecu);
            self.assigned
                .insert(entry.path.clone(), Entry { ecu, ..entry });
        }
    }

    /// What is assigned to an ECU.
    pub(super) fn assigned(&self, ecu: &str) -> Option<&Entry> {
        self.assigned.values().find(|entry| entry.ecu == Some(ecu))
    }

    /// Publishes everything.
    pub(super) fn publish(&mut self) {
        for (role, entries) in &self.listed {
            self.world.image.targets(role).targets = files(entries);
        }
        self.world.director.targets("targets").targets = files(&self.assigned);
        for site in [DIRECTOR, IMAGE] {
            if self.repo(site).root.header.expires <= self.repo(site).in_hours(60 * 24) {
                self.world.repo(site).publish_root();
                self.record(site, &["root"]);
            }
        }
        // What was published before is in `past`.
        for site in [DIRECTOR, IMAGE] {
            let files = &mut self.world.repo(site).files;
            files.retain(|name, _| name.ends_with("root.json"));
        }
        self.world.publish();
        let roles = |site| match site {
            DIRECTOR => &["timestamp", "snapshot", "targets"][..],
            _ => &["timestamp", "snapshot", "targets", "supplier"],
        };
        for site in [DIRECTOR, IMAGE] {
            self.record(site, roles(site));
            self.remember(site, self.repo(site).files.clone());
        }
    }

    /// Whoever keeps this key makes another one, and whoever names it names the new one.
    pub(super) fn rotate(&mut self, keys: &[RoleOf]) {
        for site in [DIRECTOR, IMAGE] {
            let of_site = keys.iter().filter(|(of, _)| *of == site);
            let mut roles: Vec<&str> = of_site.map(|(_, role)| *role).collect();
            if roles.is_empty() {
                continue;
            }
            if roles.contains(&TIME) {
                self.world.time_key = self.world.director.new_key();
                let key = self.world.time_key.key.clone();
                set_time_server(&mut self.world.director.root, [key], 1);
            }
            if roles.contains(&"supplier") {
                self.world.image.keys.remove("supplier");
                self.world.image.add_key("supplier");
                self.world
                    .delegate("targets", &[("supplier", &["brake/*"])]);
            }
            roles.retain(|role| ![TIME, "supplier"].contains(role));
            if !roles.is_empty() || site == DIRECTOR {
                self.world.repo(site).rotate(&roles);
                self.record(site, &["root"]);
            }
        }
    }

    /// The Image repository was lost and is an old backup again, so many versions ago, with new
    /// keys for Snapshot and Timestamp. What is missing in the backup is released again at once.
    pub(super) fn restore(&mut self, back: u64) {
        for role in ["timestamp", "snapshot", "targets", "supplier"] {
            let header = self.world.image.header(role);
            header.version = header.version.saturating_sub(back).max(1);
        }
        self.rotate(&[(IMAGE, "timestamp"), (IMAGE, "snapshot")]);
    }

    /// The attacks are noticed, and keys are rotated as `docs/release-engineer.md` has it: those
    /// that were stolen, and Snapshot's with Timestamp's. Then there is a new release of everything.
    pub(super) fn recover(&mut self) {
        let in_force = |(which, stolen): (&RoleOf, &Signer)| {
            (self.key(*which).key.id() == stolen.key.id()).then_some(*which)
        };
        let mut keys: Vec<_> = self.stolen.iter().filter_map(in_force).collect();
        for site in [DIRECTOR, IMAGE] {
            let online = [(site, "timestamp"), (site, "snapshot")];
            if online.iter().any(|key| keys.contains(key)) {
                keys.retain(|key| !online.contains(key));
                keys.extend(online);
            }
        }
        self.rotate(&keys);
        let next = self.top + 1;
        for product in 0..PRODUCTS.len() {
            self.release(product, 0, next);
            self.assign(product, Some(0));
        }
        self.publish();
    }

    /// The image that has these hashes.
    pub(super) fn image(&self, file: &TargetFile) -> String {
        let mut contents = self.contents.iter();
        let found = contents
            .find(|content| TargetFile::describing(content.as_bytes()).hashes == file.hashes);
        found.unwrap().clone()
    }

    pub(super) fn repo(&self, site: &str) -> &Repo {
        match site {
            DIRECTOR => &self.world.director,
            _ => &self.world.image,
        }
    }

    pub(super) fn key(&self, (site, role): (&str, &str)) -> &Signer {
        match role {
            TIME => &self.world.time_key,
            _ => &self.repo(site).keys[role][0],
        }
    }

    pub(super) fn listed(&self, path: &str) -> Option<&Entry> {
        self.listed.values().find_map(|entries| entries.get(path))
    }

    pub(super) fn remember(&mut self, site: &'static str, files: Files) -> Rc<Files> {
        let files = Rc::new(files);
        self.past.entry(site).or_default().push(Rc::clone(&files));
        files
    }
}

const fn product(
    ecu: &'static str,
    kind: &'static str,
    role: &'static str,
    paths: [&'static str; 2],
) -> Product {
    Product {
        ecu,
        kind,
        role,
        paths,
    }
}

pub(super) fn files(entries: &Entries) -> BTreeMap<TargetPath, TargetFile> {
    let files = entries.values().map(|entry| {
        let path = TargetPath::new(&entry.path).unwrap();
        (path, file(entry))
    });
    files.collect()
}

/// As a repository lists it.
fn file(entry: &Entry) -> TargetFile {
    let Some(ecu) = entry.ecu else {
        return image(&entry.content, entry.kind, entry.counter);
    };
    let custom = DirectorCustom::new(ecu_map(&[(ecu, entry.kind)]), entry.counter);
    TargetFile {
        custom: Some(custom.to_object()),
        ..TargetFile::describing(entry.content.as_bytes())
    }
}
