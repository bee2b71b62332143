//! The threshold rule, which is the same for every role (TUF 4.2, 5.3.4, 5.4.2, 5.5.3, 5.6.3).

use serde_json::json;

use super::Cases;
use super::edits::wrong_digit;
use crate::simulate::{Json, TestKey};

/// A role, its clause, and what a client trusts after it was refused.
const ROLES: [(&str, &str, [u64; 4]); 3] = [
    ("timestamp", "5.4.2", [1, 0, 0, 0]),
    ("snapshot", "5.5.3", [1, 1, 0, 0]),
    ("targets", "5.6.3", [1, 1, 1, 0]),
];

pub(super) fn cases(all: &mut Cases) {
    for (role, clause, before) in ROLES {
        counting(all, role, clause, before);
    }
    repeated(all);
    stated(all);
    ignored(all);
    names(all);
}

/// The id of a key by name, as metadata writes it.
fn id_of(name: &str) -> String {
    let key: Result<TestKey, _> = name.parse();
    key.map(|key| key.id()).unwrap_or_default()
}

fn counting(all: &mut Cases, role: &'static str, clause: &str, before: [u64; 4]) {
    let two = ["a", "b"];
    let kept: [(&str, &str, &[&str]); 2] = [
        ("met", "Two of two keys signed.", &["a", "b"]),
        (
            "exceeded",
            "Three signed where two are asked for: one of them has no say.",
            &["evil", "b", "a"],
        ),
    ];
    for (name, note, signers) in kept {
        all.case(
            &format!("thresholds/{role}-{name}"),
            &[clause],
            note,
            |case, repo| {
                repo.root().keys(role, &two, 2);
                repo.sign_with(role, signers);
                case.refresh(repo).accepts([1, 1, 1, 1]);
            },
        );
    }
    let broken: [(&str, &str, &[&str]); 3] = [
        (
            "not-met",
            "One of two keys signed, and both have to.",
            &["a"],
        ),
        (
            "one-good-one-foreign",
            "One key of the role and one that is none of it signed.",
            &["a", "evil"],
        ),
        (
            "one-good-one-of-other-role",
            "One key of the role and the Root key signed.",
            &["a", "root-1"],
        ),
    ];
    for (name, note, signers) in broken {
        all.case(
            &format!("thresholds/{role}-{name}"),
            &[clause],
            note,
            |case, repo| {
                repo.root().keys(role, &two, 2);
                repo.sign_with(role, signers);
                case.refresh(repo).rejects(
                    "signature-threshold",
                    role,
                    "arbitrary-software",
                    before,
                );
            },
        );
    }
    all.case(
        &format!("thresholds/{role}-one-good-one-broken"),
        &[clause],
        "Both keys signed, and one signature is damaged.",
        |case, repo| {
            repo.root().keys(role, &two, 2);
            repo.signatures(role, |all| {
                let sig = &mut all[1]["sig"];
                *sig = wrong_digit(sig);
            });
            case.refresh(repo)
                .rejects("signature-threshold", role, "arbitrary-software", before);
        },
    );
    all.case(
        &format!("thresholds/{role}-same-signature-under-two-ids"),
        &[clause],
        "One key's signature stands there again under the other key's id.",
        |case, repo| {
            repo.root().keys(role, &two, 2);
            repo.sign_with(role, &["a"]);
            repo.signatures(role, |all| {
                let sig = all[0]["sig"].clone();
                all.push(json!({"keyid": id_of("b"), "sig": sig}));
            });
            case.refresh(repo)
                .rejects("signature-threshold", role, "arbitrary-software", before);
        },
    );
    all.case(
        &format!("thresholds/{role}-unreachable"),
        &["4.3", clause],
        "A threshold above the number of keys. The Root that states it is accepted, and nothing of that role ever is.",
        |case, repo| {
            repo.root().keys(role, &two, 3);
            case.refresh(repo)
                .rejects("signature-threshold", role, "arbitrary-software", before);
        },
    );
}

fn repeated(all: &mut Cases) {
    all.case(
        "thresholds/key-id-twice-in-signatures",
        &["4.2"],
        "The same key id stands in the list of signatures twice, to be counted twice. The file is malformed.",
        |case, repo| {
            repo.root().keys("timestamp", &["a", "b"], 2);
            repo.sign_with("timestamp", &["a", "a"]);
            case.refresh(repo)
                .rejects("malformed", "timestamp", "none", [1, 0, 0, 0]);
        },
    );
    all.case(
        "thresholds/key-id-twice-although-met",
        &["4.2"],
        "The same key id stands in the list of signatures twice. The file is malformed even where the threshold is met without it.",
        |case, repo| {
            repo.sign_with("timestamp", &["timestamp-1", "timestamp-1"]);
            case.refresh(repo)
                .rejects("malformed", "timestamp", "none", [1, 0, 0, 0]);
        },
    );
    all.case(
        "thresholds/key-id-twice-in-role",
        &["4.3", "5.4.2"],
        "The role lists one key id twice and asks for two signatures. The key counts once.",
        |case, repo| {
            repo.root().keys("timestamp", &["a", "a"], 2);
            repo.sign_with("timestamp", &["a"]);
            case.refresh(repo).rejects(
                "signature-threshold",
                "timestamp",
                "arbitrary-software",
                [1, 0, 0, 0],
            );
        },
    );
    all.case(
        "thresholds/key-id-twice-in-role-one-needed",
        &["4.3", "5.4.2"],
        "The role lists one key id twice and asks for one signature.",
        |case, repo| {
            repo.root().keys("timestamp", &["a", "a"], 1);
            repo.sign_with("timestamp", &["a"]);
            case.refresh(repo).accepts([1, 1, 1, 1]);
        },
    );
    all.case(
        "thresholds/one-key-under-two-ids",
        &["4.2", "5.4.2"],
        "One key is listed under two ids and signs under both. It counts once.",
        |case, repo| {
            repo.root().keys("timestamp", &["a"], 2);
            repo.forge("root", |root| {
                list_again(root, "timestamp", "a", "other-id")
            });
            repo.signatures("timestamp", |all| sign_again(all, "other-id"));
            case.provision(repo);
            case.refresh(repo).rejects(
                "signature-threshold",
                "timestamp",
                "arbitrary-software",
                [1, 0, 0, 0],
            );
        },
    );
    all.case(
        "thresholds/one-key-under-two-ids-one-needed",
        &["4.2", "5.4.2"],
        "One key is listed under two ids and signs under both, where one signature is enough.",
        |case, repo| {
            repo.root().keys("timestamp", &["a"], 1);
            repo.forge("root", |root| {
                list_again(root, "timestamp", "a", "other-id")
            });
            repo.signatures("timestamp", |all| sign_again(all, "other-id"));
            case.provision(repo);
            case.refresh(repo).accepts([1, 1, 1, 1]);
        },
    );
}

/// Lists a key of `role` under another id too.
fn list_again(root: &mut Json, role: &str, name: &str, id: &str) {
    root["keys"][id] = root["keys"][id_of(name)].clone();
    if let Some(ids) = root["roles"][role]["keyids"].as_array_mut() {
        ids.push(json!(id));
    }
}

/// Repeats the first signature under another id.
fn sign_again(all: &mut Vec<Json>, id: &str) {
    let sig = all[0]["sig"].clone();
    all.push(json!({"keyid": id, "sig": sig}));
}

fn stated(all: &mut Cases) {
    let thresholds = [
        ("zero", json!(0)),
        ("negative", json!(-1)),
        ("text", json!("1")),
        ("null", json!(null)),
        ("list", json!([1])),
    ];
    for (name, threshold) in thresholds {
        all.case(
            &format!("thresholds/stated-{name}"),
            &["4.3"],
            "A threshold is an integer of at least 1. The Root that states another one is malformed.",
            |case, repo| {
                repo.next_root(|_| {});
                repo.forge("root", move |root| {
                    root["roles"]["timestamp"]["threshold"] = threshold.clone();
                });
                case.refresh(repo)
                    .rejects("malformed", "root", "none", [1, 0, 0, 0]);
            },
        );
    }
    all.case(
        "thresholds/stated-fraction",
        &["4.2", "4.3"],
        "A threshold with a fraction. There are no such numbers in metadata.",
        |case, repo| {
            repo.next_root(|_| {});
            repo.rewrite("root", "\"threshold\":1", "\"threshold\":1.5");
            case.refresh(repo)
                .rejects("malformed", "root", "none", [1, 0, 0, 0]);
        },
    );
    all.case(
        "thresholds/root-unreachable",
        &["4.3", "5.3.4"],
        "A new Root states a threshold for Root above the number of its keys. It cannot meet it itself, and nothing could ever follow it.",
        |case, repo| {
            repo.next_root(|root| root.keys("root", &["root-1"], 2));
            case.refresh(repo)
                .rejects("malformed", "root", "none", [1, 0, 0, 0]);
        },
    );
    for (name, threshold) in [("2-to-the-31", 1 << 31), ("2-to-the-53", 1 << 53)] {
        all.case(
            &format!("thresholds/stated-{name}"),
            &["4.3", "5.4.2"],
            "A threshold far above the number of any role's keys. Root is accepted, and nothing of that role ever is.",
            |case, repo| {
                repo.root().keys("timestamp", &["timestamp-1"], threshold);
                case.refresh(repo).rejects(
                    "signature-threshold",
                    "timestamp",
                    "arbitrary-software",
                    [1, 0, 0, 0],
                );
            },
        );
    }
    all.case(
        "thresholds/no-keys",
        &["4.3", "5.4.2"],
        "A role without keys. Nothing of that role is ever accepted.",
        |case, repo| {
            repo.root().keys("timestamp", &[], 1);
            repo.sign_with("timestamp", &["evil"]);
            case.refresh(repo).rejects(
                "signature-threshold",
                "timestamp",
                "arbitrary-software",
                [1, 0, 0, 0],
            );
        },
    );
}

fn ignored(all: &mut Cases) {
    let extra = [
        (
            "unknown-key",
            json!({"keyid": "ab".repeat(32), "sig": "00".repeat(64)}),
        ),
        (
            "not-hexadecimal",
            json!({"keyid": "ab".repeat(32), "sig": "no signature"}),
        ),
        (
            "of-another-kind",
            json!({"keyid": "ab".repeat(32), "sig": {"r": 1, "s": 2}, "method": "future"}),
        ),
        ("empty", json!({"keyid": "ab".repeat(32), "sig": ""})),
        (
            "with-more-fields",
            json!({"keyid": "ab".repeat(32), "sig": "00", "time": 1, "extensions": []}),
        ),
    ];
    for (name, entry) in extra {
        all.case(
            &format!("thresholds/extra-signature-{name}"),
            &["4.2", "5.4.2"],
            "A signature that the client can make nothing of stands before a good one. It counts nothing and does no harm.",
            |case, repo| {
                repo.signatures("timestamp", move |all| all.insert(0, entry.clone()));
                case.refresh(repo).accepts([1, 1, 1, 1]);
            },
        );
    }
    all.case(
        "thresholds/own-signature-not-hexadecimal",
        &["4.2", "5.4.2"],
        "The only signature of the role's key cannot be decoded.",
        |case, repo| {
            repo.signatures("timestamp", |all| all[0]["sig"] = json!("not a signature"));
            case.refresh(repo).rejects(
                "signature-threshold",
                "timestamp",
                "arbitrary-software",
                [1, 0, 0, 0],
            );
        },
    );
    all.case(
        "thresholds/signature-without-key-id",
        &["4.2"],
        "An entry in the list of signatures without a key id.",
        |case, repo| {
            repo.signatures("timestamp", |all| all.push(json!({"sig": "00"})));
            case.refresh(repo)
                .rejects("malformed", "timestamp", "none", [1, 0, 0, 0]);
        },
    );
}

fn names(all: &mut Cases) {
    all.case(
        "thresholds/signature-under-wrong-id",
        &["4.2", "5.4.2"],
        "The right key signed, but the signature names another key's id.",
        |case, repo| {
            repo.signatures("timestamp", |all| {
                all[0]["keyid"] = json!(id_of("snapshot-1"))
            });
            case.refresh(repo).rejects(
                "signature-threshold",
                "timestamp",
                "arbitrary-software",
                [1, 0, 0, 0],
            );
        },
    );
    all.case(
        "thresholds/key-not-listed-for-role",
        &["4.3", "5.4.2"],
        "Root has the signer's key, but lists it for no role.",
        |case, repo| {
            repo.forge("root", |root| {
                let key: Result<TestKey, _> = "evil".parse();
                root["keys"][id_of("evil")] = key.map(|key| key.to_json()).unwrap_or_default();
            });
            case.provision(repo);
            repo.sign_with("timestamp", &["evil"]);
            case.refresh(repo).rejects(
                "signature-threshold",
                "timestamp",
                "arbitrary-software",
                [1, 0, 0, 0],
            );
        },
    );
    all.case(
        "thresholds/listed-key-is-missing",
        &["4.3", "5.4.2"],
        "A role lists the id of a key that Root does not have, beside one that it has and that signed.",
        |case, repo| {
            repo.forge("root", |root| {
                if let Some(ids) = root["roles"]["timestamp"]["keyids"].as_array_mut() {
                    ids.push(json!("cd".repeat(32)));
                }
            });
            case.provision(repo);
            case.refresh(repo).accepts([1, 1, 1, 1]);
        },
    );
    all.case(
        "thresholds/key-id-is-opaque",
        &["4.2", "5.4.2"],
        "A key id that is not the hash of the key. Ids are names and nothing more (TAP 12).",
        |case, repo| {
            repo.forge("root", |root| {
                root["keys"]["any name"] = root["keys"][id_of("timestamp-1")].clone();
                root["roles"]["timestamp"]["keyids"] = json!(["any name"]);
            });
            case.provision(repo);
            repo.signatures("timestamp", |all| all[0]["keyid"] = json!("any name"));
            case.refresh(repo).accepts([1, 1, 1, 1]);
        },
    );
    all.case(
        "thresholds/key-under-id-of-another",
        &["4.2", "5.4.2"],
        "The attacker's key stands under an honest key's id, in a Root that the honest Root key did not sign.",
        |case, repo| {
            repo.next_root(|_| {});
            repo.forge("root", |root| {
                let key: Result<TestKey, _> = "evil".parse();
                root["keys"][id_of("root-1")] = key.map(|key| key.to_json()).unwrap_or_default();
            });
            repo.sign_with("root", &["evil"]);
            repo.signatures("root", |all| all[0]["keyid"] = json!(id_of("root-1")));
            case.refresh(repo)
                .rejects("signature-threshold", "root", "arbitrary-software", [1, 0, 0, 0]);
        },
    );
}
