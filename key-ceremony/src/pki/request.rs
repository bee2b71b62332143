//! Certificate requests (PKCS #10, RFC 2986). A request proves that its sender has the private
//! key. Nothing but the public key is taken from it.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use countersign_metadata::PublicKey;
use x509_parser::certification_request::X509CertificationRequest;
use x509_parser::cri_attributes::ParsedCriAttribute;
use x509_parser::extensions::ParsedExtension;
use x509_parser::oid_registry::OID_X509_EXT_SUBJECT_ALT_NAME;
use x509_parser::prelude::FromDer as _;

use crate::CeremonyError;

use super::error::PkiError;
use super::identity::{Name, Subject};
use super::key::DeviceKey;
use super::{files, limits, x509};

/// A request whose signature holds.
#[derive(Debug, Clone)]
pub struct Request {
    path: PathBuf,
    public: PublicKey,
    key: DeviceKey,
    /// The subject alternative names it asks for, if it asks for any.
    asks: Option<BTreeSet<Name>>,
}

impl Request {
    /// Reads a request, PEM or DER, and checks its signature.
    ///
    /// # Errors
    /// [`PkiError::TooLarge`], [`PkiError::Request`], [`PkiError::RequestKey`],
    /// [`PkiError::RequestProof`]
    pub fn read(path: &Path) -> Result<Self, CeremonyError> {
        let bytes = files::read(path, limits::FILE, "a certificate request")?;
        Ok(Self::parse(&bytes, path)?)
    }

    fn parse(bytes: &[u8], path: &Path) -> Result<Self, PkiError> {
        let malformed = |why: String| PkiError::Request {
            path: path.into(),
            why,
        };
        let der = x509::der(bytes, x509::REQUEST).map_err(malformed)?;
        let (rest, request) = X509CertificationRequest::from_der(&der)
            .map_err(|error| malformed(format!("it cannot be read ({error})")))?;
        if !rest.is_empty() {
            return Err(malformed(format!("{} bytes follow its end", rest.len())));
        }
        let info = &request.certification_request_info;
        let unfit = |why| PkiError::RequestKey {
            path: path.into(),
            why,
        };
        let key = DeviceKey::new(&info.subject_pki).map_err(unfit)?;
        let public = x509::public_key(&info.subject_pki);
        let public = public.ok_or_else(|| unfit("is of another kind, or damaged".into()))?;
        if !is_whole(&request, &der) {
            return Err(malformed(
                "it is not signed with ECDSA and SHA-256 or with Ed25519, or not written in DER"
                    .into(),
            ));
        }
        let proof = request.verify_signature();
        proof.map_err(|_| PkiError::RequestProof(path.into()))?;
        Ok(Self {
            path: path.into(),
            public,
            key,
            asks: asked_names(&request).map_err(malformed)?,
        })
    }

    /// The key whose private half the sender has.
    pub fn public_key(&self) -> &PublicKey {
        &self.public
    }

    pub(crate) fn key(&self) -> &DeviceKey {
        &self.key
    }

    /// Refuses a request that asks for names, and for others than those it is going to get.
    pub(crate) fn check_names(&self, subject: &Subject) -> Result<(), PkiError> {
        let Some(asks) = &self.asks else {
            return Ok(());
        };
        if *asks == BTreeSet::from_iter(subject.names()) {
            return Ok(());
        }
        let names: Vec<String> = asks.iter().take(4).map(Name::to_string).collect();
        Err(PkiError::RequestNames {
            path: self.path.clone(),
            asks: names.join(", "),
            subject: subject.clone(),
        })
    }
}

/// AlgorithmIdentifiers of ecdsa-with-SHA256 (RFC 5758 3.2) and Ed25519 (RFC 8410 3).
const ALGORITHMS: [&[u8]; 2] = [
    &[0x30, 10, 6, 8, 0x2a, 0x86, 0x48, 0xce, 0x3d, 4, 3, 2],
    &[0x30, 5, 6, 3, 0x2b, 0x65, 0x70],
];

/// Whether a request is, to the byte, what was signed with an algorithm and a signature behind
/// it. The parser is not strict about these two, which nobody has signed.
fn is_whole(request: &X509CertificationRequest<'_>, der: &[u8]) -> bool {
    let info = request.certification_request_info.raw;
    let signature = x509::tlv(0x03, &[&[0], &*request.signature_value.data].concat());
    let write = |algorithm: &[u8]| x509::tlv(0x30, &[info, algorithm, &signature].concat());
    ALGORITHMS
        .into_iter()
        .any(|algorithm| write(algorithm) == der)
}

fn asked_names(request: &X509CertificationRequest<'_>) -> Result<Option<BTreeSet<Name>>, String> {
    let mut asks = None;
    for attribute in request.certification_request_info.iter_attributes() {
        let ParsedCriAttribute::ExtensionRequest(asked) = attribute.parsed_attribute() else {
            continue;
        };
        for extension in &asked.extensions {
            if extension.oid != OID_X509_EXT_SUBJECT_ALT_NAME {
                continue;
            }
            let ParsedExtension::SubjectAlternativeName(names) = extension.parsed_extension()
            else {
                return Err("the names it asks for cannot be read".into());
            };
            let names = names.general_names.iter().map(x509::name);
            asks.get_or_insert_with(BTreeSet::new).extend(names);
        }
    }
    Ok(asks)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rcgen::{CertificateParams, KeyPair, PKCS_ECDSA_P256_SHA256, PKCS_ED25519, SanType};

    use super::*;
    use crate::pki::DeviceId;

    fn made(ed25519: bool, names: &[&str]) -> Vec<u8> {
        let algorithm = match ed25519 {
            true => &PKCS_ED25519,
            false => &PKCS_ECDSA_P256_SHA256,
        };
        let key = KeyPair::generate_for(algorithm).unwrap();
        let mut params = CertificateParams::default();
        let uris = names
            .iter()
            .map(|name| SanType::URI((*name).try_into().unwrap()));
        params.subject_alt_names = uris.collect();
        params.serialize_request(&key).unwrap().der().to_vec()
    }

    fn parse(bytes: &[u8]) -> Result<Request, PkiError> {
        Request::parse(bytes, Path::new("a.csr"))
    }

    #[test]
    fn only_the_names_of_the_subject_may_be_asked_for() {
        let subject = Subject::Device(DeviceId::new("VIN1", "E1").unwrap());
        let (vehicle, ecu) = ("urn:countersign:vehicle:VIN1", "urn:countersign:ecu:E1");
        let check = |names: &[&str]| {
            let request = parse(&made(false, names)).unwrap();
            request.check_names(&subject).map_err(|error| error.name())
        };
        assert_eq!(check(&[]), Ok(()));
        assert_eq!(check(&[vehicle, ecu]), Ok(()));
        assert_eq!(check(&[ecu, vehicle]), Ok(()));
        for names in [
            &[vehicle][..],
            &[vehicle, ecu, "urn:countersign:ecu:E2"],
            &["urn:countersign:vehicle:VIN2", ecu],
        ] {
            assert_eq!(check(names), Err("request-names"), "{names:?}");
        }
    }

    #[test]
    fn each_damaged_byte_is_refused() {
        for ed25519 in [true, false] {
            let good = made(ed25519, &["urn:countersign:ecu:E1"]);
            assert!(parse(&good).is_ok());
            for at in 0..good.len() {
                let mut bad = good.clone();
                bad[at] ^= 0x01;
                assert!(parse(&bad).is_err(), "byte {at}");
            }
            for length in 0..good.len() {
                assert!(parse(&good[..length]).is_err(), "{length} bytes");
            }
            let longer = [&good[..], &[0]].concat();
            assert_eq!(parse(&longer).unwrap_err().name(), "request-malformed");
        }
    }

    proptest! {
        #[test]
        fn noise_is_refused_without_a_panic(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
            prop_assert!(parse(&bytes).is_err());
            prop_assert!(parse(&[&[0x30], &bytes[..]].concat()).is_err());
        }

        #[test]
        fn splices_are_refused_without_a_panic(at in 0usize..250, bytes in prop::collection::vec(any::<u8>(), 1..9)) {
            let mut bad = made(true, &[]);
            let at = at.min(bad.len());
            bad.splice(at..at, bytes);
            prop_assert!(parse(&bad).is_err());
        }
    }
}
