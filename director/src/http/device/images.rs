//! Images, whole or from where a download broke off.

use std::ops::Range;

use axum::body::Body;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse as _, Response};

use super::{Answer, Device, no_range, not_modified};
use crate::problem::Problem;
use crate::service::Service;

pub(super) async fn image(
    State(service): State<Service>,
    device: Device,
    Path(name): Path<String>,
    headers: HeaderMap,
) -> Answer {
    let offered = service.offered(&device.vin, &name).await?;
    let etag = format!("\"{}\"", offered.blob);
    let header = |name| headers.get(name).and_then(|value| value.to_str().ok());
    if header(header::IF_NONE_MATCH) == Some(&*etag) {
        return Ok(not_modified(&etag));
    }
    // A range of something else is worth nothing.
    let same = header(header::IF_RANGE).is_none_or(|known| known == etag);
    let asked = header(header::RANGE).filter(|_| same);
    let range = match asked.map(|asked| parse_range(asked, offered.length)) {
        None | Some(Asked::Everything) => None,
        Some(Asked::Part(range)) => Some(range),
        Some(Asked::Nothing) => return Ok(no_range(offered.length)),
    };
    let bytes = range.clone().unwrap_or(0..offered.length);
    let length = bytes.end - bytes.start;
    let stream = service.bytes_of(&offered, bytes).await?;
    let mut response = Response::builder()
        .header(header::CONTENT_TYPE, "application/octet-stream")
        .header(header::CONTENT_LENGTH, length)
        .header(header::ACCEPT_RANGES, "bytes")
        .header(
            header::CACHE_CONTROL,
            "private, max-age=31536000, immutable",
        )
        .header(header::ETAG, etag);
    if let Some(Range { start, end }) = range {
        let part = format!("bytes {start}-{}/{}", end - 1, offered.length);
        response = response
            .status(StatusCode::PARTIAL_CONTENT)
            .header(header::CONTENT_RANGE, part);
    }
    let response = response.body(Body::from_stream(stream));
    Ok(response
        .map_err(|error| Problem::unavailable(error.to_string()))?
        .into_response())
}

/// What a range comes to.
#[derive(Debug, PartialEq, Eq)]
enum Asked {
    Part(Range<u64>),
    /// No range that is understood here: the whole image is the answer (RFC 9110 14.2).
    Everything,
    /// A range that is not there.
    Nothing,
}

/// One range, of the image with this length.
fn parse_range(text: &str, length: u64) -> Asked {
    let range = text
        .strip_prefix("bytes=")
        .and_then(|range| range.split_once('-'));
    let Some((first, last)) = range else {
        return Asked::Everything;
    };
    let number = |text: &str| match text.bytes().all(|byte| byte.is_ascii_digit()) {
        true => text.parse::<u64>().ok(),
        false => None,
    };
    let (first, last) = match (first, last) {
        // The last so many bytes.
        ("", count) => match number(count) {
            Some(0) => return Asked::Nothing,
            Some(count) => (length.saturating_sub(count), length),
            None => return Asked::Everything,
        },
        (first, "") => match number(first) {
            Some(first) => (first, length),
            None => return Asked::Everything,
        },
        (first, last) => match (number(first), number(last)) {
            (Some(first), Some(last)) if first <= last => {
                (first, last.saturating_add(1).min(length))
            }
            _ => return Asked::Everything,
        },
    };
    match first < length {
        true => Asked::Part(first..last),
        false => Asked::Nothing,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_range_is_understood() {
        for (text, expected) in [
            ("bytes=0-", Asked::Part(0..10)),
            ("bytes=3-", Asked::Part(3..10)),
            ("bytes=3-5", Asked::Part(3..6)),
            ("bytes=3-99", Asked::Part(3..10)),
            ("bytes=-4", Asked::Part(6..10)),
            ("bytes=-40", Asked::Part(0..10)),
            ("bytes=10-", Asked::Nothing),
            ("bytes=-0", Asked::Nothing),
            ("bytes=5-3", Asked::Everything),
            ("bytes=1-2,4-5", Asked::Everything),
            ("bytes=+1-2", Asked::Everything),
            ("bytes=", Asked::Everything),
            ("bytes=-", Asked::Everything),
            ("lines=1-2", Asked::Everything),
            ("bytes=99999999999999999999-", Asked::Everything),
        ] {
            assert_eq!(parse_range(text, 10), expected, "{text}");
        }
        assert_eq!(parse_range("bytes=0-", 0), Asked::Nothing);
    }
}
