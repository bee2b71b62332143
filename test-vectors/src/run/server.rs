//! A small HTTP/1.1 server on loopback that serves one repository at a time.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use crate::tree::{Answer, Site};

/// Longest request head that is read. No client has reason to send more.
const MAX_HEAD: u64 = 16 * 1024;

/// A client that stops in the middle of a request must not keep a thread for ever.
const PATIENCE: Duration = Duration::from_secs(60);

/// A running server. Its threads end with the process or, idle, when they are asked next.
pub struct Server {
    address: SocketAddr,
    shared: Arc<Mutex<Shared>>,
}

#[derive(Default)]
struct Shared {
    site: Site,
    requests: Vec<String>,
    over: bool,
}

impl Server {
    /// Listens on a free port.
    ///
    /// # Errors
    /// When there is none.
    pub fn start() -> io::Result<Self> {
        let listener = TcpListener::bind(("127.0.0.1", 0))?;
        let address = listener.local_addr()?;
        let shared = Arc::new(Mutex::new(Shared::default()));
        let served = Arc::clone(&shared);
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                if lock(&served).over {
                    return;
                }
                let served = Arc::clone(&served);
                thread::spawn(move || converse(stream, &served));
            }
        });
        Ok(Self { address, shared })
    }

    /// Serves `site` from now on, and forgets earlier requests.
    pub fn serve(&self, site: Site) {
        let mut shared = lock(&self.shared);
        shared.site = site;
        shared.requests.clear();
    }

    /// The paths that were asked for, in order.
    pub fn requests(&self) -> Vec<String> {
        lock(&self.shared).requests.clone()
    }

    /// Where `directory` of the site is.
    pub fn url(&self, directory: &str) -> String {
        format!("http://{}/{directory}", self.address)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        lock(&self.shared).over = true;
        // Wakes the listening thread, so that it sees that it is over.
        drop(TcpStream::connect(self.address));
    }
}

fn lock(shared: &Mutex<Shared>) -> MutexGuard<'_, Shared> {
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Answers the requests of one connection. A client may break it off at any time: too large files
/// make it do so.
fn converse(stream: TcpStream, shared: &Mutex<Shared>) {
    // Head and body go out apart: without this each body waits 40 ms for the client's acknowledgement.
    let _ = stream.set_nodelay(true);
    let _ = stream.set_read_timeout(Some(PATIENCE));
    let _ = stream.set_write_timeout(Some(PATIENCE));
    let Ok(mut out) = stream.try_clone() else {
        return;
    };
    let mut input = BufReader::new(stream);
    while let Some(request) = read_request(&mut input) {
        let answer = {
            let mut shared = lock(shared);
            shared.requests.push(request.path.clone());
            shared.site.get(&request.path)
        };
        if write_answer(&mut out, &request, &answer).is_err() {
            return;
        }
    }
}

struct Request {
    path: String,
    is_head: bool,
}

/// `None` at the end of the connection, or where it is no request.
fn read_request(input: &mut BufReader<TcpStream>) -> Option<Request> {
    let mut head = input.take(MAX_HEAD);
    let mut line = String::new();
    head.read_line(&mut line).ok()?;
    let mut words = line.split_whitespace();
    let (method, target) = (words.next()?, words.next()?);
    let path = target.split(['?', '#']).next()?.trim_start_matches('/');
    let request = Request {
        path: path.into(),
        is_head: method == "HEAD",
    };
    loop {
        let mut header = String::new();
        match head.read_line(&mut header).ok()? {
            0 => return None,
            _ if header.trim_end().is_empty() => return Some(request),
            _ => {}
        }
    }
}

fn write_answer(out: &mut TcpStream, request: &Request, answer: &Answer) -> io::Result<()> {
    let (status, body) = match answer {
        Answer::Found(bytes) => (200, bytes.as_slice()),
        Answer::Status(status) => (*status, &[][..]),
    };
    let length = body.len();
    write!(
        out,
        "HTTP/1.1 {status} -\r\nContent-Length: {length}\r\nContent-Type: application/octet-stream\r\n\r\n"
    )?;
    if !request.is_head {
        out.write_all(body)?;
    }
    out.flush()
}
