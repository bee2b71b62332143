//! Clients between two Roots: none is refused, however the files change meanwhile.

mod common;

use std::collections::BTreeMap;
use std::fs;

use common::{Client, GRACE, Sandbox, rotate, signatures_on};
use countersign_metadata::{RoleType, UtcTime};
use countersign_repo::{Due, Extent, Outgoing};
use countersign_verifier::{Reject, Session, Step, drive};

/// Refreshes, and lets `meanwhile` happen just before the `at`th request. Whether there was one.
fn interrupted(
    client: &mut Client,
    now: UtcTime,
    at: usize,
    meanwhile: impl FnOnce(),
) -> (bool, Result<(), Reject>) {
    let (mut requests, mut meanwhile) = (0, Some(meanwhile));
    let outcome = drive(&mut Session::refresh(now), |step| {
        if matches!(step, Step::Fetch { .. }) {
            requests += 1;
            if requests == at
                && let Some(meanwhile) = meanwhile.take()
            {
                meanwhile();
            }
        }
        Ok(client.answer(step))
    });
    (meanwhile.is_none(), outcome.map(drop))
}

/// Several rotations, the files after them, and time in between, while a client pauses between
/// two of its requests: it is not refused, wherever it pauses.
#[test]
fn a_client_that_pauses_between_two_requests_is_not_refused() {
    let online = [RoleType::Timestamp, RoleType::Snapshot, RoleType::Targets];
    let one_by_one: Vec<&[RoleType]> = online.iter().map(std::slice::from_ref).collect();
    let root_too = [&online[..1], &[RoleType::Root], &online];
    for rotations in [&one_by_one[..], &root_too] {
        for warm in [false, true] {
            for at in 1.. {
                let mut sandbox = Sandbox::published();
                let mut client = Client::new(&sandbox);
                if warm {
                    client.refresh(sandbox.now).expect("accepted");
                    sandbox.add("a", b"1");
                    sandbox.release();
                }
                let started = sandbox.now;
                let (paused, outcome) = interrupted(&mut client, started, at, || {
                    let mut keys = BTreeMap::new();
                    for (number, roles) in rotations.iter().enumerate() {
                        for kind in *roles {
                            let new = format!("{kind}{number}");
                            let old = keys.insert(*kind, new.clone());
                            let old = old.unwrap_or_else(|| kind.to_string());
                            rotate(&sandbox, *kind, &old, &new);
                        }
                        sandbox.release();
                        sandbox.later(300);
                    }
                    sandbox.add("b", b"2");
                    sandbox.release();
                    sandbox.later(300);
                    sandbox
                        .open()
                        .refresh(Due::Now, Outgoing::Sign)
                        .expect("renews");
                });
                assert!(outcome.is_ok(), "paused before request {at}: {outcome:?}");
                if !paused {
                    break;
                }
                client.refresh(sandbox.now).expect("accepted");
                assert_eq!(client.root_version(), 1 + rotations.len() as u64);
                sandbox.later(GRACE);
                let report = sandbox.open().refresh(Due::ByPolicy, Outgoing::Sign);
                assert!(report.expect("signs by the new keys alone").changed());
                assert_eq!(signatures_on(&sandbox, "timestamp.json").len(), 1);
                client.refresh(sandbox.now).expect("accepted");
            }
        }
    }
}

/// Published, the timestamp key replaced, its old key lost right after.
fn lost_on_the_way() -> Sandbox {
    let sandbox = Sandbox::published();
    rotate(&sandbox, RoleType::Timestamp, "timestamp", "new");
    sandbox.release();
    fs::remove_file(sandbox.path().join("keys/timestamp.pem")).expect("the key is lost");
    sandbox
}

#[test]
fn an_outgoing_key_that_is_lost_on_the_way_is_waited_for_or_given_up() {
    let mut waits = lost_on_the_way();
    let nothing = waits.open().refresh(Due::ByPolicy, Outgoing::Sign);
    assert!(!nothing.expect("nothing is due").changed());
    let error = waits
        .open()
        .refresh(Due::Now, Outgoing::Sign)
        .expect_err("on the way");
    assert_eq!((error.name(), error.exit_code()), ("outgoing-keys", 3));
    assert!(
        error.to_string().contains("wait until 2031-05-06T08:0"),
        "{error}"
    );
    waits.add("a", b"1");
    waits.open().sign(&[]).expect("signs what it can");
    let error = waits
        .open()
        .publish(Outgoing::Sign)
        .expect_err("on the way");
    assert_eq!(error.name(), "outgoing-keys");
    assert!(error.to_string().contains("wait until"), "{error}");
    waits.later(GRACE);
    waits
        .open()
        .publish(Outgoing::Sign)
        .expect("not needed any more");
    assert_eq!(signatures_on(&waits, "timestamp.json").len(), 1);

    let gives_up = lost_on_the_way();
    let report = gives_up
        .open()
        .refresh(Due::Now, Outgoing::Lost)
        .expect("publishes");
    assert_eq!(report.notes.len(), 1, "{:?}", report.notes);
    assert_eq!(
        gives_up.open().status(Extent::All).expect("looks").way_over,
        []
    );
    let again = gives_up
        .open()
        .refresh(Due::Now, Outgoing::Sign)
        .expect("the way is over");
    assert_eq!(again.notes, [""; 0]);
}

/// The time at which a Root became public is missing after a kill, or comes from a wrong clock.
#[test]
fn the_way_over_starts_with_the_run_that_finds_the_root_public() {
    for written in [None, Some("2099-01-01T00:00:00Z\n"), Some("soon")] {
        let mut sandbox = Sandbox::published();
        rotate(&sandbox, RoleType::Timestamp, "timestamp", "new");
        sandbox.release();
        let since = sandbox.path().join("state/roots/2.public-since");
        match written {
            Some(text) => fs::write(&since, text).expect("writes"),
            None => fs::remove_file(&since).expect("removes"),
        }
        let way_over = |sandbox: &Sandbox| {
            let status = sandbox.open().status(Extent::All);
            status.expect("looks").way_over.len()
        };
        sandbox.later(GRACE);
        assert_eq!(way_over(&sandbox), 1);
        let refresh = |sandbox: &Sandbox| sandbox.open().refresh(Due::ByPolicy, Outgoing::Sign);
        assert!(!refresh(&sandbox).expect("waits").changed());
        sandbox.later(GRACE);
        assert_eq!(way_over(&sandbox), 0);
        assert!(refresh(&sandbox).expect("ends it").changed());
        assert_eq!(signatures_on(&sandbox, "timestamp.json").len(), 1);
    }
}
