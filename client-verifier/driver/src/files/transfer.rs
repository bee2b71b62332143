//! One target file on its way, without the network: whoever fetches asks what is needed, and brings
//! what came.

use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::partial::{self, Partial};
use super::{DownloadError, FilesError, ImageCheck, TargetDir};
use crate::crash;
use crate::fetch::{Effort, FetchError};

/// A target file to be had, as the trusted metadata describes it.
#[derive(Debug, Clone, Copy)]
pub struct Wanted<'a> {
    /// Where it is served, percent-encoded.
    pub url: &'a str,
    /// Its name below the target directory: the target's own.
    pub name: &'a str,
    /// Its length in bytes.
    pub length: u64,
    /// What its content is known by, such as its hashes: a download is resumed only from one of
    /// the same key.
    pub key: &'a str,
}

/// A target file in its place.
#[derive(Debug)]
#[non_exhaustive]
pub struct Downloaded<P> {
    /// What the check yielded for it.
    pub proof: P,
    /// Where it is.
    pub path: PathBuf,
    /// Whether the right file was there already and nothing was fetched.
    pub was_there: bool,
}

/// How a transfer begins.
#[derive(Debug)]
pub enum Begun<C: ImageCheck, N> {
    /// The right file was there already.
    There(Downloaded<C::Proof>),
    /// It has to be fetched.
    Missing(Transfer<C, N>),
}

/// What a transfer needs.
#[derive(Debug)]
pub enum Need<P> {
    /// A body that begins at the byte `from`, or at byte 0.
    Body {
        /// The offset in the file.
        from: u64,
    },
    /// Nothing: the file is proven, and in its place.
    Nothing(Downloaded<P>),
}

/// A target file on its way. Every method blocks on the disk and none on the network.
///
/// Ask [`Transfer::next`] and make the request that it wants; tell [`Transfer::opened`] what answers,
/// [`Transfer::take`] the bytes or let them be written into its [`Transfer::room`], and then [`Transfer::ended`] or [`Transfer::failed`]; ask again. A
/// transfer that is dropped keeps what arrived, and a later one goes on from there. One that ends in
/// an error goes to [`Transfer::abandon`].
#[derive(Debug)]
pub struct Transfer<C, N> {
    url: String,
    name: String,
    length: u64,
    partial: Partial,
    check: Option<C>,
    new_check: N,
    /// Bytes of an earlier run are in it: if they are refused, that is not this server's doing.
    inherited: bool,
    /// A body is being read.
    reading: bool,
    /// A body came to its end.
    ended: bool,
    effort: Effort,
}

impl<C: ImageCheck, N: FnMut() -> C> Transfer<C, N> {
    /// Looks whether the file is in `targets`, and otherwise goes on from what an earlier run has left
    /// in `partial_directory`. `new_check` makes a check that has seen nothing; it is called again
    /// whenever the file is started over.
    ///
    /// # Errors
    /// [`FilesError`]
    pub fn begin(
        wanted: &Wanted<'_>,
        targets: &TargetDir,
        partial_directory: &Path,
        mut new_check: N,
    ) -> Result<Begun<C, N>, FilesError> {
        let (name, length) = (wanted.name, wanted.length);
        if let Some(proof) = targets.existing(name, length, new_check())? {
            partial::discard(partial_directory, wanted.key)?;
            return Ok(Begun::There(Downloaded {
                proof,
                path: targets.path_of(name)?,
                was_there: true,
            }));
        }
        let mut partial = Partial::open(partial_directory, wanted.key)?;
        let mut check = new_check();
        if !partial.replay(length, &mut check)? {
            check = new_check();
        }
        Ok(Begun::Missing(Self {
            url: wanted.url.to_owned(),
            name: name.to_owned(),
            length,
            check: Some(check),
            new_check,
            inherited: partial.length() > 0,
            reading: false,
            ended: false,
            effort: Effort::resuming_at(partial.length()),
            partial,
        }))
    }

    /// Bytes of the file that are there.
    pub fn position(&self) -> u64 {
        self.partial.length()
    }

    /// What is needed now. With all bytes there it proves them and puts the file in its place.
    ///
    /// # Errors
    /// [`DownloadError::Refused`] if it is not the right file, or why it could not be placed.
    pub fn next(
        &mut self,
        targets: &TargetDir,
    ) -> Result<Need<C::Proof>, DownloadError<C::Refusal>> {
        // An interrupted run may have had all of it; only an empty file is asked for even so, as its
        // absence has to be noticed.
        let all_there = self.position() >= self.length && self.length > 0;
        if !self.ended && !all_there {
            return Ok(Need::Body {
                from: self.position(),
            });
        }
        let check = self.check.take().unwrap_or_else(&mut self.new_check);
        match check.finish() {
            Ok(proof) => self.place(targets, proof).map(Need::Nothing),
            Err(refusal) => {
                self.refused(refusal)?;
                Ok(Need::Body { from: 0 })
            }
        }
    }

    /// A body follows. `content_length` is what the server announces for it.
    ///
    /// # Errors
    /// [`FetchError::TooLarge`] if that is too much; [`FetchError::Protocol`] if the body begins
    /// elsewhere than asked for.
    pub fn opened(
        &mut self,
        starts_at: u64,
        content_length: Option<u64>,
    ) -> Result<(), DownloadError<C::Refusal>> {
        if starts_at != self.position() {
            if starts_at != 0 {
                let detail = format!(
                    "asked from byte {}, got it from {starts_at}",
                    self.position()
                );
                let url = self.url.clone();
                return Err(FetchError::Protocol { url, detail }.into());
            }
            self.clear()?;
            self.effort.starts_over();
        }
        if content_length.is_some_and(|n| n > self.length - self.position()) {
            return Err(self.too_large().into());
        }
        (self.reading, self.ended) = (true, false);
        Ok(())
    }

    /// Where the next bytes of the body go; never empty. So nobody has to copy them.
    pub fn room(&mut self) -> &mut [u8] {
        self.partial.room()
    }

    /// The first `n` bytes of [`Transfer::room`] came from the body. After [`ControlFlow::Break`] the
    /// rest of this body is of no use.
    ///
    /// # Errors
    /// [`DownloadError::Refused`] if they cannot be the right file's, [`FetchError::TooLarge`] if
    /// they are more than it has, or why they could not be kept.
    pub fn filled(&mut self, n: usize) -> Result<ControlFlow<()>, DownloadError<C::Refusal>> {
        if n as u64 > self.length - self.position() {
            return Err(self.too_large().into());
        }
        let check = self.check.get_or_insert_with(&mut self.new_check);
        let bytes = self.partial.room();
        let n = n.min(bytes.len());
        if let Err(refusal) = check.update(&bytes[..n]) {
            self.refused(refusal)?;
            return Ok(ControlFlow::Break(()));
        }
        self.partial.filled(n)?;
        self.effort.advanced(n as u64, self.partial.length());
        Ok(ControlFlow::Continue(()))
    }

    /// Takes the next bytes of the body, where they are somewhere else already.
    ///
    /// # Errors
    /// As [`Transfer::filled`].
    pub fn take(&mut self, mut bytes: &[u8]) -> Result<ControlFlow<()>, DownloadError<C::Refusal>> {
        if bytes.len() as u64 > self.length - self.position() {
            return Err(self.too_large().into());
        }
        while !bytes.is_empty() {
            let room = self.room();
            let (now, rest) = bytes.split_at(bytes.len().min(room.len()));
            room[..now.len()].copy_from_slice(now);
            if self.filled(now.len())?.is_break() {
                return Ok(ControlFlow::Break(()));
            }
            bytes = rest;
        }
        Ok(ControlFlow::Continue(()))
    }

    /// The body came to its end.
    pub fn ended(&mut self) {
        (self.reading, self.ended) = (false, true);
    }

    /// The request failed, or its body broke off. How long to wait before the next try.
    ///
    /// # Errors
    /// `error` if another try would not help.
    pub fn failed(&mut self, error: FetchError) -> Result<Duration, FetchError> {
        // Without an announced length the end is only known by its silence; a file that is complete
        // is never slow.
        if self.reading && self.position() == self.length {
            self.ended();
            return Ok(Duration::ZERO);
        }
        self.reading = false;
        self.effort.pause_after(error)
    }

    /// Gives it up after `error`. What arrived is kept if another run may go on from it.
    pub fn abandon(&mut self, error: DownloadError<C::Refusal>) -> DownloadError<C::Refusal> {
        let tidied = match &error {
            DownloadError::Fetch(FetchError::TooLarge { .. })
            | DownloadError::Files(_)
            | DownloadError::Refused(_) => self.partial.remove(),
            DownloadError::Fetch(_) => self.partial.keep(),
        };
        match tidied {
            Ok(()) => error,
            Err(files) => files.into(),
        }
    }

    /// The bad bytes may be those of the earlier run, from whoever served it: that must not stand in
    /// the way of an honest server now.
    fn refused(&mut self, refusal: C::Refusal) -> Result<(), DownloadError<C::Refusal>> {
        if !self.inherited {
            return Err(DownloadError::Refused(refusal));
        }
        self.clear()?;
        (self.reading, self.ended) = (false, false);
        self.effort = Effort::start();
        Ok(())
    }

    fn clear(&mut self) -> Result<(), FilesError> {
        self.partial.clear()?;
        self.inherited = false;
        self.check = Some((self.new_check)());
        Ok(())
    }

    fn place(
        &mut self,
        targets: &TargetDir,
        proof: C::Proof,
    ) -> Result<Downloaded<C::Proof>, DownloadError<C::Refusal>> {
        self.partial.sync()?;
        crash::point();
        let path = targets.place(self.partial.path(), &self.name)?;
        self.partial.remove()?;
        Ok(Downloaded {
            proof,
            path,
            was_there: false,
        })
    }

    fn too_large(&mut self) -> FetchError {
        self.reading = false;
        FetchError::TooLarge {
            url: self.url.clone(),
            limit: self.length,
        }
    }
}
