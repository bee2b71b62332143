//! One ECU of a car: what it keeps, and its cycles.

use std::collections::BTreeMap;

use countersign_metadata::uptane::{EcuSerial, Mapping, Nonce, OfflineName};
use countersign_metadata::{Role, UtcTime};
use countersign_verifier::uptane::{
    Directed, Director, DirectorSession, Ecu, Installed, OfflineDirectorSession, Partial,
    PartialSession, TimeFloor, Update, Vehicle, attested_time,
};
use countersign_verifier::{
    Context, FollowRoot, Followed, Limits, Profile, Protocol, Reject, RemoteName, Reply, Session,
    Step, StoreName, Stored, Trusted, drive, provision_root,
};

use super::repo::{Files, Repo};
use super::{DIRECTOR, IMAGE, World, vin};

pub(crate) type Store = BTreeMap<StoreName, Stored>;

/// The nonce of every cycle here; what replays it are the tests about time.
pub(crate) const NONCE: Nonce = Nonce([7; 16]);

#[derive(Clone)]
pub(crate) struct Car {
    pub(crate) vehicle: Vehicle,
    pub(crate) mapping: Mapping,
    pub(crate) director: Store,
    pub(crate) image: Store,
    pub(crate) installed: BTreeMap<EcuSerial, Installed>,
    pub(crate) floor: Option<TimeFloor>,
    /// Budgets of its sessions.
    pub(crate) limits: Limits,
    /// What was fetched and saved, as "director: fetch timestamp.json".
    pub(crate) log: Vec<String>,
}

impl Car {
    /// With the first Roots of both repositories (5.4.1).
    pub(crate) fn provisioned(world: &World, vehicle: Vehicle) -> Self {
        let url = || vec!["https://example.com".into()];
        Self {
            vehicle,
            mapping: Mapping::both(url(), url()).unwrap(),
            director: provisioned(&world.director),
            image: provisioned(&world.image),
            installed: BTreeMap::new(),
            floor: None,
            limits: Limits::default(),
            log: Vec::new(),
        }
    }

    /// Full verification (5.4.4.2), in its order.
    pub(crate) fn cycle(&mut self, world: &World) -> Result<Update, Reject> {
        let director = self.director(world)?;
        let mut image = self.image(world)?;
        self.resolve(director, &mut image, &world.image.files)
    }

    /// The Director's repository, and before it the time.
    pub(crate) fn director(&mut self, world: &World) -> Result<Director, Reject> {
        let followed = self.director_root(&world.director.files)?;
        let attestation = world.attestation(&[NONCE]);
        let now = self.time(&followed, Some(attestation))?.unwrap();
        self.director_from(followed, now, &world.director.files)
    }

    /// The Director's repository from Root on, at `now`.
    pub(crate) fn director_from(
        &mut self,
        followed: Followed,
        now: UtcTime,
        files: &Files,
    ) -> Result<Director, Reject> {
        let context = self.context(DIRECTOR, now, Profile::Tuf);
        let mut session = DirectorSession::new(followed, self.vehicle.clone(), context);
        run(
            &mut session,
            DIRECTOR,
            &mut self.director,
            files,
            &mut self.log,
        )
    }

    pub(crate) fn director_root(&mut self, files: &Files) -> Result<Followed, Reject> {
        let mut session = FollowRoot::new(self.limits, DIRECTOR);
        run(
            &mut session,
            DIRECTOR,
            &mut self.director,
            files,
            &mut self.log,
        )
    }

    /// The time, on the word of the server that the Director's Root names.
    pub(crate) fn time(
        &mut self,
        followed: &Followed,
        attestation: Option<Vec<u8>>,
    ) -> Result<Option<UtcTime>, Reject> {
        let attested = attested_time(followed, attestation, &NONCE, self.floor.as_ref())?;
        Ok(attested.map(|attested| {
            self.floor = Some(attested.floor);
            attested.now
        }))
    }

    /// The Image repository.
    pub(crate) fn image(&mut self, world: &World) -> Result<Trusted, Reject> {
        self.image_as(Profile::Image, world.now, &world.image.files)
    }

    /// The Image repository, online or out of a bundle.
    pub(crate) fn image_as(
        &mut self,
        profile: Profile,
        now: UtcTime,
        files: &Files,
    ) -> Result<Trusted, Reject> {
        let context = self.context(IMAGE, now, profile);
        let mut session = Session::with_context(context);
        run(&mut session, IMAGE, &mut self.image, files, &mut self.log)
    }

    /// What both repositories say (5.4.4.2 step 10).
    pub(crate) fn resolve(
        &mut self,
        director: Director,
        image: &mut Trusted,
        files: &Files,
    ) -> Result<Update, Reject> {
        let mut resolve = director.resolve(image, &self.mapping, &self.installed);
        run(&mut resolve, IMAGE, &mut self.image, files, &mut self.log)
    }

    /// Partial verification (5.4.4.1), with the time from elsewhere.
    pub(crate) fn partial(&mut self, ecu: &Ecu, world: &World) -> Result<Partial, Reject> {
        let files = &world.director.files;
        let followed = self.director_root(files)?;
        let context = self.context(DIRECTOR, world.now, Profile::Tuf);
        let mut session = PartialSession::new(followed, vin(), ecu.clone(), context);
        run(
            &mut session,
            DIRECTOR,
            &mut self.director,
            files,
            &mut self.log,
        )
    }

    /// Partial verification of the Offline Targets file `name` of a bundle (PURE-2).
    pub(crate) fn partial_offline(
        &mut self,
        ecu: &Ecu,
        name: &OfflineName,
        files: &Files,
        now: UtcTime,
    ) -> Result<Partial, Reject> {
        let followed = self.director_root(files)?;
        let context = self.context(DIRECTOR, now, Profile::Tuf);
        let mut session =
            PartialSession::offline(followed, vin(), ecu.clone(), name.clone(), context);
        let (store, log) = (&mut self.director, &mut self.log);
        run(&mut session, DIRECTOR, store, files, log)
    }

    /// A bundle that was carried to the car (PURE-2): the Director's part and the Image
    /// repository's, with the Offline Targets file `name`.
    pub(crate) fn offline(
        &mut self,
        name: &OfflineName,
        director: &Files,
        image: &Files,
        now: UtcTime,
    ) -> Result<Update, Reject> {
        let followed = self.director_root(director)?;
        let context = self.context(DIRECTOR, now, Profile::Tuf);
        let vehicle = self.vehicle.clone();
        let mut session = OfflineDirectorSession::new(followed, vehicle, name.clone(), context);
        let assigned = run(
            &mut session,
            DIRECTOR,
            &mut self.director,
            director,
            &mut self.log,
        )?;
        let mut trusted = self.image_as(Profile::Offline, now, image)?;
        let mut resolve = assigned.resolve(&mut trusted, &self.mapping, &self.installed);
        run(&mut resolve, IMAGE, &mut self.image, image, &mut self.log)
    }

    /// The image has proved itself: from now on this is the record of its ECU.
    pub(crate) fn confirm(&mut self, image: &Directed) {
        let installed = Installed {
            hardware_id: image.ecu().hardware_id.clone(),
            path: image.path().to_string(),
            release_counter: image.release_counter(),
            length: image.file().length,
            hashes: image.file().hashes.clone(),
        };
        self.installed.insert(image.ecu().serial.clone(), installed);
    }

    /// Whether a file is trusted, byte for byte.
    pub(crate) fn trusts(&self, repository: &str, file: &[u8]) -> bool {
        let store = match repository {
            DIRECTOR => &self.director,
            _ => &self.image,
        };
        store.values().any(|stored| stored.bytes == file)
    }

    /// The log since it was asked for last, of steps that start like this.
    pub(crate) fn steps(&mut self, start: &str) -> Vec<String> {
        let steps = std::mem::take(&mut self.log);
        steps
            .into_iter()
            .filter(|step| step.starts_with(start))
            .collect()
    }

    fn context(&self, repository: &str, now: UtcTime, profile: Profile) -> Context {
        Context {
            limits: self.limits,
            repository: repository.into(),
            profile,
            ..Context::new(now)
        }
    }
}

pub(crate) fn provisioned(repo: &Repo) -> Store {
    let root = repo.file("root").unwrap();
    let version = root_version(root);
    let stored = Stored {
        bytes: root.clone(),
        accepted_under: None,
    };
    let names = [StoreName::Root, StoreName::RootHistory(version)];
    names.map(|name| (name, stored.clone())).into()
}

fn root_version(file: &[u8]) -> u64 {
    provision_root(file.to_vec()).unwrap().content().version()
}

/// Drives a session between a store and what a server has.
pub(crate) fn run<P: Protocol>(
    session: &mut P,
    repository: &str,
    store: &mut Store,
    files: &Files,
    log: &mut Vec<String>,
) -> Result<P::Output, Reject> {
    drive(session, |step| {
        Ok(match step {
            Step::Load { name } => match store.get(&name) {
                Some(stored) => Reply::Stored(stored.clone()),
                None => Reply::NotFound,
            },
            Step::LoadPart { name, range } => {
                let part = store.get(&name).and_then(|stored| stored.part(range));
                part.map_or(Reply::NotFound, Reply::part)
            }
            Step::Fetch { what, max_len } => {
                log.push(format!("{repository}: fetch {}", what.file_name()));
                fetch(files, &what, max_len)
            }
            Step::Save {
                name,
                version,
                bytes,
                accepted_under,
                ..
            } => {
                log.push(format!("{repository}: save {name:?} {version}"));
                let stored = Stored {
                    bytes: bytes.to_vec(),
                    accepted_under: Some(accepted_under),
                };
                if name == StoreName::Root {
                    let history = StoreName::RootHistory(version);
                    store.insert(history, stored.clone());
                }
                let in_force = match &name {
                    StoreName::Root => version,
                    _ => root_version(&store[&StoreName::Root].bytes),
                };
                assert_eq!(accepted_under, in_force, "{name:?}");
                store.insert(name, stored);
                Reply::Saved
            }
            Step::Done(_) => unreachable!("`drive` ends there"),
        })
    })
}

pub(crate) fn fetch(files: &Files, what: &RemoteName, max_len: u64) -> Reply {
    match files.get(&what.file_name()) {
        Some(file) if file.len() as u64 > max_len => Reply::TooLarge,
        Some(file) => Reply::Fetched(file.clone()),
        None => Reply::NotFound,
    }
}
