//! How a simulated Primary reaches its Secondaries.

use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};

use countersign_client::uptane::link::{
    Answer, LinkError, LinkPatience, LocalLink, Request, Respond, SecondaryLink, SecondaryServer,
    Source, TcpLink,
};

use crate::controls::Controls;
use crate::plan::Connection;

/// A link that can be cut.
struct Cuttable<L> {
    link: L,
    controls: Controls,
}

impl<L: SecondaryLink> SecondaryLink for Cuttable<L> {
    fn call(&mut self, request: Request, source: &mut dyn Source) -> Result<Answer, LinkError> {
        match self.controls.is_reachable() {
            true => self.link.call(request, source),
            false => Err(LinkError::Io(io::ErrorKind::HostUnreachable.into())),
        }
    }
}

/// Connects a Primary to `ecu`, which lives as long as the link.
pub(crate) fn connect(
    connection: Connection,
    ecu: impl Respond + Send + 'static,
    controls: Controls,
) -> io::Result<Box<dyn SecondaryLink>> {
    Ok(match connection {
        Connection::InProcess => Box::new(Cuttable {
            link: LocalLink(ecu),
            controls,
        }),
        Connection::Tcp => Box::new(Cuttable {
            link: Served::start(ecu)?,
            controls,
        }),
    })
}

/// A link over TCP, and the thread in which the Secondary answers.
struct Served {
    link: TcpLink,
    address: SocketAddr,
    over: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Served {
    fn start(mut ecu: impl Respond + Send + 'static) -> io::Result<Self> {
        let patience = LinkPatience::default();
        let server = SecondaryServer::bind((Ipv4Addr::LOCALHOST, 0).into(), patience)?;
        let address = server.address()?;
        let over = Arc::new(AtomicBool::new(false));
        let stop = Arc::clone(&over);
        let thread = thread::spawn(move || {
            while !stop.load(Ordering::SeqCst) {
                // A call that failed is the Primary's to tell of; the next one may do.
                let _ = server.serve_next(&mut ecu);
            }
        });
        Ok(Self {
            link: TcpLink::new(address, patience),
            address,
            over,
            thread: Some(thread),
        })
    }
}

impl SecondaryLink for Served {
    fn call(&mut self, request: Request, source: &mut dyn Source) -> Result<Answer, LinkError> {
        self.link.call(request, source)
    }
}

impl Drop for Served {
    /// Ends the thread: what the ECU has locked is free afterwards.
    fn drop(&mut self) {
        self.over.store(true, Ordering::SeqCst);
        // It waits for a call.
        drop(TcpStream::connect(self.address));
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}
