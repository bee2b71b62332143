//! Delegations: whom a Targets role trusts for which paths (TUF 4.5, TAP 15).

use alloc::borrow::Cow;
use alloc::collections::{BTreeMap, BTreeSet};
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use crate::authority::{Authority, RoleKeys};
use crate::crypto;
use crate::error::{MetadataError, shown};
use crate::field::{Fields, with};
use crate::header::RoleType;
use crate::json::{Object, Value};
use crate::key::{Key, KeyId, decode_keys, keys_to_value};
use crate::path::TargetPath;

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

/// A set of target paths.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PathSet {
    /// `paths`: patterns in which `*` and `?` do not match `/`.
    Patterns(Vec<String>),
    /// `path_hash_prefixes`: prefixes of the hexadecimal SHA-256 of the path.
    HashPrefixes(Vec<String>),
}

/// Bins by the leading bits of the path's SHA-256, one set of keys for all (TAP 15).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SuccinctRoles {
    /// Who signs every bin.
    pub role_keys: RoleKeys,
    /// Leading bits that choose the bin, 1 to 32.
    pub bit_length: u32,
    /// Bins are named `PREFIX-` and the bin number in hexadecimal.
    pub name_prefix: String,
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

impl PathSet {
    /// Whether `path`, whose SHA-256 in hexadecimal is `hash`, is in the set.
    fn matches(&self, path: &TargetPath, hash: &str) -> bool {
        match self {
            Self::Patterns(patterns) => patterns
                .iter()
                .any(|pattern| pattern_matches(pattern, path.as_str())),
            Self::HashPrefixes(prefixes) => prefixes.iter().any(|prefix| hash.starts_with(prefix)),
        }
    }

    /// Whether `path` is in the set.
    pub fn contains(&self, path: &TargetPath) -> bool {
        self.matches(path, &hex::encode(crypto::sha256(path.as_str().as_bytes())))
    }
}

/// TUF 4.5 PATHPATTERN, segment by segment: `*` is any run of characters, `?` any one; neither
/// crosses a `/`. Time is linear in the product of the two lengths, whatever the pattern.
fn pattern_matches(pattern: &str, path: &str) -> bool {
    let (mut patterns, mut segments) = (pattern.split('/'), path.split('/'));
    loop {
        match (patterns.next(), segments.next()) {
            (None, None) => return true,
            (Some(pattern), Some(segment)) if segment_matches(pattern, segment) => {}
            _ => return false,
        }
    }
}

fn segment_matches(pattern: &str, text: &str) -> bool {
    let (mut p, mut t) = (pattern.chars(), text.chars());
    let mut retry = None;
    loop {
        let (rest_of_pattern, rest_of_text) = (p.clone(), t.clone());
        match (p.next(), t.next()) {
            (Some('*'), _) => {
                // Let the star match nothing now, and one character more at each retry.
                retry = Some((p.clone(), rest_of_text.clone()));
                t = rest_of_text;
            }
            (Some('?'), Some(_)) => {}
            (Some(expected), Some(found)) if expected == found => {}
            (None, None) => return true,
            _ => {
                let _ = rest_of_pattern;
                let Some((after_star, mut from)) = retry else {
                    return false;
                };
                if from.next().is_none() {
                    return false;
                }
                (p, t) = (after_star.clone(), from.clone());
                retry = Some((after_star, from));
            }
        }
    }
}

impl SuccinctRoles {
    /// How many bins there are.
    pub fn bins(&self) -> u64 {
        1 << self.bits()
    }

    /// The name of bin `number`, in as many hexadecimal digits as the last bin needs.
    pub fn bin_name(&self, number: u64) -> String {
        format!(
            "{}-{number:0width$x}",
            self.name_prefix,
            width = self.digits()
        )
    }

    /// The names of all bins, first to last.
    pub fn bin_names(&self) -> impl Iterator<Item = String> {
        (0..self.bins()).map(|number| self.bin_name(number))
    }

    /// The bin that lists `path`.
    pub fn bin_of(&self, path: &TargetPath) -> String {
        let hash = crypto::sha256(path.as_str().as_bytes());
        let leading = u32::from_be_bytes([hash[0], hash[1], hash[2], hash[3]]);
        self.bin_name(u64::from(leading) >> (32 - self.bits()))
    }

    /// Whether `name` is one of the bins.
    pub fn is_bin(&self, name: &str) -> bool {
        let number = name
            .strip_prefix(&self.name_prefix)
            .and_then(|rest| rest.strip_prefix('-'));
        let number = number.and_then(|digits| u64::from_str_radix(digits, 16).ok());
        number.is_some_and(|number| number < self.bins() && self.bin_name(number) == name)
    }

    /// The field is public, so a caller may have set what no file can say.
    fn bits(&self) -> u32 {
        self.bit_length.clamp(1, 32)
    }

    fn digits(&self) -> usize {
        format!("{:x}", self.bins() - 1).len()
    }

    fn decode(path: String, value: Value) -> Result<Self, MetadataError> {
        let mut fields = Fields::of(path, value)?;
        let role_keys = RoleKeys::take(&mut fields)?;
        let bit_length = match fields.unsigned("bit_length", 1)? {
            bits @ 1..=32 => bits as u32,
            _ => return fields.fail("bit_length", "must be 1 to 32"),
        };
        let name_prefix = fields.string("name_prefix")?;
        Ok(Self {
            role_keys,
            bit_length,
            name_prefix,
            extra: fields.rest(),
        })
    }

    fn to_value(&self) -> Value {
        let mut members = self.role_keys.to_members();
        members.extend(with(
            &self.extra,
            [
                ("bit_length", self.bit_length.into()),
                ("name_prefix", self.name_prefix.to_string().into()),
            ],
        ));
        members.into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wildcards_stay_within_a_segment() {
        let yes = [
            ("targets/*.tgz", "targets/foo.tgz"),
            ("foo-?.tgz", "foo-2.tgz"),
            ("*", "a"),
            ("*a*b*", "xaxxbx"),
            ("*.tgz", ".tgz"),
            ("a/*/c", "a/b/c"),
            ("?", "ü"),
            ("[a]", "[a]"),
            ("**", "x"),
            ("foo", "foo"),
        ];
        let no = [
            ("targets/*.tgz", "targets/foo.txt"),
            ("foo-?.tgz", "foo-alpha.tgz"),
            ("*", "a/b"),
            ("a/*", "a/b/c"),
            ("a?b", "a/b"),
            ("*.tgz", "targets/foo.tgz"),
            ("foo", "fooo"),
            ("", "a"),
            ("a/", "a"),
            ("[a]", "a"),
            ("**", "a/b"),
            ("*a", "ab"),
        ];
        for (pattern, path) in yes {
            assert!(pattern_matches(pattern, path), "{pattern} {path}");
        }
        for (pattern, path) in no {
            assert!(!pattern_matches(pattern, path), "{pattern} {path}");
        }
    }

    #[test]
    fn a_pattern_of_many_stars_takes_no_exponential_time() {
        let pattern = "*a".repeat(500);
        assert!(!pattern_matches(&pattern, &"a".repeat(499)));
        assert!(!pattern_matches(&(pattern + "b"), &"a".repeat(1500)));
    }

    #[test]
    fn bins_are_named_by_the_leading_bits() {
        let bins = |bit_length| SuccinctRoles {
            role_keys: RoleKeys::new([], 1),
            bit_length,
            name_prefix: "bin".into(),
            extra: Object::new(),
        };
        let path = TargetPath::new("fw.img").expect("a path");
        // sha256("fw.img") starts with the digits that the widest bin number shows whole.
        let hash = hex::encode(crypto::sha256(b"fw.img"));
        assert_eq!(bins(32).bin_of(&path), format!("bin-{}", &hash[..8]));
        assert_eq!(bins(8).bin_of(&path), format!("bin-{}", &hash[..2]));
        assert_eq!(bins(1).bin_names().collect::<Vec<_>>(), ["bin-0", "bin-1"]);
        assert!(bins(5).is_bin("bin-1f") && bins(5).is_bin("bin-00"));
        for name in [
            "bin-20", "bin-1F", "bin-1", "bin-001", "bin1f", "bin-", "bin-+1",
        ] {
            assert!(!bins(5).is_bin(name), "{name}");
        }
    }
}
