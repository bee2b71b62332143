//! Commands on the Director's own machine, which go to its database.

use std::path::PathBuf;

use clap::Subcommand;
use countersign_client::client::read_root;
use countersign_director::service::Actor;
use countersign_director::settings::Settings;
use countersign_director::storage::{AuditHead, Database, Record};
use countersign_metadata::MetadataError;
use countersign_metadata::uptane::{OfflineName, Vin};
use serde_json::json;

use super::output::{Done, Failure};
use super::{now, service};

#[derive(Subcommand)]
pub(super) enum Root {
    /// Take in the next Root; the first one is taken on your word
    Import {
        /// The file, as the ceremony has published it
        #[arg(value_name = "N.root.json")]
        file: PathBuf,
    },
}

#[derive(Subcommand)]
pub(super) enum Audit {
    /// Check that nothing was changed, left out or cut off
    ///
    /// Prints the last entry's number and digest. Keep them elsewhere: with --noted they show later
    /// that the log goes on from there.
    Verify {
        /// What an earlier check has printed
        #[arg(long, value_name = "NUMBER:DIGEST")]
        noted: Option<String>,
    },
}

/// Write what is ordered of a vehicle into a bundle, to be carried to it (PURE-2)
///
/// Metadata of both repositories and the images, signed by the keys for offline updates. A vehicle takes
/// it without asking anybody.
#[derive(clap::Args)]
pub(super) struct Bundle {
    /// The vehicle
    vin: String,
    /// Name of its Offline Targets file; each name counts its own versions
    #[arg(long, default_value = "garage")]
    name: String,
    /// Where to
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
}

/// Copy the SQLite database, while the Director works
///
/// Images are in their own store and are copied by its means. A PostgreSQL database is backed up by
/// pg_dump. What comes back from a backup is followed by `director after-restore`.
#[derive(clap::Args)]
pub(super) struct Backup {
    /// Where to; there must be no such file
    #[arg(value_name = "FILE")]
    out: PathBuf,
}

/// Raise all versions, after an older database was put in place
///
/// What was ordered is forgotten, because it may be older than what runs: order anew what is still to be
/// installed. Vehicles refuse versions below those they have seen. The number has to be larger than how often
/// any vehicle's metadata was signed since the backup; 10000 is plenty.
#[derive(clap::Args)]
pub(super) struct AfterRestore {
    /// Versions to leave out
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..=1_000_000_000))]
    skip: u64,
}

impl Root {
    pub(super) async fn run(&self, settings: &Settings) -> Result<Done, Failure> {
        let Self::Import { file } = self;
        let bytes = read_root(file).map_err(|error| {
            Failure::new("root", format!("cannot read {}: {error}", file.display()))
        })?;
        let service = service(settings).await?;
        let imported = service.import_root(bytes, &Actor::operator(), now()?).await;
        let version = imported.map_err(|error| Failure::new("root", error))?;
        service.database().clone().close().await;
        let text =
            format!("Root {version} is in force; every vehicle's metadata is signed anew under it");
        Ok(Done::new(text, json!({ "version": version })))
    }
}

impl Audit {
    pub(super) async fn run(&self, settings: &Settings) -> Result<Done, Failure> {
        let Self::Verify { noted } = self;
        let noted = noted.as_deref().map(parse_head).transpose()?;
        let database = database(settings).await?;
        let verified = database.verify_audit(noted.as_ref()).await;
        let verified = verified.map_err(|error| Failure::new("database", error))?;
        let head = verified.map_err(|fault| Failure::new("audit", fault))?;
        database.close().await;
        let text = format!("intact: {}:{}", head.seq, head.digest);
        Ok(Done::new(
            text,
            json!({ "entries": head.seq, "digest": head.digest }),
        ))
    }
}

impl Bundle {
    pub(super) async fn run(&self, settings: &Settings) -> Result<Done, Failure> {
        let usage = |error: MetadataError| Failure::new("usage", error);
        let vin = Vin::new(&self.vin).map_err(usage)?;
        let name = OfflineName::new(&self.name).map_err(usage)?;
        let service = service(settings).await?;
        let made = service.bundle(&vin, &name, &Actor::operator()).await;
        let made = made.map_err(|error| Failure::new("bundle", error))?;
        let copied = std::fs::copy(made.path(), &self.out);
        let length = copied.map_err(|error| {
            Failure::new(
                "bundle",
                format!("cannot write {}: {error}", self.out.display()),
            )
        })?;
        service.database().clone().close().await;
        let text = format!("{}: {length} bytes", self.out.display());
        Ok(Done::new(
            text,
            json!({ "file": self.out.display().to_string(), "bytes": length }),
        ))
    }
}

impl Backup {
    pub(super) async fn run(&self, settings: &Settings) -> Result<Done, Failure> {
        let exists = self.out.exists();
        if exists {
            let message = format!("{} exists; choose another name", self.out.display());
            return Err(Failure::new("backup", message));
        }
        let database = database(settings).await?;
        let done = database.back_up(&self.out).await;
        done.map_err(|error| Failure::new("backup", error))?;
        database.close().await;
        let text = format!("copied to {}", self.out.display());
        Ok(Done::new(
            text,
            json!({ "file": self.out.display().to_string() }),
        ))
    }
}

impl AfterRestore {
    pub(super) async fn run(&self, settings: &Settings) -> Result<Done, Failure> {
        let database = database(settings).await?;
        let record = Record {
            at: now()?,
            actor: Actor::operator().0,
            action: "director.restored".into(),
            vin: None,
            detail: [("skip".to_owned(), self.skip.into())].into(),
        };
        let done = database.leave_out_versions(self.skip, &[record]).await;
        done.map_err(|error| Failure::new("database", error))?;
        database.close().await;
        let text = format!(
            "the next versions of all metadata leave out {}; import Roots that are newer than the backup",
            self.skip
        );
        Ok(Done::new(text, json!({ "skip": self.skip })))
    }
}

pub(super) async fn database(settings: &Settings) -> Result<Database, Failure> {
    let database = Database::open(&settings.database_url()).await;
    database.map_err(|error| Failure::new("database", error))
}

fn parse_head(text: &str) -> Result<AuditHead, Failure> {
    let parts = text.split_once(':');
    let parts = parts.and_then(|(seq, digest)| Some((seq.parse().ok()?, digest.to_owned())));
    let (seq, digest) = parts
        .ok_or_else(|| Failure::new("usage", "--noted wants NUMBER:DIGEST, as it was printed"))?;
    Ok(AuditHead { seq, digest })
}
