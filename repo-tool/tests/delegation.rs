//! Delegations, nested ones, and bins.

mod common;

use std::fs;

use common::{Client, Sandbox, signers, uri};
use countersign_metadata::PathSet;
use countersign_repo::{BinStyle, DelegationChange, NewBins, NewDelegation, Outgoing, Scope};

#[test]
fn clients_find_images_through_nested_delegations() {
    let sandbox = Sandbox::published();
    sandbox.delegate("targets", "supplier", "fw/*");
    sandbox.delegate("supplier", "modem", "fw/modem-*");
    sandbox.add_to("supplier", "fw/a", b"1").expect("trusted");
    sandbox
        .add_to("modem", "fw/modem-1", b"2")
        .expect("trusted");
    sandbox.release();
    let mut client = Client::new(&sandbox);
    assert_eq!(client.get("fw/a", sandbox.now).expect("accepted"), b"1");
    assert_eq!(
        client.get("fw/modem-1", sandbox.now).expect("accepted"),
        b"2"
    );
    for (role, name) in [
        ("modem", "fw/a"),
        ("supplier", "other"),
        ("modem", "modem-1"),
    ] {
        let error = sandbox
            .add_to(role, name, b"x")
            .expect_err("outside its paths");
        assert_eq!(error.name(), "not-delegated", "{role} {name}");
    }
    let listed = sandbox.open().delegations().expect("lists");
    let listed: Vec<(&str, &str)> = listed
        .iter()
        .map(|d| (d.role.as_str(), d.from.as_str()))
        .collect();
    assert_eq!(listed, [("supplier", "targets"), ("modem", "supplier")]);
}

#[test]
fn a_removed_role_stays_in_snapshot_and_comes_back_with_a_higher_version() {
    let sandbox = Sandbox::published();
    sandbox.delegate("targets", "supplier", "fw/*");
    sandbox.add_to("supplier", "fw/a", b"1").expect("trusted");
    sandbox.release();
    let mut client = Client::new(&sandbox);
    client.get("fw/a", sandbox.now).expect("accepted");
    sandbox
        .open()
        .remove_delegation("supplier")
        .expect("removes");
    sandbox.release();
    let error = client.get("fw/a", sandbox.now).expect_err("gone");
    assert_eq!(error.code.name(), "target-not-found");
    sandbox.delegate("targets", "supplier", "fw/*");
    sandbox.release();
    assert!(sandbox.metadata("2.supplier.json").exists());
    let error = client
        .get("fw/a", sandbox.now)
        .expect_err("a new beginning");
    assert_eq!(error.code.name(), "target-not-found");
    assert!(error.cause.is_none(), "{error}");
}

#[test]
fn new_keys_of_a_delegated_role_sign_its_next_version() {
    let sandbox = Sandbox::published();
    sandbox.delegate("targets", "supplier", "fw/*");
    sandbox.add_to("supplier", "fw/a", b"1").expect("trusted");
    sandbox.release();
    let mut client = Client::new(&sandbox);
    client.get("fw/a", sandbox.now).expect("accepted");
    sandbox.make_key("supplier2");
    let change = DelegationChange {
        keys: Some(vec![uri("supplier2")]),
        ..DelegationChange::default()
    };
    sandbox
        .open()
        .change_delegation("supplier", change)
        .expect("stages");
    fs::remove_file(sandbox.path().join("keys/supplier.pem")).expect("the old key is gone");
    sandbox.release();
    assert!(sandbox.metadata("2.supplier.json").exists());
    assert_eq!(client.get("fw/a", sandbox.now).expect("accepted"), b"1");
}

#[test]
fn bad_delegations_are_refused() {
    let sandbox = Sandbox::published();
    let new = |role: &str, from: &str, threshold: u32, paths: PathSet| NewDelegation {
        role: role.into(),
        from: from.into(),
        signers: countersign_repo::DelegatedKeys {
            threshold,
            ..signers("targets")
        },
        scope: Scope {
            paths,
            hardware_ids: None,
            terminating: false,
        },
    };
    let paths = || PathSet::Patterns(vec!["a/*".into()]);
    for (delegation, name) in [
        (new("1.x", "targets", 1, paths()), "role-name"),
        (new("../x", "targets", 1, paths()), "role-name"),
        (new("snapshot", "targets", 1, paths()), "role-name"),
        (new("x", "nobody", 1, paths()), "no-such-role"),
        (new("x", "targets", 2, paths()), "delegation"),
        (new("x", "targets", 0, paths()), "delegation"),
        (
            new("x", "targets", 1, PathSet::Patterns(vec![])),
            "delegation",
        ),
        (
            new("x", "targets", 1, PathSet::HashPrefixes(vec!["xyz".into()])),
            "delegation",
        ),
        (
            new("x", "targets", 1, PathSet::Patterns(vec!["/a".into()])),
            "delegation",
        ),
    ] {
        let error = sandbox.open().add_delegation(delegation).expect_err(name);
        assert_eq!(error.name(), name);
    }
    assert!(!sandbox.path().join("staged/metadata/targets.json").exists());
    sandbox.delegate("targets", "x", "a/*");
    let again = new("x", "targets", 1, paths());
    let error = sandbox.open().add_delegation(again).expect_err("twice");
    assert_eq!(error.name(), "role-exists");
}

fn bins(count: u64, style: BinStyle) -> NewBins {
    NewBins {
        from: "targets".into(),
        prefix: "bin".into(),
        count,
        style,
        signers: signers("bins"),
    }
}

#[test]
fn adding_to_bins_changes_one_bin() {
    for (style, count) in [
        (BinStyle::Succinct, 16),
        (BinStyle::HashPrefixes, 16),
        (BinStyle::HashPrefixes, 8),
        (BinStyle::Succinct, 2),
    ] {
        let sandbox = Sandbox::published();
        sandbox.make_key("bins");
        sandbox.add("before", b"0");
        sandbox.open().add_bins(bins(count, style)).expect("stages");
        sandbox.release();
        let mut client = Client::new(&sandbox);
        assert_eq!(client.get("before", sandbox.now).expect("moved"), b"0");
        let listed = sandbox.add("fw/new", b"1");
        assert!(listed.role.starts_with("bin-"), "{}", listed.role);
        sandbox.open().sign(&[]).expect("signs");
        let report = sandbox.open().publish(Outgoing::Sign).expect("publishes");
        let roles: Vec<&str> = report.files.iter().map(|(role, _)| role.as_str()).collect();
        assert_eq!(roles, [listed.role.as_str(), "snapshot", "timestamp"]);
        assert_eq!(client.get("fw/new", sandbox.now).expect("accepted"), b"1");
        assert_eq!(client.get("before", sandbox.now).expect("accepted"), b"0");
        assert_eq!(
            sandbox.open().remove_target("fw/new", None).expect("found"),
            listed.role
        );
    }
}

#[test]
fn no_other_bin_is_read_when_one_changes() {
    let sandbox = Sandbox::published();
    sandbox.make_key("bins");
    sandbox
        .open()
        .add_bins(bins(16, BinStyle::Succinct))
        .expect("stages");
    sandbox.release();
    let listed = sandbox.add("fw/new", b"1");
    sandbox.open().discard(&[]).expect("discards");
    // What is not there cannot be read.
    for number in 0..16 {
        let name = format!("bin-{number:x}");
        if name != listed.role {
            let file = format!("state/metadata/1.{name}.json");
            fs::remove_file(sandbox.path().join(file)).expect("there");
        }
    }
    sandbox.add("fw/new", b"1");
    sandbox.release();
    assert_eq!(
        Client::new(&sandbox)
            .get("fw/new", sandbox.now)
            .expect("accepted"),
        b"1"
    );
}

#[test]
fn bins_are_refused_where_they_cannot_be() {
    let sandbox = Sandbox::published();
    sandbox.make_key("bins");
    for count in [0, 1, 3, 1 << 17] {
        let error = sandbox
            .open()
            .add_bins(bins(count, BinStyle::Succinct))
            .expect_err("count");
        assert_eq!(error.name(), "delegation", "{count}");
    }
    sandbox.delegate("targets", "supplier", "fw/*");
    let error = sandbox
        .open()
        .add_bins(bins(4, BinStyle::Succinct))
        .expect_err("not alone");
    assert!(error.to_string().contains("only delegation"), "{error}");
    sandbox
        .open()
        .add_bins(bins(4, BinStyle::HashPrefixes))
        .expect("beside others");
    let nested = NewBins {
        from: "supplier".into(),
        prefix: "fwbin".into(),
        ..bins(4, BinStyle::Succinct)
    };
    sandbox
        .open()
        .add_bins(nested)
        .expect("below a role of its own");
    let listed = sandbox.add_to("supplier", "fw/x", b"1").expect("trusted");
    assert!(listed.role.starts_with("fwbin-"));
    sandbox.release();
    assert_eq!(
        Client::new(&sandbox)
            .get("fw/x", sandbox.now)
            .expect("accepted"),
        b"1"
    );
    let error = sandbox
        .add_to("fwbin-0", "other", b"x")
        .expect_err("outside");
    assert_eq!(error.name(), "not-delegated");
}

#[test]
fn a_whole_tree_is_verified_and_its_faults_are_named() {
    let sandbox = Sandbox::published();
    sandbox.delegate("targets", "supplier", "fw/*");
    let listed = sandbox
        .add_to("supplier", "fw/a", b"12345")
        .expect("trusted");
    sandbox.release();
    let verify = || {
        countersign_repo::verify(&sandbox.public(), sandbox.now, &countersign_repo::Silent)
            .expect("looks")
    };
    let good = verify();
    assert!(good.faults.is_empty(), "{:?}", good.faults);
    assert_eq!(
        (good.root, good.roles, good.images, good.bytes),
        (1, 2, 1, 5)
    );
    // The versions before are still there.
    assert_eq!(good.extra.len(), 2, "{:?}", good.extra);

    let hash = hex::encode(listed.file.hashes.sha512.expect("listed"));
    let image = common::target_file(&sandbox, &listed.path, &hash);
    fs::write(&image, b"54321").expect("writes");
    fs::write(sandbox.metadata("1.supplier.json"), b"{}").expect("writes");
    fs::write(sandbox.public().join("targets/stray"), b"").expect("writes");
    let bad = verify();
    assert_eq!(bad.faults.len(), 1, "{:?}", bad.faults);
    assert!(bad.faults[0].at.ends_with("1.supplier.json"));
    assert!(bad.extra.iter().any(|path| path.ends_with("targets/stray")));
}
