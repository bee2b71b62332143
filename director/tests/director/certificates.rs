//! Certificates that devices ask for, and fetch.

use countersign_director::http::device::Device;
use countersign_director::service::{Registered, Service};
use rcgen::{CertificateParams, KeyPair};

use crate::car::Car;
use crate::line::{Line, device, unlimited};
use crate::registration::{actions, approve};
use crate::world::World;

const REQUEST: &str = "/v1/certificate/request";
const CERTIFICATE: &str = "/v1/certificate";

fn request() -> String {
    let key = KeyPair::generate().unwrap();
    let params = CertificateParams::new(Vec::new()).unwrap();
    params.serialize_request(&key).unwrap().pem().unwrap()
}

async fn answered(service: &Service, car: &Car, request: &str) -> bool {
    let database = service.database();
    let done = database.answer_certificate(&car.vin, request, "a certificate", &[]);
    done.await.unwrap()
}

#[tokio::test]
async fn a_request_waits_and_its_certificate_is_fetched() {
    for world in World::all().await {
        let service = world.service().await;
        let car = Car::registered(&world, &service, "A").await;
        let line = Line::of(&service, &car);
        assert_eq!(
            line.get(CERTIFICATE).await.refusal(),
            (404, "not-found".into())
        );
        let asked = request();
        let said = line.send("PUT", REQUEST, &[], asked.clone()).await;
        assert_eq!(said.status, 202);
        assert_eq!(line.get(CERTIFICATE).await.status, 404);
        let log = actions(&service, &car.vin).await;
        assert_eq!(log.last().unwrap(), "certificate.requested");

        assert!(!answered(&service, &car, "another request").await);
        assert!(answered(&service, &car, &asked).await);
        let said = line.get(CERTIFICATE).await;
        assert_eq!(
            (said.status.as_u16(), &*said.body),
            (200, &b"a certificate"[..])
        );
        assert_eq!(
            said.header("content-type"),
            "application/pem-certificate-chain"
        );
        // Another request has no certificate yet.
        let said = line.send("PUT", REQUEST, &[], request()).await;
        assert_eq!(said.status, 202);
        assert_eq!(line.get(CERTIFICATE).await.status, 404);
    }
}

/// Whoever did not hear the answer sends it again; that must not take the certificate away.
#[tokio::test]
async fn the_same_request_again_leaves_its_certificate_there() {
    for world in World::all().await {
        let service = world.service().await;
        let car = Car::registered(&world, &service, "A").await;
        let line = Line::of(&service, &car);
        let asked = request();
        line.send("PUT", REQUEST, &[], asked.clone()).await;
        assert!(answered(&service, &car, &asked).await);
        let said = line.send("PUT", REQUEST, &[], asked).await;
        assert_eq!(said.status, 202);
        assert_eq!(line.get(CERTIFICATE).await.status, 200);
    }
}

#[tokio::test]
async fn what_is_no_single_request_is_refused() {
    for world in World::all().await {
        let service = world.service().await;
        let car = Car::registered(&world, &service, "A").await;
        let line = Line::of(&service, &car);
        let good = request();
        for odd in [
            Vec::new(),
            b"hello".to_vec(),
            vec![0xff; 100],
            good.replace(" REQUEST", "").into_bytes(),
            format!("{good}{good}").into_bytes(),
            format!("{good}{}", " ".repeat(64 << 10)).into_bytes(),
        ] {
            let said = line.send("PUT", REQUEST, &[], odd).await;
            assert_eq!(said.refusal(), (400, "bad-request".into()));
        }
        let known = service.database().certificate_request(&car.vin).await;
        assert_eq!(known.unwrap(), None);
    }
}

#[tokio::test]
async fn a_certificate_is_given_to_the_ecu_that_asked_for_it() {
    for world in World::all().await {
        let service = world.service().await;
        let car = Car::registered(&world, &service, "A").await;
        let other = Car::registered(&world, &service, "B").await;
        let line = Line::of(&service, &car);
        let asked = request();
        line.send("PUT", REQUEST, &[], asked.clone()).await;
        assert!(answered(&service, &car, &asked).await);
        let brake = Device {
            serial: car.ecu("brake"),
            ..device(&car)
        };
        for path in [REQUEST, CERTIFICATE] {
            let method = if path == REQUEST { "PUT" } else { "GET" };
            let line = Line::with(&service, Some(brake.clone()), &unlimited());
            let said = line.send(method, path, &[], request()).await;
            assert_eq!(said.refusal(), (403, "not-the-primary".into()));
        }
        let said = Line::of(&service, &other).get(CERTIFICATE).await;
        assert_eq!(said.status, 404);

        // Another Primary in the same vehicle.
        let ecus = [("A-radio", "radio"), ("A-brake", "brake")];
        let repaired = Car::with(&world.keys(), "A", &ecus);
        assert_eq!(repaired.register(&service).await, Ok(Registered::Waits));
        approve(&service, &car.vin).await.unwrap();
        let said = Line::of(&service, &repaired).get(CERTIFICATE).await;
        assert_eq!(said.refusal(), (404, "not-found".into()));
        let said = line.get(CERTIFICATE).await;
        assert_eq!(said.refusal(), (403, "not-the-primary".into()));
    }
}
