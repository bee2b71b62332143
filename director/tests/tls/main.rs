//! Who gets through the listeners, and for how long.

#![allow(clippy::unwrap_used, reason = "a test that cannot set up has failed")]

use std::process::Command;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use axum::routing::get;
use axum::{Extension, Router};
use countersign_director::tls::{
    Bounds, Client, Ends, Identity, IdentityError, Refusal, Tls, TlsError, TlsFiles,
};
use countersign_metadata::sha256;
use rcgen::{
    BasicConstraints, CertificateParams, CustomExtension, DnType, ExtendedKeyUsagePurpose, IsCa,
};
use rustls::{ClientConfig, HandshakeKind, version};
use tokio::signal::unix::{SignalKind, signal};
use tokio::time::{sleep, timeout};

mod connections;
mod place;

use place::*;

#[tokio::test]
async fn a_device_says_who_it_is_and_others_are_kept_out() {
    let place = Place::new();
    let server = place.serve(Router::new().route("/", get(who)));
    let good = place.ca.device(1);
    let told = place.tell(server, Some(&good)).await;
    assert_eq!(told.unwrap(), "VIN1 TCU/1");

    let identity = Identity::of_certificate(&good.der).unwrap();
    assert_eq!(identity.certificate_serial, [1]);
    assert_eq!(identity.issuer, "CN=Devices");
    assert_eq!(identity.fingerprint, sha256(&good.der));
    let left = identity.not_after.unix() - now().unix();
    assert!((3500..=3600).contains(&left), "{left}");

    let mut ended = device(3);
    ended.not_after = (SystemTime::now() - Duration::from_secs(2)).into();
    let mut early = device(4);
    early.not_before = (SystemTime::now() + HOUR / 2).into();
    let mut for_servers = device(5);
    for_servers.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    let mut authority = device(6);
    authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    for (why, outsider) in [
        ("no certificate", None),
        ("another authority", Some(Ca::new("Devices").device(2))),
        ("revoked", Some(place.ca.device(66))),
        ("ended", Some(place.ca.issue(&ended))),
        ("not begun", Some(place.ca.issue(&early))),
        ("a server", Some(place.ca.issue(&for_servers))),
        ("an authority", Some(place.ca.issue(&authority))),
    ] {
        let told = place.tell(server, outsider.as_ref()).await;
        assert!(told.is_err(), "{why}: {told:?}");
    }
}

/// The subject alternative names in DER, each with its tag: 6 a URI, 2 a DNS name, 1 a mail address.
fn names(all: &[(u8, &str)], critical: bool) -> CustomExtension {
    let mut content = Vec::new();
    for (tag, text) in all {
        content.extend([0x80 | tag, u8::try_from(text.len()).unwrap()]);
        content.extend(text.as_bytes());
    }
    assert!(content.len() < 256);
    let mut der = vec![0x30, 0x81, u8::try_from(content.len()).unwrap()];
    if content.len() < 128 {
        der.remove(1);
    }
    der.extend(content);
    let mut extension = CustomExtension::from_oid_content(&[2, 5, 29, 17], der);
    extension.set_criticality(critical);
    extension
}

#[test]
fn only_one_form_of_names_is_an_identity() {
    let ca = Ca::new("Devices");
    let of = |params: &CertificateParams| Identity::of_certificate(&ca.issue(params).der);
    let named = |all: &[(u8, &str)], critical| {
        let mut params = device(1);
        params.subject_alt_names.clear();
        params.custom_extensions = vec![names(all, critical)];
        of(&params)
    };
    let vehicle = |vin: &str| format!("{VEHICLE}{vin}");
    let (vin, ecu) = (&*vehicle("VIN1"), "urn:countersign:ecu:TCU-1");
    assert_eq!(
        named(&[(6, vin), (6, ecu)], true).unwrap().serial.as_str(),
        "TCU-1"
    );
    let long = vehicle(&"V".repeat(65));
    for names in [
        &[][..],
        &[(6, vin)],
        &[(6, ecu)],
        &[(6, ecu), (6, vin)],
        &[(6, vin), (6, vin)],
        &[(6, vin), (6, ecu), (6, ecu)],
        &[(6, vin), (6, ecu), (2, "a.example")],
        &[(2, "a.example"), (6, vin), (6, ecu)],
        &[(6, vin), (2, ecu)],
        &[(1, vin), (6, ecu)],
        &[(6, "urn:countersign:vehicle:"), (6, ecu)],
        &[(6, "URN:countersign:vehicle:VIN1"), (6, ecu)],
        &[(6, "urn:countersign:vehicle:%56IN1"), (6, ecu)],
        &[(6, "urn:countersign:vehicle:VIN%2f1"), (6, ecu)],
        &[(6, "urn:countersign:vehicle:VIN/1"), (6, ecu)],
        &[(6, "urn:countersign:vehicle:VIN%201"), (6, ecu)],
        &[(6, "urn:countersign:vehicle:VIN%00"), (6, ecu)],
        &[(6, "urn:countersign:vehicle:-VIN"), (6, ecu)],
        &[(6, "urn:countersign:vehicle:VIN%C3%A4"), (6, ecu)],
        &[(6, "urn:countersign:vehicle:VIN1 "), (6, ecu)],
        &[(6, &long), (6, ecu)],
    ] {
        assert_eq!(named(names, true), Err(IdentityError::Names), "{names:?}");
    }
    assert_eq!(
        named(&[(6, vin), (6, ecu)], false),
        Err(IdentityError::Names)
    );

    let mut subject = device(1);
    subject.distinguished_name.push(DnType::CommonName, "TCU-1");
    assert_eq!(of(&subject), Err(IdentityError::Subject));
    let mut authority = device(1);
    authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    assert_eq!(of(&authority), Err(IdentityError::Authority));
    use ExtendedKeyUsagePurpose as Usage;
    for usages in [
        vec![],
        vec![Usage::ServerAuth],
        vec![Usage::Any],
        vec![Usage::ClientAuth, Usage::ServerAuth],
    ] {
        let mut params = device(1);
        params.extended_key_usages = usages;
        assert_eq!(of(&params), Err(IdentityError::Usage));
    }
    let mut twice = device(1);
    twice.custom_extensions = vec![names(&[(6, vin), (6, ecu)], true)];
    assert_eq!(of(&twice), Err(IdentityError::Unreadable));
    let mut longer = ca.device(1).der.to_vec();
    longer.push(0);
    assert_eq!(
        Identity::of_certificate(&longer),
        Err(IdentityError::Unreadable)
    );
}

#[tokio::test]
async fn a_trusted_certificate_without_an_identity_reaches_nothing() {
    let place = Place::new();
    let server = place.serve(Router::new().route("/", get(who)));
    let mut params = device(1);
    params.subject_alt_names = uris(&[&format!("{ECU}E"), &format!("{VEHICLE}V")]);
    let told = place.tell(server, Some(&place.ca.issue(&params))).await;
    assert_eq!(told.unwrap(), "Identity(Names)");
}

#[tokio::test]
async fn a_new_list_reaches_connections_that_are_open() {
    let place = Place::new();
    let server = place.serve(Router::new().route("/", get(who)));
    let (bad, good) = (place.ca.device(1), place.ca.device(2));
    let mut open = Vec::new();
    for device in [&bad, &good] {
        let mut stream = place.connect(server, device).await;
        assert!(ask(&mut stream).await.unwrap().starts_with("VIN1 "));
        open.push(stream);
    }
    assert!(!place.tls.reload_if_changed().unwrap());
    place.write("crl.pem", &place.ca.list(6, 3600, &[66, 1]));
    assert!(place.tls.reload_if_changed().unwrap());
    assert!(!place.tls.reload_if_changed().unwrap());
    assert_eq!(ask(&mut open[0]).await.unwrap(), "Revoked");
    assert_eq!(ask(&mut open[1]).await.unwrap(), "VIN1 TCU/2");
    assert!(place.tell(server, Some(&bad)).await.is_err());

    // The authority is replaced by one of the same name.
    let other = Ca::new("Devices");
    place.write("ca.pem", &other.pem);
    place.write("crl.pem", &other.list(7, 3600, &[]));
    assert!(place.tls.reload_if_changed().unwrap());
    let told = ask(&mut open[1]).await.unwrap();
    assert!(told.starts_with("Untrusted"), "{told}");
}

#[tokio::test]
async fn a_list_that_is_out_of_date_lets_nobody_in() {
    let place = Place::new();
    let server = place.serve(Router::new().route("/", get(who)));
    let device = place.ca.device(1);
    let mut stream = place.connect(server, &device).await;
    assert_eq!(ask(&mut stream).await.unwrap(), "VIN1 TCU/1");
    place.write("crl.pem", &place.ca.list(6, -5, &[]));
    assert!(place.tls.reload_if_changed().unwrap());
    assert_eq!(ask(&mut stream).await.unwrap(), "ListExpired");
    assert!(place.tell(server, Some(&device)).await.is_err());
}

#[tokio::test]
async fn time_goes_by_on_connections_that_are_open() {
    use tokio::sync::mpsc;
    let place = Place::new();
    place.write("crl.pem", &place.ca.list(6, 1800, &[]));
    place.tls.reload().unwrap();
    // The handler gives the client away, to be asked at other times.
    let (give, mut take) = mpsc::unbounded_channel();
    let app = Router::new().route(
        "/",
        get(|Extension(client): Extension<Client>| async move {
            give.send(client).unwrap();
        }),
    );
    let server = place.serve(app);
    place.tell(server, Some(&place.ca.device(1))).await.unwrap();
    let client: Client = take.recv().await.unwrap();
    let at = |seconds| client.check(now().plus_seconds(seconds).unwrap()).err();
    assert_eq!((at(0), at(1700), at(0)), (None, None, None));
    assert_eq!(at(1900), Some(Refusal::ListExpired));
    assert_eq!(at(3700), Some(Refusal::Expired));
    assert_eq!(at(0), None);
    assert_eq!(client.claimed().unwrap().vin.as_str(), "VIN1");
}

#[tokio::test]
async fn what_is_broken_changes_nothing() {
    let place = Place::new();
    let server = place.serve(Router::new().route("/", get(who)));
    let device = place.ca.device(1);
    let other = Ca::new("Others");
    let keep = |name: &str| std::fs::read_to_string(place.path(name)).unwrap();
    let good_list = place.ca.list(6, 3600, &[]);
    for (name, text, why) in [
        ("crl.pem", String::new(), "no items"),
        ("crl.pem", "-----BEGIN X509 CRL-----\n".into(), "crl.pem"),
        ("crl.pem", other.list(9, 3600, &[]), "not an authority here"),
        (
            "crl.pem",
            Ca::new("Devices").list(9, 3600, &[]),
            "not signed",
        ),
        ("crl.pem", place.ca.list(4, 3600, &[]), "lower number"),
        ("crl.pem", good_list.repeat(2), "two lists"),
        ("ca.pem", String::new(), "no items"),
        (
            "ca.pem",
            format!("{}{}", place.ca.pem, other.pem),
            "every authority",
        ),
        ("ca.pem", Ca::new("Devices").pem, "not signed"),
        (
            "ca.pem",
            format!("{}{}", place.ca.pem, Ca::new("Devices").pem),
            "another authority",
        ),
        (
            "ca.pem",
            device.pem.clone(),
            "not the certificate of an authority",
        ),
        (
            "server.pem",
            place.server_ca.issue(&server_params()).pem,
            "server.pem",
        ),
        ("server.key", "nothing".into(), "server.key"),
    ] {
        let before = keep(name);
        place.write(name, &text);
        let error = place.tls.reload_if_changed().unwrap_err().to_string();
        assert!(error.contains(why), "{name}: {error}");
        let told = place.tell(server, Some(&device)).await;
        assert_eq!(told.unwrap(), "VIN1 TCU/1");
        place.write(name, &before);
    }
    std::fs::remove_file(place.path("crl.pem")).unwrap();
    let missing = place.tls.reload_if_changed().unwrap_err();
    assert!(matches!(missing, TlsError::File { .. }), "{missing}");
    place.write("crl.pem", &good_list);
    assert!(place.tls.reload_if_changed().unwrap());
}

#[tokio::test]
async fn what_changes_is_loaded_by_itself() {
    let place = Place::new();
    let (tls, ends) = (place.tls.clone(), place.tls.deadlines());
    tokio::spawn(async move { tls.watch(Duration::from_millis(10)).await });
    let found: Vec<_> = ends.iter().map(|end| (end.of, &*end.name)).collect();
    let certificate = place.path("server.pem").display().to_string();
    assert_eq!(
        found,
        [
            (Ends::ServerCertificate, &*certificate),
            (Ends::Authority, "CN=Devices"),
            (Ends::RevocationList, "CN=Devices"),
        ]
    );
    assert!((3500..=3600).contains(&(ends[2].at.unix() - now().unix())));
    place.write("crl.pem", &place.ca.list(6, 7200, &[]));
    timeout(Duration::from_secs(5), async {
        while place.tls.deadlines() == ends {
            sleep(Duration::from_millis(5)).await;
        }
    })
    .await
    .unwrap();
}

#[tokio::test]
async fn a_signal_loads_everything_anew() {
    // Ours, so that the signal does not end the test before the other one is listened for.
    let _ours = signal(SignalKind::hangup()).unwrap();
    let place = Place::new();
    let (tls, ends) = (place.tls.clone(), place.tls.deadlines());
    tokio::spawn(async move { tls.watch(HOUR).await });
    // Not seen at the first look, which is at once.
    sleep(Duration::from_millis(50)).await;
    place.write("crl.pem", &place.ca.list(6, 7200, &[]));
    timeout(Duration::from_secs(5), async {
        while place.tls.deadlines() == ends {
            let pid = std::process::id().to_string();
            let kill = Command::new("kill").args(["-HUP", &pid]).status();
            assert!(kill.unwrap().success());
            sleep(Duration::from_millis(20)).await;
        }
    })
    .await
    .unwrap();
}

#[tokio::test]
async fn sessions_are_not_resumed() {
    let place = Place::new();
    let server = place.serve(Router::new().route("/", get(who)));
    let device = place.ca.device(1);
    for version in [&version::TLS12, &version::TLS13] {
        let config = place.config(Some(&device), version);
        for _ in 0..3 {
            let mut stream = connect(server, &config).await.unwrap();
            assert_eq!(ask(&mut stream).await.unwrap(), "VIN1 TCU/1");
            let (_, tls) = stream.get_ref();
            assert_eq!(tls.handshake_kind(), Some(HandshakeKind::Full));
            assert_eq!(tls.alpn_protocol(), Some(&b"http/1.1"[..]));
        }
        let mut both = ClientConfig::clone(&config);
        both.alpn_protocols.insert(0, b"h2".to_vec());
        let stream = connect(server, &Arc::new(both)).await.unwrap();
        assert_eq!(stream.get_ref().1.alpn_protocol(), Some(&b"h2"[..]));
    }
}

#[tokio::test]
async fn an_admin_needs_no_certificate() {
    let place = Place::new();
    let tls = Tls::load(TlsFiles {
        clients: None,
        ..files(&place.folder)
    })
    .unwrap();
    let app = Router::new().route("/", get(|| async { "admin" }));
    let (listener, address) = listener();
    let acceptor = tls.server_acceptor(Bounds::default());
    let server = axum_server::from_tcp(listener).unwrap().acceptor(acceptor);
    tokio::spawn(server.serve(app.into_make_service()));
    assert_eq!(place.tell(address, None).await.unwrap(), "admin");
    assert_eq!(tls.deadlines().len(), 1);
}
