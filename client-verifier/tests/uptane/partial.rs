//! Partial verification (5.4.4.1): a small Secondary asks the Director's Root and Targets only.

use countersign_metadata::json::Object;
use countersign_metadata::uptane::custom_with_vin;
use countersign_metadata::{Delegations, TargetFile};
use countersign_verifier::uptane::{Ecu, Installed, Partial, PartialSession, Verification};
use countersign_verifier::{Attack, Code, Context, Fed, Limits, Protocol, Reject, Reply, Step};

use crate::world::car::Car;
use crate::world::{DIRECTOR, World, check, ecu, hardware, image, other_vin, serial, vin};

fn brake() -> Ecu {
    ecu("S1", "brake-b")
}

fn cycle(car: &mut Car, world: &World) -> Result<Partial, Reject> {
    car.partial(&brake(), world)
}

/// A Secondary that has followed the honest world meets `attack`, keeps nothing of it, and goes on.
#[track_caller]
fn refused(attack: impl FnOnce(&mut World), code: Code) -> Attack {
    let mut world = World::new();
    let mut car = world.secondary(brake());
    cycle(&mut car, &world).unwrap();
    let before = car.director.clone();
    let mut evil = world.clone();
    attack(&mut evil);
    evil.publish();
    let reject = cycle(&mut car, &evil).unwrap_err();
    check(&reject, (code, "targets", DIRECTOR));
    assert_eq!(car.director, before);
    world.director.catch_up(&evil.director);
    world.publish();
    assert!(cycle(&mut car, &world).unwrap().image.is_some());
    reject.attack()
}

#[test]
fn it_is_given_the_image_for_its_own_ecu() {
    let world = World::new();
    let mut car = world.secondary(brake());
    let partial = cycle(&mut car, &world).unwrap();
    let image = partial.image.unwrap();
    assert_eq!(
        (image.ecu(), image.path().as_str()),
        (&brake(), "brake/fw.img")
    );
    assert_eq!(image.verification(), Verification::Partial);
    assert_eq!(partial.mark.version, 1);
    let nothing = car.partial(&ecu("S2", "lamp-c"), &world).unwrap();
    assert!(nothing.image.is_none());
    assert_eq!(nothing.mark, partial.mark);
}

#[test]
fn it_asks_for_root_and_targets_and_nothing_else() {
    let world = World::new();
    let mut car = world.secondary(brake());
    cycle(&mut car, &world).unwrap();
    let expected = [
        "director: fetch 2.root.json",
        "director: fetch targets.json",
        "director: save Targets 1",
    ];
    assert_eq!(car.steps(""), expected);
}

/// A session that gets the files of this world in chunks of so many bytes.
fn fed(world: &World, chunk: usize, limits: Limits) -> Result<Partial, Reject> {
    let mut car = world.secondary(brake());
    let followed = car.director_root(&world.director.files)?;
    let context = Context {
        limits,
        repository: DIRECTOR.into(),
        ..Context::new(world.now)
    };
    let mut session = Fed::new(PartialSession::new(followed, vin(), brake(), context));
    loop {
        match session.next() {
            Step::Load { .. } | Step::LoadPart { .. } => session.supply(Reply::NotFound),
            Step::Save { .. } => session.supply(Reply::Saved),
            Step::Done(outcome) => return outcome,
            Step::Fetch { what, .. } => {
                let file = &world.director.files[&what.file_name()];
                for chunk in file.chunks(chunk) {
                    if session.feed(chunk).is_err() {
                        break;
                    }
                }
                session.end_of_file();
            }
        }
    }
}

#[test]
fn its_files_may_come_in_chunks_and_are_judged_as_a_whole() {
    let mut world = World::new();
    let length = world.director.file("targets").unwrap().len();
    let limits = |targets_len: usize| Limits {
        targets_len: targets_len as u64,
        ..Limits::default()
    };
    for chunk in [1, 7, length, length + 1] {
        let partial = fed(&world, chunk, limits(length)).unwrap();
        assert!(partial.image.is_some());
        let reject = fed(&world, chunk, limits(length - 1)).unwrap_err();
        check(&reject, (Code::TooLarge, "targets", DIRECTOR));
    }
    for cut in [0, 1, length - 1] {
        let mut world = world.clone();
        world
            .director
            .files
            .get_mut("targets.json")
            .unwrap()
            .truncate(cut);
        let reject = fed(&world, 7, limits(length)).unwrap_err();
        check(&reject, (Code::Malformed, "targets", DIRECTOR));
    }
    world.director.files.get_mut("targets.json").unwrap()[length - 2] ^= 1;
    let reject = fed(&world, 7, limits(length)).unwrap_err();
    let codes = [Code::Malformed, Code::SignatureThreshold];
    assert!(codes.contains(&reject.code));
}

#[test]
fn chunks_are_taken_where_a_file_was_asked_for_and_up_to_its_bound() {
    let world = World::new();
    let mut car = world.secondary(brake());
    let followed = car.director_root(&world.director.files).unwrap();
    let limits = Limits {
        targets_len: 8,
        ..Limits::default()
    };
    let context = Context {
        limits,
        ..Context::new(world.now)
    };
    let mut session = Fed::new(PartialSession::new(followed, vin(), brake(), context));
    let feed = |session: &mut Fed<_>, chunk: &[u8]| session.feed(chunk).map_err(|r| r.code);
    assert_eq!(feed(&mut session, b"x"), Err(Code::Misuse));
    assert!(matches!(session.next(), Step::Load { .. }));
    assert_eq!(feed(&mut session, b"x"), Err(Code::Misuse));
    session.supply(Reply::NotFound);
    assert!(matches!(session.next(), Step::Fetch { max_len: 8, .. }));
    assert_eq!(feed(&mut session, b"12345678"), Ok(()));
    // Once it was too much, nothing is taken any more, however little.
    for chunk in [&b"9"[..], b""] {
        assert_eq!(feed(&mut session, chunk), Err(Code::TooLarge));
    }
    session.end_of_file();
    let Step::Done(Err(reject)) = session.next() else {
        panic!("not refused");
    };
    assert_eq!(reject.code, Code::TooLarge);
}

#[test]
fn targets_have_to_be_signed_by_the_directors_targets_keys() {
    for role in ["root", "timestamp", "snapshot"] {
        let attack = |world: &mut World| {
            let other = world.director.keys[role].clone();
            world.director.signed_by("targets", &other);
        };
        assert_eq!(
            refused(attack, Code::SignatureThreshold),
            Attack::ArbitrarySoftware
        );
    }
    refused(
        |world| world.director.signed_by("targets", &[]),
        Code::SignatureThreshold,
    );
}

#[test]
fn targets_do_not_go_back_nor_change_under_one_version() {
    let mut world = World::new();
    let mut car = world.secondary(brake());
    let old = world.clone();
    world.publish();
    cycle(&mut car, &world).unwrap();
    let reject = cycle(&mut car, &old).unwrap_err();
    check(&reject, (Code::VersionRollback, "targets", DIRECTOR));
    let other = |world: &mut World| {
        world.director.header("targets").version -= 1;
        world.director.set("targets", "x-note", "other content");
    };
    assert_eq!(refused(other, Code::SameVersion), Attack::MixAndMatch);
}

#[test]
fn targets_of_another_vehicle_are_refused_whatever_their_version() {
    for custom in [custom_with_vin(&other_vin()), Object::new()] {
        for version in [0, 1 << 40] {
            let custom = custom.clone();
            let attack = |world: &mut World| {
                world.director.set("targets", "custom", custom);
                world.director.header("targets").version = version;
            };
            assert_eq!(refused(attack, Code::VehicleMismatch), Attack::Replay);
        }
    }
}

#[test]
fn an_empty_targets_file_of_another_vehicle_does_not_say_that_there_is_nothing_to_do() {
    let attack = |world: &mut World| {
        world.name_vehicle(&other_vin());
        world.direct_nothing();
    };
    // The helper publishes the honest world again, which is another clone.
    assert_eq!(refused(attack, Code::VehicleMismatch), Attack::Replay);
}

#[test]
fn targets_that_expired_are_refused() {
    let attack = |world: &mut World| {
        world
            .director
            .set("targets", "expires", "2029-12-31T23:59:59Z");
    };
    assert_eq!(refused(attack, Code::Expired), Attack::Freeze);
}

#[test]
fn targets_do_not_delegate_and_name_no_ecu_twice() {
    let delegating = |world: &mut World| {
        let image = world.image.targets["targets"].delegations.clone();
        world.director.targets("targets").delegations = image;
    };
    refused(delegating, Code::DirectorHasDelegations);
    let twice = |world: &mut World| {
        world
            .image
            .list("targets", "other.img", image("other", "brake-b", 3));
        world.direct("other.img", &[("S1", "brake-b")]);
    };
    refused(twice, Code::EcuRepeated);
    let mut world = World::new();
    world.director.targets("targets").delegations = Some(Delegations::empty());
    world.publish();
    cycle(&mut world.secondary(brake()), &world).unwrap();
}

#[test]
fn targets_are_not_read_beyond_their_bound() {
    let world = World::new();
    let mut car = world.secondary(brake());
    car.limits = Limits {
        targets_len: 100,
        ..car.limits
    };
    let reject = cycle(&mut car, &world).unwrap_err();
    check(&reject, (Code::TooLarge, "targets", DIRECTOR));
    assert_eq!(reject.attack(), Attack::EndlessData);
}

#[test]
fn a_missing_file_costs_nothing_but_this_cycle() {
    refused(
        |world| world.director.serve("targets", |_| None),
        Code::MetadataMissing,
    );
}

#[test]
fn after_a_rotation_of_the_targets_key_it_needs_the_root() {
    let mut world = World::new();
    let mut car = world.secondary(brake());
    cycle(&mut car, &world).unwrap();
    world.director.rotate(&["targets"]);
    world.publish();
    let mut without_root = world.clone();
    without_root.director.files.remove("2.root.json");
    let reject = cycle(&mut car, &without_root).unwrap_err();
    check(&reject, (Code::SignatureThreshold, "targets", DIRECTOR));
    assert!(cycle(&mut car, &world).unwrap().image.is_some());
}

#[test]
fn versions_far_ahead_are_forgotten_with_the_targets_key() {
    let mut world = World::new();
    let mut car = world.secondary(brake());
    let honest = world.clone();
    world.director.header("targets").version = 1 << 40;
    world.publish();
    cycle(&mut car, &world).unwrap();
    let mut recovered = honest;
    recovered.publish();
    let reject = cycle(&mut car, &recovered).unwrap_err();
    check(&reject, (Code::VersionRollback, "targets", DIRECTOR));
    recovered.director.rotate(&["targets"]);
    recovered.publish();
    assert!(cycle(&mut car, &recovered).unwrap().image.is_some());
}

#[test]
fn the_last_root_has_to_be_fresh() {
    let mut world = World::new();
    let mut car = world.secondary(brake());
    world.pass(366 * 24);
    world.publish();
    let reject = cycle(&mut car, &world).unwrap_err();
    check(&reject, (Code::Expired, "root", DIRECTOR));
    world.director.publish_root();
    assert!(cycle(&mut car, &world).unwrap().image.is_some());
}

#[test]
fn its_gate_asks_for_hardware_release_counter_and_every_hash() {
    let world = World::new();
    let mut car = world.secondary(brake());
    let directed = cycle(&mut car, &world).unwrap().image.unwrap();
    let open = |own: &Ecu, last: Option<&Installed>| directed.open_image(own, last, world.now);
    let other = ecu("S1", "brake-c");
    assert_eq!(open(&other, None).unwrap_err().code, Code::HardwareMismatch);
    let newer = Installed {
        hardware_id: hardware("brake-b"),
        path: "brake/fw.img".into(),
        release_counter: 4,
        length: 1,
        hashes: TargetFile::describing(b"x").hashes,
    };
    let rollback = open(&brake(), Some(&newer)).unwrap_err();
    assert_eq!(rollback.code, Code::ReleaseCounterRollback);
    let mut stream = open(&brake(), None).unwrap();
    stream.update(b"brakX").unwrap();
    assert_eq!(stream.finish().unwrap_err().code, Code::ImageHash);
    let mut stream = open(&brake(), None).unwrap();
    stream.update(b"brake").unwrap();
    let image = stream.finish().unwrap();
    assert_eq!(
        image.directed().unwrap().verification(),
        Verification::Partial
    );
}

#[test]
fn whoever_holds_the_directors_targets_key_is_believed() {
    // The known limit of partial verification, and why a Secondary should verify in full.
    let mut world = World::new();
    let mut car = world.secondary(brake());
    cycle(&mut car, &world).unwrap();
    world.direct_nothing();
    let malware = image("malware", "brake-b", 9);
    world.direct_as("malware.img", malware, &[("S1", "brake-b")], 9);
    world.publish();
    let directed = cycle(&mut car, &world).unwrap().image.unwrap();
    assert_eq!(directed.path().as_str(), "malware.img");
    // In full it is not.
    let mut full = world.secondary(brake());
    assert_eq!(full.cycle(&world).unwrap_err().code, Code::TargetNotFound);
    assert!(!full.installed.contains_key(&serial("S1")));
}
