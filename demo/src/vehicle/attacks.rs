//! What can be done with the director's online keys, and what becomes of it.

use std::collections::BTreeMap;
use std::error::Error;
use std::fs;
use std::path::PathBuf;

use countersign_client::uptane::primary::Cycle;
use countersign_metadata::uptane::{DirectorCustom, EcuSerial, HardwareId};
use countersign_metadata::{TargetFile, TargetPath};
use countersign_verifier::Reject;

use super::world::{GATEWAY, OTHER_VIN, TELEMATICS, World};
use crate::narrator::{Narrator, Verdict};

type Result<T> = std::result::Result<T, Box<dyn Error>>;
type Orders = BTreeMap<TargetPath, TargetFile>;

/// Files that a thief has signed.
pub(super) struct Stolen(Vec<(String, Vec<u8>)>);

/// Plays all of them. The vehicle goes on running what it ran.
pub(super) fn play(narrator: &mut Narrator, world: &mut World) -> Result<Stolen> {
    let before = world.all_active()?;
    let evil = TargetFile::describing(b"evil");
    let orders = orders([("evil.img", order(evil, GATEWAY, "gateway-a", 9)?)])?;
    let stolen = attack(
        narrator,
        world,
        "(a) an image that the image repository never signed",
        orders,
        ("target-not-found", "none"),
    )?;
    let old = listed(world, "gateway-1.img", GATEWAY, "gateway-a", 1)?;
    attack(
        narrator,
        world,
        "(b) an old image, signed by both once",
        old,
        ("release-counter-rollback", "rollback"),
    )?;
    another_vehicle(narrator, world)?;
    let other = listed(world, "brake.img", GATEWAY, "gateway-a", 1)?;
    attack(
        narrator,
        world,
        "(d) a brake's image for the gateway",
        other,
        ("hardware-mismatch", "arbitrary-software"),
    )?;
    let plain = listed(world, "telematics.img", TELEMATICS, "telematics-b", 1)?;
    attack(
        narrator,
        world,
        "(e) the confidential image without encryption",
        plain,
        ("encryption-required", "eavesdrop"),
    )?;
    let after = world.all_active()?;
    narrator.check("nothing of that was installed", before == after);
    Ok(stolen)
}

/// Serves what a thief has signed once more.
pub(super) fn replay(world: &mut World, stolen: &Stolen) -> Result<Verdict> {
    for (name, bytes) in &stolen.0 {
        fs::write(world.served().join(name), bytes)?;
    }
    verdict(world)
}

/// Publishes these orders, as a thief would; what was published comes back.
fn attack(
    narrator: &mut Narrator,
    world: &mut World,
    what: &str,
    orders: Orders,
    (name, class): (&str, &str),
) -> Result<Stolen> {
    world.publish_orders(orders)?;
    world.bring_up_to_date()?;
    let stolen = Stolen(read(&world.served())?);
    let found = verdict(world)?;
    narrator.verdict(what, &Verdict::new(name, class), &found);
    world.publish()?;
    Ok(stolen)
}

/// (c): every file of the director, validly signed, for another vehicle.
fn another_vehicle(narrator: &mut Narrator, world: &mut World) -> Result<()> {
    for (name, bytes) in read(&world.published(OTHER_VIN)?)? {
        fs::write(world.served().join(name), bytes)?;
    }
    let found = verdict(world)?;
    let expected = Verdict::new("vehicle-mismatch", "replay");
    narrator.verdict("(c) another vehicle's metadata", &expected, &found);
    Ok(())
}

fn verdict(world: &mut World) -> Result<Verdict> {
    Ok(verdict_of(&world.cycle_with_what_is_served()?))
}

pub(super) fn verdict_of(cycle: &Cycle) -> Verdict {
    let named = |reject: &Reject| Verdict::new(reject.code.name(), reject.attack().name());
    let refused = cycle.refused.as_ref();
    refused.map_or(Verdict::new("ok", "none"), named)
}

/// An image as the image repository lists it, assigned by whoever has the director's keys.
fn listed(world: &World, image: &str, ecu: &str, hardware: &str, counter: u64) -> Result<Orders> {
    let file = world.listed(image)?;
    orders([(image, order(file, ecu, hardware, counter)?)])
}

fn order(file: TargetFile, ecu: &str, hardware: &str, counter: u64) -> Result<TargetFile> {
    let ecus = [(EcuSerial::new(ecu)?, HardwareId::new(hardware)?)].into();
    let custom = DirectorCustom::new(ecus, counter).to_object();
    Ok(TargetFile {
        custom: Some(custom),
        ..file
    })
}

fn orders<const N: usize>(entries: [(&str, TargetFile); N]) -> Result<Orders> {
    let entries = entries.into_iter();
    entries
        .map(|(path, file)| Ok((TargetPath::new(path)?, file)))
        .collect()
}

fn read(folder: &PathBuf) -> Result<Vec<(String, Vec<u8>)>> {
    let entries = fs::read_dir(folder)?;
    let files = entries.map(|entry| {
        let entry = entry?;
        let name = entry.file_name().to_string_lossy().into_owned();
        Ok((name, fs::read(entry.path())?))
    });
    files.collect()
}
