//! The example files in docs/schemas/examples are what this crate writes, byte for byte, and
//! verify. `UPDATE_EXAMPLES=1` writes them anew.

use std::fs;
use std::path::Path;

use countersign_metadata::json::Object;
use countersign_metadata::uptane::{
    ConstrainedImage, Constraint, DetectedAttack, DirectorCustom, EcuSerial, EcuVersionReport,
    EncryptedTarget, EncryptionKey, HardwareId, ImageCustom, InstalledImage, Mapping, Nonce,
    OfflineUpdates, Outcome, TimeAttestation, VehicleVersionManifest, Vin, WrappedKey,
    custom_with_vin, set_offline_updates, set_time_server,
};
use countersign_metadata::{
    DelegatedRole, Delegations, Document, Hashes, Header, Key, KeyId, MetaFile, MultiRole, PathSet,
    RoleKeys, RoleType, Roles, Root, Signed, Snapshot, TargetFile, TargetPath, Targets,
    TargetsBuilder, Timestamp, UtcTime, canonical,
};

use crate::common::{TestKey, authority_of, signed_file};

/// The bytes of the image, and of its ciphertext.
const IMAGE: &[u8] = b"the image";
const ENCRYPTED: &[u8] = b"its ciphertext";

fn time(text: &str) -> UtcTime {
    text.parse().unwrap()
}

fn path(text: &str) -> TargetPath {
    TargetPath::new(text).unwrap()
}

fn serial(text: &str) -> EcuSerial {
    EcuSerial::new(text).unwrap()
}

fn hardware(text: &str) -> HardwareId {
    HardwareId::new(text).unwrap()
}

fn expires() -> UtcTime {
    time("2031-01-01T00:00:00Z")
}

fn key(number: u8) -> Key {
    TestKey::new(number).key()
}

fn keys(numbers: &[u8]) -> RoleKeys {
    RoleKeys::new(numbers.iter().map(|number| key(*number).id()), 1)
}

fn by_id(numbers: &[u8]) -> impl Iterator<Item = (KeyId, Key)> {
    numbers
        .iter()
        .map(|number| (key(*number).id(), key(*number)))
}

fn with_vin(extra: &mut Object) {
    let vin = Vin::new("WDD2040082R088866").unwrap();
    extra.insert("custom".into(), custom_with_vin(&vin).into());
}

fn root() -> Root {
    let mut root = Root::new(expires(), true);
    root.header = Header::new(1, expires());
    for (kind, number) in RoleType::ALL.into_iter().zip(1..) {
        root.add_key(kind, key(number));
    }
    set_time_server(&mut root, [key(5)], 1);
    let offline = OfflineUpdates {
        keys: by_id(&[6, 7]).collect(),
        snapshot: keys(&[6]),
        targets: keys(&[7]),
    };
    set_offline_updates(&mut root, &offline);
    root
}

fn timestamp() -> Timestamp {
    let mut timestamp = Timestamp::new(expires(), MetaFile::describing(4, b"a Snapshot file"));
    with_vin(&mut timestamp.extra);
    timestamp
}

fn snapshot() -> Snapshot {
    let mut snapshot = Snapshot::new(expires());
    snapshot.set_role("targets", MetaFile::describing(9, b"a Targets file"));
    with_vin(&mut snapshot.extra);
    snapshot
}

fn image_targets() -> TargetsBuilder {
    let mut targets = TargetsBuilder::new(expires());
    let custom = ImageCustom {
        version: Some("3.1".into()),
        class: Some("brake".into()),
        installer: Some("slots".into()),
        dependencies: vec![Constraint {
            min_release_counter: Some(7),
            ..Constraint::new(ConstrainedImage::Class("gateway".into()))
        }],
        conflicts: vec![Constraint::new(ConstrainedImage::Filename(
            "brake/2.0.img".into(),
        ))],
        ..ImageCustom::new(vec![hardware("brake-v2"), hardware("brake-v3")], 12)
    };
    let file = TargetFile {
        custom: Some(custom.to_object()),
        ..TargetFile::describing(IMAGE)
    };
    targets.targets.insert(path("brake/3.1.img"), file);
    let supplier = DelegatedRole {
        name: "supplier".into(),
        role_keys: keys(&[8]),
        paths: PathSet::Patterns(vec!["radio/*".into()]),
        hardware_ids: Some(vec![hardware("radio-v1")]),
        terminating: false,
        extra: Object::new(),
    };
    let released = MultiRole {
        name: "released".into(),
        roles: vec![("qa".into(), keys(&[9])), ("dev".into(), keys(&[10]))],
        min_roles_in_agreement: 2,
        paths: PathSet::Patterns(vec!["gateway/*".into()]),
        hardware_ids: None,
        terminating: true,
        extra: Object::new(),
    };
    targets.delegations = Some(Delegations {
        keys: by_id(&[8, 9, 10]).collect(),
        roles: Roles::Listed(vec![supplier.into(), released.into()]),
        ..Delegations::empty()
    });
    targets
}

fn encryption_key() -> EncryptionKey {
    EncryptionKey::x25519([9; 32])
}

fn director_targets() -> TargetsBuilder {
    let mut targets = TargetsBuilder::new(expires());
    with_vin(&mut targets.extra);
    let ecus = [(serial("brake-0042"), hardware("brake-v2"))];
    let custom = DirectorCustom {
        encrypted: Some(EncryptedTarget::new(
            path("encrypted/brake-3.1"),
            ENCRYPTED.len() as u64,
            Hashes::of(ENCRYPTED),
            "aes-256-gcm-64k",
        )),
        wrapped_keys: [(
            serial("brake-0042"),
            WrappedKey::new(encryption_key().id(), vec![1; 32], vec![2; 48]),
        )]
        .into(),
        uri: Some("https://cdn.example/brake".into()),
        ..DirectorCustom::new(ecus.into(), 12)
    };
    let file = TargetFile {
        custom: Some(custom.to_object()),
        ..TargetFile::describing(IMAGE)
    };
    targets.targets.insert(path("brake/3.1.img"), file);
    targets
}

fn report() -> EcuVersionReport {
    EcuVersionReport {
        ecu_serial: serial("brake-0042"),
        installed_image: Some(InstalledImage {
            filepath: path("brake/3.1.img"),
            length: IMAGE.len() as u64,
            hashes: Hashes::of(IMAGE),
        }),
        attacks_detected: vec![DetectedAttack {
            code: 301,
            name: "version-rollback".into(),
            attack: "rollback".into(),
            repository: "director".into(),
            role: "targets".into(),
        }],
        latest_time: time("2030-06-01T12:00:00Z"),
        report_counter: 41,
        outcome: Some(Outcome {
            targets_version: 9,
            offline: None,
            code: 0,
            name: "installed".into(),
            message: "brake/3.1.img is confirmed".into(),
        }),
        extra: Object::new(),
    }
}

fn manifest() -> VehicleVersionManifest {
    let report = signed_file::<EcuVersionReport>(&report().to_payload(), &TestKey::new(12));
    VehicleVersionManifest {
        vin: Vin::new("WDD2040082R088866").unwrap(),
        primary_ecu_serial: serial("gateway-0007"),
        ecu_version_reports: [(serial("brake-0042"), Signed::parse(report).unwrap())].into(),
        extra: Object::new(),
    }
}

fn attestation() -> TimeAttestation {
    TimeAttestation {
        time: time("2030-06-01T12:00:00Z"),
        nonces: vec![Nonce([7; 16]), Nonce([8; 16])],
        extra: Object::new(),
    }
}

/// Compares with the committed file, laid out for people.
fn check(name: &str, json: &[u8]) {
    let value: serde_json::Value = serde_json::from_slice(json).unwrap();
    let text = serde_json::to_string_pretty(&value).unwrap() + "\n";
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/schemas/examples");
    let path = folder.join(format!("{name}.json"));
    if std::env::var_os("UPDATE_EXAMPLES").is_some() {
        fs::create_dir_all(&folder).unwrap();
        fs::write(&path, &text).unwrap();
    }
    let committed = fs::read_to_string(&path).unwrap_or_default();
    assert_eq!(
        committed, text,
        "{name}: run with UPDATE_EXAMPLES=1 if this is wanted"
    );
}

/// A signed file, and that it verifies as it is laid out.
fn check_signed<T: Document>(name: &str, payload: &str, signer: u8) {
    let signer = TestKey::new(signer);
    let file = signed_file::<T>(payload, &signer);
    check(name, &file);
    let value: serde_json::Value = serde_json::from_slice(&file).unwrap();
    let pretty = serde_json::to_vec_pretty(&value).unwrap();
    let verified = Signed::<T>::parse(pretty)
        .unwrap()
        .verify(&authority_of(&signer));
    assert_eq!(&**verified.unwrap().payload(), payload);
}

#[test]
fn examples_are_what_is_written() {
    check_signed::<Root>("root", &root().to_payload(), 1);
    check_signed::<Timestamp>("timestamp", &timestamp().to_payload(), 2);
    check_signed::<Snapshot>("snapshot", &snapshot().to_payload(), 3);
    check_signed::<Targets>("image-targets", &image_targets().to_payload(), 4);
    check_signed::<Targets>("director-targets", &director_targets().to_payload(), 4);
    check_signed::<EcuVersionReport>("ecu-version-report", &report().to_payload(), 12);
    check_signed::<VehicleVersionManifest>(
        "vehicle-version-manifest",
        &manifest().to_payload(),
        11,
    );
    check_signed::<TimeAttestation>("time-attestation", &attestation().to_payload(), 5);
    let mapping = Mapping::both(
        vec!["https://director.example/".into()],
        vec!["https://images.example/".into()],
    );
    check("mapping", mapping.unwrap().to_json().as_bytes());
    let key = canonical::encode(&encryption_key().to_value());
    check("encryption-key", key.as_bytes());
}
