//! Databases to test on: one of its own for each test, on each engine.

use std::sync::atomic::{AtomicU32, Ordering};

use countersign_director::storage::Database;
use sqlx::{AnyConnection, AssertSqlSafe, Connection as _};

/// The variable with the URL of a PostgreSQL server in which databases can be made.
const POSTGRES: &str = "COUNTERSIGN_TEST_POSTGRES";

/// A database of its own for each test, on each engine. `make test` starts the server.
pub(crate) struct Place {
    pub(crate) url: String,
    _folder: Option<tempfile::TempDir>,
}

impl Place {
    pub(crate) async fn all() -> Vec<Self> {
        let mut places = vec![Self::on_sqlite()];
        match std::env::var(POSTGRES) {
            Ok(server) => places.push(Self::on_postgres(&server).await),
            Err(_) => eprintln!("{POSTGRES} is not set: only SQLite is tested"),
        }
        places
    }

    /// Another one on the same engine.
    pub(crate) async fn again(place: &Self) -> Self {
        match &place._folder {
            Some(_) => Self::on_sqlite(),
            None => Self::on_postgres(&std::env::var(POSTGRES).unwrap()).await,
        }
    }

    /// A SQLite database that is there.
    pub(crate) fn of_file(path: &std::path::Path) -> Self {
        Self {
            url: format!("sqlite:{}", path.display()),
            _folder: None,
        }
    }

    fn on_sqlite() -> Self {
        let folder = tempfile::tempdir().unwrap();
        Self {
            url: format!("sqlite:{}/director.sqlite", folder.path().display()),
            _folder: Some(folder),
        }
    }

    async fn on_postgres(server: &str) -> Self {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let name = format!("test_{}_{number}", std::process::id());
        sqlx::any::install_default_drivers();
        let mut connection = AnyConnection::connect(server).await.unwrap();
        // Of a process of this number that was killed, there may be one left.
        for order in ["DROP DATABASE IF EXISTS", "CREATE DATABASE"] {
            let order = AssertSqlSafe(format!("{order} {name}"));
            sqlx::query(order).execute(&mut connection).await.unwrap();
        }
        connection.close().await.unwrap();
        let (base, _) = server.rsplit_once('/').unwrap();
        Self {
            url: format!("{base}/{name}"),
            _folder: None,
        }
    }

    pub(crate) async fn open(&self) -> Database {
        Database::open(&self.url).await.unwrap()
    }
}
