//! The command `vehicle-sim`, as somebody at a terminal uses it.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde_json::Value;

use crate::world::{World, ecu};

/// A director and a vehicle that only the command has made.
pub(crate) struct Terminal {
    pub(crate) world: World,
    environment: Vec<(&'static str, String)>,
}

impl Terminal {
    /// Nothing but the world.
    pub(crate) fn bare() -> Self {
        Self {
            world: World::new(),
            environment: Vec::new(),
        }
    }

    fn new() -> Self {
        let terminal = Self::bare();
        let published = terminal.world.published();
        let url = format!("file://{}/", published.display());
        let root = published.join("metadata/1.root.json");
        terminal.succeeds(&[
            "director",
            "fleet",
            "--image-url",
            &url,
            "--image-root",
            root.to_str().unwrap(),
        ]);
        terminal
    }

    fn with_car() -> Self {
        let terminal = Self::new();
        terminal.succeeds(&[
            "provision",
            "car",
            "--director",
            "fleet",
            "--vin",
            "VIN1",
            "--ecu",
            "primary=primary-hw",
            "--ecu",
            "door=door-hw,tcp",
            "--ecu",
            "lamp=lamp-hw,partial",
        ]);
        terminal
    }

    pub(crate) fn run(&self, arguments: &[&str]) -> Output {
        Command::new(env!("CARGO_BIN_EXE_vehicle-sim"))
            .current_dir(self.world.path())
            .env_clear()
            .envs(self.environment.clone())
            .args(arguments)
            .output()
            .unwrap()
    }

    #[track_caller]
    pub(crate) fn succeeds(&self, arguments: &[&str]) -> Value {
        let (ok, value) = self.json(arguments);
        assert!(ok, "{arguments:?}: {value}");
        value
    }

    #[track_caller]
    pub(crate) fn fails(&self, arguments: &[&str], expected: &str) -> Value {
        let (ok, value) = self.json(arguments);
        assert!(!ok, "{arguments:?}: {value}");
        let message = value["message"].as_str().unwrap();
        assert!(message.contains(expected), "{arguments:?}: {message}");
        value
    }

    fn json(&self, arguments: &[&str]) -> (bool, Value) {
        let output = self.run(&[arguments, &["--format", "json"]].concat());
        let value: Value = serde_json::from_slice(&output.stdout)
            .unwrap_or_else(|error| panic!("{arguments:?}: {error}: {output:?}"));
        assert_eq!(value["ok"], output.status.success());
        (output.status.success(), value)
    }

    fn assign(&self, serial: &str, image: &str) {
        self.succeeds(&["assign", "VIN1", serial, image, "--director", "fleet"]);
    }

    fn cycle(&self) -> Value {
        self.succeeds(&["cycle", "car", "--director", "fleet"])
    }

    fn file(&self, name: &str, bytes: &[u8]) -> PathBuf {
        let path = self.world.path().join(name);
        fs::write(&path, bytes).unwrap();
        path
    }
}

#[test]
fn a_fleet_by_command() {
    let terminal = Terminal::with_car();
    let (primary, door, lamp) = (ecu("primary"), ecu("door"), ecu("lamp"));
    terminal
        .world
        .release("primary.img", &primary, 1, b"new primary");
    terminal.world.release("lamp.img", &lamp, 1, b"new lamp");
    terminal
        .world
        .release_confidential("door.img", &door, 1, b"new door");
    terminal.assign("primary", "primary.img");
    terminal.fails(
        &["assign", "VIN1", "door", "door.img", "--director", "fleet"],
        "encrypt it first",
    );
    let plain = terminal.file("door.bin", b"new door");
    let other = terminal.file("other.bin", b"something else");
    let encrypt = |file: &PathBuf| {
        [
            "encrypt",
            "door.img",
            file.to_str().unwrap(),
            "--director",
            "fleet",
        ]
        .map(String::from)
    };
    let arguments = encrypt(&other);
    terminal.fails(
        &arguments.each_ref().map(String::as_str),
        "these bytes are not door.img",
    );
    let arguments = encrypt(&plain);
    terminal.succeeds(&arguments.each_ref().map(String::as_str));
    terminal.assign("door", "door.img");
    terminal.assign("lamp", "lamp.img");

    let cycle = terminal.cycle();
    for name in ["primary", "door", "lamp"] {
        assert_eq!(cycle["ecus"][name]["outcome"], "installed", "{cycle}");
        let status = terminal.succeeds(&["status", "car"]);
        let active = status["ecus"][name]["active"].as_str().unwrap();
        let active = fs::read(terminal.world.path().join(active)).unwrap();
        assert_eq!(active, format!("new {name}").as_bytes());
        assert_eq!(status["ecus"][name]["releaseCounter"], 1);
    }
    // Nothing is new, and nothing is published anew.
    let version = cycle["targetsVersion"].as_u64();
    let again = terminal.cycle();
    assert_eq!(
        (again["targetsVersion"].as_u64(), &again["ecus"]),
        (version, &serde_json::json!({}))
    );

    terminal.succeeds(&["rotate", "--director", "fleet"]);
    terminal.world.release("lamp-2.img", &lamp, 2, b"lamp 2");
    terminal.assign("lamp", "lamp-2.img");
    assert_eq!(terminal.cycle()["ecus"]["lamp"]["outcome"], "installed");
}

/// Keys that never leave a token: reports are signed and images decrypted with these.
#[test]
fn an_ecu_whose_keys_are_in_a_token() {
    let mut terminal = Terminal::new();
    let tokens = terminal.world.path().join("tokens");
    let config = terminal.world.path().join("softhsm2.conf");
    fs::create_dir(&tokens).unwrap();
    fs::write(
        &config,
        format!("directories.tokendir = {}\n", tokens.display()),
    )
    .unwrap();
    let config = config.to_str().unwrap().to_owned();
    let made = Command::new("softhsm2-util")
        .env("SOFTHSM2_CONF", &config)
        .args([
            "--init-token",
            "--free",
            "--label",
            "car",
            "--so-pin",
            "12345678",
            "--pin",
            "1234",
        ])
        .output()
        .expect("this test needs softhsm2-util; on Debian: apt-get install softhsm2");
    assert!(made.status.success(), "{made:?}");
    terminal.environment = vec![
        ("SOFTHSM2_CONF", config),
        ("COUNTERSIGN_PKCS11_MODULE", module().into()),
        ("COUNTERSIGN_PIN", "1234".into()),
    ];
    terminal.succeeds(&[
        "provision",
        "car",
        "--director",
        "fleet",
        "--vin",
        "VIN1",
        "--ecu",
        "primary=primary-hw",
        "--signing-key",
        "primary=pkcs11:token=car;object=sign",
        "--decryption-key",
        "primary=pkcs11:token=car;object=decrypt",
    ]);
    let image = b"only for this token";
    terminal
        .world
        .release_confidential("a.img", &ecu("primary"), 1, image);
    let file = terminal.file("a.bin", image);
    terminal.succeeds(&[
        "encrypt",
        "a.img",
        file.to_str().unwrap(),
        "--director",
        "fleet",
    ]);
    terminal.assign("primary", "a.img");
    let cycle = terminal.cycle();
    assert_eq!(cycle["ecus"]["primary"]["outcome"], "installed", "{cycle}");
    let active = terminal
        .world
        .path()
        .join("car/ecu-primary/slots/active/image");
    assert_eq!(fs::read(active).unwrap(), image);
    assert_eq!(
        fs::read_dir(terminal.world.path().join("car/keys"))
            .unwrap()
            .count(),
        0
    );

    // Without the PIN there is no vehicle, and the message does not repeat a wrong one.
    terminal.environment.pop();
    terminal
        .environment
        .push(("COUNTERSIGN_PIN", "9876".into()));
    let failed = terminal.fails(&["cycle", "car", "--director", "fleet"], "PIN");
    assert!(!failed.to_string().contains("9876"), "{failed}");
}

fn module() -> &'static str {
    let known = [
        "/usr/lib/softhsm/libsofthsm2.so",
        "/usr/lib/x86_64-linux-gnu/softhsm/libsofthsm2.so",
        "/usr/lib64/softhsm/libsofthsm2.so",
    ];
    let there = known.into_iter().find(|path| Path::new(path).exists());
    there.expect("this test needs SoftHSM; on Debian: apt-get install softhsm2")
}

/// One path, another content: the ciphertext and the key of the first are not used for it.
#[test]
fn a_confidential_image_that_is_released_again_is_encrypted_again() {
    let terminal = Terminal::with_car();
    let door = ecu("door");
    for (counter, image) in [(1, b"the first"), (2, b"a second!")] {
        terminal
            .world
            .release_confidential("door.img", &door, counter, image);
        let assign = ["assign", "VIN1", "door", "door.img", "--director", "fleet"];
        terminal.fails(&assign, "encrypt it first");
        let file = terminal.file("door.bin", image);
        let file = file.to_str().unwrap();
        let encrypt = ["encrypt", "door.img", file, "--director", "fleet"];
        terminal.succeeds(&encrypt);
        terminal.fails(&encrypt, "encrypted already");
        terminal.succeeds(&assign);
        assert_eq!(terminal.cycle()["ecus"]["door"]["outcome"], "installed");
        let active = terminal
            .world
            .path()
            .join("car/ecu-door/slots/active/image");
        assert_eq!(fs::read(active).unwrap(), image);
    }
}

#[test]
fn a_bundle_by_command() {
    let terminal = Terminal::with_car();
    let door = ecu("door");
    terminal.cycle();
    for (counter, image) in [(1, &b"new door"[..]), (2, b"newer door")] {
        terminal
            .world
            .release_confidential("door.img", &door, counter, image);
        let plain = terminal.file("door.bin", image);
        let plain = plain.to_str().unwrap();
        terminal.succeeds(&["encrypt", "door.img", plain, "--director", "fleet"]);
        terminal.assign("door", "door.img");
        // Each is another version of the Offline Targets file, by another process.
        terminal.succeeds(&[
            "bundle",
            "VIN1",
            "garage",
            "update.tar",
            "--director",
            "fleet",
        ]);
        let cycle = [
            "cycle",
            "car",
            "--bundle",
            "update.tar",
            "--director",
            "fleet",
        ];
        let cycle = terminal.succeeds(&cycle);
        assert_eq!(cycle["ecus"]["door"]["outcome"], "installed", "{cycle}");
        assert_eq!(cycle["targetsVersion"], counter);
    }
    terminal.fails(
        &["bundle", "VIN1", "a/b", "update.tar", "--director", "fleet"],
        "letters, digits",
    );
    terminal.fails(
        &[
            "cycle",
            "car",
            "--bundle",
            "door.bin",
            "--director",
            "fleet",
        ],
        "not an offline bundle",
    );
}

#[test]
fn commands_say_what_is_wrong() {
    let terminal = Terminal::with_car();
    let provision = |folder: &'static str, vin: &'static str, ecu: &'static str| {
        [
            "provision",
            folder,
            "--director",
            "fleet",
            "--vin",
            vin,
            "--ecu",
            ecu,
        ]
    };
    terminal.fails(
        &provision("car", "VIN2", "other=hw"),
        "there is a vehicle already",
    );
    terminal.fails(&provision("car2", "VIN2", "no-hardware"), "has no '='");
    terminal.fails(
        &provision("car2", "VIN2", "gw=hw,partial"),
        "a Primary verifies in full",
    );
    terminal.fails(
        &provision("car2", "VIN2", "gw=hw,maybe"),
        "neither partial nor tcp",
    );
    terminal.fails(&provision("car2", "VIN 2", "gw=hw"), "printable ASCII");
    terminal.fails(
        &["cycle", "nowhere", "--director", "fleet"],
        "there is no vehicle",
    );
    terminal.fails(&["status", "nowhere"], "there is no vehicle");
    terminal.fails(&["cycle", "car", "--director", "nowhere"], "cannot read");
    let assign = |vin, serial, image| ["assign", vin, serial, image, "--director", "fleet"];
    terminal.fails(&assign("VIN1", "door", "none.img"), "none.img");
    terminal.fails(&assign("VIN1", "door", "../up"), "segment");
    terminal
        .world
        .release("door.img", &ecu("door"), 1, b"new door");
    terminal.fails(
        &assign("VIN9", "door", "door.img"),
        "vehicle VIN9 is not registered",
    );
    terminal.fails(&assign("VIN1", "roof", "door.img"), "has no ECU roof");
    terminal.fails(&assign("VIN1", "lamp", "door.img"), "is not for lamp-hw");
    assert_eq!(terminal.run(&["fly"]).status.code(), Some(2));
}
