//! A Director's Root, which names a time server and who signs offline updates.

use countersign_ceremony::fingerprint;
use countersign_metadata::uptane::{offline_authority, time_server};
use countersign_metadata::{Authority, PublicKey, RoleType, Root};
use serde_json::{Value, json};

use crate::common::{World, says};
use crate::flow::follow;
use crate::tampering::rewrite;

const FURTHER: [(&str, &str); 3] = [
    ("time", "online"),
    ("offline-snapshot", "garage"),
    ("offline-targets", "garage"),
];

/// A Director's profile without further roles.
fn plain(world: &World) -> String {
    let profile = world.profile(2, &["anna", "ben", "chris"]);
    let profile = profile.replace("\n[holders]\n", "\nrepository = \"director\"\n[holders]\n");
    profile.replace("\"90d\"", "\"7d\"")
}

/// All seven roles.
fn full(world: &World) -> String {
    let mut profile =
        plain(world).replace("[holders]\n", "[holders]\ngarage = \"the workshops\"\n");
    for (role, holder) in FURTHER {
        profile += &section(world, role, holder, role);
    }
    profile
}

fn section(world: &World, role: &str, holder: &str, object: &str) -> String {
    let expires = if role == "time" {
        ""
    } else {
        "expires = \"30d\"\n"
    };
    format!(
        "[roles.{role}]\nthreshold = 1\n{expires}[[roles.{role}.keys]]\nholder = \"{holder}\"\n\
         algorithm = \"ed25519\"\nuri = \"{}\"\n",
        world.uri(holder, object)
    )
}

/// The three root holders are there; two of them sign.
fn hold(world: &World, name: &str) {
    world.make_keys(name);
    world.review(name);
    for holder in ["anna", "ben"] {
        world.sign_and_merge(name, holder, &["root"]);
    }
    world.seal(name, "anna", "root");
}

fn root(world: &World, name: &str) -> Value {
    serde_json::from_str(&world.text(name)).unwrap()
}

/// Whose proof a Root's key stands on.
fn proved(world: &World, name: &str, role: &str) -> String {
    let lines = world.lines(name);
    let possession =
        |line: &Value| line["event"]["proved"]["proof"]["statement"]["possession"].clone();
    let mut proofs = lines.iter().map(possession);
    let proof = proofs.find(|proof| proof["slot"]["role"] == role);
    let key = proof.expect("proved")["key"]["keyval"]["public"].clone();
    key.as_str().unwrap().to_owned()
}

fn keys(authority: Option<Authority>) -> Vec<String> {
    let authority = authority.expect("named");
    assert_eq!(authority.threshold(), 1);
    let public = |key: &PublicKey| match key {
        PublicKey::Ed25519(bytes) => hex::encode(bytes),
        _ => panic!("another kind of key"),
    };
    authority.public_keys().into_iter().map(public).collect()
}

fn further(root: &Root) -> [Vec<String>; 3] {
    [
        keys(time_server(root).unwrap()),
        keys(offline_authority(root, RoleType::Snapshot).unwrap()),
        keys(offline_authority(root, RoleType::Targets).unwrap()),
    ]
}

/// One role of a diff that a command shows.
fn change<'a>(shown: &'a Value, role: &str) -> &'a Value {
    let mut roles = shown["diff"]["roles"].as_array().unwrap().iter();
    roles.find(|known| known["role"] == role).expect(role)
}

#[test]
fn a_root_of_seven_roles_in_tokens_and_another_time_key() {
    let world = World::with_tokens(&["anna", "ben", "chris", "release", "online", "garage"]);
    world.plan("c1", &full(&world), &[]);
    let invited = world.invited("c1");
    for (role, holder) in FURTHER {
        assert!(invited.contains(&format!("{holder}-{role}")), "{invited:?}");
    }
    let status = world.ok(&["status", "lead/c1"]);
    says(
        &status["next"].to_string(),
        &["time/online", "offline-targets/garage"],
    );
    world.make_keys("c1");
    world.review("c1");
    let shown = world.ok(&["sign", "lead/c1/requests/sign-root.json", "--show"]);
    assert_eq!(shown["diff"]["roles"].as_array().unwrap().len(), 7);
    for (role, holder) in FURTHER {
        let change = change(&shown, role);
        assert_eq!(change["gains"][0]["holder"], *holder, "{change}");
        assert_eq!(change["threshold"], 1);
    }
    for holder in ["anna", "ben"] {
        world.sign_and_merge("c1", holder, &["root"]);
    }
    world.seal("c1", "ben", "root");
    assert_eq!(world.ok(&["verify", "lead/c1"])["lines"], 1 + 9 + 1 + 2 + 1);
    let first = follow(&[world.read("lead/c1/1.root.json")]);
    let named = further(first.content());
    for (keys, (role, _)) in named.iter().zip(FURTHER) {
        assert_eq!(*keys, [proved(&world, "c1", role)], "{role}");
    }
    // TUF clients refuse other roles.
    assert!(first.content().other_roles.is_empty());
    let report = world.text("lead/c1/report.html");
    says(
        &report,
        &["time/online proved", "offline-snapshot/garage proved"],
    );

    let add = format!("time/online={}", world.uri("online", "time-2"));
    world.rotate("c1", "c2", "compromised", &["--add", &add]);
    assert_eq!(world.invited("c2"), ["online-time"]);
    world.make_keys("c2");
    world.review("c2");
    let shown = world.ok(&["sign", "lead/c2/requests/sign-root.json", "--show"]);
    for side in ["gains", "loses"] {
        assert_eq!(change(&shown, "time")[side][0]["holder"], "online");
    }
    let stays = &change(&shown, "offline-targets")["stays"];
    assert_eq!(stays[0]["holder"], "garage");
    assert_eq!(shown["diff"]["other"], json!([]));
    for holder in ["ben", "chris"] {
        world.sign_and_merge("c2", holder, &["root"]);
    }
    world.seal("c2", "chris", "root");
    world.ok(&["verify", "lead/c2", "--previous", "lead/c1/1.root.json"]);
    let names = ["lead/c1/1.root.json", "lead/c2/2.root.json"];
    let second = follow(&names.map(|name| world.read(name)));
    let [time, snapshot, targets] = further(second.content());
    assert_eq!(time, [proved(&world, "c2", "time")]);
    assert_ne!(time, named[0]);
    assert_eq!([snapshot, targets], [named[1].clone(), named[2].clone()]);
    let custom = names.map(|name| root(&world, name)["signed"]["custom"].clone());
    assert_eq!(custom[0]["offlineUpdates"], custom[1]["offlineUpdates"]);
}

#[test]
fn what_a_profile_does_not_speak_of_stays() {
    let world = World::with_files();
    world.plan("c1", &full(&world), &[]);
    hold(&world, "c1");
    let before = root(&world, "lead/c1/1.root.json")["signed"].clone();

    // A rotation of something else.
    world.rotate("c1", "c2", "scheduled", &["--threshold", "root=3"]);
    world.review("c2");
    for holder in ["anna", "ben", "chris"] {
        world.sign_and_merge("c2", holder, &["root"]);
    }
    world.seal("c2", "anna", "root");
    assert_eq!(
        root(&world, "lead/c2/2.root.json")["signed"]["custom"],
        before["custom"]
    );

    // A profile that knows no such roles. The review names what stays.
    let add = format!("targets/release={}", world.uri("release", "targets-3"));
    let only = ["--add", &add, "--profile-only", "lead/next.toml"];
    world.rotate("c1", "c3", "scheduled", &only);
    let mut old: toml::Table = world.text("lead/next.toml").parse().unwrap();
    for (role, _) in FURTHER {
        old["roles"].as_table_mut().unwrap().remove(role).unwrap();
    }
    let accept = ["--accept", "key-in-file=a test"];
    let previous = ["--previous", "lead/c1/1.root.json"];
    world.plan("c3", &old.to_string(), &[previous, accept].concat());
    // Such a key is known all the same.
    let (invitation, proof) = world.invite("c3", "release-targets");
    let uri = world.uri("online", "time");
    world.ok(&["prove", &invitation, "--key", &uri, "--out", &proof]);
    let message = world.refused("policy", &["merge", "lead/c3", &proof]);
    says(&message, &["shared-key", "the key of time too"]);
    std::fs::remove_file(world.path(&proof)).unwrap();

    hold(&world, "c3");
    let shown = world.ok(&["review", "lead/c3", "--show"]);
    let stays = change(&shown, "time")["stays"].as_array().unwrap();
    assert_eq!((stays.len(), &stays[0]["holder"]), (1, &Value::Null));
    world.ok(&["verify", "lead/c3", "--previous", "lead/c1/1.root.json"]);
    assert_eq!(
        root(&world, "lead/c3/2.root.json")["signed"]["custom"],
        before["custom"]
    );
}

#[test]
fn a_time_server_comes_later() {
    let world = World::with_files();
    world.plan("c1", &plain(&world), &[]);
    hold(&world, "c1");
    let first = follow(&[world.read("lead/c1/1.root.json")]);
    assert_eq!(time_server(first.content()), Ok(None));
    for words in [
        ["--add", "time/online"],
        ["--threshold", "offline-targets=1"],
    ] {
        let rotate = [
            "rotate",
            "lead/c1",
            "--out",
            "lead/c2",
            "--why",
            "scheduled",
        ];
        let message = world.refused("usage", &[&rotate[..], &words].concat());
        says(&message, &["says nothing of", "--profile-only"]);
    }
    world.rotate(
        "c1",
        "c2",
        "scheduled",
        &["--profile-only", "lead/next.toml"],
    );
    let accept = "[[policy.accept]]\nfinding = \"key-in-file\"\nreason = \"a test\"\n";
    let profile =
        world.text("lead/next.toml") + accept + &section(&world, "time", "online", "time");
    world.plan("c2", &profile, &["--previous", "lead/c1/1.root.json"]);
    assert_eq!(world.invited("c2"), ["online-time"]);
    world.make_keys("c2");
    let shown = world.ok(&["review", "lead/c2", "--show"]);
    assert_eq!(change(&shown, "time")["threshold_before"], Value::Null);
    assert_eq!(shown["diff"]["other"], json!([]));
    hold(&world, "c2");
    let second =
        follow(&["c1/1", "c2/2"].map(|name| world.read(&format!("lead/{name}.root.json"))));
    let named = keys(time_server(second.content()).unwrap());
    assert_eq!(named, [proved(&world, "c2", "time")]);
    assert_eq!(
        offline_authority(second.content(), RoleType::Targets),
        Ok(None)
    );
}

#[test]
fn a_profile_that_asks_for_what_is_not_there() {
    let world = World::with_files();
    let full = full(&world);
    let (without, _) = full.split_once("[roles.offline-targets]").unwrap();
    let time = "[roles.time]\nthreshold = 1\n";
    let holder = |name: &str, text: &str| {
        text.replace(
            "[holders]\n",
            &format!("[holders]\n{name} = \"somebody\"\n"),
        )
    };
    let clash = full.replace(
        "roles.snapshot.keys]]\nholder = \"online\"",
        "roles.snapshot.keys]]\nholder = \"garage-offline\"",
    );
    for (profile, parts) in [
        (
            full.replace("\"director\"", "\"image\""),
            &["roles.time", "only the root of a Director"][..],
        ),
        (
            without.to_owned(),
            &["offline-snapshot and offline-targets come together"],
        ),
        (
            full.replace(time, &format!("{time}expires = \"1d\"\n")),
            &["expires"],
        ),
        (
            full.replace(time, &format!("{time}outgoing = []\n")),
            &["outgoing"],
        ),
        (
            full.replace(time, "[roles.time]\nthreshold = 2\n"),
            &["roles.time.threshold", "nobody could"],
        ),
        (full.replace("roles.time", "roles.clock"), &["clock"]),
        (
            holder("garage-offline", &clash),
            &["garage-offline-snapshot", "another short name"],
        ),
    ] {
        world.write("lead/profile.toml", profile);
        let message = world.refused("profile", &["plan", "lead/profile.toml", "--out", "lead/c"]);
        says(&message, parts);
    }
}

#[test]
fn keys_of_further_roles_are_kept_like_others() {
    let mut world = World::with_files();
    world.plan("c", &full(&world), &[]);
    for place in [
        "anna-root",
        "ben-root",
        "chris-root",
        "release-targets",
        "online-snapshot",
    ] {
        let (invitation, proof) = world.invite("c", place);
        world.ok(&["keygen", &invitation, "--out", &proof]);
        world.ok(&["merge", "lead/c", &proof]);
    }
    // One key, two roles; and one key for both kinds of what is carried.
    let (invitation, proof) = world.invite("c", "online-time");
    let uri = world.uri("online", "snapshot");
    world.ok(&["prove", &invitation, "--key", &uri, "--out", &proof]);
    let message = world.refused("policy", &["merge", "lead/c", &proof]);
    says(&message, &["shared-key", "snapshot/online"]);
    let (invitation, proof) = world.invite("c", "garage-offline-snapshot");
    world.ok(&["keygen", &invitation, "--out", &proof]);
    world.ok(&["merge", "lead/c", &proof]);
    let (invitation, proof) = world.invite("c", "garage-offline-targets");
    let uri = world.uri("garage", "offline-snapshot");
    world.ok(&["prove", &invitation, "--key", &uri, "--out", &proof]);
    let message = world.refused("policy", &["merge", "lead/c", &proof]);
    says(&message, &["shared-key", "offline-snapshot/garage"]);

    // The time server signs without people; what is carried is signed by them.
    world.set("CI", "true");
    let keygen = |place: &str| {
        let (invitation, proof) = world.invite("c", place);
        ["keygen".into(), invitation, "--out".into(), proof + ".ci"]
    };
    let words = keygen("garage-offline-targets");
    let message = world.refused("policy", &words.each_ref().map(String::as_str));
    says(&message, &["offline-role-in-ci"]);
    world.ok(&keygen("online-time").each_ref().map(String::as_str));
}

#[test]
fn a_proof_counts_for_its_own_role() {
    let world = World::with_files();
    world.plan("c", &full(&world), &[]);
    let (invitation, proof) = world.invite("c", "online-time");
    world.ok(&["keygen", &invitation, "--out", &proof]);
    let text = world.text(&proof);
    world.write("lead/x.json", text.replace("\"time\",", "\"timestamp\","));
    says(
        &world.refused("file", &["merge", "lead/c", "lead/x.json"]),
        &["timestamp/online", "not signed"],
    );
    world.write("lead/x.json", text.replace("\"time\",", "\"mirrors\","));
    says(
        &world.refused("file", &["merge", "lead/c", "lead/x.json"]),
        &["no role that a root names"],
    );
}

#[test]
fn nothing_is_hidden_beside_the_further_roles() {
    let world = World::with_files();
    world.plan("c1", &full(&world), &[]);
    hold(&world, "c1");
    let add = format!("time/online={}", world.uri("online", "time-2"));
    world.rotate("c1", "c2", "scheduled", &["--add", &add]);
    world.make_keys("c2");
    world.review("c2");
    let show = ["sign", "anna/r.json", "--show"];
    let with = |change: fn(&mut Value)| {
        let mut request = root(&world, "lead/c2/requests/sign-root.json");
        let mut root: Value = serde_json::from_str(request["payload"].as_str().unwrap()).unwrap();
        change(&mut root["custom"]);
        request["payload"] = json!(root.to_string());
        world.write("anna/r.json", request.to_string());
    };
    let hidden: [fn(&mut Value); 9] = [
        |custom| custom["x"] = json!(1),
        |custom| custom["timeServer"]["x"] = json!(1),
        |custom| custom["offlineUpdates"]["x"] = json!(1),
        |custom| custom["offlineUpdates"]["targets"]["x"] = json!(1),
        |custom| drop(custom.as_object_mut().unwrap().remove("timeServer")),
        |custom| drop(custom.as_object_mut().unwrap().remove("offlineUpdates")),
        |custom| custom["timeServer"]["threshold"] = json!(0),
        // A key under a false id, and one that no role lists.
        |custom| {
            let keys = custom["timeServer"]["keys"].as_object_mut().unwrap();
            let key = keys.values().next().unwrap().clone();
            keys.insert("ff".repeat(32), key);
        },
        |custom| {
            let key = custom["timeServer"]["keys"]
                .as_object()
                .unwrap()
                .iter()
                .next();
            let (id, key) = key.map(|(id, key)| (id.clone(), key.clone())).unwrap();
            custom["offlineUpdates"]["keys"][id] = key;
        },
    ];
    for change in hidden {
        with(change);
        let message = world.refused("file", &show);
        says(
            &message,
            &["more of the root than can be shown", "do not sign"],
        );
    }
    // What can be shown is shown, and judged on the holder's machine.
    with(|custom| custom["offlineUpdates"]["targets"]["threshold"] = json!(2));
    assert_eq!(change(&world.ok(&show), "offline-targets")["threshold"], 2);
    with(|custom| {
        let offline = custom["offlineUpdates"]["keys"].as_object().unwrap();
        custom["timeServer"]["keys"] = json!(offline.clone());
    });
    let shown = world.ok(&show);
    assert_eq!(change(&shown, "time")["gains"].as_array().unwrap().len(), 2);
    says(&shown["findings"].to_string(), &["shared-key"]);
}

#[test]
fn a_lead_who_names_another_time_server() {
    let world = World::with_files();
    world.plan("c", &full(&world), &[]);
    world.make_keys("c");
    world.review("c");
    world.copy("lead/c", "lead/forged");
    rewrite(&world, |lines| {
        let last = lines.last_mut().unwrap();
        let review = &mut last["event"]["reviewed"];
        let mut root: Value = serde_json::from_str(review["payload"].as_str().unwrap()).unwrap();
        root["custom"]["timeServer"]["keys"] = root["custom"]["offlineUpdates"]["keys"].clone();
        review["words"] = json!(fingerprint(root.to_string().as_bytes()));
        review["payload"] = json!(root.to_string());
    });
    let message = world.refused("transcript", &["verify", "lead/forged", "--unfinished"]);
    says(
        &message,
        &["not the one that the profile and the proofs make"],
    );
}

#[test]
fn the_runbook_has_the_example() {
    let folder = env!("CARGO_MANIFEST_DIR");
    let read = |name: &str| std::fs::read_to_string(format!("{folder}/{name}")).unwrap();
    let example = read("examples/director.toml");
    assert!(read("../docs/ceremony-runbook.md").contains(&format!("```toml\n{example}```\n")));
    let world = World::with_files();
    let planned = world.plan("c", &example, &[]);
    assert_eq!(planned["invitations"].as_array().unwrap().len(), 11);
    says(
        &planned["invitations"].to_string(),
        &["director-time.json", "garage-offline-targets.json"],
    );
}
