//! What the director believes of a vehicle's manifest: all of it or nothing.

use std::collections::BTreeMap;

use countersign_client::uptane::keys::EcuSigner;
use countersign_director_domain::manifest::ReportRules;
use countersign_ecu_keys::ReportKey;
use countersign_metadata::uptane::{
    EcuSerial, EcuVersionReport, InstalledImage, VehicleVersionManifest,
};
use countersign_metadata::{Hashes, Signed, Unsigned, UtcTime};
use countersign_signing::Secrets;
use countersign_vehicle_sim::director::{ManifestRefusal, Receipt, RecordError, RegisterError};

use crate::world::{CAR, World, ecu, path, serial, vin};

/// A vehicle of `primary` and `door` whose manifests are made by hand.
struct Reporter {
    world: World,
    vehicle: &'static str,
    primary: EcuSerial,
    reports: BTreeMap<EcuSerial, Vec<u8>>,
    /// What ECUs take for the time.
    time: UtcTime,
}

/// What the director takes for the time.
const NOW: &str = "2031-05-06T07:08:09Z";

fn at(time: &str) -> UtcTime {
    time.parse().unwrap()
}

impl Reporter {
    fn new() -> Self {
        let world = World::with_car(vec![ecu("primary"), ecu("door")]);
        world.provision("VIN-B", vec![ecu("b-primary"), ecu("b-door")]);
        Self {
            world,
            vehicle: CAR,
            primary: serial("primary"),
            reports: BTreeMap::new(),
            time: at(NOW),
        }
    }

    /// A vehicle with a report of each of its ECUs.
    fn complete() -> Self {
        let mut reporter = Self::new();
        reporter.report("primary", 5, "primary");
        reporter.report("door", 5, "door");
        reporter
    }

    fn key(&self, name: &str) -> ReportKey {
        let car = if name.starts_with("b-") { "VIN-B" } else { CAR };
        let folder = self.world.vehicle_folder(car);
        let uri = ecu(name).signing;
        let signer = countersign_signing::open(&uri, &Secrets::unattended(&folder));
        ReportKey::new(signer.unwrap())
    }

    /// Adds a report of `who`, with the key of `signer`.
    fn report(&mut self, who: &str, counter: u64, signer: &str) {
        let report = EcuVersionReport {
            ecu_serial: serial(who),
            installed_image: Some(InstalledImage {
                filepath: path("unknown/to/everybody.img"),
                length: 3,
                hashes: Hashes::of(b"abc"),
            }),
            attacks_detected: Vec::new(),
            latest_time: self.time,
            report_counter: counter,
            outcome: None,
            extra: Default::default(),
        };
        let file = sign(report.to_payload(), &self.key(signer));
        self.reports.insert(serial(who), file);
    }

    fn manifest(&self, signer: &str) -> Vec<u8> {
        let reports = self.reports.iter();
        let manifest = VehicleVersionManifest {
            vin: vin(self.vehicle),
            primary_ecu_serial: self.primary.clone(),
            ecu_version_reports: reports
                .map(|(serial, file)| (serial.clone(), Signed::parse(file.clone()).unwrap()))
                .collect(),
            extra: Default::default(),
        };
        sign(manifest.to_payload(), &self.key(signer))
    }

    /// Sends the manifest, signed by `signer`, as the usual vehicle.
    fn send(&self, signer: &str) -> Result<Receipt, ManifestRefusal> {
        self.send_bytes(&self.manifest(signer))
    }

    fn send_bytes(&self, manifest: &[u8]) -> Result<Receipt, ManifestRefusal> {
        let mut service = self.world.service.lock();
        let rules = ReportRules::at(at(NOW));
        service
            .director()
            .accept_manifest(&vin(CAR), manifest, &rules)
    }

    fn counter(&self, ecu: &str) -> Option<u64> {
        let mut service = self.world.service.lock();
        let heard = service.director().heard(&vin(CAR))?.get(&serial(ecu))?;
        Some(heard.report_counter)
    }
}

fn sign(payload: String, key: &ReportKey) -> Vec<u8> {
    let mut file = Unsigned::new(payload);
    let signature = key.sign(file.payload()).unwrap();
    file.add_signature_by(key.key(), signature);
    file.to_report_file()
}

/// That nobody knows the image is no reason to drop a report.
#[test]
fn a_complete_manifest_is_believed() {
    let reporter = Reporter::complete();
    let receipt = reporter.send("primary").unwrap();
    assert!(receipt.stale.is_empty());
    assert_eq!(reporter.counter("door"), Some(5));
    assert_eq!(
        reporter.world.heard("door").as_deref(),
        Some("unknown/to/everybody.img")
    );
}

/// Whoever is wrong in it, all of it is dropped.
#[test]
fn one_wrong_name_or_signature_drops_the_manifest() {
    let is = |reporter: &Reporter, signer: &str, expected: &str| {
        let refused = reporter.send(signer).unwrap_err().to_string();
        assert!(refused.contains(expected), "{refused}");
        assert_eq!(reporter.counter("primary"), None);
    };
    is(&Reporter::complete(), "door", "not signed by the Primary");
    is(
        &Reporter::complete(),
        "b-primary",
        "not signed by the Primary",
    );

    let mut wrong_key = Reporter::complete();
    wrong_key.report("door", 6, "primary");
    is(
        &wrong_key,
        "primary",
        "the report of ECU door is not signed by it",
    );

    let mut stranger = Reporter::complete();
    stranger.report("b-door", 5, "b-door");
    is(
        &stranger,
        "primary",
        "ECU b-door reports, and is not registered",
    );

    let mut missing = Reporter::complete();
    missing.reports.remove("door");
    is(&missing, "primary", "its report is missing");

    let mut exchanged = Reporter::complete();
    exchanged
        .reports
        .insert(serial("door"), exchanged.reports["primary"].clone());
    is(
        &exchanged,
        "primary",
        "the report of ECU door is not signed by it",
    );

    let other_primary = Reporter {
        primary: serial("door"),
        ..Reporter::complete()
    };
    is(&other_primary, "door", "door is not the Primary");

    let other_vehicle = Reporter {
        vehicle: "VIN-B",
        ..Reporter::complete()
    };
    is(
        &other_vehicle,
        "primary",
        "sends a manifest of vehicle VIN-B",
    );
}

/// A report that was accepted is no news the second time, and never goes back.
#[test]
fn a_repeated_report_is_stale_and_a_replayed_one_drops_the_manifest() {
    let mut reporter = Reporter::complete();
    let first = reporter.manifest("primary");
    reporter.send_bytes(&first).unwrap();
    let again = reporter.send_bytes(&first).unwrap();
    assert_eq!(again.stale, [serial("door"), serial("primary")]);

    reporter.report("door", 6, "door");
    let receipt = reporter.send("primary").unwrap();
    assert_eq!(receipt.stale, [serial("primary")]);
    let replayed = reporter.send_bytes(&first).unwrap_err();
    assert!(
        matches!(
            replayed,
            ManifestRefusal::Replayed {
                found: 5,
                last: 6,
                ..
            }
        ),
        "{replayed}"
    );
    assert_eq!(reporter.counter("door"), Some(6));
}

/// A report is news for a day. One that was accepted already is no news, however old it is: of an ECU
/// that does not answer the Primary sends the last one.
#[test]
fn a_report_of_long_ago_or_of_tomorrow_drops_the_manifest() {
    let mut reporter = Reporter::complete();
    for (time, counter, expected) in [
        ("2031-05-05T07:08:08Z", 6, "report-expired"),
        ("2031-05-06T07:13:10Z", 6, "report-ahead"),
        ("1970-01-01T00:00:00Z", 6, "report-expired"),
    ] {
        reporter.time = at(time);
        reporter.report("door", counter, "door");
        let refused = reporter.send("primary").unwrap_err();
        assert_eq!(refused.name(), expected, "{refused}");
        assert_eq!(reporter.counter("primary"), None);
    }
    for (time, counter) in [("2031-05-05T07:08:09Z", 6), ("2031-05-06T07:13:09Z", 7)] {
        reporter.time = at(time);
        reporter.report("door", counter, "door");
        reporter.send("primary").unwrap();
    }
    let manifest = reporter.manifest("primary");
    let mut service = reporter.world.service.lock();
    let rules = ReportRules::at(at("2031-09-01T00:00:00Z"));
    let receipt = service
        .director()
        .accept_manifest(&vin(CAR), &manifest, &rules);
    assert_eq!(receipt.unwrap().stale.len(), 2);
}

/// What is no manifest at all.
#[test]
fn what_is_no_manifest_is_refused_whatever_it_is() {
    let reporter = Reporter::complete();
    let good = reporter.manifest("primary");
    for cut in [0, 1, good.len() / 2, good.len() - 1] {
        let refused = reporter.send_bytes(&good[..cut]);
        assert!(
            matches!(refused, Err(ManifestRefusal::Malformed(_))),
            "{refused:?}"
        );
    }
    let report = &reporter.reports[&serial("primary")];
    let refused = reporter.send_bytes(report);
    assert!(
        matches!(refused, Err(ManifestRefusal::Malformed(_))),
        "{refused:?}"
    );
    let deep = "[".repeat(100_000).into_bytes();
    assert!(reporter.send_bytes(&deep).is_err());
    let huge = vec![b' '; (8 << 20) + 1];
    assert!(matches!(
        reporter.send_bytes(&huge),
        Err(ManifestRefusal::TooLarge(_))
    ));
    assert_eq!(reporter.counter("primary"), None);
}

/// What is registered is not changed by registering again.
#[test]
fn a_vehicle_or_an_ecu_is_registered_once() {
    let world = World::with_car(vec![ecu("primary"), ecu("door")]);
    let mut service = world.service.lock();
    let director = service.director();
    let record = director.inventory().vehicle(&vin(CAR)).unwrap().clone();
    let again = director.register(vin(CAR), record.clone());
    assert_eq!(again, Err(RegisterError::KnownVehicle(vin(CAR))));
    let moved = director.register(vin("VIN-B"), record.clone());
    assert!(
        matches!(moved, Err(RegisterError::KnownEcu(_))),
        "{moved:?}"
    );

    let mut renamed = record.clone();
    renamed.primary = serial("new");
    renamed.ecus = [(serial("new"), record.ecus["door"].clone())].into();
    let shared = director.register(vin("VIN-B"), renamed.clone());
    assert_eq!(
        shared,
        Err(RegisterError::Record(RecordError::SharedKey(serial("new"))))
    );
    renamed.primary = serial("door");
    let headless = director.register(vin("VIN-B"), renamed);
    assert_eq!(
        headless,
        Err(RegisterError::Record(RecordError::NoPrimary(serial(
            "door"
        ))))
    );
}
