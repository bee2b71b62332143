//! The director's keys in their tokens, and the Roots that list them.

use std::error::Error;

use countersign_client::clock::system_time;
use countersign_director_domain::desk::Lifetimes;
use countersign_director_domain::keys::{DirectorKeys, OfflineKeys, OnlineKeys, signed};
use countersign_metadata::{Root, Signed, UtcTime};

use crate::stage::Stage;

type Result<T> = std::result::Result<T, Box<dyn Error>>;

/// The token of the director's machine.
const MACHINE: &str = "director";
/// The token of whoever may change the Root.
const ROOT: &str = "director-root";
/// The token of whoever makes sticks.
const OFFLINE: &str = "director-offline";

/// All of them, to be made before anything looks for one.
pub(super) const TOKENS: [&str; 3] = [MACHINE, ROOT, OFFLINE];

/// The online roles.
pub(super) const ONLINE: [&str; 4] = ["targets", "snapshot", "timestamp", "time"];

/// The roles of what is carried.
pub(super) const OFFLINE_ROLES: [&str; 2] = ["snapshot", "targets"];

/// Where the keys are. The online ones have a number that grows when they are replaced.
#[derive(Debug, Clone)]
pub(super) struct Keys {
    stage: Stage,
    number: u32,
}

impl Keys {
    /// Makes all keys.
    pub(super) fn make(stage: &Stage) -> Result<Self> {
        let keys = Self {
            stage: stage.clone(),
            number: 1,
        };
        stage.generate(&stage.uri(ROOT, "root"), "ecdsa-p256")?;
        for role in OFFLINE_ROLES {
            stage.generate(&keys.offline_uri(role), "ecdsa-p256")?;
        }
        stage.generate_decryption(&keys.vault())?;
        keys.make_online()?;
        Ok(keys)
    }

    /// Makes the next online keys.
    pub(super) fn replaced(&self) -> Result<Self> {
        let keys = Self {
            number: self.number + 1,
            ..self.clone()
        };
        keys.make_online()?;
        Ok(keys)
    }

    /// Where the key of an online role is.
    pub(super) fn uri(&self, role: &str) -> String {
        let object = format!("{role}-{}", self.number);
        self.stage.uri(MACHINE, &object)
    }

    /// Where the key is that content keys are wrapped to.
    pub(super) fn vault(&self) -> String {
        self.stage.uri(MACHINE, "vault")
    }

    /// The online keys, for whoever has the director's machine.
    pub(super) fn online(&self) -> Result<OnlineKeys> {
        let steal = |role| self.stage.steal(&self.uri(role));
        Ok(OnlineKeys {
            timestamp: steal("timestamp")?,
            snapshot: steal("snapshot")?,
            targets: steal("targets")?,
            time: steal("time")?,
        })
    }

    /// Where the key of an offline role is.
    pub(super) fn offline_uri(&self, role: &str) -> String {
        self.stage.uri(OFFLINE, role)
    }

    /// The first Root.
    pub(super) fn first_root(&self) -> Result<Vec<u8>> {
        let keys = self.all()?;
        let root = keys.first_root(in_a_year()?);
        Ok(signed(root.to_payload(), &*keys.root)?)
    }

    /// The Root after `last`, with these online keys in the place of all others.
    pub(super) fn next_root(&self, last: &[u8]) -> Result<Vec<u8>> {
        let last = Signed::<Root>::parse(last.to_vec())?.verify_by_itself()?;
        let keys = self.all()?;
        let root = keys.next_root(last.content(), in_a_year()?);
        Ok(signed(root.to_payload(), &*keys.root)?)
    }

    fn all(&self) -> Result<DirectorKeys> {
        Ok(DirectorKeys {
            root: self.stage.open(&self.stage.uri(ROOT, "root"))?,
            online: self.online()?,
            offline: OfflineKeys {
                snapshot: self.stage.open(&self.offline_uri("snapshot"))?,
                targets: self.stage.open(&self.offline_uri("targets"))?,
            },
        })
    }

    fn make_online(&self) -> Result<()> {
        for role in ONLINE {
            self.stage.generate(&self.uri(role), "ecdsa-p256")?;
        }
        Ok(())
    }
}

fn in_a_year() -> Result<UtcTime> {
    let now = system_time().ok_or("the clock is off")?;
    let then = now.plus_seconds(Lifetimes::default().root);
    Ok(then.ok_or("beyond the year 9999")?)
}
