//! Which vehicles prove that their keys are their own, and what is read as a registration.

#![allow(clippy::unwrap_used, reason = "a test that cannot set up has failed")]

use std::collections::BTreeMap;

use countersign_director_domain::registration::{
    Challenge, MAX_CHALLENGE, Proof, ProofError, Registration, answer, check, statement,
    vehicle_of, vehicle_to_value, wrap_context,
};
use countersign_director_domain::{EcuRecord, MAX_ECUS, VehicleRecord};
use countersign_encryption::ContentKey;
use countersign_metadata::json::{self, Object, Value};
use countersign_metadata::uptane::{EcuSerial, EncryptionKey, HardwareId, Vin, WrappedKey};
use countersign_metadata::{Key, PublicKey};
use ed25519_dalek::{Signer as _, SigningKey};
use zeroize::Zeroizing;

const CHALLENGE: &str = "challenge-1";
const PRIMARY: &str = "GATEWAY-1";
const SECONDARY: &str = "BRAKE-1";

fn vin() -> Vin {
    Vin::new("VIN1").unwrap()
}

fn serial(text: &str) -> EcuSerial {
    EcuSerial::new(text).unwrap()
}

fn private(text: &str) -> SigningKey {
    SigningKey::from_bytes(&countersign_metadata::sha256(text.as_bytes()))
}

/// What was wrapped to an ECU.
fn wrapped(serial: &EcuSerial) -> ContentKey {
    let key = countersign_metadata::sha256(format!("wrapped to {serial}").as_bytes());
    ContentKey::from_bytes(Zeroizing::new(key))
}

/// A Primary with an encryption key, and a Secondary without.
fn vehicle() -> VehicleRecord {
    let ecu = |name: &str, encryption| EcuRecord {
        hardware_id: HardwareId::new("any").unwrap(),
        signing: Key::new(&PublicKey::Ed25519(
            private(name).verifying_key().to_bytes(),
        )),
        encryption,
    };
    let encryption = Some(EncryptionKey::x25519([9; 32]));
    VehicleRecord {
        primary: serial(PRIMARY),
        ecus: [
            (serial(PRIMARY), ecu(PRIMARY, encryption)),
            (serial(SECONDARY), ecu(SECONDARY, None)),
        ]
        .into(),
    }
}

/// What the ECUs of `vehicle` say to `challenge` when they take themselves to be in `vin`.
fn proofs(vin: &Vin, vehicle: &VehicleRecord, challenge: &str) -> BTreeMap<EcuSerial, Proof> {
    let ecus = vehicle.ecus.iter();
    let proofs = ecus.map(|(serial, ecu)| {
        let said = statement(vin, serial, &vehicle.primary, ecu, challenge);
        let signature = private(serial.as_str()).sign(&said).to_bytes().to_vec();
        let unwrapped = ecu.encryption.as_ref().map(|_| wrapped(serial));
        let answer = unwrapped.map(|key| answer(&key));
        (serial.clone(), Proof { signature, answer })
    });
    proofs.collect()
}

fn judged(vehicle: &VehicleRecord, proofs: &BTreeMap<EcuSerial, Proof>) -> Result<(), ProofError> {
    check(&vin(), vehicle, CHALLENGE, proofs, wrapped)
}

#[test]
fn a_vehicle_with_its_own_keys_is_believed() {
    let vehicle = vehicle();
    let proofs = proofs(&vin(), &vehicle, CHALLENGE);
    assert_eq!(judged(&vehicle, &proofs), Ok(()));
}

#[test]
fn every_ecu_proves_something_and_nobody_else() {
    let vehicle = vehicle();
    let honest = proofs(&vin(), &vehicle, CHALLENGE);

    let mut missing = honest.clone();
    missing.remove(&serial(SECONDARY));
    let refusal = ProofError::Missing(serial(SECONDARY));
    assert_eq!(judged(&vehicle, &missing), Err(refusal));

    let mut more = honest.clone();
    more.insert(serial("OTHER"), honest[&serial(SECONDARY)].clone());
    let refusal = ProofError::UnknownEcu(serial("OTHER"));
    assert_eq!(judged(&vehicle, &more), Err(refusal));
}

#[test]
fn a_signature_counts_for_one_vehicle_one_challenge_one_ecu_and_what_is_registered() {
    let vehicle = vehicle();
    let refused = Err(ProofError::Signature(serial(SECONDARY)));
    let of_secondary = |vin: &Vin, made_for: &VehicleRecord, challenge: &str| {
        let mut given = proofs(&self::vin(), &vehicle, CHALLENGE);
        let other = proofs(vin, made_for, challenge);
        given.insert(serial(SECONDARY), other[&serial(SECONDARY)].clone());
        judged(&vehicle, &given)
    };
    assert_eq!(of_secondary(&vin(), &vehicle, CHALLENGE), Ok(()));
    let other_vin = Vin::new("VIN2").unwrap();
    assert_eq!(of_secondary(&other_vin, &vehicle, CHALLENGE), refused);
    assert_eq!(of_secondary(&vin(), &vehicle, "challenge-2"), refused);
    let changes: [fn(&mut VehicleRecord); 3] = [
        |vehicle| vehicle.primary = serial(SECONDARY),
        |vehicle| {
            let ecu = vehicle.ecus.get_mut(&serial(SECONDARY)).unwrap();
            ecu.hardware_id = HardwareId::new("other").unwrap();
        },
        |vehicle| {
            let ecu = vehicle.ecus.get_mut(&serial(SECONDARY)).unwrap();
            ecu.encryption = Some(EncryptionKey::x25519([7; 32]));
        },
    ];
    for change in changes {
        let mut other = vehicle.clone();
        change(&mut other);
        assert_eq!(of_secondary(&vin(), &other, CHALLENGE), refused);
    }

    let mut swapped = proofs(&vin(), &vehicle, CHALLENGE);
    let primary = swapped[&serial(PRIMARY)].signature.clone();
    swapped.get_mut(&serial(SECONDARY)).unwrap().signature = primary;
    assert_eq!(judged(&vehicle, &swapped), refused);
}

#[test]
fn a_key_that_nothing_verifies_with_proves_nothing() {
    let mut vehicle = vehicle();
    let given = proofs(&vin(), &vehicle, CHALLENGE);
    let ecu = vehicle.ecus.get_mut(&serial(PRIMARY)).unwrap();
    ecu.signing.scheme = "unknown".into();
    let refusal = ProofError::Signature(serial(PRIMARY));
    assert_eq!(judged(&vehicle, &given), Err(refusal));
}

#[test]
fn an_encryption_key_has_to_be_used() {
    let vehicle = vehicle();
    let honest = proofs(&vin(), &vehicle, CHALLENGE);
    let with_answer = |serial: &EcuSerial, answer| {
        let mut given = honest.clone();
        given.get_mut(serial).unwrap().answer = answer;
        judged(&vehicle, &given)
    };
    let primary = serial(PRIMARY);
    let refusal = ProofError::NoAnswer(primary.clone());
    assert_eq!(with_answer(&primary, None), Err(refusal));
    let of_another = answer(&wrapped(&serial(SECONDARY)));
    let refusal = ProofError::WrongAnswer(primary.clone());
    assert_eq!(with_answer(&primary, Some(of_another)), Err(refusal));
    let refusal = ProofError::NothingToAnswer(serial(SECONDARY));
    assert_eq!(with_answer(&serial(SECONDARY), Some([0; 32])), Err(refusal));
}

#[test]
fn a_key_is_wrapped_for_one_vehicle_one_ecu_and_one_challenge() {
    let info = |vin: &str, ecu: &str, challenge: &str| {
        let context = wrap_context(&Vin::new(vin).unwrap(), &serial(ecu), challenge);
        context.unwrap().info()
    };
    let this = info("VIN1", PRIMARY, CHALLENGE);
    assert_ne!(this, info("VIN2", PRIMARY, CHALLENGE));
    assert_ne!(this, info("VIN1", SECONDARY, CHALLENGE));
    assert_ne!(this, info("VIN1", PRIMARY, "challenge-2"));
}

#[test]
fn the_statement_is_what_the_specification_shows() {
    let vehicle = vehicle();
    let said = statement(
        &vin(),
        &serial(SECONDARY),
        &vehicle.primary,
        &vehicle.ecus[&serial(SECONDARY)],
        CHALLENGE,
    );
    let public = hex::encode(private(SECONDARY).verifying_key().to_bytes());
    let expected = format!(
        r#"{{"_type":"ecu-registration","challenge":"challenge-1","ecuSerial":"BRAKE-1","hardwareId":"any","primary":"GATEWAY-1","signingKey":{{"keytype":"ed25519","keyval":{{"public":"{public}"}},"scheme":"ed25519"}},"vin":"VIN1"}}"#
    );
    assert_eq!(String::from_utf8(said).unwrap(), expected);
}

#[test]
fn what_is_written_is_read_back() {
    let vehicle = vehicle();
    let registration = Registration {
        proofs: proofs(&vin(), &vehicle, CHALLENGE),
        challenge: CHALLENGE.into(),
        vehicle: vehicle.clone(),
    };
    let text = registration.to_json();
    assert_eq!(Registration::parse(text.as_bytes()), Ok(registration));
    assert_eq!(vehicle_of(&vehicle_to_value(&vehicle)), Ok(vehicle.clone()));
    let keyid = vehicle.ecus[&serial(PRIMARY)]
        .encryption
        .as_ref()
        .unwrap()
        .id();
    let challenge = Challenge {
        text: CHALLENGE.into(),
        wrapped_keys: [(serial(PRIMARY), WrappedKey::new(keyid, vec![1], vec![2]))].into(),
    };
    let text = challenge.to_json();
    assert_eq!(Challenge::parse(text.as_bytes()), Ok(challenge));
}

/// A registration that is right but for `change`, which gets the vehicle, its Primary, and the
/// Primary's proof.
fn refusal(change: impl Fn(&mut Object, &mut Object, &mut Object)) -> String {
    let vehicle = vehicle();
    let text = Registration {
        proofs: proofs(&vin(), &vehicle, CHALLENGE),
        challenge: CHALLENGE.into(),
        vehicle,
    };
    let mut whole = members(json::parse(text.to_json().as_bytes()).unwrap());
    let mut vehicle = members(whole["vehicle"].clone());
    let mut ecus = members(vehicle["ecus"].clone());
    let mut primary = members(ecus[PRIMARY].clone());
    let mut proofs = members(whole["proofs"].clone());
    let mut proof = members(proofs[PRIMARY].clone());
    change(&mut vehicle, &mut primary, &mut proof);
    if vehicle.get("ecus") == Some(&ecus.clone().into()) {
        ecus.insert(PRIMARY.into(), primary.into());
        vehicle.insert("ecus".into(), ecus.into());
    }
    proofs.insert(PRIMARY.into(), proof.into());
    whole.insert("vehicle".into(), vehicle.into());
    whole.insert("proofs".into(), proofs.into());
    let text = countersign_metadata::canonical::encode(&whole.into());
    let read = Registration::parse(text.as_bytes());
    read.map_or_else(|error| error.to_string(), |_| "accepted".into())
}

fn members(value: Value) -> Object {
    value.as_object().unwrap().clone()
}

#[test]
fn what_is_not_known_is_not_taken() {
    assert_eq!(refusal(|_, _, _| ()), "accepted");
    let set = |members: &mut Object, name: &str, value: Value| {
        members.insert(name.into(), value);
    };
    let cases = [
        refusal(|vehicle, _, _| set(vehicle, "colour", "red".into())),
        refusal(|_, ecu, _| set(ecu, "colour", "red".into())),
        refusal(|_, _, proof| set(proof, "colour", "red".into())),
    ];
    for text in cases {
        assert!(text.contains(r#"unknown member "colour""#), "{text}");
    }
    for key in ["signingKey", "encryptionKey"] {
        let text = refusal(|_, ecu, _| {
            let mut given = members(ecu[key].clone());
            given.insert("colour".into(), "red".into());
            ecu.insert(key.into(), given.into());
        });
        assert!(
            text.ends_with(&format!("{key} has unknown members")),
            "{text}"
        );
    }
}

#[test]
fn what_is_missing_or_cannot_be_is_refused_with_its_place() {
    let cases = [
        (
            refusal(|vehicle, _, _| drop(vehicle.remove("primary"))),
            "the vehicle.primary is missing",
        ),
        (
            refusal(|_, ecu, _| drop(ecu.remove("hardwareId"))),
            "the vehicle.ecus.GATEWAY-1.hardwareId is missing",
        ),
        (
            refusal(|_, _, proof| drop(proof.insert("signature".into(), "xyz".into()))),
            "the registration.proofs.GATEWAY-1.signature must be hexadecimal",
        ),
        (
            refusal(|_, _, proof| drop(proof.insert("answer".into(), "00".into()))),
            "the registration.proofs.GATEWAY-1.answer must be 32 bytes in hexadecimal",
        ),
        (
            refusal(|vehicle, ecu, _| {
                let ecus = (0..=MAX_ECUS).map(|n| (format!("E{n}"), ecu.clone().into()));
                vehicle.insert("ecus".into(), Value::Object(ecus.collect()));
            }),
            "the vehicle.ecus has 257 members; at most 256 are read",
        ),
    ];
    for (text, expected) in cases {
        assert_eq!(text, expected);
    }
    let long = format!(r#"{{"challenge":"{}"}}"#, "x".repeat(MAX_CHALLENGE + 1));
    assert!(Challenge::parse(long.as_bytes()).is_err());
    let twice = br#"{"challenge":"a","challenge":"a","wrappedKeys":{}}"#;
    assert!(Challenge::parse(twice).is_err());
}
