//! Keys for decryption in a real token.

use countersign_metadata::uptane::{EncryptionAlgorithm, EncryptionKey};
use countersign_signing::{
    Algorithm, DecryptionKey, LogIn, Secrets, SignError, generate, generate_decryption_key, open,
};
use cryptoki::mechanism::Mechanism;
use cryptoki::object::{Attribute, AttributeType, ObjectClass};
use cryptoki::session::Session;

use crate::harness::{PIN, Tokens, find, flag, listed, module, says, uri, with_tokens};

const P256: EncryptionAlgorithm = EncryptionAlgorithm::P256;

/// A key in a file to agree with: another implementation of the same function.
fn peer(tokens: &Tokens, name: &str) -> DecryptionKey {
    let file = uri(&format!("file:{name}.pem?encryption=none"));
    generate_decryption_key(&file, P256, &tokens.secrets()).unwrap();
    DecryptionKey::open(&file, &tokens.secrets()).unwrap()
}

#[track_caller]
fn refused(text: &str, secrets: &Secrets) -> SignError {
    DecryptionKey::open(&uri(text), secrets).unwrap_err()
}

#[test]
fn a_key_in_a_token_agrees_as_one_in_a_file() {
    let name = "decryption::a_key_in_a_token_agrees_as_one_in_a_file";
    with_tokens(name, |tokens: &Tokens| {
        tokens.add("ecu");
        let secrets = tokens.secrets();
        let key = uri("pkcs11:token=ecu;object=decrypt");
        let public = generate_decryption_key(&key, P256, &secrets).unwrap();
        let ours = DecryptionKey::open(&key, &secrets).unwrap();
        assert_eq!(ours.public_key(), &public);
        assert_eq!(ours.custody().weaknesses(), []);
        for number in 0..8 {
            let theirs = peer(tokens, &format!("peer{number}"));
            let secret = ours.agree(theirs.public_key()).unwrap();
            assert_eq!(secret.len(), 32);
            assert_eq!(secret, theirs.agree(&public).unwrap());
        }
        // Of what was agreed nothing stays in the token.
        let session = tokens.raw_session("ecu");
        assert!(find(&session, &[Attribute::Class(ObjectClass::SECRET_KEY)]).is_empty());
        let x25519 = EncryptionKey::x25519([9; 32]);
        says(&ours.agree(&x25519).unwrap_err(), &["another type"]);
        assert!(!format!("{ours:?}").contains(PIN));
    });
}

#[test]
fn a_generated_key_does_one_thing_and_stays() {
    let name = "decryption::a_generated_key_does_one_thing_and_stays";
    with_tokens(name, |tokens: &Tokens| {
        tokens.add("ecu");
        let key = uri("pkcs11:token=ecu;object=decrypt;id=%07");
        generate_decryption_key(&key, P256, &tokens.secrets()).unwrap();
        let session = tokens.raw_session("ecu");
        let private = find(&session, &[Attribute::Class(ObjectClass::PRIVATE_KEY)]);
        assert_eq!(private.len(), 1);
        for (attribute, expected) in [
            (AttributeType::Private, true),
            (AttributeType::Sensitive, true),
            (AttributeType::AlwaysSensitive, true),
            (AttributeType::Extractable, false),
            (AttributeType::NeverExtractable, true),
            (AttributeType::Derive, true),
            (AttributeType::Sign, false),
            (AttributeType::Unwrap, false),
        ] {
            let found = flag(&session, private[0], attribute);
            assert_eq!(found, expected, "{attribute:?}");
        }
        // Never a second one of that name, and none for signing either.
        for taken in ["object=decrypt", "object=other;id=%07"] {
            let taken = uri(&format!("pkcs11:token=ecu;{taken}"));
            let again = generate_decryption_key(&taken, P256, &tokens.secrets()).unwrap_err();
            assert!(matches!(again, SignError::KeyExists { .. }), "{again}");
            let again = generate(&taken, Algorithm::Ed25519, &tokens.secrets()).unwrap_err();
            assert!(matches!(again, SignError::KeyExists { .. }), "{again}");
        }
    });
}

#[test]
fn one_key_for_both_is_refused() {
    let name = "decryption::one_key_for_both_is_refused";
    with_tokens(name, |tokens: &Tokens| {
        tokens.add("ecu");
        let secrets = tokens.secrets();
        let sign = uri("pkcs11:token=ecu;object=sign");
        generate(&sign, Algorithm::EcdsaP256, &secrets).unwrap();
        let decrypt = uri("pkcs11:token=ecu;object=decrypt");
        generate_decryption_key(&decrypt, P256, &secrets).unwrap();
        let session = tokens.raw_session("ecu");
        pair(
            &session,
            "both",
            &[Attribute::Sign(true), Attribute::Derive(true)],
        );
        pair(
            &session,
            "neither",
            &[Attribute::Sign(false), Attribute::Derive(false)],
        );

        for (object, part) in [
            ("sign", "one key for both is refused"),
            ("both", "one key for both is refused"),
            ("neither", "CKA_DERIVE"),
        ] {
            let error = refused(&format!("pkcs11:token=ecu;object={object}"), &secrets);
            assert!(matches!(error, SignError::WrongKey { .. }), "{error}");
            says(&error, &[object, part]);
        }
        let error = open(&decrypt, &secrets).unwrap_err();
        assert!(matches!(error, SignError::WrongKey { .. }), "{error}");
        says(&error, &["object=decrypt", "made for decryption"]);

        let list = &listed(module(), None, LogIn::Yes, &secrets)[0];
        assert_eq!(list.problem, None);
        let key = |label| list.keys.iter().find(|key| key.label == label).unwrap();
        assert_eq!(key("sign").unusable, None);
        let unusable = key("decrypt").unusable.as_ref().unwrap();
        assert!(unusable.contains("made for decryption"), "{unusable}");
        assert_eq!(key("decrypt").kind, "ECDH P-256");
        assert_eq!(key("decrypt").custody.as_ref().unwrap().weaknesses(), []);
    });
}

/// What another tool may have made.
fn pair(session: &Session, label: &str, more: &[Attribute]) {
    const P256: [u8; 10] = [6, 8, 0x2a, 0x86, 0x48, 0xce, 0x3d, 3, 1, 7];
    let named = [
        Attribute::Token(true),
        Attribute::Label(label.into()),
        Attribute::Id(label.into()),
    ];
    let public = [&named[..], &[Attribute::EcParams(P256.into())]].concat();
    let bound = [Attribute::Sensitive(true), Attribute::Extractable(false)];
    let private = [&named[..], &bound, more].concat();
    session
        .generate_key_pair(&Mechanism::EccKeyPairGen, &public, &private)
        .unwrap();
}

#[test]
fn a_key_that_could_leave_its_token_is_refused() {
    let name = "decryption::a_key_that_could_leave_its_token_is_refused";
    with_tokens(name, |tokens: &Tokens| {
        tokens.add("ecu");
        let session = tokens.raw_session("ecu");
        let leaves = [
            Attribute::Sign(false),
            Attribute::Derive(true),
            Attribute::Extractable(true),
        ];
        pair(&session, "leaves", &leaves);
        let secrets = tokens.secrets();
        let error = refused("pkcs11:token=ecu;object=leaves", &secrets);
        assert!(matches!(error, SignError::Extractable { .. }), "{error}");
        let accepted = uri("pkcs11:token=ecu;object=leaves?x-extractable=allow");
        DecryptionKey::open(&accepted, &secrets).unwrap();
    });
}

#[test]
fn a_public_half_that_belongs_to_another_key_is_found() {
    let name = "decryption::a_public_half_that_belongs_to_another_key_is_found";
    with_tokens(name, |tokens: &Tokens| {
        tokens.add("ecu");
        let secrets = tokens.secrets();
        for object in ["a;id=%01", "b;id=%02"] {
            let key = uri(&format!("pkcs11:token=ecu;object={object}"));
            generate_decryption_key(&key, P256, &secrets).unwrap();
        }
        let session = tokens.raw_session("ecu");
        let public = |id: u8| {
            let wanted = [
                Attribute::Class(ObjectClass::PUBLIC_KEY),
                Attribute::Id(vec![id]),
            ];
            find(&session, &wanted)[0]
        };
        session.destroy_object(public(1)).unwrap();
        let moved = [Attribute::Id(vec![1])];
        session.update_attributes(public(2), &moved).unwrap();
        let error = refused("pkcs11:token=ecu;object=a", &secrets);
        assert!(matches!(error, SignError::BadAgreement { .. }), "{error}");
    });
}

#[test]
fn a_token_without_the_key_or_the_algorithm() {
    let name = "decryption::a_token_without_the_key_or_the_algorithm";
    with_tokens(name, |tokens: &Tokens| {
        tokens.add("ecu");
        let secrets = tokens.secrets();
        let missing = refused("pkcs11:token=ecu;object=decrypt", &secrets);
        assert!(matches!(missing, SignError::NoKey { .. }), "{missing}");
        let key = uri("pkcs11:token=ecu;object=decrypt");
        let error = generate_decryption_key(&key, EncryptionAlgorithm::X25519, &secrets);
        let error = error.unwrap_err();
        assert!(matches!(error, SignError::NoMechanism { .. }), "{error}");
        says(&error, &["P-256"]);
    });
}

#[test]
fn a_token_that_logs_out_is_lost_and_comes_back() {
    let name = "decryption::a_token_that_logs_out_is_lost_and_comes_back";
    with_tokens(name, |tokens: &Tokens| {
        tokens.add("ecu");
        let secrets = tokens.secrets();
        let key = uri("pkcs11:token=ecu;object=decrypt");
        let public = generate_decryption_key(&key, P256, &secrets).unwrap();
        let ours = DecryptionKey::open(&key, &secrets).unwrap();
        let theirs = peer(tokens, "peer");
        tokens.raw_session("ecu").logout().unwrap();
        let lost = ours.agree(theirs.public_key()).unwrap_err();
        assert!(matches!(lost, SignError::TokenLost { .. }), "{lost}");
        let again = DecryptionKey::open(&key, &secrets).unwrap();
        let secret = again.agree(theirs.public_key()).unwrap();
        assert_eq!(secret, theirs.agree(&public).unwrap());
    });
}
