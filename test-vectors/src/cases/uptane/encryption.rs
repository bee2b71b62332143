//! Encrypted images (docs/encrypted-images.md).

use serde_json::json;

use super::expect::{ONE, TWO, WHATEVER};
use crate::cases::{Cases, Draft};
use crate::simulate::{Cipher, World, sha256_hex};

const SPEC: &[&str] = &[
    "Uptane 5.2.3.1.2(2)",
    "Uptane 5.2.3.1.2(3)",
    "Uptane 5.4.3.4(6)",
    "Uptane 5.4.3.4(7)",
];

/// The name of the content key of all cases.
const CIPHER: &str = "image";

/// Bytes of a segment's plaintext.
const PIECE: usize = 65_536;

/// A confidential image for the Primary, whose key for it is `key`.
fn case(
    all: &mut Cases,
    name: &str,
    note: &str,
    key: &str,
    build: impl FnOnce(&mut Draft, &mut World),
) {
    let name = format!("uptane-encryption/{name}");
    all.vehicle(&name, SPEC, note, |case, world| {
        world.ecu.decryption_key = Some(key.into());
        world.assign_nothing();
        world.assign("pcu.img", &[("P1", "pcu-a")]);
        build(case, world);
    });
}

const KEY: &str = "ecu-x25519-1";

/// The image is that long.
fn of_length(case: &mut Draft, world: &mut World, length: usize) -> Vec<u8> {
    let image: Vec<u8> = (0..length)
        .map(|n| u8::try_from(n % 251).unwrap_or_default())
        .collect();
    world.list("targets", "pcu.img", &image, &["pcu-a"], 5);
    world.assign("pcu.img", &[("P1", "pcu-a")]);
    case.made(world.encrypt("pcu.img", CIPHER, &[("P1", KEY)]));
    image
}

pub(super) fn cases(all: &mut Cases) {
    honest(all);
    ciphertexts(all);
    keys(all);
    policy(all);
}

fn honest(all: &mut Cases) {
    for (name, key) in [("x25519", "ecu-x25519-1"), ("p256", "ecu-p256-1")] {
        let note = format!("The content key is wrapped to the ECU's {name} key.");
        case(all, name, &note, key, |case, world| {
            case.made(world.encrypt("pcu.img", CIPHER, &[("P1", key)]));
            case.cycle(world)
                .is_well(ONE, ONE)
                .assigns(&[("P1", "pcu.img", 5)])
                .encrypted("pcu.img");
            case.install(world)
                .is_well(WHATEVER, WHATEVER)
                .runs(b"pcu 5\n");
        });
    }
    for (name, note, length) in [
        ("empty", "An image of no bytes is one empty segment.", 0),
        (
            "one-full-segment",
            "An image of 65,536 bytes is one segment, and no empty one after it.",
            PIECE,
        ),
        (
            "two-segments",
            "An image that is one byte longer than a segment.",
            PIECE + 1,
        ),
    ] {
        case(all, name, note, KEY, |case, world| {
            let image = of_length(case, world, length);
            case.cycle(world).is_well(ONE, ONE);
            case.install(world).is_well(WHATEVER, WHATEVER).runs(&image);
        });
    }
    case(
        all,
        "confidential",
        "The Image repository says that the image must be encrypted, and it is.",
        KEY,
        |case, world| {
            world.described("targets", "pcu.img", |custom| {
                custom["encryption"] = json!("required")
            });
            case.made(world.encrypt("pcu.img", CIPHER, &[("P1", KEY)]));
            case.cycle(world).is_well(ONE, ONE);
            case.install(world)
                .is_well(WHATEVER, WHATEVER)
                .runs(b"pcu 5\n");
        },
    );
}

/// A name, what is listed, its bytes, and the code and attack class of the refusal.
type Listed = (
    &'static str,
    &'static str,
    Vec<u8>,
    (&'static str, &'static str),
);

/// The listed ciphertext is not what the encryption of the image gives. Whoever holds the Director's keys
/// can list it.
fn ciphertexts(all: &mut Cases) {
    let cipher = Cipher::named(CIPHER);
    let two = [vec![b'a'; PIECE], b"bb\n".to_vec()];
    let image = two.concat();
    let (header, first, second) = (
        cipher.header().to_vec(),
        cipher.segment(0, false, &two[0]),
        cipher.segment(1, true, &two[1]),
    );
    let whole = [&header[..], &first, &second].concat();
    let changed = |at: usize| {
        let mut bytes = whole.clone();
        bytes[at] ^= 1;
        bytes
    };
    let failed = ("decrypt-failed", "arbitrary-software");
    let listed: Vec<Listed> = vec![
        (
            "tag-changed",
            "A bit of a segment's tag is another one.",
            changed(whole.len() - 1),
            failed,
        ),
        (
            "segment-changed",
            "A bit of a segment is another one.",
            changed(40),
            failed,
        ),
        (
            "magic-changed",
            "The header begins with something else.",
            changed(0),
            failed,
        ),
        (
            "version-changed",
            "The header states an unknown version.",
            changed(7),
            failed,
        ),
        (
            "method-changed",
            "The header states an unknown method.",
            changed(9),
            ("unknown-encryption", "eavesdrop"),
        ),
        (
            "nonce-changed",
            "The header's nonce is another one.",
            changed(10),
            failed,
        ),
        (
            "header-not-zero",
            "A byte of the header that has to be zero is not.",
            changed(31),
            failed,
        ),
        (
            "segments-swapped",
            "Two segments, each of which was encrypted for the place of the other.",
            [
                &header[..],
                &cipher.segment(1, false, &two[0]),
                &cipher.segment(0, true, &two[1]),
            ]
            .concat(),
            failed,
        ),
        (
            "last-segment-missing",
            "The image is cut off after a segment, which does not say that it is the last.",
            [&header[..], &first].concat(),
            failed,
        ),
        (
            "last-segment-twice",
            "A segment stands after the last one.",
            [&header[..], &first, &second, &second].concat(),
            failed,
        ),
        (
            "last-says-it-is-not",
            "The last segment was encrypted as one in the middle.",
            [&header[..], &first, &cipher.segment(1, false, &two[1])].concat(),
            failed,
        ),
        (
            "not-last-says-it-is",
            "A segment in the middle was encrypted as the last.",
            [&header[..], &cipher.segment(0, true, &two[0]), &second].concat(),
            failed,
        ),
        (
            "of-another-image",
            "A segment of another image, which was encrypted under another content key.",
            [
                &header[..],
                &first,
                &Cipher::named("another").segment(1, true, &two[1]),
            ]
            .concat(),
            failed,
        ),
        (
            "of-another-content",
            "A segment with other content, encrypted under the same content key by whoever has it.",
            [&header[..], &first, &cipher.segment(1, true, b"cc\n")].concat(),
            ("image-hash", "arbitrary-software"),
        ),
        (
            "header-alone",
            "There is a header and no segment.",
            header.clone(),
            failed,
        ),
        (
            "nothing",
            "The ciphertext has no bytes.",
            Vec::new(),
            failed,
        ),
        (
            "too-short-segment",
            "The last segment is shorter than a tag.",
            whole[..32 + PIECE + 16 + 10].to_vec(),
            failed,
        ),
    ];
    for (name, note, ciphertext, (code, attack)) in listed {
        case(all, &format!("listed-{name}"), note, KEY, |case, world| {
            world.list("targets", "pcu.img", &image, &["pcu-a"], 5);
            world.assign("pcu.img", &[("P1", "pcu-a")]);
            case.made(world.offer("pcu.img", CIPHER, &ciphertext, &[("P1", KEY)]));
            case.cycle(world).is_well(ONE, ONE);
            case.install(world).does_not_install(code, attack);
        });
    }
    case(
        all,
        "of-another-content",
        "The ciphertext decrypts well, to another image than both repositories list.",
        KEY,
        |case, world| {
            let other = cipher.encrypt(b"pcu X\n");
            case.made(world.offer("pcu.img", CIPHER, &other, &[("P1", KEY)]));
            case.cycle(world).is_well(ONE, ONE);
            case.install(world)
                .does_not_install("image-hash", "arbitrary-software");
        },
    );
    for (name, note, served, code, attack) in [
        (
            "served-changed",
            "A bit of the ciphertext was changed on the way.",
            0,
            "image-hash",
            "arbitrary-software",
        ),
        (
            "served-too-short",
            "The ciphertext is cut off on the way.",
            1,
            "image-hash",
            "arbitrary-software",
        ),
        (
            "served-too-long",
            "The ciphertext goes on beyond its length.",
            2,
            "image-too-long",
            "endless-data",
        ),
    ] {
        case(all, name, note, KEY, |case, world| {
            let ciphertext = case.made(world.encrypt("pcu.img", CIPHER, &[("P1", KEY)]));
            let digest = sha256_hex(&ciphertext);
            let mut bytes = ciphertext.clone();
            match served {
                0 => bytes
                    .iter_mut()
                    .skip(40)
                    .take(1)
                    .for_each(|byte| *byte ^= 1),
                1 => bytes.truncate(40),
                _ => bytes.extend(b"and so on"),
            }
            world.serve_ciphertext("pcu.img", &digest, &bytes);
            case.cycle(world).is_refused(code, "", attack, (ONE, ONE));
            world.serve_ciphertext("pcu.img", &digest, &ciphertext);
            case.cycle(world).is_well(ONE, ONE);
        });
    }
}

/// The content key was not wrapped for this ECU and image.
fn keys(all: &mut Cases) {
    let refused = ("key-unwrap-failed", "arbitrary-software");
    case(
        all,
        "wrapped-to-another-key",
        "The content key is wrapped to another ECU's key.",
        KEY,
        |case, world| {
            case.made(world.encrypt("pcu.img", CIPHER, &[("P1", "ecu-x25519-2")]));
            case.cycle(world).is_well(ONE, ONE);
            case.install(world).does_not_install(refused.0, refused.1);
        },
    );
    case(
        all,
        "says-it-is-this-key",
        "The content key is wrapped to another ECU's key, and said to be wrapped to this one's.",
        KEY,
        |case, world| {
            case.made(world.encrypt("pcu.img", CIPHER, &[("P1", KEY)]));
            let own = world.wrapped("pcu.img", "P1")["keyid"].clone();
            case.made(world.encrypt("pcu.img", CIPHER, &[("P1", "ecu-x25519-2")]));
            world.wrapped("pcu.img", "P1")["keyid"] = own;
            case.cycle(world).is_well(ONE, ONE);
            case.install(world).does_not_install(refused.0, refused.1);
        },
    );
    for (name, note, change) in [
        (
            "wrapped-for-another-vehicle",
            "The content key was wrapped for another vehicle.",
            0,
        ),
        (
            "wrapped-for-another-ecu",
            "The content key was wrapped for another ECU of this vehicle, with the same key.",
            1,
        ),
        (
            "wrapped-for-another-path",
            "The content key was wrapped for another target path.",
            2,
        ),
        (
            "wrapped-for-another-release",
            "The content key was wrapped for another release counter.",
            3,
        ),
        (
            "wrapped-for-another-image",
            "The content key was wrapped for another image.",
            4,
        ),
        (
            "wrapped-for-another-ciphertext",
            "The content key was wrapped for another encryption of the image.",
            5,
        ),
    ] {
        case(all, name, note, KEY, |case, world| {
            case.made(world.encrypt("pcu.img", CIPHER, &[("P1", KEY)]));
            let moved =
                case.made(
                    world.wrapped_for("pcu.img", CIPHER, "P1", KEY, |to| match change {
                        0 => to.vin = "VIN-OF-ANOTHER".into(),
                        1 => to.serial = "S1".into(),
                        2 => to.path = "other.img".into(),
                        3 => to.release_counter = 4,
                        4 => to.plaintext = b"other\n".to_vec(),
                        _ => to.ciphertext.push(0),
                    }),
                );
            *world.wrapped("pcu.img", "P1") = moved;
            case.cycle(world).is_well(ONE, ONE);
            case.install(world).does_not_install(refused.0, refused.1);
        });
    }
    for (name, note, member, value) in [
        (
            "ct-changed",
            "A bit of the wrapped key is another one.",
            "ct",
            0,
        ),
        (
            "enc-changed",
            "A bit of the encapsulated key is another one.",
            "enc",
            0,
        ),
        ("ct-too-short", "The wrapped key is too short.", "ct", 1),
        (
            "enc-too-short",
            "The encapsulated key is too short.",
            "enc",
            1,
        ),
        (
            "enc-of-small-order",
            "The encapsulated key is a point with which nothing secret can be agreed.",
            "enc",
            2,
        ),
    ] {
        case(all, name, note, KEY, |case, world| {
            case.made(world.encrypt("pcu.img", CIPHER, &[("P1", KEY)]));
            let wrapped = world.wrapped("pcu.img", "P1");
            let text = wrapped[member].as_str().unwrap_or_default().to_owned();
            wrapped[member] = json!(match value {
                0 if text.starts_with('0') => text.replacen('0', "1", 1),
                0 => format!("0{}", text.get(1..).unwrap_or_default()),
                1 => text.get(2..).unwrap_or_default().to_owned(),
                _ => "00".repeat(32),
            });
            case.cycle(world).is_well(ONE, ONE);
            case.install(world).does_not_install(refused.0, refused.1);
        });
    }
    case(
        all,
        "wrapped-for-nobody",
        "There is no wrapped key for an ECU that is to install the image.",
        KEY,
        |case, world| {
            case.made(world.encrypt("pcu.img", CIPHER, &[]));
            case.cycle(world).is_refused(
                "malformed",
                "director/targets",
                "none",
                ([1, 1, 1, 0], WHATEVER),
            );
        },
    );
    case(
        all,
        "wrapped-for-one-more",
        "There is a wrapped key for an ECU that is not to install the image.",
        KEY,
        |case, world| {
            case.made(world.encrypt("pcu.img", CIPHER, &[("P1", KEY), ("S1", KEY)]));
            case.cycle(world).is_refused(
                "malformed",
                "director/targets",
                "none",
                ([1, 1, 1, 0], WHATEVER),
            );
        },
    );
}

fn policy(all: &mut Cases) {
    case(
        all,
        "stripped",
        "The Image repository says that the image must be encrypted, and the Director offers it in plain: whoever stole \
         its keys wants to read along.",
        KEY,
        |case, world| {
            world.described("targets", "pcu.img", |custom| {
                custom["encryption"] = json!("required")
            });
            case.cycle(world).is_refused(
                "encryption-required",
                "image/targets",
                "eavesdrop",
                (ONE, ONE),
            );
        },
    );
    case(
        all,
        "unknown-method",
        "The Director states a method that nobody knows. There is no way back to plaintext.",
        KEY,
        |case, world| {
            case.made(world.encrypt("pcu.img", CIPHER, &[("P1", KEY)]));
            world.directed("pcu.img", |custom| {
                custom["encryptedTarget"]["method"] = json!("rot13")
            });
            case.cycle(world).is_well(ONE, ONE);
            case.install(world)
                .does_not_install("unknown-encryption", "eavesdrop");
        },
    );
    case(
        all,
        "keys-without-ciphertext",
        "There are wrapped keys, and no encrypted image that they are for.",
        KEY,
        |case, world| {
            case.made(world.encrypt("pcu.img", CIPHER, &[("P1", KEY)]));
            world.directed("pcu.img", |custom| {
                if let Some(members) = custom.as_object_mut() {
                    members.remove("encryptedTarget");
                }
            });
            case.cycle(world).is_refused(
                "malformed",
                "director/targets",
                "none",
                ([1, 1, 1, 0], WHATEVER),
            );
        },
    );
    case(
        all,
        "plain-after-encrypted",
        "An image that was offered encrypted is offered in plain, which the Image repository does not forbid.",
        KEY,
        |case, world| {
            case.made(world.encrypt("pcu.img", CIPHER, &[("P1", KEY)]));
            case.cycle(world).is_well(ONE, ONE);
            world.assign("pcu.img", &[("P1", "pcu-a")]);
            world.image.honest();
            world.release();
            case.cycle(world)
                .is_well(TWO, TWO)
                .assigns(&[("P1", "pcu.img", 5)]);
            case.install(world)
                .is_well(WHATEVER, WHATEVER)
                .runs(b"pcu 5\n");
        },
    );
}
