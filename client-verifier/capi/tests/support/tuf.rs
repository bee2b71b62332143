//! A TUF client over the exported functions.

use std::collections::BTreeSet;
use std::ptr::null;

use countersign::*;
use countersign_vectors::format::{Action, Step};
use countersign_vectors::run::{Client, Observed, RunError};
use countersign_vectors::simulate::sha256_hex;
use countersign_vectors::suite::Vector;
use countersign_vectors::tree::{Answer, Site};

use super::{
    Line, Refused, Source, Store, c, call, make, observed, own_refusal, provisioned, text, trusted,
};

/// With its store in memory.
#[derive(Default)]
pub(crate) struct Tuf {
    store: Store,
}

impl Client for Tuf {
    fn init(&mut self, vector: &Vector) -> Result<(), RunError> {
        self.store = provisioned(vector.trusted_root());
        Ok(())
    }

    fn act(&mut self, vector: &Vector, step: &Step) -> Result<Observed, RunError> {
        let now = super::ecu::clock(vector, step);
        let site = vector.site(step);
        let (mut requests, mut downloads) = (Vec::new(), BTreeSet::new());
        let mut line = Line {
            store: &mut self.store,
            source: Source::Served(&site),
            folder: "metadata/",
            prefix: "",
            requests: &mut requests,
        };
        let outcome = act(&mut line, &site, &step.action, now, &mut downloads);
        Ok(Observed {
            trusted: trusted(&self.store, "").collect(),
            requests,
            downloads,
            ..observed(&outcome)
        })
    }
}

fn act(
    line: &mut Line<'_>,
    site: &Site,
    action: &Action,
    now: i64,
    downloads: &mut BTreeSet<String>,
) -> Result<(), Refused> {
    let context = countersign_context {
        now,
        repository: null(),
        limits: countersign_limits::default(),
    };
    // SAFETY: here and below: handles of the library, texts and places of ours.
    let session = make(|out, error| unsafe { countersign_session_refresh(&context, out, error) })?;
    let trusted = line.drive(session).and_then(|()| {
        make(|out, error| unsafe { countersign_session_take_trusted(session, out, error) })
    });
    unsafe { countersign_session_free(session) };
    let trusted = trusted?;
    let names: &[String] = match action {
        Action::Download(names) => names,
        _ => &[],
    };
    let outcome = names
        .iter()
        .try_for_each(|name| download(line, site, trusted, name, now, downloads));
    unsafe { countersign_trusted_free(trusted) };
    outcome
}

fn download(
    line: &mut Line<'_>,
    site: &Site,
    trusted: *mut countersign_trusted,
    name: &str,
    now: i64,
    downloads: &mut BTreeSet<String>,
) -> Result<(), Refused> {
    // A path with a NUL is none that C could ask for.
    let name = c(name);
    let session = make(|out, error| unsafe {
        countersign_session_search(trusted, name.as_ptr(), out, error)
    })?;
    let target = line.drive(session).and_then(|()| {
        make(|out, error| unsafe { countersign_session_take_target(session, out, error) })
    });
    unsafe { countersign_session_free(session) };
    let target = target?;
    let outcome = fetch(site, target, now).map(|bytes| {
        downloads.insert(sha256_hex(&bytes));
    });
    unsafe { countersign_target_free(target) };
    outcome
}

fn fetch(site: &Site, target: *mut countersign_target, now: i64) -> Result<Vec<u8>, Refused> {
    let (role, path) = unsafe {
        let path = countersign_target_remote_path(target);
        let path = (!path.is_null()).then(|| text(path));
        (text(countersign_target_role(target)), path)
    };
    let image = make(|out, error| unsafe { countersign_target_open(target, now, out, error) })?;
    // `open` has refused a target without a known hash.
    let path = path.expect("a path");
    let bytes = match site.get(&format!("targets/{path}")) {
        Answer::Found(bytes) => bytes,
        Answer::Status(status) => {
            unsafe { countersign_image_free(image) };
            let code = match status {
                403 | 404 | 410 => "image-missing",
                _ => "fetch-failed",
            };
            return Err(own_refusal(code, &role, ""));
        }
    };
    pour(image, &bytes, 5)?;
    Ok(bytes)
}

/// Passes an image through its gate, in pieces of `size` bytes.
pub(crate) fn pour(
    image: *mut countersign_image,
    bytes: &[u8],
    size: usize,
) -> Result<(), Refused> {
    for piece in bytes.chunks(size) {
        let taken = call(|error| unsafe {
            countersign_image_update(image, piece.as_ptr(), piece.len(), error)
        });
        if let Err(refused) = taken {
            unsafe { countersign_image_free(image) };
            return Err(refused);
        }
    }
    let verified = make(|out, error| unsafe { countersign_image_finish(image, out, error) })?;
    unsafe { countersign_verified_free(verified) };
    Ok(())
}
