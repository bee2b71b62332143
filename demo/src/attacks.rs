//! The attacks. Each is played on a copy: the server plays tricks on one path or another, a twin
//! of the device meets it, and the verdict must be the one expected.

use std::error::Error;

use countersign_metadata::{Key, MetaFile, Role, RoleType, TargetFile, TargetPath, TargetsBuilder};

use crate::device::Device;
use crate::forge::{Published, later, next_timestamp, signed, signed_twice, targets_with};
use crate::narrator::{Narrator, Verdict};
use crate::server::{Server, Trick, Tricks};
use crate::stage::Stage;
use crate::story::{BOOT, KERNEL, SBI, Told};

type Result<T> = std::result::Result<T, Box<dyn Error>>;

/// Plays all of them.
pub(crate) fn play(stage: &Stage, narrator: &mut Narrator, told: &Told) -> Result<()> {
    let mut attacks = Attacks {
        stage,
        narrator,
        told,
        published: Published::at(&stage.published()),
        played: 0,
    };
    attacks
        .narrator
        .chapter("Attacks by whoever controls the mirror");
    attacks.by_the_mirror()?;
    attacks.narrator.chapter("Attacks with stolen keys");
    attacks.with_online_keys()?;
    attacks.with_root_keys()?;
    attacks.with_the_suppliers_key()?;
    attacks.narrator.chapter("After all that");
    let server = Server::start(&stage.published(), Tricks::new())?;
    let ok = Verdict::new("ok", "none");
    let still = told.device.download(stage, &server, &[KERNEL, BOOT, SBI])? == ok;
    attacks
        .narrator
        .check("the device still follows the honest repository", still);
    Ok(())
}

struct Attacks<'a> {
    stage: &'a Stage,
    narrator: &'a mut Narrator,
    told: &'a Told,
    published: Published,
    played: u32,
}

impl Attacks<'_> {
    fn by_the_mirror(&mut self) -> Result<()> {
        let kernel = self.published.image("targets", KERNEL)?;
        let mut tampered = self.published.bytes(&kernel)?;
        tampered[4096] ^= 1;
        self.download(
            "the kernel, with one bit flipped",
            [(&*kernel, Trick::Serve(tampered))],
            "image-hash",
            "arbitrary-software",
        )?;
        let whole = self.published.bytes(&kernel)?;
        self.download(
            "the kernel, and it never ends",
            [(&*kernel, Trick::NeverEnd(whole.clone()))],
            "image-too-long",
            "endless-data",
        )?;
        self.download(
            "the kernel, one byte a second",
            [(&*kernel, Trick::Drip(whole))],
            "slow-retrieval",
            "slow-retrieval",
        )?;

        let old = Trick::Serve(self.told.first_timestamp.clone());
        self.refresh(
            "yesterday's timestamp",
            [("metadata/timestamp.json", old)],
            "version-rollback",
            "rollback",
        )?;
        let snapshot = format!("metadata/{}", self.published.snapshot_name()?);
        let old = Trick::Serve(self.told.first_snapshot.clone());
        self.refresh_by(
            &self.told.after_first.clone(),
            "yesterday's snapshot under today's timestamp",
            [(&*snapshot, old)],
            "metadata-hash",
            "mix-and-match",
        )?;

        let server = Server::start(&self.stage.published(), Tricks::new())?;
        let twin = self.twin(&self.told.device.clone())?;
        let found = twin.refresh_in_days(self.stage, &server, 40)?;
        self.narrator.verdict(
            "the same files for forty days",
            &Verdict::new("expired", "freeze"),
            &found,
        );
        Ok(())
    }

    fn with_online_keys(&mut self) -> Result<()> {
        let timestamp = self.stage.steal(&self.told.keys.timestamp)?;
        let snapshot = self.stage.steal(&self.told.keys.snapshot)?;
        let file = next_timestamp(&self.published, MetaFile::version(1), &*timestamp)?;
        let what = "timestamp key: a newer timestamp naming the first snapshot";
        self.refresh(
            what,
            [("metadata/timestamp.json", Trick::Serve(file))],
            "version-rollback",
            "rollback",
        )?;

        let current = self.published.snapshot()?;
        let mut next = current.next(later(current.expires())?);
        next.meta.remove("opensbi.json");
        let version = next.version();
        let file = signed(next.to_payload(), &[&*snapshot])?;
        let naming = next_timestamp(
            &self.published,
            MetaFile::describing(version, &file),
            &*timestamp,
        )?;
        let path = format!("metadata/{version}.snapshot.json");
        let tricks = [
            ("metadata/timestamp.json", Trick::Serve(naming)),
            (&*path, Trick::Serve(file)),
        ];
        let what = "both online keys: a snapshot that hides the supplier's role";
        self.refresh(what, tricks, "snapshot-entry-removed", "rollback")?;

        let evil = TargetFile::describing(b"evil");
        let file = TargetsBuilder {
            targets: [(TargetPath::new(KERNEL)?, evil)].into(),
            ..TargetsBuilder::next_of(
                &self.published.targets("targets")?,
                later(current.expires())?,
            )?
        };
        let version = file.header.version;
        let file = signed(file.to_payload(), &[&*timestamp, &*snapshot])?;
        let tricks = self.naming_targets("targets", version, file)?;
        let what = "both online keys: a kernel of their own in targets";
        self.refresh(
            what,
            tricks.iter().map(|(path, trick)| (&**path, trick.clone())),
            "signature-threshold",
            "arbitrary-software",
        )
    }

    fn with_root_keys(&mut self) -> Result<()> {
        let anna = self.stage.steal(&self.told.keys.anna)?;
        let ben = self.stage.steal(&self.told.keys.ben)?.keyid();
        let thief = self.stage.steal(&self.told.keys.supplier)?;
        let root = self.published.root()?;
        let path = format!("metadata/{}.root.json", root.version() + 1);
        let mut takeover = root.next(later(root.expires())?);
        takeover.add_key(RoleType::Targets, Key::new(thief.public_key()));

        let file = signed_twice(takeover.to_payload(), &*anna, ben)?;
        let what = "anna's key: a new root, her signature under two key ids";
        self.refresh(
            what,
            [(&*path, Trick::Serve(file))],
            "signature-threshold",
            "arbitrary-software",
        )?;

        for ids in root.roles[&RoleType::Root].keyids.clone() {
            takeover.remove_key(RoleType::Root, &ids);
        }
        takeover.add_key(RoleType::Root, Key::new(thief.public_key()));
        if let Some(role) = takeover.roles.get_mut(&RoleType::Root) {
            role.threshold = 1;
        }
        let file = signed(takeover.to_payload(), &[&*thief])?;
        let what = "no root key: a new root signed by its own keys only";
        self.refresh(
            what,
            [(&*path, Trick::Serve(file))],
            "signature-threshold",
            "arbitrary-software",
        )
    }

    fn with_the_suppliers_key(&mut self) -> Result<()> {
        let supplier = self.stage.steal(&self.told.keys.supplier)?;
        let (inside, outside) = ("opensbi/extra.bin", "boot/extra.bin");
        let image = b"listed by the supplier";
        let (version, file) = targets_with(
            &self.published,
            "opensbi",
            &[inside, outside],
            image,
            &*supplier,
        )?;
        let mut tricks = self.naming_targets("opensbi", version, file)?;
        for path in [inside, outside] {
            let prefix = hex::encode(countersign_metadata::sha256(image));
            let path = TargetPath::new(path)?.with_prefix(&prefix);
            tricks.push((format!("targets/{path}"), Trick::Serve(image.to_vec())));
        }
        // The same files from the same server: only the path decides.
        for (what, path, name) in [
            (
                "supplier's key: an image inside the delegated paths",
                inside,
                "ok",
            ),
            (
                "supplier's key: the same image outside of them",
                outside,
                "target-not-found",
            ),
        ] {
            let tricks = tricks.iter().map(|(path, trick)| (&**path, trick.clone()));
            let device = self.told.device.clone();
            self.play(
                &device,
                what,
                tricks,
                name,
                "none",
                |device, stage, server| device.download(stage, server, &[path]),
            )?;
        }
        Ok(())
    }

    /// Serves a Targets role as current: with stolen online keys, that takes a new Snapshot and
    /// a new Timestamp.
    fn naming_targets(
        &self,
        role: &str,
        version: u64,
        file: Vec<u8>,
    ) -> Result<Vec<(String, Trick)>> {
        let timestamp = self.stage.steal(&self.told.keys.timestamp)?;
        let snapshot = self.stage.steal(&self.told.keys.snapshot)?;
        let current = self.published.snapshot()?;
        let mut next = current.next(later(current.expires())?);
        next.set_role(role, MetaFile::describing(version, &file));
        let number = next.version();
        let next = signed(next.to_payload(), &[&*snapshot])?;
        let naming = next_timestamp(
            &self.published,
            MetaFile::describing(number, &next),
            &*timestamp,
        )?;
        Ok(vec![
            ("metadata/timestamp.json".into(), Trick::Serve(naming)),
            (
                format!("metadata/{number}.snapshot.json"),
                Trick::Serve(next),
            ),
            (
                format!("metadata/{version}.{role}.json"),
                Trick::Serve(file),
            ),
        ])
    }

    fn refresh<'s>(
        &mut self,
        what: &str,
        tricks: impl IntoIterator<Item = (&'s str, Trick)>,
        name: &str,
        attack: &str,
    ) -> Result<()> {
        self.refresh_by(&self.told.device.clone(), what, tricks, name, attack)
    }

    fn refresh_by<'s>(
        &mut self,
        device: &Device,
        what: &str,
        tricks: impl IntoIterator<Item = (&'s str, Trick)>,
        name: &str,
        attack: &str,
    ) -> Result<()> {
        self.play(device, what, tricks, name, attack, Device::refresh)
    }

    /// Downloads the kernel to a device that does not have it yet.
    fn download<'s>(
        &mut self,
        what: &str,
        tricks: impl IntoIterator<Item = (&'s str, Trick)>,
        name: &str,
        attack: &str,
    ) -> Result<()> {
        let device = self.told.after_first.clone();
        let before = device.image(KERNEL);
        self.play(
            &device,
            what,
            tricks,
            name,
            attack,
            |device, stage, server| {
                let verdict = device.download(stage, server, &[KERNEL])?;
                match device.image(KERNEL) == before {
                    true => Ok(verdict),
                    false => Err("the device's kernel changed under an attack".into()),
                }
            },
        )
    }

    fn play<'s>(
        &mut self,
        device: &Device,
        what: &str,
        tricks: impl IntoIterator<Item = (&'s str, Trick)>,
        name: &str,
        attack: &str,
        act: impl Fn(&Device, &Stage, &Server) -> Result<Verdict>,
    ) -> Result<()> {
        let tricks = tricks
            .into_iter()
            .map(|(path, trick)| (path.to_owned(), trick))
            .collect();
        let server = Server::start(&self.stage.published(), tricks)?;
        let twin = self.twin(device)?;
        let found = act(&twin, self.stage, &server)?;
        self.narrator
            .verdict(what, &Verdict::new(name, attack), &found);
        Ok(())
    }

    fn twin(&mut self, device: &Device) -> Result<Device> {
        self.played += 1;
        device.twin(self.stage, &format!("attack-{}", self.played))
    }
}
