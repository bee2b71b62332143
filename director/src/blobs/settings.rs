//! Where images are, and the way there.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use object_store::aws::AmazonS3Builder;
use object_store::local::LocalFileSystem;
use object_store::{RetryConfig, path};
use serde::Deserialize;
use url::Url;

use super::http::Connector;
use super::{BlobError, BlobName, Blobs};

/// Where images are.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BlobSettings {
    /// `file:///absolute/path` or `s3://bucket/prefix`.
    pub url: String,
    /// The endpoint of an S3-compatible store, `https://HOST[:PORT]`. Without it, that of AWS.
    #[serde(default)]
    pub endpoint: Option<String>,
    /// The region; `us-east-1` if there is none.
    #[serde(default)]
    pub region: Option<String>,
    /// Whether an endpoint may be `http`. Image bytes are checked by whoever installs them, but anybody on
    /// the way can read them.
    #[serde(default)]
    pub allow_http: bool,
    /// PEM certificates of the authorities that may vouch for the endpoint. Without it, Mozilla's.
    #[serde(default)]
    pub ca: Option<PathBuf>,
}

/// Who the Director is to S3.
#[derive(Clone)]
pub struct Credentials {
    key_id: String,
    secret: String,
    token: Option<String>,
}

/// A request to S3 is made again at most so often, within this time.
const RETRIES: RetryConfig = RetryConfig {
    backoff: object_store::BackoffConfig {
        init_backoff: Duration::from_millis(100),
        max_backoff: Duration::from_secs(5),
        base: 2.,
    },
    max_retries: 4,
    retry_timeout: Duration::from_secs(60),
};

/// The age at which a file that was begun and not finished is a crash's. No upload goes on for so long
/// without a byte.
const ABANDONED: Duration = Duration::from_secs(24 * 3600);

impl BlobSettings {
    /// Those of a place of which nothing else has to be said.
    pub fn at(url: &str) -> Self {
        Self {
            url: url.into(),
            endpoint: None,
            region: None,
            allow_http: false,
            ca: None,
        }
    }
}

impl Credentials {
    /// From `AWS_ACCESS_KEY_ID` and `AWS_SECRET_ACCESS_KEY`, and `AWS_SESSION_TOKEN` if it is there. Nothing
    /// else is looked at, and no metadata service is asked.
    ///
    /// # Errors
    /// [`BlobError::Credentials`]
    pub fn from_env() -> Result<Self, BlobError> {
        let look = |name| std::env::var(name).ok().filter(|value| !value.is_empty());
        let need = |name| look(name).ok_or(BlobError::Credentials(name));
        Ok(Self {
            key_id: need("AWS_ACCESS_KEY_ID")?,
            secret: need("AWS_SECRET_ACCESS_KEY")?,
            token: look("AWS_SESSION_TOKEN"),
        })
    }

    /// A long-lived key.
    pub fn new(key_id: &str, secret: &str) -> Self {
        Self {
            key_id: key_id.into(),
            secret: secret.into(),
            token: None,
        }
    }
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Credentials")
            .field("key_id", &self.key_id)
            .finish_non_exhaustive()
    }
}

pub(super) fn open(
    settings: &BlobSettings,
    credentials: impl FnOnce() -> Result<Credentials, BlobError>,
) -> Result<Blobs, BlobError> {
    let wrong = |what: &str| BlobError::Settings(format!("{}: {what}", settings.url));
    let url = Url::parse(&settings.url).map_err(|error| wrong(&error.to_string()))?;
    // A password in an address would be one in the configuration.
    if !url.username().is_empty() || url.password().is_some() || url.query().is_some() {
        return Err(BlobError::Settings(
            "the URL of the image store has no user, password or query".into(),
        ));
    }
    match url.scheme() {
        "file" => {
            let s3_only = settings.endpoint.is_some() || settings.region.is_some();
            if s3_only || settings.allow_http || settings.ca.is_some() {
                return Err(wrong("endpoint, region, allow_http and ca are for s3:"));
            }
            let path = url.to_file_path();
            directory(&path.map_err(|()| wrong("write file:///absolute/path"))?)
        }
        "s3" => bucket(settings, &url, &credentials()?),
        _ => Err(wrong("write file:///absolute/path or s3://bucket/prefix")),
    }
}

fn directory(path: &Path) -> Result<Blobs, BlobError> {
    let unusable = |source| BlobError::Directory {
        path: path.into(),
        source,
    };
    sweep(path).map_err(unusable)?;
    Ok(Blobs {
        // An image that was acknowledged survives a power cut.
        store: Arc::new(LocalFileSystem::new_with_prefix(path)?.with_fsync(true)),
        folder: path::Path::default(),
    })
}

/// Removes what crashes have left: files under the names that object_store gives to what is not
/// complete, `NAME#NUMBER`.
fn sweep(folder: &Path) -> std::io::Result<()> {
    for entry in std::fs::read_dir(folder)? {
        let entry = entry?;
        let file = entry.file_name();
        let parts = file.to_str().and_then(|file| file.split_once('#'));
        if parts.is_none_or(|(name, _)| BlobName::new(name).is_err()) {
            continue;
        }
        let age = SystemTime::now().duration_since(entry.metadata()?.modified()?);
        if age.is_ok_and(|age| age > ABANDONED) {
            std::fs::remove_file(entry.path())?;
        }
    }
    Ok(())
}

fn bucket(
    settings: &BlobSettings,
    url: &Url,
    credentials: &Credentials,
) -> Result<Blobs, BlobError> {
    let wrong = |what: &str| BlobError::Settings(format!("{}: {what}", settings.url));
    let name = url.host_str().ok_or_else(|| wrong("there is no bucket"))?;
    let folder =
        path::Path::from_url_path(url.path()).map_err(|error| wrong(&error.to_string()))?;
    let plain = |endpoint: &String| endpoint.starts_with("http:");
    if settings.endpoint.as_ref().is_some_and(plain) && !settings.allow_http {
        return Err(wrong("the endpoint is http; use https, or set allow_http"));
    }
    let mut builder = AmazonS3Builder::new()
        .with_bucket_name(name)
        .with_region(settings.region.as_deref().unwrap_or("us-east-1"))
        .with_access_key_id(&credentials.key_id)
        .with_secret_access_key(&credentials.secret)
        .with_allow_http(settings.allow_http)
        .with_retry(RETRIES)
        .with_http_connector(Connector::new(settings)?);
    if let Some(token) = &credentials.token {
        builder = builder.with_token(token);
    }
    if let Some(endpoint) = &settings.endpoint {
        builder = builder.with_endpoint(endpoint);
    }
    Ok(Blobs {
        store: Arc::new(builder.build()?),
        folder,
    })
}
