//! What is wrong before anything is written, each with its name.

use std::fs;

use countersign_ceremony::provision::{Row, TimeGiven, gather};

use crate::stage::{HONEST, NOW, SERIAL, Stage, TIMED, VIN, accepted, root_of, time, vectors};

/// The error's name, and that its text says all of these.
#[track_caller]
fn refused(stage: &Stage, rows: Vec<Row>, name: &str, says: &[&str]) {
    let error = stage.gather(rows).expect_err("it is wrong");
    assert_eq!(error.name(), name, "{error}");
    let text = error.to_string();
    for part in says {
        assert!(text.contains(part), "{part:?} is not in: {text}");
    }
}

fn row(vehicle: &str, ecu: &str) -> Row {
    Row {
        vehicle: vehicle.into(),
        ecu: ecu.into(),
        ..Row::default()
    }
}

#[test]
fn roots_that_are_none() {
    let stage = Stage::with(HONEST).roots_only();
    let director = vectors(HONEST).join("director").display().to_string();
    let root = format!("root = \"{director}\"");
    for (published, says) in [
        (
            "uptane-roots/director-unsigned/2/director/metadata/2.root.json",
            "the director Root",
        ),
        (
            "uptane-director/honest/1/director/metadata/timestamp.json",
            "the director Root",
        ),
    ] {
        let file = vectors(published);
        let stage = Stage::with(HONEST).roots_only();
        let stage = stage.but(&root, &format!("root = \"{}\"", file.display()));
        refused(&stage, Vec::new(), "file", &[says]);
    }
    let missing = Stage::with(HONEST)
        .roots_only()
        .but(&root, "root = \"nothing.json\"");
    let error = missing.gather(Vec::new()).expect_err("there is none");
    assert!(error.to_string().contains("nothing.json"), "{error}");
    let empty = Stage::with(HONEST).roots_only().but(&root, "root = \".\"");
    refused(&empty, Vec::new(), "file", &["no root.json"]);
    // The right form, and another Root than the one that was agreed on.
    let pinned = stage.but("[image]", "words = \"abandon ability able\"\n[image]");
    refused(
        &pinned,
        Vec::new(),
        "refused",
        &["another one", "its own are"],
    );
}

#[test]
fn one_root_for_both_repositories() {
    let image = vectors(HONEST).join("image").display().to_string();
    let director = vectors(HONEST).join("director").display().to_string();
    let stage = Stage::with(HONEST).roots_only();
    let stage = stage.but(
        &format!("root = \"{director}\""),
        &format!("root = \"{image}\""),
    );
    refused(&stage, Vec::new(), "refused", &["the same Root"]);
}

#[test]
fn a_root_that_does_not_follow() {
    let director = vectors(HONEST).join("director").display().to_string();
    let stranger = vectors(HONEST).join("image/metadata/1.root.json");
    let stage = Stage::with(HONEST).roots_only();
    let follows = format!(
        "root = \"{director}\"\nfollows = \"{}\"",
        stranger.display()
    );
    let stage = stage.but(&format!("root = \"{director}\""), &follows);
    refused(&stage, Vec::new(), "file", &["that it has to follow"]);
}

#[test]
fn roots_that_have_expired_or_will() {
    let stage = Stage::with(HONEST).roots_only();
    let order = stage.order(Vec::new());
    let after = gather(&order, time("2100-01-01T00:00:00Z")).expect_err("it has expired");
    assert_eq!(after.name(), "file", "{after}");
    assert!(
        after.to_string().contains("expired at 2099-12-31"),
        "{after}"
    );
    let soon = gather(&order, time("2099-12-01T00:00:00Z")).unwrap();
    let names: Vec<&str> = soon.findings().iter().map(|f| f.name.as_str()).collect();
    assert!(names.contains(&"root-expires-soon"), "{names:?}");
    assert!(names.contains(&"time-long-ago"), "{names:?}");
}

#[test]
fn what_the_policy_refuses_has_to_be_accepted() {
    let stage = Stage::with(HONEST).roots_only();
    let mut order = stage.order(Vec::new());
    order.accepted = vec![accepted()[0].clone()];
    let error = gather(&order, time(NOW)).expect_err("not all of it is accepted");
    assert_eq!(error.name(), "policy");
    let text = error.to_string();
    assert!(text.contains("root-expiry-long (director root)"), "{text}");
    assert!(!text.contains("root-threshold-low"), "{text}");
}

#[test]
fn no_key_serves_both_repositories() {
    let judge = |image: Vec<u8>| {
        let director = vectors(HONEST).join("director").display().to_string();
        let other = vectors(HONEST).join("image").display().to_string();
        let stage = Stage::with(HONEST).roots_only();
        let stage = stage.but(&format!("root = \"{director}\""), "root = \"d.json\"");
        let stage = stage.but(&format!("root = \"{other}\""), "root = \"i.json\"");
        stage.write("d.json", root_of([1, 2, 3], [4, 5, 6]));
        stage.write("i.json", image);
        let mut order = stage.order(Vec::new());
        order.accepted.clear();
        gather(&order, time(NOW))
    };
    assert!(judge(root_of([11, 12, 13], [14, 15, 16])).is_ok());
    // The Director's Timestamp key signs the Image repository's Targets; and within one Root.
    for (image, says) in [
        (
            root_of([11, 12, 13], [6, 15, 16]),
            "shared-key (director timestamp)",
        ),
        (
            root_of([11, 12, 3], [14, 15, 16]),
            "shared-key (director root)",
        ),
        (root_of([11, 12, 13], [14, 14, 16]), "shared-key (image "),
    ] {
        let error = judge(image).expect_err(says);
        assert_eq!(error.name(), "policy");
        assert!(error.to_string().contains(says), "{says}: {error}");
    }
}

#[test]
fn a_director_without_a_time_server_is_told() {
    let findings = |published: &str| {
        let bundle = Stage::with(published)
            .roots_only()
            .gather(Vec::new())
            .unwrap();
        let names = bundle.findings().iter().map(|finding| finding.name.clone());
        names.collect::<Vec<_>>()
    };
    assert!(findings(HONEST).contains(&"no-time-server".into()));
    assert!(!findings(TIMED).contains(&"no-time-server".into()));
}

#[test]
fn metadata_that_the_device_would_refuse() {
    let director = vectors(HONEST)
        .join("director/metadata")
        .display()
        .to_string();
    for (other, code) in [
        (
            "uptane-director/another-vehicle-timestamp/2/director/metadata",
            "vehicle-mismatch",
        ),
        ("uptane-director/delegates/2/director/metadata", "delegat"),
        ("uptane-director/honest/1/image/metadata", "threshold"),
        ("uptane-director/honest/1/image", "missing"),
    ] {
        let folder = vectors(other);
        assert!(folder.is_dir(), "{other}");
        let stage = Stage::with(HONEST).but(&director, &folder.display().to_string());
        let row = stage.row();
        let error = stage.gather(vec![row]).expect_err(other);
        assert_eq!(error.name(), "file", "{error}");
        let text = error.to_string();
        assert!(
            text.contains("devices would refuse") && text.contains(code),
            "{other}: {text}"
        );
    }
    // A Primary that does not know the vehicle's other ECUs refuses what names them (5.4.4.6).
    let stage = Stage::with(HONEST);
    let alone = Row {
        others: Default::default(),
        ..stage.row()
    };
    refused(&stage, vec![alone], "file", &["ecu-unknown"]);
    // A template is for no vehicle.
    let error = stage.gather(Vec::new()).expect_err("no vehicle");
    assert_eq!((error.name(), error.exit_code()), ("usage", 2), "{error}");
}

#[test]
fn identifiers_that_are_none() {
    let stage = Stage::with(HONEST).roots_only();
    let long = "V".repeat(65);
    for (vehicle, ecu) in [
        ("", "E"),
        ("V", ""),
        ("V 1", "E"),
        ("V", "E\"1"),
        ("..", "E"),
        (&*long, "E"),
    ] {
        refused(&stage, vec![row(vehicle, ecu)], "refused", &[]);
    }
    let others = Row {
        others: [("S 1".to_owned(), "brake".to_owned())].into(),
        ..row(VIN, SERIAL)
    };
    refused(&stage, vec![others], "refused", &["the other ECUs"]);
    let itself = Row {
        others: [(SERIAL.to_owned(), "pcu-a".to_owned())].into(),
        ..row(VIN, SERIAL)
    };
    refused(&stage, vec![itself], "refused", &["other ECUs"]);
    let twice = vec![row("V1", "E"), row("V2", "E")];
    refused(&stage, twice, "refused", &["listed twice"]);
}

#[test]
fn keys_that_serve_two_ends() {
    let stage = Stage::with(HONEST).roots_only();
    stage.request("a");
    stage.public_key("p256", "EC -pkeyopt ec_paramgen_curve:P-256");
    let with = |ecu: &str, signing: &str, encryption: &str| Row {
        signing_key: Some(signing.into()),
        encryption_key: Some(encryption.into()).filter(|name: &String| !name.is_empty()),
        ..row(VIN, ecu)
    };
    let twice = vec![with("E1", "a.csr", ""), with("E2", "a.csr", "")];
    refused(
        &stage,
        twice,
        "refused",
        &["ECU E2", "signing key of ECU E1"],
    );
    let both = vec![with("E1", "p256.pub", "p256.pub")];
    refused(&stage, both, "refused", &["one for each", "5.4.1"]);
    let crossed = vec![with("E1", "p256.pub", ""), with("E2", "a.csr", "p256.pub")];
    refused(&stage, crossed, "refused", &["ECU E2", "one for each"]);

    // A key of the Director's Root, as an ECU's.
    let root = fs::read(vectors(HONEST).join("director/metadata/1.root.json")).unwrap();
    let root: serde_json::Value = serde_json::from_slice(&root).unwrap();
    let keys = root["signed"]["keys"].as_object().unwrap();
    stage.write("keys/root.json", keys.values().next().unwrap().to_string());
    refused(
        &stage,
        vec![with("E1", "root.json", "")],
        "refused",
        &["is a key of director"],
    );
}

#[test]
fn keys_that_are_none() {
    let stage = Stage::with(HONEST).roots_only();
    stage.request("a");
    stage.request("b");
    stage.public_key("ed", "ed25519");
    let damaged = String::from_utf8(stage.read("keys/a.csr")).unwrap();
    let other = String::from_utf8(stage.read("keys/b.csr")).unwrap();
    let (mut lines, others) = (
        damaged.lines().collect::<Vec<_>>(),
        other.lines().collect::<Vec<_>>(),
    );
    let last = lines.len() - 2;
    lines[last] = others[last];
    stage.write("keys/mixed.csr", lines.join("\n") + "\n");
    stage.write("keys/weak.json", r#"{"keytype":"ed25519","scheme":"ed25519","keyval":{"public":"0100000000000000000000000000000000000000000000000000000000000000"}}"#);
    let signing = |name: &str| Row {
        signing_key: Some(name.into()),
        ..row(VIN, SERIAL)
    };
    let encryption = |name: &str| Row {
        encryption_key: Some(name.into()),
        ..row(VIN, SERIAL)
    };
    for (row, says) in [
        (signing("mixed.csr"), "mixed.csr"),
        (signing("nothing.csr"), "nothing.csr"),
        (signing("a.key"), "private key"),
        (signing("../keys/a.csr"), "no name of a file"),
        (signing("weak.json"), "small order"),
        (encryption("ed.pub"), "another kind"),
        (encryption("a.key"), "private key"),
    ] {
        let error = stage.gather(vec![row]).expect_err(says);
        assert_eq!(error.exit_code(), 1, "{error}");
        assert!(error.to_string().contains(says), "{says}: {error}");
    }
    // One that asks for another device's name.
    stage.openssl(
        "req -new -key a.key -subj /CN=a -out named.csr -addext \
         subjectAltName=URI:urn:countersign:vehicle:V,URI:urn:countersign:ecu:OTHER",
    );
    refused(
        &stage,
        vec![signing("named.csr")],
        "request-names",
        &["OTHER"],
    );
    // An encryption key that the model has no use for.
    stage.public_key("x", "X25519");
    let stage = stage.but("decryption_key = \"file:images.pem?encryption=none\"\n", "");
    refused(
        &stage,
        vec![encryption("x.pub")],
        "refused",
        &["names no decryption_key"],
    );
}

#[test]
fn times_that_are_none() {
    let stage = Stage::with(TIMED).roots_only();
    let judge = |time_given: TimeGiven, now: &str| {
        let mut order = stage.order(Vec::new());
        order.time = time_given;
        gather(&order, time(now)).map(drop)
    };
    let attestation = |name: &str| TimeGiven::Attested(vectors("uptane-time").join(name));
    assert!(judge(attestation("honest/given/1-attestation"), NOW).is_ok());
    let future = TimeGiven::Stated(time("2030-02-01T00:00:01Z"));
    let error = judge(future, NOW).expect_err("it has not come yet");
    assert!(error.to_string().contains("has not come yet"), "{error}");
    let error = judge(
        attestation("honest/given/1-attestation"),
        "2029-01-01T00:00:00Z",
    );
    assert!(error.is_err(), "attested, and the clock is behind");
    for name in ["by-a-stranger", "changed", "no-json"] {
        let file = format!("{name}/given/1-attestation");
        let error = judge(attestation(&file), NOW).expect_err(name);
        assert_eq!(error.name(), "file", "{name}: {error}");
    }
    let without = Stage::with(HONEST).roots_only();
    let mut order = without.order(Vec::new());
    order.time = attestation("honest/given/1-attestation");
    let error = gather(&order, time(NOW)).expect_err("there is no time server");
    assert!(error.to_string().contains("names a time server"), "{error}");
}

#[test]
fn mappings_that_are_none() {
    let stage = Stage::with(HONEST).roots_only();
    let without_urls = |stage: Stage| {
        let stage = stage.but("urls = [\"https://director.example.com/{vin}\"]\n", "");
        stage
            .but("urls = [\"https://images.example.com\"]\n", "")
            .but("[director]", "map = \"map.json\"\n[director]")
    };
    let stage = without_urls(stage);
    stage.write("map.json", "{}");
    refused(&stage, Vec::new(), "file", &["map.json"]);
    stage.write(
        "map.json",
        r#"{"repositories":{"director":["https://d/{vin}"],"image":["https://i"]},"mapping":[{"paths":["*"],"repositories":["image"],"threshold":1}]}"#,
    );
    let bundle = stage.gather(Vec::new()).unwrap();
    let review = bundle.review().to_text(0);
    assert!(review.contains("read map.json"), "{review}");
}
