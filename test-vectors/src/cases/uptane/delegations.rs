//! Delegations in the Image repository: for hardware, to several roles, and what ends a search.

use serde_json::json;

use super::expect::ONE;
use crate::cases::{Cases, Draft};
use crate::simulate::{Delegation, World};

/// The brake's image is looked for: nothing else is assigned, and nobody lists it yet.
fn case(
    all: &mut Cases,
    name: &str,
    spec: &[&str],
    note: &str,
    build: impl FnOnce(&mut Draft, &mut World),
) {
    let name = format!("uptane-delegations/{name}");
    all.vehicle(&name, spec, note, |case, world| {
        world.assign_nothing();
        world.assign("brake/fw.img", &[("S1", "brake-b")]);
        world.image.targets().delegations.clear();
        world.image.roles.remove("supplier");
        build(case, world);
    });
}

const BRAKE: &[u8] = b"brake 3\n";
const FOUND: &[(&str, &str, u64)] = &[("S1", "brake/fw.img", 3)];

fn lists(world: &mut World, role: &str, bytes: &[u8], counter: u64) {
    world.list(role, "brake/fw.img", bytes, &["brake-b"], counter);
}

fn delegates(world: &mut World, to: Delegation) {
    world.image.targets().delegations.push(to);
}

pub(super) fn cases(all: &mut Cases) {
    hardware(all);
    several(all);
    order(all);
    ends(all);
}

fn hardware(all: &mut Cases) {
    let spec = &["Uptane 5.2.3.2(4)", "Uptane 5.4.4.7(4.1)"];
    case(
        all,
        "for-this-hardware",
        spec,
        "A delegation for the ECU's hardware.",
        |case, world| {
            lists(world, "supplier", BRAKE, 3);
            delegates(
                world,
                Delegation::to("supplier", &["brake/*"]).for_hardware(&["brake-b"]),
            );
            case.cycle(world).is_well(ONE, ONE).assigns(FOUND);
        },
    );
    case(
        all,
        "for-other-hardware",
        spec,
        "A delegation for other hardware counts nothing, although the role lists the image.",
        |case, world| {
            lists(world, "supplier", BRAKE, 3);
            delegates(
                world,
                Delegation::to("supplier", &["brake/*"]).for_hardware(&["brake-z"]),
            );
            case.cycle(world)
                .is_refused("target-not-found", "image/", "none", (ONE, ONE));
        },
    );
    case(
        all,
        "for-other-hardware-then-this",
        spec,
        "A delegation for other hardware is passed over, even if it is terminating; the next one is for the ECU's.",
        |case, world| {
            lists(world, "other", b"brake z\n", 9);
            lists(world, "supplier", BRAKE, 3);
            delegates(
                world,
                Delegation::to("other", &["brake/*"])
                    .for_hardware(&["brake-z"])
                    .terminating(),
            );
            delegates(
                world,
                Delegation::to("supplier", &["brake/*"]).for_hardware(&["brake-a", "brake-b"]),
            );
            case.cycle(world).is_well(ONE, ONE).assigns(FOUND);
        },
    );
    case(
        all,
        "for-hardware-but-not-this-image",
        spec,
        "The delegation is for the ECU's hardware, and the image by its own word is not.",
        |case, world| {
            world.list("supplier", "brake/fw.img", BRAKE, &["brake-z"], 3);
            delegates(
                world,
                Delegation::to("supplier", &["brake/*"]).for_hardware(&["brake-b"]),
            );
            case.cycle(world).is_refused(
                "hardware-mismatch",
                "image/supplier",
                "arbitrary-software",
                (ONE, ONE),
            );
        },
    );
    case(
        all,
        "for-no-hardware",
        spec,
        "A delegation with an empty list of hardware.",
        |case, world| {
            lists(world, "supplier", BRAKE, 3);
            delegates(
                world,
                Delegation::to("supplier", &["brake/*"]).for_hardware(&[]),
            );
            case.cycle(world)
                .is_refused("malformed", "image/targets", "none", (ONE, [1, 1, 1, 0]));
        },
    );
}

fn several(all: &mut Cases) {
    let spec = &[
        "Uptane 5.1.2.1(3)",
        "Uptane 5.4.4.8(1)",
        "Uptane 5.4.4.8(2.1)",
        "TAP 3",
    ];
    let both = |min| Delegation::to_several("released", &["qa", "dev"], min, &["brake/*"]);
    case(
        all,
        "both-agree",
        spec,
        "Two roles have to agree on the image, and do.",
        |case, world| {
            lists(world, "qa", BRAKE, 3);
            lists(world, "dev", BRAKE, 3);
            delegates(world, both(2));
            case.cycle(world).is_well(ONE, ONE).assigns(FOUND);
        },
    );
    case(
        all,
        "they-differ",
        &["Uptane 5.4.4.8(2.4)", "Uptane 5.4.4.8(2.1)", "TAP 3"],
        "Two roles have to agree, and list different bytes.",
        |case, world| {
            lists(world, "qa", BRAKE, 3);
            lists(world, "dev", b"brake X\n", 3);
            delegates(world, both(2));
            case.cycle(world)
                .is_refused("target-not-found", "image/", "none", (ONE, ONE));
        },
    );
    case(
        all,
        "they-differ-in-the-counter",
        &["Uptane 5.4.4.8(2.4)", "Uptane 5.4.4.8(2.1)", "TAP 3"],
        "Two roles have to agree, and state different release counters.",
        |case, world| {
            lists(world, "qa", BRAKE, 3);
            lists(world, "dev", BRAKE, 4);
            delegates(world, both(2));
            case.cycle(world)
                .is_refused("target-not-found", "image/", "none", (ONE, ONE));
        },
    );
    case(
        all,
        "only-one-lists-it",
        &["Uptane 5.4.4.8(2.4)", "TAP 3"],
        "Two roles have to agree, and one does not know the image.",
        |case, world| {
            lists(world, "qa", BRAKE, 3);
            world.image.add_role("dev");
            delegates(world, both(2));
            case.cycle(world)
                .is_refused("target-not-found", "image/", "none", (ONE, ONE));
        },
    );
    case(
        all,
        "one-is-enough",
        &["Uptane 5.4.4.8(2.3)", "TAP 3"],
        "One of two roles is enough, and only the second knows the image.",
        |case, world| {
            world.image.add_role("qa");
            lists(world, "dev", BRAKE, 3);
            delegates(world, both(1));
            case.cycle(world).is_well(ONE, ONE).assigns(FOUND);
        },
    );
    case(
        all,
        "one-is-enough-and-they-differ",
        &["Uptane 5.4.4.8(2.2)", "TAP 3"],
        "One of two roles is enough, and they differ: the one that stands first answers.",
        |case, world| {
            lists(world, "qa", BRAKE, 3);
            lists(world, "dev", b"brake X\n", 3);
            delegates(world, both(1));
            case.cycle(world).is_well(ONE, ONE).assigns(FOUND);
        },
    );
    case(
        all,
        "two-of-three",
        spec,
        "Two of three roles have to agree. The first differs, and is outvoted.",
        |case, world| {
            lists(world, "qa", b"brake X\n", 3);
            lists(world, "dev", BRAKE, 3);
            lists(world, "lab", BRAKE, 3);
            delegates(
                world,
                Delegation::to_several("released", &["qa", "dev", "lab"], 2, &["brake/*"]),
            );
            case.cycle(world).is_well(ONE, ONE).assigns(FOUND);
        },
    );
    case(
        all,
        "more-than-there-are",
        spec,
        "Three roles have to agree, and there are two.",
        |case, world| {
            lists(world, "qa", BRAKE, 3);
            lists(world, "dev", BRAKE, 3);
            delegates(world, both(3));
            case.cycle(world)
                .is_refused("malformed", "image/targets", "none", (ONE, [1, 1, 1, 0]));
        },
    );
    case(
        all,
        "none-has-to-agree",
        spec,
        "No role has to agree.",
        |case, world| {
            lists(world, "qa", BRAKE, 3);
            lists(world, "dev", BRAKE, 3);
            delegates(world, both(0));
            case.cycle(world)
                .is_refused("malformed", "image/targets", "none", (ONE, [1, 1, 1, 0]));
        },
    );
    case(
        all,
        "one-of-several-is-not-signed",
        spec,
        "Two roles have to agree, and one is signed by a stranger. It has no voice.",
        |case, world| {
            lists(world, "qa", BRAKE, 3);
            lists(world, "dev", BRAKE, 3);
            world.image.sign_with("dev", &["stranger"]);
            delegates(world, both(2));
            case.cycle(world).is_refused(
                "target-not-found",
                "image/",
                "arbitrary-software",
                (ONE, ONE),
            );
        },
    );
    for (name, min, found) in [
        ("one-of-several-is-not-there", 2, false),
        ("one-of-several-need-not-be-there", 1, true),
    ] {
        case(
            all,
            name,
            &["Uptane 5.4.4.8(1)", "TAP 3"],
            match found {
                true => "One of two roles is enough, and the other one's file is not there.",
                false => "Two roles have to agree, and the file of one is not there.",
            },
            |case, world| {
                lists(world, "qa", BRAKE, 3);
                lists(world, "dev", BRAKE, 3);
                world.image.withhold("dev");
                delegates(world, both(min));
                let step = case.cycle(world);
                match found {
                    true => step.is_well(ONE, ONE).assigns(FOUND),
                    false => step.is_refused("target-not-found", "image/", "none", (ONE, ONE)),
                };
            },
        );
    }
    case(
        all,
        "several-then-another",
        &["Uptane 5.4.4.7(4.2)", "TAP 3"],
        "Two roles do not agree, and a delegation after them lists the image. It is asked, because theirs does not terminate.",
        |case, world| {
            lists(world, "qa", b"brake X\n", 3);
            world.image.add_role("dev");
            lists(world, "supplier", BRAKE, 3);
            delegates(world, both(2));
            delegates(world, Delegation::to("supplier", &["brake/*"]));
            case.cycle(world).is_well(ONE, ONE).assigns(FOUND);
        },
    );
    case(
        all,
        "one-of-several-is-on-the-way",
        &["Uptane 5.4.4.8(1)", "Uptane 5.4.4.7(4.3)", "TAP 3"],
        "A role that lists nothing itself delegates to several, and it is one of them. It cannot speak for itself in this way; \
         the other one is enough.",
        |case, world| {
            world.image.add_role("supplier");
            lists(world, "qa", BRAKE, 3);
            delegates(world, Delegation::to("supplier", &["brake/*"]));
            let several = Delegation::to_several("released", &["supplier", "qa"], 1, &["brake/*"]);
            world.image.role("supplier").delegations.push(several);
            case.cycle(world).is_well(ONE, ONE).assigns(FOUND);
        },
    );
    case(
        all,
        "several-that-terminate",
        &[
            "Uptane 5.4.4.7(4.2)",
            "Uptane 5.4.4.7(3)",
            "Uptane 5.1.2.1(2)",
            "TAP 3",
        ],
        "Two roles do not agree, and their delegation terminates: nobody else is asked.",
        |case, world| {
            lists(world, "qa", b"brake X\n", 3);
            world.image.add_role("dev");
            lists(world, "supplier", BRAKE, 3);
            delegates(world, both(2).terminating());
            delegates(world, Delegation::to("supplier", &["brake/*"]));
            case.cycle(world)
                .is_refused("target-not-found", "image/", "none", (ONE, ONE));
        },
    );
}

fn order(all: &mut Cases) {
    let spec = &[
        "Uptane 5.1.2.1(1)",
        "Uptane 5.2.3.2(1)",
        "Uptane 5.2.3.2(2)",
        "Uptane 5.2.3.2(3)",
        "Uptane 5.2.3.2(6)",
        "Uptane 5.4.4.7(2)",
        "Uptane 5.4.4.7(4.3)",
    ];
    case(
        all,
        "top-level-first",
        spec,
        "The top-level Targets lists the image too: it is asked first.",
        |case, world| {
            lists(world, "targets", BRAKE, 3);
            lists(world, "supplier", b"brake X\n", 3);
            delegates(world, Delegation::to("supplier", &["brake/*"]));
            case.cycle(world).is_well(ONE, ONE).assigns(FOUND);
        },
    );
    case(
        all,
        "nested",
        spec,
        "The supplier delegates in its turn.",
        |case, world| {
            lists(world, "plant", BRAKE, 3);
            delegates(world, Delegation::to("supplier", &["brake/*"]));
            world
                .image
                .role("supplier")
                .delegations
                .push(Delegation::to("plant", &["brake/*"]));
            case.cycle(world).is_well(ONE, ONE).assigns(FOUND);
        },
    );
    case(
        all,
        "outside-of-its-paths",
        &[
            "Uptane 5.2.3.2(3)",
            "Uptane 5.4.4.7(4.1)",
            "Uptane 5.4.4.7(5)",
        ],
        "A supplier lists an image outside of the paths it is trusted for.",
        |case, world| {
            lists(world, "supplier", BRAKE, 3);
            delegates(world, Delegation::to("supplier", &["lamp/*"]));
            case.cycle(world)
                .is_refused("target-not-found", "image/", "none", (ONE, ONE));
        },
    );
    case(
        all,
        "nested-outside-of-its-paths",
        &[
            "Uptane 5.2.3.2(3)",
            "Uptane 5.4.4.7(4.1)",
            "Uptane 5.4.4.7(5)",
        ],
        "A supplier delegates more than it has: what it is not trusted for, it cannot pass on.",
        |case, world| {
            lists(world, "plant", BRAKE, 3);
            delegates(world, Delegation::to("supplier", &["lamp/*"]));
            world
                .image
                .role("supplier")
                .delegations
                .push(Delegation::to("plant", &["*", "brake/*"]));
            case.cycle(world)
                .is_refused("target-not-found", "image/", "none", (ONE, ONE));
        },
    );
    case(
        all,
        "terminating",
        &[
            "Uptane 5.1.2.1(2)",
            "Uptane 5.2.3.2(5)",
            "Uptane 5.4.4.7(3)",
        ],
        "A terminating delegation does not know the image. A later one does, and is not asked.",
        |case, world| {
            world.image.add_role("first");
            lists(world, "second", BRAKE, 3);
            delegates(world, Delegation::to("first", &["brake/*"]).terminating());
            delegates(world, Delegation::to("second", &["brake/*"]));
            case.cycle(world)
                .is_refused("target-not-found", "image/", "none", (ONE, ONE));
        },
    );
    case(
        all,
        "first-in-order",
        spec,
        "Two delegations list different bytes. The first one counts, and the Director agrees with the second: that is a contradiction, not a choice.",
        |case, world| {
            lists(world, "first", b"brake X\n", 3);
            lists(world, "second", BRAKE, 3);
            delegates(world, Delegation::to("first", &["brake/*"]));
            delegates(world, Delegation::to("second", &["brake/*"]));
            world.assign_as("brake/fw.img", BRAKE, &[("S1", "brake-b")], 3);
            case.cycle(world).is_refused(
                "director-image-mismatch",
                "image/first",
                "arbitrary-software",
                (ONE, ONE),
            );
        },
    );
    case(
        all,
        "cycle",
        &["Uptane 5.4.4.7(4.3)"],
        "Two roles delegate to each other, and neither knows the image.",
        |case, world| {
            delegates(world, Delegation::to("a", &["brake/*"]));
            world
                .image
                .role("a")
                .delegations
                .push(Delegation::to("b", &["brake/*"]));
            world
                .image
                .role("b")
                .delegations
                .push(Delegation::to("a", &["brake/*"]));
            case.cycle(world)
                .is_refused("target-not-found", "image/", "none", (ONE, ONE));
        },
    );
}

/// A name, what is wrong, the cause and the attack class of the refusal, and how it comes to that.
type End = (
    &'static str,
    &'static str,
    &'static str,
    &'static str,
    fn(&mut World),
);

/// What is wrong with a role that is asked ends the search: a role that comes later does not stand in.
fn ends(all: &mut Cases) {
    let spec = &[
        "Uptane 5.4.4.6(2)",
        "Uptane 5.4.4.6(3)",
        "Uptane 5.4.4.6(5)",
        "Uptane 5.4.4.7(1)",
        "TUF 5.6.7",
    ];
    let rows: [End; 5] = [
        ("expired", "has expired", "expired", "freeze", |world| {
            world.image.role("first").head.expires = "2024-12-31T23:59:59Z".into();
        }),
        (
            "not-signed",
            "is signed by a stranger",
            "signature-threshold",
            "arbitrary-software",
            |world| {
                world.image.sign_with("first", &["stranger"]);
            },
        ),
        (
            "missing",
            "is not there",
            "metadata-missing",
            "none",
            |world| world.image.withhold("first"),
        ),
        (
            "not-listed",
            "is not listed in Snapshot",
            "role-not-in-snapshot",
            "mix-and-match",
            |world| {
                world.image.forge("snapshot", |signed| {
                    if let Some(meta) = signed["meta"].as_object_mut() {
                        meta.remove("first.json");
                    }
                });
            },
        ),
        (
            "of-another-version",
            "is another version than Snapshot lists",
            "version-mismatch",
            "mix-and-match",
            |world| {
                world
                    .image
                    .forge("first", |signed| signed["version"] = json!(7));
            },
        ),
    ];
    for (name, what, cause, attack, change) in rows {
        case(
            all,
            &format!("ended-by-{name}"),
            spec,
            &format!(
                "The first delegated role {what}. The search ends there, although a later role lists the image."
            ),
            |case, world| {
                world.image.add_role("first");
                lists(world, "second", BRAKE, 3);
                delegates(world, Delegation::to("first", &["brake/*"]));
                delegates(world, Delegation::to("second", &["brake/*"]));
                change(world);
                case.cycle(world)
                    .is_refused("target-not-found", "image/", attack, (ONE, ONE))
                    .because(cause);
            },
        );
    }
    case(
        all,
        "supplier-rolled-back",
        &["Uptane 5.4.4.5(5)", "Uptane 5.2.4"],
        "The supplier's file goes back in a newer Snapshot.",
        |case, world| {
            lists(world, "supplier", BRAKE, 3);
            delegates(world, Delegation::to("supplier", &["brake/*"]));
            world.image.role("supplier").head.version = 2;
            case.cycle(world).is_well(ONE, ONE);
            world.image.next_online();
            world.image.role("supplier").head.version = 1;
            case.cycle(world).is_refused(
                "snapshot-entry-rollback",
                "image/supplier",
                "rollback",
                (ONE, [1, 2, 1, 1]),
            );
        },
    );
    case(
        all,
        "supplier-removed",
        &["Uptane 5.4.4.5(6)", "Uptane 5.2.4"],
        "A newer Snapshot does not list the supplier's file any more.",
        |case, world| {
            lists(world, "supplier", BRAKE, 3);
            delegates(world, Delegation::to("supplier", &["brake/*"]));
            case.cycle(world).is_well(ONE, ONE);
            world.image.next_online();
            world.image.forge("snapshot", |signed| {
                if let Some(meta) = signed["meta"].as_object_mut() {
                    meta.remove("supplier.json");
                }
            });
            case.cycle(world).is_refused(
                "snapshot-entry-removed",
                "image/supplier",
                "rollback",
                (ONE, [1, 2, 1, 1]),
            );
        },
    );
    case(
        all,
        "revoked-supplier",
        &["Uptane 5.4.4.6(3)", "Uptane 5.4.4.7(1)"],
        "The supplier's key was replaced in the delegation. What the old one signs is worth nothing.",
        |case, world| {
            lists(world, "supplier", BRAKE, 3);
            delegates(world, Delegation::to("supplier", &["brake/*"]));
            case.cycle(world).is_well(ONE, ONE);
            world.image.targets().delegations.clear();
            delegates(
                world,
                Delegation::to("supplier", &["brake/*"]).by(&["supplier-2"], 1),
            );
            world.release();
            world.image.role("supplier").head.version = 2;
            world.image.sign_with("supplier", &["supplier"]);
            case.cycle(world)
                .is_refused(
                    "target-not-found",
                    "image/",
                    "arbitrary-software",
                    ([1, 2, 2, 2], [1, 2, 2, 2]),
                )
                .because("signature-threshold");
        },
    );
}
