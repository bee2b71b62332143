//! What every operation may answer instead, for the document.

use utoipa::IntoResponses;

use crate::http::answer::Refusal;

/// Whatever is asked.
#[derive(IntoResponses)]
#[allow(dead_code, reason = "only described, never made")]
pub(super) enum Any {
    /// `bad-request`: the request says something wrong, and will be wrong again
    #[response(status = 400)]
    Wrong(Refusal),
    /// `token`: there is no token, or it is not good
    #[response(status = 401)]
    Unauthenticated(Refusal),
    /// `scope`: the token is not good for that; `tenant`: not for that tenant
    #[response(status = 403)]
    Forbidden(Refusal),
    /// `timeout`: the request came too slowly
    #[response(status = 408)]
    Slow(Refusal),
    /// `rate`: too often; `Retry-After` says when
    #[response(status = 429)]
    TooOften(Refusal),
    /// `internal`: something here is broken
    #[response(status = 500)]
    Broken(Refusal),
    /// `unavailable`, `signing-unavailable`, `image-repository`: not now; `Retry-After` says when
    #[response(status = 503)]
    NotNow(Refusal),
}

/// What is about one thing.
#[derive(IntoResponses)]
#[allow(dead_code, reason = "only described, never made")]
pub(super) enum One {
    /// `vehicle-unknown`, `ecu-unknown`, `image-unknown`, `not-found`: there is no such thing, or it is
    /// another tenant's
    #[response(status = 404)]
    Missing(Refusal),
}

/// What has a body.
#[derive(IntoResponses)]
#[allow(dead_code, reason = "only described, never made")]
pub(super) enum Sent {
    /// `too-large`
    #[response(status = 413)]
    TooLarge(Refusal),
    /// `content-type`: another one is meant
    #[response(status = 415)]
    ContentType(Refusal),
}

/// What may contradict what is there.
#[derive(IntoResponses)]
#[allow(dead_code, reason = "only described, never made")]
pub(super) enum Against {
    /// It contradicts what is there; the code says what
    #[response(status = 409)]
    Conflict(Refusal),
}
