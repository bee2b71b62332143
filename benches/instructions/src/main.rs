//! The hottest paths, each once: `count-instructions NAME`, to be run under callgrind by `check.py`. Without a name it
//! lists them.
//!
//! What [`counted_part`] runs is counted, and nothing else: not how its inputs are made.

#![forbid(unsafe_code)]
#![allow(
    clippy::unwrap_used,
    reason = "without its inputs there is nothing to count"
)]
#![allow(clippy::print_stdout, reason = "a command")]
#![allow(dead_code, unused_imports, reason = "parts that are shared with tests")]

// What the worlds of the verifier's tests need.
#[path = "../../../client-verifier/tests/model/keys.rs"]
mod keys;
#[path = "../../../client-verifier/tests/uptane/world/mod.rs"]
mod world;

mod director;
mod files;
mod images;
mod sessions;

use std::hint::black_box;
use std::process::ExitCode;

const PATHS: [(&str, fn()); 13] = [
    ("targets-10000", files::targets),
    ("targets-10000-respelled", files::respelled),
    ("snapshot-16384", files::snapshot),
    ("roots-100", sessions::roots),
    ("nothing-new", sessions::nothing_new),
    ("nothing-new-100000", sessions::nothing_new_in_a_large_one),
    ("look-up-100000", sessions::look_up),
    ("bins-16384", sessions::bins),
    ("listed-bins-16384", sessions::listed_bins),
    ("uptane-cycle", sessions::uptane_cycle),
    ("manifest-cycle", director::manifest_cycle),
    ("image-4-mib", images::hashed),
    ("image-4-mib-encrypted", images::decrypted),
];

fn main() -> ExitCode {
    let Some(wanted) = std::env::args().nth(1) else {
        PATHS.iter().for_each(|(name, _)| println!("{name}"));
        return ExitCode::SUCCESS;
    };
    match PATHS.iter().find(|(name, _)| *name == wanted) {
        Some((_, path)) => path(),
        None => return ExitCode::FAILURE,
    }
    ExitCode::SUCCESS
}

/// callgrind counts from where this is entered to where it is left, by its name.
#[inline(never)]
fn counted_part<T>(work: impl FnOnce() -> T) -> T {
    black_box(work())
}
