//! An HTTP fetcher against servers of every kind: the blocking one, and countersign-tokio's.

use std::net::TcpListener;
use std::thread;
use std::time::{Duration, Instant};

use countersign_client::fetch::{FetchError, Fetcher, SlowPhase, TlsRoots, fetch_bytes};

use crate::subject::HttpFetcher;
use crate::support::{IMPATIENT, Server, drip, ok, redirect, send, stall, status};

fn fetcher() -> HttpFetcher {
    HttpFetcher::new(IMPATIENT, TlsRoots::mozilla())
}

fn get(url: &str) -> Result<Vec<u8>, FetchError> {
    fetch_bytes(&mut fetcher(), url, 100_000)
}

#[test]
fn the_request_is_what_was_asked_for_to_the_byte() {
    let server = Server::http(|_, stream, _| ok(stream, b"body"));
    let path = "/a%2Fb/%7e/../x/./%E2%82%AC;v=1/$HASH.name~?q=%20&r='*'";
    assert_eq!(get(&format!("{}{path}", server.url)).unwrap(), b"body");
    let request = &server.requests()[0];
    assert_eq!(request.line, format!("GET {path} HTTP/1.1"));
    assert_eq!(request.header("accept-encoding"), Some("identity"));
    assert!(
        request
            .header("user-agent")
            .unwrap()
            .starts_with("countersign/")
    );
    assert_eq!(request.header("range"), None);
}

#[test]
fn an_http_1_0_server_without_content_length_will_do() {
    let server = Server::http(|_, stream, _| {
        send(stream, "HTTP/1.0 200 OK\r\nServer: old\r\n\r\nbody");
    });
    assert_eq!(get(&server.url).unwrap(), b"body");
}

#[test]
fn an_empty_file_is_a_file() {
    let server = Server::http(|_, stream, _| ok(stream, b""));
    assert_eq!(get(&server.url).unwrap(), b"");
}

#[test]
fn one_connection_serves_several_requests() {
    let server = Server::keep_alive(|request, stream, _| {
        send(stream, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n");
        send(stream, request.path());
    });
    let mut fetcher = fetcher();
    for path in ["/1", "/2", "/3"] {
        let url = format!("{}{path}", server.url);
        assert_eq!(
            fetch_bytes(&mut fetcher, &url, 10).unwrap(),
            path.as_bytes()
        );
    }
    assert_eq!(server.connections(), 1);
}

#[test]
fn missing_is_said_once_and_believed() {
    for said in ["404 Not Found", "410 Gone", "403 Forbidden"] {
        let server = Server::http(move |_, stream, _| status(stream, said));
        let error = get(&server.url).unwrap_err();
        assert!(error.is_not_found(), "{said}: {error}");
        assert_eq!(server.requests().len(), 1);
    }
}

#[test]
fn trouble_is_never_taken_for_absence() {
    for said in [
        "500 x", "501 x", "502 x", "503 x", "504 x", "599 x", "408 x", "425 x", "429 x",
    ] {
        let server = Server::http(move |_, stream, _| status(stream, said));
        let error = get(&server.url).unwrap_err();
        assert!(
            matches!(error, FetchError::Unavailable { .. }),
            "{said}: {error}"
        );
        assert_eq!(server.requests().len(), 3, "{said}");
    }
    for said in [
        "204 x", "304 x", "300 x", "400 x", "401 x", "405 x", "999 x",
    ] {
        let server = Server::http(move |_, stream, _| status(stream, said));
        let error = get(&server.url).unwrap_err();
        assert!(
            matches!(error, FetchError::Status { .. }),
            "{said}: {error}"
        );
        assert_eq!(server.requests().len(), 1, "{said}");
    }
    let nobody = TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap();
    let error = get(&format!("http://{nobody}/")).unwrap_err();
    assert!(matches!(error, FetchError::Disconnected { .. }), "{error}");
}

#[test]
fn a_server_that_recovers_is_forgiven() {
    let server = Server::http(|_, stream, before| match before {
        0 | 1 => status(stream, "503 Service Unavailable"),
        _ => ok(stream, b"body"),
    });
    assert_eq!(get(&server.url).unwrap(), b"body");
}

#[test]
fn retry_after_is_honoured_when_it_is_short() {
    let server = Server::http(|_, stream, before| match before {
        0 => {
            send(
                stream,
                "HTTP/1.1 503 x\r\nRetry-After: 1\r\nContent-Length: 0\r\n\r\n",
            );
        }
        _ => ok(stream, b"body"),
    });
    let start = Instant::now();
    assert_eq!(get(&server.url).unwrap(), b"body");
    assert!(start.elapsed() >= Duration::from_secs(1));
}

/// Leaves the request unread, which makes the system answer the close with a reset.
fn resetting_server(answer: &'static str, honest_after: usize) -> String {
    use std::io::{Read, Write};
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    thread::spawn(move || {
        for (i, tcp) in listener.incoming().enumerate() {
            let mut tcp = tcp.unwrap();
            if i >= honest_after {
                let _ = tcp.read(&mut [0; 4096]);
                let _ = tcp.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nbody");
                continue;
            }
            let _ = tcp.read(&mut [0; 1]);
            let _ = tcp.write_all(answer.as_bytes());
            thread::sleep(Duration::from_millis(100));
        }
    });
    url
}

#[test]
fn a_reset_is_tried_again() {
    let body = "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nbo";
    assert_eq!(get(&resetting_server(body, 2)).unwrap(), b"body");
    assert_eq!(get(&resetting_server("HTTP/1.1 20", 2)).unwrap(), b"body");
}

#[test]
fn a_reset_is_never_the_end_of_a_file() {
    let error = get(&resetting_server(
        "HTTP/1.0 200 OK\r\n\r\nhalf a bo",
        usize::MAX,
    ))
    .unwrap_err();
    assert!(matches!(error, FetchError::Disconnected { .. }), "{error}");
}

#[test]
fn a_content_length_that_is_too_long_is_a_broken_connection() {
    let server = Server::http(|_, stream, _| {
        send(stream, "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nbody");
    });
    let error = get(&server.url).unwrap_err();
    assert!(matches!(error, FetchError::Disconnected { .. }), "{error}");
}

#[test]
fn a_content_length_that_is_too_short_ends_the_file() {
    let server = Server::http(|_, stream, _| {
        send(
            stream,
            "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nbody and more",
        );
    });
    assert_eq!(get(&server.url).unwrap(), b"body");
}

#[test]
fn chunks_are_joined_and_broken_chunks_are_not() {
    let head = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";
    let server = Server::http(move |request, stream, _| {
        send(stream, head);
        send(
            stream,
            match request.path() {
                "/good" => "2\r\nbo\r\n2;ext=1\r\ndy\r\n0\r\n\r\n",
                "/cut" => "2\r\nbo\r\n",
                _ => "zz\r\nbo\r\n0\r\n\r\n",
            },
        );
    });
    assert_eq!(get(&format!("{}/good", server.url)).unwrap(), b"body");
    let cut = get(&format!("{}/cut", server.url)).unwrap_err();
    assert!(matches!(cut, FetchError::Disconnected { .. }), "{cut}");
    let bad = get(&format!("{}/bad", server.url)).unwrap_err();
    assert!(matches!(bad, FetchError::Protocol { .. }), "{bad}");
}

#[test]
fn a_content_encoding_is_not_undone() {
    let server = Server::http(|_, stream, _| {
        send(
            stream,
            "HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 4\r\n\r\n",
        );
        send(stream, b"\x1f\x8b\x08\x00");
    });
    assert_eq!(get(&server.url).unwrap(), b"\x1f\x8b\x08\x00");
}

#[test]
fn endless_data_ends_at_the_limit() {
    let endless = Server::http(|_, stream, _| {
        send(stream, "HTTP/1.0 200 OK\r\n\r\n");
        drip(stream, &[b'x'; 8192], Duration::ZERO);
    });
    let error = get(&endless.url).unwrap_err();
    assert!(
        matches!(error, FetchError::TooLarge { limit: 100_000, .. }),
        "{error}"
    );

    let announced = Server::http(|_, stream, _| {
        send(stream, "HTTP/1.1 200 OK\r\nContent-Length: 100001\r\n\r\n");
        stall();
    });
    let start = Instant::now();
    let error = get(&announced.url).unwrap_err();
    assert!(matches!(error, FetchError::TooLarge { .. }), "{error}");
    assert!(start.elapsed() < IMPATIENT.window);

    let exact = Server::http(|_, stream, _| ok(stream, &[b'x'; 100_000]));
    assert_eq!(get(&exact.url).unwrap().len(), 100_000);
}

#[test]
fn headers_are_bounded() {
    let server = Server::http(|_, stream, _| {
        send(stream, "HTTP/1.1 200 OK\r\n");
        drip(
            stream,
            b"X-Filler: xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx\r\n",
            Duration::ZERO,
        );
    });
    let error = get(&server.url).unwrap_err();
    assert!(matches!(error, FetchError::Protocol { .. }), "{error}");
    let server = Server::http(|_, stream, _| {
        send(stream, "SSH-2.0-server\r\n\r\n");
    });
    let error = get(&server.url).unwrap_err();
    assert!(matches!(error, FetchError::Protocol { .. }), "{error}");
}

/// Opens and reads to the end without retries, and says how long that took.
fn once(url: &str) -> (FetchError, Duration) {
    let start = Instant::now();
    let mut fetcher = fetcher();
    let mut read = || {
        let mut body = fetcher.open(url, 0)?;
        let mut buffer = [0; 4096];
        while body.read(&mut buffer)? > 0 {}
        Ok(())
    };
    let error = read().unwrap_err();
    (error, start.elapsed())
}

#[track_caller]
fn assert_slow(url: &str, expected: SlowPhase) {
    let (error, elapsed) = once(url);
    match error {
        FetchError::Slow { phase, .. } => assert_eq!(phase, expected),
        other => panic!("{other}"),
    }
    assert!(
        elapsed >= Duration::from_millis(900),
        "gave up after {elapsed:?}"
    );
    assert!(
        elapsed < Duration::from_millis(2500),
        "gave up after {elapsed:?}"
    );
}

#[test]
fn stalling_in_the_headers_is_given_up() {
    let silent = Server::http(|_, _, _| stall());
    assert_slow(&silent.url, SlowPhase::Response);
    let halfway = Server::http(|_, stream, _| {
        send(stream, "HTTP/1.1 200 OK\r\nContent-");
        stall();
    });
    assert_slow(&halfway.url, SlowPhase::Response);
}

#[test]
fn dripping_headers_are_given_up() {
    let one_header = Server::http(|_, stream, _| {
        send(stream, "HTTP/1.1 200 OK\r\nX: ");
        drip(stream, b"x", Duration::from_millis(50));
    });
    assert_slow(&one_header.url, SlowPhase::Response);
    let interim = Server::http(|_, stream, _| {
        drip(
            stream,
            b"HTTP/1.1 102 Processing\r\n\r\n",
            Duration::from_millis(50),
        );
    });
    assert_slow(&interim.url, SlowPhase::Response);
}

#[test]
fn stalling_in_the_body_is_given_up() {
    let server = Server::http(|_, stream, _| {
        send(stream, "HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n");
        send(stream, [b'x'; 50_000]);
        stall();
    });
    assert_slow(&server.url, SlowPhase::Body);
}

#[test]
fn a_dripping_body_is_given_up() {
    let server = Server::http(|_, stream, _| {
        send(stream, "HTTP/1.0 200 OK\r\n\r\n");
        drip(stream, b"x", Duration::from_millis(20));
    });
    assert_slow(&server.url, SlowPhase::Body);
}

#[test]
fn endless_trailers_are_given_up_at_any_rate() {
    let server = Server::http(|_, stream, _| {
        send(
            stream,
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n0\r\n",
        );
        drip(
            stream,
            &b"T: xxxxxxxxxxxxxxxx\r\n".repeat(10),
            Duration::from_millis(10),
        );
    });
    let (error, elapsed) = once(&server.url);
    let given_up = matches!(error, FetchError::Slow { .. } | FetchError::Protocol { .. });
    assert!(given_up, "{error}");
    assert!(
        elapsed < Duration::from_millis(2500),
        "gave up after {elapsed:?}"
    );
}

#[test]
fn a_small_file_that_is_complete_is_never_slow() {
    let server = Server::http(|_, stream, _| {
        send(stream, "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\n");
        for byte in *b"body" {
            thread::sleep(Duration::from_millis(150));
            send(stream, [byte]);
        }
    });
    assert_eq!(get(&server.url).unwrap(), b"body");
}

#[test]
fn a_slow_body_is_not_tried_again_and_a_slow_answer_is_not_for_long() {
    let body = Server::http(|_, stream, _| {
        send(stream, "HTTP/1.0 200 OK\r\n\r\n");
        stall();
    });
    assert!(get(&body.url).is_err());
    assert_eq!(body.requests().len(), 1);

    let start = Instant::now();
    let answer = Server::http(|_, _, _| stall());
    assert!(get(&answer.url).is_err());
    assert_eq!(answer.requests().len(), 3);
    assert!(start.elapsed() < Duration::from_secs(6));
}

#[test]
fn redirects_are_followed_within_reason() {
    let server = Server::http(|request, stream, _| match request.path() {
        "/end/file" => ok(stream, b"body"),
        "/0" => redirect(stream, "end/./file"),
        path => {
            let n: u32 = path[1..].parse().unwrap();
            redirect(stream, &format!("/{}", n - 1));
        }
    });
    assert_eq!(get(&format!("{}/4", server.url)).unwrap(), b"body");
    let error = get(&format!("{}/5", server.url)).unwrap_err();
    assert!(
        matches!(error, FetchError::TooManyRedirects { limit: 5, .. }),
        "{error}"
    );
    assert_eq!(server.requests().len(), 12);
}

#[test]
fn redirects_elsewhere_are_refused() {
    for location in [
        "file:///etc/passwd",
        "ftp://h/x",
        "javascript:x",
        "http://",
        "http://a@b/",
    ] {
        let server = Server::http(move |_, stream, _| redirect(stream, location));
        let error = get(&server.url).unwrap_err();
        assert!(
            matches!(error, FetchError::Redirect { .. }),
            "{location}: {error}"
        );
    }
    let nowhere = Server::http(|_, stream, _| status(stream, "302 Found"));
    assert!(matches!(
        get(&nowhere.url),
        Err(FetchError::Redirect { .. })
    ));
}

#[test]
fn ranges_are_checked() {
    let server = Server::http(|request, stream, _| {
        let body: &[u8] = match (request.path(), request.header("range")) {
            ("/honest", Some("bytes=2-")) => {
                b"HTTP/1.1 206 x\r\nContent-Range: bytes 2-3/4\r\nContent-Length: 2\r\n\r\ndy"
            }
            ("/wrong", Some(_)) => {
                b"HTTP/1.1 206 x\r\nContent-Range: bytes 1-3/4\r\nContent-Length: 3\r\n\r\nody"
            }
            ("/beyond", Some(_)) => {
                b"HTTP/1.1 416 x\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"
            }
            ("/unasked", None) => {
                b"HTTP/1.1 206 x\r\nContent-Range: bytes 0-1/4\r\nContent-Length: 2\r\n\r\nbo"
            }
            _ => b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nbody",
        };
        send(stream, body);
    });
    let at = |path: &str, from| {
        let mut fetcher = fetcher();
        let body = fetcher.open(&format!("{}{path}", server.url), from)?;
        Ok::<_, FetchError>((body.starts_at(), body.content_length()))
    };
    assert_eq!(at("/honest", 2).unwrap(), (2, Some(2)));
    assert_eq!(at("/ignores", 2).unwrap(), (0, Some(4)));
    assert_eq!(at("/beyond", 9).unwrap(), (0, Some(4)));
    assert!(matches!(at("/wrong", 2), Err(FetchError::Protocol { .. })));
    assert!(matches!(
        at("/unasked", 0),
        Err(FetchError::Protocol { .. })
    ));
}
