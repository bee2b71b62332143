//! ECUs that were replaced, as after a repair: somebody looks at what the vehicle says, and approves.

use std::collections::BTreeMap;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use countersign_director_domain::EcuRecord;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::Shared;
use super::caller::{Caller, Read, Vehicles};
use super::extract::{At, Sent};
use super::refusals;
use super::words::VinText;
use crate::problem::Problem;
use crate::service::Waiting;

/// What a vehicle wants to be registered as
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct Replacement {
    /// Names it in an approval
    #[schema(pattern = "^[0-9a-f]{64}$")]
    digest: String,
    /// Serial of the Primary
    primary: String,
    /// The ECUs that it wants to have, by their serials
    ecus: BTreeMap<String, WantedEcu>,
    /// Serials of ECUs that it has and will not have
    gone: Vec<String>,
}

/// An ECU that a vehicle wants to have
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct WantedEcu {
    change: Difference,
    hardware_id: String,
    /// Id of the key that signs its reports
    signing_keyid: String,
    /// Id of the key that content keys are wrapped to
    #[serde(skip_serializing_if = "Option::is_none")]
    encryption_keyid: Option<String>,
}

/// What becomes of an ECU
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Difference {
    /// It stays as it is
    None,
    /// The vehicle has none of this serial
    New,
    /// It has other keys or hardware
    Other,
}

/// What was looked at
#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct Approval {
    /// `digest` of the replacement
    #[schema(pattern = "^[0-9a-f]{64}$", min_length = 64, max_length = 64)]
    digest: String,
}

/// What a vehicle wants to be registered as
#[utoipa::path(
    get, path = "/v1/vehicles/{vin}/replacement", tag = "vehicles",
    operation_id = "showReplacement",
    params(("vin" = inline(VinText), Path)), security(("token" = ["read"])),
    responses((status = 200, description = "It awaits approval", body = Replacement), refusals::Any, refusals::One),
)]
pub(super) async fn show(
    caller: Caller<Read>,
    State(api): State<Shared>,
    At(VinText(vin)): At<VinText>,
) -> Result<Json<Replacement>, Problem> {
    caller.check_sees(&api, &vin).await?;
    Ok(Json(Replacement::of(&api.service.waiting(&vin).await?)))
}

/// Let a vehicle be what it wants to be
///
/// Orders of ECUs that are gone or other ones go too.
#[utoipa::path(
    post, path = "/v1/vehicles/{vin}/replacement/approve", tag = "vehicles",
    operation_id = "approveReplacement",
    params(("vin" = inline(VinText), Path)), request_body = Approval,
    security(("token" = ["vehicles"])),
    responses(
        (status = 204, description = "The vehicle is what it wanted to be"),
        refusals::Any, refusals::One, refusals::Sent, refusals::Against,
    ),
)]
pub(super) async fn approve(
    caller: Caller<Vehicles>,
    State(api): State<Shared>,
    At(VinText(vin)): At<VinText>,
    Sent(approval): Sent<Approval>,
) -> Result<StatusCode, Problem> {
    caller.check_sees(&api, &vin).await?;
    let service = &api.service;
    service
        .approve(&vin, &approval.digest, &caller.actor())
        .await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Forget what a vehicle wants to be
#[utoipa::path(
    delete, path = "/v1/vehicles/{vin}/replacement", tag = "vehicles",
    operation_id = "rejectReplacement",
    params(("vin" = inline(VinText), Path)), security(("token" = ["vehicles"])),
    responses(
        (status = 204, description = "The vehicle stays what it is"),
        refusals::Any, refusals::One,
    ),
)]
pub(super) async fn reject(
    caller: Caller<Vehicles>,
    State(api): State<Shared>,
    At(VinText(vin)): At<VinText>,
) -> Result<StatusCode, Problem> {
    caller.check_sees(&api, &vin).await?;
    api.service.reject(&vin, &caller.actor()).await?;
    Ok(StatusCode::NO_CONTENT)
}

impl Replacement {
    fn of(waiting: &Waiting) -> Self {
        let (known, wanted) = (&waiting.known.ecus, &waiting.wanted.ecus);
        let ecus = wanted.iter().map(|(serial, ecu)| {
            let change = match known.get(serial) {
                None => Difference::New,
                Some(same) if same == ecu => Difference::None,
                Some(_) => Difference::Other,
            };
            (serial.to_string(), WantedEcu::of(ecu, change))
        });
        let gone = known
            .keys()
            .filter(|serial| !wanted.contains_key(*serial))
            .map(ToString::to_string);
        Self {
            digest: waiting.digest.clone(),
            primary: waiting.wanted.primary.to_string(),
            ecus: ecus.collect(),
            gone: gone.collect(),
        }
    }
}

impl WantedEcu {
    fn of(ecu: &EcuRecord, change: Difference) -> Self {
        let encryption = ecu.encryption.as_ref();
        Self {
            change,
            hardware_id: ecu.hardware_id.to_string(),
            signing_keyid: ecu.signing.id().as_str().into(),
            encryption_keyid: encryption.map(|key| key.id().as_str().into()),
        }
    }
}
