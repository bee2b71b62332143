//! What a Director must not lose.
//!
//! Everything of one vehicle hangs on its revision: a change says on which revision it was decided, and
//! is refused if that is no longer the last one. Any number of processes may share a database; two that
//! decide on the same vehicle at once find out here, and one of them decides again.

mod change;
mod error;
mod rows;
mod writer;

use std::sync::Once;
use std::time::Duration;

use countersign_director_domain::VehicleRecord;
use countersign_metadata::UtcTime;
use countersign_metadata::uptane::Vin;
use sqlx::any::{AnyPoolOptions, install_default_drivers};
use sqlx::migrate::Migrator;
use sqlx::{AnyPool, Row as _};

pub use change::{Change, Committed};
pub use error::StorageError;
pub use rows::StoredVehicle;

use writer::Writer;

static MIGRATIONS: Migrator = sqlx::migrate!();

/// Reading connections per process.
const CONNECTIONS: u32 = 8;

/// A database, open.
#[derive(Debug, Clone)]
pub struct Database {
    pool: AnyPool,
    writer: Writer,
}

/// The two engines.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Engine {
    Sqlite,
    Postgres,
}

impl Database {
    /// Opens the database at `url` and brings its tables up to date. `sqlite:PATH` is made if it is not
    /// there; a PostgreSQL database has to exist.
    ///
    /// # Errors
    /// [`StorageError`]
    pub async fn open(url: &str) -> Result<Self, StorageError> {
        static DRIVERS: Once = Once::new();
        DRIVERS.call_once(install_default_drivers);
        let engine = Engine::of(url)?;
        let options = AnyPoolOptions::new()
            .max_connections(CONNECTIONS)
            .acquire_timeout(Duration::from_secs(10))
            .after_connect(move |connection, _| {
                Box::pin(async move {
                    for statement in engine.per_connection() {
                        sqlx::query(*statement).execute(&mut *connection).await?;
                    }
                    Ok(())
                })
            });
        let pool = options.connect(&engine.complete(url)).await?;
        // Of several processes that start at once, one does it.
        let mut transaction = pool.begin_with(engine.begin()).await?;
        if engine == Engine::Postgres {
            sqlx::query(PREPARE_POSTGRES)
                .execute(&mut *transaction)
                .await?;
        }
        MIGRATIONS.run(&mut *transaction).await?;
        transaction.commit().await?;
        let writer = Writer::start(pool.clone(), engine.begin());
        Ok(Self { pool, writer })
    }

    /// Adds a vehicle.
    ///
    /// # Errors
    /// [`StorageError::KnownVehicle`], [`StorageError::KnownEcu`], [`StorageError::SharedKey`]
    pub async fn register(
        &self,
        vin: &Vin,
        tenant: &str,
        record: &VehicleRecord,
        now: UtcTime,
    ) -> Result<(), StorageError> {
        record.check()?;
        rows::register(&self.pool, vin, tenant, record, now).await
    }

    /// All that is known of a vehicle.
    ///
    /// # Errors
    /// [`StorageError`]
    pub async fn vehicle(&self, vin: &Vin) -> Result<Option<StoredVehicle>, StorageError> {
        rows::vehicle(&self.pool, vin).await
    }

    /// One file of a vehicle's metadata.
    ///
    /// # Errors
    /// [`StorageError`]
    pub async fn file(&self, vin: &Vin, name: &str) -> Result<Option<Vec<u8>>, StorageError> {
        let found = sqlx::query("SELECT bytes FROM files WHERE vin = $1 AND name = $2")
            .bind(vin.as_str())
            .bind(name)
            .fetch_optional(&self.pool)
            .await?;
        Ok(found.map(|row| row.try_get("bytes")).transpose()?)
    }

    /// Makes a change durable. When this returns, no power cut takes it back.
    ///
    /// # Errors
    /// [`StorageError`]; then nothing has changed, unless the connection was lost at that moment: look
    /// the vehicle up again.
    pub async fn commit(&self, change: Change) -> Result<Committed, StorageError> {
        self.writer.commit(change).await
    }

    /// Takes up the changes that were sent, and closes all connections. A change whose transaction has
    /// not begun by then is answered with an error, and has not been made.
    pub async fn close(self) {
        self.writer.finish().await;
        self.pool.close().await;
    }
}

/// One process at a time, as SQLite's transaction has it; and a name for bytes, so that one schema does
/// for both.
const PREPARE_POSTGRES: &str = "DO $$ BEGIN \
     PERFORM pg_advisory_xact_lock(4859228177); \
     IF to_regtype('blob') IS NULL THEN CREATE DOMAIN blob AS bytea; END IF; END $$";

impl Engine {
    fn of(url: &str) -> Result<Self, StorageError> {
        match url.split_once(':').map(|(scheme, _)| scheme) {
            Some("sqlite") => Ok(Self::Sqlite),
            Some("postgres" | "postgresql") => Ok(Self::Postgres),
            _ => Err(StorageError::Url),
        }
    }

    fn complete(self, url: &str) -> String {
        match self {
            Self::Sqlite if !url.contains("mode=") => {
                let sign = if url.contains('?') { '&' } else { '?' };
                format!("{url}{sign}mode=rwc")
            }
            _ => url.into(),
        }
    }

    /// An acknowledged change must survive a power cut: SQLite leaves that out by default in WAL mode.
    fn per_connection(self) -> &'static [&'static str] {
        match self {
            Self::Sqlite => &[
                "PRAGMA busy_timeout = 10000",
                "PRAGMA journal_mode = WAL",
                "PRAGMA synchronous = FULL",
                "PRAGMA foreign_keys = ON",
            ],
            Self::Postgres => &["SET synchronous_commit = on"],
        }
    }

    /// SQLite knows one writer at a time, and says so early if it is told early.
    fn begin(self) -> &'static str {
        match self {
            Self::Sqlite => "BEGIN IMMEDIATE",
            Self::Postgres => "BEGIN",
        }
    }
}
