//! What both repositories have to say the same of, and what an ECU runs already.

use serde_json::{Value, json};

use super::expect::{ONE, TWO, WHATEVER};
use crate::cases::Cases;
use crate::simulate::World;

pub(super) fn cases(all: &mut Cases) {
    agreement(all);
    counters(all);
    relisted(all);
    images(all);
}

/// The honest world, in which the next release says something else.
fn next(
    all: &mut Cases,
    name: &str,
    note: &str,
    (code, place, attack): (&str, &str, &str),
    change: impl FnOnce(&mut World),
) {
    let name = format!("uptane-consistency/{name}");
    all.vehicle(&name, compared(code), note, |case, world| {
        case.cycle(world).is_well(ONE, ONE);
        world.release();
        change(world);
        // Both repositories' files are in order, each by itself.
        case.cycle(world)
            .is_refused(code, place, attack, (TWO, TWO));
    });
}

/// What both repositories have to say the same of, by the code of the refusal.
fn compared(code: &str) -> &'static [&'static str] {
    match code {
        "target-not-found" => &["Uptane 5.4.4.2(10.1)", "Uptane 5.4.4.7(5)"],
        "hardware-mismatch" => &[
            "Uptane 5.2.3.1.1(3)",
            "Uptane 5.4.3.4(3)",
            "Uptane 5.4.4.2(10.2.2)",
        ],
        "malformed" => &[
            "Uptane 5.2.3.1.1(1)",
            "Uptane 5.2.3.1.1(2)",
            "Uptane 5.2.3.1.1(3)",
        ],
        _ => &[
            "Uptane 5.2.3.1.1(1)",
            "Uptane 5.4.4.2(10.2.1)",
            "Uptane 5.4.4.2(10.2.2)",
        ],
    }
}

fn agreement(all: &mut Cases) {
    let mismatch = (
        "director-image-mismatch",
        "image/targets",
        "arbitrary-software",
    );
    let hardware = ("hardware-mismatch", "image/targets", "arbitrary-software");
    next(
        all,
        "other-hash",
        "The Director lists other bytes of the same length.",
        mismatch,
        |world| world.assign_as("pcu.img", b"pcu X\n", &[("P1", "pcu-a")], 5),
    );
    next(
        all,
        "other-length",
        "The Director lists another length, with the same hash.",
        mismatch,
        |world| {
            world.director.forge("targets", |signed| {
                signed["targets"]["pcu.img"]["length"] = json!(7);
            });
        },
    );
    next(
        all,
        "one-more-hash",
        "The Director lists a hash that the Image repository does not: nobody else has signed for it.",
        mismatch,
        |world| {
            world.director.forge("targets", |signed| {
                let sha512 = countersign_metadata::sha512(b"pcu 5\n");
                signed["targets"]["pcu.img"]["hashes"]["sha512"] = json!(hex::encode(sha512));
            });
        },
    );
    next(
        all,
        "only-in-director",
        "The Director names an image that the Image repository does not list: whoever stole its keys may have made it.",
        ("target-not-found", "image/", "none"),
        |world| {
            world.assign_nothing();
            world.assign_as("evil.img", b"evil\n", &[("P1", "pcu-a")], 9);
        },
    );
    next(
        all,
        "other-release-counter",
        "The Director states another release counter than the Image repository.",
        mismatch,
        |world| world.assign_as("pcu.img", b"pcu 5\n", &[("P1", "pcu-a")], 6),
    );
    next(
        all,
        "image-for-other-hardware",
        "The image is for other hardware, by the Image repository's word. The Director sends it all the same.",
        hardware,
        |world| world.list("targets", "pcu.img", b"pcu 5\n", &["pcu-b"], 5),
    );
    for (name, note, edit) in IMAGE_FIELDS {
        next(
            all,
            name,
            note,
            ("malformed", "image/targets", "none"),
            |world| world.described("targets", "pcu.img", edit),
        );
    }
    next(
        all,
        "both-for-other-hardware",
        "Director and Image repository agree that the image is for other hardware than the ECU has.",
        (
            "hardware-mismatch",
            "director/targets",
            "arbitrary-software",
        ),
        |world| {
            world.list("targets", "lamp.img", b"lamp\n", &["lamp-c"], 4);
            world.assign_nothing();
            world.assign("lamp.img", &[("P1", "lamp-c")]);
        },
    );
    all.vehicle(
        "uptane-consistency/only-the-ciphertext-is-known",
        compared("target-not-found"),
        "The Director offers an image encrypted of which the Image repository does not know the plaintext.",
        |case, world| {
            case.cycle(world).is_well(ONE, ONE);
            world.release();
            world.assign_nothing();
            world.assign_as("evil.img", b"evil\n", &[("P1", "pcu-a")], 9);
            case.made(world.encrypt("evil.img", "one", &[("P1", "ecu-x25519-1")]));
            case.cycle(world)
                .is_refused("target-not-found", "image/", "none", (TWO, TWO));
        },
    );
    all.vehicle(
        "uptane-consistency/only-in-image-repository",
        &["Uptane 5.4.4.2(10.1)"],
        "The Image repository lists an image that the Director does not name. Nobody gets it.",
        |case, world| {
            world.list("targets", "new.img", b"new\n", &["pcu-a"], 9);
            case.cycle(world)
                .is_well(ONE, ONE)
                .assigns(&[("P1", "pcu.img", 5), ("S1", "brake/fw.img", 3)]);
        },
    );
    all.vehicle(
        "uptane-consistency/several-kinds-of-hardware",
        &["Uptane 5.2.3.1.1(3)", "Uptane 5.4.3.4(3)"],
        "The Image repository lists several hardware identifiers, and the ECU's is one of them.",
        |case, world| {
            world.list("targets", "pcu.img", b"pcu 5\n", &["pcu-z", "pcu-a"], 5);
            case.cycle(world).is_well(ONE, ONE);
            case.install(world)
                .is_well(WHATEVER, WHATEVER)
                .runs(b"pcu 5\n");
        },
    );
    all.vehicle(
        "uptane-consistency/both-repositories-stolen",
        &["Uptane 5.4.4.2(10.1)", "Uptane 5.4.4.2(10.2.1)"],
        "Whoever holds the keys of both repositories can have anything installed. This is the limit of what two \
         repositories protect from, and written down here so that nobody believes more.",
        |case, world| {
            case.cycle(world).is_well(ONE, ONE);
            world.list("targets", "evil.img", b"evil\n", &["pcu-a"], 6);
            world.assign_nothing();
            world.assign("evil.img", &[("P1", "pcu-a")]);
            world.release();
            case.cycle(world)
                .is_well(TWO, TWO)
                .assigns(&[("P1", "evil.img", 6)]);
            case.install(world)
                .is_well(WHATEVER, WHATEVER)
                .runs(b"evil\n");
        },
    );
}

type Field = (&'static str, &'static str, fn(&mut serde_json::Value));

const IMAGE_FIELDS: &[Field] = &[
    (
        "image-without-custom",
        "The Image repository says nothing of an image but length and hashes.",
        |custom| {
            *custom = json!({});
        },
    ),
    (
        "image-without-hardware",
        "The Image repository does not say what an image runs on.",
        |custom| {
            custom["hardwareIds"] = json!([]);
        },
    ),
    (
        "image-with-one-hardware-twice",
        "One hardware identifier twice.",
        |custom| {
            custom["hardwareIds"] = json!(["pcu-a", "pcu-a"]);
        },
    ),
    (
        "image-without-release-counter",
        "The Image repository states no release counter.",
        |custom| {
            if let Some(members) = custom.as_object_mut() {
                members.remove("releaseCounter");
            }
        },
    ),
    (
        "image-with-unknown-encryption",
        "A demand for encryption that nobody knows must not be passed over.",
        |custom| {
            custom["encryption"] = json!("sometimes");
        },
    ),
];

/// The release counter of what runs is a floor.
fn counters(all: &mut Cases) {
    let place = "image/targets";
    for (name, note, counter, content, refusal) in [
        (
            "counter-rollback",
            "An image with a lower release counter than the one that runs: the Director's keys are stolen, and an \
             old image with a known hole is signed by everybody.",
            4,
            &b"pcu 4\n"[..],
            Some(("release-counter-rollback", "rollback")),
        ),
        (
            "counter-equal-other-content",
            "The same name and release counter with other content: one name and counter is one image.",
            5,
            b"pcu 5, changed\n",
            Some(("same-version-different-content", "mix-and-match")),
        ),
        (
            "counter-equal-other-bytes",
            "The same name, release counter and length with other bytes.",
            5,
            b"pcu X\n",
            Some(("same-version-different-content", "mix-and-match")),
        ),
        (
            "counter-higher",
            "A higher release counter.",
            6,
            b"pcu 6\n",
            None,
        ),
    ] {
        let name = format!("uptane-consistency/{name}");
        all.vehicle(
            &name,
            &[
                "Uptane 5.2.3.1.1(2)",
                "Uptane 5.4.4.2(10.2.3)",
                "Uptane 5.4.3.4(5)",
            ],
            note,
            |case, world| {
                world.runs("pcu.img", b"pcu 5\n", 5);
                world.list("targets", "pcu.img", content, &["pcu-a"], counter);
                world.assign("pcu.img", &[("P1", "pcu-a")]);
                match refusal {
                    Some((code, attack)) => {
                        case.cycle(world)
                            .is_refused(code, place, attack, (ONE, ONE));
                    }
                    None => {
                        case.cycle(world).is_well(ONE, ONE);
                        case.install(world)
                            .is_well(WHATEVER, WHATEVER)
                            .runs(content);
                    }
                }
            },
        );
    }
    all.vehicle(
        "uptane-consistency/counter-equal-other-name",
        &["Uptane 5.4.4.2(10.2.3)", "Uptane 5.4.3.4(4)"],
        "An image of another name with the same release counter as the one that runs.",
        |case, world| {
            world.runs("former.img", b"former\n", 5);
            case.cycle(world).is_well(ONE, ONE);
            case.install(world)
                .is_well(WHATEVER, WHATEVER)
                .runs(b"pcu 5\n");
        },
    );
    all.vehicle(
        "uptane-consistency/counter-rollback-after-an-update",
        &[
            "Uptane 5.4.4.2(10.2.3)",
            "Uptane 5.4.3.4(5)",
            "Uptane 5.4.3.5",
        ],
        "The counter rises when an image was installed: from then on the one before it is refused.",
        |case, world| {
            world.runs("pcu.img", b"pcu 4\n", 4);
            case.cycle(world).is_well(ONE, ONE);
            case.install(world)
                .is_well(WHATEVER, WHATEVER)
                .runs(b"pcu 5\n");
            world.list("targets", "pcu.img", b"pcu 4\n", &["pcu-a"], 4);
            world.assign("pcu.img", &[("P1", "pcu-a")]);
            world.release();
            case.cycle(world)
                .is_refused("release-counter-rollback", place, "rollback", (TWO, TWO));
        },
    );
    all.vehicle(
        "uptane-consistency/old-bytes-under-a-higher-counter",
        &["Uptane 5.4.4.2(10.2.3)"],
        "The way back: the old bytes, released again under a higher counter.",
        |case, world| {
            world.runs("pcu.img", b"pcu 5\n", 5);
            world.list("targets", "pcu.img", b"pcu 4\n", &["pcu-a"], 6);
            world.assign("pcu.img", &[("P1", "pcu-a")]);
            case.cycle(world).is_well(ONE, ONE);
            case.install(world)
                .is_well(WHATEVER, WHATEVER)
                .runs(b"pcu 4\n");
        },
    );
}

/// What both repositories list of `pcu.img`, after it was installed as they listed it before.
fn relisted(all: &mut Cases) {
    type Edit = fn(&mut Value);
    let sha512 = |image: &mut Value| {
        image["hashes"]["sha512"] = json!(hex::encode(countersign_metadata::sha512(b"pcu 5\n")));
    };
    let only_sha512 = |image: &mut Value| {
        let digest = hex::encode(countersign_metadata::sha512(b"pcu 5\n"));
        image["hashes"] = json!({"sha512": digest});
    };
    let cases: [(&str, &str, Edit, Edit, bool); 6] = [
        ("unchanged", "with the same hashes", sha512, |_| {}, true),
        (
            "one-hash-less",
            "with one of the two hashes",
            sha512,
            |image| {
                image["hashes"]
                    .as_object_mut()
                    .map(|hashes| hashes.remove("sha512"));
            },
            true,
        ),
        (
            "only-the-other-hash",
            "with the hash alone that was not known before: nothing says that it is the same",
            |_| {},
            only_sha512,
            false,
        ),
        (
            "only-this-hash",
            "with the one hash that it has",
            only_sha512,
            |_| {},
            true,
        ),
        (
            "another-second-hash",
            "with another second hash",
            sha512,
            |image| {
                image["hashes"]["sha512"] = json!("00".repeat(64));
            },
            false,
        ),
        (
            "another-length",
            "with another length",
            |_| {},
            |image| image["length"] = json!(7),
            false,
        ),
    ];
    for (name, what, first, second, is_same) in cases {
        let name = format!("uptane-consistency/listed-again-{name}");
        let note = format!(
            "The image that runs is listed again under its name and release counter, {what}."
        );
        let spec = ["Uptane 5.4.4.2(10.2.3)", "Uptane 5.4.3.4(5)"];
        all.vehicle(&name, &spec, &note, |case, world| {
            let list = |world: &mut World, edit: Edit| {
                for repository in ["director", "image"] {
                    world.repo(repository).forge("targets", move |signed| {
                        edit(&mut signed["targets"]["pcu.img"])
                    });
                }
            };
            world.image.sha512_names = true;
            list(world, first);
            case.cycle(world).is_well(ONE, ONE);
            case.install(world)
                .is_well(WHATEVER, WHATEVER)
                .runs(b"pcu 5\n");
            world.release();
            list(world, second);
            match is_same {
                true => case.cycle(world).is_well(TWO, TWO),
                false => case.cycle(world).is_refused(
                    "same-version-different-content",
                    "image/targets",
                    "mix-and-match",
                    (TWO, TWO),
                ),
            };
        });
    }
}

/// What is served is not what is listed.
fn images(all: &mut Cases) {
    for (name, note, served, code, attack) in [
        (
            "other-bytes",
            "Other bytes of the same length than both repositories list.",
            &b"pcu X\n"[..],
            "image-hash",
            "arbitrary-software",
        ),
        (
            "too-short",
            "The image is cut off.",
            b"pcu",
            "image-hash",
            "arbitrary-software",
        ),
        (
            "too-long",
            "The image goes on beyond its length.",
            b"pcu 5\nand so on",
            "image-too-long",
            "endless-data",
        ),
    ] {
        let name = format!("uptane-images/{name}");
        all.vehicle(
            &name,
            &["Uptane 5.4.2.4(1)", "Uptane 5.4.3.3(3)"],
            note,
            |case, world| {
                world.image.tamper_image("pcu.img", served);
                case.cycle(world).is_refused(code, "", attack, (ONE, ONE));
                world.image.honest();
                case.cycle(world).is_well(ONE, ONE);
            },
        );
    }
    all.vehicle(
        "uptane-images/missing",
        &["Uptane 5.4.2.4(1)", "Uptane 5.4.4(1)", "Uptane 5.2.7(2)"],
        "The image is not there. The next cycle gets it.",
        |case, world| {
            world.image.withhold_image("pcu.img");
            case.cycle(world)
                .is_refused("image-missing", "", "none", (ONE, ONE));
            world.image.honest();
            case.cycle(world).is_well(ONE, ONE);
            case.install(world)
                .is_well(WHATEVER, WHATEVER)
                .runs(b"pcu 5\n");
        },
    );
    all.vehicle(
        "uptane-images/install-without-cycle",
        &["Uptane 5.4(1)", "Uptane 5.4.3.4(1)", "Uptane 5.4.3.3(2)"],
        "Nothing was found, so nothing is installed.",
        |case, world| {
            world.assign_nothing();
            case.cycle(world).is_well(ONE, WHATEVER).assigns(&[]);
            case.install(world)
                .is_well(WHATEVER, WHATEVER)
                .runs_what_it_did();
        },
    );
}
