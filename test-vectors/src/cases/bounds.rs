//! How much of anything a file may have, and the texts just inside and just outside of what is allowed.

use serde_json::json;

use super::Cases;
use super::encoding::{ALL, REFUSED, malformed};
use super::images::IMAGE;
use crate::simulate::Delegation;

pub(super) fn cases(all: &mut Cases) {
    keys(all);
    texts(all);
    header(all);
    names(all);
    links(all);
    nesting(all);
}

fn keys(all: &mut Cases) {
    for (count, good) in [(256, true), (257, false)] {
        all.case(
            &format!("keys/{count}-keyids"),
            &["4.3"],
            "A role with so many keys that counting signatures would take long. 256 are enough for anybody; the bound is ours.",
            |case, repo| {
                repo.forge("root", move |root| {
                    if let Some(ids) = root["roles"]["timestamp"]["keyids"].as_array_mut() {
                        let more = count - ids.len();
                        ids.extend((0..more).map(|number| json!(format!("{number:064x}"))));
                    }
                });
                if good {
                    case.provision(repo);
                    case.refresh(repo).accepts(ALL);
                    return;
                }
                repo.honest();
                case.refresh(repo).accepts(ALL);
                repo.next_root(|_| {});
                repo.forge("root", move |root| {
                    if let Some(ids) = root["roles"]["timestamp"]["keyids"].as_array_mut() {
                        let more = count - ids.len();
                        ids.extend((0..more).map(|number| json!(format!("{number:064x}"))));
                    }
                });
                case.refresh(repo).rejects("malformed", "root", "none", ALL);
            },
        );
    }
}

/// What JSON and its escapes allow.
fn texts(all: &mut Cases) {
    for (name, escaped, good) in [
        ("pair", "\\ud83d\\ude00", true),
        ("first-pair", "\\ud800\\udc00", true),
        ("last-pair", "\\udbff\\udfff", true),
        ("high-alone", "\\ud83d", false),
        ("high-before-a-letter", "\\ud83dx", false),
        ("high-before-another-escape", "\\ud83d\\u0041", false),
        ("high-before-a-line-feed", "\\ud83d\\n", false),
        ("high-twice", "\\ud83d\\ud83d", false),
        (
            "high-before-what-follows-the-low-ones",
            "\\ud83d\\ue000",
            false,
        ),
        ("low-alone", "\\ude00", false),
        ("three-digits", "\\u00e\\\"", false),
        ("unknown-letter", "\\x41", false),
        ("line-feed-as-it-is", "a\nb", false),
        ("unit-separator-as-it-is", "a\u{1f}b", false),
        ("delete-as-it-is", "a\u{7f}b", true),
    ] {
        let note = match good {
            true => "A text in the file that JSON allows.",
            false => "A text in the file that JSON does not allow.",
        };
        all.case(
            &format!("encoding/text-{name}"),
            &["4.2"],
            note,
            |case, repo| {
                // Outside of what is signed: nothing but the parser can mind it.
                repo.tamper("timestamp", move |text| {
                    text.replacen('{', &format!("{{\"x\":\"{escaped}\","), 1)
                });
                match good {
                    true => drop(case.refresh(repo).accepts(ALL)),
                    false => malformed(case, repo),
                }
            },
        );
    }
}

fn header(all: &mut Cases) {
    for (name, spec_version, good) in [
        ("nothing-after-the-point", "1.0.", false),
        ("nothing-between-points", "1..0", false),
        ("nine-digits", "1.0.123456789", true),
        ("ten-digits", "1.0.1234567890", false),
    ] {
        all.case(
            &format!("encoding/spec-version-{name}"),
            &["4.2"],
            "A client reads files of major version 1 in two or three parts, and refuses others.",
            |case, repo| {
                repo.forge("timestamp", move |signed| {
                    signed["spec_version"] = json!(spec_version);
                });
                let step = case.refresh(repo);
                match good {
                    true => step.accepts(ALL),
                    false => step.rejects("unsupported-spec-version", "timestamp", "none", REFUSED),
                };
            },
        );
    }
    all.case(
        "encoding/expires-leap-second",
        &["4.2"],
        "A leap second is no time that all clients would compare in the same way.",
        |case, repo| {
            repo.timestamp.expires = "2098-12-31T23:59:60Z".into();
            malformed(case, repo);
        },
    );
}

fn names(all: &mut Cases) {
    all.case(
        "paths/role-named-mirrors",
        &["4.5"],
        "A delegation to a role with the name that the specification keeps for mirrors.",
        |case, repo| {
            repo.targets().delegations = vec![Delegation::to("supplier", &["supplier/*"])];
            repo.add_role("supplier");
            repo.forge("targets", |signed| {
                signed["delegations"]["roles"][0]["name"] = json!("mirrors");
            });
            case.refresh(repo)
                .rejects("malformed", "targets", "none", [1, 1, 1, 0]);
        },
    );
    // A segment is no longer than a file name; several make a long path.
    let long = |length: usize| {
        let path: String = "segment-of-20-bytes/"
            .chars()
            .cycle()
            .take(length - 4)
            .collect();
        path.trim_end_matches('/').to_owned()
            + &"x".repeat(usize::from(path.ends_with('/')))
            + ".img"
    };
    for (name, path, good) in [
        ("2048-bytes", long(2048), true),
        ("2049-bytes", long(2049), false),
        ("empty", String::new(), false),
    ] {
        all.case(
            &format!("images/name-{name}"),
            &["4.5", "5.7.3"],
            "A path as long as a path may be, a longer one, and none at all. The bound is ours.",
            |case, repo| {
                repo.add_image("targets", &path, IMAGE);
                let step = case.download(repo, &[&path]);
                match good {
                    true => step.accepts(ALL).gets(&path, IMAGE),
                    false => step.rejects("unsafe-filename", "", "arbitrary-software", ALL),
                };
            },
        );
    }
}

/// Several hashes of a metadata file.
fn links(all: &mut Cases) {
    for (name, note, wrong) in [
        (
            "two-hashes",
            "Snapshot is listed with two hashes, and both hold.",
            false,
        ),
        (
            "second-hash-wrong",
            "Snapshot is listed with two hashes. The first one holds, the second does not.",
            true,
        ),
    ] {
        all.case(
            &format!("snapshot/{name}"),
            &["5.5.2"],
            note,
            |case, repo| {
                repo.link_hashes = true;
                let file = repo.made("metadata/1.snapshot.json");
                let sha512 = hex::encode(countersign_metadata::sha512(&file));
                repo.forge("timestamp", move |signed| {
                    signed["meta"]["snapshot.json"]["hashes"]["sha512"] = match wrong {
                        false => json!(sha512),
                        true => json!("00".repeat(64)),
                    };
                });
                let step = case.refresh(repo);
                match wrong {
                    false => step.accepts(ALL),
                    true => {
                        step.rejects("metadata-hash", "snapshot", "mix-and-match", [1, 1, 0, 0])
                    }
                };
            },
        );
    }
}

fn nesting(all: &mut Cases) {
    // The file and what is signed are two levels.
    for (levels, good) in [(62, true), (63, false)] {
        all.case(
            &format!("encoding/nested-{levels}"),
            &["4.2"],
            "A field that the client does not know, nested as deeply as may be, and a level more: 64 in all. The bound is ours.",
            |case, repo| {
                let nested = format!("{}{}", "[".repeat(levels), "]".repeat(levels));
                repo.forge("timestamp", |signed| signed["x"] = json!(7));
                repo.rewrite("timestamp", "\"x\":7", format!("\"x\":{nested}"));
                match good {
                    true => drop(case.refresh(repo).accepts(ALL)),
                    false => malformed(case, repo),
                }
            },
        );
    }
}
