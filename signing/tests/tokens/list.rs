//! Lists of tokens and keys, and the URIs in them.

use std::collections::BTreeSet;
use std::os::unix::fs::symlink;

use countersign_signing::{
    Algorithm, Home, KeyUri, LogIn, SignError, Source, Weakness, generate, inventory,
};
use cryptoki::mechanism::Mechanism;
use cryptoki::object::Attribute;

use crate::harness::{Tokens, listed, module, raw, signs, uri, with_tokens};

const P256: [u8; 10] = [6, 8, 0x2a, 0x86, 0x48, 0xce, 0x3d, 3, 1, 7];

#[test]
fn every_uri_opens_its_key() {
    with_tokens("list::every_uri_opens_its_key", |tokens: &Tokens| {
        for label in ["root 1; a/b%?", "twin", "twin"] {
            tokens.add(label);
        }
        let secrets = tokens.secrets();
        let first = "pkcs11:token=root%201%3B%20a%2Fb%25%3F";
        for (key, algorithm) in [
            ("object=a%20%2F%3B", Algorithm::Ed25519),
            ("object=same;id=%01", Algorithm::EcdsaP256),
            ("id=%00%FF", Algorithm::EcdsaP384),
        ] {
            generate(&uri(&format!("{first};{key}")), algorithm, &secrets).unwrap();
        }
        let session = tokens.raw_session("root 1; a/b%?");
        pair(&session, b"same", &[2]);
        pair(&session, &[0xff, b'x'], &[3]);
        let twins = listed(module(), None, LogIn::No, &secrets);
        for twin in twins.iter().filter(|token| label(&token.home) == "twin") {
            let slot = twin.slot.unwrap();
            let key = uri(&format!("pkcs11:slot-id={slot};object=root"));
            generate(&key, Algorithm::Ed25519, &secrets).unwrap();
        }

        let tokens = listed(module(), None, LogIn::Yes, &secrets);
        let keys: Vec<_> = tokens.iter().flat_map(|token| &token.keys).collect();
        assert_eq!(keys.len(), 7);
        let mut seen = BTreeSet::new();
        for key in keys {
            assert_eq!(key.unusable, None, "{}", key.uri);
            let parsed: KeyUri = key.uri.parse().unwrap();
            assert_eq!(parsed.to_string(), key.uri);
            let public = signs(&parsed, &secrets);
            assert_eq!(Some(&public), key.public.as_ref(), "{}", key.uri);
            assert!(seen.insert(public.to_text()), "{} opens another", key.uri);
            assert_eq!(key.custody.as_ref().unwrap().weaknesses(), []);
        }
    });
}

/// A pair of keys bound to the token.
fn pair(session: &cryptoki::session::Session, label: &[u8], id: &[u8]) {
    let named = [
        Attribute::Token(true),
        Attribute::Label(label.into()),
        Attribute::Id(id.into()),
    ];
    let public = [Attribute::Verify(true), Attribute::EcParams(P256.into())];
    let private = [
        Attribute::Sign(true),
        Attribute::Sensitive(true),
        Attribute::Extractable(false),
    ];
    session
        .generate_key_pair(
            &Mechanism::EccKeyPairGen,
            &[&named[..], &public].concat(),
            &[&named[..], &private].concat(),
        )
        .unwrap();
}

fn label(home: &Home) -> &str {
    match home {
        Home::Token { label, .. } => label,
        other => panic!("{other}"),
    }
}

#[test]
fn what_is_wrong_with_a_key_is_said() {
    with_tokens(
        "list::what_is_wrong_with_a_key_is_said",
        |tokens: &Tokens| {
            tokens.add("root-1");
            let secrets = tokens.secrets();
            let session = tokens.raw_session("root-1");
            pair(&session, b"double", &[1]);
            pair(&session, b"double", &[1]);
            let rsa = |label: &str, bits: u64, more: &[Attribute]| {
                let named = [Attribute::Token(true), Attribute::Label(label.into())];
                let public = [&named[..], &[Attribute::ModulusBits(bits.into())]].concat();
                let private = [&named[..], &[Attribute::Sensitive(true)], more].concat();
                session
                    .generate_key_pair(&Mechanism::RsaPkcsKeyPairGen, &public, &private)
                    .unwrap()
            };
            let bound = Attribute::Extractable(false);
            rsa("short", 1024, &[Attribute::Sign(true), bound.clone()]);
            rsa("decrypts", 2048, &[Attribute::Sign(false), bound.clone()]);
            rsa(
                "leaves",
                2048,
                &[Attribute::Sign(true), Attribute::Extractable(true)],
            );
            let (_, once) = rsa(
                "once",
                2048,
                &[Attribute::Sign(true), Attribute::Extractable(true)],
            );
            session
                .update_attributes(once, std::slice::from_ref(&bound))
                .unwrap();
            let (_, lost) = rsa("public", 2048, &[Attribute::Sign(true), bound]);
            session.destroy_object(lost).unwrap();

            let tokens = listed(module(), None, LogIn::Yes, &secrets);
            let token = &tokens[0];
            assert_eq!((token.logged_in, &token.problem), (true, &None));
            let found: Vec<_> = token
                .keys
                .iter()
                .map(|key| {
                    (
                        key.label.as_str(),
                        key.kind.as_str(),
                        key.unusable.as_deref(),
                    )
                })
                .collect();
            let double = (
                "double",
                "ECDSA P-256",
                Some("another key has the same label and id"),
            );
            let expected = [
                double,
                double,
                (
                    "decrypts",
                    "RSA 2048",
                    Some("it is not made for signing (CKA_SIGN)"),
                ),
                (
                    "leaves",
                    "RSA 2048",
                    Some(
                        "it is not bound to its token (CKA_EXTRACTABLE is true); \
                     ?x-extractable=allow accepts that",
                    ),
                ),
                ("once", "RSA 2048", None),
                (
                    "public",
                    "RSA 2048",
                    Some("its private half is not in this token"),
                ),
                ("short", "RSA 1024", Some("RSA keys need 2048 to 4096 bits")),
            ];
            let sorted = |mut list: Vec<_>| {
                list.sort();
                list
            };
            assert_eq!(sorted(found), sorted(expected.to_vec()));
            // What could leave once is no better than what came from outside.
            let key = |label| token.keys.iter().find(|key| key.label == label).unwrap();
            let weaknesses = |label| key(label).custody.as_ref().unwrap().weaknesses();
            assert_eq!(weaknesses("once"), [Weakness::Imported]);
            assert_eq!(
                weaknesses("leaves"),
                [Weakness::Extractable, Weakness::Imported]
            );
            assert_eq!(key("public").custody, None);
        },
    );
}

#[test]
fn a_token_that_fails_does_not_hide_the_others() {
    let name = "list::a_token_that_fails_does_not_hide_the_others";
    with_tokens(name, |tokens: &Tokens| {
        for label in ["good", "no-pin", "wrong-pin"] {
            tokens.add(label);
        }
        let none = tokens.without_pin();
        let good = none.with("COUNTERSIGN_PIN_GOOD", crate::harness::PIN);
        generate(
            &uri("pkcs11:token=good;object=k"),
            Algorithm::Ed25519,
            &good,
        )
        .unwrap();
        let secrets = good.with("COUNTERSIGN_PIN_WRONG_PIN", "123123");
        let tokens = listed(module(), None, LogIn::Yes, &secrets);
        let problem = |wanted: &str| {
            let token = tokens.iter().find(|token| label(&token.home) == wanted);
            (
                token.unwrap().logged_in,
                token.unwrap().problem.clone().unwrap_or_default(),
            )
        };
        assert_eq!(problem("good"), (true, String::new()));
        for (label, part) in [
            ("no-pin", "COUNTERSIGN_PIN_NO_PIN"),
            ("wrong-pin", "refused the PIN"),
            // SoftHSM always has one slot more.
            ("", "not initialised"),
        ] {
            let (logged_in, text) = problem(label);
            assert!(!logged_in && text.contains(part), "{label}: {text}");
        }
        let slot = inventory(
            &Source::Pkcs11 {
                module: None,
                slot: Some(9_999),
            },
            LogIn::No,
            &secrets,
        );
        assert!(
            slot.unwrap()[0]
                .problem
                .as_ref()
                .unwrap()
                .contains("SlotIdInvalid")
        );
    });
}

#[test]
fn without_a_login_only_public_keys() {
    with_tokens(
        "list::without_a_login_only_public_keys",
        |tokens: &Tokens| {
            tokens.add("root-1");
            // Made by another program, so that this one is not logged in.
            let secrets = tokens.secrets();
            generate(&uri("pkcs11:object=k"), Algorithm::Ed25519, &secrets).unwrap();
            let context = raw(module());
            let slot = context.get_slots_with_initialized_token().unwrap()[0];
            context.open_ro_session(slot).unwrap().logout().unwrap();

            symlink(module(), tokens.dir.join("a link.so")).unwrap();
            let link = listed("a link.so", None, LogIn::No, &tokens.without_pin());
            let key = &link[0].keys[0];
            assert_eq!((link[0].logged_in, &link[0].problem), (false, &None));
            assert_eq!((&key.custody, &key.unusable), (&None, &None));
            // The library is in the URI as it was in the question, but from everywhere.
            let path = format!("module-path={}/a%20link.so", tokens.dir.display());
            assert!(key.uri.ends_with(&path), "{}", key.uri);
            assert_eq!(Some(signs(&uri(&key.uri), &secrets)), key.public);
        },
    );
}

#[test]
fn long_lists_are_cut_and_say_so() {
    with_tokens("list::long_lists_are_cut_and_say_so", |tokens: &Tokens| {
        tokens.add("full");
        let session = tokens.raw_session("full");
        for number in 0..129_u16 {
            // Public keys alone: they are quick to make.
            let object = [
                Attribute::Class(cryptoki::object::ObjectClass::PUBLIC_KEY),
                Attribute::KeyType(cryptoki::object::KeyType::RSA),
                Attribute::Token(true),
                Attribute::Private(false),
                Attribute::Id(number.to_be_bytes().to_vec()),
                Attribute::Modulus(vec![0xc5; 256]),
                Attribute::PublicExponent(vec![1, 0, 1]),
            ];
            session.create_object(&object).unwrap();
        }
        let listing = &listed(module(), None, LogIn::No, &tokens.secrets())[0];
        assert_eq!(listing.keys.len(), 128);
        assert!(listing.problem.as_ref().unwrap().contains("128 are listed"));
    });
}

#[test]
fn a_library_that_is_not_there() {
    with_tokens("list::a_library_that_is_not_there", |tokens: &Tokens| {
        let ask = |module: Option<&str>| {
            let module = module.map(Into::into);
            let source = Source::Pkcs11 { module, slot: None };
            let secrets = tokens.secrets().with("COUNTERSIGN_PKCS11_MODULE", "");
            inventory(&source, LogIn::No, &secrets).unwrap_err()
        };
        assert!(matches!(ask(None), SignError::NoModule { .. }));
        assert!(matches!(
            ask(Some("/nonexistent.so")),
            SignError::Module { .. }
        ));
    });
}
