//! What can be done on the director's machine, with its keys and its database, and what becomes of it.

use std::error::Error;

use countersign_client::uptane::primary::Cycle;
use countersign_director_domain::desk::{Content, NewFile};
use countersign_director_domain::keys::OnlineKeys;
use countersign_metadata::uptane::{DirectorCustom, EcuSerial, HardwareId, Vin};
use countersign_metadata::{TargetFile, TargetPath};
use countersign_verifier::Reject;

use super::car::{GATEWAY, TELEMATICS};
use super::world::{OTHER_VIN, World};
use crate::narrator::{Narrator, Verdict};

type Result<T> = std::result::Result<T, Box<dyn Error>>;

/// Somebody with the director's online keys, and with files that were signed by them.
pub(super) struct Thief {
    keys: OnlineKeys,
    signed: Vec<NewFile>,
}

/// Plays all of them. The vehicle goes on running what it ran.
pub(super) fn play(narrator: &mut Narrator, world: &mut World) -> Result<Thief> {
    let before = world.car.all_active()?;
    let mut thief = Thief {
        keys: world.office.keys.online()?,
        signed: Vec::new(),
    };
    let evil = TargetFile::describing(b"evil");
    let orders = orders("evil.img", order(evil, GATEWAY, "gateway-a", 9)?)?;
    thief.publish(world, &orders)?;
    thief.signed = world.office.records.files(&world.car.vin)?;
    meets(
        narrator,
        world,
        "(a) an image that the image repository never signed",
        ("target-not-found", "none"),
    )?;
    let old = listed(world, "gateway-1.img", GATEWAY, "gateway-a")?;
    thief.publish(world, &old)?;
    meets(
        narrator,
        world,
        "(b) an old image, signed by both once",
        ("release-counter-rollback", "rollback"),
    )?;
    let others = world.office.records.files(&Vin::new(OTHER_VIN)?)?;
    thief.put(world, &others)?;
    meets(
        narrator,
        world,
        "(c) another vehicle's metadata",
        ("vehicle-mismatch", "replay"),
    )?;
    let other = listed(world, "brake.img", GATEWAY, "gateway-a")?;
    thief.publish(world, &other)?;
    meets(
        narrator,
        world,
        "(d) a brake's image for the gateway",
        ("hardware-mismatch", "arbitrary-software"),
    )?;
    let plain = listed(world, "telematics.img", TELEMATICS, "telematics-b")?;
    thief.publish(world, &plain)?;
    meets(
        narrator,
        world,
        "(e) the confidential image without encryption",
        ("encryption-required", "eavesdrop"),
    )?;
    let after = world.car.all_active()?;
    narrator.check("nothing of that was installed", before == after);
    Ok(thief)
}

impl Thief {
    /// Puts what was signed once into the director's database again; what the vehicle says to it.
    pub(super) fn replay(&self, world: &mut World) -> Result<Verdict> {
        self.put(world, &self.signed)?;
        Ok(verdict_of(&world.cycle()?))
    }

    /// Signs these orders for the vehicle, and lets the director serve them.
    fn publish(&self, world: &World, orders: &Content) -> Result<()> {
        let records = &world.office.records;
        records.publish(&world.car.vin, orders, &self.keys)
    }

    /// Lets the director serve these files to the vehicle.
    fn put(&self, world: &World, files: &[NewFile]) -> Result<()> {
        let records = &world.office.records;
        records.put_others(&world.car.vin, files, &self.keys)
    }
}

/// What the vehicle says to what the director serves now.
fn meets(
    narrator: &mut Narrator,
    world: &mut World,
    what: &str,
    (name, class): (&str, &str),
) -> Result<()> {
    let found = verdict_of(&world.cycle()?);
    narrator.verdict(what, &Verdict::new(name, class), &found);
    Ok(())
}

pub(super) fn verdict_of(cycle: &Cycle) -> Verdict {
    let named = |reject: &Reject| Verdict::new(reject.code.name(), reject.attack().name());
    let refused = cycle.refused.as_ref();
    refused.map_or(Verdict::new("ok", "none"), named)
}

/// An image as the image repository lists it, assigned by whoever has the director's keys.
fn listed(world: &World, image: &str, ecu: &str, hardware: &str) -> Result<Content> {
    let file = world.office.records.listed(image)?;
    orders(image, order(file, ecu, hardware, 1)?)
}

fn order(file: TargetFile, ecu: &str, hardware: &str, counter: u64) -> Result<TargetFile> {
    let ecus = [(EcuSerial::new(ecu)?, HardwareId::new(hardware)?)].into();
    let custom = DirectorCustom::new(ecus, counter).to_object();
    Ok(TargetFile {
        custom: Some(custom),
        ..file
    })
}

fn orders(image: &str, order: TargetFile) -> Result<Content> {
    Ok(Content::from([(TargetPath::new(image)?, order)]))
}
