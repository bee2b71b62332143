//! The repository in the sandbox: what release engineers do, with the repository tool's library.

use countersign_metadata::{Role, RoleType};
use countersign_repo::{
    DelegatedKeys, DelegationChange, Due, NamedKeys, NewDelegation, NewTarget, Outgoing,
    Repository, Scope, Visibility,
};
use countersign_signing::{Algorithm, KeyUri, SignError};

use super::record::Step;
use super::stage::{HeldKey, NewRoot, Stage};
use crate::error::CeremonyError;
use crate::files::{self, Existing};
use crate::profile::Slot;
use crate::rotate::Why;

/// The image that Targets lists itself.
pub(super) const IMAGE: &str = "drill/image.img";

/// Above what measuring time adds to the time of the way over.
const MARGIN: i64 = 60;

impl Stage {
    /// Starts the repository with the first Root, its delegations, and a first release.
    pub(super) fn start_repository(&mut self) -> Result<(), CeremonyError> {
        let file = self.roots.first().cloned().unwrap_or_default();
        let mut named = NamedKeys::new();
        for kind in RoleType::ALL
            .into_iter()
            .filter(|kind| *kind != RoleType::Root)
        {
            let uris = self.keys_of(kind).into_iter().map(|key| key.uri);
            named.insert(kind, uris.collect());
        }
        let root = ("1.root.json", file);
        let (policy, secrets) = (self.shape.policy(), self.secrets());
        let folder = self.repository();
        Repository::init_from_root(&folder, policy, root, &named, self.now, secrets)?;
        for delegation in self.shape.delegations.clone() {
            let mut keys = Vec::new();
            for _ in 0..delegation.role.keys {
                keys.push(self.new_delegated_key()?);
            }
            let new = NewDelegation {
                role: delegation.name.clone(),
                from: "targets".into(),
                signers: DelegatedKeys {
                    keys,
                    threshold: delegation.role.threshold,
                    expires: Some(delegation.role.expires),
                },
                scope: Scope {
                    paths: delegation.paths,
                    hardware_ids: None,
                    terminating: delegation.terminating,
                },
            };
            self.open()?.add_delegation(new)?;
        }
        self.add(IMAGE, &self.image(1), None)?;
        let supplier = self.shape.supplier();
        if let Some((role, path)) = supplier.map(|(role, path)| (role.name.clone(), path)) {
            self.add(&path, &self.supplied(1), Some(&role))?;
        }
        self.publish()
    }

    /// What the honest image of a release is.
    pub(super) fn image(&self, release: u32) -> Vec<u8> {
        format!("honest image, release {release}\n").into_bytes()
    }

    /// What the supplier's honest image of a release is.
    pub(super) fn supplied(&self, release: u32) -> Vec<u8> {
        format!("honest image of the supplier, release {release}\n").into_bytes()
    }

    pub(super) fn release(&mut self, number: u32) -> Result<(), CeremonyError> {
        self.add(IMAGE, &self.image(number), None)?;
        self.publish()
    }

    /// Stages an image.
    pub(super) fn add(
        &self,
        name: &str,
        content: &[u8],
        role: Option<&str>,
    ) -> Result<(), CeremonyError> {
        let source = self.folder.join("image");
        files::write(&source, content, Existing::Replace)?;
        let new = NewTarget {
            source,
            name: name.into(),
            custom: None,
            visibility: Visibility::Public,
        };
        self.open()?.add_targets(&[new], role)?;
        Ok(())
    }

    /// Signs with every key that is here, and publishes.
    pub(super) fn publish(&self) -> Result<(), CeremonyError> {
        let mut repository = self.open()?;
        repository.sign(&[])?;
        repository.publish(Outgoing::Sign)?;
        Ok(())
    }

    /// Publishes a Root that a ceremony made.
    pub(super) fn publish_root(&mut self, new: &NewRoot) -> Result<(), CeremonyError> {
        let mut named = NamedKeys::new();
        for key in &new.came {
            if let Some(kind) = RoleType::from_name(&key.slot.role)
                && kind != RoleType::Root
            {
                named.entry(kind).or_default().push(key.uri.clone());
            }
        }
        let name = format!("{}.root.json", self.roots.len() + 1);
        let mut repository = self.open()?;
        repository.import_root(&name, new.file.clone(), &named)?;
        repository.sign(&[])?;
        repository.publish(Outgoing::Sign)?;
        drop(repository);
        let mut command = format!(
            "repo-tool root import ceremony-{}/{name}",
            self.roots.len() + 1
        );
        for key in new.came.iter().filter(|key| key.slot.role != "root") {
            command.push_str(&format!(" --key {}={}", key.slot.role, place(&key.slot)));
        }
        self.take_over(new);
        self.log("release engineer", "publish the new root", command);
        Ok(())
    }

    /// Lets time pass, in which files are renewed as usual.
    pub(super) fn pass(&mut self, seconds: i64) -> Result<(), CeremonyError> {
        self.later(seconds);
        let honest = self.honest();
        let targets = RoleType::Targets;
        let mut roles = vec![(targets.name(), self.shape.role(targets))];
        roles.extend(
            self.shape
                .delegations
                .iter()
                .map(|role| (role.name.as_str(), role.role)),
        );
        let mut repository = self.open()?;
        let mut renewed = false;
        for (name, shape) in roles {
            let left = honest.targets(name)?.expires().unix() - self.now.unix();
            if left < shape.expires.seconds() / 2 {
                repository.renew(name)?;
                renewed = true;
            }
        }
        match renewed {
            true => {
                repository.sign(&[])?;
                repository.publish(Outgoing::Sign)?;
            }
            false => {
                repository.refresh(Due::ByPolicy, Outgoing::Sign)?;
            }
        }
        Ok(())
    }

    /// Lets the way over to new keys pass; from then on they sign alone.
    pub(super) fn settle(&mut self) -> Result<(), CeremonyError> {
        self.pass(self.shape.rotation_grace.seconds() + MARGIN)?;
        self.publish()?;
        let what = format!(
            "after {}, sign with the new keys alone",
            self.shape.rotation_grace
        );
        self.log("release engineer", &what, "repo-tool publish".into());
        Ok(())
    }

    /// Gives a delegated role new keys.
    pub(super) fn rekey(&mut self, role: &str, keys: usize) -> Result<(), CeremonyError> {
        let mut new = Vec::new();
        for _ in 0..keys {
            new.push(self.new_delegated_key()?);
        }
        let change = DelegationChange {
            keys: Some(new),
            ..DelegationChange::default()
        };
        self.open()?.change_delegation(role, change)?;
        Ok(())
    }

    /// The keys of a delegated role, as `repo.toml` has them.
    pub(super) fn delegated_keys(&self, role: &str) -> Result<Vec<HeldKey>, CeremonyError> {
        let repository = self.open()?;
        let entry = repository.policy().delegations.get(role);
        let uris = entry.map(|entry| entry.keys.clone()).unwrap_or_default();
        let key = |uri: String| HeldKey {
            slot: Slot {
                role: role.into(),
                holder: role.into(),
            },
            uri,
        };
        Ok(uris.into_iter().map(key).collect())
    }

    pub(super) fn open(&self) -> Result<Repository, CeremonyError> {
        Ok(Repository::open(
            &self.repository(),
            self.now,
            self.secrets(),
        )?)
    }

    pub(super) fn log(&mut self, who: &str, what: &str, command: String) {
        self.log.push(Step {
            who: who.into(),
            what: what.into(),
            command,
        });
    }

    /// The steps of a ceremony, as its participants would type them.
    pub(super) fn log_rotation(&mut self, why: Why, came: &[HeldKey]) {
        let (last, next) = (self.roots.len(), self.roots.len() + 1);
        let why = match why {
            Why::Scheduled => "scheduled",
            Why::Lost => "lost",
            Why::Compromised => "compromised",
        };
        let mut command = format!(
            "key-ceremony rotate ceremony-{last} --out ceremony-{next} --repo . --why {why}"
        );
        for key in came {
            command.push_str(&format!(" --add {}={}", key.slot, place(&key.slot)));
        }
        self.log("ceremony lead", "plan the rotation", command);
        let folder = format!("ceremony-{next}");
        for Slot { role, holder } in came.iter().map(|key| &key.slot) {
            let command = format!(
                "key-ceremony keygen {holder}-{role}.json --out {holder}-{role}.proof.json"
            );
            self.log(holder, "make the new key and prove it", command);
            let command = format!("key-ceremony merge {folder} {holder}-{role}.proof.json");
            self.log("ceremony lead", "take in the proof", command);
        }
        let command = format!("key-ceremony review {folder}");
        self.log(
            "ceremony lead",
            "read what changes, and confirm it",
            command,
        );
        let threshold = self.shape.role(RoleType::Root).threshold;
        let command = "key-ceremony sign sign-root.json --key URI --out signature.json".into();
        let who = format!("each of {threshold} root holders");
        self.log(&who, "read what changes, compare the words, sign", command);
        let command = format!("key-ceremony merge {folder} signature.json ...");
        self.log("ceremony lead", "take in the signatures", command);
        let command = format!("key-ceremony seal {folder}");
        self.log("ceremony lead", "ask to vouch for the transcript", command);
        let command = "key-ceremony sign seal.json --key URI --out seal-made.json".into();
        self.log("one of them", "read who signed, vouch for it", command);
        let command = format!("key-ceremony seal {folder} seal-made.json");
        self.log("ceremony lead", "write the new root", command);
    }

    fn new_delegated_key(&mut self) -> Result<String, CeremonyError> {
        let text = self.new_uri("delegated");
        let uri: KeyUri = text.parse().map_err(SignError::Uri)?;
        countersign_signing::generate(&uri, Algorithm::Ed25519, &self.secrets())?;
        Ok(text)
    }
}

/// Where such a key would be in earnest.
fn place(slot: &Slot) -> String {
    format!("\"pkcs11:token={}-new;object={}\"", slot.holder, slot.role)
}
