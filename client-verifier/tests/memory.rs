//! What partial verification costs a small device in heap. One test in a binary of its own, because the
//! counter is the whole process's.

#![cfg(feature = "rustcrypto")]
#![allow(clippy::unwrap_used, reason = "a test that cannot set up has failed")]

#[path = "model/keys.rs"]
mod keys;

use countersign_metadata::uptane::{
    DirectorCustom, EcuSerial, EncryptedTarget, HardwareId, Vin, WrappedKey, custom_with_vin,
};
use countersign_metadata::{
    Hashes, RoleType, Root, TargetFile, TargetPath, TargetsBuilder, UtcTime,
};
use countersign_verifier::uptane::{Ecu, PartialStream, StreamReply, StreamStep};
use countersign_verifier::{
    Context, FollowRoot, Followed, Limits, Reject, Reply, Step, Stored, drive,
};
use peak_alloc::PeakAlloc;

use crate::keys::{Signer, by_id, role_keys, signed};

#[global_allocator]
static MEMORY: PeakAlloc = PeakAlloc;

const ECUS: u64 = 256;

/// The heap's peak in KiB while the Root is followed: its text and its content, in a host's 8-byte pointers
/// and lengths. A 32-bit device needs little more than half of it.
const ROOT_KIB: f32 = 11.0;

/// The heap's peak in KiB while the Targets pass, the stored and then the fetched one: the buffer for an
/// entry (5 KiB), what is read of the entry at hand and of this ECU's own (3 KiB each, half of it the
/// nodes of small maps), 8 bytes for each ECU (2 KiB), the names, the header, a hash state for each
/// signature, and the keys of the Root.
const STREAM_KIB: f32 = 19.0;

fn time(text: &str) -> UtcTime {
    text.parse().unwrap()
}

fn root(keys: &[Signer]) -> Vec<u8> {
    let mut root = Root::new(time("2031-01-01T00:00:00Z"), true);
    root.keys = by_id(keys);
    for (kind, key) in RoleType::ALL.into_iter().zip(keys) {
        root.roles
            .insert(kind, role_keys(std::slice::from_ref(key)));
    }
    signed(root.to_payload(), &keys[..1])
}

fn ecu(number: u64) -> Ecu {
    Ecu {
        serial: EcuSerial::new(&format!("ECU-{number:05}")).unwrap(),
        hardware_id: HardwareId::new("board-a").unwrap(),
    }
}

/// 1 MiB for 256 ECUs: each gets an encrypted image, whose content key is encapsulated as ML-KEM-1024
/// would.
fn targets(version: u64, vin: &Vin, signer: &Signer) -> Vec<u8> {
    let mut builder = TargetsBuilder::new(time("2030-02-01T00:00:00Z"));
    builder.header.version = version;
    builder
        .extra
        .insert("custom".into(), custom_with_vin(vin).into());
    for number in 0..ECUS {
        let ecu = ecu(number);
        let path = TargetPath::new(&format!("images/board-a/{number:05}.img")).unwrap();
        let hashes = Hashes::of(&number.to_be_bytes());
        let served = TargetPath::new(&format!("encrypted/{number:05}")).unwrap();
        let mut custom =
            DirectorCustom::new([(ecu.serial.clone(), ecu.hardware_id)].into(), version);
        custom.encrypted = Some(EncryptedTarget::new(
            served,
            70_000,
            hashes.clone(),
            "method",
        ));
        let key = WrappedKey::new(signer.key.id(), vec![1; 1568], vec![2; 96]);
        custom.wrapped_keys = [(ecu.serial, key)].into();
        let mut file = TargetFile::new(65_536, hashes);
        file.custom = Some(custom.to_object());
        builder.targets.insert(path, file);
    }
    signed(builder.to_payload(), [signer])
}

fn follow(root: &[u8]) -> Followed {
    let mut session = FollowRoot::new(Limits::director(), "director");
    let followed: Result<_, Reject> = drive(&mut session, |step| {
        Ok(match step {
            Step::Load { .. } => Reply::Stored(Stored {
                bytes: root.to_vec(),
                accepted_under: None,
            }),
            _ => Reply::NotFound,
        })
    });
    followed.unwrap()
}

#[test]
fn a_mebibyte_of_targets_costs_a_few_kibibytes() {
    let keys: Vec<Signer> = (1..5).map(Signer::number).collect();
    let vin = Vin::new("VIN-OF-THIS-CAR").unwrap();
    let root = root(&keys);
    let [stored, fetched] = [1, 2].map(|version| targets(version, &vin, &keys[3]));
    assert!(
        (1 << 20..5 << 18).contains(&fetched.len()),
        "{} bytes",
        fetched.len()
    );
    let limits = Limits {
        targets_len: 2 << 20,
        part_len: 5 << 10,
        ..Limits::director()
    };
    let context = Context {
        limits,
        ..Context::new(time("2030-01-01T00:00:00Z"))
    };
    let before = MEMORY.current_usage();
    MEMORY.reset_peak_usage();
    let followed = follow(&root);
    let of_root = (MEMORY.peak_usage() - before) as f32 / 1024.0;
    let own = ecu(77);
    MEMORY.reset_peak_usage();
    let mut session = PartialStream::new(followed, vin, own.clone(), context);
    let partial = loop {
        let (file, reply) = match session.next() {
            StreamStep::Load { .. } => (
                &stored,
                StreamReply::Stored {
                    accepted_under: Some(1),
                },
            ),
            StreamStep::Fetch { .. } => (&fetched, StreamReply::Fetched),
            StreamStep::Keep { version, .. } => {
                assert_eq!(version, 2);
                session.supply(StreamReply::Kept);
                continue;
            }
            StreamStep::Done(outcome) => break outcome.unwrap(),
        };
        for chunk in file.chunks(64) {
            session.feed(chunk).unwrap();
        }
        session.supply(reply);
    };
    let of_stream = (MEMORY.peak_usage() - before) as f32 / 1024.0;
    assert_eq!(partial.image.unwrap().ecu(), &own);
    println!("heap: {of_root:.1} KiB for the Root, {of_stream:.1} KiB for the Targets");
    eprintln!("heap: {of_root:.1} KiB for the Root, {of_stream:.1} KiB for the Targets");
    assert!(of_root < ROOT_KIB, "{of_root} KiB");
    assert!(of_stream < STREAM_KIB, "{of_stream} KiB");
}
