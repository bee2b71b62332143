//! Keys as other software writes them (fixtures/make_keys.py), and odd spellings of them.

use std::collections::BTreeSet;

use countersign_metadata::json::{Object, parse};
use countersign_metadata::{Key, PublicKey, Scheme};

use crate::common::{TestKey, hex, id};

struct Case {
    name: String,
    key: Key,
    signature: Vec<u8>,
}

fn cases() -> (Vec<u8>, Vec<Case>) {
    let text = include_bytes!("../fixtures/keys.json");
    let file: serde_json::Value = serde_json::from_slice(text).unwrap();
    let text = |case: &serde_json::Value, name: &str| case[name].as_str().unwrap().to_string();
    let cases = file["cases"].as_array().unwrap().iter().map(|case| Case {
        name: text(case, "name"),
        key: key(
            &text(case, "keytype"),
            &text(case, "scheme"),
            &text(case, "public"),
        ),
        signature: unhex(&text(case, "signature")),
    });
    (text(&file, "message").into_bytes(), cases.collect())
}

fn unhex(text: &str) -> Vec<u8> {
    (0..text.len())
        .step_by(2)
        .map(|at| u8::from_str_radix(&text[at..at + 2], 16).unwrap())
        .collect()
}

fn key(keytype: &str, scheme: &str, public: &str) -> Key {
    Key {
        keytype: keytype.into(),
        scheme: scheme.into(),
        keyval: Object::from_iter([("public".into(), public.into())]),
        extra: Object::new(),
    }
}

fn fixture(name: &str) -> Key {
    let (_, cases) = cases();
    cases
        .into_iter()
        .find(|case| case.name == name)
        .unwrap()
        .key
}

/// Whether keys of this kind are known: those on a curve with the feature of its name only, those of RSA
/// with `ring`.
fn is_here(name: &str) -> bool {
    (cfg!(feature = "p256") || !name.contains("p256"))
        && (cfg!(feature = "p384") || !name.contains("p384"))
        && (cfg!(feature = "ring") || !name.starts_with("rsa"))
}

fn public_text(key: &Key) -> String {
    key.keyval["public"].as_str().unwrap().to_string()
}

fn respelled(key: &Key, change: impl Fn(String) -> String) -> Key {
    let mut other = key.clone();
    let text = change(public_text(key));
    other.keyval.insert("public".into(), text.into());
    other
}

#[test]
fn signatures_by_other_software_verify() {
    let good = [
        "ed25519",
        "p256",
        "p256 compressed",
        "p384",
        "p384 compressed",
        "rsa-2048",
        "rsa-3072",
        "rsa-4096",
    ];
    let (message, cases) = cases();
    for case in &cases {
        let verifies = case
            .key
            .public()
            .is_some_and(|key| key.verify(&message, &case.signature));
        let expected = good.contains(&&*case.name) && is_here(&case.name);
        assert_eq!(verifies, expected, "{}", case.name);
        if verifies {
            let key = case.key.public().unwrap();
            assert!(!key.verify(b"another message", &case.signature));
            assert!(!key.verify(&message, &case.signature[1..]));
            assert!(!key.verify(&message, &[]));
            let mut longer = case.signature.clone();
            longer.push(0);
            assert!(!key.verify(&message, &longer), "{}", case.name);
        }
    }
    let names: BTreeSet<&str> = cases.iter().map(|case| &*case.name).collect();
    assert!(good.iter().all(|name| names.contains(name)));
}

#[test]
fn keys_that_are_not_ours_to_use_have_no_public_key() {
    for name in [
        "ed25519 as PEM",
        "p256 hybrid",
        "p384 hybrid",
        "p256 explicit parameters",
        "p384 explicit parameters",
        "secp256k1",
        "secp521r1",
        "rsa-1024",
        "rsa-4104",
        "rsa-2048 RSA PUBLIC KEY",
    ] {
        assert_eq!(fixture(name).public(), None, "{name}");
    }
}

#[test]
fn one_point_is_one_key_however_it_is_compressed() {
    for curve in ["p256", "p384"].into_iter().filter(|name| is_here(name)) {
        let plain = fixture(curve);
        let compressed = fixture(&format!("{curve} compressed"));
        assert_ne!(public_text(&plain), public_text(&compressed));
        assert_ne!(plain.id(), compressed.id());
        assert_eq!(plain.public(), compressed.public());
        assert!(plain.public().is_some());
    }
}

#[test]
fn one_key_is_the_same_in_every_spelling_of_its_text() {
    let names = ["p256", "p384", "rsa-2048", "rsa-4096"];
    for name in names.into_iter().filter(|name| is_here(name)) {
        let original = fixture(name);
        let expected = original.public();
        assert!(expected.is_some());
        let spellings = [
            respelled(&original, |text| text.trim_end().into()),
            respelled(&original, |text| text + "\n\n"),
            respelled(&original, |text| format!("\n{text}")),
            respelled(&original, |text| text.replace('\n', "\r\n")),
        ];
        for spelling in spellings {
            assert_eq!(spelling.public(), expected, "{:?}", public_text(&spelling));
        }
    }
    let original = fixture("ed25519");
    let upper = respelled(&original, |text| text.to_uppercase());
    assert_ne!(public_text(&original), public_text(&upper));
    assert_eq!(original.public(), upper.public());
}

#[test]
fn what_is_written_is_what_others_write() {
    let names = [
        "ed25519", "p256", "p384", "rsa-2048", "rsa-3072", "rsa-4096",
    ];
    for name in names.into_iter().filter(|name| is_here(name)) {
        let key = fixture(name);
        let public = key.public().unwrap();
        assert_eq!(public.to_text().trim_end(), public_text(&key).trim_end());
        assert_eq!(Key::new(&public).public(), Some(public));
    }
}

#[test]
fn keytype_scheme_and_material_must_agree() {
    let p256 = public_text(&fixture("p256"));
    let p384 = public_text(&fixture("p384"));
    let rsa = public_text(&fixture("rsa-2048"));
    let ed25519 = public_text(&fixture("ed25519"));
    let agree = [
        ("ecdsa", "ecdsa-sha2-nistp256", &p256),
        ("ecdsa-sha2-nistp256", "ecdsa-sha2-nistp256", &p256),
        ("ecdsa", "ecdsa-sha2-nistp384", &p384),
        ("ecdsa-sha2-nistp384", "ecdsa-sha2-nistp384", &p384),
        ("rsa", "rsassa-pss-sha256", &rsa),
        ("ed25519", "ed25519", &ed25519),
    ];
    for (keytype, scheme, text) in agree {
        let public = key(keytype, scheme, text).public();
        assert_eq!(public.is_some(), is_here(scheme), "{keytype}");
    }
    let disagree = [
        ("ecdsa", "ecdsa-sha2-nistp384", &p256),
        ("ecdsa", "ecdsa-sha2-nistp256", &p384),
        ("ecdsa", "ecdsa-sha2-nistp256", &rsa),
        ("ecdsa", "ed25519", &p256),
        ("ecdsa", "rsassa-pss-sha256", &rsa),
        ("rsa", "rsassa-pss-sha256", &p256),
        ("rsa", "rsassa-pss-sha512", &rsa),
        ("rsa", "rsa-pkcs1v15-sha256", &rsa),
        ("rsa", "ecdsa-sha2-nistp256", &p256),
        ("ed25519", "ecdsa-sha2-nistp256", &ed25519),
        ("ed25519", "ed25519", &p256),
        ("ed25519", "ed25519ph", &ed25519),
        ("Ed25519", "ed25519", &ed25519),
        ("ml-dsa", "ml-dsa-65", &ed25519),
    ];
    for (keytype, scheme, text) in disagree {
        let key = key(keytype, scheme, text);
        assert_eq!(key.public(), None, "{keytype} {scheme}");
    }
}

#[test]
fn damaged_material_is_no_key() {
    let p256 = public_text(&fixture("p256"));
    let cut = p256.replace("MFkw", "MFk");
    let private_label = p256.replace("PUBLIC", "PRIVATE");
    // The last base64 group holds the end of the y coordinate, so the point leaves the curve.
    let end = p256.find("\n-----END").unwrap();
    let mut off_curve = p256.clone();
    let replacement = if off_curve[..end].ends_with("AA==") {
        "BB=="
    } else {
        "AA=="
    };
    off_curve.replace_range(end - 4..end, replacement);
    for text in [
        &*cut,
        &*private_label,
        &*off_curve,
        "",
        "\n",
        "-----BEGIN PUBLIC KEY-----",
    ] {
        let key = key("ecdsa", "ecdsa-sha2-nistp256", text);
        assert_eq!(key.public(), None, "{text}");
    }
    let ed25519 = public_text(&fixture("ed25519"));
    for text in [
        &ed25519[2..],
        &ed25519[1..],
        "zz",
        "",
        &(ed25519.clone() + "00"),
    ] {
        assert_eq!(key("ed25519", "ed25519", text).public(), None, "{text}");
    }
}

#[test]
fn rsa_numbers_are_compared_without_leading_zeros() {
    if !is_here("rsa") {
        return;
    }
    let Some(PublicKey::Rsa { modulus, exponent }) = fixture("rsa-2048").public() else {
        panic!("not an RSA key");
    };
    assert_eq!(modulus.len(), 256);
    let padded = [&[0, 0], &*modulus].concat();
    let padded_exponent = [&[0], &*exponent].concat();
    assert_eq!(
        PublicKey::from_rsa(&padded, &padded_exponent),
        PublicKey::from_rsa(&modulus, &exponent)
    );
    for (modulus, exponent) in [
        (&*modulus, &[][..]),
        (&modulus, &[0]),
        (&modulus, &[2]),
        (&[], &exponent),
        (&[0; 300], &exponent),
        (&modulus[..255], &exponent),
        (&[0xff; 513], &exponent),
    ] {
        assert_eq!(PublicKey::from_rsa(modulus, exponent), None);
    }
}

#[test]
fn points_off_the_curve_are_no_keys() {
    if !is_here("p256") {
        return;
    }
    let Some(PublicKey::EcdsaP256(point)) = fixture("p256").public() else {
        panic!("not a P-256 key");
    };
    assert!(PublicKey::from_sec1(&point).is_some());
    let mut off = point;
    off[64] ^= 1;
    assert_eq!(PublicKey::from_sec1(&off), None);
    for bad in [&point[..64], &[0], &[], &[0; 65], &[4; 97]] {
        assert_eq!(PublicKey::from_sec1(bad), None);
    }
}

#[test]
fn der_with_anything_left_over_is_no_key() {
    if !is_here("p256") {
        return;
    }
    // SubjectPublicKeyInfo of a P-256 key, byte by byte.
    let Some(PublicKey::EcdsaP256(point)) = fixture("p256").public() else {
        panic!("not a P-256 key");
    };
    let header = unhex("3059301306072a8648ce3d020106082a8648ce3d030107034200");
    let der = [&*header, &point].concat();
    let key = PublicKey::from_spki_der(&der).unwrap();
    assert_eq!(key.scheme(), Scheme::EcdsaP256);
    assert_eq!(PublicKey::from_spki_der(&[&*der, &[0]].concat()), None);
    assert_eq!(PublicKey::from_spki_der(&der[..90]), None);
    // The same point, said to be on P-384: 1.3.132.0.34 is shorter, so lengths change too.
    let header = unhex("3056301006072a8648ce3d020106052b81040022034200");
    assert_eq!(PublicKey::from_spki_der(&[&*header, &point].concat()), None);
}

#[test]
fn a_key_id_is_the_hash_of_the_canonical_key_and_nothing_else() {
    // Computed with securesystemslib's rule: sha256 of keytype, keyval and scheme only.
    let mut key = key(
        "ed25519",
        "ed25519",
        "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a",
    );
    let expected = countersign_metadata::sha256(
        br#"{"keytype":"ed25519","keyval":{"public":"d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a"},"scheme":"ed25519"}"#,
    );
    assert_eq!(key.id().as_str(), hex(&expected));
    key.extra.insert("note".into(), "hello".into());
    assert_eq!(key.id().as_str(), hex(&expected));
}

#[test]
fn key_ids_are_opaque_but_bounded() {
    use countersign_metadata::KeyId;
    assert_eq!(id("not a hash at all").as_str(), "not a hash at all");
    assert!(KeyId::new("x".repeat(512)).is_ok());
    assert!(KeyId::new("x".repeat(513)).is_err());
    assert!(KeyId::new("").is_err());
}

#[test]
fn keyval_other_than_text_is_no_key() {
    for keyval in [
        r#"{}"#,
        r#"{"public":7}"#,
        r#"{"public":{"x":""}}"#,
        r#"{"Public":"aa"}"#,
    ] {
        let value = parse(keyval.as_bytes()).unwrap();
        let key = Key {
            keyval: value.as_object().unwrap().clone(),
            ..TestKey::new(1).key()
        };
        assert_eq!(key.public(), None, "{keyval}");
    }
}
