//! Ed25519 with RustCrypto, over a message that passes.

use alloc::boxed::Box;

use ed25519_dalek::{Signature, StreamVerifier, VerifyingKey};

/// Starts to check a signature of the key at `point`. The state is large, and a small device's stack is not.
#[inline(never)]
pub(crate) fn start(point: &[u8; 32], signature: &[u8]) -> Option<Box<StreamVerifier>> {
    let signature = Signature::from_slice(signature).ok()?;
    let key = VerifyingKey::from_bytes(point).ok()?;
    key.verify_stream(&signature).ok().map(Box::new)
}

/// Whether it is that of the message that has passed.
#[inline(never)]
pub(crate) fn finish(verifier: Box<StreamVerifier>) -> bool {
    verifier.finalize_and_verify().is_ok()
}
