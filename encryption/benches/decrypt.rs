//! How much of what the machine can do a decrypting device gets.
//!
//! A device hashes the ciphertext, decrypts it, and hashes the plaintext. Beside that, in the same run and
//! in turns, the same three functions of ring over the same amount of memory, without a format around
//! them. The ratio is what the format costs; it does not depend on the machine.

#![allow(clippy::print_stdout, clippy::unwrap_used)]

use std::io::{self, Read as _};
use std::time::{Duration, Instant};

use countersign_encryption::{Decryptor, Encrypted, EncryptionError, SEGMENT_LEN, encrypt};
use ring::aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use ring::digest::{Context, Digest, SHA256};

/// 1 GiB by default; `cargo bench -p countersign-encryption -- 64` takes 64 MiB.
const MIB: usize = 1024;

/// Pairs of runs. The fastest of each side counts: what slows a run down is not the code.
const ROUNDS: usize = 5;

/// What arrives at once.
const PART: usize = 64 * 1024;

fn main() {
    let mib = std::env::args().filter_map(|word| word.parse().ok()).next();
    let length = mib.unwrap_or(MIB) << 20;
    let mut image = io::repeat(0x5a).take(length as u64);
    let mut encrypted = Vec::with_capacity(length + (length >> 10));
    let made = encrypt(&mut image, &mut encrypted).unwrap();

    let (mut device, mut bare) = (Duration::MAX, Duration::MAX);
    for _ in 0..ROUNDS {
        device = device.min(time(|| device_path(&made, &encrypted)));
        bare = bare.min(time(|| bare_functions(&encrypted)));
    }
    let rate = |taken: Duration| (length >> 20) as f64 / taken.as_secs_f64();
    println!("decrypt, with both hashes   {:7.0} MiB/s", rate(device));
    println!("2 x SHA-256 + AES-256-GCM   {:7.0} MiB/s", rate(bare));
    println!(
        "ratio                       {:7.3}",
        rate(device) / rate(bare)
    );
}

fn time<T>(work: impl FnOnce() -> T) -> Duration {
    let start = Instant::now();
    std::hint::black_box(work());
    start.elapsed()
}

fn device_path(made: &Encrypted, encrypted: &[u8]) -> (Digest, Digest) {
    let (mut ciphertext, mut plaintext) = (Context::new(&SHA256), Context::new(&SHA256));
    let mut decryptor = Decryptor::new(&made.key, encrypted.len() as u64).unwrap();
    for part in encrypted.chunks(PART) {
        ciphertext.update(part);
        let mut sink = |plain: &[u8]| {
            plaintext.update(plain);
            Ok::<(), EncryptionError>(())
        };
        decryptor.update(part, &mut sink).unwrap();
    }
    decryptor.finish().unwrap();
    let plaintext = plaintext.finish();
    assert_eq!(plaintext.as_ref(), made.plaintext.hashes.sha256.unwrap());
    (ciphertext.finish(), plaintext)
}

fn bare_functions(encrypted: &[u8]) -> (Digest, Digest) {
    let key = LessSafeKey::new(UnboundKey::new(&AES_256_GCM, &[7; 32]).unwrap());
    let (mut before, mut after) = (Context::new(&SHA256), Context::new(&SHA256));
    let mut buffer = vec![0; SEGMENT_LEN];
    for (number, part) in (0_u32..).zip(encrypted.chunks(SEGMENT_LEN)) {
        before.update(part);
        let buffer = &mut buffer[..part.len()];
        let mut nonce = [0; 12];
        nonce[..4].copy_from_slice(&number.to_be_bytes());
        // GCM decrypts as fast as it encrypts.
        let nonce = Nonce::assume_unique_for_key(nonce);
        let tag = key.seal_in_place_separate_tag(nonce, Aad::empty(), buffer);
        let _ = std::hint::black_box(tag.unwrap());
        after.update(buffer);
    }
    (before.finish(), after.finish())
}
