//! Images that were reviewed by their hash: what is staged is what was meant, whatever is done to
//! the file meanwhile.

mod common;
#[path = "common/tool.rs"]
mod tool;

use std::fs::{self, OpenOptions};
use std::io::Write;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use common::{Client, Sandbox};
use countersign_repo::{NewTarget, Progress};
use ring::digest::{SHA256, digest};
use tool::Tool;

fn sha256(content: &[u8]) -> [u8; 32] {
    digest(&SHA256, content)
        .as_ref()
        .try_into()
        .expect("32 bytes")
}

#[test]
fn a_file_with_another_hash_is_not_staged() {
    let tool = Tool::started();
    let image = tool.file("app.img", b"reviewed");
    let reviewed = hex::encode(sha256(b"reviewed"));
    let add = ["target", "add", &image, "--sha256", &reviewed];
    let staged = tool.json(0, &add);
    assert_eq!(staged["targets"][0]["sha256"], reviewed.as_str());
    let upper = reviewed.to_uppercase();
    tool.text(0, &["target", "add", &image, "--sha256", &upper]);

    fs::write(&image, b"replaced").expect("writes");
    let listed = tool.json(0, &["target", "list"]);
    for more in [&[][..], &["--confidential"], &["--name", "other.img"]] {
        let refused = tool.json(1, &[&add[..], more].concat());
        assert_eq!(refused["name"], "sha256-mismatch");
        let message = refused["message"].as_str().expect("text");
        for part in [&image, &reviewed, &hex::encode(sha256(b"replaced"))] {
            assert!(message.contains(part), "{message}");
        }
        assert_eq!(tool.json(0, &["target", "list"]), listed);
    }
    let kept = |folder: &str| match fs::read_dir(tool.path().join(folder)) {
        Ok(files) => files.count(),
        Err(_) => 0,
    };
    assert_eq!((kept("staged/images"), kept("confidential")), (1, 0));
}

#[test]
fn a_hash_is_for_one_file() {
    let tool = Tool::started();
    let (one, other) = (tool.file("one", b"1"), tool.file("other", b"1"));
    let hash = hex::encode(sha256(b"1"));
    let folder = tool.path().display().to_string();
    for words in [
        &[&one, &other, "--sha256", &hash][..],
        &["--recursive", &folder, "--sha256", &hash],
        &[&one, "--sha256", &hash[1..]],
        &[&one, "--sha256", ""],
        &[&one, "--sha256", &hash.replace(&hash[..1], "g")],
        &[&one, "--sha256"],
    ] {
        let output = tool.run(&[&["target", "add"], words].concat());
        assert_eq!(output.status.code(), Some(2), "{words:?}");
    }
    assert_eq!(tool.text(0, &["target", "list"]).trim(), "");
}

/// Does something to a file while it is copied.
struct Meddler<F>(F);

impl<F: Fn(u64) + Send + Sync> Progress for Meddler<F> {
    fn start(&self, _what: &str, _bytes: u64) {
        (self.0)(0);
    }

    fn advance(&self, bytes: u64) {
        (self.0)(bytes);
    }

    fn finish(&self) {}
}

fn add_meanwhile(
    sandbox: &Sandbox,
    new: &NewTarget,
    reviewed: &[u8],
    meanwhile: impl Fn(u64) + Send + Sync + 'static,
) -> Result<(), String> {
    let mut repository = sandbox.open().with_progress(Box::new(Meddler(meanwhile)));
    let added = repository.add_reviewed_targets(&[(new.clone(), sha256(reviewed))], None);
    added.map(drop).map_err(|error| error.name().to_owned())
}

#[test]
fn the_hash_is_that_of_the_copy_that_is_kept() {
    let sandbox = Sandbox::published();
    let new = sandbox.new_target("app.img", b"reviewed");
    let replace = |content: &'static [u8], path: &PathBuf| {
        let (next, path) = (path.with_extension("next"), path.clone());
        move |_| {
            fs::write(&next, content).expect("writes");
            fs::rename(&next, &path).expect("replaces");
        }
    };
    let swap = replace(b"replaced", &new.source);
    assert_eq!(add_meanwhile(&sandbox, &new, b"reviewed", swap), Ok(()));
    sandbox.release();
    let bytes = Client::new(&sandbox).get("app.img", sandbox.now);
    assert_eq!(bytes.expect("accepted"), b"reviewed");

    assert_eq!(fs::read(&new.source).expect("reads"), b"replaced");
    let swap_back = replace(b"reviewed", &new.source);
    let refused = add_meanwhile(&sandbox, &new, b"reviewed", swap_back);
    assert_eq!(refused, Err("sha256-mismatch".into()));
}

#[test]
fn a_file_that_grows_does_not_fill_the_disk() {
    const LIMIT: u64 = 16 << 20;
    let sandbox = Sandbox::published();
    let new = sandbox.new_target("app.img", b"1");
    let copied = Arc::new(AtomicU64::new(0));
    let (count, path) = (Arc::clone(&copied), new.source.clone());
    let grow = move |bytes| {
        if count.fetch_add(bytes, Ordering::SeqCst) < LIMIT {
            let mut file = OpenOptions::new().append(true).open(&path).expect("opens");
            file.write_all(&[0; 1 << 20]).expect("writes");
        }
    };
    let refused = add_meanwhile(&sandbox, &new, b"1", grow);
    assert_eq!(refused, Err("image-changed".into()));
    assert_eq!(copied.load(Ordering::SeqCst), 2);
}
