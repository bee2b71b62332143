//! The image gate against plain hashing of the same bytes in the same run.

use std::hint::black_box;

use countersign_metadata::{
    Hashes, Key, MetaFile, PublicKey, RoleType, Root, Snapshot, TargetFile, TargetPath,
    TargetsBuilder, Timestamp, Unsigned, UtcTime,
};
use countersign_verifier::{ListedTarget, Reject, RemoteName, Reply, Session, Step, Stored, drive};
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use ring::digest::{SHA256, SHA512, digest};
use ring::signature::{Ed25519KeyPair, KeyPair};

const LENGTH: usize = 64 << 20;
const CHUNK: usize = 64 << 10;

fn image_gate(criterion: &mut Criterion) {
    let image: Vec<u8> = (0..LENGTH).map(|at| (at % 251) as u8).collect();
    let all = Hashes::of(&image);
    let only256 = Hashes {
        sha512: None,
        ..all.clone()
    };
    let mut group = criterion.benchmark_group("image");
    group
        .sample_size(10)
        .throughput(Throughput::Bytes(LENGTH as u64));
    group.bench_function("plain SHA-256", |bench| {
        bench.iter(|| digest(&SHA256, black_box(&image)))
    });
    group.bench_function("plain SHA-512", |bench| {
        bench.iter(|| digest(&SHA512, black_box(&image)))
    });
    for (name, hashes) in [
        ("gate, SHA-256", only256),
        ("gate, SHA-256 and SHA-512", all),
    ] {
        let target = listed(hashes);
        group.bench_function(name, |bench| {
            bench.iter(|| gate(target.clone(), black_box(&image)))
        });
    }
    group.finish();
}

fn gate(target: ListedTarget, image: &[u8]) {
    let mut stream = target.open(time(1)).expect("fresh metadata");
    for chunk in image.chunks(CHUNK) {
        stream.update(chunk).expect("within the length");
    }
    black_box(stream.finish().expect("the right image"));
}

/// A target as a session ends with it: proof types cannot be made in another way.
fn listed(hashes: Hashes) -> ListedTarget {
    let key = Ed25519KeyPair::from_seed_unchecked(&[7; 32]).expect("a seed");
    let public = key.public_key().as_ref().try_into().expect("32 bytes");
    let sign = |payload: String| {
        let mut file = Unsigned::new(payload);
        let signature = key.sign(file.payload()).as_ref().to_vec();
        file.add_signature(Key::new(&PublicKey::Ed25519(public)).id(), signature);
        file.to_file()
    };
    let mut root = Root::new(time(9), false);
    for role in RoleType::ALL {
        root.add_key(role, Key::new(&PublicKey::Ed25519(public)));
    }
    let mut targets = TargetsBuilder::new(time(9));
    let path = TargetPath::new("image").expect("a safe path");
    targets
        .targets
        .insert(path, TargetFile::new(LENGTH as u64, hashes));
    let mut snapshot = Snapshot::new(time(9));
    snapshot.set_role("targets", MetaFile::version(1));
    let timestamp = Timestamp::new(time(9), MetaFile::version(1));
    let (root, targets) = (sign(root.to_payload()), sign(targets.to_payload()));
    let (snapshot, timestamp) = (sign(snapshot.to_payload()), sign(timestamp.to_payload()));
    let answer = |step: Step<'_, _>| -> Result<Reply, Reject> {
        Ok(match step {
            Step::Load {
                name: countersign_verifier::StoreName::Root,
            } => Reply::Stored(Stored {
                bytes: root.clone(),
                accepted_under: None,
            }),
            Step::Load { .. }
            | Step::Fetch {
                what: RemoteName::Root(_),
                ..
            } => Reply::NotFound,
            Step::Fetch {
                what: RemoteName::Timestamp,
                ..
            } => Reply::Fetched(timestamp.clone()),
            Step::Fetch {
                what: RemoteName::Snapshot(_),
                ..
            } => Reply::Fetched(snapshot.clone()),
            Step::Fetch { .. } => Reply::Fetched(targets.clone()),
            _ => Reply::Saved,
        })
    };
    let mut trusted = drive(&mut Session::refresh(time(1)), answer).expect("an honest repository");
    let nothing = |_: Step<'_, _>| -> Result<Reply, Reject> { Ok(Reply::NotFound) };
    drive(&mut trusted.search("image"), nothing).expect("a listed image")
}

fn time(days: i64) -> UtcTime {
    UtcTime::from_unix(1_900_000_000 + days * 86_400).expect("a time")
}

criterion_group!(benches, image_gate);
criterion_main!(benches);
