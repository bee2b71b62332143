//! A process and a token directory for each test.
//!
//! SoftHSM reads SOFTHSM2_CONF once, when a process initialises it. So a test starts its own
//! executable again for itself alone, with that variable set.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use countersign_metadata::PublicKey;
use countersign_signing::{KeyUri, Secrets, SignError, open, public_key};
use cryptoki::context::Pkcs11;
use cryptoki::object::{Attribute, AttributeType, ObjectHandle};
use cryptoki::session::{Session, UserType};
use cryptoki::types::AuthPin;

pub(crate) const PIN: &str = "648219";
const CHILD: &str = "COUNTERSIGN_TEST_TOKENS";
const MODULES: [&str; 4] = [
    "/usr/lib/softhsm/libsofthsm2.so",
    "/usr/lib/x86_64-linux-gnu/softhsm/libsofthsm2.so",
    "/usr/lib/aarch64-linux-gnu/softhsm/libsofthsm2.so",
    "/usr/lib64/pkcs11/libsofthsm2.so",
];

/// Runs `body` in a process of its own. `name` is the test's path, as the test runner prints it.
pub(crate) fn with_tokens(name: &str, body: fn(&Tokens)) {
    if let Some(dir) = std::env::var_os(CHILD) {
        return body(&Tokens { dir: dir.into() });
    }
    let dir = tempfile::tempdir().unwrap();
    let tokens = dir.path().join("tokens");
    fs::create_dir(&tokens).unwrap();
    let config = dir.path().join("softhsm2.conf");
    let text = format!(
        "directories.tokendir = {}\nobjectstore.backend = file\nlog.level = ERROR\n",
        tokens.display()
    );
    fs::write(&config, text).unwrap();
    let output = Command::new(std::env::current_exe().unwrap())
        .args([name, "--exact", "--nocapture"])
        .env("SOFTHSM2_CONF", &config)
        .env(CHILD, dir.path())
        .env_remove("COUNTERSIGN_PIN")
        .env_remove("COUNTERSIGN_PKCS11_MODULE")
        .output()
        .unwrap();
    let (out, err) = (
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr),
    );
    assert!(output.status.success(), "{out}{err}");
    // A misspelt name would run no test and prove nothing.
    assert!(out.contains("1 passed"), "{name} is not a test: {out}");
}

/// The SoftHSM library. These tests are worth nothing without it, so they fail.
pub(crate) fn module() -> &'static str {
    MODULES
        .into_iter()
        .find(|path| Path::new(path).exists())
        .expect("these tests need SoftHSM; on Debian: apt-get install softhsm2")
}

pub(crate) struct Tokens {
    pub(crate) dir: PathBuf,
}

impl Tokens {
    /// Initialises a token.
    pub(crate) fn add(&self, label: &str) {
        let output = Command::new("softhsm2-util")
            .args(["--init-token", "--free", "--label", label])
            .args(["--so-pin", "87654321", "--pin", PIN])
            .output()
            .expect("these tests need softhsm2-util; on Debian: apt-get install softhsm2");
        assert!(output.status.success(), "{output:?}");
    }

    /// Module and PIN by variable.
    pub(crate) fn secrets(&self) -> Secrets {
        self.without_pin().with("COUNTERSIGN_PIN", PIN)
    }

    pub(crate) fn without_pin(&self) -> Secrets {
        Secrets::unattended(&self.dir).with("COUNTERSIGN_PKCS11_MODULE", module())
    }

    /// A session past our own code, for what only other tools would do to a token.
    pub(crate) fn raw_session(&self, label: &str) -> Session {
        // The library is initialised already; this is a second handle on it.
        let context = Pkcs11::new(module()).unwrap();
        let mut slots = context.get_slots_with_initialized_token().unwrap();
        slots.retain(|slot| context.get_token_info(*slot).unwrap().label() == label);
        assert_eq!(slots.len(), 1);
        let session = context.open_rw_session(slots[0]).unwrap();
        // Fails when logged in already, and what needs the login fails otherwise.
        let _ = session.login(UserType::User, Some(&AuthPin::new(PIN.into())));
        session
    }
}

pub(crate) fn uri(text: &str) -> KeyUri {
    text.parse().unwrap()
}

/// Opens a key, signs with it, checks the signature, and that a changed message is refused.
pub(crate) fn signs(uri: &KeyUri, secrets: &Secrets) -> PublicKey {
    let signer = open(uri, secrets).unwrap();
    let public = signer.public_key();
    for length in [0, 1, 65, 100_000] {
        let message = vec![b'm'; length];
        let signature = signer.sign(&message).unwrap();
        assert!(public.verify(&message, &signature));
        assert!(!public.verify(&[&message[..], b"!"].concat(), &signature));
    }
    assert_eq!(&public_key(uri, secrets).unwrap(), public);
    assert_eq!(signer.key().public().as_ref(), Some(public));
    public.clone()
}

pub(crate) fn refusal(uri: &KeyUri, secrets: &Secrets) -> SignError {
    open(uri, secrets).unwrap_err()
}

/// Asserts that an error's text has all these parts.
#[track_caller]
pub(crate) fn says(error: &SignError, parts: &[&str]) {
    let text = error.to_string();
    for part in parts {
        assert!(text.contains(part), "no {part:?} in: {text}");
    }
    assert!(!text.contains(PIN), "the PIN is in: {text}");
}

pub(crate) fn find(session: &Session, template: &[Attribute]) -> Vec<ObjectHandle> {
    session.find_objects(template).unwrap()
}

pub(crate) fn flag(session: &Session, key: ObjectHandle, flag: AttributeType) -> bool {
    match session.get_attributes(key, &[flag]).unwrap()[..] {
        [
            Attribute::Sensitive(value)
            | Attribute::Extractable(value)
            | Attribute::NeverExtractable(value)
            | Attribute::AlwaysSensitive(value)
            | Attribute::Local(value)
            | Attribute::Private(value)
            | Attribute::Sign(value)
            | Attribute::Decrypt(value)
            | Attribute::Unwrap(value)
            | Attribute::Derive(value),
        ] => value,
        ref other => panic!("{flag:?}: {other:?}"),
    }
}
