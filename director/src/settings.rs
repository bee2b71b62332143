//! The configuration file. What is not known is refused: a word that is misspelt must not be a check that
//! is left out.

mod text;

use std::collections::BTreeSet;
use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use countersign_director_domain::consequences::Policy;
use countersign_director_domain::desk::Lifetimes;
use countersign_signing::KeyUri;
use countersign_verifier::Attack;
use serde::Deserialize;

use crate::blobs::BlobSettings;
use crate::http::Limits;
use crate::keys::KeyUris;
use crate::service::Rules;
use crate::tls::{Bounds, ClientFiles, TlsFiles};

/// How a Director is set up: `director.toml`. Paths start at the folder of the file.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// `sqlite:PATH` or `postgres://...`.
    pub database: String,
    /// A folder for uploads on their way and the Image repository's metadata.
    pub state: PathBuf,
    /// Where the bytes of images are.
    pub images: BlobSettings,
    /// The Image repository.
    pub image_repository: ImageRepository,
    /// The listener for vehicles.
    pub device: DeviceListener,
    /// The listener for people.
    pub admin: AdminListener,
    /// Where the keys are.
    pub keys: Keys,
    /// How long signed files stay fresh.
    #[serde(default)]
    pub lifetimes: LifetimeSettings,
    /// How bad news is taken.
    #[serde(default)]
    pub policy: PolicySettings,
    /// Who may register.
    #[serde(default)]
    pub registration: Registration,
    /// What one caller can make it do.
    #[serde(default)]
    pub limits: LimitSettings,
    /// The folder of the file.
    #[serde(skip)]
    pub base: PathBuf,
}

/// Where the Image repository is.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ImageRepository {
    /// Its base URL; it has `metadata/`.
    pub url: String,
    /// A file with the Root that it is trusted by, obtained out of band.
    pub root: PathBuf,
    /// Certificates of who may vouch for it over https. Without it, those that browsers know.
    pub ca: Option<PathBuf>,
}

/// The listener for vehicles.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DeviceListener {
    /// Address and port.
    pub listen: SocketAddr,
    /// The server's certificate chain.
    pub certificate: PathBuf,
    /// Its key.
    pub key: PathBuf,
    /// Certificates of the authorities that vouch for devices.
    pub authorities: Vec<PathBuf>,
    /// Their revocation lists.
    pub revocations: Vec<PathBuf>,
}

/// The listener for people.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AdminListener {
    /// Address and port.
    pub listen: SocketAddr,
    /// The server's certificate chain. Without it, only this machine is listened to.
    pub certificate: Option<PathBuf>,
    /// Its key.
    pub key: Option<PathBuf>,
}

/// Where the keys are: for each role one key, or several while it goes from one to the next.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Keys {
    /// Targets
    pub targets: Vec<String>,
    /// Snapshot
    pub snapshot: Vec<String>,
    /// Timestamp
    pub timestamp: Vec<String>,
    /// Time attestations
    pub time: Vec<String>,
    /// Offline Snapshot
    #[serde(default)]
    pub offline_snapshot: Vec<String>,
    /// Offline Targets
    #[serde(default)]
    pub offline_targets: Vec<String>,
    /// The key to which content keys are wrapped, which comes first, and those to which older ones were.
    pub vault: OneOrMore,
    /// Sessions for each key.
    #[serde(default = "four")]
    pub sessions: usize,
}

/// The name of a key, or several.
#[derive(Debug, Clone, Deserialize)]
#[serde(untagged)]
pub enum OneOrMore {
    /// One.
    One(String),
    /// Several.
    More(Vec<String>),
}

impl OneOrMore {
    fn names(&self) -> &[String] {
        match self {
            Self::One(name) => std::slice::from_ref(name),
            Self::More(names) => names,
        }
    }
}

fn four() -> usize {
    4
}

/// How long signed files stay fresh, as `30d`, `12h`, `15m` or `90s`.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LifetimeSettings {
    targets: Option<text::Span>,
    snapshot: Option<text::Span>,
    timestamp: Option<text::Span>,
}

/// How bad news is taken.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PolicySettings {
    hold_on: Option<Vec<String>>,
    give_up_after: Option<u32>,
    report_max_age: Option<text::Span>,
    report_max_ahead: Option<text::Span>,
}

/// Who may register.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Registration {
    /// Whose a vehicle is that nobody has announced. Without it, it is refused.
    open_to_tenant: Option<String>,
}

/// What one caller can make it do.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LimitSettings {
    concurrency: Option<usize>,
    answer: Option<text::Span>,
    requests_per_minute: Option<u32>,
    burst: Option<u32>,
    connections: Option<usize>,
    connections_per_vehicle: Option<usize>,
}

/// Why a configuration cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SettingsError {
    /// The file cannot be read.
    #[error("cannot read {}: {source}; `director init` writes one to begin with", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// The system's word.
        source: std::io::Error,
    },
    /// It is not such a file.
    #[error("{}: {detail}", path.display())]
    Content {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        detail: String,
    },
}

impl Settings {
    /// Reads a configuration file.
    ///
    /// # Errors
    /// [`SettingsError`]
    pub fn read(path: &Path) -> Result<Self, SettingsError> {
        let text = fs::read_to_string(path).map_err(|source| SettingsError::Read {
            path: path.into(),
            source,
        })?;
        let base = path.parent().unwrap_or(Path::new(""));
        Self::parse(&text, base).map_err(|detail| SettingsError::Content {
            path: path.into(),
            detail,
        })
    }

    /// Reads the text of one, whose paths start at `base`.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn parse(text: &str, base: &Path) -> Result<Self, String> {
        let mut settings: Self = toml::from_str(text).map_err(|error| error.to_string())?;
        let base = match base.as_os_str().is_empty() {
            true => Path::new("."),
            false => base,
        };
        settings.base = base.into();
        settings.key_uris()?;
        settings.rules()?;
        settings.admin_files()?;
        Ok(settings)
    }

    /// A path of the file, from where it is.
    pub fn path(&self, path: &Path) -> PathBuf {
        self.base.join(path)
    }

    /// The database, with the path of a file from where the settings are.
    pub fn database_url(&self) -> String {
        match self.database.strip_prefix("sqlite:") {
            Some(path) if !path.starts_with("//") => {
                format!("sqlite:{}", self.path(Path::new(path)).display())
            }
            _ => self.database.clone(),
        }
    }

    /// Where the keys are.
    ///
    /// # Errors
    /// Which of them has no name of a key.
    pub fn key_uris(&self) -> Result<(KeyUris, Vec<KeyUri>), String> {
        let one = |name: &str, uri: &str| {
            let uri: Result<KeyUri, _> = uri.parse();
            uri.map_err(|error| format!("keys.{name}: {error}"))
        };
        let all = |name: &str, uris: &[String]| {
            let uris = uris.iter().map(|uri| one(name, uri));
            uris.collect::<Result<Vec<_>, _>>()
        };
        let keys = &self.keys;
        let vault = keys.vault.names();
        for (name, uris) in [
            ("targets", &*keys.targets),
            ("snapshot", &keys.snapshot),
            ("timestamp", &keys.timestamp),
            ("time", &keys.time),
            ("vault", vault),
        ] {
            if uris.is_empty() {
                return Err(format!("keys.{name} names no key"));
            }
        }
        let uris = KeyUris {
            targets: all("targets", &keys.targets)?,
            snapshot: all("snapshot", &keys.snapshot)?,
            timestamp: all("timestamp", &keys.timestamp)?,
            time: all("time", &keys.time)?,
            offline_snapshot: all("offline_snapshot", &keys.offline_snapshot)?,
            offline_targets: all("offline_targets", &keys.offline_targets)?,
        };
        Ok((uris, all("vault", vault)?))
    }

    /// How it decides.
    ///
    /// # Errors
    /// An attack in `hold_on` that has no such name.
    pub fn rules(&self) -> Result<Rules, String> {
        let usual = Rules::default();
        let policy = &self.policy;
        let hold_on = match &policy.hold_on {
            Some(names) => named(names)?,
            None => Policy::default().hold_on,
        };
        let seconds = |span: Option<text::Span>, usual| span.map_or(usual, text::Span::seconds);
        Ok(Rules {
            lifetimes: Lifetimes {
                targets: seconds(self.lifetimes.targets, usual.lifetimes.targets),
                snapshot: seconds(self.lifetimes.snapshot, usual.lifetimes.snapshot),
                timestamp: seconds(self.lifetimes.timestamp, usual.lifetimes.timestamp),
                ..usual.lifetimes
            },
            policy: Policy {
                hold_on,
                give_up_after: policy.give_up_after.unwrap_or(usual.policy.give_up_after),
            },
            report_max_age: match policy.report_max_age {
                Some(span) => Some(span.seconds()),
                None => usual.report_max_age,
            },
            report_max_ahead: seconds(policy.report_max_ahead, usual.report_max_ahead),
            open_registration: self.registration.open_to_tenant.clone(),
            poll_cache: usual.poll_cache,
        })
    }

    /// What one caller can make it do.
    pub fn limits(&self) -> Limits {
        let usual = Limits::default();
        let own = &self.limits;
        Limits {
            concurrency: own.concurrency.unwrap_or(usual.concurrency),
            answer: own.answer.map_or(usual.answer, text::Span::duration),
            per_minute: own.requests_per_minute.unwrap_or(usual.per_minute),
            burst: own.burst.unwrap_or(usual.burst),
        }
    }

    /// How many connections each listener has.
    pub fn bounds(&self) -> Bounds {
        let (usual, own) = (Bounds::default(), &self.limits);
        Bounds {
            connections: own.connections.unwrap_or(usual.connections),
            of_one_vehicle: own.connections_per_vehicle.unwrap_or(usual.of_one_vehicle),
            ..usual
        }
    }

    /// The files of the listener for vehicles.
    pub fn device_files(&self) -> TlsFiles {
        let all = |paths: &[PathBuf]| paths.iter().map(|path| self.path(path)).collect();
        TlsFiles {
            certificate: self.path(&self.device.certificate),
            key: self.path(&self.device.key),
            clients: Some(ClientFiles {
                authorities: all(&self.device.authorities),
                revocations: all(&self.device.revocations),
            }),
        }
    }

    /// The files of the listener for people; none if it listens to this machine only.
    ///
    /// # Errors
    /// If it would listen to others without them.
    pub fn admin_files(&self) -> Result<Option<TlsFiles>, String> {
        let admin = &self.admin;
        match (&admin.certificate, &admin.key) {
            (Some(certificate), Some(key)) => Ok(Some(TlsFiles {
                certificate: self.path(certificate),
                key: self.path(key),
                clients: None,
            })),
            (None, None) if admin.listen.ip().is_loopback() => Ok(None),
            (None, None) => Err(
                "admin.listen is not an address of this machine alone, so tokens would \
                 travel in plain; give admin.certificate and admin.key"
                    .into(),
            ),
            _ => Err("admin.certificate and admin.key go together".into()),
        }
    }
}

fn named(names: &[String]) -> Result<BTreeSet<Attack>, String> {
    let known = Attack::ALL.map(Attack::name).join(", ");
    let attack = |name: &String| {
        Attack::named(name).ok_or_else(|| {
            format!("policy.hold_on: there is no attack {name:?}; known are {known}")
        })
    };
    names.iter().map(attack).collect()
}
