//! The world around an ECU, as a simulation sets it.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use countersign_client::uptane::secondary::{Health, Host};
use countersign_metadata::UtcTime;

/// What an ECU meets. Clones set the same ECU.
#[derive(Debug, Clone)]
pub struct Controls(Arc<Mutex<Set>>);

#[derive(Debug)]
struct Set {
    reachable: bool,
    obstacle: Option<String>,
    health: Health,
}

impl Default for Controls {
    /// All is well.
    fn default() -> Self {
        Self(Arc::new(Mutex::new(Set {
            reachable: true,
            obstacle: None,
            health: Health::Works,
        })))
    }
}

impl Controls {
    /// Whether the Primary can reach it.
    pub fn set_reachable(&self, reachable: bool) {
        self.set().reachable = reachable;
    }

    /// What stands against an installation, if anything.
    pub fn set_obstacle(&self, obstacle: Option<&str>) {
        self.set().obstacle = obstacle.map(String::from);
    }

    /// What shows of an image on trial.
    pub fn set_health(&self, health: Health) {
        self.set().health = health;
    }

    pub(crate) fn is_reachable(&self) -> bool {
        self.set().reachable
    }

    fn set(&self) -> MutexGuard<'_, Set> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Host for Controls {
    /// The Director's Root names a time server, so that no other source is asked.
    fn time(&mut self) -> Option<UtcTime> {
        None
    }

    fn may_install(&mut self) -> Result<(), String> {
        self.set().obstacle.clone().map_or(Ok(()), Err)
    }

    fn health(&mut self) -> Health {
        self.set().health.clone()
    }
}
