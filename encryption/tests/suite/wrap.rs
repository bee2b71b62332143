//! Wrapped keys unwrap for the one ECU and in the one context that they were made for.

use std::cell::Cell;

use countersign_encryption::{
    ContentKey, Decapsulate, DeviceError, EncryptionError, FileInfo, WrapContext, unwrap, wrap,
};
use countersign_metadata::uptane::{EcuSerial, EncryptionKey, Vin, WrappedKey};
use countersign_metadata::{Hashes, KeyId, TargetPath};
use hpke::aead::AesGcm256;
use hpke::kdf::HkdfSha256;
use hpke::kem::{DhP256HkdfSha256, X25519HkdfSha256};
use hpke::{Deserializable as _, Kem, OpModeR, Serializable as _};
use p256::elliptic_curve::sec1::ToSec1Point as _;
use proptest::prelude::*;
use zeroize::Zeroizing;

/// A private key in memory, with a count of what it was asked.
struct SoftKey {
    public: EncryptionKey,
    secret: Secret,
    asked: Cell<usize>,
}

enum Secret {
    P256(p256::SecretKey),
    X25519(x25519_dalek::StaticSecret),
}

impl SoftKey {
    fn p256(secret: [u8; 32]) -> Self {
        let secret = p256::SecretKey::from_slice(&secret).unwrap();
        let public =
            EncryptionKey::p256(secret.public_key().to_sec1_point(false).as_bytes()).unwrap();
        Self::new(public, Secret::P256(secret))
    }

    fn x25519(secret: [u8; 32]) -> Self {
        let secret = x25519_dalek::StaticSecret::from(secret);
        let public = x25519_dalek::PublicKey::from(&secret).to_bytes();
        Self::new(EncryptionKey::x25519(public), Secret::X25519(secret))
    }

    fn new(public: EncryptionKey, secret: Secret) -> Self {
        let asked = Cell::new(0);
        Self {
            public,
            secret,
            asked,
        }
    }
}

impl Decapsulate for SoftKey {
    fn public_key(&self) -> &EncryptionKey {
        &self.public
    }

    fn agree(&self, peer: &EncryptionKey) -> Result<Zeroizing<Vec<u8>>, DeviceError> {
        self.asked.set(self.asked.get() + 1);
        let enc = peer.public_bytes();
        Ok(Zeroizing::new(match &self.secret {
            Secret::P256(secret) => {
                let peer = p256::PublicKey::from_sec1_bytes(enc)?;
                let scalar = secret.to_nonzero_scalar();
                let shared = p256::ecdh::diffie_hellman(scalar, peer.as_affine());
                shared.raw_secret_bytes().to_vec()
            }
            Secret::X25519(secret) => {
                let peer: [u8; 32] = enc.try_into()?;
                secret.diffie_hellman(&peer.into()).to_bytes().to_vec()
            }
        }))
    }
}

fn both() -> [SoftKey; 2] {
    [SoftKey::p256([3; 32]), SoftKey::x25519([4; 32])]
}

fn content() -> ContentKey {
    ContentKey::from_bytes(Zeroizing::new([0x5a; 32]))
}

fn info(length: u64, bytes: &[u8]) -> FileInfo {
    let hashes = Hashes::of(bytes);
    FileInfo { length, hashes }
}

fn context() -> WrapContext {
    WrapContext {
        vin: Vin::new("WVWZZZ1JZXW000001").unwrap(),
        serial: EcuSerial::new("brake-0001").unwrap(),
        filename: TargetPath::new("brake/2.0.img").unwrap(),
        release_counter: 7,
        method: "aes-256-gcm-64k".into(),
        plaintext: info(100, b"plain"),
        ciphertext: info(148, b"cipher"),
    }
}

#[track_caller]
fn refused(wrapped: &WrappedKey, context: &WrapContext, key: &SoftKey) -> EncryptionError {
    match unwrap(wrapped, context, key) {
        Ok(_) => panic!("unwrapped"),
        Err(error) => error,
    }
}

#[track_caller]
fn key_unwrap(wrapped: &WrappedKey, context: &WrapContext, key: &SoftKey) -> &'static str {
    match refused(wrapped, context, key) {
        EncryptionError::KeyUnwrap { why } => why,
        other => panic!("{other}"),
    }
}

#[test]
fn a_wrapped_key_comes_back() {
    for key in both() {
        let wrapped = wrap(&content(), &key.public, &context()).unwrap();
        assert_eq!(wrapped.keyid, key.public.id());
        let unwrapped = unwrap(&wrapped, &context(), &key).unwrap();
        assert_eq!(unwrapped.expose(), content().expose());
        // Each wrapping has an encapsulated key of its own.
        let again = wrap(&content(), &key.public, &context()).unwrap();
        assert_ne!((again.enc, again.ct), (wrapped.enc, wrapped.ct));
    }
}

#[test]
fn the_info_is_that_of_the_documentation() {
    let expected = concat!(
        r#"{"ciphertext":{"hashes":{"sha256":"C256","sha512":"C512"},"length":148},"#,
        r#""filename":"brake/2.0.img","format":"countersign-content-key-v1","#,
        r#""method":"aes-256-gcm-64k","#,
        r#""plaintext":{"hashes":{"sha256":"P256","sha512":"P512"},"length":100},"#,
        r#""releaseCounter":7,"serial":"brake-0001","vin":"WVWZZZ1JZXW000001"}"#,
    );
    let mut expected = expected.to_owned();
    for (letter, info) in [("C", context().ciphertext), ("P", context().plaintext)] {
        let (sha256, sha512) = (info.hashes.sha256.unwrap(), info.hashes.sha512.unwrap());
        expected = expected.replace(&format!("{letter}256"), &hex::encode(sha256));
        expected = expected.replace(&format!("{letter}512"), &hex::encode(sha512));
    }
    assert_eq!(String::from_utf8(context().info()).unwrap(), expected);
}

#[test]
fn for_another_ecu() {
    for (key, other) in both()
        .into_iter()
        .zip([SoftKey::p256([8; 32]), SoftKey::x25519([8; 32])])
    {
        let mut wrapped = wrap(&content(), &key.public, &context()).unwrap();
        assert!(key_unwrap(&wrapped, &context(), &other).contains("another encryption key"));
        assert_eq!(other.asked.get(), 0);
        // With the other's id written over it.
        wrapped.keyid = other.public.id();
        assert!(key_unwrap(&wrapped, &context(), &other).contains("was changed"));
        wrapped.keyid = KeyId::new("brake").unwrap();
        assert!(key_unwrap(&wrapped, &context(), &key).contains("another encryption key"));
    }
}

#[test]
fn in_another_context() {
    let other_hash = FileInfo {
        hashes: Hashes::of(b"other"),
        ..context().plaintext
    };
    let fewer_hashes = FileInfo {
        hashes: Hashes {
            sha512: None,
            ..context().plaintext.hashes
        },
        ..context().plaintext
    };
    type Change<'a> = &'a dyn Fn(&mut WrapContext);
    let changed: [(&str, Change<'_>); 9] = [
        ("vin", &|it| it.vin = Vin::new("WVWZZZ1JZXW000002").unwrap()),
        ("serial", &|it| {
            it.serial = EcuSerial::new("brake-0002").unwrap()
        }),
        ("filename", &|it| {
            it.filename = TargetPath::new("brake/2.1.img").unwrap()
        }),
        ("release counter", &|it| it.release_counter = 6),
        ("plaintext length", &|it| it.plaintext.length = 101),
        ("plaintext hash", &|it| it.plaintext = other_hash.clone()),
        ("fewer hashes", &|it| it.plaintext = fewer_hashes.clone()),
        ("ciphertext length", &|it| it.ciphertext.length = 149),
        ("ciphertext hash", &|it| {
            it.ciphertext.hashes = Hashes::of(b"other")
        }),
    ];
    for key in both() {
        let wrapped = wrap(&content(), &key.public, &context()).unwrap();
        for (name, change) in &changed {
            let mut other = context();
            change(&mut other);
            assert!(
                key_unwrap(&wrapped, &other, &key).contains("was changed"),
                "{name}"
            );
        }
    }
}

#[test]
fn with_another_method() {
    let key = SoftKey::p256([3; 32]);
    let wrapped = wrap(&content(), &key.public, &context()).unwrap();
    let other = WrapContext {
        method: "aes-128-cbc".into(),
        ..context()
    };
    for error in [
        refused(&wrapped, &other, &key),
        wrap(&content(), &key.public, &other).err().unwrap(),
    ] {
        assert!(
            matches!(&error, EncryptionError::UnknownMethod { found } if found == "aes-128-cbc")
        );
    }
    assert_eq!(key.asked.get(), 0);
}

#[test]
fn cut_or_extended() {
    for key in both() {
        let good = wrap(&content(), &key.public, &context()).unwrap();
        for length in (0..good.ct.len()).chain([49, 64]) {
            let mut wrapped = good.clone();
            wrapped.ct.resize(length, 0);
            assert!(key_unwrap(&wrapped, &context(), &key).contains("48 bytes"));
        }
        let whole = good.enc.len();
        for length in (0..whole).chain([whole + 1, 200]) {
            let mut wrapped = good.clone();
            wrapped.enc.resize(length, 0);
            assert!(key_unwrap(&wrapped, &context(), &key).contains("no public key"));
        }
        assert_eq!(key.asked.get(), 0);
    }
}

#[test]
fn with_a_point_that_is_not_on_the_curve() {
    let key = SoftKey::p256([3; 32]);
    let good = wrap(&content(), &key.public, &context()).unwrap();
    let off_curve = |wrapped: &mut WrappedKey| wrapped.enc[64] ^= 1;
    let compressed = |wrapped: &mut WrappedKey| {
        let sign = 2 + (wrapped.enc[64] & 1);
        wrapped.enc.truncate(33);
        wrapped.enc[0] = sign;
    };
    let hybrid = |wrapped: &mut WrappedKey| wrapped.enc[0] = 6 + (wrapped.enc[64] & 1);
    let identity = |wrapped: &mut WrappedKey| wrapped.enc = vec![0];
    let zeros = |wrapped: &mut WrappedKey| wrapped.enc[1..].fill(0);
    let too_large = |wrapped: &mut WrappedKey| wrapped.enc[1..33].fill(0xff);
    let changes: [&dyn Fn(&mut WrappedKey); 6] = [
        &off_curve,
        &compressed,
        &hybrid,
        &identity,
        &zeros,
        &too_large,
    ];
    for change in changes {
        let mut wrapped = good.clone();
        change(&mut wrapped);
        assert!(key_unwrap(&wrapped, &context(), &key).contains("no public key"));
    }
    assert_eq!(key.asked.get(), 0, "the key was used with a bad point");
}

/// RFC 7748 6.1, RFC 9180 7.1.4. Points of order 1, 2, 4 and 8.
#[test]
fn with_an_x25519_point_of_small_order() {
    let key = SoftKey::x25519([4; 32]);
    let mut one = [0; 32];
    one[0] = 1;
    let order_8 = "e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800";
    let order_8: [u8; 32] = hex::decode(order_8).unwrap().try_into().unwrap();
    for point in [[0; 32], one, order_8] {
        let mut wrapped = wrap(&content(), &key.public, &context()).unwrap();
        wrapped.enc = point.to_vec();
        assert!(key_unwrap(&wrapped, &context(), &key).contains("nothing secret"));
        let error = wrap(&content(), &EncryptionKey::x25519(point), &context()).err();
        assert!(matches!(error, Some(EncryptionError::UnusableKey { .. })));
    }
}

#[test]
fn a_key_that_does_not_answer_is_not_an_attack() {
    struct Failing(EncryptionKey, Option<usize>);
    impl Decapsulate for Failing {
        fn public_key(&self) -> &EncryptionKey {
            &self.0
        }
        fn agree(&self, _: &EncryptionKey) -> Result<Zeroizing<Vec<u8>>, DeviceError> {
            match self.1 {
                Some(length) => Ok(Zeroizing::new(vec![1; length])),
                None => Err("the token was removed".into()),
            }
        }
    }
    let public = SoftKey::p256([3; 32]).public;
    let wrapped = wrap(&content(), &public, &context()).unwrap();
    for (length, says) in [(None, "token was removed"), (Some(31), "32 bytes")] {
        let error = unwrap(&wrapped, &context(), &Failing(public.clone(), length))
            .err()
            .unwrap();
        assert!(matches!(error, EncryptionError::Device(_)));
        assert!(error.to_string().contains(says), "{error}");
    }
}

/// Another implementation's both halves: it opens what we wrap, and we unwrap what it seals.
fn peer<K: Kem>(seed: u8, key: impl Fn([u8; 32]) -> SoftKey) {
    let key = key([seed; 32]);
    let secret = K::PrivateKey::from_bytes(&[seed; 32]).unwrap();
    let info = context().info();

    let ours = wrap(&content(), &key.public, &context()).unwrap();
    let enc = K::EncappedKey::from_bytes(&ours.enc).unwrap();
    let opened = hpke::single_shot_open::<AesGcm256, HkdfSha256, K>(
        &OpModeR::Base,
        &secret,
        &enc,
        &info,
        &ours.ct,
        b"",
    );
    assert_eq!(opened.unwrap(), content().expose());

    let theirs = hpke::single_shot_seal::<AesGcm256, HkdfSha256, K>(
        &hpke::OpModeS::Base,
        &K::sk_to_pk(&secret),
        &info,
        content().expose(),
        b"",
    );
    let (enc, ct) = theirs.unwrap();
    let theirs = WrappedKey::new(key.public.id(), enc.to_bytes().to_vec(), ct);
    let unwrapped = unwrap(&theirs, &context(), &key).unwrap();
    assert_eq!(unwrapped.expose(), content().expose());
}

#[test]
fn the_hpke_crate_agrees() {
    for seed in 1..20 {
        peer::<DhP256HkdfSha256>(seed, SoftKey::p256);
        peer::<X25519HkdfSha256>(seed, SoftKey::x25519);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn any_changed_bit_is_refused(at in 0..200_usize, bit in 0..8) {
        for key in both() {
            let mut wrapped = wrap(&content(), &key.public, &context()).unwrap();
            let length = wrapped.enc.len() + wrapped.ct.len();
            let at = at % length;
            match at.checked_sub(wrapped.enc.len()) {
                Some(at) => wrapped.ct[at] ^= 1_u8 << bit,
                None => wrapped.enc[at] ^= 1_u8 << bit,
            }
            key_unwrap(&wrapped, &context(), &key);
        }
    }

    #[test]
    fn no_bytes_panic(
        enc in prop::collection::vec(any::<u8>(), 0..70),
        ct in prop::collection::vec(any::<u8>(), 0..60),
    ) {
        for key in both() {
            let wrapped = WrappedKey::new(key.public.id(), enc.clone(), ct.clone());
            key_unwrap(&wrapped, &context(), &key);
        }
    }
}
