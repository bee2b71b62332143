//! Tokens: who may use this API.

use std::collections::BTreeSet;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::Shared;
use super::caller::{Admin, Caller};
use super::extract::{At, Sent};
use super::refusals;
use super::words::{Remark, Tenant, Time};
use crate::problem::Problem;
use crate::storage::StoredToken;
use crate::tokens::{self, DAYS, NewToken};

/// What a token may be good for
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Scope {
    /// Look at vehicles, their history, and images
    Read,
    /// Announce, approve, hold and release vehicles; their certificates
    Vehicles,
    /// Order images and take orders back
    Assign,
    /// List and upload images
    Images,
    /// Tokens, Roots, the audit log, the state of the Director
    Admin,
}

/// A token that is to be made
#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct WantedToken {
    /// What people call it
    #[schema(max_length = 64)]
    name: Remark,
    /// What it is good for
    #[schema(min_items = 1, max_items = 5)]
    scopes: BTreeSet<Scope>,
    /// Whose vehicles it is good for; all if it is left out. Not with `images` and `admin`
    tenant: Option<Tenant>,
    /// Days for which it is good
    #[serde(default = "days")]
    #[schema(minimum = 1, maximum = 366, default = 90)]
    days: u32,
}

fn days() -> u32 {
    DAYS
}

/// A token; its secret part is not known here
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct Token {
    #[schema(pattern = "^[0-9a-f]{16}$")]
    id: String,
    /// What people call it
    name: String,
    scopes: Vec<String>,
    /// Whose vehicles it is good for; all if there is none
    #[serde(skip_serializing_if = "Option::is_none")]
    tenant: Option<String>,
    created: Time,
    expires: Time,
    /// When it was revoked
    #[serde(skip_serializing_if = "Option::is_none")]
    revoked: Option<Time>,
}

/// All tokens, the oldest first
#[derive(Serialize, ToSchema)]
pub(super) struct TokenList {
    tokens: Vec<Token>,
}

/// A token that was made
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct Made {
    /// The token itself. It is not to be had again
    #[schema(pattern = "^cst_[0-9a-f]{16}_[0-9a-f]{64}$")]
    secret: String,
    token: Token,
}

/// The id of a token
#[derive(Deserialize)]
pub(super) struct TokenId(String);

/// All tokens
#[utoipa::path(
    get, path = "/v1/tokens", tag = "tokens", operation_id = "listTokens",
    security(("token" = ["admin"])),
    responses((status = 200, description = "All there are", body = TokenList), refusals::Any),
)]
pub(super) async fn list(
    _caller: Caller<Admin>,
    State(api): State<Shared>,
) -> Result<Json<TokenList>, Problem> {
    let tokens = api.service.database().tokens().await?;
    let tokens = tokens.into_iter().map(Token::of).collect();
    Ok(Json(TokenList { tokens }))
}

/// Make a token
#[utoipa::path(
    post, path = "/v1/tokens", tag = "tokens", operation_id = "makeToken",
    request_body = WantedToken, security(("token" = ["admin"])),
    responses(
        (status = 201, description = "It is good from now on", body = Made),
        refusals::Any, refusals::Sent,
    ),
)]
pub(super) async fn create(
    caller: Caller<Admin>,
    State(api): State<Shared>,
    Sent(wanted): Sent<WantedToken>,
) -> Result<(StatusCode, Json<Made>), Problem> {
    let scopes = wanted.scopes.into_iter().map(Into::into);
    let new = NewToken {
        name: wanted.name.0,
        tenant: wanted.tenant.map(|tenant| tenant.0),
        scopes: scopes.collect(),
        days: wanted.days,
    };
    let (database, now) = (api.service.database(), api.service.now()?);
    let (stored, text) = tokens::make(database, &new, now, &caller.actor()).await?;
    let made = Made {
        secret: text.expose().to_owned(),
        token: Token::of(stored),
    };
    Ok((StatusCode::CREATED, Json(made)))
}

/// End a token for ever, at once
#[utoipa::path(
    delete, path = "/v1/tokens/{id}", tag = "tokens", operation_id = "revokeToken",
    params(("id" = String, Path, description = "The public part of it",
        pattern = "^[0-9a-f]{16}$", min_length = 16, max_length = 16)),
    security(("token" = ["admin"])),
    responses(
        (status = 204, description = "It is not good any more"),
        refusals::Any, refusals::One,
    ),
)]
pub(super) async fn revoke(
    caller: Caller<Admin>,
    State(api): State<Shared>,
    At(TokenId(id)): At<TokenId>,
) -> Result<StatusCode, Problem> {
    let (database, now) = (api.service.database(), api.service.now()?);
    tokens::revoke(database, &id, now, &caller.actor()).await?;
    Ok(StatusCode::NO_CONTENT)
}

impl Token {
    fn of(stored: StoredToken) -> Self {
        let scopes = stored.scopes.split_whitespace();
        Self {
            scopes: scopes.map(Into::into).collect(),
            id: stored.id,
            name: stored.name,
            tenant: stored.tenant,
            created: Time(stored.created),
            expires: Time(stored.expires),
            revoked: stored.revoked.map(Time),
        }
    }
}

impl From<Scope> for tokens::Scope {
    fn from(scope: Scope) -> Self {
        match scope {
            Scope::Read => Self::Read,
            Scope::Vehicles => Self::Vehicles,
            Scope::Assign => Self::Assign,
            Scope::Images => Self::Images,
            Scope::Admin => Self::Admin,
        }
    }
}
