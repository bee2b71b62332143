//! A file that passes is judged as one that is all there, or refused for its form.

use std::sync::Arc;

use countersign_metadata::canonical::is_canonical;
use countersign_metadata::limits::MAX_STREAMED_PART;
use countersign_metadata::stream::TargetsStream;
use countersign_metadata::uptane::{DirectorCustom, vin_of};
use countersign_metadata::{
    Authority, Hashes, Header, Key, MetadataError, PublicKey, Role, Roles, Signed, TargetFile,
    TargetPath, Targets, TargetsBuilder, sha256,
};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::Index;

use crate::common::{TestKey, authority, authority_of, file, hex, signed_file, time};
use crate::generate::{Dice, layout, targets, value};
use crate::generate_uptane::director_custom;
use crate::properties::{apply, corpus, edit};

/// What both readers have to agree on.
#[derive(Debug, Clone, PartialEq)]
struct Said {
    header: Header,
    delegates: bool,
    sha256: [u8; 32],
    vin: Result<Option<String>, Kind>,
    images: Vec<(String, u64, Hashes, Result<DirectorCustom, Kind>)>,
}

/// A refusal without its particulars.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Malformed,
    WrongRoleType,
    UnsupportedSpecVersion,
    Threshold,
    NotCanonical,
    TooLarge,
}

fn kind(error: MetadataError) -> Kind {
    match error {
        MetadataError::Malformed { .. } | MetadataError::Field { .. } => Kind::Malformed,
        MetadataError::WrongRoleType { .. } => Kind::WrongRoleType,
        MetadataError::UnsupportedSpecVersion { .. } => Kind::UnsupportedSpecVersion,
        MetadataError::SignatureThreshold { .. } => Kind::Threshold,
        MetadataError::NotCanonical { .. } => Kind::NotCanonical,
        MetadataError::TooLarge { .. } => Kind::TooLarge,
        other => panic!("{other}"),
    }
}

/// Without the unknown fields, which a stream leaves out.
fn known(custom: Result<DirectorCustom, MetadataError>) -> Result<DirectorCustom, Kind> {
    let mut custom = custom.map_err(kind)?;
    custom.extra.clear();
    for key in custom.wrapped_keys.values_mut() {
        key.extra.clear();
    }
    if let Some(encrypted) = &mut custom.encrypted {
        encrypted.extra.clear();
        encrypted.hashes.other.clear();
    }
    Ok(custom)
}

fn known_hashes(mut hashes: Hashes) -> Hashes {
    hashes.other.clear();
    hashes
}

fn whole(file: &[u8], authority: &Authority) -> Result<Said, Kind> {
    let file = Signed::<Targets>::parse(file.to_vec()).and_then(|file| file.verify(authority));
    let file = file.map_err(kind)?;
    let content = file.content();
    let vin = vin_of(content).map_err(kind);
    Ok(Said {
        header: content.header().clone(),
        delegates: content.delegations().is_some_and(
            |delegations| !matches!(&delegations.roles, Roles::Listed(roles) if roles.is_empty()),
        ),
        sha256: sha256(file.payload().as_bytes()),
        vin: vin.map(|vin| vin.map(|vin| vin.to_string())),
        images: content
            .iter()
            .map(|(path, file)| {
                let custom = known(DirectorCustom::of(&file));
                (
                    path.into_owned(),
                    file.length,
                    known_hashes(file.hashes),
                    custom,
                )
            })
            .collect(),
    })
}

/// In chunks of these sizes, over and over.
fn streamed(file: &[u8], authority: &Authority, sizes: &[usize]) -> Result<Said, Kind> {
    let mut stream = TargetsStream::new(Arc::new(authority.clone()), MAX_STREAMED_PART);
    let (mut images, mut rest) = (Vec::new(), file);
    for size in sizes.iter().cycle() {
        let (chunk, others) = rest.split_at((*size).min(rest.len()));
        stream.feed(chunk, &mut |target| {
            let TargetFile { length, hashes, .. } = target.file();
            let custom = known(target.director_custom());
            images.push((target.path().to_owned(), length, hashes, custom));
        });
        rest = others;
        if rest.is_empty() {
            break;
        }
    }
    let targets = stream.finish().map_err(kind)?;
    assert_eq!(targets.len(), images.len());
    let vin = targets.vin().map_err(kind);
    Ok(Said {
        header: targets.header().clone(),
        delegates: targets.delegates(),
        sha256: *targets.sha256(),
        vin: vin.map(|vin| vin.map(|vin| vin.to_string())),
        images,
    })
}

/// Both, on the same bytes: the same, but for the form.
#[track_caller]
fn same(file: &[u8], authority: &Authority, sizes: &[usize]) -> Result<Said, Kind> {
    let (whole, streamed) = (whole(file, authority), streamed(file, authority, sizes));
    // What roles a file delegates to is not looked at where none may be.
    let delegates = streamed.as_ref().is_ok_and(|said| said.delegates);
    if delegates && whole == Err(Kind::Malformed) {
        return streamed;
    }
    if streamed != Err(Kind::NotCanonical) {
        assert_eq!(streamed, whole, "{}", String::from_utf8_lossy(file));
    }
    streamed
}

fn sizes() -> impl Strategy<Value = Vec<usize>> {
    prop_oneof![
        vec(1..9_usize, 1..5),
        vec(1..2000_usize, 1..5),
        Just(vec![1 << 20])
    ]
}

/// Signers of every kind, by number.
fn signature(number: u8, payload: &str) -> (Key, String) {
    use p256::ecdsa::signature::Signer as _;
    let secret = [number / 3 + 1; 48];
    match number % 3 {
        1 if cfg!(feature = "p256") => {
            let signer = p256::ecdsa::SigningKey::from_slice(&secret[..32]).unwrap();
            let point = signer.verifying_key().to_sec1_point(false);
            let signature: p256::ecdsa::Signature = signer.sign(payload.as_bytes());
            let key = PublicKey::from_sec1(point.as_bytes()).unwrap();
            (Key::new(&key), hex(signature.to_der().as_bytes()))
        }
        #[cfg(feature = "p384")]
        2 => {
            let signer = p384::ecdsa::SigningKey::from_slice(&secret).unwrap();
            let point = signer.verifying_key().to_sec1_point(false);
            let signature: p384::ecdsa::Signature = signer.sign(payload.as_bytes());
            let key = PublicKey::from_sec1(point.as_bytes()).unwrap();
            (Key::new(&key), hex(signature.to_der().as_bytes()))
        }
        _ => {
            let key = TestKey::new(secret[0]);
            (key.key(), key.sign(payload))
        }
    }
}

/// What is done to one signature.
#[derive(Debug, Clone)]
enum Forgery {
    None,
    OfAnotherPayload,
    OfAnotherKey(u8),
    Bit(Index),
    Cut(Index),
    Text(&'static str),
}

fn forgery() -> impl Strategy<Value = Forgery> {
    prop_oneof![
        4 => Just(Forgery::None),
        1 => Just(Forgery::OfAnotherPayload),
        1 => (0..9_u8).prop_map(Forgery::OfAnotherKey),
        1 => any::<Index>().prop_map(Forgery::Bit),
        1 => any::<Index>().prop_map(Forgery::Cut),
        1 => prop_oneof![Just(""), Just("zz"), Just("0")].prop_map(Forgery::Text),
    ]
}

fn forged(number: u8, payload: &str, forgery: &Forgery) -> String {
    let mut text = signature(number, payload).1;
    match forgery {
        Forgery::None => {}
        Forgery::OfAnotherPayload => text = signature(number, "another").1,
        Forgery::OfAnotherKey(other) => text = signature(*other, payload).1,
        Forgery::Bit(at) => {
            let at = at.index(text.len());
            let digit = text[at..=at].chars().next().unwrap().to_digit(16).unwrap() ^ 1;
            text.replace_range(at..=at, &format!("{digit:x}"));
        }
        Forgery::Cut(at) => text.truncate(at.index(text.len())),
        Forgery::Text(other) => text = (*other).into(),
    }
    text
}

fn empty() -> String {
    TargetsBuilder::new(time()).to_payload()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn any_targets_file_passes_as_it_reads(builder in targets(), sizes in sizes()) {
        let signer = TestKey::new(1);
        let file = signed_file::<Targets>(&builder.to_payload(), &signer);
        let said = same(&file, &authority_of(&signer), &sizes);
        prop_assert_eq!(said.is_ok(), is_canonical(&file).unwrap());
        prop_assert!(matches!(said, Ok(_) | Err(Kind::NotCanonical)));
    }

    #[test]
    fn what_a_director_says_passes_as_it_reads(
        custom in director_custom(),
        edits in vec(edit(), 0..2),
        sizes in sizes(),
    ) {
        let mut builder = TargetsBuilder::new(time());
        let entry = TargetFile { custom: Some(custom.to_object()), ..TargetFile::describing(b"x") };
        builder.targets.insert(TargetPath::new("a.img").unwrap(), entry);
        let mut payload = builder.to_payload().into_bytes();
        edits.iter().for_each(|edit| apply(&mut payload, edit));
        let Ok(payload) = String::from_utf8(payload) else { return Ok(()) };
        // Signed as it is, in whatever form.
        let signer = TestKey::new(1);
        let file = signed_file::<Targets>(&payload, &signer);
        let _ = same(&file, &authority_of(&signer), &sizes);
    }

    #[test]
    fn any_layout_is_read_alike_or_refused_as_such(
        value in value(),
        random in vec(any::<u8>(), 0..200),
        sizes in sizes(),
    ) {
        let text = layout(&value, &mut Dice(random.into_iter()));
        let trust = authority_of(&TestKey::new(1));
        for place in [
            format!(r#"{{"signatures":[],"signed":{text}}}"#),
            format!(r#"{{"signatures":[],"signed":{{"x":{text}}}}}"#),
            format!(r#"{{"signatures":[],"signed":{{"targets":{{"x":{text}}}}}}}"#),
            format!(r#"{{"signatures":{text},"signed":{{}}}}"#),
            format!(r#"{{"signatures":[{{"keyid":"k","x":{text}}}],"signed":{{}},"x":{text}}}"#),
        ] {
            let _ = same(place.as_bytes(), &trust, &sizes);
        }
    }

    #[test]
    fn damage_is_found_alike(
        which in any::<Index>(),
        edits in vec(edit(), 0..4),
        sizes in sizes(),
    ) {
        let trust = authority(&[("k", TestKey::new(1).key())], 1);
        let corpus = corpus();
        let mut bytes = which.get(&corpus).clone();
        edits.iter().for_each(|edit| apply(&mut bytes, edit));
        let _ = same(&bytes, &trust, &sizes);
    }

    #[test]
    fn the_threshold_is_the_same(
        listed in vec(0..9_u8, 1..6),
        signed in vec((0..9_usize, forgery()), 0..8),
        threshold in 1..5_u32,
        sizes in sizes(),
    ) {
        // One key may be listed under several ids, and sign under each of them.
        let payload = empty();
        let names: Vec<String> = (0..9).map(|number| format!("key-{number}")).collect();
        let keys: Vec<(&str, Key)> = listed
            .iter()
            .enumerate()
            .map(|(at, number)| (names[at].as_str(), signature(*number, "").0))
            .collect();
        let trust = authority(&keys, threshold);
        let signatures: Vec<(&str, String)> = signed
            .iter()
            .map(|(at, forgery)| {
                let number = listed.get(*at).copied().unwrap_or(0);
                (names[*at].as_str(), forged(number, &payload, forgery))
            })
            .collect();
        let file = file(&payload, &signatures);
        prop_assert_ne!(same(&file, &trust, &sizes), Err(Kind::NotCanonical));
    }
}

fn verdict(text: &str) -> Result<Said, Kind> {
    let trust = authority_of(&TestKey::new(1));
    same(text.as_bytes(), &trust, &[1])
}

#[test]
fn another_form_is_refused_as_such() {
    let signer = TestKey::new(1);
    let good = String::from_utf8(signed_file::<Targets>(&empty(), &signer)).unwrap();
    assert!(verdict(&good).is_ok());
    assert!(verdict(&format!(" \n{good}\r\n\t")).is_ok());
    let (signatures, signed) = good.split_once(r#","signed""#).unwrap();
    let backwards = format!(
        "{{\"signed\"{},{}}}",
        &signed[..signed.len() - 1],
        &signatures[1..]
    );
    let others = [
        good.replace(r#""targets":{}"#, r#""targets": {}"#),
        good.replace(r#""targets":{}"#, r#""targets":{ }"#),
        good.replace(r#""spec_version""#, "\"spec\\u005fversion\""),
        good.replace(r#""1.0.34""#, r#""1.0.\u00334""#),
        good.replace(r#""targets":{}"#, r#""b":1,"targets":{}"#),
        good.replace(r#""targets":{}"#, "\"targets\":{},\"u\":[\"\\n\"]"),
        backwards,
    ];
    for other in others {
        assert_eq!(verdict(&other), Err(Kind::NotCanonical), "{other}");
    }
    // Around what is signed, any form is good.
    let spaced = good.replace(r#""keyid""#, "\n \"key\\u0069d\"");
    let spaced = spaced.replace(r#","signed":"#, " , \"\\u0073igned\"\t:\n");
    assert!(verdict(&spaced).is_ok(), "{spaced}");
}

#[test]
fn a_file_that_ends_early_or_goes_on_is_malformed() {
    let good = signed_file::<Targets>(&empty(), &TestKey::new(1));
    let trust = authority_of(&TestKey::new(1));
    for length in 0..good.len() {
        assert_eq!(same(&good[..length], &trust, &[7]), Err(Kind::Malformed));
    }
    for more in ["x", "{}", ",", "\0", "\u{feff}"] {
        let text = [&good, more.as_bytes()].concat();
        assert_eq!(same(&text, &trust, &[7]), Err(Kind::Malformed));
    }
}

#[test]
fn utf8_is_looked_at_across_chunks() {
    let signer = TestKey::new(1);
    let mut builder = TargetsBuilder::new(time());
    let path = TargetPath::new("größe-😀.img").unwrap();
    builder.targets.insert(path, TargetFile::describing(b"x"));
    let good = signed_file::<Targets>(&builder.to_payload(), &signer);
    let trust = authority_of(&signer);
    for size in 1..20 {
        assert!(same(&good, &trust, &[size]).is_ok());
    }
    let at = good
        .windows(4)
        .position(|four| four == "😀".as_bytes())
        .unwrap();
    for cut in 0..4 {
        let mut bad = good.clone();
        bad[at + cut] = b'x';
        assert_eq!(same(&bad, &trust, &[1]), Err(Kind::Malformed));
    }
}

#[test]
fn nesting_has_its_bound_everywhere() {
    let deep = |levels: usize| "[".repeat(levels) + &"]".repeat(levels);
    for (around, place) in [
        (1, r#"{"signatures":[],"signed":X}"#),
        (2, r#"{"signatures":[],"signed":{"x":X}}"#),
        (3, r#"{"signatures":[],"signed":{"targets":{"x":X}}}"#),
        (3, r#"{"signatures":[{"keyid":"k","x":X}],"signed":{}}"#),
        (1, r#"{"signatures":[],"signed":{},"x":X}"#),
    ] {
        let with = |levels| verdict(&place.replace('X', &deep(levels)));
        assert_eq!(with(64 - around), Err(Kind::Threshold), "{place}");
        assert_eq!(with(65 - around), Err(Kind::Malformed), "{place}");
        assert_eq!(with(5000), Err(Kind::Malformed), "{place}");
    }
}

/// Whether a file with parts of `length` passes through a stream that takes 1000.
fn with_bound(place: &str, length: usize) -> Result<(), Kind> {
    let text = place.replace('X', &"x".repeat(length));
    let trust = Arc::new(authority_of(&TestKey::new(1)));
    let mut stream = TargetsStream::new(trust, 1000);
    stream.feed(text.as_bytes(), &mut |_| {});
    let refused = stream.is_refused();
    assert_eq!(
        refused,
        stream.finish().err().map(kind) != Some(Kind::Threshold)
    );
    let trust = Arc::new(authority_of(&TestKey::new(1)));
    let mut stream = TargetsStream::new(trust, 1000);
    text.as_bytes()
        .chunks(3)
        .for_each(|chunk| stream.feed(chunk, &mut |_| {}));
    stream.finish().map(drop).map_err(kind)
}

#[test]
fn a_part_has_its_bound_and_the_file_has_none() {
    for place in [
        r#"{"signatures":[{"keyid":"k","x":"X"}],"signed":{}}"#,
        r#"{"signatures":[],"signed":"X"}"#,
        r#"{"signatures":[],"signed":{"X":1}}"#,
        r#"{"signatures":[],"signed":{"unknown":"X"}}"#,
        r#"{"signatures":[],"signed":{"version":"X"}}"#,
        r#"{"signatures":[],"signed":{"custom":"X","version":1}}"#,
        r#"{"signatures":[],"signed":{"targets":{"X":1}}}"#,
        r#"{"signatures":[],"signed":{"targets":{"x":"X"}}}"#,
        r#"{"signatures":[],"signed":{},"x":"X"}"#,
    ] {
        assert_eq!(with_bound(place, 900), Err(Kind::Threshold), "{place}");
        assert_eq!(with_bound(place, 1000), Err(Kind::TooLarge), "{place}");
        assert_eq!(with_bound(place, 100_000), Err(Kind::TooLarge), "{place}");
    }
    let many: Vec<String> = (0..500)
        .map(|number| format!("\"{number:03}\":\"X\""))
        .collect();
    let many = many.join(",");
    let many = format!(r#"{{"signatures":[],"signed":{{"targets":{{{many}}}}}}}"#);
    assert_eq!(with_bound(&many, 900), Err(Kind::Threshold));
}

#[test]
fn signatures_have_their_bounds() {
    let signer = TestKey::new(1);
    let (payload, id) = (empty(), signer.id());
    let trust = authority_of(&signer);
    let names: Vec<String> = (0..256).map(|number| format!("k{number}")).collect();
    let mut entries: Vec<(&str, String)> = names
        .iter()
        .take(255)
        .map(|name| (name.as_str(), String::from("00")))
        .collect();
    entries.push((id.as_str(), signer.sign(&payload)));
    assert!(same(&file(&payload, &entries), &trust, &[100]).is_ok());
    entries.push(("one-more", String::new()));
    assert_eq!(
        same(&file(&payload, &entries), &trust, &[100]),
        Err(Kind::Malformed)
    );
    entries.truncate(200);
    entries.push((names[17].as_str(), String::new()));
    assert_eq!(
        same(&file(&payload, &entries), &trust, &[100]),
        Err(Kind::Malformed)
    );
}

#[test]
fn the_content_is_looked_at_after_the_signatures() {
    let signer = TestKey::new(1);
    let trust = authority_of(&signer);
    let good = empty();
    let entry = r#""targets":{"a":{"hashes":{"sha256":"00"},"length":1}}"#;
    for (payload, expected) in [
        (good.replace(r#""targets":{}"#, entry), Kind::Malformed),
        (
            good.replace(r#""targets":{}"#, r#""targets":[]"#),
            Kind::Malformed,
        ),
        (good.replace(r#""targets":{},"#, ""), Kind::Malformed),
        (
            good.replace(r#""_type":"targets""#, r#""_type":"root""#),
            Kind::WrongRoleType,
        ),
        (
            good.replace(r#""1.0.34""#, r#""2.0.0""#),
            Kind::UnsupportedSpecVersion,
        ),
        (
            good.replace(r#""targets":{}"#, r#""delegations":7,"targets":{}"#),
            Kind::NotCanonical,
        ),
        ("7".into(), Kind::Malformed),
        ("[]".into(), Kind::Malformed),
    ] {
        assert_ne!(payload, good);
        let file = signed_file::<Targets>(&payload, &signer);
        assert_eq!(same(&file, &trust, &[5]), Err(expected), "{payload}");
        if expected != Kind::NotCanonical {
            let unsigned = format!(r#"{{"signatures":[],"signed":{payload}}}"#);
            assert_eq!(
                same(unsigned.as_bytes(), &trust, &[5]),
                Err(Kind::Threshold)
            );
        }
    }
}
