//! What people get wrong at the command line: each mistake is named, with the way out.

#[path = "common/tool.rs"]
mod tool;

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use tool::{PLAIN, Tool};

const SECRET: &str = "hunter2-1234";

fn both(output: &Output) -> String {
    let (out, err) = (&output.stdout, &output.stderr);
    String::from_utf8_lossy(out).into_owned() + &String::from_utf8_lossy(err)
}

fn fifo(tool: &Tool, name: &str) -> String {
    let path = tool.path().join(name);
    let made = Command::new("mkfifo").arg(&path).status();
    assert!(made.expect("mkfifo runs").success());
    path.display().to_string()
}

fn edit_policy(tool: &Tool, from: &str, to: &str) {
    let path = tool.path().join("repo.toml");
    let text = fs::read_to_string(&path).expect("a policy");
    assert!(text.contains(from), "{text}");
    fs::write(&path, text.replacen(from, to, 1)).expect("writes");
}

#[test]
fn a_secret_in_a_key_uri_is_refused_and_never_repeated() {
    let secrets = [
        format!("pkcs11:token=t;object=o?pin-value={SECRET}"),
        format!("pkcs11:token=t;object=o;pin-value={SECRET}"),
        format!("file:keys/a.pem?passphrase={SECRET}"),
        format!("keys/a.pem?passphrase={SECRET}"),
        format!("nonsense:x?passphrase={SECRET}"),
    ];
    for key in &secrets {
        let tool = Tool::started();
        let mut init = vec!["init"];
        for role in [
            "--root-key",
            "--targets-key",
            "--snapshot-key",
            "--timestamp-key",
        ] {
            init.extend([role, key]);
        }
        let flags = [
            &["key", "generate", key][..],
            &["key", "show", key],
            &["sign", "--key", key],
            &["sign", key],
            &["root", "add-key", "root", key],
            &["delegation", "add", "x", "--key", key, "--path", "*"],
        ];
        for format in ["text", "json"] {
            for words in flags {
                let output = tool.run(&[&["--format", format], words].concat());
                assert_ne!(output.status.code(), Some(0), "{words:?}");
                assert!(!both(&output).contains(SECRET), "{}", both(&output));
            }
            let output = Tool::new().run(&[&["--format", format], &init[..]].concat());
            assert_eq!(output.status.code(), Some(1), "{init:?}");
            assert!(!both(&output).contains(SECRET), "{}", both(&output));
        }
        edit_policy(&tool, &format!("file:keys/root.pem{PLAIN}"), key);
        for format in ["text", "json"] {
            let output = tool.run(&["--format", format, "status"]);
            assert_eq!(output.status.code(), Some(1));
            assert!(
                both(&output).contains("roles.root.keys"),
                "{}",
                both(&output)
            );
            assert!(!both(&output).contains(SECRET), "{}", both(&output));
        }
        // As TOML that cannot be read, which is shown with its line.
        edit_policy(&tool, "[\"", "= [\"");
        assert!(!both(&tool.run(&["status"])).contains(SECRET));
    }
}

#[test]
fn a_key_that_is_named_has_to_sign() {
    let tool = Tool::started();
    let missing = tool.json(1, &["sign", "--key", "file:keys/none.pem"]);
    assert_eq!(missing["name"], "key");
    let other = format!("file:keys/other.pem{PLAIN}");
    tool.json(0, &["key", "generate", &other]);
    let unasked = tool.json(1, &["sign", "--key", &other]);
    assert_eq!(unasked["name"], "nothing-to-sign");
    assert!(
        unasked["message"]
            .as_str()
            .expect("text")
            .contains("other.pem")
    );
    // Another spelling of a key that repo.toml names, and once more: it is done, no mistake.
    let spelt = format!("file:{}/keys/root.pem{PLAIN}", tool.path().display());
    let signed = tool.json(0, &["sign", "--key", &spelt]);
    assert_eq!(signed["signed"][0]["role"], "root");
    assert_eq!(signed["complete"], false);
    tool.json(0, &["sign", "--key", &spelt]);
    tool.json(0, &["sign"]);
    tool.json(0, &["publish"]);
    let late = tool.json(1, &["sign", "--key", &spelt]);
    assert!(
        late["message"]
            .as_str()
            .expect("text")
            .contains("nothing is staged")
    );
    assert_eq!(tool.text(0, &["sign"]).trim(), "nothing is staged");
}

#[test]
fn a_damaged_key_is_reported_after_all_others_signed() {
    let tool = Tool::started();
    let key = tool.path().join("keys/root.pem");
    let good = fs::read(&key).expect("a key");
    fs::write(&key, "damaged").expect("writes");
    let error = tool.json(1, &["sign"]);
    assert_eq!(error["name"], "key");
    assert!(
        error["message"]
            .as_str()
            .expect("text")
            .contains("root.pem")
    );
    let status = tool.json(0, &["status"]);
    let signed = |role: &str| {
        let staged = status["staged"].as_array().expect("a list");
        let found = staged.iter().find(|file| file["role"] == role);
        found.expect("staged")["signatures"][0]["have"].clone()
    };
    assert_eq!((signed("root"), signed("targets")), (0.into(), 1.into()));
    // Merely absent is no error: somebody else has it.
    fs::remove_file(&key).expect("removes");
    let report = tool.json(0, &["sign"]);
    assert_eq!(report["complete"], false);
    assert_eq!(report["unreachable"].as_array().map(Vec::len), Some(1));
    fs::write(&key, good).expect("writes");
    let private = std::os::unix::fs::PermissionsExt::from_mode(0o600);
    fs::set_permissions(&key, private).expect("chmod");
    assert_eq!(tool.json(0, &["sign"])["complete"], true);
}

#[test]
fn only_regular_files_of_a_sane_size_are_read() {
    let tool = Tool::started();
    let fifo = fifo(&tool, "fifo");
    let image = tool.file("image", b"1");
    for (words, name) in [
        (&["target", "add", &fifo][..], "not-a-file"),
        (&["target", "add", &image, "--custom", &fifo], "not-a-file"),
        (&["attach", &fifo], "not-a-file"),
        (&["sign", "--request", &fifo], "not-a-file"),
        (&["root", "import", &fifo], "not-a-file"),
        (&["root", "import", "/dev/zero"], "not-a-file"),
        (&["key", "import", &fifo], "public-key"),
        (&["key", "import", "/dev/zero"], "public-key"),
    ] {
        assert_eq!(tool.json(1, words)["name"], name, "{words:?}");
    }
    let huge = tool.path().join("huge");
    let file = fs::File::create(&huge).expect("creates");
    file.set_len(2 << 30).expect("a file with holes");
    let huge = huge.display().to_string();
    for words in [
        &["root", "import", &huge][..],
        &["attach", &huge],
        &["target", "add", &image, "--custom", &huge],
    ] {
        assert_eq!(tool.json(1, words)["name"], "too-large", "{words:?}");
    }
}

#[test]
fn wrong_usage_is_one_object_too() {
    let tool = Tool::new();
    for words in [
        &["nonsense"][..],
        &["status", "--bogus"],
        &["bins", "two"],
        &[],
    ] {
        let error = tool.json(2, words);
        assert_eq!(
            (&error["name"], &error["exit_code"]),
            (&"usage".into(), &2.into())
        );
        let message = error["message"].as_str().expect("text");
        assert!(message.len() > 10 && !message.contains('\n'), "{message}");
    }
    let plain = tool.run(&["nonsense"]);
    assert!(plain.stdout.is_empty() && both(&plain).contains("nonsense"));
    assert!(
        tool.text(0, &["sign", "--help"])
            .contains("Global options:")
    );
}

#[test]
fn output_is_not_written_over_anything_nor_into_nowhere() {
    let tool = Tool::started();
    let absent = tool.path().join("no/such/folder");
    let into = absent.join("x").display().to_string();
    let error = tool.json(1, &["request", "--out", &into]);
    assert_eq!(error["name"], "no-folder");
    assert!(
        error["message"]
            .as_str()
            .expect("text")
            .contains("there is no folder")
    );
    assert!(!absent.exists());
    let taken = tool.file("taken", b"precious");
    assert_eq!(
        tool.json(1, &["request", "--out", &taken])["name"],
        "already-exists"
    );
    assert_eq!(fs::read(&taken).expect("reads"), b"precious");
    let request = tool.path().join("request").display().to_string();
    tool.json(0, &["request", "--out", &request]);
    tool.json(0, &["request", "--out", &request]);
    let key = format!("file:keys/root.pem{PLAIN}");
    let sign = [
        "sign",
        "--request",
        &request,
        "--key",
        &key,
        "--out",
        &taken,
    ];
    assert_eq!(tool.json(1, &sign)["name"], "already-exists");
}

#[test]
fn status_names_what_the_public_tree_lacks() {
    let tool = Tool::started();
    tool.json(0, &["sign"]);
    tool.json(0, &["publish"]);
    assert_eq!(tool.json(0, &["status"])["lacking"], serde_json::json!([]));
    fs::remove_file(tool.path().join("published/metadata/timestamp.json")).expect("removes");
    let text = tool.text(0, &["status"]);
    assert!(text.contains("timestamp.json is missing"), "{text}");
    tool.json(0, &["publish"]);
    edit_policy(&tool, "\"published\"", "\"elsewhere\"");
    let status = tool.json(0, &["status"]);
    assert_eq!(status["lacking"].as_array().map(Vec::len), Some(3));
    let text = tool.text(0, &["status"]);
    assert!(
        text.contains("elsewhere/metadata/timestamp.json is missing"),
        "{text}"
    );
    assert!(
        text.contains("'destination' in repo.toml was changed"),
        "{text}"
    );
}

#[test]
fn messages_name_the_way_out() {
    let tool = Tool::started();
    let message = |words: &[&str]| {
        let error = tool.json(1, words);
        error["message"].as_str().expect("text").to_owned()
    };
    assert!(message(&["key", "show", ""]).contains("no key is named"));
    let ec = "-----BEGIN EC PRIVATE KEY-----\nAA==\n-----END EC PRIVATE KEY-----\n";
    let ec = tool.file("ec.pem", ec.as_bytes());
    assert!(message(&["key", "show", &ec]).contains("openssl pkcs8 -topk8"));
    fs::set_permissions(&ec, std::os::unix::fs::PermissionsExt::from_mode(0o600)).expect("chmod");
    assert!(message(&["key", "show", &format!("file:{ec}")]).contains("openssl pkcs8 -topk8"));
    let few = message(&["root", "set-threshold", "targets", "2"]);
    assert!(few.contains("1 usable key,"), "{few}");
    assert!(Path::new(&ec).exists());
}
