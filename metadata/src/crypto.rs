//! The primitives, behind functions so that a back end can be chosen by feature: `ring` on
//! hosted systems, RustCrypto (`rustcrypto`) where ring does not build.

use crate::key::PublicKey;

#[cfg(feature = "ring")]
#[path = "crypto_ring.rs"]
mod backend;

#[cfg(all(feature = "rustcrypto", not(feature = "ring")))]
#[path = "crypto_rustcrypto.rs"]
mod backend;

#[cfg(not(any(feature = "ring", feature = "rustcrypto")))]
compile_error!(
    "countersign-metadata needs a crypto back end: enable feature `ring` or `rustcrypto`"
);

/// SHA-256 of `data`.
pub fn sha256(data: &[u8]) -> [u8; 32] {
    backend::sha256(data)
}

/// SHA-512 of `data`.
pub fn sha512(data: &[u8]) -> [u8; 64] {
    backend::sha512(data)
}

/// Whether `signature` over `message` is valid under `key` and the scheme its type implies.
pub(crate) fn verify(key: &PublicKey, message: &[u8], signature: &[u8]) -> bool {
    #[cfg(test)]
    tests::CHECKS.with(|checks| checks.set(checks.get() + 1));
    backend::verify(key, message, signature)
}

#[cfg(test)]
pub(crate) mod tests {
    use std::cell::Cell;

    std::thread_local! {
        /// Signature checks of this thread so far: what a hostile file can make a device do.
        pub(crate) static CHECKS: Cell<usize> = const { Cell::new(0) };
    }
}
