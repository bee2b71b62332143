//! The OpenAPI document says what is so.

use std::collections::BTreeSet;

use countersign_director::http::admin::document;
use serde_json::Value;

use super::doors::operations;
use crate::office::Office;
use crate::places::Place;

const OPEN: [&str; 3] = ["/healthz", "/readyz", "/metrics"];

fn served() -> Vec<(String, String, Value)> {
    let document = serde_json::to_value(document()).unwrap();
    let mut found = Vec::new();
    for (path, item) in document["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap() {
            if operation.get("responses").is_some() {
                found.push((method.clone(), path.clone(), operation.clone()));
            }
        }
    }
    found
}

#[test]
fn every_operation_names_its_scope_but_those_that_take_no_token() {
    for (method, path, operation) in served() {
        let needs = &operation["security"][0]["token"];
        match OPEN.contains(&&*path) {
            true => assert!(needs.is_null(), "{method} {path}"),
            false => assert_eq!(needs.as_array().map(Vec::len), Some(1), "{method} {path}"),
        }
    }
}

#[test]
fn the_table_of_doors_has_every_operation() {
    let described = served()
        .into_iter()
        .filter(|(_, path, _)| !OPEN.contains(&&**path));
    let described: BTreeSet<(String, String)> =
        described.map(|(method, path, _)| (method, path)).collect();
    let tried = operations().into_iter();
    let tried = tried.map(|(method, path)| (method.to_owned(), path.to_owned()));
    assert_eq!(described, tried.collect());
}

#[test]
fn every_answer_and_every_body_is_described() {
    let document = serde_json::to_value(document()).unwrap();
    let mut operation_ids = BTreeSet::new();
    for (method, path, operation) in served() {
        assert!(
            operation_ids.insert(operation["operationId"].to_string()),
            "{path}"
        );
        for (status, response) in operation["responses"].as_object().unwrap() {
            let what = format!("{method} {path} {status}");
            assert!(
                response["description"]
                    .as_str()
                    .is_some_and(|text| !text.is_empty()),
                "{what}"
            );
            assert_eq!(response.get("content").is_none(), status == "204", "{what}");
        }
        if OPEN.contains(&&*path) {
            continue;
        }
        for status in ["400", "401", "403", "429", "500", "503"] {
            assert!(
                operation["responses"].get(status).is_some(),
                "{method} {path} {status}"
            );
        }
        let about_one = path.contains('{');
        let has_404 = operation["responses"].get("404").is_some();
        assert!(has_404 || !about_one, "{method} {path}");
        let sends = operation.get("requestBody").is_some();
        let has_415 = operation["responses"].get("415").is_some();
        assert_eq!(sends, has_415, "{method} {path}");
    }
    // Nothing that is not known is taken.
    for name in [
        "Announcement",
        "Hold",
        "Approval",
        "WantedImages",
        "WantedToken",
        "UnwantedImages",
        "Issued",
        "NewImage",
    ] {
        let schema = &document["components"]["schemas"][name];
        assert_eq!(
            schema["additionalProperties"],
            Value::Bool(false),
            "{name}: {schema}"
        );
    }
}

#[tokio::test]
async fn it_is_served_to_everybody() {
    let place = &Place::all().await[0];
    let office = Office::new(place).await;
    let answer = office.get("nothing", "/v1/openapi.json").await;
    assert_eq!(answer.status, 200);
    assert_eq!(answer.json(), serde_json::to_value(document()).unwrap());
    assert_eq!(answer.json()["openapi"], "3.1.0");
}
