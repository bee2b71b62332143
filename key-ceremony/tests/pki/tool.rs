//! `key-ceremony pki` as a script runs it, and openssl beside it.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use rcgen::{CertificateParams, KeyPair, PKCS_ECDSA_P256_SHA256, PKCS_ED25519};
use serde_json::{Value, json};

/// A folder with a CA in `ca`, whose key is a file, and nobody to ask.
pub(crate) struct Tool {
    folder: tempfile::TempDir,
    environment: Vec<(&'static str, String)>,
}

/// Whose devices the tests are about.
pub(crate) const VEHICLE: &str = "WVWZZZ1JZXW000001";

impl Tool {
    /// Without a CA.
    pub(crate) fn new() -> Self {
        Self {
            folder: tempfile::tempdir().unwrap(),
            environment: Vec::new(),
        }
    }

    pub(crate) fn with(mut self, variable: &'static str, value: impl Into<String>) -> Self {
        self.environment.push((variable, value.into()));
        self
    }

    /// With a CA.
    pub(crate) fn started() -> Self {
        let tool = Self::new();
        tool.init(&[]);
        tool
    }

    pub(crate) fn init(&self, more: &[&str]) -> Value {
        let key = format!("file:{}?encryption=none", self.path("ca.key").display());
        let mut arguments = vec!["init", "--key", &key, "--generate", "ecdsa-p256"];
        arguments.extend(["--name", "Test CA", "--accept-weak-custody"]);
        arguments.extend(more);
        self.json(0, &arguments)
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub(crate) fn text_of(&self, name: &str) -> String {
        fs::read_to_string(self.path(name)).unwrap()
    }

    pub(crate) fn write(&self, name: &str, content: impl AsRef<[u8]>) {
        fs::write(self.path(name), content).unwrap();
    }

    /// `key-ceremony pki ARGUMENTS --ca ca`, in the folder.
    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_key-ceremony"));
        command.args(["--format", "json", "pki"]).args(arguments);
        if arguments.first() != Some(&"attest") {
            command.args(["--ca", "ca"]);
        }
        command.current_dir(self.folder.path()).stdin(Stdio::null());
        for variable in [
            "COUNTERSIGN_PIN",
            "COUNTERSIGN_PASSPHRASE",
            "COUNTERSIGN_PKCS11_MODULE",
            "COUNTERSIGN_CRASH_POINT",
        ] {
            command.env_remove(variable);
        }
        command.envs(self.environment.iter().map(|(name, value)| (name, value)));
        command
    }

    /// The one JSON object on standard output, with the exit code checked.
    #[track_caller]
    pub(crate) fn json(&self, code: i32, arguments: &[&str]) -> Value {
        let output = self.command(arguments).output().unwrap();
        let text = shown(&output);
        assert_eq!(output.status.code(), Some(code), "{arguments:?}: {text}");
        let object: Value = serde_json::from_slice(&output.stdout).expect("one JSON object");
        assert_eq!(object["ok"], code == 0, "{object}");
        object
    }

    /// Asserts that a command is refused under this name.
    #[track_caller]
    pub(crate) fn refused(&self, name: &str, arguments: &[&str]) -> String {
        let object = self.json(1, arguments);
        assert_eq!(object["name"], name, "{object}");
        object["message"].as_str().unwrap().to_owned()
    }

    /// `openssl ARGUMENTS`, in the folder.
    #[track_caller]
    pub(crate) fn openssl(&self, arguments: &str) -> String {
        let output = self.openssl_output(arguments);
        assert!(output.status.success(), "{arguments}: {}", shown(&output));
        String::from_utf8(output.stdout).unwrap()
    }

    pub(crate) fn openssl_output(&self, arguments: &str) -> Output {
        Command::new("openssl")
            .args(arguments.split_whitespace())
            .current_dir(self.folder.path())
            .env("OPENSSL_CONF", "/dev/null")
            .stdin(Stdio::null())
            .output()
            .expect("these tests need openssl; on Debian: apt-get install openssl")
    }

    /// `NAME.key` and `NAME.csr`, made with openssl.
    pub(crate) fn request(&self, name: &str, algorithm: &str) {
        self.openssl(&format!("genpkey -algorithm {algorithm} -out {name}.key"));
        self.openssl(&format!(
            "req -new -key {name}.key -subj /CN=anything -out {name}.csr"
        ));
    }

    /// Issues for `NAME.csr` into `OUT`.
    #[track_caller]
    pub(crate) fn issue(&self, name: &str, ecu: &str, out: &str) -> Value {
        self.json(
            0,
            &issue(name, VEHICLE, ecu, out)
                .each_ref()
                .map(String::as_str),
        )
    }

    pub(crate) fn list(&self) -> Vec<Value> {
        let list = self.json(0, &["list"]);
        list["certificates"].as_array().unwrap().clone()
    }
}

pub(crate) fn issue(name: &str, vehicle: &str, ecu: &str, out: &str) -> [String; 8] {
    let csr = format!("{name}.csr");
    [
        "issue",
        &csr,
        "--vehicle",
        vehicle,
        "--ecu",
        ecu,
        "--out",
        out,
    ]
    .map(Into::into)
}

pub(crate) const P256: &str = "EC -pkeyopt ec_paramgen_curve:P-256";

/// A request of the kind that devices make, in DER.
pub(crate) fn device_request(number: usize) -> Vec<u8> {
    let algorithm = match number % 2 {
        0 => &PKCS_ECDSA_P256_SHA256,
        _ => &PKCS_ED25519,
    };
    let key = KeyPair::generate_for(algorithm).unwrap();
    let params = CertificateParams::default();
    params.serialize_request(&key).unwrap().der().to_vec()
}

/// Requests `csr/N.csr` and their manifest.
pub(crate) fn factory(tool: &Tool, devices: usize) {
    fs::create_dir_all(tool.path("csr")).unwrap();
    let mut manifest = String::from("csr,vehicle,ecu\n");
    for number in 0..devices {
        tool.write(&format!("csr/{number}.csr"), device_request(number));
        let vehicle = number / 4;
        manifest += &format!("{number}.csr,VIN{vehicle:05},ECU-{number:06}\n");
    }
    tool.write("manifest.csv", manifest);
}

pub(crate) const BATCH: [&str; 7] = [
    "batch",
    "--manifest",
    "manifest.csv",
    "--csrs",
    "csr",
    "--out",
    "out",
];

/// A line with this event, as it would follow in an index.
pub(crate) fn follows(index: &str, event: &Value) -> String {
    let last = index.lines().last().unwrap();
    let previous = hex::encode(countersign_metadata::sha256(last.as_bytes()));
    json!({ "previous": previous, "event": event }).to_string()
}

/// The certificates below a folder.
pub(crate) fn certificates(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        match path.is_dir() {
            true => found.extend(certificates(&path)),
            false if path.extension().is_some_and(|end| end == "pem") => found.push(path),
            false => {}
        }
    }
    found
}

fn shown(output: &Output) -> String {
    let (out, err) = (&output.stdout, &output.stderr);
    format!(
        "{}{}",
        String::from_utf8_lossy(out),
        String::from_utf8_lossy(err)
    )
}
