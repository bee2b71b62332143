//! Timestamp (TUF 5.4).

use serde_json::json;

use super::Cases;

const SHORT: &str = "2030-06-01T00:00:00Z";
const AFTER: &str = "2030-06-01T00:00:01Z";

pub(super) fn cases(all: &mut Cases) {
    versions(all);
    same_version(all);
    expiry(all);
    signatures(all);
    content(all);
    trouble(all);
}

fn versions(all: &mut Cases) {
    all.case(
        "timestamp/newer",
        &["5.4.3.1", "5.4.5"],
        "A newer Timestamp that names the Snapshot that is stored: nothing else is fetched.",
        |case, repo| {
            case.refresh(repo).accepts([1, 1, 1, 1]);
            repo.timestamp.version = 2;
            case.refresh(repo)
                .accepts([1, 2, 1, 1])
                .requests("2.root timestamp");
        },
    );
    all.case(
        "timestamp/rollback",
        &["5.4.3.1"],
        "An older Timestamp is replayed, still signed and fresh.",
        |case, repo| {
            let mut old = repo.clone();
            repo.timestamp.version = 2;
            case.refresh(repo).accepts([1, 2, 1, 1]);
            case.refresh(&mut old)
                .rejects("version-rollback", "timestamp", "rollback", [1, 2, 1, 1])
                .requests("2.root timestamp");
        },
    );
    all.case(
        "timestamp/version-far-ahead",
        &["5.4.3.1"],
        "Versions need not be consecutive, and they go beyond what a floating-point number can hold.",
        |case, repo| {
            case.refresh(repo).accepts([1, 1, 1, 1]);
            repo.timestamp.version = 9_007_199_254_740_993;
            case.refresh(repo).accepts([1, 9_007_199_254_740_993, 1, 1]);
        },
    );
    all.case(
        "timestamp/names-lower-snapshot",
        &["5.4.3.2"],
        "A new Timestamp names an older Snapshot than the trusted one did.",
        |case, repo| {
            repo.next_online();
            case.refresh(repo).accepts([1, 2, 2, 1]);
            repo.timestamp.version = 3;
            repo.forge("timestamp", |signed| {
                signed["meta"]["snapshot.json"]["version"] = json!(1);
            });
            case.refresh(repo)
                .rejects("version-rollback", "snapshot", "rollback", [1, 2, 2, 1])
                .requests("2.root timestamp");
        },
    );
}

fn same_version(all: &mut Cases) {
    all.case(
        "timestamp/same-version-other-content",
        &["5.4.3.1"],
        "The trusted version is served again and names a newer Snapshot. It is discarded without an error, and the session goes on from the trusted one.",
        |case, repo| {
            case.refresh(repo).accepts([1, 1, 1, 1]);
            repo.snapshot.version = 2;
            case.refresh(repo)
                .accepts([1, 1, 1, 1])
                .bytes_of("timestamp", 1)
                .requests("2.root timestamp");
        },
    );
    all.case(
        "timestamp/same-version-other-envelope",
        &["5.4.3.1"],
        "The same Timestamp with one signature more. It is the same version, so the stored file stays.",
        |case, repo| {
            case.refresh(repo).accepts([1, 1, 1, 1]);
            repo.signatures("timestamp", |all| {
                all.push(json!({"keyid": "ab".repeat(32), "sig": "00"}));
            });
            case.refresh(repo)
                .accepts([1, 1, 1, 1])
                .bytes_of("timestamp", 1)
                .requests("2.root timestamp");
        },
    );
    all.case(
        "timestamp/same-version-expired",
        &["5.4.3.1", "5.4.4"],
        "The trusted Timestamp has expired. The same version again, with a later expiry, is discarded, so what stays is expired.",
        |case, repo| {
            repo.timestamp.expires = SHORT.into();
            case.refresh(repo).at("2030-05-01T00:00:00Z").accepts([1, 1, 1, 1]);
            repo.timestamp.expires = "2031-01-01T00:00:00Z".into();
            case.refresh(repo)
                .at(AFTER)
                .rejects("expired", "timestamp", "freeze", [1, 1, 1, 1])
                .bytes_of("timestamp", 1);
        },
    );
    all.case(
        "timestamp/same-version-now-expired",
        &["5.4.3.1", "5.4.4"],
        "The trusted version is served again with an expiry in the past. It is discarded, and the trusted one is still fresh.",
        |case, repo| {
            case.clock(AFTER);
            case.refresh(repo).accepts([1, 1, 1, 1]);
            repo.timestamp.expires = SHORT.into();
            case.refresh(repo)
                .accepts([1, 1, 1, 1])
                .bytes_of("timestamp", 1);
        },
    );
}

fn expiry(all: &mut Cases) {
    all.case(
        "timestamp/expired",
        &["5.4.4"],
        "The Timestamp has expired: whoever serves it hides what came after.",
        |case, repo| {
            repo.timestamp.expires = SHORT.into();
            case.refresh(repo)
                .at(AFTER)
                .rejects("expired", "timestamp", "freeze", [1, 0, 0, 0])
                .requests("2.root timestamp");
        },
    );
    all.case(
        "timestamp/expires-now",
        &["5.4.4"],
        "A file is good until, not at, the second in which it expires.",
        |case, repo| {
            repo.timestamp.expires = SHORT.into();
            case.refresh(repo)
                .at(SHORT)
                .rejects("expired", "timestamp", "freeze", [1, 0, 0, 0]);
        },
    );
    all.case(
        "timestamp/frozen",
        &["5.1", "5.4.4"],
        "The server serves the same good files for ever. When Timestamp expires, the client notices.",
        |case, repo| {
            repo.timestamp.expires = SHORT.into();
            case.refresh(repo).at("2030-05-31T23:59:59Z").accepts([1, 1, 1, 1]);
            case.refresh(repo)
                .at(AFTER)
                .rejects("expired", "timestamp", "freeze", [1, 1, 1, 1]);
        },
    );
    all.case(
        "timestamp/stored-expired-new-fresh",
        &["5.4.3.1", "5.4.4"],
        "The stored Timestamp expired long ago. It is still a floor, and a fresh one replaces it.",
        |case, repo| {
            repo.timestamp.expires = SHORT.into();
            case.refresh(repo)
                .at("2030-05-01T00:00:00Z")
                .accepts([1, 1, 1, 1]);
            repo.timestamp.version = 2;
            repo.timestamp.expires = "2031-01-01T00:00:00Z".into();
            case.refresh(repo).at(AFTER).accepts([1, 2, 1, 1]);
        },
    );
    all.case(
        "timestamp/stored-expired-is-a-floor",
        &["5.4.3.1"],
        "The stored Timestamp expired long ago. An older, unexpired version is still a rollback.",
        |case, repo| {
            let mut old = repo.clone();
            repo.timestamp.version = 2;
            repo.timestamp.expires = SHORT.into();
            case.refresh(repo)
                .at("2030-05-01T00:00:00Z")
                .accepts([1, 2, 1, 1]);
            case.refresh(&mut old).at(AFTER).rejects(
                "version-rollback",
                "timestamp",
                "rollback",
                [1, 2, 1, 1],
            );
        },
    );
    all.case(
        "timestamp/new-one-expired",
        &["5.4.4", "5.4.5"],
        "A newer Timestamp has expired. It is refused and not kept.",
        |case, repo| {
            case.clock(AFTER);
            case.refresh(repo).accepts([1, 1, 1, 1]);
            repo.timestamp.version = 2;
            repo.timestamp.expires = SHORT.into();
            case.refresh(repo)
                .rejects("expired", "timestamp", "freeze", [1, 1, 1, 1]);
        },
    );
}

fn signatures(all: &mut Cases) {
    let wrong: [(&str, &str, &[&str]); 4] = [
        ("unsigned", "A Timestamp without signatures.", &[]),
        (
            "wrong-key",
            "A Timestamp signed by an attacker's key.",
            &["evil"],
        ),
        (
            "signed-by-snapshot",
            "The Snapshot key signs Timestamp.",
            &["snapshot-1"],
        ),
        (
            "signed-by-root",
            "The Root key signs Timestamp. No role stands in for another.",
            &["root-1"],
        ),
    ];
    for (name, note, signers) in wrong {
        all.case(
            &format!("timestamp/{name}"),
            &["5.4.2"],
            note,
            |case, repo| {
                repo.sign_with("timestamp", signers);
                case.refresh(repo)
                    .rejects(
                        "signature-threshold",
                        "timestamp",
                        "arbitrary-software",
                        [1, 0, 0, 0],
                    )
                    .requests("2.root timestamp");
            },
        );
    }
    all.case(
        "timestamp/tampered",
        &["5.4.2"],
        "The server raises the version in a signed Timestamp.",
        |case, repo| {
            case.refresh(repo).accepts([1, 1, 1, 1]);
            repo.tamper("timestamp", |text| {
                text.replace("\"version\":1", "\"version\":2")
            });
            case.refresh(repo)
                .rejects(
                    "signature-threshold",
                    "timestamp",
                    "arbitrary-software",
                    [1, 1, 1, 1],
                )
                .bytes_of("timestamp", 1);
        },
    );
    all.case(
        "timestamp/key-replaced",
        &["5.3.11", "5.4.2"],
        "The Timestamp key is replaced, and the next Timestamp is signed by the new one.",
        |case, repo| {
            case.refresh(repo).accepts([1, 1, 1, 1]);
            repo.next_root(|root| root.keys("timestamp", &["timestamp-2"], 1));
            repo.timestamp.version = 2;
            case.refresh(repo).accepts([2, 2, 1, 1]);
        },
    );
}

fn content(all: &mut Cases) {
    all.case(
        "timestamp/wrong-type",
        &["5.4.2", "4.6"],
        "The file says that it is a Snapshot, and the Timestamp key signed that.",
        |case, repo| {
            repo.forge("timestamp", |signed| signed["_type"] = json!("snapshot"));
            case.refresh(repo).rejects(
                "wrong-role-type",
                "timestamp",
                "mix-and-match",
                [1, 0, 0, 0],
            );
        },
    );
    all.case(
        "timestamp/same-key-other-role",
        &["5.4.2", "4.6"],
        "Timestamp and Snapshot share a key, and the Snapshot file is served as Timestamp. Only `_type` tells them apart.",
        |case, repo| {
            repo.root().keys("snapshot", &["timestamp-1"], 1);
            case.provision(repo);
            repo.forge("timestamp", |signed| {
                signed["_type"] = json!("snapshot");
                signed["meta"]["targets.json"] = json!({"version": 1});
            });
            case.refresh(repo)
                .rejects("wrong-role-type", "timestamp", "mix-and-match", [1, 0, 0, 0]);
        },
    );
    all.case(
        "timestamp/names-no-snapshot",
        &["4.6"],
        "A Timestamp without an entry for Snapshot.",
        |case, repo| {
            repo.forge("timestamp", |signed| signed["meta"] = json!({}));
            case.refresh(repo)
                .rejects("malformed", "timestamp", "none", [1, 0, 0, 0]);
        },
    );
    all.case(
        "timestamp/names-more",
        &["4.6"],
        "A Timestamp with a second entry, as older repositories wrote it. The entry is ignored.",
        |case, repo| {
            repo.forge("timestamp", |signed| {
                signed["meta"]["other.json"] = json!({"version": 3});
            });
            case.refresh(repo).accepts([1, 1, 1, 1]);
        },
    );
    for (name, version) in [
        ("zero", json!(0)),
        ("negative", json!(-1)),
        ("text", json!("2")),
        ("null", json!(null)),
    ] {
        all.case(
            &format!("timestamp/version-{name}"),
            &["4.6"],
            "A version is an integer of at least 1.",
            |case, repo| {
                repo.forge("timestamp", move |signed| {
                    signed["version"] = version.clone()
                });
                case.refresh(repo)
                    .rejects("malformed", "timestamp", "none", [1, 0, 0, 0]);
            },
        );
    }
    all.case(
        "timestamp/snapshot-version-zero",
        &["4.6"],
        "The named Snapshot version is 0.",
        |case, repo| {
            repo.forge("timestamp", |signed| {
                signed["meta"]["snapshot.json"]["version"] = json!(0);
            });
            case.refresh(repo)
                .rejects("malformed", "timestamp", "none", [1, 0, 0, 0]);
        },
    );
}

fn trouble(all: &mut Cases) {
    all.case(
        "timestamp/missing",
        &["5.4.1"],
        "There is no Timestamp. A client that has one already must not go on with it.",
        |case, repo| {
            case.refresh(repo).accepts([1, 1, 1, 1]);
            repo.withhold("timestamp");
            case.refresh(repo)
                .rejects("metadata-missing", "timestamp", "none", [1, 1, 1, 1])
                .requests("2.root timestamp");
        },
    );
    all.case(
        "timestamp/too-large",
        &["5.4.1"],
        "A Timestamp that goes on for a megabyte. The client stops reading.",
        |case, repo| {
            case.refresh(repo)
                .pad("metadata/timestamp.json", 1 << 20)
                .rejects("too-large", "timestamp", "endless-data", [1, 0, 0, 0]);
        },
    );
    all.case(
        "timestamp/empty",
        &["5.4.2"],
        "An empty file.",
        |case, repo| {
            repo.tamper("timestamp", |_| String::new());
            case.refresh(repo)
                .rejects("malformed", "timestamp", "none", [1, 0, 0, 0]);
        },
    );
}
