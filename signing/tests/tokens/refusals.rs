//! Names that fit nothing or too much, and keys that must not be used.

use std::fs;
use std::os::unix::fs::symlink;

use countersign_signing::{Algorithm, Secrets, SignError, generate, open, public_key};
use cryptoki::mechanism::Mechanism;
use cryptoki::object::{Attribute, AttributeType, ObjectClass};

use crate::harness::{Tokens, find, module, refusal, says, signs, uri, with_tokens};

const P256: [u8; 10] = [6, 8, 0x2a, 0x86, 0x48, 0xce, 0x3d, 3, 1, 7];
const SECP256K1: [u8; 7] = [6, 5, 0x2b, 0x81, 4, 0, 10];

#[test]
fn modules() {
    with_tokens("refusals::modules", |tokens: &Tokens| {
        let key = uri("pkcs11:object=k");
        let none = Secrets::unattended(&tokens.dir).with("COUNTERSIGN_PKCS11_MODULE", "");
        says(
            &refusal(&key, &none),
            &[
                "no PKCS#11 module",
                "COUNTERSIGN_PKCS11_MODULE",
                "Installed here: /",
                module(),
            ],
        );
        for (path, reason) in [
            ("/nonexistent/libpkcs11.so", "apt-get install softhsm2"),
            ("text.so", "cannot use the PKCS#11 module"),
        ] {
            fs::write(tokens.dir.join("text.so"), "no library").unwrap();
            let secrets = none_with_module(tokens, path);
            says(&refusal(&key, &secrets), &[path, reason]);
        }
        // Two names for one library are one library, which is initialised once.
        tokens.add("root-1");
        symlink(module(), tokens.dir.join("link.so")).unwrap();
        let linked = uri("pkcs11:object=k?module-path=link.so");
        generate(&linked, Algorithm::Ed25519, &tokens.secrets()).unwrap();
        signs(&key, &tokens.secrets());
        signs(&linked, &tokens.secrets());
    });
}

fn none_with_module(tokens: &Tokens, path: &str) -> Secrets {
    Secrets::unattended(&tokens.dir).with("COUNTERSIGN_PKCS11_MODULE", path)
}

#[test]
fn no_token_at_all() {
    with_tokens("refusals::no_token_at_all", |tokens: &Tokens| {
        let error = refusal(&uri("pkcs11:object=k"), &tokens.secrets());
        assert!(matches!(error, SignError::NoToken { .. }));
        says(&error, &["there are no tokens"]);
    });
}

#[test]
fn tokens_that_are_missing_or_ambiguous() {
    let name = "refusals::tokens_that_are_missing_or_ambiguous";
    with_tokens(name, |tokens: &Tokens| {
        let secrets = tokens.secrets();
        for label in ["root-1", "twin", "twin"] {
            tokens.add(label);
        }
        let error = refusal(&uri("pkcs11:token=root-2;object=k"), &secrets);
        assert!(matches!(error, SignError::NoToken { .. }));
        says(
            &error,
            &[
                "token=root-2",
                "tokens seen",
                "\"root-1\"",
                "\"twin\"",
                "slot-id",
            ],
        );
        let error = refusal(&uri("pkcs11:slot-id=5;object=k"), &secrets);
        assert!(matches!(error, SignError::NoToken { .. }));

        let error = generate(
            &uri("pkcs11:token=twin;object=k"),
            Algorithm::Ed25519,
            &secrets,
        );
        let SignError::AmbiguousToken { seen, .. } = error.unwrap_err() else {
            panic!("not ambiguous");
        };
        let [first, second] = seen.as_slice() else {
            panic!("{seen:?}");
        };
        // What the error lists is enough to tell them apart.
        let between = |text: &str, start: &str, end: &str| {
            let at = text.find(start).unwrap() + start.len();
            text[at..].split(end).next().unwrap().to_owned()
        };
        let serial = between(first, "serial \"", "\"");
        let slot = between(second, "slot-id ", ")");
        for attribute in [format!("serial={serial}"), format!("slot-id={slot}")] {
            let key = uri(&format!("pkcs11:token=twin;{attribute};object=k"));
            generate(&key, Algorithm::Ed25519, &secrets).unwrap();
            signs(&key, &secrets);
        }
    });
}

#[test]
fn keys_that_are_missing_ambiguous_or_taken() {
    let name = "refusals::keys_that_are_missing_ambiguous_or_taken";
    with_tokens(name, |tokens: &Tokens| {
        tokens.add("root-1");
        let secrets = tokens.secrets();
        let error = refusal(&uri("pkcs11:object=k"), &secrets);
        assert!(matches!(error, SignError::NoKey { .. }));
        says(&error, &["there are no private keys"]);

        let key = uri("pkcs11:object=k;id=%01");
        generate(&key, Algorithm::Ed25519, &secrets).unwrap();
        for taken in [
            "pkcs11:object=k",
            "pkcs11:object=other;id=%01",
            "pkcs11:object=k;id=%02",
        ] {
            let error = generate(&uri(taken), Algorithm::Ed25519, &secrets).unwrap_err();
            assert!(
                matches!(error, SignError::KeyExists { .. }),
                "{taken}: {error}"
            );
        }
        says(
            &refusal(&uri("pkcs11:object=targets"), &secrets),
            &["no private key object=targets", "object=k;id=%01"],
        );

        // Other tools do not mind giving a label twice.
        let session = tokens.raw_session("root-1");
        make_pair(&session, "k", &P256, &[Attribute::Id(vec![2])]);
        let error = refusal(&uri("pkcs11:object=k"), &secrets);
        assert!(matches!(error, SignError::AmbiguousKey { .. }));
        says(&error, &["object=k;id=%01", "object=k;id=%02"]);
        signs(&key, &secrets);
    });
}

fn make_pair(session: &cryptoki::session::Session, label: &str, curve: &[u8], more: &[Attribute]) {
    let public = [
        Attribute::Token(true),
        Attribute::Verify(true),
        Attribute::Label(label.into()),
        Attribute::EcParams(curve.to_vec()),
    ];
    let private = [Attribute::Token(true), Attribute::Label(label.into())];
    let id = more.iter().filter(|more| matches!(more, Attribute::Id(_)));
    let public: Vec<_> = public.iter().chain(id).cloned().collect();
    let private: Vec<_> = private.iter().chain(more).cloned().collect();
    session
        .generate_key_pair(&Mechanism::EccKeyPairGen, &public, &private)
        .unwrap();
}

#[test]
fn keys_that_could_leave_their_token() {
    with_tokens(
        "refusals::keys_that_could_leave_their_token",
        |tokens: &Tokens| {
            tokens.add("root-1");
            let secrets = tokens.secrets();
            generate(&uri("pkcs11:object=good"), Algorithm::Ed25519, &secrets).unwrap();
            let session = tokens.raw_session("root-1");
            for (label, sensitive, extractable, fact) in [
                ("a", true, true, "CKA_EXTRACTABLE is true"),
                ("b", false, false, "CKA_SENSITIVE is false"),
            ] {
                make_pair(
                    &session,
                    label,
                    &P256,
                    &[
                        Attribute::Sign(true),
                        Attribute::Sensitive(sensitive),
                        Attribute::Extractable(extractable),
                    ],
                );
                let error = refusal(&uri(&format!("pkcs11:object={label}")), &secrets);
                assert!(matches!(error, SignError::Extractable { .. }), "{error}");
                says(&error, &[fact, "x-extractable=allow"]);
                signs(
                    &uri(&format!("pkcs11:object={label}?x-extractable=allow")),
                    &secrets,
                );
            }
        },
    );
}

#[test]
fn keys_of_the_wrong_kind() {
    with_tokens("refusals::keys_of_the_wrong_kind", |tokens: &Tokens| {
        tokens.add("root-1");
        let secrets = tokens.secrets();
        generate(&uri("pkcs11:object=good"), Algorithm::Ed25519, &secrets).unwrap();
        let session = tokens.raw_session("root-1");
        let bound = [Attribute::Sensitive(true), Attribute::Extractable(false)];
        let with = |sign| [&bound[..], &[Attribute::Sign(sign)]].concat();
        make_pair(&session, "koblitz", &SECP256K1, &with(true));
        make_pair(&session, "no-signing", &P256, &with(false));
        let public = [Attribute::Token(true), Attribute::ModulusBits(1024.into())];
        let private = [
            &with(true)[..],
            &[Attribute::Token(true), Attribute::Label(b"short".to_vec())],
        ]
        .concat();
        session
            .generate_key_pair(&Mechanism::RsaPkcsKeyPairGen, &public, &private)
            .unwrap();
        for (label, problem) in [
            ("koblitz", "neither P-256 nor P-384"),
            ("no-signing", "CKA_SIGN"),
            ("short", "2048 to 4096"),
        ] {
            let error = refusal(&uri(&format!("pkcs11:object={label}")), &secrets);
            assert!(matches!(error, SignError::WrongKey { .. }), "{error}");
            says(&error, &[label, problem]);
        }
    });
}

/// Public objects can be changed by whoever reaches the token, so they are not believed.
#[test]
fn a_public_key_that_belongs_to_another() {
    let name = "refusals::a_public_key_that_belongs_to_another";
    with_tokens(name, |tokens: &Tokens| {
        tokens.add("root-1");
        let secrets = tokens.secrets();
        let key = uri("pkcs11:object=k;id=%01");
        generate(&key, Algorithm::EcdsaP256, &secrets).unwrap();
        generate(
            &uri("pkcs11:object=evil;id=%02"),
            Algorithm::EcdsaP256,
            &secrets,
        )
        .unwrap();

        let session = tokens.raw_session("root-1");
        let public = |id| {
            [
                Attribute::Class(ObjectClass::PUBLIC_KEY),
                Attribute::Id(vec![id]),
            ]
        };
        let own = find(&session, &public(1))[0];
        let evil = find(&session, &public(2))[0];
        let wanted = [AttributeType::EcParams, AttributeType::EcPoint];
        let evil = session.get_attributes(evil, &wanted).unwrap();
        let forged = [
            &evil[..],
            &[
                Attribute::Class(ObjectClass::PUBLIC_KEY),
                Attribute::KeyType(cryptoki::object::KeyType::EC),
                Attribute::Token(true),
                Attribute::Private(false),
                Attribute::Id(vec![1]),
            ],
        ]
        .concat();
        session.create_object(&forged).unwrap();
        let error = refusal(&key, &secrets);
        assert!(matches!(error, SignError::AmbiguousKey { .. }), "{error}");

        session.destroy_object(own).unwrap();
        let error = public_key(&key, &secrets).unwrap_err();
        assert!(matches!(error, SignError::BadSignature { .. }), "{error}");
        let error = open(&key, &secrets).unwrap().sign(b"message").unwrap_err();
        assert!(matches!(error, SignError::BadSignature { .. }), "{error}");
        says(&error, &["object=k;id=%01", "root-1", "thrown away"]);

        session
            .destroy_object(find(&session, &public(1))[0])
            .unwrap();
        let error = refusal(&key, &secrets);
        says(&error, &["shows no public key", "same id"]);
    });
}
