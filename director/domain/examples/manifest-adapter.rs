//! This Director's judgement of manifests behind the commands of the test vectors:
//!
//! ```text
//! manifest-adapter --state-dir D reset INVENTORY.json
//! manifest-adapter --state-dir D --sender VIN manifest FILE
//! ```
//!
//! What it has believed last of each vehicle is in `D/VIN.manifest`, as a Director keeps it in its database.

#![allow(clippy::print_stdout, reason = "an adapter answers on standard output")]

use std::collections::BTreeMap;
use std::error::Error;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{SystemTime, UNIX_EPOCH};

use countersign_director_domain::manifest::{ReportRules, judge, recall};
use countersign_director_domain::{EcuRecord, VehicleRecord};
use countersign_metadata::json::{Object, Value, parse};
use countersign_metadata::uptane::{EcuSerial, HardwareId, Vin};
use countersign_metadata::{Key, UtcTime, canonical};

type Failure = Box<dyn Error>;

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let done = match words[..] {
        ["--state-dir", state, "reset", inventory] => reset(Path::new(state), Path::new(inventory)),
        ["--state-dir", state, "--sender", sender, "manifest", file] => {
            manifest(Path::new(state), sender, Path::new(file))
        }
        _ => Err("usage: manifest-adapter --state-dir D [--sender VIN] reset|manifest FILE".into()),
    };
    match done {
        Ok((code, said)) => {
            println!("{said}");
            code
        }
        Err(error) => {
            eprintln!("manifest-adapter: {error}");
            ExitCode::from(2)
        }
    }
}

fn reset(state: &Path, inventory: &Path) -> Result<(ExitCode, String), Failure> {
    let bytes = fs::read(inventory)?;
    vehicles(&bytes)?;
    if state.exists() {
        fs::remove_dir_all(state)?;
    }
    fs::create_dir_all(state)?;
    fs::write(state.join("inventory.json"), bytes)?;
    Ok((ExitCode::SUCCESS, "{}".into()))
}

fn manifest(state: &Path, sender: &str, file: &Path) -> Result<(ExitCode, String), Failure> {
    let sender = Vin::new(sender)?;
    let vehicles = vehicles(&fs::read(state.join("inventory.json"))?)?;
    let Some(vehicle) = vehicles.get(&sender) else {
        return Ok((
            ExitCode::from(1),
            said([("name", "vehicle-unknown".into())]),
        ));
    };
    let kept: PathBuf = state.join(format!("{sender}.manifest"));
    let heard = match fs::read(&kept) {
        Ok(last) => recall(&last, vehicle)?,
        Err(_) => BTreeMap::new(),
    };
    let bytes = fs::read(file)?;
    match judge(&sender, &bytes, vehicle, &heard, &ReportRules::at(now()?)) {
        Ok((receipt, _)) => {
            fs::write(kept, bytes)?;
            let stale = receipt.stale.iter().map(|serial| serial.as_str().into());
            let attacks = receipt.attacks.iter();
            let attacks =
                attacks.map(|(serial, attack)| format!("{serial} {}", attack.attack).into());
            let members = [
                ("stale", Value::Array(stale.collect())),
                ("attacks", Value::Array(attacks.collect())),
            ];
            Ok((ExitCode::SUCCESS, said(members)))
        }
        Err(refusal) => Ok((ExitCode::from(1), said([("name", refusal.name().into())]))),
    }
}

fn said<const N: usize>(members: [(&str, Value); N]) -> String {
    let members = members.map(|(name, value)| (name.to_owned(), value));
    canonical::encode(&Object::from_iter(members).into())
}

fn now() -> Result<UtcTime, Failure> {
    let since = SystemTime::now().duration_since(UNIX_EPOCH)?;
    UtcTime::from_unix(i64::try_from(since.as_secs())?).ok_or_else(|| "the clock is off".into())
}

fn vehicles(bytes: &[u8]) -> Result<BTreeMap<Vin, VehicleRecord>, Failure> {
    let inventory = parse(bytes)?;
    let mut vehicles = BTreeMap::new();
    for (vin, vehicle) in object(member(&inventory, "vehicles")?)? {
        let mut ecus = BTreeMap::new();
        for (serial, ecu) in object(member(vehicle, "ecus")?)? {
            let record = EcuRecord {
                hardware_id: HardwareId::new(text(member(ecu, "hardware_id")?)?)?,
                signing: Key::of(member(ecu, "key")?)?,
                encryption: None,
            };
            ecus.insert(EcuSerial::new(serial)?, record);
        }
        let primary = EcuSerial::new(text(member(vehicle, "primary")?)?)?;
        vehicles.insert(Vin::new(vin)?, VehicleRecord { primary, ecus });
    }
    Ok(vehicles)
}

fn member<'v>(value: &'v Value, name: &str) -> Result<&'v Value, Failure> {
    let found = object(value)?.get(name);
    found.ok_or_else(|| format!("the inventory has no {name}").into())
}

fn object(value: &Value) -> Result<&Object, Failure> {
    value
        .as_object()
        .ok_or_else(|| "the inventory has something else than an object".into())
}

fn text(value: &Value) -> Result<&str, Failure> {
    value
        .as_str()
        .ok_or_else(|| "the inventory has something else than a text".into())
}
