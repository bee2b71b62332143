//! What has happened.

use axum::Json;
use axum::extract::State;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::Shared;
use super::caller::{Admin, Caller, Read};
use super::extract::{Asked, At};
use super::refusals;
use super::view::Happened;
use super::words::VinText;
use crate::problem::Problem;
use crate::storage::{AuditHead, Entry};

/// Entries that are given at once, as the database gives them.
const PAGE: usize = 1000;

#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct After {
    /// Those after the one with this number
    #[serde(default)]
    #[param(minimum = 0, maximum = 9223372036854775807_u64, default = 0)]
    after: Option<u64>,
}

#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct Noted {
    /// The number of the last entry, as it was noted earlier
    #[param(minimum = 1, maximum = 9223372036854775807_u64)]
    seq: Option<u64>,
    /// Its digest
    #[param(pattern = "^[0-9a-f]{64}$", min_length = 64, max_length = 64)]
    digest: Option<String>,
}

/// Entries of the audit log, the oldest first, up to 1000
#[derive(Serialize, ToSchema)]
pub(super) struct Log {
    entries: Vec<Happened>,
    /// `after` of the next page
    #[serde(skip_serializing_if = "Option::is_none")]
    next: Option<u64>,
}

/// What the audit log comes to
#[derive(Serialize, ToSchema)]
pub(super) struct Checked {
    /// Whether nothing was changed, left out or cut off
    intact: bool,
    /// What is wrong with it
    #[serde(skip_serializing_if = "Option::is_none")]
    fault: Option<String>,
    /// The last entry, if it is intact; note it elsewhere
    #[serde(skip_serializing_if = "Option::is_none")]
    head: Option<Head>,
}

/// The last entry of the audit log
#[derive(Serialize, ToSchema)]
pub(super) struct Head {
    /// Its number; 0 if there is none
    seq: u64,
    #[schema(pattern = "^[0-9a-f]{64}$")]
    digest: String,
}

/// What has happened to a vehicle
#[utoipa::path(
    get, path = "/v1/vehicles/{vin}/history", tag = "vehicles", operation_id = "showHistory",
    params(("vin" = inline(VinText), Path), After), security(("token" = ["read"])),
    responses((status = 200, description = "What was found", body = Log), refusals::Any, refusals::One),
)]
pub(super) async fn history(
    caller: Caller<Read>,
    State(api): State<Shared>,
    At(VinText(vin)): At<VinText>,
    Asked(asked): Asked<After>,
) -> Result<Json<Log>, Problem> {
    caller.check_sees(&api, &vin).await?;
    let after = asked.after.unwrap_or_default();
    let entries = api.service.database().audit(Some(&vin), after).await?;
    Ok(Json(Log::of(entries)))
}

/// The audit log
#[utoipa::path(
    get, path = "/v1/audit", tag = "audit", operation_id = "listAudit",
    params(After), security(("token" = ["admin"])),
    responses((status = 200, description = "What was found", body = Log), refusals::Any),
)]
pub(super) async fn list(
    _caller: Caller<Admin>,
    State(api): State<Shared>,
    Asked(asked): Asked<After>,
) -> Result<Json<Log>, Problem> {
    let after = asked.after.unwrap_or_default();
    let entries = api.service.database().audit(None, after).await?;
    Ok(Json(Log::of(entries)))
}

/// Check the audit log
///
/// Against itself, and against an entry that was noted earlier: only that finds an end that was cut off.
#[utoipa::path(
    get, path = "/v1/audit/verify", tag = "audit", operation_id = "verifyAudit",
    params(Noted), security(("token" = ["admin"])),
    responses((status = 200, description = "What it comes to", body = Checked), refusals::Any),
)]
pub(super) async fn verify(
    _caller: Caller<Admin>,
    State(api): State<Shared>,
    Asked(noted): Asked<Noted>,
) -> Result<Json<Checked>, Problem> {
    let noted = match (noted.seq, noted.digest) {
        (None, None) => None,
        (Some(seq), Some(digest)) => Some(AuditHead { seq, digest }),
        _ => return Err(Problem::bad_request("give seq and digest, or none of them")),
    };
    let found = api.service.database().verify_audit(noted.as_ref()).await?;
    Ok(Json(match found {
        Ok(AuditHead { seq, digest }) => Checked {
            intact: true,
            fault: None,
            head: Some(Head { seq, digest }),
        },
        Err(fault) => Checked {
            intact: false,
            fault: Some(fault.to_string()),
            head: None,
        },
    }))
}

impl Log {
    fn of(entries: Vec<Entry>) -> Self {
        let next = entries.last().filter(|_| entries.len() >= PAGE);
        Self {
            next: next.map(|last| last.seq),
            entries: entries.into_iter().map(Happened::of).collect(),
        }
    }
}
