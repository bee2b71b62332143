//! The commands of one ECU, as a script gives them, against a real director and repository.

#![allow(clippy::unwrap_used, reason = "a test that cannot set up has failed")]

#[allow(dead_code, reason = "the stories of whole vehicles use the rest")]
#[path = "../../../vehicle-sim/tests/story/world.rs"]
mod world;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use countersign_metadata::Key;
use countersign_metadata::uptane::{EncryptionAlgorithm, Nonce};
use countersign_signing::{Algorithm, KeyUri, Secrets};
use countersign_vehicle_sim::EcuPlan;
use countersign_vehicle_sim::director::{EcuRecord, VehicleRecord};
use serde_json::{Value, json};
use world::{CAR, World, ecu, path, serial, vin};

const IMAGE: &[u8] = b"an image of the gateway";

/// The world, and the folder of one ECU in it.
struct Stage {
    world: World,
    plan: EcuPlan,
}

impl Stage {
    /// An ECU of `CAR` that verifies like this, known to the director and provisioned.
    fn with(verification: &str) -> Self {
        let world = World::new();
        let plan = ecu("GATEWAY");
        let stage = Self { world, plan };
        let secrets = Secrets::unattended(stage.folder());
        fs::create_dir_all(stage.folder()).unwrap();
        let uri = |name: &str| format!("file:{name}.pem?encryption=none");
        let parsed = |name: &str| uri(name).parse::<KeyUri>().unwrap();
        let signing =
            countersign_signing::generate(&parsed("report"), Algorithm::Ed25519, &secrets).unwrap();
        let encryption = countersign_signing::generate_decryption_key(
            &parsed("images"),
            EncryptionAlgorithm::X25519,
            &secrets,
        );
        let record = EcuRecord {
            hardware_id: stage.plan.hardware_id.clone(),
            signing: Key::new(&signing),
            encryption: Some(encryption.unwrap()),
        };
        let vehicle = VehicleRecord {
            primary: serial("GATEWAY"),
            ecus: [(serial("GATEWAY"), record)].into(),
        };
        stage
            .world
            .service
            .lock()
            .register(&vin(CAR), vehicle)
            .unwrap();
        let config = json!({
            "vin": CAR,
            "ecu": {
                "serial": "GATEWAY",
                "hardwareId": stage.plan.hardware_id.as_str(),
                "verification": verification,
                "signingKey": uri("report"),
                "decryptionKey": uri("images"),
            },
        });
        fs::write(stage.file("vehicle.json"), config.to_string()).unwrap();
        let roots = stage.world.service.lock().director().roots()[0].clone();
        fs::write(stage.file("director.root.json"), roots).unwrap();
        let image_root = stage.world.published().join("metadata/1.root.json");
        fs::copy(image_root, stage.file("image.root.json")).unwrap();
        let done = stage.init();
        assert_eq!(done["ok"], true, "{done}");
        stage
    }

    fn init(&self) -> Value {
        self.run(&[
            "uptane-init",
            self.file("vehicle.json").to_str().unwrap(),
            "--director-root",
            self.file("director.root.json").to_str().unwrap(),
            "--image-root",
            self.file("image.root.json").to_str().unwrap(),
        ])
    }

    fn folder(&self) -> PathBuf {
        self.world.path().join("ecu")
    }

    fn file(&self, name: &str) -> PathBuf {
        self.world.path().join(name)
    }

    fn run(&self, words: &[&str]) -> Value {
        let mut command = Command::new(env!("CARGO_BIN_EXE_client-verifier"));
        let url = |folder: PathBuf| format!("file://{}/", folder.display());
        command
            .args(["--format", "json", "--state-dir"])
            .arg(self.folder());
        let director = self.world.service.lock().folder_of(&vin(CAR));
        command.args(["--director-url", &url(director)]);
        command.args(["--image-url", &url(self.world.published())]);
        let output = command.args(words).output().unwrap();
        let object: Value = serde_json::from_slice(&output.stdout)
            .unwrap_or_else(|error| panic!("{error}: {output:?}"));
        assert_eq!(output.status.success(), object["ok"] == true, "{output:?}");
        object
    }

    /// Without a Snapshot nobody knows the version: a Primary, or a Director that serves partially
    /// verifying ECUs itself, has the newest file under its plain name.
    fn serve_newest_targets(&self) {
        let metadata = self.world.director_metadata(CAR);
        let versions = (1..).map(|version| metadata.join(format!("{version}.targets.json")));
        let newest = versions.take_while(|file| file.is_file()).last();
        fs::copy(newest.unwrap(), metadata.join("targets.json")).unwrap();
    }

    /// An attestation that answers the next nonce.
    fn attestation(&self) -> PathBuf {
        let nonce = self.run(&["uptane-nonce"]);
        let digits = nonce["message"].as_str().unwrap();
        let nonce: [u8; 16] = hex::decode(digits).unwrap().try_into().unwrap();
        let now = self.world.clock.now().unwrap();
        let service = self.world.service.lock();
        let mut service = service;
        let attestation = service.director().attest(&[Nonce(nonce)], now).unwrap();
        let file = self.file("attestation.json");
        fs::write(&file, attestation).unwrap();
        file
    }

    fn at(&self, attestation: &Path, words: &[&str]) -> Value {
        let attestation = attestation.to_str().unwrap();
        self.run(&[&["--time-attestation", attestation], words].concat())
    }

    fn runs(&self) -> Option<Vec<u8>> {
        fs::read(self.folder().join("ecu/slots/active/image")).ok()
    }
}

fn code(object: &Value) -> &str {
    object["name"].as_str().unwrap()
}

#[test]
fn an_ecu_finds_verifies_and_installs_its_image() {
    let stage = Stage::with("full");
    stage.world.release("gateway.img", &stage.plan, 3, IMAGE);
    stage.world.assign("GATEWAY", "gateway.img");
    let attestation = stage.attestation();
    let found = stage.at(&attestation, &["uptane-cycle"]);
    let image = &found["update"]["images"][0];
    assert_eq!(image["path"], "gateway.img", "{found}");
    assert_eq!(image["releaseCounter"], 3);
    assert_eq!(fs::read(image["file"].as_str().unwrap()).unwrap(), IMAGE);
    assert!(stage.folder().join("manifest.json").is_file());
    assert_eq!(stage.runs(), None, "a cycle installs nothing");

    let done = stage.at(&attestation, &["uptane-install"]);
    assert_eq!(done["ok"], true, "{done}");
    assert_eq!(stage.runs().as_deref(), Some(IMAGE));
    let report = fs::read_to_string(stage.folder().join("report.json")).unwrap();
    assert!(report.contains("gateway.img"), "{report}");

    let again = stage.attestation();
    stage.at(&again, &["uptane-cycle"]);
    let nothing = stage.at(&again, &["uptane-install"]);
    assert!(
        nothing["message"].as_str().unwrap().starts_with("nothing"),
        "{nothing}"
    );
}

#[test]
fn a_confidential_image_is_decrypted_on_the_ecu() {
    let stage = Stage::with("full");
    stage
        .world
        .release_confidential("secret.img", &stage.plan, 1, IMAGE);
    stage.world.assign("GATEWAY", "secret.img");
    let attestation = stage.attestation();
    let found = stage.at(&attestation, &["uptane-cycle"]);
    let image = &found["update"]["images"][0];
    assert_eq!(image["encrypted"], true, "{found}");
    let travelled = fs::read(image["file"].as_str().unwrap()).unwrap();
    assert_ne!(travelled, IMAGE);
    let done = stage.at(&attestation, &["uptane-install"]);
    assert_eq!(done["ok"], true, "{done}");
    assert_eq!(stage.runs().as_deref(), Some(IMAGE));
}

#[test]
fn the_time_has_to_be_attested_for_each_cycle() {
    let stage = Stage::with("full");
    assert_eq!(code(&stage.run(&["uptane-cycle"])), "time-unavailable");
    let attestation = stage.attestation();
    assert_eq!(code(&stage.at(&attestation, &["uptane-cycle"])), "ok");
    // Not twice, or the same hour would never end.
    assert_eq!(
        code(&stage.at(&attestation, &["uptane-cycle"])),
        "time-replayed"
    );
    stage.world.clock.set_ahead(-3600);
    let earlier = stage.attestation();
    assert_eq!(
        code(&stage.at(&earlier, &["uptane-cycle"])),
        "time-went-back"
    );
}

#[test]
fn what_only_the_director_has_signed_is_not_installed() {
    let stage = Stage::with("full");
    stage.world.release("old.img", &stage.plan, 1, b"old");
    stage.world.release("gateway.img", &stage.plan, 3, IMAGE);
    stage.world.assign("GATEWAY", "gateway.img");
    let attestation = stage.attestation();
    stage.at(&attestation, &["uptane-cycle"]);
    stage.at(&attestation, &["uptane-install"]);
    let evil = countersign_metadata::TargetFile::describing(b"evil");
    let evil = world::order_for(evil, 9, &stage.plan);
    let old = stage.world.order("old.img", &stage.plan);
    for (order, expected) in [
        ((path("evil.img"), evil), "target-not-found"),
        (old, "release-counter-rollback"),
    ] {
        stage.world.forge([order]);
        let attestation = stage.attestation();
        let found = stage.at(&attestation, &["uptane-cycle"]);
        assert_eq!(code(&found), expected, "{found}");
        stage.at(&attestation, &["uptane-install"]);
        assert_eq!(stage.runs().as_deref(), Some(IMAGE));
    }
}

#[test]
fn a_partially_verifying_ecu_is_given_its_image() {
    let stage = Stage::with("partial");
    stage.world.release("gateway.img", &stage.plan, 3, IMAGE);
    stage.world.assign("GATEWAY", "gateway.img");
    stage.serve_newest_targets();
    let attestation = stage.attestation();
    let found = stage.at(&attestation, &["uptane-cycle"]);
    assert_eq!(
        found["update"]["images"][0]["path"], "gateway.img",
        "{found}"
    );
    let given = stage.file("given");
    fs::write(&given, b"something else, of another length").unwrap();
    let words = ["--image-file", given.to_str().unwrap(), "uptane-install"];
    assert_eq!(stage.at(&attestation, &words)["ok"], false);
    fs::write(&given, IMAGE).unwrap();
    let attestation = stage.attestation();
    let done = stage.at(&attestation, &words);
    assert_eq!(done["ok"], true, "{done}");
    assert_eq!(stage.runs().as_deref(), Some(IMAGE));
}

/// A bundle with an image for the ECU, in a place where it has learned the time and has no network.
fn carried(verification: &str) -> (Stage, PathBuf) {
    let stage = Stage::with(verification);
    stage.world.release("gateway.img", &stage.plan, 3, IMAGE);
    stage.world.assign("GATEWAY", "gateway.img");
    let bundle = stage.world.carry("workshop");
    stage
        .world
        .service
        .lock()
        .director()
        .withdraw(&vin(CAR), &serial("GATEWAY"));
    stage.world.service.lock().publish(&vin(CAR)).unwrap();
    let metadata = stage.world.director_metadata(CAR);
    stage.serve_newest_targets();
    let attestation = stage.attestation();
    for command in ["uptane-cycle", "uptane-install"] {
        let done = stage.at(&attestation, &[command]);
        assert_eq!(done["ok"], true, "{done}");
    }
    fs::rename(&metadata, metadata.with_extension("unplugged")).unwrap();
    (stage, bundle)
}

#[test]
fn an_ecu_installs_from_a_bundle_without_a_network() {
    let (stage, bundle) = carried("full");
    let bundle = bundle.to_str().unwrap();
    assert_eq!(code(&stage.run(&["uptane-cycle"])), "time-unavailable");
    let found = stage.run(&["--bundle", bundle, "uptane-cycle"]);
    let image = &found["update"]["images"][0];
    assert_eq!(image["path"], "gateway.img", "{found}");
    let done = stage.run(&["--bundle", bundle, "uptane-install"]);
    assert_eq!(done["ok"], true, "{done}");
    assert_eq!(stage.runs().as_deref(), Some(IMAGE));
}

#[test]
fn a_partially_verifying_ecu_takes_a_bundle_too() {
    let (stage, bundle) = carried("partial");
    let bundle = bundle.to_str().unwrap();
    let found = stage.run(&["--bundle", bundle, "uptane-cycle"]);
    assert_eq!(
        found["update"]["images"][0]["path"], "gateway.img",
        "{found}"
    );
    let given = stage.file("given");
    fs::write(&given, IMAGE).unwrap();
    let image = ["--image-file", given.to_str().unwrap()];
    let words = [&["--bundle", bundle][..], &image, &["uptane-install"]].concat();
    let done = stage.run(&words);
    assert_eq!(done["ok"], true, "{done}");
    assert_eq!(stage.runs().as_deref(), Some(IMAGE));
}

#[test]
fn what_is_no_bundle_is_refused_and_uses_no_nonce_up() {
    let stage = Stage::with("full");
    let attestation = stage.attestation();
    for bundle in [stage.file("absent.tar"), stage.folder()] {
        let words = ["--bundle", bundle.to_str().unwrap(), "uptane-cycle"];
        assert_eq!(code(&stage.at(&attestation, &words)), "usage");
    }
    assert_eq!(stage.at(&attestation, &["uptane-cycle"])["ok"], true);
}

#[test]
fn provisioning_again_changes_nothing_and_another_vehicle_is_refused() {
    let stage = Stage::with("full");
    assert_eq!(code(&stage.init()), "ok");
    let config = fs::read_to_string(stage.file("vehicle.json")).unwrap();
    fs::write(stage.file("vehicle.json"), config.replace(CAR, "VIN-B")).unwrap();
    assert_eq!(code(&stage.init()), "usage");
    fs::write(
        stage.file("vehicle.json"),
        config.replace("\"vin\"", "\"Vin\""),
    )
    .unwrap();
    assert_eq!(code(&stage.init()), "usage");
}
