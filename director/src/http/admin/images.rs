//! The catalogue: images that the Image repository lists, and that can be assigned.

use axum::Json;
use axum::extract::State;
use countersign_metadata::uptane::Confidentiality;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::Shared;
use super::caller::{Caller, Images, Read};
use super::extract::{Asked, Sent};
use super::refusals;
use super::view::{next, page};
use super::words::Path;
use crate::problem::Problem;
use crate::service::ImageView;

#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct Which {
    /// Those after this one
    #[param(inline)]
    after: Option<Path>,
    /// How many at most
    #[param(minimum = 1, maximum = 1000, default = 100)]
    limit: Option<u32>,
}

/// Images, in the order of their paths
#[derive(Serialize, ToSchema)]
pub(super) struct ImageList {
    images: Vec<Image>,
    /// `after` of the next page
    #[serde(skip_serializing_if = "Option::is_none")]
    next: Option<Path>,
}

/// An image
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct Image {
    path: Path,
    /// In bytes
    length: u64,
    /// In hexadecimal
    #[serde(skip_serializing_if = "Option::is_none")]
    sha256: Option<String>,
    /// The hardware that it runs on
    hardware_ids: Vec<String>,
    /// No ECU goes from a higher one to a lower one
    release_counter: u64,
    /// For people
    #[serde(skip_serializing_if = "Option::is_none")]
    version: Option<String>,
    /// What kind of software it is
    #[serde(skip_serializing_if = "Option::is_none")]
    class: Option<String>,
    /// Whether it must not travel in plain
    confidential: bool,
    /// Whether its bytes are here
    stored: bool,
    /// Whether they are encrypted
    encrypted: bool,
}

/// An image that is to be known
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct NewImage {
    path: Path,
}

/// Images that can be assigned
#[utoipa::path(
    get, path = "/v1/images", tag = "images", operation_id = "listImages",
    params(Which), security(("token" = ["read"])),
    responses((status = 200, description = "What was found", body = ImageList), refusals::Any),
)]
pub(super) async fn list(
    _caller: Caller<Read>,
    State(api): State<Shared>,
    Asked(which): Asked<Which>,
) -> Result<Json<ImageList>, Problem> {
    let most = page(which.limit)?;
    let after = which
        .after
        .map(|after| after.to_string())
        .unwrap_or_default();
    let images = api.service.database().images(&after, most).await?;
    let next = next(&images, most, |image| Path(image.path.clone()));
    let images = images.iter().map(Image::of).collect();
    Ok(Json(ImageList { images, next }))
}

/// Take in what the Image repository says of an image
///
/// Its bytes stay where they are: vehicles fetch them from the Image repository.
#[utoipa::path(
    post, path = "/v1/images", tag = "images", operation_id = "addImage",
    request_body = NewImage, security(("token" = ["images"])),
    responses(
        (status = 200, description = "It can be assigned", body = Image),
        refusals::Any, refusals::One, refusals::Sent, refusals::Against,
    ),
)]
pub(super) async fn add(
    caller: Caller<Images>,
    State(api): State<Shared>,
    Sent(new): Sent<NewImage>,
) -> Result<Json<Image>, Problem> {
    let service = &api.service;
    let image = service.list_image(&new.path.0, &caller.actor()).await?;
    Ok(Json(Image::of(&image)))
}

impl Image {
    pub(super) fn of(view: &ImageView) -> Self {
        let (file, custom) = (&view.image.file, &view.image.custom);
        let hardware = custom.hardware_ids.iter();
        Self {
            path: Path(view.path.clone()),
            length: file.length,
            sha256: file.hashes.sha256.map(hex::encode),
            hardware_ids: hardware.map(ToString::to_string).collect(),
            release_counter: custom.release_counter,
            version: custom.version.clone(),
            class: custom.class.clone(),
            confidential: custom.confidentiality == Confidentiality::Required,
            stored: view.blob.is_some(),
            encrypted: view.encrypted.is_some(),
        }
    }
}
