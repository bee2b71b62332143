//! The committed vectors are what the definitions say, and they say something of every clause.

use std::collections::BTreeMap;
use std::path::Path;

use countersign_vectors::coverage::Coverage;
use countersign_vectors::format::{Action, Kind, Verdict};
use countersign_vectors::generate::{self, GenerateError};
use countersign_vectors::run::in_process;
use countersign_vectors::run::run_case;
use countersign_vectors::suite;
use countersign_verifier::Code;

fn home() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

#[test]
fn the_committed_vectors_are_reproduced_to_the_byte() {
    if let Err(error) = generate::check(home()) {
        panic!("{error}");
    }
}

#[test]
fn a_changed_file_is_noticed_and_repaired() {
    let copy = tempfile::tempdir().expect("a directory");
    for file in ["signatures.cache", "schema/case.schema.json"] {
        let to = copy.path().join(file);
        std::fs::create_dir_all(to.parent().expect("a parent")).expect("a directory");
        std::fs::copy(home().join(file), to).expect("a copy");
    }
    generate::write(copy.path()).expect("vectors");
    generate::check(copy.path()).expect("nothing differs");

    let file = "vectors/root/expired/1/metadata/timestamp.json";
    let extra = "vectors/root/expired/1/metadata/extra.json";
    std::fs::write(copy.path().join(file), "{}").expect("a write");
    std::fs::write(copy.path().join(extra), "{}").expect("a write");
    match generate::check(copy.path()) {
        Err(GenerateError::Differs(names)) => assert_eq!(names, [extra, file]),
        other => panic!("{other:?}"),
    }
    generate::write(copy.path()).expect("vectors");
    generate::check(copy.path()).expect("nothing differs");
}

#[test]
fn no_two_cases_are_the_same() {
    let mut seen = BTreeMap::new();
    for mut vector in suite::load(&home().join("vectors"), "").expect("vectors") {
        let name = std::mem::take(&mut vector.case.name);
        vector.case.note.clear();
        vector.case.spec.clear();
        let content = (format!("{:?}", vector.case), vector.files);
        if let Some(other) = seen.insert(content, name.clone()) {
            panic!("{name} and {other} are the same");
        }
    }
}

#[test]
fn every_clause_has_a_case_and_every_case_a_clause() {
    let vectors = suite::load(&home().join("vectors"), "").expect("vectors");
    let coverage = Coverage::of(&vectors);
    assert_eq!(coverage.uncovered(), [""; 0]);
    assert_eq!(coverage.unknown(), [""; 0]);
    assert!(vectors.iter().all(|vector| !vector.case.spec.is_empty()));
}

/// Why our Director drops a manifest (docs/device-api.md).
const DIRECTORS: [&str; 12] = [
    "manifest-malformed",
    "manifest-signature",
    "vehicle-unknown",
    "vehicle-mismatch",
    "ecu-not-primary",
    "report-unknown-ecu",
    "report-missing",
    "report-signature",
    "report-mismatch",
    "report-replayed",
    "report-expired",
    "report-ahead",
];

#[test]
fn expectations_use_the_verifiers_codes_and_attacks() {
    for vector in suite::load(&home().join("vectors"), "").expect("vectors") {
        let name = &vector.case.name;
        for step in &vector.case.steps {
            let expect = &step.expect;
            let code = expect.code.as_deref();
            assert_eq!(code.is_some(), expect.verdict == Verdict::Reject, "{name}");
            let is_known = |code: &str| match vector.case.kind() {
                Kind::Director => DIRECTORS.contains(&code),
                Kind::Tuf | Kind::Uptane => Code::from_name(code).is_some(),
            };
            assert!(code.is_none_or(is_known), "{name} expects an unknown code");
            if matches!(step.action, Action::Refresh) {
                assert!(expect.downloads.is_empty(), "{name} downloads nothing");
            }
        }
    }
}

/// A runner that finds no fault proves nothing: every expectation, turned round, must fail.
#[test]
fn the_runner_notices_every_kind_of_difference() {
    let vectors = suite::load(&home().join("vectors"), "images/download").expect("vectors");
    let good = vectors.first().expect("one vector");
    let fails = |change: &dyn Fn(&mut countersign_vectors::format::Step)| {
        let mut vector = good.clone();
        change(&mut vector.case.steps[0]);
        !run_case(&mut *in_process::client(&vector), &vector)
            .problems
            .is_empty()
    };
    assert!(!fails(&|_| {}));
    assert!(fails(&|step| step.expect.verdict = Verdict::Reject));
    assert!(fails(&|step| step.expect.downloads.clear()));
    assert!(fails(&|step| {
        step.expect.downloads.insert("more".into(), "00".into());
    }));
    assert!(fails(&|step| {
        step.expect.trusted.insert("targets".into(), None);
    }));
    assert!(fails(&|step| {
        step.expect.requests.as_mut().expect("requests").pop();
    }));
    assert!(fails(&|step| {
        let root = step.expect.trusted.get("root").cloned().expect("a root");
        step.expect.trusted.insert("snapshot".into(), root);
    }));

    let vectors = suite::load(&home().join("vectors"), "delegations/ended-unsigned");
    let refused = vectors.expect("vectors").remove(0);
    for wrong in ["code", "role", "cause", "attack"] {
        let mut vector = refused.clone();
        let expect = &mut vector.case.steps[0].expect;
        let fact = match wrong {
            "code" => &mut expect.code,
            "role" => &mut expect.role,
            "cause" => &mut expect.cause,
            _ => &mut expect.attack,
        };
        *fact = Some("another".into());
        let result = run_case(&mut *in_process::client(&vector), &vector);
        assert!(
            !result.problems.is_empty(),
            "a wrong {wrong} is not noticed"
        );
    }
}

#[test]
fn the_runner_notices_what_an_ecu_or_a_director_does_otherwise() {
    type Step = countersign_vectors::format::Step;
    let one = |name: &str| {
        let vectors = suite::load(&home().join("vectors"), name);
        vectors.expect("vectors").remove(0)
    };
    let fails = |name: &str, at: usize, change: &dyn Fn(&mut Step)| {
        let mut vector = one(name);
        change(&mut vector.case.steps[at]);
        let result = run_case(&mut *in_process::client(&vector), &vector);
        !result.problems.is_empty()
    };
    let (honest, refused) = (
        "uptane-director/honest",
        "uptane-director/another-vehicle-snapshot",
    );
    assert!(!fails(honest, 0, &|_| {}));
    assert!(fails(honest, 0, &|step| {
        step.expect.assigned.as_mut().expect("images").pop();
    }));
    assert!(fails(honest, 0, &|step| {
        step.expect.assigned.as_mut().expect("images")[0].release_counter += 1;
    }));
    assert!(fails(honest, 0, &|step| {
        let role = "image/supplier".to_owned();
        step.expect.trusted.insert(role, None);
    }));
    assert!(fails(honest, 1, &|step| {
        step.expect.installed = Some("factory".into());
    }));
    assert!(fails(refused, 1, &|step| {
        step.expect.repository = Some("image".into());
    }));
    let (believed, dropped) = (
        "director-manifests/attack",
        "director-manifests/ecu-missing",
    );
    assert!(!fails(believed, 0, &|_| {}));
    assert!(fails(believed, 0, &|step| step.expect.attacks = Some(vec![])));
    assert!(fails(believed, 1, &|step| step.expect.stale = Some(vec![])));
    assert!(fails(dropped, 0, &|step| {
        step.expect.code = Some("report-replayed".into());
    }));
}
