//! What a ceremony is refused for: each has an error with a name that says what to do.

use std::fs;

use countersign_signing::{Algorithm, KeyUri, Secrets};
use serde_json::Value;

use crate::common::{World, finish, refusal, says};

/// Planned by the lead, nothing else.
fn planned() -> World {
    let world = World::with_files();
    world.plan("c", &world.profile(2, &["anna", "ben"]), &[]);
    world
}

/// Every key is proved.
fn keyed() -> World {
    let world = planned();
    world.make_keys("c");
    world
}

/// Waiting for signatures.
fn reviewed() -> World {
    let world = keyed();
    world.review("c");
    world
}

#[test]
fn the_wrong_pin() {
    let mut world = World::with_tokens(&["anna", "ben", "release", "online"]);
    world.plan("c", &world.profile(2, &["anna", "ben"]), &[]);
    let (invitation, proof) = world.invite("c", "anna-root");
    let keygen = ["keygen", &*invitation, "--out", &proof];
    world.set("COUNTERSIGN_PIN", "111111");
    let message = world.refused("key", &keygen);
    says(
        &message,
        &[
            "anna",
            "refused the PIN",
            "COUNTERSIGN_PIN",
            "right one before trying",
        ],
    );
    assert!(!world.path(&proof).exists(), "a proof of nothing");
    world.set("COUNTERSIGN_PIN", crate::common::PIN);
    world.make_keys("c");
    world.review("c");

    world.carry("lead/c/requests/sign-root.json", "anna/r.json");
    let (confirm, uri) = (world.confirmation("c"), world.uri("anna", "root"));
    let sign = [
        "sign",
        "anna/r.json",
        "--key",
        &*uri,
        "--out",
        "anna/s.json",
        "--confirm",
        &confirm,
    ];
    world.set("COUNTERSIGN_PIN", "111111");
    says(&world.refused("key", &sign), &["refused the PIN"]);
    assert!(!world.path("anna/s.json").exists());
    world.set("COUNTERSIGN_PIN", crate::common::PIN);
    // A token that was pulled out says so; with it back the same command works.
    fs::rename(world.path("tokens"), world.path("pocket")).unwrap();
    fs::create_dir(world.path("tokens")).unwrap();
    says(&world.refused("key", &sign), &["no token matches", "anna"]);
    fs::remove_dir(world.path("tokens")).unwrap();
    fs::rename(world.path("pocket"), world.path("tokens")).unwrap();
    world.ok(&sign);
    world.ok(&["merge", "lead/c", "anna/s.json"]);
    world.sign_and_merge("c", "ben", &["root"]);
    let seal = ["seal", "lead/c", "--key", &*uri];
    world.set("COUNTERSIGN_PIN", "111111");
    says(&world.refused("key", &seal), &["refused the PIN"]);
    assert!(
        world
            .lines("c")
            .iter()
            .all(|line| line["event"]["sealed"].is_null())
    );
    world.set("COUNTERSIGN_PIN", crate::common::PIN);
    world.ok(&seal);
    world.ok(&["verify", "lead/c"]);
}

#[test]
fn a_token_with_the_wrong_key() {
    let world = reviewed();
    world.carry("lead/c/requests/sign-root.json", "anna/r.json");
    let confirm = world.confirmation("c");
    let other = world.uri("release", "targets");
    let good = world.uri("anna", "root");
    // One right key does not make up for a wrong one: nothing is written.
    let sign = [
        "sign",
        "anna/r.json",
        "--key",
        &*good,
        "--key",
        &*other,
        "--out",
        "anna/s.json",
        "--confirm",
        &confirm,
    ];
    let message = world.refused("wrong-key", &sign);
    says(
        &message,
        &["is not asked for", "anna", "ben", "Is this the right token"],
    );
    assert!(!world.path("anna/s.json").exists());
    let message = world.refused(
        "key",
        &[
            "sign",
            "anna/r.json",
            "--key",
            "file:anna/none.pem",
            "--out",
            "anna/s.json",
            "--confirm",
            &confirm,
        ],
    );
    says(&message, &["anna/none.pem"]);

    world.sign_and_merge("c", "anna", &["root"]);
    world.sign_and_merge("c", "ben", &["root"]);
    let message = world.refused("wrong-key", &["seal", "lead/c", "--key", &other]);
    says(
        &message,
        &["no root key of this ceremony", "a participant who signed"],
    );
}

#[test]
fn only_those_who_signed_vouch_for_the_transcript() {
    let world = World::with_files();
    world.plan("c", &world.profile(2, &["anna", "ben", "chris"]), &[]);
    world.make_keys("c");
    world.review("c");
    world.sign_and_merge("c", "anna", &["root"]);
    world.sign_and_merge("c", "ben", &["root"]);
    let chris = world.uri("chris", "root");
    let message = world.refused("wrong-key", &["seal", "lead/c", "--key", &chris]);
    says(
        &message,
        &["chris", "has not signed", "a participant who signed"],
    );
    world.seal("c", "ben", "root");
}

#[test]
fn a_key_of_the_wrong_kind() {
    let world = planned();
    let (invitation, proof) = world.invite("c", "anna-root");
    let keygen = ["keygen", &*invitation, "--out", &proof];
    let other = [&keygen[..], &["--algorithm", "ecdsa-p256"]].concat();
    let message = world.refused("usage", &other);
    says(&message, &["ed25519", "ecdsa-p256", "plan again"]);
    assert!(
        !world.path("anna/root.pem").exists(),
        "a key that nobody can use"
    );
    let uri: KeyUri = "file:p256.pem?encryption=none".parse().unwrap();
    let secrets = Secrets::unattended(world.path("anna"));
    countersign_signing::generate(&uri, Algorithm::EcdsaP256, &secrets).unwrap();
    let uri = "file:anna/p256.pem";
    let message = world.refused(
        "refused",
        &["prove", &invitation, "--key", uri, "--out", &proof],
    );
    says(&message, &["ed25519", "ecdsa", "plan again"]);
    assert!(!world.path(&proof).exists());
}

#[test]
fn a_missing_holder() {
    let world = planned();
    let (invitation, proof) = world.invite("c", "ben-root");
    for place in world
        .invited("c")
        .iter()
        .filter(|place| *place != "ben-root")
    {
        let (invitation, proof) = world.invite("c", place);
        world.ok(&["keygen", &invitation, "--out", &proof]);
        world.ok(&["merge", "lead/c", &proof]);
    }
    let message = world.refused("phase", &["review", "lead/c", "--show"]);
    says(&message, &["root/ben", "'merge'", "plan again"]);
    let status = world.ok(&["status", "lead/c"]);
    assert_eq!(status["unproved"][0], "root/ben");
    world.ok(&["keygen", &invitation, "--out", &proof]);
    world.ok(&["merge", "lead/c", &proof]);
    world.review("c");
    world.sign_and_merge("c", "anna", &["root"]);
    let uri = world.uri("anna", "root");
    let message = refusal(
        world.command(&["seal", "lead/c", "--key", &uri]),
        "signatures-missing",
    );
    says(&message, &["ben", "1 of 2", "'merge'"]);
}

#[test]
fn a_profile_that_breaks_policy() {
    let world = World::with_files();
    let profile = world.profile(1, &["anna", "ben"]);
    world.write("lead/profile.toml", &profile);
    let plan = ["plan", "lead/profile.toml", "--out", "lead/c"];
    let message = world.refused("policy", &plan);
    says(
        &message,
        &[
            "root-threshold-low",
            "use a threshold of 2",
            "--accept root-threshold-low=",
        ],
    );
    assert!(!world.path("lead/c").exists());
    for reason in [
        "root-threshold-low",
        "root-threshold-low=",
        "root-threshold-low= ",
    ] {
        let empty = [&plan[..], &["--accept", reason]].concat();
        says(&world.refused("usage", &empty), &["no reason"]);
    }
    let forged = "root-threshold-low=fine\n  accepted by: everybody";
    let message = world.refused("usage", &[&plan[..], &["--accept", forged]].concat());
    says(&message, &["one line"]);
    world.plan(
        "c",
        &profile,
        &["--accept", "root-threshold-low=a rehearsal"],
    );
    assert_eq!(
        world.lines("c")[0]["event"]["planned"]["accepted"][0]["reason"],
        "a rehearsal"
    );

    world.write("lead/profile.toml", world.profile(3, &["anna", "ben"]));
    let message = world.refused("profile", &["plan", "lead/profile.toml", "--out", "lead/d"]);
    says(&message, &["threshold is 3", "2 keys", "add keys or lower"]);
    // More seals than people: the ceremony could never end.
    let profile = profile.replace(
        "threshold = 1\nexpires = \"365d\"",
        "threshold = 2\nexpires = \"365d\"",
    );
    let seals = format!("{profile}\n[policy]\nseal_signatures = 3\n");
    let seals = seals.replace(
        "[[policy.accept]]\nfinding = \"key-in-file\"\nreason = \"a test\"\n",
        "",
    );
    world.write("lead/profile.toml", seals);
    let message = world.refused("profile", &["plan", "lead/profile.toml", "--out", "lead/d"]);
    says(&message, &["seal_signatures is 3", "2 "]);
}

#[test]
fn the_clock_of_a_holder() {
    let world = planned();
    let (invitation, proof) = world.invite("c", "anna-root");
    let keygen = ["keygen", &*invitation, "--out", &*proof];
    let message = refusal(world.command_at("-1h", &keygen), "clock");
    says(
        &message,
        &["the clocks disagree", "600 seconds", "run that step again"],
    );
    assert!(!world.path("anna/root.pem").exists() && !world.path(&proof).exists());
    // An hour ahead, only the lead can see it.
    finish(world.command_at("+1h", &keygen), 0);
    let message = world.refused("clock", &["merge", "lead/c", &proof]);
    says(
        &message,
        &["the machine of anna", "Set the wrong clock right"],
    );
    assert_eq!(world.lines("c").len(), 1);
    let uri = world.uri("anna", "root");
    world.ok(&["prove", &invitation, "--key", &uri, "--out", &proof]);
    world.ok(&["merge", "lead/c", &proof]);
    world.make_keys_but("c", "anna-root");
    world.review("c");

    world.carry("lead/c/requests/sign-root.json", "anna/r.json");
    let confirm = world.confirmation("c");
    let sign = [
        "sign",
        "anna/r.json",
        "--key",
        &*uri,
        "--out",
        "anna/s.json",
        "--confirm",
        &confirm,
    ];
    says(
        &refusal(world.command_at("-1h", &sign), "clock"),
        &["the lead's machine"],
    );
    assert!(!world.path("anna/s.json").exists());
    finish(world.command_at("+1h", &sign), 0);
    let message = world.refused("clock", &["merge", "lead/c", "anna/s.json"]);
    says(&message, &["the machine of anna"]);
    world.ok(&sign);
    world.ok(&["merge", "lead/c", "anna/s.json"]);
}

#[test]
fn the_clock_of_the_lead_going_back() {
    let world = planned();
    let (invitation, proof) = world.invite("c", "anna-root");
    world.ok(&["keygen", &invitation, "--out", &proof]);
    let before = world.text("lead/c/transcript.jsonl");
    let message = refusal(
        world.command_at("-1h", &["merge", "lead/c", &proof]),
        "clock",
    );
    says(&message, &["Set the wrong clock right"]);
    assert_eq!(world.text("lead/c/transcript.jsonl"), before);
    world.ok(&["merge", "lead/c", &proof]);
    world.make_keys_but("c", "anna-root");
    let confirm = world.confirmation("c");
    let review = ["review", "lead/c", "--confirm", &*confirm];
    refusal(world.command_at("-1h", &review), "clock");
    world.ok(&review);
}

#[test]
fn a_review_that_comes_after_the_new_root_has_expired() {
    let world = keyed();
    let confirm = world.confirmation("c");
    let review = ["review", "lead/c", "--confirm", &*confirm];
    let message = refusal(world.command_at("+366d", &review), "policy");
    says(&message, &["root-expired", "plan again"]);
}

#[test]
fn an_old_root_underneath() {
    let world = World::with_files();
    world.first_ceremony("c1", 2, &["anna", "ben"], &["anna", "ben"]);
    world.rotate("c1", "c2", "scheduled", &["--threshold", "targets=1"]);
    world.review("c2");
    world.sign_and_merge("c2", "anna", &["root"]);
    world.sign_and_merge("c2", "ben", &["root"]);
    world.seal("c2", "anna", "root");
    // The repository has moved on to version 2.
    world.carry("lead/c2/2.root.json", "repo/published/metadata/root.json");
    world.carry("lead/c2/2.root.json", "anna/newest.json");

    let old = |message: &str| {
        says(
            message,
            &["version 1", "version 2", "Plan again from the newest root"],
        )
    };
    let rotate = [
        "rotate",
        "lead/c1",
        "--out",
        "lead/c3",
        "--why",
        "scheduled",
        "--accept",
        "key-in-file=a test",
    ];
    let checked = [&rotate[..], &["--repo", "repo"]].concat();
    old(&world.refused("old-root", &checked));
    assert!(
        !world.path("lead/c3").exists(),
        "a ceremony that nobody can finish"
    );
    world.ok(&[&rotate[..], &["--profile-only", "lead/next.toml"]].concat());
    let plan = [
        "plan",
        "lead/next.toml",
        "--previous",
        "lead/c1/1.root.json",
        "--accept",
        "key-in-file=a test",
        "--out",
        "lead/c3",
    ];
    old(&world.refused("old-root", &[&plan[..], &["--repo", "repo"]].concat()));
    assert!(!world.path("lead/c3").exists());

    world.ok(&plan);
    let confirm = world.confirmation("c3");
    let review = ["review", "lead/c3", "--confirm", &*confirm];
    old(&world.refused("old-root", &[&review[..], &["--repo", "repo"]].concat()));
    world.ok(&review);
    world.carry("lead/c3/requests/sign-root.json", "anna/r.json");
    let uri = world.uri("anna", "root");
    let sign = [
        "sign",
        "anna/r.json",
        "--key",
        &*uri,
        "--out",
        "anna/s.json",
        "--confirm",
        &confirm,
    ];
    for known in ["anna/newest.json", "repo"] {
        old(&world.refused(
            "old-root",
            &[&sign[..], &["--trusted-root", known]].concat(),
        ));
    }
    assert!(!world.path("anna/s.json").exists());
    world.sign_and_merge("c3", "anna", &["root"]);
    world.sign_and_merge("c3", "ben", &["root"]);
    let seal = ["seal", "lead/c3", "--key", &*uri, "--repo", "repo"];
    old(&world.refused("old-root", &seal));
    assert!(!world.path("lead/c3/2.root.json").exists());
    // Where the repository is still at version 1, all is well.
    world.carry("lead/c1/1.root.json", "repo/published/metadata/root.json");
    world.ok(&seal);
}

#[test]
fn too_few_old_keys_are_left() {
    let world = World::with_files();
    world.first_ceremony("c1", 2, &["anna", "ben", "chris"], &["anna", "ben"]);
    let adds = ["anna", "ben"].map(|holder| format!("root/{holder}={}", world.uri(holder, "new")));
    let message = world.refused(
        "chain-ends",
        &[
            "rotate",
            "lead/c1",
            "--out",
            "lead/c2",
            "--why",
            "lost",
            "--accept",
            "key-in-file=a test",
            "--add",
            &adds[0],
            "--add",
            &adds[1],
        ],
    );
    says(
        &message,
        &["2 of the previous root's keys must sign", "outgoing"],
    );
    assert!(!world.path("lead/c2").exists());
}

#[test]
fn steps_out_of_order() {
    let world = planned();
    let uri = world.uri("anna", "root");
    says(
        &world.refused("phase", &["seal", "lead/c", "--key", &uri]),
        &["run 'review'"],
    );
    says(
        &world.refused("phase", &["verify", "lead/c"]),
        &["--unfinished"],
    );
    world.ok(&["verify", "lead/c", "--unfinished"]);
    // The same again is an interrupted run repeated.
    let plan = ["plan", "lead/profile.toml", "--out", "lead/c"];
    let before = world.read("lead/c/transcript.jsonl");
    world.ok(&plan);
    assert_eq!(world.read("lead/c/transcript.jsonl"), before);
    let other = [&plan[..], &["--accept", "key-in-file=another reason"]].concat();
    says(&world.refused("exists", &other), &["choose another name"]);
    says(
        &world.refused(
            "file",
            &["merge", "lead/c", "lead/c/invitations/anna-root.json"],
        ),
        &["goes to a holder"],
    );
    world.make_keys("c");
    says(&world.refused("exists", &plan), &["choose another name"]);
    says(
        &world.refused(
            "usage",
            &["merge", "lead/none", "lead/c-anna-root.proof.json"],
        ),
        &["plan"],
    );
    let twice = world.ok(&["merge", "lead/c", "lead/c-anna-root.proof.json"]);
    says(&twice["merged"].to_string(), &["had that already"]);
    world.review("c");
    world.sign_and_merge("c", "anna", &["root"]);
    world.sign_and_merge("c", "anna", &["root"]);
    assert_eq!(
        world.ok(&["status", "lead/c"])["signed"]
            .as_array()
            .unwrap()
            .len(),
        1
    );
    world.sign_and_merge("c", "ben", &["root"]);
    world.seal("c", "anna", "root");
    let before = world.read("lead/c/transcript.jsonl");
    let again = world.ok(&["seal", "lead/c", "lead/c-anna.seal.json"]);
    says(again["sealed_by"][0].as_str().unwrap(), &["anna"]);
    world.sign_and_merge("c", "anna", &["root"]);
    assert_eq!(world.read("lead/c/transcript.jsonl"), before);
}

#[test]
fn answers_of_another_ceremony() {
    let world = reviewed();
    world.sign_and_merge("c", "anna", &["root"]);
    world.plan("d", &world.profile(2, &["anna", "ben"]), &[]);
    for place in world.invited("d") {
        let (invitation, proof) = world.invite("d", &place);
        // The same keys again: only the ceremony is another one.
        world.ok(&["prove", &invitation, "--out", &proof]);
        let old = format!("lead/c-{place}.proof.json");
        says(
            &world.refused("file", &["merge", "lead/d", &old]),
            &["another ceremony"],
        );
        world.ok(&["merge", "lead/d", &proof]);
        // Even where this key is known, the file is not this ceremony's.
        says(
            &world.refused("file", &["merge", "lead/d", &old]),
            &["another ceremony"],
        );
    }
    world.review("d");
    let old = "lead/c-anna.signed.json";
    says(
        &world.refused("file", &["merge", "lead/d", old]),
        &["another ceremony"],
    );
    world.sign_and_merge("d", "anna", &["root"]);
    says(
        &world.refused("file", &["merge", "lead/d", old]),
        &["another ceremony"],
    );
}

#[test]
fn nothing_is_overwritten() {
    let world = reviewed();
    world.write("anna/diary.txt", "dear diary");
    world.carry("lead/c/requests/sign-root.json", "anna/r.json");
    let confirm = world.confirmation("c");
    let sign = |holder: &str, out: &str| -> Vec<String> {
        let uri = world.uri(holder, "root");
        [
            "sign",
            "anna/r.json",
            "--key",
            &uri,
            "--out",
            out,
            "--confirm",
            &confirm,
        ]
        .map(str::to_owned)
        .into()
    };
    let words = |words: &[String]| -> Vec<String> { words.to_vec() };
    let refused = |line: Vec<String>| {
        let line: Vec<&str> = line.iter().map(String::as_str).collect();
        says(
            &world.refused("exists", &line),
            &["is not overwritten", "another name"],
        );
    };
    refused(sign("anna", "anna/diary.txt"));
    assert_eq!(world.text("anna/diary.txt"), "dear diary");
    refused(sign("anna", "anna/r.json"));
    let line = words(&sign("anna", "shared.json"));
    let line: Vec<&str> = line.iter().map(String::as_str).collect();
    world.ok(&line);
    // The same again is an interrupted run repeated; ben's would lose anna's.
    world.ok(&line);
    refused(sign("ben", "shared.json"));
    let kept: Value = serde_json::from_slice(&world.read("shared.json")).unwrap();
    assert_eq!(kept["signatures"].as_array().unwrap().len(), 1);

    let world = planned();
    let (invitation, _) = world.invite("c", "anna-root");
    let message = world.refused("exists", &["keygen", &invitation, "--out", &invitation]);
    says(&message, &["is not overwritten"]);
    assert!(
        !world.path("anna/root.pem").exists(),
        "a key without its proof"
    );
}

#[test]
fn a_plan_over_the_remains_of_another() {
    let world = World::with_files();
    world.first_ceremony("c1", 2, &["anna", "ben"], &["anna", "ben"]);
    // As a run leaves it that was killed before the first line.
    world.carry("lead/c1/1.root.json", "lead/c2/previous.root.json");
    world.write("lead/profile.toml", world.profile(2, &["anna", "ben"]));
    let message = world.refused("exists", &["plan", "lead/profile.toml", "--out", "lead/c2"]);
    says(&message, &["previous.root.json"]);
}

#[test]
fn two_processes_at_once() {
    let world = planned();
    let mut files = Vec::new();
    for place in world.invited("c") {
        let (invitation, proof) = world.invite("c", &place);
        world.ok(&["keygen", &invitation, "--out", &proof]);
        files.push(proof);
    }
    // Every process merges every file; those that find the folder locked say so and try again.
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                for file in &files {
                    loop {
                        let output = world.command(&["merge", "lead/c", file]).output().unwrap();
                        if output.status.success() {
                            break;
                        }
                        let object: Value = serde_json::from_slice(&output.stdout).unwrap();
                        says(
                            object["message"].as_str().unwrap(),
                            &["another key-ceremony", "wait"],
                        );
                    }
                }
            });
        }
    });
    assert_eq!(world.lines("c").len(), 1 + files.len());
    world.ok(&["verify", "lead/c", "--unfinished"]);
    world.review("c");
}

#[test]
fn nobody_at_a_terminal_confirms_nothing() {
    let world = keyed();
    let confirm = world.confirmation("c");
    let message = world.refused("not-confirmed", &["review", "lead/c"]);
    says(&message, &["nobody is at a terminal", &confirm]);
    for wrong in ["", "y", "yes", "root 1", &confirm[..confirm.len() - 1]] {
        let message = world.refused("not-confirmed", &["review", "lead/c", "--confirm", wrong]);
        says(&message, &["nothing was signed or recorded", &confirm]);
    }
    assert!(
        world
            .lines("c")
            .iter()
            .all(|line| line["event"]["reviewed"].is_null())
    );
    assert!(!world.path("lead/c/requests").exists());
    world.review("c");
    world.carry("lead/c/requests/sign-root.json", "anna/r.json");
    let uri = world.uri("anna", "root");
    let sign = [
        "sign",
        "anna/r.json",
        "--key",
        &*uri,
        "--out",
        "anna/s.json",
    ];
    world.refused("not-confirmed", &sign);
    world.refused("not-confirmed", &[&sign[..], &["--confirm", "y"]].concat());
    assert!(!world.path("anna/s.json").exists());
}
