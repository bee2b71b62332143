//! Many vehicles, assignments that change, and processes that are killed: no vehicle ever sees a version
//! go back or two contents under one version, no acknowledged report is lost, nobody is told to install
//! twice, and the audit log holds.

use std::collections::BTreeMap;
use std::fs;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use countersign_director::storage::Database;
use countersign_director_domain::manifest::recall;
use countersign_metadata::RoleType;
use serde_json::json;

use crate::fleet::Car;
use crate::site::{Serving, Site};

const CARS: u64 = 64;
const WORKERS: usize = 8;
const IMAGES: u64 = 30;

#[test]
fn one_process_on_sqlite_that_is_killed_again_and_again() {
    race(None, 1, Duration::from_secs(8));
}

#[test]
fn two_processes_on_postgres_of_which_one_is_killed_again_and_again() {
    if let Some(database) = postgres("race") {
        race(Some(&database), 2, Duration::from_secs(8));
    }
}

#[test]
#[ignore = "a minute"]
fn a_minute_of_one_process_on_sqlite() {
    race(None, 1, Duration::from_secs(60));
}

#[test]
#[ignore = "a minute"]
fn a_minute_of_two_processes_on_postgres() {
    if let Some(database) = postgres("minute") {
        race(Some(&database), 2, Duration::from_secs(60));
    }
}

/// A database of its own on the server that `make test` starts.
pub(crate) fn postgres(name: &str) -> Option<String> {
    use sqlx::Connection as _;
    let Ok(server) = std::env::var("COUNTERSIGN_TEST_POSTGRES") else {
        eprintln!("COUNTERSIGN_TEST_POSTGRES is not set: not tested on PostgreSQL");
        return None;
    };
    let name = format!("{name}_{}", std::process::id());
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(async {
        sqlx::any::install_default_drivers();
        let mut connection = sqlx::AnyConnection::connect(&server).await.unwrap();
        // Of a process of this number that was killed, there may be one left.
        for order in ["DROP DATABASE IF EXISTS", "CREATE DATABASE"] {
            let order = sqlx::AssertSqlSafe(format!("{order} {name}"));
            sqlx::query(order).execute(&mut connection).await.unwrap();
        }
    });
    let (base, _) = server.rsplit_once('/').unwrap();
    Some(format!("{base}/{name}"))
}

fn race(database: Option<&str>, processes: usize, time: Duration) {
    let site = Site::new(database, IMAGES);
    let mut serving: Vec<Serving> = (0..processes).map(|_| site.serve(None)).collect();
    let devices: Vec<String> = serving.iter().map(|one| one.device.clone()).collect();
    let admins: Vec<String> = serving.iter().map(|one| one.admin.clone()).collect();
    for number in 1..=IMAGES {
        site.list_image(&admins[0], &format!("image-{number}.img"));
    }
    let root = fs::read(site.director_root()).unwrap();
    let cars = (1..=CARS).map(|number| {
        let mut car = Car::new(site.path(), &site.pki, number, &root);
        car.register(&devices[0]).unwrap();
        car
    });
    let cars: Vec<Mutex<Car>> = cars.map(Mutex::new).collect();
    let (cars, over) = (Arc::new(cars), AtomicBool::new(false));
    // What each vehicle was to install last, as far as that was acknowledged.
    let wanted: Mutex<BTreeMap<usize, u64>> = Mutex::default();
    let cycles = AtomicU64::new(0);
    let assigned = AtomicU64::new(0);

    thread::scope(|scope| {
        for worker in 0..WORKERS {
            let (cars, devices, over, cycles) = (&cars, &devices, &over, &cycles);
            scope.spawn(move || {
                let mut turn = worker;
                while !over.load(Ordering::SeqCst) {
                    for car in cars.iter().skip(worker).step_by(WORKERS) {
                        turn += 1;
                        let mut car = car.lock().unwrap();
                        match car.cycle(&devices[turn % devices.len()]) {
                            Ok(()) => drop(cycles.fetch_add(1, Ordering::SeqCst)),
                            Err(_) => car.reconnect(),
                        }
                    }
                }
            });
        }
        scope.spawn(|| {
            let mut next: BTreeMap<usize, u64> = BTreeMap::new();
            for turn in 0.. {
                if over.load(Ordering::SeqCst) {
                    break;
                }
                // Somewhat out of order.
                let car = turn * 37 % cars.len();
                let number = next.entry(car).or_insert(1);
                if *number > IMAGES {
                    continue;
                }
                let path = format!("vehicles/VIN-{}/assignments", car + 1);
                let ecu = format!("ECU-{}", car + 1);
                let body = json!({ "images": { ecu: format!("image-{number}.img") } });
                let (status, answer) = site.ask(&admins[turn % admins.len()], "POST", &path, &body);
                match status {
                    200..300 => {
                        wanted.lock().unwrap().insert(car, *number);
                        assigned.fetch_add(1, Ordering::SeqCst);
                    }
                    0 | 503 | 500..=599 => {}
                    _ => panic!("{status} {answer}"),
                }
                *number += 1;
            }
        });
        let end = Instant::now() + time;
        while Instant::now() < end {
            thread::sleep(Duration::from_secs(1));
            let killed = serving.pop().unwrap().kill();
            serving.push(site.serve(Some(&killed)));
        }
        over.store(true, Ordering::SeqCst);
    });
    eprintln!("{cycles:?} cycles, {assigned:?} assignments, {processes} process(es)");
    assert!(cycles.load(Ordering::SeqCst) > CARS && assigned.load(Ordering::SeqCst) > CARS);

    // Every vehicle ends where it was to be.
    for (index, car) in cars.iter().enumerate() {
        let mut car = car.lock().unwrap();
        car.reconnect();
        car.cycle(&devices[0]).unwrap();
        let wanted = wanted
            .lock()
            .unwrap()
            .get(&index)
            .copied()
            .unwrap_or_default();
        assert!(
            car.runs >= wanted,
            "{} runs {}, not {wanted}",
            car.vin,
            car.runs
        );
    }
    for one in serving {
        let log = one.stop().log();
        assert!(!log.contains("panicked"), "{log}");
    }
    assert!(site.verify_audit() > assigned.load(Ordering::SeqCst));
    let sqlite = format!("sqlite:{}/director.sqlite", site.home().display());
    check_database(database.unwrap_or(&sqlite), &cars);
}

/// What was acknowledged is there.
fn check_database(url: &str, cars: &[Mutex<Car>]) {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let database = runtime.block_on(Database::open(url)).unwrap();
    for car in cars {
        let car = car.lock().unwrap();
        let stored = runtime.block_on(database.vehicle(&car.vin));
        let stored = stored.unwrap().unwrap();
        let heard = recall(&stored.manifest.unwrap().1, &stored.record).unwrap();
        let (_, heard) = heard.into_iter().next().unwrap();
        assert_eq!(heard.report_counter, car.acknowledged, "{}", car.vin);
        for role in [RoleType::Timestamp, RoleType::Snapshot, RoleType::Targets] {
            // What the last report has led to may be signed already.
            let version = stored.desk.version(role);
            assert!(version >= Some(car.newest(role)), "{}", car.vin);
        }
    }
    runtime.block_on(database.close());
}
