//! Batches that are killed, again and again, and run to the end.

use std::collections::HashSet;
use std::fs;
use std::os::unix::process::ExitStatusExt as _;
use std::process::{Child, Stdio};

use serde_json::Value;

use crate::tool::{BATCH, Tool, certificates, factory};

/// What has to hold after any number of deaths: every row done, no serial and no device twice,
/// each file the certificate that the index has.
fn whole(tool: &Tool, devices: usize) {
    let outcome = tool.json(0, &BATCH);
    let (issued, already) = (&outcome["issued"], &outcome["already"]);
    assert_eq!(
        issued.as_u64().unwrap() + already.as_u64().unwrap(),
        devices as u64
    );
    let list = tool.list();
    let unique = |member: &str| {
        let values = list.iter().map(|entry| entry[member].to_string());
        values.collect::<HashSet<_>>().len()
    };
    assert_eq!(
        (list.len(), unique("serial"), unique("subject")),
        (devices, devices, devices)
    );
    let files = certificates(&tool.path("out"));
    assert_eq!(files.len(), devices);
    let index = tool.text_of("ca/index.jsonl");
    let mut reserved = HashSet::new();
    let mut kept = HashSet::new();
    for line in index.lines() {
        let record: Value = serde_json::from_str(line).unwrap();
        let event = &record["event"];
        for serial in event["reserved"]["serials"]
            .as_array()
            .into_iter()
            .flatten()
        {
            assert!(
                reserved.insert(serial.to_string()),
                "{serial} reserved twice"
            );
        }
        let issued = &event["issued"];
        if let Some(certificate) = issued["certificate"].as_str() {
            assert!(reserved.contains(&issued["serial"].to_string()));
            kept.insert(certificate.to_owned());
        }
    }
    for file in files {
        assert!(
            kept.contains(&fs::read_to_string(&file).unwrap()),
            "{file:?}"
        );
    }
    let unfinished = walk(&tool.path("out"));
    assert!(unfinished.is_empty(), "{unfinished:?}");
}

fn walk(folder: &std::path::Path) -> Vec<std::path::PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        match path.is_dir() {
            true => found.extend(walk(&path)),
            false if path.extension().is_some_and(|end| end == "tmp") => found.push(path),
            false => {}
        }
    }
    found
}

fn start(tool: &Tool) -> Child {
    let mut command = tool.command(&BATCH);
    command
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap()
}

/// Kills a batch once something is to be seen of it.
fn kill_when(tool: &Tool, seen: impl Fn() -> bool) -> bool {
    let mut child = start(tool);
    loop {
        if let Some(status) = child.try_wait().unwrap() {
            assert!(status.success(), "{status}");
            return false;
        }
        if seen() {
            child.kill().unwrap();
            return child.wait().unwrap().signal() == Some(9);
        }
        std::thread::yield_now();
    }
}

#[test]
fn killed_batches_lose_nothing_and_repeat_nothing() {
    const DEVICES: usize = 600;
    let tool = Tool::started();
    factory(&tool, DEVICES);
    let size = || fs::metadata(tool.path("ca/index.jsonl")).map_or(0, |file| file.len());
    let out = || match tool.path("out").exists() {
        true => certificates(&tool.path("out")).len(),
        false => 0,
    };
    let mut killed = 0;
    // In the index: at its first byte, then a part of a group further each time.
    for step in [1, 3_000, 60_000, 150_000] {
        let before = size();
        killed += u32::from(kill_when(&tool, || size() >= before + step));
    }
    // In the files: at the first, and a part of a group further.
    for step in [1, 50] {
        let before = out();
        killed += u32::from(kill_when(&tool, || out() >= before + step));
    }
    assert!(killed >= 3, "only {killed} of 6 runs were killed");
    whole(&tool, DEVICES);
}

#[test]
fn half_a_line_at_the_end_of_the_index_was_never_there() {
    let tool = Tool::started();
    factory(&tool, 3);
    tool.json(0, &BATCH);
    let index = tool.text_of("ca/index.jsonl");
    let last = index.trim_end().rfind('\n').unwrap() + 1;
    for cut in [last, last + 1, last + 40, index.len() - 1] {
        tool.write("ca/index.jsonl", &index[..cut]);
        // To look at it changes nothing.
        assert_eq!(tool.list().len(), 2);
        assert_eq!(tool.text_of("ca/index.jsonl").len(), cut);
        assert_eq!(tool.json(0, &BATCH)["issued"], 1);
        whole(&tool, 3);
    }
}

#[test]
fn two_batches_do_not_mix() {
    let tool = Tool::started();
    factory(&tool, 4);
    let lock = fs::File::open(tool.path("ca/lock")).unwrap();
    lock.lock().unwrap();
    tool.refused("locked", &BATCH);
    // Looking is always possible.
    assert!(tool.list().is_empty());
    drop(lock);
    whole(&tool, 4);
}

/// The process ends at points between two effects on the disk, one after the other.
#[cfg(feature = "crash-points")]
#[test]
fn points_are_survived() {
    const DEVICES: usize = 130;
    let tool = Tool::started();
    factory(&tool, DEVICES);
    let index = tool.text_of("ca/index.jsonl");
    // Around the first group each of them; those between the files are all alike.
    for point in (1..12).chain((12..).step_by(11)) {
        tool.write("ca/index.jsonl", &index);
        if tool.path("out").exists() {
            fs::remove_dir_all(tool.path("out")).unwrap();
        }
        let mut command = tool.command(&BATCH);
        let output = command
            .env("COUNTERSIGN_CRASH_POINT", point.to_string())
            .output()
            .unwrap();
        if output.status.success() {
            // One for each file, and more.
            assert!(point > DEVICES, "only {point} points");
            break;
        }
        assert_eq!(output.status.signal(), Some(6), "{output:?}");
        whole(&tool, DEVICES);
    }
}

/// A CA whose making was cut off is made by the same command again.
#[cfg(feature = "crash-points")]
#[test]
fn init_and_issue_are_survived() {
    use crate::tool::{P256, VEHICLE, issue};
    for point in 1.. {
        let tool = Tool::new();
        tool.request("a", P256);
        let key = format!("file:{}?encryption=none", tool.path("ca.key").display());
        let init = [
            "init",
            "--key",
            &key,
            "--generate",
            "ecdsa-p256",
            "--name",
            "X",
        ];
        let init = [&init[..], &["--accept-weak-custody"]].concat();
        let issue = issue("a", VEHICLE, "E1", "a.pem");
        let issue = issue.each_ref().map(String::as_str);
        let renew = [
            "renew", "--cert", "a.pem", "--csr", "a.csr", "--out", "b.pem",
        ];
        let crl = ["crl", "--out", "crl.pem"];
        let mut survived = 0;
        for arguments in [&init[..], &issue, &renew, &crl] {
            let mut command = tool.command(arguments);
            let output = command
                .env("COUNTERSIGN_CRASH_POINT", point.to_string())
                .output();
            survived += u32::from(output.unwrap().status.success());
            // After init succeeded by itself, a second one is refused; all others repeat.
            if arguments[0] != "init" || !tool.path("ca/ca.json").exists() {
                tool.json(0, arguments);
            }
        }
        assert_eq!(tool.list().len(), 2, "point {point}");
        tool.openssl("verify -crl_check -CAfile ca/ca.pem -CRLfile crl.pem a.pem b.pem");
        if survived == 4 {
            assert!(point > 4, "only {point} points");
            break;
        }
    }
}
