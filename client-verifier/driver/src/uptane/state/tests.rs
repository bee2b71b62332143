use std::fs;
use std::path::Path;
use std::time::Duration;

use countersign_metadata::limits::MAX_ATTACKS;
use countersign_metadata::uptane::{EcuVersionReport, OfflineName};
use countersign_metadata::{Hashes, Unsigned};
use countersign_verifier::Code;
use proptest::prelude::*;

use super::*;
use crate::uptane::link::MAX_BODY;

fn hardware() -> HardwareId {
    HardwareId::new("door-1").unwrap()
}

fn image(name: &str, release_counter: u64) -> Installed {
    Installed {
        hardware_id: hardware(),
        path: name.into(),
        release_counter,
        length: 3,
        hashes: Hashes::of(b"abc"),
    }
}

fn by(mark: Mark) -> Order {
    Order {
        mark,
        offline: None,
    }
}

fn carried(version: u64) -> Order {
    Order {
        mark: mark(version),
        offline: Some(OfflineName::new("garage").unwrap()),
    }
}

fn mark(version: u64) -> Mark {
    Mark {
        version,
        digest: [version as u8; 32],
    }
}

fn state() -> EcuState {
    let installed = image("door-1.0.img", 4);
    EcuState::provisioned(EcuSerial::new("door-left").unwrap(), Some(installed))
}

/// One of the refusals that are attacks.
fn attack(number: usize) -> Reject {
    let attacks: Vec<Code> = Code::ALL
        .iter()
        .copied()
        .filter(|code| code.attack().name() != "none")
        .collect();
    let role = format!("role-{}", number / attacks.len());
    Reject::new(attacks[number % attacks.len()], &role, "x").at("director")
}

fn failure() -> Reject {
    Reject::new(Code::NotConfirmed, "", "it did not start")
}

fn time(text: &str, key: u8) -> TimeFloor {
    TimeFloor {
        time: text.parse().unwrap(),
        keys: [key; 32],
    }
}

fn order(state: &mut EcuState, version: u64, counter: u64) {
    let image = image(&format!("door-{version}.img"), counter);
    state.staging(by(mark(version)), image).unwrap();
}

#[test]
fn only_a_confirmed_installation_raises_the_floor() {
    let mut state = state();
    order(&mut state, 7, 9);
    state.activating().unwrap();
    assert_eq!(state.installed(&hardware()).unwrap().release_counter, 4);
    state.confirmed().unwrap();
    let installed = state.installed(&hardware()).unwrap();
    assert_eq!(
        (installed.release_counter, installed.path.as_str()),
        (9, "door-7.img")
    );
    assert_eq!(state.processed(), Some(&mark(7)));
    assert_eq!(state.installation(), None);
    assert_eq!(state.reports().outcome().unwrap().code, 0);
}

#[test]
fn a_failed_installation_is_not_tried_again_and_keeps_the_floor() {
    let mut state = state();
    order(&mut state, 7, 9);
    state.activating().unwrap();
    state.failed(&failure()).unwrap();
    assert_eq!(state.installed(&hardware()).unwrap().release_counter, 4);
    assert_eq!(state.processed(), Some(&mark(7)));
    let outcome = state.reports().outcome().unwrap();
    assert_eq!((outcome.code, outcome.targets_version), (901, 7));
}

#[test]
fn what_fell_back_is_tried_once_more() {
    let mut state = state();
    assert!(state.fell_back(&failure()).is_err());
    order(&mut state, 7, 9);
    state.activating().unwrap();
    state.fell_back(&failure()).unwrap();
    assert_eq!(state.installation().unwrap().stage, Stage::Staging);
    assert_eq!(state.processed(), None);
    // Staging the same again does not forget the attempt; another order does.
    let mut another = state.clone();
    order(&mut state, 7, 9);
    state.activating().unwrap();
    state.fell_back(&failure()).unwrap();
    assert_eq!(
        (state.installation(), state.processed()),
        (None, Some(&mark(7)))
    );
    assert_eq!(
        state.reports().outcome().unwrap().code,
        failure().code.number()
    );
    order(&mut another, 8, 9);
    assert_eq!(another.installation().unwrap().attempts, 0);
}

#[test]
fn what_never_ran_is_tried_again() {
    let mut state = state();
    order(&mut state, 7, 9);
    order(&mut state, 8, 9);
    state.abandoned().unwrap();
    assert_eq!((state.processed(), state.installation()), (None, None));
    state.abandoned().unwrap();
}

#[test]
fn steps_out_of_order_change_nothing() {
    let out_of_order = |result| matches!(result, Err(StateError::OutOfOrder { .. }));
    let mut nothing = state();
    assert!(out_of_order(nothing.activating()));
    assert!(out_of_order(nothing.confirmed()));
    assert!(out_of_order(nothing.failed(&failure())));
    assert_eq!(nothing, state());

    let mut staged = state();
    order(&mut staged, 7, 9);
    let before = staged.clone();
    assert!(out_of_order(staged.confirmed()));
    assert_eq!(staged, before);

    staged.activating().unwrap();
    let before = staged.clone();
    assert!(out_of_order(staged.activating()));
    assert!(out_of_order(staged.abandoned()));
    assert!(out_of_order(staged.staging(by(mark(8)), image("x", 1))));
    assert_eq!(staged, before);
}

#[test]
fn a_report_is_sent_again_until_it_is_acknowledged_or_outdated() {
    let mut state = state();
    state.reports.attacked(&attack(1));
    assert_eq!(state.reports.next_counter().unwrap(), 1);
    state.reports.made(b"one".to_vec()).unwrap();
    assert_eq!(state.reports.unacknowledged(), Some(&b"one"[..]));
    // Neither an attack that is told already nor another counter changes that.
    state.reports.attacked(&attack(1));
    state.reports.acknowledged(7);
    assert_eq!(state.reports.unacknowledged(), Some(&b"one"[..]));

    state.reports.attacked(&attack(2));
    assert_eq!(state.reports.unacknowledged(), None);
    // An acknowledgement of a report that is outdated takes nothing back.
    state.reports.acknowledged(1);
    assert_eq!(state.reports.attacks().len(), 2);
    state.reports.made(b"two".to_vec()).unwrap();
    state.reports.acknowledged(2);
    assert_eq!(state.reports.attacks(), []);
    assert_eq!(state.reports.unacknowledged(), None);
    assert_eq!(state.reports.next_counter().unwrap(), 3);
}

#[test]
fn attacks_are_bounded_and_counters_end() {
    let mut reports = Reports::default();
    for code in 0..100 {
        reports.attacked(&attack(code));
    }
    assert_eq!(reports.attacks().len(), MAX_ATTACKS);
    assert_eq!(reports.attacks()[0].code, attack(0).code.number());
    reports.counter = u64::MAX;
    assert!(matches!(
        reports.made(Vec::new()),
        Err(StateError::CountersUsedUp)
    ));
}

#[test]
fn no_name_makes_a_report_too_large_for_the_link() {
    let mut reports = Reports::default();
    for number in 0..100 {
        let role = format!("{number}{}", "\u{1}".repeat(10_000));
        let reject = Reject::new(Code::Expired, &role, role.as_str()).at(&role);
        reports.refused(1, None, &reject);
    }
    assert_eq!(reports.attacks().len(), MAX_ATTACKS);
    let report = EcuVersionReport {
        ecu_serial: EcuSerial::new(&"s".repeat(64)).unwrap(),
        installed_image: None,
        attacks_detected: reports.attacks().to_vec(),
        latest_time: "2030-01-01T00:00:00Z".parse().unwrap(),
        report_counter: u64::MAX,
        outcome: reports.outcome().cloned(),
        extra: Default::default(),
    };
    let file = Unsigned::new(report.to_payload()).to_report_file();
    // A path of 2 KiB, each byte escaped, and a signature fit beside it.
    assert!(file.len() < MAX_BODY - 16 * 1024, "{} bytes", file.len());
}

#[test]
fn a_record_that_could_not_be_read_back_is_not_written() {
    let dir = tempfile::tempdir().unwrap();
    let mut file = StateFile::provision(dir.path(), state()).unwrap();
    let mut large = image("x", 9);
    let hash = "0".repeat(2_000_000).into();
    large.hashes.other.insert("sha3-99".into(), hash);
    let refused = file.change(|state| state.staging(by(mark(7)), large));
    assert!(
        matches!(refused, Err(StateError::TooLarge { .. })),
        "{refused:?}"
    );
    drop(file);
    assert_eq!(open(dir.path()).unwrap().state(), &state());
}

#[test]
fn another_time_makes_another_report() {
    let mut state = state();
    state.reports.made(b"one".to_vec()).unwrap();
    state.time_attested(time("2030-01-01T00:00:00Z", 1));
    assert_eq!(
        state.reports.unacknowledged(),
        None,
        "it names an older time"
    );
    state.reports.made(b"two".to_vec()).unwrap();
    state.time_attested(time("2030-01-01T00:00:00Z", 1));
    assert!(state.reports.unacknowledged().is_some());
    assert_eq!(state.time_floor().unwrap().keys, [1; 32]);
}

fn open(directory: &Path) -> Result<StateFile, StateError> {
    StateFile::open(directory, Duration::ZERO)
}

#[test]
fn the_file_keeps_everything() {
    let dir = tempfile::tempdir().unwrap();
    let mut file = StateFile::provision(dir.path(), state()).unwrap();
    file.change(|state| {
        state.time_attested(time("2031-05-06T07:08:09Z", 3));
        state.reports.attacked(&attack(3));
        state.processed_to_the_end(by(mark(6)));
        state.processed_to_the_end(carried(4));
        order(state, 7, u64::MAX);
        state.activating()?;
        state.reports.ended(Outcome {
            targets_version: 5,
            offline: Some(OfflineName::new("garage").unwrap()),
            code: 900,
            name: "install-failed".into(),
            message: "no \"room\"\n".into(),
        });
        state.reports.made(br#"{"signed":{"a":"\u0000"}}"#.to_vec())
    })
    .unwrap();
    let kept = file.state().clone();
    drop(file);
    assert_eq!(open(dir.path()).unwrap().state(), &kept);
}

#[test]
fn a_change_that_fails_is_not_kept() {
    let dir = tempfile::tempdir().unwrap();
    let mut file = StateFile::provision(dir.path(), state()).unwrap();
    let refused = file.change(|state| {
        order(state, 7, 9);
        state.confirmed()
    });
    assert!(refused.is_err());
    assert_eq!(file.state(), &state());
    drop(file);
    assert_eq!(open(dir.path()).unwrap().state(), &state());
}

#[test]
fn a_record_is_never_made_up() {
    let dir = tempfile::tempdir().unwrap();
    let missing = open(&dir.path().join("nowhere"));
    assert!(
        matches!(missing, Err(StateError::Missing { .. })),
        "{missing:?}"
    );
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0);

    drop(StateFile::provision(dir.path(), state()).unwrap());
    let again = StateFile::provision(dir.path(), state());
    assert!(
        matches!(again, Err(StateError::AlreadyThere { .. })),
        "{again:?}"
    );
    let held = open(dir.path()).unwrap();
    let second = open(dir.path());
    assert!(matches!(second, Err(StateError::Store(_))), "{second:?}");
    drop(held);

    let path = dir.path().join("ecu-state.json");
    let good = fs::read_to_string(&path).unwrap();
    for (from, to) in [
        ("countersign-ecu-state-1", "countersign-ecu-state-2"),
        ("\"counter\": 0", "\"counter\": -1"),
        ("\"counter\": 0", "\"counter\": 0, \"counter\": 5"),
        ("\"counter\": 0", "\"counter\": 0, \"more\": 1"),
        ("\"counter\": 0,", ""),
        ("\"releaseCounter\": 4", "\"releaseCounter\": 4.0"),
        ("door-left", "door left"),
        ("ba7816bf", "ba7816b"),
        ("ba7816bf", "ga7816bf"),
        ("\"told\": 0", "\"told\": 1"),
    ] {
        assert!(good.contains(from), "{from}");
        fs::write(&path, good.replacen(from, to, 1)).unwrap();
        let damaged = open(dir.path());
        assert!(
            matches!(damaged, Err(StateError::Damaged { .. })),
            "{to}: {damaged:?}"
        );
    }
    for length in [0, 1, good.len() / 2, good.len() - 3] {
        fs::write(&path, &good[..length]).unwrap();
        let damaged = open(dir.path()).unwrap_err();
        assert!(damaged.to_string().contains("backup"), "{damaged}");
    }
    fs::write(&path, &good).unwrap();
    assert_eq!(open(dir.path()).unwrap().state(), &state());
}

/// Anything that an ECU may be told, in any order.
#[derive(Debug, Clone)]
enum Event {
    Staging(u64),
    Activating,
    Confirmed,
    Failed,
    FellBack,
    Abandoned,
    Attacked(usize),
    Made,
    Acknowledged(u64),
    Time(u8),
}

fn event() -> impl Strategy<Value = Event> {
    prop_oneof![
        (1..20_u64).prop_map(Event::Staging),
        Just(Event::Activating),
        Just(Event::Confirmed),
        Just(Event::Failed),
        Just(Event::FellBack),
        Just(Event::Abandoned),
        (0..5_usize).prop_map(Event::Attacked),
        Just(Event::Made),
        (0..5_u64).prop_map(Event::Acknowledged),
        (0..3_u8).prop_map(Event::Time),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn whatever_happens_the_record_reads_back_and_floors_come_from_confirmations(
        events in proptest::collection::vec(event(), 0..60),
    ) {
        let mut state = state();
        for event in events {
            let before = state.clone();
            let confirms = matches!(event, Event::Confirmed);
            let done = match event {
                Event::Staging(n) => state.staging(by(mark(n)), image("x", n)),
                Event::Activating => state.activating(),
                Event::Confirmed => state.confirmed(),
                Event::Failed => state.failed(&failure()),
                Event::FellBack => state.fell_back(&failure()),
                Event::Abandoned => state.abandoned(),
                Event::Attacked(code) => { state.reports.attacked(&attack(code)); Ok(()) }
                Event::Made => {
                    let text = format!("report {}", state.reports.next_counter().unwrap());
                    state.reports.made(text.into_bytes())
                }
                Event::Acknowledged(counter) => { state.reports.acknowledged(counter); Ok(()) }
                Event::Time(key) => { state.time_attested(time("2030-01-01T00:00:00Z", key)); Ok(()) }
            };
            if done.is_err() {
                prop_assert_eq!(&state, &before);
            }
            if !(confirms && done.is_ok()) {
                prop_assert_eq!(&state.installed, &before.installed);
            }
            prop_assert!(state.reports.counter >= before.reports.counter);
            // Attacks are dropped only by an acknowledgement of the report that told of them.
            if state.reports.attacks.len() < before.reports.attacks.len() {
                prop_assert!(before.reports.unacknowledged.is_some());
            }
            let bytes = format::write(&state).unwrap();
            prop_assert_eq!(&format::read(&bytes).unwrap(), &state);
        }
    }
}

#[test]
fn what_is_carried_and_what_comes_over_the_network_are_done_apart() {
    let mut state = state();
    state.processed_to_the_end(by(mark(7)));
    state.staging(carried(1), image("x", 1)).unwrap();
    state.activating().unwrap();
    state.failed(&attack(1)).unwrap();
    assert!(state.is_processed(&carried(1)) && state.is_processed(&by(mark(7))));
    assert!(!state.is_processed(&by(mark(1))));
    let outcome = state.reports().outcome().unwrap();
    assert_eq!(outcome.offline.as_ref().unwrap().as_str(), "garage");
    assert_eq!(outcome.targets_version, 1);
}
