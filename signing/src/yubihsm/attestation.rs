//! Certificates in which a device says that a key was made in it.

use yubihsm::Client;

use super::device::{Ask, Device};
use crate::error::SignError;
use crate::secrets::Secrets;
use crate::uri::YubiHsmUri;

/// The object id of the device's own attestation key, and of the certificate for it.
const FACTORY: u16 = 0;

/// What a YubiHSM 2 says about one of its keys, as X.509 certificates in DER. Neither is verified:
/// the chain is `key`, `device`, and the certificates that Yubico publishes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct YubiHsmAttestation {
    /// About the key, signed by the device's attestation key (object 0).
    pub key: Vec<u8>,
    /// About the attestation key, put into the device by its maker (opaque object 0).
    pub device: Vec<u8>,
}

/// Has the device attest the key that `uri` names with the attestation key it was made with.
///
/// The login needs the capabilities `sign-attestation-certificate` and `get-opaque`, the key
/// needs to be generated in the device. Not tested against a device: the `yubihsm` crate's mock
/// has no attestation.
///
/// # Errors
/// [`SignError`], with what to do.
pub fn yubihsm_attestation(
    uri: &YubiHsmUri,
    secrets: &Secrets,
) -> Result<YubiHsmAttestation, SignError> {
    let device = Device::open(uri, secrets)?;
    let certificate = |client: &Client| client.sign_attestation_certificate(uri.id, Some(FACTORY));
    let key = device.ask("have the key attested", Ask::Again, certificate)?;
    let device = device.ask("read the device's certificate", Ask::Again, |client| {
        client.get_opaque(FACTORY)
    })?;
    Ok(YubiHsmAttestation {
        key: key.into_vec(),
        device,
    })
}
