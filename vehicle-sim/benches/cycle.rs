//! What a cycle of a whole vehicle costs: a Primary and four Secondaries with files for keys and
//! slots, everything in memory or on the disk that holds the temporary folder.
//!
//! The peak of the process's memory is printed at the end; it holds the Image repository's tool
//! and the director too, so a vehicle alone needs less.

#![allow(
    clippy::unwrap_used,
    reason = "a benchmark that cannot set up has failed"
)]
#![allow(missing_docs, reason = "criterion's macros make public functions")]
#![allow(clippy::print_stdout, reason = "what a benchmark is for")]

#[allow(dead_code, reason = "the tests use the rest")]
#[path = "../tests/story/world.rs"]
mod world;

use std::fs;
use std::hint::black_box;

use criterion::{BatchSize, Criterion, criterion_group, criterion_main};
use world::{CAR, World, assert_installed, ecu};

const ECUS: [&str; 5] = ["primary", "brake", "door", "lamp", "seat"];
const IMAGE_LEN: usize = 1 << 20;

fn world() -> World {
    World::with_car(ECUS.map(ecu).into())
}

fn nothing_new(c: &mut Criterion) {
    let world = world();
    let mut vehicle = world.start(CAR);
    vehicle.cycle().unwrap();
    c.bench_function("cycle/nothing-new", |b| {
        b.iter(|| black_box(vehicle.cycle().unwrap()));
    });
}

fn one_image(c: &mut Criterion) {
    let mut counter = 0;
    let world = world();
    let mut vehicle = world.start(CAR);
    let mut group = c.benchmark_group("cycle");
    group.sample_size(10);
    for confidential in [false, true] {
        let name = match confidential {
            false => "1-MiB-for-one-ecu-of-five",
            true => "1-MiB-encrypted-for-one-ecu-of-five",
        };
        group.bench_function(name, |b| {
            b.iter_batched(
                || {
                    counter += 1;
                    let (door, image) = (ecu("door"), vec![counter as u8; IMAGE_LEN]);
                    let name = format!("door-{counter}.img");
                    match confidential {
                        false => world.release(&name, &door, counter, &image),
                        true => world.release_confidential(&name, &door, counter, &image),
                    }
                    world.assign("door", &name);
                },
                |()| assert_installed(&vehicle.cycle().unwrap(), &["door"]),
                BatchSize::PerIteration,
            );
        });
    }
    group.finish();
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    if let Some(peak) = status.lines().find(|line| line.starts_with("VmHWM")) {
        println!("peak of this process: {peak}");
    }
}

criterion_group!(benches, nothing_new, one_image);
criterion_main!(benches);
