//! The fields that all files share, and fields that nobody knows (TUF 4.2).

use serde_json::json;

use super::Cases;
use super::encoding::{ALL, REFUSED, malformed};
use crate::simulate::Json;

pub(super) fn cases(all: &mut Cases) {
    unknown_fields(all);
    envelope(all);
    header(all);
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
