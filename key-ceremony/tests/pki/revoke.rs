//! Revocation and its lists.

use crate::tool::{P256, Tool, VEHICLE};

#[test]
fn lists_grow_in_number_and_name_what_is_revoked() {
    let tool = Tool::started();
    for (name, ecu) in [("a", "E1"), ("b", "E2"), ("c", "E3")] {
        tool.request(name, P256);
        tool.issue(name, ecu, &format!("{name}.pem"));
    }
    let empty = tool.json(0, &["crl", "--out", "1.pem"]);
    assert_eq!(
        (&empty["number"], &empty["revoked"]),
        (&1.into(), &0.into())
    );
    let revoke = ["revoke", "--cert", "a.pem", "--reason"];
    let first = tool.json(0, &[&revoke[..], &["key-compromise"]].concat());
    assert_eq!(first["revoked"].as_array().unwrap().len(), 1);
    // Again, with another reason: nothing changes.
    let again = tool.json(0, &[&revoke[..], &["superseded"]].concat());
    assert_eq!(again["revoked"].as_array().unwrap().len(), 0);
    assert_eq!(again["before"], first["revoked"]);
    let ecu = [
        "revoke",
        "--vehicle",
        VEHICLE,
        "--ecu",
        "E2",
        "--reason",
        "unspecified",
    ];
    assert_eq!(tool.json(0, &ecu)["revoked"].as_array().unwrap().len(), 1);
    // Not over something else.
    tool.refused("already-exists", &["crl", "--out", "a.pem"]);
    let list = tool.json(0, &["crl", "--out", "2.pem", "--next-update", "36h"]);
    assert_eq!((&list["number"], &list["revoked"]), (&2.into(), &2.into()));

    let text = tool.openssl("crl -in 2.pem -noout -text");
    let serial = first["revoked"][0].as_str().unwrap().to_uppercase();
    for part in [
        "Version 2",
        "CRL Number: \n                2",
        &serial,
        "Key Compromise",
    ] {
        assert!(text.contains(part), "no {part:?} in {text}");
    }
    // RFC 5280 5.3.1: no code for "unspecified".
    assert_eq!(text.matches("X509v3 CRL Reason Code").count(), 1, "{text}");
    tool.openssl("crl -in 2.pem -noout -verify -CAfile ca/ca.pem");
    let verify = "verify -crl_check -CAfile ca/ca.pem -CRLfile 2.pem";
    tool.openssl(&format!("{verify} c.pem"));
    for revoked in ["a", "b"] {
        let output = tool.openssl_output(&format!("{verify} {revoked}.pem"));
        assert!(!output.status.success());
    }

    // The whole vehicle. What was revoked before keeps its reason.
    let all = [
        "revoke",
        "--vehicle",
        VEHICLE,
        "--reason",
        "cessation-of-operation",
    ];
    let all = tool.json(0, &all);
    assert_eq!(all["revoked"].as_array().unwrap().len(), 1);
    assert_eq!(all["before"].as_array().unwrap().len(), 2);
    let reasons: Vec<_> = tool
        .list()
        .iter()
        .map(|one| one["revoked"]["reason"].clone())
        .collect();
    assert_eq!(
        reasons,
        ["key-compromise", "unspecified", "cessation-of-operation"]
    );
    let none = tool.json(0, &["list", "--status", "valid"]);
    assert_eq!(none["certificates"].as_array().unwrap().len(), 0);
}

#[test]
fn only_what_was_issued_can_be_revoked() {
    let tool = Tool::started();
    let unknown = "ab".repeat(16);
    let reason = ["--reason", "superseded"];
    let revoke = |which: &[&str]| {
        tool.refused(
            "certificate-unknown",
            &[&["revoke"], which, &reason].concat(),
        );
    };
    revoke(&["--serial", &unknown]);
    revoke(&["--vehicle", "NOBODY"]);
    revoke(&["--vehicle", VEHICLE, "--ecu", "E1"]);
    // The CA's own certificate is not in its index.
    revoke(&["--cert", "ca/ca.pem"]);
}
