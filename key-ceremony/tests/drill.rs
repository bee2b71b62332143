//! Drills through the library and through the command.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::Duration;

use countersign_ceremony::drill::{Drill, Held, Sandbox, Shape, Side, hold};
use countersign_metadata::{Signed, UtcTime};
use countersign_repo::policy::{Listing, Policy, RolePolicy, TopLevel};
use countersign_repo::{NewTarget, Outgoing, Repository, Visibility};
use countersign_signing::{Algorithm, Secrets};

fn now() -> UtcTime {
    "2031-05-06T07:08:09Z".parse().expect("a time")
}

/// Holds a drill on the example; everything must come out as it should.
fn passes(drill: Drill, roots: usize) -> Held {
    let held = hold(drill, &Shape::example(), Sandbox::Remove, now()).expect("held");
    let report = &held.report;
    let failed: Vec<_> = report.failed().collect();
    assert!(report.passed && failed.is_empty(), "{failed:#?}");
    assert!(report.recovered);
    assert_eq!((held.roots.len(), report.roots.len()), (roots, roots));
    assert!(held.sandbox.is_none() && held.repository().is_none());
    held
}

/// The verdicts on what an attacker tries.
fn verdicts(held: &Held, side: Side) -> Vec<&str> {
    let claims = held.report.claims.iter().filter(|claim| claim.side == side);
    claims.map(|claim| claim.verdict.text.as_str()).collect()
}

#[test]
fn a_lost_root_key_is_replaced_without_it() {
    let held = passes(Drill::LostRootKey, 2);
    assert!(verdicts(&held, Side::AttackerCan).is_empty());
    assert!(verdicts(&held, Side::Honest).contains(&"chain-ends"));
}

#[test]
fn stolen_root_keys_below_the_threshold_sign_nothing() {
    let held = passes(Drill::StolenRootKey, 2);
    let refused = verdicts(&held, Side::AttackerCannot);
    assert!(refused.contains(&"malformed (root)"), "{refused:?}");
    let threshold = |text: &&&str| **text == "signature-threshold (root)";
    assert!(refused.iter().filter(threshold).count() >= 6, "{refused:?}");
}

#[test]
fn a_stolen_targets_key_installs_nothing_by_itself() {
    let held = passes(Drill::StolenTargetsKey, 2);
    assert_eq!(
        verdicts(&held, Side::AttackerCan),
        ["installs the thief's image"]
    );
}

#[test]
fn versions_that_were_pushed_ahead_are_forgotten() {
    let held = passes(Drill::FastForward, 2);
    let could = verdicts(&held, Side::AttackerCan);
    assert!(!could.contains(&"installs the thief's image"), "{could:?}");
    assert!(could.contains(&"version-rollback (timestamp)"), "{could:?}");
    let honest = verdicts(&held, Side::Honest);
    assert!(
        honest.contains(&"policy: snapshot-without-timestamp"),
        "{honest:?}"
    );
}

#[test]
fn a_stolen_supplier_key_reaches_its_own_paths_only() {
    let held = passes(Drill::StolenSupplierKey, 1);
    assert_eq!(
        verdicts(&held, Side::AttackerCan),
        ["installs the thief's image"]
    );
}

#[test]
fn a_stolen_publishing_server_is_recovered_from() {
    let held = passes(Drill::StolenOnlineKeys, 2);
    assert!(verdicts(&held, Side::AttackerCan).contains(&"installs the thief's image"));
}

#[test]
fn the_page_is_complete_in_itself_and_escaped() {
    let mut report = passes(Drill::StolenSupplierKey, 1).report;
    report.facts.played = "<script>alert(\"1\")</script> & more".into();
    report.claims[0].verdict.detail = "</td><img src=x>".into();
    let page = report.to_page();
    for never in [
        "<script", "<img", "http:", "https:", "url(", "@import", "<link",
    ] {
        assert!(!page.contains(never), "{never}");
    }
    assert!(page.contains("&lt;script&gt;alert(&quot;1&quot;)&lt;/script&gt; &amp; more"));
}

/// A repository of these root keys, published.
fn repository(root_keys: u32, root_threshold: u32, lists: Listing) -> tempfile::TempDir {
    let folder = tempfile::tempdir().expect("a temporary folder");
    fs::create_dir(folder.path().join("keys")).expect("a folder");
    let secrets = || Secrets::unattended(folder.path());
    let role = |name: &str, keys: u32, threshold| RolePolicy {
        threshold,
        keys: (0..keys)
            .map(|number| {
                let uri = format!("file:keys/{name}{number}.pem?encryption=none");
                let parsed = uri.parse().expect("a URI");
                countersign_signing::generate(&parsed, Algorithm::Ed25519, &secrets())
                    .expect("a key");
                uri
            })
            .collect(),
        expires: "30d".parse().expect("a span"),
    };
    let mut policy = Policy::new(TopLevel {
        root: role("root", root_keys, root_threshold),
        targets: role("targets", 1, 1),
        snapshot: role("snapshot", 1, 1),
        timestamp: role("timestamp", 1, 1),
    });
    policy.snapshot_lists = lists;
    let mut repository =
        Repository::init(folder.path(), Some(&policy), now(), secrets()).expect("init");
    let source = folder.path().join("image");
    fs::write(&source, "an image").expect("a file");
    let target = NewTarget {
        source,
        name: "image".into(),
        custom: None,
        visibility: Visibility::Public,
    };
    repository.add_targets(&[target], None).expect("added");
    repository.sign(&[]).expect("signed");
    repository.publish(Outgoing::Sign).expect("published");
    drop(repository);
    folder
}

fn tree(folder: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut files = BTreeMap::new();
    for entry in fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("an entry").path();
        match path.is_dir() {
            true => files.extend(tree(&path)),
            false => drop(files.insert(path.clone(), fs::read(path).expect("a file"))),
        }
    }
    files
}

/// The command, with a folder of its own for sandboxes.
fn command(arguments: &[&str], temporary: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_key-ceremony"));
    command.arg("drill").args(arguments);
    command.env("TMPDIR", temporary).env("CI", "true");
    command
}

fn run(arguments: &[&str], temporary: &Path) -> (Option<i32>, Output) {
    let output = command(arguments, temporary).output().expect("runs");
    (output.status.code(), output)
}

fn text(path: &Path) -> &str {
    path.to_str().expect("UTF-8")
}

#[test]
fn a_real_repository_is_only_read() {
    let real = repository(5, 3, Listing::Hashes);
    let scratch = tempfile::tempdir().expect("a temporary folder");
    let out = scratch.path().join("out");
    let before = tree(real.path());
    let arguments = [
        "stolen-root-key",
        "--like",
        text(real.path()),
        "--out",
        text(&out),
    ];
    let sandboxes = tempfile::tempdir().expect("a temporary folder");
    let (code, output) = run(&arguments, sandboxes.path());
    assert_eq!(code, Some(0), "{output:?}");
    assert_eq!(tree(real.path()), before);
    assert!(tree(sandboxes.path()).is_empty());
    let page = fs::read_to_string(out.join("stolen-root-key.html")).expect("a report");
    assert!(page.contains("root: 3 of 5, files valid for 30d"));
    let json = fs::read(out.join("stolen-root-key.json")).expect("a report");
    let json: serde_json::Value = serde_json::from_slice(&json).expect("JSON");
    assert_eq!(json["passed"], true);
    // None of the real keys is in any root of the drill.
    let real_root = fs::read(real.path().join("published/metadata/1.root.json")).expect("there");
    let real_root = Signed::<countersign_metadata::Root>::parse(real_root).expect("a root");
    for version in [1, 2] {
        let path = out.join(format!("stolen-root-key-roots/{version}.root.json"));
        let root = fs::read_to_string(path).expect("a root");
        for entry in real_root.signatures() {
            assert!(!root.contains(entry.keyid.as_str()));
        }
    }
    // A second drill would overwrite the first one's report.
    let (code, output) = run(&arguments, sandboxes.path());
    assert_eq!(code, Some(1));
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(said.contains("stolen-root-key.html exists"), "{said}");
}

#[test]
fn a_repository_without_a_spare_root_key_is_told_so() {
    let real = repository(2, 2, Listing::Hashes);
    let shape = Shape::like(real.path()).expect("a shape");
    let held = hold(Drill::LostRootKey, &shape, Sandbox::Remove, now()).expect("held");
    assert!(!held.report.passed && !held.report.recovered);
    let failed: Vec<_> = held.report.failed().collect();
    assert_eq!(failed.len(), 1, "{failed:#?}");
    assert_eq!(failed[0].verdict.text, "chain-ends");
    assert!(verdicts(&held, Side::Honest).contains(&"expired (root)"));
    assert!(held.report.to_text().contains("Add a further root key now"));

    let temporary = tempfile::tempdir().expect("a temporary folder");
    let arguments = [
        "lost-root-key",
        "--format",
        "json",
        "--like",
        text(real.path()),
    ];
    let (code, output) = run(&arguments, temporary.path());
    let said: serde_json::Value = serde_json::from_slice(&output.stdout).expect("JSON");
    assert_eq!((code, &said["ok"]), (Some(1), &false.into()));
    assert_eq!(said["drills"][0]["report"]["passed"], false);
}

#[test]
fn what_a_repository_does_not_protect_from_is_found() {
    let one = repository(1, 1, Listing::Versions);
    let shape = Shape::like(one.path()).expect("a shape");
    let held = hold(Drill::StolenRootKey, &shape, Sandbox::Remove, now()).expect("held");
    let failed: Vec<_> = held.report.failed().collect();
    assert!(failed.iter().all(|claim| claim.verdict.text == "accepted") && !failed.is_empty());
    let held = hold(Drill::StolenTargetsKey, &shape, Sandbox::Remove, now()).expect("held");
    let failed: Vec<_> = held.report.failed().collect();
    assert_eq!(failed.len(), 1, "{failed:#?}");
    assert_eq!(failed[0].verdict.text, "installs the thief's image");
    assert!(held.report.to_text().contains("FAILED") && held.report.recovered);
    assert!(held.report.to_page().contains("snapshot_lists"));
}

#[test]
fn models_that_make_no_sense_are_refused() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let error = Shape::like(folder.path()).expect_err("no repository");
    assert_eq!(error.name(), "not-a-repository");
    let real = repository(2, 1, Listing::Hashes);
    let root = real.path().join("published/metadata/root.json");
    fs::write(&root, "{}").expect("written");
    let error = Shape::like(real.path()).expect_err("no root");
    assert_eq!(error.name(), "drill-model");
    assert!(error.to_string().contains("root.json"), "{error}");
    fs::remove_file(&root).expect("removed");
    let shape = Shape::like(real.path()).expect("from repo.toml alone");
    assert!(shape.remarks[0].contains("nothing is published"));
}

#[test]
fn names_are_listed() {
    let temporary = tempfile::tempdir().expect("a temporary folder");
    for arguments in [&["stolen-car-key"][..], &[], &["--all", "lost-root-key"]] {
        let (code, output) = run(arguments, temporary.path());
        assert_eq!(code, Some(2), "{output:?}");
    }
    let (_, output) = run(&["stolen-car-key"], temporary.path());
    let said = String::from_utf8_lossy(&output.stderr);
    let (code, output) = run(&["--list"], temporary.path());
    let listed = String::from_utf8_lossy(&output.stdout);
    assert_eq!(code, Some(0));
    for drill in Drill::ALL {
        assert!(said.contains(drill.name()) && listed.contains(drill.name()));
        assert_eq!(Drill::from_name(drill.name()).ok(), Some(drill));
    }
    let error = Drill::from_name("stolen-car-key").expect_err("no drill");
    assert!(error.to_string().contains("stolen-supplier-key"), "{error}");
}

#[test]
fn a_sandbox_that_is_kept_is_for_its_owner_only() {
    let temporary = tempfile::tempdir().expect("a temporary folder");
    let arguments = ["stolen-targets-key", "--keep", "--format", "json"];
    let (code, output) = run(&arguments, temporary.path());
    assert_eq!(code, Some(0), "{output:?}");
    let said: serde_json::Value = serde_json::from_slice(&output.stdout).expect("JSON");
    let sandbox = PathBuf::from(said["drills"][0]["sandbox"].as_str().expect("a path"));
    let mode = |path: &Path| fs::metadata(path).expect("there").permissions().mode() & 0o777;
    assert_eq!(mode(&sandbox), 0o700);
    let keys: Vec<_> = tree(&sandbox)
        .into_keys()
        .filter(|path| path.extension().is_some_and(|end| end == "pem"))
        .collect();
    assert!(keys.len() >= 8);
    assert!(keys.iter().all(|key| mode(key) == 0o600));
}

#[test]
fn a_drill_that_is_killed_leaves_its_sandbox_and_nothing_else() {
    let real = repository(3, 2, Listing::Hashes);
    let before = tree(real.path());
    let temporary = tempfile::tempdir().expect("a temporary folder");
    let out = temporary.path().join("out");
    let sandboxes = tempfile::tempdir().expect("a temporary folder");
    let arguments = ["--all", "--like", text(real.path()), "--out", text(&out)];
    let mut drill = command(&arguments, sandboxes.path())
        .stdout(Stdio::null())
        .spawn()
        .expect("starts");
    let names = || -> Vec<String> {
        let entries = fs::read_dir(sandboxes.path()).expect("a folder");
        let name = |entry: std::io::Result<fs::DirEntry>| {
            entry
                .expect("an entry")
                .file_name()
                .to_string_lossy()
                .into_owned()
        };
        entries.map(name).collect()
    };
    while names().is_empty() {
        assert!(drill.try_wait().expect("a process").is_none());
        std::thread::sleep(Duration::from_millis(2));
    }
    drill.kill().expect("killed");
    drill.wait().expect("over");
    let left = names();
    assert!(
        left.iter()
            .all(|name| name.starts_with("countersign-drill-")),
        "{left:?}"
    );
    assert!(!out.exists());
    assert_eq!(tree(real.path()), before);
}
