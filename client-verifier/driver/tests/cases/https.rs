//! An HTTP fetcher over TLS: the blocking one, and countersign-tokio's.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use countersign_client::fetch::{FetchError, SlowPhase, TlsRoots, fetch_bytes};

use crate::subject::HttpFetcher;
use crate::support::{IMPATIENT, Server, drip, ok, redirect, send};

fn ca_file(dir: &tempfile::TempDir) -> PathBuf {
    dir.path().join("ca.pem")
}

fn trusting(dir: &tempfile::TempDir) -> HttpFetcher {
    HttpFetcher::new(IMPATIENT, TlsRoots::from_pem_file(&ca_file(dir)).unwrap())
}

#[test]
fn a_server_is_believed_under_the_given_roots_and_under_no_others() {
    let dir = tempfile::tempdir().unwrap();
    let server = Server::https(&ca_file(&dir), |_, stream, _| ok(stream, b"body"));
    assert_eq!(
        fetch_bytes(&mut trusting(&dir), &server.url, 10).unwrap(),
        b"body"
    );

    let mut mozilla = HttpFetcher::new(IMPATIENT, TlsRoots::mozilla());
    let error = fetch_bytes(&mut mozilla, &server.url, 10).unwrap_err();
    assert!(matches!(error, FetchError::Tls { .. }), "{error}");

    let by_address = server.url.replace("localhost", "127.0.0.1");
    let error = fetch_bytes(&mut trusting(&dir), &by_address, 10).unwrap_err();
    assert!(matches!(error, FetchError::Tls { .. }), "{error}");
}

#[test]
fn a_server_without_tls_is_not_spoken_to() {
    let dir = tempfile::tempdir().unwrap();
    Server::https(&ca_file(&dir), |_, _, _| {});
    let plain = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("https://localhost:{}", plain.local_addr().unwrap().port());
    std::thread::spawn(move || {
        use std::io::{Read, Write};
        let (mut tcp, _) = plain.accept().unwrap();
        let _ = tcp.read(&mut [0; 4096]);
        let _ = tcp.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nbody");
    });
    let error = fetch_bytes(&mut trusting(&dir), &url, 10).unwrap_err();
    assert!(matches!(error, FetchError::Tls { .. }), "{error}");
}

#[test]
fn from_https_a_redirect_stays_with_https() {
    let dir = tempfile::tempdir().unwrap();
    let plain = Server::http(|_, stream, _| ok(stream, b"body"));
    let to = format!("{}/x", plain.url);
    let server = Server::https(&ca_file(&dir), move |request, stream, _| {
        match request.path() {
            "/down" => redirect(stream, &to),
            "/file" => redirect(stream, "file:///etc/hostname"),
            "/stay" => redirect(stream, "/end"),
            _ => ok(stream, b"body"),
        }
    });
    for path in ["/down", "/file"] {
        let url = format!("{}{path}", server.url);
        let error = fetch_bytes(&mut trusting(&dir), &url, 10).unwrap_err();
        assert!(matches!(error, FetchError::Redirect { .. }), "{error}");
    }
    assert!(plain.requests().is_empty());
    let stay = format!("{}/stay", server.url);
    assert_eq!(
        fetch_bytes(&mut trusting(&dir), &stay, 10).unwrap(),
        b"body"
    );

    let up = format!("{}/end", server.url);
    let plain = Server::http(move |_, stream, _| redirect(stream, &up));
    assert_eq!(
        fetch_bytes(&mut trusting(&dir), &plain.url, 10).unwrap(),
        b"body"
    );
}

#[test]
fn a_slow_server_is_given_up_behind_tls_too() {
    let dir = tempfile::tempdir().unwrap();
    let server = Server::https(&ca_file(&dir), |_, stream, _| {
        send(stream, "HTTP/1.0 200 OK\r\n\r\n");
        drip(stream, b"x", Duration::from_millis(100));
    });
    let start = Instant::now();
    let error = fetch_bytes(&mut trusting(&dir), &server.url, 10_000).unwrap_err();
    assert!(
        matches!(
            error,
            FetchError::Slow {
                phase: SlowPhase::Body,
                ..
            }
        ),
        "{error}"
    );
    assert!(start.elapsed() < Duration::from_millis(2500));

    // One that takes the connection and never shakes hands.
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("https://localhost:{}", silent.local_addr().unwrap().port());
    let start = Instant::now();
    let error = fetch_bytes(&mut trusting(&dir), &url, 10).unwrap_err();
    assert!(
        matches!(
            error,
            FetchError::Slow {
                phase: SlowPhase::Response,
                ..
            }
        ),
        "{error}"
    );
    assert!(start.elapsed() < Duration::from_secs(6));
}

#[test]
fn roots_that_cannot_be_used_are_named() {
    let dir = tempfile::tempdir().unwrap();
    let path = ca_file(&dir);
    let missing = TlsRoots::from_pem_file(&path).unwrap_err().to_string();
    assert!(
        missing.contains("ca.pem") && missing.contains("no such file"),
        "{missing}"
    );
    for content in [
        "",
        "not PEM",
        "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
    ] {
        std::fs::write(&path, content).unwrap();
        let refused = TlsRoots::from_pem_file(&path);
        assert!(
            matches!(refused, Err(FetchError::Roots { .. })),
            "{content:?}"
        );
    }
}
