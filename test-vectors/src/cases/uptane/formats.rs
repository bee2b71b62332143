//! What every file has to have (5.2), in both repositories.

use serde_json::{Value, json};

use super::expect::{ONE, TWO, Versions, WHATEVER};
use crate::cases::Cases;
use crate::simulate::World;

/// A role of a repository, and what is trusted when its second version is refused.
const FILES: [(&str, &str, Versions, Versions); 6] = [
    ("director", "timestamp", ONE, ONE),
    ("director", "snapshot", [1, 2, 1, 1], ONE),
    ("director", "targets", [1, 2, 2, 1], ONE),
    ("image", "timestamp", TWO, ONE),
    ("image", "snapshot", TWO, [1, 2, 1, 1]),
    ("image", "targets", TWO, [1, 2, 2, 1]),
];

type Edit = fn(&mut Value);

/// One thing that is wrong with what a role says, signed by that role.
struct Wrong {
    name: &'static str,
    clause: &'static str,
    what: &'static str,
    code: &'static str,
    attack: &'static str,
    edit: Edit,
}

/// In files of every role.
const EVERYWHERE: [Wrong; 5] = [
    Wrong {
        name: "another-type",
        clause: "Uptane 5.2.1(3)",
        what: "calls itself Root",
        code: "wrong-role-type",
        attack: "mix-and-match",
        edit: |signed| signed["_type"] = json!("root"),
    },
    Wrong {
        name: "no-version",
        clause: "Uptane 5.2.1(3)",
        what: "has no version",
        code: "malformed",
        attack: "none",
        edit: |signed| without(signed, "version"),
    },
    Wrong {
        name: "version-as-text",
        clause: "Uptane 5.2.1(3)",
        what: "has a text for a version",
        code: "malformed",
        attack: "none",
        edit: |signed| signed["version"] = json!("2"),
    },
    Wrong {
        name: "no-expiry",
        clause: "Uptane 5.2.1(3)",
        what: "does not say when it expires",
        code: "malformed",
        attack: "none",
        edit: |signed| without(signed, "expires"),
    },
    Wrong {
        name: "expires-some-day",
        clause: "Uptane 5.2.1(3)",
        what: "expires at no time that could be compared",
        code: "malformed",
        attack: "none",
        edit: |signed| signed["expires"] = json!("some day"),
    },
];

/// In files of one role, of both repositories.
const OF_ONE_ROLE: [(&str, Wrong); 7] = [
    (
        "timestamp",
        Wrong {
            name: "names-no-snapshot",
            clause: "Uptane 5.1.4",
            what: "names no Snapshot",
            code: "malformed",
            attack: "none",
            edit: |signed| signed["meta"] = json!({}),
        },
    ),
    (
        "timestamp",
        Wrong {
            name: "no-snapshot-version",
            clause: "Uptane 5.2.5(1)",
            what: "does not state the version of Snapshot",
            code: "malformed",
            attack: "none",
            edit: |signed| without(&mut signed["meta"]["snapshot.json"], "version"),
        },
    ),
    (
        "snapshot",
        Wrong {
            name: "no-targets-version",
            clause: "Uptane 5.2.4",
            what: "does not state the version of Targets",
            code: "malformed",
            attack: "none",
            edit: |signed| without(&mut signed["meta"]["targets.json"], "version"),
        },
    ),
    (
        "targets",
        Wrong {
            name: "no-length",
            clause: "Uptane 5.2.3.1(1)",
            what: "does not state the length of an image",
            code: "malformed",
            attack: "none",
            edit: |signed| without(&mut signed["targets"]["pcu.img"], "length"),
        },
    ),
    (
        "targets",
        Wrong {
            name: "no-hashes",
            clause: "Uptane 5.2.3.1(1)",
            what: "states no hash of an image",
            code: "malformed",
            attack: "none",
            edit: |signed| without(&mut signed["targets"]["pcu.img"], "hashes"),
        },
    ),
    (
        "targets",
        Wrong {
            name: "negative-length",
            clause: "Uptane 5.2.3.1(1)",
            what: "states a length below zero",
            code: "malformed",
            attack: "none",
            edit: |signed| signed["targets"]["pcu.img"]["length"] = json!(-1),
        },
    ),
    (
        "targets",
        Wrong {
            name: "half-a-hash",
            clause: "Uptane 5.2.3.1(1)",
            what: "states half a hash",
            code: "malformed",
            attack: "none",
            edit: |signed| signed["targets"]["pcu.img"]["hashes"]["sha256"] = json!("00ff"),
        },
    ),
];

fn without(value: &mut Value, member: &str) {
    if let Some(members) = value.as_object_mut() {
        members.remove(member);
    }
}

pub(super) fn cases(all: &mut Cases) {
    for (repository, role, director, image) in FILES {
        let file = (repository, role, (director, image));
        for wrong in &EVERYWHERE {
            refused(all, file, wrong);
        }
        for (_, wrong) in OF_ONE_ROLE.iter().filter(|(of, _)| *of == role) {
            refused(all, file, wrong);
        }
        envelope(all, file);
    }
    bounds(all);
    roots(all);
    names(all);
    hashes(all);
}

type File = (&'static str, &'static str, (Versions, Versions));

fn refused(all: &mut Cases, (repository, role, kept): File, wrong: &Wrong) {
    let place = format!("{repository}/{role}");
    let name = format!("uptane-formats/{repository}-{role}-{}", wrong.name);
    let note = format!("The {repository} repository's {role} {}.", wrong.what);
    all.vehicle(&name, &[wrong.clause], &note, |case, world| {
        case.cycle(world).is_well(ONE, ONE);
        world.release();
        world.repo(repository).forge(role, wrong.edit);
        case.cycle(world)
            .is_refused(wrong.code, &place, wrong.attack, kept);
    });
}

/// What is around the payload.
fn envelope(all: &mut Cases, (repository, role, kept): File) {
    let place = format!("{repository}/{role}");
    let (malformed, too_few) = (
        ("malformed", "none"),
        ("signature-threshold", "arbitrary-software"),
    );
    type Edit = fn(&mut Vec<Value>);
    let wrongs: [(&str, &str, (&str, &str), Edit); 3] = [
        (
            "signature-without-keyid",
            "has a signature that names no key",
            malformed,
            |signatures| signatures.iter_mut().for_each(|one| without(one, "keyid")),
        ),
        (
            "signature-without-value",
            "has an entry for a signature, and no signature in it: it counts for nothing",
            too_few,
            |signatures| signatures.iter_mut().for_each(|one| without(one, "sig")),
        ),
        (
            "signature-twice",
            "has the same signature twice",
            malformed,
            |signatures| signatures.extend_from_within(..),
        ),
    ];
    for (name, what, (code, attack), edit) in wrongs {
        let name = format!("uptane-formats/{repository}-{role}-{name}");
        let note = format!("The {repository} repository's {role} {what}.");
        all.vehicle(&name, &["Uptane 5.2.1(2)"], &note, |case, world| {
            case.cycle(world).is_well(ONE, ONE);
            world.release();
            world.repo(repository).signatures(role, edit);
            case.cycle(world).is_refused(code, &place, attack, kept);
        });
    }
}

/// Files without end.
fn bounds(all: &mut Cases) {
    for (repository, file, clause, versions) in [
        ("director", "timestamp", "Uptane 5.4.4.4(1)", (ONE, ONE)),
        ("image", "timestamp", "Uptane 5.4.4.4(1)", (TWO, ONE)),
        ("director", "2.root", "Uptane 5.4.4.3(2.2)", (ONE, ONE)),
        ("image", "2.root", "Uptane 5.4.4.3(2.2)", (TWO, ONE)),
    ] {
        let role = file.strip_prefix("2.").unwrap_or(file);
        let name = format!("uptane-formats/{repository}-{role}-without-end");
        let note = format!("The {repository} repository's {role} goes on and on.");
        all.vehicle(&name, &[clause, "Uptane 5.4.4(2)"], &note, |case, world| {
            case.cycle(world).is_well(ONE, ONE);
            world.repo(repository).next_root(|_| {});
            world.release();
            let path = format!("{repository}/metadata/{file}.json");
            let place = format!("{repository}/{role}");
            let (mut director, mut image) = versions;
            if role == "timestamp" {
                let followed = match repository {
                    "director" => &mut director,
                    _ => &mut image,
                };
                followed[0] = 2;
            }
            case.cycle(world).pad(&path, 3_000_000).is_refused(
                "too-large",
                &place,
                "endless-data",
                (director, image),
            );
        });
    }
}

/// Who may sign what.
fn roots(all: &mut Cases) {
    let wrongs: [(&str, &str, &str, Edit); 3] = [
        (
            "names-no-timestamp",
            "Uptane 5.2.2(1)",
            "names no keys for Timestamp",
            |signed| without(&mut signed["roles"], "timestamp"),
        ),
        (
            "no-threshold",
            "Uptane 5.2.2(2)",
            "does not say how many keys have to sign Targets",
            |signed| without(&mut signed["roles"]["targets"], "threshold"),
        ),
        (
            "threshold-of-nothing",
            "Uptane 5.2.2(2)",
            "asks for no signature of Targets",
            |signed| signed["roles"]["targets"]["threshold"] = json!(0),
        ),
    ];
    for repository in ["director", "image"] {
        for (name, clause, what, edit) in wrongs {
            let name = format!("uptane-formats/{repository}-root-{name}");
            let note = format!("The {repository} repository's next Root {what}.");
            all.vehicle(&name, &[clause], &note, |case, world| {
                case.cycle(world).is_well(ONE, ONE);
                let repo = world.repo(repository);
                repo.next_root(|_| {});
                repo.forge("root", edit);
                let place = format!("{repository}/root");
                case.cycle(world)
                    .is_refused("malformed", &place, "none", (ONE, ONE));
            });
        }
        let name = format!("uptane-formats/{repository}-root-unknown-key");
        let note = format!(
            "The {repository} repository's next Root names a key for Targets that it does not list: nobody can sign \
             for it, and what was signed before counts no longer."
        );
        all.vehicle(&name, &["Uptane 5.2.1(1)"], &note, |case, world| {
            case.cycle(world).is_well(ONE, ONE);
            let repo = world.repo(repository);
            repo.next_root(|_| {});
            repo.forge("root", |signed| {
                signed["roles"]["targets"]["keyids"] = json!(["a-key-that-is-not-listed"]);
            });
            let kept = match repository {
                "director" => ([2, 1, 1, 1], ONE),
                _ => (ONE, [2, 1, 1, 1]),
            };
            let place = format!("{repository}/targets");
            let attack = "arbitrary-software";
            case.cycle(world)
                .is_refused("signature-threshold", &place, attack, kept);
        });
    }
}

/// The name of an image.
fn names(all: &mut Cases) {
    for (name, path) in [
        ("up-and-away", "../pcu.img"),
        ("absolute", "/etc/passwd"),
        ("back-slash", "a\\..\\pcu.img"),
        ("nothing-between-slashes", "a//pcu.img"),
        ("null", "pcu\0.img"),
    ] {
        let name = format!("uptane-formats/director-name-{name}");
        let spec = ["Uptane 5.2.7(3)", "Uptane 5.4.3.4(4)"];
        let note =
            format!("The Director names an image {path:?}, and so does the Image repository.");
        all.vehicle(&name, &spec, &note, |case, world| {
            case.cycle(world).is_well(ONE, ONE);
            world.list("targets", path, b"evil\n", &["pcu-a"], 9);
            world.assign_nothing();
            world.assign(path, &[("P1", "pcu-a")]);
            world.release();
            case.cycle(world).is_refused(
                "unsafe-filename",
                "director/targets",
                "arbitrary-software",
                ([1, 2, 2, 1], ONE),
            );
        });
    }
    all.vehicle(
        "uptane-formats/names-that-look-the-same",
        &["Uptane 5.2", "Uptane 5.4.4.2(10.1)"],
        "The Director writes the same name in another normal form of Unicode than the Image repository: other code \
         points are another name.",
        |case, world| {
            case.cycle(world).is_well(ONE, ONE);
            world.list("targets", "caf\u{e9}.img", b"image\n", &["pcu-a"], 9);
            world.assign_nothing();
            world.assign_as("cafe\u{301}.img", b"image\n", &[("P1", "pcu-a")], 9);
            world.release();
            case.cycle(world)
                .is_refused("target-not-found", "image/", "none", (TWO, TWO));
        },
    );
    all.vehicle(
        "uptane-formats/names-with-other-letters",
        &["Uptane 5.2", "Uptane 5.2.7(2)"],
        "An image's name has letters beyond ASCII, in both repositories the same.",
        |case, world| {
            world.list("targets", "caf\u{e9}.img", b"image\n", &["pcu-a"], 9);
            world.assign_nothing();
            world.assign("caf\u{e9}.img", &[("P1", "pcu-a")]);
            case.cycle(world)
                .is_well(ONE, WHATEVER)
                .assigns(&[("P1", "caf\u{e9}.img", 9)]);
            case.install(world)
                .is_well(WHATEVER, WHATEVER)
                .runs(b"image\n");
        },
    );
}

/// Several hashes of one image.
fn hashes(all: &mut Cases) {
    fn both(world: &mut World, sha512: &str) {
        for repository in ["director", "image"] {
            let sha512 = sha512.to_owned();
            world.repo(repository).forge("targets", move |signed| {
                signed["targets"]["pcu.img"]["hashes"]["sha512"] = json!(sha512);
            });
        }
    }
    let spec = ["Uptane 5.4.2.4(2)", "Uptane 5.4.3.4(7)"];
    all.vehicle(
        "uptane-formats/two-hashes",
        &spec,
        "Both repositories list two hashes of an image, and both are right.",
        |case, world| {
            both(
                world,
                &hex::encode(countersign_metadata::sha512(b"pcu 5\n")),
            );
            case.cycle(world).is_well(ONE, ONE);
            case.install(world)
                .is_well(WHATEVER, WHATEVER)
                .runs(b"pcu 5\n");
        },
    );
    all.vehicle(
        "uptane-formats/one-hash-of-two-is-wrong",
        &spec,
        "Both repositories list two hashes of an image. It has the first of them: that is not enough.",
        |case, world| {
            both(world, &"00".repeat(64));
            case.cycle(world)
                .is_refused("image-hash", "", "arbitrary-software", (ONE, ONE));
        },
    );
    all.vehicle(
        "uptane-formats/a-hash-that-nobody-knows",
        &spec,
        "Beside a known hash both repositories list one of a function that is unknown here. The known one counts.",
        |case, world| {
            for repository in ["director", "image"] {
                world.repo(repository).forge("targets", |signed| {
                    signed["targets"]["pcu.img"]["hashes"]["blake9"] = json!("00ff");
                });
            }
            case.cycle(world).is_well(ONE, ONE);
            case.install(world)
                .is_well(WHATEVER, WHATEVER)
                .runs(b"pcu 5\n");
        },
    );
}
