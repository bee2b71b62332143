//! Rotated keys, expired Roots, and trouble on the way to one (TUF 5.3.8 to 5.3.11).

use serde_json::json;

use super::{ANY, Cases};

const EVEN_LATER: &str = "2099-12-31T23:59:59Z";
const SHORT: &str = "2030-06-01T00:00:00Z";
const BEFORE: &str = "2030-05-31T23:59:59Z";
const AFTER: &str = "2030-06-01T00:00:01Z";

pub(super) fn cases(all: &mut Cases) {
    rotation(all);
    expiry(all);
    trouble(all);
}

fn rotation(all: &mut Cases) {
    all.case(
        "root/revoked-timestamp-key",
        &["5.3.11", "5.4.2"],
        "The Timestamp key was replaced. A Timestamp by the old key, higher than any before, is refused.",
        |case, repo| {
            case.refresh(repo).accepts([1, 1, 1, 1]);
            repo.next_root(|root| root.keys("timestamp", &["timestamp-2"], 1));
            repo.timestamp.version = 2;
            repo.sign_with("timestamp", &["timestamp-1"]);
            case.refresh(repo)
                .rejects("signature-threshold", "timestamp", "arbitrary-software", [2, ANY, ANY, 1]);
        },
    );
    all.case(
        "root/revoked-targets-key",
        &["5.6.3"],
        "The Targets key was replaced. Targets by the old key are refused, although Snapshot names them.",
        |case, repo| {
            case.refresh(repo).accepts([1, 1, 1, 1]);
            repo.next_root(|root| root.keys("targets", &["targets-2"], 1));
            repo.release();
            repo.sign_with("targets", &["targets-1"]);
            case.refresh(repo)
                .rejects("signature-threshold", "targets", "arbitrary-software", [2, 2, 2, ANY]);
        },
    );
    all.case(
        "root/stored-targets-of-revoked-key",
        &["5.3.11", "5.6.3"],
        "The Targets key was replaced, and Snapshot still names the version that is stored, signed by the old key. It is no longer believed, and the file by the new key is fetched.",
        |case, repo| {
            case.refresh(repo).accepts([1, 1, 1, 1]);
            repo.next_root(|root| root.keys("targets", &["targets-2"], 1));
            case.refresh(repo)
                .accepts([2, 1, 1, 1])
                .bytes_of("targets", 2)
                .requests("2.root 3.root timestamp 1.targets");
        },
    );
    all.case(
        "root/timestamp-fast-forward-kept",
        &["5.4.3.1"],
        "A thief of the Timestamp key published a version far ahead. Until the key is replaced, lower versions are refused.",
        |case, repo| {
            let mut honest = repo.clone();
            repo.timestamp.version = 2_147_483_647;
            case.refresh(repo).accepts([1, 2_147_483_647, 1, 1]);
            honest.timestamp.version = 2;
            case.refresh(&mut honest)
                .rejects("version-rollback", "timestamp", "rollback", [1, 2_147_483_647, 1, 1]);
        },
    );
    all.case(
        "root/floors-outlive-new-roots",
        &["5.3.11", "5.4.3.1"],
        "Two new Roots replace no key, and the session that follows them has nothing new to keep. In the next one an older Timestamp is refused still.",
        |case, repo| {
            repo.timestamp.version = 5;
            let mut old = repo.clone();
            case.refresh(repo).accepts([1, 5, 1, 1]);
            for repo in [&mut *repo, &mut old] {
                repo.next_root(|_| {});
                repo.next_root(|_| {});
            }
            case.refresh(repo).accepts([3, 5, 1, 1]);
            old.timestamp.version = 4;
            case.refresh(&mut old)
                .rejects("version-rollback", "timestamp", "rollback", [3, 5, 1, 1]);
        },
    );
    all.case(
        "root/kept-since-the-rotation",
        &["5.3.11", "5.6.1"],
        "The Targets key was replaced, and Targets signed anew under the same version, which nothing above it shows. What \
         was accepted after the rotation is kept: it is not asked for again.",
        |case, repo| {
            case.refresh(repo).accepts([1, 1, 1, 1]);
            repo.next_root(|root| root.keys("targets", &["targets-2"], 1));
            case.refresh(repo)
                .accepts([2, 1, 1, 1])
                .bytes_of("targets", 2)
                .requests("2.root 3.root timestamp 1.targets");
            case.refresh(repo)
                .accepts([2, 1, 1, 1])
                .bytes_of("targets", 2)
                .requests("3.root timestamp");
        },
    );
    all.case(
        "root/timestamp-fast-forward-recovered",
        &["5.3.11"],
        "A thief of the Timestamp key published a version far ahead. Once the key is replaced, low versions are accepted again.",
        |case, repo| {
            repo.timestamp.version = 2_147_483_647;
            case.refresh(repo).accepts([1, 2_147_483_647, 1, 1]);
            repo.next_root(|root| root.keys("timestamp", &["timestamp-2"], 1));
            repo.timestamp.version = 1;
            case.refresh(repo)
                .accepts([2, 1, 1, 1])
                .requests("2.root 3.root timestamp 1.snapshot");
        },
    );
    all.case(
        "root/snapshot-fast-forward-recovered",
        &["5.3.11"],
        "A thief of the Snapshot key published a version far ahead. Once that key is replaced, Timestamp and Snapshot with low versions are accepted again.",
        |case, repo| {
            repo.snapshot.version = 2_147_483_647;
            repo.timestamp.version = 2;
            case.refresh(repo).accepts([1, 2, 2_147_483_647, 1]);
            repo.next_root(|root| root.keys("snapshot", &["snapshot-2"], 1));
            repo.snapshot.version = 2;
            repo.timestamp.version = 1;
            case.refresh(repo).accepts([2, 1, 2, 1]);
        },
    );
    all.case(
        "root/snapshot-fast-forward-kept",
        &["5.4.3.2"],
        "A thief of the Snapshot key published a version far ahead. Without a new key, a Timestamp that names a lower one is refused.",
        |case, repo| {
            let mut honest = repo.clone();
            repo.snapshot.version = 2_147_483_647;
            repo.timestamp.version = 2;
            case.refresh(repo).accepts([1, 2, 2_147_483_647, 1]);
            honest.snapshot.version = 2;
            honest.timestamp.version = 3;
            case.refresh(&mut honest)
                .rejects("version-rollback", "snapshot", "rollback", [1, 2, 2_147_483_647, 1]);
        },
    );
    all.case(
        "root/targets-fast-forward-recovered",
        &["5.3.11"],
        "A thief of the Targets key published a version far ahead. Once Targets and Snapshot keys are replaced, low versions are accepted again.",
        |case, repo| {
            repo.release();
            repo.targets().head.version = 2_147_483_647;
            case.refresh(repo).accepts([1, 2, 2, 2_147_483_647]);
            repo.next_root(|root| {
                root.keys("targets", &["targets-2"], 1);
                root.keys("snapshot", &["snapshot-2"], 1);
            });
            repo.next_online();
            repo.targets().head.version = 2;
            case.refresh(repo).accepts([2, 3, 3, 2]);
        },
    );
    all.case(
        "root/targets-fast-forward-recovered-by-snapshot-key",
        &["5.3.11"],
        "A Targets version far ahead, published by mistake. Once the Snapshot key is replaced, low versions by the same Targets key are accepted again.",
        |case, repo| {
            repo.release();
            repo.targets().head.version = 2_147_483_647;
            case.refresh(repo).accepts([1, 2, 2, 2_147_483_647]);
            repo.next_root(|root| root.keys("snapshot", &["snapshot-2"], 1));
            repo.next_online();
            repo.targets().head.version = 2;
            case.refresh(repo).accepts([2, 3, 3, 2]);
        },
    );
    all.case(
        "root/targets-fast-forward-kept",
        &["5.5.5"],
        "A thief of the Targets key published a version far ahead. Without a new key, a Snapshot that lists a lower one is refused.",
        |case, repo| {
            let mut honest = repo.clone();
            repo.release();
            repo.targets().head.version = 2_147_483_647;
            case.refresh(repo).accepts([1, 2, 2, 2_147_483_647]);
            honest.snapshot.version = 3;
            honest.timestamp.version = 3;
            honest.targets().head.version = 2;
            case.refresh(&mut honest)
                .rejects("snapshot-entry-rollback", "targets", "rollback", [1, 3, 2, 2_147_483_647]);
        },
    );
    all.case(
        "root/targets-fast-forward-needs-snapshot-key",
        &["5.3.11", "5.5.5"],
        "A thief of the Targets key published a version far ahead, and a Snapshot listed it. Replacing the Targets key alone does not help: the trusted Snapshot stays the floor for what the next one may list.",
        |case, repo| {
            repo.release();
            repo.targets().head.version = 2_147_483_647;
            case.refresh(repo).accepts([1, 2, 2, 2_147_483_647]);
            repo.next_root(|root| root.keys("targets", &["targets-2"], 1));
            repo.next_online();
            repo.targets().head.version = 2;
            case.refresh(repo)
                .rejects("snapshot-entry-rollback", "targets", "rollback", [2, 3, 2, ANY]);
        },
    );
    all.case(
        "root/removed-and-added-again",
        &["5.3.11"],
        "The Timestamp key goes from A to B and back to A while the client is away. A and A again look the same, but the rotations between them still clear the way for low versions.",
        |case, repo| {
            repo.timestamp.version = 2_147_483_647;
            case.refresh(repo).accepts([1, 2_147_483_647, 1, 1]);
            repo.next_root(|root| root.keys("timestamp", &["timestamp-2"], 1));
            repo.next_root(|root| root.keys("timestamp", &["timestamp-1"], 1));
            repo.timestamp.version = 1;
            case.refresh(repo).accepts([3, 1, 1, 1]);
        },
    );
    all.case(
        "root/threshold-change-is-no-rotation",
        &["5.3.11", "5.4.3.1"],
        "A new Root asks for two Timestamp signatures in place of one, of the same keys. The Timestamp version seen before stays the floor.",
        |case, repo| {
            repo.root().keys("timestamp", &["timestamp-1", "timestamp-2"], 1);
            case.provision(repo);
            let mut old = repo.clone();
            repo.timestamp.version = 5;
            case.refresh(repo).accepts([1, 5, 1, 1]);
            old.next_root(|root| root.keys("timestamp", &["timestamp-1", "timestamp-2"], 2));
            old.timestamp.version = 4;
            case.refresh(&mut old)
                .rejects("version-rollback", "timestamp", "rollback", [2, 5, 1, 1]);
        },
    );
    all.case(
        "root/rotation-and-back-survives-interruption",
        &["5.3.8", "5.3.11"],
        "The Timestamp key goes from A to B and back to A, and the session that follows these Roots breaks off. The old Timestamp still verifies, but the next session knows from the Roots that it is no floor.",
        |case, repo| {
            repo.timestamp.version = 100;
            case.refresh(repo).accepts([1, 100, 1, 1]);
            repo.next_root(|root| root.keys("timestamp", &["timestamp-2"], 1));
            repo.next_root(|root| root.keys("timestamp", &["timestamp-1"], 1));
            repo.timestamp.version = 1;
            repo.withhold("timestamp");
            case.refresh(repo)
                .rejects("metadata-missing", "timestamp", "none", [3, ANY, ANY, 1]);
            repo.honest();
            case.refresh(repo).accepts([3, 1, 1, 1]);
        },
    );
    all.case(
        "root/rotation-survives-interruption",
        &["5.3.8", "5.3.11"],
        "The session in which the Timestamp key is replaced breaks off before a Timestamp is fetched. The next session knows from the Roots that the old version is no floor.",
        |case, repo| {
            repo.timestamp.version = 100;
            case.refresh(repo).accepts([1, 100, 1, 1]);
            repo.next_root(|root| root.keys("timestamp", &["timestamp-2"], 1));
            repo.timestamp.version = 1;
            repo.withhold("timestamp");
            case.refresh(repo)
                .rejects("metadata-missing", "timestamp", "none", [2, ANY, ANY, 1]);
            repo.honest();
            case.refresh(repo).accepts([2, 1, 1, 1]);
        },
    );
}

fn expiry(all: &mut Cases) {
    all.case(
        "root/expired",
        &["5.3.10"],
        "The newest Root has expired: a freeze, or nobody looks after the repository.",
        |case, repo| {
            repo.root().head.expires = SHORT.into();
            case.refresh(repo)
                .at(AFTER)
                .rejects("expired", "root", "freeze", [1, 0, 0, 0])
                .requests("2.root");
        },
    );
    all.case(
        "root/expires-now",
        &["5.3.10"],
        "A file is good until, not at, the second in which it expires.",
        |case, repo| {
            repo.root().head.expires = SHORT.into();
            case.refresh(repo)
                .at(SHORT)
                .rejects("expired", "root", "freeze", [1, 0, 0, 0]);
        },
    );
    all.case(
        "root/expires-in-a-second",
        &["5.3.10"],
        "One second before it expires, a Root is good.",
        |case, repo| {
            repo.root().head.expires = SHORT.into();
            case.refresh(repo).at(BEFORE).accepts([1, 1, 1, 1]);
        },
    );
    all.case(
        "root/intermediate-expired",
        &["5.3.4", "5.3.6", "5.3.10"],
        "A client that was away for long: its own Root and the next one have expired, the last one has not.",
        |case, repo| {
            repo.root().head.expires = "2026-01-01T00:00:00Z".into();
            case.provision(repo);
            repo.next_root(|root| root.head.expires = SHORT.into());
            repo.next_root(|root| root.head.expires = EVEN_LATER.into());
            case.refresh(repo).at(AFTER).accepts([3, 1, 1, 1]);
        },
    );
    all.case(
        "root/new-one-expired",
        &["5.3.8", "5.3.10"],
        "The new Root is signed well but has expired. It is kept, because it authorises the next one, and the session ends.",
        |case, repo| {
            repo.next_root(|root| root.head.expires = SHORT.into());
            case.refresh(repo)
                .at(AFTER)
                .rejects("expired", "root", "freeze", [2, 0, 0, 0])
                .requests("2.root 3.root");
            repo.next_root(|root| root.head.expires = EVEN_LATER.into());
            case.refresh(repo).at(AFTER).accepts([3, 1, 1, 1]);
        },
    );
}

fn trouble(all: &mut Cases) {
    all.case(
        "root/server-error-is-not-the-end",
        &["5.3.3"],
        "The server answers 500 for the next Root. That is no proof that there is none, so the session must not go on with the old one.",
        |case, repo| {
            case.refresh(repo)
                .status("metadata/2.root.json", 500)
                .rejects("fetch-failed", "root", "none", [1, 0, 0, 0]);
        },
    );
    all.case(
        "root/forbidden-is-not-there",
        &["5.3.3"],
        "Object stores answer 403 for a file that is not there.",
        |case, repo| {
            case.refresh(repo)
                .status("metadata/2.root.json", 403)
                .accepts([1, 1, 1, 1]);
        },
    );
    all.case(
        "root/too-large",
        &["5.3.3"],
        "A Root that goes on for a megabyte. The client stops reading.",
        |case, repo| {
            repo.next_root(|_| {});
            case.refresh(repo)
                .pad("metadata/2.root.json", 1 << 20)
                .rejects("too-large", "root", "endless-data", [1, 0, 0, 0]);
        },
    );
    all.case(
        "root/not-json",
        &["5.3.4"],
        "A captive portal answers everything with an HTML page.",
        |case, repo| {
            repo.next_root(|_| {});
            repo.tamper("root", |_| {
                "<!DOCTYPE html><html>Please log in</html>\n".into()
            });
            case.refresh(repo)
                .rejects("malformed", "root", "none", [1, 0, 0, 0]);
        },
    );
    all.case(
        "root/wrong-type",
        &["5.3.4"],
        "A Targets file, signed by the Root key, is served as the next Root.",
        |case, repo| {
            repo.next_root(|_| {});
            repo.forge("root", |root| root["_type"] = json!("targets"));
            case.refresh(repo)
                .rejects("wrong-role-type", "root", "mix-and-match", [1, 0, 0, 0]);
        },
    );
    all.case(
        "root/timestamp-missing-after-root",
        &["5.3.8", "5.4.1"],
        "The new Root is kept even when the session breaks off right after it.",
        |case, repo| {
            repo.next_root(|_| {});
            repo.withhold("timestamp");
            case.refresh(repo)
                .rejects("metadata-missing", "timestamp", "none", [2, 0, 0, 0]);
            repo.honest();
            case.refresh(repo)
                .accepts([2, 1, 1, 1])
                .requests("3.root timestamp 1.snapshot 1.targets");
        },
    );
}
