//! From what a role says to a served file, and everything that can be done wrong on the way.

use std::fmt;
use std::rc::Rc;

use countersign_metadata::{canonical, json};

use super::Json;
use super::keys::{KeyError, TestKey};
use super::signatures::SignatureCache;

type Edit<T> = Vec<Rc<dyn Fn(T) -> T>>;

/// What is done wrong with one file, in the order in which it happens.
#[derive(Clone, Default)]
pub(super) struct Wrongs {
    /// Changes of the content, before it is signed: what a thief of the keys does.
    forge: Edit<Json>,
    /// Changes of the text that is signed and published.
    pub(super) rewrite: Edit<String>,
    /// Other signers than the role's.
    signers: Option<Vec<String>>,
    /// Changes of the list of signatures.
    pub(super) signatures: Edit<Vec<Json>>,
    /// Changes of the whole file, which its parent does not know of: what a server can do.
    pub(super) tamper: Edit<Vec<u8>>,
    /// The file is not there.
    pub(super) missing: bool,
}

impl Wrongs {
    pub(super) fn forge(&mut self, edit: impl Fn(&mut Json) + 'static) {
        self.forge.push(Rc::new(move |mut signed| {
            edit(&mut signed);
            signed
        }));
    }

    pub(super) fn sign_with(&mut self, names: &[&str]) {
        self.signers = Some(names.iter().map(ToString::to_string).collect());
    }
}

impl fmt::Debug for Wrongs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Wrongs").finish_non_exhaustive()
    }
}

/// A file as its parent knows it, and as it is served.
pub(super) struct Document {
    pub(super) published: Vec<u8>,
    pub(super) served: Option<Vec<u8>>,
}

fn apply<T>(edits: &Edit<T>, start: T) -> T {
    edits.iter().fold(start, |value, edit| edit(value))
}

/// As [`apply`], where every edit has to change something: one that does not is looking for what is not there.
fn changed<T: PartialEq + Clone>(edits: &Edit<T>, start: T) -> Result<T, SimulateError> {
    edits.iter().try_fold(start, |value, edit| {
        let edited = edit(value.clone());
        match edited == value {
            true => Err(SimulateError::Unchanged),
            false => Ok(edited),
        }
    })
}

/// Why the simulator could not make a file: a mistake in the definition of a case.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SimulateError {
    /// A key.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// The content cannot be brought into canonical form.
    #[error(transparent)]
    Content(#[from] countersign_metadata::MetadataError),
    /// A path that is none.
    #[error(transparent)]
    Path(#[from] countersign_metadata::UnsafePath),
    /// A file that was to be changed is as it was.
    #[error("what was to be changed in a file is not in it")]
    Unchanged,
    /// A bundle cannot be written.
    #[error("bundle: {0}")]
    Bundle(#[from] std::io::Error),
    /// A content key cannot be wrapped.
    #[error(transparent)]
    Wrap(countersign_encryption::EncryptionError),
    /// A decryption key.
    #[error("decryption key: {0}")]
    Decryption(String),
}

impl Document {
    pub(super) fn make(
        signed: Json,
        honest_signers: &[String],
        wrongs: &Wrongs,
        cache: &SignatureCache,
    ) -> Result<Self, SimulateError> {
        let signed = apply(&wrongs.forge, signed);
        let payload = changed(&wrongs.rewrite, canonical_text(&signed)?)?;
        let signers = wrongs.signers.as_deref().unwrap_or(honest_signers);
        let mut signatures = Vec::new();
        for name in signers {
            let key: TestKey = name.parse()?;
            let signature = cache.sign(&key, payload.as_bytes())?;
            signatures.push(serde_json::json!({"keyid": key.id(), "sig": signature}));
        }
        let signatures = canonical_text(&Json::Array(apply(&wrongs.signatures, signatures)))?;
        let text = format!("{{\"signatures\":{signatures},\"signed\":{payload}}}");
        let published = canonical::to_json(&text).into_bytes();
        let served = changed(&wrongs.tamper, published.clone())?;
        Ok(Self {
            published,
            served: (!wrongs.missing).then_some(served),
        })
    }
}

pub(super) fn canonical_text(value: &Json) -> Result<String, SimulateError> {
    let text = value.to_string();
    Ok(canonical::encode(&json::parse(text.as_bytes())?))
}
