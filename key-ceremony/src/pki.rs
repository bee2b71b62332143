//! The device PKI: a CA key in a token, CSRs in, certificates and revocation lists out.
//!
//! A certificate says two things: this public key belongs to this ECU of this vehicle, and so says
//! this authority. What goes into it is decided here and by the operator, never by the request.
//!
//! The modules follow the data: [`DeviceId`] and [`ServerNames`] are who a certificate is for,
//! [`Request`] is a CSR whose sender has proved to hold the key, [`Authority`] is the CA with its
//! index of everything it ever signed, and `issue`, `batch`, `revoke` and `crl` are what it does.
//! [`Attestation`] reads what a YubiHSM 2 says about a key that it holds.

mod attestation;
mod authority;
mod batch;
mod ca_certificate;
mod ca_key;
mod chain;
mod crl;
mod error;
mod files;
mod identity;
mod index;
mod init;
mod issue;
mod journal;
mod key;
mod limits;
mod manifest;
mod profile;
mod record;
mod request;
mod revoke;
mod rules;
mod settings;
pub(crate) mod weak_points;
pub(crate) mod x509;

pub use attestation::{Attestation, Origin};
pub use authority::{Authority, CaSummary};
pub use batch::{BatchFiles, BatchOutcome, RowError};
pub use chain::{ChainFiles, Verdict, attest};
pub use crl::CrlReport;
pub use error::PkiError;
pub use identity::{DeviceId, ServerNames, Subject};
pub use index::{Entry, Filter, Status};
pub use init::{CaOrder, Certifier, adopt, init};
pub use issue::{Issued, check_out};
pub use record::{Reason, Revocation, Serial};
pub use request::Request;
pub use revoke::{Revoked, Which};
pub use rules::Existing;
pub use settings::CustodyPolicy;
