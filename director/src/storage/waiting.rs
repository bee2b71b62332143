//! What waits for somebody: vehicles that were announced, ECUs that were replaced, certificates that were
//! asked for.

use countersign_metadata::UtcTime;
use countersign_metadata::uptane::{EcuSerial, Vin};
use sqlx::any::AnyQueryResult;
use sqlx::{Any, Row as _, Transaction};

use super::audit::{Record, append};
use super::{Database, StorageError, time};

/// A request for a certificate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CertificateRequest {
    /// The ECU that it is for.
    pub serial: EcuSerial,
    /// The request, PEM.
    pub request: String,
    /// When it came.
    pub requested: UtcTime,
    /// The certificate, PEM, once there is one.
    pub certificate: Option<String>,
}

/// A vehicle that was announced and has not registered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AnnouncedVehicle {
    /// The vehicle.
    pub vin: Vin,
    /// Whose it will be.
    pub tenant: String,
    /// When it was announced.
    pub announced: UtcTime,
}

/// Keeps what was done, and says so in the audit log; nothing, and `false`, if there was nothing to do.
async fn keep_if_done(
    mut transaction: Transaction<'static, Any>,
    done: &AnyQueryResult,
    records: &[Record],
) -> Result<bool, StorageError> {
    if done.rows_affected() == 0 {
        return Ok(false);
    }
    append(&mut transaction, records).await?;
    transaction.commit().await?;
    Ok(true)
}

impl Database {
    /// Lets a vehicle register. `false` if it was announced or registered before.
    ///
    /// # Errors
    /// [`StorageError`]
    pub async fn expect(
        &self,
        vin: &Vin,
        tenant: &str,
        now: UtcTime,
        records: &[Record],
    ) -> Result<bool, StorageError> {
        let mut transaction = self.begin().await?;
        let known = sqlx::query("SELECT vin FROM vehicles WHERE vin = $1")
            .bind(vin.as_str())
            .fetch_optional(&mut *transaction)
            .await?;
        let added = sqlx::query(
            "INSERT INTO expected (vin, tenant, announced) VALUES ($1, $2, $3) \
             ON CONFLICT DO NOTHING",
        )
        .bind(vin.as_str())
        .bind(tenant)
        .bind(now.unix())
        .execute(&mut *transaction)
        .await?;
        match known {
            Some(_) => Ok(false),
            None => keep_if_done(transaction, &added, records).await,
        }
    }

    /// Whose a vehicle will be that was announced.
    ///
    /// # Errors
    /// [`StorageError`]
    pub async fn expected(&self, vin: &Vin) -> Result<Option<String>, StorageError> {
        let row = sqlx::query("SELECT tenant FROM expected WHERE vin = $1")
            .bind(vin.as_str())
            .fetch_optional(&self.pool)
            .await?;
        Ok(row.map(|row| row.try_get("tenant")).transpose()?)
    }

    /// At most `most` vehicles of a tenant, or of all, that were announced and have not registered, after
    /// the one called `after`.
    ///
    /// # Errors
    /// [`StorageError`]
    pub async fn announced(
        &self,
        tenant: Option<&str>,
        after: &str,
        most: u32,
    ) -> Result<Vec<AnnouncedVehicle>, StorageError> {
        let rows = sqlx::query(
            "SELECT vin, tenant, announced FROM expected WHERE vin > $1 AND ($2 = '' OR tenant = $2) \
             ORDER BY vin LIMIT $3",
        )
        .bind(after)
        .bind(tenant.unwrap_or_default())
        .bind(i64::from(most))
        .fetch_all(&self.pool)
        .await?;
        let announced = rows.iter().map(|row| {
            let vin: String = row.try_get("vin")?;
            Ok(AnnouncedVehicle {
                vin: Vin::new(&vin)?,
                tenant: row.try_get("tenant")?,
                announced: time(row, "announced")?,
            })
        });
        announced.collect()
    }

    /// Takes an announcement back. `false` if there is none that waits.
    ///
    /// # Errors
    /// [`StorageError`]
    pub async fn withdraw(&self, vin: &Vin, records: &[Record]) -> Result<bool, StorageError> {
        let mut transaction = self.begin().await?;
        let dropped = sqlx::query("DELETE FROM expected WHERE vin = $1")
            .bind(vin.as_str())
            .execute(&mut *transaction)
            .await?;
        keep_if_done(transaction, &dropped, records).await
    }

    /// Whose a vehicle is, or will be if it was announced.
    ///
    /// # Errors
    /// [`StorageError`]
    pub async fn owner(&self, vin: &Vin) -> Result<Option<String>, StorageError> {
        // In the moment in which it registers it is in both.
        let row = sqlx::query(
            "SELECT tenant, 1 AS place FROM vehicles WHERE vin = $1 \
             UNION ALL SELECT tenant, 2 AS place FROM expected WHERE vin = $1 ORDER BY place LIMIT 1",
        )
        .bind(vin.as_str())
        .fetch_optional(&self.pool)
        .await?;
        Ok(row.map(|row| row.try_get("tenant")).transpose()?)
    }

    /// Keeps what a vehicle wants to be registered as.
    ///
    /// # Errors
    /// [`StorageError`]
    pub async fn ask_for_replacement(
        &self,
        vin: &Vin,
        record: &str,
        now: UtcTime,
        records: &[Record],
    ) -> Result<(), StorageError> {
        let mut transaction = self.begin().await?;
        sqlx::query(
            "INSERT INTO replacements (vin, record, requested) VALUES ($1, $2, $3) \
             ON CONFLICT (vin) DO UPDATE SET record = excluded.record, \
             requested = excluded.requested",
        )
        .bind(vin.as_str())
        .bind(record)
        .bind(now.unix())
        .execute(&mut *transaction)
        .await?;
        append(&mut transaction, records).await?;
        Ok(transaction.commit().await?)
    }

    /// What a vehicle wants to be registered as, if that awaits approval.
    ///
    /// # Errors
    /// [`StorageError`]
    pub async fn replacement(&self, vin: &Vin) -> Result<Option<String>, StorageError> {
        let row = sqlx::query("SELECT record FROM replacements WHERE vin = $1")
            .bind(vin.as_str())
            .fetch_optional(&self.pool)
            .await?;
        Ok(row.map(|row| row.try_get("record")).transpose()?)
    }

    /// Drops what a vehicle wants to be registered as. `false` if it wanted nothing.
    ///
    /// # Errors
    /// [`StorageError`]
    pub async fn reject_replacement(
        &self,
        vin: &Vin,
        records: &[Record],
    ) -> Result<bool, StorageError> {
        let mut transaction = self.begin().await?;
        let dropped = sqlx::query("DELETE FROM replacements WHERE vin = $1")
            .bind(vin.as_str())
            .execute(&mut *transaction)
            .await?;
        keep_if_done(transaction, &dropped, records).await
    }

    /// Keeps a request for a certificate, in the place of an earlier one. The same again leaves the
    /// certificate there that may be waiting.
    ///
    /// # Errors
    /// [`StorageError`]
    pub async fn ask_for_certificate(
        &self,
        vin: &Vin,
        request: &CertificateRequest,
        records: &[Record],
    ) -> Result<(), StorageError> {
        let mut transaction = self.begin().await?;
        sqlx::query(
            "INSERT INTO certificates (vin, serial, request, requested) VALUES ($1, $2, $3, $4) \
             ON CONFLICT (vin) DO UPDATE SET serial = excluded.serial, \
             request = excluded.request, requested = excluded.requested, certificate = CASE \
             WHEN certificates.serial = excluded.serial AND certificates.request = excluded.request \
             THEN certificates.certificate END",
        )
        .bind(vin.as_str())
        .bind(request.serial.as_str())
        .bind(&*request.request)
        .bind(request.requested.unix())
        .execute(&mut *transaction)
        .await?;
        append(&mut transaction, records).await?;
        Ok(transaction.commit().await?)
    }

    /// The request of a vehicle for a certificate.
    ///
    /// # Errors
    /// [`StorageError`]
    pub async fn certificate_request(
        &self,
        vin: &Vin,
    ) -> Result<Option<CertificateRequest>, StorageError> {
        let row = sqlx::query("SELECT * FROM certificates WHERE vin = $1")
            .bind(vin.as_str())
            .fetch_optional(&self.pool)
            .await?;
        let Some(row) = row else {
            return Ok(None);
        };
        let serial: String = row.try_get("serial")?;
        Ok(Some(CertificateRequest {
            serial: EcuSerial::new(&serial)?,
            request: row.try_get("request")?,
            requested: time(&row, "requested")?,
            certificate: row.try_get("certificate")?,
        }))
    }

    /// Puts a certificate where its device fetches it. `false` if `request` is no longer what the
    /// device asks for.
    ///
    /// # Errors
    /// [`StorageError`]
    pub async fn answer_certificate(
        &self,
        vin: &Vin,
        request: &str,
        certificate: &str,
        records: &[Record],
    ) -> Result<bool, StorageError> {
        let mut transaction = self.begin().await?;
        let answered =
            sqlx::query("UPDATE certificates SET certificate = $3 WHERE vin = $1 AND request = $2")
                .bind(vin.as_str())
                .bind(request)
                .bind(certificate)
                .execute(&mut *transaction)
                .await?;
        keep_if_done(transaction, &answered, records).await
    }
}
