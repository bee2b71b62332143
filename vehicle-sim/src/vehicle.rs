//! A vehicle at work.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use countersign_client::fetch::Fetcher;
use countersign_client::install::FileSlots;
use countersign_client::store::DirStore;
use countersign_client::uptane::bundle::Bundle as CarriedBundle;
use countersign_client::uptane::primary::{self, Bundle, Cycle, DirectorLink, Member, Primary};
use countersign_client::uptane::secondary::{self, Secondary};
use countersign_client::uptane::state::{EcuState, StateFile};
use countersign_ecu_keys::{ImageKey, ReportKey};
use countersign_metadata::uptane::{EcuSerial, Mapping};
use countersign_signing::{DecryptionKey, Secrets};
use countersign_verifier::Limits;
use countersign_verifier::uptane::Ecu;

use crate::controls::Controls;
use crate::error::SimError;
use crate::links::connect;
use crate::plan::{BundlePolicy, EcuPlan, Plan};
use crate::provision::{MAPPING_FILE, MEMBERS_FILE};
use crate::records;

/// How long to wait for another process that uses the same vehicle.
const LOCK_PATIENCE: Duration = Duration::from_secs(5);

/// A vehicle that was provisioned, with its Primary and all its Secondaries running. `Fe` fetches,
/// `D` is the Director's service.
pub struct Vehicle<Fe, D> {
    primary: Primary<'static, Fe, D, DirStore, Secondary, ReportKey>,
    controls: BTreeMap<EcuSerial, Controls>,
}

impl<Fe: Fetcher, D: DirectorLink> Vehicle<Fe, D> {
    /// Starts the vehicle in `folder`.
    ///
    /// # Errors
    /// [`SimError`]
    pub fn open(
        folder: &Path,
        fetcher: Fe,
        director: D,
        secrets: &Secrets,
    ) -> Result<Self, SimError> {
        let plan = Plan::read(folder)?;
        let (own, others) = plan.members()?;
        let workshop = Workshop {
            folder,
            plan: &plan,
            mapping: read_mapping(folder)?,
            secrets,
        };
        let home = folder.join("primary");
        let mut members = records::read(&folder.join(MEMBERS_FILE))?;
        let mut controls = BTreeMap::new();
        let mut secondaries = BTreeMap::new();
        for ecu in others {
            let set = Controls::default();
            let known = members.ecus.remove(&ecu.serial);
            let known = known.ok_or_else(|| SimError::Plan {
                detail: format!("the Primary knows no key of ECU {}", ecu.serial),
            })?;
            let running = workshop.ecu(ecu, set.clone())?;
            let link = connect(ecu.connection, running, set.clone())
                .map_err(SimError::io("listen for", &ecu.folder(folder)))?;
            controls.insert(ecu.serial.clone(), set);
            let member = Member {
                hardware_id: known.hardware_id,
                key: known.signing,
                link,
            };
            secondaries.insert(ecu.serial.clone(), member);
        }
        let set = Controls::default();
        controls.insert(own.serial.clone(), set.clone());
        let parts = primary::Parts {
            vin: plan.vin.clone(),
            serial: own.serial.clone(),
            hardware_id: own.hardware_id.clone(),
            mapping: workshop.mapping.clone(),
            fetcher,
            director,
            director_store: DirStore::open(&home.join(Mapping::DIRECTOR), LOCK_PATIENCE)?,
            image_store: DirStore::open(&home.join(Mapping::IMAGE), LOCK_PATIENCE)?,
            own: workshop.ecu(own, set)?,
            key: workshop.report_key(own)?,
            secondaries,
            bundle: match plan.bundle {
                BundlePolicy::AllOrNothing => Bundle::AllOrNothing,
                BundlePolicy::BestEffort => Bundle::BestEffort,
            },
        };
        Ok(Self {
            primary: Primary::open(parts, &home.join("record"))?,
            controls,
        })
    }

    /// One cycle: what is reported, verified, downloaded and installed.
    ///
    /// # Errors
    /// [`SimError::Primary`] if this machine fails. What the vehicle refuses is in the result.
    pub fn cycle(&mut self) -> Result<Cycle, SimError> {
        Ok(self.primary.cycle()?)
    }

    /// One cycle with what was carried here (PURE-2).
    ///
    /// # Errors
    /// [`SimError::Bundle`] if the file is no bundle; [`SimError::Primary`].
    pub fn cycle_from(&mut self, bundle: &Path) -> Result<Cycle, SimError> {
        Ok(self.primary.cycle_from(&mut CarriedBundle::open(bundle)?)?)
    }

    /// The world around one ECU.
    pub fn controls(&self, serial: &EcuSerial) -> Option<&Controls> {
        self.controls.get(serial)
    }
}

/// What an ECU of a vehicle that is not running has on its disk.
#[derive(Debug, Clone)]
pub struct EcuStatus {
    /// The ECU.
    pub plan: EcuPlan,
    /// Its record.
    pub state: EcuState,
    /// Where what it runs is.
    pub active_image: PathBuf,
}

/// Looks at all ECUs of a vehicle that is not running, the Primary first.
///
/// # Errors
/// [`SimError`]
pub fn status(folder: &Path) -> Result<Vec<EcuStatus>, SimError> {
    let plan = Plan::read(folder)?;
    let ecus = plan.ecus.into_iter().map(|ecu| {
        let state = StateFile::open(&ecu.folder(folder).join("state"), LOCK_PATIENCE)?;
        Ok(EcuStatus {
            state: state.state().clone(),
            active_image: ecu.active_image(folder),
            plan: ecu,
        })
    });
    ecus.collect()
}

/// Starts one Secondary of a vehicle alone, to be called by whoever says to be its Primary.
///
/// # Errors
/// [`SimError`]
pub fn open_ecu(
    folder: &Path,
    serial: &EcuSerial,
    controls: Controls,
    secrets: &Secrets,
) -> Result<Secondary, SimError> {
    let plan = Plan::read(folder)?;
    let ecu = plan.ecu(serial).ok_or_else(|| SimError::Plan {
        detail: format!("there is no ECU {serial}"),
    })?;
    let workshop = Workshop {
        folder,
        plan: &plan,
        mapping: read_mapping(folder)?,
        secrets,
    };
    workshop.ecu(ecu, controls)
}

/// What ECUs are put together from.
struct Workshop<'a> {
    folder: &'a Path,
    plan: &'a Plan,
    mapping: Mapping,
    secrets: &'a Secrets,
}

impl Workshop<'_> {
    fn ecu(&self, ecu: &EcuPlan, controls: Controls) -> Result<Secondary, SimError> {
        let home = ecu.folder(self.folder);
        let decryption = DecryptionKey::open(&ecu.decryption, self.secrets)?;
        let parts = secondary::Parts {
            vin: self.plan.vin.clone(),
            ecu: Ecu {
                serial: ecu.serial.clone(),
                hardware_id: ecu.hardware_id.clone(),
            },
            verification: ecu.verification,
            mapping: self.mapping.clone(),
            director_limits: Limits::director(),
            image_limits: Limits::default(),
            state: StateFile::open(&home.join("state"), LOCK_PATIENCE)?,
            director: Box::new(DirStore::open(
                &home.join(Mapping::DIRECTOR),
                LOCK_PATIENCE,
            )?),
            image: Box::new(DirStore::open(&home.join(Mapping::IMAGE), LOCK_PATIENCE)?),
            installer: Box::new(FileSlots::open(&home.join("slots"), LOCK_PATIENCE)?),
            signer: Box::new(self.report_key(ecu)?),
            decryption: Some(Box::new(ImageKey(decryption))),
            host: Box::new(controls),
        };
        Ok(Secondary::new(parts)?)
    }

    fn report_key(&self, ecu: &EcuPlan) -> Result<ReportKey, SimError> {
        let signer = countersign_signing::open(&ecu.signing, self.secrets)?;
        Ok(ReportKey::new(signer))
    }
}

pub(crate) fn read_mapping(folder: &Path) -> Result<Mapping, SimError> {
    let path = folder.join(MAPPING_FILE);
    let text = fs::read(&path).map_err(SimError::io("read", &path))?;
    Ok(Mapping::parse(&text)?)
}
