//! Certificates that devices ask for. The certification authority is elsewhere: its keeper takes the
//! request from here and puts the certificate back.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use countersign_metadata::UtcTime;
use countersign_metadata::uptane::Vin;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use x509_parser::certification_request::X509CertificationRequest;
use x509_parser::pem::parse_x509_pem;
use x509_parser::prelude::FromDer as _;

use super::Shared;
use super::caller::{Caller, Vehicles};
use super::extract::{At, Sent};
use super::refusals;
use super::words::{Time, VinText};
use crate::problem::{Kind, Problem};
use crate::storage::CertificateRequest;
use crate::tls::Identity;

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
    responses((status = 200, description = "It waits", body = Asked), refusals::Any, refusals::One),
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
    check(&vin, &asked, &issued.certificate, api.service.now()?)?;
    let texts = (&*asked.request, &*issued.certificate);
    let service = &api.service;
    service
        .answer_certificate(&vin, texts, &caller.actor())
        .await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Whether this is the certificate that was asked for. Who has signed it is for whoever meets it later.
fn check(
    vin: &Vin,
    asked: &CertificateRequest,
    certificate: &str,
    now: UtcTime,
) -> Result<(), Problem> {
    let wrong = |what: String| Problem::new(Kind::Wrong, "certificate-wrong", what);
    let read = |text: &str| match parse_x509_pem(text.as_bytes()) {
        Ok((rest, pem)) if rest.trim_ascii().is_empty() => Some(pem),
        _ => None,
    };
    let der = read(certificate).filter(|pem| pem.label == "CERTIFICATE");
    let der = der.ok_or_else(|| wrong("send one certificate, in PEM".into()))?;
    let identity = Identity::of_certificate(&der.contents);
    let identity = identity.map_err(|error| wrong(error.to_string()))?;
    if (&identity.vin, &identity.serial) != (vin, &asked.serial) {
        let (of, ecu) = (&identity.vin, &identity.serial);
        return Err(wrong(format!(
            "this certificate is for ECU {ecu} of vehicle {of}, and ECU {} of vehicle {vin} asks for one",
            asked.serial
        )));
    }
    if identity.not_after <= now {
        return Err(wrong(format!("it has ended at {}", identity.not_after)));
    }
    let request = read(&asked.request);
    let key = request.as_ref().and_then(|pem| {
        let (_, request) = X509CertificationRequest::from_der(&pem.contents).ok()?;
        Some(request.certification_request_info.subject_pki.raw)
    });
    let certified = der.parse_x509().ok();
    let certified = certified.as_ref().map(|found| found.public_key().raw);
    match key.is_some() && key == certified {
        true => Ok(()),
        false => Err(wrong(
            "this certificate is for another key; have the request signed that waits here".into(),
        )),
    }
}

fn nothing_asked() -> Problem {
    Problem::missing("request of this vehicle for a certificate")
}
