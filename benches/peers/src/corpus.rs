//! Signed repositories of any size, made quickly: one key signs everything, and one image is really there.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::Read as _;
use std::path::Path;

use clap::Subcommand;
use countersign_metadata::json::Object;
use countersign_metadata::{
    DelegatedRole, Delegation, Delegations, Hashes, Key, KeyId, MetaFile, PathSet, PublicKey,
    RoleKeys, RoleType, Roles, Root, Snapshot, SuccinctRoles, TargetFile, TargetPath,
    TargetsBuilder, Timestamp, Unsigned, UtcTime,
};
use ring::digest::{Context, SHA256};
use ring::signature::{Ed25519KeyPair, KeyPair as _};

use crate::Result;

/// How the images are spread over roles.
#[derive(Subcommand, Clone, Copy)]
pub(crate) enum Layout {
    /// All in the top-level Targets
    Flat,
    /// All in one role that the top-level Targets delegates to
    Delegated,
    /// In bins that are one delegation (TAP 15)
    Succinct {
        /// 2 to this many bins
        bits: u32,
    },
    /// In bins of a delegation each, by prefixes of the path's hash (TUF 4.5)
    Hashed {
        /// 2 to this many bins
        bits: u32,
    },
}

/// What is really there.
pub(crate) const IMAGE: &str = "board/image-000042.bin";

/// Long after anybody measures: 2099.
const EXPIRES: i64 = 4_070_908_800;

const PREFIX: &str = "bin";

/// What files say of the specification: tough's editor takes this and nothing newer.
const SPEC_VERSION: &str = "1.0.0";

/// Makes a repository in `folder`: `metadata` and `targets`, with consistent snapshots.
///
/// The image that is really there is a copy of `image`, or its own name.
pub(crate) fn make(
    folder: &Path,
    targets: u64,
    rotations: u64,
    image: Option<&Path>,
    layout: &Layout,
) -> Result<()> {
    fs::create_dir(folder)?;
    let maker = Maker::new(folder, image)?;
    let mut snapshot = Snapshot::new(maker.expires);
    match *layout {
        Layout::Flat => {
            let mut top = TargetsBuilder::new(maker.expires);
            top.targets.extend(maker.images(targets)?);
            let file = maker.publish("1.targets.json", top.to_payload())?;
            // Clients take a large file only where its length is known beforehand.
            let mut named = MetaFile::describing(1, &file);
            named
                .hashes
                .iter_mut()
                .for_each(|hashes| hashes.sha512 = None);
            snapshot.set_role("targets", named);
        }
        Layout::Delegated => maker.delegated(&mut snapshot, targets)?,
        Layout::Succinct { bits } => maker.bins(&mut snapshot, targets, bits, true)?,
        Layout::Hashed { bits } => maker.bins(&mut snapshot, targets, bits, false)?,
    }
    let snapshot = maker.publish("1.snapshot.json", snapshot.to_payload())?;
    let named = MetaFile::describing(1, &snapshot);
    let timestamp = Timestamp::new(maker.expires, named);
    maker.publish("timestamp.json", timestamp.to_payload())?;
    maker.roots(rotations)
}

/// The key that has signed every repository.
pub(crate) fn public_key() -> Result<Vec<u8>> {
    Ok(pair()?.public_key().as_ref().to_vec())
}

pub(crate) fn pair() -> Result<Ed25519KeyPair> {
    Ed25519KeyPair::from_seed_unchecked(&[7; 32]).map_err(|error| error.to_string().into())
}

/// The image number `number` is its own name.
fn name(number: u64) -> Result<TargetPath> {
    Ok(TargetPath::new(&format!("board/image-{number:06}.bin"))?)
}

struct Maker<'a> {
    folder: &'a Path,
    pair: Ed25519KeyPair,
    key: Key,
    id: KeyId,
    expires: UtcTime,
    /// What is really there.
    image: TargetFile,
}

impl<'a> Maker<'a> {
    fn new(folder: &'a Path, image: Option<&Path>) -> Result<Self> {
        let pair = pair()?;
        let public = pair.public_key().as_ref().try_into()?;
        let key = Key::new(&PublicKey::Ed25519(public));
        fs::create_dir(folder.join("metadata"))?;
        fs::create_dir_all(folder.join("targets/board"))?;
        Ok(Self {
            folder,
            pair,
            id: key.id(),
            key,
            expires: UtcTime::from_unix(EXPIRES).ok_or("no time")?,
            image: place(&folder.join("targets"), image)?,
        })
    }

    fn images(&self, count: u64) -> Result<Vec<(TargetPath, TargetFile)>> {
        let image = |number| {
            let path = name(number)?;
            let file = match path.as_str() == IMAGE {
                true => self.image.clone(),
                false => described(path.as_str().as_bytes()),
            };
            Ok((path, file))
        };
        (0..count).map(image).collect()
    }

    fn bins(&self, snapshot: &mut Snapshot, targets: u64, bits: u32, succinct: bool) -> Result<()> {
        let bins = SuccinctRoles {
            role_keys: RoleKeys::new([self.id.clone()], 1),
            bit_length: bits,
            name_prefix: PREFIX.into(),
            extra: Object::new(),
        };
        let mut spread: BTreeMap<String, Vec<_>> =
            bins.bin_names().map(|name| (name, Vec::new())).collect();
        for (path, file) in self.images(targets)? {
            let bin = spread.get_mut(&bins.bin_of(&path)).ok_or("no bin")?;
            bin.push((path, file));
        }
        for (role, images) in spread {
            let mut bin = TargetsBuilder::new(self.expires);
            bin.targets.extend(images);
            self.role(snapshot, &role, &bin)?;
        }
        let roles = match succinct {
            true => Roles::Succinct(bins),
            false => Roles::Listed(listed(&bins)),
        };
        self.delegating(snapshot, roles)
    }

    fn delegated(&self, snapshot: &mut Snapshot, targets: u64) -> Result<()> {
        let mut file = TargetsBuilder::new(self.expires);
        file.targets.extend(self.images(targets)?);
        self.role(snapshot, "boards", &file)?;
        let role = Delegation::Role(DelegatedRole {
            name: "boards".into(),
            role_keys: RoleKeys::new([self.id.clone()], 1),
            paths: PathSet::Patterns(vec!["board/*".into()]),
            terminating: true,
            hardware_ids: None,
            extra: Object::new(),
        });
        self.delegating(snapshot, Roles::Listed(vec![role]))
    }

    fn delegating(&self, snapshot: &mut Snapshot, roles: Roles) -> Result<()> {
        let mut top = TargetsBuilder::new(self.expires);
        top.delegations = Some(Delegations {
            keys: BTreeMap::from([(self.id.clone(), self.key.clone())]),
            roles,
            extra: Object::new(),
        });
        self.role(snapshot, "targets", &top)
    }

    /// Publishes a Targets file; Snapshot lists its version alone, as repo-tool does.
    fn role(&self, snapshot: &mut Snapshot, role: &str, file: &TargetsBuilder) -> Result<()> {
        self.publish(&format!("1.{role}.json"), file.to_payload())?;
        snapshot.set_role(role, MetaFile::version(1));
        Ok(())
    }

    fn roots(&self, rotations: u64) -> Result<()> {
        let mut root = Root::new(self.expires, true);
        for role in RoleType::ALL {
            root.add_key(role, self.key.clone());
        }
        for version in 1..=rotations + 1 {
            self.publish(&format!("{version}.root.json"), root.to_payload())?;
            root = root.next(self.expires);
        }
        Ok(())
    }

    /// Signs and writes a file; its bytes.
    fn publish(&self, name: &str, payload: String) -> Result<Vec<u8>> {
        let mut file = Unsigned::new(with_spec_version(&payload)?);
        let signature = self.pair.sign(file.payload()).as_ref().to_vec();
        file.add_signature(self.id.clone(), signature);
        let bytes = file.to_file();
        fs::write(self.folder.join("metadata").join(name), &bytes)?;
        Ok(bytes)
    }
}

fn with_spec_version(payload: &str) -> Result<String> {
    let field = "\"spec_version\":\"";
    let (before, rest) = payload.split_once(field).ok_or("no spec_version")?;
    let (_, after) = rest.split_once('"').ok_or("no spec_version")?;
    Ok([before, field, SPEC_VERSION, "\"", after].concat())
}

/// Puts the image there, under its own name and under those of consistent repositories.
fn place(targets: &Path, image: Option<&Path>) -> Result<TargetFile> {
    let to = targets.join(IMAGE);
    match image {
        Some(image) => drop(fs::copy(image, &to)?),
        None => fs::write(&to, IMAGE)?,
    }
    let mut digest = Context::new(&SHA256);
    let (mut file, mut buffer) = (File::open(&to)?, vec![0; 1 << 20]);
    let mut length = 0;
    loop {
        let read = file.read(&mut buffer)?;
        if read == 0 {
            break;
        }
        digest.update(&buffer[..read]);
        length += read as u64;
    }
    let digest = digest.finish();
    let digits: String = digest
        .as_ref()
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    let consistent = IMAGE.replace("board/", &format!("board/{digits}."));
    fs::hard_link(&to, targets.join(consistent))?;
    // Where tough looks for it.
    let other = targets.join(format!("{digits}.{IMAGE}"));
    fs::create_dir_all(other.parent().ok_or("no folder")?)?;
    fs::hard_link(&to, other)?;
    let hashes = Hashes {
        sha256: Some(digest.as_ref().try_into()?),
        ..Hashes::default()
    };
    Ok(TargetFile::new(length, hashes))
}

fn described(image: &[u8]) -> TargetFile {
    let hashes = Hashes {
        sha512: None,
        ..Hashes::of(image)
    };
    TargetFile::new(image.len() as u64, hashes)
}

/// A delegation for each bin, with all prefixes that fall into it, in as many digits as the last one needs.
fn listed(bins: &SuccinctRoles) -> Vec<Delegation> {
    let digits = bins.bit_length.div_ceil(4);
    let per_bin = 1_u64 << (4 * digits - bins.bit_length);
    let role = |(number, name): (u64, String)| {
        let prefixes = number * per_bin..(number + 1) * per_bin;
        let prefixes = prefixes.map(|prefix| format!("{prefix:0width$x}", width = digits as usize));
        Delegation::Role(DelegatedRole {
            name,
            role_keys: bins.role_keys.clone(),
            paths: PathSet::HashPrefixes(prefixes.collect()),
            terminating: true,
            hardware_ids: None,
            extra: Object::new(),
        })
    };
    (0..).zip(bins.bin_names()).map(role).collect()
}
