//! Vehicles that are announced, and vehicles that become others.

use axum::http::Method;
use countersign_director::tokens::Scope;
use countersign_director_domain::registration::vehicle_to_value;
use countersign_metadata::canonical;
use serde_json::json;

use crate::office::{Office, vin};
use crate::places::Place;

const ALL: [Scope; 3] = [Scope::Read, Scope::Vehicles, Scope::Assign];

#[tokio::test]
async fn an_announcement_is_taken_back_until_the_vehicle_registers() {
    for place in Place::all().await {
        let office = Office::new(&place).await;
        let token = office.token(&ALL, Some("a")).await;
        let odd = "A!#$%&'()*+,-./:;<=>?@[]^_`{|}~";
        let path: String = odd.bytes().map(|byte| format!("%{byte:02X}")).collect();
        let path = format!("/v1/vehicles/{path}");
        let new = json!({"vin": odd});
        let announced = office.post(&token, "/v1/vehicles", &new).await;
        assert_eq!(announced.status, 201, "{}", announced.text);
        let shown = office.get(&token, &path).await;
        assert_eq!(
            (shown.status.as_u16(), shown.json()),
            (200, announced.json())
        );
        assert_eq!(office.send(&token, Method::DELETE, &path).await.status, 204);
        assert_eq!(office.get(&token, &path).await.status, 404);
        assert_eq!(office.send(&token, Method::DELETE, &path).await.status, 404);

        assert_eq!(office.post(&token, "/v1/vehicles", &new).await.status, 201);
        office.register(odd, "a", &[("P1", "hw")]).await;
        assert_eq!(
            office.get(&token, &path).await.json()["stage"],
            "registered"
        );
        let kept = office.send(&token, Method::DELETE, &path).await;
        assert_eq!(
            (kept.status.as_u16(), &*kept.code()),
            (409, "vehicle-known")
        );
        let again = office.post(&token, "/v1/vehicles", &new).await;
        assert_eq!(
            (again.status.as_u16(), &*again.code()),
            (409, "vehicle-known")
        );
    }
}

#[tokio::test]
async fn a_replacement_takes_effect_when_what_was_seen_is_approved() {
    for place in Place::all().await {
        let office = Office::new(&place).await;
        let token = office.token(&ALL, Some("a")).await;
        office
            .register(
                "VIN-A",
                "a",
                &[("P1", "gw"), ("S1", "brake"), ("S2", "door")],
            )
            .await;
        office.release("brake.img", "brake", 1).await;
        let order = json!({"images": {"S1": "brake.img"}});
        office
            .post(&token, "/v1/vehicles/VIN-A/assignments", &order)
            .await;
        let path = "/v1/vehicles/VIN-A/replacement";
        assert_eq!(office.get(&token, path).await.status, 404);

        let ask = async |ecus: &[(&str, &str)]| {
            let wanted = office.record("VIN-A", ecus);
            let text = canonical::encode(&vehicle_to_value(&wanted));
            let database = office.service.database();
            let asked = database
                .ask_for_replacement(&vin("VIN-A"), &text, office.now(), &[])
                .await;
            asked.unwrap();
        };
        ask(&[("P1", "gw"), ("S1", "brake-2")]).await;
        let seen = office.get(&token, path).await.json();
        assert_eq!(seen["gone"], json!(["S2"]));
        assert_eq!(seen["ecus"]["P1"]["change"], "none");
        assert_eq!(seen["ecus"]["S1"]["change"], "other");
        let car = office.get(&token, "/v1/vehicles/VIN-A").await.json();
        assert_eq!(car["replacement"], true);

        // Meanwhile the vehicle asks for something else: that was not looked at.
        ask(&[("P1", "gw"), ("S9", "brake")]).await;
        let approve = format!("{path}/approve");
        let approval = json!({"digest": seen["digest"]});
        let refused = office.post(&token, &approve, &approval).await;
        assert_eq!(
            (refused.status.as_u16(), &*refused.code()),
            (409, "replacement-changed")
        );

        let seen = office.get(&token, path).await.json();
        assert_eq!(seen["ecus"]["S9"]["change"], "new");
        let approval = json!({"digest": seen["digest"]});
        let approved = office.post(&token, &approve, &approval).await;
        assert_eq!(approved.status, 204, "{}", approved.text);
        let car = office.get(&token, "/v1/vehicles/VIN-A").await.json();
        let ecus: Vec<&String> = car["ecus"].as_object().unwrap().keys().collect();
        assert_eq!(ecus, ["P1", "S9"]);
        assert_eq!(car["replacement"], false);
        let again = office.post(&token, &approve, &approval).await;
        assert_eq!((again.status.as_u16(), &*again.code()), (404, "not-found"));

        ask(&[("P1", "gw")]).await;
        assert_eq!(office.send(&token, Method::DELETE, path).await.status, 204);
        assert_eq!(office.send(&token, Method::DELETE, path).await.status, 404);
    }
}
