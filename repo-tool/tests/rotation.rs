//! New Roots: every role's keys change without a moment in which a client refuses.

mod common;

use std::fs;

use common::{Client, GRACE, Sandbox, rotate, signatures_on, simple_policy};
use countersign_metadata::{Role, RoleType, Signed, Targets};
use countersign_repo::Outgoing;

#[test]
fn clients_of_every_state_follow_a_rotation_of_each_role() {
    for consistent in [true, false] {
        for (kind, old) in [
            (RoleType::Root, "root"),
            (RoleType::Targets, "targets"),
            (RoleType::Snapshot, "snapshot"),
            (RoleType::Timestamp, "timestamp"),
        ] {
            let mut policy = simple_policy();
            policy.consistent_snapshot = consistent;
            let mut sandbox = Sandbox::started_with(&policy);
            sandbox.add("a", b"1");
            sandbox.release();
            let fresh = Client::new(&sandbox);
            let mut follower = fresh.clone();
            follower.refresh(sandbox.now).expect("accepted");
            let new = rotate(&sandbox, kind, old, "new");
            sandbox.add("b", b"2");
            sandbox.release();
            for mut client in [fresh, follower] {
                assert_eq!(
                    client.get("b", sandbox.now).expect("accepted"),
                    b"2",
                    "{kind}"
                );
                assert_eq!(client.root_version(), 2);
            }
            let file = |version: u64| match (kind, consistent) {
                (RoleType::Timestamp, _) => "timestamp.json".to_owned(),
                (RoleType::Root, _) => "2.root.json".to_owned(),
                (_, false) => format!("{kind}.json"),
                (_, true) => format!("{version}.{kind}.json"),
            };
            let both = signatures_on(&sandbox, &file(2));
            assert!(both.contains(&new) && both.len() == 2, "{kind}: by both");
            let publish = |sandbox: &Sandbox| sandbox.open().publish(Outgoing::Sign);
            assert!(!publish(&sandbox).expect("nothing left").changed());
            sandbox.later(GRACE);
            let retired = publish(&sandbox).expect("publishes").changed();
            assert_eq!(retired, kind != RoleType::Root);
            if retired {
                assert_eq!(
                    signatures_on(&sandbox, &file(3)),
                    [new],
                    "{kind}: by the new alone"
                );
            }
            assert!(!publish(&sandbox).expect("nothing left").changed());
        }
    }
}

#[test]
fn the_outgoing_key_signs_the_file_that_leads_over() {
    let sandbox = Sandbox::published();
    let new = rotate(&sandbox, RoleType::Timestamp, "timestamp", "new");
    let policy = fs::read_to_string(sandbox.path().join("repo.toml")).expect("a policy");
    assert!(
        policy.contains("retired_keys = [\"file:keys/timestamp.pem"),
        "{policy}"
    );
    sandbox.open().sign(&[]).expect("signs");
    let staged = fs::read(sandbox.path().join("staged/metadata/timestamp.json")).expect("staged");
    let staged = Signed::<Targets>::parse(staged).expect("well-formed");
    assert_eq!(staged.signatures().len(), 2);
    assert!(staged.signatures().iter().any(|entry| entry.keyid == new));
}

#[test]
fn without_the_outgoing_key_only_an_accepted_window_publishes() {
    for consistent in [true, false] {
        let mut policy = simple_policy();
        policy.consistent_snapshot = consistent;
        let sandbox = Sandbox::started_with(&policy);
        sandbox.release();
        let mut client = Client::new(&sandbox);
        client.refresh(sandbox.now).expect("accepted");
        rotate(&sandbox, RoleType::Timestamp, "timestamp", "new");
        fs::remove_file(sandbox.path().join("keys/timestamp.pem")).expect("the key is lost");
        let report = sandbox.open().sign(&[]).expect("signs what it can");
        assert_eq!(report.missing.len(), 1, "{:?}", report.missing);
        let error = sandbox
            .open()
            .publish(Outgoing::Sign)
            .expect_err("a window");
        assert_eq!((error.name(), error.exit_code()), ("outgoing-keys", 3));
        assert!(error.to_string().contains("--accept-window"));
        client.refresh(sandbox.now).expect("nothing changed");
        let report = sandbox.open().publish(Outgoing::Lost).expect("publishes");
        assert_eq!(report.notes.len(), 1);
        client.refresh(sandbox.now).expect("accepted");
        Client::new(&sandbox)
            .refresh(sandbox.now)
            .expect("accepted");
        sandbox.add("a", b"1");
        sandbox.release();
        assert_eq!(client.get("a", sandbox.now).expect("accepted"), b"1");
    }
}

#[test]
fn outgoing_keys_that_must_not_sign_are_not_asked() {
    let sandbox = Sandbox::published();
    let mut client = Client::new(&sandbox);
    client.refresh(sandbox.now).expect("accepted");
    for kind in [RoleType::Timestamp, RoleType::Snapshot, RoleType::Targets] {
        let new = format!("new-{kind}");
        rotate(&sandbox, kind, kind.name(), &new);
        let old = sandbox.path().join(format!("keys/{kind}.pem"));
        fs::write(old, "no key any more, which whoever asks it finds out").expect("writes");
    }
    let asked = sandbox.open().sign(&[]).expect_err("asks them");
    assert_eq!(asked.name(), "key");
    let report = sandbox.open().sign_for(Outgoing::Lost).expect("does not");
    assert_eq!(report.missing, [""; 0]);
    sandbox.open().publish(Outgoing::Lost).expect("publishes");
    for file in ["timestamp.json", "2.snapshot.json", "2.targets.json"] {
        assert_eq!(signatures_on(&sandbox, file).len(), 1, "{file}");
    }
    client.refresh(sandbox.now).expect("accepted");
}

#[test]
fn thresholds_that_cannot_be_reached_are_refused_at_once() {
    let sandbox = Sandbox::published();
    let mut repository = sandbox.open();
    let error = repository
        .set_root_threshold(RoleType::Targets, 2)
        .expect_err("one key");
    assert_eq!(error.name(), "threshold-unreachable");
    let root = repository.root().expect("published");
    let only = root.roles[&RoleType::Snapshot].keyids[0].clone();
    let error = repository
        .remove_root_key(RoleType::Snapshot, only.as_str())
        .expect_err("the last key");
    assert_eq!(error.name(), "threshold-unreachable");
    let error = repository
        .remove_root_key(RoleType::Root, "nope")
        .expect_err("no key");
    assert_eq!(error.name(), "key-id");
    assert!(repository.set_root_expiry(sandbox.now).is_err());
    assert_eq!(repository.root().expect("published").version(), 1);
}

#[test]
fn five_roots_later_the_oldest_client_still_follows() {
    let sandbox = Sandbox::published();
    let mut oldest = Client::new(&sandbox);
    let mut previous = "root".to_owned();
    for number in 0..5 {
        let next = format!("root{number}");
        rotate(&sandbox, RoleType::Root, &previous, &next);
        sandbox.release();
        previous = next;
    }
    oldest.refresh(sandbox.now).expect("accepted");
    assert_eq!(oldest.root_version(), 6);
}
