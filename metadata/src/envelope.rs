//! The envelope around every signed document: the bytes as received, the canonical payload in them,
//! and the proof that somebody's threshold signed exactly that payload.

mod retyped;

use alloc::borrow::Cow;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::marker::PhantomData;
use core::ops::{Deref, Range};

use crate::authority::{Authority, Tally};
use crate::document::{Decode, Document};
use crate::entries::{self, RawEntry};
use crate::error::MetadataError;
use crate::field::Fields;
use crate::json::{self, Value, not_utf8};
use crate::key::KeyId;
use crate::root::Root;
use crate::scan::Scanner;
use crate::time::UtcTime;

/// The canonical bytes of `signed`: a slice of the received file when that was canonical
/// already, an encoding of their own otherwise. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Payload {
    text: Arc<String>,
    range: Range<usize>,
}

impl Deref for Payload {
    type Target = str;

    fn deref(&self) -> &str {
        self.text.get(self.range.clone()).unwrap_or_default()
    }
}

impl PartialEq for Payload {
    fn eq(&self, other: &Self) -> bool {
        **self == **other
    }
}

impl Eq for Payload {}

impl Payload {
    /// Around text that is canonical by construction. Not public: decoding relies on sorted,
    /// unique keys, which only the parser can promise for what comes from outside.
    pub(crate) fn encoded(text: String) -> Self {
        Self {
            range: 0..text.len(),
            text: Arc::new(text),
        }
    }
}

/// One entry of `signatures`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignatureEntry {
    /// `keyid`
    pub keyid: KeyId,
    /// `sig`, decoded from hexadecimal; `None` if it was not that, or if the entry lacks what its
    /// document asks for ([`SignatureForm`](crate::SignatureForm)). Then it counts nothing.
    pub signature: Option<Vec<u8>>,
    /// `method`, where the document asks for it: the key's scheme, or the entry counts nothing.
    pub method: Option<String>,
}

/// A file as received. Its content is not decoded, so that nothing acts by accident on what nobody
/// vouched for: [`Signed::verify`] is the way to a `T`. Tools that edit their own working copies
/// have [`Signed::decode_unverified`], which says what it is.
#[derive(Debug, Clone)]
pub struct Signed<T> {
    received: Arc<String>,
    payload: Payload,
    signatures: Vec<SignatureEntry>,
    document: PhantomData<fn() -> T>,
}

/// A named authority's threshold of unique keys signed exactly these bytes, and `T` is what they
/// say. It may be expired: good as a rollback floor, and a `Verified<Root>` authorises the next
/// Root. For anything more it has to be current (see the verifier).
#[derive(Debug, Clone)]
pub struct Verified<T> {
    received: Arc<String>,
    payload: Payload,
    content: T,
}

impl<T: Document> Signed<T> {
    /// Reads the envelope and the canonical payload; takes the bytes over, without copying them.
    ///
    /// # Errors
    /// [`MetadataError::Malformed`] or [`MetadataError::Field`] when it is not strict JSON with
    /// `signed` and `signatures`, or when a key id stands in `signatures` twice (TUF 4.2).
    pub fn parse(received: Vec<u8>) -> Result<Self, MetadataError> {
        let (received, payload, signatures) = read(received)?;
        Ok(Self {
            signatures: entries::judge(signatures, T::SIGNATURES, &payload),
            payload,
            received,
            document: PhantomData,
        })
    }

    /// The file as a value, to stand in another document.
    pub(crate) fn to_value(&self) -> Value {
        // What was parsed once parses again.
        json::parse(self.received()).unwrap_or(Value::Null)
    }

    /// The signatures, checked or not.
    pub fn signatures(&self) -> &[SignatureEntry] {
        &self.signatures
    }

    /// The canonical bytes that signatures cover.
    pub fn payload(&self) -> &Payload {
        &self.payload
    }

    /// The file as received.
    pub fn received(&self) -> &[u8] {
        self.received.as_bytes()
    }

    /// Who of `authority` has signed.
    pub fn tally(&self, authority: &Authority) -> Tally {
        authority.tally(self.payload.as_bytes(), &self.signatures)
    }

    /// What the file claims, on nobody's word: for tools that show or edit their own working
    /// copies. Nothing may be trusted on the strength of it.
    ///
    /// # Errors
    /// What is wrong with the content.
    pub fn decode_unverified(&self) -> Result<T, MetadataError> {
        T::decode(&self.payload)
    }

    /// Checks the threshold, and only then decodes the content.
    ///
    /// # Errors
    /// [`MetadataError::SignatureThreshold`], or what is wrong with the content.
    pub fn verify(self, authority: &Authority) -> Result<Verified<T>, MetadataError> {
        self.check(authority)?;
        let content = T::decode(&self.payload)?;
        Ok(self.with(content))
    }

    fn check(&self, authority: &Authority) -> Result<(), MetadataError> {
        authority.check(self.payload.as_bytes(), &self.signatures)
    }

    /// With its content, once those have signed it who have to.
    fn with(self, content: T) -> Verified<T> {
        Verified {
            received: self.received,
            payload: self.payload,
            content,
        }
    }
}

impl<T: Document> Verified<T> {
    /// What the file says.
    pub fn content(&self) -> &T {
        &self.content
    }

    /// The canonical bytes that were signed.
    pub fn payload(&self) -> &Payload {
        &self.payload
    }

    /// The file as received, byte for byte.
    pub fn received(&self) -> &[u8] {
        self.received.as_bytes()
    }

    /// Where in the file the payload stands, if it stands there as it was signed.
    pub(crate) fn payload_in_file(&self) -> Option<Range<usize>> {
        Arc::ptr_eq(&self.received, &self.payload.text).then(|| self.payload.range.clone())
    }
}

impl Signed<Root> {
    /// Accepts a Root on the word of whoever brought it here out of band: it must only be signed
    /// by its own threshold (TUF 5.2).
    ///
    /// # Errors
    /// As [`Signed::verify`].
    pub fn verify_by_itself(self) -> Result<Verified<Root>, MetadataError> {
        let content = self.decode_unverified()?;
        self.check(&content.root_authority())?;
        Ok(self.with(content))
    }
}

impl Verified<Root> {
    /// Accepts the next Root: signed by a threshold of this one's keys and of its own, with the
    /// version right after this one's (TUF 5.3.4, 5.3.5). Expiry does not matter here.
    ///
    /// # Errors
    /// [`MetadataError::SignatureThreshold`], [`MetadataError::RootVersion`], or what is wrong
    /// with the content.
    pub fn verify_next(&self, next: Signed<Root>) -> Result<Verified<Root>, MetadataError> {
        self.successor().verify(next)
    }

    /// All that is needed of this Root to accept the next one.
    pub fn successor(&self) -> Successor {
        Successor {
            authority: self.content.root_authority(),
            version: self.content.header.version,
        }
    }

    /// Lets the content go.
    pub fn fold(self) -> Folded {
        Folded {
            received: self.received,
            payload: self.payload,
        }
    }
}

/// Who may sign the next Root, and after which version: what a device holds of a trusted Root that cannot
/// hold two.
#[derive(Debug, Clone)]
pub struct Successor {
    authority: Authority,
    version: u64,
}

impl Successor {
    /// Accepts the next Root, as [`Verified::verify_next`] does.
    ///
    /// # Errors
    /// As [`Verified::verify_next`].
    // Not inlined: what its caller holds beside would stand above the checks on a small device's stack.
    #[inline(never)]
    pub fn verify(&self, next: Signed<Root>) -> Result<Verified<Root>, MetadataError> {
        next.check(&self.authority)?;
        let content = next.decode_unverified()?;
        next.check(&content.root_authority())?;
        let (trusted, found) = (self.version, content.header.version);
        match trusted.checked_add(1) == Some(found) {
            true => Ok(next.with(content)),
            false => Err(MetadataError::RootVersion { trusted, found }),
        }
    }
}

/// A verified Root as text. What it says takes several times as much memory, and is read again when it
/// is asked for.
#[derive(Debug, Clone)]
pub struct Folded {
    received: Arc<String>,
    payload: Payload,
}

impl Folded {
    /// The file as received, byte for byte.
    pub fn received(&self) -> &[u8] {
        self.received.as_bytes()
    }

    /// Its `custom`, where given, without the unknown fields.
    pub(crate) fn custom(&self) -> Result<Option<Fields<'_>>, MetadataError> {
        Fields::of_text("signed", &self.payload)?.optional_fields("custom")
    }

    /// The Root with its content.
    pub fn unfold(&self) -> Verified<Root> {
        // What was read once reads again. If it ever did not, it would be a Root that nobody can sign
        // for and that has long expired.
        let content =
            Root::decode(&self.payload).unwrap_or_else(|_| Root::new(UtcTime::EPOCH, true));
        Verified {
            received: Arc::clone(&self.received),
            payload: self.payload.clone(),
            content,
        }
    }
}

/// Reads the envelope, whatever stands in it.
fn read(received: Vec<u8>) -> Result<(Arc<String>, Payload, Vec<RawEntry>), MetadataError> {
    let received = String::from_utf8(received).map_err(|error| not_utf8(error.utf8_error()))?;
    let received = Arc::new(received);
    let mut scanner = Scanner::new(&received);
    let mut payload = None;
    let mut signatures = None;
    scanner.white_space();
    scanner.unique_object(&mut |scanner, name| {
        match name {
            "signed" => payload = Some(read_payload(&received, scanner)?),
            "signatures" => signatures = Some(entries::read(scanner)?),
            _ => entries::pass_over(scanner)?,
        }
        Ok(())
    })?;
    scanner.end()?;
    let missing = |name: &str| MetadataError::field(name, "is missing");
    let payload = payload.ok_or_else(|| missing("signed"))?;
    let signatures = signatures.ok_or_else(|| missing("signatures"))?;
    Ok((received, payload, signatures))
}

fn read_payload(text: &Arc<String>, scanner: &mut Scanner<'_>) -> Result<Payload, MetadataError> {
    let start = scanner.position();
    Ok(match scanner.canonical_form()? {
        Cow::Borrowed(_) => Payload {
            text: Arc::clone(text),
            range: start..scanner.position(),
        },
        Cow::Owned(encoded) => Payload::encoded(encoded),
    })
}
