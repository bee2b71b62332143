//! tough verifies what it has decoded and encoded again, with olpc-cjson. We verify the bytes
//! received, and our canonical form is securesystemslib's: keys by code point, text as it is.

use countersign_metadata::json::{Object, Value};

use super::expect_image;
use crate::by_hand::ByHand;
use crate::client::{Ours, Sigstore, Tough, expect_refusal};
use crate::keys::Kind;
use crate::tough_repo::{Shape, ToughRepository};

/// "e" and an accent that combines with it: NFC makes one character of the two.
const NOT_NFC: &str = "re\u{301}gion.img";

/// olpc-cjson sorts keys together with their closing quote, so "fw 2" comes before "fw".
#[test]
fn a_name_that_begins_with_another() {
    let mut repository = ByHand::new();
    for name in ["fw", "fw 2"] {
        repository.list(name);
    }
    let tree = repository.publish();
    expect_image::<Ours>(&tree, "fw 2");
    expect_image::<Sigstore>(&tree, "fw 2");
    expect_refusal::<Tough>(&tree, "fw 2", "Signature threshold of 1 not met");
}

/// olpc-cjson normalises, which would let two names become one. `countersign-repo` refuses such
/// names, so that every client can read what it publishes.
#[test]
fn a_name_that_is_not_normalised() {
    let mut repository = ByHand::new();
    repository.list(NOT_NFC);
    let tree = repository.publish();
    expect_image::<Ours>(&tree, NOT_NFC);
    expect_image::<Sigstore>(&tree, NOT_NFC);
    expect_refusal::<Tough>(&tree, NOT_NFC, "Signature threshold of 1 not met");
}

/// The other way: what tough signs is not the canonical form of what it publishes.
#[test]
fn the_same_names_published_by_tough() {
    for names in [["fw", "fw 2"], ["region.img", NOT_NFC]] {
        let mut repository = ToughRepository::new(Shape {
            kind: Kind::Ed25519,
            delegated: false,
            consistent: false,
        });
        for name in names {
            repository.add(name, b"image");
        }
        repository.publish();
        let tree = repository.tree();
        expect_refusal::<Ours>(&tree, names[1], "signature-threshold (targets)");
        expect_refusal::<Sigstore>(&tree, names[1], "threshold");
        let got = crate::client::fetch::<Tough>(&tree, names[1]);
        assert_eq!(got, Ok(Some(b"image".to_vec())));
    }
}

/// tough leaves an empty `custom` out when it encodes.
#[test]
fn an_empty_custom() {
    let mut repository = ByHand::new();
    repository.list("kernel.img").custom = Some(Object::new());
    let tree = repository.publish();
    expect_image::<Ours>(&tree, "kernel.img");
    expect_image::<Sigstore>(&tree, "kernel.img");
    expect_refusal::<Tough>(&tree, "kernel.img", "Signature threshold of 1 not met");
}

/// tough keeps unknown fields in most places, but not in delegations (TUF 4.1 lets anybody add
/// them, and what is signed has to stay verifiable).
#[test]
fn an_unknown_field_in_a_delegation() {
    let unknown = Object::from_iter([("x-team".to_owned(), Value::from("brakes"))]);
    let mut in_role = ByHand::with_kernel();
    in_role.delegate("supplier", &["brake-*"]).extra = unknown.clone();
    let mut in_delegations = ByHand::with_kernel();
    in_delegations.delegate("supplier", &["brake-*"]);
    in_delegations.delegations().extra = unknown;
    for repository in [in_role, in_delegations] {
        let tree = repository.publish();
        expect_image::<Ours>(&tree, "kernel.img");
        expect_image::<Sigstore>(&tree, "kernel.img");
        expect_refusal::<Tough>(&tree, "kernel.img", "Signature threshold of 1 not met");
    }
}

/// Unknown fields elsewhere are no obstacle to anybody.
#[test]
fn unknown_fields_elsewhere() {
    let unknown = Object::from_iter([("x-team".to_owned(), Value::from("kernel"))]);
    let mut repository = ByHand::new();
    let file = repository.list("kernel.img");
    file.extra = unknown.clone();
    file.custom = Some(unknown.clone());
    repository.targets.extra = unknown.clone();
    repository.root.extra = unknown.clone();
    for role in repository.root.roles.values_mut() {
        role.extra = unknown.clone();
    }
    let tree = repository.publish();
    expect_image::<Ours>(&tree, "kernel.img");
    expect_image::<Sigstore>(&tree, "kernel.img");
    expect_image::<Tough>(&tree, "kernel.img");
}
