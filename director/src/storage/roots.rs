//! The Director's Roots, what it has signed to be carried, and single values.

use countersign_metadata::UtcTime;
use sqlx::Row as _;

use super::audit::{Record, append};
use super::{Database, StorageError, integer, number};

impl Database {
    /// All Roots, version 1 first.
    ///
    /// # Errors
    /// [`StorageError`]
    pub async fn roots(&self) -> Result<Vec<Vec<u8>>, StorageError> {
        let rows = sqlx::query("SELECT bytes FROM roots ORDER BY version")
            .fetch_all(&self.pool)
            .await?;
        let roots = rows.iter().map(|row| row.try_get("bytes"));
        Ok(roots.collect::<Result<_, _>>()?)
    }

    /// The Root with this version.
    ///
    /// # Errors
    /// [`StorageError`]
    pub async fn root(&self, version: u64) -> Result<Option<Vec<u8>>, StorageError> {
        let row = sqlx::query("SELECT bytes FROM roots WHERE version = $1")
            .bind(integer(version))
            .fetch_optional(&self.pool)
            .await?;
        Ok(row.map(|row| row.try_get("bytes")).transpose()?)
    }

    /// The version of the newest Root; 0 if there is none.
    ///
    /// # Errors
    /// [`StorageError`]
    pub async fn newest_root(&self) -> Result<u64, StorageError> {
        let row = sqlx::query("SELECT COALESCE(MAX(version), 0) AS version FROM roots")
            .fetch_one(&self.pool)
            .await?;
        number(&row, "version")
    }

    /// Adds a Root that was verified.
    ///
    /// # Errors
    /// [`StorageError`], also if there is one with this version already.
    pub async fn add_root(
        &self,
        version: u64,
        bytes: &[u8],
        now: UtcTime,
        records: &[Record],
    ) -> Result<(), StorageError> {
        let mut transaction = self.begin().await?;
        sqlx::query("INSERT INTO roots (version, imported, bytes) VALUES ($1, $2, $3)")
            .bind(integer(version))
            .bind(now.unix())
            .bind(bytes)
            .execute(&mut *transaction)
            .await?;
        append(&mut transaction, records).await?;
        Ok(transaction.commit().await?)
    }

    /// The newest version of a file that was signed to be carried.
    ///
    /// # Errors
    /// [`StorageError`]
    pub async fn offline_file(&self, name: &str) -> Result<Option<Vec<u8>>, StorageError> {
        let row = sqlx::query(
            "SELECT bytes FROM offline_files WHERE name = $1 ORDER BY version DESC LIMIT 1",
        )
        .bind(name)
        .fetch_optional(&self.pool)
        .await?;
        Ok(row.map(|row| row.try_get("bytes")).transpose()?)
    }

    /// Adds files that were signed to be carried: names, versions and bytes. Fails if one of the
    /// versions is there: then somebody else has signed it meanwhile, and these are worth nothing.
    ///
    /// # Errors
    /// [`StorageError`]
    pub async fn add_offline_files(
        &self,
        files: &[(&str, u64, &[u8])],
        records: &[Record],
    ) -> Result<(), StorageError> {
        let mut transaction = self.begin().await?;
        for (name, version, bytes) in files {
            sqlx::query("INSERT INTO offline_files (name, version, bytes) VALUES ($1, $2, $3)")
                .bind(*name)
                .bind(integer(*version))
                .bind(*bytes)
                .execute(&mut *transaction)
                .await?;
        }
        sqlx::query("UPDATE settings SET value = '0' WHERE name = 'offline-skip'")
            .execute(&mut *transaction)
            .await?;
        append(&mut transaction, records).await?;
        Ok(transaction.commit().await?)
    }

    /// A value that is kept; the first one that anybody gives it stays.
    ///
    /// # Errors
    /// [`StorageError`]
    pub async fn setting(&self, name: &str, first: &str) -> Result<String, StorageError> {
        sqlx::query("INSERT INTO settings (name, value) VALUES ($1, $2) ON CONFLICT DO NOTHING")
            .bind(name)
            .bind(first)
            .execute(&self.pool)
            .await?;
        let row = sqlx::query("SELECT value FROM settings WHERE name = $1")
            .bind(name)
            .fetch_one(&self.pool)
            .await?;
        Ok(row.try_get("value")?)
    }

    /// After an older database was put in place: every vehicle's next versions leave out `skip`, so
    /// that they are above all that was published and forgotten. The same holds for vehicles that
    /// register again, and for what is carried. Nothing is ordered of anybody afterwards.
    ///
    /// # Errors
    /// [`StorageError`]
    pub async fn leave_out_versions(
        &self,
        skip: u64,
        records: &[Record],
    ) -> Result<(), StorageError> {
        let mut transaction = self.begin().await?;
        sqlx::query("UPDATE vehicles SET skip = skip + $1, due = 0, revision = revision + 1")
            .bind(integer(skip))
            .execute(&mut *transaction)
            .await?;
        // What was ordered then may be older than what runs now: somebody decides anew.
        sqlx::query("DELETE FROM orders")
            .execute(&mut *transaction)
            .await?;
        let row = sqlx::query("SELECT value FROM settings WHERE name = 'skip'")
            .fetch_optional(&mut *transaction)
            .await?;
        let before: Option<String> = row.map(|row| row.try_get("value")).transpose()?;
        let before: u64 = before
            .and_then(|text| text.parse().ok())
            .unwrap_or_default();
        for name in ["skip", "offline-skip"] {
            sqlx::query(
                "INSERT INTO settings (name, value) VALUES ($1, $2) \
                 ON CONFLICT (name) DO UPDATE SET value = excluded.value",
            )
            .bind(name)
            .bind(before.saturating_add(skip).to_string())
            .execute(&mut *transaction)
            .await?;
        }
        append(&mut transaction, records).await?;
        Ok(transaction.commit().await?)
    }
}
