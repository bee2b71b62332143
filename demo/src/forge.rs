//! What an attacker with a stolen key or a mirror can make out of published metadata.

use std::error::Error;
use std::fs;
use std::path::{Path, PathBuf};

use countersign_metadata::{
    KeyId, MetaFile, Role, Root, Signed, Snapshot, TargetFile, TargetPath, Targets, TargetsBuilder,
    Timestamp, Unsigned, UtcTime,
};
use countersign_signing::Signer;

type Result<T> = std::result::Result<T, Box<dyn Error>>;

/// The published tree, as anybody can read it.
#[derive(Debug, Clone)]
pub(crate) struct Published {
    directory: PathBuf,
}

impl Published {
    pub(crate) fn at(directory: &Path) -> Self {
        Self {
            directory: directory.to_owned(),
        }
    }

    pub(crate) fn bytes(&self, path: &str) -> Result<Vec<u8>> {
        let path = self.directory.join(path);
        fs::read(&path).map_err(|error| format!("{}: {error}", path.display()).into())
    }

    pub(crate) fn timestamp(&self) -> Result<Timestamp> {
        self.role("timestamp.json")
    }

    pub(crate) fn snapshot(&self) -> Result<Snapshot> {
        self.role(&self.snapshot_name()?)
    }

    /// The current Snapshot's file name.
    pub(crate) fn snapshot_name(&self) -> Result<String> {
        Ok(format!(
            "{}.snapshot.json",
            self.timestamp()?.snapshot.version
        ))
    }

    /// A Targets role by name.
    pub(crate) fn targets(&self, name: &str) -> Result<Targets> {
        let version = self
            .snapshot()?
            .role(name)
            .ok_or("not in the snapshot")?
            .version;
        self.role(&format!("{version}.{name}.json"))
    }

    /// The newest Root.
    pub(crate) fn root(&self) -> Result<Root> {
        let mut version = 1;
        while self
            .directory
            .join(format!("metadata/{}.root.json", version + 1))
            .exists()
        {
            version += 1;
        }
        self.role(&format!("{version}.root.json"))
    }

    /// Where the image is served, under the name with its SHA-256.
    pub(crate) fn image(&self, role: &str, name: &str) -> Result<String> {
        let path = TargetPath::new(name)?;
        let file = self.targets(role)?.get(&path).ok_or("not listed")?;
        let digest = hex::encode(file.hashes.sha256.ok_or("no SHA-256")?);
        Ok(format!("targets/{}", path.with_prefix(&digest)))
    }

    fn role<T: Role>(&self, name: &str) -> Result<T> {
        let signed = Signed::<T>::parse(self.bytes(&format!("metadata/{name}"))?)?;
        Ok(signed.decode_unverified()?)
    }
}

/// A file with this payload, signed by these keys.
pub(crate) fn signed(payload: String, signers: &[&dyn Signer]) -> Result<Vec<u8>> {
    let mut file = Unsigned::new(payload);
    for signer in signers {
        file.add_signature(signer.keyid(), signer.sign(file.payload())?);
    }
    Ok(file.to_file())
}

/// A file on which one key's signature stands under two ids.
pub(crate) fn signed_twice(payload: String, signer: &dyn Signer, other: KeyId) -> Result<Vec<u8>> {
    let mut file = Unsigned::new(payload);
    let signature = signer.sign(file.payload())?;
    file.add_signature(signer.keyid(), signature.clone());
    file.add_signature(other, signature);
    Ok(file.to_file())
}

/// The next Timestamp, naming a Snapshot of the attacker's choice.
pub(crate) fn next_timestamp(
    published: &Published,
    snapshot: MetaFile,
    key: &dyn Signer,
) -> Result<Vec<u8>> {
    let current = published.timestamp()?;
    let next = current.next(later(current.expires())?, snapshot);
    signed(next.to_payload(), &[key])
}

/// A Targets file with more images of this content, as the next version.
pub(crate) fn targets_with(
    published: &Published,
    role: &str,
    paths: &[&str],
    image: &[u8],
    key: &dyn Signer,
) -> Result<(u64, Vec<u8>)> {
    let current = published.targets(role)?;
    let mut next = TargetsBuilder::next_of(&current, later(current.expires())?)?;
    for path in paths {
        let path = TargetPath::new(path)?;
        next.targets.insert(path, TargetFile::describing(image));
    }
    Ok((next.header.version, signed(next.to_payload(), &[key])?))
}

/// A day later.
pub(crate) fn later(time: UtcTime) -> Result<UtcTime> {
    time.plus_seconds(86_400)
        .ok_or_else(|| "beyond the year 9999".into())
}
