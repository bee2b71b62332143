//! tough and sigstore-tuf accept what `countersign-repo` publishes, and follow it.

use countersign_repo::policy::Listing;

use crate::client::{Client, Ours, Sigstore, Tough, expect_images, expect_refusal};
use crate::keys::Kind;
use crate::our_repo::{Layout, OurRepository, Shape};

/// One test per shape and client.
macro_rules! accepted {
    ($client:ident: $($name:ident = $kind:ident $layout:ident $consistent:literal $lists:ident;)*) => {$(
        #[test]
        fn $name() {
            accepts::<$client>(&Shape {
                kind: Kind::$kind,
                layout: Layout::$layout,
                consistent: $consistent,
                lists: Listing::$lists,
            });
        }
    )*};
}

mod to_tough {
    use super::*;

    accepted! { Tough:
        flat_ed25519 = Ed25519 Flat true Hashes;
        flat_ecdsa_p256 = EcdsaP256 Flat true Hashes;
        flat_rsa = Rsa Flat true Hashes;
        flat_without_consistent_snapshots = Ed25519 Flat false Hashes;
        flat_with_lengths_only = Ed25519 Flat true Lengths;
        flat_with_versions_only = Ed25519 Flat true Versions;
        delegated_ed25519 = Ed25519 Delegated true Hashes;
        delegated_ecdsa_p256 = EcdsaP256 Delegated true Hashes;
        delegated_rsa = Rsa Delegated true Hashes;
        delegated_without_consistent_snapshots = EcdsaP256 Delegated false Versions;
        prefix_bins = Ed25519 PrefixBins true Hashes;
    }
}

mod to_sigstore_tuf {
    use super::*;

    accepted! { Sigstore:
        flat_ed25519 = Ed25519 Flat true Hashes;
        flat_ecdsa_p256 = EcdsaP256 Flat true Hashes;
        flat_ecdsa_p384 = EcdsaP384 Flat true Hashes;
        flat_rsa = Rsa Flat true Hashes;
        flat_without_consistent_snapshots = Ed25519 Flat false Hashes;
        flat_with_lengths_only = Ed25519 Flat true Lengths;
        flat_with_versions_only = Ed25519 Flat true Versions;
        delegated_ed25519 = Ed25519 Delegated true Hashes;
        delegated_ecdsa_p256 = EcdsaP256 Delegated true Hashes;
        delegated_ecdsa_p384 = EcdsaP384 Delegated true Hashes;
        delegated_rsa = Rsa Delegated true Hashes;
        delegated_without_consistent_snapshots = EcdsaP256 Delegated false Versions;
        prefix_bins = Ed25519 PrefixBins true Hashes;
    }
}

/// The same repositories through our own client, so that a failure above is not a bad repository.
mod to_ours {
    use super::*;

    accepted! { Ours:
        flat = Rsa Flat true Hashes;
        delegated = EcdsaP384 Delegated false Versions;
        prefix_bins = EcdsaP256 PrefixBins true Lengths;
        succinct_bins = Ed25519 SuccinctBins true Hashes;
    }
}

fn accepts<C: Client>(shape: &Shape) {
    let mut repository = OurRepository::publish(shape);
    let mut follower = C::new(&repository.tree()).expect("a client");
    expect_images(&mut follower, &repository.images);

    repository.rotate();
    let tree = repository.tree();
    assert!(tree.metadata().join("2.root.json").exists());
    expect_images(&mut follower, &repository.images);
    let mut newcomer = C::new(&tree).expect("a client");
    expect_images(&mut newcomer, &repository.images);

    tree.spoil_image("kernel-2.img");
    expect_refusal::<C>(&tree, "kernel-2.img", C::WRONG_IMAGE);
    tree.spoil_metadata("timestamp.json");
    expect_refusal::<C>(&tree, "kernel.img", C::WRONG_TIMESTAMP);
}
