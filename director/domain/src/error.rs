//! Why a director does not do what it is asked to.

use countersign_encryption::EncryptionError;
use countersign_metadata::uptane::{EcuSerial, HardwareId, Vin};
use countersign_metadata::{MetadataError, TargetPath, UnsafePath};
use countersign_signing::SignError;

/// Why a director does not do what it is asked to. Nothing has changed then.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DirectorError {
    /// No such vehicle.
    #[error("vehicle {0} is not registered")]
    UnknownVehicle(Vin),
    /// No such ECU in the vehicle.
    #[error("vehicle {vin} has no ECU {serial}")]
    UnknownEcu {
        /// The vehicle.
        vin: Vin,
        /// What was asked for.
        serial: EcuSerial,
    },
    /// The Image repository lists no such image.
    #[error("{0} is not in the catalogue; publish it in the Image repository first")]
    UnknownImage(TargetPath),
    /// The image is for other hardware.
    #[error("{path} is not for {hardware_id}, the hardware of ECU {serial}")]
    Hardware {
        /// The image.
        path: TargetPath,
        /// The ECU.
        serial: EcuSerial,
        /// What it is.
        hardware_id: HardwareId,
    },
    /// The ECU would refuse it.
    #[error(
        "{path} has release counter {offered}, and ECU {serial} runs {installed}; release it again \
         with a higher one"
    )]
    OlderThanInstalled {
        /// The image.
        path: TargetPath,
        /// The ECU.
        serial: EcuSerial,
        /// Release counter of the image.
        offered: u64,
        /// Release counter of the image that was installed last.
        installed: u64,
    },
    /// The image must not travel in plain, and was not encrypted.
    #[error("{0} is confidential; encrypt it first")]
    NotEncrypted(TargetPath),
    /// There is a ciphertext of it.
    #[error("{0} is encrypted already, and one ciphertext serves all vehicles")]
    AlreadyEncrypted(TargetPath),
    /// The ECU has no key for it.
    #[error("{path} is encrypted, and ECU {serial} has no encryption key")]
    NoEncryptionKey {
        /// The image.
        path: TargetPath,
        /// The ECU.
        serial: EcuSerial,
    },
    /// The bytes are not those that the Image repository lists.
    #[error("these bytes are not {0} as the Image repository lists it")]
    OtherImage(TargetPath),
    /// The Image repository lists something else under this path by now.
    #[error("{0} was released again since it was assigned; assign it again")]
    Superseded(TargetPath),
    /// A key failed.
    #[error(transparent)]
    Sign(#[from] SignError),
    /// Encrypting failed.
    #[error(transparent)]
    Encryption(#[from] EncryptionError),
    /// A file of the director's own cannot be read back.
    #[error("a file of the director's own is damaged: {0}; put a backup in its place")]
    Damaged(#[from] MetadataError),
    /// It lists a path that no vehicle could store.
    #[error(transparent)]
    UnsafePath(#[from] UnsafePath),
    /// What is to be signed would expire after the year 9999.
    #[error("the clock is set too far ahead to sign anything; correct it")]
    Time,
}
