//! Images on their way in.

use countersign_director::tokens::Scope;
use countersign_repo::Visibility;
use serde_json::json;

use crate::office::{Office, for_hardware};
use crate::places::Place;

fn secret_image() -> Vec<u8> {
    b"a secret that nobody must find. ".repeat(3000)
}

fn holds(files: &[Vec<u8>], part: &[u8]) -> bool {
    let found = |file: &Vec<u8>| file.windows(part.len()).any(|window| window == part);
    files.iter().any(found)
}

#[tokio::test]
async fn a_confidential_image_is_nowhere_in_plain() {
    for place in Place::all().await {
        let office = Office::new(&place).await;
        let token = office.token(&[Scope::Images], None).await;
        let image = secret_image();
        let custom = for_hardware("hw", 1);
        office.publish("a b/c.img", &custom, &image, Visibility::Confidential);
        let answer = office.upload(&token, "path=a%20b/c.img", &image).await;
        assert_eq!(answer.status, 200, "{}", answer.text);
        let shown = answer.json();
        assert_eq!(shown["path"], "a b/c.img");
        for is in ["confidential", "stored", "encrypted"] {
            assert_eq!(shown[is], true, "{is}");
        }
        let stored = office.files("blobs");
        assert_eq!(stored.len(), 1);
        assert!(stored[0].len() >= image.len());
        assert!(!holds(&stored, &image[..32]));
        assert!(office.files("spool").is_empty());
        // The same again encrypts nothing anew: one ciphertext serves all vehicles.
        let again = office.upload(&token, "path=a%20b/c.img", &image).await;
        assert_eq!((again.status.as_u16(), again.json()), (200, shown));
        assert_eq!(office.files("blobs"), stored);
    }
}

#[tokio::test]
async fn a_public_image_is_stored_as_it_is_or_encrypted_on_request() {
    let place = &Place::all().await[0];
    let office = Office::new(place).await;
    let token = office.token(&[Scope::Images, Scope::Read], None).await;
    let image = secret_image();
    office.publish("c.img", &for_hardware("hw", 1), &image, Visibility::Public);
    let plain = office.upload(&token, "path=c.img", &image).await;
    assert_eq!(plain.status, 200, "{}", plain.text);
    assert_eq!(plain.json()["encrypted"], false);
    assert!(holds(&office.files("blobs"), &image[..32]));
    let sealed = office
        .upload(&token, "path=c.img&encrypt=always", &image)
        .await;
    assert_eq!(sealed.json()["encrypted"], true, "{}", sealed.text);
    let listed = office.get(&token, "/v1/images").await.json();
    assert_eq!(listed["images"], json!([sealed.json()]));
}

#[tokio::test]
async fn other_bytes_and_other_paths_are_refused_and_leave_nothing() {
    let place = &Place::all().await[0];
    let office = Office::new(place).await;
    let token = office.token(&[Scope::Images, Scope::Read], None).await;
    let image = secret_image();
    let custom = for_hardware("hw", 1);
    office.publish("open.img", &custom, &image, Visibility::Public);
    office.publish("secret.img", &custom, &image, Visibility::Confidential);
    let mut other = image.clone();
    other[5000] ^= 1;
    let longer = [&image[..], b"x"].concat();
    for path in ["open.img", "secret.img"] {
        let query = format!("path={path}");
        for bytes in [&other[..], &longer, &image[1..], b""] {
            let answer = office.upload(&token, &query, bytes).await;
            assert_eq!(
                (answer.status.as_u16(), &*answer.code()),
                (400, "other-image"),
                "{path}"
            );
        }
    }
    let answer = office.upload(&token, "path=other.img", &image).await;
    assert_eq!(
        (answer.status.as_u16(), &*answer.code()),
        (404, "image-unknown")
    );
    let answer = office
        .post(&token, "/v1/images", &json!({"path": "other.img"}))
        .await;
    assert_eq!(
        (answer.status.as_u16(), &*answer.code()),
        (404, "image-unknown")
    );
    assert!(office.files("blobs").is_empty() && office.files("spool").is_empty());
    assert_eq!(
        office.get(&token, "/v1/images").await.json()["images"],
        json!([])
    );
}

#[tokio::test]
async fn pages_of_images_follow_one_another() {
    let place = &Place::all().await[0];
    let office = Office::new(place).await;
    for name in ["a.img", "b/c.img", "d.img"] {
        office.release(name, "hw", 1).await;
    }
    let token = office.token(&[Scope::Read], None).await;
    let first = office.get(&token, "/v1/images?limit=2").await.json();
    assert_eq!(first["next"], "b/c.img");
    let second = office
        .get(&token, "/v1/images?limit=2&after=b/c.img")
        .await
        .json();
    assert_eq!(second["images"][0]["path"], "d.img");
    assert_eq!(second.get("next"), None);
}
