//! Two transfers of one file, where the first was given up and is not over yet.

#![allow(clippy::unwrap_used, reason = "a test that cannot set up has failed")]

use std::fs;
use std::path::PathBuf;
use std::sync::Mutex;
use std::thread;
use std::time::Duration;

use countersign_client::files::{Begun, ImageCheck, Need, TargetDir, Transfer, Wanted};

const CONTENT: &[u8] = b"the right bytes";

/// Accepts these bytes and no others, at the end.
struct Exactly(Vec<u8>);

impl ImageCheck for Exactly {
    type Proof = ();
    type Refusal = &'static str;

    fn update(&mut self, bytes: &[u8]) -> Result<(), &'static str> {
        self.0.extend_from_slice(bytes);
        Ok(())
    }

    fn finish(self) -> Result<(), &'static str> {
        match self.0 == CONTENT {
            true => Ok(()),
            false => Err("other bytes"),
        }
    }
}

type Exact = Transfer<Exactly, fn() -> Exactly>;

struct Device {
    dir: tempfile::TempDir,
    targets: TargetDir,
}

impl Device {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let targets = TargetDir::open(&dir.path().join("T")).unwrap();
        Self { dir, targets }
    }

    fn partial(&self) -> PathBuf {
        self.dir.path().join("partial")
    }

    fn begin(&self) -> Exact {
        let wanted = Wanted {
            url: "test:/image",
            name: "image",
            length: CONTENT.len() as u64,
            key: "key",
        };
        let new_check: fn() -> Exactly = || Exactly(Vec::new());
        match Transfer::begin(&wanted, &self.targets, &self.partial(), new_check).unwrap() {
            Begun::Missing(transfer) => transfer,
            Begun::There(_) => panic!("it is there"),
        }
    }

    /// Brings what is missing.
    fn complete(&self, transfer: &mut Exact) {
        while let Need::Body { from } = transfer.next(&self.targets).unwrap() {
            transfer.opened(from, None).unwrap();
            let rest = &CONTENT[usize::try_from(from).unwrap()..];
            assert!(transfer.take(rest).unwrap().is_continue());
            transfer.ended();
        }
    }

    fn assert_complete(&self) {
        assert_eq!(fs::read(self.dir.path().join("T/image")).unwrap(), CONTENT);
        assert!(!self.partial().exists());
    }
}

#[test]
fn the_second_waits_for_the_first_and_goes_on_from_it() {
    let device = Device::new();
    let mut first = device.begin();
    assert!(matches!(
        first.next(&device.targets),
        Ok(Need::Body { from: 0 })
    ));
    first.opened(0, None).unwrap();
    let order = Mutex::new(Vec::new());
    thread::scope(|scope| {
        scope.spawn(|| {
            let mut second = device.begin();
            order.lock().unwrap().push("second begins");
            assert_eq!(second.position(), 9);
            device.complete(&mut second);
        });
        thread::sleep(Duration::from_millis(200));
        // The last write of a task that nobody waits for.
        assert!(first.take(&CONTENT[..9]).unwrap().is_continue());
        order.lock().unwrap().push("first writes");
        drop(first);
    });
    assert_eq!(
        order.into_inner().unwrap(),
        ["first writes", "second begins"]
    );
    device.assert_complete();
}

#[test]
fn the_second_does_not_write_into_a_file_that_the_first_has_put_in_its_place() {
    let device = Device::new();
    let mut first = device.begin();
    thread::scope(|scope| {
        let second = scope.spawn(|| {
            let mut second = device.begin();
            second.opened(0, None).unwrap();
            // Other bytes, of which the file in its place must see nothing.
            assert!(second.take(b"bad").unwrap().is_continue());
            assert_eq!(
                fs::read(device.dir.path().join("T/image")).unwrap(),
                CONTENT
            );
            second
        });
        thread::sleep(Duration::from_millis(200));
        device.complete(&mut first);
        drop(first);
        let mut second = second.join().unwrap();
        let error = countersign_client::files::DownloadError::Refused("other bytes");
        second.abandon(error);
    });
    device.assert_complete();
}

#[test]
fn more_bytes_than_the_file_has_are_too_many_even_if_the_first_ones_are_right() {
    let device = Device::new();
    let mut transfer = device.begin();
    assert!(transfer.next(&device.targets).is_ok());
    transfer.opened(0, None).unwrap();
    assert!(transfer.take(CONTENT).unwrap().is_continue());
    let more = transfer.take(b"!").unwrap_err();
    let countersign_client::files::DownloadError::Fetch(more) = more else {
        panic!("{more}");
    };
    let told = transfer.failed(more).unwrap_err();
    assert!(matches!(
        told,
        countersign_client::fetch::FetchError::TooLarge { limit: 15, .. }
    ));
}
