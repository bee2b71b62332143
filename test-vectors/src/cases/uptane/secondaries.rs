//! A Secondary that verifies in full: both repositories, as its Primary passes them on, for its own image.

use super::expect::{ONE, TWO, Versions, WHATEVER};
use crate::cases::draft::ANY;
use crate::cases::{Cases, Draft};
use crate::simulate::World;

const OWN: &[(&str, &str, u64)] = &[("S1", "brake/fw.img", 3)];

fn case(all: &mut Cases, name: &str, note: &str, build: impl FnOnce(&mut Draft, &mut World)) {
    let name = format!("uptane-secondary/{name}");
    let spec = [
        "Uptane 3.2.2.1",
        "Uptane 5.4.2.6(2)",
        "Uptane 5.4.4.2(10.1)",
    ];
    all.vehicle(&name, &spec, note, |case, world| {
        world.be_secondary();
        build(case, world);
    });
}

pub(super) fn cases(all: &mut Cases) {
    own_image_only(all);
    compromised_primary(all);
    frozen(all);
    stolen_director(all);
    images(all);
}

fn own_image_only(all: &mut Cases) {
    case(
        all,
        "honest",
        "Both repositories are followed; only what is for this ECU is looked up, and the Primary hands the image over.",
        |case, world| {
            case.cycle(world)
                .is_well(ONE, ONE)
                .assigns(OWN)
                .requests(
                    "director/2.root director/timestamp director/1.snapshot director/1.targets \
                     image/2.root image/timestamp image/1.snapshot image/1.targets image/1.supplier",
                );
            case.install(world)
                .handed(b"brake 3\n")
                .is_well(WHATEVER, WHATEVER)
                .runs(b"brake 3\n");
        },
    );
    case(
        all,
        "ecu-that-it-does-not-know",
        "The Director names an ECU that this one never heard of. Only a Primary knows all of the vehicle.",
        |case, world| {
            world.list("targets", "new.img", b"new\n", &["radar-d"], 1);
            world.assign("new.img", &[("S9", "radar-d")]);
            case.cycle(world).is_well(ONE, ONE).assigns(OWN);
        },
    );
    case(
        all,
        "mismatch-for-another-ecu",
        "The repositories do not agree about another ECU's image. That is for this other ECU to refuse.",
        |case, world| {
            world.assign_as("pcu.img", b"pcu X\n", &[("P1", "pcu-a")], 5);
            case.cycle(world).is_well(ONE, ONE).assigns(OWN);
        },
    );
    case(
        all,
        "nothing-for-this-ecu",
        "The Director assigns images to others only.",
        |case, world| {
            world.assign_nothing();
            world.assign("pcu.img", &[("P1", "pcu-a")]);
            case.cycle(world)
                .is_well(ONE, [1, ANY, ANY, ANY])
                .assigns(&[]);
            case.install(world)
                .is_well(WHATEVER, WHATEVER)
                .runs_what_it_did();
        },
    );
    case(
        all,
        "several-roots-behind",
        "It was off while both repositories had three new Roots: the Primary passes every one of them on.",
        |case, world| {
            case.cycle(world).is_well(ONE, ONE);
            for _ in 2..=4 {
                world.director.next_root(|_| {});
                world.image.next_root(|_| {});
            }
            world
                .director
                .root()
                .keys("targets", &["director-targets-2"], 1);
            world.release();
            case.cycle(world)
                .is_well([4, 2, 2, 2], [4, 2, 2, 2])
                .assigns(OWN);
        },
    );
}

/// What a Primary in the hands of an attacker can do without any key.
fn compromised_primary(all: &mut Cases) {
    type Refusal = (&'static str, &'static str, &'static str);
    type Change = fn(&mut World);
    type Case = (
        &'static str,
        &'static str,
        Refusal,
        (Versions, Versions),
        Change,
    );
    let held_back: [Case; 6] = [
        (
            "older-director",
            "The Primary passes on the Director's files of yesterday.",
            ("version-rollback", "director/timestamp", "rollback"),
            (TWO, TWO),
            |world| world.director.jump(1),
        ),
        (
            "older-image-repository",
            "The Primary passes on the Image repository's files of yesterday.",
            ("version-rollback", "image/timestamp", "rollback"),
            (TWO, TWO),
            |world| world.image.jump(1),
        ),
        (
            "another-vehicle",
            "The Primary passes on the Director's files for another vehicle.",
            ("vehicle-mismatch", "director/timestamp", "replay"),
            (TWO, TWO),
            |world| {
                world.name_vehicle("VIN-OF-ANOTHER");
                world.release();
            },
        ),
        (
            "director-expired",
            "The Primary passes on a Timestamp of the Director's that has expired on its way.",
            ("expired", "director/timestamp", "freeze"),
            (TWO, TWO),
            |world| {
                world.director.timestamp.version += 1;
                world.director.timestamp.expires = "2024-12-31T23:59:59Z".into();
            },
        ),
        (
            "root-held-back",
            "The Primary holds the new Root back, and the Director's Targets is signed by the key that replaced the known one.",
            (
                "signature-threshold",
                "director/targets",
                "arbitrary-software",
            ),
            ([1, 3, 3, 2], TWO),
            |world| {
                world.director.release();
                world.director.sign_with("targets", &["director-targets-2"]);
            },
        ),
        (
            "held-back",
            "The Primary does not pass the Director's Targets on.",
            ("metadata-missing", "director/targets", "none"),
            ([1, 3, 3, 2], TWO),
            |world| {
                world.director.release();
                world.director.withhold("targets");
            },
        ),
    ];
    for (name, note, (code, place, attack), trusted, change) in held_back {
        case(all, name, note, |case, world| {
            case.cycle(world).is_well(ONE, ONE);
            world.release();
            case.cycle(world).is_well(TWO, TWO);
            let mut honest = world.clone();
            change(world);
            case.cycle(world).is_refused(code, place, attack, trusted);
            // Nothing is lost: when it hears the truth again, it goes on.
            honest.release();
            honest.release();
            case.cycle(&mut honest)
                .is_well([1, 4, 4, 4], [1, 4, 4, 4])
                .assigns(OWN);
        });
    }
}

/// Time passes, and the Primary goes on with what it has.
fn frozen(all: &mut Cases) {
    case(
        all,
        "frozen",
        "The Primary holds back whatever is newer, and passes the same files on until they have expired.",
        |case, world| {
            world.director.timestamp.expires = "2030-06-01T00:00:00Z".into();
            case.cycle(world)
                .is_well(ONE, ONE)
                .at("2030-05-31T23:59:59Z");
            case.cycle(world)
                .is_refused("expired", "director/timestamp", "freeze", (ONE, ONE))
                .at("2030-06-01T00:00:00Z");
        },
    );
}

/// Where partial verification ends, full verification begins.
fn stolen_director(all: &mut Cases) {
    case(
        all,
        "stolen-director",
        "Whoever holds the Primary and the Director's keys assigns an image that the Image repository does not list.",
        |case, world| {
            case.cycle(world).is_well(ONE, ONE);
            world.assign_nothing();
            world.assign_as("evil.img", b"evil\n", &[("S1", "brake-b")], 9);
            world.release();
            case.cycle(world)
                .is_refused("target-not-found", "image/", "none", (TWO, TWO));
        },
    );
    case(
        all,
        "stolen-director-other-bytes",
        "Whoever holds the Primary and the Director's keys assigns other bytes under the name of a known image.",
        |case, world| {
            case.cycle(world).is_well(ONE, ONE);
            world.assign_as("brake/fw.img", b"brake X\n", &[("S1", "brake-b")], 3);
            world.release();
            case.cycle(world).is_refused(
                "director-image-mismatch",
                "image/supplier",
                "arbitrary-software",
                (TWO, TWO),
            );
        },
    );
    case(
        all,
        "other-hardware",
        "The Director sends it an image that is for other hardware, by the Image repository's word.",
        |case, world| {
            case.cycle(world).is_well(ONE, ONE);
            world.list("targets", "lamp.img", b"lamp\n", &["lamp-c"], 4);
            world.assign_nothing();
            world.assign("lamp.img", &[("S1", "brake-b")]);
            world.release();
            case.cycle(world).is_refused(
                "hardware-mismatch",
                "image/targets",
                "arbitrary-software",
                (TWO, TWO),
            );
        },
    );
    case(
        all,
        "lower-release-counter",
        "The Director sends it an image that is older than the one that runs.",
        |case, world| {
            world.runs("brake/fw.img", b"brake 9\n", 9);
            case.cycle(world).is_refused(
                "release-counter-rollback",
                "image/supplier",
                "rollback",
                (ONE, ONE),
            );
        },
    );
    case(
        all,
        "two-images",
        "Two images are for this ECU.",
        |case, world| {
            world.list("supplier", "brake/b.img", b"brake b\n", &["brake-b"], 4);
            world.assign("brake/b.img", &[("S1", "brake-b")]);
            case.cycle(world).is_refused(
                "ecu-repeated",
                "director/targets",
                "mix-and-match",
                ([1, 1, 1, 0], [1, 0, 0, 0]),
            );
        },
    );
}

fn images(all: &mut Cases) {
    for (name, note, handed, code, attack) in [
        (
            "image-other-bytes",
            "The Primary hands over other bytes.",
            Some(&b"brake X\n"[..]),
            "image-hash",
            "arbitrary-software",
        ),
        (
            "image-too-short",
            "The Primary hands over the beginning of the image.",
            Some(b"brake"),
            "image-hash",
            "arbitrary-software",
        ),
        (
            "image-too-long",
            "The Primary hands over more than the image.",
            Some(b"brake 3\nand so on"),
            "image-too-long",
            "endless-data",
        ),
        (
            "image-held-back",
            "The Primary hands over nothing.",
            None,
            "image-missing",
            "none",
        ),
    ] {
        case(all, name, note, |case, world| {
            case.cycle(world).is_well(ONE, ONE);
            let install = case.install(world);
            if let Some(handed) = handed {
                install.handed(handed);
            }
            install.does_not_install(code, attack);
            case.install(world)
                .handed(b"brake 3\n")
                .is_well(WHATEVER, WHATEVER)
                .runs(b"brake 3\n");
        });
    }
    for (name, note, wrapped_for, refused) in [
        (
            "encrypted",
            "Its image travels encrypted: the Primary, which has no key for it, hands the ciphertext over.",
            "ecu-x25519-1",
            false,
        ),
        (
            "encrypted-for-another-key",
            "The content key is wrapped for another ECU's key.",
            "ecu-x25519-2",
            true,
        ),
    ] {
        case(all, name, note, |case, world| {
            world.ecu.decryption_key = Some("ecu-x25519-1".into());
            let made = world.encrypt("brake/fw.img", "one", &[("S1", wrapped_for)]);
            let ciphertext = case.made(made);
            case.cycle(world)
                .is_well(ONE, ONE)
                .assigns(OWN)
                .encrypted("brake/fw.img");
            let install = case.install(world).handed(&ciphertext);
            match refused {
                true => install.does_not_install("key-unwrap-failed", "arbitrary-software"),
                false => install.is_well(WHATEVER, WHATEVER).runs(b"brake 3\n"),
            };
        });
    }
}
