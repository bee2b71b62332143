//! What a cycle came to.

use std::ffi::{CString, c_char};
use std::ptr::null;

use countersign_client::uptane::primary::{Cycle, EcuOutcome};
use countersign_verifier::uptane::{Mark, Update};

use crate::boundary::{c_text, countersign_status, guard, look, place, release, value_place};
use crate::error::countersign_error;
use crate::handles::{self, get, handles, misuse};
use crate::target::optional;
use crate::uptane::{UpdateObject, countersign_update};

/// What a cycle of a Primary came to. It never changes, and any number of threads may read it.
pub struct countersign_cycle {
    _opaque: u8,
}

handles! {
    countersign_cycle = CycleObject, "a cycle";
}

pub(crate) struct CycleObject {
    mark: Option<Mark>,
    images: Vec<countersign_verifier::uptane::Directed>,
    ecus: Vec<(CString, countersign_ecu_outcome, CString)>,
    unreported: Option<CString>,
}

/// What happened to one ECU.
#[repr(u32)]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum countersign_ecu_outcome {
    /// Nothing was for it.
    COUNTERSIGN_ECU_NOTHING = 0,
    /// It runs the new image.
    COUNTERSIGN_ECU_INSTALLED = 1,
    /// The new image has to prove itself, or runs after a restart.
    COUNTERSIGN_ECU_ON_TRIAL = 2,
    /// It refused.
    COUNTERSIGN_ECU_REFUSED = 3,
    /// It could not be reached, or broke the protocol.
    COUNTERSIGN_ECU_UNREACHABLE = 4,
    /// It was ready, and another ECU was not.
    COUNTERSIGN_ECU_ABANDONED = 5,
}

impl CycleObject {
    pub(super) fn of(cycle: Cycle) -> Self {
        use countersign_ecu_outcome as out;
        let ecus = cycle.ecus.into_iter().map(|(serial, outcome)| {
            let (outcome, message) = match outcome {
                EcuOutcome::Nothing => (out::COUNTERSIGN_ECU_NOTHING, String::new()),
                EcuOutcome::Installed => (out::COUNTERSIGN_ECU_INSTALLED, String::new()),
                EcuOutcome::OnTrial => (out::COUNTERSIGN_ECU_ON_TRIAL, String::new()),
                EcuOutcome::Refused(refusal) => (out::COUNTERSIGN_ECU_REFUSED, refusal.message),
                EcuOutcome::Unreachable(why) => (out::COUNTERSIGN_ECU_UNREACHABLE, why),
                EcuOutcome::Abandoned => (out::COUNTERSIGN_ECU_ABANDONED, String::new()),
            };
            (c_text(serial.as_str()), outcome, c_text(&message))
        });
        Self {
            mark: cycle.mark,
            images: cycle.images,
            ecus: ecus.collect(),
            unreported: cycle.unreported.map(|why| c_text(&why)),
        }
    }
}

/// The version of the Director's Targets that was verified; 0 if none was.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn countersign_cycle_targets_version(cycle: *const countersign_cycle) -> u64 {
    look(0, || Ok(get(cycle)?.mark.map_or(0, |mark| mark.version)))
}

/// The images that both repositories ask for and that were not processed before. `update` gets a new
/// handle, which you free.
///
/// Refuses with COUNTERSIGN_MISUSE if no Targets was verified.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn countersign_cycle_update(
    cycle: *const countersign_cycle,
    update: *mut *mut countersign_update,
    error: *mut *mut countersign_error,
) -> countersign_status {
    guard(error, || {
        let out = place(update, "update")?;
        let cycle = get(cycle)?;
        let none = || misuse("the cycle has verified no Targets".into());
        let mark = cycle.mark.ok_or_else(none)?;
        let images = cycle.images.clone();
        out.put(handles::put(UpdateObject::of(Update { images, mark })));
        Ok(())
    })
}

/// How many ECUs the cycle came to. 0 for what is no handle.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn countersign_cycle_ecus(cycle: *const countersign_cycle) -> usize {
    look(0, || Ok(get(cycle)?.ecus.len()))
}

/// What happened to the ECU at `index`, counted from 0. `serial` and `message` (for people, may be empty)
/// get texts that live as long as the handle.
///
/// Refuses with COUNTERSIGN_MISUSE beyond the last one.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn countersign_cycle_ecu(
    cycle: *const countersign_cycle,
    index: usize,
    serial: *mut *const c_char,
    outcome: *mut countersign_ecu_outcome,
    message: *mut *const c_char,
    error: *mut *mut countersign_error,
) -> countersign_status {
    guard(error, || {
        let to_serial = value_place(serial, "serial", null())?;
        let nothing = countersign_ecu_outcome::COUNTERSIGN_ECU_NOTHING;
        let to_outcome = value_place(outcome, "outcome", nothing)?;
        let to_message = value_place(message, "message", null())?;
        let cycle = get(cycle)?;
        let none = || misuse(format!("there is no ECU {index}"));
        let (serial, outcome, message) = cycle.ecus.get(index).ok_or_else(none)?;
        to_serial.put(serial.as_ptr());
        to_outcome.put(*outcome);
        to_message.put(message.as_ptr());
        Ok(())
    })
}

/// Why the Director did not get the last manifest; NULL if it did. The text lives as long as the handle.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn countersign_cycle_unreported(
    cycle: *const countersign_cycle,
) -> *const c_char {
    look(null(), || Ok(optional(&get(cycle)?.unreported)))
}

/// Gives a cycle up. NULL is fine.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn countersign_cycle_free(cycle: *mut countersign_cycle) {
    release(cycle);
}
