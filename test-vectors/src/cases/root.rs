//! The chain of Roots (TUF 5.2, 5.3).

use serde_json::json;

use super::{ANY, Cases};

pub(super) fn cases(all: &mut Cases) {
    following(all);
    versions(all);
    signatures(all);
}

fn following(all: &mut Cases) {
    all.case(
        "root/first-refresh",
        &["5.2", "5.3.3", "5.4.1", "5.5.1", "5.6.1"],
        "A new client knows its Root only. It asks for the next Root, which is not there, and then for each role once, in order.",
        |case, repo| {
            case.refresh(repo)
                .accepts([1, 1, 1, 1])
                .requests("2.root timestamp 1.snapshot 1.targets");
        },
    );
    all.case(
        "root/nothing-new",
        &["5.3.3", "5.4.3.1", "5.5.1", "5.6.1"],
        "When nothing is new, only the next Root and Timestamp are asked for: the stored Snapshot and Targets are the ones that are named.",
        |case, repo| {
            case.refresh(repo).accepts([1, 1, 1, 1]);
            case.refresh(repo)
                .accepts([1, 1, 1, 1])
                .requests("2.root timestamp");
        },
    );
    all.case(
        "root/two-new",
        &["5.3.3", "5.3.4", "5.3.7", "5.3.9"],
        "Two new Roots are followed one after the other, and the one after them is asked for.",
        |case, repo| {
            repo.next_root(|_| {});
            repo.next_root(|_| {});
            case.refresh(repo)
                .accepts([3, 1, 1, 1])
                .requests("2.root 3.root 4.root timestamp 1.snapshot 1.targets");
        },
    );
    all.case(
        "root/ten-rotations",
        &["5.3.4", "5.3.9"],
        "Ten Roots, each replacing the only Root key. A client that was away for all of them follows them all.",
        |case, repo| {
            for number in 2..=11 {
                repo.next_root(|root| root.keys("root", &[&format!("root-{number}")], 1));
            }
            case.refresh(repo).accepts([11, 1, 1, 1]);
        },
    );
    all.case(
        "root/goes-on-from-stored",
        &["5.2", "5.3.3", "5.3.8"],
        "The next session starts from the last Root that was trusted, not from the provisioned one.",
        |case, repo| {
            repo.next_root(|root| root.keys("root", &["root-2"], 1));
            case.refresh(repo).accepts([2, 1, 1, 1]);
            repo.next_root(|root| root.keys("root", &["root-3"], 1));
            case.refresh(repo)
                .accepts([3, 1, 1, 1])
                .requests("3.root 4.root timestamp");
        },
    );
    all.case(
        "root/provisioned-later-version",
        &["5.2", "5.3.3"],
        "A client that was provisioned with version 3 asks for version 4 first and never for older ones.",
        |case, repo| {
            repo.next_root(|_| {});
            repo.next_root(|_| {});
            case.provision(repo);
            case.refresh(repo)
                .accepts([3, 1, 1, 1])
                .requests("4.root timestamp 1.snapshot 1.targets");
        },
    );
    all.case(
        "root/gap-in-chain",
        &["5.3.3"],
        "Version 3 is there but version 2 is not: the chain ends before the gap, because each Root is believed on the word of the one before.",
        |case, repo| {
            repo.next_root(|_| {});
            repo.withhold("root");
            repo.next_root(|_| {});
            case.refresh(repo)
                .accepts([1, 1, 1, 1])
                .requests("2.root timestamp 1.snapshot 1.targets");
        },
    );
    all.case(
        "root/provisioned-unsigned",
        &["5.2"],
        "The provisioned Root is not signed by its own threshold. Nothing can be built on it.",
        |case, repo| {
            repo.sign_with("root", &[]);
            case.refresh(repo).rejects(
                "signature-threshold",
                "root",
                "arbitrary-software",
                [ANY, 0, 0, 0],
            );
        },
    );
}

fn versions(all: &mut Cases) {
    all.case(
        "root/version-unchanged",
        &["5.3.5"],
        "The file served as version 2 says that it is version 1.",
        |case, repo| {
            repo.next_root(|_| {});
            repo.forge("root", |root| root["version"] = json!(1));
            case.refresh(repo)
                .rejects("root-version", "root", "rollback", [1, 0, 0, 0])
                .requests("2.root");
        },
    );
    all.case(
        "root/version-skipped",
        &["5.3.5"],
        "The file served as version 2 says that it is version 3: a rotation in between could be hidden that way.",
        |case, repo| {
            repo.next_root(|_| {});
            repo.forge("root", |root| root["version"] = json!(3));
            case.refresh(repo)
                .rejects("root-version", "root", "rollback", [1, 0, 0, 0])
                .requests("2.root");
        },
    );
    all.case(
        "root/version-back",
        &["5.3.5"],
        "The file served as version 3 says that it is version 1 again.",
        |case, repo| {
            repo.next_root(|_| {});
            repo.next_root(|_| {});
            repo.forge("root", |root| root["version"] = json!(1));
            case.refresh(repo)
                .rejects("root-version", "root", "rollback", [2, 0, 0, 0]);
        },
    );
    all.case(
        "root/version-zero",
        &["5.3.5"],
        "Versions start at 1.",
        |case, repo| {
            repo.next_root(|_| {});
            repo.forge("root", |root| root["version"] = json!(0));
            case.refresh(repo)
                .rejects("malformed", "root", "none", [1, 0, 0, 0]);
        },
    );
    all.case(
        "root/refused-then-honest",
        &["5.3.4", "5.3.8"],
        "After a forged version 2 was refused, the honest version 2 is accepted in the next session: a refusal leaves no trace.",
        |case, repo| {
            repo.next_root(|_| {});
            repo.sign_with("root", &["evil"]);
            case.refresh(repo)
                .rejects("signature-threshold", "root", "arbitrary-software", [1, 0, 0, 0]);
            repo.honest();
            case.refresh(repo)
                .accepts([2, 1, 1, 1])
                .bytes_of("root", 2);
        },
    );
}

fn signatures(all: &mut Cases) {
    all.case(
        "root/not-signed-by-old",
        &["5.3.4"],
        "An attacker publishes a Root with his own keys, signed with them only.",
        |case, repo| {
            repo.next_root(|root| root.keys("root", &["evil"], 1));
            repo.sign_with("root", &["evil"]);
            case.refresh(repo)
                .rejects(
                    "signature-threshold",
                    "root",
                    "arbitrary-software",
                    [1, 0, 0, 0],
                )
                .requests("2.root");
        },
    );
    all.case(
        "root/not-signed-by-new",
        &["5.3.4"],
        "The new Root is signed by the old key only: whoever lists new keys must show that they work.",
        |case, repo| {
            repo.next_root(|root| root.keys("root", &["root-2"], 1));
            repo.sign_with("root", &["root-1"]);
            case.refresh(repo)
                .rejects("signature-threshold", "root", "arbitrary-software", [1, 0, 0, 0]);
        },
    );
    all.case(
        "root/signed-by-both",
        &["5.3.4"],
        "The Root key is replaced, and the new Root is signed by both.",
        |case, repo| {
            repo.next_root(|root| root.keys("root", &["root-2"], 1));
            case.refresh(repo).accepts([2, 1, 1, 1]);
        },
    );
    all.case(
        "root/unsigned",
        &["5.3.4"],
        "The new Root has an empty list of signatures.",
        |case, repo| {
            repo.next_root(|_| {});
            repo.sign_with("root", &[]);
            case.refresh(repo).rejects(
                "signature-threshold",
                "root",
                "arbitrary-software",
                [1, 0, 0, 0],
            );
        },
    );
    all.case(
        "root/signed-by-other-role",
        &["5.3.4"],
        "The Timestamp key, which is online, signs a new Root.",
        |case, repo| {
            repo.next_root(|_| {});
            repo.sign_with("root", &["timestamp-1"]);
            case.refresh(repo).rejects(
                "signature-threshold",
                "root",
                "arbitrary-software",
                [1, 0, 0, 0],
            );
        },
    );
    all.case(
        "root/threshold-raised",
        &["5.3.4"],
        "The threshold goes from 1 to 2. The new Root has two signatures, as it asks for itself.",
        |case, repo| {
            repo.next_root(|root| root.keys("root", &["root-1", "root-2"], 2));
            case.refresh(repo).accepts([2, 1, 1, 1]);
        },
    );
    all.case(
        "root/threshold-raised-not-met",
        &["5.3.4"],
        "The threshold goes from 1 to 2, but only the old key signed.",
        |case, repo| {
            repo.next_root(|root| root.keys("root", &["root-1", "root-2"], 2));
            repo.sign_with("root", &["root-1"]);
            case.refresh(repo).rejects(
                "signature-threshold",
                "root",
                "arbitrary-software",
                [1, 0, 0, 0],
            );
        },
    );
    all.case(
        "root/threshold-lowered",
        &["5.3.4"],
        "The threshold goes from 2 to 1. The new Root still needs two of the old keys.",
        |case, repo| {
            repo.root().keys("root", &["root-1", "root-2"], 2);
            case.provision(repo);
            repo.next_root(|root| root.keys("root", &["root-1", "root-2"], 1));
            case.refresh(repo).accepts([2, 1, 1, 1]);
        },
    );
    all.case(
        "root/threshold-lowered-not-met",
        &["5.3.4"],
        "The threshold goes from 2 to 1, and the new Root has one signature: enough by its own word, not by the old Root's.",
        |case, repo| {
            repo.root().keys("root", &["root-1", "root-2"], 2);
            case.provision(repo);
            repo.next_root(|root| root.keys("root", &["root-1", "root-2"], 1));
            repo.sign_with("root", &["root-1"]);
            case.refresh(repo)
                .rejects("signature-threshold", "root", "arbitrary-software", [1, 0, 0, 0]);
        },
    );
    all.case(
        "root/two-of-three",
        &["5.3.4"],
        "A threshold of two of three keys, and another two sign each Root.",
        |case, repo| {
            repo.root().keys("root", &["root-1", "root-2", "root-3"], 2);
            repo.sign_with("root", &["root-1", "root-2"]);
            case.provision(repo);
            repo.next_root(|_| {});
            repo.sign_with("root", &["root-2", "root-3"]);
            repo.next_root(|_| {});
            repo.sign_with("root", &["root-3", "root-1"]);
            case.refresh(repo).accepts([3, 1, 1, 1]);
        },
    );
    all.case(
        "root/keys-in-other-order",
        &["5.3.4"],
        "The order of key ids and of signatures means nothing.",
        |case, repo| {
            repo.root().keys("root", &["root-1", "root-2"], 2);
            case.provision(repo);
            repo.next_root(|root| root.keys("root", &["root-2", "root-1"], 2));
            repo.sign_with("root", &["root-2", "root-1"]);
            case.refresh(repo).accepts([2, 1, 1, 1]);
        },
    );
    all.case(
        "root/role-missing",
        &["4.3", "5.3.4"],
        "A Root without an entry for Snapshot. All four roles are required.",
        |case, repo| {
            repo.next_root(|_| {});
            repo.forge("root", |root| {
                root["roles"]
                    .as_object_mut()
                    .map(|roles| roles.remove("snapshot"));
            });
            case.refresh(repo)
                .rejects("malformed", "root", "none", [1, 0, 0, 0]);
        },
    );
    all.case(
        "root/extra-role",
        &["4.3"],
        "A Root with an entry for a role that the client does not know, such as the obsolete mirrors. It is ignored.",
        |case, repo| {
            repo.next_root(|_| {});
            repo.forge("root", |root| root["roles"]["mirrors"] = root["roles"]["snapshot"].clone());
            case.refresh(repo).accepts([2, 1, 1, 1]);
        },
    );
}
