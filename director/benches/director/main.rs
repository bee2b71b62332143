//! How many vehicles a Director can have. Not a test: it prints a table.
//!
//! Every figure is per second of processor time that the Director's process has used, and beside it is the
//! part of what a processor could do at best in the same run: the signature checks and signatures of the
//! same work, by the same library, in a loop. What PostgreSQL and the devices use is not in it; how fast
//! all of them were together, on this machine, is in the last column.
//!
//! `cargo bench -p countersign-director -- --json FILE` writes the same for machines; any other argument is a
//! part of the names of the figures that are wanted. `COUNTERSIGN_BENCH_FLEET=1` also fills a database with 100,000 vehicles and says what that takes.

#![allow(
    clippy::print_stdout,
    clippy::unwrap_used,
    dead_code,
    unused_imports,
    reason = "a table on a terminal, and parts that are shared with tests"
)]

#[path = "../../tests/director/car.rs"]
mod car;
#[path = "../../tests/director/line.rs"]
mod line;
#[path = "../../tests/process/pki.rs"]
mod pki;
#[path = "../../tests/director/places.rs"]
mod places;
#[path = "../../tests/director/world.rs"]
mod world;

mod devices;
mod fleet;
mod inside;
mod limit;
mod over_tls;
mod table;
mod vehicles;

use std::time::{Duration, Instant};

use countersign_client::clock::system_time;
use countersign_director::service::{Rules, Service};
use countersign_director_domain::desk::Lifetimes;

use places::Place;
use table::Table;
use world::World;

/// How long each figure is measured.
const SPAN: Duration = Duration::from_secs(4);

#[tokio::main]
async fn main() {
    if devices::is_one() {
        return devices::run().await;
    }
    let mut table = Table::begin();
    for place in Place::all().await {
        let engine = place.url.split(':').next().unwrap().to_owned();
        table.engine.clone_from(&engine);
        let world = World::on(place).await;
        // Certificates are looked at by the real clock.
        let now = system_time().unwrap();
        world.pass(now.unix() - world.now().unix());

        let service = world.service_with(&[1], always_due()).await;
        let figure = "manifest cycles, neither TLS nor SQL";
        let one = [service.clone()];
        let cycles = inside::decisions(&world, &one, "B");
        table.cycles(figure, cycles).await;
        let figure = "manifest cycles, neither TLS nor SQL, by turns in two processes";
        let two = [
            service.clone(),
            world.service_with(&[1], always_due()).await,
        ];
        let cycles = inside::decisions(&world, &two, "E");
        table.cycles(figure, cycles).await;
        let figure = "manifest cycles, no TLS";
        table
            .cycles(figure, inside::manifest_cycles(&world, &service))
            .await;
        for connection in ["kept", "new"] {
            let figure = format!("manifest cycles, TLS, {connection} connection");
            let cycles = over_tls::manifest_cycles(&world, &service, connection);
            table.cycles(&figure, cycles).await;
        }

        let forgetful = world.service().await;
        let figure = "idle polls, no TLS, each asks the database";
        let polls = inside::idle_polls(&world, &forgetful, "forgotten");
        table.polls(figure, polls).await;
        let service = world.service_with(&[1], Rules::default()).await;
        let polls = inside::idle_polls(&world, &service, "kept");
        table.polls("idle polls, no TLS", polls).await;
        for connection in ["kept", "new"] {
            let figure = format!("idle polls, TLS, {connection} connection");
            let polls = over_tls::idle_polls(&world, &service, connection);
            table.polls(&figure, polls).await;
        }
        if std::env::var("COUNTERSIGN_BENCH_FLEET").is_ok() {
            fleet::fill(&world, &service, &engine).await;
        }
    }
    table.write();
}

/// Everything is signed anew with every report.
fn always_due() -> Rules {
    Rules {
        lifetimes: Lifetimes {
            targets: 0,
            snapshot: 0,
            timestamp: 0,
            ..Lifetimes::default()
        },
        ..World::rules()
    }
}

/// How often something was done.
struct Measured {
    done: u64,
    /// Seconds that went by.
    wall: f64,
    /// Seconds of processor time that this process has used.
    cpu: f64,
}

impl Measured {
    /// Per second of processor time.
    fn rate(&self) -> f64 {
        self.done as f64 / self.cpu
    }
}

/// A measurement that has begun.
struct Begun(Instant, f64);

fn begin() -> Begun {
    Begun(Instant::now(), cpu())
}

impl Begun {
    fn end(self, done: u64) -> Measured {
        Measured {
            done,
            wall: self.0.elapsed().as_secs_f64(),
            cpu: cpu() - self.1,
        }
    }
}

/// Seconds of processor time that all threads have used, by proc_pid_stat(5).
fn cpu() -> f64 {
    const TICKS: f64 = 100.;
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap();
    let (_, after_name) = stat.rsplit_once(')').unwrap();
    let fields = after_name.split_whitespace().skip(11).take(2);
    fields
        .map(|ticks| ticks.parse::<f64>().unwrap() / TICKS)
        .sum()
}
