#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]

#[cfg(test)]
extern crate self as countersign_repo;

mod adopt;
mod batch;
mod bins;
mod crash;
pub mod decryption_keys;
mod diff;
mod drafts;
mod edit_delegations;
mod edit_root;
mod edit_targets;
mod error;
pub mod exchange;
mod files;
mod home;
mod images;
mod init;
mod intake;
mod keyring;
pub mod keys;
#[cfg(test)]
mod kill_tests;
mod list;
mod online;
mod parallel;
pub mod policy;
mod policy_edit;
mod progress;
mod publish;
mod published;
mod refresh;
mod rekey;
mod release;
mod release_counter;
mod repository;
mod requirements;
mod rotation;
mod shelf;
mod sign;
mod status;
mod tallies;
mod tree;
mod verify;
pub mod visible;
mod walk;

pub use adopt::NamedKeys;
pub use bins::{BinStyle, MAX_BIN_BITS, NewBins};
pub use diff::{Change, RoleDiff};
pub use edit_delegations::{
    DelegatedKeys, DelegationChange, NewDelegation, NewMultiDelegation, Scope,
};
pub use edit_targets::{Listed, NewTarget, read_custom};
pub use error::RepoError;
pub use images::Visibility;
pub use list::{DelegationSummary, NamedKey, export, files_below, read_root, write_new};
pub use progress::{Progress, Silent};
pub use publish::PublishReport;
pub use refresh::Due;
pub use release_counter::CounterRule;
pub use repository::Repository;
pub use requirements::Outgoing;
pub use sign::{SignReport, Signature};
pub use status::{Extent, FileStatus, KeyStatus, SignatureStatus, StagedStatus, Status, WayOver};
pub use tree::{check_role_name, check_target_name};
pub use verify::{Fault, Verification, verify};
