//! Keys in files: PKCS#8 PEM, encrypted unless asked otherwise, readable by their owner only.

mod container;
pub(crate) mod decryption;
mod keypair;

use std::fmt;
use std::fs::{File, OpenOptions};
use std::io::{Read as _, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use countersign_metadata::PublicKey;
use zeroize::Zeroizing;

use self::container::Container;
use self::keypair::KeyPair;
pub(crate) use self::keypair::{EC, ECDH, ED25519, P256, X25519, curve25519_pkcs8};
use crate::Signer;
use crate::algorithm::Algorithm;
use crate::custody::Custody;
use crate::error::SignError;
use crate::secrets::{Secret, Secrets, check_private, variables};
use crate::uri::FileUri;

/// Largest key file read. An encrypted RSA-4096 key has 3.5 KB.
const MAX_FILE: usize = 65_536;

/// A key out of a file, decrypted into memory.
pub(crate) struct FileSigner {
    pair: KeyPair,
    public: PublicKey,
    path: PathBuf,
}

impl fmt::Debug for FileSigner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FileSigner")
            .field("path", &self.path)
            .field("public", &self.public)
            .finish_non_exhaustive()
    }
}

impl Signer for FileSigner {
    fn public_key(&self) -> &PublicKey {
        &self.public
    }

    fn custody(&self) -> Custody {
        Custody::file(&self.path)
    }

    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, SignError> {
        let signature = self.pair.sign(message)?;
        match self.public.verify(message, &signature) {
            true => Ok(signature),
            false => Err(SignError::BadSignature {
                key: self.path.display().to_string(),
            }),
        }
    }
}

pub(crate) fn open(uri: &FileUri, secrets: &Secrets) -> Result<FileSigner, SignError> {
    let path = secrets.resolve(uri.path());
    let pkcs8 = decrypted(uri, &path, secrets)?;
    let (pair, public) = KeyPair::from_pkcs8(&pkcs8).map_err(|problem| SignError::KeyFile {
        path: path.clone(),
        problem,
    })?;
    Ok(FileSigner { pair, public, path })
}

pub(crate) fn generate(
    uri: &FileUri,
    algorithm: Algorithm,
    secrets: &Secrets,
) -> Result<PublicKey, SignError> {
    let path = secrets.resolve(uri.path());
    if let Algorithm::Rsa(bits) = algorithm {
        let bits = bits.get();
        return Err(SignError::RsaInFile { path, bits });
    }
    check_free(&path)?;
    let pkcs8 = keypair::generate(algorithm)?;
    let (_, public) = KeyPair::from_pkcs8(&pkcs8).map_err(|problem| SignError::Crypto {
        doing: "read back what was generated",
        kind: algorithm.name(),
        problem,
    })?;
    store(uri, &path, (algorithm.name(), &pkcs8), secrets)?;
    Ok(public)
}

/// The PKCS#8 key in a file, whatever its type.
fn decrypted(
    uri: &FileUri,
    path: &Path,
    secrets: &Secrets,
) -> Result<Zeroizing<Vec<u8>>, SignError> {
    let pem = read(path)?;
    let problem = |problem: String| SignError::KeyFile {
        path: path.into(),
        problem,
    };
    match Container::parse(&pem).map_err(problem)? {
        Container::Plain(pkcs8) => Ok(pkcs8),
        Container::Encrypted(encrypted) => {
            encrypted.check_cost().map_err(problem)?;
            let passphrase = passphrase(uri, path, secrets)?;
            match encrypted.decrypt(passphrase.text.as_bytes()) {
                Ok(pkcs8) => Ok(pkcs8),
                Err(container::DecryptError::Unsupported(text)) => Err(problem(text)),
                Err(container::DecryptError::Failed) => {
                    Err(SignError::WrongPassphrase(path.into()))
                }
            }
        }
    }
}

/// Before anybody types a passphrase; decided for good when the file gets its name.
fn check_free(path: &Path) -> Result<(), SignError> {
    if path.symlink_metadata().is_ok() {
        return Err(SignError::FileExists(path.into()));
    }
    let folder = folder_of(path);
    if !folder.is_dir() {
        let missing = std::io::ErrorKind::NotFound.into();
        return Err(SignError::io("write into the folder", folder, missing));
    }
    Ok(())
}

/// Writes a new key, encrypted unless `uri` says otherwise.
fn store(
    uri: &FileUri,
    path: &Path,
    (kind, pkcs8): (&'static str, &[u8]),
    secrets: &Secrets,
) -> Result<(), SignError> {
    let pem = match uri.unencrypted() {
        true => container::plain_pem(pkcs8),
        false => {
            let passphrase = new_passphrase(uri, path, secrets)?;
            container::encrypted_pem(pkcs8, passphrase.text.as_bytes())
        }
    };
    let pem = pem.map_err(|problem| SignError::Crypto {
        doing: "encode",
        kind,
        problem,
    })?;
    write_new(path, pem.as_bytes())
}

fn passphrase_variables(path: &Path) -> Vec<String> {
    let stem = path.file_stem().unwrap_or_default().to_string_lossy();
    variables("COUNTERSIGN_PASSPHRASE", &stem)
}

fn passphrase(uri: &FileUri, path: &Path, secrets: &Secrets) -> Result<Secret, SignError> {
    let variables = passphrase_variables(path);
    if let Some(found) = secrets.find(uri.passphrase_file(), &variables)? {
        return Ok(found);
    }
    let question = format!("Passphrase for {}: ", path.display());
    secrets.prompt(&question).ok_or(SignError::NoPassphrase {
        path: path.into(),
        variables,
        new: false,
    })
}

fn new_passphrase(uri: &FileUri, path: &Path, secrets: &Secrets) -> Result<Secret, SignError> {
    let variables = passphrase_variables(path);
    if let Some(found) = secrets.find(uri.passphrase_file(), &variables)? {
        return Ok(found);
    }
    let question = format!("New passphrase for {}: ", path.display());
    let first = secrets.prompt(&question).ok_or(SignError::NoPassphrase {
        path: path.into(),
        variables,
        new: true,
    })?;
    match secrets.prompt("The same passphrase again: ") {
        Some(second) if second.text == first.text => Ok(first),
        _ => Err(SignError::PassphraseMismatch),
    }
}

fn read(path: &Path) -> Result<Zeroizing<String>, SignError> {
    let io_error = |error| SignError::io("read", path, error);
    let problem = |problem: &str| SignError::KeyFile {
        path: path.into(),
        problem: problem.into(),
    };
    let file = OpenOptions::new()
        .read(true)
        // A FIFO in place of the key must not hang the caller.
        .custom_flags(rustix::fs::OFlags::NONBLOCK.bits() as i32)
        .open(path)
        .map_err(io_error)?;
    if !file.metadata().map_err(io_error)?.is_file() {
        return Err(problem("it is not a regular file"));
    }
    check_private(&file, path)?;
    // One allocation, so that no copy of an unencrypted key stays behind when it grows.
    let mut text = Zeroizing::new(Vec::with_capacity(MAX_FILE + 1));
    file.take(MAX_FILE as u64 + 1)
        .read_to_end(&mut text)
        .map_err(io_error)?;
    if text.len() > MAX_FILE {
        return Err(problem("it is longer than any key, 64 KiB"));
    }
    match std::str::from_utf8(&text) {
        Ok(text) => Ok(Zeroizing::new(text.to_owned())),
        Err(_) => Err(problem(
            "it is not PEM; convert DER with: openssl pkey -inform DER -aes-256-cbc -in OLD -out NEW",
        )),
    }
}

fn folder_of(path: &Path) -> &Path {
    match path.parent() {
        Some(folder) if folder != Path::new("") => folder,
        _ => Path::new("."),
    }
}

/// The whole file or none, durable, and never in place of another one.
fn write_new(path: &Path, content: &[u8]) -> Result<(), SignError> {
    let io_error = |error| SignError::io("write", path, error);
    let folder = folder_of(path);
    // Mode 0600 from the first moment; removed again if anything below fails.
    let mut file = tempfile::Builder::new()
        .prefix(".new-key-")
        .tempfile_in(folder)
        .map_err(io_error)?;
    file.write_all(content).map_err(io_error)?;
    file.as_file().sync_all().map_err(io_error)?;
    file.persist_noclobber(path)
        .map_err(|error| match error.error.kind() {
            std::io::ErrorKind::AlreadyExists => SignError::FileExists(path.into()),
            _ => io_error(error.error),
        })?;
    File::open(folder)
        .and_then(|folder| folder.sync_all())
        .map_err(io_error)
}
