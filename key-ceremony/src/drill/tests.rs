//! A recovery that spares a stolen key is noticed.

use countersign_metadata::RoleType;

use super::play::Play;
use super::shape::Shape;
use super::stage::Stage;
use super::{DrillReport, stolen_online, stolen_targets};
use crate::error::CeremonyError;

const NOW: &str = "2031-05-06T07:08:09Z";

/// Plays a drill whose recovery replaces only the keys of some roles.
fn sabotaged(
    drill: impl FnOnce(&mut Play) -> Result<(), CeremonyError>,
) -> Result<DrillReport, CeremonyError> {
    let now = NOW.parse().expect("a time");
    let folder = tempfile::tempdir().expect("a temporary folder");
    let stage = Stage::build(&folder.path().join("stage"), &Shape::example(), now)?;
    let mut play = Play::begin(stage)?;
    drill(&mut play)?;
    Ok(play.end(super::Drill::StolenOnlineKeys, now).0)
}

fn failures(report: &DrillReport) -> Vec<&str> {
    assert!(!report.passed);
    assert!(report.to_text().contains("NOT AS IT SHOULD BE"));
    report.failed().map(|claim| claim.says.as_str()).collect()
}

#[test]
fn a_snapshot_key_that_is_spared_is_noticed() {
    let spared = [RoleType::Targets, RoleType::Timestamp];
    let report = sabotaged(|play| stolen_online::rotating(play, &spared)).expect("held");
    let wanted = ["The stolen snapshot key is worth nothing any more."];
    assert_eq!(failures(&report), wanted);
}

#[test]
fn a_timestamp_key_that_is_spared_is_refused_by_the_policy() {
    let spared = [RoleType::Targets, RoleType::Snapshot];
    let refused = sabotaged(|play| stolen_online::rotating(play, &spared));
    assert_eq!(refused.expect_err("half a recovery").name(), "policy");
}

#[test]
fn devices_that_do_not_come_back_are_noticed() {
    let report = sabotaged(|play| stolen_online::rotating(play, &[RoleType::Targets]));
    let report = report.expect("held");
    assert!(!report.recovered && report.to_page().contains("FAILED"));
    let failed = failures(&report);
    let still = "At the end, the up-to-date device installs the newest honest image.";
    assert!(failed.contains(&still), "{failed:?}");
    assert!(failed.contains(&"The stolen timestamp key is worth nothing any more."));
}

#[test]
fn a_targets_key_that_is_spared_is_noticed() {
    let report = sabotaged(|play| stolen_targets::rotating(play, &[])).expect("held");
    let wanted = "The stolen targets key is worth nothing any more.";
    assert!(failures(&report).contains(&wanted));
}
