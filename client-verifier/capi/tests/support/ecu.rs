//! An ECU over the exported functions: the sessions one after the other, as docs/embedding.md tells.

use std::collections::BTreeMap;
use std::ffi::{CString, c_void};
use std::io::Write as _;
use std::ptr::{null, null_mut};

use countersign::*;
use countersign_encryption::Decapsulate as _;
use countersign_metadata::uptane::EncryptionKey;
use countersign_vectors::format::{self, Action, Assigned, Cycle, Install, Step, Verification};
use countersign_vectors::run::{Client, Observed, RunError};
use countersign_vectors::simulate::{decryption, sha256_hex};
use countersign_vectors::suite::Vector;
use countersign_vectors::tree::Answer;

use super::tuf::pour;
use super::{
    Line, Refused, Source, Store, c, call, collecting, make, observed, own_refusal, provisioned,
    text, trusted,
};

/// The time of cases that leave it open: 2030-01-01T00:00:00Z.
const ANY_TIME: i64 = 1_893_456_000;

const MAPPING: &str = r#"{"repositories":{"director":["https://example.com"],"image":["https://example.com"]},
"mapping":[{"paths":["*"],"repositories":["director","image"],"threshold":2,"terminating":true}]}"#;

pub(crate) fn clock(vector: &Vector, step: &Step) -> i64 {
    vector
        .case
        .clock_of(step)
        .map_or(ANY_TIME, |time| time.unix())
}

/// With its stores in memory.
pub(crate) struct Ecu {
    director: Store,
    image: Store,
    floor: countersign_time_floor,
    installed: Option<Kept>,
    /// What runs, by the SHA-256 of its bytes; `None` for what came from the factory.
    runs: Option<String>,
    nonce: Option<[u8; 16]>,
    found: Vec<Directed>,
    downloads: BTreeMap<String, Vec<u8>>,
}

/// What was installed last.
#[derive(Clone)]
struct Kept {
    path: CString,
    release_counter: u64,
    length: u64,
    sha256: Option<[u8; 32]>,
    sha512: Option<[u8; 64]>,
}

/// A handle that is freed.
struct Directed(*mut countersign_directed);

impl Drop for Directed {
    fn drop(&mut self) {
        // SAFETY: here and below: handles of the library, texts and places of ours.
        unsafe { countersign_directed_free(self.0) };
    }
}

impl Default for Ecu {
    fn default() -> Self {
        Self {
            director: Store::new(),
            image: Store::new(),
            floor: countersign_time_floor {
                is_set: 0,
                time: 0,
                keys: [0; 32],
            },
            installed: None,
            runs: None,
            nonce: None,
            found: Vec::new(),
            downloads: BTreeMap::new(),
        }
    }
}

/// One step of it.
struct Run<'a> {
    own: &'a mut Ecu,
    ecu: &'a format::Ecu,
    source: Source<'a>,
    vector: &'a Vector,
    now: i64,
    requests: Vec<String>,
    /// The Offline Targets file of a bundle.
    offline: Option<CString>,
}

impl Client for Ecu {
    fn init(&mut self, vector: &Vector) -> Result<(), RunError> {
        let ecu = ecu_of(vector);
        self.director = provisioned(vector.file(&ecu.director_root));
        self.image = provisioned(vector.file(&ecu.image_root));
        self.installed = ecu.installed.as_ref().map(|factory| Kept {
            path: c(&factory.path),
            release_counter: factory.release_counter,
            length: factory.length,
            sha256: hex::decode(&factory.sha256)
                .ok()
                .and_then(|hash| hash.try_into().ok()),
            sha512: None,
        });
        Ok(())
    }

    fn act(&mut self, vector: &Vector, step: &Step) -> Result<Observed, RunError> {
        let site = vector.site(step);
        let mut run = Run {
            own: self,
            ecu: ecu_of(vector),
            source: Source::Served(&site),
            vector,
            now: clock(vector, step),
            requests: Vec::new(),
            offline: None,
        };
        let outcome = match &step.action {
            Action::Cycle(cycle) => match &cycle.bundle {
                Some(file) => run.carried(cycle, vector.file(file)),
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
    fn cycle(&mut self, cycle: &Cycle) -> Result<(), Refused> {
        self.own.found.clear();
        self.own.nonce = cycle.nonce.as_ref().map(|nonce| {
            let nonce = hex::decode(nonce).expect("hexadecimal");
            nonce.try_into().expect("16 bytes")
        });
        let context = self.context(c"director", 0);
        let session =
            make(|out, error| unsafe { countersign_session_follow_root(&context, out, error) })?;
        let root = self.ended(
            "director/metadata/",
            session,
            |session, out, error| unsafe { countersign_session_take_root(session, out, error) },
        )?;
        let outcome = self
            .time(root, cycle.attestation.as_deref())
            .and_then(|now| match self.ecu.verification {
                Verification::Full => self.in_full(root, now),
                Verification::Partial => self.in_part(root, now),
            });
        unsafe { countersign_root_free(root) };
        outcome
    }

    fn carried(&mut self, cycle: &Cycle, tar: &[u8]) -> Result<(), Refused> {
        let mut file = tempfile::NamedTempFile::new().expect("a file");
        file.write_all(tar).expect("written");
        let path = c(file.path().to_str().expect("UTF-8"));
        let bundle =
            make(|out, error| unsafe { countersign_bundle_open(path.as_ptr(), out, error) })?;
        let name = text(unsafe { countersign_bundle_offline_name(bundle) });
        let mut run = Run {
            own: &mut *self.own,
            source: Source::Carried(bundle),
            requests: Vec::new(),
            offline: Some(c(&name)),
            ..*self
        };
        let outcome = run.cycle(cycle);
        unsafe { countersign_bundle_free(bundle) };
        outcome
    }

    fn in_full(&mut self, root: *mut countersign_root, now: i64) -> Result<(), Refused> {
        let director = self.director(root, now)?;
        let context = self.context(c"image", now);
        let session =
            make(|out, error| unsafe { countersign_session_image(director, &context, out, error) });
        let trusted = session.and_then(|session| {
            self.ended("image/metadata/", session, |session, out, error| unsafe {
                countersign_session_take_trusted(session, out, error)
            })
        });
        let trusted = match trusted {
            Ok(trusted) => trusted,
            Err(refused) => {
                unsafe { countersign_director_free(director) };
                return Err(refused);
            }
        };
        let update = self.resolve(director, trusted);
        unsafe { countersign_trusted_free(trusted) };
        let found = images(update?)?;
        if !self.ecu.secondary {
            for directed in &found {
                self.download(directed, now)?;
            }
        }
        self.own.found = found;
        Ok(())
    }

    fn director(
        &mut self,
        root: *mut countersign_root,
        now: i64,
    ) -> Result<*mut countersign_director, Refused> {
        let vin = c(&self.ecu.vin);
        let mut ids = vec![(c(&self.ecu.serial), c(&self.ecu.hardware_id))];
        if !self.ecu.secondary {
            let others = self.ecu.others.iter();
            ids.extend(others.map(|(serial, hardware)| (c(serial), c(hardware))));
        }
        let ecus: Vec<countersign_ecu_id> = ids.iter().map(|(s, h)| id(s, h)).collect();
        let vehicle = countersign_vehicle {
            vin: vin.as_ptr(),
            ecus: ecus.as_ptr(),
            ecus_count: ecus.len(),
            is_secondary: self.ecu.secondary,
        };
        let context = self.context(c"director", now);
        let name = self.offline.as_ref().map_or(null(), |name| name.as_ptr());
        let session = make(|out, error| unsafe {
            countersign_session_director(root, &vehicle, name, &context, out, error)
        })?;
        let folder = self.folder();
        self.ended(folder, session, |session, out, error| unsafe {
            countersign_session_take_director(session, out, error)
        })
    }

    fn resolve(
        &mut self,
        director: *mut countersign_director,
        trusted: *mut countersign_trusted,
    ) -> Result<*mut countersign_update, Refused> {
        let kept = self.own.installed.clone();
        let own = (c(&self.ecu.serial), c(&self.ecu.hardware_id));
        let installed: Vec<countersign_installed> =
            kept.iter().map(|kept| installed(&own, kept)).collect();
        let mapping = c(MAPPING);
        let session = make(|out, error| unsafe {
            let (data, len) = (installed.as_ptr(), installed.len());
            let mapping = mapping.as_ptr();
            countersign_session_resolve(director, trusted, mapping, data, len, out, error)
        })?;
        self.ended("image/metadata/", session, |session, out, error| unsafe {
            countersign_session_take_update(session, out, error)
        })
    }

    fn in_part(&mut self, root: *mut countersign_root, now: i64) -> Result<(), Refused> {
        let (vin, serial) = (c(&self.ecu.vin), c(&self.ecu.serial));
        let hardware = c(&self.ecu.hardware_id);
        let ecu = id(&serial, &hardware);
        let context = self.context(c"director", now);
        let name = self.offline.as_ref().map_or(null(), |name| name.as_ptr());
        let session = make(|out, error| unsafe {
            countersign_session_partial(root, vin.as_ptr(), &ecu, name, &context, out, error)
        })?;
        let folder = self.folder();
        let update = self.ended(folder, session, |session, out, error| unsafe {
            countersign_session_take_update(session, out, error)
        })?;
        let found = images(update)?;
        for directed in &found {
            content_name(directed)?;
        }
        self.own.found = found;
        Ok(())
    }

    fn folder(&self) -> &'static str {
        match self.offline {
            Some(_) => "director/offline/",
            None => "director/metadata/",
        }
    }

    /// Drives a session to its end, and takes its result.
    fn ended<H>(
        &mut self,
        folder: &'static str,
        session: *mut countersign_session,
        take: impl FnOnce(
            *mut countersign_session,
            *mut *mut H,
            *mut *mut countersign_error,
        ) -> countersign_status,
    ) -> Result<*mut H, Refused> {
        let (store, prefix) = match folder.starts_with("director/") {
            true => (&mut self.own.director, "director/"),
            false => (&mut self.own.image, "image/"),
        };
        let mut line = Line {
            store,
            source: self.source,
            folder,
            prefix,
            requests: &mut self.requests,
        };
        let outcome = line.drive(session);
        let taken = outcome.and_then(|()| make(|out, error| take(session, out, error)));
        unsafe { countersign_session_free(session) };
        taken
    }

    fn context(&self, repository: &'static std::ffi::CStr, now: i64) -> countersign_context {
        countersign_context {
            now,
            repository: repository.as_ptr(),
            limits: countersign_limits::default(),
        }
    }

    fn time(
        &mut self,
        root: *mut countersign_root,
        attestation: Option<&str>,
    ) -> Result<i64, Refused> {
        let attestation = attestation.map(|file| self.vector.file(file).to_vec());
        let nonce = self.own.nonce.take().unwrap_or([0; 16]);
        let (mut now, mut attested) = (0, false);
        let floor = &mut self.own.floor;
        let judged = call(|error| unsafe {
            if self.offline.is_some() && attestation.is_none() {
                return countersign_root_latest_attested(
                    root,
                    floor,
                    &mut now,
                    &mut attested,
                    error,
                );
            }
            let (data, len) = match &attestation {
                Some(bytes) => (bytes.as_ptr(), bytes.len()),
                None => (null(), 0),
            };
            let nonce = nonce.as_ptr();
            countersign_root_attested_time(
                root,
                data,
                len,
                nonce,
                floor,
                &mut now,
                &mut attested,
                error,
            )
        });
        judged.map_err(|mut refused| {
            refused.refusal.repository = Some("director".into());
            refused
        })?;
        Ok(if attested { now } else { self.now })
    }

    fn download(&mut self, directed: &Directed, now: i64) -> Result<(), Refused> {
        let name = content_name(directed)?;
        let path = match (&self.offline, origin(directed)?) {
            (Some(_), _) => format!("images/{name}"),
            (None, (countersign_origin_kind::COUNTERSIGN_ORIGIN_IMAGE, path)) => {
                format!("image/targets/{path}")
            }
            (None, (countersign_origin_kind::COUNTERSIGN_ORIGIN_DIRECTOR, path)) => {
                format!("director/targets/{path}")
            }
            (None, (countersign_origin_kind::COUNTERSIGN_ORIGIN_URI, uri)) => uri,
            (None, (countersign_origin_kind::COUNTERSIGN_ORIGIN_NONE, _)) => panic!("no origin"),
        };
        let bytes = match self.source.get(&path) {
            Answer::Found(bytes) => bytes,
            Answer::Status(403 | 404 | 410) => return Err(own_refusal("image-missing", "", "")),
            Answer::Status(_) => return Err(own_refusal("fetch-failed", "", "")),
        };
        let image = make(|out, error| unsafe {
            countersign_directed_open_download(directed.0, now, out, error)
        })?;
        pour(image, &bytes, 5)?;
        self.own.downloads.insert(name, bytes);
        Ok(())
    }

    fn install(&mut self, install: &Install) -> Result<(), Refused> {
        let own = |directed: &&Directed| unsafe {
            text(countersign_directed_ecu_serial(directed.0)) == self.ecu.serial
        };
        let Some(directed) = self.own.found.iter().find(own) else {
            return Ok(());
        };
        let given = install.image.as_deref();
        let given = given.map(|file| self.vector.file(file).to_vec());
        let downloaded = self.own.downloads.get(&content_name(directed)?).cloned();
        let bytes = given
            .or(downloaded)
            .ok_or_else(|| own_refusal("image-missing", "", "image"))?;
        let names = (c(&self.ecu.serial), c(&self.ecu.hardware_id));
        let ecu = id(&names.0, &names.1);
        let last = self
            .own
            .installed
            .as_ref()
            .map(|kept| installed(&names, kept));
        let last = last.as_ref().map_or(null(), std::ptr::from_ref);
        let encrypted = unsafe { countersign_directed_is_encrypted(directed.0) };
        let plain = match encrypted {
            false => {
                let image = make(|out, error| unsafe {
                    countersign_directed_open_image(directed.0, &ecu, last, self.now, out, error)
                })?;
                pour(image, &bytes, 7)?;
                bytes
            }
            true => self.decrypt(directed, &ecu, last, &bytes)?,
        };
        self.own.runs = Some(sha256_hex(&plain));
        self.own.installed = Some(kept(directed));
        Ok(())
    }

    fn decrypt(
        &self,
        directed: &Directed,
        ecu: &countersign_ecu_id,
        last: *const countersign_installed,
        bytes: &[u8],
    ) -> Result<Vec<u8>, Refused> {
        let none = || own_refusal("precondition-failed", "targets", "");
        let name = self.ecu.decryption_key.as_deref().ok_or_else(none)?;
        let key = decryption::open(name).map_err(|_| none())?;
        let public = countersign_metadata::canonical::encode(&key.public_key().to_value());
        let public = c(&public);
        let mut plain: Vec<u8> = Vec::new();
        let decryption = countersign_decryption {
            user: std::ptr::from_ref(&key).cast_mut().cast(),
            public_key: public.as_ptr(),
            agree: Some(agree),
        };
        let sink = collecting(&mut plain);
        let image = make(|out, error| unsafe {
            let (key, sink) = (&decryption, &sink);
            countersign_directed_open_encrypted(
                directed.0, ecu, last, self.now, key, sink, out, error,
            )
        })?;
        pour(image, bytes, 1000)?;
        Ok(plain)
    }
}

unsafe extern "C-unwind" fn agree(
    user: *mut c_void,
    peer: *const u8,
    peer_len: usize,
    shared: *mut u8,
) -> i32 {
    // SAFETY: `user` is the key that `decrypt` has given; the rest is the library's.
    unsafe {
        let key = &*user.cast::<countersign_ecu_keys::ImageKey>();
        let peer = std::slice::from_raw_parts(peer, peer_len);
        let peer = match <[u8; 32]>::try_from(peer) {
            Ok(peer) => EncryptionKey::x25519(peer),
            Err(_) => match EncryptionKey::p256(peer) {
                Ok(peer) => peer,
                Err(_) => return 1,
            },
        };
        match key.agree(&peer) {
            Ok(secret) => {
                std::ptr::copy_nonoverlapping(secret.as_ptr(), shared, 32);
                0
            }
            Err(_) => 2,
        }
    }
}

fn ecu_of(vector: &Vector) -> &format::Ecu {
    vector.case.ecu.as_ref().expect("a case of an ECU")
}

fn id(serial: &CString, hardware: &CString) -> countersign_ecu_id {
    countersign_ecu_id {
        serial: serial.as_ptr(),
        hardware_id: hardware.as_ptr(),
    }
}

fn installed(own: &(CString, CString), kept: &Kept) -> countersign_installed {
    countersign_installed {
        ecu: id(&own.0, &own.1),
        path: kept.path.as_ptr(),
        release_counter: kept.release_counter,
        length: kept.length,
        sha256: kept.sha256.as_ref().map_or(null(), |hash| hash.as_ptr()),
        sha512: kept.sha512.as_ref().map_or(null(), |hash| hash.as_ptr()),
    }
}

fn kept(directed: &Directed) -> Kept {
    unsafe fn digest<const N: usize>(bytes: *const u8) -> Option<[u8; N]> {
        // SAFETY: NULL or N bytes that live as long as the handle.
        (!bytes.is_null()).then(|| unsafe { *bytes.cast::<[u8; N]>() })
    }
    unsafe {
        Kept {
            path: c(&text(countersign_directed_path(directed.0))),
            release_counter: countersign_directed_release_counter(directed.0),
            length: countersign_directed_length(directed.0),
            sha256: digest(countersign_directed_sha256(directed.0)),
            sha512: digest(countersign_directed_sha512(directed.0)),
        }
    }
}

/// The images of an update, which is freed.
fn images(update: *mut countersign_update) -> Result<Vec<Directed>, Refused> {
    let count = unsafe { countersign_update_count(update) };
    let image = |index| {
        let made =
            make(|out, error| unsafe { countersign_update_image(update, index, out, error) });
        made.map(Directed)
    };
    let images = (0..count).map(image).collect();
    unsafe { countersign_update_free(update) };
    images
}

fn content_name(directed: &Directed) -> Result<String, Refused> {
    let name = unsafe { countersign_directed_content_name(directed.0) };
    match name.is_null() {
        false => Ok(text(name)),
        true => origin(directed).map(|_| String::new()),
    }
}

fn origin(directed: &Directed) -> Result<(countersign_origin_kind, String), Refused> {
    let mut origin = countersign_origin {
        kind: countersign_origin_kind::COUNTERSIGN_ORIGIN_IMAGE,
        text: null_mut(),
    };
    call(|error| unsafe { countersign_directed_origin(directed.0, &mut origin, error) })?;
    Ok((origin.kind, text(origin.text)))
}

fn assigned(directed: &Directed) -> Assigned {
    unsafe {
        Assigned {
            ecu: text(countersign_directed_ecu_serial(directed.0)),
            path: text(countersign_directed_path(directed.0)),
            release_counter: countersign_directed_release_counter(directed.0),
            encrypted: countersign_directed_is_encrypted(directed.0),
        }
    }
}
