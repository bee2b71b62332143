//! Updates as they should be.

use std::fs;
use std::path::{Path, PathBuf};

use countersign_client::uptane::primary::EcuOutcome;
use countersign_client::uptane::secondary::Health;
use countersign_vehicle_sim::{BundlePolicy, Plan};
use countersign_verifier::Code;

use crate::world::{
    CAR, World, assert_installed, ecu, outcome, over_tcp, partial, refuses, serial, vin,
};

/// All files below a folder.
fn files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let entry = entry.unwrap();
        match entry.file_type().unwrap() {
            kind if kind.is_dir() => found.extend(files(&entry.path())),
            kind if kind.is_file() => found.push(entry.path()),
            _ => {}
        }
    }
    found
}

fn holds(file: &Path, secret: &[u8]) -> bool {
    let bytes = fs::read(file).unwrap();
    bytes.windows(secret.len()).any(|window| window == secret)
}

#[test]
fn an_honest_cycle_installs_plain_and_encrypted_images_on_all_kinds_of_ecus() {
    let primary = ecu("primary");
    let ecus = [
        ecu("full"),
        partial(ecu("partial")),
        over_tcp(ecu("full-tcp")),
        over_tcp(partial(ecu("partial-tcp"))),
    ];
    let everyone = || [&[primary.clone()][..], &ecus[..]].concat();
    let world = World::with_car(everyone());
    for ecu in everyone() {
        let name = ecu.serial.as_str();
        let image = format!("image of {name}, which is a secret\n").repeat(5000);
        match name.contains("tcp") {
            true => world.release_confidential(&format!("{name}.img"), &ecu, 1, image.as_bytes()),
            false => world.release(&format!("{name}.img"), &ecu, 1, image.as_bytes()),
        }
        world.assign(name, &format!("{name}.img"));
    }
    let cycle = world.cycle();
    assert_installed(
        &cycle,
        &["primary", "full", "partial", "full-tcp", "partial-tcp"],
    );
    for ecu in everyone() {
        let name = ecu.serial.as_str();
        let image = format!("image of {name}, which is a secret\n").repeat(5000);
        assert!(world.runs(&ecu) == image.as_bytes(), "{name}");
        assert_eq!(world.heard(name).as_deref(), Some(&*format!("{name}.img")));
    }
    // Everything is done: nothing is downloaded, nobody is asked to prepare.
    let again = world.cycle();
    assert!(
        again.refused.is_none() && again.ecus.is_empty(),
        "{again:?}"
    );
}

/// Whoever reads the server, the network or the Primary's disk sees ciphertext.
#[test]
fn nobody_but_the_ecu_has_the_plaintext_of_a_confidential_image() {
    let (primary, brake) = (ecu("primary"), ecu("brake"));
    let world = World::with_car(vec![primary, brake.clone()]);
    let secret = b"the secret of the brake";
    world.release_confidential("brake.img", &brake, 1, secret);
    world.assign("brake", "brake.img");
    assert_installed(&world.cycle(), &["brake"]);
    assert_eq!(world.runs(&brake), secret);
    let seen: Vec<PathBuf> = files(world.path())
        .into_iter()
        .filter(|file| holds(file, secret))
        .collect();
    let brake_folder = world.vehicle_folder(CAR).join("ecu-brake");
    let elsewhere: Vec<_> = seen
        .iter()
        .filter(|file| !file.starts_with(&brake_folder))
        // The Image repository keeps what it has hashed; it is not published.
        .filter(|file| {
            !file.starts_with(world.path().join("repository"))
                || file.starts_with(world.published())
        })
        .collect();
    assert!(!seen.is_empty() && elsewhere.is_empty(), "{elsewhere:?}");
}

/// A Secondary stages what it is given piece by piece: there is no second copy of the image.
#[test]
fn a_secondary_without_room_for_two_images_streams_into_its_slot() {
    let (primary, door) = (ecu("primary"), over_tcp(ecu("door")));
    let world = World::with_car(vec![primary, door.clone()]);
    let image = vec![7; 3 << 20];
    world.release_confidential("door.img", &door, 1, &image);
    world.assign("door", "door.img");
    assert_installed(&world.cycle(), &["door"]);
    let folder = world.vehicle_folder(CAR).join("ecu-door");
    let large: Vec<PathBuf> = files(&folder)
        .into_iter()
        .filter(|file| fs::metadata(file).unwrap().len() > 1 << 20)
        .collect();
    assert_eq!(large.len(), 1, "{large:?}");
    assert!(large[0].ends_with("image"), "{large:?}");
}

/// A Secondary that is not there is waited for, and nobody goes ahead alone.
#[test]
fn a_secondary_that_is_offline_holds_the_bundle_back_until_it_is_there() {
    let (primary, door) = (ecu("primary"), over_tcp(ecu("door")));
    let world = World::with_car(vec![primary.clone(), door.clone()]);
    let mut vehicle = world.start(CAR);
    let door_controls = vehicle.controls(&serial("door")).unwrap().clone();
    // It has reported once, so that the Director knows it.
    vehicle.cycle().unwrap();
    world.release("primary.img", &primary, 1, b"new primary");
    world.release("door.img", &door, 1, b"new door");
    world.assign("primary", "primary.img");
    world.assign("door", "door.img");

    door_controls.set_reachable(false);
    let cycle = vehicle.cycle().unwrap();
    assert!(
        matches!(outcome(&cycle, "door"), EcuOutcome::Unreachable(_)),
        "{cycle:?}"
    );
    assert_eq!(outcome(&cycle, "primary"), &EcuOutcome::Abandoned);
    assert!(world.runs_the_factory_image(&primary));

    door_controls.set_reachable(true);
    assert_installed(&vehicle.cycle().unwrap(), &["primary", "door"]);
    assert_eq!(world.runs(&door), b"new door");
}

/// By the other policy, the others go ahead.
#[test]
fn by_best_effort_the_others_go_ahead() {
    let world = World::new();
    let (primary, door) = (ecu("primary"), ecu("door"));
    let plan = Plan {
        bundle: BundlePolicy::BestEffort,
        ..world.plan(CAR, vec![primary.clone(), door.clone()])
    };
    world.provision_plan(CAR, &plan);
    world.release("primary.img", &primary, 1, b"new primary");
    world.release("door.img", &door, 1, b"new door");
    world.assign("primary", "primary.img");
    world.assign("door", "door.img");
    let mut vehicle = world.start(CAR);
    vehicle
        .controls(&serial("door"))
        .unwrap()
        .set_reachable(false);
    let cycle = vehicle.cycle().unwrap();
    assert_eq!(outcome(&cycle, "primary"), &EcuOutcome::Installed);
    assert_eq!(world.runs(&primary), b"new primary");
    vehicle
        .controls(&serial("door"))
        .unwrap()
        .set_reachable(true);
    assert_installed(&vehicle.cycle().unwrap(), &["door"]);
    assert_eq!(world.runs(&door), b"new door");
}

/// The new image does not start. The old one comes back, the Director hears of it and
/// does not order it again.
#[test]
fn an_image_that_fails_on_trial_is_rolled_back_reported_and_not_tried_again() {
    let (primary, door) = (ecu("primary"), ecu("door"));
    let world = World::with_car(vec![primary, door.clone()]);
    world.release("door.img", &door, 1, b"a door that does not start");
    world.assign("door", "door.img");
    let mut vehicle = world.start(CAR);
    let controls = vehicle.controls(&serial("door")).unwrap().clone();
    controls.set_health(Health::Fails("it did not start".into()));
    let cycle = vehicle.cycle().unwrap();
    assert!(refuses(&cycle, "door", Code::NotConfirmed), "{cycle:?}");
    assert!(world.runs_the_factory_image(&door));
    assert!(world.service.lock().director().orders(&vin(CAR)).is_empty());
    controls.set_health(Health::Works);
    let next = vehicle.cycle().unwrap();
    let nothing = |outcome: &EcuOutcome| *outcome == EcuOutcome::Nothing;
    assert!(
        next.refused.is_none() && next.ecus.values().all(nothing),
        "{next:?}"
    );
    assert!(world.runs_the_factory_image(&door));
    // A corrected release is installed.
    world.release("door.img", &door, 2, b"a door that starts");
    world.assign("door", "door.img");
    assert_installed(&vehicle.cycle().unwrap(), &["door"]);
}

#[test]
fn what_stands_against_an_installation_only_puts_it_off() {
    let primary = ecu("primary");
    let world = World::with_car(vec![primary.clone()]);
    world.release("a.img", &primary, 1, b"new");
    world.assign("primary", "a.img");
    let mut vehicle = world.start(CAR);
    let controls = vehicle.controls(&serial("primary")).unwrap().clone();
    controls.set_obstacle(Some("the vehicle is moving"));
    let cycle = vehicle.cycle().unwrap();
    assert!(
        refuses(&cycle, "primary", Code::PreconditionFailed),
        "{cycle:?}"
    );
    assert!(world.runs_the_factory_image(&primary));
    controls.set_obstacle(None);
    assert_installed(&vehicle.cycle().unwrap(), &["primary"]);
}
