//! Commands that are killed, at any point, and run again: nothing is lost, nothing is there twice.

#[cfg(feature = "crash-points")]
mod points;

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::process::ExitStatusExt as _;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use serde_json::Value;

use crate::common::{World, says};
use crate::flow::follow;

/// Holds two ceremonies, a first one and a rotation. Each command is given to `run` with its name,
/// which has to bring it to its end.
fn hold(world: &World, run: &mut dyn FnMut(&'static str, &[&str])) {
    world.write("lead/profile.toml", world.profile(2, &["anna", "ben"]));
    run("plan", &["plan", "lead/profile.toml", "--out", "lead/c1"]);
    make_keys(world, "c1", run);
    finish(world, "c1", run);
    let dora = format!("root/dora={}", world.uri("dora", "root"));
    run(
        "rotate",
        &[
            "rotate",
            "lead/c1",
            "--out",
            "lead/c2",
            "--why",
            "scheduled",
            "--accept",
            "key-in-file=a test",
            "--add",
            &dora,
        ],
    );
    make_keys(world, "c2", run);
    finish(world, "c2", run);
}

/// Each holder makes a key, but the release engineer has one already and proves it.
fn make_keys(world: &World, name: &str, run: &mut dyn FnMut(&'static str, &[&str])) {
    let folder = format!("lead/{name}");
    for place in world.invited(name) {
        let (invitation, proof) = world.invite(name, &place);
        if place == "release-targets" {
            world.ok(&["keygen", &invitation, "--out", "release/rehearsal.json"]);
            run("prove", &["prove", &invitation, "--out", &proof]);
        } else {
            run("keygen", &["keygen", &invitation, "--out", &proof]);
        }
        run("merge a proof", &["merge", &folder, &proof]);
    }
}

fn finish(world: &World, name: &str, run: &mut dyn FnMut(&'static str, &[&str])) {
    let folder = format!("lead/{name}");
    let confirm = world.confirmation(name);
    run("review", &["review", &folder, "--confirm", &confirm]);
    for holder in ["anna", "ben"] {
        let (request, out) = (
            format!("{folder}/requests/sign-root.json"),
            format!("{holder}/{name}.signed.json"),
        );
        let key = world.uri(holder, "root");
        let sign = ["sign", &*request, "--key", &key, "--out", &out];
        run("sign", &[&sign[..], &["--confirm", &confirm]].concat());
        run("merge a signature", &["merge", &folder, &out]);
    }
    let key = world.uri("ben", "root");
    run("seal", &["seal", &folder, "--key", &key]);
}

/// What has to hold at the end, after any number of deaths.
#[track_caller]
fn whole(world: &World) {
    for (name, proofs) in [("c1", 5), ("c2", 1)] {
        let found = world.ok(&["verify", &format!("lead/{name}")]);
        assert_eq!(found["phase"], "sealed");
        let mut expected = vec!["planned"];
        expected.extend(vec!["proved"; proofs]);
        expected.extend(["reviewed", "signed", "signed", "sealed"]);
        assert_eq!(events(world, name), expected);
    }
    let first: Value = serde_json::from_slice(&world.read("lead/c1/1.root.json")).unwrap();
    let signatures = first["signatures"].as_array().unwrap();
    let signers: BTreeSet<String> = signatures
        .iter()
        .map(|made| made["keyid"].to_string())
        .collect();
    assert_eq!((signatures.len(), signers.len()), (2, 2), "{first}");
    world.ok(&["verify", "lead/c2", "--previous", "lead/c1/1.root.json"]);
    follow(&[
        world.read("lead/c1/1.root.json"),
        world.read("lead/c2/2.root.json"),
    ]);
    let keys = files(&world.path(""), &|name| name.ends_with(".pem"));
    assert_eq!(keys.len(), 6, "{keys:?}");
    let left = files(&world.path(""), &|name| {
        name.starts_with(".unfinished") || name.ends_with(".started")
    });
    assert!(left.is_empty(), "{left:?}");
    let mut there: Vec<String> = fs::read_dir(world.path("lead/c2"))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    there.sort();
    let expected = [
        "2.root.json",
        "invitations",
        "previous.root.json",
        "report.html",
        "requests",
        "transcript.jsonl",
    ];
    assert_eq!(there, expected);
}

/// The same command again. Where a key turns out to be made, its holder does what the message says.
#[track_caller]
fn again(world: &World, words: &[&str]) -> Value {
    let output = world.command(words).output().unwrap();
    let said: Value = serde_json::from_slice(&output.stdout).expect("one JSON object");
    if output.status.success() {
        return said;
    }
    assert_eq!(words[0], "keygen", "{words:?}: {said}");
    let message = said["message"].as_str().unwrap();
    says(message, &["is a key already", "'key-ceremony prove'"]);
    world.ok(&[&["prove"], &words[1..]].concat())
}

fn events(world: &World, name: &str) -> Vec<String> {
    let lines = world.lines(name);
    let events = lines.iter().map(|line| line["event"].as_object().unwrap());
    events
        .map(|event| event.keys().next().unwrap().clone())
        .collect()
}

fn files(folder: &Path, wanted: &dyn Fn(&str) -> bool) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        match path.is_dir() {
            true => found.extend(files(&path, wanted)),
            false if wanted(path.file_name().unwrap().to_str().unwrap()) => found.push(path),
            false => {}
        }
    }
    found
}

/// The whole lines of both transcripts.
fn recorded(world: &World) -> [Vec<u8>; 2] {
    ["c1", "c2"].map(|name| {
        let path = world.path(&format!("lead/{name}/transcript.jsonl"));
        let mut bytes = fs::read(path).unwrap_or_default();
        let whole = bytes.iter().rposition(|byte| *byte == b'\n');
        bytes.truncate(whole.map_or(0, |at| at + 1));
        bytes
    })
}

#[track_caller]
fn nothing_lost(before: &[Vec<u8>; 2], now: &[Vec<u8>; 2], what: &str) {
    for (before, now) in before.iter().zip(now) {
        assert!(now.starts_with(before), "{what} lost or changed a line");
    }
}

/// Whenever the machine dies: each command is killed at once, then a bit later every time, until it
/// comes to its end before that; then once more, after all is done.
#[test]
fn deaths_at_any_moment() {
    let world = World::with_files();
    let mut killed = 0;
    hold(&world, &mut |_, words| {
        let mut life = Duration::ZERO;
        loop {
            let before = recorded(&world);
            let mut command = world.command(words);
            let quiet = command.stdout(Stdio::null()).stderr(Stdio::null());
            let mut child = quiet.spawn().unwrap();
            std::thread::sleep(life);
            child.kill().unwrap();
            let status = child.wait().unwrap();
            nothing_lost(&before, &recorded(&world), &words.join(" "));
            if status.signal() != Some(9) {
                again(&world, words);
                return;
            }
            killed += 1;
            life = life * 3 / 2 + Duration::from_micros(300);
        }
    });
    assert!(killed > 0);
    whole(&world);
}

/// What a power cut leaves of a line that was being written.
#[test]
fn half_a_line_at_the_end_of_the_transcript() {
    let world = World::with_files();
    let mut steps: Vec<Vec<String>> = Vec::new();
    hold(&world, &mut |_, words| {
        world.ok(words);
        steps.push(words.iter().map(|word| (*word).to_owned()).collect());
    });
    steps.retain(|words| words.iter().any(|word| word == "lead/c1") && words[0] != "rotate");
    let honest = world.read("lead/c1/transcript.jsonl");
    let lines: Vec<&[u8]> = honest.split_inclusive(|byte| *byte == b'\n').collect();
    assert_eq!(steps.len(), lines.len());
    for (number, line) in lines.iter().enumerate().skip(1) {
        let before = lines[..number].concat();
        for cut in [1, line.len() / 2, line.len() - 1] {
            let torn = [&before, &line[..cut]].concat();
            world.write("lead/c1/transcript.jsonl", &torn);
            // To look at it changes nothing.
            let message = world.refused("transcript", &["verify", "lead/c1"]);
            let place = format!("line {} ", number + 1);
            says(
                &message,
                &[&place, "interrupted", "the next command drops it"],
            );
            assert_eq!(world.read("lead/c1/transcript.jsonl"), torn);

            let words: Vec<&str> = steps[number].iter().map(String::as_str).collect();
            world.ok(&words);
            let repaired = world.read("lead/c1/transcript.jsonl");
            assert!(repaired.starts_with(&before), "a line was lost");
            assert_eq!(world.lines("c1").len(), number + 1);
        }
    }
    world.ok(&["verify", "lead/c1"]);

    world.write("lead/c1/transcript.jsonl", &lines[0][..lines[0].len() / 2]);
    for words in [&["status", "lead/c1"][..], &["verify", "lead/c1"]] {
        let message = world.refused("transcript", words);
        says(&message, &["line 1 ", "plan again"]);
    }
}
