//! What is shown, as JSON.

use countersign_metadata::json::{Object, Value};
use countersign_metadata::uptane::{InstalledImage, Outcome};
use serde::Serialize;
use utoipa::ToSchema;

use super::words::{Path, Time};
use crate::problem::Problem;
use crate::storage::Entry;

/// Entries of a list where nothing else is asked for.
pub(super) const PAGE: u32 = 100;
/// Entries of a list at most.
pub(super) const MAX_PAGE: u32 = 1000;

/// How many entries a list is to have.
///
/// # Errors
/// [`Problem`]
pub(super) fn page(asked: Option<u32>) -> Result<u32, Problem> {
    match asked.unwrap_or(PAGE) {
        most @ 1..=MAX_PAGE => Ok(most),
        _ => Err(Problem::bad_request(format!(
            "limit: a page has 1 to {MAX_PAGE} entries"
        ))),
    }
}

/// The name after which the next page begins, if this one is full.
pub(super) fn next<T, N>(page: &[T], most: u32, name: impl Fn(&T) -> N) -> Option<N> {
    let is_full = u32::try_from(page.len()).is_ok_and(|length| length >= most);
    page.last().filter(|_| is_full).map(name)
}

/// An image that an ECU says it runs
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct Installed {
    path: Path,
    /// In bytes
    length: u64,
    /// In hexadecimal
    #[serde(skip_serializing_if = "Option::is_none")]
    sha256: Option<String>,
}

impl Installed {
    pub(super) fn of(image: &InstalledImage) -> Self {
        Self {
            path: Path(image.filepath.clone()),
            length: image.length,
            sha256: image.hashes.sha256.map(hex::encode),
        }
    }
}

/// How the last update of an ECU ended
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct Ended {
    /// The version of the Targets that ordered it
    targets_version: u64,
    /// 0 for success, else that of docs/refusals.md
    code: u16,
    /// The name of the code
    name: String,
    /// For people
    message: String,
}

impl Ended {
    pub(super) fn of(outcome: &Outcome) -> Self {
        Self {
            targets_version: outcome.targets_version,
            code: outcome.code,
            name: outcome.name.clone(),
            message: outcome.message.clone(),
        }
    }
}

/// An entry of the audit log
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct Happened {
    /// Counts from 1, without a gap
    seq: u64,
    at: Time,
    /// `vehicle:VIN`, `token:ID`, `operator` or `director`
    actor: String,
    /// What it was
    #[schema(example = "order.given")]
    action: String,
    /// The vehicle that it was about
    #[serde(skip_serializing_if = "Option::is_none")]
    vin: Option<String>,
    /// The rest, by name
    #[schema(value_type = Object)]
    detail: serde_json::Value,
    /// SHA-256 over all that and the digest before
    #[schema(pattern = "^[0-9a-f]{64}$")]
    digest: String,
}

impl Happened {
    pub(super) fn of(entry: Entry) -> Self {
        Self {
            seq: entry.seq,
            at: Time(entry.record.at),
            actor: entry.record.actor,
            action: entry.record.action,
            vin: entry.record.vin.map(|vin| vin.to_string()),
            detail: members(&entry.record.detail),
            digest: entry.digest,
        }
    }
}

fn members(object: &Object) -> serde_json::Value {
    let members = object.iter();
    let members = members.map(|(name, value)| (name.clone(), shown(value)));
    serde_json::Value::Object(members.collect())
}

/// A value of metadata for those who read JSON with serde.
fn shown(value: &Value) -> serde_json::Value {
    match value {
        Value::Null => serde_json::Value::Null,
        Value::Bool(is) => (*is).into(),
        // Nothing that is remembered is beyond 64 bits.
        Value::Integer(number) => match u64::try_from(*number) {
            Ok(number) => number.into(),
            Err(_) => i64::try_from(*number).unwrap_or(i64::MIN).into(),
        },
        Value::String(text) => text.as_str().into(),
        Value::Array(values) => values.iter().map(shown).collect(),
        Value::Object(object) => members(object),
    }
}
