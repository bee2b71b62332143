//! What a caller can make this service do at most.

use std::time::Duration;

use axum::Router;
use axum::error_handling::HandleErrorLayer;
use axum::extract::DefaultBodyLimit;
use axum::http::StatusCode;
use axum::response::Response;
use tower::limit::GlobalConcurrencyLimitLayer;
use tower::load_shed::LoadShedLayer;
use tower::timeout::TimeoutLayer;
use tower::{BoxError, ServiceBuilder};

use super::answer::refuse;

/// Bounds for one listener.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Requests that are worked on at once; others are told to come later.
    pub concurrency: usize,
    /// How long the head of an answer may take. Bodies are bounded by the connection.
    pub answer: Duration,
    /// Requests per minute of one vehicle or token, on the average.
    pub per_minute: u32,
    /// How many of these may come at once.
    pub burst: u32,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            concurrency: 512,
            answer: Duration::from_secs(60),
            per_minute: 600,
            burst: 200,
        }
    }
}

/// Bytes of a body where a route does not say otherwise.
const BODY: usize = 1 << 20;

impl Limits {
    /// Bounds what can be asked of `router`.
    pub(super) fn around(&self, router: Router) -> Router {
        router.layer(
            ServiceBuilder::new()
                .layer(HandleErrorLayer::new(too_much))
                .layer(LoadShedLayer::new())
                .layer(GlobalConcurrencyLimitLayer::new(self.concurrency))
                .layer(TimeoutLayer::new(self.answer))
                .layer(DefaultBodyLimit::max(BODY)),
        )
    }
}

async fn too_much(error: BoxError) -> Response {
    match error.is::<tower::timeout::error::Elapsed>() {
        true => refuse(
            StatusCode::REQUEST_TIMEOUT,
            "timeout",
            "the request came too slowly",
        ),
        false => {
            let mut response = refuse(
                StatusCode::SERVICE_UNAVAILABLE,
                "unavailable",
                "the director has too much to do now; ask again later",
            );
            let later = axum::http::HeaderValue::from_static("1");
            response
                .headers_mut()
                .insert(axum::http::header::RETRY_AFTER, later);
            response
        }
    }
}
