//! One update.

use alloc::boxed::Box;
use alloc::format;
use alloc::string::String;

use countersign_metadata::UtcTime;
use countersign_metadata::uptane::{Mapping, Nonce, Vin};
use countersign_verifier::uptane::{
    Directed, Ecu, Installed, Partial, PartialStream, StreamReply, StreamStep, attested_time,
};
use countersign_verifier::{
    Code, Context, FollowRoot, Followed, Limits, Protocol as _, Reject, Reply, Step, StoreName,
};

use crate::bus::{Bus, CHUNK};
use crate::flash::{Flash, failed};

// [limits]
/// What this device has memory for. Whatever is longer is refused.
const LIMITS: Limits = Limits {
    root_len: 8 << 10,
    targets_len: 1 << 20,
    timestamp_len: 0,
    snapshot_len: 0,
    root_versions: 64,
    visited_roles: 1,
    delegated_len: 0,
    part_len: 4 << 10,
};
// [end limits]

// [update]
/// Root, time, Targets, image: in this order, and each durable before the next.
pub(crate) fn update(flash: &mut Flash, bus: &mut Bus) -> Result<(), Reject> {
    let (vin, ecu) = flash.identity()?;
    let followed = follow_root(flash, bus)?;
    let now = time(&followed, flash, bus)?;
    let session = targets(followed, vin, ecu.clone(), now);
    match drive_stream(session, flash, bus)?.image {
        Some(directed) => install(&directed, &ecu, now, flash, bus),
        None => Ok(()),
    }
}

/// Follows the Director's Targets. In a function of its own, and boxed: what stands on the stack now stands
/// above every check of a signature.
#[inline(never)]
fn targets(followed: Followed, vin: Vin, ecu: Ecu, now: UtcTime) -> Box<PartialStream> {
    let context = Context {
        limits: LIMITS,
        repository: Mapping::DIRECTOR.into(),
        ..Context::new(now)
    };
    Box::new(PartialStream::new(followed, vin, ecu, context))
}
// [end update]

// [drive]
/// Follows the chain of Roots out of flash and bus. Roots are small: they come in one piece.
#[inline(never)]
fn follow_root(flash: &mut Flash, bus: &mut Bus) -> Result<Followed, Reject> {
    let mut session = FollowRoot::new(LIMITS, Mapping::DIRECTOR);
    loop {
        let reply = match session.next() {
            Step::Done(outcome) => return outcome,
            Step::Load { name } => match flash.stored(&record(&name))? {
                Some(stored) => Reply::Stored(stored),
                None => Reply::NotFound,
            },
            // No outline is kept.
            Step::LoadPart { .. } => Reply::NotFound,
            Step::Fetch { what, max_len } => match bus.ask(&what.file_name()) {
                Some(mut file) => match file.whole(max_len)? {
                    Some(bytes) => Reply::Fetched(bytes),
                    None => Reply::TooLarge,
                },
                None => Reply::NotFound,
            },
            Step::Save {
                name,
                version,
                bytes,
                accepted_under,
                ..
            } => {
                let parts = [bytes, &accepted_under.to_le_bytes()];
                // The history first: the trusted Root must not be there without it.
                flash.save(&record(&StoreName::RootHistory(version)), &parts)?;
                flash.save(&record(&name), &parts)?;
                Reply::Saved
            }
        };
        session.supply(reply);
    }
}

/// What a file is called in flash. A small device has no others.
fn record(name: &StoreName) -> String {
    match name {
        StoreName::Root => "root".into(),
        StoreName::RootHistory(version) => format!("root.{version}"),
        _ => "targets".into(),
    }
}
// [end drive]

// [stream]
/// As `follow_root`, for a session that never holds a whole file: what is fetched goes into flash as it passes, and
/// counts only once the session says that it is to be kept.
#[inline(never)]
fn drive_stream(
    mut session: Box<PartialStream>,
    flash: &mut Flash,
    bus: &mut Bus,
) -> Result<Partial, Reject> {
    let mut fetched = None;
    let mut buffer = [0; CHUNK];
    loop {
        let reply = match session.next() {
            StreamStep::Done(outcome) => return outcome,
            StreamStep::Load { name } => match flash.open_stored(&record(&name))? {
                None => StreamReply::NotFound,
                Some(mut kept) => {
                    while let chunk @ [_, ..] = kept.next(&mut buffer)? {
                        // What is too much, the session says at the end, too.
                        let _ = session.feed(chunk);
                    }
                    let accepted_under = Some(kept.accepted_under()?);
                    StreamReply::Stored { accepted_under }
                }
            },
            StreamStep::Fetch { what, .. } => match bus.ask(&what.file_name()) {
                None => StreamReply::NotFound,
                Some(mut file) => {
                    let mut aside = flash.aside()?;
                    let reply = loop {
                        let chunk = file.next(&mut buffer)?;
                        if chunk.is_empty() {
                            break StreamReply::Fetched;
                        }
                        if session.feed(chunk).is_err() {
                            break StreamReply::TooLarge;
                        }
                        aside.write(chunk)?;
                    };
                    fetched = Some(aside);
                    reply
                }
            },
            StreamStep::Keep {
                name,
                accepted_under,
                ..
            } => {
                let mut aside = fetched.take().ok_or_else(failed)?;
                aside.write(&accepted_under.to_le_bytes())?;
                flash.keep(aside, &record(&name))?;
                StreamReply::Kept
            }
        };
        session.supply(reply);
    }
}
// [end stream]

// [time]
/// This device has no clock: it asks the time server, through its Primary, and believes what answers its
/// nonce. The floor is durable before anything is judged by that time.
#[inline(never)]
fn time(followed: &Followed, flash: &mut Flash, bus: &mut Bus) -> Result<UtcTime, Reject> {
    let nonce = Nonce(NONCE);
    let attestation = match bus.ask("time.json") {
        Some(mut file) => file.whole(LONGEST_ATTESTATION)?,
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
const LONGEST_ATTESTATION: u64 = 2 << 10;

/// Stands for the random number generator that the emulated board does not have: here every run is the
/// first one. A device draws 16 new bytes for each cycle.
const NONCE: [u8; 16] = [7; 16];
// [end time]

// [install]
/// The image goes into the free slot while it is verified; the boot loader hears of it afterwards.
#[inline(never)]
fn install(
    directed: &Directed,
    ecu: &Ecu,
    now: UtcTime,
    flash: &mut Flash,
    bus: &mut Bus,
) -> Result<(), Reject> {
    let installed = flash.installed(ecu)?;
    // The same bytes under a higher counter go through the gate: that is how a Director takes an image back.
    let same = |last: &Installed| {
        last.release_counter == directed.release_counter()
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
    let (mut slot, mut buffer) = (flash.slot()?, [0; CHUNK]);
    while let chunk @ [_, ..] = image.next(&mut buffer)? {
        stream.update(chunk)?;
        slot.write(chunk)?;
    }
    flash.try_image(&stream.finish()?)
}
// [end install]
