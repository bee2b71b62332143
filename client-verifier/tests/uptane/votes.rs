//! Delegations to several roles, of which enough have to say the same (5.4.4.8).

use countersign_metadata::uptane::Confidentiality::Required;
use countersign_metadata::uptane::ImageCustom;
use countersign_metadata::{DelegatedRole, Delegation, MultiRole, PathSet, RoleKeys, TargetFile};
use countersign_verifier::{Code, Limits, ListedTarget, Reject};

use crate::world::car::{Car, run};
use crate::world::{IMAGE, World, hardware, image, refused_in};

const PATH: &str = "brake/fw.img";
const VOTERS: [&str; 4] = ["a", "b", "c", "d"];

/// What one of several roles says of the image.
#[derive(Clone, Copy)]
enum Says {
    /// It is this.
    Is(&'static str),
    /// Nothing.
    Nothing,
    /// Its file is not there.
    Gone,
    /// Its file is not signed.
    Unsigned,
    /// Its file has expired.
    Expired,
}

use Says::{Expired, Gone, Is, Nothing, Unsigned};

/// What becomes of it.
#[derive(Debug, PartialEq, Eq)]
enum Verdict {
    /// The role of whose file it is taken, and the content.
    Found(&'static str, &'static str),
    /// Nobody answers.
    NotFound,
    /// The search ended for this reason.
    Ended(Code),
}

use Verdict::{Ended, Found, NotFound};

fn describing(content: &str) -> TargetFile {
    image(content, "brake-b", 3)
}

/// Several roles are asked first, and after them the supplier, who says "late".
fn asked(min: u32, says: &[Says]) -> World {
    let mut world = World::new();
    world.image.list("supplier", PATH, describing("late"));
    for (voter, says) in VOTERS.iter().zip(says) {
        add(&mut world, voter);
        match says {
            Is(content) => world.image.list(voter, PATH, describing(content)),
            Nothing => {}
            Gone => world.image.serve(voter, |_| None),
            Unsigned => world.image.signed_by(voter, &[]),
            Expired => world.image.set(voter, "expires", "2029-01-01T00:00:00Z"),
        }
    }
    ask(&mut world, multi(min, &VOTERS[..says.len()]));
    world
}

fn add(world: &mut World, role: &str) {
    world.image.add_key(role);
    world.image.add_role(role);
}

fn multi(min: u32, voters: &[&str]) -> MultiRole {
    let roles = voters.iter();
    let roles = roles.map(|voter| ((*voter).into(), RoleKeys::new([], 1)));
    MultiRole {
        name: "together".into(),
        roles: roles.collect(),
        min_roles_in_agreement: min,
        paths: PathSet::Patterns(vec!["brake/*".into()]),
        hardware_ids: None,
        terminating: false,
        extra: Default::default(),
    }
}

/// The top-level role delegates to these together, and then to the supplier.
fn ask(world: &mut World, multi: MultiRole) {
    let supplier = world.delegation("supplier", &["brake/*"]);
    let multi = keyed(world, multi);
    world.set_delegations("targets", vec![multi, supplier.into()]);
}

fn keyed(world: &World, mut multi: MultiRole) -> Delegation {
    for (role, keys) in &mut multi.roles {
        *keys = world.image.role_keys(role);
    }
    multi.into()
}

fn search(world: &mut World, car: &mut Car) -> Result<ListedTarget, Reject> {
    let mut trusted = car.image(world)?;
    let mut search = trusted.search(PATH);
    run(
        &mut search,
        IMAGE,
        &mut car.image,
        &world.image.files,
        &mut car.log,
    )
}

#[track_caller]
fn verdict(mut world: World) -> Verdict {
    world.publish();
    let mut car = world.primary();
    match search(&mut world, &mut car) {
        Ok(found) => {
            let roles = VOTERS.iter().chain(&["supplier", "sub"]);
            let role = roles.copied().find(|role| *role == found.role()).unwrap();
            let contents = ["X", "Y", "Z", "late"].into_iter();
            let same = |content: &&str| describing(content).hashes == found.file().hashes;
            Found(role, contents.into_iter().find(same).unwrap())
        }
        Err(reject) => {
            assert_eq!(reject.code, Code::TargetNotFound, "{reject}");
            reject.cause.map_or(NotFound, |cause| Ended(cause.code))
        }
    }
}

#[test]
fn enough_roles_that_agree_are_believed() {
    for (min, says, expected) in [
        (2, &[Is("X"), Is("X")][..], Found("a", "X")),
        (1, &[Is("X")], Found("a", "X")),
        (3, &[Is("X"), Is("X"), Is("X")], Found("a", "X")),
        (2, &[Is("X"), Is("Y"), Is("Y")], Found("b", "Y")),
        (2, &[Is("X"), Nothing, Is("X")], Found("a", "X")),
        (2, &[Nothing, Is("X"), Is("X")], Found("b", "X")),
    ] {
        assert_eq!(verdict(asked(min, says)), expected);
    }
}

#[test]
fn of_two_groups_that_are_large_enough_the_earliest_role_decides() {
    for (min, says, expected) in [
        (1, &[Is("X"), Is("Y")][..], Found("a", "X")),
        (1, &[Nothing, Is("Y"), Is("X"), Is("X")], Found("b", "Y")),
        (2, &[Is("X"), Is("Y"), Is("Y"), Is("X")], Found("a", "X")),
    ] {
        assert_eq!(verdict(asked(min, says)), expected);
    }
}

#[test]
fn too_few_that_agree_leave_it_to_the_next_delegation() {
    for (min, says) in [
        (2, &[Is("X"), Is("Y")][..]),
        (2, &[Is("X"), Nothing]),
        (2, &[Nothing, Nothing]),
        (3, &[Is("X"), Is("X"), Is("Y")]),
        (3, &[Is("X"), Is("X"), Nothing, Is("Y")]),
    ] {
        assert_eq!(verdict(asked(min, says)), Found("supplier", "late"));
    }
}

#[test]
fn one_role_alone_cannot_take_confidentiality_away() {
    let confidential = |custom: &mut ImageCustom| custom.confidentiality = Required;
    let mut world = asked(2, &[Is("X"), Is("X")]);
    world.described("b", PATH, confidential);
    assert_eq!(verdict(world), Found("supplier", "late"));
    let mut world = asked(2, &[Is("X"), Is("X")]);
    world.described("a", PATH, confidential);
    world.described("b", PATH, confidential);
    assert_eq!(verdict(world), Found("a", "X"));
}

#[test]
fn hardware_is_a_set_for_roles_that_have_to_agree() {
    let mut world = asked(2, &[Is("X"), Is("X")]);
    let ids = |names: [&str; 2]| names.map(hardware).to_vec();
    world.described("a", PATH, |custom| {
        custom.hardware_ids = ids(["brake-b", "brake-c"])
    });
    world.described("b", PATH, |custom| {
        custom.hardware_ids = ids(["brake-c", "brake-b"])
    });
    assert_eq!(verdict(world), Found("a", "X"));
}

#[test]
fn after_a_terminating_one_nobody_else_answers() {
    for says in [&[Is("X"), Is("Y")][..], &[Is("X"), Nothing]] {
        let mut world = asked(2, says);
        let together = MultiRole {
            terminating: true,
            ..multi(2, &VOTERS[..2])
        };
        ask(&mut world, together);
        assert_eq!(verdict(world), NotFound);
    }
}

#[test]
fn a_role_that_is_withheld_costs_its_voice_only() {
    for withheld in [Gone, Unsigned, Expired] {
        for says in [
            [withheld, Is("X"), Is("X")],
            [Is("X"), withheld, Is("X")],
            [Is("X"), Is("X"), withheld],
        ] {
            assert!(matches!(verdict(asked(2, &says)), Found(_, "X")));
        }
    }
}

#[test]
fn withholding_a_role_that_was_needed_lets_nobody_else_answer() {
    for (withheld, code) in [
        (Gone, Code::MetadataMissing),
        (Unsigned, Code::SignatureThreshold),
        (Expired, Code::Expired),
    ] {
        for says in [
            &[withheld, Is("X")][..],
            &[Is("X"), withheld],
            &[withheld, withheld],
            // Before the role that is withheld, one has nothing to say.
            &[Nothing, withheld, Is("X")],
            &[Nothing, Is("X"), withheld],
        ] {
            assert_eq!(verdict(asked(2, says)), Ended(code));
        }
    }
}

#[test]
fn roles_agree_on_all_that_both_repositories_have_to_agree_on() {
    type Change = fn(&mut ImageCustom);
    let changes: [(Change, bool); 4] = [
        (|custom| custom.release_counter += 1, false),
        (|custom| custom.hardware_ids.push(hardware("lamp-c")), false),
        (|custom| custom.version = Some("for people".into()), true),
        (|custom| custom.class = Some("brakes".into()), true),
    ];
    for (change, agree) in changes {
        let mut world = asked(2, &[Is("X"), Is("X")]);
        world.described("b", PATH, change);
        let expected = match agree {
            true => Found("a", "X"),
            false => Found("supplier", "late"),
        };
        assert_eq!(verdict(world), expected);
    }
    // The same hash and another length is another image.
    let mut world = asked(2, &[Is("X"), Is("X")]);
    world.image.listed("b", PATH).length += 1;
    assert_eq!(verdict(world), Found("supplier", "late"));
}

#[test]
fn each_role_may_answer_through_its_own_delegations() {
    let mut world = asked(2, &[Nothing, Is("X")]);
    add(&mut world, "sub");
    world.image.list("sub", PATH, describing("X"));
    world.delegate("a", &[("sub", &["brake/*"])]);
    assert_eq!(verdict(world), Found("sub", "X"));
}

#[test]
fn a_role_below_one_that_is_asked_ends_that_answer_only() {
    for (says, expected) in [
        ([Nothing, Is("X"), Is("X")], Found("b", "X")),
        ([Nothing, Is("X"), Nothing], Ended(Code::MetadataMissing)),
    ] {
        let mut world = asked(2, &says);
        add(&mut world, "sub");
        world.image.serve("sub", |_| None);
        world.delegate("a", &[("sub", &["brake/*"])]);
        assert_eq!(verdict(world), expected);
    }
}

#[test]
fn a_terminating_delegation_of_one_role_ends_its_answer_only() {
    let mut world = asked(2, &[Nothing, Is("X"), Is("X")]);
    add(&mut world, "sub");
    let sub = DelegatedRole {
        terminating: true,
        ..world.delegation("sub", &["brake/*"])
    };
    world.set_delegations("a", vec![sub.into()]);
    assert_eq!(verdict(world), Found("b", "X"));
}

#[test]
fn a_vote_within_a_vote_is_one_voice() {
    for (inner, expected) in [
        (["X", "X"], Found("c", "X")),
        (["X", "Y"], Found("supplier", "late")),
    ] {
        let mut world = asked(2, &[Nothing, Is("X")]);
        for (role, content) in ["c", "d"].into_iter().zip(inner) {
            add(&mut world, role);
            world.image.list(role, PATH, describing(content));
        }
        let within = keyed(&world, multi(2, &["c", "d"]));
        world.set_delegations("a", vec![within]);
        assert_eq!(verdict(world), expected);
    }
}

#[test]
fn roles_that_lead_to_themselves_do_not_vouch_for_themselves() {
    // `a` asks itself, and its own vote does not make it heard twice.
    let mut world = asked(2, &[Nothing, Is("X")]);
    let within = keyed(&world, multi(1, &["a"]));
    world.set_delegations("a", vec![within]);
    assert_eq!(verdict(world), Found("supplier", "late"));
    // In a circle.
    let mut world = asked(2, &[Nothing, Nothing]);
    world.delegate("a", &[("b", &["brake/*"])]);
    world.delegate("b", &[("a", &["brake/*"])]);
    assert_eq!(verdict(world), Found("supplier", "late"));
}

#[test]
fn a_role_is_named_once_and_a_vote_can_be_won() {
    for (min, voters) in [
        (2, &["a", "a"][..]),
        (1, &["a", "supplier"]),
        (0, &["a", "b"]),
        (3, &["a", "b"]),
        (1, &["targets"]),
        (1, &[]),
    ] {
        let mut world = World::new();
        for role in ["a", "b"] {
            add(&mut world, role);
        }
        world.publish();
        let attack = |world: &mut World| ask(world, multi(min, voters));
        refused_in(world, attack, (Code::Malformed, "targets", IMAGE));
    }
}

#[test]
fn votes_for_other_hardware_and_other_paths_are_passed_over() {
    let mut world = asked(2, &[Is("X"), Is("X")]);
    let other_hardware = MultiRole {
        hardware_ids: Some(vec![hardware("lamp-c")]),
        ..multi(2, &VOTERS[..2])
    };
    ask(&mut world, other_hardware);
    world.direct_as(PATH, describing("late"), &[("S1", "brake-b")], 3);
    world.publish();
    assert_eq!(world.primary().cycle(&world).unwrap().images.len(), 2);

    let mut world = asked(2, &[Is("X"), Is("X")]);
    let other_paths = MultiRole {
        paths: PathSet::Patterns(vec!["lamp/*".into()]),
        ..multi(2, &VOTERS[..2])
    };
    ask(&mut world, other_paths);
    assert_eq!(verdict(world), Found("supplier", "late"));
}

#[test]
fn what_was_voted_for_is_directed_and_is_fresh_as_long_as_all_who_agreed() {
    let mut world = asked(2, &[Is("X"), Is("Y"), Is("X")]);
    world.direct_as(PATH, describing("X"), &[("S1", "brake-b")], 3);
    let soon = world.now.plus_seconds(60).unwrap();
    world.image.set("c", "expires", soon.to_string());
    world.publish();
    let images = world.primary().cycle(&world).unwrap().images;
    let found = images.iter().find(|image| image.path().as_str() == PATH);
    assert_eq!(found.unwrap().valid_until(), soon);
}

#[test]
fn votes_are_bounded_like_everything_else() {
    let mut world = asked(2, &[Nothing, Nothing, Nothing, Nothing]);
    world.publish();
    let mut car = world.primary();
    car.limits = Limits {
        visited_roles: 3,
        ..car.limits
    };
    let reject = search(&mut world, &mut car).unwrap_err();
    assert_eq!((reject.code, reject.cause), (Code::TargetNotFound, None));
    assert!(car.steps("image: save Delegated").len() <= 4);
}
