//! A link over TCP: one connection for each call.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;

use super::{
    Answer, Fetch, Frame, FromSecondary, LinkError, Message, Part, Reply, Request, Respond,
    SecondaryLink, Source,
};

/// How long the other side of a link may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LinkPatience {
    /// For connecting. Default 10 s.
    pub connect: Duration,
    /// For one message, from its first byte to its last, and for a Primary's reply to a fetch.
    /// Default 64 s: for the longest body that is the 1 KiB/s which is asked of a server too.
    pub message: Duration,
    /// For a Secondary that says nothing, because it erases or writes its memory. Default 300 s.
    pub silence: Duration,
    /// For a whole call. Default 2 hours: a large image over a slow bus.
    pub call: Duration,
}

impl Default for LinkPatience {
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(10),
            message: Duration::from_secs(64),
            silence: Duration::from_secs(300),
            call: Duration::from_secs(2 * 3600),
        }
    }
}

/// Longer than anybody waits, and short enough to be added to a time.
const FOREVER: Duration = Duration::from_secs(365 * 24 * 3600);

/// The Primary's end of a link over TCP.
#[derive(Debug, Clone)]
pub struct TcpLink {
    address: SocketAddr,
    patience: LinkPatience,
}

impl TcpLink {
    /// A link to the Secondary that listens at `address`. Nothing is sent before the first call.
    pub fn new(address: SocketAddr, patience: LinkPatience) -> Self {
        Self { address, patience }
    }
}

impl SecondaryLink for TcpLink {
    fn call(&mut self, request: Request, source: &mut dyn Source) -> Result<Answer, LinkError> {
        let stream = TcpStream::connect_timeout(&self.address, self.patience.connect)?;
        let mut wire = Wire::new(stream, self.patience)?;
        wire.send(request)?;
        loop {
            match wire.receive(self.patience.silence)? {
                FromSecondary::Answer(answer) => return Ok(answer),
                FromSecondary::Fetch(fetch) => wire.send(match source.part(&fetch)? {
                    Some(part) => Reply::Part(part),
                    None => Reply::Absent {},
                })?,
            }
        }
    }
}

/// The Secondary's end of links over TCP. One call at a time: others wait.
#[derive(Debug)]
pub struct SecondaryServer {
    listener: TcpListener,
    patience: LinkPatience,
}

impl SecondaryServer {
    /// Listens at `address`.
    ///
    /// # Errors
    /// If that address cannot be had.
    pub fn bind(address: SocketAddr, patience: LinkPatience) -> io::Result<Self> {
        let listener = TcpListener::bind(address)?;
        // Waiting is `poll`'s, which knows when to stop.
        listener.set_nonblocking(true)?;
        Ok(Self { listener, patience })
    }

    /// Where it listens.
    ///
    /// # Errors
    /// What the operating system says.
    pub fn address(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }

    /// Waits for the next call and answers it.
    ///
    /// # Errors
    /// [`LinkError`] if this call failed. The next one may be served all the same.
    pub fn serve_next(&self, responder: &mut dyn Respond) -> Result<(), LinkError> {
        while !self.serve_within(FOREVER, responder)? {}
        Ok(())
    }

    /// As [`SecondaryServer::serve_next`], if somebody calls within `patience`: whether there was a call.
    ///
    /// # Errors
    /// [`LinkError`] if this call failed.
    pub fn serve_within(
        &self,
        patience: Duration,
        responder: &mut dyn Respond,
    ) -> Result<bool, LinkError> {
        match self.accept(patience)? {
            Some(stream) => self.serve(stream, responder).map(|()| true),
            None => Ok(false),
        }
    }

    fn accept(&self, patience: Duration) -> io::Result<Option<TcpStream>> {
        let end = Instant::now() + patience;
        loop {
            match self.listener.accept() {
                Ok((stream, _)) => return Ok(Some(stream)),
                // Nobody has called, or has hung up since.
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) => return Err(error),
            }
            let left = end.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Ok(None);
            }
            let left = Timespec::try_from(left).map_err(io::Error::other)?;
            let mut listener = [PollFd::new(&self.listener, PollFlags::IN)];
            match poll(&mut listener, Some(&left)) {
                Ok(_) | Err(Errno::INTR) => {}
                Err(error) => return Err(error.into()),
            }
        }
    }

    fn serve(&self, stream: TcpStream, responder: &mut dyn Respond) -> Result<(), LinkError> {
        let mut wire = Wire::new(stream, self.patience)?;
        let request = wire.receive(self.patience.message)?;
        let mut source = RemoteSource { wire, failed: None };
        let answer = responder.respond(request, &mut source);
        match source.failed {
            // What the Primary says now cannot be told from what it said late.
            Some(error) => Err(error),
            None => source.wire.send(FromSecondary::Answer(answer)),
        }
    }
}

/// The Primary, as the source of files.
struct RemoteSource {
    wire: Wire,
    failed: Option<LinkError>,
}

impl RemoteSource {
    fn ask(&mut self, fetch: &Fetch) -> Result<Option<Part>, LinkError> {
        self.wire.send(FromSecondary::Fetch(fetch.clone()))?;
        match self.wire.receive(self.wire.patience.message)? {
            Reply::Part(part) => Ok(Some(part)),
            Reply::Absent {} => Ok(None),
        }
    }
}

impl Source for RemoteSource {
    fn part(&mut self, fetch: &Fetch) -> Result<Option<Part>, LinkError> {
        if self.failed.is_some() {
            return Err(LinkError::protocol("the connection failed before"));
        }
        self.ask(fetch).inspect_err(|error| {
            self.failed = Some(LinkError::protocol(error));
        })
    }
}

/// A connection on which no wait is endless.
struct Wire {
    stream: TcpStream,
    patience: LinkPatience,
    started: Instant,
}

impl Wire {
    fn new(stream: TcpStream, patience: LinkPatience) -> io::Result<Self> {
        // Messages go out whole and are waited for.
        stream.set_nodelay(true)?;
        Ok(Self {
            stream,
            patience,
            started: Instant::now(),
        })
    }

    fn send(&mut self, message: impl Message) -> Result<(), LinkError> {
        let frame = message.into_frame()?;
        frame.write_to(&mut self.timed(self.patience.message))
    }

    /// Takes the next message, whose first byte has to come within `first`.
    fn receive<M: Message>(&mut self, first: Duration) -> Result<M, LinkError> {
        let mut byte = [0];
        self.timed(first).read_exact(&mut byte)?;
        let mut rest = self.timed(self.patience.message);
        M::from_frame(Frame::read_from(&mut byte.chain(&mut rest))?)
    }

    fn timed(&self, patience: Duration) -> Timed<'_> {
        let left = self.patience.call.saturating_sub(self.started.elapsed());
        Timed {
            stream: &self.stream,
            started: Instant::now(),
            patience: patience.min(left),
        }
    }
}

/// One message on its way, with a deadline.
struct Timed<'a> {
    stream: &'a TcpStream,
    started: Instant,
    patience: Duration,
}

impl Timed<'_> {
    fn left(&self) -> io::Result<Option<Duration>> {
        match self.patience.checked_sub(self.started.elapsed()) {
            Some(left) if !left.is_zero() => Ok(Some(left)),
            _ => Err(self.slow()),
        }
    }

    fn slow(&self) -> io::Error {
        let waited = self.started.elapsed();
        io::Error::new(io::ErrorKind::TimedOut, LinkError::Slow { waited })
    }

    fn explain(&self, error: io::Error) -> io::Error {
        match error.kind() {
            io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut => self.slow(),
            _ => error,
        }
    }
}

impl Read for Timed<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.stream.set_read_timeout(self.left()?)?;
        let mut stream = self.stream;
        stream.read(buffer).map_err(|e| self.explain(e))
    }
}

impl Write for Timed<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.stream.set_write_timeout(self.left()?)?;
        let mut stream = self.stream;
        stream.write(bytes).map_err(|e| self.explain(e))
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
