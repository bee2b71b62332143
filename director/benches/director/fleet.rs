//! What a fleet takes.

use std::collections::BTreeMap;
use std::fs;

use countersign_director::service::Service;
use countersign_director_domain::{EcuRecord, VehicleRecord};
use countersign_metadata::uptane::HardwareId;
use countersign_metadata::{Key, PublicKey};
use sqlx::Connection as _;
use tokio::task::JoinSet;

use crate::begin;
use crate::car::{serial, vin};
use crate::world::World;

/// Vehicles of five ECUs each.
const FLEET: u64 = 100_000;

/// Requests that are worked on at once.
const AT_ONCE: usize = 256;

/// Fills the database, has everything signed for each vehicle, and says what that takes.
pub(crate) async fn fill(world: &World, service: &Service, engine: &str) {
    let now = world.now();
    println!("    {engine}: {} before the fleet", resident());
    let before = size(world).await;
    let begun = begin();
    of_each(|number| {
        let database = service.database().clone();
        async move {
            let (vin, record) = (vin(&format!("F{number}")), record(number));
            database
                .register(&vin, "fleet", &record, now, &[])
                .await
                .unwrap();
        }
    })
    .await;
    of_each(|number| {
        let service = service.clone();
        async move {
            let vin = vin(&format!("F{number}"));
            service.timestamp(&vin, None).await.unwrap();
        }
    })
    .await;
    let done = begun.end(FLEET);
    println!(
        "    {engine}: {FLEET} vehicles of 5 ECUs registered, and everything signed for each, in {:.0} s: {}, {:.2} GiB of database ({:.1} KiB each)",
        done.wall,
        resident(),
        (size(world).await - before) as f64 / f64::from(1 << 30),
        (size(world).await - before) as f64 / FLEET as f64 / 1024.,
    );
}

/// Does something for each vehicle, some at once.
async fn of_each<F: Future<Output = ()> + Send + 'static>(what: impl Fn(u64) -> F) {
    let mut tasks = JoinSet::new();
    for number in 0..FLEET {
        tasks.spawn(what(number));
        if tasks.len() >= AT_ONCE {
            tasks.join_next().await.unwrap().unwrap();
        }
    }
    while let Some(done) = tasks.join_next().await {
        done.unwrap();
    }
}

fn record(number: u64) -> VehicleRecord {
    let ecus = (0..5_u64).map(|ecu| {
        let mut point = [0; 32];
        point[..8].copy_from_slice(&(number * 5 + ecu + 1).to_le_bytes());
        let record = EcuRecord {
            hardware_id: HardwareId::new("gateway").unwrap(),
            signing: Key::new(&PublicKey::Ed25519(point)),
            encryption: None,
        };
        (serial(&format!("F{number}-{ecu}")), record)
    });
    let ecus: BTreeMap<_, _> = ecus.collect();
    VehicleRecord {
        primary: serial(&format!("F{number}-0")),
        ecus,
    }
}

/// What the process has in memory.
fn resident() -> String {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kilobytes = line.unwrap().trim().trim_end_matches(" kB");
    format!("{} MiB resident", kilobytes.parse::<u64>().unwrap() / 1024)
}

/// Bytes of the database, with what is not in its file yet.
async fn size(world: &World) -> u64 {
    let url = &world.place.url;
    if let Some(path) = url.strip_prefix("sqlite:") {
        let of = |path: String| {
            fs::metadata(path)
                .map(|file| file.len())
                .unwrap_or_default()
        };
        return of(path.to_owned()) + of(format!("{path}-wal"));
    }
    let mut connection = sqlx::AnyConnection::connect(url).await.unwrap();
    let size = "SELECT pg_database_size(current_database())";
    let size: i64 = sqlx::query_scalar(size)
        .fetch_one(&mut connection)
        .await
        .unwrap();
    size.unsigned_abs()
}
