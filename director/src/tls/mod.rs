//! Who may speak to the Director's listeners, and how that changes while they are open.
//!
//! Certificates, authorities and revocation lists are files. They are read again when they change, and a
//! file that is broken leaves everything as it was. Devices are verified at the handshake and, through
//! [`Client::check`], with every request: a list that is loaded meanwhile reaches connections that are open.

mod accept;
mod client;
mod connections;
mod error;
mod identity;
mod load;
mod watch;

use std::path::PathBuf;
use std::sync::Arc;

use arc_swap::ArcSwap;
use countersign_metadata::UtcTime;

pub use accept::{DeviceAcceptor, ServerAcceptor};
pub use client::Client;
pub use connections::{Bounds, Held};
pub use error::{IdentityError, Refusal, TlsError};
pub use identity::Identity;

use load::Loaded;

/// The files of a listener, all of them PEM.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TlsFiles {
    /// The server's certificate, and those between it and what clients trust.
    pub certificate: PathBuf,
    /// Its private key.
    pub key: PathBuf,
    /// Who vouches for clients. Without it, clients have no certificates, as on the admin listener.
    pub clients: Option<ClientFiles>,
}

/// The authorities of a device PKI and their lists, in any number of files.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClientFiles {
    /// Certificates of authorities.
    pub authorities: Vec<PathBuf>,
    /// One revocation list of each of them.
    pub revocations: Vec<PathBuf>,
}

/// Something that ends unless somebody does something.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Deadline {
    /// What it is.
    pub of: Ends,
    /// Whose it is: the subject of an authority, or the path of the server's certificate.
    pub name: String,
    /// When it ends.
    pub at: UtcTime,
}

/// What ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Ends {
    /// The server's certificate, or one between it and the root: clients refuse it then.
    ServerCertificate,
    /// An authority of devices. What it has issued ends before.
    Authority,
    /// A revocation list: all devices of its authority are refused then.
    RevocationList,
}

/// The TLS of one listener. Clones are the same one.
#[derive(Debug, Clone)]
pub struct Tls(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    files: TlsFiles,
    current: ArcSwap<Loaded>,
}

impl Tls {
    /// Reads the files.
    ///
    /// # Errors
    /// [`TlsError`]
    pub fn load(files: TlsFiles) -> Result<Self, TlsError> {
        let current = ArcSwap::from_pointee(Loaded::read(&files, None)?);
        Ok(Self(Arc::new(Shared { files, current })))
    }

    /// Reads the files again, whether they have changed or not. New connections get what is in them, and
    /// so do new requests on old ones.
    ///
    /// # Errors
    /// [`TlsError`]; then everything is as it was.
    pub fn reload(&self) -> Result<(), TlsError> {
        let next = Loaded::read(&self.0.files, Some(&self.0.current.load()))?;
        self.0.current.store(Arc::new(next));
        Ok(())
    }

    /// Reads the files again if one of them is another than at the last time, and says whether it was.
    ///
    /// # Errors
    /// [`TlsError`]; then everything is as it was.
    pub fn reload_if_changed(&self) -> Result<bool, TlsError> {
        if self.0.current.load().is_of(&self.0.files) {
            return Ok(false);
        }
        self.reload().map(|()| true)
    }

    /// What ends, and when.
    pub fn deadlines(&self) -> Vec<Deadline> {
        self.current().deadlines.clone()
    }

    fn current(&self) -> Arc<Loaded> {
        self.0.current.load_full()
    }
}
