//! The certification authority for devices and the servers that they talk to: `key-ceremony pki`.

use std::error::Error;
use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};

use countersign_vehicle_sim::{Credentials, request_certificate};
use rcgen::{CertificateParams, KeyPair};

use crate::stage::Stage;

type Result<T> = std::result::Result<T, Box<dyn Error>>;

/// The token that its key is in.
pub(super) const TOKEN: &str = "devices";

/// Where the director is, in its certificate.
const SERVER: &str = "127.0.0.1";

/// The authority's folder.
pub(super) struct Authority {
    stage: Stage,
    folder: PathBuf,
}

impl Authority {
    /// Makes its key in the token.
    pub(super) fn found(stage: &Stage) -> Result<Self> {
        let authority = Self {
            stage: stage.clone(),
            folder: stage.folder.join("device-ca"),
        };
        let key = format!("pkcs11:token={TOKEN};object=ca");
        let words = [
            "--key",
            &key,
            "--generate",
            "ecdsa-p256",
            "--name",
            "Example Motors Device CA",
        ];
        authority.pki("init", words)?;
        Ok(authority)
    }

    /// What vehicles and the director trust.
    pub(super) fn certificate(&self) -> PathBuf {
        self.folder.join("ca.pem")
    }

    /// Puts a key and a certificate for a server on this machine into `folder`, with what it needs to
    /// know devices by.
    pub(super) fn equip_server(&self, folder: &Path) -> Result<()> {
        let key = KeyPair::generate()?;
        let request = CertificateParams::new([SERVER.to_owned()])?.serialize_request(&key)?;
        fs::write(folder.join("server.key"), key.serialize_pem())?;
        let csr = folder.join("server.csr");
        fs::write(&csr, request.pem()?)?;
        let out = folder.join("server.pem");
        let words: [&OsStr; 6] = [
            "--csr".as_ref(),
            csr.as_ref(),
            "--ip".as_ref(),
            SERVER.as_ref(),
            "--out".as_ref(),
            out.as_ref(),
        ];
        self.pki("server", words)?;
        fs::copy(self.certificate(), folder.join("device-ca.pem"))?;
        self.write_list(folder)
    }

    /// Certifies the Primary of the vehicle in `folder`, which makes its key itself.
    pub(super) fn certify(&self, folder: &Path) -> Result<Credentials> {
        let request = request_certificate(folder)?;
        let csr = folder.join("primary.csr");
        fs::write(&csr, &request.pem)?;
        let certificate = folder.join("primary.pem");
        let words: [&OsStr; 7] = [
            "--vehicle".as_ref(),
            request.vin.as_str().as_ref(),
            "--ecu".as_ref(),
            request.serial.as_str().as_ref(),
            "--out".as_ref(),
            certificate.as_ref(),
            csr.as_ref(),
        ];
        self.pki("issue", words)?;
        Ok(Credentials {
            certificate,
            key: request.key,
            authorities: Some(self.certificate()),
        })
    }

    /// Revokes what a vehicle has, and puts the next list where a server has the last one.
    pub(super) fn revoke(&self, vin: &str, folder: &Path) -> Result<()> {
        let why = "cessation-of-operation";
        self.pki("revoke", ["--vehicle", vin, "--reason", why])?;
        self.write_list(folder)
    }

    fn write_list(&self, folder: &Path) -> Result<()> {
        let list = folder.join("device-ca.crl.pem");
        self.pki("crl", ["--out".as_ref(), list.as_os_str()])
    }

    fn pki<S: AsRef<OsStr>>(
        &self,
        command: &str,
        words: impl IntoIterator<Item = S>,
    ) -> Result<()> {
        let mut all = vec!["pki".into(), command.into(), "--ca".into()];
        all.push(self.folder.clone().into_os_string());
        all.extend(words.into_iter().map(|word| word.as_ref().to_owned()));
        self.stage.ceremony(all)?;
        Ok(())
    }
}
