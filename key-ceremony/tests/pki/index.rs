//! An index that was lost, cut off or changed: nothing is decided without what it knew.

use std::fs;
use std::process::Command;

use crate::tool::{P256, Tool, VEHICLE, issue};

/// A CA that issued two certificates, revoked the first as compromised and wrote two lists into
/// `crl.pem`.
fn used() -> Tool {
    let tool = Tool::started();
    for (name, ecu) in [("a", "E1"), ("b", "E2")] {
        tool.request(name, P256);
        tool.issue(name, ecu, &format!("{name}.pem"));
    }
    tool.json(0, &CRL);
    let revoke = ["revoke", "--cert", "a.pem", "--reason", "key-compromise"];
    tool.json(0, &revoke);
    tool.json(0, &CRL);
    tool
}

const CRL: [&str; 3] = ["crl", "--out", "crl.pem"];

/// The key that was revoked.
fn issue_again(tool: &Tool, why: &str) {
    let arguments = issue("a", VEHICLE, "E1", "again.pem");
    tool.refused(why, &arguments.each_ref().map(String::as_str));
    assert!(!tool.path("again.pem").exists());
}

#[test]
fn a_missing_index_is_no_empty_one() {
    let tool = used();
    let list = tool.text_of("crl.pem");
    issue_again(&tool, "key-compromised");
    fs::remove_file(tool.path("ca/index.jsonl")).unwrap();
    let said = tool.refused("index-missing", &CRL);
    assert!(said.contains("restore it from a backup"), "{said}");
    issue_again(&tool, "index-missing");
    tool.refused("index-missing", &["list"]);
    assert_eq!(tool.text_of("crl.pem"), list);
    assert!(!tool.path("ca/index.jsonl").exists());
    // Not even one that waits for its certificate begins without.
    let tool = Tool::new();
    let key = format!("file:{}?encryption=none", tool.path("ca.key").display());
    let init = [
        "init",
        "--key",
        &key,
        "--generate",
        "ecdsa-p256",
        "--name",
        "X",
    ];
    let init = [&init[..], &["--accept-weak-custody", "--csr-out", "ca.csr"]].concat();
    tool.json(0, &init);
    tool.refused("ca-not-adopted", &["list"]);
    fs::remove_file(tool.path("ca/index.jsonl")).unwrap();
    tool.refused("index-missing", &["list"]);
}

#[test]
fn an_index_that_is_cut_or_changed() {
    let tool = used();
    let list = tool.text_of("crl.pem");
    let good = tool.text_of("ca/index.jsonl");
    let lines: Vec<&str> = good.lines().collect();
    let write = |lines: &[&str]| {
        let text: String = lines.iter().map(|line| format!("{line}\n")).collect();
        tool.write("ca/index.jsonl", text);
    };
    // opened, reserved for the CA, 2 x reserved and issued, list 1, revoked, list 2
    assert_eq!(lines.len(), 9);
    for end in 1..lines.len() {
        write(&lines[..end]);
        let said = tool.refused("index-older", &CRL);
        assert!(said.contains("revocation list 2"), "{said}");
    }
    for end in [0, good.find('\n').unwrap()] {
        tool.write("ca/index.jsonl", &good[..end]);
        tool.refused("index-damaged", &CRL);
    }
    for at in 0..lines.len() - 1 {
        let mut less = lines.clone();
        less.remove(at);
        write(&less);
        let said = tool.refused("index-damaged", &CRL);
        assert!(said.contains(&format!("line {}", at + 1)), "{at}: {said}");
        let changed = lines[at].replacen("2", "3", 1);
        let mut other = lines.clone();
        other[at] = &changed;
        write(&other);
        tool.refused("index-damaged", &["list"]);
    }
    assert_eq!(tool.text_of("crl.pem"), list);
    write(&lines);
    issue_again(&tool, "key-compromised");
    let next = tool.json(0, &CRL);
    assert_eq!((&next["number"], &next["revoked"]), (&3.into(), &1.into()));
}

#[test]
fn the_index_of_another_ca() {
    let (tool, other) = (used(), Tool::started());
    tool.write("ca/index.jsonl", other.text_of("ca/index.jsonl"));
    tool.refused("index-other", &CRL);
    issue_again(&tool, "index-other");
}

#[test]
fn only_a_list_of_this_ca_is_replaced() {
    let (tool, other) = (used(), Tool::started());
    other.json(0, &CRL);
    let own = tool.text_of("crl.pem");
    tool.openssl("crl -in crl.pem -outform DER -out forged.der");
    let mut forged = fs::read(tool.path("forged.der")).unwrap();
    // The end of the signature.
    *forged.last_mut().unwrap() ^= 1;
    for there in [
        other.text_of("crl.pem").into_bytes(),
        forged,
        format!("{own}{own}").into_bytes(),
        own.replacen("\nMI", "\nMJ", 1).into_bytes(),
        b"-----BEGIN X509 CRL-----\n".to_vec(),
        Vec::new(),
    ] {
        tool.write("other.pem", &there);
        tool.refused("already-exists", &["crl", "--out", "other.pem"]);
        assert_eq!(fs::read(tool.path("other.pem")).unwrap(), there);
    }
    let made = Command::new("mkfifo").arg(tool.path("pipe.pem")).status();
    assert!(made.unwrap().success());
    tool.refused("not-a-file", &["crl", "--out", "pipe.pem"]);
    // None of these used up a number.
    assert_eq!(tool.json(0, &CRL)["number"], 3);
}
