//! The commands of a vehicle that talks to a Director's service.

use std::fs;
use std::path::{Path, PathBuf};

use countersign_client::client::read_root;
use countersign_client::fetch::UrlFetcher;
use countersign_metadata::uptane::Mapping;
use countersign_signing::Secrets;
use countersign_vehicle_sim::{
    Credentials, Factory, OnlineVehicle, Plan, Registered, SimError, TLS_KEY, director_url,
};
use serde_json::json;

use crate::args::{Network, Repositories};
use crate::commands::io;
use crate::output::Done;

/// The command line has seen to it that all of `repositories` is there.
pub(crate) fn provision(
    vehicle: &Path,
    plan: &Plan,
    repositories: &Repositories,
) -> Result<(), SimError> {
    let url = |url: &Option<String>| {
        let url = url.clone().unwrap_or_default();
        UrlFetcher::check_base_url(&url).map(|()| vec![url])
    };
    let mapping = Mapping::both(
        url(&repositories.director_url)?,
        url(&repositories.image_url)?,
    )?;
    let root = |path: &Option<PathBuf>| {
        let path = path.clone().unwrap_or_default();
        read_root(&path).map_err(io("read", &path))
    };
    let factory = Factory {
        director_root: &root(&repositories.director_root)?,
        image_root: &root(&repositories.image_root)?,
        mapping: &mapping,
    };
    let secrets = Secrets::unattended(vehicle);
    countersign_vehicle_sim::provision(vehicle, plan, &factory, &secrets).map(drop)
}

pub(crate) fn csr(vehicle: &Path, out: &Path) -> Result<Done, SimError> {
    let request = countersign_vehicle_sim::request_certificate(vehicle)?;
    fs::write(out, &request.pem).map_err(io("write", out))?;
    let (vin, serial) = (&request.vin, &request.serial);
    Ok(Done {
        ok: true,
        lines: vec![
            format!(
                "the request of ECU {serial} of vehicle {vin} is in {}; have it certified:",
                out.display()
            ),
            format!(
                "key-ceremony pki issue --ca CA --vehicle {vin} --ecu {serial} --out CERTIFICATE {}",
                out.display()
            ),
        ],
        details: json!({
            "vin": vin.as_str(),
            "ecu": serial.as_str(),
            "request": out,
            "key": request.key,
        }),
    })
}

pub(crate) fn register(
    vehicle: &Path,
    certificate: PathBuf,
    network: Network,
) -> Result<Done, SimError> {
    let url = service_url(vehicle, &network)?;
    let mut http = credentials(vehicle, certificate, network).connect()?;
    let secrets = Secrets::unattended(vehicle);
    let registered = countersign_vehicle_sim::register(vehicle, &mut http, &url, &secrets)?;
    let line = match registered {
        Registered::New => "the vehicle is registered",
        Registered::Known => "the vehicle was registered already, just like that",
        Registered::AwaitsApproval => {
            "the registration differs from the one before, and waits until somebody approves it"
        }
    };
    Ok(Done {
        details: json!({"registered": registered.name()}),
        ..Done::line(line.into())
    })
}

pub(crate) fn start(
    vehicle: &Path,
    certificate: PathBuf,
    network: Network,
) -> Result<OnlineVehicle, SimError> {
    let url = service_url(vehicle, &network)?;
    let credentials = credentials(vehicle, certificate, network);
    OnlineVehicle::online(vehicle, &credentials, &url, &Secrets::unattended(vehicle))
}

fn service_url(vehicle: &Path, network: &Network) -> Result<String, SimError> {
    match &network.director_url {
        Some(url) => Ok(url.clone()),
        None => director_url(vehicle),
    }
}

fn credentials(vehicle: &Path, certificate: PathBuf, network: Network) -> Credentials {
    Credentials {
        certificate,
        key: network.tls_key.unwrap_or_else(|| vehicle.join(TLS_KEY)),
        authorities: network.tls_ca,
    }
}
