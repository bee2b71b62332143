//! The Primary's TLS key, and the request to certify it.

use std::fs::{self, OpenOptions};
use std::io::{ErrorKind, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use countersign_metadata::percent_encode;
use countersign_metadata::uptane::{EcuSerial, Vin};
use rcgen::{CertificateParams, DistinguishedName, KeyPair, SanType};
use zeroize::Zeroizing;

use crate::error::SimError;
use crate::plan::Plan;

/// The key, below a vehicle's folder.
pub const TLS_KEY: &str = "keys/primary.tls.pem";

/// A request for the certificate of a Primary.
#[derive(Debug, Clone)]
pub struct TlsRequest {
    /// The vehicle that it names.
    pub vin: Vin,
    /// The Primary that it names.
    pub serial: EcuSerial,
    /// Where the private key is.
    pub key: PathBuf,
    /// The request (PKCS #10), in PEM.
    pub pem: String,
}

/// Makes a P-256 key for the Primary of the vehicle in `folder`, unless it has one, and a request that
/// names the vehicle and the ECU, so that a certificate for others is not issued by mistake.
///
/// # Errors
/// [`SimError::NoVehicle`], [`SimError::Io`], [`SimError::TlsKey`]
pub fn request_certificate(folder: &Path) -> Result<TlsRequest, SimError> {
    let plan = Plan::read(folder)?;
    let (primary, _) = plan.members()?;
    let path = folder.join(TLS_KEY);
    let unusable = |error: rcgen::Error| SimError::TlsKey {
        path: path.clone(),
        detail: error.to_string(),
    };
    let key = match fs::read_to_string(&path).map(Zeroizing::new) {
        Ok(pem) => KeyPair::from_pem(&pem).map_err(unusable)?,
        Err(error) if error.kind() == ErrorKind::NotFound => {
            let key = KeyPair::generate().map_err(unusable)?;
            keep(&path, &Zeroizing::new(key.serialize_pem()))?;
            key
        }
        Err(error) => return Err(SimError::io("read", &path)(error)),
    };
    let mut wanted = CertificateParams::default();
    wanted.distinguished_name = DistinguishedName::new();
    for (what, name) in [
        ("vehicle", plan.vin.as_str()),
        ("ecu", primary.serial.as_str()),
    ] {
        let uri = format!("urn:countersign:{what}:{}", percent_encode(name));
        let uri = uri.try_into().map_err(unusable)?;
        wanted.subject_alt_names.push(SanType::URI(uri));
    }
    let request = wanted.serialize_request(&key).map_err(unusable)?;
    Ok(TlsRequest {
        pem: request.pem().map_err(unusable)?,
        serial: primary.serial.clone(),
        vin: plan.vin,
        key: path,
    })
}

/// Nobody else can read it, and no key is ever overwritten.
fn keep(path: &Path, pem: &str) -> Result<(), SimError> {
    let mut options = OpenOptions::new();
    options
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path)
        .and_then(|mut file| {
            file.write_all(pem.as_bytes())?;
            file.sync_all()
        })
        .map_err(SimError::io("write", path))
}
