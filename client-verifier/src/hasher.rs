//! Hashing bytes as they pass.

#[cfg(feature = "ring")]
mod backend {
    use ring::digest::{Context, SHA256, SHA512};

    pub(crate) struct Sha256(Context);
    pub(crate) struct Sha512(Context);

    impl Sha256 {
        pub(crate) fn new() -> Self {
            Self(Context::new(&SHA256))
        }

        pub(crate) fn update(&mut self, bytes: &[u8]) {
            self.0.update(bytes);
        }

        pub(crate) fn is(self, digest: &[u8; 32]) -> bool {
            self.0.finish().as_ref() == digest
        }
    }

    impl Sha512 {
        pub(crate) fn new() -> Self {
            Self(Context::new(&SHA512))
        }

        pub(crate) fn update(&mut self, bytes: &[u8]) {
            self.0.update(bytes);
        }

        pub(crate) fn is(self, digest: &[u8; 64]) -> bool {
            self.0.finish().as_ref() == digest
        }
    }
}

#[cfg(not(feature = "ring"))]
mod backend {
    use sha2::Digest;

    pub(crate) struct Sha256(sha2::Sha256);
    pub(crate) struct Sha512(sha2::Sha512);

    impl Sha256 {
        pub(crate) fn new() -> Self {
            Self(sha2::Sha256::new())
        }

        pub(crate) fn update(&mut self, bytes: &[u8]) {
            self.0.update(bytes);
        }

        pub(crate) fn is(self, digest: &[u8; 32]) -> bool {
            self.0.finalize()[..] == digest[..]
        }
    }

    impl Sha512 {
        pub(crate) fn new() -> Self {
            Self(sha2::Sha512::new())
        }

        pub(crate) fn update(&mut self, bytes: &[u8]) {
            self.0.update(bytes);
        }

        pub(crate) fn is(self, digest: &[u8; 64]) -> bool {
            self.0.finalize()[..] == digest[..]
        }
    }
}

pub(crate) use backend::{Sha256, Sha512};
