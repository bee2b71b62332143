//! Steps 1 and 2: the time and the metadata (5.4.3.1, 5.4.3.2).

use std::collections::BTreeMap;

use countersign_metadata::UtcTime;
use countersign_metadata::uptane::OfflineName;
use countersign_verifier::uptane::{
    Attested, Directed, Director, DirectorSession, Ecus, Mark, OfflineDirectorSession,
    PartialSession, Vehicle, attested_time, latest_attested,
};
use countersign_verifier::{Code, Context, FollowRoot, Followed, Reject, Session};

use super::follow::{Fetch, follow};
use super::{Clock, Secondary};
use crate::uptane::link::{Repository, Verification};
use crate::uptane::state::Order;

/// What verified metadata asks for.
#[derive(Debug)]
pub(super) struct Verified {
    /// The image that is approved for this ECU; `None` also if all of this was done before.
    pub(super) image: Option<Directed>,
    /// The mark of the Director's Targets.
    pub(super) mark: Mark,
}

impl Secondary {
    /// Follows the Director's chain of Roots, which needs no time.
    pub(super) fn follow_root(&mut self, fetch: &mut Fetch<'_>) -> Result<Followed, Reject> {
        let mut session = FollowRoot::new(self.parts.director_limits, Repository::Director.name());
        let store = self.parts.director.as_mut();
        follow(&mut session, Repository::Director, store, fetch)
    }

    /// Step 1: what time it is. The floor is durable before the time is used.
    pub(super) fn learn_time(
        &mut self,
        followed: &Followed,
        attestation: Option<Vec<u8>>,
    ) -> Result<(), Reject> {
        let floor = self.state().time_floor().copied();
        if attestation.is_some() {
            self.challenge.check_age(self.parts.host.uptime())?;
        }
        let nonce = self.challenge.nonce();
        let attested = attested_time(followed, attestation, &nonce, floor.as_ref())
            .map_err(|reject| reject.at(Repository::Director.name()))?;
        let time = match attested {
            Some(Attested { now, floor }) => {
                self.change(|state| {
                    state.time_attested(floor);
                    Ok(())
                })?;
                now
            }
            None => self.own_time()?,
        };
        self.set_clock(time);
        Ok(())
    }

    /// Step 1 without a network: the latest time that was attested. The clock may have gone on since.
    pub(super) fn recall_time(&mut self, followed: &Followed) -> Result<(), Reject> {
        let floor = self.state().time_floor().copied();
        let attested = latest_attested(followed, floor.as_ref())
            .map_err(|reject| reject.at(Repository::Director.name()))?;
        let time = match attested {
            Some(time) => self.now().map_or(time, |now| now.max(time)),
            None => self.own_time()?,
        };
        self.set_clock(time);
        Ok(())
    }

    fn own_time(&mut self) -> Result<UtcTime, Reject> {
        self.parts.host.time().ok_or_else(|| {
            let detail = "the Director's Root names no time server, and this ECU has no \
                          secure clock of its own";
            Reject::new(Code::TimeUnavailable, "time", detail)
        })
    }

    fn set_clock(&mut self, time: UtcTime) {
        self.clock = Some(Clock {
            time,
            since: self.parts.host.uptime(),
        });
    }

    /// Step 2: what both repositories ask of this ECU, or the Director alone where that is how it
    /// verifies; of an offline bundle where `offline` names its Offline Targets file (PURE-2).
    pub(super) fn verify(
        &mut self,
        followed: Followed,
        offline: Option<&OfflineName>,
        fetch: &mut Fetch<'_>,
    ) -> Result<Verified, Reject> {
        match self.parts.verification {
            Verification::Full => {
                let director = self.ask_director(followed, offline, fetch)?;
                self.ask_image_repository(director, offline, fetch)
            }
            Verification::Partial => self.verify_in_part(followed, offline, fetch),
        }
    }

    fn ask_director(
        &mut self,
        followed: Followed,
        offline: Option<&OfflineName>,
        fetch: &mut Fetch<'_>,
    ) -> Result<Director, Reject> {
        let (vehicle, context) = (self.vehicle(), self.context(Repository::Director)?);
        let store = self.parts.director.as_mut();
        match offline.cloned() {
            None => {
                let mut session = DirectorSession::new(followed, vehicle, context);
                follow(&mut session, Repository::Director, store, fetch)
            }
            Some(name) => {
                let mut session = OfflineDirectorSession::new(followed, vehicle, name, context);
                follow(&mut session, Repository::Director, store, fetch)
            }
        }
    }

    fn ask_image_repository(
        &mut self,
        director: Director,
        offline: Option<&OfflineName>,
        fetch: &mut Fetch<'_>,
    ) -> Result<Verified, Reject> {
        let mark = director.mark();
        let order = Order {
            mark,
            offline: offline.cloned(),
        };
        // 5.4.4.2 steps 4 and 6: the Image repository is not asked about what is done, nor about
        // nothing.
        let serial = &self.parts.ecu.serial;
        let mut assignments = director.assignments().iter();
        let named = assignments.any(|assigned| assigned.custom.ecus.contains_key(serial));
        if self.state().is_processed(&order) || !named {
            return Ok(Verified { image: None, mark });
        }
        let context = Context {
            profile: director.image_profile(),
            ..self.context(Repository::Image)?
        };
        let mut session = Session::with_context(context);
        let ecu = &self.parts.ecu;
        let own = self.state().installed(&ecu.hardware_id);
        let installed = own.map(|image| (ecu.serial.clone(), image.clone()));
        let installed: BTreeMap<_, _> = installed.into_iter().collect();
        let store = self.parts.image.as_mut();
        let mut image = follow(&mut session, Repository::Image, store, fetch)?;
        let mut resolve = director.resolve(&mut image, &self.parts.mapping, &installed);
        let update = follow(&mut resolve, Repository::Image, store, fetch)?;
        Ok(Verified {
            image: update.images.into_iter().next(),
            mark: update.mark,
        })
    }

    fn verify_in_part(
        &mut self,
        followed: Followed,
        offline: Option<&OfflineName>,
        fetch: &mut Fetch<'_>,
    ) -> Result<Verified, Reject> {
        let context = self.context(Repository::Director)?;
        let (vin, ecu) = (self.parts.vin.clone(), self.parts.ecu.clone());
        let mut session = match offline.cloned() {
            None => PartialSession::new(followed, vin, ecu, context),
            Some(name) => PartialSession::offline(followed, vin, ecu, name, context),
        };
        let store = self.parts.director.as_mut();
        let partial = follow(&mut session, Repository::Director, store, fetch)?;
        Ok(Verified {
            image: partial.image,
            mark: partial.mark,
        })
    }

    fn vehicle(&self) -> Vehicle {
        Vehicle {
            vin: self.parts.vin.clone(),
            ecus: Ecus::Own(self.parts.ecu.clone()),
        }
    }

    fn context(&self, repository: Repository) -> Result<Context, Reject> {
        Ok(Context {
            limits: match repository {
                Repository::Director => self.parts.director_limits,
                Repository::Image => self.parts.image_limits,
            },
            repository: repository.name().into(),
            ..Context::new(self.now()?)
        })
    }
}
