//! One change of what is known of a vehicle.

use countersign_director_domain::VehicleRecord;
use countersign_director_domain::desk::{Desk, NewFile};
use countersign_metadata::uptane::Vin;
use countersign_metadata::{RoleType, UtcTime};
use sqlx::AnyConnection;

use super::audit::Record;
use super::vehicles::{StoredOrder, insert_ecus, text_of};
use super::{StorageError, integer};

/// Newest versions of Snapshot and Targets that are kept, for vehicles that are between two files.
const KEPT: u64 = 8;

/// What changes in one vehicle, all of it or nothing.
#[derive(Debug, Clone)]
pub struct Change {
    /// The vehicle.
    pub vin: Vin,
    /// The revision that this was decided on.
    pub revision: u64,
    /// When.
    pub now: UtcTime,
    /// The manifest that was believed, if this is what came of one.
    pub manifest: Option<Vec<u8>>,
    /// All its orders, if they are others than before.
    pub orders: Option<Vec<StoredOrder>>,
    /// Whether it gets new orders, if that changes; and why not.
    pub held: Option<Option<String>>,
    /// Its ECUs, if they are others than before.
    pub record: Option<VehicleRecord>,
    /// What was signed, if something was.
    pub published: Option<Published>,
    /// What is to be remembered of it.
    pub records: Vec<Record>,
}

/// What was signed, and is published by the change.
#[derive(Debug, Clone)]
pub struct Published {
    /// What was published last, from now on.
    pub desk: Desk,
    /// The Root under which it was signed.
    pub root: u64,
    /// From when on something has to be signed anew.
    pub due: UtcTime,
    /// The new files.
    pub files: Vec<NewFile>,
}

/// What became of a change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Committed {
    /// It is durable, and the vehicle has the next revision.
    Done,
    /// The vehicle has changed in the meantime: decide again.
    Conflict,
}

impl Change {
    /// A change that changes nothing yet.
    pub fn of(vin: &Vin, revision: u64, now: UtcTime) -> Self {
        Self {
            vin: vin.clone(),
            revision,
            now,
            manifest: None,
            orders: None,
            held: None,
            record: None,
            published: None,
            records: Vec::new(),
        }
    }

    /// Within the transaction of `connection`.
    pub(super) async fn apply(
        &self,
        connection: &mut AnyConnection,
    ) -> Result<Committed, StorageError> {
        let moved = match &self.published {
            None => sqlx::query(
                "UPDATE vehicles SET revision = revision + 1 WHERE vin = $1 AND revision = $2",
            )
            .bind(self.vin.as_str())
            .bind(integer(self.revision)),
            Some(published) => sqlx::query(
                "UPDATE vehicles SET revision = revision + 1, desk = $3, signed_root = $4, \
                 due = $5, skip = 0 WHERE vin = $1 AND revision = $2",
            )
            .bind(self.vin.as_str())
            .bind(integer(self.revision))
            .bind(published.desk.to_text())
            .bind(integer(published.root))
            .bind(published.due.unix()),
        };
        let moved = moved.execute(&mut *connection).await?;
        if moved.rows_affected() != 1 {
            return Ok(Committed::Conflict);
        }
        if let Some(record) = &self.record {
            self.replace_ecus(record, connection).await?;
        }
        if let Some(manifest) = &self.manifest {
            sqlx::query(
                "INSERT INTO manifests (vin, received, manifest) VALUES ($1, $2, $3) \
                 ON CONFLICT (vin) DO UPDATE SET received = excluded.received, \
                 manifest = excluded.manifest",
            )
            .bind(self.vin.as_str())
            .bind(self.now.unix())
            .bind(&manifest[..])
            .execute(&mut *connection)
            .await?;
        }
        if let Some(held) = &self.held {
            sqlx::query("UPDATE vehicles SET held = $2 WHERE vin = $1")
                .bind(self.vin.as_str())
                .bind(held.as_deref())
                .execute(&mut *connection)
                .await?;
        }
        if let Some(orders) = &self.orders {
            self.replace_orders(orders, connection).await?;
        }
        match &self.published {
            Some(published) => published.add_files(&self.vin, connection).await?,
            None if self.asks_for_other_files() => {
                sqlx::query("UPDATE vehicles SET due = 0 WHERE vin = $1")
                    .bind(self.vin.as_str())
                    .execute(&mut *connection)
                    .await?;
            }
            None => {}
        }
        Ok(Committed::Done)
    }

    /// Whether Targets is another one from now on. It is signed when somebody asks for it.
    fn asks_for_other_files(&self) -> bool {
        self.orders.is_some() || self.held.is_some() || self.record.is_some()
    }

    async fn replace_ecus(
        &self,
        record: &VehicleRecord,
        connection: &mut AnyConnection,
    ) -> Result<(), StorageError> {
        for statement in [
            "DELETE FROM ecus WHERE vin = $1",
            "DELETE FROM replacements WHERE vin = $1",
        ] {
            sqlx::query(statement)
                .bind(self.vin.as_str())
                .execute(&mut *connection)
                .await?;
        }
        sqlx::query("UPDATE vehicles SET primary_serial = $2 WHERE vin = $1")
            .bind(self.vin.as_str())
            .bind(record.primary.as_str())
            .execute(&mut *connection)
            .await?;
        insert_ecus(&self.vin, record, connection).await
    }

    async fn replace_orders(
        &self,
        orders: &[StoredOrder],
        connection: &mut AnyConnection,
    ) -> Result<(), StorageError> {
        sqlx::query("DELETE FROM orders WHERE vin = $1")
            .bind(self.vin.as_str())
            .execute(&mut *connection)
            .await?;
        for order in orders {
            sqlx::query(
                "INSERT INTO orders (vin, serial, assignment, whole, path, entry, ordered, failures) \
                 VALUES ($1, $2, $3, $4, $5, $6, $7, $8)",
            )
            .bind(self.vin.as_str())
            .bind(order.serial.as_str())
            .bind(&*order.assignment)
            .bind(i64::from(order.whole))
            .bind(order.path.as_str())
            .bind(text_of(&order.entry.to_value()))
            .bind(order.ordered.unix())
            .bind(i64::from(order.failures))
            .execute(&mut *connection)
            .await?;
        }
        Ok(())
    }
}

impl Published {
    /// Adds the files, and takes away those that nobody asks for any more.
    async fn add_files(
        &self,
        vin: &Vin,
        connection: &mut AnyConnection,
    ) -> Result<(), StorageError> {
        for files in self.files.chunks(INSERT_FILES.len()) {
            let mut insert = sqlx::query(INSERT_FILES[files.len() - 1]).bind(vin.as_str());
            let mut delete = sqlx::query(DELETE_FILES[files.len() - 1]).bind(vin.as_str());
            for file in files {
                let (role, kept) = (file.role.name(), kept(file.role));
                let version = integer(file.version);
                insert = insert.bind(role).bind(version).bind(&file.bytes[..]);
                let gone = integer(file.version.saturating_sub(kept));
                delete = delete.bind(role).bind(gone);
            }
            insert.execute(&mut *connection).await?;
            delete.execute(&mut *connection).await?;
        }
        Ok(())
    }
}

/// Versions of a role that are kept.
fn kept(role: RoleType) -> u64 {
    match role {
        RoleType::Timestamp => 1,
        _ => KEPT,
    }
}

/// For one file, two and three: as many trips to the engine as for one.
const INSERT_FILES: [&str; 3] = [
    "INSERT INTO files (vin, role, version, bytes) VALUES ($1, $2, $3, $4)",
    "INSERT INTO files (vin, role, version, bytes) VALUES ($1, $2, $3, $4), ($1, $5, $6, $7)",
    "INSERT INTO files (vin, role, version, bytes) VALUES ($1, $2, $3, $4), ($1, $5, $6, $7), \
     ($1, $8, $9, $10)",
];

const DELETE_FILES: [&str; 3] = [
    "DELETE FROM files WHERE vin = $1 AND role = $2 AND version <= $3",
    "DELETE FROM files WHERE vin = $1 AND ((role = $2 AND version <= $3) OR \
     (role = $4 AND version <= $5))",
    "DELETE FROM files WHERE vin = $1 AND ((role = $2 AND version <= $3) OR \
     (role = $4 AND version <= $5) OR (role = $6 AND version <= $7))",
];
