//! Vehicles as rows, and rows as vehicles.

use std::collections::BTreeMap;

use countersign_director_domain::desk::Desk;
use countersign_director_domain::{EcuRecord, VehicleRecord};
use countersign_metadata::json::Value;
use countersign_metadata::uptane::{EcuSerial, EncryptionKey, HardwareId, Vin};
use countersign_metadata::{Key, RoleType, TargetFile, TargetPath, UtcTime};
use sqlx::any::AnyRow;
use sqlx::{AnyConnection, AnyPool, Row as _};

use super::audit::{Record, append};
use super::{StorageError, integer, number, time, value_of};

/// What is known of a vehicle.
#[derive(Debug, Clone)]
pub struct StoredVehicle {
    /// Whose it is.
    pub tenant: String,
    /// What [`Change`](super::Change) has to name.
    pub revision: u64,
    /// Its ECUs.
    pub record: VehicleRecord,
    /// The last manifest that was believed, and when.
    pub manifest: Option<(UtcTime, Vec<u8>)>,
    /// What its ECUs shall run.
    pub orders: Vec<StoredOrder>,
    /// Why it gets no new orders, if it does not.
    pub held: Option<String>,
    /// What was published last.
    pub desk: Desk,
    /// The Root under which that was signed.
    pub signed_root: u64,
    /// From when on something has to be signed anew, in seconds since 1970.
    pub due: i64,
    /// How many versions to leave out next time.
    pub skip: u64,
    /// The newest Root that there is; 0 if there is none.
    pub newest_root: u64,
}

impl StoredVehicle {
    /// Whether something has to be signed before metadata is given out.
    pub fn is_due(&self, now: UtcTime) -> bool {
        self.due <= now.unix() || self.signed_root != self.newest_root
    }
}

/// The newest Timestamp of a vehicle, and whether it may be given out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredTimestamp {
    /// From when on something has to be signed anew, in seconds since 1970.
    pub due: i64,
    /// The Root under which everything was signed.
    pub signed_root: u64,
    /// The newest Root that there is; 0 if there is none.
    pub newest_root: u64,
    /// The file, if one was published.
    pub bytes: Option<Vec<u8>>,
}

impl StoredTimestamp {
    /// As [`StoredVehicle::is_due`].
    pub fn is_due(&self, now: UtcTime) -> bool {
        self.due <= now.unix() || self.signed_root != self.newest_root
    }
}

/// What an ECU shall run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredOrder {
    /// The ECU.
    pub serial: EcuSerial,
    /// Orders with the same name were given together.
    pub assignment: String,
    /// Whether all of them are carried out or none.
    pub whole: bool,
    /// The image.
    pub path: TargetPath,
    /// What Targets says of it, for this ECU alone.
    pub entry: TargetFile,
    /// When it was given.
    pub ordered: UtcTime,
    /// How often the ECU has tried it and gone back.
    pub failures: u32,
}

/// A vehicle in a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListedVehicle {
    /// The vehicle.
    pub vin: Vin,
    /// Whose it is.
    pub tenant: String,
    /// When it was registered.
    pub registered: UtcTime,
    /// When it has last reported.
    pub reported: Option<UtcTime>,
    /// Why it gets no new orders, if it does not.
    pub held: Option<String>,
    /// Whether other ECUs await approval.
    pub replacement: bool,
}

/// Adds a vehicle, within a transaction.
pub(super) async fn register(
    connection: &mut AnyConnection,
    (vin, tenant, record): (&Vin, &str, &VehicleRecord),
    now: UtcTime,
    records: &[Record],
) -> Result<(), StorageError> {
    // Where versions may have been forgotten, they may be of a vehicle that was, too.
    let skip = sqlx::query("SELECT value FROM settings WHERE name = 'skip'")
        .fetch_optional(&mut *connection)
        .await?;
    let skip: Option<String> = skip.map(|row| row.try_get("value")).transpose()?;
    let skip: i64 = skip.and_then(|skip| skip.parse().ok()).unwrap_or_default();
    let added = sqlx::query(
        "INSERT INTO vehicles (vin, tenant, primary_serial, registered, revision, desk, \
         signed_root, due, skip) VALUES ($1, $2, $3, $4, 0, '', 0, 0, $5) \
         ON CONFLICT (vin) DO NOTHING",
    )
    .bind(vin.as_str())
    .bind(tenant)
    .bind(record.primary.as_str())
    .bind(now.unix())
    .bind(skip)
    .execute(&mut *connection)
    .await?;
    if added.rows_affected() == 0 {
        return Err(StorageError::KnownVehicle(vin.clone()));
    }
    insert_ecus(vin, record, connection).await?;
    sqlx::query("DELETE FROM expected WHERE vin = $1")
        .bind(vin.as_str())
        .execute(&mut *connection)
        .await?;
    append(connection, records).await
}

pub(super) async fn insert_ecus(
    vin: &Vin,
    record: &VehicleRecord,
    connection: &mut AnyConnection,
) -> Result<(), StorageError> {
    for (serial, ecu) in &record.ecus {
        let public = ecu.check(serial)?;
        // Whichever of the two is taken, a row with it is there.
        let added = sqlx::query(
            "INSERT INTO ecus (serial, vin, hardware_id, signing_key, signing_keyid, encryption_key) \
             VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT DO NOTHING",
        )
        .bind(serial.as_str())
        .bind(vin.as_str())
        .bind(ecu.hardware_id.as_str())
        .bind(text_of(&ecu.signing.to_value()))
        .bind(Key::new(&public).id().as_str().to_owned())
        .bind(ecu.encryption.as_ref().map(|key| text_of(&key.to_value())))
        .execute(&mut *connection)
        .await?;
        if added.rows_affected() == 0 {
            let known = sqlx::query("SELECT vin FROM ecus WHERE serial = $1")
                .bind(serial.as_str())
                .fetch_optional(&mut *connection)
                .await?;
            return Err(match known {
                Some(_) => StorageError::KnownEcu(serial.clone()),
                None => StorageError::SharedKey(serial.clone()),
            });
        }
    }
    Ok(())
}

/// The rows of a vehicle, not read yet: whoever else waits for the connection need not wait for that.
pub(super) struct Rows {
    vehicle: AnyRow,
    ecus: Vec<AnyRow>,
    orders: Vec<AnyRow>,
}

pub(super) async fn vehicle(
    connection: &mut AnyConnection,
    vin: &Vin,
) -> Result<Option<Rows>, StorageError> {
    // The revision is read first: whatever changes after that is found out by it.
    let found = sqlx::query(
        "SELECT tenant, primary_serial, revision, held, desk, signed_root, due, skip, received, \
         manifest, (SELECT MAX(version) FROM roots) AS newest_root FROM vehicles \
         LEFT JOIN manifests ON manifests.vin = vehicles.vin WHERE vehicles.vin = $1",
    )
    .bind(vin.as_str())
    .fetch_optional(&mut *connection)
    .await?;
    let Some(vehicle) = found else {
        return Ok(None);
    };
    let ecus = sqlx::query(
        "SELECT serial, hardware_id, signing_key, encryption_key FROM ecus WHERE vin = $1",
    )
    .bind(vin.as_str())
    .fetch_all(&mut *connection)
    .await?;
    let orders = sqlx::query(
        "SELECT serial, assignment, whole, path, entry, ordered, failures FROM orders \
         WHERE vin = $1 ORDER BY serial",
    )
    .bind(vin.as_str())
    .fetch_all(&mut *connection)
    .await?;
    Ok(Some(Rows {
        vehicle,
        ecus,
        orders,
    }))
}

impl Rows {
    pub(super) fn read(self) -> Result<StoredVehicle, StorageError> {
        let row = &self.vehicle;
        let primary: String = row.try_get("primary_serial")?;
        let desk: String = row.try_get("desk")?;
        let received: Option<i64> = row.try_get("received")?;
        let received = received.and_then(UtcTime::from_unix);
        let manifest: Option<Vec<u8>> = row.try_get("manifest")?;
        Ok(StoredVehicle {
            tenant: row.try_get("tenant")?,
            revision: number(row, "revision")?,
            record: VehicleRecord {
                primary: EcuSerial::new(&primary)?,
                ecus: self
                    .ecus
                    .iter()
                    .map(ecu)
                    .collect::<Result<BTreeMap<_, _>, _>>()?,
            },
            manifest: received.zip(manifest),
            orders: self.orders.iter().map(order).collect::<Result<_, _>>()?,
            held: row.try_get("held")?,
            desk: Desk::of_text(&desk)?,
            signed_root: number(row, "signed_root")?,
            due: row.try_get("due")?,
            skip: number(row, "skip")?,
            newest_root: newest_root(row)?,
        })
    }
}

fn newest_root(row: &AnyRow) -> Result<u64, StorageError> {
    let newest: Option<i64> = row.try_get("newest_root")?;
    Ok(u64::try_from(newest.unwrap_or_default()).unwrap_or_default())
}

/// The newest Timestamp, and what says whether it will do, as of one moment.
pub(super) async fn timestamp(
    connection: &mut AnyConnection,
    vin: &Vin,
) -> Result<Option<StoredTimestamp>, StorageError> {
    let found = sqlx::query(
        "SELECT due, signed_root, (SELECT MAX(version) FROM roots) AS newest_root, \
         (SELECT bytes FROM files WHERE files.vin = vehicles.vin AND role = $2 \
         ORDER BY version DESC LIMIT 1) AS bytes FROM vehicles WHERE vin = $1",
    )
    .bind(vin.as_str())
    .bind(RoleType::Timestamp.name())
    .fetch_optional(connection)
    .await?;
    let Some(row) = found else { return Ok(None) };
    Ok(Some(StoredTimestamp {
        due: row.try_get("due")?,
        signed_root: number(&row, "signed_root")?,
        newest_root: newest_root(&row)?,
        bytes: row.try_get("bytes")?,
    }))
}

/// Vehicles after `after`, in the order of their identifiers.
pub(super) async fn list(
    pool: &AnyPool,
    tenant: Option<&str>,
    after: &str,
    most: u32,
) -> Result<Vec<ListedVehicle>, StorageError> {
    let rows = sqlx::query(
        "SELECT vehicles.vin AS vin, tenant, registered, held, received, replacements.requested \
         AS requested FROM vehicles LEFT JOIN manifests ON manifests.vin = vehicles.vin \
         LEFT JOIN replacements ON replacements.vin = vehicles.vin \
         WHERE vehicles.vin > $1 AND ($2 = '' OR tenant = $2) ORDER BY vehicles.vin LIMIT $3",
    )
    .bind(after)
    .bind(tenant.unwrap_or_default())
    .bind(i64::from(most))
    .fetch_all(pool)
    .await?;
    rows.iter().map(listed).collect()
}

/// A file that was published.
pub(super) async fn file(
    connection: &mut AnyConnection,
    vin: &Vin,
    role: RoleType,
    version: u64,
) -> Result<Option<Vec<u8>>, StorageError> {
    let found =
        sqlx::query("SELECT bytes FROM files WHERE vin = $1 AND role = $2 AND version = $3")
            .bind(vin.as_str())
            .bind(role.name())
            .bind(integer(version))
            .fetch_optional(connection)
            .await?;
    Ok(found.map(|row| row.try_get("bytes")).transpose()?)
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

fn order(row: &AnyRow) -> Result<StoredOrder, StorageError> {
    let text = |name: &str| row.try_get::<String, _>(name);
    let path = TargetPath::new(&text("path")?);
    Ok(StoredOrder {
        serial: EcuSerial::new(&text("serial")?)?,
        assignment: text("assignment")?,
        whole: row.try_get::<i64, _>("whole")? != 0,
        path: path.map_err(|error| StorageError::Unreadable(error.to_string()))?,
        entry: TargetFile::of(&value_of(&text("entry")?)?)?,
        ordered: time(row, "ordered")?,
        failures: u32::try_from(number(row, "failures")?).unwrap_or(u32::MAX),
    })
}

fn listed(row: &AnyRow) -> Result<ListedVehicle, StorageError> {
    let vin: String = row.try_get("vin")?;
    let reported: Option<i64> = row.try_get("received")?;
    let replacement: Option<i64> = row.try_get("requested")?;
    Ok(ListedVehicle {
        vin: Vin::new(&vin)?,
        tenant: row.try_get("tenant")?,
        registered: time(row, "registered")?,
        reported: reported.and_then(UtcTime::from_unix),
        held: row.try_get("held")?,
        replacement: replacement.is_some(),
    })
}

pub(super) fn text_of(value: &Value) -> String {
    countersign_metadata::canonical::encode(value)
}
