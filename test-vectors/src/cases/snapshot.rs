//! Snapshot (TUF 5.5).

use serde_json::json;

use super::Cases;
use super::edits::swap_members;
use crate::simulate::{Delegation, Repo};

const SHORT: &str = "2030-06-01T00:00:00Z";
const AFTER: &str = "2030-06-01T00:00:01Z";

pub(super) fn cases(all: &mut Cases) {
    links(all);
    versions(all);
    hashes(all);
    entries(all);
    same_version(all);
    expiry(all);
    signatures(all);
}

fn links(all: &mut Cases) {
    all.case(
        "snapshot/version-below-named",
        &["5.5.4"],
        "Timestamp names version 2, and the file served under that name says that it is version 1.",
        |case, repo| {
            repo.next_online();
            repo.forge("snapshot", |signed| signed["version"] = json!(1));
            case.refresh(repo)
                .rejects(
                    "version-mismatch",
                    "snapshot",
                    "mix-and-match",
                    [1, 2, 0, 0],
                )
                .requests("2.root timestamp 2.snapshot");
        },
    );
    all.case(
        "snapshot/version-above-named",
        &["5.5.4"],
        "Timestamp names version 1, and the file says that it is version 2.",
        |case, repo| {
            repo.forge("snapshot", |signed| signed["version"] = json!(2));
            case.refresh(repo).rejects(
                "version-mismatch",
                "snapshot",
                "mix-and-match",
                [1, 1, 0, 0],
            );
        },
    );
    all.case(
        "snapshot/missing",
        &["5.5.1"],
        "The Snapshot that Timestamp names is not there. Timestamp is kept.",
        |case, repo| {
            repo.withhold("snapshot");
            case.refresh(repo)
                .rejects("metadata-missing", "snapshot", "none", [1, 1, 0, 0])
                .requests("2.root timestamp 1.snapshot");
        },
    );
    all.case(
        "snapshot/lists-no-targets",
        &["4.4", "5.6.1"],
        "A Snapshot that does not list targets.json.",
        |case, repo| {
            repo.forge("snapshot", |signed| signed["meta"] = json!({}));
            case.refresh(repo).rejects(
                "role-not-in-snapshot",
                "targets",
                "mix-and-match",
                [1, 1, 1, 0],
            );
        },
    );
    all.case(
        "snapshot/lists-root",
        &["4.4"],
        "A Snapshot that lists root.json too, as older repositories wrote it. The entry is ignored.",
        |case, repo| {
            repo.forge("snapshot", |signed| {
                signed["meta"]["root.json"] = json!({"version": 7});
            });
            case.refresh(repo).accepts([1, 1, 1, 1]);
        },
    );
}

fn versions(all: &mut Cases) {
    all.case(
        "snapshot/entry-version-zero",
        &["4.4"],
        "A Snapshot lists version 0 of a role. Versions begin with 1.",
        |case, repo| {
            repo.forge("snapshot", |signed| {
                signed["meta"]["x.json"] = json!({"version": 0});
            });
            case.refresh(repo)
                .rejects("malformed", "snapshot", "none", [1, 1, 0, 0]);
        },
    );
}

fn hashes(all: &mut Cases) {
    all.case(
        "snapshot/hash-and-length-hold",
        &["5.5.1", "5.5.2"],
        "Timestamp lists length and hash of Snapshot, Snapshot those of Targets, and they hold.",
        |case, repo| {
            repo.link_hashes = true;
            case.refresh(repo).accepts([1, 1, 1, 1]);
        },
    );
    all.case(
        "snapshot/hash-wrong",
        &["5.5.2"],
        "A file of the same length and content, validly signed, that does not have the listed hash.",
        |case, repo| {
            repo.link_hashes = true;
            repo.tamper("snapshot", swap_members);
            case.refresh(repo)
                .rejects("metadata-hash", "snapshot", "mix-and-match", [1, 1, 0, 0]);
        },
    );
    all.case(
        "snapshot/longer-than-listed",
        &["5.5.1"],
        "The file goes on for a byte beyond its listed length.",
        |case, repo| {
            repo.link_hashes = true;
            case.refresh(repo)
                .pad("metadata/1.snapshot.json", 1)
                .rejects("too-large", "snapshot", "endless-data", [1, 1, 0, 0]);
        },
    );
    all.case(
        "snapshot/shorter-than-listed",
        &["5.5.2"],
        "The file ends before its listed length.",
        |case, repo| {
            repo.link_hashes = true;
            repo.forge("timestamp", |signed| {
                let entry = &mut signed["meta"]["snapshot.json"];
                let length = entry["length"].as_u64().unwrap_or_default();
                entry["length"] = json!(length + 1);
            });
            case.refresh(repo).rejects(
                "metadata-length",
                "snapshot",
                "mix-and-match",
                [1, 1, 0, 0],
            );
        },
    );
    all.case(
        "snapshot/one-of-two-hashes-wrong",
        &["5.5.2"],
        "The listed SHA-256 holds, the listed SHA-512 does not. Every hash has to hold.",
        |case, repo| {
            repo.link_hashes = true;
            repo.forge("timestamp", |signed| {
                signed["meta"]["snapshot.json"]["hashes"]["sha512"] = json!("00".repeat(64));
            });
            case.refresh(repo)
                .rejects("metadata-hash", "snapshot", "mix-and-match", [1, 1, 0, 0]);
        },
    );
    all.case(
        "snapshot/unknown-hash-beside-known",
        &["5.5.2"],
        "A hash of an unknown function stands beside a SHA-256 that holds. The unknown one is ignored.",
        |case, repo| {
            repo.link_hashes = true;
            repo.forge("timestamp", |signed| {
                signed["meta"]["snapshot.json"]["hashes"]["future"] = json!("00");
            });
            case.refresh(repo).accepts([1, 1, 1, 1]);
        },
    );
    all.case(
        "snapshot/unknown-hash-only",
        &["5.5.2"],
        "Only a hash of an unknown function is listed. What cannot be checked is not believed.",
        |case, repo| {
            repo.link_hashes = true;
            repo.forge("timestamp", |signed| {
                signed["meta"]["snapshot.json"]["hashes"] = json!({"future": "00"});
            });
            case.refresh(repo)
                .rejects("metadata-hash", "snapshot", "mix-and-match", [1, 1, 0, 0]);
        },
    );
    for (name, link_hashes, code) in [
        ("mixed-with-older", false, "version-mismatch"),
        ("mixed-with-older-by-hash", true, "metadata-hash"),
    ] {
        all.case(
            &format!("snapshot/{name}"),
            &["5.5.2", "5.5.4"],
            "A new Timestamp with the Snapshot of before, served under the new name.",
            |case, repo| {
                repo.link_hashes = link_hashes;
                case.refresh(repo).accepts([1, 1, 1, 1]);
                let older = repo.published("metadata/1.snapshot.json");
                repo.next_online();
                repo.tamper_bytes("snapshot", move |_| older.clone());
                case.refresh(repo)
                    .rejects(code, "snapshot", "mix-and-match", [1, 2, 1, 1]);
            },
        );
    }
}

fn supplied(repo: &mut Repo) {
    let delegation = Delegation::to("supplier", &["supplier/*"]);
    repo.targets().delegations.push(delegation);
    repo.add_image("supplier", "supplier/ecu.bin", b"ecu\n");
}

fn entries(all: &mut Cases) {
    all.case(
        "snapshot/entry-rollback",
        &["5.5.5"],
        "A newer Snapshot lists an older Targets file than the trusted one.",
        |case, repo| {
            repo.release();
            case.refresh(repo).accepts([1, 2, 2, 2]);
            repo.next_online();
            repo.targets().head.version = 1;
            case.refresh(repo)
                .rejects(
                    "snapshot-entry-rollback",
                    "targets",
                    "rollback",
                    [1, 3, 2, 2],
                )
                .requests("2.root timestamp 3.snapshot");
        },
    );
    all.case(
        "snapshot/delegated-entry-rollback",
        &["5.5.5"],
        "A newer Snapshot lists an older delegated file than the trusted one, although the client never fetched it.",
        |case, repo| {
            supplied(repo);
            repo.role("supplier").head.version = 5;
            case.refresh(repo).accepts([1, 1, 1, 1]).knows_not("supplier");
            repo.next_online();
            repo.role("supplier").head.version = 4;
            case.refresh(repo)
                .rejects("snapshot-entry-rollback", "supplier", "rollback", [1, 2, 1, 1]);
        },
    );
    all.case(
        "snapshot/entry-removed",
        &["5.5.5"],
        "A newer Snapshot no longer lists a delegated file.",
        |case, repo| {
            supplied(repo);
            case.refresh(repo).accepts([1, 1, 1, 1]);
            repo.next_online();
            repo.forge("snapshot", |signed| {
                signed["meta"] = json!({"targets.json": {"version": 1}});
            });
            case.refresh(repo).rejects(
                "snapshot-entry-removed",
                "supplier",
                "rollback",
                [1, 2, 1, 1],
            );
        },
    );
    all.case(
        "snapshot/entry-added",
        &["5.5.5"],
        "A newer Snapshot lists one more file.",
        |case, repo| {
            case.refresh(repo).accepts([1, 1, 1, 1]);
            supplied(repo);
            repo.release();
            case.refresh(repo).accepts([1, 2, 2, 2]);
        },
    );
    all.case(
        "snapshot/entry-removed-after-key-replaced",
        &["5.3.11", "5.5.5"],
        "The Snapshot key is replaced, so the old Snapshot is no floor any more and its entries may go.",
        |case, repo| {
            supplied(repo);
            case.refresh(repo).accepts([1, 1, 1, 1]);
            repo.next_root(|root| root.keys("snapshot", &["snapshot-2"], 1));
            repo.next_online();
            repo.forge("snapshot", |signed| {
                signed["meta"] = json!({"targets.json": {"version": 1}});
            });
            case.refresh(repo).accepts([2, 2, 2, 1]);
        },
    );
}

fn same_version(all: &mut Cases) {
    all.case(
        "snapshot/same-version-other-content",
        &["5.5.2", "5.5.5"],
        "A new Timestamp lists the hash of another file for the Snapshot version that is trusted.",
        |case, repo| {
            repo.link_hashes = true;
            case.refresh(repo).accepts([1, 1, 1, 1]);
            repo.timestamp.version = 2;
            repo.forge("snapshot", |signed| signed["x"] = json!(1));
            case.refresh(repo)
                .rejects(
                    "same-version-different-content",
                    "snapshot",
                    "mix-and-match",
                    [1, 2, 1, 1],
                )
                .bytes_of("snapshot", 1);
        },
    );
    all.case(
        "snapshot/same-version-signed-again",
        &["5.5.2"],
        "A new Timestamp lists the hash of the same Snapshot with one signature more. What is signed is equal, so it is no attack.",
        |case, repo| {
            repo.link_hashes = true;
            case.refresh(repo).accepts([1, 1, 1, 1]);
            repo.timestamp.version = 2;
            repo.signatures("snapshot", |all| {
                all.push(json!({"keyid": "ab".repeat(32), "sig": "00"}));
            });
            case.refresh(repo)
                .accepts([1, 2, 1, 1])
                .bytes_of("snapshot", 2)
                .requests("2.root timestamp 1.snapshot");
        },
    );
    all.case(
        "snapshot/stored-is-used",
        &["5.5.1"],
        "Timestamp goes on naming the trusted version, without a hash. The stored file is used, whatever the server has under that name now.",
        |case, repo| {
            case.refresh(repo).accepts([1, 1, 1, 1]);
            repo.timestamp.version = 2;
            repo.forge("snapshot", |signed| signed["x"] = json!(1));
            case.refresh(repo)
                .accepts([1, 2, 1, 1])
                .bytes_of("snapshot", 1)
                .requests("2.root timestamp");
        },
    );
}

fn expiry(all: &mut Cases) {
    all.case(
        "snapshot/expired",
        &["5.5.6"],
        "A fresh Timestamp names an expired Snapshot.",
        |case, repo| {
            repo.snapshot.expires = SHORT.into();
            case.refresh(repo)
                .at(AFTER)
                .rejects("expired", "snapshot", "freeze", [1, 1, 0, 0]);
        },
    );
    all.case(
        "snapshot/expires-now",
        &["5.5.6"],
        "A file is good until, not at, the second in which it expires.",
        |case, repo| {
            repo.snapshot.expires = SHORT.into();
            case.refresh(repo)
                .at(SHORT)
                .rejects("expired", "snapshot", "freeze", [1, 1, 0, 0]);
        },
    );
    all.case(
        "snapshot/stored-expired",
        &["5.5.6"],
        "Timestamp is renewed and goes on naming the stored Snapshot, which has expired meanwhile.",
        |case, repo| {
            repo.snapshot.expires = SHORT.into();
            case.refresh(repo)
                .at("2030-05-01T00:00:00Z")
                .accepts([1, 1, 1, 1]);
            repo.timestamp.version = 2;
            case.refresh(repo)
                .at(AFTER)
                .rejects("expired", "snapshot", "freeze", [1, 2, 1, 1]);
        },
    );
    all.case(
        "snapshot/stored-expired-is-a-floor",
        &["5.5.5"],
        "The stored Snapshot has expired. Its entries are still the floor for the next one.",
        |case, repo| {
            repo.release();
            repo.snapshot.expires = SHORT.into();
            case.refresh(repo)
                .at("2030-05-01T00:00:00Z")
                .accepts([1, 2, 2, 2]);
            repo.next_online();
            repo.snapshot.expires = "2031-01-01T00:00:00Z".into();
            repo.targets().head.version = 1;
            case.refresh(repo).at(AFTER).rejects(
                "snapshot-entry-rollback",
                "targets",
                "rollback",
                [1, 3, 2, 2],
            );
        },
    );
}

fn signatures(all: &mut Cases) {
    let wrong: [(&str, &str, &[&str]); 3] = [
        ("unsigned", "A Snapshot without signatures.", &[]),
        (
            "wrong-key",
            "A Snapshot signed by an attacker's key.",
            &["evil"],
        ),
        (
            "signed-by-timestamp",
            "The Timestamp key signs Snapshot.",
            &["timestamp-1"],
        ),
    ];
    for (name, note, signers) in wrong {
        all.case(
            &format!("snapshot/{name}"),
            &["5.5.3"],
            note,
            |case, repo| {
                repo.sign_with("snapshot", signers);
                case.refresh(repo).rejects(
                    "signature-threshold",
                    "snapshot",
                    "arbitrary-software",
                    [1, 1, 0, 0],
                );
            },
        );
    }
    all.case(
        "snapshot/unsigned-with-right-hash",
        &["5.5.2", "5.5.3"],
        "A stolen Timestamp key vouches for the hash of an unsigned Snapshot. A hash is no signature.",
        |case, repo| {
            repo.link_hashes = true;
            repo.sign_with("snapshot", &[]);
            case.refresh(repo)
                .rejects("signature-threshold", "snapshot", "arbitrary-software", [1, 1, 0, 0]);
        },
    );
    all.case(
        "snapshot/wrong-type",
        &["5.5.3", "4.4"],
        "The file says that it is a Timestamp, and the Snapshot key signed that.",
        |case, repo| {
            repo.forge("snapshot", |signed| signed["_type"] = json!("timestamp"));
            case.refresh(repo).rejects(
                "wrong-role-type",
                "snapshot",
                "mix-and-match",
                [1, 1, 0, 0],
            );
        },
    );
    all.case(
        "snapshot/key-replaced",
        &["5.3.11", "5.5.3"],
        "The Snapshot key is replaced. The stored Snapshot no longer verifies, and the same version, signed by the new key, is fetched.",
        |case, repo| {
            case.refresh(repo).accepts([1, 1, 1, 1]);
            repo.next_root(|root| root.keys("snapshot", &["snapshot-2"], 1));
            case.refresh(repo)
                .accepts([2, 1, 1, 1])
                .bytes_of("snapshot", 2);
        },
    );
}
