//! `delegation add|set|remove|list` and `bins`

use clap::{Args, Subcommand, ValueEnum};
use countersign_metadata::PathSet;
use countersign_repo::policy::Span;
use countersign_repo::{
    BinStyle, DelegatedKeys, DelegationChange, NewBins, NewDelegation, RepoError,
};
use serde_json::json;

use super::Global;
use super::output::Report;

#[derive(Subcommand)]
pub(super) enum Delegation {
    /// Stage a delegation and the first version of the new role
    Add {
        /// The new role's name
        role: String,
        /// The delegating role
        #[arg(long, value_name = "ROLE", default_value = "targets")]
        from: String,
        #[command(flatten)]
        signers: Signers,
        #[command(flatten)]
        paths: Paths,
        /// End the search with this role when it matches
        #[arg(long)]
        terminating: bool,
    },
    /// Stage other keys, another threshold or other paths
    Set {
        /// The delegated role
        role: String,
        /// A key, in place of all present ones; repeat for more
        #[arg(long, value_name = "KEY")]
        key: Vec<String>,
        /// How many of its keys must sign
        #[arg(long, value_name = "N")]
        threshold: Option<u32>,
        #[command(flatten)]
        paths: Paths,
    },
    /// Stage the end of a delegation
    Remove {
        /// The delegated role
        role: String,
    },
    /// List the delegated roles as staged
    List,
}

#[derive(Args)]
pub(super) struct Signers {
    /// A key of the role: a key URI or a public key file; repeat for more
    #[arg(long, value_name = "KEY", required = true)]
    key: Vec<String>,
    /// How many of them must sign
    #[arg(long, value_name = "N", default_value_t = 1)]
    threshold: u32,
    /// How long a file of the role is valid; as targets, if not given
    #[arg(long, value_name = "SPAN")]
    expires: Option<Span>,
}

#[derive(Args)]
pub(super) struct Paths {
    /// A pattern of target names it is trusted for; * and ? do not cross /; repeat for more
    #[arg(long, value_name = "PATTERN", conflicts_with = "hash_prefix")]
    path: Vec<String>,
    /// A prefix of the hexadecimal SHA-256 of target names it is trusted for; repeat for more
    #[arg(long, value_name = "HEX")]
    hash_prefix: Vec<String>,
}

#[derive(Args)]
pub(super) struct Bins {
    /// How many, a power of two
    count: u64,
    /// The role whose images go into the bins
    #[arg(long, value_name = "ROLE", default_value = "targets")]
    from: String,
    /// Their names begin with this
    #[arg(long, default_value = "bin")]
    prefix: String,
    /// How they are written
    #[arg(long, value_enum, default_value_t = Style::Succinct)]
    style: Style,
    #[command(flatten)]
    signers: Signers,
}

#[derive(Clone, Copy, ValueEnum)]
enum Style {
    /// One entry for all bins (TAP 15)
    Succinct,
    /// One role with path_hash_prefixes for each bin, for clients without TAP 15
    Prefixes,
}

impl Signers {
    fn get(&self) -> DelegatedKeys {
        DelegatedKeys {
            keys: self.key.clone(),
            threshold: self.threshold,
            expires: self.expires,
        }
    }
}

impl Paths {
    fn get(&self) -> Option<PathSet> {
        match (self.path.is_empty(), self.hash_prefix.is_empty()) {
            (true, true) => None,
            (true, false) => Some(PathSet::HashPrefixes(self.hash_prefix.clone())),
            (false, _) => Some(PathSet::Patterns(self.path.clone())),
        }
    }
}

impl Delegation {
    pub(super) fn run(&self, global: &Global) -> Result<Report, RepoError> {
        match self {
            Self::Add {
                role,
                from,
                signers,
                paths,
                terminating,
            } => {
                global.open()?.add_delegation(NewDelegation {
                    role: role.clone(),
                    from: from.clone(),
                    signers: signers.get(),
                    paths: paths.get().unwrap_or(PathSet::Patterns(Vec::new())),
                    terminating: *terminating,
                })?;
                let text = format!("staged the delegation from {from} to {role}");
                Ok(Report::new(text, json!({ "role": role, "from": from })))
            }
            Self::Set {
                role,
                key,
                threshold,
                paths,
            } => {
                let change = DelegationChange {
                    keys: (!key.is_empty()).then(|| key.clone()),
                    threshold: *threshold,
                    paths: paths.get(),
                };
                global.open()?.change_delegation(role, change)?;
                let text = format!("staged the change of the delegation to {role}");
                Ok(Report::new(text, json!({ "role": role })))
            }
            Self::Remove { role } => {
                global.open()?.remove_delegation(role)?;
                let text = format!("staged the end of the delegation to {role}");
                Ok(Report::new(text, json!({ "role": role })))
            }
            Self::List => {
                let delegations = global.open()?.delegations()?;
                let lines: Vec<String> = delegations
                    .iter()
                    .map(|d| format!("{} <- {}: {}", d.role, d.from, d.summary))
                    .collect();
                Ok(Report::new(
                    lines.join("\n"),
                    json!({ "delegations": delegations }),
                ))
            }
        }
    }
}

impl Bins {
    pub(super) fn run(&self, global: &Global) -> Result<Report, RepoError> {
        let count = global.open()?.add_bins(NewBins {
            from: self.from.clone(),
            prefix: self.prefix.clone(),
            count: self.count,
            style: match self.style {
                Style::Succinct => BinStyle::Succinct,
                Style::Prefixes => BinStyle::HashPrefixes,
            },
            signers: self.signers.get(),
        })?;
        let text = format!("staged {count} bins below {}", self.from);
        Ok(Report::new(
            text,
            json!({ "bins": count, "from": self.from }),
        ))
    }
}
