//! What vehicles have last said, as this process has judged it.
//!
//! It spares reading a manifest again that is in the database byte for byte, and says nothing that these bytes
//! do not: whatever another process does, the database decides which manifest is the last one.

use std::collections::BTreeMap;
use std::sync::Arc;

use countersign_director_domain::VehicleRecord;
use countersign_director_domain::manifest::{self, Heard};
use countersign_metadata::MetadataError;
use countersign_metadata::uptane::{EcuSerial, Vin};
use moka::sync::Cache;

use crate::storage::StoredVehicle;

/// Bytes of manifests that are remembered: those of ten thousand vehicles of a few ECUs.
const REMEMBERED: u64 = 64 << 20;

pub(super) type AllHeard = Arc<BTreeMap<EcuSerial, Heard>>;

pub(super) struct Memory(Cache<Vin, Arc<Judged>>);

/// All that what was heard depends on, and what was heard.
struct Judged {
    manifest: Vec<u8>,
    record: VehicleRecord,
    heard: AllHeard,
}

impl Memory {
    pub(super) fn new() -> Self {
        let weigh = |_: &Vin, judged: &Arc<Judged>| {
            u32::try_from(judged.manifest.len()).unwrap_or(u32::MAX)
        };
        let cache = Cache::builder().max_capacity(REMEMBERED).weigher(weigh);
        Self(cache.build())
    }

    /// What was heard in the last manifest of a vehicle that was loaded like this.
    pub(super) fn recall(
        &self,
        vin: &Vin,
        stored: &StoredVehicle,
    ) -> Result<AllHeard, MetadataError> {
        let Some((_, manifest)) = &stored.manifest else {
            return Ok(Arc::default());
        };
        let is_this =
            |judged: &Arc<Judged>| judged.manifest == *manifest && judged.record == stored.record;
        match self.0.get(vin).filter(is_this) {
            Some(judged) => Ok(Arc::clone(&judged.heard)),
            None => Ok(Arc::new(manifest::recall(manifest, &stored.record)?)),
        }
    }

    /// A manifest that was judged for a vehicle with this record, whether or not it is kept.
    pub(super) fn remember(
        &self,
        vin: &Vin,
        record: &VehicleRecord,
        manifest: &[u8],
        heard: &AllHeard,
    ) {
        let judged = Judged {
            manifest: manifest.to_vec(),
            record: record.clone(),
            heard: Arc::clone(heard),
        };
        self.0.insert(vin.clone(), Arc::new(judged));
    }
}

#[cfg(test)]
mod tests {
    use countersign_director_domain::desk::Desk;
    use countersign_metadata::UtcTime;

    use super::*;

    fn stored(manifest: &[u8], primary: &str) -> StoredVehicle {
        StoredVehicle {
            tenant: "fleet".into(),
            revision: 1,
            record: VehicleRecord {
                primary: EcuSerial::new(primary).unwrap(),
                ecus: BTreeMap::new(),
            },
            manifest: UtcTime::from_unix(0).map(|at| (at, manifest.to_vec())),
            orders: Vec::new(),
            held: None,
            desk: Desk::default(),
            signed_root: 1,
            due: 0,
            skip: 0,
            newest_root: 1,
        }
    }

    #[test]
    fn what_was_heard_is_of_these_bytes_and_this_vehicle() {
        let (memory, vin) = (Memory::new(), Vin::new("V1").unwrap());
        let (heard, known) = (AllHeard::default(), stored(b"judged", "P"));
        memory.remember(&vin, &known.record, b"judged", &heard);
        let recalled = memory.recall(&vin, &known).unwrap();
        assert!(Arc::ptr_eq(&recalled, &heard));
        // None of these bytes is a manifest: whoever reads them fails.
        let others = [stored(b"another", "P"), stored(b"judged", "Q")];
        for other in others {
            memory.recall(&vin, &other).unwrap_err();
        }
        let other = Vin::new("V2").unwrap();
        memory.recall(&other, &known).unwrap_err();
    }
}
