//! What is signed, when, and under which Root.

use countersign_director::problem::Kind;
use countersign_director::service::{Answered, RootError, Rules};
use countersign_director_domain::keys::signed;
use countersign_metadata::uptane::{Nonce, TimeAttestation, time_server};
use countersign_metadata::{Role, RoleType, Signed, Snapshot, Targets, Timestamp};

use crate::car::Car;
use crate::decisions::{Scene, image, whole};
use crate::line::{Follower, Line};
use crate::world::{DAY, World, key, operator};

fn timestamp_of(bytes: &[u8]) -> Timestamp {
    let file = Signed::<Timestamp>::parse(bytes.to_vec()).unwrap();
    file.decode_unverified().unwrap()
}

const TIMESTAMP: &str = "/v1/metadata/timestamp.json";

#[tokio::test]
async fn nothing_is_signed_before_somebody_asks_or_while_nothing_is_due() {
    for world in World::all().await {
        let service = world.service().await;
        let car = Car::registered(&world, &service, "A").await;
        let version = service.view(&car.vin).await.unwrap().targets_version;
        assert_eq!(version, None);
        let line = Line::of(&service, &car);
        let missing = line.get("/v1/metadata/1.targets.json").await;
        assert_eq!(missing.refusal(), (404, "not-found".into()));
        let first = line.get(TIMESTAMP).await;
        assert_eq!(first.status, 200);
        assert_eq!(first.header("content-type"), "application/json");
        assert_eq!(first.header("cache-control"), "no-cache");
        let etag = first.header("etag").to_owned();
        let revision = async || {
            let stored = service.database().vehicle(&car.vin).await.unwrap();
            stored.unwrap().revision
        };
        let before = revision().await;
        // Until half of the Timestamp's day is over.
        for seconds in [0, 60, DAY / 2 - 61] {
            world.pass(seconds);
            let again = line.get(TIMESTAMP).await;
            assert_eq!((again.header("etag"), &again.body), (&*etag, &first.body));
            let same = line.get_with(TIMESTAMP, &[("if-none-match", &etag)]).await;
            assert_eq!((same.status.as_u16(), same.header("etag")), (304, &*etag));
            assert!(same.body.is_empty());
        }
        assert_eq!(revision().await, before);
        world.pass(1);
        let next = line.get_with(TIMESTAMP, &[("if-none-match", &etag)]).await;
        assert_eq!(next.status, 200);
        assert_ne!(next.header("etag"), etag);
    }
}

#[tokio::test]
async fn versioned_files_have_one_name_and_an_entity_tag() {
    for world in World::all().await {
        let service = world.service().await;
        let car = Car::registered(&world, &service, "A").await;
        let line = Line::of(&service, &car);
        line.get(TIMESTAMP).await;
        for name in ["1.root.json", "1.snapshot.json", "1.targets.json"] {
            let path = format!("/v1/metadata/{name}");
            let file = line.get(&path).await;
            assert_eq!(file.status, 200, "{name}");
            assert!(file.header("cache-control").contains("immutable"));
            let etag = file.header("etag").to_owned();
            let same = line.get_with(&path, &[("if-none-match", &etag)]).await;
            assert_eq!(same.status, 304);
            let other = line
                .get_with(&path, &[("if-none-match", "\"other\"")])
                .await;
            assert_eq!((other.status.as_u16(), &other.body), (200, &file.body));
        }
        for name in [
            "2.root.json",
            "01.targets.json",
            "targets.json",
            "1.timestamp.json",
            "x",
        ] {
            let missing = line.get(&format!("/v1/metadata/{name}")).await;
            assert_eq!(missing.refusal(), (404, "not-found".into()), "{name}");
        }
    }
}

/// What a process has told lately, it tells without the database, and no longer than something changes.
#[tokio::test]
async fn that_nothing_is_new_is_remembered_until_something_is() {
    for scene in Scene::all(&[("d1", image("door", 1))]).await {
        let rules = Rules {
            poll_cache: std::time::Duration::from_secs(3600),
            ..Rules::default()
        };
        let service = scene.world.service_with(&[1], rules).await;
        let vin = &scene.car.vin;
        let etag = async |known: Option<&str>| match service.timestamp(vin, known).await.unwrap() {
            Answered::File(file) => Some(file.etag),
            Answered::Unchanged => None,
        };
        let first = etag(None).await.unwrap();
        assert_eq!(etag(Some(&first)).await, None);
        let asked = whole(&scene.car, &[("door", "d1")]);
        service.assign(vin, &asked, &operator()).await.unwrap();
        let second = etag(Some(&first)).await.unwrap();
        assert_ne!(first, second);
        assert_eq!(etag(Some(&second)).await, None);
        scene.world.pass(DAY);
        assert!(etag(Some(&second)).await.is_some());
    }
}

/// Case 96: whoever fetches gets files that are fresh for a while.
#[tokio::test]
async fn case_96_what_is_about_to_expire_is_signed_anew_with_a_higher_version() {
    for mut scene in Scene::all(&[("d1", image("door", 1))]).await {
        scene.ordered(&[("door", "d1")]).await;
        let line = Line::of(&scene.service, &scene.car);
        let mut last = (0, 0, 0);
        // Timestamp is renewed after half a day, Snapshot after half a week, Targets after half a month.
        let renewed = [
            (0, (1, 1, 1)),
            (DAY / 2, (2, 1, 1)),
            (3 * DAY, (3, 2, 1)),
            (15 * DAY, (4, 3, 2)),
            (40 * DAY, (5, 4, 3)),
        ];
        for (seconds, versions) in renewed {
            scene.world.pass(seconds);
            let now = scene.world.now();
            scene.told().await;
            let timestamp = timestamp_of(&line.get(TIMESTAMP).await.body);
            let name = format!("/v1/metadata/{}.snapshot.json", timestamp.snapshot.version);
            let snapshot = Signed::<Snapshot>::parse(line.get(&name).await.body.to_vec());
            let snapshot = snapshot.unwrap().decode_unverified().unwrap();
            let targets = snapshot.role("targets").unwrap().version;
            let found = (timestamp.version(), timestamp.snapshot.version, targets);
            assert_eq!(found, versions);
            assert!(timestamp.expires().unix() - now.unix() > DAY / 2);
            assert!(snapshot.expires().unix() - now.unix() > 3 * DAY);
            assert!(found > last);
            last = found;
        }
    }
}

#[tokio::test]
async fn a_root_follows_the_one_before_it() {
    for mut world in World::all().await {
        let service = world.service().await;
        let first = service.database().root(1).await.unwrap().unwrap();
        let (now, by) = (world.now(), operator());
        let again = service.import_root(first.clone(), &by, now).await;
        assert_eq!(again.unwrap(), 1);
        let (root, second) = world.next_root(1);
        // Signed by somebody else.
        let forged = signed(root.to_payload(), &*key(&world.keys(), "thief")).unwrap();
        let refused = service.import_root(forged, &by, now).await;
        assert!(matches!(refused, Err(RootError::Refused(_))), "{refused:?}");
        let mut third = root.next(root.expires());
        let signer = key(&world.keys(), "root");
        let bytes = signed(third.to_payload(), &*signer).unwrap();
        let refused = service.import_root(bytes, &by, now).await;
        let gap = matches!(refused, Err(RootError::Version { found: 3, last: 1 }));
        assert!(gap, "{refused:?}");
        third.header.version = 2;
        third.consistent_snapshot = false;
        let bytes = signed(third.to_payload(), &*signer).unwrap();
        let refused = service.import_root(bytes, &by, now).await;
        assert!(
            matches!(refused, Err(RootError::NotConsistent)),
            "{refused:?}"
        );
        let expired = root.expires();
        let refused = service.import_root(second.clone(), &by, expired).await;
        assert!(matches!(refused, Err(RootError::Expired(_))), "{refused:?}");
        assert_eq!(service.database().roots().await.unwrap(), [first]);
        assert_eq!(world.import_root(&service, 1).await.unwrap(), 2);
    }
}

#[tokio::test]
async fn without_a_root_or_its_keys_nothing_is_signed_and_reports_are_taken() {
    for mut world in World::all().await {
        let service = world.service().await;
        let mut car = Car::registered(&world, &service, "A").await;
        let line = Line::of(&service, &car);
        let before = line.get(TIMESTAMP).await.body;
        world.service_with(&[1, 2], World::rules()).await;
        world.import_root(&service, 2).await.unwrap();
        let refused = line.get(TIMESTAMP).await;
        assert_eq!(refused.refusal(), (503, "signing-unavailable".into()));
        assert_eq!(refused.header("retry-after"), "5");
        let nonces = format!("{{\"nonces\": [\"{}\"]}}", "ab".repeat(16));
        let refused = line.send("POST", "/v1/time", &[], nonces).await;
        assert_eq!(refused.refusal(), (503, "signing-unavailable".into()));
        car.tick(world.now());
        car.report(&service).await.unwrap();

        // A process with the new keys, or with both.
        let mut follower = Follower::new(&service, &car).await;
        for generations in [&[1, 2][..], &[2]] {
            let other = world.service_with(generations, World::rules()).await;
            let line = Line::of(&other, &car);
            follower.follow(&line, world.now()).await.unwrap();
        }
        let after = line.get(TIMESTAMP).await.body;
        assert!(timestamp_of(&after).version() > timestamp_of(&before).version());
        // What is signed is given out by whoever is asked, and renewed by who can.
        world.pass(DAY);
        assert_eq!(line.get(TIMESTAMP).await.status, 503);
    }
}

#[tokio::test]
async fn another_root_with_the_same_keys_has_everything_signed_anew() {
    for mut world in World::all().await {
        let service = world.service().await;
        let car = Car::registered(&world, &service, "A").await;
        let line = Line::of(&service, &car);
        let mut follower = Follower::new(&service, &car).await;
        for version in 1..4 {
            let said = follower.follow(&line, world.now()).await.unwrap();
            assert_eq!(said.mark().version, version);
            let timestamp = timestamp_of(&line.get(TIMESTAMP).await.body);
            assert_eq!(timestamp.version(), version);
            assert_eq!(timestamp.snapshot.version, version);
            world.import_root(&service, 1).await.unwrap();
        }
    }
}

/// Case 97: what was signed by a key that somebody has stolen is worth nothing under the next Root, and
/// vehicles go on from what they had seen of it.
#[tokio::test]
async fn case_97_a_stolen_key_is_replaced_and_vehicles_go_on() {
    for mut scene in Scene::all(&[("d1", image("door", 1))]).await {
        scene.ordered(&[("door", "d1")]).await;
        let (told, _) = scene.told().await;
        scene.service = scene.world.service_with(&[1, 2], World::rules()).await;
        scene.world.import_root(&scene.service, 2).await.unwrap();
        assert_eq!(scene.told().await.0, told);
        let line = Line::of(&scene.service, &scene.car);
        let timestamp = line.get(TIMESTAMP).await.body.to_vec();
        let timestamp = Signed::<Timestamp>::parse(timestamp).unwrap();
        let tally = |version: usize| {
            let root = scene.world.root(version);
            let authority = root.claimed_authority(RoleType::Timestamp);
            timestamp.tally(&authority).is_met()
        };
        assert!(!tally(1) && tally(2));
    }
}

#[tokio::test]
async fn every_file_names_its_vehicle_and_is_for_no_other() {
    for world in World::all().await {
        let service = world.service().await;
        let first = Car::registered(&world, &service, "A").await;
        let second = Car::registered(&world, &service, "B").await;
        let line = Line::of(&service, &first);
        let mut follower = Follower::new(&service, &second).await;
        let refused = follower.follow(&line, world.now()).await.map(drop);
        assert!(refused.unwrap_err().contains("vehicle"));
        let targets = line.get("/v1/metadata/1.targets.json").await.body;
        let targets = Signed::<Targets>::parse(targets.to_vec()).unwrap();
        let targets = targets.decode_unverified().unwrap();
        let named = countersign_metadata::uptane::vin_of(&targets).unwrap();
        assert_eq!(named, Some(first.vin));
    }
}

#[tokio::test]
async fn the_time_is_attested_under_the_roots_key_for_these_nonces() {
    for world in World::all().await {
        let service = world.service().await;
        let car = Car::registered(&world, &service, "A").await;
        let line = Line::of(&service, &car);
        let nonces = [Nonce([0xab; 16]), Nonce([0; 16])];
        let texts = nonces.iter().map(|nonce| hex::encode(nonce.0));
        let asked = serde_json::json!({ "nonces": texts.collect::<Vec<_>>() });
        let said = line.send("POST", "/v1/time", &[], asked.to_string()).await;
        assert_eq!(said.status, 200);
        let said = Signed::<TimeAttestation>::parse(said.body.to_vec()).unwrap();
        let authority = time_server(world.root(1)).unwrap().unwrap();
        let said = said.verify(&authority).unwrap();
        assert_eq!(said.content().time, world.now());
        assert_eq!(said.content().nonces, nonces);
    }
}

#[tokio::test]
async fn too_many_nonces_none_or_odd_ones_are_refused() {
    for world in World::all().await {
        let service = world.service().await;
        let car = Car::registered(&world, &service, "A").await;
        let line = Line::of(&service, &car);
        let nonce = "ab".repeat(16);
        let many = vec![nonce.clone(); countersign_metadata::limits::MAX_NONCES + 1];
        for asked in [
            serde_json::json!({ "nonces": [] }),
            serde_json::json!({ "nonces": many }),
            serde_json::json!({ "nonces": ["ab"] }),
            serde_json::json!({ "nonces": [nonce, 1] }),
            serde_json::json!({ "nonces": nonce }),
            serde_json::json!({ "nonces": [nonce], "more": 1 }),
            serde_json::json!([nonce]),
            serde_json::json!({}),
        ] {
            let said = line.send("POST", "/v1/time", &[], asked.to_string()).await;
            assert_eq!(said.refusal(), (400, "bad-request".into()), "{asked}");
        }
    }
}

#[tokio::test]
async fn without_a_clock_nothing_is_decided() {
    for world in World::all().await {
        let service = world.service().await;
        let car = Car::registered(&world, &service, "A").await;
        world.pass(i64::MAX / 2);
        let said = Line::of(&service, &car).get(TIMESTAMP).await;
        assert_eq!(said.refusal(), (503, "unavailable".into()));
        let done = car.report(&service).await.unwrap_err();
        assert_eq!(done.kind, Kind::Unavailable);
    }
}
