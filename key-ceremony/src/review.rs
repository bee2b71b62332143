//! What changes from one Root to the next, for people to read before they sign.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use countersign_metadata::{Key, KeyId, PublicKey, Role, Root};
use serde::Serialize;

use crate::error::CeremonyError;
use crate::root_role::{RootRole, follow_further};
use crate::words::{fingerprint, key_fingerprint};

/// The differences between two Roots, or what a first Root says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Diff {
    /// The version before; `None` for a first Root.
    pub from: Option<u64>,
    /// The version after.
    pub to: u64,
    /// When the new one expires.
    pub expires: String,
    /// When the old one expires.
    pub expired: Option<String>,
    /// Whether files are published under version and hash prefixes (TUF 6.2).
    pub consistent_snapshot: bool,
    /// The four roles, in the order of TUF; then the further ones that one of the Roots names.
    pub roles: Vec<RoleDiff>,
    /// Further fields that change, by name.
    pub other: Vec<String>,
}

/// What changes in one role.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct RoleDiff {
    /// The role.
    pub role: String,
    /// The threshold before.
    pub threshold_before: Option<u32>,
    /// The threshold after; 0 if nobody signs for it any more.
    pub threshold: u32,
    /// Keys that can sign it from now on and could not before.
    pub gains: Vec<NamedKey>,
    /// Keys that could sign it and cannot any more.
    pub loses: Vec<NamedKey>,
    /// Keys that stay.
    pub stays: Vec<NamedKey>,
}

/// A key as people tell it apart.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct NamedKey {
    /// Its id.
    pub keyid: String,
    /// The id's fingerprint in words, which the holder was shown when the key was made.
    pub words: String,
    /// Its scheme.
    pub scheme: String,
    /// Who holds it, if known.
    pub holder: Option<String>,
}

impl Diff {
    /// Compares. `holder` names the holders of keys of a role where it can.
    pub fn new(
        before: Option<&Root>,
        after: &Root,
        holder: impl Fn(RootRole, &KeyId, Option<&PublicKey>) -> Option<String>,
    ) -> Self {
        let named = |role: &RootRole| {
            let roots = before.into_iter().chain([after]);
            roots.into_iter().any(|root| role.listed_in(root).is_some())
        };
        let roles = RootRole::all().filter(named);
        let roles = roles.map(|role| role_diff(role, before, after, &holder));
        let mut other = Vec::new();
        if let Some(before) = before {
            if before.consistent_snapshot != after.consistent_snapshot {
                other.push("consistent_snapshot".to_owned());
            }
            if before.other_roles != after.other_roles {
                other.push("roles (others than the four)".into());
            }
            let mut shown = before.clone();
            follow_further(&mut shown, after);
            if shown.extra != after.extra {
                other.push("fields that TUF does not know".into());
            }
        }
        Self {
            from: before.map(Role::version),
            to: after.version(),
            expires: after.expires().to_string(),
            expired: before.map(|root| root.expires().to_string()),
            consistent_snapshot: after.consistent_snapshot,
            roles: roles.collect(),
            other,
        }
    }

    /// The holders that are known, by key id.
    pub(crate) fn holders(&self) -> BTreeMap<String, String> {
        let keys = self.roles.iter();
        let keys = keys.flat_map(|role| role.gains.iter().chain(&role.loses).chain(&role.stays));
        keys.filter_map(|key| Some((key.keyid.clone(), key.holder.clone()?)))
            .collect()
    }

    /// As text, one line for each fact.
    pub fn to_text(&self) -> String {
        let mut text = match self.from {
            Some(from) => format!("root {from} -> {}", self.to),
            None => format!("root {}, the first one", self.to),
        };
        // Writing to a String cannot fail.
        let _ = match &self.expired {
            Some(expired) if *expired != self.expires => {
                write!(text, "\n  expires {} (before: {expired})", self.expires)
            }
            _ => write!(text, "\n  expires {}", self.expires),
        };
        let _ = write!(
            text,
            "\n  consistent snapshot: {}",
            yes_or_no(self.consistent_snapshot)
        );
        for role in &self.roles {
            let keys = role.gains.len() + role.stays.len();
            let _ = write!(text, "\n  {}: {} of {keys}", role.role, role.threshold);
            if let Some(before) = role.threshold_before.filter(|b| *b != role.threshold) {
                let _ = write!(text, " (threshold before: {before})");
            }
            for (mark, word, keys) in [
                ('+', "gains", &role.gains),
                ('-', "loses", &role.loses),
                (' ', "keeps", &role.stays),
            ] {
                for key in keys {
                    let _ = write!(text, "\n    {mark} {word} {}", key.to_text());
                    if word == "gains" {
                        let _ = write!(text, "\n        {}", key.words);
                    }
                }
            }
        }
        for field in &self.other {
            let _ = write!(text, "\n  also changes: {field}");
        }
        text
    }
}

impl NamedKey {
    /// `anna  ed25519  1a2b3c4d5e6f7081`
    pub fn to_text(&self) -> String {
        let short: String = self.keyid.chars().take(16).collect();
        let holder = self.holder.as_deref().unwrap_or("(holder not named)");
        // A Root may name schemes and key ids as it likes.
        let (scheme, short) = (self.scheme.escape_debug(), short.escape_debug());
        format!("{holder}  {scheme}  {short}")
    }
}

/// What has to be typed to confirm a Root: its version and the first and last word of its
/// fingerprint.
pub fn confirmation(root: &Root) -> String {
    let words = fingerprint(root.to_payload().as_bytes());
    format!("root {} {}", root.version(), first_and_last(&words))
}

/// `anchor velvet`, of a fingerprint that begins and ends with these words.
pub(crate) fn first_and_last(words: &str) -> String {
    let first = words.split(' ').next().unwrap_or_default();
    let last = words.split(' ').next_back().unwrap_or_default();
    format!("{first} {last}")
}

/// Whether what was typed is what is `wanted`; case and spaces are free.
pub(crate) fn check_confirmation(typed: &str, wanted: &str) -> Result<(), CeremonyError> {
    let typed_words = typed.split_whitespace().map(str::to_lowercase);
    match typed_words.eq(wanted.split(' ')) {
        true => Ok(()),
        false => Err(CeremonyError::NotConfirmed(format!(
            "{typed:?} does not confirm this; nothing was signed or recorded. Compare what is \
             shown with what was agreed, then type: {wanted}"
        ))),
    }
}

fn yes_or_no(value: bool) -> &'static str {
    match value {
        true => "yes",
        false => "no",
    }
}

fn role_diff(
    role: RootRole,
    before: Option<&Root>,
    after: &Root,
    holder: &impl Fn(RootRole, &KeyId, Option<&PublicKey>) -> Option<String>,
) -> RoleDiff {
    let (old, new) = (before.map(|root| keys_of(root, role)), keys_of(after, role));
    let old = old.unwrap_or_default();
    let material = |keys: &BTreeMap<KeyId, Key>| -> BTreeSet<PublicKey> {
        keys.values().filter_map(Key::public).collect()
    };
    let (old_material, new_material) = (material(&old), material(&new));
    let named = |id: &KeyId, key: &Key| NamedKey {
        keyid: id.as_str().into(),
        words: key_fingerprint(id),
        scheme: key.scheme.clone(),
        holder: holder(role, id, key.public().as_ref()),
    };
    // A key under another id is the same key.
    let select = |keys: &BTreeMap<KeyId, Key>, among: &BTreeSet<PublicKey>, is_in: bool| {
        let same = |key: &Key| key.public().is_some_and(|key| among.contains(&key)) == is_in;
        let found = keys.iter().filter(|(_, key)| same(key));
        found.map(|(id, key)| named(id, key)).collect::<Vec<_>>()
    };
    let threshold = |root: &Root| Some(role.listed_in(root)?.role.threshold);
    RoleDiff {
        role: role.name().into(),
        threshold_before: before.and_then(threshold),
        threshold: threshold(after).unwrap_or_default(),
        gains: select(&new, &old_material, false),
        loses: select(&old, &new_material, false),
        stays: select(&new, &old_material, true),
    }
}

fn keys_of(root: &Root, role: RootRole) -> BTreeMap<KeyId, Key> {
    let listed = role.listed_in(root);
    listed.map(|listed| listed.keys).unwrap_or_default()
}
