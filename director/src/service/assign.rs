//! What is installed where (Uptane 5.3.2.1 steps 5 and 6).

use std::collections::{BTreeMap, BTreeSet};

use countersign_director_domain::EcuRecord;
use countersign_director_domain::catalogue::Catalogue;
use countersign_director_domain::manifest::Heard;
use countersign_director_domain::orders::Grounds;
use countersign_director_domain::plan::{Image, Plan, Slot, plan};
use countersign_director_domain::vault::Vault;
use countersign_metadata::uptane::{DirectorCustom, EcuSerial, InstalledImage, Vin};
use countersign_metadata::{TargetFile, TargetPath, UtcTime};

use super::known::Known;
use super::reports::unknown;
use super::{Actor, Inner, ROUNDS, Service, busy, random, record};
use crate::problem::{Kind, Problem};
use crate::storage::{Change, StoredImage, StoredOrder};

/// What is asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Assignment {
    /// The image for each ECU.
    pub images: BTreeMap<EcuSerial, TargetPath>,
    /// Whether all of them are installed or none. Otherwise each that can be.
    pub whole: bool,
    /// Whether other ECUs may be given images of the catalogue that these depend on.
    pub add_dependencies: bool,
}

/// What has become of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Assigned {
    /// Its name.
    pub id: String,
    /// What has become of each part, and of those that were added.
    pub parts: Vec<Part>,
}

/// One ECU's part.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Part {
    /// The ECU.
    pub serial: EcuSerial,
    /// The image.
    pub path: TargetPath,
    /// What has become of it.
    pub outcome: PartOutcome,
}

/// What becomes of an order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PartOutcome {
    /// The vehicle is told from now on.
    Ordered,
    /// It was not asked for, and the others depend on it.
    Added,
    /// It was told before.
    AlreadyOrdered,
    /// The ECU says that it runs it.
    AlreadyInstalled,
    /// It cannot be.
    Refused(Problem),
}

impl Service {
    /// Orders images for ECUs of a vehicle. An image that is there, or was ordered, is not ordered again.
    ///
    /// # Errors
    /// [`Problem`]: nothing is ordered. Where each part stands for itself, what is wrong with one is in
    /// the result.
    pub async fn assign(
        &self,
        vin: &Vin,
        assignment: &Assignment,
        actor: &Actor,
    ) -> Result<Assigned, Problem> {
        let id = hex::encode(*random::<8>()?);
        for _ in 0..ROUNDS {
            let stored = self.0.database.vehicle(vin).await?;
            let known = Known::of(vin, stored.ok_or_else(|| unknown(vin))?)?;
            if let Some(why) = &known.stored.held {
                let message = format!("vehicle {vin} is held: {why}; release it first");
                return Err(Problem::new(Kind::Conflict, "vehicle-held", message));
            }
            let images = self.images_for(&known, assignment).await?;
            let (revision, now) = (known.stored.revision, self.now()?);
            let (asked, name, of) = (assignment.clone(), id.clone(), actor.clone());
            let decided = self
                .work(move |inner| {
                    let shelf = Shelf::of(inner, &images, &asked)?;
                    let mut desk = Dispatcher::new(known, shelf, (&name, now));
                    desk.decide(&asked, &of)
                })
                .await?;
            let parts = decided.parts;
            let Some((orders, records)) = decided.news else {
                return Ok(Assigned { id, parts });
            };
            let change = Change {
                orders: Some(orders),
                records,
                ..Change::of(vin, revision, now)
            };
            if self.keep(change).await? {
                return Ok(Assigned { id, parts });
            }
        }
        Err(busy())
    }

    /// Takes back what was ordered of these ECUs, or of all if none is named, as far as they do not run
    /// it. Gives the ECUs whose orders are gone.
    ///
    /// # Errors
    /// [`Problem`]
    pub async fn cancel(
        &self,
        vin: &Vin,
        ecus: Option<&BTreeSet<EcuSerial>>,
        actor: &Actor,
    ) -> Result<Vec<EcuSerial>, Problem> {
        for _ in 0..ROUNDS {
            let stored = self.0.database.vehicle(vin).await?;
            let known = Known::of(vin, stored.ok_or_else(|| unknown(vin))?)?;
            let named = |serial: &EcuSerial| ecus.is_none_or(|ecus| ecus.contains(serial));
            let goes = |order: &&StoredOrder| named(&order.serial) && !known.is_done(order);
            let gone: Vec<&StoredOrder> = known.stored.orders.iter().filter(goes).collect();
            if gone.is_empty() {
                return Ok(Vec::new());
            }
            let now = self.now()?;
            let records = gone.iter().map(|order| {
                let detail = [
                    ("ecu", order.serial.as_str().into()),
                    ("image", order.path.as_str().into()),
                ];
                record(now, actor, "order.cancelled", Some(vin), detail)
            });
            let left = known.stored.orders.iter().filter(|order| !goes(order));
            let change = Change {
                records: records.collect(),
                orders: Some(left.cloned().collect()),
                ..Change::of(vin, known.stored.revision, now)
            };
            if self.keep(change).await? {
                return Ok(gone.into_iter().map(|order| order.serial.clone()).collect());
            }
        }
        Err(busy())
    }

    /// The images that a decision needs: what is asked for, what is ordered, what runs; and all there
    /// are if some may be added.
    async fn images_for(
        &self,
        known: &Known,
        assignment: &Assignment,
    ) -> Result<Vec<StoredImage>, Problem> {
        let installed = known.heard.values();
        let installed = installed.filter_map(|heard| Some(&heard.installed.as_ref()?.filepath));
        let ordered = known.stored.orders.iter().map(|order| &order.path);
        let mut paths: BTreeSet<TargetPath> = assignment.images.values().cloned().collect();
        paths.extend(installed.chain(ordered).cloned());
        let database = &self.0.database;
        if assignment.add_dependencies {
            let mut last = String::new();
            loop {
                let page = database.images(&last, 1000).await?;
                let Some(end) = page.last() else { break };
                last = end.path.to_string();
                paths.extend(page.into_iter().map(|image| image.path));
            }
        }
        Ok(database.images_at(&paths).await?)
    }
}

/// The images at hand, with their content keys where they are encrypted.
struct Shelf {
    catalogue: Catalogue,
    vault: Vault,
}

impl Shelf {
    fn of(inner: &Inner, images: &[StoredImage], asked: &Assignment) -> Result<Self, Problem> {
        // What was ordered or runs already is not wrapped again.
        let is_asked =
            |path| asked.add_dependencies || asked.images.values().any(|image| image == path);
        let mut shelf = Self {
            catalogue: Catalogue::default(),
            vault: Vault::default(),
        };
        for stored in images {
            let path = stored.path.clone();
            shelf.catalogue.put(path, stored.image.clone());
            let encrypted = stored.encrypted.as_ref();
            if let Some(encrypted) = encrypted.filter(|_| is_asked(&stored.path)) {
                let key = inner.content_key(stored, encrypted)?;
                let ciphertext = encrypted.ciphertext.clone();
                shelf
                    .vault
                    .restore(&stored.path, &stored.image, key, ciphertext)?;
            }
        }
        Ok(shelf)
    }

    fn image(&self, path: &TargetPath) -> Option<Image> {
        let custom = self.catalogue.image(path)?.custom.clone();
        let path = path.clone();
        Some(Image { path, custom })
    }

    /// What was ordered, whether or not its path has another content by now.
    fn ordered(&self, order: &StoredOrder) -> Option<Image> {
        self.installed(&InstalledImage {
            filepath: order.path.clone(),
            length: order.entry.length,
            hashes: order.entry.hashes.clone(),
        })
    }

    /// What an ECU that runs `installed` could be given, the newest first.
    fn fitting(&self, ecu: &EcuRecord, installed: Option<&Image>) -> Vec<Image> {
        let least = installed.map_or(0, |image| image.custom.release_counter);
        let fits = |image: &Image| {
            image.custom.hardware_ids.contains(&ecu.hardware_id)
                && image.custom.release_counter >= least
        };
        let all = self.catalogue.iter();
        let all = all.filter_map(|(path, _)| self.image(path));
        let mut found: Vec<Image> = all.filter(fits).collect();
        found.sort_by_key(|image| std::cmp::Reverse(image.custom.release_counter));
        found
    }

    fn installed(&self, installed: &InstalledImage) -> Option<Image> {
        let custom = self.catalogue.installed(installed)?.custom.clone();
        let path = installed.filepath.clone();
        Some(Image { path, custom })
    }
}

/// What was decided, and what is ordered and remembered if that is something new.
struct Decided {
    parts: Vec<Part>,
    news: Option<(Vec<StoredOrder>, Vec<crate::storage::Record>)>,
}

/// New orders, and their images.
type Orders = BTreeMap<EcuSerial, (Image, StoredOrder)>;

/// Decides on one assignment.
struct Dispatcher<'a> {
    known: Known,
    shelf: Shelf,
    id: &'a str,
    now: UtcTime,
}

impl<'a> Dispatcher<'a> {
    fn new(known: Known, shelf: Shelf, (id, now): (&'a str, UtcTime)) -> Self {
        Self {
            known,
            shelf,
            id,
            now,
        }
    }

    fn decide(&mut self, asked: &Assignment, actor: &Actor) -> Result<Decided, Problem> {
        let mut parts = Vec::new();
        let mut wanted = Orders::new();
        for (serial, path) in &asked.images {
            let outcome = match self.part(serial, path, asked.whole) {
                Ok(Some(new)) => {
                    wanted.insert(serial.clone(), new);
                    PartOutcome::Ordered
                }
                Ok(None) if self.is_installed(serial, path) => PartOutcome::AlreadyInstalled,
                Ok(None) => PartOutcome::AlreadyOrdered,
                Err(problem) if asked.whole => return Err(problem),
                Err(problem) => PartOutcome::Refused(problem),
            };
            parts.push(Part {
                serial: serial.clone(),
                path: path.clone(),
                outcome,
            });
        }
        if !asked.whole {
            wanted = self.those_that_can(wanted, &mut parts, asked.add_dependencies);
        }
        if wanted.is_empty() {
            return Ok(Decided { parts, news: None });
        }
        for (serial, image) in self.plan(&wanted, &Orders::new(), asked.add_dependencies)? {
            let is_ordered =
                |order: &StoredOrder| order.serial == serial && order.path == image.path;
            let known = wanted.contains_key(&serial);
            if known || self.known.stored.orders.iter().any(is_ordered) {
                continue;
            }
            if let Some(new) = self.part(&serial, &image.path, asked.whole)? {
                wanted.insert(serial.clone(), new);
                parts.push(Part {
                    serial,
                    path: image.path,
                    outcome: PartOutcome::Added,
                });
            }
        }
        Ok(Decided {
            news: Some(self.news(wanted, actor)),
            parts,
        })
    }

    /// Each part that can be installed together with those before it. One may need another that comes
    /// after it: as long as that is open, it may be given too.
    fn those_that_can(&self, mut open: Orders, parts: &mut [Part], add: bool) -> Orders {
        let mut wanted = Orders::new();
        for part in parts {
            let Some(new) = open.remove(&part.serial) else {
                continue;
            };
            wanted.insert(part.serial.clone(), new);
            if let Err(problem) = self.plan(&wanted, &open, add) {
                wanted.remove(&part.serial);
                part.outcome = PartOutcome::Refused(problem);
            }
        }
        wanted
    }

    fn news(
        &self,
        wanted: Orders,
        actor: &Actor,
    ) -> (Vec<StoredOrder>, Vec<crate::storage::Record>) {
        let vin = &self.known.vin;
        let remember = |action: &str, order: &StoredOrder| {
            let detail = [
                ("ecu", order.serial.as_str().into()),
                ("image", order.path.as_str().into()),
                ("assignment", self.id.into()),
            ];
            record(self.now, actor, action, Some(vin), detail)
        };
        let given = wanted.values().map(|(_, order)| order);
        let mut records: Vec<_> = given.map(|order| remember("order.given", order)).collect();
        let mut orders = Vec::new();
        for order in &self.known.stored.orders {
            if wanted.contains_key(&order.serial) {
                continue;
            }
            match self.ends(order, &wanted) {
                false => orders.push(order.clone()),
                true if self.known.is_done(order) => {}
                true => records.push(remember("order.superseded", order)),
            }
        }
        orders.extend(wanted.into_values().map(|(_, order)| order));
        orders.sort_by(|a, b| a.serial.cmp(&b.serial));
        (orders, records)
    }

    /// Whether `wanted` ends an order of another ECU: one path has one content in Targets, and one form
    /// in which it travels.
    fn ends(&self, order: &StoredOrder, wanted: &Orders) -> bool {
        let form = |entry: &TargetFile| DirectorCustom::of(entry).map(|custom| custom.encrypted);
        let mut new = wanted.values().map(|(_, new)| new);
        new.any(|new| {
            let content = |order: &StoredOrder| (order.entry.length, order.entry.hashes.clone());
            let same = content(new) == content(order) && form(&new.entry) == form(&order.entry);
            new.path == order.path && !same
        })
    }

    /// The order for an ECU, or nothing if it runs the image or was told to.
    fn part(
        &self,
        serial: &EcuSerial,
        path: &TargetPath,
        whole: bool,
    ) -> Result<Option<(Image, StoredOrder)>, Problem> {
        let known = &self.known;
        let grounds = Grounds {
            vehicle: (&known.vin, &known.stored.record),
            catalogue: &self.shelf.catalogue,
            vault: &self.shelf.vault,
            heard: known.heard.get(serial),
        };
        let (file, custom) = grounds.order(serial, path)?;
        let ordered = known.stored.orders.iter();
        let ordered = ordered.clone().find(|order| order.serial == *serial);
        let same = |order: &StoredOrder| {
            order.path == *path
                && order.entry.length == file.length
                && order.entry.hashes == file.hashes
        };
        // Where something else was ordered meanwhile, what runs has to be ordered to stay.
        let stays = self.is_installed(serial, path) && ordered.is_none_or(same);
        if stays || ordered.is_some_and(same) {
            return Ok(None);
        }
        let image = self.shelf.image(path);
        let image = image.ok_or_else(|| Problem::missing(format!("image {path}")))?;
        let entry = TargetFile {
            custom: Some(custom.to_object()),
            ..file
        };
        let order = StoredOrder {
            serial: serial.clone(),
            assignment: self.id.into(),
            whole,
            path: path.clone(),
            entry,
            ordered: self.now,
            failures: 0,
        };
        Ok(Some((image, order)))
    }

    fn is_installed(&self, serial: &EcuSerial, path: &TargetPath) -> bool {
        let installed = |heard: &Heard| heard.installed.clone();
        let installed = self.known.heard.get(serial).and_then(installed);
        let listed = self.shelf.catalogue.image(path);
        installed.zip(listed).is_some_and(|(installed, listed)| {
            installed.filepath == *path
                && installed.length == listed.file.length
                && installed.hashes.agree(&listed.file.hashes)
        })
    }

    /// What all ECUs will run. What is `open` may be given if that is what makes the others possible.
    fn plan(&self, wanted: &Orders, open: &Orders, add: bool) -> Result<Plan, Problem> {
        let known = &self.known;
        let mut slots = BTreeMap::new();
        for (serial, ecu) in &known.stored.record.ecus {
            let heard = known.heard.get(serial);
            let installed = heard.and_then(|heard| heard.installed.as_ref());
            let mut ordered = known.stored.orders.iter();
            let ordered = ordered.find(|order| order.serial == *serial);
            let ordered = ordered.filter(|order| !self.ends(order, wanted));
            let new = wanted.get(serial).map(|(image, _)| image.clone());
            let mut slot = Slot {
                installed: installed.and_then(|installed| self.shelf.installed(installed)),
                wanted: new.or_else(|| self.shelf.ordered(ordered?)),
                possible: Vec::new(),
            };
            if slot.wanted.is_none() {
                slot.possible
                    .extend(open.get(serial).map(|(image, _)| image.clone()));
                if add {
                    let found = self.shelf.fitting(ecu, slot.installed.as_ref());
                    slot.possible.extend(found);
                }
            }
            slots.insert(serial.clone(), slot);
        }
        Ok(plan(&slots)?)
    }
}
