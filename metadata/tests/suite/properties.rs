//! What must hold for any bytes, any JSON and any role.

use countersign_metadata::canonical::{encode, is_canonical, to_json};
use countersign_metadata::json::parse;
use countersign_metadata::uptane::{
    EcuVersionReport, Mapping, TimeAttestation, VehicleVersionManifest,
};
use countersign_metadata::{
    Document, PublicKey, Root, Signed, Snapshot, Targets, TargetsBuilder, Timestamp,
};
use proptest::collection::vec;
use proptest::prelude::*;

use crate::common::{TestKey, authority, decode, file};
use crate::generate::{Dice, layout, root, snapshot, targets, timestamp, value};

/// Every reader of whole files, on the same bytes.
fn read_in_every_way(bytes: &[u8]) {
    fn as_document<T: Document>(bytes: &[u8]) {
        if let Ok(signed) = Signed::<T>::parse(bytes.to_vec()) {
            let _ = signed.decode_unverified();
            let _ = signed.tally(&authority(&[("k", TestKey::new(1).key())], 1));
            assert!(is_canonical_payload(signed.payload()));
        }
    }
    as_document::<Root>(bytes);
    as_document::<Timestamp>(bytes);
    as_document::<Snapshot>(bytes);
    as_document::<Targets>(bytes);
    as_document::<EcuVersionReport>(bytes);
    as_document::<VehicleVersionManifest>(bytes);
    as_document::<TimeAttestation>(bytes);
    let _ = Mapping::parse(bytes);
    let _ = is_canonical(bytes);
    let _ = PublicKey::from_spki_der(bytes);
    let _ = PublicKey::from_sec1(bytes);
    if let Ok(value) = parse(bytes) {
        assert_eq!(parse(to_json(&encode(&value)).as_bytes()), Ok(value));
    }
}

/// Whether reading the payload as JSON and encoding it gives the same payload.
fn is_canonical_payload(payload: &str) -> bool {
    parse(to_json(payload).as_bytes()).is_ok_and(|value| encode(&value) == payload)
}

pub fn corpus() -> Vec<Vec<u8>> {
    let signer = TestKey::new(1);
    let hashes = format!(r#"{{"sha256":"{}","x":1}}"#, "ab".repeat(32));
    let header = r#""expires":"2030-01-01T00:00:00Z","spec_version":"1.0.34","#;
    let role = r#"{"keyids":["k"],"threshold":1}"#;
    let key = r#"{"keytype":"ed25519","keyval":{"public":"00"},"scheme":"ed25519"}"#;
    let payloads = [
        format!(
            r#"{{"_type":"root","consistent_snapshot":true,{header}"version":1,"keys":{{"k":{key}}},
            "roles":{{"root":{role},"timestamp":{role},"snapshot":{role},"targets":{role}}}}}"#
        ),
        format!(
            r#"{{"_type":"timestamp",{header}"version":1,"meta":{{"snapshot.json":{{"version":1,"length":7,"hashes":{hashes}}}}}}}"#
        ),
        format!(
            r#"{{"_type":"snapshot",{header}"version":1,"meta":{{"targets.json":{{"version":1}},"ü.json":{{"version":2}}}}}}"#
        ),
        format!(
            r#"{{"_type":"targets",{header}"version":1,"targets":{{"a\"b":{{"length":1,"hashes":{hashes},"custom":{{"n":"\n"}}}},"b":{{"length":2,"hashes":{hashes}}}}},
            "delegations":{{"keys":{{"k":{key}}},"roles":[{{"name":"r","keyids":["k"],"threshold":1,"paths":["*"],"terminating":false}}]}}}}"#
        ),
        format!(
            r#"{{"_type":"targets",{header}"version":1,"targets":{{}},"delegations":{{"keys":{{}},"succinct_roles":{{"keyids":["k"],"threshold":1,"bit_length":8,"name_prefix":"b"}}}}}}"#
        ),
    ];
    payloads
        .iter()
        .flat_map(|payload| {
            let canonical = crate::common::canonical(payload);
            let sign = || vec![("k", signer.sign(&canonical))];
            let pretty = format!("{{\n \"signatures\": [],\n \"signed\": {payload}\n}}\n");
            [file(&canonical, &sign()), pretty.into_bytes()]
        })
        .collect()
}

#[derive(Debug, Clone)]
pub enum Edit {
    Replace(prop::sample::Index, u8),
    Remove(prop::sample::Index),
    Insert(prop::sample::Index, Vec<u8>),
    Repeat(prop::sample::Index, prop::sample::Index),
    Cut(prop::sample::Index),
}

pub fn edit() -> impl Strategy<Value = Edit> {
    let at = any::<prop::sample::Index>;
    let tokens = [
        "{", "}", "[", "]", ",", ":", "\"", "\\", "\\u", "\\ud800", "0", "-", "1.5", "null", " ",
        "\n", "\u{fc}",
    ];
    let token = proptest::sample::select(tokens.to_vec()).prop_map(|text| text.as_bytes().to_vec());
    prop_oneof![
        (at(), any::<u8>()).prop_map(|(at, byte)| Edit::Replace(at, byte)),
        at().prop_map(Edit::Remove),
        (at(), token).prop_map(|(at, token)| Edit::Insert(at, token)),
        (at(), at()).prop_map(|(from, to)| Edit::Repeat(from, to)),
        at().prop_map(Edit::Cut),
    ]
}

pub fn apply(bytes: &mut Vec<u8>, edit: &Edit) {
    if bytes.is_empty() {
        return;
    }
    match edit {
        Edit::Replace(at, byte) => *at.get_mut(bytes) = *byte,
        Edit::Remove(at) => drop(bytes.remove(at.index(bytes.len()))),
        Edit::Insert(at, token) => {
            let at = at.index(bytes.len());
            bytes.splice(at..at, token.iter().copied());
        }
        Edit::Repeat(from, to) => {
            let (from, to) = (from.index(bytes.len()), to.index(bytes.len()));
            let part = bytes[from.min(to)..from.max(to)].to_vec();
            let at = from.max(to);
            bytes.splice(at..at, part);
        }
        Edit::Cut(at) => bytes.truncate(at.index(bytes.len())),
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn no_bytes_make_a_reader_panic(bytes in vec(any::<u8>(), 0..300)) {
        read_in_every_way(&bytes);
    }

    #[test]
    fn no_json_like_text_makes_a_reader_panic(text in "[\\[\\]{}:,\"\\\\u0-9a-f truefalsn.\\-\n]{0,80}") {
        read_in_every_way(text.as_bytes());
    }

    #[test]
    fn no_damage_to_a_good_file_makes_a_reader_panic(
        which in any::<prop::sample::Index>(),
        edits in vec(edit(), 1..6),
    ) {
        let corpus = corpus();
        let mut bytes = which.get(&corpus).clone();
        for edit in &edits {
            apply(&mut bytes, edit);
        }
        read_in_every_way(&bytes);
    }

    #[test]
    fn canonical_means_encoding_changes_nothing(value in value(), random in vec(any::<u8>(), 0..200)) {
        let text = layout(&value, &mut Dice(random.into_iter()));
        let encoded = parse(text.as_bytes()).map(|value| encode(&value));
        prop_assert_eq!(is_canonical(text.as_bytes()), Ok(encoded.as_ref() == Ok(&text)), "{}", text);
        // The envelope canonicalises without building a value; it must come to the same result.
        let envelope = format!(r#"{{"signatures":[],"signed":{text},"x":{text}}}"#);
        let payload = Signed::<Targets>::parse(envelope.into_bytes());
        prop_assert_eq!(payload.is_ok(), encoded.is_ok());
        if let (Ok(payload), Ok(encoded)) = (payload, encoded) {
            prop_assert_eq!(&**payload.payload(), encoded);
        }
    }

    #[test]
    fn encoding_is_undone_by_parsing(value in value()) {
        let encoded = encode(&value);
        let json = to_json(&encoded);
        prop_assert_eq!(parse(json.as_bytes()), Ok(value));
        prop_assert_eq!(is_canonical(json.as_bytes()), Ok(json == encoded));
    }

    #[test]
    fn a_changed_byte_is_refused_or_means_the_same(
        which in 0..10_usize,
        at in any::<prop::sample::Index>(),
        byte in any::<u8>(),
    ) {
        let original = corpus()[which].clone();
        let trust = authority(&[("k", TestKey::new(1).key())], 1);
        let read = |bytes: Vec<u8>| {
            let signed = Signed::<Timestamp>::parse(bytes).ok()?;
            Some((signed.tally(&trust).is_met(), signed.payload().clone()))
        };
        let (signed_before, before) = read(original.clone()).unwrap();
        prop_assert_eq!(signed_before, which % 2 == 0);
        let mut changed = original.clone();
        *at.get_mut(&mut changed) = byte;
        if let Some((true, after)) = read(changed) {
            prop_assert_eq!(before, after);
        }
    }

    #[test]
    fn roots_survive_writing_and_reading(root in root()) {
        prop_assert_eq!(decode::<Root>(&to_json(&root.to_payload())).unwrap(), (root.clone(), root.to_payload()));
    }

    #[test]
    fn snapshots_survive_writing_and_reading(snapshot in snapshot()) {
        let (read, payload) = decode::<Snapshot>(&to_json(&snapshot.to_payload())).unwrap();
        prop_assert_eq!((&read, payload), (&snapshot, snapshot.to_payload()));
    }

    #[test]
    fn timestamps_survive_writing_and_reading(timestamp in timestamp()) {
        let (read, payload) = decode::<Timestamp>(&to_json(&timestamp.to_payload())).unwrap();
        prop_assert_eq!((&read, payload), (&timestamp, timestamp.to_payload()));
    }

    #[test]
    fn targets_survive_writing_and_reading(builder in targets()) {
        let (read, payload) = decode::<Targets>(&to_json(&builder.to_payload())).unwrap();
        prop_assert_eq!(&builder.to_payload(), &payload);
        let again = TargetsBuilder::same_as(&read).unwrap();
        prop_assert_eq!(&again.targets, &builder.targets);
        prop_assert_eq!(&again.delegations, &builder.delegations);
        prop_assert_eq!(&again.extra, &builder.extra);
        prop_assert_eq!(&again.header, &builder.header);
        for (path, file) in &builder.targets {
            let found = read.get(path);
            prop_assert_eq!(found.as_ref(), Some(file));
        }
    }
}

/// The same, for every byte of small files and every value it can take.
#[test]
fn no_single_byte_of_a_signed_file_can_be_changed_unnoticed() {
    let trust = authority(&[("k", TestKey::new(1).key())], 1);
    let original = &corpus()[2];
    let before = Signed::<Timestamp>::parse(original.clone())
        .unwrap()
        .payload()
        .clone();
    let mut accepted = 0;
    for at in 0..original.len() {
        for byte in (0..=255).filter(|byte| *byte != original[at]) {
            let mut changed = original.clone();
            changed[at] = byte;
            let Ok(signed) = Signed::<Timestamp>::parse(changed) else {
                continue;
            };
            if signed.payload() == &before {
                // Only hexadecimal digits of the signature can change their case.
                accepted += usize::from(signed.tally(&trust).is_met());
            } else {
                assert!(!signed.tally(&trust).is_met(), "byte {at} to {byte:#x}");
            }
        }
    }
    let letters = original[..original.len() - before.len()]
        .windows(128)
        .find(|run| run.iter().all(u8::is_ascii_hexdigit))
        .unwrap();
    assert_eq!(
        accepted,
        letters
            .iter()
            .filter(|byte| byte.is_ascii_alphabetic())
            .count()
    );
}
