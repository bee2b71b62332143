//! The sandbox: throw-away keys, and ceremonies with them exactly as in earnest.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use countersign_metadata::{RoleType, UtcTime};
use countersign_signing::{KeyUri, Secrets, SignError, Signer};

use super::DrillError;
use super::mirror::{Mirror, Signers};
use super::record::Step;
use super::shape::Shape;
use crate::conduct::REQUEST;
use crate::error::CeremonyError;
use crate::exchange::Message;
use crate::files;
use crate::folder::Folder;
use crate::holder::{self, Answer, Existence, ReadRequest, Station};
use crate::policy::{self, Weight};
use crate::profile::{Accepted, KeyProfile, Profile, RepositoryKind, RoleProfile, Roles, Slot};
use crate::review;
use crate::rotate::{self, Rotation, Thresholds, Why};
use crate::sealing::ReadSealRequest;
use crate::verify::{Extent, verify};

const KEYS: &str = "keys";
const REASON: &str = "a drill: throw-away keys in a sandbox";

/// A key of the repository in the sandbox.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct HeldKey {
    pub(super) slot: Slot,
    /// Relative to the sandbox.
    pub(super) uri: String,
}

/// The sandbox, at a virtual time.
#[derive(Debug, Clone)]
pub(super) struct Stage {
    pub(super) folder: PathBuf,
    pub(super) shape: Shape,
    pub(super) now: UtcTime,
    /// The keys in force.
    pub(super) keys: BTreeMap<RoleType, Vec<HeldKey>>,
    pub(super) roots: Vec<Vec<u8>>,
    /// What was done, for the report.
    pub(super) log: Vec<Step>,
    /// What the policy says of the first profile, whatever the keys.
    pub(super) remarks: Vec<String>,
    generation: usize,
}

/// A Root that a ceremony made, and the keys that came with it.
#[derive(Debug, Clone)]
pub(super) struct NewRoot {
    pub(super) file: Vec<u8>,
    pub(super) came: Vec<HeldKey>,
    keys: BTreeMap<RoleType, Vec<HeldKey>>,
}

impl Stage {
    /// Holds the first ceremony and starts a repository with its Root.
    pub(super) fn build(folder: &Path, shape: &Shape, now: UtcTime) -> Result<Self, CeremonyError> {
        files::make_folder(&folder.join(KEYS))?;
        let mut stage = Self {
            folder: folder.to_owned(),
            shape: shape.clone(),
            now,
            keys: BTreeMap::new(),
            roots: Vec::new(),
            log: Vec::new(),
            remarks: Vec::new(),
            generation: 0,
        };
        let profile = stage.first_profile();
        let first = stage.hold(&profile, None, &stage.keys_of(RoleType::Root))?;
        stage.roots.push(first);
        stage.start_repository()?;
        Ok(stage)
    }

    /// Everything again in another folder, to see what would happen.
    pub(super) fn copy(&self, name: &str) -> Result<Self, CeremonyError> {
        let folder = self.folder.with_file_name(name);
        copy_folder(&self.folder, &folder)?;
        Ok(Self {
            folder,
            ..self.clone()
        })
    }

    pub(super) fn later(&mut self, seconds: i64) {
        self.now = self.now.plus_seconds(seconds).unwrap_or(self.now);
    }

    pub(super) fn keys_of(&self, role: RoleType) -> Vec<HeldKey> {
        self.keys.get(&role).cloned().unwrap_or_default()
    }

    /// As many keys of a role as must sign.
    pub(super) fn enough_keys(&self, role: RoleType) -> Vec<HeldKey> {
        let threshold = self.shape.role(role).threshold as usize;
        self.keys_of(role).into_iter().take(threshold).collect()
    }

    /// Opens keys, whoever does it.
    pub(super) fn open_keys(&self, keys: &[HeldKey]) -> Result<Signers, CeremonyError> {
        keys.iter().map(|key| self.open_key(&key.uri)).collect()
    }

    /// Opens as many keys of a role as must sign.
    pub(super) fn signers(&self, role: RoleType) -> Result<Signers, CeremonyError> {
        self.open_keys(&self.enough_keys(role))
    }

    pub(super) fn open_key(&self, uri: &str) -> Result<Box<dyn Signer>, CeremonyError> {
        let uri: KeyUri = uri.parse().map_err(SignError::Uri)?;
        Ok(countersign_signing::open(&uri, &self.secrets())?)
    }

    /// A name for a new key file.
    pub(super) fn new_uri(&mut self, name: &str) -> String {
        self.generation += 1;
        format!("file:{KEYS}/{name}-{}.pem?encryption=none", self.generation)
    }

    /// Destroys a key.
    pub(super) fn lose(&self, key: &HeldKey) -> Result<(), CeremonyError> {
        let path = key.uri.trim_start_matches("file:");
        let path = path.split('?').next().unwrap_or(path);
        files::remove(&self.folder.join(path))
    }

    /// What devices are served when nobody interferes.
    pub(super) fn honest(&self) -> Mirror {
        Mirror::honest(
            &self.repository().join("published"),
            self.shape.consistent_snapshot,
            self.now,
        )
    }

    pub(super) fn repository(&self) -> PathBuf {
        repository_in(&self.folder)
    }

    pub(super) fn secrets(&self) -> Secrets {
        Secrets::unattended(&self.folder)
    }

    /// Replaces `leaving` in a ceremony: each of their holders makes a new key. The Root is not
    /// published yet.
    pub(super) fn rotate(
        &mut self,
        why: Why,
        leaving: &[HeldKey],
        accepted: &[Accepted],
    ) -> Result<NewRoot, CeremonyError> {
        let mut keys = self.keys.clone();
        let mut came = Vec::new();
        for key in keys
            .values_mut()
            .flatten()
            .filter(|key| leaving.contains(key))
        {
            let name = format!("{}-new", key.slot.holder);
            key.uri = self.new_uri(&name);
            came.push(key.clone());
        }
        let rotation = Rotation {
            why,
            remove: Vec::new(),
            add: came
                .iter()
                .map(|key| (key.slot.clone(), Some(key.uri.clone())))
                .collect(),
            holders: Vec::new(),
            thresholds: Thresholds::default(),
            algorithm: None,
        };
        let last = Folder::open(&self.ceremony(self.roots.len()))?;
        let mut profile = rotate::next_profile(last.ceremony(), &rotation)?;
        drop(last);
        accept(&mut profile);
        profile.policy.accept.extend_from_slice(accepted);
        self.log_rotation(why, &came);
        let signing = self.signing(why, leaving, &came);
        let file = self.hold(&profile, self.roots.last().cloned(), &signing)?;
        Ok(NewRoot { file, came, keys })
    }

    /// A Root of a ceremony is in force from now on.
    pub(super) fn take_over(&mut self, new: &NewRoot) {
        self.keys = new.keys.clone();
        self.roots.push(new.file.clone());
    }

    /// Who signs: as few as must, and none of the keys that leave if there are enough others.
    fn signing(&self, why: Why, leaving: &[HeldKey], came: &[HeldKey]) -> Vec<HeldKey> {
        let threshold = self.shape.role(RoleType::Root).threshold as usize;
        let (gone, staying): (Vec<_>, Vec<_>) = self
            .keys_of(RoleType::Root)
            .into_iter()
            .partition(|key| leaving.contains(key));
        if staying.len() >= threshold {
            return staying.into_iter().take(threshold).collect();
        }
        let new = came.iter().filter(|key| key.slot.role == "root").cloned();
        let gone = gone.into_iter().filter(|_| why != Why::Lost);
        staying.into_iter().chain(gone).chain(new).collect()
    }

    /// A whole ceremony, through the files that travel between its participants.
    fn hold(
        &mut self,
        profile: &Profile,
        previous: Option<Vec<u8>>,
        signing: &[HeldKey],
    ) -> Result<Vec<u8>, CeremonyError> {
        let path = self.ceremony(self.roots.len() + 1);
        let secrets = self.secrets();
        let station = Station {
            secrets: &secrets,
            now: self.now,
            in_ci: false,
        };
        let anchor = previous.clone();
        let mut lead = Folder::plan(&path, profile.to_text(), previous, Vec::new(), self.now)?;
        let usb = path.join("usb");
        files::make_folder(&usb)?;
        for file in list(&path.join("invitations"))? {
            let Message::Invitation(invitation) = Message::read(&file)? else {
                return Err(DrillError::stuck("an invitation is none"));
            };
            let proof = usb.join(file.file_name().unwrap_or_default());
            let confirmed = invitation.slot.to_string();
            let answer = Answer {
                uri: invitation.uri.as_deref(),
                existence: Existence::Generate(None),
                accepted: Vec::new(),
                confirmed: &confirmed,
            };
            holder::prove(&station, &invitation, answer, &proof)?;
            lead.merge(&proof, &[], self.now)?;
        }
        let (root, _) = lead.next_root()?;
        let typed = review::confirmation(&root);
        lead.review(&root, Vec::new(), &typed, self.now)?;
        let asked = path.join(REQUEST);
        for (number, key) in signing.iter().enumerate() {
            let Message::Request(request) = Message::read(&asked)? else {
                return Err(DrillError::stuck("a signing request is none"));
            };
            let request = ReadRequest::new(&asked, *request, &station)?;
            if let Some(newest) = &anchor {
                request.check_known(newest.clone(), "the holder's own copy")?;
            }
            let made = usb.join(format!("signature-{number}.json"));
            let uris = [key.uri.clone()];
            request.sign(&station, &uris, &request.confirmation(), &made)?;
            lead.merge(&made, &[], self.now)?;
        }
        let request = ReadSealRequest::new(lead.seal_request()?, &station)?;
        let first: Vec<String> = signing
            .iter()
            .rev()
            .take(1)
            .map(|key| key.uri.clone())
            .collect();
        let seals = request.seal(&station, &first, &request.confirmation())?;
        lead.seal(seals, self.now)?;
        let sealed = lead.ceremony().sealed().map(|sealed| sealed.root.clone());
        drop(lead);
        verify(&path, anchor.as_deref(), Extent::Sealed)?;
        sealed.ok_or_else(|| DrillError::stuck("a sealed ceremony has no root"))
    }

    fn ceremony(&self, number: usize) -> PathBuf {
        self.folder.join(format!("ceremony-{number}"))
    }

    fn first_profile(&mut self) -> Profile {
        let mut holders = BTreeMap::new();
        let mut role = |kind: RoleType| {
            let shape = self.shape.role(kind);
            let mut keys = Vec::new();
            for number in 1..=shape.keys {
                let holder = format!("{kind}-{number}");
                let uri = self.new_uri(&holder);
                holders.insert(holder.clone(), format!("holder {number} of {kind}"));
                // Both kinds of keys in every drill.
                let algorithm = ["ecdsa-p256", "ed25519"][number % 2];
                keys.push(KeyProfile {
                    holder: holder.clone(),
                    algorithm: Some(algorithm.into()),
                    uri: Some(uri.clone()),
                    keyid: None,
                });
                let slot = Slot {
                    role: kind.name().into(),
                    holder,
                };
                self.keys
                    .entry(kind)
                    .or_default()
                    .push(HeldKey { slot, uri });
            }
            RoleProfile {
                threshold: shape.threshold,
                expires: shape.expires,
                online: None,
                keys,
                outgoing: Vec::new(),
                retired: Vec::new(),
            }
        };
        let roles = Roles {
            root: role(RoleType::Root),
            targets: role(RoleType::Targets),
            snapshot: role(RoleType::Snapshot),
            timestamp: role(RoleType::Timestamp),
            time: None,
            offline_snapshot: None,
            offline_targets: None,
        };
        let mut profile = Profile {
            name: "A compromise drill".into(),
            repository: RepositoryKind::Image,
            consistent_snapshot: self.shape.consistent_snapshot,
            holders,
            roles,
            policy: crate::profile::Settings::default(),
        };
        let findings = policy::check_profile(&profile);
        let worth_saying = findings.iter().filter(|found| found.weight != Weight::Note);
        self.remarks = worth_saying.map(ToString::to_string).collect();
        accept(&mut profile);
        profile
    }
}

/// Where the repository is.
pub(super) fn repository_in(folder: &Path) -> PathBuf {
    folder.join("repository")
}

/// Accepts that keys are in files, and what the model itself is refused for: the drill shows what
/// comes of it.
fn accept(profile: &mut Profile) {
    let refused = policy::check_profile(profile).into_iter();
    let refused = refused.filter(|found| found.weight == Weight::Refuse);
    let names = refused
        .map(|found| found.name)
        .chain(["key-in-file".into()]);
    profile.policy.accept = names
        .map(|finding| Accepted {
            finding,
            reason: REASON.into(),
        })
        .collect();
}

fn list(folder: &Path) -> Result<Vec<PathBuf>, CeremonyError> {
    // A rotation that brings no new key invites nobody.
    if !folder.is_dir() {
        return Ok(Vec::new());
    }
    let fail = |error| CeremonyError::io("read", folder, error);
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).map_err(fail)? {
        found.push(entry.map_err(fail)?.path());
    }
    found.sort();
    Ok(found)
}

fn copy_folder(from: &Path, to: &Path) -> Result<(), CeremonyError> {
    let fail = |error| CeremonyError::io("copy", from, error);
    fs::create_dir_all(to).map_err(fail)?;
    for path in list(from)? {
        let target = to.join(path.file_name().unwrap_or_default());
        match path.is_dir() {
            true => copy_folder(&path, &target)?,
            false => fs::copy(&path, &target).map(|_| ()).map_err(fail)?,
        }
    }
    Ok(())
}
