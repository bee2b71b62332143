//! A Director at work, with real keys, files and an Image repository, and a way to ask its admin API.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use axum::Router;
use axum::body::Body;
use axum::http::{Method, Request, StatusCode, header};
use countersign_client::clock::system_time;
use countersign_client::fetch::TlsRoots;
use countersign_director::blobs::{BlobSettings, Blobs};
use countersign_director::http::Limits;
use countersign_director::http::admin::{self, Admin};
use countersign_director::keys::{KeyUris, Keyring};
use countersign_director::service::{Actor, ImageSource, Parts, Rules, Service};
use countersign_director::tokens::{self, NewToken, Scope};
use countersign_director_domain::keys::signed;
use countersign_director_domain::{EcuRecord, VehicleRecord};
use countersign_ecu_keys::ImageKey;
use countersign_metadata::uptane::{
    EcuSerial, EncryptionAlgorithm, EncryptionKey, HardwareId, ImageCustom, Vin, set_time_server,
};
use countersign_metadata::{Key, PublicKey, RoleType, Root, UtcTime};
use countersign_repo::policy::{Policy, RolePolicy, TopLevel};
use countersign_repo::{NewTarget, Outgoing, Repository, Visibility};
use countersign_signing::{
    Algorithm, DecryptionKey, KeyUri, Secrets, Signer, generate, generate_decryption_key, open,
};
use http_body_util::BodyExt as _;
use serde_json::Value;
use tower::ServiceExt as _;

use crate::places::Place;

/// A Director, and everything around it.
pub(crate) struct Office {
    pub(crate) service: Service,
    pub(crate) router: Router,
    folder: tempfile::TempDir,
    /// Its clock, in Unix time. It stands still until somebody lets time go by.
    clock: Arc<AtomicI64>,
}

/// An answer.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: axum::http::HeaderMap,
    pub(crate) text: String,
}

impl Answer {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or(Value::Null)
    }

    /// The code of a refusal.
    pub(crate) fn code(&self) -> String {
        let code = &self.json()["error"]["code"];
        code.as_str().unwrap_or_default().into()
    }
}

pub(crate) fn vin(text: &str) -> Vin {
    Vin::new(text).unwrap()
}

pub(crate) fn serial(text: &str) -> EcuSerial {
    EcuSerial::new(text).unwrap()
}

fn key_uri(name: &str) -> KeyUri {
    let uri = format!("file:keys/{name}.pem?encryption=none");
    uri.parse().unwrap()
}

impl Office {
    /// With a Root that lists its keys.
    pub(crate) async fn new(place: &Place) -> Self {
        let office = Self::without_root(place).await;
        let root = office.root(1);
        let now = office.service.now().unwrap();
        let imported = office
            .service
            .import_root(root, &Actor::operator(), now)
            .await;
        assert_eq!(imported.unwrap(), 1);
        office
    }

    pub(crate) async fn without_root(place: &Place) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        for name in ["keys", "blobs", "spool", "image-metadata"] {
            fs::create_dir(path(name)).unwrap();
        }
        let secrets = Arc::new(Secrets::unattended(folder.path()));
        for name in ["root", "targets", "snapshot", "timestamp", "time"] {
            generate(&key_uri(name), Algorithm::Ed25519, &secrets).unwrap();
        }
        let vault = key_uri("vault");
        generate_decryption_key(&vault, EncryptionAlgorithm::X25519, &secrets).unwrap();
        start_repository(&path("repository"));
        let uris = KeyUris {
            targets: vec![key_uri("targets")],
            snapshot: vec![key_uri("snapshot")],
            timestamp: vec![key_uri("timestamp")],
            time: vec![key_uri("time")],
            ..KeyUris::default()
        };
        let published = path("repository/published");
        let clock = Arc::new(AtomicI64::new(system_time().unwrap().unix()));
        let shown = Arc::clone(&clock);
        let parts = Parts {
            database: place.open().await,
            blobs: Blobs::open(&BlobSettings::at(&format!(
                "file://{}",
                path("blobs").display()
            )))
            .unwrap(),
            keyring: Keyring::open(&uris, &secrets, 1).unwrap(),
            vaults: vec![ImageKey(DecryptionKey::open(&vault, &secrets).unwrap())],
            images: ImageSource {
                url: format!("file://{}", published.display()),
                root: fs::read(published.join("metadata/1.root.json")).unwrap(),
                folder: path("image-metadata"),
                authorities: TlsRoots::mozilla(),
            },
            rules: Rules::default(),
            spool: path("spool"),
            clock: Arc::new(move || UtcTime::from_unix(shown.load(Ordering::Relaxed))),
        };
        let service = Service::new(parts).await.unwrap();
        let router = admin::router(Admin {
            service: service.clone(),
            limits: Limits {
                burst: 10_000,
                ..Limits::default()
            },
            tls: None,
        });
        Self {
            service,
            router,
            folder,
            clock,
        }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub(crate) fn now(&self) -> UtcTime {
        self.service.now().unwrap()
    }

    /// Lets so many seconds go by.
    pub(crate) fn later(&self, seconds: i64) {
        self.clock.fetch_add(seconds, Ordering::Relaxed);
    }

    /// A Root of this version that lists the keys.
    pub(crate) fn root(&self, version: u64) -> Vec<u8> {
        let secrets = Secrets::unattended(self.folder.path());
        let key = |name: &str| open(&key_uri(name), &secrets).unwrap();
        let mut root = Root::new(self.now().plus_seconds(365 * 86_400).unwrap(), true);
        root.header.version = version;
        for (role, name) in [
            (RoleType::Root, "root"),
            (RoleType::Targets, "targets"),
            (RoleType::Snapshot, "snapshot"),
            (RoleType::Timestamp, "timestamp"),
        ] {
            root.add_key(role, key(name).key());
        }
        set_time_server(&mut root, [key("time").key()], 1);
        let signer: Box<dyn Signer> = key("root");
        signed(root.to_payload(), &*signer).unwrap()
    }

    /// A token with these scopes.
    pub(crate) async fn token(&self, scopes: &[Scope], tenant: Option<&str>) -> String {
        let new = NewToken {
            name: "test".into(),
            tenant: tenant.map(Into::into),
            scopes: scopes.iter().copied().collect(),
            days: 1,
        };
        let (database, actor) = (self.service.database(), Actor::operator());
        let made = tokens::make(database, &new, self.now(), &actor).await;
        made.unwrap().1.expose().to_owned()
    }

    /// Registers a vehicle of ECUs with this hardware. All of them have encryption keys.
    pub(crate) async fn register(&self, name: &str, tenant: &str, ecus: &[(&str, &str)]) {
        let record = self.record(name, ecus);
        let database = self.service.database();
        let registered = database
            .register(&vin(name), tenant, &record, self.now(), &[])
            .await;
        registered.unwrap();
    }

    /// Such a vehicle, with keys that no other name has.
    pub(crate) fn record(&self, name: &str, ecus: &[(&str, &str)]) -> VehicleRecord {
        let ecu = |(serial_text, hardware): &(&str, &str)| {
            let seed = format!("{name} {serial_text}");
            let record = EcuRecord {
                hardware_id: HardwareId::new(hardware).unwrap(),
                signing: Key::new(&PublicKey::Ed25519(countersign_metadata::sha256(
                    seed.as_bytes(),
                ))),
                encryption: Some(self.encryption_key(&seed)),
            };
            (serial(serial_text), record)
        };
        VehicleRecord {
            primary: serial(ecus[0].0),
            ecus: ecus.iter().map(ecu).collect::<BTreeMap<_, _>>(),
        }
    }

    fn encryption_key(&self, seed: &str) -> EncryptionKey {
        let secrets = Secrets::unattended(self.folder.path());
        let name = hex::encode(&countersign_metadata::sha256(seed.as_bytes())[..8]);
        if let Ok(key) = DecryptionKey::open(&key_uri(&name), &secrets) {
            return key.public_key().clone();
        }
        generate_decryption_key(&key_uri(&name), EncryptionAlgorithm::X25519, &secrets).unwrap()
    }

    /// Asks the admin API.
    pub(crate) async fn ask(&self, request: Request<Body>) -> Answer {
        let response = self.router.clone().oneshot(request).await.unwrap();
        let (parts, body) = response.into_parts();
        let body = body.collect().await.unwrap().to_bytes();
        Answer {
            status: parts.status,
            headers: parts.headers,
            text: String::from_utf8(body.to_vec()).unwrap(),
        }
    }

    /// Asks without a body.
    pub(crate) async fn send(&self, token: &str, method: Method, path: &str) -> Answer {
        let request = Request::builder().method(method).uri(path);
        let request = request.header(header::AUTHORIZATION, format!("Bearer {token}"));
        self.ask(request.body(Body::empty()).unwrap()).await
    }

    pub(crate) async fn get(&self, token: &str, path: &str) -> Answer {
        self.send(token, Method::GET, path).await
    }

    /// Asks with JSON.
    pub(crate) async fn say(
        &self,
        token: &str,
        method: Method,
        path: &str,
        body: &Value,
    ) -> Answer {
        let request = Request::builder().method(method).uri(path);
        let request = request
            .header(header::AUTHORIZATION, format!("Bearer {token}"))
            .header(header::CONTENT_TYPE, "application/json");
        self.ask(request.body(Body::from(body.to_string())).unwrap())
            .await
    }

    pub(crate) async fn post(&self, token: &str, path: &str, body: &Value) -> Answer {
        self.say(token, Method::POST, path, body).await
    }

    /// Uploads the bytes of an image, in chunks.
    pub(crate) async fn upload(&self, token: &str, query: &str, bytes: &[u8]) -> Answer {
        let chunks: Vec<std::io::Result<Vec<u8>>> =
            bytes.chunks(1000).map(|chunk| Ok(chunk.to_vec())).collect();
        let request = Request::builder()
            .method(Method::PUT)
            .uri(format!("/v1/images/content?{query}"))
            .header(header::AUTHORIZATION, format!("Bearer {token}"))
            .header(header::CONTENT_TYPE, "application/octet-stream");
        let body = Body::from_stream(futures_util::stream::iter(chunks));
        self.ask(request.body(body).unwrap()).await
    }

    /// Releases an image in the Image repository.
    pub(crate) fn publish(
        &self,
        name: &str,
        custom: &ImageCustom,
        bytes: &[u8],
        visibility: Visibility,
    ) {
        let source = self.path("image");
        fs::write(&source, bytes).unwrap();
        let new = NewTarget {
            source: source.clone(),
            name: name.into(),
            custom: Some(custom.to_object()),
            visibility,
        };
        let folder = self.path("repository");
        let secrets = Secrets::unattended(&folder);
        let mut repository = Repository::open(&folder, self.now(), secrets).unwrap();
        repository.add_targets(&[new], None).unwrap();
        repository.sign(&[]).unwrap();
        repository.publish(Outgoing::Sign).unwrap();
        fs::remove_file(source).unwrap();
    }

    /// Releases an image for one kind of hardware, and takes it into the catalogue.
    pub(crate) async fn release(&self, name: &str, hardware: &str, counter: u64) {
        let custom = for_hardware(hardware, counter);
        self.publish(name, &custom, name.as_bytes(), Visibility::Public);
        let path = countersign_metadata::TargetPath::new(name).unwrap();
        let listed = self.service.list_image(&path, &Actor::operator()).await;
        listed.unwrap();
    }

    /// All files below a folder.
    pub(crate) fn files(&self, folder: &str) -> Vec<Vec<u8>> {
        let mut found = Vec::new();
        let mut folders = vec![self.path(folder)];
        while let Some(folder) = folders.pop() {
            for entry in fs::read_dir(folder).unwrap() {
                let path = entry.unwrap().path();
                match path.is_dir() {
                    true => folders.push(path),
                    false => found.push(fs::read(path).unwrap()),
                }
            }
        }
        found
    }
}

pub(crate) fn for_hardware(hardware: &str, counter: u64) -> ImageCustom {
    ImageCustom::new(vec![HardwareId::new(hardware).unwrap()], counter)
}

fn start_repository(folder: &Path) {
    fs::create_dir_all(folder.join("keys")).unwrap();
    let secrets = || Secrets::unattended(folder);
    let role = |name: &str| {
        let uri = key_uri(name);
        generate(&uri, Algorithm::Ed25519, &secrets()).unwrap();
        RolePolicy {
            threshold: 1,
            keys: vec![uri.to_string()],
            expires: "365d".parse().unwrap(),
        }
    };
    let policy = Policy::new(TopLevel {
        root: role("root"),
        targets: role("targets"),
        snapshot: role("snapshot"),
        timestamp: role("timestamp"),
    });
    let now = system_time().unwrap();
    let mut repository = Repository::init(folder, Some(&policy), now, secrets()).unwrap();
    repository.sign(&[]).unwrap();
    repository.publish(Outgoing::Sign).unwrap();
}
