//! The sockets under the HTTP library, watched: every wait is bounded by the [`Pace`].

use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use ureq::config::Config;
use ureq::http::Uri;
use ureq::unversioned::resolver::{DefaultResolver, ResolvedSocketAddrs, Resolver};
use ureq::unversioned::transport::time::Duration as WaitLimit;
use ureq::unversioned::transport::{
    Buffers, ConnectionDetails, Connector, Either, NextTimeout, TcpConnector, Transport,
};
use ureq::{Error, Timeout};

use super::pace::Pace;

/// The pace of the one GET that a fetcher has under way, shared with its sockets.
#[derive(Debug, Clone)]
pub(super) struct SharedPace(Arc<Mutex<Pace>>);

impl SharedPace {
    pub(super) fn new(pace: Pace) -> Self {
        SharedPace(Arc::new(Mutex::new(pace)))
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, Pace> {
        // Every update is complete in itself, so a panic elsewhere leaves nothing half-done.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Looks names up within the pace.
#[derive(Debug)]
pub(super) struct PacedResolver {
    pub(super) pace: SharedPace,
    pub(super) inner: DefaultResolver,
}

impl Resolver for PacedResolver {
    fn resolve(
        &self,
        uri: &Uri,
        config: &Config,
        timeout: NextTimeout,
    ) -> Result<ResolvedSocketAddrs, Error> {
        let limit = {
            let mut pace = self.pace.lock();
            pace.connecting();
            pace.connect_limit()
        };
        // Asking the system takes a thread, because it cannot be asked to hurry.
        if let Some(address) = literal(uri) {
            let mut addresses = self.empty();
            addresses.push(address);
            return Ok(addresses);
        }
        self.inner.resolve(uri, config, at_most(timeout, limit))
    }
}

/// The address that is written in a URL itself.
fn literal(uri: &Uri) -> Option<SocketAddr> {
    let host = uri.host()?;
    let bare = host
        .strip_prefix('[')
        .and_then(|rest| rest.strip_suffix(']'));
    let address: IpAddr = bare.unwrap_or(host).parse().ok()?;
    let port = match uri.scheme_str() {
        Some("https") => 443,
        _ => 80,
    };
    Some(SocketAddr::new(address, uri.port_u16().unwrap_or(port)))
}

/// Connects within the pace, and hands out sockets that keep to it.
#[derive(Debug)]
pub(super) struct PacedConnector {
    pub(super) pace: SharedPace,
    pub(super) inner: TcpConnector,
}

impl Connector<()> for PacedConnector {
    type Out = PacedTransport;

    fn connect(
        &self,
        details: &ConnectionDetails<'_>,
        _chained: Option<()>,
    ) -> Result<Option<Self::Out>, Error> {
        let limit = self.pace.lock().connect_limit();
        let bounded = ConnectionDetails {
            uri: details.uri,
            addrs: details.addrs.clone(),
            config: details.config,
            request_level: details.request_level,
            resolver: details.resolver,
            now: details.now,
            timeout: at_most(details.timeout, limit),
            current_time: details.current_time.clone(),
            run_connector: details.run_connector.clone(),
            register_shutdown: details.register_shutdown.clone(),
        };
        let socket = self.inner.connect(&bounded, None::<()>)?;
        self.pace.lock().connected();
        Ok(match socket {
            Some(Either::B(socket)) => Some(PacedTransport {
                pace: self.pace.clone(),
                socket: Box::new(socket),
            }),
            _ => None,
        })
    }
}

/// A socket on which no wait is longer than the pace allows.
#[derive(Debug)]
pub(super) struct PacedTransport {
    pace: SharedPace,
    socket: Box<dyn Transport>,
}

impl Transport for PacedTransport {
    fn buffers(&mut self) -> &mut dyn Buffers {
        self.socket.buffers()
    }

    fn transmit_output(&mut self, amount: usize, timeout: NextTimeout) -> Result<(), Error> {
        let limit = {
            let mut pace = self.pace.lock();
            // A connection that is used again was not made again.
            pace.connected();
            if pace.check().is_some() {
                return Err(Error::Timeout(Timeout::SendRequest));
            }
            pace.next_wait()
        };
        self.socket
            .transmit_output(amount, at_most(timeout, limit))
            .inspect_err(|e| self.note(e))?;
        self.pace.lock().sent(amount as u64);
        Ok(())
    }

    fn await_input(&mut self, timeout: NextTimeout) -> Result<bool, Error> {
        loop {
            let limit = {
                let mut pace = self.pace.lock();
                if pace.check().is_some() {
                    return Err(Error::Timeout(Timeout::RecvBody));
                }
                pace.next_wait()
            };
            let before = self.socket.buffers().input().len();
            let start = Instant::now();
            let result = self.socket.await_input(at_most(timeout, limit));
            let after = self.socket.buffers().input().len();
            self.pace
                .lock()
                .wire(after.saturating_sub(before) as u64, start.elapsed());
            match result {
                // Our own slot has passed; whether that is too slow is decided above. A limit of
                // the caller that is shorter than a slot runs out by itself.
                Err(Error::Timeout(_)) if limit < *timeout.after => continue,
                Err(e) => {
                    self.note(&e);
                    return Err(e);
                }
                Ok(progress) => return Ok(progress),
            }
        }
    }

    fn is_open(&mut self) -> bool {
        self.socket.is_open()
    }
}

impl PacedTransport {
    fn note(&self, error: &Error) {
        let mut pace = self.pace.lock();
        match error {
            Error::Timeout(_) => {
                let elapsed = pace.elapsed();
                pace.give_up(elapsed);
            }
            e => pace.break_off(e.to_string()),
        }
    }
}

fn at_most(mut timeout: NextTimeout, limit: std::time::Duration) -> NextTimeout {
    let limit = WaitLimit::Exact(limit);
    if limit < timeout.after {
        timeout.after = limit;
    }
    timeout
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_in_the_url_is_not_looked_up() {
        for (url, address) in [
            ("http://127.0.0.1/a", Some("127.0.0.1:80")),
            ("http://127.0.0.1:8080/a", Some("127.0.0.1:8080")),
            ("https://10.0.0.1/", Some("10.0.0.1:443")),
            ("https://[2001:db8::1]/", Some("[2001:db8::1]:443")),
            ("http://[::1]:81/", Some("[::1]:81")),
            ("http://localhost/", None),
            ("http://127.1/", None),
            ("http://1.2.3.4.example/", None),
        ] {
            let expected: Option<SocketAddr> = address.map(|text| text.parse().unwrap());
            assert_eq!(literal(&url.parse().unwrap()), expected, "{url}");
        }
    }
}
