//! What is believed of a vehicle's manifest: all of it or nothing (cases 82 to 93).

use countersign_director::service::Service;
use countersign_metadata::UtcTime;
use countersign_metadata::uptane::{DetectedAttack, EcuVersionReport, VehicleVersionManifest};
use countersign_metadata::{Signed, json};

use crate::car::{Car, installed, serial};
use crate::line::{Answer, Line};
use crate::registration::actions;
use crate::world::World;

/// A vehicle whose manifests are sent over its line.
struct Reporter {
    service: Service,
    car: Car,
    line: Line,
}

impl Reporter {
    async fn new(world: &World) -> Self {
        let service = world.service().await;
        let car = Car::registered(world, &service, "A").await;
        let line = Line::of(&service, &car);
        Self { service, car, line }
    }

    async fn put(&self, manifest: Vec<u8>) -> Answer {
        self.line.send("PUT", "/v1/manifest", &[], manifest).await
    }

    async fn believed(&self, manifest: Vec<u8>) -> serde_json::Value {
        let answer = self.put(manifest).await;
        assert_eq!(answer.status, 200, "{:?}", answer.body);
        answer.json()["stale"].clone()
    }

    async fn revision(&self) -> u64 {
        let stored = self.service.database().vehicle(&self.car.vin).await;
        stored.unwrap().unwrap().revision
    }

    /// A manifest that is refused with 400: nothing changes, and the log says why.
    async fn dropped(&self, manifest: Vec<u8>, code: &str) {
        self.ignored(manifest, code).await;
        let log = self.service.database().audit(Some(&self.car.vin), 0).await;
        let last = log.unwrap().pop().unwrap().record;
        assert_eq!(last.action, "manifest.dropped");
        assert_eq!(last.detail["code"].as_str(), Some(code));
        assert_eq!(last.actor, "vehicle:A");
    }

    /// A manifest that is refused with 400, and changes nothing of the vehicle.
    async fn ignored(&self, manifest: Vec<u8>, code: &str) {
        let before = self.service.database().vehicle(&self.car.vin).await;
        let before = before.unwrap().unwrap();
        assert_eq!(self.put(manifest).await.refusal(), (400, code.into()));
        let after = self.service.database().vehicle(&self.car.vin).await;
        let after = after.unwrap().unwrap();
        assert_eq!(
            (after.revision, after.manifest),
            (before.revision, before.manifest)
        );
    }

    /// Entries of the audit log about the vehicle.
    async fn entries(&self) -> usize {
        let log = self.service.database().audit(Some(&self.car.vin), 0).await;
        log.unwrap().len()
    }
}

#[tokio::test]
async fn a_complete_manifest_is_believed_and_kept() {
    for world in World::all().await {
        let reporter = Reporter::new(&world).await;
        let manifest = reporter.car.manifest();
        let stale = reporter.believed(manifest.clone()).await;
        assert_eq!(stale, serde_json::json!([]));
        let stored = reporter.service.database().vehicle(&reporter.car.vin).await;
        let stored = stored.unwrap().unwrap();
        assert_eq!(stored.manifest, Some((world.now(), manifest)));
    }
}

#[tokio::test]
async fn case_82_the_primary_has_to_sign() {
    for world in World::all().await {
        let reporter = Reporter::new(&world).await;
        let car = &reporter.car;
        let by_another = car.manifest_by(&car.ecu("brake"), |serial| serial.clone());
        reporter.dropped(by_another, "manifest-signature").await;
        // One byte of what it signed is another one.
        let mut changed = car.manifest();
        let payload = changed.windows(5).position(|bytes| bytes == b"A-doo");
        changed[payload.unwrap() + 2] = b'D';
        reporter.dropped(changed, "manifest-signature").await;
    }
}

#[tokio::test]
async fn case_83_every_secondary_has_to_sign_its_report() {
    for world in World::all().await {
        let reporter = Reporter::new(&world).await;
        let car = &reporter.car;
        let by_the_primary = car.manifest_by(&car.record.primary, |_| car.record.primary.clone());
        reporter.dropped(by_the_primary, "report-signature").await;
        // A report of one ECU under the name of another.
        let mut manifest = manifest_of(car);
        let brakes = manifest.ecu_version_reports[&car.ecu("brake")].clone();
        manifest.ecu_version_reports.insert(car.ecu("door"), brakes);
        let manifest = car.sign(manifest.to_payload(), &car.record.primary);
        reporter.dropped(manifest, "report-signature").await;
    }
}

/// The content of the manifest that a vehicle would send.
fn manifest_of(car: &Car) -> VehicleVersionManifest {
    let manifest = Signed::<VehicleVersionManifest>::parse(car.manifest()).unwrap();
    manifest.decode_unverified().unwrap()
}

#[tokio::test]
async fn case_83_a_report_is_about_the_ecu_that_it_is_listed_for() {
    for world in World::all().await {
        let mut reporter = Reporter::new(&world).await;
        reporter.car.says("door", |report| {
            report.ecu_serial = serial("A-brake");
        });
        let manifest = reporter.car.manifest();
        reporter.dropped(manifest, "report-mismatch").await;
    }
}

#[tokio::test]
async fn case_84_an_ecu_that_is_not_registered_does_not_report() {
    for world in World::all().await {
        let reporter = Reporter::new(&world).await;
        let ecus = ["gateway", "brake", "door", "radio"].map(|kind| (format!("A-{kind}"), kind));
        let ecus = ecus.each_ref().map(|(serial, kind)| (&**serial, *kind));
        let more = Car::with(&world.keys(), "A", &ecus);
        reporter
            .dropped(more.manifest(), "report-unknown-ecu")
            .await;
    }
}

#[tokio::test]
async fn case_85_every_registered_ecu_reports() {
    for world in World::all().await {
        let mut reporter = Reporter::new(&world).await;
        let door = reporter.car.ecu("door");
        reporter.car.reports.remove(&door);
        let manifest = reporter.car.manifest();
        reporter.dropped(manifest, "report-missing").await;
    }
}

#[tokio::test]
async fn case_86_no_other_ecu_is_the_primary() {
    for world in World::all().await {
        let reporter = Reporter::new(&world).await;
        let car = &reporter.car;
        let mut manifest = manifest_of(car);
        manifest.primary_ecu_serial = car.ecu("brake");
        for by in ["brake", "gateway"] {
            let manifest = car.sign(manifest.to_payload(), &car.ecu(by));
            reporter.dropped(manifest, "ecu-not-primary").await;
        }
    }
}

#[tokio::test]
async fn case_87_a_report_is_not_replayed() {
    for world in World::all().await {
        let mut reporter = Reporter::new(&world).await;
        let first = reporter.car.manifest();
        reporter.believed(first.clone()).await;
        reporter.car.tick(world.now());
        let second = reporter.car.manifest();
        reporter.believed(second.clone()).await;
        reporter.dropped(first, "report-replayed").await;
        // The same counter, and another content.
        let door = reporter.car.ecu("door");
        let report = reporter.car.reports.get_mut(&door).unwrap();
        report.installed_image = Some(installed("other.img", b"other"));
        let other = reporter.car.manifest();
        reporter.dropped(other, "report-replayed").await;
    }
}

#[tokio::test]
async fn case_87_the_same_manifest_again_is_answered_the_same_and_changes_nothing() {
    for world in World::all().await {
        let reporter = Reporter::new(&world).await;
        let manifest = reporter.car.manifest();
        reporter.believed(manifest.clone()).await;
        let (revision, log) = (
            reporter.revision().await,
            actions(&reporter.service, &reporter.car.vin).await,
        );
        // Also when its times would be too old by now for news.
        for seconds in [0, 90_000] {
            world.pass(seconds);
            let stale = reporter.believed(manifest.clone()).await;
            let all = serde_json::json!(["A-brake", "A-door", "A-gateway"]);
            assert_eq!(stale, all);
            assert_eq!(reporter.revision().await, revision);
            assert_eq!(actions(&reporter.service, &reporter.car.vin).await, log);
        }
    }
}

#[tokio::test]
async fn case_87_an_ecu_that_says_nothing_new_is_stale_and_the_others_are_heard() {
    for world in World::all().await {
        let mut reporter = Reporter::new(&world).await;
        reporter.believed(reporter.car.manifest()).await;
        reporter.car.says("brake", |_| ());
        let stale = reporter.believed(reporter.car.manifest()).await;
        assert_eq!(stale, serde_json::json!(["A-door", "A-gateway"]));
    }
}

#[tokio::test]
async fn case_88_a_report_of_long_ago_or_out_of_the_future_is_no_news() {
    for world in World::all().await {
        let mut reporter = Reporter::new(&world).await;
        let now = world.now().unix();
        let tell = |reporter: &mut Reporter, seconds: i64| {
            reporter.car.says("door", |report| {
                report.latest_time = UtcTime::from_unix(now + seconds).unwrap();
            });
            reporter.car.manifest()
        };
        let entries = reporter.entries().await;
        let old = tell(&mut reporter, -86_401);
        reporter.ignored(old, "report-expired").await;
        assert_eq!(reporter.entries().await, entries);
        let early = tell(&mut reporter, 301);
        reporter.dropped(early, "report-ahead").await;
        for seconds in [-86_400, 300] {
            let manifest = tell(&mut reporter, seconds);
            reporter.believed(manifest).await;
        }
    }
}

pub(crate) fn attack(class: &str) -> DetectedAttack {
    DetectedAttack {
        code: 305,
        name: "some-refusal".into(),
        attack: class.into(),
        repository: "director".into(),
        role: "timestamp".into(),
    }
}

#[tokio::test]
async fn case_89_an_attack_is_remembered_and_a_grave_one_holds_the_vehicle() {
    for world in World::all().await {
        let mut reporter = Reporter::new(&world).await;
        for (class, held) in [
            ("freeze", None),
            ("rollback", Some("an ECU has reported an attack")),
        ] {
            reporter.car.says("brake", |report| {
                report.attacks_detected = vec![attack(class)];
            });
            reporter.believed(reporter.car.manifest()).await;
            let view = reporter.service.view(&reporter.car.vin).await.unwrap();
            assert_eq!(view.held.as_deref(), held);
        }
        let log = actions(&reporter.service, &reporter.car.vin).await;
        assert_eq!(
            log[2..],
            ["attack.reported", "attack.reported", "vehicle.held"]
        );
        // It is told once, however often it is sent.
        reporter.believed(reporter.car.manifest()).await;
        assert_eq!(actions(&reporter.service, &reporter.car.vin).await, log);
    }
}

#[tokio::test]
async fn case_90_a_vehicle_sends_no_manifest_of_another_one() {
    for world in World::all().await {
        let reporter = Reporter::new(&world).await;
        let other = Car::registered(&world, &reporter.service, "B").await;
        reporter.dropped(other.manifest(), "vehicle-mismatch").await;
        let view = reporter.service.view(&other.vin).await.unwrap();
        assert_eq!(view.reported, None);
    }
}

#[tokio::test]
async fn case_92_what_is_no_manifest_changes_nothing() {
    for world in World::all().await {
        let reporter = Reporter::new(&world).await;
        let car = &reporter.car;
        let manifest = car.manifest();
        let mut half = manifest.clone();
        half.truncate(manifest.len() / 2);
        let deep = "[".repeat(100_000).into_bytes();
        let twice = [&manifest[..], &manifest[..]].concat();
        let spaces = vec![b' '; 8 << 20];
        let malformed = [
            Vec::new(),
            half,
            deep,
            twice,
            spaces,
            b"{}".to_vec(),
            b"null".to_vec(),
        ];
        for manifest in malformed {
            reporter.dropped(manifest, "manifest-malformed").await;
        }
        let huge = reporter.put(vec![b' '; (8 << 20) + 1]).await;
        assert_eq!(huge.refusal(), (413, "too-large".into()));
        assert_eq!(reporter.revision().await, 0);
    }
}

/// A report whose payload a test has written itself.
fn with_report(car: &Car, payload: &str) -> Vec<u8> {
    let door = car.ecu("door");
    let payload = json::parse(payload.as_bytes()).unwrap();
    let payload = countersign_metadata::canonical::encode(&payload);
    let mut manifest = manifest_of(car);
    let report = Signed::<EcuVersionReport>::parse(car.sign(payload, &door)).unwrap();
    manifest.ecu_version_reports.insert(door, report);
    car.sign(manifest.to_payload(), &car.record.primary)
}

#[tokio::test]
async fn case_92_an_installed_image_that_is_half_described_is_refused() {
    for world in World::all().await {
        let mut reporter = Reporter::new(&world).await;
        reporter.car.says("door", |report| {
            report.installed_image = Some(installed("x.img", b"x"));
        });
        let payload = reporter.car.reports[&reporter.car.ecu("door")].to_payload();
        let mut value: serde_json::Value = serde_json::from_str(&payload).unwrap();
        for member in ["fileinfo", "filepath"] {
            let mut half = value.clone();
            half["installed_image"]
                .as_object_mut()
                .unwrap()
                .remove(member);
            let manifest = with_report(&reporter.car, &half.to_string());
            reporter.dropped(manifest, "report-signature").await;
        }
        let mut silent = value.clone();
        silent.as_object_mut().unwrap().remove("installed_image");
        let manifest = with_report(&reporter.car, &silent.to_string());
        reporter.dropped(manifest, "report-signature").await;
        // An ECU that does not know what it runs says so (docs/pouf.md).
        value["installed_image"] = serde_json::Value::Null;
        let manifest = with_report(&reporter.car, &value.to_string());
        reporter.believed(manifest).await;
        let view = reporter.service.view(&reporter.car.vin).await.unwrap();
        let heard = view.ecus[&reporter.car.ecu("door")].heard.clone();
        assert_eq!(heard.unwrap().installed, None);
    }
}

#[tokio::test]
async fn case_93_an_image_that_nobody_knows_is_believed_and_recorded() {
    for world in World::all().await {
        let mut reporter = Reporter::new(&world).await;
        let unknown = installed("never/heard/of.img", b"?");
        let said = unknown.clone();
        reporter
            .car
            .says("door", |report| report.installed_image = Some(said));
        reporter.believed(reporter.car.manifest()).await;
        let view = reporter.service.view(&reporter.car.vin).await.unwrap();
        let heard = view.ecus[&reporter.car.ecu("door")].heard.clone();
        assert_eq!(heard.unwrap().installed, Some(unknown));
    }
}
