//! Assignments, and what becomes of them.

use countersign_director::tokens::Scope;
use serde_json::{Value, json};

use crate::office::{Answer, Office};
use crate::places::Place;

const ALL: [Scope; 3] = [Scope::Read, Scope::Vehicles, Scope::Assign];
const ASSIGN: &str = "/v1/vehicles/VIN-A/assignments";

/// A vehicle with two ECUs and an image for each.
async fn office(place: &Place) -> (Office, String) {
    let office = Office::new(place).await;
    office
        .register("VIN-A", "a", &[("P1", "gateway"), ("S1", "brake")])
        .await;
    office.release("gateway.img", "gateway", 1).await;
    office.release("brake.img", "brake", 1).await;
    let token = office.token(&ALL, Some("a")).await;
    (office, token)
}

fn outcomes(answer: &Answer) -> Vec<(String, String, String)> {
    assert_eq!(answer.status, 200, "{}", answer.text);
    let parts = answer.json()["parts"].as_array().unwrap().clone();
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let part = |part: &Value| {
        (
            text(&part["ecu"]),
            text(&part["outcome"]),
            text(&part["refusal"]["code"]),
        )
    };
    parts.iter().map(part).collect()
}

fn told(ecu: &str, outcome: &str, code: &str) -> (String, String, String) {
    (ecu.into(), outcome.into(), code.into())
}

#[tokio::test]
async fn a_bundle_is_ordered_as_a_whole_or_not_at_all() {
    for place in Place::all().await {
        let (office, token) = office(&place).await;
        let wrong = json!({"images": {"P1": "gateway.img", "S1": "gateway.img"}});
        let answer = office.post(&token, ASSIGN, &wrong).await;
        assert_eq!(
            (answer.status.as_u16(), &*answer.code()),
            (409, "hardware-mismatch")
        );
        let car = office.get(&token, "/v1/vehicles/VIN-A").await.json();
        assert_eq!(car["ecus"]["P1"].get("order"), None, "{car}");

        let right = json!({"images": {"P1": "gateway.img", "S1": "brake.img"}});
        let answer = office.post(&token, ASSIGN, &right).await;
        let both = [told("P1", "ordered", ""), told("S1", "ordered", "")];
        assert_eq!(outcomes(&answer), both);
        let again = office.post(&token, ASSIGN, &right).await;
        let both = [
            told("P1", "already-ordered", ""),
            told("S1", "already-ordered", ""),
        ];
        assert_eq!(outcomes(&again), both);
        let car = office.get(&token, "/v1/vehicles/VIN-A").await.json();
        let order = &car["ecus"]["S1"]["order"];
        assert_eq!(
            (&order["image"], &order["state"]),
            (&json!("brake.img"), &json!("pending"))
        );
        assert_eq!(
            (&order["whole"], &order["failures"]),
            (&json!(true), &json!(0))
        );
    }
}

#[tokio::test]
async fn with_best_effort_each_image_stands_for_itself() {
    let place = &Place::all().await[0];
    let (office, token) = office(place).await;
    let mixed = json!({
        "images": {"P1": "gateway.img", "S1": "none.img", "X9": "brake.img"},
        "policy": "best-effort",
    });
    let answer = office.post(&token, ASSIGN, &mixed).await;
    let expected = [
        told("P1", "ordered", ""),
        told("S1", "refused", "image-unknown"),
        told("X9", "refused", "ecu-unknown"),
    ];
    assert_eq!(outcomes(&answer), expected);
}

#[tokio::test]
async fn orders_are_taken_back_one_by_one_or_all_at_once() {
    let place = &Place::all().await[0];
    let (office, token) = office(place).await;
    let both = json!({"images": {"P1": "gateway.img", "S1": "brake.img"}});
    office.post(&token, ASSIGN, &both).await;
    let cancel = async |body: Value| {
        let answer = office
            .post(&token, "/v1/vehicles/VIN-A/cancel", &body)
            .await;
        answer.json()["cancelled"].clone()
    };
    assert_eq!(cancel(json!({"ecus": ["S1"]})).await, json!(["S1"]));
    assert_eq!(cancel(json!({"ecus": ["S1", "X9"]})).await, json!([]));
    assert_eq!(cancel(json!({})).await, json!(["P1"]));
    assert_eq!(cancel(json!({})).await, json!([]));

    let history = office
        .get(&token, "/v1/vehicles/VIN-A/history")
        .await
        .json();
    let entries = history["entries"].as_array().unwrap();
    let actions: Vec<&str> = entries
        .iter()
        .map(|entry| entry["action"].as_str().unwrap())
        .collect();
    let expected = [
        "order.given",
        "order.given",
        "order.cancelled",
        "order.cancelled",
    ];
    assert_eq!(actions, expected);
    let id = &token[4..20];
    assert_eq!(entries[0]["actor"], format!("token:{id}"));
    assert_eq!(entries[0]["detail"]["image"], "gateway.img");
    let second = entries[1]["seq"].as_u64().unwrap();
    let path = format!("/v1/vehicles/VIN-A/history?after={second}");
    let rest = office.get(&token, &path).await.json();
    assert_eq!(rest["entries"].as_array().map(Vec::len), Some(2));
}

#[tokio::test]
async fn a_vehicle_that_is_held_gets_no_orders() {
    for place in Place::all().await {
        let (office, token) = office(&place).await;
        let hold = json!({"why": "the brakes squeak"});
        let held = office.post(&token, "/v1/vehicles/VIN-A/hold", &hold).await;
        assert_eq!(held.json()["held"], "the brakes squeak", "{}", held.text);
        let one = json!({"images": {"S1": "brake.img"}});
        let refused = office.post(&token, ASSIGN, &one).await;
        assert_eq!(
            (refused.status.as_u16(), &*refused.code()),
            (409, "vehicle-held")
        );
        let listed = office.get(&token, "/v1/vehicles").await.json();
        assert_eq!(listed["vehicles"][0]["held"], "the brakes squeak");
        let free = office
            .post(&token, "/v1/vehicles/VIN-A/release", &json!({}))
            .await;
        assert_eq!(free.json().get("held"), None);
        assert_eq!(office.post(&token, ASSIGN, &one).await.status, 200);
    }
}
