//! A connector on a free port, in front of the mock's own HTTP server, that can be told to fail.

use std::collections::VecDeque;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use yubihsm::connector::http::Server;
use yubihsm::connector::{Connector, HttpConfig};

/// What becomes of a request.
#[derive(Debug, Clone)]
pub(crate) enum Fate {
    /// Passed on, and its answer too.
    Answered,
    /// Passed on, but the connector dies before the answer.
    AnswerLost,
    /// Answered like this by somebody in between.
    Forged(Vec<u8>),
}

pub(crate) struct FrontEnd {
    pub(crate) address: SocketAddr,
    shared: Arc<Shared>,
    accepting: Option<JoinHandle<()>>,
}

struct Shared {
    server: SocketAddr,
    alive: AtomicBool,
    fates: Mutex<VecDeque<Fate>>,
    open: Mutex<Vec<TcpStream>>,
}

impl FrontEnd {
    /// Runs the crate's connector for `device` and stands before it.
    pub(crate) fn start(device: &Connector) -> Self {
        let shared = Arc::new(Shared {
            server: serve(device),
            alive: AtomicBool::new(true),
            fates: Mutex::default(),
            open: Mutex::default(),
        });
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let mut front = Self {
            address: listener.local_addr().unwrap(),
            shared,
            accepting: None,
        };
        front.accept(listener);
        front
    }

    /// The next requests have these fates, and those behind them are answered.
    pub(crate) fn next(&self, fates: impl IntoIterator<Item = Fate>) {
        self.shared.fates.lock().unwrap().extend(fates);
    }

    /// What was to come does not.
    pub(crate) fn forget(&self) {
        self.shared.fates.lock().unwrap().clear();
    }

    /// As if the process was killed: nobody listens, and what is open is cut.
    pub(crate) fn kill(&mut self) {
        self.shared.kill();
        self.accepting.take().unwrap().join().unwrap();
    }

    /// Brings a killed one up again, on the same port.
    pub(crate) fn restart(&mut self) {
        if let Some(accepting) = self.accepting.take() {
            accepting.join().unwrap();
        }
        self.shared.alive.store(true, Ordering::SeqCst);
        self.accept(TcpListener::bind(self.address).unwrap());
    }

    fn accept(&mut self, listener: TcpListener) {
        listener.set_nonblocking(true).unwrap();
        let shared = Arc::clone(&self.shared);
        self.accepting = Some(thread::spawn(move || {
            while shared.alive.load(Ordering::SeqCst) {
                match listener.accept() {
                    Ok((stream, _)) => {
                        stream.set_nonblocking(false).unwrap();
                        shared
                            .open
                            .lock()
                            .unwrap()
                            .push(stream.try_clone().unwrap());
                        let shared = Arc::clone(&shared);
                        thread::spawn(move || shared.relay(stream));
                    }
                    Err(_) => thread::sleep(Duration::from_millis(2)),
                }
            }
        }));
    }
}

impl Shared {
    fn kill(&self) {
        self.alive.store(false, Ordering::SeqCst);
        for stream in self.open.lock().unwrap().drain(..) {
            let _ = stream.shutdown(Shutdown::Both);
        }
    }

    /// Until one of the three ends goes away.
    fn relay(&self, client: TcpStream) {
        let mut server = BufReader::new(TcpStream::connect(self.server).unwrap());
        let mut client = BufReader::new(client);
        while let Some(request) = message(&mut client) {
            let fate = self.fates.lock().unwrap().pop_front();
            let answer = match fate.unwrap_or(Fate::Answered) {
                Fate::Forged(body) => {
                    let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", body.len());
                    [head.as_bytes(), &body].concat()
                }
                fate => {
                    server.get_mut().write_all(&request).unwrap();
                    let answer = message(&mut server).unwrap();
                    if matches!(fate, Fate::AnswerLost) {
                        return self.kill();
                    }
                    answer
                }
            };
            if client.get_mut().write_all(&answer).is_err() {
                return;
            }
        }
    }
}

/// A whole HTTP message with its body.
fn message(stream: &mut BufReader<TcpStream>) -> Option<Vec<u8>> {
    let (mut message, mut length) = (Vec::new(), 0);
    loop {
        let start = message.len();
        match stream.read_until(b'\n', &mut message) {
            Ok(0) | Err(_) => return None,
            Ok(_) => {}
        }
        let line = String::from_utf8_lossy(&message[start..]).to_lowercase();
        if let Some(value) = line.strip_prefix("content-length:") {
            length = value.trim().parse().unwrap();
        }
        if line == "\r\n" {
            break;
        }
    }
    let start = message.len();
    message.resize(start + length, 0);
    stream.read_exact(&mut message[start..]).ok()?;
    Some(message)
}

/// The crate's own connector, on a port that was free a moment ago.
pub(crate) fn serve(device: &Connector) -> SocketAddr {
    for _ in 0..100 {
        let free = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = free.local_addr().unwrap();
        drop(free);
        let config = HttpConfig {
            addr: address.ip().to_string(),
            port: address.port(),
            ..HttpConfig::default()
        };
        if let Ok(server) = Server::new(&config, device.clone()) {
            // Its errors are of single requests, whose senders hear of them.
            thread::spawn(move || {
                loop {
                    let _ = server.handle_request();
                }
            });
            return address;
        }
    }
    panic!("no free port");
}
