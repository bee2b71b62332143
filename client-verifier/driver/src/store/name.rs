//! What is kept, and under which file name.

use std::fmt::Write;

use countersign_verifier::StoreName;

/// The file name without ending: one path component, whatever the role is called.
///
/// A delegated role is percent-encoded except for the unreserved characters of RFC 3986. One
/// that is called like a top-level role has its first letter encoded, so that it never takes
/// that role's place.
pub fn file_stem(name: &StoreName) -> String {
    match name {
        StoreName::Root => "root".to_owned(),
        StoreName::RootHistory(version) => format!("{version}.root"),
        StoreName::Timestamp => "timestamp".to_owned(),
        StoreName::Snapshot => "snapshot".to_owned(),
        StoreName::Targets => "targets".to_owned(),
        // No encoded name of a delegated role has a `+`.
        StoreName::TargetsOutline => "outline+targets".to_owned(),
        StoreName::Delegated(role) => encode(role),
        StoreName::OfflineSnapshot => "offline+snapshot".to_owned(),
        StoreName::OfflineTargets(name) => format!("offline+targets+{}", encode(name)),
    }
}

fn encode(role: &str) -> String {
    let taken = matches!(role, "root" | "timestamp" | "snapshot" | "targets");
    let mut out = String::with_capacity(role.len());
    for (i, byte) in role.bytes().enumerate() {
        let plain = byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~');
        if plain && !(taken && i == 0) {
            out.push(char::from(byte));
        } else {
            // Writing to a String cannot fail.
            let _ = write!(out, "%{byte:02X}");
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn role_names_become_one_harmless_component() {
        for (role, stem) in [
            ("a-b.c_d~9", "a-b.c_d~9"),
            ("../x", "..%2Fx"),
            ("?", "%3F"),
            ("a b%2F", "a%20b%252F"),
            ("ä", "%C3%A4"),
            ("nul\0", "nul%00"),
            ("", ""),
            ("root", "%72oot"),
            ("targets", "%74argets"),
            ("1.root", "1.root"),
        ] {
            assert_eq!(
                super::file_stem(&StoreName::Delegated(role.into())),
                stem,
                "{role:?}"
            );
        }
    }

    #[test]
    fn no_two_roles_share_a_name() {
        let roles = [
            "root", "%72oot", "ROOT", "a/b", "a%2Fb", "a%2fb", "", ".", "..", " ",
        ];
        let stems: std::collections::BTreeSet<_> = roles
            .iter()
            .map(|r| file_stem(&StoreName::Delegated((*r).into())))
            .collect();
        assert_eq!(stems.len(), roles.len());
    }
}
