//! What the Director assigns, and to whom.

use serde_json::json;

use super::expect::{NOTHING_YET, ONE, TWO, WHATEVER};
use crate::cases::Cases;
use crate::simulate::{TestKey, World};

pub(super) fn cases(all: &mut Cases) {
    honest(all);
    vehicles(all);
    ecus(all);
    fields(all);
}

fn honest(all: &mut Cases) {
    all.vehicle(
        "uptane-director/honest",
        &["Uptane 3.2.1", "Uptane 3.2.2.1", "Uptane 5.4(1)", "Uptane 5.4.2", "Uptane 5.4.2.3", "Uptane 5.4.2.4(1)", "Uptane 5.4.3.2", "Uptane 5.4.3.4(1)", "Uptane 5.4.3.5", "Uptane 5.4.4.2(10.1)"],
        "Both repositories say the same of every image. All of them are assigned, and the ECU installs its own.",
        |case, world| {
            case.cycle(world)
                .is_well(ONE, ONE)
                .assigns(&[("P1", "pcu.img", 5), ("S1", "brake/fw.img", 3)]);
            case.install(world).is_well(WHATEVER, WHATEVER).runs(b"pcu 5\n");
        },
    );
    all.vehicle(
        "uptane-director/requests",
        &["Uptane 5.4.2", "Uptane 5.4.4.2(2)", "Uptane 5.4.4.2(3)", "Uptane 5.4.4.2(4)", "Uptane 5.4.4.2(5)", "Uptane 5.4.4.2(6)", "Uptane 5.4.4.2(7)", "Uptane 5.4.4.2(8)", "Uptane 5.4.4.2(9)", "Uptane 5.2.7(1)"],
        "The order of full verification: the Director's repository from Root to Targets, then the Image repository's.",
        |case, world| {
            case.cycle(world).is_well(ONE, ONE).requests(
                "director/2.root director/timestamp director/1.snapshot director/1.targets \
                 image/2.root image/timestamp image/1.snapshot image/1.targets image/1.supplier",
            );
        },
    );
    all.vehicle(
        "uptane-director/nothing-new",
        &["Uptane 5.4.4.2(4)", "Uptane 5.4.4.2(8)"],
        "Neither repository has anything new. What is known is not asked for again, and what was assigned is still.",
        |case, world| {
            case.cycle(world).is_well(ONE, ONE);
            case.cycle(world)
                .is_well(ONE, ONE)
                .assigns(&[("P1", "pcu.img", 5), ("S1", "brake/fw.img", 3)])
                .requests("director/2.root director/timestamp image/2.root image/timestamp");
            case.install(world)
                .is_well(WHATEVER, WHATEVER)
                .runs(b"pcu 5\n");
        },
    );
    all.vehicle(
        "uptane-director/nothing",
        &["Uptane 5.4.4.2(6)"],
        "The Director assigns nothing. That is an answer like any other.",
        |case, world| {
            case.cycle(world).is_well(ONE, ONE);
            world.assign_nothing();
            world.release();
            case.cycle(world).is_well(TWO, WHATEVER).assigns(&[]);
        },
    );
    all.vehicle(
        "uptane-director/two-ecus-of-one-kind",
        &["Uptane 5.2.3.1.2(1)"],
        "One image for two ECUs with the same hardware.",
        |case, world| {
            world.ecu.others.insert("S3".into(), "brake-b".into());
            world.assign("brake/fw.img", &[("S1", "brake-b"), ("S3", "brake-b")]);
            case.cycle(world).is_well(ONE, ONE).assigns(&[
                ("P1", "pcu.img", 5),
                ("S1", "brake/fw.img", 3),
                ("S3", "brake/fw.img", 3),
            ]);
        },
    );
    all.vehicle(
        "uptane-director/nothing-for-this-ecu",
        &["Uptane 5.4.3.3(2)", "Uptane 5.4.3.4(1)"],
        "What is assigned is for another ECU of the vehicle: this one keeps what it runs.",
        |case, world| {
            world.director.targets().images.remove("pcu.img");
            world.director.targets().custom.remove("pcu.img");
            case.cycle(world)
                .is_well(ONE, ONE)
                .assigns(&[("S1", "brake/fw.img", 3)]);
            case.install(world)
                .is_well(WHATEVER, WHATEVER)
                .runs_what_it_did();
        },
    );
    all.vehicle(
        "uptane-director/installed-already",
        &["Uptane 5.4.4.2(10.2.3)"],
        "The image that runs is assigned again, with the same content and counter. It is no rollback.",
        |case, world| {
            world.runs("pcu.img", b"pcu 5\n", 5);
            case.cycle(world).is_well(ONE, ONE);
        },
    );
}

/// A vehicle that has followed the honest Director is shown something else, and refuses it for the sake of
/// `place`. It keeps what it had up to there; afterwards it goes on as if nothing had been.
fn shown(
    all: &mut Cases,
    name: &str,
    spec: &[&str],
    note: &str,
    (code, place, attack): (&str, &str, &str),
    trusted: [u64; 4],
    attack_with: impl FnOnce(&mut World),
) {
    all.vehicle(name, spec, note, |case, world| {
        case.cycle(world).is_well(ONE, ONE);
        let mut honest = world.clone();
        world.release();
        attack_with(world);
        case.cycle(world)
            .is_refused(code, place, attack, (trusted, WHATEVER));
        honest.director.jump(3);
        honest.image.jump(3);
        case.cycle(&mut honest).is_well([1, 3, 3, 3], [1, 3, 3, 3]);
    });
}

fn vehicles(all: &mut Cases) {
    for (role, kept) in [
        ("timestamp", ONE),
        ("snapshot", [1, 2, 1, 1]),
        ("targets", [1, 2, 2, 1]),
    ] {
        let place = format!("director/{role}");
        shown(
            all,
            &format!("uptane-director/another-vehicle-{role}"),
            &["Uptane 5.2.3.1(2)"],
            &format!(
                "The Director's {role} file is that of another vehicle. It says so, and is not kept: its \
                 version may be far ahead."
            ),
            ("vehicle-mismatch", &place, "replay"),
            kept,
            |world| {
                world.director.forge(role, |signed| {
                    signed["custom"]["vin"] = "VIN-OF-ANOTHER".into();
                });
            },
        );
        shown(
            all,
            &format!("uptane-director/no-vehicle-{role}"),
            &["Uptane 5.2.3.1(2)"],
            &format!("The Director's {role} file does not say for which vehicle it is."),
            ("vehicle-mismatch", &place, "replay"),
            kept,
            |world| {
                world.director.forge(role, |signed| {
                    signed["custom"] = json!({});
                });
            },
        );
    }
    shown(
        all,
        "uptane-director/another-vehicle-that-gets-nothing",
        &["Uptane 5.2.3.1(2)"],
        "The empty Targets of another vehicle: no ECU in it could tell that it is not for this one.",
        ("vehicle-mismatch", "director/targets", "replay"),
        [1, 2, 2, 1],
        |world| {
            world.assign_nothing();
            world.director.forge("targets", |signed| {
                signed["custom"]["vin"] = "VIN-OF-ANOTHER".into();
            });
        },
    );
    all.vehicle(
        "uptane-director/another-vehicle-far-ahead",
        &["Uptane 5.2.3.1(2)"],
        "Another vehicle's Timestamp with the highest version there is. It locks nobody out, because it is not kept.",
        |case, world| {
            let mut honest = world.clone();
            world.director.timestamp.version = i64::MAX as u64;
            world.director.forge("timestamp", |signed| {
                signed["custom"]["vin"] = "VIN-OF-ANOTHER".into();
            });
            case.cycle(world).is_refused(
                "vehicle-mismatch",
                "director/timestamp",
                "replay",
                (NOTHING_YET, NOTHING_YET),
            );
            case.cycle(&mut honest).is_well(ONE, ONE);
        },
    );
}

fn ecus(all: &mut Cases) {
    let refused = [1, 2, 2, 1];
    shown(
        all,
        "uptane-director/ecu-unknown",
        &["Uptane 5.4.4.6(8)"],
        "An image is for an ECU that is not in this vehicle.",
        ("ecu-unknown", "director/targets", "mix-and-match"),
        refused,
        |world| world.assign("brake/fw.img", &[("S9", "brake-b")]),
    );
    shown(
        all,
        "uptane-director/ecu-unknown-among-others",
        &["Uptane 5.4.4.6(8)", "Uptane 5.4.4.2(10.1)"],
        "One image is for a known ECU and for an unknown one: nothing of the Targets is acted on.",
        ("ecu-unknown", "director/targets", "mix-and-match"),
        refused,
        |world| world.assign("brake/fw.img", &[("S1", "brake-b"), ("S9", "brake-b")]),
    );
    shown(
        all,
        "uptane-director/ecu-repeated",
        &["Uptane 5.4.4.6(7)"],
        "Two images are for the same ECU.",
        ("ecu-repeated", "director/targets", "mix-and-match"),
        refused,
        |world| {
            world.list("targets", "pcu-b.img", b"pcu b\n", &["pcu-a"], 6);
            world.assign("pcu-b.img", &[("P1", "pcu-a")]);
        },
    );
    shown(
        all,
        "uptane-director/other-hardware",
        &["Uptane 5.2.3.1.1(3)", "Uptane 5.4.3.4(3)"],
        "The Director says that this ECU has other hardware than it has.",
        (
            "hardware-mismatch",
            "director/targets",
            "arbitrary-software",
        ),
        TWO,
        |world| {
            world.list("targets", "pcu.img", b"pcu 5\n", &["pcu-a", "pcu-z"], 5);
            world.assign("pcu.img", &[("P1", "pcu-z")]);
        },
    );
    shown(
        all,
        "uptane-director/delegates",
        &["Uptane 5.1.2.1(4)", "Uptane 5.4.4.6(6)"],
        "The Director's Targets delegates. Whoever holds the delegated key could assign images then.",
        (
            "director-has-delegations",
            "director/targets",
            "arbitrary-software",
        ),
        refused,
        |world| {
            world.director.forge("targets", |signed| {
                signed["delegations"] = delegation();
            });
        },
    );
}

/// To somebody else, for every image.
pub(super) fn delegation() -> serde_json::Value {
    // The name here is that of an Ed25519 key, which comes out of a seed.
    let key = "thief"
        .parse::<TestKey>()
        .map(|key| (key.id(), key.to_json()));
    let (id, key) = key.unwrap_or_default();
    let role = json!({"name": "thief", "keyids": [id], "threshold": 1, "paths": ["*"], "terminating": false});
    json!({"keys": {id: key}, "roles": [role]})
}

/// Members of `custom` in the Director's Targets that are missing or not its to state.
fn fields(all: &mut Cases) {
    let place = ("malformed", "director/targets", "none");
    let refused = [1, 2, 2, 1];
    for (name, note, edit) in FIELDS {
        shown(
            all,
            &format!("uptane-director/{name}"),
            &["Uptane 5.2.3.1.2(1)", "Uptane 5.2.3.1.1(1)"],
            note,
            place,
            refused,
            |world| world.directed("pcu.img", edit),
        );
    }
}

type Field = (&'static str, &'static str, fn(&mut serde_json::Value));

const FIELDS: &[Field] = &[
    (
        "no-custom",
        "The Director says nothing of an image but length and hashes.",
        |custom| {
            *custom = json!({});
        },
    ),
    (
        "no-ecus",
        "The Director does not say for which ECUs an image is.",
        |custom| {
            custom["ecuIdentifiers"] = json!({});
        },
    ),
    (
        "no-hardware",
        "The Director does not say which hardware an ECU has.",
        |custom| {
            custom["ecuIdentifiers"]["P1"] = json!({});
        },
    ),
    (
        "no-release-counter",
        "The Director states no release counter.",
        |custom| {
            if let Some(members) = custom.as_object_mut() {
                members.remove("releaseCounter");
            }
        },
    ),
    (
        "negative-release-counter",
        "A release counter below zero.",
        |custom| {
            custom["releaseCounter"] = json!(-1);
        },
    ),
    (
        "serial-with-a-space",
        "An ECU serial that nothing can be compared with: it has a space.",
        |custom| {
            custom["ecuIdentifiers"]["P 1"] = json!({"hardwareId": "pcu-a"});
        },
    ),
    (
        "states-an-installer",
        "The Director says which installer takes an image. Only the Image repository may.",
        |custom| {
            custom["installer"] = json!("raw-flash");
        },
    ),
    (
        "states-dependencies",
        "The Director says what an image needs. Only the Image repository may.",
        |custom| {
            custom["dependencies"] = json!([]);
        },
    ),
    (
        "states-hardware",
        "The Director states hardware identifiers of an image. Only the Image repository may.",
        |custom| {
            custom["hardwareIds"] = json!(["pcu-a"]);
        },
    ),
    (
        "states-encryption",
        "The Director says whether an image is confidential. Only the Image repository may.",
        |custom| {
            custom["encryption"] = json!("required");
        },
    ),
];
