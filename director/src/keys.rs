//! The Director's keys: several sessions for each, and only those that the current Root lists.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use countersign_director_domain::keys::{OfflineKeys, OnlineKeys};
use countersign_metadata::uptane::{offline_authority, time_server};
use countersign_metadata::{Authority, Key, KeyId, PublicKey, RoleType, Root};
use countersign_signing::{Custody, KeyUri, Secrets, SignError, Signer};

/// Where the keys of each role are. Several for one role, while it goes from one key to the next: the one
/// that the current Root lists is used.
#[derive(Debug, Clone, Default)]
pub struct KeyUris {
    /// Targets
    pub targets: Vec<KeyUri>,
    /// Snapshot
    pub snapshot: Vec<KeyUri>,
    /// Timestamp
    pub timestamp: Vec<KeyUri>,
    /// Time attestations
    pub time: Vec<KeyUri>,
    /// Offline Snapshot (PURE-2); none where nothing is carried.
    pub offline_snapshot: Vec<KeyUri>,
    /// Offline Targets
    pub offline_targets: Vec<KeyUri>,
}

/// All keys that are there, whatever Root lists them.
#[derive(Debug)]
pub struct Keyring {
    targets: Vec<Shared>,
    snapshot: Vec<Shared>,
    timestamp: Vec<Shared>,
    time: Vec<Shared>,
    offline_snapshot: Vec<Shared>,
    offline_targets: Vec<Shared>,
}

/// No key for a role is there that the current Root lists.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "Root {version} lists none of the keys configured for {role}, or wants more than one signature; \
     configure the key that it lists, or import the Root that lists this one"
)]
pub struct NotListed {
    /// The role.
    pub role: &'static str,
    /// The version of the Root.
    pub version: u64,
}

impl Keyring {
    /// Opens every key, `sessions` times.
    ///
    /// # Errors
    /// [`SignError`]
    pub fn open(
        uris: &KeyUris,
        secrets: &Arc<Secrets>,
        sessions: usize,
    ) -> Result<Self, SignError> {
        let open = |uris: &[KeyUri]| {
            let pools = uris.iter().map(|uri| Pool::open(uri, secrets, sessions));
            pools
                .map(|pool| Ok(Shared(Arc::new(pool?))))
                .collect::<Result<Vec<_>, SignError>>()
        };
        Ok(Self {
            targets: open(&uris.targets)?,
            snapshot: open(&uris.snapshot)?,
            timestamp: open(&uris.timestamp)?,
            time: open(&uris.time)?,
            offline_snapshot: open(&uris.offline_snapshot)?,
            offline_targets: open(&uris.offline_targets)?,
        })
    }

    /// The online keys that `root` lists.
    ///
    /// # Errors
    /// [`NotListed`]
    pub fn online(&self, root: &Root) -> Result<OnlineKeys, NotListed> {
        let role = |role: RoleType| Some(root.claimed_authority(role));
        let version = root.header.version;
        // Nobody is attested the time under a Root that names no time server.
        let time = match time_server(root).ok().flatten() {
            None => role(RoleType::Timestamp).map(|authority| (&self.timestamp, authority)),
            Some(authority) => Some((&self.time, authority)),
        };
        let (times, time) = time.unzip();
        Ok(OnlineKeys {
            targets: choose(&self.targets, role(RoleType::Targets), "targets", version)?,
            snapshot: choose(
                &self.snapshot,
                role(RoleType::Snapshot),
                "snapshot",
                version,
            )?,
            timestamp: choose(
                &self.timestamp,
                role(RoleType::Timestamp),
                "timestamp",
                version,
            )?,
            time: choose(times.map_or(&[], Vec::as_slice), time, "time", version)?,
        })
    }

    /// The keys for what is carried that `root` lists.
    ///
    /// # Errors
    /// [`NotListed`]
    pub fn offline(&self, root: &Root) -> Result<OfflineKeys, NotListed> {
        let role = |role| offline_authority(root, role).ok().flatten();
        let version = root.header.version;
        let (snapshot, targets) = (role(RoleType::Snapshot), role(RoleType::Targets));
        Ok(OfflineKeys {
            snapshot: choose(
                &self.offline_snapshot,
                snapshot,
                "offline-snapshot",
                version,
            )?,
            targets: choose(&self.offline_targets, targets, "offline-targets", version)?,
        })
    }
}

fn choose(
    keys: &[Shared],
    authority: Option<Authority>,
    role: &'static str,
    version: u64,
) -> Result<Box<dyn Signer>, NotListed> {
    let listed = |key: &&Shared| {
        let authority = authority.as_ref();
        authority.is_some_and(|authority| {
            authority.threshold() == 1 && authority.public_keys().contains(key.public_key())
        })
    };
    match keys.iter().find(listed) {
        Some(key) => Ok(Box::new(key.clone())),
        None => Err(NotListed { role, version }),
    }
}

/// A pool that several Roots may list.
#[derive(Debug, Clone)]
struct Shared(Arc<Pool>);

/// One key, in several sessions: a token does one thing at a time in each.
#[derive(Debug)]
struct Pool {
    uri: KeyUri,
    secrets: Arc<Secrets>,
    public: PublicKey,
    /// As Root lists it, and under which id: asked for with every signature.
    listed: (Key, KeyId),
    custody: Custody,
    sessions: Vec<Mutex<Option<Box<dyn Signer>>>>,
    next: AtomicUsize,
}

impl Pool {
    fn open(uri: &KeyUri, secrets: &Arc<Secrets>, sessions: usize) -> Result<Self, SignError> {
        let first = countersign_signing::open(uri, secrets)?;
        let (public, custody) = (first.public_key().clone(), first.custody());
        let listed = (first.key(), first.keyid());
        let mut opened = vec![Mutex::new(Some(first))];
        // Further ones are opened when they are needed.
        opened.resize_with(sessions.max(1), || Mutex::new(None));
        Ok(Self {
            uri: uri.clone(),
            secrets: Arc::clone(secrets),
            public,
            listed,
            custody,
            sessions: opened,
            next: AtomicUsize::new(0),
        })
    }

    /// A session that nobody uses, or the next one that gets free.
    fn session(&self) -> MutexGuard<'_, Option<Box<dyn Signer>>> {
        for session in &self.sessions {
            if let Ok(free) = session.try_lock() {
                return free;
            }
        }
        let turn = self.next.fetch_add(1, Ordering::Relaxed) % self.sessions.len();
        self.sessions[turn]
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, SignError> {
        let mut session = self.session();
        if let Some(signer) = session.as_ref() {
            match signer.sign(message) {
                // The device was away, and may be back.
                Err(error) if is_gone(&error) => *session = None,
                done => return done,
            }
        }
        let signer = countersign_signing::open(&self.uri, &self.secrets)?;
        let signature = signer.sign(message)?;
        // Another key in the same place is not the one that Root lists.
        if *signer.public_key() != self.public {
            return Err(SignError::BadSignature {
                key: self.uri.to_string(),
            });
        }
        *session = Some(signer);
        Ok(signature)
    }
}

fn is_gone(error: &SignError) -> bool {
    matches!(error, SignError::TokenLost { .. } | SignError::YubiHsm(_))
}

impl Signer for Shared {
    fn public_key(&self) -> &PublicKey {
        &self.0.public
    }

    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, SignError> {
        self.0.sign(message)
    }

    fn custody(&self) -> Custody {
        self.0.custody.clone()
    }

    fn key(&self) -> Key {
        self.0.listed.0.clone()
    }

    fn keyid(&self) -> KeyId {
        self.0.listed.1.clone()
    }
}
