//! Long work, reported to whoever shows it.

/// Gets told how far long work is. The library shows nothing itself.
pub trait Progress: Send + Sync {
    /// A file of `bytes`, or many together, are about to be read.
    fn start(&self, what: &str, bytes: u64);
    /// So many more of its bytes were read. Of many files, several are read at once.
    fn advance(&self, bytes: u64);
    /// It is done.
    fn finish(&self);
}

/// Shows nothing.
#[derive(Debug, Clone, Copy, Default)]
pub struct Silent;

impl Progress for Silent {
    fn start(&self, _what: &str, _bytes: u64) {}
    fn advance(&self, _bytes: u64) {}
    fn finish(&self) {}
}
