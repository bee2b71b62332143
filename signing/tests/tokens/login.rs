//! PINs: where they come from, and that a wrong one is sent once.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt as _;

use countersign_signing::{Algorithm, PinTries, SignError, generate};

use crate::harness::{PIN, Tokens, refusal, says, signs, uri, with_tokens};

#[test]
fn sources_of_the_pin() {
    with_tokens("login::sources_of_the_pin", |tokens: &Tokens| {
        // One token for each source: once logged in, no PIN is asked for. All before the library
        // starts: SoftHSM looks for tokens once.
        for label in ["by-variable", "by-label", "by-file", "no-pin"] {
            tokens.add(label);
        }
        let make = |label: &str| uri(&format!("pkcs11:token={label};object=k"));
        let key = make("by-variable");
        let secrets = tokens.without_pin().with("COUNTERSIGN_PIN", PIN);
        generate(&key, Algorithm::Ed25519, &secrets).unwrap();
        // Logged in now, so that no PIN is needed any more.
        signs(&key, &tokens.without_pin());

        let key = make("by-label");
        let secrets = tokens
            .without_pin()
            .with("COUNTERSIGN_PIN", "not this one")
            .with("COUNTERSIGN_PIN_BY_LABEL", PIN);
        generate(&key, Algorithm::Ed25519, &secrets).unwrap();

        let key = uri("pkcs11:token=by-file;object=k?pin-source=file:pin");
        let secrets = tokens.without_pin().with("COUNTERSIGN_PIN", "not this one");
        says(
            &generate(&key, Algorithm::Ed25519, &secrets).unwrap_err(),
            &["cannot read", "pin"],
        );
        let file = tokens.dir.join("pin");
        fs::write(&file, format!("{PIN}\n")).unwrap();
        fs::set_permissions(&file, Permissions::from_mode(0o644)).unwrap();
        says(
            &generate(&key, Algorithm::Ed25519, &secrets).unwrap_err(),
            &["can be read by others", "chmod 600"],
        );
        fs::set_permissions(&file, Permissions::from_mode(0o600)).unwrap();
        generate(&key, Algorithm::Ed25519, &secrets).unwrap();

        let error = refusal(&make("no-pin"), &tokens.without_pin());
        assert!(matches!(error, SignError::NoPin { .. }));
        says(
            &error,
            &[
                "COUNTERSIGN_PIN_NO_PIN or COUNTERSIGN_PIN",
                "pin-source=file:",
            ],
        );
    });
}

#[test]
fn a_wrong_pin_is_sent_once() {
    with_tokens("login::a_wrong_pin_is_sent_once", |tokens: &Tokens| {
        tokens.add("root-1");
        let key = uri("pkcs11:token=root-1;object=k");
        let wrong = tokens.without_pin().with("COUNTERSIGN_PIN", "1234567");
        let error = refusal(&key, &wrong);
        assert!(matches!(error, SignError::WrongPin { .. }), "{error}");
        says(&error, &["root-1", "COUNTERSIGN_PIN", "may lock"]);
        assert!(!error.to_string().contains("1234567"));

        let error = refusal(&key, &wrong);
        let same = PinTries::SamePin;
        assert!(matches!(error, SignError::PinNotTried { tries, .. } if tries == same));
        let error = generate(&key, Algorithm::Ed25519, &wrong).unwrap_err();
        assert!(matches!(error, SignError::PinNotTried { tries, .. } if tries == same));

        // Another PIN is another attempt, and the right one ends the matter.
        let other = tokens.without_pin().with("COUNTERSIGN_PIN", "7654321");
        assert!(matches!(refusal(&key, &other), SignError::WrongPin { .. }));
        generate(&key, Algorithm::Ed25519, &tokens.secrets()).unwrap();
        signs(&key, &tokens.secrets());
    });
}
