//! The Director's service over HTTP: the two calls besides fetching files.

use countersign_metadata::uptane::Nonce;
use serde_json::json;

use super::DirectorLink;
use crate::client::with_slash;
use crate::fetch::{FetchError, HttpFetcher, Method, UrlFetcher};

/// Bytes of an answer that are read: 256 serials or nonces, with signatures, stay below it.
pub const MAX_ANSWER: u64 = 64 * 1024;

/// A Director that is asked below its base URL, as it stands in a mapping file. Who asks is known by
/// the client certificate of `http`: see [`HttpFetcher::with_identity`].
#[derive(Debug)]
pub struct HttpDirector {
    http: HttpFetcher,
    base_url: String,
}

impl HttpDirector {
    /// The Director at `base_url`, as `https://director.example.com/v1/`.
    ///
    /// # Errors
    /// [`FetchError::BadUrl`], [`FetchError::UnsupportedScheme`]
    pub fn new(http: HttpFetcher, base_url: &str) -> Result<Self, FetchError> {
        UrlFetcher::check_base_url(base_url)?;
        let base_url = with_slash(base_url);
        Ok(Self { http, base_url })
    }

    fn ask(&mut self, method: Method, name: &str, json: &[u8]) -> Result<Vec<u8>, FetchError> {
        let url = format!("{}{name}", self.base_url);
        let answer = self.http.exchange((method, &url), json, MAX_ANSWER)?;
        match answer.status {
            200 => Ok(answer.body),
            // Not done yet, or nothing to say: neither is a promise to have it.
            status => Err(FetchError::Status { url, status }),
        }
    }
}

impl DirectorLink for HttpDirector {
    fn put_manifest(&mut self, manifest: &[u8]) -> Result<(), FetchError> {
        self.ask(Method::Put, "manifest", manifest).map(drop)
    }

    fn attest(&mut self, nonces: &[Nonce]) -> Result<Option<Vec<u8>>, FetchError> {
        let nonces: Vec<String> = nonces.iter().map(Nonce::to_string).collect();
        let question = json!({ "nonces": nonces }).to_string();
        self.ask(Method::Post, "time", question.as_bytes())
            .map(Some)
    }
}
