//! What a Targets role lists, as a search sees it.

use countersign_metadata::{Authority, Delegations, Header, Outline, Role as _, Targets, UtcTime};

use crate::current::Current;

/// A current Targets file, or the outline of one that was current when it was made and is still the one that is named.
#[derive(Debug)]
pub enum Listing {
    /// The whole file.
    Whole(Current<Targets>),
    /// All of it but the images, which are looked up in the store.
    Outlined(Outline),
}

impl Listing {
    /// The fields all roles share.
    pub fn header(&self) -> &Header {
        match self {
            Self::Whole(file) => file.content().header(),
            Self::Outlined(outline) => outline.rest().header(),
        }
    }

    /// `version`.
    pub fn version(&self) -> u64 {
        self.header().version
    }

    /// `expires`.
    pub fn expires(&self) -> UtcTime {
        self.header().expires
    }

    /// The delegations, where given.
    pub fn delegations(&self) -> Option<&Delegations> {
        match self {
            Self::Whole(file) => file.content().delegations(),
            Self::Outlined(outline) => outline.rest().delegations(),
        }
    }

    /// The whole file, which there is unless [`Context::outlines`](crate::Context::outlines) is set.
    pub fn whole(&self) -> Option<&Current<Targets>> {
        match self {
            Self::Whole(file) => Some(file),
            Self::Outlined(_) => None,
        }
    }

    /// Who may sign the role `name` that this one delegates to.
    pub(crate) fn delegate(&self, name: &str) -> Option<Authority> {
        self.delegations()?.claimed_authority(name)
    }

    /// Bytes held of the file.
    pub(crate) fn held(&self) -> u64 {
        self.whole()
            .map_or(0, |file| file.verified().received().len() as u64)
    }
}
