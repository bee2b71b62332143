//! An encrypted image on its way to the image gate, pushed in as it arrives.

use countersign_encryption::{
    Decapsulate, Decryptor, EncryptionError, FileInfo, WrapContext, unwrap,
};
use countersign_metadata::UtcTime;
use countersign_metadata::uptane::{EncryptedTarget, WrappedKey};
use countersign_verifier::uptane::{Directed, DownloadStream};
use countersign_verifier::{Code, Reject};

/// Decrypts what it takes in. The ciphertext has to be the one that the Director lists, to the last
/// byte, and no plaintext leaves before its segment was verified. That it is the image is for the
/// image gate to say.
pub struct Sealed {
    download: DownloadStream,
    decryptor: Decryptor,
}

impl Sealed {
    /// Starts with the first byte of the ciphertext of `directed`, after unwrapping the content key
    /// with `key`.
    ///
    /// # Errors
    /// `key-unwrap-failed`, also of an image that is not encrypted; `expired`, `unknown-encryption`,
    /// `decrypt-failed`, or `precondition-failed` if the key's home fails.
    pub fn open(directed: &Directed, key: &dyn Decapsulate, now: UtcTime) -> Result<Self, Reject> {
        let Some(encryption) = directed.encryption() else {
            let detail = format!("{} is not encrypted", directed.path());
            return Err(refuse(Code::KeyUnwrapFailed, detail));
        };
        let context = context(directed, encryption);
        let (encrypted, wrapped) = encryption;
        let decryptor = unwrap(wrapped, &context, key)
            .and_then(|key| Decryptor::new(&key, encrypted.length))
            .map_err(|error| to_reject(&error))?;
        Ok(Self {
            download: directed.open_download(now)?,
            decryptor,
        })
    }

    /// Takes the next bytes of ciphertext, and gives `sink` what they decrypt to.
    ///
    /// # Errors
    /// `image-too-long`, `decrypt-failed`, and what `sink` returns. Nothing is decrypted after one.
    pub fn update(
        &mut self,
        bytes: &[u8],
        sink: &mut dyn FnMut(&[u8]) -> Result<(), Reject>,
    ) -> Result<(), Reject> {
        self.download.update(bytes)?;
        let mut keep = |plain: &[u8]| sink(plain).map_err(Stopped::Refused);
        self.decryptor
            .update(bytes, &mut keep)
            .map_err(|stopped| match stopped {
                Stopped::Refused(reject) => reject,
                Stopped::Broken(error) => to_reject(&error),
            })
    }

    /// Where the next bytes of ciphertext go; empty when there is no more to come.
    pub fn room(&mut self) -> &mut [u8] {
        self.decryptor.room()
    }

    /// The first `n` bytes of [`Sealed::room`] came; [`Sealed::plain`] is what they decrypt to, if anything.
    ///
    /// # Errors
    /// As [`Sealed::update`].
    pub fn filled(&mut self, n: usize) -> Result<(), Reject> {
        let room = self.decryptor.room();
        let n = n.min(room.len());
        self.download.update(&room[..n])?;
        self.decryptor.filled(n).map_err(|error| to_reject(&error))
    }

    /// Plaintext whose segment was verified, until the next [`Sealed::room`].
    pub fn plain(&self) -> &[u8] {
        self.decryptor.plain()
    }

    /// The ciphertext is complete.
    ///
    /// # Errors
    /// `image-hash`, `decrypt-failed`
    pub fn finish(self) -> Result<(), Reject> {
        self.download.finish()?;
        self.decryptor.finish().map_err(|error| to_reject(&error))
    }
}

/// Why decrypting stopped.
enum Stopped {
    Refused(Reject),
    Broken(EncryptionError),
}

impl From<EncryptionError> for Stopped {
    fn from(error: EncryptionError) -> Self {
        Self::Broken(error)
    }
}

fn context(directed: &Directed, (encrypted, _): (&EncryptedTarget, &WrappedKey)) -> WrapContext {
    WrapContext {
        vin: directed.vin().clone(),
        serial: directed.ecu().serial.clone(),
        filename: directed.path().clone(),
        release_counter: directed.release_counter(),
        method: encrypted.method.clone(),
        plaintext: FileInfo {
            length: directed.file().length,
            hashes: directed.file().hashes.clone(),
        },
        ciphertext: FileInfo {
            length: encrypted.length,
            hashes: encrypted.hashes.clone(),
        },
    }
}

/// What is wrong with an encrypted image, as a refusal.
fn to_reject(error: &EncryptionError) -> Reject {
    let code = match error {
        EncryptionError::KeyUnwrap { .. } | EncryptionError::UnusableKey { .. } => {
            Code::KeyUnwrapFailed
        }
        EncryptionError::UnknownMethod { .. } => Code::UnknownEncryption,
        EncryptionError::Device(_) | EncryptionError::Random => Code::PreconditionFailed,
        EncryptionError::Io(_) => Code::FetchFailed,
        _ => Code::DecryptFailed,
    };
    refuse(code, error.to_string())
}

fn refuse(code: Code, detail: String) -> Reject {
    Reject::new(code, "targets", detail).at("director")
}
