//! What holds for a whole session: time, budgets, the repository's name.

use std::ffi::c_char;

use countersign_metadata::UtcTime;
use countersign_verifier::{Context, Limits, Profile, Reject};

use crate::boundary::{given, optional_text, time};

/// Bounds on what a repository can make a session spend. 0 leaves a bound at its default, which is in
/// docs/pouf.md. All sizes are in bytes.
#[repr(C)]
#[derive(Debug, Clone, Copy, Default)]
pub struct countersign_limits {
    /// One Root file. Default 512 KiB.
    pub root_len: u64,
    /// A Timestamp file. Default 64 KiB.
    pub timestamp_len: u64,
    /// A Snapshot file. Default 64 MiB; 64 KiB in a Director's repository.
    pub snapshot_len: u64,
    /// A Targets file. Default 512 MiB; 1 MiB in a Director's repository.
    pub targets_len: u64,
    /// All files of delegated roles in one session. Default 512 MiB.
    pub delegated_len: u64,
    /// Root versions followed in one session. Default 1024.
    pub root_versions: u32,
    /// Targets roles visited in one search. Default 64.
    pub visited_roles: u32,
}

/// What holds for a whole session.
#[repr(C)]
pub struct countersign_context {
    /// The time of the whole session (TUF 5.1), in seconds since 1970-01-01T00:00:00Z.
    pub now: i64,
    /// The repository's name in refusals; NULL for none.
    pub repository: *const c_char,
    /// Bounds; all zero for the defaults.
    pub limits: countersign_limits,
}

impl countersign_limits {
    /// Over `defaults`.
    pub(crate) fn over(&self, defaults: Limits) -> Limits {
        let or = |given: u64, default: u64| if given == 0 { default } else { given };
        let visited = match self.visited_roles {
            0 => defaults.visited_roles,
            given => given as usize,
        };
        Limits {
            root_len: or(self.root_len, defaults.root_len),
            timestamp_len: or(self.timestamp_len, defaults.timestamp_len),
            snapshot_len: or(self.snapshot_len, defaults.snapshot_len),
            targets_len: or(self.targets_len, defaults.targets_len),
            root_versions: match self.root_versions {
                0 => defaults.root_versions,
                given => given,
            },
            visited_roles: visited,
            delegated_len: or(self.delegated_len, defaults.delegated_len),
            ..defaults
        }
    }
}

/// A session's context out of what C has filled in.
pub(crate) fn context(
    context: *const countersign_context,
    defaults: Limits,
    profile: Profile,
) -> Result<Context, Reject> {
    let context = given(context, "context")?;
    Ok(Context {
        now: time(context.now, "context->now")?,
        limits: context.limits.over(defaults),
        repository: name_of(context)?,
        profile,
        outlines: false,
    })
}

/// The two things that following Roots needs: it takes no time.
pub(crate) fn without_time(
    context: *const countersign_context,
) -> Result<(Limits, String), Reject> {
    let context = given(context, "context")?;
    Ok((context.limits.over(Limits::default()), name_of(context)?))
}

fn name_of(context: &countersign_context) -> Result<String, Reject> {
    let name = optional_text(context.repository, "context->repository")?;
    Ok(name.unwrap_or_default().to_owned())
}

/// Seconds since 1970-01-01T00:00:00Z.
pub(crate) fn unix(time: UtcTime) -> i64 {
    time.unix()
}
