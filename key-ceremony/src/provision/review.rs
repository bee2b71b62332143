//! What devices will trust, for people to read before it is written.

use std::fmt::Write as _;

use countersign_metadata::uptane::Mapping;
use countersign_metadata::{Role as _, sha256};
use serde::Serialize;

use super::anchor::{Anchor, PLAIN};
use super::bundle::{Bundle, Kind, Uptane};
use super::device::{Device, Possession};
use super::layout::{Factory, TimeFile};
use super::newest::Newest;
use super::profile::EcuModel;
use crate::profile::Accepted;
use crate::root_role::RootRole;

/// What a bundle says. Nothing in it depends on when it is looked at.
#[derive(Debug, Clone, Serialize)]
pub struct Review {
    /// What is provisioned, in words.
    pub name: String,
    /// The fingerprint of what all devices have in common.
    pub words: String,
    /// Whom devices will trust.
    pub roots: Vec<RootShown>,
    /// Where the repositories are, and who has to sign for what: one line for each.
    pub mapping: Vec<String>,
    /// What kind of ECU an Uptane device is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ecu: Option<EcuModel>,
    #[serde(skip_serializing_if = "Option::is_none")]
    installed: Option<Factory>,
    time: TimeFile,
    /// The newest metadata that all devices are given, one line for each repository.
    pub metadata: Vec<String>,
    /// The devices.
    pub devices: Vec<DeviceShown>,
    /// What of the policy was overridden, and why.
    pub accepted: Vec<Accepted>,
}

/// A Root.
#[derive(Debug, Clone, Serialize)]
pub struct RootShown {
    /// Of which repository.
    pub repository: String,
    /// Its version.
    pub version: u64,
    /// When it expires.
    pub expires: String,
    /// Its fingerprint, as the report of its ceremony shows it.
    pub words: String,
    /// SHA-256 of the file.
    pub sha256: String,
    /// Who signs what.
    pub roles: Vec<RoleShown>,
}

/// A role of a Root.
#[derive(Debug, Clone, Serialize)]
pub struct RoleShown {
    /// Its name.
    pub role: String,
    /// How many keys have to sign.
    pub threshold: u32,
    /// The keys.
    pub keys: Vec<KeyShown>,
}

/// A key.
#[derive(Debug, Clone, Serialize)]
pub struct KeyShown {
    /// Its id.
    pub keyid: String,
    /// What it signs with.
    pub scheme: String,
}

/// A device.
#[derive(Debug, Clone, Serialize)]
pub struct DeviceShown {
    /// The vehicle.
    pub vehicle: String,
    /// The ECU.
    pub ecu: String,
    /// How many ECUs of its vehicle it knows beside itself.
    pub others: usize,
    /// The id of its signing key.
    pub signing_key: Option<String>,
    /// Whether it has shown that it has the private half.
    pub possession: Option<Possession>,
    /// The id of its encryption key.
    pub encryption_key: Option<String>,
    /// The Director's metadata that it is given.
    pub metadata: Option<String>,
}

impl Review {
    pub(crate) fn new(bundle: &Bundle) -> Self {
        let parts = &bundle.parts;
        let mut review = Self {
            name: parts.name.clone(),
            words: bundle.words().into(),
            roots: parts.anchors().into_iter().map(root).collect(),
            mapping: Vec::new(),
            ecu: None,
            installed: None,
            time: TimeFile::new(&parts.time),
            metadata: Vec::new(),
            devices: parts.devices.iter().map(device).collect(),
            accepted: parts.accepted.clone(),
        };
        match &parts.kind {
            Kind::Plain(plain) => {
                let urls = plain.urls.iter();
                review.mapping = urls.map(|url| format!("repository at {url}")).collect();
                let newest = plain.newest.as_ref();
                review.metadata.extend(metadata(PLAIN, newest));
            }
            Kind::Uptane(uptane) => {
                review.mapping = mapping(uptane);
                review.ecu = Some(uptane.ecu.clone());
                review.installed = uptane.installed.clone();
                let newest = uptane.image_newest.as_ref();
                review.metadata.extend(metadata(Mapping::IMAGE, newest));
            }
        }
        review
    }

    /// As text, with at most so many devices. Whatever came out of a file stands on a line of ours.
    pub fn to_text(&self, most: usize) -> String {
        let mut text = format!("{}\n  {}", self.name, self.words);
        for root in &self.roots {
            text.push_str(&root.to_text());
        }
        let mut line = |line: &str| {
            text.push_str("\n  ");
            text.push_str(line);
        };
        for mapping in &self.mapping {
            line(mapping);
        }
        if let Some(ecu) = &self.ecu {
            line(&format!(
                "ECUs of hardware {} verify in {}{}",
                ecu.hardware_id,
                match ecu.verification.name() {
                    "partial" => "part",
                    full => full,
                },
                if ecu.is_secondary() {
                    ", as Secondaries"
                } else {
                    ""
                }
            ));
            line(&format!("report with {}", ecu.signing_key));
            match &ecu.decryption_key {
                Some(uri) => line(&format!("decrypt with {uri}")),
                None => line("decrypt nothing"),
            }
        }
        if let Some(image) = &self.installed {
            line(&format!(
                "installed: {} of {} bytes, release counter {}, sha256 {}",
                image.path.escape_debug(),
                image.length,
                image.release_counter,
                image.sha256
            ));
        }
        line(&format!("time: {}, {}", self.time.floor, self.time.source));
        for metadata in &self.metadata {
            line(metadata);
        }
        for accepted in &self.accepted {
            line(&format!(
                "accepted {}: {}",
                accepted.finding, accepted.reason
            ));
        }
        match (self.devices.len(), &self.ecu) {
            (0, Some(_)) => line("a template: the line fills in vehicle and ECU"),
            (0, None) => {}
            (count, _) => line(&format!("devices: {count}")),
        }
        for device in self.devices.iter().take(most) {
            line(&device.to_text());
        }
        if self.devices.len() > most {
            line(&format!("and {} more", self.devices.len() - most));
        }
        text
    }
}

impl RootShown {
    fn to_text(&self) -> String {
        let mut text = format!(
            "\n{} root {}, expires {}\n  {}\n  sha256 {}",
            self.repository, self.version, self.expires, self.words, self.sha256
        );
        for role in &self.roles {
            let (name, threshold, of) = (&role.role, role.threshold, role.keys.len());
            // Writing to a String cannot fail.
            let _ = write!(text, "\n  {name}: {threshold} of {of}");
            for key in &role.keys {
                // A Root may name schemes and key ids as it likes.
                let (scheme, id) = (key.scheme.escape_debug(), short(&key.keyid));
                let _ = write!(text, "\n      {scheme}  {}", id.escape_debug());
            }
        }
        text
    }
}

impl DeviceShown {
    fn to_text(&self) -> String {
        let mut text = format!("  {}  {}", self.vehicle, self.ecu);
        match (&self.signing_key, self.possession) {
            (Some(key), Some(Possession::Request)) => {
                let _ = write!(text, "  reports: {}, shown by its request", short(key));
            }
            (Some(key), _) => {
                let _ = write!(text, "  reports: {}, not shown", short(key));
            }
            (None, _) => {}
        }
        if let Some(key) = &self.encryption_key {
            let _ = write!(text, "  decrypts: {}", short(key));
        }
        if self.others > 0 {
            let _ = write!(text, "  knows {} other ECUs", self.others);
        }
        if let Some(metadata) = &self.metadata {
            let _ = write!(text, "  {metadata}");
        }
        text
    }
}

fn root(anchor: &Anchor) -> RootShown {
    let root = anchor.root();
    let roles = RootRole::all().filter_map(|role| {
        let listed = role.listed_in(root)?;
        let keys = listed.keys.iter().map(|(id, key)| KeyShown {
            keyid: id.as_str().into(),
            scheme: key.scheme.clone(),
        });
        Some(RoleShown {
            role: role.name().into(),
            threshold: listed.role.threshold,
            keys: keys.collect(),
        })
    });
    RootShown {
        repository: anchor.repository.into(),
        version: root.version(),
        expires: root.expires().to_string(),
        words: anchor.words(),
        sha256: hex::encode(sha256(anchor.bytes())),
        roles: roles.collect(),
    }
}

fn device(device: &Device) -> DeviceShown {
    let keys = &device.keys;
    let newest = device.director.as_ref();
    DeviceShown {
        vehicle: device.identity.vin().into(),
        ecu: device.identity.serial().into(),
        others: device.others.len(),
        signing_key: keys.signing_id(),
        possession: keys.signing.as_ref().map(|(_, possession)| *possession),
        encryption_key: keys.encryption_id(),
        metadata: metadata(Mapping::DIRECTOR, newest),
    }
}

/// `image timestamp 5, snapshot 5, targets 4`
fn metadata(repository: &str, newest: Option<&Newest>) -> Option<String> {
    let files = newest?.files.iter();
    let files = files.map(|(name, (version, _))| {
        let role = name.strip_suffix(".json").unwrap_or(name);
        format!("{role} {version}")
    });
    Some(format!(
        "{repository} {}",
        files.collect::<Vec<_>>().join(", ")
    ))
}

fn mapping(uptane: &Uptane) -> Vec<String> {
    // It was judged before it is shown.
    let Ok(mapping) = Mapping::parse(uptane.map.as_bytes()) else {
        return Vec::new();
    };
    let names = [Mapping::DIRECTOR, Mapping::IMAGE];
    let urls = |name: &&str| mapping.urls(name).to_vec();
    let at = names.iter().flat_map(|name| {
        let urls = urls(name).into_iter();
        urls.map(move |url| format!("{name} at {}", url.escape_debug()))
    });
    let mut lines: Vec<String> = at.collect();
    let [director, image] = names.map(|name| urls(&name));
    let usual = Mapping::both(director, image);
    lines.push(match usual.is_ok_and(|usual| usual == mapping) {
        true => "both have to sign for every image".into(),
        false => "a mapping of its own says who has to sign for what: read map.json".into(),
    });
    lines
}

/// Enough of an id to tell keys apart.
fn short(id: &str) -> String {
    id.chars().take(16).collect()
}
