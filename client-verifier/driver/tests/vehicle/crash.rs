//! An ECU that is killed between any two effects on its disk.

use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::{Command, ExitStatus};

use countersign_client::install::Phase;
use countersign_client::uptane::link::{Prepared, Verification};
use countersign_metadata::Hashes;

use super::device::{Device, OLD};
use super::site::{Image, Site, hardware};

const DIRECTORY: &str = "COUNTERSIGN_TEST_ECU";
const SIGABRT: i32 = 6;

fn image() -> Image {
    Image::new("door-2.img", 2)
}

fn site(device: &Device) -> Site {
    let mut site = Site::new(&device.path("site"));
    site.publish(&image());
    site
}

/// The process that is killed: one cycle, if it is told where.
#[test]
fn one_cycle() {
    let Some(directory) = std::env::var_os(DIRECTORY) else {
        return;
    };
    run(&Device::at(directory.into(), Verification::Partial));
}

fn run(device: &Device) {
    let mut site = site(device);
    let mut door = device.start();
    if door.prepare(&mut site) == Prepared::Staged {
        door.activate(1);
    }
    door.report();
}

fn killed_at(directory: &Path, point: u64) -> ExitStatus {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", "crash::one_cycle"]);
    command.env(DIRECTORY, directory);
    command.env("COUNTERSIGN_CRASH_POINT", point.to_string());
    command.output().unwrap().status
}

#[test]
fn killed_anywhere_an_ecu_comes_through_and_knows_what_it_runs() {
    let dir = tempfile::tempdir().unwrap();
    let mut points = 0;
    for point in 1.. {
        let directory = dir.path().join(point.to_string());
        let device = Device::at(directory.clone(), Verification::Partial);
        device.leave_the_factory();
        let status = killed_at(&directory, point);
        let finished = status.success();
        assert!(finished || status.signal() == Some(SIGABRT), "{status}");
        let active = device.active();
        assert!(active == OLD || active == image().bytes, "point {point}");
        let door = device.start();
        let installed = door.0.state().installed(&hardware()).unwrap();
        let on_trial = door.0.installer().phase().unwrap() == Phase::OnTrial;
        let recorded = installed.hashes == Hashes::of(&active);
        // Only while an installation is under way may the record be behind.
        let under_way = door.0.state().installation().is_some();
        assert!(recorded || under_way, "point {point}, on trial: {on_trial}");
        drop(door);

        run(&device);
        assert!(device.active() == image().bytes, "after point {point}");
        let mut door = device.start();
        let report = door.report();
        let installed = report.installed_image.unwrap();
        assert_eq!(
            installed.hashes,
            Hashes::of(&image().bytes),
            "after point {point}"
        );
        assert_eq!(report.outcome.unwrap().code, 0, "after point {point}");
        drop(door);
        std::fs::remove_dir_all(&directory).unwrap();
        points = point;
        if finished {
            break;
        }
    }
    // Targets with its note, the record several times, the image and two links.
    assert!(points > 40, "{points}");
}
