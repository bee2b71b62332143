//! tough follows the roots of every compromise drill to the repository that was recovered.

use std::fs;
use std::path::Path;

use countersign_ceremony::drill::{Drill, Sandbox, Shape, hold};

use crate::client::{Client, Tough, expect_refusal, fetch};
use crate::tree::{self, Tree};

const IMAGE: &str = "drill/image.img";

/// Holds a drill; tough must get the honest image at its end.
fn followed(drill: Drill) -> (tempfile::TempDir, Tree) {
    let held = hold(drill, &Shape::example(), Sandbox::Keep, tree::now()).expect("held");
    let sandbox = held.sandbox.clone().expect("kept");
    let folder = tempfile::tempdir().expect("a temporary folder");
    let place = folder.path().join("sandbox");
    fs::rename(&sandbox, &place).expect("moved");
    let repository = held.repository().expect("kept");
    let repository = repository.strip_prefix(&sandbox).expect("inside");
    let tree = Tree::at(place.join(repository).join("published"));
    where_tough_looks(&tree.targets());
    let image = fetch::<Tough>(&tree, IMAGE).expect("accepted");
    assert!(image.expect("listed").starts_with(b"honest image"));
    for (number, root) in held.roots.iter().enumerate() {
        let path = tree.metadata().join(format!("{}.root.json", number + 1));
        assert_eq!(&fs::read(path).expect("published"), root);
    }
    (folder, tree)
}

/// tough puts the hash before the folder's name, where others put it before the file's.
fn where_tough_looks(targets: &Path) {
    for entry in fs::read_dir(targets.join("drill")).expect("images") {
        let path = entry.expect("an entry").path();
        let name = path.file_name().expect("a name").to_string_lossy();
        if let Some((hash, "image.img")) = name.split_once('.') {
            let folder = targets.join(format!("{hash}.drill"));
            fs::create_dir_all(&folder).expect("a folder");
            fs::copy(&path, folder.join("image.img")).expect("copied");
        }
    }
}

#[test]
fn tough_follows_the_roots_of_every_drill() {
    for drill in Drill::ALL {
        followed(drill);
    }
}

/// The recovered files are signed by new keys alone, so the test above shows that tough took the
/// new root.
#[test]
fn tough_refuses_the_recovered_files_without_the_new_root() {
    let (_folder, tree) = followed(Drill::FastForward);
    fs::remove_file(tree.metadata().join("2.root.json")).expect("there");
    expect_refusal::<Tough>(&tree, IMAGE, Tough::WRONG_TIMESTAMP);
}
