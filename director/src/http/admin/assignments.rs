//! What is to be installed where, and what is not after all.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use axum::Json;
use axum::extract::State;
use countersign_director_domain::MAX_ECUS;
use serde::de::{Error as _, MapAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize};
use utoipa::openapi::schema::{ObjectBuilder, Type};
use utoipa::openapi::{RefOr, Schema};
use utoipa::{PartialSchema, ToSchema};

use super::Shared;
use super::caller::{Assign, Caller};
use super::extract::{At, Sent};
use super::refusals;
use super::words::{Path, Serial, VinText};
use crate::problem::Problem;
use crate::service::{Assignment, Part, PartOutcome};

/// Images that are to be installed
#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct WantedImages {
    #[schema(inline)]
    images: ByEcu,
    #[serde(default)]
    #[schema(inline)]
    policy: Policy,
    /// Whether other ECUs may be given images that these depend on
    #[serde(default)]
    add_dependencies: bool,
}

/// Whether the images belong together
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Policy {
    /// All of them are installed or none
    #[default]
    AllOrNothing,
    /// Each that can be
    BestEffort,
}

/// The image for each ECU
pub(super) struct ByEcu(BTreeMap<Serial, Path>);

/// What has become of an assignment
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct Assigned {
    /// Its name
    id: String,
    parts: Vec<AssignedPart>,
}

/// What has become of one image
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct AssignedPart {
    ecu: String,
    image: Path,
    outcome: Outcome,
    /// Why it is refused
    #[serde(skip_serializing_if = "Option::is_none")]
    refusal: Option<PartRefusal>,
}

/// What has become of one image
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Outcome {
    /// The vehicle is told from now on
    Ordered,
    /// It was not asked for, and the others depend on it
    Added,
    /// The vehicle was told before
    AlreadyOrdered,
    /// The ECU says that it runs it
    AlreadyInstalled,
    /// It cannot be
    Refused,
}

/// Why an image is refused
#[derive(Serialize, ToSchema)]
pub(super) struct PartRefusal {
    /// Stable, for scripts
    code: &'static str,
    /// For people
    message: String,
}

/// Orders that are to be taken back
#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct UnwantedImages {
    /// The ECUs; all if it is left out
    #[schema(inline, min_items = 1, max_items = 256)]
    ecus: Option<BTreeSet<Serial>>,
}

/// Orders that were taken back
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct Cancelled {
    /// Serials of their ECUs
    cancelled: Vec<String>,
}

/// Have images installed
///
/// What runs already or was ordered before is not ordered again, so the same request can be sent twice.
#[utoipa::path(
    post, path = "/v1/vehicles/{vin}/assignments", tag = "assignments",
    operation_id = "assignImages",
    params(("vin" = inline(VinText), Path)), request_body = WantedImages,
    security(("token" = ["assign"])),
    responses(
        (status = 200, description = "What has become of each image", body = Assigned),
        refusals::Any, refusals::One, refusals::Sent, refusals::Against,
    ),
)]
pub(super) async fn assign(
    caller: Caller<Assign>,
    State(api): State<Shared>,
    At(VinText(vin)): At<VinText>,
    Sent(wanted): Sent<WantedImages>,
) -> Result<Json<Assigned>, Problem> {
    caller.check_sees(&api, &vin).await?;
    let images = wanted.images.0.into_iter();
    let assignment = Assignment {
        images: images.map(|(serial, path)| (serial.0, path.0)).collect(),
        whole: wanted.policy == Policy::AllOrNothing,
        add_dependencies: wanted.add_dependencies,
    };
    let service = &api.service;
    let assigned = service.assign(&vin, &assignment, &caller.actor()).await?;
    Ok(Json(Assigned {
        id: assigned.id,
        parts: assigned.parts.into_iter().map(AssignedPart::of).collect(),
    }))
}

/// Take orders back
///
/// As far as the ECUs do not say that they run what was ordered.
#[utoipa::path(
    post, path = "/v1/vehicles/{vin}/cancel", tag = "assignments", operation_id = "cancelOrders",
    params(("vin" = inline(VinText), Path)), request_body = UnwantedImages,
    security(("token" = ["assign"])),
    responses(
        (status = 200, description = "What was taken back", body = Cancelled),
        refusals::Any, refusals::One, refusals::Sent,
    ),
)]
pub(super) async fn cancel(
    caller: Caller<Assign>,
    State(api): State<Shared>,
    At(VinText(vin)): At<VinText>,
    Sent(unwanted): Sent<UnwantedImages>,
) -> Result<Json<Cancelled>, Problem> {
    caller.check_sees(&api, &vin).await?;
    if unwanted
        .ecus
        .as_ref()
        .is_some_and(|ecus| !(1..=MAX_ECUS).contains(&ecus.len()))
    {
        return Err(Problem::bad_request(format!(
            "ecus: name 1 to {MAX_ECUS}, or leave it out"
        )));
    }
    let ecus = unwanted
        .ecus
        .map(|ecus| ecus.into_iter().map(|ecu| ecu.0).collect());
    let service = &api.service;
    let cancelled = service.cancel(&vin, ecus.as_ref(), &caller.actor()).await?;
    let cancelled = cancelled.iter().map(ToString::to_string).collect();
    Ok(Json(Cancelled { cancelled }))
}

impl AssignedPart {
    fn of(part: Part) -> Self {
        let (outcome, refusal) = match part.outcome {
            PartOutcome::Ordered => (Outcome::Ordered, None),
            PartOutcome::Added => (Outcome::Added, None),
            PartOutcome::AlreadyOrdered => (Outcome::AlreadyOrdered, None),
            PartOutcome::AlreadyInstalled => (Outcome::AlreadyInstalled, None),
            PartOutcome::Refused(problem) => {
                let (code, message) = (problem.code, problem.message);
                (Outcome::Refused, Some(PartRefusal { code, message }))
            }
        };
        Self {
            ecu: part.serial.to_string(),
            image: Path(part.path),
            outcome,
            refusal,
        }
    }
}

impl<'de> Deserialize<'de> for ByEcu {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(EveryEcuOnce)
    }
}

/// One ECU with two images is refused; otherwise the last one would count.
struct EveryEcuOnce;

impl<'de> Visitor<'de> for EveryEcuOnce {
    type Value = ByEcu;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "1 to {MAX_ECUS} images by ECUs")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<ByEcu, A::Error> {
        let mut images = BTreeMap::new();
        while let Some((serial, path)) = map.next_entry::<Serial, Path>()? {
            if let Some(twice) = images.insert(serial.clone(), path) {
                let message = format!("ECU {serial} is to have {twice} and another image");
                return Err(A::Error::custom(message));
            }
        }
        match images.len() {
            1..=MAX_ECUS => Ok(ByEcu(images)),
            length => Err(A::Error::invalid_length(length, &self)),
        }
    }
}

impl PartialSchema for ByEcu {
    fn schema() -> RefOr<Schema> {
        let images = ObjectBuilder::new().schema_type(Type::Object);
        images
            .description(Some("The image for each ECU, by its serial"))
            .property_names(Some(Serial::described()))
            .additional_properties(Some(Path::schema()))
            .min_properties(Some(1))
            .max_properties(Some(MAX_ECUS))
            .build()
            .into()
    }
}

impl ToSchema for ByEcu {}
