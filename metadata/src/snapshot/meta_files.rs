//! All entries of a Snapshot. It can list many thousand files, of which a client wants one or two, and a publisher
//! changes as few: so what was read stays text, and changes are kept beside it.

use alloc::borrow::Cow;
use alloc::collections::BTreeMap;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;
use core::ops::Range;

use super::MetaFile;
use crate::canonical::write_string;
use crate::places::Places;

/// METAFILES: what a Snapshot says of each metadata file, by file name (TUF 4.4).
#[derive(Clone, Default)]
pub struct MetaFiles {
    /// As they were read.
    read: Option<Places>,
    /// What was set since then, or taken out (`None`).
    changes: BTreeMap<String, Option<MetaFile>>,
}

impl MetaFiles {
    pub(super) fn of(places: Places) -> Self {
        Self {
            read: Some(places),
            changes: BTreeMap::new(),
        }
    }

    /// The entry of a file, such as `targets.json`.
    pub fn get(&self, name: &str) -> Option<MetaFile> {
        match (self.changes.get(name), &self.read) {
            (Some(changed), _) => changed.clone(),
            (None, Some(read)) => self.read(read.place_of(name).ok()?).map(|(_, file)| file),
            (None, None) => None,
        }
    }

    /// Sets the entry of a file.
    pub fn insert(&mut self, name: impl Into<String>, file: MetaFile) {
        self.changes.insert(name.into(), Some(file));
    }

    /// Takes an entry out.
    pub fn remove(&mut self, name: &str) {
        self.changes.insert(name.into(), None);
    }

    /// All entries, in the order of their names.
    pub fn iter(&self) -> impl Iterator<Item = (Cow<'_, str>, MetaFile)> {
        self.runs().into_iter().flat_map(|run| {
            let (places, set) = match run {
                Run::Read(places) => (places, None),
                Run::Set(name, file) => (0..0, Some((name.into(), file.clone()))),
            };
            places.filter_map(|place| self.read(place)).chain(set)
        })
    }

    /// Appends the canonical form: what was not changed is copied as it stands.
    pub(super) fn write(&self, out: &mut String) {
        out.push('{');
        let begin = out.len();
        for run in self.runs() {
            if out.len() > begin {
                out.push(',');
            }
            match run {
                Run::Read(places) => {
                    let read = self.read.as_ref();
                    out.push_str(read.map_or("", |read| read.text(places)));
                }
                Run::Set(name, file) => {
                    write_string(out, name);
                    out.push(':');
                    file.write(out);
                }
            }
        }
        out.push('}');
    }

    fn canonical(&self) -> String {
        let mut text = String::new();
        self.write(&mut text);
        text
    }

    /// What was read and what was set, in order.
    fn runs(&self) -> Vec<Run<'_>> {
        let mut runs = Vec::new();
        let mut next = 0;
        for (name, file) in &self.changes {
            let found = self
                .read
                .as_ref()
                .map_or(Err(0), |read| read.place_of(name));
            let (Ok(to) | Err(to)) = found;
            runs.push(Run::Read(next..to));
            next = to + usize::from(found.is_ok());
            runs.extend(file.as_ref().map(|file| Run::Set(name, file)));
        }
        runs.push(Run::Read(next..self.read.as_ref().map_or(0, Places::len)));
        runs.retain(|run| !matches!(run, Run::Read(places) if places.is_empty()));
        runs
    }

    /// The entry that was read there. The first pass read the same text without error.
    fn read(&self, place: usize) -> Option<(Cow<'_, str>, MetaFile)> {
        let (name, mut scanner) = self.read.as_ref()?.member(place)?;
        let file = MetaFile::read(&mut scanner, String::new).ok()?;
        Some((name, file))
    }
}

/// Entries that follow one another.
enum Run<'a> {
    /// By their places in what was read.
    Read(Range<usize>),
    Set(&'a str, &'a MetaFile),
}

impl FromIterator<(String, MetaFile)> for MetaFiles {
    fn from_iter<I: IntoIterator<Item = (String, MetaFile)>>(entries: I) -> Self {
        let changes = entries.into_iter();
        Self {
            read: None,
            changes: changes.map(|(name, file)| (name, Some(file))).collect(),
        }
    }
}

impl PartialEq for MetaFiles {
    fn eq(&self, other: &Self) -> bool {
        // A digest has two spellings.
        self.canonical() == other.canonical() || self.iter().eq(other.iter())
    }
}

impl Eq for MetaFiles {}

impl fmt::Debug for MetaFiles {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self.iter()).finish()
    }
}

#[cfg(test)]
mod tests {
    use proptest::collection::btree_map;
    use proptest::prelude::*;

    use super::*;
    use crate::document::Decode as _;
    use crate::envelope::Payload;
    use crate::snapshot::Snapshot;

    /// A Snapshot with these versions, as it is read out of a file.
    fn snapshot(versions: &BTreeMap<String, u64>) -> Snapshot {
        let mut snapshot = Snapshot::new("2030-01-01T00:00:00Z".parse().unwrap());
        let entries = versions.iter();
        snapshot.meta = entries
            .map(|(name, version)| (name.clone(), MetaFile::version(*version)))
            .collect();
        Snapshot::decode(&Payload::encoded(snapshot.to_payload())).unwrap()
    }

    fn names() -> impl Strategy<Value = String> {
        "[a-d\"\u{e9}]{1,2}"
    }

    proptest! {
        #[test]
        fn changes_beside_the_text_are_changes_of_a_map(
            before in btree_map(names(), 1..9_u64, 0..12),
            changes in btree_map(names(), proptest::option::of(10..20_u64), 0..12),
        ) {
            let mut edited = snapshot(&before);
            let mut map = before;
            for (name, version) in changes {
                match version {
                    Some(version) => {
                        edited.meta.insert(name.as_str(), MetaFile::version(version));
                        map.insert(name, version);
                    }
                    None => {
                        edited.meta.remove(&name);
                        map.remove(&name);
                    }
                }
            }
            let listed = edited.meta.iter().map(|(name, file)| (name.into_owned(), file.version));
            prop_assert!(listed.eq(map.clone()));
            for name in ["a", "b", "ab", "\"", "\u{e9}"] {
                let version = edited.meta.get(name).map(|file| file.version);
                prop_assert_eq!(version, map.get(name).copied());
            }
            let made_anew = snapshot(&map);
            prop_assert_eq!(edited.to_payload(), made_anew.to_payload());
            prop_assert_eq!(edited, made_anew);
        }
    }
}
