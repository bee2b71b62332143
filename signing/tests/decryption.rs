//! Decryption keys in files: made here, made elsewhere, and told from signing keys.

#![allow(clippy::unwrap_used)]

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::Command;

use countersign_metadata::uptane::EncryptionAlgorithm;
use countersign_signing::{
    Algorithm, DecryptionKey, KeyUri, Secrets, SignError, Weakness, generate,
    generate_decryption_key, open,
};
use tempfile::TempDir;

fn uri(text: &str) -> KeyUri {
    text.parse().unwrap()
}

fn secrets(dir: &TempDir) -> Secrets {
    Secrets::unattended(dir.path()).with("COUNTERSIGN_PASSPHRASE", "correct horse")
}

#[track_caller]
fn refused(uri: &KeyUri, secrets: &Secrets) -> SignError {
    DecryptionKey::open(uri, secrets).unwrap_err()
}

fn openssl(dir: &Path, args: &str) -> String {
    let output = Command::new("openssl")
        .args(args.split_whitespace())
        .current_dir(dir)
        .output()
        .unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "openssl {args}: {errors}");
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// Private keys of openssl, which others could read by its default.
fn make(dir: &Path, args: &str, file: &str) {
    openssl(dir, &format!("genpkey {args} -out {file}"));
    fs::set_permissions(dir.join(file), Permissions::from_mode(0o600)).unwrap();
}

#[test]
fn generated_keys_agree_after_reopening() {
    let dir = tempfile::tempdir().unwrap();
    let secrets = secrets(&dir);
    for algorithm in EncryptionAlgorithm::ALL {
        let open_both = ["", "?encryption=none"].map(|query| {
            let file = format!("{}{}.pem", algorithm.keytype(), query.len());
            let key = uri(&format!("file:{file}{query}"));
            let public = generate_decryption_key(&key, algorithm, &secrets).unwrap();
            let again = generate_decryption_key(&key, algorithm, &secrets).unwrap_err();
            assert!(matches!(again, SignError::FileExists(_)), "{again}");
            let path = dir.path().join(&file);
            let mode = fs::metadata(&path).unwrap().permissions().mode();
            assert_eq!(mode & 0o7777, 0o600);
            let label = match query {
                "" => "-----BEGIN ENCRYPTED PRIVATE KEY-----\n",
                _ => "-----BEGIN PRIVATE KEY-----\n",
            };
            assert!(fs::read_to_string(&path).unwrap().starts_with(label));
            let opened = DecryptionKey::open(&key, &secrets).unwrap();
            assert_eq!(opened.public_key(), &public);
            assert_eq!(opened.custody().weaknesses(), [Weakness::InFile]);
            opened
        });
        let [a, b] = open_both;
        let secret = a.agree(b.public_key()).unwrap();
        assert_eq!(secret.len(), 32);
        assert_eq!(secret, b.agree(a.public_key()).unwrap());
        assert_ne!(secret, a.agree(a.public_key()).unwrap());
    }
}

#[test]
fn one_key_for_both_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let secrets = secrets(&dir);
    for (number, algorithm) in EncryptionAlgorithm::ALL.into_iter().enumerate() {
        let key = uri(&format!("file:decrypt{number}.pem"));
        generate_decryption_key(&key, algorithm, &secrets).unwrap();
        let error = open(&key, &secrets).unwrap_err();
        assert!(matches!(error, SignError::KeyFile { .. }));
        let text = error.to_string();
        assert!(text.contains("one key for both is refused"), "{text}");
    }
    for algorithm in [Algorithm::EcdsaP256, Algorithm::Ed25519] {
        let key = uri(&format!("file:{algorithm}.pem"));
        generate(&key, algorithm, &secrets).unwrap();
        let error = refused(&key, &secrets);
        assert!(matches!(error, SignError::KeyFile { .. }));
        let text = error.to_string();
        assert!(text.contains("one key for both is refused"), "{text}");
    }
}

#[test]
fn keys_of_openssl() {
    let dir = tempfile::tempdir().unwrap();
    let secrets = secrets(&dir);
    make(dir.path(), "-algorithm X25519", "x25519.pem");
    let theirs = DecryptionKey::open(&uri("file:x25519.pem"), &secrets).unwrap();
    let text = openssl(dir.path(), "pkey -in x25519.pem -noout -text_pub");
    let digits = text.split_once("pub:").unwrap().1;
    let digits: String = digits.chars().filter(char::is_ascii_hexdigit).collect();
    let public: Vec<String> = (theirs.public_key().public_bytes().iter())
        .map(|byte| format!("{byte:02x}"))
        .collect();
    assert_eq!(digits, public.concat());

    // And agrees as openssl does.
    make(dir.path(), "-algorithm X25519", "peer.pem");
    openssl(dir.path(), "pkey -in peer.pem -pubout -out peer.pub");
    openssl(
        dir.path(),
        "pkeyutl -derive -inkey x25519.pem -peerkey peer.pub -out secret",
    );
    let secret = fs::read(dir.path().join("secret")).unwrap();
    let peer = DecryptionKey::open(&uri("file:peer.pem"), &secrets).unwrap();
    assert_eq!(*theirs.agree(peer.public_key()).unwrap(), secret);

    // A key of openssl's on P-256 may sign.
    make(
        dir.path(),
        "-algorithm EC -pkeyopt ec_paramgen_curve:P-256",
        "p256.pem",
    );
    let text = refused(&uri("file:p256.pem"), &secrets).to_string();
    assert!(text.contains("one key for both is refused"), "{text}");
    for (algorithm, part) in [("X448", "1.3.101.111"), ("RSA", "do not decrypt")] {
        make(dir.path(), &format!("-algorithm {algorithm}"), algorithm);
        let text = refused(&uri(&format!("file:{algorithm}")), &secrets).to_string();
        assert!(text.contains(part), "{text}");
    }
}

#[test]
fn files_are_guarded_as_those_of_signing_keys() {
    let dir = tempfile::tempdir().unwrap();
    let secrets = secrets(&dir);
    let key = uri("file:key.pem");
    generate_decryption_key(&key, EncryptionAlgorithm::P256, &secrets).unwrap();
    let wrong = Secrets::unattended(dir.path()).with("COUNTERSIGN_PASSPHRASE", "wrong");
    assert!(matches!(
        refused(&key, &wrong),
        SignError::WrongPassphrase(_)
    ));
    let path = dir.path().join("key.pem");
    fs::set_permissions(&path, Permissions::from_mode(0o640)).unwrap();
    assert!(matches!(
        refused(&key, &secrets),
        SignError::Permissions { .. }
    ));
    let missing = refused(&uri("file:none.pem"), &secrets);
    assert!(matches!(missing, SignError::Io { .. }));
    let folder = uri("file:none/key.pem");
    let error = generate_decryption_key(&folder, EncryptionAlgorithm::P256, &secrets);
    assert!(matches!(error, Err(SignError::Io { .. })));
    let names: Vec<_> = fs::read_dir(dir.path()).unwrap().collect();
    assert_eq!(names.len(), 1, "something was left behind");
}

#[test]
fn a_yubihsm_decrypts_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let key = uri("yubihsm:id=0x0102");
    let text = refused(&key, &secrets(&dir)).to_string();
    assert!(text.contains("pkcs11:") && text.contains("file:"), "{text}");
    let made = generate_decryption_key(&key, EncryptionAlgorithm::P256, &secrets(&dir));
    assert!(matches!(made, Err(SignError::NoDecryption)));
}
