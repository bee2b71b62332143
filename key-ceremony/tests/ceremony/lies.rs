//! What a lead, a holder or a stick says is not believed where it can be checked, and is shown where
//! it cannot.

use countersign_ceremony::statement::{SignedStatement, Statement};
use countersign_signing::Secrets;
use serde_json::{Value, json};

use crate::common::{World, finish, refusal, says};
use crate::tampering::rewrite;

/// A ceremony of two holders, reviewed, in `lead/c`.
fn reviewed() -> World {
    let world = World::with_files();
    world.plan("c", &world.profile(2, &["anna", "ben"]), &[]);
    world.make_keys("c");
    world.review("c");
    world
}

fn parsed(world: &World, file: &str) -> Value {
    serde_json::from_str(&world.text(file)).unwrap()
}

/// The request on Anna's machine, with another Root in it.
fn with_root(world: &World, change: impl FnOnce(&mut Value)) {
    let mut request = parsed(world, "lead/c/requests/sign-root.json");
    let mut root: Value = serde_json::from_str(request["payload"].as_str().unwrap()).unwrap();
    change(&mut root);
    // serde_json's maps are sorted, so this is the canonical form of such a Root.
    request["payload"] = json!(root.to_string());
    request["findings"] = json!([]);
    world.write("anna/r.json", request.to_string());
}

#[test]
fn an_invitation_names_no_file_for_a_private_key() {
    let world = World::with_files();
    world.plan("c", &world.profile(2, &["anna", "ben"]), &[]);
    let (invitation, proof) = world.invite("c", "anna-root");
    let keygen = ["keygen", &*invitation, "--out", &proof];
    let confirmed = [&keygen[..], &["--confirm", "root/anna"]].concat();
    let message = refusal(world.bare_command(&confirmed), "refused");
    says(
        &message,
        &["names a file for the private key", "--key file:PATH"],
    );
    for (name, what) in [
        ("module-path=/media/usb/x.so", "a library"),
        ("pin-source=file:/x", "PIN"),
    ] {
        let mut asked = parsed(&world, &invitation);
        asked["uri"] = json!(format!("pkcs11:token=anna;object=root?{name}"));
        world.write("anna/i.json", asked.to_string());
        let keygen = [
            "keygen",
            "anna/i.json",
            "--out",
            &proof,
            "--confirm",
            "root/anna",
        ];
        says(&refusal(world.bare_command(&keygen), "refused"), &[what]);
    }
    assert!(!world.path("anna/root.pem").exists() && !world.path(&proof).exists());
}

#[test]
fn no_key_is_made_before_its_holder_has_read_what_for() {
    let world = World::with_files();
    world.plan("c", &world.profile(2, &["anna", "ben"]), &[]);
    let (invitation, proof) = world.invite("c", "anna-root");
    let uri = world.uri("anna", "root");
    let keygen = ["keygen", &*invitation, "--key", &uri, "--out", &proof];
    let output = world.bare_command(&keygen).output().unwrap();
    let id = parsed(&world, &invitation)["ceremony"].to_string();
    let shown = String::from_utf8(output.stderr).unwrap();
    says(
        &shown,
        &[
            "Example Motors",
            id.trim_matches('"'),
            "asks anna",
            "of root",
            "key-in-file: a test",
        ],
    );
    for typed in ["y", "root/ben", ""] {
        let words = [&keygen[..], &["--confirm", typed]].concat();
        refusal(world.bare_command(&words), "not-confirmed");
    }
    assert!(!world.path("anna/root.pem").exists() && !world.path(&proof).exists());
}

#[test]
fn the_words_of_a_key_are_the_same_everywhere() {
    let world = World::with_files();
    world.plan("c", &world.profile(2, &["anna", "ben"]), &[]);
    world.make_keys_but("c", "anna-root");
    let (invitation, proof) = world.invite("c", "anna-root");
    let words = world.ok(&["keygen", &invitation, "--out", &proof])["words"].clone();
    assert_eq!(words.as_str().unwrap().split(' ').count(), 10);
    let merged = world.ok(&["merge", "lead/c", &proof]);
    assert_eq!(merged["words"]["root/anna"], words);
    world.review("c");
    let shown = world.ok(&["sign", "lead/c/requests/sign-root.json", "--show"]);
    let gains = shown["diff"]["roles"][0]["gains"].as_array().unwrap();
    assert!(
        gains
            .iter()
            .any(|key| key["words"] == words && key["holder"] == "anna")
    );
}

#[test]
fn a_root_with_more_in_it_than_can_be_shown() {
    let world = reviewed();
    let show = ["sign", "anna/r.json", "--show"];
    let changes: [fn(&mut Value); 6] = [
        |root| root["x-vendor"] = json!("anything"),
        |root| root["roles"]["mirrors"] = root["roles"]["timestamp"].clone(),
        |root| root["roles"]["root"]["x"] = json!(1),
        |root| {
            let public = "ab".repeat(32);
            root["keys"]["ff".repeat(32)] =
                json!({"keytype": "ed25519", "scheme": "ed25519", "keyval": {"public": public}});
        },
        |root| {
            let keys = root["keys"].as_object_mut().unwrap();
            keys.values_mut().for_each(|key| key["x"] = json!(1));
        },
        |root| root["spec_version"] = json!("1.0.99"),
    ];
    for change in changes {
        with_root(&world, change);
        says(
            &world.refused("file", &show),
            &["more of the root than can be shown", "do not sign"],
        );
    }
    with_root(&world, |root| root["consistent_snapshot"] = json!(false));
    assert_eq!(world.ok(&show)["diff"]["consistent_snapshot"], false);
    with_root(&world, |_| {});
    assert_eq!(world.ok(&show)["diff"]["consistent_snapshot"], true);
}

#[test]
fn a_weak_root_of_a_lead_who_says_nothing() {
    let world = reviewed();
    with_root(&world, |root| {
        root["expires"] = json!("2099-01-01T00:00:00Z");
        root["roles"]["root"]["threshold"] = json!(1);
        root["roles"]["timestamp"] = root["roles"]["root"].clone();
        let used: Vec<String> = ["root", "targets", "snapshot"]
            .iter()
            .flat_map(|role| root["roles"][role]["keyids"].as_array().unwrap().clone())
            .map(|id| id.as_str().unwrap().to_owned())
            .collect();
        root["keys"]
            .as_object_mut()
            .unwrap()
            .retain(|id, _| used.contains(id));
    });
    let shown = world.ok(&["sign", "anna/r.json", "--show"]);
    let found = shown["findings"].to_string();
    says(
        &found,
        &["root-threshold-low", "root-expiry-long", "shared-key"],
    );
    let (uri, confirm) = (
        world.uri("anna", "root"),
        shown["confirm"].as_str().unwrap(),
    );
    let sign = [
        "sign",
        "anna/r.json",
        "--key",
        &uri,
        "--out",
        "anna/s.json",
        "--confirm",
        confirm,
    ];
    says(&world.refused("policy", &sign), &["root-threshold-low"]);
    assert!(!world.path("anna/s.json").exists());
}

#[test]
fn a_warning_that_was_never_recorded() {
    let world = World::with_files();
    world.plan("forged", &world.profile(2, &["anna", "ben"]), &[]);
    let planned = world.lines("forged")[0]["event"]["planned"]["findings"].to_string();
    says(&planned, &["root-without-spare"]);
    let changes: [fn(&mut Value); 2] = [
        |findings| *findings = json!([]),
        |findings| findings[0]["weight"] = json!("note"),
    ];
    for change in changes {
        world.copy("lead/forged", "lead/honest");
        rewrite(&world, |lines| {
            change(&mut lines[0]["event"]["planned"]["findings"])
        });
        for words in [
            &["verify", "lead/forged", "--unfinished"][..],
            &["status", "lead/forged"],
        ] {
            says(
                &world.refused("transcript", words),
                &["line 1 ", "those of the policy"],
            );
        }
        std::fs::remove_dir_all(world.path("lead/forged")).unwrap();
        world.copy("lead/honest", "lead/forged");
        std::fs::remove_dir_all(world.path("lead/honest")).unwrap();
    }
}

#[test]
fn a_lost_key_that_signs() {
    let world = World::with_files();
    world.first_ceremony("c1", 2, &["anna", "ben", "chris"], &["anna", "ben"]);
    let add = format!("root/dora={}", world.uri("dora", "root"));
    world.rotate(
        "c1",
        "c",
        "lost",
        &["--remove", "root/chris", "--add", &add],
    );
    world.make_keys("c");
    world.review("c");
    let planned = world.lines("c")[0]["event"]["planned"]["findings"].to_string();
    assert!(!planned.contains("holder-without-key"), "{planned}");
    let confirm = world.confirmation("c");
    let uri = world.uri("chris", "root");
    let sign = |request: &str| {
        [
            "sign",
            request,
            "--key",
            &uri,
            "--out",
            "chris/s.json",
            "--confirm",
            &confirm,
        ]
        .map(str::to_owned)
    };
    let honest = sign("lead/c/requests/sign-root.json");
    let message = world.refused("wrong-key", &honest.each_ref().map(|word| &**word));
    says(&message, &["is not asked for"]);
    // Whoever found it does not mind what the request says.
    let mut request = parsed(&world, "lead/c/requests/sign-root.json");
    let before: Value = serde_json::from_str(request["previous"].as_str().unwrap()).unwrap();
    for (id, key) in before["signed"]["keys"].as_object().unwrap() {
        request["keys"][id] = json!({"key": key, "uri": null});
    }
    world.write("chris/r.json", request.to_string());
    world.ok(&sign("chris/r.json").each_ref().map(|word| &**word));
    let message = world.refused("file", &["merge", "lead/c", "chris/s.json"]);
    says(&message, &["chris", "was not to sign", "somebody has it"]);
}

#[test]
fn what_travels_is_bounded() {
    let world = reviewed();
    let (invitation, proof) = world.invite("c", "anna-root");
    let long = "x".repeat(201);
    for (member, value) in [
        (
            "name",
            json!("Example Motors                     root 1, the first one"),
        ),
        ("name", json!(long)),
        ("who", json!("Anna    Arens")),
        ("ceremony", json!("the one of last year")),
        ("clock_tolerance", json!(4_294_967_295u32)),
        (
            "slot",
            json!({"role": "root", "holder": "anna (the real one)"}),
        ),
        ("slot", json!({"role": "everything", "holder": "anna"})),
        (
            "accepted",
            json!([{"finding": "anything", "reason": "why not"}]),
        ),
        ("algorithm", json!("ed25519, in pkcs11:token=mine")),
        ("uri", json!(format!("pkcs11:object={long}"))),
    ] {
        let mut asked = parsed(&world, &invitation);
        asked[member] = value.clone();
        world.write("anna/i.json", asked.to_string());
        let message = world.refused("file", &["prove", "anna/i.json", "--out", &proof]);
        says(&message, &["anna/i.json"]);
        if asked.get("payload").is_none()
            && ["name", "ceremony", "clock_tolerance"].contains(&member)
        {
            let mut request = parsed(&world, "lead/c/requests/sign-root.json");
            request[member] = value;
            world.write("anna/r.json", request.to_string());
            world.refused("file", &["sign", "anna/r.json", "--show"]);
        }
    }
}

#[test]
fn custody_that_contradicts_itself() {
    let world = World::with_files();
    world.plan("c", &world.profile(2, &["anna", "ben"]), &[]);
    let (invitation, proof) = world.invite("c", "anna-root");
    world.ok(&["keygen", &invitation, "--out", &proof]);
    let uri = world.uri("anna", "root").parse().unwrap();
    let secrets = Secrets::unattended(world.path(""));
    let signer = countersign_signing::open(&uri, &secrets).unwrap();
    for (kind, weaknesses) in [
        ("file", vec![]),
        ("token", vec!["key-in-file".to_owned()]),
        ("token", vec!["key-is-fine".to_owned()]),
        ("vault", vec![]),
    ] {
        let mut file = parsed(&world, &proof);
        let made: SignedStatement = serde_json::from_value(file["proof"].clone()).unwrap();
        let mut statement = made.statement;
        if let Statement::Possession { custody, .. } = &mut statement {
            custody.kind = kind.into();
            custody.weaknesses = weaknesses;
        }
        file["proof"] = serde_json::to_value(statement.sign(&*signer).unwrap()).unwrap();
        world.write("anna/lie.json", file.to_string());
        let message = world.refused("file", &["merge", "lead/c", "anna/lie.json"]);
        says(&message, &["contradicts itself", kind]);
    }
    world.ok(&["merge", "lead/c", &proof]);
}

#[test]
fn what_is_accepted_has_a_name_and_was_found() {
    let world = World::with_files();
    let profile = world.profile(2, &["anna", "ben"]);
    world.write("lead/profile.toml", &profile);
    let plan = [
        "plan",
        "lead/profile.toml",
        "--out",
        "lead/d",
        "--accept",
        "key-extractabel=typo",
    ];
    says(
        &world.refused("usage", &plan),
        &["key-extractabel", "key-extractable"],
    );
    world.plan("c", &profile, &[]);
    let (invitation, proof) = world.invite("c", "anna-root");
    world.ok(&["keygen", &invitation, "--out", &proof]);
    let merged = world.ok(&["merge", "lead/c", &proof, "--accept", "shared-key=in case"]);
    says(
        &merged["merged"].to_string(),
        &["nothing here needed --accept shared-key"],
    );
    assert_eq!(
        world.lines("c")[1]["event"]["proved"]["accepted"],
        json!([])
    );
    world.make_keys_but("c", "anna-root");
    let confirm = world.confirmation("c");
    let review = [
        "review",
        "lead/c",
        "--confirm",
        &confirm,
        "--accept",
        "shared-key=in case",
    ];
    says(
        &world.refused("refused", &review),
        &["shared-key, which was not found"],
    );
}

#[test]
fn seals_for_another_transcript() {
    let world = reviewed();
    world.sign_and_merge("c", "anna", &["root"]);
    world.sign_and_merge("c", "ben", &["root"]);
    let (anna, ben) = (
        world.seal_file("c", "anna", "root"),
        world.seal_file("c", "ben", "root"),
    );
    // The profile wants one: of more, some could be left out later.
    let message = world.refused("refused", &["seal", "lead/c", &anna, &ben]);
    says(&message, &["wants 1", "here are 2"]);
    let merged = world.refused("file", &["merge", "lead/c", &anna]);
    says(&merged, &["'key-ceremony seal'"]);
    // A line that was changed on the way.
    let mut request = parsed(&world, "lead/c/requests/seal.json");
    let transcript = request["transcript"].as_str().unwrap();
    request["transcript"] = json!(transcript.replacen("ben of", "eve of", 1));
    world.write("anna/changed.json", request.to_string());
    let message = world.refused("transcript", &["sign", "anna/changed.json", "--show"]);
    says(&message, &["line 1 "]);
    // Another ceremony with the same people.
    world.plan("d", &world.profile(2, &["anna", "ben"]), &[]);
    for place in world.invited("d") {
        let (invitation, proof) = world.invite("d", &place);
        world.ok(&["prove", &invitation, "--out", &proof]);
        world.ok(&["merge", "lead/d", &proof]);
    }
    world.review("d");
    world.sign_and_merge("d", "anna", &["root"]);
    world.sign_and_merge("d", "ben", &["root"]);
    finish(world.command(&["seal", "lead/d"]), 3);
    says(
        &world.refused("refused", &["seal", "lead/d", &anna]),
        &["another ceremony"],
    );
    world.ok(&["seal", "lead/c", &ben]);
    assert!(!world.path("lead/c/requests/seal.json").exists());
    // The lead is a participant too.
    let uri = world.uri("anna", "root");
    world.ok(&["seal", "lead/d", "--key", &uri]);
    world.ok(&["verify", "lead/d"]);
}

#[test]
fn a_seal_is_over_everything_before_it() {
    let world = World::with_files();
    world.plan("c", &world.profile(2, &["anna", "ben", "chris"]), &[]);
    world.make_keys("c");
    world.review("c");
    world.sign_and_merge("c", "anna", &["root"]);
    world.sign_and_merge("c", "ben", &["root"]);
    let anna = world.seal_file("c", "anna", "root");
    world.sign_and_merge("c", "chris", &["root"]);
    let message = world.refused("refused", &["seal", "lead/c", &anna]);
    says(&message, &["another state of the transcript", "ask for"]);
    world.seal("c", "anna", "root");
}

#[test]
fn a_seal_file_of_somebody_else_is_kept() {
    let world = reviewed();
    world.sign_and_merge("c", "anna", &["root"]);
    world.sign_and_merge("c", "ben", &["root"]);
    world.seal_file("c", "anna", "root");
    let request = "lead/c/requests/seal.json";
    let confirm = world.ok(&["sign", request, "--show"])["confirm"].clone();
    let confirm = confirm.as_str().unwrap();
    let seal = |key: &str, out: &str| {
        [
            "sign",
            request,
            "--key",
            key,
            "--confirm",
            confirm,
            "--out",
            out,
        ]
        .map(str::to_owned)
    };
    let refused =
        |words: [String; 8]| world.refused("exists", &words.each_ref().map(|word| &**word));
    let before = world.read("anna/c.seal.json");
    refused(seal(&world.uri("ben", "root"), "anna/c.seal.json"));
    // The place is looked at before a key is used.
    refused(seal("file:nobody/none.pem", "anna/root.pem"));
    assert_eq!(world.read("anna/c.seal.json"), before);
}

#[test]
fn the_request_for_seals_follows_the_transcript() {
    let world = World::with_files();
    world.plan("c", &world.profile(2, &["anna", "ben", "chris"]), &[]);
    world.make_keys("c");
    world.review("c");
    world.sign_and_merge("c", "anna", &["root"]);
    let request = world.path("lead/c/requests/seal.json");
    assert!(!request.exists());
    world.sign_and_merge("c", "ben", &["root"]);
    let first = std::fs::read(&request).unwrap();
    world.ok(&["verify", "lead/c", "--unfinished"]);
    world.sign_and_merge("c", "chris", &["root"]);
    assert_ne!(std::fs::read(&request).unwrap(), first);
    let seal = world.seal_file("c", "chris", "root");
    // Whatever follows from the transcript may be deleted.
    std::fs::remove_dir_all(world.path("lead/c/requests")).unwrap();
    world.ok(&["seal", "lead/c", &seal]);
    // Left by a run that was killed, or put there.
    std::fs::write(&request, first).unwrap();
    world.ok(&["status", "lead/c"]);
    assert!(!request.exists());
    let found = world.ok(&["verify", "lead/c"]);
    assert_eq!(found["other_files"], json!([]));
}

#[test]
fn a_transcript_from_another_time_is_not_vouched_for() {
    let world = World::with_files();
    world.plan("forged", &world.profile(2, &["anna", "ben"]), &[]);
    world.make_keys("forged");
    world.review("forged");
    world.sign_and_merge("forged", "anna", &["root"]);
    world.sign_and_merge("forged", "ben", &["root"]);
    rewrite(&world, |lines| {
        lines.last_mut().unwrap()["time"] = json!("2039-05-06T07:08:09Z");
    });
    world.ok(&["status", "lead/forged"]);
    let show = ["sign", "lead/forged/requests/seal.json", "--show"];
    says(
        &world.refused("clock", &show),
        &["2039-05-06", "Set the wrong clock right"],
    );
}

#[test]
fn a_key_cannot_be_gone_and_sign() {
    let world = World::with_files();
    world.first_ceremony("c1", 2, &["anna", "ben", "chris"], &["anna", "ben"]);
    let add = format!("root/dora={}", world.uri("dora", "root"));
    let rotate = [
        "rotate",
        "lead/c1",
        "--out",
        "lead/c",
        "--why",
        "lost",
        "--remove",
        "root/chris",
    ];
    let only = ["--add", &add, "--profile-only", "lead/p.toml"];
    world.ok(&[&rotate[..], &only].concat());
    let profile = world.text("lead/p.toml");
    let (_, entry) = profile.split_once("[[roles.root.retired]]").unwrap();
    let entry = entry
        .split("[[")
        .next()
        .unwrap()
        .split("[roles.targets]")
        .next()
        .unwrap();
    let both = profile.replacen(
        "[[roles.root.retired]]",
        &format!("[[roles.root.outgoing]]{entry}\n[[roles.root.retired]]"),
        1,
    );
    world.write("lead/p.toml", both);
    let plan = [
        "plan",
        "lead/p.toml",
        "--out",
        "lead/c",
        "--previous",
        "lead/c1/1.root.json",
    ];
    says(
        &world.refused("refused", &plan),
        &["chris", "retired", "one of the lists"],
    );
}

#[test]
fn a_long_way_to_a_key() {
    let world = World::with_files();
    world.plan("c", &world.profile(2, &["anna", "ben"]), &[]);
    let (invitation, proof) = world.invite("c", "anna-root");
    let folder = format!("anna/{}", "deep/".repeat(60));
    std::fs::create_dir_all(world.path(&folder)).unwrap();
    let uri = format!("file:{folder}root.pem?encryption=none");
    world.ok(&["keygen", &invitation, "--key", &uri, "--out", &proof]);
    world.ok(&["merge", "lead/c", &proof]);
}

#[test]
fn a_key_that_the_previous_root_lists_under_another_id() {
    let world = World::with_files();
    world.first_ceremony("c1", 2, &["anna", "ben"], &["anna", "ben"]);
    // A root as another tool might have made it: Anna's key has a name for an id.
    let mut root = parsed(&world, "lead/c1/1.root.json");
    let signers = ["anna", "ben"].map(|holder| {
        let uri = world.uri(holder, "root").parse().unwrap();
        countersign_signing::open(&uri, &Secrets::unattended(world.path(""))).unwrap()
    });
    let [anna, ben] = signers
        .each_ref()
        .map(|signer| signer.keyid().as_str().to_owned());
    let text = root["signed"].to_string().replace(&anna, "the-key-of-anna");
    root["signed"] = serde_json::from_str(&text).unwrap();
    let text = root["signed"].to_string();
    let signed = |keyid: &str, signer: usize| json!({"keyid": keyid, "sig": hex::encode(signers[signer].sign(text.as_bytes()).unwrap())});
    root["signatures"] = json!([signed("the-key-of-anna", 0), signed(&ben, 1)]);
    world.write("lead/1.root.json", root.to_string());

    let ids = |role: &str| {
        root["signed"]["roles"][role]["keyids"][0]
            .as_str()
            .unwrap()
            .to_owned()
    };
    let mut profile = world.profile(2, &["anna", "ben"]);
    for (place, id) in [
        ("ben/root.pem", ben.to_owned()),
        ("release/targets.pem", ids("targets")),
        ("online/snapshot.pem", ids("snapshot")),
        ("online/timestamp.pem", ids("timestamp")),
    ] {
        let (before, after) = profile.split_once(&format!("file:{place}")).unwrap();
        let (start, _) = before.rsplit_once("algorithm").unwrap();
        profile = format!("{start}keyid = \"{id}\"\nuri = \"file:{place}{after}");
    }
    profile += "[[roles.root.outgoing]]\nholder = \"anna\"\nkeyid = \"the-key-of-anna\"\n";
    world.plan("c", &profile, &["--previous", "lead/1.root.json"]);
    let (invitation, proof) = world.invite("c", "anna-root");
    world.ok(&["prove", &invitation, "--out", &proof]);
    world.ok(&[
        "merge",
        "lead/c",
        &proof,
        "--accept",
        "old-key=the id was no hash",
    ]);
    world.review("c");
    world.sign_and_merge("c", "anna", &["root"]);
    world.sign_and_merge("c", "ben", &["root"]);
    world.seal("c", "anna", "root");
    world.ok(&["verify", "lead/c", "--previous", "lead/1.root.json"]);
}
