//! An ECU of a vehicle, as docs/ecu-commands.md has it:
//!
//! - `--state-dir D uptane-init VEHICLE.json --director-root R --image-root R --director-url U --image-url U`
//! - `--state-dir D --director-url U --image-url U [--time-attestation F] [--bundle F] uptane-cycle`
//! - `--state-dir D [--time-attestation F] [--bundle F] [--image-file F] uptane-install`
//!
//! It keeps what it trusts in `D/director` and `D/image` as `ROLE.json`, and the image that runs in
//! `D/ecu/slots/active/image`. The nonce that it has drawn is put into `D/nonce`.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;
use std::process::Output;

use serde_json::{Value, json};

use super::{Program, failed, observed, trusted};
use crate::format::{Action, Assigned, Cycle, Ecu, Install, Step, Verification};
use crate::run::server::Server;
use crate::run::{Client, Observed, RunError};
use crate::simulate::{decryption, sha256_hex, signing_key_pem};
use crate::suite::Vector;

/// The test key that signs the ECU's reports.
const REPORT_KEY: &str = "ecu-report";

pub(super) struct External {
    program: Program,
    server: Server,
    /// What it said when it refused what it was provisioned with.
    refused: Option<Output>,
}

impl External {
    pub(super) fn new(program: Program) -> Result<Self, RunError> {
        Ok(Self {
            program,
            server: Server::start().map_err(failed)?,
            refused: None,
        })
    }

    fn state(&self) -> PathBuf {
        self.program.home.path().join("state")
    }

    /// `VEHICLE.json`, with the keys that it names beside it.
    fn vehicle(&self, ecu: &Ecu) -> Result<Value, RunError> {
        let mut own = json!({
            "serial": ecu.serial,
            "hardwareId": ecu.hardware_id,
            "verification": match ecu.verification {
                Verification::Full => "full",
                Verification::Partial => "partial",
            },
            "signingKey": self.key("report.pem", &signing_key_pem(REPORT_KEY))?,
        });
        if ecu.secondary {
            own["secondary"] = true.into();
        }
        if let Some(name) = &ecu.decryption_key {
            let pem = decryption::pem(name).map_err(|error| RunError(error.to_string()))?;
            own["decryptionKey"] = self.key("decryption.pem", pem)?.into();
        }
        let mut vehicle = json!({"vin": ecu.vin, "ecu": own, "others": ecu.others});
        if let Some(installed) = &ecu.installed {
            vehicle["installed"] = json!({
                "path": installed.path,
                "releaseCounter": installed.release_counter,
                "length": installed.length,
                "sha256": installed.sha256,
            });
        }
        Ok(vehicle)
    }

    /// The URI of a key, which is put into a file that only its owner can read.
    fn key(&self, name: &str, pem: &str) -> Result<String, RunError> {
        let path = self.program.write(name, pem.as_bytes())?;
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).map_err(failed)?;
        Ok(format!("file:{path}?encryption=none"))
    }

    fn addresses(&self) -> [String; 4] {
        [
            "--director-url".into(),
            self.server.url("director"),
            "--image-url".into(),
            self.server.url("image"),
        ]
    }

    fn arguments(&self, vector: &Vector, action: &Action) -> Result<Vec<String>, RunError> {
        let mut arguments = vec!["--state-dir".to_owned(), self.program.path("state")];
        let mut give = |option: &str, file: &Option<String>| {
            if let Some(file) = file {
                let name = file.rsplit('/').next().unwrap_or(file);
                let path = self.program.write(name, vector.file(file))?;
                arguments.extend([option.to_owned(), path]);
            }
            Ok::<_, RunError>(())
        };
        match action {
            Action::Cycle(Cycle {
                nonce,
                attestation,
                bundle,
            }) => {
                give("--time-attestation", attestation)?;
                give("--bundle", bundle)?;
                if let Some(nonce) = nonce {
                    fs::write(self.state().join("nonce"), nonce).map_err(failed)?;
                }
                arguments.extend(self.addresses());
                arguments.push("uptane-cycle".into());
            }
            Action::Install(Install {
                attestation,
                bundle,
                image,
            }) => {
                give("--time-attestation", attestation)?;
                give("--bundle", bundle)?;
                give("--image-file", image)?;
                arguments.push("uptane-install".into());
            }
            action => return Err(RunError(format!("{action:?} is nothing for an ECU"))),
        }
        Ok(arguments)
    }

    /// The SHA-256 of what runs.
    fn installed(&self) -> Result<String, RunError> {
        match fs::read(self.state().join("ecu/slots/active/image")) {
            Ok(bytes) => Ok(sha256_hex(&bytes)),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok("factory".into()),
            Err(error) => Err(failed(error)),
        }
    }
}

impl Client for External {
    fn init(&mut self, vector: &Vector) -> Result<(), RunError> {
        let ecu = vector.case.ecu.as_ref();
        let ecu = ecu.ok_or_else(|| RunError("the case has no ECU".into()))?;
        let vehicle = self.vehicle(ecu)?.to_string();
        let vehicle = self.program.write("vehicle.json", vehicle.as_bytes())?;
        let root = |name: &str, file: &str| self.program.write(name, vector.file(file));
        let mut arguments = vec![
            "--state-dir".to_owned(),
            self.program.path("state"),
            "uptane-init".into(),
            vehicle,
            "--director-root".into(),
            root("director-root.json", &ecu.director_root)?,
            "--image-root".into(),
            root("image-root.json", &ecu.image_root)?,
        ];
        arguments.extend(self.addresses());
        let output = self.program.run(&arguments, None)?;
        self.refused = (!output.status.success()).then_some(output);
        Ok(())
    }

    fn act(&mut self, vector: &Vector, step: &Step) -> Result<Observed, RunError> {
        let clock = vector.case.clock_of(step);
        self.server.serve(vector.site(step));
        let output = match self.refused.take() {
            Some(output) => output,
            None => {
                let arguments = self.arguments(vector, &step.action)?;
                self.program.run(&arguments, clock)?
            }
        };
        let mut all = trusted(&self.state().join("director"), "director/")?;
        all.extend(trusted(&self.state().join("image"), "image/")?);
        let requests = self.server.requests();
        Ok(Observed {
            trusted: all,
            requests: requests.iter().filter_map(|path| metadata(path)).collect(),
            assigned: assigned(&output.stdout),
            installed: Some(self.installed()?),
            ..observed(&output)
        })
    }
}

/// `director/metadata/1.root.json` as `director/1.root.json`; nothing for other requests.
fn metadata(path: &str) -> Option<String> {
    let (repository, rest) = path.split_once('/')?;
    let name = rest.strip_prefix("metadata/")?;
    Some(format!("{repository}/{name}"))
}

/// What the ECU has found, if it says so.
fn assigned(stdout: &[u8]) -> Option<Vec<Assigned>> {
    let said: Value = serde_json::from_slice(stdout).ok()?;
    let images = said["update"]["images"].as_array()?.iter();
    let images = images.map(|image| {
        Some(Assigned {
            ecu: image["ecu"].as_str()?.into(),
            path: image["path"].as_str()?.into(),
            release_counter: image["releaseCounter"].as_u64()?,
            encrypted: image["encrypted"].as_bool()?,
        })
    });
    images.collect()
}
