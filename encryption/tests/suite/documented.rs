//! The example in docs/encrypted-images.md, which another implementation has made.

use countersign_encryption::{
    ContentKey, Decapsulate, DeviceError, FileInfo, Header, WrapContext, unwrap,
};
use countersign_metadata::uptane::{EcuSerial, EncryptionKey, Vin, WrappedKey};
use countersign_metadata::{Hashes, KeyId, TargetPath, sha256};
use zeroize::Zeroizing;

use crate::common::decrypted;

const PAGE: &str = include_str!("../../../docs/encrypted-images.md");

/// What stands behind `name` at the start of a line of the example.
fn stated(name: &str) -> Vec<u8> {
    let (_, example) = PAGE.split_once("## An example to compare with").unwrap();
    let line = example
        .lines()
        .find(|line| line.starts_with(&format!("{name}  ")));
    let value = line.unwrap_or_else(|| panic!("no {name}"));
    hex::decode(value.rsplit_once(' ').unwrap().1).unwrap()
}

fn content_key() -> ContentKey {
    let mut key = Zeroizing::new([0; 32]);
    key.copy_from_slice(&stated("content key"));
    ContentKey::from_bytes(key)
}

fn encrypted() -> Vec<u8> {
    [stated("header"), stated("segment 0")].concat()
}

/// SHA-256 alone, as the example says.
fn info(bytes: &[u8]) -> FileInfo {
    FileInfo {
        length: bytes.len() as u64,
        hashes: Hashes {
            sha256: Some(sha256(bytes)),
            ..Hashes::default()
        },
    }
}

fn context() -> WrapContext {
    WrapContext {
        vin: Vin::new("WVWZZZ1JZXW000001").unwrap(),
        serial: EcuSerial::new("brake-0001").unwrap(),
        filename: TargetPath::new("brake/2.0.img").unwrap(),
        release_counter: 7,
        method: "aes-256-gcm-64k".into(),
        plaintext: info(&stated("image")),
        ciphertext: info(&encrypted()),
    }
}

struct EcuKey(EncryptionKey);

impl Decapsulate for EcuKey {
    fn public_key(&self) -> &EncryptionKey {
        &self.0
    }

    fn agree(&self, peer: &EncryptionKey) -> Result<Zeroizing<Vec<u8>>, DeviceError> {
        let secret = p256::SecretKey::from_slice(&stated("private key"))?;
        let peer = p256::PublicKey::from_sec1_bytes(peer.public_bytes())?;
        let shared = p256::ecdh::diffie_hellman(secret.to_nonzero_scalar(), peer.as_affine());
        Ok(Zeroizing::new(shared.raw_secret_bytes().to_vec()))
    }
}

#[test]
fn the_image_of_the_example_is_decrypted() {
    let header = Header::parse(stated("header").first_chunk().unwrap()).unwrap();
    assert_eq!(
        sha256(header.as_bytes()).to_vec(),
        stated("additional data")
    );
    let bytes = encrypted();
    let image = decrypted(&content_key(), bytes.len(), &bytes).unwrap();
    assert_eq!(image, stated("image"));
    assert_eq!(image, b"firmware 2.0");
}

#[test]
fn the_wrapped_key_of_the_example_is_unwrapped() {
    let public = EncryptionKey::p256(&stated("public key")).unwrap();
    let keyid = KeyId::new(hex::encode(stated("keyid"))).unwrap();
    assert_eq!(public.id(), keyid);
    let info = String::from_utf8(context().info()).unwrap();
    assert!(PAGE.contains(&info), "not in the page: {info}");
    let wrapped = WrappedKey::new(keyid, stated("enc"), stated("ct"));
    let key = unwrap(&wrapped, &context(), &EcuKey(public)).unwrap();
    assert_eq!(key.expose(), content_key().expose());
}
