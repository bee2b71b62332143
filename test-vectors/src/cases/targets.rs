//! Top-level Targets (TUF 5.6.1 to 5.6.6), and sessions that break off.

use serde_json::json;

use super::Cases;
use super::edits::swap_members;

const SHORT: &str = "2030-06-01T00:00:00Z";
const AFTER: &str = "2030-06-01T00:00:01Z";

pub(super) fn cases(all: &mut Cases) {
    links(all);
    expiry(all);
    signatures(all);
    content(all);
    interrupted(all);
}

fn links(all: &mut Cases) {
    all.case(
        "targets/new-version",
        &["5.6.4", "5.6.6"],
        "A new Targets version, with its Snapshot and Timestamp.",
        |case, repo| {
            case.refresh(repo).accepts([1, 1, 1, 1]);
            repo.release();
            case.refresh(repo)
                .accepts([1, 2, 2, 2])
                .requests("2.root timestamp 2.snapshot 2.targets");
        },
    );
    all.case(
        "targets/version-below-listed",
        &["5.6.4"],
        "Snapshot lists version 2, and the file served under that name says that it is version 1.",
        |case, repo| {
            repo.release();
            repo.forge("targets", |signed| signed["version"] = json!(1));
            case.refresh(repo).rejects(
                "version-mismatch",
                "targets",
                "mix-and-match",
                [1, 2, 2, 0],
            );
        },
    );
    all.case(
        "targets/version-above-listed",
        &["5.6.4"],
        "Snapshot lists version 1, and the file says that it is version 2.",
        |case, repo| {
            repo.forge("targets", |signed| signed["version"] = json!(2));
            case.refresh(repo).rejects(
                "version-mismatch",
                "targets",
                "mix-and-match",
                [1, 1, 1, 0],
            );
        },
    );
    all.case(
        "targets/missing",
        &["5.6.1"],
        "The Targets file that Snapshot lists is not there. Timestamp and Snapshot are kept.",
        |case, repo| {
            repo.withhold("targets");
            case.refresh(repo)
                .rejects("metadata-missing", "targets", "none", [1, 1, 1, 0])
                .requests("2.root timestamp 1.snapshot 1.targets");
        },
    );
    all.case(
        "targets/hash-wrong",
        &["5.6.2"],
        "A file of the same length and content, validly signed, that does not have the listed hash.",
        |case, repo| {
            repo.link_hashes = true;
            repo.tamper("targets", swap_members);
            case.refresh(repo)
                .rejects("metadata-hash", "targets", "mix-and-match", [1, 1, 1, 0]);
        },
    );
    all.case(
        "targets/longer-than-listed",
        &["5.6.1"],
        "The file goes on for a byte beyond its listed length.",
        |case, repo| {
            repo.link_hashes = true;
            case.refresh(repo)
                .pad("metadata/1.targets.json", 1)
                .rejects("too-large", "targets", "endless-data", [1, 1, 1, 0]);
        },
    );
    all.case(
        "targets/shorter-than-listed",
        &["5.6.2"],
        "The file ends before its listed length.",
        |case, repo| {
            repo.link_hashes = true;
            repo.forge("snapshot", |signed| {
                let entry = &mut signed["meta"]["targets.json"];
                let length = entry["length"].as_u64().unwrap_or_default();
                entry["length"] = json!(length + 1);
            });
            case.refresh(repo)
                .rejects("metadata-length", "targets", "mix-and-match", [1, 1, 1, 0]);
        },
    );
    all.case(
        "targets/same-version-other-content",
        &["5.6.2", "5.6.4"],
        "A new Snapshot lists the hash of another file for the Targets version that is trusted.",
        |case, repo| {
            repo.link_hashes = true;
            case.refresh(repo).accepts([1, 1, 1, 1]);
            repo.add_image("targets", "fw.img", b"firmware X\n");
            repo.next_online();
            case.refresh(repo)
                .rejects(
                    "same-version-different-content",
                    "targets",
                    "mix-and-match",
                    [1, 2, 2, 1],
                )
                .bytes_of("targets", 1);
        },
    );
    all.case(
        "targets/same-version-signed-again",
        &["5.6.2"],
        "A new Snapshot lists the hash of the same Targets file with one signature more. What is signed is equal, so it is no attack.",
        |case, repo| {
            repo.link_hashes = true;
            case.refresh(repo).accepts([1, 1, 1, 1]);
            repo.signatures("targets", |all| {
                all.push(json!({"keyid": "ab".repeat(32), "sig": "00"}));
            });
            repo.next_online();
            case.refresh(repo).accepts([1, 2, 2, 1]).bytes_of("targets", 2);
        },
    );
    all.case(
        "targets/stored-is-used",
        &["5.6.1"],
        "A new Snapshot goes on listing the trusted version, without a hash. The stored file is used.",
        |case, repo| {
            case.refresh(repo).accepts([1, 1, 1, 1]);
            repo.next_online();
            case.refresh(repo)
                .accepts([1, 2, 2, 1])
                .requests("2.root timestamp 2.snapshot");
        },
    );
}

fn expiry(all: &mut Cases) {
    all.case(
        "targets/expired",
        &["5.6.5"],
        "Fresh Timestamp and Snapshot, and Targets that has expired.",
        |case, repo| {
            repo.targets().head.expires = SHORT.into();
            case.refresh(repo)
                .at(AFTER)
                .rejects("expired", "targets", "freeze", [1, 1, 1, 0]);
        },
    );
    all.case(
        "targets/expires-now",
        &["5.6.5"],
        "A file is good until, not at, the second in which it expires.",
        |case, repo| {
            repo.targets().head.expires = SHORT.into();
            case.refresh(repo)
                .at(SHORT)
                .rejects("expired", "targets", "freeze", [1, 1, 1, 0]);
        },
    );
    all.case(
        "targets/stored-expired",
        &["5.6.5"],
        "Timestamp and Snapshot are renewed and go on naming the stored Targets, which has expired meanwhile.",
        |case, repo| {
            repo.targets().head.expires = SHORT.into();
            case.refresh(repo).at("2030-05-01T00:00:00Z").accepts([1, 1, 1, 1]);
            repo.next_online();
            case.refresh(repo)
                .at(AFTER)
                .rejects("expired", "targets", "freeze", [1, 2, 2, 1]);
        },
    );
    all.case(
        "targets/renewed",
        &["5.6.5"],
        "The stored Targets has expired, and a new version replaces it.",
        |case, repo| {
            repo.targets().head.expires = SHORT.into();
            case.refresh(repo)
                .at("2030-05-01T00:00:00Z")
                .accepts([1, 1, 1, 1]);
            repo.release();
            repo.targets().head.expires = "2031-01-01T00:00:00Z".into();
            case.refresh(repo).at(AFTER).accepts([1, 2, 2, 2]);
        },
    );
}

fn signatures(all: &mut Cases) {
    let wrong: [(&str, &str, &[&str]); 4] = [
        ("unsigned", "Targets without signatures.", &[]),
        (
            "wrong-key",
            "Targets signed by an attacker's key.",
            &["evil"],
        ),
        (
            "signed-by-timestamp",
            "The Timestamp key, which is online, signs Targets.",
            &["timestamp-1"],
        ),
        (
            "signed-by-snapshot",
            "The Snapshot key, which is online, signs Targets.",
            &["snapshot-1"],
        ),
    ];
    for (name, note, signers) in wrong {
        all.case(
            &format!("targets/{name}"),
            &["5.6.3"],
            note,
            |case, repo| {
                repo.sign_with("targets", signers);
                case.refresh(repo).rejects(
                    "signature-threshold",
                    "targets",
                    "arbitrary-software",
                    [1, 1, 1, 0],
                );
            },
        );
    }
    all.case(
        "targets/unsigned-with-right-hash",
        &["5.6.2", "5.6.3"],
        "Stolen online keys vouch for the hash of an unsigned Targets file. A hash is no signature.",
        |case, repo| {
            repo.link_hashes = true;
            repo.sign_with("targets", &[]);
            case.refresh(repo)
                .rejects("signature-threshold", "targets", "arbitrary-software", [1, 1, 1, 0]);
        },
    );
    all.case(
        "targets/tampered",
        &["5.6.3"],
        "The server changes an image's length in a signed Targets file.",
        |case, repo| {
            repo.tamper("targets", |text| {
                text.replace("\"length\":11", "\"length\":12")
            });
            case.refresh(repo).rejects(
                "signature-threshold",
                "targets",
                "arbitrary-software",
                [1, 1, 1, 0],
            );
        },
    );
}

fn content(all: &mut Cases) {
    all.case(
        "targets/wrong-type",
        &["5.6.3", "4.5"],
        "The file says that it is a Snapshot, and the Targets key signed that.",
        |case, repo| {
            repo.forge("targets", |signed| signed["_type"] = json!("snapshot"));
            case.refresh(repo)
                .rejects("wrong-role-type", "targets", "mix-and-match", [1, 1, 1, 0]);
        },
    );
    all.case(
        "targets/no-targets-field",
        &["4.5"],
        "A Targets file without `targets`.",
        |case, repo| {
            repo.forge("targets", |signed| {
                signed
                    .as_object_mut()
                    .map(|members| members.remove("targets"));
            });
            case.refresh(repo)
                .rejects("malformed", "targets", "none", [1, 1, 1, 0]);
        },
    );
    for (name, number) in [
        ("leading-zero", "07"),
        ("beyond-64-bits", "18446744073709551616"),
    ] {
        all.case(
            &format!("targets/entry-length-{name}"),
            &["4.2", "4.5"],
            "The length of an image is no number that canonical form has, signed as it stands there.",
            |case, repo| {
                repo.forge("targets", |signed| {
                    let images = signed["targets"].as_object_mut().into_iter().flatten();
                    images.for_each(|(_, image)| image["length"] = json!(7));
                });
                repo.rewrite("targets", "\"length\":7", format!("\"length\":{number}"));
                case.refresh(repo)
                    .rejects("malformed", "targets", "none", [1, 1, 1, 0]);
            },
        );
    }
    all.case(
        "targets/empty",
        &["4.5"],
        "A Targets file that lists nothing is a good file.",
        |case, repo| {
            repo.targets().images.clear();
            case.refresh(repo).accepts([1, 1, 1, 1]);
        },
    );
    let broken = [
        (
            "length-negative",
            json!({"length": -1, "hashes": {"sha256": "00".repeat(32)}}),
        ),
        (
            "length-missing",
            json!({"hashes": {"sha256": "00".repeat(32)}}),
        ),
        ("hashes-missing", json!({"length": 1})),
        ("hashes-empty", json!({"length": 1, "hashes": {}})),
        (
            "hash-too-short",
            json!({"length": 1, "hashes": {"sha256": "00"}}),
        ),
        (
            "hash-not-hexadecimal",
            json!({"length": 1, "hashes": {"sha256": "zz".repeat(32)}}),
        ),
        (
            "custom-not-object",
            json!({"length": 1, "hashes": {"sha256": "00".repeat(32)}, "custom": 1}),
        ),
    ];
    for (name, entry) in broken {
        all.case(
            &format!("targets/entry-{name}"),
            &["4.5"],
            "One entry is broken. The whole file is refused, whichever image is wanted.",
            |case, repo| {
                repo.forge("targets", move |signed| {
                    signed["targets"]["broken.img"] = entry.clone();
                });
                case.refresh(repo)
                    .rejects("malformed", "targets", "none", [1, 1, 1, 0]);
            },
        );
    }
}

fn interrupted(all: &mut Cases) {
    all.case(
        "interrupted/after-timestamp",
        &["5.4.5", "5.5.1"],
        "A session breaks off after Timestamp. The next one finds Timestamp unchanged, and still fetches the Snapshot it names.",
        |case, repo| {
            case.refresh(repo).accepts([1, 1, 1, 1]);
            repo.release();
            repo.withhold("snapshot");
            case.refresh(repo)
                .rejects("metadata-missing", "snapshot", "none", [1, 2, 1, 1]);
            repo.honest();
            case.refresh(repo)
                .accepts([1, 2, 2, 2])
                .requests("2.root timestamp 2.snapshot 2.targets");
        },
    );
    all.case(
        "interrupted/after-snapshot",
        &["5.5.7", "5.6.1"],
        "A session breaks off after Snapshot. The next one finds Snapshot unchanged, and still fetches the Targets it lists.",
        |case, repo| {
            case.refresh(repo).accepts([1, 1, 1, 1]);
            repo.release();
            repo.withhold("targets");
            case.refresh(repo)
                .rejects("metadata-missing", "targets", "none", [1, 2, 2, 1]);
            repo.honest();
            case.refresh(repo)
                .accepts([1, 2, 2, 2])
                .requests("2.root timestamp 2.targets");
        },
    );
    all.case(
        "interrupted/forged-snapshot-then-honest",
        &["5.5.3", "5.5.7"],
        "A forged Snapshot was refused and not kept. The honest one of the same version is accepted in the next session.",
        |case, repo| {
            case.refresh(repo).accepts([1, 1, 1, 1]);
            repo.release();
            repo.sign_with("snapshot", &["evil"]);
            case.refresh(repo)
                .rejects("signature-threshold", "snapshot", "arbitrary-software", [1, 2, 1, 1]);
            repo.honest();
            case.refresh(repo)
                .accepts([1, 2, 2, 2])
                .bytes_of("snapshot", 3);
        },
    );
    all.case(
        "interrupted/forged-targets-then-honest",
        &["5.6.3", "5.6.6"],
        "Forged Targets were refused and not kept. The honest ones of the same version are accepted in the next session.",
        |case, repo| {
            case.refresh(repo).accepts([1, 1, 1, 1]);
            repo.release();
            repo.sign_with("targets", &["evil"]);
            case.refresh(repo)
                .rejects("signature-threshold", "targets", "arbitrary-software", [1, 2, 2, 1]);
            repo.honest();
            case.refresh(repo)
                .accepts([1, 2, 2, 2])
                .bytes_of("targets", 3);
        },
    );
    all.case(
        "interrupted/new-release-after-break",
        &["5.5.5", "5.6.1"],
        "A session breaks off after Timestamp, and before the next one there is another release. The client skips the one it never saw.",
        |case, repo| {
            case.refresh(repo).accepts([1, 1, 1, 1]);
            repo.release();
            repo.withhold("snapshot");
            case.refresh(repo)
                .rejects("metadata-missing", "snapshot", "none", [1, 2, 1, 1]);
            repo.honest();
            repo.release();
            case.refresh(repo).accepts([1, 3, 3, 3]);
        },
    );
    for (name, path, versions) in [
        ("timestamp", "metadata/timestamp.json", [1, 1, 1, 1]),
        ("snapshot", "metadata/2.snapshot.json", [1, 2, 1, 1]),
        ("targets", "metadata/2.targets.json", [1, 2, 2, 1]),
    ] {
        all.case(
            &format!("interrupted/server-error-{name}"),
            &["5.4.1", "5.5.1", "5.6.1"],
            "The server answers 500 for one file. What was verified before it stays, and the next session goes on.",
            |case, repo| {
                case.refresh(repo).accepts([1, 1, 1, 1]);
                repo.release();
                case.refresh(repo)
                    .status(path, 500)
                    .rejects("fetch-failed", name, "none", versions);
                case.refresh(repo).accepts([1, 2, 2, 2]);
            },
        );
    }
}
