//! Images.

use std::path::PathBuf;

use clap::{Subcommand, ValueEnum};
use serde_json::{Value, json};

use super::Remote;
use super::shown::{table, text};
use super::vehicles::pages;
use crate::cli::output::{Done, Failure};

const EXAMPLES: &str = "\
Examples:
  director image add brake/3.1.img              vehicles fetch it from the Image repository
  director image upload brake/3.1.img app.img   vehicles fetch it here; encrypted if it is confidential";

/// Images that can be assigned
#[derive(clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Images {
    #[command(flatten)]
    remote: Remote,
    #[command(subcommand)]
    command: Command,
}

#[derive(Clone, Copy, ValueEnum)]
enum Encrypt {
    /// If the Image repository says that it is confidential
    IfConfidential,
    /// In any case
    Always,
}

#[derive(Subcommand)]
enum Command {
    /// Images, in the order of their paths
    List,
    /// Take in what the Image repository says of an image; its bytes stay there
    Add {
        /// What the Image repository calls it
        path: String,
    },
    /// Store the bytes of an image, if they are those that the Image repository lists
    Upload {
        /// What the Image repository calls it
        path: String,
        /// The bytes
        file: PathBuf,
        /// Whether it is encrypted
        #[arg(long, value_enum, default_value_t = Encrypt::IfConfidential)]
        encrypt: Encrypt,
    },
}

impl Images {
    pub(crate) fn run(&self) -> Result<Done, Failure> {
        let api = self.remote.open()?;
        match &self.command {
            Command::List => {
                let query = [("limit", "1000".to_owned())];
                let images = pages(&api, &["images"], "images", &query)?;
                let columns = [
                    ("IMAGE", "path"),
                    ("RELEASE", "releaseCounter"),
                    ("HARDWARE", "hardwareIds"),
                    ("BYTES", "length"),
                    ("STORED", "stored"),
                    ("ENCRYPTED", "encrypted"),
                ];
                Ok(Done::new(
                    table(&images, &columns),
                    json!({ "images": images }),
                ))
            }
            Command::Add { path } => {
                let image = api.post(&["images"], &json!({ "path": path }))?;
                Ok(Done::new(format!("{path} can be assigned"), image))
            }
            Command::Upload {
                path,
                file,
                encrypt,
            } => {
                let encrypt = match encrypt {
                    Encrypt::IfConfidential => "if-confidential",
                    Encrypt::Always => "always",
                };
                let query = [("path", path.clone()), ("encrypt", encrypt.to_owned())];
                let image = api.upload(&["images", "content"], &query, file)?;
                Ok(Done::new(stored(&image), image))
            }
        }
    }
}

fn stored(image: &Value) -> String {
    let how = match image["encrypted"] == true {
        true => ", encrypted",
        false => "",
    };
    format!(
        "{} is stored{how} and can be assigned",
        text(&image["path"])
    )
}
