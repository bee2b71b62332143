//! Updates that are carried to the vehicle (PURE-2): what a bundle may say, and what stands in it.

mod carried;
mod image;
mod known;
mod signed;

use serde_json::json;

use super::expect::{Versions, WHATEVER};
use crate::cases::{Cases, Draft};
use crate::simulate::World;

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
        change(world);
        let place = format!("director/{role}");
        case.carry(world, "spring")
            .is_refused(code, &place, attack, (DIRECTOR, [1, 0, 0, 0]));
    });
}

/// An Offline Targets file that is refused. It was not kept either: an honest one in its version is no other
/// one.
fn refused_file(
    all: &mut Cases,
    name: &str,
    note: &str,
    (code, attack): (&str, &str),
    change: impl FnOnce(&mut World),
) {
    case(all, "PURE-2(5)", name, note, |case, world| {
        let mut honest = world.clone();
        change(world);
        case.carry(world, "spring").is_refused(
            code,
            "director/spring",
            attack,
            (DIRECTOR, [1, 0, 0, 0]),
        );
        honest.offline().snapshot.version = 2;
        case.carry(&mut honest, "spring").is_well(DIRECTOR, IMAGE);
    });
}

pub(super) fn cases(all: &mut Cases) {
    honest(all);
    signed::signatures(all);
    signed::snapshot(all);
    signed::targets(all);
    known::known(all);
    image::image(all);
    carried::members(all);
    carried::time(all);
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
