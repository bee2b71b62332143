//! Fields and file names.

use countersign_metadata::json::Value;

use super::{expect_image, expect_none};
use crate::by_hand::ByHand;
use crate::client::{Client as _, Ours, Sigstore, Tough, expect_refusal};

/// With consistent snapshots `dir/name` is at `dir/HASH.name` (TUF 6.2.1); tough looks for it at
/// `HASH.dir/name`. Without, everybody finds it.
#[test]
fn an_image_in_a_folder() {
    let mut repository = ByHand::with_kernel();
    repository.list("boot/loader.img");
    let tree = repository.publish();
    expect_image::<Tough>(&tree, "boot/loader.img");

    repository.root.consistent_snapshot = true;
    for (from, to) in [("targets", "1.targets"), ("snapshot", "1.snapshot")] {
        let tree = repository.publish().metadata();
        std::fs::copy(
            tree.join(format!("{from}.json")),
            tree.join(format!("{to}.json")),
        )
        .expect("copies");
    }
    expect_image::<Ours>(&tree, "boot/loader.img");
    expect_image::<Sigstore>(&tree, "boot/loader.img");
    expect_image::<Tough>(&tree, "kernel.img");
    expect_refusal::<Tough>(&tree, "boot/loader.img", ".boot/loader.img");
}

/// Any hash function will do that the client knows; tough wants SHA-256.
#[test]
fn sha512_alone() {
    let mut repository = ByHand::new();
    repository.list("kernel.img").hashes.sha256 = None;
    let tree = repository.publish();
    expect_image::<Ours>(&tree, "kernel.img");
    expect_image::<Sigstore>(&tree, "kernel.img");
    expect_refusal::<Tough>(&tree, "kernel.img", "missing field `sha256`");
}

/// Root may have a `mirrors` role (TUF 4.3); tough knows no role but the four.
#[test]
fn a_mirrors_role() {
    let mut repository = ByHand::with_kernel();
    let keyids: Value = Value::Array(vec![repository.key().id().as_str().into()]);
    let role = [
        ("keyids".to_owned(), keyids),
        ("threshold".to_owned(), 1_u64.into()),
    ];
    let mirrors = Value::Object(role.into());
    repository
        .root
        .other_roles
        .insert("mirrors".into(), mirrors);
    let tree = repository.publish();
    expect_image::<Ours>(&tree, "kernel.img");
    expect_image::<Sigstore>(&tree, "kernel.img");
    expect_refusal::<Tough>(&tree, "kernel.img", "mirrors");
}

/// Timestamp describes one file (TUF 4.6). A further entry means nothing to us; tough refuses it.
#[test]
fn a_further_entry_in_timestamp() {
    let mut repository = ByHand::with_kernel();
    let entry = Value::Object([("version".to_owned(), 1_u64.into())].into());
    repository.timestamp_extra.insert("x.json".into(), entry);
    let tree = repository.publish();
    expect_image::<Ours>(&tree, "kernel.img");
    expect_image::<Sigstore>(&tree, "kernel.img");
    expect_refusal::<Tough>(&tree, "kernel.img", "meta");
    expect_none::<Ours>(&tree, "x.json");
}

/// tough's client takes any `spec_version`, its editor only 1.0.0: it cannot go on publishing a
/// repository of ours. (Clients take any 1.x: TUF 4.2.)
#[test]
fn the_specification_version_we_write() {
    let repository = ByHand::with_kernel();
    let tree = repository.publish();
    let client = Tough::new(&tree).expect("a client");
    let refused = client.take_over().map(drop).expect_err("refused");
    assert!(refused.contains("1.0.34"), "{refused}");
}
