//! Where the others differ from us. Each test holds both sides to what they do today, so that we
//! notice when one of them changes; each says why ours is as it is.

mod canonical_form;
mod delegations;
mod fetching;
mod formats;
mod keys;

use crate::client::{Client, fetch};
use crate::tree::Tree;

/// A new client gets the image, whose bytes are its name.
#[track_caller]
fn expect_image<C: Client>(tree: &Tree, name: &str) {
    assert_eq!(fetch::<C>(tree, name), Ok(Some(name.as_bytes().to_vec())));
}

/// A new client accepts the repository and finds no such image in it.
#[track_caller]
fn expect_none<C: Client>(tree: &Tree, name: &str) {
    assert_eq!(fetch::<C>(tree, name), Ok(None));
}
