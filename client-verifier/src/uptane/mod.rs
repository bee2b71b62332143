//! What an ECU of a vehicle believes (Uptane 5.4.4): an image runs only when the Image repository
//! and the Director have both signed for it.
//!
//! Full verification is a chain of sessions, each of which needs what the one before it proved:
//! [`FollowRoot`](crate::FollowRoot) in the Director's repository, [`attested_time`] on the word of
//! the time server that this Root names, [`DirectorSession`], an ordinary
//! [`Session`](crate::Session) with [`Profile::Image`](crate::Profile::Image) in the Image
//! repository, and [`Director::resolve`], which finds every image that the Director names in the
//! other repository and compares. What is left is [`Directed`]: one image for one ECU.

mod assignment;
mod directed;
mod director;
mod download;
mod offline;
mod partial;
mod resolve;
mod time;
mod vehicle;

pub use assignment::Assignment;
pub use directed::{Directed, Installed, Origin, Verification};
pub use director::{Director, DirectorSession, Mark};
pub use download::{DownloadStream, VerifiedDownload};
pub use offline::OfflineDirectorSession;
pub use partial::{Partial, PartialSession};
#[cfg(feature = "rustcrypto")]
pub use partial::{PartialStream, StreamReply, StreamStep};
pub use resolve::{Resolve, Update};
pub use time::{Attested, TimeFloor, attested_time, latest_attested};
pub use vehicle::{Ecu, Ecus, Vehicle};

pub(crate) use assignment::check_targets;
