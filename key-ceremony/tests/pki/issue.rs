//! Who gets a certificate, who does not, and what it says.

use std::fs;

use serde_json::json;

use crate::tool::{P256, Tool, VEHICLE, follows, issue};

fn arguments(name: &str, vehicle: &str, ecu: &str, out: &str) -> Vec<String> {
    issue(name, vehicle, ecu, out).to_vec()
}

#[track_caller]
fn refused(tool: &Tool, why: &str, arguments: &[String]) -> String {
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    tool.refused(why, &arguments)
}

#[test]
fn the_same_request_gives_the_same_certificate() {
    let tool = Tool::started();
    tool.request("a", P256);
    let first = tool.issue("a", "E1", "a.pem");
    let second = tool.issue("a", "E1", "again.pem");
    assert_eq!(first["serial"], second["serial"]);
    assert_eq!(
        (&first["fresh"], &second["fresh"]),
        (&true.into(), &false.into())
    );
    assert_eq!(tool.text_of("a.pem"), tool.text_of("again.pem"));
    assert_eq!(tool.list().len(), 1);
    // And shown.
    let serial = first["serial"].as_str().unwrap();
    let shown = tool.json(0, &["show", serial, "--out", "shown.pem"]);
    assert_eq!(shown["status"], "valid");
    assert_eq!(tool.text_of("shown.pem"), tool.text_of("a.pem"));
    let printed = tool.openssl("x509 -in a.pem -noout -serial");
    assert_eq!(printed.trim().to_lowercase(), format!("serial={serial}"));
}

#[test]
fn one_device_one_key() {
    let tool = Tool::started();
    for name in ["a", "b", "c"] {
        tool.request(name, P256);
    }
    let first = tool.issue("a", "E1", "a.pem");
    let said = refused(
        &tool,
        "has-certificate",
        &arguments("b", VEHICLE, "E1", "b.pem"),
    );
    assert!(
        said.contains("--replace") && said.contains("pki renew"),
        "{said}"
    );
    refused(&tool, "key-in-use", &arguments("a", VEHICLE, "E2", "b.pem"));
    refused(&tool, "key-in-use", &arguments("a", "OTHER", "E1", "b.pem"));
    let server = ["server", "--csr", "a.csr", "--dns", "x", "--out", "b.pem"];
    tool.refused("key-in-use", &server);
    assert!(!tool.path("b.pem").exists() && tool.list().len() == 1);

    let mut replace = arguments("b", VEHICLE, "E1", "b.pem");
    replace.extend(["--replace", "key-compromise"].map(String::from));
    tool.json(0, &replace.iter().map(String::as_str).collect::<Vec<_>>());
    let shown = tool.json(0, &["show", first["serial"].as_str().unwrap()]);
    assert_eq!(shown["revoked"]["reason"], "key-compromise");
    // The stolen key is dead, for everybody.
    refused(
        &tool,
        "key-compromised",
        &arguments("a", VEHICLE, "E1", "c.pem"),
    );
    refused(
        &tool,
        "key-compromised",
        &arguments("a", VEHICLE, "E9", "c.pem"),
    );
}

#[test]
fn an_ecu_moves_to_another_vehicle_with_its_key() {
    let tool = Tool::started();
    tool.request("a", "ED25519");
    tool.issue("a", "E1", "a.pem");
    let moved = arguments("a", "OTHER", "E1", "b.pem");
    refused(&tool, "key-in-use", &moved);
    let revoke = [
        "revoke",
        "--vehicle",
        VEHICLE,
        "--ecu",
        "E1",
        "--reason",
        "affiliation-changed",
    ];
    tool.json(0, &revoke);
    tool.json(0, &moved.iter().map(String::as_str).collect::<Vec<_>>());
    assert_eq!(tool.list().len(), 2);
}

#[test]
fn the_ca_key_is_no_device_key() {
    let tool = Tool::started();
    tool.openssl("req -new -key ca.key -subj /CN=x -out a.csr");
    refused(&tool, "key-is-ca", &arguments("a", VEHICLE, "E1", "a.pem"));
}

#[test]
fn the_operator_says_who_it_is() {
    let tool = Tool::started();
    tool.openssl(&format!("genpkey -algorithm {P256} -out a.key"));
    let request = |san: &str| {
        tool.openssl(&format!(
            "req -new -key a.key -subj /CN=x -addext subjectAltName={san} -out a.csr"
        ));
    };
    let own = "URI:urn:countersign:ecu:E1,URI:urn:countersign:vehicle:WVWZZZ1JZXW000001";
    for san in [
        "DNS:director.example.com".to_owned(),
        "URI:urn:countersign:vehicle:OTHER".to_owned(),
        format!("{own},URI:urn:countersign:vehicle:OTHER"),
        format!("{own},email:a@example.com"),
    ] {
        request(&san);
        refused(
            &tool,
            "request-names",
            &arguments("a", VEHICLE, "E1", "a.pem"),
        );
    }
    request(own);
    tool.issue("a", "E1", "a.pem");
}

#[test]
fn nothing_but_the_key_is_taken_from_a_request() {
    let tool = Tool::started();
    tool.openssl(&format!("genpkey -algorithm {P256} -out a.key"));
    tool.openssl(
        "req -new -key a.key -subj /CN=Root/O=Evil -addext basicConstraints=critical,CA:TRUE \
         -addext keyUsage=keyCertSign -addext extendedKeyUsage=serverAuth -out a.csr",
    );
    tool.issue("a", "E1", "a.pem");
    let text = tool.openssl("x509 -in a.pem -noout -text");
    for part in [
        "CA:TRUE",
        "Certificate Sign",
        "Server Authentication",
        "Evil",
    ] {
        assert!(!text.contains(part), "{part:?} is in {text}");
    }
}

#[test]
fn renewal_keeps_the_identity() {
    let tool = Tool::started();
    for name in ["a", "b", "c"] {
        tool.request(name, P256);
    }
    let first = tool.issue("a", "E1", "1.pem");
    let renew = |old: &'static str, csr: &'static str, out: &'static str| {
        ["renew", "--cert", old, "--csr", csr, "--out", out]
    };
    // The same key.
    let second = tool.json(0, &renew("1.pem", "a.csr", "2.pem"));
    assert_ne!(first["serial"], second["serial"]);
    assert_eq!(first["subject"], second["subject"]);
    // A new one; and once more after its file was lost.
    let third = tool.json(0, &renew("2.pem", "b.csr", "3.pem"));
    let lost = tool.json(0, &renew("2.pem", "b.csr", "3-again.pem"));
    assert_eq!(third["serial"], lost["serial"]);
    tool.openssl("verify -CAfile ca/ca.pem -purpose sslclient 1.pem 2.pem 3.pem");
    let said = tool.refused("certificate-renewed", &renew("2.pem", "c.csr", "4.pem"));
    assert!(said.contains(third["serial"].as_str().unwrap()), "{said}");

    tool.json(0, &["revoke", "--cert", "3.pem", "--reason", "superseded"]);
    tool.refused("certificate-revoked", &renew("3.pem", "c.csr", "4.pem"));
    assert_eq!(tool.list().len(), 3);

    // Not ours, though it says so: same names and serial, other signature.
    let stranger = Tool::started();
    stranger.request("a", P256);
    stranger.issue("a", "E1", "a.pem");
    fs::copy(stranger.path("a.pem"), tool.path("stranger.pem")).unwrap();
    tool.refused(
        "certificate-unknown",
        &renew("stranger.pem", "c.csr", "4.pem"),
    );
    tool.json(
        0,
        &["server", "--csr", "c.csr", "--dns", "x", "--out", "s.pem"],
    );
    tool.refused("certificate-of-server", &renew("s.pem", "c.csr", "4.pem"));
}

#[test]
fn servers_share_names() {
    let tool = Tool::started();
    for name in ["a", "b"] {
        tool.request(name, P256);
        let csr = format!("{name}.csr");
        let out = format!("{name}.pem");
        tool.json(
            0,
            &[
                "server",
                "--csr",
                &csr,
                "--dns",
                "Director.Example",
                "--out",
                &out,
            ],
        );
    }
    tool.json(
        0,
        &[
            "server",
            "--csr",
            "a.csr",
            "--ip",
            "192.0.2.1",
            "--out",
            "c.pem",
        ],
    );
    let text = tool.openssl("x509 -in a.pem -noout -ext subjectAltName");
    assert!(text.contains("DNS:director.example"), "{text}");
    for dns in ["*.example", "a b", "192.0.2.1", ""] {
        let arguments = ["server", "--csr", "a.csr", "--dns", dns, "--out", "d.pem"];
        tool.refused("server-name", &arguments);
    }
    tool.refused(
        "server-name",
        &["server", "--csr", "a.csr", "--out", "d.pem"],
    );
}

#[test]
fn nothing_outlives_the_ca() {
    let tool = Tool::new();
    tool.init(&["--expires", "30d"]);
    tool.request("a", P256);
    let mut long = arguments("a", VEHICLE, "E1", "a.pem");
    let said = refused(&tool, "outlives-ca", &long);
    assert!(said.contains("--expires"), "{said}");
    long.extend(["--expires", "29d"].map(String::from));
    tool.json(0, &long.iter().map(String::as_str).collect::<Vec<_>>());
    let text = tool.openssl("verify -CAfile ca/ca.pem a.pem");
    assert!(text.contains("OK"), "{text}");
}

#[test]
fn a_clock_that_went_back_is_noticed() {
    let tool = Tool::started();
    tool.request("a", P256);
    let index = tool.text_of("ca/index.jsonl");
    let future = json!({"reserved": {"at": "2999-01-01T00:00:00Z", "serials": []}});
    let future = follows(&index, &future);
    tool.write("ca/index.jsonl", format!("{index}{future}\n"));
    let said = refused(&tool, "clock", &arguments("a", VEHICLE, "E1", "a.pem"));
    assert!(said.contains("2999"), "{said}");
    tool.refused("clock", &["crl", "--out", "crl.pem"]);
    tool.write("ca/index.jsonl", index);
    tool.issue("a", "E1", "a.pem");
}

#[test]
fn a_corporate_ca_certifies_this_one() {
    let tool = Tool::new();
    tool.init(&["--csr-out", "ca.csr", "--organization", "Example Motors"]);
    tool.request("a", P256);
    refused(
        &tool,
        "ca-not-adopted",
        &arguments("a", VEHICLE, "E1", "a.pem"),
    );
    tool.openssl(&format!("genpkey -algorithm {P256} -out root.key"));
    tool.openssl(
        "req -x509 -new -key root.key -subj /CN=Root -days 900 -addext subjectKeyIdentifier=hash \
         -addext basicConstraints=critical,CA:TRUE -addext keyUsage=critical,keyCertSign,cRLSign \
         -out root.pem",
    );
    let certify = |name: &str, extensions: &str| {
        tool.write("ext.cnf", extensions);
        tool.openssl(&format!(
            "x509 -req -in ca.csr -CA root.pem -CAkey root.key -days 800 -extfile ext.cnf \
             -out {name}"
        ));
    };
    let id = "subjectKeyIdentifier=hash\n";
    let usage = "keyUsage=critical,keyCertSign,cRLSign\n";
    for (extensions, part) in [
        (
            format!("{id}{usage}basicConstraints=CA:FALSE\n"),
            "not a CA",
        ),
        (format!("{id}basicConstraints=CA:TRUE\n"), "key usage"),
        (
            format!("{usage}basicConstraints=CA:TRUE\nsubjectKeyIdentifier=none\n"),
            "key identifier",
        ),
    ] {
        certify("bad.pem", &extensions);
        let said = tool.refused("ca-certificate", &["adopt", "bad.pem"]);
        assert!(said.contains(part), "{said}");
    }
    let said = tool.refused("ca-certificate", &["adopt", "root.pem"]);
    assert!(said.contains("another key"), "{said}");
    certify(
        "sub.pem",
        &format!("{id}{usage}basicConstraints=critical,CA:TRUE,pathlen:0\n"),
    );
    tool.json(0, &["adopt", "sub.pem"]);
    tool.issue("a", "E1", "a.pem");
    tool.json(0, &["crl", "--out", "crl.pem"]);
    tool.openssl(
        "verify -x509_strict -CAfile root.pem -untrusted ca/ca.pem -purpose sslclient a.pem",
    );
    tool.openssl("verify -partial_chain -trusted ca/ca.pem -crl_check -CRLfile crl.pem a.pem");
    // A newer certificate for the same key and name is taken, another name is not.
    certify(
        "newer.pem",
        &format!("{id}{usage}basicConstraints=critical,CA:TRUE,pathlen:0\n"),
    );
    tool.json(0, &["adopt", "newer.pem"]);
    tool.openssl("verify -CAfile root.pem -untrusted ca/ca.pem a.pem");
    tool.openssl("req -new -key ca.key -subj /CN=Other -out ca.csr");
    certify(
        "other.pem",
        &format!("{id}{usage}basicConstraints=critical,CA:TRUE,pathlen:0\n"),
    );
    let said = tool.refused("ca-certificate", &["adopt", "other.pem"]);
    assert!(said.contains("subject"), "{said}");
}

#[test]
fn a_ca_is_never_overwritten() {
    let tool = Tool::started();
    let key = format!("file:{}?encryption=none", tool.path("other.key").display());
    let init = [
        "init",
        "--key",
        &key,
        "--name",
        "X",
        "--accept-weak-custody",
    ];
    let init = [&init[..], &["--generate", "ed25519"]].concat();
    tool.refused("ca-exists", &init);
    assert!(!tool.path("other.key").exists());
    // Nor if the file that says so was lost.
    tool.request("a", P256);
    tool.issue("a", "E1", "a.pem");
    fs::remove_file(tool.path("ca/ca.json")).unwrap();
    tool.refused("ca-settings", &init);
    let before = tool.path("ca/ca.pem");
    tool.openssl(&format!("verify -CAfile {} a.pem", before.display()));
}

#[test]
fn wrong_usage_has_its_own_code() {
    let tool = Tool::started();
    for arguments in [
        &["issue", "a.csr"][..],
        &["revoke", "--reason", "superseded"],
        &["revoke", "--serial", "12", "--reason", "superseded"],
        &["revoke", "--vehicle", "V", "--reason", "hold"],
        &["revoke", "--ecu", "E", "--reason", "superseded"],
        &["list", "--status", "good"],
        &["crl", "--out", "x", "--next-update", "never"],
        &["attest", "--cert", "x"],
    ] {
        let object = tool.json(2, arguments);
        assert_eq!(object["name"], "usage", "{arguments:?}: {object}");
    }
    let nowhere = Tool::new();
    nowhere.refused("ca-missing", &["list"]);
}
