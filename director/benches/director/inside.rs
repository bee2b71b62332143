//! The Director without a network.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use axum::body::Body;
use axum::http::Request;
use countersign_director::http::device;
use countersign_director::service::{Answered, Service};
use countersign_director::storage::{Change, StoredVehicle};
use countersign_director_domain::desk::Desk;
use countersign_metadata::UtcTime;
use tower::ServiceExt as _;

use crate::vehicles::{manifests, registered};
use crate::world::World;
use crate::{Measured, SPAN, begin, line};

/// Manifest cycles without SQL: what one round decides, signs and writes, on a vehicle in memory.
/// Each next manifest comes to the next of `services`: with one it remembers what it has judged, with two
/// it does not know the manifest before.
pub(crate) async fn decisions(world: &World, services: &[Service], prefix: &str) -> Measured {
    let mut cars = Vec::new();
    for mut car in registered(world, &services[0], prefix).await {
        let stored = services[0]
            .database()
            .vehicle(&car.vin)
            .await
            .unwrap()
            .unwrap();
        cars.push((car.vin.clone(), stored, manifests(world, &mut car)));
    }
    let now = world.now();
    let done = Arc::new(AtomicU64::new(0));
    let begun = begin();
    let began = begun.0;
    let tasks = cars.into_iter().map(|(vin, mut stored, manifests)| {
        let (services, done) = (services.to_vec(), Arc::clone(&done));
        tokio::spawn(async move {
            for (manifest, service) in manifests.into_iter().zip(services.iter().cycle()) {
                if began.elapsed() > SPAN {
                    break;
                }
                // A round begins with a vehicle that nobody else has.
                let decided = service.decide(&vin, stored.clone(), manifest);
                let change = decided.await.unwrap().unwrap();
                keep(&mut stored, change, now);
                done.fetch_add(1, Ordering::Relaxed);
            }
        })
    });
    for task in tasks.collect::<Vec<_>>() {
        task.await.unwrap();
    }
    begun.end(done.load(Ordering::Relaxed))
}

/// What the database would have, and give out next time.
fn keep(stored: &mut StoredVehicle, change: Change, now: UtcTime) {
    let published = change.published.unwrap();
    assert_eq!(
        (change.revision, published.files.len()),
        (stored.revision, 3)
    );
    stored.revision += 1;
    stored.manifest = change.manifest.map(|manifest| (now, manifest));
    stored.desk = Desk::of_text(&published.desk.to_text()).unwrap();
    stored.signed_root = published.root;
    stored.due = published.due.unix();
}

/// Manifests that are verified, with everything signed anew for each.
pub(crate) async fn manifest_cycles(world: &World, service: &Service) -> Measured {
    let mut cars = Vec::new();
    for mut car in registered(world, service, "A").await {
        cars.push((car.vin.clone(), manifests(world, &mut car)));
    }
    let done = Arc::new(AtomicU64::new(0));
    let begun = begin();
    let began = begun.0;
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
    begun.end(done.load(Ordering::Relaxed))
}

/// Vehicles that ask whether there is something new, when there is nothing.
pub(crate) async fn idle_polls(world: &World, service: &Service, prefix: &str) -> Measured {
    let router = device::router(service.clone(), &line::unlimited());
    let mut idle = Vec::new();
    for car in registered(world, service, prefix).await {
        let Answered::File(file) = service.timestamp(&car.vin, None).await.unwrap() else {
            panic!("there is one");
        };
        idle.push((line::device(&car), file.etag));
    }
    let done = Arc::new(AtomicU64::new(0));
    let begun = begin();
    let began = begun.0;
    let tasks = idle.into_iter().map(|(device, etag)| {
        let (router, done) = (router.clone(), Arc::clone(&done));
        tokio::spawn(async move {
            while began.elapsed() < SPAN {
                let request = Request::get("/v1/metadata/timestamp.json")
                    .header("if-none-match", &etag)
                    .extension(device.clone());
                let request = request.body(Body::empty()).unwrap();
                let answer = router.clone().oneshot(request).await.unwrap();
                assert_eq!(answer.status().as_u16(), 304);
                done.fetch_add(1, Ordering::Relaxed);
                // Nothing in it waits for anything.
                tokio::task::yield_now().await;
            }
        })
    });
    for task in tasks.collect::<Vec<_>>() {
        task.await.unwrap();
    }
    begun.end(done.load(Ordering::Relaxed))
}
