//! Any honest sequence of edits, rotations and publishes is accepted by a client that follows it
//! from any earlier state.

mod common;

use common::{Client, Sandbox, simple_policy, uri};
use countersign_metadata::{Key, RoleType};
use countersign_repo::{DelegationChange, Due, Outgoing, keys};
use proptest::prelude::*;

#[derive(Debug, Clone)]
enum Step {
    Add(u8),
    Remove(u8),
    AddDelegated(u8),
    Delegate,
    RemoveDelegation,
    RekeyDelegation,
    RotateKey(RoleType),
    ExtraKey(RoleType),
    RenewTargets,
    Sign,
    Publish,
    Refresh,
    Wait(i64),
    Discard,
    NewClient,
    ClientRefreshes(prop::sample::Index),
}

fn step() -> impl Strategy<Value = Step> {
    let role = || prop::sample::select(RoleType::ALL.to_vec());
    prop_oneof![
        3 => (0..4_u8).prop_map(Step::Add),
        1 => (0..4_u8).prop_map(Step::Remove),
        1 => (0..4_u8).prop_map(Step::AddDelegated),
        1 => Just(Step::Delegate),
        1 => Just(Step::RemoveDelegation),
        1 => Just(Step::RekeyDelegation),
        2 => role().prop_map(Step::RotateKey),
        1 => role().prop_map(Step::ExtraKey),
        1 => Just(Step::RenewTargets),
        1 => Just(Step::Sign),
        4 => Just(Step::Publish),
        1 => Just(Step::Refresh),
        1 => (0..40_000_i64).prop_map(Step::Wait),
        1 => Just(Step::Discard),
        1 => Just(Step::NewClient),
        3 => any::<prop::sample::Index>().prop_map(Step::ClientRefreshes),
    ]
}

struct World {
    sandbox: Sandbox,
    clients: Vec<Client>,
    made: usize,
}

impl World {
    fn start(consistent: bool) -> Self {
        let mut policy = simple_policy();
        policy.consistent_snapshot = consistent;
        let sandbox = Sandbox::started_with(&policy);
        sandbox.release();
        Self {
            clients: vec![Client::new(&sandbox)],
            sandbox,
            made: 0,
        }
    }

    fn new_key(&mut self) -> String {
        self.made += 1;
        let name = format!("made{}", self.made);
        self.sandbox.make_key(&name);
        uri(&name)
    }

    fn publish(&mut self) {
        let report = self.sandbox.open().sign(&[]).expect("signs");
        assert_eq!(report.missing, [""; 0]);
        self.sandbox
            .open()
            .publish(Outgoing::Sign)
            .expect("publishes");
    }

    fn delegated(&self) -> bool {
        !self.sandbox.open().delegations().expect("lists").is_empty()
    }

    fn take(&mut self, step: &Step) {
        let content = |number: &u8, made: usize| format!("{number} {made}").into_bytes();
        match step {
            Step::Add(number) => {
                self.made += 1;
                let content = content(number, self.made);
                self.sandbox.add(&format!("image{number}"), &content);
            }
            Step::Remove(number) => {
                // It may not be there; then nothing changes.
                let name = format!("image{number}");
                let _ = self.sandbox.open().remove_target(&name, None);
            }
            Step::AddDelegated(number) if self.delegated() => {
                self.made += 1;
                let content = content(number, self.made);
                let name = format!("fw/{number}");
                self.sandbox
                    .add_to("supplier", &name, &content)
                    .expect("trusted");
            }
            Step::Delegate if !self.delegated() => {
                self.sandbox.delegate("targets", "supplier", "fw/*");
            }
            Step::RemoveDelegation if self.delegated() => {
                self.sandbox
                    .open()
                    .remove_delegation("supplier")
                    .expect("removes");
            }
            Step::RekeyDelegation if self.delegated() => {
                let change = DelegationChange {
                    keys: Some(vec![self.new_key()]),
                    ..DelegationChange::default()
                };
                self.sandbox
                    .open()
                    .change_delegation("supplier", change)
                    .expect("changes");
            }
            Step::RotateKey(role) => {
                let key = self.new_key();
                let mut repository = self.sandbox.open();
                let new = repository.add_root_key(*role, &key).expect("adds");
                let ids = repository.root().expect("there").roles[role].keyids.clone();
                for id in ids.iter().filter(|id| **id != new) {
                    repository
                        .remove_root_key(*role, id.as_str())
                        .expect("removes");
                }
                let public = keys::public(&key, &self.sandbox.secrets()).expect("a key");
                assert_eq!(Key::new(&public).id(), new);
            }
            Step::ExtraKey(role) => {
                let key = self.new_key();
                self.sandbox.open().add_root_key(*role, &key).expect("adds");
            }
            Step::RenewTargets => self.sandbox.open().renew("targets").expect("stages"),
            Step::Sign => drop(self.sandbox.open().sign(&[]).expect("signs")),
            Step::Publish => self.publish(),
            Step::Refresh => drop(
                self.sandbox
                    .open()
                    .refresh(Due::ByPolicy, Outgoing::Sign)
                    .expect("refreshes"),
            ),
            Step::Wait(seconds) => {
                self.sandbox.later(*seconds);
                drop(
                    self.sandbox
                        .open()
                        .refresh(Due::ByPolicy, Outgoing::Sign)
                        .expect("refreshes"),
                );
            }
            Step::Discard => drop(self.sandbox.open().discard(&[]).expect("discards")),
            Step::NewClient => self.clients.push(Client::new(&self.sandbox)),
            Step::ClientRefreshes(index) => {
                let at = index.index(self.clients.len());
                self.clients[at]
                    .refresh(self.sandbox.now)
                    .expect("accepted");
            }
            _ => {}
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: std::env::var("PROPTEST_CASES").ok().and_then(|n| n.parse().ok()).unwrap_or(24),
        max_shrink_iters: 200,
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn every_client_follows_every_honest_sequence(
        consistent in any::<bool>(),
        steps in prop::collection::vec(step(), 1..24),
    ) {
        let mut world = World::start(consistent);
        for step in &steps {
            world.take(step);
        }
        world.sandbox.add("last", b"last");
        world.publish();
        world.clients.push(Client::new(&world.sandbox));
        let now = world.sandbox.now;
        for client in &mut world.clients {
            prop_assert_eq!(client.get("last", now).expect("accepted"), b"last");
        }
        let public = world.sandbox.public();
        let found = countersign_repo::verify(&public, now, &countersign_repo::Silent).expect("looks");
        prop_assert!(found.faults.is_empty(), "{:?}", found.faults);
    }
}
