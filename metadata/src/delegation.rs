//! Delegations: whom a Targets role trusts for which paths (TUF 4.5, TAP 3, TAP 15).

use alloc::borrow::Cow;
use alloc::collections::{BTreeMap, BTreeSet};
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use crate::authority::{Authority, RoleKeys};
use crate::bins::SuccinctRoles;
use crate::crypto;
use crate::delegated_role::{Delegation, MultiRole};
use crate::error::{MetadataError, shown};
use crate::field::{Fields, with};
use crate::json::{Object, Value};
use crate::key::{Key, KeyId, decode_keys, keys_to_value};
use crate::path::TargetPath;
use crate::uptane::HardwareId;

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

    pub(crate) fn decode(path: String, value: Value) -> Result<Self, MetadataError> {
        let mut fields = Fields::of(path, value)?;
        let keys = decode_keys(fields.fields("keys")?)?;
        let roles = match fields.take("succinct_roles") {
            Some(_) if fields.take("roles").is_some() => {
                return fields.fail("succinct_roles", "must not stand beside roles");
            }
            Some(value) => Roles::Succinct(SuccinctRoles::decode(
                fields.path_of("succinct_roles"),
                value,
            )?),
            None => Roles::Listed(decode_listed(&mut fields)?),
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

fn decode_listed(fields: &mut Fields<'_>) -> Result<Vec<Delegation>, MetadataError> {
    let path = fields.path_of("roles");
    let mut names = BTreeSet::new();
    let mut listed = Vec::new();
    for (index, value) in fields.array("roles")?.into_iter().enumerate() {
        let entry = Delegation::decode(format!("{path}[{index}]"), value)?;
        let group = match &entry {
            Delegation::Role(_) => None,
            Delegation::Multi(multi) => Some(multi.name.as_str()),
        };
        let roles = entry.roles().map(|(name, _)| name);
        for name in roles.chain(group) {
            if !names.insert(String::from(name)) {
                let what = format!("name \"{}\" stands twice", shown(name));
                return fields.fail("roles", what);
            }
        }
        listed.push(entry);
    }
    Ok(listed)
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
