//! A vehicle from its factory to the road.

use std::error::Error;
use std::fs;
use std::path::{Path, PathBuf};

use countersign_client::fetch::{FetchError, HttpFetcher, Method, Patience, TlsRoots, UrlFetcher};
use countersign_client::uptane::link::Verification;
use countersign_client::uptane::primary::Cycle;
use countersign_metadata::uptane::{EcuSerial, HardwareId, Vin};
use countersign_signing::{Algorithm, Secrets};
use countersign_vehicle_sim::{
    BundlePolicy, Connection, Controls, Credentials, EcuPlan, Factory, OnlineVehicle, Plan,
    Registered, SimError, provision, register,
};

use super::devices::Authority;
use super::garage;
use crate::stage::Stage;

type Result<T> = std::result::Result<T, Box<dyn Error>>;

pub(super) const GATEWAY: &str = "GATEWAY-1";
pub(super) const TELEMATICS: &str = "TELEMATICS-1";
pub(super) const BRAKE: &str = "BRAKE-1";

/// A vehicle, its certificate, and the director that it was made for.
pub(super) struct Car {
    pub(super) vin: Vin,
    folder: PathBuf,
    plan: Plan,
    credentials: Credentials,
    director: String,
    /// Until it is in a garage.
    running: Option<OnlineVehicle>,
}

impl Car {
    /// Makes one, with all its keys, and has its Primary certified.
    pub(super) fn build(
        folder: &Path,
        plan: &Plan,
        (factory, director): (&Factory<'_>, &str),
        authority: &Authority,
    ) -> Result<Self> {
        provision(folder, plan, factory, &Secrets::unattended(folder))?;
        Ok(Self {
            vin: plan.vin.clone(),
            // As it is in its folder: keys have their places now.
            plan: Plan::read(folder)?,
            credentials: authority.certify(folder)?,
            folder: folder.into(),
            director: director.into(),
            running: None,
        })
    }

    /// Registers with the director, over mutual TLS.
    pub(super) fn register(&self) -> std::result::Result<Registered, SimError> {
        let secrets = Secrets::unattended(&self.folder);
        let mut http = self.credentials.connect()?;
        register(&self.folder, &mut http, &self.director, &secrets)
    }

    /// Registers in the same way, with a brake that has another key than the vehicle says.
    pub(super) fn register_with_another_brake(
        &self,
    ) -> Result<std::result::Result<Registered, SimError>> {
        let brake = self.ecu(BRAKE)?;
        let key = self.folder.join("keys/ecu-BRAKE-1.signing.pem");
        let own = key.with_extension("own");
        fs::rename(&key, &own)?;
        let secrets = Secrets::unattended(&self.folder);
        countersign_signing::generate(&brake.signing, Algorithm::Ed25519, &secrets)?;
        let outcome = self.register();
        fs::rename(&own, &key)?;
        Ok(outcome)
    }

    /// Says something to the director, without its certificate if it is to show none.
    pub(super) fn knock(&self, shown: Shown) -> Result<std::result::Result<(), FetchError>> {
        let mut http = match shown {
            Shown::Certificate => self.credentials.connect()?,
            Shown::Nothing => {
                let authority = self.credentials.authorities.as_ref();
                let roots = TlsRoots::from_pem_file(authority.ok_or("no authority")?)?;
                HttpFetcher::new(Patience::default(), roots)
            }
        };
        let url = format!("{}manifest", self.director);
        let said = http.exchange((Method::Put, &url), b"{}", 4096);
        Ok(said.map(drop))
    }

    /// A cycle.
    pub(super) fn cycle(&mut self) -> Result<Cycle> {
        if self.running.is_none() {
            let secrets = Secrets::unattended(&self.folder);
            let director = &*self.director;
            let car = OnlineVehicle::online(&self.folder, &self.credentials, director, &secrets)?;
            self.running = Some(car);
        }
        Ok(self.running.as_mut().ok_or("it does not run")?.cycle()?)
    }

    /// A cycle where nobody can be reached, with what is on the stick.
    pub(super) fn cycle_from(&mut self, stick: &Path) -> Result<Cycle> {
        self.running = None;
        let fetcher = UrlFetcher::new(self.credentials.connect()?);
        garage::cycle(&self.folder, fetcher, stick)
    }

    pub(super) fn unplug(&self, ecu: &str) {
        self.controls(ecu, |controls| controls.set_reachable(false));
    }

    pub(super) fn plug_in(&self, ecu: &str) {
        self.controls(ecu, |controls| controls.set_reachable(true));
    }

    fn controls(&self, ecu: &str, set: impl Fn(&Controls)) {
        let serial = EcuSerial::new(ecu).ok();
        let running = self.running.as_ref();
        let controls = running.zip(serial);
        let controls = controls.and_then(|(running, serial)| running.controls(&serial));
        if let Some(controls) = controls {
            set(controls);
        }
    }

    /// What an ECU runs.
    pub(super) fn active(&self, ecu: &str) -> Result<Vec<u8>> {
        Ok(fs::read(self.ecu(ecu)?.active_image(&self.folder))?)
    }

    /// What all of them run.
    pub(super) fn all_active(&self) -> Result<[Vec<u8>; 3]> {
        let [gateway, telematics, brake] = [GATEWAY, TELEMATICS, BRAKE].map(|ecu| self.active(ecu));
        Ok([gateway?, telematics?, brake?])
    }

    /// Whether these bytes are anywhere in the vehicle, other than where that ECU runs them.
    pub(super) fn holds_outside(&self, ecu: &str, bytes: &[u8]) -> Result<bool> {
        let own = self.ecu(ecu)?.folder(&self.folder);
        holds(&self.folder, bytes, &own)
    }

    fn ecu(&self, ecu: &str) -> Result<&EcuPlan> {
        Ok(self.plan.ecu(&serial(ecu)?).ok_or("no such ECU")?)
    }
}

/// What a vehicle shows to a server.
#[derive(Debug, Clone, Copy)]
pub(super) enum Shown {
    Certificate,
    Nothing,
}

/// Three ECUs. Those of another vehicle have other names, and all keys in files.
pub(super) fn plan(stage: &Stage, vin: &str, suffix: &str) -> Result<Plan> {
    let ecu = |name: &str, hardware: &str| -> Result<EcuPlan> {
        let (serial, hardware) = (
            serial(&format!("{name}{suffix}"))?,
            HardwareId::new(hardware)?,
        );
        Ok(EcuPlan::new(serial, hardware)?)
    };
    let mut telematics = ecu(TELEMATICS, "telematics-b")?;
    if suffix.is_empty() {
        telematics.decryption = stage.uri("telematics", "images").parse()?;
    }
    let brake = EcuPlan {
        verification: Verification::Partial,
        connection: Connection::Tcp,
        ..ecu(BRAKE, "brake-c")?
    };
    Ok(Plan {
        vin: Vin::new(vin)?,
        ecus: vec![ecu(GATEWAY, "gateway-a")?, telematics, brake],
        bundle: BundlePolicy::AllOrNothing,
    })
}

pub(super) fn serial(ecu: &str) -> Result<EcuSerial> {
    Ok(EcuSerial::new(ecu)?)
}

/// Whether a file below `folder`, and not below `except`, has these bytes.
pub(super) fn holds(folder: &Path, bytes: &[u8], except: &Path) -> Result<bool> {
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        let found = match path.is_dir() {
            true if path == except => false,
            true => holds(&path, bytes, except)?,
            false => fs::read(&path)? == bytes,
        };
        if found {
            return Ok(true);
        }
    }
    Ok(false)
}
