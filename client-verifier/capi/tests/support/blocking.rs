//! The blocking client, with a transport and a store of its own, and images that go to a sink.

use std::collections::BTreeSet;

use countersign::*;
use countersign_vectors::format::{Action, Step};
use countersign_vectors::run::{Client, Observed, RunError};
use countersign_vectors::simulate::sha256_hex;
use countersign_vectors::suite::Vector;

use super::transport::{self, Transport};
use super::{Refused, Store, c, collecting, make, observed, provisioned, text, trusted};

/// With its store in memory.
#[derive(Default)]
pub(crate) struct Blocking {
    store: Store,
}

impl Client for Blocking {
    fn init(&mut self, vector: &Vector) -> Result<(), RunError> {
        self.store = provisioned(vector.trusted_root());
        Ok(())
    }

    fn act(&mut self, vector: &Vector, step: &Step) -> Result<Observed, RunError> {
        let now = super::ecu::clock(vector, step);
        let transport = Transport::new(vector.site(step));
        let mut downloads = BTreeSet::new();
        let client = self.open(&transport);
        let outcome = act(client, &step.action, now, &mut downloads);
        unsafe { countersign_client_free(client) };
        let asked = transport.asked.borrow();
        let metadata = asked
            .iter()
            .filter_map(|path| path.strip_prefix("metadata/"));
        Ok(Observed {
            trusted: trusted(&self.store, "").collect(),
            requests: metadata.map(str::to_owned).collect(),
            downloads,
            ..observed(&outcome)
        })
    }
}

impl Blocking {
    fn open(&mut self, transport: &Transport) -> *mut countersign_client {
        let (fetcher, store) = (transport.fetcher(), transport::store(&mut self.store));
        // SAFETY: all zero is the default.
        let mut options: countersign_client_options = unsafe { std::mem::zeroed() };
        options.size = size_of::<countersign_client_options>();
        options.metadata_url = c"https://example.com/metadata".as_ptr();
        options.store = &store;
        options.fetcher = &fetcher;
        make(|out, error| unsafe { countersign_client_new(&options, out, error) })
            .expect("a client")
    }
}

fn act(
    client: *mut countersign_client,
    action: &Action,
    now: i64,
    downloads: &mut BTreeSet<String>,
) -> Result<(), Refused> {
    let state = make(|out, error| unsafe { countersign_client_refresh(client, now, out, error) })?;
    assert_eq!(unsafe { countersign_trusted_now(state) }, now);
    let names: &[String] = match action {
        Action::Download(names) => names,
        _ => &[],
    };
    let outcome = names.iter().try_for_each(|name| {
        download(client, state, name, now).map(|hash| {
            downloads.insert(hash);
        })
    });
    unsafe { countersign_trusted_free(state) };
    outcome
}

/// The hash of the image, as it came into the sink.
fn download(
    client: *mut countersign_client,
    state: *mut countersign_trusted,
    name: &str,
    now: i64,
) -> Result<String, Refused> {
    // A path with a NUL is none that C could ask for.
    let name = c(name);
    let target = make(|out, error| unsafe {
        countersign_client_find(client, state, name.as_ptr(), out, error)
    })?;
    let mut bytes = Vec::new();
    let sink = collecting(&mut bytes);
    let verified = make(|out, error| unsafe {
        let url = c"https://example.com/targets".as_ptr();
        countersign_client_download_to(client, target, url, now, &sink, out, error)
    });
    let hash = sha256_hex(&bytes);
    if verified.is_ok() {
        states_of(target, &bytes);
    }
    unsafe { countersign_target_free(target) };
    unsafe { countersign_verified_free(verified?) };
    Ok(hash)
}

/// What the getters of a target say of the image that has passed.
fn states_of(target: *const countersign_target, image: &[u8]) {
    // SAFETY: a live handle; digests of these lengths or NULL.
    unsafe {
        assert_eq!(countersign_target_length(target), image.len() as u64);
        let sha256 = countersign_target_sha256(target);
        if !sha256.is_null() {
            assert_eq!(
                std::slice::from_raw_parts(sha256, 32),
                countersign_metadata::sha256(image)
            );
        }
        let sha512 = countersign_target_sha512(target);
        if !sha512.is_null() {
            assert_eq!(
                std::slice::from_raw_parts(sha512, 64),
                countersign_metadata::sha512(image)
            );
        }
        assert!(!sha256.is_null() || !sha512.is_null());
        assert!(countersign_target_valid_until(target) > 0);
        let custom = countersign_target_custom(target);
        assert!(custom.is_null() || text(custom).starts_with('{'));
    }
}
