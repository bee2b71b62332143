//! The parts of a bundle out of its files, each judged as when it was made.

use std::collections::BTreeMap;
use std::path::Path;

use countersign_metadata::UtcTime;
use countersign_metadata::uptane::{HardwareId, Mapping};
use serde::de::DeserializeOwned;

use super::anchor::{Anchor, PLAIN};
use super::bundle::{Kind, Parts, Plain, Uptane};
use super::device::{Device, DeviceKeys, Identity};
use super::gather::{directors, others};
use super::layout::{self, KeysFile, ManifestFile, ModelFile, TimeFile, VehicleFile};
use super::newest;
use super::profile::{EcuModel, check_name, parse_time};
use super::time::Time;
use crate::error::CeremonyError;

type Content = BTreeMap<String, Vec<u8>>;

/// Takes a bundle apart. Metadata is judged at the bundle's own time: it is a floor, and may have
/// expired since.
pub(crate) fn rebuild(
    folder: &Path,
    manifest: &ManifestFile,
    content: &Content,
) -> Result<Parts, CeremonyError> {
    let files = Files { folder, content };
    let model: ModelFile = files.json(layout::MODEL)?;
    let in_model = |why| files.unusable(layout::MODEL, why);
    check_name(&model.name).map_err(in_model)?;
    for accepted in &manifest.accepted {
        let checked = accepted.check();
        checked.map_err(|why| files.unusable(layout::MANIFEST, why))?;
    }
    let time: TimeFile = files.json(layout::TIME)?;
    let floor = parse_time(&time.floor).map_err(|why| files.unusable(layout::TIME, why))?;
    let (kind, devices) = match (model.urls, model.ecu) {
        (Some(urls), None) => {
            let anchor = files.anchor(PLAIN)?;
            let newest = files.newest(&anchor, floor)?;
            let plain = Plain {
                anchor,
                newest,
                urls,
            };
            (Kind::Plain(Box::new(plain)), Vec::new())
        }
        (None, Some(ecu)) => {
            ecu.check().map_err(in_model)?;
            let installed = model.installed.as_ref();
            installed
                .map_or(Ok(()), |image| image.check())
                .map_err(in_model)?;
            let uptane = Uptane {
                installed: model.installed,
                ..files.uptane(ecu, floor)?
            };
            let listed = manifest.devices.iter();
            let devices = listed.map(|listed| files.device(listed, &uptane, floor));
            let devices = devices.collect::<Result<_, _>>()?;
            (Kind::Uptane(Box::new(uptane)), devices)
        }
        _ => return Err(in_model("it is of one repository or of an ECU".into())),
    };
    let director = match &kind {
        Kind::Uptane(uptane) => Some(&uptane.director),
        Kind::Plain(_) => None,
    };
    let time = match content.get(layout::ATTESTATION) {
        None => Time::stated(floor),
        Some(file) => Time::attested(file.clone(), director)
            .map_err(|why| files.unusable(layout::ATTESTATION, why))?,
    };
    Ok(Parts {
        name: model.name,
        kind,
        time,
        accepted: manifest.accepted.clone(),
        devices,
    })
}

struct Files<'a> {
    folder: &'a Path,
    content: &'a Content,
}

impl Files<'_> {
    fn unusable(&self, name: &str, why: String) -> CeremonyError {
        CeremonyError::Exchange {
            path: self.folder.join(name),
            why,
        }
    }

    fn bytes(&self, name: &str) -> Result<&[u8], CeremonyError> {
        let bytes = self.content.get(name).map(Vec::as_slice);
        bytes.ok_or_else(|| self.unusable(name, "it is missing".into()))
    }

    fn json<T: DeserializeOwned>(&self, name: &str) -> Result<T, CeremonyError> {
        let read = serde_json::from_slice(self.bytes(name)?);
        read.map_err(|error| self.unusable(name, error.to_string()))
    }

    fn anchor(&self, repository: &'static str) -> Result<Anchor, CeremonyError> {
        let name = format!("{repository}/root.json");
        let root = self.bytes(&name)?.to_vec();
        Anchor::of(repository, root).map_err(|why| self.unusable(&name, why))
    }

    /// What lies beside a Root, if any of it does.
    fn newest(
        &self,
        anchor: &Anchor,
        time: UtcTime,
    ) -> Result<Option<newest::Newest>, CeremonyError> {
        let repository = anchor.repository;
        if !self
            .content
            .contains_key(&format!("{repository}/targets.json"))
        {
            return Ok(None);
        }
        newest::of_repository(anchor, &self.folder.join(repository), time).map(Some)
    }

    fn uptane(&self, ecu: EcuModel, time: UtcTime) -> Result<Uptane, CeremonyError> {
        let hardware_id = HardwareId::new(&ecu.hardware_id);
        let map = String::from_utf8(self.bytes(layout::MAP)?.to_vec());
        let image = self.anchor(Mapping::IMAGE)?;
        Ok(Uptane {
            director: self.anchor(Mapping::DIRECTOR)?,
            image_newest: self.newest(&image, time)?,
            image,
            hardware_id: hardware_id
                .map_err(|error| self.unusable(layout::MODEL, error.to_string()))?,
            map: map.map_err(|error| self.unusable(layout::MAP, error.to_string()))?,
            ecu,
            installed: None,
        })
    }

    fn device(
        &self,
        listed: &layout::ListedDevice,
        uptane: &Uptane,
        time: UtcTime,
    ) -> Result<Device, CeremonyError> {
        let identity = Identity::new(&listed.vehicle, &listed.ecu)
            .map_err(|why| self.unusable(layout::MANIFEST, why))?;
        let folder = format!("{}/{}", layout::DEVICES, identity.folder());
        let vehicle = format!("{folder}/{}", layout::VEHICLE);
        let config: VehicleFile = self.json(&vehicle)?;
        let others = others(&config.others).map_err(|why| self.unusable(&vehicle, why))?;
        let name = format!("{folder}/{}", layout::KEYS);
        let keys = match self.content.contains_key(&name) {
            false => DeviceKeys::default(),
            true => {
                let file: KeysFile = self.json(&name)?;
                let why = || self.unusable(&name, "its keys cannot be read".into());
                file.keys().ok_or_else(why)?
            }
        };
        let metadata = format!("{folder}/{}", Mapping::DIRECTOR);
        let director = match self
            .content
            .contains_key(&format!("{metadata}/targets.json"))
        {
            false => None,
            true => {
                let folder = self.folder.join(metadata);
                Some(directors(uptane, &identity, &others, &folder, time)?)
            }
        };
        Ok(Device {
            identity,
            others,
            keys,
            director,
        })
    }
}
