//! The examples do what they say, against a repository of the verifier's tests.

#![allow(clippy::unwrap_used, reason = "a test that cannot set up has failed")]

#[path = "../examples/async_own_parts.rs"]
mod async_own_parts;
#[cfg(feature = "http")]
#[path = "../examples/async_updater.rs"]
mod async_updater;
#[path = "../../tests/model/mod.rs"]
mod model;
#[cfg(feature = "http")]
#[path = "../../driver/tests/support/mod.rs"]
mod support;

use async_own_parts::{Carrier, Database};
use countersign_tokio::client::initialise;
use model::repository::Repository;

fn carrier(repository: &Repository) -> Carrier {
    let files = &repository.states.last().unwrap().files;
    let under = |name: &String| format!("carrier:/metadata/{name}");
    Carrier {
        files: files.iter().map(|(n, b)| (under(n), b.clone())).collect(),
        in_reach: true,
    }
}

async fn provisioned(repository: &Repository) -> Database {
    let mut store = Database::default();
    let root = repository.states[0].files["1.root.json"].clone();
    initialise(&mut store, root).await.unwrap();
    store
}

#[tokio::test]
async fn a_client_of_the_devices_own_parts_finds_an_image() {
    let repository = Repository::new(true, true);
    let now = repository.states[0].now;
    let store = provisioned(&repository).await;
    let look_up = |carrier, name| async_own_parts::look_up(carrier, store.clone(), now, name);
    let found = look_up(carrier(&repository), "d/sub.img").await.unwrap();
    assert_eq!(found.role(), "sub");
    assert!(look_up(carrier(&repository), "other.img").await.is_err());
    let mut away = carrier(&repository);
    away.in_reach = false;
    let error = look_up(away, "d/sub.img").await.unwrap_err();
    assert!(error.to_string().contains("out of reach"), "{error}");
}

#[cfg(feature = "http")]
mod over_http {
    use std::fs;
    use std::sync::Mutex;
    use std::time::Duration;

    use countersign_client::clock::system_time;

    use super::*;
    use crate::support::{Server, ok, send, stall, status};

    fn repository(image: &[u8]) -> Repository {
        let mut repository = Repository::starting_at(system_time().unwrap(), true, true);
        repository.set_image_bytes("targets", image);
        repository.publish();
        repository
    }

    /// Serves the repository, and of the image that much before it stalls.
    fn serve(repository: &Repository, image: Vec<u8>, most: usize) -> Server {
        let files = repository.states.last().unwrap().files.clone();
        Server::http(move |request, stream, _| {
            let path = request.path();
            match path.strip_prefix("/metadata/") {
                Some(name) if files.contains_key(name) => ok(stream, &files[name]),
                None if path.ends_with(".top.img") => {
                    let range = request.header("range");
                    let from = range.map_or(0, |range| {
                        let from = range["bytes=".len()..].trim_end_matches('-');
                        from.parse().unwrap()
                    });
                    let (rest, end) = (&image[from..], image.len());
                    let head = match from {
                        0 => "200 OK".into(),
                        _ => format!("206 x\r\nContent-Range: bytes {from}-{}/{end}", end - 1),
                    };
                    let length = rest.len();
                    send(
                        stream,
                        format!("HTTP/1.1 {head}\r\nContent-Length: {length}\r\n\r\n"),
                    );
                    send(stream, &rest[..most.min(length)]);
                    if most < length {
                        stall();
                    }
                }
                _ => status(stream, "404 Not Found"),
            }
        })
    }

    #[tokio::test]
    async fn the_updater_installs_and_goes_on_after_it_was_stopped() {
        let image: Vec<u8> = (0..400_000_u32).map(|i| (i / 3 % 253) as u8).collect();
        let repository = repository(&image);
        let dir = tempfile::tempdir().unwrap();
        let (state, root) = (dir.path().join("state"), dir.path().join("1.root.json"));
        fs::write(&root, &repository.states[0].files["1.root.json"]).unwrap();
        async_updater::provision(&state, &root).await.unwrap();

        let slow = serve(&repository, image.clone(), 200_000);
        let limit = Duration::from_millis(1500);
        let stopped = async_updater::update_within(limit, &state, &slow.url, "top.img").await;
        assert!(stopped.unwrap().is_none());

        let server = serve(&repository, image.clone(), usize::MAX);
        let told = Mutex::new(Vec::new());
        let tell = |bytes| told.lock().unwrap().push(bytes);
        let done = async_updater::update(&state, &server.url, "top.img", &tell).await;
        let active = async_updater::install(&state, done.unwrap()).await.unwrap();
        assert_eq!(fs::read(active).unwrap(), image);
        let told = told.into_inner().unwrap();
        assert_eq!(told.last(), Some(&(image.len() as u64)));
        // What had arrived is not asked for again: whole pieces of 64 KiB.
        assert_eq!(told.first(), Some(&(3 * 64 * 1024)));
        let asked = server.requests();
        let asked = asked.iter().filter_map(|request| request.header("range"));
        assert_eq!(asked.collect::<Vec<_>>(), ["bytes=196608-"]);
    }

    #[tokio::test]
    async fn the_updater_refuses_a_tampered_image() {
        let repository = repository(b"right");
        let dir = tempfile::tempdir().unwrap();
        let (state, root) = (dir.path().join("state"), dir.path().join("1.root.json"));
        fs::write(&root, &repository.states[0].files["1.root.json"]).unwrap();
        async_updater::provision(&state, &root).await.unwrap();
        let server = serve(&repository, b"wrong".to_vec(), usize::MAX);
        let refused = async_updater::update(&state, &server.url, "top.img", &|_| ()).await;
        let refused = refused.unwrap_err().to_string();
        assert!(refused.contains("SHA"), "{refused}");
        assert!(!state.join("images/top.img").exists());
    }
}
