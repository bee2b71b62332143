//! `vehicle.json`: which ECU this is, in which vehicle.

use std::collections::BTreeMap;
use std::fmt::Display;
use std::path::Path;

use countersign_client::uptane::link::Verification;
use countersign_metadata::uptane::{EcuSerial, HardwareId, Mapping, Vin};
use countersign_verifier::uptane::Ecu;
use countersign_verifier::{Code, Reject};
use serde::de::Error;
use serde::{Deserialize, Deserializer};

use super::{Inputs, device};
use crate::commands::usage;

pub(super) const CONFIG: &str = "vehicle.json";
pub(super) const MAPPING: &str = "map.json";

/// The file, read strictly.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(super) struct Config {
    /// The vehicle.
    #[serde(deserialize_with = "vin")]
    pub(super) vin: Vin,
    /// This ECU.
    pub(super) ecu: Own,
    /// The vehicle's other ECUs, with their hardware: metadata may name them.
    #[serde(default, deserialize_with = "others")]
    pub(super) others: BTreeMap<EcuSerial, HardwareId>,
    /// What was installed at the factory.
    #[serde(default)]
    pub(super) installed: Option<Factory>,
    #[serde(skip)]
    mapping: Option<Mapping>,
}

/// This ECU.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(super) struct Own {
    #[serde(deserialize_with = "serial")]
    pub(super) serial: EcuSerial,
    #[serde(deserialize_with = "hardware")]
    pub(super) hardware_id: HardwareId,
    /// `full` or `partial`
    pub(super) verification: Verification,
    /// Whether its metadata and images come from a Primary; always so where it verifies in part.
    #[serde(default)]
    secondary: bool,
    /// The URI of the key that signs its reports.
    pub(super) signing_key: String,
    /// The URI of the key that its images are encrypted for.
    #[serde(default)]
    pub(super) decryption_key: Option<String>,
}

/// An image out of the factory.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(super) struct Factory {
    pub(super) path: String,
    pub(super) release_counter: u64,
    pub(super) length: u64,
    pub(super) sha256: String,
}

impl Config {
    /// Takes the files in, once.
    pub(super) fn provision(
        directory: &Path,
        config: &Path,
        mapping: Option<&Path>,
        inputs: &Inputs<'_>,
    ) -> Result<Self, Reject> {
        let text = device::read(config)?;
        let parsed = parse(&text, config)?;
        let map = match (mapping, inputs.director_url, inputs.image_url) {
            (Some(path), ..) => device::read(path)?,
            (None, Some(director), Some(image)) => {
                let both = Mapping::both(vec![director.into()], vec![image.into()]);
                both.map_err(|error| usage(error.to_string()))?
                    .to_json()
                    .into_bytes()
            }
            _ => return Err(usage("it needs --map, or --director-url and --image-url")),
        };
        Mapping::parse(&map).map_err(|error| usage(format!("the mapping: {error}")))?;
        device::write_once(directory, CONFIG, &text)?;
        device::write_once(directory, MAPPING, &map)?;
        let mapping = Mapping::parse(&map).ok();
        Ok(Self { mapping, ..parsed })
    }

    /// What `uptane-init` took in.
    pub(super) fn read(directory: &Path) -> Result<Self, Reject> {
        let path = directory.join(CONFIG);
        let config = parse(&device::read(&path)?, &path)?;
        let map = device::read(&directory.join(MAPPING))?;
        let mapping = Mapping::parse(&map);
        Ok(Self {
            mapping: Some(mapping.map_err(|error| usage(format!("{MAPPING}: {error}")))?),
            ..config
        })
    }

    pub(super) fn ecu(&self) -> Ecu {
        Ecu {
            serial: self.ecu.serial.clone(),
            hardware_id: self.ecu.hardware_id.clone(),
        }
    }

    /// Whether it looks at its own image only, and downloads none.
    pub(super) fn is_secondary(&self) -> bool {
        self.ecu.secondary || self.ecu.verification == Verification::Partial
    }

    /// The mapping, with the addresses of this run where there are any.
    pub(super) fn mapping(&self, inputs: &Inputs<'_>) -> Result<Mapping, Reject> {
        let Some(mapping) = &self.mapping else {
            return Err(Reject::new(Code::StoreFailed, "", "there is no mapping"));
        };
        let text = mapping.to_json();
        let mut value: serde_json::Value =
            serde_json::from_str(&text).map_err(|error| usage(error.to_string()))?;
        let given = [
            (Mapping::DIRECTOR, inputs.director_url),
            (Mapping::IMAGE, inputs.image_url),
        ];
        for (repository, url) in given {
            if let Some(url) = url {
                value["repositories"][repository] = serde_json::json!([url]);
            }
        }
        Mapping::parse(value.to_string().as_bytes()).map_err(|error| usage(error.to_string()))
    }

    /// Where a repository's metadata is.
    pub(super) fn urls(
        &self,
        repository: &str,
        inputs: &Inputs<'_>,
    ) -> Result<Vec<String>, Reject> {
        let mapping = self.mapping(inputs)?;
        let urls = mapping.urls(repository).iter();
        Ok(urls
            .map(|url| format!("{}/metadata/", url.trim_end_matches('/')))
            .collect())
    }
}

fn parse(text: &[u8], path: &Path) -> Result<Config, Reject> {
    serde_json::from_slice(text).map_err(|error| usage(format!("{}: {error}", path.display())))
}

fn text<'de, D: Deserializer<'de>, T, E: Display>(
    from: D,
    read: impl Fn(&str) -> Result<T, E>,
) -> Result<T, D::Error> {
    read(&String::deserialize(from)?).map_err(D::Error::custom)
}

fn vin<'de, D: Deserializer<'de>>(from: D) -> Result<Vin, D::Error> {
    text(from, Vin::new)
}

fn serial<'de, D: Deserializer<'de>>(from: D) -> Result<EcuSerial, D::Error> {
    text(from, EcuSerial::new)
}

fn hardware<'de, D: Deserializer<'de>>(from: D) -> Result<HardwareId, D::Error> {
    text(from, HardwareId::new)
}

fn others<'de, D: Deserializer<'de>>(from: D) -> Result<BTreeMap<EcuSerial, HardwareId>, D::Error> {
    let texts = BTreeMap::<String, String>::deserialize(from)?;
    let read = |(serial, hardware): (&String, &String)| {
        let serial = EcuSerial::new(serial).map_err(D::Error::custom)?;
        let hardware = HardwareId::new(hardware).map_err(D::Error::custom)?;
        Ok((serial, hardware))
    };
    texts.iter().map(read).collect()
}
