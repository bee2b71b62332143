//! What vehicles and time servers sign.

use countersign_metadata::json::Value;
use countersign_metadata::uptane::{
    DetectedAttack, EcuSerial, EcuVersionReport, Nonce, Outcome, TimeAttestation,
    VehicleVersionManifest, Vin,
};
use countersign_metadata::{Document, Signed, Unsigned};
use proptest::prelude::*;

use crate::common::{TestKey, authority_of, canonical, decode, hex, refusal, signed_file, time};
use crate::generate_uptane::{attestation, report};

const REPORT: &str = r#"{"_type":"ecu-version-report","ecu_serial":"e1","latest_time":"2030-01-01T00:00:00Z",
    "attacks_detected":[{"code":205,"name":"version-rollback","attack":"rollback","repository":"director","role":"targets"}],
    "installed_image":{"filepath":"a/b.img","fileinfo":{"length":3,"hashes":{"x":1}}},"report_counter":7,
    "outcome":{"targets_version":4,"code":0,"name":"installed","message":"ok"}}"#;
const ATTESTATION: &str = r#"{"_type":"time-attestation","time":"2030-01-01T00:00:00Z",
    "nonces":["000102030405060708090a0b0c0d0e0f"]}"#;

fn serial(text: &str) -> EcuSerial {
    EcuSerial::new(text).unwrap()
}

/// The reports of two ECUs, signed by keys 1 and 2, in a manifest.
fn manifest() -> VehicleVersionManifest {
    let report = |number: u8| {
        let payload = canonical(&REPORT.replace("e1", &format!("e{number}")));
        let file = signed_file::<EcuVersionReport>(&payload, &TestKey::new(number));
        (serial(&format!("e{number}")), Signed::parse(file).unwrap())
    };
    VehicleVersionManifest {
        vin: Vin::new("V1").unwrap(),
        primary_ecu_serial: serial("e1"),
        ecu_version_reports: [report(1), report(2)].into(),
        extra: [("x".into(), Value::Bool(true))].into(),
    }
}

#[test]
fn a_report_says_what_is_installed_and_what_was_met() {
    let (report, _) = decode::<EcuVersionReport>(REPORT).unwrap();
    assert_eq!(
        (report.ecu_serial.as_str(), report.report_counter),
        ("e1", 7)
    );
    let installed = report.installed_image.unwrap();
    assert_eq!(
        (installed.filepath.as_str(), installed.length),
        ("a/b.img", 3)
    );
    assert_eq!(report.attacks_detected[0].code, 205);
    assert_eq!(report.outcome.unwrap().targets_version, 4);
    let unknown = "\"installed_image\":null,\"x\"";
    let text = REPORT.replacen("\"installed_image\"", unknown, 1);
    let report = decode::<EcuVersionReport>(&text).unwrap().0;
    assert!(report.installed_image.is_none());
    let silent = REPORT.replacen("\"installed_image\"", "\"x\"", 1);
    assert!(decode::<EcuVersionReport>(&silent).is_err());
}

#[test]
fn reports_and_attestations_are_read_strictly() {
    let attack = r#"{"code":1,"name":"","attack":"","repository":"","role":""}"#;
    let attacks = |count| {
        format!(
            "\"attacks_detected\":[{}],\"x\"",
            vec![attack; count].join(",")
        )
    };
    let report = |old: &str, new: &str| {
        assert!(REPORT.contains(old), "{old}");
        REPORT.replacen(old, new, 1)
    };
    assert!(decode::<EcuVersionReport>(&report("\"attacks_detected\"", &attacks(32))).is_ok());
    for (old, new, field) in [
        ("ecu-version-report", "vehicle-version-manifest", "_type"),
        ("\"_type\":\"ecu-version-report\",", "", "_type"),
        ("\"e1\"", "\"e 1\"", "ecu_serial"),
        ("\"ecu_serial\":\"e1\",", "", "ecu_serial"),
        ("2030-01-01T", "2030-1-1T", "latest_time"),
        ("\"report_counter\":7,", "", "report_counter"),
        (
            "\"report_counter\":7",
            "\"report_counter\":\"7\"",
            "report_counter",
        ),
        (
            "\"report_counter\":7",
            "\"report_counter\":-1",
            "report_counter",
        ),
        ("\"a/b.img\"", "\"/b.img\"", "filepath"),
        ("\"fileinfo\"", "\"x\"", "fileinfo"),
        ("{\"x\":1}", "{}", "hashes"),
        ("\"length\":3", "\"length\":3.0", ""),
        ("\"code\":205", "\"code\":65536", "attacks_detected[0].code"),
        ("\"attack\":\"rollback\",", "", "attacks_detected[0].attack"),
        ("\"attacks_detected\"", &attacks(33), "attacks_detected"),
        ("\"attacks_detected\"", "\"x\"", "attacks_detected"),
        (
            "\"ok\"",
            &format!("\"{}\"", "m".repeat(513)),
            "outcome.message",
        ),
        ("\"targets_version\":4,", "", "outcome.targets_version"),
        (
            "\"targets_version\":4,",
            "\"targets_version\":4,\"offline\":\"a/b\",",
            "outcome.offline",
        ),
        ("\"outcome\":{", "\"outcome\":null,\"x\":{", "outcome"),
    ] {
        if field.is_empty() {
            continue;
        }
        let error = refusal::<EcuVersionReport>(&report(old, new));
        assert!(error.contains(field), "{field}: {error}");
    }
    assert!(decode::<TimeAttestation>(ATTESTATION).is_ok());
    let many = format!(
        "[{}]",
        vec![format!("\"{}\"", hex(&[0; 16])); 1025].join(",")
    );
    for (old, new) in [
        ("time-attestation", "timestamp"),
        ("0e0f", "0e"),
        ("0e0f", "0e0g"),
        ("[\"000102030405060708090a0b0c0d0e0f\"]", "\"\""),
        ("[\"000102030405060708090a0b0c0d0e0f\"]", many.as_str()),
        ("00:00:00Z", "00:00:00"),
    ] {
        assert!(ATTESTATION.contains(old));
        refusal::<TimeAttestation>(&ATTESTATION.replacen(old, new, 1));
    }
}

#[test]
fn a_manifest_carries_reports_that_each_ecu_signed() {
    let payload = manifest().to_payload();
    let (read, again) = decode::<VehicleVersionManifest>(&payload).unwrap();
    assert_eq!((payload, read.vin.as_str()), (again, "V1"));
    assert_eq!(read.extra, manifest().extra);
    for number in [1, 2] {
        let key = serial(&format!("e{number}"));
        let inner = &read.ecu_version_reports[&key];
        assert_eq!(
            inner.received(),
            manifest().ecu_version_reports[&key].received()
        );
        let verified = inner.clone().verify(&authority_of(&TestKey::new(number)));
        assert_eq!(verified.unwrap().content().ecu_serial, key);
        assert!(
            inner
                .clone()
                .verify(&authority_of(&TestKey::new(3 - number)))
                .is_err()
        );
    }
}

#[test]
fn a_manifest_is_read_strictly() {
    let payload = manifest().to_payload();
    for (old, new, field) in [
        ("vehicle-version-manifest", "ecu-version-report", "_type"),
        ("\"vin\":\"V1\"", "\"vin\":\"V 1\"", "signed.vin"),
        (",\"vin\":\"V1\"", "", "signed.vin"),
        (
            "\"primary_ecu_serial\":\"e1\"",
            "\"primary_ecu_serial\":1",
            "primary_ecu_serial",
        ),
        ("\"e2\":{\"signatures\"", "\"e2\":{\"x\"", "signatures"),
        ("\"e2\":{", "\"e 2\":{", "ecu_version_reports"),
    ] {
        assert!(payload.contains(old), "{old} in {payload}");
        let error = refusal::<VehicleVersionManifest>(&payload.replacen(old, new, 1));
        assert!(error.contains(field), "{field}: {error}");
    }
    let one = r#"{"signatures":[],"signed":{}}"#;
    let with = |count| {
        let reports: Vec<String> = (0..count).map(|n| format!("\"e{n}\":{one}")).collect();
        format!(
            r#"{{"_type":"vehicle-version-manifest","vin":"V","primary_ecu_serial":"e","ecu_version_reports":{{{}}}}}"#,
            reports.join(",")
        )
    };
    assert!(decode::<VehicleVersionManifest>(&with(256)).is_ok());
    assert!(refusal::<VehicleVersionManifest>(&with(257)).contains("ecu_version_reports"));
}

/// Uptane 5.4.2.1.1, 5.4.2.1.2: five fields in every signature entry.
#[test]
fn a_signature_on_a_report_counts_only_with_method_and_hash() {
    let (payload, signer) = (canonical(REPORT), TestKey::new(1));
    let good = String::from_utf8(signed_file::<EcuVersionReport>(&payload, &signer)).unwrap();
    let verify = |file: String| {
        Signed::<EcuVersionReport>::parse(file.into_bytes())
            .unwrap()
            .verify(&authority_of(&signer))
    };
    assert!(verify(good.clone()).is_ok());
    let hash = hex(&countersign_metadata::sha256(payload.as_bytes()));
    for (old, new) in [
        (
            "\"method\":\"ed25519\"",
            "\"method\":\"ecdsa-sha2-nistp256\"",
        ),
        ("\"method\":\"ed25519\"", "\"method\":1"),
        (",\"method\":\"ed25519\"", ""),
        (
            "\"hash_function\":\"sha256\"",
            "\"hash_function\":\"sha512\"",
        ),
        ("\"hash_function\":\"sha256\",", ""),
        (hash.as_str(), hex(&[0; 32]).as_str()),
        (hash.as_str(), &hash[2..]),
        (hash.as_str(), ""),
    ] {
        assert!(good.contains(old), "{old} in {good}");
        let error = verify(good.replacen(old, new, 1)).unwrap_err().to_string();
        assert!(error.contains("0 of 1"), "{new}: {error}");
    }
    // Where nobody asks for them, they are members like any other.
    let plain = canonical(ATTESTATION);
    let file = String::from_utf8(signed_file::<TimeAttestation>(&plain, &signer)).unwrap();
    let odd = file.replacen("\"sig\"", "\"hash\":1,\"method\":\"x\",\"sig\"", 1);
    assert!(
        Signed::<TimeAttestation>::parse(odd.into_bytes())
            .unwrap()
            .verify(&authority_of(&signer))
            .is_ok()
    );
}

#[test]
fn one_kind_of_document_never_stands_for_another() {
    fn all_refuse<T: Document + Clone>(payloads: &[&str]) {
        for payload in payloads {
            refusal::<T>(payload);
        }
    }
    let manifest = manifest().to_payload();
    all_refuse::<EcuVersionReport>(&[ATTESTATION, &manifest]);
    all_refuse::<TimeAttestation>(&[REPORT, &manifest]);
    all_refuse::<VehicleVersionManifest>(&[REPORT, ATTESTATION]);
    all_refuse::<countersign_metadata::Timestamp>(&[REPORT, ATTESTATION, &manifest]);
}

#[test]
fn a_report_that_says_too_much_is_cut_and_stays_readable() {
    let (mut report, _) = decode::<EcuVersionReport>(REPORT).unwrap();
    let long = "é".repeat(2000);
    let attack = DetectedAttack {
        code: 1,
        name: long.clone(),
        attack: long.clone(),
        repository: long.clone(),
        role: long.clone(),
    };
    report.attacks_detected = vec![attack; 100];
    report.outcome = Some(Outcome {
        targets_version: 1,
        offline: None,
        code: 1,
        name: long.clone(),
        message: long,
    });
    let (read, _) = decode::<EcuVersionReport>(&report.to_payload()).unwrap();
    assert_eq!(read.attacks_detected.len(), 32);
    assert_eq!(read.attacks_detected[0].role, "é".repeat(512));
    assert_eq!(read.outcome.unwrap().message, "é".repeat(512));
}

#[test]
fn a_signature_of_unknown_method_is_left_out_of_a_report() {
    let mut file = Unsigned::new(canonical(REPORT));
    file.add_signature(TestKey::new(1).id(), vec![1]);
    file.add_signature_by(&TestKey::new(2).key(), vec![2]);
    let signed = Signed::<EcuVersionReport>::parse(file.to_report_file()).unwrap();
    assert_eq!(signed.signatures().len(), 1);
    assert_eq!(signed.signatures()[0].keyid, TestKey::new(2).id());
}

#[test]
fn a_nonce_is_written_in_hexadecimal() {
    let (read, _) = decode::<TimeAttestation>(ATTESTATION).unwrap();
    assert_eq!(read.nonces, [Nonce(core::array::from_fn(|n| n as u8))]);
    assert_eq!(
        read.nonces[0].to_string(),
        "000102030405060708090a0b0c0d0e0f"
    );
    assert!(read.time < time());
}

proptest! {
    #[test]
    fn a_report_reads_what_it_writes(report in report()) {
        let (read, payload) = decode::<EcuVersionReport>(&countersign_metadata::canonical::to_json(&report.to_payload())).unwrap();
        prop_assert_eq!(&read.to_payload(), &payload);
        prop_assert_eq!(read, report);
    }

    #[test]
    fn an_attestation_reads_what_it_writes(attestation in attestation()) {
        let (read, _) = decode::<TimeAttestation>(&countersign_metadata::canonical::to_json(&attestation.to_payload())).unwrap();
        prop_assert_eq!(read, attestation);
    }

    #[test]
    fn a_report_survives_its_manifest(report in report()) {
        let signer = TestKey::new(1);
        let file = signed_file::<EcuVersionReport>(&report.to_payload(), &signer);
        let inner = Signed::<EcuVersionReport>::parse(file).unwrap();
        let outer = VehicleVersionManifest {
            ecu_version_reports: [(serial("e1"), inner)].into(),
            ..manifest()
        };
        let payload = outer.to_payload();
        let file = signed_file::<VehicleVersionManifest>(&payload, &signer);
        let read = Signed::<VehicleVersionManifest>::parse(file).unwrap().verify(&authority_of(&signer)).unwrap();
        let inner = read.content().ecu_version_reports[&serial("e1")].clone();
        let inner = inner.verify(&authority_of(&signer)).unwrap();
        prop_assert_eq!(inner.content(), &report);
    }
}
