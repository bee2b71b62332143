//! What lies in a ceremony's folder, and what a write that failed leaves there.

use std::fs;
use std::process::Command;

use countersign_ceremony::{Extent, Folder, verify};
use countersign_metadata::UtcTime;
use serde_json::json;

use crate::common::{World, refusal, says};

/// A ceremony that waits for the proof in `lead/c-anna-root.proof.json`.
fn planned() -> World {
    let world = World::with_files();
    world.plan("c", &world.profile(2, &["anna", "ben"]), &[]);
    let (invitation, proof) = world.invite("c", "anna-root");
    world.ok(&["keygen", &invitation, "--out", &proof]);
    world.carry(&proof, "lead/c-anna-root.proof.json");
    world
}

#[test]
fn half_a_line_goes_before_the_next() {
    let world = planned();
    let (folder, proof) = (
        world.path("lead/c"),
        world.path("lead/c-anna-root.proof.json"),
    );
    let mut lead = Folder::open(&folder).unwrap();
    let transcript = folder.join("transcript.jsonl");
    let whole = fs::read(&transcript).unwrap();
    // A write that failed, and could not be taken back.
    fs::write(
        &transcript,
        [&whole[..], b"{\"event\":".as_slice()].concat(),
    )
    .unwrap();
    let now = std::time::UNIX_EPOCH.elapsed().unwrap().as_secs();
    let now = UtcTime::from_unix(now.try_into().unwrap()).unwrap();
    lead.merge(&proof, &[], now).unwrap();
    drop(lead);
    assert_eq!(verify(&folder, None, Extent::SoFar).unwrap().lines, 2);
}

#[test]
fn a_write_that_fails_leaves_no_half_line() {
    let world = planned();
    let words = ["merge", "lead/c", "lead/c-anna-root.proof.json"];
    let before = world.read("lead/c/transcript.jsonl");
    // The file may grow by a part of the line. In 512 bytes, as POSIX has it.
    let blocks = before.len() / 512 + 1;
    let command = world.command(&words);
    let mut limited = Command::new("sh");
    limited
        .args(["-c", "trap '' XFSZ; ulimit -f \"$0\"; exec \"$@\""])
        .arg(blocks.to_string())
        .arg(command.get_program())
        .args(command.get_args())
        .current_dir(world.path(""));
    says(&refusal(limited, "io"), &["transcript.jsonl"]);
    assert_eq!(world.read("lead/c/transcript.jsonl"), before);
    world.ok(&["verify", "lead/c", "--unfinished"]);
    assert_eq!(world.ok(&words)["merged"], json!(["proved: root/anna"]));
}

#[test]
fn files_that_are_not_of_the_ceremony() {
    let world = World::with_files();
    world.first_ceremony("c", 2, &["anna", "ben"], &["anna", "ben"]);
    let verify = ["verify", "lead/c"];
    assert_eq!(world.ok(&verify)["other_files"], json!([]));
    world.write("lead/c/invitations/evil.json", "{}");
    world.write("lead/c/usb/\u{1b}.json", "{}");
    let others = json!(["invitations/evil.json", "usb/\u{1b}.json"]);
    assert_eq!(world.ok(&verify)["other_files"], others);
    for root in [
        "2.root.json",
        "root.json",
        "usb/1.root.json",
        "usb/2.ROOT.json",
        "requests/root.json",
    ] {
        world.carry("lead/c/1.root.json", &format!("lead/c/{root}"));
        says(&world.refused("refused", &verify), &[root, "take it away"]);
        fs::remove_file(world.path(&format!("lead/c/{root}"))).unwrap();
    }
    assert_eq!(world.ok(&verify)["other_files"], others);
    std::os::unix::fs::symlink("1.root.json", world.path("lead/c/9.root.json")).unwrap();
    world.refused("refused", &verify);
}

/// A seal that was interrupted leaves the root before the line that names it.
#[test]
fn a_root_that_is_not_sealed_yet() {
    let world = World::with_files();
    world.plan("c", &world.profile(2, &["anna", "ben"]), &[]);
    world.make_keys("c");
    world.review("c");
    world.write("lead/c/1.root.json", "{}");
    let verify = ["verify", "lead/c", "--unfinished"];
    assert_eq!(world.ok(&verify)["other_files"], json!(["1.root.json"]));
    world.write("lead/c/2.root.json", "{}");
    world.refused("refused", &verify);
}
