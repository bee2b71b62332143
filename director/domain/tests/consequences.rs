//! What comes of what vehicles report.

#![allow(clippy::unwrap_used, reason = "a test that cannot set up has failed")]

use std::collections::BTreeMap;

use countersign_director_domain::consequences::{Event, Order, Policy, draw};
use countersign_director_domain::manifest::{Heard, Receipt};
use countersign_metadata::uptane::{
    DetectedAttack, EcuSerial, InstalledImage, OfflineName, Outcome,
};
use countersign_metadata::{Hashes, TargetPath};
use countersign_verifier::{Attack, Code};

const BRAKE: &str = "brake";
const VERSION: u64 = 7;

fn serial() -> EcuSerial {
    EcuSerial::new(BRAKE).unwrap()
}

fn path(text: &str) -> TargetPath {
    TargetPath::new(text).unwrap()
}

/// A Director's view of a vehicle with one ECU, which shall run `new`.
struct Story {
    orders: BTreeMap<EcuSerial, Order>,
    heard: BTreeMap<EcuSerial, Heard>,
    counter: u64,
}

impl Story {
    fn new() -> Self {
        let order = Order {
            path: path("new"),
            length: 3,
            hashes: Hashes::of(b"new"),
            failures: 0,
        };
        Self {
            orders: [(serial(), order)].into(),
            heard: BTreeMap::new(),
            counter: 0,
        }
    }

    /// The ECU reports anew.
    fn reports(&mut self, runs: &str, outcome: Option<Outcome>, attacks: &[Attack]) -> Vec<Event> {
        self.counter += 1;
        let heard = Heard {
            report_counter: self.counter,
            digest: [0; 32],
            latest_time: "2031-05-06T07:08:09Z".parse().unwrap(),
            installed: Some(InstalledImage {
                filepath: path(runs),
                length: 3,
                hashes: Hashes::of(runs.as_bytes()),
            }),
            outcome,
        };
        let attacks = attacks.iter().map(|attack| (serial(), met(*attack)));
        let receipt = Receipt {
            stale: Vec::new(),
            attacks: attacks.collect(),
        };
        let now = [(serial(), heard)].into();
        let known = (&self.heard, &now);
        let policy = Policy::default();
        let events = draw(&mut self.orders, known, &receipt, Some(VERSION), &policy);
        self.heard = now;
        events
    }
}

fn met(attack: Attack) -> DetectedAttack {
    DetectedAttack {
        code: 1,
        name: "x".into(),
        attack: attack.name().into(),
        repository: "director".into(),
        role: "targets".into(),
    }
}

fn outcome(targets_version: u64, code: u16) -> Option<Outcome> {
    Some(Outcome {
        targets_version,
        offline: None,
        code,
        name: "x".into(),
        message: "x".into(),
    })
}

fn failed(targets_version: u64) -> Option<Outcome> {
    outcome(targets_version, Code::NotConfirmed.number())
}

#[test]
fn an_order_is_carried_out_once() {
    let mut story = Story::new();
    assert_eq!(story.reports("old", None, &[]), []);
    let done = story.reports("new", outcome(VERSION, 0), &[]);
    assert_eq!(done, [Event::Installed(serial(), path("new"))]);
    assert_eq!(story.reports("new", outcome(VERSION, 0), &[]), []);
    assert_eq!(story.orders.len(), 1, "it goes on to be what it shall run");
}

#[test]
fn an_image_of_the_same_name_with_other_bytes_is_another_one() {
    let mut story = Story::new();
    story.orders.get_mut(&serial()).unwrap().hashes = Hashes::of(b"newer");
    assert_eq!(story.reports("new", None, &[]), []);
}

#[test]
fn a_failure_counts_once_and_the_second_one_ends_it() {
    let mut story = Story::new();
    let first = story.reports("old", failed(VERSION), &[]);
    assert!(matches!(first[..], [Event::Failed(..)]), "{first:?}");
    assert_eq!(story.reports("old", failed(VERSION), &[]), [], "no news");
    // Ordered again under another version, and failed again.
    story.heard.get_mut(&serial()).unwrap().outcome = failed(VERSION - 1);
    let second = story.reports("old", failed(VERSION), &[]);
    assert!(matches!(second[..], [Event::GivenUp(..)]), "{second:?}");
    assert!(story.orders.is_empty());
}

#[test]
fn what_another_order_or_a_stick_has_failed_at_is_not_counted() {
    let mut story = Story::new();
    assert_eq!(story.reports("old", failed(VERSION - 1), &[]), []);
    let mut carried = failed(VERSION).unwrap();
    carried.offline = Some(OfflineName::new("garage").unwrap());
    assert_eq!(story.reports("old", Some(carried), &[]), []);
    // Nor what the ECU could not even begin.
    let early = outcome(VERSION, Code::PreconditionFailed.number());
    assert_eq!(story.reports("old", early, &[]), []);
    assert_eq!(story.orders[&serial()].failures, 0);
}

#[test]
fn grave_attacks_hold_the_vehicle_and_others_are_told() {
    for attack in [Attack::ArbitrarySoftware, Attack::Replay, Attack::Rollback] {
        let events = Story::new().reports("old", None, &[attack]);
        assert_eq!(events, [Event::Attack(serial(), met(attack)), Event::Held]);
    }
    for attack in [Attack::SlowRetrieval, Attack::Freeze, Attack::EndlessData] {
        let events = Story::new().reports("old", None, &[attack]);
        assert_eq!(events, [Event::Attack(serial(), met(attack))]);
    }
}
