//! What is written is as it was written, or `verify` says which line is not.

use std::fs;
use std::path::{Path, PathBuf};

use countersign_ceremony::{CeremonyError, Extent, verify};
use countersign_metadata::sha256;
use serde_json::{Value, json};

use crate::common::{World, copy_folder, finish, says};

/// A sealed rotation in `lead/c2`: small, and with a root before it.
fn rotated() -> World {
    let world = World::with_files();
    world.first_ceremony("c1", 2, &["anna", "ben"], &["anna", "ben"]);
    let add = format!("root/dora={}", world.uri("dora", "root"));
    // A minute ago, so that the times of the lines differ.
    let rotate = [
        "rotate",
        "lead/c1",
        "--out",
        "lead/c2",
        "--why",
        "scheduled",
        "--add",
        &add,
        "--accept",
        "key-in-file=a test",
    ];
    finish(world.command_at("-1m", &rotate), 0);
    world.make_keys("c2");
    world.review("c2");
    world.sign_and_merge("c2", "anna", &["root"]);
    world.sign_and_merge("c2", "ben", &["root"]);
    world.seal("c2", "anna", "root");
    world
}

/// Every file of a ceremony.
fn files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        match path.is_dir() {
            true => found.extend(files(&path)),
            false => found.push(path),
        }
    }
    found.sort();
    found
}

/// The line that `verify` names; panics if it finds nothing, or no line.
#[track_caller]
fn line_found(folder: &Path, what: &str) -> u64 {
    match verify(folder, None, Extent::Sealed) {
        Err(CeremonyError::Transcript { line, .. }) => line,
        other => panic!("{what}: {other:?}"),
    }
}

/// Flips a bit in every `step`th byte of the transcript and of the root before it, and in every
/// `derived`th of the files that follow from them, which are compared as a whole.
fn flip_every(step: usize, derived: usize) {
    let world = rotated();
    let folder = world.path("lead/c2");
    verify(&folder, None, Extent::Sealed).expect("honest");
    let all = files(&folder);
    let names: Vec<_> = all.iter().map(|file| file.file_name().unwrap()).collect();
    assert_eq!(names.len(), 6, "{names:?}");
    for file in all {
        let honest = fs::read(&file).unwrap();
        let transcript = file.ends_with("transcript.jsonl");
        let step = match transcript || file.ends_with("previous.root.json") {
            true => step,
            false => derived,
        };
        for at in (0..honest.len()).step_by(step).chain([honest.len() - 1]) {
            let mut changed = honest.clone();
            // Each bit has its turn; 0x20 turns letters into capitals.
            changed[at] ^= 1 << (at / step % 8);
            fs::write(&file, &changed).unwrap();
            let what = format!("byte {at} of {}", file.display());
            let found = line_found(&folder, &what);
            if transcript {
                let line = honest[..at].iter().filter(|byte| **byte == b'\n').count() as u64 + 1;
                assert_eq!(found, line, "{what}");
            }
        }
        fs::write(&file, honest).unwrap();
    }
    verify(&folder, None, Extent::Sealed).expect("as before");
}

#[test]
fn a_flipped_byte_in_any_file() {
    flip_every(7, 31);
}

#[test]
#[ignore = "takes minutes: every single byte"]
fn every_flipped_byte_in_any_file() {
    flip_every(1, 1);
}

#[test]
fn the_command_names_the_line() {
    let world = rotated();
    let honest = world.text("lead/c2/transcript.jsonl");
    let changed = honest.replacen("dora", "dara", 1);
    world.write("lead/c2/transcript.jsonl", changed);
    let message = world.refused("transcript", &["verify", "lead/c2"]);
    says(&message, &["line 1 of the transcript"]);
    // Nobody goes on with it either.
    for words in [
        &["status", "lead/c2"][..],
        &["merge", "lead/c2", "lead/c2-anna.signed.json"],
    ] {
        world.refused("transcript", words);
    }
    let out = [
        "rotate",
        "lead/c2",
        "--out",
        "lead/c3",
        "--why",
        "scheduled",
    ];
    world.refused("transcript", &out);
}

#[test]
fn another_release_is_named_before_somebody_is_suspected() {
    let world = rotated();
    let release = env!("CARGO_PKG_VERSION");
    let honest = world.text("lead/c2/transcript.jsonl");
    let (said, other) = (format!("\"{release}\""), "\"0.0.7\"");
    world.write("lead/c2/transcript.jsonl", honest.replacen(&said, other, 1));
    let message = world.refused("transcript", &["verify", "lead/c2"]);
    says(
        &message,
        &["line 1 ", "Countersign 0.0.7", "with that release too"],
    );
    let changed = honest.replacen("dora", "dara", 1);
    world.write("lead/c2/transcript.jsonl", changed);
    let message = world.refused("transcript", &["verify", "lead/c2"]);
    assert!(!message.contains("release"), "{message}");
}

#[test]
fn lines_that_are_moved_removed_or_added() {
    let world = rotated();
    let folder = world.path("lead/c2");
    let honest = world.text("lead/c2/transcript.jsonl");
    let lines: Vec<&str> = honest.lines().collect();
    let check = |lines: &[&str], what: &str| {
        world.write("lead/c2/transcript.jsonl", lines.join("\n") + "\n");
        line_found(&folder, what);
    };
    for at in 0..lines.len() {
        for other in at + 1..lines.len() {
            let mut swapped = lines.clone();
            swapped.swap(at, other);
            check(&swapped, &format!("{at} and {other} swapped"));
        }
        let mut doubled = lines.clone();
        doubled.insert(at, lines[at]);
        check(&doubled, &format!("{at} doubled"));
        let mut added = lines.clone();
        added.insert(at, "");
        check(&added, &format!("an empty line before {at}"));
        if at + 1 < lines.len() {
            let mut less = lines.clone();
            less.remove(at);
            check(&less, &format!("{at} removed"));
        }
        check(
            &[&lines[..], &[lines[at]]].concat(),
            &format!("{at} appended"),
        );
    }
    for (what, text) in [
        ("CRLF", honest.replace('\n', "\r\n")),
        ("a byte order mark", format!("\u{feff}{honest}")),
        ("something behind", format!("{honest}{{}}\n")),
        ("a space", honest.replacen(',', ", ", 1)),
        ("a torn line behind", format!("{honest}{{")),
        ("nothing", String::new()),
    ] {
        world.write("lead/c2/transcript.jsonl", text);
        line_found(&folder, what);
    }
}

#[test]
fn a_transcript_that_ends_early() {
    let world = rotated();
    let folder = world.path("lead/c2");
    let honest = world.read("lead/c2/transcript.jsonl");
    for end in (0..honest.len()).step_by(29).chain([honest.len() - 1]) {
        fs::write(folder.join("transcript.jsonl"), &honest[..end]).unwrap();
        match verify(&folder, None, Extent::Sealed) {
            // Whole lines, but not all: then nobody vouches for the end.
            Err(CeremonyError::Phase { .. }) => assert_eq!(honest[end - 1], b'\n'),
            Err(CeremonyError::Transcript { .. }) => {}
            other => panic!("cut at {end}: {other:?}"),
        }
    }
}

#[test]
fn attachments_that_are_missing_or_something_else() {
    let world = rotated();
    let folder = world.path("lead/c2");
    for file in files(&folder) {
        if file.ends_with("transcript.jsonl") {
            continue;
        }
        let honest = fs::read(&file).unwrap();
        let what = file.display().to_string();
        fs::remove_file(&file).unwrap();
        line_found(&folder, &format!("{what} is missing"));
        fs::create_dir(&file).unwrap();
        line_found(&folder, &format!("{what} is a folder"));
        fs::remove_dir(&file).unwrap();
        let cwd = rustix::fs::CWD;
        let mode = rustix::fs::Mode::RUSR | rustix::fs::Mode::WUSR;
        rustix::fs::mknodat(cwd, &file, rustix::fs::FileType::Fifo, mode, 0).unwrap();
        line_found(&folder, &format!("{what} is a FIFO"));
        fs::remove_file(&file).unwrap();
        std::os::unix::fs::symlink("/dev/zero", &file).unwrap();
        line_found(&folder, &format!("{what} has no end"));
        fs::remove_file(&file).unwrap();
        let huge = fs::File::create(&file).unwrap();
        huge.set_len(100 << 20).unwrap();
        line_found(&folder, &format!("{what} has 100 MB"));
        fs::write(&file, honest).unwrap();
    }
    verify(&folder, None, Extent::Sealed).expect("as before");
}

/// Writes a transcript after a change, as somebody would who knows how the chain of hashes works:
/// every `previous` is right again, and so are all files that follow from the transcript.
pub(crate) fn rewrite(world: &World, change: impl FnOnce(&mut Vec<Value>)) {
    let mut lines = world.lines("forged");
    change(&mut lines);
    let mut previous = "0".repeat(64);
    let mut text = String::new();
    for (number, line) in (1..).zip(&mut lines) {
        line["line"] = json!(number);
        line["previous"] = json!(previous);
        // serde_json's maps are sorted, so this is the canonical form of such lines.
        let written = line.to_string();
        previous = hex::encode(sha256(written.as_bytes()));
        text += &format!("{written}\n");
    }
    world.write("lead/forged/transcript.jsonl", text);
}

/// A change of the lines of a transcript.
type Change = fn(&mut Vec<Value>);

#[test]
fn a_history_that_is_rewritten_with_all_its_hashes() {
    let world = rotated();
    let folder = world.path("lead/forged");
    world.copy("lead/c2", "lead/forged");
    rewrite(&world, |_| {});
    verify(&folder, None, Extent::Sealed).expect("the writer writes what was written");

    // planned, proved, reviewed, signed, signed, sealed
    let changes: [(&str, Change); 14] = [
        ("another nonce", |lines| {
            lines[0]["event"]["planned"]["nonce"] = json!("0".repeat(64))
        }),
        ("another time of the plan", |lines| {
            lines[0]["time"] = json!("2020-01-01T00:00:00Z")
        }),
        ("another reason", |lines| {
            lines[0]["event"]["planned"]["accepted"][0]["reason"] = json!("none at all");
        }),
        ("another time of the proof", |lines| {
            lines[1]["time"] = lines[0]["time"].clone()
        }),
        ("findings that are gone", |lines| {
            lines[0]["event"]["planned"]["findings"] = json!([]);
        }),
        ("acceptance after the fact", |lines| {
            let accepted = json!([{"finding": "key-in-file", "reason": "forged"}]);
            lines[1]["event"]["proved"]["accepted"] = accepted;
        }),
        ("another custody", |lines| {
            let proof = &mut lines[1]["event"]["proved"]["proof"];
            proof["statement"]["possession"]["custody"]["kind"] = json!("token");
        }),
        ("another confirmation", |lines| {
            lines[2]["event"]["reviewed"]["confirmed"] = json!("y");
        }),
        ("signatures the other way round", |lines| lines.swap(3, 4)),
        ("one signature less", |lines| drop(lines.remove(4))),
        ("one signature twice", |lines| {
            let again = lines[4].clone();
            lines.insert(5, again);
        }),
        ("a later seal", |lines| {
            lines[5]["time"] = json!("2039-01-01T00:00:00Z")
        }),
        ("a seal twice", |lines| {
            let seals = &mut lines[5]["event"]["sealed"]["seals"];
            let again = seals[0].clone();
            seals.as_array_mut().unwrap().push(again);
        }),
        ("a capital in a signature", |lines| {
            let sig = &mut lines[5]["event"]["sealed"]["seals"][0]["sig"];
            *sig = json!(sig.as_str().unwrap().to_uppercase());
        }),
    ];
    for (what, change) in changes {
        fs::remove_dir_all(&folder).unwrap();
        copy_folder(&world.path("lead/c2"), &folder);
        rewrite(&world, change);
        // The forger lets our own tool write everything that follows from the transcript.
        let _ = world.command(&["status", "lead/forged"]).output().unwrap();
        let found = verify(&folder, None, Extent::Sealed);
        assert!(
            matches!(found, Err(CeremonyError::Transcript { .. })),
            "{what}: {found:?}"
        );
    }
}

#[test]
fn a_ceremony_of_other_people() {
    let world = rotated();
    // The same names, the same profile, other keys.
    for name in ["anna", "ben", "dora", "release", "online"] {
        fs::rename(world.path(name), world.path(&format!("honest-{name}"))).unwrap();
    }
    fs::rename(world.path("lead"), world.path("honest")).unwrap();
    fs::create_dir(world.path("lead")).unwrap();
    world.first_ceremony("c1", 2, &["anna", "ben"], &["anna", "ben"]);
    world.rotate("c1", "c2", "scheduled", &["--threshold", "root=2"]);
    world.review("c2");
    world.sign_and_merge("c2", "anna", &["root"]);
    world.sign_and_merge("c2", "ben", &["root"]);
    world.seal("c2", "anna", "root");
    // By itself it is as good as any; the root that everybody knows tells it apart.
    world.ok(&["verify", "lead/c2"]);
    let known = ["--previous", "honest/c1/1.root.json"];
    let message = world.refused("transcript", &[&["verify", "lead/c2"], &known[..]].concat());
    says(&message, &["line 1 ", "not the root that you say"]);
    let message = world.refused("transcript", &[&["verify", "lead/c1"], &known[..]].concat());
    says(&message, &["line 1 "]);
    world.ok(&[&["verify", "honest/c2"], &known[..]].concat());
}
