//! Which key URIs may travel: an invitation tells a holder's machine where to look for a key, and
//! must not tell it what to load, what to read or write, and whom to talk to.

use countersign_signing::KeyUri;

/// Whether `uri` names a key and nothing else. The error says what it names besides.
pub(crate) fn check(uri: &str) -> Result<(), String> {
    let problem = match &uri.parse::<KeyUri>().map_err(|error| error.to_string())? {
        KeyUri::Pkcs11(uri) if uri.module_path().is_some() => Some("a library (module-path)"),
        KeyUri::Pkcs11(uri) if uri.pin_file().is_some() => Some("a file with a PIN (pin-source)"),
        KeyUri::File(uri) if uri.passphrase_file().is_some() => {
            Some("a file with a passphrase (passphrase-file)")
        }
        KeyUri::YubiHsm(uri) if uri.password_file().is_some() => {
            Some("a file with a password (pin-source)")
        }
        KeyUri::YubiHsm(uri) if uri.allow_default_password() => {
            Some("that the factory password will do (x-default-password)")
        }
        KeyUri::YubiHsm(uri) if !is_loopback(uri.connector()) => {
            Some("a connector on another machine (connector)")
        }
        KeyUri::File(_) | KeyUri::Pkcs11(_) | KeyUri::YubiHsm(_) => None,
        _ => Some("something that this version does not know"),
    };
    match problem {
        None => Ok(()),
        Some(what) => Err(format!(
            "the key URI names {what}, which is for each holder's machine to say: leave it out \
             here, and set COUNTERSIGN_PKCS11_MODULE there or give the whole URI with --key"
        )),
    }
}

/// Whether an invitation may have a key made or used at `uri`: in a token only. A path would be the
/// lead's choice of a file on the holder's machine, or on the stick.
pub(crate) fn check_invited(uri: &str) -> Result<(), String> {
    check(uri)?;
    match uri.parse::<KeyUri>() {
        Ok(KeyUri::File(_)) => Err(
            "it names a file for the private key, which is for you to choose: if the key is to be \
             in a file, name it yourself with --key file:PATH"
                .into(),
        ),
        _ => Ok(()),
    }
}

fn is_loopback(connector: &str) -> bool {
    let host = connector
        .rsplit_once(':')
        .map_or(connector, |(host, _)| host);
    matches!(host, "127.0.0.1" | "localhost" | "[::1]")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_invitation_chooses_no_file() {
        assert!(check_invited("pkcs11:token=anna;object=root").is_ok());
        assert!(check_invited("yubihsm:id=2").is_ok());
        assert!(check_invited("file:/media/usb/root.pem?encryption=none").is_err());
    }

    #[test]
    fn only_names_of_keys_travel() {
        for (uri, fine) in [
            ("pkcs11:token=anna;object=root", true),
            ("pkcs11:object=root?module-path=/media/usb/evil.so", false),
            ("pkcs11:object=root?pin-source=file:/srv/secret", false),
            ("file:keys/root.pem", true),
            ("file:keys/root.pem?encryption=none", true),
            ("file:keys/root.pem?passphrase-file=/etc/shadow", false),
            ("yubihsm:id=2", true),
            ("yubihsm:connector=127.0.0.1:12345;id=2", true),
            ("yubihsm:connector=203.0.113.5:12345;id=2", false),
            ("yubihsm:connector=127.0.0.1.example.com:12345;id=2", false),
            ("yubihsm:id=2?pin-source=file:/srv/secret", false),
            ("yubihsm:id=2?x-default-password=allow", false),
        ] {
            let found = check(uri);
            assert_eq!(found.is_ok(), fine, "{uri}: {found:?}");
            let read = uri.parse::<KeyUri>();
            assert!(read.is_ok(), "{uri}: {read:?}");
        }
    }
}
