//! The public keys by which a Primary knows its ECUs: set in the factory, never learnt on the way.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use countersign_metadata::Key;
use countersign_metadata::json::Object;
use countersign_metadata::uptane::EcuSerial;
use serde::{Deserialize, Serialize};

use crate::director::VehicleRecord;
use crate::error::SimError;
use crate::provision::write;

const NAME: &str = "members.json";

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Member {
    keytype: String,
    scheme: String,
    public: String,
}

pub(crate) fn keep(folder: &Path, vehicle: &VehicleRecord) -> Result<(), SimError> {
    let member = |key: &Key| Member {
        keytype: key.keytype.clone(),
        scheme: key.scheme.clone(),
        public: key.public().map(|key| key.to_text()).unwrap_or_default(),
    };
    let members = vehicle.ecus.iter();
    let members: BTreeMap<_, _> = members
        .map(|(serial, ecu)| (serial.as_str(), member(&ecu.signing)))
        .collect();
    let text = serde_json::to_vec_pretty(&members).map_err(damaged)?;
    write(&folder.join(NAME), &text)
}

pub(crate) fn read(folder: &Path) -> Result<BTreeMap<EcuSerial, Key>, SimError> {
    let path = folder.join(NAME);
    let text = fs::read(&path).map_err(SimError::io("read", &path))?;
    let members: BTreeMap<String, Member> = serde_json::from_slice(&text).map_err(damaged)?;
    let members = members.into_iter().map(|(serial, member)| {
        let key = Key {
            keytype: member.keytype,
            scheme: member.scheme,
            keyval: Object::from_iter([("public".into(), member.public.into())]),
            extra: Object::new(),
        };
        Ok((EcuSerial::new(&serial)?, key))
    });
    members.collect()
}

fn damaged(error: serde_json::Error) -> SimError {
    SimError::Plan {
        detail: format!("{NAME}: {error}"),
    }
}
