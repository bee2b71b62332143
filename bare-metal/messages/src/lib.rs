//! What the firmware that is put through the vectors and its host say to each other.
//!
//! The host gives an [`Order`]. The firmware then asks one [`Question`] after the other, each of which the
//! host gives an [`Answer`] to, and ends with [`Question::Done`]. So the host is network, storage and clock,
//! and everything that is decided is decided in the firmware.
//!
//! On the way a message is a frame: its length as four bytes, least significant first, and then the message
//! as `postcard` writes it. Neither side accepts a frame of more than [`MAX_FRAME`] bytes.
#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;

use alloc::string::String;
use alloc::vec::Vec;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

/// The longest frame in bytes. The largest file of the cases in scope has a little more than 1 MiB.
pub const MAX_FRAME: usize = 2 << 20;

/// The file that the host writes and the firmware reads, in the working directory of the emulator.
pub const TO_BOARD: &str = "to-board";

/// The file that the firmware writes and the host reads.
pub const FROM_BOARD: &str = "from-board";

/// From the host: what to do. Times are Unix seconds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Order {
    /// Be a new TUF client, with this Root.
    Tuf {
        /// The Root that it is provisioned with.
        root: Vec<u8>,
    },
    /// Be a new ECU.
    Ecu(Ecu),
    /// As a TUF client, update the metadata.
    Refresh {
        /// The time.
        now: i64,
    },
    /// As a TUF client, update the metadata and download these targets, up to the first failure.
    Download {
        /// The time.
        now: i64,
        /// Their paths.
        names: Vec<String>,
    },
    /// As an ECU, verify what the Director assigns.
    Cycle(Cycle),
    /// As an ECU, install what the last cycle has found.
    Install {
        /// The time.
        now: i64,
        /// The image, if there is one.
        image: Option<Vec<u8>>,
    },
}

/// An ECU that verifies in part, as it leaves the factory.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ecu {
    /// The vehicle.
    pub vin: String,
    /// This ECU.
    pub serial: String,
    /// Its hardware.
    pub hardware_id: String,
    /// What runs on it.
    pub installed: Option<Installed>,
    /// The Director's Root.
    pub root: Vec<u8>,
    /// Files go into the sessions in chunks of this many bytes, not in one piece.
    pub chunk: Option<u32>,
}

/// An image that runs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Installed {
    /// Its target path.
    pub path: String,
    /// Its release counter.
    pub release_counter: u64,
    /// Its length in bytes.
    pub length: u64,
    /// Its SHA-256.
    pub sha256: [u8; 32],
}

/// What an ECU has for a cycle.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cycle {
    /// The time, for an ECU whose Director names no time server.
    pub now: i64,
    /// The nonce that it has drawn.
    pub nonce: Option<[u8; 16]>,
    /// What the time server has answered.
    pub attestation: Option<Vec<u8>>,
    /// The name of the Offline Targets file, when all comes out of an offline bundle.
    pub offline: Option<String>,
}

/// From the firmware: what it needs, or what came of an order.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Question {
    /// A file out of the store: [`Answer::Stored`] or [`Answer::NotFound`].
    Load {
        /// What it is stored as.
        name: String,
    },
    /// A metadata file: [`Answer::File`], [`Answer::NotFound`] or [`Answer::Failed`].
    Fetch {
        /// Where it is: `metadata`, or `offline` in a bundle.
        folder: String,
        /// Its name.
        file: String,
    },
    /// Keep a file: [`Answer::Saved`].
    Save {
        /// What it is stored as: a Root by `root` and, by its version, as `history/1`; a role by its name,
        /// a delegated one as `delegated/NAME`, an Offline Targets file as `offline/NAME`.
        name: String,
        /// The Root version that it was accepted under.
        accepted_under: Option<u64>,
        /// The file.
        bytes: Vec<u8>,
    },
    /// An image, below the targets URL: as [`Question::Fetch`].
    Image {
        /// Its path.
        path: String,
    },
    /// The end of an order.
    Done(Outcome),
}

/// From the host: the answer to a [`Question`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Answer {
    /// A file out of the store, and what it was saved with.
    Stored {
        /// The file.
        bytes: Vec<u8>,
        /// The Root version that it was accepted under.
        accepted_under: Option<u64>,
    },
    /// A file out of the repository.
    File(Vec<u8>),
    /// There is no such file.
    NotFound,
    /// The repository cannot be reached.
    Failed,
    /// It is durable.
    Saved,
}

/// What came of an order.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Outcome {
    /// Why it was refused, if it was.
    pub refusal: Option<Refusal>,
    /// As an ECU: what the last cycle has found.
    pub assigned: Vec<Assigned>,
    /// As a TUF client: SHA-256 of the targets that were verified.
    pub downloads: Vec<[u8; 32]>,
    /// As an ECU: SHA-256 of the image that was installed since the factory.
    pub installed: Option<[u8; 32]>,
}

/// A refusal.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Refusal {
    /// The stable number of the code.
    pub code: u16,
    /// The role.
    pub role: String,
    /// The repository.
    pub repository: String,
    /// The name of the attack that was stopped.
    pub attack: String,
    /// The number of the code of what led to it, if anything did.
    pub cause: Option<u16>,
    /// The particulars.
    pub detail: String,
}

/// One image for an ECU.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Assigned {
    /// The ECU.
    pub ecu: String,
    /// Its target path.
    pub path: String,
    /// Its release counter.
    pub release_counter: u64,
    /// Whether it travels encrypted.
    pub encrypted: bool,
}

/// `message` as a frame; `None` if it is too long for one.
pub fn to_frame(message: &impl Serialize) -> Option<Vec<u8>> {
    let frame = postcard::to_extend(message, Vec::from([0; 4])).ok()?;
    let length = frame.len().checked_sub(4)?;
    let mut frame = frame;
    let prefix = u32::try_from(length).ok()?.to_le_bytes();
    frame.get_mut(..4)?.copy_from_slice(&prefix);
    (length <= MAX_FRAME).then_some(frame)
}

/// The length that the first four bytes of a frame state; `None` if it is too long.
pub fn frame_length(prefix: [u8; 4]) -> Option<usize> {
    let length = usize::try_from(u32::from_le_bytes(prefix)).ok()?;
    (length <= MAX_FRAME).then_some(length)
}

/// The message of a frame, without its first four bytes; `None` if it is none.
pub fn from_frame<T: DeserializeOwned>(body: &[u8]) -> Option<T> {
    match postcard::take_from_bytes(body).ok()? {
        (message, []) => Some(message),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_it_writes() {
        let question = Question::Save {
            name: "history/7".into(),
            accepted_under: Some(7),
            bytes: b"{}".to_vec(),
        };
        let frame = to_frame(&question).expect("a frame");
        let length = frame_length(frame[..4].try_into().unwrap());
        assert_eq!(length, Some(frame.len() - 4));
        assert_eq!(from_frame::<Question>(&frame[4..]), Some(question));
    }

    #[test]
    fn refuses_what_is_cut_or_goes_on_or_is_too_long() {
        let mut frame = to_frame(&Answer::File(b"abc".to_vec())).expect("a frame");
        assert_eq!(from_frame::<Answer>(&frame[4..frame.len() - 1]), None);
        frame.push(0);
        assert_eq!(from_frame::<Answer>(&frame[4..]), None);
        assert_eq!(frame_length([0xff; 4]), None);
        assert_eq!(to_frame(&Answer::File([0; MAX_FRAME].to_vec())), None);
    }
}
