//! The Timestamp and Snapshot keys are stolen, and versions pushed far ahead.

use countersign_metadata::{MetaFile, RoleType};
use countersign_verifier::RemoteName;

use super::client::Client;
use super::mirror::Mirror;
use super::play::{ACCEPTED, EVIL, HONEST, Play, Stolen};
use super::publisher::IMAGE;
use super::record::{Phase, Side, Trial, Verdict};
use crate::error::CeremonyError;
use crate::profile::Accepted;
use crate::rotate::Why;

/// Versions that a repository does not reach: one release a second takes 68 years.
const FAR: u64 = 1 << 31;
const ROLES: [RoleType; 2] = [RoleType::Snapshot, RoleType::Timestamp];
const FINDING: &str = "snapshot-without-timestamp";

pub(super) fn play(play: &mut Play) -> Result<(), CeremonyError> {
    play.record.facts.played = format!(
        "A thief has the snapshot and timestamp keys of the publishing server, controls what \
         devices are served, and publishes versions {FAR} ahead, with no end of validity."
    );
    let stolen = Stolen::from(ROLES.map(|role| (role, play.stage.enough_keys(role))));
    play.stage.pass(3_600)?;
    play.record.begin(
        Phase::Attack,
        play.stage.now,
        "The thief publishes versions far ahead.",
    );
    let thief = Thief::with(play, &stolen)?;
    attack(play, &thief)?;
    let extreme = thief.extreme(play)?;
    half_a_recovery(play, &thief, &stolen)?;

    play.record.begin(
        Phase::Recovery,
        play.stage.now,
        "A root ceremony replaces the snapshot and timestamp keys together.",
    );
    let leaving: Vec<_> = stolen.values().flatten().cloned().collect();
    let new = play.stage.rotate(Why::Compromised, &leaving, &[])?;
    let victim = play.current.clone();
    play.recover_with(&new)?;
    let trial = Trial {
        side: Side::Honest,
        says: "Even the highest version that there is locks no device out for good.",
        tried: "the honest repository, shown to a device that had accepted version 2^64 - 1",
        expect: HONEST,
    };
    let honest = play.stage.honest();
    play.probe_image(trial, &extreme, &honest, IMAGE);

    play.record.begin(
        Phase::After,
        play.stage.now,
        "The thief replays files that have not expired.",
    );
    let mut mirror = play.stage.honest();
    mirror.serve(
        &RemoteName::Timestamp,
        thief.mirror.bytes(&RemoteName::Timestamp)?,
    );
    let trial = Trial {
        side: Side::AttackerCannot,
        says: "The thief's timestamp, valid for years by its date, is refused.",
        tried: "replaying it to a device that has the new root",
        expect: "signature-threshold (timestamp)",
    };
    let client = play.current.clone();
    play.probe(trial, &client, &mirror);
    play.stolen_keys_are_refused(&stolen)?;
    play.kept_from_the_new_root(
        &thief.mirror,
        &victim,
        [
            "A device that never gets to see the new root stays frozen.",
            "The thief can hold no device for ever: when its root expires, it refuses everything.",
        ],
    )?;
    let facts = &mut play.record.facts;
    facts.remains.push(
        "Devices that an attacker keeps from the repository stay frozen until they reach it, and \
         refuse everything once their root has expired."
            .into(),
    );
    facts.to_do.extend([
        "Always replace the snapshot and the timestamp key together.".to_owned(),
        "Watch for devices that refuse with version-rollback: that is how the freeze shows.".into(),
        "Keep root files valid for about a year at most: their expiry ends what nothing else can."
            .into(),
    ]);
    Ok(())
}

/// Who has the keys, and what they serve: a copy of the tree at the time of the theft.
struct Thief {
    mirror: Mirror,
    base: Mirror,
    snapshot: super::mirror::Signers,
    timestamp: super::mirror::Signers,
}

impl Thief {
    fn with(play: &Play, stolen: &Stolen) -> Result<Self, CeremonyError> {
        let keys = |role| stolen.get(&role).map_or(&[][..], Vec::as_slice);
        let snapshot = play.stage.open_keys(keys(RoleType::Snapshot))?;
        let timestamp = play.stage.open_keys(keys(RoleType::Timestamp))?;
        let base = play.stage.copy("thief")?.honest();
        let mut mirror = base.clone();
        let named = mirror.forge_snapshot(FAR, &snapshot, |_| ())?;
        mirror.forge_timestamp(FAR, named, &timestamp)?;
        Ok(Self {
            mirror,
            base,
            snapshot,
            timestamp,
        })
    }

    /// A device that was shown the highest version there is, for all three roles.
    fn extreme(&self, play: &mut Play) -> Result<Client, CeremonyError> {
        let mut mirror = self.base.clone();
        let named = mirror.forge_snapshot(u64::MAX, &self.snapshot, |next| {
            let far_ahead = |file| MetaFile {
                version: u64::MAX,
                ..file
            };
            let listed = next.meta.iter();
            next.meta = listed
                .map(|(name, file)| (name.into_owned(), far_ahead(file)))
                .collect();
        })?;
        mirror.forge_timestamp(u64::MAX, named, &self.timestamp)?;
        let trial = Trial {
            side: Side::AttackerCan,
            says: "The thief can push versions to the highest number there is, and name targets \
                   files that do not exist.",
            tried: "snapshot and timestamp of version 2^64 - 1, which name targets of that version",
            expect: "metadata-missing (targets) or version-mismatch (targets)",
        };
        let (mut client, now) = (play.current.clone(), play.stage.now);
        client.name = "device with the highest versions";
        play.refresh(trial, &mut client, &mirror, now);
        Ok(client)
    }
}

fn attack(play: &mut Play, thief: &Thief) -> Result<(), CeremonyError> {
    let before = play.current.clone();
    let trial = Trial {
        side: Side::AttackerCannot,
        says: "The thief cannot install software: images are listed under a key that is safe.",
        tried: "a targets file with the thief's image, signed with both stolen keys",
        expect: "signature-threshold (targets)",
    };
    let mut mirror = thief.base.clone();
    let file = mirror.forge_targets("targets", &[IMAGE], EVIL, 1, &thief.snapshot)?;
    let named = mirror.forge_snapshot(1, &thief.snapshot, |next| next.set_role("targets", file))?;
    mirror.forge_timestamp(1, named, &thief.timestamp)?;
    play.probe(trial, &before, &mirror);

    if let Some((role, _)) = play.stage.shape.supplier() {
        let hidden = format!("{}.json", role.name);
        let expect = format!("snapshot-entry-removed ({})", role.name);
        let mut mirror = thief.base.clone();
        let named = mirror.forge_snapshot(1, &thief.snapshot, |next| {
            next.meta.remove(&hidden);
        })?;
        mirror.forge_timestamp(1, named, &thief.timestamp)?;
        let trial = Trial {
            side: Side::AttackerCannot,
            says: "The thief cannot make a supplier's images disappear from devices that know them.",
            tried: "a snapshot that lists the supplier's role no more",
            expect: &expect,
        };
        play.probe(trial, &before, &mirror);
    }

    let trial = Trial {
        side: Side::AttackerCan,
        says: "The thief can make devices accept versions far ahead.",
        tried: "the thief's snapshot and timestamp, with the honest list of images",
        expect: ACCEPTED,
    };
    let (mut client, now) = (play.current.clone(), play.stage.now);
    play.refresh(trial, &mut client, &thief.mirror, now);
    play.current = client;
    let trial = Trial {
        says: "A device that meets the thief first accepts them just the same.",
        ..trial
    };
    let mut fresh = play.fresh.clone();
    play.refresh(trial, &mut fresh, &thief.mirror, now);
    play.fresh = fresh;

    play.refuses_a_release(
        "From then on, these devices refuse every honest release: they are frozen.",
    )?;
    Ok(())
}

/// Why the policy insists on both keys: a snapshot key alone is refused, and what would come of
/// it shows why.
fn half_a_recovery(play: &mut Play, thief: &Thief, stolen: &Stolen) -> Result<(), CeremonyError> {
    play.stage.pass(6 * 3_600)?;
    play.record.begin(
        Phase::Recovery,
        play.stage.now,
        "The lead plans to replace the snapshot key alone.",
    );
    let snapshot = stolen
        .get(&RoleType::Snapshot)
        .map_or(&[][..], Vec::as_slice);
    let refused = play
        .stage
        .copy("refused")?
        .rotate(Why::Compromised, snapshot, &[]);
    let expect = format!("policy: {FINDING}");
    let trial = Trial {
        side: Side::Honest,
        says: "The ceremony refuses to replace the snapshot key without the timestamp key.",
        tried: "a rotation of the snapshot key alone",
        expect: &expect,
    };
    let verdict = Verdict::of_tool(refused.as_ref());
    play.record.judge(trial, "key-ceremony", verdict);

    let mut copy = play.stage.copy("half")?;
    let accepted = [Accepted {
        finding: FINDING.into(),
        reason: "to show in a drill what comes of it".into(),
    }];
    let new = copy.rotate(Why::Compromised, snapshot, &accepted)?;
    copy.publish_root(&new)?;
    copy.settle()?;
    let mut mirror = copy.honest();
    let timestamp = thief.mirror.bytes(&RemoteName::Timestamp)?;
    mirror.serve(&RemoteName::Timestamp, timestamp);
    let far = thief.mirror.snapshot_name()?;
    mirror.serve(&far, thief.mirror.bytes(&far)?);
    let mut client = play.current.clone();
    // The replay: its verdict does not matter, what the device remembers of it does.
    let _ = client.refresh(&mirror, copy.now);
    let trial = Trial {
        side: Side::AttackerCan,
        says: "If only the snapshot key were replaced, a replayed timestamp would freeze devices \
               again.",
        tried: "in a copy, the snapshot key alone is replaced; the thief replays the timestamp; \
                then the honest repository",
        expect: "version-rollback (timestamp)",
    };
    play.refresh(trial, &mut client, &copy.honest(), copy.now);
    Ok(())
}
