//! What is known of a vehicle while something is decided for it.

use std::sync::Arc;

use countersign_director_domain::consequences::Order;
use countersign_director_domain::desk::{Content, Press};
use countersign_director_domain::manifest;
use countersign_director_domain::orders;
use countersign_metadata::uptane::{DirectorCustom, Vin};
use countersign_metadata::{MetadataError, RoleType, TargetFile, UtcTime};

use super::Inner;
use super::memory::AllHeard;
use super::roots::Reign;
use crate::problem::Problem;
use crate::storage::{Published, StoredOrder, StoredVehicle};

/// A vehicle, as it was stored, and what was last heard of its ECUs.
#[derive(Debug, Clone)]
pub(super) struct Known {
    pub(super) vin: Vin,
    pub(super) stored: StoredVehicle,
    pub(super) heard: AllHeard,
}

impl Known {
    pub(super) fn of(vin: &Vin, stored: StoredVehicle) -> Result<Self, MetadataError> {
        let heard = match &stored.manifest {
            Some((_, manifest)) => Arc::new(manifest::recall(manifest, &stored.record)?),
            None => AllHeard::default(),
        };
        Ok(Self {
            vin: vin.clone(),
            stored,
            heard,
        })
    }

    /// The version of the Targets that was published last.
    pub(super) fn targets_version(&self) -> Option<u64> {
        self.stored.desk.version(RoleType::Targets)
    }

    /// Whether the ECU says that it runs what was ordered.
    pub(super) fn is_done(&self, order: &StoredOrder) -> bool {
        let heard = self.heard.get(&order.serial);
        heard.is_some_and(|heard| order.judged().is_what(heard))
    }

    /// What Targets lists. A vehicle that is held gets nothing that it does not run already.
    pub(super) fn content(&self) -> Result<Content, MetadataError> {
        let is_told = |order: &&StoredOrder| self.stored.held.is_none() || self.is_done(order);
        let told: Vec<&StoredOrder> = self.stored.orders.iter().filter(is_told).collect();
        let mut content = Content::new();
        for order in &told {
            let mut custom = DirectorCustom::of(&order.entry)?;
            // One entry is for several ECUs, and each of them may have failed.
            let same = told.iter().filter(|other| other.path == order.path);
            let failures: u64 = same.map(|other| u64::from(other.failures)).sum();
            if failures > 0 {
                // Another Targets than the one whose orders have failed: it is tried once more.
                custom.extra.insert("attempt".into(), (failures + 1).into());
            }
            let file = TargetFile {
                custom: None,
                ..order.entry.clone()
            };
            orders::add(&mut content, &order.path, file, custom);
        }
        Ok(content)
    }

    /// Signs what is due. `None` if nothing is.
    pub(super) fn sign(
        &self,
        inner: &Inner,
        reign: &Reign,
        now: UtcTime,
    ) -> Result<Option<Published>, Problem> {
        let keys = reign.keys.as_ref();
        let keys = keys.map_err(|problem| problem.clone())?;
        let lifetimes = &inner.rules.lifetimes;
        let press = Press {
            keys,
            root_version: reign.version,
            lifetimes,
            now,
            skip: self.stored.skip,
        };
        let mut desk = self.stored.desk.clone();
        let files = desk.publish(&self.vin, &self.content()?, &press)?;
        // Signed anew even if nothing is new: then the row says wrongly that something is due.
        let unmarked = self.stored.due == 0 || self.stored.signed_root != reign.version;
        if files.is_empty() && !unmarked {
            return Ok(None);
        }
        Ok(Some(Published {
            due: desk.due(lifetimes).unwrap_or(now),
            desk,
            root: reign.version,
            files,
        }))
    }
}

impl StoredOrder {
    /// As reports are judged by it.
    pub(super) fn judged(&self) -> Order {
        Order {
            path: self.path.clone(),
            length: self.entry.length,
            hashes: self.entry.hashes.clone(),
            failures: self.failures,
        }
    }
}
