//! A bundle of one device, or of a model, as a C header: valid C99 and C++, for devices that
//! have no file system to be given a folder.
//!
//! Every name begins with `countersign_provision_`, and for every object `X` that is there the
//! macro `COUNTERSIGN_PROVISION_HAS_X` is defined. docs/provisioning.md lists them.

use countersign_metadata::uptane::Mapping;

use super::anchor::PLAIN;
use super::bundle::{Bundle, Kind};
use super::layout::{self, Factory};
use super::profile::Verification;
use crate::error::CeremonyError;
use crate::statement::decode_hex;

/// Bytes on one line of an array.
const PER_LINE: usize = 12;

impl Bundle {
    /// The header.
    ///
    /// # Errors
    /// [`CeremonyError::Usage`] if the bundle names several devices.
    pub fn c_header(&self) -> Result<String, CeremonyError> {
        if self.parts.devices.len() > 1 {
            return Err(CeremonyError::Usage(
                "a C header is for one device, or for a model whose identifiers the line fills in; \
                 name one device or none"
                    .into(),
            ));
        }
        let mut header = Header::default();
        header.lines.push("/*".into());
        for line in self.review().to_text(1).lines() {
            let line = format!(" * {}", comment(line));
            header.lines.push(line.trim_end().into());
        }
        header.lines.push(" */".into());
        header.lines.extend(OPENING.lines().map(str::to_owned));
        self.put_objects(&mut header);
        header.lines.extend(CLOSING.lines().map(str::to_owned));
        Ok(header.lines.join("\n") + "\n")
    }

    fn put_objects(&self, header: &mut Header) {
        let device = self.parts.devices.first();
        if let Kind::Uptane(uptane) = &self.parts.kind {
            if let Some(device) = device {
                header.string("vin", device.identity.vin());
                header.string("ecu_serial", device.identity.serial());
            }
            header.string("hardware_id", uptane.hardware_id.as_str());
            let in_full = uptane.ecu.verification == Verification::Full;
            header.number("int", "verifies_in_full", i64::from(in_full).to_string());
            let secondary = uptane.ecu.is_secondary();
            header.number("int", "is_secondary", i64::from(secondary).to_string());
            if let Some(image) = &uptane.installed {
                header.factory(image);
            }
        }
        let time = &self.parts.time;
        header.number("int64_t", "time", time.floor.unix().to_string());
        let attested = i64::from(time.attested.is_some());
        header.number("int", "time_is_attested", attested.to_string());
        if let Some(attested) = &time.attested {
            header.array("time_attestation", &attested.file);
        }
        for repository in [PLAIN, Mapping::DIRECTOR, Mapping::IMAGE] {
            for role in ["root", "timestamp", "snapshot", "targets"] {
                let shared = self.files.get(&format!("{repository}/{role}.json"));
                let own = device.and_then(|device| {
                    let folder = device.identity.folder();
                    let path = format!("{}/{folder}/{repository}/{role}.json", layout::DEVICES);
                    self.files.get(&path)
                });
                if let Some(bytes) = shared.or(own) {
                    header.array(&format!("{repository}_{role}"), bytes);
                }
            }
        }
        match &self.parts.kind {
            Kind::Plain(plain) => header.strings("repository_urls", &plain.urls),
            Kind::Uptane(uptane) => {
                let map = match device {
                    Some(device) => uptane.map_for(&device.identity.encoded_vin()),
                    None => uptane.map.clone(),
                };
                header.array("map", map.as_bytes());
            }
        }
    }
}

const OPENING: &str = "
#ifndef COUNTERSIGN_PROVISION_H
#define COUNTERSIGN_PROVISION_H

#include <stddef.h>
#include <stdint.h>";

const CLOSING: &str = "
#endif /* COUNTERSIGN_PROVISION_H */";

#[derive(Default)]
struct Header {
    lines: Vec<String>,
}

impl Header {
    fn begin(&mut self, name: &str) {
        self.lines.push(String::new());
        let upper = name.to_ascii_uppercase();
        self.lines
            .push(format!("#define COUNTERSIGN_PROVISION_HAS_{upper} 1"));
    }

    fn number(&mut self, kind: &str, name: &str, value: String) {
        self.begin(name);
        let line = format!("static const {kind} countersign_provision_{name} = {value};");
        self.lines.push(line);
    }

    fn string(&mut self, name: &str, text: &str) {
        self.begin(name);
        let text = c_string(text);
        let line = format!("static const char countersign_provision_{name}[] = \"{text}\";");
        self.lines.push(line);
    }

    /// Nothing where there are none: C has no array without elements.
    fn strings(&mut self, name: &str, texts: &[String]) {
        if texts.is_empty() {
            return;
        }
        self.begin(name);
        let name = format!("countersign_provision_{name}");
        self.lines
            .push(format!("static const char *const {name}[] = {{"));
        let texts = texts.iter();
        let texts = texts.map(|text| format!("    \"{}\",", c_string(text)));
        self.lines.extend(texts);
        self.lines.push("};".into());
        let count = format!("{name}_count = sizeof {name} / sizeof {name}[0];");
        self.lines.push(format!("static const size_t {count}"));
    }

    fn array(&mut self, name: &str, bytes: &[u8]) {
        self.begin(name);
        let name = format!("countersign_provision_{name}");
        self.lines
            .push(format!("static const unsigned char {name}[] = {{"));
        for part in bytes.chunks(PER_LINE) {
            let part: Vec<String> = part.iter().map(|byte| format!("0x{byte:02x}")).collect();
            self.lines.push(format!("    {},", part.join(", ")));
        }
        self.lines.push("};".into());
        self.lines
            .push(format!("static const size_t {name}_size = sizeof {name};"));
    }

    fn factory(&mut self, image: &Factory) {
        self.string("installed_path", &image.path);
        let counter = format!("{}u", image.release_counter);
        self.number("uint64_t", "installed_release_counter", counter);
        self.number("uint64_t", "installed_length", format!("{}u", image.length));
        let sha256 = decode_hex(&image.sha256).unwrap_or_default();
        self.array("installed_sha256", &sha256);
    }
}

/// The inside of a string literal: what is neither a letter, a digit nor one of a few marks is
/// written in three octal digits, which end by themselves. No trigraph is left.
fn c_string(text: &str) -> String {
    let mut literal = String::new();
    for byte in text.bytes() {
        match byte {
            b' ' | b'-' | b'.' | b'_' | b':' | b'/' | b',' => literal.push(byte.into()),
            _ if byte.is_ascii_alphanumeric() => literal.push(byte.into()),
            _ => literal.push_str(&format!("\\{byte:03o}")),
        }
    }
    literal
}

/// A line within a comment. What could end it, begin another one, join lines or be shown as
/// something else is written by its number.
fn comment(line: &str) -> String {
    let mut safe = String::new();
    for letter in line.chars() {
        match letter {
            '*' | '\\' | '?' => safe.push_str(&format!("<{:02X}>", u32::from(letter))),
            ' '..='~' => safe.push(letter),
            _ => safe.push_str(&format!("<{:02X}>", u32::from(letter))),
        }
    }
    safe
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn nothing_ends_a_comment_or_a_string() {
        assert_eq!(comment("a */ b /* c"), "a <2A>/ b /<2A> c");
        assert_eq!(comment("ends in \\"), "ends in <5C>");
        assert_eq!(comment("??/ \u{202e}\n"), "<3F><3F>/ <202E><0A>");
        assert_eq!(c_string("a\"b\\c??/\n1"), "a\\042b\\134c\\077\\077/\\0121");
    }

    proptest! {
        #[test]
        fn comments_are_plain(text in any::<String>()) {
            let safe = comment(&text);
            prop_assert!(safe.bytes().all(|byte| (b' '..=b'~').contains(&byte)));
            prop_assert!(!safe.contains("*/") && !safe.contains("/*"));
            prop_assert!(!safe.contains('\\') && !safe.contains("??"));
        }

        #[test]
        fn strings_are_read_back(text in any::<String>()) {
            let literal = c_string(&text);
            prop_assert!(!literal.contains('"') && !literal.contains('?') && literal.is_ascii());
            let mut read = Vec::new();
            let mut bytes = literal.bytes();
            while let Some(byte) = bytes.next() {
                match byte {
                    b'\\' => {
                        let digits: String = bytes.by_ref().take(3).map(char::from).collect();
                        read.push(u8::from_str_radix(&digits, 8).unwrap());
                    }
                    _ => read.push(byte),
                }
            }
            prop_assert_eq!(read, text.as_bytes());
        }
    }
}
