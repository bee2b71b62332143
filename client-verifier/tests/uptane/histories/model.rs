//! What an ECU may keep and run, in plain maps: a second opinion that shares nothing with the
//! verifier. It knows every file that anybody signed, and what was written in it.

use std::collections::BTreeMap;

use countersign_metadata::UtcTime;

use crate::world::{DIRECTOR, IMAGE};

/// One image, as one file lists it or as one ECU runs it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Entry {
    pub(super) path: String,
    pub(super) content: String,
    pub(super) kind: &'static str,
    pub(super) counter: u64,
    /// Whom the Director assigns it to.
    pub(super) ecu: Option<&'static str>,
}

/// What a file says, and whose key signed it.
#[derive(Debug, Clone, Default)]
pub(super) struct Fact {
    pub(super) repository: &'static str,
    pub(super) role: String,
    pub(super) version: u64,
    pub(super) expires: Option<UtcTime>,
    pub(super) key: String,
    /// Which vehicle a file of the Director is for.
    pub(super) vehicle: Option<String>,
    pub(super) entries: Vec<Entry>,
    /// The key of each role that it names.
    pub(super) keys: BTreeMap<String, String>,
    /// The version of each role that it lists.
    pub(super) versions: BTreeMap<String, u64>,
}

/// The files that an ECU has stored, by role.
pub(super) type Shelf = BTreeMap<String, Vec<u8>>;

/// An ECU as the model sees it.
pub(super) struct Seen {
    pub(super) vehicle: String,
    pub(super) director: Shelf,
    pub(super) image: Shelf,
    pub(super) now: UtcTime,
}

#[derive(Debug, Clone, Default)]
pub(super) struct Model {
    facts: BTreeMap<Vec<u8>, Fact>,
}

/// Who was asked before an image was run.
#[derive(Debug, Clone, Copy)]
pub(super) enum Asked {
    /// The Director's Targets alone.
    Director,
    /// Both, as they were when an offline bundle was packed.
    Bundle,
    Both,
}

type Verdict = Result<(), String>;

/// A role that has to be fresh, and the one that lists its version.
type Role = (&'static str, Option<&'static str>);

const ONLINE: [Role; 3] = [
    ("timestamp", None),
    ("snapshot", Some("timestamp")),
    ("targets", Some("snapshot")),
];
const SUPPLIED: [Role; 1] = [("supplier", Some("snapshot"))];
const CARRIED: [Role; 2] = [
    ("offline-snapshot", None),
    ("offline-targets", Some("offline-snapshot")),
];

impl Model {
    pub(super) fn record(&mut self, file: &[u8], fact: Fact) {
        self.facts.insert(file.to_vec(), fact);
    }

    /// Nothing is kept that the keys of its role did not sign, as the Root in force names them,
    /// nor anything of the Director that is for another vehicle. `shelf` has the file already.
    pub(super) fn may_keep(
        &self,
        repository: &str,
        role: &str,
        shelf: &Shelf,
        vehicle: &str,
    ) -> Verdict {
        let fact = self.fact(shelf, role)?;
        demand(
            fact.repository == repository && fact.role == role,
            "it is another file",
        )?;
        if role == "root" {
            return Ok(());
        }
        self.in_force(shelf, role)?;
        let for_it = repository != DIRECTOR || fact.vehicle.as_deref() == Some(vehicle);
        demand(for_it, "it is for another vehicle")
    }

    /// While Root stays the same, no file goes back, nor is it another one of the same version.
    pub(super) fn may_replace(&self, old: &[u8], new: &[u8]) -> Verdict {
        let version = |file| self.facts.get(file).map(|fact| fact.version);
        let goes_on = version(new) > version(old) || new == old;
        demand(goes_on, "its version does not go on")
    }

    /// An ECU runs what the Director assigns to it and, where it can ask, the Image repository
    /// lists too.
    pub(super) fn may_run(&self, entry: &Entry, seen: &Seen, asked: Asked) -> Verdict {
        let (director, image) = match asked {
            Asked::Both => (&ONLINE[..], &ONLINE[..]),
            Asked::Bundle => (&CARRIED[..], &ONLINE[2..]),
            Asked::Director => (&[("targets", None)][..], &[][..]),
        };
        self.current(DIRECTOR, &seen.director, director, seen)?;
        let assigning = director[director.len() - 1].0;
        let assigned = self
            .fact(&seen.director, assigning)?
            .entries
            .contains(entry);
        demand(assigned, "nobody assigned it")?;
        if let Asked::Director = asked {
            return Ok(());
        }
        self.current(IMAGE, &seen.image, image, seen)?;
        if self.lists(&seen.image, "targets", entry)? {
            return Ok(());
        }
        let supplied = entry.path.starts_with("brake/");
        demand(supplied, "the Image repository does not list it")?;
        self.current(IMAGE, &seen.image, &SUPPLIED, seen)?;
        let listed = self.lists(&seen.image, "supplier", entry)?;
        demand(listed, "the supplier does not list it")
    }

    /// Release counters never go back on one ECU, and one name with one counter is one content.
    pub(super) fn may_follow(last: &Entry, entry: &Entry) -> Verdict {
        demand(entry.counter >= last.counter, "its counter goes back")?;
        let renamed = (&entry.path, entry.counter) != (&last.path, last.counter);
        demand(
            renamed || entry.content == last.content,
            "its content changed",
        )
    }

    fn lists(&self, shelf: &Shelf, role: &str, entry: &Entry) -> Result<bool, String> {
        let listed = Entry {
            ecu: None,
            ..entry.clone()
        };
        Ok(self.fact(shelf, role)?.entries.contains(&listed))
    }

    /// These files are in force and fresh, and each is the one that its parent lists.
    fn current(&self, repository: &str, shelf: &Shelf, roles: &[Role], seen: &Seen) -> Verdict {
        for (role, parent) in roles {
            self.may_keep(repository, role, shelf, &seen.vehicle)?;
            let fact = self.fact(shelf, role)?;
            let fresh = fact.expires.is_some_and(|end| seen.now < end);
            demand(fresh, "it has expired")?;
            if let Some(parent) = parent {
                self.may_keep(repository, parent, shelf, &seen.vehicle)?;
                let listed = self.fact(shelf, parent)?.versions.get(*role);
                demand(listed == Some(&fact.version), "another version is listed")?;
            }
        }
        Ok(())
    }

    /// Whoever names the role names the key that signed this file.
    fn in_force(&self, shelf: &Shelf, role: &str) -> Verdict {
        let naming = if role == "supplier" {
            "targets"
        } else {
            "root"
        };
        let named = self.fact(shelf, naming)?.keys.get(role);
        let signed = &self.fact(shelf, role)?.key;
        demand(
            named == Some(signed),
            "a key signed it that is not in force",
        )
    }

    fn fact(&self, shelf: &Shelf, role: &str) -> Result<&Fact, String> {
        let file = shelf.get(role).ok_or_else(|| format!("no {role}"))?;
        let fact = self.facts.get(file);
        fact.ok_or_else(|| format!("nobody ever signed this {role}"))
    }
}

fn demand(holds: bool, else_what: &str) -> Verdict {
    match holds {
        true => Ok(()),
        false => Err(else_what.into()),
    }
}
