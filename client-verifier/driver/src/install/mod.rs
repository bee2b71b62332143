//! Putting a verified image in its place, so that a power cut leaves the old one or the new one.
//!
//! An installation is: [`Installer::stage`] (the bytes, where nothing runs them),
//! [`Installer::activate`] (from now on they run, on trial), and then [`Installer::confirm`] or
//! [`Installer::rollback`]. Only a [`VerifiedImage`] can be activated, and only one that this
//! installer holds: verification before installation is a matter of types (Uptane 5.4.3.4,
//! 5.4.3.5).

mod error;
mod file_slots;
mod slot_files;

pub use error::InstallError;
pub use file_slots::{FileSlots, provision_slots};
pub use slot_files::measure;

use std::io::Read;

use countersign_metadata::{Hashes, UtcTime};
use countersign_verifier::{ImageStream, VerifiedImage};

/// What an installer is like.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Description {
    /// Its name in reports and messages.
    pub name: &'static str,
    /// When an activated image runs.
    pub takes_effect: TakesEffect,
}

impl Description {
    /// An installer called `name`.
    pub fn new(name: &'static str, takes_effect: TakesEffect) -> Self {
        Self { name, takes_effect }
    }
}

/// When an activated image runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum TakesEffect {
    /// At once.
    Immediately,
    /// When the ECU starts the next time.
    AfterRestart,
}

/// Where an installer stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    /// The active image is confirmed, or there is none.
    Settled,
    /// The active image is new and neither confirmed nor rolled back.
    OnTrial,
}

/// An image as it lies there: read again, not remembered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Measured {
    /// Its length in bytes.
    pub length: u64,
    /// Its SHA-256 and SHA-512.
    pub hashes: Hashes,
}

/// One way of installing images. Every effect is durable when a method returns.
pub trait Installer {
    /// What it is like.
    fn describe(&self) -> Description;

    /// Whether an image of `length` bytes could be staged now.
    ///
    /// # Errors
    /// [`InstallError::NoSpace`], or [`InstallError::OnTrial`] while the image that would be
    /// overwritten may still be needed.
    fn precheck(&self, length: u64) -> Result<(), InstallError>;

    /// Takes the image that `stream` is bound to from `bytes`, to its end. The active image is
    /// not touched, and after an error nothing is staged.
    ///
    /// # Errors
    /// [`InstallError::Refused`] if the bytes are not the image, [`InstallError::Source`] if they
    /// could not be read, or why they could not be kept.
    fn stage(
        &mut self,
        stream: ImageStream,
        bytes: &mut dyn Read,
    ) -> Result<VerifiedImage, InstallError>;

    /// Reads again what an earlier run has staged. After a restart nothing else makes it fit for
    /// activation.
    ///
    /// # Errors
    /// [`InstallError::NotStaged`], or as [`Installer::stage`]; then nothing is staged any more.
    fn recheck(&mut self, stream: ImageStream) -> Result<VerifiedImage, InstallError>;

    /// Switches to the staged image, on trial. The former one is kept.
    ///
    /// # Errors
    /// `expired` if the metadata that names it is no longer fresh at `now`;
    /// [`InstallError::NotStaged`] if this installer holds another image or none.
    fn activate(&mut self, image: VerifiedImage, now: UtcTime) -> Result<(), InstallError>;

    /// Ends the trial for good: the new image works.
    ///
    /// # Errors
    /// [`InstallError::NotOnTrial`], or why it could not be noted.
    fn confirm(&mut self) -> Result<(), InstallError>;

    /// Ends the trial by going back to the former image.
    ///
    /// # Errors
    /// [`InstallError::NotOnTrial`], or why it could not be done.
    fn rollback(&mut self) -> Result<(), InstallError>;

    /// Whether an image is on trial.
    ///
    /// # Errors
    /// If that cannot be told.
    fn phase(&self) -> Result<Phase, InstallError>;

    /// The active image, read again; `None` if there is none. After a power cut this tells which
    /// of two images it is.
    ///
    /// # Errors
    /// If it cannot be read.
    fn installed(&self) -> Result<Option<Measured>, InstallError>;
}
