//! What the code of a firmware consists of.

use std::collections::BTreeMap;
use std::path::PathBuf;

use crate::Failure;
use crate::elf::{Firmware, Symbol};

/// What to look at.
#[derive(Debug, clap::Args)]
pub(crate) struct Options {
    /// The firmware: an ELF file.
    firmware: PathBuf,
    /// How many of the largest functions and constants to show.
    #[arg(long, default_value_t = 30, value_name = "N")]
    top: usize,
}

/// What to print.
pub(crate) fn run(options: &Options) -> Result<(String, bool), Failure> {
    let mut firmware = Firmware::read(&options.firmware)?;
    let mut text = String::new();
    for section in &firmware.sections {
        text += &format!("{:7} {}\n", section.size, section.name);
    }
    let mut crates: BTreeMap<String, (u64, u64)> = BTreeMap::new();
    for symbol in &firmware.symbols {
        let (code, constants) = crates.entry(crate_of(&symbol.name)).or_default();
        match symbol.is_code {
            true => *code += symbol.size,
            false => *constants += symbol.size,
        }
    }
    let mut crates: Vec<_> = crates.into_iter().collect();
    crates.sort_by_key(|(_, (code, constants))| std::cmp::Reverse(code + constants));
    text += "\n   code  constants  by crate (of generic code: whose type or function it is)\n";
    for (name, (code, constants)) in crates {
        text += &format!("{code:7} {constants:10}  {name}\n");
    }
    text += "\nthe largest\n";
    firmware
        .symbols
        .sort_by_key(|symbol| std::cmp::Reverse(symbol.size));
    for Symbol {
        name,
        size,
        is_code,
    } in firmware.symbols.iter().take(options.top)
    {
        let kind = if *is_code { "code " } else { "const" };
        text += &format!("{size:7} {kind} {name}\n");
    }
    Ok((text, true))
}

/// The first crate that a demangled name speaks of.
fn crate_of(name: &str) -> String {
    let path = name.split_once("::").map(|(before, _)| before);
    let last = path.and_then(|path| {
        path.rsplit(|character: char| !character.is_alphanumeric() && character != '_')
            .next()
    });
    match last {
        Some(name) if !name.is_empty() => name.to_owned(),
        _ => "(not Rust, or without a name)".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_function_belongs_to_the_crate_that_its_name_begins_with() {
        assert_eq!(crate_of("core::fmt::write"), "core");
        assert_eq!(crate_of("<&mut a_b::C as core::fmt::Write>::write"), "a_b");
        assert_eq!(crate_of("memcpy"), "(not Rust, or without a name)");
    }
}
