//! A cycle of a Secondary: in part (5.4.4.1), or in full for its own image (5.4.4.2).

use std::collections::BTreeMap;
use std::path::Path;

use countersign_client::client::{ClientError, run_session};
use countersign_client::fetch::{Fetcher, UrlFetcher};
use countersign_client::store::DirStore;
use countersign_client::uptane::bundle::{self, Bundle};
use countersign_client::uptane::link::Verification;
use countersign_client::uptane::secondary::random_nonce;
use countersign_client::uptane::state::StateFile;
use countersign_metadata::UtcTime;
use countersign_metadata::uptane::{Mapping, OfflineName};
use countersign_verifier::uptane::{
    Directed, Director, DirectorSession, Ecus, Mark, OfflineDirectorSession, PartialSession,
    Vehicle, attested_time, latest_attested,
};
use countersign_verifier::{Context, FollowRoot, Followed, Limits, Protocol, Reject, Session};

use super::config::Config;
use super::{Inputs, describe, device, found};
use crate::output::Done;

/// Where the files of a Secondary come from.
pub(super) struct Source {
    fetcher: Box<dyn Fetcher>,
    roots: Vec<String>,
    director: Vec<String>,
    image: Vec<String>,
    /// The Offline Targets file of a bundle.
    offline: Option<OfflineName>,
}

impl Source {
    pub(super) fn online(fetcher: UrlFetcher, director: Vec<String>, image: Vec<String>) -> Self {
        Self {
            fetcher: Box::new(fetcher),
            roots: director.clone(),
            director,
            image,
            offline: None,
        }
    }

    pub(super) fn carried(bundle: Bundle) -> Self {
        Self {
            roots: vec![bundle::DIRECTOR.into()],
            director: vec![bundle::OFFLINE.into()],
            image: vec![bundle::IMAGE.into()],
            offline: Some(bundle.targets_name().clone()),
            fetcher: Box::new(bundle),
        }
    }
}

/// What one cycle works with.
struct Cycle<'a> {
    directory: &'a Path,
    config: &'a Config,
    inputs: &'a Inputs<'a>,
    source: Source,
    state: &'a mut StateFile,
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
    let mut cycle = Cycle {
        directory,
        config,
        inputs,
        source,
        state: &mut state,
    };
    let done = cycle.verify();
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

impl Cycle<'_> {
    fn verify(&mut self) -> Result<Done, Reject> {
        let mut director = device::vehicle_store(self.directory, Mapping::DIRECTOR)?;
        let mut follow = FollowRoot::new(Limits::director(), Mapping::DIRECTOR);
        let mut line = Line {
            fetcher: self.source.fetcher.as_mut(),
            store: &mut director,
            urls: &self.source.roots,
            repository: Mapping::DIRECTOR,
        };
        let followed = line.run(&mut follow)?;
        let now = self.time(&followed)?;
        let (images, mark) = match self.config.ecu.verification {
            Verification::Full => self.in_full(followed, now, &mut director)?,
            Verification::Partial => self.in_part(followed, now, &mut director)?,
        };
        let images = images.iter().map(|directed| describe(directed, None));
        Ok(found(mark.version, images.collect::<Result<_, _>>()?))
    }

    fn in_part(
        &mut self,
        followed: Followed,
        now: UtcTime,
        store: &mut DirStore,
    ) -> Result<(Vec<Directed>, Mark), Reject> {
        let context = context(Mapping::DIRECTOR, now);
        let (vin, ecu) = (self.config.vin.clone(), self.config.ecu());
        let mut session = match self.source.offline.clone() {
            Some(name) => PartialSession::offline(followed, vin, ecu, name, context),
            None => PartialSession::new(followed, vin, ecu, context),
        };
        let partial = self.source.director(store).run(&mut session)?;
        Ok((partial.image.into_iter().collect(), partial.mark))
    }

    fn in_full(
        &mut self,
        followed: Followed,
        now: UtcTime,
        store: &mut DirStore,
    ) -> Result<(Vec<Directed>, Mark), Reject> {
        let director = self.ask_director(followed, now, store)?;
        let mut store = device::vehicle_store(self.directory, Mapping::IMAGE)?;
        let mut session = Session::with_context(Context {
            profile: director.image_profile(),
            ..context(Mapping::IMAGE, now)
        });
        let mut image = self.source.image(&mut store).run(&mut session)?;
        let (ecu, mapping) = (self.config.ecu(), self.config.mapping(self.inputs)?);
        let own = self.state.state().installed(&ecu.hardware_id);
        let installed = own.map(|image| (ecu.serial, image.clone()));
        let installed: BTreeMap<_, _> = installed.into_iter().collect();
        let mut resolve = director.resolve(&mut image, &mapping, &installed);
        let update = self.source.image(&mut store).run(&mut resolve)?;
        Ok((update.images, update.mark))
    }

    fn ask_director(
        &mut self,
        followed: Followed,
        now: UtcTime,
        store: &mut DirStore,
    ) -> Result<Director, Reject> {
        let vehicle = Vehicle {
            vin: self.config.vin.clone(),
            ecus: Ecus::Own(self.config.ecu()),
        };
        let context = context(Mapping::DIRECTOR, now);
        match self.source.offline.clone() {
            None => {
                let mut session = DirectorSession::new(followed, vehicle, context);
                self.source.director(store).run(&mut session)
            }
            Some(name) => {
                let mut session = OfflineDirectorSession::new(followed, vehicle, name, context);
                self.source.director(store).run(&mut session)
            }
        }
    }

    /// What time it is; the floor is durable before the time is used.
    fn time(&mut self, followed: &Followed) -> Result<UtcTime, Reject> {
        let attestation = self.inputs.attestation.map(device::read).transpose()?;
        if attestation.is_none() && self.source.offline.is_some() {
            let latest = latest_attested(followed, self.state.state().time_floor())
                .map_err(|reject| reject.at(Mapping::DIRECTOR))?;
            return latest.map_or_else(device::system_time, Ok);
        }
        let nonce = match device::take_nonce(self.directory, self.inputs.attestation)? {
            Some(nonce) => nonce,
            None => random_nonce()?,
        };
        let floor = self.state.state().time_floor();
        let attested = attested_time(followed, attestation, &nonce, floor)
            .map_err(|reject| reject.at(Mapping::DIRECTOR))?;
        let Some(attested) = attested else {
            return device::system_time();
        };
        let keep = self.state.change(|state| {
            state.time_attested(attested.floor);
            Ok(())
        });
        keep.map_err(|error| device::store_failed(&error))?;
        Ok(attested.now)
    }
}

/// What is fetched from one repository, and where it is kept.
struct Line<'l> {
    fetcher: &'l mut dyn Fetcher,
    store: &'l mut DirStore,
    urls: &'l [String],
    repository: &'static str,
}

impl Line<'_> {
    fn run<P: Protocol>(&mut self, session: &mut P) -> Result<P::Output, Reject> {
        let done = run_session(self.fetcher, self.store, self.urls, session);
        done.map_err(|error: ClientError| error.to_reject(self.repository))
    }
}

impl Source {
    fn director<'l>(&'l mut self, store: &'l mut DirStore) -> Line<'l> {
        Line {
            fetcher: self.fetcher.as_mut(),
            store,
            urls: &self.director,
            repository: Mapping::DIRECTOR,
        }
    }

    fn image<'l>(&'l mut self, store: &'l mut DirStore) -> Line<'l> {
        Line {
            fetcher: self.fetcher.as_mut(),
            store,
            urls: &self.image,
            repository: Mapping::IMAGE,
        }
    }
}

fn context(repository: &str, now: UtcTime) -> Context {
    Context {
        repository: repository.into(),
        limits: match repository {
            Mapping::DIRECTOR => Limits::director(),
            _ => Limits::default(),
        },
        ..Context::new(now)
    }
}
