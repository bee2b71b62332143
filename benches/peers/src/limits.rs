//! What no client can do without.

use std::fs::{self, File};
use std::hint::black_box;
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::time::Duration;

use nix::time::{ClockId, clock_gettime};
use ring::digest::{Context, SHA256, SHA512, digest};
use ring::signature::{ED25519, UnparsedPublicKey};
use serde_json::json;

use crate::Result;
use crate::corpus;

/// A client that believes a file has hashed it once, because Snapshot says its hash, and once more for its signature.
pub(crate) fn metadata(files: &[PathBuf]) -> Result<()> {
    let key = UnparsedPublicKey::new(&ED25519, corpus::public_key()?);
    let (mut bytes, mut hashing, mut checking) = (0, Duration::ZERO, Duration::ZERO);
    for file in files {
        let text = fs::read_to_string(file)?;
        let marker = "\"signed\":";
        let start = text.find(marker).ok_or("it is not signed")? + marker.len();
        let payload = text.get(start..text.len() - 1).ok_or("it is not signed")?;
        let signature = signature(&text)?;

        let begin = cpu()?;
        black_box(digest(&SHA256, text.as_bytes()));
        let hashed = cpu()?;
        key.verify(payload.as_bytes(), &signature)
            .map_err(|_| "the signature is not valid")?;
        checking += cpu()? - hashed;
        hashing += hashed - begin;
        bytes += text.len();
    }
    print(json!({
        "bytes": bytes,
        "sha256": hashing.as_secs_f64(),
        "signature": checking.as_secs_f64(),
        "cpu": (hashing + checking).as_secs_f64(),
    }));
    Ok(())
}

/// Who publishes images has read and hashed them, and has signed some files.
pub(crate) fn publish(files: &[PathBuf], signatures: u32) -> Result<()> {
    let pair = corpus::pair()?;
    let mut hashing = Duration::ZERO;
    let begin = cpu()?;
    let mut bytes = 0;
    for file in files {
        let image = fs::read(file)?;
        let read = cpu()?;
        black_box((digest(&SHA256, &image), digest(&SHA512, &image)));
        hashing += cpu()? - read;
        bytes += image.len();
    }
    let read = cpu()? - begin;
    let begin = cpu()?;
    for _ in 0..signatures {
        black_box(pair.sign(&[7; 1000]));
    }
    let signing = cpu()? - begin;
    print(json!({
        "bytes": bytes,
        "hashes": hashing.as_secs_f64(),
        "signatures": signing.as_secs_f64(),
        "cpu": (hashing + signing).as_secs_f64(),
        "with reading": (read + signing).as_secs_f64(),
    }));
    Ok(())
}

/// A client that believes an image has taken it from a socket, and hashed it; and it is to be kept in a file.
pub(crate) fn download(address: &str, path: &str, to: &Path) -> Result<()> {
    let mut socket = TcpStream::connect(address)?;
    write!(socket, "GET {path} HTTP/1.0\r\n\r\n")?;
    let mut buffer = vec![0; 256 << 10];
    let (mut hash, mut file) = (Context::new(&SHA256), File::create(to)?);
    let (mut hashing, mut writing, mut bytes) = (Duration::ZERO, Duration::ZERO, 0);
    let begin = cpu()?;
    loop {
        let length = socket.read(&mut buffer)?;
        if length == 0 {
            break;
        }
        let read = cpu()?;
        // With the header, which does not matter here.
        hash.update(&buffer[..length]);
        let hashed = cpu()?;
        file.write_all(&buffer[..length])?;
        writing += cpu()? - hashed;
        hashing += hashed - read;
        bytes += length;
    }
    black_box(hash.finish());
    let total = cpu()? - begin;
    print(json!({
        "bytes": bytes,
        "sha256": hashing.as_secs_f64(),
        "reading": (total - hashing - writing).as_secs_f64(),
        "writing": writing.as_secs_f64(),
        "cpu": (total - writing).as_secs_f64(),
    }));
    Ok(())
}

/// The first signature of a file of ours.
fn signature(text: &str) -> Result<Vec<u8>> {
    let (_, rest) = text.split_once("\"sig\":\"").ok_or("it is not signed")?;
    let digits = rest.get(..128).ok_or("it is not signed")?;
    let byte = |at| u8::from_str_radix(&digits[at..at + 2], 16);
    Ok((0..128)
        .step_by(2)
        .map(byte)
        .collect::<std::result::Result<_, _>>()?)
}

/// Processor time of this process so far.
pub(crate) fn cpu() -> Result<Duration> {
    Ok(clock_gettime(ClockId::CLOCK_PROCESS_CPUTIME_ID)?.into())
}

pub(crate) fn print(value: serde_json::Value) {
    #[expect(clippy::print_stdout, reason = "a command")]
    {
        println!("{value}");
    }
}
