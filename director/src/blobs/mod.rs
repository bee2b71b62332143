//! Images, in a directory or in an S3-compatible store.
//!
//! A blob is named by the SHA-256 of its bytes, and what is put under a name has to have it. So a blob never
//! changes: it is there whole or it is not there, and putting it twice is the same as putting it once.
//!
//! An upload that a crash cut off stays where nobody sees it. From a directory it is removed when it is
//! opened a day later; give a bucket a lifecycle rule for it (`AbortIncompleteMultipartUpload`).

mod error;
mod http;
mod name;
mod settings;
mod upload;

use std::error::Error;
use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;
use futures_util::stream::{self, BoxStream};
use futures_util::{Stream, StreamExt as _, TryStreamExt as _};
use object_store::path::Path;
use object_store::{GetOptions, ObjectStore, ObjectStoreExt as _};

pub use error::BlobError;
pub use name::BlobName;
pub use settings::{BlobSettings, Credentials};

use upload::Upload;

/// The bytes of a blob, as they come.
pub type BlobStream = BoxStream<'static, Result<Bytes, BlobError>>;

/// A place for images. Clones are the same place.
#[derive(Debug, Clone)]
pub struct Blobs {
    store: Arc<dyn ObjectStore>,
    folder: Path,
}

impl Blobs {
    /// Opens the place that the settings name. For S3 the credentials come from the environment, see
    /// [`Credentials::from_env`]. Nothing is asked of the store yet.
    ///
    /// # Errors
    /// [`BlobError::Settings`], [`BlobError::Directory`], [`BlobError::Credentials`]
    pub fn open(settings: &BlobSettings) -> Result<Self, BlobError> {
        settings::open(settings, Credentials::from_env)
    }

    /// The same with other credentials than those of the environment.
    ///
    /// # Errors
    /// [`BlobError::Settings`], [`BlobError::Directory`]
    pub fn open_with(
        settings: &BlobSettings,
        credentials: &Credentials,
    ) -> Result<Self, BlobError> {
        settings::open(settings, || Ok(credentials.clone()))
    }

    /// Puts bytes under their name and returns how many they were. When this returns, they are durable
    /// and visible; when it fails, or is dropped, nothing of them is visible. Holds
    /// 5 MiB and one chunk of the stream in memory.
    ///
    /// # Errors
    /// [`BlobError::OtherContent`], [`BlobError::Source`] if the stream fails, [`BlobError::Store`]
    pub async fn put<S, E>(&self, name: &BlobName, bytes: S) -> Result<u64, BlobError>
    where
        S: Stream<Item = Result<Bytes, E>> + Send,
        E: Into<Box<dyn Error + Send + Sync>>,
    {
        let mut upload = Upload::new(self.store.clone(), self.path(name));
        match upload.take_in(name, bytes).await {
            Ok(()) => upload.finish().await,
            Err(error) => {
                upload.abort().await;
                Err(error)
            }
        }
    }

    /// A part of a blob, from byte `range.start` to before byte `range.end`.
    ///
    /// # Errors
    /// [`BlobError::Missing`], [`BlobError::Range`], [`BlobError::Store`]; the stream may fail later.
    pub async fn get_range(
        &self,
        name: &BlobName,
        range: Range<u64>,
    ) -> Result<BlobStream, BlobError> {
        // Stores have no range that is empty.
        if range.is_empty() {
            let length = self.length(name).await?;
            return match range.start <= length {
                true => Ok(stream::empty().boxed()),
                false => Err(BlobError::Range {
                    asked: range,
                    length,
                }),
            };
        }
        let options = GetOptions {
            range: Some(range.clone().into()),
            ..GetOptions::default()
        };
        let found = match self.store.get_opts(&self.path(name), options).await {
            Ok(found) => found,
            Err(error @ object_store::Error::NotFound { .. }) => {
                return Err(BlobError::of(name, error));
            }
            // That a range begins after the end is said by every store in its own words.
            Err(error) => match self.length(name).await {
                Ok(length) if range.start >= length => {
                    return Err(BlobError::Range {
                        asked: range,
                        length,
                    });
                }
                _ => return Err(error.into()),
            },
        };
        // A range that begins before the end and ends after it is cut short by them.
        if found.range != range {
            return Err(BlobError::Range {
                asked: range,
                length: found.meta.size,
            });
        }
        Ok(found.into_stream().map_err(BlobError::from).boxed())
    }

    /// The number of bytes of a blob.
    ///
    /// # Errors
    /// [`BlobError::Missing`], [`BlobError::Store`]
    pub async fn length(&self, name: &BlobName) -> Result<u64, BlobError> {
        let found = self.store.head(&self.path(name)).await;
        Ok(found.map_err(|error| BlobError::of(name, error))?.size)
    }

    /// Whether there is such a blob.
    ///
    /// # Errors
    /// [`BlobError::Store`]
    pub async fn exists(&self, name: &BlobName) -> Result<bool, BlobError> {
        match self.length(name).await {
            Ok(_) => Ok(true),
            Err(BlobError::Missing(_)) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Deletes a blob. That it is not there is not an error.
    ///
    /// # Errors
    /// [`BlobError::Store`]
    pub async fn delete(&self, name: &BlobName) -> Result<(), BlobError> {
        match self.store.delete(&self.path(name)).await {
            Ok(()) | Err(object_store::Error::NotFound { .. }) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    fn path(&self, name: &BlobName) -> Path {
        self.folder.clone().join(name.as_str())
    }
}
