//! The members of an object, as a sorted list.
//!
//! Most objects have a few members. A list takes as much memory as these need, where a tree takes a
//! node for eleven at least, and less code than a tree does.

use alloc::string::String;
use alloc::vec::{self, Vec};
use core::fmt;
use core::iter;
use core::ops::Index;
use core::slice;

use super::Value;

/// The members of an object, in code-point order of their keys.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Object {
    /// Sorted by key, each key once.
    members: Vec<(String, Value)>,
}

/// Members by reference.
pub type Iter<'a> = iter::Map<slice::Iter<'a, (String, Value)>, ByRef>;

type ByRef = fn(&(String, Value)) -> (&String, &Value);

impl Object {
    /// Without members.
    pub const fn new() -> Self {
        Self {
            members: Vec::new(),
        }
    }

    /// Of members that are in order, each key once.
    pub(crate) fn of_sorted(members: Vec<(String, Value)>) -> Self {
        Self { members }
    }

    /// How many members there are.
    pub fn len(&self) -> usize {
        self.members.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.members.is_empty()
    }

    /// The value of `key`.
    pub fn get(&self, key: &str) -> Option<&Value> {
        let at = self.place(key).ok()?;
        self.members.get(at).map(|(_, value)| value)
    }

    /// The value of `key`, to change it.
    pub fn get_mut(&mut self, key: &str) -> Option<&mut Value> {
        let at = self.place(key).ok()?;
        self.members.get_mut(at).map(|(_, value)| value)
    }

    /// Whether there is a member of this key.
    pub fn contains_key(&self, key: &str) -> bool {
        self.place(key).is_ok()
    }

    /// Sets the value of `key`; the one that it had. Cheap at the end only: what is large is collected.
    pub fn insert(&mut self, key: String, value: Value) -> Option<Value> {
        match self.place(&key) {
            Ok(at) => {
                let (_, known) = self.members.get_mut(at)?;
                Some(core::mem::replace(known, value))
            }
            Err(at) => {
                // Which is never beyond the end; without this, the compiler has that asked with a panic.
                let at = at.min(self.members.len());
                self.members.insert(at, (key, value));
                None
            }
        }
    }

    /// Takes a member away; its value.
    pub fn remove(&mut self, key: &str) -> Option<Value> {
        let value = core::mem::replace(self.get_mut(key)?, Value::Null);
        // Not `Vec::remove`, which asks with a panic whether there is such a place.
        self.members.retain(|(known, _)| known != key);
        Some(value)
    }

    /// Takes the last member away.
    pub fn pop_last(&mut self) -> Option<(String, Value)> {
        self.members.pop()
    }

    /// Keeps the members for which `keep` is true.
    pub fn retain(&mut self, mut keep: impl FnMut(&String, &mut Value) -> bool) {
        self.members.retain_mut(|(key, value)| keep(key, value));
    }

    /// Takes all members away.
    pub fn clear(&mut self) {
        self.members.clear();
    }

    /// The members, in order.
    pub fn iter(&self) -> Iter<'_> {
        self.members.iter().map(|(key, value)| (key, value))
    }

    /// The keys, in order.
    pub fn keys(&self) -> impl DoubleEndedIterator<Item = &String> + ExactSizeIterator {
        self.members.iter().map(|(key, _)| key)
    }

    /// The values, in the order of their keys.
    pub fn values(&self) -> impl DoubleEndedIterator<Item = &Value> + ExactSizeIterator {
        self.members.iter().map(|(_, value)| value)
    }

    /// The values, in the order of their keys, to change them.
    pub fn values_mut(&mut self) -> impl DoubleEndedIterator<Item = &mut Value> {
        self.members.iter_mut().map(|(_, value)| value)
    }

    /// Where the member of this key is, or would be.
    fn place(&self, key: &str) -> Result<usize, usize> {
        self.members
            .binary_search_by(|(known, _)| known.as_str().cmp(key))
    }

    /// Puts members in order again. Of those that have a key in common the last stays.
    fn order(&mut self) {
        if is_sorted(&self.members) {
            return;
        }
        self.members.sort_by(|(a, _), (b, _)| a.cmp(b));
        self.members.dedup_by(|(key, value), (before, kept)| {
            let same = key == before;
            if same {
                core::mem::swap(value, kept);
            }
            same
        });
    }
}

fn is_sorted(members: &[(String, Value)]) -> bool {
    members.is_sorted_by(|(a, _), (b, _)| a < b)
}

impl fmt::Debug for Object {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self).finish()
    }
}

/// The value of a key that is there.
///
/// # Panics
/// If it is not.
impl Index<&str> for Object {
    type Output = Value;

    fn index(&self, key: &str) -> &Value {
        match self.get(key) {
            Some(value) => value,
            None => panic!("no member of this key"),
        }
    }
}

impl Extend<(String, Value)> for Object {
    fn extend<I: IntoIterator<Item = (String, Value)>>(&mut self, members: I) {
        self.members.extend(members);
        self.order();
    }
}

impl FromIterator<(String, Value)> for Object {
    fn from_iter<I: IntoIterator<Item = (String, Value)>>(members: I) -> Self {
        let mut object = Self {
            members: members.into_iter().collect(),
        };
        object.order();
        object
    }
}

impl<const N: usize> From<[(String, Value); N]> for Object {
    fn from(members: [(String, Value); N]) -> Self {
        members.into_iter().collect()
    }
}

impl IntoIterator for Object {
    type Item = (String, Value);
    type IntoIter = vec::IntoIter<(String, Value)>;

    fn into_iter(self) -> Self::IntoIter {
        self.members.into_iter()
    }
}

impl<'a> IntoIterator for &'a Object {
    type Item = (&'a String, &'a Value);
    type IntoIter = Iter<'a>;

    fn into_iter(self) -> Iter<'a> {
        self.iter()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::collections::BTreeMap;
    use alloc::string::ToString;
    use proptest::prelude::*;

    fn members() -> impl Strategy<Value = Vec<(String, u64)>> {
        proptest::collection::vec(("[a-eé]{0,2}", 0_u64..9), 0..12)
    }

    fn values(members: &[(String, u64)]) -> impl Iterator<Item = (String, Value)> {
        members
            .iter()
            .map(|(key, number)| (key.clone(), (*number).into()))
    }

    /// Whether both have the same members in the same order.
    fn same(object: &Object, map: &BTreeMap<String, Value>) -> bool {
        object.iter().eq(map) && object.len() == map.len()
    }

    proptest! {
        #[test]
        fn an_object_is_what_a_map_is(first in members(), more in members(), gone in members()) {
            let mut map: BTreeMap<String, Value> = values(&first).collect();
            let mut object: Object = values(&first).collect();
            prop_assert!(same(&object, &map));
            map.extend(values(&more));
            object.extend(values(&more));
            prop_assert!(same(&object, &map));
            for (key, value) in values(&gone) {
                prop_assert_eq!(object.get(&key), map.get(&key));
                prop_assert_eq!(object.contains_key(&key), map.contains_key(&key));
                prop_assert_eq!(object.remove(&key), map.remove(&key));
                prop_assert_eq!(object.insert("b".to_string(), value.clone()), map.insert("b".into(), value));
                prop_assert!(same(&object, &map));
            }
        }
    }
}
