//! Metadata that may be acted on.

use alloc::format;

use countersign_metadata::{Authority, Role, RoleType, Root, UtcTime, Verified};

use crate::reject::{Code, Reject};

/// Verified, fresh at one `now`, and linked to its parents: a current Root is the last of its
/// chain, a current Snapshot is the one that the current Timestamp names, and so on. Only this
/// authorises the next role or names an image. Made by sessions only.
#[derive(Debug, Clone)]
pub struct Current<T> {
    verified: Verified<T>,
}

/// A file is good until, not at, its `expires` (TUF 5.3.10, 5.4.4, 5.5.6, 5.6.5).
pub(crate) fn check_fresh(expires: UtcTime, role: &str, now: UtcTime) -> Result<(), Reject> {
    match now < expires {
        true => Ok(()),
        false => {
            let detail = format!("it expired at {expires}, and it is {now}");
            Err(Reject::new(Code::Expired, role, detail))
        }
    }
}

impl<T: Role> Current<T> {
    /// `verified`, whose links the caller has checked, unless it has expired.
    pub(crate) fn fresh(verified: Verified<T>, role: &str, now: UtcTime) -> Result<Self, Reject> {
        check_fresh(verified.content().expires(), role, now)?;
        Ok(Self { verified })
    }

    /// `verified`, however old: the Image repository's Snapshot in an offline bundle, whose expiry
    /// does not count (PURE-2).
    pub(crate) fn of_any_age(verified: Verified<T>) -> Self {
        Self { verified }
    }

    /// What the file says.
    pub fn content(&self) -> &T {
        self.verified.content()
    }

    /// The proof that it was signed.
    pub fn verified(&self) -> &Verified<T> {
        &self.verified
    }
}

impl Current<Root> {
    /// Who may sign a top-level role now.
    pub fn authority(&self, role: RoleType) -> Authority {
        self.content().claimed_authority(role)
    }
}
