//! New Roots: every role's keys change without a moment in which a client refuses.

mod common;

use std::fs;

use common::{Client, Sandbox, role, simple_policy, uri};
use countersign_metadata::{Key, KeyId, Role, RoleType, Root, Signed, Targets, Unsigned};
use countersign_repo::policy::Policy;
use countersign_repo::{Outgoing, keys};

/// Adds a new key to a role and takes the old one away.
fn rotate(sandbox: &Sandbox, kind: RoleType, old: &str, new: &str) -> KeyId {
    sandbox.make_key(new);
    let mut repository = sandbox.open();
    let id = repository.add_root_key(kind, &uri(new)).expect("adds");
    let old = keys::public(&uri(old), &sandbox.secrets()).expect("a key");
    let old = Key::new(&old).id();
    repository
        .remove_root_key(kind, old.as_str())
        .expect("removes");
    id
}

fn signers(sandbox: &Sandbox, name: &str) -> Vec<KeyId> {
    let file = fs::read(sandbox.metadata(name)).expect("published");
    let signed = Signed::<Targets>::parse(file).expect("well-formed");
    signed
        .signatures()
        .iter()
        .map(|entry| entry.keyid.clone())
        .collect()
}

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
            let sandbox = Sandbox::started_with(&policy);
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
            let file = match (kind, consistent) {
                (RoleType::Timestamp, _) => "timestamp.json".to_owned(),
                (RoleType::Root, _) => "2.root.json".to_owned(),
                (_, false) => format!("{kind}.json"),
                (_, true) => format!("3.{kind}.json"),
            };
            let expected = match kind {
                RoleType::Root => 2,
                _ => 1,
            };
            let signers = signers(&sandbox, &file);
            assert!(signers.contains(&new), "{kind}: by the new key");
            assert_eq!(signers.len(), expected, "{kind}: by the new key alone");
            let again = sandbox
                .open()
                .publish(Outgoing::Sign)
                .expect("nothing left");
            assert!(!again.changed());
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

/// Makes the next Root as a ceremony would, away from the repository.
fn elsewhere(sandbox: &Sandbox, change: impl FnOnce(&mut Root), signers: &[&str]) -> Vec<u8> {
    let newest = fs::read(sandbox.metadata("root.json")).expect("published");
    let current = Signed::<Root>::parse(newest).expect("well-formed");
    let current = current.verify_by_itself().expect("signed");
    let expires = sandbox.now.plus_seconds(1_000_000).expect("a time");
    let mut root = current.content().next(expires);
    change(&mut root);
    let mut file = Unsigned::new(root.to_payload());
    for name in signers {
        let uri = uri(name).parse().expect("a URI");
        let signer = countersign_signing::open(&uri, &sandbox.secrets()).expect("a key");
        let signature = signer.sign(file.payload()).expect("signs");
        file.add_signature(signer.keyid(), signature);
    }
    file.to_file()
}

#[test]
fn a_root_made_elsewhere_is_imported_byte_for_byte() {
    let mut policy: Policy = simple_policy();
    policy.roles.root = role(&["r1", "r2", "r3"], 2, "1y");
    policy.retired_keys = vec![uri("next-online")];
    let sandbox = Sandbox::started_with(&policy);
    sandbox.release();
    let mut client = Client::new(&sandbox);
    client.refresh(sandbox.now).expect("accepted");
    let online = keys::public(&uri("next-online"), &sandbox.secrets()).expect("a key");
    let change = |root: &mut Root| {
        let id = root.add_key(RoleType::Timestamp, Key::new(&online));
        let old = root.roles[&RoleType::Timestamp].keyids[0].clone();
        assert_ne!(id, old);
        root.remove_key(RoleType::Timestamp, &old);
    };

    let short = elsewhere(&sandbox, change, &["r1"]);
    let error = sandbox
        .open()
        .import_root("f", short)
        .expect_err("one of two");
    assert_eq!(error.name(), "root-import");
    assert!(error.to_string().contains("1 of 2"), "{error}");
    let skipped = elsewhere(&sandbox, |root| root.header.version += 1, &["r1", "r2"]);
    let error = sandbox.open().import_root("f", skipped).expect_err("a gap");
    assert!(error.to_string().contains("version 3"), "{error}");
    let over = elsewhere(
        &sandbox,
        |root| root.header.expires = sandbox.now,
        &["r1", "r2"],
    );
    sandbox.open().import_root("f", over).expect_err("expired");
    let changed_over = elsewhere(
        &sandbox,
        |root| root.consistent_snapshot = false,
        &["r1", "r2"],
    );
    sandbox
        .open()
        .import_root("f", changed_over)
        .expect_err("another layout");

    let root = elsewhere(&sandbox, change, &["r1", "r3"]);
    let mut repository = sandbox.open();
    assert_eq!(repository.import_root("f", root.clone()).expect("good"), 2);
    assert_eq!(repository.sign(&[]).expect("signs").missing, [""; 0]);
    repository.publish(Outgoing::Sign).expect("publishes");
    drop(repository);
    assert_eq!(
        fs::read(sandbox.metadata("2.root.json")).expect("there"),
        root
    );
    client.refresh(sandbox.now).expect("accepted");
    assert_eq!(client.root_version(), 2);
}

#[test]
fn a_first_root_may_come_from_elsewhere_too() {
    let sandbox = Sandbox::started();
    let staged = fs::read(sandbox.path().join("staged/metadata/root.json")).expect("staged");
    let staged = Signed::<Root>::parse(staged).expect("well-formed");
    let mut file = Unsigned::new(staged.payload().to_string());
    let error = sandbox
        .open()
        .import_root("f", file.to_file())
        .expect_err("not signed");
    assert_eq!(error.name(), "root-import");
    let key = uri("root").parse().expect("a URI");
    let signer = countersign_signing::open(&key, &sandbox.secrets()).expect("a key");
    file.add_signature(signer.keyid(), signer.sign(file.payload()).expect("signs"));
    sandbox
        .open()
        .import_root("f", file.to_file())
        .expect("good");
    sandbox.release();
    Client::new(&sandbox)
        .refresh(sandbox.now)
        .expect("accepted");
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
