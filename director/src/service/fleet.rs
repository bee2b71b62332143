//! What people want to know of vehicles, and what they decide about them.

use std::collections::BTreeMap;

use countersign_director_domain::VehicleRecord;
use countersign_director_domain::manifest::Heard;
use countersign_metadata::uptane::{EcuSerial, Vin};
use countersign_metadata::{RoleType, UtcTime};

use super::known::Known;
use super::register::not_the_primary;
use super::reports::unknown;
use super::{Actor, ROUNDS, Service, busy, record};
use crate::problem::{Kind, Problem};
use crate::storage::{CertificateRequest, Change, StoredOrder};

/// A vehicle, as far as it is known.
#[derive(Debug, Clone)]
pub struct VehicleView {
    /// Whose it is.
    pub tenant: String,
    /// Its ECUs and keys.
    pub record: VehicleRecord,
    /// When it has last reported.
    pub reported: Option<UtcTime>,
    /// Why it gets no new orders, if it does not.
    pub held: Option<String>,
    /// Its ECUs, by what they say and were told.
    pub ecus: BTreeMap<EcuSerial, EcuView>,
    /// The version of the Targets that was published last.
    pub targets_version: Option<u64>,
    /// Whether other ECUs await approval.
    pub replacement: bool,
}

/// An ECU, by what it says and was told.
#[derive(Debug, Clone, Default)]
pub struct EcuView {
    /// What it says.
    pub heard: Option<Heard>,
    /// What it was told.
    pub order: Option<OrderView>,
}

/// What an ECU was told.
#[derive(Debug, Clone)]
pub struct OrderView {
    /// The order.
    pub order: StoredOrder,
    /// How far it is.
    pub state: OrderState,
}

/// How far an order is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OrderState {
    /// The ECU does not run the image yet.
    Pending,
    /// It has tried, and will once more.
    Failed,
    /// It says that it runs it.
    Installed,
    /// The vehicle is held, and is not told.
    Withheld,
}

impl OrderState {
    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Failed => "failed",
            Self::Installed => "installed",
            Self::Withheld => "withheld",
        }
    }
}

impl Service {
    /// All that is known of a vehicle.
    ///
    /// # Errors
    /// [`Problem`]
    pub async fn view(&self, vin: &Vin) -> Result<VehicleView, Problem> {
        let stored = self.0.database.vehicle(vin).await?;
        let replacement = self.0.database.replacement(vin).await?.is_some();
        let known = Known::of(vin, stored.ok_or_else(|| unknown(vin))?)?;
        let ecus = known.stored.record.ecus.keys().map(|serial| {
            let mut orders = known.stored.orders.iter();
            let order = orders.find(|order| order.serial == *serial);
            let view = EcuView {
                heard: known.heard.get(serial).cloned(),
                order: order.map(|order| OrderView {
                    state: known.state(order),
                    order: order.clone(),
                }),
            };
            (serial.clone(), view)
        });
        Ok(VehicleView {
            ecus: ecus.collect(),
            targets_version: known.stored.desk.version(RoleType::Targets),
            tenant: known.stored.tenant,
            record: known.stored.record,
            reported: known.stored.manifest.map(|(reported, _)| reported),
            held: known.stored.held,
            replacement,
        })
    }

    /// Whose a vehicle is.
    ///
    /// # Errors
    /// [`Problem`] if it is not known.
    pub async fn owner(&self, vin: &Vin) -> Result<String, Problem> {
        match self.0.database.vehicle(vin).await? {
            Some(vehicle) => Ok(vehicle.tenant),
            None => self
                .0
                .database
                .expected(vin)
                .await?
                .ok_or_else(|| unknown(vin)),
        }
    }

    /// Whether this ECU may speak for its vehicle.
    ///
    /// # Errors
    /// [`Problem`]
    pub async fn check_primary(&self, vin: &Vin, serial: &EcuSerial) -> Result<(), Problem> {
        let cache = &self.0.polls.primaries;
        if cache.get(vin).is_some_and(|known| known == *serial) {
            return Ok(());
        }
        let primary = self.0.database.primary(vin).await?;
        let primary = primary.ok_or_else(|| unknown(vin))?;
        if primary != *serial {
            return Err(not_the_primary(serial));
        }
        cache.insert(vin.clone(), primary);
        Ok(())
    }

    /// Lets a vehicle register.
    ///
    /// # Errors
    /// [`Problem`]
    pub async fn announce(&self, vin: &Vin, tenant: &str, actor: &Actor) -> Result<(), Problem> {
        let now = self.now()?;
        let detail = [("tenant", tenant.into())];
        let record = record(now, actor, "vehicle.announced", Some(vin), detail);
        match self.0.database.expect(vin, tenant, now, &[record]).await? {
            true => Ok(()),
            false => {
                let message = format!("vehicle {vin} was announced or registered before");
                Err(Problem::new(Kind::Conflict, "vehicle-known", message))
            }
        }
    }

    /// Keeps a request for a certificate until somebody has it signed.
    ///
    /// # Errors
    /// [`Problem`]
    pub async fn ask_for_certificate(
        &self,
        vin: &Vin,
        request: &CertificateRequest,
        actor: &Actor,
    ) -> Result<(), Problem> {
        let detail = [("ecu", request.serial.as_str().into())];
        let record = record(
            request.requested,
            actor,
            "certificate.requested",
            Some(vin),
            detail,
        );
        let database = &self.0.database;
        Ok(database
            .ask_for_certificate(vin, request, &[record])
            .await?)
    }

    /// Gives a vehicle no new orders until it is released, or gives it orders again (`why` is `None`).
    ///
    /// # Errors
    /// [`Problem`]
    pub async fn hold(&self, vin: &Vin, why: Option<&str>, actor: &Actor) -> Result<(), Problem> {
        for _ in 0..ROUNDS {
            let stored = self.0.database.vehicle(vin).await?;
            let stored = stored.ok_or_else(|| unknown(vin))?;
            if stored.held.as_deref() == why {
                return Ok(());
            }
            let now = self.now()?;
            let records = match why {
                Some(why) => {
                    let detail = [("why", why.into())];
                    record(now, actor, "vehicle.held", Some(vin), detail)
                }
                None => record(now, actor, "vehicle.released", Some(vin), []),
            };
            let change = Change {
                held: Some(why.map(Into::into)),
                records: vec![records],
                ..Change::of(vin, stored.revision, now)
            };
            if self.keep(change).await? {
                return Ok(());
            }
        }
        Err(busy())
    }
}

impl Known {
    fn state(&self, order: &StoredOrder) -> OrderState {
        match self.is_done(order) {
            true => OrderState::Installed,
            false if self.stored.held.is_some() => OrderState::Withheld,
            false if order.failures > 0 => OrderState::Failed,
            false => OrderState::Pending,
        }
    }
}
