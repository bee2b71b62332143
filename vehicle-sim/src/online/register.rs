//! Registering a vehicle with its Director: each ECU proves that it has its private keys.

use std::collections::BTreeMap;
use std::path::Path;

use countersign_client::fetch::{HttpFetcher, Method};
use countersign_director_domain::registration::{
    Challenge, Proof, Registration, answer, statement, vehicle_to_value, wrap_context,
};
use countersign_ecu_keys::ImageKey;
use countersign_metadata::canonical;
use countersign_signing::{DecryptionKey, Secrets};

use crate::error::SimError;
use crate::plan::{EcuPlan, Plan};
use crate::provision::MEMBERS_FILE;
use crate::records;

/// Bytes of a challenge that are read: 256 wrapped keys stay far below it.
const MAX_CHALLENGE_ANSWER: u64 = 1 << 20;

/// Bytes of what is said to a registration that are read.
const MAX_RECEIPT: u64 = 64 << 10;

/// What came of a registration.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Registered {
    /// The Director knows the vehicle from now on.
    New,
    /// It knew it, just so.
    Known,
    /// It takes effect when somebody approves it.
    AwaitsApproval,
}

impl Registered {
    /// The stable name, for scripts.
    pub fn name(self) -> &'static str {
        match self {
            Self::New => "new",
            Self::Known => "known",
            Self::AwaitsApproval => "awaits-approval",
        }
    }
}

/// Registers the vehicle in `folder` with the Director's service below `director_url`, over a
/// connection that shows the Primary's certificate.
///
/// # Errors
/// [`SimError::Fetch`] with the Director's words if it refuses, [`SimError::Registration`] if its
/// answer makes no sense, [`SimError::Encryption`] if an ECU cannot unwrap what was wrapped to it.
pub fn register(
    folder: &Path,
    http: &mut HttpFetcher,
    director_url: &str,
    secrets: &Secrets,
) -> Result<Registered, SimError> {
    let plan = Plan::read(folder)?;
    let vehicle = records::read(&folder.join(MEMBERS_FILE))?;
    let base = director_url.trim_end_matches('/');
    let wanted = canonical::encode(&vehicle_to_value(&vehicle));
    let wanted = canonical::to_json(&wanted);
    let url = format!("{base}/registration/challenge");
    let post = (Method::Post, url.as_str());
    let said = http.exchange(post, wanted.as_bytes(), MAX_CHALLENGE_ANSWER)?;
    let challenge = Challenge::parse(&said.body)?;

    let mut proofs = BTreeMap::new();
    for ecu in &plan.ecus {
        let known = vehicle.ecus.get(&ecu.serial);
        let known = known.ok_or_else(|| SimError::Plan {
            detail: format!("the Primary knows no key of ECU {}", ecu.serial),
        })?;
        let primary = &vehicle.primary;
        let said = statement(&plan.vin, &ecu.serial, primary, known, &challenge.text);
        let signer = countersign_signing::open(&ecu.signing, secrets)?;
        let proof = Proof {
            signature: signer.sign(&said)?,
            answer: unwrapped(&plan, ecu, &challenge, secrets)?,
        };
        proofs.insert(ecu.serial.clone(), proof);
    }
    let registration = Registration {
        vehicle,
        challenge: challenge.text,
        proofs,
    };
    let url = format!("{base}/registration");
    let post = (Method::Post, url.as_str());
    let said = http.exchange(post, registration.to_json().as_bytes(), MAX_RECEIPT)?;
    match said.status {
        201 => Ok(Registered::New),
        200 => Ok(Registered::Known),
        202 => Ok(Registered::AwaitsApproval),
        status => Err(SimError::Unexpected { url, status }),
    }
}

/// What shows that an ECU can use its decryption key; nothing if nothing was wrapped to it.
fn unwrapped(
    plan: &Plan,
    ecu: &EcuPlan,
    challenge: &Challenge,
    secrets: &Secrets,
) -> Result<Option<[u8; 32]>, SimError> {
    let Some(wrapped) = challenge.wrapped_keys.get(&ecu.serial) else {
        return Ok(None);
    };
    let context = wrap_context(&plan.vin, &ecu.serial, &challenge.text)?;
    let key = ImageKey(DecryptionKey::open(&ecu.decryption, secrets)?);
    let key = countersign_encryption::unwrap(wrapped, &context, &key)?;
    Ok(Some(answer(&key)))
}
