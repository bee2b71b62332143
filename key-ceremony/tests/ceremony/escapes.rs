//! What strangers wrote does not steer the terminal of whoever reads about it.

use std::process::{Command, Stdio};

use serde_json::{Value, json};

use crate::common::{World, shown};

/// As a person runs it: the exit code, and all that is printed.
fn printed(world: &World, words: &[&str]) -> (Option<i32>, String) {
    let output = Command::new(env!("CARGO_BIN_EXE_key-ceremony"))
        .args(words)
        .current_dir(world.path(""))
        .stdin(Stdio::null())
        .output()
        .unwrap();
    (output.status.code(), shown(&output))
}

/// Whether a terminal would obey something in a text, or show it in another order.
fn steers(text: &str) -> bool {
    let plain = |letter: char| matches!(letter, '\n' | '\t') || !letter.is_control();
    !text.chars().all(plain) || text.contains(['\u{200b}', '\u{202e}', '\u{2066}'])
}

/// Asserts that a command fails and shows this, for people and for scripts.
#[track_caller]
fn shows(world: &World, words: &[&str], part: &str) {
    let (code, text) = printed(world, words);
    assert!(matches!(code, Some(1 | 2)), "{text}");
    assert!(!steers(&text), "{text:?}");
    assert!(text.contains(part), "{part:?} is not in {text}");
    let (code, text) = printed(world, &[words, &["--format", "json"]].concat());
    assert!(matches!(code, Some(1 | 2)), "{text}");
    assert!(!steers(&text), "{text:?}");
    let _: Value = serde_json::from_str(&text).unwrap();
}

#[test]
fn the_name_of_a_file() {
    let world = World::with_files();
    world.plan("c", &world.profile(2, &["anna", "ben"]), &[]);
    let name = "bad\u{1b}[31m\u{202e}X.json";
    world.write(name, "{}");
    let shown = "bad[U+001B][31m[U+202E]X.json";
    shows(&world, &["merge", "lead/c", name], shown);
    shows(&world, &["keygen", name, "--out", "p.json"], shown);
    shows(&world, &["verify", name], shown);
    // A shell puts such a name where an option may stand.
    let name = format!("--{name}");
    let (code, text) = printed(&world, &["merge", "lead/c", &name]);
    assert_eq!(code, Some(2), "{text}");
    assert!(!steers(&text) && text.contains("--bad"), "{text:?}");
}

#[test]
fn a_transcript() {
    let world = World::with_files();
    world.plan("c", &world.profile(2, &["anna", "ben"]), &[]);
    let mut line = world.lines("c").remove(0);
    let profile = line["event"]["planned"]["profile"].clone();
    let profile = profile.as_str().unwrap();
    for (hostile, part) in [
        // The parser shows the line,
        ("\u{202e}x = = 1\n", "[U+202E]x"),
        // or the name that it read.
        ("\"\\u001b[2J\\u202e\" = 1\n", "[U+001B][2J[U+202E]"),
    ] {
        let forged = format!("{hostile}{profile}");
        line["event"]["planned"]["profile"] = json!(forged);
        world.write("lead/c/transcript.jsonl", format!("{line}\n"));
        shows(&world, &["verify", "lead/c"], part);
        shows(&world, &["status", "lead/c"], part);
    }
}
