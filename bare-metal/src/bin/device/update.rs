//! One update.

use alloc::format;
use alloc::vec::Vec;

use countersign_metadata::UtcTime;
use countersign_metadata::uptane::{Mapping, Nonce};
use countersign_verifier::uptane::{Directed, Ecu, Installed, PartialSession, attested_time};
use countersign_verifier::{
    Code, Context, Fed, FollowRoot, Followed, Limits, Protocol, Reject, Reply, Step, StoreName,
};

use crate::bus::{Bus, CHUNK};
use crate::flash::Flash;

// region: limits
/// What this device has memory for. Whatever is longer is refused.
const LIMITS: Limits = Limits {
    root_len: 8 << 10,
    targets_len: 1 << 20,
    timestamp_len: 0,
    snapshot_len: 0,
    root_versions: 64,
    visited_roles: 1,
    delegated_len: 0,
};
// endregion: limits

// region: update
/// Root, time, Targets, image: in this order, and each durable before the next.
pub(crate) fn update(flash: &mut Flash, bus: &mut Bus) -> Result<(), Reject> {
    let (vin, ecu) = flash.identity()?;
    let followed = drive(FollowRoot::new(LIMITS, Mapping::DIRECTOR), flash, bus)?;
    let now = time(&followed, flash, bus)?;
    let context = Context {
        limits: LIMITS,
        repository: Mapping::DIRECTOR.into(),
        ..Context::new(now)
    };
    let session = PartialSession::new(followed, vin, ecu.clone(), context);
    match drive(session, flash, bus)?.image {
        Some(directed) => install(&directed, &ecu, now, flash, bus),
        None => Ok(()),
    }
}
// endregion: update

// region: drive
/// Answers the steps of a session out of flash and bus.
fn drive<P: Protocol>(session: P, flash: &mut Flash, bus: &mut Bus) -> Result<P::Output, Reject> {
    let mut session = Fed::new(session);
    loop {
        let reply = match session.next() {
            Step::Done(outcome) => return outcome,
            Step::Load { name } => match flash.stored(&record(&name))? {
                Some(stored) => Reply::Stored(stored),
                None => Reply::NotFound,
            },
            Step::Save {
                name,
                version,
                bytes,
                accepted_under,
            } => {
                let parts: [&[u8]; 2] = [&accepted_under.to_le_bytes(), bytes];
                if name == StoreName::Root {
                    // The history first: the Root must not be there without it.
                    flash.save(&record(&StoreName::RootHistory(version)), &parts)?;
                }
                flash.save(&record(&name), &parts)?;
                Reply::Saved
            }
            Step::Fetch { what, .. } => match bus.ask(&what.file_name()) {
                None => Reply::NotFound,
                Some(mut file) => {
                    let mut buffer = [0; CHUNK];
                    loop {
                        let chunk = file.next(&mut buffer)?;
                        // At the end, or as soon as it is too long.
                        if chunk.is_empty() || session.feed(chunk).is_err() {
                            break;
                        }
                    }
                    session.end_of_file();
                    continue;
                }
            },
        };
        session.supply(reply);
    }
}

/// What a file is called in flash. A small device has no others.
fn record(name: &StoreName) -> alloc::string::String {
    match name {
        StoreName::Root => "root".into(),
        StoreName::RootHistory(version) => format!("root.{version}"),
        _ => "targets".into(),
    }
}
// endregion: drive

// region: time
/// This device has no clock: it asks the time server, through its Primary, and believes what answers its
/// nonce. The floor is durable before anything is judged by that time.
fn time(followed: &Followed, flash: &mut Flash, bus: &mut Bus) -> Result<UtcTime, Reject> {
    let nonce = Nonce(NONCE);
    let attestation = match bus.ask("time.json") {
        Some(mut file) => {
            let (mut bytes, mut buffer) = (Vec::new(), [0; CHUNK]);
            while let chunk @ [_, ..] = file.next(&mut buffer)? {
                if bytes.len() > LONGEST_ATTESTATION {
                    return Err(Reject::new(Code::TooLarge, "time", ""));
                }
                bytes.extend_from_slice(chunk);
            }
            Some(bytes)
        }
        None => None,
    };
    let floor = flash.time_floor()?;
    let attested = attested_time(followed, attestation, &nonce, floor.as_ref());
    match attested.map_err(|reject| reject.at(Mapping::DIRECTOR))? {
        Some(attested) => {
            flash.set_time_floor(&attested.floor)?;
            Ok(attested.now)
        }
        // A Director without a time server is nothing for a device without a clock.
        None => Err(Reject::new(Code::TimeUnavailable, "time", "")),
    }
}

/// One nonce and a few signatures, with room to spare.
const LONGEST_ATTESTATION: usize = 2 << 10;

/// Stands for the random number generator that the emulated board does not have: here every run is the
/// first one. A device draws 16 new bytes for each cycle.
const NONCE: [u8; 16] = [7; 16];
// endregion: time

// region: install
/// The image goes into the free slot while it is verified; the boot loader hears of it afterwards.
fn install(
    directed: &Directed,
    ecu: &Ecu,
    now: UtcTime,
    flash: &mut Flash,
    bus: &mut Bus,
) -> Result<(), Reject> {
    let installed = flash.installed(ecu)?;
    let same = |last: &Installed| {
        last.length == directed.file().length
            && last.hashes.sha256.is_some()
            && last.hashes.sha256 == directed.file().hashes.sha256
    };
    if installed.as_ref().is_some_and(same) {
        return Ok(());
    }
    let mut stream = directed.open_image(ecu, installed.as_ref(), now)?;
    let mut image = bus
        .ask(&directed.content_name()?)
        .ok_or_else(|| Reject::new(Code::ImageMissing, "", ""))?;
    let (mut slot, mut buffer) = (flash.free_slot()?, [0; CHUNK]);
    while let chunk @ [_, ..] = image.next(&mut buffer)? {
        stream.update(chunk)?;
        Flash::write(&mut slot, chunk)?;
    }
    flash.try_image(&stream.finish()?)
}
// endregion: install
