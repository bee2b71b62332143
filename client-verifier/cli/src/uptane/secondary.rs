//! A cycle of a partially verifying ECU (5.4.4.1).

use std::path::Path;

use countersign_client::client::{ClientError, run_session};
use countersign_client::fetch::{Fetcher, UrlFetcher};
use countersign_client::uptane::bundle::{self, Bundle};
use countersign_client::uptane::secondary::random_nonce;
use countersign_client::uptane::state::StateFile;
use countersign_metadata::UtcTime;
use countersign_metadata::uptane::{Mapping, OfflineName};
use countersign_verifier::uptane::{PartialSession, attested_time, latest_attested};
use countersign_verifier::{Context, FollowRoot, Followed, Limits, Reject};

use super::config::Config;
use super::{Inputs, describe, device, found};
use crate::output::Done;

/// Where the Director's files of a partially verifying ECU come from.
pub(super) struct Source {
    fetcher: Box<dyn Fetcher>,
    roots: Vec<String>,
    targets: Vec<String>,
    /// The Offline Targets file of a bundle.
    offline: Option<OfflineName>,
}

impl Source {
    pub(super) fn online(fetcher: UrlFetcher, urls: Vec<String>) -> Self {
        Self {
            fetcher: Box::new(fetcher),
            roots: urls.clone(),
            targets: urls,
            offline: None,
        }
    }

    pub(super) fn carried(bundle: Bundle) -> Self {
        Self {
            roots: vec![bundle::DIRECTOR.into()],
            targets: vec![bundle::OFFLINE.into()],
            offline: Some(bundle.targets_name().clone()),
            fetcher: Box::new(bundle),
        }
    }
}

/// The image comes from the Primary: `uptane-install` is given it as a file. What is
/// refused is in the ECU's next report.
pub(super) fn cycle(
    directory: &Path,
    config: &Config,
    source: Source,
    inputs: &Inputs<'_>,
) -> Result<Done, Reject> {
    let mut state = device::state(directory)?;
    let offline = source.offline.clone();
    let done = verify_in_part(directory, config, source, inputs, &mut state);
    if let Err(reject) = &done {
        let kept = state.change(|state| {
            let last = state.processed().filter(|_| offline.is_none());
            let version = last.map_or(0, |mark| mark.version);
            state
                .reports_mut()
                .refused(version, offline.as_ref(), reject);
            Ok(())
        });
        kept.map_err(|error| device::store_failed(&error))?;
    }
    done
}

fn verify_in_part(
    directory: &Path,
    config: &Config,
    mut source: Source,
    inputs: &Inputs<'_>,
    state: &mut StateFile,
) -> Result<Done, Reject> {
    let fetcher = source.fetcher.as_mut();
    let mut store = device::vehicle_store(directory, Mapping::DIRECTOR)?;
    let rejected = |error: ClientError| error.to_reject(Mapping::DIRECTOR);
    let mut follow = FollowRoot::new(Limits::director(), Mapping::DIRECTOR);
    let followed =
        run_session(fetcher, &mut store, &source.roots, &mut follow).map_err(rejected)?;
    let attestation = inputs.attestation.map(device::read).transpose()?;
    let now = match (&attestation, &source.offline) {
        (None, Some(_)) => {
            let latest = latest_attested(&followed, state.state().time_floor())
                .map_err(|reject| reject.at(Mapping::DIRECTOR))?;
            latest.map_or_else(device::system_time, Ok)?
        }
        _ => learn_time(directory, &followed, (attestation, inputs), state)?,
    };
    let context = Context {
        repository: Mapping::DIRECTOR.into(),
        limits: Limits::director(),
        ..Context::new(now)
    };
    let (vin, ecu) = (config.vin.clone(), config.ecu());
    let mut session = match source.offline {
        Some(name) => PartialSession::offline(followed, vin, ecu, name, context),
        None => PartialSession::new(followed, vin, ecu, context),
    };
    let partial =
        run_session(fetcher, &mut store, &source.targets, &mut session).map_err(rejected)?;
    let images = partial
        .image
        .iter()
        .map(|directed| describe(directed, None));
    Ok(found(
        partial.mark.version,
        images.collect::<Result<_, _>>()?,
    ))
}

/// What time it is; the floor is durable before the time is used.
fn learn_time(
    directory: &Path,
    followed: &Followed,
    (attestation, inputs): (Option<Vec<u8>>, &Inputs<'_>),
    state: &mut StateFile,
) -> Result<UtcTime, Reject> {
    let nonce = match device::take_nonce(directory, inputs.attestation)? {
        Some(nonce) => nonce,
        None => random_nonce()?,
    };
    let floor = state.state().time_floor();
    let attested = attested_time(followed, attestation, &nonce, floor)
        .map_err(|reject| reject.at(Mapping::DIRECTOR))?;
    let Some(attested) = attested else {
        return device::system_time();
    };
    let keep = state.change(|state| {
        state.time_attested(attested.floor);
        Ok(())
    });
    keep.map_err(|error| device::store_failed(&error))?;
    Ok(attested.now)
}
