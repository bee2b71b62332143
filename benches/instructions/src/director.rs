//! What a Director decides and signs when a vehicle reports.

use std::collections::BTreeMap;

use countersign_director_domain::desk::{Content, Desk, Lifetimes, Press};
use countersign_director_domain::keys::OnlineKeys;
use countersign_director_domain::manifest::{ReportRules, judge};
use countersign_director_domain::{EcuRecord, VehicleRecord};
use countersign_metadata::uptane::{EcuVersionReport, InstalledImage, VehicleVersionManifest};
use countersign_metadata::{Hashes, PublicKey, Signed, Unsigned, UtcTime};
use countersign_signing::{Custody, Home, SignError, Signer};
use ring::signature::{Ed25519KeyPair, KeyPair as _};

use crate::counted_part;
use crate::world::{World, hardware, path, serial, vin};

const ECUS: [&str; 5] = ["P", "S1", "S2", "S3", "S4"];

/// A manifest of five ECUs is judged, and everything is signed anew for the vehicle.
pub(crate) fn manifest_cycle() {
    let now = World::new().now;
    let vehicle = VehicleRecord {
        primary: serial(ECUS[0]),
        ecus: (0..)
            .zip(ECUS)
            .map(|(number, name)| (serial(name), record(number)))
            .collect(),
    };
    let manifest = manifest(now);
    let keys = online_keys();
    let lifetimes = Lifetimes::default();
    let press = Press {
        keys: &keys,
        root_version: 1,
        lifetimes: &lifetimes,
        now,
        skip: 0,
    };
    let mut desk = Desk::default();
    counted_part(|| {
        let before = BTreeMap::new();
        judge(&vin(), &manifest, &vehicle, &before, &ReportRules::at(now)).unwrap();
        let made = desk.publish(&vin(), &Content::new(), &press).unwrap();
        assert_eq!(made.len(), 3);
    });
}

fn record(number: u8) -> EcuRecord {
    EcuRecord {
        hardware_id: hardware("gateway"),
        signing: SoftKey::number(number).key(),
        encryption: None,
    }
}

fn manifest(now: UtcTime) -> Vec<u8> {
    let report = |(number, name): (u8, &str)| {
        let report = EcuVersionReport {
            ecu_serial: serial(name),
            installed_image: Some(InstalledImage {
                filepath: path("app.img"),
                length: 3,
                hashes: Hashes::of(b"app"),
            }),
            attacks_detected: Vec::new(),
            latest_time: now,
            report_counter: 1,
            outcome: None,
            extra: Default::default(),
        };
        let file = signed(report.to_payload(), &SoftKey::number(number));
        (serial(name), Signed::parse(file).unwrap())
    };
    let manifest = VehicleVersionManifest {
        vin: vin(),
        primary_ecu_serial: serial(ECUS[0]),
        ecu_version_reports: (0..).zip(ECUS).map(report).collect(),
        extra: Default::default(),
    };
    signed(manifest.to_payload(), &SoftKey::number(0))
}

fn signed(payload: String, signer: &SoftKey) -> Vec<u8> {
    let mut file = Unsigned::new(payload);
    let signature = signer.sign(file.payload()).unwrap();
    file.add_signature_by(&signer.key(), signature);
    file.to_report_file()
}

fn online_keys() -> OnlineKeys {
    let key = |number| Box::new(SoftKey::number(number));
    OnlineKeys {
        timestamp: key(100),
        snapshot: key(101),
        targets: key(102),
        time: key(103),
    }
}

/// A key of which the whole is known; it signs, and does not check what it has signed.
#[derive(Debug)]
struct SoftKey {
    pair: Ed25519KeyPair,
    public: PublicKey,
}

impl SoftKey {
    fn number(number: u8) -> Self {
        let pair = Ed25519KeyPair::from_seed_unchecked(&[number; 32]).unwrap();
        let public = PublicKey::Ed25519(pair.public_key().as_ref().try_into().unwrap());
        Self { pair, public }
    }
}

impl Signer for SoftKey {
    fn public_key(&self) -> &PublicKey {
        &self.public
    }

    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, SignError> {
        Ok(self.pair.sign(message).as_ref().to_vec())
    }

    fn custody(&self) -> Custody {
        Custody {
            home: Home::File("nowhere".into()),
            extractable: None,
            sensitive: None,
            made_inside: None,
        }
    }
}
