//! What a cycle of a whole vehicle costs, in processor time and memory.
//!
//! Everything is in memory where that is possible, so that no disk is measured. The Director's
//! service runs in the same process: its part of a cycle (it checks the reports, and signs the time)
//! is counted too. Beside the milliseconds stands how many Ed25519 verifications the machine does
//! in that time: this ratio hardly depends on the machine. Memory is what is allocated at the peak of
//! the cycle beyond what the program held before it.

#![allow(
    clippy::unwrap_used,
    reason = "a benchmark that cannot set up has failed"
)]
#![allow(clippy::print_stdout, reason = "what a benchmark is for")]

#[allow(dead_code, reason = "the tests use the rest")]
#[path = "../tests/story/world.rs"]
mod world;

use std::hint::black_box;
use std::time::Duration;

use peak_alloc::PeakAlloc;
use ring::signature::{ED25519, Ed25519KeyPair, KeyPair as _, UnparsedPublicKey};
use rustix::time::{ClockId, clock_gettime};
use world::{CAR, World, assert_installed, ecu};

#[global_allocator]
static MEMORY: PeakAlloc = PeakAlloc;

const ECUS: [&str; 5] = ["primary", "brake", "door", "lamp", "seat"];
const ROUNDS: u64 = 20;

fn main() {
    let unit = verification();
    println!("an Ed25519 verification: {:.3} ms", millis(unit));
    println!(
        "{:<52} {:>9} {:>10} {:>9}",
        "a cycle", "CPU ms", "in verif.", "peak KiB"
    );
    for ecus in [1, 5] {
        let count = count(ecus);
        tell(&format!("{count}, nothing new"), unit, nothing_new(ecus));
    }
    for (length, size) in [(1 << 20, "1 MiB"), (64 << 20, "64 MiB")] {
        for confidential in [false, true] {
            let kind = if confidential { ", encrypted" } else { "" };
            for (ecus, images) in [(1, 1), (5, 1), (5, 5)] {
                let cost = installing(ecus, images, length, confidential);
                let what = format!("{}, {size}{kind} for {images}", count(ecus));
                tell(&what, unit, cost);
            }
        }
    }
}

/// Processor time of one cycle, and by how much the memory grew in it, in bytes.
struct Cost {
    cpu: Duration,
    peak: usize,
}

fn nothing_new(ecus: usize) -> Cost {
    let world = World::with_car(ECUS[..ecus].iter().map(|name| ecu(name)).collect());
    let mut vehicle = world.start(CAR);
    vehicle.cycle().unwrap();
    let cost = measure(|| {
        for _ in 0..ROUNDS {
            black_box(vehicle.cycle().unwrap());
        }
    });
    Cost {
        cpu: cost.cpu / u32::try_from(ROUNDS).unwrap(),
        ..cost
    }
}

/// The least of three.
fn installing(ecus: usize, images: usize, length: usize, confidential: bool) -> Cost {
    let world = World::with_car(ECUS[..ecus].iter().map(|name| ecu(name)).collect());
    let mut vehicle = world.start(CAR);
    let mut round = |counter: u64| {
        let named = &ECUS[ecus - images..ecus];
        for name in named {
            let image = vec![counter as u8; length];
            let path = format!("{name}-{counter}.img");
            match confidential {
                false => world.release(&path, &ecu(name), counter, &image),
                true => world.release_confidential(&path, &ecu(name), counter, &image),
            }
            world.assign(name, &path);
        }
        measure(|| assert_installed(&vehicle.cycle().unwrap(), named))
    };
    let costs = (1..=3).map(&mut round);
    costs
        .reduce(|best, next| Cost {
            cpu: best.cpu.min(next.cpu),
            peak: best.peak.min(next.peak),
        })
        .unwrap()
}

fn measure(work: impl FnOnce()) -> Cost {
    MEMORY.reset_peak_usage();
    let (before, memory) = (cpu(), MEMORY.current_usage());
    work();
    Cost {
        cpu: cpu() - before,
        peak: MEMORY.peak_usage() - memory,
    }
}

fn verification() -> Duration {
    let pair = Ed25519KeyPair::from_seed_unchecked(&[7; 32]).unwrap();
    let message = [1; 500];
    let signature = pair.sign(&message);
    let key = UnparsedPublicKey::new(&ED25519, pair.public_key().as_ref());
    let before = cpu();
    for _ in 0..1000 {
        key.verify(black_box(&message), signature.as_ref()).unwrap();
    }
    (cpu() - before) / 1000
}

fn cpu() -> Duration {
    clock_gettime(ClockId::ProcessCPUTime).try_into().unwrap()
}

fn tell(what: &str, unit: Duration, cost: Cost) {
    let (ms, ratio) = (millis(cost.cpu), millis(cost.cpu) / millis(unit));
    let peak = cost.peak >> 10;
    println!("{what:<52} {ms:>9.1} {ratio:>10.0} {peak:>9}");
}

fn count(ecus: usize) -> String {
    match ecus {
        1 => "1 ECU".into(),
        _ => format!("{ecus} ECUs"),
    }
}

fn millis(time: Duration) -> f64 {
    time.as_secs_f64() * 1000.0
}
