//! Key files: made here, made elsewhere, damaged, and in the wrong hands.

#![allow(clippy::unwrap_used)]

use std::fs::{self, Permissions};
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::Path;
use std::process::Command;

use countersign_metadata::{PublicKey, Scheme};
use countersign_signing::{Algorithm, KeyUri, Secrets, SignError, generate, open, public_key};
use tempfile::TempDir;

const FILE_ALGORITHMS: [Algorithm; 3] = [
    Algorithm::Ed25519,
    Algorithm::EcdsaP256,
    Algorithm::EcdsaP384,
];

fn uri(text: &str) -> KeyUri {
    text.parse().unwrap()
}

fn secrets(dir: &TempDir) -> Secrets {
    Secrets::unattended(dir.path()).with("COUNTERSIGN_PASSPHRASE", "correct horse")
}

fn signs(uri: &KeyUri, secrets: &Secrets) -> PublicKey {
    let signer = open(uri, secrets).unwrap();
    let signature = signer.sign(b"message").unwrap();
    let public = signer.public_key();
    assert!(public.verify(b"message", &signature));
    assert!(!public.verify(b"massage", &signature));
    assert_eq!(signer.key().public().as_ref(), Some(public));
    assert_eq!(signer.keyid(), signer.key().id());
    assert_eq!(&public_key(uri, secrets).unwrap(), public);
    public.clone()
}

fn refusal(uri: &KeyUri, secrets: &Secrets) -> String {
    open(uri, secrets).unwrap_err().to_string()
}

#[test]
fn generated_keys_sign_after_reopening() {
    let dir = tempfile::tempdir().unwrap();
    for algorithm in FILE_ALGORITHMS {
        for query in ["", "?encryption=none"] {
            let uri = uri(&format!("file:{algorithm}{}.pem{query}", query.len()));
            let public = generate(&uri, algorithm, &secrets(&dir)).unwrap();
            assert_eq!(signs(&uri, &secrets(&dir)), public);
        }
    }
    for entry in fs::read_dir(dir.path()).unwrap() {
        let entry = entry.unwrap();
        let name = entry.file_name().into_string().unwrap();
        let mode = entry.metadata().unwrap().permissions().mode();
        assert_eq!(mode & 0o7777, 0o600, "{name}");
        let text = fs::read_to_string(entry.path()).unwrap();
        let encrypted = text.starts_with("-----BEGIN ENCRYPTED PRIVATE KEY-----\n");
        assert_eq!(encrypted, name.ends_with("0.pem"), "{name}");
    }
    // No temporary files stay.
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 6);
}

#[test]
fn passphrases() {
    let dir = tempfile::tempdir().unwrap();
    let key = uri("file:root-1.pem");
    let none = Secrets::unattended(dir.path())
        .with("COUNTERSIGN_PASSPHRASE", "")
        .with("COUNTERSIGN_PASSPHRASE_ROOT_1", "");
    let error = generate(&key, Algorithm::Ed25519, &none).unwrap_err();
    assert!(matches!(error, SignError::NoPassphrase { new: true, .. }));
    let error = error.to_string();
    assert!(error.contains("COUNTERSIGN_PASSPHRASE_ROOT_1") && error.contains("encryption=none"));
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0);

    generate(&key, Algorithm::Ed25519, &secrets(&dir)).unwrap();
    assert!(matches!(
        open(&key, &none).unwrap_err(),
        SignError::NoPassphrase { new: false, .. }
    ));
    let wrong = Secrets::unattended(dir.path()).with("COUNTERSIGN_PASSPHRASE", "wrong");
    for _ in 0..3 {
        assert!(matches!(
            open(&key, &wrong).unwrap_err(),
            SignError::WrongPassphrase(_)
        ));
    }
    let right = wrong.with("COUNTERSIGN_PASSPHRASE_ROOT_1", "correct horse");
    signs(&key, &right);

    fs::write(dir.path().join("pass"), "correct horse\n").unwrap();
    let from_file = uri("file:root-1.pem?passphrase-file=pass");
    let none = Secrets::unattended(dir.path());
    fs::set_permissions(dir.path().join("pass"), Permissions::from_mode(0o644)).unwrap();
    assert!(refusal(&from_file, &none).contains("chmod 600"));
    fs::set_permissions(dir.path().join("pass"), Permissions::from_mode(0o600)).unwrap();
    signs(&from_file, &none);
}

#[test]
fn keys_are_never_overwritten() {
    let dir = tempfile::tempdir().unwrap();
    let key = uri("file:k.pem");
    let first = generate(&key, Algorithm::Ed25519, &secrets(&dir)).unwrap();
    let before = fs::read(dir.path().join("k.pem")).unwrap();
    let error = generate(&key, Algorithm::EcdsaP256, &secrets(&dir)).unwrap_err();
    assert!(matches!(error, SignError::FileExists(_)), "{error}");
    assert_eq!(fs::read(dir.path().join("k.pem")).unwrap(), before);
    assert_eq!(signs(&key, &secrets(&dir)), first);

    // Nor is anything else, such as a dangling link that would choose another place.
    symlink("elsewhere.pem", dir.path().join("link.pem")).unwrap();
    let link = uri("file:link.pem");
    let error = generate(&link, Algorithm::Ed25519, &secrets(&dir)).unwrap_err();
    assert!(matches!(error, SignError::FileExists(_)), "{error}");
    assert!(!dir.path().join("elsewhere.pem").exists());

    let error = generate(
        &uri("file:no/such/k.pem"),
        Algorithm::Ed25519,
        &secrets(&dir),
    );
    assert!(matches!(error, Err(SignError::Io { .. })));
    let error = generate(
        &uri("file:rsa.pem"),
        "rsa-3072".parse().unwrap(),
        &secrets(&dir),
    );
    let error = error.unwrap_err().to_string();
    assert!(error.contains("openssl genpkey") && error.contains("rsa_keygen_bits:3072"));
}

#[test]
fn two_writers_leave_one_whole_key() {
    let dir = tempfile::tempdir().unwrap();
    let key = uri("file:k.pem?encryption=none");
    let results: Vec<_> = std::thread::scope(|scope| {
        let writers: Vec<_> = (0..8)
            .map(|_| scope.spawn(|| generate(&key, Algorithm::Ed25519, &secrets(&dir))))
            .collect();
        writers.into_iter().map(|w| w.join().unwrap()).collect()
    });
    let winners: Vec<_> = results.into_iter().filter_map(Result::ok).collect();
    assert_eq!(winners.len(), 1);
    assert_eq!(signs(&key, &secrets(&dir)), winners[0]);
}

#[test]
fn others_must_not_be_able_to_read_the_key() {
    let dir = tempfile::tempdir().unwrap();
    let key = uri("file:k.pem?encryption=none");
    generate(&key, Algorithm::Ed25519, &secrets(&dir)).unwrap();
    for mode in [0o640, 0o604, 0o660, 0o601, 0o777] {
        fs::set_permissions(dir.path().join("k.pem"), Permissions::from_mode(mode)).unwrap();
        let error = open(&key, &secrets(&dir)).unwrap_err();
        assert!(matches!(error, SignError::Permissions { mode: m, .. } if m == mode));
        assert!(error.to_string().contains("chmod 600"));
    }
    fs::set_permissions(dir.path().join("k.pem"), Permissions::from_mode(0o400)).unwrap();
    signs(&key, &secrets(&dir));
}

/// CBC encryption has no checksum, so the content has to notice.
#[test]
fn a_changed_file_never_gives_another_key() {
    let dir = tempfile::tempdir().unwrap();
    let plain = uri("file:k.pem?encryption=none");
    let key = generate(&plain, Algorithm::Ed25519, &secrets(&dir)).unwrap();
    let text = fs::read_to_string(dir.path().join("k.pem")).unwrap();
    let mut refused = 0;
    for at in 0..text.len() {
        for flip in [1, 8] {
            let mut changed = text.clone().into_bytes();
            changed[at] ^= flip;
            let path = dir.path().join("changed.pem");
            fs::write(&path, &changed).unwrap();
            fs::set_permissions(&path, Permissions::from_mode(0o600)).unwrap();
            match open(&uri("file:changed.pem"), &secrets(&dir)) {
                Ok(signer) => assert_eq!(*signer.public_key(), key, "at {at}"),
                Err(_) => refused += 1,
            }
        }
    }
    assert!(refused > text.len(), "only {refused} refused");
}

#[test]
fn a_changed_encrypted_file_never_gives_another_key() {
    let dir = tempfile::tempdir().unwrap();
    let key = generate(&uri("file:k.pem"), Algorithm::Ed25519, &secrets(&dir)).unwrap();
    let text = fs::read_to_string(dir.path().join("k.pem")).unwrap();
    let path = dir.path().join("changed.pem");
    // The ciphertext is at the end; each flip costs a key derivation.
    for at in (text.len() - 180..text.len() - 40).step_by(17) {
        let mut changed = text.clone().into_bytes();
        changed[at] = if changed[at] == b'A' { b'B' } else { b'A' };
        fs::write(&path, &changed).unwrap();
        fs::set_permissions(&path, Permissions::from_mode(0o600)).unwrap();
        if let Ok(signer) = open(&uri("file:changed.pem"), &secrets(&dir)) {
            assert_eq!(*signer.public_key(), key, "at {at}");
        }
    }
}

#[test]
fn what_is_no_key_is_refused_with_a_remedy() {
    let dir = tempfile::tempdir().unwrap();
    let pem = |label: &str| format!("-----BEGIN {label}-----\nAAAA\n-----END {label}-----\n");
    // scrypt with N = 2^62: an EncryptedPrivateKeyInfo that would never end.
    let endless = "-----BEGIN ENCRYPTED PRIVATE KEY-----\n\
        MGkwVQYJKoZIhvcNAQUNMEgwJwYJKwYBBAHaRwQLMBoECDAxMjM0NTY3AghAAAAA\n\
        AAAAAAIBCAIBATAdBglghkgBZQMEASoEEDAxMjM0NTY3ODlhYmNkZWYEEDAxMjM0\n\
        NTY3ODlhYmNkZWY=\n\
        -----END ENCRYPTED PRIVATE KEY-----\n";
    for (content, reason) in [
        (String::new(), "does not start as PEM"),
        ("\u{0}".into(), "does not start as PEM"),
        ("hello\n".into(), "does not start as PEM"),
        ("x".repeat(70_000), "64 KiB"),
        (pem("EC PRIVATE KEY"), "openssl pkcs8 -topk8"),
        (pem("RSA PRIVATE KEY"), "openssl pkcs8 -topk8"),
        (pem("OPENSSH PRIVATE KEY"), "ssh-keygen"),
        (pem("PUBLIC KEY"), "public half"),
        (pem("CERTIFICATE"), "a certificate"),
        (pem("PRIVATE KEY"), "not a PKCS#8 key"),
        (pem("ENCRYPTED PRIVATE KEY"), "openssl pkcs8"),
        (pem("PRIVATE KEY").replace("AAAA", "A!AA"), "damaged"),
        (endless.into(), "costs more than"),
    ] {
        let path = dir.path().join("k.pem");
        fs::write(&path, &content).unwrap();
        fs::set_permissions(&path, Permissions::from_mode(0o600)).unwrap();
        let error = refusal(&uri("file:k.pem"), &secrets(&dir));
        assert!(error.contains(reason), "{content:.60}: {error}");
        assert!(error.contains("k.pem"), "{error}");
    }
    assert!(refusal(&uri("file:none.pem"), &secrets(&dir)).contains("cannot read"));
    fs::create_dir(dir.path().join("dir.pem")).unwrap();
    assert!(refusal(&uri("file:dir.pem"), &secrets(&dir)).contains("regular file"));
}

fn openssl(dir: &Path, args: &str) {
    let output = Command::new("openssl")
        .args(args.split_whitespace())
        .current_dir(dir)
        .output()
        .expect("openssl is needed for this test; on Debian: apt-get install openssl");
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "openssl {args}: {stderr}");
    for entry in fs::read_dir(dir).unwrap() {
        fs::set_permissions(entry.unwrap().path(), Permissions::from_mode(0o600)).unwrap();
    }
}

#[test]
fn keys_made_by_openssl() {
    let dir = tempfile::tempdir().unwrap();
    let pass = "-aes-256-cbc -pass pass:correct";
    for (make, scheme) in [
        ("-algorithm ED25519", Scheme::Ed25519),
        (
            "-algorithm EC -pkeyopt ec_paramgen_curve:P-256",
            Scheme::EcdsaP256,
        ),
        (
            "-algorithm EC -pkeyopt ec_paramgen_curve:P-384",
            Scheme::EcdsaP384,
        ),
        (
            "-algorithm RSA -pkeyopt rsa_keygen_bits:2048",
            Scheme::RsaPss,
        ),
        (
            "-algorithm RSA -pkeyopt rsa_keygen_bits:4096",
            Scheme::RsaPss,
        ),
    ] {
        openssl(dir.path(), &format!("genpkey {make} -out plain.pem"));
        openssl(dir.path(), &format!("genpkey {make} {pass} -out enc.pem"));
        openssl(dir.path(), "pkey -in plain.pem -pubout -out pub.pem");
        let secrets = Secrets::unattended(dir.path()).with("COUNTERSIGN_PASSPHRASE", "correct");
        let plain = signs(&uri("file:plain.pem"), &secrets);
        assert_eq!(plain.scheme(), scheme);
        assert_eq!(signs(&uri("file:enc.pem"), &secrets).scheme(), scheme);
        if scheme != Scheme::Ed25519 {
            let openssl_public = fs::read_to_string(dir.path().join("pub.pem")).unwrap();
            assert_eq!(plain.to_text().trim(), openssl_public.trim());
        }
    }
}

#[test]
fn openssl_verifies_what_we_sign() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("message"), "signed here").unwrap();
    let check = "dgst -sha256 -verify pub.pem -signature signature";
    let pss = "-sigopt rsa_padding_mode:pss -sigopt rsa_pss_saltlen:32";
    for (make, verify) in [
        ("EC -pkeyopt ec_paramgen_curve:P-256", check.to_owned()),
        (
            "EC -pkeyopt ec_paramgen_curve:P-384",
            check.replace("256", "384"),
        ),
        (
            "RSA -pkeyopt rsa_keygen_bits:3072",
            format!("{check} {pss}"),
        ),
    ] {
        openssl(dir.path(), &format!("genpkey -algorithm {make} -out k.pem"));
        openssl(dir.path(), "pkey -in k.pem -pubout -out pub.pem");
        let signer = open(&uri("file:k.pem"), &secrets(&dir)).unwrap();
        let signature = signer.sign(b"signed here").unwrap();
        fs::write(dir.path().join("signature"), signature).unwrap();
        openssl(dir.path(), &format!("{verify} message"));
    }
}

#[test]
fn openssl_keys_that_cannot_be_used() {
    let dir = tempfile::tempdir().unwrap();
    for (make, reason) in [
        ("-algorithm ED448", "not known"),
        (
            "-algorithm EC -pkeyopt ec_paramgen_curve:secp256k1",
            "curve",
        ),
        ("-algorithm RSA -pkeyopt rsa_keygen_bits:1024", "2048"),
        (
            "-algorithm RSA-PSS -pkeyopt rsa_keygen_bits:2048",
            "PSS only",
        ),
        ("-algorithm X25519", "one key for both is refused"),
    ] {
        openssl(dir.path(), &format!("genpkey {make} -out k.pem"));
        let error = refusal(&uri("file:k.pem"), &secrets(&dir));
        assert!(error.contains(reason), "{make}: {error}");
    }
    openssl(dir.path(), "genpkey -algorithm ED25519 -out k.pem");
    openssl(
        dir.path(),
        "pkcs8 -topk8 -v1 PBE-SHA1-3DES -in k.pem -passout pass:correct -out old.pem",
    );
    let secrets = Secrets::unattended(dir.path()).with("COUNTERSIGN_PASSPHRASE", "correct");
    let error = refusal(&uri("file:old.pem"), &secrets);
    assert!(error.contains("openssl pkcs8 -topk8 -v2"), "{error}");
}
