//! Whatever happens in whichever order, in two processes: versions only grow, the content of a version never
//! changes, and vehicles believe every state.

use std::collections::BTreeMap;

use countersign_director::service::{Assignment, Service};
use countersign_metadata::uptane::Outcome;
use countersign_metadata::{Role as _, RoleType, Signed, Snapshot, Timestamp};
use proptest::prelude::*;

use crate::car::{Car, installed};
use crate::decisions::{bytes, image, whole};
use crate::line::{Follower, Line};
use crate::manifests::attack;
use crate::places::Place;
use crate::world::{DAY, World, operator, path};

#[derive(Debug, Clone)]
enum Step {
    /// One of the images, or several.
    Assign(Vec<usize>),
    Cancel,
    Hold,
    Release,
    Pass(i64),
    /// The ECUs of these kinds run what they were told, and the others say nothing new.
    Install(Vec<usize>),
    /// An ECU has tried what it was told, and gone back.
    Fail(usize),
    Attack(usize),
    /// The next Root, with the keys of this generation.
    Root(u32),
    LeaveOut(u64),
}

const KINDS: [&str; 3] = ["brake", "door", "gateway"];

/// Two images for each kind of hardware.
const IMAGES: [(&str, &str); 6] = [
    ("brake", "b1"),
    ("brake", "b2"),
    ("door", "d1"),
    ("door", "d2"),
    ("gateway", "g1"),
    ("gateway", "g2"),
];

/// Twenty steps of the longest time stay within the year of a Root.
const MOST: usize = 20;

fn step() -> impl Strategy<Value = (bool, Step)> {
    let kinds = || prop::collection::vec(0..KINDS.len(), 1..3);
    let time = prop::sample::select(vec![1, 3600, DAY / 2, 4 * DAY, 16 * DAY]);
    let what = prop_oneof![
        4 => prop::collection::vec(0..IMAGES.len(), 1..3).prop_map(Step::Assign),
        1 => Just(Step::Cancel),
        1 => Just(Step::Hold),
        2 => Just(Step::Release),
        3 => time.prop_map(Step::Pass),
        3 => kinds().prop_map(Step::Install),
        2 => (0..KINDS.len()).prop_map(Step::Fail),
        1 => (0..KINDS.len()).prop_map(Step::Attack),
        2 => (1..3_u32).prop_map(Step::Root),
        1 => (1..50_u64).prop_map(Step::LeaveOut),
    ];
    (any::<bool>(), what)
}

struct History {
    world: World,
    processes: [Service; 2],
    car: Car,
    follower: Follower,
    seen: BTreeMap<(&'static str, u64), Vec<u8>>,
    last: [u64; 3],
    /// What the vehicle was told last: images by ECU.
    told: BTreeMap<String, String>,
}

impl History {
    async fn on(place: Place) -> Self {
        let mut world = World::on(place).await;
        let images = IMAGES.iter().map(|(kind, name)| {
            let release = name[1..].parse().unwrap();
            (*name, bytes(name), image(kind, release))
        });
        world.publish(images);
        let both = [1, 2];
        let processes = [
            world.service_with(&both, World::rules()).await,
            world.service_with(&both, World::rules()).await,
        ];
        for (_, name) in IMAGES {
            let listed = processes[0].list_image(&path(name), &operator()).await;
            listed.unwrap();
        }
        let car = Car::registered(&world, &processes[0], "A").await;
        let follower = Follower::new(&processes[0], &car).await;
        Self {
            world,
            processes,
            car,
            follower,
            seen: BTreeMap::new(),
            last: [0; 3],
            told: BTreeMap::new(),
        }
    }

    async fn take(&mut self, process: usize, step: &Step) {
        let (service, by) = (self.processes[process].clone(), operator());
        let vin = self.car.vin.clone();
        match step {
            Step::Assign(numbers) => {
                let images: Vec<_> = numbers.iter().map(|number| IMAGES[*number]).collect();
                let asked = Assignment {
                    whole: images.len() > 1,
                    ..whole(&self.car, &images)
                };
                // It may be older than what runs, or the vehicle is held.
                let _ = service.assign(&vin, &asked, &by).await;
            }
            Step::Cancel => drop(service.cancel(&vin, None, &by).await.unwrap()),
            Step::Hold => service.hold(&vin, Some("why"), &by).await.unwrap(),
            Step::Release => service.hold(&vin, None, &by).await.unwrap(),
            Step::Pass(seconds) => self.world.pass(*seconds),
            Step::Install(kinds) => {
                for kind in kinds.iter().map(|number| KINDS[*number]) {
                    let serial = self.car.ecu(kind);
                    if let Some(name) = self.told.get(serial.as_str()) {
                        let image = installed(name, &bytes(name));
                        self.car
                            .says(kind, |report| report.installed_image = Some(image));
                    }
                }
                self.report(&service).await;
            }
            Step::Fail(number) => {
                let outcome = Outcome {
                    targets_version: self.last[0],
                    offline: None,
                    code: 901,
                    name: "not-confirmed".into(),
                    message: String::new(),
                };
                let kind = KINDS[*number];
                self.car.says(kind, |report| report.outcome = Some(outcome));
                self.report(&service).await;
            }
            Step::Attack(number) => {
                let attacks = vec![attack("replay")];
                self.car
                    .says(KINDS[*number], |report| report.attacks_detected = attacks);
                self.report(&service).await;
            }
            Step::Root(generation) => {
                self.world.import_root(&service, *generation).await.unwrap();
            }
            Step::LeaveOut(skip) => {
                service
                    .database()
                    .leave_out_versions(*skip, &[])
                    .await
                    .unwrap();
            }
        }
    }

    async fn report(&mut self, service: &Service) {
        self.car.tick(self.world.now());
        self.car.report(service).await.unwrap();
        for report in self.car.reports.values_mut() {
            report.attacks_detected.clear();
        }
    }

    /// Looks at everything that is published.
    async fn check(&mut self, process: usize) {
        let line = Line::of(&self.processes[process], &self.car);
        let found = self.follower.follow(&line, self.world.now()).await.unwrap();
        self.told = found
            .assignments()
            .iter()
            .flat_map(|assignment| {
                let ecus = assignment.custom.ecus.keys();
                ecus.map(|serial| (serial.to_string(), assignment.path.to_string()))
            })
            .collect();
        let file = line.get("/v1/metadata/timestamp.json").await.body.to_vec();
        let timestamp = Signed::<Timestamp>::parse(file.clone()).unwrap();
        let timestamp = timestamp.decode_unverified().unwrap();
        self.see("timestamp", timestamp.version(), file);
        let version = timestamp.snapshot.version;
        let name = format!("/v1/metadata/{version}.snapshot.json");
        let file = line.get(&name).await.body.to_vec();
        let snapshot = Signed::<Snapshot>::parse(file).unwrap();
        let snapshot = snapshot.decode_unverified().unwrap();
        let targets = snapshot.role("targets").unwrap().version;
        let newest = [targets, version, timestamp.version()];
        assert!(newest.iter().zip(self.last).all(|(new, last)| *new >= last));
        self.last = newest;
        // The other process gives out the same, as far back as it is kept.
        let other = self.processes[1 - process].clone();
        for (role, newest) in [(RoleType::Targets, targets), (RoleType::Snapshot, version)] {
            for version in newest.saturating_sub(7).max(1)..=newest {
                if let Ok(file) = other.versioned(&self.car.vin, role, version).await {
                    self.see(role.name(), version, file.bytes);
                }
            }
        }
        let line = Line::of(&other, &self.car);
        let file = line.get("/v1/metadata/timestamp.json").await.body.to_vec();
        self.see("timestamp", timestamp.version(), file);
    }

    fn see(&mut self, role: &'static str, version: u64, file: Vec<u8>) {
        let before = self
            .seen
            .entry((role, version))
            .or_insert_with(|| file.clone());
        assert_eq!(*before, file, "{role} {version} has changed");
    }
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 8,
        max_shrink_iters: 30,
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn versions_grow_and_mean_one_thing(steps in prop::collection::vec(step(), 1..MOST)) {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .enable_all()
            .build()
            .unwrap();
        runtime.block_on(async {
            for place in Place::all().await {
                let mut history = History::on(place).await;
                history.check(0).await;
                for (second, step) in &steps {
                    let process = usize::from(*second);
                    history.take(process, step).await;
                    history.check(1 - process).await;
                }
                let audit = history.processes[0].database().verify_audit(None).await;
                audit.unwrap().unwrap();
            }
        });
    }
}
