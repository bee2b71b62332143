//! The PEM file around a PKCS#8 key, and its encryption (PBES2, RFC 8018).

use der::pem::{self, LineEnding};
use der::{Decode as _, Encode as _};
use pkcs8::EncryptedPrivateKeyInfoOwned;
use pkcs8::pkcs5::pbes2::{Kdf, Parameters};
use pkcs8::pkcs5::{self, EncryptionScheme, scrypt};
use ring::rand::{SecureRandom as _, SystemRandom};
use zeroize::Zeroizing;

const PLAIN: &str = "PRIVATE KEY";
const ENCRYPTED: &str = "ENCRYPTED PRIVATE KEY";

/// scrypt for new files: 32 MiB three times, one of the equal choices of the OWASP Password Storage
/// Cheat Sheet; about 0.2 seconds.
const LOG_N: u8 = 15;
const R: u32 = 8;
const P: u32 = 3;

/// What reading a file may cost at most: 1 GiB of memory and some 20 seconds.
const MAX_SCRYPT_MEMORY: u64 = 1 << 30;
const MAX_SCRYPT_WORK: u64 = 1 << 33;
const MAX_PBKDF2_ITERATIONS: u32 = 20_000_000;

pub(super) enum Container {
    /// DER of a PrivateKeyInfo (RFC 5208) or OneAsymmetricKey (RFC 5958).
    Plain(Zeroizing<Vec<u8>>),
    Encrypted(Encrypted),
}

pub(super) struct Encrypted(EncryptedPrivateKeyInfoOwned);

#[derive(Debug)]
pub(super) enum DecryptError {
    /// Wrong passphrase or damaged data; there is no telling which.
    Failed,
    Unsupported(String),
}

impl Container {
    /// Takes one PEM block, with white space around it.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let text = text.trim_ascii();
        let label = pem::decode_label(text.as_bytes())
            .map_err(|_| "it does not start as PEM, -----BEGIN ENCRYPTED PRIVATE KEY-----")?;
        if let Some(remedy) = foreign(label) {
            return Err(remedy);
        }
        let (_, der) = pem::decode_vec(text.as_bytes())
            .map_err(|error| format!("its PEM is damaged ({error})"))?;
        let der = Zeroizing::new(der);
        match label {
            PLAIN => Ok(Self::Plain(der)),
            _ => EncryptedPrivateKeyInfoOwned::from_der(&der)
                .map(|info| Self::Encrypted(Encrypted(info)))
                .map_err(|error| {
                    format!(
                        "its encryption cannot be read ({error}); convert it with: \
                         openssl pkcs8 -topk8 -v2 aes-256-cbc -v2prf hmacWithSHA256 -in OLD -out NEW"
                    )
                }),
        }
    }
}

/// What to do with PEM that holds no PKCS#8 private key.
fn foreign(label: &str) -> Option<String> {
    let remedy = match label {
        PLAIN | ENCRYPTED => return None,
        "EC PRIVATE KEY" | "RSA PRIVATE KEY" => {
            "convert it with: openssl pkcs8 -topk8 -v2 aes-256-cbc -in OLD -out NEW"
        }
        "OPENSSH PRIVATE KEY" => {
            "convert a copy with: ssh-keygen -p -m PKCS8 -f COPY, for RSA and ECDSA; \
             Ed25519 keys of OpenSSH cannot be converted, generate a new key"
        }
        "EC PARAMETERS" => {
            "remove that block, the key follows it; then: \
             openssl pkcs8 -topk8 -v2 aes-256-cbc -in OLD -out NEW"
        }
        "PUBLIC KEY" | "RSA PUBLIC KEY" => "that is the public half, which cannot sign",
        "CERTIFICATE" => "a certificate cannot sign; name the file with its private key",
        _ => "only PKCS#8 private keys are read",
    };
    Some(format!("it holds a PEM {label:?}; {remedy}"))
}

impl Encrypted {
    /// Refuses parameters that would cost more than any honest tool asks for.
    pub(super) fn check_cost(&self) -> Result<(), String> {
        let EncryptionScheme::Pbes2(parameters) = &self.0.encryption_algorithm else {
            return Ok(());
        };
        let affordable = match &parameters.kdf {
            Kdf::Scrypt(scrypt) => {
                let memory = u64::from(scrypt.block_size)
                    .saturating_mul(128)
                    .saturating_mul(scrypt.cost_parameter);
                let work = memory.saturating_mul(u64::from(scrypt.parallelization));
                memory <= MAX_SCRYPT_MEMORY && work <= MAX_SCRYPT_WORK
            }
            Kdf::Pbkdf2(pbkdf2) => pbkdf2.iteration_count <= MAX_PBKDF2_ITERATIONS,
            _ => true,
        };
        match affordable {
            true => Ok(()),
            false => Err("its key derivation costs more than 1 GiB or 20 seconds".into()),
        }
    }

    pub(super) fn decrypt(&self, passphrase: &[u8]) -> Result<Zeroizing<Vec<u8>>, DecryptError> {
        // In place, so that no copy of the key is left behind.
        let EncryptionScheme::Pbes2(parameters) = &self.0.encryption_algorithm else {
            return Err(old_encryption());
        };
        let mut buffer = Zeroizing::new(self.0.encrypted_data.as_bytes().to_vec());
        let length = match parameters.decrypt_in_place(passphrase, &mut buffer) {
            Ok(pkcs8) => pkcs8.len(),
            Err(pkcs5::Error::UnsupportedAlgorithm { .. }) => return Err(old_encryption()),
            Err(_) => return Err(DecryptError::Failed),
        };
        buffer.truncate(length);
        // CBC has no checksum: with a wrong passphrase the padding may hold by chance.
        match der::asn1::AnyRef::from_der(&buffer) {
            Ok(_) => Ok(buffer),
            Err(_) => Err(DecryptError::Failed),
        }
    }
}

fn old_encryption() -> DecryptError {
    DecryptError::Unsupported(
        "its encryption is too old; convert it with: \
         openssl pkcs8 -topk8 -v2 aes-256-cbc -v2prf hmacWithSHA256 -in OLD -out NEW"
            .into(),
    )
}

pub(super) fn plain_pem(pkcs8: &[u8]) -> Result<Zeroizing<String>, String> {
    pem::encode_string(PLAIN, LineEnding::LF, pkcs8)
        .map(Zeroizing::new)
        .map_err(|error| error.to_string())
}

pub(super) fn encrypted_pem(pkcs8: &[u8], passphrase: &[u8]) -> Result<Zeroizing<String>, String> {
    let (mut salt, mut iv) = ([0; 16], [0; 16]);
    let random = SystemRandom::new();
    random
        .fill(&mut salt)
        .and_then(|()| random.fill(&mut iv))
        .map_err(|_| "the system has no random numbers")?;
    let encrypt = || -> Result<Vec<u8>, pkcs8::Error> {
        let params =
            scrypt::Params::new(LOG_N, R, P).map_err(|_| pkcs8::Error::ParametersMalformed)?;
        let parameters = Parameters::generate_scrypt_aes256cbc(params, &salt, iv)?;
        let info = EncryptedPrivateKeyInfoOwned {
            encrypted_data: der::asn1::OctetString::new(parameters.encrypt(passphrase, pkcs8)?)?,
            encryption_algorithm: parameters.into(),
        };
        Ok(info.to_der()?)
    };
    let der = encrypt().map_err(|error| error.to_string())?;
    pem::encode_string(ENCRYPTED, LineEnding::LF, &der)
        .map(Zeroizing::new)
        .map_err(|error| error.to_string())
}
