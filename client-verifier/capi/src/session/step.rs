//! A step as C sees it.

use std::ffi::{CString, c_char};
use std::ptr::null;

use countersign_client::store::file_stem;
use countersign_verifier::{Step, StoreName};

use super::Outcome;
use crate::boundary::c_text;

/// What a file is called in a store: one harmless component of a path, whatever a role is called, and no
/// two files the same.
pub(crate) fn store_name(name: &StoreName) -> String {
    match name {
        // A delegated role may be called "4.root", and no encoded name has a `+`.
        StoreName::RootHistory(version) => format!("root+{version}"),
        // Nor may it be called "." or ".." here, or be a hidden file: nothing is put behind this name.
        other => match file_stem(other).strip_prefix('.') {
            Some(rest) => format!("%2E{rest}"),
            None => file_stem(other),
        },
    }
}

/// What a session needs.
#[repr(u32)]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum countersign_step_kind {
    /// There is no step: the call failed.
    COUNTERSIGN_STEP_NONE = 0,
    /// A file of your store: `name`. Answer with countersign_session_supply_stored or _not_found.
    COUNTERSIGN_STEP_LOAD = 1,
    /// A file of the repository: `name`, below the metadata URL. Answer with
    /// countersign_session_supply_fetched (or _feed and _end_of_file), _not_found or _too_large.
    COUNTERSIGN_STEP_FETCH = 2,
    /// Make `bytes` durable as `name`, with `accepted_under` beside it; where there is a
    /// `history_name`, under that first. Then answer with countersign_session_supply_saved.
    COUNTERSIGN_STEP_SAVE = 3,
    /// The session has succeeded: take its result.
    COUNTERSIGN_STEP_DONE = 4,
}

/// A step of a session. What it points to lives until the next call on the session.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub struct countersign_step {
    /// What is needed. The members below are 0 or NULL where a kind has none.
    pub kind: countersign_step_kind,
    /// The file's name. In the store: one component of a path, without ending and harmless whatever
    /// a role is called, such as "timestamp". In the repository: as it stands in a URL, such as
    /// "4.snapshot.json".
    pub name: *const c_char,
    /// FETCH: the role whose file it is.
    pub role: *const c_char,
    /// FETCH: stop reading after so many bytes.
    pub max_len: u64,
    /// SAVE: the file's version.
    pub version: u64,
    /// SAVE: the version of the Root that the file was accepted under. Keep it with the file.
    pub accepted_under: u64,
    /// SAVE: the file as received.
    pub bytes: *const u8,
    /// SAVE: its length.
    pub len: usize,
    /// SAVE: of a Root, the name under which it is kept for ever, such as "root+4".
    pub history_name: *const c_char,
}

impl countersign_step {
    pub(super) fn done() -> Self {
        Self::bare(countersign_step_kind::COUNTERSIGN_STEP_DONE)
    }

    pub(super) fn none() -> Self {
        Self::bare(countersign_step_kind::COUNTERSIGN_STEP_NONE)
    }

    fn bare(kind: countersign_step_kind) -> Self {
        Self {
            kind,
            name: null(),
            role: null(),
            max_len: 0,
            version: 0,
            accepted_under: 0,
            bytes: null(),
            len: 0,
            history_name: null(),
        }
    }
}

/// A step whose texts are still ours, or the end.
pub(crate) enum Next {
    Step(Plain),
    Done(Outcome),
}

/// A step without its texts, and the texts.
pub(crate) struct Plain {
    step: countersign_step,
    name: String,
    role: Option<String>,
    history: Option<String>,
}

impl Plain {
    /// `None` for the end.
    pub(super) fn of<T>(step: &Step<'_, T>) -> Option<Self> {
        let of_kind = |kind, name| Self {
            step: countersign_step::bare(kind),
            name,
            role: None,
            history: None,
        };
        Some(match step {
            Step::Load { name } => of_kind(
                countersign_step_kind::COUNTERSIGN_STEP_LOAD,
                store_name(name),
            ),
            Step::Fetch { what, max_len } => {
                let kind = countersign_step_kind::COUNTERSIGN_STEP_FETCH;
                let mut plain = of_kind(kind, what.file_name());
                plain.role = Some(what.role().into());
                plain.step.max_len = *max_len;
                plain
            }
            Step::Save {
                name,
                version,
                bytes,
                accepted_under,
                ..
            } => {
                let kind = countersign_step_kind::COUNTERSIGN_STEP_SAVE;
                let mut plain = of_kind(kind, store_name(name));
                plain.history = (*name == StoreName::Root)
                    .then(|| store_name(&StoreName::RootHistory(*version)));
                plain.step.version = *version;
                plain.step.accepted_under = *accepted_under;
                plain.step.bytes = bytes.as_ptr();
                plain.step.len = bytes.len();
                plain
            }
            // No session of this library keeps outlines.
            Step::LoadPart { .. } | Step::Done(_) => return None,
        })
    }
}

/// The texts of the current step.
#[derive(Default)]
pub(super) struct Texts {
    name: CString,
    role: CString,
    history: CString,
}

impl Texts {
    /// Keeps the texts of this step in the place of the last one's.
    pub(super) fn hold(&mut self, plain: Plain) -> countersign_step {
        let optional = |place: &mut CString, text: Option<String>| match text {
            Some(text) => {
                *place = c_text(&text);
                place.as_ptr()
            }
            None => null(),
        };
        self.name = c_text(&plain.name);
        countersign_step {
            name: self.name.as_ptr(),
            role: optional(&mut self.role, plain.role),
            history_name: optional(&mut self.history, plain.history),
            ..plain.step
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_can_be_that_of_a_file() {
        let delegated = |role: &str| store_name(&StoreName::Delegated(role.into()));
        for (role, name) in [
            (".", "%2E"),
            ("..", "%2E."),
            (".hidden", "%2Ehidden"),
            ("a.b", "a.b"),
            ("%2E", "%252E"),
            ("root+1", "root%2B1"),
        ] {
            assert_eq!(delegated(role), name);
        }
        assert_eq!(store_name(&StoreName::RootHistory(1)), "root+1");
    }
}
