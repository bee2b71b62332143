//! Vehicles as rows, and rows as vehicles.

use std::collections::BTreeMap;

use countersign_director_domain::{EcuRecord, VehicleRecord};
use countersign_metadata::json::{Value, parse};
use countersign_metadata::uptane::{EcuSerial, EncryptionKey, HardwareId, Vin};
use countersign_metadata::{Key, PublicKey, UtcTime};
use sqlx::any::AnyRow;
use sqlx::{AnyPool, Row as _};

use super::StorageError;

/// What is known of a vehicle.
#[derive(Debug, Clone)]
pub struct StoredVehicle {
    /// Whose it is.
    pub tenant: String,
    /// What [`Change`](super::Change) has to name.
    pub revision: u64,
    /// Its ECUs.
    pub record: VehicleRecord,
    /// The last manifest that was believed.
    pub manifest: Option<Vec<u8>>,
}

pub(super) async fn register(
    pool: &AnyPool,
    vin: &Vin,
    tenant: &str,
    record: &VehicleRecord,
    now: UtcTime,
) -> Result<(), StorageError> {
    let mut transaction = pool.begin().await?;
    let added = sqlx::query(
        "INSERT INTO vehicles (vin, tenant, primary_serial, registered, revision) \
         VALUES ($1, $2, $3, $4, 0) ON CONFLICT (vin) DO NOTHING",
    )
    .bind(vin.as_str())
    .bind(tenant)
    .bind(record.primary.as_str())
    .bind(now.unix())
    .execute(&mut *transaction)
    .await?;
    if added.rows_affected() == 0 {
        return Err(StorageError::KnownVehicle(vin.clone()));
    }
    for (serial, ecu) in &record.ecus {
        let public = ecu.check(serial)?;
        // Whichever of the two is taken, a row with it is there.
        let added = sqlx::query(
            "INSERT INTO ecus (serial, vin, hardware_id, signing_key, signing_public, encryption_key) \
             VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT DO NOTHING",
        )
        .bind(serial.as_str())
        .bind(vin.as_str())
        .bind(ecu.hardware_id.as_str())
        .bind(text_of(&ecu.signing.to_value()))
        .bind(bytes_of(&public))
        .bind(ecu.encryption.as_ref().map(|key| text_of(&key.to_value())))
        .execute(&mut *transaction)
        .await?;
        if added.rows_affected() == 0 {
            let known = sqlx::query("SELECT vin FROM ecus WHERE serial = $1")
                .bind(serial.as_str())
                .fetch_optional(&mut *transaction)
                .await?;
            return Err(match known {
                Some(_) => StorageError::KnownEcu(serial.clone()),
                None => StorageError::SharedKey(serial.clone()),
            });
        }
    }
    Ok(transaction.commit().await?)
}

pub(super) async fn vehicle(
    pool: &AnyPool,
    vin: &Vin,
) -> Result<Option<StoredVehicle>, StorageError> {
    // The revision is read first: whatever changes after that is found out by it.
    let mut transaction = pool.begin().await?;
    let found = sqlx::query(
        "SELECT tenant, primary_serial, revision, manifest FROM vehicles \
         LEFT JOIN manifests ON manifests.vin = vehicles.vin WHERE vehicles.vin = $1",
    )
    .bind(vin.as_str())
    .fetch_optional(&mut *transaction)
    .await?;
    let Some(row) = found else {
        return Ok(None);
    };
    let ecus = sqlx::query(
        "SELECT serial, hardware_id, signing_key, encryption_key FROM ecus WHERE vin = $1",
    )
    .bind(vin.as_str())
    .fetch_all(&mut *transaction)
    .await?;
    let primary: String = row.try_get("primary_serial")?;
    let revision: i64 = row.try_get("revision")?;
    Ok(Some(StoredVehicle {
        tenant: row.try_get("tenant")?,
        revision: u64::try_from(revision).unwrap_or_default(),
        record: VehicleRecord {
            primary: EcuSerial::new(&primary)?,
            ecus: ecus
                .iter()
                .map(ecu)
                .collect::<Result<BTreeMap<_, _>, _>>()?,
        },
        manifest: row.try_get("manifest")?,
    }))
}

fn ecu(row: &AnyRow) -> Result<(EcuSerial, EcuRecord), StorageError> {
    let text = |name: &str| row.try_get::<String, _>(name);
    let encryption: Option<String> = row.try_get("encryption_key")?;
    let record = EcuRecord {
        hardware_id: HardwareId::new(&text("hardware_id")?)?,
        signing: Key::of(&value_of(&text("signing_key")?)?)?,
        encryption: match encryption {
            Some(key) => Some(EncryptionKey::of(&value_of(&key)?)?),
            None => None,
        },
    };
    Ok((EcuSerial::new(&text("serial")?)?, record))
}

fn bytes_of(key: &PublicKey) -> Vec<u8> {
    Key::new(key).id().as_str().as_bytes().to_vec()
}

fn text_of(value: &Value) -> String {
    countersign_metadata::canonical::encode(value)
}

fn value_of(text: &str) -> Result<Value, StorageError> {
    parse(text.as_bytes()).map_err(|error| StorageError::Unreadable(error.to_string()))
}
