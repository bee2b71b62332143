//! Ed25519 public keys of small order. Anybody can sign under these, so a signature under one
//! proves nothing (RFC 8032 leaves their refusal to the application).

/// The y-coordinates of the points of order 1, 2, 4 and 8, little-endian, without the sign bit,
/// with those two whose value is written one modulus too large.
const Y: [[u8; 32]; 7] = [
    tail(0x00, 0x00),
    tail(0x01, 0x00),
    [
        0x26, 0xe8, 0x95, 0x8f, 0xc2, 0xb2, 0x27, 0xb0, 0x45, 0xc3, 0xf4, 0x89, 0xf2, 0xef, 0x98,
        0xf0, 0xd5, 0xdf, 0xac, 0x05, 0xd3, 0xc6, 0x33, 0x39, 0xb1, 0x38, 0x02, 0x88, 0x6d, 0x53,
        0xfc, 0x05,
    ],
    [
        0xc7, 0x17, 0x6a, 0x70, 0x3d, 0x4d, 0xd8, 0x4f, 0xba, 0x3c, 0x0b, 0x76, 0x0d, 0x10, 0x67,
        0x0f, 0x2a, 0x20, 0x53, 0xfa, 0x2c, 0x39, 0xcc, 0xc6, 0x4e, 0xc7, 0xfd, 0x77, 0x92, 0xac,
        0x03, 0x7a,
    ],
    tail(0xec, 0xff),
    tail(0xed, 0xff),
    tail(0xee, 0xff),
];

/// The first byte, then the same byte over and over; the last without its top bit.
const fn tail(first: u8, rest: u8) -> [u8; 32] {
    let mut bytes = [rest; 32];
    bytes[0] = first;
    bytes[31] = rest & 0x7f;
    bytes
}

/// Whether anybody can sign under this key.
pub(crate) fn is_weak(key: &[u8; 32]) -> bool {
    let mut y = *key;
    y[31] &= 0x7f;
    Y.contains(&y)
}

#[cfg(test)]
mod tests {
    use countersign_metadata::PublicKey;

    use super::*;

    /// Without any private key: R is the identity and S is 0, which holds whenever the hash is a
    /// multiple of the point's order. That is one message in eight at worst.
    #[test]
    fn anybody_can_sign_under_these() {
        let mut forged = [0; 64];
        forged[0] = 1;
        let signs = |key: [u8; 32]| {
            (0..200u8).any(|message| PublicKey::Ed25519(key).verify(&[message], &forged))
        };
        for y in &Y[..5] {
            assert!(signs(*y), "{y:02x?}");
            assert!(is_weak(y));
        }
        let mut sign_bit = Y[2];
        sign_bit[31] |= 0x80;
        assert!(signs(sign_bit) && is_weak(&sign_bit));
        let honest = [7; 32];
        assert!(!signs(honest) && !is_weak(&honest));
    }
}
