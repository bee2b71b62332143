//! Requests that travel to another machine, and signatures that come back.

mod common;

use std::path::Path;

use common::{Client, Sandbox, role, simple_policy, uri};
use countersign_repo::exchange::{Request, Signatures};
use countersign_repo::{Outgoing, keys};
use countersign_signing::{Algorithm, Secrets};

/// A repository whose three root keys are on another machine.
fn with_keys_elsewhere(there: &Path) -> Sandbox {
    let sandbox = Sandbox::with_keys(&["targets", "snapshot", "timestamp"]);
    let secrets = Secrets::unattended(there);
    let mut policy = simple_policy();
    policy.roles.root = role(&[], 2, "1y");
    for name in ["r1", "r2", "r3"] {
        let key = keys::generate(&uri(name), Algorithm::Ed25519, &secrets).expect("a key");
        let entry = format!("keys/{name}.pub.json");
        let json = serde_json::to_vec(&keys::KeyJson::new(&key)).expect("serialises");
        std::fs::write(sandbox.path().join(&entry), &json).expect("writes");
        policy.roles.root.keys.push(entry);
    }
    countersign_repo::Repository::init(
        sandbox.path(),
        Some(&policy),
        sandbox.now,
        sandbox.secrets(),
    )
    .expect("starts");
    sandbox
}

#[test]
fn two_of_three_people_sign_elsewhere() {
    let there = tempfile::tempdir().expect("another machine");
    let sandbox = with_keys_elsewhere(there.path());
    let secrets = Secrets::unattended(there.path());
    let report = sandbox.open().sign(&[]).expect("signs targets");
    assert_eq!(report.missing.len(), 1);
    assert!(
        report.missing[0].starts_with("root: 0 of 2"),
        "{:?}",
        report.missing
    );

    let path = there.path().join("request.json");
    let request = sandbox.open().request(&[]).expect("asks");
    std::fs::write(&path, request.to_file()).expect("travels");
    let request = Request::read(&path).expect("arrives");
    let summaries = request.summaries(&path).expect("is what it says");
    assert_eq!(summaries.len(), 1);
    assert_eq!(
        (summaries[0].role.as_str(), summaries[0].version),
        ("root", 1)
    );

    for name in ["r1", "r3"] {
        let signatures = request.sign(&path, &[uri(name)], &secrets).expect("signs");
        let back = there.path().join("signatures.json");
        std::fs::write(&back, signatures.to_file()).expect("travels");
        let signatures = Signatures::read(&back).expect("arrives");
        let attached = sandbox.open().attach(&signatures, &back).expect("right");
        assert_eq!(attached.len(), 1);
    }
    sandbox.open().publish(Outgoing::Sign).expect("publishes");
    Client::new(&sandbox)
        .refresh(sandbox.now)
        .expect("accepted");
}

#[test]
fn only_right_signatures_over_what_is_staged_are_attached() {
    let there = tempfile::tempdir().expect("another machine");
    let sandbox = with_keys_elsewhere(there.path());
    let secrets = Secrets::unattended(there.path());
    let path = there.path().join("f");
    let request = sandbox.open().request(&["root".into()]).expect("asks");
    let good = request.sign(&path, &[uri("r1")], &secrets).expect("signs");

    let mut wrong = good.clone();
    let flipped = if wrong.signatures[0].sig.starts_with('0') {
        "1"
    } else {
        "0"
    };
    wrong.signatures[0].sig.replace_range(0..1, flipped);
    let error = sandbox.open().attach(&wrong, &path).expect_err("wrong");
    assert!(error.to_string().contains("is wrong"), "{error}");

    let mut stranger = good.clone();
    stranger.signatures[0].keyid = "stranger".into();
    let error = sandbox
        .open()
        .attach(&stranger, &path)
        .expect_err("a stranger");
    assert!(error.to_string().contains("may not sign root"), "{error}");

    let mut elsewhere = good.clone();
    elsewhere.signatures[0].role = "targets".into();
    sandbox
        .open()
        .attach(&elsewhere, &path)
        .expect_err("another payload");

    let later = sandbox.now.plus_seconds(99).expect("a time");
    sandbox.open().set_root_expiry(later).expect("edits");
    let error = sandbox
        .open()
        .attach(&good, &path)
        .expect_err("out of date");
    assert!(error.to_string().contains("make a new request"), "{error}");
}

#[test]
fn a_request_that_is_not_what_it_says_is_not_signed() {
    let there = tempfile::tempdir().expect("another machine");
    let sandbox = with_keys_elsewhere(there.path());
    let secrets = Secrets::unattended(there.path());
    let path = there.path().join("f");
    let request = sandbox.open().request(&[]).expect("asks");
    for change in [
        |payload: &mut String| payload.push(' '),
        |payload: &mut String| {
            *payload = payload.replacen("\"_type\":\"root\"", "\"_type\":\"targets\"", 1)
        },
        |payload: &mut String| *payload = payload.replacen('{', "{ ", 1),
        |payload: &mut String| *payload = "arbitrary text".into(),
    ] {
        let mut changed = request.clone();
        let root = changed
            .payloads
            .iter_mut()
            .find(|payload| payload.role == "root");
        change(&mut root.expect("asked for").payload);
        let error = changed
            .sign(&path, &[uri("r1")], &secrets)
            .expect_err("changed");
        assert_eq!(error.name(), "exchange");
    }
    let unasked = keys::generate(&uri("other"), Algorithm::Ed25519, &secrets);
    unasked.expect("a key");
    let error = request
        .sign(&path, &[uri("other")], &secrets)
        .expect_err("not asked for");
    assert!(error.to_string().contains("nothing in it"), "{error}");
}

#[test]
fn files_of_another_kind_are_refused() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("f");
    for text in [
        "",
        "{}",
        r#"{"format":"countersign-signing-request-1","payloads":[],"more":1}"#,
        r#"{"format":"something else","payloads":[]}"#,
        r#"{"format":"countersign-signing-request-1","format":"countersign-signing-request-1","payloads":[]}"#,
    ] {
        std::fs::write(&path, text.as_bytes()).expect("writes");
        assert_eq!(Request::read(&path).expect_err(text).name(), "exchange");
        assert_eq!(Signatures::read(&path).expect_err(text).name(), "exchange");
    }
}
