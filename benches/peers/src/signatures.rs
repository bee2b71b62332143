//! What checking signatures takes besides the checks themselves.

use std::collections::BTreeMap;

use countersign_metadata::{
    Authority, Key, MetaFile, PublicKey, RoleKeys, Signed, Timestamp, Unsigned, UtcTime,
};
use peak_alloc::PeakAlloc;
use ring::signature::{Ed25519KeyPair, KeyPair as _};
use serde_json::json;

use crate::Result;
use crate::limits::{cpu, print};

#[global_allocator]
static MEMORY: PeakAlloc = PeakAlloc;

/// Checks, and files with signatures.
const ROUNDS: u32 = 300;

/// Signatures of a file that only one is needed of.
const MANY: u8 = 16;

/// Prints `allocated`, the most memory in bytes that was taken at any moment of many checks, and the seconds that
/// believing a small file takes: `one` with the one signature that is needed, `many` with more than are needed.
pub(crate) fn measure() -> Result<()> {
    let pair = pair(0)?;
    let message = [7; 1000];
    let signature = pair.sign(&message);
    let key = public(&pair)?;
    // The first one may set something up.
    let mut valid = key.verify(&message, signature.as_ref());
    MEMORY.reset_peak_usage();
    let before = MEMORY.current_usage();
    for _ in 0..ROUNDS {
        valid &= key.verify(&message, signature.as_ref());
    }
    let allocated = MEMORY.peak_usage() - before;
    if !valid {
        return Err("the signature is not valid".into());
    }
    print(json!({ "allocated": allocated, "one": believing(1)?, "many": believing(MANY)? }));
    Ok(())
}

/// Seconds until a file with so many valid signatures is believed, of which one is needed.
fn believing(signatures: u8) -> Result<f64> {
    let mut file = Timestamp::new(
        UtcTime::from_unix(4_070_908_800).ok_or("no time")?,
        MetaFile::version(1),
    );
    file.header.version = 1;
    let mut file = Unsigned::new(file.to_payload());
    let mut keys = BTreeMap::new();
    for number in 0..signatures {
        let pair = pair(number)?;
        let key = Key::new(&public(&pair)?);
        let signature = pair.sign(file.payload()).as_ref().to_vec();
        file.add_signature(key.id(), signature);
        keys.insert(key.id(), key);
    }
    let role = RoleKeys::new(keys.keys().cloned(), 1);
    let authority = Authority::assume("timestamp", &role, &keys);
    let bytes = file.to_file();
    let parse = |_| Signed::<Timestamp>::parse(bytes.clone());
    let parsed: Vec<_> = (0..ROUNDS)
        .map(parse)
        .collect::<std::result::Result<_, _>>()?;
    let begin = cpu()?;
    for file in parsed {
        file.verify(&authority)?;
    }
    Ok((cpu()? - begin).as_secs_f64() / f64::from(ROUNDS))
}

fn pair(number: u8) -> Result<Ed25519KeyPair> {
    Ed25519KeyPair::from_seed_unchecked(&[number; 32]).map_err(|error| error.to_string().into())
}

fn public(pair: &Ed25519KeyPair) -> Result<PublicKey> {
    Ok(PublicKey::Ed25519(pair.public_key().as_ref().try_into()?))
}
