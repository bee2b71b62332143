//! Changes that several cases make.

use crate::simulate::Json;

/// The same file with `signed` before `signatures`: as long, as valid, other bytes.
pub(super) fn swap_members(file: String) -> String {
    let inner = file
        .strip_prefix('{')
        .and_then(|text| text.strip_suffix('}'));
    let swapped = inner.and_then(|text| {
        let at = text.find(",\"signed\":")?;
        Some(format!("{{{},{}}}", &text[at + 1..], &text[..at]))
    });
    swapped.unwrap_or(file)
}

/// A hexadecimal text with its last digit changed.
pub(super) fn wrong_digit(text: &Json) -> Json {
    let text = text.as_str().unwrap_or_default();
    let last = if text.ends_with('0') { '1' } else { '0' };
    let kept = text.get(..text.len().saturating_sub(1)).unwrap_or_default();
    format!("{kept}{last}").into()
}

/// A P-256 key in PEM, written with its point compressed (SEC 1, 2.3.3).
pub(super) fn compressed_pem(key: &mut Json) {
    /// SubjectPublicKeyInfo up to the point: P-256, compressed.
    const HEADER: &str = "3039301306072a8648ce3d020106082a8648ce3d030107032200";
    let pem = key["keyval"]["public"].as_str().unwrap_or_default();
    let compressed = || {
        let (label, der) = der::pem::decode_vec(pem.as_bytes()).ok()?;
        let (x, y) = der.get(27..)?.split_at_checked(32)?;
        let parity = 2 + (y.last()? & 1);
        let info = [&hex::decode(HEADER).ok()?[..], &[parity], x].concat();
        der::pem::encode_string(label, der::pem::LineEnding::LF, &info).ok()
    };
    key["keyval"]["public"] = compressed().into();
}

/// A key in PEM under the label of something else.
pub(super) fn certificate(key: &mut Json) {
    let public = &mut key["keyval"]["public"];
    *public = public
        .as_str()
        .unwrap_or_default()
        .replace("PUBLIC KEY", "CERTIFICATE")
        .into();
}

/// A P-384 key in PEM that says it is one on P-256.
pub(super) fn of_another_curve(key: &mut Json) {
    /// SubjectPublicKeyInfo up to the point, as long as one of P-384: P-256, uncompressed.
    const HEADER: &str = "3079301306072a8648ce3d020106082a8648ce3d030107036200";
    let pem = key["keyval"]["public"].as_str().unwrap_or_default();
    let respelled = || {
        let (label, der) = der::pem::decode_vec(pem.as_bytes()).ok()?;
        let point = der.get(der.len().checked_sub(97)?..)?;
        let info = [&hex::decode(HEADER).ok()?[..], point].concat();
        der::pem::encode_string(label, der::pem::LineEnding::LF, &info).ok()
    };
    key["keyval"]["public"] = respelled().into();
}

/// An RSA key of 2,048 bits in PEM with two more bytes behind it, where the key itself stands.
pub(super) fn with_more_behind(key: &mut Json) {
    let pem = key["keyval"]["public"].as_str().unwrap_or_default();
    let respelled = || {
        let (label, mut der) = der::pem::decode_vec(pem.as_bytes()).ok()?;
        // The lengths of the whole and of the bit string, which begins after the algorithm.
        for at in [3, 22] {
            *der.get_mut(at)? += 2;
        }
        der.extend([5, 0]);
        der::pem::encode_string(label, der::pem::LineEnding::LF, &der).ok()
    };
    key["keyval"]["public"] = respelled().into();
}

/// A PEM key with the line ends of another system.
pub(super) fn crlf(key: &mut Json) {
    let public = &mut key["keyval"]["public"];
    *public = public
        .as_str()
        .unwrap_or_default()
        .replace('\n', "\r\n")
        .into();
}

/// An ECDSA signature in DER, in hexadecimal, as `r` and `s` of 32 bytes each.
pub(super) fn raw_ecdsa(sig: &mut Json) {
    let der = hex::decode(sig.as_str().unwrap_or_default()).unwrap_or_default();
    let raw = || {
        let r_len = usize::from(*der.get(3)?);
        let r = der.get(4..4 + r_len)?;
        let s = der.get(6 + r_len..)?;
        Some([fixed(r), fixed(s)].concat())
    };
    *sig = raw().map(hex::encode).into();
}

/// A big-endian number in 32 bytes.
fn fixed(number: &[u8]) -> [u8; 32] {
    let mut out = [0; 32];
    for (to, from) in out.iter_mut().rev().zip(number.iter().rev()) {
        *to = *from;
    }
    out
}

/// An Ed25519 signature with the group order added to its second half, a little-endian number
/// below that order.
pub(super) fn ed25519_plus_order(sig: &mut Json) {
    const ORDER: [u8; 32] = [
        0xed, 0xd3, 0xf5, 0x5c, 0x1a, 0x63, 0x12, 0x58, 0xd6, 0x9c, 0xf7, 0xa2, 0xde, 0xf9, 0xde,
        0x14, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x10,
    ];
    let mut bytes = hex::decode(sig.as_str().unwrap_or_default()).unwrap_or_default();
    let mut carry = 0_u16;
    for (byte, order) in bytes.iter_mut().skip(32).zip(ORDER) {
        let sum = u16::from(*byte) + u16::from(order) + carry;
        [*byte, _] = sum.to_le_bytes();
        carry = sum >> 8;
    }
    *sig = hex::encode(bytes).into();
}
