//! The current time, on the word of a time server that the Director's Root names (5.4.2.2,
//! 5.4.3.1).
//!
//! An attestation answers a nonce, so it cannot be replayed. What was once attested is a floor,
//! capped by the expiry of the Root it was accepted under, and forgotten when Root names other
//! time keys: a car that was told a far future by a stolen key recovers with the next Root.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use countersign_metadata::uptane::{Nonce, TimeAttestation};
use countersign_metadata::{Authority, Signed, UtcTime, sha256};

use crate::refresh::Followed;
use crate::reject::{Code, Reject};

const ROLE: &str = "time";

/// An attestation larger than this is not read: a thousand nonces and a few signatures.
const MAX_LEN: usize = 128 << 10;

/// The latest attested time, as it is kept from cycle to cycle.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TimeFloor {
    /// No earlier time will be believed.
    pub time: UtcTime,
    /// Which time keys said so: SHA-256 of the keys and the threshold.
    pub keys: [u8; 32],
}

/// A time that may be acted on, once its floor is durable.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Attested {
    /// The time.
    pub now: UtcTime,
    /// What to keep, durably, before anything is judged by `now`.
    pub floor: TimeFloor,
}

/// Judges the time: `attestation` has to be signed as the last Director Root says and to answer
/// `nonce`. `None` if this Root names no time server; then the time is whatever secure source the
/// device has of its own (5.4 asks for one).
///
/// # Errors
/// `time-unavailable` without an attestation; `time-replayed` if it does not answer the nonce;
/// `time-went-back`; what is wrong with the file or its signatures.
pub fn attested_time(
    followed: &Followed,
    attestation: Option<Vec<u8>>,
    nonce: &Nonce,
    floor: Option<&TimeFloor>,
) -> Result<Option<Attested>, Reject> {
    let Some(authority) = followed.time_server()? else {
        return Ok(None);
    };
    let refuse = |code, detail: String| Err(Reject::new(code, ROLE, detail));
    let Some(bytes) = attestation else {
        let detail = "the Director's Root asks for an attested time, and there is none";
        return refuse(Code::TimeUnavailable, detail.into());
    };
    if bytes.len() > MAX_LEN {
        let detail = format!("{} bytes, more than {MAX_LEN}", bytes.len());
        return refuse(Code::TooLarge, detail);
    }
    let attestation = Signed::<TimeAttestation>::parse(bytes)
        .and_then(|signed| signed.verify(&authority))
        .map_err(|error| Reject::metadata(ROLE, error))?;
    let attestation = attestation.content();
    if !attestation.nonces.contains(nonce) {
        let detail = "the attestation does not answer this ECU's nonce";
        return refuse(Code::TimeReplayed, detail.into());
    }
    let (now, keys) = (attestation.time, fingerprint(&authority));
    let floor = floor.filter(|floor| floor.keys == keys);
    if let Some(floor) = floor.filter(|floor| now < floor.time) {
        let detail = format!("{now} is attested, and {} was before", floor.time);
        return refuse(Code::TimeWentBack, detail);
    }
    let capped = now.min(followed.expires());
    let time = floor.map_or(capped, |floor| floor.time.max(capped));
    Ok(Some(Attested {
        now,
        floor: TimeFloor { time, keys },
    }))
}

/// The time for an update that is carried to a device without a network (PURE-2): nobody answers a
/// nonce there, so it is the latest that was attested under the keys that the last Root names. `None`
/// if this Root names no time server.
///
/// # Errors
/// `time-unavailable` if nothing was attested under these keys.
pub fn latest_attested(
    followed: &Followed,
    floor: Option<&TimeFloor>,
) -> Result<Option<UtcTime>, Reject> {
    let Some(authority) = followed.time_server()? else {
        return Ok(None);
    };
    let keys = fingerprint(&authority);
    match floor.filter(|floor| floor.keys == keys) {
        Some(floor) => Ok(Some(floor.time)),
        None => {
            let detail = "no time was attested to this ECU under the time keys of the Director's Root; \
                          it takes one update over the network before this one";
            Err(Reject::new(Code::TimeUnavailable, ROLE, detail))
        }
    }
}

/// Names a set of time keys with its threshold, whatever their order and ids.
fn fingerprint(authority: &Authority) -> [u8; 32] {
    let keys = authority.keys().map(|(_, key)| key.fingerprint());
    let keys: Vec<[u8; 32]> = keys.collect();
    let mut named = Vec::from(authority.threshold().to_be_bytes());
    let mut last = None;
    // From the least to the greatest, each once: these are a few, and sorting takes more code.
    while let Some(next) = keys
        .iter()
        .filter(|key| last.is_none_or(|last| last < *key))
        .min()
    {
        named.extend_from_slice(next);
        last = Some(next);
    }
    sha256(&named)
}
