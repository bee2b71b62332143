//! tpm2-pkcs11 on swtpm.

use countersign_metadata::uptane::EncryptionAlgorithm;
use countersign_signing::{
    Algorithm, LogIn, PinTries, RsaBits, SignError, generate, generate_decryption_key, open,
};
use cryptoki::session::UserType;
use cryptoki::slot::Slot;
use cryptoki::types::AuthPin;

use crate::harness::{
    Tokens, Tpm, init_token, listed, raw, refusal, says, signs, tpm_module, uri, with_tpm,
};

/// A TPM with an initialised token.
fn start(tokens: &Tokens) -> (Tpm, Slot) {
    let tpm = Tpm::start(&tokens.dir);
    let context = raw(tpm_module());
    let slot = context.get_all_slots().unwrap()[0];
    init_token(&context, slot, "tpm");
    (tpm, slot)
}

#[test]
fn p256() {
    with_tpm("tpm::p256", |tokens| {
        makes_and_lists(tokens, Algorithm::EcdsaP256)
    });
}

#[test]
fn p384() {
    with_tpm("tpm::p384", |tokens| {
        makes_and_lists(tokens, Algorithm::EcdsaP384)
    });
}

/// One key at a time: a TPM has room for three objects, and nothing swaps them here.
fn makes_and_lists(tokens: &Tokens, algorithm: Algorithm) {
    let _tpm = start(tokens);
    let secrets = tokens.secrets_for(tpm_module());
    let key = uri("pkcs11:token=tpm;object=k;id=%01%FE");
    let public = generate(&key, algorithm, &secrets).unwrap();
    assert_eq!(signs(&key, &secrets), public);
    assert_eq!(open(&key, &secrets).unwrap().custody().weaknesses(), []);
    let error = generate(&key, algorithm, &secrets).unwrap_err();
    assert!(matches!(error, SignError::KeyExists { .. }), "{error}");

    let tokens = listed(tpm_module(), None, LogIn::Yes, &secrets);
    let [token, free] = &tokens[..] else {
        panic!("{tokens:?}");
    };
    assert!(free.problem.as_ref().unwrap().contains("not initialised"));
    assert_eq!((&token.problem, token.logged_in), (&None, true));
    let [found] = &token.keys[..] else {
        panic!("{token:?}");
    };
    assert_eq!((&found.unusable, &found.id[..]), (&None, &[1, 0xfe][..]));
    assert_eq!(signs(&uri(&found.uri), &secrets), public);
}

/// It has no CKM_EDDSA, no CKM_ECDH1_DERIVE, and RSA only with the padding that metadata does not use.
#[test]
fn other_keys_are_not_made() {
    with_tpm("tpm::other_keys_are_not_made", |tokens: &Tokens| {
        let _tpm = start(tokens);
        let secrets = tokens.secrets_for(tpm_module());
        for algorithm in [Algorithm::Ed25519, Algorithm::Rsa(RsaBits::B2048)] {
            let key = uri("pkcs11:token=tpm;object=k");
            let error = generate(&key, algorithm, &secrets).unwrap_err();
            assert!(matches!(error, SignError::NoMechanism { .. }), "{error}");
        }
        // TPMs agree on secrets, but this library does not offer it.
        let key = uri("pkcs11:token=tpm;object=decrypt");
        let error = generate_decryption_key(&key, EncryptionAlgorithm::P256, &secrets).unwrap_err();
        assert!(matches!(error, SignError::NoMechanism { .. }), "{error}");
        says(&error, &["CKM_ECDH1_DERIVE"]);
        let left = &listed(tpm_module(), None, LogIn::Yes, &secrets)[0];
        assert_eq!(
            (left.logged_in, &left.problem, left.keys.len()),
            (true, &None, 0)
        );
    });
}

#[test]
fn a_tpm_that_goes_away_and_comes_back() {
    let name = "tpm::a_tpm_that_goes_away_and_comes_back";
    with_tpm(name, |tokens: &Tokens| {
        let (tpm, _) = start(tokens);
        let secrets = tokens.secrets_for(tpm_module());
        let key = uri("pkcs11:token=tpm;object=k");
        generate(&key, Algorithm::EcdsaP256, &secrets).unwrap();
        let signer = open(&key, &secrets).unwrap();
        signer.sign(b"first").unwrap();
        drop(tpm);
        for _ in 0..2 {
            let error = signer.sign(b"second").unwrap_err();
            assert!(matches!(error, SignError::TokenLost { .. }), "{error}");
            says(
                &error,
                &["\"tpm\"", "same command", "already made are kept"],
            );
        }
        refusal(&key, &secrets);

        let _tpm = Tpm::start(&tokens.dir);
        // The library is of no use any more. So this is the same command, run again.
        raw(tpm_module()).finalize().unwrap();
        raw(tpm_module());
        assert_eq!(&signs(&key, &secrets), signer.public_key());
        // What was lost stays lost, rather than using another's session.
        signer.sign(b"third").unwrap_err();
    });
}

/// The TPM counts wrong PINs itself and locks, without any of PKCS#11's warnings before.
#[test]
fn a_locked_pin() {
    with_tpm("tpm::a_locked_pin", |tokens: &Tokens| {
        let (_tpm, slot) = start(tokens);
        let context = raw(tpm_module());
        let session = context.open_rw_session(slot).unwrap();
        for wrong in 0..8 {
            let wrong = AuthPin::new(format!("{wrong}0000000").into());
            session.login(UserType::User, Some(&wrong)).unwrap_err();
        }
        drop(session);
        let key = uri("pkcs11:token=tpm;object=k");
        let error = refusal(&key, &tokens.secrets_for(tpm_module()));
        let locked = PinTries::Locked;
        assert!(
            matches!(error, SignError::PinNotTried { tries, .. } if tries == locked),
            "{error}"
        );
        says(&error, &["locked", "security officer", "same command"]);
    });
}
