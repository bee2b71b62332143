//! Requests that are refused before anything is looked into.

use std::time::Duration;

use countersign_director::http::Limits;
use countersign_metadata::uptane::Vin;

use crate::car::{Car, vin};
use crate::line::{Line, device, unlimited};
use crate::world::World;

async fn lined_up(world: &World) -> (Car, Line) {
    let service = world.service().await;
    let car = Car::registered(world, &service, "A").await;
    let line = Line::of(&service, &car);
    (car, line)
}

#[tokio::test]
async fn unknown_paths_and_other_methods_are_refused_in_json() {
    for world in World::all().await {
        let (_, line) = lined_up(&world).await;
        for path in [
            "/",
            "/v1",
            "/v1/",
            "/v2/vehicle",
            "/v1/vehicles",
            "/v1/metadata/",
            "/v1/targets",
        ] {
            let said = line.get(path).await;
            assert_eq!(said.refusal(), (404, "not-found".into()), "{path}");
        }
        for (method, path) in [
            ("POST", "/v1/vehicle"),
            ("GET", "/v1/manifest"),
            ("POST", "/v1/manifest"),
            ("GET", "/v1/time"),
            ("DELETE", "/v1/metadata/timestamp.json"),
            ("PUT", "/v1/targets/x.y"),
            ("GET", "/v1/registration"),
            ("POST", "/v1/certificate/request"),
        ] {
            let said = line.send(method, path, &[], "").await;
            assert_eq!(said.refusal(), (405, "method".into()), "{method} {path}");
        }
    }
}

#[tokio::test]
async fn larger_bodies_are_not_read() {
    for world in World::all().await {
        let (_, line) = lined_up(&world).await;
        let large = vec![b' '; (1 << 20) + 1];
        for (method, path) in [
            ("POST", "/v1/time"),
            ("POST", "/v1/registration"),
            ("POST", "/v1/registration/challenge"),
            ("PUT", "/v1/certificate/request"),
        ] {
            let said = line.send(method, path, &[], large.clone()).await;
            assert_eq!(said.refusal(), (413, "too-large".into()), "{path}");
        }
        let said = line.send("PUT", "/v1/manifest", &[], large).await;
        assert_eq!(said.refusal(), (400, "manifest-malformed".into()));
    }
}

#[tokio::test]
async fn what_is_no_json_or_another_one_is_refused() {
    for world in World::all().await {
        let (_, line) = lined_up(&world).await;
        let deep = "[".repeat(10_000);
        for path in ["/v1/time", "/v1/registration", "/v1/registration/challenge"] {
            for body in [
                "",
                "{",
                "null",
                "{\"a\": 1, \"a\": 1}",
                "[1.5]",
                "\u{feff}{}",
                &deep,
            ] {
                let said = line.send("POST", path, &[], body.to_owned()).await;
                assert_eq!(said.refusal(), (400, "bad-request".into()), "{path} {body}");
            }
        }
    }
}

#[tokio::test]
async fn nobody_gets_anything() {
    for world in World::all().await {
        let (_, line) = lined_up(&world).await;
        let nobody = line.as_device(None);
        for path in ["/v1/vehicle", "/v1/metadata/1.root.json", "/v1/unknown"] {
            let said = nobody.get(path).await;
            assert_eq!(
                said.refusal(),
                (403, "certificate-identity".into()),
                "{path}"
            );
        }
    }
}

#[tokio::test]
async fn a_vehicle_that_is_not_registered_has_nothing_to_fetch() {
    for world in World::all().await {
        let (car, line) = lined_up(&world).await;
        let unknown = Some(countersign_director::http::device::Device {
            vin: vin("B"),
            ..device(&car)
        });
        let stranger = line.as_device(unknown);
        for path in [
            "/v1/metadata/timestamp.json",
            "/v1/metadata/1.root.json",
            "/v1/certificate",
        ] {
            let said = stranger.get(path).await;
            assert_eq!(said.refusal(), (404, "vehicle-unknown".into()), "{path}");
        }
        let said = stranger
            .send("PUT", "/v1/manifest", &[], car.manifest())
            .await;
        assert_eq!(said.refusal(), (404, "vehicle-unknown".into()));
    }
}

#[tokio::test]
async fn each_vehicle_has_its_own_share_of_requests() {
    for world in World::all().await {
        let service = world.service().await;
        let car = Car::registered(&world, &service, "A").await;
        let limits = Limits {
            per_minute: 1,
            burst: 3,
            ..unlimited()
        };
        let line = Line::with(&service, Some(device(&car)), &limits);
        for _ in 0..3 {
            assert_eq!(line.get("/v1/vehicle").await.status, 200);
        }
        let said = line.get("/v1/vehicle").await;
        assert_eq!(said.refusal(), (429, "rate".into()));
        let seconds: u64 = said.header("retry-after").parse().unwrap();
        assert!((1..=60).contains(&seconds), "{seconds}");
        let mut other = device(&car);
        other.vin = Vin::new("B").unwrap();
        let said = line.as_device(Some(other)).get("/v1/vehicle").await;
        assert_eq!(said.status, 200);
    }
}

#[tokio::test]
async fn a_body_that_does_not_come_is_given_up() {
    use axum::body::Body;
    use bytes::Bytes;
    use futures_util::{StreamExt as _, stream};

    for world in World::all().await {
        let service = world.service().await;
        let car = Car::registered(&world, &service, "A").await;
        let limits = Limits {
            answer: Duration::from_millis(300),
            ..unlimited()
        };
        let line = Line::with(&service, Some(device(&car)), &limits);
        let manifest = car.manifest();
        for (method, path) in [
            ("PUT", "/v1/manifest"),
            ("POST", "/v1/time"),
            ("POST", "/v1/registration"),
            ("PUT", "/v1/certificate/request"),
        ] {
            let begun = Bytes::copy_from_slice(&manifest[..100]);
            let begun = stream::once(async { std::io::Result::Ok(begun) });
            let body = Body::from_stream(begun.chain(stream::pending()));
            let said = line.send(method, path, &[], body).await;
            assert_eq!(said.refusal(), (408, "timeout".into()), "{path}");
        }
        let said = line.send("PUT", "/v1/manifest", &[], manifest).await;
        assert_eq!(said.status, 200);
    }
}
