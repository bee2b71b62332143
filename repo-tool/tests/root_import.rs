//! Roots that were made elsewhere, as by a ceremony: the first one and the next.

mod common;

use std::fs;

use common::{Client, Sandbox, role, simple_policy, uri};
use countersign_metadata::{Key, RoleType, Root, Signed, Unsigned};
use countersign_repo::policy::Policy;
use countersign_repo::{NamedKeys, Outgoing, Repository, keys};
use countersign_signing::Secrets;

/// Makes the next Root as a ceremony would, away from the repository.
fn elsewhere(sandbox: &Sandbox, change: impl FnOnce(&mut Root), signers: &[&str]) -> Vec<u8> {
    let newest = fs::read(sandbox.metadata("root.json")).expect("published");
    let current = Signed::<Root>::parse(newest).expect("well-formed");
    let current = current.verify_by_itself().expect("signed");
    let expires = sandbox.now.plus_seconds(1_000_000).expect("a time");
    let mut root = current.content().next(expires);
    change(&mut root);
    sign_by(sandbox, root.to_payload(), signers)
}

fn sign_by(sandbox: &Sandbox, payload: String, signers: &[&str]) -> Vec<u8> {
    let mut file = Unsigned::new(payload);
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
    let mut policy = simple_policy();
    policy.roles.root = role(&["r1", "r2", "r3"], 2, "1y");
    let sandbox = Sandbox::started_with(&policy);
    sandbox.make_key("next-online");
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
        .import_root("f", short, &NamedKeys::new())
        .expect_err("one of two");
    assert_eq!(error.name(), "root-import");
    assert!(error.to_string().contains("1 of 2"), "{error}");
    let skipped = elsewhere(&sandbox, |root| root.header.version += 1, &["r1", "r2"]);
    let error = sandbox
        .open()
        .import_root("f", skipped, &NamedKeys::new())
        .expect_err("a gap");
    assert!(error.to_string().contains("version 3"), "{error}");
    let over = elsewhere(
        &sandbox,
        |root| root.header.expires = sandbox.now,
        &["r1", "r2"],
    );
    sandbox
        .open()
        .import_root("f", over, &NamedKeys::new())
        .expect_err("expired");
    let changed_over = elsewhere(
        &sandbox,
        |root| root.consistent_snapshot = false,
        &["r1", "r2"],
    );
    sandbox
        .open()
        .import_root("f", changed_over, &NamedKeys::new())
        .expect_err("another layout");

    let root = elsewhere(&sandbox, change, &["r1", "r3"]);
    let next = |kind| NamedKeys::from([(kind, vec![uri("next-online")])]);
    let wrong = sandbox
        .open()
        .import_root("f", root.clone(), &next(RoleType::Snapshot));
    let error = wrong.expect_err("another role's key");
    assert!(
        error.to_string().contains("does not give snapshot"),
        "{error}"
    );
    let mut repository = sandbox.open();
    let version = repository.import_root("f", root.clone(), &next(RoleType::Timestamp));
    assert_eq!(version.expect("good"), 2);
    let policy = repository.policy().clone();
    assert_eq!(policy.roles.timestamp.keys, [uri("next-online")]);
    assert_eq!(policy.retired_keys, [uri("timestamp")]);
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
        .import_root("f", file.to_file(), &NamedKeys::new())
        .expect_err("not signed");
    assert_eq!(error.name(), "root-import");
    let key = uri("root").parse().expect("a URI");
    let signer = countersign_signing::open(&key, &sandbox.secrets()).expect("a key");
    file.add_signature(signer.keyid(), signer.sign(file.payload()).expect("signs"));
    sandbox
        .open()
        .import_root("f", file.to_file(), &NamedKeys::new())
        .expect("good");
    sandbox.release();
    Client::new(&sandbox)
        .refresh(sandbox.now)
        .expect("accepted");
}

/// A first Root of 2-of-3 keys that are never where the repository is.
fn ceremony(sandbox: &Sandbox, signers: &[&str]) -> Vec<u8> {
    let expires = sandbox.now.plus_seconds(1_000_000).expect("a time");
    let mut root = Root::new(expires, true);
    let roles = [
        (RoleType::Root, &["r1", "r2", "r3"][..], 2),
        (RoleType::Targets, &["targets", "away"], 1),
        (RoleType::Snapshot, &["online"], 1),
        (RoleType::Timestamp, &["online"], 1),
    ];
    for (kind, names, threshold) in roles {
        for name in names {
            sandbox.make_key(name);
            let key = keys::public(&uri(name), &sandbox.secrets()).expect("a key");
            root.add_key(kind, Key::new(&key));
        }
        root.roles.get_mut(&kind).expect("a role").threshold = threshold;
    }
    sign_by(sandbox, root.to_payload(), signers)
}

#[test]
fn a_repository_starts_with_the_root_of_a_ceremony() {
    let sandbox = Sandbox::with_keys(&[]);
    let folder = sandbox.path().join("repository");
    let secrets = || Secrets::unattended(sandbox.path());
    let named = NamedKeys::from([
        (RoleType::Targets, vec![uri("targets")]),
        (RoleType::Snapshot, vec![uri("online")]),
        (RoleType::Timestamp, vec![uri("online")]),
    ]);
    let start = |root: Vec<u8>, named: &NamedKeys| {
        let policy = Policy {
            consistent_snapshot: false,
            ..simple_policy()
        };
        Repository::init_from_root(&folder, policy, ("f", root), named, sandbox.now, secrets())
    };
    let short = start(ceremony(&sandbox, &["r1"]), &named).expect_err("one of two");
    assert!(short.to_string().contains("1 of 2"), "{short}");
    let root = ceremony(&sandbox, &["r1", "r3"]);
    let swapped = NamedKeys::from([(RoleType::Timestamp, vec![uri("targets")])]);
    let error = start(root.clone(), &swapped).expect_err("another role's key");
    assert!(
        error.to_string().contains("does not give timestamp"),
        "{error}"
    );
    assert!(!folder.join("repo.toml").exists());

    let mut repository = start(root.clone(), &named).expect("starts");
    let policy = repository.policy().clone();
    assert!(policy.consistent_snapshot, "as the root says");
    assert_eq!(policy.roles.root.threshold, 2);
    assert_eq!(policy.roles.root.keys.len(), 3);
    assert!(
        policy
            .roles
            .root
            .keys
            .iter()
            .all(|key| key.starts_with("keys/"))
    );
    assert_eq!(policy.roles.targets.keys.len(), 2);
    assert_eq!(policy.roles.targets.keys[0], uri("targets"));
    assert_eq!(policy.roles.timestamp.keys, [uri("online")]);
    assert_eq!(repository.sign(&[]).expect("signs").missing, [""; 0]);
    repository.publish(Outgoing::Sign).expect("publishes");
    let again = start(root.clone(), &named).expect_err("there is one");
    assert_eq!(again.name(), "already-exists");
    drop(repository);
    let published = folder.join("published/metadata");
    assert_eq!(
        fs::read(published.join("1.root.json")).expect("there"),
        root
    );
}
