//! The HTTP fetcher against servers of every kind.

#![allow(clippy::unwrap_used, reason = "a test that cannot set up has failed")]

#[path = "cases/http.rs"]
mod cases;
mod support;

mod subject {
    pub(crate) use countersign_client::fetch::HttpFetcher;
}

mod connection {
    //! When a connection is used again.

    use std::time::{Duration, Instant};

    use countersign_client::fetch::{HttpFetcher, TlsRoots, fetch_bytes};

    use crate::support::{IMPATIENT, Server, send, stall};

    const MISSING: &str = "HTTP/1.1 404 Not Found\r\nContent-Length: 9\r\n\r\n";

    fn fetcher() -> HttpFetcher {
        HttpFetcher::new(IMPATIENT, TlsRoots::mozilla())
    }

    #[test]
    fn a_connection_outlives_a_file_that_is_not_there_and_a_redirect() {
        let server = Server::keep_alive(|request, stream, _| {
            let answer = match request.path() {
                "/2.root.json" => MISSING.to_owned() + "not here\n",
                "/old" => {
                    "HTTP/1.1 302 Found\r\nLocation: /new\r\nContent-Length: 4\r\n\r\nnew\n".into()
                }
                path => format!(
                    "HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{path}",
                    path.len()
                ),
            };
            send(stream, answer);
        });
        let mut fetcher = fetcher();
        let mut get = |path: &str| fetch_bytes(&mut fetcher, &format!("{}{path}", server.url), 99);
        assert!(get("/2.root.json").unwrap_err().is_not_found());
        assert_eq!(get("/timestamp.json").unwrap(), b"/timestamp.json");
        assert_eq!(get("/old").unwrap(), b"/new");
        assert_eq!(server.connections(), 1);
    }

    #[test]
    fn what_is_said_beside_a_status_is_not_waited_for_beyond_the_time_for_a_response() {
        for cut in ["", "not"] {
            let server = Server::keep_alive(move |_, stream, _| {
                send(stream, MISSING);
                send(stream, cut);
                stall();
            });
            let start = Instant::now();
            let error = fetch_bytes(&mut fetcher(), &server.url, 99).unwrap_err();
            assert!(error.is_not_found(), "{error}");
            assert!(start.elapsed() < Duration::from_millis(2500));
        }
    }

    #[test]
    fn a_long_page_is_not_taken_in() {
        let server = Server::keep_alive(|_, stream, _| {
            send(
                stream,
                "HTTP/1.1 404 Not Found\r\nContent-Length: 10000000\r\n\r\n",
            );
            stall();
        });
        let start = Instant::now();
        let error = fetch_bytes(&mut fetcher(), &server.url, 99).unwrap_err();
        assert!(error.is_not_found(), "{error}");
        assert!(start.elapsed() < Duration::from_millis(900));
    }
}
