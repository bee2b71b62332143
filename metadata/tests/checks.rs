//! Checking signatures asks for no memory. One test in a binary of its own, because the counter is the whole
//! process's.

#![cfg(feature = "ring")]
#![allow(clippy::unwrap_used, reason = "a test that cannot set up has failed")]

use std::collections::BTreeMap;

use countersign_metadata::{
    Authority, Key, KeyId, MetadataError, PublicKey, RoleKeys, Signed, Timestamp,
};
use ed25519_dalek::{Signer as _, SigningKey};
use peak_alloc::PeakAlloc;

#[global_allocator]
static MEMORY: PeakAlloc = PeakAlloc;

/// Bytes that `work` had at once at most, beyond what was there.
fn memory<T>(work: impl FnOnce() -> T) -> (T, usize) {
    MEMORY.reset_peak_usage();
    let before = MEMORY.current_usage();
    let done = work();
    (done, MEMORY.peak_usage().saturating_sub(before))
}

#[test]
fn a_check_of_signatures_asks_for_no_memory() {
    // The counter counts.
    assert_eq!(memory(|| drop(Vec::<u8>::with_capacity(3000))).1, 3000);

    let message = b"what is signed".as_slice();
    let (ed25519, ecdsa) = (
        SigningKey::from_bytes(&[3; 32]),
        p256::ecdsa::SigningKey::from_slice(&[3; 32]).unwrap(),
    );
    let signature: p256::ecdsa::DerSignature =
        p256::ecdsa::signature::Signer::sign(&ecdsa, message);
    let signed = [
        (
            PublicKey::Ed25519(ed25519.verifying_key().to_bytes()),
            ed25519.sign(message).to_bytes().to_vec(),
        ),
        (
            PublicKey::from_sec1(ecdsa.verifying_key().to_sec1_point(false).as_bytes()).unwrap(),
            signature.as_bytes().to_vec(),
        ),
    ];
    for (key, signature) in &signed {
        // What is made once, such as what the processor can do, is not a check's.
        assert!(key.verify(message, signature));
        assert_eq!(memory(|| key.verify(message, signature)), (true, 0));
        assert_eq!(memory(|| key.verify(b"another", signature)), (false, 0));
    }

    // The threshold rule, over 200 keys that have all signed; one more is asked for, so that nothing is decoded.
    let payload = r#"{"_type":"timestamp","expires":"2030-01-01T00:00:00Z","meta":{"snapshot.json":{"version":1}},"spec_version":"1.0.34","version":1}"#;
    let signers = (1..=200).map(|number| SigningKey::from_bytes(&[number; 32]));
    let (mut keys, mut entries) = (BTreeMap::new(), Vec::new());
    for signer in signers {
        let key = Key::new(&PublicKey::Ed25519(signer.verifying_key().to_bytes()));
        let digits = signer.sign(payload.as_bytes()).to_bytes();
        let digits: String = digits.iter().map(|byte| format!("{byte:02x}")).collect();
        entries.push(format!(r#"{{"keyid":"{}","sig":"{digits}"}}"#, key.id()));
        keys.insert(key.id(), key);
    }
    let ids: Vec<KeyId> = keys.keys().cloned().collect();
    let authority = Authority::assume("test", &RoleKeys::new(ids, 201), &keys);
    let file = format!(
        r#"{{"signatures":[{}],"signed":{payload}}}"#,
        entries.join(",")
    );
    let signed = Signed::<Timestamp>::parse(file.into_bytes()).unwrap();
    let (refused, bytes) = memory(|| signed.verify(&authority));
    let error = refused.unwrap_err();
    assert!(
        matches!(error, MetadataError::SignatureThreshold { valid: 200, .. }),
        "{error}"
    );
    // What the refusal says.
    assert_eq!(bytes, "test".len());
}
