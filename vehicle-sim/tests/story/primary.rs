//! What a Secondary refuses of a Primary that somebody else controls. The Primary here is a few
//! calls in these tests: it serves whatever files it likes.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use countersign_client::uptane::link::{
    Answer, Fetch, LinkError, Part, Prepared, Repository, Request, Respond as _, Source, VERSION,
    Wanted,
};
use countersign_client::uptane::secondary::Secondary;
use countersign_metadata::TargetFile;
use countersign_metadata::uptane::Nonce;
use countersign_signing::Secrets;
use countersign_vehicle_sim::{Controls, EcuPlan, open_ecu};
use countersign_verifier::Code;

use crate::world::{CAR, World, ecu, order_for, partial, path, serial, vin};

/// Files of a compromised Primary's choice.
#[derive(Clone)]
struct Tree {
    director: PathBuf,
    image: PathBuf,
    images: BTreeMap<String, Vec<u8>>,
}

impl Tree {
    fn honest(world: &World) -> Self {
        Self {
            director: world.director_metadata(CAR),
            image: world.published().join("metadata"),
            images: BTreeMap::new(),
        }
    }

    /// All that is served now, for later.
    fn kept_as(&self, world: &World, name: &str) -> Self {
        let copy = |from: &Path, part: &str| {
            let to = world.path().join(name).join(part);
            fs::create_dir_all(&to).unwrap();
            for entry in fs::read_dir(from).unwrap() {
                let entry = entry.unwrap();
                fs::copy(entry.path(), to.join(entry.file_name())).unwrap();
            }
            to
        };
        Self {
            director: copy(&self.director, "director"),
            image: copy(&self.image, "image"),
            images: self.images.clone(),
        }
    }

    fn with_image(mut self, listed: &[u8], served: &[u8]) -> Self {
        let digest = TargetFile::describing(listed).hashes.sha256.unwrap();
        let digest: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
        self.images
            .insert(format!("sha256-{digest}"), served.to_vec());
        self
    }

    fn metadata(&self, wanted: &Wanted) -> Option<Vec<u8>> {
        let Wanted::Metadata {
            repository,
            role,
            version,
        } = wanted
        else {
            return None;
        };
        let folder = match repository {
            Repository::Director => &self.director,
            Repository::Image => &self.image,
        };
        let name = match (role.as_str(), version) {
            ("timestamp", _) => "timestamp.json".into(),
            (role, Some(version)) => format!("{version}.{role}.json"),
            // A partial Secondary asks for the newest.
            (role, None) => {
                let there = |version: &u64| folder.join(format!("{version}.{role}.json")).exists();
                let newest = (1..100).rev().find(there)?;
                format!("{newest}.{role}.json")
            }
        };
        fs::read(folder.join(name)).ok()
    }
}

impl Source for Tree {
    fn part(&mut self, fetch: &Fetch) -> Result<Option<Part>, LinkError> {
        let file = match &fetch.file {
            Wanted::Image { name } => self.images.get(name).cloned(),
            wanted => self.metadata(wanted),
        };
        Ok(file.map(|bytes| {
            let rest = bytes.get(fetch.from as usize..).unwrap_or_default();
            let len = rest.len().min(fetch.max_len as usize);
            Part {
                total: bytes.len() as u64,
                bytes: rest[..len].to_vec(),
            }
        }))
    }
}

fn open(world: &World, ecu: &EcuPlan) -> Secondary {
    let folder = world.vehicle_folder(CAR);
    let secrets = Secrets::unattended(&folder);
    open_ecu(&folder, &ecu.serial, Controls::default(), &secrets).unwrap()
}

fn greet(secondary: &mut Secondary) -> Nonce {
    let request = Request::Hello {
        version: VERSION,
        vin: vin(CAR),
        primary: serial("primary"),
    };
    match secondary.respond(request, &mut Nowhere) {
        Answer::Hello { nonce, .. } => nonce,
        other => panic!("{other:?}"),
    }
}

struct Nowhere;

impl Source for Nowhere {
    fn part(&mut self, _: &Fetch) -> Result<Option<Part>, LinkError> {
        Ok(None)
    }
}

fn attest(world: &World, nonce: Nonce) -> Vec<u8> {
    let now = world.clock.now().unwrap();
    world
        .service
        .lock()
        .director()
        .attest(&[nonce], now)
        .unwrap()
}

/// A whole update by this Primary; the code of what the Secondary refuses.
fn update(world: &World, secondary: &mut Secondary, tree: &Tree) -> Result<Prepared, Code> {
    let nonce = greet(secondary);
    let attestation = attest(world, nonce);
    prepare(secondary, attestation, tree)
}

fn prepare(secondary: &mut Secondary, attestation: Vec<u8>, tree: &Tree) -> Result<Prepared, Code> {
    let mut tree = tree.clone();
    match secondary.respond(
        Request::Prepare {
            offline: None,
            attestation,
        },
        &mut tree,
    ) {
        Answer::Prepared {
            image: Prepared::Staged,
            targets_version,
        } => {
            let request = Request::Activate { targets_version };
            let answer = secondary.respond(request, &mut tree);
            assert!(matches!(answer, Answer::Activated { .. }), "{answer:?}");
            Ok(Prepared::Staged)
        }
        Answer::Prepared { image, .. } => Ok(image),
        Answer::Refused(refusal) => Err(Code::from_name(&refusal.name).unwrap()),
        other => panic!("{other:?}"),
    }
}

/// A vehicle whose door, as `kind` of Secondary, has installed a first image; what was served
/// then; and what is served now, which orders a second one.
fn with_history(kind: fn(EcuPlan) -> EcuPlan) -> (World, EcuPlan, Tree, Tree) {
    let door = kind(ecu("door"));
    let world = World::with_car(vec![ecu("primary"), door.clone()]);
    world.release("one.img", &door, 1, b"one");
    world.assign("door", "one.img");
    let first = Tree::honest(&world)
        .with_image(b"one", b"one")
        .kept_as(&world, "first");
    let mut secondary = open(&world, &door);
    assert_eq!(update(&world, &mut secondary, &first), Ok(Prepared::Staged));
    drop(secondary);
    world.release("two.img", &door, 2, b"two");
    world.assign("door", "two.img");
    let second = Tree::honest(&world)
        .with_image(b"two", b"two")
        .kept_as(&world, "second");
    (world, door, first, second)
}

fn full(ecu: EcuPlan) -> EcuPlan {
    ecu
}

/// Old metadata, on both kinds of Secondary.
#[test]
fn a_compromised_primary_cannot_take_a_secondary_back() {
    for kind in [full, partial] {
        let (world, door, first, second) = with_history(kind);
        let mut secondary = open(&world, &door);
        assert_eq!(
            update(&world, &mut secondary, &second),
            Ok(Prepared::Staged)
        );
        let back = update(&world, &mut secondary, &first);
        assert_eq!(back, Err(Code::VersionRollback));
        assert_eq!(world.runs(&door), b"two");
        // The honest files again: it has everything.
        assert_eq!(
            update(&world, &mut secondary, &second),
            Ok(Prepared::Nothing)
        );
    }
}

/// Another vehicle's metadata.
#[test]
fn a_compromised_primary_cannot_pass_another_vehicles_metadata_on() {
    for kind in [full, partial] {
        let (world, door, _, second) = with_history(kind);
        world.provision("VIN-B", vec![ecu("b-primary")]);
        let foreign = Tree {
            director: world.director_metadata("VIN-B"),
            ..second.clone()
        };
        let mut secondary = open(&world, &door);
        let refused = update(&world, &mut secondary, &foreign);
        assert_eq!(refused, Err(Code::VehicleMismatch));
        assert_eq!(
            update(&world, &mut secondary, &second),
            Ok(Prepared::Staged)
        );
        assert_eq!(world.runs(&door), b"two");
    }
}

/// Other bytes for the image.
#[test]
fn a_compromised_primary_cannot_swap_the_image() {
    for kind in [full, partial] {
        let (world, door, _, second) = with_history(kind);
        let mut secondary = open(&world, &door);
        let swapped = second.clone().with_image(b"two", b"owt");
        assert_eq!(
            update(&world, &mut secondary, &swapped),
            Err(Code::ImageHash)
        );
        let endless = second.clone().with_image(b"two", b"two and more");
        assert!(update(&world, &mut secondary, &endless).is_err());
        assert_eq!(world.runs(&door), b"one");
        assert_eq!(
            update(&world, &mut secondary, &second),
            Ok(Prepared::Staged)
        );
    }
}

/// With the Director's stolen keys, a partial Secondary is lost (that is why it
/// is the weaker kind), and a full one is not.
#[test]
fn stolen_director_keys_and_a_compromised_primary_get_past_partial_verification_only() {
    for (kind, lost) in [(full as fn(_) -> _, false), (partial, true)] {
        let (world, door, ..) = with_history(kind);
        world.forge([(
            path("evil.img"),
            order_for(TargetFile::describing(b"evil"), 9, &door),
        )]);
        let evil = Tree::honest(&world).with_image(b"evil", b"evil");
        let mut secondary = open(&world, &door);
        let done = update(&world, &mut secondary, &evil);
        match lost {
            true => assert_eq!(done, Ok(Prepared::Staged)),
            false => assert_eq!(done, Err(Code::TargetNotFound)),
        }
        assert_eq!(
            world.runs(&door),
            if lost { b"evil".as_slice() } else { b"one" }
        );
    }
}

/// Every missing Root is passed on; without them, new files are refused.
#[test]
fn a_secondary_catches_up_with_all_roots_that_it_has_missed() {
    for kind in [full, partial] {
        let (world, door, first, _) = with_history(kind);
        for generation in ["2", "3", "4"] {
            world.rotate_director_keys(generation);
            world.service.lock().publish(&vin(CAR)).unwrap();
        }
        let rotated = Tree::honest(&world)
            .with_image(b"two", b"two")
            .kept_as(&world, "rotated");
        let without = rotated.clone().kept_as(&world, "without");
        for version in 2..=4 {
            fs::remove_file(without.director.join(format!("{version}.root.json"))).unwrap();
        }
        let mut secondary = open(&world, &door);
        // The old time key is known, the new one is not.
        let refused = update(&world, &mut secondary, &without);
        assert_eq!(refused, Err(Code::SignatureThreshold));
        assert_eq!(
            update(&world, &mut secondary, &rotated),
            Ok(Prepared::Staged)
        );
        assert_eq!(world.runs(&door), b"two");
        // What was signed before is worth nothing now.
        let refused = update(&world, &mut secondary, &first);
        assert_eq!(refused, Err(Code::SignatureThreshold));
    }
}

/// An attestation that answers another nonce.
#[test]
fn an_old_attestation_of_the_time_is_refused() {
    let (world, door, _, second) = with_history(full);
    let mut secondary = open(&world, &door);
    let old = greet(&mut secondary);
    let old = attest(&world, old);
    greet(&mut secondary);
    assert_eq!(
        prepare(&mut secondary, old, &second),
        Err(Code::TimeReplayed)
    );
    assert_eq!(
        prepare(&mut secondary, Vec::new(), &second),
        Err(Code::TimeUnavailable)
    );
    assert_eq!(
        update(&world, &mut secondary, &second),
        Ok(Prepared::Staged)
    );
}

/// An order to install what was not prepared, or what was prepared under another order.
#[test]
fn nothing_is_activated_that_was_not_prepared_under_that_order() {
    let (world, door, ..) = with_history(full);
    let mut secondary = open(&world, &door);
    for targets_version in [0, 1, 2, 3, u64::MAX] {
        let answer = secondary.respond(Request::Activate { targets_version }, &mut Nowhere);
        match answer {
            Answer::Refused(refusal) => assert_eq!(refusal.name, Code::PreconditionFailed.name()),
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(world.runs(&door), b"one");
}
