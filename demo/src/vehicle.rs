//! A vehicle of three ECUs: it leaves the factory, installs, is attacked by whoever has stolen the
//! director's online keys, and comes back.

mod attacks;
mod world;

use std::error::Error;
use std::fs;

use countersign_client::uptane::primary::{Cycle, EcuOutcome};

use crate::narrator::{Narrator, Verdict};
use crate::stage::Stage;

use self::world::{BRAKE, GATEWAY, TELEMATICS, TELEMATICS_FILE, World};

type Result<T> = std::result::Result<T, Box<dyn Error>>;

/// Makes the tokens. A process sees only those that are there when it first looks.
pub(crate) fn tokens(stage: &Stage) -> Result<()> {
    stage.token("director")?;
    stage.token("telematics")
}

/// Tells it.
pub(crate) fn drive(stage: &Stage, narrator: &mut Narrator) -> Result<()> {
    narrator.chapter("The image repository says what is for which hardware, and which release");
    world::release(stage)?;
    narrator.tell("two releases for gateways, one for brakes, and one for telematics units that");
    narrator.tell("is confidential: its bytes are not published at all");

    narrator.chapter("A vehicle leaves the factory, and the director knows it");
    let mut world = World::build(stage)?;
    narrator.tell("its gateway is the Primary; a telematics unit verifies in full, and keeps the");
    narrator
        .tell("key for its images in a token; a brake verifies in part, at the end of a TCP line");
    first_update(stage, narrator, &mut world)?;
    second_update(stage, narrator, &mut world)?;
    third_update(stage, narrator, &mut world)?;

    narrator.chapter("Somebody steals the director's online keys");
    let stolen = attacks::play(narrator, &mut world)?;
    recovery(narrator, &mut world, &stolen)
}

fn first_update(stage: &Stage, narrator: &mut Narrator, world: &mut World) -> Result<()> {
    narrator.chapter("The director assigns an image to each of them");
    let ciphertext = world.encrypt("telematics.img", &stage.firmware.join(TELEMATICS_FILE))?;
    world.assign(GATEWAY, "gateway-1.img")?;
    world.assign(TELEMATICS, "telematics.img")?;
    world.assign(BRAKE, "brake.img")?;
    let cycle = world.cycle()?;
    narrator.check(
        "verified, staged everywhere, then activated: all three run their new image",
        installed(&cycle) == 3,
    );
    let runs = |ecu, file: &str| -> Result<bool> {
        Ok(world.active(ecu)? == fs::read(stage.firmware.join(file))?)
    };
    let right = runs(GATEWAY, "vmlinuz-old")?
        && runs(BRAKE, "u-boot-qemu_arm64.bin")?
        && runs(TELEMATICS, TELEMATICS_FILE)?;
    narrator.check("byte for byte what was built", right);
    narrator.check(
        &format!(
            "of the confidential one {ciphertext} bytes of ciphertext were all that travelled"
        ),
        !world.holds_outside(TELEMATICS, &stage.firmware.join(TELEMATICS_FILE))?,
    );
    narrator.check(
        "each ECU has signed a report of what it runs, and the director has read them",
        world.reported(GATEWAY) == "gateway-1.img"
            && world.reported(TELEMATICS) == "telematics.img"
            && world.reported(BRAKE) == "brake.img",
    );
    let idle = world.cycle()?;
    narrator.check(
        "the next cycle finds nothing to do",
        idle.refused.is_none() && idle.images.is_empty(),
    );
    Ok(())
}

fn second_update(stage: &Stage, narrator: &mut Narrator, world: &mut World) -> Result<()> {
    narrator.chapter("The next release, and one ECU that does not answer");
    world.assign(GATEWAY, "gateway-2.img")?;
    world.assign(BRAKE, "brake-2.img")?;
    world.unplug(BRAKE);
    let cycle = world.cycle()?;
    let waits = cycle.ecus.get(&world::serial(GATEWAY)?) == Some(&EcuOutcome::Abandoned);
    narrator.check("all or nothing: the gateway waits for the brake", waits);
    world.plug_in(BRAKE);
    let cycle = world.cycle()?;
    let new = fs::read(stage.firmware.join("vmlinuz-new"))?;
    narrator.check(
        "when the brake is back, both install",
        installed(&cycle) == 2 && world.active(GATEWAY)? == new,
    );
    Ok(())
}

fn third_update(stage: &Stage, narrator: &mut Narrator, world: &mut World) -> Result<()> {
    narrator.chapter("A garage without a network: the next release comes on a stick");
    world.assign(BRAKE, "brake-3.img")?;
    let stick = world.carry("garage")?;
    narrator.tell("both repositories' metadata and the image, in one plain tar; keys of their own");
    narrator.tell("sign what is carried, and the latest time that was attested has to do");
    let honest = fs::read(&stick)?;
    let image = fs::read(stage.firmware.join("opensbi-fw_jump.bin"))?;
    let mut windows = honest.windows(64);
    let at = windows.position(|window| Some(window) == image.get(..64));
    let mut changed = honest.clone();
    *changed
        .get_mut(at.ok_or("the image is not on the stick")?)
        .ok_or("it ends")? ^= 1;
    fs::write(&stick, changed)?;
    let cycle = world.cycle_from(&stick)?;
    narrator.verdict(
        "a stick on which somebody has changed one bit of the image",
        &Verdict::new("image-hash", "arbitrary-software"),
        &attacks::verdict_of(&cycle),
    );
    fs::write(&stick, honest)?;
    let cycle = world.cycle_from(&stick)?;
    narrator.check(
        "the stick as it left the director: the brake installs, with nobody to ask",
        installed(&cycle) == 1 && world.active(BRAKE)? == image,
    );
    world.cycle()?;
    narrator.check(
        "back on the road, the director hears of it",
        world.reported(BRAKE) == "brake-3.img",
    );
    Ok(())
}

fn recovery(narrator: &mut Narrator, world: &mut World, stolen: &attacks::Stolen) -> Result<()> {
    narrator.chapter("The director's root takes the stolen keys away");
    world.rotate()?;
    let cycle = world.cycle()?;
    narrator.check("the vehicle follows the new root", cycle.refused.is_none());
    let verdict = attacks::replay(world, stolen)?;
    narrator.verdict(
        "what the thief had signed, once more",
        &Verdict::new("signature-threshold", "arbitrary-software"),
        &verdict,
    );
    world.assign(GATEWAY, "gateway-3.img")?;
    let cycle = world.cycle()?;
    narrator.check(
        "and the next honest release is installed",
        installed(&cycle) == 1 && cycle.refused.is_none(),
    );
    Ok(())
}

fn installed(cycle: &Cycle) -> usize {
    let outcomes = cycle.ecus.values();
    outcomes
        .filter(|outcome| **outcome == EcuOutcome::Installed)
        .count()
}
