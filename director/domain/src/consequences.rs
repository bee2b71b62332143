//! What comes of a manifest that was believed (Uptane 5.3.2.1 step 5): attacks that were met, orders
//! that were carried out, orders that failed, and when they are given up.

use std::collections::{BTreeMap, BTreeSet};

use countersign_metadata::uptane::{DetectedAttack, EcuSerial, Outcome};
use countersign_metadata::{Hashes, TargetPath};
use countersign_verifier::{Attack, Code};

use crate::manifest::{Heard, Receipt};

/// What an ECU shall run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Order {
    /// The image.
    pub path: TargetPath,
    /// Its length, in bytes.
    pub length: u64,
    /// Its hashes.
    pub hashes: Hashes,
    /// How often the ECU has tried it and gone back.
    pub failures: u32,
}

/// How a Director takes bad news.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Policy {
    /// Attacks after which a vehicle gets no new orders until somebody has looked into it.
    pub hold_on: BTreeSet<Attack>,
    /// An order that has failed so often is taken back.
    pub give_up_after: u32,
}

impl Default for Policy {
    /// Two attempts. A vehicle is held when somebody seems to know keys or to pass on what is not for
    /// it; what a bad network can do as well is reported only.
    fn default() -> Self {
        let grave = [
            Attack::Rollback,
            Attack::MixAndMatch,
            Attack::ArbitrarySoftware,
            Attack::Eavesdrop,
            Attack::Replay,
        ];
        Self {
            hold_on: grave.into(),
            give_up_after: 2,
        }
    }
}

/// Something that people or other systems want to know.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// An ECU has met an attack.
    Attack(EcuSerial, DetectedAttack),
    /// After that the vehicle gets no new orders.
    Held,
    /// An order was carried out.
    Installed(EcuSerial, TargetPath),
    /// An order failed, and is tried again.
    Failed(EcuSerial, TargetPath, Outcome),
    /// An order failed for the last time, and is taken back.
    GivenUp(EcuSerial, TargetPath, Outcome),
}

/// Draws the consequences: changes `orders`, and tells what happened. `before` is what was known of
/// the ECUs until now, `targets_version` the version of the Targets that holds the orders.
pub fn draw(
    orders: &mut BTreeMap<EcuSerial, Order>,
    (before, now): (&BTreeMap<EcuSerial, Heard>, &BTreeMap<EcuSerial, Heard>),
    receipt: &Receipt,
    targets_version: Option<u64>,
    policy: &Policy,
) -> Vec<Event> {
    let mut events = Vec::new();
    for (serial, attack) in &receipt.attacks {
        events.push(Event::Attack(serial.clone(), attack.clone()));
    }
    let grave = |(_, attack): &(EcuSerial, DetectedAttack)| {
        policy
            .hold_on
            .iter()
            .any(|class| class.name() == attack.attack)
    };
    if receipt.attacks.iter().any(grave) {
        events.push(Event::Held);
    }
    let news = now
        .iter()
        .filter(|(serial, _)| !receipt.stale.contains(serial));
    for (serial, heard) in news {
        let last = before.get(serial);
        if let Some(order) = orders.get(serial) {
            let runs = |heard: &Heard| order.is_what(heard);
            if runs(heard) && !last.is_some_and(runs) {
                events.push(Event::Installed(serial.clone(), order.path.clone()));
            }
        }
        if let Some(outcome) = new_failure(heard, last, targets_version) {
            events.extend(fail(orders, serial, outcome, policy));
        }
    }
    events
}

/// Whether an ECU has tried what the Targets of this version order, and gone back. What it refused
/// without trying, and what was carried to it, says nothing about the order.
pub fn tried_and_failed(outcome: &Outcome, targets_version: Option<u64>) -> bool {
    let tried = [Code::InstallFailed, Code::NotConfirmed];
    tried.iter().any(|code| code.number() == outcome.code)
        && outcome.offline.is_none()
        && Some(outcome.targets_version) == targets_version
}

/// An outcome is repeated in every report until there is another one: it counts once.
fn new_failure<'h>(
    heard: &'h Heard,
    last: Option<&Heard>,
    targets_version: Option<u64>,
) -> Option<&'h Outcome> {
    let outcome = heard.outcome.as_ref()?;
    let is_known = |last: &Heard| {
        let last = last.outcome.as_ref();
        last.map(|last| (last.targets_version, last.code))
            == Some((outcome.targets_version, outcome.code))
    };
    let failed = tried_and_failed(outcome, targets_version);
    (failed && !last.is_some_and(is_known)).then_some(outcome)
}

fn fail(
    orders: &mut BTreeMap<EcuSerial, Order>,
    serial: &EcuSerial,
    outcome: &Outcome,
    policy: &Policy,
) -> Option<Event> {
    let order = orders.get_mut(serial)?;
    order.failures += 1;
    let (path, outcome) = (order.path.clone(), outcome.clone());
    if order.failures < policy.give_up_after {
        return Some(Event::Failed(serial.clone(), path, outcome));
    }
    orders.remove(serial);
    Some(Event::GivenUp(serial.clone(), path, outcome))
}

impl Order {
    /// Whether this is what an ECU runs, by its own word.
    pub fn is_what(&self, heard: &Heard) -> bool {
        heard.installed.as_ref().is_some_and(|installed| {
            (&installed.filepath, installed.length) == (&self.path, self.length)
                && installed.hashes.agree(&self.hashes)
        })
    }
}
