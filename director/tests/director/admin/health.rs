//! What machines ask.

use countersign_director::metrics;
use countersign_director::tokens::Scope;
use serde_json::Value;

use crate::office::Office;
use crate::places::Place;

#[tokio::test]
async fn a_director_is_ready_once_it_can_sign() {
    for place in Place::all().await {
        let office = Office::without_root(&place).await;
        assert_eq!(office.get("", "/healthz").await.status, 200);
        let answer = office.get("", "/readyz").await;
        assert_eq!(
            (answer.status.as_u16(), &*answer.code()),
            (503, "signing-unavailable")
        );
        let admin = office.token(&[Scope::Admin], None).await;
        let status = office.get(&admin, "/v1/status").await.json();
        assert_eq!(status["alarms"][0]["code"], "signing", "{status}");

        let root: Value = serde_json::from_slice(&office.root(1)).unwrap();
        let imported = office.post(&admin, "/v1/roots", &root).await;
        assert_eq!(imported.status, 200, "{}", imported.text);
        assert_eq!(office.get("", "/readyz").await.status, 200);
        let status = office.get(&admin, "/v1/status").await.json();
        assert_eq!(status["root"]["keysListed"], true, "{status}");
        assert_eq!(status["alarms"], Value::Array(Vec::new()), "{status}");

        let again = office.post(&admin, "/v1/roots", &root).await;
        assert_eq!(again.status, 200);
        let third: Value = serde_json::from_slice(&office.root(3)).unwrap();
        let refused = office.post(&admin, "/v1/roots", &third).await;
        assert_eq!(
            (refused.status.as_u16(), &*refused.code()),
            (409, "root-version")
        );
        let roots = office.get(&admin, "/v1/roots").await.json();
        assert_eq!(roots["roots"].as_array().map(Vec::len), Some(1));
    }
}

#[tokio::test]
async fn requests_are_counted_by_route_and_not_by_path() {
    metrics::install();
    let place = &Place::all().await[0];
    let office = Office::new(place).await;
    office.get("", "/v1/vehicles/SECRET-VIN").await;
    office.get("", "/v1/made-up").await;
    let answer = office.get("", "/metrics").await;
    assert_eq!(answer.status, 200);
    assert!(
        answer.headers["content-type"]
            .to_str()
            .unwrap()
            .starts_with("text/plain")
    );
    let text = answer.text;
    for part in [
        "director_http_requests_total{",
        "route=\"/v1/vehicles/{vin}\",status=\"401\"",
        "route=\"none\"",
        "director_http_request_seconds_bucket{",
        "director_root_expires_in_seconds 3",
    ] {
        assert!(text.contains(part), "{part}\n{text}");
    }
    assert!(!text.contains("SECRET-VIN") && !text.contains("made-up"));
}
