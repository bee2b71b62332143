//! Passwords: where they come from, that the factory's is refused, and that a wrong one is sent
//! once.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt as _;

use countersign_signing::{Algorithm, KeyUri, Secrets, SignError, YubiHsmError, generate, open};

use crate::connector::Fate;
use crate::harness::{AUTHKEY, Hsm, PASSWORD, says, secrets, without_password};

fn make(uri: &KeyUri, secrets: &Secrets) -> Result<(), SignError> {
    generate(uri, Algorithm::Ed25519, secrets).map(drop)
}

#[test]
fn sources_of_the_password() {
    let by_serial = "COUNTERSIGN_PIN_YUBIHSM_0123456789";
    let by_key = format!("COUNTERSIGN_PIN_YUBIHSM_{AUTHKEY}");
    for (rest, variable) in [
        ("id=1", "COUNTERSIGN_PIN"),
        ("id=1", by_key.as_str()),
        ("id=1;serial=123456789", by_serial),
    ] {
        // One device for each source: once logged in, no password is asked for.
        let hsm = Hsm::in_process();
        let wrong = without_password().with("COUNTERSIGN_PIN", "not this one");
        let wrong = match variable == by_serial {
            true => wrong.with(&by_key, "nor this one"),
            false => wrong,
        };
        make(&hsm.uri(rest), &wrong.with(variable, PASSWORD)).unwrap();
        open(&hsm.uri(rest), &without_password()).unwrap();
    }
    let hsm = Hsm::in_process();
    let error = make(&hsm.uri("id=1"), &without_password()).unwrap_err();
    assert!(matches!(error, SignError::NoPin { .. }), "{error}");
    says(&error, &[&by_key, "COUNTERSIGN_PIN", "pin-source=file:"]);
    assert!(!error.to_string().contains(by_serial));
}

#[test]
fn password_files() {
    let hsm = Hsm::in_process();
    let dir = tempfile::tempdir().unwrap();
    let secrets = Secrets::unattended(dir.path()).with("COUNTERSIGN_PIN", "not this one");
    let uri = hsm.uri("id=1?pin-source=file:password");
    says(&make(&uri, &secrets).unwrap_err(), &["cannot read"]);
    let file = dir.path().join("password");
    fs::write(&file, format!("{PASSWORD}\n")).unwrap();
    fs::set_permissions(&file, Permissions::from_mode(0o644)).unwrap();
    says(&make(&uri, &secrets).unwrap_err(), &["chmod 600"]);
    fs::set_permissions(&file, Permissions::from_mode(0o600)).unwrap();
    make(&uri, &secrets).unwrap();
}

#[test]
fn a_wrong_password_is_sent_once() {
    let (hsm, front) = Hsm::over_http();
    let uri = hsm.uri("id=1");
    let wrong = without_password().with("COUNTERSIGN_PIN", "wrong password");
    let error = make(&uri, &wrong).unwrap_err();
    says(&error, &["0x000a", "COUNTERSIGN_PIN", "password is wrong"]);
    // Were anything sent, this would be the answer.
    front.next([Fate::Forged(vec![0])]);
    let error = make(&uri, &wrong).unwrap_err();
    let expected = YubiHsmError::NotTried {
        connector: hsm.address.clone(),
        authkey: AUTHKEY,
    };
    assert!(matches!(&error, SignError::YubiHsm(found) if *found == expected));
    says(&error, &["correct the password"]);
    // It was not sent indeed: the answer is still there, for the next who asks.
    says(&make(&uri, &secrets()).unwrap_err(), &["cannot log in"]);
    make(&uri, &secrets()).unwrap();
}

#[test]
fn the_factory_password_is_refused_unless_allowed() {
    let hsm = Hsm::in_process();
    let secrets = Secrets::unattended("/nonexistent").with("COUNTERSIGN_PIN_YUBIHSM_1", "password");
    let uri = |query: &str| -> KeyUri {
        let text = format!("yubihsm:connector={};id=1{query}", hsm.address);
        text.parse().unwrap()
    };
    let error = make(&uri(""), &secrets).unwrap_err();
    says(&error, &["every new YubiHSM", "x-default-password=allow"]);
    make(&uri("?x-default-password=allow"), &secrets).unwrap();
}

#[test]
fn an_authentication_key_that_is_not_there() {
    let (hsm, front) = Hsm::over_http();
    // The mock panics where a device answers: error, one byte, OBJECT_NOT_FOUND.
    front.next([Fate::Forged(vec![0x7f, 0, 1, 0x0b])]);
    let error = make(&hsm.uri("id=1"), &secrets()).unwrap_err();
    says(&error, &["0x000a", "no authentication key of that id"]);
}

#[test]
fn all_sessions_taken() {
    let (hsm, front) = Hsm::over_http();
    front.next([Fate::Forged(vec![0x7f, 0, 1, 0x05])]);
    let error = make(&hsm.uri("id=1"), &secrets()).unwrap_err();
    says(&error, &["sessions full", "30 seconds"]);
    make(&hsm.uri("id=1"), &secrets()).unwrap();
}

#[test]
fn another_device_than_the_one_named() {
    let hsm = Hsm::in_process();
    let error = make(&hsm.uri("id=1;serial=0000000042"), &secrets()).unwrap_err();
    says(&error, &["serial 0123456789", "not serial 0000000042"]);
}
