//! Root: the keys of the four top-level roles (TUF 4.3).

use alloc::collections::BTreeMap;
use alloc::string::ToString;

use crate::authority::{Authority, RoleKeys};
use crate::canonical;
use crate::document::{Decode, Document, SignatureForm};
use crate::envelope::Payload;
use crate::error::MetadataError;
use crate::field::{Fields, with};
use crate::header::{Header, Role, RoleType};
use crate::json::Object;
use crate::key::{Key, KeyId, decode_keys, keys_to_value};
use crate::time::UtcTime;

/// The content of a Root file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Root {
    /// The fields all roles share.
    pub header: Header,
    /// Whether files are published under version and hash prefixes (TUF 6.2).
    pub consistent_snapshot: bool,
    /// All keys by id.
    pub keys: BTreeMap<KeyId, Key>,
    /// The four top-level roles; all are present.
    pub roles: BTreeMap<RoleType, RoleKeys>,
    /// Further entries of `roles`, such as `mirrors`, kept and signed over.
    pub other_roles: Object,
    /// Unknown fields, kept and signed over.
    pub extra: Object,
}

impl Document for Root {
    const NAME: &'static str = Self::TYPE.name();
    const SIGNATURES: SignatureForm = SignatureForm::Plain;
}

impl Role for Root {
    const TYPE: RoleType = RoleType::Root;

    fn header(&self) -> &Header {
        &self.header
    }

    fn extra(&self) -> &Object {
        &self.extra
    }
}

impl Root {
    /// A first Root, version 1, without keys: every role has threshold 1 and nobody to meet it.
    pub fn new(expires: UtcTime, consistent_snapshot: bool) -> Self {
        Self {
            header: Header::new(1, expires),
            consistent_snapshot,
            keys: BTreeMap::new(),
            roles: RoleType::ALL
                .map(|kind| (kind, RoleKeys::new([], 1)))
                .into(),
            other_roles: Object::new(),
            extra: Object::new(),
        }
    }

    /// The same content as the next version, for editing.
    #[must_use]
    pub fn next(&self, expires: UtcTime) -> Self {
        Self {
            header: self.header.next(expires),
            ..self.clone()
        }
    }

    /// Lists `key` for `role`; no effect if it is listed.
    pub fn add_key(&mut self, role: RoleType, key: Key) -> KeyId {
        let id = key.id();
        self.keys.entry(id.clone()).or_insert(key);
        let role = self
            .roles
            .entry(role)
            .or_insert_with(|| RoleKeys::new([], 1));
        if !role.keyids.contains(&id) {
            role.keyids.push(id.clone());
        }
        id
    }

    /// Takes a key away from `role`, and from the file when no role lists it any more.
    /// Whether the role listed it.
    pub fn remove_key(&mut self, role: RoleType, id: &KeyId) -> bool {
        let Some(role) = self.roles.get_mut(&role) else {
            return false;
        };
        let before = role.keyids.len();
        role.keyids.retain(|known| known != id);
        let removed = role.keyids.len() < before;
        if !self.roles.values().any(|role| role.keyids.contains(id)) {
            self.keys.remove(id);
        }
        removed
    }

    /// Who may sign `role`, as this file claims. Whether the file may be believed is not asked
    /// here: a client goes through `Current<Root>` of the verifier.
    pub fn claimed_authority(&self, role: RoleType) -> Authority {
        let nobody = RoleKeys::new([], u32::MAX);
        let keys = self.roles.get(&role).unwrap_or(&nobody);
        Authority::assume(role.name(), keys, &self.keys)
    }

    pub(crate) fn root_authority(&self) -> Authority {
        self.claimed_authority(RoleType::Root)
    }

    /// The canonical payload of this content, to be signed.
    pub fn to_payload(&self) -> alloc::string::String {
        let mut roles = self.other_roles.clone();
        for (kind, keys) in &self.roles {
            roles.insert(kind.to_string(), keys.to_members().into());
        }
        let members = with(
            &self.header.to_members(Self::TYPE, &self.extra),
            [
                ("consistent_snapshot", self.consistent_snapshot.into()),
                ("keys", keys_to_value(&self.keys)),
                ("roles", roles.into()),
            ],
        );
        canonical::encode(&members.into())
    }
}

impl Decode for Root {
    fn decode(payload: &Payload) -> Result<Self, MetadataError> {
        let mut fields = Fields::of_payload("signed", payload)?;
        let header = Header::decode(&mut fields, Self::TYPE)?;
        // Absent in files older than consistent snapshots (TUF 4.3).
        let consistent_snapshot = fields.boolean("consistent_snapshot")?.unwrap_or(false);
        let keys = decode_keys(fields.fields("keys")?)?;
        let mut listed = fields.fields("roles")?;
        let mut roles = BTreeMap::new();
        for kind in RoleType::ALL {
            roles.insert(kind, RoleKeys::decode(listed.fields(kind.name())?)?);
        }
        let root = Self {
            header,
            consistent_snapshot,
            keys,
            roles,
            other_roles: listed.rest(),
            extra: fields.rest(),
        };
        root.check_own_threshold()?;
        Ok(root)
    }
}

impl Root {
    /// A Root that its own role can never sign would end the chain for good.
    fn check_own_threshold(&self) -> Result<(), MetadataError> {
        let can_be_met = self.roles.get(&RoleType::Root).is_some_and(|own| {
            let known = own.keyids.iter().filter(|id| self.keys.contains_key(id));
            own.threshold as usize <= known.count()
        });
        match can_be_met {
            true => Ok(()),
            false => Err(MetadataError::field(
                "signed.roles.root.threshold",
                "is above the number of the role's keys",
            )),
        }
    }
}
