//! Files from strangers in place of invitations, proofs, requests and signatures.

use std::fs;

use serde_json::{Value, json};

use crate::common::{World, says};

fn reviewed() -> World {
    let world = World::with_files();
    world.plan("c", &world.profile(2, &["anna", "ben"]), &[]);
    world.make_keys("c");
    world.review("c");
    world.carry("lead/c/requests/sign-root.json", "anna/r.json");
    world
}

#[test]
fn files_that_are_no_files_of_a_ceremony() {
    let world = reviewed();
    let honest = world.text("anna/r.json");
    let format = "\"format\": \"countersign-ceremony-request-1\"";
    let twice = honest.replacen(format, &format!("{format},{format}"), 1);
    assert_ne!(twice, honest);
    world.write("empty", "");
    world.write("twice", twice);
    world.write("unknown", honest.replacen('{', "{\"surprise\":1,", 1));
    world.write("next", honest.replace("request-1", "request-2"));
    world.write("behind", format!("{honest}{honest}"));
    world.write("deep", "[".repeat(1 << 20));
    world.write(
        "deep-member",
        format!("{{\"format\":{}", "{\"a\":".repeat(100_000)),
    );
    world.write("bytes", [0xff, 0xfe, b'{', b'}']);
    world.write(
        "wrong-bytes",
        honest
            .as_bytes()
            .iter()
            .map(|b| b | 0x80)
            .collect::<Vec<_>>(),
    );
    world.write(
        "number",
        honest.replacen("\"clock_tolerance\": 600", "\"clock_tolerance\": 6e2", 1),
    );
    fs::File::create(world.path("huge"))
        .unwrap()
        .set_len(100 << 20)
        .unwrap();
    fs::create_dir(world.path("folder")).unwrap();
    std::os::unix::fs::symlink("/dev/zero", world.path("endless")).unwrap();
    let mode = rustix::fs::Mode::RUSR | rustix::fs::Mode::WUSR;
    let fifo = world.path("fifo");
    rustix::fs::mknodat(rustix::fs::CWD, &fifo, rustix::fs::FileType::Fifo, mode, 0).unwrap();
    for name in [
        "empty",
        "twice",
        "unknown",
        "next",
        "behind",
        "deep",
        "deep-member",
        "bytes",
        "wrong-bytes",
        "number",
        "huge",
        "folder",
        "endless",
        "fifo",
    ] {
        for words in [
            &["merge", "lead/c", name][..],
            &["sign", name, "--show"],
            &["keygen", name, "--out", "anna/p.json"],
        ] {
            says(&world.refused("file", words), &[name]);
        }
    }
    std::os::unix::fs::symlink("loop", world.path("loop")).unwrap();
    world.refused("io", &["merge", "lead/c", "loop"]);
    assert!(!world.path("anna/p.json").exists());
    assert_eq!(world.ok(&["status", "lead/c"])["phase"], "reviewed");
}

#[test]
fn a_transcript_that_is_no_file() {
    let world = reviewed();
    let transcript = world.path("lead/c/transcript.jsonl");
    let honest = fs::read(&transcript).unwrap();
    fs::remove_file(&transcript).unwrap();
    fs::create_dir(&transcript).unwrap();
    world.refused("io", &["status", "lead/c"]);
    world.refused("file", &["verify", "lead/c"]);
    fs::remove_dir(&transcript).unwrap();
    let mode = rustix::fs::Mode::RUSR | rustix::fs::Mode::WUSR;
    let kind = rustix::fs::FileType::Fifo;
    rustix::fs::mknodat(rustix::fs::CWD, &transcript, kind, mode, 0).unwrap();
    world.refused("file", &["status", "lead/c"]);
    world.refused("file", &["verify", "lead/c"]);
    fs::remove_file(&transcript).unwrap();
    fs::File::create(&transcript)
        .unwrap()
        .set_len(100 << 20)
        .unwrap();
    world.refused("file", &["status", "lead/c"]);
    world.refused("file", &["verify", "lead/c"]);
    let deep = format!("{}\n", "[".repeat(1 << 20));
    for bytes in [deep.as_bytes(), b"\xff\xfe\n", b"{}\n", b"null\n", b"\n"] {
        fs::write(&transcript, bytes).unwrap();
        let message = world.refused("transcript", &["verify", "lead/c", "--unfinished"]);
        says(&message, &["line 1 "]);
    }
    fs::write(&transcript, honest).unwrap();
    world.ok(&["verify", "lead/c", "--unfinished"]);
}

/// Changes the request on Anna's machine.
fn change(world: &World, change: impl FnOnce(&mut Value)) {
    let mut request: Value =
        serde_json::from_slice(&world.read("lead/c/requests/sign-root.json")).unwrap();
    change(&mut request);
    world.write("anna/r.json", request.to_string());
}

#[test]
fn a_request_cannot_forge_what_its_reader_sees() {
    let world = reviewed();
    for forged in [
        "harmless\u{1b}[2J\u{1b}[H",
        "harmless\nfingerprint: abandon ability able",
        "harmless\rroot 1",
        "harmless \u{202e}reversed",
        "harmless\u{200b}",
        "harmless\u{9b}2J",
    ] {
        let places: [fn(&mut Value, &str); 4] = [
            |request, text| request["name"] = json!(text),
            |request, text| {
                let holders = request["holders"].as_object_mut().unwrap();
                holders.values_mut().for_each(|name| *name = json!(text));
            },
            |request, text| request["accepted"] = json!([{"finding": "a", "reason": text}]),
            |request, text| {
                request["findings"] = json!([
                    {"name": "a", "weight": "warn", "subject": "root", "text": text, "source": "b"}
                ]);
            },
        ];
        for place in places {
            change(&world, |request| place(request, forged));
            says(
                &world.refused("file", &["sign", "anna/r.json", "--show"]),
                &["control"],
            );
        }
    }
}

#[test]
fn a_request_that_contradicts_itself() {
    let world = reviewed();
    let show = ["sign", "anna/r.json", "--show"];
    let replace = |from: &str, to: &str| {
        let (from, to) = (from.to_owned(), to.to_owned());
        change(&world, |request| {
            let payload = request["payload"].as_str().unwrap();
            assert!(payload.contains(&from), "{payload}");
            request["payload"] = json!(payload.replacen(&from, &to, 1));
        });
    };
    replace("\"version\":1", "\"version\":2");
    says(&world.refused("file", &show), &["does not follow"]);
    replace(",", ", ");
    says(&world.refused("file", &show), &["canonical"]);
    replace("\"_type\":\"root\"", "\"_type\":\"timestamp\"");
    world.refused("file", &show);
    change(&world, |request| request["payload"] = json!("{}"));
    world.refused("file", &show);
    change(&world, |request| request["previous"] = json!("{}"));
    world.refused("refused", &show);
}

#[test]
fn findings_are_the_holders_own() {
    let world = World::with_files();
    world.first_ceremony("c1", 2, &["anna", "ben"], &["anna", "ben"]);
    let add = format!("snapshot/online={}", world.uri("online", "new"));
    world.rotate("c1", "c", "compromised", &["--add", &add]);
    world.make_keys("c");
    let confirm = world.confirmation("c");
    let review = ["review", "lead/c", "--confirm", &*confirm];
    let message = world.refused("policy", &review);
    says(
        &message,
        &[
            "snapshot-without-timestamp",
            "replace a timestamp key as well",
        ],
    );
    world.ok(&[
        &review[..],
        &["--accept", "snapshot-without-timestamp=forced"],
    ]
    .concat());
    // A lead who leaves the findings out of the request hides nothing.
    change(&world, |request| {
        request["findings"] = json!([]);
        request["accepted"] = json!([]);
    });
    let shown = world.ok(&["sign", "anna/r.json", "--show"]);
    says(
        &shown["findings"].to_string(),
        &["snapshot-without-timestamp"],
    );
}
