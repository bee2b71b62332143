//! Spreading a role's images over many bins, so that adding one costs one bin.

use std::collections::BTreeMap;

use countersign_metadata::json::Object;
use countersign_metadata::{DelegatedRole, Delegation, Delegations, PathSet, Roles, SuccinctRoles};

use crate::batch::Batch;
use crate::edit_delegations::{DelegatedKeys, Images, listed};
use crate::error::RepoError;
use crate::repository::Repository;
use crate::tree::{check_role_name, names};

/// The most bins that are made at once: 2^16 entries are a Snapshot of about 15 MB with hashes.
pub const MAX_BIN_BITS: u32 = 16;

/// How bins are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BinStyle {
    /// `succinct_roles` (TAP 15): one entry for all.
    Succinct,
    /// One role with `path_hash_prefixes` each, for clients without TAP 15.
    HashPrefixes,
}

/// Bins to make.
#[derive(Debug, Clone)]
pub struct NewBins {
    /// The delegating role.
    pub from: String,
    /// Their names begin with this.
    pub prefix: String,
    /// How many: a power of two, 2 to 2^[`MAX_BIN_BITS`].
    pub count: u64,
    /// How they are written.
    pub style: BinStyle,
    /// Who signs all of them.
    pub signers: DelegatedKeys,
}

impl Repository {
    /// Stages bins below a role. Images that the role lists move into them.
    ///
    /// # Errors
    /// As [`Repository::add_delegation`].
    pub fn add_bins(&mut self, new: NewBins) -> Result<u64, RepoError> {
        check_role_name(&format!("{}-0", new.prefix))?;
        self.check_delegator(&new.from)?;
        let bits = new.count.checked_ilog2().unwrap_or(0);
        if !new.count.is_power_of_two() || !(1..=MAX_BIN_BITS).contains(&bits) {
            return Err(RepoError::Delegation {
                role: new.from,
                why: format!(
                    "the number of bins must be a power of two from 2 to {}",
                    1 << MAX_BIN_BITS
                ),
            });
        }
        let (role_keys, keys) = self.delegated_keys(&new.from, &new.signers)?;
        let bins = SuccinctRoles {
            role_keys,
            bit_length: bits,
            name_prefix: new.prefix.clone(),
            extra: Object::new(),
        };
        // Bins are not searched by name in the whole tree one by one: the first decides, because
        // their names differ in the number only.
        if self.tree().delegation(&bins.bin_name(0))?.is_some() {
            return Err(RepoError::RoleExists {
                role: bins.bin_name(0),
            });
        }
        let before = self.draft_of(&new.from)?;
        check_style(&new, before.delegations.clone())?;
        let mut by_bin: BTreeMap<String, Images> = BTreeMap::new();
        for (path, file) in before.targets {
            by_bin
                .entry(bins.bin_of(&path))
                .or_default()
                .insert(path, file);
        }
        // The bins come before the role that delegates to them and gives up its images, so that a
        // run that is killed in between loses nothing.
        self.remember_delegation(&new.prefix, &new.signers)?;
        let mut batch = Batch::new(self.home.unfinished());
        for name in bins.bin_names() {
            let targets = by_bin.remove(&name).unwrap_or_default();
            self.stage_first_in(&mut batch, &name, targets)?;
        }
        batch.finish()?;
        self.edit(&new.from, |draft| {
            draft.targets.clear();
            let delegations = draft.delegations.get_or_insert_with(Delegations::empty);
            delegations.keys.extend(keys);
            match new.style {
                BinStyle::HashPrefixes => {
                    listed(&new.from, delegations)?.extend(prefix_bins(&bins));
                }
                BinStyle::Succinct => delegations.roles = Roles::Succinct(bins),
            }
            Ok(())
        })?;
        Ok(new.count)
    }
}

/// Whether bins of this style can stand beside the delegations that are there.
fn check_style(new: &NewBins, delegations: Option<Delegations>) -> Result<(), RepoError> {
    let Some(mut delegations) = delegations else {
        return Ok(());
    };
    match new.style {
        BinStyle::HashPrefixes => listed(&new.from, &mut delegations).map(|_| ()),
        BinStyle::Succinct if names(&delegations).is_empty() => Ok(()),
        BinStyle::Succinct => Err(RepoError::Delegation {
            role: new.from.clone(),
            why: "succinct bins must be its only delegation; use --style prefixes, or delegate \
                  to a role of its own and put the bins below that"
                .into(),
        }),
    }
}

/// One role with hash prefixes for each bin. A bin is a run of prefixes of as many digits as the
/// number of bins needs.
fn prefix_bins(bins: &SuccinctRoles) -> impl Iterator<Item = Delegation> {
    let digits = bins.bit_length.div_ceil(4) as usize;
    let per_bin = (1_u64 << (digits * 4)) / bins.bins();
    (0..bins.bins()).map(move |number| {
        let first = number * per_bin;
        let prefixes = (first..first + per_bin).map(|prefix| format!("{prefix:0digits$x}"));
        let role = DelegatedRole {
            name: bins.bin_name(number),
            role_keys: bins.role_keys.clone(),
            paths: PathSet::HashPrefixes(prefixes.collect()),
            hardware_ids: None,
            terminating: true,
            extra: Object::new(),
        };
        role.into()
    })
}
