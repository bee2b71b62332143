//! `pkcs11:` URIs (RFC 7512).

use std::fmt;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

use super::UriError;
use super::percent::{self, PATH, VALUE};

/// `ATTRIBUTES[?QUERY]` (RFC 7512): which token, which key in it, and how to reach them.
///
/// Path attributes: `token`, `serial`, `manufacturer`, `model`, `slot-id` choose the token;
/// `object` and `id` choose the key, at least one of them. Query attributes: `module-path`,
/// `pin-source=file:PATH`, `x-extractable=allow`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub struct Pkcs11Uri {
    pub(crate) token: Option<String>,
    pub(crate) serial: Option<String>,
    pub(crate) manufacturer: Option<String>,
    pub(crate) model: Option<String>,
    pub(crate) slot_id: Option<u64>,
    pub(crate) object: Option<String>,
    pub(crate) id: Option<Vec<u8>>,
    pub(crate) module_path: Option<PathBuf>,
    pub(crate) pin_file: Option<PathBuf>,
    pub(crate) allow_extractable: bool,
}

impl Pkcs11Uri {
    /// `token`: the token's label.
    pub fn token(&self) -> Option<&str> {
        self.token.as_deref()
    }

    /// `object`: the key's label.
    pub fn object(&self) -> Option<&str> {
        self.object.as_deref()
    }

    /// `id`: the key's CKA_ID.
    pub fn id(&self) -> Option<&[u8]> {
        self.id.as_deref()
    }

    /// `module-path`: the PKCS#11 library.
    pub fn module_path(&self) -> Option<&Path> {
        self.module_path.as_deref()
    }

    /// `pin-source=file:PATH`: a file whose first line is the PIN.
    pub fn pin_file(&self) -> Option<&Path> {
        self.pin_file.as_deref()
    }

    /// `x-extractable=allow`: a private key that could leave its token is used all the same.
    pub fn allow_extractable(&self) -> bool {
        self.allow_extractable
    }

    pub(super) fn parse(text: &str) -> Result<Self, UriError> {
        let (path, query) = text.split_once('?').unwrap_or((text, ""));
        let mut uri = Self::default();
        for (name, value) in percent::pairs(path, ';')? {
            uri.set_path_attribute(name, value)?;
        }
        for (name, value) in percent::pairs(query, '&')? {
            uri.set_query_attribute(name, value)?;
        }
        if uri.object.is_none() && uri.id.is_none() {
            return Err(UriError::new(
                "it names no key; add object=LABEL or id=%HH%HH",
            ));
        }
        Ok(uri)
    }

    fn set_path_attribute(&mut self, name: &str, value: &str) -> Result<(), UriError> {
        no_pin_value(name)?;
        raw_characters(name, value, b"&")?;
        match name {
            "token" => self.token = Some(percent::decode_text(name, value)?),
            "serial" => self.serial = Some(percent::decode_text(name, value)?),
            "manufacturer" => self.manufacturer = Some(percent::decode_text(name, value)?),
            "model" => self.model = Some(percent::decode_text(name, value)?),
            "object" => self.object = Some(percent::decode_text(name, value)?),
            "id" => match percent::decode(name, value)? {
                id if id.is_empty() => return Err(UriError::new("id is empty")),
                id => self.id = Some(id),
            },
            "slot-id" => {
                let digits = value.bytes().all(|byte| byte.is_ascii_digit());
                let slot = digits.then(|| value.parse().ok()).flatten();
                self.slot_id =
                    Some(slot.ok_or_else(|| UriError::new("slot-id is not a decimal number"))?);
            }
            // The key is always the private one; other tools write this into the URIs they list.
            "type" if value == "private" => {}
            "type" => {
                return Err(UriError::new(
                    "type can only be private: the URI names a key",
                ));
            }
            "pin-source" | "module-path" => {
                return Err(UriError::new(format!("{name} belongs behind the ?")));
            }
            _ => {
                return Err(UriError::new(format!(
                    "unknown attribute {name:?}; pkcs11: knows token, serial, manufacturer, model, \
                     slot-id, object, id, and behind the ? module-path, pin-source, x-extractable"
                )));
            }
        }
        Ok(())
    }

    fn set_query_attribute(&mut self, name: &str, value: &str) -> Result<(), UriError> {
        no_pin_value(name)?;
        raw_characters(name, value, b"/?|")?;
        match name {
            "module-path" => self.module_path = Some(percent::decode_path(name, value)?),
            "pin-source" => self.pin_file = Some(pin_file(value)?),
            "x-extractable" if value == "allow" => self.allow_extractable = true,
            "x-extractable" => return Err(UriError::new("x-extractable can only be allow")),
            "module-name" => {
                return Err(UriError::new(
                    "module-name is not looked up; give the library with module-path=PATH or \
                     COUNTERSIGN_PKCS11_MODULE",
                ));
            }
            _ => {
                return Err(UriError::new(format!(
                    "unknown attribute {name:?} behind the ?; there pkcs11: knows module-path, \
                     pin-source, x-extractable"
                )));
            }
        }
        Ok(())
    }
}

/// Before anything is said about the value.
pub(super) fn no_pin_value(name: &str) -> Result<(), UriError> {
    match name {
        "pin-value" => Err(UriError::new(
            "pin-value puts the PIN where process lists, shell histories and configuration show \
             it; use pin-source=file:PATH, COUNTERSIGN_PIN or the prompt",
        )),
        _ => Ok(()),
    }
}

/// RFC 7512 2.3: what may stand unencoded in a value.
pub(super) fn raw_characters(name: &str, value: &str, more: &[u8]) -> Result<(), UriError> {
    const ALLOWED: &[u8] = b"-._~%:[]@!$'()*+,=";
    let allowed =
        |byte: &u8| byte.is_ascii_alphanumeric() || ALLOWED.contains(byte) || more.contains(byte);
    match value.bytes().find(|byte| !allowed(byte)) {
        None => Ok(()),
        Some(byte) => Err(UriError::new(format!(
            "{name:?} has a character that RFC 7512 wants encoded, as %{byte:02X}"
        ))),
    }
}

pub(super) fn pin_file(value: &str) -> Result<PathBuf, UriError> {
    let source = percent::decode("pin-source", value)?;
    if source.starts_with(b"|") {
        return Err(UriError::new(
            "pin-source=|COMMAND is refused: a URI must not start programs; \
             use pin-source=file:PATH",
        ));
    }
    let Some(path) = source.strip_prefix(b"file:") else {
        return Err(UriError::new("pin-source has to be file:PATH"));
    };
    let path = match path.strip_prefix(b"//") {
        Some(rest) if rest.starts_with(b"/") => rest,
        Some(_) => {
            return Err(UriError::new(
                "pin-source names a file on this machine: file:PATH or file:///PATH",
            ));
        }
        None => path,
    };
    percent::path("pin-source", path.to_vec())
}

impl fmt::Display for Pkcs11Uri {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = |name: &'static str, value: &Option<String>| {
            let value = value.as_ref()?;
            Some(format!(
                "{name}={}",
                percent::encode(value.as_bytes(), VALUE)
            ))
        };
        let id = self.id.as_ref().map(|id| {
            let id: String = id.iter().map(|byte| format!("%{byte:02X}")).collect();
            format!("id={id}")
        });
        let path = [
            text("token", &self.token),
            text("serial", &self.serial),
            text("manufacturer", &self.manufacturer),
            text("model", &self.model),
            self.slot_id.map(|slot| format!("slot-id={slot}")),
            text("object", &self.object),
            id,
        ];
        let file = |path: &Path| percent::encode(path.as_os_str().as_bytes(), PATH);
        let query = [
            self.module_path
                .as_ref()
                .map(|path| format!("module-path={}", file(path))),
            self.pin_file.as_ref().map(|path| {
                let path = file(path);
                let authority = if path.starts_with("//") { "//" } else { "" };
                format!("pin-source=file:{authority}{path}")
            }),
            self.allow_extractable
                .then(|| "x-extractable=allow".to_owned()),
        ];
        let path: Vec<String> = path.into_iter().flatten().collect();
        let query: Vec<String> = query.into_iter().flatten().collect();
        f.write_str(&path.join(";"))?;
        match query.is_empty() {
            true => Ok(()),
            false => write!(f, "?{}", query.join("&")),
        }
    }
}
