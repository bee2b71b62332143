//! The Image repository's part.

use serde_json::json;

use super::{DIRECTOR, IMAGE, PAST, case};
use crate::cases::Cases;

/// The Image repository's part.
pub(super) fn image(all: &mut Cases) {
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
