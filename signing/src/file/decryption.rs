//! Decryption keys in files.

use std::path::PathBuf;

use countersign_metadata::uptane::{EncryptionAlgorithm, EncryptionKey};
use zeroize::Zeroizing;

use super::{check_free, decrypted, store};
use crate::custody::Custody;
use crate::decryption::Agree;
use crate::error::SignError;
use crate::secrets::Secrets;
use crate::soft_key::SoftKey;
use crate::uri::FileUri;

/// A decryption key out of a file, decrypted into memory.
pub(crate) struct FileDecryptionKey {
    key: SoftKey,
    path: PathBuf,
}

impl FileDecryptionKey {
    pub(crate) fn open(uri: &FileUri, secrets: &Secrets) -> Result<Self, SignError> {
        let path = secrets.resolve(uri.path());
        let pkcs8 = decrypted(uri, &path, secrets)?;
        match SoftKey::from_pkcs8(&pkcs8) {
            Ok(key) => Ok(Self { key, path }),
            Err(problem) => Err(SignError::KeyFile { path, problem }),
        }
    }
}

impl Agree for FileDecryptionKey {
    fn public_key(&self) -> &EncryptionKey {
        self.key.public_key()
    }

    fn custody(&self) -> Custody {
        Custody::file(&self.path)
    }

    fn agree(&self, peer: &EncryptionKey) -> Result<Zeroizing<Vec<u8>>, SignError> {
        self.key.agree(peer)
    }
}

/// Makes a decryption key in a new file.
pub(crate) fn generate(
    uri: &FileUri,
    algorithm: EncryptionAlgorithm,
    secrets: &Secrets,
) -> Result<EncryptionKey, SignError> {
    let path = secrets.resolve(uri.path());
    check_free(&path)?;
    let kind = algorithm.keytype();
    let failed = |doing| {
        move |problem| SignError::Crypto {
            doing,
            kind,
            problem,
        }
    };
    let pkcs8 = SoftKey::generate(algorithm)?.to_pkcs8();
    let pkcs8 = pkcs8.map_err(failed("encode"))?;
    let key = SoftKey::from_pkcs8(&pkcs8).map_err(failed("read back what was generated"))?;
    store(uri, &path, (kind, &pkcs8), secrets)?;
    Ok(key.public_key().clone())
}
