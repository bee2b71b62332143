//! Key types and signature schemes (TUF 4.2).

use serde_json::json;

use super::Cases;
use super::edits::{
    certificate, compressed_pem, crlf, ed25519_plus_order, of_another_curve, raw_ecdsa,
    with_more_behind, wrong_digit,
};
use crate::simulate::{Json, Repo, TestKey};

/// One key of each kind.
const KINDS: [(&str, &str); 6] = [
    ("ed25519", "some"),
    ("ecdsa-p256", "p256-1"),
    ("ecdsa-p384", "p384-1"),
    ("rsa-2048", "rsa2048-1"),
    ("rsa-3072", "rsa3072-1"),
    ("rsa-4096", "rsa4096-1"),
];

pub(super) fn cases(all: &mut Cases) {
    for (kind, key) in KINDS {
        every_kind(all, kind, key);
    }
    mixed(all);
    encodings(all);
    spellings(all);
    misspelt(all);
    unusable(all);
}

fn every_kind(all: &mut Cases, kind: &str, key: &'static str) {
    all.case(
        &format!("keys/{kind}"),
        &["4.2"],
        "One key of this kind signs all four roles.",
        |case, repo| {
            for role in ["root", "timestamp", "snapshot", "targets"] {
                repo.root().keys(role, &[key], 1);
            }
            case.refresh(repo).accepts([1, 1, 1, 1]);
        },
    );
    all.case(
        &format!("keys/{kind}-damaged-signature"),
        &["4.2", "5.4.2"],
        "The last digit of the signature is wrong.",
        |case, repo| {
            repo.root().keys("timestamp", &[key], 1);
            repo.signatures("timestamp", |all| {
                let sig = &mut all[0]["sig"];
                *sig = wrong_digit(sig);
            });
            refused(case, repo);
        },
    );
    all.case(
        &format!("keys/{kind}-signature-of-other-message"),
        &["4.2", "5.4.2"],
        "The signature is good, but for another version of the file.",
        |case, repo| {
            repo.root().keys("timestamp", &[key], 1);
            repo.tamper("timestamp", |text| {
                text.replace("\"version\":1}", "\"version\":2}")
            });
            refused(case, repo);
        },
    );
}

fn refused(case: &mut super::Draft, repo: &mut Repo) {
    case.refresh(repo).rejects(
        "signature-threshold",
        "timestamp",
        "arbitrary-software",
        [1, 0, 0, 0],
    );
}

fn mixed(all: &mut Cases) {
    all.case(
        "keys/one-of-each-kind",
        &["4.2", "5.4.2"],
        "A threshold of six, met by one key of each kind.",
        |case, repo| {
            let names = KINDS.map(|(_, key)| key);
            repo.root().keys("timestamp", &names, 6);
            case.refresh(repo).accepts([1, 1, 1, 1]);
        },
    );
    all.case(
        "keys/other-key-of-same-kind",
        &["4.2", "5.4.2"],
        "Another P-256 key signs, under the id of the listed one.",
        |case, repo| {
            repo.root().keys("timestamp", &["p256-1"], 1);
            repo.sign_with("timestamp", &["p256-2"]);
            repo.signatures("timestamp", |all| all[0]["keyid"] = json!(id_of("p256-1")));
            refused(case, repo);
        },
    );
    all.case(
        "keys/shared-by-two-roles",
        &["4.3"],
        "Timestamp and Snapshot share a key. That is unwise, and allowed.",
        |case, repo| {
            repo.root().keys("snapshot", &["timestamp-1"], 1);
            case.refresh(repo).accepts([1, 1, 1, 1]);
        },
    );
}

fn id_of(name: &str) -> String {
    let key: Result<TestKey, _> = name.parse();
    key.map(|key| key.id()).unwrap_or_default()
}

/// Changes how Root writes the key of this name, which stays under its id.
fn respell(repo: &mut Repo, name: &'static str, edit: impl Fn(&mut Json) + 'static) {
    repo.forge("root", move |root| edit(&mut root["keys"][id_of(name)]));
}

fn encodings(all: &mut Cases) {
    all.case(
        "keys/pem-without-last-line-feed",
        &["4.2"],
        "A PEM key without a line feed at its end, as some tools write it.",
        |case, repo| {
            repo.root().keys("timestamp", &["rsa2048-1"], 1);
            respell(repo, "rsa2048-1", |key| {
                let public = &mut key["keyval"]["public"];
                *public = public.as_str().unwrap_or_default().trim_end().into();
            });
            case.provision(repo);
            case.refresh(repo).accepts([1, 1, 1, 1]);
        },
    );
    all.case(
        "keys/ecdsa-raw-signature",
        &["4.2", "5.4.2"],
        "An ECDSA signature as `r` and `s` side by side instead of DER.",
        |case, repo| {
            repo.root().keys("timestamp", &["p256-1"], 1);
            repo.signatures("timestamp", |all| raw_ecdsa(&mut all[0]["sig"]));
            refused(case, repo);
        },
    );
    all.case(
        "keys/ed25519-signature-plus-group-order",
        &["4.2", "5.4.2"],
        "An Ed25519 signature whose second half is raised by the group order. Sloppy verifiers accept it as a second signature (RFC 8032, 5.1.7).",
        |case, repo| {
            repo.signatures("timestamp", |all| ed25519_plus_order(&mut all[0]["sig"]));
            refused(case, repo);
        },
    );
    all.case(
        "keys/ed25519-signature-too-long",
        &["4.2", "5.4.2"],
        "A good Ed25519 signature with a byte after it.",
        |case, repo| {
            repo.signatures("timestamp", |all| {
                let sig = &mut all[0]["sig"];
                *sig = format!("{}00", sig.as_str().unwrap_or_default()).into();
            });
            refused(case, repo);
        },
    );
}

/// Keys that are written wrongly: what they sign counts for nothing.
fn misspelt(all: &mut Cases) {
    type Spelling = (&'static str, &'static str, &'static str, fn(&mut Json));
    let spellings: [Spelling; 3] = [
        (
            "with-more-behind",
            "rsa2048-1",
            "An RSA key with something else behind it, within what holds the key.",
            with_more_behind,
        ),
        (
            "pem-of-a-certificate",
            "p256-1",
            "A key in PEM that calls itself a certificate.",
            certificate,
        ),
        (
            "of-another-curve",
            "p384-1",
            "A key with a point on P-384 that says it is on P-256.",
            of_another_curve,
        ),
    ];
    for (name, key, note, edit) in spellings {
        let name = format!("keys/{name}");
        all.case(&name, &["4.2", "5.4.2"], note, |case, repo| {
            repo.root().keys("timestamp", &[key], 1);
            respell(repo, key, edit);
            case.provision(repo);
            refused(case, repo);
        });
    }
}

fn spellings(all: &mut Cases) {
    type Spelling = (&'static str, &'static str, &'static str, fn(&mut Json));
    let spellings: [Spelling; 4] = [
        ("hexadecimal-case", "some", "in capital letters", |key| {
            let public = &mut key["keyval"]["public"];
            *public = public.as_str().unwrap_or_default().to_uppercase().into();
        }),
        (
            "key-type-name",
            "p256-1",
            "under the older name of its type",
            |key| {
                key["keytype"] = json!("ecdsa-sha2-nistp256");
            },
        ),
        (
            "point-compression",
            "p256-1",
            "with its point compressed",
            compressed_pem,
        ),
        ("pem-line-ends", "rsa2048-1", "with other line ends", crlf),
    ];
    for (name, key, how, respelling) in spellings {
        all.case(
            &format!("keys/spelled-{name}"),
            &["4.2"],
            &format!("A key that is written {how} is the same key."),
            |case, repo| {
                repo.root().keys("timestamp", &[key], 1);
                respell(repo, key, respelling);
                case.provision(repo);
                case.refresh(repo).accepts([1, 1, 1, 1]);
            },
        );
        all.case(
            &format!("keys/counted-once-{name}"),
            &["4.2", "5.4.2"],
            &format!("One key stands in Root a second time, {how} and under another id, and signs under both. It counts once."),
            |case, repo| {
                repo.root().keys("timestamp", &[key], 2);
                repo.forge("root", move |root| {
                    let mut again = root["keys"][id_of(key)].clone();
                    respelling(&mut again);
                    root["keys"]["again"] = again;
                    if let Some(ids) = root["roles"]["timestamp"]["keyids"].as_array_mut() {
                        ids.push(json!("again"));
                    }
                });
                case.provision(repo);
                repo.signatures("timestamp", |all| {
                    let sig = all[0]["sig"].clone();
                    all.push(json!({"keyid": "again", "sig": sig}));
                });
                refused(case, repo);
            },
        );
    }
}

fn unusable(all: &mut Cases) {
    let unknown = json!({"keytype": "future", "scheme": "future-1", "keyval": {"point": [1, 2]}});
    all.case(
        "keys/unknown-type-unused",
        &["4.2", "4.3"],
        "Root has a key of an unknown type that no role lists.",
        |case, repo| {
            let key = unknown.clone();
            repo.forge("root", move |root| root["keys"]["future"] = key.clone());
            case.provision(repo);
            case.refresh(repo).accepts([1, 1, 1, 1]);
        },
    );
    all.case(
        "keys/unknown-type-beside-known",
        &["4.2", "4.3"],
        "A role lists a key of an unknown type beside a known one, as in a migration to a new scheme. The known one is enough.",
        |case, repo| {
            let key = unknown.clone();
            repo.forge("root", move |root| list_future(root, &key));
            case.provision(repo);
            repo.signatures("timestamp", |all| {
                all.push(json!({"keyid": "future", "sig": "00"}));
            });
            case.refresh(repo).accepts([1, 1, 1, 1]);
        },
    );
    all.case(
        "keys/unknown-type-needed",
        &["4.2", "4.3"],
        "A role asks for two signatures, one of them by a key of an unknown type. That one cannot be checked, so it does not count.",
        |case, repo| {
            repo.root().keys("timestamp", &["timestamp-1"], 2);
            let key = unknown.clone();
            repo.forge("root", move |root| list_future(root, &key));
            case.provision(repo);
            repo.signatures("timestamp", |all| {
                all.push(json!({"keyid": "future", "sig": "00"}));
            });
            refused(case, repo);
        },
    );
    type Damage = (&'static str, &'static str, &'static str, fn(&mut Json));
    let damages: [Damage; 6] = [
        (
            "scheme-of-other-type",
            "some",
            "An Ed25519 key with the scheme of RSA.",
            |key| {
                key["scheme"] = json!("rsassa-pss-sha256");
            },
        ),
        (
            "rsa-scheme-pkcs1",
            "rsa2048-1",
            "An RSA key with a scheme that the client does not have.",
            |key| {
                key["scheme"] = json!("rsa-pkcs1v15-sha256");
            },
        ),
        (
            "type-of-other-key",
            "p256-1",
            "A P-256 key that says it is an RSA key.",
            |key| {
                key["keytype"] = json!("rsa");
            },
        ),
        (
            "curve-of-other-scheme",
            "p256-1",
            "A P-256 key with the scheme of P-384.",
            |key| {
                key["scheme"] = json!("ecdsa-sha2-nistp384");
            },
        ),
        (
            "too-short",
            "some",
            "An Ed25519 key with a byte missing.",
            |key| {
                let public = &mut key["keyval"]["public"];
                let text = public.as_str().unwrap_or_default();
                *public = text.get(2..).unwrap_or_default().into();
            },
        ),
        (
            "not-pem",
            "p256-1",
            "A P-256 key that is no PEM text.",
            |key| {
                key["keyval"]["public"] = json!("no key");
            },
        ),
    ];
    for (name, key, note, damage) in damages {
        all.case(
            &format!("keys/unusable-{name}"),
            &["4.2", "5.4.2"],
            &format!("{note} It can sign nothing, and Root is still good."),
            |case, repo| {
                repo.root().keys("timestamp", &[key], 1);
                respell(repo, key, damage);
                case.provision(repo);
                refused(case, repo);
            },
        );
    }
    all.case(
        "keys/without-type",
        &["4.2"],
        "A key without a type. The Root that lists it is malformed.",
        |case, repo| {
            repo.next_root(|_| {});
            respell(repo, "timestamp-1", |key| {
                key.as_object_mut().map(|members| members.remove("keytype"));
            });
            case.refresh(repo)
                .rejects("malformed", "root", "none", [1, 0, 0, 0]);
        },
    );
}

fn list_future(root: &mut Json, key: &Json) {
    root["keys"]["future"] = key.clone();
    if let Some(ids) = root["roles"]["timestamp"]["keyids"].as_array_mut() {
        ids.push(json!("future"));
    }
}
