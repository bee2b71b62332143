//! A Primary: what it does for its vehicle in one cycle (Uptane 5.4.2).

use std::collections::BTreeMap;
use std::ffi::{c_char, c_void};
use std::path::Path;
use std::sync::Mutex;

use countersign_client::fetch::{FetchError, UrlFetcher};
use countersign_client::store::DirStore;
use countersign_client::uptane::bundle as offline;
use countersign_client::uptane::link::{LinkPatience, TcpLink};
use countersign_client::uptane::primary::{
    Bundle, Cycle, DirectorLink, HttpDirector, Member, Parts, Primary, PrimaryError,
};
use countersign_client::uptane::secondary::Secondary;
use countersign_metadata::uptane::{Mapping, Nonce, Vin};
use countersign_metadata::{Key, json};
use countersign_verifier::Reject;

use super::cycle::{CycleObject, countersign_cycle};
use super::device::{OwnSigner, countersign_signer};
use super::server::socket;
use super::{EcuObject, countersign_ecu, open_store, provision_roots};
use crate::boundary::{Place, countersign_status, given, guard, items, place, release, text};
use crate::client::{
    AnyFetcher, countersign_answer, countersign_buffer, countersign_fetcher,
    countersign_http_options, http, sized, store_failed, usage,
};
use crate::error::countersign_error;
use crate::handles::{self, free, get, handles, lock, misuse};
use crate::uptane::{countersign_bundle, countersign_ecu_id, ecu, mapping, parsed};

/// A Primary with its own ECU. One call at a time may use it. It may move between threads.
pub struct countersign_primary {
    _opaque: u8,
}

handles! {
    countersign_primary = Mutex<PrimaryObject>, "a primary";
}

type Vehicle = Primary<'static, AnyFetcher, AnyDirector, DirStore, Secondary, OwnSigner>;

pub(crate) struct PrimaryObject(Vehicle);

// SAFETY: its links to Secondaries are TCP links, which may move between threads; everything else in it
// says so by itself.
unsafe impl Send for PrimaryObject {}

/// A Secondary, as its Primary knows it.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct countersign_member {
    /// Its serial.
    pub serial: *const c_char,
    /// Its hardware identifier.
    pub hardware_id: *const c_char,
    /// The public key that verifies its reports, as JSON.
    pub public_key: *const c_char,
    /// Where it listens, such as "192.0.2.7:4711".
    pub address: *const c_char,
}

/// The Director's service over a way of your own. Its functions are called on the thread of the cycle, and
/// must not throw.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub struct countersign_director_link {
    /// Handed to the functions.
    pub user: *mut c_void,
    /// Sends the vehicle version manifest. Returns COUNTERSIGN_ANSWER_OK only if the Director has it.
    pub put_manifest: Option<
        unsafe extern "C-unwind" fn(user: *mut c_void, manifest: *const u8, len: usize) -> i32,
    >,
    /// Asks for an attestation of the time that answers `nonces`, `count` of 16 bytes each, and puts it into
    /// `attestation`. Returns a countersign_answer: COUNTERSIGN_ANSWER_NOT_FOUND if there is no time server.
    pub attest: Option<
        unsafe extern "C-unwind" fn(
            user: *mut c_void,
            nonces: *const u8,
            count: usize,
            attestation: *mut countersign_buffer,
        ) -> i32,
    >,
}

/// What a Primary is made of, beside its own ECU.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct countersign_primary_options {
    /// sizeof(countersign_primary_options): a later version of this library may have more members.
    pub size: usize,
    /// The vehicle.
    pub vin: *const c_char,
    /// The Primary's own serial.
    pub serial: *const c_char,
    /// Its hardware identifier.
    pub hardware_id: *const c_char,
    /// The repository mapping as JSON: where the repositories are, and which images both have to sign.
    pub mapping: *const c_char,
    /// A directory of its own, another than the ECU's: `director` and `image` (metadata for the vehicle),
    /// `primary` (its record, and images on their way).
    pub directory: *const c_char,
    /// The key that signs manifests: that of its own ECU.
    pub signer: *const countersign_signer,
    /// A transport of your own, or NULL.
    pub fetcher: *const countersign_fetcher,
    /// How to fetch where `fetcher` is NULL; the certificate is this vehicle's at the Director.
    pub http: countersign_http_options,
    /// The Director's service, or NULL: then the manifest goes to where the mapping says the Director is
    /// (docs/device-api.md).
    pub director: *const countersign_director_link,
    /// The Secondaries.
    pub members: *const countersign_member,
    /// How many there are.
    pub members_count: usize,
    /// Whether the others install where one ECU cannot take its part. By default nobody does.
    pub best_effort: bool,
}

impl countersign_primary_options {
    fn directory(&self) -> Result<&Path, Reject> {
        text(self.directory, "options->directory").map(Path::new)
    }

    fn fetcher(&self) -> Result<AnyFetcher, Reject> {
        match self.fetcher.is_null() {
            true => Ok(AnyFetcher::Url(Box::new(UrlFetcher::new(http(
                &self.http,
            )?)))),
            false => AnyFetcher::own(given(self.fetcher, "options->fetcher")?),
        }
    }

    fn director(&self, mapping: &Mapping) -> Result<AnyDirector, Reject> {
        if !self.director.is_null() {
            return AnyDirector::own(given(self.director, "options->director")?);
        }
        let url = mapping.urls(Mapping::DIRECTOR).first();
        let url = url.ok_or_else(|| misuse("the mapping has no URL of the Director".into()))?;
        let director = HttpDirector::new(http(&self.http)?, url);
        director
            .map(AnyDirector::Http)
            .map_err(|error| usage(error.to_string()))
    }

    fn parts(
        &self,
        own: Secondary,
    ) -> Result<Parts<'static, AnyFetcher, AnyDirector, DirStore, Secondary, OwnSigner>, Reject>
    {
        let id = ecu(&countersign_ecu_id {
            serial: self.serial,
            hardware_id: self.hardware_id,
        })?;
        let mapping = mapping(self.mapping, "options->mapping")?;
        let directory = self.directory()?;
        let members = items(self.members, self.members_count, "options->members")?;
        let secondaries = members
            .iter()
            .map(member)
            .collect::<Result<BTreeMap<_, _>, _>>()?;
        if secondaries.len() < members.len() || secondaries.contains_key(&id.serial) {
            return Err(misuse("one serial is given twice".into()));
        }
        Ok(Parts {
            vin: parsed(self.vin, "options->vin", Vin::new)?,
            serial: id.serial,
            hardware_id: id.hardware_id,
            fetcher: self.fetcher()?,
            director: self.director(&mapping)?,
            mapping,
            director_store: open_store(directory, Mapping::DIRECTOR)?,
            image_store: open_store(directory, Mapping::IMAGE)?,
            own,
            key: OwnSigner::of(given(self.signer, "options->signer")?)?,
            secondaries,
            bundle: match self.best_effort {
                true => Bundle::BestEffort,
                false => Bundle::AllOrNothing,
            },
        })
    }
}

type KnownMember = (countersign_metadata::uptane::EcuSerial, Member<'static>);

fn member(member: &countersign_member) -> Result<KnownMember, Reject> {
    let id = ecu(&countersign_ecu_id {
        serial: member.serial,
        hardware_id: member.hardware_id,
    })?;
    let known = Member {
        hardware_id: id.hardware_id,
        key: parsed(member.public_key, "member->public_key", |text| {
            Key::of(&json::parse(text.as_bytes())?)
        })?,
        link: Box::new(TcpLink::new(
            socket(member.address)?,
            LinkPatience::default(),
        )),
    };
    Ok((id.serial, known))
}

/// What a Primary gets at the factory (Uptane 5.4.1), beside what its own ECU gets: the first Roots of both
/// repositories. Fine if they are there already.
///
/// Of `options` only the directory is looked at.
/// Refuses with COUNTERSIGN_ROOT_CONFLICT if another Root is trusted, and for what is wrong with one.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn countersign_primary_provision(
    options: *const countersign_primary_options,
    director_root: *const u8,
    director_root_len: usize,
    image_root: *const u8,
    image_root_len: usize,
    error: *mut *mut countersign_error,
) -> countersign_status {
    guard(error, || {
        let options: countersign_primary_options = sized(options, "options")?;
        let roots = [
            (
                Mapping::DIRECTOR,
                items(director_root, director_root_len, "director_root")?,
            ),
            (
                Mapping::IMAGE,
                items(image_root, image_root_len, "image_root")?,
            ),
        ];
        provision_roots(options.directory()?, roots)
    })
}

/// Puts a Primary together. `ecu` is given up, whatever comes of it. `primary` gets a new handle, which you
/// free; everything in `options` is copied, and what the `user` pointers of callbacks point to has to live
/// as long as the Primary.
///
/// Refuses with COUNTERSIGN_STORE_FAILED if the directory was not provisioned or is in use.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn countersign_primary_open(
    options: *const countersign_primary_options,
    ecu: *mut countersign_ecu,
    primary: *mut *mut countersign_primary,
    error: *mut *mut countersign_error,
) -> countersign_status {
    guard(error, || {
        let own = EcuObject::taken(ecu);
        let (out, own) = (place(primary, "primary")?, own?);
        let options: countersign_primary_options = sized(options, "options")?;
        let directory = options.directory()?.join("primary");
        let opened = Primary::open(options.parts(own)?, &directory);
        let opened = opened.map_err(|error| store_failed(&error))?;
        out.put(handles::put(Mutex::new(PrimaryObject(opened))));
        Ok(())
    })
}

/// One cycle, in the order of the Standard: manifest, time, metadata, images, then all of that for every ECU,
/// and the manifest again. What was verified is kept also when it is refused.
///
/// `cycle` gets a new handle, which you free, also after a refusal: NULL only if this machine failed.
/// Refuses for everything that docs/refusals.md lists; that an ECU refused is in the cycle.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn countersign_primary_cycle(
    primary: *mut countersign_primary,
    cycle: *mut *mut countersign_cycle,
    error: *mut *mut countersign_error,
) -> countersign_status {
    run(primary, cycle, error, Vehicle::cycle)
}

/// The first half of a cycle: verifies metadata and images, and installs nothing. Otherwise as
/// countersign_primary_cycle.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn countersign_primary_fetch(
    primary: *mut countersign_primary,
    cycle: *mut *mut countersign_cycle,
    error: *mut *mut countersign_error,
) -> countersign_status {
    run(primary, cycle, error, Vehicle::fetch)
}

/// As countersign_primary_cycle, with the metadata and images of an offline bundle (PURE-2). The Director
/// is told if it can be reached, and asked for the time; without it the latest time that was attested
/// counts. `bundle` stays yours.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn countersign_primary_cycle_from(
    primary: *mut countersign_primary,
    bundle: *mut countersign_bundle,
    cycle: *mut *mut countersign_cycle,
    error: *mut *mut countersign_error,
) -> countersign_status {
    run_from(primary, bundle, cycle, error, Vehicle::cycle_from)
}

/// As countersign_primary_fetch, with the metadata and images of an offline bundle. Otherwise as
/// countersign_primary_cycle_from.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn countersign_primary_fetch_from(
    primary: *mut countersign_primary,
    bundle: *mut countersign_bundle,
    cycle: *mut *mut countersign_cycle,
    error: *mut *mut countersign_error,
) -> countersign_status {
    run_from(primary, bundle, cycle, error, Vehicle::fetch_from)
}

fn run_from(
    primary: *mut countersign_primary,
    bundle: *mut countersign_bundle,
    cycle: *mut *mut countersign_cycle,
    error: *mut *mut countersign_error,
    go: impl FnOnce(&mut Vehicle, &mut offline::Bundle) -> Result<Cycle, PrimaryError>,
) -> countersign_status {
    guard(error, || {
        let out = place(cycle, "cycle")?;
        let carried = get(bundle)?;
        let mut carried = lock(&carried.bundle, "bundle")?;
        ended(primary, out, |vehicle| go(vehicle, &mut carried))
    })
}

fn run(
    primary: *mut countersign_primary,
    cycle: *mut *mut countersign_cycle,
    error: *mut *mut countersign_error,
    go: impl FnOnce(&mut Vehicle) -> Result<Cycle, PrimaryError>,
) -> countersign_status {
    guard(error, || {
        let out = place(cycle, "cycle")?;
        ended(primary, out, go)
    })
}

/// Hands out what a cycle came to, also when it was refused.
fn ended(
    primary: *mut countersign_primary,
    out: Place<*mut countersign_cycle>,
    go: impl FnOnce(&mut Vehicle) -> Result<Cycle, PrimaryError>,
) -> Result<(), Reject> {
    let object = get(primary)?;
    let mut primary = lock(&object, "primary")?;
    let mut cycle = go(&mut primary.0).map_err(|error| store_failed(&error))?;
    let refused = cycle.refused.take();
    out.put(handles::put(CycleObject::of(cycle)));
    refused.map_or(Ok(()), Err)
}

/// Gives a Primary and its own ECU up. NULL is fine.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn countersign_primary_free(primary: *mut countersign_primary) {
    release(primary);
}

/// The Director's service: ours over HTTP, or one behind callbacks.
pub(crate) enum AnyDirector {
    Http(HttpDirector),
    Own(Callbacks),
}

/// A service behind callbacks.
pub(crate) struct Callbacks {
    user: *mut c_void,
    put_manifest: unsafe extern "C-unwind" fn(*mut c_void, *const u8, usize) -> i32,
    attest:
        unsafe extern "C-unwind" fn(*mut c_void, *const u8, usize, *mut countersign_buffer) -> i32,
}

// SAFETY: the header says that callbacks are called on the thread of the cycle, one at a time.
unsafe impl Send for Callbacks {}

impl AnyDirector {
    fn own(given: &countersign_director_link) -> Result<Self, Reject> {
        let absent = || misuse("a function of the director link is NULL".into());
        Ok(Self::Own(Callbacks {
            user: given.user,
            put_manifest: given.put_manifest.ok_or_else(absent)?,
            attest: given.attest.ok_or_else(absent)?,
        }))
    }
}

impl DirectorLink for AnyDirector {
    fn put_manifest(&mut self, manifest: &[u8]) -> Result<(), FetchError> {
        match self {
            Self::Http(director) => director.put_manifest(manifest),
            Self::Own(own) => {
                // SAFETY: C has given this function for this purpose.
                let answer =
                    unsafe { (own.put_manifest)(own.user, manifest.as_ptr(), manifest.len()) };
                match answer == countersign_answer::COUNTERSIGN_ANSWER_OK as i32 {
                    true => Ok(()),
                    false => Err(failed("the manifest was not taken")),
                }
            }
        }
    }

    fn attest(&mut self, nonces: &[Nonce]) -> Result<Option<Vec<u8>>, FetchError> {
        let own = match self {
            Self::Http(director) => return director.attest(nonces),
            Self::Own(own) => own,
        };
        let bytes: Vec<u8> = nonces.iter().flat_map(|nonce| nonce.0).collect();
        let buffer = handles::put::<countersign_buffer>(Mutex::default());
        let object = get(buffer).map_err(|error| failed(&error.detail))?;
        // SAFETY: as above.
        let answer = unsafe { (own.attest)(own.user, bytes.as_ptr(), nonces.len(), buffer) };
        free(buffer);
        let mut attestation = lock(&object, "buffer").map_err(|error| failed(&error.detail))?;
        match answer {
            answer if answer == countersign_answer::COUNTERSIGN_ANSWER_OK as i32 => {
                Ok(Some(std::mem::take(&mut *attestation)))
            }
            answer if answer == countersign_answer::COUNTERSIGN_ANSWER_NOT_FOUND as i32 => Ok(None),
            _ => Err(failed("the time was not attested")),
        }
    }
}

fn failed(detail: &str) -> FetchError {
    FetchError::Disconnected {
        url: "the Director".into(),
        detail: detail.into(),
    }
}
