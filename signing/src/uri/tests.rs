use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt as _;
use std::path::{Path, PathBuf};

use proptest::option;
use proptest::prelude::*;

use super::{FileUri, KeyUri, Pkcs11Uri, YubiHsmUri};

fn parse(text: &str) -> Result<KeyUri, String> {
    text.parse()
        .map_err(|error: super::UriError| error.to_string())
}

fn file(text: &str) -> FileUri {
    match parse(text).unwrap() {
        KeyUri::File(uri) => uri,
        other => panic!("{other:?}"),
    }
}

fn token(text: &str) -> Pkcs11Uri {
    match parse(text).unwrap() {
        KeyUri::Pkcs11(uri) => uri,
        other => panic!("{other:?}"),
    }
}

#[test]
fn file_paths() {
    for (text, path) in [
        ("file:keys/root1.pem", "keys/root1.pem"),
        ("FILE:keys/root%201.pem", "keys/root 1.pem"),
        ("file:my keys/a.pem", "my keys/a.pem"),
        ("file:/etc/k.pem", "/etc/k.pem"),
        ("file:///etc/k.pem", "/etc/k.pem"),
        ("file:a%3Fb%23c.pem", "a?b#c.pem"),
    ] {
        assert_eq!(file(text).path(), Path::new(path), "{text}");
    }
    let uri = file("file:k.pem?passphrase-file=secrets/p%26q");
    assert_eq!(uri.passphrase_file(), Some(Path::new("secrets/p&q")));
    assert!(!uri.unencrypted());
    assert!(file("file:k.pem?encryption=none").unencrypted());
}

#[test]
fn pkcs11_attributes() {
    let uri = token(
        "pkcs11:token=Root%20A;serial=12ab;slot-id=7;object=root;id=%01%ff;type=private\
         ?module-path=/usr/lib/softhsm/libsofthsm2.so&pin-source=file:/run/pin",
    );
    assert_eq!(uri.token(), Some("Root A"));
    assert_eq!(uri.serial.as_deref(), Some("12ab"));
    assert_eq!(uri.slot_id, Some(7));
    assert_eq!(uri.object(), Some("root"));
    assert_eq!(uri.id(), Some([1, 0xff].as_slice()));
    assert_eq!(
        uri.module_path(),
        Some(Path::new("/usr/lib/softhsm/libsofthsm2.so"))
    );
    assert_eq!(uri.pin_file(), Some(Path::new("/run/pin")));
    assert!(!uri.allow_extractable());
    assert!(token("pkcs11:object=a?x-extractable=allow").allow_extractable());
    assert_eq!(
        token("pkcs11:object=a?pin-source=file:///run/pin").pin_file(),
        token("pkcs11:object=a?pin-source=file%3A%2Frun%2Fpin").pin_file(),
    );
}

#[test]
fn what_is_refused_and_why() {
    for (text, reason) in [
        ("", "no scheme"),
        ("keys/root.pem", "no scheme"),
        ("https://x/y", "unknown scheme"),
        ("tpm:object=1", "unknown scheme"),
        ("file:", "the path is empty"),
        ("file://host/k.pem", "this machine"),
        ("file:a#b", "%23"),
        ("file:a%2", "two hexadecimal digits"),
        ("file:a%+1", "two hexadecimal digits"),
        ("file:a%00", "zero byte"),
        ("file:a\nb", "control character"),
        ("file:a?b=c", "unknown attribute"),
        ("file:a?passphrase=hunter2", "does not belong in a URI"),
        ("file:a?encryption=maybe", "can only be none"),
        ("file:a?encryption=none&passphrase-file=b", "contradict"),
        ("file:a?passphrase-file=", "is empty"),
        ("pkcs11:", "names no key"),
        ("pkcs11:token=a", "names no key"),
        ("pkcs11:object", "NAME=VALUE"),
        ("pkcs11:object=a;", "NAME=VALUE"),
        ("pkcs11:object=a;object=b", "twice"),
        ("pkcs11:object=", "is empty"),
        ("pkcs11:id=", "is empty"),
        ("pkcs11:object=%ff", "not UTF-8"),
        ("pkcs11:object=a b", "%20"),
        ("pkcs11:object=a/b", "%2F"),
        ("pkcs11:object=a;slot-id=+1", "decimal"),
        ("pkcs11:object=a;slot-id=", "decimal"),
        ("pkcs11:object=a;slot-id=99999999999999999999", "decimal"),
        ("pkcs11:object=a;type=public", "private"),
        ("pkcs11:object=a;library-version=2", "unknown attribute"),
        ("pkcs11:object=a;Token=2", "unknown attribute"),
        ("pkcs11:object=a;pin-value=hunter2#", "process lists"),
        ("pkcs11:object=a;pin-source=file:a", "behind the ?"),
        ("pkcs11:object=a?pin-value=hunter2#", "process lists"),
        ("pkcs11:object=a?pin-source=|cat", "must not start programs"),
        (
            "pkcs11:object=a?pin-source=%7Ccat",
            "must not start programs",
        ),
        ("pkcs11:object=a?pin-source=https://x", "file:PATH"),
        ("pkcs11:object=a?pin-source=file://host/x", "this machine"),
        ("pkcs11:object=a?pin-source=file:", "is empty"),
        ("pkcs11:object=a?module-name=x", "module-path"),
        ("pkcs11:object=a?x-extractable=yes", "can only be allow"),
        ("pkcs11:object=a?x-other=1", "unknown attribute"),
    ] {
        let error = parse(text).unwrap_err();
        assert!(error.contains(reason), "{text:?}: {error}");
        assert!(!error.contains("hunter2"), "a secret is repeated: {error}");
    }
    let long = format!("file:{}", "a".repeat(20_000));
    assert!(parse(&long).unwrap_err().contains("longer than"));
}

fn yubihsm(text: &str) -> YubiHsmUri {
    match parse(text).unwrap() {
        KeyUri::YubiHsm(uri) => uri,
        other => panic!("{other:?}"),
    }
}

#[test]
fn yubihsm_attributes() {
    let uri = yubihsm(
        "yubihsm:connector=hsm-1.example:4711;id=0x0102;serial=7550054;authkey=10;label=Root%20A\
         ?pin-source=file:/run/pin&x-extractable=allow&x-default-password=allow",
    );
    assert_eq!(uri.connector(), "hsm-1.example:4711");
    assert_eq!((uri.id(), uri.authkey()), (0x0102, 10));
    assert_eq!(uri.serial(), Some("0007550054"));
    assert_eq!(uri.label(), Some("Root A"));
    assert_eq!(uri.password_file(), Some(Path::new("/run/pin")));
    assert!(uri.allow_extractable() && uri.allow_default_password());

    let uri = yubihsm("yubihsm:id=7");
    assert_eq!(uri.connector(), "127.0.0.1:12345");
    assert_eq!((uri.id(), uri.authkey()), (7, 1));
    assert!(!uri.allow_extractable() && !uri.allow_default_password());
    let text = KeyUri::YubiHsm(uri).to_string();
    assert_eq!(text, "yubihsm:connector=127.0.0.1:12345;id=0x0007");

    for (text, connector) in [
        ("yubihsm:id=1;connector=http://localhost:1", "localhost:1"),
        (
            "yubihsm:id=1;connector=http:%2F%2Flocalhost:1/",
            "localhost:1",
        ),
        ("yubihsm:id=1;connector=[::1]:12345", "[::1]:12345"),
    ] {
        assert_eq!(yubihsm(text).connector(), connector, "{text}");
    }
}

#[test]
fn refused_yubihsm_uris() {
    for (text, reason) in [
        ("yubihsm:", "names no key"),
        ("yubihsm:connector=a:1", "names no key"),
        ("yubihsm:id=0", "not an object id"),
        ("yubihsm:id=65536", "not an object id"),
        ("yubihsm:id=0x", "not an object id"),
        ("yubihsm:id=+1", "not an object id"),
        ("yubihsm:id=ff", "not an object id"),
        ("yubihsm:id=0x+1", "not an object id"),
        ("yubihsm:id=1;id=1", "twice"),
        ("yubihsm:id=1;authkey=0", "not an object id"),
        ("yubihsm:id=1;connector=localhost", "HOST:PORT"),
        ("yubihsm:id=1;connector=localhost:", "HOST:PORT"),
        ("yubihsm:id=1;connector=localhost:0", "HOST:PORT"),
        ("yubihsm:id=1;connector=localhost:65536", "HOST:PORT"),
        ("yubihsm:id=1;connector=localhost:+1", "HOST:PORT"),
        ("yubihsm:id=1;connector=:1", "HOST:PORT"),
        ("yubihsm:id=1;connector=::1:1", "HOST:PORT"),
        ("yubihsm:id=1;connector=[::g]:1", "HOST:PORT"),
        ("yubihsm:id=1;connector=a%0D%0Ab:1", "HOST:PORT"),
        ("yubihsm:id=1;connector=user@host:1", "HOST:PORT"),
        ("yubihsm:id=1;connector=http://host:1/x", "HOST:PORT"),
        ("yubihsm:id=1;connector=https://host:1", "end to end"),
        ("yubihsm:id=1;serial=x", "serial number"),
        ("yubihsm:id=1;serial=4294967296", "serial number"),
        (
            "yubihsm:id=1;label=0123456789012345678901234567890123456789x",
            "40 bytes",
        ),
        ("yubihsm:id=1;label=%00", "40 bytes"),
        ("yubihsm:id=1;object=a", "unknown attribute"),
        ("yubihsm:id=1;pin-source=file:a", "behind the ?"),
        ("yubihsm:id=1;password=hunter2#", "process lists"),
        ("yubihsm:id=1?password=hunter2#", "process lists"),
        ("yubihsm:id=1?pin=hunter2", "process lists"),
        ("yubihsm:id=1?pin-value=hunter2", "process lists"),
        ("yubihsm:id=1?pin-source=|cat", "must not start programs"),
        ("yubihsm:id=1?pin-source=pin", "file:PATH"),
        ("yubihsm:id=1?x-extractable=yes", "can only be allow"),
        ("yubihsm:id=1?x-default-password=", "can only be allow"),
        ("yubihsm:id=1?x-other=1", "unknown attribute"),
    ] {
        let error = parse(text).unwrap_err();
        assert!(error.contains(reason), "{text:?}: {error}");
        assert!(!error.contains("hunter2"), "a secret is repeated: {error}");
    }
}

fn path() -> impl Strategy<Value = PathBuf> {
    prop::collection::vec(1u8.., 1..40).prop_map(|bytes| OsString::from_vec(bytes).into())
}

fn pkcs11() -> impl Strategy<Value = Pkcs11Uri> {
    let text = || option::of(".{1,12}");
    let id = option::of(prop::collection::vec(any::<u8>(), 1..9));
    let object =
        prop_oneof![(text(), id).prop_filter("names a key", |(o, i)| o.is_some() || i.is_some()),];
    (
        (text(), text(), text(), text(), any::<Option<u64>>()),
        object,
        (option::of(path()), option::of(path()), any::<bool>()),
    )
        .prop_map(|(token, (object, id), query)| Pkcs11Uri {
            token: token.0,
            serial: token.1,
            manufacturer: token.2,
            model: token.3,
            slot_id: token.4,
            object,
            id,
            module_path: query.0,
            pin_file: query.1,
            allow_extractable: query.2,
        })
}

fn yubihsm_uris() -> impl Strategy<Value = YubiHsmUri> {
    (
        ("[a-z0-9.-]{1,20}", 1u16..),
        (1u16.., 1u16..),
        (any::<Option<u32>>(), option::of("[^\0]{1,10}")),
        (option::of(path()), any::<bool>(), any::<bool>()),
    )
        .prop_map(|(connector, ids, names, query)| YubiHsmUri {
            connector: format!("{}:{}", connector.0, connector.1),
            id: ids.0,
            authkey: ids.1,
            serial: names.0.map(|number| format!("{number:010}")),
            label: names.1,
            password_file: query.0,
            allow_extractable: query.1,
            allow_default_password: query.2,
        })
}

proptest! {
    #[test]
    fn yubihsm_uris_round_trip(uri in yubihsm_uris()) {
        let uri = KeyUri::YubiHsm(uri);
        prop_assert_eq!(parse(&uri.to_string()), Ok(uri));
    }

    #[test]
    fn pkcs11_uris_round_trip(uri in pkcs11()) {
        let uri = KeyUri::Pkcs11(uri);
        prop_assert_eq!(parse(&uri.to_string()), Ok(uri));
    }

    #[test]
    fn file_uris_round_trip(path in path(), secret in option::of(path())) {
        let uri = FileUri { path, unencrypted: secret.is_none(), passphrase_file: secret };
        let uri = KeyUri::File(uri);
        prop_assert_eq!(parse(&uri.to_string()), Ok(uri));
    }

    #[test]
    fn what_parses_is_written_so_that_it_parses_again(
        text in "(file|pkcs11|yubihsm):(//)?(object=|id=)?[a-z0-9%/;=?&:. -]{0,40}",
    ) {
        if let Ok(uri) = parse(&text) {
            prop_assert_eq!(parse(&uri.to_string()), Ok(uri));
        }
    }

    #[test]
    fn no_text_panics(text in "\\PC*", scheme in "(file|pkcs11|yubihsm)?:?") {
        let _ = parse(&text);
        let _ = parse(&format!("{scheme}{text}"));
    }
}
