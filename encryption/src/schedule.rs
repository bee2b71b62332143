//! The receiving half of HPKE in base mode (RFC 9180), from the result of the Diffie-Hellman
//! function on.
//!
//! The sender's half is the `hpke` crate's. That crate opens only with a private key in memory; an
//! ECU's key may be in a token, which gives out the result of the agreement and nothing else.

use countersign_metadata::uptane::EncryptionAlgorithm;
use ring::hmac;
use zeroize::Zeroizing;

/// HKDF-SHA256 (RFC 9180 7.2).
const KDF: u16 = 0x0001;
/// AES-256-GCM (RFC 9180 7.3).
pub(crate) const AES_256_GCM: u16 = 0x0002;
/// No pre-shared key and no sender's key (RFC 9180 5).
const MODE_BASE: u8 = 0x00;

type Secret = Zeroizing<[u8; 32]>;

/// What opens the one message of a context.
pub(crate) struct MessageKey {
    pub(crate) key: Secret,
    pub(crate) nonce: [u8; 12],
}

/// From the agreed secret `dh` (the x-coordinate, or X25519's output) to the message's key.
pub(crate) fn message_key(
    algorithm: EncryptionAlgorithm,
    aead: u16,
    dh: &[u8],
    (enc, recipient): (&[u8], &[u8]),
    info: &[u8],
) -> MessageKey {
    let kem = kem_id(algorithm);
    let shared_secret = extract_and_expand(&[b"KEM", &kem], dh, &[enc, recipient]);
    key_schedule(
        &[b"HPKE", &kem, &KDF.to_be_bytes(), &aead.to_be_bytes()],
        &shared_secret,
        info,
    )
}

/// RFC 9180 7.1
fn kem_id(algorithm: EncryptionAlgorithm) -> [u8; 2] {
    match algorithm {
        EncryptionAlgorithm::P256 => [0x00, 0x10],
        EncryptionAlgorithm::X25519 => [0x00, 0x20],
    }
}

/// RFC 9180 4.1
fn extract_and_expand(suite: &[&[u8]], dh: &[u8], kem_context: &[&[u8]]) -> Secret {
    let prk = labeled_extract(suite, b"", b"eae_prk", dh);
    labeled_expand(suite, &prk, b"shared_secret", kem_context, 32)
}

/// RFC 9180 5.1
fn key_schedule(suite: &[&[u8]], shared_secret: &Secret, info: &[u8]) -> MessageKey {
    let psk_id_hash = labeled_extract(suite, b"", b"psk_id_hash", b"");
    let info_hash = labeled_extract(suite, b"", b"info_hash", info);
    let context: [&[u8]; 3] = [&[MODE_BASE], &*psk_id_hash, &*info_hash];
    let secret = labeled_extract(suite, &**shared_secret, b"secret", b"");
    let mut nonce = [0; 12];
    nonce.copy_from_slice(&labeled_expand(suite, &secret, b"base_nonce", &context, 12)[..12]);
    MessageKey {
        key: labeled_expand(suite, &secret, b"key", &context, 32),
        nonce,
    }
}

/// RFC 9180 4: HKDF-Extract, which is one HMAC (RFC 5869 2.2).
fn labeled_extract(suite: &[&[u8]], salt: &[u8], label: &[u8], ikm: &[u8]) -> Secret {
    let labeled = [&[b"HPKE-v1".as_slice()], suite, &[label, ikm]].concat();
    hmac_of(salt, &labeled)
}

/// RFC 9180 4: HKDF-Expand, which for up to 32 bytes is one HMAC (RFC 5869 2.3). The first
/// `length` bytes count.
fn labeled_expand(
    suite: &[&[u8]],
    prk: &Secret,
    label: &[u8],
    info: &[&[u8]],
    length: u8,
) -> Secret {
    let length = [0, length];
    let labeled = [
        &[&length[..], b"HPKE-v1"],
        suite,
        &[label],
        info,
        &[&[0x01]],
    ]
    .concat();
    hmac_of(&**prk, &labeled)
}

fn hmac_of(key: &[u8], parts: &[&[u8]]) -> Secret {
    let mut context = hmac::Context::with_key(&hmac::Key::new(hmac::HMAC_SHA256, key));
    for part in parts {
        context.update(part);
    }
    let mut out = Zeroizing::new([0; 32]);
    out.copy_from_slice(context.sign().as_ref());
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bytes(hex: &str) -> Vec<u8> {
        hex::decode(hex).unwrap()
    }

    /// "Ode on a Grecian Urn"
    const INFO: &str = "4f6465206f6e2061204772656369616e2055726e";
    /// ChaCha20-Poly1305. The RFC's appendix has none with AES-256-GCM for these KEMs; this one's
    /// key is as long.
    const CHACHA: u16 = 0x0003;

    /// RFC 9180 A.2.1
    #[test]
    fn x25519_as_in_the_rfc() {
        let secret = bytes("8057991eef8f1f1af18f4a9491d16a1ce333f695d4db8e38da75975c4478e0fb");
        let enc = bytes("1afa08d3dec047a643885163f1180476fa7ddb54c6a8029ea33f95796bf2ac4a");
        let recipient = bytes("4310ee97d88cc1f088a5576c77ab0cf5c3ac797f3d95139c6c84b5429c59662a");
        let secret: [u8; 32] = secret.try_into().unwrap();
        let peer: [u8; 32] = enc.clone().try_into().unwrap();
        let secret = x25519_dalek::StaticSecret::from(secret);
        let dh = secret.diffie_hellman(&peer.into());

        let shared = extract_and_expand(&[b"KEM", &[0, 0x20]], dh.as_bytes(), &[&enc, &recipient]);
        let expected = "0bbe78490412b4bbea4812666f7916932b828bba79942424abb65244930d69a7";
        assert_eq!(hex::encode(*shared), expected);
        let parties = (&enc[..], &recipient[..]);
        let algorithm = EncryptionAlgorithm::X25519;
        let made = message_key(algorithm, CHACHA, dh.as_bytes(), parties, &bytes(INFO));
        let expected = "ad2744de8e17f4ebba575b3f5f5a8fa1f69c2a07f6e7500bc60ca6e3e3ec1c91";
        assert_eq!(hex::encode(*made.key), expected);
        assert_eq!(hex::encode(made.nonce), "5c4d98150661b848853b547f");
    }

    /// RFC 9180 A.5.1
    #[test]
    fn p256_as_in_the_rfc() {
        let secret = bytes("a4d1c55836aa30f9b3fbb6ac98d338c877c2867dd3a77396d13f68d3ab150d3b");
        let enc = bytes(
            "04c07836a0206e04e31d8ae99bfd549380b072a1b1b82e563c935c095827824fc1\
             559eac6fb9e3c70cd3193968994e7fe9781aa103f5b50e934b5b2f387e381291",
        );
        let recipient = bytes(
            "04a697bffde9405c992883c5c439d6cc358170b51af72812333b015621dc0f40ba\
             d9bb726f68a5c013806a790ec716ab8669f84f6b694596c2987cf35baba2a006",
        );
        let secret = p256::SecretKey::from_slice(&secret).unwrap();
        let peer = p256::PublicKey::from_sec1_bytes(&enc).unwrap();
        let dh = p256::ecdh::diffie_hellman(secret.to_nonzero_scalar(), peer.as_affine());
        let dh = dh.raw_secret_bytes();

        let shared = extract_and_expand(&[b"KEM", &[0, 0x10]], dh, &[&enc, &recipient]);
        let expected = "806520f82ef0b03c823b7fc524b6b55a088f566b9751b89551c170f4113bd850";
        assert_eq!(hex::encode(*shared), expected);
        let parties = (&enc[..], &recipient[..]);
        let made = message_key(EncryptionAlgorithm::P256, CHACHA, dh, parties, &bytes(INFO));
        let expected = "a8f45490a92a3b04d1dbf6cf2c3939ad8bfc9bfcb97c04bffe116730c9dfe3fc";
        assert_eq!(hex::encode(*made.key), expected);
        assert_eq!(hex::encode(made.nonce), "726b4390ed2209809f58c693");
    }
}
