//! Keys made in a device, and signatures by them.

use countersign_signing::{Algorithm, Home, LogIn, Source, Weakness, generate, inventory, open};
use yubihsm::object::{Origin, Type};
use yubihsm::{Capability, Domain, asymmetric};

use crate::harness::{AUTHKEY, Hsm, secrets, signs, without_password};

/// What the mock can do.
const ALGORITHMS: [Algorithm; 2] = [Algorithm::Ed25519, Algorithm::EcdsaP256];

#[test]
fn every_algorithm_in_process_and_over_http() {
    let (http, _front) = Hsm::over_http();
    for hsm in [Hsm::in_process(), http] {
        for (id, algorithm) in (0x0102..).zip(ALGORITHMS) {
            let uri = hsm.uri(&format!("id={id};label={algorithm}"));
            let public = generate(&uri, algorithm, &secrets()).unwrap();
            assert_eq!(signs(&uri), public);
        }
    }
}

#[test]
fn straight_to_the_connector_of_the_crate() {
    let mut hsm = Hsm::in_process();
    hsm.address = crate::connector::serve(&hsm.device).to_string();
    let uri = hsm.uri("id=1");
    let public = generate(&uri, Algorithm::EcdsaP256, &secrets()).unwrap();
    assert_eq!(signs(&uri), public);
}

#[test]
fn keys_are_bound_to_their_device_and_to_signing() {
    let hsm = Hsm::in_process();
    for (id, algorithm) in (1..).zip(ALGORITHMS) {
        let uri = hsm.uri(&format!("id={id};label=root"));
        generate(&uri, algorithm, &secrets()).unwrap();
        let info = hsm.raw.get_object_info(id, Type::AsymmetricKey).unwrap();
        let only = match algorithm {
            Algorithm::Ed25519 => Capability::SIGN_EDDSA,
            _ => Capability::SIGN_ECDSA,
        };
        assert_eq!(info.capabilities, only);
        assert_eq!(info.domains, Domain::DOM1 | Domain::DOM2);
        assert_eq!(info.origin, Origin::Generated);
        assert_eq!(info.label.to_string(), "root");
        let custody = open(&uri, &secrets()).unwrap().custody();
        assert_eq!(custody.weaknesses(), []);
        let serial = "0123456789".into();
        assert_eq!(custody.home, Home::YubiHsm { serial });
    }
}

#[test]
fn ecdsa_signs_what_is_too_long_for_the_device() {
    let hsm = Hsm::in_process();
    let uri = hsm.uri("id=1");
    generate(&uri, Algorithm::EcdsaP256, &secrets()).unwrap();
    let signer = open(&uri, &secrets()).unwrap();
    let message = vec![1; 1_000_000];
    let signature = signer.sign(&message).unwrap();
    assert!(signer.public_key().verify(&message, &signature));
}

#[test]
fn several_keys_and_threads_at_once() {
    let (hsm, _front) = Hsm::over_http();
    let mut signers = Vec::new();
    for id in 1..=3 {
        let uri = hsm.uri(&format!("id={id}"));
        generate(&uri, ALGORITHMS[id % 2], &secrets()).unwrap();
        signers.push(open(&uri, &secrets()).unwrap());
    }
    std::thread::scope(|scope| {
        for (thread, signer) in signers.iter().chain(&signers).enumerate() {
            scope.spawn(move || {
                for round in 0..10 {
                    let message = format!("{thread} {round}");
                    let signature = signer.sign(message.as_bytes()).unwrap();
                    assert!(signer.public_key().verify(message.as_bytes(), &signature));
                }
            });
        }
    });
}

#[test]
fn the_inventory_names_every_key_and_its_custody() {
    let hsm = Hsm::in_process();
    let made = hsm.uri("id=2;label=made");
    let public = generate(&made, Algorithm::Ed25519, &secrets()).unwrap();
    let p256 = asymmetric::Algorithm::EcP256;
    let exportable = Capability::SIGN_ECDSA | Capability::EXPORTABLE_UNDER_WRAP;
    hsm.put(1, "put in", p256, exportable);
    hsm.put(
        3,
        "other",
        asymmetric::Algorithm::EcK256,
        Capability::SIGN_ECDSA,
    );
    hsm.put(4, "signs not", p256, Capability::DERIVE_ECDH);
    let source = |rest: &str| match hsm.uri(rest) {
        countersign_signing::KeyUri::YubiHsm(uri) => Source::YubiHsm(uri),
        other => panic!("{other:?}"),
    };
    let listings = inventory(&source("id=99"), LogIn::Yes, &secrets()).unwrap();
    let [listing] = listings.as_slice() else {
        panic!("{listings:?}");
    };
    assert!(listing.logged_in && listing.problem.is_none());
    let labels: Vec<_> = listing.keys.iter().map(|key| key.label.as_str()).collect();
    assert_eq!(labels, ["made", "other", "put in", "signs not"]);
    let [first, other, put_in, signs_not] = listing.keys.as_slice() else {
        panic!("{listing:?}");
    };
    assert_eq!(
        (first.kind.as_str(), &first.id[..]),
        ("Ed25519", &[0, 2][..])
    );
    assert_eq!(first.public.as_ref(), Some(&public));
    assert_eq!(first.custody.as_ref().unwrap().weaknesses(), []);
    // What it names is that key.
    let (address, authkey) = (&hsm.address, AUTHKEY);
    let expected = format!("yubihsm:connector={address};id=0x0002;authkey={authkey:#06x}");
    assert_eq!(first.uri, expected);
    assert_eq!(signs(&first.uri.parse().unwrap()), public);
    let weak = [Weakness::Extractable, Weakness::Imported];
    assert_eq!(put_in.custody.as_ref().unwrap().weaknesses(), weak);
    assert!(put_in.public.is_some() && put_in.unusable.is_none());
    for (key, reason) in [(other, "its type"), (signs_not, "capability to sign")] {
        assert!(key.unusable.as_ref().unwrap().contains(reason), "{key:?}");
        assert_eq!(key.public, None);
    }

    let listings = inventory(&source("id=99"), LogIn::No, &without_password()).unwrap();
    assert!(!listings[0].logged_in && listings[0].keys.is_empty());
    assert!(listings[0].problem.as_ref().unwrap().contains("login"));
}
