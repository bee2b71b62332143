//! The keys that sign Targets are stolen: those of the release engineers.

use countersign_metadata::RoleType;

use super::mirror::Mirror;
use super::play::{EVIL, HONEST, Play, Stolen, THIEF};
use super::publisher::IMAGE;
use super::record::{Phase, Side, Trial};
use super::stage::HeldKey;
use crate::error::CeremonyError;
use crate::rotate::Why;

const ROLE: RoleType = RoleType::Targets;

pub(super) fn play(play: &mut Play) -> Result<(), CeremonyError> {
    rotating(play, &[ROLE])
}

/// The drill, with a recovery that replaces the keys of `replaced`.
pub(super) fn rotating(play: &mut Play, replaced: &[RoleType]) -> Result<(), CeremonyError> {
    let stolen = play.stage.enough_keys(ROLE);
    play.record.facts.played = format!(
        "A thief has {} of {} targets keys, as many as must sign, and controls the server that \
         devices ask. The keys of the publishing server (snapshot, timestamp) are safe.",
        stolen.len(),
        play.stage.shape.role(ROLE).keys
    );
    let thief = play.stage.open_keys(&stolen)?;
    play.stage.pass(3_600)?;
    play.record.begin(
        Phase::Attack,
        play.stage.now,
        "The thief lists an image of their own.",
    );
    let (current, fresh) = (play.current.clone(), play.fresh.clone());

    let mut mirror = play.stage.honest();
    mirror.forge_targets("targets", &[IMAGE], EVIL, 0, &thief)?;
    let trial = Trial {
        side: Side::AttackerCannot,
        says: "The thief alone reaches no up-to-date device: it is not even asked for the file.",
        tried: "the current targets file replaced by the thief's, of the same version",
        expect: HONEST,
    };
    play.probe_image(trial, &current, &mirror, IMAGE);
    let trial = Trial {
        side: Side::AttackerCannot,
        says: "A new device refuses the thief's list: the honest snapshot lists another file.",
        tried: "the same, shown to a device that asks for the file",
        expect: "metadata-hash (targets) or too-large (targets)",
    };
    play.probe_image(trial, &fresh, &mirror, IMAGE);
    advise_hashes(play)?;

    let mut mirror = play.stage.honest();
    let file = mirror.forge_targets("targets", &[IMAGE], EVIL, 1, &thief)?;
    let snapshot = mirror.forge_snapshot(1, &thief, |next| next.set_role("targets", file))?;
    mirror.forge_timestamp(1, snapshot, &thief)?;
    let trial = Trial {
        side: Side::AttackerCannot,
        says: "Without the publishing server's keys the thief can publish nothing.",
        tried: "the next targets, snapshot and timestamp, all signed with the stolen key",
        expect: "signature-threshold (timestamp)",
    };
    play.probe(trial, &current, &mirror);

    let pipeline = publish_unseen(play)?;
    recover(play, &stolen, replaced)?;

    play.record.begin(
        Phase::After,
        play.stage.now,
        "The thief tries the stolen key again.",
    );
    play.stolen_keys_are_refused(&Stolen::from([(ROLE, stolen)]))?;
    let client = play.current.clone();
    let trial = Trial {
        side: Side::AttackerCannot,
        says: "Files that were published for the thief are refused by devices that recovered.",
        tried: "the whole tree from before the recovery, with the thief's image",
        expect: "version-rollback (timestamp)",
    };
    play.probe(trial, &client, &pipeline);
    let facts = &mut play.record.facts;
    facts.remains.extend([
        "A device that installed the thief's image has run it: replacing keys brings the honest \
         image back, but does not undo what the thief's did."
            .to_owned(),
        "If the thief's list was published with a version far ahead, replace a snapshot and a \
         timestamp key too: see the drill fast-forward."
            .into(),
    ]);
    facts.to_do.extend([
        "Let nobody publish what was not reviewed: 'repo-tool diff' shows what a release changes."
            .to_owned(),
        "Keep targets keys offline, or in a token that asks its holder.".into(),
    ]);
    Ok(())
}

/// The verdict above depends on what Snapshot lists.
fn advise_hashes(play: &mut Play) -> Result<(), CeremonyError> {
    let listed = play.stage.honest().snapshot()?;
    let entry = listed.role("targets");
    if entry.is_some_and(|entry| entry.hashes.is_none()) {
        play.record.facts.to_do.push(
            "Set snapshot_lists = \"hashes\" in repo.toml: without hashes in snapshot, the targets \
             key and control of the server are enough to replace the list of images on new devices."
                .into(),
        );
    }
    Ok(())
}

/// The same key in the hands of somebody whose releases are published unseen.
fn publish_unseen(play: &mut Play) -> Result<Mirror, CeremonyError> {
    let copy = play.stage.copy("pipeline")?;
    copy.add(IMAGE, EVIL, None)?;
    copy.publish()?;
    let mirror = copy.honest();
    let trial = Trial {
        side: Side::AttackerCan,
        says: "If a pipeline publishes whatever is signed with the targets key, the thief installs \
               any software.",
        tried: "the thief's image, signed with the stolen key and published by the honest server",
        expect: THIEF,
    };
    let client = play.current.clone();
    play.probe_image(trial, &client, &mirror, IMAGE);
    Ok(mirror)
}

fn recover(
    play: &mut Play,
    stolen: &[HeldKey],
    replaced: &[RoleType],
) -> Result<(), CeremonyError> {
    play.stage.pass(6 * 3_600)?;
    play.record.begin(
        Phase::Recovery,
        play.stage.now,
        "A root ceremony replaces the stolen targets keys.",
    );
    let leaving = match replaced.contains(&ROLE) {
        true => stolen.to_vec(),
        false => Vec::new(),
    };
    let new = play.stage.rotate(Why::Compromised, &leaving, &[])?;
    play.recover_with(&new)
}
