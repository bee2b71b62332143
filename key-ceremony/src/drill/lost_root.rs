//! A root key is gone: a token broke, a holder cannot be reached.

use std::collections::BTreeMap;

use countersign_metadata::RoleType;

use super::mirror::sign;
use super::play::{ACCEPTED, HONEST, Play};
use super::publisher::IMAGE;
use super::record::{Phase, RootFacts, Side, Trial, Verdict};
use super::shape::{RoleShape, Shape};
use super::stage::Stage;
use crate::error::CeremonyError;
use crate::rotate::Why;

pub(super) fn play(play: &mut Play) -> Result<(), CeremonyError> {
    let root = play.stage.shape.role(RoleType::Root);
    play.record.facts.played = format!(
        "One of {} root keys, of which {} must sign, is destroyed. Nobody else has it. Later \
         somebody finds it.",
        root.keys, root.threshold
    );
    let lost = play
        .stage
        .keys_of(RoleType::Root)
        .into_iter()
        .take(1)
        .collect::<Vec<_>>();
    let found = play.stage.open_keys(&lost)?;
    play.stage.pass(3_600)?;
    play.record
        .begin(Phase::Attack, play.stage.now, "A root key is destroyed.");
    lost.iter().try_for_each(|key| play.stage.lose(key))?;
    play.release += 1;
    play.stage.release(play.release)?;
    let trial = Trial {
        side: Side::Honest,
        says: "Without the root key, releases go on: root keys are not needed for them.",
        tried: "a further release, and an up-to-date device that installs it",
        expect: HONEST,
    };
    let (client, honest) = (play.current.clone(), play.stage.honest());
    play.probe_image(trial, &client, &honest, IMAGE);

    play.stage.log.clear();
    play.stage.pass(6 * 3_600)?;
    play.record.begin(
        Phase::Recovery,
        play.stage.now,
        "The key's holder makes a new key; the other holders replace the lost one by it.",
    );
    let new = play.stage.rotate(Why::Lost, &lost, &[]);
    let trial = Trial {
        side: Side::Honest,
        says: "The remaining root keys are enough to replace the lost one.",
        tried: "the ceremony, without the lost key",
        expect: "done",
    };
    let by = "key-ceremony";
    if !play.record.judge(trial, by, Verdict::of_tool(new.as_ref())) {
        return end_of_the_chain(play);
    }
    play.recover_with(&new?)?;

    play.record.begin(
        Phase::After,
        play.stage.now,
        "Somebody finds the lost key and misuses it.",
    );
    let mut mirror = play.stage.honest();
    play.forge(&mut mirror, RoleType::Root, &found)?;
    let trial = Trial {
        side: Side::AttackerCannot,
        says: "The lost key is worth nothing to its finder.",
        tried: "a next root signed with the lost key",
        expect: "signature-threshold (root)",
    };
    let client = play.current.clone();
    play.probe(trial, &client, &mirror);
    if root.threshold > 1 {
        let mut signers = found;
        let others = play.stage.keys_of(RoleType::Root).into_iter().skip(1);
        let others: Vec<_> = others.take(root.threshold as usize - 1).collect();
        signers.extend(play.stage.open_keys(&others)?);
        let mut mirror = play.stage.honest();
        let (name, payload) = mirror.next_root(|_| ())?;
        mirror.serve(&name, sign(payload, &signers)?);
        let trial = Trial {
            side: Side::AttackerCannot,
            says: "The lost key does not help those who hold other root keys either.",
            tried: "a next root signed with the lost key and one key less than must sign",
            expect: "signature-threshold (root)",
        };
        play.probe(trial, &client, &mirror);
    }
    without_a_spare(play)?;
    let facts = &mut play.record.facts;
    facts.remains.push(format!(
        "Devices that have not seen the new root still count the lost key, until they see it. That \
         matters only to somebody who has {} more.",
        root.threshold.saturating_sub(1)
    ));
    facts.to_do.extend([
        "Replace a lost root key at once: the next loss may be one too many.".to_owned(),
        "Keep more root keys than must sign, in different places.".into(),
    ]);
    Ok(())
}

/// The same with as many keys as must sign: the first loss is the last.
fn without_a_spare(play: &mut Play) -> Result<(), CeremonyError> {
    let mut shape: Shape = play.stage.shape.clone();
    let root = shape.role(RoleType::Root);
    let threshold = root.threshold.max(2);
    let keys = threshold as usize;
    let bare = RoleShape {
        keys,
        threshold,
        ..root
    };
    shape.roles = BTreeMap::from_iter(shape.roles.into_iter().chain([(RoleType::Root, bare)]));
    let sandbox = play.stage.folder.join("without-a-spare");
    let mut stage = Stage::build(&sandbox, &shape, play.stage.now)?;
    let lost: Vec<_> = stage.keys_of(RoleType::Root).into_iter().take(1).collect();
    lost.iter().try_for_each(|key| stage.lose(key))?;
    let refused = stage.rotate(Why::Lost, &lost, &[]);
    let says = format!(
        "With {threshold} root keys of which {threshold} must sign, one loss ends the chain: no \
         root can follow."
    );
    let trial = Trial {
        side: Side::Honest,
        says: &says,
        tried: "the same ceremony in a second sandbox, with no key to spare",
        expect: "chain-ends",
    };
    let verdict = Verdict::of_tool(refused.as_ref());
    play.record.judge(trial, "key-ceremony", verdict);
    Ok(())
}

/// This repository has no key to spare: nothing can be recovered, and until when it works.
fn end_of_the_chain(play: &mut Play) -> Result<(), CeremonyError> {
    let expires = play.stage.roots.last().and_then(|file| RootFacts::of(file));
    let expires = expires.map(|root| root.expires).unwrap_or_default();
    let mut client = play.current.clone();
    let honest = play.stage.honest();
    let trial = Trial {
        side: Side::Honest,
        says: "Until then devices go on.",
        tried: "refresh from the repository",
        expect: ACCEPTED,
    };
    play.refresh(trial, &mut client, &honest, play.stage.now);
    let at = expires.parse().unwrap_or(play.stage.now);
    let trial = Trial {
        side: Side::Honest,
        says: "When the root expires, every device refuses everything, and nobody can change that.",
        tried: "refresh from the repository on that day",
        expect: "expired (root)",
    };
    play.refresh(trial, &mut client, &honest, at);
    let facts = &mut play.record.facts;
    facts.remains.push(format!(
        "There is no way back. Devices work until {expires}; then each must be given a new root by \
         hand."
    ));
    facts.to_do.push(
        "Add a further root key now, while all keys are there: 'key-ceremony rotate ... --why \
         scheduled --add root/NEW-HOLDER'."
            .into(),
    );
    Ok(())
}
