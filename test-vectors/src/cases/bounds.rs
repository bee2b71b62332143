//! How much of anything a file may have, and the texts just inside and just outside of what is allowed.

use serde_json::json;

use super::Cases;
use super::encoding::{ALL, REFUSED, malformed};
use super::images::IMAGE;
use crate::simulate::{Delegation, Json};

pub(super) fn cases(all: &mut Cases) {
    keys(all);
    texts(all);
    header(all);
    names(all);
    links(all);
    nesting(all);
    roots(all);
    values(all);
    layout(all);
    broken(all);
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
        ("high-and-digits-of-a-low-one", "\\ud83dxyde00", false),
        ("low-alone", "\\ude00", false),
        ("three-digits", "\\u00e\\\"", false),
        ("unknown-letter", "\\x41", false),
        ("line-feed-as-it-is", "a\nb", false),
        ("unit-separator-as-it-is", "a\u{1f}b", false),
        ("delete-as-it-is", "a\u{7f}b", true),
    ] {
        let shown = escaped.escape_debug();
        let note = match good {
            true => format!("A text in the file is written {shown}, as JSON allows."),
            false => format!(
                "A text in the file is written {shown}: it is no JSON, or stands for no Unicode text (RFC 7493). Clients would \
                 read it in different ways."
            ),
        };
        all.case(
            &format!("encoding/text-{name}"),
            &["4.2"],
            &note,
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
    for (name, expires) in [
        ("leap-second", "2098-12-31T23:59:60Z"),
        ("minute-60", "2098-12-31T23:60:00Z"),
        ("hour-24", "2098-12-31T24:00:00Z"),
        // What follows 9 in ASCII.
        ("colon-for-a-digit", "209:-12-31T23:59:59Z"),
    ] {
        all.case(
            &format!("encoding/expires-{name}"),
            &["4.2"],
            "A time that is none, or that not all clients would compare in the same way.",
            |case, repo| {
                repo.timestamp.expires = expires.into();
                malformed(case, repo);
            },
        );
    }
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
    all.case(
        "snapshot/two-hashes",
        &["5.5.2"],
        "Snapshot is listed with two hashes, and both hold.",
        |case, repo| {
            repo.link_hashes = true;
            let file = repo.made("metadata/1.snapshot.json");
            let sha512 = hex::encode(countersign_metadata::sha512(&file));
            repo.forge("timestamp", move |signed| {
                signed["meta"]["snapshot.json"]["hashes"]["sha512"] = json!(sha512);
            });
            case.refresh(repo).accepts(ALL);
        },
    );
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

/// Roots without end.
fn roots(all: &mut Cases) {
    all.case(
        "root/too-many",
        &["5.3.3"],
        "More Roots than a client follows in one session, which is 1,024. It stops, keeps what it has, and goes on next time. \
         The bound is ours.",
        |case, repo| {
            for _ in 2..=1030 {
                repo.next_root(|_| {});
            }
            case.refresh(repo)
                .rejects("too-many-roots", "root", "endless-data", [1025, 0, 0, 0]);
            case.refresh(repo).accepts([1030, 1, 1, 1]);
        },
    );
    all.case(
        "root/threshold-out-of-reach",
        &["4.3", "5.3.4"],
        "The next Root asks for two signatures of Root keys, names two key ids and lists one key: nobody could ever follow it.",
        |case, repo| {
            case.refresh(repo).accepts(ALL);
            repo.next_root(|_| {});
            repo.forge("root", |root| {
                root["roles"]["root"]["threshold"] = json!(2);
                if let Some(ids) = root["roles"]["root"]["keyids"].as_array_mut() {
                    ids.push(json!("no-key-has-this-id"));
                }
            });
            case.refresh(repo).rejects("malformed", "root", "none", ALL);
        },
    );
}

type Edit = fn(&mut Json);

/// Values of another kind than they have to be.
fn values(all: &mut Cases) {
    let timestamp: [(&str, &str, Edit); 3] = [
        (
            "entry-as-text",
            "Timestamp's entry for Snapshot is a text.",
            |signed| signed["meta"]["snapshot.json"] = json!("1"),
        ),
        (
            "entry-without-hashes",
            "Timestamp's entry for Snapshot lists hashes, and none in it.",
            |signed| signed["meta"]["snapshot.json"]["hashes"] = json!({}),
        ),
        (
            "entry-hash-not-hexadecimal",
            "Timestamp's entry for Snapshot has a hash that is none.",
            |signed| signed["meta"]["snapshot.json"]["hashes"] = json!({"sha256": "zz".repeat(32)}),
        ),
    ];
    for (name, note, edit) in timestamp {
        let name = format!("timestamp/{name}");
        all.case(&name, &["4.6"], note, |case, repo| {
            repo.forge("timestamp", edit);
            malformed(case, repo);
        });
    }
    let root: [(&str, &str, Edit); 7] = [
        ("role-as-text", "A role's keys are a text.", |root| {
            root["roles"]["timestamp"] = json!("timestamp");
        }),
        ("keys-as-array", "`keys` is an array.", |root| {
            root["keys"] = json!([]);
        }),
        ("keyids-as-text", "`keyids` is a text.", |root| {
            root["roles"]["timestamp"]["keyids"] = json!("timestamp-1");
        }),
        ("keytype-as-number", "`keytype` is a number.", |root| {
            root["keys"]["one-more"] =
                json!({"keytype": 1, "scheme": "ed25519", "keyval": {"public": ""}});
        }),
        ("keyval-as-text", "`keyval` is a text.", |root| {
            root["keys"]["one-more"] =
                json!({"keytype": "ed25519", "scheme": "ed25519", "keyval": "public"});
        }),
        (
            "keyid-of-nothing",
            "A key id without a character.",
            |root| {
                root["roles"]["timestamp"]["keyids"] = json!([""]);
            },
        ),
        (
            "keyid-of-513",
            "A key id of 513 characters, which is one more than may be. The bound is ours.",
            |root| root["roles"]["timestamp"]["keyids"] = json!(["a".repeat(513)]),
        ),
    ];
    for (name, note, edit) in root {
        let name = format!("root/{name}");
        all.case(&name, &["4.3"], note, |case, repo| {
            case.refresh(repo).accepts(ALL);
            repo.next_root(|_| {});
            repo.forge("root", edit);
            case.refresh(repo).rejects("malformed", "root", "none", ALL);
        });
    }
    all.case(
        "root/keyid-of-512",
        &["4.3"],
        "A key id of 512 characters beside the one that signs.",
        |case, repo| {
            repo.forge("root", |root| {
                if let Some(ids) = root["roles"]["timestamp"]["keyids"].as_array_mut() {
                    ids.push(json!("a".repeat(512)));
                }
            });
            case.provision(repo);
            case.refresh(repo).accepts(ALL);
        },
    );
}

/// Other spellings of what was signed: the signature is over the canonical form.
fn layout(all: &mut Cases) {
    let spots: [(&str, &str, &str); 9] = [
        ("after-an-opening-brace", "\"meta\":{", "\"meta\":{ "),
        ("before-a-colon", "\"meta\":", "\"meta\" :"),
        ("after-a-colon", "\"meta\":", "\"meta\": "),
        ("before-a-comma", ",\"x\":", " ,\"x\":"),
        ("after-a-comma", ",\"x\":", ", \"x\":"),
        ("after-an-opening-bracket", "\"x\":[7", "\"x\":[ 7"),
        ("before-a-comma-in-an-array", "7,8]", "7 ,8]"),
        ("after-a-comma-in-an-array", "7,8]", "7, 8]"),
        ("before-a-closing-bracket", "7,8]", "7,8 ]"),
    ];
    for (name, from, to) in spots {
        all.case(
            &format!("encoding/blank-{name}"),
            &["4.2"],
            "One blank where JSON allows it, and nowhere else.",
            |case, repo| {
                repo.forge("timestamp", |signed| signed["x"] = json!([7, 8]));
                repo.tamper("timestamp", move |text| text.replacen(from, to, 1));
                case.refresh(repo).accepts(ALL);
            },
        );
    }
    let rewritings: [(&str, &str, Json, &str, &str); 6] = [
        (
            "order-within-an-array",
            "An object within an array has its members in another order.",
            json!([{"a": 1, "b": 2}]),
            "{\"a\":1,\"b\":2}",
            "{\"b\":2,\"a\":1}",
        ),
        (
            "escape-within-an-array",
            "A text in an object within an array has an escape that need not be.",
            json!([{"a": "b/c"}]),
            "b/c",
            "b\\/c",
        ),
        (
            "quotation-mark-and-blank",
            "A blank stands in a file whose texts have quotation marks and back slashes.",
            json!("a\"b\\c"),
            "\"x\":",
            "\"x\": ",
        ),
        (
            "blank-after-an-escape",
            "A text with a blank and a letter beyond ASCII right after an escape.",
            json!("a\" b\"\u{e9}"),
            "\"x\":",
            "\"x\": ",
        ),
        (
            "order-and-control-characters",
            "The members stand in another order, and a text has control characters.",
            json!({"a": "line\nfeed", "b": 1}),
            "\"a\":\"line\\nfeed\",\"b\":1",
            "\"b\":1,\"a\":\"line\\nfeed\"",
        ),
        (
            "blank-at-the-end",
            "The last text of the file has a blank near its end.",
            json!("a b"),
            "\"x\":",
            "\"x\": ",
        ),
    ];
    for (name, note, value, from, to) in rewritings {
        all.case(
            &format!("encoding/spelling-{name}"),
            &["4.2"],
            note,
            |case, repo| {
                repo.forge("timestamp", move |signed| signed["x"] = value.clone());
                repo.tamper("timestamp", move |text| text.replacen(from, to, 1));
                case.refresh(repo).accepts(ALL);
            },
        );
    }
    all.case(
        "encoding/text-at-the-end",
        &["4.2"],
        "The last text of a file in canonical form has a blank near its end.",
        |case, repo| {
            repo.forge("timestamp", |signed| signed["z"] = json!("a b"));
            case.refresh(repo).accepts(ALL);
        },
    );
}

/// Signed as it stands, and no JSON.
fn broken(all: &mut Cases) {
    for (name, note, from, to) in [
        (
            "no-comma",
            "A comma is missing between two members.",
            ",\"version\":1",
            "\"version\":1",
        ),
        (
            "no-colon",
            "A colon is missing after a member's name.",
            "\"version\":1",
            "\"version\"1",
        ),
        (
            "word-with-another-end",
            "The value of a member is trux.",
            "\"x\":true",
            "\"x\":trux",
        ),
        (
            "escape-of-three-digits",
            "A text has the escape \\u12g4.",
            "a b",
            "a\\u12g4b",
        ),
    ] {
        let note = format!("{note} That is no JSON, and it was signed as it stands.");
        all.case(
            &format!("encoding/signed-{name}"),
            &["4.2"],
            &note,
            |case, repo| {
                repo.forge("timestamp", |signed| {
                    signed["w"] = json!("a b");
                    signed["x"] = json!(true);
                });
                repo.rewrite("timestamp", from, to);
                malformed(case, repo);
            },
        );
    }
    for (name, member) in [
        ("line-feed-as-it-is", "meta-before"),
        ("line-feed-as-it-is-at-the-end", "z"),
    ] {
        all.case(
            &format!("encoding/signed-{name}"),
            &["4.2"],
            "A text has a line feed that is not escaped. In canonical form it stands like that, so the signature holds; in a \
             file it is no JSON.",
            |case, repo| {
                repo.forge("timestamp", move |signed| signed[member] = json!("a\nb"));
                repo.tamper("timestamp", |text| text.replacen("a\\nb", "a\nb", 1));
                malformed(case, repo);
            },
        );
    }
    all.case(
        "encoding/envelope-without-signed",
        &["4.2"],
        "The file has signatures, and nothing that is signed.",
        |case, repo| {
            repo.tamper("timestamp", |text| {
                let mut file: Json = serde_json::from_str(&text).unwrap_or_default();
                if let Some(members) = file.as_object_mut() {
                    members.remove("signed");
                }
                file.to_string()
            });
            malformed(case, repo);
        },
    );
}
