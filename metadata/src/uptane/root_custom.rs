//! Further authorities that a Director's Root names: the time server, and the two roles of
//! offline updates (PURE-2). They stand in `custom` because TUF clients refuse extra `roles`.

use alloc::collections::BTreeMap;
use alloc::format;

use crate::authority::{Authority, RoleKeys};
use crate::envelope::Folded;
use crate::error::MetadataError;
use crate::field::{Fields, with};
use crate::header::RoleType;
use crate::json::{Object, Value};
use crate::key::{Key, KeyId, decode_keys, keys_to_value};
use crate::limits::MAX_ROLE_KEYIDS;
use crate::root::Root;
use crate::uptane::vehicle::CUSTOM;

const TIME_SERVER: &str = "timeServer";
const OFFLINE_UPDATES: &str = "offlineUpdates";

/// The keys of a time server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TimeServer {
    /// All keys by id.
    pub keys: BTreeMap<KeyId, Key>,
    /// How many of them must sign.
    pub threshold: u32,
}

/// Who may sign time attestations: `custom.timeServer`, where given. As with any claim of a file,
/// it is worth what the Root is worth.
///
/// # Errors
/// [`MetadataError::Field`] names what is wrong in it.
pub fn time_server(root: &Root) -> Result<Option<Authority>, MetadataError> {
    Ok(time_server_keys(root)?.map(TimeServer::into_authority))
}

/// The same of a Root that is kept as text: nothing else of it is read.
///
/// # Errors
/// As [`time_server`].
pub fn folded_time_server(root: &Folded) -> Result<Option<Authority>, MetadataError> {
    let Some(mut custom) = root.custom()? else {
        return Ok(None);
    };
    let server = custom.optional_fields(TIME_SERVER)?;
    let server = server.map(TimeServer::decode).transpose()?;
    Ok(server.map(TimeServer::into_authority))
}

/// `custom.timeServer` as it stands there, for whoever edits a Root.
///
/// # Errors
/// As [`time_server`].
pub fn time_server_keys(root: &Root) -> Result<Option<TimeServer>, MetadataError> {
    part(root, TIME_SERVER)?.map(TimeServer::decode).transpose()
}

impl TimeServer {
    fn decode(mut fields: Fields<'_>) -> Result<Self, MetadataError> {
        let keys = decode_keys(fields.fields("keys")?)?;
        if keys.len() > MAX_ROLE_KEYIDS {
            return fields.fail("keys", format!("lists more than {MAX_ROLE_KEYIDS} keys"));
        }
        let threshold = fields.unsigned("threshold", 1)?;
        let threshold = u32::try_from(threshold).unwrap_or(u32::MAX);
        Ok(Self { keys, threshold })
    }

    fn into_authority(self) -> Authority {
        let role_keys = RoleKeys::new(self.keys.keys().cloned(), self.threshold);
        Authority::assume("time-server", &role_keys, &self.keys)
    }
}

/// Sets who signs time attestations: `threshold` of `keys`.
pub fn set_time_server(root: &mut Root, keys: impl IntoIterator<Item = Key>, threshold: u32) {
    let keys = keys.into_iter().map(|key| (key.id(), key)).collect();
    set_time_server_keys(root, &TimeServer { keys, threshold });
}

/// Sets who signs time attestations, with key ids as they are given.
pub fn set_time_server_keys(root: &mut Root, server: &TimeServer) {
    let members = [
        ("keys", keys_to_value(&server.keys)),
        ("threshold", server.threshold.into()),
    ];
    set(root, TIME_SERVER, members);
}

/// The keys of offline updates.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OfflineUpdates {
    /// All keys by id.
    pub keys: BTreeMap<KeyId, Key>,
    /// Who signs the Offline Snapshot.
    pub snapshot: RoleKeys,
    /// Who signs Offline Targets files.
    pub targets: RoleKeys,
}

/// Who may sign the Offline Snapshot or Offline Targets: `custom.offlineUpdates`, where given.
/// There is no offline Root or Timestamp: for these it is `None`.
///
/// # Errors
/// [`MetadataError::Field`] names what is wrong in it.
pub fn offline_authority(root: &Root, role: RoleType) -> Result<Option<Authority>, MetadataError> {
    let Some(offline) = offline_updates(root)? else {
        return Ok(None);
    };
    let (name, role_keys) = match role {
        RoleType::Snapshot => ("offline-snapshot", &offline.snapshot),
        RoleType::Targets => ("offline-targets", &offline.targets),
        RoleType::Root | RoleType::Timestamp => return Ok(None),
    };
    Ok(Some(Authority::assume(name, role_keys, &offline.keys)))
}

/// Sets who signs offline updates.
pub fn set_offline_updates(root: &mut Root, offline: &OfflineUpdates) {
    let members = [
        ("keys", keys_to_value(&offline.keys)),
        ("snapshot", offline.snapshot.to_members().into()),
        ("targets", offline.targets.to_members().into()),
    ];
    set(root, OFFLINE_UPDATES, members);
}

/// `custom.offlineUpdates` as it stands there, for whoever edits a Root.
///
/// # Errors
/// As [`offline_authority`].
pub fn offline_updates(root: &Root) -> Result<Option<OfflineUpdates>, MetadataError> {
    let Some(mut fields) = part(root, OFFLINE_UPDATES)? else {
        return Ok(None);
    };
    let keys = decode_keys(fields.fields("keys")?)?;
    let mut role = |name: &str| RoleKeys::decode(fields.fields(name)?);
    Ok(Some(OfflineUpdates {
        snapshot: role("snapshot")?,
        targets: role("targets")?,
        keys,
    }))
}

/// One member of Root's `custom`, where given.
fn part(root: &Root, name: &str) -> Result<Option<Fields<'static>>, MetadataError> {
    let Some(custom) = root.extra.get("custom") else {
        return Ok(None);
    };
    let Some(custom) = custom.as_object() else {
        return Err(MetadataError::field(CUSTOM, "must be an object"));
    };
    let value = custom.get(name).cloned();
    value
        .map(|value| Fields::of(format!("{CUSTOM}.{name}"), value))
        .transpose()
}

/// Sets `members` of one member of `custom`. What else stands beside them stays.
fn set<const N: usize>(root: &mut Root, name: &str, members: [(&str, Value); N]) {
    let mut custom = match root.extra.remove("custom") {
        Some(Value::Object(custom)) => custom,
        _ => Object::new(),
    };
    let before = custom.get(name).and_then(Value::as_object);
    let part = with(before.unwrap_or(&Object::new()), members);
    custom.insert(name.into(), part.into());
    root.extra.insert("custom".into(), custom.into());
}
