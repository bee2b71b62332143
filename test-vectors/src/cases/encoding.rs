//! JSON, its canonical form, and the fields all files share (TUF 4.2).

use serde_json::json;

use super::Cases;
use crate::simulate::{Json, Repo};

const REFUSED: [u64; 4] = [1, 0, 0, 0];
const ALL: [u64; 4] = [1, 1, 1, 1];

pub(super) fn cases(all: &mut Cases) {
    same_content(all);
    broken_text(all);
    numbers(all);
    duplicates(all);
    depth(all);
    unknown_fields(all);
    envelope(all);
    header(all);
}

/// Other bytes with the same meaning. The signature covers the canonical form, so it holds.
fn same_content(all: &mut Cases) {
    type Rewriting = (&'static str, &'static str, fn(String) -> String);
    let rewritings: [Rewriting; 6] = [
        (
            "indented",
            "The file is indented, as people like to read it.",
            |text| {
                let value: Json = serde_json::from_str(&text).unwrap_or_default();
                serde_json::to_string_pretty(&value).unwrap_or_default()
            },
        ),
        (
            "line-feed-at-end",
            "The file ends with a line feed.",
            |text| text + "\r\n \t",
        ),
        (
            "white-space-first",
            "The file begins with white space.",
            |text| "\n\t ".to_string() + &text,
        ),
        (
            "other-key-order",
            "The keys of `signed` stand in another order.",
            |text| {
                let version = ",\"version\":1}";
                let moved = text.replacen("\"signed\":{", "\"signed\":{\"version\":1,", 1);
                moved
                    .strip_suffix(&format!("{version}}}"))
                    .map_or(text, |start| format!("{start}}}}}"))
            },
        ),
        (
            "escaped-letters",
            "Letters in keys and texts are written as escapes.",
            |text| {
                text.replace("\"version\"", "\"\\u0076er\\u0073ion\"")
                    .replace("\"timestamp\"", "\"\\u0074imestamp\"")
            },
        ),
        (
            "escaped-slash",
            "A slash is escaped, as JSON allows.",
            |text| text.replace("a/b", "a\\/b"),
        ),
    ];
    for (name, note, rewriting) in rewritings {
        all.case(
            &format!("encoding/{name}"),
            &["4.2"],
            &format!("{note} What is signed is the canonical form, which is the same."),
            |case, repo| {
                repo.forge("timestamp", |signed| signed["x"] = json!("a/b"));
                repo.tamper("timestamp", rewriting);
                case.refresh(repo).accepts(ALL);
            },
        );
    }
    all.case(
        "encoding/keys-sorted-by-code-point",
        &["4.2"],
        "Keys where sorting by UTF-16 unit, by escaped text or by text with its closing quote differs from sorting by code point.",
        |case, repo| {
            repo.forge("timestamp", |signed| {
                signed["x"] = json!({
                    "fw": 1, "fw 2": 2, "fw!": 3, "\u{ffff}": 4, "\u{1f600}": 5, "é": 6, "z": 7,
                    "a\"": 8, "a\\": 9, "a": 10, "": 11,
                });
            });
            case.refresh(repo).accepts(ALL);
        },
    );
    all.case(
        "encoding/control-characters",
        &["4.2"],
        "A text with control characters. In the canonical form they stand as they are; in the file they are escaped.",
        |case, repo| {
            repo.forge("timestamp", |signed| {
                signed["x"] = json!("line\nfeed\ttab\rreturn\u{1}one\u{1f}\u{7f}");
            });
            case.refresh(repo).accepts(ALL);
        },
    );
    all.case(
        "encoding/text-not-normalised",
        &["4.2"],
        "A text with a decomposed letter, a ligature and a compatibility character. Canonical form changes none of them.",
        |case, repo| {
            repo.forge("timestamp", |signed| signed["x"] = json!("e\u{301} \u{fb01} \u{212b}"));
            case.refresh(repo).accepts(ALL);
        },
    );
    all.case(
        "encoding/text-normalised-by-server",
        &["4.2", "5.4.2"],
        "The server composes a letter that was signed decomposed. It looks the same and is another text.",
        |case, repo| {
            repo.forge("timestamp", |signed| signed["x"] = json!("e\u{301}"));
            repo.tamper("timestamp", |text| text.replace("e\u{301}", "\u{e9}"));
            case.refresh(repo)
                .rejects("signature-threshold", "timestamp", "arbitrary-software", REFUSED);
        },
    );
}

/// A Timestamp file, changed by the server, that is not JSON.
fn broken_text(all: &mut Cases) {
    type Breaking = (&'static str, &'static str, fn(Vec<u8>) -> Vec<u8>);
    let breakings: [Breaking; 10] = [
        (
            "garbage-after-end",
            "There is text after the end of the object.",
            |file| [&file[..], b"x"].concat(),
        ),
        (
            "second-object",
            "A second object follows the first.",
            |file| [&file[..], &file[..]].concat(),
        ),
        ("cut-off", "The file is cut off in the middle.", |file| {
            file[..file.len() / 2].to_vec()
        }),
        (
            "byte-order-mark",
            "A byte order mark stands before the object.",
            |file| [b"\xef\xbb\xbf", &file[..]].concat(),
        ),
        ("not-utf8", "A text has a byte that is not UTF-8.", |file| {
            replaced(file, b"timestamp", b"time\xffstamp")
        }),
        ("utf16", "The file is in UTF-16.", |file| {
            file.iter().flat_map(|byte| [*byte, 0]).collect()
        }),
        ("comment", "There is a comment.", |file| {
            replaced(file, b"{", b"{/* comment */")
        }),
        (
            "trailing-comma",
            "There is a comma before the end of the object.",
            |file| replaced(file, b"}}", b"},}"),
        ),
        ("single-quotes", "Texts are in single quotes.", |file| {
            replaced(file, b"\"", b"'")
        }),
        ("null", "The file is `null`.", |_| b"null".to_vec()),
    ];
    for (name, note, breaking) in breakings {
        all.case(&format!("encoding/{name}"), &["4.2"], note, |case, repo| {
            repo.tamper_bytes("timestamp", breaking);
            malformed(case, repo);
        });
    }
}

/// The file with every occurrence of `from` replaced.
fn replaced(file: Vec<u8>, from: &[u8], to: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    let mut rest = &file[..];
    while let Some(byte) = rest.first() {
        match rest.strip_prefix(from) {
            Some(after) => {
                out.extend(to);
                rest = after;
            }
            None => {
                out.push(*byte);
                rest = &rest[1..];
            }
        }
    }
    out
}

fn malformed(case: &mut super::Draft, repo: &mut Repo) {
    case.refresh(repo)
        .rejects("malformed", "timestamp", "none", REFUSED);
}

/// Numbers in `signed`, with a signature over the very text.
fn numbers(all: &mut Cases) {
    let bad = [
        ("fraction", "1.0"),
        ("exponent", "1e0"),
        ("leading-zero", "01"),
        ("minus-zero", "-0"),
        ("plus", "+1"),
        ("hexadecimal", "0x1"),
        ("not-a-number", "NaN"),
        ("beyond-64-bits", "18446744073709551616"),
        (
            "far-beyond-64-bits",
            "1000000000000000000000000000000000000000",
        ),
        ("below-64-bits", "-9223372036854775809"),
    ];
    for (name, number) in bad {
        all.case(
            &format!("encoding/number-{name}"),
            &["4.2"],
            "A number that two parsers could read differently, signed as it stands there. Canonical form has no such numbers.",
            |case, repo| {
                repo.forge("timestamp", |signed| signed["x"] = json!(7));
                repo.rewrite("timestamp", "\"x\":7", format!("\"x\":{number}"));
                malformed(case, repo);
            },
        );
    }
    let good = [
        ("largest", "18446744073709551615"),
        ("smallest", "-9223372036854775808"),
        ("beyond-53-bits", "9007199254740993"),
        ("zero", "0"),
    ];
    for (name, number) in good {
        all.case(
            &format!("encoding/number-{name}"),
            &["4.2"],
            "An integer at the edge of what 64 bits hold, in a field that the client does not know.",
            |case, repo| {
                repo.forge("timestamp", |signed| signed["x"] = json!(7));
                repo.rewrite("timestamp", "\"x\":7", format!("\"x\":{number}"));
                case.refresh(repo).accepts(ALL);
            },
        );
    }
    all.case(
        "encoding/version-with-fraction",
        &["4.2"],
        "The version is 1.0, signed as it stands there.",
        |case, repo| {
            repo.rewrite("timestamp", "\"version\":1}", "\"version\":1.0}");
            // The last version in the text is that of the file itself.
            repo.forge("timestamp", |signed| {
                signed["meta"]["snapshot.json"]["x"] = json!(0)
            });
            malformed(case, repo);
        },
    );
}

fn duplicates(all: &mut Cases) {
    all.case(
        "encoding/duplicate-key-in-signed",
        &["4.2"],
        "`version` stands in `signed` twice. Parsers differ in which one they take.",
        |case, repo| {
            repo.rewrite(
                "timestamp",
                "\"spec_version\"",
                "\"version\":9,\"spec_version\"",
            );
            malformed(case, repo);
        },
    );
    all.case(
        "encoding/duplicate-key-escaped",
        &["4.2"],
        "`version` stands in `signed` twice, the second time with an escape in it.",
        |case, repo| {
            repo.tamper("timestamp", |text| {
                text.replace("\"spec_version\"", "\"\\u0076ersion\":9,\"spec_version\"")
            });
            malformed(case, repo);
        },
    );
    all.case(
        "encoding/duplicate-key-deep",
        &["4.2"],
        "A key stands twice in an object deep inside a field that the client does not know.",
        |case, repo| {
            repo.forge("timestamp", |signed| signed["x"] = json!([{"y": {"z": 7}}]));
            repo.rewrite("timestamp", "\"z\":7", "\"z\":7,\"z\":7");
            malformed(case, repo);
        },
    );
    all.case(
        "encoding/duplicate-signed",
        &["4.2"],
        "The file has two members `signed`: one that is signed and one that is not.",
        |case, repo| {
            repo.tamper("timestamp", |text| {
                text.replacen(
                    "{\"signatures\"",
                    "{\"signed\":{\"version\":9},\"signatures\"",
                    1,
                )
            });
            malformed(case, repo);
        },
    );
    all.case(
        "encoding/duplicate-key-in-signature",
        &["4.2"],
        "A signature has two key ids.",
        |case, repo| {
            repo.tamper("timestamp", |text| {
                text.replacen("{\"keyid\"", "{\"keyid\":\"a\",\"keyid\"", 1)
            });
            malformed(case, repo);
        },
    );
    all.case(
        "encoding/duplicate-target",
        &["4.2", "4.5"],
        "One image stands in Targets twice.",
        |case, repo| {
            let entry = format!(
                "\"fw.img\":{{\"hashes\":{{\"sha256\":\"{}\"}},\"length\":1}},\"fw.img\"",
                "0".repeat(64)
            );
            repo.rewrite("targets", "\"fw.img\"", entry);
            case.refresh(repo)
                .rejects("malformed", "targets", "none", [1, 1, 1, 0]);
        },
    );
}

fn depth(all: &mut Cases) {
    let nested = |levels: usize| format!("{}{}", "[".repeat(levels), "]".repeat(levels));
    all.case(
        "encoding/nested-60",
        &["4.2"],
        "A field that the client does not know, nested 60 levels deep.",
        |case, repo| {
            repo.forge("timestamp", |signed| signed["x"] = json!(7));
            repo.rewrite("timestamp", "\"x\":7", format!("\"x\":{}", nested(60)));
            case.refresh(repo).accepts(ALL);
        },
    );
    for levels in [10_000, 30_000] {
        all.case(
            &format!("encoding/nested-{levels}"),
            &["4.2"],
            "A file that is nested so deeply that a recursive parser runs out of stack. The server can send it unsigned.",
            |case, repo| {
                repo.tamper("timestamp", move |_| nested(levels));
                malformed(case, repo);
            },
        );
    }
    all.case(
        "encoding/nested-in-signed",
        &["4.2"],
        "A validly signed file with a field that is nested 10,000 levels deep.",
        |case, repo| {
            repo.forge("timestamp", |signed| signed["x"] = json!(7));
            repo.rewrite("timestamp", "\"x\":7", format!("\"x\":{}", nested(10_000)));
            malformed(case, repo);
        },
    );
}

fn unknown_fields(all: &mut Cases) {
    for role in ["root", "timestamp", "snapshot", "targets"] {
        all.case(
            &format!("encoding/unknown-field-{role}"),
            &["4.2"],
            "A field that the client does not know. It is ignored, and signed over.",
            |case, repo| {
                repo.forge(role, |signed| {
                    signed["x"] = json!({"a": [null, true, -7, "text"]})
                });
                case.provision(repo);
                case.refresh(repo).accepts(ALL);
            },
        );
    }
    all.case(
        "encoding/unknown-field-changed",
        &["4.2", "5.4.2"],
        "The server changes a field that the client does not know. It is signed over all the same.",
        |case, repo| {
            repo.forge("timestamp", |signed| signed["x"] = json!(7));
            repo.tamper("timestamp", |text| text.replace("\"x\":7", "\"x\":8"));
            case.refresh(repo).rejects(
                "signature-threshold",
                "timestamp",
                "arbitrary-software",
                REFUSED,
            );
        },
    );
    all.case(
        "encoding/unknown-field-in-meta",
        &["4.2", "4.6"],
        "Fields that the client does not know in the entry for Snapshot.",
        |case, repo| {
            repo.forge("timestamp", |signed| {
                signed["meta"]["snapshot.json"]["x"] = json!(7)
            });
            case.refresh(repo).accepts(ALL);
        },
    );
}

fn envelope(all: &mut Cases) {
    type Change = (&'static str, &'static str, fn(&mut Json));
    let bad: [Change; 5] = [
        ("no-signed", "There is no `signed`.", |file| {
            drop(file["signed"].take())
        }),
        ("no-signatures", "There is no `signatures`.", |file| {
            file.as_object_mut()
                .map(|members| members.remove("signatures"));
        }),
        ("signatures-object", "`signatures` is an object.", |file| {
            file["signatures"] = json!({})
        }),
        (
            "signed-text",
            "`signed` is a text that holds the JSON.",
            |file| {
                file["signed"] = file["signed"].to_string().into();
            },
        ),
        (
            "signature-text",
            "An entry of `signatures` is a text.",
            |file| file["signatures"] = json!(["x"]),
        ),
    ];
    for (name, note, change) in bad {
        all.case(
            &format!("encoding/envelope-{name}"),
            &["4.2"],
            note,
            |case, repo| {
                repo.tamper("timestamp", move |text| changed(&text, change));
                let (code, attack) = match name {
                    // Well-formed as JSON, and signed by nobody.
                    "no-signed" | "signed-text" => ("signature-threshold", "arbitrary-software"),
                    _ => ("malformed", "none"),
                };
                case.refresh(repo)
                    .rejects(code, "timestamp", attack, REFUSED);
            },
        );
    }
    all.case(
        "encoding/envelope-unknown-member",
        &["4.2"],
        "A member beside `signed` and `signatures`. It is not signed, and it is ignored.",
        |case, repo| {
            repo.tamper("timestamp", |text| {
                changed(&text, |file| file["x"] = json!({"y": 7}))
            });
            case.refresh(repo).accepts(ALL);
        },
    );
    all.case(
        "encoding/envelope-257-signatures",
        &["4.2"],
        "So many signatures that checking each would take long.",
        |case, repo| {
            repo.signatures("timestamp", |all| {
                for number in 0..256 {
                    all.push(json!({"keyid": format!("{number:064x}"), "sig": "00"}));
                }
            });
            malformed(case, repo);
        },
    );
}

fn changed(text: &str, change: fn(&mut Json)) -> String {
    let mut file: Json = serde_json::from_str(text).unwrap_or_default();
    change(&mut file);
    file.to_string()
}

fn header(all: &mut Cases) {
    let spec_versions = [
        ("two-parts", json!("1.0"), true),
        ("later-minor", json!("1.99.7"), true),
        ("exact", json!("1.0.34"), true),
        ("next-major", json!("2.0.0"), false),
        ("major-10", json!("10.0.0"), false),
        ("four-parts", json!("1.0.0.0"), false),
        ("one-part", json!("1"), false),
        ("letters", json!("1.x"), false),
        ("empty", json!(""), false),
    ];
    for (name, spec_version, good) in spec_versions {
        all.case(
            &format!("encoding/spec-version-{name}"),
            &["4.2"],
            "A client reads files of major version 1 in two or three parts, and refuses others.",
            |case, repo| {
                repo.forge("timestamp", move |signed| {
                    signed["spec_version"] = spec_version.clone()
                });
                let step = case.refresh(repo);
                match good {
                    true => step.accepts(ALL),
                    false => step.rejects("unsupported-spec-version", "timestamp", "none", REFUSED),
                };
            },
        );
    }
    for field in ["_type", "spec_version", "version", "expires", "meta"] {
        all.case(
            &format!(
                "encoding/without-{}",
                field.trim_start_matches('_').replace('_', "-")
            ),
            &["4.2"],
            "A required field is missing.",
            |case, repo| {
                repo.forge("timestamp", |signed| {
                    signed.as_object_mut().map(|members| members.remove(field));
                });
                malformed(case, repo);
            },
        );
    }
    let bad_times = [
        ("offset", "2099-12-31T23:59:59+00:00"),
        ("local", "2099-12-31T23:59:59"),
        ("date-only", "2099-12-31"),
        ("month-13", "2099-13-01T00:00:00Z"),
        ("day-30-of-february", "2099-02-30T00:00:00Z"),
        ("space", "2099-12-31 23:59:59Z"),
        ("year-10000", "10000-01-01T00:00:00Z"),
        ("negative-year", "-2099-12-31T23:59:59Z"),
        ("empty", ""),
    ];
    for (name, time) in bad_times {
        all.case(
            &format!("encoding/expires-{name}"),
            &["4.2"],
            "Times are written as 2030-01-31T23:59:59Z and in no other way.",
            |case, repo| {
                repo.timestamp.expires = time.into();
                malformed(case, repo);
            },
        );
    }
}
