//! What the Image repository has signed for.

use std::collections::BTreeMap;

use countersign_metadata::uptane::{ImageCustom, InstalledImage};
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

impl CatalogueImage {
    /// The image of an entry of the Image repository's Targets.
    ///
    /// # Errors
    /// [`MetadataError::Field`] if it says nothing of hardware or release counter.
    pub fn of(entry: &TargetFile) -> Result<Self, MetadataError> {
        let custom = ImageCustom::of(entry)?;
        let file = TargetFile {
            custom: None,
            ..entry.clone()
        };
        Ok(Self { file, custom })
    }

    /// The entry that [`CatalogueImage::of`] reads.
    pub fn entry(&self) -> TargetFile {
        TargetFile {
            custom: Some(self.custom.to_object()),
            ..self.file.clone()
        }
    }
}

/// The images that a director can assign. Only what a verifier has found comes in, so a director
/// never sends a vehicle anywhere that the Image repository would not follow.
#[derive(Debug, Default)]
pub struct Catalogue {
    /// The contents that a path has had, the newest last.
    images: BTreeMap<TargetPath, Vec<CatalogueImage>>,
}

impl Catalogue {
    /// Takes in what a verifier has just found, in place of an earlier image with the same path.
    ///
    /// # Errors
    /// As [`CatalogueImage::of`].
    pub fn add(&mut self, listed: &ListedTarget) -> Result<(), MetadataError> {
        let image = CatalogueImage::of(listed.file())?;
        self.put(listed.path().clone(), image);
        Ok(())
    }

    /// Takes in what was found earlier.
    pub fn put(&mut self, path: TargetPath, image: CatalogueImage) {
        let contents = self.images.entry(path).or_default();
        contents.retain(|known| known.file != image.file);
        contents.push(image);
    }

    /// The image that has this path now.
    pub fn image(&self, path: &TargetPath) -> Option<&CatalogueImage> {
        self.images.get(path)?.last()
    }

    /// The image that an ECU says it runs, whether or not its path has another content by now.
    pub fn installed(&self, installed: &InstalledImage) -> Option<&CatalogueImage> {
        let mut contents = self.images.get(&installed.filepath)?.iter();
        contents.find(|image| {
            image.file.length == installed.length && image.file.hashes.agree(&installed.hashes)
        })
    }

    /// All images that are there now.
    pub fn iter(&self) -> impl Iterator<Item = (&TargetPath, &CatalogueImage)> {
        let images = self.images.iter();
        images.filter_map(|(path, contents)| Some((path, contents.last()?)))
    }
}
