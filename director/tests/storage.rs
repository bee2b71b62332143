//! What a Director must not lose, on every engine there is.

#![allow(clippy::unwrap_used, reason = "a test that cannot set up has failed")]

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU32, Ordering};

use countersign_director::storage::{Change, Committed, Database, StorageError};
use countersign_director_domain::{EcuRecord, VehicleRecord};
use countersign_metadata::uptane::{EcuSerial, HardwareId, Vin};
use countersign_metadata::{Key, PublicKey, UtcTime};
use sqlx::{AnyConnection, AssertSqlSafe, Connection as _};

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
        vin: vin("A"),
        revision,
        now: now(),
        manifest: Some(manifest.into()),
        files: BTreeMap::new(),
    }
}

/// The variable with the URL of a PostgreSQL server in which databases can be made.
const POSTGRES: &str = "COUNTERSIGN_TEST_POSTGRES";

/// A database of its own for each test, on each engine. `make test` starts the server.
struct Place {
    url: String,
    _folder: Option<tempfile::TempDir>,
}

impl Place {
    async fn all() -> Vec<Self> {
        let folder = tempfile::tempdir().unwrap();
        let url = format!("sqlite:{}/director.sqlite", folder.path().display());
        let mut places = vec![Self {
            url,
            _folder: Some(folder),
        }];
        match std::env::var(POSTGRES) {
            Ok(server) => places.push(Self::on_postgres(&server).await),
            Err(_) => eprintln!("{POSTGRES} is not set: only SQLite is tested"),
        }
        places
    }

    async fn on_postgres(server: &str) -> Self {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let name = format!("test_{}_{number}", std::process::id());
        sqlx::any::install_default_drivers();
        let mut connection = AnyConnection::connect(server).await.unwrap();
        let create = AssertSqlSafe(format!("CREATE DATABASE {name}"));
        sqlx::query(create).execute(&mut connection).await.unwrap();
        connection.close().await.unwrap();
        let (base, _) = server.rsplit_once('/').unwrap();
        Self {
            url: format!("{base}/{name}"),
            _folder: None,
        }
    }

    async fn open(&self) -> Database {
        Database::open(&self.url).await.unwrap()
    }
}

#[tokio::test]
async fn a_vehicle_is_registered_once_and_found_as_it_was() {
    for place in Place::all().await {
        let database = place.open().await;
        let car = record(&[("P1", 1), ("S1", 2)]);
        database
            .register(&vin("A"), "fleet", &car, now())
            .await
            .unwrap();
        let found = database.vehicle(&vin("A")).await.unwrap().unwrap();
        assert_eq!((found.record, found.revision), (car.clone(), 0));
        assert_eq!((&*found.tenant, found.manifest), ("fleet", None));
        assert!(database.vehicle(&vin("B")).await.unwrap().is_none());

        let again = database.register(&vin("A"), "fleet", &car, now()).await;
        assert!(
            matches!(again, Err(StorageError::KnownVehicle(_))),
            "{again:?}"
        );
        let moved = record(&[("P2", 3), ("S1", 4)]);
        let moved = database.register(&vin("B"), "fleet", &moved, now()).await;
        assert!(matches!(moved, Err(StorageError::KnownEcu(_))), "{moved:?}");
        let shared = record(&[("P2", 3), ("S2", 2)]);
        let shared = database.register(&vin("B"), "fleet", &shared, now()).await;
        assert!(
            matches!(shared, Err(StorageError::SharedKey(_))),
            "{shared:?}"
        );
        // Nothing of what was refused is there.
        assert!(database.vehicle(&vin("B")).await.unwrap().is_none());
        let free = record(&[("P2", 3)]);
        database
            .register(&vin("B"), "fleet", &free, now())
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
            .register(&vin("A"), "fleet", &car, now())
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
        assert_eq!((found.revision, found.manifest), (1, Some(made.into())));
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
                .register(&vin(name), "fleet", &car, now())
                .await
                .unwrap();
        }
        let files = |name: &str, bytes: &[u8]| BTreeMap::from([(name.to_owned(), bytes.to_vec())]);
        let with = |vehicle: &str, revision, files| Change {
            vin: vin(vehicle),
            files,
            ..change(revision, b"m")
        };
        let first = with("A", 0, files("1.targets.json", b"first"));
        assert_eq!(database.commit(first).await.unwrap(), Committed::Done);
        let (bad, good) = tokio::join!(
            database.commit(with("A", 1, files("1.targets.json", b"other"))),
            database.commit(with("B", 0, files("1.targets.json", b"b's")))
        );
        assert!(matches!(bad, Err(StorageError::Engine(_))), "{bad:?}");
        assert_eq!(good.unwrap(), Committed::Done);
        let file = |vehicle: &'static str, name: &'static str| {
            let database = &database;
            async move { database.file(&vin(vehicle), name).await.unwrap() }
        };
        assert_eq!(
            file("A", "1.targets.json").await.as_deref(),
            Some(&b"first"[..])
        );
        assert_eq!(
            file("B", "1.targets.json").await.as_deref(),
            Some(&b"b's"[..])
        );
        // A Timestamp has one name, and is replaced.
        for (revision, bytes) in [(1, b"t1"), (2, b"t2")] {
            let timestamp = with("A", revision, files("timestamp.json", bytes));
            assert_eq!(database.commit(timestamp).await.unwrap(), Committed::Done);
        }
        assert_eq!(
            file("A", "timestamp.json").await.as_deref(),
            Some(&b"t2"[..])
        );
        assert_eq!(file("A", "2.targets.json").await, None);
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
                    .register(&vin("A"), "fleet", &car, now())
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
            .register(&vin("A"), "fleet", &car, now())
            .await
            .unwrap();
        assert!(opened.1.vehicle(&vin("A")).await.unwrap().is_some());
        let again = opened.2.register(&vin("A"), "fleet", &car, now()).await;
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
            .register(&vin("A"), "fleet", &car, now())
            .await
            .unwrap();
        let mut writers = Vec::new();
        for _ in 0..4 {
            let database = place.open().await;
            writers.push(tokio::spawn(async move {
                let mut done = 0;
                while done < 25 {
                    let revision = database.vehicle(&vin("A")).await.unwrap().unwrap().revision;
                    let name = format!("{}.targets.json", revision + 1);
                    let files = BTreeMap::from([(name, b"targets".to_vec())]);
                    let change = Change {
                        files,
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
        for version in 1..=100 {
            let name = format!("{version}.targets.json");
            assert!(
                first.file(&vin("A"), &name).await.unwrap().is_some(),
                "{name}"
            );
        }
    }
}

#[tokio::test]
async fn an_address_of_another_engine_is_refused() {
    let refused = Database::open("mysql://localhost/director").await;
    assert!(matches!(refused, Err(StorageError::Url)));
}
