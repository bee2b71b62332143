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
use crate::scan::Scanner;
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

    /// An entry as it stands in canonical text; `path` leads to it.
    pub(crate) fn read(
        scanner: &mut Scanner<'_>,
        path: impl FnOnce() -> String,
    ) -> Result<Self, MetadataError> {
        let mut ahead = scanner.clone();
        match DelegatedRole::read_usual(&mut ahead) {
            Some(role) => {
                *scanner = ahead;
                Ok(Self::Role(role))
            }
            None => Self::decode(path(), scanner.canonical_value()?),
        }
    }

    fn decode(path: String, value: Value) -> Result<Self, MetadataError> {
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
    /// Reads a role that has all known members but `hardwareIds`, and no others: nearly all roles are written so, and
    /// there can be very many. `None` if it is another, or something is wrong with it.
    fn read_usual(scanner: &mut Scanner<'_>) -> Option<Self> {
        scanner.passes("{\"keyids\":")?;
        let keyids = scanner.strings()?;
        scanner.passes(",\"name\":")?;
        let (name, _) = scanner.string().ok()?;
        let hashed = scanner.passes(",\"path_hash_prefixes\":").is_some();
        if !hashed {
            scanner.passes(",\"paths\":")?;
        }
        let paths = scanner.strings()?;
        scanner.passes(",\"terminating\":")?;
        let terminating = scanner.passes("true").is_some();
        if !terminating {
            scanner.passes("false")?;
        }
        scanner.passes(",\"threshold\":")?;
        let threshold = u64::try_from(scanner.integer().ok()?).ok()?;
        scanner.passes("}")?;
        is_role_name(&name).then_some(())?;
        Some(Self {
            name: name.into_owned(),
            role_keys: RoleKeys::of_plain(keyids, threshold)?,
            paths: match hashed {
                true => PathSet::HashPrefixes(paths),
                false => PathSet::Patterns(paths),
            },
            hardware_ids: None,
            terminating,
            extra: Object::new(),
        })
    }

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
    match is_role_name(&name) {
        true => Ok(name),
        false => fields.fail(field, "must not be empty or a top-level role's name"),
    }
}

fn is_role_name(name: &str) -> bool {
    !name.is_empty() && RoleType::from_name(name).is_none() && name != "mirrors"
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

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use std::string::ToString as _;

    use super::*;
    use crate::canonical;

    fn strings(pattern: &'static str) -> impl Strategy<Value = Value> {
        let one = prop_oneof![
            9 => pattern.prop_map(Value::from),
            1 => Just(Value::Null),
        ];
        proptest::collection::vec(one, 0..4).prop_map(Value::Array)
    }

    /// A member that stands there more often than not.
    fn member(value: impl Strategy<Value = Value>) -> impl Strategy<Value = Option<Value>> {
        proptest::option::weighted(0.8, value)
    }

    /// An entry, or nearly.
    fn nearly() -> impl Strategy<Value = Value> {
        let name = prop_oneof![
            8 => "[a-c\"\\\\\u{1}\u{e9}]{1,3}",
            1 => Just("targets".to_string()),
            1 => Just(String::new()),
        ];
        let threshold = prop_oneof![
            8 => (1..4_i128).boxed(),
            1 => Just(0).boxed(),
            1 => Just(-1).boxed(),
            1 => Just(1 << 40).boxed(),
        ];
        let prefixes = strings("[0-9a-f]{2}");
        let paths = strings("[a-b*/\"]{1,3}");
        let terminating =
            prop_oneof![9 => any::<bool>().prop_map(Value::Bool), 1 => Just(Value::Null)];
        let seldom = |value| proptest::option::weighted(0.1, Just(value));
        let named = |name: &'static str| move |value: Option<Value>| (name, value);
        let members = (
            member(strings("[a-b]{0,2}")).prop_map(named("keyids")),
            member(name.prop_map(Value::from)).prop_map(named("name")),
            member(terminating).prop_map(named("terminating")),
            member(threshold.prop_map(Value::Integer)).prop_map(named("threshold")),
            proptest::option::of(prefixes).prop_map(named("path_hash_prefixes")),
            proptest::option::of(paths).prop_map(named("paths")),
            seldom(Value::Array(Vec::new())).prop_map(named("hardwareIds")),
            seldom(Value::Array(Vec::new())).prop_map(named("roleinfo")),
            seldom(Value::Null).prop_map(named("x")),
        );
        members.prop_map(|(a, b, c, d, e, f, g, h, i)| {
            let members = [a, b, c, d, e, f, g, h, i].into_iter();
            let members = members.filter_map(|(name, value)| Some((name.into(), value?)));
            Value::Object(members.collect())
        })
    }

    fn read(text: &str) -> (Result<Delegation, MetadataError>, usize) {
        let mut scanner = Scanner::canonical(text);
        let read = Delegation::read(&mut scanner, || "role".into());
        (read, scanner.position())
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2000))]

        #[test]
        fn an_entry_that_is_read_where_it_stands_is_what_its_value_says(entry in nearly()) {
            let text = canonical::encode(&entry);
            let decoded = Delegation::decode("role".into(), entry);
            prop_assert_eq!(read(&text), (decoded, text.len()));
        }
    }

    #[test]
    fn usual_roles_are_read_where_they_stand() {
        for paths in ["path_hash_prefixes", "paths"] {
            for terminating in ["true", "false"] {
                let text = std::format!(
                    "{{\"keyids\":[\"k\"],\"name\":\"n\",\"{paths}\":[\"00\",\"01\"],\
                     \"terminating\":{terminating},\"threshold\":1}}"
                );
                let usual = DelegatedRole::read_usual(&mut Scanner::canonical(&text));
                let entry = usual.map(Delegation::Role);
                assert_eq!(entry.as_ref(), read(&text).0.ok().as_ref());
                let text_again = entry.map(|entry| canonical::encode(&entry.to_value()));
                assert_eq!(text_again, Some(text));
            }
        }
    }
}
