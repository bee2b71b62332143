//! How many vehicles a Director can have. Not a test: it prints a table.
//!
//! Everything is a ratio against what the processor could do at best in the same run: the signature checks
//! and signatures of a manifest cycle, by the same library, in a loop on every core.

#![allow(
    clippy::print_stdout,
    clippy::unwrap_used,
    dead_code,
    unused_imports,
    reason = "a table on a terminal, and parts that are shared with tests"
)]

#[path = "../tests/director/car.rs"]
mod car;
#[path = "../tests/director/line.rs"]
mod line;
#[path = "../tests/director/places.rs"]
mod places;
#[path = "../tests/director/world.rs"]
mod world;

use std::fs;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use countersign_director::http::device;
use countersign_director::service::{Rules, Service};
use countersign_director_domain::desk::Lifetimes;
use countersign_director_domain::{EcuRecord, VehicleRecord};
use countersign_metadata::uptane::HardwareId;
use countersign_metadata::{Key, PublicKey};
use tower::ServiceExt as _;

use car::{Car, serial, vin};
use line::{device as who, unlimited};
use places::Place;
use world::World;

const SPAN: Duration = Duration::from_secs(3);
const TASKS: usize = 64;
const ECUS: [(&str, &str); 5] = [
    ("P", "gateway"),
    ("S1", "door"),
    ("S2", "door"),
    ("S3", "door"),
    ("S4", "door"),
];

#[tokio::main]
async fn main() {
    let limit = crypto_limit();
    println!(
        "crypto limit: {limit:.0} cycles/s (6 Ed25519 checks and 3 signatures each, all cores)"
    );
    for place in Place::all().await {
        let engine = place.url.split(':').next().unwrap().to_owned();
        let world = World::on(place).await;
        // Everything is signed anew with every report.
        let rules = Rules {
            lifetimes: Lifetimes {
                targets: 0,
                snapshot: 0,
                timestamp: 0,
                ..Lifetimes::default()
            },
            ..World::rules()
        };
        let service = world.service_with(&[1], rules).await;
        let cycles = manifest_cycles(&world, &service).await;
        println!(
            "{engine}: {cycles:.0} manifest cycles/s (1 Primary + 4 Secondaries, three roles signed), {:.2} of the limit",
            cycles / limit
        );
        let service = world.service().await;
        for (what, rate) in idle_polls(&world, &service).await {
            println!("{engine}: {rate:.0} idle polls/s {what}");
        }
        if std::env::var("COUNTERSIGN_BENCH_FLEET").is_ok() {
            fleet(&service, &engine, &world).await;
        }
    }
}

/// What the processor can do of the same work, with nothing around it.
fn crypto_limit() -> f64 {
    use ring::signature::{ED25519, Ed25519KeyPair, KeyPair as _, UnparsedPublicKey};
    let pair = Ed25519KeyPair::from_seed_unchecked(&[7; 32]).unwrap();
    let message = [42; 900];
    let signature = pair.sign(&message);
    let public = UnparsedPublicKey::new(&ED25519, pair.public_key().as_ref().to_vec());
    let done = AtomicU64::new(0);
    let cores = std::thread::available_parallelism().unwrap().get();
    let began = Instant::now();
    std::thread::scope(|scope| {
        for _ in 0..cores {
            scope.spawn(|| {
                while began.elapsed() < SPAN {
                    for _ in 0..6 {
                        public.verify(&message, signature.as_ref()).unwrap();
                    }
                    for _ in 0..3 {
                        std::hint::black_box(pair.sign(&message));
                    }
                    done.fetch_add(1, Ordering::Relaxed);
                }
            });
        }
    });
    per_second(&done, began)
}

fn per_second(done: &AtomicU64, began: Instant) -> f64 {
    done.load(Ordering::Relaxed) as f64 / began.elapsed().as_secs_f64()
}

async fn manifest_cycles(world: &World, service: &Service) -> f64 {
    // Reports are made before, so that only what the Director does is counted.
    const EACH: usize = 150;
    let mut cars = Vec::new();
    for number in 0..TASKS {
        let name = format!("M{number}");
        let ecus = ECUS.map(|(serial, kind)| (format!("{name}-{serial}"), kind));
        let ecus: Vec<(&str, &str)> = ecus
            .iter()
            .map(|(serial, kind)| (&**serial, *kind))
            .collect();
        let mut car = Car::with(&world.keys(), &name, &ecus);
        let now = world.now();
        let database = service.database();
        database
            .register(&car.vin, "fleet", &car.record, now, &[])
            .await
            .unwrap();
        let manifests = (0..EACH).map(|_| {
            car.tick(now);
            bytes::Bytes::from(car.manifest())
        });
        let manifests: Vec<_> = manifests.collect();
        cars.push((car.vin.clone(), manifests));
    }
    let done = Arc::new(AtomicU64::new(0));
    let began = Instant::now();
    let tasks = cars.into_iter().map(|(vin, manifests)| {
        let (service, done) = (service.clone(), Arc::clone(&done));
        tokio::spawn(async move {
            for manifest in manifests {
                if began.elapsed() > SPAN {
                    break;
                }
                service.accept_manifest(&vin, manifest).await.unwrap();
                done.fetch_add(1, Ordering::Relaxed);
            }
        })
    });
    for task in tasks.collect::<Vec<_>>() {
        task.await.unwrap();
    }
    per_second(&done, began)
}

async fn idle_polls(world: &World, service: &Service) -> [(&'static str, f64); 2] {
    let car = Car::with(&world.keys(), "IDLE", &[("IDLE-P", "gateway")]);
    let database = service.database();
    database
        .register(&car.vin, "fleet", &car.record, world.now(), &[])
        .await
        .unwrap();
    let told = service.timestamp(&car.vin, None).await.unwrap();
    let countersign_director::service::Answered::File(file) = told else {
        panic!("there is one");
    };
    let router = device::router(service.clone(), &unlimited());
    let mut rates = [("that get 304", 0.), ("that get the file again", 0.)];
    for (index, (_, rate)) in rates.iter_mut().enumerate() {
        let done = Arc::new(AtomicU64::new(0));
        let began = Instant::now();
        let tasks = (0..TASKS).map(|_| {
            let (router, done) = (router.clone(), Arc::clone(&done));
            let (etag, device) = (file.etag.clone(), who(&car));
            tokio::spawn(async move {
                while began.elapsed() < SPAN {
                    let request = axum::http::Request::builder().uri("/v1/metadata/timestamp.json");
                    let request = match index {
                        0 => request.header("if-none-match", &etag),
                        _ => request,
                    };
                    let mut request = request.body(axum::body::Body::empty()).unwrap();
                    request.extensions_mut().insert(device.clone());
                    let answer = router.clone().oneshot(request).await.unwrap();
                    assert_eq!(answer.status().as_u16(), if index == 0 { 304 } else { 200 });
                    done.fetch_add(1, Ordering::Relaxed);
                    // Nothing in it waits for anything.
                    tokio::task::yield_now().await;
                }
            })
        });
        for task in tasks.collect::<Vec<_>>() {
            task.await.unwrap();
        }
        *rate = per_second(&done, began);
    }
    rates
}

/// The size of a fleet of 100,000 vehicles with five ECUs each.
async fn fleet(service: &Service, engine: &str, world: &World) {
    const FLEET: u64 = 100_000;
    let database = service.database();
    let mut tasks = tokio::task::JoinSet::new();
    for number in 0..FLEET {
        let name = format!("F{number}");
        let ecus = (0..5_u64).map(|ecu| {
            let mut point = [0; 32];
            point[..8].copy_from_slice(&(number * 5 + ecu + 1).to_le_bytes());
            let record = EcuRecord {
                hardware_id: HardwareId::new("gateway").unwrap(),
                signing: Key::new(&PublicKey::Ed25519(point)),
                encryption: None,
            };
            (serial(&format!("{name}-{ecu}")), record)
        });
        let record = VehicleRecord {
            primary: serial(&format!("{name}-0")),
            ecus: ecus.collect(),
        };
        database
            .register(&vin(&name), "fleet", &record, world.now(), &[])
            .await
            .unwrap();
    }
    for number in 0..FLEET {
        let service = service.clone();
        tasks.spawn(async move {
            service
                .timestamp(&vin(&format!("F{number}")), None)
                .await
                .unwrap();
        });
        if tasks.len() > 256 {
            tasks.join_next().await;
        }
    }
    while tasks.join_next().await.is_some() {}
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let resident = status
        .lines()
        .find(|line| line.starts_with("VmRSS"))
        .unwrap();
    println!("{engine}: {FLEET} vehicles, everything signed for each: {resident}");
    if let Some(path) = world.place.url.strip_prefix("sqlite:") {
        database.clone().close().await;
        let size = fs::metadata(path).unwrap().len();
        println!(
            "{engine}: {:.2} GiB on disk",
            size as f64 / f64::from(1 << 30)
        );
    }
}
