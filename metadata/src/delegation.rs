//! Delegations: whom a Targets role trusts for which paths (TUF 4.5, TAP 15).

use alloc::borrow::Cow;
use alloc::collections::{BTreeMap, BTreeSet};
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use crate::authority::{Authority, RoleKeys};
use crate::bins::SuccinctRoles;
use crate::crypto;
use crate::error::{MetadataError, shown};
use crate::field::{Fields, with};
use crate::header::RoleType;
use crate::json::{Object, Value};
use crate::key::{Key, KeyId, decode_keys, keys_to_value};
use crate::path::TargetPath;
use crate::path_set::PathSet;

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
    /// `roles`, most trusted first.
    Listed(Vec<DelegatedRole>),
    /// `succinct_roles` (TAP 15).
    Succinct(SuccinctRoles),
}

/// One delegated role.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DelegatedRole {
    /// `name`; unique in the file, not one of the top-level roles' names.
    pub name: String,
    /// Who signs it.
    pub role_keys: RoleKeys,
    /// Which paths it is trusted for.
    pub paths: PathSet,
    /// Whether the search ends after this role when it matches.
    pub terminating: bool,
    /// Unknown fields, kept and signed over.
    pub extra: Object,
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

    /// The roles trusted for `path`, most trusted first, up to and including the first
    /// terminating one: name and whether it terminates. A bin terminates: no other bin can match.
    pub fn matching<'a>(&'a self, path: &TargetPath) -> Vec<(Cow<'a, str>, bool)> {
        match &self.roles {
            Roles::Succinct(bins) => Vec::from([(Cow::Owned(bins.bin_of(path)), true)]),
            Roles::Listed(roles) => {
                let hash = hex::encode(crypto::sha256(path.as_str().as_bytes()));
                let mut ended = false;
                let matching = roles.iter().filter(|role| role.paths.matches(path, &hash));
                let until_terminating = matching.take_while(|role| {
                    let take = !ended;
                    ended |= role.terminating;
                    take
                });
                until_terminating
                    .map(|role| (role.name.as_str().into(), role.terminating))
                    .collect()
            }
        }
    }

    /// Who may sign the delegated role `name`, as this file claims.
    pub fn claimed_authority(&self, name: &str) -> Option<Authority> {
        let role_keys = match &self.roles {
            Roles::Succinct(bins) => bins.is_bin(name).then_some(&bins.role_keys),
            Roles::Listed(roles) => roles
                .iter()
                .find(|role| role.name == name)
                .map(|role| &role.role_keys),
        };
        Some(Authority::assume(name, role_keys?, &self.keys))
    }

    pub(crate) fn decode(path: String, value: Value) -> Result<Self, MetadataError> {
        let mut fields = Fields::of(path, value)?;
        let keys = decode_keys(&fields.path_of("keys"), fields.object("keys")?)?;
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
            Roles::Listed(roles) => ("roles", roles.iter().map(DelegatedRole::to_value).collect()),
            Roles::Succinct(bins) => ("succinct_roles", bins.to_value()),
        };
        with(
            &self.extra,
            [("keys", keys_to_value(&self.keys)), (name, roles)],
        )
        .into()
    }
}

fn decode_listed(fields: &mut Fields) -> Result<Vec<DelegatedRole>, MetadataError> {
    let path = fields.path_of("roles");
    let mut names = BTreeSet::new();
    let mut roles = Vec::new();
    for (index, value) in fields.array("roles")?.into_iter().enumerate() {
        let role = DelegatedRole::decode(format!("{path}[{index}]"), value)?;
        if !names.insert(role.name.clone()) {
            return fields.fail(
                "roles",
                format!("name \"{}\" stands twice", shown(&role.name)),
            );
        }
        roles.push(role);
    }
    Ok(roles)
}

impl DelegatedRole {
    fn decode(path: String, value: Value) -> Result<Self, MetadataError> {
        let mut fields = Fields::of(path, value)?;
        let name = fields.string("name")?;
        if name.is_empty() || RoleType::from_name(&name).is_some() || name == "mirrors" {
            return fields.fail("name", "must not be empty or a top-level role's name");
        }
        let role_keys = RoleKeys::take(&mut fields)?;
        // The specification's own example leaves it out; searching on is its default.
        let terminating = fields.boolean("terminating")?.unwrap_or(false);
        let hashed = fields.members_has("path_hash_prefixes");
        let paths = match (fields.members_has("paths"), hashed) {
            (true, true) => {
                return fields.fail("paths", "must not stand beside path_hash_prefixes");
            }
            (false, true) => PathSet::HashPrefixes(fields.strings("path_hash_prefixes")?),
            (true, false) => PathSet::Patterns(fields.strings("paths")?),
            // Both are optional (TUF 4.5): a role without is trusted for nothing.
            (false, false) => PathSet::Patterns(Vec::new()),
        };
        Ok(Self {
            name,
            role_keys,
            paths,
            terminating,
            extra: fields.rest(),
        })
    }

    fn to_value(&self) -> Value {
        let list = |texts: &Vec<String>| texts.iter().map(|text| text.as_str().into()).collect();
        let paths = match &self.paths {
            PathSet::Patterns(patterns) => ("paths", list(patterns)),
            PathSet::HashPrefixes(prefixes) => ("path_hash_prefixes", list(prefixes)),
        };
        let mut members = self.role_keys.to_members();
        members.extend(with(
            &self.extra,
            [
                ("name", self.name.as_str().into()),
                ("terminating", self.terminating.into()),
                paths,
            ],
        ));
        members.into()
    }
}
