//! Targets: images by path, and delegations (TUF 4.5).
//!
//! A Targets file can list a million images, and a client wants one of them: they stay text.

use alloc::borrow::Cow;

use crate::delegation::Delegations;
use crate::document::{Decode, Document, SignatureForm};
use crate::envelope::Payload;
use crate::error::MetadataError;
use crate::field::{Fields, Large, with};
use crate::hashes::Hashes;
use crate::header::{Header, Role, RoleType};
use crate::json::{Object, Value, parse_canonical};
use crate::path::TargetPath;
use crate::places::Places;
use crate::scan::{Members, PlainFile, Scanner, is_hexadecimal};

/// The content of a Targets file, top-level or delegated. Read-only; see
/// [`TargetsBuilder`](crate::TargetsBuilder) for making one.
#[derive(Debug, Clone)]
pub struct Targets {
    /// `targets`
    listed: Places,
    header: Header,
    delegations: Option<Delegations>,
    extra: Object,
}

/// What a Targets file says of one image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TargetFile {
    /// Length in bytes.
    pub length: u64,
    /// Hashes; at least one is listed, of a known function or not.
    pub hashes: Hashes,
    /// `custom`, where given: the application's own data.
    pub custom: Option<Object>,
    /// Unknown fields, kept and signed over.
    pub extra: Object,
}

impl Document for Targets {
    const NAME: &'static str = Self::TYPE.name();
    const SIGNATURES: SignatureForm = SignatureForm::Plain;
}

impl Role for Targets {
    const TYPE: RoleType = RoleType::Targets;

    fn header(&self) -> &Header {
        &self.header
    }

    fn extra(&self) -> &Object {
        &self.extra
    }
}

impl Targets {
    /// What the file says of the image at `path`.
    pub fn get(&self, path: &TargetPath) -> Option<TargetFile> {
        self.read(self.listed.place_of(path.as_str()).ok()?)
            .map(|(_, file)| file)
    }

    /// How many images are listed.
    pub fn len(&self) -> usize {
        self.listed.len()
    }

    /// Whether no image is listed.
    pub fn is_empty(&self) -> bool {
        self.listed.len() == 0
    }

    /// All images by path, in code-point order. Paths are as written and may be unsafe as file
    /// names; [`TargetPath`] tells.
    pub fn iter(&self) -> impl Iterator<Item = (Cow<'_, str>, TargetFile)> {
        (0..self.listed.len()).filter_map(|place| self.read(place))
    }

    /// The delegations, where given.
    pub fn delegations(&self) -> Option<&Delegations> {
        self.delegations.as_ref()
    }

    /// Where in the payload the images are listed.
    pub(crate) fn listed(&self) -> &Places {
        &self.listed
    }

    /// The entry at this place. The first pass read the same text without error.
    fn read(&self, place: usize) -> Option<(Cow<'_, str>, TargetFile)> {
        let (path, mut scanner) = self.listed.member(place)?;
        let entry = Entry::read(&mut scanner).ok()?;
        Some((path, entry.to_target_file().ok()?))
    }
}

impl Decode for Targets {
    fn decode(payload: &Payload) -> Result<Self, MetadataError> {
        let (mut listed, mut delegations) = (None, Large::new());
        // An entry that is none ends it at once, as where a file is read while it comes in.
        let images = |scanner: &mut Scanner<'_>| {
            Places::read(payload, scanner, |scanner, _| {
                Entry::read(scanner).map(drop)
            })
        };
        let payload = &mut Scanner::canonical(payload);
        let mut fields = Fields::beside("signed", payload, &mut |scanner, name| match name {
            "delegations" => Some(delegations.read(scanner, Delegations::read)),
            "targets" => Some(images(scanner).map(|images| listed = Some(images))),
            _ => None,
        })?;
        Ok(Self {
            header: Header::decode(&mut fields, Self::TYPE)?,
            listed: match listed {
                Some(listed) => listed,
                None => return fields.fail("targets", "is missing"),
            },
            delegations: delegations.optional()?,
            extra: fields.rest(),
        })
    }
}

/// One entry as it stands in canonical text: checked, and without memory of its own.
pub(crate) struct Entry<'a> {
    pub(crate) length: u64,
    sha256: Option<HexDigest<'a, 32>>,
    sha512: Option<HexDigest<'a, 64>>,
    /// The text of `hashes`, of `custom` and of the entry as a whole; empty where nothing is left in it.
    hashes: &'a str,
    pub(crate) custom: Option<&'a str>,
    whole: &'a str,
}

impl<'a> Entry<'a> {
    pub(crate) fn read(scanner: &mut Scanner<'a>) -> Result<Self, MetadataError> {
        match scanner.plain_file(Self::of_plain) {
            Some(entry) => Ok(entry),
            None => Self::read_any(scanner),
        }
    }

    /// An entry of `hashes` and `length`, and nothing else.
    fn of_plain(file: PlainFile<'a>) -> Option<Self> {
        if file.version.is_some() || file.sha256.or(file.sha512).is_none() {
            return None;
        }
        Some(Self {
            length: file.length?,
            sha256: file.sha256.map(HexDigest::of),
            sha512: file.sha512.map(HexDigest::of),
            hashes: "",
            custom: None,
            whole: "",
        })
    }

    fn read_any(scanner: &mut Scanner<'a>) -> Result<Self, MetadataError> {
        let mut entry = Entry {
            length: 0,
            sha256: None,
            sha512: None,
            hashes: "",
            custom: None,
            whole: "",
        };
        let start = scanner.position();
        let fail = |what: &str| Err(MetadataError::malformed(start, what));
        let (mut has_length, mut has_hash) = (false, false);
        scanner.object(|scanner, name, at| {
            match &*name {
                "length" => {
                    let length = scanner.integer()?;
                    entry.length = u64::try_from(length).map_err(|_| {
                        MetadataError::malformed(at, "a target's length is negative")
                    })?;
                    has_length = true;
                }
                "hashes" => {
                    let start = scanner.position();
                    scanner.object(|scanner, name, at| {
                        has_hash = true;
                        match &*name {
                            "sha256" => entry.sha256 = Some(HexDigest::read(scanner, at)?),
                            "sha512" => entry.sha512 = Some(HexDigest::read(scanner, at)?),
                            _ => drop(scanner.skip()?),
                        }
                        Ok(())
                    })?;
                    entry.hashes = scanner.since(start);
                }
                "custom" => {
                    let text = scanner.skip()?;
                    if !text.starts_with('{') {
                        return Err(MetadataError::malformed(at, "custom must be an object"));
                    }
                    entry.custom = Some(text);
                }
                _ => drop(scanner.skip()?),
            }
            Ok(())
        })?;
        entry.whole = scanner.since(start);
        match (has_length, has_hash) {
            (true, true) => Ok(entry),
            (false, _) => fail("a target has no length"),
            (_, false) => fail("a target has no hash"),
        }
    }

    /// The hashes of known functions.
    pub(crate) fn known_hashes(&self) -> Result<Hashes, MetadataError> {
        Ok(Hashes {
            sha256: self.sha256.as_ref().map(HexDigest::decode).transpose()?,
            sha512: self.sha512.as_ref().map(HexDigest::decode).transpose()?,
            other: Object::new(),
        })
    }

    pub(crate) fn to_target_file(&self) -> Result<TargetFile, MetadataError> {
        Ok(TargetFile {
            length: self.length,
            hashes: Hashes {
                other: members_but(self.hashes, &["sha256", "sha512"])?,
                ..self.known_hashes()?
            },
            custom: match self.custom.map(parse_canonical).transpose()? {
                Some(Value::Object(members)) => Some(members),
                _ => None,
            },
            extra: members_but(self.whole, &["length", "hashes", "custom"])?,
        })
    }
}

/// The members of an object in canonical text, but for these.
fn members_but(object: &str, known: &[&str]) -> Result<Object, MetadataError> {
    Members::of(object)
        .filter(|(name, _)| !known.contains(&&**name))
        .map(|(name, text)| Ok((name.into_owned(), parse_canonical(text)?)))
        .collect()
}

/// A digest of `N` bytes as it stands in the text: known to be hexadecimal, and decoded only when
/// somebody asks for the entry, because decoding all of them would dominate reading a file.
struct HexDigest<'a, const N: usize>(Cow<'a, str>);

impl<'a, const N: usize> HexDigest<'a, N> {
    /// Of digits that were counted already.
    fn of(digits: &'a str) -> Self {
        Self(digits.into())
    }

    fn read(scanner: &mut Scanner<'a>, at: usize) -> Result<Self, MetadataError> {
        let (text, _) = scanner.string()?;
        match text.len() == 2 * N && is_hexadecimal(&text) {
            true => Ok(Self(text)),
            false => Err(MetadataError::malformed(
                at,
                "a hash is not hexadecimal of its length",
            )),
        }
    }

    fn decode(&self) -> Result<[u8; N], MetadataError> {
        let mut digest = [0; N];
        hex::decode_to_slice(&*self.0, &mut digest)
            .map(|()| digest)
            .map_err(|_| MetadataError::malformed(0, "a hash is not hexadecimal of its length"))
    }
}

impl TargetFile {
    /// What a builder lists for an image of these bytes.
    pub fn describing(image: &[u8]) -> Self {
        Self::new(image.len() as u64, Hashes::of(image))
    }

    /// An image by length and hashes.
    pub fn new(length: u64, hashes: Hashes) -> Self {
        Self {
            length,
            hashes,
            custom: None,
            extra: Object::new(),
        }
    }

    /// An entry of Targets that stands somewhere else, as in a database.
    ///
    /// # Errors
    /// [`MetadataError::Field`] names what is missing or wrong.
    pub fn of(value: &Value) -> Result<Self, MetadataError> {
        let mut fields = Fields::of("target", value.clone())?;
        let length = fields.unsigned("length", 0)?;
        let hashes = Hashes::decode(fields.fields("hashes")?)?;
        let custom = match fields.members_has("custom") {
            true => Some(fields.object("custom")?),
            false => None,
        };
        Ok(Self {
            length,
            hashes,
            custom,
            extra: fields.rest(),
        })
    }

    /// The form that [`TargetFile::of`] reads.
    pub fn to_value(&self) -> Value {
        let known = [
            ("length", self.length.into()),
            ("hashes", self.hashes.to_value()),
        ];
        let mut members = with(&self.extra, known);
        if let Some(custom) = &self.custom {
            members.insert("custom".into(), custom.clone().into());
        }
        members.into()
    }
}
