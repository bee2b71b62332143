//! A Director's folder to begin with.

use std::fs;
use std::io::Write as _;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};

use countersign_client::client::read_root;
use countersign_metadata::uptane::EncryptionAlgorithm;
use countersign_signing::{Algorithm, KeyUri, Secrets};
use serde_json::json;

use super::output::{Done, Failure};

/// Make a folder with settings, and the key to which content keys are wrapped
///
/// The settings have a comment on everything. The keys of the online roles are made by the ceremony, or
/// where their names in the settings say (repo-tool key generate); with --generate-keys they are made in
/// files here, which is for trying things out.
#[derive(clap::Args)]
pub(super) struct Init {
    /// The folder; made if it is not there
    #[arg(value_name = "FOLDER")]
    folder: PathBuf,
    /// Base URL of the Image repository; it has metadata/
    #[arg(long, value_name = "URL")]
    image_url: String,
    /// Root of the Image repository, obtained out of band
    #[arg(long, value_name = "FILE")]
    image_root: PathBuf,
    /// Make the keys of the online roles in files
    #[arg(long)]
    generate_keys: bool,
}

const TEMPLATE: &str = include_str!("director.toml");

impl Init {
    pub(super) fn run(&self) -> Result<Done, Failure> {
        let settings = self.folder.join("director.toml");
        if settings.exists() {
            let message = format!("{} exists; choose another folder", settings.display());
            return Err(Failure::new("init", message));
        }
        let root = read_root(&self.image_root).map_err(io("read", &self.image_root))?;
        let mut folders = fs::DirBuilder::new();
        folders.recursive(true).mode(0o700);
        for folder in ["", "keys", "images", "state", "tls"] {
            let folder = self.folder.join(folder);
            folders.create(&folder).map_err(io("make", &folder))?;
        }
        let path = self.folder.join("image.root.json");
        fs::write(&path, root).map_err(io("write", &path))?;
        self.make_keys()?;
        let absolute = fs::canonicalize(&self.folder).map_err(io("find", &self.folder))?;
        let images = url::Url::from_directory_path(absolute.join("images"))
            .map_err(|()| Failure::new("init", "the folder has no URL"))?;
        let text = TEMPLATE.replace("@IMAGES@", images.as_str()).replace(
            "@IMAGE_URL@",
            &self.image_url.replace(['"', '\\', '\n'], ""),
        );
        // Last, because it is what makes it a Director.
        let written =
            fs::File::create_new(&settings).and_then(|mut file| file.write_all(text.as_bytes()));
        written.map_err(io("write", &settings))?;
        let text = format!(
            "{} is ready to be adapted; next: certificates into tls/, and `director root import`",
            settings.display()
        );
        Ok(Done::new(
            text,
            json!({ "settings": settings.display().to_string() }),
        ))
    }

    fn make_keys(&self) -> Result<(), Failure> {
        let secrets = Secrets::unattended(&self.folder);
        let uri = |name: &str| {
            let uri: Result<KeyUri, _> = format!("file:keys/{name}.pem?encryption=none").parse();
            uri.map_err(|error| Failure::new("key", error))
        };
        countersign_signing::generate_decryption_key(
            &uri("vault")?,
            EncryptionAlgorithm::X25519,
            &secrets,
        )
        .map_err(|error| Failure::new("key", error))?;
        let online = ["targets", "snapshot", "timestamp", "time"];
        for name in online.into_iter().filter(|_| self.generate_keys) {
            countersign_signing::generate(&uri(name)?, Algorithm::Ed25519, &secrets)
                .map_err(|error| Failure::new("key", error))?;
        }
        Ok(())
    }
}

fn io<'p>(doing: &'static str, path: &'p Path) -> impl FnOnce(std::io::Error) -> Failure + 'p {
    move |error| {
        Failure::new(
            "init",
            format!("cannot {doing} {}: {error}", path.display()),
        )
    }
}
