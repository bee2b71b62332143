//! Top-level Targets by its outline: whoever has a file of a million images already need neither read nor check it
//! again to look one up.
//!
//! The outline is believed as the trusted Root is, without a signature: who can write the one can write the other. It
//! is used only for the very file that Snapshot names, and while those who signed this are those who sign the role. A store
//! forgets it when the file is replaced, so that where there is one, it is of the file that is there; and the parts of
//! the file that are read have a check of their own.

use alloc::boxed::Box;
use alloc::string::String;
use alloc::vec::Vec;

use countersign_metadata::json::{Object, Value};
use countersign_metadata::{Authority, MetaFile, Outline, Role as _, RoleType, Targets, sha256};

use super::snapshot::{ExpectFile, ExpectStoredFile, Link, Linked as _};
use super::{State, Transition, misuse};
use crate::context::Context;
use crate::current::{Current, check_fresh};
use crate::image::hex;
use crate::listing::Listing;
use crate::names::StoreName;
use crate::session::{Reply, Step};
use crate::trusted::Trusted;

/// What is kept, as it was read.
#[derive(Debug)]
struct Kept {
    outline: Outline,
    /// What Snapshot said of the file.
    named: MetaFile,
    /// Fingerprint of who signed it.
    authority: String,
}

/// The outline of the file trusted so far.
#[derive(Debug)]
pub(super) struct ExpectOutline {
    pub(super) link: Link<Targets>,
}

impl ExpectOutline {
    pub(super) fn request<O>(&self) -> Step<'_, O> {
        Step::Load {
            name: StoreName::TargetsOutline,
        }
    }

    pub(super) fn supply(self, reply: Reply, context: &Context) -> Transition {
        let kept = match reply {
            Reply::Stored(stored) => Kept::read(&stored.bytes),
            Reply::NotFound => None,
            _ => return Err(misuse("an outline was asked for")),
        };
        let Self { link } = self;
        let authority = fingerprint(&link.authority());
        match kept.filter(|kept| kept.authority == authority) {
            Some(kept) if kept.named == link.meta => {
                let expires = kept.outline.rest().expires();
                check_fresh(expires, RoleType::Targets.name(), context.now)?;
                Ok(end(link, Listing::Outlined(kept.outline), context))
            }
            // A newer one is named, and that it is newer is all that the stored one would be asked.
            Some(kept) if kept.named.version < link.meta.version => {
                Ok(Targets::fetch(ExpectFile { link, floor: None }))
            }
            _ => Ok(Targets::stored(ExpectStoredFile { link })),
        }
    }
}

/// The outline of the file that is trusted now.
#[derive(Debug)]
pub(super) struct ExpectOutlineSaved {
    link: Link<Targets>,
    file: Current<Targets>,
    outline: Vec<u8>,
}

/// Keeps the outline of the trusted file, where there is to be one.
pub(super) fn keep(link: Link<Targets>, file: Current<Targets>, context: &Context) -> State {
    let outline = match context.outlines {
        true => of(&file, &link.meta, &link.authority()),
        false => None,
    };
    match outline {
        Some(outline) => State::OutlineSaved(Box::new(ExpectOutlineSaved {
            link,
            file,
            outline,
        })),
        None => end(link, Listing::Whole(file), context),
    }
}

impl ExpectOutlineSaved {
    pub(super) fn request<O>(&self) -> Step<'_, O> {
        save(&self.file, &self.outline, self.link.chain.version())
    }

    pub(super) fn supply(self, reply: Reply, context: &Context) -> Transition {
        match reply {
            Reply::Saved => Ok(end(self.link, Listing::Whole(self.file), context)),
            _ => Err(misuse("an outline was to be saved")),
        }
    }
}

fn end(link: Link<Targets>, targets: Listing, context: &Context) -> State {
    let (timestamp, snapshot) = link.before;
    let trusted = Trusted::new(link.chain, timestamp, snapshot, targets, context.clone());
    State::Done(Box::new(trusted))
}

/// The outline of `file`, as it is kept.
pub(crate) fn of(
    file: &Current<Targets>,
    named: &MetaFile,
    authority: &Authority,
) -> Option<Vec<u8>> {
    let about: [(&str, Value); 2] = [
        ("authority", fingerprint(authority).into()),
        ("named", named.to_value()),
    ];
    let about: Object = about
        .map(|(name, value)| (name.into(), value))
        .into_iter()
        .collect();
    Outline::encode(file.verified(), &about.into())
}

/// Keeps it.
pub(crate) fn save<'a, O>(
    file: &Current<Targets>,
    outline: &'a [u8],
    accepted_under: u64,
) -> Step<'a, O> {
    Step::Save {
        name: StoreName::TargetsOutline,
        version: file.content().version(),
        bytes: outline,
        sha256: None,
        accepted_under,
    }
}

impl Kept {
    fn read(bytes: &[u8]) -> Option<Self> {
        let (outline, about) = Outline::decode(bytes).ok()?;
        let about = about.as_object()?;
        Some(Self {
            outline,
            named: MetaFile::of(about.get("named")?).ok()?,
            authority: about.get("authority")?.as_str()?.into(),
        })
    }
}

/// The same for the same keys under the same threshold only, in hexadecimal.
fn fingerprint(authority: &Authority) -> String {
    let mut keys: Vec<_> = authority
        .keys()
        .map(|(id, key)| (sha256(id.as_str().as_bytes()), key.fingerprint()))
        .collect();
    keys.sort_unstable();
    let mut named = Vec::from(authority.threshold().to_be_bytes());
    for (id, key) in keys {
        named.extend_from_slice(&id);
        named.extend_from_slice(&key);
    }
    hex(&sha256(&named))
}
