//! The director's keys, and what they sign.

use countersign_metadata::uptane::{
    OfflineUpdates, TimeAttestation, set_offline_updates, set_time_server,
};
use countersign_metadata::{RoleKeys, RoleType, Root, Unsigned, UtcTime};
use countersign_signing::{SignError, Signer};

/// Keys that have to be at hand at any time.
#[derive(Debug)]
pub struct OnlineKeys {
    /// Signs Timestamp files.
    pub timestamp: Box<dyn Signer>,
    /// Signs Snapshot files.
    pub snapshot: Box<dyn Signer>,
    /// Signs Targets files: what is installed where.
    pub targets: Box<dyn Signer>,
    /// Attests the time.
    pub time: Box<dyn Signer>,
}

/// Keys for what is carried to vehicles (PURE-2).
#[derive(Debug)]
pub struct OfflineKeys {
    /// Signs the Offline Snapshot.
    pub snapshot: Box<dyn Signer>,
    /// Signs Offline Targets files.
    pub targets: Box<dyn Signer>,
}

/// All keys of a director.
#[derive(Debug)]
pub struct DirectorKeys {
    /// Signs Roots.
    pub root: Box<dyn Signer>,
    /// Signs what vehicles fetch.
    pub online: OnlineKeys,
    /// Signs what is carried to them.
    pub offline: OfflineKeys,
}

impl DirectorKeys {
    /// A first Root, version 1, that names these keys.
    pub fn first_root(&self, expires: UtcTime) -> Root {
        let mut root = Root::new(expires, true);
        root.add_key(RoleType::Root, self.root.key());
        self.online.enter(&mut root);
        set_offline_updates(&mut root, &self.offline.listed());
        root
    }

    /// The Root after `root`, with these keys in the place of all online ones.
    pub fn next_root(&self, root: &Root, expires: UtcTime) -> Root {
        let mut next = root.next(expires);
        for role in [RoleType::Timestamp, RoleType::Snapshot, RoleType::Targets] {
            let listed = next.roles.get(&role).map(|role| role.keyids.clone());
            for id in listed.unwrap_or_default() {
                next.remove_key(role, &id);
            }
        }
        self.online.enter(&mut next);
        next
    }
}

impl OfflineKeys {
    fn listed(&self) -> OfflineUpdates {
        let keys = [self.snapshot.key(), self.targets.key()];
        let role = |signer: &dyn Signer| RoleKeys::new([signer.keyid()], 1);
        OfflineUpdates {
            keys: keys.into_iter().map(|key| (key.id(), key)).collect(),
            snapshot: role(&*self.snapshot),
            targets: role(&*self.targets),
        }
    }
}

impl OnlineKeys {
    fn enter(&self, root: &mut Root) {
        root.add_key(RoleType::Timestamp, self.timestamp.key());
        root.add_key(RoleType::Snapshot, self.snapshot.key());
        root.add_key(RoleType::Targets, self.targets.key());
        set_time_server(root, [self.time.key()], 1);
    }

    /// A file with this content that the time key signed.
    pub fn attest(&self, attestation: &TimeAttestation) -> Result<Vec<u8>, SignError> {
        signed(attestation.to_payload(), &*self.time)
    }
}

/// The file with this payload, signed by one key.
///
/// # Errors
/// [`SignError`] when the key cannot sign.
pub fn signed(payload: String, signer: &dyn Signer) -> Result<Vec<u8>, SignError> {
    let mut file = Unsigned::new(payload);
    let signature = signer.sign(file.payload())?;
    file.add_signature(signer.keyid(), signature);
    Ok(file.to_file())
}
