//! The image gate: bytes become a [`VerifiedImage`] when every listed hash and the length hold.

use alloc::boxed::Box;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use countersign_metadata::{TargetFile, TargetPath, UtcTime, percent_encode};

use crate::measure::{Measure, Mismatch};
use crate::reject::{Code, Reject};
use crate::uptane::Directed;

/// An image that current metadata lists. Made by a [`Search`](crate::Search) only.
#[derive(Debug, Clone)]
pub struct ListedTarget {
    pub(crate) path: TargetPath,
    pub(crate) file: TargetFile,
    pub(crate) role: String,
    pub(crate) repository: String,
    pub(crate) consistent: bool,
    pub(crate) valid_until: UtcTime,
}

impl ListedTarget {
    /// The target path.
    pub fn path(&self) -> &TargetPath {
        &self.path
    }

    /// Length, hashes and custom data.
    pub fn file(&self) -> &TargetFile {
        &self.file
    }

    /// The role that lists it.
    pub fn role(&self) -> &str {
        &self.role
    }

    /// When the first of the files that lead to it expires.
    pub fn valid_until(&self) -> UtcTime {
        self.valid_until
    }

    /// Where it is under the targets URL, each segment percent-encoded: `dir/HASH.name` in a
    /// consistent repository (TUF 5.7.3, 6.2.1).
    ///
    /// # Errors
    /// `no-known-hash` when no listed hash function is known.
    pub fn remote_path(&self) -> Result<String, Reject> {
        let hashes = &self.file.hashes;
        let prefix = match (hashes.sha256, hashes.sha512) {
            (Some(digest), _) => hex(&digest),
            (None, Some(digest)) => hex(&digest),
            (None, None) => return Err(self.no_known_hash()),
        };
        let path = match self.consistent {
            true => self.path.with_prefix(&prefix),
            false => self.path.to_string(),
        };
        let segments: Vec<String> = path.split('/').map(percent_encode).collect();
        Ok(segments.join("/"))
    }

    /// Starts checking its bytes at `now`: metadata that expired since it was listed no longer
    /// names an image to install.
    ///
    /// # Errors
    /// `expired`, or `no-known-hash`.
    pub fn open(self, now: UtcTime) -> Result<ImageStream, Reject> {
        self.check_fresh(now)?;
        match Measure::against(self.file.length, &self.file.hashes) {
            Some(measure) => Ok(ImageStream {
                target: self,
                directed: None,
                measure,
            }),
            None => Err(self.no_known_hash()),
        }
    }

    fn no_known_hash(&self) -> Reject {
        let detail = format!("{} is listed without sha256 or sha512", self.path);
        self.reject(Code::NoKnownHash, detail)
    }

    pub(crate) fn check_fresh(&self, now: UtcTime) -> Result<(), Reject> {
        let valid_until = self.valid_until;
        match now < valid_until {
            true => Ok(()),
            false => {
                let detail =
                    format!("the metadata that names it expired at {valid_until}; it is {now}");
                Err(self.reject(Code::Expired, detail))
            }
        }
    }

    fn mismatch(&self, mismatch: Mismatch) -> Reject {
        match mismatch {
            Mismatch::TooLong => {
                let (path, length) = (&self.path, self.file.length);
                let detail = format!("{path} goes on beyond its {length} bytes");
                self.reject(Code::ImageTooLong, detail)
            }
            Mismatch::Other(detail) => self.reject(Code::ImageHash, detail),
        }
    }

    fn reject(&self, code: Code, detail: String) -> Reject {
        Reject::new(code, &self.role, detail).at(&self.repository)
    }
}

/// The bytes of one image on their way, bound to its length and hashes. An installer may stage
/// them, nothing more, until [`ImageStream::finish`] says that they are the image.
pub struct ImageStream {
    target: ListedTarget,
    directed: Option<Box<Directed>>,
    measure: Measure,
}

impl core::fmt::Debug for ImageStream {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("ImageStream")
            .field("target", &self.target)
            .field("seen", &self.measure.seen())
            .finish()
    }
}

impl ImageStream {
    /// The image it should become.
    pub fn target(&self) -> &ListedTarget {
        &self.target
    }

    /// Whose gate it went through, where that was an ECU's.
    pub fn directed(&self) -> Option<&Directed> {
        self.directed.as_deref()
    }

    pub(crate) fn direct(&mut self, directed: Box<Directed>) {
        self.directed = Some(directed);
    }

    /// Bytes still to come.
    pub fn remaining(&self) -> u64 {
        self.measure.remaining()
    }

    /// Takes the next bytes.
    ///
    /// # Errors
    /// `image-too-long` as soon as they go beyond the signed length: stop reading. The stream
    /// refuses everything from then on.
    pub fn update(&mut self, bytes: &[u8]) -> Result<(), Reject> {
        let result = self.measure.update(bytes);
        result.map_err(|mismatch| self.target.mismatch(mismatch))
    }

    /// Ends the stream.
    ///
    /// # Errors
    /// `image-hash` when it is too short or any listed hash of a known function differs;
    /// `image-too-long` when [`ImageStream::update`] said so before.
    pub fn finish(self) -> Result<VerifiedImage, Reject> {
        let Self {
            target,
            directed,
            measure,
        } = self;
        match measure.finish(target.path.as_str()) {
            Ok(()) => Ok(VerifiedImage { target, directed }),
            Err(mismatch) => Err(target.mismatch(mismatch)),
        }
    }
}

/// The bytes of an image were seen whole, and its length and every listed hash held. This is
/// what `activate` of an installer takes.
#[derive(Debug)]
pub struct VerifiedImage {
    target: ListedTarget,
    directed: Option<Box<Directed>>,
}

impl VerifiedImage {
    /// What it is.
    pub fn target(&self) -> &ListedTarget {
        &self.target
    }

    /// For which ECU, hardware and release counter, where an ECU's gate let it through.
    pub fn directed(&self) -> Option<&Directed> {
        self.directed.as_deref()
    }

    /// Whether the metadata that names it is still fresh.
    ///
    /// # Errors
    /// `expired`
    pub fn check_fresh(&self, now: UtcTime) -> Result<(), Reject> {
        self.target.check_fresh(now)
    }
}

pub(crate) fn hex(digest: &[u8]) -> String {
    let mut text = String::with_capacity(digest.len() * 2);
    for byte in digest {
        for nibble in [byte >> 4, byte & 15] {
            text.extend(char::from_digit(u32::from(nibble), 16));
        }
    }
    text
}
