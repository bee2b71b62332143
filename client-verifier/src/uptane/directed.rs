//! One image for one ECU, and the gate that its bytes go through (5.4.3.4).

use alloc::boxed::Box;
use alloc::format;
use alloc::string::String;

use countersign_metadata::uptane::{
    DirectorCustom, EcuSerial, EncryptedTarget, HardwareId, Vin, WrappedKey,
};
use countersign_metadata::{Hashes, TargetFile, TargetPath, UtcTime};

use super::download::DownloadStream;
use super::vehicle::Ecu;
use crate::image::{ImageStream, ListedTarget, hex};
use crate::reject::{Code, Reject};

/// How much was asked before an image was approved. A gate states what it is content with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Verification {
    /// The Director's Root and Targets (5.4.4.1): all that a small Secondary can do.
    Partial,
    /// Both repositories, out of an offline bundle (PURE-2).
    Offline,
    /// Both repositories (5.4.4.2).
    Full,
}

/// The image that was installed on an ECU last and proved itself: the durable record that release
/// counters are compared against.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Installed {
    /// The hardware it is for. Counters of other hardware say nothing.
    pub hardware_id: HardwareId,
    /// Its filename.
    pub path: String,
    /// Its release counter.
    pub release_counter: u64,
    /// Length of the plaintext in bytes.
    pub length: u64,
    /// Hashes of the plaintext.
    pub hashes: Hashes,
}

/// Where the bytes of an image are served.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origin {
    /// By the Image repository, below its targets URL: the image itself.
    Image(String),
    /// By the Director, below its targets URL: the encrypted image.
    Director(String),
    /// At this address, which the Director gives.
    Uri(String),
}

/// One image that the Director wants on one ECU and that everybody who was asked has signed for.
/// Made by sessions only.
#[derive(Debug, Clone)]
pub struct Directed {
    vin: Vin,
    ecu: Ecu,
    // These are large, and a small device's stack is not.
    target: Box<ListedTarget>,
    terms: Box<Terms>,
    verification: Verification,
}

/// What the Director says in `custom` of an image, as far as it is for one ECU.
#[derive(Debug, Clone)]
pub(super) struct Terms {
    release_counter: u64,
    encryption: Option<(EncryptedTarget, WrappedKey)>,
    uri: Option<String>,
}

impl Terms {
    pub(super) fn of(custom: DirectorCustom, serial: &EcuSerial) -> Self {
        // A copy takes less code than taking it out.
        let wrapped = custom.wrapped_keys.get(serial).cloned();
        Self {
            release_counter: custom.release_counter,
            encryption: custom.encrypted.zip(wrapped),
            uri: custom.uri,
        }
    }
}

impl Directed {
    pub(super) fn new(
        vin: &Vin,
        ecu: Ecu,
        target: ListedTarget,
        terms: Terms,
        verification: Verification,
    ) -> Self {
        Self {
            vin: vin.clone(),
            ecu,
            target: Box::new(target),
            terms: Box::new(terms),
            verification,
        }
    }

    /// The vehicle.
    pub fn vin(&self) -> &Vin {
        &self.vin
    }

    /// The ECU it is for.
    pub fn ecu(&self) -> &Ecu {
        &self.ecu
    }

    /// The image's filename.
    pub fn path(&self) -> &TargetPath {
        &self.target.path
    }

    /// Length and hashes of the plaintext.
    pub fn file(&self) -> &TargetFile {
        &self.target.file
    }

    /// Its release counter.
    pub fn release_counter(&self) -> u64 {
        self.terms.release_counter
    }

    /// How it is encrypted, if it is, and the content key wrapped for this ECU.
    pub fn encryption(&self) -> Option<(&EncryptedTarget, &WrappedKey)> {
        let (encrypted, wrapped) = self.terms.encryption.as_ref()?;
        Some((encrypted, wrapped))
    }

    /// How much was asked.
    pub fn verification(&self) -> Verification {
        self.verification
    }

    /// When the first of the files that lead to it expires, in either repository.
    pub fn valid_until(&self) -> UtcTime {
        self.target.valid_until
    }

    /// Length and hashes of what is downloaded: of the ciphertext where there is one.
    pub fn download(&self) -> (u64, &Hashes) {
        match &self.terms.encryption {
            Some((encrypted, _)) => (encrypted.length, &encrypted.hashes),
            None => (self.target.file.length, &self.target.file.hashes),
        }
    }

    /// What that is called within a vehicle, by its content: `sha256-` or `sha512-` and the digest
    /// in hexadecimal. A Primary keeps it under this name, and Secondaries ask for it so.
    ///
    /// # Errors
    /// `no-known-hash`
    pub fn content_name(&self) -> Result<String, Reject> {
        let (_, hashes) = self.download();
        match (&hashes.sha256, &hashes.sha512) {
            (Some(digest), _) => Ok(format!("sha256-{}", hex(digest))),
            (None, Some(digest)) => Ok(format!("sha512-{}", hex(digest))),
            (None, None) => Err(self.no_known_hash()),
        }
    }

    /// Where that is served.
    ///
    /// # Errors
    /// `no-known-hash`
    pub fn origin(&self) -> Result<Origin, Reject> {
        match (&self.terms.uri, &self.terms.encryption) {
            (Some(uri), _) => Ok(Origin::Uri(uri.clone())),
            (None, Some((encrypted, _))) => {
                let served = ListedTarget {
                    path: encrypted.filename.clone(),
                    file: TargetFile::new(encrypted.length, encrypted.hashes.clone()),
                    consistent: true,
                    ..ListedTarget::clone(&self.target)
                };
                Ok(Origin::Director(served.remote_path()?))
            }
            (None, None) => Ok(Origin::Image(self.target.remote_path()?)),
        }
    }

    /// Starts checking what is downloaded, at `now`. A Primary does so for all its ECUs
    /// (5.4.2.4); of an encrypted image it sees the ciphertext only.
    ///
    /// # Errors
    /// `expired`, `no-known-hash`
    pub fn open_download(&self, now: UtcTime) -> Result<DownloadStream, Reject> {
        self.target.check_fresh(now)?;
        DownloadStream::new(self)
    }

    /// The image gate (5.4.3.4): on `ecu`, where `installed` is the last image of its hardware,
    /// at `now`. The stream takes the plaintext.
    ///
    /// # Errors
    /// `ecu-unknown`, `hardware-mismatch`, `release-counter-rollback`,
    /// `same-version-different-content`, `expired`, `no-known-hash`
    pub fn open_image(
        &self,
        ecu: &Ecu,
        installed: Option<&Installed>,
        now: UtcTime,
    ) -> Result<ImageStream, Reject> {
        if ecu.serial != self.ecu.serial {
            let detail = format!(
                "it is for ECU {}, and this is {}",
                self.ecu.serial, ecu.serial
            );
            return Err(self.reject(Code::EcuUnknown, detail));
        }
        if ecu.hardware_id != self.ecu.hardware_id {
            let (named, own) = (&self.ecu.hardware_id, &ecu.hardware_id);
            let detail = format!("it is for {named}, and this ECU is {own}");
            return Err(self.reject(Code::HardwareMismatch, detail));
        }
        self.check_installed(installed)?;
        let mut stream = ListedTarget::clone(&self.target).open(now)?;
        stream.direct(Box::new(self.clone()));
        Ok(stream)
    }

    /// 5.4.4.2 step 10.2.3: the release counter never goes back. One filename with one counter
    /// never changes its content.
    pub(crate) fn check_installed(&self, installed: Option<&Installed>) -> Result<(), Reject> {
        let on_this = |last: &&Installed| last.hardware_id == self.ecu.hardware_id;
        let Some(last) = installed.filter(on_this) else {
            return Ok(());
        };
        let (serial, path) = (&self.ecu.serial, &self.target.path);
        if self.terms.release_counter < last.release_counter {
            let (new, old) = (self.terms.release_counter, last.release_counter);
            let detail = format!("{path} has release counter {new}, and ECU {serial} runs {old}");
            return Err(self.reject(Code::ReleaseCounterRollback, detail));
        }
        let file = &self.target.file;
        let same_name =
            self.terms.release_counter == last.release_counter && path.as_str() == last.path;
        let same_content = file.length == last.length && file.hashes.agree(&last.hashes);
        if same_name && !same_content {
            let detail = format!("{path} is installed on ECU {serial} with other content");
            return Err(self.reject(Code::SameVersion, detail));
        }
        Ok(())
    }

    pub(super) fn no_known_hash(&self) -> Reject {
        let detail = format!("{} is listed without sha256 or sha512", self.target.path);
        self.reject(Code::NoKnownHash, detail)
    }

    pub(super) fn reject(&self, code: Code, detail: String) -> Reject {
        Reject::new(code, &self.target.role, detail).at(&self.target.repository)
    }
}
