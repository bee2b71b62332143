//! The firmware as a client that is put through the vectors.

use std::collections::BTreeMap;
use std::path::PathBuf;

use countersign_bare_metal_messages::{self as messages, Answer, Order, Outcome, Question};
use countersign_vectors::format::{self, Action, Assigned, Cycle, Install, Kind, Step, Verdict};
use countersign_vectors::run::in_process::{bundle, clock};
use countersign_vectors::run::{Client, Observed, Refusal, RunError};
use countersign_vectors::suite::Vector;
use countersign_vectors::tree::{Answer as Served, Site};
use countersign_verifier::Code;

use crate::board::Board;

/// Where a board comes from: one for all cases, and a new one after a case that it did not survive.
pub(crate) struct Boards {
    firmware: PathBuf,
    running: Option<Board>,
}

impl Boards {
    pub(crate) fn with(firmware: PathBuf) -> Self {
        Self {
            firmware,
            running: None,
        }
    }

    fn get(&mut self) -> Result<&mut Board, RunError> {
        let board = match self.running.take() {
            Some(board) => board,
            None => Board::start(&self.firmware)?,
        };
        Ok(self.running.insert(board))
    }
}

/// One client: what it keeps is here, what it decides is decided on the board.
pub(crate) struct OnBoard<'b> {
    boards: &'b mut Boards,
    chunk: Option<u32>,
    store: BTreeMap<String, Stored>,
}

struct Stored {
    bytes: Vec<u8>,
    accepted_under: Option<u64>,
}

/// What is served in one step.
struct Service<'s> {
    site: &'s Site,
    /// Before `metadata/` and `targets/`.
    folder: &'static str,
    requests: Vec<String>,
}

impl<'b> OnBoard<'b> {
    /// Files go into its sessions in chunks of that many bytes.
    pub(crate) fn new(boards: &'b mut Boards, chunk: Option<u32>) -> Self {
        Self {
            boards,
            chunk,
            store: BTreeMap::new(),
        }
    }
}

impl Client for OnBoard<'_> {
    fn init(&mut self, vector: &Vector) -> Result<(), RunError> {
        self.store.clear();
        let order = match &vector.case.ecu {
            None => Order::Tuf {
                root: vector.trusted_root().to_vec(),
            },
            Some(ecu) => Order::Ecu(ecu_of(ecu, vector, self.chunk)?),
        };
        let nothing = Site::default();
        let outcome = self.obey(&order, &mut Service::of(vector, &nothing))?;
        match outcome.refusal {
            None => Ok(()),
            Some(refusal) => Err(RunError(refusal.detail)),
        }
    }

    fn act(&mut self, vector: &Vector, step: &Step) -> Result<Observed, RunError> {
        let now = clock(vector, step)?.unix();
        let mut site = vector.site(step);
        let mut carried = false;
        let order = match &step.action {
            Action::Refresh => Order::Refresh { now },
            Action::Download(names) => Order::Download {
                now,
                names: names.clone(),
            },
            Action::Cycle(cycle) => {
                let name = match &cycle.bundle {
                    None => None,
                    Some(bundle) => {
                        let opened = bundle::open(vector.file(bundle));
                        let (members, name) = opened.map_err(|reject| RunError(reject.detail))?;
                        (site, carried) = (members, true);
                        Some(name.to_string())
                    }
                };
                Order::Cycle(cycle_of(cycle, name, vector, now)?)
            }
            Action::Install(Install { image, .. }) => Order::Install {
                now,
                image: image.as_deref().map(|file| vector.file(file).to_vec()),
            },
            Action::Manifest(_) => return Err(RunError("that is for a Director".into())),
        };
        let mut service = Service::of(vector, &site);
        let outcome = self.obey(&order, &mut service)?;
        // What comes out of a bundle is asked of nobody.
        let requests = match carried {
            false => service.requests,
            true => Vec::new(),
        };
        let is_ecu = vector.case.kind() == Kind::Uptane;
        let downloads = outcome.downloads.iter().map(hex::encode);
        let installed = outcome.installed.map_or("factory".into(), hex::encode);
        let assigned = is_ecu && outcome.refusal.is_none();
        Ok(Observed {
            verdict: match outcome.refusal {
                None => Verdict::Accept,
                Some(_) => Verdict::Reject,
            },
            trusted: self.trusted(service.folder),
            requests,
            downloads: downloads.collect(),
            assigned: assigned.then(|| outcome.assigned.iter().map(assigned_of).collect()),
            installed: is_ecu.then_some(installed),
            messages: outcome
                .refusal
                .as_ref()
                .map_or_else(String::new, |refusal| refusal.detail.clone()),
            refusal: outcome.refusal.map(refusal_of).transpose()?,
            ..Observed::default()
        })
    }
}

impl OnBoard<'_> {
    /// Gives an order and answers what the board asks, up to the end.
    fn obey(&mut self, order: &Order, service: &mut Service<'_>) -> Result<Outcome, RunError> {
        let result = self.converse(order, service);
        if result.is_err() {
            // Whatever it is doing now, the next case starts on another board.
            self.boards.running = None;
        }
        result
    }

    fn converse(&mut self, order: &Order, service: &mut Service<'_>) -> Result<Outcome, RunError> {
        self.boards.get()?.send(order)?;
        loop {
            let answer = match self.boards.get()?.question()? {
                Question::Done(outcome) => return Ok(outcome),
                Question::Load { name } => match self.store.get(&name) {
                    Some(stored) => Answer::Stored {
                        bytes: stored.bytes.clone(),
                        accepted_under: stored.accepted_under,
                    },
                    None => Answer::NotFound,
                },
                Question::Save {
                    name,
                    accepted_under,
                    bytes,
                } => {
                    let stored = Stored {
                        bytes,
                        accepted_under,
                    };
                    self.store.insert(name, stored);
                    Answer::Saved
                }
                Question::Fetch { folder, file } => {
                    service.requests.push(format!("{}{file}", service.folder));
                    service.answer(&format!("{folder}/{file}"))
                }
                Question::Image { path } => service.answer(&format!("targets/{path}")),
            };
            self.boards.get()?.send(&answer)?;
        }
    }

    fn trusted(&self, folder: &str) -> BTreeMap<String, Vec<u8>> {
        let trusted = self.store.iter().filter_map(|(name, stored)| {
            let role = match name.as_str() {
                "root" | "timestamp" | "snapshot" | "targets" => name,
                other => other.strip_prefix("delegated/")?,
            };
            Some((format!("{folder}{role}"), stored.bytes.clone()))
        });
        trusted.collect()
    }
}

impl<'s> Service<'s> {
    fn of(vector: &Vector, site: &'s Site) -> Self {
        Self {
            site,
            folder: match vector.case.kind() {
                Kind::Uptane => "director/",
                Kind::Tuf | Kind::Director => "",
            },
            requests: Vec::new(),
        }
    }

    fn answer(&self, path: &str) -> Answer {
        match self.site.get(&format!("{}{path}", self.folder)) {
            Served::Found(bytes) => Answer::File(bytes),
            // Object stores say 403 for what is not there.
            Served::Status(403 | 404 | 410) => Answer::NotFound,
            Served::Status(_) => Answer::Failed,
        }
    }
}

fn ecu_of(
    ecu: &format::Ecu,
    vector: &Vector,
    chunk: Option<u32>,
) -> Result<messages::Ecu, RunError> {
    let installed = ecu.installed.as_ref().map(|installed| {
        let mut sha256 = [0; 32];
        hex::decode_to_slice(&installed.sha256, &mut sha256)?;
        Ok(messages::Installed {
            path: installed.path.clone(),
            release_counter: installed.release_counter,
            length: installed.length,
            sha256,
        })
    });
    let installed = installed.transpose();
    Ok(messages::Ecu {
        vin: ecu.vin.clone(),
        serial: ecu.serial.clone(),
        hardware_id: ecu.hardware_id.clone(),
        installed: installed.map_err(|error: hex::FromHexError| RunError(error.to_string()))?,
        root: vector.file(&ecu.director_root).to_vec(),
        chunk,
    })
}

fn cycle_of(
    cycle: &Cycle,
    offline: Option<String>,
    vector: &Vector,
    now: i64,
) -> Result<messages::Cycle, RunError> {
    let nonce = cycle.nonce.as_ref().map(|nonce| {
        let mut bytes = [0; 16];
        hex::decode_to_slice(nonce, &mut bytes).map(|()| bytes)
    });
    let nonce = nonce.transpose();
    Ok(messages::Cycle {
        now,
        nonce: nonce.map_err(|error| RunError(error.to_string()))?,
        attestation: cycle
            .attestation
            .as_deref()
            .map(|file| vector.file(file).to_vec()),
        offline,
    })
}

fn refusal_of(refusal: messages::Refusal) -> Result<Refusal, RunError> {
    let name = |number: u16| {
        let code = Code::ALL.iter().find(|code| code.number() == number);
        code.map(|code| code.name().to_owned())
            .ok_or_else(|| RunError(format!("there is no code {number}")))
    };
    let cause = refusal.cause.map_or(Ok("none".into()), name)?;
    Ok(Refusal {
        code: name(refusal.code)?,
        role: refusal.role,
        repository: Some(refusal.repository),
        attack: refusal.attack,
        cause: Some(cause),
    })
}

fn assigned_of(assigned: &messages::Assigned) -> Assigned {
    Assigned {
        ecu: assigned.ecu.clone(),
        path: assigned.path.clone(),
        release_counter: assigned.release_counter,
        encrypted: assigned.encrypted,
    }
}
