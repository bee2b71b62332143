//! An ECU of a vehicle, with what it must not forget, its keys and its installer: what it does in each
//! cycle (Uptane 5.4.3), and the Primary that serves it and others (5.4.2).

mod cycle;
mod device;
mod installer;
mod options;
mod primary;
mod server;

use std::path::Path;
use std::sync::Mutex;
use std::time::Duration;

use countersign_client::client::initialise;
use countersign_client::store::DirStore;
use countersign_client::uptane::secondary::Secondary;
use countersign_client::uptane::state::{EcuState, StateFile};
use countersign_metadata::uptane::Mapping;
use countersign_verifier::Reject;

use crate::boundary::{countersign_status, given, guard, items, place, release};
use crate::client::{sized, store_failed};
use crate::error::countersign_error;
use crate::handles::{self, handles, misuse, take};
use crate::uptane::{countersign_installed, installed};

pub use self::cycle::*;
pub use self::device::*;
pub use self::installer::*;
pub use self::options::*;
pub use self::primary::*;
pub use self::server::*;

/// How long to wait for another process that uses the same directory.
const LOCK_PATIENCE: Duration = Duration::from_secs(30);

/// One ECU, to be given to countersign_primary_open as the Primary's own, or to
/// countersign_ecu_listen.
pub struct countersign_ecu {
    _opaque: u8,
}

handles! {
    countersign_ecu = EcuObject, "an ECU";
}

pub(crate) struct EcuObject(Mutex<Option<Secondary>>);

impl EcuObject {
    /// The ECU behind a handle that is given up.
    pub(crate) fn taken(handle: *mut countersign_ecu) -> Result<Secondary, Reject> {
        let object = take(handle)?;
        let ecu = handles::lock(&object.0, "ECU")?.take();
        ecu.ok_or_else(|| misuse("this ECU was given away".into()))
    }
}

/// What an ECU gets at the factory (Uptane 5.4.1): the first Roots of both repositories, and the image
/// that it has (or NULL). Fine if all of that is there already.
///
/// `options->installer`, `host` and the keys are not looked at. The image's bytes, where they are in the
/// file slots, are put there by whoever flashes the device.
/// Refuses with COUNTERSIGN_ROOT_CONFLICT if another Root is trusted, and for what is wrong with one.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn countersign_ecu_provision(
    options: *const countersign_ecu_options,
    director_root: *const u8,
    director_root_len: usize,
    image_root: *const u8,
    image_root_len: usize,
    factory_image: *const countersign_installed,
    error: *mut *mut countersign_error,
) -> countersign_status {
    guard(error, || {
        let options: countersign_ecu_options = sized(options, "options")?;
        let directory = options.directory()?;
        let roots = [
            (
                Mapping::DIRECTOR,
                items(director_root, director_root_len, "director_root")?,
            ),
            (
                Mapping::IMAGE,
                items(image_root, image_root_len, "image_root")?,
            ),
        ];
        let image = match factory_image.is_null() {
            true => None,
            false => Some(installed(given(factory_image, "factory_image")?)?.1),
        };
        provision_roots(directory, roots)?;
        let state = EcuState::provisioned(options.ecu()?.serial, image);
        match StateFile::provision(&directory.join("state"), state) {
            Ok(_) | Err(countersign_client::uptane::state::StateError::AlreadyThere { .. }) => {
                Ok(())
            }
            Err(error) => Err(store_failed(&error)),
        }
    })
}

/// Puts first Roots into the stores below a directory.
pub(crate) fn provision_roots(directory: &Path, roots: [(&str, &[u8]); 2]) -> Result<(), Reject> {
    for (repository, root) in roots {
        let mut store = open_store(directory, repository)?;
        initialise(&mut store, root.to_vec()).map_err(|error| error.to_reject(repository))?;
    }
    Ok(())
}

pub(crate) fn open_store(directory: &Path, repository: &str) -> Result<DirStore, Reject> {
    let store = DirStore::open(&directory.join(repository), LOCK_PATIENCE);
    store.map_err(|error| store_failed(&error))
}

/// Puts an ECU together. An installation that a power cut broke off is brought to its end in its next
/// cycle. `ecu` gets a new handle, which you free or give away; everything in `options` is copied, and
/// what the `user` pointers of callbacks point to has to live as long as the ECU.
///
/// Refuses with COUNTERSIGN_STORE_FAILED if the directory was not provisioned or is in use, and with
/// COUNTERSIGN_MISUSE if it is another ECU's.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn countersign_ecu_open(
    options: *const countersign_ecu_options,
    ecu: *mut *mut countersign_ecu,
    error: *mut *mut countersign_error,
) -> countersign_status {
    guard(error, || {
        let out = place(ecu, "ecu")?;
        let options: countersign_ecu_options = sized(options, "options")?;
        let ecu = Secondary::new(options.parts()?)?;
        out.put(handles::put(EcuObject(Mutex::new(Some(ecu)))));
        Ok(())
    })
}

/// Gives an ECU up. NULL is fine.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn countersign_ecu_free(ecu: *mut countersign_ecu) {
    release(ecu);
}
