//! The gate in front of the installer (5.4.3.4) and what a Primary lets through to others
//! (5.4.2.4).

use std::collections::BTreeMap;

use countersign_metadata::KeyId;
use countersign_metadata::uptane::{EncryptedTarget, WrappedKey};
use countersign_metadata::{Hashes, TargetFile};
use countersign_verifier::uptane::{Directed, Installed, Origin, Verification};
use countersign_verifier::{Attack, Code};

use crate::world::{IMAGE, World, ecu, hardware, path, serial};

/// The image for `number` out of an honest cycle.
fn directed(world: &World, number: &str) -> Directed {
    let images = world.primary().cycle(world).unwrap().images;
    let mut images = images.into_iter();
    images
        .find(|image| image.ecu().serial == serial(number))
        .unwrap()
}

/// The brake's image travels encrypted.
fn encrypted() -> World {
    let mut world = World::new();
    world.directed("brake/fw.img", |custom| {
        let filename = path("brake/fw.img.enc");
        let target = EncryptedTarget::new(filename, 6, Hashes::of(b"secret"), "some-method");
        custom.encrypted = Some(target);
        let key = WrappedKey::new(KeyId::new("id").unwrap(), vec![1], vec![2]);
        custom.wrapped_keys = BTreeMap::from([(serial("S1"), key)]);
    });
    world.publish();
    world
}

#[test]
fn the_right_bytes_are_an_image_for_their_ecu() {
    let world = World::new();
    let directed = directed(&world, "P1");
    assert_eq!(directed.verification(), Verification::Full);
    let own = ecu("P1", "pcu-a");
    let mut stream = directed.open_image(&own, None, world.now).unwrap();
    assert_eq!(stream.remaining(), 3);
    stream.update(b"p").unwrap();
    stream.update(b"cu").unwrap();
    let image = stream.finish().unwrap();
    let proof = image.directed().unwrap();
    assert_eq!((proof.ecu(), proof.release_counter()), (&own, 5));
}

#[test]
fn every_listed_hash_and_the_length_have_to_hold() {
    let mut world = World::new();
    // Of two hashes, one is that of other bytes of the same length.
    for (sha256, sha512) in [(&b"pcX"[..], &b"pcu"[..]), (b"pcu", b"pcX")] {
        let mut file = TargetFile::describing(b"pcu");
        file.hashes.sha256 = Hashes::of(sha256).sha256;
        file.hashes.sha512 = Hashes::of(sha512).sha512;
        let listed = world.image.listed("targets", "pcu.img");
        file.custom = listed.custom.clone();
        *listed = file;
        world.direct("pcu.img", &[("P1", "pcu-a")]);
        world.publish();
        let directed = directed(&world, "P1");
        let mut stream = directed
            .open_image(&ecu("P1", "pcu-a"), None, world.now)
            .unwrap();
        stream.update(b"pcu").unwrap();
        assert_eq!(stream.finish().unwrap_err().code, Code::ImageHash);
    }
}

#[test]
fn other_bytes_are_no_image() {
    let world = World::new();
    let directed = directed(&world, "P1");
    let own = ecu("P1", "pcu-a");
    let cases: [(&[u8], Code, Attack); 4] = [
        (b"pcX", Code::ImageHash, Attack::ArbitrarySoftware),
        (b"pc", Code::ImageHash, Attack::ArbitrarySoftware),
        (b"", Code::ImageHash, Attack::ArbitrarySoftware),
        (b"pcu and no end", Code::ImageTooLong, Attack::EndlessData),
    ];
    for (bytes, code, attack) in cases {
        let mut stream = directed.open_image(&own, None, world.now).unwrap();
        let result = stream.update(bytes);
        let reject = match result {
            Err(reject) => {
                assert_eq!(stream.finish().unwrap_err().code, code);
                reject
            }
            Ok(()) => stream.finish().unwrap_err(),
        };
        assert_eq!((reject.code, reject.attack()), (code, attack));
        assert_eq!(&*reject.repository, IMAGE);
        let mut stream = directed.open_download(world.now).unwrap();
        let reject = match stream.update(bytes) {
            Err(reject) => reject,
            Ok(()) => stream.finish().map(drop).unwrap_err(),
        };
        assert_eq!(reject.code, code);
    }
}

#[test]
fn an_image_passes_only_the_gate_of_its_ecu() {
    let world = World::new();
    let directed = directed(&world, "P1");
    let open = |number, kind| {
        let own = ecu(number, kind);
        directed.open_image(&own, None, world.now).unwrap_err().code
    };
    assert_eq!(open("S1", "pcu-a"), Code::EcuUnknown);
    assert_eq!(open("P1", "brake-b"), Code::HardwareMismatch);
}

#[test]
fn the_gate_compares_release_counters_once_more() {
    let world = World::new();
    let directed = directed(&world, "P1");
    let own = ecu("P1", "pcu-a");
    let installed = |path: &str, release_counter, content: &[u8]| Installed {
        hardware_id: hardware("pcu-a"),
        path: path.into(),
        release_counter,
        length: content.len() as u64,
        hashes: Hashes::of(content),
    };
    let open = |last: &Installed| directed.open_image(&own, Some(last), world.now);
    // Between the approval and the gate a newer one was installed.
    let reject = open(&installed("newer.img", 6, b"newer")).unwrap_err();
    assert_eq!(reject.code, Code::ReleaseCounterRollback);
    let reject = open(&installed("pcu.img", 5, b"other")).unwrap_err();
    assert_eq!(reject.code, Code::SameVersion);
    open(&installed("other.img", 5, b"other")).unwrap();
    open(&installed("pcu.img", 5, b"pcu")).unwrap();
    open(&installed("older.img", 4, b"older")).unwrap();
}

#[test]
fn metadata_that_expired_before_the_gate_opens_nothing() {
    let world = World::new();
    let directed = directed(&world, "P1");
    let late = directed.valid_until();
    let own = ecu("P1", "pcu-a");
    let refused = directed.open_image(&own, None, late).unwrap_err();
    assert_eq!(
        (refused.code, refused.attack()),
        (Code::Expired, Attack::Freeze)
    );
    assert_eq!(
        directed.open_download(late).unwrap_err().code,
        Code::Expired
    );
}

#[test]
fn metadata_that_expired_after_the_gate_activates_nothing() {
    let world = World::new();
    let directed = directed(&world, "P1");
    let own = ecu("P1", "pcu-a");
    let mut stream = directed.open_image(&own, None, world.now).unwrap();
    stream.update(b"pcu").unwrap();
    let image = stream.finish().unwrap();
    image.check_fresh(world.now).unwrap();
    let late = directed.valid_until();
    assert_eq!(image.check_fresh(late).unwrap_err().code, Code::Expired);
}

#[test]
fn of_an_encrypted_image_a_primary_checks_the_ciphertext_and_its_ecu_the_plaintext() {
    let world = encrypted();
    let directed = directed(&world, "S1");
    let (target, key) = directed.encryption().unwrap();
    assert_eq!((&*target.method, &key.enc[..]), ("some-method", &[1][..]));
    assert_eq!(directed.download().0, 6);
    let mut download = directed.open_download(world.now).unwrap();
    download.update(b"secret").unwrap();
    assert_eq!(
        download.finish().unwrap().directed().path().as_str(),
        "brake/fw.img"
    );
    let mut download = directed.open_download(world.now).unwrap();
    download.update(b"brake").unwrap();
    assert_eq!(download.finish().unwrap_err().code, Code::ImageHash);

    let own = ecu("S1", "brake-b");
    let mut image = directed.open_image(&own, None, world.now).unwrap();
    image.update(b"brake").unwrap();
    image.finish().unwrap();
    let mut image = directed.open_image(&own, None, world.now).unwrap();
    assert_eq!(
        image.update(b"secret").unwrap_err().code,
        Code::ImageTooLong
    );
}

#[test]
fn an_encrypted_image_needs_its_plaintext_in_the_image_repository() {
    let mut world = encrypted();
    world.image.targets("supplier").targets.clear();
    world.publish();
    let reject = world.primary().cycle(&world).unwrap_err();
    assert_eq!(reject.code, Code::TargetNotFound);
}

#[test]
fn an_image_is_fetched_under_its_hash_or_where_the_director_says() {
    let world = World::new();
    let hash = |bytes: &[u8]| {
        let digest = Hashes::of(bytes).sha256.unwrap();
        digest
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect::<String>()
    };
    let plain = directed(&world, "S1").origin().unwrap();
    let name = format!("brake/{}.fw.img", hash(b"brake"));
    assert_eq!(plain, Origin::Image(name));

    let secret = directed(&encrypted(), "S1").origin().unwrap();
    let name = format!("brake/{}.fw.img.enc", hash(b"secret"));
    assert_eq!(secret, Origin::Director(name));

    let mut world = World::new();
    let address = "https://cdn.example.com/one";
    world.directed("brake/fw.img", |custom| custom.uri = Some(address.into()));
    world.publish();
    let elsewhere = directed(&world, "S1").origin().unwrap();
    assert_eq!(elsewhere, Origin::Uri(address.into()));
}
