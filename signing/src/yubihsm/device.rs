//! A device behind its connector: logging in once per process, and sessions that come back.
//!
//! The connector is reached by plain HTTP. What goes through it is a session (SCP03) that both
//! ends authenticate and encrypt with keys out of the password.

use std::collections::BTreeMap;
use std::error::Error as _;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use yubihsm::client::{Error, ErrorKind};
use yubihsm::connector::{self, Connector, HttpConfig};
use yubihsm::device::ErrorKind as DeviceError;
use yubihsm::{Client, Credentials};
use zeroize::Zeroizing;

use super::YubiHsmError;
use crate::custody::Home;
use crate::error::SignError;
use crate::secrets::{Secret, Secrets, variables};
use crate::uri::YubiHsmUri;

/// The password of authentication key 1 in every new device.
const DEFAULT_PASSWORD: &str = "password";

/// Every device in use, by its connector and authentication key. A device has room for 16
/// sessions, so a process takes one for each.
static DEVICES: Mutex<BTreeMap<(String, u16), Arc<Device>>> = Mutex::new(BTreeMap::new());

pub(super) struct Device {
    connector: String,
    authkey: u16,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    client: Option<Client>,
    /// Those that the device took, for the next session: one ends after 30 seconds of silence.
    credentials: Option<Credentials>,
    /// The password that the device refused last, which is not tried again.
    refused: Option<Zeroizing<String>>,
    /// What the device said its serial number is, if it could be read.
    serial: Option<Option<String>>,
}

/// Whether a question may be asked again when its answer was lost.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Ask {
    Once,
    Again,
}

/// Why there is no answer.
pub(super) enum Failure {
    /// No session: the connector, the device or the login is gone.
    Lost(String),
    /// The device does not take the credentials. Whether it lacks the authentication key.
    Refused { missing: bool },
    /// The device says no.
    Device(DeviceError),
}

impl Device {
    /// The device that `uri` names, logged in to.
    pub(super) fn open(uri: &YubiHsmUri, secrets: &Secrets) -> Result<Arc<Self>, SignError> {
        let name = (uri.connector.clone(), uri.authkey);
        let mut devices = DEVICES.lock().unwrap_or_else(PoisonError::into_inner);
        let device = Arc::clone(devices.entry(name).or_insert_with(|| {
            Arc::new(Self {
                connector: uri.connector.clone(),
                authkey: uri.authkey,
                state: Mutex::default(),
            })
        }));
        drop(devices);
        device.log_in(uri, secrets)?;
        match (&uri.serial, device.serial()?) {
            (Some(wanted), found) if found.as_ref() != Some(wanted) => {
                Err(SignError::from(YubiHsmError::OtherDevice {
                    connector: device.connector.clone(),
                    wanted: wanted.clone(),
                    found,
                }))
            }
            _ => Ok(device),
        }
    }

    /// For messages.
    pub(super) fn name(&self) -> String {
        format!("YubiHSM at {}", self.connector)
    }

    pub(super) fn authkey(&self) -> u16 {
        self.authkey
    }

    /// Ten digits, or `None` when the report about the device holds what the `yubihsm` crate does
    /// not know, as that of newer firmware may.
    pub(super) fn serial(&self) -> Result<Option<String>, SignError> {
        if let Some(known) = self.state().serial.clone() {
            return Ok(known);
        }
        let serial = match self.try_ask(Ask::Once, Client::device_info) {
            Ok(info) => Some(info.serial_number.to_string()),
            Err(_) => {
                // A device that answers this, but not that, is there.
                self.ask("reach the device", Ask::Again, |client| client.echo(*b"?"))?;
                None
            }
        };
        self.state().serial = Some(serial.clone());
        Ok(serial)
    }

    pub(super) fn home(&self) -> Result<Home, SignError> {
        let serial = self.serial()?.unwrap_or_else(|| "unknown".into());
        Ok(Home::YubiHsm { serial })
    }

    /// Has `question` answered in a session.
    pub(super) fn ask<T>(
        &self,
        doing: &'static str,
        ask: Ask,
        question: impl Fn(&Client) -> Result<T, Error>,
    ) -> Result<T, SignError> {
        self.try_ask(ask, question)
            .map_err(|failure| self.error(doing, failure))
    }

    /// As [`ask`](Self::ask), for callers that look at the failure.
    pub(super) fn try_ask<T>(
        &self,
        ask: Ask,
        question: impl Fn(&Client) -> Result<T, Error>,
    ) -> Result<T, Failure> {
        let mut state = self.state();
        let had_session = state.client.is_some();
        match state.ask(&self.connector, &question) {
            // The connector may have been started anew since the last question.
            Err(Failure::Lost(_)) if had_session && ask == Ask::Again => {
                state.ask(&self.connector, &question)
            }
            answer => answer,
        }
    }

    pub(super) fn error(&self, doing: &'static str, failure: Failure) -> SignError {
        match failure {
            Failure::Lost(problem) => SignError::from(YubiHsmError::NoAnswer {
                doing,
                connector: self.connector.clone(),
                problem,
            }),
            Failure::Refused { missing } => SignError::from(YubiHsmError::Refused {
                connector: self.connector.clone(),
                authkey: self.authkey,
                origin: "the login at the start of this process".into(),
                missing,
            }),
            Failure::Device(kind) => SignError::Token {
                doing,
                token: self.name(),
                source: format!("{kind}{}", hint(kind)).into(),
            },
        }
    }

    fn log_in(&self, uri: &YubiHsmUri, secrets: &Secrets) -> Result<(), SignError> {
        // Held all the while, so that no two threads ask for or try a password.
        let mut state = self.state();
        if state.credentials.is_some() {
            return Ok(());
        }
        let password = self.password(uri, secrets)?;
        let connector = self.connector.clone();
        if password.text.as_str() == DEFAULT_PASSWORD && !uri.allow_default_password {
            let origin = password.origin;
            return Err(YubiHsmError::DefaultPassword { connector, origin }.into());
        }
        if state.refused.as_ref() == Some(&password.text) {
            let authkey = self.authkey;
            return Err(YubiHsmError::NotTried { connector, authkey }.into());
        }
        let bytes = password.text.as_bytes();
        state.credentials = Some(Credentials::from_password(self.authkey, bytes));
        match state.ask(&self.connector, &Client::connect) {
            Ok(()) => {
                state.refused = None;
                Ok(())
            }
            Err(Failure::Refused { missing }) => {
                state.refused = Some(password.text);
                Err(SignError::from(YubiHsmError::Refused {
                    connector,
                    authkey: self.authkey,
                    origin: password.origin,
                    missing,
                }))
            }
            Err(other) => {
                // Not known to be right, so it is asked for again.
                state.credentials = None;
                Err(self.error("log in", other))
            }
        }
    }

    fn password(&self, uri: &YubiHsmUri, secrets: &Secrets) -> Result<Secret, SignError> {
        let numbers = [uri.serial.clone(), Some(self.authkey.to_string())];
        let mut names = Vec::new();
        for number in numbers.into_iter().flatten() {
            let particular = variables("COUNTERSIGN_PIN", &format!("yubihsm-{number}"));
            names.extend(particular.into_iter().next());
        }
        names.push("COUNTERSIGN_PIN".into());
        if let Some(found) = secrets.find(uri.password_file(), &names)? {
            return Ok(found);
        }
        let name = format!("{}, authentication key {}", self.name(), self.authkey);
        let question = format!("Password of {name}: ");
        secrets.prompt(&question).ok_or(SignError::NoPin {
            token: name,
            variables: names,
        })
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn ask<T>(
        &mut self,
        connector: &str,
        question: &impl Fn(&Client) -> Result<T, Error>,
    ) -> Result<T, Failure> {
        let client = match self.client.take() {
            Some(client) => client,
            None => {
                let closed = || Failure::Lost("not logged in any more".into());
                let credentials = self.credentials.clone().ok_or_else(closed)?;
                Client::create(connect(connector), credentials).map_err(classify)?
            }
        };
        // The crate panics on some answers, which anyone between here and the device can give.
        let answer = catch_unwind(AssertUnwindSafe(|| question(&client)))
            .unwrap_or_else(|_| Err(ErrorKind::ProtocolError.into()));
        match answer.map_err(classify) {
            Err(Failure::Lost(problem)) => {
                // Another device may be there when it comes back.
                self.serial = None;
                Err(Failure::Lost(problem))
            }
            Err(Failure::Refused { missing }) => {
                self.credentials = None;
                self.serial = None;
                Err(Failure::Refused { missing })
            }
            answer => {
                self.client = Some(client);
                answer
            }
        }
    }
}

/// The `yubihsm` crate waits 20 seconds at most for a connection and for each part of an answer.
fn connect(address: &str) -> Connector {
    #[cfg(feature = "yubihsm-mock")]
    if let Some(mock) = super::mock::find(address) {
        return mock;
    }
    // Split at the last colon, which stands before the port: the URI is checked for that.
    let (host, port) = address.rsplit_once(':').unwrap_or((address, ""));
    let default = HttpConfig::default();
    Connector::http(&HttpConfig {
        addr: host.into(),
        port: port.parse().unwrap_or(default.port),
        ..default
    })
}

fn classify(error: Error) -> Failure {
    let mut cause = error.source();
    while let Some(error) = cause {
        match error.downcast_ref::<DeviceError>() {
            // What these say is that the session is gone.
            Some(DeviceError::InvalidSession | DeviceError::SessionFailed) => break,
            Some(kind) => return Failure::Device(*kind),
            None => {}
        }
        if error.downcast_ref::<connector::Error>().is_some() {
            return Failure::Lost(error.to_string());
        }
        cause = error.source();
    }
    match error.kind() {
        ErrorKind::AuthenticationError => Failure::Refused {
            missing: error.to_string().contains("not found"),
        },
        _ => Failure::Lost(error.to_string()),
    }
}

fn hint(kind: DeviceError) -> &'static str {
    match kind {
        DeviceError::SessionsFull => {
            "; sessions end by themselves after 30 seconds without a question, so try again then"
        }
        DeviceError::InsufficientPermissions => {
            "; the authentication key lacks the capability, or shares no domain with the key"
        }
        DeviceError::LogFull => "; read the device's audit log and mark it as read",
        DeviceError::StorageFailed => "; the device may be full",
        _ => "",
    }
}
