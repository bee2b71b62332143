//! Our signers as tough's key sources, beyond what publishing with them shows.

use countersign_signing::{SignError, ToughKey};
use tough::key_source::KeySource as _;
use tough::sign::Sign as _;

use crate::keys::{Keys, Kind};

#[test]
fn a_key_has_one_id_on_both_sides() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    for kind in [Kind::Ed25519, Kind::EcdsaP256, Kind::Rsa] {
        let name = format!("{kind:?}");
        let signer = Keys::new(folder.path(), kind).signer(&name);
        let ours = signer.keyid().to_string();
        let theirs = ToughKey::new(signer).expect("known").tuf_key().key_id();
        assert_eq!(hex(&theirs.expect("an id")), ours, "{kind:?}");
    }
}

#[test]
fn what_tough_does_not_know_and_what_we_do_not_do() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let p384 = Keys::new(folder.path(), Kind::EcdsaP384).signer("p384");
    let refusal = ToughKey::new(p384).expect_err("tough knows no P-384");
    assert!(matches!(refusal, SignError::WrongKey { .. }), "{refusal}");

    let signer = Keys::new(folder.path(), Kind::Ed25519).signer("ed25519");
    let key = ToughKey::new(signer).expect("known");
    let runtime = tokio::runtime::Builder::new_current_thread().build();
    let written = runtime.expect("a runtime").block_on(key.write("key", "id"));
    assert!(written.is_err());
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
