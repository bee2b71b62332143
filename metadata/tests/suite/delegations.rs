//! Delegations: which role is asked for which path.

use countersign_metadata::json::Object;
use countersign_metadata::uptane::HardwareId;
use countersign_metadata::{
    DelegatedRole, Delegation, Delegations, Matching, PathSet, RoleKeys, Roles, SuccinctRoles,
    TargetPath, Targets, TargetsBuilder, sha256,
};
use proptest::prelude::*;

use crate::common::{decode, hex, id, refusal};

fn path(text: &str) -> TargetPath {
    TargetPath::new(text).unwrap()
}

fn hardware(id: &str) -> HardwareId {
    HardwareId::new(id).unwrap()
}

fn patterns(patterns: &[&str]) -> PathSet {
    PathSet::Patterns(patterns.iter().map(|text| text.to_string()).collect())
}

fn role(name: &str, paths: PathSet, terminating: bool) -> DelegatedRole {
    DelegatedRole {
        name: name.into(),
        role_keys: RoleKeys::new([id("k")], 1),
        paths,
        hardware_ids: None,
        terminating,
        extra: Object::new(),
    }
}

fn listed(roles: Vec<DelegatedRole>) -> Delegations {
    Delegations {
        roles: Roles::Listed(roles.into_iter().map(Delegation::from).collect()),
        ..Delegations::empty()
    }
}

fn names(delegations: &Delegations, text: &str) -> Vec<String> {
    let matching = delegations.matching(&path(text), None).into_iter();
    let roles = matching.flat_map(|matching| match matching {
        Matching::Role { name, .. } => vec![name.into_owned()],
        Matching::Multi(multi) => multi.roles.iter().map(|(name, _)| name.clone()).collect(),
    });
    roles.collect()
}

fn targets_with(delegations: &str) -> String {
    format!(
        r#"{{"_type":"targets","spec_version":"1.0","version":1,"expires":"2030-01-01T00:00:00Z",
        "targets":{{}},"delegations":{delegations}}}"#
    )
}

#[test]
fn roles_are_asked_in_order_until_one_terminates() {
    let delegations = listed(vec![
        role("other", patterns(&["other/*"]), true),
        role("first", patterns(&["fw/*"]), false),
        role("second", patterns(&["none", "fw/?.img"]), true),
        role("never", patterns(&["fw/*"]), false),
    ]);
    assert_eq!(names(&delegations, "fw/a.img"), ["first", "second"]);
    assert_eq!(names(&delegations, "fw/ab.img"), ["first", "never"]);
    assert_eq!(names(&delegations, "other/x"), ["other"]);
    assert!(names(&delegations, "fw/sub/a.img").is_empty());
    let matching = delegations.matching(&path("fw/a.img"), None);
    let ends: Vec<bool> = matching.iter().map(Matching::is_terminating).collect();
    assert_eq!(ends, [false, true]);
}

#[test]
fn hash_prefixes_match_the_path_and_not_the_file() {
    let hash = hex(&sha256(b"fw/a.img"));
    let with = |prefix: &str| PathSet::HashPrefixes(vec!["ffff0".into(), prefix.into()]);
    assert!(with(&hash[..1]).contains(&path("fw/a.img")));
    assert!(with(&hash).contains(&path("fw/a.img")));
    assert!(with("").contains(&path("fw/a.img")));
    assert!(!with(&hash[1..3]).contains(&path("fw/a.img")) || hash.starts_with(&hash[1..3]));
    assert!(!with(&(hash.clone() + "0")).contains(&path("fw/a.img")));
    assert!(!PathSet::HashPrefixes(vec![]).contains(&path("fw/a.img")));
    assert!(!with(&hash[..8]).contains(&path("fw/b.img")));
}

#[test]
fn a_role_trusted_for_no_path_is_asked_for_none() {
    let text = targets_with(r#"{"keys":{},"roles":[{"name":"r","keyids":["k"],"threshold":1}]}"#);
    let (targets, _) = decode::<Targets>(&text).unwrap();
    assert!(names(targets.delegations().unwrap(), "a").is_empty());
}

#[test]
fn delegations_that_can_be_read_two_ways_are_refused() {
    let role = |fields: &str| {
        format!(r#"{{"name":"r","keyids":["k"],"threshold":1,"terminating":false{fields}}}"#)
    };
    let good = role(r#","paths":["*"]"#);
    let bad_roles = [
        role(r#","paths":["*"],"path_hash_prefixes":["0"]"#),
        role(r#","paths":"*""#),
        role(r#","paths":[1]"#),
        role(r#","path_hash_prefixes":[0]"#),
        good.replace("false", "0"),
        good.replace("false", "\"false\""),
        good.replace("\"threshold\":1", "\"threshold\":0"),
        good.replace("\"r\"", "\"\""),
        good.replace("\"r\"", "\"root\""),
        good.replace("\"r\"", "\"timestamp\""),
        good.replace("\"r\"", "\"snapshot\""),
        good.replace("\"r\"", "\"targets\""),
        good.replace("\"r\"", "7"),
        good.replace("\"name\":\"r\",", ""),
        good.replace("\"keyids\":[\"k\"],", ""),
        format!("{good},{good}"),
        "1".into(),
    ];
    let with = |roles: &str| targets_with(&format!(r#"{{"keys":{{}},"roles":[{roles}]}}"#));
    assert!(decode::<Targets>(&with(&good)).is_ok());
    for roles in bad_roles {
        let error = refusal::<Targets>(&with(&roles));
        assert!(error.contains("signed.delegations.roles"), "{error}");
    }
    let bins = r#"{"keyids":["k"],"threshold":1,"bit_length":8,"name_prefix":"b"}"#;
    let succinct =
        |bins: &str| targets_with(&format!(r#"{{"keys":{{}},"succinct_roles":{bins}}}"#));
    assert!(decode::<Targets>(&succinct(bins)).is_ok());
    for (old, new) in [
        ("\"bit_length\":8", "\"bit_length\":0"),
        ("\"bit_length\":8", "\"bit_length\":33"),
        ("\"bit_length\":8", "\"bit_length\":-1"),
        ("\"bit_length\":8", "\"bit_length\":\"8\""),
        ("\"bit_length\":8,", ""),
        ("\"name_prefix\":\"b\"", "\"name_prefix\":1"),
        ("\"threshold\":1", "\"threshold\":0"),
    ] {
        refusal::<Targets>(&succinct(&bins.replace(old, new)));
    }
    refusal::<Targets>(&targets_with(&format!(
        r#"{{"keys":{{}},"roles":[],"succinct_roles":{bins}}}"#
    )));
    for text in ["{}", r#"{"keys":{}}"#, r#"{"roles":[]}"#, "[]", "null"] {
        refusal::<Targets>(&targets_with(text));
    }
}

#[test]
fn a_delegation_can_be_limited_to_hardware() {
    let on = |name: &str, ids: Option<&[&str]>, terminating| DelegatedRole {
        hardware_ids: ids.map(|ids| ids.iter().map(|id| hardware(id)).collect()),
        ..role(name, patterns(&["*"]), terminating)
    };
    let delegations = listed(vec![
        on("one", Some(&["hw-1"]), true),
        on("two", Some(&["hw-2", "hw-1"]), false),
        on("any", None, false),
    ]);
    let names = |id: Option<&str>| -> Vec<String> {
        let id = id.map(hardware);
        let matching = delegations.matching(&path("a"), id.as_ref()).into_iter();
        let names = matching.map(|matching| match matching {
            Matching::Role { name, .. } => name.into_owned(),
            Matching::Multi(multi) => multi.name.clone(),
        });
        names.collect()
    };
    assert_eq!(names(Some("hw-1")), ["one"]);
    assert_eq!(names(Some("hw-2")), ["two", "any"]);
    assert_eq!(names(Some("hw-3")), ["any"]);
    // A TUF client does not know hardware: all are asked.
    assert_eq!(names(None), ["one"]);
}

const MULTI: &str = r#"{"name":"both","paths":["fw/*"],"terminating":true,"min_roles_in_agreement":2,
    "hardwareIds":["hw-1"],"x":1,"roleinfo":[{"rolename":"qa","keyids":["k"],"threshold":1,"y":2},
    {"rolename":"dev","keyids":["k"],"threshold":1}]}"#;

fn with_roles(roles: &str) -> String {
    targets_with(&format!(r#"{{"keys":{{}},"roles":[{roles}]}}"#))
}

#[test]
fn several_roles_are_asked_together() {
    let (targets, payload) = decode::<Targets>(&with_roles(MULTI)).unwrap();
    let delegations = targets.delegations().unwrap();
    let (hw, other) = (hardware("hw-1"), hardware("hw-2"));
    let matching = delegations.matching(&path("fw/a"), Some(&hw));
    let [Matching::Multi(multi)] = matching.as_slice() else {
        panic!("{matching:?}");
    };
    assert_eq!(
        (multi.name.as_str(), multi.min_roles_in_agreement),
        ("both", 2)
    );
    assert!(matching[0].is_terminating());
    let roles: Vec<&str> = multi.roles.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(roles, ["qa", "dev"]);
    assert!(delegations.matching(&path("fw/a"), Some(&other)).is_empty());
    assert!(delegations.matching(&path("a"), Some(&hw)).is_empty());
    // Its roles have files; it has none.
    assert!(delegations.claimed_authority("qa").is_some());
    assert!(delegations.claimed_authority("both").is_none());
    let built = TargetsBuilder::same_as(&targets).unwrap();
    assert_eq!(built.to_payload(), payload);
}

#[test]
fn several_roles_that_cannot_be_told_apart_are_refused() {
    let single = r#"{"name":"qa","keyids":["k"],"threshold":1,"paths":["*"]}"#;
    for (old, new) in [
        ("\"both\"", "\"qa\""),
        ("\"both\"", "\"targets\""),
        ("\"both\"", "\"\""),
        ("\"qa\"", "\"dev\""),
        ("\"qa\"", "\"root\""),
        ("\"rolename\":\"qa\",", ""),
        ("agreement\":2", "agreement\":0"),
        ("agreement\":2", "agreement\":3"),
        ("agreement\":2", "agreement\":\"2\""),
        ("\"min_roles_in_agreement\":2,", ""),
        ("\"threshold\":1", "\"threshold\":0"),
        ("\"x\":1", "\"keyids\":[]"),
        ("\"x\":1", "\"threshold\":1"),
        ("\"x\":1", "\"path_hash_prefixes\":[]"),
        ("[\"hw-1\"]", "[]"),
        ("[\"hw-1\"]", "[\"hw-1\",\"hw-1\"]"),
        ("[\"hw-1\"]", "[\"hw 1\"]"),
        ("[\"hw-1\"]", "null"),
        ("{\"rolename\"", "1,{\"rolename\""),
    ] {
        assert!(MULTI.contains(old), "{old}");
        let error = refusal::<Targets>(&with_roles(&MULTI.replacen(old, new, 1)));
        assert!(error.contains("signed.delegations.roles"), "{new}: {error}");
    }
    for roles in [
        format!("{MULTI},{single}"),
        format!("{single},{MULTI}"),
        format!("{MULTI},{MULTI}"),
    ] {
        assert!(refusal::<Targets>(&with_roles(&roles)).contains("stands twice"));
    }
    let entry = |n: usize| format!(r#"{{"rolename":"r{n}","keyids":[],"threshold":1}}"#);
    let many = |count| {
        let roles: Vec<String> = (0..count).map(entry).collect();
        with_roles(&format!(
            r#"{{"name":"m","min_roles_in_agreement":1,"roleinfo":[{}]}}"#,
            roles.join(",")
        ))
    };
    assert!(decode::<Targets>(&many(64)).is_ok());
    assert!(refusal::<Targets>(&many(65)).contains("roleinfo"));
    assert!(refusal::<Targets>(&many(0)).contains("roleinfo"));
}

#[test]
fn an_authority_exists_only_for_delegated_names() {
    let delegations = listed(vec![role("r", patterns(&["*"]), false)]);
    assert!(delegations.claimed_authority("r").is_some());
    assert!(delegations.claimed_authority("R").is_none());
    assert!(delegations.claimed_authority("targets").is_none());
    let bins = bins(8, "b");
    let delegations = Delegations {
        roles: Roles::Succinct(bins),
        ..Delegations::empty()
    };
    assert!(delegations.claimed_authority("b-0f").is_some());
    for name in [
        "b-f", "b-00f", "b-0F", "b-100", "b", "b-", "c-0f", "b-0g", "b--1",
    ] {
        assert!(delegations.claimed_authority(name).is_none(), "{name}");
    }
}

fn bins(bit_length: u32, prefix: &str) -> SuccinctRoles {
    SuccinctRoles {
        role_keys: RoleKeys::new([id("k")], 1),
        bit_length,
        name_prefix: prefix.into(),
        extra: Object::new(),
    }
}

/// TAP 15's own definition, over the digits of the hash.
fn bin_by_digits(bit_length: u32, prefix: &str, text: &str) -> String {
    let digest = sha256(text.as_bytes());
    let bits: String = digest.iter().map(|byte| format!("{byte:08b}")).collect();
    let number = u64::from_str_radix(&bits[..bit_length as usize], 2).unwrap();
    let width = format!("{:x}", (1_u64 << bit_length) - 1).len();
    format!("{prefix}-{number:0width$x}")
}

#[test]
fn bin_counts_and_names_at_the_edges() {
    assert_eq!(bins(32, "b").bins(), 1 << 32);
    assert_eq!(bins(32, "b").bin_names().next().unwrap(), "b-00000000");
    assert!(bins(32, "b").is_bin("b-ffffffff"));
    assert!(!bins(32, "b").is_bin("b-100000000"));
    assert_eq!(bins(9, "b").bin_names().last().unwrap(), "b-1ff");
    assert_eq!(bins(4, "b").bin_names().count(), 16);
    // Values that no file can carry do not panic.
    for bit_length in [0, 33, 64, u32::MAX] {
        let bins = bins(bit_length, "b");
        assert!(bins.is_bin(&bins.bin_of(&path("a"))));
    }
}

/// Matching written naively, by trying everything; exponential, so for short texts only.
fn naive_match(pattern: &[char], text: &[char]) -> bool {
    match (pattern, text) {
        ([], []) => true,
        (['*', rest @ ..], _) => {
            naive_match(rest, text)
                || matches!(text, [first, more @ ..] if *first != '/' && naive_match(pattern, more))
        }
        (['?', rest @ ..], [first, more @ ..]) => *first != '/' && naive_match(rest, more),
        ([expected, rest @ ..], [first, more @ ..]) => expected == first && naive_match(rest, more),
        _ => false,
    }
}

proptest! {
    #[test]
    fn bins_follow_the_leading_bits(bit_length in 1_u32..=32, text in "([a-z]{1,2}/)?[a-z]{1,20}", prefix in "[a-z-]{0,6}") {
        let bins = bins(bit_length, &prefix);
        let bin = bins.bin_of(&path(&text));
        prop_assert_eq!(&bin, &bin_by_digits(bit_length, &prefix, &text));
        prop_assert!(bins.is_bin(&bin));
    }

    #[test]
    fn patterns_match_as_a_naive_matcher_does(pattern in "[ab*?/ü]{0,9}", text in "[ab/ü]{1,9}") {
        let Ok(target) = TargetPath::new(&text) else { return Ok(()) };
        let expected = naive_match(
            &pattern.chars().collect::<Vec<_>>(),
            &text.chars().collect::<Vec<_>>(),
        );
        prop_assert_eq!(patterns(&[&pattern]).contains(&target), expected);
    }
}
