//! What a director has published for one vehicle.

use std::collections::BTreeMap;

use countersign_metadata::json::Object;
use countersign_metadata::uptane::{Vin, custom_with_vin};
use countersign_metadata::{
    Header, MetaFile, Role, Root, Signed, Snapshot, TargetFile, TargetPath, Targets,
    TargetsBuilder, Timestamp, UtcTime,
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

/// The published files of one vehicle.
#[derive(Debug, Default)]
pub struct Desk {
    files: BTreeMap<String, Vec<u8>>,
    last: Option<Issue>,
}

#[derive(Debug, Clone)]
struct Issue {
    content: BTreeMap<TargetPath, TargetFile>,
    root: u64,
    targets: Header,
    snapshot: Header,
    timestamp: Header,
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
}

impl Desk {
    /// As it was when it had published these files, where `root` is the last Root.
    pub fn restored(files: BTreeMap<String, Vec<u8>>, root: &Root) -> Result<Self, DirectorError> {
        let mut signed_as = root.version();
        let Some(timestamp) = read::<Timestamp>(&files, "timestamp.json", root, &mut signed_as)?
        else {
            return Ok(Self { files, last: None });
        };
        let name = format!("{}.snapshot.json", timestamp.snapshot.version);
        let snapshot = read::<Snapshot>(&files, &name, root, &mut signed_as)?;
        let listed = snapshot
            .as_ref()
            .and_then(|snapshot| snapshot.role("targets"));
        let name = format!("{}.targets.json", listed.map_or(0, |file| file.version));
        let targets = read::<Targets>(&files, &name, root, &mut signed_as)?;
        let last = snapshot.zip(targets).map(|(snapshot, targets)| {
            Ok::<_, DirectorError>(Issue {
                content: TargetsBuilder::same_as(&targets)?.targets,
                root: signed_as,
                targets: targets.header().clone(),
                snapshot: snapshot.header,
                timestamp: timestamp.header,
            })
        });
        Ok(Self {
            last: last.transpose()?,
            files,
        })
    }

    /// What was ordered last.
    pub fn content(&self) -> BTreeMap<TargetPath, TargetFile> {
        let last = self.last.as_ref();
        last.map(|last| last.content.clone()).unwrap_or_default()
    }

    /// The version of the Targets that was published last.
    pub fn targets_version(&self) -> Option<u64> {
        self.last.as_ref().map(|last| last.targets.version)
    }

    /// Everything that was ever published here, by file name.
    pub fn files(&self) -> &BTreeMap<String, Vec<u8>> {
        &self.files
    }

    /// Makes what is out of date: because something else is assigned, because keys were rotated,
    /// or because it expires. Versions only grow.
    pub fn publish(
        &mut self,
        vin: &Vin,
        content: BTreeMap<TargetPath, TargetFile>,
        press: &Press<'_>,
    ) -> Result<(), DirectorError> {
        let Press {
            keys, lifetimes, ..
        } = *press;
        let last = self.last.as_ref();
        let extra = || Object::from_iter([("custom".into(), custom_with_vin(vin).into())]);
        // What a file names has changed, so it changes too.
        let mut due =
            last.is_none_or(|last| last.content != content || last.root != press.root_version);

        let header = last.map(|last| &last.targets);
        let targets = press.header(header, lifetimes.targets, &mut due)?;
        let mut made = Vec::new();
        if due {
            let builder = TargetsBuilder {
                header: targets.clone(),
                targets: content.clone(),
                delegations: None,
                extra: extra(),
            };
            let file = signed(builder.to_payload(), &*keys.targets)?;
            made.push((format!("{}.targets.json", targets.version), file));
        }

        let header = last.map(|last| &last.snapshot);
        let snapshot = press.header(header, lifetimes.snapshot, &mut due)?;
        let named = format!("{}.snapshot.json", snapshot.version);
        if due {
            let mut role = Snapshot::new(snapshot.expires);
            role.header = snapshot.clone();
            role.extra = extra();
            role.set_role("targets", MetaFile::version(targets.version));
            let file = signed(role.to_payload(), &*keys.snapshot)?;
            made.push((named.clone(), file));
        }

        let header = last.map(|last| &last.timestamp);
        let timestamp = press.header(header, lifetimes.timestamp, &mut due)?;
        if due {
            let new = made.iter().find(|(name, _)| *name == named);
            let file = new.map(|(_, file)| file).or(self.files.get(&named));
            // Uptane 5.2.5 asks for the hashes of Snapshot.
            let entry = match file {
                Some(file) => MetaFile::describing(snapshot.version, file),
                None => MetaFile::version(snapshot.version),
            };
            let mut role = Timestamp::new(timestamp.expires, entry);
            role.header = timestamp.clone();
            role.extra = extra();
            let file = signed(role.to_payload(), &*keys.timestamp)?;
            made.push(("timestamp.json".into(), file));
        }
        self.files.extend(made);
        self.last = Some(Issue {
            content,
            root: press.root_version,
            targets,
            snapshot,
            timestamp,
        });
        Ok(())
    }
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
        Ok(match last {
            Some(last) => last.next(expires),
            None => Header::new(1, expires),
        })
    }
}

/// `seconds` after `now`.
pub fn later(now: UtcTime, seconds: i64) -> Result<UtcTime, DirectorError> {
    now.plus_seconds(seconds).ok_or(DirectorError::Time)
}
