//! The image repository: editing, signing and publishing TUF metadata
