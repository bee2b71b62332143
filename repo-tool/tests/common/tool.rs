//! `repo-tool` as a script runs it.
#![allow(dead_code, unreachable_pub)]

use std::fs;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use serde_json::Value;

/// A folder and `repo-tool` in it, with nobody to ask.
pub struct Tool {
    folder: tempfile::TempDir,
}

/// The query of a key file that is not encrypted.
pub const PLAIN: &str = "?encryption=none";

impl Tool {
    pub fn new() -> Self {
        Self {
            folder: tempfile::tempdir().expect("a folder"),
        }
    }

    pub fn started() -> Self {
        let tool = Self::new();
        tool.json(0, &tool.init_arguments());
        tool
    }

    pub fn init_arguments(&self) -> Vec<String> {
        let mut arguments: Vec<String> = vec!["init".into(), "--generate".into(), "ed25519".into()];
        for role in ["root", "targets", "snapshot", "timestamp"] {
            arguments.push(format!("--{role}-key"));
            arguments.push(format!("file:keys/{role}.pem{PLAIN}"));
        }
        arguments
    }

    pub fn path(&self) -> &Path {
        self.folder.path()
    }

    pub fn file(&self, name: &str, content: &[u8]) -> String {
        let path = self.path().join(name);
        fs::write(&path, content).expect("writes");
        path.display().to_string()
    }

    pub fn run<S: AsRef<str>>(&self, arguments: &[S]) -> Output {
        let mut command = Command::new(env!("CARGO_BIN_EXE_repo-tool"));
        command.arg("--repo").arg(self.path()).stdin(Stdio::null());
        command
            .env_remove("COUNTERSIGN_PASSPHRASE")
            .env_remove("COUNTERSIGN_PIN");
        command.args(arguments.iter().map(AsRef::as_ref));
        command.output().expect("runs")
    }

    /// Text on standard output, with the exit code checked.
    pub fn text(&self, code: i32, arguments: &[&str]) -> String {
        let output = self.run(arguments);
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(code), "{arguments:?}: {stderr}");
        match code {
            0 => String::from_utf8(output.stdout).expect("UTF-8"),
            _ => stderr.into_owned(),
        }
    }

    /// The one JSON object on standard output, with the exit code checked.
    pub fn json<S: AsRef<str>>(&self, code: i32, arguments: &[S]) -> Value {
        let mut all = vec!["--format", "json"];
        all.extend(arguments.iter().map(AsRef::as_ref));
        let output = self.run(&all);
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(code), "{all:?}: {stderr}");
        let object: Value = serde_json::from_slice(&output.stdout).expect("one JSON object");
        assert_eq!(object["ok"], code == 0, "{object}");
        object
    }
}
