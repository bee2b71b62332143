#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]

mod crash;
mod drafts;
mod edit_delegations;
mod edit_root;
mod edit_targets;
mod error;
mod files;
mod home;
mod images;
mod init;
pub mod keys;
pub mod policy;
mod policy_edit;
mod progress;
mod publish;
mod published;
mod refresh;
mod release;
mod repository;
mod requirements;
mod sign;
mod tree;
mod walk;

pub use edit_delegations::{
    BinStyle, DelegatedKeys, DelegationChange, MAX_BIN_BITS, NewBins, NewDelegation,
};
pub use edit_targets::{Listed, NewTarget, read_custom};
pub use error::RepoError;
pub use images::Visibility;
pub use progress::{Progress, Silent};
pub use publish::PublishReport;
pub use refresh::Due;
pub use repository::Repository;
pub use requirements::Outgoing;
pub use sign::{SignReport, Signature};
pub use tree::{check_role_name, check_target_name};
