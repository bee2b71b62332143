//! Values, layouts and roles at random.

use countersign_metadata::canonical::{encode, to_json};
use countersign_metadata::json::{Object, Value};
use countersign_metadata::{
    DelegatedRole, Delegation, Delegations, Hashes, Key, KeyId, MetaFile, MultiRole, PathSet,
    RoleKeys, RoleType, Roles, Root, Snapshot, SuccinctRoles, TargetFile, TargetPath,
    TargetsBuilder, Timestamp, UtcTime,
};
use proptest::collection::{btree_map, vec};
use proptest::prelude::*;

use crate::common::TestKey;
use crate::generate_uptane::hardware_id;

/// Text with everything in it that an encoder can get wrong.
pub fn text() -> impl Strategy<Value = String> {
    prop_oneof![
        "[a-z]{0,6}",
        "[ -~]{0,12}",
        "[\"\\\\/\u{0}-\u{1f}\u{7f}a]{0,10}",
        any::<String>(),
        proptest::sample::select(vec!["\u{e9}", "e\u{301}", "\u{ffff}", "😀", "\u{2028}", ""])
            .prop_map(String::from),
    ]
}

pub fn value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::Bool),
        any::<i64>().prop_map(|number| Value::Integer(number.into())),
        any::<u64>().prop_map(|number| Value::Integer(number.into())),
        text().prop_map(Value::String),
    ];
    leaf.prop_recursive(6, 60, 6, |inner| {
        prop_oneof![
            vec(inner.clone(), 0..6).prop_map(Value::Array),
            btree_map(text(), inner, 0..6)
                .prop_map(|members| Value::Object(members.into_iter().collect())),
        ]
    })
}

/// Bytes that stand for choices; zeros when they run out.
pub struct Dice(pub std::vec::IntoIter<u8>);

impl Dice {
    fn roll(&mut self) -> u8 {
        self.0.next().unwrap_or(0)
    }

    fn space(&mut self) -> &'static str {
        ["", "", "", "", "", " ", "\n", "\t\r"][usize::from(self.roll() % 8)]
    }
}

/// JSON text of a value, laid out at random: white space, key order, escapes, and now and then
/// a duplicate key, which is not allowed.
pub fn layout(value: &Value, dice: &mut Dice) -> String {
    match value {
        Value::Array(items) => {
            let mut parts = Vec::new();
            for item in items {
                let (before, after) = (dice.space(), dice.space());
                parts.push(format!("{before}{}{after}", layout(item, dice)));
            }
            format!("[{}]", parts.join(","))
        }
        Value::Object(members) => {
            let mut parts = Vec::new();
            for (key, item) in members {
                let (before, after, flip) = (dice.space(), dice.space(), dice.roll());
                let key = layout_text(key, dice);
                let part = format!("{before}{key}:{after}{}", layout(item, dice));
                match flip % 16 {
                    1 => parts.insert(0, part),
                    2 => parts.extend([part.clone(), part]),
                    _ => parts.push(part),
                }
            }
            format!("{{{}}}", parts.join(","))
        }
        Value::String(text) => layout_text(text, dice),
        other => encode(other),
    }
}

fn layout_text(text: &str, dice: &mut Dice) -> String {
    let mut out = String::from("\"");
    for character in text.chars() {
        let roll = dice.roll();
        if roll % 32 == 1 {
            let mut units = [0; 2];
            for unit in character.encode_utf16(&mut units) {
                out.push_str(&format!("\\u{unit:04x}"));
            }
        } else if character == '/' && roll % 2 == 1 {
            out.push_str("\\/");
        } else {
            let plain = to_json(&encode(&Value::String(character.into())));
            out.push_str(&plain[1..plain.len() - 1]);
        }
    }
    out.push('"');
    out
}

pub fn time() -> impl Strategy<Value = UtcTime> {
    (0_i64..=253_402_300_799).prop_map(|seconds| UtcTime::from_unix(seconds).unwrap())
}

/// Unknown fields. The names cannot collide with known ones.
pub fn extra() -> impl Strategy<Value = Object> {
    let name = text().prop_map(|name| format!("x{name}"));
    btree_map(name, value(), 0..3).prop_map(|members| members.into_iter().collect())
}

fn key() -> impl Strategy<Value = Key> {
    let known = any::<u8>().prop_map(|number| TestKey::new(number).key());
    let unknown =
        (text(), text(), extra(), extra()).prop_map(|(keytype, scheme, keyval, extra)| Key {
            keytype,
            scheme,
            keyval,
            extra,
        });
    prop_oneof![known, unknown]
}

pub fn keyid() -> impl Strategy<Value = KeyId> {
    text().prop_map(|text| {
        crate::common::id(&format!("k{}", text.chars().take(50).collect::<String>()))
    })
}

fn role_keys() -> impl Strategy<Value = RoleKeys> {
    (
        proptest::collection::btree_set(keyid(), 0..4),
        1_u32..,
        extra(),
    )
        .prop_map(|(ids, threshold, extra)| RoleKeys {
            extra,
            ..RoleKeys::new(ids, threshold)
        })
}

pub fn hashes() -> impl Strategy<Value = Hashes> {
    (any::<[u8; 8]>(), 0..3_u8, extra()).prop_map(|(seed, which, other)| {
        let all = Hashes {
            other,
            ..Hashes::of(&seed)
        };
        match which {
            0 => all,
            1 => Hashes {
                sha256: None,
                ..all
            },
            _ => Hashes {
                sha512: None,
                ..all
            },
        }
    })
}

fn meta_file() -> impl Strategy<Value = MetaFile> {
    (
        1_u64..,
        proptest::option::of(any::<u64>()),
        proptest::option::of(hashes()),
        extra(),
    )
        .prop_map(|(version, length, hashes, extra)| MetaFile {
            version,
            length,
            hashes,
            extra,
        })
}

pub fn root() -> impl Strategy<Value = Root> {
    let keys = btree_map(keyid(), key(), 0..4);
    let roles = [role_keys(), role_keys(), role_keys()];
    (
        time(),
        any::<bool>(),
        keys,
        roles,
        extra(),
        extra(),
        1_u64..,
    )
        .prop_map(
            |(expires, consistent, keys, [a, b, c], other_roles, extra, version)| {
                let mut root = Root::new(expires, consistent);
                root.header.version = version;
                root.keys = keys;
                root.add_key(RoleType::Root, TestKey::new(1).key());
                root.roles.extend([
                    (RoleType::Timestamp, a),
                    (RoleType::Snapshot, b),
                    (RoleType::Targets, c),
                ]);
                Root {
                    other_roles,
                    extra,
                    ..root
                }
            },
        )
}

pub fn snapshot() -> impl Strategy<Value = Snapshot> {
    (time(), btree_map(text(), meta_file(), 0..5), extra()).prop_map(|(expires, meta, extra)| {
        Snapshot {
            meta: meta.into_iter().collect(),
            extra,
            ..Snapshot::new(expires)
        }
    })
}

pub fn timestamp() -> impl Strategy<Value = Timestamp> {
    (time(), meta_file(), extra(), extra()).prop_map(|(expires, file, other_meta, extra)| {
        Timestamp {
            other_meta,
            extra,
            ..Timestamp::new(expires, file)
        }
    })
}

fn path_set() -> impl Strategy<Value = PathSet> {
    (any::<bool>(), vec(text(), 0..4)).prop_map(|(hashed, texts)| match hashed {
        true => PathSet::HashPrefixes(texts),
        false => PathSet::Patterns(texts),
    })
}

/// One role, or as many as there are keys for after the first.
fn delegation() -> impl Strategy<Value = Delegation> {
    let ids = proptest::option::of(proptest::collection::btree_set(hardware_id(), 1..3));
    let ids = ids.prop_map(|ids| ids.map(|ids| ids.into_iter().collect()));
    let shared = (path_set(), ids, any::<bool>(), extra());
    (shared, role_keys(), vec(role_keys(), 0..3)).prop_map(
        |((paths, hardware_ids, terminating, extra), first, more)| match more.is_empty() {
            true => DelegatedRole {
                name: String::new(),
                // A delegated role's own unknown fields are the role's; its keys have none apart.
                role_keys: RoleKeys {
                    extra: Object::new(),
                    ..first
                },
                paths,
                hardware_ids,
                terminating,
                extra,
            }
            .into(),
            false => MultiRole {
                name: String::new(),
                min_roles_in_agreement: 1 + more.len() as u32 / 2,
                roles: more.into_iter().map(|keys| (String::new(), keys)).collect(),
                paths,
                hardware_ids,
                terminating,
                extra,
            }
            .into(),
        },
    )
}

/// The same under names of its own.
fn named(name: String, delegation: Delegation) -> Delegation {
    match delegation {
        Delegation::Role(role) => DelegatedRole { name, ..role }.into(),
        Delegation::Multi(multi) => {
            let roles = multi.roles.into_iter().enumerate();
            let roles = roles.map(|(number, (_, keys))| (format!("m{number}{name}"), keys));
            MultiRole {
                roles: roles.collect(),
                name,
                ..multi
            }
            .into()
        }
    }
}

fn delegations() -> impl Strategy<Value = Delegations> {
    let name = text().prop_map(|name| format!("r{name}"));
    let listed = btree_map(name, delegation(), 0..4).prop_map(|listed| {
        let named = listed.into_iter().map(|(name, entry)| named(name, entry));
        Roles::Listed(named.collect())
    });
    let succinct = (role_keys(), 1_u32..=32, text(), extra()).prop_map(
        |(role_keys, bit_length, name_prefix, extra)| {
            let role_keys = RoleKeys {
                extra: Object::new(),
                ..role_keys
            };
            Roles::Succinct(SuccinctRoles {
                role_keys,
                bit_length,
                name_prefix,
                extra,
            })
        },
    );
    (
        btree_map(keyid(), key(), 0..3),
        prop_oneof![listed, succinct],
        extra(),
    )
        .prop_map(|(keys, roles, extra)| Delegations { keys, roles, extra })
}

pub fn targets() -> impl Strategy<Value = TargetsBuilder> {
    let path = text().prop_filter_map("unsafe path", |text| TargetPath::new(&text).ok());
    let file = (
        any::<u64>(),
        hashes(),
        proptest::option::of(extra()),
        extra(),
    )
        .prop_map(|(length, hashes, custom, extra)| TargetFile {
            length,
            hashes,
            custom,
            extra,
        });
    (
        time(),
        btree_map(path, file, 0..5),
        proptest::option::of(delegations()),
        extra(),
    )
        .prop_map(|(expires, targets, delegations, extra)| TargetsBuilder {
            targets,
            delegations,
            extra,
            ..TargetsBuilder::new(expires)
        })
}
