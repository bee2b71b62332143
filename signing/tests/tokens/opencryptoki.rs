//! opencryptoki's soft token, by its slot: `cryptoki` cannot read what it says about itself.

use countersign_signing::{Algorithm, LogIn, PinTries, RsaBits, SignError, generate, open};
use cryptoki::context::Pkcs11;
use cryptoki::session::UserType;
use cryptoki::slot::Slot;
use cryptoki::types::AuthPin;

use crate::harness::{
    Tokens, init_token, listed, opencryptoki_module, raw, refusal, says, signs, uri,
    with_opencryptoki,
};

const SLOT: u64 = 3;

fn start() -> (Pkcs11, Slot) {
    let context = raw(opencryptoki_module());
    let slot = Slot::try_from(SLOT).unwrap();
    init_token(&context, slot, "soft");
    (context, slot)
}

#[test]
fn rsa_by_slot() {
    with_opencryptoki("opencryptoki::rsa_by_slot", |tokens: &Tokens| {
        start();
        let secrets = tokens.secrets_for(opencryptoki_module());
        let key = uri("pkcs11:slot-id=3;object=k");
        let public = generate(&key, Algorithm::Rsa(RsaBits::B2048), &secrets).unwrap();
        assert_eq!(signs(&key, &secrets), public);
        assert_eq!(open(&key, &secrets).unwrap().custody().weaknesses(), []);
        for algorithm in [Algorithm::Ed25519, Algorithm::EcdsaP256] {
            let key = uri("pkcs11:slot-id=3;object=other");
            let error = generate(&key, algorithm, &secrets).unwrap_err();
            assert!(matches!(error, SignError::NoMechanism { .. }), "{error}");
        }
        // A label that cannot be compared does not match.
        for text in [
            "pkcs11:token=soft;object=k",
            "pkcs11:slot-id=3;token=soft;object=k",
        ] {
            let error = refusal(&uri(text), &secrets);
            assert!(matches!(error, SignError::NoToken { .. }), "{error}");
            says(&error, &["slot-id=3 alone"]);
        }
        for slot in [None, Some(SLOT)] {
            let tokens = listed(opencryptoki_module(), slot, LogIn::Yes, &secrets);
            assert_eq!((tokens.len(), &tokens[0].problem), (1, &None));
            let key = &tokens[0].keys[0];
            assert_eq!((key.kind.as_str(), &key.unusable), ("RSA 2048", &None));
            assert_eq!(signs(&uri(&key.uri), &secrets), public);
        }
    });
}

/// Its warnings cannot be read, so all that protects it is that a wrong PIN is sent once.
#[test]
fn a_pin_that_is_locked_while_a_key_is_open() {
    let name = "opencryptoki::a_pin_that_is_locked_while_a_key_is_open";
    with_opencryptoki(name, |tokens: &Tokens| {
        let (context, slot) = start();
        let module = opencryptoki_module();
        let key = uri("pkcs11:slot-id=3;object=k");
        let wrong = tokens.secrets_for(module).with("COUNTERSIGN_PIN", "111111");
        assert!(matches!(refusal(&key, &wrong), SignError::WrongPin { .. }));
        assert!(matches!(
            refusal(&key, &wrong),
            SignError::PinNotTried { .. }
        ));

        let secrets = tokens.secrets_for(module);
        generate(&key, Algorithm::Rsa(RsaBits::B2048), &secrets).unwrap();
        let signer = open(&key, &secrets).unwrap();
        signer.sign(b"first").unwrap();

        // Somebody logs this process out and tries PINs until the token locks.
        let session = context.open_ro_session(slot).unwrap();
        session.logout().unwrap();
        for wrong in ["100001", "100002", "100003", "100004"] {
            let wrong = AuthPin::new(wrong.into());
            session.login(UserType::User, Some(&wrong)).unwrap_err();
        }
        let error = signer.sign(b"second").unwrap_err();
        assert!(matches!(error, SignError::TokenLost { .. }), "{error}");
        let error = refusal(&key, &secrets);
        let locked = PinTries::Locked;
        assert!(
            matches!(error, SignError::PinNotTried { tries, .. } if tries == locked),
            "{error}"
        );
        says(
            &error,
            &["locked", "security officer", "same command", "are kept"],
        );
    });
}
