//! Requests, counted by what was asked and how it ended.

use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::{Duration, Instant};

use axum::Router;
use axum::extract::{MatchedPath, Request, State};
use axum::http::Method;
use axum::middleware::{Next, from_fn_with_state};
use axum::response::Response;
use metrics::{Counter, Histogram};

/// Counts what `router` answers, as the requests of `listener`.
pub(super) fn counted(listener: &'static str, router: Router) -> Router {
    let series = Arc::new(Series {
        listener,
        known: RwLock::default(),
    });
    router.layer(from_fn_with_state(series, count))
}

async fn count(State(series): State<Arc<Series>>, request: Request, next: Next) -> Response {
    let began = Instant::now();
    // The route and not the path: whoever asks must not make up series.
    let route = request.extensions().get::<MatchedPath>().cloned();
    let method = name_of(request.method());
    let response = next.run(request).await;
    let route = route.as_ref().map_or("none", MatchedPath::as_str);
    let end = (method, response.status().as_u16());
    series.add(route, end, began.elapsed());
    response
}

fn name_of(method: &Method) -> &'static str {
    match method.as_str() {
        "GET" => "GET",
        "HEAD" => "HEAD",
        "POST" => "POST",
        "PUT" => "PUT",
        "DELETE" => "DELETE",
        _ => "other",
    }
}

/// The method, and the status of the answer.
type End = (&'static str, u16);

/// Where the requests of a listener are counted. A series is looked up by its names once: that takes longer
/// than answering that nothing is new.
struct Series {
    listener: &'static str,
    /// By route; of each there are a few.
    known: RwLock<HashMap<String, Vec<(End, One)>>>,
}

struct One {
    requests: Counter,
    seconds: Histogram,
}

impl Series {
    fn add(&self, route: &str, end: End, took: Duration) {
        let known = self.known.read().unwrap_or_else(PoisonError::into_inner);
        let of_route = known.get(route).map(Vec::as_slice).unwrap_or_default();
        if let Some((_, one)) = of_route.iter().find(|(known, _)| *known == end) {
            return one.add(took);
        }
        drop(known);
        let one = self.look_up(route, end);
        one.add(took);
        // Before anybody counts, a series is one that nobody will see.
        if crate::metrics::are_counted() {
            let mut known = self.known.write().unwrap_or_else(PoisonError::into_inner);
            let of_route = known.entry(route.to_owned()).or_default();
            if of_route.iter().all(|(known, _)| *known != end) {
                of_route.push((end, one));
            }
        }
    }

    fn look_up(&self, route: &str, (method, status): End) -> One {
        let (listener, route) = (self.listener, route.to_owned());
        let requests = metrics::counter!(
            "director_http_requests_total", "listener" => listener, "method" => method,
            "route" => route.clone(), "status" => status.to_string(),
        );
        let seconds = metrics::histogram!(
            "director_http_request_seconds",
            "listener" => listener, "method" => method, "route" => route,
        );
        One { requests, seconds }
    }
}

impl One {
    fn add(&self, took: Duration) {
        self.requests.increment(1);
        self.seconds.record(took);
    }
}
