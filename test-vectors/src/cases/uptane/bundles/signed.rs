//! Who signs a bundle's files of the Director, and what they say.

use serde_json::json;

use super::{PAST, case, refused, refused_file};
use crate::cases::Cases;

pub(super) fn signatures(all: &mut Cases) {
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

pub(super) fn snapshot(all: &mut Cases) {
    refused(
        all,
        "PURE-2(4)",
        "snapshot-too-large",
        "The Offline Snapshot has more than 64 KiB. The bound is ours.",
        ("too-large", "offline-snapshot", "endless-data"),
        |world| {
            world.offline().forge("snapshot", |signed| {
                signed["x"] = json!("x".repeat(1 << 16))
            });
        },
    );
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
        "PURE-2(5)",
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
        "PURE-2(5)",
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

pub(super) fn targets(all: &mut Cases) {
    refused_file(
        all,
        "expired",
        "The Offline Targets file has expired.",
        ("expired", "freeze"),
        |world| world.offline().file("spring").head.expires = PAST.into(),
    );
    refused_file(
        all,
        "another-name",
        "An Offline Targets file stands under the name of another one, which the Offline Snapshot lists in the same version.",
        ("offline-name-mismatch", "mix-and-match"),
        |world| {
            world.offline().forge("spring", |signed| {
                signed["custom"]["name"] = json!("autumn")
            });
        },
    );
    refused_file(
        all,
        "no-name",
        "The Offline Targets file does not say which one it is.",
        ("malformed", "none"),
        |world| {
            world
                .offline()
                .forge("spring", |signed| signed["custom"] = json!({}));
        },
    );
    refused_file(
        all,
        "says-nothing-of-itself",
        "The Offline Targets file has nothing but images.",
        ("malformed", "none"),
        |world| {
            world.offline().forge("spring", |signed| {
                if let Some(members) = signed.as_object_mut() {
                    members.remove("custom");
                }
            });
        },
    );
    refused_file(
        all,
        "for-other-vehicles",
        "The Offline Targets file is for other vehicles.",
        ("vehicle-mismatch", "replay"),
        |world| {
            world.offline().forge("spring", |signed| {
                signed["custom"]["vins"] = json!(["VIN-OF-ANOTHER"]);
            });
        },
    );
    refused_file(
        all,
        "delegates",
        "The Offline Targets file delegates.",
        ("director-has-delegations", "arbitrary-software"),
        |world| {
            world.offline().forge("spring", |signed| {
                signed["delegations"] = crate::cases::uptane::director::delegation();
            });
        },
    );
    refused_file(
        all,
        "two-images-for-one-ecu",
        "Two images of the Offline Targets file are for the same ECU.",
        ("ecu-repeated", "mix-and-match"),
        |world| {
            world.list("targets", "b.img", b"b 1\n", &["pcu-a"], 1);
            world.assign("b.img", &[("P1", "pcu-a")]);
            let listing = world.director.targets().clone();
            world.offline().add("spring", listing);
        },
    );
}
