//! What only the device knows of itself.

use countersign_metadata::UtcTime;

/// The device itself.
pub trait Host {
    /// The time of a secure source of the device's own. It is asked only where the Director's
    /// Root names no time server.
    fn time(&mut self) -> Option<UtcTime>;

    /// Whether an image may be installed now (5.4.3.5): the vehicle stands, the battery is full.
    ///
    /// # Errors
    /// What stands against it, for people. The image stays staged, and the next cycle asks again.
    fn may_install(&mut self) -> Result<(), String>;

    /// Whether the image that runs on trial works.
    fn health(&mut self) -> Health;
}

/// Whether an image works.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Health {
    /// It does, and is confirmed.
    Works,
    /// It does not, and the one before it comes back. The text is for people.
    Fails(String),
    /// That will show.
    Unknown,
}
