//! What a processor can do at best.

use ring::signature::{ED25519, Ed25519KeyPair, KeyPair as _, UnparsedPublicKey};

use crate::{SPAN, begin};

/// The signatures of a manifest cycle, with nothing around them, per second of processor time.
pub(crate) fn cycles() -> f64 {
    let pair = Ed25519KeyPair::from_seed_unchecked(&[7; 32]).unwrap();
    // A report and a Targets file of one image have about this size.
    let message = [42; 900];
    let signature = pair.sign(&message);
    let public = UnparsedPublicKey::new(&ED25519, pair.public_key().as_ref().to_vec());
    let (begun, mut done) = (begin(), 0);
    while begun.0.elapsed() < SPAN {
        for _ in 0..6 {
            public.verify(&message, signature.as_ref()).unwrap();
        }
        for _ in 0..3 {
            std::hint::black_box(pair.sign(&message));
        }
        done += 1;
    }
    begun.end(done).rate()
}
