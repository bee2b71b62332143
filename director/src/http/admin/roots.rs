//! The Director's Roots, as ceremonies make them.

use axum::Json;
use axum::extract::{FromRequest as _, Request, State};
use axum::response::{IntoResponse as _, Response};
use bytes::Bytes;
use countersign_metadata::{Root, Signed, sha256};
use serde::Serialize;
use utoipa::ToSchema;

use super::Shared;
use super::caller::{Admin, Caller};
use super::extract::{is_type, other_type};
use super::refusals;
use super::words::Time;
use crate::problem::{Kind, Problem};
use crate::service::RootError;

const JSON: &str = "application/json";

/// All Roots, version 1 first
#[derive(Serialize, ToSchema)]
pub(super) struct RootList {
    roots: Vec<KnownRoot>,
}

/// A Root
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct KnownRoot {
    version: u64,
    expires: Time,
    /// Of the file, in hexadecimal
    #[schema(pattern = "^[0-9a-f]{64}$")]
    sha256: String,
}

/// All Roots
#[utoipa::path(
    get, path = "/v1/roots", tag = "roots", operation_id = "listRoots",
    security(("token" = ["admin"])),
    responses((status = 200, description = "All there are", body = RootList), refusals::Any),
)]
pub(super) async fn list(
    _caller: Caller<Admin>,
    State(api): State<Shared>,
) -> Result<Json<RootList>, Problem> {
    let roots = api.service.database().roots().await?.into_iter();
    let roots = roots.map(KnownRoot::of).collect::<Result<_, _>>()?;
    Ok(Json(RootList { roots }))
}

/// Take in the next Root
///
/// It has to follow the newest one by the rules that vehicles go by. The same one again is fine.
#[utoipa::path(
    post, path = "/v1/roots", tag = "roots", operation_id = "importRoot",
    request_body(content = Object, content_type = "application/json",
        description = "A Root file, byte for byte"),
    security(("token" = ["admin"])),
    responses(
        (status = 200, description = "It is the Director's", body = KnownRoot),
        refusals::Any, refusals::Sent, refusals::Against,
    ),
)]
pub(super) async fn import(
    caller: Caller<Admin>,
    State(api): State<Shared>,
    request: Request,
) -> Result<Json<KnownRoot>, Response> {
    if !is_type(request.headers(), JSON) {
        return Err(other_type(JSON));
    }
    let import = async {
        let file = Bytes::from_request(request, &()).await?.to_vec();
        let now = api.service.now()?;
        let actor = caller.actor();
        api.service.import_root(file.clone(), &actor, now).await?;
        KnownRoot::of(file)
    };
    import
        .await
        .map(Json)
        .map_err(|problem: Problem| problem.into_response())
}

impl KnownRoot {
    fn of(file: Vec<u8>) -> Result<Self, Problem> {
        let digest = hex::encode(sha256(&file));
        let root = Signed::<Root>::parse(file)?.decode_unverified()?;
        Ok(Self {
            version: root.header.version,
            expires: Time(root.header.expires),
            sha256: digest,
        })
    }
}

impl From<RootError> for Problem {
    fn from(error: RootError) -> Self {
        let (kind, code) = match error {
            RootError::Storage(error) => return error.into(),
            RootError::Refused(_) => (Kind::Wrong, "root-refused"),
            RootError::Version { .. } => (Kind::Conflict, "root-version"),
            RootError::Expired(_) => (Kind::Conflict, "root-expired"),
            RootError::NotConsistent => (Kind::Conflict, "root-not-consistent"),
        };
        Self::new(kind, code, error.to_string())
    }
}
