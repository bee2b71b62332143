//! Requests, counted by what was asked and how it ended.

use std::time::Instant;

use axum::Router;
use axum::extract::{MatchedPath, Request};
use axum::middleware::{Next, from_fn};
use axum::response::Response;

/// Counts what `router` answers, as the requests of `listener`.
pub(super) fn counted(listener: &'static str, router: Router) -> Router {
    router.layer(from_fn(move |request, next| count(listener, request, next)))
}

async fn count(listener: &'static str, request: Request, next: Next) -> Response {
    let began = Instant::now();
    // The route and not the path: whoever asks must not make up series.
    let route = request.extensions().get::<MatchedPath>();
    let route = route.map_or("none", MatchedPath::as_str).to_owned();
    let method = match request.method().as_str() {
        "GET" => "GET",
        "HEAD" => "HEAD",
        "POST" => "POST",
        "PUT" => "PUT",
        "DELETE" => "DELETE",
        _ => "other",
    };
    let response = next.run(request).await;
    let status = response.status().as_u16().to_string();
    metrics::counter!(
        "director_http_requests_total",
        "listener" => listener, "method" => method, "route" => route.clone(), "status" => status,
    )
    .increment(1);
    metrics::histogram!(
        "director_http_request_seconds",
        "listener" => listener, "method" => method, "route" => route,
    )
    .record(began.elapsed());
    response
}
