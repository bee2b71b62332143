//! A device PKI of a test's own.

use std::fs;
use std::path::Path;

use rcgen::{
    BasicConstraints, CertificateParams, CertificateRevocationListParams, DistinguishedName,
    ExtendedKeyUsagePurpose, IsCa, Issuer, KeyIdMethod, KeyPair, KeyUsagePurpose,
    RevokedCertParams, SanType, SerialNumber,
};

/// An authority for devices and servers.
pub(crate) struct Pki {
    issuer: Issuer<'static, KeyPair>,
    certificate: String,
}

impl Pki {
    pub(crate) fn new() -> Self {
        let key = KeyPair::generate().unwrap();
        let mut ca = CertificateParams::new(Vec::new()).unwrap();
        ca.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        ca.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let certificate = ca.self_signed(&key).unwrap().pem();
        let issuer = Issuer::new(ca, key);
        Self {
            issuer,
            certificate,
        }
    }

    /// What a listener needs, in `folder`.
    pub(crate) fn install(&self, folder: &Path) {
        let key = KeyPair::generate().unwrap();
        let mut server = CertificateParams::new(vec!["127.0.0.1".into()]).unwrap();
        server.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        let certificate = server.signed_by(&key, &self.issuer).unwrap();
        write_key(&folder.join("server.key"), &key);
        fs::write(folder.join("server.pem"), certificate.pem()).unwrap();
        fs::write(folder.join("device-ca.pem"), &self.certificate).unwrap();
        self.revoke(folder, 1, &[]);
    }

    /// Writes the `number`th revocation list, with the certificates that were issued with these numbers.
    pub(crate) fn revoke(&self, folder: &Path, number: u64, serials: &[u64]) {
        let revoked = serials.iter().map(|serial| RevokedCertParams {
            serial_number: SerialNumber::from(*serial),
            revocation_time: rcgen::date_time_ymd(2024, 1, 1),
            reason_code: None,
            invalidity_date: None,
        });
        let list = CertificateRevocationListParams {
            this_update: rcgen::date_time_ymd(2024, 1, 1),
            next_update: rcgen::date_time_ymd(4000, 1, 1),
            crl_number: SerialNumber::from(number),
            issuing_distribution_point: None,
            revoked_certs: revoked.collect(),
            key_identifier_method: KeyIdMethod::Sha256,
        };
        let list = list.signed_by(&self.issuer).unwrap().pem().unwrap();
        let unfinished = folder.join("device-ca.crl.pem.new");
        fs::write(&unfinished, list).unwrap();
        fs::rename(unfinished, folder.join("device-ca.crl.pem")).unwrap();
    }

    /// Issues a certificate to the Primary of a vehicle: `tls.pem` and `tls.key` in `folder`.
    pub(crate) fn issue(&self, folder: &Path, (vin, serial): (&str, &str), number: u64) {
        let key = KeyPair::generate().unwrap();
        let mut device = CertificateParams::new(Vec::new()).unwrap();
        device.distinguished_name = DistinguishedName::new();
        device.serial_number = Some(SerialNumber::from(number));
        device.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        device.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        device.subject_alt_names = [("vehicle", vin), ("ecu", serial)]
            .map(|(kind, name)| format!("urn:countersign:{kind}:{name}"))
            .map(|uri| SanType::URI(uri.try_into().unwrap()))
            .into();
        let certificate = device.signed_by(&key, &self.issuer).unwrap();
        write_key(&folder.join("tls.key"), &key);
        fs::write(folder.join("tls.pem"), certificate.pem()).unwrap();
        fs::write(folder.join("ca.pem"), &self.certificate).unwrap();
    }
}

fn write_key(path: &Path, key: &KeyPair) {
    use std::os::unix::fs::PermissionsExt as _;
    fs::write(path, key.serialize_pem()).unwrap();
    fs::set_permissions(path, fs::Permissions::from_mode(0o600)).unwrap();
}
