//! A certification authority: its folder, its key, its certificate.
//!
//! ```text
//! ca.json      which key it has, and in whose custody
//! ca.pem       its certificate
//! index.jsonl  everything it signed; only grows
//! lock         held by the process that works on it
//! ```

use std::fs::{self, DirBuilder, File, TryLockError};
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};

use countersign_metadata::UtcTime;
use countersign_repo::keys;
use countersign_repo::policy::Span;
use countersign_signing::{Algorithm, Home, Secrets};
use rcgen::{Issuer, KeyPair, PublicKeyData as _};
use serde::{Deserialize, Serialize};
use x509_parser::certificate::X509Certificate;

use crate::{CeremonyError, crash};

use super::ca_key::{CaKey, encode};
use super::error::PkiError;
use super::files::{self, Durable};
use super::index::{Entry, Filter, Index};
use super::profile::{self, Validity};
use super::record::{Record, Serial, hexadecimal, utc};
use super::{limits, x509};

const SETTINGS: &str = "ca.json";
const CERTIFICATE: &str = "ca.pem";
const INDEX: &str = "index.jsonl";
const LOCK: &str = "lock";

/// What a CA key must be in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum CustodyPolicy {
    /// A token or HSM that made it and that does not let it out.
    Token,
    /// Anything: for trials, or where something else keeps the key from being copied.
    Accepted,
}

/// Who certifies the CA itself.
#[derive(Debug, Clone)]
pub enum Certifier {
    /// It does: a root, valid for this long.
    Itself(Span),
    /// Another CA, through a request that is written to this file.
    Another(PathBuf),
}

/// What to make a CA from.
#[derive(Debug, Clone)]
pub struct CaOrder<'a> {
    /// Where it will live.
    pub folder: &'a Path,
    /// A key URI.
    pub key: &'a str,
    /// Make the key if it does not exist.
    pub generate: Option<Algorithm>,
    /// Its common name.
    pub name: &'a str,
    /// Its organisation.
    pub organization: Option<&'a str>,
    /// Who certifies it.
    pub certifier: Certifier,
    /// Where its key must be.
    pub custody: CustodyPolicy,
}

/// What a CA is.
#[derive(Debug, Clone)]
pub struct CaSummary {
    /// Its distinguished name.
    pub name: String,
    /// What holds its key.
    pub home: Option<Home>,
    /// SHA-256 of its certificate, in hexadecimal; `None` while it waits for one.
    pub fingerprint: Option<String>,
    /// First and last second; `None` while it waits for a certificate.
    pub validity: Option<(UtcTime, UtcTime)>,
}

/// A CA that is ready to work.
#[derive(Debug)]
pub struct Authority {
    settings: Settings,
    pub(crate) certificate: CaCertificate,
    pub(crate) index: Index,
    /// None when only looked at.
    _lock: Option<File>,
}

/// `ca.json`
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Settings {
    /// The version of this file.
    format: u32,
    /// A key URI.
    key: String,
    custody: CustodyPolicy,
    /// The SubjectPublicKeyInfo.
    #[serde(with = "hexadecimal")]
    public: Vec<u8>,
    #[serde(with = "utc")]
    made: UtcTime,
}

/// The certificate of a CA, checked to be one.
#[derive(Debug, Clone)]
pub(crate) struct CaCertificate {
    der: Vec<u8>,
    pub(crate) validity: Validity,
    pub(crate) key_id: Vec<u8>,
}

/// Makes a CA.
///
/// # Errors
/// [`PkiError::CaExists`], [`PkiError::CaName`], [`PkiError::CaKeyKind`],
/// [`PkiError::WeakCustody`], and what the key's home says.
pub fn init(
    order: &CaOrder<'_>,
    now: UtcTime,
    secrets: &Secrets,
) -> Result<CaSummary, CeremonyError> {
    let folder = order.folder;
    if folder.join(SETTINGS).symlink_metadata().is_ok() {
        return Err(PkiError::CaExists(folder.into()).into());
    }
    let mut params = profile::ca(order.name, order.organization)?;
    if let Certifier::Another(request) = &order.certifier {
        files::check_folder_of(request)?;
    }
    let mut builder = DirBuilder::new();
    builder.recursive(true).mode(0o700);
    let created = builder.create(folder);
    created.map_err(|source| CeremonyError::io("create", folder, source))?;
    let _lock = lock(folder)?;
    // Without settings, certificates in the index are those of a CA that lost them.
    let mut index = Index::open(&folder.join(INDEX))?;
    if !index.entries().is_empty() {
        return Err(PkiError::Settings {
            path: folder.join(SETTINGS),
            what: "it is missing, although this CA has issued certificates".into(),
        }
        .into());
    }
    if let Some(algorithm) = order.generate {
        keys::ensure(order.key, algorithm, secrets)?;
    }
    let key = CaKey::open(order.key, secrets)?;
    check_custody(&key, order.custody)?;
    let settings = Settings {
        format: 1,
        key: order.key.into(),
        custody: order.custody,
        public: key.subject_public_key_info(),
        made: now,
    };
    let mut summary = CaSummary {
        name: order.name.into(),
        home: Some(key.signer().custody().home),
        fingerprint: None,
        validity: None,
    };
    match &order.certifier {
        Certifier::Itself(span) => {
            let serial = Serial::random()?;
            index.append(vec![Record::Reserved {
                at: now,
                serials: vec![serial],
            }])?;
            profile::issued(&mut params, serial, Validity::starting(now, *span, None));
            let certificate = key.run(|key| params.self_signed(key))?;
            let path = folder.join(CERTIFICATE);
            let checked = CaCertificate::new(certificate.der(), &path, &settings.public)?;
            files::replace(&path, certificate.pem().as_bytes(), Durable::Now)?;
            summary.read(&checked)?;
        }
        Certifier::Another(request) => {
            let signed = key.run(|key| params.serialize_request(key))?;
            let pem = signed.pem().map_err(|error| encode(&error))?;
            files::write_new(request, pem.as_bytes())?;
        }
    }
    crash::point();
    // The last step: a CA without settings is none, and is made anew.
    write_settings(folder, &settings)?;
    Ok(summary)
}

/// Takes in the certificate that another CA issued, or a newer one with the same key and names.
///
/// # Errors
/// [`PkiError::CaCertificate`] if it cannot be that of this CA.
pub fn adopt(folder: &Path, file: &Path, now: UtcTime) -> Result<CaSummary, CeremonyError> {
    let settings = read_settings(folder)?;
    let _lock = lock(folder)?;
    let bytes = files::read(file, limits::FILE, "a certificate")?;
    let fail = |why: &str| PkiError::CaCertificate {
        path: file.into(),
        why: why.into(),
    };
    if bytes.first() == Some(&0x30) {
        return Err(
            fail("it is DER; convert it with: openssl x509 -inform DER -in FILE -out NEW").into(),
        );
    }
    let der = x509::der(&bytes, x509::CERTIFICATE).map_err(|why| fail(&why))?;
    let new = CaCertificate::new(&der, file, &settings.public)?;
    if !new.validity.contains(now) {
        return Err(fail("it is not valid now").into());
    }
    let current = folder.join(CERTIFICATE);
    if current.symlink_metadata().is_ok() {
        let old = read_certificate(folder, &settings)?;
        let same = old.parse()?.subject().as_raw() == new.parse()?.subject().as_raw();
        if !same || old.key_id != new.key_id {
            return Err(fail(
                "its subject or its key identifier differ from those of the certificate in use, \
                 so what was issued so far would not lead to it",
            )
            .into());
        }
    }
    files::replace(&current, &bytes, Durable::Now)?;
    let mut summary = CaSummary {
        name: String::new(),
        home: None,
        fingerprint: None,
        validity: None,
    };
    summary.read(&new)?;
    Ok(summary)
}

impl Authority {
    /// Opens a CA to work with it, and keeps others out.
    ///
    /// # Errors
    /// [`PkiError::NoCa`], [`PkiError::NotAdopted`], [`PkiError::Locked`], [`PkiError::Index`]
    pub fn open(folder: &Path) -> Result<Self, CeremonyError> {
        let settings = read_settings(folder)?;
        let lock = lock(folder)?;
        let index = Index::open(&folder.join(INDEX))?;
        Self::with(folder, settings, index, Some(lock))
    }

    /// Opens a CA to look at it, whoever works with it.
    ///
    /// # Errors
    /// As [`Authority::open`].
    pub fn view(folder: &Path) -> Result<Self, CeremonyError> {
        let settings = read_settings(folder)?;
        let index = Index::view(&folder.join(INDEX))?;
        Self::with(folder, settings, index, None)
    }

    fn with(
        folder: &Path,
        settings: Settings,
        index: Index,
        lock: Option<File>,
    ) -> Result<Self, CeremonyError> {
        Ok(Self {
            certificate: read_certificate(folder, &settings)?,
            settings,
            index,
            _lock: lock,
        })
    }

    /// What this CA is.
    ///
    /// # Errors
    /// None that [`Authority::open`] has not found before.
    pub fn summary(&self) -> Result<CaSummary, CeremonyError> {
        let mut summary = CaSummary {
            name: String::new(),
            home: None,
            fingerprint: None,
            validity: None,
        };
        summary.read(&self.certificate)?;
        Ok(summary)
    }

    /// The certificates that `filter` takes, in the order of their issue.
    pub fn list(&self, filter: &Filter, now: UtcTime) -> Vec<&Entry> {
        let entries = self.index.entries().iter();
        entries.filter(|entry| filter.takes(entry, now)).collect()
    }

    /// Writes one certificate to a new file.
    ///
    /// # Errors
    /// [`PkiError::Unknown`], and that another file is there.
    pub fn export(&self, serial: Serial, path: &Path) -> Result<(), CeremonyError> {
        let (_, pem) = self.find(serial)?;
        files::write_new(path, pem.as_bytes())
    }

    /// One certificate and its PEM text.
    ///
    /// # Errors
    /// [`PkiError::Unknown`]
    pub fn find(&self, serial: Serial) -> Result<(&Entry, String), CeremonyError> {
        let entry = self.index.get(serial);
        let entry = entry.ok_or_else(|| PkiError::Unknown(format!("certificate {serial}")))?;
        Ok((entry, self.index.certificate(entry)?))
    }

    /// Opens the key, which has to be the one of this CA, in the custody that was agreed on.
    pub(crate) fn unlock(&self, secrets: &Secrets) -> Result<CaKey, CeremonyError> {
        let key = CaKey::open(&self.settings.key, secrets)?;
        if key.subject_public_key_info() != self.settings.public {
            let uri = keys::redact(&self.settings.key);
            return Err(PkiError::CaKeyOther(uri).into());
        }
        check_custody(&key, self.settings.custody)?;
        Ok(key)
    }

    /// Whether the clock can be right, and the CA is valid by it.
    pub(crate) fn check_clock(&self, now: UtcTime) -> Result<(), PkiError> {
        if let Some(latest) = self.index.latest()
            && now.unix().saturating_add(limits::CLOCK_BEHIND) < latest.unix()
        {
            return Err(PkiError::Clock { now, latest });
        }
        let Validity {
            not_before,
            not_after,
        } = self.certificate.validity;
        match self.certificate.validity.contains(now) {
            true => Ok(()),
            false => Err(PkiError::CaNotValid {
                not_before,
                not_after,
                now,
            }),
        }
    }

    /// The SubjectPublicKeyInfo of the CA.
    pub(crate) fn public(&self) -> &[u8] {
        &self.settings.public
    }
}

impl CaCertificate {
    fn new(der: &[u8], path: &Path, public: &[u8]) -> Result<Self, PkiError> {
        let fail = |why: String| PkiError::CaCertificate {
            path: path.into(),
            why,
        };
        let parsed = x509::certificate(der).map_err(fail)?;
        if parsed.public_key().raw != public {
            return Err(fail("it is for another key".into()));
        }
        let constraints = parsed.basic_constraints().ok().flatten();
        if !constraints.is_some_and(|found| found.value.ca) {
            return Err(fail("it is not a CA certificate".into()));
        }
        let usage = parsed.key_usage().ok().flatten();
        let may_sign =
            |usage: &x509_parser::extensions::KeyUsage| usage.key_cert_sign() && usage.crl_sign();
        if !usage.is_some_and(|found| may_sign(found.value)) {
            return Err(fail("its key usage is not keyCertSign and cRLSign".into()));
        }
        let key_id = x509::subject_key_id(&parsed);
        let key_id = key_id.ok_or_else(|| fail("it has no subject key identifier".into()))?;
        if parsed.subject() == parsed.issuer() && parsed.verify_signature(None).is_err() {
            return Err(fail("its signature does not hold".into()));
        }
        if !writes_its_name(&parsed).map_err(|error| fail(error.to_string()))? {
            return Err(fail(
                "its subject has a form that cannot be repeated exactly as an issuer; have it \
                 certified with the subject of the request"
                    .into(),
            ));
        }
        Ok(Self {
            validity: Validity {
                not_before: x509::time(parsed.validity().not_before).map_err(fail)?,
                not_after: x509::time(parsed.validity().not_after).map_err(fail)?,
            },
            key_id: key_id.to_vec(),
            der: der.to_vec(),
        })
    }

    pub(crate) fn parse(&self) -> Result<X509Certificate<'_>, PkiError> {
        x509::certificate(&self.der).map_err(PkiError::Encode)
    }

    /// As the issuer of what `key` signs.
    pub(crate) fn issuer<'k>(
        &self,
        key: &'k CaKey,
    ) -> Result<Issuer<'static, &'k CaKey>, PkiError> {
        Issuer::from_ca_cert_der(&self.der.as_slice().into(), key).map_err(|error| encode(&error))
    }
}

impl CaSummary {
    fn read(&mut self, certificate: &CaCertificate) -> Result<(), PkiError> {
        let validity = certificate.validity;
        self.name = certificate.parse()?.subject().to_string();
        let digest = countersign_metadata::sha256(&certificate.der);
        self.fingerprint = Some(hex::encode(digest));
        self.validity = Some((validity.not_before, validity.not_after));
        Ok(())
    }
}

/// Whether rcgen, which takes names apart, puts this one together again byte for byte: verifiers
/// compare issuer and subject so. Tried with a key that is forgotten at once.
fn writes_its_name(certificate: &X509Certificate<'_>) -> Result<bool, rcgen::Error> {
    let key = KeyPair::generate()?;
    let der = certificate.as_raw().into();
    let issuer = Issuer::from_ca_cert_der(&der, &key)?;
    let trial = rcgen::CertificateParams::default().signed_by(&key, &issuer)?;
    let trial = x509::certificate(trial.der());
    // A certificate without extensions is version 3 all the same.
    Ok(trial.is_ok_and(|trial| trial.issuer().as_raw() == certificate.subject().as_raw()))
}

fn check_custody(key: &CaKey, policy: CustodyPolicy) -> Result<(), PkiError> {
    let custody = key.signer().custody();
    let weaknesses = custody.weaknesses();
    match policy {
        CustodyPolicy::Token if !weaknesses.is_empty() => Err(PkiError::WeakCustody {
            home: custody.home.to_string(),
            weaknesses,
        }),
        _ => Ok(()),
    }
}

fn lock(folder: &Path) -> Result<File, CeremonyError> {
    let path = folder.join(LOCK);
    let mut options = File::options();
    let file = options.create(true).truncate(false).write(true).open(&path);
    let file = file.map_err(|source| CeremonyError::io("open", &path, source))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(PkiError::Locked(folder.into()).into()),
        Err(TryLockError::Error(source)) => Err(CeremonyError::io("lock", &path, source)),
    }
}

fn read_settings(folder: &Path) -> Result<Settings, CeremonyError> {
    let path = folder.join(SETTINGS);
    if path.symlink_metadata().is_err() {
        return Err(PkiError::NoCa(folder.into()).into());
    }
    let bytes = files::read(&path, limits::FILE, "the settings of a CA")?;
    let fail = |what: String| PkiError::Settings {
        path: path.clone(),
        what,
    };
    let settings: Settings =
        serde_json::from_slice(&bytes).map_err(|error| fail(error.to_string()))?;
    match settings.format {
        1 => Ok(settings),
        other => Err(fail(format!("its format {other} is not known to this version")).into()),
    }
}

fn write_settings(folder: &Path, settings: &Settings) -> Result<(), CeremonyError> {
    let mut text =
        serde_json::to_vec_pretty(settings).map_err(|error| PkiError::Encode(error.to_string()))?;
    text.push(b'\n');
    files::replace(&folder.join(SETTINGS), &text, Durable::Now)
}

fn read_certificate(folder: &Path, settings: &Settings) -> Result<CaCertificate, CeremonyError> {
    let path = folder.join(CERTIFICATE);
    if fs::symlink_metadata(&path).is_err() {
        return Err(PkiError::NotAdopted(folder.into()).into());
    }
    let bytes = files::read(&path, limits::FILE, "a certificate")?;
    let der = x509::der(&bytes, x509::CERTIFICATE).map_err(|why| PkiError::CaCertificate {
        path: path.clone(),
        why,
    })?;
    Ok(CaCertificate::new(&der, &path, &settings.public)?)
}
