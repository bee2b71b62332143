//! What devices are given, judged as a whole, with every byte of it.

use std::collections::BTreeMap;

use countersign_metadata::uptane::{HardwareId, Mapping};
use countersign_metadata::{UtcTime, sha256};

use super::anchor::{Anchor, PLAIN};
use super::device::Device;
use super::judge::judge;
use super::layout::{self, Factory, KeysFile, ModelFile, TimeFile, VehicleFile, to_json};
use super::newest::Newest;
use super::profile::{EcuModel, VIN};
use super::review::Review;
use super::time::Time;
use crate::error::CeremonyError;
use crate::policy::{Finding, unaccepted};
use crate::profile::Accepted;
use crate::review::first_and_last;
use crate::words::fingerprint;

/// What was read and verified, one by one.
#[derive(Debug)]
pub(crate) struct Parts {
    pub(crate) name: String,
    pub(crate) kind: Kind,
    pub(crate) time: Time,
    pub(crate) accepted: Vec<Accepted>,
    pub(crate) devices: Vec<Device>,
}

/// How a device is updated.
#[derive(Debug)]
pub(crate) enum Kind {
    /// From one repository.
    Plain(Box<Plain>),
    /// As an ECU of a vehicle.
    Uptane(Box<Uptane>),
}

#[derive(Debug)]
pub(crate) struct Plain {
    pub(crate) anchor: Anchor,
    pub(crate) newest: Option<Newest>,
    pub(crate) urls: Vec<String>,
}

#[derive(Debug)]
pub(crate) struct Uptane {
    pub(crate) director: Anchor,
    pub(crate) image: Anchor,
    pub(crate) image_newest: Option<Newest>,
    pub(crate) ecu: EcuModel,
    pub(crate) hardware_id: HardwareId,
    /// The mapping, in which `{vin}` is still to be filled in.
    pub(crate) map: String,
    pub(crate) installed: Option<Factory>,
}

/// Everything that will be written, once somebody has confirmed it.
#[derive(Debug)]
pub struct Bundle {
    pub(crate) parts: Parts,
    pub(crate) files: BTreeMap<String, Vec<u8>>,
    words: String,
    findings: Vec<Finding>,
}

impl Bundle {
    /// Judges the parts against each other, and what the policy says of them at `now`.
    pub(crate) fn new(parts: Parts, now: UtcTime) -> Result<Self, CeremonyError> {
        let findings = judge(&parts, now)?;
        let unaccepted = unaccepted(&findings, &parts.accepted);
        if !unaccepted.is_empty() {
            let findings = unaccepted.into_iter().cloned().collect();
            return Err(CeremonyError::Policy { findings });
        }
        let mut files = common(&parts)?;
        let words = words(&files);
        for (path, bytes) in own(&parts)? {
            files.insert(path, bytes);
        }
        let mut bundle = Self {
            parts,
            files,
            words,
            findings,
        };
        let review = bundle.review().to_text(usize::MAX);
        let review = countersign_repo::visible::text(&review) + "\n";
        bundle.files.insert(layout::REVIEW.into(), review.into());
        let manifest = to_json(&bundle.manifest());
        bundle.files.insert(layout::MANIFEST.into(), manifest);
        Ok(bundle)
    }

    /// What it says, for people.
    pub fn review(&self) -> Review {
        Review::new(self)
    }

    /// What the policy has to say of it now.
    pub fn findings(&self) -> &[Finding] {
        &self.findings
    }

    /// The fingerprint of what all devices have in common: Roots, mapping and model. It changes
    /// neither with the time nor with the list of devices.
    pub fn words(&self) -> &str {
        &self.words
    }

    /// What has to be typed to confirm it.
    pub fn confirmation(&self) -> String {
        format!("provision {}", first_and_last(&self.words))
    }

    /// How many devices it names.
    pub fn devices(&self) -> usize {
        self.parts.devices.len()
    }

    fn manifest(&self) -> layout::ManifestFile {
        let devices = self.parts.devices.iter();
        let devices = devices.map(|device| layout::ListedDevice {
            vehicle: device.identity.vin().into(),
            ecu: device.identity.serial().into(),
        });
        let files = self.files.iter();
        layout::ManifestFile {
            format: layout::FORMAT.into(),
            words: self.words.clone(),
            accepted: self.parts.accepted.clone(),
            devices: devices.collect(),
            files: files
                .map(|(path, bytes)| (path.clone(), layout::ListedFile::of(bytes)))
                .collect(),
        }
    }
}

impl Parts {
    /// The Roots, in the order in which they are shown.
    pub(crate) fn anchors(&self) -> Vec<&Anchor> {
        match &self.kind {
            Kind::Plain(plain) => vec![&plain.anchor],
            Kind::Uptane(uptane) => vec![&uptane.director, &uptane.image],
        }
    }
}

impl Uptane {
    /// The mapping of one vehicle.
    pub(crate) fn map_for(&self, encoded_vin: &str) -> String {
        self.map.replace(VIN, encoded_vin)
    }
}

/// What is in it for all devices.
fn common(parts: &Parts) -> Result<BTreeMap<String, Vec<u8>>, CeremonyError> {
    let mut files = BTreeMap::new();
    let mut add = |path: String, bytes: Vec<u8>| drop(files.insert(path, bytes));
    let mut model = ModelFile {
        format: layout::FORMAT.into(),
        name: parts.name.clone(),
        urls: None,
        ecu: None,
        installed: None,
    };
    for anchor in parts.anchors() {
        add(
            format!("{}/root.json", anchor.repository),
            anchor.bytes().into(),
        );
    }
    let newest = match &parts.kind {
        Kind::Plain(plain) => {
            model.urls = Some(plain.urls.clone());
            &plain.newest
        }
        Kind::Uptane(uptane) => {
            model.ecu = Some(uptane.ecu.clone());
            model.installed = uptane.installed.clone();
            add(layout::MAP.into(), uptane.map.clone().into());
            &uptane.image_newest
        }
    };
    let repository = match &parts.kind {
        Kind::Plain(_) => PLAIN,
        Kind::Uptane(_) => Mapping::IMAGE,
    };
    for (name, (_, bytes)) in newest.iter().flat_map(|newest| &newest.files) {
        add(format!("{repository}/{name}"), bytes.clone());
    }
    add(layout::MODEL.into(), to_json(&model));
    add(layout::TIME.into(), to_json(&TimeFile::new(&parts.time)));
    if let Some(attested) = &parts.time.attested {
        add(layout::ATTESTATION.into(), attested.file.clone());
    }
    Ok(files)
}

/// What is one device's own, or the template for all.
fn own(parts: &Parts) -> Result<Vec<(String, Vec<u8>)>, CeremonyError> {
    let Kind::Uptane(uptane) = &parts.kind else {
        return Ok(Vec::new());
    };
    let mut files = Vec::new();
    let mut add = |folder: &str, who: (&str, &str), others, map: String| {
        let vehicle = VehicleFile::new(who, others, &uptane.ecu, uptane.installed.as_ref());
        let state = layout::state(who.1, &uptane.ecu, uptane.installed.as_ref(), &parts.time);
        files.push((format!("{folder}/{}", layout::VEHICLE), to_json(&vehicle)));
        files.push((format!("{folder}/{}", layout::STATE), state));
        files.push((format!("{folder}/{}", layout::MAP), map.into()));
    };
    if parts.devices.is_empty() {
        let blank = (layout::BLANK_VIN, layout::BLANK_SERIAL);
        add(layout::TEMPLATE, blank, BTreeMap::new(), uptane.map.clone());
    }
    for device in &parts.devices {
        let identity = &device.identity;
        let others = device.others.iter();
        let others = others.map(|(serial, hardware)| (serial.to_string(), hardware.to_string()));
        let folder = format!("{}/{}", layout::DEVICES, identity.folder());
        let map = uptane.map_for(&identity.encoded_vin());
        add(
            &folder,
            (identity.vin(), identity.serial()),
            others.collect(),
            map,
        );
    }
    for device in &parts.devices {
        let folder = format!("{}/{}", layout::DEVICES, device.identity.folder());
        if !device.keys.is_empty() {
            let keys = KeysFile::new(&device.keys, &uptane.ecu.hardware_id);
            files.push((format!("{folder}/{}", layout::KEYS), to_json(&keys)));
        }
        for (name, (_, bytes)) in device.director.iter().flat_map(|newest| &newest.files) {
            files.push((
                format!("{folder}/{}/{name}", Mapping::DIRECTOR),
                bytes.clone(),
            ));
        }
    }
    Ok(files)
}

/// Of what a person has to review, whatever the list of devices is.
fn words(common: &BTreeMap<String, Vec<u8>>) -> String {
    let reviewed =
        |path: &str| path.ends_with("/root.json") || matches!(path, layout::MODEL | layout::MAP);
    let mut text = format!("{}\n", layout::FORMAT);
    for (path, bytes) in common.iter().filter(|(path, _)| reviewed(path)) {
        text.push_str(&format!("{} {path}\n", hex::encode(sha256(bytes))));
    }
    fingerprint(text.as_bytes())
}
