//! Commands that die at chosen points, between two effects on the disk.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::process::ExitStatusExt as _;
use std::process::Command;

use cryptoki::context::{CInitializeArgs, CInitializeFlags, Pkcs11};
use cryptoki::object::{Attribute, ObjectClass};
use cryptoki::session::UserType;
use cryptoki::types::AuthPin;

use super::{again, events, files, hold, nothing_lost, recorded, whole};
use crate::common::{PIN, World, shown};

/// Whether a command dies at this point. If there is no such point it comes to its end.
#[track_caller]
fn dies(world: &World, point: u32, words: &[&str]) -> bool {
    let mut command = world.command(words);
    command.env("COUNTERSIGN_CRASH_POINT", point.to_string());
    let output = command.output().unwrap();
    let died = output.status.signal() == Some(6);
    if !died && !output.status.success() {
        again(world, words);
    }
    died
}

/// Every command of a ceremony dies at its n-th point, for each n; then the one that is to
/// repair that dies there, too.
#[test]
fn each_point_of_each_step() {
    let mut points: BTreeMap<&str, u32> = BTreeMap::new();
    for point in 1.. {
        let world = World::with_files();
        let mut died = false;
        hold(&world, &mut |step, words| {
            for _ in 0..2 {
                let before = recorded(&world);
                if !dies(&world, point, words) {
                    return;
                }
                nothing_lost(&before, &recorded(&world), step);
                points.insert(step, point);
                // It has more points than any other, and a test of its own.
                died |= step != "plan";
            }
            again(&world, words);
        });
        whole(&world);
        if !died {
            break;
        }
    }
    // At least: before a file, before it gets its name, and after that; and the same for a
    // line.
    for (step, least) in [
        ("plan", 3 + 3),
        ("keygen", 1 + 3),
        ("prove", 3),
        ("merge a proof", 3),
        ("review", 3 + 3),
        ("sign", 3),
        ("merge a signature", 3),
        ("seal", 3 + 3 + 3),
        ("rotate", 3 + 3 + 3),
    ] {
        let found = points.get(step).copied().unwrap_or(0);
        assert!(found >= least, "only {found} points in {step}");
    }
}

#[test]
fn each_point_of_a_plan() {
    for point in 1.. {
        let world = World::with_files();
        world.write("lead/profile.toml", world.profile(2, &["anna", "ben"]));
        let plan = ["plan", "lead/profile.toml", "--out", "lead/c"];
        if !dies(&world, point, &plan) {
            assert!(point > 3 + 5 * 3, "only {point} points");
            break;
        }
        let before = world.path("lead/c/transcript.jsonl");
        let before = fs::read(before).unwrap_or_default();
        world.ok(&plan);
        assert!(world.read("lead/c/transcript.jsonl").starts_with(&before));
        assert_eq!(events(&world, "c"), ["planned"]);
        let left = files(&world.path("lead/c"), &|_| true);
        assert_eq!(left.len(), 1 + 5, "{left:?}");
        world.ok(&["verify", "lead/c", "--unfinished"]);
    }
}

/// A key that was made in a token is the one that is proved, and the only one of its name.
#[test]
fn each_point_with_a_token() {
    let world = World::with_tokens(&["anna", "ben", "release", "online"]);
    world.plan("c", &world.profile(2, &["anna", "ben"]), &[]);
    let (invitation, _) = world.invite("c", "anna-root");
    let mut last = String::new();
    for point in 1.. {
        let object = format!("root-{point}");
        let key = world.uri("anna", &object);
        let proof = format!("anna/{object}.json");
        let keygen = ["keygen", &*invitation, "--key", &key, "--out", &proof];
        let died = dies(&world, point, &keygen);
        let made = again(&world, &keygen);
        let tokens = world.ok(&["signers", "--login"]).to_string();
        for name in [&object, made["keyid"].as_str().unwrap()] {
            let found = tokens.matches(&format!("\"{name}\"")).count();
            assert_eq!(found, 1, "{name}: {tokens}");
        }
        last = object;
        if !died {
            assert!(point > 1 + 3, "only {point} points");
            break;
        }
    }
    world.ok(&["merge", "lead/c", &format!("anna/{last}.json")]);
    world.make_keys_but("c", "anna-root");
    world.review("c");
    let confirm = world.confirmation("c");
    for (holder, object) in [("anna", last.as_str()), ("ben", "root")] {
        let (key, out) = (world.uri(holder, object), format!("{holder}/signed.json"));
        let request = "lead/c/requests/sign-root.json";
        let sign = ["sign", request, "--key", &key, "--out", &out];
        let sign = [&sign[..], &["--confirm", &confirm]].concat();
        for point in 1.. {
            if !dies(&world, point, &sign) {
                assert!(point > 3, "only {point} points");
                break;
            }
            // What an earlier run left, whole or not at all, is taken in once.
            if world.path(&out).exists() {
                world.ok(&["merge", "lead/c", &out]);
            }
        }
        world.ok(&["merge", "lead/c", &out]);
    }
    world.seal("c", "anna", &last);
    world.ok(&["verify", "lead/c"]);
    assert_eq!(events(&world, "c")[7..], ["signed", "signed", "sealed"]);
}

const CHILD: &str = "COUNTERSIGN_TEST_HALF_A_KEY";

/// Runs in a process of its own, because SoftHSM reads where its tokens are once per process.
fn remove_the_private_half() {
    let module = std::env::var("COUNTERSIGN_PKCS11_MODULE").unwrap();
    let pkcs11 = Pkcs11::new(module).unwrap();
    let flags = CInitializeFlags::OS_LOCKING_OK;
    pkcs11.initialize(CInitializeArgs::new(flags)).unwrap();
    let slot = pkcs11.get_slots_with_initialized_token().unwrap()[0];
    let session = pkcs11.open_rw_session(slot).unwrap();
    let pin = AuthPin::new(PIN.into());
    session.login(UserType::User, Some(&pin)).unwrap();
    let private = [Attribute::Class(ObjectClass::PRIVATE_KEY)];
    let found = session.find_objects(&private).unwrap();
    assert_eq!(found.len(), 1);
    session.destroy_object(found[0]).unwrap();
}

fn killed_with_a_key_but_no_proof() -> (World, Vec<String>, String) {
    for point in 1.. {
        let world = World::with_tokens(&["anna"]);
        world.plan("c", &world.profile(2, &["anna", "ben"]), &[]);
        let (invitation, proof) = world.invite("c", "anna-root");
        let keygen = ["keygen", &*invitation, "--out", &proof];
        assert!(dies(&world, point, &keygen), "no key was made");
        let tokens = world.ok(&["signers", "--login"]).to_string();
        if tokens.contains("\"root\"") {
            assert!(!world.path(&proof).exists());
            return (world, keygen.map(str::to_owned).into(), proof);
        }
    }
    unreachable!()
}

/// A token stores the halves of a key one after the other.
#[test]
fn half_a_key_in_a_token() {
    if std::env::var_os(CHILD).is_some() {
        return remove_the_private_half();
    }
    let (world, keygen, proof) = killed_with_a_key_but_no_proof();
    let keygen: Vec<&str> = keygen.iter().map(String::as_str).collect();
    let output = Command::new(std::env::current_exe().unwrap())
        .args(["kill::points::half_a_key_in_a_token", "--exact"])
        .env("SOFTHSM2_CONF", world.path("softhsm2.conf"))
        .env("COUNTERSIGN_PKCS11_MODULE", crate::common::module())
        .env(CHILD, "1")
        .output()
        .unwrap();
    assert!(shown(&output).contains("1 passed"), "{}", shown(&output));

    // It is no key, and the holder goes on with another name.
    world.refused("key", &keygen);
    assert!(!world.path(&proof).exists());
    let key = world.uri("anna", "root-again");
    world.ok(&[&keygen[..], &["--key", &key]].concat());
    world.ok(&["merge", "lead/c", &proof]);
}
