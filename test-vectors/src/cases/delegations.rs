//! The search over delegations (TUF 5.6.7).

use super::Cases;
use crate::simulate::{Delegation, Repo};

pub(super) const ECU: &str = "supplier/ecu.bin";
pub(super) const BYTES: &[u8] = b"ecu 1\n";
pub(super) const ALL: [u64; 4] = [1, 1, 1, 1];

pub(super) fn cases(all: &mut Cases) {
    found(all);
    order(all);
    graphs(all);
}

/// `targets` delegates `supplier/*` to `supplier`, which lists one image.
pub(super) fn supplied(repo: &mut Repo) {
    let delegation = Delegation::to("supplier", &["supplier/*"]);
    repo.targets().delegations.push(delegation);
    repo.add_image("supplier", ECU, BYTES);
}

/// `from` delegates to `to`.
pub(super) fn delegate(repo: &mut Repo, from: &str, to: &str, paths: &[&str]) {
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
