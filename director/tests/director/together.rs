//! Two processes on one database, and many vehicles at once: nothing is lost and nothing is done twice.

use std::collections::BTreeMap;
use std::sync::Arc;

use countersign_director::problem::{Kind, Problem};
use countersign_director::service::{Answered, Assignment, OrderState, Service};
use countersign_metadata::uptane::Vin;
use countersign_metadata::{Role as _, Signed, Timestamp};

use crate::car::{Car, installed};
use crate::decisions::{bytes, image, whole};
use crate::line::{Follower, Line};
use crate::world::{World, operator, path};

const VEHICLES: usize = 16;

const IMAGES: [(&str, &str); 3] = [("brake", "b1"), ("door", "d1"), ("gateway", "g1")];

/// Nothing if somebody else was faster, again and again: then it is asked once more.
fn settled<T>(done: Result<T, Problem>) -> Option<T> {
    match done {
        Ok(done) => Some(done),
        Err(problem) if problem.kind == Kind::Unavailable => None,
        Err(problem) => unreachable!("{problem:?}"),
    }
}

/// A vehicle that installs what it is told, by one process or the other; gives its last manifest.
async fn drive(world: Arc<World>, processes: [Service; 2], mut car: Car) -> (Car, Vec<u8>) {
    let mut follower = Follower::new(&processes[0], &car).await;
    let mut manifest = Vec::new();
    for round in 0..6 {
        let [asked, told] = [&processes[round % 2], &processes[(round / 2) % 2]];
        let line = Line::of(asked, &car);
        let said = follower.follow(&line, world.now()).await.unwrap();
        for assignment in said.assignments() {
            let name = assignment.path.as_str();
            for (kind, _) in IMAGES.iter().filter(|(_, image)| *image == name) {
                let image = installed(name, &bytes(name));
                car.says(kind, |report| report.installed_image = Some(image));
            }
        }
        car.tick(world.now());
        manifest = car.manifest();
        let bytes = bytes::Bytes::from(manifest.clone());
        let receipt = loop {
            let done = told.accept_manifest(&car.vin, bytes.clone()).await;
            if let Some(receipt) = settled(done) {
                break receipt;
            }
        };
        assert!(receipt.stale.is_empty());
    }
    (car, manifest)
}

/// The same orders, again and again, to both processes.
async fn order(processes: [Service; 2], vin: Vin, asked: Vec<Assignment>) {
    for _ in 0..2 {
        for service in &processes {
            for asked in &asked {
                while settled(service.assign(&vin, asked, &operator()).await).is_none() {}
            }
        }
    }
}

/// Whoever polls never sees an older Timestamp than before, nor two with one version.
async fn poll(processes: [Service; 2], vin: Vin) -> BTreeMap<u64, Vec<u8>> {
    let (mut last, mut seen) = (0, BTreeMap::new());
    for round in 0..10 {
        let service = &processes[round % 2];
        let answered = loop {
            if let Some(answered) = settled(service.timestamp(&vin, None).await) {
                break answered;
            }
        };
        let Answered::File(file) = answered else {
            unreachable!("no entity tag was sent");
        };
        let timestamp = Signed::<Timestamp>::parse(file.bytes.clone()).unwrap();
        let version = timestamp.decode_unverified().unwrap().version();
        assert!(version >= last, "{version} after {last}");
        last = version;
        let before = seen.entry(version).or_insert_with(|| file.bytes.clone());
        assert_eq!(*before, file.bytes);
    }
    seen
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn two_processes_lose_nothing_and_order_nothing_twice() {
    for mut world in World::all().await {
        let images = IMAGES.map(|(kind, name)| (name, bytes(name), image(kind, 1)));
        world.publish(images);
        let processes = [world.service().await, world.service().await];
        for (_, name) in IMAGES {
            let listed = processes[1].list_image(&path(name), &operator()).await;
            listed.unwrap();
        }
        let world = Arc::new(world);
        let (mut drivers, mut others) = (Vec::new(), Vec::new());
        let mut polls = Vec::new();
        for number in 0..VEHICLES {
            let service = &processes[number % 2];
            let car = Car::registered(&world, service, &format!("V{number}")).await;
            let vin = car.vin.clone();
            let single = IMAGES.iter().map(|image| whole(&car, &[*image]));
            let mut asked: Vec<Assignment> = single.collect();
            asked.push(Assignment {
                whole: false,
                ..whole(&car, &IMAGES)
            });
            others.push(tokio::spawn(order(processes.clone(), vin.clone(), asked)));
            for _ in 0..2 {
                let polling = poll(processes.clone(), vin.clone());
                polls.push((number, tokio::spawn(polling)));
            }
            drivers.push(tokio::spawn(drive(world.clone(), processes.clone(), car)));
        }
        for other in others {
            other.await.unwrap();
        }
        let mut seen = BTreeMap::new();
        for (number, polling) in polls {
            for (version, file) in polling.await.unwrap() {
                let before = seen
                    .entry((number, version))
                    .or_insert_with(|| file.clone());
                assert_eq!(*before, file);
            }
        }
        for driver in drivers {
            let (car, last) = driver.await.unwrap();
            let stored = processes[0]
                .database()
                .vehicle(&car.vin)
                .await
                .unwrap()
                .unwrap();
            assert_eq!(stored.manifest.unwrap().1, last);
            // Now that all is ordered, it is installed.
            let (car, _) = drive(world.clone(), processes.clone(), car).await;
            is_done_once(&processes[0], &car).await;
        }
        let audit = processes[1].database().verify_audit(None).await.unwrap();
        audit.unwrap();
    }
}

/// Every image was ordered once and installed once, and nothing is new for the vehicle any more.
async fn is_done_once(service: &Service, car: &Car) {
    let view = service.view(&car.vin).await.unwrap();
    for ecu in view.ecus.values() {
        assert_eq!(ecu.order.as_ref().unwrap().state, OrderState::Installed);
    }
    let log = service.database().audit(Some(&car.vin), 0).await.unwrap();
    for action in ["order.given", "order.installed"] {
        let all = log.iter().filter(|entry| entry.record.action == action);
        let mut images: Vec<_> = all
            .map(|entry| entry.record.detail["image"].as_str().unwrap())
            .collect();
        images.sort_unstable();
        assert_eq!(images, ["b1", "d1", "g1"], "{action}");
    }
    let asked = whole(car, &IMAGES);
    service.assign(&car.vin, &asked, &operator()).await.unwrap();
    let after = service.view(&car.vin).await.unwrap();
    assert_eq!(after.targets_version, view.targets_version);
}
