//! What is in a bundle.

use std::fs;
use std::time::Duration;

use countersign_ceremony::provision::{Row, TimeGiven, Written, gather};
use countersign_client::client::initialise;
use countersign_client::store::DirStore;
use countersign_client::uptane::state::StateFile;
use countersign_metadata::uptane::{EcuSerial, HardwareId, Mapping};
use serde_json::Value;

use crate::stage::{HONEST, NOW, Stage, TIMED, files, time, vectors};

fn json(bytes: &[u8]) -> Value {
    serde_json::from_slice(bytes).unwrap()
}

#[test]
fn an_uptane_device_gets_roots_metadata_mapping_keys_and_time() {
    let stage = Stage::with(HONEST);
    let bundle = stage.bundle();
    let there = files(&stage.make(&bundle, "out"));
    let own = "devices/VIN-OF-THIS-CAR/P1";
    let published = |name: &str| fs::read(vectors(HONEST).join(name)).unwrap();
    for (name, source) in [
        ("director/root.json", "director/metadata/1.root.json"),
        ("image/root.json", "image/metadata/1.root.json"),
        ("image/timestamp.json", "image/metadata/timestamp.json"),
        ("image/snapshot.json", "image/metadata/1.snapshot.json"),
        ("image/targets.json", "image/metadata/1.targets.json"),
    ] {
        assert_eq!(there[name], published(source), "{name}");
    }
    for (name, source) in [
        ("timestamp.json", "director/metadata/timestamp.json"),
        ("snapshot.json", "director/metadata/1.snapshot.json"),
        ("targets.json", "director/metadata/1.targets.json"),
    ] {
        assert_eq!(
            there[&format!("{own}/director/{name}")],
            published(source),
            "{name}"
        );
    }
    let map = Mapping::parse(&there[&format!("{own}/map.json")]).unwrap();
    let urls = ["https://director.example.com/VIN-OF-THIS-CAR"];
    assert_eq!(map.urls(Mapping::DIRECTOR), urls);
    let vehicle = json(&there[&format!("{own}/vehicle.json")]);
    assert_eq!(vehicle["vin"], "VIN-OF-THIS-CAR");
    assert_eq!(vehicle["ecu"]["hardwareId"], "pcu-a");
    assert_eq!(vehicle["others"]["S1"], "brake-b");
    assert_eq!(vehicle["installed"]["length"], 13);
    let keys = json(&there[&format!("{own}/keys.json")]);
    assert_eq!(keys["possession"], "request");
    assert_eq!(keys["encryptionKey"]["keytype"], "x25519");
    let time = json(&there["time.json"]);
    assert_eq!(time["floor"], "2030-01-31T00:00:00Z");
    assert_eq!(time["source"], "stated");
    let manifest = json(&there["manifest.json"]);
    let listed = manifest["files"].as_object().unwrap();
    assert_eq!(listed.len() + 1, there.len(), "every file but itself");
    let review = String::from_utf8(there["review.txt"].clone()).unwrap();
    for part in [
        bundle.words(),
        "director root 1",
        "accepted root-threshold-low: a test",
    ] {
        assert!(review.contains(part), "{part:?} is not in: {review}");
    }
}

#[test]
fn the_same_again_is_the_same_to_the_byte_and_nothing_else_is_overwritten() {
    let stage = Stage::with(HONEST);
    let row = stage.row();
    let bundle = stage.gather(vec![row.clone()]).unwrap();
    let out = stage.make(&bundle, "out");
    let before = files(&out);
    // On another day, and from files with another age.
    let again = gather(
        &stage.order(vec![row.clone()]),
        time("2030-02-09T00:00:00Z"),
    )
    .unwrap();
    let done = again.write(&out, &again.confirmation()).unwrap();
    assert_eq!(done, Written::Already);
    assert_eq!(files(&stage.make(&again, "elsewhere")), before);

    let mut order = stage.order(vec![row]);
    order.time = TimeGiven::Stated(time("2030-01-31T00:00:01Z"));
    let other = gather(&order, time(NOW)).unwrap();
    let refused = other.write(&out, &other.confirmation()).unwrap_err();
    assert_eq!(refused.name(), "exists", "{refused}");
    assert_eq!(files(&out), before);
}

#[test]
fn what_is_confirmed_stays_the_same_from_device_to_device_and_not_from_root_to_root() {
    let stage = Stage::with(HONEST);
    let first = stage.bundle().confirmation();
    let mut order = stage.order(Vec::new());
    order.time = TimeGiven::Stated(time("2030-01-30T00:00:00Z"));
    let words: Vec<&str> = first.split(' ').collect();
    assert_eq!((words[0], words.len()), ("provision", 3));
    let stage = stage.roots_only();
    order.profile = stage.order(Vec::new()).profile;
    assert_eq!(gather(&order, time(NOW)).unwrap().confirmation(), first);
    let other = Stage::with(TIMED).roots_only();
    assert_ne!(other.gather(Vec::new()).unwrap().confirmation(), first);
    let renamed = stage.but("pcu-a", "pcu-b");
    assert_ne!(renamed.gather(Vec::new()).unwrap().confirmation(), first);
}

#[test]
fn what_the_factory_writes_is_what_a_device_starts_with() {
    let stage = Stage::with(TIMED);
    let mut order = stage.order(vec![stage.row()]);
    let attestation = vectors("uptane-time/honest/given/1-attestation");
    order.time = TimeGiven::Attested(attestation.clone());
    let bundle = gather(&order, time(NOW)).unwrap();
    let there = files(&stage.make(&bundle, "out"));
    assert_eq!(json(&there["time.json"])["source"], "attested");
    assert_eq!(
        there["time-attestation.json"],
        fs::read(attestation).unwrap()
    );
    // The record is one that the driver reads, with the floor under the keys of the time server.
    let state = stage.path("ecu/state");
    let record = &there["devices/VIN-OF-THIS-CAR/P1/ecu-state.json"];
    stage.write("ecu/state/ecu-state.json", record);
    let state = StateFile::open(&state, Duration::ZERO).unwrap();
    assert_eq!(state.state().serial(), &EcuSerial::new("P1").unwrap());
    let floor = state.state().time_floor().unwrap();
    assert_eq!(floor.time.to_string(), json(&there["time.json"])["floor"]);
    let installed = state.state().installed(&HardwareId::new("pcu-a").unwrap());
    assert_eq!(installed.unwrap().release_counter, 4);
    // And so is the Root.
    let mut store = DirStore::open(&stage.path("store"), Duration::ZERO).unwrap();
    let done = initialise(&mut store, there["director/root.json"].clone()).unwrap();
    assert_eq!(done.given, 1);
}

#[test]
fn an_ecu_that_verifies_in_part_gets_the_directors_targets_alone() {
    let stage = Stage::with("uptane-partial/honest/1")
        .without_image_metadata()
        .but("\"full\"", "\"partial\"")
        .but("pcu-a", "brake-b");
    let row = Row {
        ecu: "S1".into(),
        others: Default::default(),
        ..stage.row()
    };
    let bundle = stage
        .gather(vec![row])
        .unwrap_or_else(|error| panic!("{error}"));
    let there = files(&stage.make(&bundle, "out"));
    let directors: Vec<&String> = there
        .keys()
        .filter(|name| name.contains("/director/"))
        .collect();
    assert_eq!(
        directors,
        ["devices/VIN-OF-THIS-CAR/S1/director/targets.json"]
    );
    let vehicle = json(&there["devices/VIN-OF-THIS-CAR/S1/vehicle.json"]);
    assert_eq!(vehicle["ecu"]["secondary"], true);
}

#[test]
fn a_plain_device_gets_one_root() {
    let stage = Stage::plain();
    let bundle = stage.gather(Vec::new()).unwrap();
    let there = files(&stage.make(&bundle, "out"));
    let names: Vec<&str> = there.keys().map(String::as_str).collect();
    let expected = [
        "manifest.json",
        "model.json",
        "repository/root.json",
        "repository/snapshot.json",
        "repository/targets.json",
        "repository/timestamp.json",
        "review.txt",
        "time.json",
    ];
    assert_eq!(names, expected);
    let alone = stage.roots_only();
    let bundle = alone.gather(Vec::new()).unwrap();
    let findings: Vec<&str> = bundle.findings().iter().map(|f| f.name.as_str()).collect();
    assert!(findings.contains(&"metadata-left-out"), "{findings:?}");
}

#[test]
fn a_template_is_filled_in_or_refused() {
    let stage = Stage::with(HONEST).roots_only();
    let bundle = stage.gather(Vec::new()).unwrap();
    let there = files(&stage.make(&bundle, "out"));
    let vehicle = json(&there["template/vehicle.json"]);
    // No identifier has a space.
    for blank in [&vehicle["vin"], &vehicle["ecu"]["serial"]] {
        assert!(EcuSerial::new(blank.as_str().unwrap()).is_err());
    }
    let map = String::from_utf8(there["template/map.json"].clone()).unwrap();
    assert!(map.contains("{vin}"), "{map}");
}

#[test]
fn a_list_makes_a_folder_for_each_device() {
    let stage = Stage::with(HONEST).roots_only();
    stage.request("a");
    stage.request("b");
    let row = |vehicle: &str, ecu: &str, key: &str| Row {
        vehicle: vehicle.into(),
        ecu: ecu.into(),
        signing_key: Some(format!("{key}.csr")),
        ..Row::default()
    };
    let rows = vec![row("V/1", "E?1", "a"), row("V2", "E2", "b")];
    let bundle = stage.gather(rows).unwrap();
    let there = files(&stage.make(&bundle, "out"));
    assert!(
        there.contains_key("devices/V%2F1/E%3F1/keys.json"),
        "{:?}",
        there.keys()
    );
    let map = Mapping::parse(&there["devices/V%2F1/E%3F1/map.json"]).unwrap();
    assert_eq!(
        map.urls(Mapping::DIRECTOR),
        ["https://director.example.com/V%2F1"]
    );
    assert!(there.contains_key("devices/V2/E2/vehicle.json"));
}

#[test]
fn a_chain_of_roots_is_followed_from_the_one_that_is_vouched_for() {
    let rotated = vectors("uptane-roots/director-rotation");
    let stage = Stage::with(HONEST).roots_only();
    let place = stage.path("chain");
    fs::create_dir(&place).unwrap();
    for (from, to) in chain(&rotated) {
        fs::copy(from, place.join(to)).unwrap();
    }
    let newest = files(&place).len();
    assert!(newest > 1, "the vector rotates");
    let director = vectors(HONEST).join("director").display().to_string();
    let follow = "root = \"chain\"\nfollows = \"chain/1.root.json\"";
    let stage = stage.but(&format!("root = \"{director}\""), follow);
    let bundle = stage.gather(Vec::new()).unwrap();
    assert_eq!(bundle.review().roots[0].version, newest as u64);
    // What lies between is needed, and has to be the real one.
    let words = bundle.review().roots[0].words.clone();
    let pinned = stage.but("[image]", &format!("words = \"{words}\"\n[image]"));
    assert!(pinned.gather(Vec::new()).is_ok());
    fs::copy(
        vectors(HONEST).join("image/metadata/1.root.json"),
        place.join("1.root.json"),
    )
    .unwrap();
    let refused = pinned.gather(Vec::new()).unwrap_err();
    assert_eq!(refused.name(), "file", "{refused}");
}

/// The Director's Roots in the steps of a vector.
fn chain(vector: &std::path::Path) -> Vec<(std::path::PathBuf, String)> {
    let found = files(vector).into_keys().filter_map(|name| {
        let file = name.split_once("director/metadata/")?.1.to_owned();
        file.ends_with(".root.json")
            .then(|| (vector.join(&name), file))
    });
    found.collect()
}
