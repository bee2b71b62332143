//! The holders' steps, each on a machine of its own: make and prove a key, read what is to be
//! signed, sign it.

mod possession;
mod signature;

use countersign_metadata::UtcTime;
use countersign_signing::{KeyUri, Secrets, SignError, Signer};

pub use self::possession::{Answer, Existence, place_of_key, prove};
pub use self::signature::ReadRequest;
use crate::error::CeremonyError;

/// What a holder's step needs to know of its surroundings.
#[derive(Debug)]
pub struct Station<'a> {
    /// PINs and passphrases.
    pub secrets: &'a Secrets,
    /// The clock.
    pub now: UtcTime,
    /// Whether this machine is a CI machine.
    pub in_ci: bool,
}

/// Opens a key whatever its custody: the policy of the ceremony judges that.
///
/// # Errors
/// [`CeremonyError::Sign`], [`CeremonyError::Usage`]
pub fn open(station: &Station<'_>, uri: &str) -> Result<Box<dyn Signer>, CeremonyError> {
    let uri: KeyUri = uri.parse().map_err(SignError::Uri)?;
    Ok(countersign_signing::open(
        &uri.allowing_extractable(),
        station.secrets,
    )?)
}
