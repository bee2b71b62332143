//! Bundles that are carried to a vehicle (PURE-2): the Director's part is signed by keys of its
//! own, there is no Timestamp, and what the vehicle has that is newer stays in force.

use countersign_metadata::json::{Object, Value};
use countersign_metadata::uptane::{
    OfflineCustom, OfflineName, OfflineUpdates, Vin, set_offline_updates,
};
use countersign_metadata::{MetaFile, MetaFiles, Snapshot, TargetPath, TargetsBuilder};
use countersign_verifier::uptane::{Partial, Update, Verification};
use countersign_verifier::{Attack, Code, Profile, Reject};

use crate::keys::{Signer, by_id, role_keys, signed};
use crate::world::car::Car;
use crate::world::repo::Files;
use crate::world::{DIRECTOR, IMAGE, World, check, ecu, image, other_vin, primary_of, vin};

const NAME: &str = "workshop-7";

fn named(name: &str) -> OfflineName {
    OfflineName::new(name).unwrap()
}

/// What an Offline Targets file says of itself.
fn custom(name: &str, vins: Option<&[Vin]>) -> Value {
    let vins = vins.map(<[Vin]>::to_vec);
    let name = named(name);
    OfflineCustom { name, vins }.to_object().into()
}
const SNAPSHOT: &str = "offline-snapshot";

/// What is carried, and who signs the Director's part of it.
#[derive(Clone)]
struct Bundle {
    world: World,
    snapshot: Snapshot,
    targets: TargetsBuilder,
    snapshot_keys: Vec<Signer>,
    targets_keys: Vec<Signer>,
}

impl Bundle {
    /// What the honest world's Director wants, for any vehicle.
    fn new() -> Self {
        let mut world = World::new();
        let snapshot_keys = vec![world.director.new_key()];
        let targets_keys = vec![world.director.new_key()];
        let offline = OfflineUpdates {
            keys: by_id(snapshot_keys.iter().chain(&targets_keys)),
            snapshot: role_keys(&snapshot_keys),
            targets: role_keys(&targets_keys),
        };
        set_offline_updates(&mut world.director.root, &offline);
        world.director.publish_root();
        let expires = world.director.in_hours(90 * 24);
        let mut targets = TargetsBuilder::new(expires);
        targets.targets = world.director.targets["targets"].targets.clone();
        targets.extra.insert("custom".into(), custom(NAME, None));
        let mut snapshot = Snapshot::new(expires);
        snapshot.set_role(NAME, MetaFile::version(1));
        Self {
            world,
            snapshot,
            targets,
            snapshot_keys,
            targets_keys,
        }
    }

    /// The next version of both files.
    fn next(&mut self) {
        self.snapshot = self.snapshot.next(self.snapshot.header.expires);
        self.targets.header = self.targets.header.next(self.targets.header.expires);
        let version = self.targets.header.version;
        self.snapshot.set_role(NAME, MetaFile::version(version));
    }

    /// The Director's part: the Roots and the two files.
    fn files(&self) -> Files {
        let roots = self.world.director.files.iter();
        let roots = roots.filter(|(name, _)| name.ends_with(".root.json"));
        let mut files: Files = roots
            .map(|(name, file)| (name.clone(), file.clone()))
            .collect();
        let snapshot = signed(self.snapshot.to_payload(), &self.snapshot_keys);
        let targets = signed(self.targets.to_payload(), &self.targets_keys);
        files.insert("snapshot.json".into(), snapshot);
        files.insert(format!("{NAME}.json"), targets);
        files
    }

    fn install(&self, car: &mut Car) -> Result<Update, Reject> {
        let world = &self.world;
        car.offline(&named(NAME), &self.files(), &world.image.files, world.now)
    }

    fn car(&self) -> Car {
        // Provisioned with the Root before it named anybody for offline updates.
        World::new().primary()
    }
}

/// A car that took an honest bundle is brought another one, refuses it, and takes an honest one
/// after it.
#[track_caller]
fn refused(change: impl FnOnce(&mut Bundle), expected: (Code, &str, &str)) -> Attack {
    let mut bundle = Bundle::new();
    let mut car = bundle.car();
    bundle.install(&mut car).unwrap();
    let mut evil = bundle.clone();
    evil.next();
    change(&mut evil);
    let before = car.clone();
    let reject = evil.install(&mut car).unwrap_err();
    check(&reject, expected);
    // Whichever file was refused, its content is not what is stored.
    assert!(car.director.len() >= before.director.len());
    let wrong = evil.files().remove(&format!("{NAME}.json"));
    if expected.1 == NAME {
        assert!(!car.trusts(DIRECTOR, &wrong.unwrap()));
    }
    bundle.next();
    bundle.next();
    assert_eq!(bundle.install(&mut car).unwrap().images.len(), 2);
    reject.attack()
}

#[test]
fn a_bundle_is_verified_without_timestamps() {
    let bundle = Bundle::new();
    let mut car = bundle.car();
    let update = bundle.install(&mut car).unwrap();
    assert_eq!(update.images.len(), 2);
    for image in &update.images {
        assert_eq!(image.verification(), Verification::Offline);
    }
    let log = car.steps("");
    assert!(log.iter().all(|step| !step.contains("imestamp")));
    // What is online is another matter: its floors are untouched.
    assert_eq!(
        log.iter()
            .filter(|step| step.starts_with("director: save"))
            .collect::<Vec<_>>(),
        [
            "director: save Root 2",
            "director: save OfflineSnapshot 1",
            "director: save OfflineTargets(\"workshop-7\") 1"
        ]
    );
}

#[test]
fn a_bundle_and_the_network_do_not_get_into_each_others_way() {
    let mut bundle = Bundle::new();
    let mut car = bundle.car();
    bundle.world.publish();
    for _ in 0..2 {
        assert_eq!(car.cycle(&bundle.world).unwrap().images.len(), 2);
        assert_eq!(bundle.install(&mut car).unwrap().images.len(), 2);
        bundle.next();
        bundle.world.publish();
    }
}

#[test]
fn a_director_that_names_nobody_for_it_has_no_offline_updates() {
    let bundle = Bundle::new();
    let world = World::new();
    let mut files = bundle.files();
    files.remove("2.root.json");
    let mut car = world.primary();
    let reject = car
        .offline(&named(NAME), &files, &world.image.files, world.now)
        .unwrap_err();
    check(&reject, (Code::SignatureThreshold, SNAPSHOT, DIRECTOR));
}

#[test]
fn only_the_keys_for_it_sign_a_bundle() {
    for role in ["timestamp", "snapshot", "targets", "root"] {
        let change = |bundle: &mut Bundle| {
            bundle.snapshot_keys = bundle.world.director.keys[role].clone();
        };
        let expected = (Code::SignatureThreshold, SNAPSHOT, DIRECTOR);
        assert_eq!(refused(change, expected), Attack::ArbitrarySoftware);
        let change = |bundle: &mut Bundle| {
            bundle.targets_keys = bundle.world.director.keys[role].clone();
        };
        refused(change, (Code::SignatureThreshold, NAME, DIRECTOR));
    }
    // Nor does one of them sign for the other.
    let change = |bundle: &mut Bundle| {
        std::mem::swap(&mut bundle.snapshot_keys, &mut bundle.targets_keys);
    };
    refused(change, (Code::SignatureThreshold, SNAPSHOT, DIRECTOR));
}

#[test]
fn the_keys_for_it_sign_nothing_online() {
    let mut bundle = Bundle::new();
    let mut car = bundle.car();
    car.cycle(&bundle.world).unwrap();
    let keys = bundle.targets_keys.clone();
    bundle.world.director.signed_by("targets", &keys);
    bundle.world.publish();
    let reject = car.cycle(&bundle.world).unwrap_err();
    check(&reject, (Code::SignatureThreshold, "targets", DIRECTOR));
}

#[test]
fn an_offline_snapshot_and_offline_targets_expire() {
    let past = "2029-12-31T23:59:59Z";
    let change = |bundle: &mut Bundle| bundle.snapshot.header.expires = past.parse().unwrap();
    let expected = (Code::Expired, SNAPSHOT, DIRECTOR);
    assert_eq!(refused(change, expected), Attack::Freeze);
    let change = |bundle: &mut Bundle| bundle.targets.header.expires = past.parse().unwrap();
    refused(change, (Code::Expired, NAME, DIRECTOR));
}

#[test]
fn entries_of_an_offline_snapshot_do_not_go_back_or_vanish() {
    let mut bundle = Bundle::new();
    bundle.next();
    let mut car = bundle.car();
    bundle.install(&mut car).unwrap();
    let mut lower = bundle.clone();
    lower.next();
    lower.snapshot.set_role(NAME, MetaFile::version(1));
    let reject = lower.install(&mut car).unwrap_err();
    check(&reject, (Code::SnapshotEntryRollback, NAME, DIRECTOR));
    assert_eq!(reject.attack(), Attack::Rollback);
    let mut gone = bundle.clone();
    gone.next();
    gone.snapshot.meta = MetaFiles::default();
    gone.snapshot.set_role("workshop-8", MetaFile::version(1));
    let reject = gone.install(&mut car).unwrap_err();
    check(&reject, (Code::SnapshotEntryRemoved, NAME, DIRECTOR));
    bundle.next();
    bundle.install(&mut car).unwrap();
}

#[test]
fn the_offline_targets_file_is_the_one_that_the_offline_snapshot_names() {
    let change = |bundle: &mut Bundle| bundle.targets.header.version += 1;
    let expected = (Code::VersionMismatch, NAME, DIRECTOR);
    assert_eq!(refused(change, expected), Attack::MixAndMatch);

    let bundle = Bundle::new();
    let (files, world) = (bundle.files(), &bundle.world);
    let mut car = bundle.car();
    let reject = car
        .offline(&named("workshop-8"), &files, &world.image.files, world.now)
        .unwrap_err();
    check(&reject, (Code::RoleNotInSnapshot, "workshop-8", DIRECTOR));
}

#[test]
fn a_trusted_version_does_not_change_its_content() {
    let bundle = Bundle::new();
    let mut car = bundle.car();
    bundle.install(&mut car).unwrap();
    let mut other = bundle.clone();
    other.snapshot.extra.insert("x-note".into(), "other".into());
    let reject = other.install(&mut car).unwrap_err();
    check(&reject, (Code::SameVersion, SNAPSHOT, DIRECTOR));
    // The same bundle again is no attack.
    bundle.install(&mut car).unwrap();
}

#[test]
fn offline_targets_do_not_delegate_and_name_no_ecu_twice() {
    let change = |bundle: &mut Bundle| {
        let image = bundle.world.image.targets["targets"].delegations.clone();
        bundle.targets.delegations = image;
    };
    refused(change, (Code::DirectorHasDelegations, NAME, DIRECTOR));
    let change = |bundle: &mut Bundle| {
        let path = TargetPath::new("pcu.img").unwrap();
        let same = bundle.targets.targets[&path].clone();
        let other = TargetPath::new("pcu-again.img").unwrap();
        bundle.targets.targets.insert(other, same);
    };
    refused(change, (Code::EcuRepeated, NAME, DIRECTOR));
}

#[test]
fn a_bundle_may_be_for_several_vehicles_and_each_takes_its_own() {
    let mut bundle = Bundle::new();
    let world = &mut bundle.world;
    let ecus = [("P1", "pcu-a"), ("P2", "pcu-a"), ("P3", "pcu-a")];
    world.direct("pcu.img", &ecus);
    bundle.targets.targets = world.director.targets["targets"].targets.clone();
    let vins = custom(NAME, Some(&[other_vin(), vin()]));
    bundle.targets.extra.insert("custom".into(), vins);
    let mut car = bundle.car();
    assert_eq!(bundle.install(&mut car).unwrap().images.len(), 2);
    let mut other = bundle.car();
    other.vehicle = primary_of(&Vin::new("A-THIRD-ONE").unwrap());
    let reject = bundle.install(&mut other).unwrap_err();
    check(&reject, (Code::VehicleMismatch, NAME, DIRECTOR));
    assert_eq!(reject.attack(), Attack::Replay);
}

#[test]
fn a_bundle_that_names_none_of_the_vehicles_ecus_directs_nothing() {
    let mut bundle = Bundle::new();
    bundle.world.direct_nothing();
    bundle.world.direct("pcu.img", &[("P2", "pcu-a")]);
    bundle.targets.targets = bundle.world.director.targets["targets"].targets.clone();
    let mut car = bundle.car();
    assert!(bundle.install(&mut car).unwrap().images.is_empty());
}

#[test]
fn hardware_alone_matches_nobody() {
    let change = |bundle: &mut Bundle| {
        let path = TargetPath::new("pcu.img").unwrap();
        let file = bundle.targets.targets.get_mut(&path).unwrap();
        let members: [(String, Value); 2] = [
            ("hardwareId".into(), "pcu-a".into()),
            ("releaseCounter".into(), 5u64.into()),
        ];
        file.custom = Some(Object::from(members));
    };
    refused(change, (Code::Malformed, NAME, DIRECTOR));
}

#[test]
fn the_image_repositorys_snapshot_may_have_expired_and_its_targets_may_not() {
    let mut bundle = Bundle::new();
    let past = "2029-12-31T23:59:59Z";
    for role in ["snapshot", "timestamp"] {
        bundle.world.image.set(role, "expires", past);
    }
    bundle.world.publish();
    let mut car = bundle.car();
    assert_eq!(bundle.install(&mut car).unwrap().images.len(), 2);
    for role in ["targets", "supplier"] {
        bundle.next();
        bundle.world.image.set(role, "expires", past);
        bundle.world.publish();
        let reject = bundle.install(&mut car).unwrap_err();
        check(&reject, (Code::Expired, role, IMAGE));
    }
    bundle.next();
    bundle.world.publish();
    assert_eq!(bundle.install(&mut car).unwrap().images.len(), 2);
}

#[test]
fn the_image_repositorys_part_is_verified_like_any() {
    let mut bundle = Bundle::new();
    let mut car = bundle.car();
    bundle.install(&mut car).unwrap();
    for role in ["snapshot", "targets", "supplier"] {
        let mut evil = bundle.clone();
        evil.next();
        evil.world.image.signed_by(role, &[]);
        evil.world.publish();
        let reject = evil.install(&mut car.clone()).unwrap_err();
        check(&reject, (Code::SignatureThreshold, role, IMAGE));
    }
    let mut evil = bundle.clone();
    evil.world.image.targets("targets").targets.clear();
    evil.world.publish();
    let reject = evil.install(&mut car.clone()).unwrap_err();
    assert_eq!(reject.code, Code::TargetNotFound);
    let mut removed = bundle.clone();
    removed.world.image.edit("snapshot", |signed| {
        let Some(Value::Object(meta)) = signed.get_mut("meta") else {
            panic!("a Snapshot has meta");
        };
        meta.remove("supplier.json");
    });
    removed.world.publish();
    let reject = removed.install(&mut car.clone()).unwrap_err();
    check(&reject, (Code::SnapshotEntryRemoved, "supplier", IMAGE));
    bundle.next();
    bundle.install(&mut car).unwrap();
}

#[test]
fn what_a_device_has_that_is_newer_than_a_bundle_is_used_instead() {
    let old = Bundle::new();
    let mut new = old.clone();
    new.next();
    new.world
        .image
        .list("targets", "pcu.img", image("newer", "pcu-a", 6));
    new.world.direct("pcu.img", &[("P1", "pcu-a")]);
    new.targets.targets = new.world.director.targets["targets"].targets.clone();
    new.world.publish();
    let mut car = new.car();
    new.install(&mut car).unwrap();
    // The older bundle is brought again: the Director's and the Image repository's files.
    let update = old.install(&mut car).unwrap();
    let counters: Vec<_> = update
        .images
        .iter()
        .map(|image| image.release_counter())
        .collect();
    assert!(counters.contains(&6), "{counters:?}");
    assert!(!counters.contains(&5), "{counters:?}");
}

#[test]
fn what_came_online_and_is_newer_than_a_bundle_is_used_instead() {
    let bundle = Bundle::new();
    let mut world = bundle.world.clone();
    let mut car = bundle.car();
    world.publish();
    car.cycle(&world).unwrap();
    car.steps("");
    assert_eq!(bundle.install(&mut car).unwrap().images.len(), 2);
    // Nothing of the bundle's older Image repository was taken.
    assert!(car.steps("image: save").is_empty());
    assert_eq!(car.cycle(&world).unwrap().images.len(), 2);
}

#[test]
fn a_secondary_verifies_a_bundle_too() {
    let bundle = Bundle::new();
    let mut secondary = World::new().secondary(ecu("S1", "brake-b"));
    let update = bundle.install(&mut secondary).unwrap();
    assert_eq!(update.images.len(), 1);
}

#[test]
fn a_rotation_of_the_keys_for_it_ends_the_old_ones() {
    let mut bundle = Bundle::new();
    let mut car = bundle.car();
    let stolen = bundle.targets_keys.clone();
    // A thief pushed the version far ahead.
    bundle.targets.header.version = 1 << 40;
    bundle.snapshot.set_role(NAME, MetaFile::version(1 << 40));
    bundle.install(&mut car).unwrap();
    bundle.targets_keys = vec![bundle.world.director.new_key()];
    bundle.snapshot_keys = vec![bundle.world.director.new_key()];
    let offline = OfflineUpdates {
        keys: by_id(bundle.snapshot_keys.iter().chain(&bundle.targets_keys)),
        snapshot: role_keys(&bundle.snapshot_keys),
        targets: role_keys(&bundle.targets_keys),
    };
    set_offline_updates(&mut bundle.world.director.root, &offline);
    bundle.world.director.publish_root();
    bundle.targets.header.version = 2;
    bundle.snapshot.set_role(NAME, MetaFile::version(2));
    assert_eq!(bundle.install(&mut car).unwrap().images.len(), 2);
    bundle.targets_keys = stolen;
    bundle.next();
    let reject = bundle.install(&mut car).unwrap_err();
    check(&reject, (Code::SignatureThreshold, NAME, DIRECTOR));
}

#[test]
fn release_counters_hold_offline_too() {
    let mut bundle = Bundle::new();
    let mut car = bundle.car();
    for image in bundle.install(&mut car).unwrap().images {
        car.confirm(&image);
    }
    bundle.next();
    let world = &mut bundle.world;
    world.described("targets", "pcu.img", |custom| custom.release_counter = 4);
    world.direct("pcu.img", &[("P1", "pcu-a")]);
    bundle.targets.targets = world.director.targets["targets"].targets.clone();
    bundle.world.publish();
    let reject = bundle.install(&mut car).unwrap_err();
    check(&reject, (Code::ReleaseCounterRollback, "targets", IMAGE));
}

#[test]
fn an_offline_profile_never_asks_for_a_timestamp() {
    let world = World::new();
    let mut car = world.primary();
    let files = &world.image.files;
    let trusted = car.image_as(Profile::Offline, world.now, files).unwrap();
    assert!(trusted.timestamp().is_none());
}

/// What a partially verifying ECU makes of a bundle.
fn in_part(bundle: &Bundle, car: &mut Car) -> Result<Partial, Reject> {
    let brake = ecu("S1", "brake-b");
    car.partial_offline(&brake, &named(NAME), &bundle.files(), bundle.world.now)
}

fn partial_car() -> Car {
    World::new().secondary(ecu("S1", "brake-b"))
}

#[test]
fn a_partial_secondary_takes_its_image_from_offline_targets() {
    let bundle = Bundle::new();
    let mut car = partial_car();
    let image = in_part(&bundle, &mut car).unwrap().image.unwrap();
    assert_eq!(image.path().as_str(), "brake/fw.img");
    assert_eq!(image.verification(), Verification::Partial);
    let expected = [
        "director: fetch 2.root.json",
        "director: save Root 2",
        "director: fetch 3.root.json",
        "director: fetch workshop-7.json",
        "director: save OfflineTargets(\"workshop-7\") 1",
    ];
    assert_eq!(car.steps(""), expected);
    // What it knew from the network stays as it was.
    car.partial(&ecu("S1", "brake-b"), &bundle.world).unwrap();
    in_part(&bundle, &mut car).unwrap();
}

#[test]
fn a_partial_secondary_refuses_offline_targets_that_are_wrong() {
    type Change = fn(&mut Bundle);
    let wrong: [(Code, Change); 5] = [
        (Code::SignatureThreshold, |bundle| {
            bundle.targets_keys = bundle.snapshot_keys.clone();
        }),
        (Code::SignatureThreshold, |bundle| {
            bundle.targets_keys = bundle.world.director.keys["targets"].clone();
        }),
        (Code::Expired, |bundle| {
            bundle.targets.header.expires = "2029-12-31T23:59:59Z".parse().unwrap();
        }),
        (Code::VehicleMismatch, |bundle| {
            let vins = custom(NAME, Some(&[other_vin()]));
            bundle.targets.extra.insert("custom".into(), vins);
        }),
        (Code::DirectorHasDelegations, |bundle| {
            let image = bundle.world.image.targets["targets"].delegations.clone();
            bundle.targets.delegations = image;
        }),
    ];
    for (code, change) in wrong {
        let bundle = Bundle::new();
        let mut car = partial_car();
        in_part(&bundle, &mut car).unwrap();
        let mut evil = bundle.clone();
        evil.next();
        change(&mut evil);
        let before = car.director.clone();
        let reject = in_part(&evil, &mut car).unwrap_err();
        check(&reject, (code, NAME, DIRECTOR));
        assert_eq!(car.director, before);
    }
}

#[test]
fn a_partial_secondary_uses_the_newer_bundle_that_it_had() {
    let mut new = Bundle::new();
    let old = new.clone();
    new.next();
    new.world.direct_nothing();
    new.targets.targets.clear();
    let mut car = partial_car();
    let last = in_part(&new, &mut car).unwrap();
    assert!(last.image.is_none());
    let again = in_part(&old, &mut car).unwrap();
    assert_eq!(again.mark, last.mark);
    assert!(again.image.is_none());
    let mut other = new.clone();
    other.targets.extra.insert("x-note".into(), "other".into());
    let reject = in_part(&other, &mut car).unwrap_err();
    check(&reject, (Code::SameVersion, NAME, DIRECTOR));
}

#[test]
fn one_offline_targets_file_does_not_pass_as_another() {
    // Two bundles of the same version, of which one is older: its file under the newer one's name.
    let spring = Bundle::new();
    let mut swapped = Bundle::new();
    swapped
        .targets
        .extra
        .insert("custom".into(), custom("spring", None));
    let mut car = swapped.car();
    let reject = swapped.install(&mut car).unwrap_err();
    check(&reject, (Code::OfflineNameMismatch, NAME, DIRECTOR));
    assert_eq!(reject.attack(), Attack::MixAndMatch);
    let mut small = partial_car();
    let reject = in_part(&swapped, &mut small).unwrap_err();
    check(&reject, (Code::OfflineNameMismatch, NAME, DIRECTOR));
    // Nothing of it is kept, and the honest one is taken.
    assert_eq!(spring.install(&mut car).unwrap().images.len(), 2);
    assert!(in_part(&spring, &mut small).unwrap().image.is_some());
}

#[test]
fn what_was_signed_for_the_network_does_not_pass_as_a_bundle() {
    // Even where the same key signs both, as PURE-2 allows.
    let mut bundle = Bundle::new();
    bundle.targets_keys = bundle.world.director.keys["targets"].clone();
    let offline = OfflineUpdates {
        keys: by_id(bundle.snapshot_keys.iter().chain(&bundle.targets_keys)),
        snapshot: role_keys(&bundle.snapshot_keys),
        targets: role_keys(&bundle.targets_keys),
    };
    set_offline_updates(&mut bundle.world.director.root, &offline);
    bundle.world.director.publish_root();
    bundle.world.publish();
    let mut files = bundle.files();
    let online = bundle.world.director.file("targets").unwrap().clone();
    files.insert(format!("{NAME}.json"), online);
    let brake = ecu("S1", "brake-b");
    let now = bundle.world.now;
    let mut car = partial_car();
    let reject = car
        .partial_offline(&brake, &named(NAME), &files, now)
        .unwrap_err();
    check(&reject, (Code::Malformed, NAME, DIRECTOR));
    assert!(in_part(&bundle, &mut car).unwrap().image.is_some());
}
