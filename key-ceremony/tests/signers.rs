//! `key-ceremony signers` with real SoftHSM tokens.

#![allow(clippy::unwrap_used)]

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use countersign_metadata::Key;
use countersign_signing::{Algorithm, KeyUri, Secrets, generate, public_key};
use serde_json::Value;

const PIN: &str = "648219";
const MODULES: [&str; 4] = [
    "/usr/lib/softhsm/libsofthsm2.so",
    "/usr/lib/x86_64-linux-gnu/softhsm/libsofthsm2.so",
    "/usr/lib/aarch64-linux-gnu/softhsm/libsofthsm2.so",
    "/usr/lib64/pkcs11/libsofthsm2.so",
];
const CHILD: &str = "COUNTERSIGN_TEST_KEYS";

fn module() -> &'static str {
    let found = MODULES.into_iter().find(|path| Path::new(path).exists());
    found.expect("these tests need SoftHSM; on Debian: apt-get install softhsm2")
}

/// Runs `body` in a process of its own, which finds two tokens, the first with two keys. SoftHSM
/// reads where its tokens are once, when a process initialises it. `name` is the test's path.
fn with_tokens(name: &str, body: fn()) {
    if std::env::var_os(CHILD).is_some() {
        make_keys();
        return body();
    }
    let dir = tempfile::tempdir().unwrap();
    let config = dir.path().join("softhsm2.conf");
    fs::create_dir(dir.path().join("tokens")).unwrap();
    let text = format!(
        "directories.tokendir = {}\nlog.level = ERROR\n",
        dir.path().join("tokens").display()
    );
    fs::write(&config, text).unwrap();
    for label in ["root-1", "spare"] {
        let made = Command::new("softhsm2-util")
            .args(["--init-token", "--free", "--label", label])
            .args(["--so-pin", "87654321", "--pin", PIN])
            .env("SOFTHSM2_CONF", &config)
            .output()
            .expect("these tests need softhsm2-util; on Debian: apt-get install softhsm2");
        assert!(made.status.success(), "{made:?}");
    }
    let output = Command::new(std::env::current_exe().unwrap())
        .args([name, "--exact", "--nocapture"])
        .env("SOFTHSM2_CONF", &config)
        .env(CHILD, dir.path())
        .output()
        .unwrap();
    let (out, err) = (
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr),
    );
    assert!(output.status.success(), "{out}{err}");
    // A misspelt name would run no test and prove nothing.
    assert!(out.contains("1 passed"), "{name} is not a test: {out}");
}

fn secrets() -> Secrets {
    Secrets::unattended(".")
        .with("COUNTERSIGN_PIN", PIN)
        .with("COUNTERSIGN_PKCS11_MODULE", module())
}

fn make_keys() {
    for (name, algorithm) in [
        ("object=root", Algorithm::EcdsaP256),
        ("object=a%1B%5B2J%E2%80%AEb;id=%02", Algorithm::Ed25519),
    ] {
        let uri: KeyUri = format!("pkcs11:token=root-1;{name}").parse().unwrap();
        generate(&uri, algorithm, &secrets()).unwrap();
    }
}

fn signers(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_key-ceremony"))
        .arg("signers")
        .args(arguments)
        .env("COUNTERSIGN_PIN", PIN)
        .env_remove("COUNTERSIGN_PKCS11_MODULE")
        .output()
        .unwrap()
}

fn text(bytes: &[u8]) -> String {
    let text = String::from_utf8(bytes.to_vec()).unwrap();
    assert!(!text.contains(PIN), "the PIN is in: {text}");
    text
}

#[test]
fn a_table_for_people() {
    with_tokens("a_table_for_people", || {
        let output = signers(&["--module", module(), "--login"]);
        assert_eq!(output.status.code(), Some(0), "{output:?}");
        let table = text(&output.stdout);
        for part in [
            "token \"root-1\" in slot ",
            ", SoftHSM v2, serial ",
            ": 2 keys",
            "token \"spare\"",
            ": 0 keys",
            "stays, made inside",
            "ECDSA P-256",
            "Ed25519",
            "pkcs11:token=root-1;object=root?module-path=/usr/lib",
        ] {
            assert!(table.contains(part), "no {part:?} in:\n{table}");
        }
        // A label cannot steer the terminal.
        assert!(table.contains("  a[U+001B][2J[U+202E]b  "), "{table:?}");

        let output = signers(&["--module", module()]);
        assert!(text(&output.stdout).contains("add --login"), "{output:?}");
    });
}

#[test]
fn json_for_scripts() {
    with_tokens("json_for_scripts", || {
        let arguments = ["--module", module(), "--login", "--format", "json"];
        let output = signers(&arguments);
        assert_eq!(output.status.code(), Some(0), "{output:?}");
        let report: Value = serde_json::from_str(&text(&output.stdout)).unwrap();
        assert_eq!(report["ok"], true);
        let all = report["tokens"].as_array().unwrap();
        let token = all.iter().find(|token| token["home"]["label"] == "root-1");
        let token = token.unwrap();
        assert_eq!(token["logged_in"], true);
        let keys = token["keys"].as_array().unwrap();
        assert_eq!(keys.len(), 2);
        for key in keys {
            assert_eq!(key["usable"], true, "{key}");
            assert_eq!(key["private"]["extractable"], false);
            assert_eq!(key["private"]["made_inside"], true);
            assert_eq!(key["private"]["weaknesses"], serde_json::json!([]));
            let uri: KeyUri = key["uri"].as_str().unwrap().parse().unwrap();
            let public = public_key(&uri, &secrets()).unwrap();
            assert_eq!(key["keyid"], Key::new(&public).id().to_string());
        }
        assert_eq!(keys[0]["id"], "02");
    });
}

#[test]
fn what_cannot_be_used_does_not_hide_the_rest() {
    with_tokens("what_cannot_be_used_does_not_hide_the_rest", || {
        let arguments = ["--module", "/nonexistent.so", "--module", module()];
        let output = signers(&arguments);
        assert_eq!(output.status.code(), Some(1), "{output:?}");
        let table = text(&output.stdout);
        assert!(table.contains("problem: cannot use the PKCS#11 module /nonexistent.so"));
        assert!(table.contains("token \"root-1\""), "{table}");

        let output = signers(&["--module", module(), "--slot", "77"]);
        assert!(text(&output.stdout).contains("SlotIdInvalid"), "{output:?}");
    });
}

#[test]
fn wrong_usage() {
    for (arguments, part) in [
        (&[][..], "Installed here: /"),
        (
            &["--slot", "1", "--module", "a", "--module", "b"],
            "--module once",
        ),
        (&["--slot", "x"], "--slot"),
        (&["--yubihsm", "pkcs11:object=k"], "not a yubihsm: URI"),
    ] {
        let output = signers(arguments);
        assert_eq!(output.status.code(), Some(2), "{output:?}");
        let error = text(&output.stderr);
        assert!(error.contains(part), "no {part:?} in: {error}");
    }
}
