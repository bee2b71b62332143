//! Factory batches: rows that fail do not hold up the others.

use std::fs;

use serde_json::Value;

use crate::tool::{BATCH, Tool, certificates, device_request, factory};

fn errors(tool: &Tool) -> Vec<(u64, String)> {
    let text = tool.text_of("out/errors.jsonl");
    let rows = text
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).unwrap());
    rows.map(|row| {
        assert!(!row["message"].as_str().unwrap().is_empty());
        (
            row["line"].as_u64().unwrap(),
            row["name"].as_str().unwrap().to_owned(),
        )
    })
    .collect()
}

#[test]
fn bad_rows_are_reported_and_the_others_done() {
    let tool = Tool::started();
    factory(&tool, 5);
    tool.write("csr/bad.csr", b"not a request");
    let mut broken = device_request(0);
    *broken.last_mut().unwrap() ^= 1;
    tool.write("csr/broken.csr", broken);
    let manifest = tool.text_of("manifest.csv")
        + "bad.csr,VIN1,BAD\n\
           missing.csr,VIN1,MISSING\n\
           ../ca/ca.pem,VIN1,OUT\n\
           broken.csr,VIN1,BROKEN\n\
           0.csr,VIN1,TWICE\n\
           1.csr,VIN00000,ECU-000000\n\
           1.csr,VIN00000,ECU-000001\n\
           2.csr,..,ECU\n\
           2.csr,VIN 1,ECU\n";
    tool.write("manifest.csv", manifest);
    let outcome = tool.json(1, &BATCH);
    assert_eq!(outcome["rows"], 14);
    assert_eq!(outcome["issued"], 5);
    // The row that says the same again.
    assert_eq!(outcome["already"], 1);
    assert_eq!(outcome["refused"], 8);
    let expected = [
        (7, "request-malformed"),
        (8, "io"),
        (9, "request-malformed"),
        (10, "request-proof"),
        (11, "key-in-use"),
        (12, "key-in-use"),
        (14, "identifier"),
        (15, "identifier"),
    ];
    let expected: Vec<_> = expected.map(|(line, name)| (line, name.to_owned())).into();
    assert_eq!(errors(&tool), expected);
    assert_eq!(certificates(&tool.path("out")).len(), 5);

    // Mended, and run again: only what was missing is done, and the list of errors is new.
    tool.write("csr/bad.csr", device_request(1));
    let again = tool.json(1, &BATCH);
    assert_eq!(
        (&again["issued"], &again["already"]),
        (&1.into(), &6.into())
    );
    assert_eq!(errors(&tool).len(), 7);
}

#[test]
fn a_lost_output_is_written_again() {
    let tool = Tool::started();
    factory(&tool, 3);
    tool.json(0, &BATCH);
    let path = "out/VIN00000/ECU-000001.pem";
    let certificate = tool.text_of(path);
    fs::remove_dir_all(tool.path("out")).unwrap();
    let again = tool.json(0, &BATCH);
    assert_eq!(
        (&again["issued"], &again["already"]),
        (&0.into(), &3.into())
    );
    assert_eq!(tool.text_of(path), certificate);
    assert_eq!(tool.text_of("out/errors.jsonl"), "");
}

#[test]
fn no_vehicle_takes_the_place_of_the_list_of_errors() {
    let tool = Tool::started();
    factory(&tool, 3);
    let manifest = tool.text_of("manifest.csv");
    let manifest = manifest.replace("2.csr,VIN00000", "2.csr,errors.jsonl");
    tool.write("manifest.csv", manifest);
    for (issued, already) in [(2, 0), (0, 2)] {
        let outcome = tool.json(1, &BATCH);
        let done = (&outcome["issued"], &outcome["already"]);
        assert_eq!(done, (&issued.into(), &already.into()));
        assert_eq!(errors(&tool), [(4, "identifier".to_owned())]);
    }
}

#[test]
fn a_second_run_undoes_no_revocation() {
    let tool = Tool::started();
    factory(&tool, 3);
    tool.json(0, &BATCH);
    let device = ["--vehicle", "VIN00000", "--ecu", "ECU-000001"];
    let revoke = ["revoke", "--reason", "cessation-of-operation"];
    tool.json(0, &[&revoke[..], &device].concat());
    let again = tool.json(1, &BATCH);
    assert_eq!(
        (&again["issued"], &again["already"]),
        (&0.into(), &2.into())
    );
    assert_eq!(errors(&tool), [(3, "was-revoked".to_owned())]);
    // Somebody has to say so.
    let issue = ["issue", "csr/1.csr", "--out", "back.pem"];
    let issue = [&issue[..], &device].concat();
    tool.refused("was-revoked", &issue);
    tool.json(0, &[&issue[..], &["--replace", "superseded"]].concat());
    assert_eq!(tool.json(0, &BATCH)["already"], 3);
}

#[test]
fn a_manifest_with_a_fault_issues_nothing() {
    let tool = Tool::started();
    factory(&tool, 3);
    for manifest in ["", "csr,vehicle\n", "csr,vehicle,ecu\n0.csr,V,E\n1.csr,V\n"] {
        tool.write("manifest.csv", manifest);
        tool.refused("manifest", &BATCH);
    }
    assert!(tool.list().is_empty() && !tool.path("out").exists());
}

#[test]
fn json_lines_say_the_same() {
    let tool = Tool::started();
    fs::create_dir(tool.path("csr")).unwrap();
    tool.write("csr/a, \"b\".csr", device_request(0));
    tool.write(
        "manifest.csv",
        "{\"csr\":\"a, \\\"b\\\".csr\",\"vehicle\":\"V\",\"ecu\":\"E,1\"}\n",
    );
    tool.json(0, &BATCH);
    assert!(tool.path("out/V/E%2C1.pem").exists());
}
