//! Certificates that devices ask for. The certification authority is elsewhere: its keeper takes the
//! request from here and puts the certificate back.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::Shared;
use super::caller::{Caller, Vehicles};
use super::extract::{At, Sent};
use super::refusals;
use super::words::{Time, VinText};
use crate::problem::Problem;

/// A request for a certificate, and the certificate once there is one
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct Asked {
    /// Serial of the ECU that it is for
    ecu: String,
    /// PKCS #10, PEM
    request: String,
    requested: Time,
    /// PEM; waits for the device
    #[serde(skip_serializing_if = "Option::is_none")]
    certificate: Option<String>,
}

/// A certificate
#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct Issued {
    /// PEM: the device's certificate and nothing else
    #[schema(min_length = 1, max_length = 65536)]
    certificate: String,
}

/// What certificate a vehicle asks for
#[utoipa::path(
    get, path = "/v1/vehicles/{vin}/certificate", tag = "certificates",
    operation_id = "showCertificateRequest",
    params(("vin" = inline(VinText), Path)), security(("token" = ["vehicles"])),
    responses((status = 200, body = Asked), refusals::Any, refusals::One),
)]
pub(super) async fn request(
    caller: Caller<Vehicles>,
    State(api): State<Shared>,
    At(VinText(vin)): At<VinText>,
) -> Result<Json<Asked>, Problem> {
    caller.check_sees(&api, &vin).await?;
    let asked = api.service.database().certificate_request(&vin).await?;
    let asked = asked.ok_or_else(nothing_asked)?;
    Ok(Json(Asked {
        ecu: asked.serial.to_string(),
        request: asked.request,
        requested: Time(asked.requested),
        certificate: asked.certificate,
    }))
}

/// Put a certificate where its device fetches it
///
/// It has to be for this vehicle and ECU, and for the key of the request.
#[utoipa::path(
    put, path = "/v1/vehicles/{vin}/certificate", tag = "certificates",
    operation_id = "putCertificate",
    params(("vin" = inline(VinText), Path)), request_body = Issued,
    security(("token" = ["vehicles"])),
    responses(
        (status = 204, description = "The device can fetch it"),
        refusals::Any, refusals::One, refusals::Sent, refusals::Against,
    ),
)]
pub(super) async fn answer(
    caller: Caller<Vehicles>,
    State(api): State<Shared>,
    At(VinText(vin)): At<VinText>,
    Sent(issued): Sent<Issued>,
) -> Result<StatusCode, Problem> {
    caller.check_sees(&api, &vin).await?;
    let asked = api.service.database().certificate_request(&vin).await?;
    let asked = asked.ok_or_else(nothing_asked)?;
    let texts = (&*asked.request, &*issued.certificate);
    let service = &api.service;
    service
        .answer_certificate(&vin, texts, &caller.actor())
        .await?;
    Ok(StatusCode::NO_CONTENT)
}

fn nothing_asked() -> Problem {
    Problem::missing("request of this vehicle for a certificate")
}
