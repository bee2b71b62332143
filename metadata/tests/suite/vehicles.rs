//! Whom a Director's files are for, whom its Root names, and the mapping of repositories.

use countersign_metadata::canonical;
use countersign_metadata::json::{Object, Value, parse};
use countersign_metadata::uptane::{
    Mapping, OfflineCustom, OfflineName, OfflineUpdates, TimeServer, Vin, custom_with_vin,
    folded_time_server, offline_authority, offline_updates, set_offline_updates, set_time_server,
    set_time_server_keys, time_server, time_server_keys, vin_of,
};
use countersign_metadata::{
    Key, KeyId, RoleKeys, RoleType, Root, Signed, Snapshot, TargetPath, Targets, TargetsBuilder,
};

use crate::common::{TestKey, decode, hex, signed_file, time};

fn vin(text: &str) -> Vin {
    Vin::new(text).unwrap()
}

fn snapshot(custom: Option<&str>) -> Snapshot {
    let mut snapshot = Snapshot::new(time());
    if let Some(custom) = custom {
        let value = parse(custom.as_bytes()).unwrap();
        snapshot.extra.insert("custom".into(), value);
    }
    snapshot
}

#[test]
fn a_directors_file_names_its_vehicle() {
    let mut written = snapshot(None);
    written
        .extra
        .insert("custom".into(), custom_with_vin(&vin("V1")).into());
    let (read, _) = decode::<Snapshot>(&written.to_payload()).unwrap();
    assert_eq!(vin_of(&read), Ok(Some(vin("V1"))));
    assert_eq!(vin_of(&snapshot(None)), Ok(None));
    assert_eq!(vin_of(&snapshot(Some("{}"))), Ok(None));
    for bad in [
        "[]",
        "null",
        r#"{"vin":null}"#,
        r#"{"vin":1}"#,
        r#"{"vin":"a b"}"#,
        r#"{"vin":""}"#,
    ] {
        assert!(vin_of(&snapshot(Some(bad))).is_err(), "{bad}");
    }
}

#[test]
fn offline_targets_say_who_they_are_and_for_whom() {
    let targets = |custom: Option<Value>| {
        let mut builder = TargetsBuilder::new(time());
        builder
            .extra
            .extend(custom.map(|custom| ("custom".to_owned(), custom)));
        decode::<Targets>(&builder.to_payload()).unwrap().0
    };
    let mut custom = OfflineCustom {
        name: OfflineName::new("workshop-7").unwrap(),
        vins: Some(vec![vin("V1"), vin("V2")]),
    };
    let read =
        |custom: &OfflineCustom| OfflineCustom::of(&targets(Some(custom.to_object().into())));
    assert_eq!(read(&custom).as_ref(), Ok(&custom));
    custom.vins = None;
    assert_eq!(read(&custom).as_ref(), Ok(&custom));
    for bad in [Vec::new(), vec![vin("V"); 4097]] {
        custom.vins = Some(bad);
        assert!(read(&custom).is_err());
    }
    assert!(OfflineCustom::of(&targets(None)).is_err());
    for bad in [
        "{}",
        r#"{"name":"x","vins":"V1"}"#,
        r#"{"name":1}"#,
        r#"{"name":"a/b"}"#,
    ] {
        let bad = parse(bad.as_bytes()).unwrap();
        assert!(OfflineCustom::of(&targets(Some(bad))).is_err());
    }
}

#[test]
fn names_of_offline_targets_are_plain_file_names() {
    let longest = "x".repeat(64);
    for good in ["a", "7", "workshop-7", "A.b_c-d", "roots", longest.as_str()] {
        assert_eq!(OfflineName::new(good).unwrap().as_str(), good);
    }
    let too_long = "x".repeat(65);
    for bad in [
        "",
        ".",
        "..",
        ".a",
        "-a",
        "a b",
        "a/b",
        "a%20b",
        "\u{e9}",
        "snapshot",
        "root",
        "targets",
        "timestamp",
        too_long.as_str(),
    ] {
        assert!(OfflineName::new(bad).is_err(), "{bad:?}");
    }
}

fn root() -> Root {
    let mut root = Root::new(time(), true);
    root.add_key(RoleType::Root, TestKey::new(1).key());
    root
}

fn read(root: &Root) -> Root {
    let payload = countersign_metadata::canonical::to_json(&root.to_payload());
    decode::<Root>(&payload).unwrap().0
}

#[test]
fn a_root_names_its_time_server() {
    assert_eq!(time_server(&root()), Ok(None));
    let mut with = root();
    with.extra.insert(
        "custom".into(),
        Object::from([("x".into(), Value::Null)]).into(),
    );
    set_time_server(
        &mut with,
        [2, 3].map(|number| TestKey::new(number).key()),
        2,
    );
    let custom = with.extra["custom"].as_object().unwrap();
    assert_eq!(custom["x"], Value::Null);
    let authority = time_server(&read(&with)).unwrap().unwrap();
    assert_eq!(authority.public_keys().len(), 2);
    let signed = TestKey::new(2).sign("payload");
    assert_eq!(signed.len(), 128);
    // No TUF client meets it as a role.
    assert!(read(&with).other_roles.is_empty());
}

#[test]
fn what_stands_beside_further_authorities_stays() {
    let mut with = root();
    let custom = r#"{"timeServer":{"x":1},"offlineUpdates":{"y":2},"z":3}"#;
    with.extra
        .insert("custom".into(), parse(custom.as_bytes()).unwrap());
    let server = TimeServer {
        keys: [(KeyId::new("short").unwrap(), TestKey::new(2).key())].into(),
        threshold: 1,
    };
    set_time_server_keys(&mut with, &server);
    let offline = OfflineUpdates {
        keys: [].into(),
        snapshot: RoleKeys::new([], 1),
        targets: RoleKeys::new([], 2),
    };
    set_offline_updates(&mut with, &offline);
    let with = read(&with);
    assert_eq!(time_server_keys(&with), Ok(Some(server)));
    assert_eq!(offline_updates(&with), Ok(Some(offline)));
    let custom = with.extra["custom"].as_object().unwrap();
    assert!(custom["timeServer"].as_object().unwrap().contains_key("x"));
    assert!(
        custom["offlineUpdates"]
            .as_object()
            .unwrap()
            .contains_key("y")
    );
    assert!(custom.contains_key("z"));
}

#[test]
fn a_root_names_who_signs_offline_updates() {
    let keys: Vec<Key> = [4, 5].map(|number| TestKey::new(number).key()).to_vec();
    let ids: Vec<KeyId> = keys.iter().map(Key::id).collect();
    let mut with = root();
    assert_eq!(offline_authority(&with, RoleType::Targets), Ok(None));
    let offline = OfflineUpdates {
        keys: ids.iter().cloned().zip(keys).collect(),
        snapshot: RoleKeys::new([ids[0].clone()], 1),
        targets: RoleKeys::new(ids.clone(), 2),
    };
    set_offline_updates(&mut with, &offline);
    set_time_server(&mut with, [TestKey::new(2).key()], 1);
    let root = read(&with);
    let keys_of = |role| {
        offline_authority(&root, role)
            .unwrap()
            .map(|authority| authority.public_keys().len())
    };
    assert_eq!(keys_of(RoleType::Snapshot), Some(1));
    assert_eq!(keys_of(RoleType::Targets), Some(2));
    assert_eq!(
        (keys_of(RoleType::Root), keys_of(RoleType::Timestamp)),
        (None, None)
    );
    assert!(time_server(&root).unwrap().is_some());
}

#[test]
fn a_root_that_is_kept_as_text_says_the_same_of_its_time_server() {
    let key = TestKey::new(2).key().to_value();
    let key = canonical::to_json(&canonical::encode(&key));
    for custom in [
        String::from("7"),
        "[]".into(),
        "{}".into(),
        r#"{"vin":"x"}"#.into(),
        r#"{"timeServer":null}"#.into(),
        r#"{"timeServer":{"keys":{},"threshold":0}}"#.into(),
        format!(r#"{{"timeServer":{{"keys":{{"k":{key}}},"threshold":2}}}}"#),
        format!(r#"{{"timeServer":{{"keys":{{"k":{key}}},"threshold":1,"x":1}},"z":1}}"#),
    ] {
        let mut root = root();
        let value = parse(custom.as_bytes()).unwrap();
        root.extra.insert("custom".into(), value);
        let file = signed_file::<Root>(&root.to_payload(), &TestKey::new(1));
        let signed = Signed::<Root>::parse(file).unwrap();
        let verified = signed.verify_by_itself().unwrap();
        let expected = time_server(verified.content());
        let is_object = custom.starts_with('{');
        assert_eq!(
            offline_updates(verified.content()).is_ok(),
            is_object,
            "{custom}"
        );
        assert_eq!(folded_time_server(&verified.fold()), expected, "{custom}");
    }
}

#[test]
fn damaged_authorities_in_root_are_refused_when_asked_for() {
    let with = |part: &str, value: &str| {
        let mut root = root();
        let text = format!(r#"{{"{part}":{value}}}"#);
        root.extra
            .insert("custom".into(), parse(text.as_bytes()).unwrap());
        read(&root)
    };
    for bad in [
        "null",
        "[]",
        "{}",
        r#"{"keys":{}}"#,
        r#"{"keys":{},"threshold":0}"#,
        r#"{"keys":[],"threshold":1}"#,
        r#"{"keys":{"k":{}},"threshold":1}"#,
    ] {
        assert!(time_server(&with("timeServer", bad)).is_err(), "{bad}");
    }
    let many: Vec<String> = (0..257)
        .map(|n| format!(r#""k{n}":{{"keytype":"a","scheme":"b","keyval":{{}}}}"#))
        .collect();
    let many = format!(r#"{{"keys":{{{}}},"threshold":1}}"#, many.join(","));
    assert!(time_server(&with("timeServer", &many)).is_err());
    let role = r#"{"keyids":["k"],"threshold":1}"#;
    for bad in [
        "[]".to_owned(),
        r#"{"keys":{}}"#.into(),
        format!(r#"{{"keys":{{}},"snapshot":{role}}}"#),
        format!(r#"{{"snapshot":{role},"targets":{role}}}"#),
        format!(r#"{{"keys":{{}},"snapshot":{role},"targets":{{"keyids":["k"],"threshold":0}}}}"#),
    ] {
        assert!(
            offline_authority(&with("offlineUpdates", &bad), RoleType::Targets).is_err(),
            "{bad}"
        );
    }
}

const MAP: &str = r#"{"repositories":{"director":["https://d"],"image":["https://i","file:///i"],"third":["t"]},
    "mapping":[
        {"paths":["open/*"],"repositories":["image"],"threshold":1,"terminating":true},
        {"paths":["loose/*"],"repositories":["director","image","third"],"threshold":2},
        {"paths":["all/*"],"repositories":["third","image","director"],"threshold":3},
        {"paths":["*"],"repositories":["director","image"],"threshold":2,"terminating":true}]}"#;

fn path(text: &str) -> TargetPath {
    TargetPath::new(text).unwrap()
}

#[test]
fn the_first_entry_that_matches_decides() {
    let mapping = Mapping::parse(MAP.as_bytes()).unwrap();
    assert_eq!(mapping.urls(Mapping::IMAGE), ["https://i", "file:///i"]);
    assert_eq!(mapping.urls(Mapping::DIRECTOR), ["https://d"]);
    assert!(mapping.urls("nobody").is_empty());
    // A lone `*` is every path; elsewhere it stays within a segment.
    for text in ["a", "a/b/c", "open/a/b", "all/x"] {
        assert!(mapping.requires_both(&path(text)), "{text}");
    }
    // Two of three that agree may leave out the Director or the image repository.
    for text in ["open/a", "loose/a"] {
        assert!(!mapping.requires_both(&path(text)), "{text}");
    }
    assert_eq!(
        mapping
            .repositories_for(&path("open/a"))
            .unwrap()
            .repositories,
        ["image"]
    );
    let narrow = Mapping::parse(MAP.replace("\"*\"", "\"x\"").as_bytes()).unwrap();
    assert!(narrow.repositories_for(&path("a")).is_none());
    assert!(!narrow.requires_both(&path("a")));
}

#[test]
fn a_mapping_reads_what_it_writes() {
    let mapping = Mapping::parse(MAP.as_bytes()).unwrap();
    assert_eq!(Mapping::parse(mapping.to_json().as_bytes()), Ok(mapping));
    let both = Mapping::both(vec!["d".into()], vec!["i".into()]).unwrap();
    assert!(both.requires_both(&path("a/b")));
    assert!(Mapping::both(vec![], vec!["i".into()]).is_err());
}

#[test]
fn a_mapping_that_cannot_be_followed_is_refused() {
    for (old, new, field) in [
        (
            "\"director\":[\"https://d\"],",
            "",
            "map.repositories.director",
        ),
        (
            "\"image\":[\"https://i\",\"file:///i\"],",
            "",
            "map.repositories.image",
        ),
        ("[\"https://d\"]", "[]", "map.repositories.director"),
        (
            "[\"https://d\"]",
            "\"https://d\"",
            "map.repositories.director",
        ),
        ("[\"image\"]", "[]", "threshold"),
        ("[\"image\"]", "[\"images\"]", "repositories"),
        ("[\"image\"]", "[\"image\",\"image\"]", "repositories"),
        ("\"threshold\":1", "\"threshold\":0", "threshold"),
        ("\"threshold\":1", "\"threshold\":2", "threshold"),
        ("\"threshold\":1,", "", "threshold"),
        ("\"terminating\":true", "\"terminating\":1", "terminating"),
        ("[\"open/*\"]", "\"open/*\"", "paths"),
        ("\"mapping\"", "\"x\"", "mapping"),
        ("\"repositories\":{", "\"x\":{", "map.repositories"),
    ] {
        assert!(MAP.contains(old), "{old}");
        let error = Mapping::parse(MAP.replacen(old, new, 1).as_bytes())
            .unwrap_err()
            .to_string();
        assert!(error.contains(field), "{field}: {error}");
    }
    for text in ["", "[]", "{}", "null", &hex(b"x")] {
        assert!(Mapping::parse(text.as_bytes()).is_err(), "{text}");
    }
    let entry = r#"{"paths":["*"],"repositories":["image"],"threshold":1}"#;
    let with = |count| {
        format!(
            r#"{{"repositories":{{"director":["d"],"image":["i"]}},"mapping":[{}]}}"#,
            vec![entry; count].join(",")
        )
    };
    assert!(Mapping::parse(with(1024).as_bytes()).is_ok());
    assert!(Mapping::parse(with(1025).as_bytes()).is_err());
    assert!(Mapping::parse(with(0).as_bytes()).is_err());
}
