//! What a device sends to the Director's routes, and what it gets, without a network.

use std::io::Cursor;

use axum::Router;
use axum::body::Body;
use axum::http::{HeaderMap, Request, StatusCode};
use bytes::Bytes;
use countersign_client::client::{ClientError, initialise, run_session};
use countersign_client::fetch::{Body as FetchBody, FetchError, Fetcher};
use countersign_client::store::MemoryStore;
use countersign_director::http::Limits;
use countersign_director::http::device::{Device, router};
use countersign_director::service::Service;
use countersign_metadata::UtcTime;
use countersign_verifier::uptane::{Director, DirectorSession, Ecus, Vehicle};
use countersign_verifier::{Context, FollowRoot, Limits as ClientLimits};
use http_body_util::BodyExt as _;
use tokio::runtime::Handle;
use tower::ServiceExt as _;

use crate::car::Car;

/// One device's line to the Director.
#[derive(Clone)]
pub(crate) struct Line {
    router: Router,
    device: Option<Device>,
}

pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

impl Answer {
    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers[name].to_str().unwrap()
    }

    pub(crate) fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body).unwrap()
    }

    /// The status, and the code of the refusal.
    pub(crate) fn refusal(&self) -> (u16, String) {
        let code = self.json()["error"]["code"].as_str().unwrap().to_owned();
        (self.status.as_u16(), code)
    }
}

/// As many requests as a test likes.
pub(crate) fn unlimited() -> Limits {
    Limits {
        per_minute: u32::MAX,
        burst: u32::MAX,
        ..Limits::default()
    }
}

impl Line {
    /// The line of the Primary of `car`.
    pub(crate) fn of(service: &Service, car: &Car) -> Self {
        Self::with(service, Some(device(car)), &unlimited())
    }

    pub(crate) fn with(service: &Service, device: Option<Device>, limits: &Limits) -> Self {
        Self {
            router: router(service.clone(), limits),
            device,
        }
    }

    /// The same routes for another device.
    pub(crate) fn as_device(&self, device: Option<Device>) -> Self {
        Self {
            router: self.router.clone(),
            device,
        }
    }

    pub(crate) async fn get(&self, path: &str) -> Answer {
        self.send("GET", path, &[], Vec::new()).await
    }

    pub(crate) async fn get_with(&self, path: &str, headers: &[(&str, &str)]) -> Answer {
        self.send("GET", path, headers, Vec::new()).await
    }

    pub(crate) async fn send(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: impl Into<Body>,
    ) -> Answer {
        let mut request = Request::builder().method(method).uri(path);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let mut request = request.body(body.into()).unwrap();
        if let Some(device) = &self.device {
            request.extensions_mut().insert(device.clone());
        }
        let response = self.router.clone().oneshot(request).await.unwrap();
        let (parts, body) = response.into_parts();
        Answer {
            status: parts.status,
            headers: parts.headers,
            body: body.collect().await.unwrap().to_bytes(),
        }
    }
}

pub(crate) fn device(car: &Car) -> Device {
    Device {
        vin: car.vin.clone(),
        serial: car.record.primary.clone(),
    }
}

/// A vehicle's memory of the Director's metadata: it believes what its verifier lets through.
#[derive(Clone)]
pub(crate) struct Follower {
    store: MemoryStore,
    vehicle: Vehicle,
}

impl Follower {
    /// It starts with the first Root.
    pub(crate) async fn new(service: &Service, car: &Car) -> Self {
        let mut store = MemoryStore::new();
        let root = service.database().root(1).await.unwrap().unwrap();
        initialise(&mut store, root).unwrap();
        let ecus = car.record.ecus.iter();
        let ecus = ecus.map(|(serial, ecu)| (serial.clone(), ecu.hardware_id.clone()));
        let vehicle = Vehicle {
            vin: car.vin.clone(),
            ecus: Ecus::All(ecus.collect()),
        };
        Self { store, vehicle }
    }

    /// What the Director says now, if the verifier believes it.
    pub(crate) async fn follow(&mut self, line: &Line, now: UtcTime) -> Result<Director, String> {
        let (line, handle) = (line.clone(), Handle::current());
        let Self { mut store, vehicle } = self.clone();
        let work = tokio::task::spawn_blocking(move || {
            let mut fetcher = LineFetcher { line, handle };
            let urls = ["http://director/v1/metadata/".to_owned()];
            let mut session = FollowRoot::new(ClientLimits::default(), "director");
            let followed = run_session(&mut fetcher, &mut store, &urls, &mut session)?;
            let context = Context {
                limits: ClientLimits::director(),
                ..Context::new(now)
            };
            let mut session = DirectorSession::new(followed, vehicle, context);
            let found = run_session(&mut fetcher, &mut store, &urls, &mut session)?;
            Ok::<_, ClientError>((store, found))
        });
        let (store, found) = work.await.unwrap().map_err(|error| error.to_string())?;
        self.store = store;
        Ok(found)
    }
}

struct LineFetcher {
    line: Line,
    handle: Handle,
}

impl Fetcher for LineFetcher {
    fn open(&mut self, url: &str, _: u64) -> Result<FetchBody<'_>, FetchError> {
        let path = url.strip_prefix("http://director").unwrap();
        // 503: others are faster at this vehicle, again and again.
        let answer = loop {
            let answer = self.handle.block_on(self.line.get(path));
            if answer.status != 503 || answer.refusal().1 != "unavailable" {
                break answer;
            }
        };
        match answer.status.as_u16() {
            200 => Ok(FetchBody::new(url, Cursor::new(answer.body), None, 0)),
            404 => Err(FetchError::NotFound {
                url: url.into(),
                status: Some(404),
            }),
            status => Err(FetchError::Status {
                url: url.into(),
                status,
            }),
        }
    }
}
