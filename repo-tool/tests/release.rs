//! From an empty folder to clients that follow: editing, signing, publishing, refreshing.

mod common;

use std::fs;

use common::{Client, DAY, Sandbox, role, simple_policy, uri};
use countersign_metadata::{Signed, Timestamp};
use countersign_repo::policy::Listing;
use countersign_repo::{
    Due, Extent, NewTarget, Outgoing, RepoError, Repository, Silent, Visibility, verify,
};

#[test]
fn a_client_follows_from_the_first_release_to_the_third() {
    let sandbox = Sandbox::started();
    sandbox.add("fw/a.img", b"first");
    sandbox.release();
    let mut client = Client::new(&sandbox);
    assert_eq!(
        client.get("fw/a.img", sandbox.now).expect("accepted"),
        b"first"
    );

    sandbox.add("fw/a.img", b"second");
    sandbox.add("b.img", b"other");
    assert_eq!(
        client.get("fw/a.img", sandbox.now).expect("still"),
        b"first"
    );
    sandbox.release();
    assert_eq!(
        client.get("fw/a.img", sandbox.now).expect("accepted"),
        b"second"
    );
    assert_eq!(
        client.get("b.img", sandbox.now).expect("accepted"),
        b"other"
    );

    sandbox
        .open()
        .remove_target("b.img", None)
        .expect("removes");
    sandbox.release();
    let error = client.get("b.img", sandbox.now).expect_err("gone");
    assert_eq!(error.code.name(), "target-not-found");
    assert!(sandbox.metadata("3.targets.json").exists());
    assert!(sandbox.metadata("3.snapshot.json").exists());
}

#[test]
fn an_image_is_there_once_for_each_of_its_hashes() {
    let sandbox = Sandbox::started();
    let listed = sandbox.add("fw/a.img", b"image");
    sandbox.release();
    for prefix in [
        hex::encode(listed.file.hashes.sha256.expect("listed")),
        hex::encode(listed.file.hashes.sha512.expect("listed")),
    ] {
        let path = common::target_file(&sandbox, &listed.path, &prefix);
        assert_eq!(fs::read(path).expect("there"), b"image");
    }
    assert!(!sandbox.path().join("staged/images").exists());
}

#[test]
fn what_leads_back_to_the_published_state_is_unstaged() {
    let sandbox = Sandbox::published();
    sandbox.add("a", b"x");
    assert!(sandbox.path().join("staged/metadata/targets.json").exists());
    sandbox.open().remove_target("a", None).expect("removes");
    assert!(!sandbox.path().join("staged/metadata/targets.json").exists());
    let report = sandbox
        .open()
        .publish(Outgoing::Sign)
        .expect("nothing to do");
    assert!(!report.changed());
}

#[test]
fn signatures_stay_only_while_the_payload_does() {
    let sandbox = Sandbox::published();
    sandbox.add("a", b"x");
    assert_eq!(sandbox.open().sign(&[]).expect("signs").missing, [""; 0]);
    assert!(sandbox.open().sign(&[]).expect("signs").signed.is_empty());
    sandbox.add("a", b"x");
    assert!(sandbox.open().sign(&[]).expect("signs").signed.is_empty());
    sandbox.add("b", b"y");
    let error = sandbox
        .open()
        .publish(Outgoing::Sign)
        .expect_err("not signed");
    assert_eq!((error.name(), error.exit_code()), ("incomplete", 3));
    assert!(!sandbox.open().sign(&[]).expect("signs").signed.is_empty());
    sandbox.open().publish(Outgoing::Sign).expect("publishes");
}

#[test]
fn two_of_three_must_sign_and_the_error_says_who_can() {
    let mut policy = simple_policy();
    policy.roles.targets = role(&["t1", "t2", "t3"], 2, "90d");
    let sandbox = Sandbox::started_with(&policy);
    let report = sandbox
        .open()
        .sign(&[uri("t1"), uri("root")])
        .expect("signs");
    assert_eq!(report.signed.len(), 2);
    let error = sandbox
        .open()
        .publish(Outgoing::Sign)
        .expect_err("one is missing");
    let text = error.to_string();
    assert!(text.contains("targets: 1 of 2"), "{text}");
    assert!(text.contains("t2.pem") && text.contains("t3.pem"), "{text}");
    sandbox.open().sign(&[uri("t3")]).expect("signs");
    sandbox
        .open()
        .publish(Outgoing::Sign)
        .expect("publishes; the online keys are here");
    Client::new(&sandbox)
        .refresh(sandbox.now)
        .expect("accepted");
}

#[test]
fn every_way_of_listing_is_accepted_with_and_without_consistent_snapshots() {
    for consistent in [true, false] {
        for listing in [Listing::Hashes, Listing::Lengths, Listing::Versions] {
            let mut policy = simple_policy();
            policy.consistent_snapshot = consistent;
            policy.snapshot_lists = listing;
            policy.timestamp_lists = listing;
            let sandbox = Sandbox::started_with(&policy);
            sandbox.add("d/a", b"1");
            sandbox.release();
            let mut client = Client::new(&sandbox);
            assert_eq!(client.get("d/a", sandbox.now).expect("accepted"), b"1");
            sandbox.add("d/a", b"2");
            sandbox.release();
            assert_eq!(client.get("d/a", sandbox.now).expect("accepted"), b"2");
            assert_eq!(sandbox.metadata("targets.json").exists(), !consistent);
            assert_eq!(sandbox.metadata("2.targets.json").exists(), consistent);
        }
    }
}

#[test]
fn refresh_renews_what_is_due_and_leaves_the_staged_alone() {
    let mut sandbox = Sandbox::published();
    let mut client = Client::new(&sandbox);
    client.refresh(sandbox.now).expect("accepted");
    sandbox.add("a", b"staged");
    let report = sandbox
        .open()
        .refresh(Due::ByPolicy, Outgoing::Sign)
        .expect("nothing due");
    assert!(!report.changed());
    sandbox.later(DAY + 1);
    let report = sandbox
        .open()
        .refresh(Due::ByPolicy, Outgoing::Sign)
        .expect("timestamp is due");
    assert_eq!(report.files, [("timestamp".into(), 2)]);
    sandbox.later(6 * DAY);
    assert_eq!(
        client
            .refresh(sandbox.now)
            .expect_err("expired")
            .code
            .name(),
        "expired"
    );
    let report = sandbox
        .open()
        .refresh(Due::ByPolicy, Outgoing::Sign)
        .expect("both are due");
    assert_eq!(
        report.files,
        [("snapshot".into(), 2), ("timestamp".into(), 3)]
    );
    client.refresh(sandbox.now).expect("accepted");
    assert!(client.get("a", sandbox.now).is_err());
    sandbox.release();
    assert_eq!(client.get("a", sandbox.now).expect("accepted"), b"staged");
}

#[test]
fn expired_targets_are_named_and_can_be_renewed() {
    let mut sandbox = Sandbox::published();
    sandbox.later(91 * DAY);
    let error = sandbox
        .open()
        .refresh(Due::Now, Outgoing::Sign)
        .expect_err("targets is over");
    assert_eq!(error.name(), "refused-by-verifier");
    assert!(error.to_string().contains("expired (targets)"), "{error}");
    assert!(error.to_string().contains("renew targets"), "{error}");
    sandbox.open().renew("targets").expect("stages");
    sandbox.release();
    Client::new(&sandbox)
        .refresh(sandbox.now)
        .expect("accepted");
}

#[test]
fn a_staged_file_that_expired_is_not_published() {
    let mut sandbox = Sandbox::published();
    sandbox.add("a", b"x");
    sandbox.open().sign(&[]).expect("signs");
    sandbox.later(100 * DAY);
    let error = sandbox.open().publish(Outgoing::Sign).expect_err("over");
    assert_eq!(error.name(), "expired");
    assert!(error.to_string().contains("renew targets"), "{error}");
    let report = sandbox.open().sign(&[]).expect("signs the rest");
    assert!(report.missing.is_empty());
    assert!(report.expired[0].contains("renew targets"), "{report:?}");
    let status = sandbox.open().status(Extent::All).expect("looks");
    assert!(!status.ready);
    let remedies: Vec<&String> = status
        .staged
        .iter()
        .filter_map(|f| f.expired.as_ref())
        .collect();
    assert!(remedies[0].contains("renew targets"), "{remedies:?}");
}

#[test]
fn an_expired_root_is_named_with_the_way_out() {
    let mut sandbox = Sandbox::published();
    sandbox.later(366 * DAY);
    let error = sandbox
        .open()
        .refresh(Due::Now, Outgoing::Sign)
        .expect_err("root is over");
    assert!(error.to_string().contains("expired (root)"), "{error}");
    assert!(error.to_string().contains("root set-expiry"), "{error}");
    sandbox.open().renew("targets").expect("stages");
    sandbox.open().sign(&[]).expect("signs");
    let error = sandbox.open().publish(Outgoing::Sign).expect_err("over");
    assert!(error.to_string().contains("root set-expiry"), "{error}");
    let found = verify(&sandbox.public(), sandbox.now, &Silent).expect("looks");
    assert!(
        found.faults[0].what.contains("root set-expiry"),
        "{found:?}"
    );
    assert!(found.extra.is_empty(), "{found:?}");
}

#[test]
fn a_missing_or_changed_image_stops_the_publish() {
    let sandbox = Sandbox::published();
    let listed = sandbox.add("a", b"x");
    sandbox.open().sign(&[]).expect("signs");
    let staged = sandbox
        .path()
        .join("staged/images")
        .join(hex::encode(listed.file.hashes.sha256.expect("listed")));
    fs::remove_file(&staged).expect("removes");
    let error = sandbox.open().publish(Outgoing::Sign).expect_err("missing");
    assert_eq!(error.name(), "image-missing");
    fs::write(&staged, b"y").expect("writes");
    let error = sandbox
        .open()
        .publish(Outgoing::Sign)
        .expect_err("other bytes");
    assert_eq!(error.name(), "image-differs");
    assert!(!sandbox.metadata("2.snapshot.json").exists());
    fs::write(&staged, b"x").expect("writes");
    sandbox.open().publish(Outgoing::Sign).expect("publishes");
}

/// As when a second copy of the repository's folder has published meanwhile.
#[test]
fn a_draft_that_another_release_has_overtaken_is_not_published() {
    let sandbox = Sandbox::published();
    sandbox.add("a", b"x");
    let path = sandbox.path().join("staged/metadata/targets.json");
    let draft = fs::read(&path).expect("staged");
    sandbox.release();
    sandbox.add("b", b"y");
    sandbox.release();
    fs::create_dir_all(path.parent().expect("a folder")).expect("a folder");
    fs::write(&path, draft).expect("writes");
    let error = sandbox.open().sign(&[]).expect_err("overtaken");
    assert_eq!(error.name(), "overtaken");
    assert!(error.to_string().contains("discard targets"), "{error}");
    let refused = sandbox.open().publish(Outgoing::Sign);
    assert_eq!(refused.expect_err("overtaken").name(), "overtaken");
    sandbox
        .open()
        .discard(&["targets".into()])
        .expect("discards");
    sandbox.add("c", b"z");
    sandbox.release();
}

#[test]
fn confidential_bytes_never_enter_the_public_tree() {
    let sandbox = Sandbox::published();
    let secret = NewTarget {
        visibility: Visibility::Confidential,
        ..sandbox.new_target("secret.img", b"a secret image")
    };
    let listed = sandbox.open().add_targets(&[secret], None).expect("adds");
    sandbox.release();
    let sha256 = hex::encode(listed[0].file.hashes.sha256.expect("listed"));
    assert!(sandbox.path().join("confidential").join(&sha256).exists());
    let public = common::target_file(&sandbox, &listed[0].path, &sha256);
    assert!(!public.exists());
    let leak = sandbox.new_target("other.img", b"a secret image");
    let error = sandbox
        .open()
        .add_targets(&[leak], None)
        .expect_err("would leak");
    assert_eq!(error.name(), "confidential");
    assert!(!sandbox.path().join("staged/images").join(&sha256).exists());
}

#[test]
fn hostile_names_and_sources_are_refused() {
    let sandbox = Sandbox::published();
    for (name, error) in [
        ("../up", "unsafe-name"),
        ("/abs", "unsafe-name"),
        ("u\u{308}", "not-nfc"),
    ] {
        let new = NewTarget {
            name: name.into(),
            ..sandbox.new_target("ok", b"x")
        };
        let refused = sandbox.open().add_targets(&[new], None).expect_err(name);
        assert_eq!(refused.name(), error);
    }
    let folder = NewTarget {
        source: sandbox.path().into(),
        ..sandbox.new_target("ok", b"x")
    };
    let refused = sandbox
        .open()
        .add_targets(&[folder], None)
        .expect_err("a folder");
    assert_eq!(refused.name(), "not-a-file");
    assert!(matches!(
        sandbox.add_to("nobody", "x", b"x"),
        Err(RepoError::NoSuchRole { .. })
    ));
}

#[test]
fn a_repository_is_started_once_and_locked_while_open() {
    let sandbox = Sandbox::started();
    let again = Repository::init(
        sandbox.path(),
        Some(&simple_policy()),
        sandbox.now,
        sandbox.secrets(),
    );
    assert_eq!(again.expect_err("exists").name(), "already-exists");
    let again = Repository::init(sandbox.path(), None, sandbox.now, sandbox.secrets());
    assert_eq!(again.expect_err("exists").name(), "already-exists");
}

#[test]
fn a_policy_with_a_missing_key_starts_nothing() {
    let sandbox = Sandbox::with_keys(&["root", "targets", "snapshot"]);
    let started = Repository::init(
        sandbox.path(),
        Some(&simple_policy()),
        sandbox.now,
        sandbox.secrets(),
    );
    let error = started.expect_err("no timestamp key");
    assert_eq!(error.name(), "key");
    assert!(error.to_string().contains("timestamp.pem"), "{error}");
    assert!(!sandbox.path().join("repo.toml").exists());
    sandbox.make_key("timestamp");
    Repository::init(
        sandbox.path(),
        Some(&simple_policy()),
        sandbox.now,
        sandbox.secrets(),
    )
    .expect("starts now");
}

#[test]
fn an_emptied_destination_is_filled_again() {
    let sandbox = Sandbox::published();
    fs::remove_dir_all(sandbox.public().join("metadata")).expect("removes");
    let report = sandbox.open().publish(Outgoing::Sign).expect("restores");
    assert!(report.resumed && report.files.is_empty());
    Client::new(&sandbox)
        .refresh(sandbox.now)
        .expect("accepted");
    let bytes = fs::read(sandbox.metadata("timestamp.json")).expect("there");
    Signed::<Timestamp>::parse(bytes).expect("well-formed");
}
