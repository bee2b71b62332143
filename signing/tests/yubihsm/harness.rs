//! A device with an authentication key of its own, in process or behind a connector.

use std::sync::atomic::{AtomicU32, Ordering};

use countersign_metadata::PublicKey;
use countersign_signing::{KeyUri, Secrets, SignError, open, public_key, yubihsm_mock};
use yubihsm::connector::Connector;
use yubihsm::object::Label;
use yubihsm::{Capability, Client, Credentials, Domain, asymmetric, authentication};

use crate::connector::FrontEnd;

pub(crate) const PASSWORD: &str = "a long password of this test";
/// The authentication key that has it. Key 1 has the password of every new device.
pub(crate) const AUTHKEY: u16 = 10;

pub(crate) struct Hsm {
    pub(crate) address: String,
    /// Past our own code, for what only other tools would do to a device.
    pub(crate) raw: Client,
    pub(crate) device: Connector,
}

impl Hsm {
    /// A device without a connector.
    pub(crate) fn in_process() -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(1);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let hsm = Self::new(format!("mock-{number}.invalid:1"));
        yubihsm_mock::install(&hsm.address, hsm.device.clone());
        hsm
    }

    /// A device behind its connector.
    pub(crate) fn over_http() -> (Self, FrontEnd) {
        let mut hsm = Self::new(String::new());
        let front = FrontEnd::start(&hsm.device);
        hsm.address = front.address.to_string();
        (hsm, front)
    }

    fn new(address: String) -> Self {
        let device = Connector::mockhsm();
        let raw = Client::open(device.clone(), Credentials::default(), true).unwrap();
        let every = Capability::all();
        raw.put_authentication_key(
            AUTHKEY,
            label("signers"),
            Domain::DOM1 | Domain::DOM2,
            every,
            every,
            authentication::Algorithm::YubicoAes,
            authentication::Key::derive_from_password(PASSWORD.as_bytes()),
        )
        .unwrap();
        Self {
            address,
            raw,
            device,
        }
    }

    /// The key `rest`, as in `id=5;label=x`.
    pub(crate) fn uri(&self, rest: &str) -> KeyUri {
        let text = format!(
            "yubihsm:connector={};authkey={AUTHKEY};{rest}",
            self.address
        );
        text.parse().unwrap()
    }

    /// A key that another tool made or put into the device.
    pub(crate) fn put(&self, id: u16, name: &str, kind: asymmetric::Algorithm, can: Capability) {
        let domain = Domain::DOM1;
        self.raw
            .put_asymmetric_key(id, label(name), domain, can, kind, [7; 32])
            .unwrap();
    }
}

pub(crate) fn label(text: &str) -> Label {
    Label::from_bytes(text.as_bytes()).unwrap()
}

pub(crate) fn secrets() -> Secrets {
    without_password().with("COUNTERSIGN_PIN", PASSWORD)
}

/// Nothing out of the environment of whoever runs the tests.
pub(crate) fn without_password() -> Secrets {
    Secrets::unattended("/nonexistent")
        .with("COUNTERSIGN_PIN", "")
        .with(format!("COUNTERSIGN_PIN_YUBIHSM_{AUTHKEY}"), "")
}

/// Opens a key, signs with it, checks the signatures, and that changed messages are refused.
pub(crate) fn signs(uri: &KeyUri) -> PublicKey {
    let signer = open(uri, &secrets()).unwrap();
    let public = signer.public_key();
    for length in [0, 1, 65, 2026] {
        let message = vec![b'm'; length];
        let signature = signer.sign(&message).unwrap();
        assert!(public.verify(&message, &signature));
        assert!(!public.verify(&[&message[..], b"!"].concat(), &signature));
    }
    assert_eq!(&public_key(uri, &secrets()).unwrap(), public);
    public.clone()
}

pub(crate) fn refusal(uri: &KeyUri) -> SignError {
    open(uri, &secrets()).unwrap_err()
}

/// Asserts that an error's text has all these parts.
#[track_caller]
pub(crate) fn says(error: &SignError, parts: &[&str]) {
    let text = error.to_string();
    for part in parts {
        assert!(text.contains(part), "no {part:?} in: {text}");
    }
    assert!(!text.contains(PASSWORD), "the password is in: {text}");
}
