//! Every parser of metadata on the same bytes, and what has to hold of what they accept.
#![no_main]

use countersign_metadata::uptane::{
    EcuVersionReport, Mapping, TimeAttestation, VehicleVersionManifest,
};
use countersign_metadata::{Document, Root, Signed, Snapshot, Targets, Timestamp, canonical, json};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    if let Ok(value) = json::parse(data) {
        let text = canonical::encode(&value);
        let again = json::parse(canonical::to_json(&text).as_bytes());
        assert_eq!(
            again.as_ref(),
            Ok(&value),
            "what is encoded reads as it was"
        );
        assert_eq!(canonical::encode(&value), text);
    }
    let _ = Mapping::parse(data);
    document::<Root>(data);
    document::<Timestamp>(data);
    document::<Snapshot>(data);
    document::<Targets>(data);
    document::<VehicleVersionManifest>(data);
    document::<EcuVersionReport>(data);
    document::<TimeAttestation>(data);
    if let Ok(root) = Signed::<Root>::parse(data.to_vec()) {
        let _ = root.verify_by_itself();
    }
    let _ = countersign_verifier::provision_root(data.to_vec());
});

fn document<T: Document>(data: &[u8]) {
    let Ok(signed) = Signed::<T>::parse(data.to_vec()) else {
        return;
    };
    assert_eq!(signed.received(), data);
    let payload = signed.payload().as_bytes().to_vec();
    // The payload of the canonical form is the same payload.
    let text = canonical::to_json(&String::from_utf8(payload).expect("UTF-8"));
    assert!(json::parse(text.as_bytes()).is_ok(), "a payload is JSON");
    let _ = signed.decode_unverified();
}
