//! What all devices of a model have in common: a profile in TOML, read strictly.

use std::path::{Path, PathBuf};

use countersign_metadata::uptane::HardwareId;
use countersign_metadata::{TargetPath, UtcTime};
use countersign_repo::keys::redact;
use countersign_signing::KeyUri;
use serde::{Deserialize, Serialize};

use crate::error::CeremonyError;
use crate::files;
use crate::profile::{MAX_PROFILE, check_line};

/// The most that is shown of what is wrong with a profile, in characters: it quotes the line.
const MAX_ERROR: usize = 1000;

/// In a path or an address: the vehicle, percent-encoded.
pub(crate) const VIN: &str = "{vin}";

/// A model of devices. Paths are relative to the folder of the profile. A setting that is not
/// listed here is refused, so that a misspelt one is never silently without effect.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Profile {
    /// What is provisioned, in words.
    pub name: String,
    /// The one repository of a plain TUF device.
    pub repository: Option<Source>,
    /// The Director of an Uptane device.
    pub director: Option<Source>,
    /// The Image repository of an Uptane device.
    pub image: Option<Source>,
    /// A repository mapping (Uptane 5.2.6), in the place of both repositories' `urls`.
    pub map: Option<PathBuf>,
    /// What kind of ECU an Uptane device is.
    pub ecu: Option<EcuModel>,
    /// What is installed when the device leaves the factory.
    pub installed: Option<InstalledModel>,
}

/// Where the trust in one repository comes from.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Source {
    /// The newest Root: a file, or the folder of a published repository.
    pub root: PathBuf,
    /// An older Root that has to lead to it, file by file.
    pub follows: Option<PathBuf>,
    /// The ten words of the newest Root, as the report of its ceremony shows them.
    pub words: Option<String>,
    /// A folder with the newest metadata; `{vin}` is the vehicle.
    pub metadata: Option<String>,
    /// Where devices find the repository, in the order to try; `{vin}` is the vehicle.
    #[serde(default)]
    pub urls: Vec<String>,
}

/// What kind of ECU it is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EcuModel {
    /// The kind of hardware.
    pub hardware_id: String,
    /// How it verifies.
    pub verification: Verification,
    /// Whether its metadata and images come from a Primary. What verifies in part always is one.
    #[serde(default)]
    pub secondary: bool,
    /// The URI, on the device, of the key that signs its reports.
    pub signing_key: String,
    /// The URI, on the device, of the key that its images are encrypted for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub decryption_key: Option<String>,
}

/// How an ECU verifies (Uptane 5.4.4).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Verification {
    /// Both repositories (5.4.4.2).
    Full,
    /// The Director's Root and Targets (5.4.4.1).
    Partial,
}

/// The image of the factory: by its file, or by what is known of it.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct InstalledModel {
    /// Its name in the Image repository.
    pub path: String,
    /// Its release counter, which is the first floor.
    pub release_counter: u64,
    /// The file, to be measured.
    pub file: Option<PathBuf>,
    /// Its length in bytes.
    pub length: Option<u64>,
    /// Its SHA-256, in hexadecimal.
    pub sha256: Option<String>,
}

impl Verification {
    /// `full` or `partial`
    pub const fn name(self) -> &'static str {
        match self {
            Self::Full => "full",
            Self::Partial => "partial",
        }
    }
}

impl Profile {
    /// Reads a profile.
    ///
    /// # Errors
    /// [`CeremonyError::Profile`]
    pub fn load(path: &Path) -> Result<Self, CeremonyError> {
        let bytes = files::read(path, MAX_PROFILE)?;
        let fail = |why: String| CeremonyError::Profile {
            path: path.into(),
            why,
        };
        let text = String::from_utf8(bytes).map_err(|_| fail("it is not UTF-8".into()))?;
        Self::parse(&text).map_err(fail)
    }

    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let profile: Self = toml::from_str(text).map_err(|error| {
            let told: String = error.to_string().chars().take(MAX_ERROR).collect();
            redact(&told)
        })?;
        profile.check()?;
        Ok(profile)
    }

    fn check(&self) -> Result<(), String> {
        check_name(&self.name)?;
        for source in [&self.repository, &self.director, &self.image] {
            source.as_ref().map_or(Ok(()), Source::check)?;
        }
        match (&self.repository, &self.director, &self.image, &self.ecu) {
            (Some(_), None, None, None) => self.check_plain(),
            (None, Some(director), Some(image), Some(ecu)) => {
                ecu.check()?;
                check_mapping(self.map.is_some(), [director, image])
            }
            (Some(_), ..) => Err(
                "[repository] is for a plain TUF device, [director], [image] and [ecu] are for an \
                 Uptane device; take one or the other out"
                    .into(),
            ),
            (None, ..) => Err(
                "it needs [repository] for a plain TUF device, or [director], [image] and [ecu] \
                 for an Uptane device"
                    .into(),
            ),
        }?;
        self.installed
            .as_ref()
            .map_or(Ok(()), InstalledModel::check)
    }

    fn check_plain(&self) -> Result<(), String> {
        match self.map.is_some() || self.installed.is_some() {
            true => Err("map and [installed] are for Uptane devices".into()),
            false => Ok(()),
        }
    }
}

impl Source {
    fn check(&self) -> Result<(), String> {
        let mut urls = self.urls.iter();
        match urls.find(|url| url.is_empty() || !url.bytes().all(|byte| byte.is_ascii_graphic())) {
            Some(url) => Err(format!("urls: {url:?} is no address")),
            None => Ok(()),
        }
    }
}

impl EcuModel {
    /// Whether it is one that a device can be.
    pub(crate) fn check(&self) -> Result<(), String> {
        HardwareId::new(&self.hardware_id).map_err(|error| format!("ecu: {error}"))?;
        check_uri("signing_key", &self.signing_key)?;
        let Some(decryption) = &self.decryption_key else {
            return Ok(());
        };
        check_uri("decryption_key", decryption)?;
        match *decryption == self.signing_key {
            true => Err(
                "ecu: signing_key and decryption_key are one key; an ECU has one for each (Uptane \
                 5.4.1)"
                    .into(),
            ),
            false => Ok(()),
        }
    }

    /// Whether it looks at its own image only.
    pub(crate) fn is_secondary(&self) -> bool {
        self.secondary || self.verification == Verification::Partial
    }
}

impl InstalledModel {
    fn check(&self) -> Result<(), String> {
        TargetPath::new(&self.path).map_err(|error| format!("installed.path: {error}"))?;
        match (&self.file, self.length, &self.sha256) {
            (Some(_), None, None) => Ok(()),
            (None, Some(_), Some(sha256)) => check_sha256(sha256),
            _ => Err("installed needs file, or length and sha256".into()),
        }
    }
}

pub(crate) fn check_sha256(text: &str) -> Result<(), String> {
    match crate::statement::decode_hex(text).is_some_and(|bytes| bytes.len() == 32) {
        true => Ok(()),
        false => Err("installed.sha256 is not 64 hexadecimal digits in small letters".into()),
    }
}

pub(crate) fn check_name(name: &str) -> Result<(), String> {
    if name.trim().is_empty() {
        return Err("name is empty; say what is provisioned".into());
    }
    check_line(name).map_err(|why| format!("name {why}"))
}

fn check_uri(what: &str, uri: &str) -> Result<(), String> {
    let parsed = uri.parse::<KeyUri>();
    parsed.map_err(|error| format!("ecu.{what}: {error}"))?;
    check_line(uri).map_err(|why| format!("ecu.{what} {why}"))
}

fn check_mapping(by_file: bool, sources: [&Source; 2]) -> Result<(), String> {
    let listed = sources.map(|source| !source.urls.is_empty());
    match (by_file, listed) {
        (true, [false, false]) | (false, [true, true]) => Ok(()),
        (true, _) => Err("map says where the repositories are; take their urls out".into()),
        (false, _) => {
            Err("it needs map, or director.urls and image.urls: a device has to know where".into())
        }
    }
}

/// A time as flags and files have it.
pub(crate) fn parse_time(text: &str) -> Result<UtcTime, String> {
    text.parse()
        .map_err(|_| format!("{text:?} is no time; write it as 2032-05-06T07:08:09Z"))
}

#[cfg(test)]
mod tests {
    use super::*;

    pub(crate) const UPTANE: &str = r#"
name = "Gateway A"
[director]
root = "director"
urls = ["https://director.example.com/{vin}"]
[image]
root = "image/root.json"
urls = ["https://images.example.com"]
[ecu]
hardware_id = "gateway-a"
verification = "full"
signing_key = "pkcs11:token=ecu;object=report"
decryption_key = "pkcs11:token=ecu;object=images"
[installed]
path = "gateway.img"
release_counter = 4
file = "gateway.img"
"#;

    fn refused(from: &str, to: &str) -> String {
        assert!(UPTANE.contains(from), "{from}");
        Profile::parse(&UPTANE.replacen(from, to, 1)).expect_err(to)
    }

    #[test]
    fn profiles_are_read_strictly() {
        assert!(Profile::parse(UPTANE).is_ok());
        assert!(Profile::parse("name = \"A\"\n[repository]\nroot = \"r.json\"\n").is_ok());
        for (from, to, says) in [
            ("Gateway A", "", "name is empty"),
            ("Gateway A", "a\\u202e", "invisible"),
            ("root = \"director\"", "rot = \"director\"", "rot"),
            ("gateway-a", "gateway a", "hardwareId"),
            ("object=images", "object=report", "one key"),
            (
                "object=report\"",
                "object=report?pin-value=1\"",
                "signing_key",
            ),
            ("\"full\"", "\"some\"", "some"),
            ("\"gateway.img\"\nrel", "\"../x\"\nrel", "installed.path"),
            ("file = \"gateway.img\"", "length = 3", "file, or length"),
            (
                "file = \"gateway.img\"",
                "length = 3\nsha256 = \"AA\"",
                "64 hexadecimal",
            ),
            (
                "urls = [\"https://images.example.com\"]",
                "",
                "it needs map",
            ),
            (
                "[director]",
                "map = \"m.json\"\n[director]",
                "take their urls out",
            ),
            ("https://images.example.com", "https://a b", "no address"),
            (
                "[image]",
                "[repository]\nroot = \"r\"\n[image]",
                "one or the other",
            ),
        ] {
            let why = refused(from, to);
            assert!(why.contains(says), "{to}: {why}");
        }
        let why = Profile::parse("name = \"A\"\n").expect_err("nothing to trust");
        assert!(why.contains("[repository]"), "{why}");
    }

    #[test]
    fn no_secret_is_told() {
        let why = refused("object=report\"", "object=report?pin-value=4711\"");
        assert!(!why.contains("4711"), "{why}");
    }
}
