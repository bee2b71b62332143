//! The device API, as docs/device-api.md has it: one table of routes, and who may use them.

mod images;
mod metadata;

use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::{DefaultBodyLimit, FromRequestParts, Request, State};
use axum::http::request::Parts;
use axum::http::{StatusCode, header};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post, put};
use axum::{Extension, Json, Router};
use countersign_director_domain::manifest::MAX_MANIFEST;
use countersign_director_domain::registration::{Registration, vehicle_of};
use countersign_metadata::json::{Value, parse};
use countersign_metadata::limits::MAX_NONCES;
use countersign_metadata::uptane::{EcuSerial, Nonce, Vin};
use serde_json::json;

use super::Limits;
use super::answer::{no_method, no_route, refuse};
use super::count::counted;
use super::rate::Rate;
use crate::problem::{Kind, Problem};
use crate::service::{Actor, Registered, Service};
use crate::storage::CertificateRequest;
use crate::tls::{Client, Refusal};

/// Who is at the other end: out of its certificate, never out of the request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Device {
    /// The vehicle.
    pub vin: Vin,
    /// The ECU that speaks for it.
    pub serial: EcuSerial,
}

/// Bytes of a certificate request.
const MAX_REQUEST: usize = 64 << 10;

/// The routes, for requests that have a [`Device`] among their extensions.
pub fn router(service: Service, limits: &Limits) -> Router {
    let known = Router::new()
        .route("/v1/manifest", put(manifest))
        .layer(DefaultBodyLimit::max(MAX_MANIFEST))
        .route("/v1/time", post(time))
        .route("/v1/metadata/{name}", get(metadata::file))
        .route("/v1/targets/{*name}", get(images::image))
        .route("/v1/certificate/request", put(ask_for_certificate))
        .route("/v1/certificate", get(certificate))
        .route_layer(middleware::from_fn_with_state(service.clone(), primaries));
    let any = Router::new()
        .route("/v1/vehicle", get(vehicle))
        .route("/v1/registration/challenge", post(challenge))
        .route("/v1/registration", post(register));
    let rate = Arc::new(Rate::new(limits));
    let router = known
        .merge(any)
        .fallback(no_route)
        .method_not_allowed_fallback(no_method)
        .layer(middleware::from_fn_with_state(rate, in_turn))
        .with_state(service);
    counted("device", limits.around(router))
}

/// Turns the certificate of a connection into a [`Device`], or refuses. It is looked at with every
/// request, so that what is revoked while a connection is open is refused on it.
pub fn behind_tls(router: Router, service: Service) -> Router {
    router.layer(middleware::from_fn_with_state(service, by_certificate))
}

async fn by_certificate(
    State(service): State<Service>,
    client: Option<Extension<Client>>,
    mut request: Request,
    next: Next,
) -> Response {
    let Some(Extension(client)) = client else {
        return Problem::new(Kind::Internal, "internal", "there is no TLS").into_response();
    };
    let now = match service.now() {
        Ok(now) => now,
        Err(problem) => return problem.into_response(),
    };
    let device = match client.check(now) {
        Ok(identity) => Device {
            vin: identity.vin.clone(),
            serial: identity.serial.clone(),
        },
        Err(refusal) => return refused(refusal).into_response(),
    };
    request.extensions_mut().insert(device);
    next.run(request).await
}

fn refused(refusal: Refusal) -> Problem {
    let (kind, code) = match refusal {
        Refusal::Identity(_) => (Kind::Forbidden, "certificate-identity"),
        Refusal::Revoked => (Kind::Forbidden, "certificate-revoked"),
        Refusal::Expired => (Kind::Forbidden, "certificate-expired"),
        Refusal::ListExpired => (Kind::Unavailable, "unavailable"),
        _ => (Kind::Forbidden, "certificate-untrusted"),
    };
    Problem::new(kind, code, refusal.to_string())
}

/// Each vehicle has its own share.
async fn in_turn(
    State(rate): State<Arc<Rate>>,
    device: Device,
    request: Request,
    next: Next,
) -> Response {
    match rate.check(device.vin.as_str()) {
        Ok(()) => next.run(request).await,
        Err(answer) => *answer,
    }
}

/// Only the Primary of a vehicle speaks for it.
async fn primaries(
    State(service): State<Service>,
    device: Device,
    request: Request,
    next: Next,
) -> Response {
    match service.check_primary(&device.vin, &device.serial).await {
        Ok(()) => next.run(request).await,
        Err(problem) => problem.into_response(),
    }
}

impl<S: Sync> FromRequestParts<S> for Device {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        let device = parts.extensions.get::<Self>();
        let nobody = || Problem::new(Kind::Forbidden, "certificate-identity", "nobody is known");
        device.cloned().ok_or_else(nobody)
    }
}

type Answer = Result<Response, Problem>;

async fn manifest(State(service): State<Service>, device: Device, body: Body) -> Answer {
    let receipt = service.accept_manifest(&device.vin, body.0).await?;
    let stale = receipt.stale.iter().map(EcuSerial::as_str);
    let stale: Vec<&str> = stale.collect();
    Ok(Json(json!({ "stale": stale })).into_response())
}

async fn time(State(service): State<Service>, body: Body) -> Answer {
    let nonces = nonces_of(&body.json()?).ok_or_else(|| {
        let message = format!("send {{\"nonces\": [..]}} with 1 to {MAX_NONCES} nonces");
        Problem::bad_request(message)
    })?;
    Ok(json_file(service.attest(nonces).await?))
}

fn nonces_of(value: &Value) -> Option<Vec<Nonce>> {
    let members = value.as_object().filter(|members| members.len() == 1)?;
    let Value::Array(nonces) = members.get("nonces")? else {
        return None;
    };
    let nonce = |text: &Value| {
        let mut nonce = [0; 16];
        let text = text.as_str()?;
        hex::decode_to_slice(text, &mut nonce).ok()?;
        Some(Nonce(nonce))
    };
    let nonces: Vec<Nonce> = nonces.iter().map(nonce).collect::<Option<_>>()?;
    (1..=MAX_NONCES).contains(&nonces.len()).then_some(nonces)
}

async fn vehicle(State(service): State<Service>, device: Device) -> Answer {
    let view = service.view(&device.vin).await;
    let view = match view {
        Ok(view) => view,
        Err(problem) if problem.kind == Kind::Missing => {
            let vehicle = json!({ "vin": device.vin.as_str(), "registered": false });
            return Ok(Json(vehicle).into_response());
        }
        Err(problem) => return Err(problem),
    };
    let ecus = view.record.ecus.iter().map(|(serial, ecu)| {
        let ecu = json!({
            "hardwareId": ecu.hardware_id.as_str(),
            "signingKeyId": ecu.signing.id().as_str(),
            "encryptionKeyId": ecu.encryption.as_ref().map(|key| key.id().to_string()),
        });
        (serial.to_string(), ecu)
    });
    let vehicle = json!({
        "vin": device.vin.as_str(),
        "registered": true,
        "primary": view.record.primary.as_str(),
        "ecus": ecus.collect::<serde_json::Map<_, _>>(),
        "replacementPending": view.replacement,
    });
    Ok(Json(vehicle).into_response())
}

async fn challenge(State(service): State<Service>, device: Device, body: Body) -> Answer {
    let vehicle = vehicle_of(&body.json()?)?;
    let who = (&device.vin, &device.serial);
    let challenge = service.challenge(who, vehicle).await?;
    Ok(json_file(challenge.to_json().into_bytes()))
}

async fn register(State(service): State<Service>, device: Device, body: Body) -> Answer {
    let registration = Registration::parse(&body.0)?;
    let who = (&device.vin, &device.serial);
    let (status, state) = match service.register(who, registration).await? {
        Registered::New => (StatusCode::CREATED, "registered"),
        Registered::AsBefore => (StatusCode::OK, "registered"),
        Registered::Waits => (StatusCode::ACCEPTED, "waits-for-approval"),
    };
    Ok((status, Json(json!({ "status": state }))).into_response())
}

async fn ask_for_certificate(State(service): State<Service>, device: Device, body: Body) -> Answer {
    let text = std::str::from_utf8(&body.0)
        .ok()
        .filter(|text| text.len() <= MAX_REQUEST);
    let text = text.filter(|text| is_request(text)).ok_or_else(|| {
        Problem::bad_request("send one certificate request (PKCS #10) as PEM, up to 64 KiB")
    })?;
    let request = CertificateRequest {
        serial: device.serial.clone(),
        request: text.into(),
        requested: service.now()?,
        certificate: None,
    };
    let actor = Actor::vehicle(&device.vin);
    service
        .ask_for_certificate(&device.vin, &request, &actor)
        .await?;
    let waits = Json(json!({ "status": "waits-for-approval" }));
    Ok((StatusCode::ACCEPTED, waits).into_response())
}

fn is_request(text: &str) -> bool {
    let pem = x509_parser::pem::parse_x509_pem(text.as_bytes());
    pem.is_ok_and(|(rest, pem)| {
        rest.iter().all(u8::is_ascii_whitespace) && pem.label == "CERTIFICATE REQUEST"
    })
}

async fn certificate(State(service): State<Service>, device: Device) -> Answer {
    let known = service.database().certificate_request(&device.vin).await?;
    let known = known.filter(|known| known.serial == device.serial);
    let certificate = known.and_then(|known| known.certificate);
    let certificate = certificate.ok_or_else(|| Problem::missing("certificate that waits"))?;
    let kind = [(header::CONTENT_TYPE, "application/pem-certificate-chain")];
    Ok((kind, certificate).into_response())
}

/// A body of the size that the route takes.
struct Body(Bytes);

impl Body {
    fn json(&self) -> Result<Value, Problem> {
        parse(&self.0).map_err(|error| Problem::bad_request(error.to_string()))
    }
}

impl<S: Send + Sync> axum::extract::FromRequest<S> for Body {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &S) -> Result<Self, Problem> {
        Ok(Self(Bytes::from_request(request, state).await?))
    }
}

/// JSON that is signed, or made by the domain: sent as it is.
fn json_file(bytes: Vec<u8>) -> Response {
    ([(header::CONTENT_TYPE, "application/json")], bytes).into_response()
}

/// 304, or a file with its entity tag.
fn not_modified(etag: &str) -> Response {
    (StatusCode::NOT_MODIFIED, [(header::ETAG, etag)]).into_response()
}

/// A range that is not there.
fn no_range(length: u64) -> Response {
    let mut response = refuse(
        StatusCode::RANGE_NOT_SATISFIABLE,
        "range",
        format!("the image has {length} bytes"),
    );
    if let Ok(value) = header::HeaderValue::from_str(&format!("bytes */{length}")) {
        response.headers_mut().insert(header::CONTENT_RANGE, value);
    }
    response
}
