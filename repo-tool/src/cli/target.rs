//! `target add|remove|list|show`

use std::path::{Path, PathBuf};

use clap::Subcommand;
use countersign_metadata::TargetFile;
use countersign_repo::{Listed, NewTarget, RepoError, Visibility, files_below, read_custom};
use hex::FromHex;
use serde_json::{Value, json};

use super::Global;
use super::image::ForVehicles;
use super::output::{Report, count};

const ADD_EXAMPLES: &str = "\
Examples:
  repo-tool target add build/app.img --name app/1.0/app.img
  repo-tool target add --recursive build/ --prefix app/1.0/
  repo-tool target add build/app.img --sha256 \"$reviewed\"    (refused if it has changed)
  repo-tool target add build/brake.img --hardware-id brake-v2 --release-counter 12 \\
      --image-version 3.1 --class brake --dependency class=gateway@7..";

#[derive(Subcommand)]
pub(super) enum Target {
    /// Stage images; nothing is signed
    ///
    /// Each is copied and hashed once. It goes to --role, or to targets; where that role has
    /// bins, to the bin its name falls in. Many are copied on all cores; killed, the same command goes
    /// on where it was.
    #[command(after_help = ADD_EXAMPLES)]
    Add {
        /// The image files
        #[arg(required_unless_present = "recursive")]
        paths: Vec<PathBuf>,
        /// The name that clients ask for, instead of the file's own; for one file only
        #[arg(long, value_name = "TARGETPATH")]
        name: Option<String>,
        /// The SHA-256 that the file must have, in hexadecimal; for one file only
        ///
        /// It is computed over the copy that is kept. A file with another is refused, and nothing
        /// is staged.
        #[arg(long, value_name = "HEX", value_parser = sha256)]
        sha256: Option<[u8; 32]>,
        /// Add every file below this folder, named by its path from there
        #[arg(long, value_name = "DIR", conflicts_with_all = ["paths", "name", "sha256"])]
        recursive: Option<PathBuf>,
        /// Put this before each name, such as firmware/
        #[arg(long, value_name = "TEXT", default_value = "")]
        prefix: String,
        /// A file with custom data: one JSON object
        #[arg(long, value_name = "FILE")]
        custom: Option<PathBuf>,
        /// The role that is to list them
        #[arg(long)]
        role: Option<String>,
        /// Publish the metadata only; the bytes never enter the public tree
        #[arg(long)]
        confidential: bool,
        #[command(flatten)]
        vehicles: Box<ForVehicles>,
    },
    /// Stage the removal of images; their bytes stay for clients with older metadata
    Remove {
        /// Their names
        #[arg(required = true)]
        names: Vec<String>,
        /// The role that lists them
        #[arg(long)]
        role: Option<String>,
    },
    /// List images as staged
    List {
        /// Only those of this role
        #[arg(long)]
        role: Option<String>,
    },
    /// Show one image as a client would find it
    Show {
        /// Its name
        name: String,
    },
}

impl Target {
    pub(super) fn run(&self, global: &Global) -> Result<Report, RepoError> {
        match self {
            Self::Add {
                paths,
                name,
                sha256,
                recursive,
                prefix,
                custom,
                role,
                confidential,
                vehicles,
            } => {
                let custom = custom.as_deref().map(read_custom).transpose()?;
                let custom = vehicles.describe(custom)?;
                let visibility = match confidential {
                    true => Visibility::Confidential,
                    false => Visibility::Public,
                };
                let named = match recursive {
                    Some(folder) => files_below(folder)?,
                    None => names(paths, name.as_deref())?,
                };
                let new: Vec<NewTarget> = named
                    .into_iter()
                    .map(|(source, name)| NewTarget {
                        source,
                        name: format!("{prefix}{name}"),
                        custom: custom.clone(),
                        visibility,
                    })
                    .collect();
                let role = role.as_deref();
                let reviewed = match sha256 {
                    Some(sha256) => Some(one(&new)?.map(|target| (target, *sha256))),
                    None => None,
                };
                let mut repository = global.open()?;
                repository.set_counter_rule(vehicles.counter_rule());
                let listed = match reviewed {
                    Some(reviewed) => repository.add_reviewed_targets(&reviewed, role)?,
                    None => repository.add_targets(&new, role)?,
                };
                Ok(report(&listed, "staged"))
            }
            Self::Remove { names, role } => {
                let mut repository = global.open()?;
                let mut removed = Vec::new();
                for name in names {
                    let role = repository.remove_target(name, role.as_deref())?;
                    removed.push(json!({ "name": name, "role": role }));
                }
                let text = format!("staged the removal of {}", count(removed.len(), "target"));
                Ok(Report::new(text, json!({ "removed": removed })))
            }
            Self::List { role } => {
                let mut listed = Vec::new();
                global.open()?.each_target(role.as_deref(), |target| {
                    listed.push(target);
                    Ok(())
                })?;
                let lines: Vec<String> = listed.iter().map(line).collect();
                let targets: Vec<Value> = listed.iter().map(to_json).collect();
                Ok(Report::new(lines.join("\n"), json!({ "targets": targets })))
            }
            Self::Show { name } => {
                let target = global.open()?.target(name)?;
                let json = to_json(&target);
                let text = serde_json::to_string_pretty(&json).unwrap_or_default();
                Ok(Report::new(text, json))
            }
        }
    }
}

fn names(paths: &[PathBuf], name: Option<&str>) -> Result<Vec<(PathBuf, String)>, RepoError> {
    match (paths, name) {
        ([path], Some(name)) => Ok(vec![(path.clone(), name.to_owned())]),
        (_, Some(_)) => Err(RepoError::Usage(
            "--name is for one file only; see --prefix".into(),
        )),
        (paths, None) => paths
            .iter()
            .map(|path| Ok((path.clone(), own_name(path)?)))
            .collect(),
    }
}

fn one(new: &[NewTarget]) -> Result<[NewTarget; 1], RepoError> {
    new.to_vec()
        .try_into()
        .map_err(|_| RepoError::Usage("--sha256 is for one file only; add each by itself".into()))
}

fn sha256(text: &str) -> Result<[u8; 32], String> {
    <[u8; 32]>::from_hex(text)
        .map_err(|_| "write the 64 hexadecimal digits that sha256sum prints".into())
}

fn own_name(path: &Path) -> Result<String, RepoError> {
    let name = path.file_name().and_then(|name| name.to_str());
    name.map(str::to_owned).ok_or_else(|| {
        RepoError::Usage(format!(
            "{} has no name in UTF-8; give --name",
            path.display()
        ))
    })
}

fn report(listed: &[Listed], done: &str) -> Report {
    let lines: Vec<String> = listed.iter().map(line).collect();
    let text = format!(
        "{}\n{done} {}",
        lines.join("\n"),
        count(listed.len(), "target")
    );
    let targets: Vec<Value> = listed.iter().map(to_json).collect();
    Report::new(text, json!({ "targets": targets }))
}

fn line(target: &Listed) -> String {
    let sha256 = digest(&target.file).chars().take(16).collect::<String>();
    let confidential = match Visibility::of(&target.file) {
        Visibility::Confidential => " confidential",
        Visibility::Public => "",
    };
    format!(
        "{} {} bytes sha256:{sha256} ({}{confidential})",
        target.path, target.file.length, target.role
    )
}

fn digest(file: &TargetFile) -> String {
    file.hashes
        .sha256
        .as_ref()
        .map(hex::encode)
        .unwrap_or_default()
}

fn to_json(target: &Listed) -> Value {
    let custom = target.file.custom.as_ref().map(|custom| {
        let text = countersign_metadata::canonical::encode(&custom.clone().into());
        let text = countersign_metadata::canonical::to_json(&text);
        serde_json::from_str::<Value>(&text).unwrap_or_default()
    });
    json!({
        "name": target.path.as_str(),
        "role": target.role,
        "length": target.file.length,
        "sha256": digest(&target.file),
        "sha512": target.file.hashes.sha512.as_ref().map(hex::encode),
        "custom": custom,
        "confidential": Visibility::of(&target.file) == Visibility::Confidential,
    })
}
