//! Making a CA, and taking in the certificate that another one gave it.

use std::fs::DirBuilder;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};

use countersign_metadata::UtcTime;
use countersign_repo::keys;
use countersign_repo::policy::Span;
use countersign_signing::{Algorithm, KeyUri, Secrets, SignError, Weakness};
use rcgen::PublicKeyData as _;

use crate::{CeremonyError, crash};

use super::authority::CaSummary;
use super::ca_certificate::{CaCertificate, read_certificate};
use super::ca_key::{CaKey, encode};
use super::error::PkiError;
use super::files::{self, Durable};
use super::index::Index;
use super::profile::{self, Validity};
use super::record::{Record, Serial};
use super::settings::{
    CERTIFICATE, CustodyPolicy, INDEX, SETTINGS, Settings, check_custody, lock, read_settings,
    write_settings,
};
use super::{limits, x509};

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
    check_before_making(order)?;
    let mut builder = DirBuilder::new();
    builder.recursive(true).mode(0o700);
    let created = builder.create(folder);
    created.map_err(|source| CeremonyError::io("create", folder, source))?;
    let _lock = lock(folder)?;
    check_unused(folder)?;
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
    // Before the settings: a CA that has them and no index has lost it.
    let ca = x509::key_hash(&settings.public);
    let mut index = Index::create(&folder.join(INDEX), ca, now)?;
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

/// Without settings, an index is what an `init` left that was cut off, or that of a CA that lost
/// them.
fn check_unused(folder: &Path) -> Result<(), CeremonyError> {
    let index = folder.join(INDEX);
    if index.symlink_metadata().is_err() || Index::view(&index)?.is_unused() {
        return Ok(());
    }
    Err(PkiError::Settings {
        path: folder.join(SETTINGS),
        what: "it is missing, although this CA has issued certificates".into(),
    }
    .into())
}

/// What can be seen to be refused before a key is made.
fn check_before_making(order: &CaOrder<'_>) -> Result<(), CeremonyError> {
    let uri: KeyUri = order.key.parse().map_err(SignError::Uri)?;
    if let Some(algorithm @ Algorithm::Rsa(_)) = order.generate {
        return Err(PkiError::CaKeyKind(algorithm.to_string()).into());
    }
    match (order.custody, uri) {
        (CustodyPolicy::Token, KeyUri::File(_)) => Err(PkiError::WeakCustody {
            home: "a file".into(),
            weaknesses: vec![Weakness::InFile],
        }
        .into()),
        _ => Ok(()),
    }
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
