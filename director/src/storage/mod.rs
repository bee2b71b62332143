//! What a Director must not lose.
//!
//! Everything of one vehicle hangs on its revision: a change says on which revision it was decided, and
//! is refused if that is no longer the last one. Any number of processes may share a database; two that
//! decide on the same vehicle at once find out here, and one of them decides again.

mod audit;
mod change;
mod error;
mod images;
mod readers;
mod roots;
mod tokens;
mod vehicles;
mod waiting;
mod writer;

use std::sync::Once;
use std::time::Duration;

use countersign_director_domain::VehicleRecord;
use countersign_metadata::json::{Value, parse};
use countersign_metadata::uptane::{EcuSerial, Vin};
use countersign_metadata::{RoleType, UtcTime};
use sqlx::any::{AnyPoolOptions, AnyRow, install_default_drivers};
use sqlx::migrate::Migrator;
use sqlx::{Any, AnyPool, Row as _, Transaction};

pub use audit::{AuditFault, AuditHead, Entry, Record};
pub use change::{Change, Committed, Published};
pub use error::StorageError;
pub use images::{StoredEncryption, StoredImage};
pub use tokens::StoredToken;
pub use vehicles::{ListedVehicle, StoredOrder, StoredTimestamp, StoredVehicle};
pub use waiting::{AnnouncedVehicle, CertificateRequest};

use readers::Readers;
use writer::Writer;

static MIGRATIONS: Migrator = sqlx::migrate!();

/// Reading connections per process.
const CONNECTIONS: u32 = 8;

/// A database, open.
#[derive(Debug, Clone)]
pub struct Database {
    pool: AnyPool,
    engine: Engine,
    readers: Readers,
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
        Ok(Self {
            readers: Readers::new(pool.clone()),
            pool,
            engine,
            writer,
        })
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
        records: &[Record],
    ) -> Result<(), StorageError> {
        record.check()?;
        let mut transaction = self.begin().await?;
        vehicles::register(&mut transaction, (vin, tenant, record), now, records).await?;
        Ok(transaction.commit().await?)
    }

    /// All that is known of a vehicle.
    ///
    /// # Errors
    /// [`StorageError`]
    pub async fn vehicle(&self, vin: &Vin) -> Result<Option<StoredVehicle>, StorageError> {
        let mut reader = self.readers.reader().await?;
        let found = vehicles::vehicle(&mut reader, vin).await?;
        reader.answered();
        found.map(vehicles::Rows::read).transpose()
    }

    /// Who speaks for a vehicle.
    ///
    /// # Errors
    /// [`StorageError`]
    pub async fn primary(&self, vin: &Vin) -> Result<Option<EcuSerial>, StorageError> {
        let mut reader = self.readers.reader().await?;
        let row = sqlx::query("SELECT primary_serial FROM vehicles WHERE vin = $1")
            .bind(vin.as_str())
            .fetch_optional(&mut *reader)
            .await?;
        reader.answered();
        let Some(row) = row else { return Ok(None) };
        let primary: String = row.try_get("primary_serial")?;
        Ok(Some(EcuSerial::new(&primary)?))
    }

    /// At most `most` vehicles of a tenant, or of all, after the one called `after`.
    ///
    /// # Errors
    /// [`StorageError`]
    pub async fn vehicles(
        &self,
        tenant: Option<&str>,
        after: &str,
        most: u32,
    ) -> Result<Vec<ListedVehicle>, StorageError> {
        vehicles::list(&self.pool, tenant, after, most).await
    }

    /// One file of a vehicle's metadata.
    ///
    /// # Errors
    /// [`StorageError`]
    pub async fn file(
        &self,
        vin: &Vin,
        role: RoleType,
        version: u64,
    ) -> Result<Option<Vec<u8>>, StorageError> {
        let mut reader = self.readers.reader().await?;
        let found = vehicles::file(&mut reader, vin, role, version).await?;
        reader.answered();
        Ok(found)
    }

    /// The newest Timestamp of a vehicle.
    ///
    /// # Errors
    /// [`StorageError`]
    pub async fn timestamp(&self, vin: &Vin) -> Result<Option<StoredTimestamp>, StorageError> {
        let mut reader = self.readers.reader().await?;
        let found = vehicles::timestamp(&mut reader, vin).await?;
        reader.answered();
        Ok(found)
    }

    /// Up to a thousand entries of the audit log after the one with this number, of one vehicle or of
    /// all.
    ///
    /// # Errors
    /// [`StorageError`]
    pub async fn audit(&self, vin: Option<&Vin>, after: u64) -> Result<Vec<Entry>, StorageError> {
        audit::entries(&self.pool, vin, after).await
    }

    /// Checks the whole audit log against itself, and against a head that was noted earlier.
    ///
    /// # Errors
    /// [`StorageError`] if it cannot be read. What is wrong with it is in the result.
    pub async fn verify_audit(
        &self,
        noted: Option<&AuditHead>,
    ) -> Result<Result<AuditHead, AuditFault>, StorageError> {
        audit::verify(&self.pool, noted).await
    }

    /// Makes a change durable. When this returns, no power cut takes it back.
    ///
    /// # Errors
    /// [`StorageError`]; then nothing has changed, unless the connection was lost at that moment: look
    /// the vehicle up again.
    pub async fn commit(&self, change: Change) -> Result<Committed, StorageError> {
        self.writer.commit(change).await
    }

    /// Remembers something that changes no vehicle.
    ///
    /// # Errors
    /// As [`Database::commit`].
    pub async fn note(&self, records: Vec<Record>) -> Result<(), StorageError> {
        self.writer.note(records).await
    }

    /// Whether the engine answers.
    ///
    /// # Errors
    /// [`StorageError::Engine`]
    pub async fn ping(&self) -> Result<(), StorageError> {
        sqlx::query("SELECT 1").execute(&self.pool).await?;
        Ok(())
    }

    /// Copies a SQLite database, as it is at this moment, to a file that is not there.
    ///
    /// # Errors
    /// [`StorageError::BackupByPostgres`]: PostgreSQL has its own means.
    pub async fn back_up(&self, path: &std::path::Path) -> Result<(), StorageError> {
        match self.engine {
            Engine::Postgres => Err(StorageError::BackupByPostgres),
            Engine::Sqlite => {
                sqlx::query("VACUUM INTO $1")
                    .bind(path.to_string_lossy().into_owned())
                    .execute(&self.pool)
                    .await?;
                Ok(())
            }
        }
    }

    /// Waits until every change that was sent is durable or refused, and closes all connections. What is
    /// sent afterwards is refused.
    pub async fn close(self) {
        self.writer.finish().await;
        // In this order: what is asked from now on keeps nothing.
        let closed = self.pool.close();
        self.readers.give_back();
        closed.await;
    }

    async fn begin(&self) -> Result<Transaction<'static, Any>, StorageError> {
        Ok(self.pool.begin_with(self.engine.begin()).await?)
    }
}

/// Seconds since 1970, as a time.
fn time(row: &AnyRow, name: &str) -> Result<UtcTime, StorageError> {
    let seconds: i64 = row.try_get(name)?;
    UtcTime::from_unix(seconds)
        .ok_or_else(|| StorageError::Unreadable(format!("{name} is no time: {seconds}")))
}

fn number(row: &AnyRow, name: &str) -> Result<u64, StorageError> {
    let number: i64 = row.try_get(name)?;
    u64::try_from(number)
        .map_err(|_| StorageError::Unreadable(format!("{name} is negative: {number}")))
}

/// Numbers beyond 2^63 are not reached by counting.
fn integer(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

fn value_of(text: &str) -> Result<Value, StorageError> {
    parse(text.as_bytes()).map_err(|error| StorageError::Unreadable(error.to_string()))
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
