//! SubjectPublicKeyInfo (RFC 5280): an algorithm and a public key, in DER.

use alloc::vec::Vec;

use crate::asn1::{self, BIT_STRING, INTEGER, SEQUENCE};

/// Elliptic curve keys on P-256, as AlgorithmIdentifier (RFC 5480).
pub(crate) const P256: &[u8] =
    b"\x30\x13\x06\x07\x2a\x86\x48\xce\x3d\x02\x01\x06\x08\x2a\x86\x48\xce\x3d\x03\x01\x07";

/// On P-384.
pub(crate) const P384: &[u8] =
    b"\x30\x10\x06\x07\x2a\x86\x48\xce\x3d\x02\x01\x06\x05\x2b\x81\x04\x00\x22";

/// RSA (RFC 3279).
pub(crate) const RSA: &[u8] = b"\x30\x0d\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x01\x01\x05\x00";

/// The point in `der`, if that is a key on this curve. There is one way to write it, so comparing is as good
/// as decoding.
pub(crate) fn point<'d>(der: &'d [u8], curve: &[u8]) -> Option<&'d [u8]> {
    let info = asn1::only(der, SEQUENCE)?;
    let bits = asn1::only(info.strip_prefix(curve)?, BIT_STRING)?;
    // How many bits at the end do not count.
    bits.strip_prefix(&[0])
}

/// Modulus and exponent in `der`, if that is an RSA key (RFC 8017 A.1.1). Parameters of any kind are accepted.
#[cfg(feature = "ring")]
pub(crate) fn rsa(der: &[u8]) -> Option<(&[u8], &[u8])> {
    use der::asn1::{ObjectIdentifier, UintRef};
    use der::{Decode as _, Reader as _, SliceReader};
    use spki::SubjectPublicKeyInfoRef;

    const RSA_ENCRYPTION: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.1");
    let info = SubjectPublicKeyInfoRef::from_der(der).ok()?;
    if info.algorithm.oid != RSA_ENCRYPTION {
        return None;
    }
    let mut reader = SliceReader::new(info.subject_public_key.as_bytes()?).ok()?;
    let (modulus, exponent) = reader
        .sequence(|inner| {
            let modulus: UintRef<'_> = inner.decode()?;
            let exponent: UintRef<'_> = inner.decode()?;
            der::Result::Ok((modulus, exponent))
        })
        .ok()?;
    reader.finish().ok()?;
    Some((modulus.as_bytes(), exponent.as_bytes()))
}

/// Without `ring` there is nothing to verify with an RSA key: it is one of an unknown type.
#[cfg(not(feature = "ring"))]
pub(crate) fn rsa(_: &[u8]) -> Option<(&[u8], &[u8])> {
    None
}

/// A public key of this algorithm.
pub(crate) fn encode(algorithm: &[u8], key: &[u8]) -> Vec<u8> {
    let bits = asn1::encode(BIT_STRING, &[&[0], key]);
    asn1::encode(SEQUENCE, &[algorithm, &bits])
}

/// An RSA key, both numbers without leading zeros.
pub(crate) fn encode_rsa(modulus: &[u8], exponent: &[u8]) -> Vec<u8> {
    let integer = |number: &[u8]| {
        // The first bit would be a sign.
        let sign: &[u8] = match number {
            [0x80..=0xff, ..] => &[0],
            _ => &[],
        };
        asn1::encode(INTEGER, &[sign, number])
    };
    let key = asn1::encode(SEQUENCE, &[&integer(modulus), &integer(exponent)]);
    encode(RSA, &key)
}
