//! One function for each command: library calls, no rules.

use std::collections::BTreeMap;
use std::fs::File;
use std::path::{Path, PathBuf, absolute};

use countersign_client::client::read_root;
use countersign_client::fetch::{Fetcher, HttpFetcher, Patience, TlsRoots, UrlFetcher};
use countersign_client::uptane::link::Verification;
use countersign_client::uptane::primary::{Cycle, DirectorLink, EcuOutcome};
use countersign_metadata::TargetPath;
use countersign_metadata::percent_encode;
use countersign_metadata::uptane::{EcuSerial, HardwareId, OfflineName, Vin};
use countersign_signing::{KeyUri, Secrets};
use countersign_vehicle_sim::{
    BundlePolicy, Clock, Connection, EcuPlan, Office, Plan, Settings, SimError, Vehicle, status,
};
use serde_json::json;

use crate::args::{Arguments, Command, DirectorFolder};
use crate::online;
use crate::output::Done;

pub(crate) fn run(arguments: Arguments) -> Result<Done, SimError> {
    match arguments.command {
        Command::Director {
            folder,
            image_url,
            image_root,
            director_url,
        } => director(&folder, image_url, &image_root, director_url),
        Command::Provision {
            vehicle,
            repositories,
            vin,
            ecus,
            signing_keys,
            decryption_keys,
            best_effort,
        } => {
            let mut plan = Plan {
                vin: Vin::new(&vin)?,
                ecus: ecus
                    .iter()
                    .map(|ecu| plan_ecu(ecu))
                    .collect::<Result<_, _>>()?,
                bundle: match best_effort {
                    true => BundlePolicy::BestEffort,
                    false => BundlePolicy::AllOrNothing,
                },
            };
            for key in &signing_keys {
                let (ecu, uri) = key_of(&mut plan, key)?;
                ecu.signing = uri;
            }
            for key in &decryption_keys {
                let (ecu, uri) = key_of(&mut plan, key)?;
                ecu.decryption = uri;
            }
            match repositories.folder {
                Some(folder) => open(&DirectorFolder { folder })?.provision(&vehicle, &plan)?,
                None => online::provision(&vehicle, &plan, &repositories)?,
            }
            let ecus = plan.ecus.len();
            Ok(Done::line(format!(
                "vehicle {vin} with {ecus} ECUs is in {}",
                vehicle.display()
            )))
        }
        Command::Encrypt {
            image,
            file,
            director,
        } => {
            let mut bytes = File::open(&file).map_err(io("read", &file))?;
            open(&director)?.encrypt(&target(&image)?, &mut bytes)?;
            Ok(Done::line(format!("{image} travels encrypted from now on")))
        }
        Command::Assign {
            vin,
            serial,
            image,
            director,
        } => {
            let (vin, serial) = (Vin::new(&vin)?, EcuSerial::new(&serial)?);
            open(&director)?.assign(&vin, &serial, &target(&image)?)?;
            Ok(Done::line(format!(
                "{image} is assigned to ECU {serial} of vehicle {vin}"
            )))
        }
        Command::Bundle {
            vin,
            name,
            file,
            director,
        } => {
            let (vin, name) = (Vin::new(&vin)?, OfflineName::new(&name)?);
            open(&director)?.carry(&vin, &name, &file)?;
            Ok(Done::line(format!(
                "what is assigned in vehicle {vin} is in {}",
                file.display()
            )))
        }
        Command::Rotate { director } => {
            open(&director)?.rotate()?;
            Ok(Done::line("the director has new online keys".into()))
        }
        Command::Csr { vehicle, out } => online::csr(&vehicle, &out),
        Command::Register {
            vehicle,
            tls_cert,
            network,
        } => online::register(&vehicle, tls_cert, network),
        Command::Cycle {
            vehicle,
            director,
            tls_cert,
            network,
            bundle,
        } => match (director, tls_cert) {
            (_, Some(certificate)) => {
                let mut running = online::start(&vehicle, certificate, network)?;
                Ok(tell(&one_cycle(&mut running, bundle.as_deref())?))
            }
            (folder, None) => {
                let folder = folder.unwrap_or_default();
                cycle(&vehicle, &DirectorFolder { folder }, bundle.as_deref())
            }
        },
        Command::Status { vehicle } => show_status(&vehicle),
    }
}

fn director(
    folder: &Path,
    image_url: String,
    image_root: &Path,
    director_url: Option<String>,
) -> Result<Done, SimError> {
    let root = read_root(image_root).map_err(io("read", image_root))?;
    let served = absolute(folder)
        .map_err(io("find", folder))?
        .join("published");
    let settings = Settings {
        image_url,
        director_url: director_url.unwrap_or_else(|| file_url(&served)),
    };
    Office::create(folder, &settings, &root)?;
    Ok(Done::line(format!(
        "a director is in {}; it publishes below {}",
        folder.display(),
        settings.director_url
    )))
}

pub(crate) fn io(action: &'static str, path: &Path) -> impl FnOnce(std::io::Error) -> SimError {
    let path = path.to_owned();
    move |source| SimError::Io {
        action,
        path,
        source,
    }
}

fn cycle(
    folder: &Path,
    director: &DirectorFolder,
    bundle: Option<&Path>,
) -> Result<Done, SimError> {
    let office = open(director)?;
    let plan = Plan::read(folder)?;
    let link = office.service().link(&plan.vin);
    let secrets = Secrets::unattended(folder);
    let mut vehicle = Vehicle::open(folder, office.fetcher(), link, &secrets)?;
    let cycle = one_cycle(&mut vehicle, bundle);
    office.keep()?;
    Ok(tell(&cycle?))
}

fn one_cycle<Fe: Fetcher, D: DirectorLink>(
    vehicle: &mut Vehicle<Fe, D>,
    bundle: Option<&Path>,
) -> Result<Cycle, SimError> {
    match bundle {
        Some(bundle) => vehicle.cycle_from(bundle),
        None => vehicle.cycle(),
    }
}

fn tell(cycle: &Cycle) -> Done {
    let mut lines = Vec::new();
    let mut ecus = BTreeMap::new();
    let mut ok = cycle.refused.is_none() && cycle.unreported.is_none();
    for (serial, outcome) in &cycle.ecus {
        let (name, detail) = match outcome {
            EcuOutcome::Nothing => ("nothing", String::new()),
            EcuOutcome::Installed => ("installed", String::new()),
            EcuOutcome::OnTrial => ("on-trial", String::new()),
            EcuOutcome::Refused(refusal) => ("refused", refusal.message.clone()),
            EcuOutcome::Unreachable(why) => ("unreachable", why.clone()),
            EcuOutcome::Abandoned => ("abandoned", "another ECU was not ready".into()),
        };
        ok &= detail.is_empty();
        lines.push(format!("{serial}: {name} {detail}").trim_end().to_owned());
        let code = match outcome {
            EcuOutcome::Refused(refusal) => refusal.code,
            _ => 0,
        };
        ecus.insert(
            serial.to_string(),
            json!({"outcome": name, "code": code, "detail": detail}),
        );
    }
    if let Some(reject) = &cycle.refused {
        lines.push(format!("refused: {reject}"));
    }
    if let Some(why) = &cycle.unreported {
        lines.push(format!("the director did not take the manifest: {why}"));
    }
    if lines.is_empty() {
        lines.push("nothing to do".into());
    }
    let refused = cycle.refused.as_ref().map(|reject| {
        json!({"code": reject.code.number(), "name": reject.code.name(), "message": reject.to_string()})
    });
    Done {
        ok,
        lines,
        details: json!({
            "targetsVersion": cycle.mark.map(|mark| mark.version),
            "refused": refused,
            "ecus": ecus,
            "unreported": cycle.unreported,
        }),
    }
}

fn show_status(folder: &Path) -> Result<Done, SimError> {
    let mut lines = Vec::new();
    let mut ecus = BTreeMap::new();
    for ecu in status(folder)? {
        let serial = &ecu.plan.serial;
        let installed = ecu.state.installed(&ecu.plan.hardware_id);
        let image = installed.map_or("unknown", |image| image.path.as_str());
        let counter = installed.map(|image| image.release_counter);
        lines.push(match counter {
            Some(counter) => format!("{serial}: {image}, release counter {counter}"),
            None => format!("{serial}: {image}"),
        });
        let outcome = ecu.state.reports().outcome();
        ecus.insert(
            serial.to_string(),
            json!({
                "hardwareId": ecu.plan.hardware_id.as_str(),
                "image": image,
                "releaseCounter": counter,
                "active": ecu.active_image,
                "lastOutcome": outcome.map(|outcome| outcome.name.as_str()),
            }),
        );
    }
    Ok(Done {
        ok: true,
        lines,
        details: json!({"ecus": ecus}),
    })
}

fn open(director: &DirectorFolder) -> Result<Office, SimError> {
    let fetcher = || UrlFetcher::new(HttpFetcher::new(Patience::default(), TlsRoots::mozilla()));
    Office::open(&director.folder, Clock::default(), fetcher)
}

/// `SERIAL=HARDWARE[,partial][,tcp]`
fn plan_ecu(text: &str) -> Result<EcuPlan, SimError> {
    let (serial, rest) = pair(text)?;
    let mut parts = rest.split(',');
    let hardware = parts.next().unwrap_or_default();
    let mut ecu = EcuPlan::new(EcuSerial::new(serial)?, HardwareId::new(hardware)?)?;
    for part in parts {
        match part {
            "partial" => ecu.verification = Verification::Partial,
            "tcp" => ecu.connection = Connection::Tcp,
            _ => {
                return Err(SimError::Plan {
                    detail: format!("{part:?} in {text:?} is neither partial nor tcp"),
                });
            }
        }
    }
    Ok(ecu)
}

/// `SERIAL=URI`
fn key_of<'p>(plan: &'p mut Plan, text: &str) -> Result<(&'p mut EcuPlan, KeyUri), SimError> {
    let (serial, uri) = pair(text)?;
    let uri: KeyUri = uri.parse().map_err(|error| SimError::Plan {
        detail: format!("{error}"),
    })?;
    let ecu = plan
        .ecus
        .iter_mut()
        .find(|ecu| ecu.serial.as_str() == serial);
    match ecu {
        Some(ecu) => Ok((ecu, uri)),
        None => Err(SimError::Plan {
            detail: format!("a key is given for ECU {serial}, and there is no --ecu {serial}=..."),
        }),
    }
}

fn pair(text: &str) -> Result<(&str, &str), SimError> {
    text.split_once('=').ok_or_else(|| SimError::Plan {
        detail: format!("{text:?} has no '='; write SERIAL=..."),
    })
}

fn target(path: &str) -> Result<TargetPath, SimError> {
    TargetPath::new(path).map_err(|error| SimError::Director(error.into()))
}

fn file_url(path: &Path) -> String {
    let path: PathBuf = path.into();
    let parts = path.to_string_lossy().into_owned();
    let parts: Vec<String> = parts.split('/').map(percent_encode).collect();
    format!("file://{}/", parts.join("/"))
}
