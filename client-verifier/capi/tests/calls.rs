//! Calls that go wrong: inside of a callback, with a handle that is in use, with structs that lack something.
// Every call is one that C could make: with handles of the library, and texts and places of the test.
#![allow(clippy::undocumented_unsafe_blocks)]

mod support;

use std::ffi::{CStr, c_char, c_void};
use std::path::Path;
use std::ptr::{null, null_mut};

use countersign::*;
use countersign_vectors::suite::{self, Vector};

use support::transport::{Transport, close, read};
use support::{c, call, make};

const IMAGE: &CStr = c"fw.img";

fn vector() -> Vector {
    let vectors = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../test-vectors/vectors");
    suite::load_one(&vectors, "images/download").expect("the case")
}

unsafe extern "C-unwind" fn panicking(
    _: *mut c_void,
    _: *const c_char,
    _: u64,
    _: *mut *mut c_void,
    _: *mut u64,
    _: *mut u64,
) -> i32 {
    panic!("a defect, {}", 42)
}

fn client(fetcher: &countersign_fetcher, home: &Path) -> *mut countersign_client {
    let directory = c(home.to_str().expect("UTF-8"));
    // SAFETY: all zero is the default.
    let mut options: countersign_client_options = unsafe { std::mem::zeroed() };
    options.size = size_of::<countersign_client_options>();
    options.metadata_url = c"https://example.com/metadata".as_ptr();
    options.metadata_dir = directory.as_ptr();
    options.fetcher = fetcher;
    let client = make(|out, error| unsafe { countersign_client_new(&options, out, error) });
    let client = client.expect("a client");
    let vector = vector();
    let root = vector.trusted_root();
    call(|error| unsafe { countersign_client_init(client, root.as_ptr(), root.len(), error) })
        .expect("the first Root");
    client
}

#[test]
fn a_panic_inside_does_not_cross() {
    let home = tempfile::tempdir().expect("a directory");
    let fetcher = countersign_fetcher {
        user: null_mut(),
        open: Some(panicking),
        read: Some(read),
        close: Some(close),
    };
    let client = client(&fetcher, home.path());
    let refresh = || {
        let done = make(|out, error| unsafe {
            countersign_client_refresh(client, COUNTERSIGN_SYSTEM_TIME, out, error)
        });
        done.expect_err("refused")
    };
    let first = refresh();
    assert_eq!(first.refusal.code, "internal");
    assert!(first.message.contains("a defect, 42"), "{}", first.message);
    let second = refresh();
    assert_eq!(second.refusal.code, "internal");
    assert!(
        second.message.contains("free this client"),
        "{}",
        second.message
    );
    unsafe { countersign_client_free(client) };
}

/// A transport that asks its own client for something.
struct Greedy {
    client: *mut countersign_client,
    refused: Option<String>,
}

unsafe extern "C-unwind" fn greedy(
    user: *mut c_void,
    _: *const c_char,
    _: u64,
    _: *mut *mut c_void,
    _: *mut u64,
    _: *mut u64,
) -> i32 {
    let greedy = unsafe { &mut *user.cast::<Greedy>() };
    let done: Result<*mut countersign_trusted, _> = make(|out, error| unsafe {
        countersign_client_refresh(greedy.client, COUNTERSIGN_SYSTEM_TIME, out, error)
    });
    greedy.refused = done.err().map(|refused| refused.refusal.code);
    countersign_answer::COUNTERSIGN_ANSWER_FAILED as i32
}

#[test]
fn a_handle_in_use_is_refused_and_not_waited_for() {
    let home = tempfile::tempdir().expect("a directory");
    let mut asked = Greedy {
        client: null_mut(),
        refused: None,
    };
    let fetcher = countersign_fetcher {
        user: std::ptr::from_mut(&mut asked).cast(),
        open: Some(greedy),
        read: Some(read),
        close: Some(close),
    };
    let client = client(&fetcher, home.path());
    asked.client = client;
    let done: Result<*mut countersign_trusted, _> = make(|out, error| unsafe {
        countersign_client_refresh(client, COUNTERSIGN_SYSTEM_TIME, out, error)
    });
    assert_eq!(done.expect_err("no transport").refusal.code, "fetch-failed");
    assert_eq!(asked.refused.as_deref(), Some("misuse"));
    unsafe { countersign_client_free(client) };
}

#[test]
fn a_struct_of_another_size_is_refused_before_anything_in_it_is_followed() {
    let home = tempfile::tempdir().expect("a directory");
    let directory = c(home.path().to_str().expect("UTF-8"));
    // SAFETY: all zero is the default.
    let mut options: countersign_client_options = unsafe { std::mem::zeroed() };
    options.metadata_url = c"https://example.com/metadata".as_ptr();
    options.metadata_dir = directory.as_ptr();
    let whole = size_of::<countersign_client_options>();
    for size in [0, 1, 8, 12, whole - 8, whole - 1, whole + 1, usize::MAX] {
        options.size = size;
        let made = make(|out, error| unsafe { countersign_client_new(&options, out, error) });
        assert_eq!(made.expect_err("refused").refusal.code, "misuse", "{size}");
    }
    options.size = whole;
    let made = make(|out, error| unsafe { countersign_client_new(&options, out, error) });
    unsafe { countersign_client_free(made.expect("a client")) };
}

/// What a callback of a download tries with the state that the download is about.
struct Curious {
    trusted: *mut countersign_trusted,
    refused: Option<String>,
}

unsafe extern "C-unwind" fn curious(user: *mut c_void, _: u64, _: u64) {
    let curious = unsafe { &mut *user.cast::<Curious>() };
    let searched = make(|out, error| unsafe {
        countersign_session_search(curious.trusted, IMAGE.as_ptr(), out, error)
    });
    let refused = searched.expect_err("refused");
    curious.refused = Some(refused.refusal.code);
}

/// A client after a refresh, its state, and the image of the case.
fn refreshed(
    transport: &Transport,
    home: &Path,
) -> (
    *mut countersign_client,
    *mut countersign_trusted,
    *mut countersign_target,
) {
    let client = client(&transport.fetcher(), home);
    let trusted = make(|out, error| unsafe {
        countersign_client_refresh(client, COUNTERSIGN_SYSTEM_TIME, out, error)
    });
    let trusted = trusted.expect("refreshed");
    let target = make(|out, error| unsafe {
        countersign_client_find(client, trusted, IMAGE.as_ptr(), out, error)
    });
    (client, trusted, target.expect("an image"))
}

#[test]
fn a_state_in_use_is_refused_and_not_waited_for() {
    let home = tempfile::tempdir().expect("a directory");
    let (vector, images) = (vector(), c(home.path().to_str().expect("UTF-8")));
    let transport = Transport::new(vector.site(&vector.case.steps[0]));
    let (client, trusted, target) = refreshed(&transport, &home.path().join("metadata"));
    let mut asks = Curious {
        trusted,
        refused: None,
    };
    let verified = make(|out, error| unsafe {
        let (url, user) = (c"https://example.com/targets".as_ptr(), &raw mut asks);
        let (directory, partial, user) = (images.as_ptr(), null(), user.cast());
        countersign_client_download(
            client,
            trusted,
            target,
            url,
            directory,
            partial,
            Some(curious),
            user,
            out,
            error,
        )
    });
    let verified = verified.expect("downloaded");
    assert_eq!(asks.refused.as_deref(), Some("misuse"));
    unsafe {
        countersign_verified_free(verified);
        countersign_target_free(target);
        countersign_trusted_free(trusted);
        countersign_client_free(client);
    }
}

#[test]
fn a_sink_that_takes_nothing_gets_no_proof() {
    let home = tempfile::tempdir().expect("a directory");
    let vector = vector();
    let transport = Transport::new(vector.site(&vector.case.steps[0]));
    let (client, trusted, target) = refreshed(&transport, home.path());
    let sink = countersign_sink {
        user: null_mut(),
        write: None,
    };
    let verified = make(|out, error| unsafe {
        let (url, now) = (
            c"https://example.com/targets".as_ptr(),
            COUNTERSIGN_SYSTEM_TIME,
        );
        countersign_client_download_to(client, target, url, now, &sink, out, error)
    });
    assert_eq!(verified.expect_err("refused").refusal.code, "misuse");
    unsafe {
        countersign_target_free(target);
        countersign_trusted_free(trusted);
        countersign_client_free(client);
    }
}

#[test]
fn places_hold_nothing_after_a_refusal() {
    let garbage = || std::ptr::without_provenance::<c_char>(1);
    let refused = |done: Result<(), support::Refused>| {
        assert_eq!(done.expect_err("refused").refusal.code, "misuse");
    };
    let (mut serial, mut message) = (garbage(), garbage());
    let mut outcome = countersign_ecu_outcome::COUNTERSIGN_ECU_INSTALLED;
    refused(call(|error| unsafe {
        countersign_cycle_ecu(null(), 0, &mut serial, &mut outcome, &mut message, error)
    }));
    assert!(serial.is_null() && message.is_null());
    assert_eq!(outcome, countersign_ecu_outcome::COUNTERSIGN_ECU_NOTHING);

    let mut step = countersign_step {
        kind: countersign_step_kind::COUNTERSIGN_STEP_DONE,
        name: garbage(),
        role: garbage(),
        max_len: 1,
        version: 1,
        accepted_under: 1,
        bytes: garbage().cast(),
        len: 1,
        history_name: garbage(),
    };
    refused(call(|error| unsafe {
        countersign_session_next(null_mut(), &mut step, error)
    }));
    assert_eq!(step.kind, countersign_step_kind::COUNTERSIGN_STEP_NONE);
    assert!(step.name.is_null() && step.bytes.is_null() && step.len == 0);

    let mut origin = countersign_origin {
        kind: countersign_origin_kind::COUNTERSIGN_ORIGIN_URI,
        text: garbage(),
    };
    refused(call(|error| unsafe {
        countersign_directed_origin(null(), &mut origin, error)
    }));
    assert_eq!(
        origin.kind,
        countersign_origin_kind::COUNTERSIGN_ORIGIN_NONE
    );
    assert!(origin.text.is_null());
}

#[test]
fn a_floor_that_was_damaged_is_refused() {
    let nobody = null();
    for is_set in [2, 0xff] {
        let floor = countersign_time_floor {
            is_set,
            time: 0,
            keys: [0; 32],
        };
        let (mut now, mut attested) = (5, true);
        let done = call(|error| unsafe {
            countersign_root_latest_attested(nobody, &floor, &mut now, &mut attested, error)
        });
        let message = done.expect_err("refused").message;
        assert!(message.contains("neither 0 nor 1"), "{message}");
        assert_eq!((now, attested), (i64::MIN, false));
    }
}
