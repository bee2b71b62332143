//! A way for tests to put the `yubihsm` crate's mock in the place of a connector.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use yubihsm::connector::Connector;

static MOCKS: Mutex<BTreeMap<String, Connector>> = Mutex::new(BTreeMap::new());

/// From now on `connector=ADDRESS` in a key URI is this one.
pub fn install(address: impl Into<String>, connector: Connector) {
    let mut mocks = MOCKS.lock().unwrap_or_else(PoisonError::into_inner);
    mocks.insert(address.into(), connector);
}

pub(super) fn find(address: &str) -> Option<Connector> {
    let mocks = MOCKS.lock().unwrap_or_else(PoisonError::into_inner);
    mocks.get(address).cloned()
}
