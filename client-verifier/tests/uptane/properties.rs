//! Whatever honest people behind both repositories do, cars follow. Whatever is served to a car, it
//! is directed to nothing that both repositories have not signed for, and follows again afterwards.

use std::collections::BTreeSet;

use countersign_metadata::Hashes;
use countersign_metadata::uptane::DirectorCustom;
use countersign_verifier::uptane::{Mark, Update};
use countersign_verifier::{Code, Reject};
use proptest::prelude::*;
use proptest::sample::Index;

use crate::world::car::Car;
use crate::world::repo::{Files, Repo};
use crate::world::{DIRECTOR, IMAGE, ROLES, World, image};

const HOURS: i64 = 24;

/// What honest people do, or have to undo.
#[derive(Debug, Clone)]
enum Operation {
    /// A new image for the Primary, or for the brake.
    Release(bool),
    /// The Director sends nothing, or all again.
    Direct(bool),
    /// One repository publishes without the other.
    Publish(usize),
    /// All keys of a role are replaced.
    Rotate(usize),
    /// The keys of Root are.
    RotateRoot(usize),
    /// A thief pushes the version of a role far ahead, and its keys are replaced.
    FastForward(usize),
    /// Hours go by.
    Wait(i64),
}

fn operation() -> impl Strategy<Value = Operation> {
    let role = || 0..ROLES.len();
    prop_oneof![
        3 => any::<bool>().prop_map(Operation::Release),
        1 => any::<bool>().prop_map(Operation::Direct),
        2 => (0..2usize).prop_map(Operation::Publish),
        2 => role().prop_map(Operation::Rotate),
        1 => (0..2usize).prop_map(Operation::RotateRoot),
        2 => role().prop_map(Operation::FastForward),
        1 => (1..24 * 20i64).prop_map(Operation::Wait),
    ]
}

/// The world after each publish.
#[derive(Clone)]
struct History {
    states: Vec<World>,
    counter: u64,
}

impl std::fmt::Debug for History {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("History").field(&self.states.len()).finish()
    }
}

fn history() -> impl Strategy<Value = History> {
    prop::collection::vec(operation(), 1..8).prop_map(|operations| {
        let mut history = History {
            states: vec![World::new()],
            counter: 10,
        };
        for operation in operations {
            history.perform(operation);
        }
        history
    })
}

impl History {
    fn perform(&mut self, operation: Operation) {
        let mut world = self.states.last().unwrap().clone();
        match operation {
            Operation::Release(brake) => self.release(&mut world, brake),
            Operation::Direct(false) => world.direct_nothing(),
            Operation::Direct(true) => direct_all(&mut world),
            Operation::Publish(repository) => {
                repo(&mut world, repository).publish();
                self.states.push(world);
                return;
            }
            Operation::Rotate(role) => rotate(&mut world, &[ROLES[role]]),
            Operation::RotateRoot(repository) => repo(&mut world, repository).rotate(&["root"]),
            Operation::FastForward(role) => self.fast_forward(&mut world, ROLES[role]),
            Operation::Wait(hours) => {
                world.pass(hours);
                for repo in [&mut world.director, &mut world.image] {
                    if repo.root.header.expires <= repo.in_hours(HOURS) {
                        repo.publish_root();
                    }
                }
            }
        }
        world.publish();
        self.states.push(world);
    }

    fn release(&mut self, world: &mut World, brake: bool) {
        self.counter += 1;
        let content = format!("release {}", self.counter);
        let (role, path, kind) = match brake {
            true => ("supplier", "brake/fw.img", "brake-b"),
            false => ("targets", "pcu.img", "pcu-a"),
        };
        world
            .image
            .list(role, path, image(&content, kind, self.counter));
        direct_all(world);
    }

    /// What is far ahead was published, and is not any more.
    fn fast_forward(
        &mut self,
        world: &mut World,
        (repository, role): (&'static str, &'static str),
    ) {
        let honest = world.repo(repository).header(role).version;
        world.repo(repository).header(role).version += 1 << 40;
        world.publish();
        self.states.push(world.clone());
        world.repo(repository).header(role).version = honest + 1;
        let stolen: &[&str] = match role {
            "timestamp" => &["timestamp"],
            "snapshot" => &["timestamp", "snapshot"],
            // Snapshot listed the version.
            _ => &["snapshot", role],
        };
        let stolen: Vec<_> = stolen.iter().map(|role| (repository, *role)).collect();
        rotate(world, &stolen);
    }

    fn last(&self) -> &World {
        self.states.last().unwrap()
    }
}

fn repo(world: &mut World, number: usize) -> &mut Repo {
    world.repo([DIRECTOR, IMAGE][number])
}

fn direct_all(world: &mut World) {
    world.direct_nothing();
    world.direct("pcu.img", &[("P1", "pcu-a")]);
    world.direct("brake/fw.img", &[("S1", "brake-b")]);
}

/// Other keys for these roles of one repository, in one Root.
fn rotate(world: &mut World, roles: &[(&'static str, &str)]) {
    let (repository, _) = roles[0];
    let top = roles.iter().map(|(_, role)| *role);
    let top: Vec<&str> = top.filter(|role| *role != "supplier").collect();
    if top.len() < roles.len() {
        world.image.keys.remove("supplier");
        world.image.add_key("supplier");
        world.delegate("targets", &[("supplier", &["brake/*"])]);
    }
    if !top.is_empty() {
        world.repo(repository).rotate(&top);
    }
}

/// One image for one ECU: whose, which, and of which content.
type Fact = (String, String, Hashes, u64);

/// What the Director of a state wants, with the mark of its Targets.
fn wanted(world: &World) -> Vec<Fact> {
    let targets = &world.director.targets["targets"].targets;
    let facts = targets.iter().flat_map(|(path, file)| {
        let custom = DirectorCustom::of(file).unwrap();
        let hashes = file.hashes.clone();
        let ecus = custom.ecus.into_keys();
        let counter = custom.release_counter;
        ecus.map(move |serial| {
            (
                serial.to_string(),
                path.to_string(),
                hashes.clone(),
                counter,
            )
        })
    });
    sorted(facts.collect())
}

fn directed(update: &Update) -> Vec<Fact> {
    let facts = update.images.iter().map(|image| {
        let (serial, path) = (image.ecu().serial.to_string(), image.path().to_string());
        (
            serial,
            path,
            image.file().hashes.clone(),
            image.release_counter(),
        )
    });
    sorted(facts.collect())
}

fn sorted(mut facts: Vec<Fact>) -> Vec<Fact> {
    facts.sort_by(|a, b| (&a.0, &a.1).cmp(&(&b.0, &b.1)));
    facts
}

/// The car is directed to just what the Director of this state wants.
fn follow(car: &mut Car, world: &World) -> Result<Mark, TestCaseError> {
    match car.cycle(world) {
        Ok(update) => {
            prop_assert_eq!(directed(&update), wanted(world));
            Ok(update.mark)
        }
        Err(reject) => {
            prop_assert!(false, "honest, and refused: {} {:?}", reject, reject);
            unreachable!()
        }
    }
}

/// A visit: how many publishes the car skipped before, when the power is cut, and whether it
/// installs what it is directed to.
type Visit = (usize, Option<usize>, bool);

fn visits() -> impl Strategy<Value = Vec<Visit>> {
    let cut = prop::option::weighted(0.3, 0..14usize);
    prop::collection::vec((0..4usize, cut, any::<bool>()), 0..5)
}

/// A car after some visits.
fn travelled(history: &History, visits: &[Visit]) -> Result<Car, TestCaseError> {
    let mut car = history.states[0].primary();
    let mut at = 0;
    for (skipped, cut, installs) in visits {
        at = (at + skipped).min(history.states.len() - 1);
        car.log.power = *cut;
        let update = car.cycle(&history.states[at]);
        car.log.power = None;
        match update {
            Ok(update) if *installs => update.images.iter().for_each(|image| car.confirm(image)),
            Ok(_) => {}
            Err(reject) => prop_assert!(is_cut(&reject), "{}", reject),
        }
    }
    Ok(car)
}

fn is_cut(reject: &Reject) -> bool {
    reject.code == Code::StoreFailed
}

/// What is done to files on their way to a car.
#[derive(Debug, Clone)]
enum Mutation {
    /// One file is that of an earlier state.
    Older(Index, Index),
    /// The files of one repository are those of an earlier state, but for its Roots.
    Replay(usize, Index),
    /// One file stands in the place of another one.
    Instead(Index, Index),
    /// One file is not there.
    Withhold(Index),
    /// One bit is another one.
    Flip(Index, Index),
}

fn mutation() -> impl Strategy<Value = Mutation> {
    let index = any::<Index>;
    prop_oneof![
        4 => (index(), index()).prop_map(|(file, state)| Mutation::Older(file, state)),
        4 => (0..2usize, index()).prop_map(|(repository, state)| Mutation::Replay(repository, state)),
        2 => (index(), index()).prop_map(|(a, b)| Mutation::Instead(a, b)),
        1 => index().prop_map(Mutation::Withhold),
        1 => (index(), index()).prop_map(|(file, bit)| Mutation::Flip(file, bit)),
    ]
}

fn newest(world: &World, (repository, role): (&str, &str)) -> Vec<u8> {
    let repo = match repository {
        DIRECTOR => &world.director,
        _ => &world.image,
    };
    repo.file(role).unwrap().clone()
}

fn mutate(world: &mut World, states: &[World], mutation: &Mutation) {
    match mutation {
        Mutation::Older(file, state) => {
            let (repository, role) = *file.get(&ROLES);
            let older = newest(&states[state.index(states.len())], (repository, role));
            world.repo(repository).serve_now(role, older);
        }
        Mutation::Replay(repository, state) => {
            let mut older = states[state.index(states.len())].clone();
            let older = std::mem::take(&mut repo(&mut older, *repository).files);
            let files = &mut repo(world, *repository).files;
            let is_root = |name: &String| name.ends_with(".root.json");
            let roots: Files = std::mem::take(files);
            files.extend(roots.into_iter().filter(|(name, _)| is_root(name)));
            files.extend(older.into_iter().filter(|(name, _)| !is_root(name)));
        }
        Mutation::Instead(of, file) => {
            let (repository, role) = *of.get(&ROLES);
            let other = newest(&states[states.len() - 1], *file.get(&ROLES));
            world.repo(repository).serve_now(role, other);
        }
        Mutation::Withhold(file) => {
            let (repository, role) = *file.get(&ROLES);
            let repo = world.repo(repository);
            if let Some(file) = repo.file(role).cloned() {
                repo.files.retain(|_, other| *other != file);
            }
        }
        Mutation::Flip(file, bit) => {
            let (repository, role) = *file.get(&ROLES);
            let mut file = newest(&states[states.len() - 1], (repository, role));
            let bit = bit.index(file.len() * 8);
            file[bit / 8] ^= 1 << (bit % 8);
            world.repo(repository).serve_now(role, file);
        }
    }
}

fn cases() -> ProptestConfig {
    let config = ProptestConfig::default();
    ProptestConfig {
        // Each has some dozens of cycles.
        cases: config.cases / 4,
        ..config
    }
}

proptest! {
    #![proptest_config(cases())]

    #[test]
    fn cars_follow_honest_repositories(
        history in history(),
        visits in visits(),
    ) {
        let mut car = travelled(&history, &visits)?;
        follow(&mut car, history.last())?;
    }

    #[test]
    fn nothing_is_directed_that_both_have_not_signed_for(
        history in history(),
        visits in visits(),
        mutations in prop::collection::vec(mutation(), 1..4),
        cut in prop::option::weighted(0.2, 0..14usize),
    ) {
        let mut car = travelled(&history, &visits)?;
        let states = &history.states;
        let mut served = history.last().clone();
        for mutation in &mutations {
            mutate(&mut served, states, mutation);
        }
        car.log.power = cut;
        if let Ok(update) = car.cycle(&served) {
            let facts = directed(&update);
            prop_assert!(states.iter().any(|state| wanted(state) == facts), "never wanted");
            let listed: BTreeSet<_> = states
                .iter()
                .flat_map(|state| state.image.targets.values())
                .flat_map(|role| &role.targets)
                .map(|(path, file)| (path.to_string(), file.hashes.sha256))
                .collect();
            for (_, path, hashes, _) in facts {
                prop_assert!(listed.contains(&(path, hashes.sha256)), "never listed");
            }
        }
        // And whatever it was, it did not lock the car out.
        car.log.power = None;
        follow(&mut car, history.last())?;
    }
}
