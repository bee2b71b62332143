//! Certificates for a factory: one run over a manifest, which can be killed and run again.
//!
//! The index is the only memory. A row whose device has a valid certificate for the same key is
//! done; its file is written if it is missing. So a second run does what the first one left.

use std::collections::HashSet;
use std::fs;
use std::path::{Path, PathBuf};

use countersign_metadata::UtcTime;
use countersign_repo::policy::Span;
use countersign_signing::Secrets;
use serde::Serialize;

use crate::CeremonyError;

use super::authority::Authority;
use super::ca_key::CaKey;
use super::error::PkiError;
use super::files::{self, Durable};
use super::identity::{DeviceId, Subject};
use super::issue::Issued;
use super::limits;
use super::manifest::{self, Row};
use super::record::KeyHash;
use super::request::Request;
use super::rules::{Existing, Order, Plan};

/// The list of refused rows, beside the folders of the vehicles.
const ERRORS: &str = "errors.jsonl";

/// What a batch reads and writes.
#[derive(Debug, Clone)]
pub struct BatchFiles<'a> {
    /// Which request is for which device: CSV or JSON lines.
    pub manifest: &'a Path,
    /// The folder of the requests.
    pub requests: &'a Path,
    /// Where `VEHICLE/ECU.pem` is written, and `errors.jsonl`.
    pub out: &'a Path,
}

/// What a batch did.
#[derive(Debug, Clone)]
pub struct BatchOutcome {
    /// Rows in the manifest.
    pub rows: usize,
    /// Certificates signed by this run.
    pub issued: usize,
    /// Rows that were done before.
    pub already: usize,
    /// Rows that were refused.
    pub errors: Vec<RowError>,
    /// The file with the refused rows; empty if there are none.
    pub errors_file: PathBuf,
}

/// Why a row was refused. The others were not held up by it.
#[derive(Debug, Clone, Serialize)]
pub struct RowError {
    /// The line of the manifest, counted from 1.
    pub line: usize,
    /// The file of the request.
    pub csr: String,
    /// The vehicle.
    pub vehicle: String,
    /// The ECU.
    pub ecu: String,
    /// A stable name.
    pub name: &'static str,
    /// What happened and what to do.
    pub message: String,
}

/// Orders that are signed together. No two are about the same device or key, so that the rules,
/// which look at the index, see each one's predecessors.
#[derive(Default)]
struct Group {
    orders: Vec<Order>,
    subjects: HashSet<Subject>,
    keys: HashSet<KeyHash>,
}

impl Group {
    fn touches(&self, order: &Order) -> bool {
        self.subjects.contains(&order.subject) || self.keys.contains(&order.key.hash())
    }

    fn push(&mut self, order: Order) {
        self.subjects.insert(order.subject.clone());
        self.keys.insert(order.key.hash());
        self.orders.push(order);
    }
}

impl Authority {
    /// Issues a certificate for each row of a manifest. `progress` is told how many rows are
    /// done, of how many.
    ///
    /// # Errors
    /// [`PkiError::Manifest`], or what stopped the run; a row's own fault does not. Running it
    /// again goes on.
    pub fn batch(
        &mut self,
        from: &BatchFiles<'_>,
        valid: Span,
        now: UtcTime,
        secrets: &Secrets,
        progress: &mut dyn FnMut(usize, usize),
    ) -> Result<BatchOutcome, CeremonyError> {
        self.check_clock(now)?;
        self.check_span(valid, now)?;
        let rows = manifest::read(from.manifest)?;
        let errors_file = start(from.out)?;
        let key = self.unlock(secrets)?;
        let mut run = Run {
            authority: self,
            out: from.out,
            key: &key,
            valid,
            now,
            group: Group::default(),
            issued: 0,
        };
        let mut errors = Vec::new();
        let mut already = 0;
        for (done, row) in rows.iter().enumerate() {
            progress(done, rows.len());
            match run.take(row, from.requests)? {
                Ok(Taken::Already) => already += 1,
                Ok(Taken::Grouped) => {}
                Err(error) => errors.push(RowError::new(row, &error)),
            }
        }
        run.flush()?;
        let issued = run.issued;
        progress(rows.len(), rows.len());
        write_errors(&errors_file, &errors)?;
        files::sync_all(from.out)?;
        Ok(BatchOutcome {
            rows: rows.len(),
            issued,
            already,
            errors,
            errors_file,
        })
    }
}

enum Taken {
    Grouped,
    Already,
}

struct Run<'a> {
    authority: &'a mut Authority,
    out: &'a Path,
    key: &'a CaKey,
    valid: Span,
    now: UtcTime,
    group: Group,
    issued: usize,
}

impl Run<'_> {
    /// The outer error stops the batch, the inner one is the row's.
    fn take(
        &mut self,
        row: &Row,
        requests: &Path,
    ) -> Result<Result<Taken, CeremonyError>, CeremonyError> {
        let (device, request) = match read_row(row, requests) {
            Ok(read) => read,
            Err(error) => return Ok(Err(error)),
        };
        let mut plan = self.plan(&device, &request);
        if matches!(&plan, Ok(Plan::Sign(order)) if self.group.touches(order)) {
            self.flush()?;
            plan = self.plan(&device, &request);
        }
        match plan {
            Err(error) => Ok(Err(error.into())),
            Ok(Plan::Have(serial)) => {
                let issued = self.authority.have(serial)?;
                write_certificate(self.out, &issued)?;
                Ok(Ok(Taken::Already))
            }
            Ok(Plan::Sign(order)) => {
                self.group.push(order);
                if self.group.orders.len() == limits::GROUP {
                    self.flush()?;
                }
                Ok(Ok(Taken::Grouped))
            }
        }
    }

    fn plan(&self, device: &DeviceId, request: &Request) -> Result<Plan, PkiError> {
        let existing = Existing::Refuse;
        self.authority.plan(device, request, existing, self.now)
    }

    fn flush(&mut self) -> Result<(), CeremonyError> {
        let group = std::mem::take(&mut self.group);
        if group.orders.is_empty() {
            return Ok(());
        }
        let (valid, now) = (self.valid, self.now);
        let signed = self.authority.commit(group.orders, valid, now, self.key)?;
        for issued in &signed {
            write_certificate(self.out, issued)?;
        }
        self.issued += signed.len();
        Ok(())
    }
}

impl RowError {
    fn new(row: &Row, error: &CeremonyError) -> Self {
        Self {
            line: row.line,
            csr: row.csr.clone(),
            vehicle: row.vehicle.clone(),
            ecu: row.ecu.clone(),
            name: error.name(),
            message: error.to_string(),
        }
    }
}

fn read_row(row: &Row, requests: &Path) -> Result<(DeviceId, Request), CeremonyError> {
    let device = DeviceId::new(&row.vehicle, &row.ecu)?;
    if device.encoded()[0] == ERRORS {
        return Err(PkiError::Identifier {
            what: "vehicle",
            text: row.vehicle.clone(),
            why: "has the name of the list of refused rows; issue its certificates with 'pki issue'",
        }
        .into());
    }
    let path = row.path(requests).ok_or_else(|| PkiError::Request {
        path: Path::new(&row.csr).into(),
        why: "a manifest names files of the folder of requests, without any folder".into(),
    })?;
    Ok((device, Request::read(&path)?))
}

/// Makes the folder, and removes the list of errors of an earlier run.
fn start(out: &Path) -> Result<PathBuf, CeremonyError> {
    fs::create_dir_all(out).map_err(|source| CeremonyError::io("create", out, source))?;
    let errors = out.join(ERRORS);
    match fs::remove_file(&errors) {
        Err(source) if source.kind() != std::io::ErrorKind::NotFound => {
            Err(CeremonyError::io("remove", &errors, source))
        }
        _ => Ok(errors),
    }
}

fn write_certificate(out: &Path, issued: &Issued) -> Result<(), CeremonyError> {
    let Subject::Device(device) = &issued.subject else {
        return Ok(());
    };
    let [vehicle, ecu] = device.encoded();
    let folder = out.join(vehicle);
    let path = folder.join(format!("{ecu}.pem"));
    let there = files::read(&path, limits::FILE, "a certificate");
    if there.is_ok_and(|there| there == issued.pem.as_bytes()) {
        return Ok(());
    }
    fs::create_dir_all(&folder).map_err(|source| CeremonyError::io("create", &folder, source))?;
    files::replace(&path, issued.pem.as_bytes(), Durable::Later)
}

fn write_errors(path: &Path, errors: &[RowError]) -> Result<(), CeremonyError> {
    let mut lines = Vec::new();
    for error in errors {
        let line =
            serde_json::to_vec(error).map_err(|error| PkiError::Encode(error.to_string()))?;
        lines.extend(line);
        lines.push(b'\n');
    }
    files::replace(path, &lines, Durable::Later)
}
