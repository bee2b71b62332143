//! A garage without a network, and the stick that is carried there.

use std::collections::BTreeMap;
use std::error::Error;
use std::path::{Path, PathBuf};

use countersign_client::clock::system_time;
use countersign_client::fetch::{FetchError, UrlFetcher};
use countersign_client::uptane::bundle;
use countersign_client::uptane::primary::{Cycle, DirectorLink};
use countersign_director_domain::carrier::Carrier;
use countersign_director_domain::desk::Lifetimes;
use countersign_director_domain::keys::OfflineKeys;
use countersign_metadata::uptane::{EncryptedTarget, Nonce, OfflineName, Vin};
use countersign_signing::Secrets;
use countersign_vehicle_sim::{Cargo, ImageRepository, Vehicle};

use super::records::Records;

type Result<T> = std::result::Result<T, Box<dyn Error>>;

/// Writes what is ordered in a vehicle onto a stick. `images` is where the director keeps ciphertexts.
pub(super) fn carry(
    records: &Records,
    (vin, keys): (&Vin, &OfflineKeys),
    from: ImageRepository,
    images: &Path,
    stick: &Path,
) -> Result<()> {
    let now = system_time().ok_or("the clock is off")?;
    let orders = records.orders(vin)?;
    let blob = |target: &EncryptedTarget| -> PathBuf {
        images.join(hex::encode(target.hashes.sha256.unwrap_or_default()))
    };
    let cargo = Cargo::gather(&orders, from, now, blob)?;
    let name = OfflineName::new("garage")?;
    let expires = now.plus_seconds(Lifetimes::default().targets);
    let expires = expires.ok_or("beyond the year 9999")?;
    let carried = Carrier::default().issue(&name, (vin, orders), expires, keys)?;
    let roots = records.roots()?.into_iter();
    let mut members: BTreeMap<_, _> = roots
        .map(|(name, file)| (bundle::DIRECTOR.to_owned() + &name, file))
        .collect();
    let offline = |name: &str| format!("{}{name}.json", bundle::OFFLINE);
    members.insert(offline("snapshot"), carried.snapshot);
    members.insert(offline(name.as_str()), carried.targets);
    Ok(cargo.write(members, stick)?)
}

/// One cycle of the vehicle in `folder` where nobody can be reached, with what is on the stick.
pub(super) fn cycle(folder: &Path, fetcher: UrlFetcher, stick: &Path) -> Result<Cycle> {
    let secrets = Secrets::unattended(folder);
    let mut vehicle = Vehicle::open(folder, fetcher, Nobody, &secrets)?;
    Ok(vehicle.cycle_from(stick)?)
}

/// No director far and wide.
struct Nobody;

impl DirectorLink for Nobody {
    fn put_manifest(&mut self, _: &[u8]) -> std::result::Result<(), FetchError> {
        Err(unreachable())
    }

    fn attest(&mut self, _: &[Nonce]) -> std::result::Result<Option<Vec<u8>>, FetchError> {
        Err(unreachable())
    }
}

fn unreachable() -> FetchError {
    FetchError::Disconnected {
        url: "the director".into(),
        detail: "there is no network in this garage".into(),
    }
}
