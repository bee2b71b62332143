//! The Director over mutual TLS, with devices in a process of their own.

use std::fs;
use std::path::Path;
use std::time::Duration;

use axum_server::Handle;
use countersign_director::http::{device, listen};
use countersign_director::service::{Answered, Service};
use countersign_director::tls::{Bounds, ClientFiles, Tls, TlsFiles};

use crate::devices::{self, Task};
use crate::pki::Pki;
use crate::vehicles::{manifests, registered};
use crate::world::World;
use crate::{Measured, begin, line};

/// Manifests, and the three files that are signed anew for each.
pub(crate) async fn manifest_cycles(
    world: &World,
    service: &Service,
    connection: &str,
) -> Measured {
    let mut tasks = Vec::new();
    for mut car in registered(world, service, &format!("C{connection}")).await {
        let primary = car.record.primary.to_string();
        let work = Task::Cycles(manifests(world, &mut car));
        tasks.push((car.vin.to_string(), primary, work));
    }
    measure(service, connection, tasks).await
}

/// Vehicles that ask whether there is something new, when there is nothing.
pub(crate) async fn idle_polls(world: &World, service: &Service, connection: &str) -> Measured {
    let mut tasks = Vec::new();
    for car in registered(world, service, &format!("D{connection}")).await {
        let Answered::File(file) = service.timestamp(&car.vin, None).await.unwrap() else {
            panic!("there is one");
        };
        let primary = car.record.primary.to_string();
        tasks.push((car.vin.to_string(), primary, Task::Polls(file.etag)));
    }
    measure(service, connection, tasks).await
}

async fn measure(
    service: &Service,
    connection: &str,
    tasks: Vec<(String, String, Task)>,
) -> Measured {
    let folder = tempfile::tempdir().unwrap();
    let pki = Pki::new();
    pki.install(folder.path());
    for (number, (vin, primary, task)) in tasks.iter().enumerate() {
        let home = folder.path().join("devices").join(vin);
        fs::create_dir_all(&home).unwrap();
        pki.issue(&home, (vin, primary), 1000 + number as u64);
        task.write(&home);
    }
    let tls = Tls::load(files(folder.path())).unwrap();
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let router = device::router(service.clone(), &line::unlimited());
    let router = device::behind_tls(router, service.clone());
    let acceptor = tls.device_acceptor(Bounds::default());
    let head = Duration::from_secs(10);
    let server = tokio::spawn(listen(listener, acceptor, router, head, Handle::new()));

    let mut devices = devices::start(address, folder.path(), connection);
    devices.wait_until_ready();
    let begun = begin();
    let done = devices.let_go();
    let measured = begun.end(done);
    server.abort();
    measured
}

fn files(folder: &Path) -> TlsFiles {
    TlsFiles {
        certificate: folder.join("server.pem"),
        key: folder.join("server.key"),
        clients: Some(ClientFiles {
            authorities: vec![folder.join("device-ca.pem")],
            revocations: vec![folder.join("device-ca.crl.pem")],
        }),
    }
}
