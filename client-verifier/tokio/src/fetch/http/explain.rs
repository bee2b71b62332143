//! What went wrong, from what the HTTP library says.

use std::error::Error;
use std::io;

use countersign_client::fetch::FetchError;

pub(super) fn explain(url: &str, error: &hyper::Error) -> FetchError {
    let url = url.to_owned();
    if error.is_parse() {
        let detail = whole_text(error);
        return FetchError::Protocol { url, detail };
    }
    classify(url, error)
}

pub(super) fn explain_io(url: &str, error: &io::Error) -> FetchError {
    classify(url.to_owned(), error)
}

fn classify(url: String, error: &(dyn Error + 'static)) -> FetchError {
    let detail = whole_text(error);
    let causes = || causes(error);
    if causes().any(|cause| cause.is::<rustls::Error>()) {
        return FetchError::Tls { url, detail };
    }
    let malformed = |cause: &(dyn Error + 'static)| {
        let kind = cause.downcast_ref::<io::Error>().map(io::Error::kind);
        matches!(
            kind,
            Some(io::ErrorKind::InvalidData | io::ErrorKind::InvalidInput)
        )
    };
    match causes().any(malformed) {
        true => FetchError::Protocol { url, detail },
        false => FetchError::Disconnected { url, detail },
    }
}

/// `error` and what is behind it.
fn causes<'e>(error: &'e (dyn Error + 'static)) -> impl Iterator<Item = &'e (dyn Error + 'static)> {
    std::iter::successors(Some(error), |error| cause(*error))
}

/// An [`io::Error`] keeps to itself what it wraps, unless it is asked.
fn cause<'e>(error: &'e (dyn Error + 'static)) -> Option<&'e (dyn Error + 'static)> {
    let wrapped = error.downcast_ref::<io::Error>();
    match wrapped.and_then(io::Error::get_ref) {
        Some(wrapped) => Some(wrapped),
        None => error.source(),
    }
}

/// Its text with those of its causes, each once.
fn whole_text(error: &(dyn Error + 'static)) -> String {
    let mut text = String::new();
    for cause in causes(error).map(ToString::to_string) {
        if text.is_empty() {
            text = cause;
        } else if !text.contains(&cause) {
            text = format!("{text}: {cause}");
        }
    }
    text
}
