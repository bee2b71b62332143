use std::fs;
use std::path::Path;
use std::process::Command;

use ring::digest::{Context, SHA256, digest};

use super::*;
use crate::crash;
use crate::fetch::FileFetcher;
use crate::pieces::PIECE;

/// Several pieces, and not a multiple of one.
const LENGTH: usize = 3 * PIECE + 1000;

const CHILD_DIRECTORY: &str = "COUNTERSIGN_TEST_DOWNLOAD";

struct Sha256(Context, Vec<u8>);

impl ImageCheck for Sha256 {
    type Proof = ();
    type Refusal = &'static str;
    fn update(&mut self, bytes: &[u8]) -> Result<(), Self::Refusal> {
        self.0.update(bytes);
        Ok(())
    }
    fn finish(self) -> Result<(), Self::Refusal> {
        match self.0.finish().as_ref() == self.1 {
            true => Ok(()),
            false => Err("hash"),
        }
    }
}

fn content() -> Vec<u8> {
    (0..LENGTH).map(|i| (i / 7 % 251) as u8).collect()
}

/// Downloads `dir/served` as `dir/T/a/b`, with the partial file in `dir/D/partial`.
fn run(dir: &Path) -> Result<Downloaded<()>, DownloadError<&'static str>> {
    let targets = TargetDir::open(&dir.join("T")).unwrap();
    let url = format!("file://{}", dir.join("served").display());
    let wanted = Wanted {
        url: &url,
        name: "a/b",
        length: LENGTH as u64,
        key: "key",
    };
    let hash = digest(&SHA256, &content()).as_ref().to_vec();
    let mut new_check = || Sha256(Context::new(&SHA256), hash.clone());
    let partial = dir.join("D/partial");
    download(
        &mut FileFetcher::new(),
        &wanted,
        &targets,
        &partial,
        &mut new_check,
    )
}

/// Not a test of its own: what the killed process of the next test does.
#[test]
fn child_of_the_crash_test() {
    if let Ok(dir) = std::env::var(CHILD_DIRECTORY) {
        run(Path::new(&dir)).unwrap();
    }
}

#[test]
fn killed_anywhere_the_target_is_absent_or_right_and_the_next_run_completes_it() {
    let mut points = 0;
    loop {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("served"), content()).unwrap();
        let child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "files::download::tests::child_of_the_crash_test"])
            .env(CHILD_DIRECTORY, dir.path())
            .env(crash::VARIABLE, (points + 1).to_string())
            .output()
            .unwrap();
        let target = dir.path().join("T/a/b");
        if target.exists() {
            assert_eq!(fs::read(&target).unwrap(), content());
        }
        run(dir.path()).unwrap();
        assert_eq!(fs::read(&target).unwrap(), content());
        assert_eq!(fs::read_dir(dir.path().join("T/a")).unwrap().count(), 1);
        assert_eq!(fs::read_dir(dir.path().join("T")).unwrap().count(), 1);
        if child.status.success() {
            assert!(run(dir.path()).unwrap().was_there);
            break;
        }
        points += 1;
    }
    // At least four pieces, before and after the rename, and between check and rename.
    assert!(points >= 7, "{points}");
}

#[test]
fn an_inherited_start_that_only_the_hash_betrays_is_fetched_again() {
    let dir = tempfile::tempdir().unwrap();
    let partial = dir.path().join("D/partial");
    fs::create_dir_all(&partial).unwrap();
    fs::write(partial.join(crate::store::sha256_hex(b"key")), [0xff; 5000]).unwrap();
    fs::write(dir.path().join("served"), content()).unwrap();
    assert!(!run(dir.path()).unwrap().was_there);
    assert_eq!(fs::read(dir.path().join("T/a/b")).unwrap(), content());
    assert!(!partial.exists());

    // But a server that is dishonest now is refused, once and for all.
    fs::remove_file(dir.path().join("T/a/b")).unwrap();
    fs::create_dir_all(&partial).unwrap();
    fs::write(partial.join(crate::store::sha256_hex(b"key")), [0xff; 5000]).unwrap();
    fs::write(dir.path().join("served"), vec![0xff; LENGTH]).unwrap();
    assert!(matches!(
        run(dir.path()),
        Err(DownloadError::Refused("hash"))
    ));
    assert!(!partial.exists());
    assert!(!dir.path().join("T/a/b").exists());
}
