//! What the command says when something is not as it should be, before and beside the metadata.

#![allow(clippy::unwrap_used, reason = "a test that cannot set up has failed")]

#[path = "../../tests/model/mod.rs"]
mod model;
#[path = "../../driver/tests/support/mod.rs"]
mod support;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use model::repository::Repository;
use serde_json::Value;
use support::{Server, ok, status};

/// Longer than any of these commands takes on a busy machine.
const HANGS: Duration = Duration::from_secs(20);

struct Device(tempfile::TempDir);

impl Device {
    fn new() -> Self {
        Device(tempfile::tempdir().unwrap())
    }

    fn at(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn command(&self) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_client-verifier"));
        command.args(["--format", "json", "--repository", "image"]);
        command.arg("--metadata-dir").arg(self.at("D"));
        command
    }

    fn init(&self, bytes: &[u8]) -> Value {
        fs::write(self.at("given"), bytes).unwrap();
        report(self.command().arg("init").arg(self.at("given")))
    }

    fn refresh(&self, url: &str) -> Value {
        report(self.command().args(["--metadata-url", url, "refresh"]))
    }

    fn download(&self, url: &str, targets: &str, image: &str) -> Value {
        let mut command = self.command();
        command.args(["--metadata-url", url, "--target-base-url", targets]);
        command.args(["--target-name", image, "--target-dir"]);
        report(command.arg(self.at("T")).arg("download"))
    }
}

/// The object that `command` prints, within a bounded time.
fn report(command: &mut Command) -> Value {
    let output = finished(command.stdout(Stdio::piped()).spawn().unwrap());
    let object: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(output.status.success(), object["ok"] == true, "{object}");
    assert!(output.status.code() <= Some(1), "{output:?}");
    object
}

fn finished(mut child: Child) -> Output {
    let start = Instant::now();
    while child.try_wait().unwrap().is_none() {
        if start.elapsed() > HANGS {
            child.kill().unwrap();
            panic!("the command hangs");
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    child.wait_with_output().unwrap()
}

#[track_caller]
fn assert_refused(object: &Value, name: &str, role: &str, says: &[&str]) {
    let message = object["message"].as_str().unwrap();
    assert_eq!(object["ok"], false, "{object}");
    assert_eq!(
        (&object["name"], &object["role"]),
        (&name.into(), &role.into()),
        "{object}"
    );
    assert_eq!(object["repository"], "image", "{object}");
    for words in says {
        assert!(message.contains(words), "{words:?} is not in {message}");
    }
}

#[track_caller]
fn assert_says(object: &Value, says: &str) {
    assert_eq!(object["ok"], true, "{object}");
    assert!(
        object["message"].as_str().unwrap().contains(says),
        "{object}"
    );
}

/// A repository whose Root is at version 2, far enough away that the clock never reaches it.
fn rotated() -> Repository {
    let mut repository =
        Repository::starting_at("2190-01-01T00:00:00Z".parse().unwrap(), true, true);
    repository.publish_root(&[]);
    repository.publish();
    repository
}

fn file<'a>(repository: &'a Repository, name: &str) -> &'a [u8] {
    &repository.states.last().unwrap().files[name]
}

/// Serves what `repository` published, and answers `trouble` for one path.
fn serve(repository: &Repository, broken: &'static str, trouble: &'static str) -> Server {
    let files = repository.states.last().unwrap().files.clone();
    Server::http(move |request, stream, _| match request.path() {
        path if path.ends_with(broken) => status(stream, trouble),
        path => match files.get(path.trim_start_matches("/m/")) {
            Some(bytes) => ok(stream, bytes),
            None => status(stream, "404 Not Found"),
        },
    })
}

#[test]
fn init_again_says_which_root_is_trusted() {
    let repository = rotated();
    let (first, second) = (
        file(&repository, "1.root.json"),
        file(&repository, "2.root.json"),
    );
    let device = Device::new();
    assert_says(&device.init(first), "trusting root version 1");
    assert_says(&device.init(first), "trusting root version 1");
    let server = serve(&repository, "nothing", "404 Not Found");
    assert_eq!(device.refresh(&format!("{}/m", server.url))["ok"], true);
    assert_says(
        &device.init(first),
        "root version 2 is trusted here, reached from this one (version 1)",
    );
    assert_says(&device.init(second), "trusting root version 2");
    assert_eq!(fs::read(device.at("D/root.json")).unwrap(), second);
}

#[test]
fn init_over_a_damaged_store_is_refused_with_what_to_do() {
    let repository = rotated();
    let (first, second) = (
        file(&repository, "1.root.json"),
        file(&repository, "2.root.json"),
    );
    for damage in [&b""[..], b"{}", &first[..first.len() - 9]] {
        let device = Device::new();
        device.init(first);
        fs::write(device.at("D/root.json"), damage).unwrap();
        let object = device.init(first);
        assert_refused(
            &object,
            "store-failed",
            "root",
            &["root_history", "empty directory"],
        );
        assert_eq!(fs::read(device.at("D/root.json")).unwrap(), damage);
    }

    // What it says helps, also where the damage is in the one file that has both names.
    let device = Device::new();
    device.init(second);
    fs::write(device.at("D/root_history/1.root.json"), first).unwrap();
    fs::write(device.at("D/root.json"), b"{}").unwrap();
    assert_refused(
        &device.init(first),
        "store-failed",
        "root",
        &["remove root.json"],
    );
    fs::remove_file(device.at("D/root.json")).unwrap();
    fs::copy(
        device.at("D/root_history/1.root.json"),
        device.at("D/root.json"),
    )
    .unwrap();
    assert_says(&device.init(first), "trusting root version 1");

    // Lost altogether, after a rotation: the first Root must not come back in its place.
    let device = Device::new();
    device.init(second);
    fs::write(device.at("D/root_history/1.root.json"), first).unwrap();
    fs::remove_file(device.at("D/root.json")).unwrap();
    let object = device.init(first);
    assert_refused(
        &object,
        "store-failed",
        "root",
        &["missing", "root_history"],
    );
    assert!(!device.at("D/root.json").exists());
    // The newest of the history is the one that was lost.
    assert_says(&device.init(second), "trusting root version 2");
}

#[test]
fn another_root_and_a_bad_one_are_refused_by_name() {
    let repository = rotated();
    let device = Device::new();
    device.init(file(&repository, "2.root.json"));
    let other = file(&repository, "1.root.json");
    assert_refused(&device.init(other), "root-conflict", "root", &["version 2"]);
    assert_refused(&device.init(b"{}"), "malformed", "root", &[]);
}

#[test]
fn init_reads_a_regular_file_of_bounded_size() {
    let device = Device::new();
    let init = |path: &Path| report(device.command().arg("init").arg(path));
    let fifo = device.at("fifo");
    rustix::fs::mknodat(
        rustix::fs::CWD,
        &fifo,
        rustix::fs::FileType::Fifo,
        rustix::fs::Mode::RUSR,
        0,
    )
    .unwrap();
    for path in [&fifo, Path::new("/dev/zero"), device.0.path()] {
        assert_refused(
            &init(path),
            "usage",
            "",
            &["cannot read", "not a regular file"],
        );
    }
    assert_refused(&init(&device.at("none")), "usage", "", &["no such file"]);
    // A hole, so that no disk is needed for it.
    let huge = fs::File::create(device.at("huge")).unwrap();
    huge.set_len(1 << 40).unwrap();
    assert_refused(
        &init(&device.at("huge")),
        "usage",
        "",
        &["over 524288 bytes"],
    );
}

#[test]
fn base_urls_that_names_cannot_follow_make_no_request() {
    let repository = rotated();
    let device = Device::new();
    device.init(file(&repository, "1.root.json"));
    let server = serve(&repository, "nothing", "404 Not Found");
    let good = format!("{}/m", server.url);
    for (bad, says) in [
        (format!("{good}?x=1"), "'?'"),
        (format!("{good}#x"), "'#'"),
        ("file:///a?b".into(), "'?'"),
        (String::new(), "empty"),
        ("/srv/metadata".into(), "https://"),
        ("localhost:8000/m".into(), "https://"),
        ("ftp://h/m".into(), "https://"),
        ("http:///m".into(), "host name"),
        ("file://host/m".into(), "file:///"),
    ] {
        let object = device.refresh(&bad);
        assert_refused(&object, "usage", "", &["--metadata-url", says]);
        let object = device.download(&good, &bad, "top.img");
        assert_refused(&object, "usage", "", &["--target-base-url", says]);
        let object = device.download(&bad, &good, "top.img");
        assert_refused(&object, "usage", "", &["--metadata-url", says]);
    }
    assert!(server.requests().is_empty());
}

#[test]
fn a_fetch_that_failed_names_the_role() {
    let repository = rotated();
    let images = format!("{}/t", serve(&repository, "top.img", "400 No").url);
    for (broken, role) in [
        ("3.root.json", "root"),
        ("timestamp.json", "timestamp"),
        ("snapshot.json", "snapshot"),
        ("targets.json", "targets"),
        ("vendor.json", "vendor"),
        ("nothing", "targets"),
    ] {
        let device = Device::new();
        device.init(file(&repository, "1.root.json"));
        let server = serve(&repository, broken, "400 No");
        let image = if role == "vendor" {
            "d/vendor.img"
        } else {
            "top.img"
        };
        let object = device.download(&format!("{}/m", server.url), &images, image);
        // The search ends with what could not be fetched, not with an image that is not there.
        assert_refused(&object, "fetch-failed", role, &["400"]);
    }
}

#[test]
fn usage_errors_are_one_sentence() {
    let device = Device::new();
    let said = |arguments: &[&str]| {
        let object = report(device.command().args(arguments));
        assert_eq!(
            (&object["name"], &object["code"]),
            (&"usage".into(), &804.into())
        );
        let message = object["message"].as_str().unwrap().to_owned();
        assert!(!message.contains(['\n', '\\']), "{message}");
        assert!(!message.contains("Usage:"), "{message}");
        message
    };
    for (arguments, says) in [
        (&["init"][..], "<ROOT>"),
        (&[], "requires a subcommand"),
        (&["refresh", "--min-rate", "many"], "'many'"),
        (&["frobnicate"], "'frobnicate'"),
        (&["refresh"], "--metadata-url"),
        (
            &[
                "refresh",
                "--metadata-url",
                "http://h",
                "--ca-file",
                "/none",
            ],
            "/none",
        ),
    ] {
        let message = said(arguments);
        assert!(message.contains(says), "{says:?} is not in {message}");
    }
}
