//! A Primary: what it does for its vehicle in one cycle (Uptane 5.4.2).
//!
//! First the vehicle version manifest, then the time, metadata and images, then all of that for
//! every ECU. Its own ECU is served like the Secondaries, by a link within the process: what an
//! ECU installs it has verified itself.
//!
//! The ECUs prepare first and activate afterwards, so that by the usual policy a bundle is
//! installed on all of them or on none.

mod carried;
mod distribute;
#[cfg(feature = "http")]
mod http_director;
mod image_repository;
mod images;
mod manifest;
mod record;

use std::collections::BTreeMap;
use std::path::Path;

use countersign_metadata::uptane::{
    EcuSerial, HardwareId, Mapping, Nonce, OfflineName, Vin, time_server,
};
use countersign_metadata::{Key, UtcTime};
use countersign_verifier::uptane::{
    Directed, Director, DirectorSession, Ecus, Installed, Mark, Update, Vehicle, attested_time,
};
use countersign_verifier::{Code, Context, FollowRoot, Followed, Limits, Reject};

use self::distribute::Greeted;
use self::image_repository::ImageRepository;
use self::images::Files;
use self::record::Record;
use super::keys::{EcuSigner, KeyError};
use super::link::{Refusal, Respond, SecondaryLink};
use crate::client::{ClientError, run_session, with_slash};
use crate::fetch::{FetchError, Fetcher};
use crate::files::FilesError;
use crate::store::{Store, StoreError};

#[cfg(feature = "http")]
pub use self::http_director::{HttpDirector, MAX_ANSWER};
pub use self::record::RecordError;

/// The Director as a Primary talks to it, apart from files that it fetches.
pub trait DirectorLink {
    /// Sends the vehicle version manifest.
    ///
    /// # Errors
    /// When the Director does not have it now.
    fn put_manifest(&mut self, manifest: &[u8]) -> Result<(), FetchError>;

    /// Asks for an attestation of the time that answers `nonces`. `None` if there is no time
    /// server.
    ///
    /// # Errors
    /// When it cannot be had now.
    fn attest(&mut self, nonces: &[Nonce]) -> Result<Option<Vec<u8>>, FetchError>;
}

/// The Primary's own ECU: it answers like a Secondary, and is told what the Primary met.
pub trait OwnEcu: Respond {
    /// Puts a refusal into the next report.
    ///
    /// # Errors
    /// When it cannot be kept.
    fn note(&mut self, reject: &Reject) -> Result<(), StoreError>;

    /// What is installed, for the release counters.
    fn installed(&self) -> Option<Installed>;

    /// The time of a secure source of the device's own. It is asked only where the Director's Root
    /// names no time server.
    fn time(&mut self) -> Option<UtcTime>;
}

/// An ECU as its Primary knows it.
pub struct Member<'v> {
    /// What kind of hardware it is.
    pub hardware_id: HardwareId,
    /// The key that signs its reports.
    pub key: Key,
    /// How to talk to it.
    pub link: Box<dyn SecondaryLink + 'v>,
}

/// What becomes of a bundle if one of its ECUs cannot take its part.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Bundle {
    /// Nobody installs.
    #[default]
    AllOrNothing,
    /// The others do.
    BestEffort,
}

/// What a Primary is made of. `Fe` fetches, `D` is the Director's service, `St` a store for each
/// repository, `O` the own ECU and `K` its key.
pub struct Parts<'v, Fe, D, St, O, K> {
    /// The vehicle.
    pub vin: Vin,
    /// The Primary's own serial and hardware.
    pub serial: EcuSerial,
    /// What it is.
    pub hardware_id: HardwareId,
    /// Which repositories there are, and which images both have to sign.
    pub mapping: Mapping,
    /// Fetches metadata and images.
    pub fetcher: Fe,
    /// The Director's service.
    pub director: D,
    /// The Director's metadata.
    pub director_store: St,
    /// The Image repository's metadata.
    pub image_store: St,
    /// The own ECU.
    pub own: O,
    /// Its signing key.
    pub key: K,
    /// The Secondaries.
    pub secondaries: BTreeMap<EcuSerial, Member<'v>>,
    /// What becomes of a bundle that one ECU cannot take.
    pub bundle: Bundle,
}

/// A Primary at work.
pub struct Primary<'v, Fe, D, St, O, K> {
    parts: Parts<'v, Fe, D, St, O, K>,
    record: Record,
}

/// What happened to one ECU.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum EcuOutcome {
    /// Nothing was for it.
    Nothing,
    /// It runs the new image.
    Installed,
    /// The new image has to prove itself, or runs after a restart.
    OnTrial,
    /// It refused.
    Refused(Refusal),
    /// It could not be reached, or broke the protocol.
    Unreachable(String),
    /// It was ready, and another ECU was not.
    Abandoned,
}

/// What a cycle came to.
#[derive(Debug)]
pub struct Cycle {
    /// The Director's Targets that was verified, if one was.
    pub mark: Option<Mark>,
    /// The images that both repositories ask for and that were not processed before. They are
    /// downloaded.
    pub images: Vec<Directed>,
    /// Why nothing was installed, if something was refused on the way.
    pub refused: Option<Reject>,
    /// What happened to each ECU, where it came that far.
    pub ecus: BTreeMap<EcuSerial, EcuOutcome>,
    /// Why the Director did not get the last manifest, if it did not.
    pub unreported: Option<String>,
}

/// Why a Primary cannot work at all. What it meets outside is in [`Cycle`].
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PrimaryError {
    /// A store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The Primary's own record is damaged or cannot be written.
    #[error(transparent)]
    Record(#[from] RecordError),
    /// An image could not be kept.
    #[error(transparent)]
    Files(#[from] FilesError),
    /// The signing key cannot be used.
    #[error(transparent)]
    Key(#[from] KeyError),
}

/// Why a cycle goes no further.
enum Stop {
    /// Something outside: it is reported, and the next cycle starts over.
    Refused(Reject),
    /// Something inside.
    Local(PrimaryError),
}

impl<E: Into<PrimaryError>> From<E> for Stop {
    fn from(error: E) -> Self {
        Self::Local(error.into())
    }
}

impl From<Reject> for Stop {
    fn from(reject: Reject) -> Self {
        Self::Refused(reject)
    }
}

/// What is to be installed, and lies ready.
struct Found {
    update: Update,
    files: Files,
    /// Empty if there is none.
    attestation: Vec<u8>,
    /// The Offline Targets file, where all of it came out of a bundle.
    offline: Option<OfflineName>,
}

impl<'v, Fe, D, St, O, K> Primary<'v, Fe, D, St, O, K>
where
    Fe: Fetcher,
    D: DirectorLink,
    St: Store,
    O: OwnEcu,
    K: EcuSigner,
{
    /// A Primary that keeps its own record, and images on their way, in `directory`.
    ///
    /// # Errors
    /// [`RecordError`]
    pub fn open(parts: Parts<'v, Fe, D, St, O, K>, directory: &Path) -> Result<Self, RecordError> {
        Ok(Self {
            parts,
            record: Record::open(directory)?,
        })
    }

    /// One cycle, in the order of the Standard. A refusal ends it early; it is in the result and
    /// in the next report, and what was verified until then is kept.
    ///
    /// # Errors
    /// [`PrimaryError`]: this machine fails, not the update.
    pub fn cycle(&mut self) -> Result<Cycle, PrimaryError> {
        self.between_reports(|primary, cycle| {
            let greeted = primary.greet();
            let found = primary.find(&greeted, cycle)?;
            primary.install(found, greeted, cycle)
        })
    }

    /// The first half of a cycle: verifies metadata and images, and installs nothing. What was
    /// found lies ready for the ECUs.
    ///
    /// # Errors
    /// [`PrimaryError`]
    pub fn fetch(&mut self) -> Result<Cycle, PrimaryError> {
        self.between_reports(|primary, cycle| {
            let greeted = primary.greet();
            primary.find(&greeted, cycle).map(drop)
        })
    }

    /// 5.4.2.5 to 5.4.2.7, for what was found.
    fn install(
        &mut self,
        found: Option<Found>,
        greeted: Greeted,
        cycle: &mut Cycle,
    ) -> Result<(), Stop> {
        let Some(found) = found else {
            return Ok(());
        };
        cycle.ecus = self.distribute(&found, greeted)?;
        if self.is_over(&cycle.ecus) {
            match found.offline {
                None => self.record.processed(found.update.mark)?,
                Some(_) => self.record.processed_offline(found.update.mark)?,
            }
            self.tidy(&found.files)?;
        }
        Ok(())
    }

    fn between_reports(
        &mut self,
        update: impl FnOnce(&mut Self, &mut Cycle) -> Result<(), Stop>,
    ) -> Result<Cycle, PrimaryError> {
        let mut cycle = Cycle {
            mark: None,
            images: Vec::new(),
            refused: None,
            ecus: BTreeMap::new(),
            unreported: None,
        };
        // 5.4.2.1; the Director decides by it, and what it decides by last time's is not wrong.
        self.report()?;
        match update(self, &mut cycle) {
            Ok(()) => {}
            Err(Stop::Refused(reject)) => {
                self.parts.own.note(&reject)?;
                cycle.refused = Some(reject);
            }
            Err(Stop::Local(error)) => return Err(error),
        }
        cycle.unreported = self.report()?;
        Ok(cycle)
    }

    /// 5.4.2.2 to 5.4.2.4.
    fn find(&mut self, greeted: &Greeted, cycle: &mut Cycle) -> Result<Option<Found>, Stop> {
        let nonce = greeted.nonce_of(&self.parts.serial)?;
        let followed = self.follow_root()?;
        let nonces: Vec<Nonce> = greeted.nonces().collect();
        let attestation = self.attestation(&followed, &nonces)?;
        let now = self.now(&followed, attestation.clone(), &nonce)?;
        let director = self.director_metadata(followed, now)?;
        cycle.mark = Some(director.mark());
        let Some(update) = self.resolve(director, now)? else {
            return Ok(None);
        };
        let files = self.download(&update, now)?;
        cycle.images.clone_from(&update.images);
        Ok(Some(Found {
            update,
            files,
            attestation: attestation.unwrap_or_default(),
            offline: None,
        }))
    }

    fn follow_root(&mut self) -> Result<Followed, Stop> {
        let urls = self.urls(Mapping::DIRECTOR, "metadata/");
        let mut session = FollowRoot::new(Limits::default(), Mapping::DIRECTOR);
        let followed = run_session(
            &mut self.parts.fetcher,
            &mut self.parts.director_store,
            &urls,
            &mut session,
        );
        followed.map_err(|error| stop(error, Mapping::DIRECTOR))
    }

    /// Asked for only where Root names a time server. Root itself needs no time.
    fn attestation(
        &mut self,
        followed: &Followed,
        nonces: &[Nonce],
    ) -> Result<Option<Vec<u8>>, Reject> {
        let server = time_server(followed.root().content())
            .map_err(|error| Reject::metadata("root", error).at(Mapping::DIRECTOR))?;
        match server.map(|_| self.parts.director.attest(nonces)) {
            None => Ok(None),
            Some(Ok(attestation)) => Ok(attestation),
            Some(Err(error)) => {
                let reject = Reject::new(Code::TimeUnavailable, "time", error.to_string());
                Err(reject.at(Mapping::DIRECTOR))
            }
        }
    }

    /// 5.4.2.2: on the word of the time server that Root names; of the device's own clock where it
    /// names none.
    fn now(
        &mut self,
        followed: &Followed,
        attestation: Option<Vec<u8>>,
        nonce: &Nonce,
    ) -> Result<UtcTime, Stop> {
        let floor = self.record.time();
        let attested = attested_time(followed, attestation, nonce, floor.as_ref())
            .map_err(|reject| reject.at(Mapping::DIRECTOR))?;
        match attested {
            Some(attested) => {
                self.record.attested(attested.floor)?;
                Ok(attested.now)
            }
            None => self.parts.own.time().ok_or_else(|| {
                let detail = "the Director's Root names no time server, and this ECU has no secure \
                              clock of its own";
                Reject::new(Code::TimeUnavailable, "time", detail).into()
            }),
        }
    }

    /// 5.4.4.2 steps 2 to 5.
    fn director_metadata(&mut self, followed: Followed, now: UtcTime) -> Result<Director, Stop> {
        let urls = self.urls(Mapping::DIRECTOR, "metadata/");
        let mut session = DirectorSession::new(followed, self.vehicle(), director_context(now));
        let director = run_session(
            &mut self.parts.fetcher,
            &mut self.parts.director_store,
            &urls,
            &mut session,
        );
        director.map_err(|error| stop(error, Mapping::DIRECTOR))
    }

    /// 5.4.4.2 steps 6 to 10. `None` if all of it was done before.
    fn resolve(&mut self, director: Director, now: UtcTime) -> Result<Option<Update>, Stop> {
        if self.record.is_processed(&director.mark()) {
            return Ok(None);
        }
        let urls = self.urls(Mapping::IMAGE, "metadata/");
        let installed = self.installed_here();
        let Parts {
            fetcher,
            image_store,
            mapping,
            ..
        } = &mut self.parts;
        let mut image = ImageRepository {
            fetcher,
            store: image_store,
            urls: &urls,
        };
        image.resolve(director, mapping, &installed, now).map(Some)
    }

    fn vehicle(&self) -> Vehicle {
        let own = (self.parts.serial.clone(), self.parts.hardware_id.clone());
        let secondaries = self.parts.secondaries.iter();
        let secondaries = secondaries.map(|(s, member)| (s.clone(), member.hardware_id.clone()));
        Vehicle {
            vin: self.parts.vin.clone(),
            ecus: Ecus::All([own].into_iter().chain(secondaries).collect()),
        }
    }

    /// What the Primary itself has installed; of the Secondaries' counters it only hears.
    fn installed_here(&self) -> BTreeMap<EcuSerial, Installed> {
        let own = self.parts.own.installed();
        let own = own.map(|own| (self.parts.serial.clone(), own));
        own.into_iter().collect()
    }

    /// A repository's mirrors: its metadata is below `metadata/`, its images below `targets/`.
    fn urls(&self, repository: &str, part: &str) -> Vec<String> {
        let urls = self.parts.mapping.urls(repository).iter();
        urls.map(|url| format!("{}{part}", with_slash(url)))
            .collect()
    }
}

fn director_context(now: UtcTime) -> Context {
    Context {
        repository: Mapping::DIRECTOR.into(),
        limits: Limits::director(),
        ..Context::new(now)
    }
}

/// What a client's error means for the cycle.
fn stop(error: ClientError, repository: &str) -> Stop {
    match error {
        ClientError::Store(error) => Stop::Local(error.into()),
        ClientError::Files(error) => Stop::Local(error.into()),
        error => Stop::Refused(error.to_reject(repository)),
    }
}

fn fetch_stop(role: &str, error: FetchError) -> Stop {
    let error = ClientError::Fetch {
        role: role.into(),
        error,
    };
    stop(error, Mapping::DIRECTOR)
}
