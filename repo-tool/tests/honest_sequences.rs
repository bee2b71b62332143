//! Any honest sequence of edits, rotations and publishes is accepted by a client that follows it
//! from any earlier state, and the client ends with what the repository lists.

mod common;

use std::collections::BTreeMap;

use common::{Client, DAY, Sandbox, role, simple_policy, uri};
use countersign_metadata::{Key, RoleType};
use countersign_repo::policy::Listing;
use countersign_repo::{Due, keys};
use proptest::prelude::*;

/// What a release engineer may do between two publishes.
#[derive(Debug, Clone)]
enum Edit {
    /// Adds or replaces an image; the number chooses its name and the role that lists it.
    Add(u8, u8),
    /// Removes an image if it is there.
    Remove(u8),
    /// Delegates `team/*`, once.
    Delegate,
    /// Exchanges the key of a top-level role.
    Rotate(RoleType),
    /// Raises the root to two of two keys, or goes back.
    RootThreshold,
    /// Time passes; the cron job renews what is due.
    Days(u8),
}

fn edit() -> impl Strategy<Value = Edit> {
    prop_oneof![
        4 => (0..6u8, any::<u8>()).prop_map(|(name, content)| Edit::Add(name, content)),
        1 => (0..6u8).prop_map(Edit::Remove),
        1 => Just(Edit::Delegate),
        3 => prop::sample::select(RoleType::ALL.to_vec()).prop_map(Edit::Rotate),
        1 => Just(Edit::RootThreshold),
        2 => (1..12u8).prop_map(Edit::Days),
    ]
}

/// The repository beside a model of what it lists.
struct Model {
    sandbox: Sandbox,
    images: BTreeMap<String, Vec<u8>>,
    delegated: bool,
    /// The current key of each top-level role, and how many were made.
    keys: BTreeMap<RoleType, String>,
    made: u32,
    second_root_key: Option<String>,
}

impl Model {
    fn new(consistent: bool, listing: Listing) -> Self {
        let mut policy = simple_policy();
        policy.consistent_snapshot = consistent;
        policy.snapshot_lists = listing;
        policy.roles.snapshot = role(&["snapshot"], 1, "20d");
        let sandbox = Sandbox::started_with(&policy);
        sandbox.release();
        let keys = RoleType::ALL
            .map(|kind| (kind, kind.name().to_owned()))
            .into();
        let images = BTreeMap::new();
        Self {
            sandbox,
            images,
            delegated: false,
            keys,
            made: 0,
            second_root_key: None,
        }
    }

    fn apply(&mut self, edit: &Edit) {
        match edit {
            Edit::Add(number, content) => {
                let name = self.name(*number);
                let content = vec![*content; usize::from(*content)];
                let role = if name.starts_with("team/") {
                    "team"
                } else {
                    "targets"
                };
                self.sandbox.add_to(role, &name, &content).expect("adds");
                self.images.insert(name, content);
            }
            Edit::Remove(number) => {
                let name = self.name(*number);
                if self.images.remove(&name).is_some() {
                    self.sandbox
                        .open()
                        .remove_target(&name, None)
                        .expect("removes");
                }
            }
            Edit::Delegate if !self.delegated => {
                self.sandbox.delegate("targets", "team", "team/*");
                self.delegated = true;
            }
            Edit::Delegate => {}
            Edit::Rotate(kind) => self.rotate(*kind),
            Edit::RootThreshold => self.root_threshold(),
            Edit::Days(days) => {
                self.sandbox.later(i64::from(*days) * DAY);
                for role in ["targets", "team"] {
                    // Renewed well before it expires, as `status` asks for.
                    if role == "targets" || self.delegated {
                        self.sandbox.open().renew(role).expect("renews");
                    }
                }
            }
        }
    }

    fn name(&self, number: u8) -> String {
        match self.delegated && number % 2 == 1 {
            true => format!("team/{number}.img"),
            false => format!("fw/{number}.img"),
        }
    }

    fn rotate(&mut self, kind: RoleType) {
        self.made += 1;
        let new = format!("{kind}-{}", self.made);
        self.sandbox.make_key(&new);
        let Some(old) = self.keys.insert(kind, new.clone()) else {
            return;
        };
        let old = Key::new(&keys::public(&uri(&old), &self.sandbox.secrets()).expect("a key")).id();
        let mut repository = self.sandbox.open();
        repository.add_root_key(kind, &uri(&new)).expect("adds");
        repository
            .remove_root_key(kind, old.as_str())
            .expect("removes");
    }

    fn root_threshold(&mut self) {
        let mut repository = self.sandbox.open();
        match self.second_root_key.take() {
            Some(name) => {
                let key = keys::public(&uri(&name), &self.sandbox.secrets()).expect("a key");
                repository
                    .set_root_threshold(RoleType::Root, 1)
                    .expect("lowers");
                repository
                    .remove_root_key(RoleType::Root, Key::new(&key).id().as_str())
                    .expect("removes");
            }
            None => {
                self.made += 1;
                let name = format!("root-second-{}", self.made);
                self.sandbox.make_key(&name);
                repository
                    .add_root_key(RoleType::Root, &uri(&name))
                    .expect("adds");
                repository
                    .set_root_threshold(RoleType::Root, 2)
                    .expect("raises");
                self.second_root_key = Some(name);
            }
        }
    }

    /// Publishes what is staged and renews what is due.
    fn publish(&self) {
        let mut repository = self.sandbox.open();
        assert_eq!(repository.sign(&[]).expect("signs").missing, [""; 0]);
        repository
            .publish(countersign_repo::Outgoing::Sign)
            .expect("publishes");
        drop(repository);
        self.sandbox.open().refresh(Due::ByPolicy).expect("renews");
    }

    /// The client accepts the current state and finds exactly what the model lists.
    fn check(&self, client: &mut Client) {
        client
            .refresh(self.sandbox.now)
            .expect("an honest repository is accepted");
        for (name, content) in &self.images {
            let found = client
                .get(name, self.sandbox.now)
                .expect("a listed image is found");
            assert_eq!(&found, content, "{name}");
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: std::env::var("PROPTEST_CASES").ok().and_then(|text| text.parse().ok()).unwrap_or(24),
        max_shrink_iters: 40,
        ..ProptestConfig::default()
    })]

    #[test]
    fn every_honest_sequence_is_accepted_from_any_earlier_state(
        rounds in prop::collection::vec(prop::collection::vec(edit(), 1..4), 1..6),
        consistent: bool,
        listing in prop::sample::select(vec![Listing::Hashes, Listing::Lengths, Listing::Versions]),
    ) {
        let mut model = Model::new(consistent, listing);
        let mut earlier = vec![Client::new(&model.sandbox)];
        for edits in &rounds {
            for edit in edits {
                model.apply(edit);
            }
            model.publish();
            for client in &earlier {
                model.check(&mut client.clone());
            }
            let mut follower = earlier.last().expect("one").clone();
            model.check(&mut follower);
            earlier.push(follower);
        }
    }
}
