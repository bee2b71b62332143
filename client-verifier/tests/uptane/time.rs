//! What time it is, on the word of the server that the Director's Root names (5.4.2.2, 5.4.3.1).

use countersign_metadata::uptane::{Nonce, set_time_server};
use countersign_metadata::{MetaFile, Timestamp, UtcTime};
use countersign_verifier::uptane::{Attested, TimeFloor, attested_time, latest_attested};
use countersign_verifier::{Attack, Code, Followed, Reject};

use crate::keys::{Signer, signed};
use crate::world::car::NONCE;
use crate::world::{DIRECTOR, World, attestation, check};

const DAY: i64 = 86_400;

fn followed(world: &World) -> Followed {
    world
        .primary()
        .director_root(&world.director.files)
        .unwrap()
}

fn judge(
    world: &World,
    file: Option<Vec<u8>>,
    floor: Option<&TimeFloor>,
) -> Result<Attested, Reject> {
    Ok(attested_time(&followed(world), file, &NONCE, floor)?.unwrap())
}

/// `time` as attested to our nonce.
fn at(world: &World, time: UtcTime) -> Option<Vec<u8>> {
    Some(attestation(time, &[NONCE], &world.time_key))
}

#[track_caller]
fn refused(world: &World, file: Option<Vec<u8>>, floor: Option<&TimeFloor>, code: Code) -> Attack {
    let reject = judge(world, file, floor).unwrap_err();
    assert_eq!((reject.code, &*reject.role), (code, "time"), "{reject}");
    reject.attack()
}

fn later(time: UtcTime, seconds: i64) -> UtcTime {
    time.plus_seconds(seconds).unwrap()
}

#[test]
fn a_time_that_answers_our_nonce_is_believed_and_is_a_floor() {
    let world = World::new();
    let others = [Nonce([1; 16]), NONCE, Nonce([2; 16])];
    let file = attestation(world.now, &others, &world.time_key);
    let attested = judge(&world, Some(file), None).unwrap();
    assert_eq!(attested.now, world.now);
    assert_eq!(attested.floor.time, world.now);
}

#[test]
fn without_a_time_server_the_device_asks_another_secure_source() {
    let mut world = World::new();
    world.director.root.extra.clear();
    world.director.publish_root();
    let none = attested_time(&followed_all(&world), None, &NONCE, None).unwrap();
    assert_eq!(none, None);
}

/// Of a car that has followed all Roots.
fn followed_all(world: &World) -> Followed {
    let mut car = World::new().primary();
    car.director_root(&world.director.files).unwrap()
}

#[test]
fn no_attestation_is_no_time() {
    let world = World::new();
    assert_eq!(
        refused(&world, None, None, Code::TimeUnavailable),
        Attack::Freeze
    );
}

#[test]
fn an_attestation_for_another_nonce_is_a_replay() {
    let world = World::new();
    for nonces in [&[][..], &[Nonce([8; 16])]] {
        let file = attestation(world.now, nonces, &world.time_key);
        let attack = refused(&world, Some(file), None, Code::TimeReplayed);
        assert_eq!(attack, Attack::Freeze);
    }
}

#[test]
fn only_the_time_server_attests_the_time() {
    let world = World::new();
    for role in ["root", "timestamp", "targets"] {
        let file = attestation(world.now, &[NONCE], &world.director.keys[role][0]);
        let attack = refused(&world, Some(file), None, Code::SignatureThreshold);
        assert_eq!(attack, Attack::ArbitrarySoftware);
    }
}

#[test]
fn the_time_server_attests_nothing_but_the_time() {
    let world = World::new();
    // A Timestamp file that the time key signed.
    let timestamp = Timestamp::new(world.now, MetaFile::version(1));
    let file = signed(timestamp.to_payload(), [&world.time_key]);
    refused(&world, Some(file), None, Code::Malformed);
    // And an attestation is no file of the Director's, even with one key for both.
    let mut world = World::new();
    let mut car = world.primary();
    car.cycle(&world).unwrap();
    let key = world.director.keys["timestamp"][0].clone();
    let file = attestation(world.now, &[NONCE], &key);
    world
        .director
        .serve("timestamp", move |_| Some(file.clone()));
    world.publish();
    let reject = car.cycle(&world).unwrap_err();
    check(&reject, (Code::WrongRoleType, "timestamp", DIRECTOR));
}

#[test]
fn time_does_not_go_back() {
    let world = World::new();
    let now = world.now;
    let floor = judge(&world, at(&world, now), None).unwrap().floor;
    let before = at(&world, later(now, -1));
    let attack = refused(&world, before, Some(&floor), Code::TimeWentBack);
    assert_eq!(attack, Attack::Freeze);
    let same = judge(&world, at(&world, now), Some(&floor)).unwrap();
    assert_eq!(same.floor, floor);
    let next = judge(&world, at(&world, later(now, 1)), Some(&floor)).unwrap();
    assert_eq!(next.floor.time, later(now, 1));
}

#[test]
fn a_far_future_is_bounded_and_forgotten_with_the_key_that_said_so() {
    let mut world = World::new();
    let mut car = World::new().primary();
    let root = followed(&world).root().content().header.expires;
    let far: UtcTime = "9999-12-31T23:59:59Z".parse().unwrap();
    let attested = judge(&world, at(&world, far), None).unwrap();
    assert_eq!((attested.now, attested.floor.time), (far, root));
    car.floor = Some(attested.floor);
    // The honest time now looks like one that went back.
    let reject = car.cycle(&world).unwrap_err();
    assert_eq!(reject.code, Code::TimeWentBack);
    // Another key in Root, and the car is as it was.
    world.time_key = Signer::number(98);
    let key = world.time_key.key.clone();
    set_time_server(&mut world.director.root, [key], 1);
    world.director.publish_root();
    assert_eq!(car.cycle(&world).unwrap().images.len(), 2);
    assert_eq!(car.floor.unwrap().time, world.now);
}

#[test]
fn a_car_that_was_parked_for_years_learns_the_time_although_its_root_expired() {
    let mut world = World::new();
    let mut car = world.primary();
    car.cycle(&world).unwrap();
    for _ in 0..3 {
        world.pass(300 * 24);
        world.director.publish_root();
        world.image.publish_root();
    }
    world.publish();
    assert_eq!(car.cycle(&world).unwrap().images.len(), 2);
    assert_eq!(car.floor.unwrap().time, world.now);
}

#[test]
fn expired_metadata_is_expired_by_the_attested_time() {
    let world = World::new();
    let mut car = world.primary();
    car.cycle(&world).unwrap();
    let followed = car.director_root(&world.director.files).unwrap();
    let tomorrow = later(world.now, DAY);
    let file = at(&world, tomorrow);
    let now = car.time(&followed, file).unwrap().unwrap();
    let director = car.director_from(followed, now, &world.director.files);
    check(
        &director.unwrap_err(),
        (Code::Expired, "timestamp", DIRECTOR),
    );
}

#[test]
fn an_attestation_is_strict_and_bounded() {
    let world = World::new();
    let good = at(&world, world.now).unwrap();
    let text = String::from_utf8(good).unwrap();
    for broken in [
        String::new(),
        text[..text.len() - 1].into(),
        format!("{text}{text}"),
        text.replace("\"nonces\"", "\"n\""),
    ] {
        let reject = judge(&world, Some(broken.into_bytes()), None).unwrap_err();
        let codes = [Code::Malformed, Code::SignatureThreshold];
        assert!(codes.contains(&reject.code), "{reject}");
    }
    let padded = format!("{text}{}", " ".repeat(128 << 10)).into_bytes();
    let attack = refused(&world, Some(padded), None, Code::TooLarge);
    assert_eq!(attack, Attack::EndlessData);
}

#[test]
fn a_time_server_may_need_several_signatures() {
    let mut world = World::new();
    let keys = [Signer::number(97), Signer::number(98)];
    let publics = keys.iter().map(|signer| signer.key.clone());
    set_time_server(&mut world.director.root, publics, 2);
    world.director.publish_root();
    let followed = followed_all(&world);
    let attested = |file| attested_time(&followed, Some(file), &NONCE, None);
    let one = attested(attestation(world.now, &[NONCE], &keys[0])).unwrap_err();
    assert_eq!(one.code, Code::SignatureThreshold);
    let content = countersign_metadata::uptane::TimeAttestation {
        time: world.now,
        nonces: vec![NONCE],
        extra: Default::default(),
    };
    let both = attested(signed(content.to_payload(), &keys)).unwrap();
    assert_eq!(both.unwrap().now, world.now);
}

#[test]
fn a_time_server_that_needs_nobody_is_malformed() {
    let mut world = World::new();
    set_time_server(&mut world.director.root, [world.time_key.key.clone()], 0);
    world.director.publish_root();
    let reject = attested_time(&followed_all(&world), None, &NONCE, None).unwrap_err();
    assert_eq!((reject.code, &*reject.role), (Code::Malformed, "root"));
}

#[test]
fn without_a_network_the_time_is_the_latest_that_was_attested() {
    let mut world = World::new();
    let floor = judge(&world, at(&world, world.now), None).unwrap().floor;
    let latest = |world: &World, floor| latest_attested(&followed_all(world), floor);
    assert_eq!(latest(&world, Some(&floor)), Ok(Some(world.now)));
    let none = latest(&world, None).unwrap_err();
    assert_eq!(none.code, Code::TimeUnavailable);
    // What stolen time keys have attested counts no longer when Root names others.
    let other = world.director.new_key().key;
    set_time_server(&mut world.director.root, [other], 1);
    world.director.publish_root();
    let gone = latest(&world, Some(&floor)).unwrap_err();
    assert_eq!(gone.code, Code::TimeUnavailable);
    world.director.root.extra.clear();
    world.director.publish_root();
    assert_eq!(latest(&world, Some(&floor)), Ok(None));
}
