//! Images for vehicles: what is said of them must hold together, and release counters rise.
//!
//! A vehicle goes from one release counter to a higher one and never back (Uptane 5.4.4.2(10)).
//! An image listed with too low a counter would be refused by every vehicle that has its
//! predecessor, and only after it was published.

use countersign_metadata::json::Object;
use countersign_metadata::uptane::ImageCustom;
use countersign_metadata::{TargetFile, TargetPath};

use crate::error::RepoError;
use crate::repository::Repository;

/// Whether an image may be listed with a lower release counter than its predecessor.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum CounterRule {
    /// It may not. A predecessor is an image in the same role for the same hardware, under the
    /// same name or of the same class.
    #[default]
    NeverLower,
    /// It may: for vehicles that never had the predecessor.
    AnyCounter,
}

impl Repository {
    /// Sets the rule for images that are added from now on.
    pub fn set_counter_rule(&mut self, rule: CounterRule) {
        self.counter_rule = rule;
    }

    /// Checks new images, by name and `custom`, against what `role` lists, before a byte of them
    /// is copied.
    pub(crate) fn check_release_counters<'a>(
        &self,
        role: &str,
        new: impl Iterator<Item = (&'a TargetPath, Option<&'a Object>)>,
    ) -> Result<(), RepoError> {
        let mut images = Vec::new();
        for (path, custom) in new {
            if let Some(image) = described(path, custom)? {
                images.push((path, image));
            }
        }
        if images.is_empty() || self.counter_rule == CounterRule::AnyCounter {
            return Ok(());
        }
        for (name, file) in &self.draft_of(role)?.targets {
            // What is listed already is not what is judged here.
            if let Ok(Some(old)) = described(name, file.custom.as_ref()) {
                for (path, new) in &images {
                    compare(path, new, name, &old)?;
                }
            }
        }
        Ok(())
    }
}

/// What an image's `custom` says to vehicles, if it says anything to them.
pub(crate) fn described(
    path: &TargetPath,
    custom: Option<&Object>,
) -> Result<Option<ImageCustom>, RepoError> {
    let Some(custom) = custom.filter(|custom| custom.contains_key("hardwareIds")) else {
        return Ok(None);
    };
    let file = TargetFile {
        custom: Some(custom.clone()),
        ..TargetFile::describing(b"")
    };
    let image = ImageCustom::of(&file).map_err(|source| RepoError::ImageCustom {
        name: path.to_string(),
        source,
    })?;
    Ok(Some(image))
}

fn compare(
    path: &TargetPath,
    new: &ImageCustom,
    listed: &TargetPath,
    old: &ImageCustom,
) -> Result<(), RepoError> {
    let succeeds = listed == path || (new.class.is_some() && new.class == old.class);
    let shared = old
        .hardware_ids
        .iter()
        .find(|id| new.hardware_ids.contains(id));
    match shared.filter(|_| succeeds && new.release_counter < old.release_counter) {
        None => Ok(()),
        Some(hardware) => Err(RepoError::ReleaseCounter {
            name: path.to_string(),
            counter: new.release_counter,
            predecessor: listed.to_string(),
            listed: old.release_counter,
            hardware: hardware.to_string(),
        }),
    }
}
