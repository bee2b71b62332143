//! A vehicle of three ECUs and the director that serves it: it leaves the factory, registers, installs, is
//! attacked by whoever has taken over the director's machine, and comes back.

mod admin;
mod attacks;
mod car;
mod devices;
mod director;
mod garage;
mod keys;
mod records;
mod world;

use std::error::Error;
use std::fs;
use std::thread;
use std::time::{Duration, Instant};

use countersign_client::fetch::FetchError;
use countersign_client::uptane::primary::{Cycle, EcuOutcome};
use countersign_vehicle_sim::{Registered, SimError};
use serde_json::Value;

use crate::narrator::{Narrator, Verdict};
use crate::stage::Stage;

use self::car::{BRAKE, Car, GATEWAY, Shown, TELEMATICS, serial};
use self::world::{OTHER_VIN, Office, TELEMATICS_FILE, VIN, World};

type Result<T> = std::result::Result<T, Box<dyn Error>>;

/// Makes the tokens. A process sees only those that are there when it first looks.
pub(crate) fn tokens(stage: &Stage) -> Result<()> {
    let ours = [devices::TOKEN, "telematics"].into_iter();
    ours.chain(keys::TOKENS)
        .try_for_each(|label| stage.token(label))
}

/// Tells it.
pub(crate) fn drive(stage: &Stage, narrator: &mut Narrator) -> Result<()> {
    narrator.chapter("The image repository says what is for which hardware, and which release");
    world::release(stage)?;
    narrator.tell("two releases for gateways, one for brakes, and one for telematics units that");
    narrator.tell("is confidential: its bytes are not published at all");

    let office = open(stage, narrator)?;
    let car = registration(narrator, &office)?;
    let mut world = World { office, car };
    let noted = world.office.director.command(&["audit", "verify"])?;

    first_update(stage, narrator, &mut world)?;
    second_update(stage, narrator, &mut world)?;
    third_update(stage, narrator, &mut world)?;

    narrator.chapter("Somebody takes over the director's machine");
    narrator.tell("the online keys and the database are the thief's; the director goes on serving");
    narrator.tell("what it finds there, over the same mutual TLS");
    let thief = attacks::play(narrator, &mut world)?;
    held(narrator, &world)?;
    recovery(narrator, &mut world, &thief)?;
    looked_into(narrator, &mut world)?;
    on_record(narrator, &mut world, &noted)
}

fn open(stage: &Stage, narrator: &mut Narrator) -> Result<Office> {
    narrator
        .chapter("A director is set up: keys in tokens, certificates from an authority of its own");
    let office = Office::open(stage)?;
    narrator
        .tell("the key that signs its Root is in one token, the online keys in another, and those");
    narrator
        .tell("for what is carried in a third; the authority certifies its server, and devices");
    narrator.check(
        "`director serve` is up, and its Root lists the keys that it has",
        office.admin.is_ready()?,
    );
    let confidential = office.take_in_images()?;
    narrator.check(
        "it takes in what the image repository lists, and encrypts what is confidential",
        confidential["encrypted"] == true && confidential["stored"] == true,
    );
    Ok(office)
}

fn registration(narrator: &mut Narrator, office: &Office) -> Result<Car> {
    narrator.chapter("A vehicle leaves the factory, and registers over mutual TLS");
    let car = office.build(VIN, "")?;
    narrator.tell("its gateway is the Primary; a telematics unit verifies in full, and keeps the");
    narrator
        .tell("key for its images in a token; a brake verifies in part, at the end of a TCP line");
    narrator.check(
        "without a certificate it gets no further than the handshake",
        is_hung_up_on(&car.knock(Shown::Nothing)?),
    );
    narrator.check(
        "with one, and not announced, it is turned away",
        refusal(&car.register()) == "vehicle-not-expected",
    );
    office.admin.announce(VIN)?;
    narrator.check(
        "announced, with a brake that has another key than it says: the proof is wrong",
        refusal(&car.register_with_another_brake()?) == "proof-wrong",
    );
    let registered = car.register()?;
    let ecus = &office.admin.vehicle(VIN)?["ecus"];
    narrator.check(
        "the vehicle proves that it has every key it names: three ECUs are registered",
        registered == Registered::New && ecus.as_object().is_some_and(|ecus| ecus.len() == 3),
    );
    narrator.check(
        "the same again changes nothing",
        car.register()? == Registered::Known,
    );
    scrapped(narrator, office)?;
    Ok(car)
}

/// Another vehicle, which ends here. Its files stay in the director's database.
fn scrapped(narrator: &mut Narrator, office: &Office) -> Result<()> {
    let mut other = office.build(OTHER_VIN, "-OF-ANOTHER")?;
    office.admin.announce(OTHER_VIN)?;
    let registered = other.register()? == Registered::New;
    let cycle = other.cycle()?;
    narrator.check(
        "another one registers, and works",
        registered && cycle.refused.is_none() && cycle.unreported.is_none(),
    );
    let tls = office.director.tls();
    office.authority.revoke(OTHER_VIN, &tls)?;
    office.director.reload()?;
    let since = Instant::now();
    let mut refused = None;
    while refused.is_none() && since.elapsed() < Duration::from_secs(5) {
        thread::sleep(Duration::from_millis(20));
        refused = other.cycle()?.unreported;
    }
    narrator.check(
        "it is scrapped, and its certificate revoked: nothing of it is taken any more,",
        refused.is_some(),
    );
    narrator.check(
        "and a new connection gets no further than the handshake",
        is_hung_up_on(&other.knock(Shown::Certificate)?),
    );
    Ok(())
}

/// Whether a server ended the handshake: the client sees its alert, or the end of the connection first.
fn is_hung_up_on(said: &std::result::Result<(), FetchError>) -> bool {
    matches!(
        said,
        Err(FetchError::Tls { .. } | FetchError::Disconnected { .. })
    )
}

/// The code with which the director refuses.
fn refusal(outcome: &std::result::Result<Registered, SimError>) -> &str {
    match outcome {
        Err(SimError::Fetch(FetchError::Refused { code, .. })) => code,
        _ => "",
    }
}

fn first_update(stage: &Stage, narrator: &mut Narrator, world: &mut World) -> Result<()> {
    narrator.chapter("The director assigns an image to each of them");
    world.assign(&[
        (GATEWAY, "gateway-1.img"),
        (TELEMATICS, "telematics.img"),
        (BRAKE, "brake.img"),
    ])?;
    let cycle = world.cycle()?;
    narrator.check(
        "verified, staged everywhere, then activated: all three run their new image",
        installed(&cycle) == 3,
    );
    let runs = |ecu, file: &str| -> Result<bool> {
        Ok(world.car.active(ecu)? == fs::read(stage.firmware.join(file))?)
    };
    let right = runs(GATEWAY, "vmlinuz-old")?
        && runs(BRAKE, "u-boot-qemu_arm64.bin")?
        && runs(TELEMATICS, TELEMATICS_FILE)?;
    narrator.check("byte for byte what was built", right);
    let ciphertext = world.stored()?;
    narrator.check(
        &format!(
            "of the confidential one {ciphertext} bytes of ciphertext were all that travelled"
        ),
        !world.has_leaked()?,
    );
    narrator.check(
        "each ECU has signed a report of what it runs, and the director has read them",
        world.reported(GATEWAY)? == "gateway-1.img"
            && world.reported(TELEMATICS)? == "telematics.img"
            && world.reported(BRAKE)? == "brake.img",
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
    world.assign(&[(GATEWAY, "gateway-2.img"), (BRAKE, "brake-2.img")])?;
    world.car.unplug(BRAKE);
    let cycle = world.cycle()?;
    let waits = cycle.ecus.get(&serial(GATEWAY)?) == Some(&EcuOutcome::Abandoned);
    narrator.check("all or nothing: the gateway waits for the brake", waits);
    world.car.plug_in(BRAKE);
    let cycle = world.cycle()?;
    let new = fs::read(stage.firmware.join("vmlinuz-new"))?;
    narrator.check(
        "when the brake is back, both install",
        installed(&cycle) == 2 && world.car.active(GATEWAY)? == new,
    );
    Ok(())
}

fn third_update(stage: &Stage, narrator: &mut Narrator, world: &mut World) -> Result<()> {
    narrator.chapter("A garage without a network: the next release comes on a stick");
    world.assign(&[(BRAKE, "brake-3.img")])?;
    let stick = world.carry()?;
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
    let cycle = world.car.cycle_from(&stick)?;
    narrator.verdict(
        "a stick on which somebody has changed one bit of the image",
        &Verdict::new("image-hash", "arbitrary-software"),
        &attacks::verdict_of(&cycle),
    );
    fs::write(&stick, honest)?;
    let cycle = world.car.cycle_from(&stick)?;
    narrator.check(
        "the stick as it left the director: the brake installs, with nobody to ask",
        installed(&cycle) == 1 && world.car.active(BRAKE)? == image,
    );
    world.cycle()?;
    narrator.check(
        "back on the road, the director hears of it",
        world.reported(BRAKE)? == "brake-3.img",
    );
    narrator.check(
        "and of the other stick: it holds the vehicle until somebody has looked",
        world.is_held()?,
    );
    world.release()?;
    Ok(())
}

fn held(narrator: &mut Narrator, world: &World) -> Result<()> {
    let refused = world.assign_in_vain(GATEWAY, "gateway-3.img")?;
    narrator.check(
        "the director was told, and gives this vehicle nothing new until somebody has looked",
        world.is_held()? && refused == "vehicle-held",
    );
    Ok(())
}

fn recovery(narrator: &mut Narrator, world: &mut World, thief: &attacks::Thief) -> Result<()> {
    narrator.chapter("The director's root takes the stolen keys away");
    let office = &mut world.office;
    let keys = office.keys.replaced()?;
    let roots = office.records.roots()?;
    let last = roots.last().ok_or("the director has no Root")?;
    office.director.import_root(&keys.next_root(last)?)?;
    narrator.check(
        "a new Root is imported: with the keys that it had, the director signs nothing any more",
        !office.admin.is_ready()?,
    );
    office.director.configure(&keys)?;
    let in_order = office.director.stop()?;
    let address = office.director.start()?;
    office.admin_is_at(address);
    office.keys = keys;
    narrator.check(
        "it is stopped in order, and started with the new ones",
        in_order && office.admin.is_ready()?,
    );
    let cycle = world.cycle()?;
    narrator.check("the vehicle follows the new root", cycle.refused.is_none());
    let verdict = thief.replay(world)?;
    narrator.verdict(
        "what the thief had signed, once more",
        &Verdict::new("signature-threshold", "arbitrary-software"),
        &verdict,
    );
    Ok(())
}

fn looked_into(narrator: &mut Narrator, world: &mut World) -> Result<()> {
    narrator.chapter("Somebody looks into it, and releases the vehicle");
    let history = world.office.admin.history(VIN)?;
    let count = |action| history.iter().filter(|what| *what == action).count();
    narrator.check(
        "its history has the stick, four attacks by the thief, and the last one; and two holds",
        (count("attack.reported"), count("vehicle.held")) == (6, 2),
    );
    world.release()?;
    world.assign(&[(GATEWAY, "gateway-3.img")])?;
    let cycle = world.cycle()?;
    narrator.check(
        "and the next honest release is installed",
        installed(&cycle) == 1 && cycle.refused.is_none(),
    );
    Ok(())
}

fn on_record(narrator: &mut Narrator, world: &mut World, noted: &Value) -> Result<()> {
    let director = &mut world.office.director;
    let noted = format!(
        "{}:{}",
        noted["entries"],
        noted["digest"].as_str().unwrap_or_default()
    );
    let found = director.command(&["audit", "verify", "--noted", &noted])?;
    narrator.check(
        &format!(
            "the audit log of {} entries goes on from what was noted before the theft",
            found["entries"]
        ),
        found["ok"] == true,
    );
    narrator.check("the director ends in order", director.stop()?);
    Ok(())
}

fn installed(cycle: &Cycle) -> usize {
    let outcomes = cycle.ecus.values();
    outcomes
        .filter(|outcome| **outcome == EcuOutcome::Installed)
        .count()
}
