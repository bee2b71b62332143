//! Vehicles that remember everything they are told, and hold it against the director.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use countersign_client::fetch::{
    Fetcher as _, HttpFetcher, Method, Patience, TlsIdentity, TlsRoots,
};
use countersign_director_domain::registration::{
    Challenge, Proof, Registration, statement, vehicle_to_value,
};
use countersign_director_domain::{EcuRecord, VehicleRecord};
use countersign_metadata::canonical;
use countersign_metadata::uptane::{
    DirectorCustom, EcuSerial, EcuVersionReport, HardwareId, InstalledImage,
    VehicleVersionManifest, Vin,
};
use countersign_metadata::{
    Hashes, Role, RoleType, Root, Signed, Snapshot, TargetPath, Targets, Timestamp, Unsigned,
    sha256,
};
use countersign_signing::{Algorithm, KeyUri, Secrets, Signer};

use crate::pki::Pki;
use crate::site::now;

/// A vehicle of one ECU.
pub(crate) struct Car {
    pub(crate) vin: Vin,
    serial: EcuSerial,
    signer: Box<dyn Signer>,
    folder: PathBuf,
    /// What it runs: the number of an image; 0 from the factory.
    pub(crate) runs: u64,
    counter: u64,
    /// The counter of the last manifest that was acknowledged.
    pub(crate) acknowledged: u64,
    /// What it was told, by role and version.
    told: BTreeMap<(RoleType, u64), [u8; 32]>,
    newest: BTreeMap<RoleType, u64>,
    roots: Vec<Root>,
    fetcher: HttpFetcher,
}

impl Car {
    /// A vehicle with a certificate. It is not registered.
    pub(crate) fn new(home: &Path, pki: &Pki, number: u64, root: &[u8]) -> Self {
        let (vin, serial) = (format!("VIN-{number}"), format!("ECU-{number}"));
        let folder = home.join(&vin);
        fs::create_dir_all(&folder).unwrap();
        pki.issue(&folder, (&vin, &serial), 1000 + number);
        let uri: KeyUri = "file:report.pem?encryption=none".parse().unwrap();
        let secrets = Secrets::unattended(&folder);
        countersign_signing::generate(&uri, Algorithm::Ed25519, &secrets).unwrap();
        let root = Signed::<Root>::parse(root.to_vec()).unwrap();
        Self {
            signer: countersign_signing::open(&uri, &secrets).unwrap(),
            vin: Vin::new(&vin).unwrap(),
            serial: EcuSerial::new(&serial).unwrap(),
            fetcher: fetcher(&folder),
            folder,
            runs: 0,
            counter: 0,
            acknowledged: 0,
            told: BTreeMap::new(),
            newest: BTreeMap::new(),
            roots: vec![root.verify_by_itself().unwrap().content().clone()],
        }
    }

    fn record(&self) -> VehicleRecord {
        let ecu = EcuRecord {
            hardware_id: HardwareId::new("ecu").unwrap(),
            signing: self.signer.key(),
            encryption: None,
        };
        VehicleRecord {
            primary: self.serial.clone(),
            ecus: [(self.serial.clone(), ecu)].into(),
        }
    }

    pub(crate) fn register(&mut self, at: &str) -> Result<(), String> {
        let record = self.record();
        let body = canonical::encode(&vehicle_to_value(&record));
        let challenge = self.post(at, "registration/challenge", &body)?;
        let challenge = Challenge::parse(&challenge).unwrap().text;
        let ecu = &record.ecus[&self.serial];
        let said = statement(&self.vin, &self.serial, &self.serial, ecu, &challenge);
        let proof = Proof {
            signature: self.signer.sign(&said).unwrap(),
            answer: None,
        };
        let registration = Registration {
            vehicle: record,
            challenge,
            proofs: [(self.serial.clone(), proof)].into(),
        };
        self.post(at, "registration", &registration.to_json())
            .map(drop)
    }

    /// Reports, takes what is new, installs it, and reports that. An error is what can happen when a
    /// director is away; whatever must never happen panics.
    pub(crate) fn cycle(&mut self, at: &str) -> Result<(), String> {
        self.report(at)?;
        self.follow_root(at)?;
        let timestamp = self.file::<Timestamp>(at, "timestamp.json")?;
        let version = timestamp.snapshot.version;
        let snapshot = self.file::<Snapshot>(at, &format!("{version}.snapshot.json"))?;
        let version = snapshot.role("targets").unwrap().version;
        let targets = self.file::<Targets>(at, &format!("{version}.targets.json"))?;
        for (path, file) in targets.iter() {
            let custom = DirectorCustom::of(&file).unwrap();
            assert!(
                custom.ecus.contains_key(&self.serial),
                "{} {path}",
                self.vin
            );
            let number = path.trim_start_matches("image-").trim_end_matches(".img");
            self.install(number.parse().unwrap());
        }
        self.report(at)
    }

    /// Release counters grow with the numbers: whoever is told to go back, or to install again what was
    /// replaced, was told twice.
    fn install(&mut self, number: u64) {
        assert!(
            number >= self.runs,
            "{}: told to install {number} over {}",
            self.vin,
            self.runs
        );
        self.runs = number;
    }

    fn report(&mut self, at: &str) -> Result<(), String> {
        self.counter += 1;
        let text = format!("image {}", self.runs);
        let installed = InstalledImage {
            filepath: TargetPath::new(&format!("image-{}.img", self.runs)).unwrap(),
            length: text.len() as u64,
            hashes: Hashes::of(text.as_bytes()),
        };
        let report = EcuVersionReport {
            ecu_serial: self.serial.clone(),
            installed_image: Some(installed),
            attacks_detected: Vec::new(),
            latest_time: now(),
            report_counter: self.counter,
            outcome: None,
            extra: Default::default(),
        };
        let report = Signed::parse(self.sign(report.to_payload())).unwrap();
        let manifest = VehicleVersionManifest {
            vin: self.vin.clone(),
            primary_ecu_serial: self.serial.clone(),
            ecu_version_reports: [(self.serial.clone(), report)].into(),
            extra: Default::default(),
        };
        let manifest = self.sign(manifest.to_payload());
        let url = format!("https://{at}/v1/manifest");
        let answer = self
            .fetcher
            .exchange((Method::Put, &url), &manifest, 1 << 16);
        let answer = answer.map_err(|error| error.to_string())?;
        assert_eq!(answer.status, 200, "{}", self.vin);
        self.acknowledged = self.counter;
        Ok(())
    }

    fn sign(&self, payload: String) -> Vec<u8> {
        let mut file = Unsigned::new(payload);
        let signature = self.signer.sign(file.payload()).unwrap();
        file.add_signature_by(&self.signer.key(), signature);
        file.to_report_file()
    }

    fn follow_root(&mut self, at: &str) -> Result<(), String> {
        loop {
            let version = self.roots.len() as u64 + 1;
            match self.get(at, &format!("metadata/{version}.root.json"))? {
                None => return Ok(()),
                Some(bytes) => {
                    let next = Signed::<Root>::parse(bytes).unwrap();
                    let next = next.verify(&self.root().claimed_authority(RoleType::Root));
                    self.roots.push(next.unwrap().content().clone());
                }
            }
        }
    }

    fn root(&self) -> &Root {
        self.roots.last().unwrap()
    }

    /// A file that has to be signed by the keys of the Root, fresh, and never another than before.
    fn file<T: Role + Clone>(&mut self, at: &str, name: &str) -> Result<T, String> {
        let bytes = self.get(at, &format!("metadata/{name}"))?;
        let bytes = bytes.ok_or_else(|| format!("{name} is not there"))?;
        let digest = sha256(&bytes);
        let file = Signed::<T>::parse(bytes).unwrap();
        let verified = file.verify(&self.root().claimed_authority(T::TYPE));
        // A Root may have come between the two requests.
        let verified = verified.map_err(|error| error.to_string())?;
        let content = verified.content().clone();
        let version = content.version();
        let newest = self.newest.entry(T::TYPE).or_default();
        assert!(
            version >= *newest,
            "{}: {} {version} after {newest}",
            self.vin,
            T::TYPE
        );
        *newest = version;
        let told = self.told.entry((T::TYPE, version)).or_insert(digest);
        assert_eq!(*told, digest, "{}: another {} {version}", self.vin, T::TYPE);
        Ok(content)
    }

    pub(crate) fn get(&mut self, at: &str, path: &str) -> Result<Option<Vec<u8>>, String> {
        let url = format!("https://{at}/v1/{path}");
        match self.fetcher.open(&url, 0) {
            Ok(mut body) => {
                let mut bytes = Vec::new();
                let mut part = [0; 4096];
                loop {
                    match body.read(&mut part).map_err(|error| error.to_string())? {
                        0 => return Ok(Some(bytes)),
                        read => bytes.extend_from_slice(&part[..read]),
                    }
                }
            }
            Err(error) if error.is_not_found() => Ok(None),
            Err(error) => Err(error.to_string()),
        }
    }

    fn post(&mut self, at: &str, path: &str, body: &str) -> Result<Vec<u8>, String> {
        let url = format!("https://{at}/v1/{path}");
        let answer = self
            .fetcher
            .exchange((Method::Post, &url), body.as_bytes(), 1 << 20);
        let answer = answer.map_err(|error| error.to_string())?;
        match answer.status {
            200 | 201 => Ok(answer.body),
            status => Err(format!(
                "{status}: {}",
                String::from_utf8_lossy(&answer.body)
            )),
        }
    }

    /// Forgets its connections.
    pub(crate) fn reconnect(&mut self) {
        self.fetcher = fetcher(&self.folder);
    }

    pub(crate) fn newest(&self, role: RoleType) -> u64 {
        self.newest.get(&role).copied().unwrap_or_default()
    }
}

fn fetcher(folder: &Path) -> HttpFetcher {
    let identity = TlsIdentity::from_pem_files(&folder.join("tls.pem"), &folder.join("tls.key"));
    let roots = TlsRoots::from_pem_file(&folder.join("ca.pem")).unwrap();
    HttpFetcher::with_identity(Patience::default(), roots, identity.unwrap())
}
