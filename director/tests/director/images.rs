//! Images: uploaded as they are listed, encrypted where they are confidential, and given to the vehicles
//! that are to install them.

use std::io;
use std::path::Path;

use bytes::Bytes;
use countersign_director::problem::Problem;
use countersign_director::service::{Encrypt, ImageView, Service};
use countersign_encryption::{FileInfo, METHOD, WrapContext, unwrap};
use countersign_metadata::TargetPath;
use countersign_metadata::uptane::{Confidentiality, DirectorCustom, ImageCustom};
use futures_util::stream;

use crate::car::Car;
use crate::decisions::{Scene, bytes, image, targets, whole};
use crate::line::Line;
use crate::world::{operator, path};

fn confidential(kind: &str, release: u64) -> ImageCustom {
    ImageCustom {
        confidentiality: Confidentiality::Required,
        ..image(kind, release)
    }
}

/// In several pieces, as they come over a network.
async fn upload(
    service: &Service,
    name: &str,
    encrypt: Encrypt,
    bytes: &[u8],
) -> Result<ImageView, Problem> {
    let pieces: Vec<io::Result<Bytes>> = bytes
        .chunks(7)
        .map(|piece| Ok(Bytes::copy_from_slice(piece)))
        .collect();
    let pieces = stream::iter(pieces);
    service
        .upload(&path(name), encrypt, pieces, &operator())
        .await
}

/// `HASH.NAME`, with the hash before the last part.
fn url(name: &TargetPath, hash: &[u8]) -> String {
    let hash = hex::encode(hash);
    match name.as_str().rsplit_once('/') {
        Some((folder, last)) => format!("/v1/targets/{folder}/{hash}.{last}"),
        None => format!("/v1/targets/{hash}.{name}"),
    }
}

fn plain_url(view: &ImageView) -> String {
    url(&view.path, &view.image.file.hashes.sha256.unwrap())
}

/// Files in a folder, whose bytes have `secret` in them.
fn with_secret(folder: &Path, secret: &[u8]) -> Vec<String> {
    let files = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap());
    let found = files.filter(|file| {
        let bytes = std::fs::read(file.path()).unwrap();
        bytes.windows(secret.len()).any(|window| window == secret)
    });
    found
        .map(|file| file.file_name().to_string_lossy().into_owned())
        .collect()
}

fn files_in(folder: &Path) -> usize {
    std::fs::read_dir(folder).unwrap().count()
}

#[tokio::test]
async fn only_the_bytes_that_are_listed_are_stored() {
    for scene in Scene::all(&[
        ("d/1.img", image("door", 1)),
        ("c1", confidential("brake", 1)),
    ])
    .await
    {
        let (blobs, spool) = (scene.world.folder("blobs"), scene.world.folder("spool"));
        for name in ["d/1.img", "c1"] {
            let right = bytes(name);
            let mut other = right.clone();
            other[0] ^= 1;
            for wrong in [&right[1..], &[&right[..], b"x"].concat(), &other, b""] {
                let refused = upload(&scene.service, name, Encrypt::default(), wrong).await;
                assert_eq!(refused.unwrap_err().code, "other-image", "{name}");
            }
            // One that breaks off.
            let broken = stream::iter([Ok(Bytes::from(right)), Err(io::Error::other("gone"))]);
            let by = operator();
            let done = scene
                .service
                .upload(&path(name), Encrypt::default(), broken, &by)
                .await;
            assert_eq!(done.unwrap_err().code, "bad-request", "{name}");
            assert_eq!((files_in(&blobs), files_in(&spool)), (0, 0));
        }
        let unknown = upload(&scene.service, "d9", Encrypt::default(), b"x").await;
        assert_eq!(unknown.unwrap_err().code, "image-unknown");

        let view = upload(
            &scene.service,
            "d/1.img",
            Encrypt::default(),
            &bytes("d/1.img"),
        )
        .await;
        let stored = std::fs::read(blobs.join(view.unwrap().blob.unwrap())).unwrap();
        assert_eq!(stored, bytes("d/1.img"));
        assert_eq!(files_in(&spool), 0);
    }
}

#[tokio::test]
async fn a_confidential_image_is_encrypted_once_and_is_nowhere_in_plain() {
    for mut scene in Scene::all(&[("c1", confidential("brake", 1)), ("d1", image("door", 1))]).await
    {
        let service = scene.service.clone();
        let refused = scene.assign(&whole(&scene.car, &[("brake", "c1")])).await;
        assert_eq!(refused.unwrap_err().code, "not-encrypted");
        let view = upload(&service, "c1", Encrypt::default(), &bytes("c1"))
            .await
            .unwrap();
        let again = upload(&service, "c1", Encrypt::Always, &bytes("c1"))
            .await
            .unwrap();
        assert_eq!(view, again);
        for folder in ["blobs", "spool"] {
            let found = with_secret(&scene.world.folder(folder), &bytes("c1"));
            assert!(found.is_empty(), "{found:?}");
        }
        assert_eq!(files_in(&scene.world.folder("blobs")), 1);

        scene.ordered(&[("brake", "c1")]).await;
        scene.told().await;
        let targets = targets(&scene).await;
        let listed = &targets.targets[&path("c1")];
        let custom = DirectorCustom::of(listed).unwrap();
        let encrypted = custom.encrypted.unwrap();
        let line = Line::of(&service, &scene.car);
        let ciphertext = line
            .get(&url(&encrypted.filename, &encrypted.hashes.sha256.unwrap()))
            .await;
        assert_eq!(ciphertext.status, 200);
        assert!(encrypted.hashes.match_bytes(&ciphertext.body));
        // Only the ciphertext, and only under its own name.
        assert_eq!(line.get(&plain_url(&view)).await.status, 404);
        let mixed = url(&encrypted.filename, &view.image.file.hashes.sha256.unwrap());
        assert_eq!(line.get(&mixed).await.status, 404);

        // The ECU, and nobody else, gets the plaintext out of it.
        let context = WrapContext {
            vin: scene.car.vin.clone(),
            serial: scene.car.ecu("brake"),
            filename: path("c1"),
            release_counter: 1,
            method: METHOD.into(),
            plaintext: FileInfo {
                length: listed.length,
                hashes: listed.hashes.clone(),
            },
            ciphertext: FileInfo {
                length: encrypted.length,
                hashes: encrypted.hashes.clone(),
            },
        };
        let wrapped = &custom.wrapped_keys[&scene.car.ecu("brake")];
        assert!(unwrap(wrapped, &context, scene.car.image_key("gateway")).is_err());
        assert!(unwrap(wrapped, &context, scene.car.image_key("brake")).is_ok());
        // The door has no key to decrypt with.
        upload(&service, "d1", Encrypt::Always, &bytes("d1"))
            .await
            .unwrap();
        let refused = scene.assign(&whole(&scene.car, &[("door", "d1")])).await;
        assert_eq!(refused.unwrap_err().code, "no-encryption-key");
    }
}

#[tokio::test]
async fn an_image_is_given_to_who_is_to_install_it_while_it_is_ordered() {
    for mut scene in Scene::all(&[("d/1.img", image("door", 1))]).await {
        let service = scene.service.clone();
        let view = upload(&service, "d/1.img", Encrypt::default(), &bytes("d/1.img"))
            .await
            .unwrap();
        let other = Car::registered(&scene.world, &service, "B").await;
        let asked = whole(&other, &[]);
        service
            .assign(&other.vin, &asked, &operator())
            .await
            .unwrap();
        let (line, others) = (Line::of(&service, &scene.car), Line::of(&service, &other));
        let url = plain_url(&view);
        assert_eq!(line.get(&url).await.refusal(), (404, "not-found".into()));
        scene.ordered(&[("door", "d/1.img")]).await;
        let said = line.get(&url).await;
        assert_eq!(
            (said.status.as_u16(), &*said.body),
            (200, &*bytes("d/1.img"))
        );
        let sha512 = hex::encode(view.image.file.hashes.sha512.unwrap());
        let by_sha512 = format!("/v1/targets/d/{sha512}.1.img");
        assert_eq!(line.get(&by_sha512).await.status, 200);
        for odd in [
            "/v1/targets/d/1.img",
            "/v1/targets/d/00.1.img",
            "/v1/targets/../d/1.img",
        ] {
            assert_eq!(line.get(odd).await.status, 404, "{odd}");
        }
        assert_eq!(others.get(&url).await.refusal(), (404, "not-found".into()));
        // Not while it is held, and no more when it is cancelled.
        let vin = scene.car.vin.clone();
        service
            .hold(&vin, Some("recall"), &operator())
            .await
            .unwrap();
        assert_eq!(line.get(&url).await.status, 404);
        service.hold(&vin, None, &operator()).await.unwrap();
        assert_eq!(line.get(&url).await.status, 200);
        scene.runs("door", "unknown.img").await;
        service.cancel(&vin, None, &operator()).await.unwrap();
        assert_eq!(line.get(&url).await.status, 404);
    }
}

#[tokio::test]
async fn a_download_goes_on_from_where_it_broke_off() {
    for scene in Scene::all(&[("d1", image("door", 1))]).await {
        let view = upload(&scene.service, "d1", Encrypt::default(), &bytes("d1"))
            .await
            .unwrap();
        scene.ordered(&[("door", "d1")]).await;
        let (line, url, whole) = (
            Line::of(&scene.service, &scene.car),
            plain_url(&view),
            bytes("d1"),
        );
        let length = whole.len();
        let said = line.get(&url).await;
        assert_eq!(said.header("accept-ranges"), "bytes");
        assert_eq!(said.header("content-length"), length.to_string());
        let etag = said.header("etag").to_owned();
        let same = line.get_with(&url, &[("if-none-match", &etag)]).await;
        assert_eq!((same.status.as_u16(), same.body.len()), (304, 0));

        for (asked, part) in [
            ("bytes=0-2", 0..3),
            ("bytes=3-", 3..length),
            ("bytes=-4", length - 4..length),
            ("bytes=3-9999", 3..length),
        ] {
            let said = line.get_with(&url, &[("range", asked)]).await;
            assert_eq!(said.status, 206, "{asked}");
            assert_eq!(&said.body[..], &whole[part.clone()]);
            let range = format!("bytes {}-{}/{length}", part.start, part.end - 1);
            assert_eq!(said.header("content-range"), range);
            assert_eq!(said.header("content-length"), part.len().to_string());
        }
        let resumed = [("range", "bytes=3-"), ("if-range", &etag)];
        assert_eq!(line.get_with(&url, &resumed).await.status, 206);
        let other = [("range", "bytes=3-"), ("if-range", "\"other\"")];
        let said = line.get_with(&url, &other).await;
        assert_eq!((said.status.as_u16(), &*said.body), (200, &*whole));
        for odd in ["bytes=1-2,4-5", "lines=1-2", "bytes=x-"] {
            let said = line.get_with(&url, &[("range", odd)]).await;
            assert_eq!((said.status.as_u16(), &*said.body), (200, &*whole), "{odd}");
        }
        let beyond = format!("bytes={length}-");
        let said = line.get_with(&url, &[("range", &beyond)]).await;
        assert_eq!(said.refusal(), (416, "range".into()));
        assert_eq!(said.header("content-range"), format!("bytes */{length}"));
    }
}

/// Where only the Image repository has the bytes, the vehicle gets them there.
#[tokio::test]
async fn an_image_that_is_only_listed_is_not_here() {
    for scene in Scene::all(&[("d1", image("door", 1))]).await {
        scene.ordered(&[("door", "d1")]).await;
        let view = scene
            .service
            .list_image(&path("d1"), &operator())
            .await
            .unwrap();
        let said = Line::of(&scene.service, &scene.car)
            .get(&plain_url(&view))
            .await;
        assert_eq!(said.refusal(), (404, "not-found".into()));
    }
}
