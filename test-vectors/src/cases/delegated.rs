//! What may be wrong with a delegated file, and how it changes (TUF 5.6.3 to 5.6.7).

use serde_json::json;

use super::Cases;
use super::delegations::{ALL, BYTES, ECU, delegate, supplied};
use crate::simulate::{Delegation, Repo};

const SHORT: &str = "2030-06-01T00:00:00Z";
const AFTER: &str = "2030-06-01T00:00:01Z";

pub(super) fn cases(all: &mut Cases) {
    ended(all);
    renewed(all);
}

/// Wrong things with the first matching role. The second, which is good, must not answer instead:
/// else whoever withholds a file chooses who answers.
fn ended(all: &mut Cases) {
    type Ending = (
        &'static str,
        &'static str,
        &'static str,
        &'static str,
        fn(&mut Repo),
    );
    let endings: [Ending; 9] = [
        (
            "missing",
            "The file is not there.",
            "metadata-missing",
            "none",
            |repo| {
                repo.withhold("supplier");
            },
        ),
        (
            "not-in-snapshot",
            "Snapshot does not list the file.",
            "role-not-in-snapshot",
            "mix-and-match",
            |repo| {
                repo.forge("snapshot", |signed| {
                    signed["meta"]
                        .as_object_mut()
                        .map(|meta| meta.remove("supplier.json"));
                });
            },
        ),
        (
            "unsigned",
            "The file has no signature.",
            "signature-threshold",
            "arbitrary-software",
            |repo| {
                repo.sign_with("supplier", &[]);
            },
        ),
        (
            "wrong-key",
            "The file is signed by an attacker.",
            "signature-threshold",
            "arbitrary-software",
            |repo| {
                repo.sign_with("supplier", &["evil"]);
            },
        ),
        (
            "signed-by-targets",
            "The file is signed by the delegator's key instead of its own.",
            "signature-threshold",
            "arbitrary-software",
            |repo| {
                repo.sign_with("supplier", &["targets-1"]);
            },
        ),
        (
            "version-differs",
            "The file has another version than Snapshot lists.",
            "version-mismatch",
            "mix-and-match",
            |repo| {
                repo.forge("supplier", |signed| signed["version"] = json!(2));
            },
        ),
        (
            "hash-differs",
            "The file has another hash than Snapshot lists.",
            "metadata-hash",
            "mix-and-match",
            |repo| {
                repo.link_hashes = true;
                repo.tamper("supplier", super::edits::swap_members);
            },
        ),
        (
            "wrong-type",
            "The file says that it is a Snapshot.",
            "wrong-role-type",
            "mix-and-match",
            |repo| {
                repo.forge("supplier", |signed| signed["_type"] = json!("snapshot"));
            },
        ),
        (
            "malformed",
            "The file is no JSON.",
            "malformed",
            "none",
            |repo| {
                repo.tamper("supplier", |text| text.replace('{', "<"));
            },
        ),
    ];
    for (name, note, cause, attack, wrong) in endings {
        all.case(
            &format!("delegations/ended-{name}"),
            &["5.6.7"],
            &format!("{note} The search ends there, although a later role lists the image."),
            |case, repo| {
                supplied(repo);
                delegate(repo, "targets", "second", &["supplier/*"]);
                repo.add_image("second", ECU, b"of the second\n");
                wrong(repo);
                case.download(repo, &[ECU])
                    .rejects("target-not-found", "supplier", attack, ALL)
                    .because(cause)
                    .knows_not("supplier")
                    .knows_not("second");
            },
        );
    }
    all.case(
        "delegations/ended-expired",
        &["5.6.5", "5.6.7"],
        "The file has expired. The search ends there, although a later role lists the image.",
        |case, repo| {
            supplied(repo);
            delegate(repo, "targets", "second", &["supplier/*"]);
            repo.add_image("second", ECU, b"of the second\n");
            repo.role("supplier").head.expires = SHORT.into();
            case.download(repo, &[ECU])
                .at(AFTER)
                .rejects("target-not-found", "supplier", "freeze", ALL)
                .because("expired")
                .knows_not("supplier")
                .knows_not("second");
        },
    );
    all.case(
        "delegations/expired-stored",
        &["5.6.5", "5.6.7"],
        "The stored file of the role expired since the last session.",
        |case, repo| {
            supplied(repo);
            repo.role("supplier").head.expires = SHORT.into();
            case.download(repo, &[ECU])
                .at("2030-05-01T00:00:00Z")
                .accepts(ALL)
                .gets(ECU, BYTES);
            case.download(repo, &[ECU])
                .at(AFTER)
                .rejects("target-not-found", "supplier", "freeze", ALL)
                .because("expired");
        },
    );
    all.case(
        "delegations/expired-off-the-path",
        &["5.6.5", "5.6.7"],
        "A delegated role has expired, but the image is another role's. Nobody asks for the expired one.",
        |case, repo| {
            supplied(repo);
            repo.role("supplier").head.expires = SHORT.into();
            case.download(repo, &["fw.img"])
                .at(AFTER)
                .accepts(ALL)
                .gets("fw.img", b"firmware 1\n");
        },
    );
    let thresholds: [(&str, &str, &[&str], bool); 3] = [
        (
            "threshold-met",
            "Two of two keys of a delegated role signed.",
            &["a", "b"],
            true,
        ),
        (
            "threshold-not-met",
            "One of two keys of a delegated role signed.",
            &["a"],
            false,
        ),
        (
            "threshold-one-foreign",
            "One of two keys of a delegated role and the delegator's key signed.",
            &["a", "targets-1"],
            false,
        ),
    ];
    for (name, note, signers, good) in thresholds {
        all.case(
            &format!("delegations/{name}"),
            &["5.6.3", "5.6.7"],
            note,
            |case, repo| {
                repo.targets().delegations =
                    vec![Delegation::to("supplier", &["supplier/*"]).by(&["a", "b"], 2)];
                repo.add_image("supplier", ECU, BYTES);
                repo.sign_with("supplier", signers);
                let step = case.download(repo, &[ECU]);
                match good {
                    true => step.accepts(ALL).gets(ECU, BYTES),
                    false => step
                        .rejects("target-not-found", "supplier", "arbitrary-software", ALL)
                        .because("signature-threshold"),
                };
            },
        );
    }
    all.case(
        "delegations/key-missing",
        &["4.5", "5.6.7"],
        "The delegation names a key that the delegator does not list.",
        |case, repo| {
            supplied(repo);
            repo.forge("targets", |signed| {
                signed["delegations"]["keys"] = json!({})
            });
            case.download(repo, &[ECU])
                .rejects("target-not-found", "supplier", "arbitrary-software", ALL)
                .because("signature-threshold");
        },
    );
    all.case(
        "delegations/longer-than-listed",
        &["5.6.1", "5.6.7"],
        "A delegated file goes on for a byte beyond its listed length.",
        |case, repo| {
            supplied(repo);
            repo.link_hashes = true;
            case.download(repo, &[ECU])
                .pad("metadata/1.supplier.json", 1)
                .rejects("target-not-found", "supplier", "endless-data", ALL)
                .because("too-large");
        },
    );
}

fn renewed(all: &mut Cases) {
    all.case(
        "delegations/new-version",
        &["5.6.4", "5.6.7"],
        "A delegated role has a new version. Targets is unchanged and not fetched again.",
        |case, repo| {
            supplied(repo);
            case.download(repo, &[ECU]).accepts(ALL).gets(ECU, BYTES);
            repo.add_image("supplier", ECU, b"ecu 2\n");
            repo.role("supplier").head.version = 2;
            repo.next_online();
            case.download(repo, &[ECU])
                .accepts([1, 2, 2, 1])
                .trusts_role("supplier", 2)
                .gets(ECU, b"ecu 2\n")
                .requests("2.root timestamp 2.snapshot 2.supplier");
        },
    );
    all.case(
        "delegations/same-version-other-content",
        &["5.6.2", "5.6.7"],
        "A new Snapshot lists the hash of another file for the delegated version that is trusted.",
        |case, repo| {
            supplied(repo);
            repo.link_hashes = true;
            case.download(repo, &[ECU]).accepts(ALL).gets(ECU, BYTES);
            repo.add_image("supplier", ECU, b"ecu X\n");
            repo.next_online();
            case.download(repo, &[ECU])
                .rejects(
                    "target-not-found",
                    "supplier",
                    "mix-and-match",
                    [1, 2, 2, 1],
                )
                .because("same-version-different-content")
                .trusts_role("supplier", 1)
                .bytes_of("supplier", 1);
        },
    );
    all.case(
        "delegations/key-replaced",
        &["5.6.3", "5.6.7"],
        "The delegator replaces the delegated role's key, and the role signs again with the new one.",
        |case, repo| {
            supplied(repo);
            case.download(repo, &[ECU]).accepts(ALL).gets(ECU, BYTES);
            repo.targets().delegations =
                vec![Delegation::to("supplier", &["supplier/*"]).by(&["supplier-2"], 1)];
            repo.role("supplier").head.version = 2;
            repo.release();
            case.download(repo, &[ECU])
                .accepts([1, 2, 2, 2])
                .trusts_role("supplier", 2)
                .gets(ECU, BYTES);
        },
    );
    all.case(
        "delegations/key-revoked",
        &["5.6.3", "5.6.7"],
        "The delegator replaces the delegated role's key. What the old key signed is not believed any more, stored or not.",
        |case, repo| {
            supplied(repo);
            case.download(repo, &[ECU]).accepts(ALL).gets(ECU, BYTES);
            repo.targets().delegations =
                vec![Delegation::to("supplier", &["supplier/*"]).by(&["supplier-2"], 1)];
            repo.sign_with("supplier", &["supplier"]);
            repo.release();
            case.download(repo, &[ECU])
                .rejects("target-not-found", "supplier", "arbitrary-software", [1, 2, 2, 2])
                .because("signature-threshold");
        },
    );
    all.case(
        "delegations/withdrawn",
        &["5.6.7"],
        "The delegator withdraws the delegation. The stored delegated file no longer counts.",
        |case, repo| {
            supplied(repo);
            case.download(repo, &[ECU]).accepts(ALL).gets(ECU, BYTES);
            repo.targets().delegations.clear();
            repo.release();
            case.download(repo, &[ECU])
                .rejects("target-not-found", "", "none", [1, 2, 2, 2])
                .because("none");
        },
    );
    all.case(
        "delegations/fast-forward-recovered",
        &["5.3.11", "5.6.7"],
        "A thief of a delegated key published a version far ahead. Once the delegated and the Snapshot keys are replaced, low versions are accepted again.",
        |case, repo| {
            supplied(repo);
            repo.role("supplier").head.version = 2_147_483_647;
            case.download(repo, &[ECU])
                .accepts(ALL)
                .trusts_role("supplier", 2_147_483_647)
                .gets(ECU, BYTES);
            repo.next_root(|root| root.keys("snapshot", &["snapshot-2"], 1));
            repo.targets().delegations =
                vec![Delegation::to("supplier", &["supplier/*"]).by(&["supplier-2"], 1)];
            repo.role("supplier").head.version = 2;
            repo.release();
            case.download(repo, &[ECU])
                .accepts([2, 2, 2, 2])
                .trusts_role("supplier", 2)
                .gets(ECU, BYTES);
        },
    );
    all.case(
        "delegations/fast-forward-recovered-by-snapshot-key",
        &["5.3.11", "5.6.7"],
        "A delegated version far ahead, published by mistake. Once the Snapshot key is replaced, low versions by the same delegated key are accepted again.",
        |case, repo| {
            supplied(repo);
            repo.role("supplier").head.version = 2_147_483_647;
            case.download(repo, &[ECU])
                .accepts(ALL)
                .trusts_role("supplier", 2_147_483_647)
                .gets(ECU, BYTES);
            repo.next_root(|root| root.keys("snapshot", &["snapshot-2"], 1));
            repo.role("supplier").head.version = 2;
            repo.next_online();
            case.download(repo, &[ECU])
                .accepts([2, 2, 2, 1])
                .trusts_role("supplier", 2)
                .gets(ECU, BYTES);
        },
    );
    all.case(
        "delegations/kept-since-the-rotation",
        &["5.3.11", "5.6.7"],
        "The Targets key was replaced after the trusted Snapshot was accepted, and before the delegated file was. What was accepted after the rotation is kept: it is not asked for again.",
        |case, repo| {
            supplied(repo);
            case.refresh(repo).accepts(ALL);
            repo.next_root(|root| root.keys("targets", &["targets-2"], 1));
            case.download(repo, &[ECU])
                .accepts([2, 1, 1, 1])
                .bytes_of("targets", 2)
                .gets(ECU, BYTES)
                .requests("2.root 3.root timestamp 1.targets 1.supplier");
            case.download(repo, &[ECU])
                .accepts([2, 1, 1, 1])
                .bytes_of("targets", 2)
                .trusts_role("supplier", 1)
                .gets(ECU, BYTES)
                .requests("3.root timestamp");
        },
    );
    all.case(
        "delegations/broke-off",
        &["5.6.7"],
        "The delegated file is not there. What was verified before stays, and the next session goes on.",
        |case, repo| {
            supplied(repo);
            repo.withhold("supplier");
            case.download(repo, &[ECU])
                .rejects("target-not-found", "supplier", "none", ALL)
                .because("metadata-missing");
            repo.honest();
            case.download(repo, &[ECU])
                .accepts(ALL)
                .gets(ECU, BYTES)
                .requests("2.root timestamp 1.supplier");
        },
    );
}
