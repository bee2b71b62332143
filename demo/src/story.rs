//! The honest part: a root of trust, a first release, a second one, a rotated root.

use std::error::Error;
use std::fs;
use std::path::Path;

use crate::ceremony;
use crate::device::Device;
use crate::narrator::{Narrator, Verdict};
use crate::server::{Server, Tricks};
use crate::stage::Stage;

type Result<T> = std::result::Result<T, Box<dyn Error>>;

pub(crate) const KERNEL: &str = "kernel/vmlinuz";
pub(crate) const BOOT: &str = "boot/u-boot.bin";
pub(crate) const SBI: &str = "opensbi/fw_jump.bin";

/// What the attacks need to know of the story.
pub(crate) struct Told {
    /// A device that has followed it to the end.
    pub(crate) device: Device,
    /// The same device after the first release.
    pub(crate) after_first: Device,
    /// Key URIs by the name of the role or holder.
    pub(crate) keys: Keys,
    /// The Timestamp of the first release.
    pub(crate) first_timestamp: Vec<u8>,
    /// The Snapshot of the first release.
    pub(crate) first_snapshot: Vec<u8>,
}

/// Key URIs.
pub(crate) struct Keys {
    pub(crate) anna: String,
    pub(crate) ben: String,
    pub(crate) targets: String,
    pub(crate) snapshot: String,
    pub(crate) timestamp: String,
    pub(crate) supplier: String,
}

/// Tells it.
pub(crate) fn tell(stage: &Stage, narrator: &mut Narrator) -> Result<Told> {
    let root = ceremony::first_root(stage, narrator)?;
    let keys = keys(stage)?;
    first_release(stage, narrator, &root, &keys)?;
    let server = Server::start(&stage.published(), Tricks::new())?;

    narrator.chapter("A device is provisioned with root version 1 and installs");
    let device = Device::new(stage, "device");
    let ok = Verdict::new("ok", "none");
    narrator.check(
        "it trusts the root it was given",
        device.provision(stage)? == ok,
    );
    let all = device.download(stage, &server, &[KERNEL, BOOT, SBI])? == ok;
    narrator.check(
        "it downloads kernel, U-Boot and OpenSBI: every hash and length held",
        all,
    );
    narrator.check(
        "the kernel is the one of the first release",
        has(stage, &device, "vmlinuz-old")?,
    );

    let published = crate::forge::Published::at(&stage.published());
    let first_timestamp = published.bytes("metadata/timestamp.json")?;
    let first_snapshot = published.bytes(&format!("metadata/{}", published.snapshot_name()?))?;
    let after_first = device.twin(stage, "device-after-first-release")?;

    narrator.chapter("The second release: a new kernel");
    add(stage, "vmlinuz-new", KERNEL, "targets")?;
    stage.repo(["sign"])?;
    stage.repo(["publish"])?;
    narrator.check(
        "the device follows",
        device.download(stage, &server, &[KERNEL])? == ok,
    );
    narrator.check(
        "and now has the new kernel",
        has(stage, &device, "vmlinuz-new")?,
    );

    let root = ceremony::rotate(stage, narrator)?;
    stage.repo(["root", "import", &root.display().to_string()])?;
    stage.repo(["publish"])?;
    narrator.check(
        "the device follows the chain of roots",
        device.refresh(stage, &server)? == ok,
    );
    let new = Device::new(stage, "newcomer");
    let follows = new.provision(stage)? == ok && new.download(stage, &server, &[KERNEL])? == ok;
    narrator.check(
        "a device fresh from the factory, with root version 1, does too",
        follows,
    );
    Ok(Told {
        device,
        after_first,
        keys,
        first_timestamp,
        first_snapshot,
    })
}

/// The supplier has a key of its own, which is no business of the root's.
fn keys(stage: &Stage) -> Result<Keys> {
    let supplier = stage.uri("supplier", "opensbi");
    stage.generate(&supplier, "rsa-2048")?;
    Ok(Keys {
        anna: stage.uri("anna", "root"),
        ben: stage.uri("ben", "root"),
        targets: stage.uri("release", "targets"),
        snapshot: stage.uri("online", "snapshot"),
        timestamp: stage.uri("online", "timestamp"),
        supplier,
    })
}

fn first_release(stage: &Stage, narrator: &mut Narrator, root: &Path, keys: &Keys) -> Result<()> {
    narrator.chapter("The first release is signed and published");
    stage.repo([
        "init",
        "--root",
        &root.display().to_string(),
        "--targets-key",
        &keys.targets,
        "--snapshot-key",
        &keys.snapshot,
        "--timestamp-key",
        &keys.timestamp,
    ])?;
    add(stage, "vmlinuz-old", KERNEL, "targets")?;
    add(stage, "u-boot-qemu_arm64.bin", BOOT, "targets")?;
    stage.repo([
        "delegation",
        "add",
        "opensbi",
        "--key",
        &keys.supplier,
        "--path",
        "opensbi/*",
    ])?;
    add(stage, "opensbi-fw_jump.bin", SBI, "opensbi")?;
    stage.repo(["sign"])?;
    stage.repo(["publish"])?;
    narrator.tell(&format!("{KERNEL} {}", origin(stage, "vmlinuz-old")?));
    narrator.tell(&format!(
        "{BOOT} {}",
        origin(stage, "u-boot-qemu_arm64.bin")?
    ));
    narrator.tell(&format!(
        "{SBI} {}, listed by the supplier",
        origin(stage, "opensbi-fw_jump.bin")?
    ));
    narrator.tell("before anything became visible, the real verifier walked it as a client");
    Ok(())
}

fn add(stage: &Stage, file: &str, name: &str, role: &str) -> Result<()> {
    let file = stage.firmware.join(file).display().to_string();
    stage.repo(["target", "add", &file, "--name", name, "--role", role])?;
    Ok(())
}

fn has(stage: &Stage, device: &Device, file: &str) -> Result<bool> {
    Ok(device.image(KERNEL) == Some(fs::read(stage.firmware.join(file))?))
}

/// Which Debian package a file is out of.
fn origin(stage: &Stage, file: &str) -> Result<String> {
    let manifest = fs::read_to_string(stage.firmware.join("MANIFEST"))?;
    let line = manifest
        .lines()
        .find(|line| line.split('\t').next() == Some(file));
    let fields: Vec<&str> = line.unwrap_or_default().split('\t').collect();
    match fields[..] {
        [_, package, version, _, size] => {
            Ok(format!("is out of {package} {version}, {size} bytes"))
        }
        _ => Err(format!("MANIFEST does not list {file}").into()),
    }
}
