//! `init`

use std::path::PathBuf;

use clap::Args;
use countersign_metadata::RoleType;
use countersign_repo::policy::{Listing, POLICY_FILE, Policy, RolePolicy, Span, TopLevel};
use countersign_repo::{NamedKeys, RepoError, Repository, keys, read_root};
use countersign_signing::Algorithm;
use serde_json::json;

use super::output::Report;
use super::{Global, now};

/// Keys are key URIs (file:PATH, pkcs11:token=LABEL;object=LABEL) of keys that can sign here, or
/// public key files of keys that sign elsewhere. Without any --*-key option the repo.toml that is
/// there is taken.
#[derive(Args)]
pub(super) struct Init {
    /// Start with this first root, made and signed elsewhere, as by a ceremony: keys and thresholds
    /// are its own. --*-key options then name the keys that can sign here; of all others public key
    /// files are written
    #[arg(
        long,
        value_name = "FILE",
        conflicts_with_all = ["root_threshold", "targets_threshold", "snapshot_threshold",
            "timestamp_threshold", "root_expires", "generate", "no_consistent_snapshot"]
    )]
    root: Option<PathBuf>,
    /// A key of root; repeat for more
    #[arg(long, value_name = "KEY")]
    root_key: Vec<String>,
    /// How many of them must sign
    #[arg(long, value_name = "N", default_value_t = 1)]
    root_threshold: u32,
    /// How long a root is valid
    #[arg(long, value_name = "SPAN", default_value = "365d")]
    root_expires: Span,
    /// A key of targets; repeat for more
    #[arg(long, value_name = "KEY")]
    targets_key: Vec<String>,
    /// How many of them must sign
    #[arg(long, value_name = "N", default_value_t = 1)]
    targets_threshold: u32,
    /// How long targets is valid
    #[arg(long, value_name = "SPAN", default_value = "90d")]
    targets_expires: Span,
    /// A key of snapshot; repeat for more
    #[arg(long, value_name = "KEY")]
    snapshot_key: Vec<String>,
    /// How many of them must sign
    #[arg(long, value_name = "N", default_value_t = 1)]
    snapshot_threshold: u32,
    /// How long snapshot is valid
    #[arg(long, value_name = "SPAN", default_value = "14d")]
    snapshot_expires: Span,
    /// A key of timestamp; repeat for more
    #[arg(long, value_name = "KEY")]
    timestamp_key: Vec<String>,
    /// How many of them must sign
    #[arg(long, value_name = "N", default_value_t = 1)]
    timestamp_threshold: u32,
    /// How long timestamp is valid
    #[arg(long, value_name = "SPAN", default_value = "2d")]
    timestamp_expires: Span,
    /// Make keys that do not exist yet: ed25519, ecdsa-p256, ecdsa-p384, or in a token rsa-2048,
    /// rsa-3072, rsa-4096
    #[arg(long, value_name = "ALGORITHM")]
    generate: Option<Algorithm>,
    /// Where to publish, relative to the repository's folder
    #[arg(long, value_name = "DIR", default_value = "published")]
    destination: PathBuf,
    /// Publish without version and hash prefixes; clients may be refused while a publish runs
    #[arg(long)]
    no_consistent_snapshot: bool,
    /// What snapshot and timestamp state of the files they list; vehicles want hashes in timestamp
    #[arg(long, value_name = "WHAT", default_value = "hashes", value_parser = listing)]
    lists: Listing,
}

fn listing(text: &str) -> Result<Listing, String> {
    match text {
        "hashes" => Ok(Listing::Hashes),
        "lengths" => Ok(Listing::Lengths),
        "versions" => Ok(Listing::Versions),
        _ => Err("one of: hashes, lengths, versions".into()),
    }
}

impl Init {
    pub(super) fn run(&self, global: &Global) -> Result<Report, RepoError> {
        let secrets = global.secrets();
        if let Some(root) = &self.root {
            let file = (&*root.display().to_string(), read_root(root)?);
            let (policy, named) = (self.policy_of_options(), self.named());
            let repository =
                Repository::init_from_root(&global.repo, policy, file, &named, now()?, secrets)?;
            return started(global, &repository);
        }
        let policy = self.policy(global)?;
        if let (Some(policy), Some(algorithm)) = (&policy, self.generate) {
            for key in policy.all_keys().filter(|key| keys::is_uri(key)) {
                keys::ensure(key, algorithm, &secrets)?;
            }
        }
        let repository = Repository::init(&global.repo, policy.as_ref(), now()?, secrets)?;
        started(global, &repository)
    }

    /// The policy of the options; `None` if none is given and `repo.toml` decides.
    fn policy(&self, global: &Global) -> Result<Option<Policy>, RepoError> {
        let given = [
            &self.root_key,
            &self.targets_key,
            &self.snapshot_key,
            &self.timestamp_key,
        ];
        let exists = global.repo.join(POLICY_FILE).exists();
        if given.iter().all(|keys| keys.is_empty()) && exists {
            return Ok(None);
        }
        if given.iter().any(|keys| keys.is_empty()) {
            return Err(RepoError::Usage(
                "name at least one key for each role with --root-key, --targets-key, \
                 --snapshot-key and --timestamp-key (add --generate ed25519 to make them), or \
                 write a repo.toml first"
                    .into(),
            ));
        }
        let policy = self.policy_of_options();
        // Checked before any key is made.
        Policy::parse(&policy.to_text(), &global.repo.join(POLICY_FILE)).map(Some)
    }

    fn named(&self) -> NamedKeys {
        NamedKeys::from([
            (RoleType::Root, self.root_key.clone()),
            (RoleType::Targets, self.targets_key.clone()),
            (RoleType::Snapshot, self.snapshot_key.clone()),
            (RoleType::Timestamp, self.timestamp_key.clone()),
        ])
    }

    fn policy_of_options(&self) -> Policy {
        let role = |threshold, keys: &[String], expires| RolePolicy {
            threshold,
            keys: keys.to_vec(),
            expires,
        };
        Policy {
            consistent_snapshot: !self.no_consistent_snapshot,
            destination: self.destination.clone(),
            snapshot_lists: self.lists,
            timestamp_lists: self.lists,
            ..Policy::new(TopLevel {
                root: role(self.root_threshold, &self.root_key, self.root_expires),
                targets: role(
                    self.targets_threshold,
                    &self.targets_key,
                    self.targets_expires,
                ),
                snapshot: role(
                    self.snapshot_threshold,
                    &self.snapshot_key,
                    self.snapshot_expires,
                ),
                timestamp: role(
                    self.timestamp_threshold,
                    &self.timestamp_key,
                    self.timestamp_expires,
                ),
            })
        }
    }
}

fn started(global: &Global, repository: &Repository) -> Result<Report, RepoError> {
    let root = repository.root()?;
    let text = format!(
        "started in {}: root version 1 (expires {}) and an empty targets are staged\n\
         next: repo-tool target add, repo-tool sign, repo-tool publish",
        global.repo.display(),
        root.header.expires,
    );
    let json = json!({ "staged": ["root", "targets"], "folder": global.repo });
    Ok(Report::new(text, json))
}
