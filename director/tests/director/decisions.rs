//! What is ordered of a vehicle's ECUs, and what becomes of it.

use std::collections::BTreeSet;

use countersign_director::problem::{Kind, Problem};
use countersign_director::service::{Assigned, Assignment, OrderState, PartOutcome, Service};
use countersign_metadata::uptane::{
    ConstrainedImage, Constraint, HardwareId, ImageCustom, Outcome,
};
use countersign_metadata::{RoleType, Targets, TargetsBuilder};

use crate::car::{Car, installed};
use crate::line::{Follower, Line};
use crate::manifests::attack;
use crate::registration::actions;
use crate::world::{World, operator, path};

/// An image for hardware of this kind.
pub(crate) fn image(kind: &str, release: u64) -> ImageCustom {
    ImageCustom::new(vec![HardwareId::new(kind).unwrap()], release)
}

/// The bytes of the image with this name.
pub(crate) fn bytes(name: &str) -> Vec<u8> {
    format!("the image {name}").into_bytes()
}

pub(crate) fn needs(mut image: ImageCustom, name: &str) -> ImageCustom {
    let constraint = Constraint::new(ConstrainedImage::Filename(name.into()));
    image.dependencies.push(constraint);
    image
}

fn conflicts(mut image: ImageCustom, name: &str) -> ImageCustom {
    let constraint = Constraint::new(ConstrainedImage::Filename(name.into()));
    image.conflicts.push(constraint);
    image
}

/// What is asked for: all or nothing, of the ECUs of these kinds.
pub(crate) fn whole(car: &Car, images: &[(&str, &str)]) -> Assignment {
    let images = images.iter();
    let images = images.map(|(kind, name)| (car.ecu(kind), path(name)));
    Assignment {
        images: images.collect(),
        whole: true,
        add_dependencies: false,
    }
}

/// Each part for itself.
fn parts(car: &Car, images: &[(&str, &str)]) -> Assignment {
    Assignment {
        whole: false,
        ..whole(car, images)
    }
}

/// A Director with a vehicle, and a catalogue.
pub(crate) struct Scene {
    pub(crate) world: World,
    pub(crate) service: Service,
    pub(crate) car: Car,
    pub(crate) follower: Follower,
}

impl Scene {
    /// With these images, each with the bytes that its name stands for.
    pub(crate) async fn all(images: &[(&'static str, ImageCustom)]) -> Vec<Self> {
        let mut scenes = Vec::new();
        for mut world in World::all().await {
            let named = images.iter();
            world.publish(named.map(|(name, custom)| (*name, bytes(name), custom.clone())));
            let service = world.service().await;
            for (name, _) in images {
                service.list_image(&path(name), &operator()).await.unwrap();
            }
            let car = Car::registered(&world, &service, "A").await;
            let follower = Follower::new(&service, &car).await;
            scenes.push(Self {
                world,
                service,
                car,
                follower,
            });
        }
        scenes
    }

    pub(crate) async fn assign(&self, asked: &Assignment) -> Result<Assigned, Problem> {
        self.service.assign(&self.car.vin, asked, &operator()).await
    }

    /// Orders these, and all of them are ordered.
    pub(crate) async fn ordered(&self, images: &[(&str, &str)]) {
        let done = self.assign(&whole(&self.car, images)).await.unwrap();
        let mut outcomes = done.parts.iter().map(|part| &part.outcome);
        assert!(
            outcomes.all(|outcome| *outcome == PartOutcome::Ordered),
            "{done:?}"
        );
    }

    /// What the vehicle is told, as it verifies it: images by ECU, and the version of Targets.
    pub(crate) async fn told(&mut self) -> (Vec<(String, String)>, u64) {
        let line = Line::of(&self.service, &self.car);
        let said = self.follower.follow(&line, self.world.now()).await.unwrap();
        let mut told = Vec::new();
        for assignment in said.assignments() {
            for serial in assignment.custom.ecus.keys() {
                told.push((serial.to_string(), assignment.path.to_string()));
            }
        }
        told.sort();
        (told, said.mark().version)
    }

    async fn is_told(&mut self, expected: &[(&str, &str)]) -> u64 {
        let (told, version) = self.told().await;
        let told: Vec<_> = told.iter().map(|(ecu, path)| (&**ecu, &**path)).collect();
        assert_eq!(told, expected);
        version
    }

    /// A new report of every ECU.
    pub(crate) async fn report(&mut self) {
        self.car.tick(self.world.now());
        self.car.report(&self.service).await.unwrap();
    }

    /// The ECU of this kind says that it runs this.
    pub(crate) async fn runs(&mut self, kind: &str, name: &str) {
        let image = installed(name, &bytes(name));
        self.car
            .says(kind, |report| report.installed_image = Some(image));
        self.report().await;
    }

    /// The ECU of this kind says that it has tried what Targets `version` orders, and gone back.
    async fn failed(&mut self, kind: &str, version: u64) {
        let outcome = Outcome {
            targets_version: version,
            offline: None,
            code: 900,
            name: "install-failed".into(),
            message: "no space".into(),
        };
        self.car.says(kind, |report| report.outcome = Some(outcome));
        self.report().await;
    }

    async fn state(&self, kind: &str) -> Option<OrderState> {
        let view = self.service.view(&self.car.vin).await.unwrap();
        let order = view.ecus[&self.car.ecu(kind)].order.clone();
        Some(order?.state)
    }

    async fn log(&self) -> Vec<String> {
        actions(&self.service, &self.car.vin).await.split_off(2)
    }
}

fn outcomes(done: &Assigned) -> Vec<(&str, Result<&'static str, &'static str>)> {
    let parts = done.parts.iter().map(|part| {
        let outcome = match &part.outcome {
            PartOutcome::Ordered => Ok("ordered"),
            PartOutcome::Added => Ok("added"),
            PartOutcome::AlreadyOrdered => Ok("already-ordered"),
            PartOutcome::AlreadyInstalled => Ok("already-installed"),
            PartOutcome::Refused(problem) => Err(problem.code),
        };
        (part.path.as_str(), outcome)
    });
    parts.collect()
}

#[tokio::test]
async fn case_94_what_was_ordered_or_is_installed_is_not_ordered_again() {
    for mut scene in Scene::all(&[("d1", image("door", 1))]).await {
        scene.is_told(&[]).await;
        scene.ordered(&[("door", "d1")]).await;
        let version = scene.is_told(&[("A-door", "d1")]).await;
        for (whole_, expected) in [(true, "already-ordered"), (false, "already-ordered")] {
            let asked = Assignment {
                whole: whole_,
                ..whole(&scene.car, &[("door", "d1")])
            };
            let done = scene.assign(&asked).await.unwrap();
            assert_eq!(outcomes(&done), [("d1", Ok(expected))]);
        }
        assert_eq!(scene.is_told(&[("A-door", "d1")]).await, version);
        scene.runs("door", "d1").await;
        assert_eq!(scene.state("door").await, Some(OrderState::Installed));
        let done = scene.assign(&whole(&scene.car, &[("door", "d1")])).await;
        assert_eq!(outcomes(&done.unwrap()), [("d1", Ok("already-installed"))]);
        assert_eq!(scene.is_told(&[("A-door", "d1")]).await, version);
        assert_eq!(scene.log().await, ["order.given", "order.installed"]);
    }
}

#[tokio::test]
async fn case_94_what_an_ecu_runs_without_an_order_is_not_ordered() {
    for mut scene in Scene::all(&[("d1", image("door", 1))]).await {
        scene.runs("door", "d1").await;
        let version = scene.is_told(&[]).await;
        let done = scene.assign(&whole(&scene.car, &[("door", "d1")])).await;
        assert_eq!(outcomes(&done.unwrap()), [("d1", Ok("already-installed"))]);
        assert_eq!(scene.is_told(&[]).await, version);
    }
}

#[tokio::test]
async fn case_95_what_conflicts_or_lacks_something_is_refused_with_words() {
    let images = [
        ("d1", image("door", 1)),
        ("b1", needs(image("brake", 1), "g9")),
        ("b2", conflicts(image("brake", 2), "d1")),
    ];
    for mut scene in Scene::all(&images).await {
        let version = scene.is_told(&[]).await;
        for (asked, words) in [
            (
                vec![("brake", "b1")],
                ["b1 (release 1) on ECU A-brake needs g9", "no ECU"],
            ),
            (
                vec![("brake", "b2"), ("door", "d1")],
                [
                    "b2 (release 2) on ECU A-brake conflicts with d1 (release 1) on ECU A-door",
                    "",
                ],
            ),
        ] {
            let refused = scene.assign(&whole(&scene.car, &asked)).await.unwrap_err();
            assert_eq!((refused.kind, refused.code), (Kind::Conflict, "no-plan"));
            assert!(
                words.iter().all(|part| refused.message.contains(part)),
                "{refused}"
            );
        }
        assert_eq!(scene.is_told(&[]).await, version);
        assert!(scene.log().await.is_empty());
        // Also with what is there, and with what was ordered before.
        scene.ordered(&[("door", "d1")]).await;
        for installed in [false, true] {
            if installed {
                scene.runs("door", "d1").await;
            }
            let refused = scene.assign(&whole(&scene.car, &[("brake", "b2")])).await;
            assert_eq!(refused.unwrap_err().code, "no-plan");
        }
    }
}

#[tokio::test]
async fn each_part_for_itself_gives_those_that_can_be() {
    let images = [
        ("d1", image("door", 1)),
        ("b2", conflicts(image("brake", 2), "d1")),
        ("g1", image("gateway", 1)),
    ];
    for mut scene in Scene::all(&images).await {
        let asked = [("brake", "b2"), ("door", "d1"), ("gateway", "g1")];
        let done = scene.assign(&parts(&scene.car, &asked)).await.unwrap();
        let expected = [
            ("b2", Ok("ordered")),
            ("d1", Err("no-plan")),
            ("g1", Ok("ordered")),
        ];
        assert_eq!(outcomes(&done), expected);
        scene
            .is_told(&[("A-brake", "b2"), ("A-gateway", "g1")])
            .await;
    }
}

/// A part may depend on one that comes after it, or on one that would be added.
#[tokio::test]
async fn each_part_for_itself_may_need_another_one() {
    let images = [
        ("b1", needs(image("brake", 1), "d1")),
        ("d1", needs(image("door", 1), "b1")),
        ("g1", image("gateway", 1)),
    ];
    for mut scene in Scene::all(&images).await {
        let asked = parts(&scene.car, &[("brake", "b1"), ("gateway", "g1")]);
        let done = scene.assign(&asked).await.unwrap();
        assert_eq!(
            outcomes(&done),
            [("b1", Err("no-plan")), ("g1", Ok("ordered"))]
        );
        let asked = parts(&scene.car, &[("brake", "b1"), ("door", "d1")]);
        let done = scene.assign(&asked).await.unwrap();
        assert_eq!(
            outcomes(&done),
            [("b1", Ok("ordered")), ("d1", Ok("ordered"))]
        );
        let told = [("A-brake", "b1"), ("A-door", "d1"), ("A-gateway", "g1")];
        scene.is_told(&told).await;
    }
    for mut scene in Scene::all(&images).await {
        let asked = Assignment {
            add_dependencies: true,
            ..parts(&scene.car, &[("brake", "b1")])
        };
        let done = scene.assign(&asked).await.unwrap();
        assert_eq!(
            outcomes(&done),
            [("b1", Ok("ordered")), ("d1", Ok("added"))]
        );
        scene.is_told(&[("A-brake", "b1"), ("A-door", "d1")]).await;
    }
}

#[tokio::test]
async fn what_others_depend_on_is_added_if_that_is_wanted() {
    let images = [
        ("b1", needs(image("brake", 1), "d1")),
        ("d1", needs(image("door", 1), "g1")),
        ("g1", image("gateway", 1)),
    ];
    for mut scene in Scene::all(&images).await {
        let alone = whole(&scene.car, &[("brake", "b1")]);
        assert_eq!(scene.assign(&alone).await.unwrap_err().code, "no-plan");
        let asked = Assignment {
            add_dependencies: true,
            ..alone
        };
        let done = scene.assign(&asked).await.unwrap();
        let expected = [
            ("b1", Ok("ordered")),
            ("d1", Ok("added")),
            ("g1", Ok("added")),
        ];
        assert_eq!(outcomes(&done), expected);
        let told = [("A-brake", "b1"), ("A-door", "d1"), ("A-gateway", "g1")];
        scene.is_told(&told).await;
    }
}

#[tokio::test]
async fn what_does_not_fit_is_refused() {
    let images = [("d1", image("door", 1)), ("d2", image("door", 2))];
    for mut scene in Scene::all(&images).await {
        scene.runs("door", "d2").await;
        for (asked, code) in [
            (("brake", "d1"), "hardware-mismatch"),
            (("door", "d1"), "older-than-installed"),
            (("door", "d9"), "image-unknown"),
            (("roof", "d2"), "ecu-unknown"),
        ] {
            let refused = scene.assign(&whole(&scene.car, &[asked])).await;
            assert_eq!(refused.unwrap_err().code, code);
            let done = scene.assign(&parts(&scene.car, &[asked])).await.unwrap();
            assert_eq!(outcomes(&done), [(asked.1, Err(code))]);
        }
        assert!(scene.log().await.is_empty());
    }
}

#[tokio::test]
async fn a_vehicle_that_is_held_is_told_nothing_new_until_it_is_released() {
    let images = [("d1", image("door", 1)), ("g1", image("gateway", 1))];
    for mut scene in Scene::all(&images).await {
        let by = operator();
        scene.ordered(&[("door", "d1"), ("gateway", "g1")]).await;
        scene.runs("gateway", "g1").await;
        let before = scene
            .is_told(&[("A-door", "d1"), ("A-gateway", "g1")])
            .await;
        let vin = scene.car.vin.clone();
        scene.service.hold(&vin, Some("recall"), &by).await.unwrap();
        scene.service.hold(&vin, Some("recall"), &by).await.unwrap();
        assert_eq!(scene.state("door").await, Some(OrderState::Withheld));
        let held = scene.is_told(&[("A-gateway", "g1")]).await;
        assert!(held > before);
        let refused = scene.assign(&whole(&scene.car, &[("door", "d1")])).await;
        assert_eq!(refused.unwrap_err().code, "vehicle-held");
        scene.service.hold(&vin, None, &by).await.unwrap();
        let released = scene
            .is_told(&[("A-door", "d1"), ("A-gateway", "g1")])
            .await;
        assert!(released > held);
        let log = scene.log().await.split_off(3);
        assert_eq!(log, ["vehicle.held", "vehicle.released"]);
    }
}

/// Case 89: after an attack Targets holds nothing new, until somebody has looked into it.
#[tokio::test]
async fn case_89_an_attack_withholds_what_was_ordered() {
    for mut scene in Scene::all(&[("d1", image("door", 1))]).await {
        scene.ordered(&[("door", "d1")]).await;
        let before = scene.is_told(&[("A-door", "d1")]).await;
        scene.car.says("brake", |report| {
            report.attacks_detected = vec![attack("arbitrary-software")];
        });
        scene.report().await;
        let held = scene.is_told(&[]).await;
        assert!(held > before);
        let brake = scene.car.ecu("brake");
        scene
            .car
            .reports
            .get_mut(&brake)
            .unwrap()
            .attacks_detected
            .clear();
        scene.report().await;
        assert_eq!(scene.is_told(&[]).await, held);
        let vin = scene.car.vin.clone();
        scene.service.hold(&vin, None, &operator()).await.unwrap();
        assert!(scene.is_told(&[("A-door", "d1")]).await > held);
    }
}

#[tokio::test]
async fn only_what_does_not_run_yet_is_cancelled() {
    let images = [("d1", image("door", 1)), ("g1", image("gateway", 1))];
    for mut scene in Scene::all(&images).await {
        scene.ordered(&[("door", "d1"), ("gateway", "g1")]).await;
        scene.runs("gateway", "g1").await;
        let gateway = BTreeSet::from([scene.car.ecu("gateway")]);
        for (ecus, expected) in [
            (Some(&gateway), Vec::new()),
            (None, vec![scene.car.ecu("door")]),
            (None, Vec::new()),
        ] {
            let gone = scene
                .service
                .cancel(&scene.car.vin, ecus, &operator())
                .await;
            assert_eq!(gone.unwrap(), expected);
        }
        scene.is_told(&[("A-gateway", "g1")]).await;
        assert_eq!(scene.log().await.pop().unwrap(), "order.cancelled");
        // It may be ordered again.
        scene.ordered(&[("door", "d1")]).await;
    }
}

#[tokio::test]
async fn what_fails_is_tried_once_more_under_another_targets_and_then_given_up() {
    for mut scene in Scene::all(&[("d1", image("door", 1))]).await {
        scene.ordered(&[("door", "d1")]).await;
        let first = scene.is_told(&[("A-door", "d1")]).await;
        scene.failed("door", first).await;
        assert_eq!(scene.state("door").await, Some(OrderState::Failed));
        let second = scene.is_told(&[("A-door", "d1")]).await;
        assert!(second > first);
        // An old outcome counts once, and so does one of Targets that are no longer the last.
        scene.report().await;
        scene.failed("door", first).await;
        assert_eq!(scene.is_told(&[("A-door", "d1")]).await, second);
        scene.failed("door", second).await;
        assert_eq!(scene.state("door").await, None);
        assert!(scene.is_told(&[]).await > second);
        let expected = ["order.given", "order.failed", "order.given-up"];
        assert_eq!(scene.log().await, expected);
    }
}

#[tokio::test]
async fn what_was_ordered_as_a_whole_is_given_up_as_a_whole() {
    let images = [
        ("b1", image("brake", 1)),
        ("d1", image("door", 1)),
        ("g1", image("gateway", 1)),
    ];
    for mut scene in Scene::all(&images).await {
        scene
            .ordered(&[("brake", "b1"), ("door", "d1"), ("gateway", "g1")])
            .await;
        for _ in 0..2 {
            let (_, version) = scene.told().await;
            scene.runs("gateway", "g1").await;
            scene.failed("door", version).await;
        }
        // What is there stays.
        scene.is_told(&[("A-gateway", "g1")]).await;
        assert_eq!(scene.state("brake").await, None);
        let log = scene.log().await;
        let abandoned = log.iter().filter(|action| *action == "order.abandoned");
        assert_eq!(abandoned.count(), 1, "{log:?}");
    }
    for mut scene in Scene::all(&images).await {
        let asked = parts(&scene.car, &[("brake", "b1"), ("door", "d1")]);
        scene.assign(&asked).await.unwrap();
        for _ in 0..2 {
            let (_, version) = scene.told().await;
            scene.failed("door", version).await;
        }
        scene.is_told(&[("A-brake", "b1")]).await;
    }
}

/// Of two ECUs that get one image, either may fail: both are told once more, under another Targets.
#[tokio::test]
async fn what_fails_on_one_of_two_ecus_is_tried_once_more() {
    let mut both = image("brake", 1);
    both.hardware_ids.push(HardwareId::new("door").unwrap());
    for kind in ["brake", "door"] {
        for mut scene in Scene::all(&[("both", both.clone())]).await {
            scene.ordered(&[("brake", "both"), ("door", "both")]).await;
            let told = [("A-brake", "both"), ("A-door", "both")];
            let first = scene.is_told(&told).await;
            scene.failed(kind, first).await;
            assert!(scene.is_told(&told).await > first, "{kind}");
        }
    }
}

/// A path that has another content from now on.
#[tokio::test]
async fn an_image_that_is_released_again_under_its_path_is_ordered_again() {
    for mut scene in Scene::all(&[("d1", image("door", 1))]).await {
        scene.ordered(&[("door", "d1")]).await;
        scene.runs("door", "d1").await;
        let first = scene.is_told(&[("A-door", "d1")]).await;
        scene
            .world
            .publish([("d1", b"another content".to_vec(), image("door", 2))]);
        scene
            .service
            .list_image(&path("d1"), &operator())
            .await
            .unwrap();
        assert_eq!(scene.is_told(&[("A-door", "d1")]).await, first);
        scene.ordered(&[("door", "d1")]).await;
        assert_eq!(scene.state("door").await, Some(OrderState::Pending));
        let second = scene.is_told(&[("A-door", "d1")]).await;
        assert!(second > first);
        let targets = targets(&scene).await;
        let listed = targets.targets.values().next().unwrap();
        assert!(listed.hashes.match_bytes(b"another content"));
        let again = installed("d1", b"another content");
        scene
            .car
            .says("door", |report| report.installed_image = Some(again));
        scene.report().await;
        assert_eq!(scene.state("door").await, Some(OrderState::Installed));
    }
}

/// The newest Targets of the vehicle.
pub(crate) async fn targets(scene: &Scene) -> TargetsBuilder {
    let view = scene.service.view(&scene.car.vin).await.unwrap();
    let version = view.targets_version.unwrap();
    let file = scene
        .service
        .versioned(&scene.car.vin, RoleType::Targets, version);
    let file = file.await.unwrap().bytes;
    let file = countersign_metadata::Signed::<Targets>::parse(file).unwrap();
    TargetsBuilder::same_as(&file.decode_unverified().unwrap()).unwrap()
}

/// One path has one content in Targets. Whoever was to get the one before it is told nothing of that, and
/// an order for the new one is not lost, whichever ECU comes first.
#[tokio::test]
async fn the_newest_content_of_a_path_is_what_is_told() {
    let mut both = image("brake", 1);
    both.hardware_ids.push(HardwareId::new("door").unwrap());
    for (first, second) in [("brake", "door"), ("door", "brake")] {
        for mut scene in Scene::all(&[("both", both.clone())]).await {
            scene.ordered(&[(first, "both")]).await;
            let mut newer = both.clone();
            newer.release_counter = 2;
            scene
                .world
                .publish([("both", b"another content".to_vec(), newer)]);
            scene
                .service
                .list_image(&path("both"), &operator())
                .await
                .unwrap();
            scene.ordered(&[(second, "both")]).await;
            let serial = scene.car.ecu(second).to_string();
            scene.is_told(&[(&*serial, "both")]).await;
            let targets = targets(&scene).await;
            let listed = targets.targets.values().next().unwrap();
            assert!(listed.hashes.match_bytes(b"another content"));
            // What it was to get before can be ordered anew.
            scene.ordered(&[(first, "both")]).await;
            scene
                .is_told(&[("A-brake", "both"), ("A-door", "both")])
                .await;
        }
    }
}
