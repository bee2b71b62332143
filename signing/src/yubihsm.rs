//! Keys in a YubiHSM 2, through the `yubihsm` crate.

use countersign_metadata::PublicKey;

use crate::Signer;
use crate::algorithm::Algorithm;
use crate::error::SignError;
use crate::inventory::{Listing, LogIn};
use crate::secrets::Secrets;
use crate::uri::{UriError, YubiHsmUri};

fn missing<T>() -> Result<T, SignError> {
    Err(UriError::new("yubihsm: keys are not built in yet").into())
}

pub(crate) fn open(_: &YubiHsmUri, _: &Secrets) -> Result<Box<dyn Signer>, SignError> {
    missing()
}

pub(crate) fn generate(_: &YubiHsmUri, _: Algorithm, _: &Secrets) -> Result<PublicKey, SignError> {
    missing()
}

pub(crate) fn inventory(_: &YubiHsmUri, _: LogIn, _: &Secrets) -> Result<Vec<Listing>, SignError> {
    missing()
}
