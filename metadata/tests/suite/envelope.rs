//! The envelope: strict about what it is, indifferent to how it is laid out.

use countersign_metadata::limits::{MAX_DEPTH, MAX_SIGNATURES};
use countersign_metadata::{MetadataError, Signed, Timestamp, Unsigned};

use crate::common::{TestKey, authority, canonical, file, id};

const CONTENT: &str = r#"{"_type":"timestamp","expires":"2030-01-01T00:00:00Z","meta":{"snapshot.json":{"version":1}},"spec_version":"1.0.34","version":1}"#;

fn parse(text: &str) -> Result<Signed<Timestamp>, MetadataError> {
    Signed::parse(text.as_bytes().to_vec())
}

/// A file whose `signed` is laid out as given, signed over its canonical form.
fn laid_out(signed: &str, around: impl Fn(&str, &str) -> String) -> (String, bool) {
    let signature = TestKey::new(1).sign(&canonical(signed));
    let text = around(&format!(r#"[{{"keyid":"k","sig":"{signature}"}}]"#), signed);
    let authority = authority(&[("k", TestKey::new(1).key())], 1);
    let file = parse(&text).unwrap_or_else(|error| panic!("{error}: {text}"));
    assert_eq!(file.received(), text.as_bytes());
    let canonical_already = {
        let inside = file.received().as_ptr_range();
        inside.contains(&file.payload().as_bytes().as_ptr())
    };
    let verified = file.verify(&authority).unwrap();
    assert_eq!(verified.received(), text.as_bytes());
    assert_eq!(&**verified.payload(), CONTENT);
    assert_eq!(verified.content().header.version, 1);
    (text, canonical_already)
}

#[test]
fn a_canonical_file_is_verified_where_it_lies() {
    let compact = |s: &str, c: &str| format!(r#"{{"signatures":{s},"signed":{c}}}"#);
    assert!(laid_out(CONTENT, compact).1);
    // What stands around `signed` is not signed, so it may be laid out in any way.
    let spaced =
        |s: &str, c: &str| format!("\n {{ \"signed\" : {c} ,\t\"signatures\": {s}\r\n}} \n");
    assert!(laid_out(CONTENT, spaced).1);
}

#[test]
fn any_other_layout_is_canonicalised_first() {
    let compact = |s: &str, c: &str| format!(r#"{{"signatures":{s},"signed":{c}}}"#);
    let pretty = r#"{
  "version": 1,
  "spec_version": "1.0.34",
  "meta": { "snapshot.json" : {"version" :1} },
  "expires": "2030-01-01T00:00:00Z",
  "_type": "timestamp"
}"#;
    assert!(!laid_out(pretty, compact).1);
    let escaped = CONTENT
        .replace("timestamp", r"time\u0073tamp")
        .replace("/", r"\/");
    assert!(!laid_out(&escaped, compact).1);
    let escaped_key = CONTENT.replace("version\":1}}", "\\u0076ersion\":1}}");
    assert!(!laid_out(&escaped_key, compact).1);
}

#[test]
fn unknown_members_beside_signed_are_ignored_but_must_be_sound() {
    let with = |extra: &str| format!(r#"{{"x":{extra},"signatures":[],"signed":{CONTENT}}}"#);
    for extra in ["1", "null", r#"{"b":[{"c":1}],"a":2}"#, r#""\u0000""#] {
        let file = parse(&with(extra)).unwrap();
        assert_eq!(&**file.payload(), CONTENT);
    }
    for extra in [
        r#"{"a":1,"a":2}"#,
        r#"[{"a":{},"\u0061":{}}]"#,
        "1.5",
        "-0",
        "tru",
        "[1,]",
        "",
    ] {
        assert!(parse(&with(extra)).is_err(), "{extra}");
    }
}

#[test]
fn text_that_is_not_exactly_one_object_is_refused() {
    let good = format!(r#"{{"signatures":[],"signed":{CONTENT}}}"#);
    assert!(parse(&good).is_ok());
    let mut refused = vec![
        String::new(),
        " ".into(),
        "[]".into(),
        "null".into(),
        good[..good.len() - 1].into(),
        format!("{good}{good}"),
        format!("{good} x"),
        format!("{good},"),
        format!("{good}\0"),
        format!("\u{feff}{good}"),
        format!("// comment\n{good}"),
        format!("[{good}]"),
        good.replace("\"signed\"", "'signed'"),
        good.replace("\"signed\"", "signed"),
        good.replace(":1}}", ":1,}}"),
        good.replace(":[]", ":[,]"),
        good.replace("\"signatures\":[],", ""),
        r#"{"signatures":[]}"#.into(),
        format!(r#"{{"signatures":[],"signed":{CONTENT},"signed":{CONTENT}}}"#),
        format!(r#"{{"signatures":[],"signed":{CONTENT},"\u0073igned":{CONTENT}}}"#),
        format!(r#"{{"signatures":[],"signatures":[],"signed":{CONTENT}}}"#),
        format!(r#"{{"x":1,"signatures":[],"signed":{CONTENT},"x":1}}"#),
    ];
    for (old, new) in [
        (r#""version":1}"#, r#""version":1,"version":2}"#),
        (r#""_type""#, r#""_type":"root","_type""#),
        (r#""meta":{"#, r#""meta":{"snapshot.json":{"version":9},"#),
        (
            r#""meta":{"#,
            r#""meta":{"snapshot.j\u0073on":{"version":9},"#,
        ),
        (r#""version":1}"#, r#""version":1.0}"#),
        (r#""version":1}"#, "\"version\":1,\"x\":\"\n\"}"),
        (r#""version":1}"#, r#""version":1,"x":"\ud800"}"#),
    ] {
        assert!(good.contains(old));
        refused.push(good.replace(old, new));
    }
    for text in refused {
        assert!(parse(&text).is_err(), "{text}");
    }
    let mut bytes = good.into_bytes();
    bytes[30] = 0xff;
    let error = Signed::<Timestamp>::parse(bytes).unwrap_err();
    assert_eq!(
        error.to_string(),
        "malformed metadata: not valid UTF-8 (byte 30)"
    );
}

#[test]
fn errors_point_at_the_byte_in_the_whole_file() {
    let text = r#"{"signatures":[],"signed":{"b":1, "a":2,"b":3}}"#;
    let at = text.rfind("\"b\"").unwrap();
    let error = parse(text).unwrap_err().to_string();
    assert_eq!(
        error,
        format!("malformed metadata: duplicate key \"b\" (byte {at})")
    );
}

#[test]
fn signature_entries_are_objects_with_a_key_id() {
    let with = |entries: &str| parse(&format!(r#"{{"signatures":{entries},"signed":{CONTENT}}}"#));
    for entries in [
        "{}",
        "null",
        "[1]",
        "[[]]",
        "[{}]",
        r#"[{"sig":"00"}]"#,
        r#"[{"keyid":1,"sig":"00"}]"#,
        r#"[{"keyid":"","sig":"00"}]"#,
        r#"[{"keyid":"a","keyid":"b","sig":"00"}]"#,
        r#"[{"keyid":"a","sig":"00","sig":"01"}]"#,
        r#"[{"keyid":"a","sig":"00"},{"keyid":"a","sig":"01"}]"#,
        r#"[{"keyid":"a","sig":"00"},{"keyid":"\u0061","sig":"00"}]"#,
    ] {
        assert!(with(entries).is_err(), "{entries}");
    }
    let signed = with(
        r#"[{"keyid":"a","sig":"00FF"},{"sig":7,"keyid":"b"},{"keyid":"c"},{"keyid":"d","sig":"0"},
            {"method":"new","other":{"y":1,"x":[2]},"keyid":"e","sig":""}]"#,
    )
    .unwrap();
    let decoded: Vec<Option<Vec<u8>>> = signed
        .signatures()
        .iter()
        .map(|entry| entry.signature.clone())
        .collect();
    assert_eq!(
        decoded,
        [Some(vec![0, 0xff]), None, None, None, Some(vec![])]
    );
    assert_eq!(signed.signatures()[4].keyid, id("e"));
}

#[test]
fn the_number_of_signatures_is_bounded() {
    let ids: Vec<String> = (0..=MAX_SIGNATURES)
        .map(|number| number.to_string())
        .collect();
    let entries: Vec<(&str, String)> = ids.iter().map(|id| (&**id, "00".into())).collect();
    let parse = |entries| Signed::<Timestamp>::parse(file(CONTENT, entries));
    assert_eq!(
        parse(&entries[1..]).unwrap().signatures().len(),
        MAX_SIGNATURES
    );
    assert!(
        parse(&entries)
            .unwrap_err()
            .to_string()
            .contains("more than 256")
    );
}

#[test]
fn nesting_is_bounded_in_every_place() {
    let nest = |levels: usize| "[".repeat(levels) + &"]".repeat(levels);
    let places: [fn(&str) -> String; 4] = [
        |deep| format!(r#"{{"signatures":[],"signed":{deep}}}"#),
        |deep| format!(r#"{{"signatures":[],"signed": {deep}, "x":{deep}}}"#),
        |deep| format!(r#"{{"signatures":[],"signed":{{}},"x":{deep}}}"#),
        |deep| format!(r#"{{"x":{deep},"signatures":[],"signed":{{}}}}"#),
    ];
    for place in places {
        assert!(parse(&place(&nest(MAX_DEPTH - 1))).is_ok());
        for levels in [MAX_DEPTH, MAX_DEPTH + 1, 100_000] {
            let error = parse(&place(&nest(levels))).unwrap_err().to_string();
            assert!(error.contains("nested too deeply"), "{error}");
            assert!(parse(&place(&"[".repeat(levels))).is_err());
            assert!(parse(&place(&r#"{"":"#.repeat(levels))).is_err());
        }
    }
    let in_signature = |levels| {
        let deep = nest(levels);
        parse(&format!(
            r#"{{"signatures":[{{"keyid":"a","x":{deep}}}],"signed":{{}}}}"#
        ))
    };
    assert!(in_signature(MAX_DEPTH - 3).is_ok());
    assert!(in_signature(MAX_DEPTH - 2).is_err());
}

#[test]
fn what_tools_write_is_read_back() {
    let signer = TestKey::new(1);
    let payload = canonical(r#"{"pem":"-----BEGIN-----\nAA\r\n\t\u0001","q":"\"\\","z":"ü"}"#);
    let mut file = Unsigned::new(payload.clone());
    assert_eq!(file.payload(), payload.as_bytes());
    file.add_signature(id("old \"id\""), vec![1]);
    file.add_signature(id("k"), vec![2]);
    file.add_signature(id("k"), vec![3; 3]);
    let read = Signed::<Timestamp>::parse(file.to_file()).unwrap();
    assert_eq!(&**read.payload(), payload);
    let entries: Vec<(&str, Option<&[u8]>)> = read
        .signatures()
        .iter()
        .map(|entry| (entry.keyid.as_str(), entry.signature.as_deref()))
        .collect();
    assert_eq!(
        entries,
        [("old \"id\"", Some(&[1][..])), ("k", Some(&[3; 3]))]
    );
    assert!(
        read.tally(&authority(&[("k", signer.key())], 1))
            .valid
            .is_empty()
    );
}
