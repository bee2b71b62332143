//! What can go wrong in the device PKI, as facts. The text says what happened and what to do.

use std::path::PathBuf;

use countersign_metadata::UtcTime;
use countersign_signing::Weakness;

use super::identity::Subject;
use super::record::Serial;

/// Why the device PKI refused or failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PkiError {
    /// No CA where one was named.
    #[error("{} is not a device CA: it has no ca.json; make one with 'key-ceremony pki init'", .0.display())]
    NoCa(PathBuf),
    /// A CA is never made over another.
    #[error("{} holds a device CA already, and a CA is never overwritten; choose another folder", .0.display())]
    CaExists(PathBuf),
    /// The CA waits for its certificate.
    #[error("the CA in {} has no certificate yet; have its request certified, then run 'key-ceremony pki adopt'", .0.display())]
    NotAdopted(PathBuf),
    /// Another process works on the same CA.
    #[error("{} is in use by another key-ceremony; wait for it to end and try again", .0.display())]
    Locked(PathBuf),
    /// `ca.json` is not what it should be.
    #[error("{}: {what}; restore it from a backup", path.display())]
    Settings {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        what: String,
    },
    /// The index is not what this tool writes.
    #[error("{}, line {line}: {what}; nothing is issued from a damaged index: restore it from a backup", path.display())]
    Index {
        /// The file.
        path: PathBuf,
        /// Counted from 1.
        line: usize,
        /// What is wrong.
        what: String,
    },
    /// The index is not there.
    #[error(
        "{} is missing, and with it everything that this CA has issued and revoked; restore it from a backup. Without it a revoked key would be certified again, and the next revocation list would be empty", .0.display()
    )]
    IndexMissing(PathBuf),
    /// The index is that of another CA.
    #[error("{} is the index of another CA; restore the one that belongs to this ca.json", .0.display())]
    IndexOther(PathBuf),
    /// A revocation list knows more than the index.
    #[error(
        "{} is revocation list {number} of {at}, but the index knows of {known} lists, and of nothing after {latest}: the index is older than this list. Restore the newest index.jsonl; a list that is made from this one would leave out what was revoked since", path.display()
    )]
    IndexOlder {
        /// The list.
        path: PathBuf,
        /// Its number.
        number: u64,
        /// When it was made.
        at: UtcTime,
        /// How many lists the index knows.
        known: u64,
        /// The newest entry of the index.
        latest: UtcTime,
    },
    /// The name for a CA cannot be written into a certificate.
    #[error(
        "the name {0:?} must have 1 to 64 characters, none of them a control character or a space at an end"
    )]
    CaName(String),
    /// The kind of key cannot sign certificates here.
    #[error(
        "a CA key must be ECDSA P-256, ECDSA P-384 or Ed25519, and this one is {0}; make one with 'key-ceremony pki init --generate ecdsa-p384'"
    )]
    CaKeyKind(String),
    /// The key is not that of the CA.
    #[error(
        "the key {0} is not the key of this CA; check which token is connected and the key URI in ca.json"
    )]
    CaKeyOther(String),
    /// The CA key may exist elsewhere.
    #[error(
        "a CA key must be where it cannot be copied, and {home} does not promise that ({}); use a token, or accept this with --accept-weak-custody",
        list(weaknesses)
    )]
    WeakCustody {
        /// What holds the key.
        home: String,
        /// Why that is weak.
        weaknesses: Vec<Weakness>,
    },
    /// A certificate cannot be the one of this CA.
    #[error("{} cannot be the certificate of this CA: {why}", path.display())]
    CaCertificate {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        why: String,
    },
    /// The CA is not valid now.
    #[error(
        "the CA is valid from {not_before} to {not_after}, and the clock says {now}; check the clock, or make or adopt a new CA certificate"
    )]
    CaNotValid {
        /// First second of validity.
        not_before: UtcTime,
        /// Last second of validity.
        not_after: UtcTime,
        /// The clock.
        now: UtcTime,
    },
    /// The clock went backwards.
    #[error(
        "the clock says {now}, but the index has an entry of {latest}; set the clock right, since certificates and revocation lists carry its time"
    )]
    Clock {
        /// The clock.
        now: UtcTime,
        /// The newest entry.
        latest: UtcTime,
    },
    /// A certificate would outlive its CA.
    #[error(
        "the certificate would be valid until {not_after}, longer than the CA ({ca}); choose a shorter --expires"
    )]
    OutlivesCa {
        /// What was asked for.
        not_after: UtcTime,
        /// Last second of the CA.
        ca: UtcTime,
    },

    /// A vehicle or ECU identifier that cannot be written exactly.
    #[error("the {what} {text:?} {why}")]
    Identifier {
        /// "vehicle", "ECU"
        what: &'static str,
        /// The identifier.
        text: String,
        /// What is wrong.
        why: &'static str,
    },
    /// A server name that cannot be certified.
    #[error("{name:?} is no name for a server certificate: {why}")]
    ServerName {
        /// The name.
        name: String,
        /// What is wrong.
        why: &'static str,
    },
    /// A file is larger than anything it could be.
    #[error("{} is larger than {limit} bytes, so it is not {what}", path.display())]
    TooLarge {
        /// The file.
        path: PathBuf,
        /// The bound.
        limit: u64,
        /// "a certificate request"
        what: &'static str,
    },
    /// A folder, device or pipe where a file should be.
    #[error("{} is not a regular file", .0.display())]
    NotAFile(PathBuf),
    /// A CSR that cannot be read.
    #[error("{} is not a usable certificate request: {why}; make a new one on the device", path.display())]
    Request {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        why: String,
    },
    /// A CSR with a kind of key that is not certified.
    #[error("the key in {} {why}; devices have ECDSA P-256 or Ed25519 keys", path.display())]
    RequestKey {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        why: String,
    },
    /// A CSR whose sender does not prove to have the private key.
    #[error("the signature on {} does not hold, so its sender has not proved to have the private key; make a new request on the device", .0.display())]
    RequestProof(PathBuf),
    /// A CSR that asks for other names.
    #[error("{} asks for {asks}, but the certificate is for {subject}; find out which is right, and if the request is, change the command or the manifest", path.display())]
    RequestNames {
        /// The file.
        path: PathBuf,
        /// The names in the request.
        asks: String,
        /// Who the operator says it is for.
        subject: Subject,
    },
    /// A certificate file that cannot be read.
    #[error("{} is not a usable certificate: {why}", path.display())]
    Certificate {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        why: String,
    },

    /// The request has the key of the CA.
    #[error("the request has the public key of the CA itself; a device needs a key of its own")]
    KeyIsCa,
    /// The key is certified for somebody else.
    #[error(
        "this public key is certified for {subject} already (serial {serial}); one key has one holder: make a new key on the device"
    )]
    KeyInUse {
        /// Who has it.
        subject: Subject,
        /// The certificate.
        serial: Serial,
    },
    /// A key that was reported stolen.
    #[error(
        "this public key was revoked as compromised (serial {serial}); make a new key on the device"
    )]
    KeyCompromised {
        /// The certificate.
        serial: Serial,
    },
    /// The device has a certificate for another key.
    #[error(
        "{subject} has a valid certificate for another key (serial {serial}, until {not_after}); if this device replaces it add --replace REASON, if it is the same device use 'pki renew'"
    )]
    HasCertificate {
        /// The device.
        subject: Subject,
        /// Its certificate.
        serial: Serial,
        /// Until when.
        not_after: UtcTime,
    },
    /// Not a certificate of this CA.
    #[error("this CA has not issued {0}; 'key-ceremony pki list' shows what it has")]
    Unknown(String),
    /// A certificate that is revoked.
    #[error(
        "certificate {serial} was revoked at {at}; what is revoked stays revoked: issue a new one with 'pki issue'"
    )]
    Revoked {
        /// The certificate.
        serial: Serial,
        /// When.
        at: UtcTime,
    },
    /// A device whose certificate for the same key was revoked.
    #[error(
        "{subject} had a certificate for this key, and it was revoked (serial {serial}, {at}); if the device is to have one again use 'pki issue' with --replace REASON"
    )]
    WasRevoked {
        /// The device.
        subject: Subject,
        /// The certificate.
        serial: Serial,
        /// When.
        at: UtcTime,
    },
    /// A certificate that has ended.
    #[error("certificate {serial} ended at {not_after}; issue a new one with 'pki issue'")]
    Ended {
        /// The certificate.
        serial: Serial,
        /// When.
        not_after: UtcTime,
    },
    /// A certificate that was renewed before.
    #[error("certificate {serial} was renewed by {by} for another key; renew that one")]
    Renewed {
        /// The certificate.
        serial: Serial,
        /// Its successor.
        by: Serial,
    },
    /// Server certificates are not renewed.
    #[error("certificate {0} is a server's; issue a new one with 'pki server'")]
    NotADevice(Serial),

    /// A manifest that cannot be read. No row of it was looked at.
    #[error("{}, line {line}: {why}; nothing was issued", path.display())]
    Manifest {
        /// The file.
        path: PathBuf,
        /// Counted from 1.
        line: usize,
        /// What is wrong.
        why: String,
    },
    /// An attestation certificate that says nothing.
    #[error("{} is not a YubiHSM 2 attestation: {why}", path.display())]
    Attestation {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        why: String,
    },
    /// The certificate exists, its file does not.
    #[error(
        "certificate {serial} was issued but not written ({why}); write it to another file with 'key-ceremony pki show {serial} --out FILE'"
    )]
    NotWritten {
        /// The certificate.
        serial: Serial,
        /// Why not.
        why: String,
    },
    /// The library for certificates failed.
    #[error("cannot encode: {0}")]
    Encode(String),
    /// What was signed is not what should have been. It was not released.
    #[error(
        "a signed certificate is not as it should be ({0}), so it was not released; check the token, and report this"
    )]
    Produced(&'static str),
    /// The system has no random numbers.
    #[error("the system gives no random numbers; a serial number needs them")]
    Random,
}

impl PkiError {
    /// A stable name for scripts.
    pub fn name(&self) -> &'static str {
        match self {
            Self::NoCa(_) => "ca-missing",
            Self::CaExists(_) => "ca-exists",
            Self::NotAdopted(_) => "ca-not-adopted",
            Self::Locked(_) => "locked",
            Self::Settings { .. } => "ca-settings",
            Self::Index { .. } => "index-damaged",
            Self::IndexMissing(_) => "index-missing",
            Self::IndexOther(_) => "index-other",
            Self::IndexOlder { .. } => "index-older",
            Self::CaName(_) => "ca-name",
            Self::CaKeyKind(_) => "ca-key-kind",
            Self::CaKeyOther(_) => "ca-key-other",
            Self::WeakCustody { .. } => "ca-key-custody",
            Self::CaCertificate { .. } => "ca-certificate",
            Self::CaNotValid { .. } => "ca-not-valid",
            Self::Clock { .. } => "clock",
            Self::OutlivesCa { .. } => "outlives-ca",
            Self::Identifier { .. } => "identifier",
            Self::ServerName { .. } => "server-name",
            Self::TooLarge { .. } => "file-too-large",
            Self::NotAFile(_) => "not-a-file",
            Self::Request { .. } => "request-malformed",
            Self::RequestKey { .. } => "request-key",
            Self::RequestProof(_) => "request-proof",
            Self::RequestNames { .. } => "request-names",
            Self::Certificate { .. } => "certificate-malformed",
            Self::KeyIsCa => "key-is-ca",
            Self::KeyInUse { .. } => "key-in-use",
            Self::KeyCompromised { .. } => "key-compromised",
            Self::HasCertificate { .. } => "has-certificate",
            Self::Unknown(_) => "certificate-unknown",
            Self::Revoked { .. } => "certificate-revoked",
            Self::WasRevoked { .. } => "was-revoked",
            Self::Ended { .. } => "certificate-ended",
            Self::Renewed { .. } => "certificate-renewed",
            Self::NotADevice(_) => "certificate-of-server",
            Self::Manifest { .. } => "manifest",
            Self::Attestation { .. } => "attestation",
            Self::NotWritten { .. } => "not-written",
            Self::Encode(_) => "encode",
            Self::Produced(_) => "certificate-check",
            Self::Random => "random",
        }
    }
}

fn list(weaknesses: &[Weakness]) -> String {
    let names: Vec<&str> = weaknesses.iter().map(|weakness| weakness.name()).collect();
    names.join(", ")
}
