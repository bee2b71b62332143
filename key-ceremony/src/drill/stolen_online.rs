//! Targets, Snapshot and Timestamp keys are stolen together: the build or publishing server that
//! holds all of them was taken over.

use countersign_metadata::RoleType;

use super::mirror::Mirror;
use super::play::{EVIL, Play, Stolen, THIEF};
use super::publisher::IMAGE;
use super::record::{Phase, Side, Trial};
use crate::error::CeremonyError;
use crate::rotate::Why;

/// How far the thief pushes versions.
const AHEAD: u64 = 1_000_000;
const ROLES: [RoleType; 3] = [RoleType::Targets, RoleType::Snapshot, RoleType::Timestamp];

pub(super) fn play(play: &mut Play) -> Result<(), CeremonyError> {
    rotating(play, &ROLES)
}

/// The drill, with a recovery that replaces the keys of `replaced`.
pub(super) fn rotating(play: &mut Play, replaced: &[RoleType]) -> Result<(), CeremonyError> {
    play.record.facts.played = "A thief has taken over the server that signs and publishes \
         releases, with the targets, snapshot and timestamp keys on it, and controls what devices \
         are served. Only the root keys are safe."
        .into();
    let stolen = Stolen::from(ROLES.map(|role| (role, play.stage.enough_keys(role))));
    play.stage.pass(3_600)?;
    play.record.begin(
        Phase::Attack,
        play.stage.now,
        "The thief publishes software of their own.",
    );
    let mirror = attack(play, &stolen)?;

    play.stage.pass(6 * 3_600)?;
    play.record.begin(
        Phase::Recovery,
        play.stage.now,
        "A root ceremony replaces all three keys; releases are signed elsewhere from now on.",
    );
    let leaving: Vec<_> = replaced
        .iter()
        .filter_map(|role| stolen.get(role))
        .flatten()
        .cloned()
        .collect();
    let new = play.stage.rotate(Why::Compromised, &leaving, &[])?;
    let victim = play.current.clone();
    play.recover_with(&new)?;

    play.record
        .begin(Phase::After, play.stage.now, "The thief goes on.");
    let trial = Trial {
        side: Side::AttackerCannot,
        says: "Devices that have the new root refuse everything that the thief made.",
        tried: "the thief's files, which have not expired",
        expect: "signature-threshold (timestamp)",
    };
    let client = play.current.clone();
    play.probe(trial, &client, &mirror);
    play.stolen_keys_are_refused(&stolen)?;
    play.kept_from_the_new_root(
        &mirror,
        &victim,
        [
            "A device that never gets to see the new root goes on with the thief's software.",
            "The thief can hold no device for ever: when its root expires, it refuses everything.",
        ],
    )?;
    let expires = play.stage.shape.role(RoleType::Root).expires;
    let facts = &mut play.record.facts;
    facts.remains.extend([
        "Until a device has the new root, the thief can install any software on it. This drill \
         shows how little stands in the way: only the root keys do."
            .to_owned(),
        format!(
            "A thief who also controls a device's network keeps it for as long as its root is \
             valid: up to {expires} here."
        ),
        "A device that installed the thief's software has run it: the recovery brings the honest \
         software back, if the thief's lets it."
            .into(),
    ]);
    facts.to_do.extend([
        "Take the targets key off the server that publishes: then this theft becomes the drill \
         fast-forward, which installs nothing."
            .to_owned(),
        "Keep enough root holders within reach to hold a ceremony in a day.".into(),
        "Let a second repository confirm what to install, as Uptane's Director does: then keys of \
         one repository are not enough."
            .into(),
    ]);
    Ok(())
}

fn attack(play: &mut Play, stolen: &Stolen) -> Result<Mirror, CeremonyError> {
    let keys = |role| stolen.get(&role).map_or(&[][..], Vec::as_slice);
    let targets = play.stage.open_keys(keys(RoleType::Targets))?;
    let snapshot = play.stage.open_keys(keys(RoleType::Snapshot))?;
    let timestamp = play.stage.open_keys(keys(RoleType::Timestamp))?;
    let supplied = play.stage.shape.supplier().map(|(_, path)| path);
    let paths: Vec<&str> = [IMAGE].into_iter().chain(supplied.as_deref()).collect();

    let base = play.stage.copy("thief")?.honest();
    let mut mirror = base.clone();
    play.forge(&mut mirror, RoleType::Root, &targets)?;
    let before = play.current.clone();
    let trial = Trial {
        side: Side::AttackerCannot,
        says: "The thief cannot touch the root: the way back stays open.",
        tried: "a next root that makes the thief's key a root key, signed with the stolen keys",
        expect: "signature-threshold (root)",
    };
    play.probe(trial, &before, &mirror);

    let mut mirror = base;
    let file = mirror.forge_targets("targets", &paths, EVIL, AHEAD, &targets)?;
    let named = mirror.forge_snapshot(AHEAD, &snapshot, |next| next.set_role("targets", file))?;
    mirror.forge_timestamp(AHEAD, named, &timestamp)?;
    let trial = Trial {
        side: Side::AttackerCan,
        says: "The thief can install any software on up-to-date devices.",
        tried: "targets, snapshot and timestamp of the thief's, with an image of theirs",
        expect: THIEF,
    };
    let mut client = play.current.clone();
    play.image(trial, &mut client, &mirror, IMAGE);
    play.current = client;
    let mut fresh = play.fresh.clone();
    let trial = Trial {
        says: "The thief can install any software on new devices.",
        ..trial
    };
    play.image(trial, &mut fresh, &mirror, IMAGE);
    play.fresh = fresh;
    if let Some(path) = &supplied {
        let trial = Trial {
            says: "The thief can replace suppliers' images too: who delegates can take back.",
            ..trial
        };
        play.probe_image(trial, &before, &mirror, path);
    }

    play.refuses_a_release(
        "From then on, these devices refuse honest releases: the thief's versions are ahead.",
    )?;
    Ok(mirror)
}
