//! JSON, its canonical form, and the fields all files share (TUF 4.2).

use serde_json::json;

use super::Cases;
use crate::simulate::{Json, Repo};

pub(super) const REFUSED: [u64; 4] = [1, 0, 0, 0];
pub(super) const ALL: [u64; 4] = [1, 1, 1, 1];

pub(super) fn cases(all: &mut Cases) {
    same_content(all);
    broken_text(all);
    numbers(all);
    duplicates(all);
    depth(all);
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
                let (moved, before) = (",\"x\":\"a/b\"", "\"_type\"");
                let without = text.replacen(moved, "", 1);
                without.replacen(before, &format!("{},{before}", &moved[1..]), 1)
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

pub(super) fn malformed(case: &mut super::Draft, repo: &mut Repo) {
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
