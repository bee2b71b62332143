//! Keys that are not kept as they should be: refused, unless somebody takes responsibility.

use std::process::Command;

use cryptoki::context::{CInitializeArgs, CInitializeFlags, Pkcs11};
use cryptoki::mechanism::Mechanism;
use cryptoki::object::Attribute;
use cryptoki::session::UserType;
use cryptoki::types::AuthPin;
use serde_json::{Value, json};

use crate::common::{PIN, World, refusal, says};

/// The profile of a ceremony that accepts nothing.
fn strict(world: &World) -> String {
    let accept = "[[policy.accept]]\nfinding = \"key-in-file\"\nreason = \"a test\"\n";
    world.profile(2, &["anna", "ben"]).replace(accept, "")
}

/// Everything that a reader of the ceremony `c` may look at holds this reason.
#[track_caller]
fn is_on_record(world: &World, finding: &str, reason: &str) {
    let found = world.ok(&["verify", "lead/c"])["accepted"].to_string();
    says(&found, &[finding, reason]);
    for file in ["transcript.jsonl", "report.html", "requests/sign-root.json"] {
        says(&world.text(&format!("lead/c/{file}")), &[finding, reason]);
    }
}

/// An answer on a machine that does not mind: as of a holder who is careless, or worse.
#[track_caller]
fn careless(world: &World, words: &[&str], finding: &str) {
    let mut asked: Value = serde_json::from_str(&world.text(words[1])).unwrap();
    let accepted = json!({ "finding": finding, "reason": "does not matter" });
    asked["accepted"].as_array_mut().unwrap().push(accepted);
    world.write(words[1], asked.to_string());
    world.ok(words);
}

#[track_caller]
fn finish(world: &World) {
    world.review("c");
    world.sign_and_merge("c", "anna", &["root"]);
    world.sign_and_merge("c", "ben", &["root"]);
    world.seal("c", "anna", "root");
}

#[test]
fn keys_in_files() {
    let world = World::with_files();
    world.plan("c", &strict(&world), &[]);
    for (number, place) in world.invited("c").iter().enumerate() {
        let (invitation, proof) = world.invite("c", place);
        let keygen = ["keygen", &invitation, "--out", &proof];
        let advice = ["key-in-file", "make it in a token", "--accept key-in-file="];
        says(&world.refused("policy", &keygen), &advice);
        let (holder, role) = place.split_once('-').unwrap();
        assert!(
            !world.path(&format!("{holder}/{role}.pem")).exists(),
            "a key all the same"
        );
        careless(&world, &keygen, "key-in-file");
        // What was accepted for one key is not accepted for the next.
        says(
            &world.refused("policy", &["merge", "lead/c", &proof]),
            &advice,
        );
        let reason = format!("key-in-file=rehearsal {number}");
        world.ok(&["merge", "lead/c", &proof, "--accept", &reason]);
    }
    finish(&world);
    for number in 0..5 {
        is_on_record(&world, "key-in-file", &format!("rehearsal {number}"));
    }
}

#[test]
fn a_holder_speaks_for_the_own_key_alone() {
    let world = World::with_files();
    world.plan("c", &strict(&world), &[]);
    let (invitation, proof) = world.invite("c", "anna-root");
    let reason = "key-in-file=no token has come yet";
    world.ok(&["keygen", &invitation, "--out", &proof, "--accept", reason]);
    // The lead is told, and the transcript keeps it.
    let merged = world.ok(&["merge", "lead/c", &proof]);
    assert_eq!(merged["accepted"][0]["reason"], "no token has come yet");
    let (invitation, proof) = world.invite("c", "ben-root");
    careless(
        &world,
        &["keygen", &invitation, "--out", &proof],
        "key-in-file",
    );
    says(
        &world.refused("policy", &["merge", "lead/c", &proof]),
        &["key-in-file (root/ben)"],
    );
}

#[test]
fn offline_keys_in_ci() {
    let mut world = World::with_files();
    world.plan("c", &world.profile(2, &["anna", "ben"]), &[]);
    world.set("CI", "true");
    for place in world.invited("c") {
        let (invitation, proof) = world.invite("c", &place);
        let keygen = ["keygen", &invitation, "--out", &proof];
        // Snapshot and timestamp are the roles that machines sign.
        if place.starts_with("online") {
            world.ok(&keygen);
            world.ok(&["merge", "lead/c", &proof]);
            continue;
        }
        says(&world.refused("policy", &keygen), &["offline-role-in-ci"]);
        careless(&world, &keygen, "offline-role-in-ci");
        let message = world.refused("policy", &["merge", "lead/c", &proof]);
        says(
            &message,
            &["offline-role-in-ci", "offline keys never belong into CI"],
        );
        world.ok(&[
            "merge",
            "lead/c",
            &proof,
            "--accept",
            "offline-role-in-ci=only a drill",
        ]);
    }
    finish(&world);
    is_on_record(&world, "offline-role-in-ci", "only a drill");
}

#[test]
fn one_key_for_two_roles() {
    let world = World::with_files();
    world.plan("c", &world.profile(2, &["anna", "ben"]), &[]);
    world.make_keys_but("c", "online-timestamp");
    let (invitation, proof) = world.invite("c", "online-timestamp");
    for (holder, object) in [("online", "snapshot"), ("anna", "root")] {
        let uri = world.uri(holder, object);
        world.ok(&["prove", &invitation, "--key", &uri, "--out", &proof]);
        let message = world.refused("policy", &["merge", "lead/c", &proof]);
        says(
            &message,
            &[
                "shared-key",
                &format!("{object}/{holder}"),
                "a key of its own",
            ],
        );
    }
    let uri = world.uri("online", "snapshot");
    world.ok(&["prove", &invitation, "--key", &uri, "--out", &proof]);
    world.ok(&[
        "merge",
        "lead/c",
        &proof,
        "--accept",
        "shared-key=one server, one key",
    ]);
    finish(&world);
    is_on_record(&world, "shared-key", "one server, one key");

    // Within one role nothing makes it right: the threshold would be a lie.
    let world = World::with_files();
    world.plan("c", &world.profile(2, &["anna", "ben"]), &[]);
    world.make_keys_but("c", "ben-root");
    let (invitation, proof) = world.invite("c", "ben-root");
    let uri = world.uri("anna", "root");
    let accept = "shared-key=we are one";
    world.ok(&[
        "prove",
        &invitation,
        "--key",
        &uri,
        "--out",
        &proof,
        "--accept",
        accept,
    ]);
    let message = refusal(
        world.command(&["merge", "lead/c", &proof, "--accept", accept]),
        "file",
    );
    says(&message, &["one key counts once", "a key of their own"]);
}

#[test]
fn a_key_that_stays_in_another_role() {
    let world = World::with_files();
    world.first_ceremony("c1", 2, &["anna", "ben"], &["anna", "ben"]);
    let add = format!("targets/release={}", world.uri("release", "new"));
    world.rotate("c1", "c", "scheduled", &["--add", &add]);
    let (invitation, proof) = world.invite("c", "release-targets");
    let uri = world.uri("online", "snapshot");
    world.ok(&["prove", &invitation, "--key", &uri, "--out", &proof]);
    let message = world.refused("policy", &["merge", "lead/c", &proof]);
    says(&message, &["shared-key", "snapshot/online"]);
}

#[test]
fn two_root_keys_in_one_token() {
    let world = World::with_tokens(&["anna", "ben", "release", "online"]);
    world.plan("c", &world.profile(2, &["anna", "ben"]), &[]);
    world.make_keys_but("c", "ben-root");
    let (invitation, proof) = world.invite("c", "ben-root");
    let uri = world.uri("anna", "root-of-ben");
    world.ok(&["keygen", &invitation, "--key", &uri, "--out", &proof]);
    let message = world.refused("policy", &["merge", "lead/c", &proof]);
    says(
        &message,
        &["shared-token", "root/anna", "a token for each holder"],
    );
    world.ok(&[
        "merge",
        "lead/c",
        &proof,
        "--accept",
        "shared-token=the second is on its way",
    ]);
    world.review("c");
    world.sign_and_merge("c", "anna", &["root", "root-of-ben"]);
    world.seal("c", "anna", "root");
    is_on_record(&world, "shared-token", "the second is on its way");
}

const CHILD: &str = "COUNTERSIGN_TEST_WEAK_KEYS";

/// Runs in a process of its own, because SoftHSM reads where its tokens are once per process.
fn make_weak_keys() {
    let module = std::env::var("COUNTERSIGN_PKCS11_MODULE").unwrap();
    let pkcs11 = Pkcs11::new(module).unwrap();
    let flags = CInitializeFlags::OS_LOCKING_OK;
    pkcs11.initialize(CInitializeArgs::new(flags)).unwrap();
    let slots = pkcs11.get_slots_with_initialized_token().unwrap();
    let label = |slot: &_| pkcs11.get_token_info(*slot).unwrap().label().to_owned();
    let slot = slots.iter().find(|slot| label(slot) == "anna").unwrap();
    let session = pkcs11.open_rw_session(*slot).unwrap();
    let pin = AuthPin::new(PIN.into());
    session.login(UserType::User, Some(&pin)).unwrap();
    // The DER of the object identifier of P-256.
    let curve = [6, 8, 0x2a, 0x86, 0x48, 0xce, 0x3d, 3, 1, 7];
    for (name, sensitive, extractable) in [("leaves", true, true), ("shows", false, false)] {
        let public = [
            Attribute::Token(true),
            Attribute::Verify(true),
            Attribute::Label(name.into()),
            Attribute::EcParams(curve.to_vec()),
        ];
        let private = [
            Attribute::Token(true),
            Attribute::Private(true),
            Attribute::Sign(true),
            Attribute::Label(name.into()),
            Attribute::Sensitive(sensitive),
            Attribute::Extractable(extractable),
        ];
        let made = session.generate_key_pair(&Mechanism::EccKeyPairGen, &public, &private);
        made.unwrap();
    }
}

#[test]
fn keys_that_can_leave_their_token() {
    if std::env::var_os(CHILD).is_some() {
        return make_weak_keys();
    }
    let world = World::with_tokens(&["anna", "ben", "release", "online"]);
    let output = Command::new(std::env::current_exe().unwrap())
        .args(["custody::keys_that_can_leave_their_token", "--exact"])
        .env("SOFTHSM2_CONF", world.path("softhsm2.conf"))
        .env("COUNTERSIGN_PKCS11_MODULE", crate::common::module())
        .env(CHILD, "1")
        .output()
        .unwrap();
    let said = crate::common::shown(&output);
    assert!(said.contains("1 passed"), "{said}");

    let profile = world
        .profile(2, &["anna", "ben"])
        .replacen("ed25519", "ecdsa-p256", 1);
    world.plan("c", &profile, &[]);
    world.make_keys_but("c", "anna-root");
    let (invitation, proof) = world.invite("c", "anna-root");
    for (object, finding, advice) in [
        ("shows", "key-not-sensitive", "make it sensitive"),
        ("leaves", "key-extractable", "make it non-extractable"),
    ] {
        let uri = world.uri("anna", object);
        let prove = ["prove", &invitation, "--key", &uri, "--out", &proof];
        let told = [finding, "root/anna", advice];
        says(&world.refused("policy", &prove), &told);
        careless(&world, &prove, finding);
        says(
            &world.refused("policy", &["merge", "lead/c", &proof]),
            &told,
        );
    }
    // The holder takes responsibility, under the own signature.
    let uri = world.uri("anna", "leaves");
    let accept = "key-extractable=it moves to a new token in March";
    world.ok(&[
        "prove",
        &invitation,
        "--key",
        &uri,
        "--out",
        &proof,
        "--accept",
        accept,
    ]);
    world.ok(&["merge", "lead/c", &proof]);
    world.review("c");
    world.sign_and_merge("c", "anna", &["leaves"]);
    world.sign_and_merge("c", "ben", &["root"]);
    world.seal("c", "ben", "root");
    is_on_record(
        &world,
        "key-extractable",
        "it moves to a new token in March",
    );
}

#[test]
fn a_key_that_came_from_outside_is_warned_of() {
    let world = World::with_tokens(&["anna", "ben", "release", "online"]);
    let made = Command::new("openssl")
        .args([
            "genpkey",
            "-algorithm",
            "EC",
            "-pkeyopt",
            "ec_paramgen_curve:P-256",
            "-out",
        ])
        .arg(world.path("outside.pem"))
        .output()
        .expect("these tests need openssl; on Debian: apt-get install openssl");
    assert!(made.status.success(), "{made:?}");
    let file = world.path("outside.pem").display().to_string();
    world.softhsm(&[
        "--import", &file, "--token", "anna", "--label", "old", "--id", "02",
    ]);
    let profile = world
        .profile(2, &["anna", "ben"])
        .replacen("ed25519", "ecdsa-p256", 1);
    world.plan("c", &profile, &[]);
    let (invitation, proof) = world.invite("c", "anna-root");
    let uri = world.uri("anna", "old");
    world.ok(&["prove", &invitation, "--key", &uri, "--out", &proof]);
    world.ok(&["merge", "lead/c", &proof]);
    let findings = world.lines("c")[1]["event"]["proved"]["findings"].clone();
    assert_eq!(findings[0]["name"], "key-imported", "{findings}");
    assert_eq!(findings[0]["weight"], "warn");
}
