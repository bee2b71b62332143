//! What devices are served: the published tree, and over it what a thief made or holds back.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use countersign_metadata::{
    KeyId, MetaFile, Role, Root, Signed, Snapshot, TargetFile, TargetPath, Targets, TargetsBuilder,
    Timestamp, Unsigned, UtcTime, sha256,
};
use countersign_signing::Signer;
use countersign_verifier::RemoteName;

use super::DrillError;
use crate::error::CeremonyError;

/// Keys at somebody's hand.
pub(super) type Signers = Vec<Box<dyn Signer>>;

/// A thief's files do not expire for as long as anybody cares.
const LONG: i64 = 10 * 366 * 86_400;

/// Served files by their paths under `metadata/` and `targets/`.
#[derive(Debug, Clone)]
pub(super) struct Mirror {
    public: PathBuf,
    consistent: bool,
    /// Over the published files; `None` holds one back.
    over: BTreeMap<PathBuf, Option<Vec<u8>>>,
    /// When forged files expire.
    expires: UtcTime,
}

impl Mirror {
    /// The published tree as it is.
    pub(super) fn honest(public: &Path, consistent: bool, now: UtcTime) -> Self {
        Self {
            public: public.to_owned(),
            consistent,
            over: BTreeMap::new(),
            expires: now.plus_seconds(LONG).unwrap_or(now),
        }
    }

    /// A metadata file.
    pub(super) fn metadata(&self, name: &str) -> Option<Vec<u8>> {
        self.read(&Path::new("metadata").join(name))
    }

    /// The bytes of an image: whatever is there that will pass.
    pub(super) fn image(&self, path: &TargetPath, file: &TargetFile) -> Option<Vec<u8>> {
        let prefixed = path.with_prefix(&hex::encode(file.hashes.sha256?));
        let prefixed = Path::new("targets").join(prefixed);
        match (self.over.contains_key(&prefixed), self.consistent) {
            (true, _) | (false, true) => self.read(&prefixed),
            (false, false) => self.read(&Path::new("targets").join(path.as_str())),
        }
    }

    pub(super) fn root(&self) -> Result<Root, CeremonyError> {
        let newest = (1..)
            .map(|version| self.metadata(&RemoteName::Root(version).file_name()))
            .map_while(|file| file)
            .last();
        decode(newest.ok_or_else(|| DrillError::stuck("no root is published"))?)
    }

    pub(super) fn timestamp(&self) -> Result<Timestamp, CeremonyError> {
        self.role(&RemoteName::Timestamp)
    }

    pub(super) fn snapshot(&self) -> Result<Snapshot, CeremonyError> {
        self.role(&self.snapshot_name()?)
    }

    /// The name under which devices ask for the current Snapshot.
    pub(super) fn snapshot_name(&self) -> Result<RemoteName, CeremonyError> {
        let version = self.timestamp()?.snapshot.version;
        Ok(RemoteName::Snapshot(self.consistent.then_some(version)))
    }

    pub(super) fn targets(&self, role: &str) -> Result<Targets, CeremonyError> {
        self.role(&self.targets_name(role)?)
    }

    /// The name under which devices ask for the current file of a Targets role.
    pub(super) fn targets_name(&self, role: &str) -> Result<RemoteName, CeremonyError> {
        let snapshot = self.snapshot()?;
        let version = snapshot.role(role).map(|file| file.version);
        Ok(RemoteName::Targets(
            role.into(),
            version.filter(|_| self.consistent),
        ))
    }

    /// The bytes of a file that is served.
    pub(super) fn bytes(&self, name: &RemoteName) -> Result<Vec<u8>, CeremonyError> {
        let file = name.file_name();
        let missing = || DrillError::stuck(format!("{file} is not published"));
        self.metadata(&file).ok_or_else(missing)
    }

    /// Holds back every Root after `version`.
    pub(super) fn hide_roots_after(&mut self, version: u64) -> Result<(), CeremonyError> {
        for version in version + 1..=self.root()?.version() {
            let name = RemoteName::Root(version).file_name();
            self.over.insert(Path::new("metadata").join(name), None);
        }
        Ok(())
    }

    /// Serves other bytes under a metadata name.
    pub(super) fn serve(&mut self, name: &RemoteName, bytes: Vec<u8>) {
        let path = Path::new("metadata").join(name.file_name());
        self.over.insert(path, Some(bytes));
    }

    /// Serves an image to devices that find it listed.
    fn serve_image(&mut self, path: &TargetPath, bytes: &[u8]) {
        let prefixed = path.with_prefix(&hex::encode(sha256(bytes)));
        let place = Path::new("targets").join(prefixed);
        self.over.insert(place, Some(bytes.to_vec()));
    }

    /// The next Targets file of `role`, listing `image` under each of `paths`, and the image.
    pub(super) fn forge_targets(
        &mut self,
        role: &str,
        paths: &[&str],
        image: &[u8],
        ahead: u64,
        signers: &Signers,
    ) -> Result<MetaFile, CeremonyError> {
        let current = self.targets(role)?;
        let mut next =
            TargetsBuilder::next_of(&current, self.expires).map_err(DrillError::stuck)?;
        next.header.version = current.version().saturating_add(ahead);
        for path in paths {
            let path = TargetPath::new(path).map_err(DrillError::stuck)?;
            next.targets
                .insert(path.clone(), TargetFile::describing(image));
            self.serve_image(&path, image);
        }
        let version = next.header.version;
        let file = sign(next.to_payload(), signers)?;
        let meta = MetaFile::describing(version, &file);
        let name = RemoteName::Targets(role.into(), self.consistent.then_some(version));
        self.serve(&name, file);
        Ok(meta)
    }

    /// The Snapshot `ahead` versions later, after a change.
    pub(super) fn forge_snapshot(
        &mut self,
        ahead: u64,
        signers: &Signers,
        change: impl FnOnce(&mut Snapshot),
    ) -> Result<MetaFile, CeremonyError> {
        let mut next = self.snapshot()?.next(self.expires);
        next.header.version = (next.header.version - 1).saturating_add(ahead);
        change(&mut next);
        let version = next.version();
        let file = sign(next.to_payload(), signers)?;
        let meta = MetaFile::describing(version, &file);
        self.serve(
            &RemoteName::Snapshot(self.consistent.then_some(version)),
            file,
        );
        Ok(meta)
    }

    /// The Timestamp `ahead` versions later, naming a Snapshot.
    pub(super) fn forge_timestamp(
        &mut self,
        ahead: u64,
        snapshot: MetaFile,
        signers: &Signers,
    ) -> Result<(), CeremonyError> {
        let mut next = self.timestamp()?.next(self.expires, snapshot);
        next.header.version = (next.header.version - 1).saturating_add(ahead);
        self.serve(&RemoteName::Timestamp, sign(next.to_payload(), signers)?);
        Ok(())
    }

    /// The next Root after a change, as a payload to be signed.
    pub(super) fn next_root(
        &self,
        change: impl FnOnce(&mut Root),
    ) -> Result<(RemoteName, String), CeremonyError> {
        let mut next = self.root()?.next(self.expires);
        change(&mut next);
        Ok((RemoteName::Root(next.version()), next.to_payload()))
    }

    fn role<T: Role>(&self, name: &RemoteName) -> Result<T, CeremonyError> {
        decode(self.bytes(name)?)
    }

    fn read(&self, path: &Path) -> Option<Vec<u8>> {
        match self.over.get(path) {
            Some(over) => over.clone(),
            None => std::fs::read(self.public.join(path)).ok(),
        }
    }
}

/// A file with this payload, signed by all of `signers`.
pub(super) fn sign(payload: String, signers: &Signers) -> Result<Vec<u8>, CeremonyError> {
    let mut file = Unsigned::new(payload);
    for signer in signers {
        file.add_signature(signer.keyid(), signer.sign(file.payload())?);
    }
    Ok(file.to_file())
}

/// A file on which the first signer's signature stands under other key ids too.
pub(super) fn sign_under(
    payload: String,
    signers: &Signers,
    ids: &[KeyId],
) -> Result<Vec<u8>, CeremonyError> {
    let mut file = Unsigned::new(payload);
    for signer in signers.iter().take(1) {
        let signature = signer.sign(file.payload())?;
        for id in ids.iter().cloned().chain([signer.keyid()]) {
            file.add_signature(id, signature.clone());
        }
    }
    Ok(file.to_file())
}

/// A file on which one entry of `signatures` stands twice.
pub(super) fn sign_twice(payload: &str, signers: &Signers) -> Result<Vec<u8>, CeremonyError> {
    let mut entries = Vec::new();
    for signer in signers {
        let signature = hex::encode(signer.sign(payload.as_bytes())?);
        let entry = format!(
            "{{\"keyid\":\"{}\",\"sig\":\"{signature}\"}}",
            signer.keyid()
        );
        entries.extend([entry.clone(), entry]);
    }
    let signatures = entries.join(",");
    Ok(format!("{{\"signatures\":[{signatures}],\"signed\":{payload}}}").into_bytes())
}

fn decode<T: Role>(bytes: Vec<u8>) -> Result<T, CeremonyError> {
    Signed::<T>::parse(bytes)
        .and_then(|signed| signed.decode_unverified())
        .map_err(DrillError::stuck)
}
