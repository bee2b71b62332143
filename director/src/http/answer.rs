//! Answers that every route gives in the same way.

use axum::Json;
use axum::extract::rejection::{BytesRejection, JsonRejection, PathRejection, QueryRejection};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use utoipa::ToSchema;

use crate::problem::{Kind, Problem};

/// What a refusal looks like.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Refusal {
    error: Reason,
}

#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Reason {
    /// Stable, for scripts
    #[schema(pattern = "^[a-z0-9-]+$", example = "not-found")]
    code: &'static str,
    /// For people: what is wrong and what to do
    message: String,
}

/// Seconds after which it may be worth asking again.
const LATER: &str = "5";

impl Kind {
    fn status(self) -> StatusCode {
        match self {
            Self::Wrong => StatusCode::BAD_REQUEST,
            Self::Unauthenticated => StatusCode::UNAUTHORIZED,
            Self::Forbidden => StatusCode::FORBIDDEN,
            Self::Missing => StatusCode::NOT_FOUND,
            Self::Conflict => StatusCode::CONFLICT,
            Self::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            Self::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
            Self::Internal => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }
}

/// A refusal with any status.
pub(super) fn refuse(
    status: StatusCode,
    code: &'static str,
    message: impl Into<String>,
) -> Response {
    let message = message.into();
    let error = Reason { code, message };
    (status, Json(Refusal { error })).into_response()
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let mut response = refuse(self.kind.status(), self.code, self.message);
        let headers = response.headers_mut();
        match self.kind {
            Kind::Unavailable => {
                headers.insert(header::RETRY_AFTER, header::HeaderValue::from_static(LATER));
            }
            Kind::Unauthenticated => {
                let scheme = header::HeaderValue::from_static("Bearer");
                headers.insert(header::WWW_AUTHENTICATE, scheme);
            }
            _ => {}
        }
        response
    }
}

/// No such path.
pub(super) async fn no_route() -> Response {
    refuse(
        StatusCode::NOT_FOUND,
        "not-found",
        "there is nothing under this path",
    )
}

/// Another method is meant.
pub(super) async fn no_method() -> Response {
    refuse(
        StatusCode::METHOD_NOT_ALLOWED,
        "method",
        "this path does not take that method",
    )
}

/// A body that was not taken.
fn of_body(status: StatusCode, why: String) -> Problem {
    match status {
        StatusCode::PAYLOAD_TOO_LARGE => Problem::new(
            Kind::TooLarge,
            "too-large",
            "the body is larger than is taken here",
        ),
        _ => Problem::bad_request(why),
    }
}

impl From<BytesRejection> for Problem {
    fn from(rejection: BytesRejection) -> Self {
        of_body(rejection.status(), rejection.body_text())
    }
}

impl From<JsonRejection> for Problem {
    fn from(rejection: JsonRejection) -> Self {
        of_body(rejection.status(), rejection.body_text())
    }
}

impl From<PathRejection> for Problem {
    fn from(rejection: PathRejection) -> Self {
        Self::bad_request(rejection.body_text())
    }
}

impl From<QueryRejection> for Problem {
    fn from(rejection: QueryRejection) -> Self {
        Self::bad_request(rejection.body_text())
    }
}
