//! Images, in every kind of place there is.

#![allow(clippy::unwrap_used, reason = "a test that cannot set up has failed")]

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use countersign_director::blobs::{BlobError, BlobName, BlobSettings, Blobs, Credentials};
use countersign_metadata::sha256;
use futures_util::{Stream, StreamExt as _, TryStreamExt as _, stream};
use tokio::sync::oneshot;

/// The variable with the endpoint of an S3 server that takes any credentials.
const S3: &str = "COUNTERSIGN_TEST_S3";
/// The length of a part.
const PART: usize = 5 << 20;

/// An empty place.
struct Place {
    blobs: Blobs,
    settings: BlobSettings,
    folder: Option<tempfile::TempDir>,
}

impl Place {
    fn directory() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let settings = BlobSettings::at(&format!("file://{}", folder.path().display()));
        Self {
            blobs: Blobs::open(&settings).unwrap(),
            settings,
            folder: Some(folder),
        }
    }

    fn bucket(endpoint: &str) -> Self {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let bucket = format!("images-{}-{number}", std::process::id());
        let settings = BlobSettings {
            endpoint: Some(endpoint.into()),
            allow_http: true,
            ..BlobSettings::at(&format!("s3://{bucket}/some/where"))
        };
        let place = Self {
            blobs: Blobs::open_with(&settings, &credentials()).unwrap(),
            settings,
            folder: None,
        };
        place.raw("PUT", &format!("/{bucket}"));
        place
    }

    fn all() -> Vec<Self> {
        let mut places = vec![Self::directory()];
        match std::env::var(S3) {
            Ok(endpoint) => places.push(Self::bucket(&endpoint)),
            Err(_) => eprintln!("{S3} is not set: only directories are tested"),
        }
        places
    }

    /// Everything that is kept here in any form, complete or not.
    fn leftovers(&self) -> Vec<String> {
        if let Some(folder) = &self.folder {
            let files = std::fs::read_dir(folder.path()).unwrap();
            return files
                .map(|file| file.unwrap().file_name().into_string().unwrap())
                .collect();
        }
        let bucket = self.settings.url.split('/').nth(2).unwrap();
        let uploads = self.raw("GET", &format!("/{bucket}?uploads"));
        let objects = self.raw("GET", &format!("/{bucket}?list-type=2"));
        let all = uploads.split("<Key>").skip(1);
        let all = all.chain(objects.split("<Key>").skip(1));
        all.map(|rest| rest.split('<').next().unwrap().into())
            .collect()
    }

    /// What was dropped is taken back in the background.
    async fn is_empty_soon(&self) {
        let empty = async {
            while !self.leftovers().is_empty() {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        tokio::time::timeout(Duration::from_secs(60), empty)
            .await
            .unwrap();
    }

    /// One request to the server without a signature, which it does not ask for.
    fn raw(&self, method: &str, path: &str) -> String {
        let endpoint = self.settings.endpoint.as_deref().unwrap();
        let host = endpoint.strip_prefix("http://").unwrap();
        let mut server = TcpStream::connect(host).unwrap();
        write!(
            server,
            "{method} {path} HTTP/1.0\r\nHost: {host}\r\nContent-Length: 0\r\n\r\n"
        )
        .unwrap();
        let mut answer = String::new();
        server.read_to_string(&mut answer).unwrap();
        assert!(answer.contains(" 200 "), "{answer}");
        answer
    }
}

fn credentials() -> Credentials {
    Credentials::new("tester", "secret")
}

/// Bytes of this length in which no two places look alike.
fn image(length: usize) -> Bytes {
    let words = (0..length.div_ceil(4) as u32).map(|word| word.wrapping_mul(0x9e37_79b1));
    let bytes: Vec<u8> = words.flat_map(u32::to_le_bytes).take(length).collect();
    bytes.into()
}

fn name(bytes: &[u8]) -> BlobName {
    BlobName::new(&hex::encode(sha256(bytes))).unwrap()
}

/// In chunks of this length.
fn chunks(bytes: &Bytes, length: usize) -> impl Stream<Item = Result<Bytes, BlobError>> + use<> {
    let all: Vec<Bytes> = bytes.chunks(length).map(Bytes::copy_from_slice).collect();
    stream::iter(all).map(Ok)
}

async fn read(blobs: &Blobs, name: &BlobName, range: std::ops::Range<u64>) -> Vec<u8> {
    let chunks = blobs.get_range(name, range).await.unwrap();
    chunks.try_collect::<Vec<_>>().await.unwrap().concat()
}

#[tokio::test]
async fn what_is_put_is_found_whole_and_in_part() {
    for place in Place::all() {
        let blobs = &place.blobs;
        for length in [0, 1, 4096, PART - 1, PART, PART + 1, 2 * PART, 12_000_001] {
            let bytes = image(length);
            let name = name(&bytes);
            assert!(!blobs.exists(&name).await.unwrap());
            // Twice, as after an answer that was lost.
            for chunk in [70_001, 7 << 20] {
                let put = blobs.put(&name, chunks(&bytes, chunk)).await.unwrap();
                assert_eq!(put, length as u64);
            }
            assert_eq!(place.leftovers().len(), 1);
            assert_eq!(blobs.length(&name).await.unwrap(), length as u64);
            assert!(read(blobs, &name, 0..length as u64).await == bytes);
            let (from, to) = (length / 3, length / 2);
            assert!(read(blobs, &name, from as u64..to as u64).await == bytes[from..to]);

            blobs.delete(&name).await.unwrap();
            blobs.delete(&name).await.unwrap();
            assert!(!blobs.exists(&name).await.unwrap());
        }
        assert_eq!(place.leftovers(), [""; 0]);
    }
}

#[tokio::test]
async fn what_is_not_there_is_said() {
    for place in Place::all() {
        let blobs = &place.blobs;
        let bytes = image(100);
        let name = name(&bytes);
        let missing = |error| matches!(error, BlobError::Missing(_));
        assert!(missing(blobs.length(&name).await.unwrap_err()));
        for range in [0..10, 0..0] {
            assert!(missing(blobs.get_range(&name, range).await.err().unwrap()));
        }
        blobs.put(&name, chunks(&bytes, 7)).await.unwrap();
        for asked in [0..101, 99..101, 100..101, 200..300, 101..101] {
            let error = blobs.get_range(&name, asked.clone()).await.err().unwrap();
            assert!(
                matches!(&error, BlobError::Range { asked: range, length: 100 } if *range == asked),
                "{error:?}"
            );
        }
        assert!(read(blobs, &name, 100..100).await.is_empty());
    }
}

#[tokio::test]
async fn of_what_does_not_come_to_its_end_nothing_is_there() {
    for place in Place::all() {
        let blobs = &place.blobs;
        for length in [1000, 11_000_000] {
            let bytes = image(length);
            let name = name(&bytes);
            // Cut off without an error, cut off with one, and with another byte at the end.
            let short = chunks(&bytes.slice(..length - 1), 1 << 20);
            let refused = blobs.put(&name, short).await.unwrap_err();
            assert!(
                matches!(refused, BlobError::OtherContent { .. }),
                "{refused}"
            );
            assert_eq!(place.leftovers(), [""; 0]);

            let broken = std::io::Error::other("the connection broke");
            let broken = chunks(&bytes, 1 << 20)
                .map(|chunk| chunk.map_err(std::io::Error::other))
                .chain(stream::iter([Err(broken)]));
            let refused = blobs.put(&name, broken).await.unwrap_err();
            assert!(matches!(refused, BlobError::Source(_)), "{refused}");
            assert_eq!(place.leftovers(), [""; 0]);
        }
    }
}

#[tokio::test]
async fn of_what_is_given_up_nothing_is_left() {
    for place in Place::all() {
        let bytes = image(11_000_000);
        let (blobs, name) = (place.blobs.clone(), name(&bytes));
        // Whoever sends goes silent after two parts, and whoever waits goes away.
        let (tell, silent) = oneshot::channel();
        let silence = stream::once(async move {
            tell.send(()).unwrap();
            std::future::pending().await
        });
        let bytes = chunks(&bytes, 1 << 20).chain(silence);
        let put = tokio::spawn(async move { blobs.put(&name, bytes).await });
        silent.await.unwrap();
        assert_eq!(place.leftovers().len(), 1);
        put.abort();
        place.is_empty_soon().await;
    }
}

#[tokio::test]
async fn what_a_crash_left_is_removed_later() {
    let place = Place::directory();
    let folder = place.folder.as_ref().unwrap().path();
    let old = folder.join(format!("{}#1", "a".repeat(64)));
    let new = folder.join(format!("{}#2", "a".repeat(64)));
    let other = folder.join("notes#1");
    for path in [&old, &new, &other] {
        std::fs::write(path, "x").unwrap();
    }
    for path in [&old, &other] {
        let file = std::fs::File::options().append(true).open(path).unwrap();
        let long_ago = SystemTime::now() - Duration::from_secs(48 * 3600);
        file.set_modified(long_ago).unwrap();
    }
    Blobs::open(&place.settings).unwrap();
    assert_eq!(
        (old.exists(), new.exists(), other.exists()),
        (false, true, true)
    );
}

#[test]
fn settings_that_cannot_be_are_refused() {
    let open = |settings: &BlobSettings| Blobs::open_with(settings, &credentials()).unwrap_err();
    for url in [
        "",
        "/var/images",
        "ftp://a/b",
        "file://host/var",
        "s3:///prefix",
        "s3://user:password@bucket/",
        "s3://bucket?endpoint=x",
    ] {
        let error = open(&BlobSettings::at(url));
        assert!(matches!(error, BlobError::Settings(_)), "{url}: {error}");
        assert!(!error.to_string().contains("password@"), "{error}");
    }
    let missing = open(&BlobSettings::at("file:///nowhere/at/all"));
    assert!(matches!(missing, BlobError::Directory { .. }), "{missing}");
    let plain = BlobSettings {
        endpoint: Some("http://store.example".into()),
        ..BlobSettings::at("s3://bucket/")
    };
    assert!(open(&plain).to_string().contains("allow_http"));
    let no_authority = BlobSettings {
        ca: Some("/dev/null".into()),
        ..BlobSettings::at("s3://bucket/")
    };
    assert!(open(&no_authority).to_string().contains("no certificate"));
}

#[test]
fn secrets_are_not_printed() {
    let shown = format!("{:?}", credentials());
    assert!(shown.contains("tester") && !shown.contains("secret"));
}
