//! Partial verification of a file that passes in chunks: it decides as the session that holds the file.

use countersign_metadata::json::{Object, Value, parse};
use countersign_metadata::uptane::{
    EncryptedTarget, OfflineCustom, OfflineName, OfflineUpdates, WrappedKey, set_offline_updates,
};
use countersign_metadata::{Hashes, KeyId, TargetFile, TargetPath, UtcTime, canonical};
use countersign_verifier::uptane::{
    Ecu, Mark, Partial, PartialSession, PartialStream, StreamReply, StreamStep,
};
use countersign_verifier::{Code, Context, Followed, Limits, Reject, StoreName, Stored};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::{Index, select};

use crate::keys::{by_id, role_keys, signed};
use crate::world::car::{Car, Store, run};
use crate::world::repo::Files;
use crate::world::{DIRECTOR, World, ecu, image, other_vin, serial, vin};

const OFFLINE: &str = "workshop-7";

fn brake() -> Ecu {
    ecu("S1", "brake-b")
}

/// Where the bytes come from, how many at a time, and what is kept.
struct Driver<'d> {
    store: &'d mut Store,
    files: &'d Files,
    sizes: &'d [usize],
    aside: Vec<u8>,
    /// As "fetch targets.json".
    log: Vec<String>,
}

impl<'d> Driver<'d> {
    fn new(store: &'d mut Store, files: &'d Files, sizes: &'d [usize]) -> Self {
        Self {
            store,
            files,
            sizes,
            aside: Vec::new(),
            log: Vec::new(),
        }
    }

    /// Feeds a file; whether the session wants it to its end.
    fn feed(&self, session: &mut PartialStream, file: &[u8]) -> bool {
        let mut rest = file;
        for size in self.sizes.iter().cycle() {
            if rest.is_empty() {
                break;
            }
            let (chunk, others) = rest.split_at((*size).min(rest.len()));
            if let Err(reject) = session.feed(chunk) {
                assert_eq!(reject.code, Code::TooLarge);
                return false;
            }
            rest = others;
        }
        true
    }

    fn run(&mut self, session: &mut PartialStream) -> Result<Partial, Reject> {
        loop {
            let reply = match session.next() {
                StreamStep::Load { name } => match self.store.get(&name).cloned() {
                    Some(Stored {
                        bytes,
                        accepted_under,
                    }) => {
                        assert!(self.feed(session, &bytes));
                        StreamReply::Stored { accepted_under }
                    }
                    None => StreamReply::NotFound,
                },
                StreamStep::Fetch { what, .. } => {
                    self.log.push(format!("fetch {}", what.file_name()));
                    match self.files.get(&what.file_name()) {
                        Some(file) if self.feed(session, file) => {
                            self.aside.clone_from(file);
                            StreamReply::Fetched
                        }
                        Some(_) => StreamReply::TooLarge,
                        None => StreamReply::NotFound,
                    }
                }
                StreamStep::Keep {
                    name,
                    version,
                    accepted_under,
                } => {
                    self.log.push(format!("keep {name:?} {version}"));
                    let stored = Stored {
                        bytes: std::mem::take(&mut self.aside),
                        accepted_under: Some(accepted_under),
                    };
                    self.store.insert(name, stored);
                    StreamReply::Kept
                }
                StreamStep::Done(outcome) => return outcome,
            };
            session.supply(reply);
        }
    }
}

/// What there is to compare of an outcome.
#[derive(Debug, Clone, PartialEq)]
struct Summary {
    mark: Mark,
    image: Option<Image>,
}

#[derive(Debug, Clone, PartialEq)]
struct Image {
    ecu: Ecu,
    path: String,
    length: u64,
    hashes: Hashes,
    release_counter: u64,
    encryption: Option<(EncryptedTarget, WrappedKey)>,
    origin: Result<String, Code>,
    valid_until: UtcTime,
}

/// Without the unknown fields, which a stream leaves out.
fn summary(partial: &Partial) -> Summary {
    let image = partial.image.as_ref().map(|directed| {
        let encryption = directed.encryption().map(|(encrypted, wrapped)| {
            let (mut encrypted, mut wrapped) = (encrypted.clone(), wrapped.clone());
            encrypted.extra.clear();
            encrypted.hashes.other.clear();
            wrapped.extra.clear();
            (encrypted, wrapped)
        });
        let mut hashes = directed.file().hashes.clone();
        hashes.other.clear();
        Image {
            ecu: directed.ecu().clone(),
            path: directed.path().to_string(),
            length: directed.file().length,
            hashes,
            release_counter: directed.release_counter(),
            encryption,
            origin: directed
                .origin()
                .map(|origin| format!("{origin:?}"))
                .map_err(|reject| reject.code),
            valid_until: directed.valid_until(),
        }
    });
    Summary {
        mark: partial.mark,
        image,
    }
}

type Outcome = Result<Summary, (Code, String, String)>;

fn outcome(result: &Result<Partial, Reject>) -> Outcome {
    match result {
        Ok(partial) => Ok(summary(partial)),
        Err(reject) => Err((reject.code, reject.role.clone(), reject.repository.clone())),
    }
}

/// Which file is followed, with what at hand.
struct Cycle<'c> {
    files: &'c Files,
    now: UtcTime,
    own: Ecu,
    limits: Limits,
    offline: Option<OfflineName>,
}

impl<'c> Cycle<'c> {
    fn of(world: &'c World) -> Self {
        Self {
            files: &world.director.files,
            now: world.now,
            own: brake(),
            limits: Limits::director(),
            offline: None,
        }
    }

    fn follow(&self, car: &mut Car) -> (Followed, Context) {
        let followed = car.director_root(self.files).unwrap();
        let context = Context {
            limits: self.limits,
            repository: DIRECTOR.into(),
            ..Context::new(self.now)
        };
        (followed, context)
    }

    fn streamed(&self, car: &mut Car, sizes: &[usize]) -> Result<Partial, Reject> {
        let (followed, context) = self.follow(car);
        let own = self.own.clone();
        let mut session = match self.offline.clone() {
            None => PartialStream::new(followed, vin(), own, context),
            Some(name) => PartialStream::offline(followed, vin(), own, name, context),
        };
        Driver::new(&mut car.director, self.files, sizes).run(&mut session)
    }

    fn whole(&self, car: &mut Car) -> Result<Partial, Reject> {
        let (followed, context) = self.follow(car);
        let own = self.own.clone();
        let mut session = match self.offline.clone() {
            None => PartialSession::new(followed, vin(), own, context),
            Some(name) => PartialSession::offline(followed, vin(), own, name, context),
        };
        let (store, log) = (&mut car.director, &mut car.log);
        run(&mut session, DIRECTOR, store, self.files, log)
    }

    /// Both, from the same state; the one that holds the file is what goes on.
    #[track_caller]
    fn both(&self, car: &mut Car, sizes: &[usize]) -> Outcome {
        let mut other = car.clone();
        let before = car.director.clone();
        let streamed = outcome(&self.streamed(&mut other, sizes));
        let whole = outcome(&self.whole(car));
        if let Err((Code::NotCanonical, role, repository)) = &streamed {
            let expected = self.offline.as_ref().map_or("targets", OfflineName::as_str);
            assert_eq!((role.as_str(), repository.as_str()), (expected, DIRECTOR));
            let kept = |store: &Store| store.get(&self.stored_as()).cloned();
            assert_eq!(kept(&other.director), kept(&before));
            return streamed;
        }
        // What roles a file delegates to is not looked at where none may be: it is refused for that, or for
        // what is asked before.
        if let (Err((Code::Malformed, ..)), Err((code, ..))) = (&whole, &streamed) {
            let instead = [
                Code::DirectorHasDelegations,
                Code::VehicleMismatch,
                Code::OfflineNameMismatch,
            ];
            let text = self.fetched();
            let delegates = text.windows(14).any(|name| name == b"\"delegations\":");
            if instead.contains(code) && delegates {
                return streamed;
            }
        }
        assert_eq!(streamed, whole);
        assert_eq!(other.director, car.director);
        streamed
    }

    fn fetched(&self) -> &[u8] {
        let name = self.offline.as_ref().map_or("targets", OfflineName::as_str);
        self.files
            .get(&format!("{name}.json"))
            .map_or(&[], Vec::as_slice)
    }

    fn stored_as(&self) -> StoreName {
        match &self.offline {
            None => StoreName::Targets,
            Some(name) => StoreName::OfflineTargets(name.to_string()),
        }
    }
}

/// What is done to a payload before it is signed.
#[derive(Debug, Clone)]
enum Edit {
    /// A member, found by number, is left out.
    Remove(Index),
    /// A value is put in the place of another.
    Replace(Index, Value),
    /// A value is put where another stands too.
    Copy(Index, Index),
    /// An object gets a member more.
    Add(Index, String, Value),
}

/// What is done to a file once it is signed, or before.
#[derive(Debug, Clone)]
enum Damage {
    Set(Index, u8),
    Remove(Index),
    Insert(Index, &'static str),
    Repeat(Index, Index),
    Cut(Index),
}

fn interesting() -> impl Strategy<Value = Value> {
    let texts = [
        "",
        "S1",
        "S2",
        "P1",
        "brake-b",
        "VIN-OF-THIS-CAR",
        "VIN-OF-ANOTHER",
        "targets",
        "root",
        "2.0",
        "1.0.34",
        "2029-01-01T00:00:00Z",
        "2031-01-01T00:00:00Z",
        "../up",
        "a b",
        OFFLINE,
        "00",
    ];
    prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::Bool),
        (-1..5_i128).prop_map(Value::Integer),
        Just(Value::Integer(i128::from(u64::MAX))),
        select(texts.to_vec()).prop_map(Value::from),
        Just(Value::Array(Vec::new())),
        Just(Value::Object(Object::new())),
        Just(parse(br#"{"keys":{},"roles":[]}"#).unwrap()),
        Just(parse(br#"{"S1":{"hardwareId":"brake-b"}}"#).unwrap()),
        (1..70_usize).prop_map(
            |levels| (0..levels).fold(Value::Null, |value, _| [value].into_iter().collect())
        ),
    ]
}

fn name() -> impl Strategy<Value = String> {
    let names = [
        "custom",
        "delegations",
        "version",
        "hardwareIds",
        "uri",
        "encryptedTarget",
        "wrappedKeys",
        "S1",
        "S2",
        "vin",
        "vins",
        "name",
        "x",
        "zz",
        "a.img",
        "sha256",
        "length",
        "unknown",
    ];
    select(names.to_vec()).prop_map(String::from)
}

fn edit() -> impl Strategy<Value = Edit> {
    let at = any::<Index>;
    prop_oneof![
        at().prop_map(Edit::Remove),
        (at(), interesting()).prop_map(|(at, value)| Edit::Replace(at, value)),
        (at(), at()).prop_map(|(from, to)| Edit::Copy(from, to)),
        (at(), name(), interesting()).prop_map(|(at, name, value)| Edit::Add(at, name, value)),
    ]
}

fn damage() -> impl Strategy<Value = Damage> {
    let at = any::<Index>;
    let tokens = [
        "{", "}", "[", "]", ",", ":", "\"", "\\", "\\u0041", " ", "\n", "0", "-", "\"x\":1,",
        "null",
    ];
    prop_oneof![
        (at(), any::<u8>()).prop_map(|(at, byte)| Damage::Set(at, byte)),
        at().prop_map(Damage::Remove),
        (at(), select(tokens.to_vec())).prop_map(|(at, token)| Damage::Insert(at, token)),
        (at(), at()).prop_map(|(from, to)| Damage::Repeat(from, to)),
        at().prop_map(Damage::Cut),
    ]
}

/// The values below `value`, itself included, in order.
fn visit<T>(
    value: &mut Value,
    number: &mut usize,
    with: &mut impl FnMut(&mut Value) -> T,
) -> Option<T> {
    if *number == 0 {
        return Some(with(value));
    }
    *number -= 1;
    match value {
        Value::Object(members) => members
            .values_mut()
            .find_map(|value| visit(value, number, with)),
        Value::Array(items) => items
            .iter_mut()
            .find_map(|value| visit(value, number, with)),
        _ => None,
    }
}

fn count(value: &mut Value) -> usize {
    let mut number = usize::MAX;
    visit(value, &mut number, &mut |_| ());
    usize::MAX - number
}

fn at<T>(value: &mut Value, index: &Index, mut with: impl FnMut(&mut Value) -> T) -> T {
    let mut number = index.index(count(value));
    visit(value, &mut number, &mut with).unwrap()
}

fn edited(payload: &str, edits: &[Edit]) -> String {
    let mut value = parse(payload.as_bytes()).unwrap();
    for edit in edits {
        match edit {
            Edit::Remove(index) => at(&mut value, index, |value| match value {
                Value::Object(members) => drop(members.pop_last()),
                Value::Array(items) => drop(items.pop()),
                _ => {}
            }),
            Edit::Replace(index, new) => at(&mut value, index, |old| *old = new.clone()),
            Edit::Copy(from, to) => {
                let copy = at(&mut value, from, |value| value.clone());
                at(&mut value, to, |old| *old = copy.clone());
            }
            Edit::Add(index, name, new) => at(&mut value, index, |value| {
                if let Value::Object(members) = value {
                    members.insert(name.clone(), new.clone());
                }
            }),
        }
    }
    canonical::encode(&value)
}

fn damaged(mut bytes: Vec<u8>, damages: &[Damage]) -> Vec<u8> {
    for damage in damages {
        if bytes.is_empty() {
            break;
        }
        match damage {
            Damage::Set(at, byte) => *at.get_mut(&mut bytes) = *byte,
            Damage::Remove(at) => drop(bytes.remove(at.index(bytes.len()))),
            Damage::Insert(at, token) => {
                let at = at.index(bytes.len());
                bytes.splice(at..at, token.bytes());
            }
            Damage::Repeat(from, to) => {
                let (from, to) = (from.index(bytes.len()), to.index(bytes.len()));
                let part = bytes[from.min(to)..from.max(to)].to_vec();
                let at = from.max(to);
                bytes.splice(at..at, part);
            }
            Damage::Cut(at) => bytes.truncate(at.index(bytes.len())),
        }
    }
    bytes
}

fn sizes() -> impl Strategy<Value = Vec<usize>> {
    prop_oneof![
        vec(1..9_usize, 1..4),
        vec(1..700_usize, 1..4),
        Just(vec![1 << 20])
    ]
}

/// The honest world with an encrypted image and one for several ECUs besides.
fn world() -> World {
    let mut world = World::new();
    world
        .image
        .list("targets", "more.img", image("more", "door-d", 4));
    world.direct("more.img", &[("D1", "door-d"), ("D2", "door-d")]);
    world.directed("more.img", |custom| {
        let path = TargetPath::new("more.enc").unwrap();
        let file = TargetFile::describing(b"ciphertext");
        custom.encrypted = Some(EncryptedTarget::new(
            path,
            file.length,
            file.hashes,
            "method",
        ));
        let key = WrappedKey::new(KeyId::new("key").unwrap(), vec![1; 65], vec![2; 48]);
        custom.wrapped_keys = [(serial("D1"), key.clone()), (serial("D2"), key)].into();
        custom.uri = Some("https://example.com/more".into());
    });
    world.publish();
    world
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(384))]

    #[test]
    fn whatever_is_done_to_a_file_both_sessions_say_the_same(
        own in select(vec![("S1", "brake-b"), ("D2", "door-d"), ("S2", "lamp-c"), ("D1", "other")]),
        before in vec(damage(), 0..2),
        edits in vec(edit(), 0..4),
        after in vec(damage(), 0..2),
        next in any::<bool>(),
        sizes in sizes(),
    ) {
        let mut world = world();
        let mut car = world.secondary(brake());
        Cycle::of(&world).whole(&mut car).unwrap();
        if next {
            world.publish();
        }
        let payload = edited(&world.director.targets["targets"].to_payload(), &edits);
        // Damage before signing is signed, if it is still text.
        let payload = String::from_utf8(damaged(payload.clone().into_bytes(), &before)).unwrap_or(payload);
        let file = signed(payload, &world.director.keys["targets"]);
        world.director.files.insert("targets.json".into(), damaged(file, &after));
        let own = ecu(own.0, own.1);
        let _ = Cycle { own, ..Cycle::of(&world) }.both(&mut car, &sizes);
    }

    #[test]
    fn the_same_out_of_a_bundle(
        damages in vec(damage(), 0..2),
        edits in vec(edit(), 0..3),
        known in 1..4_u64,
        carried in 1..4_u64,
        days in select(vec![0_i64, 200]),
        sizes in sizes(),
    ) {
        let (mut world, name) = (world(), OfflineName::new(OFFLINE).unwrap());
        let keys = vec![world.director.new_key()];
        let offline = OfflineUpdates {
            keys: by_id(&keys),
            snapshot: role_keys(&keys),
            targets: role_keys(&keys),
        };
        set_offline_updates(&mut world.director.root, &offline);
        world.director.publish_root();
        let mut car = world.secondary(brake());
        let mut builder = world.director.targets["targets"].clone();
        let vins = Some(vec![other_vin(), vin()]);
        let custom = OfflineCustom { name: name.clone(), vins }.to_object();
        builder.extra.insert("custom".into(), custom.into());
        let mut file = |version: u64, edits: &[Edit]| {
            builder.header.version = version;
            signed(edited(&builder.to_payload(), edits), &keys)
        };
        let (first, second) = (file(known, &[]), file(carried, &edits));
        let mut files = world.director.files.clone();
        files.insert(format!("{OFFLINE}.json"), first);
        let with = |files, now| Cycle { files, now, offline: Some(name.clone()), ..Cycle::of(&world) };
        with(&files, world.now).both(&mut car, &sizes).unwrap();
        let mut newer = files.clone();
        newer.insert(format!("{OFFLINE}.json"), damaged(second, &damages));
        let later = world.now.plus_seconds(days * 86_400).unwrap();
        let _ = with(&newer, later).both(&mut car, &sizes);
    }

    #[test]
    fn rotations_are_remembered_alike(
        rotations in vec(select(vec!["", "targets", "snapshot", "timestamp"]), 1..5),
        old in any::<bool>(),
        sizes in sizes(),
    ) {
        let mut world = World::new();
        let mut car = world.secondary(brake());
        // A version far ahead, which is forgotten with the keys that signed it.
        let honest = world.clone();
        world.director.header("targets").version = 1 << 40;
        world.publish();
        Cycle::of(&world).whole(&mut car).unwrap();
        let mut world = match old {
            true => honest,
            false => world,
        };
        for role in rotations {
            match role {
                "" => world.director.publish_root(),
                role => world.director.rotate(&[role]),
            }
            // Some cycles see only the Root.
            car.director_root(&world.director.files).unwrap();
        }
        world.publish();
        let _ = Cycle::of(&world).both(&mut car, &sizes);
    }
}

#[test]
fn honest_files_pass() {
    let mut world = world();
    let mut car = world.secondary(brake());
    for own in [brake(), ecu("D1", "door-d"), ecu("S2", "lamp-c")] {
        let expects = own.serial.as_str() != "S2";
        let partial = Cycle {
            own,
            ..Cycle::of(&world)
        }
        .both(&mut car, &[7])
        .unwrap();
        assert_eq!(partial.image.is_some(), expects);
        world.publish();
    }
}

#[test]
fn it_asks_for_the_file_and_keeps_it_once() {
    let world = World::new();
    let mut car = world.secondary(brake());
    let cycle = Cycle::of(&world);
    let (followed, context) = cycle.follow(&mut car);
    let mut session = PartialStream::new(followed, vin(), brake(), context);
    let mut driver = Driver::new(&mut car.director, cycle.files, &[64]);
    let partial = driver.run(&mut session).unwrap();
    assert_eq!(driver.log, ["fetch targets.json", "keep Targets 1"]);
    assert_eq!(partial.image.unwrap().path().as_str(), "brake/fw.img");
    assert!(matches!(session.next(), StreamStep::Done(Err(reject)) if reject.code == Code::Misuse));
    assert_eq!(session.feed(b"x").unwrap_err().code, Code::Misuse);
}

#[test]
fn another_form_is_refused_and_costs_nothing_but_this_cycle() {
    let mut world = World::new();
    let mut car = world.secondary(brake());
    Cycle::of(&world).streamed(&mut car, &[9]).unwrap();
    let mut spaced = world.clone();
    spaced.director.write("targets", |file| {
        file.replace("\"targets\":{", "\"targets\": {")
    });
    spaced.publish();
    let refused = Cycle::of(&spaced).both(&mut car.clone(), &[9]).unwrap_err();
    assert_eq!(
        refused,
        (Code::NotCanonical, "targets".into(), DIRECTOR.into())
    );
    world.publish();
    Cycle::of(&world).streamed(&mut car, &[9]).unwrap();
}

#[test]
fn a_stored_file_that_does_not_verify_is_absent() {
    let mut world = World::new();
    let mut car = world.secondary(brake());
    let old = world.clone();
    world.publish();
    Cycle::of(&world).streamed(&mut car, &[9]).unwrap();
    let rollback = Cycle::of(&old).both(&mut car.clone(), &[9]).unwrap_err();
    assert_eq!(rollback.0, Code::VersionRollback);
    let stored = car.director.get_mut(&StoreName::Targets).unwrap();
    let last = stored.bytes.len() - 9;
    stored.bytes[last] ^= 1;
    assert!(Cycle::of(&old).both(&mut car, &[9]).is_ok());
}

#[test]
fn it_takes_no_more_than_its_bounds() {
    let world = World::new();
    let length = world.director.file("targets").unwrap().len();
    for (targets_len, part_len, expected) in [
        (length, 16 << 10, Ok(true)),
        (length - 1, 16 << 10, Err(Code::TooLarge)),
        (1 << 20, 400, Ok(true)),
        (1 << 20, 200, Err(Code::TooLarge)),
    ] {
        for size in [1, 7, length, length + 1] {
            let limits = Limits {
                targets_len: targets_len as u64,
                part_len,
                ..Limits::director()
            };
            let cycle = Cycle {
                limits,
                ..Cycle::of(&world)
            };
            let partial = cycle.streamed(&mut world.secondary(brake()), &[size]);
            let verdict = partial.map(|partial| partial.image.is_some());
            assert_eq!(verdict.map_err(|reject| reject.code), expected);
        }
    }
}

#[test]
fn ecus_are_told_apart_up_to_their_bound() {
    for (images, expected) in [(16, None), (17, Some(Code::TooLarge))] {
        let mut world = World::new();
        let mut number = 0;
        for image in 0..images {
            // 16 images of 256 ECUs, less the two that the honest world names.
            let ecus = if image == 0 { 254 } else { 256 };
            let names: Vec<String> = (0..ecus).map(|at| format!("E-{}", number + at)).collect();
            number += ecus;
            let ecus: Vec<(&str, &str)> = names.iter().map(|name| (name.as_str(), "x")).collect();
            let path = format!("many-{image}.img");
            world.direct_as(&path, TargetFile::describing(b"x"), &ecus, 1);
        }
        world.publish();
        let outcome = Cycle::of(&world).both(&mut world.secondary(brake()), &[4096]);
        assert_eq!(outcome.err().map(|(code, ..)| code), expected);
    }
}

#[test]
fn a_wrong_answer_ends_it() {
    let world = World::new();
    let all = [
        StreamReply::Stored {
            accepted_under: None,
        },
        StreamReply::Fetched,
        StreamReply::NotFound,
        StreamReply::TooLarge,
        StreamReply::Kept,
    ];
    for (answers, fits) in [
        (
            vec![],
            vec![
                StreamReply::NotFound,
                StreamReply::Stored {
                    accepted_under: None,
                },
            ],
        ),
        (
            vec![StreamReply::NotFound],
            vec![
                StreamReply::Fetched,
                StreamReply::NotFound,
                StreamReply::TooLarge,
            ],
        ),
    ] {
        for reply in all {
            let mut car = world.secondary(brake());
            let (followed, context) = Cycle::of(&world).follow(&mut car);
            let mut session = PartialStream::new(followed, vin(), brake(), context);
            for answer in &answers {
                session.supply(*answer);
            }
            session.supply(reply);
            let misused = matches!(session.next(), StreamStep::Done(Err(reject)) if reject.code == Code::Misuse);
            assert_eq!(misused, !fits.contains(&reply), "{answers:?} {reply:?}");
        }
    }
}
