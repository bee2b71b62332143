//! What a device brings: the key for reports, and what only it knows of itself.

use std::ffi::{c_char, c_void};

use countersign_client::clock::system_time;
use countersign_client::uptane::keys::{EcuSigner, KeyError};
use countersign_client::uptane::secondary::{Health, Host};
use countersign_metadata::{Key, UtcTime, json};
use countersign_verifier::Reject;

use crate::handles::misuse;
use crate::uptane::parsed;

/// A signature has at most so many bytes: RSA of 4096 bits has 512.
const MAX_SIGNATURE: usize = 1024;

/// The key that signs an ECU's reports, wherever it lives (Uptane 5.4.1). It is used on the thread of
/// whichever call needs it, one at a time.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub struct countersign_signer {
    /// Handed to `sign`.
    pub user: *mut c_void,
    /// The public key as JSON, as metadata has it: {"keytype", "scheme", "keyval"}.
    pub public_key: *const c_char,
    /// Signs `message`: Ed25519 in 64 bytes, ECDSA in DER, RSA-PSS. Writes to `signature`, which has room
    /// for `*signature_len` bytes, and sets `*signature_len`. 0 if that went well.
    pub sign: Option<
        unsafe extern "C-unwind" fn(
            user: *mut c_void,
            message: *const u8,
            message_len: usize,
            signature: *mut u8,
            signature_len: *mut usize,
        ) -> i32,
    >,
}

/// Whether an image works.
#[repr(i32)]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum countersign_health {
    /// It does, and is confirmed.
    COUNTERSIGN_HEALTH_WORKS = 0,
    /// It does not, and the one before it comes back.
    COUNTERSIGN_HEALTH_FAILS = 1,
    /// That will show.
    COUNTERSIGN_HEALTH_UNKNOWN = 2,
}

/// What only the device knows of itself. A function that is NULL says: the system's clock, ready, works.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub struct countersign_host {
    /// Handed to the functions.
    pub user: *mut c_void,
    /// The time of a secure source of the device's own, in seconds since 1970-01-01T00:00:00Z, or INT64_MIN
    /// if there is none. It is asked only where the Director's Root names no time server.
    pub time: Option<unsafe extern "C-unwind" fn(user: *mut c_void) -> i64>,
    /// Whether an image may be installed now (Uptane 5.4.3.5): the vehicle stands, the battery is full.
    /// Otherwise the image stays staged, and the next cycle asks again.
    pub may_install: Option<unsafe extern "C-unwind" fn(user: *mut c_void) -> bool>,
    /// Whether the image that runs on trial works: a countersign_health. Any other number says that it
    /// fails.
    pub health: Option<unsafe extern "C-unwind" fn(user: *mut c_void) -> i32>,
}

/// A signing key behind a callback.
pub(crate) struct OwnSigner {
    key: Key,
    user: *mut c_void,
    sign: unsafe extern "C-unwind" fn(*mut c_void, *const u8, usize, *mut u8, *mut usize) -> i32,
}

// SAFETY: the header says that it is used on the thread of whichever call needs it, one at a time.
unsafe impl Send for OwnSigner {}

impl OwnSigner {
    pub(crate) fn of(signer: &countersign_signer) -> Result<Self, Reject> {
        let key = parsed(signer.public_key, "signer->public_key", |text| {
            Key::of(&json::parse(text.as_bytes())?)
        })?;
        if key.public().is_none() {
            return Err(misuse("signer->public_key is of no known type".into()));
        }
        let sign = signer.sign;
        Ok(Self {
            key,
            user: signer.user,
            sign: sign.ok_or_else(|| misuse("signer->sign is NULL".into()))?,
        })
    }
}

impl EcuSigner for OwnSigner {
    fn key(&self) -> &Key {
        &self.key
    }

    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, KeyError> {
        let mut signature = vec![0; MAX_SIGNATURE];
        let mut len = signature.len();
        // SAFETY: C has given this function for this purpose; the places are ours.
        let status = unsafe {
            let (bytes, bytes_len) = (message.as_ptr(), message.len());
            (self.sign)(
                self.user,
                bytes,
                bytes_len,
                signature.as_mut_ptr(),
                &mut len,
            )
        };
        if status != 0 || len > signature.len() {
            return Err(KeyError(format!("the callback returned {status}")));
        }
        signature.truncate(len);
        Ok(signature)
    }
}

/// A device behind callbacks.
pub(super) struct OwnHost(pub(super) countersign_host);

// SAFETY: as for `OwnSigner`.
unsafe impl Send for OwnHost {}

impl Host for OwnHost {
    fn time(&mut self) -> Option<UtcTime> {
        match self.0.time {
            // SAFETY: C has given this function for this purpose.
            Some(time) => UtcTime::from_unix(unsafe { time(self.0.user) }),
            None => system_time(),
        }
    }

    fn may_install(&mut self) -> Result<(), String> {
        let may = match self.0.may_install {
            // SAFETY: as above.
            Some(may_install) => unsafe { may_install(self.0.user) },
            None => true,
        };
        match may {
            true => Ok(()),
            false => Err("the device says that it is not ready".into()),
        }
    }

    fn health(&mut self) -> Health {
        // SAFETY: as above.
        let health = self.0.health.map(|health| unsafe { health(self.0.user) });
        match health {
            None => Health::Works,
            Some(number) if number == countersign_health::COUNTERSIGN_HEALTH_WORKS as i32 => {
                Health::Works
            }
            Some(number) if number == countersign_health::COUNTERSIGN_HEALTH_UNKNOWN as i32 => {
                Health::Unknown
            }
            Some(number) => Health::Fails(format!("the device says that it fails ({number})")),
        }
    }
}

/// A device with nothing to say.
pub(super) struct System;

impl Host for System {
    fn time(&mut self) -> Option<UtcTime> {
        system_time()
    }

    fn may_install(&mut self) -> Result<(), String> {
        Ok(())
    }

    fn health(&mut self) -> Health {
        Health::Works
    }
}
