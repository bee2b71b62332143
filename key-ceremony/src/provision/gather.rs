//! From what somebody names to what is verified.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Read as _;
use std::path::{Component, Path, PathBuf};

use countersign_metadata::UtcTime;
use countersign_metadata::uptane::{EcuSerial, HardwareId, Mapping};
use ring::digest;

use super::anchor::{Anchor, PLAIN};
use super::bundle::{Bundle, Kind, Parts, Plain, Uptane};
use super::device::{Device, DeviceKeys, Identity};
use super::devices::Row;
use super::layout::Factory;
use super::newest::{self, Newest};
use super::profile::{EcuModel, InstalledModel, Profile, Source, VIN};
use super::source::folder_of;
use super::time::{Time, TimeGiven};
use super::{keys, limits};
use crate::error::CeremonyError;
use crate::files;
use crate::profile::Accepted;

/// What somebody wants made.
#[derive(Debug, Clone)]
pub struct Order {
    /// The profile of the model.
    pub profile: PathBuf,
    /// The devices; none of them makes a template.
    pub rows: Vec<Row>,
    /// The folder of their keys.
    pub keys: PathBuf,
    /// The time.
    pub time: TimeGiven,
    /// What of the policy is overridden.
    pub accepted: Vec<Accepted>,
}

/// Reads and verifies everything that `order` names, at `now`. Writes nothing.
///
/// # Errors
/// [`CeremonyError`]: what cannot be read, what devices would refuse, what the policy refuses.
pub fn gather(order: &Order, now: UtcTime) -> Result<Bundle, CeremonyError> {
    let profile = Profile::load(&order.profile)?;
    let base = folder_of(&order.profile);
    let parts = match (
        &profile.repository,
        &profile.director,
        &profile.image,
        &profile.ecu,
    ) {
        (Some(source), ..) => plain(order, &profile, source, &base, now)?,
        (None, Some(director), Some(image), Some(ecu)) => {
            uptane(order, &profile, (director, image, ecu), &base, now)?
        }
        _ => {
            return Err(CeremonyError::Usage(
                "the profile names no repository".into(),
            ));
        }
    };
    Bundle::new(parts, now)
}

fn plain(
    order: &Order,
    profile: &Profile,
    source: &Source,
    base: &Path,
    now: UtcTime,
) -> Result<Parts, CeremonyError> {
    if !order.rows.is_empty() {
        return Err(CeremonyError::Usage(
            "devices of a plain TUF repository are all given the same; leave the devices out"
                .into(),
        ));
    }
    let anchor = Anchor::read(PLAIN, source, base, now)?;
    let newest = source.metadata.as_ref().map(|folder| {
        let folder = base.join(folder);
        newest::of_repository(&anchor, &folder, now)
    });
    Ok(Parts {
        name: profile.name.clone(),
        time: Time::read(&order.time, None, now)?,
        accepted: order.accepted.clone(),
        devices: Vec::new(),
        kind: Kind::Plain(Box::new(Plain {
            newest: newest.transpose()?,
            urls: source.urls.clone(),
            anchor,
        })),
    })
}

fn uptane(
    order: &Order,
    profile: &Profile,
    (director, image, ecu): (&Source, &Source, &EcuModel),
    base: &Path,
    now: UtcTime,
) -> Result<Parts, CeremonyError> {
    let hardware_id = HardwareId::new(&ecu.hardware_id)
        .map_err(|error| CeremonyError::Usage(error.to_string()))?;
    let anchors = (
        Anchor::read(Mapping::DIRECTOR, director, base, now)?,
        Anchor::read(Mapping::IMAGE, image, base, now)?,
    );
    let image_newest = image.metadata.as_ref().map(|folder| {
        let folder = base.join(folder);
        newest::of_repository(&anchors.1, &folder, now)
    });
    let map = match &profile.map {
        Some(path) => read_map(&base.join(path))?,
        None => Mapping::both(director.urls.clone(), image.urls.clone())
            .map_err(|error| CeremonyError::Refused(format!("the mapping: {error}")))?
            .to_json(),
    };
    let mut uptane = Uptane {
        director: anchors.0,
        image: anchors.1,
        image_newest: image_newest.transpose()?,
        ecu: ecu.clone(),
        hardware_id,
        map,
        installed: None,
    };
    if let Some(image) = &profile.installed {
        uptane.installed = Some(measure(image, base)?);
    }
    if director.metadata.is_some() && order.rows.is_empty() {
        return Err(CeremonyError::Usage(
            "director.metadata is for one vehicle, and a template is for none; name the devices, \
             or take it out of the profile"
                .into(),
        ));
    }
    let devices = order.rows.iter().map(|row| {
        let identity = Identity::new(&row.vehicle, &row.ecu).map_err(CeremonyError::Refused)?;
        let folder = director.metadata.as_ref();
        let folder = folder.map(|name| base.join(name.replace(VIN, &identity.encoded_vin())));
        device(row, identity, &order.keys, &uptane, folder.as_deref(), now)
    });
    Ok(Parts {
        name: profile.name.clone(),
        time: Time::read(&order.time, Some(&uptane.director), now)?,
        accepted: order.accepted.clone(),
        devices: devices.collect::<Result<_, _>>()?,
        kind: Kind::Uptane(Box::new(uptane)),
    })
}

fn read_map(path: &Path) -> Result<String, CeremonyError> {
    let unusable = |why: String| CeremonyError::Exchange {
        path: path.into(),
        why,
    };
    let text = String::from_utf8(files::read(path, limits::SMALL)?);
    let text = text.map_err(|_| unusable("it is not UTF-8".into()))?;
    Mapping::parse(text.as_bytes()).map_err(|error| unusable(error.to_string()))?;
    Ok(text)
}

fn device(
    row: &Row,
    identity: Identity,
    key_folder: &Path,
    uptane: &Uptane,
    metadata: Option<&Path>,
    now: UtcTime,
) -> Result<Device, CeremonyError> {
    let others = others(&row.others).map_err(|why| {
        CeremonyError::Refused(format!(
            "the other ECUs of vehicle {}: {why}",
            identity.vin()
        ))
    })?;
    let file = |name: &Option<String>| {
        let name = name.as_ref();
        name.map(|name| key_path(key_folder, name)).transpose()
    };
    let mut keys = DeviceKeys::default();
    if let Some(path) = file(&row.signing_key)? {
        keys.signing = Some(keys::signing(&path, &identity)?);
    }
    if let Some(path) = file(&row.encryption_key)? {
        keys.encryption = Some(keys::encryption(&path)?);
    }
    let director = metadata.map(|folder| directors(uptane, &identity, &others, folder, now));
    Ok(Device {
        director: director.transpose()?,
        identity,
        others,
        keys,
    })
}

/// The Director's metadata for one device, as that device would see it.
pub(crate) fn directors(
    uptane: &Uptane,
    identity: &Identity,
    others: &BTreeMap<EcuSerial, HardwareId>,
    folder: &Path,
    now: UtcTime,
) -> Result<Newest, CeremonyError> {
    let own = (identity.serial.clone(), uptane.hardware_id.clone());
    let known = || others.clone().into_iter().chain([own]).collect();
    newest::of_director(
        &uptane.director,
        folder,
        (identity, &uptane.hardware_id),
        (!uptane.ecu.is_secondary()).then(known),
        uptane.ecu.verification,
        now,
    )
}

pub(crate) fn others(
    listed: &BTreeMap<String, String>,
) -> Result<BTreeMap<EcuSerial, HardwareId>, String> {
    let read = |(serial, hardware): (&String, &String)| {
        let serial = EcuSerial::new(serial).map_err(|error| error.to_string())?;
        let hardware = HardwareId::new(hardware).map_err(|error| error.to_string())?;
        Ok((serial, hardware))
    };
    listed.iter().map(read).collect()
}

/// A plain name in the folder of keys, and nothing that leads out of it.
fn key_path(folder: &Path, name: &str) -> Result<PathBuf, CeremonyError> {
    let mut parts = Path::new(name).components();
    match (parts.next(), parts.next()) {
        (Some(Component::Normal(file)), None) if !name.ends_with('/') => Ok(folder.join(file)),
        _ => Err(CeremonyError::Refused(format!(
            "{name:?} is no name of a file in the folder of keys"
        ))),
    }
}

fn measure(image: &InstalledModel, base: &Path) -> Result<Factory, CeremonyError> {
    let (length, sha256) = match (&image.file, image.length, &image.sha256) {
        (Some(file), ..) => digest_of(&base.join(file))?,
        (None, Some(length), Some(sha256)) => (length, sha256.clone()),
        _ => {
            return Err(CeremonyError::Usage(
                "installed needs file, or length and sha256".into(),
            ));
        }
    };
    Ok(Factory {
        path: image.path.clone(),
        release_counter: image.release_counter,
        length,
        sha256,
    })
}

fn digest_of(path: &Path) -> Result<(u64, String), CeremonyError> {
    let fail = |error| CeremonyError::io("read", path, error);
    let mut file = File::open(path).map_err(fail)?.take(limits::IMAGE + 1);
    let mut digest = digest::Context::new(&digest::SHA256);
    let (mut length, mut part) = (0_u64, vec![0; 1 << 16]);
    loop {
        let read = file.read(&mut part).map_err(fail)?;
        let Some(read) = part.get(..read).filter(|read| !read.is_empty()) else {
            break;
        };
        digest.update(read);
        length += read.len() as u64;
    }
    match length > limits::IMAGE {
        true => Err(CeremonyError::Exchange {
            path: path.into(),
            why: format!("it is longer than {} bytes", limits::IMAGE),
        }),
        false => Ok((length, hex::encode(digest.finish()))),
    }
}
