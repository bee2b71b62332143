//! Which images go together.

#![allow(clippy::unwrap_used, reason = "a test that cannot set up has failed")]

use std::collections::BTreeMap;

use countersign_director_domain::plan::{Image, NoPlan, Plan, Slot, plan};
use countersign_metadata::TargetPath;
use countersign_metadata::json::Object;
use countersign_metadata::uptane::{
    ConstrainedImage, Constraint, EcuSerial, HardwareId, ImageCustom,
};
use proptest::collection::vec;
use proptest::prelude::*;

fn serial(name: &str) -> EcuSerial {
    EcuSerial::new(name).unwrap()
}

fn image(path: &str, counter: u64) -> Image {
    let hardware = vec![HardwareId::new("any").unwrap()];
    Image {
        path: TargetPath::new(path).unwrap(),
        custom: ImageCustom::new(hardware, counter),
    }
}

fn named(path: &str, least: Option<u64>, most: Option<u64>) -> Constraint {
    Constraint {
        image: ConstrainedImage::Filename(path.into()),
        min_release_counter: least,
        max_release_counter: most,
        extra: Object::new(),
    }
}

fn needs(mut image: Image, constraint: Constraint) -> Image {
    image.custom.dependencies.push(constraint);
    image
}

fn conflicts(mut image: Image, constraint: Constraint) -> Image {
    image.custom.conflicts.push(constraint);
    image
}

fn slot(installed: Image) -> Slot {
    Slot {
        installed: Some(installed),
        ..Slot::default()
    }
}

fn wanting(installed: Image, wanted: Image) -> Slot {
    Slot {
        wanted: Some(wanted),
        ..slot(installed)
    }
}

fn vehicle<const N: usize>(slots: [(&str, Slot); N]) -> BTreeMap<EcuSerial, Slot> {
    slots.map(|(name, slot)| (serial(name), slot)).into()
}

fn paths(plan: &Plan) -> Vec<(&str, &str)> {
    plan.iter()
        .map(|(serial, image)| (serial.as_str(), image.path.as_str()))
        .collect()
}

#[track_caller]
fn refused(slots: &BTreeMap<EcuSerial, Slot>, expected: &[&str]) {
    let NoPlan { reasons } = plan(slots).unwrap_err();
    for text in expected {
        assert!(
            reasons.iter().any(|reason| reason.contains(text)),
            "{text}: {reasons:#?}"
        );
    }
}

#[test]
fn what_asks_for_nothing_is_installed() {
    let slots = vehicle([
        ("brake", wanting(image("b1", 1), image("b2", 2))),
        ("door", slot(image("d1", 1))),
    ]);
    assert_eq!(paths(&plan(&slots).unwrap()), [("brake", "b2")]);
}

#[test]
fn what_is_installed_already_is_no_change() {
    let slots = vehicle([("brake", wanting(image("b1", 1), image("b1", 1)))]);
    assert!(plan(&slots).unwrap().is_empty());
}

#[test]
fn a_dependency_is_met_by_what_is_there() {
    let wanted = needs(image("b2", 2), named("d1", Some(1), None));
    let slots = vehicle([
        ("brake", wanting(image("b1", 1), wanted)),
        ("door", slot(image("d1", 1))),
    ]);
    assert_eq!(paths(&plan(&slots).unwrap()), [("brake", "b2")]);
}

#[test]
fn a_dependency_that_nobody_meets_is_told() {
    let wanted = needs(image("b2", 2), named("d1", Some(4), None));
    let slots = vehicle([
        ("brake", wanting(image("b1", 1), wanted)),
        ("door", slot(image("d1", 3))),
    ]);
    refused(
        &slots,
        &[
            "b2 (release 2) on ECU brake needs d1 of release 4 or newer",
            "no ECU of this vehicle has or can be given d1 of release 4 or newer",
        ],
    );
}

#[test]
fn what_makes_it_possible_is_installed_too_and_nothing_else() {
    let wanted = needs(image("b2", 2), named("d", Some(4), None));
    let mut door = slot(image("d", 3));
    door.possible = vec![image("d", 5), image("d", 4)];
    let mut lamp = slot(image("l", 1));
    lamp.possible = vec![image("l", 2)];
    let slots = vehicle([
        ("brake", wanting(image("b1", 1), wanted)),
        ("door", door),
        ("lamp", lamp),
    ]);
    let found = plan(&slots).unwrap();
    assert_eq!(paths(&found), [("brake", "b2"), ("door", "d")]);
    assert_eq!(found[&serial("door")].custom.release_counter, 5);
}

#[test]
fn a_dependency_may_need_another_one() {
    let wanted = needs(image("a2", 2), named("b2", None, None));
    let mut b = slot(image("b1", 1));
    b.possible = vec![needs(image("b2", 2), named("c2", None, None))];
    let mut c = slot(image("c1", 1));
    c.possible = vec![image("c2", 2)];
    let slots = vehicle([("a", wanting(image("a1", 1), wanted)), ("b", b), ("c", c)]);
    assert_eq!(
        paths(&plan(&slots).unwrap()),
        [("a", "a2"), ("b", "b2"), ("c", "c2")]
    );
}

#[test]
fn conflicts_work_both_ways_and_are_told() {
    let hostile = conflicts(image("b2", 2), named("d", None, Some(3)));
    let slots = vehicle([
        ("brake", wanting(image("b1", 1), hostile.clone())),
        ("door", slot(image("d", 3))),
    ]);
    refused(
        &slots,
        &["b2 (release 2) on ECU brake conflicts with d (release 3) on ECU door"],
    );
    // The one that is there is the hostile one.
    let slots = vehicle([
        ("brake", slot(hostile)),
        ("door", wanting(image("d", 4), image("d", 3))),
    ]);
    refused(
        &slots,
        &["b2 (release 2) on ECU brake conflicts with d (release 3) on ECU door"],
    );
}

#[test]
fn an_image_does_not_conflict_with_itself() {
    let wanted = conflicts(image("b2", 2), named("b2", None, None));
    let slots = vehicle([("brake", wanting(image("b1", 1), wanted.clone()))]);
    assert_eq!(paths(&plan(&slots).unwrap()), [("brake", "b2")]);
    let slots = vehicle([
        ("brake", wanting(image("b1", 1), wanted.clone())),
        ("other", wanting(image("b1", 1), wanted)),
    ]);
    refused(&slots, &["conflicts with"]);
}

#[test]
fn an_update_does_not_break_what_another_image_depends_on() {
    let slots = vehicle([
        (
            "brake",
            slot(needs(image("b1", 1), named("d", None, Some(3)))),
        ),
        ("door", wanting(image("d", 3), image("d", 4))),
    ]);
    refused(
        &slots,
        &["b1 (release 1) on ECU brake needs d of release 3 or older"],
    );
}

#[test]
fn what_was_broken_before_holds_nothing_up() {
    let broken = conflicts(
        needs(image("b1", 1), named("gone", None, None)),
        named("d", None, None),
    );
    let slots = vehicle([
        ("brake", slot(broken)),
        ("door", slot(image("d", 3))),
        ("lamp", wanting(image("l", 1), image("l", 2))),
    ]);
    assert_eq!(paths(&plan(&slots).unwrap()), [("lamp", "l")]);
}

#[test]
fn an_ecu_that_runs_something_unknown_may_stay_as_it_is() {
    let wanted = needs(image("b2", 2), named("d", None, None));
    let slots = vehicle([
        ("brake", wanting(image("b1", 1), wanted)),
        ("door", Slot::default()),
    ]);
    refused(&slots, &["no ECU of this vehicle has or can be given d"]);
    let slots = vehicle([
        ("brake", wanting(image("b1", 1), image("b2", 2))),
        ("door", Slot::default()),
    ]);
    assert_eq!(paths(&plan(&slots).unwrap()), [("brake", "b2")]);
}

#[test]
fn a_class_stands_for_many_images() {
    let constraint = Constraint {
        image: ConstrainedImage::Class("map".into()),
        ..named("", Some(2), None)
    };
    let wanted = needs(image("navigation", 2), constraint);
    let mut maps = image("europe", 1);
    maps.custom.class = Some("map".into());
    let mut newer = maps.clone();
    newer.custom.release_counter = 2;
    let with = |maps: Image| {
        vehicle([
            ("head", wanting(image("navigation", 1), wanted.clone())),
            ("maps", slot(maps)),
        ])
    };
    refused(
        &with(maps),
        &["an image of class map of release 2 or newer"],
    );
    assert_eq!(
        paths(&plan(&with(newer)).unwrap()),
        [("head", "navigation")]
    );
}

/// Three ECUs, each with up to three images of its own and constraints on those of others.
fn random_vehicle() -> impl Strategy<Value = BTreeMap<EcuSerial, Slot>> {
    let constraint =
        (0..3_usize, 0..4_u64, any::<bool>()).prop_map(|(ecu, counter, least)| match least {
            true => named(&format!("i{ecu}"), Some(counter), None),
            false => named(&format!("i{ecu}"), None, Some(counter)),
        });
    let constraints = || vec(constraint.clone(), 0..2);
    let lists = (
        constraints(),
        constraints(),
        constraints(),
        constraints(),
        any::<bool>(),
    );
    vec(lists, 3).prop_map(|slots| {
        let slots = slots.into_iter().enumerate();
        slots
            .map(
                |(ecu, (needs, conflicts, needs_new, conflicts_new, wanted))| {
                    let of = |counter, needs: Vec<Constraint>, conflicts: Vec<Constraint>| {
                        let mut image = image(&format!("i{ecu}"), counter);
                        image.custom.dependencies = needs;
                        image.custom.conflicts = conflicts;
                        image
                    };
                    let (installed, new) =
                        (of(1, needs, conflicts), of(2, needs_new, conflicts_new));
                    let slot = match wanted {
                        true => wanting(installed, new),
                        false => Slot {
                            possible: vec![new],
                            ..slot(installed)
                        },
                    };
                    (serial(&format!("e{ecu}")), slot)
                },
            )
            .collect()
    })
}

/// Whether what every ECU would run holds together, by the rules and without a solver.
fn holds(slots: &BTreeMap<EcuSerial, Slot>, state: &[&Image]) -> bool {
    let before: Vec<&Image> = slots
        .values()
        .map(|slot| slot.installed.as_ref().unwrap())
        .collect();
    let meant = |constraint: &Constraint, image: &Image| {
        let ConstrainedImage::Filename(path) = &constraint.image else {
            return false;
        };
        let counter = image.custom.release_counter;
        image.path.as_str() == path
            && constraint
                .min_release_counter
                .is_none_or(|least| counter >= least)
            && constraint
                .max_release_counter
                .is_none_or(|most| counter <= most)
    };
    let needs_hold = |constraint: &Constraint, state: &[&Image]| {
        state.iter().any(|image| meant(constraint, image))
    };
    let no_conflict = |constraint: &Constraint, ecu: usize, state: &[&Image]| {
        let mut others = state.iter().enumerate();
        !others.any(|(other, image)| other != ecu && meant(constraint, image))
    };
    state.iter().enumerate().all(|(ecu, image)| {
        let stays = *image == before[ecu];
        image.custom.dependencies.iter().all(|constraint| {
            (stays && !needs_hold(constraint, &before)) || needs_hold(constraint, state)
        }) && image.custom.conflicts.iter().all(|constraint| {
            (stays && !no_conflict(constraint, ecu, &before)) || no_conflict(constraint, ecu, state)
        })
    })
}

proptest! {
    #[test]
    fn a_plan_holds_and_there_is_none_where_nothing_holds(slots in random_vehicle()) {
        let choices: Vec<Vec<&Image>> = slots
            .values()
            .map(|slot| match &slot.wanted {
                Some(wanted) => vec![wanted],
                None => slot.installed.iter().chain(&slot.possible).collect(),
            })
            .collect();
        let mut states = vec![Vec::new()];
        for choice in &choices {
            states = states
                .into_iter()
                .flat_map(|state: Vec<&Image>| {
                    choice.iter().map(move |image| [&state[..], &[*image]].concat())
                })
                .collect();
        }
        let possible = states.iter().any(|state| holds(&slots, state));
        match plan(&slots) {
            Ok(found) => {
                let state: Vec<&Image> = slots
                    .iter()
                    .map(|(serial, slot)| found.get(serial).or(slot.installed.as_ref()).unwrap())
                    .collect();
                prop_assert!(holds(&slots, &state));
            }
            Err(NoPlan { reasons }) => {
                prop_assert!(!possible);
                prop_assert!(!reasons.is_empty());
            }
        }
    }
}
