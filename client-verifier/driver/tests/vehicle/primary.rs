//! A Primary at work, for itself and for one Secondary.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use countersign_client::fetch::{Body, FetchError, Fetcher, FileFetcher};
use countersign_client::store::{DirStore, Store, StoreName};
use countersign_client::uptane::link::{
    Answer, LinkError, Repository, Request, SecondaryLink, Source, Verification,
};
use countersign_client::uptane::primary::{
    Bundle, Cycle, DirectorLink, EcuOutcome, Member, Parts, Primary,
};
use countersign_client::uptane::secondary::{Health, Secondary};
use countersign_metadata::uptane::{
    EcuVersionReport, Mapping, Nonce, TimeAttestation, VehicleVersionManifest,
};
use countersign_metadata::{Signed, Unsigned, UtcTime};

use super::device::{DOOR_KEY, Device, Door, OLD, Signer, authority};
use super::site::{Image, Site, TIME_KEY, TestKey, door, head_unit, vin};

const PRIMARY_KEY: TestKey = TestKey(30);

/// The Director's service, as far as a Primary sees it.
#[derive(Clone)]
struct Service(Arc<Mutex<Inner>>);

struct Inner {
    now: UtcTime,
    manifests: Vec<Vec<u8>>,
    takes_manifests: bool,
    tells_time: bool,
}

fn unreachable() -> FetchError {
    FetchError::Disconnected {
        url: "https://director.example.com".into(),
        detail: "no route".into(),
    }
}

impl DirectorLink for Service {
    fn put_manifest(&mut self, manifest: &[u8]) -> Result<(), FetchError> {
        let mut inner = self.0.lock().unwrap();
        match inner.takes_manifests {
            true => inner.manifests.push(manifest.to_vec()),
            false => return Err(unreachable()),
        }
        Ok(())
    }

    fn attest(&mut self, nonces: &[Nonce]) -> Result<Option<Vec<u8>>, FetchError> {
        let inner = self.0.lock().unwrap();
        if !inner.tells_time {
            return Err(unreachable());
        }
        let attestation = TimeAttestation {
            time: inner.now,
            nonces: nonces.to_vec(),
            extra: Default::default(),
        };
        let mut file = Unsigned::new(attestation.to_payload());
        let signature = TIME_KEY.sign(file.payload());
        file.add_signature(TIME_KEY.key().id(), signature);
        Ok(Some(file.to_file()))
    }
}

/// Fetches files, and notes which.
struct Noting(FileFetcher, Arc<Mutex<Vec<String>>>);

impl Fetcher for Noting {
    fn open(&mut self, url: &str, from: u64) -> Result<Body<'_>, FetchError> {
        self.1.lock().unwrap().push(url.into());
        self.0.open(url, from)
    }
}

/// The wire to the door: cut where there is nothing at its end.
#[derive(Clone)]
struct Wire(Arc<Mutex<Option<Door>>>);

impl SecondaryLink for Wire {
    fn call(&mut self, request: Request, source: &mut dyn Source) -> Result<Answer, LinkError> {
        match self.0.lock().unwrap().as_mut() {
            Some(door) => Ok(door.ask(request, source)),
            None => Err(LinkError::from(io::Error::other("the wire is cut"))),
        }
    }
}

/// A vehicle of two ECUs, and what is around it.
struct Vehicle {
    site: Site,
    service: Service,
    fetched: Arc<Mutex<Vec<String>>>,
    head_unit: Device,
    door: Device,
    wire: Wire,
    /// The key that the Primary knows the door by.
    door_key: TestKey,
    /// Whether the Primary knows of one.
    has_door: bool,
}

type TestPrimary = Primary<'static, Noting, Service, DirStore, Secondary, Signer>;

impl Vehicle {
    fn new() -> Self {
        let head_unit = Device::provision_as(head_unit(), PRIMARY_KEY, Verification::Full);
        for repository in [Repository::Director, Repository::Image] {
            let mut store = own_store(&head_unit, repository);
            let root = Site::root(repository);
            store.save(&StoreName::Root, &root, 1).unwrap();
        }
        let door = Device::provision(Verification::Full);
        let site = Site::new(&head_unit.path("site"));
        let service = Service(Arc::new(Mutex::new(Inner {
            now: site.now,
            manifests: Vec::new(),
            takes_manifests: true,
            tells_time: true,
        })));
        Self {
            service,
            site,
            fetched: Arc::default(),
            wire: Wire(Arc::new(Mutex::new(Some(door.start())))),
            head_unit,
            door,
            door_key: DOOR_KEY,
            has_door: true,
        }
    }

    /// New images for both ECUs.
    fn publish(&mut self, release_counter: u64) -> [Image; 2] {
        let names = match release_counter {
            2 => ["head-unit-2.img", "door-2.img"],
            _ => ["head-unit-3.img", "door-3.img"],
        };
        let [mut first, second] = names.map(|name| Image::new(name, release_counter));
        first.ecu = head_unit();
        let images = [&first, &second];
        self.site.publish_apart(&images, &images);
        self.site.write_files(&images);
        self.service.0.lock().unwrap().now = self.site.now;
        [first, second]
    }

    /// Switches the Primary on.
    fn start(&self) -> TestPrimary {
        let url = |repository| vec![self.site.url(repository)];
        let mapping = Mapping::both(url(Repository::Director), url(Repository::Image)).unwrap();
        let member = Member {
            hardware_id: door().hardware_id,
            key: self.door_key.key(),
            link: Box::new(self.wire.clone()),
        };
        let secondaries = match self.has_door {
            true => [(door().serial, member)].into(),
            false => BTreeMap::new(),
        };
        let parts = Parts {
            vin: vin(),
            serial: head_unit().serial,
            hardware_id: head_unit().hardware_id,
            mapping,
            fetcher: Noting(FileFetcher::new(), Arc::clone(&self.fetched)),
            director: self.service.clone(),
            director_store: own_store(&self.head_unit, Repository::Director),
            image_store: own_store(&self.head_unit, Repository::Image),
            own: self.head_unit.start().0,
            key: self.head_unit.signer(),
            secondaries,
            bundle: Bundle::AllOrNothing,
        };
        Primary::open(parts, &self.head_unit.path("primary")).unwrap()
    }

    fn cycle(&self) -> Cycle {
        self.start().cycle().unwrap()
    }

    /// Cuts the door off.
    fn cut_wire(&self) {
        *self.wire.0.lock().unwrap() = None;
    }

    fn mend_wire(&self) {
        self.cut_wire();
        *self.wire.0.lock().unwrap() = Some(self.door.start());
    }

    /// The reports in the last manifest that the Director has, each signed by its ECU.
    fn reported(&self) -> BTreeMap<String, (EcuVersionReport, Vec<u8>)> {
        let manifests = &self.service.0.lock().unwrap().manifests;
        let manifest = manifests.last().unwrap().clone();
        let manifest = Signed::<VehicleVersionManifest>::parse(manifest).unwrap();
        let manifest = manifest.verify(&authority(PRIMARY_KEY)).unwrap();
        let manifest = manifest.content().clone();
        assert_eq!(manifest.vin, vin());
        assert_eq!(manifest.primary_ecu_serial, head_unit().serial);
        let reports = manifest.ecu_version_reports.into_iter();
        let reports = reports.map(|(serial, report)| {
            let key = match serial == head_unit().serial {
                true => PRIMARY_KEY,
                false => DOOR_KEY,
            };
            let report = report.verify(&authority(key)).unwrap();
            assert_eq!(report.content().ecu_serial, serial);
            let file = report.received().to_vec();
            (serial.to_string(), (report.content().clone(), file))
        });
        reports.collect()
    }

    fn installed(&self, serial: &str) -> String {
        let (report, _) = &self.reported()[serial];
        let image = report.installed_image.as_ref().unwrap();
        image.filepath.to_string()
    }

    fn fetched(&self) -> Vec<String> {
        std::mem::take(&mut *self.fetched.lock().unwrap())
    }
}

/// The Primary's own copies, beside those of its ECU.
fn own_store(device: &Device, repository: Repository) -> DirStore {
    let directory = device.path("mirror").join(repository.name());
    DirStore::open(&directory, Duration::ZERO).unwrap()
}

/// What became of the Primary's own ECU and of the door.
fn outcomes(cycle: &Cycle) -> [EcuOutcome; 2] {
    [head_unit(), door()].map(|ecu| cycle.ecus[&ecu.serial].clone())
}

const INSTALLED: [EcuOutcome; 2] = [EcuOutcome::Installed, EcuOutcome::Installed];

fn is_empty(directory: &Path) -> bool {
    fs::read_dir(directory).map_or(true, |mut entries| entries.next().is_none())
}

#[test]
fn a_cycle_brings_time_metadata_and_images_to_every_ecu_and_reports_all() {
    let mut vehicle = Vehicle::new();
    let images = vehicle.publish(2);
    let cycle = vehicle.cycle();
    assert!(
        cycle.refused.is_none() && cycle.unreported.is_none(),
        "{cycle:?}"
    );
    assert_eq!(outcomes(&cycle), INSTALLED);
    assert!(vehicle.head_unit.active() == images[0].bytes);
    assert!(vehicle.door.active() == images[1].bytes);
    assert_eq!(vehicle.installed("head-unit"), "head-unit-2.img");
    assert_eq!(vehicle.installed("door-left"), "door-2.img");
    for (report, _) in vehicle.reported().values() {
        assert_eq!(report.latest_time, vehicle.site.now);
        assert_eq!(report.attacks_detected, []);
    }
    assert!(is_empty(&vehicle.head_unit.path("primary/images")));

    // Nothing new: the Image repository is not even asked.
    vehicle.fetched();
    let cycle = vehicle.cycle();
    assert!(
        cycle.refused.is_none() && cycle.images.is_empty(),
        "{cycle:?}"
    );
    let urls = vehicle.fetched();
    assert!(
        !urls.is_empty() && urls.iter().all(|url| !url.contains("/image/")),
        "{urls:?}"
    );
}

#[test]
fn while_one_ecu_is_away_no_ecu_installs_its_part_of_the_bundle() {
    let mut vehicle = Vehicle::new();
    vehicle.publish(2);
    vehicle.cut_wire();
    let cycle = vehicle.cycle();
    let [own, door] = outcomes(&cycle);
    assert_eq!(own, EcuOutcome::Abandoned);
    assert!(matches!(door, EcuOutcome::Unreachable(_)), "{door:?}");
    assert!(vehicle.head_unit.active() == OLD);
    let (own, _) = &vehicle.reported()[head_unit().serial.as_str()];
    let outcome = own.outcome.as_ref().unwrap();
    assert_eq!(outcome.name, "secondary-unreachable");
    assert!(outcome.message.contains("door"), "{outcome:?}");

    vehicle.mend_wire();
    assert_eq!(outcomes(&vehicle.cycle()), INSTALLED);
}

#[test]
fn an_image_that_does_not_work_on_one_ecu_is_reported_and_not_tried_again() {
    let mut vehicle = Vehicle::new();
    vehicle.publish(2);
    vehicle.door.host().health = Health::Fails("the window does not close".into());
    let cycle = vehicle.cycle();
    let [own, door] = outcomes(&cycle);
    assert_eq!(own, EcuOutcome::Installed);
    assert!(matches!(door, EcuOutcome::Refused(refusal) if refusal.name == "not-confirmed"));
    assert_eq!(vehicle.installed("door-left"), "door-1.img");
    let (report, _) = &vehicle.reported()["door-left"];
    assert_eq!(report.outcome.as_ref().unwrap().name, "not-confirmed");
    assert!(vehicle.cycle().images.is_empty());

    vehicle.door.host().health = Health::Works;
    vehicle.publish(3);
    assert_eq!(outcomes(&vehicle.cycle()), INSTALLED);
    assert_eq!(vehicle.installed("door-left"), "door-3.img");
}

#[test]
fn an_image_on_trial_is_asked_after_until_it_is_through() {
    let mut vehicle = Vehicle::new();
    vehicle.publish(2);
    vehicle.door.host().health = Health::Unknown;
    let [_, door] = outcomes(&vehicle.cycle());
    assert_eq!(door, EcuOutcome::OnTrial);
    vehicle.door.host().health = Health::Works;
    let cycle = vehicle.cycle();
    assert_eq!(outcomes(&cycle), [EcuOutcome::Nothing, EcuOutcome::Nothing]);
    assert_eq!(vehicle.installed("door-left"), "door-2.img");
    assert!(vehicle.cycle().images.is_empty());
}

#[test]
fn the_last_report_of_a_silent_ecu_goes_into_every_manifest() {
    let mut vehicle = Vehicle::new();
    vehicle.publish(2);
    vehicle.cycle();
    let before = vehicle.reported()["door-left"].1.clone();
    vehicle.cut_wire();
    // The Primary is switched off in between, so it has kept the report.
    vehicle.cycle();
    assert_eq!(vehicle.reported()["door-left"].1, before);
}

#[test]
fn an_ecu_that_was_taken_out_is_not_reported_any_more() {
    let mut vehicle = Vehicle::new();
    vehicle.publish(2);
    vehicle.cycle();
    assert_eq!(vehicle.reported().len(), 2);
    vehicle.has_door = false;
    vehicle.cycle();
    let reported: Vec<String> = vehicle.reported().into_keys().collect();
    assert_eq!(reported, [head_unit().serial.to_string()]);
}

#[test]
fn what_the_director_did_not_get_is_told_again_the_next_time() {
    let mut vehicle = Vehicle::new();
    vehicle.publish(2);
    vehicle.service.0.lock().unwrap().takes_manifests = false;
    let cycle = vehicle.cycle();
    assert_eq!(
        outcomes(&cycle),
        INSTALLED,
        "it is no reason not to install"
    );
    assert!(cycle.unreported.unwrap().contains("no route"));
    vehicle.service.0.lock().unwrap().takes_manifests = true;
    assert!(vehicle.cycle().unreported.is_none());
    assert_eq!(vehicle.installed("door-left"), "door-2.img");
}

#[test]
fn a_report_that_its_ecu_did_not_sign_goes_no_further_and_is_reported() {
    let mut vehicle = Vehicle::new();
    vehicle.door_key = TestKey(31);
    vehicle.publish(2);
    vehicle.cycle();
    let reported = vehicle.reported();
    assert!(!reported.contains_key("door-left"));
    let (own, _) = &reported["head-unit"];
    let mut attacks = own.attacks_detected.iter();
    assert!(attacks.any(|met| met.name == "signature-threshold" && met.role == "door-left"));
}

#[test]
fn without_the_time_nothing_is_installed_and_the_director_hears_of_it() {
    let mut vehicle = Vehicle::new();
    vehicle.publish(2);
    vehicle.service.0.lock().unwrap().tells_time = false;
    let cycle = vehicle.cycle();
    assert_eq!(cycle.refused.unwrap().code.name(), "time-unavailable");
    assert!(vehicle.head_unit.active() == OLD && vehicle.door.active() == OLD);
    let (own, _) = &vehicle.reported()["head-unit"];
    assert_eq!(own.attacks_detected[0].attack, "freeze");
}
