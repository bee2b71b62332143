//! Keys that want their PIN for every signature (CKA_ALWAYS_AUTHENTICATE), as YubiKeys have.

use countersign_signing::{
    Algorithm, KeyUri, LogIn, PinTries, SignError, generate, open, public_key,
};
use cryptoki::mechanism::Mechanism;
use cryptoki::object::Attribute;
use cryptoki::session::Session;
use cryptoki::types::AuthPin;

use crate::harness::{PIN, Tokens, listed, module, refusal, says, signs, uri, with_tokens};

const P256: [u8; 10] = [6, 8, 0x2a, 0x86, 0x48, 0xce, 0x3d, 3, 1, 7];

/// Makes such a key, as other tools do.
fn make(session: &Session, label: &str, mechanism: &Mechanism<'_>, parameter: Attribute) {
    let public = [
        Attribute::Token(true),
        Attribute::Verify(true),
        Attribute::Label(label.into()),
        parameter,
    ];
    let private = [
        Attribute::Token(true),
        Attribute::Sign(true),
        Attribute::Sensitive(true),
        Attribute::Extractable(false),
        Attribute::AlwaysAuthenticate(true),
        Attribute::Label(label.into()),
    ];
    session
        .generate_key_pair(mechanism, &public, &private)
        .unwrap();
}

/// A token with an RSA key that wants its PIN for every signature.
fn rsa(tokens: &Tokens) -> (KeyUri, Session) {
    tokens.add("piv");
    generate(
        &uri("pkcs11:token=piv;object=plain"),
        Algorithm::EcdsaP256,
        &tokens.secrets(),
    )
    .unwrap();
    let session = tokens.raw_session("piv");
    let bits = Attribute::ModulusBits(2048.into());
    make(&session, "9c", &Mechanism::RsaPkcsKeyPairGen, bits);
    (uri("pkcs11:token=piv;object=9c"), session)
}

#[test]
fn the_pin_is_given_for_each_signature() {
    let name = "per_signature::the_pin_is_given_for_each_signature";
    with_tokens(name, |tokens: &Tokens| {
        let (key, _session) = rsa(tokens);
        let secrets = tokens.secrets();
        let public = signs(&key, &secrets);
        assert_eq!(public_key(&key, &secrets).unwrap(), public);
        // Being logged in is not enough.
        let error = refusal(&key, &tokens.without_pin());
        assert!(matches!(error, SignError::NoPin { .. }), "{error}");

        let tokens = listed(module(), None, LogIn::Yes, &secrets);
        let keys = tokens.iter().flat_map(|token| &token.keys);
        let usable: Vec<_> = keys
            .map(|key| (key.label.as_str(), &key.unusable))
            .collect();
        assert_eq!(usable, [("9c", &None), ("plain", &None)]);
    });
}

#[test]
fn a_wrong_pin_is_sent_once() {
    with_tokens(
        "per_signature::a_wrong_pin_is_sent_once",
        |tokens: &Tokens| {
            let (key, session) = rsa(tokens);
            let signer = open(&key, &tokens.secrets()).unwrap();
            signer.sign(b"first").unwrap();
            session
                .set_pin(&AuthPin::new(PIN.into()), &AuthPin::new("135790".into()))
                .unwrap();
            let error = signer.sign(b"second").unwrap_err();
            assert!(matches!(error, SignError::WrongPin { .. }), "{error}");
            says(&error, &["\"piv\"", "COUNTERSIGN_PIN"]);
            for _ in 0..2 {
                let error = signer.sign(b"second").unwrap_err();
                let same = PinTries::SamePin;
                assert!(matches!(error, SignError::PinNotTried { tries, .. } if tries == same));
            }
            let again = open(&key, &tokens.secrets()).unwrap();
            assert!(matches!(
                again.sign(b"second"),
                Err(SignError::PinNotTried { .. })
            ));
            signs(&key, &tokens.secrets().with("COUNTERSIGN_PIN", "135790"));
            // The other keys of the token were not disturbed.
            signs(&uri("pkcs11:token=piv;object=plain"), &tokens.secrets());
        },
    );
}

#[test]
fn curves_need_a_token_that_hashes() {
    let name = "per_signature::curves_need_a_token_that_hashes";
    with_tokens(name, |tokens: &Tokens| {
        let (_, session) = rsa(tokens);
        let curve = Attribute::EcParams(P256.into());
        make(&session, "ec", &Mechanism::EccKeyPairGen, curve);
        let error = refusal(&uri("pkcs11:token=piv;object=ec"), &tokens.secrets());
        assert!(matches!(error, SignError::NoMechanism { .. }), "{error}");
        says(&error, &["CKM_ECDSA_SHA256", "every signature"]);
    });
}
