//! Partial verification on a device that cannot hold the file: it passes in chunks, from the Primary and
//! from the device's own storage, and the driver writes it aside while it does.

use alloc::boxed::Box;
use alloc::sync::Arc;
use alloc::vec::Vec;

use countersign_metadata::stream::{StreamedTarget, StreamedTargets, TargetsStream};
use countersign_metadata::uptane::{EcuSerial, OfflineName, Vin};
use countersign_metadata::{Authority, MetadataError};

use super::Partial;
use super::rules::{Accepted, Anchor, File, Judged, Own, Read, Rules};
use crate::chain::Recall;
use crate::context::Context;
use crate::link;
use crate::names::{RemoteName, StoreName};
use crate::refresh::{Followed, misuse};
use crate::reject::Reject;
use crate::session::{Reply, Stored};
use crate::uptane::assignment::{Entries, check_extent};
use crate::uptane::director::Mark;
use crate::uptane::offline::check_carried;
use crate::uptane::vehicle::Ecu;

/// As [`PartialSession`](super::PartialSession), for a device that cannot hold the Director's Targets.
///
/// Its steps have no bytes. While a file is loaded or fetched, the driver passes each chunk to
/// [`PartialStream::feed`], and what it fetches it also writes to a place of its own that nothing
/// trusts. Only at the end of the file is anything decided, and only when
/// [`StreamStep::Keep`] asks for it does the driver make what it wrote durable under the file's name.
/// After a refusal what was written aside is worth nothing.
///
/// It decides as `PartialSession` does, with the same codes. But it reads one form only: `signatures`
/// before `signed`, and `signed` in canonical form, as repositories publish it. Another form is
/// `not-canonical`, a part (an entry, say) of more than [`Limits::part_len`](crate::Limits) bytes is
/// `too-large`, and RSA keys count nothing. A stored file that it cannot read is absent, not a floor: a
/// device whose files were kept by another kind of session looks at that before it changes to this one.
///
/// # What the driver keeps, and in what order
///
/// 1. [`FollowRoot`](crate::FollowRoot) comes first, and keeps Roots as ever. Roots are small.
/// 2. `Load`: the bytes that were kept under the name, in chunks; then
///    [`StreamReply::Stored`] with the number that was kept with them. A former Root, too, is fed.
/// 3. `Fetch`: each chunk goes to the session and to a place aside. A power cut here costs nothing.
/// 4. `Keep`: make what is aside durable under the name, with `accepted_under`, at once or not at all
///    (write it to the end, flush, rename; on raw flash: write a record that points to it last). Then
///    answer [`StreamReply::Kept`].
/// 5. `Done`: only now may the image be asked for.
///
/// ```
/// use std::collections::BTreeMap;
///
/// use countersign_verifier::uptane::{Partial, PartialStream, StreamReply, StreamStep};
/// use countersign_verifier::{Reject, StoreName};
///
/// /// What a device has: storage, and a bus to its Primary.
/// trait Device {
///     /// Feeds a stored file in chunks; the Root version that it was kept with.
///     fn read(&mut self, name: &StoreName, feed: &mut dyn FnMut(&[u8])) -> Option<Option<u64>>;
///     /// Starts to write aside.
///     fn start(&mut self);
///     fn write(&mut self, chunk: &[u8]);
///     /// Makes what was written aside durable under this name, at once or not at all.
///     fn keep(&mut self, name: StoreName, accepted_under: u64);
///     /// The next bytes of a file of the Primary's; `None` if it has no such file, none at its end.
///     fn receive(&mut self, file: &str, buffer: &mut [u8; 64]) -> Option<usize>;
/// }
///
/// fn run(session: &mut PartialStream, device: &mut dyn Device) -> Result<Partial, Reject> {
///     loop {
///         let reply = match session.next() {
///             StreamStep::Load { name } => {
///                 let kept = device.read(&name, &mut |chunk| {
///                     // What is too much is said at the end, too.
///                     let _ = session.feed(chunk);
///                 });
///                 match kept {
///                     Some(accepted_under) => StreamReply::Stored { accepted_under },
///                     None => StreamReply::NotFound,
///                 }
///             }
///             StreamStep::Fetch { what, .. } => {
///                 device.start();
///                 let mut buffer = [0; 64];
///                 loop {
///                     match device.receive(&what.file_name(), &mut buffer) {
///                         None => break StreamReply::NotFound,
///                         Some(0) => break StreamReply::Fetched,
///                         Some(length) => {
///                             let chunk = &buffer[..length];
///                             if session.feed(chunk).is_err() {
///                                 break StreamReply::TooLarge;
///                             }
///                             device.write(chunk);
///                         }
///                     }
///                 }
///             }
///             StreamStep::Keep { name, accepted_under, .. } => {
///                 device.keep(name, accepted_under);
///                 StreamReply::Kept
///             }
///             StreamStep::Done(outcome) => return outcome,
///         };
///         session.supply(reply);
///     }
/// }
/// # let _ = run;
/// ```
#[derive(Debug)]
pub struct PartialStream {
    rules: Rules,
    state: State,
}

/// What a [`PartialStream`] needs next. It stays the same until it is answered.
#[derive(Debug)]
pub enum StreamStep {
    /// A file from the local store: [`PartialStream::feed`] it, then answer
    /// [`StreamReply::Stored`]; or [`StreamReply::NotFound`].
    Load {
        /// Which file.
        name: StoreName,
    },
    /// A file from the Primary: [`PartialStream::feed`] it and write it aside, then answer
    /// [`StreamReply::Fetched`]; or [`StreamReply::NotFound`] or [`StreamReply::TooLarge`]. When the
    /// Primary cannot be reached there is no answer: give the session up.
    Fetch {
        /// Which file.
        what: RemoteName,
        /// Stop after this many bytes.
        max_len: u64,
    },
    /// Make what was written aside durable under this name, with the Root version it was accepted
    /// under, and only then answer [`StreamReply::Kept`].
    Keep {
        /// Which file.
        name: StoreName,
        /// The file's version.
        version: u64,
        /// Version of the Root that was current when the file was accepted.
        accepted_under: u64,
    },
    /// The end. Asked again, the session says that it is over.
    Done(Result<Partial, Reject>),
}

/// The answer to a [`StreamStep`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StreamReply {
    /// The stored file was fed to its end.
    Stored {
        /// What it was kept with; `None` if the store does not know.
        accepted_under: Option<u64>,
    },
    /// The file from the Primary was fed to its end.
    Fetched,
    /// The store or the Primary does not have the file. What was fed of it is forgotten.
    NotFound,
    /// The file goes on after `max_len` bytes.
    TooLarge,
    /// The file is durable.
    Kept,
}

#[derive(Debug)]
enum State {
    Stored(Box<Anchor>, Box<Intake>),
    History(Box<Anchor>, Read, Option<u64>, Former),
    Fetch(Box<Anchor>, Option<Read>, Box<Intake>),
    Keep(Box<Anchor>, Box<Accepted>),
    Done(Box<Partial>),
    Refused(Reject),
    Over,
}

type Transition = Result<State, Reject>;

impl PartialStream {
    /// Goes on from the last Root, for one ECU of the vehicle `vin`.
    pub fn new(followed: Followed, vin: Vin, ecu: Ecu, context: Context) -> Self {
        Self::of(Rules::new(File::Targets, vin, ecu, context), followed)
    }

    /// As [`PartialStream::new`], for the Offline Targets file `NAME.json` of a bundle (PURE-2). Where
    /// it names the vehicles it is for, that list has the bound of a part.
    pub fn offline(
        followed: Followed,
        vin: Vin,
        ecu: Ecu,
        name: OfflineName,
        context: Context,
    ) -> Self {
        Self::of(Rules::new(File::Offline(name), vin, ecu, context), followed)
    }

    fn of(rules: Rules, followed: Followed) -> Self {
        let state = match rules.start(followed) {
            Ok(anchor) => {
                let intake = Intake::new(&rules, &anchor);
                State::Stored(Box::new(anchor), intake)
            }
            Err(reject) => State::Refused(reject),
        };
        Self { rules, state }
    }

    /// What is needed now.
    #[expect(
        clippy::should_implement_trait,
        reason = "named as in `Protocol`; it is no iterator"
    )]
    pub fn next(&mut self) -> StreamStep {
        match &self.state {
            State::Stored(..) => StreamStep::Load {
                name: self.rules.stored_as(),
            },
            State::History(_, _, _, former) => StreamStep::Load {
                name: StoreName::RootHistory(former.version),
            },
            State::Fetch(..) => StreamStep::Fetch {
                what: self.rules.fetched_as(),
                max_len: self.rules.context.limits.targets_len,
            },
            State::Keep(anchor, accepted) => StreamStep::Keep {
                name: self.rules.stored_as(),
                version: accepted.mark.version,
                accepted_under: anchor.version,
            },
            State::Done(_) | State::Refused(_) | State::Over => {
                StreamStep::Done(match core::mem::replace(&mut self.state, State::Over) {
                    State::Done(partial) => Ok(*partial),
                    State::Refused(reject) => Err(reject.at(&self.rules.context.repository)),
                    _ => Err(misuse("the session is over")),
                })
            }
        }
    }

    /// Takes the next chunk of the file that is being loaded or fetched. Whatever is wrong with the
    /// file is said at its end.
    ///
    /// # Errors
    /// `too-large` when a fetched file goes on beyond its bound: stop reading, and answer
    /// [`StreamReply::TooLarge`] or [`StreamReply::Fetched`]. `misuse` when no file was asked for.
    pub fn feed(&mut self, chunk: &[u8]) -> Result<(), Reject> {
        match &mut self.state {
            State::Stored(_, intake) => intake.feed(chunk),
            State::History(_, _, _, former) => former.feed(chunk),
            State::Fetch(_, _, intake) => {
                intake.feed(chunk);
                if intake.length > self.rules.context.limits.targets_len {
                    return Err(link::no_file(self.rules.role(), Reply::TooLarge));
                }
            }
            _ => return Err(misuse("no file was asked for")),
        }
        Ok(())
    }

    /// Answers the current step. A wrong kind of answer ends the session with `misuse`.
    pub fn supply(&mut self, reply: StreamReply) {
        let state = core::mem::replace(&mut self.state, State::Over);
        let next = match (state, reply) {
            (State::Stored(anchor, intake), StreamReply::Stored { accepted_under }) => {
                // One that does not verify, or that this session does not read, is absent.
                let floor = intake.finish(&self.rules).ok();
                let floor = floor.map(|floor| self.rules.floor(floor));
                Ok(self.recall(anchor, floor, accepted_under))
            }
            (State::Stored(anchor, intake), StreamReply::NotFound) => {
                // Its buffer makes room for the next one.
                drop(intake);
                Ok(self.fetch(anchor, None))
            }
            (State::History(mut anchor, floor, accepted_under, former), reply) => {
                match anchor.rotations.add_history(former.answer(reply)) {
                    Ok(()) => Ok(self.recall(anchor, Some(floor), accepted_under)),
                    Err(reject) => Err(reject),
                }
            }
            (State::Fetch(anchor, floor, intake), reply) => {
                self.fetched(anchor, floor, intake, reply)
            }
            (State::Keep(anchor, accepted), StreamReply::Kept) => self.conclude(&anchor, *accepted),
            (State::Refused(reject), _) => Err(reject),
            _ => Err(misuse("the answer does not fit the step")),
        };
        self.state = next.unwrap_or_else(State::Refused);
    }

    /// Whether what was read is a floor, which may depend on former Roots.
    fn recall(
        &self,
        anchor: Box<Anchor>,
        floor: Option<Read>,
        accepted_under: Option<u64>,
    ) -> State {
        let Some(floor) = floor else {
            return self.fetch(anchor, None);
        };
        match self.rules.recall(&anchor, accepted_under) {
            Recall::NeedRoot(version) => {
                let former = Former::new(version, self.rules.context.limits.root_len);
                State::History(anchor, floor, accepted_under, former)
            }
            Recall::Forget => self.fetch(anchor, None),
            Recall::Keep => self.fetch(anchor, Some(floor)),
        }
    }

    fn fetch(&self, anchor: Box<Anchor>, floor: Option<Read>) -> State {
        let intake = Intake::new(&self.rules, &anchor);
        State::Fetch(anchor, floor, intake)
    }

    fn fetched(
        &self,
        anchor: Box<Anchor>,
        floor: Option<Read>,
        intake: Box<Intake>,
        reply: StreamReply,
    ) -> Transition {
        let rules = &self.rules;
        let too_large = intake.length > rules.context.limits.targets_len;
        match reply {
            StreamReply::Fetched if !too_large => {}
            StreamReply::Fetched | StreamReply::TooLarge => {
                return Err(link::no_file(rules.role(), Reply::TooLarge));
            }
            StreamReply::NotFound => return Err(link::no_file(rules.role(), Reply::NotFound)),
            _ => return Err(misuse("a file from the repository was asked for")),
        }
        let file = intake
            .finish(rules)
            .map_err(|error| Reject::metadata(rules.role(), error))?;
        match rules.judge(file, floor)? {
            Judged::New(accepted) => Ok(State::Keep(anchor, Box::new(accepted))),
            Judged::Known(accepted) => self.conclude(&anchor, accepted),
        }
    }

    fn conclude(&self, anchor: &Anchor, accepted: Accepted) -> Transition {
        let partial = self.rules.conclude(anchor, accepted)?;
        Ok(State::Done(Box::new(partial)))
    }
}

/// A file that is passing, and what is for this ECU of the entries that have passed.
#[derive(Debug)]
struct Intake {
    length: u64,
    stream: TargetsStream,
    pick: Pick,
}

/// What is picked of the entries. The first that must not stand there is noted, and only counts once
/// somebody has vouched for the file.
#[derive(Debug)]
struct Pick {
    serial: EcuSerial,
    entries: Entries,
    own: Result<Option<Box<Own>>, Reject>,
}

impl Intake {
    fn new(rules: &Rules, anchor: &Anchor) -> Box<Self> {
        let authority: Arc<Authority> = Arc::clone(&anchor.authority);
        Box::new(Self {
            length: 0,
            stream: TargetsStream::new(authority, rules.context.limits.part_len),
            pick: Pick {
                serial: rules.ecu.serial.clone(),
                entries: Entries::default(),
                own: Ok(None),
            },
        })
    }

    fn feed(&mut self, chunk: &[u8]) {
        self.length = self.length.saturating_add(chunk.len() as u64);
        let Self { stream, pick, .. } = self;
        stream.feed(chunk, &mut |target| pick.take(target));
    }

    /// What is needed of the file, if it was signed.
    #[inline(never)]
    #[expect(
        clippy::boxed_local,
        reason = "unboxed it would stand on the stack above a signature's check"
    )]
    fn finish(self: Box<Self>, rules: &Rules) -> Result<Read, MetadataError> {
        let Self { stream, pick, .. } = *self;
        let targets = stream.finish()?;
        let header = targets.header();
        Ok(Read {
            mark: Mark {
                version: header.version,
                digest: *targets.sha256(),
            },
            expires: header.expires,
            own: rules.streamed(&targets, pick.own),
        })
    }
}

impl Pick {
    fn take(&mut self, target: &StreamedTarget<'_>) {
        let Ok(own) = &mut self.own else {
            return;
        };
        let custom = || target.director_custom();
        match self.entries.take(target.path(), custom) {
            Ok((path, custom)) => {
                let found = Own::of(path, target.file(), custom, &self.serial);
                *own = own.take().or(found);
            }
            Err(reject) => self.own = Err(reject),
        }
    }
}

impl Rules {
    /// What a file that has passed assigns to this ECU, if it is for this vehicle: asked in the order
    /// in which it is asked of a file that is all there.
    fn streamed(
        &self,
        targets: &StreamedTargets,
        own: Result<Option<Box<Own>>, Reject>,
    ) -> Result<Option<Box<Own>>, Reject> {
        match &self.file {
            File::Targets => self.vehicle.check_named(targets.vin(), self.role())?,
            File::Offline(name) => {
                check_carried(targets.offline_custom(), name, &self.vehicle.vin)?
            }
        }
        let own = check_extent(targets.delegates(), targets.len()).and(own);
        own.map_err(|reject| Reject {
            role: self.role().into(),
            ..reject
        })
    }
}

/// A former Root on its way from the store. Roots are small, and held as a whole.
#[derive(Debug)]
struct Former {
    version: u64,
    max_len: u64,
    /// `None` once it was too much.
    bytes: Option<Vec<u8>>,
}

impl Former {
    fn new(version: u64, max_len: u64) -> Self {
        Self {
            version,
            max_len,
            bytes: Some(Vec::new()),
        }
    }

    fn feed(&mut self, chunk: &[u8]) {
        if let Some(bytes) = &mut self.bytes {
            let length = bytes.len().saturating_add(chunk.len());
            match length as u64 <= self.max_len && bytes.try_reserve(chunk.len()).is_ok() {
                true => bytes.extend_from_slice(chunk),
                false => self.bytes = None,
            }
        }
    }

    /// As whoever holds whole files would say it. None that was ever saved is beyond the bound: such a
    /// one is no Root.
    fn answer(self, reply: StreamReply) -> Reply {
        match (reply, self.bytes) {
            (StreamReply::Stored { accepted_under }, Some(bytes)) => Reply::Stored(Stored {
                bytes,
                accepted_under,
            }),
            (StreamReply::Stored { .. }, None) | (StreamReply::NotFound, _) => Reply::NotFound,
            (StreamReply::Fetched | StreamReply::TooLarge, _) => Reply::TooLarge,
            (StreamReply::Kept, _) => Reply::Saved,
        }
    }
}
