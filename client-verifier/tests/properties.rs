//! Whatever an honest repository does, its clients follow; whatever is done to one of its files,
//! they trust nothing that it did not publish, and follow again afterwards.

#![allow(clippy::unwrap_used, reason = "a test that cannot set up has failed")]

mod model;

use std::collections::BTreeMap;

use countersign_metadata::{Role, Root, Signed, Snapshot, Targets, Timestamp, UtcTime};
use countersign_verifier::{StoreName, Stored};
use model::client::{Client, Seen, Stop};
use model::repository::{Change, FRESH_HOURS, IMAGES, Published, ROLES, Repository};
use proptest::prelude::*;
use proptest::sample::Index;

/// What the people behind a repository do before they publish again.
#[derive(Debug, Clone)]
enum Operation {
    /// An image of this role gets new content.
    Image(usize, u8),
    /// Nothing but a new Timestamp.
    Refresh,
    /// A new Root with the same keys.
    NewRoot,
    /// All keys of the role are replaced.
    ReplaceKeys(usize, Change),
    /// A key more.
    AddKey(usize, Change),
    /// The oldest key goes, unless it is the only one.
    DropKey(usize, Change),
    /// A version of this role is pushed far ahead, by a thief or not, and keys are replaced.
    FastForward(usize, bool),
    /// Hours go by, and what expired is signed anew.
    Wait(i64),
}

fn operation() -> impl Strategy<Value = Operation> {
    let role = 0..ROLES.len();
    let change = prop_oneof![Just(Change::Resign), Just(Change::Next)];
    let keys = (role, change);
    prop_oneof![
        3 => (0..IMAGES.len(), any::<u8>()).prop_map(|(role, content)| Operation::Image(role, content)),
        3 => Just(Operation::Refresh),
        1 => Just(Operation::NewRoot),
        2 => keys.clone().prop_map(|(role, change)| Operation::ReplaceKeys(role, change)),
        2 => keys.clone().prop_map(|(role, change)| Operation::AddKey(role, change)),
        1 => keys.prop_map(|(role, change)| Operation::DropKey(role, change)),
        2 => (1..ROLES.len(), any::<bool>())
            .prop_map(|(role, thief)| Operation::FastForward(role, thief)),
        2 => (1..24 * 100i64).prop_map(Operation::Wait),
    ]
}

/// A repository with a state for its start and at least one for each operation.
fn repository() -> impl Strategy<Value = Repository> {
    let operations = prop::collection::vec(operation(), 1..10);
    (any::<bool>(), any::<bool>(), operations).prop_map(|(consistent, with_hashes, operations)| {
        let mut repository = Repository::new(consistent, with_hashes);
        for operation in operations {
            perform(&mut repository, operation);
            repository.publish();
        }
        repository
    })
}

fn perform(repository: &mut Repository, operation: Operation) {
    match operation {
        Operation::Image(role, content) => repository.set_image(IMAGES[role].0, content),
        Operation::Refresh => {}
        Operation::NewRoot => repository.publish_root(&[]),
        Operation::ReplaceKeys(role, change) => {
            repository.change_keys(ROLES[role], change, |keys, fresh| *keys = vec![fresh]);
        }
        Operation::AddKey(role, change) => {
            repository.change_keys(ROLES[role], change, |keys, fresh| keys.push(fresh));
        }
        Operation::DropKey(role, change) => {
            repository.change_keys(ROLES[role], change, |keys, _| {
                if keys.len() > 1 {
                    keys.remove(0);
                }
            });
        }
        Operation::FastForward(role, thief) => {
            repository.survive_fast_forward(ROLES[role], thief);
        }
        Operation::Wait(hours) => repository.pass(hours),
    }
}

/// A client's visit: how many publishes it skipped before, when the power is cut, how many hours
/// after the publish it comes.
type Visit = (usize, Option<usize>, i64);

fn visits() -> impl Strategy<Value = Vec<Visit>> {
    let cut = prop::option::of(0..12usize);
    prop::collection::vec((0..4usize, cut, 0..FRESH_HOURS), 0..6)
}

fn come(
    client: &mut Client,
    state: &Published,
    (_, cut, hours): Visit,
) -> Result<(), TestCaseError> {
    match client.visit(&state.files, later(state.now, hours), cut) {
        Ok(seen) => prop_assert_eq!(seen, all_of(state)),
        Err(Stop::Cut) => prop_assert!(cut.is_some()),
        Err(Stop::Refused(reject)) => prop_assert!(false, "an honest repository: {}", reject),
    }
    Ok(())
}

fn later(now: UtcTime, hours: i64) -> UtcTime {
    now.plus_seconds(hours * 3600).unwrap()
}

fn all_of(state: &Published) -> Seen {
    Seen {
        versions: state.versions,
        images: state.images.clone(),
    }
}

/// A client that was provisioned at some state and has made some visits since; and the state of
/// its last one.
fn travelled(
    repository: &Repository,
    start: &Index,
    visits: &[Visit],
) -> Result<(Client, usize), TestCaseError> {
    let states = &repository.states;
    let mut at = start.index(states.len());
    let root = &states[at].files[&states[at].newest[0]];
    let mut client = Client::provisioned(root);
    for visit in visits {
        at = (at + visit.0).min(states.len() - 1);
        come(&mut client, &states[at], *visit)?;
    }
    Ok((client, at))
}

/// What is done to the files on their way.
#[derive(Debug, Clone)]
enum Mutation {
    /// One bit of one file.
    Flip(Index, Index),
    /// One file is that of an earlier state.
    Older(Index, Index),
    /// Two files change places.
    Swap(Index, Index),
    /// One file is not there.
    Withhold(Index),
    /// One file ends early.
    Truncate(Index, Index),
    /// All files but the Roots are those of an earlier state.
    Replay(Index),
}

fn mutation() -> impl Strategy<Value = Mutation> {
    let index = any::<Index>;
    prop_oneof![
        1 => (index(), index()).prop_map(|(file, bit)| Mutation::Flip(file, bit)),
        3 => (index(), index()).prop_map(|(file, state)| Mutation::Older(file, state)),
        1 => (index(), index()).prop_map(|(a, b)| Mutation::Swap(a, b)),
        1 => index().prop_map(Mutation::Withhold),
        1 => (index(), index()).prop_map(|(file, at)| Mutation::Truncate(file, at)),
        3 => index().prop_map(Mutation::Replay),
    ]
}

/// What clients get instead of the files of state `at`.
fn mutated(states: &[Published], at: usize, mutation: &Mutation) -> BTreeMap<String, Vec<u8>> {
    let newest = &states[at].newest;
    let mut files = states[at].files.clone();
    match mutation {
        Mutation::Flip(file, bit) => {
            let file = files.get_mut(file.get(newest)).unwrap();
            let bit = bit.index(file.len() * 8);
            file[bit / 8] ^= 1 << (bit % 8);
        }
        Mutation::Older(file, state) => {
            let role = file.index(newest.len());
            let older = &states[state.index(at + 1)];
            let bytes = older.files[&older.newest[role]].clone();
            files.insert(newest[role].clone(), bytes);
        }
        Mutation::Swap(a, b) => {
            let (a, b) = (a.get(newest), b.get(newest));
            let (of_a, of_b) = (files[a].clone(), files[b].clone());
            files.insert(a.clone(), of_b);
            files.insert(b.clone(), of_a);
        }
        Mutation::Withhold(file) => {
            files.remove(file.get(newest));
        }
        Mutation::Truncate(file, length) => {
            let file = files.get_mut(file.get(newest)).unwrap();
            file.truncate(length.index(file.len()));
        }
        Mutation::Replay(state) => {
            let older = &states[state.index(at + 1)];
            files.retain(|name, _| name.ends_with(".root.json"));
            let rest = older.files.iter();
            files.extend(
                rest.filter(|(name, _)| !name.ends_with(".root.json"))
                    .map(|(name, file)| (name.clone(), file.clone())),
            );
        }
    }
    files
}

/// Payload and version of a stored file.
fn read(name: &StoreName, stored: &Stored) -> (String, u64) {
    fn parse<T: Role>(bytes: &[u8]) -> (String, u64) {
        let file = Signed::<T>::parse(bytes.to_vec()).unwrap();
        let version = file.decode_unverified().unwrap().version();
        (file.payload().to_string(), version)
    }
    match name {
        StoreName::Root | StoreName::RootHistory(_) => parse::<Root>(&stored.bytes),
        StoreName::Timestamp => parse::<Timestamp>(&stored.bytes),
        StoreName::Snapshot => parse::<Snapshot>(&stored.bytes),
        StoreName::Targets | StoreName::Delegated(_) => parse::<Targets>(&stored.bytes),
        StoreName::TargetsOutline | StoreName::OfflineSnapshot | StoreName::OfflineTargets(_) => {
            unreachable!("no file of a TUF repository")
        }
    }
}

/// The role of a stored file, and the roles that make it no floor any more when Root takes a key
/// away from them.
fn role_of(name: &StoreName) -> (&str, &[&str]) {
    match name {
        StoreName::Root | StoreName::RootHistory(_) => ("root", &[]),
        StoreName::Timestamp => ("timestamp", &["timestamp", "snapshot"]),
        StoreName::Snapshot => ("snapshot", &["timestamp", "snapshot"]),
        StoreName::Targets => ("targets", &["targets", "snapshot"]),
        // Its version is bound by Snapshot as well, whose own floor may go.
        StoreName::Delegated(role) => (role, &["targets", "snapshot", "timestamp"]),
        StoreName::TargetsOutline | StoreName::OfflineSnapshot | StoreName::OfflineTargets(_) => {
            unreachable!("no file of a TUF repository")
        }
    }
}

/// Everything in `after` was published, and is not older than what was there `before`.
fn check_trust(
    repository: &Repository,
    before: &Client,
    after: &Client,
) -> Result<(), TestCaseError> {
    let (_, root) = read(&StoreName::Root, &after.store[&StoreName::Root]);
    let files = after.store.iter();
    for (name, stored) in files.filter(|(name, _)| **name != StoreName::TargetsOutline) {
        let (role, revoking) = role_of(name);
        let (payload, version) = read(name, stored);
        let published = repository
            .ever
            .iter()
            .any(|(r, p)| *r == role && *p == payload);
        prop_assert!(published, "{:?} was never published", name);
        let Some(old) = before.store.get(name) else {
            continue;
        };
        let since = old.accepted_under.unwrap_or(0);
        let forgotten = repository
            .taken_away
            .iter()
            .any(|(at, role)| revoking.contains(role) && since < *at && *at <= root);
        let (_, had) = read(name, old);
        prop_assert!(
            forgotten || version >= had,
            "{:?} went from {} back to {}",
            name,
            had,
            version
        );
    }
    Ok(())
}

impl std::fmt::Debug for Repository {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let versions: Vec<_> = self.states.iter().map(|state| state.versions).collect();
        f.debug_tuple("Repository").field(&versions).finish()
    }
}

proptest! {
    #[test]
    fn clients_follow_an_honest_repository(
        repository in repository(),
        start in any::<Index>(),
        visits in visits(),
        last in 0..FRESH_HOURS,
    ) {
        let (mut client, _) = travelled(&repository, &start, &visits)?;
        come(&mut client, repository.states.last().unwrap(), (0, None, last))?;
    }

    #[test]
    fn a_changed_file_is_refused_or_changes_nothing(
        repository in repository(),
        start in any::<Index>(),
        visits in visits(),
        settled in prop::bool::weighted(0.8),
        skipped in 0..4usize,
        mutation in mutation(),
        cut in prop::option::weighted(0.2, 0..12usize),
    ) {
        let (mut client, at) = travelled(&repository, &start, &visits)?;
        if settled {
            come(&mut client, &repository.states[at], (0, None, 0))?;
        }
        let at = (at + skipped).min(repository.states.len() - 1);
        let state = &repository.states[at];
        let before = client.clone();
        let files = mutated(&repository.states, at, &mutation);
        if let Ok(seen) = client.visit(&files, state.now, cut) {
            // All that it believes was published together: a Timestamp's version tells when.
            let together = |state: &&Published| state.versions[1] == seen.versions[1];
            let together = repository.states.iter().find(together).unwrap();
            prop_assert_eq!(&seen.versions[1..], &together.versions[1..]);
            prop_assert_eq!(seen.images, together.images.clone());
        }
        check_trust(&repository, &before, &client)?;
        // And whatever it was, it did not lock the client out.
        come(&mut client, state, (0, None, 0))?;
        come(&mut client, repository.states.last().unwrap(), (0, None, 0))?;
    }
}
