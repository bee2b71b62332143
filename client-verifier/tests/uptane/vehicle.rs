//! The Director's files are for one vehicle and its ECUs (5.2.3.1; 5.4.4.6 steps 6 to 8), and that
//! is checked before any of them is kept.

use countersign_metadata::json::Object;
use countersign_metadata::uptane::custom_with_vin;
use countersign_metadata::{Delegations, Roles, SuccinctRoles};
use countersign_verifier::{Attack, Code};

use crate::world::{
    DIRECTOR, IMAGE, World, check, ecu, hardware, image, other_vin, primary_of, refused, serial,
};

const FILES: [&str; 3] = ["timestamp", "snapshot", "targets"];

#[test]
fn each_file_of_the_director_names_the_vehicle() {
    for role in FILES {
        for custom in [Object::new(), custom_with_vin(&other_vin())] {
            let attack = |world: &mut World| world.director.set(role, "custom", custom);
            let expected = (Code::VehicleMismatch, role, DIRECTOR);
            assert_eq!(refused(attack, expected), Attack::Replay);
        }
        let attack = |world: &mut World| {
            world
                .director
                .edit(role, |signed| drop(signed.remove("custom")));
        };
        refused(attack, (Code::VehicleMismatch, role, DIRECTOR));
    }
}

#[test]
fn a_vehicle_is_named_by_a_text_and_nothing_else() {
    for role in FILES {
        for vin in ["", "two words", "T\u{e4}st"] {
            let attack = |world: &mut World| {
                let custom = Object::from([("vin".to_owned(), vin.into())]);
                world.director.set(role, "custom", custom);
            };
            refused(attack, (Code::Malformed, role, DIRECTOR));
        }
        let attack = |world: &mut World| world.director.set(role, "custom", "no object");
        refused(attack, (Code::Malformed, role, DIRECTOR));
    }
}

#[test]
fn nothing_of_another_vehicle_is_kept_however_high_its_versions() {
    for emptied in [false, true] {
        let mut world = World::new();
        let mut car = world.primary();
        car.cycle(&world).unwrap();
        let mut other = world.clone();
        other.name_vehicle(&other_vin());
        if emptied {
            other.direct_nothing();
        }
        for role in FILES {
            other.director.header(role).version += 1 << 40;
        }
        other.publish();
        let before = car.director.clone();
        car.steps("");
        let reject = car.cycle(&other).unwrap_err();
        check(&reject, (Code::VehicleMismatch, "timestamp", DIRECTOR));
        assert_eq!(car.director, before);
        assert!(car.steps("director: save").is_empty());
        world.publish();
        assert_eq!(car.cycle(&world).unwrap().images.len(), 2);
    }
}

#[test]
fn snapshot_and_targets_of_another_vehicle_are_not_kept_behind_an_own_timestamp() {
    for (role, saved) in [("snapshot", 1), ("targets", 2)] {
        let mut world = World::new();
        let mut car = world.primary();
        car.cycle(&world).unwrap();
        let custom = custom_with_vin(&other_vin());
        world.director.set(role, "custom", custom);
        world.director.header(role).version += 1 << 40;
        world.publish();
        car.steps("");
        let reject = car.cycle(&world).unwrap_err();
        check(&reject, (Code::VehicleMismatch, role, DIRECTOR));
        // Only the files before it: they are this vehicle's own.
        assert_eq!(car.steps("director: save").len(), saved);
    }
}

#[test]
fn a_known_vehicle_with_a_foreign_ecu_is_refused_as_a_whole() {
    let attack = |world: &mut World| {
        world.directed("pcu.img", |custom| {
            custom.ecus.insert(serial("S9"), hardware("pcu-a"));
        });
    };
    let expected = (Code::EcuUnknown, "targets", DIRECTOR);
    assert_eq!(refused(attack, expected), Attack::MixAndMatch);
}

#[test]
fn one_unknown_ecu_among_known_ones_stops_the_whole_bundle() {
    let attack =
        |world: &mut World| world.direct("brake/fw.img", &[("S1", "brake-b"), ("S9", "brake-b")]);
    refused(attack, (Code::EcuUnknown, "targets", DIRECTOR));
}

#[test]
fn an_ecu_that_was_taken_out_of_the_vehicle_is_unknown_although_it_was_known() {
    let world = World::new();
    let mut car = world.primary();
    car.cycle(&world).unwrap();
    let countersign_verifier::uptane::Ecus::All(ecus) = &mut car.vehicle.ecus else {
        panic!("a Primary knows all");
    };
    ecus.remove(&serial("S1"));
    // Nothing is fetched but Timestamp: what is stored is judged again.
    let reject = car.cycle(&world).unwrap_err();
    check(&reject, (Code::EcuUnknown, "targets", DIRECTOR));
}

#[test]
fn an_ecu_is_named_for_one_image_only() {
    let attack = |world: &mut World| {
        world
            .image
            .list("targets", "pcu2.img", image("pcu2", "pcu-a", 6));
        world.direct("pcu2.img", &[("P1", "pcu-a")]);
    };
    let expected = (Code::EcuRepeated, "targets", DIRECTOR);
    assert_eq!(refused(attack, expected), Attack::MixAndMatch);
}

#[test]
fn a_director_cannot_assign_without_end() {
    let attack = |world: &mut World| {
        for number in 0..=1024 {
            let (path, ecu) = (format!("{number}.img"), format!("S{number}"));
            let file = image("any", "pcu-a", 1);
            world.direct_as(&path, file, &[(&ecu, "pcu-a")], 1);
        }
    };
    let expected = (Code::TooLarge, "targets", DIRECTOR);
    assert_eq!(refused(attack, expected), Attack::EndlessData);
}

#[test]
fn the_director_does_not_delegate() {
    let attack = |world: &mut World| {
        let delegations = world.image.targets["targets"].delegations.clone();
        assert!(delegations.is_some());
        world.director.targets("targets").delegations = delegations;
    };
    let expected = (Code::DirectorHasDelegations, "targets", DIRECTOR);
    assert_eq!(refused(attack, expected), Attack::ArbitrarySoftware);
    let bins = |world: &mut World| {
        let bins = SuccinctRoles {
            role_keys: world.image.role_keys("supplier"),
            bit_length: 4,
            name_prefix: "bin".into(),
            extra: Object::new(),
        };
        world.director.targets("targets").delegations = Some(Delegations {
            roles: Roles::Succinct(bins),
            ..Delegations::empty()
        });
    };
    refused(bins, expected);
    // A list of nobody, as some write it, delegates nothing.
    let mut world = World::new();
    world.director.targets("targets").delegations = Some(Delegations::empty());
    world.publish();
    assert_eq!(world.primary().cycle(&world).unwrap().images.len(), 2);
}

#[test]
fn a_secondary_judges_what_is_for_itself() {
    let mut world = World::new();
    let mut secondary = world.secondary(ecu("S1", "brake-b"));
    // Whether P1 or S9 are in the vehicle, it cannot know.
    world.direct("pcu.img", &[("P1", "pcu-a"), ("S9", "pcu-a")]);
    world.publish();
    let update = secondary.cycle(&world).unwrap();
    let [image] = &update.images[..] else {
        panic!("one image for one ECU");
    };
    assert_eq!(image.ecu(), &ecu("S1", "brake-b"));
    assert_eq!(image.path().as_str(), "brake/fw.img");
}

#[test]
fn a_secondary_refuses_what_is_for_another_vehicle() {
    let mut world = World::new();
    let mut secondary = world.secondary(ecu("S1", "brake-b"));
    secondary.cycle(&world).unwrap();
    let before = secondary.director.clone();
    world.name_vehicle(&other_vin());
    world.publish();
    let reject = secondary.cycle(&world).unwrap_err();
    check(&reject, (Code::VehicleMismatch, "timestamp", DIRECTOR));
    assert_eq!(secondary.director, before);
}

#[test]
fn a_primary_that_hands_on_old_files_does_not_bring_a_secondary_back() {
    let mut world = World::new();
    let mut secondary = world.secondary(ecu("S1", "brake-b"));
    let old = world.clone();
    world.publish();
    secondary.cycle(&world).unwrap();
    let reject = secondary.cycle(&old).unwrap_err();
    check(&reject, (Code::VersionRollback, "timestamp", DIRECTOR));
    let mut mixed = world.clone();
    mixed.image = old.image;
    let reject = secondary.cycle(&mixed).unwrap_err();
    check(&reject, (Code::VersionRollback, "timestamp", IMAGE));
    assert_eq!(secondary.cycle(&world).unwrap().images.len(), 1);
}

#[test]
fn a_vehicle_of_the_same_model_takes_nothing_that_is_addressed_to_this_one() {
    let world = World::new();
    let mut other = crate::world::car::Car::provisioned(&world, primary_of(&other_vin()));
    let reject = other.cycle(&world).unwrap_err();
    check(&reject, (Code::VehicleMismatch, "timestamp", DIRECTOR));
}
