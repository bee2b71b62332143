//! Connectors and devices that go away, come back, or say what they must not.

use std::net::TcpListener;

use countersign_signing::{Algorithm, KeyUri, SignError, Signer, YubiHsmError, generate, open};

use crate::connector::{Fate, FrontEnd};
use crate::harness::{Hsm, says, secrets, signs};

/// An answer to a message in a session that only a new session's start has. The `yubihsm` crate
/// panics on it if it is for the session that it has: 1, because the harness has 0.
const PANICS: [u8; 4] = [0x83, 0, 1, 1];
/// Error, one byte, INVALID_SESSION: what a device says that was plugged out and in.
const NO_SESSION: [u8; 4] = [0x7f, 0, 1, 0x03];

fn ready() -> (Hsm, FrontEnd, KeyUri, Box<dyn Signer>) {
    let (hsm, front) = Hsm::over_http();
    let uri = hsm.uri("id=1");
    generate(&uri, Algorithm::Ed25519, &secrets()).unwrap();
    let signer = open(&uri, &secrets()).unwrap();
    signer.sign(b"before").unwrap();
    (hsm, front, uri, signer)
}

#[track_caller]
fn no_answer(error: &SignError) {
    let expected = matches!(error, SignError::YubiHsm(YubiHsmError::NoAnswer { .. }));
    assert!(expected, "{error}");
    says(error, &["yubihsm-connector runs", "try again"]);
}

#[test]
fn nobody_listens() {
    let free = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = free.local_addr().unwrap();
    drop(free);
    let uri: KeyUri = format!("yubihsm:connector={address};id=1").parse().unwrap();
    let error = open(&uri, &secrets()).unwrap_err();
    no_answer(&error);
    says(&error, &[&address.to_string(), "cannot log in"]);
}

#[test]
fn a_connector_killed_while_it_signs() {
    let (_hsm, mut front, uri, signer) = ready();
    front.next([Fate::AnswerLost]);
    no_answer(&signer.sign(b"lost").unwrap_err());
    // Still down, for those who come now.
    no_answer(&open(&uri, &secrets()).unwrap_err());
    front.restart();
    // The signer comes back by itself, and the key opens again.
    signer.sign(b"after").unwrap();
    signs(&uri);
}

#[test]
fn a_connector_that_was_restarted_in_between_is_not_noticed() {
    let (_hsm, mut front, _, signer) = ready();
    front.kill();
    front.restart();
    signer.sign(b"after").unwrap();
}

#[test]
fn a_device_that_was_plugged_out_and_in_is_not_noticed() {
    let (_hsm, front, _, signer) = ready();
    front.next([Fate::Forged(NO_SESSION.into())]);
    signer.sign(b"after").unwrap();
}

#[test]
fn a_device_that_is_gone_behind_a_connector_that_runs() {
    let (_hsm, front, uri, signer) = ready();
    // An empty body, to the session and to the attempt at a new one.
    front.next([Fate::Forged(Vec::new()), Fate::Forged(Vec::new())]);
    no_answer(&signer.sign(b"lost").unwrap_err());
    signer.sign(b"after").unwrap();
    signs(&uri);
}

#[test]
fn hostile_answers_are_errors() {
    let (_hsm, front, uri, signer) = ready();
    let session = [0x85, 0, 9, 0, 1, 2, 3, 4, 5, 6, 7, 8];
    let long = vec![0xff; 70_000];
    for forged in [&PANICS[..], &NO_SESSION, &session, &[0x85], &[0; 3], &long] {
        // Both times: to the session that is there, and to the start of a new one.
        front.next([Fate::Forged(forged.into()), Fate::Forged(forged.into())]);
        no_answer(&signer.sign(b"forged").unwrap_err());
        front.forget();
        signer.sign(b"genuine").unwrap();
    }
    signs(&uri);
}

#[test]
fn a_key_whose_making_was_not_confirmed_is_not_made_again() {
    let (hsm, mut front, _, _) = ready();
    let uri = hsm.uri("id=2");
    // Two questions come before: is there such a key, and in which domains is the login.
    front.next([Fate::Answered, Fate::Answered, Fate::AnswerLost]);
    no_answer(&generate(&uri, Algorithm::Ed25519, &secrets()).unwrap_err());
    front.restart();
    let error = generate(&uri, Algorithm::Ed25519, &secrets()).unwrap_err();
    assert!(matches!(error, SignError::KeyExists { .. }), "{error}");
    signs(&uri);
}
