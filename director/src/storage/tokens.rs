//! Who may use the admin API.

use countersign_metadata::UtcTime;
use sqlx::Row as _;
use sqlx::any::AnyRow;

use super::audit::{Record, append};
use super::{Database, StorageError, time};

/// A token, as it is known here: its digest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredToken {
    /// The public part of it.
    pub id: String,
    /// What people call it.
    pub name: String,
    /// Whose vehicles it is good for; all if there is none.
    pub tenant: Option<String>,
    /// What it is good for, separated by spaces.
    pub scopes: String,
    /// SHA-256 of the secret part, in hexadecimal.
    pub digest: String,
    /// When it was made.
    pub created: UtcTime,
    /// When it ends.
    pub expires: UtcTime,
    /// When it was revoked, if it was.
    pub revoked: Option<UtcTime>,
}

impl Database {
    /// Adds a token.
    ///
    /// # Errors
    /// [`StorageError`]
    pub async fn add_token(
        &self,
        token: &StoredToken,
        records: &[Record],
    ) -> Result<(), StorageError> {
        let mut transaction = self.begin().await?;
        sqlx::query(
            "INSERT INTO tokens (id, name, tenant, scopes, digest, created, expires) \
             VALUES ($1, $2, $3, $4, $5, $6, $7)",
        )
        .bind(&*token.id)
        .bind(&*token.name)
        .bind(token.tenant.as_deref())
        .bind(&*token.scopes)
        .bind(&*token.digest)
        .bind(token.created.unix())
        .bind(token.expires.unix())
        .execute(&mut *transaction)
        .await?;
        append(&mut transaction, records).await?;
        Ok(transaction.commit().await?)
    }

    /// The token with this id.
    ///
    /// # Errors
    /// [`StorageError`]
    pub async fn token(&self, id: &str) -> Result<Option<StoredToken>, StorageError> {
        let row = sqlx::query("SELECT * FROM tokens WHERE id = $1")
            .bind(id)
            .fetch_optional(&self.pool)
            .await?;
        row.as_ref().map(token).transpose()
    }

    /// All tokens, the oldest first.
    ///
    /// # Errors
    /// [`StorageError`]
    pub async fn tokens(&self) -> Result<Vec<StoredToken>, StorageError> {
        let rows = sqlx::query("SELECT * FROM tokens ORDER BY created, id")
            .fetch_all(&self.pool)
            .await?;
        rows.iter().map(token).collect()
    }

    /// Ends a token for ever. `false` if there is none with this id that was good until now.
    ///
    /// # Errors
    /// [`StorageError`]
    pub async fn revoke_token(
        &self,
        id: &str,
        now: UtcTime,
        records: &[Record],
    ) -> Result<bool, StorageError> {
        let mut transaction = self.begin().await?;
        let revoked =
            sqlx::query("UPDATE tokens SET revoked = $2 WHERE id = $1 AND revoked IS NULL")
                .bind(id)
                .bind(now.unix())
                .execute(&mut *transaction)
                .await?;
        if revoked.rows_affected() == 0 {
            return Ok(false);
        }
        append(&mut transaction, records).await?;
        transaction.commit().await?;
        Ok(true)
    }
}

fn token(row: &AnyRow) -> Result<StoredToken, StorageError> {
    let revoked: Option<i64> = row.try_get("revoked")?;
    Ok(StoredToken {
        id: row.try_get("id")?,
        name: row.try_get("name")?,
        tenant: row.try_get("tenant")?,
        scopes: row.try_get("scopes")?,
        digest: row.try_get("digest")?,
        created: time(row, "created")?,
        expires: time(row, "expires")?,
        revoked: revoked.and_then(UtcTime::from_unix),
    })
}
