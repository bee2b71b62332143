//! A director: it knows vehicles and images, says which ECU shall run what, and reads what
//! vehicles report.
//!
//! It decides and signs, and neither reads the clock nor the network. It stands in for the
//! director service as vehicles see it.

mod inventory;

use std::collections::BTreeMap;
use std::io::{Read, Write};

use countersign_client::uptane::bundle;
use countersign_director_domain::carrier::Carrier;
use countersign_director_domain::consequences::tried_and_failed;
use countersign_director_domain::desk::{Desk, Press, later};
use countersign_director_domain::manifest::{self, ReportRules};
use countersign_director_domain::orders::{self, Grounds};
use countersign_director_domain::vault::{Sealed, Vault};
use countersign_encryption::{ContentKey, FileInfo};
use countersign_metadata::json::Object;
use countersign_metadata::uptane::{
    EcuSerial, EncryptedTarget, Nonce, OfflineName, TimeAttestation, Vin,
};
use countersign_metadata::{
    Role as _, RoleType, Root, Signed, Snapshot, TargetFile, TargetPath, UtcTime,
};

pub use countersign_director_domain::catalogue::{Catalogue, CatalogueImage};
pub use countersign_director_domain::desk::Lifetimes;
pub use countersign_director_domain::keys::{DirectorKeys, OfflineKeys, OnlineKeys, signed};
pub use countersign_director_domain::manifest::{Heard, MAX_MANIFEST, ManifestRefusal, Receipt};
pub use countersign_director_domain::{DirectorError, EcuRecord, RecordError, VehicleRecord};
pub use inventory::{Inventory, RegisterError};

use crate::error::SimError;

/// A director with its keys.
#[derive(Debug)]
pub struct Director {
    keys: DirectorKeys,
    lifetimes: Lifetimes,
    root: Root,
    roots: Vec<Vec<u8>>,
    inventory: Inventory,
    catalogue: Catalogue,
    vault: Vault,
    carrier: Carrier,
    vehicles: BTreeMap<Vin, Assigned>,
}

/// One vehicle: what it shall run, what it was told, and what it has told.
#[derive(Debug, Default)]
struct Assigned {
    orders: BTreeMap<TargetPath, TargetFile>,
    desk: Desk,
    /// Everything that was ever published, by file name.
    files: BTreeMap<String, Vec<u8>>,
    heard: BTreeMap<EcuSerial, Heard>,
}

impl Director {
    /// A director without vehicles and images. Makes the first Root.
    ///
    /// # Errors
    /// [`DirectorError::Sign`] when a key fails.
    pub fn new(
        keys: DirectorKeys,
        lifetimes: Lifetimes,
        now: UtcTime,
    ) -> Result<Self, DirectorError> {
        let root = keys.first_root(later(now, lifetimes.root)?);
        let file = signed(root.to_payload(), &*keys.root)?;
        Ok(Self {
            keys,
            lifetimes,
            root,
            roots: Vec::from([file]),
            inventory: Inventory::default(),
            catalogue: Catalogue::default(),
            vault: Vault::default(),
            carrier: Carrier::default(),
            vehicles: BTreeMap::new(),
        })
    }

    /// A director as it was when it had published these Roots. `keys` are those that the last one
    /// names.
    ///
    /// # Errors
    /// [`DirectorError::Damaged`]
    pub fn restore(
        keys: DirectorKeys,
        lifetimes: Lifetimes,
        roots: Vec<Vec<u8>>,
    ) -> Result<Self, DirectorError> {
        let last = roots.last().cloned().unwrap_or_default();
        let root = Signed::<Root>::parse(last)?.verify_by_itself()?;
        Ok(Self {
            keys,
            lifetimes,
            root: root.content().clone(),
            roots,
            inventory: Inventory::default(),
            catalogue: Catalogue::default(),
            vault: Vault::default(),
            carrier: Carrier::default(),
            vehicles: BTreeMap::new(),
        })
    }

    /// Adds a vehicle as it was: what was published for it, and its last manifest, which was judged
    /// when it came.
    ///
    /// # Errors
    /// [`SimError::Register`], [`SimError::Director`], [`SimError::Manifest`]
    pub fn restore_vehicle(
        &mut self,
        vin: Vin,
        vehicle: VehicleRecord,
        files: BTreeMap<String, Vec<u8>>,
        manifest: Option<&[u8]>,
    ) -> Result<(), SimError> {
        self.register(vin.clone(), vehicle.clone())?;
        let rules = ReportRules {
            max_age: None,
            max_ahead: i64::MAX,
            ..ReportRules::at(self.root.expires())
        };
        let (desk, orders) = Desk::restored(&files, &self.root)?;
        let heard = match manifest {
            Some(bytes) => manifest::judge(&vin, bytes, &vehicle, &BTreeMap::new(), &rules)
                .map(|(_, heard)| heard)
                .map_err(|refusal| SimError::Manifest {
                    vin: vin.clone(),
                    refusal,
                })?,
            None => BTreeMap::new(),
        };
        let assigned = Assigned {
            orders,
            desk,
            files,
            heard,
        };
        self.vehicles.insert(vin, assigned);
        Ok(())
    }

    /// Adds an encrypted image as it was.
    ///
    /// # Errors
    /// [`DirectorError::UnknownImage`]
    pub fn restore_encrypted(
        &mut self,
        path: &TargetPath,
        key: ContentKey,
        ciphertext: FileInfo,
    ) -> Result<(), DirectorError> {
        match self.catalogue.image(path) {
            Some(listed) => self.vault.restore(path, listed, key, ciphertext),
            None => Err(DirectorError::UnknownImage(path.clone())),
        }
    }

    /// The vehicles.
    pub fn inventory(&self) -> &Inventory {
        &self.inventory
    }

    /// The images, to add to.
    pub fn catalogue(&mut self) -> &mut Catalogue {
        &mut self.catalogue
    }

    /// Every Root file, version 1 first. The first one is what vehicles are provisioned with.
    pub fn roots(&self) -> &[Vec<u8>] {
        &self.roots
    }

    /// What was last heard of the ECUs of a vehicle.
    pub fn heard(&self, vin: &Vin) -> Option<&BTreeMap<EcuSerial, Heard>> {
        self.vehicles.get(vin).map(|assigned| &assigned.heard)
    }

    /// Adds a vehicle.
    ///
    /// # Errors
    /// [`RegisterError`]
    pub fn register(&mut self, vin: Vin, vehicle: VehicleRecord) -> Result<(), RegisterError> {
        self.inventory.register(vin.clone(), vehicle)?;
        self.vehicles.insert(vin, Assigned::default());
        Ok(())
    }

    /// Encrypts an image of the catalogue into `out`, once. From then on it travels encrypted. `out` has to be served below the Director's targets URL, under the name of the
    /// target that is returned, with its SHA-256 before the last segment.
    ///
    /// # Errors
    /// [`DirectorError::UnknownImage`], [`DirectorError::AlreadyEncrypted`],
    /// [`DirectorError::OtherImage`]; then `out` is worthless.
    pub fn encrypt(
        &mut self,
        path: &TargetPath,
        image: &mut dyn Read,
        out: &mut dyn Write,
    ) -> Result<EncryptedTarget, DirectorError> {
        let Some(listed) = self.catalogue.image(path) else {
            return Err(DirectorError::UnknownImage(path.clone()));
        };
        self.vault.seal(path, listed, image, out)
    }

    /// The content key of an image that is encrypted, to be kept in a protected place.
    pub fn content_key(&self, path: &TargetPath) -> Option<&ContentKey> {
        let listed = self.catalogue.image(path)?;
        self.vault.image(path, listed).map(Sealed::key)
    }

    /// Assigns an image to an ECU, in the place of what was assigned to it before.
    ///
    /// # Errors
    /// [`DirectorError`] when the ECU would have to refuse it.
    pub fn assign(
        &mut self,
        vin: &Vin,
        serial: &EcuSerial,
        path: &TargetPath,
    ) -> Result<(), DirectorError> {
        let Some(assigned) = self.vehicles.get_mut(vin) else {
            return Err(DirectorError::UnknownVehicle(vin.clone()));
        };
        let vehicle = self.inventory.vehicle(vin);
        let vehicle = vehicle.ok_or_else(|| DirectorError::UnknownVehicle(vin.clone()))?;
        let grounds = Grounds {
            vehicle: (vin, vehicle),
            catalogue: &self.catalogue,
            vault: &self.vault,
            heard: assigned.heard.get(serial),
        };
        let (file, custom) = grounds.order(serial, path)?;
        orders::withdraw(&mut assigned.orders, serial);
        orders::add(&mut assigned.orders, path, file, custom);
        Ok(())
    }

    /// Takes back what is assigned to an ECU.
    pub fn withdraw(&mut self, vin: &Vin, serial: &EcuSerial) {
        if let Some(assigned) = self.vehicles.get_mut(vin) {
            orders::withdraw(&mut assigned.orders, serial);
        }
    }

    /// Brings the files of a vehicle up to date: every file that was ever published for it, by
    /// name, the Roots among them.
    ///
    /// # Errors
    /// [`DirectorError::UnknownVehicle`], [`DirectorError::Sign`]
    pub fn publish(
        &mut self,
        vin: &Vin,
        now: UtcTime,
    ) -> Result<BTreeMap<String, Vec<u8>>, DirectorError> {
        let orders = self
            .vehicles
            .get(vin)
            .map(|assigned| assigned.orders.clone());
        self.publish_orders(vin, orders.unwrap_or_default(), now)
    }

    /// As [`Director::publish`], for any content of Targets: what could be done by somebody who
    /// holds the director's keys. What is assigned does not change.
    ///
    /// # Errors
    /// As [`Director::publish`].
    pub fn publish_orders(
        &mut self,
        vin: &Vin,
        orders: BTreeMap<TargetPath, TargetFile>,
        now: UtcTime,
    ) -> Result<BTreeMap<String, Vec<u8>>, DirectorError> {
        let Some(assigned) = self.vehicles.get_mut(vin) else {
            return Err(DirectorError::UnknownVehicle(vin.clone()));
        };
        let press = Press {
            keys: &self.keys.online,
            root_version: self.root.version(),
            lifetimes: &self.lifetimes,
            now,
            skip: 0,
        };
        let made = assigned.desk.publish(vin, &orders, &press)?;
        let made = made.into_iter().map(|file| (file.name(), file.bytes));
        assigned.files.extend(made);
        let roots = (1..).zip(&self.roots);
        let roots = roots.map(|(version, file)| (format!("{version}.root.json"), file.clone()));
        Ok(assigned.files.clone().into_iter().chain(roots).collect())
    }

    /// Signs what is assigned in a vehicle as the Offline Targets file `name` (PURE-2). Gives the
    /// Director's part of a bundle, by the names that files have in one.
    ///
    /// # Errors
    /// [`DirectorError::UnknownVehicle`], [`DirectorError::Sign`]
    pub fn carry(
        &mut self,
        vin: &Vin,
        name: &OfflineName,
        now: UtcTime,
    ) -> Result<BTreeMap<String, Vec<u8>>, DirectorError> {
        let Some(assigned) = self.vehicles.get(vin) else {
            return Err(DirectorError::UnknownVehicle(vin.clone()));
        };
        let orders = (vin, assigned.orders.clone());
        let expires = later(now, self.lifetimes.targets)?;
        let keys = &self.keys.offline;
        let carried = self.carrier.issue(name, orders, expires, keys)?;
        let roots = (1..).zip(&self.roots);
        let roots = roots.map(|(version, file)| (format!("{version}.root.json"), file));
        let mut members: BTreeMap<_, _> = roots
            .map(|(name, file)| (bundle::DIRECTOR.to_owned() + &name, file.clone()))
            .collect();
        let offline = |name: &str| format!("{}{name}.json", bundle::OFFLINE);
        members.insert(offline("snapshot"), carried.snapshot);
        members.insert(offline(name.as_str()), carried.targets);
        Ok(members)
    }

    /// Goes on from the Offline Snapshot that was signed last.
    ///
    /// # Errors
    /// [`DirectorError::Damaged`]
    pub fn restore_carried(&mut self, snapshot: Vec<u8>) -> Result<(), DirectorError> {
        let snapshot = Signed::<Snapshot>::parse(snapshot)?.decode_unverified()?;
        self.carrier.snapshot = Some(snapshot);
        Ok(())
    }

    /// What is assigned in a vehicle, by image.
    pub fn orders(&self, vin: &Vin) -> BTreeMap<TargetPath, TargetFile> {
        let orders = self
            .vehicles
            .get(vin)
            .map(|assigned| assigned.orders.clone());
        orders.unwrap_or_default()
    }

    /// Takes in what `sender` reports; who sends it is known from elsewhere, as by TLS. An
    /// assignment whose installation was tried and failed is taken back, so that the vehicle does
    /// not try it for ever.
    ///
    /// # Errors
    /// [`ManifestRefusal`]; then nothing has changed.
    pub fn accept_manifest(
        &mut self,
        sender: &Vin,
        bytes: &[u8],
        rules: &ReportRules,
    ) -> Result<Receipt, ManifestRefusal> {
        let known = self.vehicles.get_mut(sender);
        let Some((assigned, vehicle)) = known.zip(self.inventory.vehicle(sender)) else {
            return Err(ManifestRefusal::UnknownVehicle(sender.clone()));
        };
        let (receipt, now) = manifest::judge(sender, bytes, vehicle, &assigned.heard, rules)?;
        let last = assigned.desk.version(RoleType::Targets);
        for (serial, heard) in &now {
            let outcome = heard.outcome.as_ref();
            let failed = outcome.is_some_and(|outcome| tried_and_failed(outcome, last));
            if failed && !receipt.stale.contains(serial) {
                orders::withdraw(&mut assigned.orders, serial);
            }
        }
        assigned.heard = now;
        Ok(receipt)
    }

    /// Attests that it is `now` to whoever sent these nonces.
    ///
    /// # Errors
    /// [`DirectorError::Sign`]
    pub fn attest(&self, nonces: &[Nonce], now: UtcTime) -> Result<Vec<u8>, DirectorError> {
        let attestation = TimeAttestation {
            time: now,
            nonces: nonces.to_vec(),
            extra: Object::new(),
        };
        Ok(self.keys.online.attest(&attestation)?)
    }

    /// Replaces all online keys by a new Root. Every vehicle's files are signed anew when they
    /// are next published.
    ///
    /// # Errors
    /// [`DirectorError::Sign`]; then the keys are as they were.
    pub fn rotate_online_keys(
        &mut self,
        online: OnlineKeys,
        now: UtcTime,
    ) -> Result<OnlineKeys, DirectorError> {
        let former = std::mem::replace(&mut self.keys.online, online);
        let made = later(now, self.lifetimes.root).and_then(|expires| {
            let root = self.keys.next_root(&self.root, expires);
            let file = signed(root.to_payload(), &*self.keys.root)?;
            Ok((root, file))
        });
        match made {
            Ok((root, file)) => {
                self.root = root;
                self.roots.push(file);
                Ok(former)
            }
            Err(error) => {
                self.keys.online = former;
                Err(error)
            }
        }
    }
}
