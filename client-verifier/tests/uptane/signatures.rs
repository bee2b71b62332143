//! Who has to sign what (5.2.1, 5.2.2; 5.4.4.3 to 5.4.4.6): the same attack on the file of every
//! role of both repositories, of a delegated role, and on both Roots.

use countersign_metadata::json::{Object, Value};
use countersign_verifier::{Attack, Code};

use crate::keys::Signer;
use crate::world::repo::Repo;
use crate::world::{DIRECTOR, IMAGE, ROLES, World, refused, refused_in};

/// Does `attack` to the next file of every role in turn.
#[track_caller]
fn on_every_role(attack: impl Fn(&mut Repo, &str), code: Code) {
    in_every_role_of(&World::new(), attack, code);
}

#[track_caller]
fn in_every_role_of(world: &World, attack: impl Fn(&mut Repo, &str), code: Code) {
    for (repository, role) in ROLES {
        let attack = |world: &mut World| attack(world.repo(repository), role);
        refused_in(world.clone(), attack, (code, role, repository));
    }
    for repository in [DIRECTOR, IMAGE] {
        let attack = |world: &mut World| {
            let repo = world.repo(repository);
            attack(repo, "root");
            repo.publish_root();
        };
        refused_in(world.clone(), attack, (code, "root", repository));
    }
}

/// Two keys for every role, and both have to sign.
fn two_of_two() -> World {
    let mut world = World::new();
    for (repository, role) in ROLES
        .into_iter()
        .chain([(DIRECTOR, "root"), (IMAGE, "root")])
    {
        let repo = world.repo(repository);
        repo.add_key(role);
        repo.thresholds.insert(role.into(), 2);
    }
    world.delegate("targets", &[("supplier", &["brake/*"])]);
    world.director.publish_root();
    world.image.publish_root();
    world.publish();
    world
}

#[test]
fn a_role_that_nobody_signed_is_refused() {
    on_every_role(
        |repo, role| repo.signed_by(role, &[]),
        Code::SignatureThreshold,
    );
}

#[test]
fn one_signature_is_not_two() {
    let one = |repo: &mut Repo, role: &str| {
        let first = repo.keys[role][0].clone();
        repo.signed_by(role, &[first]);
    };
    in_every_role_of(&two_of_two(), one, Code::SignatureThreshold);
}

#[test]
fn a_signature_of_a_key_that_nobody_named_counts_nothing() {
    let stranger = |repo: &mut Repo, role: &str| repo.signed_by(role, &[Signer::number(9999)]);
    on_every_role(stranger, Code::SignatureThreshold);
}

#[test]
fn a_signature_of_every_other_role_counts_nothing() {
    let others = |repo: &mut Repo, role: &str| {
        let others = repo.keys.iter().filter(|(of, _)| *of != role);
        let others: Vec<Signer> = others.flat_map(|(_, keys)| keys.clone()).collect();
        repo.signed_by(role, &others);
    };
    on_every_role(others, Code::SignatureThreshold);
}

#[test]
fn a_role_of_one_repository_signs_nothing_in_the_other() {
    for role in ["timestamp", "snapshot", "targets"] {
        let attack = |world: &mut World| {
            let keys = world.image.keys[role].clone();
            world.director.signed_by(role, &keys);
        };
        refused(attack, (Code::SignatureThreshold, role, DIRECTOR));
        let attack = |world: &mut World| {
            let keys = world.director.keys[role].clone();
            world.image.signed_by(role, &keys);
        };
        refused(attack, (Code::SignatureThreshold, role, IMAGE));
    }
}

#[test]
fn one_key_id_twice_is_malformed() {
    let twice = |repo: &mut Repo, role: &str| {
        repo.write(role, |file| {
            let (signatures, rest) = file.split_once("],\"signed\"").unwrap();
            let entries = signatures.strip_prefix("{\"signatures\":[").unwrap();
            format!("{{\"signatures\":[{entries},{entries}],\"signed\"{rest}")
        });
    };
    on_every_role(twice, Code::Malformed);
}

#[test]
fn signatures_that_prove_nothing_harm_nothing() {
    let mut world = World::new();
    let mut car = world.primary();
    for (repository, role) in ROLES {
        world.repo(repository).write(role, |file| {
            let more = r#"{"signatures":[{"keyid":"unheard-of","sig":"no hex","method":"new"},"#;
            file.replacen("{\"signatures\":[", more, 1)
        });
    }
    world.publish();
    assert_eq!(car.cycle(&world).unwrap().images.len(), 2);
}

#[test]
fn keys_of_types_yet_unknown_harm_nothing() {
    let mut world = World::new();
    let mut car = world.primary();
    for repo in [&mut world.director, &mut world.image] {
        repo.edit("root", |signed| {
            let key = [
                ("keytype".into(), "of-the-future".into()),
                ("scheme".into(), "of-the-future".into()),
                ("keyval".into(), Object::new().into()),
            ];
            object(signed, "keys").insert("unheard-of".into(), Object::from(key).into());
            let root = object(object(signed, "roles"), "root");
            let Some(Value::Array(keyids)) = root.get_mut("keyids") else {
                panic!("a role has key ids");
            };
            keyids.push("unheard-of".into());
        });
        repo.publish_root();
    }
    assert_eq!(car.cycle(&world).unwrap().images.len(), 2);
}

#[test]
fn a_role_says_which_role_it_is() {
    let other_type = |repo: &mut Repo, role: &str| {
        let other = match role {
            "timestamp" => "snapshot",
            _ => "timestamp",
        };
        repo.set(role, "_type", other);
    };
    on_every_role(other_type, Code::WrongRoleType);
}

#[test]
fn a_snapshot_is_no_timestamp_whoever_signs_it() {
    for repository in [DIRECTOR, IMAGE] {
        let attack = |world: &mut World| {
            let repo = world.repo(repository);
            let snapshot = repo.keys["snapshot"].clone();
            repo.signed_by("timestamp", &snapshot);
            repo.set("timestamp", "_type", "snapshot");
        };
        refused(attack, (Code::SignatureThreshold, "timestamp", repository));
    }
}

#[test]
fn anything_but_one_strict_object_is_malformed() {
    let broken: [fn(String) -> String; 4] = [
        |file| format!("{file}x"),
        |file| file[..file.len() / 2].into(),
        |file| {
            file.replacen(
                "{\"signatures\":[",
                "{\"signatures\":[],\"signatures\":[",
                1,
            )
        },
        |file| {
            let nested = "[".repeat(100) + &"]".repeat(100);
            file.replacen('{', &format!("{{\"deep\":{nested},"), 1)
        },
    ];
    for write in broken {
        on_every_role(move |repo, role| repo.write(role, write), Code::Malformed);
    }
}

#[test]
fn a_root_that_asks_for_nobody_is_malformed() {
    for repository in [DIRECTOR, IMAGE] {
        for role in ["root", "timestamp", "snapshot", "targets"] {
            let attack = |world: &mut World| {
                let repo = world.repo(repository);
                repo.edit("root", move |signed| {
                    let role = object(object(signed, "roles"), role);
                    role.insert("threshold".into(), 0u64.into());
                });
                repo.publish_root();
            };
            refused(attack, (Code::Malformed, "root", repository));
        }
    }
}

#[test]
fn a_delegation_that_asks_for_nobody_is_malformed() {
    let attack = |world: &mut World| {
        world.image.thresholds.insert("supplier".into(), 0);
        world.delegate("targets", &[("supplier", &["brake/*"])]);
    };
    refused(attack, (Code::Malformed, "targets", IMAGE));
}

#[test]
fn a_threshold_that_nobody_can_meet_stops_its_role_only() {
    for (repository, role) in ROLES {
        let mut world = World::new();
        let mut car = world.primary();
        world.repo(repository).thresholds.insert(role.into(), 9);
        world.delegate("targets", &[("supplier", &["brake/*"])]);
        world.repo(repository).publish_root();
        world.publish();
        let reject = car.cycle(&world).unwrap_err();
        crate::world::check(&reject, (Code::SignatureThreshold, role, repository));
        assert_eq!(reject.attack(), Attack::ArbitrarySoftware);
        world.repo(repository).thresholds.clear();
        world.delegate("targets", &[("supplier", &["brake/*"])]);
        world.repo(repository).publish_root();
        world.publish();
        assert_eq!(car.cycle(&world).unwrap().images.len(), 2);
    }
}

#[test]
fn one_key_under_two_ids_counts_once() {
    for (repository, role) in &ROLES[..6] {
        let mut world = World::new();
        let mut car = world.primary();
        let repo = world.repo(repository);
        let key = repo.keys[*role][0].clone();
        repo.thresholds.insert((*role).into(), 2);
        let id = key.key.id().as_str().to_owned();
        let role = (*role).to_owned();
        repo.edit("root", {
            let (id, role) = (id.clone(), role.clone());
            move |signed| {
                let keys = object(signed, "keys");
                let same = keys[&id].clone();
                keys.insert("another-id".into(), same);
                let role = object(object(signed, "roles"), &role);
                let Some(Value::Array(keyids)) = role.get_mut("keyids") else {
                    panic!("a role has key ids");
                };
                keyids.push("another-id".into());
            }
        });
        repo.publish_root();
        repo.write(&role, move |file| {
            let (signatures, rest) = file.split_once("],\"signed\"").unwrap();
            let entry = signatures.strip_prefix("{\"signatures\":[").unwrap();
            let again = entry.replace(&id, "another-id");
            format!("{{\"signatures\":[{entry},{again}],\"signed\"{rest}")
        });
        world.publish();
        let reject = car.cycle(&world).unwrap_err();
        crate::world::check(&reject, (Code::SignatureThreshold, &role, repository));
    }
}

fn object<'a>(members: &'a mut Object, name: &str) -> &'a mut Object {
    match members.get_mut(name) {
        Some(Value::Object(members)) => members,
        other => panic!("{name}: {other:?}"),
    }
}
