//! Certificates that go through the Director's hands.

use axum::http::Method;
use countersign_director::storage::CertificateRequest;
use countersign_director::tokens::Scope;
use rcgen::{
    CertificateParams, DistinguishedName, ExtendedKeyUsagePurpose, Issuer, KeyPair, SanType,
};
use serde_json::json;

use crate::office::{Office, serial, vin};
use crate::places::Place;

const PATH: &str = "/v1/vehicles/VIN-A/certificate";

/// A certificate of the device PKI, in PEM.
fn certificate(key: &KeyPair, vehicle: &str, ecu: &str, ends: i32) -> String {
    let authority = KeyPair::generate().unwrap();
    let issuer = Issuer::new(CertificateParams::new(Vec::new()).unwrap(), authority);
    let mut device = CertificateParams::new(Vec::new()).unwrap();
    device.distinguished_name = DistinguishedName::new();
    device.not_after = rcgen::date_time_ymd(ends, 1, 1);
    device.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
    let names = [
        format!("urn:countersign:vehicle:{vehicle}"),
        format!("urn:countersign:ecu:{ecu}"),
    ];
    device.subject_alt_names = names
        .map(|name| SanType::URI(name.try_into().unwrap()))
        .into();
    device.signed_by(key, &issuer).unwrap().pem()
}

#[tokio::test]
async fn only_the_certificate_that_was_asked_for_is_taken() {
    for place in Place::all().await {
        let office = Office::new(&place).await;
        office.register("VIN-A", "a", &[("P1", "hw")]).await;
        let token = office.token(&[Scope::Vehicles], Some("a")).await;
        let put = async |pem: &str| {
            let body = json!({"certificate": pem});
            let answer = office.say(&token, Method::PUT, PATH, &body).await;
            (answer.status.as_u16(), answer.code())
        };
        let key = KeyPair::generate().unwrap();
        let good = certificate(&key, "VIN-A", "P1", 2999);
        assert_eq!(office.get(&token, PATH).await.status, 404);
        assert_eq!(put(&good).await, (404, "not-found".into()));

        let request = CertificateParams::new(Vec::new()).unwrap();
        let request = CertificateRequest {
            serial: serial("P1"),
            request: request.serialize_request(&key).unwrap().pem().unwrap(),
            requested: office.now(),
            certificate: None,
        };
        let database = office.service.database();
        database
            .ask_for_certificate(&vin("VIN-A"), &request, &[])
            .await
            .unwrap();
        let asked = office.get(&token, PATH).await.json();
        assert_eq!(
            (&asked["ecu"], asked["request"].as_str()),
            (&json!("P1"), Some(&*request.request))
        );

        let stranger = KeyPair::generate().unwrap();
        for wrong in [
            "x".to_owned(),
            request.request.clone(),
            format!("{good}{good}"),
            certificate(&stranger, "VIN-A", "P1", 2999),
            certificate(&key, "VIN-B", "P1", 2999),
            certificate(&key, "VIN-A", "P2", 2999),
            certificate(&key, "VIN-A", "P1", 2001),
        ] {
            assert_eq!(
                put(&wrong).await,
                (400, "certificate-wrong".into()),
                "{wrong}"
            );
        }
        assert_eq!(
            office.get(&token, PATH).await.json().get("certificate"),
            None
        );
        assert_eq!(put(&good).await.0, 204);
        assert_eq!(office.get(&token, PATH).await.json()["certificate"], good);
    }
}
