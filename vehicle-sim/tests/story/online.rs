//! A vehicle that registers with a Director's service, and works with it, over mutual TLS. The service
//! is the stand-in behind HTTP as docs/device-api.md has it.

use std::collections::BTreeMap;
use std::fs;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::thread;

use countersign_client::uptane::primary::DirectorLink as _;
use countersign_director_domain::registration::{
    self, Challenge, Registration, vehicle_of, wrap_context,
};
use countersign_encryption::ContentKey;
use countersign_metadata::json;
use countersign_metadata::uptane::{EcuSerial, Nonce};
use countersign_signing::{Algorithm, KeyUri, Secrets};
use countersign_vehicle_sim::Shared;
use countersign_vehicle_sim::director::VehicleRecord;
use rcgen::{
    BasicConstraints, CertificateParams, CertificateSigningRequestParams, IsCa, Issuer, KeyPair,
    PublicKeyData as _,
};
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig, ServerConnection, StreamOwned};
use zeroize::Zeroizing;

use crate::command::Terminal;
use crate::world::{CAR, World, ecu, vin};

const CHALLENGE: &str = "a challenge";

/// What is wrapped to an ECU.
fn wrapped_key(serial: &EcuSerial) -> ContentKey {
    let key = countersign_metadata::sha256(serial.as_str().as_bytes());
    ContentKey::from_bytes(Zeroizing::new(key))
}

/// A Director's service for the usual vehicle.
struct Desk {
    url: String,
    devices: Issuer<'static, KeyPair>,
}

fn authority() -> (Issuer<'static, KeyPair>, rcgen::Certificate) {
    let key = KeyPair::generate().unwrap();
    let mut ca = CertificateParams::new(Vec::new()).unwrap();
    ca.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let certificate = ca.self_signed(&key).unwrap();
    (Issuer::new(ca, key), certificate)
}

impl Desk {
    /// Its authority is written to `servers.pem`.
    fn open(world: &World) -> Self {
        let (servers, server_ca) = authority();
        let (devices, device_ca) = authority();
        fs::write(world.path().join("servers.pem"), server_ca.pem()).unwrap();
        let key = KeyPair::generate().unwrap();
        let names = CertificateParams::new(vec!["localhost".into()]).unwrap();
        let certificate = names.signed_by(&key, &servers).unwrap();
        let mut roots = RootCertStore::empty();
        roots.add(device_ca.der().clone()).unwrap();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let verifier =
            WebPkiClientVerifier::builder_with_provider(roots.into(), provider.clone()).build();
        let config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_client_cert_verifier(verifier.unwrap())
            .with_single_cert(
                vec![certificate.der().clone()],
                key.serialize_der().try_into().unwrap(),
            )
            .unwrap();
        let config = Arc::new(config);
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let clerk = Clerk {
            service: world.service.clone(),
            registered: Arc::default(),
        };
        thread::spawn(move || {
            for tcp in listener.incoming() {
                let (clerk, config) = (clerk.clone(), config.clone());
                thread::spawn(move || {
                    let connection = ServerConnection::new(config).unwrap();
                    clerk.serve(StreamOwned::new(connection, tcp.unwrap()));
                });
            }
        });
        Self {
            url: format!("https://localhost:{port}/v1/"),
            devices,
        }
    }

    fn certify(&self, request: &str) -> String {
        let request = CertificateSigningRequestParams::from_pem(request).unwrap();
        request.signed_by(&self.devices).unwrap().pem()
    }
}

#[derive(Clone)]
struct Clerk {
    service: Shared,
    registered: Arc<Mutex<Option<VehicleRecord>>>,
}

type Reply = (u16, Vec<u8>);

impl Clerk {
    fn serve(&self, mut stream: StreamOwned<ServerConnection, TcpStream>) {
        while let Some((line, body)) = read_request(&mut stream) {
            let (status, body) = self.answer(&line, &body);
            let length = body.len();
            let head = format!("HTTP/1.1 {status} x\r\nContent-Length: {length}\r\n\r\n");
            let sent = stream.write_all(&[head.as_bytes(), &body].concat());
            if sent.and_then(|()| stream.flush()).is_err() {
                return;
            }
        }
    }

    fn answer(&self, line: &str, body: &[u8]) -> Reply {
        let mut words = line.split(' ');
        let (method, path) = (words.next().unwrap(), words.next().unwrap());
        let mut link = self.service.link(&vin(CAR));
        match (method, path.strip_prefix("/v1/").unwrap()) {
            ("POST", "registration/challenge") => (200, challenge(body)),
            ("POST", "registration") => self.register(body),
            ("PUT", "manifest") => match link.put_manifest(body) {
                Ok(()) => (200, br#"{"stale": []}"#.to_vec()),
                Err(_) => refusal(400, "manifest-malformed"),
            },
            ("POST", "time") => {
                let question: BTreeMap<String, Vec<String>> = serde_json::from_slice(body).unwrap();
                let nonces = question["nonces"].iter();
                let nonces = nonces.map(|n| Nonce(hex::decode(n).unwrap().try_into().unwrap()));
                let nonces: Vec<_> = nonces.collect();
                (200, link.attest(&nonces).unwrap().unwrap())
            }
            ("GET", file) => {
                let folder: PathBuf = self.service.lock().folder_of(&vin(CAR));
                match fs::read(folder.join(file)) {
                    Ok(bytes) => (200, bytes),
                    Err(_) => refusal(404, "not-found"),
                }
            }
            _ => refusal(405, "method"),
        }
    }

    fn register(&self, body: &[u8]) -> Reply {
        let given = Registration::parse(body).unwrap();
        assert_eq!(given.challenge, CHALLENGE);
        let (vin, vehicle) = (vin(CAR), given.vehicle);
        let proved = registration::check(&vin, &vehicle, CHALLENGE, &given.proofs, wrapped_key);
        if proved.is_err() {
            return refusal(400, "proof-wrong");
        }
        let mut registered = self.registered.lock().unwrap();
        let status = match &*registered {
            None => 201,
            Some(known) if *known == vehicle => 200,
            Some(_) => 202,
        };
        if status == 201 {
            let mut service = self.service.lock();
            service.register(&vin, vehicle.clone()).unwrap();
            *registered = Some(vehicle);
        }
        (status, b"{}".to_vec())
    }
}

fn challenge(body: &[u8]) -> Vec<u8> {
    let vehicle = vehicle_of(&json::parse(body).unwrap()).unwrap();
    let ecus = vehicle.ecus.iter();
    let wrapped = ecus.filter_map(|(serial, ecu)| {
        let context = wrap_context(&vin(CAR), serial, CHALLENGE).unwrap();
        let recipient = ecu.encryption.as_ref()?;
        let wrapped = countersign_encryption::wrap(&wrapped_key(serial), recipient, &context);
        Some((serial.clone(), wrapped.unwrap()))
    });
    let challenge = Challenge {
        text: CHALLENGE.into(),
        wrapped_keys: wrapped.collect(),
    };
    challenge.to_json().into_bytes()
}

fn refusal(status: u16, code: &str) -> Reply {
    let body = format!(r#"{{"error": {{"code": "{code}", "message": "no"}}}}"#);
    (status, body.into_bytes())
}

fn read_request(stream: &mut impl Read) -> Option<(String, Vec<u8>)> {
    let mut head = Vec::new();
    let mut byte = [0];
    while !head.ends_with(b"\r\n\r\n") {
        if stream.read(&mut byte).ok()? == 0 {
            return None;
        }
        head.push(byte[0]);
    }
    let head = String::from_utf8(head).unwrap().to_lowercase();
    let length = head
        .lines()
        .find_map(|l| l.strip_prefix("content-length: "));
    let mut body = vec![0; length.map_or(0, |length| length.parse().unwrap())];
    stream.read_exact(&mut body).ok()?;
    // The method alone is written in capitals; paths here have none.
    let line = head.lines().next()?;
    let (method, rest) = line.split_once(' ')?;
    Some((format!("{} {rest}", method.to_uppercase()), body))
}

/// A vehicle that was made for `desk`, with the certificate of its Primary in `car.pem`.
fn provisioned(terminal: &Terminal, desk: &Desk) {
    let world = &terminal.world;
    let root = world.service.lock().director().roots()[0].clone();
    fs::write(world.path().join("director.json"), root).unwrap();
    let image_root = world.published().join("metadata/1.root.json");
    let images = format!("file://{}/", world.published().display());
    terminal.succeeds(&[
        "provision",
        "car",
        "--vin",
        CAR,
        "--ecu",
        "primary=primary-hw",
        "--ecu",
        "door=door-hw,tcp",
        "--ecu",
        "lamp=lamp-hw,partial",
        "--director-root",
        "director.json",
        "--image-root",
        image_root.to_str().unwrap(),
        "--director-url",
        &desk.url,
        "--image-url",
        &images,
    ]);
    let made = terminal.succeeds(&["csr", "car", "--out", "car.csr"]);
    assert_eq!(
        (&made["vin"], &made["ecu"]),
        (&CAR.into(), &"primary".into())
    );
    let request = fs::read_to_string(world.path().join("car.csr")).unwrap();
    fs::write(world.path().join("car.pem"), desk.certify(&request)).unwrap();
}

const REGISTER: [&str; 6] = [
    "register",
    "car",
    "--tls-cert",
    "car.pem",
    "--tls-ca",
    "servers.pem",
];

const CYCLE: [&str; 6] = [
    "cycle",
    "car",
    "--tls-cert",
    "car.pem",
    "--tls-ca",
    "servers.pem",
];

#[test]
fn a_vehicle_registers_and_updates_over_the_network() {
    let terminal = Terminal::bare();
    let desk = Desk::open(&terminal.world);
    provisioned(&terminal, &desk);
    // Once more: the same key.
    let request = |name: &str| {
        terminal.succeeds(&["csr", "car", "--out", name]);
        let request = fs::read_to_string(terminal.world.path().join(name)).unwrap();
        let parsed = CertificateSigningRequestParams::from_pem(&request).unwrap();
        (
            parsed.public_key.der_bytes().to_vec(),
            parsed.params.subject_alt_names,
        )
    };
    let (first, second) = (request("car.csr"), request("again.csr"));
    assert_eq!(first.0, second.0);
    assert_eq!(first.1.len(), 2);
    let key = terminal.world.path().join("car/keys/primary.tls.pem");
    let mode = fs::metadata(key).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);

    assert_eq!(terminal.succeeds(&REGISTER)["registered"], "new");
    assert_eq!(terminal.succeeds(&REGISTER)["registered"], "known");

    let world = &terminal.world;
    world.release("door.img", &ecu("door"), 1, b"new door");
    world.release_confidential("lamp.img", &ecu("lamp"), 1, b"new lamp");
    world.assign("door", "door.img");
    world.assign("lamp", "lamp.img");
    let cycle = terminal.succeeds(&CYCLE);
    assert_eq!(cycle["ecus"]["door"]["outcome"], "installed", "{cycle}");
    assert_eq!(cycle["ecus"]["lamp"]["outcome"], "installed", "{cycle}");
    assert_eq!(world.heard("door").as_deref(), Some("door.img"));
    let by_url = [&CYCLE[..], &["--director-url", &desk.url]].concat();
    assert_eq!(terminal.succeeds(&by_url)["ecus"], serde_json::json!({}));
    let elsewhere = [&CYCLE[..], &["--director-url", "https://localhost:1/v1/"]].concat();
    let cycle = terminal.fails(&elsewhere, "the director did not take the manifest");
    assert_eq!(cycle["refused"]["name"], "time-unavailable", "{cycle}");
}

#[test]
fn an_ecu_without_its_key_is_not_registered() {
    let terminal = Terminal::bare();
    let desk = Desk::open(&terminal.world);
    provisioned(&terminal, &desk);
    let folder = terminal.world.path().join("car");
    let uri: KeyUri = ecu("door").signing;
    fs::remove_file(folder.join("keys/ecu-door.signing.pem")).unwrap();
    let secrets = Secrets::unattended(&folder);
    countersign_signing::generate(&uri, Algorithm::Ed25519, &secrets).unwrap();
    terminal.fails(&REGISTER, "400 proof-wrong");
}

#[test]
fn the_commands_of_a_vehicle_on_the_network_say_what_is_wrong() {
    let terminal = Terminal::bare();
    let desk = Desk::open(&terminal.world);
    provisioned(&terminal, &desk);
    let world = &terminal.world;
    terminal.fails(
        &["register", "car", "--tls-cert", "none.pem"],
        "none.pem: there is no such file",
    );
    terminal.fails(&["register", "car", "--tls-cert", "car.pem"], "TLS failed");
    let other = KeyPair::generate().unwrap().serialize_pem();
    fs::write(world.path().join("car/keys/primary.tls.pem"), other).unwrap();
    terminal.fails(
        &REGISTER,
        "give the key that the certificate was requested with",
    );
    fs::write(world.path().join("car/keys/primary.tls.pem"), "no key").unwrap();
    terminal.fails(
        &["csr", "car", "--out", "car.csr"],
        "move it away to have another one made",
    );
    terminal.fails(&["csr", "nowhere", "--out", "x"], "there is no vehicle");
    for line in [
        "cycle car",
        "cycle car --director fleet --tls-cert car.pem",
        "cycle car --director fleet --tls-ca servers.pem",
        "cycle car --tls-ca servers.pem",
        "register car",
        "provision x --vin V --ecu a=b",
        "provision x --vin V --ecu a=b --director-root r",
        "provision x --vin V --ecu a=b --director fleet --image-url u",
    ] {
        let arguments: Vec<&str> = line.split(' ').collect();
        assert_eq!(terminal.run(&arguments).status.code(), Some(2), "{line}");
    }
}
