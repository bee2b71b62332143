//! What the roles say while the repository is honest.

use std::collections::BTreeMap;

use serde_json::{Map, json};

use super::Json;
use super::keys::{KeyError, TestKey};
use super::repo::FAR;

/// What every file begins with.
#[derive(Debug, Clone)]
pub struct Head {
    /// `version`
    pub version: u64,
    /// `expires`
    pub expires: String,
    /// Further members of `signed`.
    pub extra: BTreeMap<&'static str, Json>,
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
    /// Who attests the time (Uptane, a Director's Root).
    pub time_server: Option<Keys>,
    /// Who signs Offline Snapshot and Offline Targets (PURE-2, a Director's Root).
    pub offline: Option<[Keys; 2]>,
}

/// A Targets file, top-level or delegated.
#[derive(Debug, Clone)]
pub struct Listing {
    /// Version and expiry.
    pub head: Head,
    /// Images by path: their bytes.
    pub images: BTreeMap<String, Vec<u8>>,
    /// `custom` of images by path.
    pub custom: BTreeMap<String, Json>,
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
    hardware_ids: Option<Vec<String>>,
    several: Option<Several>,
}

/// Roles that have to agree (TAP 3).
#[derive(Debug, Clone)]
struct Several {
    roles: Vec<String>,
    min: u64,
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
            extra: BTreeMap::new(),
        }
    }

    fn to_json(&self, kind: &str) -> Json {
        let mut signed = json!({
            "_type": kind,
            "spec_version": "1.0.34",
            "version": self.version,
            "expires": self.expires,
        });
        for (member, value) in &self.extra {
            signed[*member] = value.clone();
        }
        signed
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
        if let Some(server) = &self.time_server {
            let mut keys = Map::new();
            let threshold = server.to_json(&mut keys)?["threshold"].take();
            signed["custom"]["timeServer"] = json!({"keys": keys, "threshold": threshold});
        }
        if let Some([snapshot, targets]) = &self.offline {
            let mut keys = Map::new();
            let snapshot = snapshot.to_json(&mut keys)?;
            let targets = targets.to_json(&mut keys)?;
            signed["custom"]["offlineUpdates"] =
                json!({"keys": keys, "snapshot": snapshot, "targets": targets});
        }
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
            hardware_ids: None,
            several: None,
        }
    }

    /// Several roles, each signed by the key of its name, of which `min` have to agree (TAP 3). `name`
    /// is that of the delegation.
    pub fn to_several(name: &str, roles: &[&str], min: u64, paths: &[&str]) -> Self {
        let roles = roles.iter().map(ToString::to_string).collect();
        Self {
            several: Some(Several { roles, min }),
            ..Self::to(name, paths)
        }
    }

    /// Trusted for ECUs of this hardware only.
    #[must_use]
    pub fn for_hardware(mut self, ids: &[&str]) -> Self {
        self.hardware_ids = Some(ids.iter().map(ToString::to_string).collect());
        self
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
        let mut role = match &self.several {
            None => self.keys.to_json(keys)?,
            Some(several) => several.to_json(keys)?,
        };
        role["name"] = self.role.as_str().into();
        role["terminating"] = self.terminating.into();
        match &self.prefixes {
            Some(prefixes) => role["path_hash_prefixes"] = json!(prefixes),
            None => role["paths"] = json!(self.paths),
        }
        if let Some(ids) = &self.hardware_ids {
            role["hardwareIds"] = json!(ids);
        }
        Ok(role)
    }

    /// Who signs `role`, if this delegates to it.
    fn keys_of(&self, role: &str) -> Option<Keys> {
        match &self.several {
            None => (self.role == role).then(|| self.keys.clone()),
            Some(several) => {
                let known = several.roles.iter().any(|one| one == role);
                known.then(|| Keys::new(&[role], 1))
            }
        }
    }
}

impl Several {
    fn to_json(&self, keys: &mut Map<String, Json>) -> Result<Json, KeyError> {
        let roles = self.roles.iter().map(|role| {
            let mut entry = Keys::new(&[role], 1).to_json(keys)?;
            entry["rolename"] = role.as_str().into();
            Ok(entry)
        });
        let roles = roles.collect::<Result<Vec<Json>, KeyError>>()?;
        Ok(json!({"roleinfo": roles, "min_roles_in_agreement": self.min}))
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
    /// Version 1, without images.
    pub fn empty() -> Self {
        Self {
            head: Head::first(FAR),
            images: BTreeMap::new(),
            custom: BTreeMap::new(),
            delegations: Vec::new(),
            bins: None,
        }
    }

    /// Who signs the delegated role `name`, as far as this file says.
    pub(super) fn delegate(&self, name: &str) -> Option<Keys> {
        let mut listed = self.delegations.iter();
        let bin = |bins: &&Bins| bins.names().iter().any(|bin| bin == name);
        listed
            .find_map(|delegation| delegation.keys_of(name))
            .or_else(|| Some(self.bins.as_ref().filter(bin)?.keys.clone()))
    }

    pub(super) fn to_json(&self) -> Result<Json, KeyError> {
        let mut signed = self.head.to_json("targets");
        let images = self.images.iter().map(|(path, bytes)| {
            let hash = hex::encode(countersign_metadata::sha256(bytes));
            let mut image = json!({"length": bytes.len(), "hashes": {"sha256": hash}});
            if let Some(custom) = self.custom.get(path) {
                image["custom"] = custom.clone();
            }
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
