//! Sessions: the two calls, next and supply.

mod lent;
mod running;
mod step;

use std::ffi::c_char;
use std::sync::Mutex;

use countersign_metadata::Role;
use countersign_verifier::uptane::{Director, Partial, Update};
use countersign_verifier::{
    FollowRoot, Followed, Limits, ListedTarget, Profile, Reject, Reply, Session, Stored, Trusted,
};

use crate::boundary::{countersign_status, guard, items, place, release, text, value_place};
use crate::context::{context, countersign_context, without_time};
use crate::error::countersign_error;
use crate::handles::{self, Handle, get, handles, lock, misuse};
use crate::target::{ListedObject, countersign_target};
use crate::trusted::{TrustedObject, countersign_trusted};
use crate::uptane::{
    DirectorObject, FollowedObject, UpdateObject, countersign_director, countersign_root,
    countersign_update,
};

pub(crate) use self::lent::{Lent, Loan, resolve};
use self::running::Running;
use self::step::Texts;
pub(crate) use self::step::store_name;
pub use self::step::*;

/// A session: something that is verified step by step, while you bring files and keep them. Call
/// countersign_session_next and answer the step, until its kind is COUNTERSIGN_STEP_DONE or it is
/// refused.
///
/// One call at a time may use it: another one at the same time is refused with COUNTERSIGN_MISUSE.
/// It may move between threads.
pub struct countersign_session {
    _opaque: u8,
}

handles! {
    countersign_session = Mutex<SessionObject>, "a session";
}

/// A session as a handle keeps it.
pub(crate) struct SessionObject {
    /// `None` when it is over: what it has borrowed is given back then.
    running: Option<Box<dyn Running>>,
    outcome: Option<Outcome>,
    texts: Texts,
}

/// What a session ends with.
pub(crate) enum Outcome {
    Root(Box<Followed>),
    Trusted(Box<Trusted>),
    Target(Box<ListedTarget>),
    Director(Box<Director>),
    Update(Update),
}

impl From<Followed> for Outcome {
    fn from(followed: Followed) -> Self {
        Self::Root(Box::new(followed))
    }
}

impl From<Trusted> for Outcome {
    fn from(trusted: Trusted) -> Self {
        Self::Trusted(Box::new(trusted))
    }
}

impl From<ListedTarget> for Outcome {
    fn from(target: ListedTarget) -> Self {
        Self::Target(Box::new(target))
    }
}

impl From<Director> for Outcome {
    fn from(director: Director) -> Self {
        Self::Director(Box::new(director))
    }
}

impl From<Update> for Outcome {
    fn from(update: Update) -> Self {
        Self::Update(update)
    }
}

impl From<Partial> for Outcome {
    fn from(partial: Partial) -> Self {
        Self::Update(Update {
            images: partial.image.into_iter().collect(),
            mark: partial.mark,
        })
    }
}

/// Hands a new session out.
pub(crate) fn start(running: Box<dyn Running>) -> *mut countersign_session {
    handles::put(Mutex::new(SessionObject {
        running: Some(running),
        outcome: None,
        texts: Texts::default(),
    }))
}

pub(crate) use self::running::run;

/// Starts following a TUF repository to its current state (TUF 5.1 to 5.6.6). Ends with what
/// countersign_session_take_trusted takes.
///
/// `session` gets a new session, which you free.
/// Refuses with COUNTERSIGN_MISUSE what is no context.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn countersign_session_refresh(
    context: *const countersign_context,
    session: *mut *mut countersign_session,
    error: *mut *mut countersign_error,
) -> countersign_status {
    guard(error, || {
        let out = place(session, "session")?;
        let context = self::context(context, Limits::default(), Profile::Tuf)?;
        out.put(start(run(Session::with_context(context))));
        Ok(())
    })
}

/// Starts following a chain of Roots to its end (TUF 5.3, Uptane 5.4.4.3). That takes no time:
/// `context->now` is not looked at. Ends with what countersign_session_take_root takes.
///
/// `session` gets a new session, which you free.
/// Refuses with COUNTERSIGN_MISUSE what is no context.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn countersign_session_follow_root(
    context: *const countersign_context,
    session: *mut *mut countersign_session,
    error: *mut *mut countersign_error,
) -> countersign_status {
    guard(error, || {
        let out = place(session, "session")?;
        let (limits, repository) = without_time(context)?;
        out.put(start(run(FollowRoot::new(limits, repository))));
        Ok(())
    })
}

/// Judges a first Root, which came here out of band (TUF 5.2): it has to be signed by its own threshold.
/// Keep it as "root+VERSION" and then as "root", and sessions can go on from it. `version` gets its version.
///
/// Ask this once, at manufacture, and never where there is a "root" already: that one may be newer, and what
/// replaces it would be believed in its place. Refuses for what is wrong with it.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn countersign_provision_root(
    root: *const u8,
    root_len: usize,
    version: *mut u64,
    error: *mut *mut countersign_error,
) -> countersign_status {
    guard(error, || {
        let out = value_place(version, "version", 0)?;
        let root = items(root, root_len, "root")?.to_vec();
        out.put(
            countersign_verifier::provision_root(root)?
                .content()
                .version(),
        );
        Ok(())
    })
}

/// Starts looking for the image at `path` (TUF 5.6.7). Ends with what
/// countersign_session_take_target takes.
///
/// The session borrows `trusted`: until it is over or freed, other calls on `trusted` are refused
/// with COUNTERSIGN_MISUSE. `session` gets a new session, which you free.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn countersign_session_search(
    trusted: *mut countersign_trusted,
    path: *const c_char,
    session: *mut *mut countersign_session,
    error: *mut *mut countersign_error,
) -> countersign_status {
    guard(error, || {
        let out = place(session, "session")?;
        let path = text(path, "path")?;
        out.put(start(run(lent::search(Loan::of(get(trusted)?)?, path))));
        Ok(())
    })
}

/// What the session needs next. The step stays the same until it is answered.
///
/// `step` is filled in; what it points to lives until the next call on the session. A step of kind
/// COUNTERSIGN_STEP_DONE means that the session has succeeded: take the result. A refusal is
/// returned as a status of its own, and ends the session: there is nothing left to go on with.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn countersign_session_next(
    session: *mut countersign_session,
    step: *mut countersign_step,
    error: *mut *mut countersign_error,
) -> countersign_status {
    guard(error, || {
        let out = value_place(step, "step", countersign_step::none())?;
        with(session, |session| {
            out.put(session.next()?);
            Ok(())
        })
    })
}

impl SessionObject {
    fn next(&mut self) -> Result<countersign_step, Reject> {
        if let (None, Some(_)) = (&self.running, &self.outcome) {
            return Ok(countersign_step::done());
        }
        match self.running()?.next() {
            Ok(step::Next::Step(step)) => Ok(self.texts.hold(step)),
            Ok(step::Next::Done(outcome)) => {
                self.running = None;
                self.outcome = Some(outcome);
                Ok(countersign_step::done())
            }
            Err(reject) => {
                self.running = None;
                Err(reject)
            }
        }
    }

    fn running(&mut self) -> Result<&mut Box<dyn Running>, Reject> {
        let over = || misuse("the session is over".into());
        self.running.as_mut().ok_or_else(over)
    }
}

/// Answers COUNTERSIGN_STEP_LOAD with a file of your store. The bytes are copied.
///
/// This and the other answers refuse with COUNTERSIGN_MISUSE once the session is over. What is wrong with an
/// answer, that it does not fit the step among others, the next countersign_session_next says, and the
/// session has ended with it.
///
/// `accepted_under` is the Root version that the file was saved with; 0 if your store does not know.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn countersign_session_supply_stored(
    session: *mut countersign_session,
    bytes: *const u8,
    len: usize,
    accepted_under: u64,
    error: *mut *mut countersign_error,
) -> countersign_status {
    guard(error, || {
        let stored = Stored {
            bytes: items(bytes, len, "bytes")?.to_vec(),
            accepted_under: (accepted_under > 0).then_some(accepted_under),
        };
        supply(session, Reply::Stored(stored))
    })
}

/// Answers COUNTERSIGN_STEP_FETCH with the whole file. The bytes are copied. Refuses as
/// countersign_session_supply_stored.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn countersign_session_supply_fetched(
    session: *mut countersign_session,
    bytes: *const u8,
    len: usize,
    error: *mut *mut countersign_error,
) -> countersign_status {
    guard(error, || {
        let bytes = items(bytes, len, "bytes")?.to_vec();
        supply(session, Reply::Fetched(bytes))
    })
}

/// Takes the next bytes of the file that COUNTERSIGN_STEP_FETCH asks for, where it arrives in
/// pieces; the bytes are copied. Nothing is decided before countersign_session_end_of_file.
///
/// Refuses with COUNTERSIGN_TOO_LARGE beyond `max_len` of the step: stop sending, and end the file.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn countersign_session_feed(
    session: *mut countersign_session,
    bytes: *const u8,
    len: usize,
    error: *mut *mut countersign_error,
) -> countersign_status {
    guard(error, || {
        let bytes = items(bytes, len, "bytes")?;
        with(session, |session| session.running()?.feed(bytes))
    })
}

/// Says that the file which came in pieces is complete. Refuses as countersign_session_supply_stored.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn countersign_session_end_of_file(
    session: *mut countersign_session,
    error: *mut *mut countersign_error,
) -> countersign_status {
    guard(error, || {
        with(session, |session| {
            session.running()?.end_of_file();
            Ok(())
        })
    })
}

/// Answers COUNTERSIGN_STEP_LOAD or COUNTERSIGN_STEP_FETCH: there is no such file. Say so of a file
/// to be fetched only if the repository says so (HTTP 404, 410, or 403 from object stores). If it
/// cannot be reached, there is no answer: free the session, and start another one later. Refuses as
/// countersign_session_supply_stored.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn countersign_session_supply_not_found(
    session: *mut countersign_session,
    error: *mut *mut countersign_error,
) -> countersign_status {
    guard(error, || supply(session, Reply::NotFound))
}

/// Answers COUNTERSIGN_STEP_FETCH: the file goes on after `max_len` bytes. Refuses as
/// countersign_session_supply_stored.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn countersign_session_supply_too_large(
    session: *mut countersign_session,
    error: *mut *mut countersign_error,
) -> countersign_status {
    guard(error, || supply(session, Reply::TooLarge))
}

/// Answers COUNTERSIGN_STEP_SAVE: the file is durable. A power cut from now on must not lose it. Refuses as
/// countersign_session_supply_stored.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn countersign_session_supply_saved(
    session: *mut countersign_session,
    error: *mut *mut countersign_error,
) -> countersign_status {
    guard(error, || supply(session, Reply::Saved))
}

/// Takes what countersign_session_follow_root ends with. `root` gets a new handle, which you free.
///
/// Refuses with COUNTERSIGN_MISUSE before the end, a second time, and for other sessions.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn countersign_session_take_root(
    session: *mut countersign_session,
    root: *mut *mut countersign_root,
    error: *mut *mut countersign_error,
) -> countersign_status {
    take(session, root, error, "root", |outcome| match outcome {
        Outcome::Root(followed) => Ok(FollowedObject(*followed)),
        other => Err(other),
    })
}

/// Takes what countersign_session_refresh and countersign_session_image end with. `trusted` gets a
/// new handle, which you free.
///
/// Refuses with COUNTERSIGN_MISUSE before the end, a second time, and for other sessions.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn countersign_session_take_trusted(
    session: *mut countersign_session,
    trusted: *mut *mut countersign_trusted,
    error: *mut *mut countersign_error,
) -> countersign_status {
    take(
        session,
        trusted,
        error,
        "trusted",
        |outcome| match outcome {
            Outcome::Trusted(trusted) => Ok(TrustedObject::of(*trusted)),
            other => Err(other),
        },
    )
}

/// Takes what countersign_session_search ends with. `target` gets a new handle, which you free.
///
/// Refuses with COUNTERSIGN_MISUSE before the end, a second time, and for other sessions.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn countersign_session_take_target(
    session: *mut countersign_session,
    target: *mut *mut countersign_target,
    error: *mut *mut countersign_error,
) -> countersign_status {
    take(session, target, error, "target", |outcome| match outcome {
        Outcome::Target(target) => Ok(ListedObject::of(*target)),
        other => Err(other),
    })
}

/// Takes what countersign_session_director ends with. `director` gets a new handle, which you free
/// or give to countersign_session_resolve.
///
/// Refuses with COUNTERSIGN_MISUSE before the end, a second time, and for other sessions.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn countersign_session_take_director(
    session: *mut countersign_session,
    director: *mut *mut countersign_director,
    error: *mut *mut countersign_error,
) -> countersign_status {
    take(
        session,
        director,
        error,
        "director",
        |outcome| match outcome {
            Outcome::Director(director) => Ok(DirectorObject::of(*director)),
            other => Err(other),
        },
    )
}

/// Takes what countersign_session_resolve and countersign_session_partial end with. `update` gets a
/// new handle, which you free.
///
/// Refuses with COUNTERSIGN_MISUSE before the end, a second time, and for other sessions.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn countersign_session_take_update(
    session: *mut countersign_session,
    update: *mut *mut countersign_update,
    error: *mut *mut countersign_error,
) -> countersign_status {
    take(session, update, error, "update", |outcome| match outcome {
        Outcome::Update(update) => Ok(UpdateObject::of(update)),
        other => Err(other),
    })
}

/// Gives a session up, at any step: what was saved until then is where the next one goes on. NULL
/// is fine.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn countersign_session_free(session: *mut countersign_session) {
    release(session);
}

fn with<T>(
    session: *mut countersign_session,
    body: impl FnOnce(&mut SessionObject) -> Result<T, Reject>,
) -> Result<T, Reject> {
    let object = get(session)?;
    body(&mut *lock(&object, "session")?)
}

fn supply(session: *mut countersign_session, reply: Reply) -> Result<(), Reject> {
    with(session, |session| {
        session.running()?.supply(reply);
        Ok(())
    })
}

fn take<H: Handle>(
    session: *mut countersign_session,
    out: *mut *mut H,
    error: *mut *mut countersign_error,
    name: &str,
    pick: impl FnOnce(Outcome) -> Result<H::Object, Outcome>,
) -> countersign_status {
    guard(error, || {
        let out = place(out, name)?;
        with(session, |session| {
            let none = || misuse("the session has no result, or it was taken".into());
            match pick(session.outcome.take().ok_or_else(none)?) {
                Ok(object) => {
                    out.put(handles::put(object));
                    Ok(())
                }
                Err(other) => {
                    session.outcome = Some(other);
                    Err(misuse(format!("this session does not end with a {name}")))
                }
            }
        })
    })
}
