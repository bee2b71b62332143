//! An encrypted image, read as the image.

use std::io::{self, Read};

use countersign_encryption::{
    Decapsulate, Decryptor, EncryptionError, FileInfo, WrapContext, unwrap,
};
use countersign_metadata::UtcTime;
use countersign_metadata::uptane::{EncryptedTarget, WrappedKey};
use countersign_verifier::uptane::{Directed, DownloadStream};
use countersign_verifier::{Code, Reject};
use zeroize::Zeroizing;

/// Bytes of ciphertext taken in at a time.
const CHUNK: usize = 64 * 1024;

/// Decrypts what it reads. The ciphertext has to be the one that the Director lists, to the last
/// byte, and no plaintext leaves before its segment was verified. Errors wrap a [`Reject`], or
/// are those of the source.
pub(super) struct Plaintext<'r> {
    ciphertext: &'r mut dyn Read,
    /// `None` once the end was seen.
    checks: Option<(DownloadStream, Decryptor)>,
    buffer: Zeroizing<Vec<u8>>,
    plain: Zeroizing<Vec<u8>>,
    given: usize,
}

impl<'r> Plaintext<'r> {
    /// Starts with the first byte of `ciphertext`, after unwrapping the content key with `key`.
    pub(super) fn new(
        directed: &Directed,
        (encrypted, wrapped): (&EncryptedTarget, &WrappedKey),
        key: &dyn Decapsulate,
        now: UtcTime,
        ciphertext: &'r mut dyn Read,
    ) -> Result<Self, Reject> {
        let context = WrapContext {
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
        };
        let decryptor = unwrap(wrapped, &context, key)
            .and_then(|key| Decryptor::new(&key, encrypted.length))
            .map_err(|error| to_reject(&error))?;
        Ok(Self {
            ciphertext,
            checks: Some((directed.open_download(now)?, decryptor)),
            buffer: Zeroizing::new(vec![0; CHUNK]),
            plain: Zeroizing::new(Vec::new()),
            given: 0,
        })
    }

    /// Takes more ciphertext in, until there is plaintext or the end.
    fn fill(&mut self) -> io::Result<()> {
        self.plain.clear();
        self.given = 0;
        while self.plain.is_empty() {
            let Some((download, decryptor)) = &mut self.checks else {
                return Ok(());
            };
            let n = self.ciphertext.read(&mut self.buffer)?;
            if n > 0 {
                let bytes = &self.buffer[..n];
                download.update(bytes).map_err(io::Error::other)?;
                let plain = &mut self.plain;
                let mut keep = |bytes: &[u8]| {
                    plain.extend_from_slice(bytes);
                    Ok(())
                };
                let done: Result<(), EncryptionError> = decryptor.update(bytes, &mut keep);
                done.map_err(|error| io::Error::other(to_reject(&error)))?;
            } else if let Some((download, decryptor)) = self.checks.take() {
                download.finish().map_err(io::Error::other)?;
                let whole = decryptor.finish();
                whole.map_err(|error| io::Error::other(to_reject(&error)))?;
            }
        }
        Ok(())
    }
}

impl Read for Plaintext<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.given == self.plain.len() {
            self.fill()?;
        }
        let rest = &self.plain[self.given..];
        let n = rest.len().min(buffer.len());
        buffer[..n].copy_from_slice(&rest[..n]);
        self.given += n;
        Ok(n)
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
    Reject::new(code, "targets", error.to_string()).at("director")
}
