//! An update that is carried to the vehicle (PURE-2): the same steps, out of a bundle.

use countersign_metadata::UtcTime;
use countersign_metadata::uptane::{Mapping, Nonce};
use countersign_verifier::uptane::{OfflineDirectorSession, latest_attested};
use countersign_verifier::{FollowRoot, Followed, Limits, Profile, Session};

use super::distribute::Greeted;
use super::{
    Cycle, DirectorLink, Found, OwnEcu, Primary, PrimaryError, Stop, director_context,
    image_context, stop,
};
use crate::client::run_session;
use crate::fetch::Fetcher;
use crate::store::Store;
use crate::uptane::bundle::{self, Bundle};
use crate::uptane::keys::EcuSigner;

impl<Fe, D, St, O, K> Primary<'_, Fe, D, St, O, K>
where
    Fe: Fetcher,
    D: DirectorLink,
    St: Store,
    O: OwnEcu,
    K: EcuSigner,
{
    /// As [`Primary::cycle`], with the metadata and images of `bundle`. The Director is told if it
    /// can be reached, and asked for the time; without it the latest time that was attested counts.
    ///
    /// # Errors
    /// [`PrimaryError`]
    pub fn cycle_from(&mut self, bundle: &mut Bundle) -> Result<Cycle, PrimaryError> {
        self.between_reports(|primary, cycle| {
            let greeted = primary.greet();
            let found = primary.find_in(bundle, &greeted, cycle)?;
            primary.install(found, greeted, cycle)
        })
    }

    /// As [`Primary::fetch`], with the metadata and images of `bundle`.
    ///
    /// # Errors
    /// [`PrimaryError`]
    pub fn fetch_from(&mut self, bundle: &mut Bundle) -> Result<Cycle, PrimaryError> {
        self.between_reports(|primary, cycle| {
            let greeted = primary.greet();
            primary.find_in(bundle, &greeted, cycle).map(drop)
        })
    }

    fn find_in(
        &mut self,
        bundle: &mut Bundle,
        greeted: &Greeted,
        cycle: &mut Cycle,
    ) -> Result<Option<Found>, Stop> {
        let nonce = greeted.nonce_of(&self.parts.serial)?;
        let vehicle = self.vehicle();
        let name = bundle.targets_name().to_owned();
        let director_failed = |error| stop(error, Mapping::DIRECTOR);

        let mut session = FollowRoot::new(Limits::default(), Mapping::DIRECTOR);
        let store = &mut self.parts.director_store;
        let followed = run_session(bundle, store, &[bundle::DIRECTOR.into()], &mut session)
            .map_err(director_failed)?;
        let nonces: Vec<Nonce> = greeted.nonces().collect();
        // That there is no network is what bundles are for.
        let attestation = self.attestation(&followed, &nonces).unwrap_or_default();
        let now = match attestation {
            Some(_) => self.now(&followed, attestation.clone(), &nonce)?,
            None => self.latest_time(&followed, &nonce)?,
        };

        let context = director_context(now);
        let mut session = OfflineDirectorSession::new(followed, vehicle, name.as_str(), context);
        let store = &mut self.parts.director_store;
        let director = run_session(bundle, store, &[bundle::OFFLINE.into()], &mut session)
            .map_err(director_failed)?;
        let mark = director.mark();
        cycle.mark = Some(mark);
        if self.record.is_processed(&mark) {
            return Ok(None);
        }

        let urls = [bundle::IMAGE.into()];
        let installed = self.installed_here();
        let store = &mut self.parts.image_store;
        let mut session = Session::with_context(image_context(Profile::Offline, now));
        let image_failed = |error| stop(error, Mapping::IMAGE);
        let mut image = run_session(bundle, store, &urls, &mut session).map_err(image_failed)?;
        let mut resolve = director.resolve(&mut image, &self.parts.mapping, &installed);
        let update = run_session(bundle, store, &urls, &mut resolve).map_err(image_failed)?;

        let files = self.unpack(bundle, &update, now)?;
        cycle.images.clone_from(&update.images);
        Ok(Some(Found {
            update,
            files,
            attestation: attestation.unwrap_or_default(),
            offline: Some(name),
        }))
    }

    fn latest_time(&mut self, followed: &Followed, nonce: &Nonce) -> Result<UtcTime, Stop> {
        let floor = self.record.time();
        let latest = latest_attested(followed, floor.as_ref())
            .map_err(|reject| reject.at(Mapping::DIRECTOR))?;
        match latest {
            Some(time) => Ok(time),
            // Root names no time server: as ever, the system's clock.
            None => self.now(followed, None, nonce),
        }
    }
}
