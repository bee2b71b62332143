//! What is in a device.

use yubihsm::object::{Info, Origin};

use super::device::Device;
use super::key::{self, Key, MAX_KEYS};
use crate::custody::{Custody, Home};
use crate::error::SignError;
use crate::inventory::{ListedKey, Listing, LogIn};
use crate::secrets::Secrets;
use crate::uri::{KeyUri, YubiHsmUri};

pub(crate) fn inventory(
    uri: &YubiHsmUri,
    log_in: LogIn,
    secrets: &Secrets,
) -> Result<Vec<Listing>, SignError> {
    let listing = |home, keys| Listing {
        home,
        manufacturer: "Yubico".into(),
        slot: None,
        logged_in: log_in == LogIn::Yes,
        problem: None,
        keys,
    };
    if log_in == LogIn::No {
        let serial = uri.serial.clone().unwrap_or_else(|| "unknown".into());
        let problem = format!(
            "a YubiHSM shows nothing without a login; the one behind {} was not asked",
            uri.connector
        );
        return Ok(vec![Listing {
            problem: Some(problem),
            ..listing(Home::YubiHsm { serial }, Vec::new())
        }]);
    }
    let device = Device::open(uri, secrets)?;
    let home = device.home()?;
    let mut keys = Vec::new();
    for info in key::list(&device, MAX_KEYS)? {
        keys.push(listed(&device, uri, &home, &info)?);
    }
    keys.sort_by(|a, b| (&a.label, &a.id).cmp(&(&b.label, &b.id)));
    Ok(vec![listing(home, keys)])
}

fn listed(
    device: &Device,
    uri: &YubiHsmUri,
    home: &Home,
    info: &Info,
) -> Result<ListedKey, SignError> {
    let (public, unusable) = match Key::inspect(device, info, true) {
        Ok(key) => (Some(key.public), None),
        Err(SignError::WrongKey { problem, .. }) => (None, Some(problem)),
        Err(error) => return Err(error),
    };
    let own = YubiHsmUri {
        id: info.object_id,
        label: None,
        password_file: None,
        allow_extractable: false,
        allow_default_password: false,
        ..uri.clone()
    };
    Ok(ListedKey {
        label: key::label(info),
        id: info.object_id.to_be_bytes().to_vec(),
        kind: key::kind(info),
        public,
        custody: Some(Custody {
            home: home.clone(),
            extractable: Some(key::extractable(info)),
            sensitive: Some(true),
            made_inside: Some(info.origin == Origin::Generated),
        }),
        uri: KeyUri::YubiHsm(own).to_string(),
        unusable,
    })
}
