//! The keys that `repo.toml` names, opened as far as signing needs them.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::sync::Arc;

use countersign_metadata::PublicKey;
use countersign_signing::{KeyUri, Secrets, SignError, Signer};

use crate::error::RepoError;
use crate::files;
use crate::home::Home;
use crate::keys::{KeyJson, check_entry, is_uri, key_error, parse_uri, read_public};

/// The keys that `repo.toml` names.
#[derive(Debug)]
pub(crate) struct KeyRing {
    secrets: Secrets,
    /// Public halves by URI, so that a token is only opened to sign.
    known: BTreeMap<String, KeyJson>,
    /// Keys that are open for one run of signing: a thousand bins are one passphrase.
    open: RefCell<BTreeMap<String, Arc<dyn Signer>>>,
}

/// A key that a file needs, seen from here.
pub(crate) enum Availability {
    /// It can sign.
    Here(Arc<dyn Signer>),
    /// It is named here but cannot be reached now.
    NotNow(String),
}

impl KeyRing {
    pub(crate) fn load(home: &Home, secrets: Secrets) -> Result<Self, RepoError> {
        let path = home.state().join("keys.json");
        let known = match files::read(&path)? {
            // It can be made again from the keys, so damage is no more than forgetting.
            Some(text) => serde_json::from_slice(&text).unwrap_or_default(),
            None => BTreeMap::new(),
        };
        Ok(Self {
            secrets,
            known,
            open: RefCell::default(),
        })
    }

    fn remember(&mut self, home: &Home, uri: &KeyUri, key: &PublicKey) -> Result<(), RepoError> {
        let entry = KeyJson::new(key);
        if self.known.get(&uri.to_string()) == Some(&entry) {
            return Ok(());
        }
        self.known.insert(uri.to_string(), entry);
        let text = serde_json::to_vec_pretty(&self.known).unwrap_or_default();
        home.write(&home.state().join("keys.json"), &text)
    }

    /// The key of an entry, from the key itself.
    pub(crate) fn resolve(&mut self, home: &Home, entry: &str) -> Result<PublicKey, RepoError> {
        check_entry(entry)?;
        if !is_uri(entry) {
            return read_public(&home.folder().join(entry));
        }
        let uri = parse_uri(entry)?;
        let key = countersign_signing::public_key(&uri, &self.secrets).map_err(|source| {
            RepoError::Key {
                uri: uri.to_string(),
                source,
            }
        })?;
        self.remember(home, &uri, &key)?;
        Ok(key)
    }

    /// The key of an entry as far as it is known without opening it.
    pub(crate) fn recall(&self, home: &Home, entry: &str) -> Option<PublicKey> {
        if !is_uri(entry) {
            return read_public(&home.folder().join(entry)).ok();
        }
        let uri = parse_uri(entry).ok()?;
        self.known.get(&uri.to_string())?.public()
    }

    /// Opens a key that somebody named, and learns its public half.
    pub(crate) fn open_named(&mut self, home: &Home, text: &str) -> Result<PublicKey, RepoError> {
        let uri = parse_uri(text)?;
        let key = self.signer(&uri)?.public_key().clone();
        self.remember(home, &uri, &key)?;
        Ok(key)
    }

    /// Opens the URI for signing with `key`.
    pub(crate) fn open(&self, uri: &KeyUri, key: &PublicKey) -> Result<Availability, RepoError> {
        match self.signer(uri) {
            Ok(signer) => Ok(here(uri, signer, key)),
            Err(error) if error.is_absent_key() => Ok(Availability::NotNow(error.to_string())),
            Err(error) => Err(error),
        }
    }

    /// The open key of a URI.
    fn signer(&self, uri: &KeyUri) -> Result<Arc<dyn Signer>, RepoError> {
        let name = uri.to_string();
        if let Some(signer) = self.open.borrow().get(&name) {
            return Ok(Arc::clone(signer));
        }
        let signer = countersign_signing::open(uri, &self.secrets)
            .map_err(|source| key_error(&name, source))?;
        let signer: Arc<dyn Signer> = Arc::from(signer);
        self.open.borrow_mut().insert(name, Arc::clone(&signer));
        Ok(signer)
    }

    /// Forgets the private keys that are open.
    pub(crate) fn close(&mut self) {
        self.open.borrow_mut().clear();
    }
}

fn here(uri: &KeyUri, signer: Arc<dyn Signer>, key: &PublicKey) -> Availability {
    match signer.public_key() == key {
        true => Availability::Here(signer),
        false => Availability::NotNow(format!(
            "{uri} now names another key than the one it was added as"
        )),
    }
}

impl RepoError {
    /// Whether a key is merely not there now, as a token that somebody else holds. Everything
    /// else, a wrong PIN first of all, is a fault that somebody has to hear of.
    pub(crate) fn is_absent_key(&self) -> bool {
        let Self::Key { source, .. } = self else {
            return false;
        };
        match source {
            SignError::Io { source, .. } => source.kind() == std::io::ErrorKind::NotFound,
            SignError::NoPassphrase { .. }
            | SignError::NoModule { .. }
            | SignError::NoToken { .. }
            | SignError::NoPin { .. }
            | SignError::NoKey { .. } => true,
            _ => false,
        }
    }
}
