//! File slots: what is staged, switched, kept and refused, and what a power cut leaves.

#![allow(clippy::unwrap_used, reason = "a test that cannot set up has failed")]

#[path = "../../tests/model/mod.rs"]
mod model;

use std::fs;
use std::io::{self, Read};
use std::path::Path;
use std::time::Duration;

use countersign_client::install::{FileSlots, InstallError, Installer, Phase, provision_slots};
use countersign_client::store::{MemoryStore, Store, StoreName};
use countersign_metadata::{Hashes, UtcTime};
use countersign_verifier::{
    Code, Context, ListedTarget, Protocol, Reject, Reply, Session, Step, VerifiedImage, drive,
};
use model::repository::{Published, Repository};

const OLD: &[u8] = b"the image that left the factory";

fn new_image() -> Vec<u8> {
    // Several of the pieces in which an image is written.
    (0..200_003_u32).map(|i| (i % 251) as u8).collect()
}

/// `image` as current metadata lists it, and the time of that.
fn listed(image: &[u8]) -> (ListedTarget, UtcTime) {
    let mut repository = Repository::new(true, true);
    repository.set_image_bytes("targets", image);
    repository.publish();
    let state = repository.states.last().unwrap();
    let mut store = MemoryStore::new();
    let root = &state.files["1.root.json"];
    store.save(&StoreName::Root, root, 1).unwrap();
    let mut session = Session::with_context(Context::new(state.now));
    let mut trusted = follow(&mut session, &mut store, state).unwrap();
    let target = follow(&mut trusted.search("top.img"), &mut store, state).unwrap();
    (target, state.now)
}

fn follow<P: Protocol>(
    session: &mut P,
    store: &mut MemoryStore,
    state: &Published,
) -> Result<P::Output, Reject> {
    drive(session, |step| {
        Ok(match step {
            Step::Load { name } => match store.load(&name).unwrap() {
                Some(stored) => Reply::Stored(stored),
                None => Reply::NotFound,
            },
            Step::LoadPart { name, range } => {
                let part = store.load_part(&name, range).unwrap();
                part.map_or(Reply::NotFound, Reply::part)
            }
            Step::Fetch { what, .. } => match state.files.get(&what.file_name()) {
                Some(file) => Reply::Fetched(file.clone()),
                None => Reply::NotFound,
            },
            Step::Save {
                name,
                bytes,
                accepted_under,
                ..
            } => {
                store.save(&name, bytes, accepted_under).unwrap();
                Reply::Saved
            }
            Step::Done(_) => unreachable!("`drive` ends there"),
        })
    })
}

fn open(directory: &Path) -> FileSlots {
    FileSlots::open(directory, Duration::ZERO).unwrap()
}

fn factory(directory: &Path) -> FileSlots {
    provision_slots(directory, &mut &OLD[..]).unwrap();
    open(directory)
}

fn active(slots: &FileSlots) -> Vec<u8> {
    fs::read(slots.active_image()).unwrap()
}

fn stage(slots: &mut FileSlots, image: &[u8]) -> (VerifiedImage, UtcTime) {
    let (target, now) = listed(image);
    let stream = target.open(now).unwrap();
    (slots.stage(stream, &mut &image[..]).unwrap(), now)
}

fn code(error: &InstallError) -> Option<Code> {
    match error {
        InstallError::Refused(reject) => Some(reject.code),
        _ => None,
    }
}

#[test]
fn an_image_is_staged_tried_and_confirmed() {
    let dir = tempfile::tempdir().unwrap();
    let mut slots = factory(dir.path());
    let image = new_image();
    slots.precheck(image.len() as u64).unwrap();
    let (verified, now) = stage(&mut slots, &image);
    assert_eq!(active(&slots), OLD, "staging runs nothing");

    slots.activate(verified, now).unwrap();
    assert_eq!(slots.phase().unwrap(), Phase::OnTrial);
    assert_eq!(active(&slots), image);
    slots.confirm().unwrap();
    assert_eq!(slots.phase().unwrap(), Phase::Settled);
    let measured = slots.installed().unwrap().unwrap();
    assert_eq!(measured.length, image.len() as u64);
    assert_eq!(measured.hashes, Hashes::of(&image));
    assert!(matches!(slots.confirm(), Err(InstallError::NotOnTrial)));
    assert!(matches!(slots.rollback(), Err(InstallError::NotOnTrial)));
}

#[test]
fn a_trial_that_fails_goes_back_and_can_be_repeated() {
    let dir = tempfile::tempdir().unwrap();
    let mut slots = factory(dir.path());
    for round in 0..3 {
        let image = vec![round; 1000];
        let (verified, now) = stage(&mut slots, &image);
        slots.activate(verified, now).unwrap();
        assert_eq!(active(&slots), image);
        slots.rollback().unwrap();
        assert_eq!(active(&slots), OLD);
        assert_eq!(slots.phase().unwrap(), Phase::Settled);
    }
}

#[test]
fn the_very_first_image_can_fail_too() {
    let dir = tempfile::tempdir().unwrap();
    let mut slots = open(dir.path());
    assert_eq!(slots.installed().unwrap(), None);
    let (verified, now) = stage(&mut slots, b"first");
    slots.activate(verified, now).unwrap();
    slots.rollback().unwrap();
    assert_eq!(slots.installed().unwrap(), None);
    assert_eq!(slots.phase().unwrap(), Phase::Settled);
}

#[test]
fn while_an_image_is_on_trial_nothing_takes_its_fallback() {
    let dir = tempfile::tempdir().unwrap();
    let mut slots = factory(dir.path());
    let (verified, now) = stage(&mut slots, b"new");
    slots.activate(verified, now).unwrap();
    let (target, _) = listed(b"newer");
    assert!(matches!(slots.precheck(5), Err(InstallError::OnTrial)));
    let stream = target.clone().open(now).unwrap();
    let refused = slots.stage(stream, &mut &b"newer"[..]);
    assert!(matches!(refused, Err(InstallError::OnTrial)), "{refused:?}");
    let refused = slots.recheck(target.open(now).unwrap());
    assert!(matches!(refused, Err(InstallError::OnTrial)), "{refused:?}");
    slots.rollback().unwrap();
    assert_eq!(active(&slots), OLD);
}

/// A source that breaks after some bytes.
struct Breaks<'a>(&'a [u8]);

impl Read for Breaks<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self.0.read(buffer)? {
            0 => Err(io::Error::other("the wire was cut")),
            n => Ok(n),
        }
    }
}

#[test]
fn what_is_refused_leaves_nothing_to_activate() {
    let dir = tempfile::tempdir().unwrap();
    let mut slots = factory(dir.path());
    let image = new_image();
    let (target, now) = listed(&image);
    // Something was staged before; it must not be what a later activation takes.
    let (earlier, _) = stage(&mut slots, &image);
    let mut wrong = image.clone();
    wrong[100_000] ^= 1;
    let long = [&image[..], b"x"].concat();
    let short = &image[..image.len() - 1];
    for (bytes, expected) in [
        (&wrong[..], Code::ImageHash),
        (&long, Code::ImageTooLong),
        (short, Code::ImageHash),
    ] {
        let stream = target.clone().open(now).unwrap();
        let error = slots.stage(stream, &mut &bytes[..]).unwrap_err();
        assert_eq!(code(&error), Some(expected));
    }
    let stream = target.clone().open(now).unwrap();
    let error = slots.stage(stream, &mut Breaks(short)).unwrap_err();
    assert!(matches!(error, InstallError::Source(_)), "{error}");
    assert!(error.to_string().contains("the wire was cut"), "{error}");

    assert_eq!(fs::read_dir(dir.path().join("b")).unwrap().count(), 0);
    let error = slots.activate(earlier, now).unwrap_err();
    assert!(matches!(error, InstallError::NotStaged { .. }), "{error}");
    assert_eq!(active(&slots), OLD);
}

#[test]
fn only_what_is_staged_here_and_still_fresh_is_activated() {
    let (first, second) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let (mut here, mut elsewhere) = (factory(first.path()), factory(second.path()));
    let (foreign, now) = stage(&mut elsewhere, b"foreign");
    let (own, _) = stage(&mut here, b"own");
    let error = here.activate(foreign, now).unwrap_err();
    assert!(matches!(error, InstallError::NotStaged { .. }), "{error}");
    drop(own);

    let (own, _) = stage(&mut here, b"own");
    let late = own.target().valid_until();
    let error = here.activate(own, late).unwrap_err();
    assert_eq!(code(&error), Some(Code::Expired));
    assert_eq!(active(&here), OLD);
}

#[test]
fn after_a_restart_what_is_staged_is_checked_again() {
    let dir = tempfile::tempdir().unwrap();
    let image = new_image();
    let mut slots = factory(dir.path());
    let (verified, now) = stage(&mut slots, &image);
    drop(slots);

    let mut slots = open(dir.path());
    let error = slots.activate(verified, now).unwrap_err();
    assert!(matches!(error, InstallError::NotStaged { .. }), "{error}");
    let (target, _) = listed(&image);
    let verified = slots.recheck(target.clone().open(now).unwrap()).unwrap();
    slots.activate(verified, now).unwrap();
    assert_eq!(active(&slots), image);
    slots.rollback().unwrap();

    let staged = dir.path().join("b/image");
    fs::write(&staged, b"something else").unwrap();
    let error = slots.recheck(target.clone().open(now).unwrap());
    assert_eq!(code(&error.unwrap_err()), Some(Code::ImageHash));
    assert!(!staged.exists());
    let error = slots.recheck(target.open(now).unwrap()).unwrap_err();
    assert!(matches!(error, InstallError::NotStaged { .. }), "{error}");
}

#[test]
fn slots_belong_to_one_process_and_to_this_installer() {
    let dir = tempfile::tempdir().unwrap();
    let slots = factory(dir.path());
    let error = FileSlots::open(dir.path(), Duration::ZERO).unwrap_err();
    assert!(matches!(error, InstallError::Lock(_)), "{error}");
    assert!(matches!(
        slots.precheck(u64::MAX),
        Err(InstallError::NoSpace { .. })
    ));
    drop(slots);
    let error = provision_slots(dir.path(), &mut &OLD[..]).unwrap_err();
    assert!(matches!(error, InstallError::Damaged { .. }), "{error}");

    let link = dir.path().join("active");
    fs::remove_file(&link).unwrap();
    std::os::unix::fs::symlink("/etc", &link).unwrap();
    let error = FileSlots::open(dir.path(), Duration::ZERO).unwrap_err();
    assert!(matches!(error, InstallError::Damaged { .. }), "{error}");
    fs::remove_file(&link).unwrap();
    fs::write(&link, b"a").unwrap();
    let error = FileSlots::open(dir.path(), Duration::ZERO).unwrap_err();
    assert!(matches!(error, InstallError::Damaged { .. }), "{error}");
}

/// Killing a process between any two effects on the disk.
#[cfg(feature = "crash-points")]
mod crash {
    use std::os::unix::process::ExitStatusExt;
    use std::process::Command;

    use super::*;

    const DIRECTORY: &str = "COUNTERSIGN_TEST_SLOTS";
    const SIGABRT: i32 = 6;

    /// The process that is killed: a whole installation, if it is told where.
    #[test]
    fn one_installation() {
        let Some(directory) = std::env::var_os(DIRECTORY) else {
            return;
        };
        let mut slots = open(Path::new(&directory));
        if slots.phase().unwrap() == Phase::OnTrial {
            slots.rollback().unwrap();
        }
        let (verified, now) = stage(&mut slots, &new_image());
        slots.activate(verified, now).unwrap();
        slots.confirm().unwrap();
    }

    fn install(directory: &Path, die_at: Option<u64>) -> std::process::ExitStatus {
        let mut command = Command::new(std::env::current_exe().unwrap());
        command.args(["--exact", "crash::one_installation"]);
        command.env(DIRECTORY, directory);
        command.env_remove("COUNTERSIGN_CRASH_POINT");
        if let Some(point) = die_at {
            command.env("COUNTERSIGN_CRASH_POINT", point.to_string());
        }
        command.output().unwrap().status
    }

    #[test]
    fn killed_anywhere_the_old_image_is_there_or_the_new_one() {
        let dir = tempfile::tempdir().unwrap();
        let (old, new) = (Hashes::of(OLD), Hashes::of(&new_image()));
        let mut seen = Vec::new();
        for point in 1.. {
            let at = dir.path().join(point.to_string());
            drop(factory(&at));
            let status = install(&at, Some(point));
            let finished = status.success();
            assert!(finished || status.signal() == Some(SIGABRT), "{status}");

            let slots = open(&at);
            let found = slots.installed().unwrap().unwrap().hashes;
            let phase = slots.phase().unwrap();
            assert!(found == old || found == new, "point {point}");
            // What is not the old image is on trial until the very end.
            assert!(
                found == new || phase == Phase::Settled,
                "point {point}: {phase:?}"
            );
            seen.push((found == new, phase));
            drop(slots);

            assert!(install(&at, None).success(), "after point {point}");
            let found = open(&at).installed().unwrap().unwrap().hashes;
            assert_eq!(found, new, "after point {point}");
            if finished {
                break;
            }
        }
        seen.dedup();
        let expected = [
            (false, Phase::Settled),
            (true, Phase::OnTrial),
            (true, Phase::Settled),
        ];
        assert_eq!(seen, expected);
    }
}
