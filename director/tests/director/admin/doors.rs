//! Who gets in where: every operation of the document, with every token that is not good for it.

use axum::body::Body;
use axum::http::{Method, Request, StatusCode, header};
use countersign_director::service::Actor;
use countersign_director::tokens::{self, Scope};
use serde_json::{Value, json};

use crate::office::{Answer, Office};
use crate::places::Place;

/// An operation, with a request that is right.
struct Operation {
    method: Method,
    path: &'static str,
    scope: Scope,
    body: Option<Value>,
}

const CAR: &str = "VIN-A";

/// Every operation that takes a token. `document.rs` checks that none is missing.
pub(super) fn operations() -> Vec<(&'static str, &'static str)> {
    let all = all().into_iter();
    all.map(|operation| {
        let method = match operation.method {
            Method::GET => "get",
            Method::POST => "post",
            Method::PUT => "put",
            _ => "delete",
        };
        (method, operation.path)
    })
    .collect()
}

fn all() -> Vec<Operation> {
    let operation = |method, path, scope, body| Operation {
        method,
        path,
        scope,
        body,
    };
    let get = |path, scope| operation(Method::GET, path, scope, None);
    let post = |path, scope, body| operation(Method::POST, path, scope, Some(body));
    let delete = |path, scope| operation(Method::DELETE, path, scope, None);
    vec![
        get("/v1/vehicles", Scope::Read),
        post(
            "/v1/vehicles",
            Scope::Vehicles,
            json!({"vin": "NEW", "tenant": "a"}),
        ),
        get("/v1/vehicles/{vin}", Scope::Read),
        delete("/v1/vehicles/{vin}", Scope::Vehicles),
        post(
            "/v1/vehicles/{vin}/hold",
            Scope::Vehicles,
            json!({"why": "x"}),
        ),
        post("/v1/vehicles/{vin}/release", Scope::Vehicles, json!({})),
        get("/v1/vehicles/{vin}/history", Scope::Read),
        get("/v1/vehicles/{vin}/replacement", Scope::Read),
        delete("/v1/vehicles/{vin}/replacement", Scope::Vehicles),
        post(
            "/v1/vehicles/{vin}/replacement/approve",
            Scope::Vehicles,
            json!({"digest": "0".repeat(64)}),
        ),
        post(
            "/v1/vehicles/{vin}/assignments",
            Scope::Assign,
            json!({"images": {"P1": "a.img"}}),
        ),
        post("/v1/vehicles/{vin}/cancel", Scope::Assign, json!({})),
        get("/v1/vehicles/{vin}/certificate", Scope::Vehicles),
        operation(
            Method::PUT,
            "/v1/vehicles/{vin}/certificate",
            Scope::Vehicles,
            Some(json!({"certificate": "x"})),
        ),
        get("/v1/images", Scope::Read),
        post("/v1/images", Scope::Images, json!({"path": "a.img"})),
        operation(Method::PUT, "/v1/images/content", Scope::Images, None),
        get("/v1/audit", Scope::Admin),
        get("/v1/audit/verify", Scope::Admin),
        get("/v1/tokens", Scope::Admin),
        post(
            "/v1/tokens",
            Scope::Admin,
            json!({"name": "n", "scopes": ["read"]}),
        ),
        delete("/v1/tokens/{id}", Scope::Admin),
        get("/v1/roots", Scope::Admin),
        post("/v1/roots", Scope::Admin, json!({})),
        get("/v1/status", Scope::Admin),
    ]
}

impl Operation {
    async fn ask(&self, office: &Office, vin: &str, authorization: Option<&str>) -> Answer {
        let path = self
            .path
            .replace("{vin}", vin)
            .replace("{id}", &"0".repeat(16));
        let query = match self.path.ends_with("/content") {
            true => "?path=a.img",
            false => "",
        };
        let mut request = Request::builder()
            .method(self.method.clone())
            .uri(path + query);
        if let Some(authorization) = authorization {
            request = request.header(header::AUTHORIZATION, authorization);
        }
        let content_type = match self.body {
            Some(_) => "application/json",
            None => "application/octet-stream",
        };
        request = request.header(header::CONTENT_TYPE, content_type);
        let body = self.body.as_ref().map(Value::to_string).unwrap_or_default();
        office.ask(request.body(Body::from(body)).unwrap()).await
    }
}

#[tokio::test]
async fn without_a_good_token_every_door_is_shut_in_the_same_way() {
    for place in Place::all().await {
        let office = Office::new(&place).await;
        office.register(CAR, "a", &[("P1", "hw")]).await;
        let database = office.service.database();
        let good = office.token(&Scope::ALL, None).await;
        let revoked = office.token(&Scope::ALL, None).await;
        let id = &revoked[4..20];
        let operator = Actor::operator();
        tokens::revoke(database, id, office.now(), &operator)
            .await
            .unwrap();
        let (head, secret) = good.rsplit_once('_').unwrap();
        let other: String = secret.chars().rev().collect();
        let wrong = format!("Bearer {head}_{other}");
        let unknown = format!("Bearer cst_{}_{secret}", "0".repeat(16));
        let shut = [
            None,
            Some(wrong),
            Some(unknown),
            Some(format!("Bearer {revoked}")),
            Some(format!("Basic {good}")),
            Some(format!("Bearer {}", &good[..good.len() - 1])),
            Some(format!("Bearer {}", good.to_uppercase())),
            Some("Bearer".into()),
            Some(good.clone()),
        ];
        let before = audit_length(&office, &good).await;
        for operation in all() {
            let mut told = Vec::new();
            for authorization in &shut {
                let answer = operation.ask(&office, CAR, authorization.as_deref()).await;
                let what = format!("{} {} {authorization:?}", operation.method, operation.path);
                assert_eq!(answer.status, StatusCode::UNAUTHORIZED, "{what}");
                assert_eq!(answer.headers[header::WWW_AUTHENTICATE], "Bearer", "{what}");
                told.push(answer.text);
            }
            told.dedup();
            assert_eq!(told.len(), 1, "{told:?}");
        }
        assert_eq!(audit_length(&office, &good).await, before);
        // The one that was good ends by itself.
        office.later(86_399);
        assert_eq!(office.get(&good, "/v1/vehicles").await.status, 200);
        office.later(1);
        for operation in all() {
            let shown = format!("Bearer {good}");
            let answer = operation.ask(&office, CAR, Some(&shown)).await;
            assert_eq!(
                answer.status,
                StatusCode::UNAUTHORIZED,
                "{}",
                operation.path
            );
        }
    }
}

async fn audit_length(office: &Office, token: &str) -> u64 {
    let checked = office.get(token, "/v1/audit/verify").await.json();
    checked["head"]["seq"].as_u64().unwrap()
}

#[tokio::test]
async fn a_token_opens_the_doors_of_its_scopes_and_no_others() {
    let place = &Place::all().await[0];
    let office = Office::new(place).await;
    office.register(CAR, "a", &[("P1", "hw")]).await;
    for scope in Scope::ALL {
        let token = format!("Bearer {}", office.token(&[scope], None).await);
        for operation in all() {
            let answer = operation.ask(&office, CAR, Some(&token)).await;
            let what = format!(
                "{scope:?}: {} {} {}",
                operation.method, operation.path, answer.text
            );
            assert_ne!(answer.status, StatusCode::UNAUTHORIZED, "{what}");
            assert_eq!(answer.code() == "scope", operation.scope != scope, "{what}");
            let forbidden = answer.status == StatusCode::FORBIDDEN;
            assert_eq!(forbidden, operation.scope != scope, "{what}");
        }
    }
}

/// Every operation on a vehicle, for those of another tenant and for those who hold two wrong things at
/// once.
#[tokio::test]
async fn the_vehicle_of_another_tenant_is_as_unknown_as_one_that_is_not_there() {
    for place in Place::all().await {
        let office = Office::new(&place).await;
        office.register(CAR, "a", &[("P1", "hw")]).await;
        let actor = Actor::operator();
        let waits = crate::office::vin("VIN-W");
        office.service.announce(&waits, "a", &actor).await.unwrap();
        let scopes = [Scope::Read, Scope::Vehicles, Scope::Assign];
        let stranger = format!("Bearer {}", office.token(&scopes, Some("b")).await);
        let vehicles = all().into_iter();
        for operation in vehicles.filter(|operation| operation.path.contains("{vin}")) {
            let unknown = operation.ask(&office, "VIN-X", Some(&stranger)).await;
            assert_eq!(unknown.status, StatusCode::NOT_FOUND, "{}", operation.path);
            assert_eq!(unknown.code(), "vehicle-unknown", "{}", operation.path);
            for known in [CAR, "VIN-W"] {
                let answer = operation.ask(&office, known, Some(&stranger)).await;
                assert_eq!(answer.status, unknown.status, "{}", operation.path);
                assert_eq!(answer.headers, unknown.headers, "{}", operation.path);
                assert_eq!(answer.text.replace(known, "VIN-X"), unknown.text);
            }
        }
        // It is there for its own, and as it was.
        let owner = office.token(&scopes, Some("a")).await;
        let car = office.get(&owner, "/v1/vehicles/VIN-A").await;
        assert_eq!(
            (car.status, &car.json()["held"]),
            (StatusCode::OK, &Value::Null)
        );
        let waits = office.get(&owner, "/v1/vehicles/VIN-W").await;
        assert_eq!(waits.json()["stage"], "announced");
    }
}

#[tokio::test]
async fn lists_and_announcements_keep_to_the_tenant() {
    for place in Place::all().await {
        let office = Office::new(&place).await;
        for (name, tenant) in [("A1", "a"), ("A2", "a"), ("B1", "b")] {
            office
                .register(name, tenant, &[(&format!("{name}-P"), "hw")])
                .await;
        }
        let scopes = [Scope::Read, Scope::Vehicles];
        let (own, all) = (
            office.token(&scopes, Some("a")).await,
            office.token(&scopes, None).await,
        );
        let listed = async |token: &str, query: &str| {
            let found = office
                .get(token, &format!("/v1/vehicles{query}"))
                .await
                .json();
            let found = found["vehicles"].as_array().unwrap().clone();
            let names = found
                .iter()
                .map(|car| car["vin"].as_str().unwrap().to_owned());
            names.collect::<Vec<_>>()
        };
        assert_eq!(listed(&own, "").await, ["A1", "A2"]);
        assert_eq!(listed(&own, "?tenant=b").await, [""; 0]);
        assert_eq!(listed(&all, "").await, ["A1", "A2", "B1"]);
        assert_eq!(listed(&all, "?tenant=b").await, ["B1"]);
        let announce = async |token: &str, body: Value| {
            let answer = office.post(token, "/v1/vehicles", &body).await;
            (answer.status.as_u16(), answer.code())
        };
        let other = json!({"vin": "N1", "tenant": "b"});
        assert_eq!(announce(&own, other).await, (403, "tenant".into()));
        assert_eq!(announce(&own, json!({"vin": "N1"})).await.0, 201);
        assert_eq!(announce(&all, json!({"vin": "N2"})).await.0, 400);
        let given = json!({"vin": "N2", "tenant": "b"});
        assert_eq!(announce(&all, given.clone()).await.0, 201);
        assert_eq!(announce(&all, given).await, (409, "vehicle-known".into()));
        assert_eq!(listed(&own, "?stage=announced").await, ["N1"]);
        assert_eq!(listed(&all, "?stage=announced").await, ["N1", "N2"]);
    }
}

#[tokio::test]
async fn tokens_are_made_listed_and_revoked_and_are_nowhere_in_plain() {
    for place in Place::all().await {
        let office = Office::new(&place).await;
        let admin = office.token(&[Scope::Admin], None).await;
        let new = json!({"name": "ci", "scopes": ["assign", "read"], "tenant": "a", "days": 7});
        let made = office.post(&admin, "/v1/tokens", &new).await;
        assert_eq!(made.status, StatusCode::CREATED, "{}", made.text);
        let (text, id) = (
            made.json()["secret"].clone(),
            made.json()["token"]["id"].clone(),
        );
        let (text, id) = (text.as_str().unwrap(), id.as_str().unwrap());
        assert_eq!(office.get(text, "/v1/vehicles").await.status, 200);

        let listed = office.get(&admin, "/v1/tokens").await;
        let secret = text.rsplit('_').next().unwrap();
        assert!(listed.text.contains(id) && !listed.text.contains(secret));
        let log = office.get(&admin, "/v1/audit").await.text;
        assert!(log.contains(id) && !log.contains(secret));
        let stored = office.service.database().token(id).await.unwrap().unwrap();
        assert!(!format!("{stored:?}").contains(secret));

        let path = format!("/v1/tokens/{id}");
        assert_eq!(office.send(&admin, Method::DELETE, &path).await.status, 204);
        assert_eq!(office.get(text, "/v1/vehicles").await.status, 401);
        assert_eq!(office.send(&admin, Method::DELETE, &path).await.status, 404);
        for wrong in [
            json!({"name": "x", "scopes": []}),
            json!({"name": "", "scopes": ["read"]}),
            json!({"name": "x", "scopes": ["root"]}),
            json!({"name": "x", "scopes": ["read"], "days": 0}),
            json!({"name": "x", "scopes": ["read"], "days": 367}),
            json!({"name": "x", "scopes": ["read"], "tenant": ""}),
            json!({"name": "x", "scopes": ["images"], "tenant": "a"}),
            json!({"name": "x", "scopes": ["read", "admin"], "tenant": "a"}),
        ] {
            let answer = office.post(&admin, "/v1/tokens", &wrong).await;
            assert_eq!(
                (answer.status.as_u16(), &*answer.code()),
                (400, "bad-request"),
                "{wrong}"
            );
        }
    }
}

#[test]
fn a_token_is_not_printed_by_accident() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(async {
        let place = &Place::all().await[0];
        let database = place.open().await;
        let new = tokens::NewToken {
            name: "n".into(),
            tenant: None,
            scopes: [Scope::Read].into(),
            days: 1,
        };
        let now = "2031-05-06T07:08:09Z".parse().unwrap();
        let made = tokens::make(&database, &new, now, &Actor::operator()).await;
        let (_, text) = made.unwrap();
        assert_eq!(format!("{text:?}"), "TokenText(..)");
    });
}

#[tokio::test]
async fn whoever_asks_too_often_waits() {
    use countersign_director::http::Limits;
    use countersign_director::http::admin::{Admin, router};
    let place = &Place::all().await[0];
    let mut office = Office::new(place).await;
    office.router = router(Admin {
        service: office.service.clone(),
        limits: Limits {
            per_minute: 1,
            burst: 2,
            ..Limits::default()
        },
        tls: None,
    });
    let (one, other) = (
        office.token(&[Scope::Read], None).await,
        office.token(&[Scope::Read], None).await,
    );
    for _ in 0..2 {
        assert_eq!(office.get(&one, "/v1/vehicles").await.status, 200);
    }
    let answer = office.get(&one, "/v1/vehicles").await;
    assert_eq!((answer.status.as_u16(), &*answer.code()), (429, "rate"));
    assert!(answer.headers.contains_key(header::RETRY_AFTER));
    assert_eq!(office.get(&other, "/v1/vehicles").await.status, 200);
}
