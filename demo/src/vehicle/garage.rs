//! A garage without a network.

use std::error::Error;
use std::path::Path;

use countersign_client::fetch::{FetchError, UrlFetcher};
use countersign_client::uptane::primary::{Cycle, DirectorLink};
use countersign_metadata::uptane::Nonce;
use countersign_signing::Secrets;
use countersign_vehicle_sim::Vehicle;

type Result<T> = std::result::Result<T, Box<dyn Error>>;

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
