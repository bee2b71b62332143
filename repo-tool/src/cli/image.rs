//! What the options of `target add` say to vehicles.

use clap::Args;
use countersign_metadata::json::Object;
use countersign_metadata::uptane::{ConstrainedImage, Constraint, HardwareId, ImageCustom};
use countersign_repo::{CounterRule, RepoError};

#[derive(Args)]
pub(super) struct ForVehicles {
    /// Hardware the image runs on, for Uptane vehicles; repeat for more
    #[arg(long, value_name = "ID", value_parser = hardware_id, requires = "release_counter")]
    hardware_id: Vec<HardwareId>,
    /// The release counter: no vehicle goes from a higher one to a lower one
    #[arg(long, value_name = "N", requires = "hardware_id")]
    release_counter: Option<u64>,
    /// The version, for people
    #[arg(long, value_name = "TEXT", requires = "hardware_id")]
    image_version: Option<String>,
    /// What kind of software it is; constraints can name it
    #[arg(long, value_name = "NAME", requires = "hardware_id")]
    class: Option<String>,
    /// Which installer of the ECU takes it
    #[arg(long, value_name = "NAME", requires = "hardware_id")]
    installer: Option<String>,
    /// An image that the vehicle must have: filename=TARGETPATH or class=NAME, then
    /// optionally @MIN..MAX release counters; repeat for more
    #[arg(long, value_name = "IMAGE", value_parser = constraint, requires = "hardware_id")]
    dependency: Vec<Constraint>,
    /// An image that the vehicle must not have, written as for --dependency; repeat for more
    #[arg(long, value_name = "IMAGE", value_parser = constraint, requires = "hardware_id")]
    conflict: Vec<Constraint>,
    /// Take a release counter below that of the same name or class: only for hardware that
    /// never had the other image
    #[arg(long, requires = "hardware_id")]
    allow_lower_counter: bool,
}

impl ForVehicles {
    /// `custom` with what the options say.
    ///
    /// # Errors
    /// [`RepoError::Usage`] when it says the same thing otherwise.
    pub(super) fn describe(&self, custom: Option<Object>) -> Result<Option<Object>, RepoError> {
        let Some(counter) = self.release_counter else {
            return Ok(custom);
        };
        let image = ImageCustom {
            version: self.image_version.clone(),
            class: self.class.clone(),
            installer: self.installer.clone(),
            dependencies: self.dependency.clone(),
            conflicts: self.conflict.clone(),
            ..ImageCustom::new(self.hardware_id.clone(), counter)
        };
        let mut custom = custom.unwrap_or_default();
        for (name, value) in image.to_object() {
            if custom.insert(name.clone(), value).is_some() {
                return Err(RepoError::Usage(format!(
                    "the --custom file has {name} too; say it there or with options"
                )));
            }
        }
        Ok(Some(custom))
    }

    pub(super) fn counter_rule(&self) -> CounterRule {
        match self.allow_lower_counter {
            true => CounterRule::AnyCounter,
            false => CounterRule::NeverLower,
        }
    }
}

pub(super) fn hardware_id(text: &str) -> Result<HardwareId, String> {
    HardwareId::new(text).map_err(|_| {
        "write 1 to 200 printable ASCII characters without space, quote or backslash".into()
    })
}

const CONSTRAINT: &str = "write filename=TARGETPATH or class=NAME, and after it if needed \
                          @MIN..MAX, @MIN.. or @..MAX with release counters";

fn constraint(text: &str) -> Result<Constraint, String> {
    let (image, range) = match text.rsplit_once('@') {
        Some((image, range)) if range.contains("..") => (image, Some(range)),
        _ => (text, None),
    };
    let image = match image.split_once('=') {
        Some(("filename", name)) if !name.is_empty() => ConstrainedImage::Filename(name.into()),
        Some(("class", name)) if !name.is_empty() => ConstrainedImage::Class(name.into()),
        _ => return Err(CONSTRAINT.into()),
    };
    let bounds = range.and_then(|range| range.split_once(".."));
    let bound = |text: &str| match text {
        "" => Ok(None),
        digits => digits.parse().map(Some).map_err(|_| CONSTRAINT.to_owned()),
    };
    let (min, max) = bounds.unwrap_or_default();
    Ok(Constraint {
        min_release_counter: bound(min)?,
        max_release_counter: bound(max)?,
        ..Constraint::new(image)
    })
}
