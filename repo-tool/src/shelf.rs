//! Files of the repository's own that were read before. A Snapshot of many bins is several
//! megabytes, and one command asks for it a dozen times.

use std::any::Any;
use std::collections::VecDeque;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use countersign_metadata::{Role, Signed, Targets};

use crate::error::RepoError;
use crate::files;

/// How many files are kept: the top-level ones, published and staged. Bins are used one after the
/// other.
const KEPT: usize = 8;

/// The files that were read last. Nobody else changes them while this process holds the lock on the
/// repository; whoever changes one here says so ([`Shelf::forget`]).
#[derive(Debug, Default)]
pub(crate) struct Shelf {
    files: Mutex<VecDeque<Kept>>,
}

#[derive(Debug)]
struct Kept {
    path: PathBuf,
    file: Signed<Targets>,
    content: Option<Arc<dyn Any + Send + Sync>>,
}

impl Shelf {
    /// The file at `path`; `None` if there is none.
    pub(crate) fn signed<T: Role>(&self, path: &Path) -> Result<Option<Signed<T>>, RepoError> {
        if let Some(kept) = self.files().iter().find(|kept| kept.path == path) {
            return Ok(Some(kept.file.retyped()));
        }
        let Some(bytes) = files::read(path)? else {
            return Ok(None);
        };
        let file = Signed::<T>::parse(bytes)
            .map_err(|error| RepoError::metadata(path.display().to_string(), error))?;
        self.keep(path, &file);
        Ok(Some(file))
    }

    /// What the file at `path` says, on nobody's word.
    pub(crate) fn content<T: Role + Send + Sync + 'static>(
        &self,
        path: &Path,
    ) -> Result<Option<Arc<T>>, RepoError> {
        let Some(file) = self.signed::<T>(path)? else {
            return Ok(None);
        };
        let known = |kept: &Kept| kept.content.clone()?.downcast::<T>().ok();
        let kept = self.find(path, |kept| known(kept)).flatten();
        if let Some(content) = kept {
            return Ok(Some(content));
        }
        let content = file
            .decode_unverified()
            .map_err(|error| RepoError::metadata(path.display().to_string(), error))?;
        let content = Arc::new(content);
        let any: Arc<dyn Any + Send + Sync> = content.clone();
        self.find(path, |kept| kept.content = Some(any));
        Ok(Some(content))
    }

    /// The file at `path` has changed, or is about to.
    pub(crate) fn forget(&self, path: &Path) {
        self.files().retain(|kept| kept.path != path);
    }

    /// `bytes` were written to `path`. If they are those of a file that is kept, they need not be
    /// read again.
    pub(crate) fn written(&self, path: &Path, bytes: &[u8]) {
        let mut files = self.files();
        files.retain(|kept| kept.path != path);
        let same = files.iter().find(|kept| kept.file.received() == bytes);
        let copy = same.map(|kept| Kept {
            path: path.into(),
            file: kept.file.clone(),
            content: kept.content.clone(),
        });
        if let Some(copy) = copy {
            make_room(&mut files);
            files.push_back(copy);
        }
    }

    /// The file at `from` was copied to `to` and is there.
    pub(crate) fn copied(&self, from: &Path, to: &Path) {
        let bytes = self.find(from, |kept| kept.file.clone());
        if let Some(file) = bytes {
            self.written(to, file.received());
        }
    }

    fn keep<T: Role>(&self, path: &Path, file: &Signed<T>) {
        let mut files = self.files();
        make_room(&mut files);
        files.push_back(Kept {
            path: path.into(),
            file: file.retyped(),
            content: None,
        });
    }

    fn find<R>(&self, path: &Path, act: impl FnOnce(&mut Kept) -> R) -> Option<R> {
        let mut files = self.files();
        files.iter_mut().find(|kept| kept.path == path).map(act)
    }

    fn files(&self) -> MutexGuard<'_, VecDeque<Kept>> {
        // A panic elsewhere cannot leave an entry half made.
        self.files.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Bins go first: they are read by the thousand, the others again and again.
fn make_room(files: &mut VecDeque<Kept>) {
    if files.len() < KEPT {
        return;
    }
    let small = files
        .iter()
        .position(|kept| kept.file.received().len() < WORTH_KEEPING);
    files.remove(small.unwrap_or(0));
}

/// A smaller file is read again in no time.
const WORTH_KEEPING: usize = 64 << 10;
