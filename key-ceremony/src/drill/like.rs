//! Reading the shape of a real repository: its `repo.toml` and its published metadata, nothing
//! else, and nothing is written.

use std::collections::BTreeMap;
use std::path::Path;

use countersign_metadata::{
    Delegation, Delegations, PublicKey, Role, RoleType, Roles, Root, Signed, Snapshot, Targets,
    Timestamp,
};
use countersign_repo::policy::Policy;

use super::DrillError;
use super::shape::{DelegationShape, RoleShape, Shape};
use crate::error::CeremonyError;
use crate::files;

/// The most keys that a role of the model may have: each is made in the sandbox.
const MAX_KEYS: usize = 64;
/// The most delegated roles that are modelled.
const MAX_ROLES: usize = 32;
/// The largest metadata file that is read, in bytes: a million images fit.
const MAX_METADATA: u64 = 1 << 30;

impl Shape {
    /// The shape of the repository in `folder`.
    ///
    /// # Errors
    /// [`DrillError::Model`], or what is wrong with its files.
    pub fn like(folder: &Path) -> Result<Self, CeremonyError> {
        let policy = Policy::load(folder)?;
        let metadata = folder.join(&policy.destination).join("metadata");
        let reader = Reader {
            folder,
            metadata: &metadata,
        };
        let mut shape = Self {
            like: Some(folder.to_owned()),
            consistent_snapshot: policy.consistent_snapshot,
            roles: BTreeMap::new(),
            delegations: Vec::new(),
            snapshot_lists: policy.snapshot_lists,
            timestamp_lists: policy.timestamp_lists,
            rotation_grace: policy.rotation_grace,
            remarks: Vec::new(),
        };
        match metadata.join("root.json").is_file() {
            true => shape.read_published(&reader, &policy)?,
            false => {
                for kind in RoleType::ALL {
                    let role = policy.role(kind);
                    let keys = role.keys.len();
                    let shaped = reader.role(kind.name(), keys, role.threshold, role.expires)?;
                    shape.roles.insert(kind, shaped);
                }
                let remark = "nothing is published there yet, so only repo.toml was modelled";
                shape.remarks.push(remark.into());
            }
        }
        if shape.supplier().is_none() {
            shape.remarks.push(
                "no role is delegated to by paths, so the drills use a supplier of their own"
                    .into(),
            );
            shape.delegations = vec![Self::example_supplier()];
        }
        Ok(shape)
    }

    fn read_published(
        &mut self,
        reader: &Reader<'_>,
        policy: &Policy,
    ) -> Result<(), CeremonyError> {
        let root: Root = reader.read("root.json")?;
        self.consistent_snapshot = root.consistent_snapshot;
        let mut seen: BTreeMap<PublicKey, RoleType> = BTreeMap::new();
        for kind in RoleType::ALL {
            let authority = root.claimed_authority(kind);
            let keys = authority.public_keys();
            let threshold = root.roles.get(&kind).map_or(1, |role| role.threshold);
            let expires = policy.role(kind).expires;
            let shaped = reader.role(kind.name(), keys.len(), threshold, expires)?;
            self.roles.insert(kind, shaped);
            for key in keys {
                if let Some(other) = seen.insert(key.clone(), kind) {
                    self.remarks.push(format!(
                        "{other} and {kind} share a key, so that one theft costs both; the drills \
                         give each role its own"
                    ));
                }
            }
        }
        self.remarks.dedup();
        let timestamp: Timestamp = reader.read("timestamp.json")?;
        let name = |version: u64, role: &str| match self.consistent_snapshot {
            true => format!("{version}.{role}.json"),
            false => format!("{role}.json"),
        };
        let snapshot: Snapshot = reader.read(&name(timestamp.snapshot.version, "snapshot"))?;
        let version = snapshot.role("targets").map_or(1, |file| file.version);
        let targets: Targets = reader.read(&name(version, "targets"))?;
        match targets.delegations() {
            Some(delegations) => self.read_delegations(reader, policy, delegations),
            None => Ok(()),
        }
    }

    fn read_delegations(
        &mut self,
        reader: &Reader<'_>,
        policy: &Policy,
        delegations: &Delegations,
    ) -> Result<(), CeremonyError> {
        let Roles::Listed(roles) = &delegations.roles else {
            let remark = "images are in hashed bins, which are signed with keys of their own; the \
                          drills have none";
            self.remarks.push(remark.into());
            return Ok(());
        };
        for entry in roles.iter().take(MAX_ROLES) {
            let Delegation::Role(role) = entry else {
                let remark = format!(
                    "the roles of '{}', which must agree, were not modelled",
                    entry.name()
                );
                self.remarks.push(remark);
                continue;
            };
            let Some(authority) = delegations.claimed_authority(&role.name) else {
                continue;
            };
            let (keys, threshold) = (authority.public_keys().len(), role.role_keys.threshold);
            let expires = policy.expires(&role.name);
            self.delegations.push(DelegationShape {
                name: role.name.clone(),
                role: reader.role(&role.name, keys, threshold, expires)?,
                paths: role.paths.clone(),
                terminating: role.terminating,
            });
        }
        if roles.len() > MAX_ROLES {
            self.remarks.push(format!(
                "of {} delegated roles, the first {MAX_ROLES} were modelled",
                roles.len()
            ));
        }
        Ok(())
    }
}

struct Reader<'a> {
    folder: &'a Path,
    metadata: &'a Path,
}

impl Reader<'_> {
    fn role(
        &self,
        name: &str,
        keys: usize,
        threshold: u32,
        expires: countersign_repo::policy::Span,
    ) -> Result<RoleShape, CeremonyError> {
        let why = match (keys, threshold as usize) {
            (keys, _) if keys > MAX_KEYS => format!("{name} has {keys} keys, above {MAX_KEYS}"),
            (keys, threshold) if threshold == 0 || threshold > keys => format!(
                "{threshold} of {keys} usable keys must sign {name}, which nobody can; correct the \
                 repository first"
            ),
            _ => {
                return Ok(RoleShape {
                    keys,
                    threshold,
                    expires,
                });
            }
        };
        Err(self.fail(why))
    }

    fn read<T: Role>(&self, name: &str) -> Result<T, CeremonyError> {
        let bytes = files::read(&self.metadata.join(name), MAX_METADATA)?;
        // Only a shape is taken from it, so nobody has to vouch for it.
        Signed::<T>::parse(bytes)
            .and_then(|signed| signed.decode_unverified())
            .map_err(|error| self.fail(format!("{name}: {error}")))
    }

    fn fail(&self, why: String) -> CeremonyError {
        let folder = self.folder.to_owned();
        DrillError::Model { folder, why }.into()
    }
}
