//! The Director's service over HTTP, with a client certificate.

#![allow(clippy::unwrap_used, reason = "a test that cannot set up has failed")]

mod support;

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use countersign_client::fetch::{
    FetchError, HttpFetcher, Method, SlowPhase, TlsIdentity, TlsRoots, fetch_bytes,
};
use countersign_client::uptane::primary::{DirectorLink as _, HttpDirector, MAX_ANSWER};
use countersign_metadata::uptane::Nonce;
use rcgen::{CertificateParams, KeyPair};
use support::{IMPATIENT, Server, authority, ok, redirect, send, stall, status};

fn director(url: &str) -> HttpDirector {
    let http = HttpFetcher::new(IMPATIENT, TlsRoots::mozilla());
    HttpDirector::new(http, &format!("{url}/v1")).unwrap()
}

/// A refusal as the service writes it.
fn refuse(stream: &mut dyn support::Stream, status: &str, code: &str, message: &str) {
    let body = format!(r#"{{"error": {{"code": "{code}", "message": "{message}"}}}}"#);
    let length = body.len();
    let head =
        format!("HTTP/1.1 {status}\r\nConnection: close\r\nContent-Length: {length}\r\n\r\n");
    send(stream, head + &body);
}

#[test]
fn a_manifest_is_put_and_nonces_are_posted() {
    let server = Server::keep_alive(|request, stream, _| {
        let body = match request.path() {
            "/v1/time" => "attested",
            _ => "{}",
        };
        let length = body.len();
        send(
            stream,
            format!("HTTP/1.1 200 OK\r\nContent-Length: {length}\r\n\r\n{body}"),
        );
    });
    let mut director = director(&server.url);
    let manifest = vec![b'm'; 200_000];
    director.put_manifest(&manifest).unwrap();
    let attestation = director.attest(&[Nonce([0xab; 16]), Nonce([0; 16])]);
    assert_eq!(attestation.unwrap().as_deref(), Some(&b"attested"[..]));

    let requests = server.requests();
    assert_eq!(requests[0].line, "PUT /v1/manifest HTTP/1.1");
    assert_eq!(requests[0].header("content-type"), Some("application/json"));
    assert_eq!(requests[0].body, manifest);
    assert_eq!(requests[1].line, "POST /v1/time HTTP/1.1");
    let question = format!(
        r#"{{"nonces":["{}","{}"]}}"#,
        "ab".repeat(16),
        "00".repeat(16)
    );
    assert_eq!(requests[1].body, question.as_bytes());
    assert_eq!(server.connections(), 1);
}

#[test]
fn a_refusal_is_told_in_the_services_words_and_not_tried_again() {
    let server = Server::http(|_, stream, _| {
        refuse(
            stream,
            "400 Bad Request",
            "report-replayed",
            "ECU \\u001bB: replay",
        );
    });
    let error = director(&server.url).put_manifest(b"{}").unwrap_err();
    let text = error.to_string();
    assert!(
        text.ends_with("refused with 400 report-replayed: ECU B: replay"),
        "{text}"
    );
    assert!(
        matches!(error, FetchError::Refused { status: 400, .. }),
        "{error:?}"
    );
    assert_eq!(server.requests().len(), 1);
}

#[test]
fn without_words_the_status_counts() {
    for (said, expected) in [
        ("400 Bad Request", 400),
        ("403 Forbidden", 403),
        ("204 No Content", 204),
    ] {
        let server = Server::http(move |_, stream, _| status(stream, said));
        let error = director(&server.url).put_manifest(b"{}").unwrap_err();
        let told = matches!(&error, FetchError::Status { status, .. } if *status == expected);
        assert!(told, "{said}: {error:?}");
    }
    let server = Server::http(|_, stream, _| status(stream, "404 Not Found"));
    let error = director(&server.url).put_manifest(b"{}").unwrap_err();
    assert!(error.is_not_found(), "{error:?}");
}

#[test]
fn what_may_pass_is_tried_again_and_a_short_wait_is_kept_to() {
    let server = Server::http(|_, stream, before| match before {
        0 => drop(send(
            stream,
            "HTTP/1.1 429 Too Many Requests\r\nRetry-After: 1\r\nContent-Length: 0\r\n\r\n",
        )),
        1 => refuse(stream, "503 Service Unavailable", "unavailable", "later"),
        _ => ok(stream, b"{}"),
    });
    let start = Instant::now();
    director(&server.url).put_manifest(b"{}").unwrap();
    assert!(start.elapsed() >= Duration::from_secs(1));
    assert_eq!(server.requests().len(), 3);

    let server = Server::http(|_, stream, _| {
        let head = "HTTP/1.1 429 Too Many Requests\r\nRetry-After: 60\r\nContent-Length: 0\r\n\r\n";
        send(stream, head);
    });
    let error = director(&server.url).put_manifest(b"{}").unwrap_err();
    let asked = Some(Duration::from_secs(60));
    assert!(matches!(error, FetchError::Unavailable { retry_after, .. } if retry_after == asked));
    assert_eq!(server.requests().len(), 1);
}

#[test]
fn an_answer_has_a_bound_and_a_redirect_is_not_followed() {
    for announced in [true, false] {
        let server = Server::http(move |_, stream, _| {
            let body = vec![b'x'; MAX_ANSWER as usize + 1];
            match announced {
                true => ok(stream, &body),
                false => {
                    send(stream, "HTTP/1.0 200 OK\r\n\r\n");
                    send(stream, body);
                }
            }
        });
        let error = director(&server.url).attest(&[]).unwrap_err();
        assert!(matches!(error, FetchError::TooLarge { .. }), "{error}");
    }
    let other = Server::http(|_, stream, _| ok(stream, b"{}"));
    let to = other.url.clone();
    let server = Server::http(move |_, stream, _| redirect(stream, &to));
    let error = director(&server.url).put_manifest(b"{}").unwrap_err();
    assert!(matches!(error, FetchError::Redirect { .. }), "{error}");
    assert!(other.requests().is_empty());
}

#[test]
fn a_service_that_stalls_is_given_up() {
    let server = Server::http(|_, _, _| stall());
    let start = Instant::now();
    let error = director(&server.url).put_manifest(b"{}").unwrap_err();
    let phase = SlowPhase::Response;
    assert!(
        matches!(error, FetchError::Slow { phase: p, .. } if p == phase),
        "{error}"
    );
    assert!(start.elapsed() < Duration::from_secs(6));
}

#[test]
fn nothing_is_sent_to_what_is_no_http_url() {
    let http = || HttpFetcher::new(IMPATIENT, TlsRoots::mozilla());
    assert!(HttpDirector::new(http(), "").is_err());
    assert!(HttpDirector::new(http(), "https://h/?a=").is_err());
    let error = http().exchange((Method::Put, "file:///tmp/x"), b"{}", 10);
    assert!(matches!(error, Err(FetchError::UnsupportedScheme { .. })));
}

/// A device with a certificate, and the authority that has issued it.
struct Device {
    folder: tempfile::TempDir,
    ca: rcgen::Certificate,
}

impl Device {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let (issuer, ca) = authority();
        let key = KeyPair::generate().unwrap();
        let params = CertificateParams::new(vec!["device".into()]).unwrap();
        let certificate = params.signed_by(&key, &issuer).unwrap();
        fs::write(folder.path().join("device.pem"), certificate.pem()).unwrap();
        let device = Self { folder, ca };
        device.write_key(&key.serialize_pem());
        device
    }

    fn file(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn write_key(&self, pem: &str) {
        let path = self.file("device.key");
        fs::write(&path, pem).unwrap();
        fs::set_permissions(&path, Permissions::from_mode(0o600)).unwrap();
    }

    fn identity(&self) -> Result<TlsIdentity, FetchError> {
        TlsIdentity::from_pem_files(&self.file("device.pem"), &self.file("device.key"))
    }

    fn fetcher(&self, ca_file: &Path) -> HttpFetcher {
        let roots = TlsRoots::from_pem_file(ca_file).unwrap();
        HttpFetcher::with_identity(IMPATIENT, roots, self.identity().unwrap())
    }
}

#[test]
fn a_server_that_asks_is_shown_the_certificate() {
    let device = Device::new();
    let ca_file = device.file("server-ca.pem");
    let server = Server::mutual(&ca_file, &device.ca, |_, stream, _| ok(stream, b"{}"));
    let mut http = device.fetcher(&ca_file);
    assert_eq!(fetch_bytes(&mut http, &server.url, 10).unwrap(), b"{}");
    let mut director = HttpDirector::new(http, &server.url).unwrap();
    director.put_manifest(&vec![b'm'; 200_000]).unwrap();

    let roots = TlsRoots::from_pem_file(&ca_file).unwrap();
    let mut nobody = HttpFetcher::new(IMPATIENT, roots);
    assert!(fetch_bytes(&mut nobody, &server.url, 10).is_err());
    let other = Device::new();
    assert!(fetch_bytes(&mut other.fetcher(&ca_file), &server.url, 10).is_err());
}

#[test]
fn an_identity_that_cannot_be_used_is_named_with_what_to_do() {
    let device = Device::new();
    let refusal = || device.identity().unwrap_err().to_string();

    fs::set_permissions(device.file("device.key"), Permissions::from_mode(0o640)).unwrap();
    let text = refusal();
    assert!(
        text.contains("device.key") && text.contains("mode 640"),
        "{text}"
    );

    device.write_key(&KeyPair::generate().unwrap().serialize_pem());
    let text = refusal();
    assert!(
        text.contains("give the key that the certificate was requested with"),
        "{text}"
    );

    device.write_key(
        "-----BEGIN ENCRYPTED PRIVATE KEY-----\nAAAA\n-----END ENCRYPTED PRIVATE KEY-----\n",
    );
    let text = refusal();
    assert!(text.contains("without a passphrase"), "{text}");

    fs::remove_file(device.file("device.key")).unwrap();
    assert!(refusal().contains("device.key: there is no such file"));

    fs::write(device.file("device.pem"), "").unwrap();
    let text = refusal();
    assert!(
        text.contains("device.pem: it holds no certificate"),
        "{text}"
    );
}
