//! Sessions that end in the middle of signing, and going on after that.

use std::fs;

use countersign_signing::{Algorithm, KeyUri, SignError, Signer, generate, open};

use crate::harness::{Tokens, module, raw, refusal, says, signs, uri, with_tokens};

/// A key in a new token, open and used once.
fn opened(tokens: &Tokens) -> (KeyUri, Box<dyn Signer>) {
    tokens.add("root-1");
    let key = uri("pkcs11:token=root-1;object=k");
    generate(&key, Algorithm::EcdsaP256, &tokens.secrets()).unwrap();
    let signer = open(&key, &tokens.secrets()).unwrap();
    signer.sign(b"first").unwrap();
    (key, signer)
}

#[track_caller]
fn is_lost(signer: &dyn Signer) {
    let error = signer.sign(b"second").unwrap_err();
    assert!(matches!(error, SignError::TokenLost { .. }), "{error}");
    says(
        &error,
        &["\"root-1\"", "same command", "already made are kept"],
    );
}

#[test]
fn a_session_that_was_closed() {
    with_tokens("loss::a_session_that_was_closed", |tokens: &Tokens| {
        let (key, signer) = opened(tokens);
        let other = open(&key, &tokens.secrets()).unwrap();
        // Ends all sessions, as the removal of a token does.
        raw(module()).finalize().unwrap();
        is_lost(&*signer);
        raw(module());
        is_lost(&*signer);
        // The login is made anew, so the PIN is needed again.
        let error = refusal(&key, &tokens.without_pin());
        assert!(matches!(error, SignError::NoPin { .. }), "{error}");
        signs(&key, &tokens.secrets());
        // Numbers of dead sessions are not used again.
        is_lost(&*signer);
        is_lost(&*other);
        let again = open(&key, &tokens.secrets()).unwrap();
        drop((signer, other));
        again.sign(b"second").unwrap();
    });
}

#[test]
fn a_login_that_was_ended() {
    with_tokens("loss::a_login_that_was_ended", |tokens: &Tokens| {
        let (key, signer) = opened(tokens);
        let context = raw(module());
        let slot = context.get_slots_with_initialized_token().unwrap()[0];
        context.open_ro_session(slot).unwrap().logout().unwrap();
        is_lost(&*signer);
        let error = refusal(&key, &tokens.without_pin());
        assert!(matches!(error, SignError::NoPin { .. }), "{error}");
        signs(&key, &tokens.secrets());
    });
}

#[test]
fn a_token_that_was_removed() {
    with_tokens("loss::a_token_that_was_removed", |tokens: &Tokens| {
        let (key, signer) = opened(tokens);
        let folder = tokens.dir.join("tokens");
        let away = tokens.dir.join("away");
        fs::rename(&folder, &away).unwrap();
        is_lost(&*signer);
        refusal(&key, &tokens.secrets());
        fs::rename(&away, &folder).unwrap();
        // SoftHSM looks for tokens when it starts. So this is the same command, run again.
        raw(module()).finalize().unwrap();
        raw(module());
        signs(&key, &tokens.secrets());
    });
}
