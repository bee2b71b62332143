//! Sessions of a client against a repository in memory.

use std::collections::BTreeMap;

use countersign_metadata::json::Object;
use countersign_metadata::{
    DelegatedRole, Delegation, Delegations, MetaFile, PathSet, Roles, SuccinctRoles, TargetPath,
    UtcTime,
};
use countersign_verifier::{
    Context, FollowRoot, Limits, Protocol, Reject, RemoteName, Reply, Session, Step, StoreName,
    Stored, Trusted, drive,
};

use crate::counted_part;
use crate::files::image;
use crate::keys::by_id;
use crate::world::car::{Store, fetch, provisioned};
use crate::world::repo::{Files, Lists, Repo};
use crate::world::{World, ecu, image as listed};

const WANTED: &str = "board/image-000042.bin";

/// A client that has Root 1 follows 100 more.
pub(crate) fn roots() {
    let mut repo = empty();
    repo.publish_root();
    let mut store = provisioned(&repo);
    (0..100).for_each(|_| repo.publish_root());
    counted_part(|| {
        run(
            &mut FollowRoot::new(Limits::default(), "image"),
            &mut store,
            &repo.files,
        )
    });
}

/// A refresh of a client that has everything.
pub(crate) fn nothing_new() {
    refreshed_again(100);
}

/// The same, where Targets is large.
pub(crate) fn nothing_new_in_a_large_one() {
    refreshed_again(100_000);
}

fn refreshed_again(images: u64) {
    let (repo, mut store) = flat(images);
    refresh(&repo, &mut store);
    counted_part(|| refresh(&repo, &mut store));
}

/// One image, by a client that has just refreshed.
pub(crate) fn look_up() {
    let (repo, mut store) = flat(100_000);
    let mut trusted = refresh(&repo, &mut store);
    counted_part(|| run(&mut trusted.search(WANTED), &mut store, &repo.files));
}

/// One image in one of many bins, by a client that has Root alone.
pub(crate) fn bins() {
    one_of_many_roles(|bins| Roles::Succinct(bins.clone()));
}

/// The same, where each bin is listed.
pub(crate) fn listed_bins() {
    one_of_many_roles(|bins| {
        let role = |(number, name): (usize, String)| DelegatedRole {
            name,
            role_keys: bins.role_keys.clone(),
            paths: PathSet::HashPrefixes(
                (0..4)
                    .map(|digit| format!("{:04x}", 4 * number + digit))
                    .collect(),
            ),
            hardware_ids: None,
            terminating: false,
            extra: Object::new(),
        };
        let roles = bins.bin_names().enumerate().map(role);
        Roles::Listed(roles.map(Delegation::Role).collect())
    });
}

fn one_of_many_roles(roles: impl Fn(&SuccinctRoles) -> Roles) {
    let mut repo = empty();
    let signer = repo.add_key("bins");
    let bins = SuccinctRoles {
        role_keys: repo.role_keys("bins"),
        bit_length: 14,
        name_prefix: "bin".into(),
        extra: Object::new(),
    };
    for name in bins.bin_names() {
        repo.snapshot.set_role(&name, MetaFile::version(1));
    }
    let bin = bins.bin_of(&TargetPath::new(WANTED).unwrap());
    repo.keys.insert(bin.clone(), vec![signer.clone()]);
    repo.add_role(&bin);
    // A million images in all.
    repo.targets(&bin).targets.extend((0..60).map(image));
    repo.targets("targets").delegations = Some(Delegations {
        keys: by_id([&signer]),
        roles: roles(&bins),
        extra: Object::new(),
    });
    repo.publish_root();
    repo.publish();
    let mut store = provisioned(&repo);
    counted_part(|| {
        let mut trusted = refresh(&repo, &mut store);
        run(&mut trusted.search(WANTED), &mut store, &repo.files);
    });
}

/// A Primary with an update for itself and one for a Secondary, and its own image.
pub(crate) fn uptane_cycle() {
    let world = World::new();
    let mut car = world.primary();
    counted_part(|| {
        let update = car.cycle(&world).unwrap();
        let own = ecu("P1", "pcu-a");
        let mut images = update.images.into_iter();
        let directed = images.find(|image| *image.ecu() == own).unwrap();
        let mut stream = directed.open_image(&own, None, world.now).unwrap();
        stream.update(b"pcu").unwrap();
        stream.finish().unwrap();
    });
}

fn empty() -> Repo {
    let mut repo = Repo::new(World::new().now, 1);
    // Clients take a large file only where its length is known.
    repo.snapshot_lists = Lists::Hashes;
    repo
}

fn flat(images: u64) -> (Repo, Store) {
    let mut repo = empty();
    repo.targets("targets")
        .targets
        .extend((0..images).map(image));
    repo.publish_root();
    repo.publish();
    let store = provisioned(&repo);
    (repo, store)
}

fn refresh(repo: &Repo, store: &mut Store) -> Trusted {
    let context = Context {
        outlines: true,
        ..Context::new(repo.now)
    };
    run(&mut Session::with_context(context), store, &repo.files)
}

fn run<P: Protocol>(session: &mut P, store: &mut Store, files: &Files) -> P::Output {
    let answer = |step: Step<'_, _>| -> Result<Reply, Reject> {
        Ok(match step {
            Step::Load { name } => match store.get(&name) {
                Some(stored) => Reply::Stored(stored.clone()),
                None => Reply::NotFound,
            },
            Step::LoadPart { name, range } => {
                let part = store.get(&name).and_then(|stored| stored.part(range));
                part.map_or(Reply::NotFound, Reply::part)
            }
            Step::Fetch { what, max_len } => fetch(files, &what, max_len),
            Step::Save {
                name,
                version,
                bytes,
                accepted_under,
                ..
            } => {
                let stored = Stored {
                    bytes: bytes.to_vec(),
                    accepted_under: Some(accepted_under),
                };
                if name == StoreName::Root {
                    store.insert(StoreName::RootHistory(version), stored.clone());
                }
                store.insert(name, stored);
                Reply::Saved
            }
            Step::Done(_) => unreachable!("`drive` ends there"),
        })
    };
    drive(session, answer).unwrap()
}
