//! A Director, an Image repository, a time server and the vehicles that believe them.
//!
//! In the honest world the Primary `P1` is sent `pcu.img`, which the Image repository's top-level
//! Targets lists, and the Secondary `S1` is sent `brake/fw.img`, which is the supplier's. The
//! Secondary `S2` is sent nothing.

pub(crate) mod car;
pub(crate) mod repo;

use std::collections::BTreeMap;

use countersign_metadata::json::Object;
use countersign_metadata::uptane::{
    DirectorCustom, EcuSerial, HardwareId, ImageCustom, Nonce, TimeAttestation, Vin,
    custom_with_vin, set_time_server,
};
use countersign_metadata::{
    DelegatedRole, Delegation, Delegations, PathSet, Roles, TargetFile, TargetPath, UtcTime,
};
use countersign_verifier::uptane::{Ecu, Ecus, Vehicle};
use countersign_verifier::{Attack, Code, Reject};

use crate::keys::{Signer, by_id, signed};

use self::car::Car;
use self::repo::Repo;

pub(crate) const DIRECTOR: &str = "director";
pub(crate) const IMAGE: &str = "image";

/// Every role of the honest world whose file a cycle fetches, without the Roots.
pub(crate) const ROLES: [(&str, &str); 7] = [
    (DIRECTOR, "timestamp"),
    (DIRECTOR, "snapshot"),
    (DIRECTOR, "targets"),
    (IMAGE, "timestamp"),
    (IMAGE, "snapshot"),
    (IMAGE, "targets"),
    (IMAGE, "supplier"),
];

#[derive(Clone)]
pub(crate) struct World {
    pub(crate) now: UtcTime,
    pub(crate) director: Repo,
    pub(crate) image: Repo,
    pub(crate) time_key: Signer,
}

impl World {
    /// The honest world, published once.
    pub(crate) fn new() -> Self {
        let now = "2030-01-01T00:00:00Z".parse().unwrap();
        let mut world = Self {
            now,
            director: Repo::new(now, 100),
            image: Repo::new(now, 200),
            time_key: Signer::number(99),
        };
        world
            .image
            .list("targets", "pcu.img", image("pcu", "pcu-a", 5));
        world.image.add_key("supplier");
        world.image.add_role("supplier");
        world
            .image
            .list("supplier", "brake/fw.img", image("brake", "brake-b", 3));
        world.delegate("targets", &[("supplier", &["brake/*"])]);
        world.name_vehicle(&vin());
        world.direct("pcu.img", &[("P1", "pcu-a")]);
        world.direct("brake/fw.img", &[("S1", "brake-b")]);
        set_time_server(&mut world.director.root, [world.time_key.key.clone()], 1);
        world.director.publish_root();
        world.image.publish_root();
        world.publish();
        world
    }

    /// The next version of everything but the Roots.
    pub(crate) fn publish(&mut self) {
        self.director.publish();
        self.image.publish();
    }

    pub(crate) fn repo(&mut self, name: &str) -> &mut Repo {
        match name {
            DIRECTOR => &mut self.director,
            _ => &mut self.image,
        }
    }

    /// Time passes.
    pub(crate) fn pass(&mut self, hours: i64) {
        self.now = self.now.plus_seconds(hours * 3600).unwrap();
        self.director.now = self.now;
        self.image.now = self.now;
    }

    /// The Director's online files name this vehicle.
    pub(crate) fn name_vehicle(&mut self, vin: &Vin) {
        let director = &mut self.director;
        let extras = [
            &mut director.timestamp.extra,
            &mut director.snapshot.extra,
            &mut director.targets.get_mut("targets").unwrap().extra,
        ];
        for extra in extras {
            extra.insert("custom".into(), custom_with_vin(vin).into());
        }
    }

    /// The Director assigns an image to these ECUs, saying of it what the Image repository says.
    pub(crate) fn direct(&mut self, path: &str, ecus: &[(&str, &str)]) {
        let images = self.image.targets.values();
        let mut entries = images.filter_map(|role| role.targets.get(path));
        let listed = entries.next().unwrap().clone();
        let counter = ImageCustom::of(&listed).unwrap().release_counter;
        self.direct_as(path, listed, ecus, counter);
    }

    /// The Director assigns an image to these ECUs, saying this of it.
    pub(crate) fn direct_as(
        &mut self,
        path: &str,
        file: TargetFile,
        ecus: &[(&str, &str)],
        counter: u64,
    ) {
        let custom = DirectorCustom::new(ecu_map(ecus), counter);
        let custom = Some(custom.to_object());
        let entry = TargetFile { custom, ..file };
        self.director.list("targets", path, entry);
    }

    /// The Director assigns nothing any more.
    pub(crate) fn direct_nothing(&mut self) {
        self.director.targets("targets").targets.clear();
    }

    /// What the Director says of an image besides length and hashes, to be changed.
    pub(crate) fn directed(&mut self, path: &str, change: impl FnOnce(&mut DirectorCustom)) {
        let file = self.director.listed("targets", path);
        let mut custom = DirectorCustom::of(file).unwrap();
        change(&mut custom);
        file.custom = Some(custom.to_object());
    }

    /// What `role` of the Image repository says of an image, to be changed.
    pub(crate) fn described(
        &mut self,
        role: &str,
        path: &str,
        change: impl FnOnce(&mut ImageCustom),
    ) {
        let file = self.image.listed(role, path);
        let mut custom = ImageCustom::of(file).unwrap();
        change(&mut custom);
        file.custom = Some(custom.to_object());
    }

    /// In the Image repository, `from` delegates to these roles and to no others.
    pub(crate) fn delegate(&mut self, from: &str, to: &[(&str, &[&str])]) {
        let roles = to.iter().map(|(role, paths)| self.delegation(role, paths));
        let roles = roles.map(Delegation::from).collect();
        self.set_delegations(from, roles);
    }

    pub(crate) fn delegation(&self, role: &str, paths: &[&str]) -> DelegatedRole {
        DelegatedRole {
            name: role.into(),
            role_keys: self.image.role_keys(role),
            paths: PathSet::Patterns(paths.iter().map(|path| (*path).into()).collect()),
            hardware_ids: None,
            terminating: false,
            extra: Object::new(),
        }
    }

    /// In the Image repository, `from` delegates to these roles and to no others.
    pub(crate) fn set_delegations(&mut self, from: &str, roles: Vec<Delegation>) {
        let delegations = Delegations {
            keys: by_id(self.image.keys.values().flatten()),
            roles: Roles::Listed(roles),
            extra: Object::new(),
        };
        self.image.targets(from).delegations = Some(delegations);
    }

    /// What the time server answers to `nonces` now.
    pub(crate) fn attestation(&self, nonces: &[Nonce]) -> Vec<u8> {
        attestation(self.now, nonces, &self.time_key)
    }

    /// The Primary of the vehicle, as it leaves the factory.
    pub(crate) fn primary(&self) -> Car {
        Car::provisioned(self, primary_of(&vin()))
    }

    /// A Secondary that verifies in full, as it leaves the factory.
    pub(crate) fn secondary(&self, ecu: Ecu) -> Car {
        let ecus = Ecus::Own(ecu);
        Car::provisioned(self, Vehicle { vin: vin(), ecus })
    }
}

/// As the Primary of vehicle `vin` knows it.
pub(crate) fn primary_of(vin: &Vin) -> Vehicle {
    let ecus = [("P1", "pcu-a"), ("S1", "brake-b"), ("S2", "lamp-c")];
    Vehicle {
        vin: vin.clone(),
        ecus: Ecus::All(ecu_map(&ecus)),
    }
}

pub(crate) fn vin() -> Vin {
    Vin::new("VIN-OF-THIS-CAR").unwrap()
}

pub(crate) fn other_vin() -> Vin {
    Vin::new("VIN-OF-ANOTHER").unwrap()
}

pub(crate) fn serial(text: &str) -> EcuSerial {
    EcuSerial::new(text).unwrap()
}

pub(crate) fn hardware(text: &str) -> HardwareId {
    HardwareId::new(text).unwrap()
}

pub(crate) fn ecu(number: &str, kind: &str) -> Ecu {
    Ecu {
        serial: serial(number),
        hardware_id: hardware(kind),
    }
}

pub(crate) fn path(text: &str) -> TargetPath {
    TargetPath::new(text).unwrap()
}

pub(crate) fn ecu_map(ecus: &[(&str, &str)]) -> BTreeMap<EcuSerial, HardwareId> {
    let ecus = ecus.iter();
    ecus.map(|(number, kind)| (serial(number), hardware(kind)))
        .collect()
}

/// An entry of the Image repository.
pub(crate) fn image(content: &str, kind: &str, counter: u64) -> TargetFile {
    let custom = ImageCustom::new(vec![hardware(kind)], counter);
    TargetFile {
        custom: Some(custom.to_object()),
        ..TargetFile::describing(content.as_bytes())
    }
}

pub(crate) fn attestation(time: UtcTime, nonces: &[Nonce], key: &Signer) -> Vec<u8> {
    let attestation = TimeAttestation {
        time,
        nonces: nonces.to_vec(),
        extra: Object::new(),
    };
    signed(attestation.to_payload(), [key])
}

/// What is expected of a refusal: its code, role and repository.
pub(crate) type Expected<'a> = (Code, &'a str, &'a str);

/// Checks a refusal. One of a delegated role is the cause of `target-not-found`.
#[track_caller]
pub(crate) fn check(reject: &Reject, (code, role, repository): Expected<'_>) {
    let at = match &reject.cause {
        Some(cause) => {
            assert_eq!(reject.code, Code::TargetNotFound, "{reject}");
            cause
        }
        None => reject,
    };
    assert_eq!(
        (at.code, &*at.role, &*at.repository),
        (code, role, repository),
        "{reject}"
    );
}

/// A car that has followed the honest world meets `attack`, refuses a file for the reason
/// `expected`, does not keep it, and in the next honest cycle is as if nothing had been.
#[track_caller]
pub(crate) fn refused(attack: impl FnOnce(&mut World), expected: Expected<'_>) -> Attack {
    refused_in(World::new(), attack, expected)
}

/// As [`refused`], in a world that is honest in another way.
#[track_caller]
pub(crate) fn refused_in(
    world: World,
    attack: impl FnOnce(&mut World),
    expected: Expected<'_>,
) -> Attack {
    let (car, mut evil, reject) = attacked(world, attack, expected);
    let (_, role, repository) = expected;
    if let Some(file) = evil.repo(repository).file(role) {
        assert!(!car.trusts(repository, file), "the refused file is kept");
    }
    reject.attack()
}

/// As [`refused`], where no file is wrong by itself: what is refused is the update as a whole.
#[track_caller]
pub(crate) fn not_directed(attack: impl FnOnce(&mut World), expected: Expected<'_>) -> Attack {
    let (_, _, reject) = attacked(World::new(), attack, expected);
    reject.attack()
}

#[track_caller]
fn attacked(
    mut world: World,
    attack: impl FnOnce(&mut World),
    expected: Expected<'_>,
) -> (Car, World, Reject) {
    let mut car = world.primary();
    car.cycle(&world).unwrap();
    let mut evil = world.clone();
    attack(&mut evil);
    evil.publish();
    let reject = car.cycle(&evil).unwrap_err();
    check(&reject, expected);
    let after = car.clone();
    world.director.catch_up(&evil.director);
    world.image.catch_up(&evil.image);
    world.publish();
    assert_eq!(car.cycle(&world).unwrap().images.len(), 2);
    (after, evil, reject)
}
