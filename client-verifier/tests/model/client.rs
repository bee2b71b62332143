//! A client whose store is a map, and whose power can be cut after any write.

use std::collections::BTreeMap;

use countersign_metadata::{Role, TargetFile, UtcTime};
use countersign_verifier::{
    Context, Protocol, Reject, Reply, Session, Step, StoreName, Stored, drive, provision_root,
};

use super::repository::IMAGES;

/// Why a visit ended early.
#[derive(Debug)]
pub(crate) enum Stop {
    /// The power was cut.
    Cut,
    /// The verifier refused something.
    Refused(Reject),
}

impl From<Reject> for Stop {
    fn from(reject: Reject) -> Self {
        Self::Refused(reject)
    }
}

/// What a visit found.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Seen {
    /// Versions of root, timestamp, snapshot and targets.
    pub(crate) versions: [u64; 4],
    /// In the order of [`IMAGES`].
    pub(crate) images: Vec<TargetFile>,
}

#[derive(Debug, Clone)]
pub(crate) struct Client {
    pub(crate) store: BTreeMap<StoreName, Stored>,
    /// How many visits there were. Every third neither keeps nor uses an outline.
    visits: usize,
}

impl Client {
    /// With a first Root.
    pub(crate) fn provisioned(root: &[u8]) -> Self {
        let version = root_version(root);
        let stored = Stored {
            bytes: root.to_vec(),
            accepted_under: None,
        };
        let names = [StoreName::Root, StoreName::RootHistory(version)];
        Self {
            store: names.map(|name| (name, stored.clone())).into(),
            visits: 0,
        }
    }

    /// A refresh and a search for every image. `writes` is how many writes the power lasts for.
    pub(crate) fn visit(
        &mut self,
        files: &BTreeMap<String, Vec<u8>>,
        now: UtcTime,
        writes: Option<usize>,
    ) -> Result<Seen, Stop> {
        let mut run = Run {
            store: &mut self.store,
            files,
            writes,
        };
        let mut session = Session::with_context(Context {
            outlines: self.visits % 3 != 2,
            ..Context::new(now)
        });
        self.visits += 1;
        let mut trusted = run.drive(&mut session)?;
        let mut images = Vec::new();
        for (role, path) in IMAGES {
            let target = run.drive(&mut trusted.search(path))?;
            assert_eq!(target.role(), role);
            assert!(now < target.valid_until());
            images.push(target.file().clone());
        }
        let versions = [
            trusted.root().content().version(),
            trusted.timestamp().unwrap().content().version(),
            trusted.snapshot().content().version(),
            trusted.targets().version(),
        ];
        Ok(Seen { versions, images })
    }
}

fn root_version(file: &[u8]) -> u64 {
    provision_root(file.to_vec()).unwrap().content().version()
}

struct Run<'a> {
    store: &'a mut BTreeMap<StoreName, Stored>,
    files: &'a BTreeMap<String, Vec<u8>>,
    writes: Option<usize>,
}

impl Run<'_> {
    fn drive<P: Protocol>(&mut self, session: &mut P) -> Result<P::Output, Stop> {
        drive(session, |step| {
            Ok(match step {
                Step::Load { name } => match self.store.get(&name) {
                    Some(stored) => Reply::Stored(stored.clone()),
                    None => Reply::NotFound,
                },
                Step::LoadPart { name, range } => {
                    let part = self.store.get(&name).and_then(|stored| stored.part(range));
                    part.map_or(Reply::NotFound, Reply::part)
                }
                Step::Fetch { what, max_len } => match self.files.get(&what.file_name()) {
                    Some(file) if file.len() as u64 > max_len => Reply::TooLarge,
                    Some(file) => Reply::Fetched(file.clone()),
                    None => Reply::NotFound,
                },
                Step::Save {
                    name,
                    version,
                    bytes,
                    accepted_under,
                    ..
                } => {
                    let in_force = match &name {
                        StoreName::Root => version,
                        _ => root_version(&self.store[&StoreName::Root].bytes),
                    };
                    assert_eq!(accepted_under, in_force, "{name:?}");
                    let stored = Stored {
                        bytes: bytes.to_vec(),
                        accepted_under: Some(accepted_under),
                    };
                    if name == StoreName::Targets {
                        self.store.remove(&StoreName::TargetsOutline);
                    }
                    if name == StoreName::Root {
                        self.write(StoreName::RootHistory(version), stored.clone())?;
                    }
                    self.write(name, stored)?;
                    Reply::Saved
                }
                Step::Done(_) => unreachable!("`drive` ends there"),
            })
        })
    }

    fn write(&mut self, name: StoreName, stored: Stored) -> Result<(), Stop> {
        match &mut self.writes {
            Some(0) => return Err(Stop::Cut),
            Some(left) => *left -= 1,
            None => {}
        }
        self.store.insert(name, stored);
        Ok(())
    }
}
