//! `yubihsm:` URIs, in the manner of RFC 7512.

use std::fmt;
use std::net::Ipv6Addr;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

use super::UriError;
use super::percent::{self, PATH, VALUE};
use super::pkcs11::{no_pin_value, pin_file, raw_characters};

/// Where yubihsm-connector listens unless told otherwise.
const CONNECTOR: &str = "127.0.0.1:12345";
/// The authentication key that a device comes with.
const AUTHKEY: u16 = 1;
/// Bytes of an object's label in the device.
const LABEL_LEN: usize = 40;

/// `id=NUMBER[;connector=HOST:PORT][;serial=DIGITS][;authkey=NUMBER][;label=TEXT][?QUERY]`: a key
/// in a YubiHSM 2 behind its connector.
///
/// Numbers are decimal or, behind `0x`, hexadecimal. The connector is `127.0.0.1:12345` unless
/// named, the authentication key is 1. Query attributes: `pin-source=file:PATH`,
/// `x-extractable=allow`, `x-default-password=allow`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct YubiHsmUri {
    pub(crate) connector: String,
    pub(crate) id: u16,
    pub(crate) serial: Option<String>,
    pub(crate) authkey: u16,
    pub(crate) label: Option<String>,
    pub(crate) password_file: Option<PathBuf>,
    pub(crate) allow_extractable: bool,
    pub(crate) allow_default_password: bool,
}

impl YubiHsmUri {
    /// `id`: the object id of the asymmetric key.
    pub fn id(&self) -> u16 {
        self.id
    }

    /// `connector`: host and port of yubihsm-connector.
    pub fn connector(&self) -> &str {
        &self.connector
    }

    /// `serial`: the device's serial number, ten digits.
    pub fn serial(&self) -> Option<&str> {
        self.serial.as_deref()
    }

    /// `authkey`: the object id of the authentication key that is logged in with.
    pub fn authkey(&self) -> u16 {
        self.authkey
    }

    /// `label`: the label that the key has, or gets when it is generated.
    pub fn label(&self) -> Option<&str> {
        self.label.as_deref()
    }

    /// `pin-source=file:PATH`: a file whose first line is the authentication key's password.
    pub fn password_file(&self) -> Option<&Path> {
        self.password_file.as_deref()
    }

    /// `x-extractable=allow`: a key that may be exported under a wrap key is used all the same.
    pub fn allow_extractable(&self) -> bool {
        self.allow_extractable
    }

    /// `x-default-password=allow`: the password that every new device has is sent all the same.
    pub fn allow_default_password(&self) -> bool {
        self.allow_default_password
    }

    pub(super) fn parse(text: &str) -> Result<Self, UriError> {
        let (path, query) = text.split_once('?').unwrap_or((text, ""));
        let mut uri = Self {
            connector: CONNECTOR.into(),
            id: 0,
            serial: None,
            authkey: AUTHKEY,
            label: None,
            password_file: None,
            allow_extractable: false,
            allow_default_password: false,
        };
        let attributes = percent::pairs(path, ';')?;
        for (name, value) in &attributes {
            uri.set_path_attribute(name, value)?;
        }
        for (name, value) in percent::pairs(query, '&')? {
            uri.set_query_attribute(name, value)?;
        }
        match attributes.iter().any(|(name, _)| *name == "id") {
            true => Ok(uri),
            false => Err(UriError::new(
                "it names no key; add id=NUMBER, as in yubihsm:id=0x0102",
            )),
        }
    }

    fn set_path_attribute(&mut self, name: &str, value: &str) -> Result<(), UriError> {
        no_secret(name)?;
        raw_characters(name, value, b"&/")?;
        match name {
            "connector" => self.connector = connector(&percent::decode_text(name, value)?)?,
            "id" => self.id = object_id(name, value)?,
            "authkey" => self.authkey = object_id(name, value)?,
            "serial" => self.serial = Some(serial(value)?),
            "label" => self.label = Some(label(percent::decode_text(name, value)?)?),
            "pin-source" => {
                return Err(UriError::new("pin-source belongs behind the ?"));
            }
            _ => {
                return Err(UriError::new(format!(
                    "unknown attribute {name:?}; yubihsm: knows connector, id, serial, authkey, \
                     label, and behind the ? pin-source, x-extractable, x-default-password"
                )));
            }
        }
        Ok(())
    }

    fn set_query_attribute(&mut self, name: &str, value: &str) -> Result<(), UriError> {
        no_secret(name)?;
        raw_characters(name, value, b"/?|")?;
        match (name, value) {
            ("pin-source", value) => self.password_file = Some(pin_file(value)?),
            ("x-extractable", "allow") => self.allow_extractable = true,
            ("x-default-password", "allow") => self.allow_default_password = true,
            ("x-extractable" | "x-default-password", _) => {
                return Err(UriError::new(format!("{name} can only be allow")));
            }
            _ => {
                return Err(UriError::new(format!(
                    "unknown attribute {name:?} behind the ?; there yubihsm: knows pin-source, \
                     x-extractable, x-default-password"
                )));
            }
        }
        Ok(())
    }
}

/// Before anything is said about the value.
fn no_secret(name: &str) -> Result<(), UriError> {
    no_pin_value(name)?;
    match name {
        "password" | "pin" | "authkey-password" => Err(UriError::new(
            "a password does not belong in a URI, which lands in process lists, shell histories \
             and configuration; use pin-source=file:PATH, COUNTERSIGN_PIN or the prompt",
        )),
        _ => Ok(()),
    }
}

/// `HOST:PORT`, out of that or out of the `http://HOST:PORT` that the connector's own tools take.
fn connector(text: &str) -> Result<String, UriError> {
    let wrong = || {
        UriError::new(
            "connector has to be HOST:PORT, as in connector=127.0.0.1:12345; an IPv6 address \
             stands in brackets",
        )
    };
    if text.starts_with("https://") {
        return Err(UriError::new(
            "connector cannot be https: the session with the device is encrypted and \
             authenticated from end to end by itself; name the connector's HOST:PORT",
        ));
    }
    let text = text.strip_prefix("http://").unwrap_or(text);
    let text = text.strip_suffix('/').unwrap_or(text);
    let (host, port) = text.rsplit_once(':').ok_or_else(wrong)?;
    let bracketed = host
        .strip_prefix('[')
        .and_then(|host| host.strip_suffix(']'));
    let host_fits = match bracketed {
        Some(address) => address.parse::<Ipv6Addr>().is_ok(),
        // RFC 1123 2.1: names end at 253 characters.
        None => {
            let character = |byte: u8| byte.is_ascii_alphanumeric() || b"-._".contains(&byte);
            (1..=253).contains(&host.len()) && host.bytes().all(character)
        }
    };
    let digits = port.bytes().all(|byte| byte.is_ascii_digit());
    let port = digits.then(|| port.parse::<u16>().ok()).flatten();
    match port.filter(|port| host_fits && *port != 0) {
        Some(port) => Ok(format!("{host}:{port}")),
        None => Err(wrong()),
    }
}

/// Objects have ids of 16 bits. 0 is the device's own attestation key, which signs nothing else.
fn object_id(name: &str, value: &str) -> Result<u16, UriError> {
    let (digits, radix) = match value.strip_prefix("0x") {
        Some(digits) => (digits, 16),
        None => (value, 10),
    };
    // from_str_radix would take a sign.
    let plain = digits.bytes().all(|byte| byte.is_ascii_hexdigit());
    let id = plain.then(|| u16::from_str_radix(digits, radix).ok());
    id.flatten().filter(|id| *id != 0).ok_or_else(|| {
        UriError::new(format!(
            "{name} is not an object id, 1 to 65535 or 0x0001 to 0xffff"
        ))
    })
}

/// As the device counts, with the zeros that other tools leave out.
fn serial(value: &str) -> Result<String, UriError> {
    let digits = value.bytes().all(|byte| byte.is_ascii_digit());
    let number = digits.then(|| value.parse::<u32>().ok()).flatten();
    let number = number.ok_or_else(|| UriError::new("serial is not a serial number"))?;
    Ok(format!("{number:010}"))
}

fn label(text: String) -> Result<String, UriError> {
    match text.len() > LABEL_LEN || text.contains('\0') {
        true => Err(UriError::new(format!(
            "label has more than {LABEL_LEN} bytes or a zero byte"
        ))),
        false => Ok(text),
    }
}

impl fmt::Display for YubiHsmUri {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "connector={};id={:#06x}", self.connector, self.id)?;
        if let Some(serial) = &self.serial {
            write!(f, ";serial={serial}")?;
        }
        if self.authkey != AUTHKEY {
            write!(f, ";authkey={:#06x}", self.authkey)?;
        }
        if let Some(label) = &self.label {
            write!(f, ";label={}", percent::encode(label.as_bytes(), VALUE))?;
        }
        let file = self.password_file.as_ref().map(|path| {
            let path = percent::encode(path.as_os_str().as_bytes(), PATH);
            let authority = if path.starts_with("//") { "//" } else { "" };
            format!("pin-source=file:{authority}{path}")
        });
        let allow = |flag: bool, name| flag.then(|| format!("{name}=allow"));
        let query = [
            file,
            allow(self.allow_extractable, "x-extractable"),
            allow(self.allow_default_password, "x-default-password"),
        ];
        let query: Vec<String> = query.into_iter().flatten().collect();
        match query.is_empty() {
            true => Ok(()),
            false => write!(f, "?{}", query.join("&")),
        }
    }
}
