//! Which paths a delegation is for, hashed bins, and the names of roles (TUF 4.5, TAP 15).

use serde_json::{Map, json};

use super::Cases;
use crate::simulate::{Bins, Delegation, Json, Keys, Repo, sha256_hex};

const ALL: [u64; 4] = [1, 1, 1, 1];
const BYTES: &[u8] = b"image\n";

pub(super) fn cases(all: &mut Cases) {
    patterns(all);
    prefixes(all);
    bins(all);
    malformed(all);
    role_names(all);
}

fn patterns(all: &mut Cases) {
    let table: [(&str, &str, &str, bool); 20] = [
        ("exact", "supplier/fw.img", "supplier/fw.img", true),
        (
            "exact-differs",
            "supplier/fw.img",
            "supplier/fw.imgx",
            false,
        ),
        ("star", "supplier/*.img", "supplier/fw.img", true),
        ("star-empty-run", "supplier/*.img", "supplier/.img", true),
        (
            "star-not-across-slash",
            "supplier/*",
            "supplier/a/fw.img",
            false,
        ),
        ("star-not-above", "*", "supplier/fw.img", false),
        ("star-per-segment", "*/*/fw.img", "a/b/fw.img", true),
        ("star-twice", "*a*b*", "xaxxbx", true),
        ("question-mark", "fw-?.img", "fw-2.img", true),
        ("question-mark-one-only", "fw-?.img", "fw-22.img", false),
        ("question-mark-not-none", "fw-?.img", "fw-.img", false),
        ("question-mark-not-slash", "a?b", "a/b", false),
        ("question-mark-not-ascii", "fw-?.img", "fw-ü.img", true),
        ("brackets-are-letters", "fw-[ab].img", "fw-a.img", false),
        ("brackets-as-written", "fw-[ab].img", "fw-[ab].img", true),
        ("braces-are-letters", "x.{img,bin}", "x.img", false),
        ("case-matters", "Supplier/*", "supplier/fw.img", false),
        (
            "directory-is-no-prefix",
            "supplier/",
            "supplier/fw.img",
            false,
        ),
        ("double-star-not-across-slash", "**", "a/b", false),
        ("dot-first", "*", ".hidden", true),
    ];
    for (name, pattern, path, matches) in table {
        let note = match matches {
            true => "The pattern matches the path, so the delegated role is asked.",
            false => "The pattern does not match the path, so the delegated role is not asked.",
        };
        all.case(
            &format!("paths/pattern-{name}"),
            &["4.5", "5.6.7"],
            note,
            |case, repo| {
                repo.targets().delegations = vec![Delegation::to("supplier", &[pattern])];
                repo.add_image("supplier", path, BYTES);
                let step = case.download(repo, &[path]);
                match matches {
                    true => step.accepts(ALL).gets(path, BYTES),
                    false => not_found(step).knows_not("supplier"),
                };
            },
        );
    }
    all.case(
        "paths/pattern-one-of-several",
        &["4.5"],
        "A delegation with several patterns. One match is enough.",
        |case, repo| {
            repo.targets().delegations = vec![Delegation::to("supplier", &["a/*", "b/*"])];
            repo.add_image("supplier", "b/fw.img", BYTES);
            case.download(repo, &["b/fw.img"])
                .accepts(ALL)
                .gets("b/fw.img", BYTES);
        },
    );
    all.case(
        "paths/no-patterns",
        &["4.5"],
        "A delegation with an empty list of patterns is for nothing.",
        |case, repo| {
            repo.targets().delegations = vec![Delegation::to("supplier", &[])];
            repo.add_image("supplier", "fw", BYTES);
            not_found(case.download(repo, &["fw"])).knows_not("supplier");
        },
    );
    all.case(
        "paths/pattern-of-many-stars",
        &["4.5"],
        "A pattern that takes a naive matcher longer than the world has.",
        |case, repo| {
            let pattern = "*a".repeat(60) + "b";
            let path = "a".repeat(120);
            repo.targets().delegations = vec![Delegation::to("supplier", &[&pattern])];
            repo.add_role("supplier");
            not_found(case.download(repo, &[&path])).knows_not("supplier");
        },
    );
}

fn not_found(step: &mut super::StepDraft) -> &mut super::StepDraft {
    step.rejects("target-not-found", "", "none", ALL)
        .because("none")
}

fn prefixes(all: &mut Cases) {
    const PATH: &str = "fw/a.img";
    // How many digits of the path's hash the delegation names; an empty prefix is every path.
    for (name, digits) in [("one-digit", 1), ("two-digits", 2), ("whole-hash", 64)] {
        all.case(
            &format!("paths/hash-prefix-{name}"),
            &["4.5"],
            "The SHA-256 of the path begins with a delegated prefix.",
            |case, repo| {
                let hash = sha256_hex(PATH.as_bytes());
                let prefix = hash.get(..digits).unwrap_or_default();
                repo.targets().delegations = vec![Delegation::to("bin", &[]).prefixes(&[prefix])];
                repo.add_image("bin", PATH, BYTES);
                case.download(repo, &[PATH]).accepts(ALL).gets(PATH, BYTES);
            },
        );
    }
    all.case(
        "paths/hash-prefix-differs",
        &["4.5"],
        "The SHA-256 of the path begins with none of the delegated prefixes.",
        |case, repo| {
            let first = sha256_hex(PATH.as_bytes()).chars().next();
            let others: Vec<String> = "0123456789abcdef"
                .chars()
                .filter(|digit| Some(*digit) != first)
                .map(String::from)
                .collect();
            let others: Vec<&str> = others.iter().map(String::as_str).collect();
            repo.targets().delegations = vec![Delegation::to("bin", &[]).prefixes(&others)];
            repo.add_image("bin", PATH, BYTES);
            not_found(case.download(repo, &[PATH])).knows_not("bin");
        },
    );
    all.case(
        "paths/hash-prefix-bins",
        &["4.5", "5.6.7"],
        "Sixteen hashed bins. The one bin for the path is asked, and no other.",
        |case, repo| {
            let hash = sha256_hex(PATH.as_bytes());
            let own = format!("bin-{}", hash.get(..1).unwrap_or_default());
            for digit in "0123456789abcdef".chars() {
                let (name, prefix) = (format!("bin-{digit}"), digit.to_string());
                let delegation = Delegation::to(&name, &[])
                    .prefixes(&[&prefix])
                    .by(&["bins"], 1);
                repo.targets().delegations.push(delegation);
                repo.add_role(&name);
            }
            repo.add_image(&own, PATH, BYTES);
            case.download(repo, &[PATH])
                .accepts(ALL)
                .gets(PATH, BYTES)
                .requests(&format!("2.root timestamp 1.snapshot 1.targets 1.{own}"));
        },
    );
}

fn succinct(repo: &mut Repo, bits: u32) -> Bins {
    let bins = Bins {
        keys: Keys::new(&["bins"], 1),
        bits,
        prefix: "bin".into(),
    };
    for name in bins.names() {
        repo.add_role(&name);
    }
    repo.targets().bins = Some(bins.clone());
    bins
}

fn bins(all: &mut Cases) {
    const PATH: &str = "fw/a.img";
    // 1 bit is two bins; 5 bits do not end at a hexadecimal digit.
    for bits in [1, 4, 5] {
        all.case(
            &format!("paths/bins-{bits}-bits"),
            &["5.6.7", "TAP 15"],
            "Succinct hashed bins (TAP 15). The one bin for the path is asked, and no other.",
            |case, repo| {
                let own = succinct(repo, bits).name_for(PATH);
                repo.add_image(&own, PATH, BYTES);
                case.download(repo, &[PATH])
                    .accepts(ALL)
                    .gets(PATH, BYTES)
                    .requests(&format!("2.root timestamp 1.snapshot 1.targets 1.{own}"));
            },
        );
    }
    all.case(
        "paths/bins-listed-in-other-bin",
        &["5.6.7", "TAP 15"],
        "The image is listed by a bin that is not the one for its path.",
        |case, repo| {
            let bins = succinct(repo, 1);
            let own = bins.name_for(PATH);
            let other = bins.names().into_iter().find(|name| *name != own);
            let other = other.unwrap_or_default();
            repo.add_image(&other, PATH, BYTES);
            not_found(case.download(repo, &[PATH])).knows_not(&other);
        },
    );
    all.case(
        "paths/bins-wrong-key",
        &["5.6.3", "5.6.7", "TAP 15"],
        "A bin is signed by another key than that of the bins.",
        |case, repo| {
            let own = succinct(repo, 1).name_for(PATH);
            repo.add_image(&own, PATH, BYTES);
            repo.sign_with(&own, &["evil"]);
            case.download(repo, &[PATH])
                .rejects("target-not-found", &own, "arbitrary-software", ALL)
                .because("signature-threshold");
        },
    );
    all.case(
        "paths/bins-missing",
        &["5.6.7", "TAP 15"],
        "Snapshot does not list the bin for the path.",
        |case, repo| {
            let own = succinct(repo, 1).name_for(PATH);
            repo.add_image(&own, PATH, BYTES);
            let file = format!("{own}.json");
            repo.forge("snapshot", move |signed| {
                signed["meta"]
                    .as_object_mut()
                    .map(|meta| meta.remove(&file));
            });
            case.download(repo, &[PATH])
                .rejects("target-not-found", &own, "mix-and-match", ALL)
                .because("role-not-in-snapshot");
        },
    );
    for bits in [0, 33] {
        all.case(
            &format!("paths/bins-{bits}-bits"),
            &["4.5", "TAP 15"],
            "Succinct hashed bins by a number of bits outside 1 to 32.",
            |case, repo| {
                succinct(repo, 1);
                repo.forge("targets", move |signed| {
                    signed["delegations"]["succinct_roles"]["bit_length"] = json!(bits);
                });
                case.refresh(repo)
                    .rejects("malformed", "targets", "none", [1, 1, 1, 0]);
            },
        );
    }
}

fn malformed(all: &mut Cases) {
    type Change = (&'static str, &'static str, fn(&mut Json));
    let changes: [Change; 8] = [
        (
            "two-roles-of-one-name",
            "Two delegations to a role of the same name.",
            |delegations| {
                let again = delegations["roles"][0].clone();
                if let Some(roles) = delegations["roles"].as_array_mut() {
                    roles.push(again);
                }
            },
        ),
        (
            "patterns-and-prefixes",
            "A delegation with patterns and with hash prefixes.",
            |delegations| {
                delegations["roles"][0]["path_hash_prefixes"] = json!(["a"]);
            },
        ),
        (
            "roles-and-bins",
            "Listed roles and succinct bins side by side.",
            |delegations| {
                delegations["succinct_roles"] =
                    json!({"keyids": [], "threshold": 1, "bit_length": 1, "name_prefix": "b"});
            },
        ),
        (
            "name-missing",
            "A delegation to a role without a name.",
            |delegations| {
                delegations["roles"][0]
                    .as_object_mut()
                    .map(|role| role.remove("name"));
            },
        ),
        (
            "name-empty",
            "A delegation to a role with an empty name.",
            |delegations| {
                delegations["roles"][0]["name"] = json!("");
            },
        ),
        (
            "threshold-zero",
            "A delegation with a threshold of 0.",
            |delegations| {
                delegations["roles"][0]["threshold"] = json!(0);
            },
        ),
        (
            "terminating-not-a-truth-value",
            "`terminating` is a number.",
            |delegations| {
                delegations["roles"][0]["terminating"] = json!(1);
            },
        ),
        (
            "no-keys-member",
            "Delegations without `keys`.",
            |delegations| {
                delegations
                    .as_object_mut()
                    .map(|members: &mut Map<String, Json>| members.remove("keys"));
            },
        ),
    ];
    for (name, note, change) in changes {
        all.case(
            &format!("paths/malformed-{name}"),
            &["4.5"],
            note,
            |case, repo| {
                repo.targets().delegations = vec![Delegation::to("supplier", &["supplier/*"])];
                repo.add_role("supplier");
                repo.forge("targets", move |signed| change(&mut signed["delegations"]));
                case.refresh(repo)
                    .rejects("malformed", "targets", "none", [1, 1, 1, 0]);
            },
        );
    }
}

fn role_names(all: &mut Cases) {
    for reserved in ["root", "timestamp", "snapshot", "targets"] {
        all.case(
            &format!("paths/role-named-{reserved}"),
            &["4.5"],
            "A delegation to a role with the name of a top-level role, whose stored file it could replace.",
            |case, repo| {
                repo.targets().delegations = vec![Delegation::to("supplier", &["supplier/*"])];
                repo.add_role("supplier");
                repo.forge("targets", move |signed| {
                    signed["delegations"]["roles"][0]["name"] = json!(reserved);
                });
                case.refresh(repo)
                    .rejects("malformed", "targets", "none", [1, 1, 1, 0]);
            },
        );
    }
    let odd = [
        ("slash", "tier1/ecu"),
        ("parent", "../root"),
        ("absolute", "/etc/passwd"),
        ("dots", ".."),
        ("dotted", "1.root"),
        ("file-name", "root.json"),
        ("space", "tier 1"),
        ("not-ascii", "Zulieferer-ü"),
        ("percent", "tier%2F1"),
        ("url-characters", "a?b#c"),
    ];
    for (name, role) in odd {
        all.case(
            &format!("paths/role-name-{name}"),
            &["4.5", "5.6.7"],
            "A role with an unusual name. In requests and in the store the name is percent-encoded, so it can be no path.",
            |case, repo| {
                repo.targets().delegations = vec![Delegation::to(role, &["fw/*"])];
                repo.add_image(role, "fw/a.img", BYTES);
                case.download(repo, &["fw/a.img"])
                    .accepts(ALL)
                    .trusts_role(role, 1)
                    .gets("fw/a.img", BYTES);
            },
        );
    }
}
