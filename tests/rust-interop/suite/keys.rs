//! Key pairs in files that our signer and tough's both read, and in tokens, where tough signs with
//! ours.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::fs::{self, OpenOptions};
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use countersign_signing::{Algorithm, KeyUri, RsaBits, Secrets, Signer, ToughKey};
use tough::key_source::{KeySource, LocalKeySource};

use crate::tokens;

/// The kind of all keys of a repository.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Ed25519,
    EcdsaP256,
    EcdsaP384,
    Rsa,
}

/// Where private keys are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Home {
    /// `keys/` in the repository's folder.
    Files,
    /// A token for each key, which has its name.
    Tokens,
}

/// The keys of a repository. A key is made the first time it is named.
#[derive(Debug)]
pub(crate) struct Keys {
    folder: PathBuf,
    kind: Kind,
    home: Home,
    made: RefCell<BTreeSet<String>>,
}

/// Making RSA keys takes seconds, and files cannot be made by `countersign-signing`; these are
/// the public test keys of the vectors. Keys that a test must tell apart differ.
fn rsa_pem(name: &str) -> &'static str {
    match name {
        "root-1" | "supplier" => include_str!("../../../test-vectors/keys/rsa3072-1.pem"),
        "root-2" | "factory" => include_str!("../../../test-vectors/keys/rsa4096-1.pem"),
        "root-3" | "online-2" => include_str!("../../../test-vectors/keys/rsa2048-1.pem"),
        _ => include_str!("../../../test-vectors/keys/rsa2048-2.pem"),
    }
}

impl Keys {
    pub(crate) fn new(folder: &Path, kind: Kind) -> Self {
        fs::create_dir_all(folder.join("keys")).expect("a folder for keys");
        Self {
            folder: folder.into(),
            kind,
            home: Home::Files,
            made: RefCell::default(),
        }
    }

    /// In tokens that are there already, each with the PIN of [`tokens`](crate::tokens).
    pub(crate) fn in_tokens(folder: &Path, kind: Kind) -> Self {
        Self {
            home: Home::Tokens,
            ..Self::new(folder, kind)
        }
    }

    pub(crate) fn secrets(&self) -> Secrets {
        let secrets = Secrets::unattended(&self.folder);
        match self.home {
            Home::Files => secrets,
            Home::Tokens => secrets
                .with("COUNTERSIGN_PKCS11_MODULE", tokens::module())
                .with("COUNTERSIGN_PIN", tokens::PIN),
        }
    }

    /// The key's URI, relative to the repository's folder.
    pub(crate) fn uri(&self, name: &str) -> String {
        let uri = match self.home {
            Home::Files => format!("file:keys/{name}.pem?encryption=none"),
            Home::Tokens => format!("pkcs11:token={name};object={:?}", self.kind),
        };
        if self.made.borrow_mut().insert(name.into()) {
            self.make(name, &uri);
        }
        uri
    }

    pub(crate) fn signer(&self, name: &str) -> Box<dyn Signer> {
        let uri: KeyUri = self.uri(name).parse().expect("a key URI");
        countersign_signing::open(&uri, &self.secrets()).expect("a key")
    }

    /// The same key for tough, which reads RSA files as PEM and the others as DER.
    pub(crate) fn source(&self, name: &str) -> Box<dyn KeySource> {
        self.uri(name);
        if self.home == Home::Tokens {
            let key = ToughKey::new(self.signer(name)).expect("a key that tough knows");
            return Box::new(key);
        }
        let mut path = self.pem_file(name);
        if self.kind != Kind::Rsa {
            let pem = fs::read(&path).expect("a key file");
            let (_, pkcs8) = der::pem::decode_vec(&pem).expect("PEM");
            path.set_extension("der");
            fs::write(&path, pkcs8).expect("a key file for tough");
        }
        Box::new(LocalKeySource { path })
    }

    pub(crate) fn sources(&self, names: &[&str]) -> Vec<Box<dyn KeySource>> {
        names.iter().map(|name| self.source(name)).collect()
    }

    fn pem_file(&self, name: &str) -> PathBuf {
        self.folder.join(format!("keys/{name}.pem"))
    }

    fn make(&self, name: &str, uri: &str) {
        let algorithm = match self.kind {
            Kind::Ed25519 => Algorithm::Ed25519,
            Kind::EcdsaP256 => Algorithm::EcdsaP256,
            Kind::EcdsaP384 => Algorithm::EcdsaP384,
            Kind::Rsa if self.home == Home::Tokens => Algorithm::Rsa(RsaBits::B2048),
            Kind::Rsa => {
                let mut options = OpenOptions::new();
                let file = options.write(true).create_new(true).mode(0o600);
                let mut file = file.open(self.pem_file(name)).expect("a key file");
                return file.write_all(rsa_pem(name).as_bytes()).expect("written");
            }
        };
        let uri: KeyUri = uri.parse().expect("a key URI");
        countersign_signing::generate(&uri, algorithm, &self.secrets()).expect("a new key");
    }
}
