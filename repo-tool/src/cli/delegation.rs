//! `delegation add|set|remove|list` and `bins`

use clap::{Args, Subcommand, ValueEnum};
use countersign_metadata::PathSet;
use countersign_metadata::uptane::HardwareId;
use countersign_repo::policy::Span;
use countersign_repo::{
    BinStyle, DelegatedKeys, DelegationChange, NewBins, NewDelegation, NewMultiDelegation,
    RepoError, Scope,
};
use serde_json::json;

use super::Global;
use super::image::hardware_id;
use super::output::Report;

const ADD_MULTI_EXAMPLES: &str = "\
Examples:
  repo-tool delegation add-multi released --path 'firmware/*' --min 2 \\
      --role qa --key qa=keys/qa.pub --role dev --key dev=keys/dev.pub
  repo-tool target add brake.img --name firmware/brake.img --role qa ...
  repo-tool target add brake.img --name firmware/brake.img --role dev ...";

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
    /// Stage a delegation to several roles, of which enough must agree on an image
    ///
    /// Only Uptane vehicles follow it. Each role lists the image by itself, with 'target add
    /// --role'; vehicles take it when enough of them list the same bytes for the same hardware
    /// under the same release counter.
    #[command(after_help = ADD_MULTI_EXAMPLES)]
    AddMulti {
        /// What the roles are called together
        name: String,
        /// The delegating role
        #[arg(long, value_name = "ROLE", default_value = "targets")]
        from: String,
        /// A new role, most trusted first; repeat for more
        #[arg(long, value_name = "ROLE", required = true)]
        role: Vec<String>,
        /// A key of one of them: a key URI or a public key file; repeat for more
        #[arg(long, value_name = "ROLE=KEY", value_parser = assignment, required = true)]
        key: Vec<(String, String)>,
        /// How many of the keys of one of them must sign; 1, if not given
        #[arg(long, value_name = "ROLE=N", value_parser = assignment)]
        threshold: Vec<(String, String)>,
        /// How many of the roles must agree
        #[arg(long, value_name = "N")]
        min: u32,
        /// How long a file of the roles is valid; as targets, if not given
        #[arg(long, value_name = "SPAN")]
        expires: Option<Span>,
        #[command(flatten)]
        paths: Paths,
        /// End the search with these roles when they match
        #[arg(long)]
        terminating: bool,
    },
    /// Stage other keys, another threshold, other paths or other hardware
    Set {
        /// The delegated role
        role: String,
        /// A key, in place of all present ones; repeat for more. Those move to retired_keys in
        /// repo.toml; 'status' says when nothing needs them any more
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
    /// Hardware it is trusted for, any if not given; only Uptane vehicles look at it; repeat for
    /// more
    #[arg(long, value_name = "ID", value_parser = hardware_id)]
    hardware_id: Vec<HardwareId>,
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

    fn hardware_ids(&self) -> Option<Vec<HardwareId>> {
        (!self.hardware_id.is_empty()).then(|| self.hardware_id.clone())
    }

    fn scope(&self, terminating: bool) -> Scope {
        Scope {
            paths: self.get().unwrap_or(PathSet::Patterns(Vec::new())),
            hardware_ids: self.hardware_ids(),
            terminating,
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
                    scope: paths.scope(*terminating),
                })?;
                let text = format!("staged the delegation from {from} to {role}");
                Ok(Report::new(text, json!({ "role": role, "from": from })))
            }
            Self::AddMulti {
                name,
                from,
                role: roles,
                key,
                threshold,
                min,
                expires,
                paths,
                terminating,
            } => {
                let roles = signers_of(roles, key, threshold, *expires)?;
                global.open()?.add_multi_delegation(NewMultiDelegation {
                    name: name.clone(),
                    from: from.clone(),
                    roles,
                    min: *min,
                    scope: paths.scope(*terminating),
                })?;
                let text = format!("staged the delegation from {from} to {name}");
                Ok(Report::new(text, json!({ "name": name, "from": from })))
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
                    hardware_ids: paths.hardware_ids(),
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

/// Who signs each of several roles.
fn signers_of(
    roles: &[String],
    keys: &[(String, String)],
    thresholds: &[(String, String)],
    expires: Option<Span>,
) -> Result<Vec<(String, DelegatedKeys)>, RepoError> {
    if let Some((other, _)) = keys
        .iter()
        .chain(thresholds)
        .find(|(of, _)| !roles.contains(of))
    {
        let what = format!("'{other}' is none of the roles; name it with --role, too");
        return Err(RepoError::Usage(what));
    }
    let signers = |role: &String| {
        let of_role = |(of, _): &&(String, String)| of == role;
        let threshold = match thresholds
            .iter()
            .filter(of_role)
            .collect::<Vec<_>>()
            .as_slice()
        {
            [] => 1,
            [(_, number)] => number.parse().map_err(|_| {
                RepoError::Usage(format!("--threshold {role}={number}: write a number"))
            })?,
            _ => {
                return Err(RepoError::Usage(format!(
                    "--threshold is given twice for {role}"
                )));
            }
        };
        let keys = keys.iter().filter(of_role);
        let keys = DelegatedKeys {
            keys: keys.map(|(_, key)| key.clone()).collect(),
            threshold,
            expires,
        };
        Ok((role.clone(), keys))
    };
    roles.iter().map(signers).collect()
}

fn assignment(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((role, value)) if !role.is_empty() && !value.is_empty() => {
            Ok((role.into(), value.into()))
        }
        _ => Err("write the role's name, an equals sign, and what is for it".into()),
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
