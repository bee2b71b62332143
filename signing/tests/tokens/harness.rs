//! A process and tokens of its own for each test.
//!
//! PKCS#11 libraries read where their tokens are once, when a process initialises them. So a test
//! starts its own executable again for itself alone, with its environment set.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command};
use std::time::Duration;

use countersign_metadata::PublicKey;
use countersign_signing::{
    KeyUri, Listing, LogIn, Secrets, SignError, Source, inventory, open, public_key,
};
use cryptoki::context::{CInitializeArgs, CInitializeFlags, Pkcs11};
use cryptoki::object::{Attribute, AttributeType, ObjectHandle};
use cryptoki::session::{Session, UserType};
use cryptoki::slot::Slot;
use cryptoki::types::AuthPin;

pub(crate) const PIN: &str = "648219";
pub(crate) const SO_PIN: &str = "87654321";
const CHILD: &str = "COUNTERSIGN_TEST_TOKENS";
const SOFTHSM: [&str; 4] = [
    "/usr/lib/softhsm/libsofthsm2.so",
    "/usr/lib/x86_64-linux-gnu/softhsm/libsofthsm2.so",
    "/usr/lib/aarch64-linux-gnu/softhsm/libsofthsm2.so",
    "/usr/lib64/pkcs11/libsofthsm2.so",
];
const TPM: [&str; 3] = [
    "/usr/lib/x86_64-linux-gnu/pkcs11/libtpm2_pkcs11.so",
    "/usr/lib/aarch64-linux-gnu/pkcs11/libtpm2_pkcs11.so",
    "/usr/lib64/pkcs11/libtpm2_pkcs11.so",
];
const OPENCRYPTOKI: [&str; 3] = [
    "/usr/lib/x86_64-linux-gnu/pkcs11/libopencryptoki.so",
    "/usr/lib/aarch64-linux-gnu/pkcs11/libopencryptoki.so",
    "/usr/lib64/opencryptoki/libopencryptoki.so",
];

/// Runs `body` in a process of its own with a SoftHSM of its own. `name` is the test's path, as
/// the test runner prints it.
pub(crate) fn with_tokens(name: &str, body: fn(&Tokens)) {
    in_child(
        name,
        this_test,
        |dir, command| {
            fs::create_dir(dir.join("tokens")).unwrap();
            let config = dir.join("softhsm2.conf");
            let text = format!(
                "directories.tokendir = {}\nobjectstore.backend = file\nlog.level = ERROR\n",
                dir.join("tokens").display()
            );
            fs::write(&config, text).unwrap();
            command.env("SOFTHSM2_CONF", &config);
        },
        body,
    );
}

/// The same with a TPM, whose store is empty. The TPM is started by [`Tpm::start`].
pub(crate) fn with_tpm(name: &str, body: fn(&Tokens)) {
    in_child(
        name,
        this_test,
        |dir, command| {
            let socket = dir.join("tpm.sock");
            command
                .env("TPM2_PKCS11_STORE", dir)
                .env(
                    "TPM2_PKCS11_TCTI",
                    format!("swtpm:path={}", socket.display()),
                )
                .env("TPM2_PKCS11_BACKEND", "esysdb")
                .env("TPM2_PKCS11_LOG_LEVEL", "0")
                .env("TSS2_LOG", "all+NONE");
        },
        body,
    );
}

/// The same with an opencryptoki whose soft token in slot 3 is not initialised.
pub(crate) fn with_opencryptoki(name: &str, body: fn(&Tokens)) {
    let script = || {
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/tokens/opencryptoki.sh");
        let mut command = Command::new(script);
        command.arg(std::env::current_exe().unwrap());
        command
    };
    in_child(name, script, |_, _| {}, body);
}

fn this_test() -> Command {
    Command::new(std::env::current_exe().unwrap())
}

fn in_child(
    name: &str,
    command: impl FnOnce() -> Command,
    prepare: impl FnOnce(&Path, &mut Command),
    body: fn(&Tokens),
) {
    if let Some(dir) = std::env::var_os(CHILD) {
        return body(&Tokens { dir: dir.into() });
    }
    let dir = tempfile::tempdir().unwrap();
    let mut command = command();
    command
        .args([name, "--exact", "--nocapture"])
        .env(CHILD, dir.path())
        .env_remove("COUNTERSIGN_PIN")
        .env_remove("COUNTERSIGN_PKCS11_MODULE");
    prepare(dir.path(), &mut command);
    let output = command.output().unwrap();
    let (out, err) = (
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr),
    );
    assert!(output.status.success(), "{out}{err}");
    // A misspelt name would run no test and prove nothing.
    assert!(out.contains("1 passed"), "{name} is not a test: {out}");
}

/// A TPM in software that runs as long as this lives. Its state outlives it.
pub(crate) struct Tpm(Child);

impl Tpm {
    pub(crate) fn start(dir: &Path) -> Self {
        let socket = dir.join("tpm.sock");
        // The library looks for the control channel under this name.
        let control = dir.join("tpm.sock.ctrl");
        let state = dir.join("tpm-state");
        fs::create_dir_all(&state).unwrap();
        let _ = fs::remove_file(&control);
        let channel = |path: &Path| format!("type=unixio,path={}", path.display());
        // Killed with this process, however that ends.
        let child = Command::new("setpriv")
            .args(["--pdeathsig", "KILL", "swtpm", "socket", "--tpm2"])
            .args(["--flags", "not-need-init,startup-clear"])
            .args(["--tpmstate", &format!("dir={}", state.display())])
            .args(["--server", &channel(&socket), "--ctrl", &channel(&control)])
            .stderr(std::process::Stdio::null())
            .spawn()
            .expect("these tests need setpriv; on Debian: apt-get install util-linux");
        let tpm = Self(child);
        // The control channel is made last.
        for _ in 0..1000 {
            if control.exists() {
                return tpm;
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        panic!("swtpm does not start; if it is missing, on Debian: apt-get install swtpm");
    }
}

impl Drop for Tpm {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn first(paths: &[&'static str], what: &str, package: &str) -> &'static str {
    let found = paths.iter().find(|path| Path::new(path).exists());
    found.unwrap_or_else(|| panic!("these tests need {what}; on Debian: apt-get install {package}"))
}

/// These tests are worth nothing without it, so they fail.
pub(crate) fn module() -> &'static str {
    first(&SOFTHSM, "SoftHSM", "softhsm2")
}

pub(crate) fn tpm_module() -> &'static str {
    first(&TPM, "tpm2-pkcs11", "libtpm2-pkcs11-1")
}

pub(crate) fn opencryptoki_module() -> &'static str {
    first(&OPENCRYPTOKI, "opencryptoki", "opencryptoki")
}

/// A handle on a library past our own code.
pub(crate) fn raw(module: &str) -> Pkcs11 {
    let context = Pkcs11::new(module).unwrap();
    // Fails if it is initialised already, which is as good.
    let _ = context.initialize(CInitializeArgs::new(CInitializeFlags::OS_LOCKING_OK));
    context
}

/// Initialises the token in `slot` through PKCS#11.
pub(crate) fn init_token(context: &Pkcs11, slot: Slot, label: &str) {
    let so_pin = AuthPin::new(SO_PIN.into());
    context.init_token(slot, &so_pin, label).unwrap();
    let session = context.open_rw_session(slot).unwrap();
    session.login(UserType::So, Some(&so_pin)).unwrap();
    session.init_pin(&AuthPin::new(PIN.into())).unwrap();
    session.logout().unwrap();
}

/// The tokens of a library, seen without or with a login.
pub(crate) fn listed(
    module: &str,
    slot: Option<u64>,
    log_in: LogIn,
    secrets: &Secrets,
) -> Vec<Listing> {
    let module = Some(module.into());
    inventory(&Source::Pkcs11 { module, slot }, log_in, secrets).unwrap()
}

pub(crate) struct Tokens {
    pub(crate) dir: PathBuf,
}

impl Tokens {
    /// Initialises a token.
    pub(crate) fn add(&self, label: &str) {
        let output = Command::new("softhsm2-util")
            .args(["--init-token", "--free", "--label", label])
            .args(["--so-pin", SO_PIN, "--pin", PIN])
            .output()
            .expect("these tests need softhsm2-util; on Debian: apt-get install softhsm2");
        assert!(output.status.success(), "{output:?}");
    }

    /// Module and PIN by variable.
    pub(crate) fn secrets(&self) -> Secrets {
        self.without_pin().with("COUNTERSIGN_PIN", PIN)
    }

    pub(crate) fn secrets_for(&self, module: &str) -> Secrets {
        self.secrets().with("COUNTERSIGN_PKCS11_MODULE", module)
    }

    pub(crate) fn without_pin(&self) -> Secrets {
        Secrets::unattended(&self.dir).with("COUNTERSIGN_PKCS11_MODULE", module())
    }

    /// A session past our own code, for what only other tools would do to a token.
    pub(crate) fn raw_session(&self, label: &str) -> Session {
        let context = raw(module());
        let mut slots = context.get_slots_with_initialized_token().unwrap();
        slots.retain(|slot| context.get_token_info(*slot).unwrap().label() == label);
        assert_eq!(slots.len(), 1);
        let session = context.open_rw_session(slots[0]).unwrap();
        // Fails when logged in already, and what needs the login fails otherwise.
        let _ = session.login(UserType::User, Some(&AuthPin::new(PIN.into())));
        session
    }
}

pub(crate) fn uri(text: &str) -> KeyUri {
    text.parse().unwrap()
}

/// Opens a key, signs with it, checks the signature, and that a changed message is refused.
pub(crate) fn signs(uri: &KeyUri, secrets: &Secrets) -> PublicKey {
    let signer = open(uri, secrets).unwrap();
    let public = signer.public_key();
    for length in [0, 1, 65, 100_000] {
        let message = vec![b'm'; length];
        let signature = signer.sign(&message).unwrap();
        assert!(public.verify(&message, &signature));
        assert!(!public.verify(&[&message[..], b"!"].concat(), &signature));
    }
    assert_eq!(&public_key(uri, secrets).unwrap(), public);
    assert_eq!(signer.key().public().as_ref(), Some(public));
    public.clone()
}

pub(crate) fn refusal(uri: &KeyUri, secrets: &Secrets) -> SignError {
    open(uri, secrets).unwrap_err()
}

/// Asserts that an error's text has all these parts.
#[track_caller]
pub(crate) fn says(error: &SignError, parts: &[&str]) {
    let text = error.to_string();
    for part in parts {
        assert!(text.contains(part), "no {part:?} in: {text}");
    }
    assert!(!text.contains(PIN), "the PIN is in: {text}");
}

pub(crate) fn find(session: &Session, template: &[Attribute]) -> Vec<ObjectHandle> {
    session.find_objects(template).unwrap()
}

pub(crate) fn flag(session: &Session, key: ObjectHandle, flag: AttributeType) -> bool {
    match session.get_attributes(key, &[flag]).unwrap()[..] {
        [
            Attribute::Sensitive(value)
            | Attribute::Extractable(value)
            | Attribute::NeverExtractable(value)
            | Attribute::AlwaysSensitive(value)
            | Attribute::Local(value)
            | Attribute::Private(value)
            | Attribute::Sign(value)
            | Attribute::Decrypt(value)
            | Attribute::Unwrap(value)
            | Attribute::Derive(value),
        ] => value,
        ref other => panic!("{flag:?}: {other:?}"),
    }
}
