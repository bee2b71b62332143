//! What all drills share: the devices, trying things on them, and what must hold at the end.

use std::collections::BTreeMap;

use countersign_metadata::{Key, MetaFile, RoleType, UtcTime};
use countersign_verifier::{RemoteName, StoreName};

use super::client::Client;
use super::mirror::{Mirror, Signers, sign};
use super::publisher::IMAGE;
use super::record::{
    DrillReport, Facts, Phase, Record, RootFacts, ShapeFacts, Side, Trial, Verdict,
};
use super::stage::{HeldKey, NewRoot, Stage};
use super::{Drill, DrillError};
use crate::error::CeremonyError;

/// The thief's image.
pub(super) const EVIL: &[u8] = b"the thief's image\n";
/// Verdicts that devices and tools can come to, besides refusals by code.
pub(super) const ACCEPTED: &str = "accepted";
pub(super) const HONEST: &str = "installs the honest image";
pub(super) const THIEF: &str = "installs the thief's image";

/// The repository, its devices, and what is written down.
#[derive(Debug)]
pub(super) struct Play {
    pub(super) stage: Stage,
    pub(super) record: Record,
    /// Up to date before the attack.
    pub(super) current: Client,
    /// Up to date long ago; hears nothing until the recovery is over.
    pub(super) offline: Client,
    /// Provisioned, never connected.
    pub(super) fresh: Client,
    /// The newest honest release.
    pub(super) release: u32,
}

/// Stolen keys, by role.
pub(super) type Stolen = BTreeMap<RoleType, Vec<HeldKey>>;

impl Play {
    /// Two releases; one device has seen both, one the first, one none.
    pub(super) fn begin(mut stage: Stage) -> Result<Self, CeremonyError> {
        let first = stage.roots.first().cloned().unwrap_or_default();
        let client = |name| Client::new(name, &first).map_err(DrillError::stuck);
        let mut play = Self {
            current: client("up-to-date device")?,
            offline: client("device that was offline all the time")?,
            fresh: client("new device")?,
            record: Record::default(),
            release: 2,
            stage: stage.clone(),
        };
        play.record.begin(
            Phase::Before,
            stage.now,
            "The repository is set up by a ceremony, and a first image released.",
        );
        let seen = play.offline.get(IMAGE, &stage.honest(), stage.now);
        seen.map_err(DrillError::stuck)?;
        stage.pass(3_600)?;
        stage.release(2)?;
        stage.log.clear();
        let now = stage.now;
        play.stage = stage;
        play.record.moment(now, "A second image is released.");
        let mut current = play.current.clone();
        let trial = Trial {
            side: Side::Honest,
            says: "Before the attack, devices follow the repository.",
            tried: "refresh, and the newest image",
            expect: HONEST,
        };
        play.image(trial, &mut current, &play.stage.honest(), IMAGE);
        play.current = current;
        Ok(play)
    }

    /// Lets a device refresh. Whether it came out as it should.
    pub(super) fn refresh(
        &mut self,
        trial: Trial<'_>,
        client: &mut Client,
        from: &Mirror,
        now: UtcTime,
    ) -> bool {
        let verdict = match client.refresh(from, now) {
            Ok(_) => Verdict::accepted(),
            Err(reject) => Verdict::refused(&reject),
        };
        self.record.judge(trial, client.name, verdict)
    }

    /// As [`Play::refresh`] now, on a copy of the device: what comes of it is not played on.
    pub(super) fn probe(&mut self, trial: Trial<'_>, client: &Client, from: &Mirror) -> bool {
        self.refresh(trial, &mut client.clone(), from, self.stage.now)
    }

    /// An honest release comes out an hour later, which the current device takes for a rollback.
    pub(super) fn refuses_a_release(&mut self, says: &str) -> Result<(), CeremonyError> {
        self.stage.pass(3_600)?;
        self.release += 1;
        self.stage.release(self.release)?;
        let now = self.stage.now;
        self.record.moment(now, "An honest release comes out.");
        let trial = Trial {
            side: Side::AttackerCan,
            says,
            tried: "the newest honest release",
            expect: "version-rollback (timestamp)",
        };
        let (client, honest) = (self.current.clone(), self.stage.honest());
        self.probe(trial, &client, &honest);
        Ok(())
    }

    /// Lets a device fetch the image at `path` now.
    pub(super) fn image(
        &mut self,
        trial: Trial<'_>,
        client: &mut Client,
        from: &Mirror,
        path: &str,
    ) -> bool {
        let honest = match path {
            IMAGE => self.stage.image(self.release),
            _ => self.stage.supplied(1),
        };
        let outcome = client.get(path, from, self.stage.now);
        let verdict = Verdict::of_image(&outcome, &honest, EVIL);
        self.record.judge(trial, client.name, verdict)
    }

    /// As [`Play::image`], on a copy of the device.
    pub(super) fn probe_image(
        &mut self,
        trial: Trial<'_>,
        client: &Client,
        from: &Mirror,
        path: &str,
    ) -> bool {
        self.image(trial, &mut client.clone(), from, path)
    }

    /// Publishes the Root of the recovery, waits until new keys sign alone, and looks at all devices.
    pub(super) fn recover_with(&mut self, new: &NewRoot) -> Result<(), CeremonyError> {
        self.stage.publish_root(new)?;
        let what = "The new root is published. For a while, outgoing keys sign with the new ones.";
        self.record.moment(self.stage.now, what);
        self.stage.settle()?;
        let what = "The new keys sign alone.";
        self.record.moment(self.stage.now, what);
        self.ends_well()
    }

    /// The device's own files and image are the honest ones again, for each of three devices.
    pub(super) fn ends_well(&mut self) -> Result<(), CeremonyError> {
        let honest = self.stage.honest();
        let mut all = true;
        let mut clients = [
            self.current.clone(),
            self.offline.clone(),
            self.fresh.clone(),
        ];
        for client in &mut clients {
            let says = format!(
                "At the end, the {} installs the newest honest image.",
                client.name
            );
            let trial = Trial {
                side: Side::Honest,
                says: &says,
                tried: "refresh from the repository, and the newest image",
                expect: HONEST,
            };
            all &= self.image(trial, client, &honest, IMAGE);
            let says = format!(
                "At the end, the {} holds the honest metadata and nothing of the attacker's.",
                client.name
            );
            let trial = Trial {
                side: Side::Honest,
                says: &says,
                tried: "comparing each stored file with the published one, byte by byte",
                expect: "the same",
            };
            let verdict = differences(client, &honest)?;
            all &= self.record.judge(trial, client.name, verdict);
        }
        self.record.recovered = all;
        [self.current, self.offline, self.fresh] = clients;
        Ok(())
    }

    /// Each stolen key by itself is refused, even if everybody else signed what it made.
    pub(super) fn stolen_keys_are_refused(&mut self, stolen: &Stolen) -> Result<(), CeremonyError> {
        for (role, keys) in stolen {
            let mut mirror = self.stage.honest();
            let thief = self.stage.open_keys(keys)?;
            self.forge(&mut mirror, *role, &thief)?;
            let says = format!("The stolen {role} key is worth nothing any more.");
            let tried = format!(
                "the next {role} file, signed with the stolen key; every other file signed by the \
                 honest keys"
            );
            let expect = format!("signature-threshold ({role})");
            let trial = Trial {
                side: Side::AttackerCannot,
                says: &says,
                tried: &tried,
                expect: &expect,
            };
            let client = self.current.clone();
            self.probe(trial, &client, &mirror);
        }
        Ok(())
    }

    /// The next file of `role` by `thief`, and what is above it by the keys in force.
    pub(super) fn forge(
        &self,
        mirror: &mut Mirror,
        role: RoleType,
        thief: &Signers,
    ) -> Result<(), CeremonyError> {
        let honest = |role| self.stage.signers(role);
        match role {
            RoleType::Root => {
                let key = thief.first().map(|key| Key::new(key.public_key()));
                let (name, payload) = mirror.next_root(|root| {
                    root.roles.values_mut().for_each(|role| role.threshold = 1);
                    if let Some(key) = key {
                        root.add_key(RoleType::Root, key.clone());
                        root.add_key(RoleType::Targets, key);
                    }
                })?;
                mirror.serve(&name, sign(payload, thief)?);
                Ok(())
            }
            RoleType::Targets => {
                let file = mirror.forge_targets("targets", &[IMAGE], EVIL, 1, thief)?;
                self.forge_above(mirror, "targets", file)
            }
            RoleType::Snapshot => {
                let snapshot = mirror.forge_snapshot(1, thief, |_| ())?;
                mirror.forge_timestamp(1, snapshot, &honest(RoleType::Timestamp)?)
            }
            RoleType::Timestamp => {
                let snapshot = mirror.timestamp()?.snapshot;
                mirror.forge_timestamp(1, snapshot, thief)
            }
        }
    }

    /// Snapshot and Timestamp that name `file`, by the keys in force: as if whoever publishes
    /// had taken it for honest.
    pub(super) fn forge_above(
        &self,
        mirror: &mut Mirror,
        role: &str,
        file: MetaFile,
    ) -> Result<(), CeremonyError> {
        let keys = self.stage.signers(RoleType::Snapshot)?;
        let snapshot = mirror.forge_snapshot(1, &keys, |next| next.set_role(role, file))?;
        let keys = self.stage.signers(RoleType::Timestamp)?;
        mirror.forge_timestamp(1, snapshot, &keys)
    }

    /// Root's expiry is what bounds all of this: a device that an attacker keeps from the new
    /// Root goes on trusting the old one until then.
    pub(super) fn kept_from_the_new_root(
        &mut self,
        mirror: &Mirror,
        client: &Client,
        says: [&str; 2],
    ) -> Result<(), CeremonyError> {
        let mut mirror = mirror.clone();
        let held = client.root_version();
        mirror.hide_roots_after(held)?;
        let trial = Trial {
            side: Side::AttackerCan,
            says: says[0],
            tried: "the attacker's files, while every newer root is held back",
            expect: ACCEPTED,
        };
        self.probe(trial, client, &mirror);
        let mut roots = self
            .stage
            .roots
            .iter()
            .filter_map(|file| RootFacts::of(file));
        let expires = roots.find(|root| root.version == held);
        let expires = expires.and_then(|root| root.expires.parse::<UtcTime>().ok());
        let expires = expires.ok_or_else(|| DrillError::stuck("a root without a date"))?;
        let trial = Trial {
            side: Side::AttackerCannot,
            says: says[1],
            tried: "the same files at the moment that the device's root expires",
            expect: "expired (root)",
        };
        self.refresh(trial, &mut client.clone(), &mirror, expires);
        Ok(())
    }

    /// Sums up.
    pub(super) fn end(self, drill: Drill, held: UtcTime) -> (DrillReport, Vec<Vec<u8>>) {
        let Self { stage, record, .. } = self;
        let mut remarks = stage.shape.remarks.clone();
        remarks.extend(stage.remarks.iter().cloned());
        remarks.extend(record.facts.remarks);
        let report = DrillReport {
            drill: drill.name().into(),
            title: drill.title().into(),
            passed: record.claims.iter().all(|claim| claim.holds),
            recovered: record.recovered,
            held: held.to_string(),
            software: env!("CARGO_PKG_VERSION").into(),
            shape: ShapeFacts::of(&stage.shape),
            facts: Facts {
                remarks,
                ..record.facts
            },
            claims: record.claims,
            recovery: stage.log,
            timeline: record.timeline,
            roots: stage
                .roots
                .iter()
                .filter_map(|file| RootFacts::of(file))
                .collect(),
        };
        (report, stage.roots)
    }
}

/// Which of a device's files are not those that are published.
fn differences(client: &Client, honest: &Mirror) -> Result<Verdict, CeremonyError> {
    let files = [
        (StoreName::Root, RemoteName::Root(client.root_version())),
        (StoreName::Timestamp, RemoteName::Timestamp),
        (StoreName::Snapshot, honest.snapshot_name()?),
        (StoreName::Targets, honest.targets_name("targets")?),
    ];
    let mut other = Vec::new();
    for (stored, published) in files {
        if client.stored(&stored) != Some(honest.bytes(&published)?.as_slice()) {
            other.push(published.role().to_owned());
        }
    }
    Ok(match other.is_empty() {
        true => Verdict::plain("the same", ""),
        false => Verdict::plain("different", other.join(", ")),
    })
}
