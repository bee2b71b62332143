//! Updates that are carried to a vehicle without a network (PURE-2).

use std::fs;
use std::io::Read as _;
use std::path::Path;

use countersign_client::fetch::FetchError;
use countersign_client::uptane::bundle::BundleWriter;
use countersign_client::uptane::primary::{Cycle, DirectorLink, EcuOutcome};
use countersign_client::uptane::secondary::Health;
use countersign_metadata::uptane::Nonce;
use countersign_vehicle_sim::{EcuPlan, SimError};
use countersign_verifier::Code;

use crate::world::{
    CAR, World, assert_installed, ecu, outcome, over_tcp, partial, refused, refuses, vin,
};

/// One of each kind.
fn ecus() -> [EcuPlan; 3] {
    [
        ecu("primary"),
        over_tcp(ecu("brake")),
        over_tcp(partial(ecu("lamp"))),
    ]
}

impl World {
    /// The usual vehicle, which was on the road once.
    fn with_driven_car() -> Self {
        let world = Self::with_car(ecus().to_vec());
        assert_eq!(refused(&world.cycle()), None);
        world
    }

    fn release_for_all(&self, counter: u64, image: &str) {
        for ecu in ecus() {
            let name = ecu.serial.as_str();
            let image = format!("{image} of {name}").repeat(1000);
            match name {
                "brake" => self.release_confidential("brake.img", &ecu, counter, image.as_bytes()),
                _ => self.release(&format!("{name}.img"), &ecu, counter, image.as_bytes()),
            }
            self.assign(name, &format!("{name}.img"));
        }
    }

    fn all_run(&self, image: &str) -> bool {
        let runs = |ecu: &EcuPlan| {
            let expected = format!("{image} of {}", ecu.serial);
            self.runs(ecu).starts_with(expected.as_bytes())
        };
        ecus().iter().all(runs)
    }

    /// What the usual vehicle makes of a stick in a garage without a network.
    fn try_to_install(&self, bundle: &Path) -> Result<Cycle, SimError> {
        self.service.lock().set_reachable(false);
        let cycle = self.start(CAR).cycle_from(bundle);
        self.service.lock().set_reachable(true);
        cycle
    }

    fn install(&self, bundle: &Path) -> Cycle {
        self.try_to_install(bundle).unwrap()
    }

    /// Takes the repositories off the network.
    fn unplug(&self) {
        for folder in [self.published(), self.director_metadata(CAR)] {
            fs::rename(&folder, folder.with_extension("unplugged")).unwrap();
        }
    }

    fn plug_in(&self) {
        for folder in [self.published(), self.director_metadata(CAR)] {
            fs::rename(folder.with_extension("unplugged"), &folder).unwrap();
        }
    }
}

#[test]
fn all_kinds_of_ecus_take_their_images_from_a_stick() {
    let world = World::with_driven_car();
    world.release_for_all(1, "spring");
    let bundle = world.carry("spring");
    world.unplug();
    let cycle = world.install(&bundle);
    assert_eq!(refused(&cycle), None);
    assert!(cycle.unreported.is_some());
    for ecu in ecus() {
        let name = ecu.serial.as_str();
        assert_eq!(outcome(&cycle, name), &EcuOutcome::Installed, "{cycle:?}");
    }
    assert!(world.all_run("spring"));
    // The stick is still there at the next start.
    let again = world.install(&bundle);
    assert!(
        again.ecus.is_empty() && again.images.is_empty(),
        "{again:?}"
    );

    // Back on the road, the director hears of it, and nobody goes back.
    world.plug_in();
    assert_eq!(world.heard("brake").as_deref(), Some("factory.img"));
    let online = world.cycle();
    assert_eq!((refused(&online), &online.unreported), (None, &None));
    assert_eq!(world.heard("brake").as_deref(), Some("brake.img"));
    world.release_for_all(2, "summer");
    assert_installed(&world.cycle(), &["primary", "brake", "lamp"]);
    assert!(world.all_run("summer"));
}

#[test]
fn an_older_stick_takes_nothing_back() {
    let world = World::with_driven_car();
    world.release_for_all(1, "spring");
    let old = world.carry("garage");
    let kept = old.with_extension("old");
    fs::rename(&old, &kept).unwrap();
    world.release_for_all(2, "summer");
    let new = world.carry("garage");
    world.install(&new);
    assert!(world.all_run("summer"));
    // What is known of this bundle's name is newer; its images are those that run.
    let again = world.install(&kept);
    assert_eq!(refused(&again), None);
    assert!(world.all_run("summer"));
}

#[test]
fn a_stick_of_another_name_takes_nothing_back_either() {
    let world = World::with_driven_car();
    world.release_for_all(1, "spring");
    let old = world.carry("spring");
    world.release_for_all(2, "summer");
    world.install(&world.carry("summer"));
    assert!(world.all_run("summer"));
    // The Image repository of the newer stick is known, and lists other images.
    let cycle = world.install(&old);
    assert_eq!(refused(&cycle), Some(Code::DirectorImageMismatch));
    assert!(world.all_run("summer"));
}

#[test]
fn of_two_sticks_the_older_images_are_refused_by_their_release_counters() {
    let [primary, ..] = ecus();
    let world = World::with_driven_car();
    for (counter, name) in [(1, "spring"), (2, "summer")] {
        let image = format!("{name}.img");
        world.release(&image, &primary, counter, name.as_bytes());
        world.assign("primary", &image);
        world.carry(name);
    }
    let stick = |name: &str| world.path().join(format!("{name}.tar"));
    world.install(&stick("summer"));
    assert_eq!(world.runs(&primary), b"summer");
    let cycle = world.install(&stick("spring"));
    assert_eq!(refused(&cycle), Some(Code::ReleaseCounterRollback));
    assert_eq!(world.runs(&primary), b"summer");
}

#[test]
fn the_older_file_of_another_stick_does_not_pass_as_the_newer_one() {
    let world = World::with_driven_car();
    world.release_for_all(1, "spring");
    let old = fs::read(world.carry("spring")).unwrap();
    world.release_for_all(2, "summer");
    let bundle = world.carry("summer");
    let honest = fs::read(&bundle).unwrap();
    fs::write(&bundle, with_file_of(&honest, "summer", &old, "spring")).unwrap();
    let cycle = world.install(&bundle);
    assert_eq!(refused(&cycle), Some(Code::OfflineNameMismatch));
    fs::write(&bundle, &honest).unwrap();
    world.install(&bundle);
    assert!(world.all_run("summer"));
}

/// The bundle `honest`, with the Offline Targets file of another one under its own name.
fn with_file_of(honest: &[u8], name: &str, other: &[u8], other_name: &str) -> Vec<u8> {
    let targets = |name: &str| format!("director/offline/{name}.json");
    let members = |tar: &[u8]| -> Vec<(String, Vec<u8>)> {
        let mut archive = tar::Archive::new(tar);
        let entries = archive.entries().unwrap();
        let read = entries.map(|entry| {
            let mut entry = entry.unwrap();
            let path = entry.path().unwrap().to_str().unwrap().to_owned();
            let mut bytes = Vec::new();
            entry.read_to_end(&mut bytes).unwrap();
            (path, bytes)
        });
        read.collect()
    };
    let (_, foreign) = members(other)
        .into_iter()
        .find(|(path, _)| *path == targets(other_name))
        .unwrap();
    let mut writer = BundleWriter::new(Vec::new());
    for (path, bytes) in members(honest) {
        let bytes = match path == targets(name) {
            true => &foreign,
            false => &bytes,
        };
        writer.add(&path, bytes.len() as u64, &bytes[..]).unwrap();
    }
    writer.finish().unwrap()
}

#[test]
fn the_stick_and_the_network_do_not_undo_each_other() {
    let [primary, ..] = ecus();
    let world = World::with_driven_car();
    let assign = |counter: u64, name: &str| {
        let image = format!("{name}.img");
        world.release(&image, &primary, counter, name.as_bytes());
        world.assign("primary", &image);
    };
    assign(1, "road");
    assert_installed(&world.cycle(), &["primary"]);
    // What is on the stick is newer than what the director goes on to ask for.
    let online = world.service.lock().director().orders(&vin(CAR));
    assign(2, "garage");
    let bundle = world.carry("garage");
    world.forge(online);
    assert_eq!(refused(&world.cycle()), None);
    world.install(&bundle);
    assert_eq!(world.runs(&primary), b"garage");
    for _ in 0..3 {
        let online = world.cycle();
        assert_eq!(refused(&online), None, "{online:?}");
        let carried = world.install(&bundle);
        assert!(carried.images.is_empty(), "{carried:?}");
        assert_eq!(world.runs(&primary), b"garage");
    }
}

#[test]
fn an_image_on_a_stick_that_does_not_work_is_not_tried_at_every_start() {
    let [primary, ..] = ecus();
    let world = World::with_driven_car();
    world.release("bad.img", &primary, 1, b"does not start");
    world.assign("primary", "bad.img");
    let bundle = world.carry("garage");
    world
        .service
        .lock()
        .director()
        .withdraw(&vin(CAR), &primary.serial);
    world.service.lock().publish(&vin(CAR)).unwrap();
    let mut vehicle = world.start(CAR);
    let controls = vehicle.controls(&primary.serial).unwrap().clone();
    controls.set_health(Health::Fails("it hangs".into()));
    let cycle = vehicle.cycle_from(&bundle).unwrap();
    assert!(refuses(&cycle, "primary", Code::NotConfirmed), "{cycle:?}");
    for _ in 0..3 {
        assert_eq!(refused(&vehicle.cycle().unwrap()), None);
        let again = vehicle.cycle_from(&bundle).unwrap();
        assert!(again.images.is_empty(), "{again:?}");
    }
    assert!(world.runs_the_factory_image(&primary));
}

/// A network in which somebody answers everything with something.
struct Portal;

impl DirectorLink for Portal {
    fn put_manifest(&mut self, _: &[u8]) -> Result<(), FetchError> {
        Ok(())
    }

    fn attest(&mut self, _: &[Nonce]) -> Result<Option<Vec<u8>>, FetchError> {
        Ok(Some(b"<html>Please log in</html>".to_vec()))
    }
}

#[test]
fn a_network_that_answers_nonsense_is_no_worse_than_none() {
    let world = World::with_driven_car();
    world.release_for_all(1, "spring");
    let bundle = world.carry("spring");
    let cycle = world.start_with(CAR, Portal).cycle_from(&bundle).unwrap();
    assert_installed(&cycle, &["primary", "brake", "lamp"]);
}

#[test]
fn a_vehicle_that_never_knew_the_time_takes_no_stick() {
    let world = World::with_car(ecus().to_vec());
    world.release_for_all(1, "spring");
    let bundle = world.carry("spring");
    let cycle = world.install(&bundle);
    assert_eq!(refused(&cycle), Some(Code::TimeUnavailable));
    // With a network there is a time, and the stick will do.
    let cycle = world.start(CAR).cycle_from(&bundle).unwrap();
    assert_installed(&cycle, &["primary", "brake", "lamp"]);
}

#[test]
fn a_stick_that_somebody_has_changed_is_refused() {
    for (text, code) in [
        ("spring of primary", Code::ImageHash),
        ("\"spring.json\"", Code::SignatureThreshold),
        ("\"vins\"", Code::SignatureThreshold),
        ("\"wrappedKeys\"", Code::SignatureThreshold),
        ("\"encryption\"", Code::MetadataHash),
    ] {
        let world = World::with_driven_car();
        world.release_for_all(1, "spring");
        let bundle = world.carry("spring");
        let honest = fs::read(&bundle).unwrap();
        let mut windows = honest.windows(text.len());
        let at = windows.position(|window| window == text.as_bytes());
        let mut bytes = honest.clone();
        bytes[at.unwrap_or_else(|| panic!("no {text} in it")) + 3] ^= 1;
        fs::write(&bundle, &bytes).unwrap();
        let cycle = world.install(&bundle);
        assert_eq!(refused(&cycle), Some(code), "{text}: {cycle:?}");
        for ecu in ecus() {
            assert!(world.runs_the_factory_image(&ecu));
        }
        fs::write(&bundle, &honest).unwrap();
        world.install(&bundle);
        assert!(world.all_run("spring"));
    }
}

#[test]
fn a_stick_that_was_cut_off_is_refused() {
    let world = World::with_driven_car();
    world.release_for_all(1, "spring");
    let bundle = world.carry("spring");
    let honest = fs::read(&bundle).unwrap();
    for length in (0..honest.len()).step_by(honest.len() / 16) {
        fs::write(&bundle, &honest[..length]).unwrap();
        match world.try_to_install(&bundle) {
            Err(SimError::Bundle(_)) => {}
            other => assert!(refused(&other.unwrap()).is_some()),
        }
    }
    fs::write(&bundle, &honest).unwrap();
    world.install(&bundle);
    assert!(world.all_run("spring"));
}

#[test]
fn a_stick_for_another_vehicle_is_refused() {
    let world = World::with_driven_car();
    world.release_for_all(1, "spring");
    let bundle = world.carry("spring");
    world.provision("VIN-B", vec![ecu("b-primary")]);
    assert_eq!(refused(&world.start("VIN-B").cycle().unwrap()), None);
    let cycle = world.start("VIN-B").cycle_from(&bundle);
    assert_eq!(refused(&cycle.unwrap()), Some(Code::VehicleMismatch));
}

#[test]
fn a_stick_that_lay_about_for_too_long_is_refused() {
    let world = World::with_driven_car();
    world.release_for_all(1, "spring");
    let bundle = world.carry("spring");
    world.clock.set_ahead(40 * 86_400);
    // On the road the vehicle learns what time it is; the Image repository has been left alone, too.
    assert_eq!(refused(&world.cycle()), Some(Code::Expired));
    let cycle = world.install(&bundle);
    assert_eq!(refused(&cycle), Some(Code::Expired));
}
