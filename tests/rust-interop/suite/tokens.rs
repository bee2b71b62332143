//! SoftHSM tokens for a test, in a process of its own: SoftHSM reads SOFTHSM2_CONF once.

use std::fs;
use std::path::Path;
use std::process::Command;

pub(crate) const PIN: &str = "648219";
const CHILD: &str = "COUNTERSIGN_INTEROP_TOKENS";
const MODULES: [&str; 4] = [
    "/usr/lib/softhsm/libsofthsm2.so",
    "/usr/lib/x86_64-linux-gnu/softhsm/libsofthsm2.so",
    "/usr/lib/aarch64-linux-gnu/softhsm/libsofthsm2.so",
    "/usr/lib64/pkcs11/libsofthsm2.so",
];

/// The SoftHSM library. These tests are worth nothing without it, so they fail.
pub(crate) fn module() -> &'static str {
    MODULES
        .into_iter()
        .find(|path| Path::new(path).exists())
        .expect("this test needs SoftHSM; on Debian: apt-get install softhsm2")
}

/// Runs `body` with tokens of these labels. `name` is the test's path, as the runner prints it.
pub(crate) fn with_tokens(name: &str, labels: &[&str], body: fn()) {
    if std::env::var_os(CHILD).is_some() {
        return body();
    }
    let dir = tempfile::tempdir().expect("a temporary folder");
    let tokens = dir.path().join("tokens");
    fs::create_dir(&tokens).expect("a folder for tokens");
    let config = dir.path().join("softhsm2.conf");
    let text = format!(
        "directories.tokendir = {}\nobjectstore.backend = file\nlog.level = ERROR\n",
        tokens.display()
    );
    fs::write(&config, text).expect("a configuration");
    for label in labels {
        let output = Command::new("softhsm2-util")
            .args(["--init-token", "--free", "--label", label])
            .args(["--so-pin", "87654321", "--pin", PIN])
            .env("SOFTHSM2_CONF", &config)
            .output()
            .expect("this test needs softhsm2-util; on Debian: apt-get install softhsm2");
        assert!(output.status.success(), "{output:?}");
    }
    let output = Command::new(std::env::current_exe().expect("this test's file"))
        .args([name, "--exact", "--nocapture"])
        .env("SOFTHSM2_CONF", &config)
        .env(CHILD, "1")
        .output()
        .expect("this test again");
    let (out, err) = (
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr),
    );
    assert!(output.status.success(), "{out}{err}");
    // A misspelt name would run no test and prove nothing.
    assert!(out.contains("1 passed"), "{name} is not a test: {out}");
}
