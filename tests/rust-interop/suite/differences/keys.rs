//! Keys: their ids, their kinds, and how often one counts.

use countersign_metadata::json::{Object, Value};
use countersign_metadata::{Key, KeyId, RoleType, canonical, sha256};

use super::expect_image;
use crate::by_hand::ByHand;
use crate::client::{Ours, Sigstore, Tough, expect_refusal};
use crate::keys::Kind;
use crate::our_repo::{Layout, OurRepository, Shape};

/// We conclude nothing from the spelling of a key id (TAP 12); tough recomputes it.
#[test]
fn a_key_id_that_is_no_hash() {
    let mut repository = ByHand::with_kernel();
    let id = KeyId::new("release-key").expect("a key id");
    let key = repository.key();
    repository.root.keys = [(id.clone(), key)].into();
    for role in repository.root.roles.values_mut() {
        role.keyids = vec![id.clone()];
    }
    let tree = repository.publish();
    expect_image::<Ours>(&tree, "kernel.img");
    expect_image::<Sigstore>(&tree, "kernel.img");
    expect_refusal::<Tough>(&tree, "kernel.img", "Failed to parse trusted root metadata");
}

/// tough refuses the whole Root for one key of a kind that it does not know. To us, such a key
/// counts nothing and harms nothing, or nobody could ever introduce a new kind.
#[test]
fn a_key_of_an_unknown_kind_beside_a_good_one() {
    let mut repository = ByHand::with_kernel();
    let key = Key {
        keytype: "post-quantum".into(),
        scheme: "post-quantum".into(),
        keyval: Object::from_iter([("public".to_owned(), Value::from("0f"))]),
        extra: Object::new(),
    };
    repository.root.add_key(RoleType::Timestamp, key);
    let tree = repository.publish();
    expect_image::<Ours>(&tree, "kernel.img");
    expect_image::<Sigstore>(&tree, "kernel.img");
    expect_refusal::<Tough>(&tree, "kernel.img", "post-quantum");
}

/// P-384 is such a kind to tough.
#[test]
fn ecdsa_p384() {
    let repository = OurRepository::publish(&Shape {
        kind: Kind::EcdsaP384,
        layout: Layout::Flat,
        consistent: true,
        lists: Default::default(),
    });
    let tree = repository.tree();
    expect_refusal::<Tough>(&tree, "kernel.img", "Invalid SubjectPublicKeyInfo");
}

/// One private key, listed twice under two ids, must not reach a threshold of two alone: the
/// threshold is there for the case that one key is stolen (TUF 4.3 wants unique keys). We compare
/// key material; the others compare ids.
#[test]
fn one_key_under_two_ids() {
    let mut repository = ByHand::with_kernel();
    let mut key = repository.key();
    key.extra.insert("x-copy".into(), 2_u64.into());
    let id = id_with_unknown_fields(&key);
    repository.root.keys.insert(id.clone(), key);
    let targets = repository.root.roles.get_mut(&RoleType::Targets);
    let targets = targets.expect("the role");
    targets.keyids.push(id);
    targets.threshold = 2;
    let tree = repository.publish();
    expect_refusal::<Ours>(&tree, "kernel.img", "signature-threshold (targets)");
    expect_image::<Sigstore>(&tree, "kernel.img");
    expect_image::<Tough>(&tree, "kernel.img");
}

/// The id that tough computes: over all fields, known or not.
fn id_with_unknown_fields(key: &Key) -> KeyId {
    let mut members = key.extra.clone();
    members.insert("keytype".into(), key.keytype.as_str().into());
    members.insert("scheme".into(), key.scheme.as_str().into());
    members.insert("keyval".into(), key.keyval.clone().into());
    let hash = sha256(canonical::encode(&members.into()).as_bytes());
    let hash: String = hash.iter().map(|byte| format!("{byte:02x}")).collect();
    KeyId::new(hash).expect("a key id")
}
