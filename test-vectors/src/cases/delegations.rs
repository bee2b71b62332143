//! The search over delegations (TUF 5.6.7).

use serde_json::json;

use super::Cases;
use crate::simulate::{Delegation, Repo};

const ECU: &str = "supplier/ecu.bin";
const BYTES: &[u8] = b"ecu 1\n";
const ALL: [u64; 4] = [1, 1, 1, 1];
const SHORT: &str = "2030-06-01T00:00:00Z";
const AFTER: &str = "2030-06-01T00:00:01Z";

pub(super) fn cases(all: &mut Cases) {
    found(all);
    order(all);
    ended(all);
    renewed(all);
    graphs(all);
}

/// `targets` delegates `supplier/*` to `supplier`, which lists one image.
fn supplied(repo: &mut Repo) {
    let delegation = Delegation::to("supplier", &["supplier/*"]);
    repo.targets().delegations.push(delegation);
    repo.add_image("supplier", ECU, BYTES);
}

/// `from` delegates to `to`.
fn delegate(repo: &mut Repo, from: &str, to: &str, paths: &[&str]) {
    let delegation = Delegation::to(to, paths);
    repo.role(from).delegations.push(delegation);
    repo.add_role(to);
}

fn found(all: &mut Cases) {
    all.case(
        "delegations/simple",
        &["5.6.7", "5.7.1"],
        "An image is listed by the role that its path is delegated to.",
        |case, repo| {
            supplied(repo);
            case.download(repo, &[ECU])
                .accepts(ALL)
                .trusts_role("supplier", 1)
                .gets(ECU, BYTES)
                .requests("2.root timestamp 1.snapshot 1.targets 1.supplier");
        },
    );
    all.case(
        "delegations/not-fetched-without-need",
        &["5.6.7"],
        "A refresh, and a download of an image in the top-level role, fetch no delegated role.",
        |case, repo| {
            supplied(repo);
            case.refresh(repo).accepts(ALL).knows_not("supplier");
            case.download(repo, &["fw.img"])
                .accepts(ALL)
                .knows_not("supplier")
                .gets("fw.img", b"firmware 1\n")
                .requests("2.root timestamp");
        },
    );
    all.case(
        "delegations/stored-is-used",
        &["5.6.7"],
        "The delegated file that is stored is the one that is listed: it is not fetched again.",
        |case, repo| {
            supplied(repo);
            case.download(repo, &[ECU]).accepts(ALL).gets(ECU, BYTES);
            case.download(repo, &[ECU])
                .accepts(ALL)
                .gets(ECU, BYTES)
                .requests("2.root timestamp");
        },
    );
    all.case(
        "delegations/nested",
        &["5.6.7"],
        "A delegated role delegates in turn, three levels deep.",
        |case, repo| {
            delegate(repo, "targets", "tier1", &["supplier/*"]);
            delegate(repo, "tier1", "tier2", &["supplier/*"]);
            delegate(repo, "tier2", "tier3", &["supplier/ecu.*"]);
            repo.add_image("tier3", ECU, BYTES);
            case.download(repo, &[ECU])
                .accepts(ALL)
                .gets(ECU, BYTES)
                .requests("2.root timestamp 1.snapshot 1.targets 1.tier1 1.tier2 1.tier3");
        },
    );
    all.case(
        "delegations/top-level-wins",
        &["5.6.7"],
        "The top-level role and a delegated one list the image with different bytes. The top-level role is asked first.",
        |case, repo| {
            supplied(repo);
            repo.add_image("targets", ECU, b"ecu of targets\n");
            case.download(repo, &[ECU])
                .accepts(ALL)
                .knows_not("supplier")
                .gets(ECU, b"ecu of targets\n");
        },
    );
    all.case(
        "delegations/path-not-delegated",
        &["4.5", "5.6.7"],
        "A delegated role lists an image outside the paths that it is trusted for. It is not even asked.",
        |case, repo| {
            supplied(repo);
            repo.add_image("supplier", "brake/ecu.bin", b"brake\n");
            case.download(repo, &["brake/ecu.bin"])
                .rejects("target-not-found", "", "none", ALL)
                .because("none")
                .knows_not("supplier");
        },
    );
    all.case(
        "delegations/nested-path-not-delegated",
        &["4.5", "5.6.7"],
        "A delegated role delegates a path that it is not trusted for itself.",
        |case, repo| {
            delegate(repo, "targets", "supplier", &["supplier/*"]);
            delegate(repo, "supplier", "friend", &["brake/*"]);
            repo.add_image("friend", "brake/ecu.bin", b"brake\n");
            case.download(repo, &["brake/ecu.bin"])
                .rejects("target-not-found", "", "none", ALL)
                .because("none")
                .knows_not("friend");
        },
    );
    all.case(
        "delegations/listed-nowhere",
        &["5.6.7", "5.7.2"],
        "The path is delegated, and the role does not list the image.",
        |case, repo| {
            supplied(repo);
            case.download(repo, &["supplier/other.bin"])
                .rejects("target-not-found", "", "none", ALL)
                .because("none")
                .trusts_role("supplier", 1);
        },
    );
}

fn order(all: &mut Cases) {
    all.case(
        "delegations/first-wins",
        &["5.6.7.2"],
        "Two roles are trusted for the path and list different bytes. The first in the list answers, and the second is not asked.",
        |case, repo| {
            delegate(repo, "targets", "zebra", &["supplier/*"]);
            delegate(repo, "targets", "ant", &["supplier/*"]);
            repo.add_image("zebra", ECU, b"of the first\n");
            repo.add_image("ant", ECU, b"of the second\n");
            case.download(repo, &[ECU])
                .accepts(ALL)
                .knows_not("ant")
                .gets(ECU, b"of the first\n");
        },
    );
    all.case(
        "delegations/first-wins-although-tampered",
        &["5.6.7.2", "5.7.3"],
        "The first role's image is tampered with. There is no falling back to the second role's.",
        |case, repo| {
            delegate(repo, "targets", "zebra", &["supplier/*"]);
            delegate(repo, "targets", "ant", &["supplier/*"]);
            repo.add_image("ant", ECU, b"of the second\n");
            repo.add_image("zebra", ECU, b"of the first\n");
            repo.tamper_image(ECU, b"tampered...!\n");
            case.download(repo, &[ECU])
                .rejects("image-hash", "zebra", "arbitrary-software", ALL);
        },
    );
    all.case(
        "delegations/second-has-it",
        &["5.6.7.2"],
        "The first matching role does not list the image, the second does.",
        |case, repo| {
            delegate(repo, "targets", "first", &["supplier/*"]);
            delegate(repo, "targets", "second", &["supplier/*"]);
            repo.add_image("second", ECU, BYTES);
            case.download(repo, &[ECU])
                .accepts(ALL)
                .gets(ECU, BYTES)
                .requests("2.root timestamp 1.snapshot 1.targets 1.first 1.second");
        },
    );
    all.case(
        "delegations/depth-before-breadth",
        &["5.6.7.2"],
        "The first role's own delegation is followed before the second role is asked.",
        |case, repo| {
            delegate(repo, "targets", "first", &["supplier/*"]);
            delegate(repo, "targets", "second", &["supplier/*"]);
            delegate(repo, "first", "deep", &["supplier/*"]);
            repo.add_image("second", ECU, b"of the second\n");
            repo.add_image("deep", ECU, b"of the deep one\n");
            case.download(repo, &[ECU])
                .accepts(ALL)
                .knows_not("second")
                .gets(ECU, b"of the deep one\n")
                .requests("2.root timestamp 1.snapshot 1.targets 1.first 1.deep");
        },
    );
    all.case(
        "delegations/back-from-depth",
        &["5.6.7.2"],
        "The first role's own delegation leads nowhere, so the second role is asked.",
        |case, repo| {
            delegate(repo, "targets", "first", &["supplier/*"]);
            delegate(repo, "targets", "second", &["supplier/*"]);
            delegate(repo, "first", "deep", &["supplier/*"]);
            repo.add_image("second", ECU, BYTES);
            case.download(repo, &[ECU])
                .accepts(ALL)
                .gets(ECU, BYTES)
                .requests("2.root timestamp 1.snapshot 1.targets 1.first 1.deep 1.second");
        },
    );
    all.case(
        "delegations/terminating-without-it",
        &["5.6.7.2"],
        "The first matching role is terminating and does not list the image. The second, which does, must not answer.",
        |case, repo| {
            repo.targets().delegations = vec![
                Delegation::to("first", &["supplier/*"]).terminating(),
                Delegation::to("second", &["supplier/*"]),
            ];
            repo.add_role("first");
            repo.add_image("second", ECU, BYTES);
            case.download(repo, &[ECU])
                .rejects("target-not-found", "", "none", ALL)
                .because("none")
                .knows_not("second");
        },
    );
    all.case(
        "delegations/terminating-with-it",
        &["5.6.7.2"],
        "The first matching role is terminating and lists the image.",
        |case, repo| {
            repo.targets().delegations = vec![
                Delegation::to("first", &["supplier/*"]).terminating(),
                Delegation::to("second", &["supplier/*"]),
            ];
            repo.add_image("first", ECU, BYTES);
            repo.add_role("second");
            case.download(repo, &[ECU]).accepts(ALL).gets(ECU, BYTES);
        },
    );
    all.case(
        "delegations/terminating-of-other-path",
        &["5.6.7.2"],
        "A terminating role stands first, but is for another path. It terminates nothing.",
        |case, repo| {
            repo.targets().delegations = vec![
                Delegation::to("first", &["other/*"]).terminating(),
                Delegation::to("second", &["supplier/*"]),
            ];
            repo.add_role("first");
            repo.add_image("second", ECU, BYTES);
            case.download(repo, &[ECU])
                .accepts(ALL)
                .knows_not("first")
                .gets(ECU, BYTES);
        },
    );
    all.case(
        "delegations/terminating-below",
        &["5.6.7.2"],
        "A role in the depth terminates the search. Nothing that was still to be asked, at any level, is asked.",
        |case, repo| {
            delegate(repo, "targets", "first", &["supplier/*"]);
            delegate(repo, "targets", "second", &["supplier/*"]);
            repo.role("first").delegations = vec![
                Delegation::to("deep", &["supplier/*"]).terminating(),
            ];
            repo.add_role("deep");
            repo.add_image("second", ECU, BYTES);
            case.download(repo, &[ECU])
                .rejects("target-not-found", "", "none", ALL)
                .because("none")
                .knows_not("second");
        },
    );
    all.case(
        "delegations/terminating-own-delegations",
        &["5.6.7.2"],
        "A terminating role's own delegations are still followed.",
        |case, repo| {
            repo.targets().delegations =
                vec![Delegation::to("first", &["supplier/*"]).terminating()];
            delegate(repo, "first", "deep", &["supplier/*"]);
            repo.add_image("deep", ECU, BYTES);
            case.download(repo, &[ECU]).accepts(ALL).gets(ECU, BYTES);
        },
    );
    all.case(
        "delegations/terminating-not-stated",
        &["4.5", "5.6.7.2"],
        "A delegation that does not say whether it terminates does not.",
        |case, repo| {
            delegate(repo, "targets", "first", &["supplier/*"]);
            delegate(repo, "targets", "second", &["supplier/*"]);
            repo.add_image("second", ECU, BYTES);
            repo.forge("targets", |signed| {
                let first = signed["delegations"]["roles"][0].as_object_mut();
                first.map(|members| members.remove("terminating"));
            });
            case.download(repo, &[ECU]).accepts(ALL).gets(ECU, BYTES);
        },
    );
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

fn graphs(all: &mut Cases) {
    all.case(
        "delegations/cycle",
        &["5.6.7.1"],
        "Two roles delegate to each other. Each is visited once.",
        |case, repo| {
            delegate(repo, "targets", "a", &["supplier/*"]);
            delegate(repo, "a", "b", &["supplier/*"]);
            delegate(repo, "b", "a", &["supplier/*"]);
            case.download(repo, &[ECU])
                .rejects("target-not-found", "", "none", ALL)
                .because("none")
                .requests("2.root timestamp 1.snapshot 1.targets 1.a 1.b");
        },
    );
    all.case(
        "delegations/cycle-with-exit",
        &["5.6.7.1"],
        "Two roles delegate to each other, and the second also to a third, which lists the image.",
        |case, repo| {
            delegate(repo, "targets", "a", &["supplier/*"]);
            delegate(repo, "a", "b", &["supplier/*"]);
            delegate(repo, "b", "a", &["supplier/*"]);
            delegate(repo, "b", "c", &["supplier/*"]);
            repo.add_image("c", ECU, BYTES);
            case.download(repo, &[ECU]).accepts(ALL).gets(ECU, BYTES);
        },
    );
    all.case(
        "delegations/to-itself",
        &["5.6.7.1"],
        "A role delegates to itself.",
        |case, repo| {
            delegate(repo, "targets", "a", &["supplier/*"]);
            delegate(repo, "a", "a", &["supplier/*"]);
            case.download(repo, &[ECU])
                .rejects("target-not-found", "", "none", ALL)
                .because("none")
                .requests("2.root timestamp 1.snapshot 1.targets 1.a");
        },
    );
    all.case(
        "delegations/visited-once",
        &["5.6.7.1"],
        "Two paths lead to the same role, which does not list the image. It is visited once.",
        |case, repo| {
            delegate(repo, "targets", "a", &["supplier/*"]);
            delegate(repo, "targets", "b", &["supplier/*"]);
            delegate(repo, "a", "c", &["supplier/*"]);
            delegate(repo, "b", "c", &["supplier/*"]);
            case.download(repo, &[ECU])
                .rejects("target-not-found", "", "none", ALL)
                .because("none")
                .requests("2.root timestamp 1.snapshot 1.targets 1.a 1.c 1.b");
        },
    );
    all.case(
        "delegations/too-many",
        &["5.6.7.1"],
        "A chain of 100 roles, and the last one lists the image. A client gives up before, so that a repository cannot make it work for ever; our bound is 64 roles.",
        |case, repo| {
            delegate(repo, "targets", "r1", &["supplier/*"]);
            for number in 1..100 {
                let (from, to) = (format!("r{number}"), format!("r{}", number + 1));
                delegate(repo, &from, &to, &["supplier/*"]);
            }
            repo.add_image("r100", ECU, BYTES);
            case.download(repo, &[ECU])
                .rejects("target-not-found", "r64", "none", ALL)
                .because("none")
                .knows_not("r100");
        },
    );
    all.case(
        "delegations/two-delegators-two-keys",
        &["5.6.3", "5.6.7"],
        "Two roles delegate different paths to one role, with different keys. Its file has the second one's key only: good on the second path, not on the first.",
        |case, repo| {
            delegate(repo, "targets", "a", &["a/*"]);
            delegate(repo, "targets", "b", &["b/*"]);
            repo.role("a").delegations = vec![Delegation::to("shared", &["a/*"]).by(&["key-a"], 1)];
            repo.role("b").delegations = vec![Delegation::to("shared", &["b/*"]).by(&["key-b"], 1)];
            repo.add_image("shared", "a/x", b"x\n");
            repo.add_image("shared", "b/y", b"y\n");
            repo.sign_with("shared", &["key-b"]);
            case.download(repo, &["b/y"]).accepts(ALL).gets("b/y", b"y\n");
            case.download(repo, &["b/y", "a/x"])
                .rejects("target-not-found", "shared", "arbitrary-software", ALL)
                .because("signature-threshold")
                .gets("b/y", b"y\n");
        },
    );
}
