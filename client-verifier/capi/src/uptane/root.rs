//! The end of a chain of Roots, and the time on the word of whom it names.

use countersign_metadata::Role;
use countersign_metadata::uptane::{Nonce, time_server};
use countersign_verifier::uptane::{TimeFloor, attested_time, latest_attested};
use countersign_verifier::{Followed, Reject};

use crate::boundary::{countersign_status, guard, items, look, release, time, value_place};
use crate::context::unix;
use crate::error::countersign_error;
use crate::handles::{get, handles, misuse};

/// The last Root of a chain. It may have expired: the session that goes on from it judges that.
/// It never changes, and any number of threads may read it.
pub struct countersign_root {
    _opaque: u8,
}

handles! {
    countersign_root = FollowedObject, "a root";
}

pub(crate) struct FollowedObject(pub(crate) Followed);

/// The latest attested time, as it is kept from cycle to cycle. All zero for none.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub struct countersign_time_floor {
    /// 1 if there is one, otherwise 0. Anything else is refused: it was damaged where it was kept.
    pub is_set: u8,
    /// No earlier time will be believed: seconds since 1970-01-01T00:00:00Z.
    pub time: i64,
    /// Names the keys that said so. Not secret; keep it with the time.
    pub keys: [u8; 32],
}

impl countersign_time_floor {
    fn of(floor: TimeFloor) -> Self {
        Self {
            is_set: 1,
            time: unix(floor.time),
            keys: floor.keys,
        }
    }

    fn to_floor(self) -> Result<Option<TimeFloor>, Reject> {
        match self.is_set {
            0 => Ok(None),
            1 => Ok(Some(TimeFloor {
                time: time(self.time, "floor->time")?,
                keys: self.keys,
            })),
            _ => Err(misuse("floor->is_set is neither 0 nor 1".into())),
        }
    }
}

/// The Root's version. 0 for what is no handle.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn countersign_root_version(root: *const countersign_root) -> u64 {
    look(0, || Ok(get(root)?.0.root().content().version()))
}

/// When it expires, in seconds since 1970-01-01T00:00:00Z. INT64_MIN for what is no handle.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn countersign_root_expires(root: *const countersign_root) -> i64 {
    look(i64::MIN, || {
        Ok(unix(get(root)?.0.root().content().expires()))
    })
}

/// Whether it names a time server: then countersign_root_attested_time is asked for the time, and no
/// clock of the device (Uptane 5.4.2.2). False for what is no handle.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn countersign_root_names_time_server(root: *const countersign_root) -> bool {
    look(false, || {
        let root = get(root)?;
        Ok(!matches!(time_server(root.0.root().content()), Ok(None)))
    })
}

/// Judges an attestation of the time: it has to be signed as this Root says, to answer `nonce` (16
/// random bytes of one use), and not to go behind `floor`.
///
/// `attestation` may be NULL, if there is none. `floor` is what you kept; it is replaced, and has to
/// be durable before anything is judged by `now`. `now` gets seconds since 1970-01-01T00:00:00Z, and
/// `attested` whether it comes from the attestation: if the Root names no time server it is false, and
/// `now` is INT64_MIN, which no session takes: ask a secure clock.
///
/// Refuses with COUNTERSIGN_TIME_UNAVAILABLE, COUNTERSIGN_TIME_REPLAYED,
/// COUNTERSIGN_TIME_WENT_BACK, and for what is wrong with the file.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn countersign_root_attested_time(
    root: *const countersign_root,
    attestation: *const u8,
    attestation_len: usize,
    nonce: *const u8,
    floor: *mut countersign_time_floor,
    now: *mut i64,
    attested: *mut bool,
    error: *mut *mut countersign_error,
) -> countersign_status {
    guard(error, || {
        let now = value_place(now, "now", i64::MIN)?;
        let attested = value_place(attested, "attested", false)?;
        let kept = floor_at(floor)?;
        let file = match attestation.is_null() {
            true => None,
            false => Some(items(attestation, attestation_len, "attestation")?.to_vec()),
        };
        let nonce: [u8; 16] = items(nonce, 16, "nonce")?
            .try_into()
            .map_err(|_| misuse("a nonce has 16 bytes".into()))?;
        let judged = attested_time(&get(root)?.0, file, &Nonce(nonce), kept.as_ref())?;
        attested.put(judged.is_some());
        if let Some(judged) = judged {
            let kept = countersign_time_floor::of(judged.floor);
            value_place(floor, "floor", kept)?;
            now.put(unix(judged.now));
        }
        Ok(())
    })
}

/// The time for an update out of an offline bundle (PURE-2), where nobody answers a nonce: the latest
/// that was attested under the keys that this Root names. Otherwise as
/// countersign_root_attested_time; `floor` is not changed.
///
/// Refuses with COUNTERSIGN_TIME_UNAVAILABLE if nothing was attested under these keys.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn countersign_root_latest_attested(
    root: *const countersign_root,
    floor: *const countersign_time_floor,
    now: *mut i64,
    attested: *mut bool,
    error: *mut *mut countersign_error,
) -> countersign_status {
    guard(error, || {
        let now = value_place(now, "now", i64::MIN)?;
        let attested = value_place(attested, "attested", false)?;
        let kept = floor_at(floor)?;
        let latest = latest_attested(&get(root)?.0, kept.as_ref())?;
        if let Some(latest) = latest {
            now.put(unix(latest));
        }
        attested.put(latest.is_some());
        Ok(())
    })
}

/// Gives a Root up. NULL is fine.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn countersign_root_free(root: *mut countersign_root) {
    release(root);
}

fn floor_at(floor: *const countersign_time_floor) -> Result<Option<TimeFloor>, Reject> {
    crate::boundary::given(floor, "floor")?.to_floor()
}
