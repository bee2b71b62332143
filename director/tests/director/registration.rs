//! Vehicles that register: what is believed, what waits for somebody, and what is refused.

use countersign_director::http::device::Device;
use countersign_director::problem::{Kind, Problem};
use countersign_director::service::{Registered, Rules, Service};
use countersign_director_domain::registration::{Registration, vehicle_to_value};
use countersign_metadata::canonical;
use countersign_metadata::uptane::Vin;

use crate::car::{Car, serial, vin};
use crate::line::{Line, device, unlimited};
use crate::world::{World, operator};

/// The kind and the code of a refusal.
fn refused<T: std::fmt::Debug>(done: Result<T, Problem>) -> (Kind, &'static str) {
    let problem = done.unwrap_err();
    (problem.kind, problem.code)
}

pub(crate) async fn actions(service: &Service, vin: &Vin) -> Vec<String> {
    let entries = service.database().audit(Some(vin), 0).await.unwrap();
    entries
        .into_iter()
        .map(|entry| entry.record.action)
        .collect()
}

/// Looks at what waits, and approves that.
pub(crate) async fn approve(service: &Service, vin: &Vin) -> Result<(), Problem> {
    let seen = service.waiting(vin).await?.digest;
    service.approve(vin, &seen, &operator()).await
}

async fn announced(world: &World, service: &Service, name: &str) -> Car {
    let car = Car::new(world, name);
    let done = service.announce(&car.vin, "fleet", &operator()).await;
    done.unwrap();
    car
}

#[tokio::test]
async fn a_vehicle_registers_over_http_with_proofs_of_all_its_keys() {
    for world in World::all().await {
        let service = world.service().await;
        let car = announced(&world, &service, "A").await;
        let line = Line::of(&service, &car);
        let unknown = line.get("/v1/vehicle").await.json();
        assert_eq!(unknown["registered"], false);

        let wanted = canonical::encode(&vehicle_to_value(&car.record));
        let path = "/v1/registration/challenge";
        let said = line.send("POST", path, &[], wanted).await;
        assert_eq!(said.status, 200);
        let challenge = countersign_director_domain::registration::Challenge::parse(&said.body);
        let registration = car.answer(&challenge.unwrap());
        for status in [201, 200] {
            let body = registration.to_json();
            let said = line.send("POST", "/v1/registration", &[], body).await;
            assert_eq!(said.status, status);
            assert_eq!(said.json()["status"], "registered");
        }
        let known = line.get("/v1/vehicle").await.json();
        assert_eq!(known["primary"], "A-gateway");
        let keyid = known["ecus"]["A-door"]["signingKeyId"].as_str().unwrap();
        assert_eq!(
            keyid,
            car.record.ecus[&car.ecu("door")].signing.id().as_str()
        );
        assert!(known["ecus"]["A-door"]["encryptionKeyId"].is_null());
        assert_eq!(known["replacementPending"], false);
    }
}

#[tokio::test]
async fn who_was_not_announced_registers_only_where_that_is_allowed() {
    for world in World::all().await {
        let service = world.service().await;
        let car = Car::new(&world, "A");
        let expected = (Kind::Forbidden, "vehicle-not-expected");
        assert_eq!(refused(car.registration(&service).await), expected);
        let rules = Rules {
            open_registration: Some("anybody".into()),
            ..World::rules()
        };
        let open = world.service_with(&[1], rules).await;
        let registration = car.registration(&open).await.unwrap();
        let done = service.register(car.who(), registration).await;
        assert_eq!(refused(done), expected);
        assert_eq!(car.register(&open).await, Ok(Registered::New));
        assert_eq!(open.owner(&car.vin).await.unwrap(), "anybody");

        let again = service.announce(&car.vin, "fleet", &operator()).await;
        assert_eq!(refused(again), (Kind::Conflict, "vehicle-known"));
    }
}

#[tokio::test]
async fn only_the_primary_that_is_named_registers() {
    for world in World::all().await {
        let service = world.service().await;
        let car = announced(&world, &service, "A").await;
        let brake = Device {
            serial: car.ecu("brake"),
            ..device(&car)
        };
        let line = Line::with(&service, Some(brake), &unlimited());
        let registration = car.registration(&service).await.unwrap();
        let wanted = canonical::encode(&vehicle_to_value(&car.record));
        for (path, body) in [
            ("/v1/registration/challenge", wanted),
            ("/v1/registration", registration.to_json()),
        ] {
            let said = line.send("POST", path, &[], body).await;
            assert_eq!(said.refusal(), (403, "not-the-primary".into()));
        }
    }
}

#[tokio::test]
async fn a_wrong_proof_registers_nothing() {
    for world in World::all().await {
        let service = world.service().await;
        let car = announced(&world, &service, "A").await;
        let honest = car.registration(&service).await.unwrap();
        let mistakes: [fn(&mut Registration); 5] = [
            |registration| drop(registration.proofs.remove(&serial("A-brake"))),
            |registration| {
                let other = registration.proofs[&serial("A-brake")].signature.clone();
                let proof = registration.proofs.get_mut(&serial("A-door")).unwrap();
                proof.signature = other;
            },
            |registration| {
                let proof = registration.proofs.get_mut(&serial("A-brake")).unwrap();
                proof.answer = Some([7; 32]);
            },
            |registration| {
                let proof = registration.proofs.get_mut(&serial("A-brake")).unwrap();
                proof.answer = None;
            },
            |registration| {
                let proof = registration.proofs.get_mut(&serial("A-door")).unwrap();
                proof.answer = Some([7; 32]);
            },
        ];
        let line = Line::of(&service, &car);
        for mistake in mistakes {
            let mut wrong = honest.clone();
            mistake(&mut wrong);
            let body = wrong.to_json();
            let said = line.send("POST", "/v1/registration", &[], body).await;
            assert_eq!(said.refusal(), (400, "proof-wrong".into()));
            assert!(
                service
                    .database()
                    .vehicle(&car.vin)
                    .await
                    .unwrap()
                    .is_none()
            );
        }
        let done = service.register(car.who(), honest).await;
        assert_eq!(done, Ok(Registered::New));
    }
}

#[tokio::test]
async fn a_challenge_is_for_one_vehicle_for_ten_minutes_and_the_directors() {
    for world in World::all().await {
        let service = world.service().await;
        let car = announced(&world, &service, "A").await;
        let other = announced(&world, &service, "B").await;
        let wrong = (Kind::Wrong, "challenge-wrong");
        let said = service.challenge(other.who(), other.record.clone()).await;
        let of_other = said.unwrap();
        // Proofs that are right but for the challenge.
        let sent = |text: &str| {
            let mut challenge = of_other.clone();
            challenge.text = text.into();
            challenge.wrapped_keys.clear();
            service.register(car.who(), car.answer(&challenge))
        };
        assert_eq!(refused(sent(&of_other.text).await), wrong);
        let honest = car.registration(&service).await.unwrap();
        let (ends, rest) = honest.challenge.split_once('.').unwrap();
        let later = ends.parse::<i64>().unwrap() + 1;
        for forged in [
            "1",
            "..",
            &format!("{later}.{rest}"),
            &format!("{ends}.{rest}00"),
        ] {
            assert_eq!(refused(sent(forged).await), wrong, "{forged}");
        }
        world.pass(601);
        let expired = (Kind::Conflict, "challenge-expired");
        let done = service.register(car.who(), honest.clone()).await;
        assert_eq!(refused(done), expired);
        world.pass(-1);
        let done = service.register(car.who(), honest).await;
        assert_eq!(done, Ok(Registered::New));
    }
}

#[tokio::test]
async fn a_challenge_of_one_process_is_good_for_another() {
    for world in World::all().await {
        let (first, second) = tokio::join!(world.service(), world.service());
        let car = announced(&world, &first, "A").await;
        let registration = car.registration(&first).await.unwrap();
        let done = second.register(car.who(), registration).await;
        assert_eq!(done, Ok(Registered::New));
        assert_eq!(car.register(&first).await, Ok(Registered::AsBefore));
    }
    // And for none with another database.
    let (one, other) = (World::all().await, World::all().await);
    for (one, other) in one.iter().zip(&other) {
        let (first, second) = (one.service().await, other.service().await);
        let car = announced(one, &first, "A").await;
        let announced = second.announce(&car.vin, "fleet", &operator()).await;
        announced.unwrap();
        let registration = car.registration(&first).await.unwrap();
        let done = second.register(car.who(), registration).await;
        assert_eq!(refused(done), (Kind::Wrong, "challenge-wrong"));
    }
}

#[tokio::test]
async fn other_ecus_take_effect_when_somebody_approves() {
    for world in World::all().await {
        let service = world.service().await;
        let mut car = Car::registered(&world, &service, "A").await;
        car.report(&service).await.unwrap();
        let ecus = [
            ("A-gateway", "gateway"),
            ("A-brake", "brake"),
            ("A-radio", "radio"),
        ];
        let mut repaired = Car::with(&world.keys(), "A", &ecus);
        let line = Line::of(&service, &repaired);
        let registration = repaired.registration(&service).await.unwrap();
        let body = registration.to_json();
        let said = line.send("POST", "/v1/registration", &[], body).await;
        assert_eq!(said.status, 202);
        assert_eq!(said.json()["status"], "waits-for-approval");
        let view = service.view(&car.vin).await.unwrap();
        assert_eq!((view.record, view.replacement), (car.record.clone(), true));
        car.tick(world.now());
        car.report(&service).await.unwrap();

        service.reject(&car.vin, &operator()).await.unwrap();
        let again = service.reject(&car.vin, &operator()).await;
        assert_eq!(refused(again), (Kind::Missing, "not-found"));
        let none = approve(&service, &car.vin).await;
        assert_eq!(refused(none), (Kind::Missing, "not-found"));

        assert_eq!(repaired.register(&service).await, Ok(Registered::Waits));
        approve(&service, &car.vin).await.unwrap();
        let view = service.view(&car.vin).await.unwrap();
        assert_eq!((&view.record, view.replacement), (&repaired.record, false));
        assert_eq!(repaired.register(&service).await, Ok(Registered::AsBefore));
        // What an ECU that stayed has reported before is a replay.
        let replayed = repaired.report(&service).await;
        assert_eq!(refused(replayed), (Kind::Wrong, "report-replayed"));
        for (serial, report) in &mut repaired.reports {
            if let Some(before) = car.reports.get(serial) {
                report.report_counter = before.report_counter + 1;
            }
        }
        repaired.report(&service).await.unwrap();
        assert_eq!(
            actions(&service, &car.vin).await,
            [
                "vehicle.announced",
                "vehicle.registered",
                "replacement.requested",
                "replacement.rejected",
                "replacement.requested",
                "replacement.approved",
                "manifest.dropped",
            ]
        );
    }
}

#[tokio::test]
async fn an_ecu_or_a_key_that_another_vehicle_has_is_refused() {
    for world in World::all().await {
        let service = world.service().await;
        Car::registered(&world, &service, "A").await;
        for (ecus, expected) in [
            (
                [("B-gateway", "gateway"), ("A-brake", "brake")],
                "ecu-known",
            ),
            (
                [("B-gateway", "gateway"), ("B-brake", "brake")],
                "key-shared",
            ),
        ] {
            if expected == "key-shared" {
                let keys = world.keys();
                std::fs::copy(keys.join("A-brake.pem"), keys.join("B-brake.pem")).unwrap();
            }
            let thief = Car::with(&world.keys(), "B", &ecus);
            let _ = service.announce(&thief.vin, "fleet", &operator()).await;
            let done = thief.register(&service).await;
            assert_eq!(refused(done), (Kind::Conflict, expected));
            let unknown = service.view(&vin("B")).await.map(drop);
            assert_eq!(refused(unknown), (Kind::Missing, "vehicle-unknown"));
        }
    }
}

/// Case 91: an ECU moves to another vehicle only if somebody says so, and even then only once it is gone
/// from the first one.
#[tokio::test]
async fn case_91_an_ecu_does_not_move_silently() {
    for world in World::all().await {
        let service = world.service().await;
        let first = Car::registered(&world, &service, "A").await;
        let second = Car::registered(&world, &service, "B").await;
        let ecus = [
            ("B-gateway", "gateway"),
            ("B-brake", "brake"),
            ("A-door", "door"),
        ];
        let moved = Car::with(&world.keys(), "B", &ecus);
        assert_eq!(moved.register(&service).await, Ok(Registered::Waits));
        let same = service.view(&second.vin).await.unwrap().record;
        assert_eq!(same, second.record);
        let done = approve(&service, &second.vin).await;
        assert_eq!(refused(done), (Kind::Conflict, "ecu-known"));
        let same = service.view(&second.vin).await.unwrap().record;
        assert_eq!(same, second.record);

        let ecus = [("A-gateway", "gateway"), ("A-brake", "brake")];
        let without = Car::with(&world.keys(), "A", &ecus);
        assert_eq!(without.register(&service).await, Ok(Registered::Waits));
        approve(&service, &first.vin).await.unwrap();
        approve(&service, &second.vin).await.unwrap();
        let record = service.view(&second.vin).await.unwrap().record;
        assert_eq!(record, moved.record);
        // What the first vehicle's door says counts no more there.
        let done = first.report(&service).await;
        assert_eq!(refused(done), (Kind::Wrong, "report-unknown-ecu"));
    }
}

/// Case 91: the same ECU with another key.
#[tokio::test]
async fn case_91_a_key_is_not_replaced_silently() {
    for world in World::all().await {
        let service = world.service().await;
        let car = Car::registered(&world, &service, "A").await;
        std::fs::remove_file(world.keys().join("A-brake.pem")).unwrap();
        let other = Car::new(&world, "A");
        assert_ne!(other.record, car.record);
        assert_eq!(other.register(&service).await, Ok(Registered::Waits));
        let done = other.report(&service).await;
        assert_eq!(refused(done), (Kind::Wrong, "report-signature"));
        car.report(&service).await.unwrap();
    }
}
