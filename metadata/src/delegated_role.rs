//! The entries of `delegations.roles`: a role (TUF 4.5), or several that must agree (TAP 3).
//! Either can be limited to kinds of hardware (Uptane 5.2.3.2).

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use crate::authority::RoleKeys;
use crate::error::MetadataError;
use crate::field::{Fields, with};
use crate::header::RoleType;
use crate::json::{Object, Value};
use crate::limits::MAX_AGREEING_ROLES;
use crate::path::TargetPath;
use crate::path_set::PathSet;
use crate::uptane::{HardwareId, take_hardware_ids};

/// One entry of `delegations.roles`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Delegation {
    /// One role.
    Role(DelegatedRole),
    /// Several roles, of which some must agree.
    Multi(MultiRole),
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
    /// `hardwareIds` it is trusted for; any, if `None`. A TUF client does not ask.
    pub hardware_ids: Option<Vec<HardwareId>>,
    /// Whether the search ends after this role when it matches.
    pub terminating: bool,
    /// Unknown fields, kept and signed over.
    pub extra: Object,
}

/// Roles that are trusted for an image only together: enough of them must describe it alike
/// (TAP 3, Uptane 5.4.4.8).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MultiRole {
    /// `name` of the entry. No file has this name.
    pub name: String,
    /// `roleinfo`: the roles by name, most trusted first. Names are unique in the file.
    pub roles: Vec<(String, RoleKeys)>,
    /// `min_roles_in_agreement`: 1 to the number of roles.
    pub min_roles_in_agreement: u32,
    /// Which paths they are trusted for.
    pub paths: PathSet,
    /// `hardwareIds` they are trusted for; any, if `None`. A TUF client does not ask.
    pub hardware_ids: Option<Vec<HardwareId>>,
    /// Whether the search ends after these roles when they match.
    pub terminating: bool,
    /// Unknown fields, kept and signed over.
    pub extra: Object,
}

impl From<DelegatedRole> for Delegation {
    fn from(role: DelegatedRole) -> Self {
        Self::Role(role)
    }
}

impl From<MultiRole> for Delegation {
    fn from(roles: MultiRole) -> Self {
        Self::Multi(roles)
    }
}

impl Delegation {
    /// The entry's name: a role's, or what several are called together.
    pub fn name(&self) -> &str {
        match self {
            Self::Role(role) => &role.name,
            Self::Multi(roles) => &roles.name,
        }
    }

    /// Which paths it is for.
    pub fn paths(&self) -> &PathSet {
        match self {
            Self::Role(role) => &role.paths,
            Self::Multi(roles) => &roles.paths,
        }
    }

    /// Whether the search ends with it when it matches.
    pub fn terminating(&self) -> bool {
        match self {
            Self::Role(role) => role.terminating,
            Self::Multi(roles) => roles.terminating,
        }
    }

    /// Which kinds of hardware it is for; any, if `None`.
    pub fn hardware_ids(&self) -> Option<&[HardwareId]> {
        match self {
            Self::Role(role) => role.hardware_ids.as_deref(),
            Self::Multi(roles) => roles.hardware_ids.as_deref(),
        }
    }

    /// The roles that have a file, with who signs them: one, or several.
    pub fn roles(&self) -> impl Iterator<Item = (&str, &RoleKeys)> {
        let (one, several) = match self {
            Self::Role(role) => (Some((role.name.as_str(), &role.role_keys)), &[][..]),
            Self::Multi(multi) => (None, multi.roles.as_slice()),
        };
        let several = several.iter().map(|(name, keys)| (name.as_str(), keys));
        one.into_iter().chain(several)
    }

    /// Who signs the role `name`, for editing.
    pub fn role_keys_mut(&mut self, name: &str) -> Option<&mut RoleKeys> {
        match self {
            Self::Role(role) => (role.name == name).then_some(&mut role.role_keys),
            Self::Multi(multi) => {
                let mut roles = multi.roles.iter_mut();
                roles.find(|(role, _)| role == name).map(|(_, keys)| keys)
            }
        }
    }

    /// Whether it is for `path`, whose SHA-256 in hexadecimal is `hash`, and for that hardware.
    pub(crate) fn matches(
        &self,
        path: &TargetPath,
        hash: &str,
        hardware: Option<&HardwareId>,
    ) -> bool {
        let for_hardware = match (self.hardware_ids(), hardware) {
            (Some(listed), Some(hardware)) => listed.contains(hardware),
            _ => true,
        };
        for_hardware && self.paths().matches(path, hash)
    }

    pub(crate) fn decode(path: String, value: Value) -> Result<Self, MetadataError> {
        let mut fields = Fields::of(path, value)?;
        match fields.members_has("roleinfo") {
            true => MultiRole::decode(fields).map(Self::Multi),
            false => DelegatedRole::decode(&mut fields).map(|role| {
                Self::Role(DelegatedRole {
                    extra: fields.rest(),
                    ..role
                })
            }),
        }
    }

    pub(crate) fn to_value(&self) -> Value {
        let (members, extra) = match self {
            Self::Role(role) => (role.role_keys.to_members(), &role.extra),
            Self::Multi(multi) => (multi.agreement(), &multi.extra),
        };
        let list = |texts: &Vec<String>| texts.iter().map(|text| text.as_str().into()).collect();
        let paths = match self.paths() {
            PathSet::Patterns(patterns) => ("paths", list(patterns)),
            PathSet::HashPrefixes(prefixes) => ("path_hash_prefixes", list(prefixes)),
        };
        let mut members: Object = members.into_iter().chain(extra.clone()).collect();
        if let Some(ids) = self.hardware_ids() {
            let ids = ids.iter().map(|id| id.as_str().into()).collect();
            members.insert("hardwareIds".into(), ids);
        }
        let known = [
            ("name", self.name().into()),
            ("terminating", self.terminating().into()),
            paths,
        ];
        with(&members, known).into()
    }
}

impl DelegatedRole {
    /// Takes all but the unknown fields.
    fn decode(fields: &mut Fields<'_>) -> Result<Self, MetadataError> {
        Ok(Self {
            name: role_name(fields, "name")?,
            role_keys: RoleKeys::take(fields)?,
            terminating: terminating(fields)?,
            paths: paths(fields)?,
            hardware_ids: hardware_ids(fields)?,
            extra: Object::new(),
        })
    }
}

impl MultiRole {
    fn decode(mut fields: Fields<'_>) -> Result<Self, MetadataError> {
        if let Some(name) = ["keyids", "threshold"]
            .into_iter()
            .find(|name| fields.members_has(name))
        {
            return fields.fail(name, "must not stand beside roleinfo, which has its own");
        }
        let name = role_name(&mut fields, "name")?;
        let path = fields.path_of("roleinfo");
        let listed = fields.array("roleinfo")?;
        if !(1..=MAX_AGREEING_ROLES).contains(&listed.len()) {
            let what = format!("must list 1 to {MAX_AGREEING_ROLES} roles");
            return fields.fail("roleinfo", what);
        }
        let mut roles = Vec::new();
        for (index, value) in listed.into_iter().enumerate() {
            let mut role = Fields::of(format!("{path}[{index}]"), value)?;
            let name = role_name(&mut role, "rolename")?;
            let keys = RoleKeys::take(&mut role)?;
            let extra = role.rest();
            roles.push((name, RoleKeys { extra, ..keys }));
        }
        let least = fields.unsigned("min_roles_in_agreement", 1)?;
        let min_roles_in_agreement = match u32::try_from(least) {
            Ok(least) if least as usize <= roles.len() => least,
            _ => return fields.fail("min_roles_in_agreement", "is above the number of roles"),
        };
        Ok(Self {
            name,
            roles,
            min_roles_in_agreement,
            terminating: terminating(&mut fields)?,
            paths: paths(&mut fields)?,
            hardware_ids: hardware_ids(&mut fields)?,
            extra: fields.rest(),
        })
    }

    /// What a multi-role entry has and a single role has not.
    fn agreement(&self) -> Object {
        let roles = self.roles.iter().map(|(name, keys)| {
            let name = ("rolename", name.as_str().into());
            with(&keys.to_members(), [name]).into()
        });
        let members = [
            ("roleinfo", roles.collect()),
            ("min_roles_in_agreement", self.min_roles_in_agreement.into()),
        ];
        with(&Object::new(), members)
    }
}

fn role_name(fields: &mut Fields<'_>, field: &str) -> Result<String, MetadataError> {
    let name = fields.string(field)?;
    match name.is_empty() || RoleType::from_name(&name).is_some() || name == "mirrors" {
        true => fields.fail(field, "must not be empty or a top-level role's name"),
        false => Ok(name),
    }
}

/// The specification's own example leaves it out; searching on is its default.
fn terminating(fields: &mut Fields<'_>) -> Result<bool, MetadataError> {
    Ok(fields.boolean("terminating")?.unwrap_or(false))
}

fn paths(fields: &mut Fields<'_>) -> Result<PathSet, MetadataError> {
    let hashed = fields.members_has("path_hash_prefixes");
    match (fields.members_has("paths"), hashed) {
        (true, true) => fields.fail("paths", "must not stand beside path_hash_prefixes"),
        (false, true) => Ok(PathSet::HashPrefixes(fields.strings("path_hash_prefixes")?)),
        (true, false) => Ok(PathSet::Patterns(fields.strings("paths")?)),
        // Both are optional (TUF 4.5): a role without is trusted for nothing.
        (false, false) => Ok(PathSet::Patterns(Vec::new())),
    }
}

fn hardware_ids(fields: &mut Fields<'_>) -> Result<Option<Vec<HardwareId>>, MetadataError> {
    match fields.members_has("hardwareIds") {
        true => take_hardware_ids(fields, "hardwareIds").map(Some),
        false => Ok(None),
    }
}
