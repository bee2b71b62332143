//! Writing bundles.

use std::collections::BTreeSet;
use std::io::{self, Read, Write};

use super::{is_member, the_targets};

/// Writes an offline bundle, member by member. What is in it has to be signed already.
pub struct BundleWriter<W: Write> {
    tar: tar::Builder<W>,
    members: BTreeSet<String>,
}

impl<W: Write> BundleWriter<W> {
    /// A bundle that is written to `out`.
    pub fn new(out: W) -> Self {
        Self {
            tar: tar::Builder::new(out),
            members: BTreeSet::new(),
        }
    }

    /// Adds the member `name` of `length` bytes. One that is there already is not added again.
    ///
    /// # Errors
    /// [`io::ErrorKind::InvalidInput`] for a name that has no place in a bundle;
    /// [`io::ErrorKind::UnexpectedEof`] if there are fewer bytes.
    pub fn add(&mut self, name: &str, length: u64, bytes: impl Read) -> io::Result<()> {
        let invalid = |detail| io::Error::new(io::ErrorKind::InvalidInput, detail);
        if !is_member(name) {
            return Err(invalid(format!("{name:?} has no place in a bundle")));
        }
        if !self.members.insert(name.into()) {
            return Ok(());
        }
        let mut header = tar::Header::new_ustar();
        header.set_size(length);
        header.set_entry_type(tar::EntryType::Regular);
        header.set_mode(0o644);
        // Not by the builder: it would write an extension for a name that does not fit.
        header.set_path(name)?;
        header.set_cksum();
        let mut bytes = Counted(bytes.take(length), 0);
        self.tar.append(&header, &mut bytes)?;
        match bytes.1 == length {
            true => Ok(()),
            false => Err(io::ErrorKind::UnexpectedEof.into()),
        }
    }

    /// Ends the bundle.
    ///
    /// # Errors
    /// [`io::ErrorKind::InvalidInput`] without exactly one Offline Targets file.
    pub fn finish(self) -> io::Result<W> {
        the_targets(self.members.iter().map(String::as_str))
            .map_err(|detail| io::Error::new(io::ErrorKind::InvalidInput, detail))?;
        self.tar.into_inner()
    }
}

/// A source, and how many bytes it gave.
struct Counted<R>(R, u64);

impl<R: Read> Read for Counted<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let n = self.0.read(buffer)?;
        self.1 += n as u64;
        Ok(n)
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Bundle, image_member};
    use super::*;
    use crate::fetch::fetch_bytes;

    #[test]
    fn what_is_written_can_be_read() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("bundle.tar");
        let mut writer = BundleWriter::new(std::fs::File::create(&path).unwrap());
        let image = image_member(&format!("sha512-{}", "ab".repeat(64)));
        let root = "director/metadata/1.root.json";
        for (name, bytes) in [
            (root, &b"root"[..]),
            ("director/offline/spring.json", b"targets"),
            (&image, b"image"),
            // An image of several ECUs.
            (&image, b"image"),
        ] {
            writer.add(name, bytes.len() as u64, bytes).unwrap();
        }
        writer.finish().unwrap();
        let mut bundle = Bundle::open(&path).unwrap();
        assert_eq!(bundle.targets_name().as_str(), "spring");
        assert_eq!(fetch_bytes(&mut bundle, root, 4).unwrap(), b"root");
        assert_eq!(fetch_bytes(&mut bundle, &image, 5).unwrap(), b"image");
    }

    #[test]
    fn what_could_not_be_read_is_not_written() {
        let mut writer = BundleWriter::new(Vec::new());
        let long = format!("image/metadata/1.{}.json", "x".repeat(100));
        for name in ["notes.txt", "images/../x", &long] {
            assert!(writer.add(name, 1, &b"x"[..]).is_err(), "{name}");
        }
        let short = writer.add("images/sha256-00", 2, &b"x"[..]).unwrap_err();
        assert_eq!(short.kind(), io::ErrorKind::UnexpectedEof);
        assert!(BundleWriter::new(Vec::new()).finish().is_err());
    }
}
