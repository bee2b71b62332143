//! Repository mapping: which repositories must agree on which images (Uptane 5.2.6, TAP 4).
//!
//! It comes with the Primary's configuration and is not signed.

use alloc::collections::BTreeMap;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use crate::canonical;
use crate::error::MetadataError;
use crate::field::{Fields, with};
use crate::json::{Object, Value, parse};
use crate::limits::{MAX_MAPPINGS, MAX_REPOSITORIES, MAX_TARGET_PATH};
use crate::path::TargetPath;
use crate::path_set::PathSet;

/// A repository mapping file. It names at least the two repositories of Uptane.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mapping {
    repositories: BTreeMap<String, Vec<String>>,
    entries: Vec<MapEntry>,
}

/// One entry of `mapping`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MapEntry {
    /// `paths`: patterns as in delegations; a lone `*` is every path, as TAP 4 uses it.
    pub paths: Vec<String>,
    /// `repositories` that are asked for these paths.
    pub repositories: Vec<String>,
    /// `threshold`: how many of them must agree on length and hashes.
    pub threshold: u32,
    /// `terminating`: kept for other readers; here the first entry that matches decides anyway.
    pub terminating: bool,
}

impl Mapping {
    /// The name of the Director repository.
    pub const DIRECTOR: &'static str = "director";
    /// The name of the image repository.
    pub const IMAGE: &'static str = "image";

    /// The usual mapping: every image must be signed by both repositories.
    ///
    /// # Errors
    /// [`MetadataError::Field`] when a repository has no URL, or too many.
    pub fn both(director: Vec<String>, image: Vec<String>) -> Result<Self, MetadataError> {
        let mapping = Self {
            repositories: [
                (Self::DIRECTOR.into(), director),
                (Self::IMAGE.into(), image),
            ]
            .into(),
            entries: Vec::from([MapEntry {
                paths: Vec::from(["*".into()]),
                repositories: Vec::from([Self::DIRECTOR.into(), Self::IMAGE.into()]),
                threshold: 2,
                terminating: true,
            }]),
        };
        // One place knows what a mapping must be.
        Self::parse(mapping.to_json().as_bytes())
    }

    /// Reads a mapping file.
    ///
    /// # Errors
    /// [`MetadataError::Malformed`] or [`MetadataError::Field`], which also says when `director`
    /// or `image` is missing.
    pub fn parse(text: &[u8]) -> Result<Self, MetadataError> {
        let mut fields = Fields::of("map", parse(text)?)?;
        let repositories = repositories(&mut fields)?;
        let path = fields.path_of("mapping");
        let listed = fields.array("mapping")?;
        if !(1..=MAX_MAPPINGS).contains(&listed.len()) {
            return fields.fail("mapping", format!("must have 1 to {MAX_MAPPINGS} entries"));
        }
        let listed = listed.into_iter().enumerate();
        let entries = listed
            .map(|(index, value)| {
                MapEntry::decode(format!("{path}[{index}]"), value, &repositories)
            })
            .collect::<Result<_, _>>()?;
        Ok(Self {
            repositories,
            entries,
        })
    }

    /// The file that [`Mapping::parse`] reads.
    pub fn to_json(&self) -> String {
        let list = |texts: &Vec<String>| texts.iter().map(|text| text.as_str().into()).collect();
        let repositories = self.repositories.iter();
        let repositories = repositories.map(|(name, urls)| (name.clone(), list(urls)));
        let entries = self.entries.iter().map(|entry| {
            let members = [
                ("paths", list(&entry.paths)),
                ("repositories", list(&entry.repositories)),
                ("threshold", entry.threshold.into()),
                ("terminating", entry.terminating.into()),
            ];
            with(&Object::new(), members).into()
        });
        let members = [
            ("repositories", Value::Object(repositories.collect())),
            ("mapping", entries.collect()),
        ];
        canonical::to_json(&canonical::encode(&with(&Object::new(), members).into()))
    }

    /// Where a repository is: its base URLs, in the order to try them. Empty if it is not listed.
    pub fn urls(&self, repository: &str) -> &[String] {
        self.repositories.get(repository).map_or(&[], Vec::as_slice)
    }

    /// The entry that decides about `path`: the first one that matches.
    pub fn repositories_for(&self, path: &TargetPath) -> Option<&MapEntry> {
        self.entries.iter().find(|entry| entry.matches(path))
    }

    /// Whether both the Director and the image repository must sign for `path`. An image for
    /// which this is false must not be installed by a vehicle.
    pub fn requires_both(&self, path: &TargetPath) -> bool {
        self.repositories_for(path).is_some_and(|entry| {
            let names = |name: &str| entry.repositories.iter().any(|listed| listed == name);
            // Short of all, two that agree could be two others.
            names(Self::DIRECTOR)
                && names(Self::IMAGE)
                && entry.threshold as usize == entry.repositories.len()
        })
    }
}

impl MapEntry {
    fn matches(&self, path: &TargetPath) -> bool {
        self.paths.iter().any(|pattern| pattern == "*")
            || PathSet::Patterns(self.paths.clone()).contains(path)
    }

    fn decode(
        path: String,
        value: Value,
        known: &BTreeMap<String, Vec<String>>,
    ) -> Result<Self, MetadataError> {
        let mut fields = Fields::of(path, value)?;
        let paths = fields.strings("paths")?;
        let repositories = fields.strings("repositories")?;
        if let Some(name) = repositories.iter().find(|name| !known.contains_key(*name)) {
            return fields.fail(
                "repositories",
                format!(
                    "\"{}\" is not among the repositories",
                    crate::error::shown(name)
                ),
            );
        }
        let mut unique = repositories.clone();
        unique.sort();
        unique.dedup();
        if unique.len() != repositories.len() {
            return fields.fail("repositories", "lists one repository twice");
        }
        let threshold = match u32::try_from(fields.unsigned("threshold", 1)?) {
            Ok(threshold) if threshold as usize <= repositories.len() => threshold,
            _ => return fields.fail("threshold", "is above the number of repositories"),
        };
        Ok(Self {
            paths,
            repositories,
            threshold,
            terminating: fields.boolean("terminating")?.unwrap_or(false),
        })
    }
}

fn repositories(fields: &mut Fields<'_>) -> Result<BTreeMap<String, Vec<String>>, MetadataError> {
    let mut listed = Fields::of(
        fields.path_of("repositories"),
        fields.required("repositories")?,
    )?;
    let mut repositories = BTreeMap::new();
    for name in listed.names() {
        let urls = listed.strings(&name)?;
        if !(1..=MAX_REPOSITORIES).contains(&urls.len()) {
            let what = format!("must have 1 to {MAX_REPOSITORIES} URLs");
            return listed.fail(&name, what);
        }
        if urls.iter().any(|url| url.len() > MAX_TARGET_PATH) {
            return listed.fail(&name, format!("has a URL above {MAX_TARGET_PATH} bytes"));
        }
        repositories.insert(name, urls);
    }
    if repositories.len() > MAX_REPOSITORIES {
        return fields.fail("repositories", format!("has more than {MAX_REPOSITORIES}"));
    }
    for name in [Mapping::DIRECTOR, Mapping::IMAGE] {
        if !repositories.contains_key(name) {
            return listed.fail(name, "is missing: an Uptane client needs both");
        }
    }
    Ok(repositories)
}
