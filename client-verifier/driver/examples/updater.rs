//! An updater: follows a repository, brings one image here, and installs it in one of two slots.
//!
//! ```text
//! updater provision STATE 1.root.json
//! updater update STATE https://fw.example.com boards/a/kernel.img
//! updater confirm STATE
//! ```

#![allow(
    dead_code,
    clippy::print_stdout,
    reason = "a command; tests use its parts"
)]

use std::error::Error;
use std::fs::{self, File};
use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use countersign_client::client::{Client, Image, initialise, read_root};
use countersign_client::clock::system_time;
use countersign_client::fetch::{HttpFetcher, Patience, TlsRoots, UrlFetcher};
use countersign_client::files::TargetDir;
use countersign_client::install::{FileSlots, Installer, Phase};
use countersign_client::store::DirStore;
use countersign_metadata::UtcTime;
use countersign_verifier::{Context, VerifiedImage};

type Failure = Box<dyn Error>;

/// How long to wait for another process that uses the same directory.
const LOCK: Duration = Duration::from_secs(30);

// [provision]
/// At manufacture: the first Root, which came here out of band. Makes no request.
pub(crate) fn provision(state: &Path, root: &Path) -> Result<(), Failure> {
    let mut store = DirStore::open(&state.join("metadata"), LOCK)?;
    initialise(&mut store, read_root(root)?)?;
    Ok(())
}
// [end provision]

// [update]
/// Follows the repository below `url`, and brings the image `name` here.
pub(crate) fn update(state: &Path, url: &str, name: &str) -> Result<Image, Failure> {
    let store = DirStore::open(&state.join("metadata"), LOCK)?;
    let partial = store.partial_directory();
    let http = HttpFetcher::new(Patience::default(), TlsRoots::mozilla());
    let mut client = Client::new(UrlFetcher::new(http), store, &format!("{url}/metadata"));

    let now = system_time().ok_or("the clock is outside the years 0 to 9999")?;
    let mut trusted = client.refresh(Context::new(now))?;
    let target = client.find(&mut trusted, name)?;
    let images = TargetDir::open(&state.join("images"))?;
    let targets_url = format!("{url}/targets");
    let image = client.download(&trusted, &target, &targets_url, &images, &partial, &|_| ())?;
    Ok(image)
}
// [end update]

// [install]
/// Puts the image into the slot that is not in use, and switches to it: on trial.
pub(crate) fn install(state: &Path, image: &Image) -> Result<(), Failure> {
    let mut slots = FileSlots::open(&state.join("slots"), LOCK)?;
    let now = system_time().ok_or("the clock is outside the years 0 to 9999")?;
    // Refused if the metadata that names the image has expired meanwhile.
    let stream = image.verified.target().clone().open(now)?;
    // The bytes are checked once more on their way into the slot, so the file may lie anywhere.
    let verified = slots.stage(stream, &mut File::open(&image.path)?)?;
    slots.activate(verified, now)?;
    Ok(())
}

/// After the restart: the new image works, or the former one comes back.
pub(crate) fn settle(state: &Path, works: bool) -> Result<(), Failure> {
    let mut slots = FileSlots::open(&state.join("slots"), LOCK)?;
    match (slots.phase()?, works) {
        (Phase::Settled, _) => {}
        (Phase::OnTrial, true) => slots.confirm()?,
        (Phase::OnTrial, false) => slots.rollback()?,
    }
    Ok(())
}
// [end install]

// [gate]
/// An installer of your own takes the proof, not a path or a hash: nobody can call it with anything
/// that was not verified. It consumes the proof, so one verification installs one image.
pub(crate) fn switch_to(
    image: VerifiedImage,
    file: &Path,
    running: &Path,
    now: UtcTime,
) -> Result<(), Failure> {
    image.check_fresh(now)?;
    let next = running.with_extension("next");
    fs::copy(file, &next)?;
    File::open(&next)?.sync_all()?;
    fs::rename(&next, running)?;
    // Only now would the new name survive a power cut.
    let folder = running.parent().ok_or("there is no folder around it")?;
    File::open(folder)?.sync_all()?;
    Ok(())
}
// [end gate]

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let done = match words[..] {
        ["provision", state, root] => provision(Path::new(state), Path::new(root)),
        ["update", state, url, name] => {
            let state = Path::new(state);
            update(state, url, name).and_then(|image| install(state, &image))
        }
        ["confirm", state] => settle(Path::new(state), true),
        _ => Err(
            "usage: updater provision STATE ROOT | update STATE URL NAME | confirm STATE".into(),
        ),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("updater: {error}");
            ExitCode::FAILURE
        }
    }
}
