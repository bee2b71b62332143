//! What only the device knows of itself.

use std::time::Duration;

use countersign_metadata::UtcTime;

/// The device itself, its clocks among it.
pub trait Host {
    /// The time of a secure source of the device's own. It is asked only where the Director's
    /// Root names no time server.
    fn time(&mut self) -> Option<UtcTime>;

    /// How long the device has been up, suspension included. It may begin anywhere, must go on while
    /// the device runs, and never back: by it an attested time goes on, and a nonce grows old. Unless
    /// a device has something better, it is the system's.
    fn uptime(&self) -> Duration {
        crate::clock::uptime()
    }

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
