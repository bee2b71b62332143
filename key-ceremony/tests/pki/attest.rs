//! Attestations in the form that a YubiHSM 2 gives them, made here: no device takes part.

use countersign_metadata::PublicKey;
use rcgen::{
    BasicConstraints, CertificateParams, CustomExtension, DnType, IsCa, Issuer, KeyPair,
    KeyUsagePurpose, PKCS_ECDSA_P256_SHA256, PKCS_ECDSA_P384_SHA384, PublicKeyData as _,
    date_time_ymd,
};
use serde_json::Value;

use crate::tool::Tool;

/// Maker, device, and a key that the device attests.
struct Maker {
    tool: Tool,
    device: Issuer<'static, KeyPair>,
}

const GENERATED: u8 = 0x01;
/// sign-ecdsa, as the device writes it.
const SIGN_ECDSA: u64 = 0x80;
const EXPORTABLE: u64 = 0x1_0000;

fn params(name: &str, ca: IsCa) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name.push(DnType::CommonName, name);
    params.is_ca = ca;
    // The dates of every YubiHSM 2.
    params.not_before = date_time_ymd(2017, 1, 1);
    params.not_after = date_time_ymd(2071, 10, 5);
    params.use_authority_key_identifier_extension = true;
    params
}

fn ca(name: &str) -> CertificateParams {
    let mut params = params(name, IsCa::Ca(BasicConstraints::Unconstrained));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
    params
}

fn extension(last: u64, der: &[u8]) -> CustomExtension {
    CustomExtension::from_oid_content(&[1, 3, 6, 1, 4, 1, 41482, 4, last], der.to_vec())
}

/// The extensions of an attestation, byte for byte as firmware 2.4 writes them.
fn said(serial: u32, origin: u8, capabilities: u64, label: &str) -> Vec<CustomExtension> {
    let mut number = vec![0x02, 0x04];
    number.extend(serial.to_be_bytes());
    let mut bits = vec![0x03, 0x09, 0x00];
    bits.extend(capabilities.to_be_bytes());
    let mut text = vec![0x0c, u8::try_from(label.len()).unwrap()];
    text.extend(label.as_bytes());
    vec![
        extension(1, &[0x04, 0x03, 2, 4, 1]),
        extension(2, &number),
        extension(3, &[0x03, 0x02, 0x00, origin]),
        extension(4, &[0x03, 0x03, 0x00, 0x00, 0x05]),
        extension(5, &bits),
        extension(6, &[0x02, 0x01, 0x24]),
        extension(9, &text),
    ]
}

const SERIAL: u32 = 20_783_176;

impl Maker {
    fn new() -> Self {
        Self::with(
            ca("YubiHSM Attestation (20783176)"),
            &PKCS_ECDSA_P256_SHA256,
        )
    }

    fn with(mut device: CertificateParams, algorithm: &'static rcgen::SignatureAlgorithm) -> Self {
        let tool = Tool::new();
        let root_key = KeyPair::generate_for(&PKCS_ECDSA_P384_SHA384).unwrap();
        let root = ca("Yubico YubiHSM Root CA");
        tool.write("root.pem", root.self_signed(&root_key).unwrap().pem());
        let root = Issuer::new(root, root_key);
        let sub_key = KeyPair::generate_for(algorithm).unwrap();
        let sub = ca("Yubico YubiHSM Sub-CA");
        tool.write("sub.pem", sub.signed_by(&sub_key, &root).unwrap().pem());
        let sub = Issuer::new(sub, sub_key);
        let device_key = KeyPair::generate_for(algorithm).unwrap();
        let mut number = vec![0x02, 0x04];
        number.extend(SERIAL.to_be_bytes());
        device.custom_extensions.push(extension(2, &number));
        tool.write(
            "device.pem",
            device.signed_by(&device_key, &sub).unwrap().pem(),
        );
        let device = Issuer::new(device, device_key);
        Self { tool, device }
    }

    fn attest(&self, extensions: Vec<CustomExtension>) -> KeyPair {
        let key = KeyPair::generate().unwrap();
        let mut leaf = params("YubiHSM Attestation id:0x0024", IsCa::NoCa);
        leaf.custom_extensions = extensions;
        let leaf = leaf.signed_by(&key, &self.device).unwrap();
        self.tool.write("key.pem", leaf.pem());
        self.tool.write("key.pub", key.public_key_pem());
        key
    }

    fn verdict(&self, code: i32, more: &[&str]) -> Value {
        let chain = ["attest", "--cert", "key.pem", "--device-cert", "device.pem"];
        let rest = ["--intermediate", "sub.pem", "--root", "root.pem"];
        self.tool.json(code, &[&chain[..], &rest, more].concat())
    }

    #[track_caller]
    fn faults(&self, expected: &[&str], more: &[&str]) {
        let verdict = self.verdict(i32::from(!expected.is_empty()), more);
        let faults = verdict["faults"].as_array().unwrap();
        let names: Vec<_> = faults
            .iter()
            .map(|fault| fault["name"].as_str().unwrap())
            .collect();
        assert_eq!(names, expected, "{verdict}");
    }
}

#[test]
fn a_key_that_was_made_in_the_device_and_stays_there() {
    let maker = Maker::new();
    let key = maker.attest(said(SERIAL, GENERATED, SIGN_ECDSA, "device-ca"));
    let verdict = maker.verdict(0, &["--key", "key.pub"]);
    let point = PublicKey::from_sec1(key.der_bytes()).unwrap();
    let keyid = countersign_metadata::Key::new(&point).id();
    for (member, value) in [
        ("serial", Value::from("20783176")),
        ("firmware", "2.4.1".into()),
        ("object_id", 0x24.into()),
        ("label", "device-ca".into()),
        ("domains", vec![1, 3].into()),
        ("capabilities", "0x0000000000000080".into()),
        ("generated_in_device", true.into()),
        ("exportable", false.into()),
        ("keyid", keyid.as_str().into()),
    ] {
        assert_eq!(verdict[member], value, "{member}");
    }
    // An empty label is one.
    maker.attest(said(SERIAL, GENERATED, SIGN_ECDSA, ""));
    maker.faults(&[], &[]);
}

#[test]
fn what_is_not_shown_has_a_name() {
    let maker = Maker::new();
    for (origin, capabilities, fault) in [
        (0x02, SIGN_ECDSA, &["not-generated"][..]),
        (0x11, SIGN_ECDSA, &["not-generated"]),
        (0x12, SIGN_ECDSA, &["not-generated"]),
        (0x00, SIGN_ECDSA, &["not-generated"]),
        (0x03, SIGN_ECDSA, &["not-generated"]),
        (GENERATED, SIGN_ECDSA | EXPORTABLE, &["exportable"]),
        (0x02, EXPORTABLE, &["not-generated", "exportable"]),
    ] {
        maker.attest(said(SERIAL, origin, capabilities, "k"));
        maker.faults(fault, &[]);
    }
    maker.attest(said(SERIAL + 1, GENERATED, SIGN_ECDSA, "k"));
    maker.faults(&["other-device"], &[]);
    maker.attest(said(SERIAL, GENERATED, SIGN_ECDSA, "k"));
    let other = KeyPair::generate().unwrap();
    maker.tool.write("other.pub", other.public_key_pem());
    maker.faults(&["other-key"], &["--key", "other.pub"]);
}

#[test]
fn the_chain_has_to_hold() {
    let maker = Maker::new();
    maker.attest(said(SERIAL, GENERATED, SIGN_ECDSA, "k"));
    maker.faults(&[], &[]);
    let attest = |arguments: &[&str], faults: &[&str]| {
        let verdict = maker
            .tool
            .json(1, &[&["attest", "--cert", "key.pem"], arguments].concat());
        let found = verdict["faults"].as_array().unwrap();
        let names: Vec<_> = found
            .iter()
            .map(|fault| fault["name"].as_str().unwrap())
            .collect();
        assert_eq!(names, faults, "{verdict}");
    };
    attest(&["--unverified"], &["chain-not-checked"]);
    attest(
        &["--device-cert", "device.pem", "--root", "root.pem"],
        &["chain"],
    );
    attest(&["--root", "root.pem"], &["chain"]);
    // A root of the same name.
    let stranger = Maker::new();
    let root = stranger.tool.text_of("root.pem");
    maker.tool.write("root.pem", root);
    maker.faults(&["chain"], &[]);
}

/// A key that a genuine device attests, but that is in the hands of somebody who signs
/// attestations with it.
#[test]
fn an_attested_key_cannot_attest() {
    let maker = Maker::with(
        params("YubiHSM Attestation id:0x0001", IsCa::NoCa),
        &PKCS_ECDSA_P256_SHA256,
    );
    maker.attest(said(SERIAL, GENERATED, SIGN_ECDSA, "forged"));
    maker.faults(&["chain"], &[]);
    let explicit = params("YubiHSM Attestation id:0x0001", IsCa::ExplicitNoCa);
    let maker = Maker::with(explicit, &PKCS_ECDSA_P384_SHA384);
    maker.attest(said(SERIAL, GENERATED, SIGN_ECDSA, "forged"));
    maker.faults(&["chain"], &[]);
    let mut wrong_use = ca("YubiHSM Attestation (20783176)");
    wrong_use.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    let maker = Maker::with(wrong_use, &PKCS_ECDSA_P256_SHA256);
    maker.attest(said(SERIAL, GENERATED, SIGN_ECDSA, "forged"));
    maker.faults(&["chain"], &[]);
}

#[test]
fn what_is_not_said_is_not_assumed() {
    let maker = Maker::new();
    let whole = said(SERIAL, GENERATED, SIGN_ECDSA, "k");
    let refused = || {
        let chain = ["attest", "--cert", "key.pem", "--unverified"];
        maker.tool.refused("attestation", &chain);
    };
    for missing in 0..whole.len() {
        let mut part = whole.clone();
        part.remove(missing);
        maker.attest(part);
        refused();
    }
    for (index, last, der) in [
        (0, 1, &[0x04, 0x02, 2, 4][..]),
        (1, 2, &[0x02, 0x01, 0x80]),
        (2, 3, &[0x03, 0x03, 0x00, 0x01, 0x01]),
        (2, 3, &[0x03, 0x02, 0x01, 0x02]),
        (2, 3, &[0x02, 0x01, 0x01]),
        (3, 4, &[0x03, 0x04, 0x00, 1, 0, 0]),
        (4, 5, &[0x03, 0x0a, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0]),
        (5, 6, &[0x02, 0x03, 1, 0, 0]),
        (6, 9, &[0x0c, 0x01, 0xff]),
        (6, 9, &[0x0c, 0x02, b'k']),
    ] {
        let mut bent = whole.clone();
        bent[index] = extension(last, der);
        maker.attest(bent);
        refused();
    }
    // Twice, the second time with another value.
    let mut twice = whole.clone();
    twice.push(extension(5, &[0x03, 0x09, 0, 0, 0, 0, 0, 0, 1, 0, 0]));
    maker.attest(twice);
    let chain = ["attest", "--cert", "key.pem", "--unverified"];
    maker.tool.refused("certificate-malformed", &chain);
}
