//! What the Director does for vehicles and for people, whoever carries the requests.
//!
//! Each thing that is done for a vehicle is one round: load it, decide, keep what was decided under the
//! revision that it was decided on. Where somebody else was faster, the round is made again. There is no
//! state between two rounds that another process would have to know.

mod assign;
mod carry;
mod fleet;
mod images;
mod known;
mod memory;
mod metadata;
mod oversee;
mod register;
mod reports;
mod roots;

use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::Duration;

use countersign_director_domain::consequences::Policy;
use countersign_director_domain::desk::Lifetimes;
use countersign_director_domain::manifest::ReportRules;
use countersign_ecu_keys::ImageKey;
use countersign_metadata::UtcTime;
use countersign_metadata::json::{Object, Value};
use countersign_metadata::uptane::Vin;
use ring::rand::{SecureRandom as _, SystemRandom};
use zeroize::Zeroizing;

use crate::blobs::Blobs;
use crate::keys::Keyring;
use crate::metrics;
use crate::problem::{Kind, Problem};
use crate::storage::{Change, Committed, Database, Record};

pub use assign::{Assigned, Assignment, Part, PartOutcome};
pub use fleet::{EcuView, OrderState, OrderView, VehicleView};
pub use images::{Encrypt, ImageSource, ImageView, Offered};
pub use metadata::{Answered, Metadata};
pub use oversee::{RootState, Waiting};
pub use register::Registered;
pub use roots::RootError;

use memory::Memory;
use metadata::Polls;
use roots::Reign;

/// Rounds that are made before somebody has to ask again.
const ROUNDS: usize = 16;

/// What a service is made of.
pub struct Parts {
    /// Everything that must not be lost.
    pub database: Database,
    /// The bytes of images.
    pub blobs: Blobs,
    /// The keys that are there.
    pub keyring: Keyring,
    /// The Director's own keys: the first one, to which content keys are wrapped, and former ones.
    pub vaults: Vec<ImageKey>,
    /// The Image repository.
    pub images: ImageSource,
    /// The rest.
    pub rules: Rules,
    /// A folder on a disk for uploads on their way.
    pub spool: PathBuf,
    /// What time it is.
    pub clock: Clock,
}

/// What time it is; `None` where that cannot be told.
pub type Clock = Arc<dyn Fn() -> Option<UtcTime> + Send + Sync>;

/// How this Director decides.
#[derive(Debug, Clone)]
pub struct Rules {
    /// How long signed files stay fresh.
    pub lifetimes: Lifetimes,
    /// How bad news is taken.
    pub policy: Policy,
    /// How old a report may be, in seconds.
    pub report_max_age: Option<i64>,
    /// How far ahead the clock of an ECU may be, in seconds.
    pub report_max_ahead: i64,
    /// Whose a vehicle is that registers without having been announced; it may not, if there is none.
    pub open_registration: Option<String>,
    /// How long the answer that nothing is new may be given without a look into the database.
    pub poll_cache: Duration,
}

impl Default for Rules {
    fn default() -> Self {
        Self {
            lifetimes: Lifetimes::default(),
            policy: Policy::default(),
            report_max_age: Some(86_400),
            report_max_ahead: 300,
            open_registration: None,
            poll_cache: Duration::from_secs(2),
        }
    }
}

/// A Director at work. Clones are the same one.
#[derive(Clone)]
pub struct Service(Arc<Inner>);

pub(crate) struct Inner {
    database: Database,
    blobs: Blobs,
    keyring: Keyring,
    vaults: Vec<ImageKey>,
    images: ImageSource,
    /// The store of the Image repository's metadata knows one user at a time.
    images_turn: Mutex<()>,
    rules: Rules,
    spool: PathBuf,
    clock: Clock,
    /// Makes challenges that every process of this Director knows again.
    secret: Zeroizing<[u8; 32]>,
    reign: RwLock<Option<Arc<Reign>>>,
    polls: Polls,
    memory: Memory,
}

/// Who asks for something, for the audit log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Actor(pub String);

impl Actor {
    /// A vehicle.
    pub fn vehicle(vin: &Vin) -> Self {
        Self(format!("vehicle:{vin}"))
    }

    /// The Director itself.
    pub fn director() -> Self {
        Self("director".into())
    }

    /// Whoever runs commands on the Director's machine.
    pub fn operator() -> Self {
        Self("operator".into())
    }
}

impl Service {
    /// A Director with these parts.
    ///
    /// # Errors
    /// [`Problem`] if the database cannot be used.
    pub async fn new(parts: Parts) -> Result<Self, Problem> {
        let fresh = Zeroizing::new(hex::encode(*random::<32>()?));
        let kept = parts.database.setting("challenge-secret", &fresh).await?;
        let mut secret = Zeroizing::new([0; 32]);
        hex::decode_to_slice(kept, &mut *secret)
            .map_err(|_| Problem::new(Kind::Internal, "internal", "the secret is damaged"))?;
        Ok(Self(Arc::new(Inner {
            polls: Polls::new(parts.rules.poll_cache),
            memory: Memory::new(),
            database: parts.database,
            blobs: parts.blobs,
            keyring: parts.keyring,
            vaults: parts.vaults,
            images: parts.images,
            images_turn: Mutex::new(()),
            rules: parts.rules,
            spool: parts.spool,
            clock: parts.clock,
            secret,
            reign: RwLock::new(None),
        })))
    }

    /// Everything that must not be lost.
    pub fn database(&self) -> &Database {
        &self.0.database
    }

    /// The bytes of images.
    pub fn blobs(&self) -> &Blobs {
        &self.0.blobs
    }

    /// What time it is.
    ///
    /// # Errors
    /// [`Problem`] outside the years 0 to 9999.
    pub fn now(&self) -> Result<UtcTime, Problem> {
        (self.0.clock)().ok_or_else(|| Problem::unavailable("the director's clock is off"))
    }

    /// Work that takes a processor for a while.
    async fn work<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Inner) -> Result<T, Problem> + Send + 'static,
    ) -> Result<T, Problem> {
        let inner = Arc::clone(&self.0);
        let done = tokio::task::spawn_blocking(move || work(&inner)).await;
        done.unwrap_or_else(|error| {
            tracing::error!(%error, "a task failed");
            Err(Problem::new(Kind::Internal, "internal", "something failed"))
        })
    }

    /// Keeps what was decided. `false` if it has to be decided again.
    async fn keep(&self, change: Change) -> Result<bool, Problem> {
        let vin = change.vin.clone();
        let signed = change.published.iter().flat_map(|new| &new.files);
        let signed: Vec<&'static str> = signed.map(|file| file.role.name()).collect();
        let other_ecus = change.record.is_some();
        let done = self.0.database.commit(change).await;
        // Also where it failed: it may be durable all the same.
        self.0.polls.forget(&vin);
        if other_ecus {
            self.0.polls.forget_primary(&vin);
        }
        let done = done? == Committed::Done;
        if done {
            signed.into_iter().for_each(metrics::signed);
        }
        Ok(done)
    }
}

impl Inner {
    fn rules_at(&self, now: UtcTime) -> ReportRules {
        ReportRules {
            now,
            max_age: self.rules.report_max_age,
            max_ahead: self.rules.report_max_ahead,
        }
    }

    fn images_turn(&self) -> std::sync::MutexGuard<'_, ()> {
        self.images_turn
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

/// Somebody else was faster, again and again.
fn busy() -> Problem {
    Problem::unavailable("this vehicle is being changed by others; ask again")
}

/// Bytes that nobody can guess.
pub(crate) fn random<const N: usize>() -> Result<Zeroizing<[u8; N]>, Problem> {
    let mut bytes = Zeroizing::new([0; N]);
    SystemRandom::new()
        .fill(&mut *bytes)
        .map_err(|_| Problem::unavailable("the system has no random numbers now"))?;
    Ok(bytes)
}

/// Something that has happened, for the audit log.
pub(crate) fn record<const N: usize>(
    at: UtcTime,
    actor: &Actor,
    action: &str,
    vin: Option<&Vin>,
    detail: [(&str, Value); N],
) -> Record {
    Record {
        at,
        actor: actor.0.clone(),
        action: action.into(),
        vin: vin.cloned(),
        detail: Object::from_iter(detail.map(|(name, value)| (name.to_owned(), value))),
    }
}
