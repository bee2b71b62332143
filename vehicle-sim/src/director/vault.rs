//! Confidential images: encrypted once, each content key wrapped for one ECU at a time.

use std::collections::BTreeMap;
use std::io::{Read, Write};

use countersign_encryption::{ContentKey, FileInfo, METHOD, WrapContext, encrypt, wrap};
use countersign_metadata::uptane::{EcuSerial, EncryptedTarget, EncryptionKey, Vin, WrappedKey};
use countersign_metadata::{TargetPath, UnsafePath};

use super::catalogue::CatalogueImage;
use super::error::DirectorError;

/// The content keys of encrypted images.
#[derive(Default)]
pub(super) struct Vault {
    images: BTreeMap<TargetPath, Sealed>,
}

/// One encrypted image.
pub(super) struct Sealed {
    key: ContentKey,
    plaintext: FileInfo,
    ciphertext: FileInfo,
    pub(super) target: EncryptedTarget,
}

impl std::fmt::Debug for Vault {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list().entries(self.images.keys()).finish()
    }
}

impl Vault {
    /// Encrypts `image` into `out`, if it is the one that the catalogue lists.
    pub(super) fn seal(
        &mut self,
        path: &TargetPath,
        listed: &CatalogueImage,
        image: &mut dyn Read,
        out: &mut dyn Write,
    ) -> Result<&Sealed, DirectorError> {
        // Both repositories have to state the same hashes, so what counts is what is listed.
        let listed = FileInfo {
            length: listed.file.length,
            hashes: listed.file.hashes.clone(),
        };
        if self
            .image(path)
            .is_some_and(|known| known.plaintext == listed)
        {
            return Err(DirectorError::AlreadyEncrypted(path.clone()));
        }
        let done = encrypt(image, out)?;
        let (plain, cipher) = (done.plaintext, done.ciphertext);
        if !is(&plain, &listed) {
            return Err(DirectorError::OtherImage(path.clone()));
        }
        let name = encrypted_name(path).map_err(|_| DirectorError::OtherImage(path.clone()))?;
        let target = EncryptedTarget::new(name, cipher.length, cipher.hashes.clone(), METHOD);
        let sealed = Sealed {
            key: done.key,
            plaintext: listed,
            ciphertext: cipher,
            target,
        };
        self.images.insert(path.clone(), sealed);
        Ok(&self.images[path])
    }

    pub(super) fn image(&self, path: &TargetPath) -> Option<&Sealed> {
        self.images.get(path)
    }
}

impl Sealed {
    /// The content key, for one ECU of one vehicle.
    pub(super) fn wrap_for(
        &self,
        (vin, serial): (&Vin, &EcuSerial),
        (path, release_counter): (&TargetPath, u64),
        recipient: &EncryptionKey,
    ) -> Result<WrappedKey, DirectorError> {
        let context = WrapContext {
            vin: vin.clone(),
            serial: serial.clone(),
            filename: path.clone(),
            release_counter,
            method: METHOD.into(),
            plaintext: self.plaintext.clone(),
            ciphertext: self.ciphertext.clone(),
        };
        Ok(wrap(&self.key, recipient, &context)?)
    }
}

/// Whether what was read has every hash that is listed.
fn is(read: &FileInfo, listed: &FileInfo) -> bool {
    let (found, wanted) = (&read.hashes, &listed.hashes);
    read.length == listed.length
        && wanted.any_known()
        && wanted
            .sha256
            .is_none_or(|digest| found.sha256 == Some(digest))
        && wanted
            .sha512
            .is_none_or(|digest| found.sha512 == Some(digest))
}

fn encrypted_name(path: &TargetPath) -> Result<TargetPath, UnsafePath> {
    TargetPath::new(&format!("{path}.encrypted"))
}
