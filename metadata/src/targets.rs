//! Targets: images by path, and delegations (TUF 4.5).
//!
//! A Targets file can list a million images, and a client wants one of them. So the content is
//! not built into a map: the one validating pass notes where each entry starts, and a look-up is
//! a binary search in the verified bytes, whose keys are sorted because they are canonical.

use alloc::borrow::Cow;
use alloc::vec::Vec;
use core::cmp::Ordering;
use core::ops::Range;

use crate::delegation::Delegations;
use crate::document::{Decode, Document, SignatureForm};
use crate::envelope::Payload;
use crate::error::MetadataError;
use crate::field::{Fields, with};
use crate::hashes::Hashes;
use crate::header::{Header, Role, RoleType};
use crate::json::{Object, Value, parse_canonical};
use crate::path::TargetPath;
use crate::scan::{Members, PlainFile, Scanner, is_hexadecimal};

/// The content of a Targets file, top-level or delegated. Read-only; see
/// [`TargetsBuilder`](crate::TargetsBuilder) for making one.
#[derive(Debug, Clone)]
pub struct Targets {
    payload: Payload,
    /// Where each key of `targets` starts in the payload.
    entries: Vec<u32>,
    /// Where `targets` stands in the payload, within its braces.
    listed: Range<usize>,
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
        let found = self.entries.binary_search_by(|at| {
            self.key_at(*at)
                .map_or(Ordering::Less, |key| (*key).cmp(path.as_str()))
        });
        let at = self.entries.get(found.ok()?)?;
        self.read(*at).map(|(_, file)| file)
    }

    /// How many images are listed.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether no image is listed.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// All images by path, in code-point order. Paths are as written and may be unsafe as file
    /// names; [`TargetPath`] tells.
    pub fn iter(&self) -> impl Iterator<Item = (Cow<'_, str>, TargetFile)> {
        self.entries.iter().filter_map(|at| self.read(*at))
    }

    /// The delegations, where given.
    pub fn delegations(&self) -> Option<&Delegations> {
        self.delegations.as_ref()
    }

    /// Where in the payload each image is listed.
    pub(crate) fn places(&self) -> &[u32] {
        &self.entries
    }

    /// Where in the payload all of them are listed.
    pub(crate) fn listed(&self) -> Range<usize> {
        self.listed.clone()
    }

    fn scanner_at(&self, at: u32) -> Scanner<'_> {
        Scanner::canonical(self.payload.get(at as usize..).unwrap_or_default())
    }

    /// The path of the image that is listed there.
    pub(crate) fn key_at(&self, at: u32) -> Option<Cow<'_, str>> {
        Some(self.scanner_at(at).string().ok()?.0)
    }

    /// The entry that starts at `at`. The first pass read the same bytes without error.
    fn read(&self, at: u32) -> Option<(Cow<'_, str>, TargetFile)> {
        let mut scanner = self.scanner_at(at);
        let key = scanner.string().ok()?.0;
        scanner.colon().ok()?;
        let entry = Entry::read(&mut scanner).ok()?;
        Some((key, entry.to_target_file().ok()?))
    }
}

impl Decode for Targets {
    fn decode(payload: &Payload) -> Result<Self, MetadataError> {
        if u32::try_from(payload.len()).is_err() {
            return Err(MetadataError::field("signed", "is larger than 4 GiB"));
        }
        let mut listed = None;
        let mut rest = Object::new();
        let mut scanner = Scanner::canonical(payload);
        scanner.object(|scanner, name, _| {
            match &*name {
                "targets" => {
                    let start = scanner.position() + 1;
                    let entries = index(scanner)?;
                    listed = Some((entries, start..scanner.position() - 1));
                }
                _ => drop(rest.insert(name.into_owned(), scanner.canonical_value()?)),
            }
            Ok(())
        })?;
        let mut fields = Fields::of("signed", rest.into())?;
        let header = Header::decode(&mut fields, Self::TYPE)?;
        let delegations = match fields.take("delegations") {
            Some(value) => Some(Delegations::decode(fields.path_of("delegations"), value)?),
            None => None,
        };
        let Some((entries, listed)) = listed else {
            return fields.fail("targets", "is missing");
        };
        Ok(Self {
            payload: payload.clone(),
            entries,
            listed,
            header,
            delegations,
            extra: fields.rest(),
        })
    }
}

/// Walks `targets`, checks every entry and notes where its key starts.
fn index(scanner: &mut Scanner<'_>) -> Result<Vec<u32>, MetadataError> {
    let mut entries = Vec::new();
    scanner.object(|scanner, _, at| {
        Entry::read(scanner)?;
        // The payload's length fits.
        entries.push(at as u32);
        Ok(())
    })?;
    entries.shrink_to_fit();
    Ok(entries)
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
