//! What is shown of the file while it passes, and what is known of it at the end.

use alloc::string::String;
use alloc::vec::Vec;

use super::part;
use crate::error::MetadataError;
use crate::field::Fields;
use crate::hashes::Hashes;
use crate::header::{Header, RoleType};
use crate::json::utf8;
use crate::key::decode_keys;
use crate::scan::{Members, Scanner};
use crate::targets::{Entry, TargetFile};
use crate::uptane::vehicle::{CUSTOM, vin_in};
use crate::uptane::{DirectorCustom, OfflineCustom, Vin};

/// One entry of `targets` as it passes, on nobody's word.
#[derive(Debug)]
pub struct StreamedTarget<'a> {
    path: &'a str,
    length: u64,
    hashes: Hashes,
    custom: Option<&'a str>,
}

impl<'a> StreamedTarget<'a> {
    /// Reads the text of an entry's value, which is in canonical form.
    pub(super) fn read(path: &'a str, text: &'a str) -> Result<Self, MetadataError> {
        let entry = Entry::read(&mut Scanner::canonical(text))?;
        Ok(Self {
            path,
            length: entry.length,
            hashes: entry.known_hashes()?,
            custom: entry.custom,
        })
    }

    /// The path, as written; it may be unsafe as a file name ([`TargetPath`](crate::TargetPath) tells).
    pub fn path(&self) -> &str {
        self.path
    }

    /// Length and hashes of known functions; other hashes, `custom` and unknown fields are left out.
    pub fn file(&self) -> TargetFile {
        TargetFile::new(self.length, self.hashes.clone())
    }

    /// What the Director says in `custom`, without the unknown fields.
    ///
    /// # Errors
    /// As [`DirectorCustom::of`].
    pub fn director_custom(&self) -> Result<DirectorCustom, MetadataError> {
        match self.custom {
            Some(text) => DirectorCustom::decode(Fields::of_text("custom", text)?),
            None => Err(MetadataError::field("custom", "is missing")),
        }
    }
}

/// A Targets file that has passed, and that a threshold has signed. It may be expired.
#[derive(Debug)]
pub struct StreamedTargets {
    header: Header,
    custom: Option<String>,
    delegates: bool,
    length: usize,
    sha256: [u8; 32],
}

impl StreamedTargets {
    /// The fields all roles share.
    pub fn header(&self) -> &Header {
        &self.header
    }

    /// How many images it lists.
    pub fn len(&self) -> usize {
        self.length
    }

    /// Whether it lists none.
    pub fn is_empty(&self) -> bool {
        self.length == 0
    }

    /// Whether it delegates to any role. To which, and whether these entries are well-formed, is not
    /// looked at.
    pub fn delegates(&self) -> bool {
        self.delegates
    }

    /// SHA-256 of the canonical bytes that were signed.
    pub fn sha256(&self) -> &[u8; 32] {
        &self.sha256
    }

    /// The vehicle that it is for ([`vin_of`](crate::uptane::vin_of)).
    ///
    /// # Errors
    /// [`MetadataError::Field`] when `custom` is not an object or `vin` is not an identifier.
    pub fn vin(&self) -> Result<Option<Vin>, MetadataError> {
        vin_in(self.custom()?)
    }

    /// What an Offline Targets file says of itself.
    ///
    /// # Errors
    /// As [`OfflineCustom::of`].
    pub fn offline_custom(&self) -> Result<OfflineCustom, MetadataError> {
        OfflineCustom::decode(self.custom()?)
    }

    fn custom(&self) -> Result<Option<Fields<'_>>, MetadataError> {
        let text = self.custom.as_deref();
        text.map(|text| Fields::of_text(CUSTOM, text)).transpose()
    }
}

/// What is kept of `signed` until somebody has vouched for it, as text.
#[derive(Debug)]
pub(super) struct Kept {
    /// Its known members but `targets`, as an object without the closing bracket.
    members: Vec<u8>,
    bound: usize,
    /// Entries of `targets`, if it was there.
    length: Option<usize>,
    /// The first entry that cannot be read, or another reason why the content cannot.
    problem: Option<MetadataError>,
}

const KNOWN: [&str; 6] = [
    "_type",
    "custom",
    "delegations",
    "expires",
    "spec_version",
    "version",
];

impl Kept {
    pub(super) fn new(bound: usize) -> Self {
        Self {
            members: Vec::new(),
            bound,
            length: None,
            problem: None,
        }
    }

    /// Takes a member of `signed`. They come in order.
    pub(super) fn member(&mut self, name: &str, text: &str) -> Result<(), MetadataError> {
        if !KNOWN.contains(&name) {
            return Ok(());
        }
        let before: &[u8] = match self.members.is_empty() {
            true => b"{\"",
            false => b",\"",
        };
        for piece in [before, name.as_bytes(), b"\":", text.as_bytes()] {
            part::extend(&mut self.members, piece, self.bound)?;
        }
        Ok(())
    }

    /// `targets` begins.
    pub(super) fn targets(&mut self) {
        self.length = Some(0);
    }

    /// Takes an entry of `targets`.
    #[inline(never)]
    pub(super) fn entry(
        &mut self,
        path: &str,
        text: &str,
        show: &mut dyn FnMut(&StreamedTarget<'_>),
    ) {
        self.length = self.length.map(|length| length.saturating_add(1));
        if self.problem.is_some() {
            return;
        }
        match StreamedTarget::read(path, text) {
            Ok(target) => show(&target),
            Err(error) => self.problem = Some(error),
        }
    }

    /// The content cannot be read for this reason; the file may still not be signed at all.
    pub(super) fn problem(&mut self, what: &str) {
        let problem = || MetadataError::malformed(0, what);
        self.problem.get_or_insert_with(problem);
    }

    /// Decodes the content of a file whose threshold has been checked.
    #[inline(never)]
    pub(super) fn decode(mut self, sha256: [u8; 32]) -> Result<StreamedTargets, MetadataError> {
        if let Some(problem) = self.problem {
            return Err(problem);
        }
        if self.members.is_empty() {
            self.members.push(b'{');
        }
        self.members.push(b'}');
        let text = utf8(&self.members)?;
        let mut fields = Fields::of_text("signed", text)?;
        let header = Header::decode(&mut fields, RoleType::Targets)?;
        let delegations = fields.optional_fields("delegations")?;
        let delegates = delegations.map(has_roles).transpose()?.unwrap_or(false);
        let Some(length) = self.length else {
            return fields.fail("targets", "is missing");
        };
        Ok(StreamedTargets {
            header,
            custom: Members::find(text, "custom").map(String::from),
            delegates,
            length,
            sha256,
        })
    }
}

/// Whether a file's `delegations` has any roles. What they are is not looked at: who asks this accepts
/// none.
fn has_roles(mut delegations: Fields<'_>) -> Result<bool, MetadataError> {
    decode_keys(delegations.fields("keys")?)?;
    let listed = delegations.list_is_empty("roles")?;
    match (delegations.optional_fields("succinct_roles")?, listed) {
        (Some(_), Some(_)) => delegations.fail("succinct_roles", "must not stand beside roles"),
        (Some(_), None) => Ok(true),
        (None, Some(is_empty)) => Ok(!is_empty),
        (None, None) => delegations.fail("roles", "is missing"),
    }
}
