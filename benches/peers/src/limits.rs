//! What no client can do without.

use std::fs::{self, File};
use std::io::Read as _;
use std::path::Path;
use std::time::Duration;

use nix::time::{ClockId, clock_gettime};
use ring::digest::{Context, SHA256, digest};
use ring::signature::{ED25519, UnparsedPublicKey};
use serde_json::json;

use crate::Result;
use crate::corpus;

/// A client that believes a file has hashed it once, because Snapshot says its hash, and once more for its signature.
pub(crate) fn metadata(file: &Path) -> Result<()> {
    let bytes = fs::read(file)?;
    let text = String::from_utf8(bytes)?;
    let marker = "\"signed\":";
    let start = text.find(marker).ok_or("it is not signed")? + marker.len();
    let payload = text.get(start..text.len() - 1).ok_or("it is not signed")?;
    let signature = signature(&text)?;
    let key = UnparsedPublicKey::new(&ED25519, corpus::public_key()?);

    let begin = cpu()?;
    let hash = digest(&SHA256, text.as_bytes());
    let hashed = cpu()?;
    key.verify(payload.as_bytes(), &signature)
        .map_err(|_| "the signature is not valid")?;
    let verified = cpu()?;
    std::hint::black_box(hash);
    print(json!({
        "bytes": text.len(),
        "sha256": (hashed - begin).as_secs_f64(),
        "signature": (verified - hashed).as_secs_f64(),
        "cpu": (verified - begin).as_secs_f64(),
    }));
    Ok(())
}

/// A client that believes an image has hashed it.
pub(crate) fn image(file: &Path) -> Result<()> {
    let mut image = File::open(file)?;
    let mut buffer = vec![0; 64 << 10];
    let mut hash = Context::new(&SHA256);
    let (mut bytes, mut hashing) = (0, Duration::ZERO);
    let begin = cpu()?;
    loop {
        let length = image.read(&mut buffer)?;
        if length == 0 {
            break;
        }
        let read = cpu()?;
        hash.update(&buffer[..length]);
        hashing += cpu()? - read;
        bytes += length;
    }
    std::hint::black_box(hash.finish());
    print(json!({
        "bytes": bytes,
        "sha256": hashing.as_secs_f64(),
        "cpu": (cpu()? - begin).as_secs_f64(),
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
fn cpu() -> Result<Duration> {
    Ok(clock_gettime(ClockId::CLOCK_PROCESS_CPUTIME_ID)?.into())
}

fn print(value: serde_json::Value) {
    #[expect(clippy::print_stdout, reason = "a command")]
    {
        println!("{value}");
    }
}
