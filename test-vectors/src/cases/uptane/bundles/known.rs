//! What the vehicle knows already.

use serde_json::json;

use super::super::expect::WHATEVER;
use super::{DIRECTOR, IMAGE, case};
use crate::cases::Cases;

/// What the vehicle knows already.
pub(super) fn known(all: &mut Cases) {
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
        "PURE-2(5)",
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
        "PURE-2(7)",
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
