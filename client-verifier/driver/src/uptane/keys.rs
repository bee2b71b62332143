//! An ECU's private key for reports, wherever it lives (Uptane 5.4.1).
//!
//! This crate never opens a key: whoever starts an ECU hands one in. For the key that unwraps
//! content keys that is `countersign_encryption::Decapsulate`.

use countersign_metadata::Key;

/// Signs version reports, and a Primary's manifest.
pub trait EcuSigner {
    /// The public half, as the Director knows it.
    fn key(&self) -> &Key;

    /// The signature over `message`, in the form that metadata carries.
    ///
    /// # Errors
    /// [`KeyError`]
    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, KeyError>;
}

/// A key could not be used. No secret is in the text.
#[derive(Debug, thiserror::Error)]
#[error("the ECU's key cannot be used: {0}")]
pub struct KeyError(pub String);
