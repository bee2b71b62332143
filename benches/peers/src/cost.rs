//! What a command costs: processor time and memory, as the kernel counts them.

use std::ffi::OsString;
use std::fs::{File, OpenOptions};
use std::io::Write as _;
use std::path::Path;
use std::process::{Command, ExitCode};
use std::time::Instant;

use nix::sys::resource::{UsageWho, getrusage};
use nix::sys::time::TimeVal;
use serde_json::json;

use crate::Result;

/// Runs `command` and appends to `to`: `cpu` and `wall` in seconds, `rss` in bytes, `code`.
///
/// The kernel counts what this process had in memory before it became `command` too, which is why this is a program
/// of a few megabytes and no script.
pub(crate) fn measure(to: &Path, output: &Path, command: &[OsString]) -> Result<ExitCode> {
    let [program, arguments @ ..] = command else {
        return Err("there is no command".into());
    };
    let output = OpenOptions::new().create(true).append(true).open(output)?;
    let start = Instant::now();
    let status = Command::new(program)
        .args(arguments)
        .stdout(output.try_clone()?)
        .stderr(output)
        .status()?;
    let wall = start.elapsed().as_secs_f64();
    // It is the only child.
    let usage = getrusage(UsageWho::RUSAGE_CHILDREN)?;
    let line = json!({
        "cpu": seconds(usage.user_time()) + seconds(usage.system_time()),
        "wall": wall,
        "rss": usage.max_rss() * 1024,
        "code": status.code(),
    });
    let mut file = File::options().create(true).append(true).open(to)?;
    writeln!(file, "{line}")?;
    Ok(match status.success() {
        true => ExitCode::SUCCESS,
        false => ExitCode::FAILURE,
    })
}

fn seconds(time: TimeVal) -> f64 {
    time.tv_sec() as f64 + time.tv_usec() as f64 / 1e6
}
