//! Requests that are wrong in their form.

use axum::body::Body;
use axum::http::{Method, Request, header};
use countersign_director::tokens::Scope;

use crate::office::{Answer, Office};
use crate::places::Place;

async fn raw(
    office: &Office,
    token: &str,
    (method, path): (Method, &str),
    content_type: Option<&str>,
    body: impl Into<Body>,
) -> Answer {
    let mut request = Request::builder()
        .method(method)
        .uri(path)
        .header(header::AUTHORIZATION, format!("Bearer {token}"));
    if let Some(content_type) = content_type {
        request = request.header(header::CONTENT_TYPE, content_type);
    }
    office.ask(request.body(body.into()).unwrap()).await
}

#[tokio::test]
async fn what_is_wrong_in_form_is_refused_in_json() {
    let place = &Place::all().await[0];
    let office = Office::new(place).await;
    office.register("VIN-A", "a", &[("P1", "hw")]).await;
    let token = office.token(&Scope::ALL, None).await;
    let json = Some("application/json");
    let hold = (Method::POST, "/v1/vehicles/VIN-A/hold");
    let assign = (Method::POST, "/v1/vehicles/VIN-A/assignments");
    let post = |path| (Method::POST, path);
    let get = |path| (Method::GET, path);
    let large = format!("{{\"why\": \"{}\"}}", "x".repeat(2 << 20));
    let cases: Vec<(_, Option<&str>, &str, u16, &str)> = vec![
        (hold.clone(), json, "", 400, "bad-request"),
        (hold.clone(), json, "{", 400, "bad-request"),
        (hold.clone(), json, "[]", 400, "bad-request"),
        (hold.clone(), json, "{}", 400, "bad-request"),
        (hold.clone(), json, r#"{"why": 1}"#, 400, "bad-request"),
        (hold.clone(), json, r#"{"why": ""}"#, 400, "bad-request"),
        (hold.clone(), json, r#"{"why": "a\nb"}"#, 400, "bad-request"),
        (
            hold.clone(),
            json,
            r#"{"why": "a", "x": 1}"#,
            400,
            "bad-request",
        ),
        (
            hold.clone(),
            json,
            r#"{"why": "a", "why": "b"}"#,
            400,
            "bad-request",
        ),
        (
            hold.clone(),
            json,
            "{\"why\": \"\u{fffd}",
            400,
            "bad-request",
        ),
        (hold.clone(), None, r#"{"why": "a"}"#, 415, "content-type"),
        (
            hold.clone(),
            Some("text/plain"),
            r#"{"why": "a"}"#,
            415,
            "content-type",
        ),
        (hold, json, &large, 413, "too-large"),
        (
            assign.clone(),
            json,
            r#"{"images": {}}"#,
            400,
            "bad-request",
        ),
        (
            assign.clone(),
            json,
            r#"{"images": {"P1": "../x"}}"#,
            400,
            "bad-request",
        ),
        (
            assign.clone(),
            json,
            r#"{"images": {"": "x"}}"#,
            400,
            "bad-request",
        ),
        (
            assign.clone(),
            json,
            r#"{"images": {"P1": "a", "P1": "b"}}"#,
            400,
            "bad-request",
        ),
        (
            assign,
            json,
            r#"{"images": {"P1": "a"}, "policy": "some"}"#,
            400,
            "bad-request",
        ),
        (
            post("/v1/vehicles/VIN-A/cancel"),
            json,
            r#"{"ecus": []}"#,
            400,
            "bad-request",
        ),
        (
            post("/v1/vehicles"),
            json,
            r#"{"vin": ".."}"#,
            400,
            "bad-request",
        ),
        (
            post("/v1/vehicles"),
            json,
            r#"{"vin": "A", "tenant": "a b"}"#,
            400,
            "bad-request",
        ),
        (post("/v1/roots"), json, "{}", 400, "root-refused"),
        (post("/v1/roots"), None, "{}", 415, "content-type"),
        (get("/v1/vehicles/a%20b"), None, "", 400, "bad-request"),
        (get("/v1/vehicles/%ff"), None, "", 400, "bad-request"),
        (get("/v1/vehicles/%2E%2E"), None, "", 400, "bad-request"),
        (get("/v1/vehicles/A%2FB"), None, "", 404, "vehicle-unknown"),
        (get("/v1/vehicles?limit=0"), None, "", 400, "bad-request"),
        (get("/v1/vehicles?limit=1001"), None, "", 400, "bad-request"),
        (get("/v1/vehicles?limit=x"), None, "", 400, "bad-request"),
        (get("/v1/vehicles?unknown=1"), None, "", 400, "bad-request"),
        (
            get("/v1/vehicles?limit=1&limit=2"),
            None,
            "",
            400,
            "bad-request",
        ),
        (get("/v1/audit?after=-1"), None, "", 400, "bad-request"),
        (get("/v1/audit/verify?seq=1"), None, "", 400, "bad-request"),
        (get("/v1/images?after=/x"), None, "", 400, "bad-request"),
        (
            (Method::PUT, "/v1/images/content"),
            None,
            "",
            400,
            "bad-request",
        ),
        (
            (Method::PUT, "/v1/images/content?path=a"),
            json,
            "",
            415,
            "content-type",
        ),
        ((Method::PATCH, "/v1/vehicles"), None, "", 405, "method"),
        (
            (Method::POST, "/v1/images/content"),
            None,
            "",
            405,
            "method",
        ),
        ((Method::POST, "/healthz"), None, "", 405, "method"),
        (get("/v1/nothing"), None, "", 404, "not-found"),
        (get("/"), None, "", 404, "not-found"),
    ];
    for (target, content_type, body, status, code) in cases {
        let what = format!(
            "{target:?} {content_type:?} {}",
            &body[..body.len().min(60)]
        );
        let answer = raw(&office, &token, target, content_type, body.to_owned()).await;
        assert_eq!(answer.status.as_u16(), status, "{what}: {}", answer.text);
        assert_eq!(answer.code(), code, "{what}");
        assert_eq!(
            answer.headers[header::CONTENT_TYPE],
            "application/json",
            "{what}"
        );
    }
}
