//! From a ceremony to the line, with nothing that the policy has to be told.

use std::path::Path;

use countersign_ceremony::provision::{Profile, TimeGiven, gather};
use countersign_ceremony::{Extent, verify};

use crate::common::World;
use crate::stage::Stage;

#[test]
fn the_words_of_a_root_are_those_of_its_ceremony() {
    let world = World::with_files();
    world.first_ceremony("c1", 2, &["anna", "ben", "chris"], &["anna", "ben"]);
    let words = verify(&world.path("lead/c1"), None, Extent::Sealed).unwrap();
    let words = words.words.unwrap();
    let folder = world.path("lead/c1");
    let mut stage = Stage::plain();
    stage.profile = format!(
        "name = \"Sensor\"\n[repository]\nroot = \"{}\"\nwords = \"{words}\"\n",
        folder.display()
    );
    let mut order = stage.order(Vec::new());
    order.accepted.clear();
    // The ceremony was held by this machine's clock.
    let now = countersign_client::clock::system_time().unwrap();
    order.time = TimeGiven::Stated(now);
    let bundle = gather(&order, now).unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(bundle.review().roots[0].words, words);
    assert_eq!(bundle.review().roots[0].version, 1);
}

#[test]
fn the_profiles_of_the_page_are_profiles() {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/provisioning.md");
    let page = std::fs::read_to_string(page).unwrap();
    let blocks = page.split("```toml\n").skip(1);
    let blocks: Vec<&str> = blocks.filter_map(|rest| rest.split("```").next()).collect();
    assert_eq!(blocks.len(), 2);
    let stage = Stage::plain();
    for block in blocks {
        stage.write("profile.toml", block);
        let read = Profile::load(&stage.path("profile.toml"));
        assert!(read.is_ok(), "{read:?}");
    }
}
