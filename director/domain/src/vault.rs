//! Confidential images: encrypted once, each content key wrapped for one ECU at a time.

use std::collections::BTreeMap;
use std::io::{Read, Write};

use countersign_encryption::{ContentKey, FileInfo, METHOD, WrapContext, encrypt, wrap};
use countersign_metadata::TargetPath;
use countersign_metadata::uptane::{EcuSerial, EncryptedTarget, EncryptionKey, Vin, WrappedKey};

use crate::catalogue::CatalogueImage;
use crate::error::DirectorError;

/// The content keys of encrypted images.
#[derive(Default)]
pub struct Vault {
    images: BTreeMap<TargetPath, Sealed>,
}

/// One encrypted image.
pub struct Sealed {
    key: ContentKey,
    plaintext: FileInfo,
    ciphertext: FileInfo,
    /// What Targets says of the ciphertext.
    pub target: EncryptedTarget,
}

impl std::fmt::Debug for Vault {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list().entries(self.images.keys()).finish()
    }
}

impl Vault {
    /// Encrypts `image` into `out`, if it is the one that the catalogue lists.
    pub fn seal(
        &mut self,
        path: &TargetPath,
        listed: &CatalogueImage,
        image: &mut dyn Read,
        out: &mut dyn Write,
    ) -> Result<EncryptedTarget, DirectorError> {
        if self.image(path, listed).is_some() {
            return Err(DirectorError::AlreadyEncrypted(path.clone()));
        }
        let listed = as_listed(listed);
        let done = encrypt(image, out)?;
        if !is(&done.plaintext, &listed) {
            return Err(DirectorError::OtherImage(path.clone()));
        }
        let sealed = Sealed::new(path, done.key, listed, done.ciphertext)?;
        let target = sealed.target.clone();
        self.images.insert(path.clone(), sealed);
        Ok(target)
    }

    /// Takes in what was encrypted before.
    pub fn restore(
        &mut self,
        path: &TargetPath,
        listed: &CatalogueImage,
        key: ContentKey,
        ciphertext: FileInfo,
    ) -> Result<(), DirectorError> {
        let sealed = Sealed::new(path, key, as_listed(listed), ciphertext)?;
        self.images.insert(path.clone(), sealed);
        Ok(())
    }

    /// The ciphertext of this content of an image; the path may have had another one before.
    pub fn image(&self, path: &TargetPath, listed: &CatalogueImage) -> Option<&Sealed> {
        let sealed = self.images.get(path);
        sealed.filter(|sealed| sealed.plaintext == as_listed(listed))
    }
}

impl Sealed {
    fn new(
        path: &TargetPath,
        key: ContentKey,
        plaintext: FileInfo,
        ciphertext: FileInfo,
    ) -> Result<Self, DirectorError> {
        let name = TargetPath::new(&format!("{path}.encrypted"))?;
        let hashes = ciphertext.hashes.clone();
        Ok(Self {
            target: EncryptedTarget::new(name, ciphertext.length, hashes, METHOD),
            key,
            plaintext,
            ciphertext,
        })
    }

    /// The content key.
    pub fn key(&self) -> &ContentKey {
        &self.key
    }

    /// The content key, for one ECU of one vehicle.
    pub fn wrap_for(
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

/// Both repositories have to state the same hashes, so what counts is what is listed.
fn as_listed(image: &CatalogueImage) -> FileInfo {
    FileInfo {
        length: image.file.length,
        hashes: image.file.hashes.clone(),
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
