//! Target files from a server to their place, and what stays behind when that fails.

#![allow(clippy::unwrap_used, reason = "a test that cannot set up has failed")]

mod support;

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use countersign_client::fetch::{FetchError, FileFetcher, HttpFetcher, TlsRoots, UrlFetcher};
use countersign_client::files::{
    DownloadError, Downloaded, FilesError, ImageCheck, TargetDir, Wanted, download,
};
use countersign_client::store::DirStore;
use support::{IMPATIENT, Server, drip, ok, send, stall, status};

/// Accepts exactly the bytes of `expected`, and notes how far it got.
struct Exactly<'a> {
    expected: &'a [u8],
    seen: usize,
}

#[derive(Debug, PartialEq, thiserror::Error)]
enum Refusal {
    #[error("content")]
    Content,
    #[error("length")]
    Length,
}

impl ImageCheck for Exactly<'_> {
    type Proof = usize;
    type Refusal = Refusal;

    fn update(&mut self, bytes: &[u8]) -> Result<(), Refusal> {
        let end = self.seen + bytes.len();
        if self.expected.get(self.seen..end) != Some(bytes) {
            return Err(Refusal::Content);
        }
        self.seen = end;
        Ok(())
    }

    fn finish(self) -> Result<usize, Refusal> {
        if self.seen == self.expected.len() {
            Ok(self.seen)
        } else {
            Err(Refusal::Length)
        }
    }
}

/// A client's two directories, and what it wants.
struct Device {
    dir: tempfile::TempDir,
    content: Vec<u8>,
}

impl Device {
    fn new() -> Self {
        Device {
            dir: tempfile::tempdir().unwrap(),
            content: (0..300_000u32).map(|i| (i / 3 % 253) as u8).collect(),
        }
    }

    fn get(&self, server: &str) -> Result<Downloaded<usize>, DownloadError<Refusal>> {
        self.get_as(server, "boot/image.bin")
    }

    fn get_as(
        &self,
        server: &str,
        name: &str,
    ) -> Result<Downloaded<usize>, DownloadError<Refusal>> {
        let store = DirStore::open(&self.dir.path().join("D"), Duration::ZERO).unwrap();
        let targets = TargetDir::open(&self.targets()).unwrap();
        let wanted = Wanted {
            url: &format!("{server}/image"),
            name,
            length: self.content.len() as u64,
            key: "sha256:of the content",
        };
        let mut fetcher = UrlFetcher::new(HttpFetcher::new(IMPATIENT, TlsRoots::mozilla()));
        let mut new_check = || Exactly {
            expected: &self.content,
            seen: 0,
        };
        let partial = store.partial_directory();
        download(&mut fetcher, &wanted, &targets, &partial, &mut new_check)
    }

    fn targets(&self) -> PathBuf {
        self.dir.path().join("T")
    }

    fn partial(&self) -> PathBuf {
        self.dir.path().join("D/partial")
    }

    #[track_caller]
    fn assert_nothing_is_left(&self) {
        assert_eq!(fs::read_dir(self.targets()).unwrap().count(), 0);
        assert!(!self.partial().exists());
    }

    #[track_caller]
    fn assert_complete(&self) {
        assert_eq!(
            files_below(&self.targets()),
            [self.targets().join("boot/image.bin")]
        );
        assert!(fs::read(self.targets().join("boot/image.bin")).unwrap() == self.content);
        assert!(!self.partial().exists());
    }
}

fn files_below(dir: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files.extend(files_below(&path))
        } else {
            files.push(path)
        }
    }
    files
}

/// Sends the content from the offset asked for, and breaks off once there were `most` bytes.
fn broken_server(content: Vec<u8>, most: usize) -> Server {
    Server::http(move |request, stream, _| {
        let from = match request.header("range") {
            Some(range) => range["bytes=".len()..]
                .trim_end_matches('-')
                .parse()
                .unwrap(),
            None => 0,
        };
        let rest = &content[from..];
        let head = match from {
            0 => format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", rest.len()),
            _ => format!(
                "HTTP/1.1 206 x\r\nContent-Range: bytes {from}-{}/{}\r\nContent-Length: {}\r\n\r\n",
                content.len() - 1,
                content.len(),
                rest.len()
            ),
        };
        send(stream, head);
        send(stream, &rest[..most.min(rest.len())]);
    })
}

#[test]
fn a_target_is_fetched_once() {
    let device = Device::new();
    let content = device.content.clone();
    let server = Server::http(move |_, stream, _| ok(stream, &content));
    let first = device.get(&server.url).unwrap();
    assert!(!first.was_there);
    assert_eq!(first.path, device.targets().join("boot/image.bin"));
    device.assert_complete();
    assert!(device.get(&server.url).unwrap().was_there);
    assert_eq!(server.requests().len(), 1);

    fs::write(device.targets().join("boot/image.bin"), b"changed").unwrap();
    assert!(!device.get(&server.url).unwrap().was_there);
    device.assert_complete();
}

#[test]
fn a_download_that_breaks_off_is_resumed_where_it_was() {
    let device = Device::new();
    let server = broken_server(device.content.clone(), 110_000);
    device.get(&server.url).unwrap();
    device.assert_complete();
    let ranges: Vec<_> = server
        .requests()
        .iter()
        .map(|r| r.header("range").map(String::from))
        .collect();
    assert_eq!(
        ranges,
        [
            None,
            Some("bytes=110000-".into()),
            Some("bytes=220000-".into())
        ]
    );
}

#[test]
fn a_later_run_goes_on_from_what_an_earlier_one_left() {
    let device = Device::new();
    let server = broken_server(device.content.clone(), 50_000);
    let error = device.get(&server.url).unwrap_err();
    assert!(
        matches!(error, DownloadError::Fetch(FetchError::Disconnected { .. })),
        "{error}"
    );
    assert_eq!(fs::read_dir(device.targets()).unwrap().count(), 0);
    let kept = files_below(&device.partial());
    assert_eq!(kept.len(), 1);
    assert_eq!(fs::metadata(&kept[0]).unwrap().len(), 150_000);

    let server = broken_server(device.content.clone(), usize::MAX);
    device.get(&server.url).unwrap();
    assert_eq!(server.requests()[0].header("range"), Some("bytes=150000-"));
    device.assert_complete();
}

#[test]
fn a_server_that_ignores_ranges_is_read_from_the_start() {
    let device = Device::new();
    let content = device.content.clone();
    let server = Server::http(move |_, stream, before| {
        send(
            stream,
            format!(
                "HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n",
                content.len()
            ),
        );
        send(
            stream,
            &content[..if before == 0 { 100_000 } else { content.len() }],
        );
    });
    device.get(&server.url).unwrap();
    assert_eq!(server.requests().len(), 2);
    device.assert_complete();
}

/// Answers with all of `content` or with the range asked for, as `ranges` says for the number of
/// requests before, and breaks off when the whole file has come to byte `cut`. After 40 requests
/// there is no file any more: a client that came so far goes on for ever.
fn teasing_server(content: Vec<u8>, cut: usize, ranges: fn(usize) -> bool) -> Server {
    Server::http(move |request, stream, before| {
        if before >= 40 {
            return status(stream, "404 Not Found");
        }
        let asked = request
            .header("range")
            .map(|range| range["bytes=".len()..].trim_end_matches('-'));
        let (from, head) = match asked {
            Some(from) if ranges(before) => {
                let (from, last): (usize, _) = (from.parse().unwrap(), content.len() - 1);
                let range = format!("Content-Range: bytes {from}-{last}/{}", content.len());
                (from, format!("HTTP/1.1 206 x\r\n{range}\r\n"))
            }
            _ => (0, "HTTP/1.1 200 OK\r\n".into()),
        };
        let length = content.len() - from;
        send(stream, format!("{head}Content-Length: {length}\r\n\r\n"));
        send(stream, &content[from..cut.max(from)]);
    })
}

/// A device that wants more than what counts as progress.
fn device_for_megabytes() -> Device {
    let content = (0..3_000_000u32).map(|i| (i / 3 % 253) as u8).collect();
    Device {
        content,
        ..Device::new()
    }
}

#[track_caller]
fn assert_given_up(device: &Device, server: &Server, requests: usize) {
    let error = device.get(&server.url).unwrap_err();
    assert!(
        matches!(error, DownloadError::Fetch(FetchError::Disconnected { .. })),
        "{error}"
    );
    assert_eq!(server.requests().len(), requests);
}

#[test]
fn the_same_bytes_over_and_over_are_no_progress() {
    let device = device_for_megabytes();
    // The first 2.5 MB, each time from the start.
    let server = teasing_server(device.content.clone(), 2_500_000, |_| false);
    assert_given_up(&device, &server, 3);
    // And once more over what that left.
    let server = teasing_server(device.content.clone(), 2_500_000, |_| false);
    assert_given_up(&device, &server, 3);

    // From the start and from where it was, in turn.
    let device = device_for_megabytes();
    let server = teasing_server(device.content.clone(), 2_500_000, |before| before % 2 == 1);
    assert_given_up(&device, &server, 3);
}

#[test]
fn megabytes_in_many_pieces_are_progress() {
    const PIECE: usize = 300_000;
    let device = device_for_megabytes();
    let server = broken_server(device.content.clone(), 2 * PIECE);
    device.get(&server.url).unwrap();
    device.assert_complete();
    assert_eq!(server.requests().len(), device.content.len() / (2 * PIECE));
}

#[test]
fn a_file_is_not_started_over_without_end_for_a_little_more_each_time() {
    let device = device_for_megabytes();
    let content = device.content.clone();
    // 600 KB more each time, but from the start.
    let server = Server::http(move |_, stream, before| {
        if before >= 40 {
            return status(stream, "404 Not Found");
        }
        let length = content.len();
        send(
            stream,
            format!("HTTP/1.1 200 OK\r\nContent-Length: {length}\r\n\r\n"),
        );
        send(stream, &content[..length.min(600_000 * (before + 1)) - 1]);
    });
    assert_given_up(&device, &server, 4);
}

#[test]
fn bad_bytes_of_an_earlier_server_do_not_stand_in_the_way() {
    // Found bad when they are read back.
    let device = Device::new();
    let bad = broken_server(vec![0xff; device.content.len()], 10);
    assert!(matches!(
        device.get(&bad.url),
        Err(DownloadError::Refused(Refusal::Content))
    ));
    device.assert_nothing_is_left();
    leave(&device, &[0xff; 1000]);
    let good = broken_server(device.content.clone(), usize::MAX);
    device.get(&good.url).unwrap();
    device.assert_complete();

    // Longer than the file is.
    let device = Device::new();
    leave(&device, &[0xff; 400_000]);
    device.get(&good.url).unwrap();
    device.assert_complete();

    // Complete, and only never renamed: nothing has to be fetched.
    let device = Device::new();
    leave(&device, &device.content);
    let silent = Server::http(|_, _, _| stall());
    device.get(&silent.url).unwrap();
    assert!(silent.requests().is_empty());
    device.assert_complete();
}

/// Puts `bytes` where a killed run would have left them.
fn leave(device: &Device, bytes: &[u8]) {
    let broken = broken_server(device.content.clone(), 10);
    assert!(device.get(&broken.url).is_err());
    fs::write(&files_below(&device.partial())[0], bytes).unwrap();
}

#[test]
fn what_is_not_the_right_file_leaves_nothing_behind() {
    let device = Device::new();
    let mut tampered = device.content.clone();
    tampered[250_000] ^= 1;
    let mut longer = device.content.clone();
    longer.push(0);
    let shorter = device.content[..299_999].to_vec();

    let server = Server::http(move |_, stream, _| ok(stream, &tampered));
    assert!(matches!(
        device.get(&server.url),
        Err(DownloadError::Refused(Refusal::Content))
    ));
    device.assert_nothing_is_left();

    let server = Server::http(move |_, stream, _| ok(stream, &shorter));
    assert!(matches!(
        device.get(&server.url),
        Err(DownloadError::Refused(Refusal::Length))
    ));
    device.assert_nothing_is_left();

    let announced = longer.clone();
    for server in [
        Server::http(move |_, stream, _| ok(stream, &announced)),
        Server::http(move |_, stream, _| {
            send(stream, "HTTP/1.0 200 OK\r\n\r\n");
            send(stream, &longer);
        }),
    ] {
        let error = device.get(&server.url).unwrap_err();
        let too_large = matches!(error, DownloadError::Fetch(FetchError::TooLarge { .. }));
        assert!(too_large, "{error}");
        device.assert_nothing_is_left();
    }

    let server = Server::http(|_, stream, _| status(stream, "404 Not Found"));
    let error = device.get(&server.url).unwrap_err();
    assert!(
        matches!(&error, DownloadError::Fetch(e) if e.is_not_found()),
        "{error}"
    );
    device.assert_nothing_is_left();
}

#[test]
fn endless_and_slow_targets_are_given_up() {
    let device = Device::new();
    let content = device.content.clone();
    let endless = Server::http(move |_, stream, _| {
        send(stream, "HTTP/1.0 200 OK\r\n\r\n");
        send(stream, &content);
        drip(stream, &[0; 1000], Duration::ZERO);
    });
    let error = device.get(&endless.url).unwrap_err();
    assert!(
        matches!(error, DownloadError::Fetch(FetchError::TooLarge { .. })),
        "{error}"
    );
    device.assert_nothing_is_left();

    let slow = Server::http(|_, stream, _| {
        send(stream, "HTTP/1.1 200 OK\r\nContent-Length: 300000\r\n\r\n");
        stall();
    });
    let error = device.get(&slow.url).unwrap_err();
    assert!(
        matches!(error, DownloadError::Fetch(FetchError::Slow { .. })),
        "{error}"
    );
    device.assert_nothing_is_left();
}

#[test]
fn a_complete_file_is_taken_from_a_server_that_never_hangs_up() {
    let device = Device::new();
    let content = device.content.clone();
    let server = Server::http(move |_, stream, _| {
        send(stream, "HTTP/1.0 200 OK\r\n\r\n");
        send(stream, &content);
        stall();
    });
    device.get(&server.url).unwrap();
    device.assert_complete();
}

#[test]
fn an_unsafe_name_makes_no_request() {
    let device = Device::new();
    let server = Server::http(|_, stream, _| ok(stream, b""));
    let error = device.get_as(&server.url, "../image").unwrap_err();
    assert!(
        matches!(error, DownloadError::Files(FilesError::UnsafeName { .. })),
        "{error}"
    );
    assert!(server.requests().is_empty());
}

#[test]
fn an_empty_target_is_fetched_too() {
    let mut device = Device::new();
    device.content.clear();
    let server = Server::http(|_, stream, _| status(stream, "404 Not Found"));
    assert!(device.get(&server.url).is_err());
    let server = Server::http(|_, stream, _| ok(stream, b""));
    device.get(&server.url).unwrap();
    device.assert_complete();
}

#[test]
fn local_files_are_regular_files() {
    use countersign_client::fetch::{Fetcher, fetch_bytes};
    let device = Device::new();
    let served = device.dir.path().join("image");
    let url = format!("file://{}", device.dir.path().display());
    let image = format!("{url}/image");
    let mut fetcher = FileFetcher::new();

    assert!(
        fetch_bytes(&mut fetcher, &image, 1)
            .unwrap_err()
            .is_not_found()
    );
    assert!(
        fetch_bytes(&mut fetcher, &format!("{image}/below"), 1)
            .unwrap_err()
            .is_not_found()
    );
    rustix::fs::mknodat(
        rustix::fs::CWD,
        &served,
        rustix::fs::FileType::Fifo,
        rustix::fs::Mode::RUSR,
        0,
    )
    .unwrap();
    let fifo = fetch_bytes(&mut fetcher, &image, 1).unwrap_err();
    assert!(matches!(fifo, FetchError::File { .. }), "{fifo}");
    fs::remove_file(&served).unwrap();
    let folder = fetch_bytes(&mut fetcher, &url, 1).unwrap_err();
    assert!(matches!(folder, FetchError::File { .. }), "{folder}");

    fs::write(&served, &device.content).unwrap();
    let error = fetch_bytes(&mut fetcher, &image, 299_999).unwrap_err();
    assert!(matches!(error, FetchError::TooLarge { .. }), "{error}");
    assert_eq!(
        fetcher.open(&image, 299_999).unwrap().content_length(),
        Some(1)
    );
    assert_eq!(fetcher.open(&image, 300_001).unwrap().starts_at(), 0);
    leave(&device, &device.content[..1000]);
    device.get(&url).unwrap();
    device.assert_complete();
}
