//! Metadata by the names of Uptane 5.2.7.

use axum::extract::{Path, State};
use axum::http::{HeaderMap, header};
use axum::response::{IntoResponse as _, Response};
use countersign_metadata::RoleType;

use super::{Answer, Device, not_modified};
use crate::problem::Problem;
use crate::service::{Answered, Metadata, Service};

pub(super) async fn file(
    State(service): State<Service>,
    device: Device,
    Path(name): Path<String>,
    headers: HeaderMap,
) -> Answer {
    let known = headers.get(header::IF_NONE_MATCH);
    let known = known.and_then(|etag| etag.to_str().ok());
    if name == "timestamp.json" {
        let answered = service.timestamp(&device.vin, known).await?;
        return Ok(match answered {
            Answered::Unchanged => not_modified(known.unwrap_or_default()),
            // The next one may come at any time.
            Answered::File(file) => answer(file, "no-cache"),
        });
    }
    let (version, role) = parse_name(&name).ok_or_else(|| Problem::missing(&name))?;
    let file = service.versioned(&device.vin, role, version).await?;
    Ok(match known == Some(&*file.etag) {
        true => not_modified(&file.etag),
        false => answer(file, "private, max-age=31536000, immutable"),
    })
}

/// `N.ROLE.json`, where N is written in one way.
fn parse_name(name: &str) -> Option<(u64, RoleType)> {
    let (version, role) = name.strip_suffix(".json")?.split_once('.')?;
    let role = match role {
        "root" => RoleType::Root,
        "snapshot" => RoleType::Snapshot,
        "targets" => RoleType::Targets,
        _ => return None,
    };
    let number: u64 = version.parse().ok()?;
    (number > 0 && number.to_string() == version).then_some((number, role))
}

fn answer(file: Metadata, cache: &'static str) -> Response {
    let headers = [
        (header::CONTENT_TYPE, "application/json".to_owned()),
        (header::ETAG, file.etag),
        (header::CACHE_CONTROL, cache.to_owned()),
    ];
    (headers, file.bytes).into_response()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_has_one_name() {
        assert_eq!(parse_name("7.targets.json"), Some((7, RoleType::Targets)));
        for name in [
            "07.targets.json",
            "0.targets.json",
            "+7.targets.json",
            "7.mirrors.json",
            "targets.json",
            "7.targets",
            "7.timestamp.json",
            "",
            ".json",
            "7..json",
            "99999999999999999999.root.json",
        ] {
            assert_eq!(parse_name(name), None, "{name}");
        }
    }
}
