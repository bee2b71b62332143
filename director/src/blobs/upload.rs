//! Putting bytes that come as they come, without holding all of them.

use std::error::Error;
use std::pin::pin;
use std::sync::Arc;

use bytes::Bytes;
use futures_util::{Stream, StreamExt as _};
use object_store::path::Path;
use object_store::{MultipartUpload, ObjectStore, ObjectStoreExt as _};
use ring::digest::{Context, SHA256};
use tokio::runtime::Handle;

use super::{BlobError, BlobName};

/// Bytes that are sent at once: the least that S3 takes as a part. All parts but the last one have this
/// length, which some stores insist on. 10,000 parts (S3's bound) are 48.8 GiB.
pub(super) const PART: usize = 5 * 1024 * 1024;

/// One blob on its way. Dropped before its end, it takes back what it has sent.
pub(super) struct Upload {
    store: Arc<dyn ObjectStore>,
    path: Path,
    held: Vec<u8>,
    length: u64,
    /// Only for what is longer than one part.
    parts: Option<Box<dyn MultipartUpload>>,
}

impl Upload {
    pub(super) fn new(store: Arc<dyn ObjectStore>, path: Path) -> Self {
        Self {
            store,
            path,
            held: Vec::new(),
            length: 0,
            parts: None,
        }
    }

    /// Takes all of the bytes and sends all but the last part of them.
    pub(super) async fn take_in<S, E>(&mut self, name: &BlobName, bytes: S) -> Result<(), BlobError>
    where
        S: Stream<Item = Result<Bytes, E>> + Send,
        E: Into<Box<dyn Error + Send + Sync>>,
    {
        let mut bytes = pin!(bytes);
        let mut digest = Context::new(&SHA256);
        while let Some(chunk) = bytes.next().await {
            let mut chunk = chunk.map_err(|error| BlobError::Source(error.into()))?;
            digest.update(&chunk);
            self.length += chunk.len() as u64;
            while !chunk.is_empty() {
                // Sent when more is there, so that the last part is never empty.
                if self.held.len() == PART {
                    self.send_part().await?;
                }
                let room = PART - self.held.len();
                // Copied, because a thousand small chunks cost more than their bytes.
                self.held
                    .extend_from_slice(&chunk.split_to(room.min(chunk.len())));
            }
        }
        let found = BlobName::of_digest(digest.finish().as_ref());
        match found == *name {
            true => Ok(()),
            false => Err(BlobError::OtherContent {
                name: name.clone(),
                found,
            }),
        }
    }

    /// Sends the rest and makes the blob visible.
    pub(super) async fn finish(mut self) -> Result<u64, BlobError> {
        if self.parts.is_none() {
            let held = std::mem::take(&mut self.held);
            self.store.put(&self.path, held.into()).await?;
            return Ok(self.length);
        }
        let done = match self.send_part().await {
            Ok(()) => self.complete().await,
            Err(error) => Err(error),
        };
        if done.is_err() {
            self.abort().await;
        }
        done.map(|()| self.length)
    }

    /// Takes back what was sent. That this fails is not worth an error of its own: what is left is
    /// invisible, and goes with the sweep of a directory or a bucket's lifecycle rule.
    pub(super) async fn abort(&mut self) {
        if let Some(mut parts) = self.parts.take() {
            let _ = parts.abort().await;
        }
    }

    async fn send_part(&mut self) -> Result<(), BlobError> {
        if self.parts.is_none() {
            self.parts = Some(self.store.put_multipart(&self.path).await?);
        }
        if let Some(parts) = &mut self.parts {
            let held = std::mem::take(&mut self.held);
            parts.put_part(held.into()).await?;
        }
        Ok(())
    }

    async fn complete(&mut self) -> Result<(), BlobError> {
        if let Some(parts) = &mut self.parts {
            parts.complete().await?;
        }
        self.parts = None;
        Ok(())
    }
}

impl Drop for Upload {
    fn drop(&mut self) {
        if let (Some(mut parts), Ok(runtime)) = (self.parts.take(), Handle::try_current()) {
            runtime.spawn(async move { parts.abort().await });
        }
    }
}
