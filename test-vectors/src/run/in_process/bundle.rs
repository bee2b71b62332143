//! An offline bundle as a served repository.

use std::io::Read as _;

use countersign_metadata::uptane::OfflineName;
use countersign_verifier::{Code, Reject};

use crate::tree::{Files, Site};

const OFFLINE: &str = "director/offline/";

/// Its members, and the name of its one Offline Targets file.
///
/// # Errors
/// `usage` when it is no archive or has another number of them.
pub fn open(tar: &[u8]) -> Result<(Site, OfflineName), Reject> {
    let no_bundle = |detail: String| Reject::new(Code::Usage, "", detail);
    let members = read(tar).map_err(|error| no_bundle(error.to_string()))?;
    let offline = members
        .keys()
        .filter_map(|path| path.strip_prefix(OFFLINE)?.strip_suffix(".json"));
    let targets: Vec<&str> = offline.filter(|name| *name != "snapshot").collect();
    let [name] = targets[..] else {
        let detail = format!("it has {} Offline Targets files, not one", targets.len());
        return Err(no_bundle(detail));
    };
    let name = OfflineName::new(name).map_err(|error| no_bundle(error.to_string()))?;
    Ok((Site::new(&members), name))
}

fn read(tar: &[u8]) -> std::io::Result<Files> {
    let mut members = Files::new();
    for member in tar::Archive::new(tar).entries()? {
        let mut member = member?;
        let name = String::from_utf8_lossy(&member.path_bytes()).into_owned();
        let mut bytes = Vec::new();
        member.read_to_end(&mut bytes)?;
        members.insert(name, bytes);
    }
    Ok(members)
}
