//! What has happened, in an order that nobody can change unseen: each entry has the digest of the one
//! before it.

use countersign_metadata::json::{Object, Value};
use countersign_metadata::uptane::Vin;
use countersign_metadata::{UtcTime, canonical, sha256};
use sqlx::any::AnyRow;
use sqlx::{AnyConnection, AnyPool, Row as _};

use super::{StorageError, number, time};

/// Something that is to be remembered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// When.
    pub at: UtcTime,
    /// Who did it: `vehicle:VIN`, `token:ID`, `operator` or `director`.
    pub actor: String,
    /// What it was, in the words of docs/operator.md.
    pub action: String,
    /// The vehicle that it was about, if it was about one.
    pub vin: Option<Vin>,
    /// The rest, by name.
    pub detail: Object,
}

/// A record in its place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Counts from 1, without a gap.
    pub seq: u64,
    /// What is remembered.
    pub record: Record,
    /// SHA-256 over all that and the digest before, in hexadecimal.
    pub digest: String,
}

/// What an intact log comes to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuditHead {
    /// The number of the last entry; 0 if there is none.
    pub seq: u64,
    /// Its digest. Whoever keeps it elsewhere can tell later that nothing was cut off.
    pub digest: String,
}

/// What is wrong with a log.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AuditFault {
    /// An entry is missing.
    #[error("entry {0} is missing")]
    Gap(u64),
    /// An entry is not what was written, or one before it.
    #[error("entry {0} was changed, or the one before it was")]
    Changed(u64),
    /// The head names another entry than the last one.
    #[error(
        "the log ends with entry {found}, and its head says {head}: its end was cut off or forged"
    )]
    End {
        /// The last entry.
        found: u64,
        /// What the head says.
        head: u64,
    },
    /// The log does not go on from what was noted earlier.
    #[error(
        "entry {0} has not the digest that was noted: this is another log, or it was rewritten"
    )]
    Anchor(u64),
}

/// The digest before the first entry.
pub(super) const ORIGIN: &str = "0000000000000000000000000000000000000000000000000000000000000000";

/// Entries that are read at once.
const PAGE: i64 = 1000;

/// Adds records, within the transaction of `connection`. From here to its end nobody else adds any.
pub(super) async fn append(
    connection: &mut AnyConnection,
    records: &[Record],
) -> Result<(), StorageError> {
    if records.is_empty() {
        return Ok(());
    }
    let head = sqlx::query("UPDATE audit_head SET seq = seq WHERE id = 1 RETURNING seq, digest")
        .fetch_one(&mut *connection)
        .await?;
    let mut seq = number(&head, "seq")?;
    let mut digest: String = head.try_get("digest")?;
    for record in records {
        seq += 1;
        digest = digest_of(seq, record, &digest);
        sqlx::query(
            "INSERT INTO audit (seq, at, actor, action, vin, detail, digest) \
             VALUES ($1, $2, $3, $4, $5, $6, $7)",
        )
        .bind(i64::try_from(seq).unwrap_or(i64::MAX))
        .bind(record.at.unix())
        .bind(&*record.actor)
        .bind(&*record.action)
        .bind(record.vin.as_ref().map(Vin::as_str))
        .bind(canonical::encode(&record.detail.clone().into()))
        .bind(&*digest)
        .execute(&mut *connection)
        .await?;
    }
    sqlx::query("UPDATE audit_head SET seq = $1, digest = $2 WHERE id = 1")
        .bind(i64::try_from(seq).unwrap_or(i64::MAX))
        .bind(digest)
        .execute(&mut *connection)
        .await?;
    Ok(())
}

/// Up to a thousand entries after `seq`, of one vehicle or of all.
pub(super) async fn entries(
    pool: &AnyPool,
    vin: Option<&Vin>,
    after: u64,
) -> Result<Vec<Entry>, StorageError> {
    let after = i64::try_from(after).unwrap_or(i64::MAX);
    let rows = match vin {
        Some(vin) => {
            sqlx::query("SELECT * FROM audit WHERE vin = $1 AND seq > $2 ORDER BY seq LIMIT $3")
                .bind(vin.as_str())
                .bind(after)
                .bind(PAGE)
                .fetch_all(pool)
                .await?
        }
        None => {
            sqlx::query("SELECT * FROM audit WHERE seq > $1 ORDER BY seq LIMIT $2")
                .bind(after)
                .bind(PAGE)
                .fetch_all(pool)
                .await?
        }
    };
    rows.iter().map(entry).collect()
}

/// Reads the whole log, and says what it comes to. `anchor` is a head that was noted earlier.
pub(super) async fn verify(
    pool: &AnyPool,
    anchor: Option<&AuditHead>,
) -> Result<Result<AuditHead, AuditFault>, StorageError> {
    let head = sqlx::query("SELECT seq, digest FROM audit_head WHERE id = 1")
        .fetch_one(pool)
        .await?;
    let head = AuditHead {
        seq: number(&head, "seq")?,
        digest: head.try_get("digest")?,
    };
    let mut last = AuditHead {
        seq: 0,
        digest: ORIGIN.into(),
    };
    // A director that is at work adds entries meanwhile; those are for the next time.
    while last.seq < head.seq {
        let page = entries(pool, None, last.seq).await?;
        if page.is_empty() {
            break;
        }
        for entry in page.into_iter().take_while(|entry| entry.seq <= head.seq) {
            if entry.seq != last.seq + 1 {
                return Ok(Err(AuditFault::Gap(last.seq + 1)));
            }
            if entry.digest != digest_of(entry.seq, &entry.record, &last.digest) {
                return Ok(Err(AuditFault::Changed(entry.seq)));
            }
            last = AuditHead {
                seq: entry.seq,
                digest: entry.digest,
            };
            if anchor.is_some_and(|noted| noted.seq == last.seq && noted.digest != last.digest) {
                return Ok(Err(AuditFault::Anchor(last.seq)));
            }
        }
    }
    Ok(match anchor {
        _ if last != head => Err(AuditFault::End {
            found: last.seq,
            head: head.seq,
        }),
        Some(noted) if noted.seq > last.seq => Err(AuditFault::End {
            found: last.seq,
            head: noted.seq,
        }),
        _ => Ok(last),
    })
}

fn digest_of(seq: u64, record: &Record, previous: &str) -> String {
    let mut members = Object::from_iter([
        ("seq".to_owned(), Value::from(seq)),
        ("at".into(), record.at.to_string().into()),
        ("actor".into(), (*record.actor).into()),
        ("action".into(), (*record.action).into()),
        ("detail".into(), record.detail.clone().into()),
        ("previous".into(), previous.into()),
    ]);
    if let Some(vin) = &record.vin {
        members.insert("vin".into(), vin.as_str().into());
    }
    hex::encode(sha256(canonical::encode(&members.into()).as_bytes()))
}

fn entry(row: &AnyRow) -> Result<Entry, StorageError> {
    let detail: String = row.try_get("detail")?;
    let vin: Option<String> = row.try_get("vin")?;
    let detail = match super::value_of(&detail)? {
        Value::Object(members) => members,
        _ => return Err(StorageError::Unreadable("an entry of the audit log".into())),
    };
    Ok(Entry {
        seq: number(row, "seq")?,
        record: Record {
            at: time(row, "at")?,
            actor: row.try_get("actor")?,
            action: row.try_get("action")?,
            vin: vin.map(|vin| Vin::new(&vin)).transpose()?,
            detail,
        },
        digest: row.try_get("digest")?,
    })
}
