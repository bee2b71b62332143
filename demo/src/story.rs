//! The honest part: keys, a first release, a second one, a rotated root.

use std::error::Error;
use std::fs;

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
    chris: String,
    dora: String,
    pub(crate) targets: String,
    pub(crate) snapshot: String,
    pub(crate) timestamp: String,
    pub(crate) supplier: String,
}

/// Tells it.
pub(crate) fn tell(stage: &Stage, narrator: &mut Narrator) -> Result<Told> {
    let keys = make_keys(stage, narrator)?;
    first_release(stage, narrator, &keys)?;
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

    rotate(stage, narrator, &keys)?;
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

fn make_keys(stage: &Stage, narrator: &mut Narrator) -> Result<Keys> {
    narrator.chapter("Keys are made inside PKCS#11 tokens (SoftHSM2); none of them can leave");
    let made = [
        ("anna", "root", "ecdsa-p384"),
        ("ben", "root", "ed25519"),
        ("chris", "root", "rsa-3072"),
        ("dora", "root", "ecdsa-p256"),
        ("release", "targets", "ecdsa-p256"),
        ("online", "snapshot", "ed25519"),
        ("online", "timestamp", "ed25519"),
        ("supplier", "opensbi", "rsa-2048"),
    ];
    let mut tokens = Vec::new();
    for (token, _, _) in made {
        if !tokens.contains(&token) {
            stage.token(token)?;
            tokens.push(token);
        }
    }
    let mut uris = Vec::new();
    for (token, object, algorithm) in made {
        let uri = stage.uri(token, object);
        stage.generate(&uri, algorithm)?;
        uris.push(uri);
    }
    narrator.tell("root: anna (P-384), ben (Ed25519), chris (RSA-3072), two of three must sign");
    narrator.tell("targets: the release team (P-256); snapshot and timestamp: online (Ed25519)");
    narrator.tell("a supplier of OpenSBI has a key of its own (RSA-2048)");
    let [
        anna,
        ben,
        chris,
        dora,
        targets,
        snapshot,
        timestamp,
        supplier,
    ] = <[String; 8]>::try_from(uris).map_err(|_| "a key is missing")?;
    Ok(Keys {
        anna,
        ben,
        chris,
        dora,
        targets,
        snapshot,
        timestamp,
        supplier,
    })
}

fn first_release(stage: &Stage, narrator: &mut Narrator, keys: &Keys) -> Result<()> {
    narrator.chapter("The first release is signed and published");
    stage.repo([
        "init",
        "--root-threshold",
        "2",
        "--root-key",
        &keys.anna,
        "--root-key",
        &keys.ben,
        "--root-key",
        &keys.chris,
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

fn rotate(stage: &Stage, narrator: &mut Narrator, keys: &Keys) -> Result<()> {
    narrator.chapter("Chris loses his token: the root is rotated to anna, ben and dora");
    let shown = stage.repo(["--format", "json", "key", "show", &keys.chris])?;
    let shown: serde_json::Value = serde_json::from_str(&shown)?;
    let id = shown["keyid"].as_str().ok_or("key show prints no keyid")?;
    stage.repo(["root", "remove-key", "root", id])?;
    stage.repo(["root", "add-key", "root", &keys.dora])?;
    stage.repo(["sign", "--key", &keys.anna])?;
    // Ben signs on a machine that has no repository and no network.
    let (request, answer) = (
        stage.folder.join("to-ben.json"),
        stage.folder.join("from-ben.json"),
    );
    let (request, answer) = (request.display().to_string(), answer.display().to_string());
    stage.repo(["request", "--out", &request, "root"])?;
    stage.repo([
        "sign",
        "--request",
        &request,
        "--key",
        &keys.ben,
        "--out",
        &answer,
    ])?;
    stage.repo(["attach", &answer])?;
    stage.repo(["publish"])?;
    narrator.tell("anna signed here; ben signed a request on another machine, and it came back");
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
