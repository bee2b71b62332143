//! Whole ceremonies, with a token for each holder and a folder for each machine.

use countersign_metadata::{Role as _, RoleType, Root, Signed, Verified};
use serde_json::Value;

use crate::common::{World, finish, says};

/// Reads a chain of Roots as a client does (TUF 5.3): each by its own keys and those before it.
pub(crate) fn follow(chain: &[Vec<u8>]) -> Verified<Root> {
    let mut trusted: Option<Verified<Root>> = None;
    for bytes in chain {
        let signed = Signed::<Root>::parse(bytes.clone()).expect("well-formed");
        let next = match &trusted {
            None => signed.verify_by_itself(),
            Some(trusted) => trusted.verify_next(signed),
        };
        trusted = Some(next.expect("follows"));
    }
    trusted.expect("not empty")
}

/// Whoever gains, loses or keeps a key has a name, in every role.
fn everybody_is_named(diff: &Value) {
    let mut keys = 0;
    for role in diff["roles"].as_array().expect("roles") {
        for side in ["gains", "loses", "stays"] {
            for key in role[side].as_array().expect("keys") {
                assert!(key["holder"].is_string(), "{role}");
                keys += 1;
            }
        }
    }
    assert!(keys >= 7);
}

#[test]
fn a_root_of_two_of_three_in_tokens_and_a_lost_one() {
    let world = World::with_tokens(&["anna", "ben", "chris", "release", "online", "dora"]);
    world.plan("c1", &world.profile(2, &["anna", "ben", "chris"]), &[]);
    world.make_keys("c1");
    world.review("c1");

    world.sign_and_merge("c1", "anna", &["root"]);
    let uri = world.uri("anna", "root");
    let early = finish(world.command(&["seal", "lead/c1", "--key", &uri]), 3);
    assert_eq!(early["name"], "signatures-missing");
    let message = early["message"].as_str().unwrap();
    says(message, &["ben", "chris", "1 of 2", "'merge'"]);
    assert!(!world.path("lead/c1/1.root.json").exists());

    world.sign_and_merge("c1", "ben", &["root"]);
    world.seal("c1", "anna", "root");
    let found = world.ok(&["verify", "lead/c1"]);
    assert_eq!(found["phase"], "sealed");
    assert_eq!(found["lines"], 1 + 5 + 1 + 1 + 2 + 1);
    assert_eq!(found["signed_by"].as_array().unwrap().len(), 2);
    assert!(found["sealed_by"][0].as_str().unwrap().starts_with("anna"));

    world.rotate(
        "c1",
        "c2",
        "lost",
        &[
            "--remove",
            "root/chris",
            "--add",
            "root/dora=pkcs11:token=dora;object=root",
            "--holder",
            "dora=Dora Diaz",
        ],
    );
    assert_eq!(world.invited("c2"), ["dora-root"]);
    world.make_keys("c2");
    world.review("c2");
    let shown = world.ok(&["sign", "lead/c2/requests/sign-root.json", "--show"]);
    everybody_is_named(&shown["diff"]);
    let loses = &shown["diff"]["roles"][0]["loses"];
    assert_eq!(loses[0]["holder"], "chris");
    world.sign_and_merge("c2", "anna", &["root"]);
    // Dora's signature counts for the new root alone, not for the old one.
    world.sign_and_merge("c2", "dora", &["root"]);
    let early = finish(world.command(&["seal", "lead/c2", "--key", &uri]), 3);
    let message = early["message"].as_str().unwrap();
    says(message, &["ben", "1 of 2"]);
    world.sign_and_merge("c2", "ben", &["root"]);
    world.seal("c2", "dora", "root");
    world.ok(&["verify", "lead/c2", "--previous", "lead/c1/1.root.json"]);
    let last = follow(&[
        world.read("lead/c1/1.root.json"),
        world.read("lead/c2/2.root.json"),
    ]);
    assert_eq!(last.content().version(), 2);
}

#[test]
fn a_chain_through_every_kind_of_rotation() {
    let world = World::with_files();
    world.first_ceremony("c1", 2, &["anna", "ben", "chris"], &["anna", "ben"]);

    // Scheduled: every root key is new; old and new ones sign.
    let renewed: Vec<String> = ["anna", "ben", "chris"]
        .map(|holder| format!("root/{holder}={}", world.uri(holder, "root-2")))
        .into();
    let words: Vec<&str> = renewed.iter().flat_map(|add| ["--add", add]).collect();
    world.rotate("c1", "c2", "scheduled", &words);
    world.make_keys("c2");
    let shown = world.ok(&["review", "lead/c2", "--show"]);
    let findings = shown["findings"].to_string();
    says(&findings, &["all-root-keys-replaced"]);
    assert_eq!(
        shown["diff"]["roles"][0]["loses"].as_array().unwrap().len(),
        3
    );
    world.review("c2");
    world.sign_and_merge("c2", "anna", &["root", "root-2"]);
    world.sign_and_merge("c2", "ben", &["root-2"]);
    let key = world.uri("anna", "root-2");
    let early = finish(world.command(&["seal", "lead/c2", "--key", &key]), 3);
    says(early["message"].as_str().unwrap(), &["1 of 2"]);
    world.sign_and_merge("c2", "chris", &["root"]);
    world.seal("c2", "anna", "root-2");

    // Compromised: the keys of the publishing server.
    let adds = ["snapshot", "timestamp"].map(|role| {
        format!(
            "{role}/online={}",
            world.uri("online", &format!("{role}-3"))
        )
    });
    world.rotate(
        "c2",
        "c3",
        "compromised",
        &["--add", &adds[0], "--add", &adds[1]],
    );
    assert_eq!(world.invited("c3"), ["online-snapshot", "online-timestamp"]);
    world.make_keys("c3");
    world.review("c3");
    let shown = world.ok(&["sign", "lead/c3/requests/sign-root.json", "--show"]);
    everybody_is_named(&shown["diff"]);
    let mut roles = shown["diff"]["roles"].as_array().expect("roles").iter();
    let timestamp = roles.find(|role| role["role"] == "timestamp");
    let timestamp = timestamp.expect("listed");
    assert_eq!(timestamp["gains"].as_array().map(Vec::len), Some(1));
    assert_eq!(timestamp["loses"][0]["holder"], "online");
    world.sign_and_merge("c3", "ben", &["root-2"]);
    world.sign_and_merge("c3", "chris", &["root-2"]);
    world.seal("c3", "chris", "root-2");

    // Another threshold, no new key at all.
    world.rotate("c3", "c4", "scheduled", &["--threshold", "root=3"]);
    assert_eq!(world.invited("c4"), [""; 0]);
    world.review("c4");
    for holder in ["anna", "ben", "chris"] {
        world.sign_and_merge("c4", holder, &["root-2"]);
    }
    world.seal("c4", "ben", "root-2");

    let names = ["c1/1", "c2/2", "c3/3", "c4/4"].map(|name| format!("lead/{name}.root.json"));
    let chain = names.each_ref().map(|name| world.read(name));
    let last = follow(&chain);
    assert_eq!(last.content().version(), 4);
    assert_eq!(last.content().roles[&RoleType::Root].threshold, 3);
    for (number, name) in (2..).zip(["c2", "c3", "c4"]) {
        let folder = format!("lead/{name}");
        let before = &names[number - 2];
        world.ok(&["verify", &folder, "--previous", before]);
        let message = world.refused(
            "transcript",
            &["verify", &folder, "--previous", &names[number - 1]],
        );
        says(&message, &["line 1 ", "not the root that you say"]);
    }
    // The client that knows only version 2 goes on from there.
    follow(&chain[1..]);
}
