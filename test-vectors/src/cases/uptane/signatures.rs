//! Who has to sign, role by role, in both repositories.

use serde_json::json;

use super::clause;
use super::expect::{ONE, Versions};
use crate::cases::{Cases, Draft};
use crate::simulate::{TestKey, World};

/// What is trusted when the next release is refused at this role.
const ROLES: &[(&str, &str, (Versions, Versions))] = &[
    ("director", "timestamp", (ONE, ONE)),
    ("director", "snapshot", ([1, 2, 1, 1], ONE)),
    ("director", "targets", ([1, 2, 2, 1], ONE)),
    ("image", "timestamp", ([1, 2, 2, 2], ONE)),
    ("image", "snapshot", ([1, 2, 2, 2], [1, 2, 1, 1])),
    ("image", "targets", ([1, 2, 2, 2], [1, 2, 2, 1])),
];

pub(super) fn cases(all: &mut Cases) {
    for (repository, role, kept) in ROLES {
        let other = match *repository {
            "director" => "image",
            _ => "director",
        };
        let neighbour = match *role {
            "timestamp" => "snapshot",
            "snapshot" => "targets",
            _ => "timestamp",
        };
        let signed_by = |name: String| {
            move |world: &mut World| {
                world.repo(repository).sign_with(role, &[&name]);
            }
        };
        refused(
            all,
            (repository, role, kept),
            "unsigned",
            "carries no signature",
            |world| world.repo(repository).signatures(role, Vec::clear),
        );
        refused(
            all,
            (repository, role, kept),
            "by-a-stranger",
            "is signed by a key that nobody lists",
            signed_by("stranger".into()),
        );
        refused(
            all,
            (repository, role, kept),
            "by-another-role",
            &format!("is signed by the key of {neighbour}"),
            signed_by(format!("{repository}-{neighbour}-1")),
        );
        refused(
            all,
            (repository, role, kept),
            "by-the-other-repository",
            &format!("is signed by the key that this role has in the {other} repository"),
            signed_by(format!("{other}-{role}-1")),
        );
        refused(
            all,
            (repository, role, kept),
            "changed-after-signing",
            "was changed after it was signed",
            |world| {
                world.repo(repository).signatures(role, |signatures| {
                    for signature in signatures {
                        let text = signature["sig"].as_str().unwrap_or_default();
                        let flipped = match text.strip_prefix('0') {
                            Some(rest) => format!("1{rest}"),
                            None => format!("0{}", text.get(1..).unwrap_or_default()),
                        };
                        signature["sig"] = json!(flipped);
                    }
                });
            },
        );
        all.vehicle(
            &format!("uptane-signatures/{repository}-{role}-below-threshold"),
            &[
                clause::signed(role),
                clause::tuf_signed(role),
                "Uptane 5.4.4(2)",
            ],
            &format!("Two keys have to sign the {repository} repository's {role}, and one has."),
            |case, world| {
                with_two_keys(world, repository, role);
                let key = format!("{repository}-{role}-1");
                world.repo(repository).sign_with(role, &[&key]);
                refused_at_first(case, world, repository, role);
            },
        );
        all.vehicle(
            &format!("uptane-signatures/{repository}-{role}-one-key-twice"),
            &[clause::signed(role), clause::tuf_signed(role), "Uptane 5.4.4(2)"],
            &format!(
                "Two keys have to sign the {repository} repository's {role}. One has signed, and is there under a \
                 second key identifier."
            ),
            |case, world| {
                let (first, second) = (format!("{repository}-{role}-1"), "another-name");
                with_two_keys(world, repository, role);
                alias(world, repository, role, &first, second);
                world.repo(repository).sign_with(role, &[&first]);
                world.repo(repository).signatures(role, move |signatures| {
                    let mut again = signatures[0].clone();
                    again["keyid"] = json!(second);
                    signatures.push(again);
                });
                refused_at_first(case, world, repository, role);
            },
        );
        all.vehicle(
            &format!("uptane-signatures/{repository}-{role}-two-keys"),
            &[
                clause::signed(role),
                clause::tuf_signed(role),
                "Uptane 5.4.4(2)",
            ],
            &format!("Two keys have to sign the {repository} repository's {role}, and both have."),
            |case, world| {
                with_two_keys(world, repository, role);
                case.cycle(world).is_well(ONE, ONE);
            },
        );
        all.vehicle(
            &format!("uptane-signatures/{repository}-{role}-and-a-stranger"),
            &[clause::signed(role), "TUF 4.2"],
            &format!(
                "The {repository} repository's {role} is signed as it has to be, and by somebody unknown. That harms \
                 nothing."
            ),
            |case, world| {
                let key = format!("{repository}-{role}-1");
                world.repo(repository).sign_with(role, &["stranger", &key]);
                case.cycle(world).is_well(ONE, ONE);
            },
        );
    }
}

fn refused(
    all: &mut Cases,
    (repository, role, kept): (&str, &str, &(Versions, Versions)),
    name: &str,
    what: &str,
    change: impl FnOnce(&mut World),
) {
    let place = format!("{repository}/{role}");
    all.vehicle(
        &format!("uptane-signatures/{repository}-{role}-{name}"),
        &[
            clause::signed(role),
            clause::tuf_signed(role),
            "Uptane 5.4.4(2)",
        ],
        &format!("The {repository} repository's {role} {what}."),
        |case, world| {
            case.cycle(world).is_well(ONE, ONE);
            world.release();
            change(world);
            let attack = "arbitrary-software";
            case.cycle(world)
                .is_refused("signature-threshold", &place, attack, *kept);
            world.repo(repository).honest();
            world.release();
            case.cycle(world).is_well([1, 3, 3, 3], [1, 3, 3, 3]);
        },
    );
}

fn with_two_keys(world: &mut World, repository: &str, role: &'static str) {
    let keys = [
        format!("{repository}-{role}-1"),
        format!("{repository}-{role}-2"),
    ];
    let keys = keys.each_ref().map(String::as_str);
    world.repo(repository).root().keys(role, &keys, 2);
}

/// Root lists the first key once more, under another identifier.
fn alias(world: &mut World, repository: &str, role: &'static str, key: &str, name: &'static str) {
    let id = key.parse::<TestKey>().map(|key| key.id());
    // The names here are those of Ed25519 keys, which come out of a seed.
    let id = id.unwrap_or_default();
    world.repo(repository).forge("root", move |signed| {
        let key = signed["keys"][&id].clone();
        signed["keys"][name] = key;
        if let Some(ids) = signed["roles"][role]["keyids"].as_array_mut() {
            ids.push(json!(name));
        }
    });
}

/// In the first cycle: nothing of the role is trusted, nor of what comes after it.
fn refused_at_first(case: &mut Draft, world: &mut World, repository: &str, role: &str) {
    let before = |versions: Versions| match role {
        "timestamp" => [versions[0], 0, 0, 0],
        "snapshot" => [versions[0], 1, 0, 0],
        _ => [versions[0], 1, 1, 0],
    };
    let trusted = match repository {
        "director" => (before(ONE), [1, 0, 0, 0]),
        _ => (ONE, before(ONE)),
    };
    let place = format!("{repository}/{role}");
    case.cycle(world)
        .is_refused("signature-threshold", &place, "arbitrary-software", trusted);
}
