//! Which panics are left in a firmware.
//!
//! A panic takes a `core::panic::Location` with it: the file, the line and the column of whoever called the
//! function that panics. The linker drops what nothing refers to. So if a panic of ours could be reached,
//! the path of our source file would stand in the linked firmware, as long as its panic handler asks for the
//! location: that of `device` does.

use std::collections::BTreeMap;
use std::path::PathBuf;

use crate::Failure;
use crate::elf::{Firmware, Place};

/// Where our sources are. The last is the firmware itself.
const OURS: [&str; 3] = ["metadata/src/", "client-verifier/src/", "src/bin/device/"];

/// What to look at.
#[derive(Debug, clap::Args)]
pub(crate) struct Options {
    /// The firmware: an ELF file.
    firmware: PathBuf,
    /// Say where the panics of ours are, and count those of other crates by file.
    #[arg(long)]
    list: bool,
}

/// What to print, and whether no panic of ours is left.
pub(crate) fn run(options: &Options) -> Result<(String, bool), Failure> {
    let firmware = Firmware::read(&options.firmware)?;
    let (ours, others): (Vec<Place>, Vec<Place>) =
        firmware.panic_places().into_iter().partition(is_ours);
    let named: Vec<&str> = OURS
        .into_iter()
        .filter(|folder| firmware.contains(folder))
        .collect();
    if others.is_empty() {
        // Then the panic handler ignores the location, and nothing can be concluded.
        return Err(Failure(
            "no panic location of any crate is in this firmware: its panic handler has to use them"
                .into(),
        ));
    }
    let mut text = String::new();
    for Place { file, line, column } in &ours {
        text += &format!("{file}:{line}:{column}\n");
    }
    if options.list {
        let mut files: BTreeMap<&str, usize> = BTreeMap::new();
        for place in &others {
            *files.entry(&place.file).or_default() += 1;
        }
        for (file, count) in files {
            text += &format!("    {count:3} in {file}\n");
        }
    }
    let good = ours.is_empty() && named.is_empty();
    text += &match good {
        true => format!("no panic of ours, {} of other crates\n", others.len()),
        false => format!(
            "{} panics of ours can be reached (their sources are named below {}), {} of other crates\n",
            ours.len(),
            named.join(", "),
            others.len()
        ),
    };
    Ok((text, good))
}

fn is_ours(place: &Place) -> bool {
    OURS.iter().any(|folder| {
        let file = place.file.as_str();
        file.starts_with(folder) || file.contains(&format!("/{folder}"))
    })
}
