//! A Director, an Image repository and one ECU of a vehicle: honest until told otherwise.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::json;

use super::cipher::{Cipher, METHOD, Wrapping};
use super::document::{Document, SimulateError, Wrongs};
use super::keys::TestKey;
use super::offline::Offline;
use super::repo::{Repo, sha256_hex};
use super::roles::{Delegation, Keys};
use super::{Json, SignatureCache, decryption};
use crate::format::{Ecu, Installed, Verification};
use crate::tree::Files;

/// The vehicle of all cases.
pub const VIN: &str = "VIN-OF-THIS-CAR";

/// The nonce of cases about the time, unless they say otherwise.
pub const NONCE: &str = "07070707070707070707070707070707";

/// In the honest world the Primary `P1` is sent `pcu.img`, which the Image repository's top-level
/// Targets lists, and the Secondary `S1` is sent `brake/fw.img`, which is the supplier's. The Secondary
/// `S2` is sent nothing. The ECU under test is the Primary.
#[derive(Debug, Clone)]
pub struct World {
    /// The Director's repository for this vehicle.
    pub director: Repo,
    /// The Image repository.
    pub image: Repo,
    /// The ECU under test.
    pub ecu: Ecu,
    /// Further files that are served, by path.
    pub also: Files,
    pub(super) offline: Option<Offline>,
    hidden: BTreeSet<String>,
    cache: SignatureCache,
}

impl World {
    /// A new one.
    pub fn new(cache: SignatureCache) -> Self {
        let mut director = Repo::empty(cache.clone(), "director-");
        director.serves_images = false;
        director.link_hashes = true;
        let mut image = Repo::empty(cache.clone(), "image-");
        image.link_hashes = true;
        let mut world = Self {
            director,
            image,
            ecu: primary(),
            also: Files::new(),
            offline: None,
            hidden: BTreeSet::new(),
            cache,
        };
        world.name_vehicle(VIN);
        world.list("targets", "pcu.img", b"pcu 5\n", &["pcu-a"], 5);
        world.list("supplier", "brake/fw.img", b"brake 3\n", &["brake-b"], 3);
        let supplier = Delegation::to("supplier", &["brake/*"]);
        world.image.targets().delegations.push(supplier);
        world.assign("pcu.img", &[("P1", "pcu-a")]);
        world.assign("brake/fw.img", &[("S1", "brake-b")]);
        world
    }

    /// The ECU under test is a Secondary that verifies in part.
    pub fn be_partial(&mut self) {
        self.be_secondary();
        self.ecu.verification = Verification::Partial;
    }

    /// The ECU under test is a Secondary that verifies in full.
    pub fn be_secondary(&mut self) {
        self.ecu = Ecu {
            serial: "S1".into(),
            hardware_id: "brake-b".into(),
            secondary: true,
            others: BTreeMap::new(),
            ..primary()
        };
    }

    pub(super) fn cache(&self) -> &SignatureCache {
        &self.cache
    }

    /// The Director's online files name this vehicle.
    pub fn name_vehicle(&mut self, vin: &str) {
        let custom = json!({"vin": vin});
        let director = &mut self.director;
        director.timestamp.extra.insert("custom", custom.clone());
        director.snapshot.extra.insert("custom", custom.clone());
        let targets = director.targets();
        targets.head.extra.insert("custom", custom);
    }

    /// A role of the Image repository lists an image.
    pub fn list(&mut self, role: &str, path: &str, bytes: &[u8], hardware: &[&str], counter: u64) {
        let custom = json!({"hardwareIds": hardware, "releaseCounter": counter});
        let role = self.image.role(role);
        role.images.insert(path.into(), bytes.into());
        role.custom.insert(path.into(), custom);
    }

    /// The Director assigns an image to these ECUs, and says of it what the Image repository says.
    pub fn assign(&mut self, path: &str, ecus: &[(&str, &str)]) {
        let mut roles = self.image.roles.values();
        let found = roles.find_map(|role| Some((role.images.get(path)?, role.custom.get(path)?)));
        let (bytes, custom) = found.map_or((Vec::new(), Json::Null), |(bytes, custom)| {
            (bytes.clone(), custom.clone())
        });
        let counter = custom["releaseCounter"].as_u64().unwrap_or_default();
        self.assign_as(path, &bytes, ecus, counter);
    }

    /// The Director assigns an image to these ECUs, and says this of it.
    pub fn assign_as(&mut self, path: &str, bytes: &[u8], ecus: &[(&str, &str)], counter: u64) {
        let ecus: serde_json::Map<_, _> = ecus
            .iter()
            .map(|(serial, hardware)| ((*serial).into(), json!({"hardwareId": hardware})))
            .collect();
        let custom = json!({"ecuIdentifiers": ecus, "releaseCounter": counter});
        let targets = self.director.targets();
        targets.images.insert(path.into(), bytes.into());
        targets.custom.insert(path.into(), custom);
    }

    /// The Director assigns nothing any more.
    pub fn assign_nothing(&mut self) {
        let targets = self.director.targets();
        targets.images.clear();
        targets.custom.clear();
    }

    /// Changes what the Director says of an image besides length and hashes.
    pub fn directed(&mut self, path: &str, edit: impl FnOnce(&mut Json)) {
        edit(
            self.director
                .targets()
                .custom
                .entry(path.into())
                .or_default(),
        );
    }

    /// Changes what a role of the Image repository says of an image besides length and hashes.
    pub fn described(&mut self, role: &str, path: &str, edit: impl FnOnce(&mut Json)) {
        edit(self.image.role(role).custom.entry(path.into()).or_default());
    }

    /// A repository by name.
    pub fn repo(&mut self, name: &str) -> &mut Repo {
        match name {
            "director" => &mut self.director,
            _ => &mut self.image,
        }
    }

    /// The next version of Targets, Snapshot and Timestamp in both repositories.
    pub fn release(&mut self) {
        self.director.release();
        self.image.release();
    }

    /// The image that runs on the ECU at the beginning.
    pub fn runs(&mut self, path: &str, bytes: &[u8], counter: u64) {
        self.ecu.installed = Some(Installed {
            path: path.into(),
            release_counter: counter,
            length: bytes.len() as u64,
            sha256: sha256_hex(bytes),
        });
    }

    /// From now on the Director's Root names a time server.
    pub fn keep_time(&mut self) {
        self.director.root().time_server = Some(Keys::new(&["time-1"], 1));
    }

    /// What the time server answers to these nonces, signed by this key.
    ///
    /// # Errors
    /// [`SimulateError`]
    pub fn attest(&self, time: &str, nonces: &[&str], by: &str) -> Result<Vec<u8>, SimulateError> {
        self.signed(
            json!({"_type": "time-attestation", "time": time, "nonces": nonces}),
            by,
        )
    }

    /// Anything, signed by this key.
    ///
    /// # Errors
    /// [`SimulateError`]
    pub fn signed(&self, said: Json, by: &str) -> Result<Vec<u8>, SimulateError> {
        let made = Document::make(said, &[by.into()], &Wrongs::default(), &self.cache)?;
        Ok(made.published)
    }

    /// The Director offers an image encrypted under the content key of this name, wrapped for each ECU
    /// that it is assigned to and to the test key that stands behind it. It serves the ciphertext, which
    /// is returned.
    ///
    /// # Errors
    /// [`SimulateError`]
    pub fn encrypt(
        &mut self,
        path: &str,
        cipher: &str,
        keys: &[(&str, &str)],
    ) -> Result<Vec<u8>, SimulateError> {
        let plaintext = self.director.targets().images.get(path).cloned();
        let plaintext = plaintext.unwrap_or_default();
        let ciphertext = Cipher::named(cipher).encrypt(&plaintext);
        self.offer(path, cipher, &ciphertext, keys)?;
        Ok(ciphertext)
    }

    /// As [`World::encrypt`], with other bytes as the ciphertext.
    ///
    /// # Errors
    /// [`SimulateError`]
    pub fn offer(
        &mut self,
        path: &str,
        cipher: &str,
        ciphertext: &[u8],
        keys: &[(&str, &str)],
    ) -> Result<(), SimulateError> {
        let cache = self.cache.clone();
        let targets = self.director.targets();
        let plaintext = targets.images.get(path).cloned().unwrap_or_default();
        let custom = targets.custom.entry(path.into()).or_default();
        let mut wrapped = serde_json::Map::new();
        for (serial, key) in keys {
            let wrapping = Wrapping {
                vin: VIN.into(),
                serial: (*serial).into(),
                path: path.into(),
                release_counter: custom["releaseCounter"].as_u64().unwrap_or_default(),
                plaintext: plaintext.clone(),
                ciphertext: ciphertext.into(),
            };
            let public = decryption::public(key)?;
            let key = Cipher::named(cipher).wrap(&public, &wrapping, &cache)?;
            wrapped.insert((*serial).into(), key);
        }
        let digest = sha256_hex(ciphertext);
        custom["encryptedTarget"] = json!({
            "filename": format!("{path}.enc"),
            "length": ciphertext.len(),
            "hashes": {"sha256": digest},
            "method": METHOD,
        });
        custom["wrappedKeys"] = wrapped.into();
        // Nobody on the way gets to see what is in it.
        self.image.withhold_image(path);
        self.serve_ciphertext(path, &digest, ciphertext);
        Ok(())
    }

    /// The content key that is wrapped for an ECU, to be changed.
    pub fn wrapped(&mut self, path: &str, serial: &str) -> &mut Json {
        let custom = self.director.targets().custom.entry(path.into());
        &mut custom.or_default()["wrappedKeys"][serial]
    }

    /// A content key that was wrapped for something else than what is offered.
    ///
    /// # Errors
    /// [`SimulateError`]
    pub fn wrapped_for(
        &mut self,
        path: &str,
        cipher: &str,
        serial: &str,
        key: &str,
        edit: impl FnOnce(&mut Wrapping),
    ) -> Result<Json, SimulateError> {
        let targets = self.director.targets();
        let plaintext = targets.images.get(path).cloned().unwrap_or_default();
        let counter = targets
            .custom
            .get(path)
            .map(|custom| &custom["releaseCounter"]);
        let mut wrapping = Wrapping {
            vin: VIN.into(),
            serial: serial.into(),
            path: path.into(),
            release_counter: counter.and_then(Json::as_u64).unwrap_or_default(),
            ciphertext: Cipher::named(cipher).encrypt(&plaintext),
            plaintext,
        };
        edit(&mut wrapping);
        Cipher::named(cipher).wrap(&decryption::public(key)?, &wrapping, &self.cache)
    }

    /// A file that is not served any more.
    pub fn hide(&mut self, path: &str) {
        self.hidden.insert(path.into());
    }

    /// The Director serves these bytes as the ciphertext with this digest.
    pub fn serve_ciphertext(&mut self, path: &str, digest: &str, bytes: &[u8]) {
        let (folder, name) = path.rsplit_once('/').unwrap_or(("", path));
        let folder = match folder {
            "" => String::new(),
            folder => format!("{folder}/"),
        };
        let served = format!("director/targets/{folder}{digest}.{name}.enc");
        self.also.insert(served, bytes.into());
    }

    /// Everything that is served now.
    ///
    /// # Errors
    /// [`SimulateError`]
    pub fn serve(&mut self) -> Result<Files, SimulateError> {
        let mut all = self.also.clone();
        for (name, repo) in [("director", &mut self.director), ("image", &mut self.image)] {
            let served = repo.serve()?.into_iter();
            all.extend(served.map(|(path, bytes)| (format!("{name}/{path}"), bytes)));
        }
        if self.ecu.verification == Verification::Partial {
            // Nothing says which version is the newest: it is asked for by its bare name.
            let version = self.director.targets().head.version;
            let newest = all.get(&format!("director/metadata/{version}.targets.json"));
            if let Some(newest) = newest.cloned() {
                all.insert("director/metadata/targets.json".into(), newest);
            }
            all.retain(|path, _| path.starts_with("director/") || path.ends_with("root.json"));
        }
        all.retain(|path, _| !self.hidden.contains(path));
        Ok(all)
    }
}

fn primary() -> Ecu {
    let others = [("S1", "brake-b"), ("S2", "lamp-c")];
    let others = others.map(|(serial, hardware)| (serial.into(), hardware.into()));
    Ecu {
        vin: VIN.into(),
        serial: "P1".into(),
        hardware_id: "pcu-a".into(),
        verification: Verification::Full,
        secondary: false,
        others: others.into(),
        installed: None,
        decryption_key: None,
        director_root: String::new(),
        image_root: String::new(),
    }
}

/// A report or a manifest: signed with the five members that Uptane 5.4.2.1 asks for.
///
/// # Errors
/// [`SimulateError`]
pub fn sign_report(
    said: Json,
    by: &str,
    cache: &SignatureCache,
    tamper: impl FnOnce(&mut Json),
) -> Result<Json, SimulateError> {
    let payload = super::document::canonical_text(&said)?;
    let key: TestKey = by.parse()?;
    let signature = cache.sign(&key, payload.as_bytes())?;
    let mut file = json!({
        "signatures": [{
            "keyid": key.id(),
            "method": key.to_json()["scheme"],
            "hash_function": "sha256",
            "hash": sha256_hex(payload.as_bytes()),
            "sig": signature,
        }],
        "signed": said,
    });
    tamper(&mut file);
    Ok(file)
}
