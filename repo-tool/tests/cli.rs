//! The command line: results, errors, exit codes and JSON, as scripts meet them.

#[path = "common/tool.rs"]
mod tool;

use std::fs;

use serde_json::json;
use tool::{PLAIN, Tool};

#[test]
fn from_nothing_to_a_verified_tree() {
    let tool = Tool::started();
    let image = tool.file("app.img", b"an image");
    let added = tool.json(0, &["target", "add", &image, "--name", "app/1/app.img"]);
    assert_eq!(added["targets"][0]["length"], 8);
    let status = tool.json(0, &["status"]);
    assert_eq!(status["ready"], false);
    assert_eq!(status["staged"][0]["role"], "root");
    assert_eq!(status["staged"][0]["signatures"][0]["need"], 1);
    let uri = &status["staged"][0]["signatures"][0]["missing"][0]["uri"];
    assert!(uri.as_str().expect("a URI").contains("root.pem"));
    let early = tool.json(3, &["publish"]);
    assert_eq!(early["name"], "incomplete");
    let signed = tool.json(0, &["sign"]);
    assert_eq!(
        (
            &signed["complete"],
            signed["signed"].as_array().map(Vec::len)
        ),
        (&true.into(), Some(4))
    );
    let published = tool.json(0, &["publish"]);
    assert_eq!(
        (&published["changed"], &published["images"]),
        (&true.into(), &1.into())
    );
    let verified = tool.json(0, &["verify"]);
    assert_eq!(
        (&verified["images"], &verified["bytes"]),
        (&1.into(), &8.into())
    );
    assert_eq!(tool.json(0, &["publish"])["changed"], false);
    assert_eq!(tool.json(0, &["refresh"])["changed"], false);
    let refreshed = tool.json(0, &["refresh", "--force"]);
    assert_eq!(refreshed["published"][1]["version"], 2);
    assert_eq!(tool.json(0, &["status"])["interrupted"], false);

    let broken = tool.path().join("published/metadata/timestamp.json");
    fs::write(&broken, b"{}").expect("writes");
    let verified = tool.json(1, &["verify"]);
    assert_eq!(verified["faults"].as_array().map(Vec::len), Some(1));
    assert_eq!(tool.json(0, &["publish"])["resumed"], true);
    tool.json(0, &["verify"]);
}

#[test]
fn people_read_what_changes_before_they_sign() {
    let tool = Tool::started();
    tool.text(0, &["sign"]);
    tool.text(0, &["publish"]);
    let image = tool.file("a", b"1");
    tool.text(0, &["target", "add", &image]);
    let key = format!("file:keys/supplier.pem{PLAIN}");
    tool.text(0, &["key", "generate", &key]);
    tool.text(
        0,
        &[
            "delegation",
            "add",
            "supplier",
            "--key",
            &key,
            "--path",
            "fw/*",
        ],
    );
    let diff = tool.text(0, &["diff"]);
    assert!(diff.contains("targets: 1 -> 2"), "{diff}");
    assert!(diff.contains("+ target a: 1 bytes"), "{diff}");
    assert!(diff.contains("+ delegation supplier: paths fw/*"), "{diff}");
    let status = tool.text(0, &["status"]);
    assert!(
        status.contains("0 of 1 by the keys that targets delegates to"),
        "{status}"
    );
    let listed = tool.json(0, &["delegation", "list"]);
    assert_eq!(listed["delegations"][0]["from"], "targets");
    let keys = tool.json(0, &["key", "list"]);
    assert_eq!(keys["keys"].as_array().map(Vec::len), Some(5));
    tool.text(0, &["discard"]);
    assert_eq!(tool.text(0, &["diff"]).trim(), "nothing is staged");
    assert_eq!(tool.text(0, &["--quiet", "status"]), "");
}

#[test]
fn wrong_usage_is_exit_code_2() {
    let tool = Tool::new();
    for arguments in [
        &["nonsense"][..],
        &["init"],
        &["init", "--root-key", "file:a"],
        &["target", "add"],
        &["sign", "--request", "f", "--key", "file:a"],
        &["sign", "--request", "f", "--out", "g"],
        &["sign", "--out", "g"],
        &["status", "--format", "xml"],
        &["verify", "/nonexistent"],
    ] {
        let output = tool.run(arguments);
        assert_eq!(output.status.code(), Some(2), "{arguments:?}");
    }
    assert_eq!(fs::read_dir(tool.path()).expect("lists").count(), 0);
}

#[test]
fn every_error_says_what_to_do() {
    let tool = Tool::new();
    let error = tool.json(1, &["status"]);
    assert_eq!(error["name"], "not-a-repository");
    assert!(
        error["message"]
            .as_str()
            .expect("text")
            .contains("repo-tool init")
    );

    let tool = Tool::started();
    let image = tool.file("a", b"1");
    let bad = |arguments: &[&str], name: &str, advice: &str| {
        let error = tool.json(1, arguments);
        assert_eq!(error["name"], name, "{arguments:?}");
        let message = error["message"].as_str().expect("text");
        assert!(message.contains(advice), "{message}");
        assert_eq!(error["exit_code"], 1);
    };
    bad(
        &["target", "add", &image, "--name", "../x"],
        "unsafe-name",
        "--name",
    );
    bad(
        &["target", "add", &image, "--name", "u\u{308}"],
        "not-nfc",
        "\u{fc}",
    );
    bad(
        &["target", "add", &image, "--role", "x"],
        "no-such-role",
        "delegation list",
    );
    bad(&["target", "add", "/nonexistent"], "io", "/nonexistent");
    bad(&["target", "add", "/proc"], "not-a-file", "regular file");
    bad(&["target", "show", "x"], "no-such-target", "target list");
    bad(&["key", "show", "file:keys/none.pem"], "key", "none.pem");
    bad(
        &["key", "show", "pkcs11:token=x;object=y;pin-value=1"],
        "key",
        "pin-",
    );
    bad(&["key", "generate", "nonsense:x"], "key", "file:");
    bad(&["refresh"], "nothing-published", "publish");
    bad(&["discard", "x"], "not-staged", "status");
    bad(&["attach", &image], "exchange", "not a file of signatures");
    bad(&["root", "import", &image], "metadata", "malformed");
    let existing = format!("file:keys/root.pem{PLAIN}");
    bad(&["key", "generate", &existing], "key", "never overwritten");
    let custom = tool.file("custom.json", b"{\"a\":1.5}");
    bad(
        &["target", "add", &image, "--custom", &custom],
        "custom",
        "without floats",
    );

    let policy = tool.path().join("repo.toml");
    let text = fs::read_to_string(&policy).expect("a policy");
    fs::write(&policy, format!("unknown_setting = 1\n{text}")).expect("writes");
    bad(&["status"], "policy", "line 1");
}

#[test]
fn decryption_keys_of_ecus_are_made_and_shown() {
    let tool = Tool::new();
    for (kind, keytype) in [
        ("p256-decryption", "ecdh-nistp256"),
        ("x25519-decryption", "x25519"),
    ] {
        let key = format!("file:keys/{kind}.pem{PLAIN}");
        let public = tool.path().join(kind).display().to_string();
        let generate = ["key", "generate", &key, "--algorithm", kind];
        let made = tool.json(0, &[&generate[..], &["--public-out", &public]].concat());
        assert_eq!(made["public"]["keytype"], keytype);
        let text = fs::read_to_string(&public).expect("a public key");
        let written: serde_json::Value = serde_json::from_str(&text).expect("JSON");
        assert_eq!(written, made["public"]);
        let shown = tool.json(0, &["key", "show", "--decryption", &key]);
        assert_eq!(shown, made);
        // It signs nothing, and a signing key decrypts nothing.
        let error = tool.json(1, &["key", "show", &key]);
        let message = error["message"].as_str().expect("text");
        assert!(message.contains("one key for both"), "{message}");
        tool.json(1, &generate);
    }
    let key = format!("file:keys/sign.pem{PLAIN}");
    tool.json(0, &["key", "generate", &key]);
    let error = tool.json(1, &["key", "show", "--decryption", &key]);
    let message = error["message"].as_str().expect("text");
    assert!(message.contains("one key for both"), "{message}");
}

#[test]
fn an_encrypted_key_without_its_passphrase_asks_nobody_in_ci() {
    let tool = Tool::new();
    let error = tool.json(1, &["key", "generate", "file:keys/a.pem"]);
    let message = error["message"].as_str().expect("text");
    assert!(message.contains("COUNTERSIGN_PASSPHRASE"), "{message}");
    assert!(!tool.path().join("keys/a.pem").exists());
}

#[test]
fn a_request_travels_and_signatures_come_back() {
    let here = Tool::new();
    let there = Tool::new();
    let key = format!("file:keys/root.pem{PLAIN}");
    let public = here.path().join("root.pub.json").display().to_string();
    there.json(0, &["key", "generate", &key, "--public-out", &public]);
    let imported = here.json(0, &["key", "import", &public, "--name", "root"]);
    assert_eq!(imported["key"], "keys/root.pub.json");
    let mut init = here.init_arguments();
    let at = init
        .iter()
        .position(|argument| argument == "--root-key")
        .expect("given");
    init[at + 1] = "keys/root.pub.json".into();
    here.json(0, &init);
    assert_eq!(here.json(0, &["sign"])["complete"], false);
    let request = here.path().join("request").display().to_string();
    let signatures = here.path().join("signatures").display().to_string();
    here.json(0, &["request", "--out", &request]);
    let shown = there.json(0, &["sign", "--request", &request]);
    assert_eq!(shown["payloads"][0]["role"], "root");
    let made = there.json(
        0,
        &[
            "sign",
            "--request",
            &request,
            "--key",
            &key,
            "--out",
            &signatures,
        ],
    );
    assert_eq!(made["signatures"], 1);
    here.json(0, &["attach", &signatures]);
    here.json(0, &["publish"]);
    here.json(0, &["verify"]);
}

#[test]
fn a_rotation_from_the_command_line() {
    let tool = Tool::started();
    tool.json(0, &["sign"]);
    tool.json(0, &["publish"]);
    let shown = tool.json(0, &["root", "show"]);
    let old = shown["roles"]["timestamp"]["keyids"][0]
        .as_str()
        .expect("an id")
        .to_owned();
    let key = format!("file:keys/timestamp2.pem{PLAIN}");
    tool.json(0, &["key", "generate", &key, "--algorithm", "ecdsa-p256"]);
    tool.json(0, &["root", "add-key", "timestamp", &key]);
    tool.json(0, &["root", "remove-key", "timestamp", &old[..10]]);
    tool.json(0, &["root", "set-expiry", "200d"]);
    tool.json(0, &["sign"]);
    let published = tool.json(0, &["publish"]);
    let roles: Vec<&str> = published["published"]
        .as_array()
        .expect("a list")
        .iter()
        .map(|file| file["role"].as_str().expect("a name"))
        .collect();
    assert_eq!(roles, ["timestamp", "root"]);
    let note = published["notes"][0].as_str().expect("a note");
    assert!(note.contains("root 1"), "{note}");
    let status = tool.json(0, &["status"]);
    assert_eq!(status["way_over"][0]["root"], 1);
    assert_eq!(status["unneeded_keys"], json!([]));
    assert!(tool.text(0, &["status"]).contains("clients at root 1"));
    let policy = tool.path().join("repo.toml");
    let text = fs::read_to_string(&policy).expect("a policy");
    let short = text.replace("rotation_grace = \"1h\"", "rotation_grace = \"1s\"");
    assert_ne!(text, short);
    fs::write(&policy, short).expect("writes");
    let over = || tool.json(0, &["status"])["way_over"] == json!([]);
    while !over() {
        std::thread::sleep(std::time::Duration::from_millis(100));
    }
    let refreshed = tool.json(0, &["refresh"]);
    assert_eq!(refreshed["published"][0]["role"], "timestamp");
    let unneeded = &tool.json(0, &["status"])["unneeded_keys"];
    assert_eq!(
        *unneeded,
        json!([format!("file:keys/timestamp.pem{PLAIN}")])
    );
    assert!(tool.text(0, &["status"]).contains("retired_keys"));
    assert_eq!(tool.json(0, &["refresh"])["changed"], false);
    tool.json(0, &["verify"]);
    assert_eq!(tool.json(0, &["root", "show"])["version"], 2);
}

#[test]
fn completions_and_manual_pages_are_made() {
    let tool = Tool::new();
    assert!(tool.text(0, &["completions", "bash"]).contains("repo-tool"));
    assert!(tool.text(0, &["man"]).contains(".TH"));
    let folder = tool.path().join("man");
    tool.text(0, &["man", "--out", &folder.display().to_string()]);
    assert!(folder.join("repo-tool-target-add.1").exists());
    assert!(tool.text(0, &["--help"]).contains("Exit codes:"));
}
