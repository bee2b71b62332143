//! What the two repositories say of an image, and the names in it.

use countersign_metadata::json::{Object, Value, parse};
use countersign_metadata::uptane::{
    Confidentiality, ConstrainedImage, Constraint, DirectorCustom, EcuSerial, EncryptionKey,
    HardwareId, ImageCustom, Vin, WrappedKey,
};
use countersign_metadata::{Hashes, MetadataError, TargetFile, TargetPath};
use proptest::prelude::*;

use crate::common::hex;
use crate::generate_uptane::{director_custom, image_custom};

fn object(json: &str) -> Object {
    match parse(json.as_bytes()).unwrap_or_else(|error| panic!("{error}: {json}")) {
        Value::Object(members) => members,
        _ => panic!("not an object: {json}"),
    }
}

fn image_with(custom: Option<Object>) -> TargetFile {
    TargetFile {
        custom,
        ..TargetFile::new(3, Hashes::of(b"abc"))
    }
}

fn image(json: &str) -> Result<ImageCustom, MetadataError> {
    ImageCustom::of(&image_with(Some(object(json))))
}

fn director(json: &str) -> Result<DirectorCustom, MetadataError> {
    DirectorCustom::of(&image_with(Some(object(json))))
}

fn refused<T>(result: Result<T, MetadataError>, field: &str) {
    let error = result
        .err()
        .unwrap_or_else(|| panic!("{field} was accepted"));
    assert!(error.to_string().contains(field), "{field}: {error}");
}

#[test]
fn identifiers_are_printable_ascii_of_bounded_length() {
    for text in ["a", "WDD2040082R088866", "urn:ecu/1#x~!", &"v".repeat(64)] {
        assert_eq!(Vin::new(text).unwrap().as_str(), text);
        assert_eq!(EcuSerial::new(text).unwrap().to_string(), text);
    }
    for text in [
        "",
        " ",
        "a b",
        "a\"b",
        "a\\b",
        "a\u{7f}",
        "a\n",
        "\0",
        "é",
        "e\u{301}",
        "１",
        &"v".repeat(201),
    ] {
        refused(Vin::new(text), "vin");
        refused(EcuSerial::new(text), "ecu_serial");
        refused(HardwareId::new(text), "hardwareId");
    }
    assert!(Vin::new(&"v".repeat(65)).is_err());
    assert!(EcuSerial::new(&"v".repeat(65)).is_err());
    assert!(HardwareId::new(&"v".repeat(200)).is_ok());
}

#[test]
fn an_image_says_what_it_runs_on_and_needs() {
    let custom = image(
        r#"{"hardwareIds":["hw-1","hw-2"],"releaseCounter":7,"version":"1.2","class":"brake",
        "installer":"slots","encryption":"required","x":1,
        "dependencies":[{"class":"gateway","minReleaseCounter":3}],
        "conflicts":[{"filename":"a/b.img","maxReleaseCounter":9,"why":"bug"}]}"#,
    )
    .unwrap();
    assert_eq!(
        custom.hardware_ids,
        [
            HardwareId::new("hw-1").unwrap(),
            HardwareId::new("hw-2").unwrap()
        ]
    );
    assert_eq!(
        (custom.release_counter, custom.version.as_deref()),
        (7, Some("1.2"))
    );
    assert_eq!(custom.confidentiality, Confidentiality::Required);
    assert_eq!(
        custom.dependencies,
        [Constraint {
            min_release_counter: Some(3),
            ..Constraint::new(ConstrainedImage::Class("gateway".into()))
        }]
    );
    assert_eq!(custom.conflicts[0].max_release_counter, Some(9));
    assert_eq!(custom.conflicts[0].extra, object(r#"{"why":"bug"}"#));
    assert_eq!(custom.extra, object(r#"{"x":1}"#));
}

#[test]
fn an_image_that_is_not_described_for_uptane_is_refused() {
    let good = r#"{"hardwareIds":["hw"],"releaseCounter":0}"#;
    assert!(image(good).is_ok());
    refused(ImageCustom::of(&image_with(None)), "custom");
    let cases = [
        (r#"["hw"]"#, r#"[]"#, "hardwareIds"),
        (r#"["hw"]"#, r#""hw""#, "hardwareIds"),
        (r#"["hw"]"#, r#"[1]"#, "hardwareIds"),
        (r#"["hw"]"#, r#"["a b"]"#, "hardwareIds"),
        (r#"["hw"]"#, r#"["hw","hw"]"#, "hardwareIds"),
        (r#""hardwareIds":["hw"],"#, "", "hardwareIds"),
        (r#","releaseCounter":0"#, "", "releaseCounter"),
        ("0}", "-1}", "releaseCounter"),
        ("0}", "\"0\"}", "releaseCounter"),
        ("0}", "0,\"version\":1}", "version"),
        ("0}", "0,\"class\":null}", "class"),
        ("0}", "0,\"installer\":[]}", "installer"),
        ("0}", "0,\"encryption\":\"none\"}", "encryption"),
        ("0}", "0,\"encryption\":true}", "encryption"),
        ("0}", "0,\"dependencies\":{}}", "dependencies"),
        ("0}", "0,\"dependencies\":[{}]}", "dependencies[0]"),
        (
            "0}",
            "0,\"conflicts\":[{\"class\":\"a\",\"filename\":\"b\"}]}",
            "conflicts[0]",
        ),
        (
            "0}",
            "0,\"conflicts\":[{\"class\":\"a\",\"minReleaseCounter\":-1}]}",
            "conflicts[0]",
        ),
    ];
    for (old, new, field) in cases {
        assert!(good.contains(old));
        refused(image(&good.replacen(old, new, 1)), field);
    }
    let many: Vec<String> = (0..1025).map(|number| format!("\"h{number}\"")).collect();
    refused(
        image(&good.replace("\"hw\"", &many.join(","))),
        "hardwareIds",
    );
    refused(
        image(&good.replace("0}", &format!("0,\"version\":\"{}\"}}", "é".repeat(513)))),
        "version",
    );
    assert!(
        image(&good.replace("0}", &format!("0,\"version\":\"{}\"}}", "é".repeat(512)))).is_ok()
    );
}

fn encrypted() -> String {
    let hash = hex(&[7; 32]);
    format!(
        r#"{{"ecuIdentifiers":{{"e1":{{"hardwareId":"hw"}},"e2":{{"hardwareId":"hw"}}}},"releaseCounter":4,
        "encryptedTarget":{{"filename":"a/b.enc","length":9,"hashes":{{"sha256":"{hash}"}},"method":"m"}},
        "wrappedKeys":{{"e1":{{"keyid":"k1","enc":"01","ct":"02"}},"e2":{{"keyid":"k2","enc":"03","ct":"04"}}}}}}"#
    )
}

#[test]
fn the_director_names_ecus_and_wraps_a_key_for_each() {
    let custom = director(&encrypted()).unwrap();
    let serial = |text| EcuSerial::new(text).unwrap();
    assert_eq!(custom.ecus[&serial("e2")].as_str(), "hw");
    assert_eq!(custom.wrapped_keys[&serial("e2")].ct, [4]);
    let target = custom.encrypted.unwrap();
    assert_eq!((target.filename.as_str(), target.length), ("a/b.enc", 9));
    assert_eq!((target.method.as_str(), custom.uri), ("m", None));
    let plain = r#"{"ecuIdentifiers":{"e":{"hardwareId":"hw"}},"releaseCounter":4,"uri":null}"#;
    let custom = director(plain).unwrap();
    assert!(custom.encrypted.is_none() && custom.wrapped_keys.is_empty() && custom.uri.is_none());
}

#[test]
fn the_director_must_not_say_what_only_the_image_repository_may() {
    let plain = r#"{"ecuIdentifiers":{"e":{"hardwareId":"hw"}},"releaseCounter":4}"#;
    assert!(director(plain).is_ok());
    for name in [
        "hardwareIds",
        "version",
        "class",
        "installer",
        "dependencies",
        "conflicts",
        "encryption",
    ] {
        for value in ["null", "[]", "\"a\""] {
            let member = format!("4,\"{name}\":{value}}}");
            refused(director(&plain.replace("4}", &member)), name);
        }
    }
}

#[test]
fn an_order_that_is_incomplete_or_ambiguous_is_refused() {
    let good = encrypted();
    refused(DirectorCustom::of(&image_with(None)), "custom");
    let cases = [
        (
            r#""e2":{"hardwareId":"hw"}}"#,
            r#""e 2":{"hardwareId":"hw"}}"#,
            "ecuIdentifiers",
        ),
        (
            r#""e2":{"hardwareId":"hw"}}"#,
            r#""e2":{"hardwareId":""}}"#,
            "ecuIdentifiers.e2",
        ),
        (
            r#""e2":{"hardwareId":"hw"}}"#,
            r#""e2":"hw"}"#,
            "ecuIdentifiers.e2",
        ),
        (
            r#""e2":{"hardwareId":"hw"}}"#,
            r#""e3":{"hardwareId":"hw"}}"#,
            "wrappedKeys",
        ),
        (r#","e2":{"hardwareId":"hw"}"#, "", "wrappedKeys"),
        (r#""releaseCounter":4,"#, "", "releaseCounter"),
        (
            r#""releaseCounter":4,"#,
            r#""releaseCounter":4,"uri":7,"#,
            "uri",
        ),
        ("encryptedTarget", "x", "wrappedKeys"),
        ("wrappedKeys", "x", "wrappedKeys"),
        (
            r#","e2":{"keyid":"k2","enc":"03","ct":"04"}"#,
            "",
            "wrappedKeys",
        ),
        ("a/b.enc", "../b.enc", "filename"),
        ("\"length\":9", "\"length\":-9", "length"),
        ("\"method\":\"m\"", "\"method\":1", "method"),
        ("sha256", "sha512", "sha512"),
        ("\"enc\":\"03\"", "\"enc\":\"3\"", "wrappedKeys.e2.enc"),
        ("\"enc\":\"03\"", "\"enc\":\"\"", "wrappedKeys.e2.enc"),
        ("\"ct\":\"04\"", "\"ct\":4", "wrappedKeys.e2.ct"),
        ("\"keyid\":\"k2\",", "", "wrappedKeys.e2.keyid"),
    ];
    for (old, new, field) in cases {
        assert!(good.contains(old), "{old}");
        refused(director(&good.replacen(old, new, 1)), field);
    }
    let none = r#"{"ecuIdentifiers":{},"releaseCounter":4}"#;
    refused(director(none), "ecuIdentifiers");
    let many: Vec<String> = (0..257)
        .map(|n| format!("\"e{n}\":{{\"hardwareId\":\"h\"}}"))
        .collect();
    refused(
        director(&none.replace("{}", &format!("{{{}}}", many.join(",")))),
        "ecuIdentifiers",
    );
    let long = "00".repeat(2049);
    refused(
        director(&good.replace("\"03\"", &format!("\"{long}\""))),
        "enc",
    );
    refused(
        director(&good.replace("a/b.enc", &"a".repeat(2049))),
        "filename",
    );
}

#[test]
fn an_encryption_key_has_one_spelling() {
    if cfg!(not(feature = "p256")) {
        return;
    }
    let x25519 = EncryptionKey::x25519([9; 32]);
    let generator = "036b17d1f2e12c4247f8bce6e563a440f277037d812deb33a0f4a13945d898c296";
    let point: Vec<u8> = (0..33)
        .map(|n| u8::from_str_radix(&generator[2 * n..2 * n + 2], 16).unwrap())
        .collect();
    let p256 = EncryptionKey::p256(&point).unwrap();
    assert_eq!(p256.public_bytes().len(), 65);
    assert!(EncryptionKey::p256(&[4; 65]).is_err());
    assert!(EncryptionKey::p256(&[]).is_err());
    for key in [&x25519, &p256] {
        assert_eq!(&EncryptionKey::of(&key.to_value()).unwrap(), key);
        assert_eq!(key.id().as_str().len(), 64);
    }
    assert_ne!(x25519.id(), p256.id());
    let good = hex(p256.public_bytes());
    let json = |keytype: &str, scheme: &str, public: &str| {
        let text = format!(
            r#"{{"keytype":"{keytype}","scheme":"{scheme}","keyval":{{"public":"{public}"}}}}"#
        );
        EncryptionKey::of(&parse(text.as_bytes()).unwrap())
    };
    let (t, s) = ("ecdh-nistp256", "hpke-p256-hkdfsha256-aes256gcm");
    let (xt, xs) = ("x25519", "hpke-x25519-hkdfsha256-aes256gcm");
    assert!(json(t, s, &good).is_ok() && json(xt, xs, &hex(&[9; 32])).is_ok());
    for (keytype, scheme, public) in [
        (t, s, generator),
        (t, s, good.to_uppercase().as_str()),
        (t, s, &good[2..]),
        (t, s, ""),
        (t, s, "zz"),
        (xt, xs, &hex(&[9; 31])),
        (xt, xs, &good),
        (t, xs, &good),
        (xt, s, &good),
        ("ecdsa", "ecdsa-sha2-nistp256", &good),
    ] {
        assert!(
            json(keytype, scheme, public).is_err(),
            "{keytype} {scheme} {public}"
        );
    }
}

#[test]
fn a_wrapped_key_reads_what_it_writes() {
    let key = WrappedKey::new(
        EncryptionKey::x25519([1; 32]).id(),
        vec![1; 65],
        vec![2; 48],
    );
    assert_eq!(WrappedKey::of(&key.to_value()).unwrap(), key);
}

proptest! {
    #[test]
    fn an_images_custom_reads_what_it_writes(custom in image_custom()) {
        let file = image_with(Some(custom.to_object()));
        prop_assert_eq!(ImageCustom::of(&file), Ok(custom));
    }

    #[test]
    fn an_orders_custom_reads_what_it_writes(custom in director_custom()) {
        let file = image_with(Some(custom.to_object()));
        prop_assert_eq!(DirectorCustom::of(&file), Ok(custom));
    }

    #[test]
    fn a_changed_custom_never_panics(custom in director_custom(), name in "[a-zA-Z]{1,16}", value in crate::generate::value()) {
        for mut members in [custom.to_object(), Object::new()] {
            members.insert(name.clone(), value.clone());
            let _ = DirectorCustom::of(&image_with(Some(members.clone())));
            let _ = ImageCustom::of(&image_with(Some(members)));
        }
        let _ = (WrappedKey::of(&value), EncryptionKey::of(&value));
        let _ = TargetPath::new(&name);
    }
}
