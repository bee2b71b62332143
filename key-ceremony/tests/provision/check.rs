//! Checking a bundle again.

use std::fs;
use std::path::Path;

use countersign_ceremony::provision::{TimeGiven, check, gather};
use countersign_metadata::sha256;
use serde_json::Value;

use crate::stage::{HONEST, NOW, Stage, TIMED, files, time, vectors};

#[track_caller]
fn refused(folder: &Path, says: &str) {
    let error = check(folder, time(NOW)).expect_err(says);
    assert_eq!(error.exit_code(), 1);
    assert!(
        error.to_string().contains(says),
        "{says:?} is not in: {error}"
    );
}

/// Changes a file, and its entry in the manifest.
fn forge(folder: &Path, name: &str, content: &[u8]) {
    fs::write(folder.join(name), content).unwrap();
    let path = folder.join("manifest.json");
    let mut manifest: Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
    manifest["files"][name]["length"] = content.len().into();
    manifest["files"][name]["sha256"] = hex::encode(sha256(content)).into();
    fs::write(path, serde_json::to_vec_pretty(&manifest).unwrap()).unwrap();
}

#[test]
fn what_was_made_is_good_whatever_is_in_it() {
    for (stage, devices) in [
        (Stage::with(HONEST), true),
        (Stage::with(HONEST).roots_only(), false),
        (Stage::plain(), false),
        (Stage::plain().roots_only(), false),
    ] {
        let rows = Some(stage.row()).filter(|_| devices).into_iter().collect();
        let bundle = stage.gather(rows).unwrap();
        let out = stage.make(&bundle, "out");
        let again = check(&out, time(NOW)).unwrap_or_else(|error| panic!("{error}"));
        assert_eq!(again.words(), bundle.words());
        assert_eq!(again.review().to_text(9), bundle.review().to_text(9));
    }
    let stage = Stage::with(TIMED);
    let mut order = stage.order(vec![stage.row()]);
    order.time = TimeGiven::Attested(vectors("uptane-time/honest/given/1-attestation"));
    let bundle = gather(&order, time(NOW)).unwrap();
    assert!(check(&stage.make(&bundle, "out"), time(NOW)).is_ok());
}

#[test]
fn any_change_of_any_file_is_found() {
    let stage = Stage::with(HONEST);
    let out = stage.make(&stage.bundle(), "out");
    for (name, content) in files(&out) {
        let path = out.join(&name);
        fs::write(&path, [&content[..], b"\n"].concat()).unwrap();
        assert!(check(&out, time(NOW)).is_err(), "{name} is longer");
        fs::remove_file(&path).unwrap();
        assert!(check(&out, time(NOW)).is_err(), "{name} is missing");
        fs::write(&path, &content).unwrap();
    }
    assert!(check(&out, time(NOW)).is_ok(), "all is as it was");
    fs::write(out.join("stray.json"), "{}").unwrap();
    refused(&out, "the manifest does not list it");
    fs::remove_file(out.join("stray.json")).unwrap();
    std::os::unix::fs::symlink("/etc/passwd", out.join("link")).unwrap();
    refused(&out, "neither a file nor a folder");
}

#[test]
fn a_manifest_that_was_changed_as_well_does_not_help() {
    let own = "devices/VIN-OF-THIS-CAR/P1";
    let change = |name: &str, from: &str, to: &str, says: &str| {
        let stage = Stage::with(HONEST);
        let out = stage.make(&stage.bundle(), "out");
        let text = String::from_utf8(fs::read(out.join(name)).unwrap()).unwrap();
        assert!(text.contains(from), "{name}: {text}");
        forge(&out, name, text.replace(from, to).as_bytes());
        refused(&out, says);
    };
    let vehicle = format!("{own}/vehicle.json");
    change(&vehicle, "pcu-a", "pcu-b", "vehicle.json");
    change(&vehicle, "\"P1\"", "\"P2\"", "vehicle.json");
    change(&vehicle, "report.pem", "other.pem", "vehicle.json");
    change(
        &format!("{own}/map.json"),
        "director.example",
        "evil.example",
        "map.json",
    );
    change(
        &format!("{own}/ecu-state.json"),
        "\"releaseCounter\": 4",
        "\"releaseCounter\": 1",
        "ecu-state.json",
    );
    change(
        &format!("{own}/director/targets.json"),
        "\"version\":1",
        "\"version\":2",
        "would refuse",
    );
    change(
        "director/root.json",
        "\"threshold\":1",
        "\"threshold\":2",
        "root.json",
    );
    change(
        "time.json",
        "2030-01-31",
        "2030-01-30",
        "is not what the Roots",
    );
    change("review.txt", "Gateway", "Getaway", "review.txt");
    change("model.json", "\"format\"", "\"fromat\"", "model.json");

    // What is honest in itself, and other than what was reviewed, has other words.
    let stage = Stage::with(HONEST);
    let bundle = stage.bundle();
    let other = Stage::with(HONEST).but("pcu.img\"\nrel", "other.img\"\nrel");
    let out = other.make(&other.bundle(), "out");
    assert_ne!(check(&out, time(NOW)).unwrap().words(), bundle.words());
}

#[test]
fn a_manifest_leads_nowhere_else() {
    let stage = Stage::with(HONEST);
    let out = stage.make(&stage.bundle(), "out");
    let path = out.join("manifest.json");
    let text = String::from_utf8(fs::read(&path).unwrap()).unwrap();
    fs::write(&path, text.replace("\"map.json\"", "\"../profile.toml\"")).unwrap();
    assert!(check(&out, time(NOW)).is_err());
    fs::write(&path, text.replace("provision-1", "provision-2")).unwrap();
    refused(&out, "countersign-provision-1");
    fs::write(&path, "{").unwrap();
    refused(&out, "manifest.json");
}

#[test]
fn an_expired_root_is_found_though_nothing_has_changed() {
    let stage = Stage::with(HONEST);
    let out = stage.make(&stage.bundle(), "out");
    let error = check(&out, time("2100-01-01T00:00:00Z")).expect_err("it has expired");
    assert!(error.to_string().contains("expired at"), "{error}");
    // Metadata is a floor, and may have expired since.
    assert!(check(&out, time("2099-12-31T00:00:00Z")).is_ok());
}
