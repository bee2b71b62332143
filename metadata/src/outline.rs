//! What is kept of a verified Targets file, so that one of its images can be looked up later without reading the
//! whole file again: all but the images, and where in the file these are.

use alloc::string::String;
use alloc::vec::Vec;
use core::ops::Range;

use crate::canonical;
use crate::document::Decode as _;
use crate::envelope::{Payload, Verified};
use crate::error::MetadataError;
use crate::field::Fields;
use crate::json::{Value, utf8};
use crate::path::TargetPath;
use crate::scan::{Members, Scanner};
use crate::targets::{Entry, TargetFile, Targets};

/// A part has at least as many bytes, unless it is the last. Reading one takes a fraction of a millisecond, and the
/// list of the parts of the largest file some 100 kB.
const PART_LEN: u64 = 128 << 10;

/// The outline of a Targets file. Whoever can write it decides what an image is: keep it as you keep the trusted
/// Root.
#[derive(Debug, Clone)]
pub struct Outline {
    rest: Targets,
    parts: Vec<Part>,
    /// Where the last part ends.
    end: u64,
}

/// Some images that stand one after the other.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Part {
    /// Path of the first.
    first: String,
    /// Offset of it in the file.
    start: u64,
    /// CRC-32 of all of them: against decay, not against people.
    check: u32,
}

/// A part of the file as it was kept is not what was kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Damaged;

impl Outline {
    /// The outline of `file`, as it is kept, with what else its keeper wants to know about the file; `None` if that was
    /// published in another form than the canonical one, so that what was verified does not stand in it as it is.
    pub fn encode(file: &Verified<Targets>, about: &Value) -> Option<Vec<u8>> {
        Self::in_parts(file, about, PART_LEN)
    }

    fn in_parts(file: &Verified<Targets>, about: &Value, part_len: u64) -> Option<Vec<u8>> {
        let (bytes, payload) = (file.received(), file.payload());
        let offset = file.payload_in_file()?.start as u64;
        let listed = file.content().listed();
        let mut parts: Vec<Part> = Vec::new();
        for at in listed.starts() {
            let start = offset + u64::from(*at);
            if parts
                .last()
                .is_none_or(|part| start >= part.start + part_len)
            {
                parts.push(Part {
                    first: listed.key_at(*at)?.into_owned(),
                    start,
                    check: 0,
                });
            }
        }
        let within = listed.within();
        let end = offset + within.end as u64;
        let mut next = end;
        for part in parts.iter_mut().rev() {
            part.check = crc32fast::hash(bytes.get(part.start as usize..next as usize)?);
            next = part.start;
        }
        let mut text = String::from("{\"about\":");
        canonical::write(&mut text, about);
        text.push_str(",\"end\":");
        canonical::write(&mut text, &end.into());
        text.push_str(",\"parts\":");
        canonical::write(&mut text, &parts.iter().map(Part::to_value).collect());
        // The payload as if no image were listed.
        text.push_str(",\"signed\":");
        text.push_str(payload.get(..within.start)?);
        text.push_str(payload.get(within.end..)?);
        text.push('}');
        Some(text.into_bytes())
    }

    /// An outline that was kept, and what was said about it.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn decode(bytes: &[u8]) -> Result<(Self, Value), MetadataError> {
        let text = utf8(bytes)?;
        let mut scanner = Scanner::canonical(text);
        let canonical = scanner.skip_canonical()?;
        scanner.end()?;
        if !canonical || !text.starts_with('{') {
            return Err(MetadataError::malformed(0, "it is no outline"));
        }
        let signed = Members::find(text, "signed").unwrap_or_default();
        let rest = Targets::decode(&Payload::encoded(signed.into()))?;
        let mut fields = Fields::of_text("outline", text)?;
        let parts = fields.array("parts")?;
        let parts: Option<Vec<_>> = parts.into_iter().map(Part::of).collect();
        let end = fields.unsigned("end", 0)?;
        let about = fields.required("about")?;
        let outline = parts.map(|parts| Self { rest, parts, end });
        match outline.filter(Self::is_in_order) {
            Some(outline) => Ok((outline, about)),
            None => fields.fail("parts", "are not the parts of a file"),
        }
    }

    fn is_in_order(&self) -> bool {
        let parts = &self.parts;
        let sorted = parts.is_sorted_by(|a, b| a.first < b.first && a.start < b.start);
        sorted && parts.last().is_none_or(|last| last.start < self.end) && self.rest.is_empty()
    }

    /// What the file says, but for its images.
    pub fn rest(&self) -> &Targets {
        &self.rest
    }

    /// Which bytes of the file list `path`, if any do.
    pub fn part(&self, path: &TargetPath) -> Option<Range<u64>> {
        let place = self.place(path)?;
        let start = |at| {
            self.parts
                .get(at)
                .map_or(self.end, |part: &Part| part.start)
        };
        Some(start(place)..start(place + 1))
    }

    /// What the file says of `path`; `part` is the bytes of it that [`Outline::part`] asks for.
    ///
    /// # Errors
    /// [`Damaged`] if they are others than they were.
    pub fn look_up(&self, path: &TargetPath, part: &[u8]) -> Result<Option<TargetFile>, Damaged> {
        let place = self.place(path).ok_or(Damaged)?;
        let expected = self.parts.get(place).ok_or(Damaged)?;
        if crc32fast::hash(part) != expected.check {
            return Err(Damaged);
        }
        let text = core::str::from_utf8(part).map_err(|_| Damaged)?;
        find(text, path).map_err(|_| Damaged)
    }

    /// The number of the part that lists `path`, if any does.
    fn place(&self, path: &TargetPath) -> Option<usize> {
        let after = |part: &Part| part.first.as_str() <= path.as_str();
        self.parts.partition_point(after).checked_sub(1)
    }
}

impl Part {
    fn to_value(&self) -> Value {
        let members = [
            self.first.as_str().into(),
            self.start.into(),
            self.check.into(),
        ];
        members.into_iter().collect()
    }

    fn of(value: Value) -> Option<Self> {
        let Value::Array(members) = value else {
            return None;
        };
        match <[Value; 3]>::try_from(members).ok()? {
            [
                Value::String(first),
                Value::Integer(start),
                Value::Integer(check),
            ] => Some(Self {
                first,
                start: start.try_into().ok()?,
                check: check.try_into().ok()?,
            }),
            _ => None,
        }
    }
}

/// Looks through the members of an object, which end with the text or with a comma.
fn find(text: &str, path: &TargetPath) -> Result<Option<TargetFile>, MetadataError> {
    let mut scanner = Scanner::canonical(text);
    while scanner.position() < text.len() {
        let (key, _) = scanner.string()?;
        scanner.colon()?;
        let entry = Entry::read(&mut scanner)?;
        if key == path.as_str() {
            return entry.to_target_file().map(Some);
        }
        if scanner.position() < text.len() {
            scanner.comma()?;
        }
    }
    Ok(None)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::format;
    use std::string::{String, ToString as _};
    use std::vec::Vec;

    use ed25519_dalek::{Signer as _, SigningKey};
    use proptest::prelude::*;

    use super::*;
    use crate::authority::{Authority, RoleKeys};
    use crate::delegation::Delegations;
    use crate::envelope::Signed;
    use crate::hashes::Hashes;
    use crate::header::Role as _;
    use crate::key::{Key, PublicKey};
    use crate::targets_builder::TargetsBuilder;
    use crate::time::UtcTime;
    use crate::unsigned::Unsigned;

    fn path(name: &str) -> TargetPath {
        TargetPath::new(name).unwrap()
    }

    /// A file that lists images under these names, and who may sign it.
    fn signed(images: &BTreeMap<String, Option<String>>) -> (Vec<u8>, Authority) {
        let mut builder = TargetsBuilder::new(UtcTime::from_unix(2_000_000_000).unwrap());
        builder.delegations = Some(Delegations::empty());
        for (name, note) in images {
            let mut image = TargetFile::new(name.len() as u64, Hashes::of(name.as_bytes()));
            image.custom = note.as_ref().map(|note| {
                let note = (String::from("note"), Value::from(note.as_str()));
                [note].into_iter().collect()
            });
            builder.targets.insert(path(name), image);
        }
        let signer = SigningKey::from_bytes(&[7; 32]);
        let key = Key::new(&PublicKey::Ed25519(signer.verifying_key().to_bytes()));
        let id = key.id();
        let mut file = Unsigned::new(builder.to_payload());
        let signature = signer.sign(file.payload()).to_bytes().to_vec();
        file.add_signature(id.clone(), signature);
        let keys = RoleKeys::new([id.clone()], 1);
        let authority = Authority::assume("targets", &keys, &[(id, key)].into());
        (file.to_file(), authority)
    }

    fn verified(file: Vec<u8>, authority: &Authority) -> Verified<Targets> {
        Signed::parse(file).unwrap().verify(authority).unwrap()
    }

    fn eight_images() -> Verified<Targets> {
        let images = (0..8).map(|number| (format!("image-{number}"), None));
        let (file, authority) = signed(&images.collect());
        verified(file, &authority)
    }

    fn part_of<'a>(file: &'a Verified<Targets>, outline: &Outline, name: &str) -> Option<&'a [u8]> {
        let range = outline.part(&path(name))?;
        file.received()
            .get(range.start as usize..range.end as usize)
    }

    fn look_up(file: &Verified<Targets>, outline: &Outline, name: &str) -> Option<TargetFile> {
        let part = part_of(file, outline, name)?;
        outline.look_up(&path(name), part).unwrap()
    }

    fn outline(file: &Verified<Targets>, part_len: u64) -> Outline {
        let about = Value::from("a test");
        let kept = Outline::in_parts(file, &about, part_len).unwrap();
        let (outline, said) = Outline::decode(&kept).unwrap();
        assert_eq!(said, about);
        outline
    }

    proptest! {
        #[test]
        fn what_is_found_by_parts_is_what_the_whole_file_says(
            images in prop::collection::btree_map("[a-d\"é]{1,3}", prop::option::of("[a\"{},:\\\\é]{0,6}"), 0..20),
            others in prop::collection::vec("[a-e]{1,3}", 0..10),
            part_len in 1_u64..800,
        ) {
            let (file, authority) = signed(&images);
            for file in [file.clone(), [&file[..], b"\n"].concat()] {
                let file = verified(file, &authority);
                let outline = outline(&file, part_len);
                prop_assert_eq!(outline.rest().header(), file.content().header());
                prop_assert_eq!(outline.rest().delegations(), file.content().delegations());
                for name in images.keys().chain(&others) {
                    let found = look_up(&file, &outline, name);
                    prop_assert_eq!(found, file.content().get(&path(name)), "{}", name);
                }
            }
        }

        #[test]
        fn no_damage_to_a_part_is_believed(at in any::<prop::sample::Index>(), bit in 0..8) {
            let file = eight_images();
            let outline = outline(&file, 300);
            let mut part = Vec::from(part_of(&file, &outline, "image-5").unwrap());
            let at = at.index(part.len());
            part[at] ^= 1_u8 << bit;
            prop_assert_eq!(outline.look_up(&path("image-5"), &part), Err(Damaged));
            part.truncate(at);
            prop_assert_eq!(outline.look_up(&path("image-5"), &part), Err(Damaged));
        }
    }

    #[test]
    fn a_file_in_another_form_has_no_outline() {
        let (file, authority) = signed(&BTreeMap::from([("image".to_string(), None)]));
        let spaced = String::from_utf8(file).unwrap().replace("\":{", "\": {");
        let file = verified(spaced.into_bytes(), &authority);
        assert!(file.content().get(&path("image")).is_some());
        assert_eq!(Outline::encode(&file, &Value::Null), None);
    }

    #[test]
    fn parts_that_are_no_parts_of_a_file_are_refused() {
        let file = eight_images();
        let good = Outline::in_parts(&file, &Value::Null, 300).unwrap();
        let good = String::from_utf8(good).unwrap();
        let (_, parts) = good.split_once("\"parts\":[").unwrap();
        let (parts, _) = parts.split_once("],\"signed\"").unwrap();
        let mut swapped: Vec<_> = parts.split_inclusive("],").collect();
        assert!(swapped.len() > 2);
        swapped.swap(0, 1);
        let listed = "\"targets\":{\"a\":{\"hashes\":{\"x\":\"y\"},\"length\":1}}";
        for bad in [
            good.replace(parts, &swapped.concat()),
            good.replace("\"end\":", "\"end\":-"),
            good.replace("[\"image-0\",", "[\"image-0\",1"),
            good.replace("[\"image-0\",", "[7,"),
            good.replace("\"targets\":{}", listed),
            good.replace("\"targets\":{}", "\"targets\":[]"),
            good.replace("\"about\":null,", ""),
            good.replace(',', ", "),
            format!("[{good}]"),
            format!("{good} {good}"),
        ] {
            assert_ne!(bad, good);
            assert!(Outline::decode(bad.as_bytes()).is_err(), "{bad}");
        }
        assert!(Outline::decode(good.as_bytes()).is_ok());
    }
}
