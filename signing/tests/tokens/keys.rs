//! Keys made in tokens, and signatures by them.

use std::collections::BTreeSet;
use std::fs;
use std::process::Command;

use countersign_metadata::Scheme;
use countersign_signing::{Algorithm, generate, open};
use cryptoki::object::{Attribute, AttributeType, ObjectClass};

use crate::harness::{Tokens, find, flag, signs, uri, with_tokens};

#[test]
fn every_algorithm() {
    with_tokens("keys::every_algorithm", |tokens: &Tokens| {
        tokens.add("root-1");
        for algorithm in Algorithm::ALL {
            let uri = uri(&format!("pkcs11:token=root-1;object={algorithm}"));
            let public = generate(&uri, algorithm, &tokens.secrets()).unwrap();
            assert_eq!(signs(&uri, &tokens.secrets()), public);
            let scheme = match algorithm {
                Algorithm::Ed25519 => Scheme::Ed25519,
                Algorithm::EcdsaP256 => Scheme::EcdsaP256,
                Algorithm::EcdsaP384 => Scheme::EcdsaP384,
                _ => Scheme::RsaPss,
            };
            assert_eq!(public.scheme(), scheme);
        }
    });
}

#[test]
fn keys_are_bound_to_their_token_and_to_signing() {
    let name = "keys::keys_are_bound_to_their_token_and_to_signing";
    with_tokens(name, |tokens: &Tokens| {
        tokens.add("root-1");
        for algorithm in [Algorithm::Ed25519, Algorithm::EcdsaP256, Algorithm::ALL[3]] {
            let uri = uri(&format!("pkcs11:object={algorithm};id=%01%FF"));
            let public = generate(&uri, algorithm, &tokens.secrets()).unwrap();
            let scheme = public.scheme();
            let session = tokens.raw_session("root-1");
            let label = Attribute::Label(algorithm.name().into());
            let wanted = [label, Attribute::Class(ObjectClass::PRIVATE_KEY)];
            let found = find(&session, &wanted);
            assert_eq!(found.len(), 1);
            for (attribute, expected) in [
                (AttributeType::Private, true),
                (AttributeType::Sensitive, true),
                (AttributeType::AlwaysSensitive, true),
                (AttributeType::Extractable, false),
                (AttributeType::NeverExtractable, true),
                (AttributeType::Local, true),
                (AttributeType::Sign, true),
                // There is no decryption with curves, so that flag says nothing about them.
                (AttributeType::Decrypt, scheme != Scheme::RsaPss),
                (AttributeType::Unwrap, false),
                (AttributeType::Derive, false),
            ] {
                let value = flag(&session, found[0], attribute);
                assert_eq!(value, expected, "{algorithm}: {attribute:?}");
            }
            let id = session
                .get_attributes(found[0], &[AttributeType::Id])
                .unwrap();
            assert_eq!(id, [Attribute::Id(vec![1, 0xff])]);
            for object in find(&session, &[Attribute::Id(vec![1, 0xff])]) {
                session.destroy_object(object).unwrap();
            }
        }
    });
}

/// A threshold of 2 of 3 with a token for each person.
#[test]
fn several_tokens_at_once() {
    with_tokens("keys::several_tokens_at_once", |tokens: &Tokens| {
        for label in ["root 1", "root 2", "root 3"] {
            tokens.add(label);
        }
        let mut signers = Vec::new();
        for (label, algorithm) in [
            ("root 1", Algorithm::Ed25519),
            ("root 2", Algorithm::EcdsaP384),
            (
                "root 3",
                Algorithm::Rsa(countersign_signing::RsaBits::B2048),
            ),
        ] {
            let label = label.replace(' ', "%20");
            let uri = uri(&format!("pkcs11:token={label};object=root"));
            generate(&uri, algorithm, &tokens.secrets()).unwrap();
            // Twice: two sessions with one token.
            signers.push(open(&uri, &tokens.secrets()).unwrap());
            signers.push(open(&uri, &tokens.secrets()).unwrap());
        }
        let ids: BTreeSet<_> = signers.iter().map(|signer| signer.keyid()).collect();
        assert_eq!(ids.len(), 3);
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
    });
}

#[test]
fn keys_by_label_by_id_and_by_both() {
    with_tokens(
        "keys::keys_by_label_by_id_and_by_both",
        |tokens: &Tokens| {
            tokens.add("root-1");
            let make =
                |text: &str| generate(&uri(text), Algorithm::Ed25519, &tokens.secrets()).unwrap();
            let first = make("pkcs11:object=a;id=%01");
            let second = make("pkcs11:object=b");
            let third = make("pkcs11:id=%00%03");
            for (text, public) in [
                ("pkcs11:object=a", &first),
                ("pkcs11:id=%01", &first),
                ("pkcs11:token=root-1;object=a;id=%01;type=private", &first),
                ("pkcs11:manufacturer=SoftHSM%20project;object=b", &second),
                ("pkcs11:id=%00%03", &third),
            ] {
                assert_eq!(&signs(&uri(text), &tokens.secrets()), public, "{text}");
            }
        },
    );
}

#[test]
fn openssl_verifies_what_tokens_sign() {
    with_tokens(
        "keys::openssl_verifies_what_tokens_sign",
        |tokens: &Tokens| {
            tokens.add("root-1");
            let message = "signed in a token";
            fs::write(tokens.dir.join("message"), message).unwrap();
            let pss = "-sigopt rsa_padding_mode:pss -sigopt rsa_pss_saltlen:32";
            for (algorithm, options) in [
                (Algorithm::EcdsaP256, "-sha256".to_owned()),
                (Algorithm::EcdsaP384, "-sha384".to_owned()),
                (Algorithm::ALL[3], format!("-sha256 {pss}")),
            ] {
                let uri = uri(&format!("pkcs11:token=root-1;object={algorithm}"));
                let public = generate(&uri, algorithm, &tokens.secrets()).unwrap();
                let signer = open(&uri, &tokens.secrets()).unwrap();
                let signature = signer.sign(message.as_bytes()).unwrap();
                fs::write(tokens.dir.join("signature"), signature).unwrap();
                fs::write(tokens.dir.join("public.pem"), public.to_text()).unwrap();
                let command =
                    format!("dgst -verify public.pem -signature signature {options} message");
                let output = Command::new("openssl")
                    .args(command.split_whitespace())
                    .current_dir(&tokens.dir)
                    .output()
                    .expect("openssl is needed for this test; on Debian: apt-get install openssl");
                assert!(output.status.success(), "{algorithm}: {output:?}");
            }
        },
    );
}
