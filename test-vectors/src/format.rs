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
    /// The clauses of the specification that the case tests, such as `TUF 5.5.5`.
    pub spec: Vec<String>,
    /// The attack or the rule, in one or two sentences.
    pub note: String,
    /// The client's clock. Absent where any time from 2025 to 2098 gives the same result.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub clock: Option<Clock>,
    /// The Root that the client is provisioned with: a file below the directory of the case.
    pub trusted_root: String,
    /// What the client is asked to do, in order. It keeps its metadata from step to step.
    pub steps: Vec<Step>,
}

/// One run of the client.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Step {
    /// The repository: directories below that of the case, each with `metadata/` and perhaps
    /// `targets/`. A file is served out of the last of them that has it. Names on disk are
    /// percent-encoded, as in the request.
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
}

/// Whether the client is content.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Verdict {
    /// It is: exit code 0.
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
    /// For `target-not-found`: the code of what ended the search.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cause: Option<String>,
    /// The class of attack that is stopped; `none` for a defect that is no attack by itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub attack: Option<String>,
    /// What the client must trust afterwards, by role; `null` for nothing. A role that does not
    /// stand here is not looked at.
    pub trusted: BTreeMap<String, Option<TrustedFile>>,
    /// The metadata files that the client must ask for, all of them and in this order. Absent
    /// where the order is not the point.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub requests: Option<Vec<String>>,
    /// The targets that the client must have at the end, by name: the SHA-256 of their bytes.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub downloads: BTreeMap<String, String>,
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
