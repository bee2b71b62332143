//! Metadata as vehicles fetch it. What is due is signed when somebody asks for it.

use std::time::Duration;

use countersign_metadata::json::Object;
use countersign_metadata::uptane::{EcuSerial, Nonce, TimeAttestation, Vin, time_server};
use countersign_metadata::{RoleType, sha256};
use moka::sync::Cache;

use super::known::Known;
use super::reports::unknown;
use super::{ROUNDS, Service, busy};
use crate::problem::Problem;
use crate::storage::{Change, Published};

/// Vehicles whose last answer is remembered.
const REMEMBERED: u64 = 200_000;

/// A file to be answered with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Metadata {
    /// The file.
    pub bytes: Vec<u8>,
    /// Tells it from every other content.
    pub etag: String,
}

/// The answer to whoever has asked for the newest Timestamp.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answered {
    /// Nothing is new.
    Unchanged,
    /// This is.
    File(Metadata),
}

/// What vehicles were last told. It only ever says that nothing is new; what is new comes out of the
/// database.
pub(super) struct Polls {
    told: Cache<Vin, Told>,
    /// Who speaks for each vehicle.
    pub(super) primaries: Cache<Vin, EcuSerial>,
}

#[derive(Clone)]
struct Told {
    etag: String,
    due: i64,
}

impl Polls {
    pub(super) fn new(patience: Duration) -> Self {
        let told = Cache::builder().max_capacity(REMEMBERED);
        let primaries = Cache::builder().max_capacity(REMEMBERED);
        Self {
            told: told.time_to_live(patience).build(),
            primaries: primaries.time_to_live(patience).build(),
        }
    }

    /// What was told, before something else is.
    pub(super) fn forget(&self, vin: &Vin) {
        self.told.invalidate(vin);
    }

    /// Who speaks for a vehicle, where its ECUs change.
    pub(super) fn forget_primary(&self, vin: &Vin) {
        self.primaries.invalidate(vin);
    }
}

impl Metadata {
    fn of(bytes: Vec<u8>) -> Self {
        let etag = format!("\"{}\"", hex::encode(&sha256(&bytes)[..16]));
        Self { bytes, etag }
    }
}

impl Service {
    /// The newest Timestamp of a vehicle, unless it is the one with `known`, an entity tag.
    ///
    /// # Errors
    /// [`Problem`]
    pub async fn timestamp(&self, vin: &Vin, known: Option<&str>) -> Result<Answered, Problem> {
        let now = self.now()?;
        if let Some(told) = self.0.polls.told.get(vin)
            && Some(&*told.etag) == known
            && told.due > now.unix()
        {
            return Ok(Answered::Unchanged);
        }
        for _ in 0..ROUNDS {
            let stored = self.0.database.timestamp(vin).await?;
            let stored = stored.ok_or_else(|| unknown(vin))?;
            let (bytes, due) = match stored.bytes {
                Some(ref bytes) if !stored.is_due(now) => (bytes.clone(), stored.due),
                _ => match self.renew(vin).await? {
                    Some(published) => {
                        let due = published.due.unix();
                        let mut files = published.files.into_iter();
                        let new = files.find(|file| file.role == RoleType::Timestamp);
                        let Some(new) = new else { continue };
                        (new.bytes, due)
                    }
                    None => continue,
                },
            };
            let file = Metadata::of(bytes);
            let etag = file.etag.clone();
            self.0.polls.told.insert(vin.clone(), Told { etag, due });
            return Ok(match known == Some(&*file.etag) {
                true => Answered::Unchanged,
                false => Answered::File(file),
            });
        }
        Err(busy())
    }

    /// Signs what is due, and keeps it. `None` if somebody else was faster.
    async fn renew(&self, vin: &Vin) -> Result<Option<Published>, Problem> {
        let stored = self.0.database.vehicle(vin).await?;
        let stored = stored.ok_or_else(|| unknown(vin))?;
        let vehicle = Known::of(vin, stored)?;
        let reign = self.reign(vehicle.stored.newest_root).await?;
        let now = self.now()?;
        let revision = vehicle.stored.revision;
        let signed = self
            .work(move |inner| vehicle.sign(inner, &reign, now))
            .await?;
        let Some(published) = signed else {
            return Ok(None);
        };
        let change = Change {
            published: Some(published.clone()),
            ..Change::of(vin, revision, now)
        };
        Ok(self.keep(change).await?.then_some(published))
    }

    /// A versioned file of a vehicle.
    ///
    /// # Errors
    /// [`Problem`]
    pub async fn versioned(
        &self,
        vin: &Vin,
        role: RoleType,
        version: u64,
    ) -> Result<Metadata, Problem> {
        let database = &self.0.database;
        let file = match role {
            RoleType::Root => database.root(version).await?,
            _ => database.file(vin, role, version).await?,
        };
        let missing = || Problem::missing(format!("{version}.{}.json", role.name()));
        Ok(Metadata::of(file.ok_or_else(missing)?))
    }

    /// Attests the time to whoever sent these nonces.
    ///
    /// # Errors
    /// [`Problem`]
    pub async fn attest(&self, nonces: Vec<Nonce>) -> Result<Vec<u8>, Problem> {
        let reign = self.newest_reign().await?;
        if time_server(&reign.root)?.is_none() {
            return Err(Problem::missing("time server in the Root"));
        }
        let attestation = TimeAttestation {
            time: self.now()?,
            nonces,
            extra: Object::new(),
        };
        self.work(move |_| {
            let keys = reign.keys.as_ref().map_err(Problem::clone)?;
            Ok(keys.attest(&attestation)?)
        })
        .await
    }
}
