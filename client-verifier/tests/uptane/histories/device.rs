//! An ECU that fetches, verifies and runs images, and whose power can be cut at any write. The
//! model is asked about everything that it keeps and runs.

use std::collections::BTreeMap;

use countersign_metadata::UtcTime;
use countersign_metadata::uptane::{EcuSerial, Mapping, Nonce, OfflineName};
use countersign_verifier::uptane::{
    Directed, DirectorSession, Ecu, Ecus, Installed, Mark, OfflineDirectorSession, PartialSession,
    TimeFloor, Update, Vehicle, attested_time,
};
use countersign_verifier::{
    Context, FollowRoot, Followed, Limits, Profile, Protocol, Reject, Reply, Session, Step,
    StoreName, Stored, Trusted, drive,
};

use super::model::{Asked, Entry, Model, Seen, Shelf};
use super::stage::{PRODUCTS, Stage};
use super::thieves::{Clock, Delivery};
use super::workshop::WORKSHOP;
use crate::world::car::{Store, fetch, provisioned};
use crate::world::repo::Files;
use crate::world::{DIRECTOR, IMAGE, World, ecu, hardware, primary_of, vin};

/// What an ECU gets in one cycle.
#[derive(Debug, Clone)]
pub(super) struct Mail {
    /// An ECU that verifies in part takes no bundles.
    pub(super) way: Way,
    pub(super) director: Delivery,
    pub(super) image: Delivery,
    pub(super) clock: Clock,
    /// Whether the bytes are those that were asked for.
    pub(super) bytes: Bytes,
}

#[derive(Debug, Clone, Copy)]
pub(super) enum Way {
    Online,
    /// In the bundle that was packed then. The Director's part of it is genuine.
    Bundle(usize),
}

#[derive(Debug, Clone, Copy)]
pub(super) enum Bytes {
    AsAsked,
    Malware,
}

/// Why a cycle ended early.
#[derive(Debug)]
pub(super) enum Stop {
    /// The power was cut.
    Cut,
    Refused(Reject),
    /// The ECU did what the model says it must not.
    Wrong(String),
}

impl From<Reject> for Stop {
    fn from(reject: Reject) -> Self {
        Self::Refused(reject)
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Depth {
    Full,
    Partial,
}

/// See the module.
pub(super) struct Device {
    ecu: Ecu,
    vehicle: Vehicle,
    depth: Depth,
    mapping: Mapping,
    director: Store,
    image: Store,
    floor: Option<TimeFloor>,
    mark: Option<Mark>,
    installed: BTreeMap<EcuSerial, Installed>,
    /// What it runs now.
    pub(super) runs: Option<Entry>,
    cycles: u8,
}

impl Device {
    /// A Primary and a Secondary that verify in full, and one that verifies in part; as they leave
    /// the factory.
    pub(super) fn all(world: &World) -> [Self; 3] {
        let [p1, s1, s2] = [0, 1, 2].map(|at| ecu(PRODUCTS[at].ecu, PRODUCTS[at].kind));
        [
            Self::new(world, p1, primary_of(&vin()).ecus, Depth::Full),
            Self::new(world, s1.clone(), Ecus::Own(s1), Depth::Full),
            Self::new(world, s2.clone(), Ecus::Own(s2), Depth::Partial),
        ]
    }

    fn new(world: &World, ecu: Ecu, ecus: Ecus, depth: Depth) -> Self {
        let url = || vec!["https://example.com".into()];
        Self {
            ecu,
            vehicle: Vehicle { vin: vin(), ecus },
            depth,
            mapping: Mapping::both(url(), url()).unwrap(),
            director: provisioned(&world.director),
            image: provisioned(&world.image),
            floor: None,
            mark: None,
            installed: BTreeMap::new(),
            runs: None,
            cycles: 0,
        }
    }

    /// One cycle (5.4.4.1, 5.4.4.2), in which the power lasts for so many writes.
    pub(super) fn cycle(
        &mut self,
        stage: &mut Stage,
        mail: &Mail,
        writes: Option<usize>,
    ) -> Result<(), Stop> {
        let mut power = Power(writes);
        let (director, image) = match (mail.way, self.depth) {
            (Way::Bundle(at), Depth::Full) => {
                let bundle = stage.bundle(at);
                let image = match &mail.image {
                    Delivery::Honest => bundle.image,
                    attack => stage.deliver(IMAGE, attack),
                };
                return self.take_bundle(stage, &bundle.director, &image, mail, &mut power);
            }
            _ => (
                stage.deliver(DIRECTOR, &mail.director),
                stage.deliver(IMAGE, &mail.image),
            ),
        };
        let (followed, now) = self.start(stage, &director, mail.clock, &mut power)?;
        let tuf = context(DIRECTOR, now, Profile::Tuf);
        let (own, mark, asked) = if self.depth == Depth::Partial {
            let mut session = PartialSession::new(followed, vin(), self.ecu.clone(), tuf);
            let partial = self.run(&mut session, DIRECTOR, &director, stage, &mut power)?;
            (partial.image, partial.mark, Asked::Director)
        } else {
            let mut session = DirectorSession::new(followed, self.vehicle.clone(), tuf);
            let directs = self.run(&mut session, DIRECTOR, &director, stage, &mut power)?;
            if self.mark == Some(directs.mark()) {
                return Ok(());
            }
            let mut listed = self.list(stage, &image, now, Profile::Image, &mut power)?;
            let (mapping, installed) = (self.mapping.clone(), self.installed.clone());
            let mut resolve = directs.resolve(&mut listed, &mapping, &installed);
            let update = self.run(&mut resolve, IMAGE, &image, stage, &mut power)?;
            let mark = update.mark;
            (self.own(update), mark, Asked::Both)
        };
        if let Some(directed) = own {
            self.install(stage, &directed, mail.bytes, asked, now, &mut power)?;
        }
        power.write()?;
        self.mark = Some(mark);
        Ok(())
    }

    /// PURE-2.
    fn take_bundle(
        &mut self,
        stage: &Stage,
        director: &Files,
        image: &Files,
        mail: &Mail,
        power: &mut Power,
    ) -> Result<(), Stop> {
        let (followed, now) = self.start(stage, director, mail.clock, power)?;
        let (vehicle, tuf) = (self.vehicle.clone(), context(DIRECTOR, now, Profile::Tuf));
        let mut session = OfflineDirectorSession::new(
            followed,
            vehicle,
            OfflineName::new(WORKSHOP).unwrap(),
            tuf,
        );
        let directs = self.run(&mut session, DIRECTOR, director, stage, power)?;
        let mut listed = self.list(stage, image, now, Profile::Offline, power)?;
        let (mapping, installed) = (self.mapping.clone(), self.installed.clone());
        let mut resolve = directs.resolve(&mut listed, &mapping, &installed);
        let update = self.run(&mut resolve, IMAGE, image, stage, power)?;
        match self.own(update) {
            Some(own) => self.install(stage, &own, mail.bytes, Asked::Bundle, now, power),
            None => Ok(()),
        }
    }

    /// The Director's Roots, and the time on their word.
    fn start(
        &mut self,
        stage: &Stage,
        director: &Files,
        clock: Clock,
        power: &mut Power,
    ) -> Result<(Followed, UtcTime), Stop> {
        let mut root = FollowRoot::new(Limits::default(), DIRECTOR);
        let followed = self.run(&mut root, DIRECTOR, director, stage, power)?;
        let now = self.time(stage, clock, &followed, power)?;
        Ok((followed, now))
    }

    fn list(
        &mut self,
        stage: &Stage,
        image: &Files,
        now: UtcTime,
        profile: Profile,
        power: &mut Power,
    ) -> Result<Trusted, Stop> {
        let mut session = Session::with_context(context(IMAGE, now, profile));
        self.run(&mut session, IMAGE, image, stage, power)
    }

    fn own(&self, update: Update) -> Option<Directed> {
        let own = |image: &Directed| image.ecu().serial == self.ecu.serial;
        update.images.into_iter().find(own)
    }

    fn time(
        &mut self,
        stage: &Stage,
        clock: Clock,
        followed: &Followed,
        power: &mut Power,
    ) -> Result<UtcTime, Stop> {
        self.cycles += 1;
        let nonce = Nonce([self.cycles; 16]);
        let attestation = stage.tell_time(clock, nonce);
        let attested = attested_time(followed, attestation, &nonce, self.floor.as_ref())?;
        let attested = attested.unwrap();
        power.write()?;
        self.floor = Some(attested.floor);
        Ok(attested.now)
    }

    /// The image gate (5.4.3.4), and the record of what went through it.
    fn install(
        &mut self,
        stage: &Stage,
        directed: &Directed,
        bytes: Bytes,
        asked: Asked,
        now: UtcTime,
        power: &mut Power,
    ) -> Result<(), Stop> {
        let last = self.installed.get(&self.ecu.serial);
        let mut stream = directed.open_image(&self.ecu, last, now)?;
        let content = match bytes {
            Bytes::AsAsked => stage.image(directed.file()),
            Bytes::Malware => "malware".into(),
        };
        stream.update(content.as_bytes())?;
        let image = stream.finish()?;
        let directed = image.directed().unwrap();
        power.write()?;
        self.activate(stage, directed, content, asked, now)
            .map_err(|wrong| Stop::Wrong(format!("{} ran {directed:?}: {wrong}", self.ecu.serial)))
    }

    fn activate(
        &mut self,
        stage: &Stage,
        directed: &Directed,
        content: String,
        asked: Asked,
        now: UtcTime,
    ) -> Result<(), String> {
        let own = PRODUCTS.iter().find(|p| p.ecu == self.ecu.serial.as_str());
        let own = own.unwrap();
        let entry = Entry {
            path: directed.path().to_string(),
            content,
            kind: own.kind,
            counter: directed.release_counter(),
            ecu: Some(own.ecu),
        };
        let seen = Seen {
            vehicle: vin().to_string(),
            director: shelf(&self.director),
            image: shelf(&self.image),
            now,
        };
        stage.model.may_run(&entry, &seen, asked)?;
        if let Some(last) = &self.runs {
            Model::may_follow(last, &entry)?;
        }
        self.runs = Some(entry);
        let installed = Installed {
            hardware_id: hardware(own.kind),
            path: directed.path().to_string(),
            release_counter: directed.release_counter(),
            length: directed.file().length,
            hashes: directed.file().hashes.clone(),
        };
        self.installed.insert(self.ecu.serial.clone(), installed);
        Ok(())
    }

    fn run<P: Protocol>(
        &mut self,
        session: &mut P,
        site: &'static str,
        files: &Files,
        stage: &Stage,
        power: &mut Power,
    ) -> Result<P::Output, Stop> {
        let store = match site {
            DIRECTOR => &mut self.director,
            _ => &mut self.image,
        };
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
                Step::Fetch { what, max_len } => fetch(files, &what, max_len),
                Step::Save {
                    name,
                    version,
                    bytes,
                    accepted_under,
                    ..
                } => {
                    let role = role_of(&name).unwrap();
                    let wrong = |why| Stop::Wrong(format!("kept {role} of {site}: {why}"));
                    let under_the_same = |old: &&Stored| old.accepted_under == Some(accepted_under);
                    if let Some(old) = store.get(&name).filter(under_the_same) {
                        let replaced = stage.model.may_replace(&old.bytes, bytes);
                        replaced.map_err(wrong)?;
                    }
                    let file = Stored {
                        bytes: bytes.to_vec(),
                        accepted_under: Some(accepted_under),
                    };
                    if name == StoreName::Root {
                        power.write()?;
                        store.insert(StoreName::RootHistory(version), file.clone());
                    }
                    power.write()?;
                    store.insert(name, file);
                    let kept = stage
                        .model
                        .may_keep(site, &role, &shelf(store), vin().as_str());
                    kept.map_err(wrong)?;
                    Reply::Saved
                }
                Step::Done(_) => unreachable!("`drive` ends there"),
            })
        })
    }
}

/// Writes that the power still lasts for.
struct Power(Option<usize>);

impl Power {
    fn write(&mut self) -> Result<(), Stop> {
        match &mut self.0 {
            Some(0) => return Err(Stop::Cut),
            Some(left) => *left -= 1,
            None => {}
        }
        Ok(())
    }
}

fn context(repository: &str, now: UtcTime, profile: Profile) -> Context {
    Context {
        repository: repository.into(),
        profile,
        ..Context::new(now)
    }
}

fn shelf(store: &Store) -> Shelf {
    let files = store.iter();
    files
        .filter_map(|(name, stored)| Some((role_of(name)?, stored.bytes.clone())))
        .collect()
}

fn role_of(name: &StoreName) -> Option<String> {
    Some(match name {
        StoreName::Root => "root".into(),
        StoreName::Timestamp => "timestamp".into(),
        StoreName::Snapshot => "snapshot".into(),
        StoreName::Targets => "targets".into(),
        StoreName::Delegated(role) => role.clone(),
        StoreName::OfflineSnapshot => "offline-snapshot".into(),
        StoreName::OfflineTargets(_) => "offline-targets".into(),
        StoreName::RootHistory(_) | StoreName::TargetsOutline => return None,
    })
}
