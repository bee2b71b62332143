//! Who asks, by a token, and what that one may see.

use std::marker::PhantomData;

use axum::extract::FromRequestParts;
use axum::http::header::AUTHORIZATION;
use axum::http::request::Parts;
use axum::response::{IntoResponse as _, Response};
use countersign_director_domain::DirectorError;
use countersign_metadata::uptane::Vin;

use super::{Api, Shared};
use crate::problem::{Kind, Problem};
use crate::service::Actor;
use crate::tokens::{self, Holder, Scope};

/// Whoever shows a token with one scope. Comes first in every route, so that nothing else of a request is
/// looked at before.
pub(super) struct Caller<S> {
    pub(super) holder: Holder,
    scope: PhantomData<S>,
}

/// A scope, as a type.
pub(super) trait Needs: Send + Sync {
    const SCOPE: Scope;
}

macro_rules! needs {
    ($($name:ident),*) => {
        $(pub(super) struct $name;
        impl Needs for $name {
            const SCOPE: Scope = Scope::$name;
        })*
    };
}

needs!(Read, Vehicles, Assign, Images, Admin);

impl<S: Needs> FromRequestParts<Shared> for Caller<S> {
    type Rejection = Response;

    async fn from_request_parts(parts: &mut Parts, api: &Shared) -> Result<Self, Response> {
        let refuse = |problem: Problem| problem.into_response();
        let holder = holder(parts, api).await.map_err(refuse)?;
        // Counted only for those who have a token: anybody else is bounded by what the listener takes.
        api.rate.check(&holder.id).map_err(|response| *response)?;
        if !holder.scopes.contains(&S::SCOPE) {
            let message = format!("this takes a token with the scope {}", S::SCOPE.name());
            return Err(refuse(Problem::new(Kind::Forbidden, "scope", message)));
        }
        Ok(Self {
            holder,
            scope: PhantomData,
        })
    }
}

impl<S> Caller<S> {
    /// For the audit log.
    pub(super) fn actor(&self) -> Actor {
        self.holder.actor()
    }

    /// Whether this vehicle is there for whoever asks. One of another tenant is as unknown as any.
    ///
    /// # Errors
    /// [`Problem`]
    pub(super) async fn check_sees(&self, api: &Api, vin: &Vin) -> Result<(), Problem> {
        let owner = api.service.database().owner(vin).await?;
        match owner.is_some_and(|owner| self.holder.sees(&owner)) {
            true => Ok(()),
            false => Err(DirectorError::UnknownVehicle(vin.clone()).into()),
        }
    }
}

async fn holder(parts: &Parts, api: &Api) -> Result<Holder, Problem> {
    let shown = parts.headers.get(AUTHORIZATION);
    let shown = shown.and_then(|shown| shown.to_str().ok());
    let token = shown.and_then(|shown| {
        let (scheme, token) = shown.split_once(' ')?;
        scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
    });
    let database = api.service.database();
    tokens::check(database, token.unwrap_or_default(), api.service.now()?).await
}
