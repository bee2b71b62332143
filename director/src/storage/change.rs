//! One change of what is known of a vehicle.

use std::collections::BTreeMap;

use countersign_metadata::UtcTime;
use countersign_metadata::uptane::Vin;
use sqlx::AnyConnection;

use super::StorageError;

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
    /// Signed files by name. A versioned file is added once; `timestamp.json` is replaced.
    pub files: BTreeMap<String, Vec<u8>>,
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
    /// Within the transaction of `connection`.
    pub(super) async fn apply(
        &self,
        connection: &mut AnyConnection,
    ) -> Result<Committed, StorageError> {
        let revision = i64::try_from(self.revision).unwrap_or(i64::MAX);
        let moved = sqlx::query(
            "UPDATE vehicles SET revision = revision + 1 WHERE vin = $1 AND revision = $2",
        )
        .bind(self.vin.as_str())
        .bind(revision)
        .execute(&mut *connection)
        .await?;
        if moved.rows_affected() != 1 {
            return Ok(Committed::Conflict);
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
        for (name, bytes) in &self.files {
            let statement = match &**name {
                "timestamp.json" => {
                    "INSERT INTO files (vin, name, bytes) VALUES ($1, $2, $3) \
                     ON CONFLICT (vin, name) DO UPDATE SET bytes = excluded.bytes"
                }
                _ => "INSERT INTO files (vin, name, bytes) VALUES ($1, $2, $3)",
            };
            sqlx::query(statement)
                .bind(self.vin.as_str())
                .bind(&**name)
                .bind(&bytes[..])
                .execute(&mut *connection)
                .await?;
        }
        Ok(Committed::Done)
    }
}
