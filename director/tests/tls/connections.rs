//! Connections that are held for nothing.

use std::io;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::routing::get;
use bytes::Bytes;
use countersign_director::tls::Bounds;
use futures_util::stream;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::{sleep, timeout};

use crate::place::{Place, ask, who};

const LONG: Duration = Duration::from_secs(20);

#[tokio::test]
async fn silence_is_not_waited_for() {
    let place = Place::new();
    let bounds = Bounds {
        handshake: Duration::from_millis(100),
        ..Bounds::default()
    };
    let server = place.serve_within(bounds, LONG, Router::new());
    let mut silent = TcpStream::connect(server).await.unwrap();
    let read = timeout(LONG, silent.read_u8()).await;
    assert!(read.unwrap().is_err());
}

#[tokio::test]
async fn a_request_that_is_never_whole_is_not_waited_for() {
    let place = Place::new();
    let (short, bounds) = (
        Duration::from_millis(500),
        Bounds {
            handshake: Duration::from_secs(2),
            ..Bounds::default()
        },
    );
    let app = Router::new().route("/", get(who));
    let server = place.serve_within(bounds, short, app);
    let device = place.ca.device(1);
    for begun in ["", "GET / HT", "GET / HTTP/1.1\r\nHost: localhost\r\n"] {
        let mut stream = place.connect(server, &device).await;
        stream.write_all(begun.as_bytes()).await.unwrap();
        let mut told = Vec::new();
        let ended = timeout(LONG, stream.read_to_end(&mut told)).await;
        assert!(ended.is_ok(), "{begun:?}");
        assert!(!told.starts_with(b"HTTP/1.1 2"), "{begun:?}");
    }
    // The same after an answer.
    let mut stream = place.connect(server, &device).await;
    ask(&mut stream).await.unwrap();
    let ended = timeout(LONG, stream.read_u8()).await.unwrap();
    assert_eq!(ended.unwrap_err().kind(), io::ErrorKind::UnexpectedEof);
}

#[tokio::test]
async fn who_takes_nothing_of_an_answer_gets_no_more_of_it() {
    let place = Place::new();
    // Only the connection can end it.
    let endless = || {
        let chunks = stream::repeat_with(|| io::Result::Ok(Bytes::from_static(&[7; 65_536])));
        std::future::ready(Body::from_stream(chunks))
    };
    let bounds = Bounds {
        stalled: Duration::from_millis(500),
        ..Bounds::default()
    };
    let server = place.serve_within(bounds, LONG, Router::new().route("/", get(endless)));
    let device = place.ca.device(1);
    let request = b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n";
    // A slow reader gets what it reads.
    let mut slow = place.connect(server, &device).await;
    slow.write_all(request).await.unwrap();
    let mut some = vec![0; 1 << 20];
    for _ in 0..8 {
        sleep(Duration::from_millis(150)).await;
        slow.read_exact(&mut some).await.unwrap();
    }
    drop(slow);
    let mut deaf = place.connect(server, &device).await;
    deaf.write_all(request).await.unwrap();
    sleep(Duration::from_secs(2)).await;
    let mut told = 0;
    let read = async {
        loop {
            match deaf.read(&mut some).await {
                Ok(0) | Err(_) => break,
                Ok(length) => told += length,
            }
        }
    };
    timeout(LONG, read).await.expect("the connection has ended");
    assert!(told > 0);
}

#[tokio::test]
async fn one_vehicle_does_not_take_all_connections() {
    let place = Place::new();
    let bounds = Bounds {
        connections: 3,
        of_one_vehicle: 2,
        ..Bounds::default()
    };
    let server = place.serve_within(bounds, LONG, Router::new().route("/", get(who)));
    let [one, other] = [place.ca.device(1), place.ca.device_of("VIN2", 2)];
    let mut first = place.connect(server, &one).await;
    let mut second = place.connect(server, &one).await;
    for stream in [&mut first, &mut second] {
        assert_eq!(ask(stream).await.unwrap(), "VIN1 TCU/1");
    }
    let mut third = place.connect(server, &one).await;
    assert!(ask(&mut third).await.is_err());
    drop(third);
    let mut its = place.connect(server, &other).await;
    assert_eq!(ask(&mut its).await.unwrap(), "VIN2 TCU/2");
    assert!(place.tell_once(server, &other).await.is_err());
    // A place that is left is free again.
    drop(first);
    let again = async {
        while place.tell_once(server, &one).await.is_err() {
            sleep(Duration::from_millis(20)).await;
        }
    };
    timeout(LONG, again).await.unwrap();
}
