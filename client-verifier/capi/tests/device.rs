//! A vehicle whose Primary and Secondaries are made by the exported functions, with everything of its
//! own: transport, Director's service, keys, host, installer.
// Every call is one that C could make: with handles of the library, and texts and places of the test.
#![allow(clippy::undocumented_unsafe_blocks)]

mod support;

use std::ffi::{CStr, CString, c_char, c_void};
use std::path::Path;
use std::ptr::{null, null_mut};
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

use countersign::countersign_ecu_outcome::*;
use countersign::*;
use countersign_metadata::{Key, PublicKey, canonical};
use countersign_vectors::simulate::sha256_hex;
use countersign_vectors::suite::{self, Vector};
use ring::signature::{Ed25519KeyPair, KeyPair as _};

use support::transport::Transport;
use support::{Refused, c, call, make, text};

const MAPPING: &CStr = cr#"{"repositories":{"director":["https://example.com/director"],"image":["https://example.com/image"]},
"mapping":[{"paths":["*"],"repositories":["director","image"],"threshold":2,"terminating":true}]}"#;

const VIN: &CStr = c"VIN-OF-THIS-CAR";

// --- What the device brings ---

/// What only the device knows of itself.
#[derive(Default)]
struct Knows {
    /// How often it was asked whether it is ready, and whether its image works.
    asked: [AtomicU32; 2],
}

unsafe extern "C-unwind" fn time(_: *mut c_void) -> i64 {
    NOW
}

unsafe extern "C-unwind" fn may_install(user: *mut c_void) -> bool {
    // SAFETY: here and in all callbacks: what the test has given, and places of the library.
    let knows = unsafe { &*user.cast::<Knows>() };
    knows.asked[0].fetch_add(1, Ordering::SeqCst);
    true
}

unsafe extern "C-unwind" fn health(user: *mut c_void) -> i32 {
    let knows = unsafe { &*user.cast::<Knows>() };
    knows.asked[1].fetch_add(1, Ordering::SeqCst);
    countersign_health::COUNTERSIGN_HEALTH_WORKS as i32
}

/// An ECU with its key in software.
struct Ecu {
    serial: CString,
    hardware_id: CString,
    pair: Ed25519KeyPair,
    public: CString,
    knows: Knows,
    verifies_in_part: bool,
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
            knows: Knows::default(),
            verifies_in_part: false,
        }
    }

    fn asked(&self) -> [u32; 2] {
        self.knows
            .asked
            .each_ref()
            .map(|count| count.load(Ordering::SeqCst))
    }

    fn host(&self) -> countersign_host {
        countersign_host {
            user: std::ptr::from_ref(&self.knows).cast_mut().cast(),
            time: Some(time),
            may_install: Some(may_install),
            health: Some(health),
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
        let (signer, host) = (self.signer(), self.host());
        let options = countersign_ecu_options {
            size: size_of::<countersign_ecu_options>(),
            vin: VIN.as_ptr(),
            serial: self.serial.as_ptr(),
            hardware_id: self.hardware_id.as_ptr(),
            verifies_in_part: self.verifies_in_part,
            mapping: MAPPING.as_ptr(),
            directory: directory.as_ptr(),
            signer: &signer,
            decryption: null(),
            host: &host,
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

/// When it all happens: 2030-01-01T00:00:00Z.
const NOW: i64 = 1_893_456_000;

fn vector(case: &str) -> Vector {
    let vectors = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../test-vectors/vectors");
    suite::load_one(&vectors, case).expect("the case")
}

fn roots(vector: &Vector) -> (Vec<u8>, Vec<u8>) {
    let ecu = vector.case.ecu.as_ref().expect("a case of an ECU");
    let (director, image) = (&ecu.director_root, &ecu.image_root);
    (vector.file(director).to_vec(), vector.file(image).to_vec())
}

/// What came of one cycle: the status's name, and of each ECU the outcome.
type Came = (String, Vec<(String, countersign_ecu_outcome)>);

/// Ends what looks at it.
struct Stop<'a>(&'a AtomicBool);

impl Drop for Stop<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::SeqCst);
    }
}

/// What is different from an honest update over the network.
#[derive(Default)]
struct Plan {
    /// Whether images are changed on the way.
    tampering: bool,
    /// Whether it comes out of an offline bundle.
    carried: bool,
    /// Whether the others install where one ECU cannot be reached; S1 is away then.
    best_effort: Option<bool>,
}

/// Runs two cycles of the whole vehicle.
fn drive(plan: &Plan, own: &mut Slots, home: &Path) -> (Vec<Came>, Manifests, [Ecu; 3]) {
    let vector = vector(match plan.carried {
        true => "uptane-bundles/honest",
        false => "uptane-director/honest",
    });
    let transport = Transport {
        tampering: plan.tampering,
        ..Transport::new(vector.site(&vector.case.steps[0]))
    };
    let mut ecus = [
        Ecu::new("P1", "pcu-a", 1),
        Ecu::new("S1", "brake-b", 2),
        Ecu::new("S2", "lamp-c", 3),
    ];
    ecus[2].verifies_in_part = true;
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
                    let mut served = false;
                    let _ = call(|error| unsafe {
                        countersign_server_serve_next(server, 50, &mut served, error)
                    });
                }
            });
        }
        let mut addresses: Vec<CString> = served
            .iter()
            .map(|s| c(&text(unsafe { countersign_server_address(*s) })))
            .collect();
        if plan.best_effort.is_some() {
            addresses[0] = c"127.0.0.1:1".into();
        }
        // Also when something in here panics: the scope waits for the servers.
        let _stop = Stop(&stop);
        as_primary(plan, &vector, &transport, &ecus, &addresses, own, home)
    });
    for server in served {
        unsafe { countersign_server_free(server) };
    }
    (came.0, came.1, ecus)
}

fn as_primary(
    plan: &Plan,
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
    let fetcher = transport.fetcher();
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
        best_effort: plan.best_effort == Some(true),
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
    let bundle = match plan.carried {
        true => {
            let file = home.join("stick");
            std::fs::write(&file, vector.file("given/1-bundle")).expect("written");
            let path = c(file.to_str().expect("UTF-8"));
            make(|out, error| unsafe { countersign_bundle_open(path.as_ptr(), out, error) })
                .expect("a bundle")
        }
        false => null_mut(),
    };
    fetch(primary, bundle);
    let came = vec![cycle(primary, bundle), cycle(primary, bundle)];
    unsafe {
        countersign_primary_free(primary);
        countersign_bundle_free(bundle);
    }
    (came, manifests)
}

/// The first half alone: says what is there, and installs nothing.
fn fetch(primary: *mut countersign_primary, bundle: *mut countersign_bundle) {
    let mut cycle = null_mut();
    let done = call(|error| unsafe {
        match bundle.is_null() {
            true => countersign_primary_fetch(primary, &mut cycle, error),
            false => countersign_primary_fetch_from(primary, bundle, &mut cycle, error),
        }
    });
    unsafe {
        if done.is_ok() {
            assert_eq!(countersign_cycle_targets_version(cycle), 1);
            let update = make(|out, error| countersign_cycle_update(cycle, out, error));
            let update = update.expect("an update");
            let mut digest = [0; 32];
            let place = digest.as_mut_ptr();
            call(|error| countersign_update_targets_digest(update, place, error))
                .expect("32 bytes");
            assert_ne!(digest, [0; 32]);
            assert_eq!(countersign_update_targets_version(update), 1);
            assert_eq!(countersign_update_count(update), 2);
            let image = make(|out, error| countersign_update_image(update, 0, out, error));
            let image = image.expect("an image");
            assert_eq!(text(countersign_directed_hardware_id(image)), "brake-b");
            assert!(countersign_directed_valid_until(image) > NOW);
            let length = countersign_directed_download_length(image);
            assert_eq!(length, countersign_directed_length(image), "in the clear");
            countersign_directed_free(image);
            countersign_update_free(update);
        }
        assert_eq!(countersign_cycle_ecus(cycle), 0, "nothing is installed");
        countersign_cycle_free(cycle);
    }
}

fn cycle(primary: *mut countersign_primary, bundle: *mut countersign_bundle) -> Came {
    let mut cycle = null_mut();
    let done = call(|error| unsafe {
        match bundle.is_null() {
            true => countersign_primary_cycle(primary, &mut cycle, error),
            false => countersign_primary_cycle_from(primary, bundle, &mut cycle, error),
        }
    });
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
    installs(&Plan::default());
}

#[test]
fn a_vehicle_installs_out_of_a_bundle() {
    installs(&Plan {
        carried: true,
        ..Plan::default()
    });
}

fn installs(plan: &Plan) {
    let home = tempfile::tempdir().expect("a directory");
    let mut own = Slots::default();
    let (came, manifests, ecus) = drive(plan, &mut own, home.path());
    let outcomes = vec![
        ("P1".to_owned(), COUNTERSIGN_ECU_INSTALLED),
        ("S1".to_owned(), COUNTERSIGN_ECU_INSTALLED),
        ("S2".to_owned(), COUNTERSIGN_ECU_NOTHING),
    ];
    assert_eq!(came[0], ("ok".into(), outcomes));
    assert_eq!(came[1], ("ok".into(), Vec::new()), "nothing is left to do");
    assert_eq!(own.activated, ["pcu.img"]);
    assert!(own.former.is_none(), "confirmed");
    for (ecu, is_asked) in ecus.iter().zip([true, true, false]) {
        let [ready, works] = ecu.asked();
        assert_eq!((ready > 0, works > 0), (is_asked, is_asked));
    }
    let vector = vector("uptane-director/honest");
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
    let plan = Plan {
        tampering: true,
        ..Plan::default()
    };
    let (came, ..) = drive(&plan, &mut own, home.path());
    assert_eq!(came[0], ("image-hash".into(), Vec::new()));
    assert!(own.activated.is_empty() && own.active.is_empty());
    assert!(!home.path().join("S1/slots/active").exists());
}

#[test]
fn the_others_wait_for_one_that_is_away_unless_they_are_told_not_to() {
    for (best_effort, first) in [
        (false, COUNTERSIGN_ECU_ABANDONED),
        (true, COUNTERSIGN_ECU_INSTALLED),
    ] {
        let home = tempfile::tempdir().expect("a directory");
        let mut own = Slots::default();
        let plan = Plan {
            best_effort: Some(best_effort),
            ..Plan::default()
        };
        let (came, ..) = drive(&plan, &mut own, home.path());
        let (_, outcomes) = &came[0];
        assert_eq!(outcomes[0], ("P1".to_owned(), first));
        assert_eq!(outcomes[1], ("S1".to_owned(), COUNTERSIGN_ECU_UNREACHABLE));
    }
}

#[test]
fn what_is_given_up_is_gone_also_when_the_call_fails() {
    let home = tempfile::tempdir().expect("a directory");
    let (own, vector) = (Ecu::new("P1", "pcu-a", 1), vector("uptane-director/honest"));
    let opened = own.open(&vector, home.path(), null()).expect("an ECU");
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
    let reopened = own.open(&vector, home.path(), null()).expect("the ECU");
    unsafe { countersign_ecu_free(reopened) };
}

#[test]
fn a_server_that_nobody_calls_gives_the_thread_back() {
    let home = tempfile::tempdir().expect("a directory");
    let (own, vector) = (
        Ecu::new("S1", "brake-b", 2),
        vector("uptane-director/honest"),
    );
    let opened = own.open(&vector, home.path(), null()).expect("an ECU");
    let server = make(|out, error| unsafe {
        countersign_ecu_listen(opened, c"127.0.0.1:0".as_ptr(), out, error)
    });
    let server = server.expect("a server");
    for wait in [0, 20] {
        let mut served = true;
        call(|error| unsafe { countersign_server_serve_next(server, wait, &mut served, error) })
            .expect("no failure");
        assert!(!served);
    }
    unsafe { countersign_server_free(server) };
    let reopened = own.open(&vector, home.path(), null()).expect("the ECU");
    unsafe { countersign_ecu_free(reopened) };
}
