//! What `--help` shows at its end.

pub(super) const INIT: &str = "\
Examples:
  key-ceremony pki init --ca device-ca --key 'pkcs11:token=ca;object=device-ca' \\
      --generate ecdsa-p384 --name 'Example Motors Device CA' --expires 10y
  key-ceremony pki init --ca device-ca --key 'pkcs11:token=ca;object=device-ca' \\
      --name 'Example Motors Device CA' --csr-out device-ca.csr";

pub(super) const ADOPT: &str = "\
Example:
  key-ceremony pki adopt --ca device-ca certified.pem";

pub(super) const ISSUE: &str = "\
Example:
  key-ceremony pki issue --ca device-ca --vehicle WVWZZZ1JZXW000001 --ecu TCU-0001 \\
      --out TCU-0001.pem TCU-0001.csr";

pub(super) const BATCH: &str = "\
Example:
  key-ceremony pki batch --ca device-ca --manifest line4.csv --csrs csr/ --out certs/";

pub(super) const RENEW: &str = "\
Example:
  key-ceremony pki renew --ca device-ca --cert TCU-0001.pem --csr new.csr --out new.pem";

pub(super) const SERVER: &str = "\
Example:
  key-ceremony pki server --ca device-ca --csr director.csr --dns director.example.com \\
      --out director.pem";

pub(super) const REVOKE: &str = "\
Examples:
  key-ceremony pki revoke --ca device-ca --cert TCU-0001.pem --reason key-compromise
  key-ceremony pki revoke --ca device-ca --vehicle WVWZZZ1JZXW000001 \\
      --reason cessation-of-operation";

pub(super) const CRL: &str = "\
Example:
  key-ceremony pki crl --ca device-ca --out device-ca.crl.pem";

pub(super) const LIST: &str = "\
Example:
  key-ceremony pki list --ca device-ca --status valid --format json";

pub(super) const SHOW: &str = "\
Example:
  key-ceremony pki show --ca device-ca 0f3c52b1a8d94e7796a0c1d2e3f40516 --out TCU-0001.pem";

pub(super) const ATTEST: &str = "\
Example:
  key-ceremony pki attest --cert key.pem --device-cert device.pem \\
      --intermediate sub-ca.pem --root root.pem --key ca.pub";
