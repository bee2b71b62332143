//! What stands in a bundle, and what time it is where nobody answers a nonce.

use serde_json::json;

use super::super::expect::WHATEVER;
use super::{DIRECTOR, IMAGE, PAST, case, refused};
use crate::cases::Cases;
use crate::cases::draft::ANY;
use crate::simulate::{Keys, NONCE};

/// What stands in the bundle itself.
pub(super) fn members(all: &mut Cases) {
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
        "targets-longer-than-listed",
        "The Offline Targets file in the bundle is longer than the Offline Snapshot lists. What goes beyond is not read.",
        |case, world| {
            case.carry_with(world, "spring", |members| {
                let file = members.get_mut("director/offline/spring.json");
                file.into_iter().for_each(|file| file.push(b'\n'));
            })
            .is_refused(
                "too-large",
                "director/spring",
                "endless-data",
                (DIRECTOR, [1, 0, 0, 0]),
            );
        },
    );
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
pub(super) fn time(all: &mut Cases) {
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
