//! Partial verification: the Director's Root and Targets, and an image that the Primary hands over.

use serde_json::json;

use super::expect::WHATEVER;
use crate::cases::draft::ANY;
use crate::cases::{Cases, Draft};
use crate::simulate::World;

/// Root and Targets in their first version; the other files are none of its concern.
const FIRST: [u64; 4] = [1, ANY, ANY, 1];

fn case(
    all: &mut Cases,
    name: &str,
    spec: &[&str],
    note: &str,
    build: impl FnOnce(&mut Draft, &mut World),
) {
    let name = format!("uptane-partial/{name}");
    all.vehicle(&name, spec, note, |case, world| {
        world.be_partial();
        build(case, world);
    });
}

pub(super) fn cases(all: &mut Cases) {
    targets(all);
    bounds(all);
    images(all);
}

fn targets(all: &mut Cases) {
    let spec = &["Uptane 3.2.2.1", "Uptane 5.4.3.2", "Uptane 5.4.4.1(2)"];
    case(
        all,
        "honest",
        spec,
        "The Director's Root and Targets are in order, and the image is the listed one.",
        |case, world| {
            case.cycle(world)
                .is_well(FIRST, WHATEVER)
                .assigns(&[("S1", "brake/fw.img", 3)])
                .requests("director/2.root director/targets");
            case.install(world)
                .handed(b"brake 3\n")
                .is_well(WHATEVER, WHATEVER)
                .runs(b"brake 3\n");
        },
    );
    case(
        all,
        "nothing-for-this-ecu",
        spec,
        "The Targets are for other ECUs.",
        |case, world| {
            world.assign_nothing();
            world.assign("pcu.img", &[("P1", "pcu-a")]);
            case.cycle(world).is_well(FIRST, WHATEVER).assigns(&[]);
            case.install(world)
                .is_well(WHATEVER, WHATEVER)
                .runs_what_it_did();
        },
    );
    case(
        all,
        "rotated-key",
        &["Uptane 5.4.4.1(3)"],
        "The Director's Targets key was replaced: the new Root comes first.",
        |case, world| {
            case.cycle(world).is_well(FIRST, WHATEVER);
            world
                .director
                .next_root(|root| root.keys("targets", &["director-targets-2"], 1));
            world.director.release();
            case.cycle(world).is_well([2, ANY, ANY, 2], WHATEVER);
        },
    );
    case(
        all,
        "fast-forward-and-recovery",
        &["Uptane 5.4.4.1(3)", "Uptane 5.4.4.3(4)"],
        "A thief of the Director's Targets key has published a version far ahead. Once the key is replaced, low versions count \
         again; release counters stay.",
        |case, world| {
            world.runs("brake/fw.img", b"brake 9\n", 9);
            let mut honest = world.clone();
            world.director.targets().head.version = 2_147_483_647;
            case.cycle(world)
                .is_well([1, ANY, ANY, 2_147_483_647], WHATEVER);
            honest
                .director
                .next_root(|root| root.keys("targets", &["director-targets-2"], 1));
            honest.director.release();
            case.cycle(&mut honest).is_well([2, ANY, ANY, 2], WHATEVER);
            case.install(&mut honest)
                .handed(b"brake 3\n")
                .does_not_install("release-counter-rollback", "rollback");
        },
    );
    case(
        all,
        "rotated-key-without-root",
        &["Uptane 5.4.4.1(3)", "Uptane 5.4.4.6(3)"],
        "The Director's Targets key was replaced, and the Primary holds the new Root back.",
        |case, world| {
            case.cycle(world).is_well(FIRST, WHATEVER);
            world.director.release();
            world.director.sign_with("targets", &["director-targets-2"]);
            case.cycle(world).is_refused(
                "signature-threshold",
                "director/targets",
                "arbitrary-software",
                (FIRST, WHATEVER),
            );
        },
    );
    for (name, note, signers) in [
        (
            "unsigned",
            "The Director's Targets carries no signature.",
            &[][..],
        ),
        (
            "by-a-stranger",
            "The Director's Targets is signed by a key that nobody lists.",
            &["stranger"],
        ),
        (
            "by-another-role",
            "The Director's Targets is signed by the key of its Timestamp.",
            &["director-timestamp-1"],
        ),
        (
            "by-the-image-repository",
            "The Director's Targets is signed by the Image repository's key.",
            &["image-targets-1"],
        ),
    ] {
        case(all, name, spec, note, |case, world| {
            case.cycle(world).is_well(FIRST, WHATEVER);
            world.release();
            world.director.sign_with("targets", signers);
            case.cycle(world).is_refused(
                "signature-threshold",
                "director/targets",
                "arbitrary-software",
                (FIRST, WHATEVER),
            );
        });
    }
    case(
        all,
        "rollback",
        &["Uptane 5.4.4.1(2)", "Uptane 5.4.4.6(4)"],
        "An older Targets.",
        |case, world| {
            world.release();
            case.cycle(world).is_well([1, ANY, ANY, 2], WHATEVER);
            world.director.targets().head.version = 1;
            case.cycle(world).is_refused(
                "version-rollback",
                "director/targets",
                "rollback",
                ([1, ANY, ANY, 2], WHATEVER),
            );
        },
    );
    case(
        all,
        "same-version",
        &["Uptane 5.4.4.1(2)", "Uptane 5.4.4.6(4)"],
        "Targets in the version that is trusted, with other content.",
        |case, world| {
            case.cycle(world).is_well(FIRST, WHATEVER);
            world.director.forge("targets", |signed| {
                signed["x-note"] = json!("other content")
            });
            case.cycle(world)
                .is_refused(
                    "same-version-different-content",
                    "director/targets",
                    "mix-and-match",
                    (FIRST, WHATEVER),
                )
                .bytes_of("director/targets", 1);
        },
    );
    case(
        all,
        "the-same-again",
        spec,
        "The same Targets once more: there is nothing new, and nothing wrong.",
        |case, world| {
            case.cycle(world).is_well(FIRST, WHATEVER);
            case.cycle(world)
                .is_well(FIRST, WHATEVER)
                .assigns(&[("S1", "brake/fw.img", 3)]);
        },
    );
    case(
        all,
        "expired",
        &[
            "Uptane 5.4.4.1(1)",
            "Uptane 5.4.4.1(2)",
            "Uptane 5.4.4.6(5)",
        ],
        "The Director's Targets has expired.",
        |case, world| {
            case.cycle(world).is_well(FIRST, WHATEVER);
            world.release();
            world.director.targets().head.expires = "2024-12-31T23:59:59Z".into();
            case.cycle(world).is_refused(
                "expired",
                "director/targets",
                "freeze",
                (FIRST, WHATEVER),
            );
        },
    );
    case(
        all,
        "root-expired",
        &["Uptane 5.4.4.1(3)", "Uptane 5.4.4.3(3)"],
        "The Director's Root has expired.",
        |case, world| {
            world.director.root().head.expires = "2024-12-31T23:59:59Z".into();
            case.cycle(world).is_refused(
                "expired",
                "director/root",
                "freeze",
                ([1, ANY, ANY, 0], WHATEVER),
            );
        },
    );
    case(
        all,
        "another-vehicle",
        &["Uptane 5.2.3.1(2)", "Uptane 5.4.4.1(2)"],
        "The Director's Targets of another vehicle.",
        |case, world| {
            world.name_vehicle("VIN-OF-ANOTHER");
            case.cycle(world).is_refused(
                "vehicle-mismatch",
                "director/targets",
                "replay",
                ([1, ANY, ANY, 0], WHATEVER),
            );
        },
    );
    case(
        all,
        "delegates",
        &["Uptane 5.4.4.6(6)", "Uptane 5.4.4.1(2)"],
        "The Director's Targets delegates.",
        |case, world| {
            world.director.forge("targets", |signed| {
                signed["delegations"] = super::director::delegation()
            });
            case.cycle(world).is_refused(
                "director-has-delegations",
                "director/targets",
                "arbitrary-software",
                ([1, ANY, ANY, 0], WHATEVER),
            );
        },
    );
    case(
        all,
        "other-hardware",
        &["Uptane 5.4.3.4(3)", "Uptane 5.4.4.1(2)"],
        "The image is for other hardware than this ECU's.",
        |case, world| {
            world.assign("brake/fw.img", &[("S1", "brake-z")]);
            case.cycle(world).is_refused(
                "hardware-mismatch",
                "director/targets",
                "arbitrary-software",
                (FIRST, WHATEVER),
            );
        },
    );
    case(
        all,
        "two-images",
        &["Uptane 5.4.4.6(7)", "Uptane 5.4.4.1(2)"],
        "Two images are for this ECU.",
        |case, world| {
            world.list("supplier", "brake/b.img", b"brake b\n", &["brake-b"], 4);
            world.assign("brake/b.img", &[("S1", "brake-b")]);
            case.cycle(world).is_refused(
                "ecu-repeated",
                "director/targets",
                "mix-and-match",
                ([1, ANY, ANY, 0], WHATEVER),
            );
        },
    );
    case(
        all,
        "another-type",
        spec,
        "The Director's Targets calls itself Timestamp, and is signed by the key of Targets.",
        |case, world| {
            case.cycle(world).is_well(FIRST, WHATEVER);
            world.release();
            world
                .director
                .forge("targets", |signed| signed["_type"] = json!("timestamp"));
            case.cycle(world).is_refused(
                "wrong-role-type",
                "director/targets",
                "mix-and-match",
                (FIRST, WHATEVER),
            );
        },
    );
    case(
        all,
        "missing",
        spec,
        "The Primary has no Targets for it.",
        |case, world| {
            case.cycle(world).is_well(FIRST, WHATEVER);
            world.release();
            world.director.withhold("targets");
            world.hide("director/metadata/targets.json");
            case.cycle(world).is_refused(
                "metadata-missing",
                "director/targets",
                "none",
                (FIRST, WHATEVER),
            );
        },
    );
    case(
        all,
        "stolen-director",
        spec,
        "Whoever holds the Director's Targets key can have anything installed on an ECU that verifies in part. This is \
         its limit, and written down here so that nobody believes more.",
        |case, world| {
            world.assign_nothing();
            world.assign_as("evil.img", b"evil\n", &[("S1", "brake-b")], 9);
            case.cycle(world)
                .is_well(FIRST, WHATEVER)
                .assigns(&[("S1", "evil.img", 9)]);
            case.install(world)
                .handed(b"evil\n")
                .is_well(WHATEVER, WHATEVER)
                .runs(b"evil\n");
        },
    );
}

/// The Director assigns so many more images, to ECUs that this one does not know.
fn assign_many(world: &mut World, count: usize) {
    world.director.forge("targets", move |signed| {
        for number in 0..count {
            let ecu = json!({format!("E{number}"): {"hardwareId": "e"}});
            signed["targets"][format!("{number}.img")] = json!({
                "length": 1,
                "hashes": {"sha256": "00".repeat(32)},
                "custom": {"ecuIdentifiers": ecu, "releaseCounter": 1},
            });
        }
    });
}

fn bounds(all: &mut Cases) {
    let spec = &["Uptane 5.4.4.6(1)", "Uptane 5.4.4.1(2)"];
    case(
        all,
        "a-thousand-images",
        spec,
        "The Director's Targets assigns 1,024 images. This ECU's is among them.",
        |case, world| {
            assign_many(world, 1022);
            case.cycle(world)
                .is_well(FIRST, WHATEVER)
                .assigns(&[("S1", "brake/fw.img", 3)]);
        },
    );
    case(
        all,
        "more-than-a-thousand-images",
        spec,
        "The Director's Targets assigns more images than a vehicle has ECUs: 1,025. The bound is ours.",
        |case, world| {
            assign_many(world, 1023);
            case.cycle(world).is_refused(
                "too-large",
                "director/targets",
                "endless-data",
                ([1, ANY, ANY, 0], WHATEVER),
            );
        },
    );
    case(
        all,
        "without-end",
        spec,
        "The Primary passes a Targets on that goes on and on.",
        |case, world| {
            case.cycle(world).is_well(FIRST, WHATEVER);
            world.release();
            case.cycle(world)
                .pad("director/metadata/targets.json", 1 << 20)
                .is_refused(
                    "too-large",
                    "director/targets",
                    "endless-data",
                    (FIRST, WHATEVER),
                );
        },
    );
    case(
        all,
        "no-delegations-in-a-list",
        &["Uptane 5.4.4.6(6)"],
        "The Director's Targets has a place for delegations, and none in it.",
        |case, world| {
            world.director.forge("targets", |signed| {
                signed["delegations"] = json!({"keys": {}, "roles": []});
            });
            case.cycle(world)
                .is_well(FIRST, WHATEVER)
                .assigns(&[("S1", "brake/fw.img", 3)]);
        },
    );
}

fn images(all: &mut Cases) {
    let spec = &["Uptane 5.4.3.4(7)", "Uptane 5.4.3.3(3)"];
    for (name, note, handed, code, attack) in [
        (
            "image-other-bytes",
            "The Primary hands over other bytes of the same length.",
            &b"brake X\n"[..],
            "image-hash",
            "arbitrary-software",
        ),
        (
            "image-too-short",
            "The Primary hands over the beginning of the image.",
            b"brake",
            "image-hash",
            "arbitrary-software",
        ),
        (
            "image-too-long",
            "The Primary hands over more than the image.",
            b"brake 3\nand so on",
            "image-too-long",
            "endless-data",
        ),
    ] {
        case(all, name, spec, note, |case, world| {
            case.cycle(world).is_well(FIRST, WHATEVER);
            case.install(world)
                .handed(handed)
                .does_not_install(code, attack);
            case.install(world)
                .handed(b"brake 3\n")
                .is_well(WHATEVER, WHATEVER)
                .runs(b"brake 3\n");
        });
    }
    case(
        all,
        "image-held-back",
        &["Uptane 5.4.3.3(1)"],
        "The Primary hands over nothing.",
        |case, world| {
            case.cycle(world).is_well(FIRST, WHATEVER);
            case.install(world)
                .does_not_install("image-missing", "none");
        },
    );
    for (name, note, counter, bytes, code, attack) in [
        (
            "counter-rollback",
            "The image has a lower release counter than the one that runs.",
            4,
            &b"newer\n"[..],
            "release-counter-rollback",
            "rollback",
        ),
        (
            "counter-equal-other-content",
            "The image has the name and counter of the one that runs, and other content.",
            3,
            b"another 3\n",
            "same-version-different-content",
            "mix-and-match",
        ),
        (
            "counter-equal-other-bytes",
            "The image has the name, counter and length of the one that runs, and other bytes.",
            3,
            b"brake X\n",
            "same-version-different-content",
            "mix-and-match",
        ),
    ] {
        case(all, name, &["Uptane 5.4.3.4(5)"], note, |case, world| {
            world.runs("brake/fw.img", bytes, counter);
            case.cycle(world).is_well(FIRST, WHATEVER);
            case.install(world)
                .handed(b"brake 3\n")
                .does_not_install(code, attack);
        });
    }
    case(
        all,
        "expires-before-the-installation",
        &["Uptane 5.4.3.2", "Uptane 5.4.4.6(5)"],
        "Targets expires between the cycle and the installation.",
        |case, world| {
            world.director.targets().head.expires = "2030-06-01T00:00:00Z".into();
            case.cycle(world)
                .is_well(FIRST, WHATEVER)
                .at("2030-05-31T23:59:59Z");
            case.install(world)
                .handed(b"brake 3\n")
                .does_not_install("expired", "freeze")
                .at("2030-06-01T00:00:00Z");
        },
    );
}
