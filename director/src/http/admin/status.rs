//! How the Director is, and what somebody should see to.

use axum::Json;
use axum::extract::State;
use serde::Serialize;
use utoipa::ToSchema;

use super::caller::{Admin, Caller};
use super::words::Time;
use super::{Ending, Shared, refusals};
use crate::problem::Problem;
use crate::service::RootState;

/// A new Root takes a ceremony: people, tokens, a date.
const ROOT_SOON: i64 = 30 * 86_400;
/// Certificates and revocation lists are made by commands.
const OTHERS_SOON: i64 = 3 * 86_400;

/// How the Director is
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct Status {
    version: &'static str,
    now: Time,
    /// The newest Root, if there is one
    #[serde(skip_serializing_if = "Option::is_none")]
    root: Option<RootStatus>,
    /// Certificates, authorities and revocation lists
    endings: Vec<EndingStatus>,
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
pub(super) struct EndingStatus {
    what: String,
    at: Time,
}

/// Something that somebody should see to
#[derive(Serialize, ToSchema)]
pub(super) struct Alarm {
    /// Stable, for scripts
    #[schema(pattern = "^(no-root|root-expired|root-ends-soon|keys-not-listed|ended|ends-soon)$")]
    code: &'static str,
    /// For people
    message: String,
}

/// How the Director is, and what to see to
#[utoipa::path(
    get, path = "/v1/status", tag = "status", operation_id = "showStatus",
    security(("token" = ["admin"])),
    responses((status = 200, body = Status), refusals::Any),
)]
pub(super) async fn status(
    _caller: Caller<Admin>,
    State(api): State<Shared>,
) -> Result<Json<Status>, Problem> {
    let now = api.service.now()?;
    let root = match api.service.database().newest_root().await? {
        0 => None,
        _ => Some(api.service.root_state().await?),
    };
    let endings = (api.endings)();
    let mut alarms = root_alarms(root.as_ref(), now.unix());
    alarms.extend(endings.iter().filter_map(|ending| ending.alarm(now.unix())));
    Ok(Json(Status {
        version: env!("CARGO_PKG_VERSION"),
        now: Time(now),
        root: root.map(|root| RootStatus {
            version: root.version,
            expires: Time(root.expires),
            keys_listed: root.keys.is_ok(),
        }),
        endings: endings
            .into_iter()
            .map(|Ending { what, at }| EndingStatus { what, at: Time(at) })
            .collect(),
        alarms,
    }))
}

fn root_alarms(root: Option<&RootState>, now: i64) -> Vec<Alarm> {
    let alarm = |code, message| Alarm { code, message };
    let Some(root) = root else {
        let message = "there is no Root; import the one that the ceremony has made";
        return vec![alarm("no-root", message.into())];
    };
    let mut alarms = Vec::new();
    let (version, expires) = (root.version, root.expires);
    if expires.unix() <= now {
        let message =
            format!("Root {version} has expired at {expires}; vehicles refuse everything");
        alarms.push(alarm("root-expired", message));
    } else if expires.unix() - now < ROOT_SOON {
        let message = format!("Root {version} expires at {expires}; hold a ceremony");
        alarms.push(alarm("root-ends-soon", message));
    }
    if let Err(problem) = &root.keys {
        alarms.push(alarm("keys-not-listed", problem.message.clone()));
    }
    alarms
}

impl Ending {
    fn alarm(&self, now: i64) -> Option<Alarm> {
        let Self { what, at } = self;
        let (code, message) = match at.unix() - now {
            ..=0 => ("ended", format!("{what} has ended at {at}")),
            1..OTHERS_SOON => ("ends-soon", format!("{what} ends at {at}; renew it")),
            _ => return None,
        };
        Some(Alarm { code, message })
    }
}
