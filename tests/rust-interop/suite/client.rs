//! Clients of three makes behind one trait, each with a store that lasts as long as it does.

mod ours;
mod sigstore;
mod tough;

use std::error::Error;

pub(crate) use self::ours::Ours;
pub(crate) use self::sigstore::Sigstore;
pub(crate) use self::tough::Tough;
use crate::tree::{Images, Tree};

/// What a client says when it refuses: its error and the errors behind that.
pub(crate) type Refusal = String;

pub(crate) trait Client: Sized {
    /// What it says when an image is not the one that was signed.
    const WRONG_IMAGE: &str;
    /// What it says when too few keys have signed Timestamp.
    const WRONG_TIMESTAMP: &str;

    /// Trusts the first Root of `tree` and nothing else yet.
    fn new(tree: &Tree) -> Result<Self, Refusal>;

    /// Follows the repository to its current state, then gets the image `name`; `None` if the
    /// repository says that there is none.
    fn fetch(&mut self, name: &str) -> Result<Option<Vec<u8>>, Refusal>;
}

/// A new client gets the image `name`, or says why not.
pub(crate) fn fetch<C: Client>(tree: &Tree, name: &str) -> Result<Option<Vec<u8>>, Refusal> {
    C::new(tree)?.fetch(name)
}

/// The client gets these images and no other.
#[track_caller]
pub(crate) fn expect_images<C: Client>(client: &mut C, images: &Images) {
    for (name, bytes) in images {
        assert_eq!(
            client.fetch(name).as_ref(),
            Ok(&Some(bytes.clone())),
            "{name}"
        );
    }
    assert_eq!(client.fetch("no-such.img"), Ok(None));
}

/// A new client refuses, and its message has `reason` in it.
#[track_caller]
pub(crate) fn expect_refusal<C: Client>(tree: &Tree, name: &str, reason: &str) {
    match fetch::<C>(tree, name) {
        Ok(got) => panic!("expected a refusal with {reason:?}, got {got:?}"),
        Err(refusal) => assert!(refusal.contains(reason), "{refusal}"),
    }
}

fn refusal(error: impl Error) -> Refusal {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        text.push_str(": ");
        text.push_str(&error.to_string());
        source = error.source();
    }
    text
}
