//! `key-ceremony pki`.

mod attest;
mod authority;
mod batch;
mod examples;
mod issue;
mod list;
mod revoke;

use std::path::PathBuf;

use clap::{Args, Subcommand};
use countersign_ceremony::CeremonyError;
use countersign_ceremony::pki::Authority;

use super::output::Report;
use super::{Global, now};

#[derive(Subcommand)]
pub(super) enum Pki {
    /// Make a CA for devices and their servers, with its key in a token
    ///
    /// The folder gets ca.json, ca.pem and index.jsonl. Back it up: the index is the only record of
    /// what was issued. The key is not in it.
    #[command(after_help = examples::INIT)]
    Init(authority::Init),
    /// Take in the certificate that another CA issued for this one, or a newer one
    #[command(after_help = examples::ADOPT)]
    Adopt(authority::Adopt),
    /// Issue a certificate for one device
    ///
    /// The request proves that the device has the private key. Who the device is says the command
    /// line; a request that names another device is refused. The same request again gives the same
    /// certificate again.
    #[command(after_help = examples::ISSUE)]
    Issue(issue::Issue),
    /// Issue certificates for all requests of a manifest; run it again if it was interrupted
    ///
    /// The manifest is CSV with the columns csr, vehicle and ecu, or JSON lines with these members;
    /// 'csr' is a file name in the folder of requests. A row that cannot be done is put into
    /// errors.jsonl in the output folder, and the others go on; the exit code is 1 then. A run that
    /// was interrupted, at any point, is continued by the same command.
    #[command(after_help = examples::BATCH)]
    Batch(batch::Batch),
    /// Issue the next certificate for a device that has a valid one
    ///
    /// The identity is taken from the old certificate, which stays valid until it ends.
    #[command(after_help = examples::RENEW)]
    Renew(issue::Renew),
    /// Issue a certificate for a server that devices talk to
    ///
    /// Each call gives a new certificate: servers share names, and their keys change often.
    #[command(after_help = examples::SERVER)]
    Server(issue::Server),
    /// Revoke certificates, for ever
    ///
    /// Servers learn of it from the next revocation list: run 'pki crl' and give it to them. A key
    /// that was revoked as compromised gets no certificate any more.
    #[command(after_help = examples::REVOKE)]
    Revoke(revoke::Revoke),
    /// Write the next revocation list
    ///
    /// Run it regularly, well before the last list's next update: servers may refuse everybody once
    /// that has passed.
    ///
    /// Write it to the same file each time. A list there that the index does not know is not
    /// replaced: the index is an older copy then, and knows too little.
    #[command(after_help = examples::CRL)]
    Crl(revoke::Crl),
    /// List what the CA has issued
    #[command(after_help = examples::LIST)]
    List(list::List),
    /// Show a certificate, or write it to a file again
    #[command(after_help = examples::SHOW)]
    Show(list::Show),
    /// Check what a YubiHSM 2 attests about a key
    ///
    /// Exit code 0 says: the maker's root leads to this attestation, the key was made in that device
    /// and cannot leave it, and it is the key that --key names. Everything else is 1.
    #[command(after_help = examples::ATTEST)]
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
