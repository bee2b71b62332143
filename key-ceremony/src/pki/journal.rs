//! A file that only grows: whole lines, durable before anybody relies on them.

use std::fs::{File, OpenOptions};
use std::io::{Read as _, Seek as _, SeekFrom, Write as _};
use std::path::{Path, PathBuf};

use crate::{CeremonyError, crash};

use super::files;

/// Lines, appended in groups.
#[derive(Debug)]
pub(crate) struct Journal {
    path: PathBuf,
    file: File,
    length: u64,
}

/// Where a line is.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Place {
    start: u64,
    length: usize,
}

/// What a journal held, up to its last whole line.
pub(crate) struct Content {
    pub(crate) bytes: Vec<u8>,
}

impl Content {
    /// Reads a journal. What follows the last newline was never relied on: a write that was cut
    /// off before its fsync.
    pub(crate) fn read(path: &Path, limit: u64) -> Result<Self, CeremonyError> {
        let mut bytes = files::read(path, limit, "an index that can be loaded")?;
        let whole = bytes.iter().rposition(|byte| *byte == b'\n');
        bytes.truncate(whole.map_or(0, |last| last + 1));
        Ok(Self { bytes })
    }

    /// The lines and where they are.
    pub(crate) fn lines(&self) -> impl Iterator<Item = (Place, &[u8])> {
        let mut start = 0;
        self.bytes
            .split_inclusive(|byte| *byte == b'\n')
            .map(move |line| {
                let place = Place {
                    start,
                    length: line.len(),
                };
                start += line.len() as u64;
                (place, line)
            })
    }
}

impl Journal {
    /// Opens a journal for writing behind `content`, and cuts off what was never whole.
    pub(crate) fn open(path: &Path, content: &Content) -> Result<Self, CeremonyError> {
        let fail = |source| CeremonyError::io("open", path, source);
        let mut options = OpenOptions::new();
        let file = options.read(true).write(true).open(path).map_err(fail)?;
        let length = content.bytes.len() as u64;
        file.set_len(length)
            .and_then(|()| file.sync_all())
            .map_err(|source| CeremonyError::io("repair", path, source))?;
        files::sync_folder_of(path)?;
        Ok(Self {
            path: path.into(),
            file,
            length,
        })
    }

    /// Appends lines, each with its newline, and returns when they are durable. After an error
    /// none of them is there.
    pub(crate) fn append(&mut self, lines: &[Vec<u8>]) -> Result<Vec<Place>, CeremonyError> {
        let fail = |source| CeremonyError::io("write", &self.path, source);
        let mut file = &self.file;
        crash::point();
        let written = file
            .seek(SeekFrom::Start(self.length))
            .and_then(|_| file.write_all(&lines.concat()))
            .and_then(|()| file.sync_data());
        if let Err(source) = written {
            // A full disk leaves half a line; if even this fails, the next start cuts it off.
            let _ = file.set_len(self.length).and_then(|()| file.sync_all());
            return Err(fail(source));
        }
        crash::point();
        let mut places = Vec::new();
        for line in lines {
            places.push(Place {
                start: self.length,
                length: line.len(),
            });
            self.length += line.len() as u64;
        }
        Ok(places)
    }
}

/// Reads one line again.
pub(crate) fn line(path: &Path, place: Place) -> Result<Vec<u8>, CeremonyError> {
    let mut line = vec![0; place.length];
    let read = File::open(path).and_then(|mut file| {
        file.seek(SeekFrom::Start(place.start))?;
        file.read_exact(&mut line)
    });
    read.map_err(|source| CeremonyError::io("read", path, source))?;
    Ok(line)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cut_line_is_dropped_and_written_over() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("j");
        std::fs::write(&path, b"one\ntwo\nthr").unwrap();
        let content = Content::read(&path, 100).unwrap();
        let mut journal = Journal::open(&path, &content).unwrap();
        let places = journal
            .append(&[b"3\n".to_vec(), b"four\n".to_vec()])
            .unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), b"one\ntwo\n3\nfour\n");
        assert_eq!(line(&path, places[1]).unwrap(), b"four\n");
        let content = Content::read(&path, 100).unwrap();
        let lines: Vec<_> = content.lines().collect();
        assert_eq!(lines.len(), 4);
        for (place, text) in lines {
            assert_eq!(line(&path, place).unwrap(), text);
        }
        assert!(Content::read(&path, 10).is_err());
    }
}
