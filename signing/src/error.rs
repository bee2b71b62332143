//! What can go wrong, with the facts and what to do about it.

use std::fmt;
use std::io;
use std::path::PathBuf;

use crate::uri::UriError;
use crate::yubihsm::YubiHsmError;

/// Why a key could not be made, opened or used. Each text says what happened and what to do.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SignError {
    /// The name of the key is not one.
    #[error(transparent)]
    Uri(#[from] UriError),

    /// The operating system refused.
    #[error("cannot {doing} {}: {source}", path.display())]
    Io {
        /// "read", "write"
        doing: &'static str,
        /// The file or folder.
        path: PathBuf,
        /// The system's word.
        source: io::Error,
    },
    /// A key, passphrase or PIN file that others on this machine can read.
    #[error(
        "{} can be read by others (mode {mode:04o}), so what is in it is no secret; if nobody had \
         access so far: chmod 600 {}", path.display(), path.display()
    )]
    Permissions {
        /// The file.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
    /// A key is never overwritten.
    #[error("{} exists, and keys are never overwritten; choose another name", .0.display())]
    FileExists(PathBuf),
    /// A key file that is not a PKCS#8 key of a known type.
    #[error("{} is not a usable key file: {problem}", path.display())]
    KeyFile {
        /// The file.
        path: PathBuf,
        /// What is wrong with it and how to put it right.
        problem: String,
    },
    /// A passphrase or PIN file without a usable first line.
    #[error("{} does not hold a passphrase or PIN: {problem}", path.display())]
    SecretFile {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        problem: &'static str,
    },
    /// An environment variable that is there but cannot be used.
    #[error("the environment variable {name} {problem}")]
    Variable {
        /// Its name.
        name: String,
        /// What is wrong with it.
        problem: &'static str,
    },
    /// No passphrase for an encrypted key file, or for a new one.
    #[error(
        "no passphrase for {}: set {}, add ?passphrase-file=PATH to the key URI, or run this in a \
         terminal{}",
        path.display(), Alternatives(variables),
        if *new { "; for a key that is stored unencrypted add ?encryption=none" } else { "" }
    )]
    NoPassphrase {
        /// The key file.
        path: PathBuf,
        /// The variables that were looked at.
        variables: Vec<String>,
        /// Whether the key was to be generated.
        new: bool,
    },
    /// Decryption failed.
    #[error("cannot decrypt {}: the passphrase is wrong or the file is damaged", .0.display())]
    WrongPassphrase(PathBuf),
    /// The two passphrases typed for a new key differ.
    #[error("the two passphrases differ; nothing was written")]
    PassphraseMismatch,
    /// RSA keys in files come from outside.
    #[error(
        "RSA keys are not generated into files, only in tokens; make one with openssl and name it \
         with the same URI: (umask 077; openssl genpkey -algorithm RSA -pkeyopt \
         rsa_keygen_bits:{bits} -aes-256-cbc -out {})", path.display()
    )]
    RsaInFile {
        /// Where the key was to go.
        path: PathBuf,
        /// How long it was to be.
        bits: u32,
    },

    /// No PKCS#11 library named.
    #[error(
        "no PKCS#11 module for {uri}: add ?module-path=PATH to the key URI or set \
         COUNTERSIGN_PKCS11_MODULE{}",
        Hint(hint)
    )]
    NoModule {
        /// The key.
        uri: String,
        /// A module found in a usual place, or how to get one.
        hint: String,
    },
    /// The PKCS#11 library cannot be loaded or does not start.
    #[error("cannot use the PKCS#11 module {}: {problem}{}", path.display(), Hint(hint))]
    Module {
        /// The library.
        path: PathBuf,
        /// What the loader or the library says.
        problem: String,
        /// What to do.
        hint: String,
    },
    /// No token matches.
    #[error("no token matches {wanted}; {}", Seen("tokens", seen))]
    NoToken {
        /// The key URI.
        wanted: String,
        /// The tokens that are there.
        seen: Vec<String>,
    },
    /// Several tokens match.
    #[error("several tokens match {wanted}: {}; add serial= or slot-id=", seen.join("; "))]
    AmbiguousToken {
        /// The key URI.
        wanted: String,
        /// Those that match.
        seen: Vec<String>,
    },
    /// No PIN.
    #[error(
        "no PIN for token {token:?}: set {}, add pin-source=file:PATH to the key URI, or run this \
         in a terminal",
        Alternatives(variables)
    )]
    NoPin {
        /// The token's label.
        token: String,
        /// The variables that were looked at.
        variables: Vec<String>,
    },
    /// The token refused the PIN. It is not sent again.
    #[error(
        "token {token:?} refused the PIN from {origin}. Find the right one before trying again: \
         {}, and a locked token needs its security officer", tries.warning()
    )]
    WrongPin {
        /// The token's label.
        token: String,
        /// Where the PIN came from.
        origin: String,
        /// What the token says about tries left.
        tries: PinTries,
    },
    /// The token takes no PIN any more, or should not be asked now.
    #[error("token {token:?} was not asked to log in: {}", tries.refusal())]
    PinNotTried {
        /// The token's label.
        token: String,
        /// Why.
        tries: PinTries,
    },
    /// No private key matches.
    #[error(
        "token {token:?} has no private key {wanted}; {}",
        Seen("private keys", seen)
    )]
    NoKey {
        /// The token's label.
        token: String,
        /// Label and id looked for.
        wanted: String,
        /// The private keys that are there.
        seen: Vec<String>,
    },
    /// Several private keys, or several different public keys for it, match.
    #[error(
        "token {token:?} has several keys {wanted}: {}; add id= or object= to tell them apart",
        seen.join("; ")
    )]
    AmbiguousKey {
        /// The token's label.
        token: String,
        /// Label and id looked for.
        wanted: String,
        /// Those that match.
        seen: Vec<String>,
    },
    /// A key of that label or id is in the token already.
    #[error("token {token:?} already has a key {wanted}; choose another object= or id=")]
    KeyExists {
        /// The token's label.
        token: String,
        /// Label and id.
        wanted: String,
    },
    /// A key that cannot sign metadata.
    #[error("the key {key} cannot be used: {problem}")]
    WrongKey {
        /// Label and id.
        key: String,
        /// What is wrong with it.
        problem: String,
    },
    /// A private key that could leave its token.
    #[error(
        "the private key {key} is not bound to its token ({fact}), so it may exist elsewhere; \
         generate it in the token, or accept the risk with ?x-extractable=allow"
    )]
    Extractable {
        /// Label and id.
        key: String,
        /// The attribute that says so.
        fact: &'static str,
    },
    /// The token lacks an algorithm.
    #[error("token {token:?} does not offer {mechanism}; choose another algorithm or token")]
    NoMechanism {
        /// The token's label.
        token: String,
        /// The missing mechanism.
        mechanism: &'static str,
    },
    /// The PKCS#11 module reports an error.
    #[error("cannot {doing} (token {token:?}): {source}")]
    Token {
        /// What was tried.
        doing: &'static str,
        /// The token's label.
        token: String,
        /// The module's word.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// A token was removed, restarted or logged out between two uses, or its service died.
    #[error(
        "token {token:?} was removed or stopped answering: cannot {doing} ({source}). Plug it in \
         again or restart its service, and run the same command; signatures already made are kept"
    )]
    TokenLost {
        /// What was tried.
        doing: &'static str,
        /// The token's label.
        token: String,
        /// The module's word.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// What only happens with a YubiHSM 2.
    #[error(transparent)]
    YubiHsm(#[from] YubiHsmError),
    /// A signature that does not verify under the key's public half.
    #[error(
        "the signature made with {key} does not verify and was thrown away: the public key beside \
         it is another one, or the device is broken"
    )]
    BadSignature {
        /// The key.
        key: String,
    },
    /// A decryption key that does not agree as its public half does.
    #[error(
        "the key in {key} does not agree on the secret that its public key promises: the public \
         key beside it is another one, or the device is broken"
    )]
    BadAgreement {
        /// Where the key is.
        key: String,
    },
    /// A YubiHSM 2 signs here, and nothing else.
    #[error(
        "yubihsm: keys only sign; keep a decryption key in a PKCS#11 token or a file \
         (pkcs11:token=LABEL;object=NAME, file:PATH)"
    )]
    NoDecryption,
    /// The key library refused to sign or to make a key.
    #[error("cannot {doing} (key type {kind}): {problem}")]
    Crypto {
        /// What was tried.
        doing: &'static str,
        /// The key's type.
        kind: &'static str,
        /// What the library says.
        problem: String,
    },
}

impl SignError {
    pub(crate) fn io(doing: &'static str, path: impl Into<PathBuf>, source: io::Error) -> Self {
        let path = path.into();
        Self::Io {
            doing,
            path,
            source,
        }
    }
}

/// What a token says about its PIN tries (CKF_USER_PIN_*).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum PinTries {
    /// No wrong PIN since the last right one, or the token does not say.
    Unknown,
    /// At least one wrong PIN since the last right one.
    Low,
    /// One more wrong PIN locks the token.
    Final,
    /// The token takes no PIN any more.
    Locked,
    /// This very PIN was refused before by this token.
    SamePin,
}

impl PinTries {
    fn warning(self) -> &'static str {
        match self {
            Self::Unknown => "every further wrong PIN may lock the token",
            Self::Low => "it counts wrong PINs since the last right one and may lock at the next",
            Self::Final => "ONE more wrong PIN locks it",
            Self::Locked => "it is locked now",
            Self::SamePin => "it refused this very PIN before",
        }
    }

    fn refusal(self) -> &'static str {
        match self {
            Self::Unknown => "it did not say why",
            Self::Low => "it counted wrong PINs",
            Self::Final => {
                "one more wrong PIN locks it, which is not risked without a person present; log in \
                 once from a terminal, which resets the counter"
            }
            Self::Locked => {
                "its PIN is locked after too many wrong tries. When the security officer has reset \
                 it, run the same command; signatures already made are kept"
            }
            Self::SamePin => {
                "it refused this very PIN a moment ago, and another wrong try may lock it; correct \
                 the PIN first"
            }
        }
    }
}

struct Alternatives<'a>(&'a [String]);

impl fmt::Display for Alternatives<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.join(" or "))
    }
}

struct Seen<'a>(&'static str, &'a [String]);

impl fmt::Display for Seen<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.1 {
            [] => write!(f, "there are no {}", self.0),
            seen => write!(f, "{} seen: {}", self.0, seen.join("; ")),
        }
    }
}

struct Hint<'a>(&'a str);

impl fmt::Display for Hint<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            "" => Ok(()),
            hint => write!(f, ". {hint}"),
        }
    }
}
