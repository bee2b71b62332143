//! How the Director is, and what somebody should see to.

use axum::Json;
use axum::extract::State;
use serde::Serialize;
use utoipa::ToSchema;

use super::caller::{Admin, Caller};
use super::words::Time;
use super::{Shared, refusals};
use crate::alarms::alarms;
use crate::problem::Problem;
use crate::tls::Tls;

/// How the Director is
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct Status {
    version: &'static str,
    now: Time,
    /// The newest Root, if there is one
    #[serde(skip_serializing_if = "Option::is_none")]
    root: Option<RootStatus>,
    /// Certificates, authorities and revocation lists of the vehicles' listener
    endings: Vec<Ending>,
    /// What somebody should see to; nothing if all is well
    alarms: Vec<Alarm>,
}

/// The newest Root
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct RootStatus {
    version: u64,
    expires: Time,
    /// Whether it lists the keys that are configured, so that metadata can be signed
    keys_listed: bool,
}

/// Something that ends unless somebody does something
#[derive(Serialize, ToSchema)]
pub(super) struct Ending {
    what: String,
    at: Time,
}

/// Something that somebody should see to
#[derive(Serialize, ToSchema)]
pub(super) struct Alarm {
    /// Stable, for scripts
    #[schema(example = "root")]
    code: &'static str,
    /// What it is and what to do
    message: String,
    /// When it ends, where it is something that does
    #[serde(skip_serializing_if = "Option::is_none")]
    at: Option<Time>,
}

/// How the Director is, and what to see to
#[utoipa::path(
    get, path = "/v1/status", tag = "status", operation_id = "showStatus",
    security(("token" = ["admin"])),
    responses((status = 200, description = "How it is", body = Status), refusals::Any),
)]
pub(super) async fn status(
    _caller: Caller<Admin>,
    State(api): State<Shared>,
) -> Result<Json<Status>, Problem> {
    let (service, tls) = (&api.service, api.tls.as_ref());
    let root = match service.database().newest_root().await? {
        0 => None,
        _ => Some(service.root_state().await?),
    };
    let alarms = alarms(service, tls).await?.into_iter();
    let endings = tls.map(Tls::deadlines).unwrap_or_default().into_iter();
    Ok(Json(Status {
        version: env!("CARGO_PKG_VERSION"),
        now: Time(service.now()?),
        root: root.map(|root| RootStatus {
            version: root.version,
            expires: Time(root.expires),
            keys_listed: root.keys.is_ok(),
        }),
        endings: endings.map(Ending::of).collect(),
        alarms: alarms.map(Alarm::of).collect(),
    }))
}

impl Ending {
    fn of(deadline: crate::tls::Deadline) -> Self {
        Self {
            what: deadline.name,
            at: Time(deadline.at),
        }
    }
}

impl Alarm {
    fn of(alarm: crate::alarms::Alarm) -> Self {
        Self {
            code: alarm.code,
            message: alarm.message,
            at: alarm.at.map(Time),
        }
    }
}
