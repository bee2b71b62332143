//! How much of anything Uptane's fields may have, and the texts just inside and just outside.

use serde_json::{Value, json};

use super::expect::{NOTHING_YET, ONE, TWO, WHATEVER};
use crate::cases::Cases;
use crate::cases::draft::ANY;
use crate::simulate::{Delegation, NONCE, World};

pub(super) fn cases(all: &mut Cases) {
    serials(all);
    lists(all);
    several(all);
    bundles(all);
    time(all);
    texts(all);
    wrapped(all);
}

/// A Director's Targets that says this of `pcu.img` is in order or malformed.
fn directed(all: &mut Cases, name: &str, note: &str, good: bool, edit: fn(&mut Value)) {
    let name = format!("uptane-bounds/{name}");
    all.vehicle(&name, &["Uptane 5.2.3.1.2(1)"], note, |case, world| {
        case.cycle(world).is_well(ONE, ONE);
        world.release();
        world.be_secondary();
        world.directed("pcu.img", edit);
        let kept = ([1, 2, 2, 1], ONE);
        match good {
            true => case.cycle(world).is_well(TWO, TWO),
            false => case
                .cycle(world)
                .is_refused("malformed", "director/targets", "none", kept),
        };
    });
}

fn serials(all: &mut Cases) {
    fn also(custom: &mut Value, serial: &str) {
        custom["ecuIdentifiers"][serial] = json!({"hardwareId": "pcu-a"});
    }
    let note = "What an ECU may be called: 1 to 64 printable ASCII characters without blank, quotation mark and backslash.";
    directed(all, "serial-of-64", note, true, |custom| {
        also(custom, &"E".repeat(64));
    });
    directed(all, "serial-of-65", note, false, |custom| {
        also(custom, &"E".repeat(65));
    });
    directed(all, "serial-of-nothing", note, false, |custom| {
        also(custom, "")
    });
    directed(all, "serial-with-a-quotation-mark", note, false, |custom| {
        also(custom, "E\"1");
    });
    directed(all, "serial-with-a-backslash", note, false, |custom| {
        also(custom, "E\\1");
    });
    directed(all, "serial-beyond-ascii", note, false, |custom| {
        also(custom, "E\u{e9}");
    });
    directed(all, "serial-of-1", note, true, |custom| also(custom, "E"));
    let note = "For how many ECUs an image may be: 256.";
    directed(all, "image-for-256-ecus", note, true, |custom| {
        (1..256).for_each(|number| also(custom, &format!("E{number}")));
    });
    directed(all, "image-for-257-ecus", note, false, |custom| {
        (1..257).for_each(|number| also(custom, &format!("E{number}")));
    });
}

/// What the Image repository says of an image.
fn lists(all: &mut Cases) {
    fn described(all: &mut Cases, name: &str, note: &str, good: bool, edit: fn(&mut Value)) {
        let name = format!("uptane-bounds/{name}");
        let spec = ["Uptane 5.2.3.1.1(1)"];
        all.vehicle(&name, &spec, note, |case, world| {
            world.described("targets", "pcu.img", edit);
            match good {
                true => case.cycle(world).is_well(ONE, ONE),
                false => {
                    case.cycle(world)
                        .is_refused("malformed", "image/targets", "none", (ONE, ONE))
                }
            };
        });
    }
    fn hardware(custom: &mut Value, count: usize) {
        let more = (1..count).map(|number| format!("hardware-{number}"));
        custom["hardwareIds"] = std::iter::once("pcu-a".into()).chain(more).collect();
    }
    let note = "For how many kinds of hardware an image may be: 1,024.";
    described(all, "1024-kinds-of-hardware", note, true, |custom| {
        hardware(custom, 1024);
    });
    described(all, "1025-kinds-of-hardware", note, false, |custom| {
        hardware(custom, 1025);
    });
    fn needs(custom: &mut Value, count: usize) {
        let needs = (0..count).map(|number| json!({"filename": format!("{number}.img")}));
        custom["dependencies"] = needs.collect();
    }
    let note = "How many other images an image may need: 1,024.";
    described(all, "1024-dependencies", note, true, |custom| {
        needs(custom, 1024)
    });
    described(all, "1025-dependencies", note, false, |custom| {
        needs(custom, 1025)
    });
    let note = "What an image needs is a file name or a class, and not both.";
    described(all, "dependency-on-nothing", note, false, |custom| {
        custom["dependencies"] = json!([{"minReleaseCounter": 1}]);
    });
    described(all, "dependency-on-two", note, false, |custom| {
        custom["dependencies"] = json!([{"filename": "a.img", "class": "a"}]);
    });
    let note = "How long the name of a version may be: 512 bytes.";
    described(all, "version-of-512", note, true, |custom| {
        custom["version"] = json!("1".repeat(512));
    });
    described(all, "version-of-513", note, false, |custom| {
        custom["version"] = json!("1".repeat(513));
    });
}

/// A delegation to several roles.
fn several(all: &mut Cases) {
    type Edit = fn(&mut Value);
    let wrongs: [(&str, &str, Edit); 4] = [
        (
            "several-and-keys-of-its-own",
            "A delegation to several roles that has keys of its own too: nobody could say whose word counts.",
            |delegation| delegation["keyids"] = json!(["supplier"]),
        ),
        (
            "several-and-a-threshold-of-its-own",
            "A delegation to several roles that has a threshold of its own too.",
            |delegation| delegation["threshold"] = json!(1),
        ),
        (
            "several-that-are-none",
            "A delegation to several roles that names none.",
            |delegation| delegation["roleinfo"] = json!([]),
        ),
        (
            "several-that-are-65",
            "A delegation to 65 roles: one more than may be.",
            |delegation| many(delegation, 65),
        ),
    ];
    fn many(delegation: &mut Value, count: usize) {
        let one = delegation["roleinfo"][0].clone();
        let roles = (0..count).map(|number| {
            let mut role = one.clone();
            role["rolename"] = json!(format!("role-{number}"));
            role
        });
        delegation["roleinfo"] = roles.collect();
    }
    fn delegated(world: &mut World, edit: fn(&mut Value)) {
        let several = Delegation::to_several("released", &["qa"], 1, &["lamp/*"]);
        world.image.targets().delegations.push(several);
        world.image.forge("targets", move |signed| {
            edit(&mut signed["delegations"]["roles"][1]);
        });
    }
    for (name, note, edit) in wrongs {
        let name = format!("uptane-bounds/{name}");
        all.vehicle(
            &name,
            &["Uptane 5.2.3.2(6)", "TAP 3"],
            note,
            |case, world| {
                delegated(world, edit);
                case.cycle(world).is_refused(
                    "malformed",
                    "image/targets",
                    "none",
                    (ONE, [1, 1, 1, 0]),
                );
            },
        );
    }
    all.vehicle(
        "uptane-bounds/several-that-are-1",
        &["Uptane 5.2.3.2(6)", "TAP 3"],
        "A delegation to several roles that are one.",
        |case, world| {
            delegated(world, |_| {});
            case.cycle(world).is_well(ONE, ONE);
        },
    );
    all.vehicle(
        "uptane-bounds/several-that-are-64",
        &["Uptane 5.2.3.2(6)", "TAP 3"],
        "A delegation to 64 roles.",
        |case, world| {
            delegated(world, |delegation| many(delegation, 64));
            case.cycle(world).is_well(ONE, ONE);
        },
    );
}

fn bundles(all: &mut Cases) {
    let note = "How an Offline Targets file may be called: 1 to 64 letters, digits, -, _ and ., of which the first is a \
                letter or digit, and not as a top-level role.";
    for (name, file, good) in [
        ("1-letter", "a".into(), true),
        ("64-letters", "a".repeat(64), true),
        ("65-letters", "a".repeat(65), false),
        ("a-point-within", "spring-2026_v1.0".into(), true),
        ("a-dash-first", "-spring".into(), false),
        ("a-blank", "spring fair".into(), false),
        ("of-a-role", "targets".into(), false),
    ] {
        let name = format!("uptane-bounds/bundle-name-{name}");
        all.vehicle(&name, &["PURE-2(3)"], note, |case, world| {
            let listing = world.director.targets().clone();
            world.offline().add(&file, listing);
            let kept = [1, 0, 0, 0];
            match good {
                true => case.carry(world, &file).is_well(kept, [1, 0, 1, 1]),
                false => case
                    .carry(world, &file)
                    .is_refused("usage", "", "none", (kept, kept)),
            };
        });
    }
    fn vins(count: usize) -> Value {
        let others = (1..count).map(|number| format!("VIN-{number}"));
        let own = (count > 0).then(|| crate::simulate::VIN.to_owned());
        own.into_iter().chain(others).collect()
    }
    for (count, good) in [(0, false), (4096, true), (4097, false)] {
        let name = format!("uptane-bounds/bundle-for-{count}-vehicles");
        let note =
            "For how many vehicles an Offline Targets file may be, where it says so: 1 to 4,096.";
        all.vehicle(&name, &["PURE-2(5)"], note, |case, world| {
            world.offline().forge("spring", move |signed| {
                signed["custom"]["vins"] = vins(count)
            });
            let kept = [1, 0, 0, 0];
            match good {
                true => case.carry(world, "spring").is_well(kept, [1, 0, 1, 1]),
                false => case.carry(world, "spring").is_refused(
                    "malformed",
                    "director/spring",
                    "none",
                    (kept, kept),
                ),
            };
        });
    }
}

fn time(all: &mut Cases) {
    let spec = ["Uptane 5.4(2)", "Uptane 5.4.4.2(1)"];
    for (count, good) in [(1024, true), (1025, false)] {
        let name = format!("uptane-bounds/answer-to-{count}-nonces");
        let note = "How many nonces an attestation of the time may answer: 1,024.";
        all.vehicle(&name, &spec, note, |case, world| {
            world.keep_time();
            let others = (1..count).map(|number| format!("{number:032x}"));
            let nonces: Vec<String> = std::iter::once(NONCE.into()).chain(others).collect();
            let nonces: Vec<&str> = nonces.iter().map(String::as_str).collect();
            let answer = case.made(world.attest("2030-01-01T12:00:00Z", &nonces, "time-1"));
            let step = case.cycle(world).nonce(NONCE).attested(&answer);
            match good {
                true => step.is_well(ONE, ONE),
                false => step.is_refused(
                    "malformed",
                    "director/time",
                    "none",
                    (NOTHING_YET, NOTHING_YET),
                ),
            };
        });
    }
    for (length, good) in [(131_072, true), (131_073, false)] {
        let name = format!("uptane-bounds/answer-of-{length}-bytes");
        let note = "How long an attestation of the time may be: 131,072 bytes.";
        all.vehicle(&name, &spec, note, |case, world| {
            world.keep_time();
            let answer = |padding: usize| {
                let said = json!({
                    "_type": "time-attestation", "time": "2030-01-01T12:00:00Z",
                    "nonces": [NONCE], "x": "x".repeat(padding),
                });
                world.signed(said, "time-1")
            };
            let bare = case.made(answer(0)).len();
            let answer = case.made(answer(length - bare));
            let step = case.cycle(world).nonce(NONCE).attested(&answer);
            match good {
                true => step.is_well(ONE, ONE),
                false => step.is_refused(
                    "too-large",
                    "director/time",
                    "endless-data",
                    (NOTHING_YET, NOTHING_YET),
                ),
            };
        });
    }
    all.vehicle(
        "uptane-bounds/nonce-of-15-bytes",
        &spec,
        "A nonce in an attestation of the time has 15 bytes.",
        |case, world| {
            world.keep_time();
            let nonces = [NONCE, &NONCE[2..]];
            let answer = case.made(world.attest("2030-01-01T12:00:00Z", &nonces, "time-1"));
            case.cycle(world).nonce(NONCE).attested(&answer).is_refused(
                "malformed",
                "director/time",
                "none",
                (NOTHING_YET, NOTHING_YET),
            );
        },
    );
    for (count, good) in [(256, true), (257, false)] {
        let name = format!("uptane-bounds/time-server-with-{count}-keys");
        let note = "How many keys a time server may have: 256.";
        all.vehicle(&name, &spec, note, |case, world| {
            case.cycle(world).is_well(ONE, WHATEVER);
            world.keep_time();
            let root = world.director.root().clone();
            world.director.root().time_server = None;
            world
                .director
                .next_root(|next| next.time_server = root.time_server);
            world.director.forge("root", move |signed| {
                let keys = &mut signed["custom"]["timeServer"]["keys"];
                if let Some(keys) = keys.as_object_mut() {
                    let one = keys.values().next().cloned().unwrap_or_default();
                    let more = count - keys.len();
                    keys.extend((0..more).map(|number| (format!("{number:064x}"), one.clone())));
                }
            });
            let answer = case.made(world.attest("2030-01-01T12:00:00Z", &[NONCE], "time-1"));
            let step = case.cycle(world).nonce(NONCE).attested(&answer);
            match good {
                true => step.is_well([2, 1, 1, 1], WHATEVER),
                false => step.is_refused(
                    "malformed",
                    "director/root",
                    "none",
                    ([ANY, 1, 1, 1], WHATEVER),
                ),
            };
        });
    }
}

/// Texts where they have to be, and what they may not say.
fn texts(all: &mut Cases) {
    for (name, vin) in [("empty", json!("")), ("a-number", json!(7))] {
        let name = format!("uptane-bounds/vin-{name}");
        let note = "The Director's Timestamp says for which vehicle it is in a way that is no name of one.";
        all.vehicle(&name, &["Uptane 5.2.3.1(2)"], note, |case, world| {
            case.cycle(world).is_well(ONE, ONE);
            world.release();
            world.director.forge("timestamp", move |signed| {
                signed["custom"]["vin"] = vin.clone();
            });
            case.cycle(world)
                .is_refused("malformed", "director/timestamp", "none", (ONE, ONE));
        });
    }
    all.vehicle(
        "uptane-bounds/time-server-without-threshold",
        &["Uptane 5.4(2)"],
        "The Director's Root names a time server, and does not say how many of its keys have to sign.",
        |case, world| {
            world.keep_time();
            world.director.forge("root", |signed| {
                if let Some(server) = signed["custom"]["timeServer"].as_object_mut() {
                    server.remove("threshold");
                }
            });
            let answer = case.made(world.attest("2030-01-01T12:00:00Z", &[NONCE], "time-1"));
            case.cycle(world).nonce(NONCE).attested(&answer).is_refused(
                "malformed",
                "director/root",
                "none",
                (NOTHING_YET, NOTHING_YET),
            );
        },
    );
    all.vehicle(
        "uptane-bounds/offline-keys-by-halves",
        &["PURE-2(1)"],
        "The Director's Root names keys for the Offline Snapshot, and none for Offline Targets.",
        |case, world| {
            world.offline();
            world.director.forge("root", |signed| {
                if let Some(offline) = signed["custom"]["offlineUpdates"].as_object_mut() {
                    offline.remove("targets");
                }
            });
            let kept = [1, 0, 0, 0];
            case.carry(world, "spring").is_refused(
                "malformed",
                "director/root",
                "none",
                (kept, kept),
            );
        },
    );
    for repository in ["director", "image"] {
        let name = format!("uptane-bounds/{repository}-custom-not-there");
        let note =
            format!("The {repository} repository's Targets lists an image without `custom`.");
        all.vehicle(&name, &["Uptane 5.2.3.1.1(1)"], &note, |case, world| {
            case.cycle(world).is_well(ONE, ONE);
            world.release();
            world.repo(repository).forge("targets", |signed| {
                if let Some(image) = signed["targets"]["pcu.img"].as_object_mut() {
                    image.remove("custom");
                }
            });
            let kept = match repository {
                "director" => ([1, 2, 2, 1], ONE),
                _ => (TWO, TWO),
            };
            let place = format!("{repository}/targets");
            case.cycle(world)
                .is_refused("malformed", &place, "none", kept);
        });
    }
    all.vehicle(
        "uptane-bounds/address-that-is-null",
        &["Uptane 5.4.2.4(1)"],
        "The Director states an address for an image, and it is null: the image is where images are.",
        |case, world| {
            world.directed("pcu.img", |custom| custom["uri"] = Value::Null);
            case.cycle(world).is_well(ONE, ONE);
            case.install(world)
                .is_well(WHATEVER, WHATEVER)
                .runs(b"pcu 5\n");
        },
    );
    for (name, note, hashes) in [(
        "image-with-an-unknown-hash",
        "Both repositories list an image with a hash of a function that nobody knows, and no other.",
        json!({"blake9": "00ff"}),
    )] {
        for (whose, secondary) in [("", false), ("-in-part", true)] {
            let name = format!("uptane-bounds/{name}{whose}");
            let spec = ["Uptane 5.4.3.4(7)", "Uptane 5.2.3.1(1)"];
            let hashes = hashes.clone();
            all.vehicle(&name, &spec, note, |case, world| {
                if secondary {
                    world.be_partial();
                }
                let path = if secondary { "brake/fw.img" } else { "pcu.img" };
                let listing = if secondary { "supplier" } else { "targets" };
                for (repository, role) in [("director", "targets"), ("image", listing)] {
                    let hashes = hashes.clone();
                    world.repo(repository).forge(role, move |signed| {
                        signed["targets"][path]["hashes"] = hashes.clone();
                    });
                }
                let (place, kept) = match secondary {
                    false => ("", (ONE, ONE)),
                    true => ("director/targets", ([1, ANY, ANY, 1], WHATEVER)),
                };
                case.cycle(world)
                    .is_refused("no-known-hash", place, "none", kept);
            });
        }
    }
}

/// A content key on its way.
fn wrapped(all: &mut Cases) {
    let (malformed, useless) = ("malformed", "key-unwrap-failed");
    for (name, note, member, text, code) in [
        ("nothing", "is empty", "ct", String::new(), malformed),
        (
            "no-hexadecimal",
            "is not hexadecimal",
            "enc",
            "zz".into(),
            malformed,
        ),
        (
            "2049-bytes",
            "has 2,049 bytes, one more than may be",
            "ct",
            "00".repeat(2049),
            malformed,
        ),
        (
            "2048-bytes",
            "has 2,048 bytes, and nothing that opens",
            "ct",
            "00".repeat(2048),
            useless,
        ),
        (
            "1-byte",
            "has one byte, and nothing that opens",
            "ct",
            "00".into(),
            useless,
        ),
    ] {
        let name = format!("uptane-bounds/wrapped-key-of-{name}");
        let note = format!("The wrapped content key {note}.");
        let spec = ["Uptane 5.2.3.1.2(3)", "Uptane 5.4.3.4(6)"];
        all.vehicle(&name, &spec, &note, |case, world| {
            world.ecu.decryption_key = Some("ecu-x25519-1".into());
            case.made(world.encrypt("pcu.img", "one", &[("P1", "ecu-x25519-1")]));
            world.wrapped("pcu.img", "P1")[member] = json!(text);
            if code == malformed {
                case.cycle(world).is_refused(
                    code,
                    "director/targets",
                    "none",
                    ([1, 1, 1, 0], [1, 0, 0, 0]),
                );
                return;
            }
            case.cycle(world).is_well(ONE, ONE);
            case.install(world)
                .does_not_install(code, "arbitrary-software");
        });
    }
    all.vehicle(
        "uptane-bounds/ciphertext-up-and-away",
        &["Uptane 5.2.3.1.2(2)", "Uptane 5.2.7(3)"],
        "The encrypted image is said to be called ../pcu.img.enc.",
        |case, world| {
            world.ecu.decryption_key = Some("ecu-x25519-1".into());
            case.made(world.encrypt("pcu.img", "one", &[("P1", "ecu-x25519-1")]));
            world.directed("pcu.img", |custom| {
                custom["encryptedTarget"]["filename"] = json!("../pcu.img.enc");
            });
            case.cycle(world).is_refused(
                "malformed",
                "director/targets",
                "none",
                ([1, 1, 1, 0], [1, 0, 0, 0]),
            );
        },
    );
}
