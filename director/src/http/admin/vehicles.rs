//! Vehicles: which there are, what is known of them, and whether they get orders.

use std::collections::BTreeMap;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use countersign_metadata::uptane::Vin;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::Shared;
use super::caller::{Caller, Read, Vehicles};
use super::extract::{Asked, At, Sent};
use super::refusals;
use super::view::{Ended, Installed, next, page};
use super::words::{Path, Remark, Tenant, Time, VinText};
use crate::problem::{Kind, Problem};
use crate::service::{EcuView, VehicleView};
use crate::storage::{AnnouncedVehicle, ListedVehicle};

/// How far a vehicle is
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Stage {
    /// It may register
    Announced,
    /// It has
    #[default]
    Registered,
}

#[derive(Deserialize, IntoParams)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct Which {
    /// Those that have registered, if nothing is said
    #[serde(default)]
    #[param(inline)]
    stage: Option<Stage>,
    /// Only those of this tenant
    #[param(inline)]
    tenant: Option<Tenant>,
    /// Those after this one
    #[param(inline)]
    after: Option<VinText>,
    /// How many at most
    #[param(minimum = 1, maximum = 1000, default = 100)]
    limit: Option<u32>,
}

/// Vehicles, in the order of their identifiers
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct VehicleList {
    vehicles: Vec<VehicleItem>,
    /// `after` of the next page
    #[serde(skip_serializing_if = "Option::is_none")]
    next: Option<VinText>,
}

/// A vehicle in a list
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct VehicleItem {
    vin: VinText,
    tenant: String,
    stage: Stage,
    /// When it was announced or has registered
    since: Time,
    /// When it has last reported
    #[serde(skip_serializing_if = "Option::is_none")]
    reported: Option<Time>,
    /// Why it gets no new orders, if it does not
    #[serde(skip_serializing_if = "Option::is_none")]
    held: Option<String>,
    /// Whether other ECUs await approval
    replacement: bool,
}

/// A vehicle, as far as it is known
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct Vehicle {
    vin: VinText,
    tenant: String,
    stage: Stage,
    /// Serial of the Primary
    #[serde(skip_serializing_if = "Option::is_none")]
    primary: Option<String>,
    /// When it has last reported
    #[serde(skip_serializing_if = "Option::is_none")]
    reported: Option<Time>,
    /// Why it gets no new orders, if it does not
    #[serde(skip_serializing_if = "Option::is_none")]
    held: Option<String>,
    /// Whether other ECUs await approval
    replacement: bool,
    /// The version of the Targets that was published last
    #[serde(skip_serializing_if = "Option::is_none")]
    targets_version: Option<u64>,
    /// Its ECUs, by their serials
    ecus: BTreeMap<String, Ecu>,
}

/// An ECU, by what it says and was told
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct Ecu {
    hardware_id: String,
    /// Id of the key that signs its reports
    signing_keyid: String,
    /// Id of the key that content keys are wrapped to
    #[serde(skip_serializing_if = "Option::is_none")]
    encryption_keyid: Option<String>,
    /// What it says it runs
    #[serde(skip_serializing_if = "Option::is_none")]
    installed: Option<Installed>,
    /// The latest time that it could verify
    #[serde(skip_serializing_if = "Option::is_none")]
    latest_time: Option<Time>,
    /// How its last update ended
    #[serde(skip_serializing_if = "Option::is_none")]
    outcome: Option<Ended>,
    /// What it was told
    #[serde(skip_serializing_if = "Option::is_none")]
    order: Option<Ordered>,
}

/// What an ECU was told
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct Ordered {
    image: Path,
    /// Orders with the same one were given together
    assignment: String,
    /// Whether all of these are carried out or none
    whole: bool,
    /// How far it is
    #[schema(pattern = "^(pending|failed|installed|withheld)$")]
    state: &'static str,
    /// When it was given
    ordered: Time,
    /// How often the ECU has tried it and gone back
    failures: u32,
}

/// A vehicle that may register
#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct Announcement {
    vin: VinText,
    /// Whose it will be. Left out with the token of a tenant, it is that one's
    tenant: Option<Tenant>,
}

/// Why a vehicle is held
#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct Hold {
    /// For whoever looks at the vehicle
    why: Remark,
}

/// Vehicles
///
/// With the token of a tenant only that one's, whatever is asked for.
#[utoipa::path(
    get, path = "/v1/vehicles", tag = "vehicles", operation_id = "listVehicles",
    params(Which), security(("token" = ["read"])),
    responses((status = 200, description = "What was found", body = VehicleList), refusals::Any),
)]
pub(super) async fn list(
    caller: Caller<Read>,
    State(api): State<Shared>,
    Asked(which): Asked<Which>,
) -> Result<Json<VehicleList>, Problem> {
    let most = page(which.limit)?;
    let asked = which.tenant.map(|tenant| tenant.0);
    let tenant = match (&caller.holder.tenant, asked) {
        (Some(own), Some(asked)) if *own != asked => {
            return Ok(Json(VehicleList {
                vehicles: Vec::new(),
                next: None,
            }));
        }
        (Some(own), _) => Some(own.clone()),
        (None, asked) => asked,
    };
    let after = which.after.map(|after| after.to_string());
    let (tenant, after) = (tenant.as_deref(), after.unwrap_or_default());
    let database = api.service.database();
    let vehicles: Vec<VehicleItem> = match which.stage.unwrap_or_default() {
        Stage::Registered => {
            let found = database.vehicles(tenant, &after, most).await?;
            found.into_iter().map(Into::into).collect()
        }
        Stage::Announced => {
            let found = database.announced(tenant, &after, most).await?;
            found.into_iter().map(Into::into).collect()
        }
    };
    let next = next(&vehicles, most, |vehicle| vehicle.vin.clone());
    Ok(Json(VehicleList { vehicles, next }))
}

/// Let a vehicle register
#[utoipa::path(
    post, path = "/v1/vehicles", tag = "vehicles", operation_id = "announceVehicle",
    request_body = Announcement, security(("token" = ["vehicles"])),
    responses(
        (status = 201, description = "It may register", body = Vehicle),
        refusals::Any, refusals::Sent, refusals::Against,
    ),
)]
pub(super) async fn announce(
    caller: Caller<Vehicles>,
    State(api): State<Shared>,
    Sent(announcement): Sent<Announcement>,
) -> Result<(StatusCode, Json<Vehicle>), Problem> {
    let vin = announcement.vin.0;
    let asked = announcement.tenant.map(|tenant| tenant.0);
    let tenant = asked.or_else(|| caller.holder.tenant.clone());
    let tenant = tenant.ok_or_else(|| {
        Problem::bad_request("say whose vehicle it is: tenant is missing, and this token has none")
    })?;
    if !caller.holder.sees(&tenant) {
        let message = format!("this token is not good for vehicles of {tenant}");
        return Err(Problem::new(Kind::Forbidden, "tenant", message));
    }
    let service = &api.service;
    service.announce(&vin, &tenant, &caller.actor()).await?;
    Ok((StatusCode::CREATED, Json(Vehicle::announced(vin, tenant))))
}

/// What is known of a vehicle
#[utoipa::path(
    get, path = "/v1/vehicles/{vin}", tag = "vehicles", operation_id = "showVehicle",
    params(("vin" = inline(VinText), Path)), security(("token" = ["read"])),
    responses((status = 200, description = "What is known", body = Vehicle), refusals::Any, refusals::One),
)]
pub(super) async fn show(
    caller: Caller<Read>,
    State(api): State<Shared>,
    At(VinText(vin)): At<VinText>,
) -> Result<Json<Vehicle>, Problem> {
    caller.check_sees(&api, &vin).await?;
    let view = match api.service.view(&vin).await {
        Err(problem) if problem.kind == Kind::Missing => {
            let tenant = api.service.database().expected(&vin).await?;
            return match tenant {
                Some(tenant) => Ok(Json(Vehicle::announced(vin, tenant))),
                None => Err(problem),
            };
        }
        view => view?,
    };
    Ok(Json(Vehicle::of(vin, view)))
}

/// Take an announcement back
///
/// A vehicle that has registered stays.
#[utoipa::path(
    delete, path = "/v1/vehicles/{vin}", tag = "vehicles", operation_id = "withdrawVehicle",
    params(("vin" = inline(VinText), Path)), security(("token" = ["vehicles"])),
    responses(
        (status = 204, description = "It may not register any more"),
        refusals::Any, refusals::One, refusals::Against,
    ),
)]
pub(super) async fn forget(
    caller: Caller<Vehicles>,
    State(api): State<Shared>,
    At(VinText(vin)): At<VinText>,
) -> Result<StatusCode, Problem> {
    caller.check_sees(&api, &vin).await?;
    api.service.withdraw(&vin, &caller.actor()).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Give a vehicle no new orders until it is released
#[utoipa::path(
    post, path = "/v1/vehicles/{vin}/hold", tag = "vehicles", operation_id = "holdVehicle",
    params(("vin" = inline(VinText), Path)), request_body = Hold,
    security(("token" = ["vehicles"])),
    responses(
        (status = 200, description = "It is held", body = Vehicle),
        refusals::Any, refusals::One, refusals::Sent,
    ),
)]
pub(super) async fn hold(
    caller: Caller<Vehicles>,
    State(api): State<Shared>,
    At(VinText(vin)): At<VinText>,
    Sent(hold): Sent<Hold>,
) -> Result<Json<Vehicle>, Problem> {
    caller.check_sees(&api, &vin).await?;
    let (why, actor) = (Some(&*hold.why.0), caller.actor());
    api.service.hold(&vin, why, &actor).await?;
    let view = api.service.view(&vin).await?;
    Ok(Json(Vehicle::of(vin, view)))
}

/// Give a vehicle orders again
#[utoipa::path(
    post, path = "/v1/vehicles/{vin}/release", tag = "vehicles", operation_id = "releaseVehicle",
    params(("vin" = inline(VinText), Path)), security(("token" = ["vehicles"])),
    responses(
        (status = 200, description = "It is not held", body = Vehicle),
        refusals::Any, refusals::One,
    ),
)]
pub(super) async fn release(
    caller: Caller<Vehicles>,
    State(api): State<Shared>,
    At(VinText(vin)): At<VinText>,
) -> Result<Json<Vehicle>, Problem> {
    caller.check_sees(&api, &vin).await?;
    api.service.hold(&vin, None, &caller.actor()).await?;
    let view = api.service.view(&vin).await?;
    Ok(Json(Vehicle::of(vin, view)))
}

impl Vehicle {
    fn announced(vin: Vin, tenant: String) -> Self {
        Self {
            vin: VinText(vin),
            tenant,
            stage: Stage::Announced,
            primary: None,
            reported: None,
            held: None,
            replacement: false,
            targets_version: None,
            ecus: BTreeMap::new(),
        }
    }

    fn of(vin: Vin, view: VehicleView) -> Self {
        let ecus = view.record.ecus.iter().map(|(serial, record)| {
            let said = view.ecus.get(serial);
            let heard = said.and_then(|said| said.heard.as_ref());
            let ecu = Ecu {
                hardware_id: record.hardware_id.to_string(),
                signing_keyid: record.signing.id().as_str().into(),
                encryption_keyid: record
                    .encryption
                    .as_ref()
                    .map(|key| key.id().as_str().into()),
                installed: heard.and_then(|heard| heard.installed.as_ref().map(Installed::of)),
                latest_time: heard.map(|heard| Time(heard.latest_time)),
                outcome: heard.and_then(|heard| heard.outcome.as_ref().map(Ended::of)),
                order: said.and_then(Ordered::of),
            };
            (serial.to_string(), ecu)
        });
        Self {
            ecus: ecus.collect(),
            vin: VinText(vin),
            tenant: view.tenant,
            stage: Stage::Registered,
            primary: Some(view.record.primary.to_string()),
            reported: view.reported.map(Time),
            held: view.held,
            replacement: view.replacement,
            targets_version: view.targets_version,
        }
    }
}

impl Ordered {
    fn of(said: &EcuView) -> Option<Self> {
        let view = said.order.as_ref()?;
        Some(Self {
            image: Path(view.order.path.clone()),
            assignment: view.order.assignment.clone(),
            whole: view.order.whole,
            state: view.state.name(),
            ordered: Time(view.order.ordered),
            failures: view.order.failures,
        })
    }
}

impl From<ListedVehicle> for VehicleItem {
    fn from(listed: ListedVehicle) -> Self {
        Self {
            vin: VinText(listed.vin),
            tenant: listed.tenant,
            stage: Stage::Registered,
            since: Time(listed.registered),
            reported: listed.reported.map(Time),
            held: listed.held,
            replacement: listed.replacement,
        }
    }
}

impl From<AnnouncedVehicle> for VehicleItem {
    fn from(announced: AnnouncedVehicle) -> Self {
        Self {
            vin: VinText(announced.vin),
            tenant: announced.tenant,
            stage: Stage::Announced,
            since: Time(announced.announced),
            reported: None,
            held: None,
            replacement: false,
        }
    }
}
