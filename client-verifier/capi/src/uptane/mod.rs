//! What an ECU of a vehicle believes (Uptane 5.4.4), step by step: the Director's Root, the time, the
//! Director's metadata, the Image repository's, and what both say of each image.

mod bundle;
mod directed;
mod director;
mod ids;
mod root;

pub use self::bundle::*;
pub use self::directed::*;
pub use self::director::*;
pub use self::ids::*;
pub use self::root::*;

pub(crate) use self::directed::{DecryptionKey, Sealed, Sink};
pub(crate) use self::director::{DirectorObject, UpdateObject};
pub(crate) use self::ids::{ecu, installed, mapping, parsed};
pub(crate) use self::root::FollowedObject;
