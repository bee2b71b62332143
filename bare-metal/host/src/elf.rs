//! What is in a linked firmware.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use object::{Object as _, ObjectSection as _, ObjectSymbol as _, SectionFlags, SymbolKind, elf};

use crate::Failure;

/// A linked firmware.
pub(crate) struct Firmware {
    /// What the target's memory gets, but for what starts as zeros.
    pub(crate) sections: Vec<Section>,
    /// Code and constants that have a name, with their sizes in bytes.
    pub(crate) symbols: Vec<Symbol>,
    /// Places in memory that the linker script names.
    places: BTreeMap<String, u64>,
}

pub(crate) struct Section {
    pub(crate) name: String,
    pub(crate) address: u64,
    pub(crate) size: u64,
    pub(crate) data: Vec<u8>,
}

pub(crate) struct Symbol {
    pub(crate) name: String,
    pub(crate) size: u64,
    pub(crate) is_code: bool,
}

/// Where a panic would say that it happened.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Place {
    pub(crate) file: String,
    pub(crate) line: u32,
    pub(crate) column: u32,
}

impl Firmware {
    pub(crate) fn read(path: &Path) -> Result<Self, Failure> {
        let at = |what: String| Failure(format!("{}: {what}", path.display()));
        let bytes = fs::read(path).map_err(|error| at(error.to_string()))?;
        let parsed = object::File::parse(&*bytes).map_err(|error| at(error.to_string()))?;
        let mut sections = Vec::new();
        for section in parsed.sections() {
            let SectionFlags::Elf { sh_flags, .. } = section.flags() else {
                continue;
            };
            if (sh_flags & elf::SHF_ALLOC) == elf::SHF_ALLOC && section.size() > 0 {
                let data = section.data().map_err(|error| at(error.to_string()))?;
                sections.push(Section {
                    name: section.name().unwrap_or_default().into(),
                    address: section.address(),
                    size: section.size(),
                    data: data.to_vec(),
                });
            }
        }
        let mut symbols = Vec::new();
        let mut places = BTreeMap::new();
        for symbol in parsed.symbols() {
            let name = symbol.name().unwrap_or_default();
            places.insert(name.to_owned(), symbol.address());
            let is_code = symbol.kind() == SymbolKind::Text;
            if symbol.size() > 0 && (is_code || symbol.kind() == SymbolKind::Data) {
                symbols.push(Symbol {
                    name: format!("{:#}", rustc_demangle::demangle(name)),
                    size: symbol.size(),
                    is_code,
                });
            }
        }
        Ok(Self {
            sections,
            symbols,
            places,
        })
    }

    /// The size of a section in bytes.
    pub(crate) fn size_of(&self, name: &str) -> u64 {
        let named = self.sections.iter().filter(|section| section.name == name);
        named.map(|section| section.size).sum()
    }

    /// The address of a symbol.
    pub(crate) fn place(&self, symbol: &str) -> Result<u64, Failure> {
        let place = self.places.get(symbol).copied();
        place.ok_or_else(|| Failure(format!("the firmware has no symbol {symbol}")))
    }

    /// Every `core::panic::Location` in it: two words for the file's name, then line and column.
    pub(crate) fn panic_places(&self) -> Vec<Place> {
        let mut found = Vec::new();
        for section in &self.sections {
            for at in (0..section.data.len()).step_by(4) {
                let words: Option<Vec<u32>> =
                    (0..4).map(|word| section.word(at + 4 * word)).collect();
                let Some([file, length, line, column]) = words.as_deref() else {
                    continue;
                };
                let plausible = (1..100_000).contains(line) && (1..1_000).contains(column);
                if let Some(file) = self.text(*file, *length).filter(|_| plausible) {
                    found.push(Place {
                        file,
                        line: *line,
                        column: *column,
                    });
                }
            }
        }
        found.sort();
        found.dedup();
        found
    }

    /// Whether `text` stands anywhere in it.
    pub(crate) fn contains(&self, text: &str) -> bool {
        let text = text.as_bytes();
        let mut sections = self.sections.iter();
        sections.any(|section| section.data.windows(text.len()).any(|found| found == text))
    }

    /// The name of a source file at this address.
    fn text(&self, address: u32, length: u32) -> Option<String> {
        let (address, length) = (u64::from(address), usize::try_from(length).ok()?);
        let section = self.sections.iter().find(|section| {
            (section.address..section.address + section.data.len() as u64).contains(&address)
        })?;
        let start = usize::try_from(address - section.address).ok()?;
        let bytes = section.data.get(start..start.checked_add(length)?)?;
        let text = std::str::from_utf8(bytes).ok()?;
        text.ends_with(".rs").then(|| text.to_owned())
    }
}

impl Section {
    fn word(&self, at: usize) -> Option<u32> {
        let bytes = self.data.get(at..at + 4)?;
        Some(u32::from_le_bytes(bytes.try_into().ok()?))
    }
}
