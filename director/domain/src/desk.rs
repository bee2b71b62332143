//! What a director publishes for one vehicle: which files are due, with which versions.

mod text;

use std::collections::BTreeMap;

use countersign_metadata::json::Object;
use countersign_metadata::uptane::{Vin, custom_with_vin};
use countersign_metadata::{
    Header, MetaFile, Role, RoleType, Root, Signed, Snapshot, TargetFile, TargetPath, Targets,
    TargetsBuilder, Timestamp, UtcTime, canonical, sha256,
};

use crate::error::DirectorError;
use crate::keys::{OnlineKeys, signed};

/// How long signed files stay fresh, in seconds. They are renewed when half of it is over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Lifetimes {
    /// Root
    pub root: i64,
    /// Targets
    pub targets: i64,
    /// Snapshot
    pub snapshot: i64,
    /// Timestamp
    pub timestamp: i64,
}

const DAY: i64 = 86_400;

impl Default for Lifetimes {
    /// A year, a month, a week and a day.
    fn default() -> Self {
        Self {
            root: 365 * DAY,
            targets: 30 * DAY,
            snapshot: 7 * DAY,
            timestamp: DAY,
        }
    }
}

/// The content of a vehicle's Targets.
pub type Content = BTreeMap<TargetPath, TargetFile>;

/// What was published last for one vehicle. Versions only grow.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Desk {
    last: Option<Issue>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Issue {
    /// SHA-256 of what Targets lists.
    content: [u8; 32],
    /// The version of the Root whose keys have signed it.
    root: u64,
    targets: Header,
    snapshot: Header,
    timestamp: Header,
    /// What Timestamp says of Snapshot.
    snapshot_file: MetaFile,
}

/// A file that was signed, and that is to be published.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewFile {
    /// Targets, Snapshot or Timestamp.
    pub role: RoleType,
    /// Its version.
    pub version: u64,
    /// What is published.
    pub bytes: Vec<u8>,
}

impl NewFile {
    /// The name under which clients ask for it (Uptane 5.2.7).
    pub fn name(&self) -> String {
        file_name(self.role, self.version)
    }
}

/// The name under which clients ask for a file: that of Timestamp has no version.
pub fn file_name(role: RoleType, version: u64) -> String {
    match role {
        RoleType::Timestamp => "timestamp.json".into(),
        _ => format!("{version}.{}.json", role.name()),
    }
}

/// What holds for all vehicles while files are made.
pub struct Press<'a> {
    /// Sign the files.
    pub keys: &'a OnlineKeys,
    /// The version of the Root that names them.
    pub root_version: u64,
    /// How long files stay fresh.
    pub lifetimes: &'a Lifetimes,
    /// The time.
    pub now: UtcTime,
    /// How many versions to leave out. 0, except where versions may have been published that were
    /// forgotten.
    pub skip: u64,
}

impl Desk {
    /// As it was when it had published these files, where `root` is the last Root; and what it had
    /// ordered.
    ///
    /// # Errors
    /// [`DirectorError::Damaged`]
    pub fn restored(
        files: &BTreeMap<String, Vec<u8>>,
        root: &Root,
    ) -> Result<(Self, Content), DirectorError> {
        let mut signed_as = root.version();
        let Some(timestamp) = read::<Timestamp>(files, "timestamp.json", root, &mut signed_as)?
        else {
            return Ok(Default::default());
        };
        let name = file_name(RoleType::Snapshot, timestamp.snapshot.version);
        let Some(snapshot) = read::<Snapshot>(files, &name, root, &mut signed_as)? else {
            return Ok(Default::default());
        };
        let listed = snapshot.role("targets").map_or(0, |file| file.version);
        let name = file_name(RoleType::Targets, listed);
        let Some(targets) = read::<Targets>(files, &name, root, &mut signed_as)? else {
            return Ok(Default::default());
        };
        let content = TargetsBuilder::same_as(&targets)?.targets;
        let issue = Issue {
            content: digest(&content),
            root: signed_as,
            targets: targets.header().clone(),
            snapshot: snapshot.header,
            timestamp: timestamp.header,
            snapshot_file: timestamp.snapshot,
        };
        Ok((Self { last: Some(issue) }, content))
    }

    /// The version of a file that was published last.
    pub fn version(&self, role: RoleType) -> Option<u64> {
        let last = self.last.as_ref()?;
        match role {
            RoleType::Targets => Some(last.targets.version),
            RoleType::Snapshot => Some(last.snapshot.version),
            RoleType::Timestamp => Some(last.timestamp.version),
            RoleType::Root => Some(last.root),
        }
    }

    /// When something has to be signed anew, if nothing changes before.
    pub fn due(&self, lifetimes: &Lifetimes) -> Option<UtcTime> {
        let last = self.last.as_ref()?;
        let due = [
            (&last.targets, lifetimes.targets),
            (&last.snapshot, lifetimes.snapshot),
            (&last.timestamp, lifetimes.timestamp),
        ];
        let due = due.map(|(header, lifetime)| header.expires.unix() - lifetime / 2);
        due.into_iter().min().and_then(UtcTime::from_unix)
    }

    /// Makes what is out of date: because something else is ordered, because keys were rotated, or
    /// because it expires. What it returns has to be kept together with this desk before anybody
    /// sees it.
    ///
    /// # Errors
    /// [`DirectorError::Sign`], [`DirectorError::Time`]; then nothing was published.
    pub fn publish(
        &mut self,
        vin: &Vin,
        content: &Content,
        press: &Press<'_>,
    ) -> Result<Vec<NewFile>, DirectorError> {
        let Press {
            keys, lifetimes, ..
        } = *press;
        let last = self.last.as_ref();
        let extra = || Object::from_iter([("custom".into(), custom_with_vin(vin).into())]);
        let digest = digest(content);
        // What a file names has changed, so it changes too.
        let mut due = last.is_none_or(|last| {
            last.content != digest || last.root != press.root_version || press.skip > 0
        });
        let mut made = Vec::new();

        let header = last.map(|last| &last.targets);
        let targets = press.header(header, lifetimes.targets, &mut due)?;
        if due {
            let builder = TargetsBuilder {
                header: targets.clone(),
                targets: content.clone(),
                delegations: None,
                extra: extra(),
            };
            made.push(NewFile {
                role: RoleType::Targets,
                version: targets.version,
                bytes: signed(builder.to_payload(), &*keys.targets)?,
            });
        }

        let header = last.map(|last| &last.snapshot);
        let snapshot = press.header(header, lifetimes.snapshot, &mut due)?;
        let mut snapshot_file = last.map(|last| last.snapshot_file.clone());
        if due {
            let mut role = Snapshot::new(snapshot.expires);
            role.header = snapshot.clone();
            role.extra = extra();
            role.set_role("targets", MetaFile::version(targets.version));
            let bytes = signed(role.to_payload(), &*keys.snapshot)?;
            // Uptane 5.2.5 asks for the hashes of Snapshot.
            snapshot_file = Some(MetaFile::describing(snapshot.version, &bytes));
            made.push(NewFile {
                role: RoleType::Snapshot,
                version: snapshot.version,
                bytes,
            });
        }
        let snapshot_file = snapshot_file.unwrap_or_else(|| MetaFile::version(snapshot.version));

        let header = last.map(|last| &last.timestamp);
        let timestamp = press.header(header, lifetimes.timestamp, &mut due)?;
        if due {
            let mut role = Timestamp::new(timestamp.expires, snapshot_file.clone());
            role.header = timestamp.clone();
            role.extra = extra();
            made.push(NewFile {
                role: RoleType::Timestamp,
                version: timestamp.version,
                bytes: signed(role.to_payload(), &*keys.timestamp)?,
            });
        }
        self.last = Some(Issue {
            content: digest,
            root: press.root_version,
            targets,
            snapshot,
            timestamp,
            snapshot_file,
        });
        Ok(made)
    }
}

fn digest(content: &Content) -> [u8; 32] {
    let members = content.iter();
    let members = members.map(|(path, file)| (path.as_str().to_owned(), file.to_value()));
    let members: Object = members.collect();
    sha256(canonical::encode(&members.into()).as_bytes())
}

/// A file of the director's own. If its keys are no longer those of `root`, `signed_as` is 0: then
/// it will be signed anew.
fn read<T: Role>(
    files: &BTreeMap<String, Vec<u8>>,
    name: &str,
    root: &Root,
    signed_as: &mut u64,
) -> Result<Option<T>, DirectorError> {
    let Some(bytes) = files.get(name) else {
        return Ok(None);
    };
    let file = Signed::<T>::parse(bytes.clone())?;
    if !file.tally(&root.claimed_authority(T::TYPE)).is_met() {
        *signed_as = 0;
    }
    Ok(Some(file.decode_unverified()?))
}

impl Press<'_> {
    /// The last header while it will do; otherwise the next one, and what names it is due too.
    fn header(
        &self,
        last: Option<&Header>,
        lifetime: i64,
        due: &mut bool,
    ) -> Result<Header, DirectorError> {
        let fresh = |last: &&Header| last.expires.unix() - self.now.unix() > lifetime / 2;
        if let Some(last) = last.filter(|last| !*due && fresh(last)) {
            return Ok(last.clone());
        }
        *due = true;
        let expires = later(self.now, lifetime)?;
        let last = last.map_or(0, |last| last.version);
        let version = last.saturating_add(self.skip).saturating_add(1);
        Ok(Header::new(version, expires))
    }
}

/// `seconds` after `now`.
pub fn later(now: UtcTime, seconds: i64) -> Result<UtcTime, DirectorError> {
    now.plus_seconds(seconds).ok_or(DirectorError::Time)
}
