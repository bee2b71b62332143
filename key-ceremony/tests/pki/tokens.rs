//! CAs whose keys are in real SoftHSM2 tokens, and a chain that openssl believes.

use std::path::Path;
use std::process::Command;

use crate::tool::{BATCH, P256, Tool, certificates, factory};

const PIN: &str = "648219";
const MODULES: [&str; 4] = [
    "/usr/lib/softhsm/libsofthsm2.so",
    "/usr/lib/x86_64-linux-gnu/softhsm/libsofthsm2.so",
    "/usr/lib/aarch64-linux-gnu/softhsm/libsofthsm2.so",
    "/usr/lib64/pkcs11/libsofthsm2.so",
];

/// A folder with a token called `ca`. Without SoftHSM these tests are worth nothing, so they fail.
fn token() -> Tool {
    let module = MODULES.into_iter().find(|path| Path::new(path).exists());
    let module = module.expect("these tests need SoftHSM; on Debian: apt-get install softhsm2");
    let tool = Tool::new();
    let config = tool.path("softhsm2.conf");
    std::fs::create_dir(tool.path("tokens")).unwrap();
    let tokens = tool.path("tokens");
    tool.write(
        "softhsm2.conf",
        format!(
            "directories.tokendir = {}\nlog.level = ERROR\n",
            tokens.display()
        ),
    );
    let made = Command::new("softhsm2-util")
        .args(["--init-token", "--free", "--label", "ca"])
        .args(["--so-pin", "87654321", "--pin", PIN])
        .env("SOFTHSM2_CONF", &config)
        .output()
        .unwrap();
    assert!(made.status.success(), "{made:?}");
    tool.with("SOFTHSM2_CONF", config.display().to_string())
        .with("COUNTERSIGN_PKCS11_MODULE", module)
        .with("COUNTERSIGN_PIN", PIN)
}

fn token_ca(algorithm: &str) -> Tool {
    let tool = token();
    let key = "pkcs11:token=ca;object=device-ca";
    let arguments = [
        "init",
        "--key",
        key,
        "--generate",
        algorithm,
        "--name",
        "Token CA",
    ];
    let made = tool.json(0, &arguments);
    assert!(
        made["key_home"].as_str().unwrap().contains("token \"ca\""),
        "{made}"
    );
    tool
}

/// Devices with either kind of key, a server, and a revocation, under each kind of CA key.
fn openssl_believes(algorithm: &str) {
    let tool = token_ca(algorithm);
    let ca = tool.openssl("x509 -in ca/ca.pem -noout -text");
    for part in [
        "CA:TRUE, pathlen:0",
        "Certificate Sign, CRL Sign",
        "CN = Token CA",
        "X509v3 Subject Key Identifier",
    ] {
        assert!(ca.contains(part), "no {part:?} in {ca}");
    }
    tool.request("a", P256);
    tool.request("b", "ED25519");
    tool.request("s", P256);
    tool.issue("a", "E/1 is odd".replace(' ', "_").as_str(), "a.pem");
    let gone = tool.issue("b", "E2", "b.pem");
    let server = ["server", "--csr", "s.csr", "--dns", "director.example.com"];
    tool.json(
        0,
        &[&server[..], &["--ip", "::1", "--out", "s.pem"]].concat(),
    );
    let serial = gone["serial"].as_str().unwrap();
    tool.json(
        0,
        &["revoke", "--serial", serial, "--reason", "key-compromise"],
    );
    tool.json(0, &["crl", "--out", "crl.pem"]);

    let checked = "verify -x509_strict -crl_check -CAfile ca/ca.pem -CRLfile crl.pem -purpose";
    tool.openssl(&format!("{checked} sslclient a.pem"));
    tool.openssl(&format!(
        "{checked} sslserver -verify_hostname director.example.com s.pem"
    ));
    tool.openssl(&format!("{checked} sslserver -verify_ip ::1 s.pem"));
    for wrong in ["sslserver a.pem", "sslclient s.pem", "sslclient b.pem"] {
        let refused = tool.openssl_output(&format!("{checked} {wrong}"));
        assert!(!refused.status.success(), "{wrong}: {refused:?}");
        let said = String::from_utf8_lossy(&refused.stderr);
        assert_eq!(wrong.ends_with("b.pem"), said.contains("revoked"), "{said}");
    }

    let text = tool.openssl("x509 -in a.pem -noout -text -nameopt RFC2253");
    for part in [
        "Version: 3",
        "Subject: \n",
        "X509v3 Subject Alternative Name: critical\n                \
         URI:urn:countersign:vehicle:WVWZZZ1JZXW000001, URI:urn:countersign:ecu:E%2F1_is_odd",
        "X509v3 Key Usage: critical\n                Digital Signature\n",
        "X509v3 Extended Key Usage: \n                TLS Web Client Authentication\n",
        "X509v3 Basic Constraints: critical\n                CA:FALSE\n",
        "X509v3 Subject Key Identifier",
        "X509v3 Authority Key Identifier",
    ] {
        assert!(text.contains(part), "no {part:?} in {text}");
    }
    assert!(
        !text.contains("anything"),
        "the request's subject is in {text}"
    );
}

#[test]
fn openssl_believes_a_p256_token() {
    openssl_believes("ecdsa-p256");
}

#[test]
fn openssl_believes_a_p384_token() {
    openssl_believes("ecdsa-p384");
}

#[test]
fn openssl_believes_an_ed25519_token() {
    openssl_believes("ed25519");
}

#[test]
fn only_keys_that_can_and_may_sign() {
    let tool = token();
    let init = |name: &str, key: &str, algorithm: &str| {
        let name_of = ["--name", "X", "--generate", algorithm];
        tool.refused(name, &[&["init", "--key", key][..], &name_of].concat());
        assert!(!tool.path("ca/ca.json").exists() && !tool.path("ca/ca.pem").exists());
    };
    init("ca-key-kind", "pkcs11:token=ca;object=rsa", "rsa-2048");
    init("ca-key-custody", "file:k.pem?encryption=none", "ed25519");
    assert!(!tool.path("k.pem").exists() && !tool.path("ca").exists());
    // And the PIN is in nothing that was written or printed.
    let key = "pkcs11:token=ca;object=ok";
    tool.json(
        0,
        &["init", "--key", key, "--name", "X", "--generate", "ed25519"],
    );
    assert!(!tool.text_of("ca/ca.json").contains(PIN));
}

#[test]
fn another_token_is_not_the_ca() {
    let (one, other) = (token_ca("ecdsa-p256"), token_ca("ecdsa-p256"));
    one.request("a", P256);
    std::fs::rename(one.path("tokens"), one.path("put-away")).unwrap();
    std::fs::rename(other.path("tokens"), one.path("tokens")).unwrap();
    let issue = crate::tool::issue("a", "V", "E", "a.pem");
    one.refused("ca-key-other", &issue.each_ref().map(String::as_str));
    assert!(one.list().is_empty() && !one.path("a.pem").exists());
}

#[test]
fn a_factory_batch_from_a_token() {
    batch(300, "ecdsa-p256");
}

/// What a factory does in a day.
#[test]
#[ignore = "takes a quarter of a minute; part of make test-all"]
fn ten_thousand_from_a_token() {
    batch(10_000, "ecdsa-p256");
}

fn batch(devices: usize, algorithm: &str) {
    let tool = token_ca(algorithm);
    factory(&tool, devices);
    let start = std::time::Instant::now();
    let done = tool.json(0, &BATCH);
    eprintln!("{devices} certificates in {:?}", start.elapsed());
    assert_eq!(done["issued"], devices);
    assert_eq!(certificates(&tool.path("out")).len(), devices);
    tool.openssl("verify -CAfile ca/ca.pem -purpose sslclient out/VIN00003/ECU-000014.pem");
    let again = tool.json(0, &BATCH);
    assert_eq!(
        (&again["issued"], &again["already"]),
        (&0.into(), &devices.into())
    );
}
