//! Signatures that are random, kept so that the vectors can be made again to the byte.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;

use super::keys::{KeyError, TestKey};
use super::repo::sha256_hex;

/// Signatures by SHA-256 over key id and message. Cheap to clone; clones share their content.
#[derive(Debug, Clone, Default)]
pub struct SignatureCache {
    known: Rc<RefCell<BTreeMap<String, String>>>,
    used: Rc<RefCell<BTreeMap<String, String>>>,
}

impl SignatureCache {
    /// Reads what [`SignatureCache::to_text`] wrote. Lines of another shape are ignored: the
    /// signatures they may have held are made again.
    pub fn from_text(text: &str) -> Self {
        let lines = text.lines().filter_map(|line| line.split_once(' '));
        let known = lines.map(|(name, signature)| (name.into(), signature.into()));
        Self {
            known: Rc::new(RefCell::new(known.collect())),
            used: Rc::default(),
        }
    }

    /// The signatures that were used since, one on each line.
    pub fn to_text(&self) -> String {
        let used = self.used.borrow();
        let lines = used
            .iter()
            .map(|(name, signature)| format!("{name} {signature}\n"));
        lines.collect()
    }

    /// The signature of `key` over `message` in hexadecimal.
    ///
    /// # Errors
    /// [`KeyError`] when a new one is needed and cannot be made.
    pub fn sign(&self, key: &TestKey, message: &[u8]) -> Result<String, KeyError> {
        if key.is_deterministic() {
            return Ok(hex::encode(key.sign(message)?));
        }
        let name = sha256_hex(&[key.id().as_bytes(), message].concat());
        self.remember(&name, || Ok(hex::encode(key.sign(message)?)))
    }

    /// Something random under a name that says what it is: as it was made the first time.
    pub(super) fn remember<E>(
        &self,
        name: &str,
        make: impl FnOnce() -> Result<String, E>,
    ) -> Result<String, E> {
        let known = self.known.borrow().get(name).cloned();
        let made = match known {
            Some(made) => made,
            None => make()?,
        };
        self.known.borrow_mut().insert(name.into(), made.clone());
        self.used.borrow_mut().insert(name.into(), made.clone());
        Ok(made)
    }
}
