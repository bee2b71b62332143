//! What vehicles report, and what comes of it (Uptane 5.3.2.1).

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use countersign_director_domain::consequences::{Event, draw};
use countersign_director_domain::manifest::{Heard, ManifestRefusal, Receipt, judge};
use countersign_metadata::UtcTime;
use countersign_metadata::uptane::{EcuSerial, Vin};

use super::known::Known;
use super::roots::Reign;
use super::{Actor, Inner, ROUNDS, Service, busy, record};
use crate::metrics;
use crate::problem::{Kind, Problem};
use crate::storage::{Change, Record, StoredOrder, StoredVehicle};

/// How manifests are counted that are not dropped.
const BELIEVED: &str = "ok";

/// What one round comes to.
enum Verdict {
    /// It is believed. Nothing has to be kept if nothing was learnt.
    Believed(Receipt, Option<Box<Change>>),
    /// It is dropped, and that is remembered unless it means nothing.
    Dropped(Problem, Option<Record>),
}

/// What a report has led to.
struct Outcome {
    events: Vec<Event>,
    /// What is ordered from now on.
    orders: Vec<StoredOrder>,
    /// What is ordered no more because another part of the same assignment was given up.
    fallen: Vec<StoredOrder>,
}

impl Service {
    /// Takes in a vehicle version manifest that `sender` sends. When this returns, it is durable.
    ///
    /// # Errors
    /// [`Problem`]: the manifest is dropped, and nothing of it is believed.
    pub async fn accept_manifest(&self, sender: &Vin, bytes: Bytes) -> Result<Receipt, Problem> {
        for _ in 0..ROUNDS {
            let stored = self.0.database.vehicle(sender).await?;
            let stored = stored.ok_or_else(|| unknown(sender))?;
            let verdict = self.hear(sender, stored, bytes.clone()).await?;
            match verdict {
                Verdict::Dropped(problem, record) => {
                    tracing::warn!(vin = %sender, code = problem.code, "manifest dropped");
                    metrics::manifest(problem.code);
                    if let Some(record) = record {
                        self.0.database.note(vec![record]).await?;
                    }
                    return Err(problem);
                }
                Verdict::Believed(receipt, None) => {
                    metrics::manifest(BELIEVED);
                    return Ok(receipt);
                }
                Verdict::Believed(receipt, Some(change)) => {
                    if self.keep(*change).await? {
                        metrics::manifest(BELIEVED);
                        return Ok(receipt);
                    }
                }
            }
        }
        Err(busy())
    }

    /// What one round comes to for a vehicle that was loaded like this, without keeping it: `None` if nothing
    /// has to be kept.
    ///
    /// # Errors
    /// [`Problem`]: the manifest is dropped.
    pub async fn decide(
        &self,
        sender: &Vin,
        stored: StoredVehicle,
        bytes: Bytes,
    ) -> Result<Option<Change>, Problem> {
        match self.hear(sender, stored, bytes).await? {
            Verdict::Dropped(problem, _) => Err(problem),
            Verdict::Believed(_, change) => Ok(change.map(|change| *change)),
        }
    }

    async fn hear(
        &self,
        sender: &Vin,
        stored: StoredVehicle,
        bytes: Bytes,
    ) -> Result<Verdict, Problem> {
        // Without a Root nothing is signed, and reports are taken all the same.
        let reign = self.reign(stored.newest_root).await.ok();
        let known = Known {
            vin: sender.clone(),
            heard: self.0.memory.recall(sender, &stored)?,
            stored,
        };
        let now = self.now()?;
        self.work(move |inner| known.hear(inner, &bytes, reign.as_deref(), now))
            .await
    }
}

pub(super) fn unknown(vin: &Vin) -> Problem {
    let message = format!("vehicle {vin} is not registered");
    Problem::new(Kind::Missing, "vehicle-unknown", message)
}

impl Known {
    fn hear(
        mut self,
        inner: &Inner,
        bytes: &[u8],
        reign: Option<&Reign>,
        now: UtcTime,
    ) -> Result<Verdict, Problem> {
        let rules = inner.rules_at(now);
        let vehicle = &self.stored.record;
        let (receipt, heard) = match judge(&self.vin, bytes, vehicle, &self.heard, &rules) {
            Ok(judged) => judged,
            Err(refusal) => {
                // An ECU that was off for long, or is new, learns the time in this very cycle. It has signed
                // this report and nobody has seen it before, so that it is no attack either.
                let happens = matches!(refusal, ManifestRefusal::Expired { .. });
                let problem = Problem::from(refusal);
                let detail = [
                    ("code", problem.code.into()),
                    ("message", (*problem.message).into()),
                ];
                let actor = Actor::vehicle(&self.vin);
                let record = record(now, &actor, "manifest.dropped", Some(&self.vin), detail);
                return Ok(Verdict::Dropped(problem, (!happens).then_some(record)));
            }
        };
        let last = self.stored.manifest.as_ref();
        if last.is_some_and(|(_, last)| last == bytes) {
            return Ok(Verdict::Believed(receipt, None));
        }
        let mut change = Change::of(&self.vin, self.stored.revision, now);
        change.manifest = Some(bytes.to_vec());
        let Outcome {
            mut events,
            orders,
            fallen,
        } = self.consequences(inner, &heard, &receipt);
        if self.stored.held.is_some() {
            events.retain(|event| *event != Event::Held);
        }
        for event in &events {
            tracing::info!(vin = %self.vin, ?event, "reported");
        }
        change.records = events
            .iter()
            .map(|event| self.remember(event, now))
            .collect();
        change.records.extend(fallen.iter().map(|order| {
            let detail = [
                ("ecu", order.serial.as_str().into()),
                ("image", order.path.as_str().into()),
                ("assignment", (*order.assignment).into()),
            ];
            let director = Actor::director();
            record(now, &director, "order.abandoned", Some(&self.vin), detail)
        }));
        self.heard = Arc::new(heard);
        let record = &self.stored.record;
        inner.memory.remember(&self.vin, record, bytes, &self.heard);
        if orders != self.stored.orders {
            self.stored.orders.clone_from(&orders);
            change.orders = Some(orders);
        }
        if events.contains(&Event::Held) {
            self.stored.held = Some("an ECU has reported an attack".into());
            change.held = Some(self.stored.held.clone());
        }
        let changed = change.orders.is_some() || change.held.is_some();
        if let Some(reign) = reign.filter(|_| changed || self.stored.is_due(now)) {
            // What cannot be signed now is signed when somebody asks for it.
            change.published = self.sign(inner, reign, now).ok().flatten();
        }
        Ok(Verdict::Believed(receipt, Some(Box::new(change))))
    }

    /// What has happened, and what is ordered from now on.
    fn consequences(
        &self,
        inner: &Inner,
        heard: &BTreeMap<EcuSerial, Heard>,
        receipt: &Receipt,
    ) -> Outcome {
        let stored = &self.stored.orders;
        let judged = stored
            .iter()
            .map(|order| (order.serial.clone(), order.judged()));
        let mut judged: BTreeMap<_, _> = judged.collect();
        let events = draw(
            &mut judged,
            (&*self.heard, heard),
            receipt,
            self.targets_version(),
            &inner.rules.policy,
        );
        // Of what was to be installed as a whole, the rest is taken back too, as far as it is not there.
        let given_up = stored
            .iter()
            .filter(|order| !judged.contains_key(&order.serial));
        let whole: Vec<&str> = given_up
            .filter(|order| order.whole)
            .map(|order| &*order.assignment)
            .collect();
        let runs = |order: &StoredOrder| {
            let heard = heard.get(&order.serial);
            heard.is_some_and(|heard| order.judged().is_what(heard))
        };
        let falls = |order: &StoredOrder| whole.contains(&&*order.assignment) && !runs(order);
        let left = stored.iter().filter_map(|order| {
            let judged = judged.get(&order.serial)?;
            (!falls(order)).then(|| StoredOrder {
                failures: judged.failures,
                ..order.clone()
            })
        });
        let fallen = stored
            .iter()
            .filter(|order| judged.contains_key(&order.serial) && falls(order));
        Outcome {
            events,
            orders: left.collect(),
            fallen: fallen.cloned().collect(),
        }
    }

    fn remember(&self, event: &Event, now: UtcTime) -> Record {
        let actor = Actor::vehicle(&self.vin);
        let remember = |action: &str, detail: [(&str, _); 3]| {
            let detail = detail.map(|(name, text): (&str, String)| (name, text.into()));
            record(now, &actor, action, Some(&self.vin), detail)
        };
        let of = |serial: &EcuSerial, image: &str, why: String| {
            [
                ("ecu", serial.to_string()),
                ("image", image.to_owned()),
                ("why", why),
            ]
        };
        match event {
            Event::Attack(serial, attack) => {
                let why = format!(
                    "{} ({}, {} {})",
                    attack.name, attack.attack, attack.repository, attack.role
                );
                remember("attack.reported", of(serial, "", why))
            }
            Event::Held => record(now, &Actor::director(), "vehicle.held", Some(&self.vin), []),
            Event::Installed(serial, path) => {
                remember("order.installed", of(serial, path.as_str(), String::new()))
            }
            Event::Failed(serial, path, outcome) => {
                let why = format!("{}: {}", outcome.name, outcome.message);
                remember("order.failed", of(serial, path.as_str(), why))
            }
            Event::GivenUp(serial, path, outcome) => {
                let why = format!("{}: {}", outcome.name, outcome.message);
                remember("order.given-up", of(serial, path.as_str(), why))
            }
        }
    }
}
