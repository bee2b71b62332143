//! Delegations: what they match, which of them are read, and what ends a search.

use countersign_repo::policy::Listing;

use super::{expect_image, expect_none};
use crate::by_hand::ByHand;
use crate::client::{Ours, Sigstore, Tough, expect_refusal};
use crate::keys::Kind;
use crate::our_repo::{Layout, OurRepository, Shape};
use crate::tree::in_days;

/// Known gap of both: succinct hashed bins (TAP 15). `countersign-repo` writes bins by
/// `path_hash_prefixes` for them. tough cannot read the file; sigstore-tuf looks only at `roles`
/// and finds nothing.
#[test]
fn succinct_bins() {
    let repository = OurRepository::publish(&Shape {
        kind: Kind::Ed25519,
        layout: Layout::SuccinctBins,
        consistent: true,
        lists: Listing::Hashes,
    });
    let tree = repository.tree();
    expect_refusal::<Tough>(&tree, "kernel.img", "missing field `roles`");
    expect_none::<Sigstore>(&tree, "kernel.img");
}

/// A `*` does not match a `/` (TUF 4.5); in tough it does, so it trusts a role for more than its
/// delegator wrote.
#[test]
fn a_star_and_a_slash() {
    let mut repository = ByHand::new();
    repository.delegate("supplier", &["brake/*"]);
    repository.list_in("supplier", "brake/front/left.img");
    let tree = repository.publish();
    expect_none::<Ours>(&tree, "brake/front/left.img");
    expect_none::<Sigstore>(&tree, "brake/front/left.img");
    expect_image::<Tough>(&tree, "brake/front/left.img");
}

/// We read the delegated roles on the way to the image (TUF 5.6.7); tough reads all of them, so
/// one supplier who is late stops everybody's updates.
#[test]
fn an_expired_role_beside_the_way() {
    let mut repository = ByHand::with_kernel();
    repository.delegate("supplier", &["brake-*"]);
    repository.list_in("supplier", "brake-1.img");
    let supplier = repository.delegated.get_mut("supplier");
    supplier.expect("the role").header.expires = in_days(-1);
    let tree = repository.publish();
    expect_image::<Ours>(&tree, "kernel.img");
    expect_image::<Sigstore>(&tree, "kernel.img");
    expect_refusal::<Tough>(&tree, "kernel.img", "expired");
    // On the way, it is refused by all.
    expect_refusal::<Ours>(&tree, "brake-1.img", "expired (supplier)");
    expect_refusal::<Sigstore>(&tree, "brake-1.img", "expired");
}

/// An image that a role lists outside its paths is no image (TUF 4.5). tough gives up the whole
/// repository, which lets any supplier stop everybody's updates.
#[test]
fn an_image_outside_the_paths_of_its_role() {
    let mut repository = ByHand::with_kernel();
    repository.delegate("supplier", &["brake-*"]);
    repository.list_in("supplier", "engine.img");
    let tree = repository.publish();
    expect_image::<Ours>(&tree, "kernel.img");
    expect_image::<Sigstore>(&tree, "kernel.img");
    expect_none::<Ours>(&tree, "engine.img");
    expect_none::<Sigstore>(&tree, "engine.img");
    expect_refusal::<Tough>(&tree, "kernel.img", "engine.img");
}

/// A role that matches but cannot be had ends the search (TUF 5.6.7). sigstore-tuf goes on to the
/// next one, so that whoever drops a role out of Snapshot chooses who answers. tough reads no
/// further delegation after it, and finds nothing.
#[test]
fn a_role_that_snapshot_does_not_list() {
    let mut repository = ByHand::with_kernel();
    repository.delegate("first", &["brake-*"]);
    repository.delegate("second", &["brake-*"]);
    repository.list_in("second", "brake-1.img");
    repository.unlisted.push("first".into());
    let tree = repository.publish();
    expect_refusal::<Ours>(&tree, "brake-1.img", "role-not-in-snapshot (first)");
    expect_image::<Sigstore>(&tree, "brake-1.img");
    expect_none::<Tough>(&tree, "brake-1.img");
    expect_image::<Ours>(&tree, "kernel.img");
}
