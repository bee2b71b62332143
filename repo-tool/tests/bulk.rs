//! Many images, and bins that nobody needs to look at.

mod common;

use std::collections::BTreeSet;
use std::fs;

use countersign_repo::{BinStyle, NewBins, NewTarget, Silent, verify};

use self::common::{Client, Sandbox, signers};

fn with_bins(style: BinStyle) -> Sandbox {
    let sandbox = Sandbox::started();
    sandbox.make_key("bins");
    let bins = NewBins {
        from: "targets".into(),
        prefix: "bin".into(),
        count: 16,
        style,
        signers: signers("bins"),
    };
    sandbox.open().add_bins(bins).expect("stages");
    sandbox.release();
    sandbox
}

fn many(sandbox: &Sandbox, count: usize) -> Vec<NewTarget> {
    let new = |number| {
        let name = format!("image-{number}");
        sandbox.new_target(&name, name.as_bytes())
    };
    (0..count).map(new).collect()
}

#[test]
fn many_images_arrive() {
    for style in [BinStyle::Succinct, BinStyle::HashPrefixes] {
        let sandbox = with_bins(style);
        let new = many(&sandbox, 600);
        let listed = sandbox.open().add_targets(&new, None).expect("stages");
        let roles: BTreeSet<_> = listed.iter().map(|listed| &listed.role).collect();
        assert_eq!((listed.len(), roles.len()), (600, 16));
        sandbox.release();
        let mut client = Client::new(&sandbox);
        for name in ["image-0", "image-299", "image-599"] {
            let got = client.get(name, sandbox.now).expect("accepted");
            assert_eq!(got, name.as_bytes());
        }
        let found = verify(&sandbox.public(), sandbox.now, &Silent).expect("looks");
        assert_eq!((found.images, found.faults.len()), (600, 0));
    }
}

/// The other bins are not even JSON any more, neither in the public tree nor in the state.
#[test]
fn one_image_opens_one_bin() {
    for style in [BinStyle::Succinct, BinStyle::HashPrefixes] {
        let sandbox = with_bins(style);
        let listed = sandbox.add("new", b"old");
        sandbox.release();
        let mut spoiled = 0;
        for folder in [sandbox.public(), sandbox.path().join("state")] {
            for entry in fs::read_dir(folder.join("metadata")).expect("lists") {
                let path = entry.expect("an entry").path();
                let name = path
                    .file_name()
                    .unwrap_or_default()
                    .to_string_lossy()
                    .into_owned();
                if name.contains("bin-") && !name.contains(&listed.role) {
                    fs::write(path, b"spoiled").expect("writes");
                    spoiled += 1;
                }
            }
        }
        assert_eq!(spoiled, 2 * 15);
        sandbox.add("new", b"new");
        sandbox.release();
        let got = Client::new(&sandbox).get("new", sandbox.now);
        assert_eq!(got.as_deref(), Ok(&b"new"[..]));
        // The full check is for that.
        let found = verify(&sandbox.public(), sandbox.now, &Silent).expect("looks");
        assert_eq!(found.faults.len(), 15);
    }
}

#[test]
fn one_wrong_image_of_many_stages_nothing() {
    let sandbox = with_bins(BinStyle::Succinct);
    let mut new = many(&sandbox, 600);
    new[400].source = sandbox.path().join("images/missing");
    sandbox.open().add_targets(&new, None).expect_err("missing");
    let staged = sandbox.open().status(countersign_repo::Extent::All);
    assert!(staged.expect("looks").staged.is_empty());
    new.remove(400);
    let listed = sandbox.open().add_targets(&new, None).expect("stages");
    assert_eq!(listed.len(), 599);
}
