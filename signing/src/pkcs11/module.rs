//! PKCS#11 libraries: each is loaded and initialised once per process (C_Initialize may be called
//! once only), and remembers which tokens it is logged in to.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use cryptoki::context::{CInitializeArgs, CInitializeFlags, Pkcs11};
use cryptoki::error::{Error, RvError};

use super::login::Login;
use crate::error::SignError;
use crate::secrets::Secrets;
use crate::uri::{KeyUri, Pkcs11Uri};

const VARIABLE: &str = "COUNTERSIGN_PKCS11_MODULE";

/// Where distributions put libraries. Only named in hints: which library is run with a PIN is for
/// the user to say.
const USUAL: [&str; 12] = [
    "/usr/lib/softhsm/libsofthsm2.so",
    "/usr/lib/x86_64-linux-gnu/softhsm/libsofthsm2.so",
    "/usr/lib/aarch64-linux-gnu/softhsm/libsofthsm2.so",
    "/usr/lib64/pkcs11/libsofthsm2.so",
    "/usr/local/lib/softhsm/libsofthsm2.so",
    "/opt/homebrew/lib/softhsm/libsofthsm2.so",
    "/usr/lib/x86_64-linux-gnu/pkcs11/libtpm2_pkcs11.so",
    "/usr/lib/aarch64-linux-gnu/pkcs11/libtpm2_pkcs11.so",
    "/usr/lib/x86_64-linux-gnu/pkcs11/libopencryptoki.so",
    "/usr/lib/aarch64-linux-gnu/pkcs11/libopencryptoki.so",
    "/usr/lib/x86_64-linux-gnu/libykcs11.so",
    "/usr/lib/aarch64-linux-gnu/libykcs11.so",
];
const INSTALL: &str = "For a token in software install SoftHSM (Debian: apt-get install softhsm2), \
                       which is /usr/lib/softhsm/libsofthsm2.so";

/// Every library in use, by its real path. Never dropped, so libraries are never unloaded.
static MODULES: Mutex<BTreeMap<PathBuf, Arc<Module>>> = Mutex::new(BTreeMap::new());

pub(super) struct Module {
    pub(super) context: Pkcs11,
    logins: Mutex<BTreeMap<u64, Login>>,
}

impl Module {
    /// The library that `uri` or the environment names.
    pub(super) fn load(uri: &Pkcs11Uri, secrets: &Secrets) -> Result<Arc<Self>, SignError> {
        let named = match uri.module_path() {
            Some(path) => secrets.resolve(path),
            None => match secrets.variable(VARIABLE)? {
                Some(path) => secrets.resolve(Path::new(path.as_str())),
                None => return Err(no_module(uri)),
            },
        };
        let failed = |problem: String, hint: &str| SignError::Module {
            path: named.clone(),
            problem,
            hint: hint.into(),
        };
        // Two names for one library must not initialise it twice.
        let path = named
            .canonicalize()
            .map_err(|error| failed(error.to_string(), INSTALL))?;
        let mut modules = MODULES.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(module) = modules.get(&path) {
            return Ok(Arc::clone(module));
        }
        let context = Pkcs11::new(&path).map_err(|error| {
            let hint = "Name a PKCS#11 library, built for this machine's architecture";
            failed(error.to_string(), hint)
        })?;
        match context.initialize(CInitializeArgs::new(CInitializeFlags::OS_LOCKING_OK)) {
            // Another user of the library in this process was first.
            Ok(()) | Err(Error::Pkcs11(RvError::CryptokiAlreadyInitialized, _)) => {}
            Err(error) => {
                return Err(failed(describe(&error), start_hint(&path)));
            }
        }
        let module = Arc::new(Self {
            context,
            logins: Mutex::default(),
        });
        modules.insert(path, Arc::clone(&module));
        Ok(module)
    }

    /// The logins by slot. Held while one is made, so that no two threads send a PIN at once.
    pub(super) fn logins(&self) -> MutexGuard<'_, BTreeMap<u64, Login>> {
        self.logins.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn no_module(uri: &Pkcs11Uri) -> SignError {
    // Distributions have links from one of these paths to another.
    let mut real = BTreeSet::new();
    let new = |path: &&str| {
        Path::new(path)
            .canonicalize()
            .is_ok_and(|path| real.insert(path))
    };
    let found: Vec<_> = USUAL.into_iter().filter(new).collect();
    SignError::NoModule {
        uri: KeyUri::Pkcs11(uri.clone()).to_string(),
        hint: match found.as_slice() {
            [] => INSTALL.into(),
            found => format!("Installed here: {}", found.join(", ")),
        },
    }
}

/// What to look at when a library does not start. Each of these is silent about it.
fn start_hint(path: &Path) -> &'static str {
    let name = path.to_string_lossy();
    match () {
        () if name.contains("tpm2") => {
            "Is the TPM there and yours to use (TPM2_PKCS11_TCTI), and can its store be written \
             (TPM2_PKCS11_STORE)?"
        }
        () if name.contains("opencryptoki") => {
            "Does its daemon pkcsslotd run, and are you in the group pkcs11?"
        }
        () => {
            "For SoftHSM: does SOFTHSM2_CONF name a readable configuration whose token directory \
             exists?"
        }
    }
}

/// One line: the name of the return code, without cryptoki's paragraph out of the standard.
pub(super) fn describe(error: &Error) -> String {
    match error {
        Error::Pkcs11(code, function) => {
            format!("C_{function:?} failed with {code:?}")
        }
        other => other.to_string(),
    }
}
