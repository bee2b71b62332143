//! What an ECU downloads: the image, or its ciphertext.

use alloc::format;

use super::directed::Directed;
use crate::measure::{Measure, Mismatch};
use crate::reject::{Code, Reject};

/// The bytes of one download on their way, bound to the length and hashes that metadata lists for
/// what is served.
pub struct DownloadStream {
    directed: Directed,
    measure: Measure,
}

impl core::fmt::Debug for DownloadStream {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("DownloadStream")
            .field("directed", &self.directed)
            .field("seen", &self.measure.seen())
            .finish()
    }
}

/// The bytes that are served for an image were seen whole, and their length and every listed hash
/// held. It may be passed on to the ECU that it is for. It is no proof for an installer: of an
/// encrypted image only that ECU can tell.
#[derive(Debug)]
pub struct VerifiedDownload {
    directed: Directed,
}

impl DownloadStream {
    pub(super) fn new(directed: &Directed) -> Result<Self, Reject> {
        let (length, hashes) = directed.download();
        match Measure::against(length, hashes) {
            Some(measure) => Ok(Self {
                directed: directed.clone(),
                measure,
            }),
            None => Err(directed.no_known_hash()),
        }
    }

    /// Takes the next bytes.
    ///
    /// # Errors
    /// `image-too-long` as soon as they go beyond the signed length: stop reading.
    pub fn update(&mut self, bytes: &[u8]) -> Result<(), Reject> {
        let result = self.measure.update(bytes);
        result.map_err(|mismatch| refuse(&self.directed, mismatch))
    }

    /// Ends the stream.
    ///
    /// # Errors
    /// `image-hash`, `image-too-long`
    pub fn finish(self) -> Result<VerifiedDownload, Reject> {
        let Self { directed, measure } = self;
        match measure.finish(directed.path().as_str()) {
            Ok(()) => Ok(VerifiedDownload { directed }),
            Err(mismatch) => Err(refuse(&directed, mismatch)),
        }
    }
}

impl VerifiedDownload {
    /// For which image and ECU.
    pub fn directed(&self) -> &Directed {
        &self.directed
    }
}

fn refuse(directed: &Directed, mismatch: Mismatch) -> Reject {
    match mismatch {
        Mismatch::TooLong => {
            let (length, _) = directed.download();
            let detail = format!("{} goes on beyond its {length} bytes", directed.path());
            directed.reject(Code::ImageTooLong, detail)
        }
        Mismatch::Other(detail) => directed.reject(Code::ImageHash, detail),
    }
}
