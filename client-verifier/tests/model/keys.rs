//! Ed25519 keys from a counter.

use std::collections::BTreeMap;

use countersign_metadata::{Key, KeyId, PublicKey, RoleKeys, Unsigned};
use ring::signature::{Ed25519KeyPair, KeyPair};

/// A private key and its public half as metadata lists it.
#[derive(Clone)]
pub(crate) struct Signer {
    seed: [u8; 32],
    pub(crate) key: Key,
}

impl Signer {
    pub(crate) fn number(number: u64) -> Self {
        let mut seed = [0; 32];
        seed[..8].copy_from_slice(&number.to_be_bytes());
        let pair = Ed25519KeyPair::from_seed_unchecked(&seed).unwrap();
        let public = pair.public_key().as_ref().try_into().unwrap();
        let key = Key::new(&PublicKey::Ed25519(public));
        Self { seed, key }
    }

    fn sign(&self, file: &mut Unsigned) {
        let pair = Ed25519KeyPair::from_seed_unchecked(&self.seed).unwrap();
        let signature = pair.sign(file.payload());
        file.add_signature(self.key.id(), signature.as_ref().to_vec());
    }
}

/// A published file: `payload`, signed by all of `signers`.
pub(crate) fn signed<'a>(
    payload: String,
    signers: impl IntoIterator<Item = &'a Signer>,
) -> Vec<u8> {
    let mut file = Unsigned::new(payload);
    for signer in signers {
        signer.sign(&mut file);
    }
    file.to_file()
}

/// All of `signers` as a role's keys; half of them, rounded up, must sign.
pub(crate) fn role_keys(signers: &[Signer]) -> RoleKeys {
    let ids = signers.iter().map(|signer| signer.key.id());
    RoleKeys::new(ids, signers.len().div_ceil(2) as u32)
}

pub(crate) fn by_id<'a>(signers: impl IntoIterator<Item = &'a Signer>) -> BTreeMap<KeyId, Key> {
    let pairs = signers.into_iter().map(|s| (s.key.id(), s.key.clone()));
    pairs.collect()
}
