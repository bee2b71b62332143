//! What scripts rely on: names and exit codes.

use super::RepoError;

impl RepoError {
    /// The stable name that scripts may rely on.
    pub fn name(&self) -> &'static str {
        match self {
            Self::NotARepository { .. } => "not-a-repository",
            Self::AlreadyExists { .. } => "already-exists",
            Self::Locked { .. } => "locked",
            Self::Policy { .. } => "policy",
            Self::Io { .. } => "io",
            Self::DiskFull { .. } => "disk-full",
            Self::Metadata { .. } => "metadata",
            Self::UnsafeName(_) => "unsafe-name",
            Self::NameTooLong { .. } => "name-too-long",
            Self::NotNfc { .. } => "not-nfc",
            Self::RoleName { .. } => "role-name",
            Self::NoSuchRole { .. } => "no-such-role",
            Self::RoleExists { .. } => "role-exists",
            Self::Delegation { .. } => "delegation",
            Self::NoSuchTarget { .. } => "no-such-target",
            Self::NotDelegated { .. } => "not-delegated",
            Self::NotForHardware { .. } => "not-for-hardware",
            Self::ImageCustom { .. } => "image-custom",
            Self::ReleaseCounter { .. } => "release-counter",
            Self::ImageChanged { .. } => "image-changed",
            Self::Sha256Mismatch { .. } => "sha256-mismatch",
            Self::NotAFile { .. } => "not-a-file",
            Self::TooLarge { .. } => "too-large",
            Self::NoFolder { .. } => "no-folder",
            Self::ImageMissing { .. } => "image-missing",
            Self::ImageDiffers { .. } => "image-differs",
            Self::Confidential { .. } => "confidential",
            Self::Custom { .. } => "custom",
            Self::Key { .. } => "key",
            Self::NothingToSign { .. } => "nothing-to-sign",
            Self::PublicKey { .. } => "public-key",
            Self::KeyId { .. } => "key-id",
            Self::Incomplete { .. } => "incomplete",
            Self::Unreachable { .. } => "threshold-unreachable",
            Self::Expired { .. } => "expired",
            Self::OutgoingKeys { .. } => "outgoing-keys",
            Self::Refused { .. } => "refused-by-verifier",
            Self::Overtaken { .. } => "overtaken",
            Self::NothingPublished => "nothing-published",
            Self::NotStaged { .. } => "not-staged",
            Self::RootImport { .. } => "root-import",
            Self::Exchange { .. } => "exchange",
            Self::Usage(_) => "usage",
            Self::Faulty { .. } => "faulty",
        }
    }

    /// The exit code of `repo-tool`: 1 refused or failed, 2 wrong usage, 3 signatures are
    /// missing and the same command will work once they are there.
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::Usage(_) => 2,
            Self::Incomplete { .. } | Self::OutgoingKeys { .. } => 3,
            _ => 1,
        }
    }
}
