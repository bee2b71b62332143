//! The director's database, as whoever is on its machine can open it.

use std::collections::BTreeMap;
use std::error::Error;

use countersign_client::clock::system_time;
use countersign_director::storage::{Change, Committed, Database, Published, StoredVehicle};
use countersign_director_domain::desk::{Content, Lifetimes, NewFile, Press};
use countersign_director_domain::keys::OnlineKeys;
use countersign_metadata::uptane::Vin;
use countersign_metadata::{RoleType, TargetFile, TargetPath, UtcTime};
use tokio::runtime::Runtime;

type Result<T> = std::result::Result<T, Box<dyn Error>>;

/// Where the database is. It is opened for one thing at a time: whoever reads the file of an open SQLite
/// database by other means takes its locks away when closing it.
pub(super) struct Records {
    runtime: Runtime,
    url: String,
}

impl Records {
    /// The database at `url`, beside the director.
    pub(super) fn new(url: String) -> Result<Self> {
        let runtime = Runtime::new()?;
        Ok(Self { runtime, url })
    }

    /// All Roots, version 1 first.
    pub(super) fn roots(&self) -> Result<Vec<Vec<u8>>> {
        self.with(async |database| Ok(database.roots().await?))
    }

    /// Length and hashes of an image, as the image repository lists it.
    pub(super) fn listed(&self, image: &str) -> Result<TargetFile> {
        let path = TargetPath::new(image)?;
        let images = self.with(async |database| Ok(database.images_at([&path]).await?))?;
        Ok(images
            .into_iter()
            .next_back()
            .ok_or("no such image")?
            .image
            .file)
    }

    /// The newest file of each role.
    pub(super) fn files(&self, vin: &Vin) -> Result<Vec<NewFile>> {
        let desk = self.vehicle(vin)?.desk;
        let mut files = Vec::new();
        for role in [RoleType::Targets, RoleType::Snapshot, RoleType::Timestamp] {
            let version = desk.version(role).ok_or("nothing was signed")?;
            let found =
                self.with(async |database| Ok(database.file(vin, role, version).await?))?;
            files.push(NewFile {
                role,
                version,
                bytes: found.ok_or("no such file")?,
            });
        }
        Ok(files)
    }

    /// Signs `content` for a vehicle, and puts it where the director finds what it has published.
    pub(super) fn publish(&self, vin: &Vin, content: &Content, keys: &OnlineKeys) -> Result<()> {
        self.put(vin, content, keys, &BTreeMap::new())
    }

    /// Puts other files in the place of a vehicle's own. `keys` only help to find out what would be
    /// published next.
    pub(super) fn put_others(
        &self,
        vin: &Vin,
        others: &[NewFile],
        keys: &OnlineKeys,
    ) -> Result<()> {
        let others = others.iter().map(|file| (file.role.name(), &*file.bytes));
        self.put(vin, &Content::new(), keys, &others.collect())
    }

    fn put(
        &self,
        vin: &Vin,
        content: &Content,
        keys: &OnlineKeys,
        instead: &BTreeMap<&str, &[u8]>,
    ) -> Result<()> {
        let (now, lifetimes) = (now()?, Lifetimes::default());
        let vehicle = self.vehicle(vin)?;
        let press = Press {
            keys,
            root_version: vehicle.newest_root,
            lifetimes: &lifetimes,
            now,
            // Something is signed, whatever there is.
            skip: 1,
        };
        let mut desk = vehicle.desk;
        let mut files = desk.publish(vin, content, &press)?;
        for file in &mut files {
            if let Some(other) = instead.get(file.role.name()) {
                file.bytes = other.to_vec();
            }
        }
        let change = Change {
            published: Some(Published {
                due: desk.due(&lifetimes).ok_or("nothing was signed")?,
                root: vehicle.newest_root,
                desk,
                files,
            }),
            ..Change::of(vin, vehicle.revision, now)
        };
        match self.with(async |database| Ok(database.commit(change).await?))? {
            Committed::Done => Ok(()),
            Committed::Conflict => Err("the director was faster".into()),
        }
    }

    fn vehicle(&self, vin: &Vin) -> Result<StoredVehicle> {
        let vehicle = self.with(async |database| Ok(database.vehicle(vin).await?))?;
        Ok(vehicle.ok_or("no such vehicle")?)
    }

    fn with<T>(&self, work: impl AsyncFnOnce(&Database) -> Result<T>) -> Result<T> {
        self.runtime.block_on(async {
            let database = Database::open(&self.url).await?;
            let done = work(&database).await;
            database.close().await;
            done
        })
    }
}

fn now() -> Result<UtcTime> {
    Ok(system_time().ok_or("the clock is off")?)
}
