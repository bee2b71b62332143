//! Delegations of the Image repository (5.2.3.2, 5.4.4.7): who answers for an image, and what
//! ends the search.

use countersign_metadata::json::Value;
use countersign_metadata::uptane::HardwareId;
use countersign_metadata::{DelegatedRole, Delegation, KeyId, RoleKeys};
use countersign_verifier::{Attack, Code, Limits};

use crate::world::car::{Car, run};
use crate::world::{
    IMAGE, World, check, hardware, image, not_directed, refused, refused_in, serial,
};

const PATH: &str = "brake/fw.img";

/// A second role that is trusted for the brake and lists what the supplier lists.
fn second_lists_it() -> World {
    let mut world = World::new();
    world.image.add_key("second");
    world.image.add_role("second");
    let same = world.image.listed("supplier", PATH).clone();
    world.image.list("second", PATH, same);
    world.delegate(
        "targets",
        &[("supplier", &["brake/*"]), ("second", &["brake/*"])],
    );
    world.publish();
    world
}

/// The Image repository's top-level Targets delegates to these, in this order.
fn delegated(world: &mut World, roles: Vec<DelegatedRole>) {
    let roles = roles.into_iter().map(Delegation::from).collect();
    world.set_delegations("targets", roles);
}

fn only_for(kinds: &[&str]) -> Option<Vec<HardwareId>> {
    Some(kinds.iter().map(|kind| hardware(kind)).collect())
}

/// Who answers, as a TUF client asks.
fn answering(world: &World, car: &mut Car) -> String {
    let mut trusted = car.image(world).unwrap();
    let mut search = trusted.search(PATH);
    let found = run(
        &mut search,
        IMAGE,
        &mut car.image,
        &world.image.files,
        &mut car.log,
    );
    found.unwrap().role().to_owned()
}

#[track_caller]
fn not_found(world: &World) {
    let reject = world.primary().cycle(world).unwrap_err();
    assert_eq!((reject.code, reject.cause), (Code::TargetNotFound, None));
}

#[test]
fn a_delegation_may_delegate() {
    let mut world = World::new();
    world.image.add_key("sub");
    world.image.add_role("sub");
    let listed = world
        .image
        .targets("supplier")
        .targets
        .remove(PATH)
        .unwrap();
    world.image.list("sub", PATH, listed);
    world.delegate("supplier", &[("sub", &["brake/f*"])]);
    world.publish();
    let mut car = world.primary();
    assert_eq!(car.cycle(&world).unwrap().images.len(), 2);
    assert_eq!(answering(&world, &mut car), "sub");
}

#[test]
fn what_the_delegator_lists_itself_wins() {
    let mut world = World::new();
    let top = image("top", "brake-b", 4);
    world.image.list("targets", PATH, top.clone());
    world.direct_as(PATH, top, &[("S1", "brake-b")], 4);
    world.publish();
    let mut car = world.primary();
    assert_eq!(car.cycle(&world).unwrap().images.len(), 2);
    assert_eq!(answering(&world, &mut car), "targets");
    assert!(
        car.steps("image: fetch")
            .iter()
            .all(|step| !step.contains("supplier"))
    );
}

#[test]
fn a_delegation_for_other_paths_is_not_asked() {
    let mut world = World::new();
    world.delegate(
        "targets",
        &[("supplier", &["lamp/*", "brake", "brake/*/*"])],
    );
    world.publish();
    not_found(&world);
}

#[test]
fn a_delegation_for_other_hardware_is_passed_over() {
    let mut world = second_lists_it();
    let mut supplier = world.delegation("supplier", &["brake/*"]);
    supplier.hardware_ids = only_for(&["lamp-c", "pcu-a"]);
    // Were it asked, it would end the search.
    supplier.terminating = true;
    world.image.serve("supplier", |_| None);
    let second = world.delegation("second", &["brake/*"]);
    delegated(&mut world, vec![supplier.clone(), second]);
    world.publish();
    assert_eq!(world.primary().cycle(&world).unwrap().images.len(), 2);
    delegated(&mut world, vec![supplier]);
    world.publish();
    not_found(&world);
}

#[test]
fn a_delegation_for_this_hardware_is_asked() {
    let mut world = World::new();
    let mut supplier = world.delegation("supplier", &["brake/*"]);
    supplier.hardware_ids = only_for(&["lamp-c", "brake-b"]);
    delegated(&mut world, vec![supplier]);
    world.publish();
    assert_eq!(world.primary().cycle(&world).unwrap().images.len(), 2);
}

#[test]
fn hardware_is_asked_for_per_ecu() {
    // One image for two kinds of hardware, and a supplier who is trusted for one of them.
    let mut world = World::new();
    world.described("supplier", PATH, |custom| {
        custom.hardware_ids.push(hardware("lamp-c"))
    });
    world.direct(PATH, &[("S1", "brake-b"), ("S2", "lamp-c")]);
    let mut supplier = world.delegation("supplier", &["brake/*"]);
    supplier.hardware_ids = only_for(&["brake-b"]);
    delegated(&mut world, vec![supplier]);
    world.publish();
    not_found(&world);
}

#[test]
fn a_delegation_for_no_hardware_at_all_is_malformed() {
    let attack = |world: &mut World| {
        let mut supplier = world.delegation("supplier", &["brake/*"]);
        supplier.hardware_ids = Some(Vec::new());
        delegated(world, vec![supplier]);
    };
    refused(attack, (Code::Malformed, "targets", IMAGE));
}

#[test]
fn a_tuf_client_does_not_ask_for_hardware() {
    let mut world = World::new();
    let mut supplier = world.delegation("supplier", &["brake/*"]);
    supplier.hardware_ids = only_for(&["lamp-c"]);
    delegated(&mut world, vec![supplier]);
    world.publish();
    assert_eq!(answering(&world, &mut world.primary()), "supplier");
}

#[test]
fn a_role_that_cannot_be_had_or_believed_ends_the_search() {
    type Attack = fn(&mut World);
    let attacks: [(Attack, Code); 7] = [
        (
            |world| world.image.signed_by("supplier", &[]),
            Code::SignatureThreshold,
        ),
        (
            |world| {
                let second = world.image.keys["second"].clone();
                world.image.signed_by("supplier", &second);
            },
            Code::SignatureThreshold,
        ),
        (
            // A key that is not there.
            |world| {
                let mut supplier = world.delegation("supplier", &["brake/*"]);
                let nobody = KeyId::new("nobody").unwrap();
                supplier.role_keys = RoleKeys::new([nobody], 1);
                let second = world.delegation("second", &["brake/*"]);
                delegated(world, vec![supplier, second]);
            },
            Code::SignatureThreshold,
        ),
        (
            |world| world.image.serve("supplier", |_| None),
            Code::MetadataMissing,
        ),
        (
            |world| {
                let past = "2029-01-01T00:00:00Z";
                world.image.set("supplier", "expires", past);
            },
            Code::Expired,
        ),
        (
            |world| world.image.set("supplier", "version", 77u64),
            Code::VersionMismatch,
        ),
        (
            |world| world.image.write("supplier", |file| file + "x"),
            Code::Malformed,
        ),
    ];
    for (attack, code) in attacks {
        refused_in(second_lists_it(), attack, (code, "supplier", IMAGE));
    }
}

#[test]
fn a_role_that_snapshot_does_not_list_ends_the_search() {
    let mut world = second_lists_it();
    world.image.edit("snapshot", |signed| {
        let Some(Value::Object(meta)) = signed.get_mut("meta") else {
            panic!("a Snapshot has meta");
        };
        meta.remove("supplier.json");
    });
    world.publish();
    // To a car that never saw it listed.
    let reject = world.primary().cycle(&world).unwrap_err();
    check(&reject, (Code::RoleNotInSnapshot, "supplier", IMAGE));
    assert_eq!(reject.attack(), Attack::MixAndMatch);
}

#[test]
fn nobody_answers_after_a_terminating_delegation() {
    let mut world = second_lists_it();
    world.image.targets("supplier").targets.clear();
    world.publish();
    // The second one is asked ...
    assert_eq!(answering(&world, &mut world.primary()), "second");
    let mut supplier = world.delegation("supplier", &["brake/*"]);
    supplier.terminating = true;
    let second = world.delegation("second", &["brake/*"]);
    delegated(&mut world, vec![supplier, second]);
    world.publish();
    // ... and then is not.
    not_found(&world);
    let mut car = world.primary();
    car.cycle(&world).unwrap_err();
    assert!(
        car.steps("image: fetch")
            .iter()
            .all(|step| !step.contains("second"))
    );
}

#[test]
fn the_first_answer_counts_even_where_a_later_one_would_suit_the_director() {
    let mut world = second_lists_it();
    world
        .image
        .list("supplier", PATH, image("other", "brake-b", 3));
    world.publish();
    let reject = world.primary().cycle(&world).unwrap_err();
    check(&reject, (Code::DirectorImageMismatch, "supplier", IMAGE));
}

#[test]
fn a_cycle_of_delegations_ends() {
    let mut world = World::new();
    world.image.add_key("sub");
    world.image.add_role("sub");
    world.image.targets("supplier").targets.clear();
    world.delegate("supplier", &[("sub", &["brake/*"])]);
    world.delegate("sub", &[("supplier", &["brake/*"]), ("sub", &["brake/*"])]);
    world.publish();
    let mut car = world.primary();
    let reject = car.cycle(&world).unwrap_err();
    assert_eq!((reject.code, reject.cause), (Code::TargetNotFound, None));
    assert_eq!(car.steps("image: fetch").len(), 6, "each file once");
}

#[test]
fn deep_and_wide_delegations_are_visited_up_to_a_bound() {
    let bound = 8;
    for deep in [true, false] {
        let mut world = World::new();
        world.image.targets("supplier").targets.clear();
        let names: Vec<String> = (0..20).map(|number| format!("r{number}")).collect();
        for name in &names {
            world.image.add_key(name);
            world.image.add_role(name);
        }
        let paths: &[&str] = &["brake/*"];
        let all: Vec<_> = names.iter().map(|name| (name.as_str(), paths)).collect();
        match deep {
            true => {
                world.delegate("supplier", &all[..1]);
                for pair in all.windows(2) {
                    world.delegate(pair[0].0, &pair[1..]);
                }
            }
            false => world.delegate("supplier", &all),
        }
        // Only the last one has it.
        world.image.list("r19", PATH, image("brake", "brake-b", 3));
        world.publish();
        let mut car = world.primary();
        car.limits = Limits {
            visited_roles: bound,
            ..car.limits
        };
        let reject = car.cycle(&world).unwrap_err();
        assert_eq!(reject.code, Code::TargetNotFound);
        // The top-level role counts.
        let delegated = car.steps("image: save Delegated");
        assert_eq!(delegated.len(), bound - 1);
        car.limits = Limits::default();
        assert_eq!(car.cycle(&world).unwrap().images.len(), 2);
    }
}

#[test]
fn a_delegation_cannot_take_the_name_of_a_top_level_role() {
    for name in ["root", "timestamp", "snapshot", "targets"] {
        let attack = |world: &mut World| {
            let mut supplier = world.delegation("supplier", &["brake/*"]);
            supplier.name = name.into();
            delegated(world, vec![supplier]);
        };
        refused(attack, (Code::Malformed, "targets", IMAGE));
    }
}

#[test]
fn a_supplier_is_believed_for_its_own_paths_only() {
    let attack = |world: &mut World| {
        world
            .image
            .list("supplier", "lamp/fw.img", image("malware", "lamp-c", 9));
        world.direct("lamp/fw.img", &[("S2", "lamp-c")]);
    };
    not_directed(attack, (Code::TargetNotFound, "", IMAGE));
}

#[test]
fn what_a_supplier_delegates_stays_within_what_it_was_delegated() {
    let mut world = World::new();
    world.image.add_key("sub");
    world.image.add_role("sub");
    world
        .image
        .list("sub", "lamp/fw.img", image("malware", "lamp-c", 9));
    world.delegate("supplier", &[("sub", &["*", "lamp/*"])]);
    world.direct("lamp/fw.img", &[("S2", "lamp-c")]);
    world.publish();
    not_found(&world);
}

#[test]
fn a_delegation_that_was_taken_back_is_not_asked_any_more() {
    let mut world = World::new();
    let mut car = world.primary();
    car.cycle(&world).unwrap();
    world.delegate("targets", &[]);
    world.publish();
    let reject = car.cycle(&world).unwrap_err();
    assert_eq!(reject.code, Code::TargetNotFound);
    assert!(!car.installed.contains_key(&serial("S1")));
    // And back to the supplier under new keys; what the old ones signed is not used.
    world.image.keys.remove("supplier");
    world.image.add_key("supplier");
    world.delegate("targets", &[("supplier", &["brake/*"])]);
    world.publish();
    assert_eq!(car.cycle(&world).unwrap().images.len(), 2);
}

#[test]
fn a_key_that_was_taken_from_a_supplier_signs_nothing_any_more() {
    let mut world = World::new();
    let mut car = world.primary();
    car.cycle(&world).unwrap();
    let stolen = world.image.keys.remove("supplier").unwrap();
    world.image.add_key("supplier");
    world.delegate("targets", &[("supplier", &["brake/*"])]);
    world.image.signed_by("supplier", &stolen);
    world.publish();
    let reject = car.cycle(&world).unwrap_err();
    check(&reject, (Code::SignatureThreshold, "supplier", IMAGE));
    world.publish();
    assert_eq!(car.cycle(&world).unwrap().images.len(), 2);
}

#[test]
fn only_the_roles_on_the_way_are_fetched() {
    let mut world = second_lists_it();
    world.image.add_key("elsewhere");
    world.image.add_role("elsewhere");
    world.delegate(
        "targets",
        &[
            ("elsewhere", &["lamp/*"]),
            ("supplier", &["brake/*"]),
            ("second", &["brake/*"]),
        ],
    );
    world.publish();
    let mut car = world.primary();
    car.cycle(&world).unwrap();
    let fetched = car.steps("image: save Delegated");
    assert_eq!(fetched, ["image: save Delegated(\"supplier\") 3"]);
}
