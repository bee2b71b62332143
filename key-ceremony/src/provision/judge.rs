//! What has to hold of a bundle as a whole, and what the policy says of it.

use std::collections::{BTreeMap, BTreeSet};

use countersign_metadata::uptane::Mapping;
use countersign_metadata::{PublicKey, UtcTime};

use super::anchor::{PLAIN, check_apart};
use super::bundle::{Kind, Parts, Uptane};
use super::device::{Device, Possession};
use super::keys;
use super::profile::Verification;
use crate::error::CeremonyError;
use crate::policy::{Finding, HOUSE, Weight};

/// Judges the parts against each other at `now`.
pub(crate) fn judge(parts: &Parts, now: UtcTime) -> Result<Vec<Finding>, CeremonyError> {
    let mut found = Vec::new();
    for anchor in parts.anchors() {
        anchor.check_fresh(now).map_err(CeremonyError::Refused)?;
        found.extend(anchor.findings(now));
    }
    found.extend(parts.time.findings(now));
    match &parts.kind {
        Kind::Plain(plain) => {
            if plain.newest.is_none() {
                found.push(left_out(PLAIN));
            }
        }
        Kind::Uptane(uptane) => {
            found.extend(check_apart(&uptane.director, &uptane.image)?);
            judge_devices(parts, uptane)?;
            check_mappings(parts, uptane)?;
            let full = uptane.ecu.verification == Verification::Full;
            if full && uptane.image_newest.is_none() {
                found.push(left_out(Mapping::IMAGE));
            }
            if parts.devices.iter().any(|device| device.director.is_none())
                || parts.devices.is_empty()
            {
                found.push(left_out(Mapping::DIRECTOR));
            }
            found.extend(not_shown(parts));
        }
    }
    Ok(found)
}

fn left_out(repository: &str) -> Finding {
    Finding {
        name: "metadata-left-out".into(),
        weight: Weight::Warn,
        subject: format!("{repository} metadata"),
        text: "it is given the Root alone; until its first cycle has brought the rest, the device \
               cannot tell that files are older than the factory's, as long as they have not \
               expired"
            .into(),
        source: "Uptane 5.4.1 (1)".into(),
    }
}

fn not_shown(parts: &Parts) -> Option<Finding> {
    let shown = |device: &&Device| matches!(device.keys.signing, Some((_, Possession::Request)));
    let without = parts.devices.len() - parts.devices.iter().filter(shown).count();
    (without > 0).then(|| Finding {
        name: "possession-not-shown".into(),
        weight: Weight::Note,
        subject: "keys".into(),
        text: format!(
            "{without} of {} devices have not shown here that they have their private keys; the \
             Director asks for that when a vehicle registers",
            parts.devices.len()
        ),
        source: HOUSE.into(),
    })
}

/// Every mapping that a device gets says where both repositories are.
fn check_mappings(parts: &Parts, uptane: &Uptane) -> Result<(), CeremonyError> {
    let check = |map: &str| {
        let parsed = Mapping::parse(map.as_bytes());
        parsed.map_err(|error| CeremonyError::Refused(format!("the mapping: {error}")))
    };
    check(&uptane.map)?;
    for device in &parts.devices {
        check(&uptane.map_for(&device.identity.encoded_vin()))?;
    }
    Ok(())
}

/// No two devices are one, and no key serves two ends (5.4.1 (3)).
fn judge_devices(parts: &Parts, uptane: &Uptane) -> Result<(), CeremonyError> {
    let refuse = |device: &Device, why: String| {
        let (vin, serial) = (device.identity.vin(), device.identity.serial());
        Err(CeremonyError::Refused(format!(
            "vehicle {vin} ECU {serial}: {why}"
        )))
    };
    let mut serials = BTreeSet::new();
    let mut signing: BTreeMap<&PublicKey, &Device> = BTreeMap::new();
    let mut roots: BTreeMap<PublicKey, String> = BTreeMap::new();
    for anchor in [&uptane.director, &uptane.image] {
        for (role, key) in anchor.keys() {
            roots.insert(key, format!("{} {role}", anchor.repository));
        }
    }
    for device in &parts.devices {
        if !serials.insert(&device.identity.serial) {
            return refuse(
                device,
                "this serial is listed twice; every ECU has its own".into(),
            );
        }
        if device.others.contains_key(&device.identity.serial) {
            return refuse(device, "it is listed among its vehicle's other ECUs".into());
        }
        let Some((key, _)) = &device.keys.signing else {
            continue;
        };
        if let Some(other) = signing.insert(key, device) {
            let why = format!("it has the signing key of ECU {}", other.identity.serial());
            return refuse(device, why);
        }
        if let Some(role) = roots.get(key) {
            return refuse(device, format!("its signing key is a key of {role}"));
        }
    }
    for device in &parts.devices {
        let Some(key) = &device.keys.encryption else {
            continue;
        };
        if uptane.ecu.decryption_key.is_none() {
            let why = "it has an encryption key, and the model names no decryption_key";
            return refuse(device, why.into());
        }
        if let Some((_, role)) = roots.iter().find(|(root, _)| keys::is_same(root, key)) {
            return refuse(device, format!("its encryption key is a key of {role}"));
        }
        let signs = signing
            .iter()
            .find(|(signing, _)| keys::is_same(signing, key));
        if let Some((_, other)) = signs {
            let why = format!(
                "its encryption key is the signing key of ECU {}; an ECU has one for each (Uptane \
                 5.4.1)",
                other.identity.serial()
            );
            return refuse(device, why);
        }
    }
    Ok(())
}
