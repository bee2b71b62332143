//! A vehicle whose Primary and Secondaries are made by the exported functions, with everything of its
//! own: transport, Director's service, keys, host, installer.
// Every call is one that C could make: with handles of the library, and texts and places of the test.
#![allow(clippy::undocumented_unsafe_blocks)]

mod support;

use std::ffi::{CStr, CString, c_char, c_void};
use std::io::{Cursor, Read as _};
use std::net::TcpStream;
use std::path::Path;
use std::ptr::{null, null_mut};
use std::sync::atomic::{AtomicBool, Ordering};

use countersign::*;
use countersign_metadata::{Key, PublicKey, canonical};
use countersign_vectors::simulate::sha256_hex;
use countersign_vectors::suite::{self, Vector};
use countersign_vectors::tree::{Answer, Site};
use ring::signature::{Ed25519KeyPair, KeyPair as _};

use support::{Refused, c, call, make, text};

const MAPPING: &CStr = cr#"{"repositories":{"director":["https://example.com/director"],"image":["https://example.com/image"]},
"mapping":[{"paths":["*"],"repositories":["director","image"],"threshold":2,"terminating":true}]}"#;

const VIN: &CStr = c"VIN-OF-THIS-CAR";

// --- What the device brings ---

/// What is served, and whether images are changed on the way.
struct Transport {
    site: Site,
    tampering: bool,
}

unsafe extern "C-unwind" fn open(
    user: *mut c_void,
    url: *const c_char,
    range_from: u64,
    body: *mut *mut c_void,
    starts_at: *mut u64,
    length: *mut u64,
) -> i32 {
    // SAFETY: here and in all callbacks: what the test has given, and places of the library.
    let (transport, url) = unsafe { (&*user.cast::<Transport>(), text(url)) };
    let path = url
        .strip_prefix("https://example.com/")
        .expect("our address");
    let mut bytes = match transport.site.get(path) {
        Answer::Found(bytes) => bytes,
        Answer::Status(_) => return countersign_answer::COUNTERSIGN_ANSWER_NOT_FOUND as i32,
    };
    if transport.tampering && path.contains("/targets/") {
        bytes[0] ^= 1;
    }
    let from = usize::try_from(range_from).expect("a small file");
    let rest = bytes.split_off(from.min(bytes.len()));
    unsafe {
        starts_at.write(range_from);
        length.write(rest.len() as u64);
        body.write(Box::into_raw(Box::new(Cursor::new(rest))).cast());
    }
    countersign_answer::COUNTERSIGN_ANSWER_OK as i32
}

unsafe extern "C-unwind" fn read(body: *mut c_void, buffer: *mut u8, len: usize) -> isize {
    let (body, buffer) = unsafe {
        let body = &mut *body.cast::<Cursor<Vec<u8>>>();
        (body, std::slice::from_raw_parts_mut(buffer, len))
    };
    body.read(buffer).map_or(-1, |n| n.cast_signed())
}

unsafe extern "C-unwind" fn close(body: *mut c_void) {
    drop(unsafe { Box::from_raw(body.cast::<Cursor<Vec<u8>>>()) });
}

/// A key in software.
struct Ecu {
    serial: CString,
    hardware_id: CString,
    pair: Ed25519KeyPair,
    public: CString,
}

impl Ecu {
    fn new(serial: &str, hardware_id: &str, seed: u8) -> Self {
        let pair = Ed25519KeyPair::from_seed_unchecked(&[seed; 32]).expect("a key");
        let public = pair.public_key().as_ref().try_into().expect("32 bytes");
        let key = Key::new(&PublicKey::Ed25519(public)).to_value();
        Self {
            serial: c(serial),
            hardware_id: c(hardware_id),
            public: c(&canonical::encode(&key)),
            pair,
        }
    }

    fn signer(&self) -> countersign_signer {
        countersign_signer {
            user: std::ptr::from_ref(&self.pair).cast_mut().cast(),
            public_key: self.public.as_ptr(),
            sign: Some(sign),
        }
    }

    /// Opens it in `directory`, provisioned with the Roots of the case.
    fn open(
        &self,
        vector: &Vector,
        directory: &Path,
        installer: *const countersign_installer,
    ) -> Result<*mut countersign_ecu, Refused> {
        let directory = c(directory.to_str().expect("UTF-8"));
        let signer = self.signer();
        let options = countersign_ecu_options {
            size: size_of::<countersign_ecu_options>(),
            vin: VIN.as_ptr(),
            serial: self.serial.as_ptr(),
            hardware_id: self.hardware_id.as_ptr(),
            verifies_in_part: false,
            mapping: MAPPING.as_ptr(),
            directory: directory.as_ptr(),
            signer: &signer,
            decryption: null(),
            host: null(),
            installer,
        };
        let (director, image) = roots(vector);
        call(|error| unsafe {
            let (d, i) = (
                (director.as_ptr(), director.len()),
                (image.as_ptr(), image.len()),
            );
            countersign_ecu_provision(&options, d.0, d.1, i.0, i.1, null(), error)
        })?;
        make(|out, error| unsafe { countersign_ecu_open(&options, out, error) })
    }
}

unsafe extern "C-unwind" fn sign(
    user: *mut c_void,
    message: *const u8,
    message_len: usize,
    signature: *mut u8,
    signature_len: *mut usize,
) -> i32 {
    unsafe {
        let pair = &*user.cast::<Ed25519KeyPair>();
        let made = pair.sign(std::slice::from_raw_parts(message, message_len));
        let made = made.as_ref();
        if *signature_len < made.len() {
            return 1;
        }
        std::ptr::copy_nonoverlapping(made.as_ptr(), signature, made.len());
        signature_len.write(made.len());
    }
    0
}

/// The manifests that the Director has got.
type Manifests = Vec<Vec<u8>>;

unsafe extern "C-unwind" fn put_manifest(user: *mut c_void, bytes: *const u8, len: usize) -> i32 {
    unsafe {
        let manifests = &mut *user.cast::<Manifests>();
        manifests.push(std::slice::from_raw_parts(bytes, len).to_vec());
    }
    countersign_answer::COUNTERSIGN_ANSWER_OK as i32
}

unsafe extern "C-unwind" fn attest(
    _: *mut c_void,
    _: *const u8,
    _: usize,
    _: *mut countersign_buffer,
) -> i32 {
    countersign_answer::COUNTERSIGN_ANSWER_NOT_FOUND as i32
}

/// An installer with two slots in memory.
#[derive(Default)]
struct Slots {
    staging: Vec<u8>,
    staged: Option<Vec<u8>>,
    active: Vec<u8>,
    former: Option<Vec<u8>>,
    activated: Vec<String>,
}

/// The installer that `user` points to.
///
/// # Safety
/// It does.
unsafe fn slots<'s>(user: *mut c_void) -> &'s mut Slots {
    unsafe { &mut *user.cast::<Slots>() }
}

unsafe extern "C-unwind" fn precheck(_: *mut c_void, length: u64) -> i32 {
    i32::from(length > 1 << 20)
}

unsafe extern "C-unwind" fn begin(user: *mut c_void, _: *const c_char, _: u64) -> i32 {
    let slots = unsafe { slots(user) };
    (slots.staging, slots.staged) = (Vec::new(), None);
    0
}

unsafe extern "C-unwind" fn write(user: *mut c_void, bytes: *const u8, len: usize) -> i32 {
    let (slots, bytes) = unsafe { (slots(user), std::slice::from_raw_parts(bytes, len)) };
    slots.staging.extend_from_slice(bytes);
    0
}

unsafe extern "C-unwind" fn end(user: *mut c_void, is_whole: bool) -> i32 {
    let slots = unsafe { slots(user) };
    let staging = std::mem::take(&mut slots.staging);
    slots.staged = is_whole.then_some(staging);
    0
}

/// Reads some of an image, as the library asks for it.
///
/// # Safety
/// `buffer` has `len` bytes.
unsafe fn read_some(image: &[u8], offset: u64, buffer: *mut u8, len: usize) -> isize {
    let offset = usize::try_from(offset).expect("a small image");
    let rest = image.get(offset..).unwrap_or_default();
    let n = rest.len().min(len);
    unsafe { std::ptr::copy_nonoverlapping(rest.as_ptr(), buffer, n) };
    n.cast_signed()
}

unsafe extern "C-unwind" fn read_staged(u: *mut c_void, at: u64, b: *mut u8, len: usize) -> isize {
    unsafe { read_some(slots(u).staged.as_deref().unwrap_or_default(), at, b, len) }
}

unsafe extern "C-unwind" fn read_active(u: *mut c_void, at: u64, b: *mut u8, len: usize) -> isize {
    unsafe { read_some(&slots(u).active, at, b, len) }
}

unsafe extern "C-unwind" fn activate(
    user: *mut c_void,
    verified: *const countersign_verified,
) -> i32 {
    let slots = unsafe { slots(user) };
    let Some(staged) = slots.staged.take() else {
        return 900;
    };
    unsafe {
        let sha256 = std::slice::from_raw_parts(countersign_verified_sha256(verified), 32);
        assert_eq!(hex::encode(sha256), sha256_hex(&staged));
        assert_eq!(countersign_verified_length(verified), staged.len() as u64);
        slots
            .activated
            .push(text(countersign_verified_path(verified)));
    }
    slots.former = Some(std::mem::replace(&mut slots.active, staged));
    0
}

unsafe extern "C-unwind" fn confirm(user: *mut c_void) -> i32 {
    unsafe { slots(user) }.former = None;
    0
}

unsafe extern "C-unwind" fn rollback(user: *mut c_void) -> i32 {
    let slots = unsafe { slots(user) };
    slots.active = slots.former.take().unwrap_or_default();
    0
}

unsafe extern "C-unwind" fn is_on_trial(user: *mut c_void) -> i32 {
    i32::from(unsafe { slots(user) }.former.is_some())
}

fn installer(slots: *mut Slots) -> countersign_installer {
    countersign_installer {
        user: slots.cast(),
        needs_restart: false,
        precheck: Some(precheck),
        begin: Some(begin),
        write: Some(write),
        end: Some(end),
        read_staged: Some(read_staged),
        activate: Some(activate),
        confirm: Some(confirm),
        rollback: Some(rollback),
        is_on_trial: Some(is_on_trial),
        read_active: Some(read_active),
    }
}

// --- The vehicle ---

fn vector() -> Vector {
    let vectors = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../test-vectors/vectors");
    suite::load_one(&vectors, "uptane-director/honest").expect("the case")
}

fn roots(vector: &Vector) -> (Vec<u8>, Vec<u8>) {
    let ecu = vector.case.ecu.as_ref().expect("a case of an ECU");
    let (director, image) = (&ecu.director_root, &ecu.image_root);
    (vector.file(director).to_vec(), vector.file(image).to_vec())
}

/// What came of one cycle: the status's name, and of each ECU the outcome.
type Came = (String, Vec<(String, countersign_ecu_outcome)>);

/// Runs two cycles of the whole vehicle. `tampering` changes images on the way.
fn drive(tampering: bool, own: &mut Slots, home: &Path) -> (Vec<Came>, Manifests) {
    let vector = vector();
    let transport = Transport {
        site: vector.site(&vector.case.steps[0]),
        tampering,
    };
    let ecus = [
        Ecu::new("P1", "pcu-a", 1),
        Ecu::new("S1", "brake-b", 2),
        Ecu::new("S2", "lamp-c", 3),
    ];
    let served: Vec<_> = ecus[1..]
        .iter()
        .map(|ecu| {
            let directory = home.join(ecu.serial.to_str().expect("UTF-8"));
            let opened = ecu.open(&vector, &directory, null()).expect("an ECU");
            let server = make(|out, error| unsafe {
                countersign_ecu_listen(opened, c"127.0.0.1:0".as_ptr(), out, error)
            });
            server.expect("a server")
        })
        .collect();
    let stop = AtomicBool::new(false);
    let came = std::thread::scope(|scope| {
        for server in &served {
            // A number, for another thread.
            let (server, stop) = (server.addr(), &stop);
            scope.spawn(move || {
                let server: *mut countersign_server = std::ptr::without_provenance_mut(server);
                while !stop.load(Ordering::SeqCst) {
                    let _ = call(|error| unsafe { countersign_server_serve_next(server, error) });
                }
            });
        }
        let addresses: Vec<CString> = served
            .iter()
            .map(|s| c(&text(unsafe { countersign_server_address(*s) })))
            .collect();
        let came = as_primary(&vector, &transport, &ecus, &addresses, own, home);
        stop.store(true, Ordering::SeqCst);
        for address in &addresses {
            // Wakes the thread that waits for a call.
            let _ = TcpStream::connect(address.to_str().expect("UTF-8"));
        }
        came
    });
    for server in served {
        unsafe { countersign_server_free(server) };
    }
    came
}

fn as_primary(
    vector: &Vector,
    transport: &Transport,
    ecus: &[Ecu; 3],
    addresses: &[CString],
    own: &mut Slots,
    home: &Path,
) -> (Vec<Came>, Manifests) {
    let mut manifests = Manifests::new();
    let installer = installer(own);
    let ecu = ecus[0]
        .open(vector, &home.join("P1"), &installer)
        .expect("the own ECU");
    let members: Vec<countersign_member> = ecus[1..]
        .iter()
        .zip(addresses)
        .map(|(ecu, address)| countersign_member {
            serial: ecu.serial.as_ptr(),
            hardware_id: ecu.hardware_id.as_ptr(),
            public_key: ecu.public.as_ptr(),
            address: address.as_ptr(),
        })
        .collect();
    let fetcher = countersign_fetcher {
        user: std::ptr::from_ref(transport).cast_mut().cast(),
        open: Some(open),
        read: Some(read),
        close: Some(close),
    };
    let director = countersign_director_link {
        user: std::ptr::from_mut(&mut manifests).cast(),
        put_manifest: Some(put_manifest),
        attest: Some(attest),
    };
    let (signer, directory) = (
        ecus[0].signer(),
        c(home.join("primary").to_str().expect("UTF-8")),
    );
    let options = countersign_primary_options {
        size: size_of::<countersign_primary_options>(),
        vin: VIN.as_ptr(),
        serial: ecus[0].serial.as_ptr(),
        hardware_id: ecus[0].hardware_id.as_ptr(),
        mapping: MAPPING.as_ptr(),
        directory: directory.as_ptr(),
        signer: &signer,
        fetcher: &fetcher,
        // SAFETY: all zero is the default.
        http: unsafe { std::mem::zeroed() },
        director: &director,
        members: members.as_ptr(),
        members_count: members.len(),
        best_effort: false,
    };
    let (director_root, image_root) = roots(vector);
    call(|error| unsafe {
        let d = (director_root.as_ptr(), director_root.len());
        let i = (image_root.as_ptr(), image_root.len());
        countersign_primary_provision(&options, d.0, d.1, i.0, i.1, error)
    })
    .expect("provisioned");
    let primary = make(|out, error| unsafe { countersign_primary_open(&options, ecu, out, error) });
    let primary = primary.expect("a primary");
    let came = vec![cycle(primary), cycle(primary)];
    unsafe { countersign_primary_free(primary) };
    (came, manifests)
}

fn cycle(primary: *mut countersign_primary) -> Came {
    let mut cycle = null_mut();
    let done = call(|error| unsafe { countersign_primary_cycle(primary, &mut cycle, error) });
    assert!(!cycle.is_null(), "a cycle, whatever comes of it");
    let mut ecus = Vec::new();
    unsafe {
        assert!(
            countersign_cycle_unreported(cycle).is_null(),
            "the Director has the manifest"
        );
        for index in 0..countersign_cycle_ecus(cycle) {
            let (mut serial, mut message) = (null(), null());
            let mut outcome = countersign_ecu_outcome::COUNTERSIGN_ECU_NOTHING;
            call(|error| {
                countersign_cycle_ecu(cycle, index, &mut serial, &mut outcome, &mut message, error)
            })
            .expect("an ECU");
            ecus.push((text(serial), outcome));
        }
        countersign_cycle_free(cycle);
    }
    let status = done.map_or_else(|refused| refused.refusal.code, |()| "ok".into());
    (status, ecus)
}

#[test]
fn a_vehicle_installs_what_both_repositories_sign() {
    use countersign_ecu_outcome::{COUNTERSIGN_ECU_INSTALLED, COUNTERSIGN_ECU_NOTHING};
    let home = tempfile::tempdir().expect("a directory");
    let mut own = Slots::default();
    let (came, manifests) = drive(false, &mut own, home.path());
    let outcomes = vec![
        ("P1".to_owned(), COUNTERSIGN_ECU_INSTALLED),
        ("S1".to_owned(), COUNTERSIGN_ECU_INSTALLED),
        ("S2".to_owned(), COUNTERSIGN_ECU_NOTHING),
    ];
    assert_eq!(came[0], ("ok".into(), outcomes));
    assert_eq!(came[1], ("ok".into(), Vec::new()), "nothing is left to do");
    assert_eq!(own.activated, ["pcu.img"]);
    assert!(own.former.is_none(), "confirmed");
    let vector = vector();
    let runs = vector.case.steps[1].expect.installed.as_deref();
    assert_eq!(Some(&*sha256_hex(&own.active)), runs);
    assert!(home.path().join("S1/slots/active/image").is_file());
    assert!(manifests.len() >= 3, "{} manifests", manifests.len());
    assert!(String::from_utf8_lossy(&manifests[0]).contains("VIN-OF-THIS-CAR"));
}

#[test]
fn a_vehicle_refuses_images_that_were_changed_on_the_way() {
    let home = tempfile::tempdir().expect("a directory");
    let mut own = Slots::default();
    let (came, _) = drive(true, &mut own, home.path());
    assert_eq!(came[0], ("image-hash".into(), Vec::new()));
    assert!(own.activated.is_empty() && own.active.is_empty());
    assert!(!home.path().join("S1/slots/active").exists());
}

// --- Calls that go wrong inside ---

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
    options.metadata_url = c"https://example.com/image/metadata".as_ptr();
    options.metadata_dir = directory.as_ptr();
    options.fetcher = fetcher;
    let client = make(|out, error| unsafe { countersign_client_new(&options, out, error) });
    let client = client.expect("a client");
    let (_, root) = roots(&vector());
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

#[test]
fn what_is_given_up_is_gone_also_when_the_call_fails() {
    let home = tempfile::tempdir().expect("a directory");
    let own = Ecu::new("P1", "pcu-a", 1);
    let opened = own.open(&vector(), home.path(), null()).expect("an ECU");
    let nowhere = call(|error| unsafe {
        countersign_ecu_listen(opened, c"127.0.0.1:0".as_ptr(), null_mut(), error)
    });
    assert_eq!(nowhere.expect_err("refused").refusal.code, "misuse");
    let again = make(|out, error| unsafe {
        countersign_ecu_listen(opened, c"127.0.0.1:0".as_ptr(), out, error)
    });
    let message = again.expect_err("refused").message;
    assert!(message.contains("no handle of an ECU"), "{message}");
    // Nothing holds its directory any more.
    let reopened = own.open(&vector(), home.path(), null()).expect("the ECU");
    unsafe { countersign_ecu_free(reopened) };
}
