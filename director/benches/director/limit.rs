//! What a processor can do at best.

use ring::signature::{ED25519, Ed25519KeyPair, KeyPair as _, UnparsedPublicKey};

use crate::{SPAN, begin};

/// Checks in a manifest cycle: the manifest and five reports.
pub(crate) const CHECKS: usize = 6;

/// Signatures in a manifest cycle: Targets, Snapshot and Timestamp.
pub(crate) const SIGNATURES: usize = 3;

/// So many checks and the signatures of a manifest cycle, with nothing around them, per second of processor
/// time.
pub(crate) fn cycles(checks: usize) -> f64 {
    let pair = Ed25519KeyPair::from_seed_unchecked(&[7; 32]).unwrap();
    // A report and a Targets file of one image have about this size.
    let message = [42; 900];
    let signature = pair.sign(&message);
    let public = UnparsedPublicKey::new(&ED25519, pair.public_key().as_ref().to_vec());
    let (begun, mut done) = (begin(), 0);
    while begun.0.elapsed() < SPAN {
        for _ in 0..checks {
            public.verify(&message, signature.as_ref()).unwrap();
        }
        for _ in 0..SIGNATURES {
            std::hint::black_box(pair.sign(&message));
        }
        done += 1;
    }
    begun.end(done).rate()
}
