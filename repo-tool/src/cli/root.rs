//! `root show|add-key|remove-key|set-threshold|set-expiry|import`

use std::path::PathBuf;

use clap::{Subcommand, ValueEnum};
use countersign_metadata::{Key, Role, RoleType, UtcTime};
use countersign_repo::policy::Span;
use countersign_repo::{NamedKeys, RepoError, read_root};
use serde_json::{Value, json};

use super::output::Report;
use super::publish::{Window, published};
use super::{Global, now};

#[derive(Subcommand)]
pub(super) enum Root {
    /// Show the root as staged, or as published
    Show,
    /// Stage a further key for a role
    AddKey {
        /// The role
        role: TopLevel,
        /// A key URI, or a public key file
        key: String,
    },
    /// Stage the end of a key in a role
    ///
    /// Its URI moves to retired_keys in repo.toml, because it may have to sign the way over.
    RemoveKey {
        /// The role
        role: TopLevel,
        /// The key's id, or the beginning of it
        id: String,
    },
    /// Stage another threshold for a role
    SetThreshold {
        /// The role
        role: TopLevel,
        /// How many of its keys must sign
        threshold: u32,
    },
    /// Stage another date for root
    SetExpiry {
        /// A date such as 2031-01-31T00:00:00Z, or a span from now such as 365d
        expires: String,
    },
    /// Publish a root that was made and signed elsewhere
    ///
    /// It must be the next version, signed by a threshold of the current and of its own keys.
    /// Where it changes the keys of online roles, files that both the old and the new keys signed
    /// go out first, then the root, and after 'rotation_grace' files by the new keys alone.
    /// repo.toml takes over the root's keys and thresholds; --key says where new keys are.
    Import {
        /// The signed root
        file: PathBuf,
        /// Where a key is that the root adds: ROLE=KEY, a key URI or a public key file. Repeat for
        /// more
        #[arg(long = "key", value_name = "ROLE=KEY", value_parser = named_key)]
        keys: Vec<(TopLevel, String)>,
        /// Only stage it
        #[arg(long)]
        stage: bool,
        #[command(flatten)]
        window: Window,
    },
}

#[derive(Clone, Copy, ValueEnum)]
pub(super) enum TopLevel {
    Root,
    Targets,
    Snapshot,
    Timestamp,
}

impl TopLevel {
    fn get(self) -> RoleType {
        match self {
            Self::Root => RoleType::Root,
            Self::Targets => RoleType::Targets,
            Self::Snapshot => RoleType::Snapshot,
            Self::Timestamp => RoleType::Timestamp,
        }
    }
}

impl Root {
    pub(super) fn run(&self, global: &Global) -> Result<Report, RepoError> {
        let mut repository = global.open()?;
        let text = match self {
            Self::Show => return Ok(show(&repository.root()?)),
            Self::AddKey { role, key } => {
                let id = repository.add_root_key(role.get(), key)?;
                format!("staged key {id} for {}", role.get())
            }
            Self::RemoveKey { role, id } => {
                let id = repository.remove_root_key(role.get(), id)?;
                format!("staged the end of key {id} in {}", role.get())
            }
            Self::SetThreshold { role, threshold } => {
                repository.set_root_threshold(role.get(), *threshold)?;
                format!("staged threshold {threshold} for {}", role.get())
            }
            Self::SetExpiry { expires } => {
                let expires = date(expires)?;
                repository.set_root_expiry(expires)?;
                format!("staged {expires} as the date of root")
            }
            Self::Import {
                file,
                keys,
                stage,
                window,
            } => {
                let mut named = NamedKeys::new();
                for (role, key) in keys {
                    named.entry(role.get()).or_default().push(key.clone());
                }
                let name = file.display().to_string();
                let version = repository.import_root(&name, read_root(file)?, &named)?;
                if *stage {
                    let text = format!("staged root version {version}");
                    return Ok(Report::new(text, json!({ "version": version })));
                }
                repository.sign_for(window.outgoing())?;
                let report = repository.publish(window.outgoing())?;
                return Ok(published(&report, "nothing to publish"));
            }
        };
        let version = repository.root()?.version();
        Ok(Report::new(text, json!({ "version": version })))
    }
}

fn named_key(text: &str) -> Result<(TopLevel, String), String> {
    let (role, key) = text.split_once('=').unwrap_or((text, ""));
    match (TopLevel::from_str(role, false), key) {
        (Ok(role), key) if !key.is_empty() => Ok((role, key.to_owned())),
        _ => Err("write ROLE=KEY, such as timestamp=file:keys/online2.pem".into()),
    }
}

fn date(text: &str) -> Result<UtcTime, RepoError> {
    if let Ok(time) = text.parse() {
        return Ok(time);
    }
    let span: Span = text.parse().map_err(|_| {
        RepoError::Usage(format!(
            "{text:?} is neither a date such as 2031-01-31T00:00:00Z nor a span such as 365d"
        ))
    })?;
    Ok(span.after(now()?))
}

fn show(root: &countersign_metadata::Root) -> Report {
    let mut lines = vec![
        format!(
            "root version {}, expires {}",
            root.version(),
            root.expires()
        ),
        format!("consistent snapshot: {}", root.consistent_snapshot),
    ];
    let mut roles = serde_json::Map::new();
    for (kind, role) in &root.roles {
        let ids: Vec<&str> = role.keyids.iter().map(|id| id.as_str()).collect();
        lines.push(format!("{kind}: {} of", role.threshold));
        for id in &role.keyids {
            let scheme = root
                .keys
                .get(id)
                .map_or("missing", |key| key.scheme.as_str());
            lines.push(format!("  {id} {scheme}"));
        }
        let threshold = role.threshold;
        roles.insert(
            kind.to_string(),
            json!({ "threshold": threshold, "keyids": ids }),
        );
    }
    let keys: serde_json::Map<String, Value> = root
        .keys
        .iter()
        .map(|(id, key)| (id.to_string(), describe(key)))
        .collect();
    let json = json!({
        "version": root.version(),
        "expires": root.expires().to_string(),
        "consistent_snapshot": root.consistent_snapshot,
        "roles": roles,
        "keys": keys,
    });
    Report::new(lines.join("\n"), json)
}

fn describe(key: &Key) -> Value {
    let public = key.keyval.get("public").and_then(|text| text.as_str());
    json!({ "keytype": key.keytype, "scheme": key.scheme, "public": public })
}
