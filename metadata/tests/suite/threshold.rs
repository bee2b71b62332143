//! The one threshold rule: unique public keys, whatever their ids and spellings.

use countersign_metadata::json::Object;
use countersign_metadata::limits::MAX_ROLE_KEYIDS;
use countersign_metadata::{Key, MetadataError, Root, Signed, Timestamp};
use p256::ecdsa::signature::Signer as _;

use crate::common::{TestKey, authority, canonical, decode, file, hex, id, refusal, time};

fn payload() -> String {
    canonical(
        r#"{"_type":"timestamp","spec_version":"1.0.34","version":1,
            "expires":"2030-01-01T00:00:00Z","meta":{"snapshot.json":{"version":1}}}"#,
    )
}

/// How many keys count, and whether the threshold is met, for signature entries over `payload`.
fn verdict(keys: &[(&str, Key)], threshold: u32, entries: &[(&str, String)]) -> Result<(), usize> {
    let authority = authority(keys, threshold);
    let signed = Signed::<Timestamp>::parse(file(&payload(), entries)).unwrap();
    let tally = signed.tally(&authority);
    match signed.verify(&authority) {
        Ok(_) => {
            assert!(tally.is_met());
            Ok(())
        }
        Err(MetadataError::SignatureThreshold {
            valid,
            threshold: stated,
            role,
        }) => {
            assert!(!tally.is_met());
            assert_eq!(
                (valid, stated, &*role),
                (tally.valid.len(), threshold, "test")
            );
            Err(valid)
        }
        Err(other) => panic!("{other}"),
    }
}

#[test]
fn enough_unique_keys_are_enough() {
    let (a, b, c) = (TestKey::new(1), TestKey::new(2), TestKey::new(3));
    let keys = [("a", a.key()), ("b", b.key()), ("c", c.key())];
    let payload = payload();
    let (sa, sb) = (a.sign(&payload), b.sign(&payload));
    assert_eq!(verdict(&keys, 2, &[]), Err(0));
    assert_eq!(verdict(&keys, 2, &[("a", sa.clone())]), Err(1));
    assert_eq!(
        verdict(&keys, 2, &[("a", sa.clone()), ("b", sb.clone())]),
        Ok(())
    );
    assert_eq!(verdict(&keys, 3, &[("a", sa.clone()), ("b", sb)]), Err(2));
    assert_eq!(verdict(&keys, 1, &[("a", sa)]), Ok(()));
}

#[test]
fn one_key_counts_once_under_two_ids_and_two_spellings() {
    let a = TestKey::new(1);
    let mut upper = a.key();
    let text = upper.keyval["public"].as_str().unwrap().to_uppercase();
    upper.keyval.insert("public".into(), text.into());
    let mut other_field = a.key();
    other_field.extra.insert("note".into(), "another id".into());
    assert_ne!(a.key(), upper);
    let keys = [("a", a.key()), ("b", upper), ("c", other_field)];
    let signature = a.sign(&payload());
    let entries = ["a", "b", "c"].map(|id| (id, signature.clone()));
    assert_eq!(verdict(&keys, 2, &entries), Err(1));
    assert_eq!(verdict(&keys, 1, &entries), Ok(()));
}

/// A P-256 key as PEM, with its point as given.
fn p256_key(keytype: &str, spki_header: &str, point: &[u8]) -> Key {
    let der = [&*unhex(spki_header), point].concat();
    let pem = der::pem::encode_string("PUBLIC KEY", der::pem::LineEnding::LF, &der).unwrap();
    Key {
        keytype: keytype.into(),
        scheme: "ecdsa-sha2-nistp256".into(),
        keyval: Object::from_iter([("public".into(), pem.into())]),
        extra: Object::new(),
    }
}

#[test]
fn one_curve_point_counts_once_whether_compressed_or_not() {
    if cfg!(not(feature = "p256")) {
        return;
    }
    const PLAIN: &str = "3059301306072a8648ce3d020106082a8648ce3d030107034200";
    const COMPRESSED: &str = "3039301306072a8648ce3d020106082a8648ce3d030107032200";
    let signer = p256::ecdsa::SigningKey::from_slice(&[7; 32]).unwrap();
    let point = |compress| signer.verifying_key().to_sec1_point(compress);
    let keys = [
        ("a", p256_key("ecdsa", PLAIN, point(false).as_bytes())),
        ("b", p256_key("ecdsa", COMPRESSED, point(true).as_bytes())),
        (
            "c",
            p256_key("ecdsa-sha2-nistp256", PLAIN, point(false).as_bytes()),
        ),
    ];
    let sign = || -> String {
        let signature: p256::ecdsa::Signature = signer.sign(payload().as_bytes());
        hex(signature.to_der().as_bytes())
    };
    for id in ["a", "b", "c"] {
        assert_eq!(verdict(&keys, 1, &[(id, sign())]), Ok(()), "{id}");
    }
    let entries = ["a", "b", "c"].map(|id| (id, sign()));
    assert_eq!(verdict(&keys, 2, &entries), Err(1));
    assert_eq!(authority(&keys, 2).public_keys().len(), 1);
}

fn unhex(text: &str) -> Vec<u8> {
    let digits = text.as_bytes().chunks(2);
    digits
        .map(|pair| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap())
        .collect()
}

#[test]
fn signatures_that_prove_nothing_count_nothing_and_harm_nothing() {
    let (a, b, stranger) = (TestKey::new(1), TestKey::new(2), TestKey::new(9));
    let unknown = Key {
        keytype: "ml-dsa".into(),
        scheme: "ml-dsa-65".into(),
        ..TestKey::new(3).key()
    };
    let keys = [("a", a.key()), ("b", b.key()), ("pq", unknown)];
    let payload = payload();
    let good = ("a", a.sign(&payload));
    let useless = [
        ("b", String::new()),
        ("b", "zz".into()),
        ("b", "abc".into()),
        ("b", a.sign(&payload)),
        ("b", b.sign("another payload")),
        ("b", stranger.sign(&payload)),
        ("stranger", stranger.sign(&payload)),
        ("pq", TestKey::new(3).sign(&payload)),
        ("B", b.sign(&payload)),
    ];
    for entry in useless {
        let entries = [entry.clone(), good.clone()];
        assert_eq!(verdict(&keys, 2, &entries), Err(1), "{entry:?}");
        assert_eq!(verdict(&keys, 1, &entries), Ok(()), "{entry:?}");
    }
    // Upper-case hexadecimal is the same signature.
    let shouted = [("b", b.sign(&payload).to_uppercase()), good];
    assert_eq!(verdict(&keys, 2, &shouted), Ok(()));
}

#[test]
fn a_key_that_the_role_does_not_list_counts_nothing() {
    let (listed, unlisted) = (TestKey::new(1), TestKey::new(2));
    let mut root = Root::new(time(), true);
    root.add_key(countersign_metadata::RoleType::Timestamp, listed.key());
    root.add_key(countersign_metadata::RoleType::Targets, unlisted.key());
    let authority = root.claimed_authority(countersign_metadata::RoleType::Timestamp);
    let payload = payload();
    let (listed_id, unlisted_id) = (listed.id(), unlisted.id());
    let by = |id: &str, key: &TestKey| {
        Signed::<Timestamp>::parse(file(&payload, &[(id, key.sign(&payload))]))
            .unwrap()
            .verify(&authority)
            .is_ok()
    };
    assert!(by(listed_id.as_str(), &listed));
    assert!(!by(unlisted_id.as_str(), &unlisted));
    assert!(!by(listed_id.as_str(), &unlisted));
    assert!(!by(unlisted_id.as_str(), &listed));
}

#[test]
fn a_caller_cannot_ask_for_nobody() {
    let authority = authority(&[], 0);
    let signed = Signed::<Timestamp>::parse(file(&payload(), &[])).unwrap();
    assert!(!signed.tally(&authority).is_met());
    assert!(signed.verify(&authority).is_err());
}

fn root_with(role: &str, keyids: &str, threshold: &str) -> String {
    let key = r#"{"keytype":"ed25519","scheme":"ed25519","keyval":{"public":"00"}}"#;
    let of = |name: &str| match name == role {
        true => format!(r#""{name}":{{"keyids":{keyids},"threshold":{threshold}}}"#),
        false => format!(r#""{name}":{{"keyids":["a"],"threshold":1}}"#),
    };
    format!(
        r#"{{"_type":"root","spec_version":"1.0.34","version":1,"expires":"2030-01-01T00:00:00Z",
        "consistent_snapshot":true,"keys":{{"a":{key},"b":{key}}},"roles":{{{},{},{},{}}}}}"#,
        of("root"),
        of("timestamp"),
        of("snapshot"),
        of("targets")
    )
}

#[test]
fn thresholds_must_be_whole_and_at_least_one() {
    for threshold in ["0", "-1", "\"1\"", "true", "null", "[1]", "{}"] {
        for role in ["root", "timestamp"] {
            let error = refusal::<Root>(&root_with(role, r#"["a"]"#, threshold));
            assert!(
                error.contains(&format!("roles.{role}.threshold")),
                "{error}"
            );
        }
    }
    for threshold in ["1.0", "1e0", "-0", "01", "18446744073709551616"] {
        let text = file(&root_with("timestamp", r#"["a"]"#, threshold), &[]);
        let error = Signed::<Root>::parse(text).unwrap_err();
        assert!(matches!(error, MetadataError::Malformed { .. }), "{error}");
    }
}

#[test]
fn a_threshold_nobody_can_meet_stands_except_in_roots_own_role() {
    for threshold in ["2", "4294967296", "18446744073709551615"] {
        let (root, _) = decode::<Root>(&root_with("timestamp", r#"["a"]"#, threshold)).unwrap();
        let role = &root.roles[&countersign_metadata::RoleType::Timestamp];
        assert!(role.threshold >= 2);
        let authority = root.claimed_authority(countersign_metadata::RoleType::Timestamp);
        let signed = Signed::<Timestamp>::parse(file(&payload(), &[])).unwrap();
        assert!(signed.verify(&authority).is_err());
        refusal::<Root>(&root_with("root", r#"["a"]"#, threshold));
    }
    assert!(decode::<Root>(&root_with("root", r#"["a","b"]"#, "2")).is_ok());
    // Ids without a key do not help, nor does an id twice.
    refusal::<Root>(&root_with("root", r#"["a","c"]"#, "2"));
    refusal::<Root>(&root_with("root", r#"["a","a"]"#, "2"));
}

#[test]
fn a_key_id_twice_in_keyids_counts_once() {
    let (root, _) = decode::<Root>(&root_with("timestamp", r#"["b","a","b","a"]"#, "2")).unwrap();
    let role = &root.roles[&countersign_metadata::RoleType::Timestamp];
    assert_eq!(role.keyids, [id("b"), id("a")]);
}

#[test]
fn the_number_of_keys_of_a_role_is_bounded() {
    let ids = |count: usize| {
        let ids: Vec<String> = (0..count).map(|number| format!("\"{number}\"")).collect();
        format!("[{}]", ids.join(","))
    };
    assert!(decode::<Root>(&root_with("timestamp", &ids(MAX_ROLE_KEYIDS), "1")).is_ok());
    let error = refusal::<Root>(&root_with("timestamp", &ids(MAX_ROLE_KEYIDS + 1), "1"));
    assert!(error.contains("keyids"), "{error}");
}

#[test]
fn a_new_root_needs_the_old_keys_and_its_own_and_the_next_version() {
    use countersign_metadata::{RoleType, Unsigned};
    let (old, new) = (TestKey::new(1), TestKey::new(2));
    let root = |version: u64, key: &TestKey| {
        let mut root = Root::new(time(), true);
        root.header.version = version;
        root.add_key(RoleType::Root, key.key());
        root.to_payload()
    };
    let signed = |payload: &str, signers: &[&TestKey]| {
        let mut file = Unsigned::new(payload.into());
        for signer in signers {
            file.add_signature(signer.id(), unhex(&signer.sign(payload)));
        }
        Signed::<Root>::parse(file.to_file()).unwrap()
    };
    let first = root(1, &old);
    assert!(signed(&first, &[&new]).verify_by_itself().is_err());
    let trusted = signed(&first, &[&old]).verify_by_itself().unwrap();
    let next = root(2, &new);
    for signers in [&[&old][..], &[&new], &[]] {
        let error = trusted.verify_next(signed(&next, signers)).unwrap_err();
        assert!(
            matches!(error, MetadataError::SignatureThreshold { .. }),
            "{error}"
        );
    }
    for version in [1, 3, u64::MAX] {
        let skipped = signed(&root(version, &new), &[&old, &new]);
        let error = trusted.verify_next(skipped).unwrap_err();
        assert_eq!(
            error,
            MetadataError::RootVersion {
                trusted: 1,
                found: version
            }
        );
    }
    let second = trusted.verify_next(signed(&next, &[&old, &new])).unwrap();
    assert_eq!(second.content().header.version, 2);
}
