//! Requests, certificates and folders that were made to break something.

use std::fs;
use std::process::Command;

use serde_json::{Value, json};

use crate::tool::{P256, Tool, VEHICLE, device_request, follows, issue};

#[track_caller]
fn refused(tool: &Tool, why: &str, name: &str) -> String {
    let arguments = issue(name, VEHICLE, "E1", "out.pem");
    let said = tool.refused(why, &arguments.each_ref().map(String::as_str));
    assert!(!tool.path("out.pem").exists());
    said
}

#[test]
fn other_keys_are_refused() {
    let tool = Tool::started();
    for (algorithm, part) in [
        ("RSA -pkeyopt rsa_keygen_bits:2048", "RSA"),
        ("EC -pkeyopt ec_paramgen_curve:P-384", "P-384"),
        ("EC -pkeyopt ec_paramgen_curve:P-521", "another kind"),
        ("EC -pkeyopt ec_paramgen_curve:secp256k1", "another kind"),
        ("ED448", "another kind"),
        (
            &format!("{P256} -pkeyopt ec_param_enc:explicit"),
            "another kind",
        ),
    ] {
        tool.request("a", algorithm);
        let said = refused(&tool, "request-key", "a");
        assert!(
            said.contains(part) && said.contains("P-256 or Ed25519"),
            "{said}"
        );
    }
    tool.openssl(&format!("genpkey -algorithm {P256} -out a.key"));
    tool.openssl("ec -in a.key -conv_form compressed -out c.key");
    tool.openssl("req -new -key c.key -subj /CN=x -out a.csr");
    let said = refused(&tool, "request-key", "a");
    assert!(said.contains("compressed"), "{said}");
    tool.openssl("req -new -sha512 -key a.key -subj /CN=x -out a.csr");
    refused(&tool, "request-malformed", "a");
}

#[test]
fn a_key_without_its_owner_is_refused() {
    let tool = Tool::started();
    let mut bent = device_request(1);
    // The signature of Ed25519 is at the end.
    *bent.last_mut().unwrap() ^= 1;
    tool.write("a.csr", bent);
    refused(&tool, "request-proof", "a");
    // Everybody can sign under the neutral element: R is the same, S is 0.
    let good = device_request(1);
    let key = good
        .windows(12)
        .position(|bytes| bytes == ED25519_SPKI)
        .unwrap()
        + 12;
    let mut weak = good.clone();
    let mut identity = [0; 32];
    identity[0] = 1;
    weak[key..key + 32].copy_from_slice(&identity);
    let signature = weak.len() - 64;
    weak[signature..signature + 32].copy_from_slice(&identity);
    weak[signature + 32..].fill(0);
    tool.write("a.csr", weak);
    let said = refused(&tool, "request-key", "a");
    assert!(said.contains("small order"), "{said}");
}

/// The beginning of an Ed25519 SubjectPublicKeyInfo (RFC 8410 4).
const ED25519_SPKI: [u8; 12] = [0x30, 0x2a, 0x30, 0x05, 6, 3, 0x2b, 0x65, 0x70, 3, 0x21, 0];

#[test]
fn files_that_are_something_else() {
    let tool = Tool::started();
    tool.request("good", P256);
    let pem = tool.text_of("good.csr");
    for (content, why) in [
        (Vec::new(), "request-malformed"),
        (b"hello".to_vec(), "request-malformed"),
        (vec![0x30; 100], "request-malformed"),
        (vec![0x30; 70_000], "file-too-large"),
        (vec![b'\n'; 65_537], "file-too-large"),
        (format!("{pem}{pem}").into_bytes(), "request-malformed"),
        (format!("{pem}trailing").into_bytes(), "request-malformed"),
        (tool.text_of("ca/ca.pem").into_bytes(), "request-malformed"),
        (tool.text_of("good.key").into_bytes(), "request-malformed"),
        (pem.replace("REQUEST", "").into_bytes(), "request-malformed"),
        (
            pem.as_bytes()[..pem.len() / 2].to_vec(),
            "request-malformed",
        ),
        ([pem.as_bytes(), &[0xff]].concat(), "request-malformed"),
    ] {
        tool.write("a.csr", &content);
        let said = refused(&tool, why, "a");
        // A message never repeats what could be a secret.
        let key = tool.text_of("good.key");
        assert!(!said.contains(key.lines().nth(1).unwrap()), "{said}");
    }
    fs::create_dir(tool.path("folder.csr")).unwrap();
    refused(&tool, "not-a-file", "folder");
    let made = Command::new("mkfifo").arg(tool.path("pipe.csr")).status();
    assert!(made.unwrap().success());
    refused(&tool, "not-a-file", "pipe");
    refused(&tool, "io", "nowhere");
    // With text around it, as `openssl req -text` writes it.
    tool.openssl("req -in good.csr -text -out good-text.csr");
    tool.issue("good-text", "E1", "fine.pem");
}

#[test]
fn a_damaged_index_issues_nothing() {
    let tool = Tool::started();
    for name in ["a", "b"] {
        tool.request(name, P256);
    }
    tool.issue("a", "E1", "a.pem");
    let good = tool.text_of("ca/index.jsonl");
    let lines: Vec<&str> = good.lines().collect();
    let event = |line: &str| {
        let line: Value = serde_json::from_str(line).unwrap();
        follows(&good, &line["event"])
    };
    let issued = event(lines[lines.len() - 1]);
    let serial = "ab".repeat(16);
    let at = "2026-01-01T00:00:00Z";
    let revoked = json!({"revoked": {"at": at, "serial": serial, "reason": "superseded"}});
    let crl = json!({"crl": {"at": at, "number": 2, "next_update": at}});
    for damage in [
        "{}".to_owned(),
        "\0\0\0".to_owned(),
        issued.clone(),
        event(lines[0]),
        event(lines[1]),
        issued.replace("vehicle", "car"),
        follows(&good, &revoked),
        follows(&good, &crl),
    ] {
        tool.write("ca/index.jsonl", format!("{good}{damage}\n"));
        let arguments = issue("b", VEHICLE, "E2", "b.pem");
        let said = tool.refused("index-damaged", &arguments.each_ref().map(String::as_str));
        assert!(
            said.contains(&format!("line {}", lines.len() + 1)),
            "{said}"
        );
    }
    for settings in ["", "{}", "{\"format\":2}"] {
        tool.write("ca/ca.json", settings);
        tool.refused("ca-settings", &["list"]);
    }
}

#[test]
fn names_of_a_ca_have_bounds() {
    for name in ["", " x", "x\ny", &"x".repeat(65)] {
        let tool = Tool::new();
        let key = "file:k.pem?encryption=none";
        let arguments = [
            "init",
            "--key",
            key,
            "--generate",
            "ed25519",
            "--accept-weak-custody",
        ];
        tool.refused("ca-name", &[&arguments[..], &["--name", name]].concat());
        assert!(!tool.path("ca").exists() && !tool.path("k.pem").exists());
    }
}
