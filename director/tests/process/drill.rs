//! What operators go through when things go wrong, as docs/operator.md tells it.

use std::collections::BTreeMap;
use std::fs;
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use countersign_client::uptane::primary::{Cycle, EcuOutcome};
use countersign_director::storage::{Change, Committed, Database, Published};
use countersign_director_domain::desk::{Content, Lifetimes, Press};
use countersign_metadata::RoleType;
use countersign_metadata::uptane::{DirectorCustom, EcuSerial, HardwareId, Mapping, Vin};
use countersign_metadata::{TargetFile, TargetPath};
use countersign_signing::Secrets;
use countersign_vehicle_sim::{
    Credentials, EcuPlan, Factory, OnlineVehicle, Plan, Registered, provision, register,
};
use serde_json::{Value, json};

use crate::fleet::Car;
use crate::race::postgres;
use crate::site::{Serving, Site, Succeed as _, now};

fn car(site: &Site, number: u64) -> Car {
    let root = fs::read(site.director_root()).unwrap();
    Car::new(site.path(), &site.pki, number, &root)
}

fn assign(site: &Site, at: &Serving, number: u64, image: &str) {
    let path = format!("vehicles/VIN-{number}/assignments");
    let body = json!({ "images": { format!("ECU-{number}"): image } });
    let (status, answer) = site.ask(&at.admin, "POST", &path, &body);
    assert_eq!(status, 200, "{answer}");
}

/// Asks again until it is so, for half a minute.
fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    let end = Instant::now() + Duration::from_secs(30);
    while !is_so() {
        assert!(Instant::now() < end, "{what}");
        thread::sleep(Duration::from_millis(50));
    }
}

/// A PostgreSQL server of a test's own.
struct Server<'s>(&'s Site);

impl Server<'_> {
    fn script(&self, word: &str) -> String {
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/../scripts/postgres.sh");
        let note = self.0.path().join("postgres");
        Command::new(script)
            .env("COUNTERSIGN_POSTGRES_NOTE", note)
            .arg(word)
            .succeeds()
    }
}

impl Drop for Server<'_> {
    fn drop(&mut self) {
        self.script("stop");
    }
}

#[test]
fn postgres_goes_and_comes_back() {
    if postgres("gone").is_none() {
        return;
    }
    let site = Site::new(None, 3);
    let server = Server(&site);
    let url = server.script("start");
    site.edit("sqlite:director.sqlite", url.trim());
    let root = site.director_root();
    site.director()
        .args(["root", "import"])
        .arg(root)
        .succeeds();
    let serving = site.serve(None);
    let mut car = car(&site, 1);
    car.register(&serving.device).unwrap();
    car.cycle(&serving.device).unwrap();

    server.script("pause");
    assert!(car.cycle(&serving.device).is_err());
    let (status, _) = site.ask_bare(&serving.admin, "readyz");
    assert_eq!(status, 503);
    let (status, _) = site.ask_bare(&serving.admin, "healthz");
    assert_eq!(status, 200);
    server.script("resume");
    until("requests are answered again", || {
        car.cycle(&serving.device).is_ok()
    });
    assert_eq!(site.ask_bare(&serving.admin, "readyz").0, 200);
    assert!(!serving.log().contains("panicked"));
    drop(serving);
    site.verify_audit();
}

#[test]
fn an_old_backup_is_put_in_place_and_the_fleet_goes_on() {
    let site = Site::new(None, 5);
    let serving = site.serve(None);
    for number in 1..=5 {
        site.list_image(&serving.admin, &format!("image-{number}.img"));
    }
    let mut old = car(&site, 1);
    old.register(&serving.device).unwrap();
    assign(&site, &serving, 1, "image-1.img");
    old.cycle(&serving.device).unwrap();
    assert_eq!(old.runs, 1);
    let backup = site.path().join("backup.sqlite");
    site.director().arg("backup").arg(&backup).succeeds();
    let noted = site.director().args(["audit", "verify"]).succeeds();
    let noted = noted.trim().strip_prefix("intact: ").unwrap().to_owned();
    let again = site.director().arg("backup").arg(&backup).output().unwrap();
    assert!(!again.status.success());

    // What happens after the backup is forgotten by the director, and not by the vehicles.
    let mut new = car(&site, 2);
    new.register(&serving.device).unwrap();
    for image in ["image-2.img", "image-3.img"] {
        for (number, car) in [(1, &mut old), (2, &mut new)] {
            assign(&site, &serving, number, image);
            car.cycle(&serving.device).unwrap();
            assert_eq!(format!("image-{}.img", car.runs), image);
        }
    }
    let serving = serving.stop();
    for ending in ["", "-wal", "-shm"] {
        let path = site.home().join(format!("director.sqlite{ending}"));
        let _ = fs::remove_file(path);
    }
    fs::copy(&backup, site.home().join("director.sqlite")).unwrap();
    let skip = ["after-restore", "--skip", "1000"];
    site.director().args(skip).succeeds();

    let serving = site.serve(Some(&serving));
    // Its report is older than what the vehicle has sent since; its next one is not.
    old.reconnect();
    old.cycle(&serving.device).unwrap();
    assert!(old.newest(RoleType::Timestamp) > 1000);
    new.reconnect();
    assert!(new.cycle(&serving.device).is_err(), "it is not registered");
    new.register(&serving.device).unwrap();
    new.cycle(&serving.device).unwrap();
    for (number, car) in [(1, &mut old), (2, &mut new)] {
        assign(&site, &serving, number, "image-5.img");
        car.cycle(&serving.device).unwrap();
        assert_eq!(car.runs, 5);
    }
    serving.stop();
    // The log goes on from where it was when the backup was made.
    let verify = ["audit", "verify", "--noted", &noted];
    site.director().args(verify).succeeds();
}

#[test]
fn a_certificate_that_is_revoked_is_good_for_nothing_on_a_connection_that_is_open() {
    let site = Site::new(None, 1);
    let serving = site.serve(None);
    let mut thief = car(&site, 1);
    let mut other = car(&site, 2);
    for car in [&mut thief, &mut other] {
        car.register(&serving.device).unwrap();
        car.cycle(&serving.device).unwrap();
    }
    site.pki.revoke(&site.home().join("tls"), 2, &[1001]);
    serving.hang_up();
    until("the list is loaded", || {
        match thief.cycle(&serving.device) {
            Ok(()) => false,
            // On the connection that was open, or where a new one was made at that moment. To a fetch of metadata, a
            // refusal is a file that is not there.
            Err(error) => ["certificate-revoked", "CertificateRevoked"]
                .iter()
                .any(|word| error.contains(word)),
        }
    });
    thief.reconnect();
    assert!(thief.cycle(&serving.device).is_err());
    other.cycle(&serving.device).unwrap();
}

/// One vehicle's files say nothing to another one, whatever it asks for.
#[test]
fn a_vehicle_gets_nothing_of_another_one() {
    let site = Site::new(None, 2);
    let serving = site.serve(None);
    site.list_image(&serving.admin, "image-1.img");
    let (mut one, mut other) = (car(&site, 1), car(&site, 2));
    for car in [&mut one, &mut other] {
        car.register(&serving.device).unwrap();
    }
    assign(&site, &serving, 1, "image-1.img");
    one.cycle(&serving.device).unwrap();
    other.cycle(&serving.device).unwrap();
    assert_eq!((one.runs, other.runs), (1, 0));
    assert_ne!(
        one.get(&serving.device, "metadata/1.targets.json").unwrap(),
        other
            .get(&serving.device, "metadata/1.targets.json")
            .unwrap()
    );
    for path in [
        "vehicles/VIN-1",
        "metadata/../VIN-1/timestamp.json",
        "metadata/VIN-1",
        "openapi.json",
    ] {
        assert_eq!(other.get(&serving.device, path).unwrap(), None, "{path}");
    }
}

/// From the alarm to a fleet that goes on: somebody has the director's online keys and its database.
#[test]
fn a_stolen_director() {
    let mut site = Site::new(None, 3);
    let serving = site.serve(None);
    for number in 1..=3 {
        site.list_image(&serving.admin, &format!("image-{number}.img"));
    }
    let folder = provisioned(&site, &serving);
    assign(&site, &serving, 1, "image-2.img");
    assert_eq!(installed(&cycle(&folder, &serving)), 1);

    // The thief orders what the Image repository never signed, and what was replaced.
    for (content, code) in [
        (
            forged("evil.img", TargetFile::describing(b"evil"), 9),
            "target-not-found",
        ),
        (
            forged("image-1.img", TargetFile::describing(b"image 1"), 1),
            "release-counter-rollback",
        ),
    ] {
        publish(&site, content);
        let refused = cycle(&folder, &serving).refused.unwrap();
        assert_eq!(refused.code.name(), code);
    }

    // The alarm: the vehicle has told, and is held.
    let (_, vehicle) = site.ask(&serving.admin, "GET", "vehicles/VIN-1", &Value::Null);
    assert!(vehicle["held"].is_string(), "{vehicle}");
    let (_, history) = site.ask(
        &serving.admin,
        "GET",
        "vehicles/VIN-1/history",
        &Value::Null,
    );
    assert!(history.to_string().contains("attack.reported"), "{history}");

    // Everything is taken away from the thief: the process, the keys, the orders.
    let serving = serving.stop();
    site.rotate();
    let skip = ["after-restore", "--skip", "1000"];
    site.director().args(skip).succeeds();
    let serving = site.serve(Some(&serving));
    let followed = cycle(&folder, &serving);
    assert_eq!(followed.refused, None);

    // What the thief signs now is signed by nobody.
    let stolen = site.former_keys();
    let refused = {
        publish_with(
            &site,
            forged("evil.img", TargetFile::describing(b"evil"), 9),
            &stolen,
        );
        cycle(&folder, &serving).refused.unwrap()
    };
    assert_eq!(refused.code.name(), "signature-threshold");
    site.director().args(skip).succeeds();

    let (status, _) = site.ask(&serving.admin, "POST", "vehicles/VIN-1/release", &json!({}));
    assert!((200..300).contains(&status), "{status}");
    assign(&site, &serving, 1, "image-3.img");
    let recovered = cycle(&folder, &serving);
    assert_eq!((installed(&recovered), recovered.refused), (1, None));
    serving.stop();
    site.verify_audit();
}

#[test]
fn an_update_is_carried_to_a_vehicle_without_a_network() {
    let site = Site::new(None, 3);
    let serving = site.serve(None);
    site.list_image(&serving.admin, "image-2.img");
    let folder = provisioned(&site, &serving);
    // It has been attested the time once.
    assert_eq!(cycle(&folder, &serving).refused, None);
    assign(&site, &serving, 1, "image-2.img");
    let (stick, again) = (site.path().join("1.tar"), site.path().join("2.tar"));
    for stick in [&stick, &again] {
        site.director()
            .args(["bundle", "VIN-1", "--out"])
            .arg(stick)
            .succeeds();
    }
    let serving = serving.stop();
    let url = format!("https://{}/v1/", serving.device);
    let secrets = Secrets::unattended(&folder);
    let vehicle = || OnlineVehicle::online(&folder, &credentials(&folder), &url, &secrets);
    let carried = vehicle().unwrap().cycle_from(&stick).unwrap();
    assert_eq!((installed(&carried), carried.refused), (1, None));
    // The second one has the next version, and nothing new.
    let carried = vehicle().unwrap().cycle_from(&again).unwrap();
    assert_eq!((installed(&carried), carried.refused), (0, None));
    let nobody = site
        .director()
        .args(["bundle", "VIN-2", "--out", "x"])
        .output()
        .unwrap();
    assert!(!nobody.status.success());

    let serving = site.serve(Some(&serving));
    assert_eq!(cycle(&folder, &serving).refused, None);
    let (_, vehicle) = site.ask(&serving.admin, "GET", "vehicles/VIN-1", &Value::Null);
    assert!(vehicle.to_string().contains("\"installed\""), "{vehicle}");
}

/// A vehicle that verifies in full, registered.
fn provisioned(site: &Site, serving: &Serving) -> std::path::PathBuf {
    let folder = site.path().join("car");
    fs::create_dir_all(&folder).unwrap();
    let director = vec![format!("https://{}/v1/", serving.device)];
    let mapping = Mapping::both(director, vec![site.image_url()]).unwrap();
    let factory = Factory {
        director_root: &fs::read(site.director_root()).unwrap(),
        image_root: &fs::read(site.image_root()).unwrap(),
        mapping: &mapping,
    };
    let serial = EcuSerial::new("ECU-1").unwrap();
    let plan = Plan {
        vin: Vin::new("VIN-1").unwrap(),
        ecus: vec![EcuPlan::new(serial, HardwareId::new("ecu").unwrap()).unwrap()],
        bundle: Default::default(),
    };
    let secrets = Secrets::unattended(&folder);
    provision(&folder, &plan, &factory, &secrets).unwrap();
    site.pki.issue(&folder, ("VIN-1", "ECU-1"), 1001);
    let url = format!("https://{}/v1/", serving.device);
    let mut http = credentials(&folder).connect().unwrap();
    let registered = register(&folder, &mut http, &url, &secrets).unwrap();
    assert!(matches!(registered, Registered::New));
    folder
}

fn credentials(folder: &std::path::Path) -> Credentials {
    Credentials {
        certificate: folder.join("tls.pem"),
        key: folder.join("tls.key"),
        authorities: Some(folder.join("ca.pem")),
    }
}

fn cycle(folder: &std::path::Path, serving: &Serving) -> Cycle {
    let url = format!("https://{}/v1/", serving.device);
    let secrets = Secrets::unattended(folder);
    let vehicle = OnlineVehicle::online(folder, &credentials(folder), &url, &secrets);
    vehicle.unwrap().cycle().unwrap()
}

fn installed(cycle: &Cycle) -> usize {
    let outcomes = cycle.ecus.values();
    outcomes
        .filter(|outcome| **outcome == EcuOutcome::Installed)
        .count()
}

fn forged(image: &str, file: TargetFile, counter: u64) -> Content {
    let ecus = [("ECU-1", "ecu")].map(|(serial, hardware)| {
        (
            EcuSerial::new(serial).unwrap(),
            HardwareId::new(hardware).unwrap(),
        )
    });
    let custom = DirectorCustom::new(BTreeMap::from(ecus), counter).to_object();
    let file = TargetFile {
        custom: Some(custom),
        ..file
    };
    [(TargetPath::new(image).unwrap(), file)].into()
}

/// Signs and publishes any orders, past the director, with the keys that are in force.
fn publish(site: &Site, content: Content) {
    publish_with(site, content, &site.keys().online);
}

fn publish_with(
    site: &Site,
    content: Content,
    keys: &countersign_director_domain::keys::OnlineKeys,
) {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(async {
        let url = format!("sqlite:{}/director.sqlite", site.home().display());
        let database = Database::open(&url).await.unwrap();
        let vin = Vin::new("VIN-1").unwrap();
        let stored = database.vehicle(&vin).await.unwrap().unwrap();
        let mut desk = stored.desk.clone();
        let press = Press {
            keys,
            root_version: stored.newest_root,
            lifetimes: &Lifetimes::default(),
            now: now(),
            skip: stored.skip,
        };
        let files = desk.publish(&vin, &content, &press).unwrap();
        let change = Change {
            published: Some(Published {
                due: desk.due(&Lifetimes::default()).unwrap(),
                desk,
                root: stored.newest_root,
                files,
            }),
            ..Change::of(&vin, stored.revision, now())
        };
        assert_eq!(database.commit(change).await.unwrap(), Committed::Done);
        database.close().await;
    });
}
