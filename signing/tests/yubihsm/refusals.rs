//! Keys that are not used, and keys that are not made.

use countersign_signing::{Algorithm, RsaBits, SignError, generate, open};
use yubihsm::object::Type;
use yubihsm::{Capability, Domain, asymmetric, opaque};

use crate::harness::{Hsm, label, refusal, says, secrets, signs};

const P256: asymmetric::Algorithm = asymmetric::Algorithm::EcP256;

#[test]
fn an_id_that_is_not_there_lists_those_that_are() {
    let hsm = Hsm::in_process();
    let error = refusal(&hsm.uri("id=7"));
    says(&error, &["id=0x0007", "there are no private keys"]);
    hsm.put(0x0102, "root a", P256, Capability::SIGN_ECDSA);
    let error = refusal(&hsm.uri("id=7"));
    says(&error, &["id=0x0102", "\"root a\"", "ECDSA P-256"]);
}

#[test]
fn an_object_of_another_type() {
    let hsm = Hsm::in_process();
    hsm.raw
        .put_opaque(
            7,
            label("x"),
            Domain::DOM1,
            Capability::empty(),
            opaque::Algorithm::Data,
            b"data".to_vec(),
        )
        .unwrap();
    let error = refusal(&hsm.uri("id=7"));
    assert!(matches!(error, SignError::NoKey { .. }));
    says(&error, &["id=0x0007", "of type opaque"]);
}

#[test]
fn keys_that_cannot_sign_metadata() {
    let hsm = Hsm::in_process();
    hsm.put(
        1,
        "k",
        asymmetric::Algorithm::EcK256,
        Capability::SIGN_ECDSA,
    );
    says(
        &refusal(&hsm.uri("id=1")),
        &["id=0x0001", "its type is EcK256"],
    );
    hsm.put(2, "k", P256, Capability::DERIVE_ECDH);
    says(&refusal(&hsm.uri("id=2")), &["capability to sign"]);
    // That of the other algorithm is none.
    hsm.put(3, "k", P256, Capability::SIGN_EDDSA);
    says(&refusal(&hsm.uri("id=3")), &["capability to sign"]);
    let error = refusal(&hsm.uri("id=3;label=other"));
    says(&error, &["its label is \"k\""]);
}

#[test]
fn keys_that_can_be_exported() {
    let hsm = Hsm::in_process();
    let exportable = Capability::SIGN_ECDSA | Capability::EXPORTABLE_UNDER_WRAP;
    hsm.put(1, "k", P256, exportable);
    let uri = hsm.uri("id=1");
    let error = refusal(&uri);
    says(&error, &["exportable-under-wrap", "x-extractable=allow"]);
    signs(&hsm.uri("id=1?x-extractable=allow"));
    let custody = open(&uri.allowing_extractable(), &secrets())
        .unwrap()
        .custody();
    assert_eq!(custody.extractable, Some(true));
    assert_eq!(custody.made_inside, Some(false));
}

#[test]
fn an_existing_key_is_never_overwritten() {
    let hsm = Hsm::in_process();
    let uri = hsm.uri("id=1;label=first");
    let public = generate(&uri, Algorithm::Ed25519, &secrets()).unwrap();
    for text in ["id=1", "id=1;label=second"] {
        let error = generate(&hsm.uri(text), Algorithm::EcdsaP256, &secrets()).unwrap_err();
        assert!(matches!(error, SignError::KeyExists { .. }), "{error}");
        says(&error, &["id=0x0001", "already"]);
    }
    assert_eq!(signs(&uri), public);
}

#[test]
fn rsa_is_sent_elsewhere_before_anything_is_asked() {
    let hsm = Hsm::in_process();
    let algorithm = Algorithm::Rsa(RsaBits::B3072);
    let error = generate(&hsm.uri("id=1"), algorithm, &secrets()).unwrap_err();
    says(&error, &["PKCS#11", "module-path="]);
    let made = hsm.raw.get_object_info(1, Type::AsymmetricKey);
    assert!(made.is_err());
}

#[test]
fn more_than_an_ed25519_message() {
    let hsm = Hsm::in_process();
    let uri = hsm.uri("id=1");
    generate(&uri, Algorithm::Ed25519, &secrets()).unwrap();
    let signer = open(&uri, &secrets()).unwrap();
    signer.sign(&[0; 2026]).unwrap();
    let error = signer.sign(&[0; 2027]).unwrap_err();
    says(&error, &["2027 bytes", "2026 bytes", "ecdsa-p256"]);
    // Nothing happened to the session.
    signer.sign(b"short").unwrap();
}
