//! A static file server on loopback that can be told to misbehave, as a mirror in the hands of
//! an attacker would.

use std::collections::BTreeMap;
use std::fs;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread;
use std::time::Duration;

/// What the server does for one path instead of serving the file.
#[derive(Debug, Clone)]
pub(crate) enum Trick {
    /// Serves these bytes.
    Serve(Vec<u8>),
    /// Serves these bytes and then zeros without end.
    NeverEnd(Vec<u8>),
    /// Serves one byte a second.
    Drip(Vec<u8>),
}

/// Paths below the served directory, without a leading slash, and what to do for them.
pub(crate) type Tricks = BTreeMap<String, Trick>;

/// A server in a thread of its own; it ends with the process.
pub(crate) struct Server {
    address: SocketAddr,
}

impl Server {
    /// Serves `directory`, except where `tricks` says otherwise.
    pub(crate) fn start(directory: &Path, tricks: Tricks) -> io::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let address = listener.local_addr()?;
        let shared = Arc::new((directory.to_owned(), tricks));
        thread::spawn(move || {
            for connection in listener.incoming().flatten() {
                let shared = Arc::clone(&shared);
                // A client that hangs up on a misbehaving server is what the demo is about.
                thread::spawn(move || drop(answer(connection, &shared.0, &shared.1)));
            }
        });
        Ok(Self { address })
    }

    /// The URL of `path` on this server.
    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://{}/{path}", self.address)
    }
}

fn answer(mut connection: TcpStream, directory: &Path, tricks: &Tricks) -> io::Result<()> {
    let mut reader = BufReader::new(connection.try_clone()?.take(16 << 10));
    let mut request = String::new();
    reader.read_line(&mut request)?;
    let mut header = String::new();
    while reader.read_line(&mut header)? > 2 {
        header.clear();
    }
    let path = request
        .split(' ')
        .nth(1)
        .unwrap_or_default()
        .trim_start_matches('/');
    match tricks.get(path) {
        Some(Trick::Serve(bytes)) => whole(&mut connection, bytes),
        Some(Trick::NeverEnd(bytes)) => {
            connection.write_all(b"HTTP/1.0 200 OK\r\n\r\n")?;
            connection.write_all(bytes)?;
            loop {
                connection.write_all(&[0; 65536])?;
            }
        }
        Some(Trick::Drip(bytes)) => {
            write!(
                connection,
                "HTTP/1.0 200 OK\r\nContent-Length: {}\r\n\r\n",
                bytes.len()
            )?;
            for byte in bytes {
                connection.write_all(&[*byte])?;
                thread::sleep(Duration::from_secs(1));
            }
            Ok(())
        }
        None => match local(directory, path).map(fs::read) {
            Some(Ok(bytes)) => whole(&mut connection, &bytes),
            _ => connection.write_all(b"HTTP/1.0 404 Not Found\r\nContent-Length: 0\r\n\r\n"),
        },
    }
}

fn whole(connection: &mut TcpStream, bytes: &[u8]) -> io::Result<()> {
    write!(
        connection,
        "HTTP/1.0 200 OK\r\nContent-Length: {}\r\n\r\n",
        bytes.len()
    )?;
    connection.write_all(bytes)
}

/// A file below `directory`; the demo's own names need no decoding.
fn local(directory: &Path, path: &str) -> Option<PathBuf> {
    let plain = path
        .split('/')
        .all(|segment| !matches!(segment, "" | "." | ".."));
    plain.then(|| directory.join(path))
}
