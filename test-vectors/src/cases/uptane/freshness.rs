//! Old files, files that have expired, and new Roots, in both repositories.

use serde_json::json;

use super::clause;
use super::expect::{NOTHING_YET, ONE, TWO, Versions, WHATEVER};
use crate::cases::Cases;
use crate::simulate::World;

/// What is trusted when the next release is refused at this role.
const ROLES: &[(&str, &str, (Versions, Versions))] = &[
    ("director", "timestamp", (ONE, ONE)),
    ("director", "snapshot", ([1, 2, 1, 1], ONE)),
    ("director", "targets", ([1, 2, 2, 1], ONE)),
    ("image", "timestamp", (TWO, ONE)),
    ("image", "snapshot", (TWO, [1, 2, 1, 1])),
    ("image", "targets", (TWO, [1, 2, 2, 1])),
];

/// As far as a signed integer goes, so that every language can say it.
const FAR_AHEAD: u64 = i64::MAX as u64;

const PAST: &str = "2024-12-31T23:59:59Z";

pub(super) fn cases(all: &mut Cases) {
    expired(all);
    rolled_back(all);
    links(all);
    other_versions(all);
    refused_then_installed(all);
    roots(all);
    stolen(all);
}

fn expired(all: &mut Cases) {
    for (repository, role, kept) in ROLES {
        all.vehicle(
            &format!("uptane-freshness/{repository}-{role}-expired"),
            &[clause::fresh(role), "Uptane 5.4.4(2)"],
            &format!("The {repository} repository's {role} has expired: somebody may be holding back what is newer."),
            |case, world| {
                case.cycle(world).is_well(ONE, ONE);
                world.release();
                let repo = world.repo(repository);
                match *role {
                    "timestamp" => repo.timestamp.expires = PAST.into(),
                    "snapshot" => repo.snapshot.expires = PAST.into(),
                    role => repo.role(role).head.expires = PAST.into(),
                }
                let place = format!("{repository}/{role}");
                case.cycle(world).is_refused("expired", &place, "freeze", *kept);
            },
        );
    }
    for repository in ["director", "image"] {
        all.vehicle(
            &format!("uptane-freshness/{repository}-root-expired"),
            &["Uptane 5.4.4.3(3)", "TUF 5.3.10"],
            &format!("The {repository} repository's last Root has expired."),
            |case, world| {
                world.repo(repository).root().head.expires = PAST.into();
                let image = match repository {
                    "director" => (NOTHING_YET, NOTHING_YET),
                    _ => (ONE, NOTHING_YET),
                };
                let place = format!("{repository}/root");
                case.cycle(world)
                    .is_refused("expired", &place, "freeze", image);
            },
        );
    }
    all.vehicle(
        "uptane-freshness/expires-before-the-installation",
        &["Uptane 5.4.3.2", "Uptane 5.4.4.6(5)"],
        "The Director's Timestamp expires between the cycle and the installation. What was approved is no longer.",
        |case, world| {
            world.director.timestamp.expires = "2030-06-01T00:00:00Z".into();
            case.cycle(world).is_well(ONE, ONE).at("2030-05-31T23:59:59Z");
            case.install(world)
                .does_not_install("expired", "freeze")
                .at("2030-06-01T00:00:00Z");
        },
    );
}

fn rolled_back(all: &mut Cases) {
    for (repository, role, _) in ROLES {
        let place = format!("{repository}/{role}");
        all.vehicle(
            &format!("uptane-freshness/{repository}-{role}-rollback"),
            &[clause::none_goes_back(role)],
            &format!("An older {role} of the {repository} repository, still signed and fresh."),
            |case, world| {
                world.release();
                case.cycle(world).is_well(TWO, TWO);
                let repo = world.repo(repository);
                repo.timestamp.version = 3;
                let code = match *role {
                    "timestamp" => {
                        repo.timestamp.version = 1;
                        "version-rollback"
                    }
                    "snapshot" => {
                        repo.snapshot.version = 1;
                        "version-rollback"
                    }
                    role => {
                        repo.snapshot.version = 3;
                        repo.role(role).head.version = 1;
                        "snapshot-entry-rollback"
                    }
                };
                // Seen where it is announced: in the file before.
                let (seen, kept) = match *role {
                    "timestamp" => (place.clone(), TWO),
                    "snapshot" => (place.clone(), TWO),
                    _ => (place.clone(), [1, 3, 2, 2]),
                };
                let trusted = match *repository {
                    "director" => (kept, TWO),
                    _ => (TWO, kept),
                };
                case.cycle(world)
                    .is_refused(code, &seen, "rollback", trusted);
            },
        );
    }
    for (repository, kept) in [
        ("director", ([1, 3, 2, 2], TWO)),
        ("image", (TWO, [1, 3, 2, 2])),
    ] {
        let place = format!("{repository}/targets");
        all.vehicle(
            &format!("uptane-freshness/{repository}-targets-removed"),
            &[
                "Uptane 5.1.3",
                "Uptane 5.2.4",
                "Uptane 5.4.4.5(6)",
                "TUF 5.5.5",
            ],
            &format!("The {repository} repository's Snapshot lists Targets no longer."),
            |case, world| {
                world.release();
                case.cycle(world).is_well(TWO, TWO);
                world.repo(repository).next_online();
                world.repo(repository).forge("snapshot", |signed| {
                    if let Some(meta) = signed["meta"].as_object_mut() {
                        meta.remove("targets.json");
                        meta.insert("other.json".into(), json!({"version": 1}));
                    }
                });
                case.cycle(world)
                    .is_refused("snapshot-entry-removed", &place, "rollback", kept);
            },
        );
    }
    for (repository, role, _) in ROLES {
        let place = format!("{repository}/{role}");
        all.vehicle(
            &format!("uptane-freshness/{repository}-{role}-same-version"),
            &[clause::no_older(role)],
            &format!("The {repository} repository's {role} in the version that is trusted, with other content."),
            |case, world| {
                case.cycle(world).is_well(ONE, ONE);
                let repo = world.repo(repository);
                let kept = match *role {
                    "timestamp" => ONE,
                    "snapshot" => {
                        repo.timestamp.version = 2;
                        [1, 2, 1, 1]
                    }
                    _ => {
                        repo.next_online();
                        [1, 2, 2, 1]
                    }
                };
                repo.forge(role, |signed| signed["x-note"] = json!("other content"));
                let kept = match *repository {
                    "director" => (kept, ONE),
                    _ => (ONE, kept),
                };
                case.cycle(world)
                    .is_refused("same-version-different-content", &place, "mix-and-match", kept)
                    .bytes_of(&place, 1);
            },
        );
    }
}

/// What one file says of the next.
fn links(all: &mut Cases) {
    for (repository, kept) in [("director", (ONE, ONE)), ("image", (TWO, ONE))] {
        let place = format!("{repository}/timestamp");
        all.vehicle(
            &format!("uptane-freshness/{repository}-timestamp-without-hashes"),
            &["Uptane 5.2.5(2)"],
            &format!("The {repository} repository's Timestamp lists Snapshot without a hash, which Uptane asks for."),
            |case, world| {
                case.cycle(world).is_well(ONE, ONE);
                world.release();
                world.repo(repository).forge("timestamp", |signed| {
                    signed["meta"]["snapshot.json"] = json!({"version": 2});
                });
                case.cycle(world).is_refused("malformed", &place, "none", kept);
            },
        );
        all.vehicle(
            &format!("uptane-freshness/{repository}-timestamp-with-an-unknown-hash"),
            &["Uptane 5.2.5(2)"],
            &format!("The {repository} repository's Timestamp lists a hash of Snapshot of a function that nobody knows, and no other."),
            |case, world| {
                case.cycle(world).is_well(ONE, ONE);
                world.release();
                world.repo(repository).forge("timestamp", |signed| {
                    signed["meta"]["snapshot.json"]["hashes"] = json!({"blake9": "00ff"});
                });
                case.cycle(world).is_refused("malformed", &place, "none", kept);
            },
        );
    }
    for (repository, role, kept) in ROLES.iter().filter(|(_, role, _)| *role != "timestamp") {
        let place = format!("{repository}/{role}");
        all.vehicle(
            &format!("uptane-freshness/{repository}-{role}-not-the-listed-one"),
            &[clause::listed(role)],
            &format!("The {repository} repository serves another {role} than it lists: of the same length, as well signed."),
            |case, world| {
                case.cycle(world).is_well(ONE, ONE);
                world.release();
                // The same members in another order: no signature is over that.
                world.repo(repository).tamper(role, reordered);
                case.cycle(world).is_refused("metadata-hash", &place, "mix-and-match", *kept);
            },
        );
        all.vehicle(
            &format!("uptane-freshness/{repository}-{role}-longer-than-listed"),
            &[clause::bounded(role)],
            &format!("The {repository} repository serves more of {role} than it lists. What goes beyond is not read."),
            |case, world| {
                case.cycle(world).is_well(ONE, ONE);
                world.release();
                world.repo(repository).tamper(role, |text| text + "\n");
                case.cycle(world).is_refused("too-large", &place, "endless-data", *kept);
            },
        );
        all.vehicle(
            &format!("uptane-freshness/{repository}-{role}-missing"),
            &["Uptane 5.4.4(1)"],
            &format!("The {repository} repository's {role} is not there. The next cycle goes on."),
            |case, world| {
                case.cycle(world).is_well(ONE, ONE);
                world.release();
                world.repo(repository).withhold(role);
                case.cycle(world)
                    .is_refused("metadata-missing", &place, "none", *kept);
                world.repo(repository).honest();
                case.cycle(world).is_well(TWO, TWO);
            },
        );
    }
}

/// The first signature's members in another order.
fn reordered(text: String) -> String {
    let swapped = || {
        let (before, rest) = text.split_once("{\"keyid\":")?;
        let (id, rest) = rest.split_once(",\"sig\":")?;
        let (sig, after) = rest.split_once('}')?;
        Some(format!("{before}{{\"sig\":{sig},\"keyid\":{id}}}{after}"))
    };
    swapped().unwrap_or(text)
}

/// The hash holds, and the version is another one than listed: whoever lists it holds the keys of what is above.
fn other_versions(all: &mut Cases) {
    for (repository, role, kept) in ROLES.iter().filter(|(_, role, _)| *role != "timestamp") {
        let place = format!("{repository}/{role}");
        all.vehicle(
            &format!("uptane-freshness/{repository}-{role}-of-another-version"),
            &[clause::listed(role)],
            &format!("The {repository} repository's {role} says that it is of another version than is listed for it."),
            |case, world| {
                case.cycle(world).is_well(ONE, ONE);
                world.release();
                world
                    .repo(repository)
                    .forge(role, |signed| signed["version"] = json!(7));
                case.cycle(world)
                    .is_refused("version-mismatch", &place, "mix-and-match", *kept);
            },
        );
    }
}

/// A refused cycle leaves nothing to be installed (5.4.3.2).
fn refused_then_installed(all: &mut Cases) {
    type Refusal = (
        &'static str,
        &'static str,
        &'static str,
        (Versions, Versions),
    );
    type Way = (&'static str, &'static str, Refusal, fn(&mut World));
    let ways: [Way; 3] = [
        (
            "forged",
            "a Timestamp of the Director's that nobody signed",
            (
                "signature-threshold",
                "director/timestamp",
                "arbitrary-software",
                (ONE, ONE),
            ),
            |world| world.director.sign_with("timestamp", &[]),
        ),
        (
            "withdrawn",
            "an Image repository that does not list the image any more",
            ("target-not-found", "image/", "none", (TWO, TWO)),
            |world| {
                world.image.targets().images.remove("pcu.img");
                world.image.targets().custom.remove("pcu.img");
            },
        ),
        (
            "frozen",
            "files of the Director's that have expired",
            ("expired", "director/timestamp", "freeze", (ONE, ONE)),
            |world| world.director.timestamp.expires = "2024-12-31T23:59:59Z".into(),
        ),
    ];
    for (name, what, (code, place, attack, kept), change) in ways {
        let name = format!("uptane-images/not-after-a-refusal-{name}");
        let note = format!(
            "An image was found and downloaded. The next cycle is refused for the sake of {what}: what was found before is \
             not installed either."
        );
        all.vehicle(
            &name,
            &["Uptane 5.4.3.2", "Uptane 5.4(1)"],
            &note,
            |case, world| {
                case.cycle(world)
                    .is_well(ONE, ONE)
                    .assigns(&[("P1", "pcu.img", 5), ("S1", "brake/fw.img", 3)]);
                world.release();
                change(world);
                case.cycle(world).is_refused(code, place, attack, kept);
                case.install(world)
                    .is_well(WHATEVER, WHATEVER)
                    .runs_what_it_did();
            },
        );
    }
}

fn roots(all: &mut Cases) {
    for repository in ["director", "image"] {
        let other_first = |versions: Versions| match repository {
            "director" => (versions, WHATEVER),
            _ => (WHATEVER, versions),
        };
        let place = format!("{repository}/root");
        all.vehicle(
            &format!("uptane-roots/{repository}-rotation"),
            &["Uptane 5.4.4.3(2.3)", "TUF 5.3.4"],
            &format!("The {repository} repository's Root changes every key, signed by the old and the new ones."),
            |case, world| {
                case.cycle(world).is_well(ONE, ONE);
                let names = ["root", "timestamp", "snapshot", "targets"];
                world.repo(repository).next_root(|root| {
                    for role in names {
                        root.keys(role, &[&format!("{repository}-{role}-2")], 1);
                    }
                });
                world.repo(repository).release();
                let (director, image) = other_first([2, 2, 2, 2]);
                case.cycle(world).is_well(director, image);
            },
        );
        for (name, note, signers) in [
            ("unsigned", "is signed by nobody", &[][..]),
            (
                "below-threshold",
                "asks for two signatures, and has one: that of the key of the one before, which stays",
                &["1"],
            ),
        ] {
            all.vehicle(
                &format!("uptane-roots/{repository}-{name}"),
                &["Uptane 5.4.4.3(2.3)", "TUF 5.3.4"],
                &format!("The {repository} repository's next Root {note}."),
                |case, world| {
                    case.cycle(world).is_well(ONE, ONE);
                    let keys = ["1", "2"].map(|number| format!("{repository}-root-{number}"));
                    let signers: Vec<String> = signers
                        .iter()
                        .map(|number| format!("{repository}-root-{number}"))
                        .collect();
                    let signers: Vec<&str> = signers.iter().map(String::as_str).collect();
                    let repo = world.repo(repository);
                    repo.next_root(|root| root.keys("root", &[&keys[0], &keys[1]], 2));
                    repo.sign_with("root", &signers);
                    let (director, image) = other_first(ONE);
                    case.cycle(world).is_refused(
                        "signature-threshold",
                        &place,
                        "arbitrary-software",
                        (director, image),
                    );
                },
            );
        }
        for (name, note, signer) in [
            (
                "not-by-the-old-keys",
                "is not signed by the keys of the one before",
                "2",
            ),
            (
                "not-by-its-own-keys",
                "is not signed by the keys that it lists",
                "1",
            ),
        ] {
            all.vehicle(
                &format!("uptane-roots/{repository}-{name}"),
                &["Uptane 5.4.4.3(2.3)", "TUF 5.3.4"],
                &format!("The {repository} repository's next Root {note}."),
                |case, world| {
                    case.cycle(world).is_well(ONE, ONE);
                    let key = format!("{repository}-root-2");
                    let repo = world.repo(repository);
                    repo.next_root(|root| root.keys("root", &[&key], 1));
                    repo.sign_with("root", &[&format!("{repository}-root-{signer}")]);
                    let (director, image) = other_first(ONE);
                    case.cycle(world).is_refused(
                        "signature-threshold",
                        &place,
                        "arbitrary-software",
                        (director, image),
                    );
                },
            );
        }
        all.vehicle(
            &format!("uptane-roots/{repository}-version-skipped"),
            &["Uptane 5.4.4.3(2.4)", "TUF 5.3.5"],
            &format!("The {repository} repository serves a Root under the next version's name that says it is the one after."),
            |case, world| {
                case.cycle(world).is_well(ONE, ONE);
                let repo = world.repo(repository);
                repo.next_root(|_| {});
                repo.forge("root", |signed| signed["version"] = json!(3));
                let (director, image) = other_first(ONE);
                case.cycle(world).is_refused("root-version", &place, "rollback", (director, image));
            },
        );
        for role in ["timestamp", "snapshot", "targets"] {
            all.vehicle(
                &format!("uptane-roots/{repository}-revoked-{role}-key"),
                &["Uptane 5.4.4.3(2.2)", clause::signed(role)],
                &format!(
                    "The {repository} repository's Root has replaced the key of {role}. Whoever stole the old one can sign \
                     nothing with it."
                ),
                |case, world| {
                    case.cycle(world).is_well(ONE, ONE);
                    let repo = world.repo(repository);
                    let (old, new) = (format!("{repository}-{role}-1"), format!("{repository}-{role}-2"));
                    let named = ["timestamp", "snapshot", "targets"];
                    let named = named.into_iter().find(|known| *known == role);
                    repo.next_root(|root| {
                        if let Some(role) = named {
                            root.keys(role, &[&new], 1);
                        }
                    });
                    repo.release();
                    repo.sign_with(role, &[&old]);
                    let place = format!("{repository}/{role}");
                    case.cycle(world).is_refused(
                        "signature-threshold",
                        &place,
                        "arbitrary-software",
                        (WHATEVER, WHATEVER),
                    );
                    world.repo(repository).honest();
                    world.repo(repository).release();
                    let (director, image) = match repository {
                        "director" => ([2, 3, 3, 3], ONE),
                        _ => (ONE, [2, 3, 3, 3]),
                    };
                    case.cycle(world).is_well(director, image);
                },
            );
        }
    }
}

/// The Director's online keys are stolen.
fn stolen(all: &mut Cases) {
    all.vehicle(
        "uptane-histories/fast-forward-and-recovery",
        &["Uptane 5.4.4.3(4)", "TUF 5.3.11"],
        "A thief of the Director's online keys pushes versions to the highest there is. Nothing lower is believed, until \
         a new Root replaces the keys: then what they signed is forgotten.",
        |case, world| {
            case.cycle(world).is_well(ONE, ONE);
            let mut honest = world.clone();
            world.director.jump(FAR_AHEAD);
            case.cycle(world).is_well([1, FAR_AHEAD, FAR_AHEAD, FAR_AHEAD], ONE);
            honest.release();
            case.cycle(&mut honest)
                .is_refused("version-rollback", "director/timestamp", "rollback", (WHATEVER, ONE));
            honest.director.next_root(|root| {
                for role in ["timestamp", "snapshot", "targets"] {
                    root.keys(role, &[&format!("director-{role}-2")], 1);
                }
            });
            case.cycle(&mut honest).is_well([2, 2, 2, 2], TWO);
            case.install(&mut honest).is_well(WHATEVER, WHATEVER).runs(b"pcu 5\n");
        },
    );
    all.vehicle(
        "uptane-histories/a-year-in-a-garage",
        &["Uptane 5.4.1", "Uptane 5.4.4.3(1)", "Uptane 5.4.4.3(2.6)", "Uptane 5.4.4.3(3)", "TUF 5.3.9", "TUF 5.3.10"],
        "A vehicle was away while both repositories had ten Roots, each of which replaced all online keys and has \
         expired since, but the last ones. It catches up in one cycle.",
        |case, world| {
            world.director.root().head.expires = "2026-01-01T00:00:00Z".into();
            world.image.root().head.expires = "2026-01-01T00:00:00Z".into();
            case.cycle(world).is_well(ONE, ONE).at("2025-06-01T00:00:00Z");
            for number in 2..=11 {
                for repository in ["director", "image"] {
                    let expires = match number {
                        11 => "2099-12-31T23:59:59Z",
                        _ => "2026-02-01T00:00:00Z",
                    };
                    world.repo(repository).next_root(|root| {
                        root.head.expires = expires.into();
                        for role in ["root", "timestamp", "snapshot", "targets"] {
                            root.keys(role, &[&format!("{repository}-{role}-{number}")], 1);
                        }
                    });
                }
            }
            world.release();
            case.cycle(world)
                .is_well([11, 2, 2, 2], [11, 2, 2, 2])
                .at("2026-06-01T00:00:00Z");
            case.install(world)
                .is_well(WHATEVER, WHATEVER)
                .runs(b"pcu 5\n")
                .at("2026-06-01T00:00:00Z");
        },
    );
    all.vehicle(
        "uptane-histories/a-thief-who-was-thrown-out",
        &["Uptane 5.4.4(1)", "Uptane 5.4.4.3(4)"],
        "A thief of all the Director's online keys can only choose among images that the Image repository lists and that \
         are no older than what runs. After a new Root, not even that.",
        |case, world| {
            world.runs("pcu.img", b"pcu 4\n", 4);
            world.list("targets", "old.img", b"pcu 3\n", &["pcu-a"], 3);
            case.cycle(world).is_well(ONE, ONE);
            let mut honest = world.clone();
            world.director.release();
            world.assign_as("evil.img", b"evil\n", &[("P1", "pcu-a")], 9);
            world.director.targets().images.remove("pcu.img");
            world.director.targets().custom.remove("pcu.img");
            case.cycle(world)
                .is_refused("target-not-found", "image/", "none", (TWO, ONE));
            world.director.release();
            world.director.targets().images.remove("evil.img");
            world.director.targets().custom.remove("evil.img");
            world.assign("old.img", &[("P1", "pcu-a")]);
            case.cycle(world).is_refused(
                "release-counter-rollback",
                "image/targets",
                "rollback",
                ([1, 3, 3, 3], ONE),
            );
            honest.director.next_root(|root| {
                for role in ["timestamp", "snapshot", "targets"] {
                    root.keys(role, &[&format!("director-{role}-2")], 1);
                }
            });
            case.cycle(&mut honest).is_well([2, 1, 1, 1], ONE);
            case.install(&mut honest).is_well(WHATEVER, WHATEVER).runs(b"pcu 5\n");
        },
    );
}
