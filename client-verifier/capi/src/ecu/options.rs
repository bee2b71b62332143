//! What an ECU is made of.

use std::ffi::c_char;
use std::path::Path;

use countersign_client::install::{FileSlots, Installer};
use countersign_client::uptane::link::Verification;
use countersign_client::uptane::secondary::{Host, Parts};
use countersign_client::uptane::state::StateFile;
use countersign_encryption::Decapsulate;
use countersign_metadata::uptane::{Mapping, Vin};
use countersign_verifier::uptane::Ecu;
use countersign_verifier::{Limits, Reject};

use super::device::{OwnHost, OwnSigner, System, countersign_host, countersign_signer};
use super::installer::{OwnInstaller, countersign_installer};
use super::{LOCK_PATIENCE, open_store};
use crate::boundary::{given, text};
use crate::client::store_failed;
use crate::uptane::{
    DecryptionKey, countersign_decryption, countersign_ecu_id, ecu, mapping, parsed,
};

/// What an ECU is made of.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct countersign_ecu_options {
    /// sizeof(countersign_ecu_options): a later version of this library may have more members.
    pub size: usize,
    /// The vehicle it is in.
    pub vin: *const c_char,
    /// Who and what it is.
    pub serial: *const c_char,
    /// Its hardware identifier.
    pub hardware_id: *const c_char,
    /// Whether it verifies in part, with the Director's Root and Targets alone (Uptane 5.4.4.1). False
    /// for a Primary's own ECU, and wherever there is room.
    pub verifies_in_part: bool,
    /// The repository mapping as JSON (TAP 4).
    pub mapping: *const c_char,
    /// A directory of its own: `director` and `image` (trusted metadata), `state` (what it must not
    /// forget), `slots` (images, where `installer` is NULL).
    pub directory: *const c_char,
    /// The key that signs its reports.
    pub signer: *const countersign_signer,
    /// The key that its images are encrypted for; NULL if none are.
    pub decryption: *const countersign_decryption,
    /// The device; NULL for the system's clock, always ready, and images that work.
    pub host: *const countersign_host,
    /// How it installs; NULL for two slots of files, of which `slots/active/image` is the one that runs.
    pub installer: *const countersign_installer,
}

impl countersign_ecu_options {
    pub(super) fn directory(&self) -> Result<&Path, Reject> {
        text(self.directory, "options->directory").map(Path::new)
    }

    pub(super) fn ecu(&self) -> Result<Ecu, Reject> {
        ecu(&countersign_ecu_id {
            serial: self.serial,
            hardware_id: self.hardware_id,
        })
    }

    pub(super) fn parts(&self) -> Result<Parts, Reject> {
        let directory = self.directory()?;
        let state = StateFile::open(&directory.join("state"), LOCK_PATIENCE);
        Ok(Parts {
            vin: parsed(self.vin, "options->vin", Vin::new)?,
            ecu: self.ecu()?,
            verification: match self.verifies_in_part {
                true => Verification::Partial,
                false => Verification::Full,
            },
            mapping: mapping(self.mapping, "options->mapping")?,
            director_limits: Limits::director(),
            image_limits: Limits::default(),
            state: state.map_err(|error| store_failed(&error))?,
            director: Box::new(open_store(directory, Mapping::DIRECTOR)?),
            image: Box::new(open_store(directory, Mapping::IMAGE)?),
            installer: self.installer(directory)?,
            signer: Box::new(OwnSigner::of(given(self.signer, "options->signer")?)?),
            decryption: self.decryption()?,
            host: self.host()?,
        })
    }

    fn installer(&self, directory: &Path) -> Result<Box<dyn Installer + Send>, Reject> {
        if !self.installer.is_null() {
            let own = given(self.installer, "options->installer")?;
            return Ok(Box::new(OwnInstaller::of(own)?));
        }
        let slots = FileSlots::open(&directory.join("slots"), LOCK_PATIENCE);
        Ok(Box::new(slots.map_err(|error| error.to_reject())?))
    }

    fn decryption(&self) -> Result<Option<Box<dyn Decapsulate + Send>>, Reject> {
        if self.decryption.is_null() {
            return Ok(None);
        }
        let key = DecryptionKey::of(given(self.decryption, "options->decryption")?)?;
        Ok(Some(Box::new(key)))
    }

    fn host(&self) -> Result<Box<dyn Host + Send>, Reject> {
        match self.host.is_null() {
            true => Ok(Box::new(System)),
            false => Ok(Box::new(OwnHost(*given(self.host, "options->host")?))),
        }
    }
}
