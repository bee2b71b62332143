//! Our verifier as an ECU of a vehicle.

use std::collections::BTreeMap;
use std::num::NonZeroUsize;

use countersign_ecu_keys::ImageKey;
use countersign_encryption::{Decryptor, EncryptionError, FileInfo, WrapContext, unwrap};
use countersign_metadata::uptane::{
    EcuSerial, EncryptedTarget, HardwareId, Mapping, Nonce, OfflineName, Vin, WrappedKey,
};
use countersign_metadata::{Hashes, UtcTime};
use countersign_verifier::uptane::{
    Directed, Director, DirectorSession, Ecu, Ecus, Installed, OfflineDirectorSession, Origin,
    PartialSession, PartialStream, TimeFloor, Vehicle, attested_time, latest_attested,
};
use countersign_verifier::{Code, Context, FollowRoot, Followed, Limits, Reject, Session};

use super::{Line, Store, bundle, clock, no_file, observed, provisioned, trusted};
use crate::format::{self, Action, Assigned, Cycle, Install, Step, Verification};
use crate::run::{Client, Observed, RunError};
use crate::simulate::{decryption, sha256_hex};
use crate::suite::Vector;
use crate::tree::{Answer, Site};

/// With its stores in memory.
#[derive(Default)]
pub(super) struct InProcess {
    director: Store,
    image: Store,
    floor: Option<TimeFloor>,
    installed: Option<Installed>,
    /// What runs, by the SHA-256 of its bytes; `None` for what came from the factory.
    runs: Option<String>,
    nonce: Option<Nonce>,
    /// What the last cycle has found.
    found: Vec<Directed>,
    downloads: BTreeMap<String, Vec<u8>>,
    /// Whether what is verified in part passes in chunks, and of how many bytes.
    chunk: Option<NonZeroUsize>,
}

impl InProcess {
    /// One that verifies in part what passes in chunks.
    pub(super) fn streaming(chunk: NonZeroUsize) -> Self {
        Self {
            chunk: Some(chunk),
            ..Self::default()
        }
    }
}

/// One step of it.
struct Run<'a> {
    own: &'a mut InProcess,
    ecu: &'a format::Ecu,
    site: &'a Site,
    vector: &'a Vector,
    now: UtcTime,
    requests: Vec<String>,
    /// The Offline Targets file of the bundle that is read in the place of the repositories.
    offline: Option<OfflineName>,
}

impl Client for InProcess {
    fn init(&mut self, vector: &Vector) -> Result<(), RunError> {
        let ecu = ecu_of(vector)?;
        self.director = provisioned(vector.file(&ecu.director_root));
        self.image = provisioned(vector.file(&ecu.image_root));
        self.installed = ecu
            .installed
            .as_ref()
            .map(|factory| installed(ecu, factory))
            .transpose()?;
        Ok(())
    }

    fn act(&mut self, vector: &Vector, step: &Step) -> Result<Observed, RunError> {
        let (now, site, ecu) = (clock(vector, step)?, vector.site(step), ecu_of(vector)?);
        let mut run = Run {
            own: self,
            ecu,
            site: &site,
            vector,
            now,
            requests: Vec::new(),
            offline: None,
        };
        let outcome = match &step.action {
            Action::Cycle(cycle) => match &cycle.bundle {
                Some(bundle) => run.carried(cycle, vector.file(bundle)),
                None => run.cycle(cycle),
            },
            Action::Install(install) => run.install(install),
            action => return Err(RunError(format!("{action:?} is nothing for an ECU"))),
        };
        let requests = run.requests;
        let of_director = trusted(&self.director, "director/");
        let trusted = of_director.chain(trusted(&self.image, "image/")).collect();
        let assigned = outcome
            .is_ok()
            .then(|| self.found.iter().map(assigned).collect());
        Ok(Observed {
            trusted,
            requests,
            assigned,
            installed: Some(self.runs.clone().unwrap_or_else(|| "factory".into())),
            ..observed(&outcome)
        })
    }
}

impl Run<'_> {
    fn cycle(&mut self, cycle: &Cycle) -> Result<(), Reject> {
        self.own.found.clear();
        self.own.nonce = match &cycle.nonce {
            Some(nonce) => Some(nonce_of(nonce)?),
            None => None,
        };
        let followed = self
            .line("director/metadata/")
            .drive(&mut FollowRoot::new(Limits::director(), Mapping::DIRECTOR))?;
        let now = self.time(&followed, cycle.attestation.as_deref())?;
        match self.ecu.verification {
            Verification::Full => self.verify(followed, now),
            Verification::Partial => self.verify_in_part(followed, now),
        }
    }

    /// The same, out of a bundle (PURE-2).
    fn carried(&mut self, cycle: &Cycle, bundle: &[u8]) -> Result<(), Reject> {
        let (site, name) = bundle::open(bundle)?;
        let mut run = Run {
            own: &mut *self.own,
            site: &site,
            requests: Vec::new(),
            offline: Some(name),
            ..*self
        };
        run.cycle(cycle)
    }

    /// 5.4.4.2
    fn verify(&mut self, followed: Followed, now: UtcTime) -> Result<(), Reject> {
        let director = self.ask_director(followed, now)?;
        let context = Context {
            profile: director.image_profile(),
            ..context(Mapping::IMAGE, now)
        };
        let mut session = Session::with_context(context);
        let mut trusted = self.line("image/metadata/").drive(&mut session)?;
        let installed: BTreeMap<EcuSerial, Installed> = match &self.own.installed {
            Some(installed) => BTreeMap::from([(ecu(self.ecu)?.serial, installed.clone())]),
            None => BTreeMap::new(),
        };
        let url = || vec!["https://example.com".to_owned()];
        let mapping = Mapping::both(url(), url());
        let mapping = mapping.map_err(|error| Reject::metadata("", error))?;
        let mut resolve = director.resolve(&mut trusted, &mapping, &installed);
        let update = self.line("image/metadata/").drive(&mut resolve)?;
        if !self.ecu.secondary {
            for directed in &update.images {
                self.download(directed, now)?;
            }
        }
        self.own.found = update.images;
        Ok(())
    }

    fn ask_director(&mut self, followed: Followed, now: UtcTime) -> Result<Director, Reject> {
        let (vehicle, context) = (vehicle(self.ecu)?, context(Mapping::DIRECTOR, now));
        match self.offline.clone() {
            None => {
                let mut session = DirectorSession::new(followed, vehicle, context);
                self.line("director/metadata/").drive(&mut session)
            }
            Some(name) => {
                let mut session = OfflineDirectorSession::new(followed, vehicle, name, context);
                self.line("director/offline/").drive(&mut session)
            }
        }
    }

    /// 5.4.4.1
    fn verify_in_part(&mut self, followed: Followed, now: UtcTime) -> Result<(), Reject> {
        let context = context(Mapping::DIRECTOR, now);
        let (vin, ecu) = (vehicle(self.ecu)?.vin, ecu(self.ecu)?);
        let (name, folder) = match self.offline.clone() {
            None => (None, "director/metadata/"),
            Some(name) => (Some(name), "director/offline/"),
        };
        let chunk = self.own.chunk;
        let mut line = self.line(folder);
        let partial = match (chunk, name) {
            (None, None) => line.drive(&mut PartialSession::new(followed, vin, ecu, context)),
            (None, Some(name)) => line.drive(&mut PartialSession::offline(
                followed, vin, ecu, name, context,
            )),
            (Some(chunk), None) => {
                line.stream(PartialStream::new(followed, vin, ecu, context), chunk)
            }
            (Some(chunk), Some(name)) => line.stream(
                PartialStream::offline(followed, vin, ecu, name, context),
                chunk,
            ),
        }?;
        // Whoever cannot say which image it is cannot ask the Primary for it.
        if let Some(directed) = &partial.image {
            directed.content_name()?;
        }
        self.own.found = partial.image.into_iter().collect();
        Ok(())
    }

    /// What is fetched from a folder of one of the repositories.
    fn line(&mut self, folder: &'static str) -> Line<'_> {
        let (store, prefix) = match folder.starts_with("director/") {
            true => (&mut self.own.director, "director/"),
            false => (&mut self.own.image, "image/"),
        };
        Line {
            store,
            site: self.site,
            folder,
            prefix,
            requests: &mut self.requests,
        }
    }

    /// 5.4.4.3
    fn time(&mut self, followed: &Followed, attestation: Option<&str>) -> Result<UtcTime, Reject> {
        let attestation = attestation.map(|file| self.vector.file(file).to_vec());
        // Without one of its own, an ECU draws a nonce that nothing given here can answer.
        let nonce = self.own.nonce.take().unwrap_or(Nonce([0; 16]));
        if self.offline.is_some() && attestation.is_none() {
            let latest = latest_attested(followed, self.own.floor.as_ref())
                .map_err(|reject| reject.at(Mapping::DIRECTOR))?;
            return Ok(latest.unwrap_or(self.now));
        }
        let attested = attested_time(followed, attestation, &nonce, self.own.floor.as_ref())
            .map_err(|reject| reject.at(Mapping::DIRECTOR))?;
        Ok(match attested {
            Some(attested) => {
                self.own.floor = Some(attested.floor);
                attested.now
            }
            None => self.now,
        })
    }

    fn download(&mut self, directed: &Directed, now: UtcTime) -> Result<(), Reject> {
        let path = match directed.origin()? {
            _ if self.offline.is_some() => format!("images/{}", directed.content_name()?),
            Origin::Image(path) => format!("image/targets/{path}"),
            Origin::Director(path) => format!("director/targets/{path}"),
            Origin::Uri(uri) => uri,
        };
        let bytes = match self.site.get(&path) {
            Answer::Found(bytes) => bytes,
            Answer::Status(status) => {
                return Err(no_file(Code::ImageMissing, "", status));
            }
        };
        let mut stream = directed.open_download(now)?;
        for piece in bytes.chunks(5) {
            stream.update(piece)?;
        }
        stream.finish()?;
        self.own.downloads.insert(directed.content_name()?, bytes);
        Ok(())
    }

    /// 5.4.3.3 to 5.4.3.5
    fn install(&mut self, install: &Install) -> Result<(), Reject> {
        let own = ecu(self.ecu)?;
        let found = self.own.found.iter();
        let mut found = found.filter(|directed| directed.ecu().serial == own.serial);
        let Some(directed) = found.next().cloned() else {
            return Ok(());
        };
        let given = install
            .image
            .as_deref()
            .map(|file| self.vector.file(file).to_vec());
        let downloaded = self.own.downloads.get(&directed.content_name()?).cloned();
        let bytes = given.or(downloaded).ok_or_else(|| {
            Reject::new(Code::ImageMissing, "", "it was not downloaded").at(Mapping::IMAGE)
        })?;
        let mut stream = directed.open_image(&own, self.own.installed.as_ref(), self.now)?;
        let plain = match directed.encryption() {
            None => bytes,
            Some(encryption) => self.decrypt(&directed, encryption, &bytes)?,
        };
        for piece in plain.chunks(7) {
            stream.update(piece)?;
        }
        stream.finish()?;
        self.own.runs = Some(sha256_hex(&plain));
        self.own.installed = Some(Installed {
            hardware_id: own.hardware_id,
            path: directed.path().to_string(),
            release_counter: directed.release_counter(),
            length: directed.file().length,
            hashes: directed.file().hashes.clone(),
        });
        Ok(())
    }

    fn decrypt(
        &self,
        directed: &Directed,
        (encrypted, wrapped): (&EncryptedTarget, &WrappedKey),
        bytes: &[u8],
    ) -> Result<Vec<u8>, Reject> {
        let refuse = |error: &EncryptionError| refused(error);
        let key = self.key()?;
        let context = WrapContext {
            vin: directed.vin().clone(),
            serial: directed.ecu().serial.clone(),
            filename: directed.path().clone(),
            release_counter: directed.release_counter(),
            method: encrypted.method.clone(),
            plaintext: FileInfo {
                length: directed.file().length,
                hashes: directed.file().hashes.clone(),
            },
            ciphertext: FileInfo {
                length: encrypted.length,
                hashes: encrypted.hashes.clone(),
            },
        };
        let content = unwrap(wrapped, &context, &key).map_err(|error| refuse(&error))?;
        let mut decryptor =
            Decryptor::new(&content, encrypted.length).map_err(|error| refuse(&error))?;
        let mut download = directed.open_download(self.now)?;
        let mut plain = Vec::new();
        for piece in bytes.chunks(1000) {
            download.update(piece)?;
            let mut keep = |bytes: &[u8]| {
                plain.extend_from_slice(bytes);
                Ok(())
            };
            decryptor
                .update(piece, &mut keep)
                .map_err(|error: EncryptionError| refuse(&error))?;
        }
        download.finish()?;
        decryptor.finish().map_err(|error| refuse(&error))?;
        Ok(plain)
    }

    fn key(&self) -> Result<ImageKey, Reject> {
        let none = |detail: String| Reject::new(Code::PreconditionFailed, "targets", detail);
        let name = self.ecu.decryption_key.as_deref();
        let name = name.ok_or_else(|| none("this ECU has no decryption key".into()))?;
        decryption::open(name).map_err(|error| none(error.to_string()))
    }
}

fn refused(error: &EncryptionError) -> Reject {
    let code = match error {
        EncryptionError::KeyUnwrap { .. } | EncryptionError::UnusableKey { .. } => {
            Code::KeyUnwrapFailed
        }
        EncryptionError::UnknownMethod { .. } => Code::UnknownEncryption,
        EncryptionError::Device(_) | EncryptionError::Random => Code::PreconditionFailed,
        _ => Code::DecryptFailed,
    };
    Reject::new(code, "targets", error.to_string()).at(Mapping::DIRECTOR)
}

fn context(repository: &str, now: UtcTime) -> Context {
    let limits = match repository {
        Mapping::DIRECTOR => Limits::director(),
        _ => Limits::default(),
    };
    Context {
        limits,
        repository: repository.into(),
        ..Context::new(now)
    }
}

fn ecu_of(vector: &Vector) -> Result<&format::Ecu, RunError> {
    let ecu = vector.case.ecu.as_ref();
    ecu.ok_or_else(|| RunError("the case has no ECU".into()))
}

fn vehicle(ecu: &format::Ecu) -> Result<Vehicle, Reject> {
    let malformed = |error| Reject::metadata("", error);
    let own = self::ecu(ecu)?;
    let vin = Vin::new(&ecu.vin).map_err(malformed)?;
    if ecu.secondary {
        let ecus = Ecus::Own(own);
        return Ok(Vehicle { vin, ecus });
    }
    let mut all = BTreeMap::from([(own.serial, own.hardware_id)]);
    for (serial, hardware) in &ecu.others {
        let serial = EcuSerial::new(serial).map_err(malformed)?;
        all.insert(serial, HardwareId::new(hardware).map_err(malformed)?);
    }
    Ok(Vehicle {
        vin,
        ecus: Ecus::All(all),
    })
}

fn ecu(ecu: &format::Ecu) -> Result<Ecu, Reject> {
    let malformed = |error| Reject::metadata("", error);
    Ok(Ecu {
        serial: EcuSerial::new(&ecu.serial).map_err(malformed)?,
        hardware_id: HardwareId::new(&ecu.hardware_id).map_err(malformed)?,
    })
}

fn installed(ecu: &format::Ecu, factory: &format::Installed) -> Result<Installed, RunError> {
    let mut sha256 = [0; 32];
    let failed = |error: &dyn std::fmt::Display| RunError(error.to_string());
    hex::decode_to_slice(&factory.sha256, &mut sha256).map_err(|error| failed(&error))?;
    Ok(Installed {
        hardware_id: HardwareId::new(&ecu.hardware_id).map_err(|error| failed(&error))?,
        path: factory.path.clone(),
        release_counter: factory.release_counter,
        length: factory.length,
        hashes: Hashes {
            sha256: Some(sha256),
            ..Hashes::default()
        },
    })
}

fn assigned(directed: &Directed) -> Assigned {
    Assigned {
        ecu: directed.ecu().serial.to_string(),
        path: directed.path().to_string(),
        release_counter: directed.release_counter(),
        encrypted: directed.encryption().is_some(),
    }
}

fn nonce_of(text: &str) -> Result<Nonce, Reject> {
    let mut nonce = [0; 16];
    hex::decode_to_slice(text, &mut nonce)
        .map_err(|error| Reject::new(Code::Misuse, "time", error.to_string()))?;
    Ok(Nonce(nonce))
}
