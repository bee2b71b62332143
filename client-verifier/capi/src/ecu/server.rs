//! An ECU that its Primary reaches over TCP (docs/secondary-link.md).

use std::ffi::{CString, c_char};
use std::net::SocketAddr;
use std::ptr::null;
use std::sync::Mutex;
use std::time::Duration;

use countersign_client::uptane::link::{LinkPatience, SecondaryServer};
use countersign_client::uptane::secondary::Secondary;
use countersign_verifier::{Code, Reject};

use super::{EcuObject, countersign_ecu};
use crate::boundary::{c_text, countersign_status, guard, look, place, release, text, value_place};
use crate::client::usage;
use crate::error::countersign_error;
use crate::handles::{self, get, handles, lock};

/// A Secondary that listens for its Primary. One call at a time may use it.
pub struct countersign_server {
    _opaque: u8,
}

handles! {
    countersign_server = ServerObject, "a server";
}

pub(crate) struct ServerObject {
    address: CString,
    served: Mutex<(SecondaryServer, Secondary)>,
}

/// Listens at `address`, such as "192.0.2.7:4711", or port 0 for a free one. `ecu` is given up, whatever
/// comes of it; `server` gets a new handle, which you free.
///
/// Refuses with COUNTERSIGN_USAGE if that address cannot be had.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn countersign_ecu_listen(
    ecu: *mut countersign_ecu,
    address: *const c_char,
    server: *mut *mut countersign_server,
    error: *mut *mut countersign_error,
) -> countersign_status {
    guard(error, || {
        let ecu = EcuObject::taken(ecu);
        let (out, ecu) = (place(server, "server")?, ecu?);
        let listener = SecondaryServer::bind(socket(address)?, LinkPatience::default());
        let listener = listener.map_err(|error| usage(format!("address: {error}")))?;
        let at = listener
            .address()
            .map_err(|error| usage(error.to_string()))?;
        out.put(handles::put(ServerObject {
            address: c_text(&at.to_string()),
            served: Mutex::new((listener, ecu)),
        }));
        Ok(())
    })
}

/// Where it listens, such as "127.0.0.1:49152". It lives as long as the handle.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn countersign_server_address(
    server: *const countersign_server,
) -> *const c_char {
    look(null(), || Ok(get(server)?.address.as_ptr()))
}

/// Waits for the next call of the Primary, for at most `wait_ms` milliseconds, and answers it: verifying,
/// staging, installing and reporting happen in here, which takes as long as it takes. `served` says whether
/// there was a call. Call it in a loop, with a wait after which the loop may end: nothing else ends it.
///
/// Refuses with COUNTERSIGN_SECONDARY_UNREACHABLE if this call failed. The next one may be served all the
/// same.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn countersign_server_serve_next(
    server: *mut countersign_server,
    wait_ms: u32,
    served: *mut bool,
    error: *mut *mut countersign_error,
) -> countersign_status {
    guard(error, || {
        let out = value_place(served, "served", false)?;
        let object = get(server)?;
        let (listener, ecu) = &mut *lock(&object.served, "server")?;
        let wait = Duration::from_millis(u64::from(wait_ms));
        let served = listener.serve_within(wait, ecu);
        out.put(!matches!(served, Ok(false)));
        served
            .map(drop)
            .map_err(|error| Reject::new(Code::SecondaryUnreachable, "", error.to_string()))
    })
}

/// Gives a server and its ECU up. NULL is fine.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn countersign_server_free(server: *mut countersign_server) {
    release(server);
}

pub(super) fn socket(address: *const c_char) -> Result<SocketAddr, Reject> {
    let address = text(address, "address")?;
    let parsed = address.parse::<SocketAddr>();
    parsed.map_err(|_| usage(format!("{address:?} is no address such as 192.0.2.7:4711")))
}
