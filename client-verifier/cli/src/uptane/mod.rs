//! The commands of one ECU, for scripts and conformance runs: `uptane-init`, `uptane-nonce`,
//! `uptane-cycle`, `uptane-install`. docs/ecu-commands.md is their contract.

mod config;
mod device;
mod director;
mod secondary;

use std::path::Path;

use countersign_client::client::{ClientError, initialise};
use countersign_client::fetch::UrlFetcher;
use countersign_client::uptane::bundle::Bundle;
use countersign_client::uptane::link::{
    Activated, Answer, Mirror, Prepared, Refusal, Request, Respond, VERSION,
};
use countersign_client::uptane::primary::{Cycle, Primary};
use countersign_metadata::uptane::{Mapping, OfflineName};
use countersign_verifier::uptane::Directed;
use countersign_verifier::{Code, Reject};
use serde_json::{Value, json};

use self::config::Config;
use self::device::Device;
use crate::commands::usage;
use crate::output::Done;

/// Where things are that a command needs, beside the state directory.
#[derive(Default)]
pub(crate) struct Inputs<'a> {
    /// In the place of the mapping's addresses.
    pub(crate) director_url: Option<&'a str>,
    /// In the place of the mapping's addresses.
    pub(crate) image_url: Option<&'a str>,
    /// A signed attestation of the time.
    pub(crate) attestation: Option<&'a Path>,
    /// The image as it is served, for `uptane-install`.
    pub(crate) image_file: Option<&'a Path>,
    /// An offline bundle, in the place of the repositories.
    pub(crate) bundle: Option<&'a Path>,
}

impl Inputs<'_> {
    fn open_bundle(&self) -> Result<Option<Bundle>, Reject> {
        let bundle = self.bundle.map(Bundle::open).transpose();
        bundle.map_err(|error| usage(error.to_string()))
    }
}

/// `uptane-init`: what an ECU gets at the factory (Uptane 5.4.1).
pub(crate) fn init(
    directory: &Path,
    config: &Path,
    roots: (&Path, &Path),
    mapping: Option<&Path>,
    inputs: &Inputs<'_>,
) -> Result<Done, Reject> {
    let config = Config::provision(directory, config, mapping, inputs)?;
    let mut versions = Vec::new();
    for (repository, root) in [(Mapping::DIRECTOR, roots.0), (Mapping::IMAGE, roots.1)] {
        let bytes = device::read(root)?;
        let stores = [
            device::vehicle_store(directory, repository)?,
            device::own_store(directory, repository)?,
        ];
        for mut store in stores {
            let done = initialise(&mut store, bytes.clone())
                .map_err(|error: ClientError| error.to_reject(repository))?;
            versions.push((repository, done.given));
        }
    }
    device::provision_state(directory, &config)?;
    versions.dedup();
    let trusted: Vec<String> = versions
        .iter()
        .map(|(repository, version)| format!("{repository} root {version}"))
        .collect();
    Ok(Done::line(format!(
        "ECU {} of vehicle {} trusts {}",
        config.ecu.serial,
        config.vin,
        trusted.join(" and ")
    )))
}

/// `uptane-nonce`: what the next attestation of the time has to answer.
pub(crate) fn nonce(directory: &Path) -> Result<Done, Reject> {
    Config::read(directory)?;
    Ok(Done::line(device::fresh_nonce(directory)?))
}

/// `uptane-cycle`: verifies, and downloads what is to be installed. Whatever becomes of it, what an
/// earlier cycle has found is not installed any more.
pub(crate) fn cycle(
    directory: &Path,
    fetcher: UrlFetcher,
    inputs: &Inputs<'_>,
) -> Result<Done, Reject> {
    let config = Config::read(directory)?;
    device::forget_found(directory)?;
    let done = find(directory, &config, fetcher, inputs)?;
    device::keep_found(directory)?;
    Ok(done)
}

fn find(
    directory: &Path,
    config: &Config,
    fetcher: UrlFetcher,
    inputs: &Inputs<'_>,
) -> Result<Done, Reject> {
    let bundle = inputs.open_bundle()?;
    if config.is_secondary() {
        let source = match bundle {
            Some(bundle) => secondary::Source::carried(bundle),
            None => secondary::Source::online(
                fetcher,
                config.urls(Mapping::DIRECTOR, inputs)?,
                config.urls(Mapping::IMAGE, inputs)?,
            ),
        };
        return secondary::cycle(directory, config, source, inputs);
    }
    let mut device = Device::open(directory, config)?;
    if let Some(nonce) = device::take_nonce(directory, inputs.attestation)? {
        device.ecu.choose_nonce(nonce);
    }
    let parts = device.into_primary(fetcher, inputs)?;
    let mut primary = Primary::open(parts, &directory.join("primary"))
        .map_err(|error| device::store_failed(&error))?;
    let cycle = match bundle {
        Some(mut bundle) => primary.fetch_from(&mut bundle),
        None => primary.fetch(),
    };
    found_in_full(
        directory,
        cycle.map_err(|error| device::store_failed(&error))?,
    )
}

fn found_in_full(directory: &Path, cycle: Cycle) -> Result<Done, Reject> {
    if let Some(reject) = cycle.refused {
        return Err(reject);
    }
    let version = cycle.mark.map_or(0, |mark| mark.version);
    let images = cycle.images.iter();
    let images = images.map(|directed| describe(directed, Some(directory)));
    Ok(found(version, images.collect::<Result<_, _>>()?))
}

fn found(version: u64, images: Vec<Value>) -> Done {
    let line = match images.len() {
        0 => format!("nothing to install under Director Targets {version}"),
        1 => format!("1 image to install under Director Targets {version}"),
        n => format!("{n} images to install under Director Targets {version}"),
    };
    let details = json!({ "targetsVersion": version, "images": images });
    Done {
        lines: vec![line],
        details: Some(details),
    }
}

fn describe(directed: &Directed, directory: Option<&Path>) -> Result<Value, Reject> {
    let name = directed.content_name()?;
    let file = directory.map(|directory| directory.join("primary/images").join(&name));
    Ok(json!({
        "ecu": directed.ecu().serial.as_str(),
        "hardwareId": directed.ecu().hardware_id.as_str(),
        "path": directed.path().as_str(),
        "length": directed.file().length,
        "releaseCounter": directed.release_counter(),
        "encrypted": directed.encryption().is_some(),
        "contentName": name,
        "file": file,
    }))
}

/// `uptane-install`: installs on this ECU what the last cycle has found.
pub(crate) fn install(directory: &Path, inputs: &Inputs<'_>) -> Result<Done, Reject> {
    let config = Config::read(directory)?;
    let attestation = inputs.attestation.map(device::read).transpose()?;
    let bundle = inputs.open_bundle()?;
    let offline = bundle.map(|bundle| bundle.targets_name().clone());
    let mut device = Device::open(directory, &config)?;
    if let Some(nonce) = device::use_up_nonce(directory, inputs.attestation)? {
        device.ecu.choose_nonce(nonce);
    }
    let done = match device::is_found(directory)? {
        true => install_on(&mut device, &config, (offline, attestation), inputs),
        false => Ok(Done::line(
            "nothing to install: the last uptane-cycle was refused, or there was none".into(),
        )),
    };
    // Whatever became of it is in the report (5.4.3.6).
    device.keep_report(directory)?;
    done
}

fn install_on(
    device: &mut Device<'_>,
    config: &Config,
    (offline, attestation): (Option<OfflineName>, Option<Vec<u8>>),
    inputs: &Inputs<'_>,
) -> Result<Done, Reject> {
    let directory = device.directory();
    let hello = Request::Hello {
        version: VERSION,
        vin: config.vin.clone(),
        primary: config.ecu.serial.clone(),
    };
    let mut director = device::vehicle_store(directory, Mapping::DIRECTOR)?;
    let mut image = device::vehicle_store(directory, Mapping::IMAGE)?;
    let mut mirror = Mirror::new(&mut director, &mut image);
    for (name, path) in device::images(directory)? {
        mirror.add_image(&name, path);
    }
    if let Some(path) = inputs.image_file {
        mirror.set_any_image(path.to_owned());
    }
    answered(device.ecu.respond(hello, &mut mirror))?;
    mirror.set_offline(offline.clone());
    let prepare = Request::Prepare {
        offline,
        attestation: attestation.unwrap_or_default(),
    };
    let prepared = device.ecu.respond(prepare, &mut mirror);
    match answered(prepared)? {
        Answer::Prepared {
            image: Prepared::Nothing,
            targets_version,
        } => Ok(Done::line(format!(
            "nothing to install under Director Targets {targets_version}"
        ))),
        Answer::Prepared {
            targets_version, ..
        } => {
            let activate = Request::Activate { targets_version };
            let activated = device.ecu.respond(activate, &mut mirror);
            answered(activated).map(|answer| installed(config, &answer))
        }
        _ => Err(Reject::new(
            Code::Misuse,
            "",
            "the ECU answered something else",
        )),
    }
}

fn installed(config: &Config, answer: &Answer) -> Done {
    let serial = &config.ecu.serial;
    Done::line(match answer {
        Answer::Activated {
            image: Activated::OnTrial,
        } => format!("ECU {serial}: the new image runs on trial"),
        _ => format!("ECU {serial}: installed"),
    })
}

/// An ECU's refusal as what it was before it was sent.
fn answered(answer: Answer) -> Result<Answer, Reject> {
    match answer {
        Answer::Refused(Refusal { name, message, .. }) => {
            let code = Code::from_name(&name).unwrap_or(Code::Misuse);
            let prefix = format!("{name}: ");
            let detail = message.strip_prefix(&prefix).unwrap_or(&message);
            Err(Reject::new(code, "", detail))
        }
        answer => Ok(answer),
    }
}
