//! Devices in a process of their own, so that what they use is not counted as the Director's.

use std::fs;
use std::io::{self, BufRead as _, BufReader, Write as _};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use bytes::Bytes;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::task::block_in_place;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use crate::SPAN;

/// How this process knows that it is the devices: where the Director is, their folder, `kept` or `new`.
const DEVICES: &str = "COUNTERSIGN_BENCH_DEVICES";

/// What a device does again and again.
pub(crate) enum Task {
    /// Sends the next of these manifests, and fetches Timestamp, Snapshot and Targets.
    Cycles(Vec<Bytes>),
    /// Asks for a Timestamp that it has, by its entity tag.
    Polls(String),
}

impl Task {
    /// Leaves it in the device's folder.
    pub(crate) fn write(&self, home: &Path) {
        match self {
            Self::Cycles(manifests) => {
                for (number, manifest) in manifests.iter().enumerate() {
                    fs::write(home.join(format!("{number}.manifest")), manifest).unwrap();
                }
            }
            Self::Polls(etag) => fs::write(home.join("etag"), etag).unwrap(),
        }
    }

    fn read(home: &Path) -> Self {
        if let Ok(etag) = fs::read_to_string(home.join("etag")) {
            return Self::Polls(etag);
        }
        let manifests = (0..).map_while(|number| {
            let manifest = fs::read(home.join(format!("{number}.manifest")));
            manifest.ok().map(Bytes::from)
        });
        Self::Cycles(manifests.collect())
    }
}

/// The process of the devices, as the Director sees it.
pub(crate) struct Devices {
    child: Child,
    said: BufReader<ChildStdout>,
}

pub(crate) fn start(director: SocketAddr, folder: &Path, connection: &str) -> Devices {
    let what = format!("{director} {connection} {}", folder.display());
    let mut child = Command::new(std::env::current_exe().unwrap())
        .env(DEVICES, what)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let said = BufReader::new(child.stdout.take().unwrap());
    Devices { child, said }
}

impl Devices {
    /// Until every device has its files, and a connection if it is kept.
    pub(crate) fn wait_until_ready(&mut self) {
        assert_eq!(self.line(), "ready");
    }

    /// How often they have done what they do.
    pub(crate) fn let_go(mut self) -> u64 {
        let mut stdin = self.child.stdin.take().unwrap();
        stdin.write_all(b"go\n").unwrap();
        let done = self.line().parse().unwrap();
        assert!(self.child.wait().unwrap().success());
        done
    }

    fn line(&mut self) -> String {
        let mut line = String::new();
        block_in_place(|| self.said.read_line(&mut line)).unwrap();
        line.trim_end().to_owned()
    }
}

pub(crate) fn is_one() -> bool {
    std::env::var_os(DEVICES).is_some()
}

pub(crate) async fn run() {
    let what = std::env::var(DEVICES).unwrap();
    let [director, connection, folder] =
        what.splitn(3, ' ').collect::<Vec<_>>().try_into().unwrap();
    let director: SocketAddr = director.parse().unwrap();
    let mut devices = Vec::new();
    for entry in fs::read_dir(Path::new(folder).join("devices")).unwrap() {
        let home = entry.unwrap().path();
        let mut device = Device::new(director, &home, connection == "kept");
        device.connect_if_kept().await.unwrap();
        devices.push((device, Task::read(&home)));
    }
    println!("ready");
    let mut go = String::new();
    io::stdin().read_line(&mut go).unwrap();

    let done = Arc::new(AtomicU64::new(0));
    let began = Instant::now();
    let tasks = devices.into_iter().map(|(device, task)| {
        let done = Arc::clone(&done);
        tokio::spawn(async move { device.work(task, began, &done).await })
    });
    for task in tasks.collect::<Vec<_>>() {
        task.await.unwrap().unwrap();
    }
    println!("{}", done.load(Ordering::Relaxed));
}

struct Device {
    director: SocketAddr,
    config: Arc<ClientConfig>,
    keeps: bool,
    stream: Option<TlsStream<TcpStream>>,
}

impl Device {
    fn new(director: SocketAddr, home: &Path, keeps: bool) -> Self {
        let mut roots = RootCertStore::empty();
        let authority = CertificateDer::from_pem_file(home.join("ca.pem")).unwrap();
        roots.add(authority).unwrap();
        let certificate = CertificateDer::from_pem_file(home.join("tls.pem")).unwrap();
        let key = PrivateKeyDer::from_pem_file(home.join("tls.key")).unwrap();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots);
        let mut config = config
            .with_client_auth_cert(vec![certificate], key)
            .unwrap();
        // A device that comes once an hour has no session to resume.
        config.resumption = rustls::client::Resumption::disabled();
        Self {
            director,
            config: Arc::new(config),
            keeps,
            stream: None,
        }
    }

    async fn connect_if_kept(&mut self) -> io::Result<()> {
        if self.keeps {
            self.connect().await?;
        }
        Ok(())
    }

    async fn connect(&mut self) -> io::Result<()> {
        let stream = TcpStream::connect(self.director).await?;
        stream.set_nodelay(true)?;
        let name = ServerName::IpAddress(self.director.ip().into());
        let connector = TlsConnector::from(Arc::clone(&self.config));
        self.stream = Some(connector.connect(name, stream).await?);
        Ok(())
    }

    async fn work(mut self, task: Task, began: Instant, done: &AtomicU64) -> io::Result<()> {
        match task {
            Task::Cycles(manifests) => {
                for manifest in manifests {
                    if began.elapsed() > SPAN {
                        break;
                    }
                    self.cycle(&manifest).await?;
                    done.fetch_add(1, Ordering::Relaxed);
                }
            }
            Task::Polls(etag) => {
                let header = format!("if-none-match: {etag}\r\n");
                while began.elapsed() < SPAN {
                    self.begin().await?;
                    let path = "/v1/metadata/timestamp.json";
                    let (status, _) = self.ask("GET", path, &header, b"").await?;
                    assert_eq!(status, 304);
                    done.fetch_add(1, Ordering::Relaxed);
                }
            }
        }
        Ok(())
    }

    /// With a connection that is kept, or a new one.
    async fn begin(&mut self) -> io::Result<()> {
        if !self.keeps {
            self.connect().await?;
        }
        Ok(())
    }

    async fn cycle(&mut self, manifest: &[u8]) -> io::Result<()> {
        self.begin().await?;
        let (status, told) = self.ask("PUT", "/v1/manifest", "", manifest).await?;
        assert_eq!(status, 200, "{}", String::from_utf8_lossy(&told));
        let timestamp = self.file("timestamp.json").await?;
        let version = &timestamp["signed"]["meta"]["snapshot.json"]["version"];
        let snapshot = self.file(&format!("{version}.snapshot.json")).await?;
        let version = &snapshot["signed"]["meta"]["targets.json"]["version"];
        self.file(&format!("{version}.targets.json")).await?;
        Ok(())
    }

    async fn file(&mut self, name: &str) -> io::Result<serde_json::Value> {
        let path = format!("/v1/metadata/{name}");
        let (status, bytes) = self.ask("GET", &path, "", b"").await?;
        assert_eq!(status, 200, "{name}");
        Ok(serde_json::from_slice(&bytes)?)
    }

    /// The status and the body.
    async fn ask(
        &mut self,
        method: &str,
        path: &str,
        header: &str,
        body: &[u8],
    ) -> io::Result<(u16, Vec<u8>)> {
        let stream = self.stream.as_mut().ok_or(io::ErrorKind::NotConnected)?;
        let length = body.len();
        let head = format!(
            "{method} {path} HTTP/1.1\r\nhost: director\r\n{header}content-length: {length}\r\n\r\n"
        );
        stream.write_all(&[head.as_bytes(), body].concat()).await?;
        let mut answer = Vec::new();
        loop {
            if let Some(answer) = whole(&answer) {
                return Ok(answer);
            }
            if stream.read_buf(&mut answer).await? == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
        }
    }
}

/// An answer that has come as a whole.
fn whole(answer: &[u8]) -> Option<(u16, Vec<u8>)> {
    let end = answer.windows(4).position(|four| four == b"\r\n\r\n")? + 4;
    let head = std::str::from_utf8(&answer[..end]).unwrap();
    let status: u16 = head[9..12].parse().unwrap();
    let length = head
        .lines()
        .find_map(|line| line.strip_prefix("content-length: "));
    let length = match (status, length) {
        (304, _) => 0,
        (_, Some(length)) => length.parse().unwrap(),
        (_, None) => panic!("how long is it? {head}"),
    };
    let body = answer.get(end..end + length)?;
    Some((status, body.to_vec()))
}
