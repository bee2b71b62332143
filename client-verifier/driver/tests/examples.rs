//! The examples do what they say, against a repository of the verifier's tests.

#![allow(clippy::unwrap_used, reason = "a test that cannot set up has failed")]

#[path = "../../tests/model/mod.rs"]
mod model;
#[path = "../examples/own_parts.rs"]
mod own_parts;
#[cfg(feature = "http")]
mod support;
#[cfg(feature = "http")]
#[path = "../examples/updater.rs"]
mod updater;

use countersign_client::client::initialise;
use countersign_client::store::StoreName;
use model::repository::Repository;
use own_parts::{Carrier, FlashStore};

fn carrier(repository: &Repository) -> Carrier {
    let files = &repository.states.last().unwrap().files;
    let under = |name: &String| format!("carrier:/metadata/{name}");
    Carrier {
        files: files.iter().map(|(n, b)| (under(n), b.clone())).collect(),
        in_reach: true,
    }
}

fn provisioned(repository: &Repository) -> FlashStore {
    let mut store = FlashStore::default();
    let root = repository.states[0].files["1.root.json"].clone();
    initialise(&mut store, root).unwrap();
    store
}

#[test]
fn a_client_of_the_devices_own_parts_finds_an_image() {
    let repository = Repository::new(true, true);
    let now = repository.states[0].now;
    let look_up = |carrier, store, name| own_parts::look_up(carrier, store, now, name);
    let (carried, store) = (carrier(&repository), provisioned(&repository));
    let found = look_up(carried, store, "d/sub.img").unwrap();
    assert_eq!(found.role(), "sub");

    let (carried, store) = (carrier(&repository), provisioned(&repository));
    assert!(look_up(carried, store, "other.img").is_err());
    let mut away = carrier(&repository);
    away.in_reach = false;
    let error = look_up(away, provisioned(&repository), "d/sub.img");
    assert!(error.unwrap_err().to_string().contains("out of reach"));
}

#[test]
fn the_devices_own_store_keeps_what_the_verifier_needs() {
    use countersign_client::store::Store as _;
    let mut store = provisioned(&Repository::new(true, true));
    for name in [StoreName::Root, StoreName::RootHistory(1)] {
        assert_eq!(store.load(&name).unwrap().unwrap().accepted_under, Some(1));
    }
    store.save(&StoreName::Timestamp, b"{}", 7).unwrap();
    let stored = store.load(&StoreName::Timestamp).unwrap().unwrap();
    assert_eq!(
        (&stored.bytes[..], stored.accepted_under),
        (&b"{}"[..], Some(7))
    );
    assert!(
        store
            .load(&StoreName::Delegated("root".into()))
            .unwrap()
            .is_none()
    );
}

#[test]
fn a_lost_clock_does_not_go_back_before_the_build() {
    let built = "2026-01-01T00:00:00Z".parse().unwrap();
    let later = "2027-01-01T00:00:00Z".parse().unwrap();
    assert_eq!(own_parts::now(None, built), built);
    assert_eq!(
        own_parts::now("1970-01-01T00:00:00Z".parse().ok(), built),
        built
    );
    assert_eq!(own_parts::now(Some(later), built), later);
}

#[cfg(feature = "http")]
mod over_http {
    use std::fs;

    use countersign_client::clock::system_time;

    use super::*;
    use crate::support::{Server, ok, status};

    fn serve(repository: &Repository, image: &'static [u8]) -> Server {
        let files = repository.states.last().unwrap().files.clone();
        Server::http(move |request, stream, _| {
            let path = request.path();
            match path.strip_prefix("/metadata/") {
                Some(name) if files.contains_key(name) => ok(stream, &files[name]),
                None if path.ends_with(".top.img") => ok(stream, image),
                _ => status(stream, "404 Not Found"),
            }
        })
    }

    #[test]
    fn the_updater_installs_confirms_and_goes_back() {
        let mut repository = Repository::starting_at(system_time().unwrap(), true, true);
        repository.set_image_bytes("targets", b"first");
        repository.publish();
        let dir = tempfile::tempdir().unwrap();
        let (state, root) = (dir.path().join("state"), dir.path().join("1.root.json"));
        fs::write(&root, &repository.states[0].files["1.root.json"]).unwrap();
        updater::provision(&state, &root).unwrap();
        let runs = || fs::read(state.join("slots/active/image")).unwrap();

        let server = serve(&repository, b"first");
        let image = updater::update(&state, &server.url, "top.img").unwrap();
        updater::install(&state, &image).unwrap();
        assert_eq!(runs(), b"first");
        updater::settle(&state, true).unwrap();

        repository.set_image_bytes("targets", b"second");
        repository.publish();
        let server = serve(&repository, b"second");
        let image = updater::update(&state, &server.url, "top.img").unwrap();
        updater::install(&state, &image).unwrap();
        assert_eq!(runs(), b"second");
        updater::settle(&state, false).unwrap();
        assert_eq!(runs(), b"first");

        // The proof goes into an installer of one's own.
        let now = system_time().unwrap();
        let running = dir.path().join("running");
        updater::switch_to(image.verified, &image.path, &running, now).unwrap();
        assert_eq!(fs::read(running).unwrap(), b"second");
    }

    #[test]
    fn the_updater_refuses_a_tampered_image() {
        let mut repository = Repository::starting_at(system_time().unwrap(), true, true);
        repository.set_image_bytes("targets", b"right");
        repository.publish();
        let dir = tempfile::tempdir().unwrap();
        let (state, root) = (dir.path().join("state"), dir.path().join("1.root.json"));
        fs::write(&root, &repository.states[0].files["1.root.json"]).unwrap();
        updater::provision(&state, &root).unwrap();
        let server = serve(&repository, b"wrong");
        let refused = updater::update(&state, &server.url, "top.img").unwrap_err();
        assert!(refused.to_string().contains("SHA"), "{refused}");
        assert!(!state.join("images/top.img").exists());
    }
}
