//! What the Image repository says of what the Director asks for (5.4.4.2 steps 6 to 10).

use std::collections::BTreeMap;

use countersign_metadata::UtcTime;
use countersign_metadata::uptane::{EcuSerial, Mapping};
use countersign_verifier::uptane::{Director, Installed, Update};
use countersign_verifier::{Context, Protocol, Session, Trusted};

use super::{Stop, stop};
use crate::client::run_session;
use crate::fetch::Fetcher;
use crate::store::Store;

/// The Image repository's metadata: where it comes from, and where it is kept.
pub(super) struct ImageRepository<'r> {
    pub(super) fetcher: &'r mut dyn Fetcher,
    pub(super) store: &'r mut dyn Store,
    pub(super) urls: &'r [String],
}

impl ImageRepository<'_> {
    /// What both repositories ask for.
    pub(super) fn resolve(
        &mut self,
        director: Director,
        mapping: &Mapping,
        installed: &BTreeMap<EcuSerial, Installed>,
        now: UtcTime,
    ) -> Result<Update, Stop> {
        if director.assignments().is_empty() {
            // The ECUs get the metadata all the same (5.4.2.6).
            let (images, mark) = (Vec::new(), director.mark());
            return Ok(Update { images, mark });
        }
        let context = Context {
            repository: Mapping::IMAGE.into(),
            profile: director.image_profile(),
            ..Context::new(now)
        };
        let mut session = Session::with_context(context);
        let mut image: Trusted = self.follow(&mut session)?;
        self.follow(&mut director.resolve(&mut image, mapping, installed))
    }

    fn follow<P: Protocol>(&mut self, session: &mut P) -> Result<P::Output, Stop> {
        let done = run_session(self.fetcher, self.store, self.urls, session);
        done.map_err(|error| stop(error, Mapping::IMAGE))
    }
}
