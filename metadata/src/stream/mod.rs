//! A Targets file that is never all there: it passes in chunks of any size, and what is held of it does
//! not grow with its length.
//!
//! A device with less memory than its metadata reads it like this. It takes the form in which
//! repositories publish and nothing else: `signatures` before `signed`, and in `signed` canonical form,
//! so that the bytes that pass are the bytes that were signed. What is valid JSON in another form is
//! refused with an error of its own ([`MetadataError::NotCanonical`]).
//!
//! Every part of the file that has a meaning of its own (an entry of `signatures` or of `targets`, a
//! field of the header) is gathered in one buffer with a bound, and then read by the same code that
//! reads whole files. Nothing is known before the end: the entries that pass are on nobody's word until
//! [`TargetsStream::finish`] says that a threshold has signed them.
//!
//! ```
//! use std::sync::Arc;
//!
//! use countersign_metadata::stream::TargetsStream;
//! use countersign_metadata::{
//!     Authority, Key, PublicKey, RoleKeys, TargetFile, TargetPath, TargetsBuilder, Unsigned, limits,
//! };
//! use ed25519_dalek::{Signer, SigningKey};
//!
//! let mut targets = TargetsBuilder::new("2030-01-31T00:00:00Z".parse()?);
//! for name in ["a.img", "b.img", "c.img"] {
//!     targets.targets.insert(TargetPath::new(name)?, TargetFile::describing(name.as_bytes()));
//! }
//! let signer = SigningKey::from_bytes(&[7; 32]);
//! let key = Key::new(&PublicKey::Ed25519(signer.verifying_key().to_bytes()));
//! let id = key.id();
//! let mut file = Unsigned::new(targets.to_payload());
//! let signature = signer.sign(file.payload()).to_bytes();
//! file.add_signature(id.clone(), signature.to_vec());
//!
//! let trusted = Authority::assume("targets", &RoleKeys::new([id.clone()], 1), &[(id, key)].into());
//! let mut stream = TargetsStream::new(Arc::new(trusted), limits::MAX_STREAMED_PART);
//! let mut found = None;
//! for chunk in file.to_file().chunks(10) {
//!     stream.feed(chunk, &mut |target| {
//!         if target.path() == "b.img" {
//!             found = Some(target.file());
//!         }
//!     });
//! }
//! let verified = stream.finish()?; // before this, `found` is nobody's word
//! assert_eq!((verified.header().version, verified.len()), (1, 3));
//! assert_eq!(found.map(|file| file.length), Some(5));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod candidates;
mod content;
mod part;
mod reading;

use alloc::boxed::Box;
use alloc::sync::Arc;

use crate::authority::Authority;
use crate::error::MetadataError;

pub use self::content::{StreamedTarget, StreamedTargets};
use self::reading::Reading;

/// A file of kind Targets on its way.
///
/// What it holds at a time, beyond some hundred bytes: a buffer for a part, up to as much again of what is
/// kept to the end, the names that stand
/// last in the file's objects, a hash state for each signature whose key the role lists, and 8 bytes for
/// each other signature. RSA keys count nothing here.
#[derive(Debug)]
pub struct TargetsStream {
    /// What is wrong is said at the end; what was held of the file goes at once.
    reading: Result<Box<Reading>, MetadataError>,
}

impl TargetsStream {
    /// For a file that `authority` has to have signed. No part of it may have more than `part_len`
    /// bytes: an entry of `signatures` or of `targets`, a name, a value at the top of `signed`; the
    /// header's fields, `custom` and `delegations` may have as much together
    /// ([`limits::MAX_STREAMED_PART`](crate::limits::MAX_STREAMED_PART) where a device has no bound of
    /// its own).
    pub fn new(authority: Arc<Authority>, part_len: usize) -> Self {
        Self {
            reading: Reading::new(authority, part_len).map(Box::new),
        }
    }

    /// Takes the next bytes and shows the entries of `targets` that end in them, in the order of the
    /// file, which is that of their paths. Nobody has vouched for them yet.
    pub fn feed(&mut self, chunk: &[u8], show: &mut dyn FnMut(&StreamedTarget<'_>)) {
        if let Ok(reading) = &mut self.reading
            && let Err(error) = reading.feed(chunk, show)
        {
            self.reading = Err(error);
        }
    }

    /// Whether the file is refused already, whatever may follow.
    pub fn is_refused(&self) -> bool {
        self.reading.is_err()
    }

    /// The file has ended: whether it was signed, and what it says. What was shown before is now on the
    /// word of whoever signed.
    ///
    /// # Errors
    /// In this order: [`MetadataError::Malformed`], [`MetadataError::Field`],
    /// [`MetadataError::NotCanonical`] or [`MetadataError::TooLarge`] for the file's form;
    /// [`MetadataError::SignatureThreshold`]; what is wrong with the content.
    pub fn finish(self) -> Result<StreamedTargets, MetadataError> {
        self.reading?.finish()
    }
}
