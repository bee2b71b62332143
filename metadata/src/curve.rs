//! Public keys on P-256 and P-384: points in SEC 1 form, and ECDSA with RustCrypto's arithmetic.

/// A curve whose numbers have `$size` bytes, and a point without compression `$length`.
macro_rules! curve {
    ($feature:literal, $curve:ident, $size:literal, $length:literal) => {
        #[cfg(feature = $feature)]
        pub(crate) mod $curve {
            #[cfg(feature = "rustcrypto")]
            pub(crate) use ::$curve::ecdsa::Signature;
            #[cfg(feature = "rustcrypto")]
            use ::$curve::ecdsa::{VerifyingKey, signature::hazmat::PrehashVerifier as _};
            use ::$curve::elliptic_curve::point::{
                AffineCoordinates as _, DecompactPoint as _, DecompressPoint as _,
            };
            use ::$curve::elliptic_curve::subtle::Choice;
            use ::$curve::{AffinePoint, FieldBytes};

            /// A point without compression, however it was written; `None` if it is not on the curve.
            pub(crate) fn uncompressed(point: &[u8]) -> Option<[u8; $length]> {
                let point = decode(point)?;
                let (x, y) = (point.x(), point.y());
                let mut bytes = [4; $length];
                let places = bytes.iter_mut().skip(1);
                for (place, byte) in places.zip(x.iter().chain(&y)) {
                    *place = *byte;
                }
                Some(bytes)
            }

            // Not by way of the curve's own `PublicKey`, which takes more code: its errors can be shown.
            fn decode(point: &[u8]) -> Option<AffinePoint> {
                let (tag, coordinates) = point.split_first()?;
                let (x, y) = coordinates.split_first_chunk::<$size>()?;
                let x = FieldBytes::from(*x);
                let found = match (tag, y) {
                    (2 | 3, []) => AffinePoint::decompress(&x, Choice::from(tag & 1)).into_option(),
                    (4, y) => {
                        let y = FieldBytes::from(<[u8; $size]>::try_from(y).ok()?);
                        AffinePoint::from_coordinates(&x, &y).into_option()
                    }
                    (5, []) => AffinePoint::decompact(&x).into_option(),
                    _ => None,
                };
                found
            }

            /// Reads a signature.
            #[cfg(feature = "rustcrypto")]
            pub(crate) fn signature(der: &[u8]) -> Option<Signature> {
                let (r, s) = crate::asn1::signature(der)?;
                Signature::from_scalars(r, s).ok()
            }

            /// Whether `signature` is that of the key at `point` over `digest`.
            #[cfg(feature = "rustcrypto")]
            pub(crate) fn verify(point: &[u8], digest: &[u8], signature: &Signature) -> bool {
                let key = decode(point).and_then(|point| VerifyingKey::from_affine(point).ok());
                key.is_some_and(|key| verify_with(&key, digest, signature))
            }

            // Not inlined: this takes the largest frame of all, and nothing that has returned before should
            // stand above it on a small device's stack.
            #[cfg(feature = "rustcrypto")]
            #[inline(never)]
            fn verify_with(key: &VerifyingKey, digest: &[u8], signature: &Signature) -> bool {
                key.verify_prehash(digest, signature).is_ok()
            }

            #[cfg(test)]
            mod tests {
                use super::*;
                use ::$curve::PublicKey;
                use ::$curve::elliptic_curve::sec1::ToSec1Point as _;
                use proptest::prelude::*;

                fn by_library(point: &[u8]) -> Option<[u8; $length]> {
                    let key = PublicKey::from_sec1_bytes(point).ok()?;
                    key.to_sec1_point(false).as_bytes().try_into().ok()
                }

                /// Some multiple of the generator, compressed or not.
                fn on_curve(secret: u64, compress: bool) -> std::vec::Vec<u8> {
                    let point = ::$curve::ProjectivePoint::GENERATOR * ::$curve::Scalar::from(secret);
                    point.to_affine().to_sec1_point(compress).as_bytes().to_vec()
                }

                proptest! {
                    #[test]
                    fn points_are_read_as_the_library_reads_them(
                        secret in 1..u64::MAX,
                        compress in any::<bool>(),
                        at in any::<prop::sample::Index>(),
                        byte in any::<u8>(),
                        tag in 0..7_u8,
                        noise in proptest::collection::vec(any::<u8>(), 0..2 * $size + 3),
                    ) {
                        let good = on_curve(secret, compress);
                        prop_assert_eq!(uncompressed(&good), by_library(&good));
                        prop_assert_eq!(uncompressed(&good).map(std::vec::Vec::from), Some(on_curve(secret, false)));
                        let mut tagged = good.clone();
                        tagged[0] = tag;
                        let mut changed = good.clone();
                        let at = at.index(changed.len());
                        changed[at] = byte;
                        let longer = [&good[..], &[byte]].concat();
                        for point in [&tagged, &changed, &longer, &good[..at].to_vec(), &noise] {
                            prop_assert_eq!(uncompressed(point), by_library(point));
                        }
                    }
                }
            }
        }
    };
}

curve!("p256", p256, 32, 65);
curve!("p384", p384, 48, 97);
