//! What people decide where a vehicle waits for it, and what they want to know of the Director itself.

use countersign_director_domain::VehicleRecord;
use countersign_director_domain::registration::vehicle_of;
use countersign_metadata::json::parse;
use countersign_metadata::uptane::{EcuSerial, Vin};
use countersign_metadata::{UtcTime, sha256};

use super::reports::unknown;
use super::{Actor, ROUNDS, Service, busy, record};
use crate::problem::{Kind, Problem};
use crate::storage::Change;

/// What a vehicle wants to be registered as.
#[derive(Debug, Clone)]
pub struct Waiting {
    /// All of it.
    pub wanted: VehicleRecord,
    /// What it is registered as.
    pub known: VehicleRecord,
    /// SHA-256 of what it has sent, in hexadecimal: names it in an approval.
    pub digest: String,
}

/// The newest Root, and whether anything can be signed under it.
#[derive(Debug, Clone)]
pub struct RootState {
    /// Its version.
    pub version: u64,
    /// When it ends.
    pub expires: UtcTime,
    /// Why nothing can be signed, if nothing can.
    pub keys: Result<(), Problem>,
}

impl Service {
    /// What a vehicle wants to be registered as, if that awaits approval.
    ///
    /// # Errors
    /// [`Problem`]
    pub async fn waiting(&self, vin: &Vin) -> Result<Waiting, Problem> {
        let stored = self.0.database.vehicle(vin).await?;
        let known = stored.ok_or_else(|| unknown(vin))?.record;
        let wanted = self.0.database.replacement(vin).await?;
        let wanted = wanted.ok_or_else(nothing_waits)?;
        Ok(Waiting {
            digest: digest(&wanted),
            wanted: vehicle_of(&parse(wanted.as_bytes())?)?,
            known,
        })
    }

    /// Lets a vehicle be what it wants to be registered as, if that is what was looked at: its `digest`.
    /// Orders of ECUs that are gone go too.
    ///
    /// # Errors
    /// [`Problem`]
    pub async fn approve(&self, vin: &Vin, seen: &str, actor: &Actor) -> Result<(), Problem> {
        for _ in 0..ROUNDS {
            let stored = self.0.database.vehicle(vin).await?;
            let stored = stored.ok_or_else(|| unknown(vin))?;
            let wanted = self.0.database.replacement(vin).await?;
            let wanted = wanted.ok_or_else(nothing_waits)?;
            if digest(&wanted) != seen {
                let message =
                    "the vehicle has asked for something else meanwhile; look at it again";
                return Err(Problem::new(Kind::Conflict, "replacement-changed", message));
            }
            let vehicle = vehicle_of(&parse(wanted.as_bytes())?)?;
            let now = self.now()?;
            let mut change = Change::of(vin, stored.revision, now);
            let same =
                |serial: &EcuSerial| vehicle.ecus.get(serial) == stored.record.ecus.get(serial);
            let orders = stored.orders.iter().filter(|order| same(&order.serial));
            change.orders = Some(orders.cloned().collect());
            change.record = Some(vehicle);
            let detail = [("sha256", seen.into())];
            change.records = vec![record(
                now,
                actor,
                "replacement.approved",
                Some(vin),
                detail,
            )];
            if self.keep(change).await? {
                return Ok(());
            }
        }
        Err(busy())
    }

    /// Forgets what a vehicle wants to be registered as.
    ///
    /// # Errors
    /// [`Problem`]
    pub async fn reject(&self, vin: &Vin, actor: &Actor) -> Result<(), Problem> {
        let record = record(self.now()?, actor, "replacement.rejected", Some(vin), []);
        match self.0.database.reject_replacement(vin, &[record]).await? {
            true => Ok(()),
            false => Err(nothing_waits()),
        }
    }

    /// Takes an announcement back.
    ///
    /// # Errors
    /// [`Problem`]
    pub async fn withdraw(&self, vin: &Vin, actor: &Actor) -> Result<(), Problem> {
        let record = record(self.now()?, actor, "vehicle.withdrawn", Some(vin), []);
        let database = &self.0.database;
        if database.withdraw(vin, &[record]).await? {
            return Ok(());
        }
        match database.owner(vin).await? {
            Some(_) => {
                let message = format!("vehicle {vin} has registered; hold it instead");
                Err(Problem::new(Kind::Conflict, "vehicle-known", message))
            }
            None => Err(unknown(vin)),
        }
    }

    /// Puts a certificate where its device fetches it, as the answer to `request`.
    ///
    /// # Errors
    /// [`Problem`] if the device asks for another one by now.
    pub async fn answer_certificate(
        &self,
        vin: &Vin,
        (request, certificate): (&str, &str),
        actor: &Actor,
    ) -> Result<(), Problem> {
        let digest = ("sha256", hex::encode(sha256(certificate.as_bytes())).into());
        let record = record(
            self.now()?,
            actor,
            "certificate.issued",
            Some(vin),
            [digest],
        );
        let database = &self.0.database;
        let answered = database
            .answer_certificate(vin, request, certificate, &[record])
            .await?;
        match answered {
            true => Ok(()),
            false => {
                let message = "the device has sent another request meanwhile; have that one signed";
                Err(Problem::new(Kind::Conflict, "request-changed", message))
            }
        }
    }

    /// The newest Root.
    ///
    /// # Errors
    /// [`Problem`] if there is none.
    pub async fn root_state(&self) -> Result<RootState, Problem> {
        let reign = self.newest_reign().await?;
        Ok(RootState {
            version: reign.version,
            expires: reign.root.header.expires,
            keys: reign.keys.as_ref().map(drop).map_err(Problem::clone),
        })
    }
}

fn nothing_waits() -> Problem {
    Problem::missing("replacement that waits")
}

fn digest(wanted: &str) -> String {
    hex::encode(sha256(wanted.as_bytes()))
}
