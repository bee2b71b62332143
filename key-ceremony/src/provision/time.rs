//! The time that a device starts with (Uptane 5.4.1 (2)): one that has certainly passed.
//!
//! What a time server has attested is a floor, capped by the end of the Director's Root and bound
//! to the keys that attested it, exactly as devices keep it (docs/ecu-state.md). What the factory
//! states is no more than a start for a device's own clock: no key of the Root stands for it.

use std::path::PathBuf;

use countersign_metadata::uptane::{TimeAttestation, time_server};
use countersign_metadata::{Signed, UtcTime};
use countersign_verifier::uptane::attested_time;

use super::anchor::Anchor;
use super::limits;
use crate::error::CeremonyError;
use crate::files;
use crate::policy::{Finding, HOUSE, Weight};

/// Whose word on the time there is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TimeGiven {
    /// The factory's.
    Stated(UtcTime),
    /// A time server's: the file of an attestation.
    Attested(PathBuf),
}

/// A time that has certainly passed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Time {
    pub(crate) floor: UtcTime,
    pub(crate) attested: Option<Attested>,
}

/// What makes it more than somebody's word.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Attested {
    /// Names the time keys, as a device's record does.
    pub(crate) keys: [u8; 32],
    /// The attestation, as it was read.
    pub(crate) file: Vec<u8>,
}

impl Time {
    /// Reads what was given and judges it at `now`.
    pub(crate) fn read(
        given: &TimeGiven,
        director: Option<&Anchor>,
        now: UtcTime,
    ) -> Result<Self, CeremonyError> {
        let time = match given {
            TimeGiven::Stated(time) => Self::stated(*time),
            TimeGiven::Attested(path) => {
                let unusable = |why| CeremonyError::Exchange {
                    path: path.clone(),
                    why,
                };
                Self::attested(files::read(path, limits::SMALL)?, director).map_err(unusable)?
            }
        };
        match time.floor > now {
            true => Err(CeremonyError::Refused(format!(
                "{} has not come yet by this machine's clock, which says {now}. Devices would \
                 refuse every honest time before it; set the wrong clock right, or state a time \
                 that has passed",
                time.floor
            ))),
            false => Ok(time),
        }
    }

    pub(crate) fn stated(floor: UtcTime) -> Self {
        Self {
            floor,
            attested: None,
        }
    }

    /// On the word of the time server that the Director's Root names.
    pub(crate) fn attested(file: Vec<u8>, director: Option<&Anchor>) -> Result<Self, String> {
        let no_server = || "no Director's Root names a time server that could attest it".to_owned();
        let director = director.ok_or_else(no_server)?;
        let authority = time_server(director.root()).map_err(|error| error.to_string())?;
        let authority = authority.ok_or_else(no_server)?;
        let verified = Signed::<TimeAttestation>::parse(file.clone())
            .and_then(|signed| signed.verify(&authority))
            .map_err(|error| error.to_string())?;
        // Whoever asked for it: a time that was attested once has passed for everybody.
        let nonce = verified.content().nonces.first();
        let nonce = *nonce.ok_or("it answers nobody's nonce")?;
        let judged = attested_time(&director.followed(), Some(file.clone()), &nonce, None);
        match judged.map_err(|reject| reject.to_string())? {
            Some(attested) => Ok(Self {
                floor: attested.floor.time,
                attested: Some(Attested {
                    keys: attested.floor.keys,
                    file,
                }),
            }),
            None => Err(no_server()),
        }
    }

    /// `attested` or `stated`
    pub(crate) fn source(&self) -> &'static str {
        match self.attested {
            Some(_) => "attested",
            None => "stated",
        }
    }

    /// Whether it is recent enough to be of use (5.4.1 (2)).
    pub(crate) fn findings(&self, now: UtcTime) -> Vec<Finding> {
        match now.unix().saturating_sub(self.floor.unix()) > limits::LONG_AGO {
            false => Vec::new(),
            true => vec![Finding {
                name: "time-long-ago".into(),
                weight: Weight::Warn,
                subject: "time".into(),
                text: format!(
                    "{} is more than a month ago; a device takes what has expired since then for \
                     fresh until it learns the time",
                    self.floor
                ),
                source: HOUSE.into(),
            }],
        }
    }
}
