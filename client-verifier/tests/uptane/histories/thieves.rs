//! What thieves do with the keys they have stolen, and with files on their way to a vehicle.

use std::rc::Rc;

use countersign_metadata::Header;
use countersign_metadata::uptane::Nonce;

use super::model::Entry;
use super::stage::{Entries, MALWARE, PRODUCTS, Product, RoleOf, Stage, TIME, files};
use crate::keys::Signer;
use crate::world::repo::Files;
use crate::world::{DIRECTOR, IMAGE, attestation, other_vin, vin};

/// The keys that a thief can get at. Those of Root and of the Image repository's Targets are
/// offline.
pub(super) const WITHIN_REACH: [RoleOf; 7] = [
    (DIRECTOR, "timestamp"),
    (DIRECTOR, "snapshot"),
    (DIRECTOR, "targets"),
    (IMAGE, "timestamp"),
    (IMAGE, "snapshot"),
    (IMAGE, "supplier"),
    (DIRECTOR, TIME),
];

/// What is done to the files of a repository on their way to an ECU.
#[derive(Debug, Clone)]
pub(super) enum Delivery {
    Honest,
    /// As they were once before, with all Roots or without the later ones.
    Replayed(usize, Roots),
    /// One file is that of an earlier time.
    OneReplayed(usize, usize),
    /// One file does not arrive.
    Withheld(usize),
    Forged(Forgery),
    /// What the Director signed for another vehicle, with versions so far ahead. Also in place of
    /// the Image repository's files.
    ForAnother(u64),
}

#[derive(Debug, Clone, Copy)]
pub(super) enum Roots {
    All,
    AsTheyWere,
}

/// New files by a thief, who has stolen keys or makes do with his own.
#[derive(Debug, Clone)]
pub(super) struct Forgery {
    /// Of the repository's online roles and the supplier's: whose files.
    pub(super) roles: [bool; 3],
    pub(super) with: Keys,
    /// Added to the versions that are published.
    pub(super) ahead: u64,
    pub(super) lies: Vec<Lie>,
}

#[derive(Debug, Clone, Copy)]
pub(super) enum Keys {
    /// Those roles only whose key was stolen, perhaps long ago.
    Stolen,
    /// The thief's own, where none was stolen.
    AnyAtHand,
}

/// What a thief says about one product.
#[derive(Debug, Clone)]
pub(super) struct Lie {
    pub(super) product: usize,
    pub(super) what: Untruth,
    /// Added to the true release counter.
    pub(super) counter: u64,
}

#[derive(Debug, Clone, Copy)]
pub(super) enum Untruth {
    /// There is a new image.
    Malware,
    /// The image of this name has other content.
    Replaced(usize),
    /// An image that is signed for, of this product or another one, is the one to run.
    Signed(usize, usize),
    /// There is nothing to do.
    Nothing,
}

/// What an ECU is told about the time.
#[derive(Debug, Clone, Copy)]
pub(super) enum Clock {
    Honest,
    Silent,
    /// The answer to another nonce.
    Replayed,
    /// So many hours off, by the stolen key or the thief's own.
    Off(i64),
}

impl Stage {
    pub(super) fn steal(&mut self, keys: &[RoleOf]) {
        for which in keys {
            self.stolen.insert(*which, self.key(*which).clone());
        }
    }

    /// What an ECU gets that asks a repository.
    pub(super) fn deliver(&mut self, site: &'static str, delivery: &Delivery) -> Rc<Files> {
        let past = &self.past[site];
        let now = &self.repo(site).files;
        let pick = |at: usize| &past[at % past.len()];
        let role = |at: usize| of_thieves(site)[at % 3];
        let files = match delivery {
            Delivery::Honest => now.clone(),
            Delivery::Replayed(at, Roots::AsTheyWere) => return Rc::clone(pick(*at)),
            Delivery::Replayed(at, Roots::All) => {
                let mut files = Files::clone(pick(*at));
                let roots = now.iter().filter(|(name, _)| name.ends_with("root.json"));
                files.extend(roots.map(|(name, file)| (name.clone(), file.clone())));
                files
            }
            Delivery::OneReplayed(which, at) => {
                let mut files = now.clone();
                let name = format!("{}.json", role(*which));
                if let Some(old) = pick(*at).get(&name) {
                    let same = files.iter_mut().filter(|(of, _)| of.ends_with(&name));
                    same.for_each(|(_, file)| file.clone_from(old));
                }
                files
            }
            Delivery::Withheld(which) => {
                let mut files = now.clone();
                let name = format!("{}.json", role(*which));
                files.retain(|of, _| !of.ends_with(&name));
                files
            }
            Delivery::Forged(forgery) => self.forge(site, forgery),
            Delivery::ForAnother(ahead) => self.for_another(*ahead),
        };
        self.remember(site, files)
    }

    /// What an ECU gets that asks for the time with `nonce`.
    pub(super) fn tell_time(&self, clock: Clock, nonce: Nonce) -> Option<Vec<u8>> {
        let other = Nonce(nonce.0.map(|byte| !byte));
        match clock {
            Clock::Honest => Some(self.world.attestation(&[nonce])),
            Clock::Silent => None,
            Clock::Replayed => Some(self.world.attestation(&[other])),
            Clock::Off(hours) => {
                let time = self.now().plus_seconds(hours * 3600).unwrap();
                let own = own_key();
                let key = self.stolen.get(&(DIRECTOR, TIME)).unwrap_or(&own);
                Some(attestation(time, &[nonce], key))
            }
        }
    }

    fn forge(&mut self, site: &'static str, forgery: &Forgery) -> Files {
        let mut evil = self.repo(site).clone();
        let own = own_key();
        let mut roles = Vec::new();
        for (role, _) in of_thieves(site)
            .iter()
            .zip(forgery.roles)
            .filter(|(_, is)| *is)
        {
            let key = match (self.stolen.get(&(site, role)), forgery.with) {
                (Some(key), _) => key,
                (None, Keys::AnyAtHand) => &own,
                (None, Keys::Stolen) => continue,
            };
            evil.keys.insert((*role).into(), vec![key.clone()]);
            ahead(evil.header(role), forgery.ahead);
            roles.push(*role);
        }
        let mut entries = match site {
            DIRECTOR => self.assigned.clone(),
            _ => self.listed["supplier"].clone(),
        };
        for lie in &forgery.lies {
            self.lie(site, &mut entries, lie);
        }
        evil.targets(of_thieves(site)[2]).targets = files(&entries);
        evil.publish_only(&roles);
        self.record_of(site, &evil, &roles, (&entries, vin()));
        evil.files
    }

    fn lie(&mut self, site: &str, entries: &mut Entries, lie: &Lie) {
        let Product {
            ecu, kind, paths, ..
        } = PRODUCTS[lie.product];
        let ecu = (site == DIRECTOR).then_some(ecu);
        if ecu.is_some() {
            entries.retain(|_, entry| entry.ecu != ecu);
        }
        let (path, content, counter) = match lie.what {
            Untruth::Nothing => return,
            Untruth::Malware => (
                "brake/malware.img",
                MALWARE.into(),
                self.counter(lie.product),
            ),
            Untruth::Replaced(slot) => (paths[slot], MALWARE.into(), self.counter(lie.product)),
            Untruth::Signed(product, slot) => match self.listed(PRODUCTS[product].paths[slot]) {
                Some(entry) => (&*entry.path, entry.content.clone(), entry.counter),
                None => return,
            },
        };
        let entry = Entry {
            path: path.into(),
            content,
            kind,
            counter: counter + lie.counter,
            ecu,
        };
        self.top = self.top.max(entry.counter);
        entries.insert(entry.path.clone(), entry);
    }

    /// The Director's keys are the same for all vehicles.
    fn for_another(&mut self, so_far: u64) -> Files {
        let mut other = self.world.clone();
        other.name_vehicle(&other_vin());
        other.director.targets("targets").targets.clear();
        let roles = of_thieves(DIRECTOR);
        for role in roles {
            ahead(other.director.header(role), so_far);
        }
        other.director.publish_only(&roles);
        let made = (&Entries::new(), other_vin());
        self.record_of(DIRECTOR, &other.director, &roles, made);
        other.director.files
    }
}

/// The roles whose files a thief makes; the last of them names images.
fn of_thieves(site: &str) -> [&'static str; 3] {
    match site {
        DIRECTOR => ["timestamp", "snapshot", "targets"],
        _ => ["timestamp", "snapshot", "supplier"],
    }
}

/// The next version is so far ahead of this one.
fn ahead(header: &mut Header, so_far: u64) {
    header.version = header.version - 1 + so_far;
}

fn own_key() -> Signer {
    Signer::number(9999)
}
