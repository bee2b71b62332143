//! An ECU at work: what it installs, what it refuses, and what it remembers of both.

use super::device::{Device, Door, OLD};
use super::site::{self, Image, Site};
use countersign_client::install::{Phase, TakesEffect};
use countersign_client::store::StoreName;
use countersign_client::uptane::link::{
    Activated, Answer, Prepared, Refusal, Request, Verification,
};
use countersign_client::uptane::link::{Fetch, LinkError, Part, Source};
use countersign_client::uptane::secondary::Health;
use countersign_metadata::uptane::{EncryptionKey, Nonce, Vin};
use proptest::prelude::*;
use std::time::Duration;

const STAGED: Prepared = Prepared::Staged;
const NOTHING: Prepared = Prepared::Nothing;

/// A published site and a provisioned ECU.
fn start(verification: Verification) -> (Site, Device) {
    let device = Device::provision(verification);
    let site = Site::new(&device.path("site"));
    (site, device)
}

fn refused(answer: Answer) -> Refusal {
    match answer {
        Answer::Refused(refusal) => refusal,
        other => panic!("not refused: {other:?}"),
    }
}

#[test]
fn a_signed_image_is_installed_and_reported_once() {
    let (mut site, device) = start(Verification::Full);
    let image = Image::new("door-2.img", 2);
    site.publish(&image);
    let mut door = device.start();
    assert_eq!(door.prepare(&mut site), STAGED);
    assert!(device.active() == OLD, "not before all are ready");
    assert_eq!(door.activate(1), Activated::Confirmed);
    assert!(device.active() == image.bytes);

    let report = door.report();
    let installed = report.installed_image.unwrap();
    assert_eq!(installed.filepath, image.path());
    assert_eq!(report.outcome.unwrap().code, 0);
    assert_eq!(report.latest_time, site.now);
    assert_eq!(report.attacks_detected, []);

    // What is processed is not asked for again.
    site.was_asked();
    assert_eq!(door.prepare(&mut site), NOTHING);
    assert_eq!(site.was_asked(), (false, false));
}

#[test]
fn a_small_ecu_asks_the_director_alone() {
    let (mut site, device) = start(Verification::Partial);
    let image = Image::new("door-2.img", 2);
    site.publish(&image);
    let mut door = device.start();
    assert_eq!(door.prepare(&mut site), STAGED);
    assert_eq!(site.was_asked(), (false, true));
    assert_eq!(door.activate(1), Activated::Confirmed);
    assert!(device.active() == image.bytes);
}

#[test]
fn an_encrypted_image_is_installed_in_plain() {
    for verification in [Verification::Full, Verification::Partial] {
        let (mut site, device) = start(verification);
        let mut image = Image::new("door-2.img", 2);
        image.encrypted_for = Some(Door::encryption_key());
        site.publish(&image);
        let mut door = device.start();
        assert_eq!(door.prepare(&mut site), STAGED);
        assert_eq!(door.activate(1), Activated::Confirmed);
        assert!(device.active() == image.bytes);
    }
}

/// Prepares, is refused with this code, and tells the Director of it.
fn must_refuse(mut site: Site, device: &Device, name: &str, attack: Option<&str>) {
    let mut door = device.start();
    let refusal = refused(door.try_prepare(&mut site));
    assert_eq!(refusal.name, name, "{refusal:?}");
    assert!(device.active() == OLD);
    assert_eq!(door.0.state().installation(), None);
    let report = door.report();
    let outcome = report.outcome.unwrap();
    assert!(
        outcome.code == refusal.code || name == "target-not-found",
        "{outcome:?}"
    );
    let attacks = report.attacks_detected.iter();
    let attacks: Vec<&str> = attacks.map(|met| met.attack.as_str()).collect();
    assert_eq!(attacks, Vec::from_iter(attack));
}

#[test]
fn an_image_changed_on_its_way_is_not_installed() {
    for verification in [Verification::Full, Verification::Partial] {
        let (mut site, device) = start(verification);
        site.publish(&Image::new("door-2.img", 2));
        site.tamper();
        must_refuse(site, &device, "image-hash", Some("arbitrary-software"));
    }
}

#[test]
fn ciphertext_changed_on_its_way_is_not_decrypted() {
    let (mut site, device) = start(Verification::Full);
    let mut image = Image::new("door-2.img", 2);
    image.encrypted_for = Some(Door::encryption_key());
    site.publish(&image);
    site.tamper();
    must_refuse(site, &device, "decrypt-failed", Some("arbitrary-software"));
}

#[test]
fn a_content_key_for_another_ecu_is_not_unwrapped() {
    let (mut site, device) = start(Verification::Full);
    let mut image = Image::new("door-2.img", 2);
    image.encrypted_for = Some(EncryptionKey::x25519([9; 32]));
    site.publish(&image);
    must_refuse(
        site,
        &device,
        "key-unwrap-failed",
        Some("arbitrary-software"),
    );
}

#[test]
fn what_the_image_repository_never_listed_is_not_installed() {
    let (mut site, device) = start(Verification::Full);
    site.publish_apart(&[&Image::new("door-2.img", 2)], &[]);
    must_refuse(site, &device, "target-not-found", None);
    let (mut site, device) = start(Verification::Full);
    let mut other = Image::new("door-2.img", 2);
    other.bytes.push(0);
    site.publish_apart(&[&Image::new("door-2.img", 2)], &[&other]);
    must_refuse(
        site,
        &device,
        "director-image-mismatch",
        Some("arbitrary-software"),
    );
}

#[test]
fn an_older_release_is_not_installed() {
    // The one that left the factory has release counter 1.
    for verification in [Verification::Full, Verification::Partial] {
        let (mut site, device) = start(verification);
        site.publish(&Image::new("door-0.img", 0));
        must_refuse(site, &device, "release-counter-rollback", Some("rollback"));
    }
}

#[test]
fn metadata_of_another_vehicle_is_not_kept() {
    for verification in [Verification::Full, Verification::Partial] {
        let (mut site, device) = start(verification);
        site.vin = Vin::new("VIN2").unwrap();
        site.publish(&Image::new("door-2.img", 2));
        must_refuse(site, &device, "vehicle-mismatch", Some("replay"));
        assert!(!device.keeps(&StoreName::Timestamp) && !device.keeps(&StoreName::Targets));
    }
}

#[test]
fn older_metadata_is_refused_and_does_not_stop_the_next_update() {
    for verification in [Verification::Full, Verification::Partial] {
        let (mut site, device) = start(verification);
        site.publish(&Image::new("door-2.img", 2));
        let old = site.stores();
        site.publish(&Image::new("door-3.img", 3));
        let new = site.stores();
        let mut door = device.start();
        assert_eq!(door.prepare(&mut site), STAGED);
        site.replay(old);
        assert_eq!(
            refused(door.try_prepare(&mut site)).name,
            "version-rollback"
        );
        site.replay(new);
        assert_eq!(door.prepare(&mut site), STAGED);
        assert_eq!(door.activate(2), Activated::Confirmed);
        let attacks = door.report().attacks_detected;
        assert_eq!(attacks.len(), 1);
        assert_eq!(attacks[0].attack, "rollback");
    }
}

#[test]
fn without_a_fresh_time_nothing_is_believed() {
    let (mut site, device) = start(Verification::Full);
    site.publish(&Image::new("door-2.img", 2));
    let mut door = device.start();
    let nonce = door.hello();
    let answers_another = site.attest(Nonce([7; 16]));
    let attestation = site.attest(nonce);
    let mut forged = attestation.clone();
    let digit = forged.iter().position(|byte| *byte == b'T').unwrap() + 2;
    forged[digit] ^= 1;
    for (attestation, name) in [
        (Vec::new(), "time-unavailable"),
        (answers_another, "time-replayed"),
        (forged, "signature-threshold"),
        (b"{}".to_vec(), "malformed"),
    ] {
        let refusal = refused(door.ask(
            Request::Prepare {
                offline: None,
                attestation,
            },
            &mut site,
        ));
        assert_eq!(refusal.name, name);
    }
    assert_eq!(door.prepare(&mut site), STAGED);
    let earlier = site.now.plus_seconds(-7200).unwrap();
    let now = std::mem::replace(&mut site.now, earlier);
    assert_eq!(refused(door.try_prepare(&mut site)).name, "time-went-back");
    site.now = now;
    // An attestation answers one nonce, and each cycle has its own.
    let nonce = door.hello();
    let old = site.attest(nonce);
    door.hello();
    let replayed = refused(door.ask(
        Request::Prepare {
            offline: None,
            attestation: old,
        },
        &mut site,
    ));
    assert_eq!(replayed.name, "time-replayed");
}

#[test]
fn time_goes_on_by_the_clock_that_the_device_brings() {
    let (mut site, device) = start(Verification::Full);
    site.publish(&Image::new("door-2.img", 2));
    let mut door = device.start();
    let mut prepare_after = |slept: u64| {
        let attestation = site.attest(door.hello());
        device.host().slept += Duration::from_secs(slept);
        let offline = None;
        door.ask(
            Request::Prepare {
                offline,
                attestation,
            },
            &mut site,
        )
    };
    // A nonce is worth an hour of the device's own time.
    assert_eq!(refused(prepare_after(3601)).name, "time-unavailable");
    assert!(matches!(prepare_after(3000), Answer::Prepared { .. }));
    // And metadata that was fresh when the image was prepared expires by it.
    device.host().slept += Duration::from_secs(20 * 365 * 24 * 3600);
    assert_eq!(refused(door.try_activate(1)).name, "expired");
    assert!(device.active() == OLD);
}

#[test]
fn an_image_that_does_not_work_is_given_back_and_not_tried_again() {
    let (mut site, device) = start(Verification::Full);
    site.publish(&Image::new("door-2.img", 2));
    let mut door = device.start();
    door.prepare(&mut site);
    device.host().health = Health::Fails("the window does not close".into());
    let refusal = refused(door.try_activate(1));
    assert_eq!(refusal.name, "not-confirmed");
    assert!(device.active() == OLD);
    let report = door.report();
    assert!(report.outcome.unwrap().message.contains("window"));
    assert_eq!(
        report.installed_image.unwrap().filepath.as_str(),
        "door-1.img"
    );
    assert_eq!(door.prepare(&mut site), NOTHING);

    device.host().health = Health::Works;
    let next = Image::new("door-2a.img", 2);
    site.publish(&next);
    assert_eq!(door.prepare(&mut site), STAGED);
    assert_eq!(door.activate(2), Activated::Confirmed);
    assert!(device.active() == next.bytes);
}

#[test]
fn a_trial_outlives_a_restart() {
    for (health, installed) in [
        (Health::Works, "door-2.img"),
        (Health::Fails("no".into()), "door-1.img"),
    ] {
        let (mut site, device) = start(Verification::Full);
        site.publish(&Image::new("door-2.img", 2));
        let mut door = device.start();
        door.prepare(&mut site);
        device.host().health = Health::Unknown;
        assert_eq!(door.activate(1), Activated::OnTrial);
        drop(door);
        let mut door = device.start();
        // While it is on trial nothing else is staged.
        assert_eq!(
            refused(door.try_prepare(&mut site)).name,
            "precondition-failed"
        );
        device.host().health = health;
        let report = door.report();
        assert_eq!(report.installed_image.unwrap().filepath.as_str(), installed);
        assert_eq!(door.prepare(&mut site), NOTHING);
        assert_eq!(door.0.installer().phase().unwrap(), Phase::Settled);
    }
}

#[test]
fn after_a_restart_a_staged_image_is_checked_again_and_not_fetched_again() {
    let (mut site, device) = start(Verification::Full);
    let image = Image::new("door-2.img", 2);
    site.publish(&image);
    let mut door = device.start();
    door.prepare(&mut site);
    drop(door);

    let mut door = device.start();
    assert_eq!(refused(door.try_activate(1)).name, "precondition-failed");
    site.was_asked();
    assert_eq!(door.prepare(&mut site), STAGED);
    assert!(!site.was_asked().1, "it was there");
    assert_eq!(door.activate(1), Activated::Confirmed);
    assert!(device.active() == image.bytes);
}

#[test]
fn what_was_staged_does_not_outlive_the_next_look_at_the_metadata() {
    let (mut site, device) = start(Verification::Full);
    site.publish(&Image::new("door-2.img", 2));
    let mut door = device.start();
    door.prepare(&mut site);
    door.hello();
    assert_eq!(refused(door.try_activate(1)).name, "precondition-failed");
    assert!(device.active() == OLD);
    site.was_asked();
    assert_eq!(door.prepare(&mut site), STAGED);
    assert!(!site.was_asked().1, "the bytes are still there");
    assert_eq!(door.activate(1), Activated::Confirmed);
}

#[test]
fn an_image_that_runs_after_a_restart_is_judged_after_it() {
    let (mut site, device) = start(Verification::Full);
    let image = Image::new("door-2.img", 2);
    site.publish(&image);
    device.host().takes_effect = TakesEffect::AfterRestart;
    let mut door = device.start();
    door.prepare(&mut site);
    assert_eq!(door.activate(1), Activated::OnTrial);
    // The image before it says that all is well.
    let report = door.report();
    assert_ne!(report.installed_image.unwrap().filepath, image.path());
    drop(door);

    let report = device.start().report();
    assert_eq!(report.installed_image.unwrap().filepath, image.path());
}

#[test]
fn the_device_says_when_and_the_primary_says_whether() {
    let (mut site, device) = start(Verification::Full);
    site.publish(&Image::new("door-2.img", 2));
    let mut door = device.start();
    door.prepare(&mut site);
    device.host().may_install = Err("the vehicle moves".into());
    let refusal = refused(door.try_activate(1));
    assert_eq!(refusal.name, "precondition-failed");
    assert!(refusal.message.contains("the vehicle moves"));
    device.host().may_install = Ok(());
    // Not under an order that it was not prepared for.
    assert_eq!(refused(door.try_activate(2)).name, "precondition-failed");

    assert_eq!(door.ask(Request::Abandon {}, &mut site), Answer::Done {});
    assert_eq!(refused(door.try_activate(1)).name, "precondition-failed");
    assert!(device.active() == OLD);
    assert_eq!(door.prepare(&mut site), STAGED);
    assert_eq!(door.activate(1), Activated::Confirmed);
}

#[test]
fn a_report_is_the_same_until_it_is_acknowledged() {
    let (mut site, device) = start(Verification::Full);
    let mut door = device.start();
    let first = door.signed_report();
    drop(door);
    let mut door = device.start();
    assert_eq!(door.signed_report(), first);
    let counter = door.report().report_counter;
    door.ask(
        Request::Acknowledge {
            report_counter: counter,
        },
        &mut site,
    );
    assert_eq!(door.report().report_counter, counter + 1);
}

#[test]
fn another_vehicles_primary_gets_no_nonce() {
    let (mut site, device) = start(Verification::Full);
    let mut door = device.start();
    let request = Request::Hello {
        version: countersign_client::uptane::link::VERSION,
        vin: Vin::new("VIN2").unwrap(),
        primary: site::serial(),
    };
    assert_eq!(
        refused(door.ask(request, &mut site)).name,
        "vehicle-mismatch"
    );
}

#[test]
fn a_boot_loader_that_falls_back_ends_the_update_after_a_second_attempt() {
    let (mut site, device) = start(Verification::Full);
    site.publish(&Image::new("door-2.img", 2));
    device.host().health = Health::Unknown;
    for attempt in 1..=2 {
        let mut door = device.start();
        assert_eq!(door.prepare(&mut site), STAGED, "attempt {attempt}");
        assert_eq!(door.activate(1), Activated::OnTrial);
        drop(door);
        device.fall_back();
    }
    let mut door = device.start();
    assert_eq!(door.prepare(&mut site), NOTHING);
    let report = door.report();
    assert_eq!(report.outcome.unwrap().name, "not-confirmed");
    assert_eq!(
        report.installed_image.unwrap().filepath.as_str(),
        "door-1.img"
    );
}

/// A Primary that changes one byte of the n-th part that it serves, or keeps the part to itself.
struct Hostile<'s> {
    site: &'s mut Site,
    until: usize,
    at: prop::sample::Index,
    change: Option<u8>,
}

impl Source for Hostile<'_> {
    fn part(&mut self, fetch: &Fetch) -> Result<Option<Part>, LinkError> {
        let part = self.site.part(fetch)?;
        self.until = self.until.wrapping_sub(1);
        Ok(match (part, self.change) {
            (Some(mut part), Some(change)) if self.until == 0 && !part.bytes.is_empty() => {
                let at = self.at.index(part.bytes.len());
                part.bytes[at] ^= change;
                Some(part)
            }
            (_, None) if self.until == 0 => None,
            (part, _) => part,
        })
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(12))]

    #[test]
    fn whatever_a_primary_serves_the_old_image_runs_or_the_right_one(
        until in 1..14_usize,
        at: prop::sample::Index,
        change in prop::option::of(1..=u8::MAX),
        encrypted: bool,
        partial: bool,
    ) {
        let verification = if partial { Verification::Partial } else { Verification::Full };
        let (mut site, device) = start(verification);
        let mut image = Image::new("door-2.img", 2);
        image.encrypted_for = encrypted.then(Door::encryption_key);
        site.publish(&image);
        let mut door = device.start();
        let attestation = site.attest(door.hello());
        let site = &mut site;
        let mut hostile = Hostile { site, until, at, change };
        let answer = door.ask(Request::Prepare { offline: None, attestation }, &mut hostile);
        let staged = matches!(answer, Answer::Prepared { image: Prepared::Staged, .. });
        door.try_activate(1);
        let runs = device.active();
        prop_assert!(runs == OLD || runs == image.bytes);
        prop_assert_eq!(runs == image.bytes, staged);

        // And it stands in the way of nothing afterwards.
        door.try_prepare(site);
        door.try_activate(1);
        prop_assert!(device.active() == image.bytes);
    }
}
