//! What a Director must not lose, on every engine there is.

use countersign_director::storage::{
    AuditFault, AuditHead, Change, Committed, Database, Published, Record, StorageError,
};
use countersign_director_domain::desk::{Desk, NewFile};
use countersign_director_domain::{EcuRecord, VehicleRecord};
use countersign_metadata::json::Object;
use countersign_metadata::uptane::{EcuSerial, HardwareId, Vin};
use countersign_metadata::{Key, PublicKey, RoleType, UtcTime};
use sqlx::{AnyConnection, Connection as _};

use crate::places::Place;

fn vin(text: &str) -> Vin {
    Vin::new(text).unwrap()
}

fn serial(text: &str) -> EcuSerial {
    EcuSerial::new(text).unwrap()
}

fn now() -> UtcTime {
    "2031-05-06T07:08:09Z".parse().unwrap()
}

/// An ECU with a key of this number.
fn ecu(number: u8) -> EcuRecord {
    let mut point = [0; 32];
    point[0] = number;
    EcuRecord {
        hardware_id: HardwareId::new("brake-c").unwrap(),
        signing: Key::new(&PublicKey::Ed25519(point)),
        encryption: None,
    }
}

fn record(ecus: &[(&str, u8)]) -> VehicleRecord {
    VehicleRecord {
        primary: serial(ecus[0].0),
        ecus: ecus
            .iter()
            .map(|(name, key)| (serial(name), ecu(*key)))
            .collect(),
    }
}

fn change(revision: u64, manifest: &[u8]) -> Change {
    Change {
        manifest: Some(manifest.into()),
        ..Change::of(&vin("A"), revision, now())
    }
}

fn published(role: RoleType, version: u64, bytes: &[u8]) -> Option<Published> {
    Some(Published {
        desk: Desk::default(),
        root: 1,
        due: now(),
        files: vec![NewFile {
            role,
            version,
            bytes: bytes.into(),
        }],
    })
}

fn happened(action: &str) -> Record {
    Record {
        at: now(),
        actor: "operator".into(),
        action: action.into(),
        vin: Some(vin("A")),
        detail: Object::new(),
    }
}

#[tokio::test]
async fn a_vehicle_is_registered_once_and_found_as_it_was() {
    for place in Place::all().await {
        let database = place.open().await;
        let car = record(&[("P1", 1), ("S1", 2)]);
        database
            .register(&vin("A"), "fleet", &car, now(), &[])
            .await
            .unwrap();
        let found = database.vehicle(&vin("A")).await.unwrap().unwrap();
        assert_eq!((found.record, found.revision), (car.clone(), 0));
        assert_eq!((&*found.tenant, found.manifest), ("fleet", None));
        assert!(database.vehicle(&vin("B")).await.unwrap().is_none());

        let again = database
            .register(&vin("A"), "fleet", &car, now(), &[])
            .await;
        assert!(
            matches!(again, Err(StorageError::KnownVehicle(_))),
            "{again:?}"
        );
        let moved = record(&[("P2", 3), ("S1", 4)]);
        let moved = database
            .register(&vin("B"), "fleet", &moved, now(), &[])
            .await;
        assert!(matches!(moved, Err(StorageError::KnownEcu(_))), "{moved:?}");
        let shared = record(&[("P2", 3), ("S2", 2)]);
        let shared = database
            .register(&vin("B"), "fleet", &shared, now(), &[])
            .await;
        assert!(
            matches!(shared, Err(StorageError::SharedKey(_))),
            "{shared:?}"
        );
        // Nothing of what was refused is there.
        assert!(database.vehicle(&vin("B")).await.unwrap().is_none());
        let free = record(&[("P2", 3)]);
        database
            .register(&vin("B"), "fleet", &free, now(), &[])
            .await
            .unwrap();
        database.close().await;
    }
}

#[tokio::test]
async fn of_two_changes_on_one_revision_one_is_made() {
    for place in Place::all().await {
        let database = place.open().await;
        let car = record(&[("P1", 1)]);
        database
            .register(&vin("A"), "fleet", &car, now(), &[])
            .await
            .unwrap();
        let both = tokio::join!(
            database.commit(change(0, b"one")),
            database.commit(change(0, b"two"))
        );
        let both = [both.0.unwrap(), both.1.unwrap()];
        assert!(both.contains(&Committed::Done) && both.contains(&Committed::Conflict));
        let found = database.vehicle(&vin("A")).await.unwrap().unwrap();
        let made = if both[0] == Committed::Done {
            "one"
        } else {
            "two"
        };
        assert_eq!(
            (found.revision, found.manifest),
            (1, Some((now(), made.into())))
        );
        let stranger = Change {
            vin: vin("B"),
            ..change(0, b"x")
        };
        assert_eq!(
            database.commit(stranger).await.unwrap(),
            Committed::Conflict
        );
        database.close().await;
    }
}

#[tokio::test]
async fn a_version_is_signed_once_and_a_bad_change_spoils_no_other() {
    for place in Place::all().await {
        let database = place.open().await;
        for (name, key) in [("A", 1), ("B", 2)] {
            let car = record(&[(name, key)]);
            database
                .register(&vin(name), "fleet", &car, now(), &[])
                .await
                .unwrap();
        }
        let targets = |version, bytes| published(RoleType::Targets, version, bytes);
        let with = |vehicle: &str, revision, published| Change {
            vin: vin(vehicle),
            published,
            ..change(revision, b"m")
        };
        let first = with("A", 0, targets(1, b"first"));
        assert_eq!(database.commit(first).await.unwrap(), Committed::Done);
        let (bad, good) = tokio::join!(
            database.commit(with("A", 1, targets(1, b"other"))),
            database.commit(with("B", 0, targets(1, b"b's")))
        );
        assert!(matches!(bad, Err(StorageError::Engine(_))), "{bad:?}");
        assert_eq!(good.unwrap(), Committed::Done);
        let file = |vehicle: &'static str, role, version| {
            let database = &database;
            async move { database.file(&vin(vehicle), role, version).await.unwrap() }
        };
        let first = file("A", RoleType::Targets, 1).await;
        assert_eq!(first.as_deref(), Some(&b"first"[..]));
        let other = file("B", RoleType::Targets, 1).await;
        assert_eq!(other.as_deref(), Some(&b"b's"[..]));
        assert_eq!(file("A", RoleType::Targets, 2).await, None);
        database.close().await;
    }
}

#[tokio::test]
async fn what_was_acknowledged_is_there_when_it_is_opened_again() {
    for place in Place::all().await {
        for revision in 0..3 {
            let database = place.open().await;
            if revision == 0 {
                let car = record(&[("P1", 1)]);
                database
                    .register(&vin("A"), "fleet", &car, now(), &[])
                    .await
                    .unwrap();
            }
            let done = database.commit(change(revision, b"m")).await.unwrap();
            assert_eq!(done, Committed::Done);
            // As if it had been killed.
            drop(database);
        }
    }
}

#[tokio::test]
async fn several_directors_open_one_database_at_once() {
    for place in Place::all().await {
        let opened = tokio::join!(place.open(), place.open(), place.open());
        let car = record(&[("P1", 1)]);
        opened
            .0
            .register(&vin("A"), "fleet", &car, now(), &[])
            .await
            .unwrap();
        assert!(opened.1.vehicle(&vin("A")).await.unwrap().is_some());
        let again = opened
            .2
            .register(&vin("A"), "fleet", &car, now(), &[])
            .await;
        assert!(
            matches!(again, Err(StorageError::KnownVehicle(_))),
            "{again:?}"
        );
    }
}

/// Writers of several processes, each deciding on what it has last seen: every change that was
/// acknowledged counts, and none counts twice.
#[tokio::test(flavor = "multi_thread")]
async fn writers_that_race_lose_nothing() {
    for place in Place::all().await {
        let first = place.open().await;
        let car = record(&[("P1", 1)]);
        first
            .register(&vin("A"), "fleet", &car, now(), &[])
            .await
            .unwrap();
        let mut writers = Vec::new();
        for _ in 0..4 {
            let database = place.open().await;
            writers.push(tokio::spawn(async move {
                let mut done = 0;
                while done < 25 {
                    let revision = database.vehicle(&vin("A")).await.unwrap().unwrap().revision;
                    let change = Change {
                        published: published(RoleType::Timestamp, revision + 1, b"t"),
                        records: vec![happened("signed")],
                        ..change(revision, b"m")
                    };
                    if database.commit(change).await.unwrap() == Committed::Done {
                        done += 1;
                    }
                }
            }));
        }
        for writer in writers {
            writer.await.unwrap();
        }
        let found = first.vehicle(&vin("A")).await.unwrap().unwrap();
        assert_eq!(found.revision, 100);
        let newest = first
            .file(&vin("A"), RoleType::Timestamp, 100)
            .await
            .unwrap();
        assert!(newest.is_some());
        let head = first.verify_audit(None).await.unwrap().unwrap();
        assert_eq!(head.seq, 100);
    }
}

#[tokio::test]
async fn old_versions_go_and_the_newest_stay() {
    for place in Place::all().await {
        let database = place.open().await;
        let car = record(&[("P1", 1)]);
        database
            .register(&vin("A"), "fleet", &car, now(), &[])
            .await
            .unwrap();
        for role in [RoleType::Targets, RoleType::Timestamp] {
            for version in 1..=20 {
                let revision = database.vehicle(&vin("A")).await.unwrap().unwrap().revision;
                let change = Change {
                    published: published(role, version, b"x"),
                    ..Change::of(&vin("A"), revision, now())
                };
                assert_eq!(database.commit(change).await.unwrap(), Committed::Done);
            }
        }
        for (role, first_kept) in [(RoleType::Targets, 13), (RoleType::Timestamp, 20)] {
            for version in 1..=20 {
                let file = database.file(&vin("A"), role, version).await.unwrap();
                assert_eq!(file.is_some(), version >= first_kept, "{role} {version}");
            }
        }
        database.close().await;
    }
}

#[tokio::test]
async fn closing_waits_for_what_is_on_its_way() {
    for place in Place::all().await {
        for round in 0..8_u8 {
            let database = place.open().await;
            let name = format!("V{round}");
            let car = record(&[(&name, round + 1)]);
            database
                .register(&vin(&name), "fleet", &car, now(), &[])
                .await
                .unwrap();
            let writer = database.clone();
            let on_its_way = tokio::spawn(async move {
                writer
                    .commit(Change {
                        vin: vin(&name),
                        ..change(0, b"m")
                    })
                    .await
            });
            tokio::task::yield_now().await;
            database.close().await;
            assert_eq!(on_its_way.await.unwrap().unwrap(), Committed::Done);
        }
    }
}

#[tokio::test]
async fn whoever_touches_the_audit_log_is_found_out() {
    for place in Place::all().await {
        let noted = written_log(&place).await;
        let database = place.open().await;
        assert_eq!(
            database.verify_audit(Some(&noted)).await.unwrap().unwrap(),
            noted
        );
        let other = AuditHead {
            digest: "00".into(),
            ..noted.clone()
        };
        let fault = database.verify_audit(Some(&other)).await.unwrap();
        assert_eq!(fault, Err(AuditFault::Anchor(3)));
        database.close().await;
        for (statement, fault) in [
            (
                "UPDATE audit SET actor = 'nobody' WHERE seq = 2",
                AuditFault::Changed(2),
            ),
            (
                "UPDATE audit SET at = at + 1 WHERE seq = 1",
                AuditFault::Changed(1),
            ),
            (
                "UPDATE audit SET detail = '{\"x\":1}' WHERE seq = 2",
                AuditFault::Changed(2),
            ),
            (
                "UPDATE audit SET vin = NULL WHERE seq = 2",
                AuditFault::Changed(2),
            ),
            ("DELETE FROM audit WHERE seq = 2", AuditFault::Gap(2)),
            (
                "DELETE FROM audit WHERE seq = 3",
                AuditFault::End { found: 2, head: 3 },
            ),
        ] {
            let place = Place::again(&place).await;
            written_log(&place).await;
            let mut connection = AnyConnection::connect(&place.url).await.unwrap();
            sqlx::query(statement)
                .execute(&mut connection)
                .await
                .unwrap();
            connection.close().await.unwrap();
            let database = place.open().await;
            let found = database.verify_audit(None).await.unwrap();
            assert_eq!(found, Err(fault), "{statement}");
            database.close().await;
        }
        // Cut off together with its head, only what was noted elsewhere tells.
        let place = Place::again(&place).await;
        written_log(&place).await;
        let mut connection = AnyConnection::connect(&place.url).await.unwrap();
        for statement in [
            "DELETE FROM audit WHERE seq = 3",
            "UPDATE audit_head SET seq = 2, digest = (SELECT digest FROM audit WHERE seq = 2)",
        ] {
            sqlx::query(statement)
                .execute(&mut connection)
                .await
                .unwrap();
        }
        let database = place.open().await;
        assert!(database.verify_audit(None).await.unwrap().is_ok());
        let found = database.verify_audit(Some(&noted)).await.unwrap();
        assert_eq!(found, Err(AuditFault::End { found: 2, head: 3 }));
    }
}

/// A log with three entries, and its head.
async fn written_log(place: &Place) -> AuditHead {
    let database = place.open().await;
    for action in ["one", "two", "three"] {
        database.note(vec![happened(action)]).await.unwrap();
    }
    let head = database.verify_audit(None).await.unwrap().unwrap();
    database.close().await;
    head
}

#[tokio::test]
async fn after_a_restore_versions_are_left_out_for_old_and_new_vehicles() {
    for place in Place::all().await {
        let database = place.open().await;
        let skip_of = async |name: &str| database.vehicle(&vin(name)).await.unwrap().unwrap().skip;
        database
            .register(&vin("A"), "f", &record(&[("P1", 1)]), now(), &[])
            .await
            .unwrap();
        assert_eq!(skip_of("A").await, 0);
        for _ in 0..2 {
            database
                .leave_out_versions(1000, &[happened("restored")])
                .await
                .unwrap();
        }
        database
            .register(&vin("B"), "f", &record(&[("P2", 2)]), now(), &[])
            .await
            .unwrap();
        assert_eq!((skip_of("A").await, skip_of("B").await), (2000, 2000));
        let revision = database.vehicle(&vin("A")).await.unwrap().unwrap().revision;
        let change = Change {
            published: published(RoleType::Targets, 2001, b"x"),
            ..Change::of(&vin("A"), revision, now())
        };
        database.commit(change).await.unwrap();
        assert_eq!(skip_of("A").await, 0);
    }
}

#[tokio::test]
async fn an_address_of_another_engine_is_refused() {
    let refused = Database::open("mysql://localhost/director").await;
    assert!(matches!(refused, Err(StorageError::Url)));
}

#[tokio::test]
async fn an_announcement_is_known_until_it_is_withdrawn_or_the_vehicle_registers() {
    for place in Place::all().await {
        let database = place.open().await;
        for (name, tenant) in [("A", "a"), ("B", "b"), ("C", "a")] {
            let expected = database.expect(&vin(name), tenant, now(), &[]).await;
            assert!(expected.unwrap());
        }
        let names = async |tenant, after| {
            let found = database.announced(tenant, after, 2).await.unwrap();
            let found = found.into_iter().map(|known| known.vin.to_string());
            found.collect::<Vec<_>>()
        };
        assert_eq!(names(None, "").await, ["A", "B"]);
        assert_eq!(names(None, "B").await, ["C"]);
        assert_eq!(names(Some("a"), "").await, ["A", "C"]);
        let owner = async |name| database.owner(&vin(name)).await.unwrap();
        assert_eq!(owner("B").await.as_deref(), Some("b"));

        let withdrawn = [happened("vehicle.withdrawn")];
        assert!(database.withdraw(&vin("B"), &withdrawn).await.unwrap());
        assert!(!database.withdraw(&vin("B"), &withdrawn).await.unwrap());
        assert_eq!(owner("B").await, None);
        assert_eq!(database.audit(None, 0).await.unwrap().len(), 1);

        let car = record(&[("P1", 1)]);
        let registered = database.register(&vin("A"), "x", &car, now(), &[]).await;
        registered.unwrap();
        assert_eq!(owner("A").await.as_deref(), Some("x"));
        assert!(!database.withdraw(&vin("A"), &[]).await.unwrap());
        assert_eq!(names(None, "").await, ["C"]);
        database.close().await;
    }
}
