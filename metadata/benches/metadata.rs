//! What a client spends on metadata: parsing and verifying Targets files of three sizes, and the
//! canonical check against plain SHA-256, the least that any verifier has to do with a file.

#![allow(
    clippy::unwrap_used,
    reason = "without its inputs there is nothing to measure"
)]

use std::hint::black_box;
use std::time::Duration;

use countersign_metadata::canonical::is_canonical;
use countersign_metadata::{
    Authority, Hashes, Key, PublicKey, RoleKeys, Signed, TargetFile, TargetPath, Targets,
    TargetsBuilder, Unsigned, UtcTime, sha256,
};
use criterion::{BatchSize, BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use ed25519_dalek::{Signer as _, SigningKey};

const SIZES: [usize; 3] = [1_000, 10_000, 100_000];

/// A signed Targets file of `count` images with both hashes, and who may sign it.
fn targets_file(count: usize) -> (Vec<u8>, Authority) {
    let mut builder = TargetsBuilder::new(UtcTime::from_unix(2_000_000_000).unwrap());
    for number in 0..count {
        let path =
            TargetPath::new(&format!("board-{}/image-{number:06}.bin", number % 40)).unwrap();
        let seed = (number as u64).to_be_bytes();
        let image = TargetFile::new(number as u64 * 4096, Hashes::of(&seed));
        builder.targets.insert(path, image);
    }
    let signer = SigningKey::from_bytes(&[7; 32]);
    let key = Key::new(&PublicKey::Ed25519(signer.verifying_key().to_bytes()));
    let id = key.id();
    let mut file = Unsigned::new(builder.to_payload());
    let signature = signer.sign(file.payload()).to_bytes().to_vec();
    file.add_signature(id.clone(), signature);
    let role_keys = RoleKeys::new([id.clone()], 1);
    let authority = Authority::assume("targets", &role_keys, &[(id, key)].into());
    (file.to_file(), authority)
}

fn parse_and_verify(c: &mut Criterion) {
    let mut group = c.benchmark_group("targets.json: parse and verify");
    for count in SIZES {
        let (file, authority) = targets_file(count);
        group.throughput(Throughput::Bytes(file.len() as u64));
        group.bench_function(BenchmarkId::from_parameter(count), |b| {
            b.iter_batched(
                || file.clone(),
                |file| {
                    Signed::<Targets>::parse(file)
                        .unwrap()
                        .verify(&authority)
                        .unwrap()
                },
                BatchSize::LargeInput,
            );
        });
    }
    group.finish();
}

fn parse_only(c: &mut Criterion) {
    let (file, _) = targets_file(SIZES[2]);
    let mut spaced = file.clone();
    spaced.insert(file.len() - 1, b' ');
    spaced.insert(file.len() - 1, b' ');
    let inside = file.len() - 2;
    spaced.swap(inside, inside + 1);
    let mut group = c.benchmark_group("targets.json: parse");
    for (name, file) in [("canonical", file), ("to be canonicalised", spaced)] {
        group.throughput(Throughput::Bytes(file.len() as u64));
        group.bench_function(name, |b| {
            b.iter_batched(
                || file.clone(),
                |file| Signed::<Targets>::parse(file).unwrap(),
                BatchSize::LargeInput,
            );
        });
    }
    group.finish();
}

fn canonical_check(c: &mut Criterion) {
    let (file, _) = targets_file(SIZES[2]);
    let mut group = c.benchmark_group("throughput");
    group.throughput(Throughput::Bytes(file.len() as u64));
    group.bench_function("canonical check", |b| {
        b.iter(|| is_canonical(black_box(&file)).unwrap());
    });
    group.bench_function("sha256", |b| b.iter(|| sha256(black_box(&file))));
    group.finish();
}

fn look_up(c: &mut Criterion) {
    let (file, authority) = targets_file(SIZES[2]);
    let targets = Signed::<Targets>::parse(file)
        .unwrap()
        .verify(&authority)
        .unwrap();
    let path = TargetPath::new("board-15/image-077775.bin").unwrap();
    assert!(targets.content().get(&path).is_some());
    c.bench_function("look up one of 100,000 images", |b| {
        b.iter(|| targets.content().get(black_box(&path)));
    });
}

criterion_group! {
    name = benches;
    config = Criterion::default()
        .sample_size(10)
        .warm_up_time(Duration::from_millis(500))
        .measurement_time(Duration::from_secs(3));
    targets = parse_and_verify, parse_only, canonical_check, look_up
}
criterion_main!(benches);
