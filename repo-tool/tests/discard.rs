//! What is thrown away leaves no trace that matters: the published state can be carried on.

mod common;

use common::{Client, Sandbox, uri};
use countersign_repo::{DelegationChange, Extent};

fn rekey(sandbox: &Sandbox, role: &str, key: &str) {
    sandbox.make_key(key);
    let change = DelegationChange {
        keys: Some(vec![uri(key)]),
        ..DelegationChange::default()
    };
    sandbox
        .open()
        .change_delegation(role, change)
        .expect("stages");
}

fn discard(sandbox: &Sandbox, roles: &[&str]) {
    let roles: Vec<String> = roles.iter().map(|role| (*role).to_owned()).collect();
    sandbox.open().discard(&roles).expect("discards");
}

/// Delegated to a supplier, who delegates to a modem maker.
fn delegated() -> Sandbox {
    let sandbox = Sandbox::published();
    sandbox.delegate("targets", "supplier", "fw/*");
    sandbox.delegate("supplier", "modem", "fw/modem-*");
    sandbox.release();
    sandbox
}

/// Both roles can go on, and a client follows.
fn goes_on(sandbox: &Sandbox) {
    let mut client = Client::new(sandbox);
    client.refresh(sandbox.now).expect("accepted");
    for (role, name) in [("supplier", "fw/a"), ("modem", "fw/modem-a")] {
        sandbox
            .add_to(role, name, role.as_bytes())
            .expect("trusted");
    }
    sandbox.release();
    for (role, name) in [("supplier", "fw/a"), ("modem", "fw/modem-a")] {
        let got = client.get(name, sandbox.now).expect("accepted");
        assert_eq!(got, role.as_bytes());
    }
}

#[test]
fn new_keys_of_a_delegated_role_are_discarded() {
    let sandbox = delegated();
    rekey(&sandbox, "supplier", "supplier2");
    discard(&sandbox, &[]);
    goes_on(&sandbox);
}

#[test]
fn new_keys_of_one_of_two_roles_are_discarded() {
    for thrown_away in ["targets", "supplier"] {
        let sandbox = delegated();
        // Each delegator states the keys of the role below it.
        rekey(&sandbox, "supplier", "supplier2");
        rekey(&sandbox, "modem", "modem2");
        discard(&sandbox, &[thrown_away]);
        goes_on(&sandbox);
    }
}

#[test]
fn the_end_of_a_delegation_and_its_new_beginning_are_discarded() {
    let sandbox = delegated();
    let mut repository = sandbox.open();
    repository.remove_delegation("supplier").expect("removes");
    drop(repository);
    discard(&sandbox, &[]);
    goes_on(&sandbox);

    let sandbox = delegated();
    let mut repository = sandbox.open();
    repository.remove_delegation("supplier").expect("removes");
    drop(repository);
    sandbox.delegate_to("targets", "supplier", "fw/*", "other");
    discard(&sandbox, &[]);
    goes_on(&sandbox);
}

#[test]
fn a_new_delegation_is_discarded_and_made_again() {
    let sandbox = Sandbox::published();
    sandbox.delegate_to("targets", "supplier", "fw/*", "other");
    discard(&sandbox, &[]);
    assert!(sandbox.open().delegations().expect("lists").is_empty());
    sandbox.delegate("targets", "supplier", "fw/*");
    sandbox.delegate("supplier", "modem", "fw/modem-*");
    sandbox.release();
    goes_on(&sandbox);
}

#[test]
fn a_former_key_is_needed_until_nothing_published_or_staged_asks_for_it() {
    let sandbox = delegated();
    let unneeded = || {
        sandbox
            .open()
            .status(Extent::WithoutBins)
            .expect("looks")
            .unneeded_keys
    };
    rekey(&sandbox, "supplier", "supplier2");
    assert_eq!(unneeded(), [""; 0], "the published state needs it");
    discard(&sandbox, &[]);
    assert_eq!(unneeded(), [""; 0], "repo.toml lists the new one still");
    rekey(&sandbox, "supplier", "supplier3");
    assert_eq!(unneeded(), [uri("supplier2")], "it never got out");
    sandbox.release();
    assert_eq!(unneeded(), [uri("supplier"), uri("supplier2")]);
    rekey(&sandbox, "supplier", "supplier");
    assert_eq!(unneeded(), [uri("supplier2")], "it is back");
    goes_on(&sandbox);
}
