//! Changing `repo.toml` without touching what people wrote around the changed entries.

use std::path::Path;

use countersign_metadata::RoleType;
use toml_edit::{Array, DocumentMut, Item, Table, Value, value};

use crate::error::RepoError;
use crate::files;
use crate::keys::is_uri;
use crate::policy::{Policy, Span};
use crate::repository::Repository;

impl Repository {
    /// Changes the policy's text; nothing is written unless the result is a policy.
    pub(crate) fn edit_policy(
        &mut self,
        change: impl FnOnce(&mut DocumentMut),
    ) -> Result<(), RepoError> {
        let path = self.policy_path();
        let text = files::read(&path)?.unwrap_or_default();
        let text = String::from_utf8(text).map_err(|_| fail(&path, "is not UTF-8"))?;
        let mut document: DocumentMut = text.parse().map_err(|error| fail(&path, error))?;
        change(&mut document);
        let changed = document.to_string();
        if changed != text {
            self.policy = Policy::parse(&changed, &path)?;
            self.home.write(&path, changed.as_bytes())?;
        }
        Ok(())
    }
}

fn fail(path: &Path, what: impl ToString) -> RepoError {
    RepoError::Policy {
        path: path.into(),
        what: what.to_string(),
    }
}

/// Sets what is known here of a delegated role. The keys that it had are kept among the retired
/// ones: the published state still needs them until the change is published, and again if the
/// change is discarded.
pub(crate) fn set_delegation(policy: &mut DocumentMut, role: &str, keys: &[String], expires: Span) {
    let all = table(policy.as_table_mut(), "delegations");
    all.set_implicit(true);
    let entry = table(all, role);
    let before = list(entry, "keys").iter().filter_map(Value::as_str);
    let former: Vec<String> = before
        .filter(|key| is_uri(key) && !keys.iter().any(|new| new == key))
        .map(str::to_owned)
        .collect();
    set_list(entry, "keys", keys);
    set_value(entry, "expires", expires.to_string());
    for key in &former {
        retire(policy, key);
    }
    if policy.contains_key("retired_keys") {
        let listed = |known: &Value| keys.iter().any(|key| known.as_str() == Some(key));
        list(policy.as_table_mut(), "retired_keys").retain(|known| !listed(known));
    }
}

/// Lists a key for a top-level role.
pub(crate) fn add_key(policy: &mut DocumentMut, role: RoleType, key: &str) {
    let keys = list(role_table(policy, role), "keys");
    if !keys.iter().any(|known| known.as_str() == Some(key)) {
        keys.push(key);
    }
}

/// Takes a key away from a top-level role, and keeps it among the retired ones: the way over to
/// the new keys still needs its signature.
pub(crate) fn retire_key(policy: &mut DocumentMut, role: RoleType, key: &str) {
    let keys = list(role_table(policy, role), "keys");
    keys.retain(|known| known.as_str() != Some(key));
    retire(policy, key);
}

fn retire(policy: &mut DocumentMut, key: &str) {
    let retired = list(policy.as_table_mut(), "retired_keys");
    if !retired.iter().any(|known| known.as_str() == Some(key)) {
        retired.push(key);
    }
}

/// Sets all keys of a top-level role.
pub(crate) fn set_keys(policy: &mut DocumentMut, role: RoleType, keys: &[String]) {
    set_list(role_table(policy, role), "keys", keys);
}

/// Sets all retired keys.
pub(crate) fn set_retired(policy: &mut DocumentMut, keys: &[String]) {
    if !keys.is_empty() || policy.contains_key("retired_keys") {
        set_list(policy.as_table_mut(), "retired_keys", keys);
    }
}

/// A list that says the same already stays as people wrote it.
fn set_list(parent: &mut Table, name: &str, entries: &[String]) {
    let old = list(parent, name);
    let same = old.len() == entries.len()
        && entries
            .iter()
            .all(|entry| old.iter().any(|known| known.as_str() == Some(entry)));
    if !same {
        set_value(parent, name, entries.iter().collect::<Array>());
    }
}

/// Sets a value and keeps the comment behind it.
fn set_value(parent: &mut Table, name: &str, new: impl Into<Value>) {
    let mut new = new.into();
    if let Some(old) = parent.get(name).and_then(Item::as_value) {
        *new.decor_mut() = old.decor().clone();
    }
    parent[name] = Item::Value(new);
}

/// Sets a top-level role's threshold.
pub(crate) fn set_threshold(policy: &mut DocumentMut, role: RoleType, threshold: u32) {
    set_value(role_table(policy, role), "threshold", i64::from(threshold));
}

fn role_table(policy: &mut DocumentMut, role: RoleType) -> &mut Table {
    table(table(policy.as_table_mut(), "roles"), role.name())
}

/// The sub-table `name`, made if it is not there. A table of another form (an inline one) is
/// rewritten as a plain one.
fn table<'a>(parent: &'a mut Table, name: &str) -> &'a mut Table {
    let item = parent.entry(name).or_insert_with(toml_edit::table);
    if !item.is_table() {
        let old = std::mem::take(item);
        *item = Item::Table(old.into_table().unwrap_or_default());
    }
    match item {
        Item::Table(table) => table,
        // Just made one.
        _ => unreachable!("an item that was set to a table is one"),
    }
}

fn list<'a>(parent: &'a mut Table, name: &str) -> &'a mut Array {
    let item = parent.entry(name).or_insert_with(|| value(Array::new()));
    if !item.is_array() {
        *item = value(Array::new());
    }
    match item.as_array_mut() {
        Some(array) => array,
        None => unreachable!("an item that was set to an array is one"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn comments_survive_and_retired_keys_are_kept() {
        let text =
            "# mine\n[roles.timestamp] # online\nthreshold = 1\nkeys = [\"file:a\"] # here\n";
        let mut policy: DocumentMut = text.parse().expect("toml");
        add_key(&mut policy, RoleType::Timestamp, "file:b");
        add_key(&mut policy, RoleType::Timestamp, "file:b");
        retire_key(&mut policy, RoleType::Timestamp, "file:a");
        set_delegation(&mut policy, "fw", &["file:f".into()], Span::MAX);
        let text = policy.to_string();
        for part in [
            "# mine",
            "# online",
            "# here",
            "keys = [\"file:b\"]",
            "retired_keys = [\"file:a\"]",
            "[delegations.fw]",
        ] {
            assert!(text.contains(part), "{part} in {text}");
        }
    }

    #[test]
    fn a_delegated_role_gets_other_keys_and_its_former_ones_are_retired() {
        let text = "# mine\n\n[delegations.fw] # firmware\nkeys = [\"file:a\", \"fw.pub\"] # here\n\
                    expires = \"30d\" # a month\n";
        let mut policy: DocumentMut = text.parse().expect("toml");
        let month: Span = "30d".parse().expect("a span");
        let mut set = |keys: &[&str]| {
            let keys: Vec<String> = keys.iter().map(|key| (*key).to_owned()).collect();
            set_delegation(&mut policy, "fw", &keys, month);
            policy.to_string()
        };
        assert_eq!(set(&["file:a", "fw.pub"]), text);
        let changed = text.replace("\"file:a\", \"fw.pub\"", "\"file:b\"");
        for _ in 0..2 {
            let expected = format!("retired_keys = [\"file:a\"]\n{changed}");
            assert_eq!(set(&["file:b"]), expected);
        }
        let back = set(&["file:a"]);
        assert!(back.contains("retired_keys = [\"file:b\"]"), "{back}");
    }
}
