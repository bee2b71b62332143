//! The key of a delegated role is stolen: a supplier's.

use countersign_metadata::Role;

use super::DrillError;
use super::mirror::Signers;
use super::names;
use super::play::{EVIL, HONEST, Play, THIEF};
use super::publisher::IMAGE;
use super::record::{Phase, Side, Trial, Verdict};
use super::shape::DelegationShape;
use crate::error::CeremonyError;

pub(super) fn play(play: &mut Play) -> Result<(), CeremonyError> {
    let found = play.stage.shape.supplier();
    let found = found.map(|(role, path)| (role.clone(), path));
    let (role, path) = found.ok_or_else(|| DrillError::stuck("no role is delegated"))?;
    let keys = play.stage.delegated_keys(&role.name)?;
    let stolen: Vec<_> = keys
        .into_iter()
        .take(role.role.threshold as usize)
        .collect();
    play.record.facts.played = format!(
        "A thief has {} of {} keys of the delegated role {}, as many as must sign, and at first \
         only the server that devices ask; then also the supplier's right to upload.",
        stolen.len(),
        role.role.keys,
        role.name
    );
    let thief = play.stage.open_keys(&stolen)?;
    let versions = [version(play, &role.name)?];
    with_the_mirror(play, &role, &path, &thief)?;
    let mid = with_the_upload(play, &role, &path, &thief)?;
    recover(play, &role, &path)?;

    let last = version(play, &role.name)?;
    let trial = Trial {
        side: Side::Honest,
        says: "The role's versions went on growing, so no device has to forget any.",
        tried: "the versions of the role before, during and after",
        expect: "growing",
    };
    let grows = versions[0] < mid && mid < last;
    let text = ["not growing", "growing"][usize::from(grows)];
    let detail = format!("{}, {mid}, {last}", versions[0]);
    play.record
        .judge(trial, "repo-tool", Verdict::plain(text, detail));

    play.record.begin(
        Phase::After,
        play.stage.now,
        "The thief tries the stolen key again.",
    );
    let mut mirror = play.stage.honest();
    let file = mirror.forge_targets(&role.name, &[&path], EVIL, 1, &thief)?;
    play.forge_above(&mut mirror, &role.name, file)?;
    let expect = format!(
        "target-not-found because signature-threshold ({})",
        role.name
    );
    let trial = Trial {
        side: Side::AttackerCannot,
        says: "The stolen key is worth nothing any more, even to whoever may upload.",
        tried: "a next file of the role, signed with the stolen key and published by honest keys",
        expect: &expect,
    };
    let client = play.current.clone();
    play.probe_image(trial, &client, &mirror, &path);
    let facts = &mut play.record.facts;
    facts.remains.push(
        "A device that installed the thief's image has run it. Only the paths of the delegation \
         were within reach."
            .into(),
    );
    facts.to_do.extend([
        "Keep delegated paths narrow: they are what a supplier's theft costs.".to_owned(),
        "Review what suppliers upload before it is published.".into(),
        "No root ceremony is needed: whoever delegates replaces the key.".into(),
    ]);
    Ok(())
}

fn with_the_mirror(
    play: &mut Play,
    role: &DelegationShape,
    path: &str,
    thief: &Signers,
) -> Result<(), CeremonyError> {
    let honest = play.stage.honest();
    let mut client = play.current.clone();
    let trial = Trial {
        side: Side::Honest,
        says: "Before the attack, devices install the supplier's honest image.",
        tried: "the supplier's image",
        expect: HONEST,
    };
    play.image(trial, &mut client, &honest, path);
    play.current = client;

    play.stage.pass(3_600)?;
    play.record.begin(
        Phase::Attack,
        play.stage.now,
        "The thief lists an image of their own.",
    );
    let mut mirror = honest;
    mirror.forge_targets(&role.name, &[path], EVIL, 0, thief)?;
    let name = &role.name;
    let expect = format!(
        "target-not-found because metadata-hash ({name}) or target-not-found because too-large \
         ({name})"
    );
    let trial = Trial {
        side: Side::AttackerCannot,
        says: "The thief alone reaches no device: the honest snapshot lists another file.",
        tried: "the role's file replaced by the thief's, of the same version",
        expect: &expect,
    };
    let fresh = play.fresh.clone();
    play.probe_image(trial, &fresh, &mirror, path);

    let mut mirror = play.stage.honest();
    let file = mirror.forge_targets(&role.name, &[path], EVIL, 1, thief)?;
    let named = mirror.forge_snapshot(1, thief, |next| next.set_role(&role.name, file))?;
    mirror.forge_timestamp(1, named, thief)?;
    let trial = Trial {
        side: Side::AttackerCannot,
        says: "Without the publishing server's keys the thief can publish nothing.",
        tried: "the next file of the role, snapshot and timestamp, signed with the stolen key",
        expect: "signature-threshold (timestamp)",
    };
    let client = play.current.clone();
    play.probe_image(trial, &client, &mirror, path);
    Ok(())
}

/// Returns the role's version with the thief's upload in it.
fn with_the_upload(
    play: &mut Play,
    role: &DelegationShape,
    path: &str,
    thief: &Signers,
) -> Result<u64, CeremonyError> {
    let honest = play.stage.honest();
    let client = play.current.clone();
    if let Some(outside) = names::outside(&role.paths) {
        let refused = play.stage.add(&outside, EVIL, Some(&role.name));
        let trial = Trial {
            side: Side::AttackerCannot,
            says: "The repository takes in nothing outside of the supplier's paths.",
            tried: "an upload of an image under another path",
            expect: "not-delegated",
        };
        let verdict = Verdict::of_tool(refused.as_ref());
        play.record.judge(trial, "repo-tool", verdict);
        let mut mirror = honest.clone();
        let file = mirror.forge_targets(&role.name, &[&outside], EVIL, 1, thief)?;
        play.forge_above(&mut mirror, &role.name, file)?;
        let trial = Trial {
            side: Side::AttackerCannot,
            says: "Even if it did, devices install nothing of the supplier's outside of its paths.",
            tried: "an image under another path in the supplier's list, published by honest keys",
            expect: "target-not-found",
        };
        play.probe_image(trial, &client, &mirror, &outside);
    }
    play.stage.add(path, EVIL, Some(&role.name))?;
    play.stage.publish()?;
    play.record.moment(
        play.stage.now,
        "The thief uploads as the supplier; it is published unseen.",
    );
    let honest = play.stage.honest();
    let trial = Trial {
        side: Side::AttackerCan,
        says: "Whoever may upload as the supplier can install any software under its paths.",
        tried: "the supplier's image, replaced by the thief's in an upload",
        expect: THIEF,
    };
    let mut client = client;
    play.image(trial, &mut client, &honest, path);
    let trial = Trial {
        side: Side::AttackerCannot,
        says: "Software outside of those paths is not touched.",
        tried: "the image that the targets role lists itself",
        expect: HONEST,
    };
    play.image(trial, &mut client, &honest, IMAGE);
    play.current = client;
    version(play, &role.name)
}

fn recover(play: &mut Play, role: &DelegationShape, path: &str) -> Result<(), CeremonyError> {
    play.stage.pass(6 * 3_600)?;
    play.record.begin(
        Phase::Recovery,
        play.stage.now,
        "The supplier makes a new key; the delegation names it instead, and the honest image is \
         released again.",
    );
    let name = &role.name;
    play.stage.rekey(name, role.role.keys)?;
    play.stage.log(
        "release engineer",
        "delegate to the supplier's new key",
        format!("repo-tool delegation set {name} --key supplier-new.pub"),
    );
    play.stage.add(path, &play.stage.supplied(1), Some(name))?;
    play.stage.log(
        "supplier",
        "list the honest image again, and sign",
        format!("repo-tool target add IMAGE --name {path} --role {name} && repo-tool sign"),
    );
    play.stage.publish()?;
    play.stage.log(
        "release engineer",
        "read the changes, sign and publish",
        "repo-tool diff && repo-tool sign && repo-tool publish".into(),
    );
    play.ends_well()?;
    let honest = play.stage.honest();
    for client in [&play.current, &play.offline, &play.fresh].map(Clone::clone) {
        let says = format!(
            "At the end, the {} installs the supplier's honest image.",
            client.name
        );
        let trial = Trial {
            side: Side::Honest,
            says: &says,
            tried: "the supplier's image",
            expect: HONEST,
        };
        play.probe_image(trial, &client, &honest, path);
    }
    Ok(())
}

fn version(play: &Play, role: &str) -> Result<u64, CeremonyError> {
    Ok(play.stage.honest().targets(role)?.version())
}
