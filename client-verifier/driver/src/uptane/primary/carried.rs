//! An update that is carried to the vehicle (PURE-2): the same steps, out of a bundle.

use countersign_metadata::UtcTime;
use countersign_metadata::uptane::{Mapping, Nonce};
use countersign_verifier::uptane::{OfflineDirectorSession, latest_attested};
use countersign_verifier::{FollowRoot, Followed, Limits};

use super::distribute::Greeted;
use super::image_repository::ImageRepository;
use super::{
    Cycle, DirectorLink, Found, OwnEcu, Primary, PrimaryError, Stop, director_context, stop,
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
        let name = bundle.targets_name().clone();
        let failed = |error| stop(error, Mapping::DIRECTOR);

        let mut session = FollowRoot::new(Limits::default(), Mapping::DIRECTOR);
        let store = &mut self.parts.director_store;
        let followed = run_session(bundle, store, &[bundle::DIRECTOR.into()], &mut session);
        let followed = followed.map_err(failed)?;
        let (now, attestation) = self.time_here(&followed, greeted, &nonce)?;

        let (vehicle, context) = (self.vehicle(), director_context(now));
        let mut session = OfflineDirectorSession::new(followed, vehicle, name.clone(), context);
        let store = &mut self.parts.director_store;
        let director = run_session(bundle, store, &[bundle::OFFLINE.into()], &mut session);
        let director = director.map_err(failed)?;
        cycle.mark = Some(director.mark());
        if self.record.is_processed(&director.mark()) {
            return Ok(None);
        }

        let installed = self.installed_here();
        let mut image = ImageRepository {
            fetcher: bundle,
            store: &mut self.parts.image_store,
            urls: &[bundle::IMAGE.into()],
        };
        let update = image.resolve(director, &self.parts.mapping, &installed, now)?;
        let files = self.unpack(bundle, &update, now)?;
        cycle.images.clone_from(&update.images);
        Ok(Some(Found {
            update,
            files,
            attestation,
            offline: Some(name),
        }))
    }

    /// The time, and the attestation of it, which is empty if there is none that can be believed.
    /// That there is no network, or one that answers nonsense, is what bundles are for.
    fn time_here(
        &mut self,
        followed: &Followed,
        greeted: &Greeted,
        nonce: &Nonce,
    ) -> Result<(UtcTime, Vec<u8>), Stop> {
        let nonces: Vec<Nonce> = greeted.nonces().collect();
        let attestation = self.attestation(followed, &nonces).unwrap_or_default();
        if let Some(attestation) = attestation {
            match self.now(followed, Some(attestation.clone()), nonce) {
                Ok(now) => return Ok((now, attestation)),
                Err(Stop::Refused(reject)) => self.parts.own.note(&reject)?,
                Err(local) => return Err(local),
            }
        }
        Ok((self.latest_time(followed, nonce)?, Vec::new()))
    }

    fn latest_time(&mut self, followed: &Followed, nonce: &Nonce) -> Result<UtcTime, Stop> {
        let floor = self.record.time();
        let latest = latest_attested(followed, floor.as_ref())
            .map_err(|reject| reject.at(Mapping::DIRECTOR))?;
        match latest {
            Some(time) => Ok(time),
            // Root names no time server: as ever, the device's own clock.
            None => self.now(followed, None, nonce),
        }
    }
}
