//! Role files: what they must say, what they may say, and that nothing of it is lost.

use countersign_metadata::{
    MetaFile, MetadataError, Role, RoleType, Root, Snapshot, Targets, TargetsBuilder, Timestamp,
    UtcTime,
};

use crate::common::{TestKey, decode, refusal, time};

const HEADER: &str = r#""spec_version":"1.0.34","version":7,"expires":"2030-01-01T00:00:00Z""#;

fn root() -> String {
    let key =
        r#"{"keytype":"new","scheme":"newer","keyval":{"public":"x","more":[1]},"note":{"a":1}}"#;
    let role = r#"{"keyids":["k"],"threshold":1,"x-role":[{"y":2}]}"#;
    format!(
        r#"{{"_type":"root",{HEADER},"consistent_snapshot":true,"x-file":{{"b":[null,true,-3]}},
        "keys":{{"k":{key}}},"roles":{{"root":{role},"timestamp":{role},"snapshot":{role},
        "targets":{role},"mirrors":{{"keyids":[],"threshold":0}}}}}}"#
    )
}

fn timestamp() -> String {
    format!(
        r#"{{"_type":"timestamp",{HEADER},"x":"\n\u0000\"","meta":{{"other.json":[1],
        "snapshot.json":{{"version":3,"length":0,"x":1,"hashes":{{"blake3":"zz","sha256":"{}"}}}}}}}}"#,
        "ab".repeat(32)
    )
}

fn snapshot() -> String {
    format!(
        r#"{{"_type":"snapshot",{HEADER},"x":{{}},"meta":{{"targets.json":{{"version":3,"x":[]}},
        "ü ../\"\\.json":{{"version":18446744073709551615,"length":18446744073709551615,
        "hashes":{{"sha512":"{}","x":7}}}}}}}}"#,
        "0f".repeat(64)
    )
}

fn targets() -> String {
    format!(
        r#"{{"_type":"targets",{HEADER},"x":[{{}}],"targets":{{
        "a b/ü.img":{{"length":5,"hashes":{{"sha256":"{0}","x":{{"y":1}}}},"custom":{{"z":[1],"a":"\n"}},"x":0}},
        "b":{{"length":18446744073709551615,"hashes":{{"x":1}}}}}},
        "delegations":{{"x":1,"keys":{{"k":{{"keytype":"?","scheme":"?","keyval":{{}},"x":2}}}},
        "roles":[{{"name":"r1","keyids":["k","missing"],"threshold":3,"paths":["*.img","?"],"terminating":true,"x":3}},
        {{"name":"r2","keyids":[],"threshold":1,"path_hash_prefixes":["00","f"],"terminating":false}}]}}}}"#,
        "cd".repeat(32)
    )
}

fn succinct() -> String {
    format!(
        r#"{{"_type":"targets",{HEADER},"targets":{{}},"delegations":{{"keys":{{}},
        "succinct_roles":{{"keyids":["k"],"threshold":1,"bit_length":32,"name_prefix":"b","x":1}}}}}}"#
    )
}

#[test]
fn unknown_fields_survive_byte_for_byte() {
    let (content, payload) = decode::<Root>(&root()).unwrap();
    assert_eq!(content.to_payload(), payload);
    let (content, payload) = decode::<Timestamp>(&timestamp()).unwrap();
    assert_eq!(content.to_payload(), payload);
    let (content, payload) = decode::<Snapshot>(&snapshot()).unwrap();
    assert_eq!(content.to_payload(), payload);
    for text in [targets(), succinct()] {
        let (content, payload) = decode::<Targets>(&text).unwrap();
        assert_eq!(
            TargetsBuilder::same_as(&content).unwrap().to_payload(),
            payload
        );
    }
}

#[test]
fn one_role_is_never_read_as_another() {
    let files = [
        (RoleType::Root, root()),
        (RoleType::Timestamp, timestamp()),
        (RoleType::Snapshot, snapshot()),
        (RoleType::Targets, targets()),
    ];
    for (kind, text) in &files {
        let verdicts = [
            decode::<Root>(text).map(drop),
            decode::<Timestamp>(text).map(drop),
            decode::<Snapshot>(text).map(drop),
            decode::<Targets>(text).map(drop),
        ];
        for (asked, verdict) in RoleType::ALL.iter().zip(verdicts) {
            match asked == kind {
                true => assert_eq!(verdict, Ok(())),
                false => assert!(
                    matches!(verdict, Err(MetadataError::WrongRoleType { .. })),
                    "{kind} read as {asked}: {verdict:?}"
                ),
            }
        }
    }
    // A file that would fit in every other way is refused for its type alone.
    for (other, found) in [
        ("snapshot", "snapshot"),
        ("Timestamp", "Timestamp"),
        ("", ""),
    ] {
        let text = timestamp().replace("\"timestamp\"", &format!("\"{other}\""));
        assert_eq!(
            decode::<Timestamp>(&text).unwrap_err(),
            MetadataError::WrongRoleType {
                expected: RoleType::Timestamp,
                found: found.into()
            }
        );
    }
    // That is said first, whatever else is wrong with it; but an image is looked at when it is met.
    let nonsense = [("[]", false), ("{\"a\":7}", false), ("{}", true)];
    for (entries, are_entries) in nonsense {
        let text = format!(
            "{{\"_type\":\"later\",\"delegations\":7,\"meta\":{entries},\"targets\":{entries}}}"
        );
        let is_type = |error| matches!(error, MetadataError::WrongRoleType { .. });
        assert!(is_type(decode::<Snapshot>(&text).unwrap_err()), "{text}");
        let error = decode::<Targets>(&text).unwrap_err();
        assert_eq!(is_type(error), are_entries, "{text}");
    }
    for kind in ["7", "null", "[\"timestamp\"]"] {
        refusal::<Timestamp>(&timestamp().replace("\"timestamp\"", kind));
    }
}

#[test]
fn every_required_field_is_required() {
    for name in ["_type", "spec_version", "version", "expires", "meta"] {
        let text = timestamp().replace(&format!("\"{name}\":"), &format!("\"no{name}\":"));
        let error = refusal::<Timestamp>(&text);
        assert!(error.contains(name), "{error}");
    }
    refusal::<Snapshot>(&snapshot().replace("\"meta\":", "\"no\":"));
    refusal::<Timestamp>(&timestamp().replace("snapshot.json", "Snapshot.json"));
    for name in [
        "keys",
        "roles",
        "root",
        "timestamp",
        "snapshot",
        "targets",
        "keytype",
        "keyval",
    ] {
        let text = root().replace(&format!("\"{name}\":"), "\"no\":");
        refusal::<Root>(&text);
    }
    refusal::<Targets>(&targets().replace("\"targets\":", "\"no\":"));
}

#[test]
fn spec_versions_of_major_version_one_are_read() {
    for version in ["1.0", "1.0.0", "1.0.34", "1.9.999", "1.10"] {
        let text = timestamp().replace("1.0.34", version);
        let (content, payload) = decode::<Timestamp>(&text).unwrap();
        assert_eq!(content.header.spec_version, version);
        assert_eq!(content.to_payload(), payload);
    }
    for version in [
        "",
        "1",
        "1.",
        "1..0",
        "1.0.",
        "1.0.0.0",
        "2.0.0",
        "0.9.0",
        "10.0",
        "1.0.x",
        "1.-1",
        "v1.0",
        " 1.0",
        "1.0 ",
        "1,0",
        "1.0.0000000001",
        "١.٠",
    ] {
        let text = timestamp().replace("1.0.34", version);
        let error = decode::<Timestamp>(&text).unwrap_err();
        assert_eq!(
            error,
            MetadataError::UnsupportedSpecVersion {
                found: version.into()
            },
            "{version}"
        );
    }
    refusal::<Timestamp>(&timestamp().replace("\"1.0.34\"", "1"));
}

#[test]
fn versions_start_at_one() {
    for version in ["0", "-1", "\"7\"", "true", "null"] {
        let text = timestamp().replace("\"version\":7", &format!("\"version\":{version}"));
        assert!(refusal::<Timestamp>(&text).contains("signed.version"));
        let text = snapshot().replace("\"version\":3", &format!("\"version\":{version}"));
        assert!(refusal::<Snapshot>(&text).contains("signed.meta.targets.json.version"));
    }
    let most = timestamp().replace("\"version\":7", "\"version\":18446744073709551615");
    let (content, _) = decode::<Timestamp>(&most).unwrap();
    assert_eq!(content.version(), u64::MAX);
    // No version follows the last one: a builder must not wrap around to 0.
    assert_eq!(
        content.next(time(), MetaFile::version(1)).version(),
        u64::MAX
    );
}

#[test]
fn lengths_and_hashes_are_what_they_claim_to_be() {
    for (old, new) in [
        ("\"length\":0", "\"length\":-1"),
        ("\"length\":0", "\"length\":\"0\""),
        ("\"abab", "\"ab"),
        ("\"abab", "\"xyab"),
        ("\"abab", "\"ababab"),
        ("\"hashes\":{", "\"hashes\":[],\"h\":{"),
        ("\"hashes\":{", "\"hashes\":{},\"h\":{"),
    ] {
        assert!(timestamp().contains(old));
        refusal::<Timestamp>(&timestamp().replace(old, new));
    }
    // A digest in capitals is the same digest.
    let (content, _) =
        decode::<Timestamp>(&timestamp().replace(&"ab".repeat(32), &"AB".repeat(32))).unwrap();
    assert_eq!(content.snapshot.hashes.unwrap().sha256, Some([0xab; 32]));
}

#[test]
fn expiry_is_a_date_and_a_time_in_utc() {
    for bad in [
        "",
        "2030-01-01",
        "2030-01-01T00:00:00",
        "2030-01-01T00:00:00+00:00",
        "2030-02-30T00:00:00Z",
    ] {
        let text = timestamp().replace("2030-01-01T00:00:00Z", bad);
        assert!(refusal::<Timestamp>(&text).contains("signed.expires"));
    }
    let (content, _) = decode::<Timestamp>(&timestamp()).unwrap();
    assert_eq!(content.expires(), "2030-01-01T00:00:00Z".parse().unwrap());
    assert_eq!(content.expires().unix(), 1_893_456_000);
}

#[test]
fn times_have_four_digit_years_or_do_not_exist() {
    let first = UtcTime::from_unix(-62_167_219_200).unwrap();
    let last = UtcTime::from_unix(253_402_300_799).unwrap();
    assert_eq!(first.to_string(), "0000-01-01T00:00:00Z");
    assert_eq!(last.to_string(), "9999-12-31T23:59:59Z");
    assert_eq!(first.to_string().parse(), Ok(first));
    assert_eq!(last.to_string().parse(), Ok(last));
    assert_eq!(UtcTime::from_unix(first.unix() - 1), None);
    assert_eq!(last.plus_seconds(1), None);
    assert_eq!(last.plus_seconds(i64::MAX), None);
    assert_eq!(first.plus_seconds(-1), None);
}

#[test]
fn a_root_keeps_its_books() {
    let (a, b) = (TestKey::new(1), TestKey::new(2));
    let mut root = Root::new(time(), true);
    let id_a = root.add_key(RoleType::Root, a.key());
    assert_eq!(root.add_key(RoleType::Root, a.key()), id_a);
    root.add_key(RoleType::Targets, a.key());
    let id_b = root.add_key(RoleType::Root, b.key());
    assert_eq!(
        root.roles[&RoleType::Root].keyids,
        [id_a.clone(), id_b.clone()]
    );
    assert!(root.remove_key(RoleType::Root, &id_a));
    assert!(!root.remove_key(RoleType::Root, &id_a));
    // Targets still lists it.
    assert!(root.keys.contains_key(&id_a));
    assert!(root.remove_key(RoleType::Targets, &id_a));
    assert!(!root.keys.contains_key(&id_a));
    assert!(root.keys.contains_key(&id_b));
    let next = root.next(time());
    assert_eq!((next.version(), &next.keys), (2, &root.keys));
}

#[test]
fn consistent_snapshot_may_be_absent_but_not_something_else() {
    let (content, _) =
        decode::<Root>(&root().replace("\"consistent_snapshot\":true,", "")).unwrap();
    assert!(!content.consistent_snapshot);
    for value in ["1", "\"true\"", "null"] {
        refusal::<Root>(&root().replace("_snapshot\":true", &format!("_snapshot\":{value}")));
    }
}
