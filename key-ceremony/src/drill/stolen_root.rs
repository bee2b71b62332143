//! Root keys are stolen, one less than must sign.

use countersign_metadata::{Key, RoleType};

use super::mirror::{sign, sign_twice, sign_under};
use super::play::{ACCEPTED, HONEST, Play, Stolen};
use super::publisher::IMAGE;
use super::record::{Phase, Side, Trial};
use super::stage::HeldKey;
use crate::error::CeremonyError;
use crate::rotate::Why;

pub(super) fn play(play: &mut Play) -> Result<(), CeremonyError> {
    let root = play.stage.shape.role(RoleType::Root);
    let stolen: Vec<_> = play
        .stage
        .keys_of(RoleType::Root)
        .into_iter()
        .take((root.threshold as usize).saturating_sub(1).max(1))
        .collect();
    play.record.facts.played = format!(
        "A thief has {} of {} root keys, of which {} must sign, and controls the server that \
         devices ask.",
        stolen.len(),
        root.keys,
        root.threshold
    );
    let thief = play.stage.open_keys(&stolen)?;
    play.stage.pass(3_600)?;
    play.record.begin(
        Phase::Attack,
        play.stage.now,
        "The thief makes roots of their own.",
    );
    let client = play.current.clone();
    let refused = |says, tried| Trial {
        side: Side::AttackerCannot,
        says,
        tried,
        expect: "signature-threshold (root)",
    };

    let mut mirror = play.stage.honest();
    play.forge(&mut mirror, RoleType::Root, &thief)?;
    let trial = refused(
        "Too few root keys make no root: no device takes over other keys.",
        "a next root that makes the stolen key a targets key, signed with the stolen keys",
    );
    play.probe(trial, &client, &mirror);
    let fresh = play.fresh.clone();
    let trial = refused(
        "New devices do not fall for it either.",
        "the same root, shown to a device that only has the first",
    );
    play.probe(trial, &fresh, &mirror);

    let mut mirror = play.stage.honest();
    let (name, payload) = mirror.next_root(|_| ())?;
    let ids = mirror
        .root()?
        .roles
        .get(&RoleType::Root)
        .map(|role| role.keyids.clone());
    let twice = sign_under(payload.clone(), &thief, &ids.unwrap_or_default())?;
    mirror.serve(&name, twice);
    let trial = refused(
        "One signature under the names of all root keys counts once.",
        "a next root on which the stolen key's signature stands under every root key's id",
    );
    play.probe(trial, &client, &mirror);
    mirror.serve(&name, sign_twice(&payload, &thief)?);
    let trial = Trial {
        expect: "malformed (root)",
        ..refused(
            "Listing the same signature twice does not help.",
            "a next root with the same entry twice in its signatures (TUF 4.2)",
        )
    };
    play.probe(trial, &client, &mirror);

    let online = play.stage.signers(RoleType::Timestamp)?;
    let mut mirror = play.stage.honest();
    let (name, payload) = mirror.next_root(|root| {
        for id in root
            .roles
            .get(&RoleType::Root)
            .map_or(Vec::new(), |role| role.keyids.clone())
        {
            root.remove_key(RoleType::Root, &id);
        }
        for key in &online {
            root.add_key(RoleType::Root, Key::new(key.public_key()));
        }
        root.roles
            .entry(RoleType::Root)
            .and_modify(|role| role.threshold = 1);
    })?;
    mirror.serve(&name, sign(payload, &online)?);
    let trial = refused(
        "A root that only its own keys signed is refused.",
        "a next root with root keys of the thief's choice, signed by all of them (TUF 5.3.4)",
    );
    play.probe(trial, &client, &mirror);
    let trial = Trial {
        side: Side::Honest,
        says: "After all these attempts, the device goes on with the honest repository.",
        tried: "refresh from the repository, and the newest image",
        expect: HONEST,
    };
    let honest = play.stage.honest();
    play.probe_image(trial, &client, &honest, IMAGE);
    recover(play, &stolen)
}

fn recover(play: &mut Play, stolen: &[HeldKey]) -> Result<(), CeremonyError> {
    let root = play.stage.shape.role(RoleType::Root);
    play.stage.pass(6 * 3_600)?;
    play.record.begin(
        Phase::Recovery,
        play.stage.now,
        "Each stolen key is replaced; the holders of the other keys sign.",
    );
    // A second theft before the recovery has reached a device: what the hurry is for.
    let mut second = stolen.to_vec();
    let others = play.stage.keys_of(RoleType::Root).into_iter();
    second.extend(others.filter(|key| !stolen.contains(key)).take(1));
    let thief = play.stage.open_keys(&second)?;
    let mut takeover = play.stage.honest();
    play.forge(&mut takeover, RoleType::Root, &thief)?;

    let new = play.stage.rotate(Why::Compromised, stolen, &[])?;
    let behind = play.current.clone();
    play.recover_with(&new)?;

    play.record.begin(
        Phase::After,
        play.stage.now,
        "The thief tries the stolen keys again.",
    );
    let keys = Stolen::from([(RoleType::Root, stolen.to_vec())]);
    play.stolen_keys_are_refused(&keys)?;
    let facts = &mut play.record.facts;
    facts.to_do.extend([
        "Replace a stolen root key within days: the thief needs only the missing ones.".to_owned(),
        "See to it that devices fetch the new root soon, and count those that have not.".into(),
    ]);
    if root.threshold < 2 {
        facts.to_do.push(
            "Let two root keys sign at least: here, one stolen key takes over every device for \
             good."
                .into(),
        );
    }
    if root.threshold < 2 || second.len() < root.threshold as usize {
        return Ok(());
    }
    let mut mirror = play.stage.honest();
    play.forge(&mut mirror, RoleType::Root, &thief)?;
    let trial = Trial {
        side: Side::AttackerCannot,
        says: "Once a device has the new root, one more stolen key is not enough any more.",
        tried: "a next root signed with the replaced keys and one that is still in force",
        expect: "signature-threshold (root)",
    };
    let client = play.current.clone();
    play.probe(trial, &client, &mirror);
    let trial = Trial {
        side: Side::AttackerCan,
        says: "A device that has not seen the new root falls to a thief who steals one more root \
               key.",
        tried: "another second root, signed with the stolen keys and one more, shown to a device \
                that still has the first",
        expect: ACCEPTED,
    };
    play.probe(trial, &behind, &takeover);
    play.record.facts.remains.push(
        "Devices that have not fetched the new root still count the stolen keys, until they fetch \
         it or their root expires."
            .into(),
    );
    Ok(())
}
