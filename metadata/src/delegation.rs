//! Delegations: whom a Targets role trusts for which paths (TUF 4.5, TAP 3, TAP 15).

use alloc::borrow::Cow;
use alloc::collections::BTreeMap;
use alloc::format;
use alloc::vec::Vec;

use crate::authority::{Authority, RoleKeys};
use crate::bins::SuccinctRoles;
use crate::crypto;
use crate::delegated_role::{Delegation, MultiRole};
use crate::error::{MetadataError, shown};
use crate::field::{Fields, Large, with};
use crate::json::{Object, Value};
use crate::key::{Key, KeyId, decode_keys, keys_to_value};
use crate::path::TargetPath;
use crate::scan::Scanner;
use crate::uptane::HardwareId;

/// Where they stand in a Targets file.
const PATH: &str = "signed.delegations";

/// The `delegations` of a Targets file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Delegations {
    /// All keys by id.
    pub keys: BTreeMap<KeyId, Key>,
    /// The delegated roles.
    pub roles: Roles,
    /// Unknown fields, kept and signed over.
    pub extra: Object,
}

/// Delegated roles: one by one, or as equally sized bins.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Roles {
    /// `roles`, most trusted first. All names in it are unique.
    Listed(Vec<Delegation>),
    /// `succinct_roles` (TAP 15).
    Succinct(SuccinctRoles),
}

/// What one delegation that matches asks a search to visit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Matching<'a> {
    /// One role.
    Role {
        /// Its name.
        name: Cow<'a, str>,
        /// Whether the search ends after it.
        terminating: bool,
    },
    /// Several roles, of which enough must describe the image alike (Uptane 5.4.4.8).
    Multi(&'a MultiRole),
}

impl Matching<'_> {
    /// Whether the search ends with it.
    pub fn is_terminating(&self) -> bool {
        match self {
            Self::Role { terminating, .. } => *terminating,
            Self::Multi(multi) => multi.terminating,
        }
    }
}

impl Delegations {
    /// No keys and no roles.
    pub fn empty() -> Self {
        Self {
            keys: BTreeMap::new(),
            roles: Roles::Listed(Vec::new()),
            extra: Object::new(),
        }
    }

    /// The delegations trusted for `path`, most trusted first, up to and including the first
    /// terminating one. A bin terminates: no other bin can match.
    ///
    /// With `hardware`, only those that are for that hardware (Uptane 5.4.4.7(4.1)); a TUF search
    /// has none, and asks all.
    pub fn matching(&self, path: &TargetPath, hardware: Option<&HardwareId>) -> Vec<Matching<'_>> {
        match &self.roles {
            Roles::Succinct(bins) => Vec::from([Matching::Role {
                name: Cow::Owned(bins.bin_of(path)),
                terminating: true,
            }]),
            Roles::Listed(listed) => {
                let hash = hex::encode(crypto::sha256(path.as_str().as_bytes()));
                let mut ended = false;
                let matching = listed
                    .iter()
                    .filter(|entry| entry.matches(path, &hash, hardware));
                let until_terminating = matching.take_while(|entry| {
                    let take = !ended;
                    ended |= entry.terminating();
                    take
                });
                until_terminating.map(Matching::of).collect()
            }
        }
    }

    /// Who may sign the delegated role `name`, as this file claims.
    pub fn claimed_authority(&self, name: &str) -> Option<Authority> {
        Some(Authority::assume(name, self.role_keys(name)?, &self.keys))
    }

    /// The keys and threshold of the delegated role `name`.
    pub fn role_keys(&self, name: &str) -> Option<&RoleKeys> {
        match &self.roles {
            Roles::Succinct(bins) => bins.is_bin(name).then_some(&bins.role_keys),
            Roles::Listed(listed) => {
                let mut roles = listed.iter().flat_map(Delegation::roles);
                roles.find(|(role, _)| *role == name).map(|(_, keys)| keys)
            }
        }
    }

    /// Those in the canonical text of a Targets file. There can be many thousand roles.
    pub(crate) fn read(scanner: &mut Scanner<'_>) -> Result<Self, MetadataError> {
        let mut listed = Large::new();
        let mut fields = Fields::beside(PATH, scanner, &mut |scanner, name| {
            (name == "roles").then(|| listed.read(scanner, read_listed))
        })?;
        let keys = decode_keys(fields.fields("keys")?)?;
        let roles = match fields.take("succinct_roles") {
            Some(_) if listed.is_some() => {
                return fields.fail("succinct_roles", "must not stand beside roles");
            }
            Some(value) => Roles::Succinct(SuccinctRoles::decode(
                fields.path_of("succinct_roles"),
                value,
            )?),
            None => Roles::Listed(listed.required(&fields, "roles")?),
        };
        Ok(Self {
            keys,
            roles,
            extra: fields.rest(),
        })
    }

    pub(crate) fn to_value(&self) -> Value {
        let (name, roles) = match &self.roles {
            Roles::Listed(roles) => ("roles", roles.iter().map(Delegation::to_value).collect()),
            Roles::Succinct(bins) => ("succinct_roles", bins.to_value()),
        };
        with(
            &self.extra,
            [("keys", keys_to_value(&self.keys)), (name, roles)],
        )
        .into()
    }
}

fn read_listed(scanner: &mut Scanner<'_>) -> Result<Vec<Delegation>, MetadataError> {
    let mut listed = Vec::new();
    scanner.array(|scanner| {
        let path = || format!("{PATH}.roles[{}]", listed.len());
        let entry = Delegation::read(scanner, path)?;
        listed.push(entry);
        Ok(())
    })?;
    match name_twice(&listed) {
        None => Ok(listed),
        Some(name) => {
            let what = format!("name \"{}\" stands twice", shown(name));
            Err(MetadataError::field(format!("{PATH}.roles"), what))
        }
    }
}

fn name_twice(listed: &[Delegation]) -> Option<&str> {
    let mut names: Vec<&str> = Vec::with_capacity(listed.len());
    for entry in listed {
        names.extend(entry.roles().map(|(name, _)| name));
        if let Delegation::Multi(multi) = entry {
            names.push(&multi.name);
        }
    }
    names.sort_unstable();
    let mut pairs = names.array_windows();
    pairs.find_map(|[one, next]| (one == next).then_some(*one))
}

impl<'a> Matching<'a> {
    fn of(entry: &'a Delegation) -> Self {
        match entry {
            Delegation::Role(role) => Self::Role {
                name: role.name.as_str().into(),
                terminating: role.terminating,
            },
            Delegation::Multi(multi) => Self::Multi(multi),
        }
    }
}
