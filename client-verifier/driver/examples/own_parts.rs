//! A client whose fetcher, store and clock are the device's own. Nothing of HTTP is compiled in.

#![allow(
    dead_code,
    clippy::print_stdout,
    reason = "a command; tests use its parts"
)]

use std::collections::BTreeMap;
use std::error::Error;
use std::io::Cursor;

use countersign_client::client::Client;
use countersign_client::fetch::{Body, FetchError, Fetcher};
use countersign_client::store::{Store, StoreError, StoreName, Stored};
use countersign_metadata::UtcTime;
use countersign_verifier::{Context, ListedTarget};

// [fetcher]
/// What brings files here: a modem, a field bus, a stick. It answers one GET at a time.
pub(crate) struct Carrier {
    pub(crate) files: BTreeMap<String, Vec<u8>>,
    pub(crate) in_reach: bool,
}

impl Fetcher for Carrier {
    fn open(&mut self, url: &str, range_from: u64) -> Result<Body<'_>, FetchError> {
        if !self.in_reach {
            // "I do not know" is never "there is none": that would hide a new Root.
            return Err(FetchError::Disconnected {
                url: url.to_owned(),
                detail: "the carrier is out of reach".into(),
            });
        }
        let Some(file) = self.files.get(url) else {
            return Err(FetchError::NotFound {
                url: url.to_owned(),
                status: None,
            });
        };
        // From the byte that was asked for, or all of it.
        let from = usize::try_from(range_from).ok();
        let (rest, starts_at) = match from.and_then(|from| file.get(from..)) {
            Some(rest) => (rest, range_from),
            None => (&file[..], 0),
        };
        let length = rest.len() as u64;
        Ok(Body::new(url, Cursor::new(rest), Some(length), starts_at))
    }
}
// [end fetcher]

// [store]
/// What the device has for keeping things, whose `put` is atomic and durable when it returns: a
/// power cut leaves the old value or the new one.
#[derive(Default)]
pub(crate) struct Flash(BTreeMap<String, Vec<u8>>);

impl Flash {
    fn get(&self, key: &str) -> Result<Option<Vec<u8>>, std::io::Error> {
        Ok(self.0.get(key).cloned())
    }

    fn put(&mut self, key: &str, value: Vec<u8>) -> Result<(), std::io::Error> {
        self.0.insert(key.into(), value);
        Ok(())
    }
}

/// One record for each file: the Root version that it was accepted under, then its bytes.
#[derive(Default)]
pub(crate) struct FlashStore {
    flash: Flash,
}

/// A delegated role can be called anything, `root` as well: its key has a prefix of its own.
fn key(name: &StoreName) -> String {
    match name {
        StoreName::Root => "root".into(),
        StoreName::RootHistory(version) => format!("root-history/{version}"),
        StoreName::Timestamp => "timestamp".into(),
        StoreName::Snapshot => "snapshot".into(),
        StoreName::Targets => "targets".into(),
        StoreName::TargetsOutline => "targets-outline".into(),
        StoreName::Delegated(role) => format!("role/{role}"),
        StoreName::OfflineSnapshot => "offline-snapshot".into(),
        StoreName::OfflineTargets(name) => format!("offline-targets/{name}"),
    }
}

impl Store for FlashStore {
    fn load(&mut self, name: &StoreName) -> Result<Option<Stored>, StoreError> {
        let record = self.flash.get(&key(name)).map_err(StoreError::other)?;
        let Some(record) = record else {
            return Ok(None);
        };
        // Damage is an error, not absence: who loses the floor accepts old metadata again.
        let Some((version, bytes)) = record.split_first_chunk() else {
            return Err(StoreError::other("a record of the store is damaged"));
        };
        Ok(Some(Stored {
            bytes: bytes.to_vec(),
            accepted_under: Some(u64::from_be_bytes(*version)),
        }))
    }

    fn save(
        &mut self,
        name: &StoreName,
        bytes: &[u8],
        root_version: u64,
    ) -> Result<(), StoreError> {
        let record = [&root_version.to_be_bytes()[..], bytes].concat();
        // The history first: a Root in force that is missing there could not be explained later.
        if *name == StoreName::Root {
            let history = key(&StoreName::RootHistory(root_version));
            let kept = self.flash.put(&history, record.clone());
            kept.map_err(StoreError::other)?;
        }
        let kept = self.flash.put(&key(name), record);
        kept.map_err(StoreError::other)
    }
}
// [end store]

// [clock]
/// The time to verify at. A device without a clock, or with one that has lost its battery, knows at
/// least that it is not earlier than its software was built, nor than the last time that it believed
/// and kept.
pub(crate) fn now(clock: Option<UtcTime>, not_before: UtcTime) -> UtcTime {
    clock.map_or(not_before, |time| time.max(not_before))
}
// [end clock]

// [use]
/// What the repository says of `name`.
pub(crate) fn look_up(
    carrier: Carrier,
    store: FlashStore,
    now: UtcTime,
    name: &str,
) -> Result<ListedTarget, Box<dyn Error>> {
    let mut client = Client::new(carrier, store, "carrier:/metadata");
    let mut trusted = client.refresh(Context::new(now))?;
    Ok(client.find(&mut trusted, name)?)
}
// [end use]

fn main() -> Result<(), Box<dyn Error>> {
    let carrier = Carrier {
        files: BTreeMap::new(),
        in_reach: false,
    };
    let built = "2026-01-01T00:00:00Z".parse()?;
    let unprovisioned = look_up(carrier, FlashStore::default(), now(None, built), "a.img");
    println!(
        "{:?}",
        unprovisioned.map(|target| target.path().to_string())
    );
    Ok(())
}
