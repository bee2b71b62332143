//! Adding, removing and listing images.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use countersign_metadata::json::{self, Object, Value};
use countersign_metadata::{Matching, TargetFile, TargetPath};

use crate::batch::Batch;
use crate::error::RepoError;
use crate::files;
use crate::images::{self, Visibility};
use crate::intake::{self, Incoming};
use crate::release_counter::described;
use crate::repository::Repository;
use crate::tree::{TOP, check_target_name};

/// The largest file of custom data.
const MAX_CUSTOM: u64 = 1 << 20;

/// An image to add.
#[derive(Debug, Clone)]
pub struct NewTarget {
    /// The file with its bytes.
    pub source: PathBuf,
    /// The name that clients ask for.
    pub name: String,
    /// The application's own data, an object.
    pub custom: Option<Object>,
    /// Whether its bytes are published.
    pub visibility: Visibility,
}

/// An image to add, with the SHA-256 that it must have if that is known.
type Checked<'a> = (&'a NewTarget, Option<&'a [u8; 32]>);

/// An image as a role lists it.
#[derive(Debug, Clone)]
pub struct Listed {
    /// The role.
    pub role: String,
    /// The image's name.
    pub path: TargetPath,
    /// Length, hashes and custom data.
    pub file: TargetFile,
}

/// Reads custom data: one JSON object without floats.
///
/// # Errors
/// [`RepoError::Custom`]
pub fn read_custom(path: &Path) -> Result<Object, RepoError> {
    let fail = |what: String| RepoError::Custom {
        path: path.into(),
        what,
    };
    let text = files::read_up_to(path, MAX_CUSTOM)?;
    match json::parse(&text) {
        Ok(Value::Object(members)) => Ok(members),
        Ok(_) => Err(fail("it is not an object".into())),
        Err(error) => Err(fail(error.to_string())),
    }
}

impl Repository {
    /// Stages images. They go to `role`, or to `targets`; where that role has bins, each goes to
    /// the bin its name falls in, and no other bin is read.
    ///
    /// # Errors
    /// [`RepoError::UnsafeName`], [`RepoError::NotNfc`], [`RepoError::NotDelegated`],
    /// [`RepoError::NoSuchRole`], [`RepoError::ImageChanged`], [`RepoError::Confidential`],
    /// [`RepoError::ImageCustom`], [`RepoError::NotForHardware`], [`RepoError::ReleaseCounter`].
    /// After an error nothing is staged.
    pub fn add_targets(
        &mut self,
        new: &[NewTarget],
        role: Option<&str>,
    ) -> Result<Vec<Listed>, RepoError> {
        let new: Vec<Checked<'_>> = new.iter().map(|target| (target, None)).collect();
        self.stage_targets(&new, role)
    }

    /// Stages images that have been reviewed: each only if its bytes have the SHA-256 beside it.
    /// That is computed over the copy that is kept, so whoever can write to the source cannot
    /// swap the image in between.
    ///
    /// # Errors
    /// [`RepoError::Sha256Mismatch`], or as [`Repository::add_targets`]. After an error nothing is
    /// staged.
    pub fn add_reviewed_targets(
        &mut self,
        new: &[(NewTarget, [u8; 32])],
        role: Option<&str>,
    ) -> Result<Vec<Listed>, RepoError> {
        let new = new.iter().map(|(target, sha256)| (target, Some(sha256)));
        self.stage_targets(&new.collect::<Vec<_>>(), role)
    }

    fn stage_targets(
        &mut self,
        new: &[Checked<'_>],
        role: Option<&str>,
    ) -> Result<Vec<Listed>, RepoError> {
        let mut by_role: BTreeMap<String, Vec<(TargetPath, &Checked<'_>)>> = BTreeMap::new();
        {
            let tree = self.tree();
            for checked @ (target, _) in new {
                let path = check_target_name(&target.name)?;
                let role = tree.role_for(&path, role.unwrap_or(TOP))?;
                let image = described(&path, target.custom.as_ref())?;
                let hardware = image.map(|image| image.hardware_ids).unwrap_or_default();
                tree.check_trusted(&role, &path, &hardware)?;
                // Bins are many, and read again when they are changed.
                tree.forget_bin(&role);
                by_role.entry(role).or_default().push((path, checked));
            }
        }
        for (role, targets) in &by_role {
            let customs = targets.iter();
            let customs = customs.map(|(path, (target, _))| (path, target.custom.as_ref()));
            self.check_release_counters(role, customs)?;
        }
        let listed = self.take_in(&by_role)?;
        let mut files = listed.iter().map(|listed| listed.file.clone());
        let mut batch = Batch::new(self.home.unfinished());
        for (role, targets) in by_role {
            let targets = targets.into_iter().map(|(path, _)| path);
            let changes: Vec<_> = targets.zip(&mut files).collect();
            self.edit_in(&mut batch, &role, |draft| {
                draft.targets.extend(changes);
                Ok(())
            })?;
        }
        batch.finish()?;
        intake::forget(&self.home)?;
        Ok(listed)
    }

    /// Unlists an image, in `role` or wherever it would be looked for. Its bytes stay published:
    /// clients with older metadata may still be fetching them.
    ///
    /// # Errors
    /// [`RepoError::NoSuchTarget`]
    pub fn remove_target(&mut self, name: &str, role: Option<&str>) -> Result<String, RepoError> {
        let path = TargetPath::new(name)?;
        let role = self.tree().role_for(&path, role.unwrap_or(TOP))?;
        self.edit(&role, |draft| match draft.targets.remove(&path) {
            Some(_) => Ok(()),
            None => Err(RepoError::NoSuchTarget { name: name.into() }),
        })?;
        Ok(role)
    }

    /// Shows every image that `role` lists, or that any role lists, as staged, one by one.
    ///
    /// # Errors
    /// [`RepoError::NoSuchRole`], or the callback's.
    pub fn each_target(
        &self,
        role: Option<&str>,
        mut each: impl FnMut(Listed) -> Result<(), RepoError>,
    ) -> Result<(), RepoError> {
        let tree = self.tree();
        let roles = match role {
            Some(role) => vec![role.to_owned()],
            None => {
                let below = tree.below(TOP)?.into_iter().map(|(role, _)| role);
                std::iter::once(TOP.to_owned()).chain(below).collect()
            }
        };
        for name in roles {
            let Some(content) = tree.role(&name)? else {
                match role {
                    Some(_) => return Err(RepoError::NoSuchRole { role: name }),
                    None => continue,
                }
            };
            tree.forget(&name);
            for (path, file) in content.iter() {
                each(Listed {
                    role: name.clone(),
                    path: TargetPath::new(&path)?,
                    file,
                })?;
            }
        }
        Ok(())
    }

    /// What is staged for an image, else published, in the role that lists it for clients.
    ///
    /// # Errors
    /// [`RepoError::NoSuchTarget`]
    pub fn target(&self, name: &str) -> Result<Listed, RepoError> {
        let path = TargetPath::new(name)?;
        let tree = self.tree();
        let mut to_visit = vec![TOP.to_owned()];
        let mut seen = std::collections::BTreeSet::new();
        // Pre-order, most trusted first, as clients search (TUF 5.6.7).
        while let Some(role) = to_visit.pop() {
            let Some(content) = tree.role(&role)? else {
                continue;
            };
            if let Some(file) = content.get(&path) {
                return Ok(Listed { role, path, file });
            }
            if !seen.insert(role) {
                continue;
            }
            if let Some(delegations) = content.delegations() {
                let matching = delegations.matching(&path, None);
                if matching.iter().any(Matching::is_terminating) {
                    to_visit.clear();
                }
                let roles = matching.into_iter().flat_map(|matching| match matching {
                    Matching::Role { name, .. } => vec![name.into_owned()],
                    Matching::Multi(multi) => {
                        multi.roles.iter().map(|(name, _)| name.clone()).collect()
                    }
                });
                let roles: Vec<String> = roles.collect();
                to_visit.extend(roles.into_iter().rev());
            }
        }
        Err(RepoError::NoSuchTarget { name: name.into() })
    }

    /// Copies the images, role by role; what is listed of each.
    fn take_in(
        &self,
        by_role: &BTreeMap<String, Vec<(TargetPath, &Checked<'_>)>>,
    ) -> Result<Vec<Listed>, RepoError> {
        let all = || {
            by_role.iter().flat_map(|(role, targets)| {
                let targets = targets.iter();
                targets.map(move |(path, (target, sha256))| (role, path, target, *sha256))
            })
        };
        let customs: Vec<_> = all().map(|(_, _, target, _)| marked(target)).collect();
        let incoming: Vec<_> = all()
            .zip(&customs)
            .map(|((_, _, target, sha256), (visibility, _))| Incoming {
                source: &target.source,
                sha256,
                visibility: *visibility,
            })
            .collect();
        let files = intake::take_in(&self.home, &incoming, &*self.progress)?;
        let mut listed = Vec::with_capacity(files.len());
        for (((role, path, ..), file), (visibility, custom)) in all().zip(files).zip(customs) {
            let file = TargetFile { custom, ..file };
            self.check_visibility(path, &file, visibility)?;
            listed.push(Listed {
                role: role.clone(),
                path: path.clone(),
                file,
            });
        }
        Ok(listed)
    }

    /// The same bytes cannot be public and confidential.
    fn check_visibility(
        &self,
        path: &TargetPath,
        file: &TargetFile,
        visibility: Visibility,
    ) -> Result<(), RepoError> {
        let sha256 = images::sha256_of(file);
        let fail = |what| {
            Err(RepoError::Confidential {
                name: path.to_string(),
                sha256: sha256.clone(),
                what,
            })
        };
        let confidential = self.home.confidential().join(&sha256);
        let staged = self.home.staged_images().join(&sha256);
        match visibility {
            Visibility::Public if confidential.exists() => {
                files::remove(&staged)?;
                fail(
                    "known here as confidential, and would become public; add it with \
                     --confidential, or remove it from the folder 'confidential' first",
                )
            }
            Visibility::Confidential
                if staged.exists()
                    || images::places(&self.home.public_targets(), path, file, true)
                        .iter()
                        .any(|public| public.exists()) =>
            {
                files::remove(&confidential)?;
                fail(
                    "public already or about to become so, so it is no secret; discard it there \
                     first, or add it without --confidential",
                )
            }
            _ => Ok(()),
        }
    }
}

/// An image's `custom` as it will be listed, and whether its bytes become public by it.
fn marked(target: &NewTarget) -> (Visibility, Option<Object>) {
    let mut file = TargetFile::describing(b"");
    file.custom = target.custom.clone();
    target.visibility.mark(&mut file.custom);
    (Visibility::of(&file), file.custom)
}
