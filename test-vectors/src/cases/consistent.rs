//! Repositories with and without consistent snapshots (TUF 6.2).

use serde_json::json;

use super::Cases;
use crate::simulate::{Delegation, Repo};

const IMAGE: &[u8] = b"firmware 1\n";
const NAME: &str = "fw.img";
const ALL: [u64; 4] = [1, 1, 1, 1];

pub(super) fn cases(all: &mut Cases) {
    plain(all);
    changing(all);
    misplaced(all);
}

fn supplied(repo: &mut Repo) {
    let delegation = Delegation::to("supplier", &["supplier/*"]);
    repo.targets().delegations.push(delegation);
    repo.add_image("supplier", "supplier/ecu.bin", b"ecu\n");
}

fn plain(all: &mut Cases) {
    all.case(
        "consistent/off",
        &["5.3.12", "6.2"],
        "Without consistent snapshots, Snapshot, Targets and delegated files have no version in their names, and images no hash. Root has its version all the same.",
        |case, repo| {
            repo.root().consistent = false;
            supplied(repo);
            case.download(repo, &[NAME, "supplier/ecu.bin"])
                .accepts(ALL)
                .trusts_role("supplier", 1)
                .gets(NAME, IMAGE)
                .gets("supplier/ecu.bin", b"ecu\n")
                .requests("2.root timestamp snapshot targets supplier");
        },
    );
    all.case(
        "consistent/on",
        &["5.3.12", "6.2"],
        "With consistent snapshots, every file but Timestamp has its version in its name, and images have a hash.",
        |case, repo| {
            supplied(repo);
            repo.role("supplier").head.version = 7;
            case.download(repo, &[NAME, "supplier/ecu.bin"])
                .accepts(ALL)
                .trusts_role("supplier", 7)
                .gets(NAME, IMAGE)
                .gets("supplier/ecu.bin", b"ecu\n")
                .requests("2.root timestamp 1.snapshot 1.targets 7.supplier");
        },
    );
    all.case(
        "consistent/off-new-release",
        &["6.2"],
        "A release in a repository without consistent snapshots: files are replaced in place.",
        |case, repo| {
            repo.root().consistent = false;
            case.download(repo, &[NAME]).accepts(ALL).gets(NAME, IMAGE);
            repo.add_image("targets", NAME, b"firmware 2\n");
            repo.release();
            case.download(repo, &[NAME])
                .accepts([1, 2, 2, 2])
                .gets(NAME, b"firmware 2\n")
                .requests("2.root timestamp snapshot targets");
        },
    );
    all.case(
        "consistent/off-half-published",
        &["5.5.4", "6.2"],
        "In a repository without consistent snapshots a client comes in the middle of a release: Timestamp is still the old one, Snapshot is new already. It refuses, and the next session succeeds.",
        |case, repo| {
            repo.root().consistent = false;
            repo.snapshot.version = 2;
            repo.forge("timestamp", |signed| {
                signed["meta"]["snapshot.json"]["version"] = json!(1);
            });
            case.refresh(repo)
                .rejects("version-mismatch", "snapshot", "mix-and-match", [1, 1, 0, 0]);
            repo.honest();
            repo.timestamp.version = 2;
            case.refresh(repo).accepts([1, 2, 2, 1]);
        },
    );
    all.case(
        "consistent/not-stated",
        &["4.3", "6.2"],
        "A Root that does not say: no consistent snapshots.",
        |case, repo| {
            repo.root().consistent = false;
            repo.forge("root", |root| {
                root.as_object_mut()
                    .map(|members| members.remove("consistent_snapshot"));
            });
            case.refresh(repo)
                .accepts(ALL)
                .requests("2.root timestamp snapshot targets");
        },
    );
    all.case(
        "consistent/not-a-truth-value",
        &["4.3"],
        "`consistent_snapshot` is a text.",
        |case, repo| {
            repo.next_root(|_| {});
            repo.forge("root", |root| root["consistent_snapshot"] = json!("true"));
            case.refresh(repo)
                .rejects("malformed", "root", "none", [1, 0, 0, 0]);
        },
    );
}

fn changing(all: &mut Cases) {
    for (name, before) in [("turned-on", false), ("turned-off", true)] {
        all.case(
            &format!("consistent/{name}"),
            &["5.3.12", "6.2"],
            "A new Root changes whether snapshots are consistent. The last Root decides, already in this session.",
            |case, repo| {
                repo.root().consistent = before;
                case.refresh(repo).accepts(ALL);
                repo.next_root(|root| root.consistent = !before);
                repo.release();
                let requests = match before {
                    true => "2.root 3.root timestamp snapshot targets",
                    false => "2.root 3.root timestamp 2.snapshot 2.targets",
                };
                case.download(repo, &[NAME])
                    .accepts([2, 2, 2, 2])
                    .gets(NAME, IMAGE)
                    .requests(requests);
            },
        );
    }
}

fn misplaced(all: &mut Cases) {
    all.case(
        "consistent/on-unversioned-only",
        &["5.5.1", "6.2"],
        "The Root promises consistent snapshots, and Snapshot is there without a version in its name only.",
        |case, repo| {
            let file = repo.made("metadata/1.snapshot.json");
            repo.serve_also("metadata/snapshot.json", &file);
            repo.withhold("snapshot");
            case.refresh(repo)
                .rejects("metadata-missing", "snapshot", "none", [1, 1, 0, 0])
                .requests("2.root timestamp 1.snapshot");
        },
    );
    all.case(
        "consistent/on-root-unversioned-only",
        &["5.3.3"],
        "The next Root is there as root.json only, which nobody asks for.",
        |case, repo| {
            repo.next_root(|_| {});
            let file = repo.made("metadata/2.root.json");
            repo.serve_also("metadata/root.json", &file);
            repo.withhold("root");
            case.refresh(repo)
                .accepts(ALL)
                .requests("2.root timestamp 1.snapshot 1.targets");
        },
    );
    all.case(
        "consistent/on-image-without-hash-in-name",
        &["5.7.3", "6.2"],
        "The Root promises consistent snapshots, and the image is there without a hash in its name only.",
        |case, repo| {
            repo.serve_also("targets/fw.img", IMAGE);
            repo.withhold_image(NAME);
            case.download(repo, &[NAME])
                .rejects("image-missing", "targets", "none", ALL);
        },
    );
    all.case(
        "consistent/on-hash-before-path",
        &["5.7.3", "6.2"],
        "An image in a sub-directory is there as `HASH.dir/name`. The hash belongs before the last segment.",
        |case, repo| {
            repo.add_image("targets", "dir/fw.img", IMAGE);
            let hash = crate::simulate::sha256_hex(IMAGE);
            repo.serve_also(&format!("targets/{hash}.dir/fw.img"), IMAGE);
            repo.withhold_image("dir/fw.img");
            case.download(repo, &["dir/fw.img"])
                .rejects("image-missing", "targets", "none", ALL);
        },
    );
}
