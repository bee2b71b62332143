//! What a file that cannot be fetched means.

use super::expect_image;
use crate::by_hand::ByHand;
use crate::client::{Ours, Sigstore, Tough, expect_refusal};

/// Only a repository that says "not there" has no newer Root (TUF 5.3.3). tough takes any failure
/// for that, so whoever can make one request fail keeps its clients at keys that were revoked.
#[test]
fn a_next_root_that_cannot_be_read() {
    let repository = ByHand::with_kernel();
    let tree = repository.publish();
    // There is something under that name, and reading it fails.
    std::fs::create_dir(tree.metadata().join("2.root.json")).expect("a folder");
    expect_refusal::<Ours>(&tree, "kernel.img", "2.root.json");
    expect_refusal::<Sigstore>(&tree, "kernel.img", "2.root.json");
    expect_image::<Tough>(&tree, "kernel.img");
}
