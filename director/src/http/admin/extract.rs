//! Parts of a request, read with the refusals of this API.

use axum::Json;
use axum::extract::rejection::JsonRejection;
use axum::extract::{FromRequest, FromRequestParts, Path, Query, Request};
use axum::http::header::CONTENT_TYPE;
use axum::http::request::Parts;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse as _, Response};
use serde::de::DeserializeOwned;

use crate::http::answer::refuse;
use crate::problem::Problem;

/// What the path names.
pub(super) struct At<T>(pub(super) T);

impl<T: DeserializeOwned + Send, S: Send + Sync> FromRequestParts<S> for At<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let Path(named) = Path::from_request_parts(parts, state).await?;
        Ok(Self(named))
    }
}

/// What the query asks.
pub(super) struct Asked<T>(pub(super) T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequestParts<S> for Asked<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let Query(asked) = Query::from_request_parts(parts, state).await?;
        Ok(Self(asked))
    }
}

/// A body in JSON.
pub(super) struct Sent<T>(pub(super) T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequest<S> for Sent<T> {
    type Rejection = Response;

    async fn from_request(request: Request, state: &S) -> Result<Self, Response> {
        match Json::from_request(request, state).await {
            Ok(Json(sent)) => Ok(Self(sent)),
            Err(JsonRejection::MissingJsonContentType(_)) => Err(other_type("application/json")),
            Err(rejection) => Err(Problem::from(rejection).into_response()),
        }
    }
}

/// Whether the body is said to be of this type, with whatever parameters.
pub(super) fn is_type(headers: &HeaderMap, meant: &str) -> bool {
    let found = headers
        .get(CONTENT_TYPE)
        .and_then(|found| found.to_str().ok());
    let found = found.and_then(|found| found.split(';').next());
    found.is_some_and(|found| found.trim().eq_ignore_ascii_case(meant))
}

/// Another content type is meant.
pub(super) fn other_type(meant: &str) -> Response {
    let message = format!("send it as {meant}, and say so in Content-Type");
    refuse(StatusCode::UNSUPPORTED_MEDIA_TYPE, "content-type", message)
}
