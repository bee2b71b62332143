//! The little of DER that keys and signatures need. DER knows one encoding for each content, and what is
//! read here is that one. None of the values of elliptic curves has 128 bytes or more, so that reading knows
//! lengths of one byte only.

use alloc::vec::Vec;

pub(crate) const INTEGER: u8 = 0x02;
pub(crate) const BIT_STRING: u8 = 0x03;
pub(crate) const SEQUENCE: u8 = 0x30;

/// The content of the value that `der` begins with, if it has this tag, and what follows it.
pub(crate) fn value(der: &[u8], tag: u8) -> Option<(&[u8], &[u8])> {
    match der {
        [found, length @ ..0x80, rest @ ..] if *found == tag => {
            rest.split_at_checked((*length).into())
        }
        _ => None,
    }
}

/// The content of the one value that is all of `der`.
pub(crate) fn only(der: &[u8], tag: u8) -> Option<&[u8]> {
    match value(der, tag)? {
        (content, []) => Some(content),
        _ => None,
    }
}

/// A value with this tag, of these parts.
pub(crate) fn encode(tag: u8, parts: &[&[u8]]) -> Vec<u8> {
    let content = parts.concat();
    let length = content.len().to_be_bytes();
    let digits = length.iter().skip_while(|byte| **byte == 0);
    let mut der = Vec::from([tag]);
    if content.len() >= 0x80 {
        der.push(0x80 | digits.clone().count() as u8);
    }
    der.extend(digits);
    der.extend(content);
    der
}

/// `r` and `s` of an ECDSA signature (RFC 3279 2.2.3), on a curve whose numbers have `N` bytes.
#[cfg(all(feature = "rustcrypto", any(feature = "p256", feature = "p384")))]
pub(crate) fn signature<const N: usize>(der: &[u8]) -> Option<([u8; N], [u8; N])> {
    let (r, rest) = value(only(der, SEQUENCE)?, INTEGER)?;
    let s = only(rest, INTEGER)?;
    Some((unsigned(r)?, unsigned(s)?))
}

/// An integer that is not negative, written in as few bytes as it takes.
#[cfg(all(feature = "rustcrypto", any(feature = "p256", feature = "p384")))]
fn unsigned<const N: usize>(content: &[u8]) -> Option<[u8; N]> {
    let digits = match content {
        // The first bit is a sign.
        [0, first, ..] if *first >= 0x80 => content.get(1..)?,
        [0] | [0x01..0x80, ..] => content,
        _ => return None,
    };
    let mut number = [0; N];
    let mut places = number.iter_mut().rev();
    for digit in digits.iter().rev() {
        *places.next()? = *digit;
    }
    Some(number)
}

#[cfg(test)]
#[cfg(all(feature = "rustcrypto", feature = "p256"))]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// What the library says of the same bytes.
    fn by_library(der: &[u8]) -> Option<([u8; 32], [u8; 32])> {
        let signature = p256::ecdsa::Signature::from_der(der).ok()?;
        let (r, s) = signature.split_bytes();
        Some((r.into(), s.into()))
    }

    /// What there is to sign with: neither 0 nor beyond the curve's order.
    fn ours(der: &[u8]) -> Option<([u8; 32], [u8; 32])> {
        let (r, s) = signature::<32>(der)?;
        p256::ecdsa::Signature::from_scalars(r, s).ok()?;
        Some((r, s))
    }

    fn number() -> impl Strategy<Value = Vec<u8>> {
        let edges = prop::sample::select(std::vec![
            std::vec![],
            std::vec![0],
            std::vec![0, 0],
            std::vec![0, 1],
            std::vec![1],
            std::vec![0x7f],
            std::vec![0x80],
            std::vec![0, 0x80],
            std::vec![0, 0, 0x80],
            std::vec![0xff; 32],
            std::vec![0x7f; 33],
        ]);
        prop_oneof![edges, proptest::collection::vec(any::<u8>(), 0..36)]
    }

    proptest! {
        #[test]
        fn signatures_are_read_as_the_library_reads_them(
            r in number(),
            s in number(),
            change in any::<prop::sample::Index>(),
            byte in any::<u8>(),
        ) {
            let integers = [encode(INTEGER, &[&r]), encode(INTEGER, &[&s])].concat();
            let mut der = encode(SEQUENCE, &[&integers]);
            prop_assert_eq!(ours(&der), by_library(&der));
            for more in [&der[..der.len() - 1], &[&der[..], &[0]].concat()] {
                prop_assert_eq!(ours(more), by_library(more));
            }
            let at = change.index(der.len());
            der[at] = byte;
            prop_assert_eq!(ours(&der), by_library(&der));
            let padded = encode(SEQUENCE, &[&integers, &[5, 0]]);
            prop_assert_eq!(ours(&padded), None);
            prop_assert_eq!(by_library(&padded), None);
        }
    }
}
