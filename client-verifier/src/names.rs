//! What files are called, in the local store and in the repository.

use alloc::format;
use alloc::string::String;

use countersign_metadata::{RoleType, percent_encode};

/// A file in the local store.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum StoreName {
    /// The trusted Root.
    Root,
    /// A Root that was once trusted, by version.
    RootHistory(u64),
    /// The trusted Timestamp.
    Timestamp,
    /// The trusted Snapshot.
    Snapshot,
    /// The trusted top-level Targets.
    Targets,
    /// What is kept of the trusted top-level Targets to look images up in it: no file of the repository's. When
    /// [`StoreName::Targets`] is saved, whatever is kept under this name has to be forgotten first.
    TargetsOutline,
    /// The trusted file of a delegated role, by its name.
    Delegated(String),
    /// The trusted Offline Snapshot (PURE-2).
    OfflineSnapshot,
    /// A trusted Offline Targets file, by its name.
    OfflineTargets(String),
}

/// A metadata file in the repository.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum RemoteName {
    /// A Root version.
    Root(u64),
    /// The Timestamp; never versioned.
    Timestamp,
    /// The Snapshot; with its version in a consistent repository.
    Snapshot(Option<u64>),
    /// A Targets role by name; with its version in a consistent repository.
    Targets(String, Option<u64>),
}

impl RemoteName {
    /// The role whose file it is.
    pub fn role(&self) -> &str {
        match self {
            Self::Root(_) => RoleType::Root.name(),
            Self::Timestamp => RoleType::Timestamp.name(),
            Self::Snapshot(_) => RoleType::Snapshot.name(),
            Self::Targets(role, _) => role,
        }
    }

    /// The file's name under the metadata URL, percent-encoded as one URL segment
    /// (TUF 5.3.3, 5.5.1, 5.6.1).
    pub fn file_name(&self) -> String {
        let versioned = |name: &str, version: &Option<u64>| match version {
            Some(version) => format!("{version}.{}.json", percent_encode(name)),
            None => format!("{}.json", percent_encode(name)),
        };
        match self {
            Self::Root(version) => versioned(self.role(), &Some(*version)),
            Self::Timestamp => versioned(self.role(), &None),
            Self::Snapshot(version) | Self::Targets(_, version) => versioned(self.role(), version),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn file_names_follow_the_specification() {
        assert_eq!(RemoteName::Root(42).file_name(), "42.root.json");
        assert_eq!(RemoteName::Timestamp.file_name(), "timestamp.json");
        assert_eq!(RemoteName::Snapshot(None).file_name(), "snapshot.json");
        assert_eq!(
            RemoteName::Targets("a/../b?".into(), Some(7)).file_name(),
            "7.a%2F..%2Fb%3F.json"
        );
    }
}
