//! The runner for executables, tried on clients that are a few lines of shell.

use std::path::Path;

use countersign_vectors::format::Kind;
use countersign_vectors::run::external;
use countersign_vectors::run::run_case;
use countersign_vectors::suite;

/// Runs one case against a shell script whose `refresh` is `body`; what was not as expected.
fn problems(case: &str, body: &str) -> String {
    let script = format!(
        r#"dir=$2
case "$3" in
    init) cp "$4" "$dir/root.json" ;;
    *) url=$4; {body} ;;
esac
"#
    );
    let home = tempfile::tempdir().expect("a directory");
    let file = home.path().join("client.sh");
    std::fs::write(&file, script).expect("a script");
    let vectors = Path::new(env!("CARGO_MANIFEST_DIR")).join("vectors");
    let vector = suite::load(&vectors, case).expect("vectors").remove(0);
    let command = format!("sh {}", file.display());
    let mut client = external::client(&command, Kind::Tuf).expect("a client");
    run_case(&mut *client, &vector).problems.join("\n")
}

#[test]
fn a_client_that_refuses_what_it_must_passes() {
    assert_eq!(problems("root/too-large", "exit 1"), "");
}

#[test]
fn a_client_that_accepts_what_it_must_not_fails() {
    let problems = problems("root/too-large", "exit 0");
    assert_eq!(problems, "step 1: accepted, must be rejected");
}

#[test]
fn a_client_that_trusts_what_it_must_not_fails() {
    let body = r#"cp "$dir/root.json" "$dir/timestamp.json"; exit 1"#;
    let problems = problems("root/too-large", body);
    assert_eq!(
        problems,
        "step 1: trusts version 1 of timestamp, must trust none"
    );
}

#[test]
fn a_client_that_loses_its_root_fails() {
    let problems = problems("root/too-large", r#"rm "$dir/root.json"; exit 1"#);
    assert_eq!(problems, "step 1: trusts no root, must trust version 1");
}

#[test]
fn a_client_that_refuses_for_another_reason_fails() {
    let body = r#"echo '{"name":"expired","role":"root","attack":"freeze"}'; exit 1"#;
    let problems = problems("root/too-large", body);
    assert!(
        problems.contains("rejected with code expired, must be too-large"),
        "{problems}"
    );
}

#[test]
fn any_exit_code_but_0_and_1_is_a_failure() {
    for body in ["echo oops >&2; exit 3", "echo oops; kill -9 $$"] {
        let problems = problems("root/too-large", body);
        assert!(problems.contains("must be exit code 0 or 1"), "{problems}");
        assert!(problems.contains("oops"), "{problems}");
    }
}

#[test]
fn requests_are_noted_in_their_order() {
    // Any client that can be had everywhere would do; this one is part of bash.
    let body = r#"bash -c 'rest=${0#http://}; exec 3<>/dev/tcp/${rest%%:*}/$(p=${rest#*:}; echo ${p%%/*})
        printf "GET /metadata/2.root.json HTTP/1.0\r\n\r\n" >&3; read -r line <&3; echo "$line" >&2' "$url"; exit 1"#;
    assert_eq!(problems("root/version-skipped", body), "");
    let twice = body.replace("2.root.json", "1.root.json");
    let problems = problems("root/version-skipped", &twice);
    assert_eq!(
        problems,
        "step 1: asked for [1.root.json], must ask for [2.root.json]"
    );
}

#[test]
fn the_clock_of_a_case_is_the_clients_clock() {
    let body = r#"printf '{"name":"%s"}' "$(date -u +%Y-%m-%d)"; exit 1"#;
    let problems = problems("timestamp/expires-now", body);
    assert!(problems.contains("code 2030-06-01"), "{problems}");
}

#[test]
fn a_program_that_is_not_there_is_named() {
    let vectors = Path::new(env!("CARGO_MANIFEST_DIR")).join("vectors");
    let vector = suite::load(&vectors, "root/too-large")
        .expect("vectors")
        .remove(0);
    let mut client = external::client("/no/such/client", Kind::Tuf).expect("a client");
    let problems = run_case(&mut *client, &vector).problems.join("\n");
    assert!(
        problems.contains("cannot run /no/such/client"),
        "{problems}"
    );
    assert!(external::client(" ", Kind::Tuf).is_err());
}
