//! What is counted, for Prometheus.

use std::sync::OnceLock;
use std::time::Duration;

use metrics::{Unit, counter, describe_counter, describe_gauge, describe_histogram, gauge};
use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle};

/// The one recorder of this process; none where another one was there first.
static RECORDER: OnceLock<Option<PrometheusHandle>> = OnceLock::new();

/// Bounds of the histograms, in seconds: from an answer out of memory to one that is given up.
const SECONDS: [f64; 11] = [
    0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0, 5.0, 30.0,
];

/// How often samples are put into their buckets; they are kept one by one until then.
const UPKEEP: Duration = Duration::from_secs(5);

/// Starts counting. What happens before is not counted; a second call changes nothing.
pub fn install() {
    RECORDER.get_or_init(|| {
        let suffix = Matcher::Suffix("_seconds".into());
        let builder = PrometheusBuilder::new().set_buckets_for_metric(suffix, &SECONDS);
        let installed = builder.map(PrometheusBuilder::install_recorder);
        let handle = match installed {
            Ok(Ok(handle)) => handle,
            Ok(Err(error)) | Err(error) => {
                tracing::warn!(%error, "nothing is counted");
                return None;
            }
        };
        describe();
        let kept = handle.clone();
        let upkeep = std::thread::Builder::new().name("metrics".into());
        let upkeep = upkeep.spawn(move || {
            loop {
                std::thread::sleep(UPKEEP);
                kept.run_upkeep();
            }
        });
        if let Err(error) = upkeep {
            tracing::warn!(%error, "what is counted takes memory until it is asked for");
        }
        Some(handle)
    });
}

/// Whether counting has begun: what is looked up from now on can be kept.
pub(crate) fn are_counted() -> bool {
    RECORDER.get().is_some()
}

/// All that was counted, in Prometheus' text format.
pub fn text() -> String {
    let recorder = RECORDER.get().and_then(Option::as_ref);
    recorder.map(PrometheusHandle::render).unwrap_or_default()
}

/// A manifest was believed (`ok`), or dropped for the reason with this code.
pub(crate) fn manifest(code: &'static str) {
    counter!("director_manifests_total", "code" => code).increment(1);
}

/// A file of this role was signed and kept.
pub(crate) fn signed(role: &'static str) {
    counter!("director_files_signed_total", "role" => role).increment(1);
}

/// A connection was refused because there were too many: `all`, or of one `vehicle`.
pub(crate) fn connection_refused(bound: &'static str) {
    counter!("director_connections_refused_total", "bound" => bound).increment(1);
}

/// The Root ends in so many seconds.
pub(crate) fn root_ends_in(seconds: i64) {
    // Exact up to 2^53 seconds.
    gauge!("director_root_expires_in_seconds").set(seconds as f64);
}

fn describe() {
    describe_counter!(
        "director_http_requests_total",
        "Requests that were answered"
    );
    describe_histogram!(
        "director_http_request_seconds",
        Unit::Seconds,
        "Time until the head of an answer"
    );
    describe_counter!(
        "director_manifests_total",
        "Manifests by what became of them"
    );
    describe_counter!(
        "director_files_signed_total",
        "Metadata files that were signed and kept, by role"
    );
    describe_counter!(
        "director_connections_refused_total",
        "Connections beyond what there can be"
    );
    describe_gauge!(
        "director_root_expires_in_seconds",
        Unit::Seconds,
        "Time until the newest Root ends"
    );
}
