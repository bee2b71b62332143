//! The command, as a factory's script runs it.

use std::process::{Command, Stdio};

use serde_json::Value;

use crate::stage::{HONEST, SERIAL, Stage, VIN, files};

const ACCEPT: [&str; 4] = [
    "--accept",
    "root-threshold-low=a test",
    "--accept",
    "root-expiry-long=a test",
];
const TIME: [&str; 2] = ["--time", "2026-01-01T00:00:00Z"];

/// `key-ceremony provision WORDS`; the exit code, and the object on standard output.
fn run(stage: &Stage, words: &[&str]) -> (i32, Value) {
    let output = Command::new(env!("CARGO_BIN_EXE_key-ceremony"))
        .args(["--format", "json", "provision"])
        .args(words)
        .current_dir(stage.path(""))
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let object = serde_json::from_slice(&output.stdout);
    let object = object.unwrap_or_else(|error| panic!("{error}: {output:?}"));
    (output.status.code().unwrap(), object)
}

fn make(stage: &Stage, more: &[&str]) -> (i32, Value) {
    stage.write("profile.toml", &stage.profile);
    run(
        stage,
        &[&["make", "profile.toml"], &ACCEPT[..], more].concat(),
    )
}

#[test]
fn nothing_is_written_unless_somebody_confirms() {
    let stage = Stage::with(HONEST).roots_only();
    let more = [&TIME[..], &["--out", "out", "--c-header", "p.h"]].concat();
    let (code, refused) = make(&stage, &more);
    assert_eq!(
        (code, &refused["name"]),
        (1, &"not-confirmed".into()),
        "{refused}"
    );
    let (_, shown) = make(&stage, &[&TIME[..], &["--show"]].concat());
    let confirm = shown["confirm"].as_str().unwrap();
    assert!(shown["roots"][0]["words"].is_string() && shown["findings"].is_array());
    let (code, refused) = make(
        &stage,
        &[&more[..], &["--confirm", "provision a b"]].concat(),
    );
    assert_eq!(
        (code, &refused["name"]),
        (1, &"not-confirmed".into()),
        "{refused}"
    );
    assert!(!stage.path("out").exists() && !stage.path("p.h").exists());

    let confirmed = [&more[..], &["--confirm", confirm]].concat();
    let (code, made) = make(&stage, &confirmed);
    assert_eq!((code, &made["ok"]), (0, &true.into()), "{made}");
    assert!(stage.path("p.h").is_file());
    let before = files(&stage.path("out"));
    let (code, _) = make(&stage, &confirmed);
    assert_eq!(code, 0, "the same again is nothing to do");
    assert_eq!(files(&stage.path("out")), before);
    let left: Vec<_> = std::fs::read_dir(stage.path("")).unwrap().collect();
    let left = left.iter().filter(|entry| {
        let name = entry.as_ref().unwrap().file_name();
        name.to_str().unwrap().starts_with(".unfinished")
    });
    assert_eq!(left.count(), 0);
}

#[test]
fn a_bundle_is_checked_and_compared_by_its_words() {
    let stage = Stage::with(HONEST);
    stage.row();
    let device = ["--vehicle", VIN, "--ecu", SERIAL, "--keys", "keys"];
    let keys = ["--signing-key", "p1.csr", "--encryption-key", "images.pub"];
    let others = ["--other", "S1=brake-b", "--other", "S2=lamp-c"];
    let more = [&TIME[..], &device, &keys, &others].concat();
    let (_, shown) = make(&stage, &[&more[..], &["--show"]].concat());
    let confirm = shown["confirm"].as_str().unwrap();
    let (code, made) = make(
        &stage,
        &[&more[..], &["--out", "out", "--confirm", confirm]].concat(),
    );
    assert_eq!(code, 0, "{made}");
    assert_eq!(made["devices"][0]["possession"], "request");
    let words = made["words"].as_str().unwrap();
    let (code, checked) = run(&stage, &["check", "out", "--words", words]);
    assert_eq!((code, &checked["words"]), (0, &made["words"]), "{checked}");
    let (code, other) = run(&stage, &["check", "out", "--words", "abandon ability"]);
    assert_eq!((code, &other["name"]), (1, &"refused".into()), "{other}");
    std::fs::remove_file(stage.path("out/time.json")).unwrap();
    let (code, torn) = run(&stage, &["check", "out"]);
    assert_eq!((code, &torn["name"]), (1, &"file".into()), "{torn}");
}

#[test]
fn wrong_usage_is_told_from_refusals() {
    let stage = Stage::with(HONEST).roots_only();
    for (more, code, name) in [
        (&["--out", "out"][..], 2, "usage"),
        (&["--time", "yesterday", "--out", "out"], 2, "usage"),
        (&["--time", "2026-01-01T00:00:00Z"], 2, "usage"),
        (
            &[
                "--time",
                "2026-01-01T00:00:00Z",
                "--vehicle",
                "V",
                "--out",
                "o",
            ],
            2,
            "usage",
        ),
        (
            &["--time", "2999-01-01T00:00:00Z", "--out", "out"],
            1,
            "refused",
        ),
        (
            &[
                "--time",
                "2026-01-01T00:00:00Z",
                "--devices",
                "none.csv",
                "--out",
                "o",
            ],
            1,
            "io",
        ),
    ] {
        let (got, object) = make(&stage, more);
        assert_eq!(
            (got, &object["name"]),
            (code, &name.into()),
            "{more:?}: {object}"
        );
    }
    stage.write("devices.csv", "vehicle,ecu\nV\n");
    let list = [&TIME[..], &["--devices", "devices.csv", "--out", "out"]].concat();
    let (code, object) = make(&stage, &list);
    assert_eq!(code, 1);
    assert!(
        object["message"].as_str().unwrap().contains("line 2"),
        "{object}"
    );
    let (code, object) = run(
        &stage,
        &["make", "profile.toml", "--time", TIME[1], "--out", "out"],
    );
    assert_eq!((code, &object["name"]), (1, &"policy".into()), "{object}");
    stage.write("profile.toml", "name = 1");
    let (code, object) = run(
        &stage,
        &["make", "profile.toml", "--time", TIME[1], "--out", "out"],
    );
    assert_eq!((code, &object["name"]), (1, &"profile".into()), "{object}");
}
