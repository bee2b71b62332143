//! What the Image repository has listed, and where its bytes are.

use countersign_director_domain::catalogue::CatalogueImage;
use countersign_encryption::FileInfo;
use countersign_metadata::json::{Object, Value};
use countersign_metadata::uptane::WrappedKey;
use countersign_metadata::{Hashes, MetadataError, TargetFile, TargetPath};
use sqlx::any::AnyRow;
use sqlx::{AnyConnection, Row as _};

use super::audit::{Record, append};
use super::vehicles::text_of;
use super::{Database, StorageError, number, value_of};

/// An image as the Image repository lists it, and as it is stored here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredImage {
    /// Its path.
    pub path: TargetPath,
    /// What the Image repository says of it.
    pub image: CatalogueImage,
    /// The name of what is stored: SHA-256 of the plaintext, or of the ciphertext.
    pub blob: Option<String>,
    /// How it was encrypted, if it was.
    pub encrypted: Option<StoredEncryption>,
}

/// An image that was encrypted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredEncryption {
    /// The content key, wrapped to the Director's own key.
    pub content_key: WrappedKey,
    /// Length and hashes.
    pub ciphertext: FileInfo,
}

impl StoredImage {
    /// SHA-256 of the plaintext, in hexadecimal: what tells the contents of a path apart.
    ///
    /// # Errors
    /// [`StorageError::NoSha256`]
    pub fn digest(&self) -> Result<String, StorageError> {
        let digest = self.image.file.hashes.sha256;
        let digest = digest.ok_or_else(|| StorageError::NoSha256(self.path.clone()))?;
        Ok(hex::encode(digest))
    }
}

impl Database {
    /// Takes an image in, as what its path has from now on. How it is stored stays as it is if
    /// `image` says nothing of it.
    ///
    /// # Errors
    /// [`StorageError`]
    pub async fn put_image(
        &self,
        image: &StoredImage,
        records: &[Record],
    ) -> Result<(), StorageError> {
        let mut transaction = self.begin().await?;
        put(&mut transaction, image).await?;
        append(&mut transaction, records).await?;
        Ok(transaction.commit().await?)
    }

    /// All contents that these paths have had, the newest of each path last.
    ///
    /// # Errors
    /// [`StorageError`]
    pub async fn images_at(
        &self,
        paths: impl IntoIterator<Item = &TargetPath>,
    ) -> Result<Vec<StoredImage>, StorageError> {
        let mut images = Vec::new();
        for path in paths {
            let rows = sqlx::query("SELECT * FROM images WHERE path = $1 ORDER BY listed")
                .bind(path.as_str())
                .fetch_all(&self.pool)
                .await?;
            for row in &rows {
                images.push(image(row)?);
            }
        }
        Ok(images)
    }

    /// What each path has now, in the order of the paths, after the path `after`.
    ///
    /// # Errors
    /// [`StorageError`]
    pub async fn images(&self, after: &str, most: u32) -> Result<Vec<StoredImage>, StorageError> {
        let rows = sqlx::query(
            "SELECT * FROM images WHERE path > $1 AND listed = \
             (SELECT MAX(listed) FROM images AS others WHERE others.path = images.path) \
             ORDER BY path LIMIT $2",
        )
        .bind(after)
        .bind(i64::from(most))
        .fetch_all(&self.pool)
        .await?;
        rows.iter().map(image).collect()
    }
}

async fn put(connection: &mut AnyConnection, image: &StoredImage) -> Result<(), StorageError> {
    let newest = sqlx::query("SELECT COALESCE(MAX(listed), 0) AS listed FROM images")
        .fetch_one(&mut *connection)
        .await?;
    let encrypted = image.encrypted.as_ref();
    sqlx::query(
        "INSERT INTO images (path, sha256, entry, listed, blob_name, content_key, ciphertext) \
         VALUES ($1, $2, $3, $4, $5, $6, $7) \
         ON CONFLICT (path, sha256) DO UPDATE SET entry = excluded.entry, \
         listed = excluded.listed, \
         blob_name = COALESCE(excluded.blob_name, images.blob_name), \
         content_key = COALESCE(excluded.content_key, images.content_key), \
         ciphertext = COALESCE(excluded.ciphertext, images.ciphertext)",
    )
    .bind(image.path.as_str())
    .bind(image.digest()?)
    .bind(text_of(&image.image.entry().to_value()))
    .bind(i64::try_from(number(&newest, "listed")?).unwrap_or(i64::MAX) + 1)
    .bind(image.blob.as_deref())
    .bind(encrypted.map(|encrypted| text_of(&encrypted.content_key.to_value())))
    .bind(encrypted.map(|encrypted| text_of(&info(&encrypted.ciphertext))))
    .execute(connection)
    .await?;
    Ok(())
}

fn image(row: &AnyRow) -> Result<StoredImage, StorageError> {
    let text = |name: &str| row.try_get::<String, _>(name);
    let path = TargetPath::new(&text("path")?);
    let key: Option<String> = row.try_get("content_key")?;
    let ciphertext: Option<String> = row.try_get("ciphertext")?;
    let encrypted = match key.zip(ciphertext) {
        Some((key, ciphertext)) => Some(StoredEncryption {
            content_key: WrappedKey::of(&value_of(&key)?)?,
            ciphertext: info_of(&value_of(&ciphertext)?)?,
        }),
        None => None,
    };
    Ok(StoredImage {
        path: path.map_err(|error| StorageError::Unreadable(error.to_string()))?,
        image: CatalogueImage::of(&TargetFile::of(&value_of(&text("entry")?)?)?)?,
        blob: row.try_get("blob_name")?,
        encrypted,
    })
}

fn info(info: &FileInfo) -> Value {
    let members = [
        ("length".to_owned(), info.length.into()),
        ("hashes".to_owned(), info.hashes.to_value()),
    ];
    Object::from_iter(members).into()
}

fn info_of(value: &Value) -> Result<FileInfo, MetadataError> {
    let TargetFile { length, hashes, .. } = TargetFile::of(value)?;
    Ok(FileInfo {
        length,
        hashes: Hashes { ..hashes },
    })
}
