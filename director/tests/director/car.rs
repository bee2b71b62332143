//! A vehicle with real keys: it registers, and its ECUs report.

use std::collections::BTreeMap;
use std::path::Path;

use countersign_director::problem::Problem;
use countersign_director::service::{Registered, Service};
use countersign_director_domain::registration::{
    Challenge, Proof, Registration, answer, statement, wrap_context,
};
use countersign_director_domain::{EcuRecord, VehicleRecord};
use countersign_ecu_keys::ImageKey;
use countersign_encryption::{Decapsulate as _, unwrap};
use countersign_metadata::uptane::{
    EcuSerial, EcuVersionReport, HardwareId, InstalledImage, VehicleVersionManifest, Vin,
};
use countersign_metadata::{Hashes, Signed, Unsigned, UtcTime};
use countersign_signing::Signer;

use crate::world::{START, World, at, image_key, key, operator, path};

pub(crate) struct Car {
    pub(crate) vin: Vin,
    pub(crate) record: VehicleRecord,
    keys: BTreeMap<EcuSerial, (Box<dyn Signer>, ImageKey)>,
    /// What the next report of each ECU says.
    pub(crate) reports: BTreeMap<EcuSerial, EcuVersionReport>,
}

pub(crate) fn serial(text: &str) -> EcuSerial {
    EcuSerial::new(text).unwrap()
}

pub(crate) fn vin(text: &str) -> Vin {
    Vin::new(text).unwrap()
}

/// An image as an ECU reports it.
pub(crate) fn installed(name: &str, bytes: &[u8]) -> InstalledImage {
    InstalledImage {
        filepath: path(name),
        length: bytes.len() as u64,
        hashes: Hashes::of(bytes),
    }
}

impl Car {
    /// A vehicle with the ECUs `NAME-gateway`, the Primary, and `NAME-brake` and `NAME-door`, whose
    /// hardware is called as the last part of their names. All have keys for encryption but the door.
    pub(crate) fn new(world: &World, name: &str) -> Self {
        let ecus = ["gateway", "brake", "door"].map(|kind| (format!("{name}-{kind}"), kind));
        let ecus = ecus.each_ref().map(|(serial, kind)| (&**serial, *kind));
        Self::with(&world.keys(), name, &ecus)
    }

    /// A vehicle with ECUs of these serials and this hardware; the first is the Primary.
    pub(crate) fn with(keys: &Path, name: &str, ecus: &[(&str, &str)]) -> Self {
        let mut car = Self {
            vin: vin(name),
            record: VehicleRecord {
                primary: serial(ecus[0].0),
                ecus: BTreeMap::new(),
            },
            keys: BTreeMap::new(),
            reports: BTreeMap::new(),
        };
        for (name, kind) in ecus {
            let of = (key(keys, name), image_key(keys, &format!("{name}-image")));
            let record = EcuRecord {
                hardware_id: HardwareId::new(kind).unwrap(),
                signing: of.0.key(),
                encryption: (*kind != "door").then(|| of.1.public_key().clone()),
            };
            let report = EcuVersionReport {
                ecu_serial: serial(name),
                installed_image: None,
                attacks_detected: Vec::new(),
                latest_time: at(START),
                report_counter: 1,
                outcome: None,
                extra: Default::default(),
            };
            car.record.ecus.insert(serial(name), record);
            car.keys.insert(serial(name), of);
            car.reports.insert(serial(name), report);
        }
        car
    }

    /// A vehicle that was announced and has registered.
    pub(crate) async fn registered(world: &World, service: &Service, name: &str) -> Self {
        let car = Self::new(world, name);
        service
            .announce(&car.vin, "fleet", &operator())
            .await
            .unwrap();
        assert_eq!(car.register(service).await, Ok(Registered::New));
        car
    }

    /// The serial of the ECU of this kind.
    pub(crate) fn ecu(&self, kind: &str) -> EcuSerial {
        serial(&format!("{}-{kind}", self.vin))
    }

    pub(crate) fn who(&self) -> (&Vin, &EcuSerial) {
        (&self.vin, &self.record.primary)
    }

    pub(crate) async fn register(&self, service: &Service) -> Result<Registered, Problem> {
        let registration = self.registration(service).await?;
        service.register(self.who(), registration).await
    }

    /// A challenge, and the proofs for it.
    pub(crate) async fn registration(&self, service: &Service) -> Result<Registration, Problem> {
        let challenge = service.challenge(self.who(), self.record.clone()).await?;
        Ok(self.answer(&challenge))
    }

    pub(crate) fn answer(&self, challenge: &Challenge) -> Registration {
        let proofs = self.record.ecus.iter().map(|(serial, ecu)| {
            let primary = &self.record.primary;
            let said = statement(&self.vin, serial, primary, ecu, &challenge.text);
            let (signer, image_key) = &self.keys[serial];
            let wrapped = challenge.wrapped_keys.get(serial);
            let answer = wrapped.map(|wrapped| {
                let context = wrap_context(&self.vin, serial, &challenge.text).unwrap();
                answer(&unwrap(wrapped, &context, image_key).unwrap())
            });
            let signature = signer.sign(&said).unwrap();
            (serial.clone(), Proof { signature, answer })
        });
        Registration {
            vehicle: self.record.clone(),
            challenge: challenge.text.clone(),
            proofs: proofs.collect(),
        }
    }

    /// Every ECU makes a new report, at this time.
    pub(crate) fn tick(&mut self, now: UtcTime) {
        for report in self.reports.values_mut() {
            report.report_counter += 1;
            report.latest_time = now;
        }
    }

    /// Changes what the ECU of this kind says, in a new report.
    pub(crate) fn says(&mut self, kind: &str, change: impl FnOnce(&mut EcuVersionReport)) {
        let serial = self.ecu(kind);
        let report = self.reports.get_mut(&serial).unwrap();
        report.report_counter += 1;
        change(report);
    }

    /// The manifest, as the Primary signs it.
    pub(crate) fn manifest(&self) -> Vec<u8> {
        self.manifest_by(&self.record.primary, |serial| serial.clone())
    }

    /// A manifest that `primary` signs, and each report whoever `signer` says.
    pub(crate) fn manifest_by(
        &self,
        primary: &EcuSerial,
        signer: impl Fn(&EcuSerial) -> EcuSerial,
    ) -> Vec<u8> {
        let reports = self.reports.iter().map(|(serial, report)| {
            let file = self.sign(report.to_payload(), &signer(serial));
            (serial.clone(), Signed::parse(file).unwrap())
        });
        let manifest = VehicleVersionManifest {
            vin: self.vin.clone(),
            primary_ecu_serial: self.record.primary.clone(),
            ecu_version_reports: reports.collect(),
            extra: Default::default(),
        };
        self.sign(manifest.to_payload(), primary)
    }

    /// A report's or manifest's file, by the key of an ECU.
    pub(crate) fn sign(&self, payload: String, by: &EcuSerial) -> Vec<u8> {
        let signer = &self.keys[by].0;
        let mut file = Unsigned::new(payload);
        let signature = signer.sign(file.payload()).unwrap();
        file.add_signature_by(&signer.key(), signature);
        file.to_report_file()
    }

    /// What an ECU unwraps content keys with.
    pub(crate) fn image_key(&self, kind: &str) -> &ImageKey {
        &self.keys[&self.ecu(kind)].1
    }

    /// Sends the manifest as the vehicle that it is.
    pub(crate) async fn report(&self, service: &Service) -> Result<Vec<EcuSerial>, Problem> {
        let receipt = service.accept_manifest(&self.vin, self.manifest().into());
        Ok(receipt.await?.stale)
    }
}
