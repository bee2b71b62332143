//! `case.json`: one case as data. What is served stands in files beside it.

use std::collections::BTreeMap;

use countersign_metadata::UtcTime;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// One case: a client in a known state, what it is served, and what it must do.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Case {
    /// `AREA/NAME`, the directory of the case under `vectors/`.
    pub name: String,
    /// The clauses that the case tests, such as `TUF 5.5.5` or `Uptane 5.4.4.2`.
    pub spec: Vec<String>,
    /// The attack or the rule, in one or two sentences.
    pub note: String,
    /// The client's clock. Absent where any time from 2025 to 2098 gives the same result.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub clock: Option<Clock>,
    /// For a TUF client, the Root that it is provisioned with: a file below the directory of the case.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trusted_root: Option<String>,
    /// For an Uptane client, the ECU that it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ecu: Option<Ecu>,
    /// For a Director, the vehicles that are registered, by VIN.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub inventory: BTreeMap<String, Vehicle>,
    /// What the client is asked to do, in order. It keeps its metadata from step to step.
    pub steps: Vec<Step>,
}

/// What a case is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// A TUF client.
    Tuf,
    /// An ECU of a vehicle.
    Uptane,
    /// What a Director makes of vehicles' reports.
    Director,
}

/// An ECU as it leaves the factory (Uptane 5.4.1).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Ecu {
    /// The vehicle.
    pub vin: String,
    /// This ECU.
    pub serial: String,
    /// Its hardware.
    pub hardware_id: String,
    /// How it verifies.
    pub verification: Verification,
    /// Whether it is a Secondary: metadata and images come from a Primary, and it looks at its own
    /// image only.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub secondary: bool,
    /// The vehicle's other ECUs, with their hardware: metadata may name them.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub others: BTreeMap<String, String>,
    /// What runs on it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub installed: Option<Installed>,
    /// Its key for encrypted images: `keys/NAME.pem`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub decryption_key: Option<String>,
    /// The Director's Root: a file below the directory of the case.
    pub director_root: String,
    /// The Image repository's Root: a file below the directory of the case.
    pub image_root: String,
}

/// How an ECU verifies.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Verification {
    /// Both repositories (Uptane 5.4.4.2).
    Full,
    /// The Director's Root and Targets (Uptane 5.4.4.1).
    Partial,
}

/// An image that an ECU runs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Installed {
    /// Its target path.
    pub path: String,
    /// Its release counter.
    pub release_counter: u64,
    /// Its length in bytes.
    pub length: u64,
    /// Its SHA-256.
    pub sha256: String,
}

/// A vehicle as it is registered with a Director.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Vehicle {
    /// The serial of its Primary.
    pub primary: String,
    /// Its ECUs by serial, the Primary among them.
    pub ecus: BTreeMap<String, RegisteredEcu>,
}

/// An ECU as it is registered with a Director.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RegisteredEcu {
    /// Its hardware.
    pub hardware_id: String,
    /// The key that signs its reports, as metadata lists keys.
    pub key: serde_json::Value,
}

/// One run of the client.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Step {
    /// The repository: directories below that of the case, each with `metadata/` and perhaps
    /// `targets/`. A file is served out of the last of them that has it. Names on disk are
    /// percent-encoded, as in the request.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub serve: Vec<String>,
    /// Files that go on after their end, by path: how many spaces to serve after the file.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub pad: BTreeMap<String, usize>,
    /// Requests that are answered with another HTTP status than 200 or 404, by path.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub status: BTreeMap<String, u16>,
    /// The client's clock in this step, where it is not that of the case.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub clock: Option<Clock>,
    /// What the client is asked to do.
    pub action: Action,
    /// What must come of it.
    pub expect: Expect,
}

/// What the client is asked to do.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase", deny_unknown_fields)]
pub enum Action {
    /// Update the metadata of the four top-level roles.
    Refresh,
    /// Update the metadata and download these targets, in this order, up to the first failure.
    Download(Vec<String>),
    /// An ECU verifies what the Director assigns, and downloads it where it verifies in full.
    Cycle(Cycle),
    /// An ECU installs what its last cycle has found.
    Install(Install),
    /// A vehicle sends a Director its manifest.
    Manifest(Manifest),
}

/// What an ECU has for a cycle besides the repositories.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Cycle {
    /// The nonce that the ECU has drawn for the next attestation of the time, in hexadecimal.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub nonce: Option<String>,
    /// What the time server has answered: a file below the directory of the case.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub attestation: Option<String>,
    /// An offline bundle (PURE-2) in the place of the repositories, which must not be asked: a file below
    /// the directory of the case, as docs/offline-bundles.md has it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bundle: Option<String>,
}

/// What an ECU has for an installation besides what its last cycle has left.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Install {
    /// That of the cycle before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub attestation: Option<String>,
    /// That of the cycle before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bundle: Option<String>,
    /// The image as a Primary would hand it over, for an ECU that downloads nothing: a file below the
    /// directory of the case.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub image: Option<String>,
}

/// A manifest on its way to a Director.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    /// The VIN of the vehicle that sends it, as mutual TLS shows it.
    pub sender: String,
    /// What it sends: a file below the directory of the case.
    pub file: String,
}

/// Whether the client is content.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Verdict {
    /// It is: exit code 0.
    #[default]
    Accept,
    /// It is not: exit code 1.
    Reject,
}

/// What must come of a step.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Expect {
    /// Whether the client is content.
    pub verdict: Verdict,
    /// Why not, for clients that share our codes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub code: Option<String>,
    /// The role whose file is refused.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub role: Option<String>,
    /// Of which repository: `director` or `image`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub repository: Option<String>,
    /// For `target-not-found`: the code of what ended the search.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cause: Option<String>,
    /// The class of attack that is stopped; `none` for a defect that is no attack by itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub attack: Option<String>,
    /// What the client must trust afterwards, by role; `null` for nothing. A role that does not
    /// stand here is not looked at. For an ECU the names begin with the repository:
    /// `director/targets`.
    #[serde(default)]
    pub trusted: BTreeMap<String, Option<TrustedFile>>,
    /// The metadata files that the client must ask for, all of them and in this order. Absent
    /// where the order is not the point.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub requests: Option<Vec<String>>,
    /// The targets that the client must have at the end, by name: the SHA-256 of their bytes.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub downloads: BTreeMap<String, String>,
    /// What the Director assigns to the vehicle and everybody who was asked has signed for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub assigned: Option<Vec<Assigned>>,
    /// The SHA-256 of the image that runs afterwards; `factory` if it is the one that did before the
    /// first step.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub installed: Option<String>,
    /// ECUs whose report said nothing new.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stale: Option<Vec<String>>,
    /// The attack classes that the manifest tells of, each after the ECU: `BRAKE-1 rollback`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub attacks: Option<Vec<String>>,
}

/// One image for one ECU.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Assigned {
    /// The ECU.
    pub ecu: String,
    /// The image's target path.
    pub path: String,
    /// Its release counter.
    pub release_counter: u64,
    /// Whether it travels encrypted.
    pub encrypted: bool,
}

/// A trusted file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TrustedFile {
    /// Its version.
    pub version: u64,
    /// The very bytes: a file below the directory of the case.
    pub file: String,
}

/// A time such as `2031-01-31T23:59:59Z`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, JsonSchema)]
#[schemars(with = "String")]
pub struct Clock(pub UtcTime);

impl Serialize for Clock {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for Clock {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map(Self).map_err(serde::de::Error::custom)
    }
}

impl Case {
    /// What it is for.
    pub fn kind(&self) -> Kind {
        match (&self.ecu, self.inventory.is_empty()) {
            (Some(_), _) => Kind::Uptane,
            (None, false) => Kind::Director,
            (None, true) => Kind::Tuf,
        }
    }

    /// The clock of one step, if it matters.
    pub fn clock_of(&self, step: &Step) -> Option<UtcTime> {
        step.clock.or(self.clock).map(|clock| clock.0)
    }
}

/// The JSON schema of `case.json`, made from the types that this crate reads it with.
pub fn schema() -> String {
    let schema = schemars::schema_for!(Case);
    pretty(&schema)
}

/// Indented JSON with a final line feed, as all JSON files of this crate are written.
pub(crate) fn pretty(value: &impl Serialize) -> String {
    // These types have string keys only and no failing serializer.
    let text = serde_json::to_string_pretty(value).unwrap_or_default();
    text + "\n"
}
