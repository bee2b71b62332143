//! The state directory.
//!
//! ```text
//! D/vehicle.json map.json          what uptane-init was given
//! D/director/ image/               metadata as fetched (see the store of client-verifier)
//! D/ecu/director/ image/           metadata as the ECU itself has verified it
//! D/ecu/state/ecu-state.json       what is installed and reported (docs/ecu-state.md)
//! D/ecu/slots/                     the images, active and former
//! D/primary/                       the last reports, images on their way
//! D/found                          there while what the last cycle has found may be installed
//! D/nonce nonce-of-cycle           what an attestation has to answer: the next one, the last cycle's
//! D/manifest.json report.json      what is to be sent to the Director
//! ```

use std::collections::BTreeMap;
use std::fmt::Display;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use countersign_client::fetch::UrlFetcher;
use countersign_client::install::FileSlots;
use countersign_client::store::DirStore;
use countersign_client::uptane::link::{Answer, Fetch, LinkError, Part, Request, Respond, Source};
use countersign_client::uptane::primary::{self, Bundle, Member};
use countersign_client::uptane::secondary::{self, Health, Host, Secondary, random_nonce};
use countersign_client::uptane::state::{EcuState, StateError, StateFile};
use countersign_ecu_keys::{ImageKey, ReportKey};
use countersign_metadata::uptane::{Mapping, Nonce};
use countersign_metadata::{Hashes, UtcTime};
use countersign_signing::{DecryptionKey, KeyUri, Secrets};
use countersign_verifier::uptane::Installed;
use countersign_verifier::{Code, Limits, Reject};

use super::Inputs;
use super::config::Config;
use super::director::{Absent, FileDirector};
use crate::commands::{LOCK_PATIENCE, usage};

const NONCE: &str = "nonce";
const CYCLED: &str = "nonce-of-cycle";
const FOUND: &str = "found";

/// A file given on the command line is read up to this size, in bytes.
const MAX_INPUT: u64 = 1 << 20;

/// What the Primary is made of, of whose vehicle this ECU is part.
type PrimaryParts =
    primary::Parts<'static, UrlFetcher, FileDirector, DirStore, Secondary, ReportKey>;

/// An ECU, put together from its directory.
pub(super) struct Device<'a> {
    pub(super) ecu: Secondary,
    directory: &'a Path,
    config: &'a Config,
    secrets: Secrets,
}

impl<'a> Device<'a> {
    pub(super) fn open(directory: &'a Path, config: &'a Config) -> Result<Self, Reject> {
        let secrets = Secrets::unattended(directory);
        let own = &config.ecu;
        let key = |uri: &String| image_key(uri, &secrets);
        let decryption = own.decryption_key.as_ref().map(key).transpose()?;
        let director = own_store(directory, Mapping::DIRECTOR)?;
        let image = own_store(directory, Mapping::IMAGE)?;
        let slots = FileSlots::open(&directory.join("ecu/slots"), LOCK_PATIENCE);
        let parts = secondary::Parts {
            vin: config.vin.clone(),
            ecu: config.ecu(),
            verification: own.verification,
            mapping: config.mapping(&Inputs::default())?,
            director_limits: Limits::director(),
            image_limits: Limits::default(),
            state: state(directory)?,
            director: Box::new(director),
            image: Box::new(image),
            installer: Box::new(slots.map_err(|error| error.to_reject())?),
            signer: Box::new(report_key(&own.signing_key, &secrets)?),
            decryption: match decryption {
                Some(key) => Some(Box::new(key)),
                None => None,
            },
            host: Box::new(Machine),
        };
        let ecu = Secondary::new(parts)?;
        Ok(Self {
            ecu,
            directory,
            config,
            secrets,
        })
    }

    /// The state directory.
    pub(super) fn directory(&self) -> &'a Path {
        self.directory
    }

    /// The vehicle's Primary, of which this ECU is part.
    pub(super) fn into_primary(
        self,
        fetcher: UrlFetcher,
        inputs: &Inputs<'_>,
    ) -> Result<PrimaryParts, Reject> {
        let key = report_key(&self.config.ecu.signing_key, &self.secrets)?;
        let director_store = vehicle_store(self.directory, Mapping::DIRECTOR)?;
        let image_store = vehicle_store(self.directory, Mapping::IMAGE)?;
        let others = self.config.others.iter();
        let secondaries = others.map(|(serial, hardware_id)| {
            let member = Member {
                hardware_id: hardware_id.clone(),
                // Never used: nobody answers.
                key: countersign_client::uptane::keys::EcuSigner::key(&key).clone(),
                link: Box::new(Absent),
            };
            (serial.clone(), member)
        });
        Ok(primary::Parts {
            vin: self.config.vin.clone(),
            serial: self.config.ecu.serial.clone(),
            hardware_id: self.config.ecu.hardware_id.clone(),
            mapping: self.config.mapping(inputs)?,
            fetcher,
            director: FileDirector {
                manifest: self.directory.join("manifest.json"),
                attestation: inputs.attestation.map(read).transpose()?,
            },
            director_store,
            image_store,
            secondaries: secondaries.collect(),
            own: self.ecu,
            key,
            bundle: Bundle::AllOrNothing,
        })
    }

    /// Leaves the signed report for whoever sends it.
    pub(super) fn keep_report(&mut self, directory: &Path) -> Result<(), Reject> {
        match self.ecu.respond(Request::Report {}, &mut Nothing) {
            Answer::Report { report } => {
                let path = directory.join("report.json");
                write(&path, &report)
            }
            _ => Ok(()),
        }
    }
}

/// The machine that the command runs on.
struct Machine;

impl Host for Machine {
    fn time(&mut self) -> Option<UtcTime> {
        countersign_client::clock::system_time()
    }

    fn may_install(&mut self) -> Result<(), String> {
        Ok(())
    }

    fn health(&mut self) -> Health {
        Health::Works
    }
}

struct Nothing;

impl Source for Nothing {
    fn part(&mut self, _: &Fetch) -> Result<Option<Part>, LinkError> {
        Ok(None)
    }
}

/// The vehicle's store of a repository.
pub(super) fn vehicle_store(directory: &Path, repository: &str) -> Result<DirStore, Reject> {
    open_store(&directory.join(repository))
}

/// The ECU's own.
pub(super) fn own_store(directory: &Path, repository: &str) -> Result<DirStore, Reject> {
    open_store(&directory.join("ecu").join(repository))
}

fn open_store(path: &Path) -> Result<DirStore, Reject> {
    DirStore::open(path, LOCK_PATIENCE).map_err(|error| store_failed(&error))
}

/// The ECU's record.
pub(super) fn state(directory: &Path) -> Result<StateFile, Reject> {
    StateFile::open(&directory.join("ecu/state"), LOCK_PATIENCE)
        .map_err(|error| store_failed(&error))
}

/// The record as it leaves the factory.
pub(super) fn provision_state(directory: &Path, config: &Config) -> Result<(), Reject> {
    let installed = config.installed.as_ref().map(|factory| {
        let digest = <[u8; 32]>::try_from(hex::decode(&factory.sha256).unwrap_or_default());
        let sha256 = digest.map_err(|_| usage("installed.sha256 is not 64 hexadecimal digits"))?;
        Ok(Installed {
            hardware_id: config.ecu.hardware_id.clone(),
            path: factory.path.clone(),
            release_counter: factory.release_counter,
            length: factory.length,
            hashes: Hashes {
                sha256: Some(sha256),
                ..Hashes::default()
            },
        })
    });
    let state = EcuState::provisioned(config.ecu.serial.clone(), installed.transpose()?);
    let provisioned = StateFile::provision(&directory.join("ecu/state"), state);
    match provisioned {
        // The same files were given before, or `write_once` had refused them.
        Ok(_) | Err(StateError::AlreadyThere { .. }) => Ok(()),
        Err(error) => Err(store_failed(&error)),
    }
}

/// The images that lie ready since the last cycle, by the names that the ECU asks for.
pub(super) fn images(directory: &Path) -> Result<BTreeMap<String, PathBuf>, Reject> {
    let mut images = BTreeMap::new();
    let folder = directory.join("primary/images");
    let entries = match fs::read_dir(&folder) {
        Ok(entries) => entries.collect::<io::Result<Vec<_>>>(),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
        Err(error) => Err(error),
    };
    for entry in entries.map_err(|error| io_failed("read", &folder, &error))? {
        if let Ok(name) = entry.file_name().into_string() {
            images.insert(name, entry.path());
        }
    }
    Ok(images)
}

/// Chooses what the next attestation has to answer.
pub(super) fn fresh_nonce(directory: &Path) -> Result<String, Reject> {
    let nonce = random_nonce()?.to_string();
    let path = directory.join(NONCE);
    write(&path, nonce.as_bytes())?;
    Ok(nonce)
}

/// The nonce that `attestation` has to answer in a cycle, if there is an attestation and a nonce was
/// chosen for it. It is for this cycle and the installation after it: no later cycle finds it, so that
/// one attestation does not show the same time for ever.
pub(super) fn take_nonce(
    directory: &Path,
    attestation: Option<&Path>,
) -> Result<Option<Nonce>, Reject> {
    if attestation.is_none() {
        return Ok(None);
    }
    let (chosen, cycled) = (directory.join(NONCE), directory.join(CYCLED));
    let nonce = read_nonce(&chosen)?;
    match nonce {
        Some(_) => fs::rename(&chosen, &cycled).map_err(|e| io_failed("rename", &chosen, &e))?,
        None => remove(&cycled)?,
    }
    sync(directory)?;
    Ok(nonce)
}

/// The nonce that `attestation` has to answer in an installation: that of the cycle before it, or one
/// that was chosen since. It is gone afterwards.
pub(super) fn use_up_nonce(
    directory: &Path,
    attestation: Option<&Path>,
) -> Result<Option<Nonce>, Reject> {
    if attestation.is_none() {
        return Ok(None);
    }
    let mut found = None;
    for name in [CYCLED, NONCE] {
        let path = directory.join(name);
        found = read_nonce(&path)?.or(found);
        remove(&path)?;
    }
    sync(directory)?;
    Ok(found)
}

/// What the last cycle has found may be installed.
pub(super) fn keep_found(directory: &Path) -> Result<(), Reject> {
    write(&directory.join(FOUND), b"")
}

/// What the last cycle has found is not installed, whenever the power is cut.
pub(super) fn forget_found(directory: &Path) -> Result<(), Reject> {
    remove(&directory.join(FOUND))?;
    sync(directory)
}

/// Whether what the last cycle has found may be installed.
pub(super) fn is_found(directory: &Path) -> Result<bool, Reject> {
    let path = directory.join(FOUND);
    path.try_exists()
        .map_err(|error| io_failed("read", &path, &error))
}

fn remove(path: &Path) -> Result<(), Reject> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            Err(io_failed("remove", path, &error))
        }
        _ => Ok(()),
    }
}

/// A used nonce must not be back after a power cut.
fn sync(directory: &Path) -> Result<(), Reject> {
    let synced = fs::File::open(directory).and_then(|folder| folder.sync_all());
    synced.map_err(|error| io_failed("write", directory, &error))
}

fn read_nonce(path: &Path) -> Result<Option<Nonce>, Reject> {
    match fs::read_to_string(path) {
        Ok(text) => match <[u8; 16]>::try_from(hex::decode(text.trim()).unwrap_or_default()) {
            Ok(nonce) => Ok(Some(Nonce(nonce))),
            Err(_) => Err(usage(format!(
                "{}: not 32 hexadecimal digits",
                path.display()
            ))),
        },
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(io_failed("read", path, &error)),
    }
}

/// The system's clock, which counts where the Director's Root names no time server.
pub(super) fn system_time() -> Result<UtcTime, Reject> {
    let detail = "the system's clock is outside the years 0 to 9999; set it";
    let time = countersign_client::clock::system_time();
    time.ok_or_else(|| Reject::new(Code::TimeUnavailable, "time", detail))
}

/// A file from the command line.
pub(super) fn read(path: &Path) -> Result<Vec<u8>, Reject> {
    let failed = |error: io::Error| usage(format!("cannot read {}: {error}", path.display()));
    let length = fs::metadata(path).map_err(failed)?.len();
    if length > MAX_INPUT {
        return Err(usage(format!("{}: over {MAX_INPUT} bytes", path.display())));
    }
    fs::read(path).map_err(failed)
}

/// Keeps a file from the command line; another one in its place is refused.
pub(super) fn write_once(directory: &Path, name: &str, bytes: &[u8]) -> Result<(), Reject> {
    let path = directory.join(name);
    match fs::read(&path) {
        Ok(found) if found == bytes => return Ok(()),
        Ok(_) => {
            let detail = format!("{} is there already, with other content", path.display());
            return Err(usage(detail));
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => return Err(io_failed("read", &path, &error)),
    }
    fs::create_dir_all(directory).map_err(|error| io_failed("make", directory, &error))?;
    write(&path, bytes)
}

/// The old file or the new one, whenever the power is cut.
fn write(path: &Path, bytes: &[u8]) -> Result<(), Reject> {
    let unfinished = path.with_extension("unfinished");
    let written = fs::File::create(&unfinished).and_then(|mut file| {
        io::Write::write_all(&mut file, bytes)?;
        file.sync_all()?;
        fs::rename(&unfinished, path)?;
        fs::File::open(path.parent().unwrap_or(Path::new(".")))?.sync_all()
    });
    written.map_err(|error| io_failed("write", path, &error))
}

pub(super) fn store_failed(error: &impl Display) -> Reject {
    Reject::new(Code::StoreFailed, "", error.to_string())
}

fn io_failed(action: &str, path: &Path, error: &io::Error) -> Reject {
    store_failed(&format!("{}: cannot {action}: {error}", path.display()))
}

fn report_key(uri: &str, secrets: &Secrets) -> Result<ReportKey, Reject> {
    let signer = countersign_signing::open(&key_uri(uri)?, secrets);
    Ok(ReportKey::new(
        signer.map_err(|error| usage(error.to_string()))?,
    ))
}

fn image_key(uri: &str, secrets: &Secrets) -> Result<ImageKey, Reject> {
    let key = DecryptionKey::open(&key_uri(uri)?, secrets);
    Ok(ImageKey(key.map_err(|error| usage(error.to_string()))?))
}

fn key_uri(uri: &str) -> Result<KeyUri, Reject> {
    uri.parse().map_err(|error| usage(format!("{error}")))
}
