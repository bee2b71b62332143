//! Looking images up in verified bytes gives what a map would give.

use std::collections::BTreeMap;

use countersign_metadata::json::{Object, Value};
use countersign_metadata::{Hashes, TargetFile, TargetPath, Targets, TargetsBuilder, sha256};
use proptest::prelude::*;

use crate::common::{decode, refusal, time};

fn targets(entries: &str) -> String {
    format!(
        r#"{{"_type":"targets","spec_version":"1.0","version":1,"expires":"2030-01-01T00:00:00Z",
        "targets":{entries}}}"#
    )
}

fn get(targets: &Targets, path: &str) -> Option<TargetFile> {
    targets.get(&TargetPath::new(path).unwrap())
}

#[test]
fn keys_are_compared_by_what_they_mean_not_by_how_they_are_written() {
    let image = |length: u64| {
        format!(
            r#"{{"length":{length},"hashes":{{"sha256":"{}"}}}}"#,
            "00".repeat(32)
        )
    };
    // `"` (0x22) is escaped in the text, so its raw bytes sort after `Z`, but the key does not.
    let text = targets(&format!(
        r#"{{"a\"z":{},"aZ":{},"a":{},"a!":{},"\u00fc/\ud83d\ude00":{},"zz":{},"a\u005cb":{}}}"#,
        image(1),
        image(2),
        image(3),
        image(4),
        image(5),
        image(6),
        image(7)
    ));
    let (content, _) = decode::<Targets>(&text).unwrap();
    assert_eq!(content.len(), 7);
    for (path, length) in [
        ("a\"z", 1),
        ("aZ", 2),
        ("a", 3),
        ("a!", 4),
        ("ü/😀", 5),
        ("zz", 6),
    ] {
        assert_eq!(get(&content, path).unwrap().length, length, "{path}");
    }
    for path in ["A", "a\"", "a\"zz", "ü", "\u{75}\u{308}/😀", "zzz", "b"] {
        assert_eq!(get(&content, path), None, "{path}");
    }
    // A listed path that is not safe is shown as it is, and cannot be asked for.
    let unsafe_path = content
        .iter()
        .find(|(path, _)| path.contains('\\'))
        .unwrap();
    assert_eq!(unsafe_path.0, "a\\b");
    assert!(TargetPath::new(&unsafe_path.0).is_err());
    assert!(TargetsBuilder::same_as(&content).is_err());
}

#[test]
fn a_control_character_in_a_path_is_kept_and_never_matches_a_safe_path() {
    let hash = "00".repeat(32);
    let text = targets(&format!(
        r#"{{"a\nb":{{"length":1,"hashes":{{"sha256":"{hash}"}}}},"ab":{{"length":2,"hashes":{{"sha256":"{hash}"}}}}}}"#
    ));
    let (content, _) = decode::<Targets>(&text).unwrap();
    let paths: Vec<String> = content.iter().map(|(path, _)| path.into_owned()).collect();
    assert_eq!(paths, ["a\nb", "ab"]);
    assert_eq!(get(&content, "ab").unwrap().length, 2);
}

#[test]
fn every_entry_is_checked_whether_it_is_asked_for_or_not() {
    let hash = "ab".repeat(32);
    let good = format!(r#"{{"length":1,"hashes":{{"sha256":"{hash}"}},"custom":{{"x":1}}}}"#);
    let around = |entry: &str| targets(&format!(r#"{{"a":{good},"b":{entry},"c":{good}}}"#));
    assert!(decode::<Targets>(&around(&good)).is_ok());
    let bad = [
        good.replace("\"length\":1,", ""),
        good.replace("\"length\":1", "\"length\":-1"),
        good.replace("\"length\":1", "\"length\":\"1\""),
        good.replace("\"length\":1", "\"length\":null"),
        good.replace(&format!("\"hashes\":{{\"sha256\":\"{hash}\"}},"), ""),
        good.replace(&format!("{{\"sha256\":\"{hash}\"}}"), "{}"),
        good.replace(&format!("{{\"sha256\":\"{hash}\"}}"), "[]"),
        good.replace(&format!("\"{hash}\""), "\"\""),
        good.replace(&format!("\"{hash}\""), "7"),
        good.replace("abab", "ab"),
        good.replace("abab", "abxx"),
        good.replace("abab", "ab\\u00fc"),
        good.replace("sha256", "sha512"),
        good.replace("{\"x\":1}", "[]"),
        good.replace("{\"x\":1}", "null"),
        "[]".into(),
        "1".into(),
    ];
    for entry in bad {
        refusal::<Targets>(&around(&entry));
    }
    for entries in ["[]", "null", "1", "\"\""] {
        refusal::<Targets>(&targets(entries));
    }
}

#[test]
fn unknown_hash_functions_are_kept_and_do_not_count_as_known() {
    let text = targets(r#"{"a":{"length":0,"hashes":{"blake3":"??","x":{"y":[1]}}}}"#);
    let (content, _) = decode::<Targets>(&text).unwrap();
    let hashes = get(&content, "a").unwrap().hashes;
    assert_eq!(hashes.other.len(), 2);
    assert!(!hashes.any_known());
    assert!(!hashes.match_bytes(b""));
}

#[test]
fn every_known_hash_must_match() {
    let both = Hashes::of(b"image");
    assert!(both.match_bytes(b"image"));
    assert!(!both.match_bytes(b"imagf"));
    let mut sha512_wrong = both.clone();
    sha512_wrong.sha512 = Some([0; 64]);
    assert!(!sha512_wrong.match_bytes(b"image"));
    let mut sha256_wrong = both.clone();
    sha256_wrong.sha256 = Some([0; 32]);
    assert!(!sha256_wrong.match_bytes(b"image"));
    let one = Hashes {
        sha512: None,
        ..both
    };
    assert!(one.match_bytes(b"image"));
    assert!(!Hashes::default().match_bytes(b"image"));
}

#[test]
fn an_empty_file_lists_nothing() {
    let (content, _) = decode::<Targets>(&targets("{}")).unwrap();
    assert!(content.is_empty());
    assert_eq!(get(&content, "a"), None);
    assert_eq!(content.iter().count(), 0);
}

fn image() -> impl Strategy<Value = TargetFile> {
    let custom = proptest::option::of(("[a-z\"\\\\\n]{0,4}", any::<u64>()));
    (any::<u64>(), any::<[u8; 4]>(), custom, any::<bool>()).prop_map(
        |(length, seed, custom, both)| {
            let mut hashes = Hashes::of(&seed);
            if !both {
                hashes.sha512 = None;
                hashes.other.insert("x".into(), Value::Null);
            }
            let mut file = TargetFile::new(length, hashes);
            file.custom = custom.map(|(name, number)| Object::from_iter([(name, number.into())]));
            if both {
                file.extra.insert("note".into(), "ü".into());
            }
            file
        },
    )
}

proptest! {
    #[test]
    fn looking_up_equals_a_map(
        files in proptest::collection::btree_map("[a-c!\"~ü😀]{1,4}", image(), 0..40),
        absent in proptest::collection::vec("[a-c!\"~ü😀]{1,4}", 0..20),
    ) {
        let mut builder = TargetsBuilder::new(time());
        for (path, file) in &files {
            builder.targets.insert(TargetPath::new(path).unwrap(), file.clone());
        }
        let (content, payload) = decode::<Targets>(&countersign_metadata::canonical::to_json(&builder.to_payload())).unwrap();
        prop_assert_eq!(builder.to_payload(), payload);
        for path in files.keys().chain(&absent) {
            prop_assert_eq!(get(&content, path), files.get(path).cloned());
        }
        let listed: BTreeMap<String, TargetFile> =
            content.iter().map(|(path, file)| (path.into_owned(), file)).collect();
        prop_assert_eq!(content.len(), listed.len());
        prop_assert_eq!(listed, files);
    }
}

#[test]
fn a_large_file_finds_every_one_of_its_images() {
    let mut builder = TargetsBuilder::new(time());
    for number in 0..5000_u32 {
        let digest = sha256(&number.to_be_bytes());
        let hashes = Hashes {
            sha256: Some(digest),
            ..Hashes::default()
        };
        let path = TargetPath::new(&format!("{:x}/{number}", digest[0])).unwrap();
        builder
            .targets
            .insert(path, TargetFile::new(number.into(), hashes));
    }
    let (content, _) = decode::<Targets>(&builder.to_payload()).unwrap();
    for (path, file) in &builder.targets {
        assert_eq!(content.get(path).as_ref(), Some(file));
    }
}
