//! What a client is made of.

use std::ffi::c_char;
use std::path::Path;
use std::time::Duration;

use countersign_client::fetch::{
    HttpFetcher, Patience, TlsIdentity, TlsRoots, UrlFetcher, check_base_url,
};
use countersign_client::store::DirStore;
use countersign_verifier::{Code, Reject};

use super::fetcher::{AnyFetcher, countersign_fetcher};
use super::store::{AnyStore, countersign_store};
use crate::boundary::{given, optional_text, text};
use crate::context::countersign_limits;
use crate::handles::misuse;

/// How files are fetched where this library does it: over http, https and file URLs. All zero for the
/// defaults.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub struct countersign_http_options {
    /// A file with the certificates that a server has to show, in PEM; NULL for Mozilla's list.
    pub ca_file: *const c_char,
    /// A file with this device's certificate chain, in PEM; NULL for none.
    pub certificate_file: *const c_char,
    /// A file with the private key of that certificate, in PEM; NULL for none.
    pub private_key_file: *const c_char,
    /// Seconds that a server may be silent. Default 20.
    pub patience_s: u32,
    /// Bytes that have to arrive in each second, on average. Default 1024.
    pub min_rate: u32,
}

/// What a client is made of.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub struct countersign_client_options {
    /// sizeof(countersign_client_options): a later version of this library may have more members.
    pub size: usize,
    /// What the repository's metadata is below.
    pub metadata_url: *const c_char,
    /// The directory with the trusted metadata, or NULL where `store` is given. Nothing else is to be
    /// kept in it.
    pub metadata_dir: *const c_char,
    /// A store of your own, or NULL.
    pub store: *const countersign_store,
    /// A transport of your own, or NULL.
    pub fetcher: *const countersign_fetcher,
    /// How to fetch where `fetcher` is NULL.
    pub http: countersign_http_options,
    /// Seconds to wait for another process that uses the directory. Default 30.
    pub lock_patience_s: u32,
    /// The repository's name in refusals; NULL for none.
    pub repository: *const c_char,
    /// Bounds; all zero for the defaults.
    pub limits: countersign_limits,
}

impl countersign_client_options {
    pub(super) fn metadata_url(&self) -> Result<&str, Reject> {
        let url = text(self.metadata_url, "options->metadata_url")?;
        let checked = match self.fetcher.is_null() {
            true => UrlFetcher::check_base_url(url),
            false => check_base_url(url),
        };
        checked.map_err(|error| usage(format!("options->metadata_url: {error}")))?;
        Ok(url)
    }

    pub(super) fn fetcher(&self) -> Result<AnyFetcher, Reject> {
        match self.fetcher.is_null() {
            true => Ok(AnyFetcher::Url(Box::new(UrlFetcher::new(http(
                &self.http,
            )?)))),
            false => AnyFetcher::own(given(self.fetcher, "options->fetcher")?),
        }
    }

    pub(super) fn store(&self) -> Result<AnyStore, Reject> {
        let directory = optional_text(self.metadata_dir, "options->metadata_dir")?;
        match (directory, self.store.is_null()) {
            (Some(directory), true) => {
                let patience = match self.lock_patience_s {
                    0 => 30,
                    seconds => u64::from(seconds),
                };
                let opened = DirStore::open(Path::new(directory), Duration::from_secs(patience));
                opened
                    .map(AnyStore::Dir)
                    .map_err(|error| store_failed(&error))
            }
            (None, false) => AnyStore::own(given(self.store, "options->store")?),
            _ => Err(misuse("give either metadata_dir or store".into())),
        }
    }

    pub(super) fn repository(&self) -> Result<String, Reject> {
        let name = optional_text(self.repository, "options->repository")?;
        Ok(name.unwrap_or_default().to_owned())
    }
}

/// A fetcher over HTTP.
pub(crate) fn http(options: &countersign_http_options) -> Result<HttpFetcher, Reject> {
    let default = Patience::default();
    let patience = match options.patience_s {
        0 => default,
        seconds => {
            let window = Duration::from_secs(u64::from(seconds));
            Patience {
                connect: window.min(default.connect),
                response: window,
                window,
                min_bytes_per_window: 1024 * u64::from(seconds),
            }
        }
    };
    let patience = match options.min_rate {
        0 => patience,
        rate => Patience {
            min_bytes_per_window: u64::from(rate).saturating_mul(patience.window.as_secs()),
            ..patience
        },
    };
    let failed = |error: countersign_client::fetch::FetchError| usage(error.to_string());
    let roots = match optional_text(options.ca_file, "http.ca_file")? {
        Some(file) => TlsRoots::from_pem_file(Path::new(file)).map_err(failed)?,
        None => TlsRoots::mozilla(),
    };
    let certificate = optional_text(options.certificate_file, "http.certificate_file")?;
    let key = optional_text(options.private_key_file, "http.private_key_file")?;
    match (certificate, key) {
        (None, None) => Ok(HttpFetcher::new(patience, roots)),
        (Some(certificate), Some(key)) => {
            let identity = TlsIdentity::from_pem_files(Path::new(certificate), Path::new(key));
            Ok(HttpFetcher::with_identity(
                patience,
                roots,
                identity.map_err(failed)?,
            ))
        }
        _ => Err(misuse(
            "a certificate and its private key belong together".into(),
        )),
    }
}

/// A struct that begins with its size, which says of which version it is. There is one so far; a later
/// one takes this size too, and fills up with zeros.
pub(crate) fn sized<T: Copy>(pointer: *const T, name: &str) -> Result<T, Reject> {
    let size: usize = *given(pointer.cast::<usize>(), name)?;
    match size == size_of::<T>() {
        true => Ok(*given(pointer, name)?),
        false => {
            let detail = format!("{name}->size is {size}, and must be its sizeof");
            Err(misuse(detail))
        }
    }
}

pub(crate) fn usage(detail: String) -> Reject {
    Reject::new(Code::Usage, "", detail)
}

pub(crate) fn store_failed(error: &impl std::fmt::Display) -> Reject {
    Reject::new(Code::StoreFailed, "", error.to_string())
}
