//! Our client accepts what tough's editor publishes, and follows it. (sigstore-tuf publishes
//! nothing.)

use crate::client::{Client, Ours, Tough, expect_images, expect_refusal};
use crate::keys::Kind;
use crate::tokens;
use crate::tough_repo::{Shape, ToughRepository};

/// One test per shape.
macro_rules! accepted {
    ($($name:ident = $kind:ident delegated $delegated:literal consistent $consistent:literal;)*) => {$(
        #[test]
        fn $name() {
            accepts(Shape {
                kind: Kind::$kind,
                delegated: $delegated,
                consistent: $consistent,
            });
        }
    )*};
}

accepted! {
    flat_ed25519 = Ed25519 delegated false consistent true;
    flat_ecdsa_p256 = EcdsaP256 delegated false consistent true;
    flat_rsa = Rsa delegated false consistent true;
    flat_without_consistent_snapshots = Ed25519 delegated false consistent false;
    delegated_ed25519 = Ed25519 delegated true consistent true;
    delegated_ecdsa_p256 = EcdsaP256 delegated true consistent true;
    delegated_rsa = Rsa delegated true consistent true;
    delegated_without_consistent_snapshots = Rsa delegated true consistent false;
}

/// The names of the keys of a repository that is published and then rotated.
const KEYS: [&str; 6] = [
    "root-1", "root-2", "root-3", "targets", "online-1", "online-2",
];

#[test]
fn signed_in_tokens() {
    tokens::with_tokens("theirs_to_ours::signed_in_tokens", &KEYS, || {
        for kind in [Kind::Ed25519, Kind::EcdsaP256, Kind::Rsa] {
            let repository = ToughRepository::in_tokens(Shape {
                kind,
                delegated: false,
                consistent: true,
            });
            accepts_repository(repository);
        }
    });
}

fn accepts(shape: Shape) {
    accepts_repository(ToughRepository::new(shape));
}

fn accepts_repository(mut repository: ToughRepository) {
    repository.publish();
    let tree = repository.tree();
    let mut follower = Ours::new(&tree).expect("a client");
    expect_images(&mut follower, &repository.images());

    repository.add("kernel-2.img", b"kernel of the second release");
    repository.rotate();
    assert!(tree.metadata().join("2.root.json").exists());
    expect_images(&mut follower, &repository.images());
    let mut newcomer = Ours::new(&tree).expect("a client");
    expect_images(&mut newcomer, &repository.images());
    // tough itself agrees that this is a good repository.
    let mut theirs = Tough::new(&tree).expect("a client");
    expect_images(&mut theirs, &repository.images());

    tree.spoil_image("kernel-2.img");
    expect_refusal::<Ours>(&tree, "kernel-2.img", Ours::WRONG_IMAGE);
    tree.spoil_metadata("timestamp.json");
    expect_refusal::<Ours>(&tree, "kernel.img", Ours::WRONG_TIMESTAMP);
}
