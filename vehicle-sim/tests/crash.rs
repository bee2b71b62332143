//! A vehicle whose power is cut at any point between two effects on its disks. Whatever
//! the point, every ECU runs the old image or the new one, whole, and the next cycles finish the
//! update and tell the director.
//!
//! Needs the feature `crash-points`, which no shipped binary has.

#![cfg(feature = "crash-points")]
#![allow(clippy::unwrap_used, reason = "a test that cannot set up has failed")]

#[allow(dead_code, reason = "other tests use the rest")]
#[path = "story/world.rs"]
mod world;

use std::fs;
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::{Command, Output};

use serde_json::Value;
use world::{World, ecu};

const SIGABRT: i32 = 6;
const NEW: &[u8] = b"the new image, which is long enough to be written in more than one piece";

/// A folder as it was, to be brought back again and again.
struct Garage {
    world: World,
    /// The command that installs.
    cycle: &'static [&'static str],
}

const ONLINE: &[&str] = &["cycle", "car", "--director", "fleet"];
const CARRIED: &[&str] = &[
    "cycle",
    "car",
    "--director",
    "fleet",
    "--bundle",
    "update.tar",
];

impl Garage {
    /// A director that has assigned an image to both ECUs of a vehicle, one of them encrypted.
    fn new(cycle: &'static [&'static str]) -> Self {
        let garage = Self {
            world: World::new(),
            cycle,
        };
        let published = garage.world.published();
        let url = format!("file://{}/", published.display());
        let root = published.join("metadata/1.root.json");
        let root = root.to_str().unwrap();
        garage.succeeds(&[
            "director",
            "fleet",
            "--image-url",
            &url,
            "--image-root",
            root,
        ]);
        garage.succeeds(&[
            "provision",
            "car",
            "--director",
            "fleet",
            "--vin",
            "VIN1",
            "--ecu",
            "primary=primary-hw",
            "--ecu",
            "door=door-hw",
        ]);
        let image = garage.world.path().join("image");
        garage.world.release("primary.img", &ecu("primary"), 1, NEW);
        garage
            .world
            .release_confidential("door.img", &ecu("door"), 1, NEW);
        fs::write(&image, NEW).unwrap();
        let image = image.to_str().unwrap();
        garage.succeeds(&["encrypt", "door.img", image, "--director", "fleet"]);
        for serial in ["primary", "door"] {
            let image = format!("{serial}.img");
            garage.succeeds(&["assign", "VIN1", serial, &image, "--director", "fleet"]);
        }
        garage.succeeds(&[
            "bundle",
            "VIN1",
            "garage",
            "update.tar",
            "--director",
            "fleet",
        ]);
        for folder in ["car", "fleet"] {
            garage.copy(folder, &format!("{folder}.before"));
        }
        garage
    }

    fn run(&self, arguments: &[&str], die_at: Option<usize>) -> Output {
        let mut command = Command::new(env!("CARGO_BIN_EXE_vehicle-sim"));
        command.current_dir(self.world.path()).env_clear();
        command.args(arguments).args(["--format", "json"]);
        if let Some(point) = die_at {
            command.env("COUNTERSIGN_CRASH_POINT", point.to_string());
        }
        command.output().unwrap()
    }

    fn succeeds(&self, arguments: &[&str]) -> Value {
        let output = self.run(arguments, None);
        assert!(output.status.success(), "{arguments:?}: {output:?}");
        serde_json::from_slice(&output.stdout).unwrap()
    }

    fn copy(&self, from: &str, to: &str) {
        let (from, to) = (self.world.path().join(from), self.world.path().join(to));
        if to.exists() {
            fs::remove_dir_all(&to).unwrap();
        }
        copy_tree(&from, &to);
    }

    /// Cuts the power at a point of the next cycle; `false` if the cycle has fewer points.
    fn cut_at(&self, point: usize) -> bool {
        for folder in ["car", "fleet"] {
            self.copy(&format!("{folder}.before"), folder);
        }
        let output = self.run(self.cycle, Some(point));
        let cut = output.status.signal() == Some(SIGABRT);
        assert!(cut || output.status.success(), "{point}: {output:?}");
        cut
    }

    fn image_of(&self, serial: &str) -> Vec<u8> {
        let active = format!("car/ecu-{serial}/slots/active/image");
        fs::read(self.world.path().join(active)).unwrap()
    }

    fn check(&self, point: usize) {
        for serial in ["primary", "door"] {
            let image = self.image_of(serial);
            let old = format!("the factory's image for {serial}-hw\n").into_bytes();
            assert!(
                image == old || image == NEW,
                "{serial} after point {point}: {image:?}"
            );
        }
        let cycle = self.run(self.cycle, None);
        assert!(cycle.status.success(), "after point {point}: {cycle:?}");
        let next = self.succeeds(self.cycle);
        assert_eq!(next["ecus"], serde_json::json!({}), "after point {point}");
        let status = self.succeeds(&["status", "car"]);
        for serial in ["primary", "door"] {
            assert_eq!(self.image_of(serial), NEW, "{serial} after point {point}");
            let ecu = &status["ecus"][serial];
            assert_eq!(ecu["releaseCounter"], 1, "after point {point}: {status}");
            assert_eq!(
                ecu["lastOutcome"], "installed",
                "after point {point}: {status}"
            );
        }
    }
}

fn copy_tree(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let (from, to) = (entry.path(), to.join(entry.file_name()));
        match entry.file_type().unwrap() {
            kind if kind.is_dir() => copy_tree(&from, &to),
            kind if kind.is_symlink() => {
                std::os::unix::fs::symlink(fs::read_link(&from).unwrap(), &to).unwrap();
            }
            _ => {
                fs::copy(&from, &to).unwrap();
            }
        }
    }
}

/// Every so many points; a prime, so that it does not always fall into the same step of a write.
const STRIDE: usize = 23;

#[test]
fn a_power_cut_at_some_points_of_a_cycle_is_survived() {
    survives(ONLINE, STRIDE);
}

#[test]
fn a_power_cut_at_some_points_of_an_update_from_a_stick_is_survived() {
    survives(CARRIED, STRIDE);
}

#[test]
#[ignore = "takes minutes: every point"]
fn a_power_cut_at_any_point_of_a_cycle_is_survived() {
    survives(ONLINE, 1);
}

#[test]
#[ignore = "takes minutes: every point"]
fn a_power_cut_at_any_point_of_an_update_from_a_stick_is_survived() {
    survives(CARRIED, 1);
}

fn survives(cycle: &'static [&'static str], stride: usize) {
    let garage = Garage::new(cycle);
    let mut point = 1;
    while garage.cut_at(point) {
        garage.check(point);
        point += stride;
    }
    assert!(point > 100, "{point}: the cycle has hardly any points");
}
