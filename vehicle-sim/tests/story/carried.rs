//! Updates that are carried to a vehicle without a network (PURE-2).

use std::fs;
use std::path::Path;

use countersign_client::uptane::primary::{Cycle, EcuOutcome};
use countersign_vehicle_sim::{EcuPlan, SimError};
use countersign_verifier::Code;

use crate::world::{CAR, World, assert_installed, ecu, outcome, over_tcp, partial, refused};

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
