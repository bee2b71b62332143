//! Effects of the file slots on the disk, each durable when it returns.

use std::fs::{self, File};
use std::io::{self, Read};
use std::path::Path;

use countersign_metadata::Hashes;
use countersign_verifier::{ImageStream, VerifiedImage};
use ring::digest;

use super::file_slots::{IMAGE, Slot};
use super::{InstallError, Measured};
use crate::pieces::PieceWriter;
use crate::{crash, durable};

/// Bytes in memory of any image, whatever its size.
const CHUNK: usize = 64 * 1024;

/// Writes what `stream` lets through to a new file at `path`, durably.
pub(super) fn keep(
    path: &Path,
    mut stream: ImageStream,
    bytes: &mut dyn Read,
) -> Result<VerifiedImage, InstallError> {
    let file = File::create_new(path).map_err(InstallError::io("make", path))?;
    let mut out = PieceWriter::new(file, 0);
    loop {
        match bytes.read(out.room()) {
            Ok(0) => break,
            Ok(n) => {
                let room = out.room();
                stream.update(&room[..n.min(room.len())])?;
                out.filled(n).map_err(InstallError::io("write", path))?;
            }
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
            Err(e) => return Err(InstallError::Source(e)),
        }
    }
    let image = stream.finish()?;
    out.sync().map_err(InstallError::io("write", path))?;
    Ok(image)
}

/// Reads `source` to its end in pieces.
pub(super) fn read_through(
    source: &mut dyn Read,
    mut take: impl FnMut(&[u8]) -> Result<(), InstallError>,
) -> Result<(), InstallError> {
    let mut buffer = vec![0; CHUNK];
    loop {
        match source.read(&mut buffer) {
            Ok(0) => return Ok(()),
            Ok(n) => take(&buffer[..n])?,
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
            Err(e) => return Err(InstallError::Source(e)),
        }
    }
}

/// An error of reading, where the source is our own file.
pub(super) fn at(path: &Path, error: InstallError) -> InstallError {
    match error {
        InstallError::Source(source) => InstallError::io("read", path)(source),
        other => other,
    }
}

/// Reads an image to its end and measures it, as [`Installer::installed`](super::Installer::installed)
/// has to.
///
/// # Errors
/// [`InstallError::Source`]
pub fn measure(file: &mut dyn Read) -> Result<Measured, InstallError> {
    let mut sha256 = digest::Context::new(&digest::SHA256);
    let mut sha512 = digest::Context::new(&digest::SHA512);
    let mut length = 0;
    read_through(file, |bytes| {
        sha256.update(bytes);
        sha512.update(bytes);
        length += bytes.len() as u64;
        Ok(())
    })?;
    Ok(Measured {
        length,
        hashes: Hashes {
            sha256: sha256.finish().as_ref().try_into().ok(),
            sha512: sha512.finish().as_ref().try_into().ok(),
            ..Hashes::default()
        },
    })
}

/// Removes the image of a slot and what is unfinished in it, durably.
pub(super) fn empty(slot: &Path) -> io::Result<()> {
    crash::point();
    for name in [IMAGE, durable::UNFINISHED] {
        match fs::remove_file(slot.join(name)) {
            Err(e) if e.kind() != io::ErrorKind::NotFound => return Err(e),
            _ => {}
        }
    }
    durable::sync_directory(slot)?;
    crash::point();
    Ok(())
}

pub(super) fn replace_link(directory: &Path, name: &str, slot: Option<Slot>) -> io::Result<()> {
    crash::point();
    match slot {
        Some(slot) => {
            let unfinished = directory.join(durable::UNFINISHED);
            durable::remove_unfinished(directory)?;
            std::os::unix::fs::symlink(slot.name(), &unfinished)?;
            crash::point();
            fs::rename(&unfinished, directory.join(name))?;
        }
        None => fs::remove_file(directory.join(name))?,
    }
    crash::point();
    durable::sync_directory(directory)?;
    crash::point();
    Ok(())
}
