//! What the roles say while the repository is honest.

use std::collections::BTreeMap;

use serde_json::{Map, json};

use super::Json;
use super::keys::{KeyError, TestKey};

/// Version and expiry of a file.
#[derive(Debug, Clone)]
pub struct Head {
    /// `version`
    pub version: u64,
    /// `expires`
    pub expires: String,
}

/// Names of keys and how many of them must sign.
#[derive(Debug, Clone)]
pub struct Keys {
    /// Names as [`TestKey`] takes them.
    pub names: Vec<String>,
    /// `threshold`
    pub threshold: u64,
}

/// A Root file.
#[derive(Debug, Clone)]
pub struct Root {
    /// Version and expiry.
    pub head: Head,
    /// `consistent_snapshot`
    pub consistent: bool,
    /// The keys of the four top-level roles, by role.
    pub roles: BTreeMap<&'static str, Keys>,
}

/// A Targets file, top-level or delegated.
#[derive(Debug, Clone)]
pub struct Listing {
    /// Version and expiry.
    pub head: Head,
    /// Images by path: their bytes.
    pub images: BTreeMap<String, Vec<u8>>,
    /// Delegations, most trusted first.
    pub delegations: Vec<Delegation>,
    /// Succinct hashed bins in place of delegations.
    pub bins: Option<Bins>,
}

/// One delegation.
#[derive(Debug, Clone)]
pub struct Delegation {
    role: String,
    keys: Keys,
    paths: Vec<String>,
    prefixes: Option<Vec<String>>,
    terminating: bool,
}

/// Succinct hashed bins (TAP 15).
#[derive(Debug, Clone)]
pub struct Bins {
    /// Who signs every bin.
    pub keys: Keys,
    /// Leading bits that choose the bin.
    pub bits: u32,
    /// What the bins' names begin with.
    pub prefix: String,
}

impl Head {
    pub(super) fn first(expires: &str) -> Self {
        Self {
            version: 1,
            expires: expires.into(),
        }
    }

    fn to_json(&self, kind: &str) -> Json {
        json!({
            "_type": kind,
            "spec_version": "1.0.34",
            "version": self.version,
            "expires": self.expires,
        })
    }

    /// A Timestamp or Snapshot file with these entries.
    pub(super) fn listing(&self, kind: &str, meta: Map<String, Json>) -> Json {
        let mut signed = self.to_json(kind);
        signed["meta"] = meta.into();
        signed
    }
}

impl Keys {
    /// `threshold` of the keys with these names.
    pub fn new(names: &[&str], threshold: u64) -> Self {
        Self {
            names: names.iter().map(ToString::to_string).collect(),
            threshold,
        }
    }

    fn to_json(&self, keys: &mut Map<String, Json>) -> Result<Json, KeyError> {
        let mut ids = Vec::new();
        for name in &self.names {
            let key: TestKey = name.parse()?;
            keys.insert(key.id(), key.to_json());
            ids.push(key.id());
        }
        Ok(json!({"keyids": ids, "threshold": self.threshold}))
    }
}

impl Root {
    /// Gives `role` these keys, and that many of them must sign.
    pub fn keys(&mut self, role: &'static str, names: &[&str], threshold: u64) {
        self.roles.insert(role, Keys::new(names, threshold));
    }

    pub(super) fn to_json(&self) -> Result<Json, KeyError> {
        let mut keys = Map::new();
        let mut roles = Map::new();
        for (role, role_keys) in &self.roles {
            roles.insert(role.to_string(), role_keys.to_json(&mut keys)?);
        }
        let mut signed = self.head.to_json("root");
        signed["consistent_snapshot"] = self.consistent.into();
        signed["keys"] = keys.into();
        signed["roles"] = roles.into();
        Ok(signed)
    }
}

impl Delegation {
    /// `role`, signed by the key of the same name, trusted for `paths`.
    pub fn to(role: &str, paths: &[&str]) -> Self {
        Self {
            role: role.into(),
            keys: Keys::new(&[role], 1),
            paths: paths.iter().map(ToString::to_string).collect(),
            prefixes: None,
            terminating: false,
        }
    }

    /// Signed by other keys than the one of the role's name.
    #[must_use]
    pub fn by(mut self, names: &[&str], threshold: u64) -> Self {
        self.keys = Keys::new(names, threshold);
        self
    }

    /// Trusted for these prefixes of the path's hash instead.
    #[must_use]
    pub fn prefixes(mut self, prefixes: &[&str]) -> Self {
        self.prefixes = Some(prefixes.iter().map(ToString::to_string).collect());
        self
    }

    /// The search ends here.
    #[must_use]
    pub fn terminating(mut self) -> Self {
        self.terminating = true;
        self
    }

    fn to_json(&self, keys: &mut Map<String, Json>) -> Result<Json, KeyError> {
        let mut role = self.keys.to_json(keys)?;
        role["name"] = self.role.as_str().into();
        role["terminating"] = self.terminating.into();
        match &self.prefixes {
            Some(prefixes) => role["path_hash_prefixes"] = json!(prefixes),
            None => role["paths"] = json!(self.paths),
        }
        Ok(role)
    }
}

impl Bins {
    /// The bin for `path`.
    pub fn name_for(&self, path: &str) -> String {
        let hash = countersign_metadata::sha256(path.as_bytes());
        let leading = u32::from_be_bytes([hash[0], hash[1], hash[2], hash[3]]);
        self.name(u64::from(leading) >> (32 - self.bits))
    }

    /// The names of all bins.
    pub fn names(&self) -> Vec<String> {
        (0..1_u64 << self.bits)
            .map(|number| self.name(number))
            .collect()
    }

    fn name(&self, number: u64) -> String {
        let digits = format!("{:x}", (1_u64 << self.bits) - 1).len();
        format!("{}-{number:0digits$x}", self.prefix)
    }

    fn to_json(&self, keys: &mut Map<String, Json>) -> Result<Json, KeyError> {
        let mut bins = self.keys.to_json(keys)?;
        bins["bit_length"] = self.bits.into();
        bins["name_prefix"] = self.prefix.as_str().into();
        Ok(bins)
    }
}

impl Listing {
    /// Who signs the delegated role `name`, as far as this file says.
    pub(super) fn delegate(&self, name: &str) -> Option<&Keys> {
        let listed = self.delegations.iter().find(|known| known.role == name);
        let bin = |bins: &&Bins| bins.names().iter().any(|bin| bin == name);
        listed
            .map(|delegation| &delegation.keys)
            .or_else(|| Some(&self.bins.as_ref().filter(bin)?.keys))
    }

    pub(super) fn to_json(&self) -> Result<Json, KeyError> {
        let mut signed = self.head.to_json("targets");
        let images = self.images.iter().map(|(path, bytes)| {
            let hash = hex::encode(countersign_metadata::sha256(bytes));
            let image = json!({"length": bytes.len(), "hashes": {"sha256": hash}});
            (path.clone(), image)
        });
        signed["targets"] = Json::Object(images.collect());
        if self.delegations.is_empty() && self.bins.is_none() {
            return Ok(signed);
        }
        let mut keys = Map::new();
        match &self.bins {
            Some(bins) => {
                let bins = bins.to_json(&mut keys)?;
                signed["delegations"] = json!({"keys": keys, "succinct_roles": bins});
            }
            None => {
                let roles: Result<Vec<Json>, KeyError> = self
                    .delegations
                    .iter()
                    .map(|delegation| delegation.to_json(&mut keys))
                    .collect();
                let roles = roles?;
                signed["delegations"] = json!({"keys": keys, "roles": roles});
            }
        }
        Ok(signed)
    }
}
