//! What the Director assigns, and what both repositories agree on.

use std::ffi::c_char;

use countersign_metadata::uptane::{OfflineName, Vin};
use countersign_verifier::uptane::{
    Director, DirectorSession, OfflineDirectorSession, PartialSession, Update,
};
use countersign_verifier::{Limits, Profile, Reject, Session};

use super::directed::{DirectedObject, countersign_directed};
use super::ids::{
    countersign_ecu_id, countersign_installed, countersign_vehicle, ecu, installed, mapping,
    parsed, vehicle,
};
use super::root::countersign_root;
use crate::boundary::{countersign_status, given, guard, items, look, place, release, value_place};
use crate::context::{context, countersign_context};
use crate::error::countersign_error;
use crate::handles::{self, get, handles, misuse, take};
use crate::session::{Loan, countersign_session, resolve, run, start};
use crate::trusted::countersign_trusted;

/// What the Director assigns. Nothing of it may be installed on the Director's word alone: ask
/// the Image repository, with countersign_session_resolve.
pub struct countersign_director {
    _opaque: u8,
}

/// The images that may be installed: what both repositories have signed for, or what a
/// Secondary that verifies in part may act on. It never changes, and any number of threads may
/// read it.
pub struct countersign_update {
    _opaque: u8,
}

handles! {
    countersign_director = DirectorObject, "a director";
    countersign_update = UpdateObject, "an update";
}

/// Taken when it is resolved.
pub(crate) struct DirectorObject {
    director: std::sync::Mutex<Option<Director>>,
    version: u64,
    profile: Profile,
}

impl DirectorObject {
    pub(crate) fn of(director: Director) -> Self {
        Self {
            version: director.mark().version,
            profile: director.image_profile(),
            director: std::sync::Mutex::new(Some(director)),
        }
    }

    fn take(&self) -> Result<Director, Reject> {
        let director = handles::lock(&self.director, "director")?.take();
        director.ok_or_else(|| misuse("this director was resolved".into()))
    }
}

pub(crate) struct UpdateObject(Update);

impl UpdateObject {
    pub(crate) fn of(update: Update) -> Self {
        Self(update)
    }
}

/// Starts following the Director's repository from the last Root, for `vehicle` (Uptane 5.4.4.2 steps
/// 2 to 5). Ends with what countersign_session_take_director takes.
///
/// `offline_name` is NULL, or the name of the Offline Targets file of a bundle (PURE-2).
/// `session` gets a new session, which you free.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn countersign_session_director(
    root: *const countersign_root,
    vehicle: *const countersign_vehicle,
    offline_name: *const c_char,
    context: *const countersign_context,
    session: *mut *mut countersign_session,
    error: *mut *mut countersign_error,
) -> countersign_status {
    guard(error, || {
        let out = place(session, "session")?;
        let followed = get(root)?.0.clone();
        let vehicle = self::vehicle(vehicle)?;
        let context = self::context(context, Limits::director(), Profile::Tuf)?;
        out.put(start(match offline(offline_name)? {
            None => run(DirectorSession::new(followed, vehicle, context)),
            Some(name) => run(OfflineDirectorSession::new(
                followed, vehicle, name, context,
            )),
        }));
        Ok(())
    })
}

/// Starts following the Image repository, so that it can be asked about what `director` assigns
/// (Uptane 5.4.4.2 steps 6 to 9). Ends with what countersign_session_take_trusted takes.
///
/// `session` gets a new session, which you free.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn countersign_session_image(
    director: *const countersign_director,
    context: *const countersign_context,
    session: *mut *mut countersign_session,
    error: *mut *mut countersign_error,
) -> countersign_status {
    guard(error, || {
        let out = place(session, "session")?;
        let profile = get(director)?.profile.clone();
        let context = self::context(context, Limits::default(), profile)?;
        out.put(start(run(Session::with_context(context))));
        Ok(())
    })
}

/// Starts looking for every image of `director` in the Image repository, and comparing (Uptane 5.4.4.2
/// step 10). Ends with what countersign_session_take_update takes.
///
/// `director` is given up, whatever comes of it. The session borrows `trusted`, which comes from
/// countersign_session_image: until it is over or freed, other calls on `trusted` are refused with
/// COUNTERSIGN_MISUSE. `mapping` is the repository mapping as JSON; `installed` what was installed
/// last, one for each ECU that has something. `session` gets a new session, which you free.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn countersign_session_resolve(
    director: *mut countersign_director,
    trusted: *mut countersign_trusted,
    mapping: *const c_char,
    installed: *const countersign_installed,
    installed_count: usize,
    session: *mut *mut countersign_session,
    error: *mut *mut countersign_error,
) -> countersign_status {
    guard(error, || {
        let director = take(director).and_then(|director| director.take());
        let (out, director) = (place(session, "session")?, director?);
        let mapping = self::mapping(mapping, "mapping")?;
        let images = items(installed, installed_count, "installed")?;
        let images = images
            .iter()
            .map(self::installed)
            .collect::<Result<_, _>>()?;
        let loan = Loan::of(get(trusted)?)?;
        out.put(start(run(resolve(director, loan, mapping, images))));
        Ok(())
    })
}

/// Starts verifying in part, as small Secondaries do (Uptane 5.4.4.1): the Director's Root and Targets
/// and nothing else. Ends with what countersign_session_take_update takes.
///
/// `offline_name` is NULL, or the name of the Offline Targets file of a bundle (PURE-2).
/// `session` gets a new session, which you free.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn countersign_session_partial(
    root: *const countersign_root,
    vin: *const c_char,
    ecu: *const countersign_ecu_id,
    offline_name: *const c_char,
    context: *const countersign_context,
    session: *mut *mut countersign_session,
    error: *mut *mut countersign_error,
) -> countersign_status {
    guard(error, || {
        let out = place(session, "session")?;
        let followed = get(root)?.0.clone();
        let vin = parsed(vin, "vin", Vin::new)?;
        let ecu = self::ecu(given(ecu, "ecu")?)?;
        let context = self::context(context, Limits::director(), Profile::Tuf)?;
        out.put(start(run(match offline(offline_name)? {
            None => PartialSession::new(followed, vin, ecu, context),
            Some(name) => PartialSession::offline(followed, vin, ecu, name, context),
        })));
        Ok(())
    })
}

fn offline(name: *const c_char) -> Result<Option<OfflineName>, Reject> {
    match name.is_null() {
        true => Ok(None),
        false => parsed(name, "offline_name", OfflineName::new).map(Some),
    }
}

/// The version of the Director's Targets. 0 for what is no handle.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn countersign_director_targets_version(
    director: *const countersign_director,
) -> u64 {
    look(0, || Ok(get(director)?.version))
}

/// Gives up what the Director assigns. NULL is fine.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn countersign_director_free(director: *mut countersign_director) {
    release(director);
}

/// The version of the Director's Targets that asks for it. 0 for what is no handle.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn countersign_update_targets_version(
    update: *const countersign_update,
) -> u64 {
    look(0, || Ok(get(update)?.0.mark.version))
}

/// The SHA-256 of the signed content of the Director's Targets, written to the 32 bytes at `digest`.
/// Keep it with the version when everything was installed: the next time you need not ask the Image
/// repository about the same.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn countersign_update_targets_digest(
    update: *const countersign_update,
    digest: *mut u8,
    error: *mut *mut countersign_error,
) -> countersign_status {
    guard(error, || {
        let out = value_place(digest.cast::<[u8; 32]>(), "digest", [0; 32])?;
        out.put(get(update)?.0.mark.digest);
        Ok(())
    })
}

/// How many images there are, one for each image and ECU. 0 for what is no handle.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn countersign_update_count(update: *const countersign_update) -> usize {
    look(0, || Ok(get(update)?.0.images.len()))
}

/// The image at `index`, counted from 0. `directed` gets a new handle, which you free; it outlives
/// the update.
///
/// Refuses with COUNTERSIGN_MISUSE beyond the last one.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn countersign_update_image(
    update: *const countersign_update,
    index: usize,
    directed: *mut *mut countersign_directed,
    error: *mut *mut countersign_error,
) -> countersign_status {
    guard(error, || {
        let out = place(directed, "directed")?;
        let update = get(update)?;
        let none = || misuse(format!("there is no image {index}"));
        let image = update.0.images.get(index).ok_or_else(none)?;
        out.put(handles::put(DirectedObject::of(image.clone())));
        Ok(())
    })
}

/// Gives an update up. NULL is fine.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn countersign_update_free(update: *mut countersign_update) {
    release(update);
}
