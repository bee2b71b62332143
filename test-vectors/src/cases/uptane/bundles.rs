//! Updates that are carried to the vehicle (PURE-2): what a bundle may say, and what stands in it.

use serde_json::json;

use super::expect::{Versions, WHATEVER};
use crate::cases::draft::ANY;
use crate::cases::{Cases, Draft};
use crate::simulate::{Keys, NONCE, World};

/// A bundle leaves nothing in the place of the Director's online files.
const DIRECTOR: Versions = [1, 0, 0, 0];

/// Of the Image repository there is no Timestamp in a bundle.
const IMAGE: Versions = [1, 0, 1, 1];

const PAST: &str = "2024-12-31T23:59:59Z";

fn case(
    all: &mut Cases,
    clause: &str,
    name: &str,
    note: &str,
    build: impl FnOnce(&mut Draft, &mut World),
) {
    let name = format!("uptane-bundles/{name}");
    all.vehicle(&name, &[clause], note, |case, world| {
        world.offline();
        build(case, world);
    });
}

/// A bundle that is refused before anything of the Image repository is looked at.
fn refused(
    all: &mut Cases,
    clause: &str,
    name: &str,
    note: &str,
    (code, role, attack): (&str, &str, &str),
    change: impl FnOnce(&mut World),
) {
    case(all, clause, name, note, |case, world| {
        let mut honest = world.clone();
        change(world);
        let place = format!("director/{role}");
        case.carry(world, "spring")
            .is_refused(code, &place, attack, (DIRECTOR, [1, 0, 0, 0]));
        // What was refused was not kept either: an honest file in its version is no other one.
        if clause == "PURE-2(5)" {
            honest.offline().snapshot.version = 2;
            case.carry(&mut honest, "spring").is_well(DIRECTOR, IMAGE);
        }
    });
}

pub(super) fn cases(all: &mut Cases) {
    honest(all);
    signatures(all);
    snapshot(all);
    targets(all);
    known(all);
    image(all);
    members(all);
    time(all);
}

fn honest(all: &mut Cases) {
    case(
        all,
        "PURE-2(3)",
        "honest",
        "A bundle is all that a Primary needs: it asks nobody, and installs what lies in it.",
        |case, world| {
            case.carry(world, "spring")
                .is_well(DIRECTOR, IMAGE)
                .assigns(&[("P1", "pcu.img", 5), ("S1", "brake/fw.img", 3)]);
            case.install(world)
                .is_well(WHATEVER, WHATEVER)
                .runs(b"pcu 5\n");
        },
    );
    case(
        all,
        "PURE-2(3)",
        "between-online-updates",
        "Before and after a bundle the same vehicle is updated over the network.",
        |case, world| {
            case.cycle(world).is_well([1, 1, 1, 1], [1, 1, 1, 1]);
            world.list("targets", "pcu.img", b"pcu 6\n", &["pcu-a"], 6);
            world.assign("pcu.img", &[("P1", "pcu-a")]);
            world.release();
            let listing = world.director.targets().clone();
            world.offline().add("spring", listing);
            case.carry(world, "spring")
                .is_well([1, 1, 1, 1], [1, 1, 2, 2])
                .assigns(&[("P1", "pcu.img", 6), ("S1", "brake/fw.img", 3)]);
            case.install(world)
                .is_well(WHATEVER, WHATEVER)
                .runs(b"pcu 6\n");
            case.cycle(world).is_well([1, 2, 2, 2], [1, 2, 2, 2]);
        },
    );
    case(
        all,
        "PURE-2(3)",
        "for-several-vehicles",
        "A bundle for a fleet names ECUs of other vehicles too, and says for which vehicles it is.",
        |case, world| {
            world.list("targets", "far.img", b"far 1\n", &["pcu-a"], 1);
            world.assign("far.img", &[("P-OF-ANOTHER", "pcu-a")]);
            let listing = world.director.targets().clone();
            world.offline().add("spring", listing);
            world.offline().forge("spring", |signed| {
                signed["custom"]["vins"] = json!(["VIN-OF-ANOTHER", "VIN-OF-THIS-CAR"]);
            });
            case.carry(world, "spring")
                .is_well(DIRECTOR, IMAGE)
                .assigns(&[("P1", "pcu.img", 5), ("S1", "brake/fw.img", 3)]);
        },
    );
    case(
        all,
        "PURE-2(1)",
        "rotated-keys",
        "The Director's Root of two versions later names other keys for bundles: the bundle brings all Roots.",
        |case, world| {
            for number in 2..=3 {
                world.director.next_root(|root| {
                    let name = format!("offline-targets-{number}");
                    if let Some([_, targets]) = &mut root.offline {
                        targets.names = vec![name];
                    }
                });
            }
            world.offline().sign_with("spring", &["offline-targets-3"]);
            case.carry(world, "spring")
                .is_well([3, 0, 0, 0], IMAGE)
                .assigns(&[("P1", "pcu.img", 5), ("S1", "brake/fw.img", 3)]);
        },
    );
    case(
        all,
        "PURE-2(3)",
        "partial",
        "A Secondary that verifies in part follows the Director's Root and the Offline Targets file.",
        |case, world| {
            world.be_partial();
            case.carry(world, "spring")
                .is_well(DIRECTOR, WHATEVER)
                .assigns(&[("S1", "brake/fw.img", 3)]);
            case.install(world)
                .handed(b"brake 3\n")
                .is_well(WHATEVER, WHATEVER)
                .runs(b"brake 3\n");
        },
    );
    case(
        all,
        "PURE-2(3)",
        "secondary",
        "A Secondary that verifies in full looks at both repositories' part of the bundle.",
        |case, world| {
            world.be_secondary();
            case.carry(world, "spring")
                .is_well(DIRECTOR, IMAGE)
                .assigns(&[("S1", "brake/fw.img", 3)]);
            case.install(world)
                .handed(b"brake 3\n")
                .is_well(WHATEVER, WHATEVER)
                .runs(b"brake 3\n");
        },
    );
    case(
        all,
        "PURE-2(3)",
        "encrypted",
        "An image in the bundle is encrypted: the ciphertext is what travels.",
        |case, world| {
            world.ecu.decryption_key = Some("ecu-x25519-1".into());
            let made = world.encrypt("pcu.img", "one", &[("P1", "ecu-x25519-1")]);
            case.made(made);
            let listing = world.director.targets().clone();
            world.offline().add("spring", listing);
            case.carry(world, "spring")
                .is_well(DIRECTOR, IMAGE)
                .assigns(&[("P1", "pcu.img", 5), ("S1", "brake/fw.img", 3)])
                .encrypted("pcu.img");
            case.install(world)
                .is_well(WHATEVER, WHATEVER)
                .runs(b"pcu 5\n");
        },
    );
}

fn signatures(all: &mut Cases) {
    for (file, role) in [("snapshot", "offline-snapshot"), ("spring", "spring")] {
        for (what, note, signers) in [
            ("unsigned", "carries no signature", &[][..]),
            (
                "by-a-stranger",
                "is signed by a key that nobody lists",
                &["stranger"],
            ),
            (
                "by-the-online-key",
                "is signed by the key of the Director's online Targets, which was stolen: it is worth nothing on a stick",
                &["director-targets-1"],
            ),
            (
                "by-the-other-role",
                "is signed by the key of the other offline role",
                match file {
                    "snapshot" => &["offline-targets-1"],
                    _ => &["offline-snapshot-1"],
                },
            ),
        ] {
            let note = match file {
                "snapshot" => format!("The Offline Snapshot {note}."),
                _ => format!("The Offline Targets file {note}."),
            };
            let attack = ("signature-threshold", role, "arbitrary-software");
            let clause = match file {
                "snapshot" => "PURE-2(4)",
                _ => "PURE-2(5)",
            };
            let name = format!("{role}-{what}");
            refused(all, clause, &name, &note, attack, |world| {
                world.offline().sign_with(file, signers);
            });
        }
    }
    refused(
        all,
        "PURE-2(1)",
        "no-keys-for-it",
        "The Director's Root names nobody who may sign for sticks.",
        (
            "signature-threshold",
            "offline-snapshot",
            "arbitrary-software",
        ),
        |world| world.director.root().offline = None,
    );
    case(
        all,
        "PURE-2(1)",
        "revoked-keys",
        "The keys for sticks were replaced, and a bundle of the old ones is carried with the new Root.",
        |case, world| {
            world.director.next_root(|root| {
                if let Some([snapshot, targets]) = &mut root.offline {
                    snapshot.names = vec!["offline-snapshot-2".into()];
                    targets.names = vec!["offline-targets-2".into()];
                }
            });
            case.carry(world, "spring").is_refused(
                "signature-threshold",
                "director/offline-snapshot",
                "arbitrary-software",
                ([2, 0, 0, 0], [1, 0, 0, 0]),
            );
        },
    );
}

fn snapshot(all: &mut Cases) {
    refused(
        all,
        "PURE-2(4)",
        "snapshot-expired",
        "The Offline Snapshot has expired.",
        ("expired", "offline-snapshot", "freeze"),
        |world| world.offline().snapshot.expires = PAST.into(),
    );
    refused(
        all,
        "PURE-2(2)",
        "not-listed",
        "The Offline Snapshot does not list the Offline Targets file.",
        ("role-not-in-snapshot", "spring", "mix-and-match"),
        |world| {
            world
                .offline()
                .forge("snapshot", |signed| signed["meta"] = json!({}));
        },
    );
    refused(
        all,
        "PURE-2(4)",
        "another-version",
        "The Offline Targets file has another version than the Offline Snapshot lists.",
        ("version-mismatch", "spring", "mix-and-match"),
        |world| {
            world.offline().forge("snapshot", |signed| {
                signed["meta"]["spring.json"] = json!({"version": 2});
            });
        },
    );
    refused(
        all,
        "PURE-2(4)",
        "another-hash",
        "The Offline Targets file is not the one that the Offline Snapshot lists.",
        ("metadata-hash", "spring", "mix-and-match"),
        |world| {
            world.offline().forge("snapshot", |signed| {
                signed["meta"]["spring.json"]["hashes"]["sha256"] = json!("00".repeat(32));
            });
        },
    );
    refused(
        all,
        "PURE-2(4)",
        "snapshot-of-another-role",
        "The Offline Snapshot calls itself Targets.",
        ("wrong-role-type", "offline-snapshot", "mix-and-match"),
        |world| {
            world
                .offline()
                .forge("snapshot", |signed| signed["_type"] = json!("targets"));
        },
    );
}

fn targets(all: &mut Cases) {
    refused(
        all,
        "PURE-2(5)",
        "expired",
        "The Offline Targets file has expired.",
        ("expired", "spring", "freeze"),
        |world| world.offline().file("spring").head.expires = PAST.into(),
    );
    refused(
        all,
        "PURE-2(5)",
        "another-name",
        "An Offline Targets file stands under the name of another one, which the Offline Snapshot lists in the same version.",
        ("offline-name-mismatch", "spring", "mix-and-match"),
        |world| {
            world.offline().forge("spring", |signed| {
                signed["custom"]["name"] = json!("autumn")
            });
        },
    );
    refused(
        all,
        "PURE-2(5)",
        "no-name",
        "The Offline Targets file does not say which one it is.",
        ("malformed", "spring", "none"),
        |world| {
            world
                .offline()
                .forge("spring", |signed| signed["custom"] = json!({}));
        },
    );
    refused(
        all,
        "PURE-2(5)",
        "says-nothing-of-itself",
        "The Offline Targets file has nothing but images.",
        ("malformed", "spring", "none"),
        |world| {
            world.offline().forge("spring", |signed| {
                if let Some(members) = signed.as_object_mut() {
                    members.remove("custom");
                }
            });
        },
    );
    refused(
        all,
        "PURE-2(5)",
        "for-other-vehicles",
        "The Offline Targets file is for other vehicles.",
        ("vehicle-mismatch", "spring", "replay"),
        |world| {
            world.offline().forge("spring", |signed| {
                signed["custom"]["vins"] = json!(["VIN-OF-ANOTHER"]);
            });
        },
    );
    refused(
        all,
        "PURE-2(5)",
        "delegates",
        "The Offline Targets file delegates.",
        ("director-has-delegations", "spring", "arbitrary-software"),
        |world| {
            world.offline().forge("spring", |signed| {
                signed["delegations"] = super::director::delegation();
            });
        },
    );
    refused(
        all,
        "PURE-2(5)",
        "two-images-for-one-ecu",
        "Two images of the Offline Targets file are for the same ECU.",
        ("ecu-repeated", "spring", "mix-and-match"),
        |world| {
            world.list("targets", "b.img", b"b 1\n", &["pcu-a"], 1);
            world.assign("b.img", &[("P1", "pcu-a")]);
            let listing = world.director.targets().clone();
            world.offline().add("spring", listing);
        },
    );
}

/// What the vehicle knows already.
fn known(all: &mut Cases) {
    case(
        all,
        "PURE-2(4)",
        "older-bundle",
        "A bundle that is older than the last one. What is known is used instead, and the newer image is assigned still.",
        |case, world| {
            let mut old = world.clone();
            world.list("targets", "pcu.img", b"pcu 6\n", &["pcu-a"], 6);
            world.assign("pcu.img", &[("P1", "pcu-a")]);
            world.release();
            let listing = world.director.targets().clone();
            world.offline().add("spring", listing);
            world.offline().file("spring").head.version = 2;
            world.offline().snapshot.version = 2;
            let newer = [("P1", "pcu.img", 6), ("S1", "brake/fw.img", 3)];
            case.carry(world, "spring")
                .is_well(DIRECTOR, [1, 0, 2, 2])
                .assigns(&newer);
            case.install(world)
                .is_well(WHATEVER, WHATEVER)
                .runs(b"pcu 6\n");
            old.offline();
            // The known metadata asks for an image that the old bundle does not have.
            let image = b"pcu 6\n".to_vec();
            case.carry_with(&mut old, "spring", |members| {
                members.insert(crate::simulate::offline::image_member(&image), image);
            })
            .is_well(DIRECTOR, [1, 0, 2, 2]);
            case.install(&mut old)
                .is_well(WHATEVER, WHATEVER)
                .runs(b"pcu 6\n");
        },
    );
    case(
        all,
        "PURE-2(5)",
        "partial-older-bundle",
        "A Secondary that verifies in part is shown a bundle that is older than the last one. What it knows is used instead.",
        |case, world| {
            world.be_partial();
            let mut old = world.clone();
            world.list("supplier", "brake/fw.img", b"brake 4\n", &["brake-b"], 4);
            world.assign("brake/fw.img", &[("S1", "brake-b")]);
            let listing = world.director.targets().clone();
            world.offline().add("spring", listing);
            world.offline().file("spring").head.version = 2;
            let newer = [("S1", "brake/fw.img", 4)];
            case.carry(world, "spring")
                .is_well(DIRECTOR, WHATEVER)
                .assigns(&newer);
            case.carry(&mut old, "spring")
                .is_well(DIRECTOR, WHATEVER)
                .assigns(&newer);
        },
    );
    case(
        all,
        "PURE-2(5)",
        "partial-known-has-expired",
        "A Secondary that verifies in part is shown an older bundle, and the newer one that it knows has expired by now.",
        |case, world| {
            world.be_partial();
            let mut old = world.clone();
            world.offline().file("spring").head.version = 2;
            world.offline().file("spring").head.expires = "2030-06-01T00:00:00Z".into();
            case.carry(world, "spring")
                .is_well(DIRECTOR, WHATEVER)
                .at("2030-05-31T23:59:59Z");
            case.carry(&mut old, "spring")
                .is_refused("expired", "director/spring", "freeze", (DIRECTOR, WHATEVER))
                .at("2030-06-01T00:00:00Z");
        },
    );
    case(
        all,
        "PURE-2(5)",
        "partial-same-version",
        "A Secondary that verifies in part is shown other content under the version that it knows.",
        |case, world| {
            world.be_partial();
            case.carry(world, "spring").is_well(DIRECTOR, WHATEVER);
            world
                .offline()
                .forge("spring", |signed| signed["x-note"] = json!("other"));
            case.carry(world, "spring").is_refused(
                "same-version-different-content",
                "director/spring",
                "mix-and-match",
                (DIRECTOR, WHATEVER),
            );
        },
    );
    case(
        all,
        "PURE-2(4)",
        "lower-entry",
        "A newer Offline Snapshot lists the Offline Targets file with a lower version than before.",
        |case, world| {
            world.offline().release("spring");
            case.carry(world, "spring").is_well(DIRECTOR, IMAGE);
            world.offline().snapshot.version = 3;
            world.offline().file("spring").head.version = 1;
            case.carry(world, "spring").is_refused(
                "snapshot-entry-rollback",
                "director/spring",
                "rollback",
                (DIRECTOR, IMAGE),
            );
        },
    );
    case(
        all,
        "PURE-2(4)",
        "entry-gone",
        "A newer Offline Snapshot does not list an Offline Targets file any more that it listed before.",
        |case, world| {
            let listing = world.director.targets().clone();
            world.offline().add("autumn", listing);
            case.carry(world, "spring").is_well(DIRECTOR, IMAGE);
            world.offline().snapshot.version = 2;
            world.offline().files.remove("autumn");
            case.carry(world, "spring").is_refused(
                "snapshot-entry-removed",
                "director/autumn",
                "rollback",
                (DIRECTOR, IMAGE),
            );
        },
    );
    case(
        all,
        "PURE-2(4)",
        "same-snapshot-version",
        "An Offline Snapshot in the version that is known, with other content.",
        |case, world| {
            case.carry(world, "spring").is_well(DIRECTOR, IMAGE);
            world
                .offline()
                .forge("snapshot", |signed| signed["x-note"] = json!("other"));
            case.carry(world, "spring").is_refused(
                "same-version-different-content",
                "director/offline-snapshot",
                "mix-and-match",
                (DIRECTOR, IMAGE),
            );
        },
    );
    case(
        all,
        "PURE-2(4)",
        "same-targets-version",
        "An Offline Targets file in the version that is known, with other content, under a newer Offline Snapshot.",
        |case, world| {
            case.carry(world, "spring").is_well(DIRECTOR, IMAGE);
            world.offline().snapshot.version = 2;
            world
                .offline()
                .forge("spring", |signed| signed["x-note"] = json!("other"));
            case.carry(world, "spring").is_refused(
                "same-version-different-content",
                "director/spring",
                "mix-and-match",
                (DIRECTOR, IMAGE),
            );
        },
    );
    case(
        all,
        "PURE-2(4)",
        "lower-release-counter",
        "A bundle with an image that is older than the one that runs: its metadata is in order, and it is not installed.",
        |case, world| {
            world.runs("pcu.img", b"pcu 9\n", 9);
            case.carry(world, "spring").is_refused(
                "release-counter-rollback",
                "image/targets",
                "rollback",
                (DIRECTOR, IMAGE),
            );
        },
    );
}

/// The Image repository's part.
fn image(all: &mut Cases) {
    case(
        all,
        "PURE-2(6)",
        "image-snapshot-expired",
        "The Image repository's Snapshot has expired. In a bundle that does not count.",
        |case, world| {
            world.image.snapshot.expires = PAST.into();
            case.carry(world, "spring").is_well(DIRECTOR, IMAGE);
        },
    );
    case(
        all,
        "PURE-2(6)",
        "image-targets-expired",
        "The Image repository's Targets has expired.",
        |case, world| {
            world.image.targets().head.expires = PAST.into();
            case.carry(world, "spring").is_refused(
                "expired",
                "image/targets",
                "freeze",
                (DIRECTOR, [1, 0, 1, 0]),
            );
        },
    );
    for (name, note, signers) in [
        (
            "image-snapshot-unsigned",
            "The Image repository's Snapshot carries no signature.",
            &[][..],
        ),
        (
            "image-snapshot-by-the-director",
            "The Image repository's Snapshot is signed by a key of the Director's.",
            &["offline-snapshot-1"],
        ),
    ] {
        case(all, "PURE-2(6)", name, note, |case, world| {
            world.image.sign_with("snapshot", signers);
            case.carry(world, "spring").is_refused(
                "signature-threshold",
                "image/snapshot",
                "arbitrary-software",
                (DIRECTOR, [1, 0, 0, 0]),
            );
        });
    }
    case(
        all,
        "PURE-2(6)",
        "image-targets-unsigned",
        "The Image repository's Targets carries no signature.",
        |case, world| {
            world.image.sign_with("targets", &[]);
            case.carry(world, "spring").is_refused(
                "signature-threshold",
                "image/targets",
                "arbitrary-software",
                (DIRECTOR, [1, 0, 1, 0]),
            );
        },
    );
    case(
        all,
        "PURE-2(6)",
        "image-snapshot-older",
        "The Image repository's Snapshot in the bundle is older than the known one, which is used instead of it.",
        |case, world| {
            let mut old = world.clone();
            world.image.release();
            case.cycle(world).is_well([1, 1, 1, 1], [1, 2, 2, 2]);
            case.carry(&mut old, "spring")
                .is_well([1, 1, 1, 1], [1, 2, 2, 2])
                .assigns(&[("P1", "pcu.img", 5), ("S1", "brake/fw.img", 3)]);
        },
    );
    case(
        all,
        "PURE-2(6)",
        "image-snapshot-older-after-a-new-root",
        "The Image repository has a new Root that replaces no key. The Snapshot that was known before is known still.",
        |case, world| {
            let mut old = world.clone();
            world.image.release();
            case.carry(world, "spring").is_well(DIRECTOR, [1, 0, 2, 2]);
            old.image.next_root(|_| {});
            case.carry(&mut old, "spring")
                .is_well(DIRECTOR, [2, 0, 2, 2]);
            case.carry(&mut old, "spring")
                .is_well(DIRECTOR, [2, 0, 2, 2]);
        },
    );
    case(
        all,
        "PURE-2(6)",
        "image-snapshot-forgotten",
        "The Image repository's Snapshot key was replaced: the Snapshot that was known before counts no longer.",
        |case, world| {
            let mut new = world.clone();
            world.image.jump(2_147_483_647);
            case.carry(world, "spring")
                .is_well(DIRECTOR, [1, 0, 2_147_483_647, 2_147_483_647]);
            new.image
                .next_root(|root| root.keys("snapshot", &["image-snapshot-2"], 1));
            case.carry(&mut new, "spring")
                .is_well(DIRECTOR, [2, 0, 1, 1]);
        },
    );
    case(
        all,
        "PURE-2(6)",
        "image-entry-gone",
        "A newer Snapshot of the Image repository does not list a role any more that it listed before.",
        |case, world| {
            case.carry(world, "spring").is_well(DIRECTOR, IMAGE);
            world.image.release();
            world.image.forge("snapshot", |signed| {
                if let Some(meta) = signed["meta"].as_object_mut() {
                    meta.remove("supplier.json");
                }
            });
            case.carry(world, "spring").is_refused(
                "snapshot-entry-removed",
                "image/supplier",
                "rollback",
                (DIRECTOR, IMAGE),
            );
        },
    );
    case(
        all,
        "PURE-2(6)",
        "image-entry-lower",
        "A newer Snapshot of the Image repository lists Targets with a lower version than before.",
        |case, world| {
            world.image.release();
            case.carry(world, "spring").is_well(DIRECTOR, [1, 0, 2, 2]);
            world.image.snapshot.version = 3;
            world.image.targets().head.version = 1;
            case.carry(world, "spring").is_refused(
                "snapshot-entry-rollback",
                "image/targets",
                "rollback",
                (DIRECTOR, [1, 0, 2, 2]),
            );
        },
    );
    case(
        all,
        "PURE-2(6)",
        "image-same-version",
        "A Snapshot of the Image repository in the version that is known, with other content.",
        |case, world| {
            case.carry(world, "spring").is_well(DIRECTOR, IMAGE);
            world
                .image
                .forge("snapshot", |signed| signed["x-note"] = json!("other"));
            case.carry(world, "spring")
                .is_refused(
                    "same-version-different-content",
                    "image/snapshot",
                    "mix-and-match",
                    (DIRECTOR, IMAGE),
                )
                .bytes_of("image/snapshot", 1);
        },
    );
    case(
        all,
        "PURE-2(7)",
        "mismatch",
        "The Offline Targets file lists other bytes than the Image repository.",
        |case, world| {
            world.assign_as("pcu.img", b"pcu X\n", &[("P1", "pcu-a")], 5);
            let listing = world.director.targets().clone();
            world.offline().add("spring", listing);
            case.carry(world, "spring").is_refused(
                "director-image-mismatch",
                "image/targets",
                "arbitrary-software",
                (DIRECTOR, IMAGE),
            );
        },
    );
    case(
        all,
        "PURE-2(7)",
        "not-in-the-image-repository",
        "The Offline Targets file assigns an image that the Image repository does not know.",
        |case, world| {
            world.assign_as("evil.img", b"evil\n", &[("P1", "pcu-a")], 9);
            world.director.targets().images.remove("pcu.img");
            let listing = world.director.targets().clone();
            world.offline().add("spring", listing);
            case.carry(world, "spring").is_refused(
                "target-not-found",
                "image/",
                "none",
                (DIRECTOR, IMAGE),
            );
        },
    );
}

/// What stands in the bundle itself.
fn members(all: &mut Cases) {
    for (name, note, taken, code, place) in [
        (
            "without-snapshot",
            "The bundle has no Offline Snapshot.",
            "director/offline/snapshot.json",
            "metadata-missing",
            "director/offline-snapshot",
        ),
        (
            "without-targets",
            "The bundle has no Offline Targets file.",
            "director/offline/spring.json",
            "usage",
            "",
        ),
        (
            "without-image-snapshot",
            "The bundle has no Snapshot of the Image repository.",
            "image/metadata/snapshot.json",
            "metadata-missing",
            "image/snapshot",
        ),
    ] {
        case(all, "PURE-2(3)", name, note, |case, world| {
            case.carry_with(world, "spring", |members| {
                members.remove(taken);
            })
            .is_refused(code, place, "none", ([1, 0, 0, 0], [1, 0, 0, 0]));
        });
    }
    case(
        all,
        "PURE-2(3)",
        "two-targets",
        "The bundle has two Offline Targets files, each in order by itself: it has to be exactly one.",
        |case, world| {
            let listing = world.director.targets().clone();
            world.offline().add("autumn", listing);
            let other = case.made(world.bundle("autumn"));
            case.carry_with(world, "spring", |members| members.extend(other))
                .is_refused("usage", "", "none", ([1, 0, 0, 0], [1, 0, 0, 0]));
        },
    );
    for (name, note, image, code, attack) in [
        (
            "image-other-bytes",
            "The image in the bundle has other bytes.",
            Some(&b"pcu X\n"[..]),
            "image-hash",
            "arbitrary-software",
        ),
        (
            "image-too-long",
            "The image in the bundle goes on beyond its length.",
            Some(b"pcu 5\nand so on"),
            "image-too-long",
            "endless-data",
        ),
        (
            "image-cut",
            "The image in the bundle is cut.",
            Some(b"pcu"),
            "image-hash",
            "arbitrary-software",
        ),
        (
            "image-not-there",
            "The image is not in the bundle.",
            None,
            "image-missing",
            "none",
        ),
    ] {
        case(all, "PURE-2(3)", name, note, |case, world| {
            let member = crate::simulate::offline::image_member(b"pcu 5\n");
            case.carry_with(world, "spring", |members| {
                match image {
                    Some(bytes) => members.insert(member, bytes.into()),
                    None => members.remove(&member),
                };
            })
            .is_refused(code, "", attack, (DIRECTOR, IMAGE));
            // The stick is copied once more.
            case.carry(world, "spring").is_well(DIRECTOR, IMAGE);
            case.install(world)
                .is_well(WHATEVER, WHATEVER)
                .runs(b"pcu 5\n");
        });
    }
}

/// Nobody answers a nonce.
fn time(all: &mut Cases) {
    refused(
        all,
        "PURE-2(8)",
        "root-expired",
        "The Director's Root has expired.",
        ("expired", "root", "freeze"),
        |world| world.director.root().head.expires = PAST.into(),
    );
    case(
        all,
        "PURE-2(8)",
        "time-keys-replaced",
        "The bundle's Root names another time server than the one that attested the time to this ECU: nobody vouches for a time.",
        |case, world| {
            world.keep_time();
            let time = case.made(world.attest("2030-01-01T12:00:00Z", &[NONCE], "time-1"));
            case.cycle(world)
                .nonce(NONCE)
                .attested(&time)
                .is_well([1, 1, 1, 1], [1, 1, 1, 1]);
            world
                .director
                .next_root(|root| root.time_server = Some(Keys::new(&["time-2"], 1)));
            case.carry(world, "spring").is_refused(
                "time-unavailable",
                "director/time",
                "freeze",
                ([2, 1, 1, 1], [1, 1, 1, 1]),
            );
        },
    );
    case(
        all,
        "PURE-2(8)",
        "time-server-malformed",
        "The bundle's Root names a time server, and asks for no signature of it.",
        |case, world| {
            world.keep_time();
            world.director.forge("root", |signed| {
                signed["custom"]["timeServer"]["threshold"] = json!(0);
            });
            case.carry(world, "spring").is_refused(
                "malformed",
                "director/root",
                "none",
                (DIRECTOR, [1, 0, 0, 0]),
            );
        },
    );
    case(
        all,
        "PURE-2(8)",
        "never-told-the-time",
        "The Director's Root names a time server, and this ECU was never told the time: nothing says that the bundle is fresh.",
        |case, world| {
            world.keep_time();
            case.carry(world, "spring").is_refused(
                "time-unavailable",
                "director/time",
                "freeze",
                (DIRECTOR, [1, 0, 0, 0]),
            );
        },
    );
    for (name, note, expires, is_fresh) in [
        (
            "latest-time",
            "Without an attestation the latest time counts that this ECU was attested, whatever the system's clock says.",
            "2030-01-01T12:00:01Z",
            true,
        ),
        (
            "expired-by-the-latest-time",
            "What had expired at the latest time that this ECU was attested is not fresh on a stick, whatever the system's clock says.",
            "2030-01-01T12:00:00Z",
            false,
        ),
    ] {
        case(all, "PURE-2(8)", name, note, |case, world| {
            case.clock(if is_fresh {
                "2035-01-01T00:00:00Z"
            } else {
                "2027-01-01T00:00:00Z"
            });
            world.keep_time();
            let time = case.made(world.attest("2030-01-01T12:00:00Z", &[NONCE], "time-1"));
            case.cycle(world)
                .nonce(NONCE)
                .attested(&time)
                .is_well([1, 1, 1, 1], [1, 1, 1, 1]);
            world.offline().snapshot.expires = expires.into();
            let step = case.carry(world, "spring");
            match is_fresh {
                true => step.is_well([1, 1, 1, 1], [1, 1, 1, 1]),
                false => step.is_refused(
                    "expired",
                    "director/offline-snapshot",
                    "freeze",
                    ([1, 1, 1, 1], [1, ANY, 1, 1]),
                ),
            };
        });
    }
}
