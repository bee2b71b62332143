//! Images on their way in. They are large, and take as long as they keep coming.

use std::io;
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::error_handling::HandleErrorLayer;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::{IntoResponse as _, Response};
use axum::{BoxError, Json, Router};
use futures_util::{Stream, StreamExt as _, stream};
use serde::{Deserialize, Serialize};
use tower::ServiceBuilder;
use tower::limit::GlobalConcurrencyLimitLayer;
use tower::load_shed::LoadShedLayer;
use utoipa::{IntoParams, ToSchema};

use super::Shared;
use super::caller::{Caller, Images};
use super::extract::{Asked, is_type, other_type};
use super::images::Image;
use super::refusals;
use super::words::Path;
use crate::problem::Problem;
use crate::service::Encrypt;

/// Uploads at once; each has a thread and a file of its own.
const AT_ONCE: usize = 16;

/// How long nothing may come of an upload that has begun.
const PATIENCE: Duration = Duration::from_secs(30);

const OCTETS: &str = "application/octet-stream";

#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct Which {
    /// What the Image repository calls it
    #[param(inline)]
    path: Path,
    /// Whether it is encrypted
    #[serde(default)]
    #[param(inline)]
    encrypt: Option<Encryption>,
}

/// Whether an image is encrypted when it is uploaded
#[derive(Debug, Clone, Copy, Default, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Encryption {
    /// If the Image repository says that it is confidential
    #[default]
    IfConfidential,
    /// In any case
    Always,
}

/// Bounds uploads, which have no time of their own.
pub(super) fn within_bounds(router: Router) -> Router {
    router.layer(
        ServiceBuilder::new()
            .layer(HandleErrorLayer::new(too_many))
            .layer(LoadShedLayer::new())
            .layer(GlobalConcurrencyLimitLayer::new(AT_ONCE)),
    )
}

async fn too_many(_: BoxError) -> Response {
    Problem::unavailable("too many images are being uploaded; send it again later").into_response()
}

/// Store the bytes of an image
///
/// If they are those that the Image repository lists. A confidential one is encrypted on its way and is
/// nowhere in plain. The same bytes can be sent again.
#[utoipa::path(
    put, path = "/v1/images/content", tag = "images", operation_id = "uploadImage",
    params(Which), security(("token" = ["images"])),
    request_body(content = Vec<u8>, content_type = "application/octet-stream"),
    responses(
        (status = 200, description = "Vehicles can fetch it here", body = Image),
        refusals::Any, refusals::One, refusals::Sent, refusals::Against,
    ),
)]
pub(super) async fn upload(
    caller: Caller<Images>,
    State(api): State<Shared>,
    Asked(which): Asked<Which>,
    headers: HeaderMap,
    body: Body,
) -> Result<Json<Image>, Response> {
    if !is_type(&headers, OCTETS) {
        return Err(other_type(OCTETS));
    }
    let encrypt = match which.encrypt.unwrap_or_default() {
        Encryption::IfConfidential => Encrypt::IfConfidential,
        Encryption::Always => Encrypt::Always,
    };
    let bytes = Box::pin(steady(body.into_data_stream(), PATIENCE));
    let service = &api.service;
    let actor = caller.actor();
    let image = service.upload(&which.path.0, encrypt, bytes, &actor).await;
    let image = image.map_err(|problem| problem.into_response())?;
    Ok(Json(Image::of(&image)))
}

/// The same bytes, or an error where none come for too long.
fn steady<S, E>(body: S, patience: Duration) -> impl Stream<Item = io::Result<Bytes>> + Send
where
    S: Stream<Item = Result<Bytes, E>> + Send + Unpin,
    E: Into<BoxError> + Send,
{
    stream::unfold(Some(body), move |body| async move {
        let mut body = body?;
        match tokio::time::timeout(patience, body.next()).await {
            Ok(Some(Ok(bytes))) => Some((Ok(bytes), Some(body))),
            Ok(Some(Err(error))) => Some((Err(io::Error::other(error)), None)),
            Ok(None) => None,
            Err(_) => {
                let message = format!("nothing came for {} seconds", patience.as_secs());
                Some((Err(io::Error::new(io::ErrorKind::TimedOut, message)), None))
            }
        }
    })
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use super::*;

    #[tokio::test]
    async fn an_upload_that_stops_coming_is_given_up_and_a_slow_one_is_not() {
        let slow = stream::unfold(0, async |sent| {
            tokio::time::sleep(Duration::from_millis(50)).await;
            (sent < 20).then_some((Ok::<_, Infallible>(Bytes::from_static(b"x")), sent + 1))
        });
        let came = steady(Box::pin(slow), Duration::from_millis(800))
            .collect::<Vec<_>>()
            .await;
        assert_eq!(came.len(), 20);
        assert!(came.iter().all(Result::is_ok));

        let begun = stream::once(std::future::ready(Ok::<_, Infallible>(Bytes::from_static(
            b"x",
        ))));
        let came = steady(begun.chain(stream::pending()), Duration::from_millis(50))
            .collect::<Vec<_>>()
            .await;
        assert_eq!(came.len(), 2);
        let error = came[1].as_ref().unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
    }
}
