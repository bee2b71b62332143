//! The admin API, for people and for CI. Its routes and its OpenAPI document are one thing.

mod assignments;
mod audit;
mod caller;
mod certificate;
mod extract;
mod health;
mod images;
mod refusals;
mod replacement;
mod roots;
mod status;
mod tokens;
mod upload;
mod vehicles;
mod view;
mod words;

use std::sync::Arc;

use axum::{Json, Router};
use utoipa::openapi::security::{Http, HttpAuthScheme, SecurityScheme};
use utoipa::openapi::{Components, ContactBuilder, InfoBuilder, LicenseBuilder, OpenApi};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::Limits;
use super::answer::{no_method, no_route};
use super::count::counted;
use super::rate::Rate;
use crate::service::Service;
use crate::tls::Tls;

/// Where the document is.
const DOCUMENT: &str = "/v1/openapi.json";

/// What the admin API is made of.
pub struct Admin {
    /// The Director.
    pub service: Service,
    /// What can be asked of it.
    pub limits: Limits,
    /// The TLS of the vehicles' listener, to tell when its files end.
    pub tls: Option<Tls>,
}

/// What every route has at hand.
struct Api {
    service: Service,
    rate: Rate,
    tls: Option<Tls>,
}

type Shared = Arc<Api>;

/// The admin API, to be served on a listener of its own.
pub fn router(admin: Admin) -> Router {
    let api = Arc::new(Api {
        service: admin.service,
        rate: Rate::new(&admin.limits),
        tls: admin.tls,
    });
    let (bounded, _) = bounded().split_for_parts();
    let (uploads, _) = uploads().split_for_parts();
    let (health, _) = health_routes().split_for_parts();
    let document = document();
    let bounded = bounded.route(DOCUMENT, axum::routing::get(async move || Json(document)));
    // Methods are refused inside of the bounds, paths outside: both are cheap.
    let close = |router: Router<Shared>| {
        let router = router.method_not_allowed_fallback(no_method);
        router.with_state(Arc::clone(&api))
    };
    let all = admin
        .limits
        .around(close(bounded))
        .merge(upload::within_bounds(close(uploads)))
        .merge(close(health));
    counted("admin", all.fallback(no_route))
}

/// The document that describes the routes.
pub fn document() -> OpenApi {
    let (_, mut document) = bounded()
        .merge(uploads())
        .merge(health_routes())
        .split_for_parts();
    let license = LicenseBuilder::new()
        .name("MIT OR Apache-2.0")
        .identifier(Some("MIT OR Apache-2.0"))
        .build();
    document.info = InfoBuilder::new()
        .title("Countersign Director, admin API")
        .version(env!("CARGO_PKG_VERSION"))
        .description(Some(ABOUT))
        .license(Some(license))
        .contact(None::<ContactBuilder>.map(ContactBuilder::build))
        .build();
    let token = Http::builder()
        .scheme(HttpAuthScheme::Bearer)
        .bearer_format("cst_ID_SECRET")
        .description(Some(TOKENS))
        .build();
    let components = document.components.get_or_insert_with(Components::new);
    components.add_security_scheme("token", SecurityScheme::Http(token));
    document
}

const ABOUT: &str = "What people and CI ask of a Director: vehicles, images, assignments, and the audit \
    log. Every refusal is `{\"error\": {\"code\", \"message\"}}`; codes are stable, messages are for people. \
    Lists are in the order of their names; `next`, where it is there, is the `after` of the next page.";

const TOKENS: &str = "Made by `director token create` or `POST /v1/tokens`. Each operation names the scope \
    that it takes. A token of a tenant sees the vehicles of that tenant only; others are not found.";

fn bounded() -> OpenApiRouter<Shared> {
    OpenApiRouter::new()
        .routes(routes!(vehicles::list, vehicles::announce))
        .routes(routes!(vehicles::show, vehicles::forget))
        .routes(routes!(vehicles::hold))
        .routes(routes!(vehicles::release))
        .routes(routes!(audit::history))
        .routes(routes!(replacement::show, replacement::reject))
        .routes(routes!(replacement::approve))
        .routes(routes!(assignments::assign))
        .routes(routes!(assignments::cancel))
        .routes(routes!(certificate::request, certificate::answer))
        .routes(routes!(images::list, images::add))
        .routes(routes!(audit::list))
        .routes(routes!(audit::verify))
        .routes(routes!(tokens::list, tokens::create))
        .routes(routes!(tokens::revoke))
        .routes(routes!(roots::list, roots::import))
        .routes(routes!(status::status))
}

/// An upload takes as long as it takes.
fn uploads() -> OpenApiRouter<Shared> {
    OpenApiRouter::new().routes(routes!(upload::upload))
}

/// Asked by machines, however much there is to do.
fn health_routes() -> OpenApiRouter<Shared> {
    OpenApiRouter::new()
        .routes(routes!(health::alive))
        .routes(routes!(health::ready))
        .routes(routes!(health::metrics))
}
