//! Vehicles of a Primary and four Secondaries, which are registered, and what they are going to report.

use bytes::Bytes;
use countersign_director::service::Service;

use crate::car::Car;
use crate::world::World;

/// Vehicles that come at the same time.
pub(crate) const VEHICLES: usize = 64;

/// Reports of each.
const REPORTS: usize = 200;

/// Registers vehicles whose names begin with `prefix`.
pub(crate) async fn registered(world: &World, service: &Service, prefix: &str) -> Vec<Car> {
    let mut cars = Vec::new();
    for number in 0..VEHICLES {
        let name = format!("{prefix}{number}");
        let ecus = [
            ("P", "gateway"),
            ("S1", "door"),
            ("S2", "door"),
            ("S3", "door"),
            ("S4", "door"),
        ]
        .map(|(serial, kind)| (format!("{name}-{serial}"), kind));
        let ecus = ecus.each_ref().map(|(serial, kind)| (&**serial, *kind));
        let car = Car::with(&world.keys(), &name, &ecus);
        let registered =
            service
                .database()
                .register(&car.vin, "fleet", &car.record, world.now(), &[]);
        registered.await.unwrap();
        cars.push(car);
    }
    cars
}

/// Manifests, made before so that only what the Director does is counted.
pub(crate) fn manifests(world: &World, car: &mut Car) -> Vec<Bytes> {
    let manifests = (0..REPORTS).map(|_| {
        car.tick(world.now());
        car.manifest().into()
    });
    manifests.collect()
}
