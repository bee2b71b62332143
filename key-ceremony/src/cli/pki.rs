//! `key-ceremony pki`.

mod attest;
mod authority;
mod batch;
mod issue;
mod list;
mod revoke;

use std::path::PathBuf;

use clap::{Args, Subcommand};
use countersign_ceremony::CeremonyError;
use countersign_ceremony::pki::Authority;

use super::output::Report;
use super::{Global, now};

const EXAMPLES: &str = "\
Examples:
  key-ceremony pki init --ca device-ca --key 'pkcs11:token=ca;object=device-ca' \\
      --generate ecdsa-p384 --name 'Example Motors Device CA' --expires 10y
  key-ceremony pki issue --ca device-ca --vehicle WVWZZZ1JZXW000001 --ecu TCU-0001 \\
      --out TCU-0001.pem TCU-0001.csr
  key-ceremony pki batch --ca device-ca --manifest line4.csv --csrs csr/ --out certs/
  key-ceremony pki revoke --ca device-ca --vehicle WVWZZZ1JZXW000001 --reason key-compromise
  key-ceremony pki crl --ca device-ca --out device-ca.crl.pem";

#[derive(Subcommand)]
#[command(after_help = EXAMPLES)]
pub(super) enum Pki {
    /// Make a CA for devices and their servers, with its key in a token
    Init(authority::Init),
    /// Take in the certificate that another CA issued for this one, or a newer one
    Adopt(authority::Adopt),
    /// Issue a certificate for one device
    Issue(issue::Issue),
    /// Issue certificates for all requests of a manifest; run it again if it was interrupted
    Batch(batch::Batch),
    /// Issue the next certificate for a device that has a valid one
    Renew(issue::Renew),
    /// Issue a certificate for a server that devices talk to
    Server(issue::Server),
    /// Revoke certificates, for ever
    Revoke(revoke::Revoke),
    /// Write the next revocation list
    Crl(revoke::Crl),
    /// List what the CA has issued
    List(list::List),
    /// Show a certificate, or write it to a file again
    Show(list::Show),
    /// Check what a YubiHSM 2 attests about a key
    Attest(attest::Attest),
}

/// The CA to work with.
#[derive(Args)]
struct Ca {
    /// The folder of the CA
    #[arg(long, value_name = "DIR")]
    ca: PathBuf,
}

impl Ca {
    fn open(&self) -> Result<Authority, CeremonyError> {
        Authority::open(&self.ca)
    }

    fn view(&self) -> Result<Authority, CeremonyError> {
        Authority::view(&self.ca)
    }
}

impl Pki {
    pub(super) fn run(&self, global: &Global) -> Result<Report, CeremonyError> {
        match self {
            Self::Init(init) => init.run(global),
            Self::Adopt(adopt) => adopt.run(),
            Self::Issue(issue) => issue.run(global),
            Self::Batch(batch) => batch.run(global),
            Self::Renew(renew) => renew.run(global),
            Self::Server(server) => server.run(global),
            Self::Revoke(revoke) => revoke.run(),
            Self::Crl(crl) => crl.run(global),
            Self::List(list) => list.run(),
            Self::Show(show) => show.run(),
            Self::Attest(attest) => attest.run(global),
        }
    }
}
