//! What can go wrong with a YubiHSM 2 that cannot go wrong with a file or a token.

/// Why a YubiHSM 2 could not be used. Each text says what happened and what to do.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum YubiHsmError {
    /// The connector does not answer, the device is not behind it, or the session is gone.
    #[error(
        "cannot {doing}: no usable answer from the YubiHSM behind the connector {connector} \
         ({problem}). Check that yubihsm-connector runs there and that the device is plugged in, \
         then try again: a new session is opened by itself"
    )]
    NoAnswer {
        /// What was tried.
        doing: &'static str,
        /// The connector's host and port.
        connector: String,
        /// What the connection says.
        problem: String,
    },
    /// The device does not take the password, or does not have the authentication key.
    #[error(
        "the YubiHSM behind {connector} refused authentication key {authkey:#06x} with the \
         password from {origin}: {}; check authkey= and the password", if *missing {
            "there is no authentication key of that id"
        } else {
            "the password is wrong"
        }
    )]
    Refused {
        /// The connector's host and port.
        connector: String,
        /// The authentication key's object id.
        authkey: u16,
        /// Where the password came from.
        origin: String,
        /// Whether the device says that the authentication key does not exist.
        missing: bool,
    },
    /// This very password was refused before and is not tried again.
    #[error(
        "the YubiHSM behind {connector} was not asked again: it refused this very password for \
         authentication key {authkey:#06x} a moment ago; correct the password first"
    )]
    NotTried {
        /// The connector's host and port.
        connector: String,
        /// The authentication key's object id.
        authkey: u16,
    },
    /// The password is the one that every new device has.
    #[error(
        "the password from {origin} is the one that every new YubiHSM has, so whoever reaches the \
         connector {connector} can use its keys. Put an authentication key with another password \
         into the device and delete key 1 (see yubihsm-shell, \"put authkey\" and \"delete\"); \
         only for a trial add ?x-default-password=allow"
    )]
    DefaultPassword {
        /// The connector's host and port.
        connector: String,
        /// Where the password came from.
        origin: String,
    },
    /// Another device than the one that the key URI names.
    #[error(
        "the YubiHSM behind {connector} is {}, and not serial {wanted}, which the key URI names",
        found.as_ref().map_or("one whose serial number cannot be read".into(), |found| {
            format!("serial {found}")
        })
    )]
    OtherDevice {
        /// The connector's host and port.
        connector: String,
        /// The serial number in the key URI.
        wanted: String,
        /// The device's own, if it can be read.
        found: Option<String>,
    },
    /// More than the device can sign with Ed25519, which it gets whole.
    #[error(
        "the key {key} cannot sign {length} bytes: a YubiHSM takes an Ed25519 message whole, and \
         {most} bytes at most; use an ecdsa-p256 key for this role, whose messages are hashed first"
    )]
    TooLong {
        /// The key.
        key: String,
        /// Bytes of the message.
        length: usize,
        /// Bytes that fit.
        most: usize,
    },
}
