//! Registering a vehicle: what its ECUs have to prove, and whether they did (Uptane 5.3.2.2).
//!
//! The Director and the vehicle go through the same functions: one makes what the other judges.
//! Every ECU signs a statement that names the vehicle and a challenge of the Director, so that a proof
//! is worth nothing in another vehicle or at another time. An encryption key signs nothing; whoever
//! has its private half can unwrap a key, and shows so by that key's digest.

mod body;

use std::collections::BTreeMap;

use countersign_encryption::{ContentKey, FileInfo, METHOD, WrapContext};
use countersign_metadata::json::Object;
use countersign_metadata::uptane::{EcuSerial, Vin};
use countersign_metadata::{Hashes, TargetPath, UnsafePath, canonical, sha256};

use crate::record::{EcuRecord, VehicleRecord};

pub use body::{BodyError, Challenge, MAX_CHALLENGE, MAX_SIGNATURE, Registration};
pub use body::{vehicle_of, vehicle_to_value};

/// The image name that keys are wrapped for: no image is listed without a release counter above 0.
const WRAPPED_FOR: &str = "countersign-registration";

/// What an ECU says to a challenge.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Proof {
    /// Its signature over the [`statement`].
    pub signature: Vec<u8>,
    /// The [`answer`], if it has an encryption key.
    pub answer: Option<[u8; 32]>,
}

/// Why a vehicle does not prove that its keys are its own. Nothing is registered then.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ProofError {
    /// An ECU says nothing.
    #[error("there is no proof of ECU {0}; every ECU of the vehicle has to sign the challenge")]
    Missing(EcuSerial),
    /// Somebody else says something.
    #[error("there is a proof of ECU {0}, which is not in the registration; leave it out")]
    UnknownEcu(EcuSerial),
    /// Another key has signed, or something else.
    #[error(
        "ECU {0} has not signed this challenge with the key that is to be registered; ask for a new \
         challenge and let it sign that"
    )]
    Signature(EcuSerial),
    /// It has an encryption key, and does not show that it can use it.
    #[error("ECU {0} has an encryption key, and has not unwrapped the key that was wrapped to it")]
    NoAnswer(EcuSerial),
    /// It has no encryption key to unwrap anything with.
    #[error("ECU {0} gives an answer, and has no encryption key in the registration; add the key")]
    NothingToAnswer(EcuSerial),
    /// It has unwrapped something else.
    #[error(
        "ECU {0} has not unwrapped the key that was wrapped to it; register the encryption key whose \
         private half it has"
    )]
    WrongAnswer(EcuSerial),
}

/// What an ECU signs: canonical JSON.
pub fn statement(
    vin: &Vin,
    serial: &EcuSerial,
    primary: &EcuSerial,
    ecu: &EcuRecord,
    challenge: &str,
) -> Vec<u8> {
    let mut members = body::ecu_members(ecu);
    members.extend(
        [
            ("_type", "ecu-registration"),
            ("vin", vin.as_str()),
            ("ecuSerial", serial.as_str()),
            ("primary", primary.as_str()),
            ("challenge", challenge),
        ]
        .map(|(name, text)| (name.to_owned(), text.into())),
    );
    canonical::encode(&members.into()).into_bytes()
}

/// What the key for an ECU's encryption key is wrapped in. It is the context of no image.
///
/// # Errors
/// None in practice: the name of the image is always the same, and a safe path.
pub fn wrap_context(
    vin: &Vin,
    serial: &EcuSerial,
    challenge: &str,
) -> Result<WrapContext, UnsafePath> {
    let challenge = FileInfo {
        length: challenge.len() as u64,
        hashes: Hashes {
            sha256: Some(sha256(challenge.as_bytes())),
            sha512: None,
            other: Object::new(),
        },
    };
    Ok(WrapContext {
        vin: vin.clone(),
        serial: serial.clone(),
        filename: TargetPath::new(WRAPPED_FOR)?,
        release_counter: 0,
        method: METHOD.into(),
        plaintext: challenge.clone(),
        ciphertext: challenge,
    })
}

/// What shows that an ECU has unwrapped `key`.
pub fn answer(key: &ContentKey) -> [u8; 32] {
    sha256(key.expose())
}

/// Judges the proofs of the ECUs of `vehicle`, which says of itself that it is `vin`. `expected_key`
/// gives what was wrapped to an ECU; it is asked for ECUs with an encryption key only.
///
/// That the challenge is the Director's, and not too old, is for the caller; so are the rules of
/// [`VehicleRecord::check`].
///
/// # Errors
/// [`ProofError`] for the first thing that is wrong.
pub fn check(
    vin: &Vin,
    vehicle: &VehicleRecord,
    challenge: &str,
    proofs: &BTreeMap<EcuSerial, Proof>,
    expected_key: impl Fn(&EcuSerial) -> ContentKey,
) -> Result<(), ProofError> {
    let mut named = proofs.keys();
    if let Some(serial) = named.find(|serial| !vehicle.ecus.contains_key(*serial)) {
        return Err(ProofError::UnknownEcu(serial.clone()));
    }
    for (serial, ecu) in &vehicle.ecus {
        let proof = proofs.get(serial);
        let proof = proof.ok_or_else(|| ProofError::Missing(serial.clone()))?;
        let said = statement(vin, serial, &vehicle.primary, ecu, challenge);
        let public = ecu.signing.public();
        if !public.is_some_and(|key| key.verify(&said, &proof.signature)) {
            return Err(ProofError::Signature(serial.clone()));
        }
        match (&ecu.encryption, &proof.answer) {
            (None, None) => (),
            (None, Some(_)) => return Err(ProofError::NothingToAnswer(serial.clone())),
            (Some(_), None) => return Err(ProofError::NoAnswer(serial.clone())),
            (Some(_), Some(given)) => {
                // Hashed once more, so that how long it takes to compare them tells nothing about
                // the answer.
                if sha256(given) != sha256(&answer(&expected_key(serial))) {
                    return Err(ProofError::WrongAnswer(serial.clone()));
                }
            }
        }
    }
    Ok(())
}
