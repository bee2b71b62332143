//! What the Image repository has signed for.

use std::collections::BTreeMap;

use countersign_metadata::uptane::ImageCustom;
use countersign_metadata::{MetadataError, TargetFile, TargetPath};
use countersign_verifier::ListedTarget;

/// An image as the Image repository lists it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CatalogueImage {
    /// Length and hashes of the plaintext, without `custom`.
    pub file: TargetFile,
    /// What else is said of it.
    pub custom: ImageCustom,
}

/// The images that a director can assign. Only what a verifier has found comes in, so a director
/// never sends a vehicle anywhere that the Image repository would not follow.
#[derive(Debug, Default)]
pub struct Catalogue {
    images: BTreeMap<TargetPath, CatalogueImage>,
}

impl Catalogue {
    /// Takes an image in, in place of an earlier one with the same path.
    ///
    /// # Errors
    /// [`MetadataError::Field`] if it says nothing of hardware or release counter.
    pub fn add(&mut self, listed: &ListedTarget) -> Result<(), MetadataError> {
        let custom = ImageCustom::of(listed.file())?;
        let file = TargetFile {
            custom: None,
            ..listed.file().clone()
        };
        self.images
            .insert(listed.path().clone(), CatalogueImage { file, custom });
        Ok(())
    }

    /// The image with this path.
    pub fn image(&self, path: &TargetPath) -> Option<&CatalogueImage> {
        self.images.get(path)
    }
}
